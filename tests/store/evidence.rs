//! Evidence: every closed segment once, in plan order, behind the watermark.

use proptest::prelude::*;
use soakhound::model::{
    Cause, Design, ListDigest, Outcome, SegmentEnd, ShardPlan, ShardState, TestId, TrialRecord,
};
use soakhound::plan::Origin;
use soakhound::store::{Cursor, Observed, ObservedSegment, Reader};

use super::probes::{batch, probe};
use super::{Fixture, closing, hunt_start, opening, passed, plan, suite, tests, trial};

fn observe(reader: &Reader, cursor: &mut Cursor) -> Vec<Observed> {
    let mut all = Vec::new();
    reader.observe(cursor, |one| all.push(one)).unwrap();
    all
}

fn everything(it: &Fixture) -> Vec<Observed> {
    observe(&it.reader(), &mut Cursor::start(suite().id()))
}

fn segments(all: &[Observed]) -> Vec<&ObservedSegment> {
    all.iter()
        .filter_map(|one| match one {
            Observed::Segment(segment) => Some(&**segment),
            Observed::Iteration { .. } => None,
        })
        .collect()
}

/// What came, in short: the shard of a segment, or the number of a complete iteration as a negative number.
fn short(all: &[Observed]) -> Vec<i64> {
    all.iter()
        .map(|one| match one {
            Observed::Segment(segment) => segment.shard,
            Observed::Iteration { iteration, .. } => -1 - i64::try_from(*iteration).unwrap(),
        })
        .collect()
}

/// The shards of an iteration that has two, of two tests each.
fn halves(it: &Fixture, iteration: i64, first: i64) -> Vec<i64> {
    let half = |shard: u16| {
        let mut half = plan(first + i64::from(shard), 2);
        half.iteration = iteration;
        half.shard = shard;
        half.seed = 5;
        half.layout.shards = 2;
        half
    };
    it.wait(
        it.writer
            .plan_iteration(it.hunt, it.revision, &[half(0), half(1)]),
    )
    .unwrap()
}

fn finish(it: &Fixture, shard: i64) {
    let segment = it.segment(shard, 2);
    it.close(segment, passed(0..2)).unwrap();
    it.wait(it.writer.close_shard(shard, ShardState::Finished))
        .unwrap();
}

/// A plan whose order digest is that of the first `count` tests.
fn in_order(plan_index: i64, count: usize) -> ShardPlan {
    let mut planned = plan(plan_index, u32::try_from(count).unwrap());
    planned.order = ListDigest::of(&tests(count));
    planned
}

/// Runs a segment that is asked for `order` and shows `trials`.
fn run(
    it: &Fixture,
    shard: i64,
    cause: Option<Cause>,
    order: &[TestId],
    trials: Vec<TrialRecord>,
    end: SegmentEnd,
) -> i64 {
    let mut open = opening(shard, u32::try_from(order.len()).unwrap());
    open.order = ListDigest::of(order);
    open.cause = cause;
    let segment = it.wait(it.writer.open_segment(&open)).unwrap();
    let mut close = closing(end);
    close.running = trials
        .last()
        .filter(|_| end != SegmentEnd::Completed)
        .map(|t| t.test.clone());
    it.wait(it.writer.close_segment(segment, close, trials))
        .unwrap();
    segment
}

/// The rows of the first tests: they are registered in this order.
fn rows(tests: impl IntoIterator<Item = i64>) -> Vec<i64> {
    tests.into_iter().map(|test| test + 1).collect()
}

#[test]
fn evidence_comes_in_plan_order_and_stops_at_the_first_open_shard() {
    let it = Fixture::new(2);
    let (first, second) = (halves(&it, 0, 0), halves(&it, 1, 2));
    finish(&it, first[1]);
    finish(&it, second[0]);
    let mut cursor = Cursor::start(suite().id());
    assert!(observe(&it.reader(), &mut cursor).is_empty());
    finish(&it, first[0]);
    assert_eq!(
        short(&observe(&it.reader(), &mut cursor)),
        [first[0], first[1], -1, second[0]]
    );
    assert!(observe(&it.reader(), &mut cursor).is_empty());
    finish(&it, second[1]);
    let rest = observe(&it.reader(), &mut cursor);
    assert_eq!(short(&rest), [second[1], -2]);
    let Some(Observed::Iteration { seconds, .. }) = rest.last() else {
        panic!("{rest:?}")
    };
    assert!((seconds - 2.0 * 0.895).abs() < 1e-9, "{seconds}");
    let whole = everything(&it);
    let one = segments(&whole)[0];
    assert_eq!((one.tests, one.iteration, one.worker), (4, 0, 0));
    assert_eq!((&one.asked, one.origin), (&rows(0..2), Origin::Planned));
    assert_eq!(one.trials[1].outcome, Outcome::Passed);
    assert_eq!(
        it.reader().tests_of(suite().id()).unwrap()[0],
        (1, tests(1)[0].clone())
    );
}

#[test]
fn probes_are_no_evidence_and_hold_none_up() {
    let it = Fixture::new(4);
    let names = tests(4);
    let planned = batch(
        &it,
        0,
        vec![(0, 0, probe(vec![vec![(names[3].clone(), 1)]]))],
    );
    it.wait(it.writer.plan_probes(&planned)).unwrap();
    let shards = halves(&it, 0, 1);
    for shard in &shards {
        finish(&it, *shard);
    }
    assert_eq!(short(&everything(&it)), [shards[0], shards[1], -1]);
}

#[test]
fn iterations_count_on_from_hunt_to_hunt_and_one_given_up_ends_at_its_watermark() {
    let mut it = Fixture::new(2);
    let old = [halves(&it, 0, 0), halves(&it, 1, 2)].concat();
    for place in [0, 1, 3] {
        finish(&it, old[place]);
    }
    let mut cursor = Cursor::start(suite().id());
    assert_eq!(
        short(&observe(&it.reader(), &mut cursor)),
        [old[0], old[1], -1]
    );
    it.hunt = it.wait(it.writer.begin_hunt(&hunt_start())).unwrap().id;
    let new = halves(&it, 0, 0);
    for shard in &new {
        finish(&it, *shard);
    }
    let more = observe(&it.reader(), &mut cursor);
    assert_eq!(short(&more), [new[0], new[1], -3]);
    assert_eq!(segments(&more)[0].hunt, it.hunt);
    assert_eq!(segments(&more)[0].iteration, 2);
}

#[test]
fn a_segment_that_was_cut_tells_what_it_was_asked_for() {
    let it = Fixture::new(5);
    let names = tests(5);
    let shard = it.shard(in_order(0, 5));
    let crashed = [trial(0, Outcome::Passed), trial(1, Outcome::Crashed)];
    let first = run(
        &it,
        shard,
        None,
        &names,
        crashed.to_vec(),
        SegmentEnd::Crashed,
    );
    let of = |position: u32, test: usize, outcome| TrialRecord {
        test: names[test].clone(),
        ..trial(position, outcome)
    };
    let cause = |parent, cut, end| Some(Cause { parent, cut, end });
    let after = cause(first, 2, SegmentEnd::Crashed);
    // Broken off by us: the test that was running comes again.
    let aborted = vec![of(0, 2, Outcome::Passed), of(1, 3, Outcome::Aborted)];
    let second = run(
        &it,
        shard,
        after,
        &names[2..],
        aborted,
        SegmentEnd::Interrupted,
    );
    let rest = vec![of(0, 3, Outcome::Passed), of(1, 4, Outcome::Passed)];
    let after = cause(second, 2, SegmentEnd::Interrupted);
    run(&it, shard, after, &names[3..], rest, SegmentEnd::Completed);
    it.wait(it.writer.close_shard(shard, ShardState::Finished))
        .unwrap();

    let all = everything(&it);
    let found: Vec<_> = segments(&all)
        .iter()
        .map(|s| (s.asked.clone(), s.origin, s.died_in))
        .collect();
    assert_eq!(
        found,
        [
            (rows(0..5), Origin::Planned, Some(2)),
            (rows(2..5), Origin::Remainder, None),
            (rows(3..5), Origin::Remainder, None),
        ]
    );
}

#[test]
fn an_order_that_cannot_be_told_is_no_order() {
    let it = Fixture::new(3);
    let names = tests(3);
    let given_up = it.shard(in_order(0, 3));
    let crashed = vec![trial(0, Outcome::Crashed)];
    run(&it, given_up, None, &names, crashed, SegmentEnd::Crashed);
    it.wait(it.writer.close_shard(given_up, ShardState::Abandoned))
        .unwrap();
    // A test that was never started stands at the end, wherever it was asked for.
    let lost = it.shard(in_order(1, 3));
    let mut trials = vec![trial(0, Outcome::Passed), trial(1, Outcome::Passed)];
    trials[1].test = names[2].clone();
    trials.push(TrialRecord {
        test: names[1].clone(),
        started: None,
        duration: None,
        ..trial(2, Outcome::Lost)
    });
    run(&it, lost, None, &names, trials, SegmentEnd::Completed);
    it.wait(it.writer.close_shard(lost, ShardState::Finished))
        .unwrap();
    let all = everything(&it);
    let origins: Vec<_> = segments(&all).iter().map(|s| s.origin).collect();
    assert_eq!(origins, [Origin::Differing, Origin::Differing]);
}

#[test]
fn a_doubled_iteration_asks_for_each_test_once() {
    let it = Fixture::new(2);
    let mut doubled = plan(0, 4);
    doubled.layout.design = Design::Doubled;
    let shard = it.shard(doubled);
    let segment = it.segment(shard, 4);
    let of = |position: u32| TrialRecord {
        test: tests(2)[position as usize / 2].clone(),
        rep: u8::try_from(position % 2).unwrap() + 1,
        ..trial(position, Outcome::Passed)
    };
    it.close(segment, (0..4).map(of).collect()).unwrap();
    it.wait(it.writer.close_shard(shard, ShardState::Finished))
        .unwrap();
    let all = everything(&it);
    let one = segments(&all)[0];
    assert_eq!((one.tests, &one.asked), (2, &rows(0..2)));
    let reps: Vec<u8> = one.trials.iter().map(|t| t.rep).collect();
    assert_eq!(reps, [1, 2, 1, 2]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn looking_often_shows_what_looking_once_does(order in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle(), looks: u8) {
        let it = Fixture::new(2);
        let shards: Vec<i64> = (0..4).flat_map(|i| halves(&it, i, 2 * i)).collect();
        let mut cursor = Cursor::start(suite().id());
        let mut piecewise = Vec::new();
        for (step, place) in order.into_iter().enumerate() {
            finish(&it, shards[place]);
            if looks >> step & 1 == 1 {
                piecewise.extend(observe(&it.reader(), &mut cursor));
            }
        }
        piecewise.extend(observe(&it.reader(), &mut cursor));
        let once = everything(&it);
        prop_assert_eq!(once.len(), 12);
        prop_assert_eq!(piecewise, once);
    }
}
