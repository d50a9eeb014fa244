//! Real containers: what runs inside, what it cannot do, and that nothing of it remains.
//!
//! Needs root and liblxc, and fails where they are missing.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use soakhound::container::{
    Bind, ContainerEnd, HostError, ImageSpec, InjectedFile, Launch, Limits, RunDir, Rung, Slot,
    Spawner, Tree, probe, sweep,
};
use soakhound::model::Exit;
use tokio::io::AsyncReadExt as _;

/// A run of its own in a folder of its own; [`World::leaves_nothing`] ends it.
struct World {
    base: tempfile::TempDir,
    run: RunDir,
    spawner: Spawner,
}

/// What a command showed.
struct Shown {
    end: ContainerEnd,
    output: String,
    results: String,
}

impl World {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let run = RunDir::create(base.path()).unwrap();
        let spawner = Spawner::new(env!("CARGO_BIN_EXE_soakhound")).unwrap();
        Self { base, run, spawner }
    }

    async fn slot(&self, index: u32, image: &ImageSpec) -> Slot {
        Slot::spawn(&self.spawner, &self.run, index, image, Rung::Shifted)
            .await
            .unwrap()
    }

    /// Ends the run and looks for whatever carries its id.
    fn leaves_nothing(self) {
        let id = self.run.id().to_owned();
        drop(self.run);
        assert_eq!(left_of(&id), Vec::<String>::new());
        let lock_only: Vec<_> = fs::read_dir(self.base.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(lock_only, ["lock"]);
    }
}

/// Returns cgroups, mounts and processes whose name or membership holds `id`.
fn left_of(id: &str) -> Vec<String> {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let mut left = Vec::new();
    for line in read(Path::new("/proc/self/mounts")).lines() {
        let words: Vec<_> = line.split(' ').collect();
        if line.contains(id) {
            left.push(line.to_owned());
        }
        if words[2].starts_with("cgroup") {
            for entry in fs::read_dir(words[1]).unwrap().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                left.extend(name.contains(id).then_some(name));
            }
        }
    }
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        if read(&entry.path().join("cgroup")).contains(id) {
            left.push(format!(
                "{} {}",
                entry.path().display(),
                read(&entry.path().join("comm"))
            ));
        }
    }
    left
}

fn image() -> ImageSpec {
    ImageSpec {
        lower: "/".into(),
        masks: vec![
            "/root".into(),
            "/etc/shadow".into(),
            "/nonexistent/x".into(),
        ],
        binds: vec![],
        trees: vec![],
        files: vec![],
        uid: 1000,
        gid: 1000,
    }
}

fn shell(script: &str) -> Launch {
    Launch {
        argv: ["/bin/sh", "-c", script].iter().map(Into::into).collect(),
        env: vec![
            ("PATH".into(), "/usr/bin:/bin:/usr/sbin:/sbin".into()),
            ("HOME".into(), "/tmp/home".into()),
        ],
        cwd: "/".into(),
        hostname: "shard".to_owned(),
        limits: Limits {
            memory: Some(256 << 20),
            pids: 64,
            cpus: None,
            tmp_bytes: 64 << 20,
        },
        job: b"the job".to_vec(),
    }
}

async fn show(slot: &mut Slot, launch: &Launch) -> Shown {
    let mut running = slot.start(launch).await.unwrap();
    let (mut results, mut output) = (running.results().unwrap(), running.output().unwrap());
    let (mut result_bytes, mut output_bytes) = (Vec::new(), Vec::new());
    let (end, a, b) = tokio::join!(
        running.wait(),
        results.read_to_end(&mut result_bytes),
        output.read_to_end(&mut output_bytes),
    );
    a.unwrap();
    b.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Shown {
        end: end.unwrap(),
        output: text(output_bytes),
        results: text(result_bytes),
    }
}

/// Runs one script in a fresh slot and checks that nothing of it is left.
async fn once(image: &ImageSpec, script: &str) -> Shown {
    let world = World::new();
    let mut slot = world.slot(0, image).await;
    let shown = show(&mut slot, &shell(script)).await;
    drop(slot);
    world.leaves_nothing();
    shown
}

#[tokio::test]
async fn exit_codes_and_signals_arrive_and_nothing_is_left() {
    let world = World::new();
    let mut slot = world.slot(0, &image()).await;
    for (script, expected) in [
        ("true", Exit::Code(0)),
        ("exit 7", Exit::Code(7)),
        ("kill -SEGV $$", Exit::Signal(11)),
        ("kill -TERM $$", Exit::Signal(15)),
    ] {
        let shown = show(&mut slot, &shell(script)).await;
        assert_eq!(
            shown.end.exit, expected,
            "{script}: {} {}",
            shown.output, shown.end.log
        );
        assert!(shown.end.started);
        assert_eq!(shown.end.usage.stragglers, 0);
    }
    drop(slot);
    world.leaves_nothing();
}
