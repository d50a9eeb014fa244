//! `replay`: runs the order of a token again and compares what it shows with the record. Leaves no trace in
//! the database: running a known order again is no evidence.

mod compare;
mod local;
mod resolve;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use self::{
    compare::{Comparison, compare},
    resolve::{Target, resolve},
};
use super::{
    Context,
    session::Session,
    stopping::{Stopping, block_on},
};
use crate::{
    cli::{Repeat, ReplayArgs},
    config::Settings,
    error::{ExitCode, Failure},
    execute::{Assignment, MemoryRecorder, RecordedShard, ShardEnd, Stop, Worker},
    plan::Token,
    store::Reader,
    ui::{Console, escape, text},
};

/// Repetitions of `auto` where the record says nothing about how often it fails.
const UNKNOWN_REPEATS: u32 = 5;
/// Most repetitions of `auto`: a rarer failure is a matter for a hunt.
const MOST_AUTO: u32 = 1_000;

/// Replays a token.
///
/// # Errors
/// [`Failure`] with 150 for a text that is no token, 125 when the order cannot be run.
pub(super) fn run(
    context: &Context,
    arguments: &ReplayArgs,
    settings: &Settings,
) -> Result<ExitCode, Failure> {
    let token: Token = arguments.token.parse().map_err(|error| {
        Failure::new(ExitCode::Usage, error)
            .hint("a token is one word from `status`, `hunt` or a report; copy it whole")
    })?;
    block_on(replay(context, arguments, settings, &token))
}

async fn replay(
    context: &Context,
    arguments: &ReplayArgs,
    settings: &Settings,
    token: &Token,
) -> Result<ExitCode, Failure> {
    let console = &context.console;
    let stopping = Stopping::listen(context.interrupts, None, console)?;
    let reader = match Reader::open(&settings.store.path) {
        Ok(reader) => Some(reader),
        Err(crate::store::StoreError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(suite) = resolve::suite_of(token).filter(|suite| *suite != settings.suite.id) {
        let message = format!(
            "this token belongs to suite {suite}; `{}` is suite {}",
            settings.suite.name, settings.suite.id
        );
        return Err(Failure::new(ExitCode::Inconclusive, message).hint(
            "run it in the checkout of that suite, or name its configuration with `--config`",
        ));
    }
    let mut place = if arguments.local {
        console.warn("without a container: no limits but time, no isolation from this machine or from earlier repetitions");
        Place::Local(local::Local::prepare(context, settings)?)
    } else {
        let listing = async {
            let session = Session::prepare(context, settings).await?;
            session.list(console).await
        };
        let Some(listed) = stopping.unless_stopped(listing).await? else {
            console.note("stopped before the tests were listed; none ran");
            return Ok(stopping.ending().aborted());
        };
        Place::Container(Box::new(listed))
    };
    let target = resolve(token, &place.tests(), reader.as_ref())?;
    show_target(console, arguments, token, &target, settings)?;
    if arguments.strict && !target.drift.is_empty() {
        return Err(Failure::new(
            ExitCode::Inconclusive,
            "the suite has changed since, and `--strict` is set",
        ));
    }
    let most = repeats(arguments.repeat, &target);
    let mut comparisons = Vec::new();
    for repetition in 1..=most.get() {
        let Some(shard) = place.run(&target, &stopping).await? else {
            break;
        };
        let comparison = compare(&target, &shard);
        show_repetition(console, arguments, repetition, most, &comparison)?;
        let reproduced = comparison.reproduced();
        comparisons.push(comparison);
        if reproduced && arguments.repeat == Repeat::Auto {
            break;
        }
    }
    drop(place);
    conclude(console, arguments, &target, &comparisons, &stopping)
}

/// Where a replay runs.
enum Place {
    Container(Box<super::session::Listed>),
    Local(local::Local),
}

impl Place {
    fn tests(&self) -> Arc<crate::plan::Tests> {
        match self {
            Self::Container(listed) => Arc::clone(&listed.tests),
            Self::Local(local) => Arc::clone(&local.tests),
        }
    }

    /// Runs the order once; `None` when we were stopped.
    async fn run(
        &mut self,
        target: &Target,
        stopping: &Stopping,
    ) -> Result<Option<RecordedShard>, Failure> {
        match self {
            Self::Local(local) => local.run(target).map(Some),
            Self::Container(listed) => {
                let recorder = MemoryRecorder::default();
                let (events, mut heard) = mpsc::channel(1024);
                let assignment = Assignment {
                    shard: 0,
                    attempts: 0,
                    order: target.order.clone(),
                    cause: None,
                    predicted: Duration::ZERO,
                    factors: target.variables.clone(),
                    seed32: target.seed32,
                };
                let rig = Arc::clone(&listed.session.rig);
                let mut worker = Worker::new(
                    0,
                    rig,
                    None,
                    recorder.clone(),
                    events,
                    stopping.stop.subscribe(),
                );
                let end = async {
                    let end = worker.run(assignment).await;
                    drop(worker);
                    end
                };
                let (end, ()) = tokio::join!(end, async { while heard.recv().await.is_some() {} });
                match end? {
                    ShardEnd::Done => Ok(Some(recorder.take())),
                    ShardEnd::Interrupted => Ok(None),
                    ShardEnd::HostFailed => {
                        let reason = recorder
                            .take()
                            .segments
                            .into_iter()
                            .filter_map(|(_, close)| close?.reason)
                            .next_back();
                        Err(Failure::new(
                            ExitCode::Containers,
                            reason.unwrap_or_else(|| "the container did not run".to_owned()),
                        )
                        .hint("`soakhound doctor` says what is missing"))
                    }
                    ShardEnd::Uncollected => {
                        Err(Failure::new(ExitCode::Suite, "the suite does not collect"))
                    }
                }
            }
        }
    }
}

/// How often to run: what was asked for, or what shows a failure of the recorded rate with 95 %.
///
/// Source: `1 - (1 - p)^N >= 0.95` for independent repetitions.
fn repeats(asked: Repeat, target: &Target) -> NonZeroU32 {
    match (asked, target.failure_rate) {
        (Repeat::Times(times), _) => times,
        (Repeat::Auto, Some(rate)) if rate > 0.0 => {
            let needed = if rate >= 1.0 {
                1.0
            } else {
                (0.05_f64.ln() / (1.0 - rate).ln()).ceil()
            };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "clamped to a small range"
            )]
            let needed = needed.clamp(1.0, f64::from(MOST_AUTO)) as u32;
            NonZeroU32::new(needed).unwrap_or(NonZeroU32::MIN)
        }
        (Repeat::Auto, _) => NonZeroU32::new(UNKNOWN_REPEATS).unwrap_or(NonZeroU32::MIN),
    }
}

fn show_target(
    console: &Console,
    arguments: &ReplayArgs,
    token: &Token,
    target: &Target,
    settings: &Settings,
) -> Result<(), Failure> {
    if arguments.json {
        return Ok(());
    }
    console.line(&format!(
        "{}   # {} ({}), {}",
        token, settings.suite.name, settings.suite.id, target.what,
    ))?;
    let recorded = target
        .recorded_order
        .as_ref()
        .map_or_else(|| "not known here".to_owned(), ToString::to_string);
    console.line(&format!(
        "order {} of {}, recorded {recorded}: {}",
        target.digest,
        text::plural(target.order.len() as u64, "trial"),
        target.matching(),
    ))?;
    for line in &target.drift {
        console.line(&format!("  drift: {}", escape::terminal(line.as_bytes())))?;
    }
    Ok(())
}

fn show_repetition(
    console: &Console,
    arguments: &ReplayArgs,
    repetition: u32,
    most: NonZeroU32,
    comparison: &Comparison,
) -> Result<(), Failure> {
    if arguments.json {
        return Ok(());
    }
    console.line(&format!("{repetition:>4}/{most}  {}", comparison.line()))?;
    for difference in comparison.differences.iter().take(10) {
        console.line(&format!(
            "        {}",
            escape::terminal(difference.as_bytes())
        ))?;
    }
    if comparison.differences.len() > 10 {
        console.line(&format!(
            "        … {} more",
            comparison.differences.len() - 10
        ))?;
    }
    Ok(())
}

fn conclude(
    console: &Console,
    arguments: &ReplayArgs,
    target: &Target,
    comparisons: &[Comparison],
    stopping: &Stopping,
) -> Result<ExitCode, Failure> {
    let failures = comparisons
        .iter()
        .filter(|comparison| comparison.reproduced())
        .count();
    let stopped = *stopping.stop.borrow() != Stop::Running;
    let differs = comparisons
        .iter()
        .any(|comparison| comparison.order_differs);
    let (result, code) = match (failures, comparisons.len()) {
        (1.., _) => ("reproduced", ExitCode::Finding),
        (0, 0) => (
            "inconclusive",
            if stopped {
                stopping.ending().aborted()
            } else {
                ExitCode::Inconclusive
            },
        ),
        (0, _) if differs => ("inconclusive", ExitCode::Inconclusive),
        (0, _) => ("not-reproduced", ExitCode::Fine),
    };
    if arguments.json {
        console.json(&json!({
            "schema": "soakhound.replay/1",
            "result": result,
            "match": if differs { "drifted" } else { target.matching() },
            "drift": target.drift,
            "order": target.digest.to_string(),
            "recorded_order": target.recorded_order.as_ref().map(ToString::to_string),
            "runs": comparisons.len(),
            "failures": failures,
            "repetitions": comparisons.iter().map(Comparison::json).collect::<Vec<Value>>(),
        }))?;
        return Ok(code);
    }
    let of = comparisons.len();
    console.line(&match result {
        "reproduced" => format!("REPRODUCED {failures} of {of}: {}", target.watched()),
        "not-reproduced" if target.expects_failure() => {
            format!(
                "not reproduced in {}: {}",
                text::plural(of as u64, "run"),
                target.watched()
            )
        }
        "not-reproduced" => format!(
            "no failure in {}, as recorded",
            text::plural(of as u64, "run")
        ),
        _ => "inconclusive".to_owned(),
    })?;
    Ok(code)
}
