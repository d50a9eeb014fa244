//! Real containers: what runs inside, what it cannot do, and that nothing of it remains.
//!
//! Needs root and liblxc, and fails where they are missing.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
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
        self.leaves_nothing_but(&[]);
    }

    /// The same, where the test itself put something into the base.
    fn leaves_nothing_but(self, ours: &[&Path]) {
        let id = self.run.id().to_owned();
        drop(self.run);
        assert_eq!(left_of(&id), Vec::<String>::new());
        for entry in fs::read_dir(self.base.path()).unwrap() {
            let path = entry.unwrap().path();
            assert!(
                path.ends_with("lock") || ours.contains(&path.as_path()),
                "{}",
                path.display()
            );
        }
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
        list_changes: false,
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
        harvest: None,
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

#[tokio::test]
async fn a_command_that_cannot_run_says_so() {
    let world = World::new();
    let mut slot = world.slot(0, &image()).await;
    let mut launch = shell("true");
    for (program, code, words) in [
        (
            "/nonexistent",
            127,
            "cannot execute /nonexistent: No such file",
        ),
        (
            "/etc/passwd",
            126,
            "cannot execute /etc/passwd: Permission denied",
        ),
    ] {
        launch.argv = vec![program.into()];
        let shown = show(&mut slot, &launch).await;
        assert_eq!(
            (shown.end.exit, shown.end.started),
            (Exit::Code(code), false)
        );
        assert!(shown.output.contains(words), "{}", shown.output);
    }
    launch = shell("true");
    launch.cwd = "/root/nowhere".into();
    let shown = show(&mut slot, &launch).await;
    assert_eq!(
        (shown.end.exit, shown.end.started),
        (Exit::Code(126), false)
    );
    drop(slot);
    world.leaves_nothing();
}

#[tokio::test]
async fn command_gets_its_descriptors_and_nothing_else() {
    let script = "echo out; echo err >&2; echo named > /dev/stdout; cat <&4 >&3; \
                  (echo x >&4) 2>/dev/null || echo sealed; ls /proc/self/fd | tr '\\n' ' '; \
                  cat; test ! -r /proc/1/fd && echo hidden";
    let shown = once(&image(), script).await;
    assert_eq!(shown.results, "the job");
    // `ls` itself has one more, for the folder that it reads.
    assert_eq!(
        shown.output,
        "out\nerr\nnamed\nsealed\n0 1 2 3 4 5 hidden\n"
    );
}

#[tokio::test]
async fn command_is_an_ordinary_user_alone_in_its_namespaces() {
    let script = "id -u; id -g; hostname; cat /etc/hostname; env | cut -d= -f1 | sort | tr '\\n' ' '; echo; \
                  grep -c . /proc/net/dev; ip -o link 2>/dev/null | grep -c UP; \
                  grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status | tr -d '\\t'; \
                  cat /proc/sys/kernel/ns_last_pid >/dev/null; ls /proc | grep -c '^1$'; pwd; ls -d $HOME";
    let shown = once(&image(), script).await;
    let lines: Vec<_> = shown.output.lines().collect();
    assert_eq!(&lines[..4], ["1000", "1000", "shard", "shard"]);
    assert_eq!(lines[4], "HOME PATH PWD ");
    assert_eq!(
        lines[5], "3",
        "two lines of heading and the loopback device"
    );
    for line in [
        "CapEff:0000000000000000",
        "NoNewPrivs:1",
        "Seccomp:2",
        "/tmp/home",
    ] {
        assert!(lines.contains(&line), "{line} in {}", shown.output);
    }
}

#[tokio::test]
async fn loopback_is_up_and_local_names_resolve() {
    let script = r#"perl -MIO::Socket::INET -e '
        $server = IO::Socket::INET->new(Listen => 1, LocalAddr => "localhost:8080") or die $@;
        IO::Socket::INET->new("localhost:8080") or die $@;
        print "met\n"'"#;
    let shown = once(&image(), script).await;
    assert_eq!(shown.output, "met\n");
}

#[tokio::test]
async fn masked_paths_are_empty_and_the_rest_of_the_host_cannot_be_written() {
    let script = "ls /root 2>&1; test -e /etc/shadow || echo gone; test -e /etc/passwd && echo there; \
                  for f in /etc/passwd /usr/x /proc/sys/kernel/hostname /sys/x; do \
                  (echo x > $f) 2>/dev/null && echo \"wrote $f\"; done; ls -A /run /dev/shm /tmp | tr '\\n' ' '";
    let shown = once(&image(), script).await;
    let refused = "ls: cannot open directory '/root': Permission denied";
    assert_eq!(
        shown.output,
        format!("{refused}\ngone\nthere\n/dev/shm:  /run:  /tmp: home ")
    );
}

#[tokio::test]
async fn devices_and_terminals_work_and_none_can_be_added() {
    let script = "ls /dev | tr '\\n' ' '; echo x > /dev/null; head -c 2 /dev/zero | od -An -tx1; \
                  head -c 8 /dev/urandom | wc -c; echo in | cat /dev/stdin; \
                  (exec 5<>/dev/ptmx; ls /dev/pts); \
                  (: > /dev/x) 2>/dev/null || echo kept; rm /dev/null 2>/dev/null || echo kept";
    let root = ImageSpec {
        uid: 0,
        gid: 0,
        ..image()
    };
    for image in [image(), root] {
        let shown = once(&image, script).await;
        assert_eq!(
            shown.output,
            "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero  00 00\n8\nin\n\
             0\nptmx\nkept\nkept\n"
        );
    }
}

#[tokio::test]
async fn what_a_container_cached_goes_to_the_source_of_its_tree_even_below_a_covered_folder() {
    let world = World::new();
    let source = tempfile::tempdir_in("/run").unwrap();
    let image = ImageSpec {
        trees: vec![Tree {
            source: source.path().to_owned(),
            target: "/srv/project".into(),
        }],
        ..image()
    };
    let mut slot = world.slot(0, &image).await;
    let mut launch = shell("mkdir cache; echo compiled > cache/x; echo other > y");
    launch.cwd = "/srv/project".into();
    launch.harvest = Some("cache".to_owned());
    let shown = show(&mut slot, &launch).await;
    assert_eq!(shown.end.exit, Exit::Code(0), "{}", shown.output);
    let cached = fs::read_to_string(source.path().join("cache/x")).unwrap();
    assert_eq!(cached, "compiled\n");
    assert_eq!(fs::read_dir(source.path()).unwrap().count(), 1);
    drop(slot);
    world.leaves_nothing();
}

#[tokio::test]
async fn tree_is_the_users_own_and_its_source_survives_a_deletion_of_everything() {
    let world = World::new();
    let source = world.base.path().join("pro ject,'\"a:b\\c\n");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("test_a.py"), "one").unwrap();
    fs::set_permissions(&source, fs::Permissions::from_mode(0o700)).unwrap();
    let library = world.base.path().join("lib dir");
    fs::create_dir(&library).unwrap();
    fs::write(library.join("x"), "lib").unwrap();
    let image = ImageSpec {
        trees: vec![Tree {
            source: source.clone(),
            target: source.clone(),
        }],
        binds: vec![
            Bind {
                source: library.clone(),
                target: "/root/.pyenv/lib".into(),
            },
            Bind {
                source: library.join("x"),
                target: "/run/one file".into(),
            },
        ],
        files: vec![InjectedFile {
            path: "/run/soakhound/plugin.py".into(),
            contents: b"plugin".to_vec(),
            mode: 0o444,
        }],
        ..image()
    };
    let mut slot = world.slot(0, &image).await;
    let mut launch = shell(
        "stat -c '%u %a' .; cat test_a.py; echo two > test_a.py; mkdir d; mv test_a.py d/; cat d/*; \
         cat /root/.pyenv/lib/x '/run/one file'; (echo > /root/.pyenv/lib/x) 2>/dev/null || echo kept; \
         cat /run/soakhound/plugin.py; (echo > /run/soakhound/plugin.py) 2>/dev/null || echo ' kept'; \
         rm -rf /etc /tmp /bin/* \"$PWD\"/* 2>/dev/null; ls -A; exit 3",
    );
    launch.cwd = source.clone();
    let shown = show(&mut slot, &launch).await;
    assert_eq!(
        shown.output, "1000 700\nonetwo\nliblibkept\nplugin kept\n",
        "{}",
        shown.end.log
    );
    assert_eq!(shown.end.exit, Exit::Code(3));
    assert_eq!(fs::read_to_string(source.join("test_a.py")).unwrap(), "one");
    assert_eq!(fs::metadata(&source).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::read_dir(&source).unwrap().count(), 1);
    // The next container begins afresh.
    launch.argv[2] = "ls -A; cat test_a.py".into();
    assert_eq!(show(&mut slot, &launch).await.output, "test_a.py\none");
    drop(slot);
    world.leaves_nothing_but(&[&source, &library]);
}

#[tokio::test]
async fn mounts_and_files_below_other_mounts_and_links_are_found_afresh_each_time() {
    let world = World::new();
    let source = world.base.path().join("source");
    fs::create_dir_all(source.join("shut")).unwrap();
    fs::set_permissions(source.join("shut"), fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::symlink("/opt", source.join("away")).unwrap();
    let inner = world.base.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("x"), "inner").unwrap();
    let file = |path: &str| InjectedFile {
        path: path.into(),
        contents: path.as_bytes().to_vec(),
        mode: 0o444,
    };
    let image = ImageSpec {
        trees: vec![Tree {
            source: source.clone(),
            target: "/srv/project".into(),
        }],
        binds: [
            "/srv/project/shut/deep",
            "/srv/project/away/bind",
            "/tmp/bind",
        ]
        .map(|target| Bind {
            source: inner.clone(),
            target: target.into(),
        })
        .into(),
        files: vec![
            file("/srv/project/shut/file"),
            file("/tmp/file"),
            file("/run/ours/file"),
        ],
        uid: 0,
        gid: 0,
        ..image()
    };
    let mut slot = world.slot(0, &image).await;
    for name in ["one", "other"] {
        let mut launch = shell(
            "cat /srv/project/shut/deep/x /opt/bind/x /tmp/bind/x /srv/project/shut/file \
             /tmp/file /run/ours/file; echo; cat /etc/hostname; grep -c $(hostname) /etc/hosts; \
             rm -r /run/ours /etc/hostname; ls /run",
        );
        launch.hostname = name.to_owned();
        let shown = show(&mut slot, &launch).await;
        let wanted =
            format!("innerinnerinner/srv/project/shut/file/tmp/file/run/ours/file\n{name}\n1\n");
        assert_eq!(shown.output, wanted, "{}", shown.end.log);
    }
    drop(slot);
    world.leaves_nothing_but(&[&source, &inner]);
}

#[tokio::test]
async fn root_inside_can_delete_everything_there_and_nothing_here() {
    let host = fs::read_dir("/etc").unwrap().count();
    let image = ImageSpec {
        uid: 0,
        gid: 0,
        ..image()
    };
    let shown = once(
        &image,
        "id -u; rm -rf /etc /bin/sh; test -e /etc || test -e /bin/sh || echo gone",
    )
    .await;
    assert_eq!(shown.output, "0\ngone\n");
    assert_eq!(fs::read_dir("/etc").unwrap().count(), host);
    assert!(Path::new("/bin/sh").exists());
}

#[tokio::test]
async fn memory_limit_kills_the_command_and_is_counted() {
    let world = World::new();
    let mut slot = world.slot(0, &image()).await;
    let mut launch = shell("head -c 300m /dev/zero | tail > /dev/null");
    launch.limits.memory = Some(64 << 20);
    let shown = show(&mut slot, &launch).await;
    assert!(
        shown.end.usage.oom_kills > 0,
        "{:?} {}",
        shown.end,
        shown.output
    );
    let peak = shown.end.usage.peak_memory.unwrap();
    assert!((32 << 20..=64 << 20).contains(&peak), "{peak}");
    let calm = show(&mut slot, &shell("true")).await;
    assert_eq!(calm.end.usage.oom_kills, 0);
    assert!(
        calm.end.usage.peak_memory.unwrap() < 32 << 20,
        "{:?}",
        calm.end
    );
    assert!(calm.end.usage.cpu.unwrap() > Duration::ZERO);
    drop(slot);
    world.leaves_nothing();
}

#[tokio::test]
async fn writable_places_are_bounded() {
    let script = "for f in /tmp/x /dev/shm/x /var/tmp/x; do \
                  head -c 100m /dev/zero > $f 2>/dev/null && echo full; stat -c %s $f; rm $f; done";
    let shown = once(&image(), script).await;
    for size in shown.output.lines() {
        assert!(size.parse::<u64>().unwrap() <= 64 << 20, "{}", shown.output);
    }
}

#[tokio::test]
async fn fork_bomb_is_stopped_by_its_limit_and_by_the_kill() {
    let world = World::new();
    let mut slot = world.slot(0, &image()).await;
    let launch = shell("b() { b | b & }; echo go; b 2>/dev/null & exec sleep 600");
    let mut running = slot.start(&launch).await.unwrap();
    let mut first = [0; 3];
    running
        .output()
        .unwrap()
        .read_exact(&mut first)
        .await
        .unwrap();
    running.kill().await.unwrap();
    assert_eq!(running.wait().await.unwrap().exit, Exit::Signal(9));
    drop(running);
    assert_eq!(show(&mut slot, &shell("echo next")).await.output, "next\n");
    drop(slot);
    world.leaves_nothing();
}

#[tokio::test]
async fn a_hung_tree_that_ignores_sigterm_is_killed_in_time() {
    let world = World::new();
    let mut slot = world.slot(0, &image()).await;
    let launch = shell(
        "trap '' TERM INT HUP; (trap '' TERM; echo up; while :; do sleep 600; done) & wait; wait",
    );
    let mut running = slot.start(&launch).await.unwrap();
    let mut output = running.output().unwrap();
    output.read_exact(&mut [0; 3]).await.unwrap();
    running.kill().await.unwrap();
    let end = running.wait().await.unwrap();
    assert_eq!((end.exit, end.started), (Exit::Signal(9), true));
    // Everything that could write is gone.
    assert_eq!(output.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    drop(running);
    drop(slot);
    world.leaves_nothing();
}

#[tokio::test]
async fn a_frozen_container_is_killed_and_its_slot_goes_on() {
    let world = World::new();
    let mut slot = world.slot(0, &image()).await;
    let mut running = slot.start(&shell("echo up; sleep 600")).await.unwrap();
    let mut output = running.output().unwrap();
    output.read_exact(&mut [0; 3]).await.unwrap();
    let name = format!("soakhound-{}-0", world.run.id());
    let v1 = Path::new("/sys/fs/cgroup/freezer").join(&name);
    let (file, state) = if v1.exists() {
        (v1.join("freezer.state"), "FROZEN")
    } else {
        (
            Path::new("/sys/fs/cgroup")
                .join(&name)
                .join("cgroup.freeze"),
            "1",
        )
    };
    fs::write(file, state).unwrap();
    running.kill().await.unwrap();
    assert_eq!(running.wait().await.unwrap().exit, Exit::Signal(9));
    assert_eq!(output.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    drop(running);
    assert_eq!(show(&mut slot, &shell("echo next")).await.output, "next\n");
    drop(slot);
    world.leaves_nothing();
}

#[tokio::test]
async fn a_container_can_be_killed_at_any_moment_of_its_start() {
    let world = World::new();
    let mut slot = world.slot(0, &image()).await;
    for round in 0..40 {
        let mut running = slot.start(&shell("sleep 600")).await.unwrap();
        for _ in 0..round * 20 {
            tokio::task::yield_now().await;
        }
        running.kill().await.unwrap();
        assert_eq!(running.wait().await.unwrap().exit, Exit::Signal(9));
    }
    assert_eq!(show(&mut slot, &shell("echo next")).await.output, "next\n");
    drop(slot);
    world.leaves_nothing();
}

#[tokio::test]
async fn a_daemon_left_behind_is_counted_and_gone() {
    let shown = once(
        &image(),
        "setsid sh -c 'echo up; exec sleep 600' & read x <&4; exit 5",
    )
    .await;
    assert_eq!(shown.end.exit, Exit::Code(5));
    assert_eq!(shown.end.usage.stragglers, 1);
}

#[tokio::test]
async fn two_slots_run_side_by_side_and_see_nothing_of_each_other() {
    let world = World::new();
    let (mut one, mut other) = (world.slot(0, &image()).await, world.slot(1, &image()).await);
    let launch = shell("echo > /tmp/mine; echo > /dev/shm/mine; ls /tmp /dev/shm; echo $$");
    let (a, b) = tokio::join!(show(&mut one, &launch), show(&mut other, &launch));
    assert_eq!(a.output, b.output);
    assert!(
        a.output
            .starts_with("/dev/shm:\nmine\n\n/tmp:\nhome\nmine\n"),
        "{}",
        a.output
    );
    drop((one, other));
    world.leaves_nothing();
}

#[tokio::test]
async fn dropping_a_running_container_kills_it_and_the_slot_goes_on() {
    let world = World::new();
    let mut slot = world.slot(0, &image()).await;
    let mut running = slot.start(&shell("echo up; sleep 600")).await.unwrap();
    let mut output = running.output().unwrap();
    output.read_exact(&mut [0; 3]).await.unwrap();
    drop(running);
    assert_eq!(output.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    assert_eq!(show(&mut slot, &shell("echo next")).await.output, "next\n");
    drop(slot);
    world.leaves_nothing();
}

#[tokio::test]
async fn a_missing_source_is_an_error_that_names_it() {
    let world = World::new();
    let tree = Tree {
        source: "/nonexistent/project".into(),
        target: "/srv/x".into(),
    };
    let image = ImageSpec {
        trees: vec![tree],
        ..image()
    };
    let refused = Slot::spawn(&world.spawner, &world.run, 0, &image, Rung::Shifted).await;
    match refused {
        Err(HostError::Setup { message }) => assert!(message.contains("/nonexistent/project")),
        other => panic!("{other:?}"),
    }
    world.leaves_nothing();
}

#[tokio::test]
async fn every_rung_runs_a_command_as_its_user_and_the_probe_takes_the_first() {
    let world = World::new();
    let (best, refusals) = probe(&world.spawner, &world.run).await.unwrap();
    assert_eq!((best, refusals), (Rung::Shifted, vec![]));
    for (index, rung) in (0..).zip(Rung::ALL) {
        let mut slot = Slot::spawn(&world.spawner, &world.run, index, &image(), rung)
            .await
            .unwrap();
        let shown = show(
            &mut slot,
            &shell("id -u; test -e /etc/shadow || echo masked; echo > /tmp/x && echo wrote"),
        )
        .await;
        assert_eq!(
            shown.output, "1000\nmasked\nwrote\n",
            "{rung}: {}",
            shown.end.log
        );
    }
    world.leaves_nothing();
}

/// Not a test by itself: the process that the next test kills. It says its run's id once a container runs.
#[tokio::test]
async fn helper_that_runs_a_container_until_it_is_killed() {
    let Some(base) = std::env::var_os("SOAKHOUND_TEST_BASE") else {
        return;
    };
    let run = RunDir::create(Path::new(&base)).unwrap();
    let spawner = Spawner::new(env!("CARGO_BIN_EXE_soakhound")).unwrap();
    let mut slot = Slot::spawn(&spawner, &run, 0, &image(), Rung::Shifted)
        .await
        .unwrap();
    let mut running = slot
        .start(&shell("setsid sleep 600 & echo up; sleep 600"))
        .await
        .unwrap();
    running
        .output()
        .unwrap()
        .read_exact(&mut [0; 3])
        .await
        .unwrap();
    writeln!(std::io::stdout(), "\nrun {}", run.id()).unwrap();
    running.wait().await.unwrap();
}

#[tokio::test]
async fn killing_the_owner_takes_everything_and_the_sweep_removes_the_rest() {
    let base = tempfile::tempdir().unwrap();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "helper_that_runs_a_container_until_it_is_killed",
            "--nocapture",
        ])
        .env("SOAKHOUND_TEST_BASE", base.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(owner.stdout.take().unwrap()).lines();
    let id = said
        .map(Result::unwrap)
        .find_map(|line| Some(line.strip_prefix("run ")?.to_owned()));
    let id = id.expect("the owner says its run's id once a container runs");
    assert!(!left_of(&id).is_empty());
    owner.kill().unwrap();
    owner.wait().unwrap();
    let living = RunDir::create(base.path()).unwrap();
    let swept = sweep(base.path()).unwrap();
    assert_eq!((swept.runs, swept.living), (vec![id.clone()], 1));
    assert!(swept.cgroups > 0);
    assert_eq!(left_of(&id), Vec::<String>::new());
    assert!(living.path().exists());
}
