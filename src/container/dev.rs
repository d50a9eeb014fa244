//! The `/dev` of containers: one read-only folder per slot, with terminals and shared memory that are
//! fresh in each container.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountFlags, mount_remount};

use super::rootfs::{Failure, make_dir, mount_new, step};

/// What containers get as `/dev`, read-only.
pub(super) const DEV: &str = "/run/dev";

/// Devices that any container may use: name, major and minor number.
const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// Links that programs expect in `/dev`.
const DEV_LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Group `tty`, to which new terminals belong on every distribution.
const TTY_GROUP: u32 = 5;

/// Makes the `/dev` that all containers of the slot share.
pub(super) fn make(base: u32) -> Result<(), Failure> {
    let dev = Path::new(DEV);
    make_dir(dev)?;
    let quiet = MountFlags::NOSUID | MountFlags::NOEXEC;
    // The other tmpfs mounts let no device be used.
    mount_new("tmpfs", dev, quiet, "mode=0755,size=64k")?;
    let fill = || -> io::Result<()> {
        for (name, major, minor) in DEVICES {
            let path = dev.join(name);
            let number = makedev(major, minor);
            mknodat(CWD, &path, FileType::CharacterDevice, Mode::empty(), number)?;
            fs::set_permissions(&path, Permissions::from_mode(0o666))?;
            chown(&path, Some(base), Some(base))?;
        }
        for (name, target) in DEV_LINKS {
            symlink(target, dev.join(name))?;
        }
        for folder in ["pts", "shm"] {
            fs::create_dir(dev.join(folder))?;
        }
        chown(dev, Some(base), Some(base))?;
        Ok(mount_remount(
            dev,
            MountFlags::BIND | MountFlags::RDONLY | quiet,
            c"",
        )?)
    };
    fill().map_err(step("fill `/dev`"))
}

/// Mounts terminals of a container's own at `folder`.
pub(super) fn mount_terminals(folder: &Path, base: u32) -> Result<(), Failure> {
    let group = base + TTY_GROUP;
    let options = format!("newinstance,gid={group},mode=0620,ptmxmode=0666,max=256");
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount_new("devpts", folder, flags, &options)
}
