//! The few system calls of the slot's process that have no safe wrapper.
//!
//! All of them change the calling process as a whole, which is why none may be used by the owner.
#![expect(
    unsafe_code,
    reason = "fork, descriptors by number, and a mount call without wrapper"
)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::Pid;
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Descriptors that we keep begin here, so that the numbers below are free to be given away.
const KEPT: RawFd = 32;

/// Which process a fork returned in.
pub(super) enum Fork {
    Parent(Pid),
    Child,
}

/// Forks. The process must have one thread.
pub(super) fn fork() -> io::Result<Fork> {
    // SAFETY: the slot's process has a single thread, so that its copy may do anything.
    match unsafe { libc::fork() } {
        0 => Ok(Fork::Child),
        pid => Pid::from_raw(pid).filter(|_| pid > 0).map_or_else(
            || Err(io::Error::last_os_error()),
            |pid| Ok(Fork::Parent(pid)),
        ),
    }
}

/// Ends the process at once: no destructors, which in a forked copy belong to the original.
pub(super) fn leave(code: i32) -> ! {
    // SAFETY: ends the process; nothing is buffered.
    unsafe { libc::_exit(code) }
}

/// Lets SIGTERM wait until somebody asks for it; children inherit this.
pub(super) fn hold_back_term() -> io::Result<()> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set lives during the calls, and the first one fills it.
    let done = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut())
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Gives the process namespaces of its own.
pub(super) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: the unsafe part of unshare is a descriptor table taken from other threads; there are none.
    Ok(unsafe { unshare_unsafe(flags) }?)
}

/// Marks every descriptor from `first` on to close when a program is executed.
pub(super) fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: changes flags only, closes nothing.
    let done =
        unsafe { libc::close_range(first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed()) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Makes descriptor `number` a copy of `fd` that survives the execution of a program.
///
/// Whatever had that number is closed, so no owner of it may be used any more.
pub(super) fn place(fd: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
    // SAFETY: `fd` is open; the caller promises that nobody relies on `number`.
    let placed = unsafe { libc::dup2(fd.as_raw_fd(), number) };
    if placed == number {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Copies a descriptor out of the way of those that are given away by number.
pub(super) fn keep(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(fcntl_dupfd_cloexec(fd, KEPT)?)
}

/// Takes standard input, which is the slot's socket, out of the way of its children.
pub(super) fn take_stdin(null: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let socket = keep(io::stdin().as_fd())?;
    place(null, 0)?;
    Ok(socket)
}

/// Makes a detached mount read-only, and shifts its ids by a user namespace if one is given.
pub(super) fn restrict_mount(
    mount: BorrowedFd<'_>,
    shift: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let idmap = if shift.is_some() {
        libc::MOUNT_ATTR_IDMAP
    } else {
        0
    };
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY | idmap,
        attr_clr: 0,
        propagation: 0,
        userns_fd: shift.map_or(0, |fd| fd.as_raw_fd().cast_unsigned().into()),
    };
    // SAFETY: the empty path and the attributes outlive the call, and the size is theirs.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of_val(&attributes),
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
