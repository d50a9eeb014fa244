//! How a long command hears that it should stop: interrupts, SIGTERM, a deadline. Moves one [`Stop`] forward.

use std::{future::Future, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::Instant,
};

use super::Interrupts;
use crate::{
    error::{ExitCode, Failure},
    execute::Stop,
    model::Interruption,
    ui::Console,
};

/// How long a SIGTERM lets running shards finish: service managers kill after 90 s by default.
const TERM_GRACE: Duration = Duration::from_mins(1);

/// What ended a command that could be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing but its own goal.
    Goal,
    /// SIGINT, once or twice.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// Its time was up.
    Deadline,
}

impl Ending {
    /// The exit code when containers had to be killed for it.
    pub(super) fn aborted(self) -> ExitCode {
        match self {
            Self::Goal | Self::Deadline => ExitCode::Fine,
            Self::Interrupt => ExitCode::Interrupted,
            Self::Terminate => ExitCode::Terminated,
        }
    }
}

/// The two ends of the stop signal, and who moved it.
pub(super) struct Stopping {
    pub(super) stop: watch::Sender<Stop>,
    ending: watch::Receiver<Ending>,
}

impl Stopping {
    /// Starts to listen. SIGHUP is ignored from here on: a closed terminal does not end a night.
    ///
    /// # Errors
    /// When the signals cannot be caught.
    pub(super) fn listen(
        interrupts: Interrupts,
        deadline: Option<Instant>,
        console: &Console,
    ) -> Result<Self, Failure> {
        let broken = |error: &dyn std::error::Error| {
            Failure::new(ExitCode::Internal, format!("cannot catch signals: {error}"))
        };
        let mut counted = interrupts().map_err(|error| broken(&*error))?;
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| broken(&error))?;
        let mut hangup = signal(SignalKind::hangup()).map_err(|error| broken(&error))?;
        let (stop, _) = watch::channel(Stop::Running);
        let (tell, ending) = watch::channel(Ending::Goal);
        let (moved, console) = (stop.clone(), console.clone());
        tokio::spawn(async move {
            let (mut grace, mut late) = (None, false);
            loop {
                tokio::select! {
                    Ok(()) = counted.changed() => {
                        tell.send_replace(Ending::Interrupt);
                        if *counted.borrow_and_update() < 2 {
                            forward(&moved, Stop::Draining);
                            console.note("draining: running shards finish, no new ones start; Ctrl-C again aborts them");
                        } else {
                            forward(&moved, Stop::Aborting(Interruption::Abort));
                            console.note("aborting: containers are killed, what was finished is recorded");
                        }
                    }
                    Some(()) = terminate.recv() => {
                        tell.send_replace(Ending::Terminate);
                        forward(&moved, Stop::Draining);
                        grace.get_or_insert(Instant::now() + TERM_GRACE);
                        console.note("draining for at most 60 s after SIGTERM");
                    }
                    Some(()) = hangup.recv() => {}
                    () = at(grace) => {
                        grace = None;
                        forward(&moved, Stop::Aborting(Interruption::DrainGrace));
                    }
                    () = at(deadline), if !late => {
                        late = true;
                        if *tell.borrow() == Ending::Goal {
                            tell.send_replace(Ending::Deadline);
                        }
                        forward(&moved, Stop::Aborting(Interruption::Deadline));
                    }
                }
            }
        });
        Ok(Self { stop, ending })
    }

    /// Does what stands before the first shard, unless a stop comes first: then there is nothing to drain,
    /// the work is dropped with its container, and the answer is `None`.
    pub(super) async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Option<T>, Failure> {
        let mut stop = self.stop.subscribe();
        tokio::select! {
            done = work => done.map(Some),
            _ = stop.wait_for(|stop| *stop != Stop::Running) => Ok(None),
        }
    }

    /// Returns who stopped the command, so far.
    pub(super) fn ending(&self) -> Ending {
        *self.ending.borrow()
    }
}

/// Runs a command's async part on this thread: containers do the work, we only listen.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ExitCode::Internal, error))?
        .block_on(work)
}

/// Moves the stop signal on; it never goes back.
fn forward(stop: &watch::Sender<Stop>, to: Stop) {
    stop.send_if_modified(|now| {
        let on = to > *now;
        if on {
            *now = to;
        }
        on
    });
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_signal_never_goes_back() {
        let (stop, _) = watch::channel(Stop::Running);
        forward(&stop, Stop::Aborting(Interruption::Abort));
        forward(&stop, Stop::Draining);
        assert_eq!(*stop.borrow(), Stop::Aborting(Interruption::Abort));
    }
}
