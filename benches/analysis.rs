//! What the analysis costs: a hunt over a large suite, its outcomes made up, through the analyst as the hunt drives it.
//!
//! `cargo bench --bench analysis -- [TESTS] [ITERATIONS] [FLAKY] [NEW]`, by default 20,000 tests, 500 iterations, 200
//! flaky tests and none that fail for the first time in the last iteration. Prints processor time per iteration (only
//! the analyst's), the slowest iteration, the peak of memory, and what it takes to count all iterations for a test that
//! is new among the suspects: what the last iteration took more than those right before it.
#![expect(clippy::print_stdout, reason = "a bench prints")]

use soakhound::{
    diagnose::{Analyst, FactorDomain, Levels, Observation, Policy, Showed, Shown, Universe},
    model::{Design, Grouping, Layout, TestId},
    plan::{MasterSeed, Origin},
};

/// Tests of a module.
const PER_MODULE: u32 = 40;

/// `SplitMix64`: the orders and outcomes of the made-up hunt.
struct Chance(u64);

impl Chance {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u32) -> u32 {
        u32::try_from((u128::from(self.word()) * u128::from(bound)) >> 64).expect("below a u32")
    }

    fn happens(&mut self, per_mille: u32) -> bool {
        self.below(1000) < per_mille
    }

    fn shuffle(&mut self, items: &mut [u32]) {
        for last in (1..items.len()).rev() {
            let other = self.below(u32::try_from(last + 1).expect("a suite is small"));
            items.swap(last, other as usize);
        }
    }
}

/// Why a flaky test fails.
#[derive(Clone, Copy)]
enum Cause {
    /// By itself, this often in a thousand.
    Itself(u32),
    /// After that test.
    After(u32),
    /// In the last iteration.
    InTheEnd,
}

/// Iterations right before the last one that it is compared with.
const BEFORE_LAST: u32 = 20;

struct World {
    tests: u32,
    causes: Vec<Option<Cause>>,
    /// Seconds on the clock of the made-up hunt.
    clock: f64,
    /// Is this the last iteration?
    is_last: bool,
}

impl World {
    fn new(tests: u32, flaky: u32, new: u32) -> Self {
        let mut causes = vec![None; tests as usize];
        let step = (tests / flaky.max(1)).max(1);
        for (number, test) in (0..tests)
            .step_by(step as usize)
            .take(flaky as usize)
            .enumerate()
        {
            causes[test as usize] = Some(match number % 4 {
                0 => Cause::Itself(5),
                1 => Cause::Itself(100),
                2 => Cause::After((test + 7) % tests),
                _ => Cause::After(3),
            });
        }
        let steady = causes.iter_mut().filter(|cause| cause.is_none());
        for cause in steady.rev().take(new as usize) {
            *cause = Some(Cause::InTheEnd);
        }
        Self {
            tests,
            causes,
            clock: 0.0,
            is_last: false,
        }
    }

    fn universe(&self) -> Universe {
        let name = |test| TestId::new(format!("tests/test_{}.py::test_{test}", test / PER_MODULE));
        Universe {
            names: (0..self.tests)
                .map(|test| name(test).expect("short"))
                .collect(),
            modules: (0..self.tests).map(|test| test / PER_MODULE).collect(),
            present: vec![true; self.tests as usize],
            seconds: vec![0.1; self.tests as usize],
        }
    }

    /// Returns the segments of one iteration: what each was asked, and what it showed.
    fn iteration(&mut self, layout: Layout, chance: &mut Chance) -> Vec<(Vec<u32>, Vec<Shown>)> {
        let mut order: Vec<u32> = (0..self.tests).collect();
        chance.shuffle(&mut order);
        let mut shards = vec![Vec::new(); usize::from(layout.shards)];
        for test in order {
            shards[chance.below(layout.shards.into()) as usize].push(test);
        }
        let mut seen = vec![false; self.tests as usize];
        shards
            .into_iter()
            .map(|order| {
                seen.fill(false);
                let trials = order
                    .iter()
                    .map(|test| {
                        let failed = match self.causes[*test as usize] {
                            None => false,
                            Some(Cause::Itself(rate)) => chance.happens(rate),
                            Some(Cause::After(other)) => seen[other as usize],
                            Some(Cause::InTheEnd) => self.is_last,
                        };
                        seen[*test as usize] = true;
                        self.clock += 0.1;
                        Shown {
                            test: *test,
                            rep: 1,
                            showed: if failed {
                                Showed::Failed
                            } else {
                                Showed::Passed
                            },
                            start: self.clock,
                            seconds: 0.1,
                        }
                    })
                    .collect();
                (order, trials)
            })
            .collect()
    }
}

/// Time that this thread has spent on a processor, in milliseconds.
fn busy() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    let nanoseconds: f64 = text
        .split(' ')
        .next()
        .and_then(|first| first.parse().ok())
        .expect("the first field is a number");
    nanoseconds / 1e6
}

/// Peak of resident memory, in MB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kilobytes: u64 = line
        .and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .expect("a number of kB");
    kilobytes / 1024
}

fn main() {
    let numbers: Vec<u32> = std::env::args()
        .filter_map(|word| word.parse().ok())
        .collect();
    let number = |at: usize, default: u32| numbers.get(at).copied().unwrap_or(default);
    let (tests, iterations, flaky) = (number(0, 20_000), number(1, 500), number(2, 200));
    let new = number(3, 0);
    let mut world = World::new(tests, flaky, new);
    let mut chance = Chance(1);
    let zones = ["UTC", "Asia/Tokyo"]
        .map(|zone| (zone.to_owned(), 0.5))
        .to_vec();
    let policy = Policy {
        factors: vec![FactorDomain {
            name: "TZ".to_owned(),
            levels: Levels::Listed(zones),
            settable: true,
        }],
        ci_shards: 16,
        ..Policy::default()
    };
    let mut analyst = Analyst::new(world.universe(), policy, MasterSeed(1));
    let before = peak();
    let (mut observing, mut ending, mut slowest) = (0.0, 0.0, 0.0_f64);
    let (mut last, mut right_before) = (0.0, 0.0);
    println!("{tests} tests, {flaky} of them flaky; ms of processor time per iteration so far");
    println!("iterations  observe  analyse  slowest  peak MB");
    for iteration in 0..u64::from(iterations) {
        let layout = Layout {
            design: Design::Free,
            shards: [1, 4, 4, 16, 16][chance.below(5) as usize],
            grouping: Grouping::Interleaved,
            class: 0,
        };
        world.is_last = iteration + 1 == u64::from(iterations);
        let segments = world.iteration(layout, &mut chance);
        let zone = if chance.happens(500) {
            "UTC"
        } else {
            "Asia/Tokyo"
        };
        let levels = [(0, zone.to_owned())];
        let start = busy();
        for (worker, (asked, trials)) in (0..).zip(&segments) {
            analyst.observe(&Observation {
                iteration,
                tests,
                modules: tests.div_ceil(PER_MODULE),
                layout,
                origin: Origin::Planned,
                asked,
                trials,
                died_in: None,
                worker: worker % 4,
                hour: 1.0,
                levels: &levels,
            });
        }
        let observed = busy();
        let flags = analyst.end_iteration(iteration, 0.1 * f64::from(tests));
        let ended = busy();
        std::hint::black_box(flags);
        observing += observed - start;
        ending += ended - observed;
        slowest = slowest.max(ended - start);
        last = ended - start;
        if !world.is_last && iteration + 1 + u64::from(BEFORE_LAST) >= u64::from(iterations) {
            right_before += last / f64::from(BEFORE_LAST);
        }
        let done = u32::try_from(iteration + 1).expect("few iterations");
        if done.is_multiple_of(50) || done == iterations {
            let mean = |sum: f64| sum / f64::from(done);
            println!(
                "{done:>10} {:>8.1} {:>8.1} {slowest:>8.0} {:>8}",
                mean(observing),
                mean(ending),
                peak(),
            );
        }
    }
    if new > 0 {
        println!(
            "new suspects {new}: {:.1} ms each to count {iterations} iterations",
            (last - right_before) / f64::from(new),
        );
    }
    println!(
        "suspected {}, open cases {}; {} MB before the first iteration",
        analyst.suspected().len(),
        analyst.open_cases().len(),
        before,
    );
}
