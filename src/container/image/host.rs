//! Looks at the host's files and mounts, below any folder that stands for `/`. Changes nothing.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// Links followed in one path before it counts as a loop, as in the kernel.
const MAX_LINKS: usize = 40;

/// One mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::container) struct Mount {
    pub(in crate::container) point: PathBuf,
    pub(in crate::container) kind: String,
    /// Options of the mount and of its file system.
    pub(in crate::container) options: Vec<String>,
}

impl Mount {
    pub(in crate::container) fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option)
    }
}

/// The host as seen from a folder.
#[derive(Debug)]
pub(in crate::container) struct Host {
    root: PathBuf,
    mounts: Vec<Mount>,
}

impl Host {
    /// Reads the mounts of the host whose `/` is `root`.
    pub(in crate::container) fn open(root: &Path) -> io::Result<Self> {
        let table = fs::read(root.join("proc/self/mountinfo"))?;
        Ok(Self {
            root: root.to_owned(),
            mounts: parse_mounts(&table),
        })
    }

    pub(in crate::container) fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// Returns where a path of the host is really found.
    pub(in crate::container) fn place(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Returns the text of a small file, or `None` when it cannot be read.
    pub(in crate::container) fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.place(Path::new(path))).ok()
    }

    /// Returns the path without links, or `None` when nothing is there.
    pub(in crate::container) fn resolve(&self, path: &Path) -> Option<PathBuf> {
        let mut left: VecDeque<OsString> = path.iter().map(OsStr::to_owned).collect();
        let mut links = 0;
        let mut resolved = PathBuf::from("/");
        while let Some(part) = left.pop_front() {
            match Path::new(&part).components().next()? {
                Component::RootDir | Component::Prefix(_) => resolved = PathBuf::from("/"),
                Component::CurDir => {}
                Component::ParentDir => {
                    resolved.pop();
                }
                Component::Normal(name) => {
                    let next = resolved.join(name);
                    let Ok(target) = fs::read_link(self.place(&next)) else {
                        fs::symlink_metadata(self.place(&next)).ok()?;
                        resolved = next;
                        continue;
                    };
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    for part in target.iter().rev() {
                        left.push_front(part.to_owned());
                    }
                }
            }
        }
        Some(resolved)
    }

    /// Returns the mount that holds a path without links; the last one made wins where several are stacked.
    pub(in crate::container) fn mount_of(&self, path: &Path) -> Option<&Mount> {
        let holding = self.mounts.iter().filter(|m| path.starts_with(&m.point));
        holding.max_by_key(|m| m.point.components().count())
    }
}

/// Reads `mountinfo`; lines that are not understood are left out.
fn parse_mounts(table: &[u8]) -> Vec<Mount> {
    let lines = table.split(|byte| *byte == b'\n');
    lines.filter_map(parse_mount).collect()
}

fn parse_mount(line: &[u8]) -> Option<Mount> {
    let fields: Vec<_> = line.split(|byte| *byte == b' ').collect();
    let point = PathBuf::from(OsString::from_vec(unescape(fields.get(4)?)));
    // The number of optional fields before the dash varies.
    let dash = fields.iter().skip(6).position(|f| *f == b"-")? + 6;
    let kind = String::from_utf8_lossy(fields.get(dash + 1)?).into_owned();
    let options = [fields.get(5)?, fields.get(dash + 3)?];
    let options = options.iter().flat_map(|f| f.split(|byte| *byte == b','));
    let options = options.map(|o| String::from_utf8_lossy(o).into_owned());
    Some(Mount {
        point,
        kind,
        options: options.collect(),
    })
}

/// Undoes the kernel's `\040` for bytes that would break the table.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'\\').then(|| after.get(..3)).flatten();
        let code =
            code.and_then(|digits| u8::from_str_radix(OsStr::from_bytes(digits).to_str()?, 8).ok());
        plain.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_with_odd_names_and_optional_fields_are_read() {
        let table = b"22 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n\
            30 22 0:5 / /a\\040b\\134c ro shared:2 master:1 - cgroup cgroup rw,memory\nnonsense\n";
        let mounts = parse_mounts(table);
        assert_eq!(mounts.len(), 2);
        assert_eq!(mounts[1].point, Path::new("/a b\\c"));
        assert_eq!(mounts[1].kind, "cgroup");
        assert!(mounts[1].has("memory") && mounts[1].has("ro") && !mounts[0].has("ro"));
    }

    #[test]
    fn links_resolve_within_the_folder_that_stands_for_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let link = |to: &str, at: &str| {
            let at = folder.path().join(at);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(to, at).unwrap();
        };
        fs::create_dir_all(folder.path().join("proc/self")).unwrap();
        fs::write(folder.path().join("proc/self/mountinfo"), "").unwrap();
        fs::create_dir_all(folder.path().join("opt/real/bin")).unwrap();
        link("/opt/real", "home/x/link");
        link("../x/link/bin", "home/y/bin");
        link("loop", "loop");
        let host = Host::open(folder.path()).unwrap();
        let resolve = |path: &str| host.resolve(Path::new(path));
        assert_eq!(resolve("/home/y/bin"), Some("/opt/real/bin".into()));
        assert_eq!(resolve("/home/../../opt/./real"), Some("/opt/real".into()));
        assert_eq!(resolve("/loop"), None);
        assert_eq!(resolve("/missing"), None);
    }
}
