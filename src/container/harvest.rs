//! Brings a cache that a container made back to where its tree came from.
//!
//! What a container made is untrusted: only regular files directly in folders of the one name are taken, nothing is
//! followed, nothing that is there is replaced, and the whole is bounded. The names stay relative to folders that
//! are opened one by one, so no link can lead out.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;

/// Most bytes that one harvest brings: ten times the bytecode of a large project.
const MOST_BYTES: u64 = 512 << 20;

/// Deepest folder that is looked into; a longer path is no package.
const DEEPEST: usize = 64;

/// Copies the folders called `name` below `made` to the same places below `to`.
pub(super) fn copy(made: &Path, to: &Path, name: &str) -> io::Result<()> {
    let mut room = MOST_BYTES;
    walk(
        &open_dir(CWD, made.as_os_str())?,
        &open_dir(CWD, to.as_os_str())?,
        OsStr::new(name),
        DEEPEST,
        &mut room,
    )
}

fn open_dir(at: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(at, name, flags, Mode::empty())?)
}

/// The entries of an open folder, by name.
fn entries(folder: &OwnedFd) -> io::Result<fs::ReadDir> {
    use std::os::fd::AsRawFd as _;
    fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd()))
}

fn walk(
    made: &OwnedFd,
    to: &OwnedFd,
    name: &OsStr,
    depth: usize,
    room: &mut u64,
) -> io::Result<()> {
    for entry in entries(made)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() || depth == 0 {
            continue;
        }
        let child = entry.file_name();
        let inner = open_dir(made, &child)?;
        if child == name {
            take(&inner, &made_in(to, name)?, room)?;
            continue;
        }
        // A folder that only the container knew holds nothing that a later one imports.
        if let Ok(beyond) = open_dir(to, &child) {
            walk(&inner, &beyond, name, depth - 1, room)?;
        }
    }
    Ok(())
}

/// Opens the folder `name`, made where it is missing, with the owner of its parent.
fn made_in(parent: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    match mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let made = open_dir(parent, name)?;
    own_as(&made, parent)?;
    Ok(made)
}

fn own_as(made: impl AsFd, like: &OwnedFd) -> io::Result<()> {
    let like = rustix::fs::fstat(like)?;
    fchown(made, Some(like.st_uid), Some(like.st_gid))
}

fn take(from: &OwnedFd, to: &OwnedFd, room: &mut u64) -> io::Result<()> {
    for entry in entries(from)? {
        let name = entry?.file_name();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = openat(from, &name, flags, Mode::empty()) else {
            continue;
        };
        let mut file = File::from(file);
        let found = file.metadata()?;
        // Links to it elsewhere are none of ours.
        if !found.is_file()
            || found.nlink() != 1
            || found.len() > *room
            || openat(to, &name, OFlags::PATH, Mode::empty()).is_ok()
        {
            continue;
        }
        *room -= found.len();
        // Beside its place first: a half-written one must never be found there.
        let mut part = name.clone();
        part.push(".part");
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(made) = openat(to, &part, flags, Mode::from_raw_mode(0o644)) else {
            continue;
        };
        let mut made = File::from(made);
        let done = io::copy(&mut file, &mut made)
            .and_then(|_| own_as(&made, to))
            .and_then(|()| Ok(renameat(to, &part, to, &name)?));
        if done.is_err() {
            unlinkat(to, &part, rustix::fs::AtFlags::empty())?;
            return done;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_of_the_named_folders_come_back() {
        let (made, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let put = |path: &str, text: &str| {
            let path = made.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("pkg/__pycache__/a.pyc", "fresh");
        put("pkg/__pycache__/known.pyc", "other");
        put("pkg/__pycache__/deep/b.pyc", "no");
        put("pkg/state.txt", "no");
        put("unknown/__pycache__/c.pyc", "no");
        std::os::unix::fs::symlink("/etc/passwd", made.path().join("pkg/__pycache__/link.pyc"))
            .unwrap();
        std::os::unix::fs::symlink("/etc", to.path().join("away")).unwrap();
        put("away/__pycache__/d.pyc", "no");
        fs::create_dir_all(to.path().join("pkg/__pycache__")).unwrap();
        fs::write(to.path().join("pkg/__pycache__/known.pyc"), "mine").unwrap();

        copy(made.path(), to.path(), "__pycache__").unwrap();

        let cache = to.path().join("pkg/__pycache__");
        assert_eq!(fs::read_to_string(cache.join("a.pyc")).unwrap(), "fresh");
        assert_eq!(fs::read_to_string(cache.join("known.pyc")).unwrap(), "mine");
        let mut names: Vec<_> = fs::read_dir(&cache)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["a.pyc", "known.pyc"]);
        assert!(!to.path().join("pkg/state.txt").exists());
        assert!(!to.path().join("unknown").exists());
        assert!(!Path::new("/etc/__pycache__").exists());
    }
}
