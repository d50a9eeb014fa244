//! The pass over the record that `report` makes and that finds what is fixed: every test, every flag, every segment
//! once.

use std::collections::BTreeMap;

use crate::{
    model::{Count, Role, SuiteId, TestId, UnixMillis, Verdict},
    report::{Exposure, Ledger, Piece, Run, Window, digest::Raised},
    store::{Cursor, FlagRow, Observed, Reader, StoreError},
};

/// Every test that the suite ever listed.
pub(super) struct Roster {
    pub(super) tests: Vec<TestId>,
    pub(super) rows: Vec<i64>,
    /// Index by row.
    pub(super) index: BTreeMap<i64, u32>,
    by_name: BTreeMap<TestId, u32>,
}

impl Roster {
    /// Reads it, by name.
    ///
    /// # Errors
    /// When the database cannot be read; so for all functions below.
    pub(super) fn read(suite: SuiteId, reader: &Reader) -> Result<Self, StoreError> {
        let mut all = reader.tests_of(suite)?;
        // By name, so that nothing depends on the order in which rows were made.
        all.sort_by(|a, b| a.1.cmp(&b.1));
        let (rows, tests): (Vec<i64>, Vec<TestId>) = all.into_iter().unzip();
        Ok(Self {
            index: rows.iter().copied().zip(0..).collect(),
            by_name: tests.iter().cloned().zip(0..).collect(),
            tests,
            rows,
        })
    }
}

/// The newest flag of each test at a moment, with when anything was first certified about it.
pub(super) fn flags(
    suite: SuiteId,
    reader: &Reader,
    roster: &Roster,
    until: UnixMillis,
) -> Result<Vec<Raised>, StoreError> {
    let mut newest: BTreeMap<u32, Raised> = BTreeMap::new();
    let mut systemic = Vec::new();
    for (row, found) in reader.flags_before(suite, until)? {
        let FlagRow {
            at, flag, token, ..
        } = found;
        let Some(test) = row.and_then(|row| roster.index.get(&row).copied()) else {
            systemic.push(Raised {
                test: None,
                flag,
                at,
                first_certified: None,
                token,
            });
            continue;
        };
        let before = newest.get(&test).and_then(|before| before.first_certified);
        let first_certified = before.or(flag.certified.then_some(at));
        newest.insert(
            test,
            Raised {
                test: Some(test),
                flag,
                at,
                first_certified,
                token,
            },
        );
    }
    Ok(newest.into_values().chain(systemic).collect())
}

/// Goes through the record once.
pub(super) fn pass(
    suite: SuiteId,
    reader: &Reader,
    roster: &Roster,
    flags: &[Raised],
    window: &Window,
) -> Result<Ledger, StoreError> {
    let find = |test: &TestId| roster.by_name.get(test).copied();
    let watched = flags
        .iter()
        .filter(|raised| raised.flag.verdict != Verdict::Infrastructure)
        .filter_map(|raised| {
            let exposure = Exposure::of(&raised.flag, find);
            Some((raised.test?, exposure, blocks(raised)))
        })
        .collect();
    let mut ledger = Ledger::new(window, roster.tests.len(), watched);
    let mut runs = Vec::new();
    reader.observe(&mut Cursor::start(suite), |observed| match observed {
        Observed::Segment(segment) => {
            runs.clear();
            runs.extend(segment.trials.iter().filter_map(|trial| {
                Some(Run {
                    test: *roster.index.get(&trial.test)?,
                    rep: trial.rep,
                    outcome: trial.outcome,
                })
            }));
            let factors: Vec<(String, String)> = segment
                .factors
                .iter()
                .map(|level| (level.factor.clone(), level.level.clone()))
                .collect();
            ledger.segment(&Piece {
                design: segment.layout.design,
                planned: segment.tests,
                revision: segment.revision.0,
                at: segment.started_at,
                took: segment.took,
                factors: &factors,
                trials: &runs,
            });
        }
        Observed::Iteration { .. } => ledger.end_iteration(),
    })?;
    ledger.finish();
    Ok(ledger)
}

/// What certification blocks have shown under the orders that make a test fail.
fn blocks(raised: &Raised) -> Count {
    let polluters = raised
        .flag
        .groups
        .iter()
        .filter(|group| group.role == Role::Polluter);
    let mut sum = polluters.fold(Count::default(), |sum, group| Count {
        failures: sum.failures + group.with.failures,
        trials: sum.trials + group.with.trials,
    });
    if raised.flag.verdict == Verdict::OdBrittle {
        sum.failures += raised.flag.alone.failures;
        sum.trials += raised.flag.alone.trials;
    }
    sum
}
