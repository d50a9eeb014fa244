//! `minimize`: finds the smallest order that still fails, now. From a token, a file of names or a test on record; in
//! containers like a hunt, driven by the same analyst. Its probes are kept in the database where there is one.

mod answer;
mod inquiry;
mod notes;
mod typed;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use self::{
    answer::Answer,
    inquiry::{Book, Files, Inquiry, State},
    notes::Notes,
    typed::Subject,
};
use super::{
    Context, factors,
    hunt::{Evidence, lease, recorded_config, register},
    probing,
    replay::{
        self,
        resolve::{self, Target, impossible},
    },
    roster::Roster,
    session::{Crew, Listed, Session, state_folder, suite_key},
    stopping::{Stopping, block_on},
    subject,
};
use crate::{
    cli::MinimizeArgs,
    config::{Period, Settings},
    diagnose::{Analyst, Policy},
    error::{ExitCode, Failure},
    execute::{Dispatch, Dispatched, Event, MemoryRecorder, StoreRecorder},
    model::{Clock, HuntKind, HuntState, SystemClock, TestId},
    plan::{ALGORITHM, HuntNonce, MasterSeed, Tests},
    store::{Cursor, HuntStart, OpenOptions, Reader, RevisionId, StoreError, Writer},
    ui::escape,
};

/// How long a minimisation takes without `--limit`.
const LIMIT: Duration = Duration::from_mins(30);

/// Minimises.
///
/// # Errors
/// [`Failure`] with 150 for a subject that is none, 125 when it cannot be run here.
pub(super) fn run(
    context: &Context,
    arguments: &MinimizeArgs,
    settings: &Settings,
) -> Result<ExitCode, Failure> {
    let subject = Subject::of(arguments, &context.folder)?;
    block_on(minimize(context, arguments, settings, subject)).map_err(|failure| {
        // Who reads JSON gets an answer even where there was nothing to run.
        if failure.exit() != ExitCode::Inconclusive || !arguments.json {
            return failure;
        }
        let told = context.console.json(&answer::refused(&failure));
        told.map_or_else(Failure::from, |()| failure)
    })
}

async fn minimize(
    context: &Context,
    arguments: &MinimizeArgs,
    settings: &Settings,
    subject: Subject,
) -> Result<ExitCode, Failure> {
    let console = &context.console;
    let suite = settings.suite.id;
    if let Subject::Token(token) = &subject
        && let Some(owner) = resolve::suite_of(token).filter(|owner| *owner != suite)
    {
        let here = format!("`{}`, suite {suite}", settings.suite.name);
        return Err(resolve::other_suite(owner, &here));
    }
    let reader = match Reader::open(&settings.store.path) {
        Ok(reader) => Some(reader),
        Err(StoreError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let limit = arguments.limit.map_or(LIMIT, Period::duration);
    let deadline = Instant::now() + limit.min(super::session::LONGEST);
    let stopping = Stopping::listen(context.interrupts, Some(deadline), console)?;
    let listing = Session::listed(context, settings);
    let listed = stopping.unless_stopped(listing).await.map_err(|failure| {
        if failure.exit() == ExitCode::Suite {
            failure.with_exit(ExitCode::Inconclusive)
        } else {
            failure
        }
    })?;
    let Some(listed) = listed else {
        console.note("stopped before the tests were listed; none ran");
        return Ok(stopping.ending().aborted());
    };
    let begun = begin(settings, arguments, &subject, &listed, reader.as_ref())?;
    for line in begun.target.iter().flat_map(|target| &target.drift) {
        console.note(line);
    }
    let writer = match &reader {
        None => {
            console.note("there is no database of this suite: the probes are not recorded");
            None
        }
        Some(_) => book_of(context, settings)?,
    };
    let done = ask(
        context,
        settings,
        &stopping,
        listed,
        reader,
        writer.as_ref(),
        begun,
    )
    .await;
    let closed = match &writer {
        Some(writer) => writer.shutdown().await,
        None => Ok(()),
    };
    let answer = done?;
    closed?;
    answer.show(context, arguments.json, &stopping)
}

/// What a minimisation begins with.
struct Begun {
    target: Option<Target>,
    victim: Option<TestId>,
    most: u32,
}

fn begin(
    settings: &Settings,
    arguments: &MinimizeArgs,
    subject: &Subject,
    listed: &Listed,
    reader: Option<&Reader>,
) -> Result<Begun, Failure> {
    let tests = &listed.tests;
    let suite = settings.suite.id;
    let chosen = |typed: &OsStr| subject::find(typed, tests.names()).cloned();
    let mut victim = arguments.test.as_deref().map(chosen).transpose()?;
    let target = match subject {
        Subject::Token(token) => {
            let target = resolve::resolve(token, suite, tests, &settings.factors, reader, None)?;
            let only = target.watch.first().filter(|_| target.watch.len() == 1);
            victim = victim.or_else(|| only.cloned());
            Some(target)
        }
        Subject::Order(names) => {
            victim = victim.or_else(|| names.last().cloned());
            Some(resolve::of_names(names, tests)?)
        }
        Subject::Test(typed) => {
            let test = chosen(typed)?;
            let failures = match reader {
                Some(reader) => reader.failures_of(suite, &test, 1)?,
                None => Vec::new(),
            };
            if failures.is_empty() {
                return Err(impossible("no failure of this test is on record").hint(
                    "begin with a failing order: `--order FILE`, a name a line, the failing test last",
                ));
            }
            victim = Some(test);
            None
        }
    };
    if let (Some(target), Some(victim)) = (&target, &victim)
        && !target.order().any(|(test, _)| test == victim)
    {
        return Err(Failure::new(
            ExitCode::Usage,
            format!(
                "`{}` is not in this order",
                escape::terminal(victim.as_bytes())
            ),
        ));
    }
    let most = target.as_ref().map_or(0, |target| {
        replay::repeats(crate::cli::Repeat::Auto, target).get()
    });
    Ok(Begun {
        target,
        victim,
        most,
    })
}

/// Opens the database for writing; `None` while a hunt holds it.
fn book_of(context: &Context, settings: &Settings) -> Result<Option<Writer>, Failure> {
    match Writer::open(&settings.store.path, &OpenOptions::at(SystemClock.now())) {
        Ok((writer, _)) => Ok(Some(writer)),
        Err(StoreError::Locked { .. }) => {
            context
                .console
                .note("a hunt holds the database: the probes are not recorded");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Asks until there is nothing left to ask, or the time is up.
async fn ask(
    context: &Context,
    settings: &Settings,
    stopping: &Stopping,
    listed: Listed,
    reader: Option<Reader>,
    writer: Option<&Writer>,
    begun: Begun,
) -> Result<Answer, Failure> {
    let mut random = [0; 24];
    getrandom::fill(&mut random).map_err(|error| {
        let message = format!("the system gives no random numbers: {error}");
        Failure::new(ExitCode::Internal, message)
    })?;
    let (seed, nonce) = random.split_at(8);
    let seed = MasterSeed(u64::from_le_bytes(seed.try_into().expect("8 bytes")));
    let nonce: [u8; 16] = nonce.try_into().expect("16 bytes are left");
    let book = match (writer, &reader) {
        (Some(writer), Some(known)) => {
            let revision = register(settings, &listed, known, writer).await?;
            Some(open_book(settings, writer, revision, seed, nonce).await?)
        }
        (_, _) => None,
    };
    let seeds = (seed, HuntNonce(nonce));
    let mut inquiry = inquiry(
        context,
        settings,
        &listed,
        reader.as_ref(),
        book,
        seeds,
        begun,
    )?;
    let hunt = inquiry.book.as_ref().map(|book| book.hunt);
    let notes = Notes {
        memory: MemoryRecorder::default(),
        store: writer.zip(hunt).map(|(writer, hunt)| StoreRecorder {
            writer: writer.clone(),
            folder: state_folder(settings),
            hunt,
        }),
    };
    inquiry.notes = notes.clone();
    let Crew {
        session,
        workers,
        events,
    } = listed.crew_with(settings, &notes, &stopping.stop);
    let files = Arc::clone(&inquiry.files);
    let mut beat = Instant::now();
    let dispatched = Dispatch {
        source: &mut inquiry,
        workers,
        events,
        stop: stopping.stop.clone(),
        wake: Arc::new(Notify::new()),
        hear: async |event: Option<Event>, _busy: usize| {
            if let Some(Event::Left { shard, left }) = event {
                if let (Some(writer), Some(_)) = (writer, hunt) {
                    let event = probing::left_behind(shard, &left);
                    writer.event(hunt, event).await?;
                }
                let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
                files.insert(shard, left);
                return Ok(());
            }
            if let (None, Some(writer), Some(hunt)) = (event, writer, hunt)
                && beat.elapsed() >= Duration::from_secs(5)
            {
                beat = Instant::now();
                writer.heartbeat(hunt, SystemClock.now()).await?;
            }
            Ok(())
        },
    }
    .run()
    .await;
    drop(session);
    let answer = Answer::of(settings, &inquiry, reader.as_ref())?;
    if let (Some(writer), Some(book)) = (writer, &inquiry.book) {
        answer.raise(writer, book).await?;
        let (state, why) = match dispatched {
            Ok(Dispatched::Exhausted) => (HuntState::Finished, "nothing is left to ask"),
            Ok(_) => (HuntState::Interrupted, "stopped before its end"),
            Err(_) => (HuntState::Failed, "the record is broken"),
        };
        let why = Some(why.to_owned());
        writer
            .set_hunt_state(book.hunt, state, why, SystemClock.now())
            .await?;
    }
    match dispatched? {
        Dispatched::Exhausted | Dispatched::Stopped(_) => Ok(answer),
        Dispatched::HostBroken => Err(Failure::new(
            ExitCode::Containers,
            "the containers did not run, one after the other",
        )
        .hint("`soakhound doctor` says what is missing")),
        Dispatched::Uncollected => Err(impossible("the suite does not collect")),
    }
}

/// Opens a row for this command, so that its probes have somewhere to belong.
async fn open_book(
    settings: &Settings,
    writer: &Writer,
    revision: RevisionId,
    seed: MasterSeed,
    nonce: [u8; 16],
) -> Result<Book, Failure> {
    let hunt = writer
        .begin_hunt(&HuntStart {
            suite: suite_key(settings),
            kind: HuntKind::Replay,
            master_seed: seed.0,
            nonce,
            algorithm: ALGORITHM,
            config: recorded_config(settings),
            ends: None,
            lease: lease(settings),
        })
        .await?;
    Ok(Book {
        writer: writer.clone(),
        reader: Reader::open(&settings.store.path)?,
        hunt: hunt.id,
        revision,
        next: 0,
    })
}

/// Puts the analyst before everything that is on record.
fn inquiry(
    context: &Context,
    settings: &Settings,
    listed: &Listed,
    reader: Option<&Reader>,
    book: Option<Book>,
    seeds: (MasterSeed, HuntNonce),
    begun: Begun,
) -> Result<Inquiry, Failure> {
    let suite = settings.suite.id;
    let runner = listed.session.rig.runner;
    let tests: &Arc<Tests> = &listed.tests;
    let ever = reader.map(|reader| reader.tests_of(suite)).transpose()?;
    let ever = ever.unwrap_or_default();
    let former = ever.iter().map(|(_, test)| test.clone());
    let roster = Roster::new(tests, former, |test| runner.module_of(test));
    let durations: BTreeMap<TestId, Duration> = match reader {
        Some(reader) => reader.durations(suite)?.into_iter().collect(),
        None => BTreeMap::new(),
    };
    let in_order: Vec<Option<Duration>> = tests
        .names()
        .iter()
        .map(|test| durations.get(test).copied())
        .collect();
    let policy = Policy {
        probe_share: settings.hunt.probe_share,
        factors: factors::domains(&settings.factors),
        ci_shards: settings.hunt.ci_shards.get(),
        ..Policy::default()
    };
    let names: Vec<String> = policy
        .factors
        .iter()
        .map(|factor| factor.name.clone())
        .collect();
    // One store asks each question once, whoever it is that asks: so the coins are the store's.
    let coins = match reader {
        Some(reader) => MasterSeed(u64::from(reader.database_id()?)),
        None => seeds.0,
    };
    let mut analyst = Analyst::new(roster.universe(&in_order), policy, coins);
    let (mut iterations, mut left) = (0, Vec::new());
    if let Some(reader) = reader {
        let hunt = book.as_ref().map_or(-1, |book| book.hunt);
        let mut evidence = Evidence::new(Cursor::start(suite), hunt, &ever, &roster, names);
        evidence.observe(reader, &roster, &mut analyst)?;
        iterations = evidence.iterations();
        let questions = reader.questions(suite)?;
        let known = questions.iter().map(|row| roster.question(&row.recorded()));
        analyst.restore(known.collect());
        left = questions;
        left.retain(|question| {
            let about = begun.victim.as_ref();
            let mut open = question.unanswered().peekable();
            about == Some(&question.opened.victim)
                && open.peek().is_some()
                && open.all(|row| roster.can_run(&row.probe))
        });
    }
    Ok(Inquiry {
        console: context.console.clone(),
        analyst,
        roster,
        tests: Arc::clone(tests),
        factors: settings.factors.clone(),
        durations,
        notes: Notes {
            memory: MemoryRecorder::default(),
            store: None,
        },
        book,
        seeds,
        iterations,
        workers: u32::from(settings.hunt.workers.get()),
        target: begun.target,
        most: begun.most,
        victim: begun.victim,
        left,
        files: Files::default(),
        state: State::default(),
    })
}
