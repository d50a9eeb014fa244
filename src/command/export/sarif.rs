//! Flags as SARIF 2.1.0, for code scanning: one result per flag, never one per failure.

use serde_json::{Value, json};

use super::listing::{Listing, certainty, sentences};
use crate::{command::finding::Found, model::Verdict, ui::escape};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
/// What locations are relative to, by the name that everybody uses for it.
const BASE: &str = "%SRCROOT%";
/// What the fingerprint is made of may change; then its name does.
const FINGERPRINT: &str = "soakhoundTest/v1";

/// Returns the log.
pub(super) fn render(listing: &Listing) -> String {
    let rules: Vec<Value> = Verdict::ALL.iter().map(|verdict| rule(*verdict)).collect();
    let results: Vec<Value> = listing
        .found
        .iter()
        .map(|found| result(listing, found))
        .collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "Soakhound",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            // Results of two suites are two sets: one does not replace the other.
            "automationDetails": {"id": format!("soakhound/{}/", listing.id)},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": {BASE: {
                "description": {"text": "The top of the checkout."},
            }},
            "results": results,
        }],
    });
    escape::json_text(&log) + "\n"
}

fn rule_id(verdict: Verdict) -> String {
    format!("soakhound/{verdict}")
}

fn rule(verdict: Verdict) -> Value {
    let (what, help) = meaning(verdict);
    json!({
        "id": rule_id(verdict),
        "name": name(verdict),
        "shortDescription": {"text": what},
        "fullDescription": {"text": format!("{what} {help}")},
        "help": {"text": help},
        "defaultConfiguration": {"level": level(verdict)},
        "properties": {"tags": ["test", "flaky"]},
    })
}

/// Returns the readable identifier of a rule: `OdVictim`.
fn name(verdict: Verdict) -> String {
    format!("{verdict:?}")
}

/// Returns what a verdict says of a test, and what to do about it.
fn meaning(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Infrastructure => (
            "Many tests failed at once and none was to blame.",
            "The machine did it; nothing is to be done about the tests.",
        ),
        Verdict::Broken => (
            "The test always fails.",
            "It is no flaky test: it fails in every order and alone. Mend it, or what it tests.",
        ),
        Verdict::Environment => (
            "The test fails or passes by a level of an environment factor.",
            "Let the test set what it depends on, such as time zone, locale or hash seed.",
        ),
        Verdict::Nio => (
            "The test passes, and fails when it runs again in the same process.",
            "It spoils its own state: undo in its tear-down what it leaves behind.",
        ),
        Verdict::OdVictim => (
            "The test fails after a polluter, and not without.",
            "Undo in the polluter's tear-down what it leaves behind, or let the test set up all that it needs.",
        ),
        Verdict::OdBrittle => (
            "The test fails alone, and passes only after a state-setter.",
            "Let the test set up itself what it borrows from the other.",
        ),
        Verdict::Interference => (
            "The test fails while another test runs elsewhere.",
            "Give each its own port, file or other resource that both use.",
        ),
        Verdict::Position => (
            "The test fails late in a process, or unless it is first.",
            "Look for what all tests use up: memory, file descriptors, a cache, a counter.",
        ),
        Verdict::Ndod => (
            "The test fails without its polluter too, at a certified different rate.",
            "It has two faults: one of its own, and one that the polluter makes worse.",
        ),
        Verdict::Nod => (
            "The test fails at random, also alone.",
            "Look for races, timeouts, random data and clocks in the test and in what it tests.",
        ),
        Verdict::Undetermined => (
            "The test has failed, and why is not known yet.",
            "Hunt on: `soakhound show` says what would settle it.",
        ),
    }
}

fn level(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Broken => "error",
        Verdict::Infrastructure | Verdict::Undetermined => "note",
        Verdict::Environment
        | Verdict::Nio
        | Verdict::OdVictim
        | Verdict::OdBrittle
        | Verdict::Interference
        | Verdict::Position
        | Verdict::Ndod
        | Verdict::Nod => "warning",
    }
}

fn result(listing: &Listing, found: &Found) -> Value {
    let verdict = found.flag.verdict;
    let index = Verdict::ALL.iter().position(|one| *one == verdict);
    let level = if found.needs_action() {
        level(verdict)
    } else {
        "note"
    };
    let mut text = vec![found.name()];
    text.extend(sentences(found, found.flag.soak));
    let mut result = json!({
        "ruleId": rule_id(verdict),
        "ruleIndex": index,
        "level": level,
        "message": {"text": message(&text.join("\n"))},
        "partialFingerprints": {FINGERPRINT: fingerprint(listing, found)},
        "properties": {
            "handle": found.handle,
            "certainty": certainty(found),
            "token": found.token,
            "owners": found.owners,
        },
    });
    // Code scanning refuses a whole log for one result without a file.
    let uri = listing.uri_of(found);
    let uri = uri.as_ref().unwrap_or(&listing.configuration);
    let mut location = json!({
        "physicalLocation": {"artifactLocation": {"uri": uri, "uriBaseId": BASE}},
    });
    if let Some(test) = &found.flag.test {
        location["logicalLocations"] = json!([{
            "fullyQualifiedName": escape::terminal(test.as_bytes()),
            "kind": "function",
        }]);
    }
    result["locations"] = json!([location]);
    result
}

/// Returns what stays the same for a test whatever is found out about it: a digest of the suite's id and its name.
fn fingerprint(listing: &Listing, found: &Found) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&listing.id.bits().to_le_bytes());
    if let Some(test) = &found.flag.test {
        hasher.update(test.as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// Escapes the text of a message: braces would be placeholders, and brackets links (SARIF 2.1.0, 3.11.5 and 3.11.6).
fn message(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '{' => safe.push_str("{{"),
            '}' => safe.push_str("}}"),
            '[' | ']' | '\\' => safe.extend(['\\', character]),
            other => safe.push(other),
        }
    }
    safe
}
