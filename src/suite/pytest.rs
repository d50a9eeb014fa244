//! The pytest runner: our driver script takes the place of `python -m pytest`.
//!
//! The script is part of this program and of no project. It needs what the project's own
//! interpreter has: pytest 6.0 or newer.

use std::ffi::OsString;
use std::path::PathBuf;

use base64::Engine as _;
use serde_json::{Value, json};

use super::journal::{DETAIL_BUDGET, JournalLimits};
use super::runner::{Cache, Command, OrderCapability, Runner, RunnerContext};
use crate::model::TestId;

const DRIVER: &str = "soakhound_pytest.py";
/// Keeps Python from writing bytecode beside the source.
const NO_BYTECODE: &str = "PYTHONDONTWRITEBYTECODE";

/// Runs suites of pytest, 6.0 to the newest, in any order across modules and classes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pytest;

impl Pytest {
    fn command(context: &RunnerContext<'_>, mode: &str, tests: &Value) -> Command {
        let mut argv = vec![
            context.interpreter.as_os_str().to_owned(),
            context.driver_dir.join(DRIVER).into_os_string(),
        ];
        argv.extend_from_slice(context.args);
        let job = json!({
            "nonce": context.nonce.to_string(),
            "mode": mode,
            "tests": tests,
            "seed32": context.seed32,
            "detail_cap": JournalLimits::detail_cap(context.output_cap),
            "detail_budget": DETAIL_BUDGET,
        });
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
        vec![(PathBuf::from(DRIVER), driver.as_bytes().to_vec())]
    }

    fn cache(&self) -> Option<Cache> {
        Some(Cache {
            folder: "__pycache__",
            kept_out_by: NO_BYTECODE,
        })
    }

    fn list(&self, context: &RunnerContext<'_>) -> Command {
        Self::command(context, "list", &json!([]))
    }

    fn run(&self, context: &RunnerContext<'_>, order: &[(TestId, u8)]) -> Command {
        // The driver counts how often a name was there before, so the repetition need not be said.
        let tests = order.iter().map(|(test, _)| packed(test)).collect();
        Self::command(context, "run", &Value::Array(tests))
    }
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
}
