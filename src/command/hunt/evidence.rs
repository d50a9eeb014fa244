//! From the record to the analyst: closed segments as observations, in the order of the plan.

use std::collections::BTreeMap;

use crate::{
    command::roster::Roster,
    diagnose::{Analyst, Observation, Showed, Shown},
    model::{Flag, Outcome, SegmentEnd, SuiteId},
    plan::Origin,
    store::{RevisionId, StoreError},
};
