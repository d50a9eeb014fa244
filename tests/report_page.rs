//! The report's page as text: its policy, its size, its order, and what it says where there is little to say.
//! What a browser makes of it is in `report_browser.rs`.

#[path = "support/digest.rs"]
mod digest;
#[path = "support/hostile.rs"]
#[expect(dead_code, reason = "the whole corpus is for the browser")]
mod hostile;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use digest::samples::{large, rich};
use digest::{Maker, Plain, Words};
use hostile::Hostile;
use sha2::{Digest as _, Sha256};
use soakhound::model::{UnixMillis, Verdict};
use soakhound::report::Digest;
use soakhound::report::digest::{Funnel, Green, Heat, Reliability, State};
use soakhound::report::html::page;

/// The most that a page may have.
const MEBIBYTE: usize = 1024 * 1024;

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap();
    rest.split_once(after).unwrap().0
}

/// Text without tags, each run of blanks as one.
fn said(page: &str) -> String {
    let body = page
        .split_once("<body>")
        .unwrap()
        .1
        .rsplit_once("<script>")
        .unwrap()
        .0;
    let text: String = body
        .split('<')
        .map(|part| part.split_once('>').map_or(part, |(_, text)| text))
        .collect::<Vec<_>>()
        .join(" ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_policy_allows_the_style_and_the_script_that_are_there_and_nothing_else() {
    let page = page(&rich(&Plain));
    let hash = |tag: &str| {
        let content = between(&page, &format!("<{tag}>"), &format!("</{tag}>"));
        BASE64_STANDARD.encode(Sha256::digest(content.as_bytes()))
    };
    let policy = between(
        &page,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"",
        "\"",
    );
    assert_eq!(
        policy,
        format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
            hash("style"),
            hash("script")
        )
    );
    let before = page.split_once("Content-Security-Policy").unwrap().0;
    assert!(
        !before.contains("<style") && !before.contains("<script"),
        "a policy counts for what follows it"
    );
}

#[test]
fn no_page_is_larger_than_a_mebibyte() {
    for words in [&Plain as &dyn Words, &Hostile] {
        let page = page(&large(words));
        assert!(page.len() <= MEBIBYTE, "{} bytes", page.len());
        assert!(
            page.len() > MEBIBYTE / 2,
            "the digest was not large: {} bytes",
            page.len()
        );
    }
    let mut maker = Maker::new(&Hostile);
    for nth in 0..600 {
        maker.alone(
            &format!("tests/test_{nth}.py::test_all_of_them_fail"),
            Verdict::Nod,
            State::New,
            3,
            Some(&format!("@team-{nth}")),
        );
    }
    let page = page(&maker.finish());
    assert!(page.len() <= MEBIBYTE, "{} bytes of 600 flags", page.len());
    assert!(
        said(&page).contains("more: soakhound flags"),
        "what is left out is said"
    );
}

#[test]
fn two_hundred_flags_all_have_a_row_and_a_card() {
    let digest = large(&Plain);
    assert_eq!(digest.cards.len(), 200);
    let page = page(&digest);
    for card in &digest.cards {
        assert!(
            page.contains(&format!("id=\"t-{}\"", card.handle)),
            "no card of {:?}",
            card.test
        );
    }
    assert_eq!(page.matches("<tr data-p=").count(), digest.causes.len());
}

#[test]
fn the_same_digest_gives_the_same_bytes() {
    assert!(page(&rich(&Plain)) == page(&rich(&Plain)));
}

#[test]
fn the_first_screen_comes_first_and_every_part_has_its_place() {
    let page = page(&rich(&Plain));
    let parts = [
        "<h1>",
        "id=\"headline\"",
        "Start here",
        "class=\"tiles\"",
        "id=\"trust\"",
        "id=\"actions\"",
        "id=\"changes\"",
        "id=\"charts\"",
        "id=\"clusters\"",
        "id=\"owners\"",
        "id=\"funnel\"",
        "id=\"tests\"",
        "id=\"about\"",
    ];
    let places: Vec<usize> = parts
        .iter()
        .map(|part| page.find(part).unwrap_or_else(|| panic!("no {part}")))
        .collect();
    assert!(places.is_sorted(), "{places:?}");
    let row = between(&page, "<tr data-p=\"1\"", "</tr>");
    assert!(
        row.find("soakhound replay").unwrap() < row.find("test_warm_cache").unwrap(),
        "the command comes first"
    );
    assert!(
        row.contains("41 tests"),
        "one row for a polluter and its victims"
    );
}

#[test]
fn what_is_fixed_has_its_evidence_and_what_is_silent_its_reason() {
    let said = said(&page(&rich(&Plain)));
    assert!(said.contains("4,210 passes in a row since c41f9aa0b: had it still failed as before (113 of 6,157), the chance of this is at most 1e-23"), "{said}");
    assert!(
        said.contains("test_token_expiry : it was not run"),
        "{said}"
    );
}

#[test]
fn too_few_natural_runs_are_not_yet_and_shares_are_those_of_random_orders() {
    let mut digest = rich(&Plain);
    digest.green.now[0] = Reliability {
        runs: 12,
        green: 11,
        interval: (0.67, 0.99),
    };
    let said = said(&page(&digest));
    assert!(
        said.contains("Green in your CI's order not yet 12 of 30 runs"),
        "{said}"
    );
    assert!(
        said.contains("how many of 1,000 full runs in random orders went red"),
        "{said}"
    );
    assert!(said.contains("not yet (12 of 30 runs)"), "{said}");
}

#[test]
fn a_fault_is_said_before_the_numbers_it_spoils() {
    let mut digest = rich(&Plain);
    digest
        .trust
        .faults
        .push("the canary is red: not detected as planted".to_owned());
    let page = page(&digest);
    assert!(page.contains("class=\"trust fault\""));
    assert!(
        said(&page)
            .contains("Not without a look at this: the canary is red: not detected as planted")
    );
}

/// A digest of a suite about which nothing is known.
fn nothing() -> Digest {
    let mut digest = Maker::new(&Plain).finish();
    digest.head.as_of = None;
    digest.head.iterations = 0;
    digest.head.outcomes.clear();
    digest.head.hours = 0.0;
    digest.head.tests = 0;
    digest.head.machines.clear();
    digest.head.revisions = None;
    digest.green = Green::default();
    digest.heat = Heat::default();
    digest.stock.clear();
    digest.clusters.clear();
    digest.funnel = Funnel::default();
    digest
}

#[test]
fn an_empty_database_gives_a_page_that_says_so_and_what_to_type() {
    let page = page(&nothing());
    let said = said(&page);
    assert!(said.contains("Nothing was recorded in this time"), "{said}");
    assert!(said.contains("soakhound hunt --for 8h"), "{said}");
    assert!(
        !page.contains("<table") && !page.contains("<figure") && !said.contains("NaN"),
        "{said}"
    );
}

#[test]
fn a_week_without_data_names_the_newest_evidence() {
    let mut digest = nothing();
    digest.head.as_of = Some(UnixMillis(digest.head.window.since.0 - 36 * 3_600_000));
    digest.causes = rich(&Plain).causes;
    digest.cards = rich(&Plain).cards;
    let said = said(&page(&digest));
    assert!(
        said.contains("no full run") && said.contains("nothing ran that could show one"),
        "{said}"
    );
    assert!(
        said.contains("Nothing ran in this time; the newest evidence is from 2026-11-14"),
        "{said}"
    );
    assert!(said.contains("soakhound hunt --for 8h"), "{said}");
}

#[test]
fn one_run_is_enough_for_a_page_but_not_for_a_rate() {
    let mut digest = nothing();
    digest.head.as_of = Some(digest.head.window.since);
    digest.head.iterations = 1;
    digest.green.now[1] = Reliability {
        runs: 1,
        green: 1,
        interval: (0.14, 1.0),
    };
    let said = said(&page(&digest));
    assert!(
        said.contains("Only 1 full run: enough to see failures, too few for rates"),
        "{said}"
    );
    assert!(
        said.contains("Green in random order not yet 1 of 30 runs"),
        "{said}"
    );
    assert!(!said.contains("100 %"), "{said}");
}

#[test]
fn the_page_says_how_to_write_it_again() {
    let mut digest = rich(&Plain);
    assert!(
        said(&page(&digest))
            .contains("soakhound report --week 2026-W47 --as-of 2026-11-23T00:00:00")
    );
    let tz = digest.head.window.tz.clone();
    let (since, until) = (
        digest.head.window.since,
        UnixMillis(digest.head.window.since.0 + 90_000),
    );
    digest.head.window = soakhound::report::Window::between(since, until, &tz, "UTC").unwrap();
    assert!(
        said(&page(&digest))
            .contains("soakhound report --since 2026-11-16T00:00:00 --until 2026-11-16T00:01:30")
    );
}
