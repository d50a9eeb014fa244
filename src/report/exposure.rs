//! Under which orders does a flagged test fail? Only passes under those say that it is mended.

use super::ledger::Run;
use crate::model::{Flag, Group, Role, TestId, Verdict};

/// The condition that a run must meet to tell anything about a flag. Tests are indices into the roster.
#[derive(Clone, Debug, PartialEq)]
pub enum Exposure {
    /// Every run does.
    Always,
    /// One of these groups ran before, and none of the cleaners since.
    After {
        /// Groups: all members of one are needed.
        groups: Vec<Members>,
        /// Groups that undo it.
        cleaners: Vec<Vec<u32>>,
    },
    /// None of these groups ran before.
    Unless(Vec<Vec<u32>>),
    /// It runs again in the same process.
    Second,
    /// So many tests ran before.
    Late(u32),
    /// These factors have these levels.
    Levels(Vec<(String, String)>),
}

/// A group that must have run.
#[derive(Clone, Debug, PartialEq)]
pub struct Members {
    /// All of them.
    pub tests: Vec<u32>,
    /// Must its last one end directly before?
    pub adjacent: bool,
}

impl Exposure {
    /// Reads the condition from a flag; `index` finds tests in the roster.
    pub fn of(flag: &Flag, index: impl Fn(&TestId) -> Option<u32>) -> Self {
        let members =
            |group: &Group| -> Option<Vec<u32>> { group.members.iter().map(&index).collect() };
        let holders = |role| flag.groups.iter().filter(move |group| group.role == role);
        match flag.verdict {
            Verdict::OdVictim | Verdict::Ndod => {
                let groups: Vec<Members> = holders(Role::Polluter)
                    .filter_map(|group| {
                        Some(Members {
                            tests: members(group)?,
                            adjacent: group.adjacent,
                        })
                    })
                    .collect();
                let cleaners = holders(Role::Cleaner).filter_map(members).collect();
                if groups.is_empty() {
                    Self::Always
                } else {
                    Self::After { groups, cleaners }
                }
            }
            Verdict::OdBrittle => {
                Self::Unless(holders(Role::StateSetter).filter_map(members).collect())
            }
            Verdict::Nio => Self::Second,
            Verdict::Position => Self::Late(flag.threshold.unwrap_or(1)),
            Verdict::Environment => Self::Levels(flag.factors.clone()),
            Verdict::Infrastructure
            | Verdict::Broken
            | Verdict::Interference
            | Verdict::Nod
            | Verdict::Undetermined => Self::Always,
        }
    }

    /// Does the run that comes next in a segment meet it? `position` counts trials from 0.
    #[must_use]
    pub fn holds(
        &self,
        run: &Run,
        position: u32,
        placed: &Placed,
        factors: &[(String, String)],
    ) -> bool {
        let last = |tests: &[u32]| -> Option<u32> {
            let at = tests.iter().map(|test| placed.place(*test));
            at.collect::<Option<Vec<u32>>>()?.into_iter().max()
        };
        match self {
            Self::Always => true,
            Self::After { groups, cleaners } => {
                let cleaned = cleaners.iter().filter_map(|group| last(group)).max();
                groups.iter().any(|group| {
                    last(&group.tests).is_some_and(|at| {
                        cleaned.is_none_or(|cleaned| cleaned < at)
                            && (!group.adjacent || at + 1 == position)
                    })
                })
            }
            Self::Unless(groups) => groups.iter().all(|group| last(group).is_none()),
            Self::Second => run.rep >= 2,
            Self::Late(threshold) => position >= *threshold,
            Self::Levels(levels) => levels.iter().all(|level| factors.contains(level)),
        }
    }

    /// Returns the condition in words, for "so many passes ...".
    #[must_use]
    pub fn words(&self) -> &'static str {
        match self {
            Self::Always => "in a row",
            Self::After { .. } => "in a row after what used to make it fail",
            Self::Unless(_) => "in a row without what it needed before it",
            Self::Second => "in a row when run again in the same process",
            Self::Late(_) => "in a row as late in a process as it used to fail",
            Self::Levels(_) => "in a row in the environment in which it used to fail",
        }
    }
}

/// Where the tests of a segment ran last, so far.
#[derive(Debug)]
pub struct Placed {
    /// Segment and position by test; one whose segment is another did not run in this one.
    places: Vec<(u32, u32)>,
    segment: u32,
}

impl Placed {
    /// Nothing ran yet.
    #[must_use]
    pub fn new(tests: usize) -> Self {
        Self {
            places: vec![(0, 0); tests],
            segment: 0,
        }
    }

    /// A segment begins.
    pub fn begin(&mut self) {
        self.segment = self.segment.wrapping_add(1);
        if self.segment == 0 {
            self.places.fill((0, 0));
            self.segment = 1;
        }
    }

    /// A test ran.
    pub fn ran(&mut self, test: u32, position: u32) {
        if let Some(place) = self.places.get_mut(test as usize) {
            *place = (self.segment, position);
        }
    }

    /// Returns where a test ran last in this segment.
    #[must_use]
    pub fn place(&self, test: u32) -> Option<u32> {
        let (segment, position) = *self.places.get(test as usize)?;
        (segment == self.segment).then_some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Outcome;

    fn exposed(exposure: &Exposure, before: &[u32], rep: u8) -> bool {
        let mut placed = Placed::new(10);
        placed.begin();
        for (position, test) in (0..).zip(before) {
            placed.ran(*test, position);
        }
        let run = Run {
            test: 9,
            rep,
            outcome: Outcome::Passed,
        };
        let position = u32::try_from(before.len()).unwrap();
        exposure.holds(&run, position, &placed, &[("TZ".into(), "UTC".into())])
    }

    fn after(groups: &[(&[u32], bool)], cleaners: &[&[u32]]) -> Exposure {
        let group = |(tests, adjacent): &(&[u32], bool)| Members {
            tests: tests.to_vec(),
            adjacent: *adjacent,
        };
        Exposure::After {
            groups: groups.iter().map(group).collect(),
            cleaners: cleaners.iter().map(|group| group.to_vec()).collect(),
        }
    }

    #[test]
    fn only_orders_that_made_a_victim_fail_count() {
        let one = after(&[(&[1], false)], &[&[5]]);
        assert!(exposed(&one, &[0, 1, 2], 1));
        assert!(!exposed(&one, &[0, 2], 1));
        assert!(!exposed(&one, &[1, 5], 1), "a cleaner ran since");
        assert!(exposed(&one, &[5, 1], 1), "a cleaner before does not help");
        let both = after(&[(&[1, 2], false)], &[]);
        assert!(exposed(&both, &[2, 0, 1], 1) && !exposed(&both, &[1, 0], 1));
        let either = after(&[(&[1], false), (&[2], false)], &[]);
        assert!(
            exposed(&either, &[2], 1) && exposed(&either, &[1], 1) && !exposed(&either, &[], 1)
        );
        let adjacent = after(&[(&[1], true)], &[]);
        assert!(exposed(&adjacent, &[0, 1], 1) && !exposed(&adjacent, &[1, 0], 1));
    }

    #[test]
    fn other_conditions() {
        let brittle = Exposure::Unless(vec![vec![1], vec![2, 3]]);
        assert!(exposed(&brittle, &[0, 2], 1));
        assert!(!exposed(&brittle, &[1], 1) && !exposed(&brittle, &[3, 2], 1));
        assert!(exposed(&Exposure::Second, &[9], 2) && !exposed(&Exposure::Second, &[], 1));
        assert!(exposed(&Exposure::Late(2), &[0, 1], 1) && !exposed(&Exposure::Late(2), &[0], 1));
        let level = |level: &str| Exposure::Levels(vec![("TZ".into(), level.into())]);
        assert!(exposed(&level("UTC"), &[], 1) && !exposed(&level("Asia/Tokyo"), &[], 1));
        assert!(exposed(&Exposure::Always, &[], 1));
    }
}
