//! From shards to tokens: what to paste into `replay`.

use crate::{
    model::{ListDigest, ShardPlan, SuiteId},
    plan::{DatabaseId, IterationSeed, Random, Reference, Row, ShortDigest, Token},
    store::{Reader, StoreError},
};

/// Returns the token of a shard: self-contained where its order is a function of the seed, else a
/// reference into the database.
pub(super) fn of_shard(
    suite: SuiteId,
    list: ListDigest,
    plan: &ShardPlan,
    shard: i64,
    database: u32,
) -> Token {
    if !plan.layout.is_function_of_seed() {
        return of_row(Row::Shard(shard.unsigned_abs()), database);
    }
    Token::Random(Random {
        suite,
        seed: IterationSeed(plan.seed),
        layout: plan.layout,
        shard: plan.shard,
        list: ShortDigest::from_bits(list.short()),
        order: ShortDigest::from_bits(plan.order.short()),
    })
}

/// Returns the token of a row of this database.
pub(super) fn of_row(row: Row, database: u32) -> Token {
    Token::Reference(Reference {
        database: DatabaseId::from_bits(database),
        row,
    })
}

/// Is this segment what was left of its shard after a crash or the like? Then only that is its order.
///
/// # Errors
/// When the database cannot be read.
pub(super) fn continues(reader: &Reader, shard: i64, segment: i64) -> Result<bool, StoreError> {
    if reader.segments_of(shard)?.first() == Some(&segment) {
        return Ok(false);
    }
    Ok(reader.segment(segment)?.open.cause.is_some())
}
