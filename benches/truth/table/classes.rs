//! M11 to M14: what is said of every kind of defect, and what that costs.

use std::collections::BTreeMap;

use soakhound::model::{Question, Verdict};

use super::super::bench::hunt::{Found, Probing, Setup, hunt};
use super::super::bench::scenario::classes;
use super::super::bench::score::{Mark, Scored, describe, due, mark, names_innocent, score};
use super::super::bench::world::{Defect, World};
use super::super::options::Options;
use super::super::print::line;
use super::super::run::by_seed;
use super::{Goal, judge};

/// Prints them.
pub(super) fn rows(options: &Options, wanted: &dyn Fn(&str) -> bool) {
    if wanted("M11") || wanted("M13") {
        let all = suites(options, 300, Probing::Meanwhile);
        accuracy(
            "M11",
            &all,
            Goal::AtLeast(95.0, 99.0),
            Goal::AtMost(1.0, 0.2),
        );
        precision(&all);
        all.cost("as shipped", Goal::AtMost(7.0, 3.0));
        all.details(options.verbose);
    }
    if wanted("M12") {
        let all = suites(options, 100, Probing::Meanwhile);
        accuracy(
            "M12",
            &all,
            Goal::AtLeast(90.0, 95.0),
            Goal::AtMost(1.5, 0.5),
        );
        all.details(options.verbose);
    }
    if wanted("M14") {
        let goals = [
            (300, Goal::AtMost(7.0, 3.0)),
            (1000, Goal::AtMost(2.5, 1.0)),
        ];
        for (iterations, goal) in goals {
            let all = suites(options, iterations, Probing::Afterwards);
            all.cost("where it comes after the soak", goal);
            all.details(options.verbose);
        }
        let all = suites(options, 1000, Probing::Meanwhile);
        all.cost("as shipped", Goal::AtMost(2.5, 1.0));
        all.details(options.verbose);
    }
}

/// What one suite gave.
#[derive(Default)]
struct Suite {
    scored: Vec<(&'static str, Scored)>,
    /// Certified flags, and those of them that are right.
    certified: u64,
    certified_right: u64,
    /// Certified flags that name a test, and those that name the right ones.
    named: u64,
    named_right: u64,
    probes: u64,
    soak: u64,
    healthy_flagged: u64,
    /// Executions by kind of defect and of question.
    costs: BTreeMap<(&'static str, Question), u64>,
    notes: Vec<String>,
}

impl Suite {
    fn of(world: &World, found: &Found, seed: u64) -> Self {
        let (scored, slander) = score(world, found);
        let mut suite = Self {
            probes: found.probe_executions,
            soak: found.soak_executions,
            healthy_flagged: slander.healthy_flagged,
            ..Self::default()
        };
        for (test, flag) in found.flags.iter().filter(|(_, flag)| flag.certified) {
            let due = world.defects.get(test).map(|defect| due(world, defect));
            let due = due.unwrap_or_default();
            suite.certified += 1;
            suite.certified_right += u64::from(matches!(
                mark(&due, Some(flag), 1),
                Mark::Right | Mark::Incomplete
            ));
            if flag.names_another() {
                suite.named += 1;
                suite.named_right += u64::from(!names_innocent(&due, flag));
            }
        }
        for ((test, question), executions) in &found.by_question {
            let kind = world.defects.get(test).map_or("healthy", kind);
            *suite.costs.entry((kind, *question)).or_default() += executions;
        }
        suite.notes = scored
            .iter()
            .filter(|scored| !matches!(scored.mark, Mark::Right | Mark::Unseen))
            .map(|scored| format!("  seed {seed}: {}", describe(world, found, scored)))
            .collect();
        suite.scored = scored
            .into_iter()
            .map(|scored| (kind(&world.defects[&scored.victim]), scored))
            .collect();
        suite
    }
}

/// All suites of one length.
struct All {
    what: String,
    suites: Vec<Suite>,
}

fn suites(options: &Options, iterations: u64, probing: Probing) -> All {
    let tests = options.tests.unwrap_or(2000);
    let suites = by_seed(options, options.seeds, |seed| {
        let world = classes(tests, iterations, seed);
        let setup = Setup {
            probing,
            ..Setup::shipped(seed, iterations)
        };
        let found = hunt(&world, &setup, &mut |_, _| {});
        Suite::of(&world, &found, seed)
    });
    let what = format!("n={tests}, T={iterations}, {} suites", suites.len());
    All { what, suites }
}

fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

fn accuracy(row: &str, all: &All, right: Goal, wrong: Goal) {
    let count = |marks: &[Mark]| {
        let scored = all.suites.iter().flat_map(|suite| &suite.scored);
        scored
            .filter(|(_, scored)| marks.contains(&scored.mark))
            .count() as u64
    };
    let total = all.sum(|suite| suite.scored.len() as u64);
    let seen = total - count(&[Mark::Unseen]);
    judge(
        row,
        percent(count(&[Mark::Right, Mark::Incomplete]), seen),
        right,
        &format!(
            "% right of {seen} seen (complete {:.1} %, undecided {:.1} %), {}",
            percent(count(&[Mark::Right]), seen),
            percent(count(&[Mark::Undetermined]), seen),
            all.what
        ),
    );
    judge(
        row,
        percent(count(&[Mark::Wrong, Mark::Innocent]), seen),
        wrong,
        &format!("% wrong of {seen} seen, {}", all.what),
    );
}

fn precision(all: &All) {
    let (right, certified) = (
        all.sum(|suite| suite.certified_right),
        all.sum(|suite| suite.certified),
    );
    judge(
        "M11",
        percent(right, certified),
        Goal::AtLeast(99.0, 99.9),
        &format!(
            "% of {certified} certified labels right (healthy flagged {}), {}",
            all.sum(|suite| suite.healthy_flagged),
            all.what
        ),
    );
    let (right, named) = (
        all.sum(|suite| suite.named_right),
        all.sum(|suite| suite.named),
    );
    judge(
        "M13",
        percent(right, named),
        Goal::AtLeast(98.0, 100.0),
        &format!("% of {named} named culprits right, {}", all.what),
    );
}

impl All {
    fn sum(&self, of: impl Fn(&Suite) -> u64) -> u64 {
        self.suites.iter().map(of).sum()
    }

    fn cost(&self, when: &str, goal: Goal) {
        judge(
            "M14",
            percent(self.sum(|suite| suite.probes), self.sum(|suite| suite.soak)),
            goal,
            &format!("% diagnosis of soak executions, {when}, {}", self.what),
        );
    }

    /// Who was taken for what, and at what cost; every miss too, if `verbose`.
    fn details(&self, verbose: bool) {
        let mut rows: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
        for (kind, scored) in self.suites.iter().flat_map(|suite| &suite.scored) {
            let said = match (scored.mark, scored.said) {
                (Mark::Unseen, _) => "unseen",
                (Mark::Undetermined, _) | (_, None) => "undetermined",
                (_, Some(verdict)) => verdict.word(),
            };
            *rows.entry(kind).or_default().entry(said).or_default() += 1;
        }
        let mut costs: BTreeMap<&str, BTreeMap<Question, u64>> = BTreeMap::new();
        for ((kind, question), executions) in self.suites.iter().flat_map(|suite| &suite.costs) {
            rows.entry(kind).or_default();
            *costs.entry(kind).or_default().entry(*question).or_default() += executions;
        }
        for (kind, said) in rows {
            let said: Vec<String> = said
                .iter()
                .map(|(word, count)| format!("{word} {count}"))
                .collect();
            let costs = costs.remove(kind).unwrap_or_default();
            let mut by_question: Vec<String> = costs
                .iter()
                .filter(|_| verbose)
                .map(|(question, executions)| format!("{question:?} {executions}"))
                .collect();
            by_question.insert(0, costs.values().sum::<u64>().to_string());
            line(&format!(
                "       {kind:14} {}; executions {}",
                said.join(", "),
                by_question.join(", ")
            ));
        }
        if verbose {
            self.suites
                .iter()
                .flat_map(|suite| &suite.notes)
                .for_each(|note| line(note));
        }
    }
}

fn kind(defect: &Defect) -> &'static str {
    match defect {
        Defect::Polluted { groups, .. } if groups[0].len() > 1 => "together",
        Defect::Polluted { rate, .. } if *rate < 1.0 => "noisy",
        Defect::Polluted { cleaners, .. } if !cleaners.is_empty() => "cleaned",
        Defect::Polluted { groups, .. } if groups.len() > 1 => "either",
        Defect::Polluted { .. } => "polluted",
        Defect::Adjacent { .. } => "adjacent",
        Defect::Regression { .. } => "regression",
        Defect::Night { .. } => "night",
        Defect::Nod { .. } => Verdict::Nod.word(),
        Defect::Brittle { .. } => Verdict::OdBrittle.word(),
        Defect::Nio { .. } => Verdict::Nio.word(),
        Defect::Position { .. } => Verdict::Position.word(),
        Defect::Environment { .. } => Verdict::Environment.word(),
        Defect::HashSeed { .. } => "hash-seed",
        Defect::Interference { .. } => Verdict::Interference.word(),
        Defect::Broken => Verdict::Broken.word(),
        Defect::Crash { .. } => "crash",
        Defect::Hang { .. } => "hang",
    }
}
