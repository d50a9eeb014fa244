//! From the database to the material of a digest.

use std::collections::BTreeMap;

use crate::{
    command::{
        finding::{Names, read::Desk},
        pass::{Roster, flags, pass},
    },
    config::Settings,
    error::Failure,
    model::{ShardState, SuiteId, UnixMillis},
    report::{
        Ledger, Material, Window,
        digest::{Hunts, Origin, Revision},
    },
    store::{Reader, RevisionBrief, SIGNATURE_ALGORITHM, SegmentStart, StoreError},
};

/// The wall clock jumped where it and the monotonic clock of one boot drift apart by more than this.
const JUMP_MILLIS: i64 = 30_000;

/// Reads everything that the report of a window needs. Without a database there is nothing in it.
///
/// # Errors
/// When the database cannot be read.
pub(super) fn material(
    settings: &Settings,
    reader: Option<&Reader>,
    window: Window,
) -> Result<Material, Failure> {
    let suite = settings.suite.id;
    let origin = Origin {
        suite: settings.suite.name.as_str().to_owned(),
        suite_id: suite.to_string(),
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        schema: reader.map_or(Ok(0), Reader::schema_version)?,
        database: reader.map_or(Ok(0), Reader::database_id)?,
        signature_rule: SIGNATURE_ALGORITHM,
    };
    let Some(reader) = reader else {
        return Ok(Material {
            ledger: Ledger::new(&window, 0, Vec::new()),
            window,
            origin,
            roster: Vec::new(),
            handles: Vec::new(),
            listed: Vec::new(),
            flags: Vec::new(),
            revisions: BTreeMap::new(),
            signatures: BTreeMap::new(),
            texts: BTreeMap::new(),
            owners: BTreeMap::new(),
            tokens: BTreeMap::new(),
            hunts: Hunts::default(),
        });
    };
    let roster = Roster::read(suite, reader)?;
    let flags = flags(suite, reader, &roster, window.until)?;
    let ledger = pass(suite, reader, &roster, &flags, &window)?;
    let revisions = reader.revisions(suite)?;
    let newest = revisions
        .iter()
        .rev()
        .find(|found| found.seen < window.until);
    let mut listed = vec![false; roster.tests.len()];
    let mut now = Vec::new();
    if let Some(newest) = newest {
        for row in reader.list_rows(newest.list)? {
            if let Some(index) = roster.index.get(&row) {
                listed[*index as usize] = true;
                now.push(roster.tests[*index as usize].clone());
            }
        }
    }
    let names = Names::of(&now);
    let desk = Desk::of(settings, reader, &now, &[], None)?;
    let mut material = Material {
        handles: roster.tests.iter().map(|test| names.handle(test)).collect(),
        listed,
        revisions: briefs(reader, &roster, &ledger, &revisions)?,
        signatures: BTreeMap::new(),
        texts: BTreeMap::new(),
        owners: BTreeMap::new(),
        tokens: BTreeMap::new(),
        hunts: hunts(suite, reader, &window)?,
        window,
        origin,
        ledger,
        flags,
        roster: Vec::new(),
    };
    let flagged: Vec<u32> = material
        .flags
        .iter()
        .filter(|raised| raised.flag.certified)
        .filter_map(|raised| raised.test)
        .collect();
    let failing = (0_u32..).zip(&material.ledger.tests);
    let failing: Vec<u32> = failing
        .filter(|(test, history)| history.within.failures > 0 || flagged.contains(test))
        .map(|(test, _)| test)
        .collect();
    let (since, until) = (material.window.since, material.window.until);
    for test in failing {
        let row = roster.rows[test as usize];
        let owners = desk.owners_of(&roster.tests[test as usize]);
        material.owners.insert(test, owners);
        let signatures = reader.signatures_between(suite, row, since, until)?;
        material.signatures.insert(test, signatures);
        if let Some(last) = reader.failure_before(suite, row, until)? {
            if let Some(text) = last.text {
                material.texts.insert(test, text);
            }
            material
                .tokens
                .insert(test, desk.token(&last.seen)?.to_string());
        }
    }
    drop(desk);
    drop(names);
    material.roster = roster.tests;
    Ok(material)
}

/// Revisions by row; only those at the ends of the window have their tests, nobody asks for others.
fn briefs(
    reader: &Reader,
    roster: &Roster,
    ledger: &Ledger,
    revisions: &[RevisionBrief],
) -> Result<BTreeMap<i64, Revision>, StoreError> {
    let seen = ledger
        .tests
        .iter()
        .flat_map(|history| [history.first_within, history.last_run])
        .flatten()
        .map(|sight| sight.revision);
    let seen: std::collections::BTreeSet<i64> = seen.collect();
    let mut made = BTreeMap::new();
    for brief in revisions {
        let tests = if seen.contains(&brief.id.0) {
            let rows = reader.list_rows(brief.list)?;
            let mut tests: Vec<u32> = rows
                .iter()
                .filter_map(|row| roster.index.get(row).copied())
                .collect();
            tests.sort_unstable();
            tests
        } else {
            Vec::new()
        };
        made.insert(
            brief.id.0,
            Revision {
                label: brief.label(),
                seen: brief.seen,
                tests,
            },
        );
    }
    Ok(made)
}

fn hunts(suite: SuiteId, reader: &Reader, window: &Window) -> Result<Hunts, StoreError> {
    let starts = reader.segments_between(suite, window.since, window.until)?;
    let mut shards: BTreeMap<i64, ShardState> = BTreeMap::new();
    let mut machines: Vec<String> = Vec::new();
    for start in &starts {
        shards.insert(start.shard, start.state);
        machines.push(start.host.clone());
    }
    machines.sort_unstable();
    machines.dedup();
    let count =
        |wanted: ShardState| shards.values().filter(|state| **state == wanted).count() as u64;
    let analysis = reader.analysis(suite)?;
    let canary = analysis.as_ref().and_then(|row| row.canary.clone());
    Ok(Hunts {
        shards: [
            shards.len() as u64,
            count(ShardState::Finished),
            count(ShardState::Abandoned),
        ],
        machines,
        attempts: reader.attempts(suite)?,
        pair_coverage: analysis.as_ref().map(|row| row.pair_coverage),
        canary: canary.map(|canary| (canary.state, canary.why)),
        suspected: analysis.map_or(0, |row| row.suspected.len() as u64),
        clock_jumps: clock_jumps(&starts),
    })
}

/// Finds where the wall clock moved against the monotonic clock of its boot.
fn clock_jumps(starts: &[SegmentStart]) -> Vec<(UnixMillis, i64)> {
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    let mut jumps = Vec::new();
    for start in starts {
        let offset = start.started_at.0 - start.started.0 / 1000;
        if let Some(before) = last.insert(&start.boot_id, offset)
            && (offset - before).abs() > JUMP_MILLIS
        {
            jumps.push((start.started_at, (offset - before) / 1000));
        }
    }
    jumps
}
