//! Where a replay runs: in containers like a hunt, or on this machine itself.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::{local::Local, resolve::Target};
use crate::{
    cli::ReplayArgs,
    command::{
        Context,
        session::{Listed, Session},
        stopping::Stopping,
    },
    config::Settings,
    error::{ExitCode, Failure},
    execute::{Assignment, MemoryRecorder, Of, Probing, RecordedShard, ShardEnd, Worker},
    plan::Tests,
};

/// Containers, or this machine.
pub(super) enum Place {
    Container(Box<Listed>),
    Local(Local),
}

impl Place {
    /// Makes the place ready and lists the suite there.
    ///
    /// # Errors
    /// [`Failure`]: 125 when the suite does not list, so that a bisection skips such a commit.
    pub(super) async fn prepare(
        context: &Context,
        arguments: &ReplayArgs,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let console = &context.console;
        let unlisted = |failure: Failure| {
            if failure.exit() == ExitCode::Suite {
                failure.with_exit(ExitCode::Inconclusive)
            } else {
                failure
            }
        };
        if arguments.local {
            console.warn(
                "without a container: no limits, no isolation from this machine or from earlier \
                 repetitions, and the project is run where it is",
            );
            return Local::prepare(context, settings)
                .map(Self::Local)
                .map_err(unlisted);
        }
        let session = Session::prepare(context, settings).await?;
        let listed = session.list(console).await.map_err(unlisted)?;
        Ok(Self::Container(Box::new(listed)))
    }

    /// Returns the suite's tests.
    pub(super) fn tests(&self) -> &Arc<Tests> {
        match self {
            Self::Container(listed) => &listed.tests,
            Self::Local(local) => &local.tests,
        }
    }

    /// Runs the order once; `None` when we were stopped. `predicted` is how long that should take.
    ///
    /// # Errors
    /// [`Failure`]: 153 when the container did not run, 125 when the suite does not collect.
    pub(super) async fn run(
        &mut self,
        target: &Target,
        predicted: Duration,
        stopping: &Stopping,
    ) -> Result<Option<RecordedShard>, Failure> {
        let listed = match self {
            Self::Local(local) => return local.run(target).map(Some),
            Self::Container(listed) => listed,
        };
        let recorder = MemoryRecorder::default();
        let (events, mut heard) = mpsc::channel(1024);
        let rig = Arc::clone(&listed.session.rig);
        let stop = stopping.stop.subscribe();
        let mut worker = Worker::new(0, rig, None, recorder.clone(), events, stop);
        let mut before = target.processes.clone();
        let order = before.pop().unwrap_or_default();
        let several = !before.is_empty() || !target.beside.is_empty();
        let assignment = Assignment {
            shard: 0,
            attempts: 0,
            order,
            of: Of::Suite,
            probe: several.then(|| Probing {
                before,
                beside: target.beside.clone(),
                list_changes: false,
            }),
            cause: None,
            predicted,
            factors: target.variables.clone(),
            seed32: target.seed32,
        };
        let running = async {
            let end = worker.run(assignment).await;
            drop(worker);
            end
        };
        let (end, ()) = tokio::join!(running, async { while heard.recv().await.is_some() {} });
        let shard = recorder.take();
        match end? {
            ShardEnd::Done => Ok(Some(shard)),
            ShardEnd::Interrupted => Ok(None),
            ShardEnd::HostFailed => Err(Failure::new(
                ExitCode::Containers,
                reason(shard).unwrap_or_else(|| "the container did not run".to_owned()),
            )
            .hint("`soakhound doctor` says what is missing")),
            ShardEnd::Uncollected => Err(Failure::new(
                ExitCode::Inconclusive,
                format!(
                    "the suite does not collect:\n{}",
                    reason(shard).unwrap_or_default()
                ),
            )),
        }
    }
}

/// Why the last segment ended as it did.
fn reason(recorded: RecordedShard) -> Option<String> {
    recorded
        .segments
        .into_iter()
        .filter_map(|(_, close)| close?.reason)
        .next_back()
}
