//! The pytest runner: our driver script takes the place of `python -m pytest`.
//!
//! The script is part of this program and of no project. It needs what the project's own
//! interpreter has: pytest 6.0 or newer.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;

use base64::Engine as _;
use serde_json::{Value, json};

use super::Canary;
use super::journal::{DETAIL_BUDGET, JournalLimits};
use super::runner::{Cache, Command, DRIVER_DIR, OrderCapability, Runner, RunnerContext};
use crate::model::TestId;

const DRIVER: &str = "soakhound_pytest.py";
const CANARY: &str = "soakhound_canary.py";
/// Keeps Python from writing bytecode beside the source.
const NO_BYTECODE: &str = "PYTHONDONTWRITEBYTECODE";

/// Runs suites of pytest, 6.0 to the newest, in any order across modules and classes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pytest;

impl Pytest {
    fn job(context: &RunnerContext<'_>, mode: &str, tests: &Value) -> Value {
        json!({
            "nonce": context.nonce.to_string(),
            "mode": mode,
            "tests": tests,
            "seed32": context.seed32,
            "detail_cap": JournalLimits::detail_cap(context.output_cap),
            "detail_budget": DETAIL_BUDGET,
        })
    }

    fn command(context: &RunnerContext<'_>, job: &Value) -> Command {
        let mut argv = vec![
            context.interpreter.as_os_str().to_owned(),
            context.driver_dir.join(DRIVER).into_os_string(),
        ];
        argv.extend_from_slice(context.args);
        let variable = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        Command {
            argv,
            env: vec![
                variable("SOAKHOUND", "1"),
                variable("SOAKHOUND_RESULTS_FD", "3"),
                variable("SOAKHOUND_JOB_FD", "4"),
                variable(NO_BYTECODE, "1"),
            ],
            job: job.to_string().into_bytes(),
        }
    }
}

impl Runner for Pytest {
    fn name(&self) -> &'static str {
        "pytest"
    }

    fn order(&self) -> OrderCapability {
        OrderCapability::Explicit
    }

    fn module_of<'a>(&self, test: &'a TestId) -> &'a [u8] {
        let name = test.as_bytes();
        let end = name.windows(2).position(|pair| pair == b"::");
        &name[..end.unwrap_or(name.len())]
    }

    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let driver = include_str!("soakhound_pytest.py");
        let canary = include_str!("soakhound_canary.py");
        [(DRIVER, driver), (CANARY, canary)]
            .map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec()))
            .to_vec()
    }

    fn cache(&self) -> Option<Cache> {
        Some(Cache {
            folder: "__pycache__",
            kept_out_by: NO_BYTECODE,
        })
    }

    fn list(&self, context: &RunnerContext<'_>) -> Command {
        Self::command(context, &Self::job(context, "list", &json!([])))
    }

    fn run(&self, context: &RunnerContext<'_>, order: &[(TestId, u8)]) -> Command {
        Self::command(context, &Self::job(context, "run", &packed_order(order)))
    }

    fn run_in_turn(&self, processes: &[(RunnerContext<'_>, &[(TestId, u8)])]) -> Command {
        let jobs: Vec<Value> = processes
            .iter()
            .map(|(context, order)| Self::job(context, "run", &packed_order(order)))
            .collect();
        let (context, _) = processes.first().expect("there is a process to run");
        Self::command(context, &json!({ "processes": jobs }))
    }

    fn run_again(&self, context: &RunnerContext<'_>, order: &[(TestId, u8)]) -> Command {
        Self::command(context, &Self::job(context, "again", &packed_order(order)))
    }

    fn canary(&self) -> &'static Canary {
        static CANARY: LazyLock<Canary> = LazyLock::new(canary);
        &CANARY
    }
}

/// The tests of the canary, in the order of its file.
const CANARY_TESTS: [&str; 10] = [
    "adds", "borrows", "counts", "divides", "draws", "joins", "reads", "sorts", "splits", "turns",
];

fn canary() -> Canary {
    let folder = PathBuf::from(DRIVER_DIR);
    let file = folder.join(CANARY);
    let name =
        |test: &str| TestId::new(format!("{CANARY}::test_{test}")).expect("our names are valid");
    let own = "--noconftest -p no:cacheprovider -c /dev/null --rootdir";
    let places = [folder.clone().into_os_string(), file.into_os_string()];
    Canary {
        args: own.split(' ').map(OsString::from).chain(places).collect(),
        // What the environment would add to the arguments, and plugins that come with the project's packages.
        env: [
            ("PYTEST_ADDOPTS", ""),
            ("PYTEST_PLUGINS", ""),
            ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1"),
        ]
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .to_vec(),
        folder,
        tests: CANARY_TESTS.map(name).to_vec(),
        coin: name("draws"),
        polluter: name("borrows"),
        victim: name("counts"),
    }
}

/// The driver counts how often a name was there before, so the repetition need not be said.
fn packed_order(order: &[(TestId, u8)]) -> Value {
    order.iter().map(|(test, _)| packed(test)).collect()
}

fn packed(test: &TestId) -> Value {
    match test.as_str() {
        Some(name) => Value::from(name),
        None => {
            json!({ "b64": base64::engine::general_purpose::STANDARD.encode(test.as_bytes()) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Nonce;
    use std::path::Path;

    #[test]
    fn a_module_is_everything_before_the_first_colons() {
        let module = |name: &str| {
            let test = TestId::new(name).unwrap();
            String::from_utf8(Pytest.module_of(&test).to_vec()).unwrap()
        };
        assert_eq!(module("tests/a.py::K::test[x::y]"), "tests/a.py");
        assert_eq!(module("README.rst"), "README.rst");
        assert_eq!(module("::x"), "");
    }

    #[test]
    fn a_run_puts_names_into_the_job_and_never_on_the_command_line() {
        let context = RunnerContext {
            interpreter: Path::new("/venv/bin/python"),
            driver_dir: Path::new(crate::suite::DRIVER_DIR),
            args: &[OsString::from("-m"), OsString::from("not slow")],
            nonce: Nonce::new(7),
            output_cap: 1000,
            seed32: 5,
        };
        let order = [
            (TestId::new("a b.py::t").unwrap(), 1),
            (TestId::new(vec![b'x', 0xff]).unwrap(), 1),
        ];
        let command = Pytest.run(&context, &order);
        let driver = "/run/soakhound/soakhound_pytest.py";
        assert_eq!(command.argv, ["/venv/bin/python", driver, "-m", "not slow"]);
        let job: Value = serde_json::from_slice(&command.job).unwrap();
        assert_eq!(job["tests"], json!(["a b.py::t", { "b64": "eP8=" }]));
        assert_eq!(job["nonce"], "00000000000000000000000000000007");
    }

    #[test]
    fn the_canary_s_names_are_those_of_its_file_in_its_order() {
        let text = include_str!("soakhound_canary.py");
        let defined: Vec<TestId> = text
            .lines()
            .filter_map(|line| line.strip_prefix("def ")?.strip_suffix("():"))
            .map(|test| TestId::new(format!("{CANARY}::{test}")).unwrap())
            .collect();
        let canary = Pytest.canary();
        assert_eq!(canary.tests(), defined);
        for test in [canary.coin(), canary.polluter(), canary.victim()] {
            assert!(defined.contains(test), "{test:?}");
        }
    }
}
