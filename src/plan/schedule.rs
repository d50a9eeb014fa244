//! Which layout each iteration of a hunt has, and how far its evidence may advance.
//!
//! An iteration is a pure function of the campaign and its number: a resumed hunt plans the same
//! again. Whether a layout would take too long is asked of the caller.

use std::collections::BTreeSet;

use super::field::next_prime_power;
use super::hash::Keyed;
use super::seed::{HuntNonce, IterationSeed, MasterSeed};
use crate::model::{Design, Grouping, Layout};

/// What decides the iterations of a hunt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Campaign {
    /// Seed of the hunt.
    pub master: MasterSeed,
    /// Nonce of the hunt, from the store.
    pub nonce: HuntNonce,
    /// Number of shards that the suite's CI uses; 0 counts as 1.
    pub ci_shards: u16,
    /// The coverage cycle in progress.
    pub cycle: Cycle,
}

/// A coverage cycle: a fixed list of layouts that lets every test run before every other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cycle {
    /// Number of the cycle, from 0; decides its seed.
    pub number: u64,
    /// The iteration that takes its first member. Earlier iterations belonged to earlier cycles:
    /// ask for them with those.
    pub start: u64,
}

/// One iteration as planned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Planned {
    /// Seed of its orders: the cycle's for coverage members, otherwise its own.
    pub seed: IterationSeed,
    /// How it is cut.
    pub layout: Layout,
    /// Probability with which this layout was drawn among those allowed; 1 for members of the cycle.
    pub drawn_with: f64,
}

impl Campaign {
    /// Returns the plan of iteration `number`, from 0; `None` when no layout is allowed.
    ///
    /// Every second iteration, from the cycle's start on, takes the next member of the cycle. All
    /// others draw, and so does an iteration whose member is not allowed: the members after it
    /// keep their places, whatever is allowed when.
    #[must_use]
    pub fn iteration(&self, number: u64, allowed: &dyn Fn(&Layout) -> bool) -> Option<Planned> {
        let own_seed = IterationSeed::of_iteration(self.master, self.nonce, number);
        let Some(layout) = self.cycle_member(number).filter(|layout| allowed(layout)) else {
            return self.drawn(own_seed, allowed);
        };
        let shares_seed = matches!(layout.design, Design::Coverage | Design::Reversed);
        let seed = if shares_seed {
            IterationSeed::of_cycle(self.master, self.nonce, self.cycle.number)
        } else {
            own_seed
        };
        Some(Planned {
            seed,
            layout,
            drawn_with: 1.0,
        })
    }

    /// Returns the members of a coverage cycle in their order: one shard forwards and reversed, the
    /// affine classes of the CI's shards forwards and reversed, one doubled.
    #[must_use]
    pub fn cycle_members(&self) -> Vec<Layout> {
        let mut members = both_ways(1, 0).to_vec();
        let field = (self.ci_shards > 1).then(|| next_prime_power(self.ci_shards));
        if let Some(shards) = field.flatten() {
            members.extend((0..=shards).flat_map(|class| both_ways(shards, class)));
        }
        members.push(interleaved(Design::Doubled, 1, 0));
        members
    }

    fn cycle_member(&self, number: u64) -> Option<Layout> {
        let since = number.checked_sub(self.cycle.start)?;
        if !since.is_multiple_of(2) {
            return None;
        }
        let place = usize::try_from(since / 2).ok()?;
        self.cycle_members().get(place).copied()
    }

    fn drawn(&self, seed: IterationSeed, allowed: &dyn Fn(&Layout) -> bool) -> Option<Planned> {
        let mut choices = self.choices();
        choices.retain(|(layout, _)| allowed(layout));
        let total: u32 = choices.iter().map(|(_, weight)| weight).sum();
        if total == 0 {
            return None;
        }
        let hash = Keyed::new("soakhound 2026 schedule v1 layout", &seed.0.to_le_bytes());
        let mut point = hash.below(b"", total.into());
        for (layout, weight) in choices {
            if point < u64::from(weight) {
                return Some(Planned {
                    seed,
                    layout,
                    drawn_with: f64::from(weight) / f64::from(total),
                });
            }
            point -= u64::from(weight);
        }
        unreachable!("the point lies below the sum of the weights")
    }

    /// The layouts that may be drawn, with weights that add up to 1,000: natural 10 %, else free with
    /// k from {1, 4, the CI's} at 20, 40, 40 %, interleaved 80 % and module-contiguous 20 %.
    fn choices(&self) -> Vec<(Layout, u32)> {
        let ci_shards = self.ci_shards.max(1);
        let natural = Layout {
            design: Design::Natural,
            shards: ci_shards,
            grouping: Grouping::ModuleContiguous,
            class: 0,
        };
        let mut choices = vec![(natural, 100)];
        for (shards, mixed, together) in [(1, 144, 36), (4, 288, 72), (ci_shards, 288, 72)] {
            for (grouping, weight) in [
                (Grouping::Interleaved, mixed),
                (Grouping::ModuleContiguous, together),
            ] {
                let layout = Layout {
                    grouping,
                    ..interleaved(Design::Free, shards, 0)
                };
                match choices.iter_mut().find(|(known, _)| *known == layout) {
                    Some((_, sum)) => *sum += weight,
                    None => choices.push((layout, weight)),
                }
            }
        }
        choices
    }
}

fn both_ways(shards: u16, class: u16) -> [Layout; 2] {
    [Design::Coverage, Design::Reversed].map(|design| interleaved(design, shards, class))
}

fn interleaved(design: Design, shards: u16, class: u16) -> Layout {
    Layout {
        design,
        shards,
        grouping: Grouping::Interleaved,
        class,
    }
}

/// How far the stream of shards is closed without a gap: evidence advances only up to here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watermark {
    first_open: i64,
    /// Closed ones beyond `first_open`; as many as workers ran ahead of the slowest shard.
    closed: BTreeSet<i64>,
}

impl Watermark {
    /// Starts a stream whose plan indexes below `first_open` are closed.
    #[must_use]
    pub fn at(first_open: i64) -> Self {
        Self {
            first_open,
            closed: BTreeSet::new(),
        }
    }

    /// Notes that the shard at `plan_index` finished or was closed for good; again changes nothing.
    pub fn close(&mut self, plan_index: i64) {
        if plan_index >= self.first_open {
            self.closed.insert(plan_index);
        }
        while self.closed.remove(&self.first_open) {
            self.first_open += 1;
        }
    }

    /// Returns the first plan index that is not closed.
    #[must_use]
    pub fn first_open(&self) -> i64 {
        self.first_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn campaign(ci_shards: u16) -> Campaign {
        Campaign {
            master: MasterSeed(1),
            nonce: HuntNonce([0; 16]),
            ci_shards,
            cycle: Cycle::default(),
        }
    }

    #[test]
    fn watermark_waits_for_the_slowest_shard() {
        let mut watermark = Watermark::at(5);
        for (closed, first_open) in [(7, 5), (6, 5), (2, 5), (5, 8), (5, 8), (9, 8), (8, 10)] {
            watermark.close(closed);
            assert_eq!(watermark.first_open(), first_open, "after {closed}");
        }
        assert!(watermark.closed.is_empty());
    }

    #[test]
    fn weights_of_the_choices_add_up() {
        for ci_shards in [0, 1, 2, 4, 16, u16::MAX] {
            let choices = campaign(ci_shards).choices();
            assert_eq!(choices.iter().map(|(_, weight)| weight).sum::<u32>(), 1000);
        }
        assert_eq!(
            campaign(4).choices().len(),
            5,
            "equal numbers of shards merge"
        );
    }

    #[test]
    fn cycle_interleaves_with_draws_and_then_ends() {
        let campaign = campaign(3);
        let members = campaign.cycle_members();
        assert_eq!(members.len(), 2 + 2 * 4 + 1);
        let layout_of = |number| campaign.iteration(number, &|_| true).unwrap().layout;
        for (place, member) in (0_u64..).zip(&members) {
            assert_eq!(layout_of(2 * place), *member);
        }
        let drawn = |layout: Layout| matches!(layout.design, Design::Free | Design::Natural);
        assert!((0..20).all(|i| drawn(layout_of(2 * i + 1))));
        assert!((22..60).all(|number| drawn(layout_of(number))));
    }

    #[test]
    fn a_member_that_is_not_allowed_is_skipped_and_moves_no_other() {
        let campaign = campaign(3);
        let several = |layout: &Layout| layout.shards > 1;
        for number in 0..40 {
            let all = campaign.iteration(number, &|_| true).unwrap();
            let some = campaign.iteration(number, &several).unwrap();
            assert!(some.layout.shards > 1);
            if campaign.cycle_member(number).is_some() && several(&all.layout) {
                assert_eq!(all, some);
            }
        }
    }

    #[test]
    fn nothing_allowed_is_no_plan() {
        assert_eq!(campaign(3).iteration(0, &|_| false), None);
    }
}
