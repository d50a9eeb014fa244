//! What a run of the program leaves on the machine, found by the run's id: every name that it gives holds it.

use std::fs;
use std::path::{Path, PathBuf};

/// A run, alive or dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run(String);

impl Run {
    /// Returns the run that a process holds.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let runs = fs::read_dir("/run/soakhound").ok()?;
        runs.flatten().find_map(|entry| {
            let holder = fs::read_to_string(entry.path().join("lock")).ok()?;
            (holder.trim() == pid.to_string())
                .then(|| Self(entry.file_name().to_string_lossy().into_owned()))
        })
    }

    /// Returns the folder of the run; it is gone after its end.
    pub(crate) fn folder(&self) -> PathBuf {
        Path::new("/run/soakhound").join(&self.0)
    }

    /// Returns the run's processes: slots, and whatever is in their containers.
    pub(crate) fn processes(&self) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            if read(&entry.path().join("cgroup")).contains(&self.0) {
                found.push(format!(
                    "{} {}",
                    entry.path().display(),
                    read(&entry.path().join("comm")).trim()
                ));
            }
        }
        found
    }

    /// Counts the run's processes whose program has this in its name.
    pub(crate) fn count_of(&self, program: &str) -> usize {
        let names = self.processes();
        names
            .iter()
            .filter(|process| process.contains(program))
            .count()
    }

    /// Returns the run's cgroups.
    pub(crate) fn cgroups(&self) -> Vec<String> {
        let mut found = Vec::new();
        for line in read(Path::new("/proc/self/mounts")).lines() {
            let words: Vec<_> = line.split(' ').collect();
            if words[2].starts_with("cgroup") {
                let names = fs::read_dir(words[1]).unwrap().flatten();
                let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
                found.extend(
                    names
                        .filter(|name| name.contains(&self.0))
                        .map(|name| format!("{}/{name}", words[1])),
                );
            }
        }
        found
    }

    /// Returns everything of the run that is still there: processes, cgroups, mounts, its folder.
    pub(crate) fn left(&self) -> Vec<String> {
        let mounts = read(Path::new("/proc/self/mounts"));
        let mounts = mounts
            .lines()
            .filter(|line| line.contains(&self.0))
            .map(str::to_owned);
        let folder = self
            .folder()
            .exists()
            .then(|| self.folder().display().to_string());
        self.processes()
            .into_iter()
            .chain(self.cgroups())
            .chain(mounts)
            .chain(folder)
            .collect()
    }

    /// Checks that nothing of the run is left.
    #[track_caller]
    pub(crate) fn assert_gone(&self) {
        assert_eq!(self.left(), Vec::<String>::new(), "left of run {}", self.0);
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
