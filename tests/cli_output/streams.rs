//! stdout is the result, stderr everything else; neither acts on a terminal.

use std::process::Stdio;

use crate::support::World;

/// Checks that a text can be shown on any terminal.
#[track_caller]
fn assert_harmless(text: &str) {
    let acts = |c: char| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
    assert!(!text.contains(acts), "{text:?}");
}

#[test]
fn odd_names_are_shown_without_acting_on_the_terminal() {
    let world = World::of("odd_names");
    let list = world.expect(0, &["list"]);
    assert!(
        list.stdout.contains("test_id[line\\u{a}break]"),
        "{list:#?}"
    );
    assert_eq!(list.stdout.lines().count(), 19, "{list:#?}");
    let pass = world.expect(1, &["run"]);
    world.expect(0, &["hunt", "--iterations", "1", "--workers", "1"]);
    let status = world.expect(3, &["status", "--shards", "3"]);
    for ended in [&list, &pass, &status] {
        assert_harmless(&ended.stdout);
        assert_harmless(&ended.stderr);
    }
    let wide = status
        .stdout
        .lines()
        .filter(|line| !line.starts_with("next: "));
    let wide: Vec<_> = wide
        .filter(|line| soakhound::ui::width(line) > 80)
        .collect();
    assert!(wide.is_empty(), "{wide:#?}");

    let mut plain = world.command(&["list"]);
    plain.env("LC_ALL", "C").env("NO_COLOR", "1");
    let plain = crate::support::Started::of(&mut plain).wait();
    assert_eq!(plain.stdout, list.stdout, "the locale changes nothing");
}

#[test]
fn quiet_list_has_its_result_alone() {
    let world = World::of("steady");
    let list = world.expect(0, &["list", "--quiet"]);
    assert_eq!(list.stderr, "");
    assert_eq!(list.stdout.lines().count(), 8);
    let answer = world.json(&["list"]);
    assert_eq!(answer["tests"].as_array().unwrap().len(), 8, "{answer:#}");
    assert_eq!(answer["schema"], "soakhound.list/1");
}

#[test]
fn closed_stdout_ends_a_command_quietly() {
    let world = World::of("steady");
    let mut list = world.command(&["list", "--quiet"]);
    let mut list = list
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(list.stdout.take());
    let ended = list.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stderr.is_empty(), "{ended:?}");
}

#[test]
fn colour_is_for_labels_and_can_be_switched_off() {
    let world = World::of("steady");
    let wrong = ["replay", "nonsense", "--color", "always"];
    world
        .expect(150, &wrong)
        .assert_says(&["\x1b[1;31merror:\x1b[0m"]);
    let plain = world.expect(150, &wrong[..2]);
    assert_harmless(&plain.stderr);
}

#[test]
fn doctor_answers_in_words_and_in_json() {
    let world = World::of("steady");
    let words = world.expect(0, &["doctor"]);
    let answer = world.json(&["doctor"]);
    let checks = answer["checks"].as_array().unwrap();
    assert!(!checks.is_empty());
    for check in checks {
        let name = check["name"].as_str().unwrap();
        assert!(words.stdout.contains(name), "{name}: {words:#?}");
        assert!(
            ["ok", "warning"].contains(&check["state"].as_str().unwrap()),
            "{check}"
        );
    }
}
