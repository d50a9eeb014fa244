//! From the pass and the flags to the digest.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::cause::{Grouped, by_cause};
use super::digest::{
    Card, Cause, Cluster, Digest, ENOUGH, Edge, Funnel, Green, Head, Heat, Material, OwnerRow,
    Proof, Raised, Reliability, Share, State, Stock, Subject,
};
use super::excerpt::excerpt;
use super::ledger::{History, Order, Sight, WholeRun};
use super::trust;
use super::window::Stretch;
use crate::model::{Count, Flag, Role, TestId, UnixMillis, Verdict};
use crate::stats::{RedShare, direction, jeffreys, never_failed_bound};

/// Error probability of the report's intervals: 95 %.
const ALPHA: f64 = 0.05;
/// Rows of the heat map.
const HEAT_ROWS: usize = 30;
/// Causes of "had these never failed".
const WHAT_IF: usize = 3;
/// A test that never failed is clean when it fails less often than this with 95 %.
const CLEAN: f64 = 0.01;
/// Clusters are of this many tests or failures at least.
const CLUSTER: u64 = 2;

impl Digest {
    /// Makes the digest.
    #[must_use]
    pub fn of(material: &Material) -> Self {
        let shares = Shares::of(material);
        let mut cards: Vec<(u32, Card)> = material.cards(&shares);
        let causes = material.causes(&mut cards, &shares);
        let places: BTreeMap<u32, usize> = (0..)
            .zip(&cards)
            .map(|(at, (test, _))| (*test, at))
            .collect();
        let tests: Vec<u32> = cards.iter().map(|(test, _)| *test).collect();
        let cards: Vec<Card> = cards.into_iter().map(|(_, card)| card).collect();
        let green = material.green(&causes, &cards, &tests);
        Self {
            head: material.head(),
            trust: trust::of(material, &green),
            states: states(&causes),
            clusters: clusters(&cards),
            heat: material.heat(&tests),
            stock: material.stock(),
            graph: graph(&cards),
            owners: owners(&cards, green.now[0].is_enough()),
            funnel: material.funnel(&cards, &places),
            green,
            causes,
            cards,
        }
    }
}

/// The shares of the red natural runs, by test.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fragility {
    runs: u64,
    parts: BTreeMap<TestId, RedShare>,
}

impl Fragility {
    /// Shares out `runs` runs, of which some were `red`: for each the tests that failed in it, without repetitions.
    #[must_use]
    pub fn of<'a>(runs: u64, red: impl IntoIterator<Item = &'a Vec<TestId>>) -> Self {
        let mut parts: BTreeMap<TestId, RedShare> = BTreeMap::new();
        for failing in red {
            for test in failing {
                #[expect(clippy::cast_precision_loss, reason = "tests of one run")]
                let part = 1.0 / failing.len() as f64;
                parts.entry(test.clone()).or_default().add(part);
            }
        }
        Self { runs, parts }
    }

    /// Returns the share of a test; `None` until there are enough runs. Minutes are not known here: 0.
    #[must_use]
    pub fn share(&self, test: &TestId) -> Option<Share> {
        let part = self.parts.get(test).copied().unwrap_or_default();
        (self.runs >= ENOUGH).then(|| share(&part, self.runs, 0.0))
    }
}

fn share(part: &RedShare, runs: u64, minutes: f64) -> Share {
    let (low, high) = part.interval(runs, ALPHA);
    Share {
        runs: part.runs(),
        per_1000: 1000.0 * part.rate(runs),
        interval: (1000.0 * low, 1000.0 * high),
        alone: part.alone(),
        minutes,
    }
}

/// What the red runs of the window are shared among.
struct Shares<'a> {
    window: Vec<&'a WholeRun>,
    runs: [u64; 2],
}

fn slot(order: Order) -> usize {
    match order {
        Order::Natural => 0,
        Order::Shuffled => 1,
    }
}

impl<'a> Shares<'a> {
    fn of(material: &'a Material) -> Self {
        let within = |run: &&WholeRun| material.window.holds(run.at);
        let window: Vec<&WholeRun> = material.ledger.runs.iter().filter(within).collect();
        let mut runs = [0; 2];
        for run in &window {
            runs[slot(run.order)] += 1;
        }
        Self { window, runs }
    }

    /// The shares of a set of tests, natural and shuffled. `tests` in ascending order.
    fn shares(&self, tests: &[u32]) -> [Share; 2] {
        let mut parts = [RedShare::default(); 2];
        let mut minutes = [0.0; 2];
        for run in &self.window {
            let part = part_of(run, tests);
            if part > 0.0 {
                parts[slot(run.order)].add(part);
                minutes[slot(run.order)] += part * run.took.as_secs_f64() / 60.0;
            }
        }
        [0, 1].map(|order| share(&parts[order], self.runs[order], minutes[order]))
    }
}

/// The part of a red run that some tests have: those of them that failed, of all that did.
fn part_of(run: &WholeRun, tests: &[u32]) -> f64 {
    let theirs = run
        .failing
        .iter()
        .filter(|test| tests.binary_search(test).is_ok())
        .count();
    if theirs == 0 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "tests of one run")]
    let part = theirs as f64 / run.failing.len() as f64;
    part
}

fn reliability<'a>(
    runs: impl Iterator<Item = &'a WholeRun>,
    forgiven: &BTreeSet<u32>,
) -> [Reliability; 2] {
    let mut counts = [Count::default(); 2];
    for run in runs {
        let green = run.failing.iter().all(|test| forgiven.contains(test));
        let count = &mut counts[slot(run.order)];
        count.trials += 1;
        count.failures += u64::from(green);
    }
    counts.map(|count| Reliability {
        runs: count.trials,
        green: count.failures,
        interval: jeffreys(count, ALPHA),
    })
}

impl Material {
    fn head(&self) -> Head {
        let seen: BTreeSet<i64> = self
            .ledger
            .tests
            .iter()
            .flat_map(|history| [history.first_within, history.last_run, history.last])
            .flatten()
            .filter(|sight| self.window.holds(sight.at))
            .map(|sight| sight.revision)
            .collect();
        let label = |row: &i64| self.revisions.get(row).map(|found| found.label.clone());
        let ends = seen
            .first()
            .and_then(label)
            .zip(seen.last().and_then(label));
        Head {
            origin: self.origin.clone(),
            window: self.window.clone(),
            as_of: self.ledger.newest,
            revisions: ends.map(|(first, last)| (first, last, seen.len() as u64)),
            hours: self.ledger.took.as_secs_f64() / 3600.0,
            machines: self.hunts.machines.clone(),
            iterations: self.ledger.iterations,
            outcomes: self.ledger.outcomes.clone(),
            tests: self.listed.iter().filter(|listed| **listed).count() as u64,
        }
    }

    /// One card for every test that is flagged, or failed in the window without a flag.
    fn cards(&self, shares: &Shares<'_>) -> Vec<(u32, Card)> {
        let mut flagged: BTreeMap<u32, &Raised> = BTreeMap::new();
        for raised in &self.flags {
            if let Some(test) = raised.test {
                flagged.insert(test, raised);
            }
        }
        let index = 0..u32::try_from(self.roster.len()).unwrap_or(u32::MAX);
        index
            .filter_map(|test| {
                let history = &self.ledger.tests[test as usize];
                let raised = flagged.get(&test).copied();
                let is_certified = raised.is_some_and(|raised| raised.flag.certified);
                if !is_certified && history.within.failures == 0 {
                    return None;
                }
                let (state, silence) = self.state(test, history, raised);
                // What was mended in an earlier week is history.
                let state = state?;
                Some((
                    test,
                    self.card(test, history, raised, (state, silence), shares),
                ))
            })
            .collect()
    }

    fn card(
        &self,
        test: u32,
        history: &History,
        raised: Option<&Raised>,
        (state, silence): (State, Option<String>),
        shares: &Shares<'_>,
    ) -> Card {
        let name = &self.roster[test as usize];
        let flag = raised.map_or_else(
            || Flag::unexplained(name.clone(), history.life),
            |one| one.flag.clone(),
        );
        let recipe = flag.recipe.as_ref().map(|recipe| recipe.repeat);
        let own = raised.and_then(|one| one.token.clone());
        let repeat = own.as_ref().and(recipe);
        let [natural, shuffled] = shares.shares(&[test]);
        let weekly = self.ledger.weekly(test);
        let before = weekly.len().checked_sub(2).map(|at| weekly[at]);
        let interval = jeffreys(history.within, ALPHA);
        let at = |sight: Sight| (sight.at, self.label(sight.revision));
        let began = history.first.zip(history.before_first);
        Card {
            test: name.clone(),
            handle: self.handles[test as usize].clone(),
            owners: self.owners.get(&test).cloned().unwrap_or_default(),
            state,
            silence,
            within: history.within,
            interval,
            life: history.life,
            direction: before
                .filter(|before| before.trials > 0 && history.within.trials > 0)
                .map_or(0, |before| direction(jeffreys(before, ALPHA), interval)),
            weekly,
            natural,
            shuffled,
            first: history.first.map(at),
            last: history.last.map(at),
            began_after: began
                .filter(|(first, before)| first.revision != before.revision)
                .map(|(_, before)| self.label(before.revision)),
            certified_at: raised.and_then(|one| one.first_certified),
            proof: self.proof(test),
            token: own.or_else(|| self.tokens.get(&test).cloned()),
            repeat,
            signatures: self.signatures.get(&test).cloned().unwrap_or_default(),
            excerpt: self
                .texts
                .get(&test)
                .map(|text| excerpt(text))
                .unwrap_or_default(),
            flag,
        }
    }

    fn label(&self, revision: i64) -> String {
        self.revisions
            .get(&revision)
            .map_or_else(|| format!("number {revision}"), |found| found.label.clone())
    }

    fn proof(&self, test: u32) -> Option<Proof> {
        let watch = self.ledger.watched.get(&test)?;
        (watch.before.failures > 0 && watch.passes > 0).then(|| Proof {
            passes: watch.passes,
            exposure: watch.exposure().clone(),
            before: watch.before,
            worth: watch.mended(),
            since: watch.since.map(|sight| self.label(sight.revision)),
        })
    }

    /// How a test stands, and why it is silent; no state where it was mended before the window.
    fn state(
        &self,
        test: u32,
        history: &History,
        raised: Option<&Raised>,
    ) -> (Option<State>, Option<String>) {
        let failed = history.within.failures > 0;
        let silent = |why: &str| (Some(State::Silent), Some(why.to_owned()));
        if !self.listed[test as usize] && !failed {
            return silent("the suite no longer has it");
        }
        let watch = self.ledger.watched.get(&test);
        let mended = watch.map_or(&[][..], |watch| &watch.mended_at);
        let now = mended.last().copied().unwrap_or(false);
        let earlier = &mended[..mended.len().saturating_sub(1)];
        if now {
            let before = earlier.last().copied().unwrap_or(false);
            return ((!before || failed).then_some(State::Fixed), None);
        }
        let since = raised.and_then(|one| one.first_certified);
        let is_new = match since {
            Some(certified) => self.window.holds(certified),
            None => history
                .first
                .is_some_and(|first| self.window.holds(first.at)),
        };
        let state = if failed && earlier.contains(&true) {
            State::Returned
        } else if is_new {
            State::New
        } else if failed && watch.is_some_and(super::ledger::Watch::is_worse) {
            State::Worse
        } else if failed {
            State::Open
        } else {
            return silent(&why_silent(history, watch));
        };
        (Some(state), None)
    }

    /// The rows of the table, the most fragile first; puts the cards into their order.
    fn causes(&self, cards: &mut Vec<(u32, Card)>, shares: &Shares<'_>) -> Vec<Cause> {
        let flags: Vec<&Flag> = cards.iter().map(|(_, card)| &card.flag).collect();
        let grouped = by_cause(&flags);
        let mut rows: Vec<(Vec<usize>, Subject)> = grouped
            .into_iter()
            .map(|grouped| match grouped {
                Grouped::One(place) => (vec![place], Subject::Test),
                Grouped::Shared {
                    role,
                    members,
                    victims,
                } => {
                    let members = members.to_vec();
                    (victims, Subject::Group { role, members })
                }
            })
            .collect();
        let by_shuffled = shares.runs[0] < ENOUGH;
        let weight = |share: &[Share; 2]| share[usize::from(by_shuffled)].per_1000;
        for (places, _) in &mut rows {
            places.sort_by(|a, b| {
                let share = |at: &usize| {
                    let card = &cards[*at].1;
                    weight(&[card.natural, card.shuffled])
                };
                (cards[*a].1.state.cmp(&cards[*b].1.state))
                    .then(share(b).total_cmp(&share(a)))
                    .then(cards[*b].1.life.failures.cmp(&cards[*a].1.life.failures))
                    .then(cards[*a].1.test.cmp(&cards[*b].1.test))
            });
        }
        let mut made: Vec<(Cause, f64)> = rows
            .into_iter()
            .map(|(places, subject)| {
                let mut tests: Vec<u32> = places.iter().map(|at| cards[*at].0).collect();
                tests.sort_unstable();
                let both = shares.shares(&tests);
                let states = places.iter().map(|at| cards[*at].1.state);
                let cause = Cause {
                    subject,
                    state: states.min().unwrap_or(State::Silent),
                    natural: both[0],
                    shuffled: both[1],
                    weekly: self.weekly_share(&tests),
                    cards: places,
                };
                (cause, weight(&both))
            })
            .collect();
        made.sort_by(|(a, x), (b, y)| {
            (b.state.is_open().cmp(&a.state.is_open()))
                .then(y.total_cmp(x))
                .then(b.shuffled.per_1000.total_cmp(&a.shuffled.per_1000))
                .then(a.state.cmp(&b.state))
                .then_with(|| cards[a.cards[0]].1.test.cmp(&cards[b.cards[0]].1.test))
        });
        // The cards follow their causes.
        let order: Vec<usize> = made
            .iter()
            .flat_map(|(cause, _)| cause.cards.clone())
            .collect();
        let mut place = vec![0; order.len()];
        for (new, old) in order.iter().enumerate() {
            place[*old] = new;
        }
        let mut moved: Vec<(usize, (u32, Card))> =
            place.iter().copied().zip(cards.drain(..)).collect();
        moved.sort_by_key(|(at, _)| *at);
        cards.extend(moved.into_iter().map(|(_, card)| card));
        made.into_iter()
            .map(|(mut cause, _)| {
                for at in &mut cause.cards {
                    *at = place[*at];
                }
                cause
            })
            .collect()
    }

    /// The share of some tests per 1,000 runs of either order, by week.
    fn weekly_share(&self, tests: &[u32]) -> Vec<f64> {
        let weeks = &self.ledger.weeks;
        let mut sums = vec![(0.0, 0.0); weeks.len()];
        for run in &self.ledger.runs {
            let at = weeks.partition_point(|week| week.since <= run.at);
            if let Some((sum, runs)) = at.checked_sub(1).and_then(|at| sums.get_mut(at)) {
                *sum += part_of(run, tests);
                *runs += 1.0;
            }
        }
        sums.into_iter()
            .map(|(sum, runs)| if runs > 0.0 { 1000.0 * sum / runs } else { 0.0 })
            .collect()
    }

    fn green(&self, causes: &[Cause], cards: &[Card], tests: &[u32]) -> Green {
        let none = BTreeSet::new();
        let runs = &self.ledger.runs;
        let within = || runs.iter().filter(|run| self.window.holds(run.at));
        let during = |week: &Stretch| {
            let inside = |run: &&WholeRun| week.since <= run.at && run.at < week.until;
            reliability(runs.iter().filter(inside), &none)
        };
        let by = |span: &Stretch| (span.label.clone(), during(span));
        let weeks: Vec<(String, [Reliability; 2])> = self.ledger.weeks.iter().map(by).collect();
        let window = &self.window;
        let nights = self.ledger.nights.iter();
        let nights = nights.filter(|day| window.since < day.until && day.since < window.until);
        let broken: BTreeSet<u32> = cards
            .iter()
            .zip(tests)
            .filter(|(card, _)| card.flag.verdict == Verdict::Broken)
            .map(|(_, test)| *test)
            .collect();
        let mut forgiven = BTreeSet::new();
        let if_mended = causes
            .iter()
            .filter(|cause| cause.state.is_open())
            .take(WHAT_IF)
            .map(|cause| {
                forgiven.extend(cause.cards.iter().map(|at| tests[*at]));
                reliability(within(), &forgiven)
            })
            .collect();
        Green {
            now: reliability(within(), &none),
            last: weeks
                .len()
                .checked_sub(2)
                .map_or_else(Default::default, |at| weeks[at].1),
            nights: nights.map(by).collect(),
            weeks,
            without_broken: (!broken.is_empty()).then(|| reliability(within(), &broken)),
            if_mended,
        }
    }

    fn heat(&self, tests: &[u32]) -> Heat {
        let nights = self.ledger.nights.clone();
        let failed = |counts: &[Count]| counts.iter().map(|count| count.failures).sum::<u64>();
        let mut rows: Vec<(usize, Vec<Count>)> = tests
            .iter()
            .enumerate()
            .map(|(at, test)| (at, self.ledger.nightly(*test)))
            .filter(|(_, counts)| failed(counts) > 0)
            .collect();
        rows.sort_by_key(|(at, counts)| (Reverse(failed(counts)), *at));
        rows.truncate(HEAT_ROWS);
        let label = |change: &Option<i64>| change.map(|revision| self.label(revision));
        Heat {
            changes: self.ledger.changes().iter().map(label).collect(),
            nights,
            rows,
        }
    }

    fn stock(&self) -> Vec<Stock> {
        let certified: Vec<(u32, UnixMillis)> = self
            .flags
            .iter()
            .filter_map(|raised| Some((raised.test?, raised.first_certified?)))
            .collect();
        let mended = |test: &u32, week: usize| {
            let watch = self.ledger.watched.get(test);
            watch.is_some_and(|watch| watch.mended_at.get(week).copied().unwrap_or(false))
        };
        let weeks = self.ledger.weeks.iter().enumerate();
        weeks
            .map(|(at, week)| {
                let count = |which: &dyn Fn(&u32, UnixMillis) -> bool| {
                    let some = certified.iter().filter(|(test, when)| which(test, *when));
                    some.count() as u64
                };
                Stock {
                    week: week.label.clone(),
                    new: count(&|_, when| week.since <= when && when < week.until),
                    fixed: count(&|test, when| {
                        when < week.until
                            && mended(test, at)
                            && !at.checked_sub(1).is_some_and(|before| mended(test, before))
                    }),
                    open: count(&|test, when| when < week.until && !mended(test, at)),
                }
            })
            .collect()
    }

    fn funnel(&self, cards: &[Card], places: &BTreeMap<u32, usize>) -> Funnel {
        let mut funnel = Funnel::default();
        let all = self.listed.iter().zip(&self.ledger.tests).zip(0_u32..);
        for ((listed, history), test) in all {
            if !listed {
                continue;
            }
            funnel.tests += 1;
            if history.life.failures == 0 {
                let clean = never_failed_bound(history.life.trials, ALPHA) <= CLEAN;
                *(if clean {
                    &mut funnel.clean
                } else {
                    &mut funnel.unknown
                }) += 1;
                continue;
            }
            funnel.failed += 1;
            let Some(card) = places.get(&test).map(|at| &cards[*at]) else {
                continue;
            };
            if card.flag.certified {
                funnel.certified += 1;
                funnel.reproducible += u64::from(card.repeat.is_some());
                funnel.owned += u64::from(!card.owners.is_empty());
            }
        }
        funnel
    }
}

fn why_silent(history: &History, watch: Option<&super::ledger::Watch>) -> String {
    if history.within.trials == 0 {
        return if history.skipped > 0 {
            "it was skipped".to_owned()
        } else {
            "it was not run".to_owned()
        };
    }
    match watch {
        Some(watch) if watch.within.trials == 0 => {
            "no order ran that used to make it fail".to_owned()
        }
        Some(watch) if watch.mended().needed < u64::MAX => format!(
            "{} passes {}, {} would be enough",
            watch.passes,
            watch.exposure().words(),
            watch.mended().needed
        ),
        _ => "it passed, which does not prove it mended".to_owned(),
    }
}

fn states(causes: &[Cause]) -> BTreeMap<State, u64> {
    let mut counts: BTreeMap<State, u64> = State::ALL.iter().map(|state| (*state, 0)).collect();
    for cause in causes {
        *counts.entry(cause.state).or_default() += 1;
    }
    counts
}

fn clusters(cards: &[Card]) -> Vec<Cluster> {
    let mut found: BTreeMap<&str, Cluster> = BTreeMap::new();
    for (place, card) in cards.iter().enumerate() {
        for (signature, failures) in &card.signatures {
            let cluster = found.entry(signature).or_insert_with(|| Cluster {
                signature: signature.clone(),
                failures: 0,
                cards: Vec::new(),
            });
            cluster.failures += failures;
            cluster.cards.push(place);
        }
    }
    let mut clusters: Vec<Cluster> = found
        .into_values()
        .filter(|cluster| cluster.failures >= CLUSTER)
        .collect();
    clusters.sort_by(|a, b| {
        (Reverse((a.cards.len(), a.failures)), &a.signature)
            .cmp(&(Reverse((b.cards.len(), b.failures)), &b.signature))
    });
    clusters
}

fn graph(cards: &[Card]) -> Vec<Edge> {
    let certified = cards
        .iter()
        .enumerate()
        .filter(|(_, card)| card.flag.certified);
    certified
        .flat_map(|(to, card)| {
            let groups = card.flag.groups.iter();
            groups.map(move |group| Edge {
                from: group.members.clone(),
                role: group.role,
                to,
                with: group.with,
            })
        })
        .filter(|edge| edge.role != Role::Cleaner)
        .collect()
}

fn owners(cards: &[Card], natural: bool) -> Vec<OwnerRow> {
    let mut rows: BTreeMap<String, OwnerRow> = BTreeMap::new();
    for card in cards {
        let names = match &*card.owners {
            [] => vec![String::new()],
            some => some.to_vec(),
        };
        for owner in names {
            let row = rows.entry(owner.clone()).or_insert_with(|| OwnerRow {
                owner,
                open: 0,
                new: 0,
                fixed: 0,
                oldest: None,
                per_1000: 0.0,
            });
            row.new += u64::from(card.state == State::New);
            row.fixed += u64::from(card.state == State::Fixed);
            if card.state.is_open() {
                row.open += 1;
                let first = card.first.as_ref().map(|(at, _)| *at);
                row.oldest = row.oldest.into_iter().chain(first).min();
            }
            row.per_1000 += if natural { card.natural } else { card.shuffled }.per_1000;
        }
    }
    let mut rows: Vec<OwnerRow> = rows.into_values().collect();
    rows.sort_by(|a, b| {
        b.per_1000
            .total_cmp(&a.per_1000)
            .then_with(|| a.owner.cmp(&b.owner))
    });
    rows
}
