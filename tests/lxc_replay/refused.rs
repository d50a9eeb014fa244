//! Texts that are no token, and tokens of something else. Nothing is run for them.

use soakhound::plan::{DatabaseId, Reference, Row, Token};

use crate::{answered, made, parsed, passed_once};

/// A token of no suite here: its text is whole.
const FOREIGN: &str = "sk1r_mh14zh1p8xa1ww593ss80301cp8wve6hp1b58bvb4w";

#[test]
fn mistyped_token_is_refused_at_the_wrong_character() {
    let world = made();
    let mistyped = FOREIGN.replace("p8xa", "p8xb");
    let place = mistyped.find("p8xb").unwrap() + 4;
    let ended = world.expect(150, &["replay", &mistyped]);
    ended.assert_says(&[&format!("character {place} is 'b' but was likely 'a'")]);
    world
        .expect(150, &["replay", "test_mode.py::test_mode"])
        .assert_says(&["a token looks like"]);
    assert!(matches!(parsed(FOREIGN), Token::Random(_)));
}

#[test]
fn token_of_another_suite_says_which() {
    let world = made();
    let ended = world.expect(125, &["replay", FOREIGN]);
    ended.assert_says(&["belongs to suite mh14zh", "`made`"]);
    let answer = answered(&world, &[FOREIGN]);
    assert_eq!(answer["match"], "impossible", "{answer:#}");
    assert_eq!(answer["result"], "inconclusive", "{answer:#}");
    assert_eq!(answer["runs"], 0, "{answer:#}");
}

#[test]
fn reference_needs_its_database_and_its_row() {
    let world = made();
    let token = passed_once(&world);
    let Token::Reference(reference) = parsed(&token) else {
        panic!("the order of a pass is in the database alone");
    };
    let elsewhere = world.aside("other.db");
    let elsewhere = elsewhere.to_str().unwrap();
    world
        .expect(125, &["replay", &token, "--db", elsewhere])
        .assert_says(&["there is none here", "--db"]);
    let token = |reference| Token::Reference(reference).to_string();
    let gone = token(Reference {
        row: Row::Shard(99),
        ..reference
    });
    world
        .expect(125, &["replay", &gone])
        .assert_says(&["has no shard 99"]);
    let other = token(Reference {
        database: DatabaseId::from_bits(1),
        ..reference
    });
    world
        .expect(125, &["replay", &other])
        .assert_says(&["refers to database"]);
}
