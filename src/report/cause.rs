//! One row per cause: victims of one polluter stand together.

use std::collections::BTreeMap;

use crate::model::{Flag, Role, TestId};

/// What decides over some tests. Places are those of the flags that were given.
#[derive(Clone, Debug, PartialEq)]
pub enum Grouped<'a> {
    /// A test with a cause of its own.
    One(usize),
    /// Two tests or more that one group makes fail (or pass), in the order in which they were given.
    Shared {
        /// What the group is to them.
        role: Role,
        /// Its members.
        members: &'a [TestId],
        /// The tests.
        victims: Vec<usize>,
    },
}

/// Puts flags together that have a group in common: each with the group that has most of them.
#[must_use]
pub fn by_cause<'a>(flags: &[&'a Flag]) -> Vec<Grouped<'a>> {
    let mut shared: BTreeMap<(Role, &[TestId]), usize> = BTreeMap::new();
    for group in flags.iter().flat_map(|flag| deciding(flag)) {
        *shared.entry(group).or_default() += 1;
    }
    let mut victims: BTreeMap<(Role, &[TestId]), Vec<usize>> = BTreeMap::new();
    let mut causes = Vec::new();
    for (place, flag) in flags.iter().enumerate() {
        // Of equal ones the last in byte order: any rule does, as long as it is one.
        let most = deciding(flag)
            .max_by_key(|group| (shared[group], *group))
            .filter(|group| shared[group] > 1);
        match most {
            Some(group) => victims.entry(group).or_default().push(place),
            None => causes.push(Grouped::One(place)),
        }
    }
    causes.extend(
        victims
            .into_iter()
            .map(|((role, members), victims)| match *victims {
                [one] => Grouped::One(one),
                _ => Grouped::Shared {
                    role,
                    members,
                    victims,
                },
            }),
    );
    causes
}

/// The certified groups that decide over a test; cleaners only undo what others did.
fn deciding(flag: &Flag) -> impl Iterator<Item = (Role, &[TestId])> {
    flag.groups
        .iter()
        .filter(|group| flag.certified && group.role != Role::Cleaner)
        .map(|group| (group.role, &*group.members))
}
