//! Flags from the database, each with what replays it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
};

use super::{Found, Names, NoAction, Seen};
use crate::{
    command::{fixed, tokens},
    config::Settings,
    model::{Count, Fixed, HuntKind, ListDigest, SuiteId, TestId, UnixMillis, Verdict},
    plan::{Row, Token},
    report::Fragility,
    store::{self, AnalysisRow, FlagRow, Reader, RevisionId, StoreError},
    suite::{Checkout, Owners},
};

/// All flags of a suite.
#[derive(Default)]
pub(in crate::command) struct Board {
    /// The suite's tests as they are now.
    pub(in crate::command) tests: Vec<TestId>,
    /// The flags: most failures first, systemic ones last.
    pub(in crate::command) found: Vec<Found>,
    /// Attempts to certify, over the life of the database.
    pub(in crate::command) attempts: u64,
    /// How the analysis stood when it last looked.
    pub(in crate::command) analysis: Option<AnalysisRow>,
    /// Why nobody is known to own a test, where there is a CODEOWNERS file that cannot be used.
    pub(in crate::command) owners_unknown: Option<String>,
}

/// Counts the certified flags that need action, without all that stands beside them: `status` has 50 ms. `fixed` are the
/// tests that the analysis found fixed when it last looked.
///
/// # Errors
/// When the database cannot be read.
pub(in crate::command) fn open_flags(
    suite: SuiteId,
    reader: &Reader,
    tests: &[TestId],
    fixed: &[Fixed],
) -> Result<usize, StoreError> {
    let present: BTreeSet<&TestId> = tests.iter().collect();
    let rows = reader.flags(suite, UnixMillis(i64::MIN))?;
    let is_open = |row: &&FlagRow| row.flag.certified && no_action(row, &present, fixed).is_none();
    Ok(rows.iter().filter(is_open).count())
}

fn no_action(row: &FlagRow, present: &BTreeSet<&TestId>, fixed: &[Fixed]) -> Option<NoAction> {
    match &row.flag.test {
        _ if row.flag.verdict == Verdict::Infrastructure => Some(NoAction::Infrastructure),
        Some(test) if !present.contains(test) => Some(NoAction::Gone),
        Some(_) if fixed::of(fixed, row).is_some() => Some(NoAction::Fixed),
        Some(_) | None => None,
    }
}

/// Reads all flags of the suite that were raised or seen at `since` or later.
///
/// # Errors
/// When the database cannot be read.
pub(in crate::command) fn board(
    settings: &Settings,
    reader: &Reader,
    since: Option<UnixMillis>,
) -> Result<Board, StoreError> {
    let suite = settings.suite.id;
    let tests = tests(suite, reader)?;
    let analysis = reader.analysis(suite)?;
    let fixed = analysis.as_ref().map_or(&[][..], |row| &row.fixed);
    let desk = Desk::of(settings, reader, &tests, fixed, since)?;
    let mut found = Vec::new();
    for row in reader.flags(suite, UnixMillis(i64::MIN))? {
        let last = row.last_seen.as_ref().map(|seen| seen.at);
        if since.is_some_and(|since| row.at < since && last.is_none_or(|last| last < since)) {
            continue;
        }
        found.push(desk.found(row)?);
    }
    for suspicion in analysis.iter().flat_map(|analysis| &analysis.suspected) {
        let has_flag = |found: &&mut Found| found.flag.test.as_ref() == Some(&suspicion.test);
        match found.iter_mut().find(has_flag) {
            Some(found) => found.suspicion = Some(suspicion.clone()),
            None => found.push(Found {
                suspicion: Some(suspicion.clone()),
                ..desk.unflagged(&suspicion.test)?
            }),
        }
    }
    found.sort_by(|a, b| {
        let rank = |found: &Found| {
            (
                found.flag.test.is_none(),
                found.certainty(),
                found.always_fails(),
            )
        };
        let share = |found: &Found| found.fragility.map_or(0.0, |share| share.per_1000);
        (rank(a).cmp(&rank(b)))
            .then(share(b).total_cmp(&share(a)))
            .then(b.flag.soak.failures.cmp(&a.flag.soak.failures))
            .then_with(|| a.name().cmp(&b.name()))
    });
    let attempts = reader.attempts(suite)?;
    let owners_unknown = desk.owners_unknown;
    Ok(Board {
        tests,
        found,
        attempts,
        analysis,
        owners_unknown,
    })
}

/// Returns the suite's tests as they are now; empty where no revision is on record.
///
/// # Errors
/// When the database cannot be read.
pub(in crate::command) fn tests(
    suite: SuiteId,
    reader: &Reader,
) -> Result<Vec<TestId>, StoreError> {
    let newest = reader.latest_revision(suite)?;
    Ok(newest.map_or_else(Vec::new, |revision| revision.tests))
}

/// Turns rows into flags: knows the suite as it is now, and keeps what several rows need.
pub(in crate::command) struct Desk<'a> {
    suite: SuiteId,
    reader: &'a Reader,
    names: Names<'a>,
    present: BTreeSet<&'a TestId>,
    database: u32,
    newest_hunt: Option<i64>,
    since: Option<UnixMillis>,
    lists: RefCell<BTreeMap<RevisionId, ListDigest>>,
    fragility: Fragility,
    fixed: &'a [Fixed],
    soak: BTreeMap<TestId, Count>,
    checkout: Checkout,
    owners: Owners,
    /// Why nobody is known to own a test, where there is a CODEOWNERS file that cannot be used.
    pub(in crate::command) owners_unknown: Option<String>,
}

impl<'a> Desk<'a> {
    /// Looks at the suite. `fixed` are the tests that the analysis found fixed when it last looked. A flag is new when
    /// it was first certified at `since` or later, or by the newest hunt.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(in crate::command) fn of(
        settings: &Settings,
        reader: &'a Reader,
        tests: &'a [TestId],
        fixed: &'a [Fixed],
        since: Option<UnixMillis>,
    ) -> Result<Self, StoreError> {
        let suite = settings.suite.id;
        let checkout = Checkout::of(&settings.suite.root);
        let (owners, owners_unknown) = match checkout.owners() {
            Ok(owners) => (owners, None),
            Err(error) => (Owners::default(), Some(because(&error))),
        };
        Ok(Self {
            suite,
            reader,
            names: Names::of(tests),
            present: tests.iter().collect(),
            database: reader.database_id()?,
            newest_hunt: reader
                .latest_hunt(suite, HuntKind::Hunt)?
                .map(|hunt| hunt.id),
            since,
            lists: RefCell::default(),
            fragility: {
                let natural = reader.natural_runs(suite)?;
                Fragility::of(natural.runs, natural.red.values())
            },
            fixed,
            soak: reader.soak_of_flagged(suite)?,
            checkout,
            owners,
            owners_unknown,
        })
    }

    /// Completes one flag.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(in crate::command) fn found(&self, mut row: FlagRow) -> Result<Found, StoreError> {
        // The counts of the claim are of when it was written; these are of now, as everywhere else.
        if let Some(test) = &row.flag.test {
            row.flag.soak = self.soak.get(test).copied().unwrap_or_default();
        }
        let mut history = match &row.flag.test {
            Some(test) => self.reader.flags_of(self.suite, test)?,
            None => vec![row.clone()],
        };
        // Oldest first: when was anything certified about it, and when this verdict?
        history.reverse();
        let certified = history.iter().find(|one| one.flag.certified);
        let is_new = certified.is_some_and(|first| match self.since {
            Some(since) => first.at >= since,
            None => Some(first.hunt) == self.newest_hunt,
        });
        let raised = history
            .iter()
            .find(|one| {
                one.flag.verdict == row.flag.verdict && one.flag.certified == row.flag.certified
            })
            .map(|first| first.at);
        let no_action = no_action(&row, &self.present, self.fixed);
        let fixed = fixed::of(self.fixed, &row).cloned();
        let token = match (&row.token, &row.last_seen) {
            (Some(token), _) => Some(token.clone()),
            (None, Some(seen)) => Some(self.token(seen)?.to_string()),
            (None, None) => None,
        };
        Ok(Found {
            handle: row.flag.test.as_ref().map(|test| self.names.handle(test)),
            suspicion: None,
            raised,
            first: row.first_seen.as_ref().map(Seen::of),
            last: row.last_seen.as_ref().map(Seen::of),
            token,
            signature: row.last_seen.and_then(|seen| seen.signature),
            fragility: row
                .flag
                .test
                .as_ref()
                .and_then(|test| self.fragility.share(test)),
            owners: row
                .flag
                .test
                .as_ref()
                .map_or_else(Vec::new, |test| self.owners_of(test)),
            no_action,
            fixed,
            is_new,
            flag: row.flag,
        })
    }

    /// Returns a test without a flag, with its failures in the recorded iterations.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(in crate::command) fn unflagged(&self, test: &TestId) -> Result<Found, StoreError> {
        let soak = self.reader.outcomes_of(self.suite, test)?.soak();
        let first = self.reader.first_failure_of(self.suite, test)?;
        let last = self.reader.failures_of(self.suite, test, 1)?.pop();
        let token = last.as_ref().map(|seen| self.token(seen)).transpose()?;
        Ok(Found {
            first: first.as_ref().map(Seen::of),
            last: last.as_ref().map(Seen::of),
            token: token.map(|token| token.to_string()),
            signature: last.and_then(|seen| seen.signature),
            fragility: self.fragility.share(test),
            owners: self.owners_of(test),
            no_action: (!self.present.contains(test)).then_some(NoAction::Gone),
            ..Found::of_test(test, &self.names.handle(test), soak)
        })
    }

    /// Returns who looks after a test's file.
    pub(in crate::command) fn owners_of(&self, test: &TestId) -> Vec<String> {
        let file = self.checkout.file_of(test);
        file.map_or_else(Vec::new, |file| self.owners.of(&file).to_vec())
    }

    /// Returns the token of the order in which a test failed: of its shard, or of what was left of it after a crash
    /// or the like.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(in crate::command) fn token(&self, seen: &store::Seen) -> Result<Token, StoreError> {
        if tokens::continues(self.reader, seen.shard, seen.segment)? {
            let row = Row::Segment(seen.segment.unsigned_abs());
            return Ok(tokens::of_row(row, self.database));
        }
        let list = match self.lists.borrow_mut().entry(seen.revision) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(entry) => *entry.insert(self.reader.revision(seen.revision)?.list),
        };
        let plan = self.reader.shard(seen.shard)?.plan;
        Ok(tokens::of_shard(
            self.suite,
            list,
            &plan,
            seen.shard,
            self.database,
        ))
    }
}

/// Returns an error with its cause, as one sentence.
fn because(error: &dyn std::error::Error) -> String {
    let cause = error
        .source()
        .map_or_else(String::new, |cause| format!(": {cause}"));
    format!("{error}{cause}")
}

impl Seen {
    /// Takes what a person wants to know of a recorded failure.
    pub(in crate::command) fn of(seen: &store::Seen) -> Self {
        Self {
            time: seen.at,
            revision: seen
                .git
                .clone()
                .unwrap_or_else(|| format!("number {}", seen.revision.0)),
            shard: seen.shard,
        }
    }
}
