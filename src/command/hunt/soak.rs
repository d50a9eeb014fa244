//! The soak loop itself: workers, the display, signs of life, and room on the disk.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    opening::Goal,
    source::{Aside, Mixed},
};
use crate::{
    command::{
        Context, probing,
        session::{Crew, Listed, state_folder},
        stopping::Stopping,
        tally::{Moment, Tally},
    },
    config::Settings,
    error::{ExitCode, Failure},
    execute::{Dispatch, Dispatched, Event, Stop},
    model::{Clock, HuntState, SystemClock},
    store::{HuntRow, Writer, prune_logs},
    ui::{Progress, escape, text},
};

/// Time between two signs of life in the database. `status` calls a hunt stale after twelve of them.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Signs of life between two prunings of old logs: five minutes.
const BEATS_PER_PRUNING: u64 = 60;

/// First failures of tests that are announced one by one; a night where everything fails needs no more lines.
const ANNOUNCED: usize = 50;

/// Removes old logs. They only cost disk: a failure to remove one is no reason to fail.
pub(super) async fn prune(context: &Context, settings: &Settings) {
    let (folder, store) = (state_folder(settings), settings.store.clone());
    let now = SystemClock.now();
    let work = move || prune_logs(&folder, store.keep_logs, store.log_budget, now);
    let pruned = tokio::task::spawn_blocking(work).await;
    if let Err(error) = pruned.expect("removing files does not panic") {
        let console = &context.console;
        console.warn(&format!("cannot remove old logs: {error}"));
    }
}

/// Fails before a container starts where the disk is nearly full already.
pub(super) fn check_space(settings: &Settings) -> Result<(), Failure> {
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
pub(super) async fn dispatch(
    context: &Context,
    settings: &Settings,
    goal: &Goal,
    stopping: &Stopping,
    writer: &Writer,
    hunt: &HuntRow,
    listed: Listed,
    source: &mut Mixed,
    tally: &mut Tally,
) -> Result<(Dispatched, bool), Failure> {
    let count = settings.hunt.workers.get();
    let Crew {
        session,
        workers,
        events,
    } = listed.crew(settings, writer, hunt.id, &stopping.stop);
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
    let open = source.stream.open.counters.clone();
    let (asides, glance) = (source.asides.clone(), source.analysis.glance.clone());
    let wake = Arc::clone(&source.analysis.wake);
    let dispatched = Dispatch {
        source,
        workers,
        events,
        stop: stopping.stop.clone(),
        wake,
        hear: async |event: Option<Event>, busy: usize| {
            if let Some(event) = event {
                if let Some(aside) = event.shard().and_then(|shard| asides.of(shard)) {
                    if let Event::Left { shard, left } = &event {
                        writer
                            .event(Some(hunt.id), probing::left_behind(*shard, left))
                            .await?;
                    }
                    let is_over = matches!(event, Event::SegmentEnded { .. });
                    tally.probes += u64::from(is_over && aside == Aside::Probe);
                    return Ok(());
                }
                tell(console, tally, &event);
                tally.take(&event);
                return Ok(());
            }
            (tally.iterations, tally.shards) = open.read();
            tally.look(&glance.lock());
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
    tally.look(&glance.lock());
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
        Event::TrialEnded { .. }
        | Event::SegmentEnded { .. }
        | Event::SegmentStarted { .. }
        | Event::Left { .. } => {}
        Event::Note(note) => console.detail(&escape::terminal(note.as_bytes())),
    }
}
