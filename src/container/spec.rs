//! What a container is made of and what runs in it. Only words: nothing here touches the host.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::HostError;

/// Number of user ids, and of group ids, that a container has.
pub(super) const ID_COUNT: u32 = 65_536;

/// The file system of a slot's containers; fixed for the slot's life.
///
/// Paths are absolute and UTF-8; any other character is fine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSpec {
    /// Root of the lower layer on the host. Only its own file system is seen, no mounts below it.
    pub lower: PathBuf,
    /// What of the lower layer to hide: folders become empty, files vanish, absent paths are ignored.
    pub masks: Vec<PathBuf>,
    /// Host paths that appear inside, read-only.
    pub binds: Vec<Bind>,
    /// Host folders that appear inside and can be written there, without touching the source.
    pub trees: Vec<Tree>,
    /// Files made in every container, owned by its root.
    pub files: Vec<InjectedFile>,
    /// User of the command, as seen inside, below 65,536.
    pub uid: u32,
    /// Group of the command, as seen inside, below 65,536.
    pub gid: u32,
}

/// A read-only view of a host path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// File or folder on the host.
    pub source: PathBuf,
    /// Where it appears inside; missing parents are made, existing ones made passable.
    pub target: PathBuf,
}

/// A writable view of a host folder. Where ids can be shifted, its owner appears as the command's
/// user, whoever that is on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// Folder on the host; must not change while containers run.
    pub source: PathBuf,
    /// Where it appears inside; missing parents are made, existing ones made passable.
    pub target: PathBuf,
}

/// A file that every container gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectedFile {
    /// Where it appears inside. It replaces a file of that name.
    pub path: PathBuf,
    /// Its bytes.
    #[serde(with = "base64_bytes")]
    pub contents: Vec<u8>,
    /// Its permission bits, such as `0o644`.
    pub mode: u32,
}

/// One command to run in a fresh container.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// The command and its arguments, at least one word; looked up in the environment's `PATH`.
    pub argv: Vec<OsString>,
    /// The whole environment. A `HOME` that does not exist is made where the user may.
    pub env: Vec<(OsString, OsString)>,
    /// Working folder inside.
    pub cwd: PathBuf,
    /// Host name inside.
    pub hostname: String,
    /// What it may use.
    pub limits: Limits,
    /// What the command can read, and nobody can change, from descriptor 4.
    pub job: Vec<u8>,
    /// Folders of this name that the command made in a tree are copied into the tree's source, files only, where
    /// they are not yet: a cache of bytecode, which every later container then finds warm.
    pub harvest: Option<String>,
    /// Is the end to say what the command left behind in its files?
    pub list_changes: bool,
}

/// What a container may use.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory, files on its tmpfs mounts included; `None` for no limit.
    pub memory: Option<u64>,
    /// Processes and threads of the command and its descendants.
    pub pids: u32,
    /// Processors' worth of time, such as 1.5; `None` for no limit.
    pub cpus: Option<f64>,
    /// Bytes that each of `/tmp`, `/dev/shm` and the writable layer may hold.
    pub tmp_bytes: u64,
}

/// The part of a [`Launch`] that the slot's process needs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) argv: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) cwd: PathBuf,
    pub(super) hostname: String,
    pub(super) tmp_bytes: u64,
    pub(super) harvest: Option<String>,
    pub(super) list_changes: bool,
}

impl From<&Launch> for Job {
    fn from(launch: &Launch) -> Self {
        Self {
            argv: launch.argv.clone(),
            env: launch.env.clone(),
            cwd: launch.cwd.clone(),
            hostname: launch.hostname.clone(),
            tmp_bytes: launch.limits.tmp_bytes,
            harvest: launch.harvest.clone(),
            list_changes: launch.list_changes,
        }
    }
}

impl ImageSpec {
    /// Checks every path before anything is made from it.
    pub(super) fn check(&self) -> Result<(), HostError> {
        if self.uid.max(self.gid) >= ID_COUNT {
            let what = format!("user {} of group {}", self.uid, self.gid);
            return Err(HostError::Spec {
                what,
                reason: "ids inside end at 65535",
            });
        }
        check_path("the lower layer", &self.lower)?;
        for mask in &self.masks {
            check_path("a mask", mask)?;
        }
        let sources = self.binds.iter().map(|bind| &bind.source);
        for source in sources.chain(self.trees.iter().map(|tree| &tree.source)) {
            check_path("a source", source)?;
        }
        let targets = self.binds.iter().map(|bind| &bind.target);
        let targets = targets.chain(self.trees.iter().map(|tree| &tree.target));
        for target in targets.chain(self.files.iter().map(|file| &file.path)) {
            check_path("a target", target)?;
            if target == Path::new("/") {
                return Err(refuse(
                    "a target",
                    target,
                    "the root itself cannot be covered",
                ));
            }
        }
        Ok(())
    }
}

impl Launch {
    /// Checks what would otherwise be cut short or misread on its way into the container.
    pub(super) fn check(&self) -> Result<(), HostError> {
        use std::os::unix::ffi::OsStrExt as _;
        check_path("the working folder", &self.cwd)?;
        let spec = |what: &str, reason| {
            Err(HostError::Spec {
                what: what.to_owned(),
                reason,
            })
        };
        if self.argv.is_empty() {
            return spec("an empty command", "it needs at least one word");
        }
        let nul = |word: &OsString| word.as_bytes().contains(&0);
        if self.argv.iter().any(nul) || self.env.iter().any(|(name, value)| nul(name) || nul(value))
        {
            return spec("the command", "a word or a variable holds a NUL byte");
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
        if !(1..=63).contains(&self.hostname.len()) || !self.hostname.bytes().all(plain) {
            return spec(
                "the host name",
                "1 to 63 letters, digits, `-` and `.` are allowed",
            );
        }
        Ok(())
    }
}

fn check_path(what: &str, path: &Path) -> Result<(), HostError> {
    let Some(text) = path.to_str() else {
        return Err(refuse(what, path, "it is not UTF-8"));
    };
    if text.contains('\0') {
        return Err(refuse(what, path, "it holds a NUL byte"));
    }
    if !path.is_absolute() {
        return Err(refuse(what, path, "it is not absolute"));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(refuse(what, path, "it holds `..`"));
    }
    Ok(())
}

fn refuse(what: &str, path: &Path, reason: &'static str) -> HostError {
    HostError::Spec {
        what: format!("{what} `{}`", path.display()),
        reason,
    }
}

/// Bytes as base64 text, a third larger than they are (a JSON array would be four times as large).
mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        BASE64
            .decode(String::deserialize(from)?)
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt as _;

    fn image() -> ImageSpec {
        ImageSpec {
            lower: "/".into(),
            masks: vec!["/root".into()],
            binds: vec![],
            trees: vec![Tree {
                source: "/a b,c:'\"\n".into(),
                target: "/a b,c:'\"\n".into(),
            }],
            files: vec![],
            uid: 1000,
            gid: 1000,
        }
    }

    #[test]
    fn image_takes_any_utf_8_path() {
        image().check().unwrap();
    }

    #[test]
    fn image_refuses_paths_that_are_not_utf_8_absolute_or_straight() {
        for bad in [b"/a\xff".to_vec(), b"a".to_vec(), b"/a/../b".to_vec()] {
            let mut image = image();
            image.trees[0].target = OsString::from_vec(bad).into();
            assert!(
                matches!(image.check(), Err(HostError::Spec { .. })),
                "{image:?}"
            );
        }
    }

    #[test]
    fn injected_bytes_survive_the_wire() {
        let file = InjectedFile {
            path: "/x".into(),
            contents: vec![0, 255, 10],
            mode: 0o644,
        };
        let text = serde_json::to_string(&file).unwrap();
        assert_eq!(serde_json::from_str::<InjectedFile>(&text).unwrap(), file);
    }
}
