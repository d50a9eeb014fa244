//! A hunt on a simulated clock: workers without barriers, the shipped schedule, evidence behind the watermark,
//! probes as the shipped analyst asks for them, and kills from which it must go on where it was.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use soakhound::diagnose::{Analyst, Batch, FactorDomain, Observation, Policy, Showed, Shown};
use soakhound::model::{
    Answer, Count, Flag, Layout, Opened, Probe, Question, QuestionId, Recorded, Reply, TestId,
    Verdict,
};
use soakhound::plan::{Campaign, Cycle, HuntNonce, MasterSeed, Origin, Planned, Trial, assign};

use super::chance::Chance;
use super::process::{Memory, Surroundings, Trouble, hour};
use super::world::{Drawn, World, factors};

/// Streams of coins, far apart so that none meets another.
const LEVELS: u64 = 1 << 40;
const RUNS: u64 = 2 << 40;

/// How a hunt is run.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) iterations: u64,
    pub(crate) workers: usize,
    /// Seconds between kills of the hunt.
    pub(crate) kill_every: Option<f64>,
    /// How long the queue of probes may take after the last iteration, as a share of the time until then.
    pub(crate) probe_limit: f64,
    pub(crate) layouts: Layouts,
    pub(crate) probing: Probing,
    /// Does the soak end with the iteration in which a defective test first fails?
    pub(crate) until_failure: bool,
    /// Does everything end when a certified flag names a test?
    pub(crate) until_named: bool,
}

/// When probes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probing {
    /// As shipped: their share of the time, and some more after the last iteration.
    Meanwhile,
    /// Only after the last iteration.
    Afterwards,
    Never,
}

/// Which layouts may be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layouts {
    /// All, as shipped.
    All,
    /// Free ones of this many shards, interleaved.
    Only(u16),
}

impl Setup {
    /// A hunt as a person starts it.
    pub(crate) fn shipped(seed: u64, iterations: u64) -> Self {
        Self {
            seed,
            iterations,
            workers: 4,
            kill_every: None,
            probe_limit: 0.5,
            layouts: Layouts::All,
            probing: Probing::Meanwhile,
            until_failure: false,
            until_named: false,
        }
    }
}

/// A certified flag as it first stood so.
#[derive(Clone, Debug)]
pub(crate) struct Certified {
    /// Complete iterations by then.
    pub(crate) iteration: u64,
    /// Executions that its own questions had cost.
    pub(crate) executions: u64,
    /// All executions by then, soak and probes, in units of whole suites.
    pub(crate) equivalents: f64,
    pub(crate) flag: Flag,
}

/// What a hunt found, and what it cost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Latest flags by test.
    pub(crate) flags: BTreeMap<u32, Flag>,
    /// Flags about no test.
    pub(crate) systemic: usize,
    /// Certified flags in the order in which they came, whenever one changed.
    pub(crate) history: BTreeMap<u32, Vec<Certified>>,
    /// Runs in the soak, and failures for reasons of its own: what only the machine caused shows no defect.
    pub(crate) seen: BTreeMap<u32, Count>,
    pub(crate) soak_executions: u64,
    pub(crate) probe_executions: u64,
    pub(crate) probe_containers: u64,
    /// Explanations of planted tests at the end, by probability.
    pub(crate) explanations: BTreeMap<u32, Vec<(String, f64)>>,
    /// Executions of probes by the test that they were about.
    pub(crate) by_victim: BTreeMap<u32, u64>,
    /// The same by kind of question.
    pub(crate) by_question: BTreeMap<(u32, Question), u64>,
    pub(crate) attempts: u64,
    /// Questions that were opened, by kind.
    pub(crate) questions: BTreeMap<Question, u64>,
    pub(crate) kills: u64,
    /// Certified flags that a restart lost or changed.
    pub(crate) lost_by_kills: Vec<String>,
    /// Seconds of simulated time.
    pub(crate) clock: f64,
    /// Seconds of the processor that the analyst took.
    pub(crate) analysis_seconds: f64,
}

struct ShardJob {
    plan_index: i64,
    iteration: u64,
    planned: Planned,
    order: Vec<Trial>,
}

struct ProbeJob {
    question: QuestionId,
    place: u32,
    probe: Probe<u32>,
}

enum Work {
    Shard(ShardJob),
    Probe(ProbeJob),
}

/// One closed segment with what the observation borrows.
struct Segment {
    origin: Origin,
    asked: Vec<u32>,
    trials: Vec<Shown>,
    /// Places of those that failed only because something was wrong with the container.
    by_machine: BTreeSet<usize>,
    died_in: Option<u32>,
    worker: u32,
    hour: f32,
    levels: Vec<(u16, String)>,
}

/// A closed shard that waits for the watermark.
struct Closed {
    iteration: u64,
    layout: Layout,
    segments: Vec<Segment>,
    seconds: f64,
}

enum Ran {
    Shard(Vec<Segment>),
    Probe(Reply<u32>),
}

/// A trial that fails if its neighbour runs meanwhile: segment, place, neighbour, rate, from, to.
struct Exposed {
    segment: usize,
    place: usize,
    neighbour: u32,
    rate: f64,
    start: f64,
    end: f64,
}

struct Running {
    job: u64,
    worker: usize,
    start: f64,
    end: f64,
    work: Work,
    ran: Ran,
    exposed: Vec<Exposed>,
    chance: Chance,
    executions: u64,
}

/// What is kept of a question, as a store would.
struct Asked {
    opened: Opened,
    victim: u32,
    probes: Vec<(Probe<u32>, Option<Reply<u32>>)>,
    concluded: Option<serde_json::Value>,
}

/// One call that the analyst got, so that a new one can get it again.
enum Told {
    Shard(Closed),
    End(u64, f64),
}

/// Called after each look at the evidence.
pub(crate) type Watch<'a> = dyn FnMut(u64, &mut Analyst) + 'a;

/// Runs a hunt to its end.
pub(crate) fn hunt(world: &World, setup: &Setup, watch: &mut Watch<'_>) -> Found {
    let mut hunt = Hunt::new(world, setup);
    hunt.run(watch);
    hunt.finish()
}

struct Hunt<'a> {
    world: &'a World,
    setup: &'a Setup,
    factors: Vec<FactorDomain>,
    policy: Policy,
    analyst: Analyst,
    campaign: Campaign,
    indexes: HashMap<TestId, u32>,
    memory: Memory,
    clock: f64,
    next_job: u64,
    next_iteration: u64,
    next_plan_index: i64,
    shards: VecDeque<ShardJob>,
    probes: VecDeque<ProbeJob>,
    running: Vec<Running>,
    closed: BTreeMap<i64, Closed>,
    first_open: i64,
    /// Shards that are not observed and seconds so far, by iteration.
    left: BTreeMap<u64, (usize, f64)>,
    observed_iterations: u64,
    questions: BTreeMap<QuestionId, Asked>,
    told: Vec<Told>,
    next_kill: f64,
    /// When the last iteration was complete.
    soaked_at: Option<f64>,
    /// Tests whose neighbourhood matters, while they run: test, start, end, job.
    noise: Vec<(u32, f64, f64, u64)>,
    noisy: Vec<u32>,
    has_named: bool,
    found: Found,
}

impl<'a> Hunt<'a> {
    fn new(world: &'a World, setup: &'a Setup) -> Self {
        let factors = factors();
        let policy = Policy {
            factors: factors.clone(),
            ci_shards: world.ci_shards,
            ..Policy::default()
        };
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&setup.seed.to_le_bytes());
        let names = world.tests.names().iter();
        let noisy = world.defects.values().filter_map(|defect| match defect {
            super::world::Defect::Interference { neighbour, .. } => Some(*neighbour),
            _ => None,
        });
        Self {
            world,
            setup,
            analyst: Analyst::new(world.universe(), policy.clone(), MasterSeed(setup.seed)),
            policy,
            factors,
            campaign: Campaign {
                master: MasterSeed(setup.seed),
                nonce: HuntNonce(nonce),
                ci_shards: world.ci_shards,
                cycle: Cycle::default(),
            },
            indexes: names
                .enumerate()
                .map(|(place, name)| (name.clone(), place as u32))
                .collect(),
            memory: Memory::new(world.count()),
            clock: 0.0,
            next_job: 0,
            next_iteration: 0,
            next_plan_index: 0,
            shards: VecDeque::new(),
            probes: VecDeque::new(),
            running: Vec::new(),
            closed: BTreeMap::new(),
            first_open: 0,
            left: BTreeMap::new(),
            observed_iterations: 0,
            questions: BTreeMap::new(),
            told: Vec::new(),
            next_kill: setup.kill_every.unwrap_or(f64::INFINITY),
            soaked_at: None,
            noise: Vec::new(),
            noisy: noisy.collect(),
            has_named: false,
            found: Found::default(),
        }
    }

    fn run(&mut self, watch: &mut Watch<'_>) {
        loop {
            while self.running.len() < self.setup.workers {
                let Some(work) = self.next_work() else { break };
                self.start(work);
            }
            let soonest = self.running.iter().enumerate().min_by(|(_, a), (_, b)| {
                (a.end, a.job).partial_cmp(&(b.end, b.job)).expect("no NaN")
            });
            let Some((place, next)) = soonest else { break };
            if next.end > self.next_kill {
                self.kill();
                continue;
            }
            self.clock = next.end;
            let ran = self.running.swap_remove(place);
            self.end(ran, watch);
        }
    }

    /// What a free worker does: probes first, then shards; after the last iteration only probes, for a while.
    fn next_work(&mut self) -> Option<Work> {
        if self.setup.until_named && self.has_named {
            return None;
        }
        if self.probes.is_empty() {
            let batch = match self.soaked_at {
                _ if self.setup.probing == Probing::Never => None,
                None if self.setup.probing == Probing::Afterwards => None,
                None => self.timed(Analyst::propose),
                Some(at) if self.clock < at * (1.0 + self.setup.probe_limit) => {
                    self.last_questions()
                }
                Some(_) => None,
            };
            if let Some(batch) = batch {
                self.queue(batch);
            }
        }
        if let Some(probe) = self.probes.pop_front() {
            return Some(Work::Probe(probe));
        }
        let is_over = self.soaked_at.is_some() || self.next_iteration >= self.setup.iterations;
        if self.shards.is_empty() && !is_over {
            self.plan();
        }
        self.shards.pop_front().map(Work::Shard)
    }

    fn last_questions(&mut self) -> Option<Batch> {
        self.timed(|analyst| analyst.propose().or_else(|| analyst.propose_last()))
    }

    /// Asks the analyst, and notes what that took of the processor.
    fn timed<R>(&mut self, ask: impl FnOnce(&mut Analyst) -> R) -> R {
        let start = processor_seconds();
        let answer = ask(&mut self.analyst);
        self.found.analysis_seconds += processor_seconds() - start;
        answer
    }

    fn queue(&mut self, batch: Batch) {
        assert!(!batch.probes.is_empty(), "a batch holds no probe");
        if let Some(opened) = batch.opened {
            let victim = self.indexes[&opened.victim];
            *self.found.questions.entry(opened.question).or_default() += 1;
            let asked = Asked {
                opened,
                victim,
                probes: Vec::new(),
                concluded: None,
            };
            let known = self.questions.insert(batch.question, asked);
            assert!(known.is_none(), "{:?} is opened twice", batch.question);
        }
        let asked = self
            .questions
            .get_mut(&batch.question)
            .expect("the first batch of a question opens it");
        assert_eq!(
            asked.probes.len(),
            batch.first as usize,
            "probes of a question come in order"
        );
        for (probe, place) in batch.probes.into_iter().zip(batch.first..) {
            assert_eq!(probe.victim, asked.victim, "a question is about one test");
            asked.probes.push((probe.clone(), None));
            self.probes.push_back(ProbeJob {
                question: batch.question,
                place,
                probe,
            });
        }
        let limit = 200 * u64::from(self.world.count()) + 2 * self.found.soak_executions;
        assert!(
            self.found.probe_executions < limit,
            "probes have run away: {} executions",
            self.found.probe_executions
        );
    }

    fn plan(&mut self) {
        let number = self.next_iteration;
        let planned = match self.setup.layouts {
            Layouts::All => self.campaign.iteration(number, &|_| true),
            Layouts::Only(shards) => {
                let wanted = Layout {
                    design: soakhound::model::Design::Free,
                    shards,
                    grouping: soakhound::model::Grouping::Interleaved,
                    class: 0,
                };
                self.campaign.iteration(number, &|layout| *layout == wanted)
            }
        };
        let planned = planned.expect("some layout is allowed");
        let shards = assign(planned.layout, planned.seed, &self.world.tests)
            .expect("the schedule only gives valid layouts");
        for order in shards.into_iter().filter(|order| !order.is_empty()) {
            self.shards.push_back(ShardJob {
                plan_index: self.next_plan_index,
                iteration: number,
                planned,
                order,
            });
            self.left.entry(number).or_default().0 += 1;
            self.next_plan_index += 1;
        }
        self.next_iteration += 1;
    }

    fn start(&mut self, work: Work) {
        let job = self.next_job;
        self.next_job += 1;
        let chance = Chance::new(self.setup.seed, RUNS + job);
        let taken: Vec<usize> = self.running.iter().map(|running| running.worker).collect();
        let worker = (0..=taken.len()).find(|worker| !taken.contains(worker));
        let mut running = Running {
            job,
            worker: worker.expect("so many numbers cannot all be taken"),
            start: self.clock,
            end: self.clock,
            work,
            ran: Ran::Shard(Vec::new()),
            exposed: Vec::new(),
            chance,
            executions: 0,
        };
        match &running.work {
            Work::Shard(shard) => {
                let (iteration, planned, order, index) = (
                    shard.iteration,
                    shard.planned,
                    shard.order.clone(),
                    shard.plan_index,
                );
                self.run_shard(&mut running, iteration, planned.layout, order, index);
            }
            Work::Probe(probe) => {
                let probe = probe.probe.clone();
                self.run_probe(&mut running, &probe);
            }
        }
        self.running.push(running);
    }

    fn trouble(&self, tests: usize, chance: &mut Chance) -> Trouble {
        if chance.hits(self.world.death) {
            Trouble::From(chance.below(tests as u32))
        } else if chance.hits(self.world.blip) {
            Trouble::Shaky
        } else {
            Trouble::None
        }
    }

    /// Runs a shard and, after each death, what is left of it in a fresh container.
    fn run_shard(
        &mut self,
        running: &mut Running,
        iteration: u64,
        layout: Layout,
        order: Vec<Trial>,
        plan_index: i64,
    ) {
        let levels = &mut Chance::new(self.setup.seed, LEVELS + plan_index as u64);
        let drawn = Drawn::new(&self.factors, levels);
        let mut segments = Vec::new();
        let mut left = order;
        while !left.is_empty() {
            running.end += self.policy.container_seconds;
            self.memory.fresh_container();
            let around = Surroundings {
                drawn: drawn.clone(),
                shards: layout.shards,
                iteration,
                clock: running.end,
                beside: Vec::new(),
                trouble: self.trouble(left.len(), &mut running.chance),
            };
            let mut asked: Vec<u32> = left.iter().map(|trial| trial.test).collect();
            asked.dedup();
            let texts = (0..self.factors.len()).map(|f| (f as u16, drawn.text(&self.factors, f)));
            let mut segment = Segment {
                origin: if segments.is_empty() {
                    Origin::Planned
                } else {
                    Origin::Remainder
                },
                asked,
                trials: Vec::with_capacity(left.len()),
                by_machine: BTreeSet::new(),
                died_in: None,
                worker: running.worker as u32,
                hour: hour(running.end) as f32,
                levels: texts.collect(),
            };
            for trial in &left {
                let step = self
                    .memory
                    .run(self.world, trial.test, &around, &mut running.chance);
                self.note(
                    running,
                    segments.len(),
                    segment.trials.len(),
                    trial.test,
                    &step,
                );
                if step.by_machine {
                    segment.by_machine.insert(segment.trials.len());
                }
                segment.trials.push(Shown {
                    test: trial.test,
                    rep: trial.rep,
                    showed: step.showed,
                    start: running.end,
                    seconds: step.seconds as f32,
                });
                running.end += step.seconds;
                running.executions += 1;
                if step.died {
                    segment.died_in = Some(trial.test);
                    break;
                }
            }
            left.drain(..segment.trials.len());
            segments.push(segment);
        }
        running.ran = Ran::Shard(segments);
    }

    /// Remembers who may disturb and who may be disturbed.
    fn note(
        &mut self,
        running: &mut Running,
        segment: usize,
        place: usize,
        test: u32,
        step: &super::process::Step,
    ) {
        let (start, end) = (running.end, running.end + step.seconds);
        if self.noisy.contains(&test) {
            self.noise.push((test, start, end, running.job));
        }
        if let Some((neighbour, rate)) = step.exposed {
            running.exposed.push(Exposed {
                segment,
                place,
                neighbour,
                rate,
                start,
                end,
            });
        }
    }

    fn run_probe(&mut self, running: &mut Running, probe: &Probe<u32>) {
        let mut drawn = Drawn::new(&self.factors, &mut running.chance);
        drawn.fix(&self.factors, &probe.factors);
        running.end += self.policy.container_seconds;
        self.memory.fresh_container();
        let tests = probe.processes.iter().flatten().count();
        let around = Surroundings {
            drawn,
            shards: 1,
            iteration: self.next_iteration.saturating_sub(1),
            clock: running.end,
            beside: probe.beside.clone(),
            trouble: self.trouble(tests, &mut running.chance),
        };
        let began = running.end;
        let mut shown = Vec::new();
        let mut died_in = None;
        'processes: for (number, process) in probe.processes.iter().enumerate() {
            if number > 0 {
                self.memory.fresh_process();
            }
            let is_last = number + 1 == probe.processes.len();
            for (test, repetitions) in process {
                for _ in 0..*repetitions {
                    let step = self
                        .memory
                        .run(self.world, *test, &around, &mut running.chance);
                    if *test == probe.victim && is_last {
                        self.note(running, 0, shown.len(), *test, &step);
                        shown.push(step.showed);
                    } else {
                        let unexposed = super::process::Step {
                            exposed: None,
                            ..step
                        };
                        self.note(running, 0, 0, *test, &unexposed);
                    }
                    running.end += step.seconds;
                    running.executions += 1;
                    if step.died {
                        died_in = Some(*test);
                        break 'processes;
                    }
                }
            }
        }
        for test in &probe.beside {
            let rounds = ((running.end - began) / self.world.seconds[*test as usize]).ceil();
            running.executions += rounds.max(1.0) as u64;
            if self.noisy.contains(test) {
                self.noise.push((*test, began, running.end, running.job));
            }
        }
        running.ran = Ran::Probe(self.reply(probe, &around, &shown, died_in, running));
    }

    fn reply(
        &self,
        probe: &Probe<u32>,
        around: &Surroundings,
        shown: &[Showed],
        died_in: Option<u32>,
        running: &Running,
    ) -> Reply<u32> {
        let answer = |showed: Option<&Showed>| match showed {
            Some(Showed::Passed) => Answer::Passed,
            Some(Showed::Failed) => Answer::Failed,
            Some(Showed::Nothing) | None => Answer::Void,
        };
        // A container that is seen to be broken says nothing; one that is merely shaky is not seen.
        let is_seen_broken = matches!(around.trouble, Trouble::From(_));
        let names = self.factors.iter().enumerate();
        Reply {
            answer: if is_seen_broken {
                Answer::Void
            } else {
                answer(shown.last())
            },
            first: (shown.len() > 1).then(|| answer(shown.first())),
            levels: names
                .map(|(place, factor)| {
                    (factor.name.clone(), around.drawn.text(&self.factors, place))
                })
                .collect(),
            died_in: died_in.filter(|test| *test != probe.victim),
            hours: running.start / 3600.0,
            seconds: running.end - running.start,
        }
    }

    fn end(&mut self, mut ran: Running, watch: &mut Watch<'_>) {
        self.disturb(&mut ran);
        match (ran.work, ran.ran) {
            (Work::Shard(job), Ran::Shard(segments)) => {
                self.found.soak_executions += ran.executions;
                let closed = Closed {
                    iteration: job.iteration,
                    layout: job.planned.layout,
                    segments,
                    seconds: ran.end - ran.start,
                };
                if self.soaked_at.is_none() {
                    self.closed.insert(job.plan_index, closed);
                    self.advance(watch);
                }
            }
            (Work::Probe(job), Ran::Probe(reply)) => {
                self.found.probe_executions += ran.executions;
                self.found.probe_containers += 1;
                let asked = self.questions.get_mut(&job.question).expect("it was asked");
                *self.found.by_victim.entry(asked.victim).or_default() += ran.executions;
                let key = (asked.victim, asked.opened.question);
                *self.found.by_question.entry(key).or_default() += ran.executions;
                asked.probes[job.place as usize].1 = Some(reply.clone());
                let flags = self.timed(|analyst| analyst.answer(job.question, job.place, &reply));
                self.take(flags);
            }
            (Work::Shard(_), Ran::Probe(_)) | (Work::Probe(_), Ran::Shard(_)) => {
                unreachable!("a job ran as what it is")
            }
        }
    }

    /// Lets trials fail whose neighbour ran in another container at the same time.
    fn disturb(&mut self, ran: &mut Running) {
        for exposed in &ran.exposed {
            let disturbed = self.noise.iter().any(|(test, start, end, job)| {
                *test == exposed.neighbour
                    && *job != ran.job
                    && *start < exposed.end
                    && exposed.start < *end
            });
            if !disturbed || !ran.chance.hits(exposed.rate) {
                continue;
            }
            match &mut ran.ran {
                Ran::Shard(segments) => {
                    let segment = &mut segments[exposed.segment];
                    segment.trials[exposed.place].showed = Showed::Failed;
                    segment.by_machine.remove(&exposed.place);
                }
                Ran::Probe(reply) => {
                    if reply.answer == Answer::Passed {
                        reply.answer = Answer::Failed;
                    }
                }
            }
        }
        let oldest = self.running.iter().map(|running| running.start);
        let oldest = oldest.fold(self.clock, f64::min);
        if self.noise.len() > 256 {
            self.noise.retain(|(_, _, end, _)| *end >= oldest);
        }
    }

    /// Tells the analyst what lies behind the watermark now.
    fn advance(&mut self, watch: &mut Watch<'_>) {
        while let Some(closed) = self.closed.remove(&self.first_open) {
            self.first_open += 1;
            for segment in &closed.segments {
                for (place, trial) in segment.trials.iter().enumerate() {
                    let showed = trial.showed != Showed::Nothing;
                    if showed && self.world.defective[trial.test as usize] {
                        let own = !segment.by_machine.contains(&place);
                        let count = self.found.seen.entry(trial.test).or_default();
                        count.trials += 1;
                        count.failures += u64::from(own && trial.showed == Showed::Failed);
                    }
                }
            }
            let world = self.world;
            self.timed(|analyst| observe(analyst, world, &closed));
            let iteration = closed.iteration;
            let (left, seconds) = self.left.get_mut(&iteration).expect("it was planned");
            *left -= 1;
            *seconds += closed.seconds;
            let (left, seconds) = (*left, *seconds);
            if self.setup.kill_every.is_some() {
                self.told.push(Told::Shard(closed));
            }
            if left > 0 {
                continue;
            }
            self.left.remove(&iteration);
            self.observed_iterations = iteration + 1;
            let flags = self.timed(|analyst| analyst.end_iteration(iteration, seconds));
            if self.setup.kill_every.is_some() {
                self.told.push(Told::End(iteration, seconds));
            }
            self.take(flags);
            watch(iteration, &mut self.analyst);
            let has_failed = self.found.seen.values().any(|count| count.failures > 0);
            if self.observed_iterations == self.setup.iterations
                || (self.setup.until_failure && has_failed)
            {
                self.soaked_at = Some(self.clock);
                self.shards.clear();
                self.closed.clear();
                return;
            }
        }
    }

    /// Notes flags that changed.
    fn take(&mut self, flags: Vec<Flag>) {
        let executions = self.found.soak_executions + self.found.probe_executions;
        for flag in flags {
            let Some(test) = flag.test.as_ref().map(|name| self.indexes[name]) else {
                continue;
            };
            if !flag.certified {
                continue;
            }
            self.has_named |= flag.names_another();
            let history = self.found.history.entry(test).or_default();
            history.push(Certified {
                iteration: self.observed_iterations,
                executions: self.found.by_victim.get(&test).copied().unwrap_or(0),
                equivalents: executions as f64 / f64::from(self.world.count()),
                flag,
            });
        }
    }

    /// Kills the hunt and starts it again: what ran is lost and runs again, what was recorded is read back.
    fn kill(&mut self) {
        self.clock = self.next_kill;
        self.next_kill += self.setup.kill_every.expect("kills are asked for");
        self.found.kills += 1;
        let mut running = std::mem::take(&mut self.running);
        running.sort_by_key(|running| std::cmp::Reverse(running.job));
        for lost in running {
            match lost.work {
                Work::Shard(job) => self.shards.push_front(job),
                Work::Probe(job) => self.probes.push_front(job),
            }
        }
        let world = self.world;
        let mut analyst = Analyst::new(
            world.universe(),
            self.policy.clone(),
            MasterSeed(self.setup.seed),
        );
        for told in &self.told {
            match told {
                Told::Shard(closed) => observe(&mut analyst, world, closed),
                Told::End(iteration, seconds) => {
                    analyst.end_iteration(*iteration, *seconds);
                }
            }
        }
        for (question, concluded) in self.analyst.take_concluded() {
            let asked = self.questions.get_mut(&question).expect("it was asked");
            asked.concluded = Some(concluded);
        }
        let recorded = self.questions.iter().map(|(id, asked)| Recorded {
            id: *id,
            opened: asked.opened.clone(),
            probes: asked.probes.clone(),
            concluded: asked.concluded.clone(),
        });
        analyst.restore(recorded.collect());
        let before = std::mem::replace(&mut self.analyst, analyst);
        let now = lost(&before.flags(), &self.analyst.flags());
        self.found.lost_by_kills.extend(now);
    }

    fn finish(mut self) -> Found {
        for flag in self.analyst.flags() {
            match flag.test.as_ref().map(|name| self.indexes[name]) {
                Some(test) => {
                    self.found.flags.insert(test, flag);
                }
                None => self.found.systemic += 1,
            }
        }
        for victim in self.found.seen.keys().copied() {
            let mut explanations = self.analyst.standing(victim).explanations;
            explanations.truncate(4);
            self.found.explanations.insert(victim, explanations);
        }
        self.found.attempts = self.analyst.attempts();
        self.found.clock = self.clock;
        self.found
    }
}

/// Describes certified flags that are not there any more, or say something else.
fn lost(before: &[Flag], after: &[Flag]) -> Vec<String> {
    let certain = before
        .iter()
        .filter(|flag| flag.certified && flag.verdict != Verdict::Infrastructure);
    let mut gone = Vec::new();
    for flag in certain {
        let now = after.iter().find(|other| other.test == flag.test);
        let says_the_same = now.is_some_and(|now| {
            now.verdict == flag.verdict && now.certified && now.groups == flag.groups
        });
        if !says_the_same {
            gone.push(format!("lost by a kill: {flag:?} became {now:?}"));
        }
    }
    gone
}

fn observe(analyst: &mut Analyst, world: &World, closed: &Closed) {
    for segment in &closed.segments {
        analyst.observe(&Observation {
            iteration: closed.iteration,
            tests: world.count(),
            modules: world.tests.module_count() as u32,
            layout: closed.layout,
            origin: segment.origin,
            asked: &segment.asked,
            trials: &segment.trials,
            died_in: segment.died_in,
            worker: segment.worker,
            hour: segment.hour,
            levels: &segment.levels,
        });
    }
}

/// Processor time of this thread so far, in seconds.
fn processor_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
