//! The file system of containers, in the private mount namespace of a slot.
//!
//! [`Image`] is made once per slot: read-only views of all sources, ids shifted, below a tmpfs of
//! our own, and a layer over the lowest one, which hides what containers shall not see and holds the
//! folders that they need. [`Image::assemble`] adds what is fresh in each container. Every host path is opened, not
//! spelled into mount options, so that no character of it can be misread; every path inside is
//! resolved with the container's root as its root, so that no symbolic link leads out.

use std::ffi::{CString, OsString};
use std::fmt::Display;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat, openat2, unlinkat,
};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_bind, move_mount,
    open_tree, unmount,
};

use super::ids::{Ids, owner_map, plain_map, user_namespace};
use super::left::{self, Layer, Left};
use super::spec::{ImageSpec, InjectedFile};
use super::{dev, harvest, over, sys};

/// Our own tmpfs, in the slot's mount namespace only. `/run` exists everywhere, everybody may pass
/// through it, and covering it keeps liblxc's lock folders away from the host.
const SCRATCH: &str = "/run";

/// Where the container is put together; a tmpfs of its own.
const CONTAINER: &str = "/run/c";

/// The layer between the lowest one and what a container writes.
const OVER: &str = "/run/over";

/// Mounts of the host that a slot keeps: liblxc needs them, and the kernel lets a container mount
/// the latter two only where its maker sees them.
const KEPT_MOUNTS: [&str; 4] = ["/", "/dev", "/proc", "/sys"];

/// Without these, renaming a folder of the lower layer fails, hard links break when written to, and
/// a folder is on another device than its files: good tests would fail.
const OVERLAY_OPTIONS: &str = "redirect_dir=on,index=on,xino=on";

/// A step that failed, as a fragment for "cannot ...".
pub(super) type Failure = String;

/// Names the step in an error's text.
pub(super) fn step<E: Display>(what: impl Display) -> impl FnOnce(E) -> Failure {
    move |error| format!("{what}: {error}")
}

/// What all containers of a slot share.
pub(super) struct Image {
    base: u32,
    root: Dir,
    mounts: Vec<Mount>,
    /// Those that the layer cannot hold, because something is mounted over their folders.
    files: Vec<InjectedFile>,
    /// What the layer says that the machine is called.
    hostname: String,
}

/// Mode and owner of a folder that a layer shows instead of the lower one's.
#[derive(Clone, Copy)]
pub(super) struct Dir {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Something mounted over the root file system.
struct Mount {
    /// Name of its read-only view below the scratch folder.
    view: String,
    /// What it is a view of, on the host, whose paths are out of reach by then.
    source: OwnedFd,
    target: PathBuf,
    kind: MountKind,
    /// Whether the target is below another mount, and so cannot be made before that.
    nested: bool,
}

#[derive(Clone, Copy)]
enum MountKind {
    Folder,
    File,
    /// A writable overlay whose root looks like this.
    Tree(Dir),
}

impl Image {
    /// Prepares the views. Covers `/run` of the calling process's mount namespace.
    pub(super) fn prepare(spec: &ImageSpec, ids: Ids) -> Result<Self, Failure> {
        let base = ids.base;
        let plain = ids
            .shifted
            .then(|| user_namespace(&[plain_map(base), plain_map(base)]))
            .transpose()?;
        let plain = plain.as_ref().map(OwnedFd::as_fd);
        // All sources are opened before anything is covered.
        let lower = view(&spec.lower, plain)?;
        let mut views = Vec::new();
        for bind in &spec.binds {
            let source = open_path(&bind.source)?;
            views.push((view(&bind.source, plain)?, source, &bind.target, false));
        }
        for tree in &spec.trees {
            let map = ids
                .shifted
                .then(|| owner_map(base, tree, spec))
                .transpose()?;
            let shift = map.as_ref().map(OwnedFd::as_fd);
            let source = open_path(&tree.source)?;
            views.push((view(&tree.source, shift)?, source, &tree.target, true));
        }
        forget_mounts();
        tmpfs(SCRATCH, "mode=0755,size=64m")?;
        dev::make(base)?;
        let lower_path = Path::new(SCRATCH).join("lower");
        make_dir(&lower_path)?;
        make_dir(Path::new(CONTAINER))?;
        attach(&lower, &lower_path)?;
        let mut mounts = Vec::new();
        for (number, (detached, source, target, tree)) in views.into_iter().enumerate() {
            let view = format!("v{number}");
            let path = Path::new(SCRATCH).join(&view);
            let found = fstat(&detached).map_err(step(format_args!("look at `{view}`")))?;
            let folder = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
            if folder {
                make_dir(&path)?;
            } else {
                make_file(&path)?;
            }
            attach(&detached, &path)?;
            let kind = match (tree, folder) {
                (true, true) if ids.shifted => MountKind::Tree(Dir::of(&path)?),
                // The rest of the tree keeps strangers as owners; its top at least can be used.
                (true, true) => MountKind::Tree(Dir {
                    uid: base + spec.uid,
                    gid: base + spec.gid,
                    ..Dir::of(&path)?
                }),
                (true, false) => return Err(format!("use `{}`: not a folder", target.display())),
                (false, true) => MountKind::Folder,
                (false, false) => MountKind::File,
            };
            mounts.push(Mount {
                view,
                source,
                target: target.clone(),
                kind,
                nested: false,
            });
        }
        // A mount covers what was mounted below it before.
        mounts.sort_by_key(|mount| mount.target.components().count());
        let mut image = Self {
            base,
            root: Dir::of(&lower_path)?,
            mounts,
            files: spec.files.clone(),
            hostname: String::new(),
        };
        image.root.make(Path::new(OVER))?;
        over::fill(Path::new(OVER), &lower_path, &spec.masks, base)?;
        image.make_targets()?;
        Ok(image)
    }

    /// Puts into the layer what containers have mounts on, and the files. The kernel does so, for a
    /// container that nobody sees: what it would write becomes part of the layer.
    fn make_targets(&mut self) -> Result<(), Failure> {
        let work = Path::new(SCRATCH).join("work");
        let merged = Path::new(SCRATCH).join("merged");
        make_dir(&work)?;
        make_dir(&merged)?;
        let options = format!(
            "lowerdir={SCRATCH}/lower,upperdir={OVER},workdir={},redirect_dir=on,xino=on",
            work.display()
        );
        mount_new(
            "overlay",
            &merged,
            MountFlags::NODEV | MountFlags::NOSUID,
            &options,
        )?;
        let root = Root::open_at(&merged, self.base)?;
        // Every container has mounts of its own there.
        let mut covered = Vec::new();
        for folder in ["dev", "tmp"] {
            covered.push(resolved(&root.dir(Path::new(folder))?)?);
        }
        let is_covered =
            |covered: &[PathBuf], path: &Path| covered.iter().any(|above| path.starts_with(above));
        for mount in &mut self.mounts {
            let target = match mount.kind {
                MountKind::Folder | MountKind::Tree(_) => root.dir(&mount.target)?,
                MountKind::File => root.write(&mount.target, b"", 0o644)?,
            };
            let target = resolved(&target)?;
            mount.nested = is_covered(&covered, &target);
            covered.push(target);
        }
        let mut nested = Vec::new();
        for file in self.files.drain(..) {
            let written = root.write(&file.path, &file.contents, file.mode)?;
            if is_covered(&covered, &resolved(&written)?) {
                nested.push(file);
            }
        }
        self.files = nested;
        drop(root);
        unmount(&merged, UnmountFlags::empty()).map_err(step("close the layer"))
    }

    /// Makes the layer say that the machine is called `hostname`. No container may run meanwhile.
    pub(super) fn call(&mut self, hostname: &str) -> Result<(), Failure> {
        if self.hostname == hostname {
            return Ok(());
        }
        self.hostname.clear();
        let hosts =
            format!("127.0.0.1 localhost {hostname}\n::1 localhost ip6-localhost ip6-loopback\n");
        for (name, text) in [("hosts", hosts), ("hostname", format!("{hostname}\n"))] {
            let path = Path::new(OVER).join("etc").join(name);
            fs::write(&path, text)
                .and_then(|()| chown(&path, Some(self.base), Some(self.base)))
                .map_err(step(format_args!("write `/etc/{name}`")))?;
        }
        hostname.clone_into(&mut self.hostname);
        Ok(())
    }

    /// Puts a container's root file system together and returns its path. Everything in it is gone
    /// with the caller's mount namespace.
    pub(super) fn assemble(&self, tmp_bytes: u64) -> Result<PathBuf, Failure> {
        let at = Path::new(CONTAINER);
        tmpfs(CONTAINER, &format!("mode=0755,size={tmp_bytes}"))?;
        for folder in ["merged", "mnt"] {
            make_dir(&at.join(folder))?;
        }
        self.root.make(&at.join("up"))?;
        let merged = at.join("merged");
        overlay(&format!("{OVER}:{SCRATCH}/lower"), "up", "work", &merged)?;
        let root = Root::open_at(&merged, self.base)?;
        let owned = format!("uid={0},gid={0},size={tmp_bytes}", self.base);
        let folder = root.found(Path::new("dev"))?;
        mount_bind(dev::DEV, proc_path(&folder)).map_err(step("mount `/dev`"))?;
        for shared in ["tmp", "dev/shm"] {
            let folder = root.found(Path::new(shared))?;
            tmpfs(&proc_path(&folder), &format!("mode=1777,{owned}"))?;
        }
        let folder = root.found(Path::new("dev/pts"))?;
        dev::mount_terminals(Path::new(&proc_path(&folder)), self.base)?;
        for mount in &self.mounts {
            mount.attach_in(&root)?;
        }
        for file in &self.files {
            root.write(&file.path, &file.contents, file.mode)?;
        }
        Ok(merged)
    }

    /// Lists what the container's command left behind.
    pub(super) fn left(&self) -> Vec<Left> {
        let scratch = Path::new(SCRATCH);
        let own = Path::new(CONTAINER);
        let mut layers = Vec::new();
        for mount in &self.mounts {
            if let MountKind::Tree(_) = mount.kind {
                let upper = own.join(format!("{}u", mount.view));
                let below = vec![scratch.join(&mount.view)];
                layers.extend(Layer::open(&upper, below, &mount.target));
            }
        }
        if let Ok(root) = Root::open_at(&own.join("merged"), self.base) {
            for shared in ["tmp", "dev/shm"] {
                if let Ok(folder) = root.found(Path::new(shared)) {
                    let (upper, at) = (proc_path(&folder), Path::new("/").join(shared));
                    layers.extend(Layer::open(Path::new(&upper), Vec::new(), &at));
                }
            }
        }
        let below = vec![OVER.into(), scratch.join("lower")];
        layers.extend(Layer::open(&own.join("up"), below, Path::new("/")));
        let ours: Vec<PathBuf> = self
            .mounts
            .iter()
            .map(|mount| mount.target.clone())
            .chain(self.files.iter().map(|file| file.path.clone()))
            .collect();
        left::list(&layers, &ours)
    }

    /// Copies the folders called `name` that a container made in its trees into the trees' sources. One that
    /// cannot be written goes without: the next container is slower then, and nothing else.
    pub(super) fn harvest(&self, name: &str) {
        let trees = self
            .mounts
            .iter()
            .filter(|mount| matches!(mount.kind, MountKind::Tree(_)));
        for tree in trees {
            let upper = Path::new(CONTAINER).join(format!("{}u", tree.view));
            // Not the link itself, which is not followed: what it leads to.
            let source = Path::new(&proc_path(&tree.source)).join(".");
            let _without = harvest::copy(&upper, &source, name);
        }
    }
}

impl Dir {
    pub(super) fn of(path: &Path) -> Result<Self, Failure> {
        let found = fs::metadata(path).map_err(step(format_args!("read `{}`", path.display())))?;
        Ok(Self {
            mode: found.mode() & 0o7777,
            uid: found.uid(),
            gid: found.gid(),
        })
    }

    pub(super) fn make(self, path: &Path) -> Result<(), Failure> {
        make_dir(path)?;
        fs::set_permissions(path, Permissions::from_mode(self.mode))
            .and_then(|()| chown(path, Some(self.uid), Some(self.gid)))
            .map_err(step(format_args!("prepare `{}`", path.display())))
    }
}

impl Mount {
    fn attach_in(&self, root: &Root) -> Result<(), Failure> {
        let source = Path::new(SCRATCH).join(&self.view);
        let naming = |error: Errno| format!("mount `{}`: {error}", self.target.display());
        match self.kind {
            MountKind::Folder | MountKind::File => {
                let target = self.place_in(root)?;
                mount_bind(&source, proc_path(&target)).map_err(naming)
            }
            MountKind::Tree(look) => {
                let (upper, work) = (format!("{}u", self.view), format!("{}w", self.view));
                look.make(&Path::new(CONTAINER).join(&upper))?;
                let target = self.place_in(root)?;
                let lower = format!("{SCRATCH}/{}", self.view);
                overlay(&lower, &upper, &work, Path::new(&proc_path(&target)))
                    .map_err(|error| format!("{error} (`{}`)", self.target.display()))
            }
        }
    }

    /// Opens what this is mounted on.
    fn place_in(&self, root: &Root) -> Result<OwnedFd, Failure> {
        match (self.nested, self.kind) {
            (false, _) => root.found(&self.target),
            (true, MountKind::Folder | MountKind::Tree(_)) => root.dir(&self.target),
            (true, MountKind::File) => root.write(&self.target, b"", 0o644),
        }
    }
}

/// A container's root, through which every path inside is resolved.
struct Root {
    root: OwnedFd,
    /// Who owns what is made here.
    owner: u32,
}

impl Root {
    fn open_at(path: &Path, owner: u32) -> Result<Self, Failure> {
        let open = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, path, open, Mode::empty()).map_err(step("open the root"))?;
        Ok(Self { root, owner })
    }

    /// Opens `path`, which is there.
    fn found(&self, path: &Path) -> Result<OwnedFd, Failure> {
        self.open(path, OFlags::empty())
            .map_err(step(format_args!("find `{}`", path.display())))
    }

    /// Opens the folder `path`, made where it is missing; makes its parents passable.
    fn dir(&self, path: &Path) -> Result<OwnedFd, Failure> {
        let naming = |error: Errno| format!("make the folder `{}`: {error}", path.display());
        let mut current = self
            .open(Path::new("."), OFlags::DIRECTORY)
            .map_err(naming)?;
        let mut walked = PathBuf::new();
        for name in path.components().filter_map(normal) {
            walked.push(name);
            let next = match self.open(&walked, OFlags::DIRECTORY) {
                Err(Errno::NOENT) => {
                    mkdirat(&current, name, Mode::from_raw_mode(0o755)).map_err(naming)?;
                    let owner = rustix::fs::Uid::from_raw(self.owner);
                    let group = rustix::fs::Gid::from_raw(self.owner);
                    let here = AtFlags::SYMLINK_NOFOLLOW;
                    rustix::fs::chownat(&current, name, Some(owner), Some(group), here)
                        .map_err(naming)?;
                    self.open(&walked, OFlags::DIRECTORY).map_err(naming)?
                }
                found => found.map_err(naming)?,
            };
            make_passable(&next)
                .map_err(step(format_args!("open a way to `{}`", path.display())))?;
            current = next;
        }
        Ok(current)
    }

    /// Makes the file `path` anew with these contents and returns it.
    fn write(&self, path: &Path, contents: &[u8], permissions: u32) -> Result<OwnedFd, Failure> {
        let naming = |error: io::Error| format!("write `{}`: {error}", path.display());
        let name = path
            .file_name()
            .ok_or_else(|| format!("write `{}`: no name", path.display()))?;
        let parent = self.dir(path.parent().unwrap_or(Path::new("/")))?;
        match unlinkat(&parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(naming(error.into())),
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = openat(&parent, name, flags, Mode::RUSR)
            .map(File::from)
            .map_err(|errno| naming(errno.into()))?;
        file.write_all(contents)
            .and_then(|()| file.set_permissions(Permissions::from_mode(permissions & 0o7777)))
            .and_then(|()| std::os::unix::fs::fchown(&file, Some(self.owner), Some(self.owner)))
            .map_err(naming)?;
        Ok(file.into())
    }

    fn open(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
        openat2(
            &self.root,
            path,
            flags,
            Mode::empty(),
            ResolveFlags::IN_ROOT,
        )
    }
}

/// Lets everybody pass through a folder, which does not let them list it.
fn make_passable(folder: &OwnedFd) -> io::Result<()> {
    let path = proc_path(folder);
    let mode = fs::metadata(&path)?.mode() & 0o7777;
    if mode & 0o001 != 0 {
        return Ok(());
    }
    match fs::set_permissions(&path, Permissions::from_mode(mode | 0o011)) {
        // Inside a read-only bind the folder stays as its owner wanted it.
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(()),
        result => result,
    }
}

/// Detaches what the host has mounted from the namespace of this process: each container would get
/// a copy of it, to be taken down again, and none needs it.
fn forget_mounts() {
    let text = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let targets = text.lines().filter_map(|line| line.split(' ').nth(1));
    let mut targets: Vec<_> = targets.filter(|path| !KEPT_MOUNTS.contains(path)).collect();
    // The last is on top.
    targets.reverse();
    for target in targets {
        // What has gone with its parent, or is covered, cannot be found again; what stays costs
        // time and nothing else, since a container sees its own root only.
        let _ = unmount(
            unescaped(target),
            UnmountFlags::DETACH | UnmountFlags::NOFOLLOW,
        );
    }
}

/// Decodes a path of the kernel's list of mounts, where `\040` stands for a blank.
fn unescaped(path: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| byte == b'\\');
        let code = code.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        rest = if code.is_some() { &after[3..] } else { after };
        bytes.push(code.unwrap_or(byte));
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// Opens a source for good, without leave to read or write it by that alone.
fn open_path(source: &Path) -> Result<OwnedFd, Failure> {
    let naming = |error: io::Error| format!("use `{}`: {error}", source.display());
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let opened = openat(CWD, source, flags, Mode::empty()).map_err(|errno| naming(errno.into()))?;
    sys::keep(opened.as_fd()).map_err(naming)
}

/// Returns a detached, read-only copy of the mount at `source`, with ids shifted if asked.
fn view(source: &Path, shift: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Failure> {
    let naming = |error: io::Error| format!("use `{}`: {error}", source.display());
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let copy = open_tree(CWD, source, flags).map_err(|error| naming(error.into()))?;
    sys::restrict_mount(copy.as_fd(), shift).map_err(naming)?;
    Ok(copy)
}

fn attach(view: &OwnedFd, target: &Path) -> Result<(), Failure> {
    move_mount(
        view,
        "",
        CWD,
        target,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
    .map_err(step(format_args!("attach `{}`", target.display())))
}

/// Mounts an overlay. The lower layers are folders of ours, and the other names are relative to the
/// container's own folder, so that no host path appears in an option.
fn overlay(lower: &str, upper: &str, work: &str, target: &Path) -> Result<(), Failure> {
    make_dir(&Path::new(CONTAINER).join(work))?;
    let options = format!(
        "lowerdir={lower},upperdir={CONTAINER}/{upper},workdir={CONTAINER}/{work},{OVERLAY_OPTIONS}"
    );
    let flags = MountFlags::NODEV | MountFlags::NOSUID;
    mount_new("overlay", target, flags, &options)
}

fn tmpfs(target: &str, options: &str) -> Result<(), Failure> {
    let flags = MountFlags::NODEV | MountFlags::NOSUID;
    mount_new("tmpfs", Path::new(target), flags, options)
}

pub(super) fn mount_new(
    kind: &str,
    target: &Path,
    flags: MountFlags,
    options: &str,
) -> Result<(), Failure> {
    mount(
        kind,
        target,
        kind,
        flags,
        Some(CString::new(options).map_err(step("mount"))?.as_c_str()),
    )
    .map_err(step(format_args!("mount a file system `{kind}`")))
}

pub(super) fn make_dir(path: &Path) -> Result<(), Failure> {
    fs::create_dir(path).map_err(step(format_args!("make `{}`", path.display())))
}

fn make_file(path: &Path) -> Result<(), Failure> {
    fs::write(path, "").map_err(step(format_args!("make `{}`", path.display())))
}

/// Returns the path that leads to an open file.
fn resolved(file: &OwnedFd) -> Result<PathBuf, Failure> {
    fs::read_link(proc_path(file)).map_err(step("resolve a path"))
}

pub(super) fn proc_path(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn normal(component: Component<'_>) -> Option<&std::ffi::OsStr> {
    match component {
        Component::Normal(name) => Some(name),
        Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_decoded() {
        assert_eq!(unescaped("/a"), Path::new("/a"));
        assert_eq!(unescaped(r"/a\040b\134"), Path::new("/a b\\"));
        assert_eq!(unescaped(r"/a\04"), Path::new(r"/a\04"));
        assert_eq!(unescaped(r"/a\999"), Path::new(r"/a\999"));
    }
}
