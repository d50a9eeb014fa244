//! Digests made by hand, to look at and to test pages with: one with every state and verdict, one whose names and
//! texts are hostile and that is otherwise the same, and one as large as the page must take.

#[path = "digest/rest.rs"]
mod rest;
#[path = "digest/samples.rs"]
pub(crate) mod samples;

use jiff::tz::TimeZone;

use soakhound::model::{
    Count, Flag, Group, HandleLength, Recipe, Role, TestId, UnixMillis, Verdict,
};
use soakhound::report::digest::{Card, Cause, Proof, Share, State, Subject};
use soakhound::report::{Digest, Exposure, Window};
use soakhound::stats::{jeffreys, mended};

const DAY: i64 = 24 * 3_600_000;
/// Weeks of a trend.
const WEEKS: usize = 12;

/// What the names and texts of a digest are made of.
pub(crate) trait Words {
    /// A test's name, from a plain one.
    fn test(&self, plain: &str) -> TestId;
    /// Any other text that a suite chose.
    fn text(&self, plain: &str) -> String;
    /// A line of output as the excerpt has it: escaped.
    fn output(&self, plain: &str) -> String;
}

/// Words as they are.
pub(crate) struct Plain;

impl Words for Plain {
    fn test(&self, plain: &str) -> TestId {
        TestId::new(plain).unwrap()
    }
    fn text(&self, plain: &str) -> String {
        plain.to_owned()
    }
    fn output(&self, plain: &str) -> String {
        plain.to_owned()
    }
}

fn count(failures: u64, trials: u64) -> Count {
    Count { failures, trials }
}

fn share(per_1000: f64) -> Share {
    Share {
        runs: per_1000 * 0.43,
        per_1000,
        interval: (per_1000 * 0.7, per_1000 * 1.4),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small and positive"
        )]
        alone: (per_1000 * 0.3) as u64,
        minutes: per_1000 * 0.43 * 1.9,
    }
}

/// Twelve numbers that end in `last` and begin `weeks` before the end.
fn trend(last: u64, weeks: usize) -> Vec<u64> {
    (0..WEEKS)
        .map(|week| match (week + weeks).checked_sub(WEEKS) {
            None => 0,
            Some(nth) => {
                let wobble = [7, 5, 8, 6, 9, 4][nth % 6];
                if week + 1 == WEEKS {
                    last
                } else {
                    last * wobble / 8
                }
            }
        })
        .collect()
}

/// A flag without evidence.
pub(crate) fn flag(test: &TestId, verdict: Verdict) -> Flag {
    Flag {
        certified: verdict != Verdict::Undetermined,
        soak: count(113, 6_270),
        alone: count(0, 40),
        ln_e: Some(52.0),
        ..Flag::bare(Some(test.clone()), verdict)
    }
}

/// Builds a digest card by card.
pub(crate) struct Maker<'a> {
    words: &'a dyn Words,
    window: Window,
    cards: Vec<Card>,
    causes: Vec<Cause>,
}

impl<'a> Maker<'a> {
    pub(crate) fn new(words: &'a dyn Words) -> Self {
        let window = Window::week("2026-W47".parse().unwrap(), &TimeZone::UTC, "UTC");
        Self {
            words,
            window,
            cards: Vec::new(),
            causes: Vec::new(),
        }
    }

    fn at(&self, days: i64) -> UnixMillis {
        UnixMillis(self.window.until.0 - days * DAY + 8 * 3_600_000 + 660_000)
    }

    /// Adds a card.
    pub(crate) fn card(
        &mut self,
        name: &str,
        verdict: Verdict,
        state: State,
        failures: u64,
        owner: Option<&str>,
    ) -> usize {
        let test = self.words.test(name);
        let within = if state == State::Silent {
            count(0, 0)
        } else {
            count(failures, 6_270)
        };
        let age = match state {
            State::New => 4,
            State::Returned | State::Worse => 40,
            State::Open => 61,
            State::Silent | State::Fixed => 75,
        };
        let revision = "9f3c2e1d0b4a59687766554433221100ffeeddcc".to_owned();
        let weeks = usize::try_from(age / 7 + 1).unwrap();
        let weekly: Vec<Count> = trend(failures, weeks)
            .into_iter()
            .enumerate()
            .map(|(week, failures)| count(failures, if week == 3 { 0 } else { 6_270 }))
            .map(|one| if one.trials == 0 { count(0, 0) } else { one })
            .collect();
        let per_1000 = failures_f64(failures) / 6.27;
        let has_proof = state == State::Fixed;
        let before = count(113, 6_157);
        let mut flag = flag(&test, verdict);
        if verdict != Verdict::Undetermined {
            flag.recipe = Some(Recipe {
                order: vec![(test.clone(), 1)],
                factors: Vec::new(),
                beside: Vec::new(),
                seen: count(50, 50),
                repeat: 1,
                repeat_at_worst: 2,
            });
        }
        let handle = test.handle(HandleLength::Six).to_string();
        self.cards.push(Card {
            token: Some(format!("sk1m_q4m9zt{handle}c0xw52h3vd")),
            repeat: flag.recipe.as_ref().map(|recipe| recipe.repeat),
            handle,
            owners: owner
                .map(|owner| self.words.text(owner))
                .into_iter()
                .collect(),
            state,
            silence: (state == State::Silent).then(|| "it was not run".to_owned()),
            within,
            interval: jeffreys(within, 0.05),
            life: count(failures * 7, 43_890),
            weekly,
            direction: i8::from(state == State::Worse),
            natural: share(per_1000),
            shuffled: share(per_1000 * 1.3),
            first: Some((self.at(age), revision.clone())),
            last: Some((self.at(1), revision)),
            began_after: Some("8d02f11a".to_owned()),
            certified_at: Some(self.at(age - 1)),
            proof: has_proof.then(|| Proof {
                passes: 4_210,
                exposure: Exposure::Always,
                before,
                worth: mended(before, 4_210),
                since: Some("c41f9aa0b1c2d3e4f5061728394a5b6c7d8e9f00".to_owned()),
            }),
            signatures: vec![
                (
                    self.words.text(
                        "AssertionError: assert cache.is_empty() in tests/api/test_cache.py:<n>",
                    ),
                    failures,
                ),
                (self.words.text("TimeoutError: no answer after <n> s"), 2),
            ],
            excerpt: [
                "def test_cold_start(cache):",
                "    response = client.get('/items')",
                "    assert response.status == 200",
                ">   assert cache.is_empty()",
                "[...]",
                "E   AssertionError: assert False",
                "E    +  where False = is_empty()",
                "",
                "tests/api/test_cache.py:88: AssertionError",
            ]
            .iter()
            .map(|line| self.words.output(line))
            .collect(),
            test,
            flag,
        });
        self.cards.len() - 1
    }

    /// Puts a group into the flags of some cards.
    pub(crate) fn group(&mut self, cards: &[usize], role: Role, members: &[&str]) -> Vec<TestId> {
        let members: Vec<TestId> = members.iter().map(|name| self.words.test(name)).collect();
        for at in cards {
            let card = &mut self.cards[*at];
            card.flag.groups.push(Group {
                role,
                members: members.clone(),
                adjacent: false,
                with: count(50, 50),
                with_decoy: count(0, 50),
                without: count(0, 50),
                ln_e: 48.0,
            });
            if let Some(recipe) = &mut card.flag.recipe {
                let own = recipe.order.pop();
                recipe
                    .order
                    .extend(members.iter().map(|member| (member.clone(), 1)));
                recipe.order.extend(own);
            }
        }
        members
    }

    /// Adds the row of some cards.
    pub(crate) fn cause(&mut self, cards: Vec<usize>, subject: Subject) {
        let sum =
            |pick: fn(&Card) -> f64| cards.iter().map(|at| pick(&self.cards[*at])).sum::<f64>();
        let (natural, shuffled) = (
            sum(|card| card.natural.per_1000),
            sum(|card| card.shuffled.per_1000),
        );
        let weekly = |week: usize| {
            let failures: u64 = cards
                .iter()
                .map(|at| self.cards[*at].weekly[week].failures)
                .sum();
            failures_f64(failures) / 6.27
        };
        self.causes.push(Cause {
            subject,
            state: cards.iter().map(|at| self.cards[*at].state).min().unwrap(),
            natural: share(natural),
            shuffled: share(shuffled),
            weekly: (0..WEEKS).map(weekly).collect(),
            cards,
        });
    }

    /// Adds a card with a row of its own.
    pub(crate) fn alone(
        &mut self,
        name: &str,
        verdict: Verdict,
        state: State,
        failures: u64,
        owner: Option<&str>,
    ) -> usize {
        let at = self.card(name, verdict, state, failures, owner);
        self.cause(vec![at], Subject::Test);
        at
    }

    /// Returns the flag of a card.
    pub(crate) fn flag(&mut self, at: usize) -> &mut Flag {
        &mut self.cards[at].flag
    }

    /// Completes the digest.
    pub(crate) fn finish(self) -> Digest {
        rest::complete(self.words, self.window, self.cards, self.causes)
    }
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn failures_f64(failures: u64) -> f64 {
    failures as f64
}
