//! What stands before the first shard of a hunt: which hunt it is, what state the project is in, what an
//! earlier process left open.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::soak::{check_space, prune};
use crate::{
    cli::HuntArgs,
    command::{
        Context,
        session::{LONGEST, Listed, Session, suite_key},
        stopping::Stopping,
        stream::{Open, Stream, abandon, durations},
    },
    config::Settings,
    error::{ExitCode, Failure},
    model::{Clock, EventRecord, HuntKind, SystemClock, UnixMillis},
    plan::{ALGORITHM, Campaign, Cycle, HuntNonce, MasterSeed},
    store::{
        HuntRow, HuntStart, HuntStatus, LeaseStart, OpenShard, Reader, ResumeState, RevisionStart,
        Writer,
    },
    ui::{escape, text},
};

/// What is asked of this process.
pub(super) struct Goal {
    pub(super) deadline: Option<Instant>,
    pub(super) ends: Option<UnixMillis>,
    pub(super) iterations: Option<u64>,
}

impl Goal {
    pub(super) fn of(arguments: &HuntArgs, now: UnixMillis) -> Self {
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

/// A hunt that is ready to be soaked.
pub(super) struct Opened {
    pub(super) hunt: HuntRow,
    pub(super) stream: Stream,
    pub(super) listed: Listed,
    pub(super) reader: Reader,
    /// How it stood before.
    pub(super) status: HuntStatus,
}

/// Resumes the unfinished hunt, or begins one; `None` when it was stopped before its tests were listed.
///
/// # Errors
/// [`Failure`] when the flags contradict the hunt, or something that it needs is missing.
pub(super) async fn open(
    context: &Context,
    arguments: &HuntArgs,
    settings: &Settings,
    goal: &Goal,
    stopping: &Stopping,
    writer: &Writer,
) -> Result<Option<Opened>, Failure> {
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
        return Ok(None);
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
        factors: settings.factors.clone(),
        max_shard: settings.hunt.max_shard,
        deadline: goal.deadline,
        iterations: goal.iterations,
        next_iteration: u64::try_from(next.0).unwrap_or(0),
        next_plan_index: next.1,
        queue: std::collections::VecDeque::new(),
        open: Open::new(status.iterations, closed),
    };
    take_up(&open_shards, &mut stream, &reader, &listed, hunt.id).await?;
    announce(context, settings, &hunt, &listed, &stream, goal);
    Ok(Some(Opened {
        hunt,
        stream,
        listed,
        reader,
        status,
    }))
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
pub(in crate::command) fn recorded_config(settings: &Settings) -> Value {
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
pub(in crate::command) fn lease(settings: &Settings) -> LeaseStart {
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
pub(in crate::command) async fn register(
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
        "runs    {end}, {} at a time",
        text::plural(u64::from(settings.hunt.workers.get()), "container"),
    ));
    console.note(&format!("inside  containers, {}", listed.session.rig.rung));
    console.note(&format!(
        "record  {}",
        escape::terminal(settings.store.path.as_os_str().as_encoded_bytes())
    ));
}
