//! Every renderer over the hostile corpus, read back by a parser that is not ours: each name is found once, and nothing
//! else was made of it.

use std::{collections::BTreeSet, path::Path};

use quick_xml::{Reader, events::Event};
use serde_json::Value;

use super::{
    csv, github, junit,
    listing::{Failing, Listing, Tested},
    ndjson, sarif,
};
use crate::{
    command::finding::Found,
    model::{Count, Group, HandleLength, Outcome, Role, SuiteId, TestId, UnixMillis, Verdict},
    store::OutcomeCounts,
    suite::Checkout,
    ui::{escape, hostile},
};

/// A flag and a tested case per hostile name; every text that a flag brings is hostile too.
fn listing() -> Listing {
    let texts = hostile::texts();
    let lossy = |i: usize| String::from_utf8_lossy(&texts[i % texts.len()]).into_owned();
    let names = hostile::names();
    let suite: Vec<TestId> = names
        .into_iter()
        .map(|name| TestId::new(name).unwrap())
        .collect();
    let verdicts = Verdict::ALL.iter().cycle();
    let found = suite
        .iter()
        .zip(verdicts)
        .enumerate()
        .map(|(i, (test, verdict))| {
            let handle = test.handle(HandleLength::Eight).to_string();
            let mut found = Found::of_test(
                test,
                &handle,
                Count {
                    failures: 3,
                    trials: 12,
                },
            );
            found.flag.verdict = *verdict;
            found.flag.certified = i % 3 != 0;
            found.flag.factors = vec![("TZ".into(), lossy(i + 7))];
            found.flag.groups = vec![Group {
                role: Role::Polluter,
                members: vec![suite[(i + 1) % suite.len()].clone()],
                adjacent: false,
                with: Count {
                    failures: 6,
                    trials: 6,
                },
                with_decoy: Count {
                    failures: 0,
                    trials: 6,
                },
                without: Count {
                    failures: 0,
                    trials: 6,
                },
                ln_e: 9.0,
            }];
            found.token = Some("sk1m_x".into());
            // Signatures are short, of one line; nothing here relies on it.
            found.signature = Some(lossy(i + 3));
            found.owners = vec![format!(
                "@{}",
                lossy(i + 5).chars().take(200).collect::<String>()
            )];
            found
        });
    let found: Vec<Found> = found.collect();
    let tested = suite.iter().enumerate().map(|(i, test)| {
        let mut outcomes = OutcomeCounts::default();
        let (passed, failed) = [(9, 3), (0, 3), (12, 0), (0, 0)][i % 4];
        outcomes.add(Outcome::Passed, passed);
        outcomes.add(Outcome::Failed, failed);
        let failing = Failing {
            outcome: Outcome::Failed,
            detail: texts[i % texts.len()].clone(),
        };
        let last = (failed > 0).then_some(failing);
        Tested {
            test: test.clone(),
            outcomes,
            last,
        }
    });
    Listing {
        suite: "a <suite> & \"more\"".into(),
        id: SuiteId::of("a", "pytest"),
        checkout: Checkout::of(Path::new("/nowhere/at/all")),
        configuration: "shop/soakhound.toml".into(),
        tests: tested.collect(),
        found,
        owners_unknown: None,
    }
}

/// The names as every format that people read shows them.
fn shown() -> BTreeSet<String> {
    let names = hostile::names();
    let shown: BTreeSet<String> = names.iter().map(|name| escape::terminal(name)).collect();
    assert_eq!(shown.len(), names.len(), "no two are shown alike");
    shown
}

/// Checks that these are the names of the corpus, each once.
#[track_caller]
fn assert_all(names: impl IntoIterator<Item = String>) {
    let names: Vec<String> = names.into_iter().collect();
    assert_eq!(names.len(), hostile::names().len());
    let (names, shown) = (names.into_iter().collect::<BTreeSet<_>>(), shown());
    let differ: Vec<String> = names
        .symmetric_difference(&shown)
        .map(|name| name.chars().take(80).collect())
        .collect();
    assert!(differ.is_empty(), "{differ:#?}");
}

#[track_caller]
fn assert_harmless(text: &str, may_hold: &[char]) {
    let acts = |c: char| {
        (c.is_control()
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c))
            && !may_hold.contains(&c)
    };
    let at = text
        .find(acts)
        .map(|at| text[at..].chars().take(40).collect::<String>());
    assert_eq!(at, None);
}

#[test]
fn junit_of_hostile_names_reads_back_with_each_name_once() {
    let document = junit::render(&listing()).unwrap();
    assert_harmless(&document, &['\n']);
    let mut reader = Reader::from_str(&document);
    let mut names = Vec::new();
    let mut elements = BTreeSet::new();
    let mut longest = 0;
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => break,
            Event::Start(tag) | Event::Empty(tag) => {
                let element = String::from_utf8(tag.name().as_ref().to_vec()).unwrap();
                if element == "testcase" {
                    let value = |name: &str| {
                        let found = tag
                            .attributes()
                            .map(Result::unwrap)
                            .find(|a| a.key.as_ref() == name.as_bytes());
                        found.map(|a| {
                            a.normalized_value(quick_xml::XmlVersion::Explicit1_0)
                                .unwrap()
                                .into_owned()
                        })
                    };
                    let name = value("name").unwrap();
                    names.push(match value("classname") {
                        Some(class) => format!("{class}::{name}"),
                        None => name,
                    });
                }
                elements.insert(element);
            }
            Event::Text(text) => longest = longest.max(text.len()),
            Event::CData(_) | Event::PI(_) | Event::Comment(_) | Event::DocType(_) => {
                panic!("not ours")
            }
            Event::End(_) | Event::Decl(_) | Event::GeneralRef(_) => {}
        }
    }
    let known = [
        "testsuites",
        "testsuite",
        "testcase",
        "failure",
        "flakyFailure",
        "skipped",
        "properties",
        "property",
    ];
    assert_eq!(elements, known.iter().map(ToString::to_string).collect());
    assert_all(names);
    assert!(longest < 64 << 10, "a text of {longest} bytes");
}

#[test]
fn csv_of_hostile_names_reads_back_with_each_name_once_and_no_formula() {
    let document = csv::render(&listing());
    assert_harmless(&document, &['\r', '\n']);
    // Whatever the cells hold, a row is a line.
    assert_eq!(document.matches('\n').count(), hostile::names().len() + 1);
    assert_eq!(
        document.matches("\r\n").count(),
        document.matches('\n').count()
    );
    let mut reader = ::csv::Reader::from_reader(document.as_bytes());
    let width = reader.headers().unwrap().len();
    let mut names = Vec::new();
    let mut cells = 0;
    for row in reader.records() {
        let row = row.unwrap();
        assert_eq!(row.len(), width);
        for cell in &row {
            cells += 1;
            let begins = cell.trim_start().chars().next();
            assert!(
                !begins.is_some_and(|c| "=+-@＝＋－＠".contains(c)),
                "{cell:?}"
            );
        }
        names.push(row[1].strip_prefix('\'').unwrap_or(&row[1]).to_owned());
    }
    assert_eq!(cells, hostile::names().len() * width);
    assert_all(names);
}

#[test]
fn ndjson_of_hostile_names_keeps_every_byte_and_a_line_is_a_flag() {
    let document = ndjson::render(&listing());
    assert_harmless(&document, &['\n']);
    let names: Vec<TestId> = document
        .lines()
        .map(|line| {
            let flag: Value = serde_json::from_str(line).unwrap();
            assert_eq!(flag["schema"], "soakhound.flag/1");
            serde_json::from_value(flag["test"].clone()).unwrap()
        })
        .collect();
    let expected: Vec<TestId> = hostile::names()
        .into_iter()
        .map(|name| TestId::new(name).unwrap())
        .collect();
    assert_eq!(names, expected);
}

#[test]
fn sarif_of_hostile_names_has_a_result_each_and_what_the_standard_requires() {
    let document = sarif::render(&listing());
    assert_harmless(&document, &['\n']);
    let log: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "Soakhound");
    let rules = driver["rules"].as_array().unwrap();
    let ids: BTreeSet<&str> = rules
        .iter()
        .map(|rule| rule["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), Verdict::ALL.len());
    let mut names = Vec::new();
    let mut prints = BTreeSet::new();
    for result in run["results"].as_array().unwrap() {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        let message = result["message"]["text"].as_str().unwrap();
        // Nothing is left that the standard would read as a link or a placeholder.
        let bare = message
            .replace("\\\\", "")
            .replace("\\[", "")
            .replace("\\]", "");
        let bare = bare.replace("{{", "").replace("}}", "");
        assert!(!bare.contains(['[', ']', '{', '}', '\\']), "{message}");
        let location = &result["locations"][0];
        let uri = &location["physicalLocation"]["artifactLocation"]["uri"];
        let uri = uri.as_str().unwrap();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/%".contains(c);
        assert!(
            uri.chars().all(plain) && !uri.starts_with('/') && !uri.contains(".."),
            "{uri}"
        );
        let name = &location["logicalLocations"][0]["fullyQualifiedName"];
        names.push(name.as_str().unwrap().to_owned());
        prints.insert(result["partialFingerprints"]["soakhoundTest/v1"].to_string());
    }
    assert_eq!(prints.len(), names.len());
    assert_all(names);
}

/// Name, properties and message.
type Command<'a> = (&'a str, Vec<(&'a str, String)>, String);

/// What a runner of GitHub Actions makes of a line: the command with its properties and its message.
fn command(line: &str) -> Option<Command<'_>> {
    let (head, message) = line.trim_start().strip_prefix("::")?.split_once("::")?;
    let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
    let plain = |text: &str| {
        let text = text.replace("%0D", "\r").replace("%0A", "\n");
        text.replace("%3A", ":")
            .replace("%2C", ",")
            .replace("%25", "%")
    };
    let properties = properties.split(',').filter_map(|one| one.split_once('='));
    Some((
        name,
        properties.map(|(key, value)| (key, plain(value))).collect(),
        plain(message),
    ))
}

/// Runs a log through the runner: the commands that it obeys.
fn obeyed(log: &str) -> Vec<Command<'_>> {
    let mut stopped: Option<String> = None;
    let mut obeyed = Vec::new();
    for line in log.split(['\n', '\r']) {
        let Some((name, properties, message)) = command(line) else {
            assert!(stopped.is_some() || !line.contains("##["), "{line}");
            continue;
        };
        match &stopped {
            Some(word) if name == word => stopped = None,
            Some(_) => {}
            None if name == "stop-commands" => stopped = Some(message),
            None => obeyed.push((name, properties, message)),
        }
    }
    assert_eq!(stopped, None, "commands work again at the end");
    obeyed
}

#[test]
fn github_obeys_nothing_but_our_annotations_and_each_name_is_in_the_log() {
    let listing = listing();
    let log = github::render(&listing);
    assert_harmless(&log, &['\n']);
    let obeyed = obeyed(&log);
    for kind in ["error", "warning", "notice"] {
        let count = obeyed.iter().filter(|(name, ..)| *name == kind).count();
        assert!(count <= 10, "{count} of {kind}");
    }
    let (last, rest) = obeyed.split_last().unwrap();
    assert_eq!(last.0, "notice");
    let more: usize = last
        .2
        .split_once(" more: soakhound flags --all")
        .unwrap()
        .0
        .parse()
        .unwrap();
    assert_eq!(rest.len() + more, listing.found.len());
    for (name, properties, _) in rest {
        assert!(["error", "warning", "notice"].contains(name), "{name}");
        let keys: Vec<&str> = properties.iter().map(|(key, _)| *key).collect();
        assert!(keys == ["file", "title"] || keys == ["title"], "{keys:?}");
    }
    for (found, name) in listing.found.iter().zip(hostile::names()) {
        let line = format!(
            "{}  {}",
            found.handle.as_ref().unwrap(),
            escape::terminal(&name)
        );
        assert_eq!(log.lines().filter(|one| *one == line).count(), 1, "{line}");
    }
}

#[test]
fn few_flags_are_all_annotated_and_none_print_nothing() {
    let mut listing = listing();
    listing.found.retain(|found| found.flag.certified);
    listing.found.truncate(10);
    for found in &mut listing.found {
        found.flag.verdict = Verdict::Nod;
    }
    let log = github::render(&listing);
    assert_eq!(obeyed(&log).len(), 10);
    assert!(!log.contains(" more: "), "{log}");
    listing.found.clear();
    assert_eq!(github::render(&listing), "");
    assert_eq!(ndjson::render(&listing), "");
    assert_eq!(csv::render(&listing).lines().count(), 1);
    let empty: Value = serde_json::from_str(&sarif::render(&listing)).unwrap();
    assert_eq!(empty["runs"][0]["results"], serde_json::json!([]));
}

#[test]
fn junit_tells_flaky_from_broken_and_skipped() {
    let mut listing = listing();
    let tests: Vec<TestId> = [
        "t.py::C::test_flaky",
        "t.py::test_broken",
        "t.py::test_fine",
        "t.py::test_new",
    ]
    .iter()
    .map(|name| TestId::new(*name).unwrap())
    .collect();
    listing.tests.truncate(4);
    listing.found.truncate(1);
    for (tested, test) in listing.tests.iter_mut().zip(&tests) {
        tested.test = test.clone();
        if let Some(last) = &mut tested.last {
            last.detail = b"head\n"
                .iter()
                .chain(&[b'm'; 9000])
                .chain(b"\nE  AssertionError: x")
                .copied()
                .collect();
        }
    }
    let found = &mut listing.found[0];
    found.flag.test = Some(tests[0].clone());
    found.flag.verdict = Verdict::OdVictim;
    found.flag.certified = true;
    found.owners = vec!["@acme/api".into()];
    found.first = None;
    let document = junit::render(&listing).unwrap();
    for part in [
        r#"tests="4" skipped="1" failures="1" errors="0""#,
        r#"<testcase name="test_flaky" classname="t.py::C">"#,
        r#"<flakyFailure message="failed 3 of 12 (95 %:"#,
        r#"<property name="soakhound.verdict" value="od-victim"/>"#,
        r#"<property name="soakhound.owners" value="@acme/api"/>"#,
        "soakhound replay sk1m_x --repeat auto",
        r#"<failure message="failed 3 of 3"#,
        "head\nmmm",
        "KiB left out ...\n",
        "E  AssertionError: x",
        r#"<skipped message="did not run"/>"#,
    ] {
        assert!(document.contains(part), "lacks {part}:\n{document}");
    }
    assert_eq!(document.matches("<flakyFailure").count(), 1);
    // What the flag counted when it was raised is not what these hunts show.
    listing.found[0].flag.soak = Count {
        failures: 2,
        trials: 7,
    };
    let counted = junit::render(&listing).unwrap();
    assert!(!counted.contains("failed 2 of 7"), "{counted}");
    // A certified regression is broken, whatever it showed before.
    listing.found[0].flag.verdict = Verdict::Broken;
    let document = junit::render(&listing).unwrap();
    assert!(
        document.contains(r#"tests="4" skipped="1" failures="2""#),
        "{document}"
    );
}

#[test]
fn times_of_sightings_are_in_csv_as_they_are_in_json() {
    let mut listing = listing();
    listing.found.truncate(1);
    let seen = crate::command::finding::Seen {
        time: UnixMillis(1_795_310_040_000),
        revision: "9f3c2e1".into(),
        shard: 1,
    };
    listing.found[0].last = Some(seen);
    let row = csv::render(&listing);
    let flag: Value = serde_json::from_str(&ndjson::render(&listing)).unwrap();
    assert!(row.contains(flag["last_seen"].as_str().unwrap()), "{row}");
}
