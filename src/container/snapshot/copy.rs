//! Reads and copies the listed entries of one folder without ever leaving it.

use std::fs::{self, File, FileTimes, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, fchown, lchown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::listing::{Kind, Listing};
use super::{Note, Owner, Progress, SnapshotError, Stage, at};

/// Permission bits that count; set-user-ID and its kin have no business in a copy that changes its owner.
const PERMISSIONS: u32 = 0o777;
/// First bytes of every digest: another rule needs another number.
const RULE: &[u8] = b"soakhound snapshot 1\0";

/// What was digested.
#[derive(Clone, Debug)]
pub(super) struct Sum {
    /// Digest of all entries.
    pub(super) digest: blake3::Hash,
    /// Number of regular files.
    pub(super) files: u64,
    /// Their size in bytes.
    pub(super) bytes: u64,
}

/// An open folder: paths are looked up beneath it and through no symbolic link, whatever is done to it meanwhile.
#[derive(Debug)]
pub(super) struct Beneath {
    path: PathBuf,
    folder: OwnedFd,
}

impl Beneath {
    pub(super) fn open(path: &Path) -> Result<Self, SnapshotError> {
        let folder = File::open(path).map_err(at("open", path))?.into();
        let path = path.to_owned();
        Ok(Self { path, folder })
    }

    fn open_entry(&self, relative: &Path, flags: OFlags) -> io::Result<File> {
        let name = if relative.as_os_str().is_empty() {
            Path::new(".")
        } else {
            relative
        };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat2(&self.folder, name, flags, Mode::empty(), resolve)?;
        Ok(File::from(file))
    }

    /// Opens a regular file. What is no file any more counts as vanished; a fifo would otherwise block us.
    fn open_file(&self, relative: &Path) -> io::Result<File> {
        let file = self.open_entry(relative, OFlags::RDONLY | OFlags::NONBLOCK)?;
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(Errno::NOENT.into())
        }
    }

    fn read_link(&self, relative: &Path) -> io::Result<PathBuf> {
        let link = self.open_entry(relative, OFlags::PATH)?;
        if !link.metadata()?.is_symlink() {
            return Err(Errno::NOENT.into());
        }
        let target = rustix::fs::readlinkat(&link, "", Vec::new())?;
        Ok(PathBuf::from(std::ffi::OsString::from_vec(
            target.into_bytes(),
        )))
    }

    /// Returns the digest of the entries as they are now, and notes their sizes in the listing. What vanished
    /// or cannot be read does not count and has no size.
    pub(super) fn digest(
        &self,
        listing: &mut Listing,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Sum, SnapshotError> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(RULE);
        let (mut files, mut bytes) = (0, 0);
        let of = listing.entries.len();
        for (done, (relative, entry)) in listing.entries.iter_mut().enumerate() {
            let stage = Stage::Reading;
            progress(Progress { stage, done, of });
            match self.digest_entry(relative, entry.kind) {
                Ok((digest, size)) => {
                    files += u64::from(entry.kind == Kind::File);
                    bytes += size;
                    entry.size = Some(size);
                    if !is_cache(relative) {
                        hasher.update(digest.as_bytes());
                    }
                }
                Err(e) if is_passing(&e) => entry.size = None,
                Err(e) => return Err(at("read", &self.path.join(relative))(e)),
            }
        }
        let digest = hasher.finalize();
        Ok(Sum {
            digest,
            files,
            bytes,
        })
    }

    fn digest_entry(&self, relative: &Path, kind: Kind) -> io::Result<(blake3::Hash, u64)> {
        let mut hasher = blake3::Hasher::new();
        let name = relative.as_os_str().as_bytes();
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update(&[kind as u8]);
        let mut size = 0;
        match kind {
            Kind::Folder => {
                let folder = self.open_entry(relative, OFlags::RDONLY | OFlags::DIRECTORY)?;
                hasher.update(&mode_of(&folder)?.to_le_bytes());
            }
            Kind::File => {
                let file = self.open_file(relative)?;
                hasher.update(&mode_of(&file)?.to_le_bytes());
                let before = hasher.count();
                hasher.update_reader(file)?;
                size = hasher.count() - before;
            }
            Kind::Link => {
                let target = self.read_link(relative)?;
                hasher.update(target.as_os_str().as_bytes());
            }
        }
        Ok((hasher.finalize(), size))
    }

    /// Copies all entries to the new folder `target`; drops from the listing, with a note, what could not be read.
    pub(super) fn copy(
        &self,
        listing: &mut Listing,
        target: &Path,
        owner: Owner,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), SnapshotError> {
        let owner = rustix::process::geteuid().is_root().then_some(owner);
        let writer = Writer {
            from: self,
            target,
            owner,
        };
        let of = listing.entries.len();
        let mut lost = Vec::new();
        for (done, (relative, entry)) in listing.entries.iter().enumerate() {
            let stage = Stage::Copying;
            progress(Progress { stage, done, of });
            match writer.copy_entry(relative, entry.kind) {
                Ok(()) => {}
                Err(Trouble::Reading(e)) if is_passing(&e) => {
                    if e.kind() == io::ErrorKind::PermissionDenied {
                        listing.notes.push(Note::Unreadable(relative.clone()));
                    }
                    lost.push(relative.clone());
                }
                Err(Trouble::Reading(e)) => return Err(at("read", &self.path.join(relative))(e)),
                Err(Trouble::Writing(e)) => return Err(at("write", &target.join(relative))(e)),
            }
        }
        for path in lost {
            listing.entries.remove(&path);
        }
        // Deepest first, since writing into a folder changes its times and a read-only one takes no files.
        let folders = listing.entries.iter().rev();
        for (relative, _) in folders.filter(|(_, entry)| entry.kind == Kind::Folder) {
            let path = target.join(relative);
            writer
                .finish_folder(relative, &path)
                .map_err(at("write", &path))?;
        }
        Ok(())
    }
}

/// Which side of a copy failed: the source may change under us, the target may not.
enum Trouble {
    Reading(io::Error),
    Writing(io::Error),
}

struct Writer<'a> {
    from: &'a Beneath,
    target: &'a Path,
    owner: Option<Owner>,
}

impl Writer<'_> {
    fn copy_entry(&self, relative: &Path, kind: Kind) -> Result<(), Trouble> {
        let target = self.target.join(relative);
        match kind {
            Kind::Folder => fs::create_dir(&target).map_err(Trouble::Writing),
            Kind::File => {
                let file = self.from.open_file(relative).map_err(Trouble::Reading)?;
                self.copy_file(&file, &target).map_err(Trouble::Writing)
            }
            Kind::Link => {
                let to = self.from.read_link(relative).map_err(Trouble::Reading)?;
                symlink(to, &target).map_err(Trouble::Writing)?;
                match self.owner {
                    Some(o) => lchown(target, Some(o.uid), Some(o.gid)).map_err(Trouble::Writing),
                    None => Ok(()),
                }
            }
        }
    }

    fn copy_file(&self, mut from: &File, target: &Path) -> io::Result<()> {
        let mut to = File::create_new(target)?;
        // This is `copy_file_range`, which shares the blocks where the file system can.
        io::copy(&mut from, &mut to)?;
        let metadata = from.metadata()?;
        if let Some(owner) = self.owner {
            fchown(&to, Some(owner.uid), Some(owner.gid))?;
        }
        to.set_permissions(Permissions::from_mode(metadata.mode() & PERMISSIONS))?;
        // Python compares the times of sources with those in its cached byte code.
        to.set_times(FileTimes::new().set_modified(metadata.modified()?))
    }

    /// Gives a folder the owner, permissions and times of its original, or plain ones if that is gone.
    fn finish_folder(&self, relative: &Path, target: &Path) -> io::Result<()> {
        if let Some(owner) = self.owner {
            chown(target, Some(owner.uid), Some(owner.gid))?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let Ok(original) = self.from.open_entry(relative, flags) else {
            return Ok(());
        };
        let metadata = original.metadata()?;
        let folder = File::open(target)?;
        folder.set_permissions(Permissions::from_mode(metadata.mode() & PERMISSIONS))?;
        set_modified(&folder, &metadata)
    }
}

fn set_modified(folder: &File, metadata: &fs::Metadata) -> io::Result<()> {
    let time = Timespec {
        tv_sec: metadata.mtime(),
        tv_nsec: metadata.mtime_nsec(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(rustix::fs::futimens(folder.as_fd(), &times)?)
}

fn mode_of(file: &File) -> io::Result<u32> {
    Ok(file.metadata()?.mode() & PERMISSIONS)
}

/// Whether a source entry is simply not there to be taken: gone, replaced by another kind, or closed to us.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV | Errno::ACCESS)
    )
}

/// Byte code that Python writes by itself: running the tests once by hand is no new revision.
fn is_cache(relative: &Path) -> bool {
    relative.iter().any(|part| part == "__pycache__")
}

/// Whether a stored copy still has every digested entry at its size; power loss truncates files.
pub(super) fn is_whole(tree: &Path, listing: &Listing) -> bool {
    listing.entries.iter().all(|(relative, entry)| {
        let Some(size) = entry.size.filter(|_| !is_cache(relative)) else {
            return true;
        };
        fs::symlink_metadata(tree.join(relative)).is_ok_and(|found| {
            Kind::of(found.file_type()) == Some(entry.kind)
                && (entry.kind != Kind::File || found.len() == size)
        })
    })
}
