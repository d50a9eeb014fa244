//! All that is on record about one test.

use serde_json::{Value, json};

use crate::{
    command::{
        asked::Asked,
        finding::{
            Found, Names, Seen,
            json::{self as shape, Naming},
            read::Desk,
        },
    },
    config::Settings,
    diagnose::Standing,
    model::{Count, Flag, Outcome, TestId, UnixMillis, Verdict},
    plan, stats,
    store::{Reader, StoreError},
    ui::escape,
};

const SCHEMA: &str = "soakhound.show/1";
/// Newest failing orders that are listed.
const ORDERS: u32 = 5;
/// Error probability of the bound for a test that never failed: 95 %.
const ALPHA: f64 = 0.05;

/// All about one test.
pub(super) struct Card {
    /// The suite's tests as they are now.
    pub(super) tests: Vec<TestId>,
    pub(super) test: TestId,
    pub(super) handle: String,
    /// Its flag; `None` for a test that nobody accuses.
    pub(super) found: Option<Found>,
    /// Verdicts that no longer hold, newest first.
    pub(super) earlier: Vec<(UnixMillis, Flag)>,
    /// Failures in the recorded iterations of all hunts.
    pub(super) soak: Count,
    /// How often it was skipped, and how often its outcome was void.
    pub(super) aside: (u64, u64),
    pub(super) standing: Option<Standing>,
    pub(super) asked: Vec<Asked>,
    /// Its newest failures with what replays their order.
    pub(super) occasions: Vec<Occasion>,
    /// Share of all ordered pairs of the suite that ran in that order in one process.
    pub(super) pair_coverage: Option<f64>,
    /// Who looks after its file.
    pub(super) owners: Vec<String>,
    /// Why that is not known, where there is a CODEOWNERS file that cannot be used.
    pub(super) owners_unknown: Option<String>,
}

/// Of the earlier flags, those that claimed something else than the one after them: one is written anew when its counts
/// have grown, too.
fn others(
    found: Option<&Found>,
    earlier: impl Iterator<Item = (UnixMillis, Flag)>,
) -> Vec<(UnixMillis, Flag)> {
    let claim = |flag: &Flag| (flag.verdict, flag.certified);
    let mut newer = found.map(|found| claim(&found.flag));
    earlier
        .filter(|(_, flag)| newer.replace(claim(flag)) != Some(claim(flag)))
        .collect()
}

/// One recorded failure.
pub(super) struct Occasion {
    pub(super) seen: Seen,
    pub(super) outcome: Outcome,
    pub(super) token: String,
}

impl Card {
    /// Reads all about one test.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(super) fn read(
        settings: &Settings,
        reader: &Reader,
        tests: Vec<TestId>,
        test: TestId,
    ) -> Result<Self, StoreError> {
        let suite = settings.suite.id;
        let outcomes = reader.outcomes_of(suite, &test)?;
        let soak = outcomes.soak();
        let analysis = reader.analysis(suite)?;
        let mut flags = reader.flags_of(suite, &test)?.into_iter();
        let fixed = analysis.as_ref().map_or(&[][..], |row| &row.fixed);
        let desk = Desk::of(settings, reader, &tests, fixed, None)?;
        let suspicion = analysis.as_ref().and_then(|analysis| {
            let mut suspected = analysis.suspected.iter();
            suspected.find(|one| one.test == test).cloned()
        });
        let found = match flags.next() {
            Some(row) => Some(desk.found(row)?),
            None if suspicion.is_some() || soak.failures > 0 => Some(desk.unflagged(&test)?),
            None => None,
        };
        let earlier = others(found.as_ref(), flags.map(|row| (row.at, row.flag)));
        let occasions = reader.failures_of(suite, &test, ORDERS)?;
        let occasions = occasions.iter().map(|seen| {
            Ok(Occasion {
                seen: Seen::of(seen),
                outcome: seen.outcome,
                token: desk.token(seen)?.to_string(),
            })
        });
        let asked = reader.questions_of(suite, &test)?;
        Ok(Self {
            handle: Names::of(&tests).handle(&test),
            found: found.map(|found| Found { suspicion, ..found }),
            earlier,
            soak,
            aside: (
                outcomes.of(Outcome::Skipped),
                outcomes.sum(Outcome::is_void),
            ),
            standing: reader.standing(suite, &test)?,
            asked: asked.iter().map(|row| Asked::of(&row.recorded())).collect(),
            occasions: occasions.collect::<Result<_, StoreError>>()?,
            pair_coverage: analysis.as_ref().map(|analysis| analysis.pair_coverage),
            owners: desk.owners_of(&test),
            owners_unknown: desk.owners_unknown,
            tests,
            test,
        })
    }

    /// Is there no failure on record?
    pub(super) fn never_failed(&self) -> bool {
        self.soak.failures == 0
    }

    /// The largest failure rate that its passes leave possible, with 95 %: `1 - 0.05^(1/N)`.
    pub(super) fn bound(&self) -> Option<f64> {
        (self.never_failed() && self.soak.trials > 0)
            .then(|| stats::never_failed_bound(self.soak.trials, ALPHA))
    }

    /// Number of attempts to certify something about it.
    pub(super) fn attempts(&self) -> u64 {
        self.asked.iter().filter(|asked| asked.is_attempt()).count() as u64
    }

    /// What was ruled out, in sentences: the flag's, else the analyst's.
    pub(super) fn ruled_out(&self) -> &[String] {
        let flag = self.found.as_ref().map(|found| &*found.flag.ruled_out);
        let standing = || self.standing.as_ref().map(|standing| &*standing.ruled_out);
        flag.filter(|sentences| !sentences.is_empty())
            .or_else(standing)
            .unwrap_or_default()
    }

    /// The next command to type.
    pub(super) fn next(&self) -> String {
        let token = self.found.as_ref().and_then(|found| found.token.as_ref());
        let explained = self
            .found
            .as_ref()
            .is_some_and(|found| found.flag.verdict != Verdict::Undetermined);
        match token {
            Some(token) if explained => plan::replaying(token, Some(&self.handle)),
            _ if !self.never_failed() => format!("minimize {}", self.handle),
            _ => "hunt".to_owned(),
        }
    }

    /// The answer for programs.
    pub(super) fn json(&self) -> Value {
        let blank = Found::of_test(&self.test, &self.handle, self.soak);
        let found = self.found.as_ref().unwrap_or(&blank);
        let mut answer = shape::flag(found, Naming::Everything);
        let flag = &found.flag;
        if self.found.is_none() {
            answer["verdict"] = Value::Null;
        }
        answer["schema"] = json!(SCHEMA);
        answer["owners"] = json!(self.owners);
        answer["failure_rate"] = shape::count(self.soak);
        answer["upper_bound"] = json!(self.bound());
        answer["pair_coverage"] = json!(self.pair_coverage);
        answer["trials"] = json!(self.soak.trials);
        answer["skipped"] = json!(self.aside.0);
        answer["void"] = json!(self.aside.1);
        answer["alone"] = shape::count(self.alone());
        answer["groups"] = flag.groups.iter().map(group).collect();
        answer["recipe"] = json!(flag.recipe.as_ref().map(recipe));
        answer["since_iteration"] = json!(flag.since_iteration);
        answer["threshold"] = json!(flag.threshold);
        answer["reach"] = json!(flag.reach.map(crate::model::Reach::word));
        answer["files_left"] = json!(flag.files_left);
        answer["settles"] = json!(flag.settles);
        answer["ruled_out"] = json!(self.ruled_out());
        answer["explanations"] = self
            .explanations()
            .iter()
            .map(|(what, share)| json!({"explanation": what, "probability": share}))
            .collect();
        answer["attempts"] = json!(self.attempts());
        answer["executions"] = self.asked.iter().map(Asked::executions).sum::<u64>().into();
        answer["probes"] = self.asked.iter().map(Asked::json).collect();
        answer["failures"] = self
            .occasions
            .iter()
            .map(|failure| {
                let mut value = shape::seen(&failure.seen);
                value["outcome"] = json!(failure.outcome.word());
                value["token"] = json!(failure.token);
                value
            })
            .collect();
        answer["earlier"] = self
            .earlier
            .iter()
            .map(|(at, flag)| {
                json!({
                    "time": at.rfc3339(),
                    "verdict": flag.verdict.word(),
                    "certified": flag.certified,
                })
            })
            .collect();
        answer
    }

    /// Failures alone in a fresh container.
    pub(super) fn alone(&self) -> Count {
        let flag = self.found.as_ref().map(|found| found.flag.alone);
        let standing = self.standing.as_ref().map(|standing| standing.alone);
        flag.filter(|count| count.trials > 0)
            .or(standing)
            .unwrap_or_default()
    }

    /// Explanations by posterior probability: they rank, and certify nothing.
    pub(super) fn explanations(&self) -> &[(String, f64)] {
        let standing = self.standing.as_ref();
        let suspicion = || Some(&self.found.as_ref()?.suspicion.as_ref()?.explanations);
        standing
            .map(|standing| &standing.explanations)
            .filter(|some| !some.is_empty())
            .or_else(suspicion)
            .map_or(&[], Vec::as_slice)
    }
}

fn group(group: &crate::model::Group) -> Value {
    json!({
        "role": group.role.word(),
        "members": shape::names(&group.members),
        "adjacent": group.adjacent,
        "with": shape::count(group.with),
        "with_decoy": shape::count(group.with_decoy),
        "without": shape::count(group.without),
        "e_value": shape::e_value(group.ln_e),
    })
}

fn recipe(recipe: &crate::model::Recipe) -> Value {
    let order: Vec<Value> = recipe
        .order
        .iter()
        .map(|(test, rep)| json!({"test": escape::json_name(test), "rep": rep}))
        .collect();
    json!({
        "order": order,
        "factors": shape::factors(&recipe.factors),
        "beside": shape::names(&recipe.beside),
        "seen": shape::count(recipe.seen),
        "repeat_for_95": recipe.repeat,
        "repeat_at_worst": recipe.repeat_at_worst,
    })
}
