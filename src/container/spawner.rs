//! The one thread that starts slot processes.
//!
//! A slot asks the kernel to be killed with its parent, and the kernel means the parent *thread*:
//! threads of an async runtime come and go, this one stays until its last slot is gone.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};

use tokio::sync::oneshot;

use super::{HostError, init};

/// Starts slot processes, all from one long-lived thread.
#[derive(Clone, Debug)]
pub struct Spawner {
    requests: mpsc::Sender<Request>,
    /// The program of PID 1: one copy in memory for all slots.
    program: Arc<OwnedFd>,
}

#[derive(Debug)]
struct Request {
    socket: OwnedFd,
    answer: oneshot::Sender<io::Result<Child>>,
}

impl Spawner {
    /// Starts the thread. `exe` is our own program, whose `__slot` subcommand runs
    /// [`slot_main`](super::slot_main); pass `/proc/self/exe`.
    ///
    /// # Errors
    /// [`HostError::Slot`] when the thread cannot start or memory is short.
    pub fn new(exe: impl Into<PathBuf>) -> Result<Self, HostError> {
        let exe = exe.into();
        let (requests, inbox) = mpsc::channel::<Request>();
        std::thread::Builder::new()
            .name("slot-spawner".to_owned())
            .spawn(move || {
                for request in inbox {
                    // Whoever asked may have gone; then the child ends with its socket.
                    if let Err(Ok(mut child)) = request.answer.send(start(&exe, request.socket)) {
                        let _ = child.wait();
                    }
                }
            })
            .map_err(HostError::slot("start the spawner"))?;
        let program = init::program().map_err(HostError::slot("prepare PID 1"))?;
        Ok(Self {
            requests,
            program: Arc::new(program),
        })
    }

    /// Returns the program of PID 1.
    pub(super) fn program(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }

    /// Starts a slot process whose standard input is `socket`.
    pub(super) async fn spawn(&self, socket: OwnedFd) -> Result<Child, HostError> {
        let (answer, child) = oneshot::channel();
        let gone = || io::Error::other("the spawner is gone");
        self.requests
            .send(Request { socket, answer })
            .map_err(|_| HostError::slot("start a process")(gone()))?;
        let child = child
            .await
            .map_err(|_| HostError::slot("start a process")(gone()))?;
        child.map_err(HostError::slot("start a process"))
    }
}

fn start(exe: &PathBuf, socket: OwnedFd) -> io::Result<Child> {
    Command::new(exe)
        .arg0("soakhound")
        .arg("__slot")
        .arg(OsString::from(std::process::id().to_string()))
        // As root, liblxc wants entries in /etc/subuid as soon as it finds `newuidmap`; without it,
        // it writes the maps itself. Nothing else of our environment concerns a slot.
        .env_clear()
        .env("PATH", "/nonexistent")
        // Functions of liblxc that are looked up now need not be looked up in each container's fork.
        .env("LD_BIND_NOW", "1")
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .spawn()
}
