//! `hunt`: the soak loop. Resumes or begins, dispatches the stream, says what was seen.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{sync::mpsc, time::Instant};

use super::{
    Context,
    session::{LONGEST, Listed, Session, state_folder, suite_key},
    stopping::{Ending, Stopping, block_on},
    stream::{Open, Stream, abandon, durations},
    summary,
    tally::{Moment, Tally},
};
use crate::{
    cli::HuntArgs,
    config::Settings,
    error::{ExitCode, Failure},
    execute::{Dispatch, Dispatched, Event, Stop, StoreRecorder, Worker},
    model::{Clock, EventRecord, HuntKind, HuntState, SystemClock, UnixMillis},
    plan::{ALGORITHM, Campaign, Cycle, HuntNonce, MasterSeed},
    store::{
        HuntRow, HuntStart, LeaseStart, OpenOptions, OpenShard, Reader, ResumeState, RevisionStart,
        Writer, prune_logs,
    },
    ui::{Progress, escape, text},
};

/// Time between two signs of life in the database. `status` calls a hunt stale after twelve of them.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Signs of life between two prunings of old logs: five minutes.
const BEATS_PER_PRUNING: u64 = 60;

/// Events that may wait for the display before workers wait for it.
const EVENTS: usize = 1024;

/// First failures of tests that are announced one by one; a night where everything fails needs no more lines.
const ANNOUNCED: usize = 50;

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

/// What is asked of this process.
struct Goal {
    deadline: Option<Instant>,
    ends: Option<UnixMillis>,
    iterations: Option<u64>,
}

impl Goal {
    fn of(arguments: &HuntArgs, now: UnixMillis) -> Self {
        let room = match (arguments.duration, arguments.until) {
            (Some(duration), _) => Some(duration.duration()),
            (None, Some(until)) => Some(until.from_now(&jiff::Zoned::now())),
            (None, None) => None,
        };
        let room = room.map(|room| room.min(LONGEST));
        Self {
            deadline: room.map(|room| Instant::now() + room),
            ends: room.map(|room| UnixMillis(now.0 + i64::try_from(room.as_millis()).unwrap_or(0))),
            iterations: arguments.iterations.map(std::num::NonZero::get),
        }
    }
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
    let reader = Reader::open(&settings.store.path)?;
    writer.close_interrupted().await?;
    prune(context, settings).await;
    let unfinished = unfinished(arguments, settings, &reader)?;
    check_space(settings)?;
    let Some(listed) = stopping
        .unless_stopped(Session::listed(context, settings))
        .await?
    else {
        context
            .console
            .note("stopped before its tests were listed; nothing was begun");
        return Ok(ExitCode::Fine);
    };
    let revision = register(settings, &listed, &reader, writer).await?;
    let (hunt, open_shards, next) = match unfinished {
        Some(state) => {
            let now = recorded_config(settings);
            if state.hunt.config != now {
                let facts = json!({ "now": now });
                let (at, kind) = (SystemClock.now(), "configuration changed");
                let event = EventRecord { at, kind, facts };
                writer.event(Some(state.hunt.id), event).await?;
            }
            let row = writer
                .resume_hunt(state.hunt.id, goal.ends, &lease(settings))
                .await?;
            (
                row,
                state.open_shards,
                (state.next_iteration, state.next_plan_index),
            )
        }
        None => (
            begin(arguments, settings, goal, writer).await?,
            Vec::new(),
            (0, 0),
        ),
    };
    let status = reader.status(hunt.id)?;
    let closed = status.shards_finished + status.shards_abandoned;
    let mut stream = Stream {
        writer: writer.clone(),
        hunt: hunt.id,
        revision,
        campaign: Campaign {
            master: MasterSeed(hunt.master_seed),
            nonce: HuntNonce(hunt.nonce),
            ci_shards: ci_shards(&hunt, settings),
            cycle: Cycle::default(),
        },
        tests: Arc::clone(&listed.tests),
        durations: durations(&reader, settings.suite.id, &listed.tests)?,
        reader: Reader::open(&settings.store.path)?,
        suite: settings.suite.id,
        max_shard: settings.hunt.max_shard,
        deadline: goal.deadline,
        iterations: goal.iterations,
        next_iteration: u64::try_from(next.0).unwrap_or(0),
        next_plan_index: next.1,
        queue: std::collections::VecDeque::new(),
        open: Open::new(status.iterations, closed, status.watermark),
    };
    take_up(&open_shards, &mut stream, &reader, &listed, hunt.id).await?;
    let mut tally = Tally::resumed(&status);
    announce(context, settings, &hunt, &listed, &stream, goal);
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

/// Removes old logs. They only cost disk: a failure to remove one is no reason to fail.
async fn prune(context: &Context, settings: &Settings) {
    let (folder, store) = (state_folder(settings), settings.store.clone());
    let now = SystemClock.now();
    let work = move || prune_logs(&folder, store.keep_logs, store.log_budget, now);
    let pruned = tokio::task::spawn_blocking(work).await;
    if let Err(error) = pruned.expect("removing files does not panic") {
        let console = &context.console;
        console.warn(&format!("cannot remove old logs: {error}"));
    }
}

/// Finds the hunt to resume, its segments closed, and checks that the flags do not contradict it.
fn unfinished(
    arguments: &HuntArgs,
    settings: &Settings,
    reader: &Reader,
) -> Result<Option<ResumeState>, Failure> {
    if arguments.new {
        return Ok(None);
    }
    let Some(state) = reader.unfinished_hunt(settings.suite.id)? else {
        return Ok(None);
    };
    if state.hunt.algorithm != ALGORITHM {
        let message = format!(
            "the unfinished hunt uses order algorithm {}, this build {ALGORITHM}",
            state.hunt.algorithm
        );
        return Err(Failure::new(ExitCode::Usage, message).hint("start another with `--new`"));
    }
    match arguments.seed {
        Some(seed) if seed != state.hunt.master_seed => {
            let recorded = MasterSeed(state.hunt.master_seed);
            let message = format!(
                "`--seed {seed}` contradicts the unfinished hunt, whose seed is {recorded} ({})",
                state.hunt.master_seed
            );
            Err(Failure::new(ExitCode::Usage, message)
                .hint("leave `--seed` out to resume it, or start another with `--new`"))
        }
        _ => Ok(Some(state)),
    }
}

async fn begin(
    arguments: &HuntArgs,
    settings: &Settings,
    goal: &Goal,
    writer: &Writer,
) -> Result<HuntRow, Failure> {
    let mut seed = [0; 8];
    let mut nonce = [0; 16];
    getrandom::fill(&mut seed)
        .and_then(|()| getrandom::fill(&mut nonce))
        .map_err(|error| {
            Failure::new(
                ExitCode::Internal,
                format!("the system gives no random numbers: {error}"),
            )
        })?;
    Ok(writer
        .begin_hunt(&HuntStart {
            suite: suite_key(settings),
            kind: HuntKind::Hunt,
            master_seed: arguments.seed.unwrap_or(u64::from_le_bytes(seed)),
            nonce,
            algorithm: ALGORITHM,
            config: recorded_config(settings),
            ends: goal.ends,
            lease: lease(settings),
        })
        .await?)
}

/// What of the configuration took effect, for the record.
pub(super) fn recorded_config(settings: &Settings) -> Value {
    json!({
        "workers": settings.hunt.workers.get(),
        "ci_shards": settings.hunt.ci_shards.get(),
        "probe_share": settings.hunt.probe_share,
        "max_shard_ms": millis(settings.hunt.max_shard),
        "test_limit_ms": millis(settings.limits.test),
        "memory": settings.limits.memory,
        "cpus": settings.limits.cpus,
        "pids": settings.limits.pids,
        "tmp": settings.limits.tmp,
        "output_per_test": settings.limits.output_per_test,
        "args": settings.suite.args,
        "env_allow": settings.suite.env_allow,
        "root": settings.suite.root.display().to_string(),
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The number of shards that this hunt began with: a change would change the orders of a resumed hunt.
fn ci_shards(hunt: &HuntRow, settings: &Settings) -> u16 {
    let recorded = hunt.config.get("ci_shards").and_then(Value::as_u64);
    recorded
        .and_then(|shards| u16::try_from(shards).ok())
        .unwrap_or(settings.hunt.ci_shards.get())
}

/// Who drives the hunt from now on.
pub(super) fn lease(settings: &Settings) -> LeaseStart {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    LeaseStart {
        host: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        boot_id: boot.trim().to_owned(),
        pid: std::process::id(),
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        workers: u32::from(settings.hunt.workers.get()),
        at: SystemClock.now(),
    }
}

/// Registers what is tested, and keeps an event when it is not what was tested last.
pub(super) async fn register(
    settings: &Settings,
    listed: &Listed,
    reader: &Reader,
    writer: &Writer,
) -> Result<crate::store::RevisionId, Failure> {
    let before = reader.latest_revision(settings.suite.id)?;
    let start = RevisionStart {
        suite: suite_key(settings),
        tests: listed.listing.tests.clone(),
        snapshot: *listed.session.snapshot.digest.as_bytes(),
        environment: listed.session.environment,
        git: listed
            .session
            .snapshot
            .revision
            .as_ref()
            .map(ToString::to_string),
        at: SystemClock.now(),
    };
    let revision = writer.register_revision(&start).await?;
    if let Some(before) = before.filter(|before| before.id != revision) {
        let old: std::collections::BTreeSet<_> = before.tests.iter().collect();
        let new: std::collections::BTreeSet<_> = start.tests.iter().collect();
        let facts = json!({
            "from": before.id.0,
            "to": revision.0,
            "files_changed": before.snapshot != start.snapshot,
            "environment_changed": before.environment != start.environment,
            "tests_added": new.difference(&old).count(),
            "tests_removed": old.difference(&new).count(),
        });
        writer
            .event(
                None,
                EventRecord {
                    at: SystemClock.now(),
                    kind: "revision changed",
                    facts,
                },
            )
            .await?;
    }
    Ok(revision)
}

/// Queues what an earlier process left open; shards of another state of the project cannot run any more.
async fn take_up(
    open_shards: &[OpenShard],
    stream: &mut Stream,
    reader: &Reader,
    listed: &Listed,
    hunt: i64,
) -> Result<(), Failure> {
    let mut abandoned = Vec::new();
    for shard in open_shards {
        let revision = reader.revision(shard.revision)?;
        let same = revision.list == listed.listing.digest
            && revision.snapshot == *listed.session.snapshot.digest.as_bytes()
            && revision.environment == listed.session.environment;
        if same {
            stream.resume(shard);
        } else {
            abandon(stream, shard).await?;
            abandoned.push(shard.id);
        }
    }
    if !abandoned.is_empty() {
        let facts = json!({ "shards": abandoned });
        let event = EventRecord {
            at: SystemClock.now(),
            kind: "shards abandoned, project changed",
            facts,
        };
        stream.writer.event(Some(hunt), event).await?;
    }
    Ok(())
}

fn announce(
    context: &Context,
    settings: &Settings,
    hunt: &HuntRow,
    listed: &Listed,
    stream: &Stream,
    goal: &Goal,
) {
    let console = &context.console;
    let revision = listed
        .session
        .snapshot
        .revision
        .as_ref()
        .map_or_else(String::new, |git| format!(" @ {git}"));
    console.note(&format!(
        "suite   {} ({}){revision}: {}, list {}",
        settings.suite.name,
        settings.suite.id,
        text::plural(listed.tests.len() as u64, "test"),
        listed.listing.digest,
    ));
    let verb = if stream.next_iteration == 0 {
        "hunt"
    } else {
        "resumed"
    };
    console.note(&format!(
        "{verb:<7} {}, seed {} (--seed {})",
        hunt.id,
        MasterSeed(hunt.master_seed),
        hunt.master_seed
    ));
    if !stream.queue.is_empty() {
        console.note(&format!(
            "resumed {} that were open, with their seeds",
            text::plural(stream.queue.len() as u64, "shard")
        ));
    }
    let end = match (goal.iterations, goal.deadline) {
        (Some(total), _) => format!("until {} are complete", text::plural(total, "iteration")),
        (None, Some(deadline)) => {
            format!(
                "for {}",
                text::duration(deadline.saturating_duration_since(Instant::now()))
            )
        }
        (None, None) => "until stopped".to_owned(),
    };
    console.note(&format!(
        "runs    {end}, {} at a time ({})",
        text::plural(u64::from(settings.hunt.workers.get()), "container"),
        listed.session.rig.rung,
    ));
    console.note(&format!(
        "record  {}",
        escape::terminal(settings.store.path.as_os_str().as_encoded_bytes())
    ));
}

/// Fails before a container starts where the disk is nearly full already.
fn check_space(settings: &Settings) -> Result<(), Failure> {
    if free_space(settings) >= settings.store.min_free {
        return Ok(());
    }
    let message = format!(
        "less than {} are free for `{}`",
        text::size(settings.store.min_free),
        settings.store.path.display()
    );
    Err(Failure::new(ExitCode::Disk, message)
        .hint("free some space, or lower `min_free` in [store]"))
}

fn free_space(settings: &Settings) -> u64 {
    rustix::fs::statvfs(state_folder(settings))
        .map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[expect(
    clippy::too_many_arguments,
    reason = "joins the parts of a hunt once; a struct would only rename them"
)]
async fn dispatch(
    context: &Context,
    settings: &Settings,
    goal: &Goal,
    stopping: &Stopping,
    writer: &Writer,
    hunt: &HuntRow,
    listed: Listed,
    stream: &mut Stream,
    tally: &mut Tally,
) -> Result<(Dispatched, bool), Failure> {
    let (events, heard) = mpsc::channel(EVENTS);
    let recorder = StoreRecorder {
        writer: writer.clone(),
        folder: state_folder(settings),
        hunt: hunt.id,
    };
    let Listed { session, slot, .. } = listed;
    let mut first = Some(slot);
    let count = settings.hunt.workers.get();
    let workers = (0..u32::from(count))
        .map(|index| {
            let (rig, stop) = (Arc::clone(&session.rig), stopping.stop.subscribe());
            Worker::new(
                index,
                rig,
                first.take(),
                recorder.clone(),
                events.clone(),
                stop,
            )
        })
        .collect();
    drop(events);
    let console = &context.console;
    let began = Instant::now();
    let mut progress = Progress::new(console);
    let mut beat = Instant::now();
    let mut beats = 0_u64;
    let mut draining = false;
    let mut disk = false;
    let moment = |busy: usize, draining: bool| Moment {
        elapsed: began.elapsed(),
        ends_in: goal
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now())),
        iterations_total: goal.iterations,
        busy: u16::try_from(busy).unwrap_or(u16::MAX),
        workers: count,
        draining,
    };
    let open = stream.open.counters.clone();
    let dispatched = Dispatch {
        source: stream,
        workers,
        events: heard,
        stop: stopping.stop.clone(),
        hear: async |event: Option<Event>, busy: usize| {
            if let Some(event) = event {
                tell(console, tally, &event);
                tally.take(&event);
                return Ok(());
            }
            (tally.iterations, tally.shards) = open.read();
            let now_draining = *stopping.stop.borrow() != Stop::Running;
            if now_draining && !draining {
                draining = true;
                writer
                    .set_hunt_state(hunt.id, HuntState::Draining, None, SystemClock.now())
                    .await?;
            }
            progress.update(&tally.view(&moment(busy, draining)), SystemClock.now());
            if beat.elapsed() >= HEARTBEAT {
                beat = Instant::now();
                writer.heartbeat(hunt.id, SystemClock.now()).await?;
                beats += 1;
                if beats.is_multiple_of(BEATS_PER_PRUNING) {
                    prune(context, settings).await;
                }
                if free_space(settings) < settings.store.min_free {
                    disk = true;
                    stopping.stop.send_if_modified(|now| {
                        let first = *now == Stop::Running;
                        if first {
                            *now = Stop::Draining;
                        }
                        first
                    });
                }
            }
            Ok(())
        },
    }
    .run()
    .await;
    (tally.iterations, tally.shards) = open.read();
    progress.finish(&tally.view(&moment(0, draining)), SystemClock.now());
    // Everything of the session (slots, folders) goes before the last lines are said.
    drop(session);
    Ok((dispatched?, disk))
}

/// Says what a person would want to hear at once.
fn tell(console: &crate::ui::Console, tally: &Tally, event: &Event) {
    match event {
        Event::TrialEnded { test, outcome, .. }
            if outcome.is_failing()
                && tally.failed.len() < ANNOUNCED
                && !tally.failed.contains(test) =>
        {
            console.note(&format!(
                "first failure ({outcome}): {}",
                escape::terminal(test.as_bytes())
            ));
        }
        Event::SegmentEnded {
            end,
            reason: Some(reason),
            shard,
            ..
        } => {
            console.detail(&format!(
                "shard {shard}: {end}: {}",
                escape::terminal(reason.as_bytes())
            ));
        }
        Event::TrialEnded { .. } | Event::SegmentEnded { .. } | Event::SegmentStarted { .. } => {}
        Event::Note(note) => console.detail(&escape::terminal(note.as_bytes())),
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
