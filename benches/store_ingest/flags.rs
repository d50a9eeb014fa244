//! What a hunt finds, in a database of a bench: flags, each after a question with its probes.

use std::time::Duration;

use soakhound::diagnose::Standing;
use soakhound::model::{
    Answer, Arm, Count, Flag, Group, MonoMicros, Opened, Outcome, Probe, Question, QuestionId,
    Reply, Role, SegmentOpen, ShardState, TestId, TrialRecord, UnixMillis, Verdict,
};
use soakhound::store::{
    AnalysisRow, FlagStart, PlannedProbe, ProbeBatch, RevisionId, StoreError, Writer,
};

use crate::made::{Begun, closing, opening};

/// Tests that have a flag.
const FLAGGED: usize = 200;
/// Probes of each of them.
const PROBES: i64 = 30;

/// Flags [`FLAGGED`] tests, each after a question with [`PROBES`] probes that ran.
pub(crate) async fn raise(
    writer: &Writer,
    hunt: i64,
    revision: RevisionId,
    planned: i64,
    tests: &[TestId],
) -> Result<(), StoreError> {
    let at = UnixMillis(1_795_310_050_000);
    let first = (planned..).step_by(usize::try_from(PROBES).expect("few probes"));
    for ((number, victim), first) in (0..).zip(&tests[..FLAGGED]).zip(first) {
        let polluter = &tests[FLAGGED + 1];
        let probe = Probe {
            victim: victim.clone(),
            question: Question::Polluter,
            block: Some(0),
            arm: Arm::Treated,
            turn: 0,
            processes: vec![vec![(polluter.clone(), 1), (victim.clone(), 1)]],
            beside: Vec::new(),
            factors: Vec::new(),
        };
        let probes = (0..)
            .zip(first..first + PROBES)
            .map(|(place, plan_index)| PlannedProbe {
                place,
                probe: probe.clone(),
                plan_index,
                seed: 1,
                factors: Vec::new(),
            });
        let batch = ProbeBatch {
            hunt,
            revision,
            question: QuestionId(number),
            opened: Some(Opened {
                victim: victim.clone(),
                question: Question::Polluter,
                attempt: true,
                parameters: serde_json::json!({ "candidates": tests[..20] }),
            }),
            at,
            probes: probes.collect(),
        };
        for shard in writer.plan_probes(&batch).await? {
            run_probe(writer, shard, &probe).await?;
        }
        let start = FlagStart {
            hunt,
            revision,
            at,
            flag: claim(victim, polluter),
            token: Some("sk1m_0123456789abcdefghjkmnpqrstvwxyz".into()),
        };
        writer.raise_flag(start).await?;
    }
    let analysis = AnalysisRow {
        at,
        hunt,
        iterations: 2_000,
        attempts: FLAGGED as u64,
        pair_coverage: 0.99,
        canary: None,
        suspected: Vec::new(),
        fixed: Vec::new(),
    };
    let stands = serde_json::to_value(Standing {
        soak: Count {
            failures: 3,
            trials: 2_000,
        },
        alone: Count::default(),
        infra: 0,
        explanations: Vec::new(),
        ruled_out: Vec::new(),
        ln_e: 7.5,
    })
    .expect("numbers and texts");
    let standing = |test: &TestId| (test.clone(), stands.clone());
    let standings = tests[..FLAGGED].iter().map(standing).collect();
    writer.put_analysis(analysis, standings).await
}

async fn run_probe(writer: &Writer, shard: i64, probe: &Probe) -> Result<(), StoreError> {
    let order = probe.processes.iter().flatten();
    let trials = (0..).zip(order).map(|(position, (test, rep))| TrialRecord {
        position,
        test: test.clone(),
        rep: *rep,
        outcome: if position == 0 {
            Outcome::Passed
        } else {
            Outcome::Failed
        },
        started: Some(MonoMicros(1_000_000 + i64::from(position))),
        duration: Some(Duration::from_micros(1)),
        detail: None,
    });
    let open = SegmentOpen {
        trials: 2,
        ..opening(shard, Begun::newest())
    };
    let segment = writer.open_segment(&open).await?;
    writer
        .close_segment(segment, closing(Begun::newest()), trials.collect())
        .await?;
    writer.close_shard(shard, ShardState::Finished).await?;
    let reply = Reply {
        answer: Answer::Failed,
        first: None,
        levels: Vec::new(),
        died_in: None,
        hours: 0.0,
        seconds: 0.3,
    };
    writer.answer_probe(shard, &reply).await
}

fn claim(victim: &TestId, polluter: &TestId) -> Flag {
    let count = |failures| Count {
        failures,
        trials: 6,
    };
    Flag {
        certified: true,
        groups: vec![Group {
            role: Role::Polluter,
            members: vec![polluter.clone()],
            adjacent: false,
            with: count(6),
            with_decoy: count(0),
            without: count(0),
            ln_e: 7.5,
        }],
        soak: count(1),
        alone: count(0),
        ln_e: Some(7.5),
        ..Flag::bare(Some(victim.clone()), Verdict::OdVictim)
    }
}
