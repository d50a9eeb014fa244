//! Times commands of the program as people wait for them: from the start of the process to its end, each within 500 MB
//! of address space.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Runs of each command; the median is printed.
const RUNS: usize = 15;
/// A command, the exit codes that are fine, and what it may take with ten million outcomes, in milliseconds. `status`
/// ends with 3 where no hunt is running.
const COMMANDS: [(&[&str], i32, u32); 6] = [
    (&["status"], 3, 50),
    (&["flags"], 0, 150),
    (&["flags", "--all"], 0, 150),
    (&["show", "tests/test_module_0.py::test_case_7"], 0, 150),
    (&["show", "tests/test_module_80.py::test_case_4007"], 0, 150),
    (
        &["report", "--week", "2026-W47", "--out", "report"],
        0,
        5_000,
    ),
];

/// Prints what each command takes over this database, in a suite that is made in `folder`.
#[expect(clippy::print_stdout, reason = "figures for a person")]
pub(crate) fn time(folder: &Path, database: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let project = folder.join("project");
    fs::create_dir(&project)?;
    let settings = "[suite]\nname = \"bench\"\nrunner = \"pytest\"\n";
    fs::write(project.join("soakhound.toml"), settings)?;
    println!("load {}", fs::read_to_string("/proc/loadavg")?.trim());
    for (words, code, bar) in COMMANDS {
        let mut times = Vec::with_capacity(RUNS);
        for _ in 0..RUNS {
            // All of it in 500 MB of address space, which is more than what is in memory.
            let mut command = Command::new("sh");
            command
                .args(["-c", "ulimit -v 500000 && exec \"$0\" \"$@\""])
                .arg(env!("CARGO_BIN_EXE_soakhound"))
                .args(words)
                .current_dir(&project)
                .env_clear()
                .env("HOME", folder)
                .env("SOAKHOUND_DB", database)
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let begun = Instant::now();
            let ended = command.status()?;
            times.push(begun.elapsed());
            assert_eq!(ended.code(), Some(code), "{words:?}");
        }
        times.sort_unstable();
        println!(
            "{:<50} {:>7.1} ms (from {:.1} to {:.1}), bar {bar} ms",
            words.join(" "),
            times[RUNS / 2].as_secs_f64() * 1e3,
            times[0].as_secs_f64() * 1e3,
            times[RUNS - 1].as_secs_f64() * 1e3,
        );
    }
    Ok(())
}
