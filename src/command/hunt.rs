//! `hunt`: the soak loop. Resumes or begins, dispatches iterations and probes, says what was seen and found.

mod analysis;
mod cage;
mod desk;
mod evidence;
mod herald;
mod hooks;
mod news;
mod opening;
mod soak;
mod source;

pub(super) use analysis::Glance;
pub(super) use evidence::Evidence;
pub(super) use opening::{lease, recorded_config, register};

use std::sync::Arc;

use self::{
    analysis::Analysis,
    cage::CageStart,
    desk::DeskStart,
    herald::{CanaryState, Herald, Voice},
    hooks::{Hook, Hooks},
    opening::{Goal, Opened, open},
    soak::{dispatch, prune},
    source::Mixed,
};
use super::{
    Context, factors,
    finding::read,
    flags,
    session::Listed,
    stopping::{Ending, Stopping, block_on},
    stream::Stream,
    summary,
    tally::Tally,
};
use crate::{
    cli::HuntArgs,
    config::Settings,
    diagnose::Policy,
    error::{ExitCode, Failure},
    execute::{Dispatched, Stop},
    model::{Clock, HuntState, SystemClock},
    store::{HuntRow, OpenOptions, Writer},
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
        stream,
        listed,
        reader,
        status,
    } = opened;
    let mut tally = Tally::resumed(&status);
    let known = reader.analysis(settings.suite.id)?;
    let canary = CanaryState::known(known.and_then(|row| row.canary));
    let cage = CageStart {
        suite: settings.suite.name.as_str().to_owned(),
        runner: listed.session.rig.runner,
        environment: listed.session.environment,
        lease: lease(settings),
        seeds: (stream.campaign.master, stream.campaign.nonce),
        database: settings.store.path.clone(),
        writer: writer.clone(),
        state: canary.clone(),
    };
    let voice = voice(context, arguments, settings);
    let analysis = analyse(settings, &hunt, &stream, &listed, voice, canary);
    let limit = arguments.probe_limit.unwrap_or(settings.hunt.probe_limit);
    let workers = settings.hunt.workers.get();
    let mut source = Mixed::new(stream, analysis, cage, limit, workers);
    let dispatched = dispatch(
        context,
        settings,
        goal,
        stopping,
        writer,
        &hunt,
        listed,
        &mut source,
        &mut tally,
    )
    .await;
    let complete = source.stream.open.counters.read().0;
    let (voice, closed) = source.close().await;
    let hooks = voice.expect("the suite's analysis has a voice").hooks;
    let ended = dispatched.and_then(|dispatched| {
        closed?;
        Ok(dispatched)
    });
    let (dispatched, disk) = match ended {
        Ok(ended) => ended,
        Err(failure) => {
            let (state, why) = (HuntState::Failed, Some(failure.message()));
            let now = SystemClock.now();
            if let Err(error) = writer.set_hunt_state(hunt.id, state, why, now).await {
                tracing::warn!(%error, "end of the hunt not recorded");
            }
            hooks
                .stop(|| news::failed(settings.suite.name.as_str(), hunt.id, &failure.message()))
                .await;
            return Err(failure);
        }
    };
    let done = goal.iterations.is_some_and(|total| complete >= total);
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
    let facts = summary::facts(settings, &reader, hunt.id)?;
    hooks.stop(|| facts.clone()).await;
    summary::show(context, settings, &reader, hunt.id, arguments.json, reason)?;
    let found = match arguments.fail_on {
        // What `flags` would say of the same record: its marks and this code have one source.
        Some(which) => flags::matches(which, &read::board(settings, &reader, None)?.found),
        None => false,
    };
    let code = if found && code == ExitCode::Fine {
        ExitCode::Finding
    } else {
        code
    };
    answer(settings, dispatched, disk, code)
}

/// How flags are told: on stderr, and to the user's own programs.
fn voice(context: &Context, arguments: &HuntArgs, settings: &Settings) -> Voice {
    let hook = |line: &Option<String>, arguments: &[String]| {
        let given = line.as_deref().map(Hook::of_line);
        given.or_else(|| Hook::of_arguments(arguments))
    };
    let on_flag = hook(&arguments.on_flag, &settings.hunt.on_flag);
    let on_stop = hook(&arguments.on_stop, &settings.hunt.on_stop);
    Voice {
        suite: settings.suite.name.as_str().to_owned(),
        console: context.console.clone(),
        again: context.again.clone(),
        hooks: Hooks::start(on_flag, on_stop, &context.console),
    }
}

/// Starts the analysis of the suite.
fn analyse(
    settings: &Settings,
    hunt: &HuntRow,
    stream: &Stream,
    listed: &Listed,
    voice: Voice,
    canary: CanaryState,
) -> Analysis {
    let herald = Herald {
        hunt: hunt.id,
        revision: stream.revision,
        workers: settings.hunt.workers.get(),
        voice: Some(voice),
        canary,
    };
    let desk = DeskStart {
        database: settings.store.path.clone(),
        suite: settings.suite.id,
        hunt: hunt.id,
        revision: stream.revision,
        tests: Arc::clone(&listed.tests),
        runner: listed.session.rig.runner,
        durations: stream.durations.clone(),
        policy: Policy {
            probe_share: settings.hunt.probe_share,
            factors: factors::domains(&settings.factors),
            ci_shards: stream.campaign.ci_shards,
            ..Policy::default()
        },
    };
    Analysis::start(desk, herald, stream.writer.clone())
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
