//! The digests that pages are looked at with.

use soakhound::model::{Reach, Role, Verdict};
use soakhound::report::Digest;
use soakhound::report::digest::{State, Subject};

use super::{Maker, Words, count};

/// A digest with every state and every verdict, one polluter with 41 victims, and owners.
pub(crate) fn rich(words: &dyn Words) -> Digest {
    let mut maker = Maker::new(words);
    groups(&mut maker, words);
    singles(&mut maker, words);
    settled(&mut maker, words);
    maker.finish()
}

/// Owners.
const API: Option<&str> = Some("@acme/api");
const CORE: Option<&str> = Some("@acme/core");

/// Causes that several tests share.
fn groups(maker: &mut Maker<'_>, words: &dyn Words) {
    let victims: Vec<usize> = (0..41)
        .map(|nth| {
            let name = format!("tests/api/test_cache.py::TestColdStart::test_region[eu-{nth:02}]");
            let state = if nth < 3 { State::New } else { State::Open };
            maker.card(&name, Verdict::OdVictim, state, 88 - 2 * nth, API)
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

    let brittle: Vec<usize> = ["one", "two", "three"]
        .iter()
        .map(|name| {
            maker.card(
                &format!("tests/db/test_schema.py::test_table_{name}"),
                Verdict::OdBrittle,
                State::Open,
                40,
                API,
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
}

/// Tests with a cause of their own.
fn singles(maker: &mut Maker<'_>, words: &dyn Words) {
    let nod = maker.alone(
        "tests/sync/test_reconnect.py::test_reconnect_after_drop",
        Verdict::Nod,
        State::Worse,
        182,
        CORE,
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
        CORE,
    );
    maker.group(
        &[pair],
        Role::Polluter,
        &[
            "tests/jobs/test_queue.py::test_fill",
            "tests/jobs/test_queue.py::test_pause",
        ],
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
        CORE,
    );
    let beside = maker.alone(
        "tests/net/test_port.py::test_bind_8080",
        Verdict::Interference,
        State::New,
        21,
        API,
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
        CORE,
    );
    maker.flag(late).threshold = Some(840);
    let broken = maker.alone(
        "tests/api/test_v2.py::test_pagination_total",
        Verdict::Broken,
        State::New,
        9,
        API,
    );
    maker.flag(broken).since_iteration = Some(2_207);
}

/// Tests that are not explained, silent or mended.
fn settled(maker: &mut Maker<'_>, words: &dyn Words) {
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
        API,
    );
    maker.alone(
        "tests/db/test_migrate.py::test_from_v1",
        Verdict::OdVictim,
        State::Fixed,
        0,
        CORE,
    );
    maker.alone(
        "tests/db/test_migrate.py::test_from_v2",
        Verdict::Nod,
        State::Fixed,
        0,
        CORE,
    );
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
