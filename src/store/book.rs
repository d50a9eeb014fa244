//! Writes hunts, revisions, plans and events: what is committed before a container starts.

use std::collections::HashMap;

use rusqlite::{Connection, named_params};

use super::rows::{self, HuntRow, HuntStart, LeaseStart, RevisionId, RevisionStart, SuiteKey};
use super::{StoreError, sql};
use crate::model::{
    Design, EventRecord, HuntState, ListDigest, ShardPlan, ShardState, TestId, UnixMillis,
};

/// Rows of test names, remembered: every trial asks for one.
#[derive(Default)]
pub(super) struct Names(HashMap<TestId, i64>);

impl Names {
    /// Returns the row of a registered test.
    pub(super) fn find(
        &mut self,
        connection: &Connection,
        test: &TestId,
    ) -> Result<i64, StoreError> {
        if let Some(id) = self.0.get(test) {
            return Ok(*id);
        }
        let values = named_params! { ":name": test.as_bytes() };
        let id = sql::SELECT_TEST.first(connection, values, |row| row.get("id"))?;
        let id = id.ok_or_else(|| StoreError::UnknownTest {
            name: test.as_bytes().to_vec(),
        })?;
        self.0.insert(test.clone(), id);
        Ok(id)
    }
}

fn suite(connection: &Connection, key: &SuiteKey) -> Result<i64, StoreError> {
    let bits = key.id().bits();
    let values = named_params! { ":suite_id": bits, ":name": key.name, ":runner": key.runner };
    sql::INSERT_SUITE.run(connection, values)?;
    sql::SELECT_SUITE.only(connection, named_params! { ":suite_id": bits }, |row| {
        row.get("id")
    })
}

pub(super) fn begin_hunt(
    connection: &Connection,
    start: &HuntStart,
) -> Result<HuntRow, StoreError> {
    let suite_id = suite(connection, &start.suite)?;
    let values = named_params! {
        ":suite_id": suite_id,
        ":kind": start.kind.code(),
        ":master_seed": start.master_seed.cast_signed(),
        ":nonce": start.nonce,
        ":algorithm": start.algorithm,
        ":config": start.config.to_string(),
        ":started_ms": start.lease.at.0,
        ":ends_ms": start.ends.map(|t| t.0),
    };
    let id = sql::INSERT_HUNT.insert(connection, values)?;
    lease(connection, id, &start.lease)?;
    hunt(connection, id)
}

pub(super) fn resume_hunt(
    connection: &Connection,
    hunt_id: i64,
    ends: Option<UnixMillis>,
    start: &LeaseStart,
) -> Result<HuntRow, StoreError> {
    let values = named_params! { ":hunt_id": hunt_id, ":ends_ms": ends.map(|t| t.0) };
    one_row(sql::RESUME_HUNT.run(connection, values)?, "hunt", hunt_id)?;
    lease(connection, hunt_id, start)?;
    hunt(connection, hunt_id)
}

fn lease(connection: &Connection, hunt_id: i64, start: &LeaseStart) -> Result<(), StoreError> {
    let values = named_params! {
        ":hunt_id": hunt_id,
        ":host": start.host,
        ":boot_id": start.boot_id,
        ":pid": start.pid,
        ":tool": start.tool,
        ":workers": start.workers,
        ":at_ms": start.at.0,
    };
    sql::INSERT_LEASE.run(connection, values).map(drop)
}

pub(super) fn hunt(connection: &Connection, id: i64) -> Result<HuntRow, StoreError> {
    let row = sql::SELECT_HUNT.first(connection, named_params! { ":hunt_id": id }, rows::hunt)?;
    row.ok_or(StoreError::NoSuchRow { kind: "hunt", id })
}

pub(super) fn heartbeat(
    connection: &Connection,
    hunt_id: i64,
    at: UnixMillis,
) -> Result<(), StoreError> {
    let values = named_params! { ":hunt_id": hunt_id, ":at_ms": at.0 };
    one_row(sql::TOUCH_LEASE.run(connection, values)?, "hunt", hunt_id)
}

pub(super) fn set_hunt_state(
    connection: &Connection,
    hunt_id: i64,
    state: HuntState,
    reason: Option<&str>,
    at: UnixMillis,
) -> Result<(), StoreError> {
    let ended = match state {
        HuntState::Running | HuntState::Draining => None,
        HuntState::Finished | HuntState::Interrupted | HuntState::Failed => Some(at.0),
    };
    let values = named_params! {
        ":hunt_id": hunt_id, ":state": state.code(), ":reason": reason, ":ended_ms": ended,
    };
    one_row(
        sql::SET_HUNT_STATE.run(connection, values)?,
        "hunt",
        hunt_id,
    )
}

/// Returns the newest revision if nothing differs from it, otherwise a new one.
pub(super) fn register_revision(
    connection: &Connection,
    start: &RevisionStart,
) -> Result<RevisionId, StoreError> {
    let suite_id = suite(connection, &start.suite)?;
    let list_id = test_list(connection, &start.tests)?;
    let known = sql::FIND_REVISION.first(
        connection,
        named_params! {
            ":suite_id": suite_id,
            ":list_id": list_id,
            ":snapshot": start.snapshot,
            ":environment": start.environment,
            ":git": start.git,
        },
        |row| row.get("id"),
    )?;
    if let Some(id) = known {
        return Ok(RevisionId(id));
    }
    let values = named_params! {
        ":suite_id": suite_id,
        ":list_id": list_id,
        ":snapshot": start.snapshot,
        ":environment": start.environment,
        ":git": start.git,
        ":seen_ms": start.at.0,
    };
    sql::INSERT_REVISION
        .insert(connection, values)
        .map(RevisionId)
}

fn test_list(connection: &Connection, tests: &[TestId]) -> Result<i64, StoreError> {
    let digest = ListDigest::of(tests);
    let known = named_params! { ":digest": digest.as_bytes() };
    if let Some(id) = sql::SELECT_LIST.first(connection, known, |row| row.get("id"))? {
        return Ok(id);
    }
    let list_id = sql::INSERT_LIST.insert(connection, known)?;
    for (place, test) in tests.iter().enumerate() {
        let name = named_params! { ":name": test.as_bytes() };
        sql::INSERT_TEST.run(connection, name)?;
        let test_id: i64 = sql::SELECT_TEST.only(connection, name, |row| row.get("id"))?;
        let values =
            named_params! { ":list_id": list_id, ":place": index(place), ":test_id": test_id };
        sql::INSERT_LIST_ENTRY.run(connection, values)?;
    }
    Ok(list_id)
}

/// Writes an iteration with all its shards, and returns their rows in the order given.
pub(super) fn plan_iteration(
    connection: &Connection,
    names: &mut Names,
    hunt_id: i64,
    revision: RevisionId,
    plans: &[ShardPlan],
) -> Result<Vec<i64>, StoreError> {
    let first = plans.first().ok_or(StoreError::MixedPlan)?;
    let same = |p: &ShardPlan| {
        (p.iteration, p.seed, p.algorithm, p.layout)
            == (first.iteration, first.seed, first.algorithm, first.layout)
            && p.drawn_with.to_bits() == first.drawn_with.to_bits()
    };
    if !plans.iter().all(same) {
        return Err(StoreError::MixedPlan);
    }
    let values = named_params! {
        ":hunt_id": hunt_id,
        ":number": first.iteration,
        ":revision_id": revision.0,
        ":seed": first.seed.cast_signed(),
        ":algorithm": first.algorithm,
        ":design": first.layout.design.code(),
        ":shards": first.layout.shards,
        ":grouping": first.layout.grouping.code(),
        ":class": first.layout.class,
        ":drawn_with": first.drawn_with,
    };
    let iteration_id = sql::INSERT_ITERATION.insert(connection, values)?;
    plans
        .iter()
        .map(|plan| plan_shard(connection, names, hunt_id, iteration_id, plan))
        .collect()
}

fn plan_shard(
    connection: &Connection,
    names: &mut Names,
    hunt_id: i64,
    iteration_id: i64,
    plan: &ShardPlan,
) -> Result<i64, StoreError> {
    let values = named_params! {
        ":iteration_id": iteration_id,
        ":hunt_id": hunt_id,
        ":plan_index": plan.plan_index,
        ":number": plan.shard,
        ":trials": plan.trials,
        ":order_digest": plan.order.as_bytes(),
    };
    let shard_id = sql::INSERT_SHARD.insert(connection, values)?;
    for (place, test) in plan.explicit_order.iter().flatten().enumerate() {
        let test_id = names.find(connection, test)?;
        let values = named_params! { ":shard_id": shard_id, ":place": index(place), ":test_id": test_id, ":rep": 1, ":process": 0 };
        sql::INSERT_SHARD_ORDER.run(connection, values)?;
    }
    for factor in &plan.factors {
        let values = named_params! {
            ":shard_id": shard_id,
            ":factor": factor.factor,
            ":level": factor.level,
            ":drawn_with": factor.drawn_with,
        };
        sql::INSERT_SHARD_FACTOR.run(connection, values)?;
    }
    Ok(shard_id)
}

/// Closes a shard. One that is called finished must have exactly one outcome for each planned trial.
pub(super) fn close_shard(
    connection: &Connection,
    shard_id: i64,
    state: ShardState,
) -> Result<(), StoreError> {
    let id = named_params! { ":shard_id": shard_id };
    if state == ShardState::Finished {
        let row = sql::SELECT_SHARD.first(connection, id, rows::shard)?;
        let plan = row
            .ok_or(StoreError::NoSuchRow {
                kind: "shard",
                id: shard_id,
            })?
            .plan;
        let is_probe = plan.layout.design == Design::Probe;
        check_answered(connection, shard_id, plan.trials.into(), is_probe)?;
    }
    let values = named_params! { ":shard_id": shard_id, ":state": state.code() };
    one_row(
        sql::CLOSE_SHARD.run(connection, values)?,
        "unclosed shard",
        shard_id,
    )
}

/// Does every planned trial of a shard have exactly one outcome that counts?
///
/// One that says nothing (`lost`, `infra`, `untrusted`) is superseded by any later one of the same trial, and
/// stands where there is none; `aborted` never stands, because what we interrupt runs again. A probe runs as a
/// whole: only its last attempt counts, in which a test may come again in another process, and which ends where a
/// process dies.
pub(super) fn check_answered(
    connection: &Connection,
    shard: i64,
    planned: i64,
    is_probe: bool,
) -> Result<(), StoreError> {
    let counts = |row: &rusqlite::Row| Ok((row.get("answered")?, row.get("doubled")?));
    let id = named_params! { ":shard_id": shard };
    let (answered, doubled) = if is_probe {
        // What did not start since its process had died is left out.
        let recorded = super::probes::answered_trials(connection, shard)?;
        let is_cut = (1..planned).contains(&recorded);
        (if is_cut { planned } else { recorded }, 0)
    } else {
        sql::ANSWER_SHARD.only(connection, id, counts)?
    };
    if answered == planned && doubled == 0 {
        return Ok(());
    }
    Err(StoreError::Unfinished {
        shard,
        planned,
        answered,
        doubled,
    })
}

pub(super) fn event(
    connection: &Connection,
    hunt_id: Option<i64>,
    event: &EventRecord,
) -> Result<(), StoreError> {
    let values = named_params! {
        ":hunt_id": hunt_id,
        ":at_ms": event.at.0,
        ":kind": event.kind,
        ":facts": rows::facts_of(event),
    };
    sql::INSERT_EVENT.run(connection, values).map(drop)
}

pub(super) fn one_row(changed: usize, kind: &'static str, id: i64) -> Result<(), StoreError> {
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::NoSuchRow { kind, id })
    }
}

fn index(place: usize) -> i64 {
    i64::try_from(place).expect("a list in memory has fewer than 2^63 entries")
}
