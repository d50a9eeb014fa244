//! A test that passes alone: something before it, beside it or around it makes it fail.

use super::{BLOCKS, Facts, Plan, SOME_RUNS, at_most, share};
use crate::{
    diagnose::{
        ledger::{Evidence, Family, Posterior},
        observation::Levels,
        question::{Conclusion, Inquiry},
        setup::{Certify, Search, Setup, Stand, Treatment, Wanted},
    },
    model::{Count, Question, Role},
    stats::{BlocksOpening, Cell, Direction, Kind},
};

/// Probability from which a search is worth its executions.
const SEARCH_FROM: f64 = 0.1;
/// Probability from which a number of tests before is put to the test; and where that takes hundreds of tests, which
/// may hold one of many polluters: recorded runs soon tell these apart.
const AMOUNT_FROM: f64 = 0.5;
const DEAR_AMOUNT_FROM: f64 = 0.95;
/// Probability of a predecessor from which a certified position is not the last word.
const GROUP_FROM: f64 = 0.9;
/// Probability of a group where no explanation is left.
const IN_THE_END: f64 = 0.3;
/// Probability from which a cheap experiment is worth it.
const CHEAP_FROM: f64 = 0.05;
/// The same for a level, which takes hundreds of runs where it is not the cause.
const LEVEL_FROM: f64 = 0.15;
/// Probability of "nothing" from which longer isolation comes first.
const NOTHING_FROM: f64 = 0.2;
/// Runs alone in order to see whether it fails alone at its usual rate, at most.
pub(super) const ALONE_MOST: u32 = 300;
/// The same when no more recorded runs are to be expected, and the failures that they would bring.
const ALONE_IN_THE_END: u32 = 500;
const IN_THE_END_ALONE: f64 = 8.0;
/// An experiment with a handful of tests is tried before one with hundreds that is so much likelier to explain.
const WORTH_OF_CHEAP: f64 = 3.0;
/// Failures that certified polluters leave before more of them are searched for: any test has one now and then.
const LEFT: u32 = 2;
/// Failures that its rate without certified polluters would bring before more polluters are searched for.
const GLANCE: f64 = 3.0;
/// Failures that its rate without certified polluters would bring before it is believed not to fail by itself.
pub(super) const SETTLED: f64 = 8.0;
/// The same before a search, at most.
const ALONE_FIRST: u32 = 60;
/// Recorded runs before which one failure is searched for at once.
pub(super) const RUNS_BEFORE_ALONE: u32 = 50;
/// Immediate predecessors of failing runs that are tried when nothing else explains.
const PREDECESSORS: usize = 8;
/// Up to this number of tests before it, the other arm of a position has none.
const FEW: u32 = 3;
/// Beyond it, what part of the number: well below wherever it begins.
const PART_OF_THRESHOLD: u32 = 50;
/// Nats by which a number of tests may explain the failures worse than the best does and still be the one.
const NEAR: f64 = 2.0;
/// Runs with few tests, and as many alone, for each with many: what is cheapest.
const CONTROLS: [u32; 6] = [1, 2, 4, 8, 16, 32];
/// What fails less often with many tests before it would take too many blocks of so many.
const LEAST_RATE: f64 = 0.3;
/// Blocks that it takes when one is enough: some end in vain.
const ONE_BLOCK: f64 = 1.5;
/// Times as many blocks as it takes when all goes well that a position may spend.
const LIMIT_OF_MANY: f64 = 3.0;
/// Blocks that a level may spend: two runs of one test each, and some levels only make failing likelier.
const LEVEL_BLOCKS: u32 = 300;
/// Blocks of a test twice in one process, over the square of the rate: where a doubled run failed, and where none told.
const BLOCKS_OF_SEEN: f64 = 30.0;
const BLOCKS_OF_UNSEEN: f64 = 12.0;
/// Doubled runs of which one failure is no more than a stray one.
const STRAY_SECONDS: u32 = 8;
/// Blocks with a neighbour elsewhere, over the square of the rate that recorded runs suggest: a guess in vain ends soon.
const BLOCKS_BESIDE: f64 = 20.0;
/// Probability of a neighbour elsewhere from which it is tried also where the failures may be strays.
const DISTURBED_FROM: f64 = 0.5;
/// Suspects that fillers leave out.
const AVOID: usize = 40;

/// What to ask next about a test that never failed alone.
pub(super) fn next(facts: &Facts<'_>) -> Option<Plan> {
    if let Some(plan) = twice(facts) {
        return Some(plan);
    }
    if facts.evidence().total.failed == 0 {
        return None;
    }
    if let Some(plan) = facts.certify_found(Wanted::Polluter) {
        return Some(plan);
    }
    if settled_otherwise(facts) {
        return None;
    }
    let polluters = facts.case.groups(Role::Polluter);
    if polluters.is_empty() {
        return hypotheses(facts, facts.evidence(), &polluters);
    }
    if let Some(plan) = twice_unseen(facts) {
        return Some(plan);
    }
    let residual = facts.ledger.residual(facts.victim, &polluters);
    if residual.total.failed > 0 {
        let plan = facts
            .by_itself(&residual, GLANCE, ALONE_FIRST)
            .or_else(|| {
                (residual.total.failed >= LEFT && !facts.are_strays_left(residual.total))
                    .then(|| hypotheses(facts, &residual, &polluters))
                    .flatten()
            })
            .or_else(|| facts.by_itself(&residual, SETTLED, ALONE_MOST));
        if plan.is_some() {
            return plan;
        }
    }
    facts.follow_up(Role::Polluter)
}

impl Facts<'_> {
    /// Some failures are left that certified polluters do not explain: does it fail by itself, as often as that? So
    /// many runs alone as would show `failures` of them, and no more than `most`; all of them where one was seen.
    pub(super) fn by_itself(&self, residual: &Evidence, failures: f64, most: u32) -> Option<Plan> {
        let total = residual.total;
        let rate = (f64::from(total.failed) + 0.5) / (f64::from(total.trials()) + 1.0);
        let runs = if self.case.by_itself().failures > 0 && most == ALONE_MOST {
            most
        } else {
            at_most(failures / rate, most)
        };
        // It ends with each failure, and so once they are certain.
        self.passes_without()
            .then(|| self.alone(runs, 8, 1))
            .flatten()
    }
}

/// Is a cause certified that accounts for its failures without a group before it?
fn settled_otherwise(facts: &Facts<'_>) -> bool {
    let certified = |question| facts.case.certified(question).is_some();
    certified(Question::Environment)
        || certified(Question::Interference)
        || certified(Question::Position) && !facts.group_suspected()
}

impl Facts<'_> {
    /// Position is certified, but recorded runs now speak for tests that ran before.
    fn group_suspected(&self) -> bool {
        self.case.last(any_will_do).is_none()
            && share(&self.posterior(), Family::Predecessor) > GROUP_FROM
    }
}

impl Facts<'_> {
    /// Tries what ran directly before failures and was not tried as often as it did, and nothing else: a few runs of
    /// two tests. `known`: groups that are certified.
    fn directly_before(&self, evidence: &Evidence, known: &[Vec<u32>]) -> Option<Plan> {
        let mut first = direct(self, evidence);
        first.retain(|test| {
            let shots = self.case.shots.iter();
            let tries = shots.filter(|shot| shot.before == [*test]).count();
            tries < evidence.adjacent[test].failed as usize
        });
        let asked = |inquiry: &Inquiry| {
            let search = inquiry.opening.setup.search();
            search.is_some_and(|search| search.first == first)
                && inquiry.opening.seen.failures == self.soak.failures
        };
        if first.is_empty() || self.case.last(asked).is_some() {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let cost = first.len() as f64 * self.cost_of(&first[..1]);
        let search = Search {
            wanted: Wanted::Polluter,
            known: known.to_vec(),
            runs: u32::try_from(first.len()).unwrap_or(u32::MAX),
            executions: u64::MAX,
            open: 0,
            first: first.clone(),
        };
        Some(self.plan(Question::Search, false, Setup::Search(search), cost))
    }
}

/// What ran directly before failures, most often first.
fn direct(facts: &Facts<'_>, evidence: &Evidence) -> Vec<u32> {
    let mut direct: Vec<u32> = Vec::new();
    for (test, cell) in &evidence.adjacent {
        if cell.failed > 0 && facts.universe.present[*test as usize] {
            direct.push(*test);
        }
    }
    direct.sort_by_key(|test| {
        let cell = evidence.adjacent[test];
        (std::cmp::Reverse(cell.failed), cell.passed, *test)
    });
    direct.truncate(PREDECESSORS);
    direct
}

/// Doubled runs: passes first, fails second.
pub(super) fn twice(facts: &Facts<'_>) -> Option<Plan> {
    let asked = |inquiry: &Inquiry| inquiry.question == Question::Twice;
    let done =
        facts.case.certified(Question::Twice).is_some() || facts.case.asked(facts.soak, asked);
    // Any test may fail once, and so the second time.
    let second = facts.evidence().second;
    let seldom = second.failed == 1 && second.trials() >= STRAY_SECONDS && facts.are_strays();
    (second.failed > 0 && !seldom && !done).then(|| again_in_one_process(facts, BLOCKS_OF_SEEN))
}

/// A victim whose polluters are certified, and of which no doubled run told anything: where it failed first, a
/// polluter had run before, or there was none. What it leaves behind may make itself fail as well.
fn twice_unseen(facts: &Facts<'_>) -> Option<Plan> {
    let asked = |inquiry: &Inquiry| inquiry.question == Question::Twice;
    let will_tell = !facts.pressing && !facts.ledger.has_doubled();
    let unseen = facts.evidence().second.trials() == 0 && facts.case.last(asked).is_none();
    (unseen && !will_tell).then(|| again_in_one_process(facts, BLOCKS_OF_UNSEEN))
}

/// Blocks of the test twice in one process, at most `blocks` over the square of the rate that is expected.
fn again_in_one_process(facts: &Facts<'_>, blocks: f64) -> Plan {
    let second = facts.evidence().second;
    let alone = facts.case.alone;
    #[expect(clippy::cast_precision_loss, reason = "a few hundred runs")]
    let control = (alone.failures as f64 + 0.1) / (alone.trials as f64 + 2.0);
    let treated = (f64::from(second.failed) + 1.0) / (f64::from(second.trials()) + 1.3);
    let treated = treated.clamp(0.3, 0.98);
    let pool = facts.pool(&[facts.victim], false);
    facts.plan(
        Question::Twice,
        true,
        Setup::Blocks(Certify {
            treatment: Treatment::Twice,
            before: Vec::new(),
            pool,
            decoys: Stand::ForAll,
            blocks: BlocksOpening {
                limit: at_most(blocks / (treated * treated), BLOCKS),
                ..facts.blocks(
                    Kind::ThreeArm,
                    Direction::Fails,
                    treated,
                    control.clamp(0.01, 0.9),
                )
            },
        }),
        7.0 * 5.0 * facts.cost_of(&[]),
    )
}

/// Explanations by probability; the first that was not tried on like data.
fn hypotheses(facts: &Facts<'_>, evidence: &Evidence, polluters: &[Vec<u32>]) -> Option<Plan> {
    let posterior = facts.posterior();
    if let Some(plan) = amount(facts) {
        return Some(plan);
    }
    if polluters.is_empty() {
        if let Some(plan) = nobody_first(facts, &posterior) {
            return Some(plan);
        }
        if facts.are_strays() {
            let disturbed = share(&posterior, Family::Overlap) > DISTURBED_FROM;
            let beside = || disturbed.then(|| beside(facts, &posterior)).flatten();
            return facts.directly_before(evidence, &[]).or_else(beside);
        }
    }
    let predecessor = share(&posterior, Family::Predecessor) + share(&posterior, Family::Many);
    let position = share(&posterior, Family::Position);
    let rest = !polluters.is_empty();
    let few_before = posterior
        .best
        .position
        .is_none_or(|threshold| threshold <= FEW);
    // Where how much ran before is likelier, recorded runs will tell.
    let will_tell = |share: f64| !rest && !facts.pressing && share < position;
    let searchable = |share: f64| share >= SEARCH_FROM && !will_tell(share);
    let mut ideas: Vec<(f64, Idea)> = vec![
        (if rest { 1.0 } else { predecessor }, Idea::Search),
        (if rest { 1.0 } else { predecessor }, Idea::Reduce),
        (share(&posterior, Family::Environment), Idea::Level),
        (share(&posterior, Family::Adjacent), Idea::Adjacent),
        (share(&posterior, Family::Overlap), Idea::Beside),
        (share(&posterior, Family::Position), Idea::Amount),
        (
            share(&posterior, Family::Nothing) + share(&posterior, Family::Number),
            Idea::Alone,
        ),
    ];
    // So many tests hold one of many polluters too, and would fail just as well.
    let or_many = !few_before && share(&posterior, Family::Many) > CHEAP_FROM;
    let worth = |(share, idea): &(f64, Idea)| match idea {
        Idea::Level | Idea::Adjacent | Idea::Beside | Idea::Alone => WORTH_OF_CHEAP * share,
        Idea::Search if or_many => share + position,
        Idea::Search | Idea::Reduce | Idea::Amount => *share,
    };
    ideas.sort_by(|a, b| worth(b).total_cmp(&worth(a)));
    let mut plans = ideas.into_iter().filter_map(|(share, idea)| match idea {
        Idea::Search if searchable(share) => {
            facts.search(Wanted::Polluter, polluters.to_vec(), Vec::new(), share)
        }
        Idea::Reduce if searchable(share) => reduce_searched(facts, evidence, polluters, share),
        Idea::Adjacent if share >= CHEAP_FROM => {
            let best = posterior.best.adjacent?;
            facts.search(Wanted::Polluter, polluters.to_vec(), vec![best], 1.0)
        }
        Idea::Level if share >= LEVEL_FROM => level(facts, &posterior),
        Idea::Beside if share >= CHEAP_FROM => beside(facts, &posterior),
        Idea::Amount => {
            let threshold = posterior.best.position?;
            let soon = few_before || facts.pressing;
            let from = if soon { AMOUNT_FROM } else { DEAR_AMOUNT_FROM };
            (share >= from).then(|| many(facts, threshold))?
        }
        Idea::Alone if share >= NOTHING_FROM => longer_alone(facts, evidence),
        Idea::Search | Idea::Reduce | Idea::Adjacent | Idea::Level | Idea::Beside | Idea::Alone => {
            None
        }
    });
    let Some(first) = plans.next() else {
        return last_resorts(facts, evidence, polluters, will_tell(predecessor));
    };
    if !facts.can_wait(&first) {
        return Some(first);
    }
    // What need not wait for more recorded runs goes first.
    plans.find(|plan| !facts.can_wait(plan)).or(Some(first))
}

/// A search runs hundreds of tests: where nobody may be to blame, first see whether it fails alone.
fn nobody_first(facts: &Facts<'_>, posterior: &Posterior) -> Option<Plan> {
    let nobody = [Family::Nothing, Family::Number, Family::Circumstance];
    let nobody: f64 = nobody.iter().map(|family| share(posterior, *family)).sum();
    let total = facts.evidence().total;
    let seldom = total.failed >= 2 || total.trials() >= RUNS_BEFORE_ALONE;
    if nobody < NOTHING_FROM || !seldom {
        return None;
    }
    facts.alone(at_most(2.0 / facts.rate(), ALONE_FIRST), 8, 1)
}

/// An explanation to try.
#[derive(Clone, Copy, Debug)]
enum Idea {
    Search,
    Reduce,
    Level,
    Adjacent,
    Beside,
    Amount,
    Alone,
}

/// When no explanation is left: what ran directly before failures and whoever a search finds then, longer isolation, a
/// reduction, which is dear. `will_tell`: will recorded runs tell more cheaply?
fn last_resorts(
    facts: &Facts<'_>,
    evidence: &Evidence,
    polluters: &[Vec<u32>],
    will_tell: bool,
) -> Option<Plan> {
    let few_failures = evidence.total.failed < 2;
    let waits = will_tell && facts.soak.trials >= SOME_RUNS;
    let pairs = || {
        if waits {
            return facts.directly_before(evidence, polluters);
        }
        let direct = direct(facts, evidence);
        let search = |first| facts.search(Wanted::Polluter, polluters.to_vec(), first, 1.0);
        (!direct.is_empty()).then(|| search(direct))?
    };
    (!few_failures)
        .then(pairs)
        .flatten()
        .or_else(|| longer_alone(facts, evidence))
        .or_else(|| {
            let worth_it = facts.pressing || !few_failures && !waits;
            worth_it.then(|| reduce_searched(facts, evidence, polluters, IN_THE_END))?
        })
}

/// A reduction, once a search found nothing.
fn reduce_searched(
    facts: &Facts<'_>,
    evidence: &Evidence,
    polluters: &[Vec<u32>],
    chance: f64,
) -> Option<Plan> {
    let searched = |inquiry: &Inquiry| matches!(&inquiry.opening.setup, Setup::Search(it) if it.wanted == Wanted::Polluter);
    facts.case.last(searched)?;
    facts.reduce(evidence, false, polluters.len(), chance)
}

/// Longer isolation: would it have failed alone by now, were its usual rate that of failing alone?
fn longer_alone(facts: &Facts<'_>, evidence: &Evidence) -> Option<Plan> {
    let rate =
        (f64::from(evidence.total.failed) + 0.5) / (f64::from(evidence.total.trials()) + 1.0);
    let most = if facts.pressing {
        at_most(IN_THE_END_ALONE / rate, ALONE_IN_THE_END)
    } else {
        at_most(3.0 / rate, ALONE_MOST)
    };
    facts.alone(most, 8, 1)
}

/// Did a supposed polluter do no more than its decoys?
fn any_will_do(inquiry: &Inquiry) -> bool {
    inquiry.question == Question::Polluter
        && matches!(inquiry.conclusion, Some(Conclusion::OnlyAmount(_)))
}

/// A group beat nothing but not its decoys: it is how much ran.
fn amount(facts: &Facts<'_>) -> Option<Plan> {
    let only_amount = facts.case.last(any_will_do)?;
    let size = only_amount.treated_group().map_or(1, <[u32]>::len);
    many(facts, u32::try_from(size).unwrap_or(1))
}

/// Blocks of many fillers against few.
fn many(facts: &Facts<'_>, threshold: u32) -> Option<Plan> {
    let asked = |inquiry: &Inquiry| {
        inquiry.opening.setup.certify().is_some_and(|certify| {
            matches!(certify.treatment, Treatment::Many { many, .. } if many >= threshold)
        })
    };
    if facts.case.asked(facts.soak, asked) {
        return None;
    }
    let known = facts.case.groups(Role::Polluter).concat();
    let suspicion = facts.passive(&Search {
        wanted: Wanted::Polluter,
        known: Vec::new(),
        first: Vec::new(),
        runs: 0,
        executions: 0,
        open: 0,
    });
    let mut ranked: Vec<(f64, u32)> = suspicion
        .weights
        .into_iter()
        .zip(0..)
        .filter(|(weight, _)| *weight > 0.0)
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut avoid = known;
    let present = facts.universe.present.iter().filter(|here| **here).count();
    let wanted = enough(facts, threshold);
    // So many fillers hold many a group too: recorded runs must speak against those.
    let leads = facts.position_leads();
    if threshold > FEW && !leads {
        let posterior = facts.posterior();
        let group = share(&posterior, Family::Predecessor) + share(&posterior, Family::Many);
        // Fillers drawn anew seldom hold a group that is needed together, where they are far from all tests.
        let total = u32::try_from(present).unwrap_or(u32::MAX);
        let tells = facts.pressing && wanted <= total / 2;
        if !tells {
            return (group >= SEARCH_FROM)
                .then(|| facts.reduce(facts.evidence(), false, 0, group))
                .flatten();
        }
    }
    let spare = present.saturating_sub(wanted as usize + 1).min(AVOID);
    avoid.extend(ranked.iter().take(spare).map(|(_, test)| *test));
    avoid.sort_unstable();
    avoid.dedup();
    let left = u32::try_from(present.saturating_sub(avoid.len() + 1)).unwrap_or(u32::MAX);
    let many = wanted.min(left);
    if many < threshold || many == 0 {
        return None;
    }
    let high = high_rate(facts, threshold);
    if threshold > FEW && high < LEAST_RATE {
        return None;
    }
    let few = if threshold <= FEW {
        0
    } else {
        (threshold / PART_OF_THRESHOLD).max(1)
    };
    // What recorded runs show need not be shown again: a bet against every single test. Where they do not speak
    // against two of them together, it stays open.
    let ln_e_before = if threshold > FEW && leads {
        facts.ledger.ln_e_of_rank(facts.victim).max(0.0)
    } else {
        0.0
    };
    let seconds_of = |controls: u32| {
        let fillers = f64::from(many + controls * few) * facts.mean_seconds();
        let runs = f64::from(1 + 2 * controls) * facts.cost_of(&[]);
        fillers + runs
    };
    let missing = facts.policy.certify.ln() - ln_e_before;
    let blocks_of = |controls: u32| blocks_of_many(high, controls, missing);
    let cost_of = |controls: u32| blocks_of(controls) * seconds_of(controls);
    let cheaper = |a: &u32, b: &u32| cost_of(*a).total_cmp(&cost_of(*b));
    let controls = CONTROLS.into_iter().min_by(cheaper).unwrap_or(1);
    let controls = if threshold <= FEW { 1 } else { controls };
    let cost = cost_of(controls);
    let plan = facts.plan(
        Question::Position,
        true,
        Setup::Blocks(Certify {
            treatment: Treatment::Many { many, few, avoid },
            before: Vec::new(),
            pool: Vec::new(),
            decoys: Stand::ForAll,
            // Many fillers may hold a group by chance: what they do must be as sure as in the recorded runs.
            blocks: BlocksOpening {
                limit: at_most(LIMIT_OF_MANY * blocks_of(controls), BLOCKS),
                controls,
                ln_e_before,
                ..facts.blocks(Kind::ThreeArm, Direction::Fails, high, 0.01)
            },
        }),
        cost,
    );
    let falls = if threshold > FEW && blocks_of(controls) > ONE_BLOCK {
        cost
    } else {
        0.0
    };
    Some(plan.falling(falls))
}

/// Blocks that a position takes, about, when it shows at rate `high` and never in so many controls of each kind: the
/// nats that are `missing` over those of a block that bets on these rates against the same one in all arms.
fn blocks_of_many(high: f64, controls: u32, missing: f64) -> f64 {
    let controls = f64::from(controls);
    let pooled = high / (1.0 + controls);
    let growth = high * (high / pooled).ln() + (1.0 - high) * ((1.0 - high) / (1.0 - pooled)).ln()
        - controls * (-pooled).ln_1p();
    (missing / growth).max(1.0) + ONE_BLOCK - 1.0
}

/// How many fillers make it fail, if their number decides: as many as ran before the earliest failure that was none of
/// the stray ones. With more, fillers would hold any group as well.
fn enough(facts: &Facts<'_>, threshold: u32) -> u32 {
    if threshold <= FEW {
        return threshold;
    }
    let runs = &facts.evidence().runs;
    let failures = runs.iter().filter(|run| run.failed && run.rank > 0);
    let scored: Vec<(u32, f64)> = failures
        .map(|failure| {
            let mut late = Cell::default();
            let and_later = runs.iter().filter(|run| run.rank >= failure.rank);
            and_later.for_each(|run| late.add(run.failed));
            let early = facts.evidence().total.without(late);
            (failure.rank, facts.tables.ln_bf(late, early))
        })
        .collect();
    let best = scored
        .iter()
        .map(|(_, score)| *score)
        .fold(f64::MIN, f64::max);
    let near = scored.iter().filter(|(_, score)| *score >= best - NEAR);
    near.map(|(rank, _)| *rank)
        .max()
        .unwrap_or(threshold)
        .max(threshold)
}

/// The rate of failing among recorded runs with at least this many tests before.
fn high_rate(facts: &Facts<'_>, threshold: u32) -> f64 {
    let (mut failed, mut all) = (0.5, 0.7);
    for run in &facts.evidence().runs {
        if run.rank >= threshold {
            failed += f64::from(u8::from(run.failed));
            all += 1.0;
        }
    }
    f64::clamp(failed / all, 0.2, 0.98)
}

/// Blocks of a level against another one.
pub(super) fn level(facts: &Facts<'_>, posterior: &Posterior) -> Option<Plan> {
    let (factor, level) = posterior.best.level.clone()?;
    let (name, levels) = facts.settable(factor)?;
    let Levels::Listed(levels) = levels else {
        return None;
    };
    let other = other_level(facts, factor, &level, levels)?;
    let cells = &facts.evidence().levels;
    let (mut with, mut without) = (Count::default(), Count::default());
    for cell in cells.iter().filter(|cell| cell.factor == factor) {
        let side = if cell.level == level {
            &mut with
        } else {
            &mut without
        };
        side.failures += u64::from(cell.cell.failed);
        side.trials += u64::from(cell.cell.trials());
    }
    certify_level(facts, name, &level, &other, with, without)
}

/// The most probable level besides `level` that failed least.
fn other_level(
    facts: &Facts<'_>,
    factor: u16,
    level: &str,
    levels: &[(String, f64)],
) -> Option<String> {
    let rate = |name: &str| {
        let cell = facts
            .evidence()
            .levels
            .iter()
            .find(|cell| cell.factor == factor && &*cell.level == name)
            .map(|cell| cell.cell)
            .unwrap_or_default();
        (f64::from(cell.failed) + 0.5) / (f64::from(cell.trials()) + 1.0)
    };
    levels
        .iter()
        .filter(|(name, _)| name != level)
        .min_by(|a, b| rate(&a.0).total_cmp(&rate(&b.0)))
        .map(|(name, _)| name.clone())
}

/// Blocks of a level, given failures at it and at others.
pub(super) fn certify_level(
    facts: &Facts<'_>,
    factor: &str,
    level: &str,
    other: &str,
    with: Count,
    without: Count,
) -> Option<Plan> {
    let asked = |inquiry: &Inquiry| {
        inquiry.opening.setup.certify().is_some_and(|certify| {
            matches!(
                &certify.treatment,
                Treatment::Level { factor: f, level: l, .. } if f == factor && l == level
            )
        })
    };
    if facts.case.asked(facts.soak, asked) {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of runs")]
    let rate =
        |count: Count, more: f64| (count.failures as f64 + more) / (count.trials as f64 + 1.0);
    let treated = rate(with, 0.7).clamp(0.1, 0.98);
    let control = rate(without, 0.05).clamp(0.01, 0.9);
    let gap = (treated - control).max(0.1);
    let blocks = facts.blocks(Kind::TwoArm, Direction::Fails, treated, control);
    Some(facts.plan(
        Question::Environment,
        true,
        Setup::Blocks(Certify {
            treatment: Treatment::Level {
                factor: factor.to_owned(),
                level: level.to_owned(),
                other: other.to_owned(),
                held: Vec::new(),
            },
            before: Vec::new(),
            pool: Vec::new(),
            decoys: Stand::ForAll,
            blocks: BlocksOpening {
                limit: LEVEL_BLOCKS,
                ..blocks
            },
        }),
        7.0 / (gap * gap) * 2.0 * facts.cost_of(&[]),
    ))
}

/// Blocks with a test elsewhere at the same time.
pub(super) fn beside(facts: &Facts<'_>, posterior: &Posterior) -> Option<Plan> {
    let test = posterior.best.overlap?;
    let asked = |inquiry: &Inquiry| {
        inquiry.question == Question::Interference && inquiry.treated_group() == Some(&[test][..])
    };
    if !facts.universe.present[test as usize] || facts.case.asked(facts.soak, asked) {
        return None;
    }
    let cell = facts
        .evidence()
        .overlap
        .get(test as usize)
        .copied()
        .unwrap_or_default();
    let treated = (f64::from(cell.failed) + 1.0) / (f64::from(cell.trials()) + 1.5);
    let treated = treated.clamp(0.2, 0.98);
    let pool = facts.pool(&[test], false);
    let neighbours = 20.0 * facts.cost_of(&[test]);
    let plan = facts.plan(
        Question::Interference,
        true,
        Setup::Blocks(Certify {
            treatment: Treatment::Beside(test),
            before: Vec::new(),
            pool,
            decoys: Stand::ForAll,
            blocks: BlocksOpening {
                limit: at_most(BLOCKS_BESIDE / (treated * treated), BLOCKS),
                ..facts.blocks(Kind::ThreeArm, Direction::Fails, treated, 0.02)
            },
        }),
        neighbours + 30.0 * facts.cost_of(&[]),
    );
    let chance = share(posterior, Family::Overlap);
    // Nobody waits for the cheap ones; some neighbours last as long as hundreds of tests.
    Some(plan.falling(neighbours).with_chance(chance))
}
