//! Ranks the candidates of a search from the recorded runs and the probes together, and clears the tests that may
//! serve as decoys. It proposes; nothing here certifies.

use std::collections::BTreeSet;

use super::{
    case::{Case, Shot},
    ledger::{Evidence, Ledger},
    observation::Universe,
    question::Ranking,
    setup::{Search, Wanted},
};
use crate::stats::{self, Cell, Tables, several::Several, special::ln_add, tournament::prior};

/// Passes of a single test before the victim that would come with less than this probability from a polluter
/// refute it.
const REFUTED: f64 = 0.01;
/// Share of the passive mass that refuted singles must hold for the search to give up on singles.
const MASS: f64 = 0.6;
/// With fewer cleared tests than this, a pool takes in others.
const FEWEST: usize = 16;
/// Runs that showed the effect from which several causes, or one that others undo, are thought of.
const FEWEST_OF_SEVERAL: u32 = 1;
/// Recorded runs that an estimate of their number looks at.
const RECENT: usize = 300;
/// Runs after a test alone, and as many alone, that show that it acts.
const ACTS: u32 = 3;
/// Tests in a pool of decoys.
const POOL: usize = 64;

/// What a search looks at.
pub(crate) struct Source<'a> {
    /// The tests.
    pub(crate) universe: &'a Universe,
    /// The recorded runs.
    pub(crate) ledger: &'a Ledger,
    /// Tables for the Bayes factors.
    pub(crate) tables: &'a Tables,
    /// The victim.
    pub(crate) victim: u32,
    /// Its answered probes.
    pub(crate) shots: &'a [Shot],
}

impl Source<'_> {
    /// Ranks the candidates of `search` by all that is known now.
    pub(crate) fn rank(&self, search: &Search<u32>) -> Ranking {
        let passes = search.wanted != Wanted::Polluter;
        let evidence = match (search.wanted, search.known.first()) {
            (Wanted::Cleaner, Some(group)) => self.ledger.cleaning(self.victim, group),
            (Wanted::Cleaner | Wanted::Polluter | Wanted::Setter, None) => {
                self.ledger.evidence(self.victim).clone()
            }
            (Wanted::Polluter | Wanted::Setter, Some(_)) => {
                self.ledger.residual(self.victim, &search.known)
            }
        };
        let turned = |cell: Cell| if passes { cell.swapped() } else { cell };
        let mut soak: Vec<Cell> = evidence.before.iter().copied().map(turned).collect();
        let total = turned(evidence.total);
        let mut active = vec![Cell::default(); soak.len()];
        let mut active_total = Cell::default();
        let mut singles = vec![Cell::default(); soak.len()];
        for (set, failed) in self.sets(search) {
            let effect = failed != passes;
            active_total.add(effect);
            for test in set {
                active[*test as usize].add(effect);
            }
            if let [one] = set {
                singles[*one as usize].add(effect);
            }
        }
        for test in 0..soak.len() {
            let victim = test == self.victim as usize;
            if victim || !self.universe.present[test] || Self::is_known(search, test) {
                soak[test] = Cell::default();
                active[test] = Cell::default();
            }
        }
        let mut scores = self.tables.scores_joint(
            &soak,
            total,
            stats::Active {
                with: &active,
                total: active_total,
            },
        );
        let tried_in_vain = singles.iter().any(|one| one.failed == 0 && one.passed > 0);
        let mut passive = if tried_in_vain {
            self.tables.scores(&soak, total)
        } else {
            Vec::new()
        };
        if search.wanted != Wanted::Cleaner && total.failed >= FEWEST_OF_SEVERAL {
            let mut several = self.ledger.several(self.victim, &evidence.runs, passes);
            let none = Cell::default();
            Self::or_several(&mut passive, &several, self.tables.null(total, none));
            for (set, failed) in self.sets(search) {
                several.probe(set, failed != passes);
            }
            let null = self.tables.null(total, active_total);
            Self::or_several(&mut scores, &several, null);
        }
        let shared = self.ledger.shared(search.wanted == Wanted::Polluter);
        let ln: Vec<f64> = scores
            .iter()
            .zip(shared.ln_prior())
            .map(|(score, prior)| score + prior)
            .collect();
        let family_prior = match search.wanted {
            Wanted::Polluter => prior::PREDECESSOR + prior::MANY,
            Wanted::Setter => prior::SETTER,
            Wanted::Cleaner => 0.5,
        };
        let known = stats::special::ln_sum(&ln) + family_prior.ln();
        let nothing = prior::NOTHING.ln();
        let weights = stats::special::softmax(&ln);
        Ranking {
            family: if known.is_finite() {
                (known - stats::special::ln_add(known, nothing)).exp()
            } else {
                0.0
            },
            in_vain: singles
                .iter()
                .map(|one| if one.failed == 0 { one.passed } else { 0 })
                .collect(),
            singles_refuted: self.refuted(&passive, (&soak, &singles), (&evidence, passes)),
            count: self.count(&evidence, search),
            order: self.order(&evidence, passes),
            weights: if known.is_finite() {
                weights
            } else {
                Vec::new()
            },
        }
    }

    /// Adds to the scores of single causes that each may be one of several instead. `null`: ln likelihood of one rate.
    fn or_several(scores: &mut [f64], several: &Several, null: f64) {
        let all = prior::PREDECESSOR + prior::MANY;
        for (score, test) in scores.iter_mut().zip(0..) {
            // Those without runs that showed the effect explain nothing.
            if score.is_finite() {
                let of_several = several.ln_likelihood(test) - null + (prior::MANY / all).ln();
                *score = ln_add(*score + (prior::PREDECESSOR / all).ln(), of_several);
            }
        }
    }

    /// The probes that a search counts: what ran before the victim, and whether it failed.
    fn sets(&self, search: &Search<u32>) -> Vec<(&[u32], bool)> {
        let plain = self.shots.iter().filter(|shot| shot.plain);
        match (search.wanted, search.known.first()) {
            (Wanted::Cleaner, Some(polluter)) => plain
                .filter_map(|shot| Some((shot.before.strip_prefix(&polluter[..])?, shot.failed)))
                .collect(),
            (Wanted::Cleaner | Wanted::Polluter | Wanted::Setter, _) => plain
                .filter(|shot| {
                    !search
                        .known
                        .iter()
                        .any(|group| group.iter().all(|test| shot.before.contains(test)))
                })
                .map(|shot| (&shot.before[..], shot.failed))
                .collect(),
        }
    }

    fn is_known(search: &Search<u32>, test: usize) -> bool {
        search
            .known
            .iter()
            .any(|group| group.len() == 1 && group[0] as usize == test)
            || (search.wanted == Wanted::Cleaner
                && search
                    .known
                    .concat()
                    .iter()
                    .any(|other| *other as usize == test))
    }

    /// Do single tests hold most of what the recorded runs suggest, and did each pass more often than a polluter
    /// would, while others may have helped it in the recorded runs?
    fn refuted(
        &self,
        passive: &[f64],
        (soak, singles): (&[Cell], &[Cell]),
        (evidence, passes): (&Evidence, bool),
    ) -> bool {
        let passive = stats::special::softmax(passive);
        let mass: f64 = passive
            .iter()
            .zip(soak.iter().zip(singles))
            .zip(0..)
            .filter(|((_, (soak, single)), test)| {
                let rate = (f64::from(soak.failed) + 1.0) / (f64::from(soak.trials()) + 1.5);
                single.failed == 0
                    && single.passed > 0
                    && (1.0 - rate.min(0.95)).powi(i32::try_from(single.passed).unwrap_or(i32::MAX))
                        < REFUTED
                    && self.has_company(*test, evidence, passes)
            })
            .map(|((weight, _), _)| if weight.is_finite() { *weight } else { 0.0 })
            .sum();
        mass >= MASS
    }

    /// Did another test run before the victim whenever this one did and the effect showed? Else it needs no other.
    fn has_company(&self, test: u32, evidence: &Evidence, passes: bool) -> bool {
        let mut company: Option<BTreeSet<u32>> = None;
        let shown = evidence.runs.iter().filter(|run| run.failed != passes);
        for run in shown.filter_map(|run| self.run_index(run.segment)) {
            let mut before: BTreeSet<u32> =
                self.ledger.prefix(self.victim, run).into_iter().collect();
            if !before.remove(&test) {
                continue;
            }
            if let Some(company) = &company {
                before.retain(|other| company.contains(other));
            }
            if before.is_empty() {
                return false;
            }
            company = Some(before);
        }
        true
    }

    /// How many there seem to be, from how the effect grows with what ran before.
    fn count(&self, evidence: &Evidence, search: &Search<u32>) -> f64 {
        let passes = match search.wanted {
            Wanted::Cleaner => return 1.0,
            Wanted::Polluter if search.known.is_empty() => {
                return self.ledger.polluters(self.victim);
            }
            Wanted::Polluter => false,
            Wanted::Setter => true,
        };
        let recent = evidence.runs.len().saturating_sub(RECENT);
        stats::polluter_count(
            evidence.runs[recent..]
                .iter()
                .map(|run| (f64::from(run.pi), run.failed != passes)),
        )
    }

    /// Places of all tests in the latest run that showed the effect.
    fn order(&self, evidence: &Evidence, passes: bool) -> Vec<u32> {
        let mut places = vec![u32::MAX; self.universe.names.len()];
        let shown = evidence
            .runs
            .iter()
            .rev()
            .find(|run| run.failed != passes)
            .and_then(|run| self.run_index(run.segment));
        if let Some(run) = shown {
            for (place, test) in (0..).zip(self.ledger.prefix(self.victim, run)) {
                places[test as usize] = place;
            }
        }
        places
    }

    fn run_index(&self, segment: u32) -> Option<usize> {
        self.ledger
            .runs(self.victim)
            .iter()
            .position(|run| run.segment == segment)
    }
}

/// Did the victim show the effect nearly always when this test alone ran before it, and hardly ever alone?
fn acts_alone(case: &Case, test: u32, passes: bool) -> bool {
    let (mut with, mut without) = (Cell::default(), Cell::default());
    for shot in case.shots.iter().filter(|shot| shot.plain) {
        if shot.before == [test] {
            with.add(shot.failed != passes);
        } else if shot.before.is_empty() {
            without.add(shot.failed != passes);
        }
    }
    with.failed >= ACTS && with.passed == 0 && without.failed == 0 && without.passed >= ACTS
}

/// Returns tests that are cleared of the effect in question, best first: they often stood before the victim without
/// it. With few of those, the least suspect others too: where they have the effect as well, nobody is named.
///
/// Where the group is of the victim's own module the decoys are as well: entering a module's fixtures is what any
/// test of the module does, and no reason to name one of them. Where the others of the module do not last as long as
/// the group, tests from elsewhere are in the pool too, to stand beside one of the module.
pub(crate) fn cleared(
    universe: &Universe,
    deadly: &[bool],
    evidence: &Evidence,
    case: &Case,
    (victim, group, passes): (u32, &[u32], bool),
) -> Vec<u32> {
    let mut cells: Vec<Cell> = evidence.before.to_vec();
    let mut total = evidence.total;
    for shot in case.shots.iter().filter(|shot| shot.plain) {
        total.add(shot.failed);
        for test in &shot.before {
            cells[*test as usize].add(shot.failed);
        }
    }
    let turned = |cell: Cell| if passes { cell.swapped() } else { cell };
    let total = turned(total);
    let module = |test: u32| universe.modules[test as usize];
    // A test that is its own cause blames nobody, and what its module has in common is no excuse for it.
    let mut others = group.iter().filter(|test| **test != victim);
    let at_home = others.any(|test| module(*test) == module(victim));
    let mut ranked: Vec<(bool, i64, u32)> = (0..)
        .zip(&cells)
        .filter(|(test, _)| {
            *test != victim
                && !group.contains(test)
                && universe.present[*test as usize]
                && !deadly[*test as usize]
                && evidence.struck.binary_search(test).is_err()
        })
        .map(|(test, cell)| {
            let cell = turned(*cell);
            let (bad, good) = (i64::from(cell.failed), i64::from(cell.passed));
            let suspicious =
                bad * i64::from(total.trials()) > 2 * i64::from(total.failed) * (bad + good);
            let doubtful = suspicious || (good == 0 && bad > 0);
            (doubtful, 3 * bad - good, test)
        })
        .collect();
    // One that shows the effect by itself is no test to compare with, unless all do.
    let acts = |test: u32| acts_alone(case, test, passes);
    if ranked.iter().any(|(_, _, test)| !acts(*test)) {
        ranked.retain(|(_, _, test)| !acts(*test));
    }
    ranked.sort_unstable();
    let of_module = |entry: &&(bool, i64, u32)| module(entry.2) == module(victim);
    let neighbours = ranked.iter().filter(of_module).count();
    let clear_neighbours = ranked
        .iter()
        .filter(|entry| !entry.0)
        .filter(of_module)
        .count();
    let seconds = |test: u32| universe.lasting(test);
    let longest = group.iter().map(|test| seconds(*test)).fold(0.0, f32::max);
    let needed: f32 = group.iter().map(|test| seconds(*test)).sum();
    let kept_at_home = at_home && neighbours > group.len();
    // Where hardly any test of the module is cleared the module is what they have in common: better to name
    // nobody than to compare with tests from elsewhere.
    let serves = |entry: &(bool, i64, u32)| !entry.0 || clear_neighbours < group.len();
    if kept_at_home {
        let at_home = ranked
            .iter()
            .filter(|entry| of_module(entry) && serves(entry));
        let lasting: f32 = at_home.map(|entry| seconds(entry.2)).sum();
        // Tests from elsewhere stand beside those of the module where these alone do not last as long.
        let fills = |entry: &(bool, i64, u32)| lasting < needed && !entry.0;
        ranked.retain(|entry| {
            if module(entry.2) == module(victim) {
                serves(entry)
            } else {
                fills(entry)
            }
        });
    } else {
        let surely = ranked.partition_point(|entry| !entry.0);
        ranked.truncate(surely.max(FEWEST));
    }
    let mut pool: Vec<u32> = ranked
        .iter()
        .map(|(_, _, test)| *test)
        .filter(|test| seconds(*test) >= longest)
        .take(POOL)
        .collect();
    if pool.len() < POOL / 8 {
        let mut rest: Vec<u32> = ranked
            .iter()
            .map(|(_, _, test)| *test)
            .filter(|test| seconds(*test) < longest)
            .collect();
        rest.sort_by(|a, b| seconds(*b).total_cmp(&seconds(*a)).then(a.cmp(b)));
        let mut lasting: f32 = pool.iter().map(|test| seconds(*test)).sum();
        for test in rest {
            if pool.len() >= POOL && lasting >= 2.0 * needed {
                break;
            }
            lasting += seconds(test);
            pool.push(test);
        }
    }
    if kept_at_home && pool.iter().all(|test| module(*test) != module(victim)) {
        let neighbours = ranked.iter().filter(of_module).map(|entry| entry.2);
        pool.extend(neighbours.take(POOL));
    }
    pool
}
