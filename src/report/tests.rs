//! From evidence to digest: small records made by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::digest::{Digest, Hunts, Material, Origin, Raised, Revision, State, Subject};
use super::{Exposure, Ledger, Piece, Run, Window};
use crate::model::{Count, Design, Flag, Group, Outcome, Role, TestId, UnixMillis, Verdict};

const DAY: i64 = 24 * 3_600_000;

/// A suite whose record is written iteration by iteration.
struct Record {
    tests: usize,
    window: Window,
    flags: Vec<Raised>,
    pieces: Vec<(Design, i64, UnixMillis, Vec<Run>)>,
}

impl Record {
    fn of(tests: usize) -> Self {
        let week = "2026-W47".parse().unwrap();
        Self {
            tests,
            window: Window::week(week, &TimeZone::UTC, "UTC"),
            flags: Vec::new(),
            pieces: Vec::new(),
        }
    }

    /// The moment so many days after the start of the window.
    fn day(&self, days: i64) -> UnixMillis {
        UnixMillis(self.window.since.0 + days * DAY)
    }

    /// One iteration in one segment, in this order, in which these tests fail.
    fn ran(&mut self, design: Design, day: i64, order: &[u32], failing: &[u32]) {
        let run = |test: &u32| Run {
            test: *test,
            rep: 1,
            outcome: if failing.contains(test) {
                Outcome::Failed
            } else {
                Outcome::Passed
            },
        };
        let runs = order.iter().map(run).collect();
        // A revision a week.
        let revision = 10 + day.div_euclid(7);
        self.pieces.push((design, revision, self.day(day), runs));
    }

    fn flag(&mut self, test: u32, verdict: Verdict, day: i64, groups: &[(Role, &[u32])]) {
        let group = |(role, members): &(Role, &[u32])| Group {
            role: *role,
            members: members.iter().map(|test| name(*test)).collect(),
            adjacent: false,
            with: Count {
                failures: 10,
                trials: 10,
            },
            with_decoy: Count::default(),
            without: Count::default(),
            ln_e: 10.0,
        };
        let at = self.day(day);
        self.flags.push(Raised {
            test: Some(test),
            flag: Flag {
                certified: verdict != Verdict::Undetermined,
                groups: groups.iter().map(group).collect(),
                ..Flag::bare(Some(name(test)), verdict)
            },
            at,
            first_certified: (verdict != Verdict::Undetermined).then_some(at),
            token: None,
        });
    }

    fn digest(&self) -> Digest {
        Digest::of(&self.material())
    }

    fn material(&self) -> Material {
        let roster: Vec<TestId> = (0..u32::try_from(self.tests).unwrap()).map(name).collect();
        let index = |test: &TestId| {
            roster
                .iter()
                .position(|one| one == test)
                .map(|at| u32::try_from(at).unwrap())
        };
        let blocks = |flag: &Flag| {
            flag.groups
                .iter()
                .fold(Count::default(), |sum, group| Count {
                    failures: sum.failures + group.with.failures,
                    trials: sum.trials + group.with.trials,
                })
        };
        let watched = self
            .flags
            .iter()
            .map(|raised| {
                let exposure = Exposure::of(&raised.flag, index);
                (raised.test.unwrap(), exposure, blocks(&raised.flag))
            })
            .collect();
        let mut ledger = Ledger::new(&self.window, self.tests, watched);
        for (design, revision, at, trials) in &self.pieces {
            ledger.segment(&Piece {
                design: *design,
                planned: u32::try_from(self.tests).unwrap(),
                revision: *revision,
                at: *at,
                took: Duration::from_mins(1),
                factors: &[],
                trials,
            });
            ledger.end_iteration();
        }
        ledger.finish();
        let revision = |row: i64| Revision {
            label: format!("commit{row}"),
            seen: UnixMillis(0),
            tests: (0..u32::try_from(self.tests).unwrap()).collect(),
        };
        Material {
            window: self.window.clone(),
            origin: Origin {
                suite: "shop".into(),
                suite_id: "abc123".into(),
                tool: "1.0.0".into(),
                schema: 2,
                database: 7,
                signature_rule: 1,
            },
            handles: (0..self.tests).map(|test| format!("h{test:05}")).collect(),
            listed: vec![true; self.tests],
            roster,
            ledger,
            flags: self.flags.clone(),
            revisions: (0..20).map(|row| (row, revision(row))).collect(),
            signatures: BTreeMap::new(),
            texts: BTreeMap::new(),
            owners: BTreeMap::new(),
            tokens: BTreeMap::new(),
            hunts: Hunts::default(),
        }
    }
}

fn name(test: u32) -> TestId {
    TestId::new(format!("t.py::t{test}")).unwrap()
}

fn state_of(digest: &Digest, test: u32) -> Option<State> {
    let card = digest.cards.iter().find(|card| card.test == name(test));
    card.map(|card| card.state)
}

#[test]
fn shares_of_all_causes_add_up_to_the_red_runs() {
    let mut record = Record::of(4);
    for run in 0..40 {
        let failing: &[u32] = match run % 10 {
            0 => &[0, 1],
            1 => &[2],
            2 => &[0, 1, 2],
            _ => &[],
        };
        record.ran(Design::Natural, 1, &[0, 1, 2, 3], failing);
    }
    record.flag(0, Verdict::OdVictim, -20, &[(Role::Polluter, &[3])]);
    record.flag(1, Verdict::OdVictim, -20, &[(Role::Polluter, &[3])]);
    let digest = record.digest();
    let [natural, shuffled] = digest.green.now;
    assert_eq!((natural.runs, natural.green, shuffled.runs), (40, 28, 0));
    let sum: f64 = digest.causes.iter().map(|cause| cause.natural.runs).sum();
    assert!((sum - 12.0).abs() < 1e-12, "{sum}");
    // Both victims of one polluter are one row: 4 runs of their own, two thirds of 4 more.
    let first = &digest.causes[0];
    assert!(
        matches!(&first.subject, Subject::Group { role: Role::Polluter, members } if *members == [name(3)])
    );
    assert!((first.natural.runs - (4.0 + 8.0 / 3.0)).abs() < 1e-12);
    assert_eq!(first.natural.alone, 4);
    assert!(
        (first.natural.minutes - first.natural.runs).abs() < 1e-12,
        "a run takes a minute"
    );
    // Exact recounts: without the first cause 4 + 4 runs stay red, without both none.
    let mended: Vec<u64> = digest
        .green
        .if_mended
        .iter()
        .map(|two| two[0].green)
        .collect();
    assert_eq!(mended, [32, 40]);
}

#[test]
fn a_run_with_a_test_that_nobody_heard_of_is_no_full_run() {
    let mut record = Record::of(3);
    record.ran(Design::Natural, 1, &[0, 1], &[]);
    record.ran(Design::Natural, 1, &[0, 1, 2], &[]);
    record.ran(Design::Doubled, 1, &[0, 1, 2], &[2]);
    let digest = record.digest();
    assert_eq!(digest.green.now[0].runs, 1);
    assert_eq!(digest.head.iterations, 3);
}

#[test]
fn only_passes_under_orders_that_used_to_fail_mend_a_victim() {
    for (after_polluter, expected) in [(true, State::Fixed), (false, State::Silent)] {
        let mut record = Record::of(2);
        record.ran(Design::Free, -20, &[1, 0], &[0]);
        record.flag(0, Verdict::OdVictim, -19, &[(Role::Polluter, &[1])]);
        for _ in 0..100 {
            let order: &[u32] = if after_polluter { &[1, 0] } else { &[0, 1] };
            record.ran(Design::Free, 2, order, &[]);
        }
        let digest = record.digest();
        assert_eq!(state_of(&digest, 0), Some(expected), "{after_polluter}");
        let card = &digest.cards[0];
        if after_polluter {
            let proof = card.proof.as_ref().unwrap();
            assert_eq!((proof.passes, proof.before.failures), (100, 11));
            assert!(proof.worth.by_accident < 1e-10);
            assert_eq!(proof.since.as_deref(), Some("commit10"));
        } else {
            assert!(card.proof.is_none());
            assert!(card.silence.as_deref().unwrap().contains("no order ran"));
        }
    }
}

#[test]
fn what_was_mended_before_the_window_is_history_until_it_returns() {
    let mut record = Record::of(1);
    (0..5).for_each(|_| record.ran(Design::Free, -40, &[0], &[0]));
    record.flag(0, Verdict::Nod, -40, &[]);
    (0..50).for_each(|_| record.ran(Design::Free, -20, &[0], &[]));
    assert_eq!(state_of(&record.digest(), 0), None);
    let stock = record.digest().stock;
    assert_eq!(stock.iter().map(|week| week.new).sum::<u64>(), 1);
    assert_eq!(stock.iter().map(|week| week.fixed).sum::<u64>(), 1);
    assert_eq!(stock.last().unwrap().open, 0);
    record.ran(Design::Free, 3, &[0], &[0]);
    assert_eq!(state_of(&record.digest(), 0), Some(State::Returned));
}

#[test]
fn new_worse_open_and_silent_are_told_apart() {
    let mut record = Record::of(5);
    for run in 0..400 {
        let mut failing = Vec::new();
        failing.extend((run % 100 == 0).then_some(0));
        failing.extend((run % 20 == 0).then_some(1));
        failing.extend((run % 50 == 0).then_some(2));
        record.ran(Design::Free, -10, &[0, 1, 2, 3, 4], &failing);
    }
    for run in 0..600 {
        let mut failing = Vec::new();
        failing.extend((run % 2 == 0).then_some(0));
        failing.extend((run % 20 == 0).then_some(1));
        failing.extend((run == 7).then_some(3));
        record.ran(Design::Free, 1, &[0, 1, 2, 3, 4], &failing);
    }
    for test in 0..3 {
        record.flag(test, Verdict::Nod, -9, &[]);
    }
    let digest = record.digest();
    assert_eq!(state_of(&digest, 0), Some(State::Worse));
    assert_eq!(state_of(&digest, 1), Some(State::Open));
    assert_eq!(
        state_of(&digest, 3),
        Some(State::New),
        "never failed before"
    );
    assert_eq!(state_of(&digest, 4), None);
    // 8 failures in 400, then 600 passes: enough.
    assert_eq!(state_of(&digest, 2), Some(State::Fixed));
    assert_eq!(digest.causes[0].cards, [0], "the worst is first");
    assert_eq!(digest.cards[0].test, name(0));
    assert_eq!(digest.cards[0].began_after, None);
    assert_eq!(digest.funnel.tests, 5);
    assert_eq!((digest.funnel.clean, digest.funnel.failed), (1, 4));
}

#[test]
fn nothing_after_the_window_is_known() {
    let mut record = Record::of(1);
    record.ran(Design::Free, 1, &[0], &[]);
    let before = record.digest();
    record.ran(Design::Free, 7, &[0], &[0]);
    assert_eq!(record.digest(), before);
}

#[test]
fn an_empty_record_is_a_fault_and_no_panic() {
    for record in [Record::of(0), Record::of(3)] {
        let digest = record.digest();
        assert_eq!(digest.trust.faults, ["nothing was recorded in this time"]);
        assert!(super::sentence::headline(&digest).contains("Nothing was recorded"));
        assert!(super::markdown::page(&digest).contains("soakhound hunt"));
        assert!(super::json::value(&digest)["green"]["now"]["natural"]["rate"].is_null());
    }
}
