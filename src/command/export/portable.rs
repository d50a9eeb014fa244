//! `export --repro`: what another machine needs, so that a token replays there without this database.

use std::path::Path;

use crate::{
    command::{
        Context,
        finding::read,
        replay::{self, record::Recorded, resolve::impossible},
        repro::{Repro, Shown},
    },
    config::Settings,
    error::{ExitCode, Failure},
    model::{SuiteId, TestId, TrialRecord},
    plan::{Found, Handles, Minimal, ShortDigest, Token},
    store::{Reader, signature},
    ui::text,
};

/// Writes the portable file of a token.
///
/// # Errors
/// [`Failure`] with 150 for what is no token or a file that exists, 125 where this database does not know the order.
pub(super) fn run(
    context: &Context,
    token: &str,
    out: Option<&Path>,
    settings: &Settings,
) -> Result<ExitCode, Failure> {
    let token = replay::parsed(token)?;
    let suite = settings.suite.id;
    if let Some(owner) = replay::resolve::suite_of(&token).filter(|owner| *owner != suite) {
        let here = format!("`{}`, suite {suite}", settings.suite.name);
        return Err(replay::resolve::other_suite(owner, &here));
    }
    let reader = Reader::open(&settings.store.path)?;
    let recorded = recorded(&token, suite, &reader)?;
    let repeat = replay::recipe(&token, suite, &reader)?;
    let repro = portable(token, suite, recorded, repeat);
    let trials: usize = repro.processes.iter().map(Vec::len).sum();
    let what = format!("{}, {}", repro.what, text::plural(trials as u64, "trial"));
    super::put(context, out, &repro.text(), &what)?;
    if out.is_some() {
        context.console.line(
            "next: copy it into a checkout of the suite, and there: soakhound replay --from FILE",
        )?;
    }
    Ok(ExitCode::Fine)
}

/// Finds the order of a token in this database.
fn recorded(token: &Token, suite: SuiteId, reader: &Reader) -> Result<Recorded, Failure> {
    match token {
        Token::Reference(reference) => replay::record::of_reference(*reference, suite, reader),
        Token::Random(random) => replay::record::of_seed(random, reader)?.ok_or_else(|| {
            impossible("this database did not record that order")
                .hint("the token alone replays it wherever the suite lists the same tests")
        }),
        Token::Minimal(minimal) => of_handles(minimal, suite, reader),
    }
}

fn of_handles(minimal: &Minimal, suite: SuiteId, reader: &Reader) -> Result<Recorded, Failure> {
    let listed = read::tests(suite, reader)?;
    let handles = Handles::of(&listed);
    let mut order: Vec<(TestId, u8)> = Vec::new();
    for handle in minimal.handles() {
        let Found::One(test) = handles.find(*handle) else {
            return Err(impossible(format!(
                "no test of the newest recorded revision has the handle {handle}"
            )));
        };
        let test = &listed[test as usize];
        let again = order.iter().filter(|(before, _)| before == test).count();
        order.push((test.clone(), u8::try_from(again + 1).unwrap_or(u8::MAX)));
    }
    let digest = crate::model::ListDigest::of(order.iter().map(|(test, _)| test));
    if ShortDigest::from(&digest) != minimal.digest() {
        return Err(impossible(
            "the tests with these handles are others than those of the token",
        ));
    }
    let levels = minimal.factors().iter();
    Ok(Recorded {
        about: order.last().map(|(test, _)| test.clone()),
        processes: vec![order],
        beside: Vec::new(),
        order: digest,
        levels: levels
            .map(|set| (set.factor.clone(), set.level.clone()))
            .collect(),
        seed32: 0,
        what: format!(
            "a minimal order of {}",
            text::plural(minimal.handles().len() as u64, "test")
        ),
        runs: Vec::new(),
        listed,
    })
}

fn portable(token: Token, suite: SuiteId, recorded: Recorded, repeat: Option<u32>) -> Repro {
    let told: Vec<Vec<TrialRecord>> = recorded
        .runs
        .into_iter()
        .map(|run| {
            let told = run.into_iter().filter(|trial| !trial.outcome.is_void());
            told.collect()
        })
        .collect();
    let is_watched = |trial: &TrialRecord| {
        recorded
            .about
            .as_ref()
            .is_none_or(|about| *about == trial.test)
    };
    let fails = |trial: &TrialRecord| is_watched(trial) && trial.outcome.is_failing();
    let mut watch: Vec<TestId> = told
        .iter()
        .flatten()
        .filter(|trial| fails(trial))
        .map(|trial| trial.test.clone())
        .chain(recorded.about.clone())
        .collect();
    watch.sort_unstable();
    watch.dedup();
    let said = told.iter().filter(|run| run.iter().any(is_watched)).count();
    let failed = told.iter().filter(|run| run.iter().any(fails)).count();
    let count = |runs: usize| u32::try_from(runs).unwrap_or(u32::MAX);
    let newest = told.last().map_or(&[][..], Vec::as_slice);
    let shown = |trial: &TrialRecord| Shown {
        test: trial.test.clone(),
        rep: trial.rep,
        outcome: trial.outcome,
        signature: trial
            .detail
            .as_deref()
            .filter(|_| trial.outcome.is_failing())
            .map(signature),
    };
    Repro {
        token,
        suite,
        what: recorded.what,
        processes: recorded.processes,
        beside: recorded.beside,
        factors: recorded.levels,
        seed32: recorded.seed32,
        list: crate::model::ListDigest::of(&recorded.listed),
        outcomes: newest.iter().map(shown).collect(),
        watch,
        runs: (count(said), count(failed)),
        repeat,
    }
}
