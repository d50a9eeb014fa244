//! The smallest part of a failing order that is enough: drives the minimiser, which asks for subsets of places.

use super::{About, Conclusion, NextStep};
use crate::{diagnose::setup, model::Reply};

/// A reduction in progress.
#[derive(Clone, Debug)]
pub(super) struct Course;

impl Course {
    pub(super) fn new(_: &setup::Reduce<u32>) -> Self {
        Self
    }

    pub(super) fn tell(&mut self, _: &setup::Reduce<u32>, _: &Reply<u32>) {}

    pub(super) fn next(&mut self, _: About, _: &setup::Reduce<u32>) -> NextStep {
        NextStep::Done(Conclusion::NotFound)
    }
}
