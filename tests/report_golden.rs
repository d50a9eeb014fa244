//! The three formats of the report against golden files, byte for byte, and the JSON against the schema that we ship.
//!
//! After a change that is meant, `SOAKHOUND_BLESS=1 cargo test --test report_golden` writes the files anew; read what
//! changed before committing it.

use std::fs;
use std::path::PathBuf;

use soakhound::report::{Digest, html, json, markdown};

#[path = "support/digest.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod digest;

fn is_golden(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("SOAKHOUND_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    let differs = golden.lines().zip(text.lines()).position(|(a, b)| a != b);
    assert!(
        golden == text,
        "{name} is not as it was, from line {:?} on; if that is meant: SOAKHOUND_BLESS=1 cargo test --test report_golden",
        differs.map(|at| at + 1)
    );
}

fn sample() -> Digest {
    digest::samples::rich(&digest::Plain)
}

#[test]
fn every_format_is_as_it_was() {
    let digest = sample();
    is_golden("report.md", &markdown::page(&digest));
    is_golden("report.html", &html::page(&digest));
    let pretty = serde_json::to_string_pretty(&json::value(&digest)).unwrap();
    is_golden("report.json", &pretty);
}

#[test]
fn json_holds_to_the_schema_that_ships_with_it() {
    let schema: serde_json::Value = serde_json::from_str(json::SCHEMA).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let faults = |value: &serde_json::Value| -> Vec<String> {
        let errors = schema.iter_errors(value);
        errors
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect()
    };
    let mut value: serde_json::Value = serde_json::from_str(&json::text(&sample())).unwrap();
    assert_eq!(faults(&value), Vec::<String>::new());
    // A schema that takes anything would take this, too.
    value["causes"][0]["state"] = "fine".into();
    value["green"]["now"]["natural"]["rate"] = 2.into();
    assert_eq!(faults(&value).len(), 2);
}

#[test]
fn markdown_fits_an_issue_and_says_how_many_more_there_are() {
    let page = markdown::page(&sample());
    assert!(page.chars().count() <= 60_000);
    assert!(page.contains("more in the HTML"), "{page}");
}
