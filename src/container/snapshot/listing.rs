//! Decides which paths belong to the project. Copies nothing.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, FileType};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Note, Revision, SnapshotError, Source, at};

/// Notes beyond this say nothing new, and a folder full of sockets must not fill the report.
const MAX_NOTES: usize = 100;
/// Longest part of git's own words that is kept, in bytes.
const MAX_GIT_WORDS: usize = 500;

/// What can be copied. The numbers are part of the digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Folder = 1,
    File = 2,
    Link = 3,
}

impl Kind {
    pub(super) fn of(file_type: FileType) -> Option<Self> {
        if file_type.is_dir() {
            Some(Self::Folder)
        } else if file_type.is_file() {
            Some(Self::File)
        } else {
            file_type.is_symlink().then_some(Self::Link)
        }
    }
}

/// One path of the project.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// Size in bytes when it was digested; `None` before, and when it was not there.
    pub(super) size: Option<u64>,
}

/// All paths of the project, relative to its root, which is the empty path. A folder comes before what is in it.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) entries: BTreeMap<PathBuf, Entry>,
    pub(super) revision: Option<Revision>,
    pub(super) notes: Vec<Note>,
}

/// Lists the project at the canonical `root`; `store` is left out wherever it is.
pub(super) fn list(
    root: &Path,
    source: &Source<'_>,
    store: &Path,
) -> Result<Listing, SnapshotError> {
    let excluded = source.exclude.iter().map(|path| {
        // A path that does not exist yet cannot be in the way.
        path.canonicalize().unwrap_or_else(|_| path.clone())
    });
    let mut lister = Lister {
        root,
        excluded: excluded.chain([store.to_owned()]).collect(),
        listing: Listing {
            entries: BTreeMap::new(),
            revision: None,
            notes: Vec::new(),
        },
    };
    lister.insert(PathBuf::new(), Kind::Folder);
    lister.repository_or_all(Path::new(""))?;
    for path in source.extra {
        let outside = || SnapshotError::Outside { path: path.clone() };
        let relative = below(root, source.root, path).ok_or_else(outside)?;
        lister.add(&relative, Depth::Whole)?;
    }
    Ok(lister.listing)
}

/// Returns `path` relative to the root, which may be spelled as given or canonically.
fn below(root: &Path, given: &Path, path: &Path) -> Option<PathBuf> {
    let relative = if path.is_relative() {
        path
    } else {
        path.strip_prefix(root)
            .or_else(|_| path.strip_prefix(given))
            .ok()?
    };
    is_plain(relative).then(|| relative.to_owned())
}

fn is_plain(path: &Path) -> bool {
    path.components().all(|c| matches!(c, Component::Normal(_)))
}

/// What a listed folder stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// A repository of its own, such as a submodule, if it is one.
    Repository,
    /// Everything in it.
    Whole,
}

struct Lister<'a> {
    root: &'a Path,
    excluded: Vec<PathBuf>,
    listing: Listing,
}

impl Lister<'_> {
    fn insert(&mut self, path: PathBuf, kind: Kind) {
        self.listing
            .entries
            .insert(path, Entry { kind, size: None });
    }

    fn note(&mut self, note: Note) {
        if self.listing.notes.len() < MAX_NOTES {
            self.listing.notes.push(note);
        }
    }

    /// Adds what git says belongs to the folder, or everything when git has nothing to say.
    fn repository_or_all(&mut self, relative: &Path) -> Result<(), SnapshotError> {
        let folder = self.root.join(relative);
        if !folder.ancestors().any(|a| a.join(".git").exists()) {
            return self.walk(relative);
        }
        let names = match git_names(&folder) {
            Ok(names) if names.is_empty() => {
                self.note(Note::AllIgnored);
                return self.walk(relative);
            }
            Ok(names) => names,
            Err(why) => {
                self.note(Note::GitFailed(why));
                return self.walk(relative);
            }
        };
        if relative.as_os_str().is_empty() {
            self.listing.revision = revision(&folder);
        }
        for name in names {
            self.add(&relative.join(name), Depth::Repository)?;
        }
        for name in generated(&folder) {
            let path = relative.join(name);
            self.note(Note::Generated(path.clone()));
            self.add(&path, Depth::Whole)?;
        }
        Ok(())
    }

    /// Adds one path and the folders above it.
    fn add(&mut self, relative: &Path, depth: Depth) -> Result<(), SnapshotError> {
        if !is_plain(relative) || !self.add_parents(relative)? {
            return Ok(());
        }
        let Some(kind) = self.look(relative)? else {
            return Ok(());
        };
        if kind != Kind::Folder {
            self.insert(relative.to_owned(), kind);
            return Ok(());
        }
        if depth == Depth::Repository && self.root.join(relative).join(".git").exists() {
            self.insert(relative.to_owned(), kind);
            return self.repository_or_all(relative);
        }
        self.walk(relative)
    }

    /// Adds the folders above a path; false when one of them is a symbolic link or missing.
    fn add_parents(&mut self, relative: &Path) -> Result<bool, SnapshotError> {
        let mut above: Vec<_> = relative.ancestors().skip(1).collect();
        above.reverse();
        for folder in above {
            if let Some(known) = self.listing.entries.get(folder) {
                if known.kind != Kind::Folder {
                    return Ok(false);
                }
                continue;
            }
            let Some(kind) = self.look(folder)? else {
                return Ok(false);
            };
            self.insert(folder.to_owned(), kind);
            if kind != Kind::Folder {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns what is at a path; `None`, with a note where due, when nothing is there to be taken.
    fn look(&mut self, relative: &Path) -> Result<Option<Kind>, SnapshotError> {
        let path = self.root.join(relative);
        if self.excluded.contains(&path) {
            return Ok(None);
        }
        match fs::symlink_metadata(&path) {
            Ok(found) => {
                let kind = Kind::of(found.file_type());
                if kind.is_none() {
                    self.note(Note::Special(relative.to_owned()));
                }
                Ok(kind)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(at("look at", &path)(e)),
        }
    }

    /// Adds a folder and all that is in it, git's own data aside.
    fn walk(&mut self, relative: &Path) -> Result<(), SnapshotError> {
        let mut open = vec![relative.to_owned()];
        while let Some(folder) = open.pop() {
            let path = self.root.join(&folder);
            let listed = match fs::read_dir(&path) {
                Ok(listed) => listed,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                    self.note(Note::Unreadable(folder));
                    continue;
                }
                Err(e) => return Err(at("read", &path)(e)),
            };
            for entry in listed {
                let name = entry.map_err(at("read", &path))?.file_name();
                if name == ".git" {
                    continue;
                }
                let child = folder.join(name);
                match self.look(&child)? {
                    Some(Kind::Folder) => open.push(child),
                    Some(kind) => self.insert(child, kind),
                    None => {}
                }
            }
            self.insert(folder, Kind::Folder);
        }
        Ok(())
    }
}

/// Returns tracked files and those neither tracked nor ignored, relative to the folder; submodules by their name.
fn git_names(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let flags = ["--cached", "--others", "--exclude-standard"];
    git(folder, &[&["ls-files", "-z"], &flags[..]].concat()).map(|out| paths(&out))
}

/// Returns ignored Python code that stands beside tracked files: version modules that a build writes, extension
/// modules built in place, the metadata of a development install. Without them the project cannot be imported.
fn generated(folder: &Path) -> Vec<PathBuf> {
    let flags = ["--others", "--ignored", "--exclude-standard", "--directory"];
    let Ok(out) = git(folder, &[&["ls-files", "-z"], &flags[..]].concat()) else {
        return Vec::new();
    };
    let mut found = paths(&out);
    found.retain(|path| {
        let is = |extension: &str| path.extension() == Some(OsStr::new(extension));
        is("py") || is("so") || is("egg-info") || is("dist-info")
    });
    found
}

fn revision(folder: &Path) -> Option<Revision> {
    let commit = git(folder, &["rev-parse", "--verify", "HEAD"]).ok()?;
    let commit = String::from_utf8(commit).ok()?.trim().to_owned();
    let status = git(folder, &["status", "--porcelain", "-z", "--", "."]).ok()?;
    let dirty = !status.is_empty();
    Some(Revision { commit, dirty })
}

fn paths(out: &[u8]) -> Vec<PathBuf> {
    let names = out.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    // `components` drops the slash that git puts behind a folder.
    names
        .map(|name| Path::new(OsStr::from_bytes(name)).components().collect())
        .collect()
}

/// Runs git in a folder and returns what it printed, or its last words.
fn git(folder: &Path, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let output = match command(folder, arguments, true).output() {
        // Its owner cannot get there, so nobody but us has a hand in what is there.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            command(folder, arguments, false).output()
        }
        output => output,
    };
    let output = output.map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words = &output.stderr[..output.stderr.len().min(MAX_GIT_WORDS)];
    Err(String::from_utf8_lossy(words).trim().to_owned())
}

fn command(folder: &Path, arguments: &[&str], as_owner: bool) -> Command {
    let mut command = Command::new("git");
    // The owner of the project must not be a reason to refuse, and looking must not change the repository.
    command
        .args(["-c", "safe.directory=*", "-c", "core.fsmonitor=false"])
        .args(["-c", "core.hooksPath=/dev/null"])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("LC_ALL", "C");
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    let owner = fs::metadata(folder).ok().filter(|owner| owner.uid() != 0);
    if let Some(owner) = owner.filter(|_| as_owner && rustix::process::geteuid().is_root()) {
        // A repository's configuration can name programs to run: those of its owner, not root's.
        command.uid(owner.uid()).gid(owner.gid());
        command.env_remove("HOME").env_remove("XDG_CONFIG_HOME");
    }
    command
}
