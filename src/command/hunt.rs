//! `hunt`: the soak loop. Resumes or begins, dispatches the stream, says what was seen.

mod analysis;
mod desk;
mod evidence;
mod hooks;
mod news;
mod opening;
mod soak;
mod source;

pub(super) use opening::{lease, recorded_config, register};

use self::{
    opening::{Goal, Opened, open},
    soak::{dispatch, prune},
};
use super::{
    Context,
    stopping::{Ending, Stopping, block_on},
    summary,
    tally::Tally,
};
use crate::{
    cli::HuntArgs,
    config::Settings,
    error::{ExitCode, Failure},
    execute::{Dispatched, Stop},
    model::{Clock, HuntState, SystemClock},
    store::{OpenOptions, Writer},
    ui::text,
};

/// Hunts until the goal, the deadline or a signal.
///
/// # Errors
/// [`Failure`] with the exit code of what went wrong.
pub(super) fn run(
    context: &Context,
    arguments: &HuntArgs,
    settings: &Settings,
) -> Result<ExitCode, Failure> {
    block_on(hunt(context, arguments, settings))
}

async fn hunt(
    context: &Context,
    arguments: &HuntArgs,
    settings: &Settings,
) -> Result<ExitCode, Failure> {
    let clock = SystemClock;
    let goal = Goal::of(arguments, clock.now());
    let console = &context.console;
    let stopping = Stopping::listen(context.interrupts, goal.deadline, console)?;
    let (writer, report) = Writer::open(&settings.store.path, &OpenOptions::at(clock.now()))?;
    if let Some(died) = &report.died {
        console.note(&format!(
            "process {} died while it hunted; its finished tests are kept",
            died.pid
        ));
    }
    let outcome = with_store(context, arguments, settings, &goal, &stopping, &writer).await;
    let closed = writer.shutdown().await;
    let code = outcome?;
    closed?;
    Ok(code)
}

async fn with_store(
    context: &Context,
    arguments: &HuntArgs,
    settings: &Settings,
    goal: &Goal,
    stopping: &Stopping,
    writer: &Writer,
) -> Result<ExitCode, Failure> {
    let opened = open(context, arguments, settings, goal, stopping, writer).await?;
    let Some(opened) = opened else {
        return Ok(ExitCode::Fine);
    };
    let Opened {
        hunt,
        mut stream,
        listed,
        reader,
        status,
    } = opened;
    let mut tally = Tally::resumed(&status);
    let dispatched = dispatch(
        context,
        settings,
        goal,
        stopping,
        writer,
        &hunt,
        listed,
        &mut stream,
        &mut tally,
    )
    .await;
    let (dispatched, disk) = match dispatched {
        Ok(dispatched) => dispatched,
        Err(failure) => {
            let (state, why) = (HuntState::Failed, Some(failure.message()));
            let now = SystemClock.now();
            if let Err(error) = writer.set_hunt_state(hunt.id, state, why, now).await {
                tracing::warn!(%error, "end of the hunt not recorded");
            }
            return Err(failure);
        }
    };
    let done = goal
        .iterations
        .is_some_and(|total| stream.open.counters.read().0 >= total);
    let (state, reason, code) = verdict(dispatched, stopping.ending(), done);
    let (state, reason, code) = if disk {
        (
            HuntState::Interrupted,
            "the disk is nearly full",
            ExitCode::Disk,
        )
    } else {
        (state, reason, code)
    };
    writer
        .set_hunt_state(hunt.id, state, Some(reason.to_owned()), SystemClock.now())
        .await?;
    prune(context, settings).await;
    summary::show(context, settings, &reader, hunt.id, arguments.json, reason)?;
    answer(settings, dispatched, disk, code)
}

/// What the process says at its end: what stopped a hunt against its will is an error.
fn answer(
    settings: &Settings,
    dispatched: Dispatched,
    disk: bool,
    code: ExitCode,
) -> Result<ExitCode, Failure> {
    match dispatched {
        _ if disk => Err(Failure::new(code, format!("less than {} are free for `{}`", text::size(settings.store.min_free), settings.store.path.display()))
            .hint("free some space and start the same command again: nothing that was recorded is lost")),
        Dispatched::HostBroken => Err(Failure::new(code, "containers failed on one shard after the other")
            .hint("`soakhound doctor` says what is missing; the reasons are in the view `segments` of the database")),
        Dispatched::Uncollected => Err(Failure::new(code, "the suite does not collect any more")
            .hint("the collection error is in the view `segments` of the database, column `reason`")),
        Dispatched::Exhausted | Dispatched::Stopped(_) => Ok(code),
    }
}

/// How the hunt stands after a dispatch, why, and what the process says about it.
fn verdict(
    dispatched: Dispatched,
    ending: Ending,
    done: bool,
) -> (HuntState, &'static str, ExitCode) {
    match dispatched {
        Dispatched::Exhausted if done => (
            HuntState::Finished,
            "all iterations are complete",
            ExitCode::Fine,
        ),
        Dispatched::Exhausted => (
            HuntState::Interrupted,
            "no layout fits into the time that is left",
            ExitCode::Fine,
        ),
        Dispatched::HostBroken => (HuntState::Failed, "containers failed", ExitCode::Containers),
        Dispatched::Uncollected => (
            HuntState::Failed,
            "the suite does not collect",
            ExitCode::Suite,
        ),
        Dispatched::Stopped(Stop::Aborting(_)) => {
            let reason = match ending {
                Ending::Deadline => "its time was up",
                Ending::Goal | Ending::Interrupt | Ending::Terminate => "aborted",
            };
            (HuntState::Interrupted, reason, ending.aborted())
        }
        Dispatched::Stopped(Stop::Running | Stop::Draining) => {
            (HuntState::Interrupted, "drained", ExitCode::Fine)
        }
    }
}
