//! Golden vectors: what a seed means, for ever. Each file under `tests/golden/plan/` is compared with
//! what this build computes. A difference is a broken promise to every stored seed: bump `ALGORITHM`
//! and add vectors for the new version instead of accepting it.

use std::fmt::Write as _;
use std::path::Path;

use soakhound::model::{Design, Grouping, HandleLength, Layout, ListDigest, SuiteId, TestId};
use soakhound::plan::field::Field;
use soakhound::plan::{
    ALGORITHM, Campaign, Cycle, DatabaseId, FactorSetting, HuntNonce, IterationSeed, MasterSeed,
    Minimal, Random, Reference, Row, ShortDigest, Tests, Token, assign,
};

const SEEDS: [u64; 3] = [0, 1, 0xfedc_ba98_7654_3210];

#[track_caller]
fn assert_golden(name: &str, found: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/plan")
        .join(name);
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    if expected != found {
        let written = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&written, found).unwrap();
        panic!(
            "{name} differs\n--- expected\n{expected}\n--- found\n{found}\nto accept new vectors: cp {} {}",
            written.display(),
            file.display()
        );
    }
}

fn suite(count: u32) -> Tests {
    let names = (0..count)
        .map(|i| {
            TestId::new(format!(
                "tests/test_{}.py::test_{i}",
                ["a", "b", "c", "d"][(i / 4 % 4) as usize]
            ))
            .unwrap()
        })
        .collect();
    Tests::new(names, |name| &name.as_bytes()[..12])
}

fn layouts() -> Vec<Layout> {
    use Grouping::{Interleaved, ModuleContiguous};
    let of = |design, shards, grouping, class| Layout {
        design,
        shards,
        grouping,
        class,
    };
    let mut all = vec![
        of(Design::Free, 1, Interleaved, 0),
        of(Design::Free, 3, Interleaved, 0),
        of(Design::Free, 4, Interleaved, 0),
        of(Design::Free, 1, ModuleContiguous, 0),
        of(Design::Free, 3, ModuleContiguous, 0),
        of(Design::Doubled, 1, Interleaved, 0),
        of(Design::Doubled, 2, Interleaved, 0),
        of(Design::Natural, 1, ModuleContiguous, 0),
        of(Design::Natural, 3, ModuleContiguous, 0),
        of(Design::Natural, 3, Interleaved, 0),
        of(Design::Coverage, 1, Interleaved, 0),
        of(Design::Reversed, 1, Interleaved, 0),
    ];
    for class in 0..=4 {
        all.push(of(Design::Coverage, 4, Interleaved, class));
        all.push(of(Design::Reversed, 4, Interleaved, class));
    }
    all.extend([0, 5, 9].map(|class| of(Design::Coverage, 9, Interleaved, class)));
    all
}

fn words(layout: Layout) -> String {
    let Layout {
        design,
        shards,
        grouping,
        class,
    } = layout;
    format!("{design} k={shards} {grouping} class={class}")
}

fn campaign(ci_shards: u16) -> Campaign {
    Campaign {
        master: MasterSeed(0x0123_4567_89ab_cdef),
        nonce: HuntNonce(*b"soakhound nonce!"),
        ci_shards,
        cycle: Cycle::default(),
    }
}

#[test]
fn seeds_mean_what_they_always_meant() {
    let mut text =
        format!("algorithm {ALGORITHM}: master, nonce, number, iteration seed, cycle seed\n");
    for master in SEEDS.map(MasterSeed) {
        for nonce in [[0; 16], *b"soakhound nonce!"] {
            for number in [0, 1, 2, 1_000_000] {
                let seed =
                    |of: fn(_, _, _) -> IterationSeed| of(master, HuntNonce(nonce), number).0;
                let (iteration, cycle) = (
                    seed(IterationSeed::of_iteration),
                    seed(IterationSeed::of_cycle),
                );
                writeln!(
                    text,
                    "{master} {:02x} {number} {iteration:016x} {cycle:016x}",
                    nonce[0]
                )
                .unwrap();
            }
        }
    }
    assert_golden("seeds.txt", &text);
}

#[test]
fn orders_mean_what_they_always_meant() {
    let tests = suite(14);
    let mut text =
        format!("algorithm {ALGORITHM}: layout, seed, shard: numbers of the tests in order\n");
    for layout in layouts() {
        for seed in SEEDS {
            let shards = assign(layout, IterationSeed(seed), &tests).unwrap();
            for (index, shard) in shards.iter().enumerate() {
                let order: Vec<String> = shard.iter().map(|trial| trial.test.to_string()).collect();
                writeln!(
                    text,
                    "{} {seed:016x} {index}: {}",
                    words(layout),
                    order.join(" ")
                )
                .unwrap();
            }
        }
    }
    assert_golden("orders.txt", &text);
}

#[test]
fn long_orders_mean_what_they_always_meant() {
    let tests = suite(2_000);
    let mut text = format!(
        "algorithm {ALGORITHM}: layout, seed: sizes and digest of all shards of 2,000 tests\n"
    );
    for layout in layouts() {
        for seed in SEEDS {
            let shards = assign(layout, IterationSeed(seed), &tests).unwrap();
            let sizes: Vec<String> = shards.iter().map(|shard| shard.len().to_string()).collect();
            let digest =
                ListDigest::of(shards.iter().flatten().map(|trial| tests.name(trial.test)));
            writeln!(
                text,
                "{} {seed:016x} {} {digest}",
                words(layout),
                sizes.join("+")
            )
            .unwrap();
        }
    }
    assert_golden("long_orders.txt", &text);
}

#[test]
fn schedules_mean_what_they_always_meant() {
    let mut text = format!(
        "algorithm {ALGORITHM}: CI shards, what is allowed, iteration, layout, seed, probability\n"
    );
    for ci_shards in [1, 4, 6] {
        for (what, least) in [("all", 1), ("k>1", 2)] {
            for number in 0..48 {
                let planned =
                    campaign(ci_shards).iteration(number, &|layout| layout.shards >= least);
                let line = planned.map_or("none".to_owned(), |p| {
                    format!("{} {:016x} {:.6}", words(p.layout), p.seed.0, p.drawn_with)
                });
                writeln!(text, "{ci_shards} {what} {number}: {line}").unwrap();
            }
        }
    }
    assert_golden("schedules.txt", &text);
}

#[test]
fn fields_multiply_as_they_always_did() {
    let mut text = String::from("q, a: a + b and a * b for b in some elements of GF(q)\n");
    for q in [
        2, 3, 4, 5, 7, 8, 9, 16, 25, 27, 32, 64, 81, 125, 128, 243, 256, 512, 729, 1024,
    ] {
        let field = Field::new(q).unwrap();
        for a in [q / 2, q - 1] {
            let over = |op: &dyn Fn(u16, u16) -> u16| -> String {
                (0..8)
                    .map(|i| op(a, q - 1 - i * (q / 8)).to_string())
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            let (sums, products) = (
                over(&|a, b| field.add(a, b)),
                over(&|a, b| field.multiply(a, b)),
            );
            writeln!(text, "{q} {a}: {sums} | {products}").unwrap();
        }
    }
    assert_golden("fields.txt", &text);
}

#[test]
fn tokens_read_as_they_always_did() {
    let mut text = String::from("token: what it holds\n");
    for token in tokens() {
        let line = token.to_string();
        assert_eq!(line.parse().as_ref(), Ok(&token));
        writeln!(text, "{line}: {}", described(&token)).unwrap();
    }
    assert_golden("tokens.txt", &text);
}

fn tokens() -> Vec<Token> {
    let tests = suite(14);
    let suite_id = SuiteId::of("demo", "pytest");
    let mut all = Vec::new();
    for (count, length) in [
        (1, HandleLength::Six),
        (2, HandleLength::Six),
        (3, HandleLength::Eight),
        (14, HandleLength::Six),
    ] {
        let names: Vec<&TestId> = tests.names()[..count].iter().rev().collect();
        for factors in [&[][..], &[("TZ", "Asia/Tokyo"), ("LANG", "")]] {
            let factors = factors
                .iter()
                .map(|(factor, level)| FactorSetting {
                    factor: (*factor).to_owned(),
                    level: (*level).to_owned(),
                })
                .collect();
            all.push(Token::Minimal(
                Minimal::new(suite_id, &names, length, factors).unwrap(),
            ));
        }
    }
    for layout in layouts() {
        for seed in SEEDS.map(IterationSeed) {
            let shards = assign(layout, seed, &tests).unwrap();
            for (shard, order) in (0..).zip(&shards) {
                let names = order.iter().map(|trial| tests.name(trial.test));
                all.push(Token::Random(Random {
                    suite: suite_id,
                    seed,
                    layout,
                    shard,
                    list: ShortDigest::from(&tests.digest()),
                    order: ShortDigest::from(&ListDigest::of(names)),
                }));
            }
        }
    }
    for row in [0, 1, 15, 16, 40_000, u64::from(u32::MAX), u64::MAX] {
        for row in [Row::Shard(row), Row::Segment(row)] {
            all.push(Token::Reference(Reference {
                database: DatabaseId::from_bits(0x1234_5678),
                row,
            }));
        }
    }
    all
}

fn described(token: &Token) -> String {
    match token {
        Token::Minimal(minimal) => {
            let handles: Vec<String> = minimal.handles().iter().map(ToString::to_string).collect();
            let factors: Vec<String> = minimal
                .factors()
                .iter()
                .map(|s| format!("{}={}", s.factor, s.level))
                .collect();
            format!(
                "{} {} {:08x} {}",
                minimal.suite(),
                handles.join(" "),
                minimal.digest().bits(),
                factors.join(" ")
            )
        }
        Token::Random(random) => format!(
            "{} {:016x} {} shard={} {:08x} {:08x}",
            random.suite,
            random.seed.0,
            words(random.layout),
            random.shard,
            random.list.bits(),
            random.order.bits()
        ),
        Token::Reference(Reference { database, row }) => format!("{database} {row:?}"),
    }
}
