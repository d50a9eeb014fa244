//! Copies the project at the start of a hunt, so that edits during the night never change a shard.
//!
//! A store folder holds one folder per [`Snapshot`], named by the digest of what is in it; an unchanged
//! project is found there again and not copied. Mounting the copy is the container's business.
//!
//! Every folder of the store is `flock`ed by those who use it. [`prune`] takes only what it can lock alone.

mod copy;
mod listing;

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::rand::GetRandomFlags;

use copy::{Beneath, Sum};
use listing::Listing;

/// The copied files are below this name in a folder of the store, so that the folder's own times are ours.
const TREE: &str = "tree";
/// Folders that begin with this are unfinished copies, or whole ones on their way out.
const SCRATCH: &str = "scratch-";
/// How often a race against another hunt is tried again. Each attempt loses only if somebody else got on.
const ATTEMPTS: usize = 16;

/// A user and a group of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Numeric user.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
}

/// What is to be copied.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Folder of the project.
    pub root: &'a Path,
    /// Paths below the root that are taken whole, ignored or not: the project's own virtual environment.
    pub extra: &'a [PathBuf],
    /// Paths that are never taken, such as our own state; those outside the root are no matter.
    pub exclude: &'a [PathBuf],
    /// Who runs the tests: everything in the copy belongs to this user. Only root can give files away.
    pub owner: Owner,
}

/// What the copying is doing, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The kind of work.
    pub stage: Stage,
    /// Entries that are done.
    pub done: usize,
    /// All entries of this stage.
    pub of: usize,
}

/// The two kinds of work that take time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading contents for the digest.
    Reading,
    /// Copying.
    Copying,
}

/// The commit that the project was at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Hexadecimal name of the commit.
    pub commit: String,
    /// Whether the files differ from it.
    pub dirty: bool,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.commit)?;
        f.write_str(if self.dirty { "+dirty" } else { "" })
    }
}

/// What a person should know about a snapshot that was taken all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Sockets, fifos and devices cannot be copied.
    Special(PathBuf),
    /// These could not be read, so the tests will not find them.
    Unreadable(PathBuf),
    /// Ignored by git, yet taken, because it is generated Python code beside the sources.
    Generated(PathBuf),
    /// The project is in a git work tree that git did not list, so all files were taken.
    GitFailed(String),
    /// Git ignores the whole project, so all files were taken.
    AllIgnored,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Special(path) => {
                write!(f, "not copied, no ordinary file: `{}`", path.display())
            }
            Self::Unreadable(path) => write!(f, "not copied, unreadable: `{}`", path.display()),
            Self::Generated(path) => {
                let path = path.display();
                write!(f, "ignored by git, copied as generated code: `{path}`")
            }
            Self::GitFailed(why) => write!(f, "all files copied, git could not list them: {why}"),
            Self::AllIgnored => f.write_str("all files copied, git ignores the whole folder"),
        }
    }
}

/// Why a snapshot could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The root is missing or no folder.
    #[error("project `{}` is no folder that can be read", root.display())]
    Root {
        /// What was given.
        root: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The whole file system is no project.
    #[error("the project is `/`, the whole machine")]
    WholeMachine,
    /// What is to be taken whole lies elsewhere.
    #[error("`{}` is not below the project", path.display())]
    Outside {
        /// What was given.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// A verb.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A stored copy lost files, and somebody uses it.
    #[error("stored copy `{}` is incomplete and in use", path.display())]
    Damaged {
        /// The copy.
        path: PathBuf,
    },
}

/// Adds verb and path to an error of the system.
fn at<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> SnapshotError + 'a {
    move |source| SnapshotError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// A whole copy of the project. While this value lives, nobody removes the copy.
#[derive(Debug)]
pub struct Snapshot {
    /// Folder that stands for the project's root.
    pub path: PathBuf,
    /// Digest of paths, permissions, link targets and contents of the copy; times and `__pycache__` do not count.
    pub digest: blake3::Hash,
    /// Number of regular files.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// The commit; `None` outside git and before the first commit.
    pub revision: Option<Revision>,
    /// Whether an earlier copy was found and used.
    pub reused: bool,
    /// What a person should know.
    pub notes: Vec<Note>,
    _lock: File,
}

impl Snapshot {
    /// Takes a snapshot into `store`, or finds the one that is there; `progress` is called for each entry.
    ///
    /// A file that changes meanwhile is copied as it is found: the digest is that of the copy.
    ///
    /// # Errors
    /// [`SnapshotError`]; nothing unfinished stays in the store then.
    pub fn take(
        source: &Source<'_>,
        store: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, SnapshotError> {
        let root = source.root.canonicalize().and_then(|root| {
            fs::read_dir(&root)?;
            Ok(root)
        });
        let root = root.map_err(|error| SnapshotError::Root {
            root: source.root.to_owned(),
            source: error,
        })?;
        if root.parent().is_none() {
            return Err(SnapshotError::WholeMachine);
        }
        make_folder(store)?;
        let store = store.canonicalize().map_err(at("find", store))?;
        let mut listing = listing::list(&root, source, &store)?;
        let original = Beneath::open(&root)?;
        let sum = original.digest(&mut listing, progress)?;
        if let Some((path, lock)) = Self::find(&store, &sum, source.owner, &listing)? {
            return Ok(Self::new(path, &sum, listing, lock, true));
        }
        let scratch = Scratch::make(&store)?;
        let tree = scratch.path.join(TREE);
        original.copy(&mut listing, &tree, source.owner, progress)?;
        let sum = Beneath::open(&tree)?.digest(&mut listing, progress)?;
        for _ in 0..ATTEMPTS {
            let home = store.join(folder_name(&sum, source.owner));
            match fs::rename(&scratch.path, &home) {
                Ok(()) => {
                    let lock = scratch.keep()?;
                    return Ok(Self::new(home.join(TREE), &sum, listing, lock, false));
                }
                Err(e) if is_taken(&e) => {}
                Err(e) => return Err(at("rename", &scratch.path)(e)),
            }
            if let Some((path, lock)) = Self::find(&store, &sum, source.owner, &listing)? {
                return Ok(Self::new(path, &sum, listing, lock, true));
            }
        }
        let path = store.join(folder_name(&sum, source.owner));
        Err(SnapshotError::Damaged { path })
    }

    fn new(path: PathBuf, sum: &Sum, listing: Listing, lock: File, reused: bool) -> Self {
        Self {
            path,
            digest: sum.digest,
            files: sum.files,
            bytes: sum.bytes,
            revision: listing.revision,
            reused,
            notes: listing.notes,
            _lock: lock,
        }
    }

    /// Finds a stored copy, locks it, and removes it instead if it lost files (power, a full disk).
    fn find(
        store: &Path,
        sum: &Sum,
        owner: Owner,
        listing: &Listing,
    ) -> Result<Option<(PathBuf, File)>, SnapshotError> {
        let home = store.join(folder_name(sum, owner));
        let Some(lock) = lock(&home, FlockOperation::NonBlockingLockShared)? else {
            return Ok(None);
        };
        let tree = home.join(TREE);
        if copy::is_whole(&tree, listing) {
            // `prune` keeps what was used last.
            let now = std::time::SystemTime::now();
            lock.set_modified(now).map_err(at("touch", &home))?;
            return Ok(Some((tree, lock)));
        }
        drop(lock);
        remove(&home)?;
        Ok(None)
    }
}

/// The owner is part of the name because it is not part of the digest, which must not differ between machines.
fn folder_name(sum: &Sum, owner: Owner) -> String {
    format!("{}-{}-{}", sum.digest.to_hex(), owner.uid, owner.gid)
}

fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
    )
}

fn make_folder(path: &Path) -> Result<(), SnapshotError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(at("create", path))
}

/// Locks a folder of the store. `None` when it is gone, or locked by another against us.
fn lock(path: &Path, how: FlockOperation) -> Result<Option<File>, SnapshotError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(at("open", path)(e)),
    };
    match flock(&file, how) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        Err(e) => return Err(at("lock", path)(e.into())),
    }
    // Between opening and locking, another may have moved the folder away to remove it.
    let ours = file.metadata().map_err(at("look at", path))?;
    let same = fs::metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == (ours.dev(), ours.ino()));
    Ok(same.then_some(file))
}

/// A folder for an unfinished copy; removed when dropped, and by [`prune`] when its maker was killed.
#[derive(Debug)]
struct Scratch {
    path: PathBuf,
    lock: Option<File>,
}

impl Scratch {
    fn make(store: &Path) -> Result<Self, SnapshotError> {
        for _ in 0..ATTEMPTS {
            let path = scratch_path(store)?;
            DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .map_err(at("create", &path))?;
            if let Some(file) = lock(&path, FlockOperation::NonBlockingLockShared)? {
                let lock = Some(file);
                return Ok(Self { path, lock });
            }
        }
        let busy = io::Error::from(io::ErrorKind::ResourceBusy);
        Err(at("lock a new folder in", store)(busy))
    }

    /// Hands out the lock once the folder has its final name.
    fn keep(mut self) -> Result<File, SnapshotError> {
        let gone = || at("keep", &self.path)(io::ErrorKind::NotFound.into());
        self.lock.take().ok_or_else(gone)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.lock.is_some()
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!(path = ?self.path, %error, "cannot remove unfinished snapshot");
        }
    }
}

fn scratch_path(store: &Path) -> Result<PathBuf, SnapshotError> {
    let mut random = [0; 8];
    rustix::rand::getrandom(&mut random, GetRandomFlags::empty())
        .map_err(|e| at("name a folder in", store)(e.into()))?;
    let number = u64::from_ne_bytes(random);
    Ok(store.join(format!("{SCRATCH}{number:016x}")))
}

/// What [`prune`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Whole copies removed.
    pub removed: usize,
    /// Unfinished copies of dead hunts removed.
    pub leftovers: usize,
    /// Copies that stay.
    pub kept: usize,
}

/// Removes what dead hunts left unfinished, and all but the `keep` last used copies, save those in use.
///
/// # Errors
/// [`SnapshotError::Io`] when the store cannot be read or changed. A missing store is an empty one.
pub fn prune(store: &Path, keep: usize) -> Result<Pruned, SnapshotError> {
    let mut pruned = Pruned::default();
    let mut whole = Vec::new();
    let listed = match fs::read_dir(store) {
        Ok(listed) => listed,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(pruned),
        Err(e) => return Err(at("read", store)(e)),
    };
    for entry in listed {
        let path = entry.map_err(at("read", store))?.path();
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        if name.starts_with(SCRATCH.as_bytes()) {
            pruned.leftovers += usize::from(remove(&path)?);
        } else if let Ok(used) = fs::metadata(&path).and_then(|m| m.modified()) {
            whole.push((std::cmp::Reverse(used), path));
        }
    }
    whole.sort();
    for (rank, (_, path)) in whole.iter().enumerate() {
        if rank >= keep && remove(path)? {
            pruned.removed += 1;
        } else {
            pruned.kept += 1;
        }
    }
    Ok(pruned)
}

/// Removes a folder of the store unless somebody uses it; returns whether it did.
fn remove(path: &Path) -> Result<bool, SnapshotError> {
    let Some(_lock) = lock(path, FlockOperation::NonBlockingLockExclusive)? else {
        return Ok(false);
    };
    // Under its own name a half-removed copy would be taken for whole.
    let store = path.parent().unwrap_or(path);
    let doomed = scratch_path(store)?;
    fs::rename(path, &doomed).map_err(at("rename", path))?;
    fs::remove_dir_all(&doomed).map_err(at("remove", &doomed))?;
    Ok(true)
}

#[cfg(test)]
mod tests;
