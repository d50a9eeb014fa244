//! Tokens: they read back, every slip of one character is located, and no text makes them panic.

use proptest::prelude::*;
use soakhound::model::{
    Design, Grouping, HANDLE_ALPHABET, HandleLength, Layout, ListDigest, SuiteId, TestId,
};
use soakhound::plan::{
    DatabaseId, FactorSetting, IterationSeed, Minimal, Random, Reference, Row, ShortDigest, Token,
    TokenError,
};

fn names(count: usize) -> Vec<TestId> {
    (0..count)
        .map(|i| TestId::new(format!("tests/test_a.py::test_{i}")).unwrap())
        .collect()
}

fn minimal(
    count: usize,
    length: HandleLength,
    factors: &[(&str, &str)],
) -> Result<Minimal, TokenError> {
    let names = names(count);
    let tests: Vec<&TestId> = names.iter().collect();
    let factors = factors
        .iter()
        .map(|(factor, level)| FactorSetting {
            factor: (*factor).to_owned(),
            level: (*level).to_owned(),
        })
        .collect();
    Minimal::new(SuiteId::of("demo", "pytest"), &tests, length, factors)
}

fn random(layout: Layout, shard: u16) -> Token {
    Token::Random(Random {
        suite: SuiteId::of("demo", "pytest"),
        seed: IterationSeed(0x0123_4567_89ab_cdef),
        layout,
        shard,
        list: ShortDigest::from(&ListDigest::of(&names(3))),
        order: ShortDigest::from(&ListDigest::of(&names(2))),
    })
}

fn free(shards: u16) -> Layout {
    Layout {
        design: Design::Free,
        shards,
        grouping: Grouping::ModuleContiguous,
        class: 0,
    }
}

fn samples() -> Vec<Token> {
    let reference = |row| {
        Token::Reference(Reference {
            database: DatabaseId::from_bits(123_456_789),
            row,
        })
    };
    let coverage = Layout {
        design: Design::Reversed,
        shards: 16,
        grouping: Grouping::Interleaved,
        class: 16,
    };
    vec![
        Token::Minimal(minimal(1, HandleLength::Six, &[]).unwrap()),
        Token::Minimal(
            minimal(
                2,
                HandleLength::Eight,
                &[("TZ", "Asia/Tokyo"), ("LANG", "")],
            )
            .unwrap(),
        ),
        random(free(4), 2),
        random(free(u16::MAX), u16::MAX - 1),
        random(coverage, 7),
        reference(Row::Shard(1)),
        reference(Row::Segment(u64::MAX)),
    ]
}

#[test]
fn tokens_read_back_and_forgive_case_hyphens_and_spaces() {
    for token in samples() {
        let text = token.to_string();
        assert_eq!(text.parse().as_ref(), Ok(&token), "{text}");
        let spread: Vec<String> = text.chars().map(|c| format!("{c}- ")).collect();
        let typed = spread
            .concat()
            .to_uppercase()
            .replace('0', "O")
            .replace('1', "l");
        assert_eq!(typed.parse().as_ref(), Ok(&token), "{typed}");
    }
}

#[test]
fn every_wrong_character_is_refused_and_located() {
    for token in samples() {
        let text: Vec<char> = token.to_string().chars().collect();
        for (at, original) in text.iter().enumerate() {
            let others = HANDLE_ALPHABET
                .iter()
                .map(|byte| char::from(*byte))
                .chain(['u', '!', 'é']);
            for wrong in others.filter(|wrong| wrong != original) {
                let mut typed = text.clone();
                typed[at] = wrong;
                let typed: String = typed.into_iter().collect();
                let expected = if matches!(at, 0 | 1 | 4) {
                    TokenError::NotAToken
                } else {
                    TokenError::Typo {
                        position: at + 1,
                        found: wrong,
                        likely: *original,
                    }
                };
                assert_eq!(typed.parse::<Token>(), Err(expected), "{typed}");
            }
        }
    }
}

#[test]
fn swapped_neighbours_are_refused_and_located() {
    for token in samples() {
        let text: Vec<char> = token.to_string().chars().collect();
        for at in (5..text.len() - 1).filter(|at| text[*at] != text[at + 1]) {
            let mut typed = text.clone();
            typed.swap(at, at + 1);
            let (first, second) = (typed[at], typed[at + 1]);
            let error = TokenError::Swapped {
                position: at + 1,
                first,
                second,
            };
            assert_eq!(
                typed.into_iter().collect::<String>().parse::<Token>(),
                Err(error)
            );
        }
    }
}

#[test]
fn a_token_cut_off_or_drawn_out_says_so() {
    for token in samples() {
        let text = token.to_string();
        for cut in 0..text.len() {
            let error = text[..cut].parse::<Token>().unwrap_err();
            let expected = if cut < 5 {
                TokenError::NotAToken
            } else {
                TokenError::Truncated
            };
            assert_eq!(error, expected, "{}", &text[..cut]);
        }
        assert!(format!("{text}{text}").parse::<Token>().is_err());
        let longer = format!("{text}7w").parse::<Token>().unwrap_err();
        assert!(
            matches!(
                longer,
                TokenError::TooLong | TokenError::Garbled | TokenError::Truncated
            ),
            "{longer:?}"
        );
    }
    assert_eq!(
        "s".repeat(100_000).parse::<Token>(),
        Err(TokenError::TooLong)
    );
}

#[test]
fn several_wrong_characters_are_refused() {
    let text = samples()[2].to_string();
    let mut typed: Vec<char> = text.chars().collect();
    for at in [10, 20, 30] {
        typed[at] = if typed[at] == '7' { 'q' } else { '7' };
    }
    let error = typed
        .iter()
        .collect::<String>()
        .parse::<Token>()
        .unwrap_err();
    assert_eq!(error, TokenError::Garbled);
    let strange = text
        .replacen(&text[9..11], "u!", 1)
        .parse::<Token>()
        .unwrap_err();
    assert!(
        matches!(strange, TokenError::BadCharacter { .. }),
        "{strange:?}"
    );
}

#[test]
fn a_minimal_token_holds_its_tests_and_their_digest() {
    let token = minimal(3, HandleLength::Six, &[("TZ", "UTC")]).unwrap();
    let names = names(3);
    let handles: Vec<_> = names
        .iter()
        .map(|name| name.handle(HandleLength::Six))
        .collect();
    assert_eq!(token.handles(), handles);
    assert_eq!(token.digest().bits(), ListDigest::of(&names).short());
    assert!(
        Token::Minimal(token)
            .to_string()
            .contains(&handles[0].to_string()),
        "readable"
    );
}

#[test]
fn a_minimal_token_is_bounded() {
    assert!(minimal(0, HandleLength::Six, &[]).is_err());
    for (length, most) in [(HandleLength::Six, 166), (HandleLength::Eight, 125)] {
        let token = Token::Minimal(minimal(most, length, &[]).unwrap());
        assert_eq!(token.to_string().parse(), Ok(token));
        let error = TokenError::DoesNotFit {
            tests: most + 1,
            factors: 0,
        };
        assert_eq!(minimal(most + 1, length, &[]), Err(error));
    }
    let long = "x".repeat(64);
    assert!(minimal(1, HandleLength::Six, &[(&long, "")]).is_err());
    assert!(minimal(1, HandleLength::Six, &[("", "x")]).is_err());
    assert!(minimal(1, HandleLength::Six, &[("a", "b"); 16]).is_err());
}

#[test]
fn a_layout_that_gives_no_order_is_refused() {
    for (layout, shard) in [
        (free(0), 0),
        (free(4), 4),
        (
            Layout {
                design: Design::Balanced,
                ..free(4)
            },
            0,
        ),
        (
            Layout {
                class: 1,
                ..free(4)
            },
            0,
        ),
    ] {
        let error = random(layout, shard)
            .to_string()
            .parse::<Token>()
            .unwrap_err();
        assert!(matches!(error, TokenError::Layout(_)), "{error:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, rng_seed: proptest::test_runner::RngSeed::Fixed(2), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_parser_panic(text: String, tail in "[0-9a-z_ -]{0,200}", kind in "[mrxq]") {
        prop_assert!(text.parse::<Token>().is_err());
        let _ = format!("sk1{kind}_{tail}").parse::<Token>();
        let _ = format!("sk1{kind}_{tail}{text}").parse::<Token>();
    }

    #[test]
    fn random_tokens_read_back(bits: u32, seed: u64, shards in 1_u16.., part: u16, list: u32, order: u32) {
        let token = Token::Random(Random {
            suite: SuiteId::from_bits(bits),
            seed: IterationSeed(seed),
            layout: free(shards),
            shard: part % shards,
            list: ShortDigest::from_bits(list),
            order: ShortDigest::from_bits(order),
        });
        prop_assert_eq!(token.to_string().parse(), Ok(token));
    }

    #[test]
    fn reference_tokens_read_back(bits: u32, row: u64, is_shard: bool) {
        let row = if is_shard { Row::Shard(row) } else { Row::Segment(row) };
        let token = Token::Reference(Reference { database: DatabaseId::from_bits(bits), row });
        prop_assert_eq!(token.to_string().parse(), Ok(token));
    }

    #[test]
    fn minimal_tokens_read_back(count in 1_usize..20, factor in "\\PC{1,15}", level in "\\PC{0,15}", is_eight: bool) {
        let length = if is_eight { HandleLength::Eight } else { HandleLength::Six };
        let token = Token::Minimal(minimal(count, length, &[(&factor, &level)]).unwrap());
        prop_assert_eq!(token.to_string().parse(), Ok(token));
    }
}
