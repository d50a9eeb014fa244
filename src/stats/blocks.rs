//! Certification by blocks: in each block a treated run, a run with a decoy in its place and a run with neither,
//! in random order, each in its own fresh container. Two bets run along, treated against decoy and treated
//! against nothing; only both together certify, because a difference from nothing alone may come from how much
//! ran before. Where there is nothing to replace (levels of a factor) a block has two arms and one bet.

use serde::{Deserialize, Serialize};

use super::special::real;
use crate::model::Count;

/// What the rates fixed at the opening weigh, in runs. More makes a wrong guess costly for longer; with less a
/// right guess does not pay in the first blocks.
const WEIGHT: f64 = 4.0;
/// Plug-in rates stay this far from 0 and 1: one surprise never costs more than about 6 nats.
const EDGE: f64 = 1e-3;
/// ln of the e-value below which the claim is given up.
const LN_HOPELESS: f64 = -4.605_170_185_988_091;
/// Blocks before the pace of the bets is judged at all ...
const PATIENCE: f64 = 10.0;
/// ... and so many as let expect this number of successes, up to half of the limit: none at all is then a surprise.
const SURPRISE: f64 = 3.0;

/// Which way the treatment works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The test fails more often with it: polluters, levels, neighbours.
    Fails,
    /// The test passes more often with it: state-setters, cleaners.
    Passes,
}

/// How many arms a block has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Treated, decoy, alone.
    ThreeArm,
    /// Treated, alone: there is nothing that a decoy could stand for.
    TwoArm,
}

/// All that is fixed before the first block. The e-values are a function of this and of the blocks alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlocksOpening {
    /// How many arms.
    pub kind: Kind,
    /// Which way the treatment is said to work.
    pub direction: Direction,
    /// Rate of failures expected with the treatment, `0.0..=1.0`: a guess, right or wrong the bets are valid.
    pub treated_rate: f64,
    /// Rate of failures expected without.
    pub control_rate: f64,
    /// e-value that each bet must reach.
    pub certify: f64,
    /// Number of blocks after which an undecided claim is given up.
    pub limit: u32,
    /// Runs of each control arm per block, at least 1: several, where they are cheap and the treated run is dear.
    #[serde(default = "one")]
    pub controls: u32,
    /// ln of an e-value for the same claim from evidence that came before: the bets go on from there, and no further
    /// than to what certifies. The blocks must show the effect nevertheless.
    #[serde(default)]
    pub ln_e_before: f64,
}

fn one() -> u32 {
    1
}

/// Where a certification stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlocksVerdict {
    /// Every bet reached its e-value: never taken back.
    Certified,
    /// The bets lost, or cannot win within the limit of blocks.
    Refuted,
    /// More blocks are needed.
    Undecided,
}

/// Failures per arm, over valid blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArmCounts {
    /// With the treatment.
    pub treated: Count,
    /// With a decoy; no trials in blocks of two arms.
    pub decoy: Count,
    /// With neither.
    pub alone: Count,
}

/// One bet of treated against one kind of control.
#[derive(Clone, Copy, Debug)]
struct Bet {
    ln_e: f64,
    /// Successes (in the direction of the claim) in the control arm.
    control: f64,
}

/// A certification in progress.
#[derive(Clone, Debug)]
pub struct Blocks {
    opening: BlocksOpening,
    done: u32,
    /// Successes in the treated arm.
    treated: f64,
    decoy: Bet,
    alone: Bet,
    counts: ArmCounts,
}

impl BlocksOpening {
    /// An opening for a claim about a test that, as far as known, fails at these rates with and without.
    #[must_use]
    pub fn new(kind: Kind, direction: Direction, treated_rate: f64, control_rate: f64) -> Self {
        Self {
            kind,
            direction,
            treated_rate,
            control_rate,
            certify: 1000.0,
            limit: 300,
            controls: 1,
            ln_e_before: 0.0,
        }
    }
}

impl Blocks {
    /// Starts without blocks.
    #[must_use]
    pub fn new(opening: BlocksOpening) -> Self {
        let bet = Bet {
            ln_e: opening.ln_e_before.clamp(0.0, opening.certify.ln()),
            control: 0.0,
        };
        Self {
            opening,
            done: 0,
            treated: 0.0,
            decoy: bet,
            alone: bet,
            counts: ArmCounts::default(),
        }
    }

    /// Takes one complete block: did each run fail? `decoys` and `alone` hold the runs of those arms, as many as the
    /// opening says; `decoys` is empty in blocks of two arms. A block with a void run must not come here at all; one
    /// with too few or too many is ignored.
    pub fn push(&mut self, treated: bool, decoys: &[bool], alone: &[bool]) {
        let controls = self.opening.controls as usize;
        let wanted = match self.opening.kind {
            Kind::TwoArm => 0,
            Kind::ThreeArm => controls,
        };
        if alone.len() != controls || decoys.len() != wanted {
            return;
        }
        let enough = self.ln_certify();
        let with = self.success(treated);
        let against = |runs: &[bool]| count(runs.iter().filter(|failed| self.success(**failed)));
        let (of_alone, of_decoys) = (against(alone), against(decoys));
        let (rates, rates_decoy) = (
            self.rates(self.alone.control),
            self.rates(self.decoy.control),
        );
        let controls = self.controls();
        self.alone.step(enough, rates, with, (of_alone, controls));
        if !decoys.is_empty() {
            self.decoy
                .step(enough, rates_decoy, with, (of_decoys, controls));
        }
        self.treated += f64::from(u8::from(with));
        self.done += 1;
        tally(&mut self.counts.treated, treated);
        for failed in decoys {
            tally(&mut self.counts.decoy, *failed);
        }
        for failed in alone {
            tally(&mut self.counts.alone, *failed);
        }
    }

    /// ln of the e-value of treated against decoy. It stands still once it certifies: the value at a stopping
    /// time is an e-value, a running maximum is none. 0 in blocks of two arms.
    #[must_use]
    pub fn ln_e_decoy(&self) -> f64 {
        self.decoy.ln_e
    }

    /// ln of the e-value of treated against nothing, as [`ln_e_decoy`](Self::ln_e_decoy).
    #[must_use]
    pub fn ln_e_alone(&self) -> f64 {
        self.alone.ln_e
    }

    /// ln of the e-value of the whole claim: the smaller of its bets.
    #[must_use]
    pub fn ln_e(&self) -> f64 {
        match self.opening.kind {
            Kind::ThreeArm => self.decoy.ln_e.min(self.alone.ln_e),
            Kind::TwoArm => self.alone.ln_e,
        }
    }

    /// Failures per arm.
    #[must_use]
    pub fn counts(&self) -> ArmCounts {
        self.counts
    }

    /// Number of valid blocks.
    #[must_use]
    pub fn blocks(&self) -> u32 {
        self.done
    }

    /// Did treated beat nothing, but not (yet) the decoy? When the claim is then refuted, the cause is position or
    /// time, and nobody is named.
    #[must_use]
    pub fn beats_only_nothing(&self) -> bool {
        let certify = self.ln_certify();
        self.opening.kind == Kind::ThreeArm
            && self.alone.ln_e >= certify
            && self.decoy.ln_e < certify
    }

    /// Where the claim stands. It is given up when a bet has lost 99 % of its stake, at the limit of blocks, or
    /// when even favourable rates could not reach the e-value within the limit.
    #[must_use]
    pub fn verdict(&self) -> BlocksVerdict {
        if self.ln_e() >= self.ln_certify() && self.treated > 0.0 {
            return BlocksVerdict::Certified;
        }
        if self.ln_e() < LN_HOPELESS || self.done >= self.opening.limit || self.too_slow() {
            return BlocksVerdict::Refuted;
        }
        BlocksVerdict::Undecided
    }

    /// Could one more block certify it?
    #[must_use]
    pub fn may_end_next(&self) -> bool {
        let fails = self.opening.direction == Direction::Fails;
        let controls = vec![!fails; self.opening.controls as usize];
        let decoys = match self.opening.kind {
            Kind::TwoArm => &[][..],
            Kind::ThreeArm => &controls,
        };
        let mut next = self.clone();
        next.push(fails, decoys, &controls);
        next.verdict() == BlocksVerdict::Certified
    }

    fn ln_certify(&self) -> f64 {
        self.opening.certify.ln()
    }

    /// Does this outcome speak for the claim?
    fn success(&self, failed: bool) -> bool {
        match self.opening.direction {
            Direction::Fails => failed,
            Direction::Passes => !failed,
        }
    }

    /// The rate of success in the direction of the claim, of a rate of failures.
    fn toward(&self, rate: f64) -> f64 {
        match self.opening.direction {
            Direction::Fails => rate,
            Direction::Passes => 1.0 - rate,
        }
    }

    /// Runs of a control arm per block.
    fn controls(&self) -> f64 {
        f64::from(self.opening.controls)
    }

    /// Running rates of success with the treatment and in a control arm.
    fn rates(&self, control: f64) -> (f64, f64) {
        let running = |rate: f64, successes: f64, runs: f64| {
            ((WEIGHT * self.toward(rate) + successes) / (runs + WEIGHT)).clamp(EDGE, 1.0 - EDGE)
        };
        let blocks = f64::from(self.done);
        (
            running(self.opening.treated_rate, self.treated, blocks),
            running(self.opening.control_rate, control, blocks * self.controls()),
        )
    }

    /// Would a bet that is behind miss its e-value within the limit even if the rates were one standard error
    /// better than they look?
    fn too_slow(&self) -> bool {
        let expected = self.toward(self.opening.treated_rate).max(EDGE);
        let patience = (SURPRISE / expected).min(f64::from(self.opening.limit) / 2.0);
        if f64::from(self.done) < patience.max(PATIENCE) {
            return false;
        }
        let open = [
            Some(self.alone),
            (self.opening.kind == Kind::ThreeArm).then_some(self.decoy),
        ];
        let left = real(u64::from(
            self.opening.limit - self.done.min(self.opening.limit),
        ));
        open.into_iter().flatten().any(|bet| {
            let missing = self.ln_certify() - bet.ln_e;
            missing > 0.0 && missing > left * self.best_pace(bet.control)
        })
    }

    /// Growth of a bet per block at favourable rates.
    fn best_pace(&self, control: f64) -> f64 {
        let (p, q) = self.rates(control);
        let n = f64::from(self.done) + WEIGHT;
        let error = |rate: f64| (rate * (1.0 - rate) / n).sqrt();
        growth(
            (p + error(p)).min(1.0 - EDGE),
            (q - error(q)).max(EDGE),
            self.opening.controls,
        )
    }
}

/// ln of the factor by which one block moves a bet at rates `p` (treated, one run) and `q` (control, `runs` of them, of
/// which `successes` succeeded): the likelihood of all outcomes at these rates, over that at their mean, weighed by the
/// number of runs. Where `p` is not above `q` there is no bet: so the factor is at most 1 on average under every pair
/// of true rates of which the treated one is not the larger.
///
/// Source: R. J. Turner, A. Ly, P. D. Grünwald (2024), Generic E-variables for exact sequential k-sample tests,
/// JSPI 230, section 2, two samples: one run, and `runs`.
fn ln_factor(p: f64, q: f64, treated: bool, (successes, runs): (f64, f64)) -> f64 {
    if p <= q {
        return 0.0;
    }
    let mean = (p + runs * q) / (1.0 + runs);
    let all = successes + f64::from(u8::from(treated));
    let of_treated = if treated { p.ln() } else { (1.0 - p).ln() };
    of_treated + successes * q.ln() + (runs - successes) * (1.0 - q).ln()
        - all * mean.ln()
        - (1.0 + runs - all) * (1.0 - mean).ln()
}

/// Expected ln factor per block when the rates are what the bet takes them for.
fn growth(p: f64, q: f64, controls: u32) -> f64 {
    let runs = f64::from(controls);
    let mut likely = (1.0 - q).powi(i32::try_from(controls).unwrap_or(i32::MAX));
    let mut sum = 0.0;
    for successes in 0..=controls {
        let of = f64::from(successes);
        sum += likely
            * (p * ln_factor(p, q, true, (of, runs))
                + (1.0 - p) * ln_factor(p, q, false, (of, runs)));
        // From one number of successes to the next, of a binomial distribution.
        likely *= (runs - of) / (of + 1.0) * q / (1.0 - q);
    }
    sum
}

impl Bet {
    /// `control`: successes of the control arm, and its runs.
    fn step(&mut self, enough: f64, (p, q): (f64, f64), treated: bool, control: (f64, f64)) {
        if self.ln_e < enough {
            self.ln_e += ln_factor(p, q, treated, control);
        }
        self.control += control.0;
    }
}

fn count<T>(runs: impl Iterator<Item = T>) -> f64 {
    real(runs.count() as u64)
}

fn tally(count: &mut Count, failed: bool) {
    count.trials += 1;
    count.failures += u64::from(failed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::chance::Chance;

    fn opening(kind: Kind, treated_rate: f64, control_rate: f64) -> BlocksOpening {
        BlocksOpening::new(kind, Direction::Fails, treated_rate, control_rate)
    }

    /// Runs blocks until decided; returns the verdict and the number of blocks.
    fn play(
        opening: BlocksOpening,
        (treated, decoy, alone): (f64, f64, f64),
        chance: &mut Chance,
    ) -> (BlocksVerdict, u32) {
        let mut blocks = Blocks::new(opening);
        while blocks.verdict() == BlocksVerdict::Undecided {
            let arms = [treated, decoy, alone].map(|rate| chance.happens(rate));
            let decoys = match opening.kind {
                Kind::TwoArm => &[][..],
                Kind::ThreeArm => &arms[1..2],
            };
            blocks.push(arms[0], decoys, &arms[2..]);
        }
        (blocks.verdict(), blocks.blocks())
    }

    #[test]
    fn six_clean_blocks_certify_a_sure_polluter() {
        for treated_rate in [0.8, 0.9, 0.98] {
            let mut blocks = Blocks::new(opening(Kind::ThreeArm, treated_rate, 0.01));
            for _ in 0..6 {
                assert_eq!(blocks.verdict(), BlocksVerdict::Undecided);
                assert_eq!(blocks.may_end_next(), blocks.blocks() == 5);
                blocks.push(true, &[false], &[false]);
            }
            assert_eq!(blocks.verdict(), BlocksVerdict::Certified, "{treated_rate}");
            assert!(blocks.ln_e() >= 1000.0_f64.ln());
            assert_eq!(
                blocks.counts().decoy,
                Count {
                    failures: 0,
                    trials: 6
                }
            );
        }
    }

    #[test]
    fn what_was_shown_before_counts_but_the_blocks_must_show_it_too() {
        let mut before = opening(Kind::ThreeArm, 0.8, 0.01);
        before.ln_e_before = 1e9_f64.ln();
        let mut blocks = Blocks::new(before);
        assert_eq!(blocks.verdict(), BlocksVerdict::Undecided);
        blocks.push(false, &[false], &[false]);
        assert_eq!(blocks.verdict(), BlocksVerdict::Undecided);
        blocks.push(true, &[false], &[false]);
        assert_eq!(blocks.verdict(), BlocksVerdict::Certified);
        before.ln_e_before = 10.0_f64.ln();
        let mut blocks = Blocks::new(before);
        for _ in 0..4 {
            assert_eq!(blocks.verdict(), BlocksVerdict::Undecided);
            blocks.push(true, &[false], &[false]);
        }
        assert_eq!(blocks.verdict(), BlocksVerdict::Certified);
    }

    #[test]
    fn four_controls_of_each_kind_halve_the_treated_runs() {
        let mut opening = opening(Kind::ThreeArm, 0.8, 0.01);
        opening.controls = 4;
        let mut blocks = Blocks::new(opening);
        blocks.push(true, &[false], &[false]);
        assert_eq!(blocks.blocks(), 0, "too few runs are no block");
        for _ in 0..3 {
            assert_eq!(blocks.verdict(), BlocksVerdict::Undecided);
            blocks.push(true, &[false; 4], &[false; 4]);
        }
        assert_eq!(blocks.verdict(), BlocksVerdict::Certified);
        assert_eq!(blocks.counts().decoy.trials, 12);
    }

    #[test]
    fn a_setter_is_a_polluter_with_outcomes_swapped() {
        let mut fails = Blocks::new(opening(Kind::ThreeArm, 0.9, 0.05));
        let mut passes = Blocks::new(BlocksOpening::new(
            Kind::ThreeArm,
            Direction::Passes,
            0.1,
            0.95,
        ));
        for (treated, decoy, alone) in [
            (true, false, false),
            (false, false, true),
            (true, true, false),
        ] {
            fails.push(treated, &[decoy], &[alone]);
            passes.push(!treated, &[!decoy], &[!alone]);
        }
        assert!((fails.ln_e_decoy() - passes.ln_e_decoy()).abs() < 1e-12);
        assert!((fails.ln_e_alone() - passes.ln_e_alone()).abs() < 1e-12);
    }

    #[test]
    fn what_the_decoy_does_as_well_is_never_certified() {
        let mut chance = Chance::new(11);
        for _ in 0..200 {
            let mut blocks = Blocks::new(opening(Kind::ThreeArm, 0.95, 0.02));
            while blocks.verdict() == BlocksVerdict::Undecided {
                blocks.push(
                    chance.happens(0.9),
                    &[chance.happens(0.9)],
                    &[chance.happens(0.01)],
                );
            }
            assert_eq!(blocks.verdict(), BlocksVerdict::Refuted);
        }
        let mut blocks = Blocks::new(opening(Kind::ThreeArm, 0.95, 0.02));
        for _ in 0..6 {
            blocks.push(true, &[true], &[false]);
        }
        assert!(blocks.beats_only_nothing());
    }

    /// Over all sequences of as many blocks as have twelve runs.
    fn mean_of_an_e_value(start: BlocksOpening, treated: f64, control: f64) -> f64 {
        let runs = 1 + start.controls;
        let mut mean = 0.0;
        for code in 0..1_u32 << 12 {
            let mut blocks = Blocks::new(start);
            let mut likely = 1.0;
            for block in 0..12 / runs {
                let runs: Vec<bool> = (0..runs)
                    .map(|run| code >> (runs * block + run) & 1 == 1)
                    .collect();
                for (run, failed) in runs.iter().enumerate() {
                    let rate = if run == 0 { treated } else { control };
                    likely *= if *failed { rate } else { 1.0 - rate };
                }
                blocks.push(runs[0], &[], &runs[1..]);
            }
            mean += likely * blocks.ln_e().exp();
        }
        mean
    }

    /// The mean of an e-value under every null is at most 1, exactly.
    #[test]
    fn the_mean_of_an_e_value_is_at_most_one_when_the_treatment_does_nothing_or_harm() {
        for (treated, control) in [
            (0.02, 0.02),
            (0.3, 0.3),
            (0.5, 0.5),
            (0.97, 0.97),
            (0.2, 0.5),
        ] {
            for (start, start_control) in [(0.98, 0.01), (0.6, 0.3), (0.1, 0.5)] {
                for controls in [1, 3, 5] {
                    let mut start = opening(Kind::TwoArm, start, start_control);
                    (start.controls, start.certify) = (controls, f64::INFINITY);
                    let mean = mean_of_an_e_value(start, treated, control);
                    assert!(
                        mean <= 1.0 + 1e-9,
                        "{treated} {control} from {start:?}: {mean}"
                    );
                }
            }
        }
    }

    #[test]
    fn certifications_of_nothing_stay_below_one_in_a_thousand() {
        let mut chance = Chance::new(5);
        let mut certified = 0;
        for rate in [0.02, 0.1, 0.3, 0.6] {
            for _ in 0..1000 {
                let at = opening(Kind::TwoArm, 0.9, 0.05);
                let (verdict, _) = play(at, (rate, rate, rate), &mut chance);
                certified += u32::from(verdict == BlocksVerdict::Certified);
            }
        }
        // The 95 % quantile of Poisson(4).
        assert!(certified <= 8, "{certified} of 4000");
    }

    #[test]
    fn noisy_polluters_are_certified_and_fast() {
        let mut chance = Chance::new(7);
        for (q, p, share, median) in [
            (1.0, 0.0, 200, 6),
            (0.9, 0.0, 199, 8),
            (0.5, 0.0, 196, 25),
            (0.5, 0.02, 192, 30),
            (0.3, 0.05, 160, 90),
        ] {
            let mut lengths: Vec<u32> = (0..200)
                .filter_map(|_| {
                    let (verdict, blocks) =
                        play(opening(Kind::ThreeArm, q, p + 0.01), (q, p, p), &mut chance);
                    (verdict == BlocksVerdict::Certified).then_some(blocks)
                })
                .collect();
            lengths.sort_unstable();
            assert!(lengths.len() >= share, "q {q}, p {p}: {}", lengths.len());
            assert!(
                lengths[lengths.len() / 2] <= median,
                "q {q}, p {p}: {lengths:?}"
            );
        }
    }

    #[test]
    fn what_seldom_acts_is_not_given_up_before_it_could_show() {
        let mut chance = Chance::new(10);
        let opening = BlocksOpening {
            limit: 120,
            ..opening(Kind::ThreeArm, 0.1, 0.01)
        };
        let certified = (0..400)
            .filter(|_| play(opening, (0.2, 0.0, 0.0), &mut chance).0 == BlocksVerdict::Certified)
            .count();
        assert!(certified >= 380, "{certified}");
    }

    #[test]
    fn hopeless_claims_are_given_up_early() {
        let mut chance = Chance::new(9);
        let mut total = 0;
        for _ in 0..100 {
            let (verdict, blocks) = play(
                opening(Kind::ThreeArm, 0.9, 0.05),
                (0.1, 0.1, 0.1),
                &mut chance,
            );
            assert_eq!(verdict, BlocksVerdict::Refuted);
            total += blocks;
        }
        assert!(total < 100 * 18, "{total} blocks for 100 claims");
    }

    #[test]
    fn an_opening_survives_its_text_form() {
        let before = opening(Kind::ThreeArm, 0.123_456_789_012_345_67, 0.01);
        let text = serde_json::to_string(&before).expect("plain numbers");
        let after: BlocksOpening = serde_json::from_str(&text).expect("own text");
        assert_eq!(before, after);
    }
}
