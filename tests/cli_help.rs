//! The command line as people read it: help of every command, exit codes of early ends, flags that exclude each other.

use std::ffi::OsString;

use clap::CommandFactory;
use soakhound::cli::{self, Cli, EarlyEnd, Repeat};
use soakhound::config::Overrides;
use soakhound::error::ExitCode;

fn parse(line: &str) -> Result<Cli, EarlyEnd> {
    cli::parse(
        std::iter::once("soakhound")
            .chain(line.split_whitespace())
            .map(OsString::from),
    )
}

fn exit_of(line: &str) -> ExitCode {
    parse(line).map_or_else(|end| end.exit, |_| ExitCode::Fine)
}

/// Visits the command and all below it, with the words that lead there.
fn walk(command: &clap::Command, path: &str, visit: &mut impl FnMut(&str, &clap::Command)) {
    visit(path, command);
    for below in command.get_subcommands() {
        walk(below, &format!("{path} {}", below.get_name()), visit);
    }
}

#[test]
fn help_of_every_command_and_flag_begins_with_a_capital_and_has_no_full_stop() {
    let mut root = Cli::command();
    root.build();
    let mut faults = Vec::new();
    walk(&root, "soakhound", &mut |path, command| {
        let about = [(
            path.to_owned(),
            command.get_about().map(ToString::to_string),
        )];
        let flags = command.get_arguments().map(|flag| {
            (
                format!("{path} {}", flag.get_id()),
                flag.get_help().map(ToString::to_string),
            )
        });
        for (what, help) in about.into_iter().chain(flags) {
            let help = help.unwrap_or_default();
            if !help.starts_with(|first: char| first.is_ascii_uppercase()) || help.ends_with('.') {
                faults.push(format!("{what}: {help:?}"));
            }
        }
    });
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_flag_whose_value_decides_something_names_its_default() {
    let mut root = Cli::command();
    root.build();
    let mut faults = Vec::new();
    walk(&root, "soakhound", &mut |path, command| {
        for flag in command.get_arguments() {
            let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
            let id = flag.get_id().as_str();
            let decides = ["config", "db", "python", "workers", "seed", "duration"].contains(&id);
            if decides && !help.contains("[default: ") {
                faults.push(format!("{path} {id}: {help:?}"));
            }
        }
    });
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_command_that_answers_takes_json() {
    for command in [
        "doctor",
        "list",
        "run",
        "hunt",
        "status",
        "flags",
        "show 7k3q9m",
        "minimize 7k3q9m",
        "minimize --order names.txt",
        "replay sk1r_x",
        "replay --from repro.json",
        "db check",
    ] {
        assert_eq!(
            exit_of(&format!("{command} --json")),
            ExitCode::Fine,
            "{command}"
        );
    }
}

#[test]
fn help_and_version_end_with_0() {
    for line in [
        "--help",
        "-h",
        "--version",
        "help",
        "hunt --help",
        "help db check",
    ] {
        let end = parse(line).unwrap_err();
        assert_eq!(end.exit, ExitCode::Fine, "{line}");
        assert!(!end.text.contains('\x1b'), "{line}: no colour");
    }
}

#[test]
fn every_mistake_ends_with_150_and_never_with_clap_s_2() {
    for line in [
        "",
        "hnut",
        "hunt --wrokers 2",
        "hunt --workers 0",
        "hunt --workers 70000",
        "hunt --workers many",
        "hunt --for 8",
        "hunt --for 0s",
        "hunt --for 8h --until 06:00",
        "hunt --until 25:00",
        "hunt --iterations 0",
        "hunt --iterations 3 --for 1h",
        "hunt --seed -1",
        "replay",
        "replay a b",
        "replay --from",
        "show",
        "show a b",
        "minimize",
        "minimize t --order names.txt",
        "minimize t --limit 0s",
        "flags --since 0s",
        "flags --since week",
        "flags --fail-on all",
        "export",
        "export TOKEN",
        "export --format xml",
        "export --format csv --repro sk1m_x",
        "export --repro sk1m_x --since 7d",
        "export --format csv --since 0s",
        "man hunt",
        "replay t --repeat 0",
        "replay t --repeat often",
        "replay t --local --shell",
        "db",
        "completions tcsh2",
        "status --quiet -v",
        "status --color sometimes",
    ] {
        assert_eq!(exit_of(line), ExitCode::Usage, "{line:?}");
    }
}

#[test]
fn mistyped_flag_is_answered_with_the_near_one() {
    let end = parse("hunt --wrokers 2").unwrap_err();
    assert!(end.text.contains("--workers"), "{}", end.text);
}

#[test]
fn global_flags_stand_before_or_after_the_command() {
    for line in [
        "--db x.db -C sub hunt --workers 3",
        "hunt --workers 3 -C sub --db x.db",
    ] {
        let cli = parse(line).unwrap();
        assert_eq!(
            cli.global.directory.as_deref(),
            Some("sub".as_ref()),
            "{line}"
        );
        let expected = Overrides {
            db: Some("x.db".into()),
            workers: std::num::NonZeroU16::new(3),
            ..Overrides::default()
        };
        assert_eq!(cli.overrides(), expected, "{line}");
    }
}

#[test]
fn repeat_text_round_trips() {
    for text in ["auto", "1", "96"] {
        assert_eq!(text.parse::<Repeat>().unwrap().to_string(), text);
    }
}

#[test]
fn completions_of_every_shell_name_the_commands() {
    use clap::ValueEnum;
    for shell in clap_complete::Shell::value_variants() {
        let script = String::from_utf8(cli::completions(*shell)).unwrap();
        assert!(
            script.contains("replay") && script.contains("hunt"),
            "{shell}"
        );
    }
}

#[test]
fn manual_has_a_page_for_every_command_and_names_every_flag() {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let pages = cli::man().unwrap();
    let mut expected = Vec::new();
    walk(&root, "soakhound", &mut |path, command| {
        expected.push(format!("{}.1", path.replace(' ', "-")));
        let page = pages
            .iter()
            .find(|page| Some(&page.file) == expected.last());
        let page = page.unwrap_or_else(|| panic!("no page {}", expected.last().unwrap()));
        // Roff writes a hyphen that is meant as one with a backslash.
        let text = String::from_utf8(page.text.clone())
            .unwrap()
            .replace('\\', "");
        let about = command.get_about().unwrap().to_string();
        assert!(text.contains(&about), "{}: lacks {about:?}", page.file);
        for flag in command.get_arguments().filter_map(|flag| flag.get_long()) {
            assert!(
                text.contains(&format!("--{flag}")),
                "{}: lacks --{flag}",
                page.file
            );
        }
    });
    let files: Vec<&str> = pages.iter().map(|page| &*page.file).collect();
    assert_eq!(files, expected);
    assert_eq!(files[0], "soakhound.1");
}

#[test]
fn manual_has_every_exit_code_and_no_request_that_man_does_not_know() {
    let pages = cli::man().unwrap();
    let main = String::from_utf8(pages[0].text.clone()).unwrap();
    let section = main.split(".SH \"EXIT STATUS\"").nth(1).unwrap();
    for exit in ExitCode::ALL {
        let entry = format!("\\fB{}\\fR\n", exit.code());
        let meaning = section
            .split(&entry)
            .nth(1)
            .unwrap_or_else(|| panic!("lacks {entry}"));
        let meaning = meaning
            .lines()
            .next()
            .unwrap()
            .replace("\\&", "")
            .replace("\\-", "-");
        assert_eq!(meaning, exit.meaning());
    }
    for page in &pages {
        for line in String::from_utf8(page.text.clone()).unwrap().lines() {
            let request = line
                .strip_prefix('.')
                .map(|line| line.split(' ').next().unwrap());
            let known = [
                "TH", "SH", "TP", "PP", "IP", "RS", "RE", "br", "nf", "fi", "ie", "el", "ds", "in",
            ];
            assert!(
                request.is_none_or(|one| known.contains(&one)),
                "{}: {line}",
                page.file
            );
        }
    }
    formatted(&pages);
}

/// Has `man` itself read every page, where there is one: it says on stderr what it does not like.
fn formatted(pages: &[cli::ManPage]) {
    let folder = tempfile::tempdir().unwrap();
    for page in pages {
        let file = folder.path().join(&page.file);
        std::fs::write(&file, &page.text).unwrap();
        let man = std::process::Command::new("man")
            .args(["--warnings", "-l"])
            .arg(&file)
            .env("MANPAGER", "cat")
            .output();
        let Ok(man) = man else { return };
        let said = String::from_utf8_lossy(&man.stderr);
        assert!(
            man.status.success() && said.is_empty(),
            "{}: {said}",
            page.file
        );
    }
}
