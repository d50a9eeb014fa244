//! What is read from and written to a group's files, over folders that look like one.
//!
//! A folder does not answer as the kernel does; that real limits hold is for the tests with real
//! containers.

use super::*;

/// Makes a group whose controllers all live in `folder`, with these files in it.
fn group(
    folder: &Path,
    version: Version,
    controllers: &[&'static str],
    files: &[(&str, &str)],
) -> Cgroup {
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    let home = Home {
        folder: folder.to_owned(),
        version,
    };
    Cgroup {
        homes: controllers
            .iter()
            .map(|name| (*name, home.clone()))
            .collect(),
        // Nothing that could be killed or removed.
        folders: Vec::new(),
        limits: None,
        before: Usage::default(),
        peak: None,
        notes: Vec::new(),
    }
}

fn limits(memory: Option<u64>, cpus: Option<f64>) -> Limits {
    Limits {
        memory,
        pids: 100,
        cpus,
        tmp_bytes: 1,
    }
}

#[track_caller]
fn assert_holds(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        assert_eq!(
            fs::read_to_string(folder.join(name)).unwrap(),
            *text,
            "{name}"
        );
    }
}

#[test]
fn hierarchies_are_found_in_a_list_of_mounts_and_each_controller_once() {
    let unified = tempfile::tempdir().unwrap();
    fs::write(
        unified.path().join("cgroup.controllers"),
        "cpu memory io hugetlb\n",
    )
    .unwrap();
    let mounts = format!(
        "/dev/vda / ext4 rw 0 0\n\
         cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,cpu,cpuacct 0 0\n\
         cgroup /elsewhere cgroup rw,cpu 0 0\n\
         cgroup /sys/fs/cgroup/systemd cgroup rw,xattr,name=systemd 0 0\n\
         cgroup2 {} cgroup2 rw 0 0\n\
         cut short\n",
        unified.path().display()
    );
    let found = hierarchies(&mounts);
    let shown: Vec<_> = found
        .iter()
        .map(|one| (one.version, one.controllers.as_slice()))
        .collect();
    assert_eq!(
        shown,
        [
            (Version::V1, ["cpu", "cpuacct"].as_slice()),
            (Version::V1, &[]),
            (Version::V1, &[]),
            (Version::V2, &["memory"]),
        ]
    );
    assert_eq!(found[3].root, unified.path());
}

#[test]
fn limits_of_version_2_are_written_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let files = [("memory.swap.max", "max\n")];
    let mut group = group(
        folder.path(),
        Version::V2,
        &["memory", "pids", "cpu"],
        &files,
    );
    group.limit(&limits(Some(1 << 20), Some(1.5))).unwrap();
    let limited = [
        ("memory.max", "1048576"),
        ("memory.swap.max", "0"),
        ("pids.max", "104"),
        ("cpu.max", "150000 100000"),
    ];
    assert_holds(folder.path(), &limited);
    group.limit(&limits(None, None)).unwrap();
    let free = [
        ("memory.max", "max"),
        ("memory.swap.max", "max"),
        ("cpu.max", "max 100000"),
    ];
    assert_holds(folder.path(), &free);
}

#[test]
fn limits_of_version_1_are_written_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("memory.memsw.limit_in_bytes", "0"),
        ("cpu.cfs_quota_us", "-1"),
    ];
    let mut group = group(
        folder.path(),
        Version::V1,
        &["memory", "pids", "cpu"],
        &files,
    );
    group.limit(&limits(Some(4096), Some(0.001))).unwrap();
    let limited = [
        ("memory.limit_in_bytes", "4096"),
        ("memory.memsw.limit_in_bytes", "4096"),
        ("pids.max", "104"),
        // The least that the kernel takes.
        ("cpu.cfs_quota_us", "1000"),
    ];
    assert_holds(folder.path(), &limited);
    group.limit(&limits(None, None)).unwrap();
    let free = [
        ("memory.limit_in_bytes", "-1"),
        ("memory.memsw.limit_in_bytes", "-1"),
        ("cpu.cfs_quota_us", "-1"),
    ];
    assert_holds(folder.path(), &free);
}

#[test]
fn swap_that_is_not_counted_is_not_limited() {
    for version in [Version::V1, Version::V2] {
        let folder = tempfile::tempdir().unwrap();
        let mut group = group(folder.path(), version, &["memory", "pids"], &[]);
        group.limit(&limits(Some(4096), None)).unwrap();
        assert!(!folder.path().join("memory.swap.max").exists());
        assert!(!folder.path().join("memory.memsw.limit_in_bytes").exists());
    }
}

#[test]
fn a_missing_controller_is_an_error_where_its_limit_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let missing = |controllers: &[&'static str], limits: &Limits| {
        let mut group = group(folder.path(), Version::V2, controllers, &[]);
        match group.limit(limits) {
            Ok(()) => Ok(group.notes().len()),
            Err(HostError::NoController { controller, .. }) => Err(controller),
            Err(other) => panic!("{other:?}"),
        }
    };
    let (some, none) = (limits(Some(4096), Some(1.0)), limits(None, None));
    assert_eq!(missing(&["pids", "cpu"], &some), Err("memory"));
    assert_eq!(missing(&["pids", "cpu"], &none), Ok(0));
    assert_eq!(missing(&["memory", "cpu"], &none), Err("pids"));
    // The cpu limit is a wish: without it results are the same, only later.
    assert_eq!(missing(&["memory", "pids"], &some), Ok(1));
    assert_eq!(missing(&["memory", "pids"], &none), Ok(0));
}

#[test]
fn usage_of_version_2_is_what_came_since_the_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("memory.peak", "9000\n"),
        (
            "memory.events",
            "low 0\noom 9\noom_kill 2\noom_group_kill 7\n",
        ),
        (
            "cpu.stat",
            "usage_usec 500\nuser_usec 400\nsystem_usec 100\n",
        ),
    ];
    // Time is counted where the controller `cpu` is not ours, too.
    let mut group = group(folder.path(), Version::V2, &["memory", "pids"], &files);
    group.begin();
    assert_holds(folder.path(), &[("memory.peak", "reset")]);
    for (name, text) in [
        ("memory.peak", "7000\n"),
        ("memory.events", "oom_kill 5\n"),
        ("cpu.stat", "usage_usec 800\n"),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let used = Usage {
        cpu: Some(Duration::from_micros(300)),
        peak_memory: Some(7000),
        oom_kills: 3,
        stragglers: 0,
    };
    assert_eq!(group.used(), used);
}

#[test]
fn usage_of_version_1_is_what_came_since_the_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("memory.max_usage_in_bytes", "9000\n"),
        (
            "memory.oom_control",
            "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
        ),
        ("cpuacct.usage", "1000\n"),
    ];
    let mut group = group(folder.path(), Version::V1, &["memory", "cpuacct"], &files);
    group.begin();
    assert_holds(folder.path(), &[("memory.max_usage_in_bytes", "0")]);
    fs::write(folder.path().join("memory.max_usage_in_bytes"), "50\n").unwrap();
    fs::write(folder.path().join("cpuacct.usage"), "1700\n").unwrap();
    let used = Usage {
        cpu: Some(Duration::from_nanos(700)),
        peak_memory: Some(50),
        oom_kills: 0,
        stragglers: 0,
    };
    assert_eq!(group.used(), used);
}

#[test]
fn a_peak_that_cannot_be_reset_counts_only_when_it_rose() {
    let folder = tempfile::tempdir().unwrap();
    // A folder in its place can be opened by nobody for writing.
    let peak = folder.path().join("memory.peak");
    fs::create_dir(&peak).unwrap();
    let mut group = group(folder.path(), Version::V2, &["memory"], &[]);
    group.begin();
    group.before.peak_memory = Some(100);
    fs::remove_dir(&peak).unwrap();
    fs::write(&peak, "100\n").unwrap();
    assert_eq!(group.used().peak_memory, None);
    fs::write(&peak, "101\n").unwrap();
    assert_eq!(group.used().peak_memory, Some(101));
}
