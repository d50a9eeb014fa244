//! The owner's side of a slot: one process that makes containers one after the other.
//!
//! It decides nothing about time: a caller that wants a deadline calls [`Running::kill`].

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, pidfd_send_signal};
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

use super::cgroup::{Cgroup, KILL_INTERVAL};
use super::spec::ID_COUNT;
use super::wire::{self, Answer, Report, Request, Setup};
use super::{HostError, ImageSpec, Launch, Left, RunDir, Rung, Spawner};
use crate::model::{Clock as _, Exit, MonoMicros, SystemClock, Usage};

/// How long a container may take to leave when told to. PID 1 leaves within milliseconds; only a
/// machine that hardly schedules it needs more, and then SIGKILL does the same without its word.
const LEAVE_PATIENCE: Duration = Duration::from_millis(500);

/// How often dying processes are looked at before their death is left to the kernel: two seconds.
const KILL_LOOKS: u32 = 1_000;

/// First host user id of the ranges that containers get: far above what accounts and
/// `/etc/subuid` usually hold.
const FIRST_ID: u32 = 1_000_000_000;

/// A place for one container at a time; dropping it leaves nothing behind.
#[derive(Debug)]
pub struct Slot {
    // In the order of their end: the process, what it left in its cgroup, the run itself.
    process: Option<Process>,
    cgroup: Cgroup,
    spawner: Spawner,
    name: String,
    base: u32,
    image: Arc<ImageSpec>,
    rung: Rung,
    _run: RunDir,
}

/// The slot's process; dropping it kills and reaps it.
#[derive(Debug)]
struct Process {
    child: Child,
    socket: UnixStream,
}

/// A container that was asked for. Dropping it before its end kills it, and the slot's process with it.
#[derive(Debug)]
pub struct Running<'slot> {
    slot: &'slot mut Slot,
    /// Stops the container at SIGTERM; `None` until the slot's process has forked it.
    container: Option<OwnedFd>,
    results: Option<pipe::Receiver>,
    output: Option<pipe::Receiver>,
    asked: MonoMicros,
    killed: bool,
    end: Option<ContainerEnd>,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerEnd {
    /// How the command ended. 127 and 126 with `started` false: it could not be executed, and the
    /// output says why. Signal 9 also stands for a command that died with its container.
    pub exit: Exit,
    /// Did the command begin to run?
    pub started: bool,
    /// What the container used.
    pub usage: Usage,
    /// Time from the request until the command ran, or until the end if it never did.
    pub setup: Duration,
    /// What liblxc had to say, capped; usually empty.
    pub log: String,
    /// What the command left behind, at most [`MOST_LEFT`](super::MOST_LEFT) paths; `None` unless the launch asked,
    /// and for a container that was killed in an instant.
    pub left: Option<Vec<Left>>,
}

impl Slot {
    /// Starts the process of slot `index`, and prepares what all its containers share.
    ///
    /// The index is part of every name, and must be used once at a time in a run.
    ///
    /// # Errors
    /// [`HostError`] when containers cannot run here or the image cannot be used.
    pub async fn spawn(
        spawner: &Spawner,
        run: &RunDir,
        index: u32,
        image: &ImageSpec,
        rung: Rung,
    ) -> Result<Self, HostError> {
        may_run()?;
        image.check()?;
        let name = run.slot_name(index);
        let mut slot = Self {
            process: None,
            cgroup: Cgroup::create(&name)?,
            spawner: spawner.clone(),
            name,
            base: id_range(index)?,
            image: Arc::new(image.clone()),
            rung,
            _run: run.clone(),
        };
        slot.process = Some(slot.start_process().await?);
        Ok(slot)
    }

    /// Returns what this machine cannot enforce or measure, in words for a person.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        self.cgroup.notes()
    }

    /// Starts a fresh container. Its command may not run yet when this returns.
    ///
    /// Cancel safe: a container that was already asked for is killed.
    ///
    /// # Errors
    /// [`HostError`] when the launch cannot be used, a limit cannot be set or the host is in trouble.
    pub async fn start(&mut self, launch: &Launch) -> Result<Running<'_>, HostError> {
        let (output, output_in) = self.pipe()?;
        let mut running = self.start_with(launch, output_in).await?;
        running.output = Some(output);
        Ok(running)
    }

    /// Starts a fresh container whose command has `terminal`, the lower end of a pseudo-terminal, as
    /// its controlling terminal and its standard streams. Otherwise as [`Slot::start`].
    ///
    /// # Errors
    /// As [`Slot::start`].
    pub async fn start_on(
        &mut self,
        launch: &Launch,
        terminal: OwnedFd,
    ) -> Result<Running<'_>, HostError> {
        self.hand_over(&terminal)?;
        self.start_with(launch, terminal).await
    }

    async fn start_with(
        &mut self,
        launch: &Launch,
        output_in: OwnedFd,
    ) -> Result<Running<'_>, HostError> {
        launch.check()?;
        if self.process.is_none() {
            self.process = Some(self.start_process().await?);
        }
        self.cgroup.limit(&launch.limits)?;
        self.cgroup.begin();
        let (results, results_in) = self.pipe()?;
        let job = wire::sealed("job", &launch.job).map_err(HostError::slot("hand over the job"))?;
        let mut running = Running {
            slot: self,
            container: None,
            results: Some(results),
            output: None,
            asked: SystemClock.mono(),
            killed: false,
            end: None,
        };
        let process = running.slot.process()?;
        let fds = [results_in.as_fd(), job.as_fd(), output_in.as_fd()];
        process.send(&Request::Start(launch.into()), &fds)?;
        drop((results_in, output_in));
        match process.receive().await? {
            Some((Answer::Forked, fds)) => running.container = fds.into_iter().next(),
            Some((Answer::Ended(report), _)) => {
                let refusal = report.failure.unwrap_or_default();
                running.end = Some(running.finish(Report::default()));
                return Err(HostError::Start {
                    message: refusal,
                    log: report.log,
                });
            }
            Some((Answer::Ready | Answer::Unfit(_), _)) | None => {
                return Err(HostError::SlotDied {
                    during: "while it started a container",
                });
            }
        }
        Ok(running)
    }

    async fn start_process(&self) -> Result<Process, HostError> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(HostError::slot("make a socket"))?;
        rustix::io::ioctl_fionbio(&ours, true).map_err(HostError::slot("make a socket"))?;
        // The runtime asks only when it can be read, so that the type of the stream does not matter.
        let socket =
            UnixStream::from_std(ours.into()).map_err(HostError::slot("watch a socket"))?;
        let process = Process {
            child: self.spawner.spawn(theirs).await?,
            socket,
        };
        let setup = Setup {
            image: (*self.image).clone(),
            rung: self.rung,
            name: self.name.clone(),
            cgroups: self.cgroup.folders().to_vec(),
            base: self.base,
        };
        process.send(&Request::Setup(Box::new(setup)), &[self.spawner.program()])?;
        match process.receive().await? {
            Some((Answer::Ready, _)) => Ok(process),
            Some((Answer::Unfit(message), _)) => Err(HostError::Setup { message }),
            Some((Answer::Forked | Answer::Ended(_), _)) | None => Err(HostError::SlotDied {
                during: "while it was set up",
            }),
        }
    }

    fn process(&self) -> Result<&Process, HostError> {
        self.process.as_ref().ok_or(HostError::SlotDied {
            during: "before it could be used",
        })
    }

    /// Makes a pipe whose write end the command may also open by name, as `/dev/stdout`.
    fn pipe(&self) -> Result<(pipe::Receiver, OwnedFd), HostError> {
        let (out, into) = pipe_with(PipeFlags::CLOEXEC).map_err(HostError::slot("make a pipe"))?;
        self.hand_over(&into)?;
        rustix::io::ioctl_fionbio(&out, true).map_err(HostError::slot("make a pipe"))?;
        let out = pipe::Receiver::from_owned_fd(out).map_err(HostError::slot("watch a pipe"))?;
        Ok((out, into))
    }

    /// Makes the command's user the owner of what it writes to.
    fn hand_over(&self, fd: &OwnedFd) -> Result<(), HostError> {
        let base = if self.rung.maps_ids() { self.base } else { 0 };
        let (uid, gid) = (base + self.image.uid, base + self.image.gid);
        std::os::unix::fs::fchown(fd, Some(uid), Some(gid))
            .map_err(HostError::slot("hand over a descriptor"))
    }

    /// Ends the process and everything in the cgroup; the next start begins with a new process.
    fn abandon(&mut self) {
        let began = Instant::now();
        // First the group, which may be frozen: a frozen process would not die, only be waited for.
        while !self.cgroup.kill_once() && began.elapsed() < LEAVE_PATIENCE {
            std::thread::sleep(KILL_INTERVAL);
        }
        self.process = None;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl Process {
    fn send(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<(), HostError> {
        wire::send(self.socket.as_fd(), request, fds).map_err(HostError::slot("send a message"))
    }

    /// Cancel safe: a message is taken whole or not at all.
    async fn receive<T: DeserializeOwned>(&self) -> Result<Option<(T, Vec<OwnedFd>)>, HostError> {
        loop {
            self.socket
                .readable()
                .await
                .map_err(HostError::slot("watch a socket"))?;
            let message = || wire::receive(self.socket.as_fd());
            match self.socket.try_io(Interest::READABLE, message) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                message => return message.map_err(HostError::slot("receive a message")),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it is gone and reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running<'_> {
    /// Returns the read end of what the command writes to descriptor 3; `None` the second time.
    pub fn results(&mut self) -> Option<pipe::Receiver> {
        self.results.take()
    }

    /// Returns the read end of the command's standard output and error; `None` the second time, and
    /// for a command on a terminal.
    pub fn output(&mut self) -> Option<pipe::Receiver> {
        self.output.take()
    }

    /// Waits until the container is gone, with everything in it. A pipe that nobody reads may keep
    /// the command from ending.
    ///
    /// Cancel safe; asked again, it returns the same end.
    ///
    /// # Errors
    /// [`HostError::Start`] when the command never got a container to run in, and
    /// [`HostError::SlotDied`] when the slot's process was killed by somebody else.
    pub async fn wait(&mut self) -> Result<ContainerEnd, HostError> {
        if let Some(end) = &self.end {
            return Ok(end.clone());
        }
        let report = match self.slot.process()?.receive().await? {
            Some((Answer::Ended(report), _)) => report,
            Some((Answer::Ready | Answer::Unfit(_) | Answer::Forked, _)) | None => {
                self.slot.abandon();
                return Err(HostError::SlotDied {
                    during: "while a container ran",
                });
            }
        };
        let never_ran = report.started_us.is_none() && report.wait_status.is_none();
        let (message, log) = (report.failure.clone(), report.log.clone());
        let end = self.finish(report);
        self.end = Some(end.clone());
        if never_ran && !self.killed {
            let message = message.unwrap_or_else(|| "its first process was killed".to_owned());
            return Err(HostError::Start { message, log });
        }
        Ok(end)
    }

    /// Kills the container with everything in it, and waits until it is gone.
    ///
    /// [`Running::wait`] then returns its end: signal 9 unless the command was faster.
    ///
    /// # Errors
    /// [`HostError`] when the host is in trouble; the container is dead all the same.
    pub async fn kill(&mut self) -> Result<(), HostError> {
        if self.end.is_some() {
            return Ok(());
        }
        self.killed = true;
        if let Some(container) = &self.container {
            // Fails only when it is gone, which the wait below sees.
            let _ = pidfd_send_signal(container, Signal::TERM);
        }
        match tokio::time::timeout(LEAVE_PATIENCE, self.wait()).await {
            Ok(Err(HostError::SlotDied { .. })) | Err(_) => {}
            Ok(ended) => return ended.map(drop),
        }
        for _ in 0..KILL_LOOKS {
            if self.slot.cgroup.kill_once() {
                break;
            }
            tokio::time::sleep(KILL_INTERVAL).await;
        }
        self.slot.process = None;
        self.end = Some(self.finish(Report {
            started_us: Some(self.asked.0),
            ..Report::default()
        }));
        Ok(())
    }

    fn finish(&self, report: Report) -> ContainerEnd {
        let ran = report
            .started_us
            .map_or_else(|| SystemClock.mono(), MonoMicros);
        ContainerEnd {
            exit: report.wait_status.map_or(Exit::Signal(9), exit),
            started: report.started_us.is_some(),
            usage: Usage {
                stragglers: report.stragglers,
                ..self.slot.cgroup.used()
            },
            setup: ran.since(self.asked),
            log: report.log,
            left: report.left,
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.end.is_none() {
            self.slot.abandon();
        }
    }
}

/// Checks what no container can do without: liblxc in this build, and root.
///
/// # Errors
/// [`HostError::NotBuilt`] or [`HostError::NotRoot`].
pub fn may_run() -> Result<(), HostError> {
    if cfg!(not(feature = "lxc")) {
        return Err(HostError::NotBuilt);
    }
    let uid = rustix::process::geteuid();
    if !uid.is_root() {
        return Err(HostError::NotRoot { uid: uid.as_raw() });
    }
    Ok(())
}

/// Decodes a wait status.
fn exit(status: i32) -> Exit {
    let [low, code, ..] = status.to_le_bytes();
    let signal = low & 0x7f;
    if signal == 0 {
        Exit::Code(code)
    } else {
        Exit::Signal(signal)
    }
}

/// Returns the first host id of a slot's range: the `index`th block that no account delegates.
fn id_range(index: u32) -> Result<u32, HostError> {
    let text: String = ["/etc/subuid", "/etc/subgid"]
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap_or_default() + "\n")
        .collect();
    free_block(&text, index).ok_or_else(|| {
        HostError::slot("find unused user ids")(io::Error::other("the slot's number is too high"))
    })
}

fn free_block(delegated: &str, index: u32) -> Option<u32> {
    let taken: Vec<(u64, u64)> = delegated
        .lines()
        .filter_map(|line| {
            let mut words = line.split(':').skip(1).map(str::parse::<u64>);
            let (first, count) = (words.next()?.ok()?, words.next()?.ok()?);
            Some((first, first.saturating_add(count)))
        })
        .collect();
    (FIRST_ID..u32::MAX - ID_COUNT)
        .step_by(ID_COUNT as usize)
        .filter(|block| {
            let (first, end) = (u64::from(*block), u64::from(*block) + u64::from(ID_COUNT));
            taken
                .iter()
                .all(|(low, high)| end <= *low || *high <= first)
        })
        .nth(index as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_statuses_become_codes_and_signals() {
        assert_eq!(exit(0x0700), Exit::Code(7));
        assert_eq!(exit(0xff00), Exit::Code(255));
        assert_eq!(exit(0x008b), Exit::Signal(11), "with a core dump");
    }

    #[test]
    fn id_ranges_avoid_what_accounts_delegate_and_each_other() {
        assert_eq!(free_block("", 0), Some(FIRST_ID));
        let taken = "lead:100000:65536\nsomebody:1000000001:10\nodd line\n";
        assert_eq!(free_block(taken, 0), Some(FIRST_ID + ID_COUNT));
        assert_eq!(free_block(taken, 1), Some(FIRST_ID + 2 * ID_COUNT));
        assert_eq!(free_block("", u32::MAX), None);
    }
}
