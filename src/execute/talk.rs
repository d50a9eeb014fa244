//! A container under way and its pipes: follows one process after the other, enforces the limits of time. What the
//! records mean is for the [`Follower`].

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::unix::pipe,
    sync::watch,
    time::Instant,
};

use super::{
    Capped, Recorder, Stop,
    segment::{Follower, Killed, Outlets, Report, Request},
};
use crate::{
    container::{ContainerEnd, HostError, Launch, Running, Slot},
    model::{Exit, Interruption, Usage},
    store::StoreError,
};

/// Is another process to follow in the same container?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The container goes on for another process, whose records follow in the same pipe.
    Earlier,
    /// The container ends with it.
    Last,
}

/// A container under way: it runs one process, or several one after the other.
pub(super) struct Talk<'slot> {
    running: Running<'slot>,
    results: pipe::Receiver,
    output: pipe::Receiver,
    results_open: bool,
    output_open: bool,
    buffer: Vec<u8>,
    /// Records that came after the end of the process that was followed.
    pending: Vec<u8>,
    log: Capped,
    ended: Option<Result<ContainerEnd, HostError>>,
    /// Since when the next process is awaited: an earlier one may hang after its last record.
    awaited: Option<Instant>,
}

impl<'slot> Talk<'slot> {
    /// Starts a container; `room` bytes of its output are kept.
    pub(super) async fn start(
        slot: &'slot mut Slot,
        launch: &Launch,
        room: usize,
    ) -> Result<Self, HostError> {
        let mut running = slot.start(launch).await?;
        Ok(Self {
            results: running.results().expect("nobody took it before"),
            output: running.output().expect("nobody took it before"),
            running,
            results_open: true,
            output_open: true,
            buffer: vec![0; 65_536],
            pending: Vec::new(),
            log: Capped::new(room),
            ended: None,
            awaited: None,
        })
    }

    /// Follows one process to its end: that of its container, unless another is to come.
    ///
    /// # Errors
    /// Only the store's: the record is broken. Trouble with the host is a segment that ended as `infra`.
    pub(super) async fn follow<R: Recorder>(
        &mut self,
        request: &Request<'_>,
        outlets: &Outlets<'_, R>,
        place: Place,
    ) -> Result<Report, StoreError> {
        let mut stop = outlets.stop.clone();
        let began = Instant::now();
        let mut output_buffer = vec![0; 65_536];
        let mut follower = Follower::new(request, outlets);
        let mut killed = None;
        let came = std::mem::take(&mut self.pending);
        if !came.is_empty() {
            self.awaited = None;
        }
        self.take(&came, &mut follower, place).await?;
        // After the container's end the pipes hold what it still said; only then are they read to their ends.
        while self.ended.is_none() || self.results_open || self.output_open {
            if place == Place::Earlier
                && killed.is_none()
                && let Some(exit) = follower.goes_on()
            {
                self.awaited = Some(Instant::now());
                return Ok(follower.report(
                    None,
                    &Ok(earlier_end(exit)),
                    Capped::new(0),
                    Instant::now(),
                ));
            }
            let (limit, what) = follower.deadline(began, self.awaited);
            let over = self.ended.is_some();
            tokio::select! {
                // What the runner has said comes before our limits; nobody's chatter comes before either.
                biased;
                read = read_some(&mut self.results, &mut self.buffer, &mut self.results_open), if self.results_open => {
                    let bytes = std::mem::take(&mut self.buffer);
                    self.awaited = None;
                    let taken = self.take(&bytes[..read], &mut follower, place).await;
                    self.buffer = bytes;
                    if let Err(broken) = taken {
                        self.running.kill().await.ok();
                        return Err(broken);
                    }
                    if follower.untrusted && killed.is_none() && !over {
                        self.running.kill().await.ok();
                    }
                }
                () = tokio::time::sleep_until(limit), if killed.is_none() && !over => {
                    killed = Some(what);
                    self.running.kill().await.ok();
                }
                why = aborted(&mut stop), if killed.is_none() && !over => {
                    killed = Some(Killed::Stopped(why));
                    self.running.kill().await.ok();
                }
                end = self.running.wait(), if !over => self.ended = Some(end),
                read = read_some(&mut self.output, &mut output_buffer, &mut self.output_open), if self.output_open => {
                    self.log.push(&output_buffer[..read]);
                }
            }
        }
        let now = Instant::now();
        let ended = self
            .ended
            .take()
            .expect("the loop ends after the container");
        let log = std::mem::replace(&mut self.log, Capped::new(0));
        Ok(follower.report(killed, &ended, log, now))
    }

    /// Hands bytes to the process that is followed; what comes after its end is for the next one.
    async fn take<R: Recorder>(
        &mut self,
        mut bytes: &[u8],
        follower: &mut Follower<'_, R>,
        place: Place,
    ) -> Result<(), StoreError> {
        if place == Place::Last {
            return follower.take(bytes).await;
        }
        while !bytes.is_empty() {
            if follower.goes_on().is_some() {
                self.pending.extend_from_slice(bytes);
                break;
            }
            let line = bytes.iter().position(|byte| *byte == b'\n');
            let (now, later) = bytes.split_at(line.map_or(bytes.len(), |end| end + 1));
            follower.take(now).await?;
            bytes = later;
        }
        Ok(())
    }
}

/// The end of a process whose container goes on. What it used is counted with the last one.
fn earlier_end(exit: u8) -> ContainerEnd {
    ContainerEnd {
        exit: Exit::Code(exit),
        started: true,
        usage: Usage::default(),
        setup: Duration::ZERO,
        log: String::new(),
        left: None,
    }
}

/// Reads the next bytes; an error of a pipe is its end.
async fn read_some(
    source: &mut (impl AsyncRead + Unpin),
    buffer: &mut [u8],
    open: &mut bool,
) -> usize {
    let read = source.read(buffer).await.unwrap_or(0);
    *open = read > 0;
    read
}

/// Waits until the hunt is aborted; for ever when its owner has gone without a word.
async fn aborted(stop: &mut watch::Receiver<Stop>) -> Interruption {
    loop {
        if let Stop::Aborting(why) = *stop.borrow_and_update() {
            return why;
        }
        if stop.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
