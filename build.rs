//! Compiles PID 1 of our containers (`src/container/init/main.rs`) to a static program that the
//! library embeds. It does nothing else, and nothing at all without the feature `lxc`.

use std::env;
use std::path::PathBuf;
use std::process::Command;

const SOURCE: &str = "src/container/init/main.rs";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={SOURCE}");
    if env::var_os("CARGO_FEATURE_LXC").is_none() {
        return;
    }
    let variable = |name: &str| env::var(name).expect("cargo sets this for build scripts");
    let target = PathBuf::from(variable("OUT_DIR")).join("init");
    let status = Command::new(variable("RUSTC"))
        .args([
            "--edition",
            "2024",
            "--crate-name",
            "init",
            "--crate-type",
            "bin",
        ])
        .args(["--target", &variable("TARGET")])
        // Static, because the root file system of a container may hold no library at all.
        .args(["-C", "target-feature=+crt-static", "-C", "panic=abort"])
        // Loaded where it was linked to, so that no page is written to before it runs.
        .args(["-C", "relocation-model=static"])
        .args(["-C", "opt-level=s", "-C", "strip=symbols"])
        .arg(SOURCE)
        .arg("-o")
        .arg(&target)
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{SOURCE} does not compile: {status}"),
        Err(error) => panic!("the compiler of {SOURCE} cannot start: {error}"),
    }
}
