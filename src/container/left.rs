//! What a container left behind in its writable layers: which files it made, changed and deleted.
//!
//! What a container made is untrusted: nothing is followed, no mount is crossed, and the whole is bounded.

use serde::{Deserialize, Serialize};

/// Most paths that are listed. What matters of a test is a handful; whoever unpacks an archive shall not fill the
/// record with it.
pub const MOST_LEFT: usize = 200;

/// One path that is not as it was before the command ran.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Left {
    /// Where, as seen inside; bytes that are not UTF-8 are replaced. Untrusted text.
    pub path: String,
    /// What became of it.
    pub change: Change,
}

/// What became of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Change {
    /// It was not there before. Of a folder with something in it, only that is listed.
    Made,
    /// It was there, and was written to, replaced, or given other permissions.
    Changed,
    /// It is gone.
    Deleted,
}

#[cfg(feature = "lxc")]
pub(super) use walk::{Layer, list};

#[cfg(feature = "lxc")]
mod walk {
    use std::ffi::{OsStr, OsString};
    use std::fs;
    use std::io;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::ffi::OsStrExt as _;
    use std::path::{Path, PathBuf};

    use rustix::fs::{
        AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fgetxattr, lgetxattr, openat,
        openat2, statat,
    };

    use super::{Change, Left, MOST_LEFT};

    /// Deepest folder that is looked into.
    const DEEPEST: usize = 64;

    /// Most entries that are looked at: some milliseconds.
    const MOST_LOOKED: usize = 20_000;

    /// Longest path that is listed, in bytes.
    const LONGEST: usize = 4096;

    const OPAQUE: &str = "trusted.overlay.opaque";

    /// A writable layer, or a file system of the container's own.
    pub(in crate::container) struct Layer {
        upper: OwnedFd,
        below: Vec<PathBuf>,
        at: PathBuf,
    }

    impl Layer {
        /// Opens the layer in the folder `upper`, which lies over those of `below`, the topmost first (none for a
        /// file system of its own), and appears inside at `at`. One that cannot be opened lists nothing: what is
        /// listed is told beside a flag, and is no evidence.
        pub(in crate::container) fn open(
            upper: &Path,
            below: Vec<PathBuf>,
            at: &Path,
        ) -> Option<Self> {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            Some(Self {
                upper: openat(CWD, upper, flags, Mode::empty()).ok()?,
                below,
                at: at.to_owned(),
            })
        }
    }

    /// Lists what `layers` hold, in the order of the names of each, but for what we ourselves made in a container:
    /// `ours`, and the folders above.
    pub(in crate::container) fn list(layers: &[Layer], ours: &[PathBuf]) -> Vec<Left> {
        let mut walk = Walk {
            left: Vec::new(),
            looked: 0,
            ours,
        };
        for layer in layers {
            // As much as can be read.
            let _rest = walk.folder(&layer.upper, &layer.at, &layer.below, DEEPEST);
        }
        walk.left
    }

    struct Walk<'a> {
        left: Vec<Left>,
        looked: usize,
        ours: &'a [PathBuf],
    }

    impl Walk<'_> {
        fn is_full(&self) -> bool {
            self.left.len() >= MOST_LEFT || self.looked >= MOST_LOOKED
        }

        fn folder(
            &mut self,
            folder: &OwnedFd,
            at: &Path,
            below: &[PathBuf],
            depth: usize,
        ) -> io::Result<()> {
            for name in self.names(folder)? {
                if self.is_full() {
                    break;
                }
                if !is_noise(at, &name) {
                    self.entry(folder, &name, at, below, depth)?;
                }
            }
            Ok(())
        }

        /// Returns the names in a folder, sorted.
        fn names(&mut self, folder: &OwnedFd) -> io::Result<Vec<OsString>> {
            use std::os::fd::AsRawFd as _;
            let mut names = Vec::new();
            for entry in fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd()))? {
                self.looked += 1;
                if self.looked >= MOST_LOOKED {
                    break;
                }
                names.push(entry?.file_name());
            }
            names.sort();
            Ok(names)
        }

        fn entry(
            &mut self,
            folder: &OwnedFd,
            name: &OsStr,
            at: &Path,
            below: &[PathBuf],
            depth: usize,
        ) -> io::Result<()> {
            let path = at.join(name);
            let found = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let before = Before::of(below, name);
            if is_whiteout(&found) {
                self.push(&path, Change::Deleted);
                return Ok(());
            }
            let change = if before.was_there {
                Change::Changed
            } else {
                Change::Made
            };
            if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
                if !self.ours.contains(&path) {
                    self.push(&path, change);
                }
                return Ok(());
            }
            // A mount is no part of this layer.
            let Ok(inner) = open_folder(folder, name) else {
                return Ok(());
            };
            let replaced = is_opaque(&inner);
            let below = if replaced { Vec::new() } else { before.folders };
            let listed = self.left.len();
            if depth > 0 {
                self.folder(&inner, &path, &below, depth - 1)?;
            }
            // The kernel copies a folder up for whatever happens below it.
            let says_all = self.left.len() > listed
                || (before.was_there && !replaced && !below.is_empty())
                || self.ours.iter().any(|ours| ours.starts_with(&path));
            if !says_all {
                self.push(&path, change);
            }
            Ok(())
        }

        fn push(&mut self, path: &Path, change: Change) {
            let bytes = path.as_os_str().as_bytes();
            if !self.is_full() && bytes.len() <= LONGEST {
                self.left.push(Left {
                    path: String::from_utf8_lossy(bytes).into_owned(),
                    change,
                });
            }
        }
    }

    /// What a name stood for before the command ran.
    struct Before {
        was_there: bool,
        /// The folders of the layers below that it shows, the topmost first.
        folders: Vec<PathBuf>,
    }

    impl Before {
        fn of(below: &[PathBuf], name: &OsStr) -> Self {
            let mut before = Self {
                was_there: false,
                folders: Vec::new(),
            };
            for layer in below {
                let path = layer.join(name);
                let Ok(found) = statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW) else {
                    continue;
                };
                if is_whiteout(&found) {
                    break;
                }
                let is_folder = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
                if !is_folder && !before.folders.is_empty() {
                    break;
                }
                before.was_there = true;
                if !is_folder {
                    break;
                }
                let mut mark = [0; 1];
                let hides = lgetxattr(&path, OPAQUE, &mut mark).is_ok_and(|_| mark == *b"y");
                before.folders.push(path);
                if hides {
                    break;
                }
            }
            before
        }
    }

    fn open_folder(at: impl AsFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
        openat2(at, name, flags, Mode::empty(), resolve)
    }

    fn is_whiteout(found: &Stat) -> bool {
        FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice && found.st_rdev == 0
    }

    fn is_opaque(folder: &OwnedFd) -> bool {
        let mut mark = [0; 1];
        fgetxattr(folder, OPAQUE, &mut mark).is_ok_and(|_| mark == *b"y")
    }

    /// Is this what every run leaves: compiled code, and the temporary folders of the runner and of ours?
    fn is_noise(at: &Path, name: &OsStr) -> bool {
        let name = name.as_bytes();
        let temporary = [&b"pytest-of-"[..], b"soakhound-pytest-cache-"];
        name == b"__pycache__"
            || name.ends_with(b".pyc")
            || (at == Path::new("/tmp") && temporary.iter().any(|start| name.starts_with(start)))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn put(root: &Path, path: &str) {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }

        fn listed(upper: &Path, below: &[&Path], ours: &[&str]) -> Vec<(String, Change)> {
            let below = below.iter().map(|path| (*path).to_owned()).collect();
            let layer = Layer::open(upper, below, Path::new("/p")).unwrap();
            let ours: Vec<PathBuf> = ours.iter().map(PathBuf::from).collect();
            list(&[layer], &ours)
                .into_iter()
                .map(|left| (left.path, left.change))
                .collect()
        }

        #[test]
        fn new_and_changed_files_are_told_apart_and_noise_and_our_own_are_left_out() {
            let (upper, lower) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            for path in [
                "a/old",
                "a/new",
                "made/deep/x",
                "a/__pycache__/b.pyc",
                "b.pyc",
                "ours/f",
            ] {
                put(upper.path(), path);
            }
            put(lower.path(), "a/old");
            put(lower.path(), "kept/y");
            fs::create_dir_all(upper.path().join("empty")).unwrap();
            fs::create_dir_all(upper.path().join("kept")).unwrap();
            std::os::unix::fs::symlink("/etc", upper.path().join("link")).unwrap();
            let found = listed(upper.path(), &[lower.path()], &["/p/ours/f"]);
            let expected = [
                ("/p/a/new", Change::Made),
                ("/p/a/old", Change::Changed),
                ("/p/empty", Change::Made),
                ("/p/link", Change::Made),
                ("/p/made/deep/x", Change::Made),
            ];
            assert_eq!(
                found,
                expected.map(|(path, change)| (path.to_owned(), change))
            );
        }

        #[test]
        fn a_flood_of_files_is_cut() {
            let upper = tempfile::tempdir().unwrap();
            for number in 0..MOST_LEFT + 50 {
                put(upper.path(), &format!("{number:05}"));
            }
            let found = listed(upper.path(), &[], &[]);
            assert_eq!(found.len(), MOST_LEFT);
            assert_eq!(found[0].0, "/p/00000");
        }
    }
}
