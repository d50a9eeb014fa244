//! `soakhound.toml` from file to `Settings`: what holds, what is refused, and how the refusal looks.

use std::fs;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use soakhound::command::init;
use soakhound::config::{ConfigError, Environment, Machine, Overrides, Settings, ShardLimit};
use soakhound::error::{ExitCode, Failure};
use soakhound::model::SuiteId;
use soakhound::ui::{Console, Verbosity};
use tempfile::TempDir;

const PLAIN: &str = "[suite]\nname = \"ledger\"\nrunner = \"pytest\"\n";

fn machine() -> Machine {
    Machine {
        cores: NonZeroU16::new(4).unwrap(),
        memory: 8_000_000_000,
    }
}

fn home() -> Environment {
    [("HOME".into(), "/home/x".into())].into()
}

fn folder_with(text: impl AsRef<[u8]>) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("soakhound.toml"), text).unwrap();
    folder
}

fn load(folder: &Path) -> Result<Settings, ConfigError> {
    Settings::load(folder, &Overrides::default(), &home(), machine())
}

/// Loads a text that must be refused, and returns what the user sees without the first line, which holds the path.
fn refusal(text: impl AsRef<[u8]>) -> String {
    let folder = folder_with(text);
    let failure = Failure::from(load(folder.path()).expect_err("the file must be refused"));
    assert_eq!(failure.exit(), ExitCode::Config);
    failure.render(false)
}

#[test]
fn settings_of_a_plain_file_are_the_defaults() {
    let folder = folder_with(PLAIN);
    let settings = load(folder.path()).unwrap();
    assert_eq!(settings.suite.root, folder.path());
    assert_eq!(settings.suite.id, SuiteId::of("ledger", "pytest"));
    assert_eq!(settings.suite.python, None);
    assert_eq!(settings.hunt.workers.get(), 4);
    assert_eq!(settings.hunt.ci_shards.get(), 4);
    assert_eq!(
        settings.limits.memory, 1_600_000_000,
        "80 % of the memory for 4 workers"
    );
    assert_eq!(settings.limits.cpus, None);
    assert_eq!(settings.limits.pids, 512);
    assert_eq!(settings.limits.tmp, 1 << 30);
    assert_eq!(settings.limits.test, Duration::from_mins(10));
    let id = settings.suite.id;
    assert_eq!(
        settings.store.path,
        PathBuf::from(format!("/home/x/.local/state/soakhound/{id}/hunt.db"))
    );
}

#[test]
fn settings_take_every_key_of_the_file() {
    let text = "[suite]\nname = \"ledger\"\nroot = \"sub\"\nrunner = \"pytest\"\npython = \"venv/bin/python\"\n\
        args = [\"-q\", \"a b\"]\nenv_allow = [\"CI\"]\n\
        [hunt]\nworkers = 0x10\nci_shards = 8\nprobe_share = 0\nmax_shard = \"1h30m\"\nprobe_limit = 1\non_flag = [\"mail\", \"me\"]\non_stop = [\"bell\"]\n\
        [factors]\nTZ = [\"UTC\", \"Asia/Tokyo\"]\nPYTHONHASHSEED = [\"0\", \"1\"]\n\
        [limits]\ntest = \"90s\"\nshard = \"30m\"\nmemory = \"512MiB\"\ncpus = 1.5\npids = 64\ntmp = \"100MB\"\noutput_per_test = \"1KiB\"\n\
        [store]\npath = \"night.db\"\nkeep_logs = \"7d\"\nlog_budget = \"1GB\"\nmin_free = \"5GiB\"\n\
        [report]\ntz = \"UTC\"\n";
    let folder = folder_with(text);
    fs::create_dir(folder.path().join("sub")).unwrap();
    let settings = load(folder.path()).unwrap();
    assert_eq!(settings.suite.root, folder.path().join("sub"));
    assert_eq!(
        settings.suite.python,
        Some(folder.path().join("venv/bin/python"))
    );
    assert_eq!(settings.suite.args, ["-q", "a b"]);
    assert_eq!(settings.suite.env_allow, ["CI"]);
    assert_eq!(
        (settings.hunt.workers.get(), settings.hunt.ci_shards.get()),
        (16, 8)
    );
    assert_eq!(settings.hunt.max_shard, Duration::from_mins(90));
    assert!((settings.hunt.probe_limit - 1.0).abs() < f64::EPSILON);
    assert_eq!(settings.hunt.on_flag, ["mail", "me"]);
    assert_eq!(settings.hunt.on_stop, ["bell"]);
    let factors: Vec<_> = settings
        .factors
        .iter()
        .map(|factor| (&*factor.name, factor.levels.join(" ")))
        .collect();
    let expected = [("PYTHONHASHSEED", "0 1"), ("TZ", "UTC Asia/Tokyo")];
    assert_eq!(
        factors,
        expected.map(|(name, levels)| (name, levels.to_owned()))
    );
    assert_eq!(
        settings.limits.shard,
        ShardLimit::Fixed(Duration::from_mins(30))
    );
    assert_eq!(
        (settings.limits.memory, settings.limits.pids),
        (512 << 20, 64)
    );
    assert_eq!(settings.store.path, folder.path().join("night.db"));
    assert_eq!(settings.store.log_budget, 1_000_000_000);
    assert_eq!(settings.report.tz.as_deref(), Some("UTC"));
}

#[test]
fn configuration_is_found_upwards_and_paths_count_from_it() {
    let folder = folder_with(PLAIN);
    let below = folder.path().join("a/b");
    fs::create_dir_all(&below).unwrap();
    let settings = load(&below).unwrap();
    assert_eq!(settings.file, folder.path().join("soakhound.toml"));
    assert_eq!(settings.suite.root, folder.path());
}

#[test]
fn flags_stand_over_the_file_and_count_from_the_start_folder() {
    let folder = folder_with(format!(
        "{PLAIN}python = \"python3.9\"\n[hunt]\nworkers = 2\n"
    ));
    let below = folder.path().join("a");
    fs::create_dir(&below).unwrap();
    assert_eq!(
        load(&below).unwrap().suite.python,
        Some("python3.9".into()),
        "a bare name is for PATH"
    );
    let flags = Overrides {
        config: Some("../soakhound.toml".into()),
        db: Some("x.db".into()),
        workers: NonZeroU16::new(7),
        python: Some("venv/bin/python".into()),
    };
    let settings = Settings::load(&below, &flags, &home(), machine()).unwrap();
    assert_eq!(settings.hunt.workers.get(), 7);
    assert_eq!(settings.suite.python, Some(below.join("venv/bin/python")));
    assert_eq!(settings.store.path, below.join("x.db"));
}

#[test]
fn database_is_the_flag_then_the_variable_then_the_file_then_the_state_folder() {
    let folder = folder_with(format!("{PLAIN}[store]\npath = \"file.db\"\n"));
    let path = |db: Option<&str>, variables: &[(&str, &str)]| {
        let flags = Overrides {
            db: db.map(PathBuf::from),
            ..Overrides::default()
        };
        let environment = variables
            .iter()
            .map(|(n, v)| (n.into(), v.into()))
            .collect();
        Settings::load(folder.path(), &flags, &environment, machine()).map(|s| s.store.path)
    };
    assert_eq!(
        path(Some("/f.db"), &[("SOAKHOUND_DB", "/v.db")]).unwrap(),
        Path::new("/f.db")
    );
    assert_eq!(
        path(None, &[("SOAKHOUND_DB", "/v.db")]).unwrap(),
        Path::new("/v.db")
    );
    assert_eq!(
        path(None, &[("SOAKHOUND_DB", "")]).unwrap(),
        folder.path().join("file.db")
    );
    fs::write(folder.path().join("soakhound.toml"), PLAIN).unwrap();
    let id = SuiteId::of("ledger", "pytest");
    for (state, expected) in [
        ("/s", "/s"),
        ("relative", "/home/x/.local/state"),
        ("", "/home/x/.local/state"),
    ] {
        assert_eq!(
            path(None, &[("XDG_STATE_HOME", state), ("HOME", "/home/x")]).unwrap(),
            PathBuf::from(format!("{expected}/soakhound/{id}/hunt.db"))
        );
    }
    assert!(matches!(path(None, &[]), Err(ConfigError::NoStateFolder)));
}

#[test]
fn shard_limit_without_a_key_is_three_times_the_prediction_and_never_below_a_test() {
    let folder = folder_with(format!("{PLAIN}[limits]\ntest = \"20m\"\n"));
    let limit = load(folder.path()).unwrap().limits.shard;
    let minutes = |predicted| limit.of(Some(Duration::from_mins(predicted)));
    assert_eq!(minutes(1), Some(Duration::from_mins(20)));
    assert_eq!(minutes(10), Some(Duration::from_mins(30)));
    assert_eq!(limit.of(None), None);
}

#[test]
fn missing_configuration_is_answered_with_init() {
    let folder = TempDir::new().unwrap();
    let failure = Failure::from(load(folder.path()).unwrap_err());
    assert_eq!(failure.exit(), ExitCode::Config);
    assert!(
        failure
            .render(false)
            .contains("hint: write one with `soakhound init`")
    );
}

#[test]
fn unknown_key_is_shown_in_its_line_with_the_near_and_the_valid_ones() {
    let folder = folder_with(format!("{PLAIN}[hunt]\nwrokers = 2\n"));
    let file = folder.path().join("soakhound.toml");
    let shown = Failure::from(load(folder.path()).unwrap_err()).render(false);
    let expected = format!(
        "error: cannot use `{}`, line 5, column 1\n  cause: unknown key `wrokers` in [hunt]\n    |\n  5 | wrokers = 2\n    \
         | ^^^^^^^\n  hint: did you mean `workers`\n  hint: valid here: `workers`, `ci_shards`, `probe_share`, `max_shard`, `probe_limit`, `on_flag`, `on_stop`\n",
        file.display()
    );
    assert_eq!(shown, expected);
}

#[test]
fn every_refusal_names_its_place_and_its_reason() {
    for (text, place, reason) in [
        ("[suit]\n", "line 1, column 2", "unknown section `suit`"),
        ("name = 1\n", "line 1, column 1", "unknown section `name`"),
        (
            "suite = 1\n",
            "line 1, column 9",
            "`suite` must be a section, found integer",
        ),
        ("", "line 1, column 1", "[suite] needs a `name`"),
        (
            "[suite]\nname = \"x\"\n",
            "line 1, column 2",
            "[suite] needs a `runner`",
        ),
        (
            "[suite]\nname = \"\"\n",
            "line 2, column 8",
            "`name` must be a name of 1 to 100",
        ),
        (
            "[suite]\nname = \"a\\u0007\"\n",
            "line 2, column 8",
            "without control characters",
        ),
        (
            "[suite]\nname = \"x\"\nrunner = \"pytset\"\n",
            "line 3, column 10",
            "did you mean `pytest`",
        ),
        ("[suite]\nname = \"x\n", "line 2, column 10", ""),
        (
            "[suite]\nname = \"x\"\nname = \"y\"\n",
            "line 3, column 1",
            "duplicate key",
        ),
    ] {
        let shown = refusal(text);
        assert!(
            shown.contains(place) && shown.contains(reason),
            "{text:?}\n{shown}"
        );
    }
}

#[test]
fn every_impossible_value_points_at_the_value() {
    for (lines, place, reason) in [
        (
            "root = \"nowhere\"",
            "line 4, column 8",
            "`root` is no folder",
        ),
        (
            "root = \"soakhound.toml\"",
            "line 4, column 8",
            "`root` is no folder",
        ),
        ("args = [\"-q\", 3]", "line 4, column 15", "found integer"),
        (
            "env_allow = [\"A=B\"]",
            "line 4, column 14",
            "names of variables",
        ),
        (
            "[hunt]\nworkers = 0",
            "line 5, column 11",
            "a whole number from 1 to 1000, found `0`",
        ),
        (
            "[hunt]\nworkers = 99999999999999999999",
            "line 5, column 11",
            "a whole number from 1 to 1000",
        ),
        (
            "[hunt]\nworkers = \"4\"",
            "line 5, column 11",
            "found string",
        ),
        (
            "[hunt]\nprobe_share = 0.95",
            "line 5, column 15",
            "a share from 0.0 to 0.9",
        ),
        (
            "[hunt]\nprobe_share = nan",
            "line 5, column 15",
            "a share from 0.0 to 0.9",
        ),
        (
            "[hunt]\nmax_shard = \"30\"",
            "line 5, column 13",
            "a duration such as",
        ),
        (
            "[limits]\ntest = \"0s\"",
            "line 5, column 8",
            "longer than nothing",
        ),
        (
            "[limits]\nshard = \"5m\"",
            "line 5, column 9",
            "a shard may run for 5m, less than the 10m of one test",
        ),
        (
            "[limits]\nmemory = \"2\"",
            "line 5, column 10",
            "a size of at least 16MiB",
        ),
        (
            "[limits]\nmemory = \"1MiB\"",
            "line 5, column 10",
            "a size of at least 16MiB",
        ),
        (
            "[limits]\ncpus = 0",
            "line 5, column 8",
            "a number from 0.01",
        ),
        (
            "[limits]\npids = 3",
            "line 5, column 8",
            "a whole number from 16",
        ),
        (
            "[report]\ntz = \"Europe/Nowhere\"",
            "line 5, column 6",
            "a time zone such as",
        ),
    ] {
        let shown = refusal(format!("{PLAIN}{lines}\n"));
        assert!(
            shown.contains(place) && shown.contains(reason),
            "{lines:?}\n{shown}"
        );
    }
}

#[test]
fn every_impossible_hook_and_factor_points_at_the_value() {
    for (lines, place, reason) in [
        (
            "[hunt]\nprobe_limit = -1",
            "line 5, column 15",
            "a share from 0.0 to 10.0",
        ),
        (
            "[hunt]\non_flag = \"mail\"",
            "line 5, column 11",
            "a program and its arguments",
        ),
        (
            "[factors]\nTZ = \"UTC\"",
            "line 5, column 6",
            "factor `TZ` must be a list of 1 to 16",
        ),
        (
            "[factors]\nTZ = []",
            "line 5, column 6",
            "a list of 1 to 16 different levels",
        ),
        (
            "[factors]\nTZ = [\"UTC\", \"UTC\"]",
            "line 5, column 14",
            "a list of 1 to 16 different levels",
        ),
        (
            "[factors]\nTZ = [\"UTC\", 3]",
            "line 5, column 14",
            "a text of at most 63 bytes",
        ),
        (
            "[factors]\nPYTHONHASHSEED = [\"random\"]",
            "line 5, column 19",
            "a number from 0 to 4294967295",
        ),
        (
            "[factors]\nSOAKHOUND_COIN = [\"1\"]",
            "line 5, column 1",
            "none that begins with `SOAKHOUND`",
        ),
    ] {
        let shown = refusal(format!("{PLAIN}{lines}\n"));
        assert!(
            shown.contains(place) && shown.contains(reason),
            "{lines:?}\n{shown}"
        );
    }
}

#[test]
fn hostile_bytes_are_refused_without_reaching_the_terminal() {
    let shown = refusal(b"[suite]\nname = \"\x1b[2J\xff\"\n");
    assert!(
        shown.contains("not UTF-8") && shown.contains("line 2"),
        "{shown}"
    );
    assert!(!shown.contains('\x1b'), "{shown:?}");
    let shown = refusal("[hunt]\n\"\\u001b[2J\" = 1\n");
    assert!(!shown.contains('\x1b'), "{shown:?}");
}

#[test]
fn oversized_file_is_refused() {
    let folder = folder_with("#".repeat((1 << 20) + 1));
    assert!(matches!(
        load(folder.path()),
        Err(ConfigError::TooLarge { .. })
    ));
}

fn init_in(folder: &Path) -> Result<ExitCode, Failure> {
    init::run(&Console::new(Verbosity::Quiet, false, false, None), folder)
}

#[test]
fn init_writes_a_file_that_reads_back_for_every_sign_of_pytest() {
    for (file, text) in [
        ("pyproject.toml", "[tool.pytest.ini_options]\n"),
        ("pytest.ini", ""),
        ("tox.ini", "[tox]\n[pytest]\n"),
        ("setup.cfg", "[tool:pytest]\n"),
        ("conftest.py", ""),
        ("tests/test_a.py", ""),
        ("a_test.py", ""),
        ("package/tests/test_a.py", ""),
        ("package/test/a_test.py", ""),
        ("src/group/package/tests/test_a.py", ""),
    ] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        assert_eq!(init_in(folder.path()).unwrap(), ExitCode::Fine, "{file}");
        let settings = load(folder.path()).unwrap_or_else(|error| panic!("{file}: {error:?}"));
        assert_eq!(
            settings.suite.name.as_str(),
            folder.path().file_name().unwrap().to_str().unwrap()
        );
    }
}

#[test]
fn init_takes_no_test_file_of_others_for_the_project_s() {
    for place in [
        ".venv/lib/x/test_a.py",
        "env/lib/x/test_a.py",
        "node_modules/x/test_a.py",
        "build/lib/test_a.py",
        ".git/test_a.py",
        ".hidden/tests/test_a.py",
        "a/b/c/d/e/test_a.py",
        "package/tests/a.py",
    ] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        fs::create_dir_all(folder.path().join("env")).unwrap();
        fs::write(folder.path().join("env/pyvenv.cfg"), "").unwrap();
        let failure = init_in(folder.path()).unwrap_err();
        assert_eq!(failure.exit(), ExitCode::Config, "{place}");
    }
}

#[test]
fn init_shows_every_key_with_the_default_that_holds() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("pytest.ini"), "").unwrap();
    init_in(folder.path()).unwrap();
    let written = load(folder.path()).unwrap();
    let file = folder.path().join("soakhound.toml");
    let text = fs::read_to_string(&file).unwrap();
    // `shard`, `memory`, `cpus`, `path` and `tz` show an example, because their default is no fixed value.
    let examples = [
        "#shard",
        "#memory",
        "#cpus",
        "#path",
        "#tz",
        "#TZ",
        "#python",
        "#workers",
        "#ci_shards",
    ];
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') && !examples.iter().any(|e| line.starts_with(e)) => {
                format!("{key}\n")
            }
            Some(_) | None => format!("{line}\n"),
        })
        .collect();
    fs::write(&file, uncommented).unwrap();
    assert_eq!(load(folder.path()).unwrap(), written);
    let all: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') => format!("{key}\n"),
            Some(_) | None => format!("{line}\n"),
        })
        .collect();
    fs::write(&file, all).unwrap();
    load(folder.path()).unwrap();
}

#[test]
fn init_takes_the_project_s_name_and_quotes_it() {
    let folder = TempDir::new().unwrap();
    let text = "[project]\nname = 'led\"ger \\ x'\n[tool.pytest.ini_options]\n";
    fs::write(folder.path().join("pyproject.toml"), text).unwrap();
    init_in(folder.path()).unwrap();
    assert_eq!(
        load(folder.path()).unwrap().suite.name.as_str(),
        "led\"ger \\ x"
    );
}

#[test]
fn init_overwrites_nothing() {
    let folder = folder_with("mine");
    fs::write(folder.path().join("pytest.ini"), "").unwrap();
    let failure = init_in(folder.path()).unwrap_err();
    assert_eq!(failure.exit(), ExitCode::Config);
    assert_eq!(
        fs::read_to_string(folder.path().join("soakhound.toml")).unwrap(),
        "mine"
    );
}

#[test]
fn init_without_a_suite_writes_nothing() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("setup.cfg"), "[metadata]\n").unwrap();
    assert_eq!(init_in(folder.path()).unwrap_err().exit(), ExitCode::Config);
    assert!(!folder.path().join("soakhound.toml").exists());
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(parts in prop::collection::vec(prop::sample::select(PARTS), 0..14)) {
        let folder = folder_with(parts.concat());
        if let Err(error) = load(folder.path()) {
            let shown = Failure::from(error).render(false);
            prop_assert!(shown.starts_with("error: ") && shown.len() < 4_000, "{shown}");
        }
    }
}

/// Pieces that make nearly valid files.
const PARTS: &[&str] = &[
    PLAIN,
    "[suite]\n",
    "[hunt]\n",
    "[limits]\n",
    "[[hunt]]\n",
    "[suite.name]\n",
    "name",
    "name = ",
    "workers",
    "test",
    "args",
    "root",
    "cpus",
    ".",
    " = ",
    "1",
    "-1",
    "0x",
    "1e999",
    "nan",
    "\"",
    "\"\"",
    "\"ü\u{202e}\"",
    "'''",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\n",
    "\r\n",
    "#",
    "\0",
    "\u{feff}",
    "名",
    "1979-05-27",
    "\"10m\"",
    "\"1GiB\"",
    "\\u0000",
];
