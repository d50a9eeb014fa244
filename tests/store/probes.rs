//! Questions, probes, flags and the state of the analysis: kept, read back, and in no count that is not theirs.

use soakhound::model::{
    Answer, Arm, Count, FactorLevel, Fixed, Flag, Group, Opened, Outcome, Probe, Question,
    QuestionId, Reach, Recipe, Recorded, Reply, Role, SegmentEnd, ShardState, Suspicion, TestId,
    UnixMillis, Verdict,
};
use soakhound::store::{
    AnalysisRow, CanaryRow, FlagStart, PlannedProbe, ProbeBatch, QuestionRow, Seen, StoreError,
};

use super::{Fixture, closing, opening, passed, plan, revision_start, suite, tests, trial};

pub(crate) fn probe(processes: Vec<Vec<(TestId, u8)>>) -> Probe {
    Probe {
        victim: tests(4).pop().unwrap(),
        question: Question::Polluter,
        block: None,
        arm: Arm::Single,
        turn: 0,
        processes,
        beside: Vec::new(),
        factors: Vec::new(),
    }
}

fn alone() -> Probe {
    probe(vec![vec![(tests(4).pop().unwrap(), 1)]])
}

fn opened() -> Opened {
    Opened {
        victim: tests(4).pop().unwrap(),
        question: Question::Polluter,
        attempt: true,
        parameters: serde_json::json!({ "rate": 0.1 + 0.2, "candidates": [tests(1)[0]] }),
    }
}

pub(crate) fn batch(it: &Fixture, question: u32, probes: Vec<(u32, i64, Probe)>) -> ProbeBatch {
    ProbeBatch {
        hunt: it.hunt,
        revision: it.revision,
        question: QuestionId(question),
        opened: probes.first().filter(|p| p.0 == 0).map(|_| opened()),
        at: UnixMillis(1_500),
        probes: probes
            .into_iter()
            .map(|(place, plan_index, probe)| PlannedProbe {
                place,
                probe,
                plan_index,
                seed: u64::MAX - 1,
                factors: vec![FactorLevel {
                    factor: "TZ".into(),
                    level: "UTC".into(),
                    drawn_with: 0.5,
                }],
            })
            .collect(),
    }
}

fn reply(answer: Answer) -> Reply {
    Reply {
        answer,
        first: Some(Answer::Passed),
        levels: vec![("TZ".into(), "UTC".into())],
        died_in: None,
        hours: 1.0 / 3.0,
        seconds: 0.7,
    }
}

fn questions(it: &Fixture) -> Vec<QuestionRow> {
    it.reader().questions(suite().id()).unwrap()
}

fn flag(test: Option<TestId>, verdict: Verdict) -> Flag {
    let group = |role, members| Group {
        role,
        members,
        adjacent: false,
        with: Count {
            failures: 6,
            trials: 6,
        },
        with_decoy: Count {
            failures: 0,
            trials: 6,
        },
        without: Count {
            failures: 0,
            trials: 6,
        },
        ln_e: 7.25,
    };
    Flag {
        test,
        verdict,
        certified: true,
        groups: vec![
            group(Role::Polluter, tests(2)),
            group(Role::Cleaner, vec![tests(3).pop().unwrap()]),
        ],
        unnamed: 1,
        factors: vec![("TZ".into(), "UTC".into())],
        soak: Count {
            failures: 3,
            trials: 70,
        },
        alone: Count::default(),
        recipe: Some(Recipe {
            order: vec![(tests(1)[0].clone(), 1)],
            factors: Vec::new(),
            beside: Vec::new(),
            seen: Count::default(),
            repeat: 1,
            repeat_at_worst: 2,
        }),
        ln_e: Some(7.25),
        since_iteration: None,
        threshold: None,
        reach: Some(Reach::Container),
        files_left: vec!["/tmp/x".into()],
        ruled_out: vec!["alone: 0 of 4".into()],
        settles: None,
    }
}

#[test]
fn a_question_is_read_back_as_it_was_opened_planned_and_answered() {
    let it = Fixture::new(4);
    let names = tests(4);
    let mut treated = probe(vec![
        vec![(names[0].clone(), 1), (names[1].clone(), 1)],
        vec![(names[3].clone(), 1), (names[3].clone(), 2)],
    ]);
    treated.block = Some(2);
    treated.arm = Arm::Treated;
    treated.turn = 1;
    treated.beside = vec![names[2].clone(), names[0].clone()];
    treated.factors = vec![("TZ".into(), "UTC".into()), ("A".into(), "b".into())];
    let batch = batch(&it, 0, vec![(0, 0, treated.clone()), (1, 1, alone())]);
    let shards = it.wait(it.writer.plan_probes(&batch)).unwrap();
    let mut showed = reply(Answer::Failed);
    showed.died_in = Some(names[1].clone());
    it.wait(it.writer.answer_probe(shards[0], &showed)).unwrap();

    let found = questions(&it);
    let recorded = Recorded {
        id: QuestionId(0),
        opened: opened(),
        probes: vec![(treated, Some(showed)), (alone(), None)],
        concluded: None,
    };
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].recorded(), recorded);
    let open: Vec<_> = found[0].unanswered().collect();
    assert_eq!(open.len(), 1);
    assert_eq!(
        (open[0].shard, open[0].place, open[0].plan_index),
        (shards[1], 1, 1)
    );
    assert_eq!((open[0].seed, open[0].attempt), (u64::MAX - 1, 0));
    assert_eq!(open[0].factors, batch.probes[1].factors);
    let reader = it.reader();
    assert_eq!(
        reader.probe(shards[0]).unwrap().as_ref(),
        found[0].probes.first()
    );
    assert_eq!(reader.attempts(suite().id()).unwrap(), 1);
    assert_eq!(reader.questions_of(suite().id(), &names[3]).unwrap(), found);
    assert_eq!(reader.questions_of(suite().id(), &names[0]).unwrap(), []);
    it.assert_sound();
}

#[test]
fn what_a_question_came_to_is_kept() {
    let it = Fixture::new(4);
    let batch = batch(&it, 0, vec![(0, 0, alone())]);
    it.wait(it.writer.plan_probes(&batch)).unwrap();
    let found = serde_json::json!({ "found": ["a"] });
    let conclude = |number| {
        it.writer
            .conclude(batch.hunt, QuestionId(number), found.clone())
    };
    it.wait(conclude(0)).unwrap();
    assert_eq!(questions(&it)[0].concluded, Some(found.clone()));
    assert_eq!(questions(&it)[0].recorded().concluded, Some(found.clone()));
    assert!(it.wait(conclude(1)).is_err(), "nobody asked that");
    it.assert_sound();
}

#[test]
fn probes_are_in_no_count_but_executions_and_their_own() {
    let it = Fixture::new(4);
    let soak = it.shard(plan(0, 4));
    let segment = it.segment(soak, 4);
    it.close(segment, passed(0..4)).unwrap();
    it.wait(it.writer.close_shard(soak, ShardState::Finished))
        .unwrap();
    let before = it.reader().status(it.hunt).unwrap();
    let durations = it.reader().durations(suite().id()).unwrap();

    let planned = batch(&it, 0, vec![(0, 1, alone()), (1, 2, alone())]);
    let shards = it.wait(it.writer.plan_probes(&planned)).unwrap();
    let slow = |outcome| {
        let mut slow = trial(0, outcome);
        slow.test = tests(4).pop().unwrap();
        slow.duration = Some(std::time::Duration::from_secs(9));
        slow
    };
    let segment = it.segment(shards[0], 1);
    it.close(segment, vec![slow(Outcome::Failed)]).unwrap();
    it.wait(it.writer.close_shard(shards[0], ShardState::Finished))
        .unwrap();
    let segment = it.segment(shards[1], 1);
    let receipt = it.wait(it.writer.record(segment, vec![slow(Outcome::Error)]));
    it.wait(it.writer.heartbeat(it.hunt, before.heartbeat))
        .unwrap();
    it.wait(receipt.unwrap().committed()).unwrap();

    let mut expected = before;
    expected.executions += 2;
    expected.probe_trials = 2;
    // The probe that is still open comes after everything that is not.
    expected.watermark = 3;
    let reader = it.reader();
    assert_eq!(reader.status(it.hunt).unwrap(), expected);
    assert_eq!(reader.durations(suite().id()).unwrap(), durations);
    assert_eq!(reader.failures(it.hunt, 9).unwrap(), []);
    assert_eq!(reader.finished_shards(it.hunt, 9).unwrap(), [soak]);
    let victim = &tests(4)[3];
    let counts = reader.outcomes_of(suite().id(), victim).unwrap();
    assert_eq!((counts.sum(|_| true), counts.of(Outcome::Passed)), (1, 1));
    assert_eq!(reader.failures_of(suite().id(), victim, 9).unwrap(), []);
    it.close(segment, vec![slow(Outcome::Error)]).unwrap();
    it.wait(it.writer.close_shard(shards[1], ShardState::Finished))
        .unwrap();
    it.assert_sound();
    it.wait(it.writer.shutdown()).unwrap();
    let folded = it.reader();
    assert_eq!(folded.status(it.hunt).unwrap(), expected);
    assert_eq!(folded.outcomes_of(suite().id(), victim).unwrap(), counts);
    it.assert_sound();
}

#[test]
fn an_open_probe_holds_no_watermark_and_no_iteration_but_has_its_plan_index() {
    let it = Fixture::new(4);
    let planned = batch(&it, 0, vec![(0, 0, alone())]);
    let probe = it.wait(it.writer.plan_probes(&planned)).unwrap()[0];
    let mut first = plan(1, 4);
    first.iteration = 0;
    let soak = it.shard(first);
    let status = it.reader().status(it.hunt).unwrap();
    assert_eq!((status.watermark, status.shards_planned), (1, 1));
    let state = it.reader().unfinished_hunt(suite().id()).unwrap().unwrap();
    assert_eq!((state.next_iteration, state.next_plan_index), (1, 2));
    let open: Vec<i64> = state.open_shards.iter().map(|shard| shard.id).collect();
    assert_eq!(open, [soak]);
    let row = it.reader().shard(probe).unwrap();
    assert_eq!((row.plan.iteration, row.plan.plan_index), (-1, 0));

    let segment = it.segment(soak, 4);
    it.close(segment, passed(0..4)).unwrap();
    it.wait(it.writer.close_shard(soak, ShardState::Finished))
        .unwrap();
    let status = it.reader().status(it.hunt).unwrap();
    assert_eq!(
        (
            status.watermark,
            status.iterations,
            status.iterations_planned
        ),
        (2, 1, 1)
    );
    it.assert_sound();
}

#[test]
fn a_probe_runs_as_a_whole_and_its_last_attempt_counts() {
    let it = Fixture::new(4);
    let names = tests(4);
    // The same trial in two processes of one container.
    let twice = probe(vec![
        vec![(names[3].clone(), 1)],
        vec![(names[3].clone(), 1)],
    ]);
    let planned = batch(&it, 0, vec![(0, 0, twice)]);
    let shard = it.wait(it.writer.plan_probes(&planned)).unwrap()[0];
    let attempt = |attempt, outcomes: &[Outcome]| {
        for outcome in outcomes {
            let mut open = opening(shard, 1);
            open.attempt = attempt;
            let segment = it.wait(it.writer.open_segment(&open)).unwrap();
            let mut only = trial(0, *outcome);
            only.test = names[3].clone();
            let close = closing(SegmentEnd::Completed);
            it.wait(it.writer.close_segment(segment, close, vec![only]))
                .unwrap();
        }
    };
    attempt(1, &[Outcome::Passed]);
    attempt(2, &[Outcome::Passed, Outcome::Failed]);
    it.wait(it.writer.close_shard(shard, ShardState::Finished))
        .unwrap();
    it.assert_sound();

    let second = batch(&it, 1, vec![(0, 1, alone())]);
    let shard = it.wait(it.writer.plan_probes(&second)).unwrap()[0];
    let error = it
        .wait(it.writer.close_shard(shard, ShardState::Finished))
        .unwrap_err();
    assert!(
        matches!(error, StoreError::Unfinished { answered: 0, .. }),
        "{error}"
    );
}

#[test]
fn a_probe_answered_as_void_is_abandoned_where_it_never_ran() {
    let it = Fixture::new(4);
    let planned = batch(&it, 0, vec![(0, 0, alone())]);
    let shard = it.wait(it.writer.plan_probes(&planned)).unwrap()[0];
    it.wait(it.writer.answer_probe(shard, &reply(Answer::Void)))
        .unwrap();
    assert_eq!(
        it.reader().shard(shard).unwrap().state,
        ShardState::Abandoned
    );
    assert_eq!(it.reader().status(it.hunt).unwrap().shards_abandoned, 0);
    it.assert_sound();
    let again = it.wait(it.writer.answer_probe(shard, &reply(Answer::Passed)));
    assert!(again.is_err(), "a probe is answered once");
}

#[test]
fn a_block_is_torn_by_a_revision_between_its_arms() {
    let it = Fixture::new(4);
    let arm = |block| Probe {
        block: Some(block),
        arm: Arm::Treated,
        ..alone()
    };
    let arms = vec![
        (0, 0, arm(0)),
        (1, 1, arm(0)),
        (2, 2, arm(1)),
        (3, 3, alone()),
    ];
    let shards = it
        .wait(it.writer.plan_probes(&batch(&it, 0, arms)))
        .unwrap();
    let torn = |revision| {
        let question = questions(&it).remove(0);
        let unanswered = question.unanswered();
        let torn = unanswered.filter(|row| question.is_torn(row, revision));
        torn.map(|row| row.place).collect::<Vec<_>>()
    };
    let later = it
        .wait(it.writer.register_revision(&revision_start(tests(3))))
        .unwrap();
    assert_eq!(torn(later), [0_u32; 0], "no arm has run");
    it.wait(it.writer.answer_probe(shards[0], &reply(Answer::Failed)))
        .unwrap();
    assert_eq!(torn(it.revision), [0_u32; 0]);
    assert_eq!(torn(later), [1]);
}

#[test]
fn a_probe_planned_again_takes_the_place_of_the_one_that_was_not_answered() {
    let it = Fixture::new(4);
    let first = batch(&it, 0, vec![(0, 0, alone()), (1, 1, alone())]);
    let old = it.wait(it.writer.plan_probes(&first)).unwrap();
    it.wait(it.writer.answer_probe(old[0], &reply(Answer::Passed)))
        .unwrap();
    let mut again = batch(&it, 0, vec![(1, 2, alone())]);
    again.opened = None;
    let new = it.wait(it.writer.plan_probes(&again)).unwrap()[0];
    let found = questions(&it);
    let shards: Vec<i64> = found[0].probes.iter().map(|probe| probe.shard).collect();
    assert_eq!(shards, [old[0], new]);
    assert_eq!(
        it.reader().shard(old[1]).unwrap().state,
        ShardState::Abandoned
    );

    it.wait(it.writer.answer_probe(new, &reply(Answer::Failed)))
        .unwrap();
    let answers: Vec<_> = questions(&it)[0]
        .probes
        .iter()
        .map(|probe| probe.reply.as_ref().map(|reply| reply.answer))
        .collect();
    assert_eq!(answers, [Some(Answer::Passed), Some(Answer::Failed)]);
    it.assert_sound();
    let late = it.wait(it.writer.answer_probe(old[1], &reply(Answer::Passed)));
    assert!(late.is_err(), "its place is answered");
}

#[test]
fn questions_and_places_that_skip_one_are_refused() {
    for (question, place, kind) in [(1, 0, "question"), (0, 1, "probe")] {
        let it = Fixture::new(4);
        let mut skips = batch(&it, question, vec![(place, 0, alone())]);
        skips.opened = Some(opened());
        let error = it.wait(it.writer.plan_probes(&skips)).unwrap_err();
        assert!(
            matches!(&error, StoreError::OutOfTurn { kind: found, .. } if *found == kind),
            "{error}"
        );
        assert_eq!(questions(&it), [], "all of it or nothing");
    }
}

#[test]
fn the_newest_flag_of_a_test_holds_and_says_when_the_test_was_seen() {
    let it = Fixture::new(4);
    let names = tests(4);
    for (index, position) in [(0, 1), (1, 2), (2, 1)] {
        let shard = it.shard(plan(index, 4));
        let segment = it.segment(shard, 4);
        let mut trials = passed(0..4);
        trials[position] = trial(u32::try_from(position).unwrap(), Outcome::Failed);
        it.close(segment, trials).unwrap();
        it.wait(it.writer.close_shard(shard, ShardState::Finished))
            .unwrap();
    }
    let raise = |at, flag| {
        it.wait(it.writer.raise_flag(FlagStart {
            hunt: it.hunt,
            revision: it.revision,
            at: UnixMillis(at),
            flag,
            token: Some("sk1m_x".into()),
        }))
        .unwrap()
    };
    raise(10, flag(Some(names[1].clone()), Verdict::Undetermined));
    let systemic = raise(20, flag(None, Verdict::Infrastructure));
    let newest = raise(30, flag(Some(names[1].clone()), Verdict::OdVictim));
    let reader = it.reader();
    let flags = reader.flags(suite().id(), UnixMillis(0)).unwrap();
    let rows: Vec<i64> = flags.iter().map(|row| row.id).collect();
    assert_eq!(rows, [systemic, newest]);
    assert_eq!(
        flags[1].flag,
        flag(Some(names[1].clone()), Verdict::OdVictim)
    );
    assert_eq!(flags[1].token.as_deref(), Some("sk1m_x"));
    let iteration = |seen: &Option<Seen>| seen.as_ref().map(|s| (s.iteration, s.position));
    assert_eq!(iteration(&flags[1].first_seen), Some((0, 1)));
    assert_eq!(iteration(&flags[1].last_seen), Some((2, 1)));
    assert_eq!(iteration(&flags[0].first_seen), None);
    assert_eq!(
        reader.flags(suite().id(), UnixMillis(25)).unwrap(),
        flags[1..]
    );
    assert_eq!(reader.flags_of(suite().id(), &names[1]).unwrap().len(), 2);
    assert_eq!(reader.flags_of(suite().id(), &names[2]).unwrap(), []);
    let failures = reader.failures_of(suite().id(), &names[1], 9).unwrap();
    assert_eq!(
        failures.iter().map(|s| s.iteration).collect::<Vec<_>>(),
        [2, 0]
    );
    it.assert_sound();
}

#[test]
fn the_analysis_is_replaced_with_the_standings_that_go_with_it() {
    let it = Fixture::new(4);
    let names = tests(4);
    let analysis = |iterations| AnalysisRow {
        at: UnixMillis(7),
        hunt: it.hunt,
        iterations,
        attempts: 3,
        pair_coverage: 0.75,
        canary: Some(CanaryRow {
            state: "red".into(),
            why: Some("the pair was not found".into()),
        }),
        suspected: vec![Suspicion {
            test: names[0].clone(),
            ln_e: 4.5,
            explanations: vec![("after `x`".into(), 0.9)],
            soak: Count::default(),
        }],
        fixed: vec![Fixed {
            test: names[1].clone(),
            at: UnixMillis(6),
            last_segment: Some(3),
            passes: 40,
            under: "in a row".into(),
            before: Count {
                failures: 4,
                trials: 9,
            },
            since: Some("c0ffee".into()),
        }],
    };
    let put = |row, standings: Vec<_>| it.wait(it.writer.put_analysis(row, standings)).unwrap();
    assert_eq!(it.reader().analysis(suite().id()).unwrap(), None);
    let standing = |n| serde_json::json!({ "ln_e": n });
    put(
        analysis(1),
        vec![
            (names[0].clone(), standing(1)),
            (names[1].clone(), standing(2)),
        ],
    );
    put(analysis(2), vec![(names[1].clone(), standing(5))]);
    let reader = it.reader();
    assert_eq!(reader.analysis(suite().id()).unwrap(), Some(analysis(2)));
    assert_eq!(
        reader
            .standing::<serde_json::Value>(suite().id(), &names[0])
            .unwrap(),
        None
    );
    assert_eq!(
        reader.standing(suite().id(), &names[1]).unwrap(),
        Some(standing(5))
    );
    it.assert_sound();
}

#[test]
fn the_shell_sees_probes_and_flags_in_words() {
    let it = Fixture::new(4);
    let names = tests(4);
    let order = probe(vec![
        vec![(names[0].clone(), 1)],
        vec![(names[3].clone(), 1)],
    ]);
    let planned = batch(&it, 0, vec![(0, 0, order)]);
    let shard = it.wait(it.writer.plan_probes(&planned)).unwrap()[0];
    it.wait(it.writer.answer_probe(shard, &reply(Answer::Void)))
        .unwrap();
    it.wait(it.writer.raise_flag(FlagStart {
        hunt: it.hunt,
        revision: it.revision,
        at: UnixMillis(0),
        flag: flag(Some(names[3].clone()), Verdict::OdVictim),
        token: None,
    }))
    .unwrap();
    let connection = rusqlite::Connection::open(it.path()).unwrap();
    let text = |sql: &str| {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement
            .query_map([], |row| row.get::<_, String>(0))
            .unwrap();
        rows.collect::<Result<Vec<_>, _>>().unwrap()
    };
    let runs = format!(
        "polluter single void passed {}\n{}",
        names[0].as_str().unwrap(),
        names[3].as_str().unwrap()
    );
    let probes =
        "SELECT asks || ' ' || arm || ' ' || answer || ' ' || first || ' ' || runs FROM probes";
    assert_eq!(text(probes), [runs]);
    let flags = "SELECT verdict || ' ' || role || ' ' || alternative || ' ' || other FROM flags";
    let role = |words: &str, test: &TestId| format!("od-victim {words} {}", test.as_str().unwrap());
    assert_eq!(
        text(flags),
        [
            role("polluter 0", &names[0]),
            role("polluter 0", &names[1]),
            role("cleaner 1", &names[2])
        ]
    );
}

#[test]
fn check_sees_a_question_that_was_changed() {
    let it = Fixture::new(4);
    let planned = batch(&it, 0, vec![(0, 0, alone()), (1, 1, alone())]);
    let shards = it.wait(it.writer.plan_probes(&planned)).unwrap();
    it.wait(it.writer.answer_probe(shards[0], &reply(Answer::Void)))
        .unwrap();
    it.wait(it.writer.raise_flag(FlagStart {
        hunt: it.hunt,
        revision: it.revision,
        at: UnixMillis(0),
        flag: flag(Some(tests(4)[3].clone()), Verdict::OdVictim),
        token: None,
    }))
    .unwrap();
    it.assert_sound();
    let connection = rusqlite::Connection::open(it.path()).unwrap();
    for (damage, repair, found) in [
        (
            "UPDATE question SET number = 3",
            "UPDATE question SET number = 0",
            "1 questions missing from a suite",
        ),
        (
            "UPDATE probe SET place = 5 WHERE place = 1",
            "UPDATE probe SET place = 1 WHERE place = 5",
            "1 probes missing from a question",
        ),
        (
            "UPDATE iteration SET design = 6, number = 9 WHERE number = -1",
            "UPDATE iteration SET design = 7, number = -1 WHERE number = 9",
            "1 probes without a shard of their own kind",
        ),
        (
            "UPDATE shard SET state = 0",
            "UPDATE shard SET state = 2 WHERE plan_index = 0",
            "1 answered probes whose shard is open",
        ),
        (
            "UPDATE flag SET body = json_set(body, '$.verdict', 'nod')",
            "UPDATE flag SET body = json_set(body, '$.verdict', 'od-victim')",
            "flag 1 does not say what its row says",
        ),
    ] {
        connection.execute(damage, []).unwrap();
        let findings = soakhound::store::check(&it.path()).unwrap().findings;
        let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(told, [found], "{damage}");
        connection.execute(repair, []).unwrap();
        it.assert_sound();
    }
}
