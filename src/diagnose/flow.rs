//! Which question to ask next about one test, from the recorded evidence and from what was answered so far. Nothing
//! is remembered here: after a kill the same answers lead to the same place.
//!
//! The order follows what is cheap and decisive: the test alone first; then what its failures alone, sometimes, never
//! or always mean; a search; a certificate; then whether failures remain that the certificates do not explain.

mod blame;
mod brittle;
mod coin;
mod group;
mod order;

use std::cell::OnceCell;

use super::{
    analyst::Policy,
    case::Case,
    ledger::{Active, Evidence, Family, Ledger, Posterior},
    observation::{Levels, Universe},
    question::{Conclusion, Inquiry, Ranking},
    ranking,
    setup::{Alone, Certify, Opening, Replay, Search, Setup, Stand, Treatment, Wanted},
    strays::Strays,
};
use crate::{
    model::{Count, Question},
    stats::{BlocksOpening, Cell, Direction, Kind, Tables, special::real},
};

pub(crate) use coin::FACT;

/// Runs alone before anything else is asked.
pub(crate) const FIRST_ALONE: u32 = 4;
/// Probes of a search and of the certificate that follows it, when all goes well.
const CERTIFICATE: f64 = 24.0;
/// Probes from which a search is no short one.
const THOROUGH: u32 = 60;
/// Probes of a search before the first reduction, and for each halving of what is open: a cause that is sure takes two.
const SHORT: f64 = 12.0;
const RUNS_PER_HALVING: f64 = 8.0;
/// One failure more for so many is news: a cheap search is repeated then.
const NEWS: u64 = 4;
/// Times as many candidates as it leaves that a search began with, if it goes on though nothing failed since.
const GOT_ON: u32 = 2;
/// Probability of the whole family from which a search that ended by its limit goes on, and how often it may.
const LIKELY: f64 = 0.7;
const GOES_ON: u64 = 3;
/// Executions that a short search may take for each candidate that is open, if the cause is sure, and beside those.
const EXECUTIONS_PER_OPEN: f64 = 2.5;
const FEW_EXECUTIONS: u64 = 60;
/// Times as many for a cleaner, of which each polluter that does not always act hides half.
const SHORT_FOR_CLEANER: f64 = 3.0;
/// Candidates up to which a short search allows for a cause that does not always show ...
const ONE_OF_FEW: f64 = 16.0;
/// ... but shows at least so often.
const SELDOM: f64 = 0.25;
/// Candidates up to which a search is repeated though nothing failed since.
const CHEAP: f64 = 50.0;
/// Recorded runs from which what is dear waits for more of them, where searches were in vain: until then hardly any
/// cause that acts seldom has shown.
const SOME_RUNS: u64 = 25;
/// Certifications that may fail before a test waits until its data have doubled.
const ATTEMPTS: usize = 3;
/// Certified groups any of which suffices, from which on further ones are counted only.
const ALTERNATIVES: usize = 5;
/// Tests that may be needed together; of more, chance kept most.
const LARGEST_GROUP: usize = 6;
/// Blocks that a certification may spend.
const BLOCKS: u32 = 120;

/// Probability that failures that came together once come of their order.
const ONE_ORDER: f64 = 0.02;

/// A question to open.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// Its kind.
    pub(crate) question: Question,
    /// Does it count as an attempt to certify?
    pub(crate) attempt: bool,
    /// How it is opened.
    pub(crate) opening: Opening<u32>,
    /// What it will take, in seconds, roughly.
    pub(crate) cost: f64,
    /// How much of that falls as recorded runs come in.
    pub(crate) falls: f64,
    /// Probability that there is anything to be found, `0.0..=1.0`.
    pub(crate) chance: f64,
}

impl Plan {
    /// The same, of which so many seconds are for what recorded runs leave open.
    fn falling(self, falls: f64) -> Self {
        Self { falls, ..self }
    }

    /// The same with a probability that there is anything to be found.
    fn with_chance(self, chance: f64) -> Self {
        Self { chance, ..self }
    }

    /// Is most of it for what recorded runs leave open, and more than it may cost by now? `patience`: seconds that a
    /// sure find may cost.
    pub(crate) fn can_wait(&self, patience: f64) -> bool {
        self.falls > (self.cost - self.falls).max(patience * self.chance)
    }
}

/// All that the flow looks at.
pub(crate) struct Facts<'a> {
    /// The tests.
    pub(crate) universe: &'a Universe,
    /// What may be spent.
    pub(crate) policy: &'a Policy,
    /// The recorded runs.
    pub(crate) ledger: &'a Ledger,
    /// Tables for Bayes factors.
    pub(crate) tables: &'a Tables,
    /// Tests that killed a process in a probe.
    pub(crate) deadly: &'a [bool],
    /// Polluters that are certified for other tests, by how many they pollute, most first.
    pub(crate) notorious: &'a [u32],
    /// The test in question.
    pub(crate) victim: u32,
    /// What was asked about it.
    pub(crate) case: &'a Case,
    /// Ordinary runs and second runs together.
    pub(crate) soak: Count,
    /// How often other tests fail for no reason of their own.
    pub(crate) strays: OnceCell<Strays>,
    /// Seconds that a question may cost by now that more recorded runs would make cheaper.
    pub(crate) patience: f64,
    /// Is it to be answered now, whatever that costs? More recorded runs are not to be expected.
    pub(crate) pressing: bool,
}

impl<'a> Facts<'a> {
    /// Returns what to ask next; `None` while there is nothing.
    pub(crate) fn next(&self) -> Option<Plan> {
        if !self.universe.present[self.victim as usize] {
            return None;
        }
        if let Some(plan) = self.replay() {
            return Some(plan);
        }
        if self.waits_for_replay() {
            return None;
        }
        let alone = self.case.alone;
        if alone.trials < u64::from(FIRST_ALONE) {
            return self.alone(FIRST_ALONE, FIRST_ALONE, FIRST_ALONE);
        }
        if let Some(plan) = self.alone_since_change() {
            return Some(plan);
        }
        if alone.failures == alone.trials {
            brittle::next(self)
        } else if alone.failures > 0 {
            coin::next(self)
        } else {
            order::next(self)
        }
    }

    /// The order up to a failure once more, where that is to show whether the machine was to blame.
    fn replay(&self) -> Option<Plan> {
        let awaited = self.ledger.awaited(self.victim)?;
        let (segment, times) = awaited.replay?;
        let (iteration, order, levels) = self.ledger.order_of(segment, self.victim);
        let factors = levels.iter().filter_map(|(factor, level)| {
            let (name, _) = self.settable(*factor)?;
            Some((name.to_owned(), level.to_string()))
        });
        let before: Vec<u32> = order.iter().map(|(test, _)| *test).collect();
        let cost = f64::from(times) * self.cost_of(&before);
        let replay = Replay {
            iteration,
            order,
            factors: factors.collect(),
            times,
        };
        let plan = self.plan(Question::Repeat, false, Setup::Replay(replay), cost);
        // What fails again elsewhere was no burst, and what never does needs no replay.
        let chance = if awaited.recurred { 1.0 } else { ONE_ORDER };
        Some(plan.falling(cost).with_chance(chance))
    }

    /// Does what is known of the test depend on a replay that is still to come?
    pub(crate) fn waits_for_replay(&self) -> bool {
        self.ledger.is_waiting(self.victim)
    }

    /// Is this better asked later?
    fn can_wait(&self, plan: &Plan) -> bool {
        !self.pressing && plan.can_wait(self.patience)
    }

    /// How often failures come to other tests than this one for no reason of their own.
    pub(crate) fn strays(&self) -> Strays {
        *self.strays.get_or_init(|| {
            let mut quiet = self.ledger.all_trials();
            let mut others = Vec::new();
            for test in self.ledger.suspects() {
                let soak = self.ledger.soak(test);
                quiet = quiet.saturating_sub(soak.trials);
                if test != self.victim {
                    others.push(soak);
                }
            }
            Strays::learn(&others, quiet, self.ledger.held_of_a_few())
        })
    }

    /// The evidence of the victim.
    fn evidence(&self) -> &'a Evidence {
        self.ledger.evidence(self.victim)
    }

    /// Did it run often and fail no more often than any test does for no reason of its own? Then it is not searched
    /// for culprits until it fails again.
    fn are_strays(&self) -> bool {
        self.evidence().total.trials() >= order::RUNS_BEFORE_ALONE
            && self
                .strays()
                .explain(self.ledger.soak(self.victim), self.case.alone)
    }

    /// Are the failures that certified causes leave no more than any test has for no reason of its own?
    fn are_strays_left(&self, left: Cell) -> bool {
        let left = Count {
            failures: left.failed.into(),
            trials: left.trials().into(),
        };
        self.strays().explain(left, self.case.by_itself())
    }

    /// The share of its recorded runs that fail, smoothed; second runs are not among them.
    fn rate(&self) -> f64 {
        let total = self.evidence().total;
        (f64::from(total.failed) + 0.5) / (f64::from(total.trials()) + 1.0)
    }

    /// The victim alone until `runs` runs are known of in all.
    fn alone(&self, runs: u32, batch: u32, failures: u32) -> Option<Plan> {
        let known = u32::try_from(self.case.alone.trials).unwrap_or(u32::MAX);
        let runs = runs.saturating_sub(known);
        let impossible = |inquiry: &Inquiry| {
            inquiry.question == Question::Isolate
                && inquiry.conclusion == Some(Conclusion::Impossible)
        };
        if runs == 0 || self.case.asked(self.soak, impossible) {
            return None;
        }
        Some(self.plan(
            Question::Isolate,
            false,
            Setup::Alone(Alone {
                runs,
                batch,
                failures,
            }),
            f64::from(runs) * self.cost_of(&[]),
        ))
    }

    fn plan(&self, question: Question, attempt: bool, setup: Setup<u32>, cost: f64) -> Plan {
        Plan {
            question,
            attempt,
            opening: Opening {
                seen: self.soak,
                setup,
            },
            cost,
            falls: 0.0,
            chance: 1.0,
        }
    }

    /// Seconds of one probe with these tests before the victim.
    fn cost_of(&self, before: &[u32]) -> f64 {
        let seconds = |test: u32| f64::from(self.universe.seconds[test as usize]);
        before.iter().map(|test| seconds(*test)).sum::<f64>()
            + seconds(self.victim)
            + self.policy.container_seconds
    }

    /// How long a test takes on average.
    fn mean_seconds(&self) -> f64 {
        let seconds = &self.universe.seconds;
        #[expect(clippy::cast_precision_loss, reason = "a number of tests")]
        let count = seconds.len().max(1) as f64;
        seconds.iter().copied().map(f64::from).sum::<f64>() / count
    }

    /// The ranking of a search by all that is known now.
    fn ranking(&self, search: &Search<u32>) -> Ranking {
        ranking::Source {
            universe: self.universe,
            ledger: self.ledger,
            tables: self.tables,
            victim: self.victim,
            shots: &self.case.shots,
        }
        .rank(search)
    }

    /// Probes as counters, for the tournament.
    fn active(&self) -> Active {
        let mut active = Active {
            before: vec![Cell::default(); self.universe.names.len()],
            ..Active::default()
        };
        for shot in self.case.shots.iter().filter(|shot| shot.plain) {
            active.total.add(shot.failed);
            if shot.before.is_empty() {
                active.alone.add(shot.failed);
            }
            for test in &shot.before {
                active.before[*test as usize].add(shot.failed);
            }
        }
        active
    }

    pub(crate) fn posterior(&self) -> Posterior {
        self.ledger.posterior(self.victim, &self.active())
    }

    /// A search for one more polluter or state-setter, unless the same search found nothing on like data. `chance`:
    /// the probability that there is one, as far as other explanations leave room for it.
    fn search(
        &self,
        wanted: Wanted,
        known: Vec<Vec<u32>>,
        first: Vec<u32>,
        chance: f64,
    ) -> Option<Plan> {
        let again = |inquiry: &Inquiry| {
            inquiry.opening.setup.search().is_some_and(|search| {
                search.wanted == wanted
                    && search.known.len() == known.len()
                    && (first.is_empty() || search.first == first)
                    && inquiry.conclusion == Some(Conclusion::NotFound)
            })
        };
        let named_enough = wanted != Wanted::Cleaner && known.len() >= ALTERNATIVES;
        if named_enough || self.failed_attempts(wanted) >= ATTEMPTS {
            return None;
        }
        let reduced = self.was_reduced(wanted == Wanted::Setter);
        let last = self.case.last(again).filter(|last| {
            let was_short = last
                .opening
                .setup
                .search()
                .is_some_and(|search| search.runs < THOROUGH);
            !(reduced && was_short && wanted != Wanted::Cleaner)
        });
        let soon = last.is_some_and(|last| !Case::is_old(last, self.soak));
        // Passes alone make the same search cheaper, but say little new about who it is.
        let no_news =
            last.is_some_and(|last| self.soak.failures < 2 * last.opening.seen.failures.max(1));
        let has_news = last.is_some_and(|last| {
            NEWS * self.soak.failures >= (NEWS + 1) * last.opening.seen.failures.max(NEWS)
        });
        let first = if first.is_empty() && wanted == Wanted::Polluter {
            self.notorious_first()
        } else {
            first
        };
        let tests = self.universe.present.iter().filter(|here| **here).count();
        let (runs, share) = match self.soak.failures {
            0..=2 => (60, 1),
            3..=5 => (120, 2),
            _ => (250, 3),
        };
        // Whatever is known already, one more of the kind is worth less.
        let groups = known.len();
        let mut search = Search {
            wanted,
            known,
            first,
            runs,
            // A sure polluter is found within as many as ran before one failure; the rest is for noise.
            executions: share * tests as u64 + 200,
            open: 0,
        };
        let ranking = self.ranking(&search);
        let left_open = left_open(&ranking);
        search.open = at_most(left_open, u32::MAX);
        // One that left far less open than it began with was on its way.
        let got_on = last
            .and_then(|last| last.opening.setup.search())
            .is_some_and(|last| GOT_ON * search.open <= last.open);
        // One that ended by its limit alone is cheaper than what comes next.
        let goes_on = wanted == Wanted::Polluter
            && !ranking.singles_refuted
            && ranking.family >= LIKELY
            && self.in_vain(wanted) < GOES_ON;
        if soon && !has_news && !got_on && !goes_on {
            return None;
        }
        if (no_news || soon) && left_open > CHEAP {
            return None;
        }
        // A single one that is sure shows soon; otherwise several may be needed together: a failing order will tell.
        if wanted == Wanted::Cleaner {
            search.runs = at_most(SHORT_FOR_CLEANER * (SHORT / 2.0 + left_open.log2()), runs);
        } else if !reduced {
            let cap = SHORT + RUNS_PER_HALVING * left_open.log2();
            let rate = if left_open <= ONE_OF_FEW {
                self.rate_after_best(wanted).clamp(SELDOM, 1.0)
            } else {
                1.0
            };
            search.runs = at_most(cap / rate, runs);
            let executions = at_most(EXECUTIONS_PER_OPEN * left_open / rate, u32::MAX);
            let executions = u64::from(executions) + FEW_EXECUTIONS;
            search.executions = search.executions.min(executions);
        }
        // A search halves the mass, so it runs about as many tests as are open for each of several alike; more where
        // there is nothing to be found.
        let chance = chance.min(ranking.family) / (1.0 + real(groups as u64));
        let executions =
            left_open / ranking.count.max(1.0) * (chance + (1.0 - chance) * EXECUTIONS_PER_OPEN);
        let falls = executions * self.mean_seconds();
        let cost = falls + CERTIFICATE * self.cost_of(&[]);
        let plan = self.plan(Question::Search, false, Setup::Search(search), cost);
        Some(plan.falling(falls).with_chance(chance))
    }

    /// How often recorded runs showed the effect where the likeliest cause had run.
    fn rate_after_best(&self, wanted: Wanted) -> f64 {
        let best = self.posterior().best;
        let cell = |test: Option<u32>| {
            test.map_or_else(Cell::default, |test| self.evidence().before[test as usize])
        };
        let cell = match wanted {
            Wanted::Polluter | Wanted::Cleaner => cell(best.predecessor),
            Wanted::Setter => cell(best.setter).swapped(),
        };
        (f64::from(cell.failed) + 1.0) / (f64::from(cell.trials()) + 1.0)
    }

    /// Searches that found nobody.
    fn in_vain(&self, wanted: Wanted) -> u64 {
        let in_vain = self.case.closed.iter().filter(|inquiry| {
            let search = inquiry.opening.setup.search();
            search.is_some_and(|search| search.wanted == wanted)
                && inquiry.conclusion == Some(Conclusion::NotFound)
        });
        in_vain.count() as u64
    }

    /// Certifications of what a search found that did not hold, on data like those of now.
    fn failed_attempts(&self, wanted: Wanted) -> usize {
        let question = wanted.certified_as();
        let attempts = self.case.closed.iter().filter(|inquiry| {
            inquiry.question == question
                && !matches!(inquiry.conclusion, Some(Conclusion::Certified(_)))
                && !Case::is_old(inquiry, self.soak)
        });
        attempts.count()
    }

    /// Polluters of other tests that ran before a failure of this one and were not tried by themselves yet.
    fn notorious_first(&self) -> Vec<u32> {
        let before = &self.evidence().before;
        self.notorious
            .iter()
            .copied()
            .filter(|test| {
                let cell = before[*test as usize];
                let tried = self.case.shots.iter().any(|shot| shot.before == [*test]);
                *test != self.victim
                    && self.universe.present[*test as usize]
                    && cell.failed > 0
                    && !tried
            })
            .take(2)
            .collect()
    }

    /// Certifies that the victim fails (or passes) after a group that a search found.
    fn certify(&self, question: Question, group: Vec<u32>, before: Vec<u32>) -> Option<Plan> {
        let done = self.case.closed.iter().filter_map(Inquiry::claim);
        if done.into_iter().any(|claim| claim.group == group) || group.len() > LARGEST_GROUP {
            return None;
        }
        let passes = question != Question::Polluter;
        let (treated, control) = self.rates_with(&group, &before, passes);
        let cleared = if question == Question::Cleaner {
            self.ledger.cleaning(self.victim, &before)
        } else {
            self.evidence().clone()
        };
        let avoid = [group.clone(), before.clone()].concat();
        let pool = ranking::cleared(
            self.universe,
            self.deadly,
            &cleared,
            self.case,
            (self.victim, &avoid, passes),
        );
        let direction = if passes {
            Direction::Passes
        } else {
            Direction::Fails
        };
        let effect = if passes { 1.0 - treated } else { treated };
        let blocks = 7.0 / (effect * effect).max(0.02);
        let decoys = f64::from(u32::try_from(group.len()).unwrap_or(u32::MAX));
        let per_block = (1.0 + decoys) * self.cost_of(&[&before[..], &group[..]].concat())
            + self.cost_of(&before);
        Some(self.plan(
            question,
            true,
            Setup::Blocks(Certify {
                treatment: Treatment::Group(group),
                before,
                pool,
                decoys: Stand::ForEach,
                blocks: self.blocks(Kind::ThreeArm, direction, treated, control),
            }),
            blocks * per_block,
        ))
    }

    fn blocks(
        &self,
        kind: Kind,
        direction: Direction,
        treated: f64,
        control: f64,
    ) -> BlocksOpening {
        BlocksOpening {
            certify: self.policy.certify,
            limit: BLOCKS,
            ..BlocksOpening::new(kind, direction, treated, control)
        }
    }

    /// Rates of failing with a group and without, guessed from recorded runs and probes. The first probe that showed
    /// the effect led here, so it is left out.
    fn rates_with(&self, group: &[u32], before: &[u32], passes: bool) -> (f64, f64) {
        let stem = [before, group].concat();
        let (mut with, mut without) = ((0.0, 0.0), (0.0, 0.0));
        let mut led = false;
        for shot in self.case.shots.iter().filter(|shot| shot.plain) {
            let effect = shot.failed != passes;
            let cell = if shot.before == stem {
                if effect && !led {
                    led = true;
                    continue;
                }
                &mut with
            } else if shot.before == before {
                &mut without
            } else {
                continue;
            };
            cell.0 += f64::from(u8::from(effect));
            cell.1 += 1.0;
        }
        let soak = if let ([one], true) = (group, before.is_empty()) {
            self.evidence().before[*one as usize]
        } else {
            Cell::default()
        };
        let soak = if passes { soak.swapped() } else { soak };
        let treated: f64 = (with.0 + 0.25 * f64::from(soak.failed) + 1.0)
            / (with.1 + 0.25 * f64::from(soak.trials()) + 1.2);
        let control: f64 = (without.0 + 0.1) / (without.1 + 2.0);
        let (treated, control) = (treated.clamp(0.1, 0.98), control.clamp(0.01, 0.9));
        if passes {
            (1.0 - treated, 1.0 - control)
        } else {
            (treated, control)
        }
    }

    /// Name and listed levels of a factor that a probe can set.
    fn settable(&self, factor: u16) -> Option<(&'a str, &'a Levels)> {
        let domain = self.policy.factors.get(usize::from(factor))?;
        domain
            .settable
            .then_some((&domain.name[..], &domain.levels))
    }
}

/// How many candidates a ranking leaves open.
fn left_open(ranking: &Ranking) -> f64 {
    let weights = ranking.weights.iter().filter(|weight| **weight > 0.0);
    let entropy: f64 = weights.map(|weight| -weight * weight.ln()).sum();
    entropy.exp()
}

/// Probability of a family.
fn share(posterior: &Posterior, family: Family) -> f64 {
    posterior
        .families
        .iter()
        .find(|(other, _)| *other == family)
        .map_or(0.0, |(_, share)| *share)
}

/// A whole number of runs, at most `most`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range"
)]
fn at_most(runs: f64, most: u32) -> u32 {
    runs.ceil().clamp(1.0, f64::from(most)) as u32
}
