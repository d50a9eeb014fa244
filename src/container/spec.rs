//! What a container is made of, in the words that cross the process boundary. Holds no behaviour.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What every container of a slot sees; fixed for the life of the slot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImageSpec {
    /// Read-only root of all containers.
    pub lower: PathBuf,
    /// Paths that are hidden: folders become empty, files vanish.
    pub masks: Vec<PathBuf>,
    /// Read-only bind mounts, made after masks and fresh tmpfs.
    pub binds: Vec<Bind>,
    /// Folders that get a writable overlay of their own.
    pub trees: Vec<Tree>,
    /// Files written into the container, read-only for the user.
    pub files: Vec<InjectedFile>,
    /// User that runs the command.
    pub uid: u32,
    /// Group that runs the command.
    pub gid: u32,
}

/// One read-only bind mount.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bind {
    /// Path on the host, without symbolic links.
    pub source: PathBuf,
    /// Path in the container.
    pub target: PathBuf,
}

/// One folder with a writable overlay of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tree {
    /// Folder on the host, never written.
    pub source: PathBuf,
    /// Path in the container.
    pub target: PathBuf,
}

/// One file that exists in the container only.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InjectedFile {
    /// Path in the container.
    pub path: PathBuf,
    /// Its bytes.
    pub contents: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
}
