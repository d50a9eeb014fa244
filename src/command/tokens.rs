//! From shards to tokens: what to paste into `replay`.

use crate::{
    model::{HandleLength, ListDigest, Recipe, ShardPlan, SuiteId, TestId},
    plan::{
        DatabaseId, FactorSetting, Handles, IterationSeed, Minimal, Random, Reference, Row,
        ShortDigest, Token,
    },
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

/// Returns the token of a recipe: complete in itself. `None` where the recipe needs a neighbour, or is too long for
/// a token. `handles` are those of the whole suite.
pub(super) fn of_recipe(suite: SuiteId, handles: &Handles<'_>, recipe: &Recipe) -> Option<Token> {
    if !recipe.beside.is_empty() {
        return None;
    }
    let tests: Vec<&TestId> = recipe.order.iter().map(|(test, _)| test).collect();
    let length = tests
        .iter()
        .map(|test| handles.handle(test).length())
        .find(|length| *length == HandleLength::Eight)
        .unwrap_or(HandleLength::Six);
    let factors = recipe
        .factors
        .iter()
        .map(|(factor, level)| FactorSetting {
            factor: factor.clone(),
            level: level.clone(),
        })
        .collect();
    Minimal::new(suite, &tests, length, factors)
        .ok()
        .map(Token::Minimal)
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
