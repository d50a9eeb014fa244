//! The analyst: takes observations and answers, gives batches of probes and flags.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use serde::{Deserialize, Serialize};

use super::{
    case::Case,
    chance::Coins,
    docket::{self, Bucket},
    flow::{Facts, Plan},
    ledger::Ledger,
    observation::{FactorDomain, Observation, Universe},
    question::{Conclusion, Inquiry, NextStep, View},
    ranking::Source,
    setup::{Opening, Search, Setup},
    systemic,
};
use crate::{
    model::{Count, Flag, Opened, Probe, QuestionId, Recorded, Reply, Role, Suspicion, TestId},
    plan::MasterSeed,
    stats::Tables,
};

/// Runs up to which Bayes factors come from tables.
const TABLED_RUNS: u32 = 4096;
/// Questions that may come to an end without a probe, one after the other, before a test waits for new data.
const STEPS: usize = 64;
/// False discovery rate of the list of suspicions.
const SUSPECTED: f64 = 0.05;

/// What the analyst may spend and what it must know of the suite's environment.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Share of the running time that probes may take while questions are open, `0.0..=1.0`.
    pub probe_share: f64,
    /// What a container costs beside its tests, in seconds.
    pub container_seconds: f64,
    /// The factors, in the order that observations index.
    pub factors: Vec<FactorDomain>,
    /// e-value that certifies.
    pub certify: f64,
    /// Number of shards in the suite's CI.
    pub ci_shards: u16,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            probe_share: 0.3,
            container_seconds: 0.3,
            factors: Vec::new(),
            certify: 1000.0,
            ci_shards: 1,
        }
    }
}

/// Probes to run next, all of one question. They may run side by side; the question goes on when all are answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The question.
    pub question: QuestionId,
    /// Set with the first batch of a question: to be recorded before its probes.
    pub opened: Option<Opened>,
    /// Place of the first of `probes` among all probes of the question, from 0.
    pub first: u32,
    /// What to run; never empty.
    pub probes: Vec<Probe<u32>>,
}

/// How one test stands, for `show`: all that is known, flag or not.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Standing {
    /// Failures in recorded iterations, infrastructure left out.
    pub soak: Count,
    /// Failures alone in a fresh container.
    pub alone: Count,
    /// Failures that were set aside as infrastructure.
    pub infra: u64,
    /// Explanations by posterior probability, highest first, in plain words.
    pub explanations: Vec<(String, f64)>,
    /// What was ruled out and how, in plain sentences.
    pub ruled_out: Vec<String>,
    /// Natural logarithm of the passive e-value against "order does not matter", where that is above 1; else 0.
    pub ln_e: f64,
}

/// Follows a hunt. One owner, no clock: the same calls give the same answers.
#[derive(Debug)]
pub struct Analyst {
    universe: Universe,
    policy: Policy,
    coins: Coins,
    ledger: Ledger,
    tables: Tables,
    index: HashMap<TestId, u32>,
    /// Tests that killed a process in a probe.
    deadly: Vec<bool>,
    cases: BTreeMap<u32, Desk>,
    /// Which test a question is about.
    about: BTreeMap<QuestionId, u32>,
    next_question: u32,
    attempts: u64,
    bucket: Bucket,
    /// Seconds that a question may cost by now that more recorded runs would make cheaper.
    patience: f64,
    time: Time,
    /// Single polluters that are certified, with how many tests each pollutes.
    polluters: BTreeMap<u32, u32>,
    systemic: Vec<Flag>,
    /// Segments of bursts that were told of.
    told: BTreeSet<u32>,
    /// What questions came to that is not taken away yet.
    concluded: Vec<(QuestionId, serde_json::Value)>,
    /// Is the soak over?
    pressing: bool,
}

/// A case with what is to be done about it.
#[derive(Debug, Default)]
struct Desk {
    case: Case,
    /// The question to open next; `None` with nothing open means that it waits for data.
    plan: Option<Plan>,
    /// Places of the open question's probes from here on are not handed out yet.
    handed: usize,
    /// Failures and runs at which a waiting case is looked at again.
    again: Count,
    looked: bool,
    /// Was it looked at since no more recorded runs are to be expected?
    pressed: bool,
    flag: Option<Flag>,
}

/// Hours, as replies count them: between replies they go on with the hours of the observations.
#[derive(Clone, Copy, Debug, Default)]
struct Time {
    hour: Option<f64>,
    observed: f64,
    replied: f64,
    observed_at_reply: f64,
}

impl Analyst {
    /// Starts without evidence. `coins` decides every random choice: arms, decoys, fillers.
    #[must_use]
    pub fn new(universe: Universe, policy: Policy, coins: MasterSeed) -> Self {
        let ledger = Ledger::new(&universe, &policy.factors);
        let index = universe.names.iter().cloned().zip(0..).collect();
        let deadly = vec![false; universe.names.len()];
        Self {
            universe,
            policy,
            coins: Coins::new(coins),
            ledger,
            tables: Tables::new(TABLED_RUNS),
            index,
            deadly,
            cases: BTreeMap::new(),
            about: BTreeMap::new(),
            next_question: 0,
            attempts: 0,
            bucket: Bucket::default(),
            patience: 0.0,
            time: Time::default(),
            polluters: BTreeMap::new(),
            systemic: Vec::new(),
            told: BTreeSet::new(),
            concluded: Vec::new(),
            pressing: false,
        }
    }

    /// Takes how long each test of the universe takes, in seconds, as it is known by now: what is chosen from here on
    /// (decoys, which last at least as long as what they stand for; what is cheapest) goes by it.
    ///
    /// # Panics
    /// When these are not as many as the universe has tests.
    pub fn learn_seconds(&mut self, seconds: &[f32]) {
        self.universe.seconds.copy_from_slice(seconds);
    }

    /// Takes one closed segment, in the order of the plan.
    pub fn observe(&mut self, observation: &Observation<'_>) {
        self.time.observe(f64::from(observation.hour));
        self.ledger.observe(observation);
    }

    /// Looks at the evidence once an iteration is complete behind the watermark; `spent` is what it took, in
    /// seconds of one worker, and earns probes their share. Returns the flags that this changed.
    pub fn end_iteration(&mut self, iteration: u64, spent: f64) -> Vec<Flag> {
        self.bucket.earn(spent, self.policy.probe_share);
        self.patience = docket::patience(iteration) * self.universe.iteration_seconds();
        self.reopen();
        let waited = self.ledger.waiting();
        let suspects = self.ledger.end_iteration(iteration);
        let mut changed = self.systemic_flags();
        for victim in suspects {
            let soak = self.soak(victim);
            // A replay may be due at once, or come to be no longer waited for.
            let replay = waited.contains(&victim) || self.ledger.awaited(victim).is_some();
            let desk = self.cases.entry(victim).or_default();
            let due = replay && desk.plan.is_none();
            let waits = desk.case.open.is_none();
            let due =
                due || soak.failures >= desk.again.failures || soak.trials >= desk.again.trials;
            if waits && (!desk.looked || due) {
                self.look(victim);
                changed.extend(self.refresh(victim));
            }
        }
        changed
    }

    /// Gives back the questions of earlier processes, after all their observations.
    pub fn restore(&mut self, questions: Vec<Recorded<u32>>) {
        let mut by_victim: BTreeMap<u32, Vec<(Inquiry, Option<Conclusion>)>> = BTreeMap::new();
        for recorded in questions {
            self.next_question = self.next_question.max(recorded.id.0 + 1);
            self.attempts += u64::from(recorded.opened.attempt);
            let opened = &recorded.opened;
            let victim = self.index.get(&opened.victim).copied();
            let opening = Opening::from_json(&opened.parameters, &self.index);
            let (Some(victim), Some(opening)) = (victim, opening) else {
                continue;
            };
            let (id, question) = (recorded.id, opened.question);
            let mut inquiry = Inquiry::new(id, victim, question, opened.attempt, opening);
            inquiry.probes = recorded.probes;
            let concluded = recorded.concluded.as_ref();
            let concluded = concluded.and_then(|it| Conclusion::from_json(it, &self.index));
            self.about.insert(id, victim);
            let recorded = by_victim.entry(victim).or_default();
            recorded.push((inquiry, concluded));
        }
        for (victim, mut inquiries) in by_victim {
            inquiries.sort_by_key(|(inquiry, _)| inquiry.id);
            let last = inquiries.len() - 1;
            for (place, (mut inquiry, concluded)) in inquiries.into_iter().enumerate() {
                let desk = self.cases.entry(victim).or_default();
                for (probe, reply) in &inquiry.probes {
                    if let Some(reply) = reply {
                        desk.case.count(probe, reply);
                        self.time.reply(reply.hours);
                        if let Some(test) = reply.died_in {
                            self.deadly[test as usize] = true;
                        }
                    }
                }
                inquiry.catch_up();
                if concluded.is_some() && !inquiry.waits() {
                    inquiry.conclusion = concluded;
                    desk.case.close(inquiry);
                    continue;
                }
                desk.handed = inquiry.probes.len();
                desk.case.open = Some(inquiry);
                self.proceed(victim);
                let desk = self.cases.entry(victim).or_default();
                if let Some(mut unfinished) = desk.case.open.take_if(|_| place < last) {
                    unfinished.give_up();
                    let conclusion = unfinished.conclusion.as_ref();
                    let judged = conclusion.and_then(|it| it.to_json(&self.universe.names));
                    self.concluded.extend(judged.map(|it| (unfinished.id, it)));
                    desk.case.close(unfinished);
                }
            }
        }
        let victims: Vec<u32> = self.cases.keys().copied().collect();
        for victim in &victims {
            let case = &self.cases[victim].case;
            for inquiry in &case.closed {
                note_replay(&mut self.ledger, inquiry);
            }
            if case.is_explained() {
                self.ledger.explain(*victim);
            }
        }
        self.ledger.rejudge();
        self.systemic_flags();
        for victim in victims {
            self.note_polluters(victim);
            if self
                .cases
                .get(&victim)
                .is_some_and(|desk| desk.case.open.is_none())
            {
                self.look(victim);
            }
            self.refresh(victim);
        }
    }

    /// Returns what to run next within the budget; `None` when there is nothing to ask or nothing left to spend.
    /// The same question is not returned again until all its probes are answered.
    pub fn propose(&mut self) -> Option<Batch> {
        if !self.bucket.allows() {
            return None;
        }
        let mut ready: Vec<(f64, u32)> = self
            .cases
            .iter()
            .filter(|(_, desk)| !self.can_wait(desk))
            .filter_map(|(victim, desk)| Some((self.cost(*victim, desk)?, *victim)))
            .collect();
        ready.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        ready.into_iter().find_map(|(_, victim)| self.batch(victim))
    }

    /// As [`propose`](Self::propose) without a budget, for the end of a hunt: no iteration is to come that could earn
    /// one, or make a question cheaper. Tests that few probes were spent on come first, in doubling classes, and then
    /// what costs least: a certificate takes a few dozen, and what takes hundreds must not starve it.
    pub fn propose_last(&mut self) -> Option<Batch> {
        let mut ready: Vec<(u32, f64, u32)> = Vec::new();
        for victim in self.open_cases() {
            self.press(victim);
            let Some(desk) = self.cases.get(&victim) else {
                continue;
            };
            if let Some(cost) = self.cost(victim, desk) {
                ready.push((docket::class(desk.case.probes()), cost, victim));
            }
        }
        ready.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
        let victims = ready.into_iter().map(|(_, _, victim)| victim);
        victims.into_iter().find_map(|victim| self.batch(victim))
    }

    /// As [`propose`](Self::propose), for one test and without a budget: for `minimize`.
    pub fn propose_for(&mut self, victim: u32) -> Option<Batch> {
        // Where the replay of another test is to decide first, that is what there is to ask.
        let replayed = self.ledger.decided_by(victim);
        let victim = replayed.filter(|_| self.is_idle(victim)).unwrap_or(victim);
        self.press(victim);
        self.batch(victim)
    }

    /// Takes the answer of a probe, by its place in its question. Returns the flags that this changed.
    pub fn answer(&mut self, question: QuestionId, place: u32, reply: &Reply<u32>) -> Vec<Flag> {
        let Some(victim) = self.about.get(&question).copied() else {
            return Vec::new();
        };
        if let Some(test) = reply.died_in {
            self.deadly[test as usize] = true;
        }
        self.time.reply(reply.hours);
        let expected = {
            let Some(desk) = self.cases.get_mut(&victim) else {
                return Vec::new();
            };
            let Some(inquiry) = desk.case.open.as_mut().filter(|open| open.id == question) else {
                return Vec::new();
            };
            let Some((probe, None)) = inquiry.probes.get(place as usize).cloned() else {
                return Vec::new();
            };
            inquiry.answer(place, reply);
            desk.case.count(&probe, reply);
            cost_of(&self.universe, &self.policy, &probe)
        };
        self.bucket.spend(reply.seconds - expected);
        let waits = self.cases[&victim]
            .case
            .open
            .as_ref()
            .is_some_and(Inquiry::waits);
        if waits {
            return Vec::new();
        }
        self.proceed(victim);
        if self.cases[&victim].case.open.is_some() {
            return Vec::new();
        }
        let mut changed = self.settle(victim);
        self.look(victim);
        changed.extend(self.refresh(victim));
        changed
    }

    /// Takes away what recorded questions came to since, where that does not follow from the replies alone. It is to
    /// be recorded before any later batch.
    pub fn take_concluded(&mut self) -> Vec<(QuestionId, serde_json::Value)> {
        std::mem::take(&mut self.concluded)
    }

    /// Returns what is claimed now of every test that ever failed, systemic flags first, by fragility. It follows from
    /// the recorded runs and answers alone, not from when they were looked at: after a restart it is the same.
    #[must_use]
    pub fn flags(&self) -> Vec<Flag> {
        let mut flags: Vec<Flag> = self
            .ledger
            .suspects()
            .into_iter()
            .map(|victim| {
                let nothing = Case::default();
                let case = self.cases.get(&victim).map_or(&nothing, |desk| &desk.case);
                self.facts(victim, case, &[]).flag()
            })
            .collect();
        let rate = |count: Count| {
            #[expect(clippy::cast_precision_loss, reason = "counts of runs")]
            let rate = count.failures as f64 / count.trials.max(1) as f64;
            rate
        };
        flags.sort_by(|a, b| {
            rate(b.soak)
                .total_cmp(&rate(a.soak))
                .then_with(|| a.test.cmp(&b.test))
        });
        self.systemic.iter().cloned().chain(flags).collect()
    }

    /// Returns the e-BH list at 5 % at this moment.
    #[must_use]
    pub fn suspected(&self) -> Vec<Suspicion> {
        self.ledger
            .suspected(SUSPECTED)
            .into_iter()
            .map(|test| Suspicion {
                test: self.universe.names[test as usize].clone(),
                ln_e: self.ledger.passive_ln_e(test),
                explanations: self.explanations(test),
                soak: self.ledger.soak(test),
            })
            .collect()
    }

    /// Returns the natural logarithm of a test's passive e-value against "order does not matter"; 0 for a test that
    /// never failed.
    #[must_use]
    pub fn passive_ln_e(&self, test: u32) -> f64 {
        if self.ledger.is_in_question(test) {
            self.ledger.passive_ln_e(test)
        } else {
            0.0
        }
    }

    /// Returns how one test stands.
    #[must_use]
    pub fn standing(&self, test: u32) -> Standing {
        let nothing = Case::default();
        let case = self.cases.get(&test).map_or(&nothing, |desk| &desk.case);
        let suspect = self.ledger.is_in_question(test);
        Standing {
            soak: self.ledger.soak(test),
            alone: case.alone,
            infra: self.ledger.infra(test),
            explanations: self.explanations(test),
            ruled_out: if suspect {
                self.facts(test, case, &[]).ruled_out()
            } else {
                Vec::new()
            },
            // JSON has no infinity, and an e-value below 1 says no more than one of 1.
            ln_e: self.passive_ln_e(test).max(0.0),
        }
    }

    /// Returns the number of attempts to certify, over the life of the store.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.attempts
    }

    /// Returns the share of ordered pairs of present tests that ran in that order in one process, `0.0..=1.0`;
    /// 0, which is certainly not too much, where the suite is too large to count them.
    #[must_use]
    pub fn pair_coverage(&self) -> f64 {
        self.ledger.pair_coverage().unwrap_or(0.0)
    }

    /// Returns the tests with open questions or unexplained failures.
    #[must_use]
    pub fn open_cases(&self) -> Vec<u32> {
        self.ledger
            .suspects()
            .into_iter()
            .filter(|victim| {
                self.cases.get(victim).is_none_or(|desk| {
                    desk.case.open.is_some()
                        || desk.plan.is_some()
                        || desk
                            .flag
                            .as_ref()
                            .is_none_or(|flag| !flag.certified || flag.unnamed > 0)
                })
            })
            .collect()
    }
}

impl Analyst {
    /// More recorded runs are not to be expected: looks at a test again that waits for some.
    fn press(&mut self, victim: u32) {
        self.pressing = true;
        let known = self.cases.get(&victim).is_some_and(|desk| {
            desk.looked && (desk.pressed || desk.case.open.is_some() || desk.plan.is_some())
        });
        if !known && self.ledger.is_in_question(victim) {
            self.look(victim);
        }
    }

    /// More recorded runs have come after all.
    fn reopen(&mut self) {
        if std::mem::take(&mut self.pressing) {
            for desk in self.cases.values_mut() {
                desk.pressed = false;
            }
        }
    }

    /// Is most of its next question for what recorded runs leave open, and more than it may cost by now?
    fn can_wait(&self, desk: &Desk) -> bool {
        let plan = desk.plan.as_ref().filter(|_| desk.case.open.is_none());
        plan.is_some_and(|plan| plan.can_wait(self.patience))
    }

    /// Failures and runs of a suspect, second runs included.
    fn soak(&self, victim: u32) -> Count {
        let evidence = self.ledger.evidence(victim);
        let all = evidence.total.plus(evidence.second);
        Count {
            failures: all.failed.into(),
            trials: all.trials().into(),
        }
    }

    fn facts<'a>(&'a self, victim: u32, case: &'a Case, notorious: &'a [u32]) -> Facts<'a> {
        Facts {
            universe: &self.universe,
            policy: &self.policy,
            ledger: &self.ledger,
            tables: &self.tables,
            deadly: &self.deadly,
            notorious,
            victim,
            case,
            soak: self.soak(victim),
            strays: OnceCell::new(),
            patience: self.patience,
            pressing: self.pressing,
        }
    }

    /// Do all failures of a test wait for the replay of a burst?
    #[cfg(test)]
    pub(super) fn waits_for_replay(&self, test: u32) -> bool {
        self.ledger.is_waiting(test)
    }

    /// Is there nothing to be asked about a test itself?
    fn is_idle(&self, victim: u32) -> bool {
        let desk = self.cases.get(&victim);
        desk.is_none_or(|desk| desk.case.open.is_none() && desk.plan.is_none())
    }

    /// Decides what to ask next about a test with no open question.
    fn look(&mut self, victim: u32) {
        let mut notorious: Vec<(u32, u32)> = self
            .polluters
            .iter()
            .map(|(test, count)| (*count, *test))
            .collect();
        notorious.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let notorious: Vec<u32> = notorious.into_iter().map(|(_, test)| test).collect();
        let mut desk = self.cases.remove(&victim).unwrap_or_default();
        desk.plan = self.facts(victim, &desk.case, &notorious).next();
        desk.looked = true;
        desk.pressed = self.pressing;
        let soak = self.soak(victim);
        desk.again = Count {
            failures: soak.failures + soak.failures / 8 + 1,
            trials: soak.trials * 2 + 1,
        };
        self.cases.insert(victim, desk);
    }

    /// Says again what is claimed about a test; returns the claim when it says something else than before.
    fn refresh(&mut self, victim: u32) -> Option<Flag> {
        if !self.ledger.is_in_question(victim) {
            return None;
        }
        let desk = self.cases.get(&victim)?;
        let flag = self.facts(victim, &desk.case, &[]).flag();
        let facts = self.facts(victim, &desk.case, &[]);
        let idle = desk.case.open.is_none() && desk.plan.is_none() && !facts.waits_for_replay();
        let told = desk.flag.as_ref().is_some_and(|old| same_claim(old, &flag));
        let desk = self.cases.get_mut(&victim)?;
        if flag.certified || idle {
            desk.flag = Some(flag.clone());
            (!told).then_some(flag)
        } else {
            None
        }
    }

    /// Lets the open question of a test go on, when it waits for no answer; closes it when it is answered.
    fn proceed(&mut self, victim: u32) {
        let Some(mut desk) = self.cases.remove(&victim) else {
            return;
        };
        if let Some(mut inquiry) = desk.case.open.take() {
            let step = if inquiry.waits() {
                None
            } else {
                Some(self.step(&mut inquiry, &desk.case))
            };
            if let Some(NextStep::Done(conclusion)) = step {
                let judged = conclusion.to_json(&self.universe.names);
                // One that came to its end without a probe was never recorded.
                let judged = judged.filter(|_| !inquiry.probes.is_empty());
                self.concluded.extend(judged.map(|it| (inquiry.id, it)));
                desk.case.close(inquiry);
            } else {
                desk.case.open = Some(inquiry);
            }
        }
        self.cases.insert(victim, desk);
    }

    fn step(&self, inquiry: &mut Inquiry, case: &Case) -> NextStep {
        let victim = inquiry.victim;
        let source = Source {
            universe: &self.universe,
            ledger: &self.ledger,
            tables: &self.tables,
            victim,
            shots: &case.shots,
        };
        let ranking = |search: &Search<u32>| source.rank(search);
        inquiry.next(&View {
            universe: &self.universe,
            deadly: &self.deadly,
            coins: &self.coins,
            now: self.time.now(),
            ranking: &ranking,
        })
    }

    /// The next batch of one test: the rest of its open question, or the first probes of its next one.
    fn batch(&mut self, victim: u32) -> Option<Batch> {
        for _ in 0..STEPS {
            let desk = self.cases.get_mut(&victim)?;
            let handed = desk.handed;
            if let Some(inquiry) = &desk.case.open {
                if handed < inquiry.probes.len() {
                    let new = handed == 0;
                    let batch = self.hand_out(victim, handed);
                    if new {
                        self.record(&batch);
                    }
                    return Some(batch);
                }
                if inquiry.waits() {
                    return None;
                }
                let before = inquiry.probes.len();
                self.proceed(victim);
                let desk = self.cases.get(&victim)?;
                match &desk.case.open {
                    Some(inquiry) if inquiry.probes.len() == before => return None,
                    Some(_) => continue,
                    None => {}
                }
                self.settle(victim);
                self.look(victim);
                self.refresh(victim);
                continue;
            }
            let plan = desk.plan.take()?;
            desk.handed = 0;
            let id = QuestionId(self.next_question);
            desk.case.open = Some(Inquiry::new(
                id,
                victim,
                plan.question,
                plan.attempt,
                plan.opening,
            ));
        }
        None
    }

    /// Takes a question that is asked for the first time into the record.
    fn record(&mut self, batch: &Batch) {
        self.next_question += 1;
        self.attempts += u64::from(batch.opened.as_ref().is_some_and(|opened| opened.attempt));
    }

    fn hand_out(&mut self, victim: u32, from: usize) -> Batch {
        let desk = self.cases.get_mut(&victim).expect("the case is open");
        let inquiry = desk.case.open.as_ref().expect("its question is open");
        let probes: Vec<Probe<u32>> = inquiry.probes[from..]
            .iter()
            .map(|(probe, _)| probe.clone())
            .collect();
        let opened = (from == 0).then(|| Opened {
            victim: self.universe.names[victim as usize].clone(),
            question: inquiry.question,
            attempt: inquiry.attempt,
            parameters: inquiry.opening.to_json(&self.universe.names),
        });
        desk.handed = inquiry.probes.len();
        self.about.insert(inquiry.id, victim);
        let question = inquiry.id;
        for probe in &probes {
            self.bucket
                .spend(cost_of(&self.universe, &self.policy, probe));
        }
        Batch {
            question,
            opened,
            first: u32::try_from(from).expect("a question has fewer than four billion probes"),
            probes,
        }
    }

    /// What a test's next question will cost, in seconds; open questions go first among equals. `None` when there is
    /// nothing to hand out.
    fn cost(&self, victim: u32, desk: &Desk) -> Option<f64> {
        match (&desk.case.open, &desk.plan) {
            (Some(inquiry), _) if desk.handed < inquiry.probes.len() => {
                let probes = &inquiry.probes[desk.handed..];
                Some(
                    probes
                        .iter()
                        .map(|(probe, _)| cost_of(&self.universe, &self.policy, probe))
                        .sum(),
                )
            }
            (Some(inquiry), _) if inquiry.waits() => None,
            (Some(_), _) => Some(f64::from(self.universe.seconds[victim as usize])),
            (None, Some(plan)) => Some(plan.cost),
            (None, None) => None,
        }
    }

    /// Draws from a question that came to its end what it says about other tests. Returns flags that changed.
    fn settle(&mut self, victim: u32) -> Vec<Flag> {
        self.note_polluters(victim);
        let Some(desk) = self.cases.get(&victim) else {
            return Vec::new();
        };
        let last = desk.case.closed.last();
        let replayed = last.is_some_and(|inquiry| note_replay(&mut self.ledger, inquiry));
        let explained = desk.case.is_explained() && self.ledger.explain(victim);
        if !replayed && !explained {
            return Vec::new();
        }
        let moved = self.ledger.rejudge();
        let suspects = self.ledger.suspects();
        let mut changed = self.systemic_flags();
        for other in moved {
            let is_suspect = suspects.binary_search(&other).is_ok();
            let Some(desk) = self.cases.get_mut(&other) else {
                continue;
            };
            if other == victim || desk.case.open.is_some() {
                continue;
            }
            if is_suspect {
                self.look(other);
                changed.extend(self.refresh(other));
            } else {
                // Nothing is left to be asked of a test that never failed by itself.
                desk.plan = None;
                desk.looked = false;
            }
        }
        changed
    }

    /// Remembers which single tests are certified polluters, so that other victims try them first.
    fn note_polluters(&mut self, victim: u32) {
        let Some(desk) = self.cases.get(&victim) else {
            return;
        };
        let closed_last = desk.case.closed.last().and_then(Inquiry::claim);
        let Some(claim) = closed_last.filter(|claim| claim.role == Role::Polluter) else {
            return;
        };
        if let [one] = claim.group[..] {
            *self.polluters.entry(one).or_default() += 1;
            let others: Vec<u32> = self
                .cases
                .iter()
                .filter(|(other, desk)| {
                    **other != victim
                        && desk.looked
                        && desk.case.open.is_none()
                        && self.ledger.has_failed_after(**other, one)
                        && desk.flag.as_ref().is_none_or(|flag| !flag.certified)
                })
                .map(|(other, _)| *other)
                .collect();
            for other in others {
                self.look(other);
            }
        }
    }

    fn systemic_flags(&mut self) -> Vec<Flag> {
        let events = systemic::events(&self.ledger.bursts());
        let was = self.systemic.len();
        let mut new = Vec::new();
        let mut told = BTreeSet::new();
        self.systemic.clear();
        for event in events {
            if event.segments.is_disjoint(&self.told) {
                new.push(event.flag.clone());
            }
            told.extend(event.segments);
            self.systemic.push(event.flag);
        }
        self.told = told;
        if was > 0 && self.systemic.is_empty() {
            new.push(systemic::withdrawn());
        }
        new
    }

    /// Explanations of a test's failures with their probabilities, in plain words.
    fn explanations(&self, test: u32) -> Vec<(String, f64)> {
        if !self.ledger.is_in_question(test) {
            return Vec::new();
        }
        let nothing = Case::default();
        let case = self.cases.get(&test).map_or(&nothing, |desk| &desk.case);
        self.facts(test, case, &[]).explanations()
    }
}

/// Tells the ledger what a replay showed. Returns whether this was one.
fn note_replay(ledger: &mut Ledger, inquiry: &Inquiry) -> bool {
    match (&inquiry.opening.setup, &inquiry.conclusion) {
        (Setup::Replay(replay), Some(Conclusion::Replayed(count))) => {
            ledger.replayed(replay.iteration, inquiry.victim, *count);
            true
        }
        _ => false,
    }
}

/// What a probe costs, in seconds, container included.
fn cost_of(universe: &Universe, policy: &Policy, probe: &Probe<u32>) -> f64 {
    let tests = probe.processes.iter().flatten().map(|(test, _)| *test);
    policy.container_seconds
        + tests
            .chain(probe.beside.iter().copied())
            .map(|test| f64::from(universe.seconds[test as usize]))
            .sum::<f64>()
}

/// Do two flags claim the same, whatever their counts?
fn same_claim(a: &Flag, b: &Flag) -> bool {
    let named = |flag: &Flag| {
        let groups = flag.groups.iter();
        groups
            .map(|group| (group.role, group.members.clone(), group.adjacent))
            .collect::<BTreeSet<_>>()
    };
    a.test == b.test
        && a.verdict == b.verdict
        && a.certified == b.certified
        && a.unnamed == b.unnamed
        && a.factors == b.factors
        && a.since_iteration == b.since_iteration
        && a.threshold == b.threshold
        && a.reach == b.reach
        && named(a) == named(b)
}

impl Time {
    fn observe(&mut self, hour: f64) {
        let passed = self
            .hour
            .map_or(0.0, |before| (hour - before).rem_euclid(24.0));
        // Segments come in the order of the plan, which is nearly that of time: a step back is no step of a day.
        if passed < 12.0 {
            self.observed += passed;
            self.hour = Some(hour);
        }
    }

    fn reply(&mut self, hours: f64) {
        self.replied = self.replied.max(hours);
        self.observed_at_reply = self.observed;
    }

    fn now(&self) -> f64 {
        self.replied + (self.observed - self.observed_at_reply)
    }
}
