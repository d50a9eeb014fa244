//! Composes the default image: the host's own root, read-only, with secrets hidden, the project's snapshot at its
//! own path and whatever the interpreter needs bound back in. It describes; the slot worker mounts.
//!
//! [`default_image`] takes a [`Request`]. All paths it reads lie below a folder that stands for `/`.

pub(in crate::container) mod host;
mod user;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::snapshot::Owner;
use super::spec::{Bind, ImageSpec, Tree};
use host::Host;
pub use user::{HOME, environment, make_home, runner_of};

/// What a test has no business to see, whether it is there or not. A trailing `*` stands for all names that
/// begin so.
const SECRETS: [&str; 49] = [
    "/root",
    "/home/*",
    "/srv",
    "/mnt",
    "/media",
    "/boot",
    "/lost+found",
    "/etc/shadow*",
    "/etc/gshadow*",
    "/etc/security/opasswd",
    "/etc/sudoers*",
    "/etc/ssh",
    "/etc/ssl/private",
    "/etc/pki/tls/private",
    "/etc/letsencrypt",
    "/etc/krb5.keytab",
    "/etc/NetworkManager/system-connections",
    "/etc/wireguard",
    "/etc/openvpn",
    "/etc/ppp",
    "/etc/kubernetes",
    "/etc/rancher",
    "/etc/docker",
    "/etc/boto.cfg",
    "/etc/google*",
    "/etc/amazon",
    "/etc/soakhound",
    "/var/backups",
    "/var/log",
    "/var/mail",
    "/var/spool/mail",
    "/var/spool/cron",
    "/var/lib/private",
    "/var/lib/cloud",
    "/var/lib/amazon",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/kubelet",
    "/var/lib/rancher",
    "/var/lib/lxc*",
    "/var/lib/lxd",
    "/var/lib/incus",
    "/var/lib/machines",
    "/var/lib/libvirt",
    "/var/lib/mysql",
    "/var/lib/postgresql",
    "/var/lib/jenkins",
    "/var/lib/sss",
];

/// Folders that are fresh in every container, so what the host has there is hidden.
const FRESH: [&str; 5] = ["/tmp", "/run", "/dev", "/proc", "/sys"];

/// Software of the host that some keep on a mount of its own.
const SYSTEM: [&str; 5] = ["/usr", "/usr/local", "/opt", "/nix", "/gnu"];

/// Where the packages of a host are written down, and what the host is.
const PACKAGES: [&str; 6] = [
    "/etc/os-release",
    "/var/lib/dpkg/status",
    "/lib/apk/db/installed",
    "/var/lib/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/var/lib/rpm/Packages",
];

/// What an image is made of.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Folder that stands for `/`.
    pub host: &'a Path,
    /// Canonical root of the project: where the tests find it.
    pub project: &'a Path,
    /// The copy that they find there.
    pub snapshot: &'a Path,
    /// Empty folder for [`HOME`], from [`make_home`].
    pub home: &'a Path,
    /// What the interpreter must see.
    pub interpreter: &'a [PathBuf],
    /// Our own folders, to be hidden.
    pub private: &'a [PathBuf],
    /// Who runs the tests, from [`runner_of`].
    pub owner: Owner,
}

/// An image and what there is to say about it.
#[derive(Clone, Debug)]
pub struct Image {
    /// What to mount.
    pub spec: ImageSpec,
    /// Name of the tests' user.
    pub user: String,
    /// What a person should know.
    pub notes: Vec<Note>,
}

/// What a person should know about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The interpreter looks there, but showing it would show secrets, so it stays hidden.
    Hidden(PathBuf),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hidden(path) => {
                let path = path.display();
                write!(f, "`{path}` stays hidden: showing it would show secrets")
            }
        }
    }
}

/// Why no image could be composed.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file of the host cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A folder cannot be made.
    #[error("cannot make the folder `{}`", path.display())]
    Make {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> ImageError + '_ {
    move |source| ImageError::Read {
        path: path.to_owned(),
        source,
    }
}

/// Composes the default image. Binds are meant to be mounted before trees: a tree may lie in a bound folder.
///
/// # Errors
/// [`ImageError::Read`] when the host's mounts or users cannot be read.
pub fn default_image(request: &Request<'_>) -> Result<Image, ImageError> {
    let host = Host::open(request.host).map_err(unreadable(request.host))?;
    let secrets = secrets(&host, request.private);
    // What a fresh folder or another mount hides anyway is not in the lower layer: there is nothing to mask.
    let visible =
        |path: &&PathBuf| !is_fresh(path) && host.mount_of(path).is_none_or(|m| is_root(&m.point));
    let masks = without_nested(secrets.iter().filter(visible).cloned().collect());
    let mut notes = Vec::new();
    let binds = binds(&host, request, &secrets, &mut notes);
    let (user, files) = user::identity(&host, request.owner)?;
    let tree = |source: &Path, target: &Path| Tree {
        source: source.to_owned(),
        target: target.to_owned(),
    };
    let spec = ImageSpec {
        lower: PathBuf::from("/"),
        masks,
        binds,
        trees: vec![
            tree(request.home, Path::new(HOME)),
            tree(request.snapshot, request.project),
        ],
        files,
        uid: request.owner.uid,
        gid: request.owner.gid,
    };
    Ok(Image { spec, user, notes })
}

fn is_root(path: &Path) -> bool {
    path.parent().is_none()
}

fn is_fresh(path: &Path) -> bool {
    FRESH.iter().any(|fresh| path.starts_with(fresh))
}

/// Lists the secrets that exist, without links, sorted.
fn secrets(host: &Host, private: &[PathBuf]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for pattern in SECRETS {
        match pattern.strip_suffix('*') {
            Some(start) => found.extend(begin_with(host, start)),
            None => found.push(pattern.into()),
        }
    }
    found.extend_from_slice(private);
    let mut found: Vec<_> = found.iter().filter_map(|path| host.resolve(path)).collect();
    found.retain(|path| !is_root(path));
    found.sort();
    found.dedup();
    found
}

/// Lists the paths that begin with `start`, whose folder is all before its last slash.
fn begin_with(host: &Host, start: &str) -> Vec<PathBuf> {
    let (folder, start) = start.rsplit_once('/').unwrap_or(("", start));
    let folder = Path::new("/").join(folder.trim_start_matches('/'));
    let listed = fs::read_dir(host.place(&folder)).into_iter().flatten();
    let names = listed.flatten().map(|entry| entry.file_name());
    names
        .filter(|name| name.as_encoded_bytes().starts_with(start.as_bytes()))
        .map(|name| folder.join(name))
        .collect()
}

/// Drops from sorted paths those that lie in another.
fn without_nested(sorted: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in sorted {
        if kept.last().is_none_or(|last| !path.starts_with(last)) {
            kept.push(path);
        }
    }
    kept
}

/// Lists the binds that show the interpreter what masks, fresh folders and the host's mounts would hide from it.
fn binds(
    host: &Host,
    request: &Request<'_>,
    secrets: &[PathBuf],
    notes: &mut Vec<Note>,
) -> Vec<Bind> {
    let hidden = |path: &Path| {
        let masked = secrets.iter().any(|secret| path.starts_with(secret));
        let mounted = host.mount_of(path).is_some_and(|m| !is_root(&m.point));
        is_fresh(path) || masked || mounted
    };
    // Both spellings of a path count: the interpreter goes by the one it knows, the links by the other.
    let mut wanted = BTreeMap::new();
    let needed = request.interpreter.iter().map(PathBuf::as_path);
    for path in needed.chain(SYSTEM.map(Path::new)) {
        if let Some(real) = host.resolve(path) {
            wanted.insert(real.clone(), real.clone());
            wanted.insert(path.to_owned(), real);
        }
    }
    let mut binds: Vec<Bind> = Vec::new();
    for (target, source) in wanted {
        if target.starts_with(request.project) || !hidden(&target) {
            continue;
        }
        let exposes = |secret: &Path| secret.starts_with(&target) || secret.starts_with(&source);
        if secrets.iter().any(|s| exposes(s)) || FRESH.iter().any(|f| exposes(Path::new(f))) {
            notes.push(Note::Hidden(target));
            continue;
        }
        // A bind does not bring along what is mounted below it.
        let covers = |bind: &Bind| {
            target.starts_with(&bind.target)
                && host.mount_of(&source) == host.mount_of(&bind.source)
        };
        if !binds.iter().any(covers) {
            binds.push(Bind { source, target });
        }
    }
    binds
}

/// Returns a digest of the host's release and packages; another value is another environment of the tests.
///
/// # Errors
/// [`ImageError::Read`] when a list of packages is there and cannot be read.
pub fn host_fingerprint(host: &Path) -> Result<blake3::Hash, ImageError> {
    let mut hasher = blake3::Hasher::new();
    for path in PACKAGES {
        let place = host.join(path.trim_start_matches('/'));
        match fs::File::open(&place).and_then(|file| {
            let mut one = blake3::Hasher::new();
            one.update_reader(file)?;
            Ok(one.finalize())
        }) {
            Ok(digest) => {
                hasher.update(path.as_bytes()).update(digest.as_bytes());
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(unreadable(&place)(e)),
        }
    }
    Ok(hasher.finalize())
}

#[cfg(test)]
mod tests;
