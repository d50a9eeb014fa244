//! A suite's tests in their default order, each with its module. Which part of a name is its module
//! is the runner's knowledge, not ours.

use std::collections::HashMap;

use crate::model::{ListDigest, TestId};

/// The tests of a suite in the order in which the runner lists them.
#[derive(Clone, Debug)]
pub struct Tests {
    names: Vec<TestId>,
    /// Per test, an index into `modules`.
    module_of: Vec<u32>,
    /// In the order of their first test.
    modules: Vec<Box<[u8]>>,
}

impl Tests {
    /// Takes the names, which must be distinct, in default order. `module_of` returns the part of a
    /// name that names its module.
    ///
    /// # Panics
    /// With more than `u32::MAX` names.
    pub fn new(names: Vec<TestId>, module_of: impl Fn(&TestId) -> &[u8]) -> Self {
        let mut modules: Vec<Box<[u8]>> = Vec::new();
        let mut known: HashMap<&[u8], u32> = HashMap::new();
        let indexes = names
            .iter()
            .map(|name| {
                let module = module_of(name);
                *known.entry(module).or_insert_with(|| {
                    modules.push(module.into());
                    index(modules.len() - 1)
                })
            })
            .collect();
        Self {
            module_of: indexes,
            modules,
            names,
        }
    }

    /// Returns the number of tests.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Is there no test?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns the names in default order.
    #[must_use]
    pub fn names(&self) -> &[TestId] {
        &self.names
    }

    /// Returns the name of a test by its index in the default order.
    ///
    /// # Panics
    /// When there is no such test.
    #[must_use]
    pub fn name(&self, test: u32) -> &TestId {
        &self.names[test as usize]
    }

    /// Returns the module of a test, an index below [`module_count`](Self::module_count).
    ///
    /// # Panics
    /// When there is no such test.
    #[must_use]
    pub fn module(&self, test: u32) -> u32 {
        self.module_of[test as usize]
    }

    /// Returns the number of modules.
    #[must_use]
    pub fn module_count(&self) -> usize {
        self.modules.len()
    }

    /// Returns the digest of the whole list in its default order.
    #[must_use]
    pub fn digest(&self) -> ListDigest {
        ListDigest::of(&self.names)
    }

    /// Returns the names of the modules, in the order of their first test.
    pub(super) fn modules(&self) -> impl Iterator<Item = &[u8]> {
        self.modules.iter().map(AsRef::as_ref)
    }

    /// Returns every index, in default order.
    pub(super) fn indexes(&self) -> std::ops::Range<u32> {
        0..u32::try_from(self.names.len()).expect("checked when the list was made")
    }
}

fn index(place: usize) -> u32 {
    u32::try_from(place).expect("no suite has four billion tests")
}
