//! What hides parts of the lowest layer from containers: folders and marks in a layer over it.
//!
//! It is made once per slot. Where the paths that are hidden come from is not decided here.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    CWD, FileType, Mode, OFlags, ResolveFlags, XattrFlags, mknodat, openat2, setxattr,
};
use rustix::io::Errno;

use super::rootfs::{Dir, Failure, proc_path, step};

/// Something that the layer over the lowest one holds.
struct Entry {
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    /// A folder that shows what is below it.
    Parent(Dir),
    /// A folder that hides what is below it.
    Opaque(Dir),
    /// Hides a file.
    Whiteout,
}

/// Puts what hides `masks` and the host's `/run` into the layer at `over`, a folder that exists.
pub(super) fn fill(over: &Path, lower: &Path, masks: &[PathBuf], base: u32) -> Result<(), Failure> {
    for entry in entries(lower, masks, base)? {
        let path = over.join(&entry.path);
        let naming = format!("hide `/{}`", entry.path.display());
        match entry.kind {
            Kind::Parent(dir) => dir.make(&path)?,
            Kind::Opaque(dir) => {
                dir.make(&path)?;
                setxattr(&path, "trusted.overlay.opaque", b"y", XattrFlags::empty())
                    .map_err(step(naming))?;
            }
            Kind::Whiteout => {
                mknodat(CWD, &path, FileType::CharacterDevice, Mode::empty(), 0)
                    .map_err(step(naming))?;
            }
        }
    }
    Ok(())
}

/// Works out what hides `masks` and the host's `/run`, with the parents that this needs and `/etc`, parents first.
fn entries(lower: &Path, masks: &[PathBuf], base: u32) -> Result<Vec<Entry>, Failure> {
    let mut hidden = BTreeSet::new();
    for mask in masks
        .iter()
        .map(PathBuf::as_path)
        .chain([Path::new("/run")])
    {
        hidden.extend(real_path(lower, mask)?);
    }
    let mut parents = BTreeSet::from([PathBuf::from("etc")]);
    let mut entries = Vec::new();
    let mut covered: Vec<PathBuf> = Vec::new();
    for path in hidden {
        if covered.iter().any(|above| path.starts_with(above)) {
            continue;
        }
        parents.extend(path.ancestors().skip(1).map(Path::to_owned));
        let found = fs::symlink_metadata(lower.join(&path))
            .map_err(step(format_args!("look at `/{}`", path.display())))?;
        let kind = if found.is_dir() {
            Kind::Opaque(Dir {
                mode: found.mode() & 0o7777,
                uid: base,
                gid: base,
            })
        } else {
            Kind::Whiteout
        };
        covered.push(path.clone());
        entries.push(Entry { path, kind });
    }
    for path in parents {
        if path.as_os_str().is_empty() || covered.contains(&path) {
            continue;
        }
        let below = lower.join(&path);
        let look = if below.is_dir() {
            Dir::of(&below)?
        } else {
            Dir {
                mode: 0o755,
                uid: base,
                gid: base,
            }
        };
        entries.push(Entry {
            path,
            kind: Kind::Parent(look),
        });
    }
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(entries)
}

/// Resolves the links in `path` below `lower`; `None` when nothing is there to hide.
fn real_path(lower: &Path, path: &Path) -> Result<Option<PathBuf>, Failure> {
    let naming = |error: io::Error| format!("look at `{}`: {error}", path.display());
    let root = File::open(lower).map_err(naming)?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat2(&root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
        Ok(found) => {
            let real = fs::read_link(proc_path(&found)).map_err(naming)?;
            let inside = real.strip_prefix(lower).ok().map(Path::to_owned);
            Ok(inside.filter(|inside| !inside.as_os_str().is_empty()))
        }
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(naming(error.into())),
    }
}
