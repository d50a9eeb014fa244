//! `run`: one pass in parallel containers, balanced by recorded durations; for CI.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use tokio::time::Instant;

use super::{
    Context,
    factors::{self, seed32, variables},
    hunt::{lease, recorded_config, register},
    junit,
    session::{Crew, Listed, Session, suite_key},
    stopping::{Stopping, block_on},
    stream::{durations, named},
    summary, tokens,
};
use crate::{
    cli::RunArgs,
    config::Settings,
    error::{ExitCode, Failure},
    execute::{Assignment, Dispatch, Dispatched, Event, Next, Of, ShardEnd, Source},
    model::{
        Clock, Design, Grouping, HuntKind, HuntState, Layout, ListDigest, Outcome, ShardPlan,
        SystemClock,
    },
    plan::{ALGORITHM, IterationSeed, balanced},
    store::{HuntStart, OpenOptions, Reader, StoreError, Writer},
    ui::{escape, text},
};

/// Tests without an answer that text output names.
const UNKNOWN_SHOWN: usize = 20;

/// Shards of one pass, all planned.
struct Pass(VecDeque<Assignment>);

impl Source for Pass {
    async fn next(&mut self) -> Result<Next, StoreError> {
        let next = self.0.pop_front();
        Ok(next.map_or(Next::Done, |assignment| Next::Shard(Box::new(assignment))))
    }

    async fn ended(&mut self, _shard: i64, _end: ShardEnd) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Runs the suite once.
///
/// # Errors
/// [`Failure`] with the exit code of what went wrong; failing tests are exit code 1, not an error.
pub(super) fn run(
    context: &Context,
    arguments: &RunArgs,
    settings: &Settings,
) -> Result<ExitCode, Failure> {
    block_on(async {
        let stopping = Stopping::listen(context.interrupts, None, &context.console)?;
        let (writer, _) = Writer::open(&settings.store.path, &OpenOptions::at(SystemClock.now()))?;
        let outcome = pass(context, arguments, settings, &stopping, &writer).await;
        let closed = writer.shutdown().await;
        let code = outcome?;
        closed?;
        Ok(code)
    })
}

async fn pass(
    context: &Context,
    arguments: &RunArgs,
    settings: &Settings,
    stopping: &Stopping,
    writer: &Writer,
) -> Result<ExitCode, Failure> {
    let console = &context.console;
    let began = Instant::now();
    let reader = Reader::open(&settings.store.path)?;
    let listing = Session::listed(context, settings);
    let Some(listed) = stopping.unless_stopped(listing).await? else {
        console.note("stopped before its tests were listed; none ran");
        return Ok(stopping.ending().aborted());
    };
    let revision = register(settings, &listed, &reader, writer).await?;
    let (hunt, seed) = begin(arguments, settings, writer).await?;
    let known = durations(&reader, settings.suite.id, &listed.tests)?;
    let longest = longest_shard(settings, &known);
    let (plans, orders) = plan(settings, &listed, &known, seed);
    let rows = writer.plan_iteration(hunt, revision, &plans).await?;
    let queue = rows
        .iter()
        .zip(&plans)
        .zip(orders)
        .map(|((row, plan), order)| Assignment {
            shard: *row,
            attempts: 0,
            order,
            of: Of::Suite,
            probe: None,
            cause: None,
            predicted: longest,
            factors: variables(&plan.factors),
            seed32: seed32(IterationSeed(seed), plan.layout, plan.shard),
        });
    let mut source = Pass(queue.collect());
    console.note(&format!(
        "running {} in {}",
        text::plural(listed.tests.len() as u64, "test"),
        text::plural(rows.len() as u64, "container"),
    ));
    let (digest, order) = (listed.listing.digest, listed.tests.names().to_vec());
    let (end, shown) = dispatch(
        context,
        settings,
        arguments,
        stopping,
        writer,
        hunt,
        listed,
        &mut source,
    )
    .await?;
    let (state, reason) = if end == Dispatched::Exhausted {
        (HuntState::Finished, "the pass is complete")
    } else {
        (HuntState::Interrupted, "stopped before its end")
    };
    writer
        .set_hunt_state(hunt, state, Some(reason.to_owned()), SystemClock.now())
        .await?;
    let results: Vec<junit::Result> = order
        .into_iter()
        .map(|test| {
            shown.get(&test).cloned().unwrap_or(junit::Result {
                test,
                outcome: Outcome::Aborted,
                duration: None,
                detail: None,
            })
        })
        .collect();
    write_junit(context, arguments, settings, &results)?;
    let database = reader.database_id()?;
    let tokens: Vec<String> = rows
        .iter()
        .zip(&plans)
        .map(|(row, plan)| {
            tokens::of_shard(settings.suite.id, digest, plan, *row, database).to_string()
        })
        .collect();
    say(
        context,
        arguments,
        &results,
        &tokens,
        &rows,
        &summary::failing(settings, &reader, hunt, summary::MOST)?,
        began.elapsed(),
    )?;
    verdict(end, &results, stopping)
}

/// Begins a pass; returns its row and its seed.
async fn begin(
    arguments: &RunArgs,
    settings: &Settings,
    writer: &Writer,
) -> Result<(i64, u64), Failure> {
    let mut random = [0; 24];
    getrandom::fill(&mut random).map_err(|error| {
        Failure::new(
            ExitCode::Internal,
            format!("the system gives no random numbers: {error}"),
        )
    })?;
    let (seed, nonce) = random
        .split_first_chunk::<8>()
        .expect("24 bytes hold the first 8");
    let seed = arguments.seed.unwrap_or(u64::from_le_bytes(*seed));
    let hunt = writer
        .begin_hunt(&HuntStart {
            suite: suite_key(settings),
            kind: HuntKind::Run,
            master_seed: seed,
            nonce: nonce.try_into().expect("16 bytes are left"),
            algorithm: ALGORITHM,
            config: recorded_config(settings),
            ends: None,
            lease: lease(settings),
        })
        .await?;
    Ok((hunt.id, seed))
}

fn write_junit(
    context: &Context,
    arguments: &RunArgs,
    settings: &Settings,
    results: &[junit::Result],
) -> Result<(), Failure> {
    let Some(file) = &arguments.junit else {
        return Ok(());
    };
    let file = context.folder.join(file);
    let document = junit::document(settings.suite.name.as_str(), results)
        .map_err(|error| Failure::new(ExitCode::Internal, error))?;
    junit::write(&file, &document).map_err(|error| {
        Failure::new(
            ExitCode::Disk,
            format!("cannot write `{}`: {error}", file.display()),
        )
    })
}

/// What the pass means for whoever waits for its exit code.
fn verdict(
    dispatched: Dispatched,
    results: &[junit::Result],
    stopping: &Stopping,
) -> Result<ExitCode, Failure> {
    match dispatched {
        Dispatched::HostBroken => Err(Failure::new(
            ExitCode::Containers,
            "containers failed on one shard after the other",
        )
        .hint("`soakhound doctor` says what is missing")),
        Dispatched::Uncollected => Err(Failure::new(
            ExitCode::Suite,
            "the suite does not collect any more",
        )),
        Dispatched::Stopped(_)
            if results
                .iter()
                .any(|result| result.outcome == Outcome::Aborted) =>
        {
            Ok(stopping.ending().aborted())
        }
        Dispatched::Exhausted | Dispatched::Stopped(_) => {
            // What we do not know must not look green: lost, infra and aborted tests count here, and only here.
            let green = results
                .iter()
                .all(|result| matches!(result.outcome, Outcome::Passed | Outcome::Skipped));
            Ok(if green {
                ExitCode::Fine
            } else {
                ExitCode::Finding
            })
        }
    }
}

/// How long a shard of the pass should take, at most: cut evenly, and no shorter than its longest test.
fn longest_shard(settings: &Settings, durations: &[Option<Duration>]) -> Duration {
    let known: Option<Vec<Duration>> = durations.iter().copied().collect();
    let Some(known) = known else {
        return settings.hunt.max_shard;
    };
    let share = known.iter().sum::<Duration>() / u32::from(settings.hunt.workers.get());
    share + known.into_iter().max().unwrap_or_default()
}

type Orders = Vec<Vec<(crate::model::TestId, u8)>>;

fn plan(
    settings: &Settings,
    listed: &Listed,
    durations: &[Option<Duration>],
    seed: u64,
) -> (Vec<ShardPlan>, Orders) {
    let workers = settings.hunt.workers.get();
    let grouping = Grouping::ModuleContiguous;
    let layout = Layout {
        design: Design::Balanced,
        shards: workers,
        grouping,
        class: 0,
    };
    let seed = IterationSeed(seed);
    let shards = balanced(&listed.tests, durations, workers, grouping, seed);
    (0_u16..)
        .zip(shards)
        .filter(|(_, order)| !order.is_empty())
        .enumerate()
        .map(|(place, (shard, order))| {
            let order = named(&order, &listed.tests);
            let plan = ShardPlan {
                plan_index: i64::try_from(place).expect("few shards"),
                iteration: 0,
                shard,
                seed: seed.0,
                algorithm: ALGORITHM,
                layout,
                drawn_with: 1.0,
                trials: u32::try_from(order.len()).expect("an order has fewer than 2^32 places"),
                order: ListDigest::of(order.iter().map(|(test, _)| test)),
                explicit_order: Some(order.iter().map(|(test, _)| test.clone()).collect()),
                factors: factors::levels(&settings.factors, &[], seed, layout, shard),
            };
            (plan, order)
        })
        .unzip()
}

type Seen = BTreeMap<crate::model::TestId, junit::Result>;

#[expect(
    clippy::too_many_arguments,
    reason = "joins the parts of a pass once; a struct would only rename them"
)]
async fn dispatch(
    context: &Context,
    settings: &Settings,
    arguments: &RunArgs,
    stopping: &Stopping,
    writer: &Writer,
    hunt: i64,
    listed: Listed,
    source: &mut Pass,
) -> Result<(Dispatched, Seen), Failure> {
    let Crew {
        session,
        workers,
        events,
    } = listed.crew(settings, writer, hunt, &stopping.stop);
    let console = &context.console;
    let mut seen = Seen::new();
    let dispatched = Dispatch {
        source,
        workers,
        events,
        stop: stopping.stop.clone(),
        wake: Arc::default(),
        hear: async |event: Option<Event>, _busy: usize| {
            if let Some(Event::TrialEnded {
                test,
                outcome,
                duration,
                detail,
                ..
            }) = event
            {
                if outcome.is_failing() && !arguments.json {
                    let name = escape::terminal(test.as_bytes());
                    // A reader that has gone must not end the pass; the exit code still tells.
                    let _gone = console.line(&format!("{outcome:<8} {name}"));
                    if let Some(detail) = detail.as_deref().filter(|detail| !detail.is_empty()) {
                        let _gone = console.line(&indented(detail));
                    }
                }
                // A test that was aborted runs again; its later outcome is the one that counts.
                seen.insert(
                    test.clone(),
                    junit::Result {
                        test,
                        outcome,
                        duration,
                        detail,
                    },
                );
            }
            Ok(())
        },
    }
    .run()
    .await;
    drop(session);
    Ok((dispatched?, seen))
}

/// The last lines of a failure text, each set in.
fn indented(detail: &[u8]) -> String {
    const LINES: usize = 12;
    let text = escape::terminal_lines(detail);
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(LINES)..];
    shown
        .iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn say(
    context: &Context,
    arguments: &RunArgs,
    results: &[junit::Result],
    tokens: &[String],
    rows: &[i64],
    failing: &[summary::Failing],
    lasted: Duration,
) -> Result<(), Failure> {
    let console = &context.console;
    let of = |which: fn(Outcome) -> bool| {
        results
            .iter()
            .filter(|result| which(result.outcome))
            .count() as u64
    };
    let (passed, skipped) = (
        of(|outcome| outcome == Outcome::Passed),
        of(|outcome| outcome == Outcome::Skipped),
    );
    let (failed, void) = (of(Outcome::is_failing), of(Outcome::is_void));
    if arguments.json {
        let tests: Vec<_> = results
            .iter()
            .map(|result| {
                json!({
                    "test": escape::json_name(&result.test),
                    "outcome": result.outcome.word(),
                    "duration_ms": result.duration.map(|duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
                })
            })
            .collect();
        let shards: Vec<_> = rows
            .iter()
            .zip(tokens)
            .map(|(shard, token)| json!({"shard": shard, "token": token}))
            .collect();
        console.json(&json!({
            "schema": "soakhound.run/1",
            "duration_ms": u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX),
            "passed": passed,
            "failed": failed,
            "skipped": skipped,
            "unknown": void,
            "tests": tests,
            "failing": summary::failing_json(failing),
            "shards": shards,
        }))?;
        return Ok(());
    }
    for result in results
        .iter()
        .filter(|result| result.outcome.is_void())
        .take(UNKNOWN_SHOWN)
    {
        let name = escape::terminal(result.test.as_bytes());
        console.line(&format!("{:<8} {name}", result.outcome))?;
    }
    let unknown = if void == 0 {
        String::new()
    } else {
        format!(
            ", {} unknown (aborted, infra, lost or untrusted)",
            text::count(void)
        )
    };
    console.line(&format!(
        "{} in {}: {} passed, {} failed, {} skipped{unknown}",
        text::plural(results.len() as u64, "test"),
        text::duration(lasted),
        text::count(passed),
        text::count(failed),
        text::count(skipped),
    ))?;
    if let Some(first) = failing.first() {
        let next = context.again.with(&format!("replay {}", first.token));
        console.line(&format!("next: {next}"))?;
    }
    Ok(())
}
