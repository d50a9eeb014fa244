//! One cgroup per slot, by file: limits, what was used, and the certain kill.
//!
//! Knows version 1 (hybrid too) and version 2, controller by controller. It never looks at a group
//! that does not carry our name.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{HostError, Limits};
use crate::model::Usage;

/// The controllers that a slot uses where they exist.
const CONTROLLERS: [&str; 6] = ["memory", "pids", "cpu", "cpuacct", "cpuset", "freezer"];

/// Processes of ours in every container: the slot's, the one that waits in liblxc, PID 1, and one
/// that liblxc needs while it starts. Without them a limit of few processes would stop the start.
const OWN_PROCESSES: u32 = 4;

/// Length of a cpu accounting period in microseconds: the kernel's own default.
const CPU_PERIOD_US: u32 = 100_000;

/// How long killed processes may take to vanish. A page of swap or a core dump costs milliseconds;
/// after this long something is stuck in the kernel.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// Time between two looks at dying processes.
pub(super) const KILL_INTERVAL: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// A mounted hierarchy.
#[derive(Debug)]
struct Hierarchy {
    root: PathBuf,
    version: Version,
    controllers: Vec<&'static str>,
}

/// Where one controller of our group is steered.
#[derive(Clone, Debug)]
struct Home {
    folder: PathBuf,
    version: Version,
}

/// The cgroup of one slot; dropping it kills what is in it and removes it.
#[derive(Debug)]
pub(super) struct Cgroup {
    homes: BTreeMap<&'static str, Home>,
    folders: Vec<PathBuf>,
    limits: Option<Limits>,
    before: Usage,
    /// Version 2 can reset the peak for one open file only.
    peak: Option<File>,
    notes: Vec<String>,
}

impl Cgroup {
    /// Makes the group `name` in every hierarchy that has a controller for us.
    pub(super) fn create(name: &str) -> Result<Self, HostError> {
        let mut group = Self {
            homes: BTreeMap::new(),
            folders: Vec::new(),
            limits: None,
            before: Usage::default(),
            peak: None,
            notes: Vec::new(),
        };
        for hierarchy in mounted() {
            if hierarchy.controllers.is_empty() {
                continue;
            }
            let folder = hierarchy.root.join(name);
            if hierarchy.version == Version::V2 {
                for controller in &hierarchy.controllers {
                    // Refused where the root is not ours to share out; the check below sees it.
                    let _ = fs::write(
                        hierarchy.root.join("cgroup.subtree_control"),
                        format!("+{controller}"),
                    );
                }
            }
            fs::create_dir(&folder).map_err(HostError::file("create", &folder))?;
            group.folders.push(folder.clone());
            let given = match hierarchy.version {
                Version::V1 => hierarchy.controllers,
                Version::V2 => named_controllers(&folder.join("cgroup.controllers")),
            };
            if hierarchy.version == Version::V1 && given.contains(&"cpuset") {
                inherit_cpuset(&hierarchy.root, &folder)?;
            }
            for controller in given {
                let home = Home {
                    folder: folder.clone(),
                    version: hierarchy.version,
                };
                group.homes.insert(controller, home);
            }
        }
        Ok(group)
    }

    /// Returns the group's folder in each hierarchy.
    pub(super) fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Returns what is not enforced or measured here, in words.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Sets the limits of the next container. Equal limits cost nothing.
    pub(super) fn limit(&mut self, limits: &Limits) -> Result<(), HostError> {
        if self.limits.as_ref() == Some(limits) {
            return Ok(());
        }
        self.limits = None;
        self.limit_memory(limits.memory)?;
        let Some(home) = self.homes.get("pids") else {
            return Err(HostError::NoController {
                controller: "pids",
                remedy: "mount it or boot a kernel that has it; a fork bomb could not be stopped",
            });
        };
        let pids = limits.pids.saturating_add(OWN_PROCESSES);
        write(&home.folder.join("pids.max"), &pids.to_string())?;
        self.limit_cpu(limits.cpus)?;
        self.limits = Some(*limits);
        Ok(())
    }

    fn limit_memory(&self, bytes: Option<u64>) -> Result<(), HostError> {
        let Some(Home { folder, version }) = self.homes.get("memory") else {
            return match bytes {
                None => Ok(()),
                Some(_) => Err(HostError::NoController {
                    controller: "memory",
                    remedy: "boot with `cgroup_enable=memory`, or set no memory limit",
                }),
            };
        };
        match version {
            Version::V1 => {
                let text = bytes.map_or_else(|| "-1".to_owned(), |bytes| bytes.to_string());
                let with_swap = folder.join("memory.memsw.limit_in_bytes");
                let swap_counted = with_swap.exists();
                // Memory alone must never exceed memory with swap, not even in between.
                if swap_counted {
                    write(&with_swap, "-1")?;
                }
                write(&folder.join("memory.limit_in_bytes"), &text)?;
                if swap_counted && bytes.is_some() {
                    write(&with_swap, &text)?;
                }
            }
            Version::V2 => {
                let text = bytes.map_or_else(|| "max".to_owned(), |bytes| bytes.to_string());
                write(&folder.join("memory.max"), &text)?;
                let swap = folder.join("memory.swap.max");
                if swap.exists() {
                    write(&swap, if bytes.is_some() { "0" } else { "max" })?;
                }
            }
        }
        Ok(())
    }

    fn limit_cpu(&mut self, cpus: Option<f64>) -> Result<(), HostError> {
        let Some(Home { folder, version }) = self.homes.get("cpu") else {
            if cpus.is_some() && self.notes.is_empty() {
                self.notes
                    .push("no cgroup controller `cpu`: the cpu limit is not enforced".into());
            }
            return Ok(());
        };
        // The kernel takes no quota below a millisecond.
        let quota = cpus.map(|cpus| {
            (cpus * f64::from(CPU_PERIOD_US))
                .clamp(1_000.0, 1e12)
                .round()
        });
        match version {
            Version::V1 => {
                let file = folder.join("cpu.cfs_quota_us");
                if file.exists() {
                    write(
                        &file,
                        &quota.map_or_else(|| "-1".to_owned(), |quota| quota.to_string()),
                    )?;
                } else if quota.is_some() && self.notes.is_empty() {
                    self.notes
                        .push("this kernel has no cpu quota: the cpu limit is not enforced".into());
                }
                Ok(())
            }
            Version::V2 => {
                let quota = quota.map_or_else(|| "max".to_owned(), |quota| quota.to_string());
                write(&folder.join("cpu.max"), &format!("{quota} {CPU_PERIOD_US}"))
            }
        }
    }

    /// Remembers the counters, so that [`Cgroup::used`] speaks of what follows only.
    pub(super) fn begin(&mut self) {
        self.peak = None;
        if let Some(Home { folder, version }) = self.homes.get("memory") {
            match version {
                // Failing to reset makes the peak too high, which the reader sees as a plateau.
                Version::V1 => drop(fs::write(folder.join("memory.max_usage_in_bytes"), "0")),
                Version::V2 => self.peak = reset_peak(&folder.join("memory.peak")).ok(),
            }
        }
        self.before = self.counters();
    }

    /// Returns what was used since [`Cgroup::begin`]; stragglers are not counted here.
    pub(super) fn used(&self) -> Usage {
        let now = self.counters();
        let v2_without_reset = self.peak.is_none()
            && self
                .homes
                .get("memory")
                .is_some_and(|home| home.version == Version::V2);
        Usage {
            cpu: now
                .cpu
                .zip(self.before.cpu)
                .map(|(now, before)| now.saturating_sub(before)),
            // A peak that cannot be reset says something only when it rose.
            peak_memory: now
                .peak_memory
                .filter(|peak| !v2_without_reset || Some(*peak) > self.before.peak_memory),
            oom_kills: now.oom_kills.saturating_sub(self.before.oom_kills),
            stragglers: 0,
        }
    }

    fn counters(&self) -> Usage {
        let mut counters = Usage::default();
        if let Some(Home { folder, version }) = self.homes.get("memory") {
            let (peak, events) = match version {
                Version::V1 => ("memory.max_usage_in_bytes", "memory.oom_control"),
                Version::V2 => ("memory.peak", "memory.events"),
            };
            counters.peak_memory = match &self.peak {
                Some(file) => read_at_start(file)
                    .ok()
                    .and_then(|text| text.trim().parse().ok()),
                None => number(&folder.join(peak)),
            };
            let kills = field(&folder.join(events), "oom_kill").unwrap_or(0);
            counters.oom_kills = u32::try_from(kills).unwrap_or(u32::MAX);
        }
        // Version 2 counts time in every group, whether its parent shares the controller out or not.
        let second = self.homes.values().find(|home| home.version == Version::V2);
        counters.cpu = match (self.homes.get("cpuacct"), second) {
            (Some(v1), _) => number(&v1.folder.join("cpuacct.usage")).map(Duration::from_nanos),
            (None, Some(v2)) => {
                field(&v2.folder.join("cpu.stat"), "usage_usec").map(Duration::from_micros)
            }
            (None, None) => None,
        };
        counters
    }

    /// Sends SIGKILL to all that is in the group; true once nothing is.
    pub(super) fn kill_once(&self) -> bool {
        let left = self.folders.iter().filter(|folder| !kill_once(folder));
        left.count() == 0
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for folder in &self.folders {
            if let Err(error) = remove(folder) {
                tracing::warn!(cgroup = %folder.display(), error = %error, "a cgroup is left for the next sweep");
            }
        }
    }
}

/// Kills and removes every group whose name begins with `prefix`; returns how many folders went.
pub(super) fn remove_named(prefix: &str) -> Result<usize, HostError> {
    let mut removed = 0;
    for hierarchy in mounted() {
        let root = &hierarchy.root;
        let entries = fs::read_dir(root).map_err(HostError::file("read", root))?;
        for entry in entries {
            let entry = entry.map_err(HostError::file("read", root))?;
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                let path = entry.path();
                remove(&path).map_err(HostError::file("remove", &path))?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Kills what is in one folder until nothing is, then removes it.
fn remove(folder: &Path) -> io::Result<()> {
    let began = Instant::now();
    loop {
        kill_once(folder);
        match fs::remove_dir(folder) {
            Err(error)
                if error.kind() == io::ErrorKind::ResourceBusy
                    && began.elapsed() < KILL_PATIENCE =>
            {
                std::thread::sleep(KILL_INTERVAL);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => return result,
        }
    }
}

fn kill_once(folder: &Path) -> bool {
    if fs::write(folder.join("cgroup.kill"), "1").is_err() {
        // A frozen task of version 1 does not die of SIGKILL.
        let freezer = folder.join("freezer.state");
        if freezer.exists() {
            drop(fs::write(freezer, "THAWED"));
        }
        // A descriptor pins its process, so that the second look decides about the same ones.
        let pinned: Vec<_> = members(folder)
            .into_iter()
            .filter_map(|pid| Some((pid, pidfd_open(pid, PidfdFlags::empty()).ok()?)))
            .collect();
        let still: HashSet<_> = members(folder).into_iter().collect();
        for (_, pidfd) in pinned.iter().filter(|(pid, _)| still.contains(pid)) {
            // Fails only when it is gone already.
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
        }
    }
    members(folder).is_empty()
}

fn members(folder: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    text.lines()
        .filter_map(|line| Pid::from_raw(line.parse().ok()?))
        .collect()
}

fn mounted() -> Vec<Hierarchy> {
    hierarchies(&fs::read_to_string("/proc/self/mounts").unwrap_or_default())
}

/// Reads from a list of mounts which hierarchies there are, and with which of our controllers.
fn hierarchies(mounts: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mounts.lines() {
        let mut words = line.split(' ').skip(1);
        let (Some(root), Some(kind), Some(options)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let root = PathBuf::from(root);
        let (version, controllers) = match kind {
            "cgroup" => (Version::V1, known(options.split(','))),
            "cgroup2" => (
                Version::V2,
                named_controllers(&root.join("cgroup.controllers")),
            ),
            _ => continue,
        };
        // The same hierarchy may be mounted twice; the first mount is as good as any.
        let taken = |controller: &&'static str| {
            found
                .iter()
                .any(|other| other.controllers.contains(controller))
        };
        let controllers = controllers
            .into_iter()
            .filter(|name| !taken(name))
            .collect();
        found.push(Hierarchy {
            root,
            version,
            controllers,
        });
    }
    found
}

fn named_controllers(file: &Path) -> Vec<&'static str> {
    known(
        fs::read_to_string(file)
            .unwrap_or_default()
            .split_whitespace(),
    )
}

fn known<'a>(words: impl Iterator<Item = &'a str>) -> Vec<&'static str> {
    words
        .filter_map(|word| {
            CONTROLLERS
                .iter()
                .find(|controller| **controller == word)
                .copied()
        })
        .collect()
}

/// A new group of version 1 has no processors and no memory nodes, and takes no process.
fn inherit_cpuset(root: &Path, folder: &Path) -> Result<(), HostError> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let from = root.join(name);
        let value = fs::read_to_string(&from).map_err(HostError::file("read", from))?;
        write(&folder.join(name), value.trim())?;
    }
    Ok(())
}

fn write(file: &Path, value: &str) -> Result<(), HostError> {
    fs::write(file, value).map_err(HostError::file("write", file))
}

fn reset_peak(file: &Path) -> io::Result<File> {
    let mut open = OpenOptions::new().read(true).write(true).open(file)?;
    open.write_all(b"reset")?;
    Ok(open)
}

fn read_at_start(file: &File) -> io::Result<String> {
    use std::os::unix::fs::FileExt as _;
    let mut buffer = [0; 32];
    let length = file.read_at(&mut buffer, 0)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn field(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[cfg(test)]
mod tests;
