//! The program of PID 1, embedded in ours and executed from memory.
//!
//! Its source is `init/main.rs`. A file on disk would be visible inside through `/proc/1/exe`, and
//! could be replaced; a sealed memfd cannot be written by anybody.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;

#[cfg(feature = "lxc")]
const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));
#[cfg(not(feature = "lxc"))]
const PROGRAM: &[u8] = &[];

/// Returns the program in a sealed memfd.
pub(super) fn program() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memfd = match memfd_create("soakhound-init", flags | MemfdFlags::EXEC) {
        // Kernels before 6.3 do not know the flag, and need none.
        Err(Errno::INVAL) => memfd_create("soakhound-init", flags)?,
        other => other?,
    };
    let mut file = File::from(memfd);
    file.write_all(PROGRAM)?;
    super::wire::seal(&file)?;
    Ok(file.into())
}
