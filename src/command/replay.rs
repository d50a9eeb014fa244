//! `replay`: runs the order of a token again and compares what it shows with the record. Leaves no trace in
//! the database: running a known order again is no evidence.

mod compare;
mod local;
mod place;
pub(super) mod record;
pub(super) mod resolve;
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
    repro::Repro,
    stopping::{Stopping, block_on},
    subject,
};
use crate::{
    cli::{Repeat, ReplayArgs},
    config::Settings,
    error::{ExitCode, Failure},
    execute::Stop,
    model::{Count, SuiteId, UnixMillis},
    plan::Token,
    stats,
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
    let source = Source::of(arguments)?;
    let show = Show {
        console: &context.console,
        json: arguments.json,
    };
    block_on(replay(context, arguments, settings, source, &show)).map_err(|failure| {
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
    source: Source,
    show: &Show<'_>,
) -> Result<ExitCode, Failure> {
    let suite = settings.suite.id;
    let here = format!("`{}`, suite {suite}", settings.suite.name);
    if let Some(owner) = source.suite().filter(|owner| *owner != suite) {
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
    let token = source.token().clone();
    let typed = arguments.test.as_deref();
    let about = typed
        .map(|typed| subject::find(typed, place.tests().names()).cloned())
        .transpose()?;
    let mut target = match source {
        Source::Token(token) => resolve(
            &token,
            suite,
            place.tests(),
            &settings.factors,
            reader.as_ref(),
            about.as_ref(),
        )?,
        Source::File(repro) => resolve::of_file(*repro, place.tests(), about.as_ref())?,
    };
    if let Some(reader) = &reader {
        target.repeat = recipe(&token, suite, reader)?.or(target.repeat);
    }
    show.target(&token, &target, settings)?;
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

/// Where the order comes from.
enum Source {
    Token(Token),
    File(Box<Repro>),
}

impl Source {
    /// Reads what was given.
    fn of(arguments: &ReplayArgs) -> Result<Self, Failure> {
        let token = arguments.token.as_deref().map(parsed).transpose()?;
        let Some(file) = &arguments.from else {
            return Ok(Self::Token(token.expect("one of the two is required")));
        };
        let repro = Repro::read(file)?;
        if token.is_some_and(|token| token != repro.token) {
            return Err(Failure::new(
                ExitCode::Usage,
                "the file is about another token than the one given",
            )
            .hint(format!("it holds {}", repro.token)));
        }
        Ok(Self::File(Box::new(repro)))
    }

    fn token(&self) -> &Token {
        match self {
            Self::Token(token) => token,
            Self::File(repro) => &repro.token,
        }
    }

    /// The suite that it names; a reference names a database instead.
    fn suite(&self) -> Option<SuiteId> {
        match self {
            Self::Token(token) => resolve::suite_of(token),
            Self::File(repro) => Some(repro.suite),
        }
    }
}

/// Reads a token as a person typed it.
///
/// # Errors
/// [`Failure`] with 150 for a text that is none.
pub(super) fn parsed(text: &str) -> Result<Token, Failure> {
    text.parse().map_err(|error| {
        Failure::new(ExitCode::Usage, error)
            .hint("a token is one word from `flags`, `status`, `hunt` or a report; copy it whole")
    })
}

/// Returns how many repetitions show the recipe of this token with 95 %, where a flag of the suite has it.
///
/// # Errors
/// When the database cannot be read.
pub(super) fn recipe(
    token: &Token,
    suite: SuiteId,
    reader: &Reader,
) -> Result<Option<u32>, StoreError> {
    let text = token.to_string();
    let flags = reader.flags(suite, UnixMillis(i64::MIN))?;
    let mut of_token = flags
        .into_iter()
        .filter(|row| row.token.as_deref() == Some(&text));
    Ok(of_token
        .find_map(|row| row.flag.recipe)
        .map(|recipe| recipe.repeat))
}

/// How often to run: what was asked for, or what shows the recorded failure with a probability of 95 %: what a
/// certified recipe says, else what the recorded runs of this order do.
pub(super) fn repeats(asked: Repeat, target: &Target) -> NonZeroU32 {
    let times = match asked {
        Repeat::Times(times) => times.get(),
        Repeat::Auto => match target.repeat {
            Some(repeat) => repeat.min(MOST_AUTO),
            None if target.failing_runs == 0 => UNKNOWN_REPEATS,
            None => stats::repeats(Count {
                failures: target.failing_runs.into(),
                trials: target.runs.into(),
            })
            .predictive
            .min(MOST_AUTO),
        },
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
    let each = target.order().map(|(test, _)| known.get(test).copied());
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

    #[test]
    fn auto_repeats_as_often_as_the_certified_recipe_says() {
        let mut target = Target::of_runs(1, 1);
        target.repeat = Some(17);
        assert_eq!(repeats(Repeat::Auto, &target).get(), 17);
        target.repeat = Some(u32::MAX);
        assert_eq!(repeats(Repeat::Auto, &target).get(), MOST_AUTO);
    }
}
