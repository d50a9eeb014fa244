//! `replay`: runs the order of a token again and compares what it shows with the record. Leaves no trace in
//! the database: running a known order again is no evidence.

mod compare;
mod local;
mod place;
mod record;
mod resolve;
mod shell;
mod show;

use std::{num::NonZeroU32, time::Duration};

use self::{
    compare::compare,
    place::Place,
    resolve::{Target, resolve},
    show::Show,
};
use super::{
    Context,
    stopping::{Stopping, block_on},
};
use crate::{
    cli::{Repeat, ReplayArgs},
    config::Settings,
    error::{ExitCode, Failure},
    execute::Stop,
    plan::Token,
    store::{Reader, StoreError},
};

/// Repetitions of `auto` where the record shows no failure of this order: as for one failure in one run.
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
    let show = Show {
        console: &context.console,
        json: arguments.json,
    };
    block_on(replay(context, arguments, settings, &token, &show)).map_err(|failure| {
        // Who reads JSON gets an answer even where there was nothing to run.
        if failure.exit() != ExitCode::Inconclusive {
            return failure;
        }
        show.refused(&failure)
            .map_or_else(|gone| gone, |()| failure)
    })
}

async fn replay(
    context: &Context,
    arguments: &ReplayArgs,
    settings: &Settings,
    token: &Token,
    show: &Show<'_>,
) -> Result<ExitCode, Failure> {
    let suite = settings.suite.id;
    let here = format!("`{}`, suite {suite}", settings.suite.name);
    if let Some(owner) = resolve::suite_of(token).filter(|owner| *owner != suite) {
        return Err(resolve::other_suite(owner, &here));
    }
    let reader = match Reader::open(&settings.store.path) {
        Ok(reader) => Some(reader),
        Err(StoreError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if arguments.shell {
        shell::check()?;
    }
    let stopping = Stopping::listen(context.interrupts, None, &context.console)?;
    let preparing = Place::prepare(context, arguments, settings);
    let Some(mut place) = stopping.unless_stopped(preparing).await? else {
        let what = "stopped before the tests were listed; none ran";
        context.console.note(what);
        return Ok(stopping.ending().aborted());
    };
    let target = resolve(
        token,
        suite,
        place.tests(),
        &settings.factors,
        reader.as_ref(),
    )?;
    show.target(token, &target, settings)?;
    if arguments.strict && !target.drift.is_empty() {
        return show.conclusion(&target, &[], None);
    }
    let most = repeats(arguments.repeat, &target);
    let predicted = predicted(settings, &target, reader.as_ref())?;
    let mut comparisons = Vec::new();
    for repetition in 1..=most.get() {
        if *stopping.stop.borrow() != Stop::Running {
            break;
        }
        let Some(shard) = place.run(&target, predicted, &stopping).await? else {
            break;
        };
        let comparison = compare(&target, &shard);
        show.repetition(repetition, most, &comparison)?;
        let reproduced = comparison.reproduced();
        comparisons.push(comparison);
        if reproduced && arguments.repeat == Repeat::Auto {
            break;
        }
    }
    let stopped = (*stopping.stop.borrow() != Stop::Running
        && comparisons.len() < most.get() as usize)
        .then(|| stopping.ending().aborted());
    let code = show.conclusion(&target, &comparisons, stopped)?;
    if let (true, None, Place::Container(listed)) = (arguments.shell, stopped, &place) {
        shell::open(context, listed, &target, &stopping).await?;
    }
    Ok(code)
}

/// How often to run: what was asked for, or what shows the recorded failure with a probability of 95 %.
///
/// Source: predictive distribution of a Beta(1/2, 1/2) prior; the smallest N with
/// `B(f + 1/2, s + 1/2 + N) / B(f + 1/2, s + 1/2) <= 0.05` after `f` failing and `s` other runs.
fn repeats(asked: Repeat, target: &Target) -> NonZeroU32 {
    let times = match asked {
        Repeat::Times(times) => times.get(),
        Repeat::Auto if target.failing_runs == 0 => UNKNOWN_REPEATS,
        Repeat::Auto => {
            let (runs, failing) = (f64::from(target.runs), f64::from(target.failing_runs));
            let mut silent = 1.0;
            (0..MOST_AUTO)
                .take_while(|n| {
                    let again = silent > 0.05;
                    silent *= (runs - failing + 0.5 + f64::from(*n)) / (runs + 1.0 + f64::from(*n));
                    again
                })
                .count()
                .try_into()
                .unwrap_or(MOST_AUTO)
        }
    };
    NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN)
}

/// How long one repetition should take: from recorded durations, else the longest that a hunt would draw.
fn predicted(
    settings: &Settings,
    target: &Target,
    reader: Option<&Reader>,
) -> Result<Duration, StoreError> {
    let known: std::collections::BTreeMap<_, _> = match reader {
        Some(reader) => reader.durations(settings.suite.id)?.into_iter().collect(),
        None => std::collections::BTreeMap::new(),
    };
    let each = target
        .order
        .iter()
        .map(|(test, _)| known.get(test).copied());
    Ok(each
        .sum::<Option<Duration>>()
        .unwrap_or(settings.hunt.max_shard))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_repeats_as_often_as_the_record_calls_for() {
        // The table of the predictive rule: failing of all runs, repetitions.
        for (failing, runs, expected) in [
            (1, 1, 5),
            (4, 4, 2),
            (5, 10, 6),
            (3, 10, 12),
            (10, 50, 15),
            (5, 100, 71),
            (0, 3, 5),
        ] {
            let target = Target::of_runs(runs, failing);
            assert_eq!(
                repeats(Repeat::Auto, &target).get(),
                expected,
                "{failing}/{runs}"
            );
        }
    }
}
