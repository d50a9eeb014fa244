//! The probability, by our own randomisation, that one test ran before another: what the statistics
//! bet on. Where that is not known exactly there is no bet, so no error of ours becomes evidence.

use crate::model::{Design, Grouping, Layout};

/// How a segment came to its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The shard as planned, from its first test on.
    Planned,
    /// What an earlier segment left over.
    Remainder,
    /// The runner drew an order itself, or ran another one than planned.
    Differing,
}

/// Where the candidate `a` stands in relation to the victim `v`, by the order that the segment was asked
/// to run: judging by what really ran would leave out the tests after a cut, and so bias the bet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// In another segment.
    Elsewhere,
    /// In the same segment, in another module.
    SameSegment,
    /// In the same segment and the same module.
    SameModule,
}

/// Where the victim `v` stands in its segment. All counts are of tests or modules that were planned
/// to run: the iteration's planned set, and the segment's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Tests before `v` in its segment: its rank j, from 0.
    pub before: u32,
    /// Tests in the segment, s.
    pub segment: u32,
    /// Tests in the iteration, n.
    pub tests: u32,
    /// Modules before that of `v` in the segment.
    pub modules_before: u32,
    /// Modules in the segment.
    pub segment_modules: u32,
    /// Modules in the iteration.
    pub modules: u32,
    /// Tests of its module before `v` in the segment.
    pub before_in_module: u32,
    /// Tests of its module in the segment.
    pub module: u32,
}

/// Returns the probability that `a` ran before `v` in `v`'s segment, given where `v` stood; `None`
/// means no bet.
///
/// Free hash shards leave membership and order to chance, so the j predecessors are any j of the n-1
/// other tests. Where membership is fixed (affine classes, balanced passes) or known (remainders),
/// only the order is: any j of the s-1 others in the segment. With modules kept together the same
/// holds for modules, and for the tests within one; but the first module of a remainder is
/// first because it was cut, so between modules of a remainder there is no bet.
///
/// Source: the known allocation probability of a model-X test, after Grünwald, Henzi and Lardy (2023), JASA.
#[must_use]
pub fn precedence(
    layout: Layout,
    origin: Origin,
    candidate: Candidate,
    standing: &Standing,
) -> Option<f64> {
    let membership_is_free = match layout.design {
        Design::Free => origin == Origin::Planned,
        Design::Coverage | Design::Balanced => false,
        Design::Reversed | Design::Doubled | Design::Natural | Design::Given | Design::Probe => {
            return None;
        }
    };
    if origin == Origin::Differing {
        return None;
    }
    match (layout.grouping, candidate) {
        (Grouping::Interleaved, _) if membership_is_free => share(standing.before, standing.tests),
        (Grouping::Interleaved, Candidate::SameSegment | Candidate::SameModule) => {
            share(standing.before, standing.segment)
        }
        (Grouping::ModuleContiguous, Candidate::SameModule) => {
            share(standing.before_in_module, standing.module)
        }
        (Grouping::ModuleContiguous, _) if membership_is_free => {
            share(standing.modules_before, standing.modules)
        }
        (Grouping::ModuleContiguous, Candidate::SameSegment) if origin == Origin::Planned => {
            share(standing.modules_before, standing.segment_modules)
        }
        (_, Candidate::Elsewhere) | (Grouping::ModuleContiguous, Candidate::SameSegment) => None,
    }
}

/// Of the others among `all`, the share that `before` of them make; `None` when that cannot be.
fn share(before: u32, all: u32) -> Option<f64> {
    let others = all.checked_sub(1).filter(|others| *others > 0)?;
    (before <= others).then(|| f64::from(before) / f64::from(others))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDING: Standing = Standing {
        before: 3,
        segment: 7,
        tests: 25,
        modules_before: 1,
        segment_modules: 3,
        modules: 9,
        before_in_module: 1,
        module: 5,
    };

    #[test]
    fn precedence_bets_only_where_the_probability_is_known() {
        use Candidate::{Elsewhere, SameModule, SameSegment};
        use Grouping::{Interleaved, ModuleContiguous};
        let cases = [
            (
                Design::Free,
                Interleaved,
                Origin::Planned,
                [Some(3.0 / 24.0); 3],
            ),
            (
                Design::Free,
                Interleaved,
                Origin::Remainder,
                [None, Some(0.5), Some(0.5)],
            ),
            (Design::Free, Interleaved, Origin::Differing, [None; 3]),
            (
                Design::Coverage,
                Interleaved,
                Origin::Planned,
                [None, Some(0.5), Some(0.5)],
            ),
            (
                Design::Balanced,
                Interleaved,
                Origin::Planned,
                [None, Some(0.5), Some(0.5)],
            ),
            (
                Design::Free,
                ModuleContiguous,
                Origin::Planned,
                [Some(1.0 / 8.0), Some(1.0 / 8.0), Some(0.25)],
            ),
            (
                Design::Free,
                ModuleContiguous,
                Origin::Remainder,
                [None, None, Some(0.25)],
            ),
            (
                Design::Balanced,
                ModuleContiguous,
                Origin::Planned,
                [None, Some(0.5), Some(0.25)],
            ),
            (Design::Reversed, Interleaved, Origin::Planned, [None; 3]),
            (Design::Doubled, Interleaved, Origin::Planned, [None; 3]),
            (
                Design::Natural,
                ModuleContiguous,
                Origin::Planned,
                [None; 3],
            ),
            (Design::Given, Interleaved, Origin::Planned, [None; 3]),
            (Design::Probe, Interleaved, Origin::Planned, [None; 3]),
        ];
        for (design, grouping, origin, expected) in cases {
            let layout = Layout {
                design,
                shards: 4,
                grouping,
                class: 0,
            };
            let found = [Elsewhere, SameSegment, SameModule]
                .map(|candidate| precedence(layout, origin, candidate, &STANDING));
            assert_eq!(found, expected, "{design} {grouping} {origin:?}");
        }
    }

    #[test]
    fn precedence_of_impossible_ranks_is_no_bet() {
        assert_eq!(share(0, 0), None);
        assert_eq!(share(0, 1), None);
        assert_eq!(share(9, 9), None);
        assert_eq!(share(8, 9), Some(1.0));
    }
}
