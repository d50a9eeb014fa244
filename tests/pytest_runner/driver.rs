//! What the driver promises: any order, one record per fact, no trace left.

use crate::host::{Venv, contents, project, tests};
use soakhound::model::{Outcome, TestId};
use soakhound::suite::JournalEvent;

use Outcome::{Error, Failed, Passed, Skipped};

/// A project that fights for its own order with everything that plugins and hooks offer.
const STUBBORN: &[(&str, &str)] = &[
    (
        "pytest.ini",
        "[pytest]
addopts = -n 2 -x --reruns 2 -p xdist --random-order --lf --randomly-dont-reset-seed
disable_test_id_escaping_and_forfeit_all_rights_to_community_support = true
",
    ),
    (
        "conftest.py",
        "import pytest

@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items):
    yield
    items.sort(key=lambda item: item.name, reverse=True)
",
    ),
    (
        "tests/test_scopes.py",
        "import pytest

@pytest.fixture(scope='module', params=['p1', 'p2'])
def scoped(request):
    return request.param

def test_a(scoped):
    pass

def test_b(scoped):
    pass

class TestOne:
    def test_in_class(self):
        pass
",
    ),
    (
        "tests/test_odd name.py",
        r#"import pytest
import unittest

IDS = ["two words", "[x]", "a/b\\c", "a::b", "line\nbreak", "größe", "\udc80 not utf-8", "(#2)", "same", "same"]

@pytest.mark.parametrize("value", IDS, ids=IDS)
def test_id(value):
    pass

class TestTwo:
    def test_in_class(self):
        assert not hasattr(self, "used")

class Old(unittest.TestCase):
    def test_old(self):
        pass
"#,
    ),
];

/// Orders tests so that neighbours come from different modules and classes.
fn interleaved(mut all: Vec<TestId>) -> Vec<TestId> {
    all.sort_by_key(|test| *blake3::hash(test.as_bytes()).as_bytes());
    all
}

#[test]
fn any_order_is_kept_whatever_plugins_and_hooks_want() {
    let folder = project(STUBBORN);
    let before = contents(folder.path());
    for venv in Venv::all() {
        let listed = venv.list(folder.path(), &[]);
        let names = listed.items();
        assert_eq!(names.len(), 17, "{}: {}", venv.pytest, listed.output);
        assert_eq!(listed.items(), venv.list(folder.path(), &[]).items());
        let broken =
            TestId::new(b"tests/test_odd name.py::test_id[\x80 not utf-8]".to_vec()).unwrap();
        assert!(names.contains(&broken), "{names:?}");

        let order = interleaved(names);
        let ran = venv.run(folder.path(), &[], &order);
        let all: Vec<u32> = (0_u32..17).collect();
        assert_eq!(ran.started(), all, "{}: {}", venv.pytest, ran.output);
        assert_eq!(ran.outcomes(), vec![Passed; 17], "{}", ran.output);
        assert!(!ran.journal.order_differs());
        let notes = ran.notes().join("\n");
        for plugin in [
            "xdist",
            "randomly",
            "random-order",
            "rerunfailures",
            "maxfail",
            "lf",
        ] {
            assert!(notes.contains(plugin), "{plugin}: {notes}");
        }
        let changed = contents(folder.path());
        assert!(before == changed, "{}: a file changed", venv.pytest);
    }
}

const OUTCOMES: &str = r#"
import sys
import unittest
import pytest

@pytest.fixture
def unset():
    raise OSError("no set-up")

@pytest.fixture
def untidy():
    yield
    raise OSError("no tear-down")

def test_passes(): pass
def test_fails():
    print("printed by the test")
    assert 1 == 2
def test_set_up(unset): pass
def test_tear_down(untidy): pass
def test_both(untidy): assert 0
@pytest.mark.skip(reason="not today")
def test_skipped(): pass
def test_skips_itself(): pytest.skip("changed my mind")
@pytest.mark.xfail
def test_expected(): assert 0
@pytest.mark.xfail
def test_surprise(): pass
@pytest.mark.xfail(strict=True)
def test_strict(): pass
@pytest.mark.xfail(run=False)
def test_not_run(): assert 0
def test_exits(): sys.exit(0)
class Old(unittest.TestCase):
    def test_an_early_one_with_subtests(self):
        for number in range(3):
            with self.subTest(number=number):
                self.assertNotEqual(number, 1)
    @unittest.skip("old skip")
    def test_old_skip(self): pass
def test_long(): assert 0, "x" * 100000
def test_unprintable(): assert 0, "\udc80\x00\x1b[31m"
"#;

#[test]
fn every_way_to_end_has_its_outcome_and_its_text() {
    let folder = project(&[("test_o.py", OUTCOMES)]);
    for venv in Venv::all() {
        let order = venv.list(folder.path(), &[]).items();
        let ran = venv.run(folder.path(), &[], &order);
        assert_eq!(
            ran.outcomes(),
            [
                Passed, Failed, Error, Error, Failed, Skipped, Skipped, Passed, Passed, Failed,
                Skipped, Failed, Failed, Skipped, Failed, Failed
            ],
            "{}: {}",
            venv.pytest,
            ran.output
        );
        let details = ran.details();
        for (index, text) in [
            (1, "assert 1 == 2"),
            (1, "printed by the test"),
            (2, "no set-up"),
            (3, "the test passed, but its tear-down failed"),
            (4, "no tear-down"),
            (5, "not today"),
            (6, "changed my mind"),
            (9, "XPASS(strict)"),
            (11, "SystemExit"),
            (14, "bytes cut"),
        ] {
            let detail = &details[&index];
            assert!(detail.contains(text), "{}: {index}: {detail}", venv.pytest);
        }
        assert!(details[&14].len() < 5000, "the text is capped");
        assert_eq!(ran.journal.finished(), Some(1));
    }
}

#[test]
fn a_doubled_test_runs_twice_in_a_row_on_its_own() {
    let folder = project(&[(
        "test_d.py",
        r#"
import unittest
import pytest

SEEN = []

@pytest.fixture
def fresh(tmp_path):
    SEEN.append(str(tmp_path))
    return []

def test_fixture(fresh):
    assert not fresh
    fresh.append(1)

def test_not_repeatable():
    SEEN.append("mark")
    assert SEEN.count("mark") == 1

class TestState:
    def test_instance(self, fresh):
        assert not hasattr(self, "used")
        self.used = True

class Old(unittest.TestCase):
    def setUp(self):
        self.n = 0
    def test_old(self):
        self.n += 1
        self.assertEqual(self.n, 1)

def documented():
    """
    >>> 1 + len(SEEN[:0])
    1
    """

@pytest.mark.flaky(reruns=3)
def test_flaky():
    assert 0
"#,
    )]);
    for venv in Venv::all() {
        let names = venv.list(folder.path(), &["--doctest-modules"]).items();
        assert_eq!(names.len(), 6);
        let order: Vec<TestId> = names.iter().flat_map(|n| [n.clone(), n.clone()]).collect();
        let ran = venv.run(folder.path(), &["--doctest-modules"], &order);
        let all: Vec<u32> = (0_u32..12).collect();
        assert_eq!(ran.started(), all, "{}", ran.output);
        let failing: Vec<String> = order
            .iter()
            .zip(ran.outcomes())
            .filter(|(_, outcome)| outcome.is_failing())
            .map(|(test, _)| test.as_str().unwrap().replace("test_d.py::", ""))
            .collect();
        let expected = ["test_not_repeatable", "test_flaky", "test_flaky"];
        assert_eq!(failing, expected, "{}: {}", venv.pytest, ran.output);
    }
}

#[test]
fn a_process_that_ends_early_names_its_test() {
    let folder = project(&[(
        "test_c.py",
        "
import ctypes, os, signal
import pytest

def test_before(): pass
def test_exit(): os._exit(0)
def test_segfault(): ctypes.string_at(0)
def test_killed(): os.kill(os.getpid(), signal.SIGKILL)
def test_interrupt(): raise KeyboardInterrupt
def test_pytest_exit(): pytest.exit('enough')
def test_closes(): os.closerange(0, 65536)
def test_after(): pass
",
    )]);
    let venv = Venv::newest();
    let cases = [
        ("test_exit", None),
        ("test_segfault", None),
        ("test_killed", None),
        ("test_interrupt", Some(2)),
        ("test_pytest_exit", Some(2)),
        ("test_closes", None),
    ];
    for (name, finished) in cases {
        let name = format!("test_c.py::{name}");
        let order = tests(&["test_c.py::test_before", &name, "test_c.py::test_after"]);
        let ran = venv.run(folder.path(), &[], &order);
        assert_eq!(ran.outcomes(), [Passed], "{name}: {}", ran.output);
        assert_eq!(ran.journal.running(), Some(1), "{name}: {}", ran.output);
        assert_eq!(ran.journal.finished(), finished, "{name}: {}", ran.output);
        assert_eq!(ran.journal.not_started().collect::<Vec<_>>(), [2]);
    }
}

#[test]
fn tests_that_meddle_with_the_process_do_not_disturb_the_stream() {
    let folder = project(&[(
        "test_m.py",
        r#"
import json, multiprocessing, os, sys, time
import unittest.mock as mock

def test_replaces_functions():
    for module, name in [(os, "write"), (os, "fstat"), (json, "dumps"), (time, "clock_gettime_ns"), (os, "getpid")]:
        mock.patch.object(module, name, side_effect=RuntimeError).start()

def test_restores():
    mock.patch.stopall()

def test_closes_small_descriptors():
    os.closerange(3, 256)

def child(): sys.exit(3)

def test_forks_with_multiprocessing():
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert process.exitcode == 3

def test_spawns_with_multiprocessing():
    process = multiprocessing.get_context("spawn").Process(target=child)
    process.start()
    process.join()
    assert process.exitcode == 3

def test_forks_and_returns():
    if os.fork() == 0:
        raise RuntimeError("the child goes on with the suite")
    os.wait()

def test_sees_no_trace_of_the_driver():
    assert "SOAKHOUND_JOB_FD" not in os.environ
    assert not any("soakhound" in path for path in sys.path)
    assert "nonce" not in open("/proc/self/environ").read()
    assert "soakhound" not in sys.argv[0]

def test_last(): pass
"#,
    )]);
    for venv in Venv::all() {
        let order = venv.list(folder.path(), &[]).items();
        let ran = venv.run(folder.path(), &["-s"], &order);
        assert_eq!(
            ran.outcomes(),
            vec![Passed; 8],
            "{}: {}",
            venv.pytest,
            ran.output
        );
    }
}

#[test]
fn tests_that_do_not_exist_are_missing_and_the_rest_runs() {
    let folder = project(&[("test_a.py", "def test_one(): pass\ndef test_two(): pass\n")]);
    let order = tests(&[
        "test_a.py::gone",
        "test_a.py::test_two",
        "b",
        "test_a.py::test_one",
    ]);
    let ran = Venv::newest().run(folder.path(), &[], &order);
    assert!(ran.events.contains(&JournalEvent::Missing(vec![0, 2])));
    assert_eq!(ran.started(), [1, 3]);
}

#[test]
fn options_of_the_suite_choose_what_is_listed() {
    let folder = project(&[(
        "test_k.py",
        "import pytest\ndef test_quick(): pass\n@pytest.mark.slow\ndef test_slow(): pass\n",
    )]);
    let listed = Venv::newest().list(folder.path(), &["-m", "not slow"]);
    assert_eq!(listed.items(), tests(&["test_k.py::test_quick"]));
    let JournalEvent::Versions { runner, language } = &listed.events[0] else {
        panic!("versions come first: {:?}", listed.events);
    };
    assert!(runner.starts_with("pytest 9."), "{runner}");
    assert!(language.starts_with("Python 3."), "{language}");
}

#[test]
fn an_unknown_option_ends_with_the_words_of_pytest() {
    let folder = project(&[("test_a.py", "def test_one(): pass\n")]);
    let listed = Venv::newest().list(folder.path(), &["--no-such-option"]);
    assert_eq!((listed.code, listed.journal.finished()), (Some(4), Some(4)));
    assert!(listed.output.contains("--no-such-option"));
}

#[test]
fn random_numbers_are_seeded_alike_where_pytest_randomly_is_installed() {
    let folder = project(&[(
        "test_r.py",
        "import random\ndef test_draw(): assert 0, 'drew {}'.format(random.random())\n",
    )]);
    let venv = Venv::newest();
    let order = tests(&["test_r.py::test_draw"]);
    let drew = || venv.run(folder.path(), &[], &order).details()[&0].clone();
    assert_eq!(drew(), drew());
}

#[test]
fn twenty_thousand_tests_are_listed_and_run_in_any_order() {
    const MODULES: u32 = 40;
    let folder = tempfile::TempDir::new().unwrap();
    for module in 0..MODULES {
        let text = "import pytest\n@pytest.mark.parametrize('n', range(500))\ndef test(n): pass\n";
        std::fs::write(folder.path().join(format!("test_{module}.py")), text).unwrap();
    }
    let venv = Venv::newest();
    let order = interleaved(venv.list(folder.path(), &[]).items());
    assert_eq!(order.len(), 20_000);
    let ran = venv.run(folder.path(), &["-q"], &order);
    let all: Vec<u32> = (0_u32..20_000).collect();
    assert!(ran.started() == all, "another order");
    assert!(ran.outcomes().iter().all(|outcome| *outcome == Passed));
}
