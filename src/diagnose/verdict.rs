//! From what is known about a test to a claim about it: the first verdict in the order of precedence that holds, its
//! groups, its reproduction, what was ruled out and what would settle an open case.

use super::{
    case::{Case, Claim},
    flow::{FACT, FIRST_ALONE, Facts},
    ledger::{Evidence, Family},
    question::{Certified, Conclusion, Inquiry},
    setup::{Settings, Setup, Treatment},
    strays,
};
use crate::{
    model::{Count, Flag, Group, Question, Reach, Recipe, Role, TestId, Verdict},
    stats::{self, Cell, burst::poisson_at_least},
};

/// Recorded runs after which "it never passes" is believed though some test never ran before it.
const RUNS_OF_BROKEN: u64 = 40;
/// Probability from which circumstances that cannot be set are suspected.
const CIRCUMSTANCES_FROM: f64 = 0.97;
/// Probability from which it is not said that nothing decides.
const CIRCUMSTANCES_LIKELY: f64 = 0.5;
/// Probability from which an hour, a worker or a layout is suspected where a change at some time is its only rival: in
/// one night those hardly differ.
const CIRCUMSTANCES_LEAD: f64 = 0.7;
/// Recorded failures from which they are.
const FEWEST_OF_CIRCUMSTANCES: u32 = 4;
/// The same for an hour and a change together.
const FEWEST_OF_TIMES: u32 = 8;
/// Probability of those from which it is not said that nothing decides.
const TIMES_LIKELY: f64 = 0.9;
/// A test that fails alone less often than once in this many runs might be hit by infrastructure each time ...
const RARELY: u64 = 20;
/// ... until it was seen to fail so often.
const SURELY: u64 = 5;
/// Recorded runs without a pass before a test is called broken: one that passes in every third order would be taken
/// for broken once in 57 times.
const FEWEST_OF_BROKEN: u64 = 10;
/// Failures alone that its rate after decoys would bring: when none came, that is no accident (one in ninety).
const SILENT_ALONE: f64 = 4.5;
/// Share of runs without its polluters in which an order-dependent victim may fail (`od-victim` in the list of verdicts).
const FAILS_WITHOUT: f64 = 0.005;
/// Failures without its polluters that would come with less than this probability at that share make it `ndod`.
const SURELY_WITHOUT: f64 = 0.01;

impl Facts<'_> {
    /// Returns what is claimed about the test now.
    pub(crate) fn flag(&self) -> Flag {
        let evidence = self.evidence_of_victim();
        let mut flag = Flag {
            alone: self.case.alone,
            ruled_out: self.ruled_out(),
            ..Flag::unexplained(self.name(self.victim), self.ledger.soak(self.victim))
        };
        flag.verdict = self.verdict(evidence, &mut flag);
        flag.certified = match flag.verdict {
            Verdict::Undetermined => false,
            Verdict::Environment => flag.ln_e.is_some(),
            Verdict::Infrastructure
            | Verdict::Broken
            | Verdict::Nio
            | Verdict::OdVictim
            | Verdict::OdBrittle
            | Verdict::Interference
            | Verdict::Position
            | Verdict::Ndod
            | Verdict::Nod => true,
        };
        self.complete(evidence, &mut flag);
        flag
    }

    /// Picks the verdict and fills in what belongs to it alone.
    fn verdict(&self, evidence: &Evidence, flag: &mut Flag) -> Verdict {
        let alone = self.case.alone;
        let fails_alone = alone.trials >= u64::from(FIRST_ALONE) && alone.failures == alone.trials;
        if fails_alone && self.never_passes(evidence) {
            return Verdict::Broken;
        }
        if let Some((since, ln_e)) = self.regressed().filter(|_| self.case.fails_alone_now()) {
            flag.since_iteration = Some(since);
            flag.ln_e = Some(ln_e);
            return Verdict::Broken;
        }
        if let Some((inquiry, blocks)) = self.case.certified(Question::Environment) {
            flag.ln_e = Some(blocks.ln_e);
            flag.factors = level_of(inquiry);
            return Verdict::Environment;
        }
        if let Some((_, blocks)) = self.case.certified(Question::Twice) {
            flag.ln_e = Some(blocks.ln_e);
            return Verdict::Nio;
        }
        let polluters = self.case.claims(Role::Polluter);
        let ln_e = |claims: &[Claim]| {
            claims
                .iter()
                .map(|claim| claim.blocks.ln_e)
                .reduce(f64::max)
        };
        if !polluters.is_empty() && self.passes_without() {
            flag.ln_e = ln_e(&polluters);
            return Verdict::OdVictim;
        }
        let setters = self.case.claims(Role::StateSetter);
        if !setters.is_empty() {
            flag.ln_e = ln_e(&setters);
            return Verdict::OdBrittle;
        }
        let neighbours = self.case.claims(Role::Neighbour);
        if !neighbours.is_empty() {
            flag.ln_e = ln_e(&neighbours);
            return Verdict::Interference;
        }
        if let Some((inquiry, blocks)) = self.case.certified(Question::Position) {
            flag.ln_e = Some(blocks.ln_e);
            flag.threshold = self.threshold(inquiry);
            return Verdict::Position;
        }
        if !polluters.is_empty() {
            flag.ln_e = ln_e(&polluters);
            return Verdict::Ndod;
        }
        if alone.failures > 0
            && let Some(levels) = self.suspected_circumstances(CIRCUMSTANCES_FROM)
        {
            flag.factors = levels;
            return Verdict::Environment;
        }
        if self.fails_alone_for_no_reason() {
            return Verdict::Nod;
        }
        Verdict::Undetermined
    }

    /// Does it hardly ever fail without its polluters? At most one run in two hundred may, as far as is known.
    pub(crate) fn passes_without(&self) -> bool {
        let without = self.case.by_itself();
        let failures = u32::try_from(without.failures).unwrap_or(u32::MAX);
        #[expect(clippy::cast_precision_loss, reason = "a few hundred runs")]
        let expected = FAILS_WITHOUT * without.trials as f64;
        without.failures < FACT
            || poisson_at_least(failures, expected) >= SURELY_WITHOUT
            || self.decoys_act(without)
    }

    /// Does it fail after decoys, but never alone where it ran so often that it should have? Some of them act, then.
    #[expect(clippy::cast_precision_loss, reason = "a few hundred runs")]
    fn decoys_act(&self, without: Count) -> bool {
        let alone = self.case.alone;
        let trials = without.trials - alone.trials;
        let rate = (without.failures - alone.failures) as f64 / trials.max(1) as f64;
        alone.failures == 0 && rate * alone.trials as f64 >= SILENT_ALONE
    }

    /// No pass anywhere, though every other test ran before it once (a state-setter would have helped).
    fn never_passes(&self, evidence: &Evidence) -> bool {
        let runs = u64::from(evidence.total.trials());
        let everybody_before = || {
            (0_u32..)
                .zip(evidence.before.iter())
                .filter(|(test, _)| *test != self.victim && self.universe.present[*test as usize])
                .all(|(test, cell)| cell.trials() > 0 || self.ledger.is_struck(test))
        };
        evidence.total.passed == 0
            && runs >= FEWEST_OF_BROKEN
            && (runs >= RUNS_OF_BROKEN || everybody_before())
    }

    /// Circumstances that recorded runs accuse and that no probe can set: the level of a factor that is only observed,
    /// or the hour, the worker or the number of shards. Never a certificate, never without a name.
    fn suspected_circumstances(&self, from: f64) -> Option<Settings> {
        if self.evidence_of_victim().total.failed < FEWEST_OF_CIRCUMSTANCES {
            return None;
        }
        let posterior = self.posterior();
        let (family, share) = posterior.families.first()?;
        let change = posterior.families.iter();
        let change = change.filter(|(rival, _)| *rival == Family::Since);
        let change: f64 = change.map(|(_, share)| share).sum();
        let leads = *family == Family::Circumstance
            && *share >= CIRCUMSTANCES_LEAD
            && share + change >= from;
        if *share < from && !leads {
            return None;
        }
        if *family == Family::Circumstance {
            let (what, which) = posterior.best.circumstance?;
            return Some(vec![(what.to_owned(), which)]);
        }
        let (factor, level) = posterior.best.level.as_ref()?;
        let domain = self.policy.factors.get(usize::from(*factor))?;
        let observed = *family == Family::Environment && !domain.settable;
        (observed && self.with_runs_alone(*share, &domain.name, level) >= from)
            .then(|| vec![(domain.name.clone(), level.to_string())])
    }

    /// The probability that a level decides, once the runs alone that had it, or another one, are counted as well.
    fn with_runs_alone(&self, share: f64, factor: &str, level: &str) -> f64 {
        let (mut with, mut without) = (Cell::default(), Cell::default());
        for shot in self.case.shots.iter().filter(|shot| shot.is_alone()) {
            let of_factor = shot.levels.iter().find(|(name, _)| name == factor);
            match of_factor {
                Some((_, other)) if other == level => with.add(shot.failed),
                Some(_) => without.add(shot.failed),
                None => {}
            }
        }
        if with.failed + without.failed == 0 {
            return share;
        }
        if with.failed == 0 {
            return 0.0;
        }
        let weight = share * self.tables.ln_bf(with, without).exp();
        weight / (weight + (1.0 - share))
    }

    /// At least two failures alone and a pass, and the factors do not decide.
    fn fails_alone_for_no_reason(&self) -> bool {
        let alone = self.case.alone;
        let split = self.case.closed.iter().find(|inquiry| {
            inquiry.question == Question::Repeat && matches!(inquiry.opening.setup, Setup::Split(_))
        });
        let factors = self.policy.factors.iter().any(|factor| factor.settable);
        let free = match split.map(|inquiry| &inquiry.conclusion) {
            Some(Some(Conclusion::Splits(true))) => self.case.asked_level_and_failed(),
            Some(_) => true,
            None => !factors || alone.failures > 2 * FACT,
        };
        alone.failures < alone.trials
            && free
            && self.missing_failures() == 0
            && !self.failed_in_a_row()
            && self.suspected_circumstances(CIRCUMSTANCES_LIKELY).is_none()
            && !self.belongs_to_a_time()
            && !self.may_be_disturbed()
    }

    /// Do recorded runs rather speak of a time, be it an hour or a change? In one night those hardly differ; where all
    /// ran at the same time of day it can only be a change, and what fails at random since then does so now.
    fn belongs_to_a_time(&self) -> bool {
        let evidence = self.evidence_of_victim();
        if evidence.total.failed < FEWEST_OF_TIMES || evidence.parts_of_day() < 2 {
            return false;
        }
        let families = self.posterior().families;
        let of_time = families
            .iter()
            .filter(|(family, _)| matches!(family, Family::Circumstance | Family::Since));
        of_time.map(|(_, share)| share).sum::<f64>() >= TIMES_LIKELY
    }

    /// How many more failures alone make failing alone a fact.
    pub(crate) fn missing_failures(&self) -> u64 {
        let alone = self.case.alone;
        let missing = self.strays().missing(self.ledger.soak(self.victim), alone);
        let often = alone.failures * RARELY >= alone.trials;
        let seen = alone.failures + u64::from(self.evidence_of_victim().total.failed);
        let surely = if often {
            0
        } else {
            SURELY.saturating_sub(seen)
        };
        missing.max(surely).max(FACT.saturating_sub(alone.failures))
    }

    /// Did its failures alone come side by side? Then something outside lasted a while.
    pub(crate) fn failed_in_a_row(&self) -> bool {
        let shots = self.case.shots.iter();
        strays::come_together(shots.filter(|shot| shot.is_alone()).map(|shot| shot.failed))
    }

    /// The smallest number of tests that ran before it when it failed.
    fn threshold(&self, inquiry: &Inquiry) -> Option<u32> {
        let many = match inquiry.opening.setup.certify()?.treatment {
            Treatment::Many { many, .. } => many,
            Treatment::Group(_)
            | Treatment::Twice
            | Treatment::Level { .. }
            | Treatment::Beside(_) => return None,
        };
        let runs = &self.evidence_of_victim().runs;
        let failed = runs.iter().filter(|run| run.failed).map(|run| run.rank);
        Some(
            failed
                .filter(|rank| *rank > 0)
                .min()
                .map_or(many, |rank| rank.min(many)),
        )
    }

    /// Groups, what is unnamed, recipe, reach, and what would settle it.
    fn complete(&self, evidence: &Evidence, flag: &mut Flag) {
        let roles: &[Role] = match flag.verdict {
            Verdict::OdVictim | Verdict::Ndod => &[Role::Polluter, Role::Cleaner],
            Verdict::OdBrittle => &[Role::StateSetter],
            Verdict::Interference => &[Role::Neighbour],
            Verdict::Infrastructure
            | Verdict::Broken
            | Verdict::Environment
            | Verdict::Nio
            | Verdict::Position
            | Verdict::Nod
            | Verdict::Undetermined => &[],
        };
        for role in roles {
            flag.groups.extend(
                self.case
                    .claims(*role)
                    .iter()
                    .map(|claim| self.group(claim)),
            );
        }
        flag.unnamed = self.unnamed(flag.verdict);
        flag.reach = self.reach();
        flag.recipe = self.recipe(flag);
        if flag.verdict == Verdict::Environment && !flag.certified {
            flag.settles = Some(
                "recorded runs speak for it, but no probe can set it: nothing that we run can settle it"
                    .to_owned(),
            );
        }
        if flag.verdict == Verdict::Undetermined {
            flag.settles = Some(self.settles(evidence));
        }
    }

    fn group(&self, claim: &Claim) -> Group {
        let adjacent = |inquiry: &Inquiry| {
            matches!(&inquiry.opening.setup, Setup::Separate(it) if it.group == claim.group)
                && matches!(inquiry.conclusion, Some(Conclusion::Adjacent(_)))
        };
        Group {
            role: claim.role,
            members: claim.group.iter().map(|test| self.name(*test)).collect(),
            adjacent: self.case.last(adjacent).is_some(),
            with: claim.blocks.counts.treated,
            with_decoy: claim.blocks.counts.decoy,
            without: claim.blocks.counts.alone,
            ln_e: claim.blocks.ln_e,
        }
    }

    /// Effects that no certified group explains: at least one more cause must exist.
    fn unnamed(&self, verdict: Verdict) -> u32 {
        let role = match verdict {
            Verdict::OdVictim => Role::Polluter,
            Verdict::OdBrittle => Role::StateSetter,
            Verdict::Infrastructure
            | Verdict::Broken
            | Verdict::Environment
            | Verdict::Nio
            | Verdict::Interference
            | Verdict::Position
            | Verdict::Ndod
            | Verdict::Nod
            | Verdict::Undetermined => return 0,
        };
        let rest = self
            .ledger
            .residual(self.victim, &self.case.groups(role))
            .total;
        let unexplained = match role {
            Role::StateSetter if self.case.alone.failures < self.case.alone.trials => 0,
            Role::StateSetter => rest.passed,
            Role::Polluter | Role::Cleaner | Role::Neighbour => rest.failed,
        };
        // It passed alone, so what failed after decoys alone has a cause among them.
        let after_decoys = match role {
            Role::Polluter => self.case.clean_decoys().failures,
            Role::StateSetter | Role::Cleaner | Role::Neighbour => 0,
        };
        u32::from(unexplained > 0 || after_decoys > 0)
    }

    fn reach(&self) -> Option<Reach> {
        let located = self
            .case
            .last(|inquiry| inquiry.question == Question::Locate)?;
        match located.conclusion {
            Some(Conclusion::Crosses(_)) => Some(Reach::Container),
            Some(Conclusion::StaysWithin(_)) => Some(Reach::Process),
            _ => None,
        }
    }

    /// What to run to see it.
    fn recipe(&self, flag: &Flag) -> Option<Recipe> {
        let victim = (self.victim, 1);
        let after = |claims: Vec<Claim>| {
            let best = claims.into_iter().max_by(|a, b| {
                let rate = |claim: &Claim| rate(claim.blocks.counts.treated);
                rate(a).total_cmp(&rate(b))
            })?;
            let order: Vec<(u32, u8)> = best.group.iter().map(|test| (*test, 1)).collect();
            Some((order, best.blocks.counts.treated))
        };
        let (mut beside, mut factors) = (Vec::new(), Vec::new());
        let (order, seen) = match flag.verdict {
            Verdict::OdVictim | Verdict::Ndod => {
                let (mut order, seen) = after(self.case.claims(Role::Polluter))?;
                order.push(victim);
                (order, seen)
            }
            Verdict::Nio => {
                let (_, blocks) = self.case.certified(Question::Twice)?;
                (vec![victim, (self.victim, 2)], blocks.counts.treated)
            }
            Verdict::Environment => {
                let (inquiry, blocks) = self.case.certified(Question::Environment)?;
                factors = level_of(inquiry);
                (vec![victim], blocks.counts.treated)
            }
            Verdict::Interference => {
                let claim = self.case.claims(Role::Neighbour).into_iter().next()?;
                beside = claim.group.iter().map(|test| self.name(*test)).collect();
                (vec![victim], claim.blocks.counts.treated)
            }
            Verdict::Position => {
                let (inquiry, blocks) = self.case.certified(Question::Position)?;
                let order = failing_order(inquiry)?;
                // A few blocks say little of how often it fails; recorded runs as long say it too.
                let before = order.len().saturating_sub(1);
                let mut seen = blocks.counts.treated;
                for run in &self.evidence_of_victim().runs {
                    if run.rank as usize >= before {
                        seen.trials += 1;
                        seen.failures += u64::from(run.failed);
                    }
                }
                (order, seen)
            }
            Verdict::OdBrittle | Verdict::Broken => (vec![victim], self.case.alone),
            Verdict::Nod => (vec![victim], self.at_random()),
            Verdict::Infrastructure | Verdict::Undetermined => return None,
        };
        if seen.failures == 0 {
            return None;
        }
        let repeats = stats::repeats(seen);
        Some(Recipe {
            order: order
                .into_iter()
                .map(|(test, rep)| (self.name(test), rep))
                .collect(),
            factors,
            beside,
            seen,
            repeat: repeats.predictive,
            repeat_at_worst: repeats.worst,
        })
    }

    /// How often a test for whose failures there is no reason fails: runs alone end once they showed enough, so a few
    /// of them show too many failures. Recorded runs do not choose when to end, and count as well where they show fewer.
    fn at_random(&self) -> Count {
        let (alone, soak) = (self.case.alone, self.ledger.soak(self.victim));
        let all = Count {
            failures: alone.failures + soak.failures,
            trials: alone.trials + soak.trials,
        };
        if rate(all) < rate(alone) { all } else { alone }
    }

    fn name(&self, test: u32) -> TestId {
        self.universe.names[test as usize].clone()
    }

    fn evidence_of_victim(&self) -> &Evidence {
        self.ledger.evidence(self.victim)
    }

    /// What was ruled out and how, in plain sentences.
    pub(crate) fn ruled_out(&self) -> Vec<String> {
        let mut said = Vec::new();
        let alone = self.case.alone;
        if alone.trials >= u64::from(FIRST_ALONE) {
            said.push(format!(
                "alone in a fresh container it failed {} of {} times",
                alone.failures, alone.trials
            ));
        }
        for inquiry in &self.case.closed {
            if let Some(sentence) = self.sentence(inquiry)
                && !said.contains(&sentence)
            {
                said.push(sentence);
            }
        }
        said
    }

    fn sentence(&self, inquiry: &Inquiry) -> Option<String> {
        let blocks = |blocks: &Certified| {
            let counts = blocks.counts;
            format!(
                "{} with it, {} with a decoy, {} without",
                of(counts.treated),
                of(counts.decoy),
                of(counts.alone)
            )
        };
        let named = || {
            let group = inquiry.treated_group()?;
            let names: Vec<String> = group
                .iter()
                .map(|test| String::from_utf8_lossy(self.name(*test).as_bytes()).into_owned())
                .collect();
            Some(names.join(", then "))
        };
        Some(match (&inquiry.conclusion, inquiry.question) {
            (Some(Conclusion::Refuted(found)), Question::Polluter) => {
                format!(
                    "not certified as a polluter: {}: failed {}",
                    named()?,
                    blocks(found)
                )
            }
            (Some(Conclusion::Refuted(found)), Question::Setter) => {
                format!(
                    "not certified as a state-setter: {}: failed {}",
                    named()?,
                    blocks(found)
                )
            }
            (Some(Conclusion::Spare(found, member)), _) => {
                format!(
                    "not all are needed: {}; another test will do for {}: failed {}",
                    named()?,
                    String::from_utf8_lossy(self.name(*member).as_bytes()),
                    blocks(found)
                )
            }
            (Some(Conclusion::OnlyAmount(found)), _) => {
                format!(
                    "any test will do, not {}: failed {}",
                    named()?,
                    blocks(found)
                )
            }
            (Some(Conclusion::Refuted(found)), Question::Interference) => {
                format!(
                    "no disturbance by {} elsewhere: failed {}",
                    named()?,
                    blocks(found)
                )
            }
            (Some(Conclusion::Refuted(found)), Question::Twice) => {
                format!(
                    "a second run in one process is no worse: failed {}",
                    blocks(found)
                )
            }
            (Some(Conclusion::Refuted(found)), Question::Position) => {
                format!(
                    "how much ran before does not decide: failed {}",
                    blocks(found)
                )
            }
            (Some(Conclusion::Refuted(found)), Question::Environment) => {
                let levels: Vec<String> = level_of(inquiry)
                    .into_iter()
                    .map(|(factor, level)| format!("{factor}={level}"))
                    .collect();
                format!(
                    "{} does not decide: failed {} with it, {} with another level",
                    levels.join(" "),
                    of(found.counts.treated),
                    of(found.counts.alone)
                )
            }
            (Some(Conclusion::Splits(false)), _) => {
                "the factors do not decide: the same levels showed both outcomes".to_owned()
            }
            (Some(Conclusion::NotFound), Question::Search) => {
                self.searched_in_vain(inquiry)?.to_owned()
            }
            (Some(Conclusion::NotFound), Question::Reduce) => {
                "no small part of a failing order fails".to_owned()
            }
            (Some(Conclusion::Impossible), _) if inquiry.attempt => {
                "could not be certified: no cleared test lasts as long, or its runs were void"
                    .to_owned()
            }
            _ => return None,
        })
    }

    /// What a search that found nothing rules out; `None` where a later one found somebody.
    fn searched_in_vain(&self, inquiry: &Inquiry) -> Option<&'static str> {
        let found = |other: &Inquiry| {
            other.id > inquiry.id
                && other.question == Question::Search
                && matches!(other.conclusion, Some(Conclusion::Found(_)))
        };
        let search = inquiry.opening.setup.search()?;
        let is_first = search.known.is_empty();
        self.case.last(found).is_none().then_some(if is_first {
            "group tests found no single test that explains it"
        } else {
            "group tests found no further test that explains it by itself"
        })
    }

    /// Explanations of its failures with their probabilities, highest first, in plain words; at most a handful.
    pub(crate) fn explanations(&self) -> Vec<(String, f64)> {
        let posterior = self.posterior();
        let named = |test: Option<u32>| {
            test.map_or_else(String::new, |test| {
                format!(
                    ", most likely {}",
                    String::from_utf8_lossy(self.name(test).as_bytes())
                )
            })
        };
        let best = &posterior.best;
        posterior
            .families
            .iter()
            .filter(|(_, share)| *share >= 0.01)
            .take(5)
            .map(|(family, share)| {
                let words = match family {
                    Family::Predecessor => {
                        format!("a test that ran before{}", named(best.predecessor))
                    }
                    Family::Many => "one of many tests that ran before".to_owned(),
                    Family::Setter => {
                        format!("a test that did not run before{}", named(best.setter))
                    }
                    Family::Adjacent => {
                        format!("a test directly before{}", named(best.adjacent))
                    }
                    Family::Overlap => {
                        format!("a test at the same time elsewhere{}", named(best.overlap))
                    }
                    Family::Position => "how much ran before".to_owned(),
                    Family::Environment => best.level.as_ref().map_or_else(
                        || "a level of a factor".to_owned(),
                        |(factor, level)| {
                            let name = self
                                .policy
                                .factors
                                .get(usize::from(*factor))
                                .map_or("a factor", |factor| &factor.name);
                            format!("{name}={level}")
                        },
                    ),
                    Family::Number => "a random number such as the hash seed".to_owned(),
                    Family::Second => "a second run in the same process".to_owned(),
                    Family::Since => "a change after some iteration".to_owned(),
                    Family::Circumstance => best.circumstance.as_ref().map_or_else(
                        || "the hour, the worker or the layout".to_owned(),
                        |(what, which)| {
                            format!(
                                "the hour, the worker or the layout, most likely {what} {which}"
                            )
                        },
                    ),
                    Family::Nothing => "nothing that is known".to_owned(),
                };
                (words, *share)
            })
            .collect()
    }

    /// What is known about an open case, and what would settle it.
    fn settles(&self, evidence: &Evidence) -> String {
        let total = evidence.total;
        if let Some(open) = self.case.open.as_ref().filter(|open| open.attempt) {
            return if open.question == Question::Interference {
                "a test at the same time elsewhere is being tried; blocks an hour later certify it"
            } else {
                "an explanation is being tried: a longer hunt goes on with it, and so does `minimize`"
            }
            .to_owned();
        }
        if self.case.alone.trials < u64::from(FIRST_ALONE) {
            return "not looked at yet: it waits for probes".to_owned();
        }
        let soak = self.ledger.soak(self.victim);
        if self.case.alone.failures > 0 && self.strays().explain(soak, self.case.alone) {
            return "fails no more often than tests of this suite do for no reason of their own: containers are shaky"
                .to_owned();
        }
        if self.case.alone.failures > 0 && self.failed_in_a_row() {
            return "its failures alone came side by side: something outside its container was at work for a while"
                .to_owned();
        }
        if total.failed <= 2 {
            return format!(
                "seen {} in {} runs and not reproduced; needs about {} more iterations to fail again",
                if total.failed == 1 { "once" } else { "twice" },
                total.trials(),
                total.trials() / total.failed.max(1)
            );
        }
        let is_first_look =
            |inquiry: &Inquiry| matches!(inquiry.question, Question::Isolate | Question::Repeat);
        if self.case.closed.iter().all(is_first_look) {
            return format!(
                "failed {} of {} runs; what explains it was not asked yet: a longer hunt asks, and so does `minimize`",
                total.failed,
                total.trials()
            );
        }
        let ln_e = self.ledger.passive_ln_e(self.victim);
        let growth = ln_e / f64::from(total.trials().max(1));
        let more = if growth > 0.0 {
            ((self.policy.certify.ln() - ln_e) / growth).clamp(1.0, 1e6)
        } else {
            f64::from(total.trials())
        };
        format!(
            "failed {} of {} runs, none of the explanations tried holds; needs about {more:.0} more iterations",
            total.failed,
            total.trials()
        )
    }
}

impl Case {
    /// Did blocks refute the level that seemed to decide?
    fn asked_level_and_failed(&self) -> bool {
        self.last(|inquiry| inquiry.question == Question::Environment)
            .is_some_and(|inquiry| !matches!(inquiry.conclusion, Some(Conclusion::Certified(_))))
    }
}

fn rate(count: Count) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of blocks")]
    let rate = count.failures as f64 / count.trials.max(1) as f64;
    rate
}

fn of(count: Count) -> String {
    format!("{} of {}", count.failures, count.trials)
}

fn level_of(inquiry: &Inquiry) -> Settings {
    match inquiry
        .opening
        .setup
        .certify()
        .map(|certify| &certify.treatment)
    {
        Some(Treatment::Level {
            factor,
            level,
            held,
            ..
        }) => [held.clone(), vec![(factor.clone(), level.clone())]].concat(),
        Some(
            Treatment::Group(_) | Treatment::Twice | Treatment::Beside(_) | Treatment::Many { .. },
        )
        | None => Vec::new(),
    }
}

/// The order of a treated probe that failed.
fn failing_order(inquiry: &Inquiry) -> Option<Vec<(u32, u8)>> {
    use crate::model::{Answer, Arm};
    inquiry
        .probes
        .iter()
        .filter(|(probe, _)| probe.arm == Arm::Treated)
        .filter(|(_, reply)| {
            reply
                .as_ref()
                .is_some_and(|reply| reply.answer == Answer::Failed)
        })
        .find_map(|(probe, _)| probe.processes.last().cloned())
}
