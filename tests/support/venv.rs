//! A Python with pytest, made once below the target folder for all tests.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Returns the interpreter.
pub(crate) fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(made)
}

/// Makes the environment unless an earlier test did. Tests run in many processes, so a lock guards it.
fn made() -> PathBuf {
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("venvs");
    fs::create_dir_all(&all).unwrap();
    let lock = File::create(all.join("plain.lock")).unwrap();
    lock.lock().unwrap();
    let folder = all.join("plain");
    let python = folder.join("bin/python");
    let done = folder.join("done");
    if !done.exists() {
        let _ = fs::remove_dir_all(&folder);
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        succeed(Command::new(&python).args(["-m", "pip", "install", "-q", "pytest==9.*"]));
        File::create(done).unwrap();
    }
    python
}

fn succeed(command: &mut Command) {
    let output = command.output().expect("python3 is installed");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {text}");
}
