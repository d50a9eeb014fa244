//! The same truth as files: a suite that plain pytest runs, order-dependent for real, with its `truth.json`.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use soakhound::model::{Role, TestId};

use super::bench::scenario::Scenario;
use super::bench::score::due;
use super::bench::world::{Defect, TZ, World};
use super::options::Options;
use super::print::line;

/// What the tests share, and should not.
const STATE: &str = r#""""What the tests of this suite share, and should not."""

import os
import pathlib
import random
import tempfile

# Tests of this process in the order in which they ran, the running one last.
ran = []
# What tests left behind: (victim, group, member).
left = set()
# The same in files, which a process leaves to the next.
_files = pathlib.Path(tempfile.gettempdir()) / "left-by-tests"


def enter(number):
    ran.append(number)


def leave(victim, group, member):
    left.add((victim, group, member))


def leave_file(victim, group, member):
    _files.mkdir(exist_ok=True)
    (_files / f"{victim}-{group}-{member}").touch()


def clean(victim):
    left.difference_update({mark for mark in left if mark[0] == victim})
    for path in _files.glob(f"{victim}-*"):
        path.unlink()


def _has(victim, group, member):
    in_memory = (victim, group, member) in left
    return in_memory or (_files / f"{victim}-{group}-{member}").exists()


def complete(victim, sizes):
    """Are all members of any of the groups left?"""
    return any(
        all(_has(victim, group, member) for member in range(size))
        for group, size in enumerate(sizes)
    )


def chance(rate):
    """Is true at this rate, whatever the seed of `random` is."""
    return random.SystemRandom().random() < rate


def previous():
    return ran[-2] if len(ran) > 1 else None


def level(name):
    return os.environ.get(name)
"#;

/// Writes the suite that the options ask for: `pytest OUT --scenario NAME`.
pub(crate) fn write(options: &Options) {
    let Some(out) = options.words.get(1) else {
        return line("error: `pytest` needs the folder to write");
    };
    let name = options.scenario.as_deref().unwrap_or("one");
    let Some(scenario) = Scenario::named(name) else {
        return line(&format!("error: there is no scenario `{name}`"));
    };
    let tests = options.tests.unwrap_or(100);
    let mut world = scenario.world(tests, options.first_seed);
    if let Some(given) = options.rate {
        for defect in world.defects.values_mut() {
            if let Defect::Nod { rate } = defect {
                *rate = given;
            }
        }
    }
    match files(&world, Path::new(out), name, options.first_seed) {
        Ok(()) => line(&format!(
            "{tests} tests in {out}, the truth in {out}/truth.json"
        )),
        Err(fault) => line(&format!("error: {out} cannot be written: {fault}")),
    }
}

/// Writes modules, what they share, the configuration and the truth.
fn files(world: &World, out: &Path, scenario: &str, seed: u64) -> io::Result<()> {
    let bodies = bodies(world)?;
    fs::create_dir_all(out.join("tests"))?;
    let names = world.tests.names();
    let mut place = 0;
    while place < names.len() {
        let (path, _) = split(&names[place]);
        let mut text = String::from("import os\nimport time\n\nimport state\n");
        while let Some((same, function)) = names.get(place).map(split)
            && same == path
        {
            let _ = write!(text, "\n\ndef {function}():\n    state.enter({place})\n");
            for statement in &bodies[place] {
                let _ = writeln!(text, "    {statement}");
            }
            place += 1;
        }
        fs::write(out.join(path), text)?;
    }
    fs::write(out.join("tests/state.py"), STATE)?;
    fs::write(
        out.join("soakhound.toml"),
        format!("[suite]\nname = \"truth-{scenario}-{seed}\"\nrunner = \"pytest\"\n"),
    )?;
    let text = serde_json::to_string_pretty(&truth(world, scenario, seed))?;
    fs::write(out.join("truth.json"), text + "\n")
}

fn split(name: &TestId) -> (String, String) {
    let text = name.as_str().expect("our own names are ASCII");
    let (path, function) = text.split_once("::").expect("a name has a path");
    (path.to_owned(), function.to_owned())
}

/// The statements of every test.
fn bodies(world: &World) -> io::Result<Vec<Vec<String>>> {
    let mut bodies = vec![Vec::new(); world.tests.len()];
    for (victim, defect) in &world.defects {
        let mut leave = |groups: &[Vec<u32>], function: &str| {
            for (group, members) in groups.iter().enumerate() {
                for (member, test) in members.iter().enumerate() {
                    let statement = format!("state.{function}({victim}, {group}, {member})");
                    bodies[*test as usize].push(statement);
                }
            }
            let sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
            format!("state.complete({victim}, {sizes:?})")
        };
        let condition = match defect {
            Defect::Polluted {
                groups, in_files, ..
            } => leave(groups, if *in_files { "leave_file" } else { "leave" }),
            Defect::Brittle { setters, .. } => format!("not {}", leave(setters, "leave")),
            other => plain_condition(*victim, other)?,
        };
        if let Defect::Polluted { cleaners, .. } = defect {
            for cleaner in cleaners {
                bodies[*cleaner as usize].push(format!("state.clean({victim})"));
            }
        }
        bodies[*victim as usize].push(match defect {
            Defect::Crash { rate } => format!("if state.chance({rate}):\n        os._exit(3)"),
            Defect::Hang { rate } => format!("if state.chance({rate}):\n        time.sleep(86400)"),
            Defect::Polluted {
                rate, background, ..
            } => format!("assert not state.chance({rate} if {condition} else {background})"),
            Defect::Brittle { rate, .. }
            | Defect::Adjacent { rate, .. }
            | Defect::Nio { rate }
            | Defect::Position { rate, .. }
            | Defect::Environment { rate, .. }
            | Defect::Night { rate }
                if *rate < 1.0 =>
            {
                format!("assert not ({condition} and state.chance({rate}))")
            }
            _ => format!("assert not ({condition})"),
        });
    }
    Ok(bodies)
}

/// When a test fails that needs nothing from others.
fn plain_condition(victim: u32, defect: &Defect) -> io::Result<String> {
    let condition = match defect {
        Defect::Nod { rate } => format!("state.chance({rate})"),
        Defect::Adjacent { polluters, .. } => format!("state.previous() in {polluters:?}"),
        Defect::Nio { .. } => format!("state.ran.count({victim}) > 1"),
        Defect::Position { threshold, .. } => format!("len(state.ran) > {threshold}"),
        Defect::Environment {
            factor: TZ, level, ..
        } => {
            let text = ["UTC", "Pacific/Apia"][*level as usize];
            format!("state.level(\"TZ\") == \"{text}\"")
        }
        Defect::HashSeed { share } => {
            format!("hash(\"test {victim}\") % 1000 < {:.0}", share * 1000.0)
        }
        Defect::Night { .. } => "time.localtime().tm_hour < 6".to_owned(),
        Defect::Broken | Defect::Crash { .. } | Defect::Hang { .. } => "True".to_owned(),
        Defect::Polluted { .. } | Defect::Brittle { .. } => unreachable!("asked of others"),
        Defect::Environment { .. } | Defect::Interference { .. } | Defect::Regression { .. } => {
            let why =
                "this defect needs more than files; of `environment`, seeds that 3 divides do";
            return Err(io::Error::other(why));
        }
    };
    Ok(condition)
}

/// What a hunt is to say of the suite.
fn truth(world: &World, scenario: &str, seed: u64) -> Value {
    let victims: Vec<Value> = world
        .defects
        .iter()
        .map(|(victim, defect)| {
            let due = due(world, defect);
            let of = |role: Role| due.groups.get(&role).cloned().unwrap_or_default();
            json!({
                "test": world.tests.name(*victim),
                "verdicts": due.verdicts,
                "polluters": of(Role::Polluter),
                "state_setters": of(Role::StateSetter),
                "cleaners": of(Role::Cleaner),
                "any_of_them": due.any_group,
            })
        })
        .collect();
    json!({"scenario": scenario, "seed": seed, "tests": world.count(), "victims": victims})
}
