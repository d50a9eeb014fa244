//! Looks whether this machine can run containers and keep a record, and says what to type where it cannot.
//!
//! [`examine`] only looks: it starts and changes nothing. The one real start is made by the caller, who passes on
//! what came of it.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::Path;

use rustix::fs::Access;

use super::image::host::{Host, Mount};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Available memory below this leaves less than one ordinary test suite needs.
const LITTLE_MEMORY: u64 = 512 * MIB;
/// The first kernel with `openat2`, which snapshots are read with.
const OLDEST_KERNEL: (u32, u32) = (5, 6);
/// The first kernel with id-mapped mounts, which let files keep their owners in an unprivileged container.
const GOOD_KERNEL: (u32, u32) = (5, 12);
/// The first major version of liblxc whose behaviour was tested.
const OLDEST_LIBLXC: u32 = 5;
/// Controllers of control groups, and whether a hunt is refused without.
const CONTROLLERS: [(&str, State); 5] = [
    ("memory", State::Fail),
    ("pids", State::Fail),
    ("freezer", State::Fail),
    ("cpu", State::Warn),
    ("cpuset", State::Warn),
];
/// Namespaces of a container, and whether one is refused without.
const NAMESPACES: [(&str, State); 6] = [
    ("mnt", State::Fail),
    ("pid", State::Fail),
    ("net", State::Fail),
    ("ipc", State::Fail),
    ("uts", State::Fail),
    ("user", State::Warn),
];

/// How a check came out. The order is that of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// As it should be.
    Ok,
    /// A hunt works, with less than it could have.
    Warn,
    /// No hunt is possible.
    Fail,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Warn => "warning",
            Self::Fail => "failed",
        })
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it is about: a constant word or two.
    pub name: &'static str,
    /// How it came out.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to type or change; `None` when all is well.
    pub remedy: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Ok,
            found: found.into(),
            remedy: None,
        }
    }

    fn not(
        name: &'static str,
        state: State,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            name,
            state,
            found: found.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn fail(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::not(name, State::Fail, found, remedy)
    }

    fn warn(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::not(name, State::Warn, found, remedy)
    }
}

/// What is known before looking.
#[derive(Clone, Copy, Debug)]
pub struct DoctorInput<'a> {
    /// Folder that stands for `/`.
    pub host: &'a Path,
    /// Folder of our state; it need not exist yet.
    pub state_dir: &'a Path,
    /// Space that must stay free there, in bytes.
    pub min_free: u64,
    /// Version of liblxc; `None` when this program was built without it.
    pub liblxc: Option<&'a str>,
    /// User that runs this program.
    pub uid: u32,
    /// Folders of programs, as in `$PATH`.
    pub path: &'a OsStr,
    /// What came of really starting a container: how it is confined, or why not. `None` when it was not tried.
    pub start: Option<Result<&'a str, &'a str>>,
}

/// Looks at everything that a hunt needs, and returns one check for each in the order to read and to mend them.
#[must_use]
pub fn examine(input: &DoctorInput<'_>) -> Vec<Check> {
    let mut checks = vec![liblxc(input.liblxc), user(input.uid)];
    match Host::open(input.host) {
        Ok(host) => {
            checks.extend([
                kernel(&host),
                namespaces(&host),
                overlay(&host),
                tmpfs(&host),
            ]);
            checks.extend(control_groups(&host));
            checks.push(memory(&host));
        }
        Err(error) => {
            let found = format!("mounts cannot be read: {error}");
            checks.push(Check::fail("proc", found, "mount -t proc proc /proc"));
        }
    }
    checks.extend(state_dir(input.state_dir, input.min_free));
    checks.push(git(input.path));
    checks.extend(input.start.map(start));
    checks
}

fn liblxc(version: Option<&str>) -> Check {
    let name = "liblxc";
    let Some(version) = version else {
        let remedy = "apt-get install lxc-dev libclang-dev gcc, then build with the feature `lxc`";
        return Check::fail(name, "this program was built without it", remedy);
    };
    match version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok())
    {
        Some(OLDEST_LIBLXC..) => Check::ok(name, version),
        _ => Check::warn(
            name,
            format!("{version}, older than {OLDEST_LIBLXC}.0"),
            "apt-get install liblxc1 from a newer release of the distribution",
        ),
    }
}

fn user(uid: u32) -> Check {
    match uid {
        0 => Check::ok("user", "root"),
        uid => Check::fail("user", format!("user {uid}, not root"), "run it with sudo"),
    }
}

fn kernel(host: &Host) -> Check {
    let name = "kernel";
    let release = host.text("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let mut numbers = release.split(['.', '-', '+']).map(str::parse);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Check::warn(
            name,
            format!("release `{release}`"),
            "use Linux 5.12 or newer",
        );
    };
    let remedy = "install Linux 5.12 or newer, which has id-mapped mounts";
    match (major, minor) {
        version if version < OLDEST_KERNEL => Check::fail(name, release, remedy),
        version if version < GOOD_KERNEL => Check::warn(name, release, remedy),
        _ => Check::ok(name, release),
    }
}

fn namespaces(host: &Host) -> Check {
    let is_there = |name: &str| host.place(&Path::new("/proc/self/ns").join(name)).exists();
    let missing = NAMESPACES.iter().filter(|(name, _)| !is_there(name));
    if let Some((state, names)) = gravest(missing) {
        let remedy = "use a kernel built with all namespaces (CONFIG_NAMESPACES and below)";
        return Check::not("namespaces", state, format!("no {names}"), remedy);
    }
    let most = host.text("/proc/sys/user/max_user_namespaces");
    if most.is_some_and(|most| most.trim() == "0") {
        return Check::warn(
            "namespaces",
            "user namespaces are switched off",
            "sysctl -w user.max_user_namespaces=15000",
        );
    }
    Check::ok("namespaces", "mnt, pid, net, ipc, uts, user")
}

/// Joins the names of what is missing, with the gravest state among them; `None` when nothing is.
fn gravest<'a>(missing: impl Iterator<Item = &'a (&'a str, State)>) -> Option<(State, String)> {
    let missing: Vec<_> = missing.collect();
    let state = missing.iter().map(|(_, state)| *state).max()?;
    let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
    Some((state, names.join(", ")))
}

fn knows_file_system(host: &Host, name: &str) -> bool {
    let table = host.text("/proc/filesystems").unwrap_or_default();
    table
        .lines()
        .any(|line| line.split_whitespace().last() == Some(name))
}

fn overlay(host: &Host) -> Check {
    let name = "overlayfs";
    if knows_file_system(host, "overlay") {
        return Check::ok(name, "available");
    }
    let release = host.text("/proc/sys/kernel/osrelease").unwrap_or_default();
    let module = format!("/lib/modules/{}/kernel/fs/overlayfs", release.trim());
    if host.place(Path::new(&module)).exists() {
        return Check::ok(name, "a module that loads when needed");
    }
    Check::fail(name, "unknown to the kernel", "modprobe overlay")
}

fn tmpfs(host: &Host) -> Check {
    if knows_file_system(host, "tmpfs") {
        return Check::ok("tmpfs", "available");
    }
    let remedy = "use a kernel built with CONFIG_TMPFS";
    Check::fail("tmpfs", "unknown to the kernel", remedy)
}

/// Checks the layout of control groups, then that every controller is there and can be written.
fn control_groups(host: &Host) -> Vec<Check> {
    let of_kind = |kind: &'static str| host.mounts().iter().filter(move |m| m.kind == kind);
    if let Some(unified) = of_kind("cgroup2").find(|m| m.point == Path::new("/sys/fs/cgroup")) {
        let listed = host
            .text("/sys/fs/cgroup/cgroup.controllers")
            .unwrap_or_default();
        let here = |name: &str| {
            // Version 2 freezes any group; that is no controller there.
            let known = name == "freezer" || listed.split_whitespace().any(|c| c == name);
            known.then_some(unified)
        };
        let layout = Check::ok("control groups", "version 2");
        let remedy = |name: &str| format!("boot with `cgroup_enable={name}`");
        return vec![layout, controllers(host, here, remedy)];
    }
    if of_kind("cgroup").next().is_none() {
        let remedy = "mount -t cgroup2 cgroup2 /sys/fs/cgroup";
        return vec![Check::fail("control groups", "none mounted", remedy)];
    }
    let hybrid = of_kind("cgroup2").next().is_some();
    let found = if hybrid {
        "version 1, hybrid"
    } else {
        "version 1"
    };
    let here = |name: &str| of_kind("cgroup").find(|m| m.has(name));
    let remedy = |name: &str| {
        let folder = format!("/sys/fs/cgroup/{name}");
        format!("mkdir -p {folder} && mount -t cgroup -o {name} cgroup {folder}")
    };
    let layout = Check::ok("control groups", found);
    vec![layout, controllers(host, here, remedy)]
}

fn controllers<'a>(
    host: &Host,
    mount_of: impl Fn(&str) -> Option<&'a Mount>,
    remedy: impl Fn(&str) -> String,
) -> Check {
    let name = "controllers";
    let missing = CONTROLLERS.iter().filter(|(c, _)| mount_of(c).is_none());
    if let Some((state, names)) = gravest(missing) {
        let remedies: Vec<_> = names.split(", ").map(remedy).collect();
        return Check::not(name, state, format!("no {names}"), remedies.join("; "));
    }
    let mounts = CONTROLLERS.iter().filter_map(|(c, _)| mount_of(c));
    let is_closed = |mount: &&Mount| {
        mount.has("ro") || rustix::fs::access(host.place(&mount.point), Access::WRITE_OK).is_err()
    };
    if let Some(closed) = mounts.into_iter().find(is_closed) {
        let point = closed.point.display();
        let remedy = format!("mount -o remount,rw {point}, as root");
        return Check::fail(name, format!("`{point}` cannot be written"), remedy);
    }
    let names = CONTROLLERS.map(|(name, _)| name);
    Check::ok(name, names.join(", "))
}

fn memory(host: &Host) -> Check {
    let table = host.text("/proc/meminfo").unwrap_or_default();
    let bytes = |field: &str| {
        let line = table.lines().find_map(|line| line.strip_prefix(field))?;
        let kib: u64 = line
            .trim_start_matches(':')
            .split_whitespace()
            .next()?
            .parse()
            .ok()?;
        kib.checked_mul(1024)
    };
    let Some(available) = bytes("MemAvailable") else {
        return Check::warn("memory", "unknown", "mount -t proc proc /proc");
    };
    // What a limit pushes to swap slows a test down instead of ending it, which looks like a hang.
    let swap = match bytes("SwapTotal") {
        None | Some(0) => "no swap".to_owned(),
        Some(swap) => format!("{} of swap", size(swap)),
    };
    let found = format!("{} available, {swap}", size(available));
    if available < LITTLE_MEMORY {
        return Check::warn("memory", found, "free memory, or hunt with `--workers 1`");
    }
    Check::ok("memory", found)
}

/// Checks the file system of our state, or of the nearest folder above that exists.
fn state_dir(path: &Path, min_free: u64) -> Vec<Check> {
    let name = "state folder";
    let Some(there) = path.ancestors().find(|path| path.exists()) else {
        let found = format!("`{}` is nowhere", path.display());
        return vec![Check::fail(name, found, "choose another place with `--db`")];
    };
    let space = || -> io::Result<(u64, u32)> {
        let space = rustix::fs::statvfs(there)?;
        let kind = rustix::fs::statfs(there)?.f_type;
        // Types of file systems are 32 bits; some of them come sign-extended.
        let kind = u32::try_from(kind & 0xffff_ffff).unwrap_or_default();
        Ok((space.f_bavail.saturating_mul(space.f_frsize), kind))
    };
    match space() {
        Ok((free, kind)) => vec![file_system(kind, there), disk(free, min_free, there)],
        Err(error) => {
            let found = format!("`{}` cannot be looked at: {error}", there.display());
            vec![Check::fail(name, found, "choose another place with `--db`")]
        }
    }
}

/// Judges a type of file system, as `statfs` numbers them, for a database with shared memory and locks.
fn file_system(kind: u32, path: &Path) -> Check {
    let name = "state folder";
    let (state, word) = match kind {
        0x6969 => (State::Fail, "NFS"),
        0x0102_1997 => (State::Fail, "9p"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => (State::Fail, "SMB"),
        0x6573_5546 => (State::Warn, "FUSE"),
        0x794c_7630 => (State::Warn, "an overlay, gone with its container"),
        0x0102_1994 => (State::Warn, "tmpfs, gone at the next boot"),
        _ => return Check::ok(name, format!("`{}`, local", path.display())),
    };
    let found = format!("`{}` is on {word}", path.display());
    Check::not(
        name,
        state,
        found,
        "choose a folder on a local disk with `--db`",
    )
}

fn disk(free: u64, min_free: u64, path: &Path) -> Check {
    let found = format!("{} free in `{}`", size(free), path.display());
    let remedy = format!(
        "free space, or choose a place with `--db`; {} must stay free",
        size(min_free)
    );
    if free < min_free {
        Check::fail("disk", found, remedy)
    } else if free / 4 < min_free {
        Check::warn("disk", found, remedy)
    } else {
        Check::ok("disk", found)
    }
}

fn git(path: &OsStr) -> Check {
    let found = std::env::split_paths(path).map(|folder| folder.join("git"));
    match found.into_iter().find(|file| file.is_file()) {
        Some(file) => Check::ok("git", format!("`{}`", file.display())),
        None => Check::warn(
            "git",
            "not found: a snapshot takes ignored files too",
            "apt-get install git",
        ),
    }
}

fn start(outcome: Result<&str, &str>) -> Check {
    match outcome {
        Ok(rung) => Check::ok("container", format!("started: {rung}")),
        Err(why) => Check::fail("container", why, "mend what failed above, then try again"),
    }
}

/// Writes a number of bytes for people, to one decimal.
fn size(bytes: u64) -> String {
    let (unit, name) = if bytes >= GIB {
        (GIB, "GiB")
    } else {
        (MIB, "MiB")
    };
    format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
}

#[cfg(test)]
mod tests;
