//! Digests made by hand, to look at and to test pages with: one with every state and verdict, one whose names and
//! texts are hostile and that is otherwise the same, and one as large as the page must take.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use soakhound::model::{
    Count, Flag, Group, HandleLength, Outcome, Reach, Recipe, Role, TestId, UnixMillis, Verdict,
};
use soakhound::report::digest::{
    Card, Cause, Cluster, Edge, Funnel, Green, Head, Heat, Origin, OwnerRow, Proof, Reliability,
    Share, State, Stock, Subject, Trust,
};
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
        test: Some(test.clone()),
        verdict,
        certified: verdict != Verdict::Undetermined,
        groups: Vec::new(),
        unnamed: 0,
        factors: Vec::new(),
        soak: count(113, 6_270),
        alone: count(0, 40),
        recipe: None,
        ln_e: Some(52.0),
        since_iteration: None,
        threshold: None,
        reach: None,
        files_left: Vec::new(),
        ruled_out: Vec::new(),
        settles: None,
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
        let (words, window) = (self.words, self.window);
        let weeks = window.weeks();
        let reliability = |runs: u64, green: u64| Reliability {
            runs,
            green,
            interval: jeffreys(count(green, runs), 0.05),
        };
        let by_week: Vec<(String, [Reliability; 2])> = weeks
            .iter()
            .enumerate()
            .map(|(at, week)| {
                let at = at as u64;
                let both = match at {
                    0 | 1 => [reliability(0, 0), reliability(0, 0)],
                    2 => [reliability(12, 11), reliability(120, 110)],
                    6 => [reliability(0, 0), reliability(0, 0)],
                    _ => [
                        reliability(430, 412 - 2 * at),
                        reliability(1_800, 1_725 - 9 * at),
                    ],
                };
                (week.label.clone(), both)
            })
            .collect();
        let mut states: BTreeMap<State, u64> = State::ALL.iter().map(|state| (*state, 0)).collect();
        for cause in &self.causes {
            *states.get_mut(&cause.state).unwrap() += 1;
        }
        let cards = self.cards;
        let nights = window.nights();
        let mut heat: Vec<usize> = (0..cards.len())
            .filter(|at| cards[*at].within.failures > 0)
            .collect();
        heat.truncate(30);
        let rows = heat
            .into_iter()
            .map(|at| {
                let nightly = (0..nights.len()).map(|night| {
                    let failures =
                        cards[at].within.failures * ((night as u64 * 7 + at as u64 * 3) % 5) / 14;
                    if night % 9 == 4 {
                        count(0, 0)
                    } else {
                        count(failures, 900)
                    }
                });
                (at, nightly.collect())
            })
            .collect();
        let graph = cards
            .iter()
            .enumerate()
            .flat_map(|(to, card)| card.flag.groups.iter().map(move |group| (to, group)))
            .filter(|(_, group)| group.role != Role::Cleaner)
            .map(|(to, group)| Edge {
                from: group.members.clone(),
                role: group.role,
                to,
                with: group.with,
            })
            .collect();
        let mut owners: BTreeMap<String, OwnerRow> = BTreeMap::new();
        for card in &cards {
            let owner = card.owners.first().cloned().unwrap_or_default();
            let row = owners.entry(owner.clone()).or_insert(OwnerRow {
                owner,
                open: 0,
                new: 0,
                fixed: 0,
                oldest: None,
                per_1000: 0.0,
            });
            row.open += u64::from(card.state.is_open());
            row.new += u64::from(card.state == State::New);
            row.fixed += u64::from(card.state == State::Fixed);
            row.oldest = row
                .oldest
                .into_iter()
                .chain(card.first.as_ref().map(|(at, _)| *at))
                .min();
            row.per_1000 += card.natural.per_1000;
        }
        let mut owners: Vec<OwnerRow> = owners.into_values().collect();
        owners.sort_by(|a, b| b.per_1000.total_cmp(&a.per_1000));
        let stock = weeks
            .iter()
            .enumerate()
            .map(|(at, week)| {
                let at = at as u64;
                Stock {
                    week: week.label.clone(),
                    new: at * 5 % 7,
                    fixed: at * 3 % 4,
                    open: 6 + at + at % 3,
                }
            })
            .collect();
        let clusters = vec![
            Cluster {
                signature: words
                    .text("AssertionError: assert cache.is_empty() in tests/api/test_cache.py:<n>"),
                failures: 613,
                cards: (0..cards.len().min(12)).collect(),
            },
            Cluster {
                signature: words.text("TimeoutError: no answer after <n> s"),
                failures: 18,
                cards: vec![0],
            },
        ];
        let certified = cards.iter().filter(|card| card.flag.certified).count() as u64;
        Digest {
            head: Head {
                origin: Origin {
                    suite: words.text("acme/ledger"),
                    suite_id: "q4m9zt".to_owned(),
                    tool: "0.1.0".to_owned(),
                    schema: 9,
                    database: 271_828,
                    signature_rule: 2,
                },
                as_of: Some(UnixMillis(window.until.0 - 3 * 3_600_000)),
                revisions: Some((
                    "8d02f11a77665544332211009f3c2e1d0b4a5968".to_owned(),
                    "9f3c2e1d0b4a59687766554433221100ffeeddcc".to_owned(),
                    7,
                )),
                hours: 1_834.6,
                machines: vec![words.text("soak-01"), words.text("soak-02")],
                iterations: 2_310,
                outcomes: BTreeMap::from([(Outcome::Passed, 11_560_121), (Outcome::Failed, 14_209), (Outcome::Aborted, 3_070)]),
                tests: 5_012,
                window,
            },
            trust: Trust {
                faults: Vec::new(),
                facts: vec![
                    "9,198 of 9,240 shards finished, 2 given up".to_owned(),
                    "0.027 % of trials say nothing: 3,070 aborted".to_owned(),
                    "no evidence from 2026-11-19".to_owned(),
                    "the suite changed: 14 tests came, 3 went".to_owned(),
                    "certified causes: 412 attempts so far, at most 0.412 false ones expected; of 9 suspected tests at most 5 % are expected to be innocent".to_owned(),
                    "canary: the planted defects were found, so the detector is alive".to_owned(),
                ],
                blind: vec![
                    "14 tests that never ran, or were always skipped".to_owned(),
                    "failures of tests that never failed yet: each may still fail in up to 0.13 % of its runs".to_owned(),
                    "what only shows on other machines, kernels or networks: tests run without a network".to_owned(),
                ],
                shards: [9_240, 9_198, 2],
                void: count(3_070, 11_577_400),
                missing: vec!["2026-11-19".to_owned()],
                suite_changes: (14, 3),
                attempts: 412,
                canary: Some("green".to_owned()),
            },
            green: Green {
                now: by_week[11].1,
                last: by_week[10].1,
                without_broken: None,
                if_mended: vec![
                    [reliability(430, 404), reliability(1_800, 1_690)],
                    [reliability(430, 411), reliability(1_800, 1_722)],
                    [reliability(430, 417), reliability(1_800, 1_750)],
                ],
                weeks: by_week,
            },
            states,
            clusters,
            heat: Heat { nights, rows },
            stock,
            graph,
            owners,
            funnel: Funnel {
                tests: 5_012,
                clean: 4_771,
                unknown: 183,
                failed: 58,
                certified,
                reproducible: certified.saturating_sub(3),
                owned: certified / 2,
            },
            causes: self.causes,
            cards,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn failures_f64(failures: u64) -> f64 {
    failures as f64
}

/// A digest with every state and every verdict, one polluter with 41 victims, and owners.
pub(crate) fn rich(words: &dyn Words) -> Digest {
    let mut maker = Maker::new(words);
    let (api, core) = (Some("@acme/api"), Some("@acme/core"));
    let victims: Vec<usize> = (0..41)
        .map(|nth| {
            let name = format!("tests/api/test_cache.py::TestColdStart::test_region[eu-{nth:02}]");
            let state = if nth < 3 { State::New } else { State::Open };
            maker.card(&name, Verdict::OdVictim, state, 88 - 2 * nth, api)
        })
        .collect();
    let members = maker.group(
        &victims,
        Role::Polluter,
        &["tests/api/test_cache.py::test_warm_cache"],
    );
    maker.group(
        &victims[..1],
        Role::Cleaner,
        &["tests/api/test_cache.py::test_reset"],
    );
    maker.flag(victims[0]).reach = Some(Reach::Container);
    maker.flag(victims[0]).files_left = vec![
        words.text("/tmp/ledger-cache/items.db"),
        words.text("/tmp/ledger-cache/lock"),
    ];
    maker.cause(
        victims,
        Subject::Group {
            role: Role::Polluter,
            members,
        },
    );

    let nod = maker.alone(
        "tests/sync/test_reconnect.py::test_reconnect_after_drop",
        Verdict::Nod,
        State::Worse,
        182,
        core,
    );
    maker.flag(nod).alone = count(3, 120);
    maker.flag(nod).ruled_out = vec![
        words.text("order: fails as often in every order"),
        words.text("load: no difference between 1 and 16 workers"),
    ];
    let pair = maker.alone(
        "tests/jobs/test_queue.py::test_drain",
        Verdict::Ndod,
        State::Returned,
        71,
        core,
    );
    maker.group(
        &[pair],
        Role::Polluter,
        &[
            "tests/jobs/test_queue.py::test_fill",
            "tests/jobs/test_queue.py::test_pause",
        ],
    );
    let brittle: Vec<usize> = ["one", "two", "three"]
        .iter()
        .map(|name| {
            maker.card(
                &format!("tests/db/test_schema.py::test_table_{name}"),
                Verdict::OdBrittle,
                State::Open,
                40,
                api,
            )
        })
        .collect();
    let setters = maker.group(
        &brittle,
        Role::StateSetter,
        &["tests/db/test_schema.py::test_create_all"],
    );
    maker.cause(
        brittle,
        Subject::Group {
            role: Role::StateSetter,
            members: setters,
        },
    );
    let zone = maker.alone(
        "tests/jobs/test_cron.py::test_runs_at_midnight",
        Verdict::Environment,
        State::New,
        33,
        None,
    );
    maker.flag(zone).factors = vec![(words.text("TZ"), words.text("Asia/Kathmandu"))];
    maker.alone(
        "tests/core/test_registry.py::test_register_twice",
        Verdict::Nio,
        State::Open,
        24,
        core,
    );
    let beside = maker.alone(
        "tests/net/test_port.py::test_bind_8080",
        Verdict::Interference,
        State::New,
        21,
        api,
    );
    maker.group(
        &[beside],
        Role::Neighbour,
        &["tests/net/test_proxy.py::test_listen"],
    );
    let late = maker.alone(
        "tests/core/test_memory.py::test_no_leak",
        Verdict::Position,
        State::Open,
        12,
        core,
    );
    maker.flag(late).threshold = Some(840);
    let broken = maker.alone(
        "tests/api/test_v2.py::test_pagination_total",
        Verdict::Broken,
        State::New,
        9,
        api,
    );
    maker.flag(broken).since_iteration = Some(2_207);
    let once = maker.alone(
        "tests/core/test_float.py::test_rounding_of_halves",
        Verdict::Undetermined,
        State::New,
        1,
        None,
    );
    maker.flag(once).settles = Some(
        words.text("30 more runs in random order, or a replay of the order in which it failed"),
    );
    maker.cards[once].token = None;
    maker.alone(
        "tests/api/test_login.py::test_token_expiry",
        Verdict::Nod,
        State::Silent,
        0,
        api,
    );
    maker.alone(
        "tests/db/test_migrate.py::test_from_v1",
        Verdict::OdVictim,
        State::Fixed,
        0,
        core,
    );
    maker.alone(
        "tests/db/test_migrate.py::test_from_v2",
        Verdict::Nod,
        State::Fixed,
        0,
        core,
    );
    maker.finish()
}

/// A digest as large as the page must take: 200 flags of long names, in a suite of 5,000 tests.
pub(crate) fn large(words: &dyn Words) -> Digest {
    let mut maker = Maker::new(words);
    for nth in 0..40 {
        let name = |part: &str, nth: u64| {
            format!(
                "tests/integration/services/area_{}/test_module_{nth:03}.py::TestLongNamedFixture::test_{part}[parameter-{nth:03}-of-many]",
                nth % 17
            )
        };
        let (polluter, owner) = (
            name("spoils_the_shared_state", nth),
            format!("@acme/team-{}", nth % 9),
        );
        let victims: Vec<usize> = (0..4)
            .map(|at| {
                maker.card(
                    &name("reads_the_shared_state", nth * 4 + at),
                    Verdict::OdVictim,
                    State::Open,
                    90 - nth,
                    Some(&owner),
                )
            })
            .collect();
        let members = maker.group(&victims, Role::Polluter, &[&polluter]);
        maker.cause(
            victims,
            Subject::Group {
                role: Role::Polluter,
                members,
            },
        );
        let state = State::ALL[usize::try_from(nth).unwrap() % 6];
        maker.alone(
            &name("fails_now_and_then", nth),
            Verdict::Nod,
            state,
            40 - nth,
            Some(&owner),
        );
    }
    maker.finish()
}
