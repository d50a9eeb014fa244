//! Who a container's users are on the host, and the user namespaces that shift the owners of files.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use rustix::process::{WaitOptions, waitpid};
use rustix::thread::UnshareFlags;

use super::rootfs::{Failure, step};
use super::spec::{ID_COUNT, ImageSpec, Tree};
use super::sys::{self, Fork};

/// Who the container's root is on the host, and whether files are shifted accordingly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    /// First host id of the container; 0 when ids are not mapped.
    pub(super) base: u32,
    /// Are the owners of files shifted by `base`?
    pub(super) shifted: bool,
}

/// Returns the user namespace that shows a tree's owner as the command's user.
pub(super) fn owner_map(base: u32, tree: &Tree, spec: &ImageSpec) -> Result<OwnedFd, Failure> {
    let owner = fs::metadata(&tree.source)
        .map_err(step(format_args!("use `{}`", tree.source.display())))?;
    user_namespace(&[
        swapped_map(base, owner.uid(), spec.uid),
        swapped_map(base, owner.gid(), spec.gid),
    ])
}

/// Maps every id of a container to the host's.
pub(super) fn plain_map(base: u32) -> String {
    format!("0 {base} {ID_COUNT}\n")
}

/// Maps as [`plain_map`] does, but for `owner`, who becomes `user`, and `user`, who becomes `owner`
/// where a container has such an id.
fn swapped_map(base: u32, owner: u32, user: u32) -> String {
    if owner == user {
        return plain_map(base);
    }
    let mut extents = vec![(owner, user, 1)];
    let mut swapped = vec![user];
    if owner < ID_COUNT {
        extents.push((user, owner, 1));
        swapped.push(owner);
    }
    swapped.sort_unstable();
    let mut kept_from = 0;
    for id in swapped.into_iter().chain([ID_COUNT]) {
        if id > kept_from {
            extents.push((kept_from, kept_from, id - kept_from));
        }
        kept_from = id + 1;
    }
    let lines: Vec<String> = extents
        .iter()
        .map(|(inside, shown, count)| format!("{inside} {} {count}\n", base + shown))
        .collect();
    lines.concat()
}

/// Makes a user namespace with these user and group maps. Its process lives only during this call.
pub(super) fn user_namespace(maps: &[String; 2]) -> Result<OwnedFd, Failure> {
    let naming = |error: io::Error| format!("make a user namespace: {error}");
    let (ready, made) = io::pipe().map_err(naming)?;
    let (wait, done) = io::pipe().map_err(naming)?;
    let child = match sys::fork().map_err(naming)? {
        Fork::Child => {
            drop((ready, done));
            let unshared =
                sys::unshare(UnshareFlags::NEWUSER).and_then(|()| (&made).write_all(b"m"));
            drop(made);
            // Ends when the parent drops its side.
            let _ = unshared.and_then(|()| (&wait).read(&mut [0]));
            sys::leave(0);
        }
        Fork::Parent(child) => child,
    };
    drop((made, wait));
    let namespace = (|| {
        (&ready).read_exact(&mut [0]).map_err(|_| {
            io::Error::new(io::ErrorKind::PermissionDenied, "the kernel refuses it")
        })?;
        let proc = PathBuf::from(format!("/proc/{}", child.as_raw_nonzero()));
        for (file, map) in ["uid_map", "gid_map"].iter().zip(maps) {
            fs::write(proc.join(file), map)?;
        }
        File::open(proc.join("ns/user"))
    })();
    drop(done);
    waitpid(Some(child), WaitOptions::empty()).map_err(|error| naming(error.into()))?;
    namespace.map(OwnedFd::from).map_err(naming)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_of_a_tree_and_the_user_change_places() {
        assert_eq!(swapped_map(500, 7, 7), "0 500 65536\n");
        assert_eq!(
            swapped_map(500, 0, 2),
            "0 502 1\n2 500 1\n1 501 1\n3 503 65533\n"
        );
        assert_eq!(
            swapped_map(500, 70_000, 0),
            "70000 500 1\n1 501 65535\n",
            "an owner that no container has"
        );
    }
}
