//! A folder stands for a machine; each case breaks one thing and reads what doctor says about it.

use std::fs;

use super::*;

struct Machine(tempfile::TempDir);

const V1: &str = "1 0 8:1 / / rw - ext4 /dev/sda rw\n\
    2 1 0:1 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
    3 1 0:2 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
    4 1 0:3 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
    5 1 0:4 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n\
    6 1 0:5 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n";
const V2: &str = "1 0 8:1 / / rw - ext4 /dev/sda rw\n\
    2 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        machine.write("proc/self/mountinfo", V1);
        machine.write("proc/sys/kernel/osrelease", "6.1.0-13-amd64\n");
        machine.write("proc/sys/user/max_user_namespaces", "15000\n");
        machine.write("proc/filesystems", "nodev\ttmpfs\n\text4\nnodev\toverlay\n");
        machine.write(
            "proc/meminfo",
            "MemAvailable:    8388608 kB\nSwapTotal: 0 kB\n",
        );
        for name in ["mnt", "pid", "net", "ipc", "uts", "user"] {
            machine.write(&format!("proc/self/ns/{name}"), "");
        }
        for name in ["memory", "pids", "cpu", "cpuset", "freezer"] {
            machine.write(&format!("sys/fs/cgroup/{name}/tasks"), "");
        }
        machine.write("usr/bin/git", "");
        machine
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.0.path().join(path)).unwrap();
    }

    fn examine_with(&self, change: impl Fn(&mut DoctorInput<'_>)) -> Vec<Check> {
        let path = self.0.path().join("usr/bin");
        let state_dir = self.0.path().join("state/not/yet");
        let mut input = DoctorInput {
            host: self.0.path(),
            state_dir: &state_dir,
            min_free: 1,
            liblxc: Some("5.0.2"),
            uid: 0,
            path: path.as_os_str(),
            start: Some(Ok("id-mapped")),
        };
        change(&mut input);
        examine(&input)
    }

    fn check(&self, name: &str) -> Check {
        named(self.examine_with(|_| {}), name)
    }
}

fn named(checks: Vec<Check>, name: &str) -> Check {
    let found = checks.into_iter().find(|check| check.name == name);
    found.unwrap_or_else(|| panic!("no check is called {name}"))
}

#[track_caller]
fn assert_mended_by(check: &Check, state: State, remedy: &str) {
    assert_eq!(check.state, state, "{check:?}");
    let text = check.remedy.as_deref().unwrap_or_default();
    assert!(text.contains(remedy), "{check:?}");
}

#[test]
fn a_machine_that_has_everything_passes_without_remedies() {
    let checks = Machine::new().examine_with(|_| {});
    let doubtful: Vec<_> = checks.iter().filter(|c| c.name != "state folder").collect();
    for check in doubtful {
        assert_eq!(
            (check.state, &check.remedy),
            (State::Ok, &None),
            "{check:?}"
        );
    }
}

#[test]
fn no_liblxc_and_no_root_are_failures_that_say_what_to_do() {
    let checks = Machine::new().examine_with(|input| {
        input.liblxc = None;
        input.uid = 1000;
        input.start = Some(Err("no permission"));
    });
    assert_mended_by(&named(checks.clone(), "liblxc"), State::Fail, "lxc-dev");
    assert_mended_by(&named(checks.clone(), "user"), State::Fail, "sudo");
    assert_mended_by(&named(checks, "container"), State::Fail, "try again");
}

#[test]
fn an_old_liblxc_is_a_warning() {
    let checks = Machine::new().examine_with(|input| input.liblxc = Some("4.0.6"));
    assert_mended_by(&named(checks, "liblxc"), State::Warn, "liblxc1");
}

#[test]
fn old_kernels_warn_then_fail() {
    let machine = Machine::new();
    let cases = [
        ("5.12.0", State::Ok),
        ("5.10.0-26-amd64", State::Warn),
        ("5.4.0", State::Fail),
        ("odd", State::Warn),
    ];
    for (release, expected) in cases {
        machine.write("proc/sys/kernel/osrelease", release);
        assert_eq!(machine.check("kernel").state, expected, "{release}");
    }
}

#[test]
fn missing_namespaces_are_named() {
    let machine = Machine::new();
    machine.remove("proc/self/ns/user");
    let check = machine.check("namespaces");
    assert_eq!(
        (check.state, check.found.as_str()),
        (State::Warn, "no user")
    );
    machine.remove("proc/self/ns/pid");
    let check = machine.check("namespaces");
    assert_eq!(
        (check.state, check.found.as_str()),
        (State::Fail, "no pid, user")
    );
}

#[test]
fn switched_off_user_namespaces_name_the_setting() {
    let machine = Machine::new();
    machine.write("proc/sys/user/max_user_namespaces", "0\n");
    assert_mended_by(&machine.check("namespaces"), State::Warn, "sysctl");
}

#[test]
fn overlayfs_may_be_a_module_that_is_not_loaded_yet() {
    let machine = Machine::new();
    machine.write("proc/filesystems", "nodev\ttmpfs\n");
    assert_mended_by(&machine.check("overlayfs"), State::Fail, "modprobe overlay");
    let module = "lib/modules/6.1.0-13-amd64/kernel/fs/overlayfs/overlay.ko";
    machine.write(module, "");
    assert_eq!(machine.check("overlayfs").state, State::Ok);
}

#[test]
fn control_groups_of_all_layouts_are_recognised() {
    let machine = Machine::new();
    assert_eq!(machine.check("control groups").found, "version 1");
    let unified = "9 1 0:9 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    machine.write("proc/self/mountinfo", &format!("{V1}{unified}"));
    assert_eq!(machine.check("control groups").found, "version 1, hybrid");
    machine.write("proc/self/mountinfo", V2);
    machine.write(
        "sys/fs/cgroup/cgroup.controllers",
        "cpuset cpu io memory pids\n",
    );
    assert_eq!(machine.check("control groups").found, "version 2");
    assert_eq!(machine.check("controllers").state, State::Ok);
    machine.write("proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda rw\n");
    assert_mended_by(
        &machine.check("control groups"),
        State::Fail,
        "mount -t cgroup2",
    );
}

#[test]
fn a_missing_controller_is_named_with_the_mount_to_make() {
    let machine = Machine::new();
    machine.write("proc/self/mountinfo", &V1.replace("rw,memory", "rw"));
    let check = machine.check("controllers");
    assert_eq!(check.found, "no memory");
    assert_mended_by(&check, State::Fail, "mount -t cgroup -o memory");
    machine.write("proc/self/mountinfo", &V1.replace("rw,cpuset", "rw"));
    assert_eq!(machine.check("controllers").state, State::Warn);
}

#[test]
fn a_controller_that_cannot_be_written_is_a_failure() {
    let machine = Machine::new();
    let table = V1.replace("/pids rw -", "/pids ro -");
    machine.write("proc/self/mountinfo", &table);
    assert_mended_by(
        &machine.check("controllers"),
        State::Fail,
        "remount,rw /sys/fs/cgroup/pids",
    );
}

#[test]
fn little_memory_is_a_warning_and_swap_is_told() {
    let machine = Machine::new();
    machine.write(
        "proc/meminfo",
        "MemAvailable: 102400 kB\nSwapTotal: 2097152 kB\n",
    );
    let check = machine.check("memory");
    assert_eq!(check.found, "100.0 MiB available, 2.0 GiB of swap");
    assert_mended_by(&check, State::Warn, "--workers 1");
}

#[test]
fn file_systems_that_corrupt_databases_are_refused() {
    let judge = |kind| file_system(kind, Path::new("/state")).state;
    assert_eq!(judge(0x6969), State::Fail);
    assert_eq!(judge(0x0102_1997), State::Fail);
    assert_eq!(judge(0xff53_4d42), State::Fail);
    assert_eq!(judge(0x794c_7630), State::Warn);
    assert_eq!(judge(0xef53), State::Ok);
}

#[test]
fn a_full_disk_fails_and_a_nearly_full_one_warns() {
    let judge = |free| disk(free, GIB, Path::new("/state")).state;
    assert_eq!(
        [GIB - 1, 2 * GIB, 4 * GIB].map(judge),
        [State::Fail, State::Warn, State::Ok]
    );
}

#[test]
fn a_machine_without_git_or_proc_is_told_so() {
    let machine = Machine::new();
    machine.remove("usr/bin/git");
    assert_mended_by(&machine.check("git"), State::Warn, "apt-get install git");
    machine.remove("proc/self/mountinfo");
    assert_mended_by(&machine.check("proc"), State::Fail, "mount -t proc");
}

#[test]
fn this_machine_can_be_examined() {
    let checks = Machine::new().examine_with(|input| input.host = Path::new("/"));
    assert_eq!(named(checks.clone(), "tmpfs").state, State::Ok);
    assert_ne!(named(checks, "memory").found, "unknown");
}
