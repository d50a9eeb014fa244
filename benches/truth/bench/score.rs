//! Flags against the truth: what was right, what was missed, and whether an innocent test was named.

use std::collections::{BTreeMap, BTreeSet};

use soakhound::model::{Flag, Role, TestId, Verdict};

use super::hunt::Found;
use super::world::{Defect, HOST, World};

/// What is to be said of one test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Due {
    /// Any of these verdicts is right.
    pub(crate) verdicts: Vec<Verdict>,
    /// Per role, the groups that hold it.
    pub(crate) groups: BTreeMap<Role, BTreeSet<BTreeSet<TestId>>>,
    /// Is one of the groups enough, because there are too many of them?
    pub(crate) any_group: bool,
    /// Can it not be certified, because what decides can only be observed?
    pub(crate) only_suspected: bool,
}

/// More alternatives than these need not all be named: their number is stated instead.
const NAMED: usize = 3;

/// How the answer about one test turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// Never failed in the soak: no answer is due.
    Unseen,
    /// Verdict, groups and roles as planted, certified.
    Right,
    /// The verdict is right and nobody is named wrongly, but something planted is not named.
    Incomplete,
    /// No flag, or one that is undetermined or not certified.
    Undetermined,
    /// Another verdict.
    Wrong,
    /// An innocent test is named.
    Innocent,
}

/// Returns what is to be said of a test with this defect.
pub(crate) fn due(world: &World, defect: &Defect) -> Due {
    let named = |tests: &[u32]| -> BTreeSet<TestId> {
        tests
            .iter()
            .map(|test| world.tests.name(*test).clone())
            .collect()
    };
    let mut groups: BTreeMap<Role, BTreeSet<BTreeSet<TestId>>> = BTreeMap::new();
    let mut any_group = false;
    let mut hold = |role: Role, members: &[u32]| {
        let of_role = groups.entry(role).or_default();
        of_role.insert(named(members));
    };
    let verdicts = match defect {
        Defect::Polluted {
            groups: alternatives,
            cleaners,
            background,
            ..
        } => {
            for group in alternatives {
                hold(Role::Polluter, group);
            }
            for cleaner in cleaners {
                hold(Role::Cleaner, &[*cleaner]);
            }
            if *background > 0.005 {
                vec![Verdict::Ndod]
            } else {
                vec![Verdict::OdVictim]
            }
        }
        Defect::Adjacent { polluters, .. } => {
            any_group = true;
            for polluter in polluters {
                hold(Role::Polluter, &[*polluter]);
            }
            vec![Verdict::OdVictim]
        }
        Defect::Brittle { setters, .. } => {
            for group in setters {
                hold(Role::StateSetter, group);
            }
            vec![Verdict::OdBrittle]
        }
        Defect::Nio { .. } => vec![Verdict::Nio],
        Defect::Position { .. } => vec![Verdict::Position],
        Defect::Environment { .. } | Defect::HashSeed { .. } | Defect::Night { .. } => {
            vec![Verdict::Environment]
        }
        Defect::Interference { neighbour, .. } => {
            hold(Role::Neighbour, &[*neighbour]);
            vec![Verdict::Interference]
        }
        Defect::Broken | Defect::Regression { .. } => vec![Verdict::Broken],
        // A test that kills or blocks its own process now and then is intermittent like any other.
        Defect::Nod { .. } | Defect::Crash { .. } | Defect::Hang { .. } => vec![Verdict::Nod],
    };
    any_group |= groups.values().any(|of_role| of_role.len() > NAMED);
    let only_suspected = matches!(
        defect,
        Defect::Night { .. } | Defect::Environment { factor: HOST, .. }
    );
    Due {
        verdicts,
        groups,
        any_group,
        only_suspected,
    }
}

/// Marks one flag, or its absence.
pub(crate) fn mark(due: &Due, flag: Option<&Flag>, failures: u64) -> Mark {
    let Some(flag) = flag else {
        return if failures == 0 {
            Mark::Unseen
        } else {
            Mark::Undetermined
        };
    };
    if names_innocent(due, flag) {
        return Mark::Innocent;
    }
    let is_certain = flag.certified || due.only_suspected;
    if !is_certain || flag.verdict == Verdict::Undetermined {
        return if failures == 0 {
            Mark::Unseen
        } else {
            Mark::Undetermined
        };
    }
    if !due.verdicts.contains(&flag.verdict) {
        return Mark::Wrong;
    }
    let named = named_groups(flag);
    let is_complete = due.groups.iter().all(|(role, planted)| {
        let found = named.get(role);
        if due.any_group {
            found.is_some_and(|found| !found.is_empty())
        } else {
            found == Some(planted)
        }
    });
    if is_complete {
        Mark::Right
    } else {
        Mark::Incomplete
    }
}

/// Does the flag name a test in a role that it does not have?
///
/// A group must be one that was planted: what holds an innocent member blames it.
pub(crate) fn names_innocent(due: &Due, flag: &Flag) -> bool {
    named_groups(flag).iter().any(|(role, found)| {
        found.iter().any(|members| {
            let planted = due.groups.get(role);
            !planted.is_some_and(|planted| planted.iter().any(|group| members.is_subset(group)))
        })
    })
}

fn named_groups(flag: &Flag) -> BTreeMap<Role, BTreeSet<BTreeSet<TestId>>> {
    let mut named: BTreeMap<Role, BTreeSet<BTreeSet<TestId>>> = BTreeMap::new();
    for group in &flag.groups {
        let others = group.members.iter();
        let others: BTreeSet<TestId> = others
            .filter(|member| Some(*member) != flag.test.as_ref())
            .cloned()
            .collect();
        if !others.is_empty() {
            named.entry(group.role).or_default().insert(others);
        }
    }
    named
}

/// One victim's result.
#[derive(Clone, Debug)]
pub(crate) struct Scored {
    pub(crate) victim: u32,
    pub(crate) mark: Mark,
    pub(crate) said: Option<Verdict>,
    /// Iterations until the last certified flag that said what the final one says first stood.
    pub(crate) iteration: Option<u64>,
    /// Executions of its own questions until then.
    pub(crate) executions: Option<u64>,
    /// Executions of its own questions until a planted group was first named with certainty.
    pub(crate) named: Option<u64>,
    /// Executions of its own questions until the end.
    pub(crate) all_executions: u64,
}

/// Scores every planted defect, and what was said of healthy tests.
pub(crate) fn score(world: &World, found: &Found) -> (Vec<Scored>, Slander) {
    let mut scored = Vec::new();
    for (victim, defect) in &world.defects {
        let due = due(world, defect);
        let flag = found.flags.get(victim);
        let failures = found.seen.get(victim).map_or(0, |count| count.failures);
        let history = found.history.get(victim).map_or(&[][..], Vec::as_slice);
        let first = history
            .iter()
            .find(|known| mark(&due, Some(&known.flag), failures) == Mark::Right);
        scored.push(Scored {
            victim: *victim,
            mark: mark(&due, flag, failures),
            said: flag.map(|flag| flag.verdict),
            iteration: first.map(|known| known.iteration),
            executions: first.map(|known| known.executions),
            named: history
                .iter()
                .find(|known| {
                    let has_others = known.flag.names_another();
                    has_others && !names_innocent(&due, &known.flag)
                })
                .map(|known| known.executions),
            all_executions: found.by_victim.get(victim).copied().unwrap_or(0),
        });
    }
    (scored, slander(world, found))
}

/// What was said wrongly at any time, also where a later flag took it back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slander {
    /// Certified flags that ever named an innocent test.
    pub(crate) innocent_named: u64,
    /// Healthy tests that have a certified flag of their own.
    pub(crate) healthy_flagged: u64,
}

fn slander(world: &World, found: &Found) -> Slander {
    let mut slander = Slander::default();
    for (test, history) in &found.history {
        let due = world.defects.get(test).map(|defect| due(world, defect));
        slander.healthy_flagged += u64::from(due.is_none());
        let due = due.unwrap_or_default();
        let ever = history
            .iter()
            .any(|known| names_innocent(&due, &known.flag));
        slander.innocent_named += u64::from(ever);
    }
    slander
}

/// Describes a result for a person who looks for the reason.
pub(crate) fn describe(world: &World, found: &Found, scored: &Scored) -> String {
    let short = |name: &TestId| String::from_utf8_lossy(name.as_bytes()).into_owned();
    let defect = &world.defects[&scored.victim];
    let said = found.flags.get(&scored.victim).map(|flag| {
        let groups: Vec<String> = flag
            .groups
            .iter()
            .map(|group| {
                let members: Vec<String> = group.members.iter().map(short).collect();
                format!("{} {members:?}", group.role)
            })
            .collect();
        format!(
            "{} (certified {}) {groups:?} alone {}/{} unnamed {} settles {:?} ruled out {:?}",
            flag.verdict,
            flag.certified,
            flag.alone.failures,
            flag.alone.trials,
            flag.unnamed,
            flag.settles,
            flag.ruled_out
        )
    });
    let count = found.seen.get(&scored.victim).copied().unwrap_or_default();
    format!(
        "test {} {defect:?} failed {}/{}; probes {}; thinks {:?}; said {}",
        scored.victim,
        count.failures,
        count.trials,
        scored.all_executions,
        found.explanations.get(&scored.victim),
        said.as_deref().unwrap_or("nothing")
    )
}
