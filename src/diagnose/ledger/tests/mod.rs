//! Tests of the ledger as a whole; a recount by hand is the judge.

mod bets;
mod crowd;
mod filter;
mod overlap;
mod ranking;
mod recount;
mod world;
