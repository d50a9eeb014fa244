//! The shape of the code: which layer may import which, who owns a dependency, what the README must say.

use std::fs;
use std::path::{Path, PathBuf};

use soakhound::error::ExitCode;

/// What each layer may import of ours. `command` is not here: it sees all.
const LAYERS: [(&str, &[&str]); 14] = [
    ("model", &[]),
    ("plan", &["model"]),
    ("store", &["model", "plan"]),
    ("stats", &["model"]),
    ("minimize", &["model", "stats"]),
    ("diagnose", &["model", "plan", "stats", "minimize"]),
    ("report", &["model", "plan", "stats", "ui"]),
    ("suite", &["model"]),
    ("config", &["model"]),
    ("ui", &["model"]),
    ("container", &["model"]),
    ("execute", &["model", "plan", "suite", "container", "store"]),
    ("error", &["model", "config", "ui"]),
    ("cli", &["model", "config", "ui", "error", "report"]),
];

/// Crates with one owner: the crate's name in paths, and where it may stand.
const OWNERS: [(&str, &str); 9] = [
    ("clap", "src/cli"),
    ("clap_mangen", "src/cli"),
    ("csv", "src/command/export"),
    ("ignore", "src/suite/owners"),
    ("quick_junit", "src/command"),
    ("rusqlite", "src/store"),
    ("lxc_sys", "src/container"),
    ("ctrlc", "src/main.rs"),
    ("statrs", "src/stats"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `src`, by its path from the root, with its code: comments are taken out.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"));
                files.push((from_root(&path), code.collect::<Vec<_>>().join("\n")));
            }
        }
    }
    files.sort();
    files
}

fn from_root(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

/// Returns the layer of a file: the first name below `src`.
fn layer_of(file: &str) -> &str {
    let below = file.strip_prefix("src/").unwrap();
    below.split('/').next().unwrap().trim_end_matches(".rs")
}

/// Returns every name that follows `crate::`, also inside `use crate::{a::X, b::Y}`.
fn imports(code: &str) -> Vec<String> {
    let word = |text: &str| {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.push(word(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut start = true;
                for (place, character) in group.char_indices() {
                    match character {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if c.is_whitespace() => {}
                        _ if start => {
                            found.push(word(&group[place..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

#[test]
fn imports_are_seen_alone_and_in_groups() {
    let code = "use crate::model::TestId;\nuse crate::{\n    plan::{self, seed},\n    store,\n};\nfn f() { crate::ui::x() }";
    assert_eq!(imports(code), ["model", "plan", "store", "ui"]);
}

#[test]
fn every_layer_imports_only_what_it_may() {
    let mut faults = Vec::new();
    for (file, code) in sources() {
        let layer = layer_of(&file);
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            assert!(
                ["command", "lib", "main"].contains(&layer),
                "{file}: a layer without a rule"
            );
            continue;
        };
        for import in imports(&code) {
            if import != layer && !allowed.contains(&&*import) {
                faults.push(format!("{file} imports {import}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_owned_crate_stays_with_its_owner() {
    let mut faults = Vec::new();
    for (file, code) in sources() {
        for (name, owner) in OWNERS {
            let used = code.match_indices(name).any(|(at, _)| {
                let before = code[..at].chars().next_back();
                let alone = !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
                alone && code[at + name.len()..].starts_with("::")
            });
            if used && !file.starts_with(owner) {
                faults.push(format!("{file} uses {name}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_exit_code_stands_in_the_readme_with_its_meaning() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let rows: Vec<&str> = readme
        .lines()
        .filter(|line| line.starts_with("| "))
        .collect();
    for exit in ExitCode::ALL {
        let row = format!("| {} | {} |", exit.code(), exit.meaning());
        assert!(rows.contains(&&*row), "README.md lacks this row:\n{row}");
    }
}

#[test]
fn every_configuration_key_stands_in_the_readme() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let init = fs::read_to_string(root().join("src/command/init.rs")).unwrap();
    let template = init
        .split("r#\"")
        .nth(1)
        .unwrap()
        .split("\"#")
        .next()
        .unwrap();
    let mut section = "";
    for line in template.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((key, _)) = line.trim_start_matches('#').split_once(" = ")
            && !key.contains(' ')
        {
            let row = format!("| `[{section}] {key}` |");
            assert!(
                readme.contains(&row),
                "README.md lacks a row that begins with:\n{row}"
            );
        }
    }
}
