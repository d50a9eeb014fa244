//! Where a hunt thinks: the analyst with its own eyes on the record. Nothing here waits, and nothing here writes.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;

use super::{analysis::Over, evidence::Evidence, news::Claim};
use crate::{
    command::{
        canary, fixed, probing,
        roster::{Asked, Roster},
        stream::{durations, is_time_to_reload},
        tokens,
    },
    diagnose::{Analyst, Policy},
    model::{
        Answer, Count, Fixed, Flag, Outcome, Probe, Question, QuestionId, Reply, ShardState,
        SuiteId, TestId, UnixMillis,
    },
    plan::{Handles, MasterSeed, Row, Tests},
    store::{
        AnalysisRow, CanaryRow, Cursor, ProbeRow, QuestionRow, Reader, RevisionId, StoreError,
    },
    suite::Runner,
};

/// A flag is written again without another claim once its trials are so many times those written last: `show` and
/// `flags` give its counts, and one row for each doubling keeps a year's worth of them small.
const GROWN: u64 = 2;

/// What a desk needs.
pub(super) struct DeskStart {
    pub(super) database: PathBuf,
    pub(super) suite: SuiteId,
    pub(super) hunt: i64,
    /// What is under test now.
    pub(super) revision: RevisionId,
    pub(super) tests: Arc<Tests>,
    pub(super) runner: &'static dyn Runner,
    pub(super) durations: Vec<Option<Duration>>,
    pub(super) policy: Policy,
}

/// Which flags are to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// Those that claim something else than what is written, or whose counts have grown a lot.
    Claims,
    /// Those that differ in anything.
    Counts,
}

/// A flag to be written.
pub(super) struct Raised {
    pub(super) flag: Flag,
    pub(super) handle: Option<String>,
    pub(super) token: Option<String>,
    /// Is it to be announced?
    pub(super) is_news: bool,
}

/// What an earlier process left.
pub(super) struct Loose {
    /// Probes that ran and were not answered, or that cannot run any more, with their answers.
    pub(super) answered: Vec<(Over, Reply<TestId>)>,
    /// Probes to run again, as they were planned.
    pub(super) again: Vec<Asked>,
}

/// The analyst and what it reads.
pub(super) struct Desk {
    reader: Reader,
    runner: &'static dyn Runner,
    suite: SuiteId,
    revision: RevisionId,
    tests: Arc<Tests>,
    roster: Roster,
    analyst: Analyst,
    evidence: Evidence,
    questions: Vec<QuestionRow>,
    /// The newest flag of each test as it is written, and every systemic one.
    written: BTreeMap<Key, Flag>,
    /// Newest probe in which each test failed, by what ran beside it.
    shown: BTreeMap<(TestId, Vec<TestId>), i64>,
    /// Newest answered probe of each test that asked where the state lives.
    located: BTreeMap<TestId, i64>,
    /// Flagged tests that were fixed when it last looked for them.
    fixed: Vec<Fixed>,
    /// How often it has looked at the record since it began.
    looks: u64,
}

impl Desk {
    /// Reads everything that is on record.
    ///
    /// # Errors
    /// When the database cannot be read; so for all methods below.
    pub(super) fn open(start: DeskStart) -> Result<Self, StoreError> {
        let reader = Reader::open(&start.database)?;
        let listed = reader.tests_of(start.suite)?;
        let runner = start.runner;
        let former = listed.iter().map(|(_, test)| test.clone());
        let roster = Roster::new(&start.tests, former, |test| runner.module_of(test));
        let universe = roster.universe(&start.durations);
        // One store asks each question once, whichever hunt it is that asks: so the coins are the store's.
        let coins = MasterSeed(u64::from(reader.database_id()?));
        let factors = start
            .policy
            .factors
            .iter()
            .map(|factor| factor.name.clone());
        let cursor = Cursor::start(start.suite);
        let mut evidence = Evidence::new(cursor, start.hunt, &listed, &roster, factors);
        let mut analyst = Analyst::new(universe, start.policy, coins);
        // Flags are compared with what is written once all is known: these are passing thoughts.
        evidence.observe(&reader, &roster, &mut analyst)?;
        let questions = reader.questions(start.suite)?;
        let recorded = questions.iter().map(|row| roster.question(&row.recorded()));
        analyst.restore(recorded.collect());
        let written = reader.flags(start.suite, UnixMillis(0))?;
        let mut desk = Self {
            written: written.into_iter().map(|row| row.flag).map(keyed).collect(),
            reader,
            runner,
            suite: start.suite,
            revision: start.revision,
            tests: start.tests,
            roster,
            analyst,
            evidence,
            questions,
            shown: BTreeMap::new(),
            located: BTreeMap::new(),
            fixed: Vec::new(),
            looks: 0,
        };
        desk.remember_probes();
        Ok(desk)
    }

    fn remember_probes(&mut self) {
        let questions = std::mem::take(&mut self.questions);
        for row in questions.iter().flat_map(|row| &row.probes) {
            if let Some(reply) = &row.reply {
                self.remember(&row.probe, row.shard, reply.answer);
            }
        }
        self.questions = questions;
    }

    fn remember(&mut self, probe: &Probe<TestId>, shard: i64, answer: Answer) {
        if answer == Answer::Failed {
            let key = (probe.victim.clone(), probe.beside.clone());
            self.shown.insert(key, shard);
        }
        if answer != Answer::Void && probe.question == Question::Locate {
            self.located.insert(probe.victim.clone(), shard);
        }
    }

    /// Finds what an earlier process left.
    pub(super) fn loose_ends(&mut self) -> Result<Loose, StoreError> {
        let mut loose = Loose {
            answered: Vec::new(),
            again: Vec::new(),
        };
        for question in std::mem::take(&mut self.questions) {
            for row in question.unanswered() {
                let over = || Over {
                    shard: row.shard,
                    question: question.id,
                    place: row.place,
                    probe: row.probe.clone(),
                };
                if row.state == ShardState::Finished {
                    let over = over();
                    let reply = self.reply(&over)?;
                    loose.answered.push((over, reply));
                } else if self.roster.can_run(&row.probe) && !question.is_torn(row, self.revision) {
                    loose.again.push(again(&question, row));
                } else {
                    loose.answered.push((over(), probing::nothing()));
                }
            }
        }
        Ok(loose)
    }

    /// Takes what closed since. Returns the flags that this changed.
    pub(super) fn observe(&mut self) -> Result<Vec<Flag>, StoreError> {
        self.looks += 1;
        if is_time_to_reload(self.looks) {
            let known = durations(&self.reader, self.suite, &self.tests)?;
            self.analyst.learn_seconds(&self.roster.seconds(&known));
        }
        let Self {
            evidence,
            reader,
            roster,
            analyst,
            ..
        } = self;
        evidence.observe(reader, roster, analyst)
    }

    /// Reads what a probe showed.
    pub(super) fn reply(&self, over: &Over) -> Result<Reply<TestId>, StoreError> {
        let shard = self.reader.shard(over.shard)?;
        let mut segments = Vec::new();
        for id in self.reader.segments_of(over.shard)? {
            segments.push(self.reader.segment(id)?);
        }
        let last = segments.iter().map(|segment| segment.open.attempt).max();
        segments.retain(|segment| Some(segment.open.attempt) == last);
        Ok(probing::reply(&over.probe, &shard.plan.factors, &segments))
    }

    /// Takes the answer of a probe. Returns the flags that this changed.
    pub(super) fn answer(&mut self, over: &Over, reply: &Reply<TestId>) -> Vec<Flag> {
        self.remember(&over.probe, over.shard, reply.answer);
        let reply = self.roster.reply(reply);
        self.analyst.answer(over.question, over.place, &reply)
    }

    /// Takes away what questions came to since, to be recorded before what is proposed later.
    pub(super) fn take_concluded(&mut self) -> Vec<(QuestionId, Value)> {
        self.analyst.take_concluded()
    }

    /// Returns batches of at least `room` probes altogether, as far as there are any; without a budget where no
    /// iteration is left that could earn one.
    pub(super) fn propose(&mut self, room: usize, closing: bool) -> Vec<Asked> {
        let mut asked = Vec::new();
        let mut probes = 0;
        while probes < room {
            let mut batch = self.analyst.propose();
            if batch.is_none() && closing {
                batch = self.analyst.propose_last();
            }
            let Some(batch) = batch else { break };
            probes += batch.probes.len();
            asked.push(self.roster.name(&batch));
        }
        asked
    }

    /// Returns the flags among these that are to be written, and remembers them as written.
    pub(super) fn news(&mut self, flags: Vec<Flag>, keep: Keep) -> Result<Vec<Raised>, StoreError> {
        let tests = Arc::clone(&self.tests);
        let handles = Handles::of(tests.names());
        let mut raised = Vec::new();
        for flag in flags {
            let (key, mut flag) = keyed(flag);
            self.tell_files(&mut flag)?;
            let before = self.written.get(&key);
            let is_news = before.is_none_or(|before| Claim::of(before) != Claim::of(&flag));
            let has_grown =
                before.is_some_and(|before| flag.soak.trials >= GROWN * before.soak.trials.max(1));
            let says_more = before.is_some_and(|before| {
                (before.reach, &before.files_left) != (flag.reach, &flag.files_left)
            });
            let differs = before != Some(&flag) && (has_grown || says_more || keep == Keep::Counts);
            if !is_news && !differs {
                continue;
            }
            let token = self.token(&flag, &handles)?;
            self.written.insert(key, flag.clone());
            raised.push(Raised {
                handle: flag
                    .test
                    .as_ref()
                    .map(|test| handles.handle(test).to_string()),
                token: token.map(|token| token.to_string()),
                is_news: is_news && flag.certified,
                flag,
            });
        }
        Ok(raised)
    }

    /// Adds what the probe that found out where the state lives left behind.
    fn tell_files(&self, flag: &mut Flag) -> Result<(), StoreError> {
        let located = flag.test.as_ref().and_then(|test| self.located.get(test));
        if let Some(shard) = located.filter(|_| flag.reach.is_some()) {
            probing::tell_files(flag, self.reader.files_left(*shard)?);
        }
        Ok(())
    }

    /// What replays a flag: its recipe, or the probe or the shard that showed it last.
    fn token(
        &self,
        flag: &Flag,
        handles: &Handles<'_>,
    ) -> Result<Option<crate::plan::Token>, StoreError> {
        let Some(test) = &flag.test else {
            return Ok(None);
        };
        let complete = flag
            .recipe
            .as_ref()
            .and_then(|recipe| tokens::of_recipe(self.suite, handles, recipe));
        if complete.is_some() {
            return Ok(complete);
        }
        let database = self.reader.database_id()?;
        let beside = flag.recipe.as_ref().map(|recipe| recipe.beside.clone());
        if let Some(shard) = self.shown.get(&(test.clone(), beside.unwrap_or_default())) {
            let row = Row::Shard(shard.unsigned_abs());
            return Ok(Some(tokens::of_row(row, database)));
        }
        let Some(seen) = self.reader.failures_of(self.suite, test, 1)?.pop() else {
            return Ok(None);
        };
        if self.reader.segments_of(seen.shard)?.first() != Some(&seen.segment) {
            let row = Row::Segment(seen.segment.unsigned_abs());
            return Ok(Some(tokens::of_row(row, database)));
        }
        let shard = self.reader.shard(seen.shard)?;
        let list = self.reader.revision(shard.revision)?.list;
        Ok(Some(tokens::of_shard(
            self.suite,
            list,
            &shard.plan,
            shard.id,
            database,
        )))
    }

    /// Returns the newest flag of every test that has one.
    pub(super) fn flags(&self) -> Vec<Flag> {
        self.analyst.flags()
    }

    /// Goes through the record for flagged tests that are fixed.
    pub(super) fn look_for_fixed(&mut self, now: UnixMillis) -> Result<(), StoreError> {
        self.fixed = fixed::look(self.suite, &self.reader, now)?;
        Ok(())
    }

    /// Returns how the analysis stands, and how each test does that has open questions or unexplained failures, or
    /// a flag.
    pub(super) fn stands(&self, hunt: i64, at: UnixMillis) -> (AnalysisRow, Vec<(TestId, Value)>) {
        let mut tests = self.analyst.open_cases();
        let flags = self.analyst.flags();
        let flagged = flags.iter().filter_map(|flag| flag.test.as_ref());
        tests.extend(flagged.filter_map(|test| self.roster.index(test)));
        tests.sort_unstable();
        tests.dedup();
        let standings = tests.into_iter().map(|test| {
            let standing = self.analyst.standing(test);
            let body = serde_json::to_value(&standing).expect("counts and texts are JSON");
            (self.roster.test(test).clone(), body)
        });
        let row = AnalysisRow {
            at,
            hunt,
            iterations: self.evidence.iterations(),
            attempts: self.analyst.attempts(),
            pair_coverage: self.analyst.pair_coverage(),
            canary: None,
            suspected: self.analyst.suspected(),
            fixed: self.fixed.clone(),
        };
        (row, standings.collect())
    }

    /// Returns how the canary stands, where this is its own desk.
    pub(super) fn canary(&self) -> Result<CanaryRow, StoreError> {
        let canary = self.runner.canary();
        let coin = self.reader.outcomes_of(self.suite, canary.coin())?;
        let failures = coin.sum(Outcome::is_failing);
        let seen = canary::Seen {
            iterations: self.evidence.iterations(),
            coin: Count {
                failures,
                trials: failures + coin.of(Outcome::Passed),
            },
        };
        let state = canary::state(canary, seen, &self.analyst.flags());
        Ok(CanaryRow {
            state: state.word().to_owned(),
            why: state.why().map(str::to_owned),
        })
    }

    /// Returns the seconds of workers that the iterations of this hunt took.
    pub(super) fn spent(&self) -> f64 {
        self.evidence.spent()
    }

    /// Returns the number of tests that are not explained yet.
    pub(super) fn open_cases(&self) -> u64 {
        self.analyst.open_cases().len() as u64
    }

    /// Returns the number of tests with a certified flag that need action.
    pub(super) fn certified(&self) -> u64 {
        // Nights of bad hosts, tests that are gone, and those that are fixed need none.
        let is_fixed = |test: &TestId| self.fixed.iter().any(|fixed| fixed.test == *test);
        let open = |flag: &&Flag| {
            let test = flag.test.as_ref();
            flag.certified && test.is_some_and(|test| self.roster.has(test) && !is_fixed(test))
        };
        self.written.values().filter(open).count() as u64
    }
}

/// What a flag is about: a test, or a moment in the life of the suite.
type Key = (Option<TestId>, Option<u64>);

fn keyed(flag: Flag) -> (Key, Flag) {
    let since = flag.since_iteration.filter(|_| flag.test.is_none());
    ((flag.test.clone(), since), flag)
}

/// A probe to be planned again.
fn again(question: &QuestionRow, row: &ProbeRow) -> Asked {
    Asked {
        question: question.id,
        opened: None,
        first: row.place,
        probes: vec![row.probe.clone()],
    }
}
