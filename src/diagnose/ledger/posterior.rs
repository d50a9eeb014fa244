//! The tournament of explanations for one victim.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    evidence::{Evidence, PART_OF_DAY, PARTS_OF_DAY, Run},
    history::count,
    keeper::Ledger,
};
use crate::stats::{self, Cell, Tables, ln_sum, softmax, tournament::prior};

/// Priors of families beside those of [`prior`]; the sum is brought to 1 afterwards.
mod further {
    /// A factor whose levels never come twice: nothing recorded speaks for or against it.
    pub(super) const NUMBER: f64 = 0.05;
    /// Second trials of doubled runs, the only place where it shows.
    pub(super) const SECOND: f64 = 0.03;
    /// A change after some iteration.
    pub(super) const SINCE: f64 = 0.03;
    /// Hour, worker, number of shards.
    pub(super) const CIRCUMSTANCE: f64 = 0.02;
}

/// Quantiles of its ranks at which a victim may begin to fail, and as many equal parts of the highest: few runs are
/// long.
const CUTS: usize = 10;

/// What probes have shown about a victim, kept by the caller.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Active {
    /// All probes that answered.
    pub(crate) total: Cell,
    /// Those that ran it alone.
    pub(crate) alone: Cell,
    /// Per test: those in which it ran before the victim.
    pub(crate) before: Vec<Cell>,
}

/// A family of explanations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// A test that ran before it.
    Predecessor,
    /// One of many tests.
    Many,
    /// A test that did not run before it.
    Setter,
    /// A test directly before it.
    Adjacent,
    /// A test that ran elsewhere meanwhile.
    Overlap,
    /// How many tests ran before it.
    Position,
    /// A level of a factor.
    Environment,
    /// A factor whose levels never come twice, such as the hash seed.
    Number,
    /// That it ran before in the same process.
    Second,
    /// A change after some iteration.
    Since,
    /// The hour, the worker or the number of shards.
    Circumstance,
    /// None of these.
    Nothing,
}

/// The best member of each family.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Best {
    /// The likeliest polluter.
    pub(crate) predecessor: Option<u32>,
    /// The likeliest state-setter.
    pub(crate) setter: Option<u32>,
    /// The likeliest test that acts directly before it.
    pub(crate) adjacent: Option<u32>,
    /// The likeliest neighbour elsewhere.
    pub(crate) overlap: Option<u32>,
    /// The likeliest number of tests before it from which it fails.
    pub(crate) position: Option<u32>,
    /// The likeliest factor and level.
    pub(crate) level: Option<(u16, Arc<str>)>,
    /// The first iteration since when it fails.
    pub(crate) since: Option<u64>,
    /// The likeliest of hour, worker and number of shards, as a name and what it was.
    pub(crate) circumstance: Option<(&'static str, String)>,
}

/// How well the explanations fit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Posterior {
    /// Probability of each family, highest first; they add up to 1.
    pub(crate) families: Vec<(Family, f64)>,
    /// Per test: probability that it is the polluter, if there is one.
    pub(crate) predecessor: Vec<f64>,
    /// Per test: probability that it is the state-setter, if there is one.
    pub(crate) setter: Vec<f64>,
    /// The best of each family.
    pub(crate) best: Best,
    /// How many polluters there seem to be.
    pub(crate) polluters: f64,
}

impl Ledger {
    /// Holds the tournament of explanations for one victim, from the recorded runs and from probes.
    pub(crate) fn posterior(&self, victim: u32, active: &Active) -> Posterior {
        let evidence = self.evidence(victim);
        let tables = &self.tables;
        let total = evidence.total;
        let (predecessor, polluter) = self.candidates(evidence, active, false);
        let (setter, setters) = self.candidates(evidence, active, true);
        // What probes of the victim alone say about explanations that need company.
        let company = lonely(tables, total, active.alone);
        let mut best = Best::default();
        let tests = count(evidence.before.len().max(1));
        let mut families = vec![
            (Family::Predecessor, prior::PREDECESSOR.ln() + polluter),
            (Family::Setter, prior::SETTER.ln() + setters),
            (Family::Nothing, prior::NOTHING.ln()),
        ];
        if total.failed > 0 {
            let many = self.many(victim) + company;
            families.push((Family::Many, prior::MANY.ln() + many));
            let adjacent = |(test, cell): (&u32, &Cell)| (*test, contrast(tables, *cell, total));
            let (ln, member) = gather(evidence.adjacent.iter().map(adjacent), tests);
            best.adjacent = member;
            families.push((Family::Adjacent, prior::ADJACENT.ln() + ln + company));
            let overlap = tables.scores(&evidence.overlap, evidence.overlapped);
            let (ln, member) = gather((0..).zip(overlap), tests);
            best.overlap = member;
            families.push((Family::Overlap, prior::OVERLAP.ln() + ln + company));
            let (ln, member) = positions(tables, evidence);
            best.position = member;
            families.push((Family::Position, prior::POSITION.ln() + ln + company));
            let (ln, member) = levels(tables, evidence);
            best.level = member;
            families.push((Family::Environment, prior::ENVIRONMENT.ln() + ln));
            let (ln, member) = changes(tables, &evidence.runs);
            best.since = member;
            families.push((Family::Since, further::SINCE.ln() + ln));
            let (ln, member) = circumstances(tables, &evidence.runs, company);
            best.circumstance = member.map(Circumstance::named);
            families.push((Family::Circumstance, further::CIRCUMSTANCE.ln() + ln));
        }
        if evidence.second.failed > 0 {
            let second = tables.ln_bf(evidence.second, total);
            families.push((Family::Second, further::SECOND.ln() + second));
        }
        if self.has_numbers() {
            families.push((Family::Number, further::NUMBER.ln()));
        }
        best.predecessor = highest(&predecessor);
        best.setter = highest(&setter);
        let ln: Vec<f64> = families.iter().map(|(_, ln)| *ln).collect();
        let mut families: Vec<(Family, f64)> = families
            .iter()
            .map(|(family, _)| *family)
            .zip(softmax(&ln))
            .collect();
        families.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        Posterior {
            families,
            predecessor,
            setter,
            best,
            polluters: self.polluters(victim),
        }
    }

    /// Weights of single candidates as polluters or setters, and ln of how well they explain it together.
    fn candidates(&self, evidence: &Evidence, active: &Active, setters: bool) -> (Vec<f64>, f64) {
        let turned = |cell: Cell| if setters { cell.swapped() } else { cell };
        let turn = |cells: &[Cell]| cells.iter().copied().map(turned).collect::<Vec<Cell>>();
        let mut with = turn(&active.before);
        with.resize(evidence.before.len(), Cell::default());
        let probes = stats::Active {
            with: &with,
            total: turned(active.total),
        };
        let soak = turn(&evidence.before);
        let mut scores = self
            .tables
            .scores_joint(&soak, turned(evidence.total), probes);
        for (score, prior) in scores.iter_mut().zip(self.shared(!setters).ln_prior()) {
            *score += prior;
        }
        (softmax(&scores), ln_sum(&scores))
    }
}

/// ln of how much better "hardly ever fails alone" fits the probes alone than one rate for all.
fn lonely(tables: &Tables, soak: Cell, alone: Cell) -> f64 {
    if soak.failed == 0 || alone.trials() == 0 {
        return 0.0;
    }
    let none = Cell::default();
    tables.ln_bf_joint([soak, none], [none, alone]) - tables.ln_bf(soak, none)
}

/// ln of the Bayes factor of "fails in these runs and hardly ever in the others".
fn contrast(tables: &Tables, with: Cell, total: Cell) -> f64 {
    let without = total.without(with);
    if without.trials() == 0 {
        return f64::NEG_INFINITY;
    }
    tables.ln_bf(with, without)
}

/// ln of the mean over a family of `members`, of whom those not given explain nothing; and the best one.
fn gather<T>(scores: impl IntoIterator<Item = (T, f64)>, members: u32) -> (f64, Option<T>) {
    let mut all = Vec::new();
    let mut best: Option<(T, f64)> = None;
    for (member, score) in scores {
        if score.is_finite() && best.as_ref().is_none_or(|(_, highest)| score > *highest) {
            best = Some((member, score));
        }
        all.push(score);
    }
    if best.is_none() {
        return (f64::NEG_INFINITY, None);
    }
    let ln = ln_sum(&all) - f64::from(members.max(1)).ln();
    (ln, best.map(|(member, _)| member))
}

/// Cut points in the number of tests that ran before: not first, and quantiles of what was seen.
fn positions(tables: &Tables, evidence: &Evidence) -> (f64, Option<u32>) {
    let mut ranks: Vec<u32> = evidence.runs.iter().map(|run| run.rank).collect();
    ranks.sort_unstable();
    let quantile = |part: usize| ranks.get(part * ranks.len() / (CUTS + 1)).copied();
    let parts = count(CUTS);
    let highest = ranks.last().copied().unwrap_or(0);
    let equal = (1..parts).map(|part| part * highest / parts);
    let quantiles = (1..=CUTS).filter_map(quantile);
    let mut cuts: Vec<u32> = quantiles.chain(equal).chain([1]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts.retain(|cut| *cut > 0);
    let members = count(cuts.len());
    let score = |cut: u32| {
        let late = cell_of(evidence.runs.iter().filter(|run| run.rank >= cut));
        (cut, contrast(tables, late, evidence.total))
    };
    gather(cuts.into_iter().map(score), members)
}

fn levels(tables: &Tables, evidence: &Evidence) -> (f64, Option<(u16, Arc<str>)>) {
    let score = |level: &super::evidence::LevelCell| {
        let key = (level.factor, Arc::clone(&level.level));
        (key, contrast(tables, level.cell, evidence.total))
    };
    gather(
        evidence.levels.iter().map(score),
        count(evidence.levels.len()),
    )
}

/// Iterations since when it may fail.
fn changes(tables: &Tables, runs: &[Run]) -> (f64, Option<u64>) {
    let total = cell_of(runs);
    let mut before = Cell::default();
    let score = |run: &Run| {
        let score = contrast(tables, total.without(before), total);
        before.add(run.failed);
        (run.iteration, score)
    };
    gather(runs.iter().map(score), count(runs.len()))
}

/// What is the same for all of a process and that no probe can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Circumstance {
    /// The part of the day in which it starts, or that or the next one: a night need not begin where a part does.
    Hours {
        first: u32,
        parts: u32,
    },
    Worker(u32),
    Shards(u32),
}

impl Circumstance {
    fn named(self) -> (&'static str, String) {
        match self {
            Self::Hours { first, parts } => {
                let hour = |part: u32| f64::from(part) * f64::from(PART_OF_DAY);
                let (from, until) = (hour(first), hour((first + parts - 1) % PARTS_OF_DAY + 1));
                ("hour", format!("{from:.0}-{until:.0}"))
            }
            Self::Worker(which) => ("worker", which.to_string()),
            Self::Shards(which) => ("shards", which.to_string()),
        }
    }
}

/// `company`: what probes of the victim alone say, which belong to no layout.
fn circumstances(tables: &Tables, runs: &[Run], company: f64) -> (f64, Option<Circumstance>) {
    let mut hours: BTreeMap<u32, Cell> = BTreeMap::new();
    let mut cells: BTreeMap<Circumstance, Cell> = BTreeMap::new();
    for run in runs {
        hours.entry(run.part_of_day()).or_default().add(run.failed);
        for key in [
            Circumstance::Worker(run.worker),
            Circumstance::Shards(u32::from(run.shards)),
        ] {
            cells.entry(key).or_default().add(run.failed);
        }
    }
    for (&first, &cell) in &hours {
        cells.insert(Circumstance::Hours { first, parts: 1 }, cell);
        let next = hours.get(&((first + 1) % PARTS_OF_DAY));
        if let Some(next) = next.filter(|_| hours.len() > 2) {
            cells.insert(Circumstance::Hours { first, parts: 2 }, cell.plus(*next));
        }
    }
    let total = cell_of(runs);
    let score = |(key, cell): (&Circumstance, &Cell)| {
        let of_layout = matches!(key, Circumstance::Shards(_));
        let alone = if of_layout { company } else { 0.0 };
        (*key, contrast(tables, *cell, total) + alone)
    };
    gather(cells.iter().map(score), count(cells.len()))
}

fn cell_of<'a>(runs: impl IntoIterator<Item = &'a Run>) -> Cell {
    let mut cell = Cell::default();
    for run in runs {
        cell.add(run.failed);
    }
    cell
}

/// The first of the highest weights; `None` when none weighs anything.
fn highest(weights: &[f64]) -> Option<u32> {
    let best = weights.iter().copied().fold(0.0, f64::max);
    let at = weights
        .iter()
        .position(|weight| *weight > 0.0 && *weight >= best)?;
    Some(count(at))
}
