//! What a hunt needs in order to go on where it stopped.

use rusqlite::{Row, named_params};

use super::rows::{self, HuntRow, RevisionId, word};
use super::{Reader, StoreError, sql};
use crate::model::{Cause, HuntKind, HuntState, Outcome, SegmentEnd, ShardPlan, SuiteId, TestId};

/// A hunt that is not finished. Master seed, nonce and configuration are in its row.
#[derive(Clone, Debug, PartialEq)]
pub struct ResumeState {
    /// The hunt.
    pub hunt: HuntRow,
    /// Number of the iteration to plan next.
    pub next_iteration: i64,
    /// Plan index of the shard to plan next.
    pub next_plan_index: i64,
    /// Planned shards that are not closed, in plan order, without probes: those come with their questions.
    pub open_shards: Vec<OpenShard>,
}

/// A shard to be run, or to be run to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenShard {
    /// Row.
    pub id: i64,
    /// Revision it was planned for.
    pub revision: RevisionId,
    /// The plan.
    pub plan: ShardPlan,
    /// How often it was tried; 0 when never.
    pub attempt: u32,
    /// The newest segment that recorded a trial, why it ended and how far it came: what is left continues it.
    pub cause: Option<Cause>,
    /// Trials (test, rep) that have an outcome which says something, in the order they ran: they are not run again.
    pub finished: Vec<(TestId, u8, Outcome)>,
}

impl Reader {
    /// Returns the newest hunt of a suite, if it is not finished.
    ///
    /// Call [`super::Writer::close_interrupted`] first: trials of segments still open are not seen here.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn unfinished_hunt(&self, suite: SuiteId) -> Result<Option<ResumeState>, StoreError> {
        let Some(hunt) = self
            .latest_hunt(suite, HuntKind::Hunt)?
            .filter(|h| h.state != HuntState::Finished)
        else {
            return Ok(None);
        };
        let id = named_params! { ":hunt_id": hunt.id };
        let shards = sql::OPEN_SHARDS.all(&self.connection, id, rows::shard)?;
        Ok(Some(ResumeState {
            next_iteration: sql::COUNT_ITERATIONS
                .only(&self.connection, id, |row| row.get("next"))?,
            next_plan_index: sql::COUNT_SHARDS.only(&self.connection, id, |row| row.get("next"))?,
            open_shards: shards
                .into_iter()
                .map(|shard| self.open_shard(shard))
                .collect::<Result<_, _>>()?,
            hunt,
        }))
    }

    fn open_shard(&self, row: rows::ShardRow) -> Result<OpenShard, StoreError> {
        let row = self.complete_shard(row)?;
        let id = named_params! { ":shard_id": row.id };
        let attempt = sql::ATTEMPTS_OF_SHARD.only(&self.connection, id, |row| {
            row.get::<_, Option<u32>>("attempt")
        })?;
        let cause = |row: &Row| {
            Ok(Cause {
                parent: row.get("id")?,
                cut: row.get("recorded")?,
                end: word(row, "end", SegmentEnd::from_code)?,
            })
        };
        let cause = sql::PARENT_OF_SHARD.first(&self.connection, id, cause)?;
        let finished = |row: &Row| {
            Ok((
                rows::test_name(row, "name")?,
                row.get("rep")?,
                word(row, "outcome", Outcome::from_code)?,
            ))
        };
        Ok(OpenShard {
            id: row.id,
            revision: row.revision,
            plan: row.plan,
            attempt: attempt.unwrap_or(0),
            cause,
            finished: sql::FINISHED_OF_SHARD.all(&self.connection, id, finished)?,
        })
    }
}
