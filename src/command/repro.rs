//! The portable file of `export --repro`: an order with everything that its token only refers to, for a machine
//! without the database. JSON with a version and a checksum.
//!
//! Files come from elsewhere and are only read, never believed: sizes are bounded, unknown members are refused,
//! names and levels are checked as those of a configuration are.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::{ExitCode, Failure},
    model::{ListDigest, Outcome, SuiteId, TestId},
    plan::Token,
    ui::escape,
};

/// Name and version of the form.
const SCHEMA: &str = "soakhound.repro/1";
/// The same without its version.
const FAMILY: &str = "soakhound.repro/";
/// Domain of the checksum.
const CHECKSUM: &str = "soakhound 2026 repro file v1";
/// Longest file that is read: a million names of the usual length.
const MOST_BYTES: u64 = 128 << 20;
/// Most trials in an order.
const MOST_TRIALS: usize = 1 << 20;
/// Most processes, neighbours and factors.
const MOST_PARTS: usize = 4096;
/// Highest repetition of a test in one process, as the database holds it.
const MOST_REPS: u8 = 16;
/// Longest name and level of a factor: as minimal tokens carry them.
const FACTOR_BYTES: usize = 63;

/// An order as it was recorded, with what it showed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Repro {
    /// The token that it completes.
    pub(super) token: Token,
    /// The suite.
    pub(super) suite: SuiteId,
    /// What the order is, in words.
    pub(super) what: String,
    /// Processes of one container, one after the other, with their tests in order.
    pub(super) processes: Vec<Vec<(TestId, u8)>>,
    /// Tests that run over and over in another container meanwhile.
    pub(super) beside: Vec<TestId>,
    /// Levels of factors.
    pub(super) factors: Vec<(String, String)>,
    /// Seed of the random generators that the runner seeds.
    pub(super) seed32: u32,
    /// Digest of the suite's list as it was.
    pub(super) list: ListDigest,
    /// Tests whose failure counts; empty: any.
    pub(super) watch: Vec<TestId>,
    /// What was recorded of it: test, repetition, outcome, signature.
    pub(super) outcomes: Vec<Shown>,
    /// Recorded runs of it, and how many of them failed.
    pub(super) runs: (u32, u32),
    /// Repetitions that show it with 95 %, where a recipe says so.
    pub(super) repeat: Option<u32>,
}

/// What one trial of the order showed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shown {
    pub(super) test: TestId,
    pub(super) rep: u8,
    pub(super) outcome: Outcome,
    pub(super) signature: Option<String>,
}

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReproError {
    /// The file cannot be read.
    #[error("cannot read `{}`", escape::terminal(path.as_os_str().as_encoded_bytes()))]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// It is longer than any of ours.
    #[error("the file is larger than {} MiB", MOST_BYTES >> 20)]
    TooLarge,
    /// It is no JSON, or not of our form.
    #[error("the file is not what `soakhound export --repro` writes")]
    NotARepro {
        #[source]
        source: Option<serde_json::Error>,
    },
    /// A later release wrote it.
    #[error("the file has the form `{found}`; this build reads `{SCHEMA}`")]
    Newer { found: String },
    /// Its checksum does not fit its content.
    #[error("the file was changed or damaged after it was written: its checksum does not fit")]
    Damaged,
    /// A part of it holds what it cannot hold.
    #[error("`{part}` in the file {fault}")]
    Impossible {
        part: &'static str,
        fault: &'static str,
    },
}

impl From<ReproError> for Failure {
    fn from(error: ReproError) -> Self {
        let hint = match &error {
            ReproError::Newer { .. } => "use the release that wrote it, or a later one",
            ReproError::Unreadable { .. } => "name a file that `soakhound export --repro` wrote",
            ReproError::TooLarge
            | ReproError::NotARepro { .. }
            | ReproError::Damaged
            | ReproError::Impossible { .. } => "write it again with `soakhound export --repro`",
        };
        Self::new(ExitCode::Usage, error).hint(hint)
    }
}

/// A name in the file: text, or its bytes where they are no text.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Name {
    Text(String),
    Bytes { b64: String },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    test: Name,
    rep: u8,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Level {
    factor: String,
    level: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    test: Name,
    rep: u8,
    outcome: String,
    signature: Option<String>,
}

/// The file's form, but for `schema` and `checksum`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    token: String,
    suite: u32,
    what: String,
    processes: Vec<Vec<Step>>,
    beside: Vec<Name>,
    factors: Vec<Level>,
    seed32: u32,
    list_digest: String,
    watch: Vec<Name>,
    outcomes: Vec<Seen>,
    runs: u32,
    failing_runs: u32,
    repeat_for_95: Option<u32>,
}

impl Repro {
    /// Returns the file's text.
    pub(super) fn text(&self) -> String {
        let form = Form {
            token: self.token.to_string(),
            suite: self.suite.bits(),
            what: self.what.clone(),
            processes: self.processes.iter().map(|order| steps(order)).collect(),
            beside: self.beside.iter().map(Name::of).collect(),
            factors: self
                .factors
                .iter()
                .map(|(factor, level)| Level {
                    factor: factor.clone(),
                    level: level.clone(),
                })
                .collect(),
            seed32: self.seed32,
            list_digest: BASE64_STANDARD.encode(self.list.as_bytes()),
            watch: self.watch.iter().map(Name::of).collect(),
            outcomes: self
                .outcomes
                .iter()
                .map(|shown| Seen {
                    test: Name::of(&shown.test),
                    rep: shown.rep,
                    outcome: shown.outcome.word().to_owned(),
                    signature: shown.signature.clone(),
                })
                .collect(),
            runs: self.runs.0,
            failing_runs: self.runs.1,
            repeat_for_95: self.repeat,
        };
        let mut value = serde_json::to_value(form).expect("names, numbers and lists are JSON");
        value["checksum"] = Value::from(checksum(&value));
        value["schema"] = Value::from(SCHEMA);
        let mut text = serde_json::to_string_pretty(&value).expect("it is a value already");
        text.push('\n');
        text
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ReproError`] for everything that we did not write.
    pub(super) fn read(path: &Path) -> Result<Self, ReproError> {
        let unreadable = |source| ReproError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let mut bytes = Vec::new();
        // One byte more than allowed tells a file that is too long; what is no file may be endless.
        File::open(path)
            .map_err(unreadable)?
            .take(MOST_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(ReproError::TooLarge);
        }
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8]) -> Result<Self, ReproError> {
        let strange = |source| ReproError::NotARepro {
            source: Some(source),
        };
        let nothing = || ReproError::NotARepro { source: None };
        let mut value: Value = serde_json::from_slice(bytes).map_err(strange)?;
        let object = value.as_object_mut().ok_or_else(nothing)?;
        let schema = object.remove("schema").ok_or_else(nothing)?;
        match schema.as_str() {
            Some(SCHEMA) => {}
            Some(other) if other.starts_with(FAMILY) => {
                let found = escape::terminal(&other.as_bytes()[..other.len().min(80)]);
                return Err(ReproError::Newer { found });
            }
            _ => return Err(nothing()),
        }
        let claimed = object.remove("checksum").ok_or_else(nothing)?;
        if claimed != checksum(&value).as_str() {
            return Err(ReproError::Damaged);
        }
        let form: Form = serde_json::from_value(value).map_err(strange)?;
        form.into_repro()
    }
}

/// Returns the digest of a value whose members are in the order of their names, as `serde_json` keeps them.
fn checksum(value: &Value) -> String {
    let mut hasher = blake3::Hasher::new_derive_key(CHECKSUM);
    hasher.update(value.to_string().as_bytes());
    hasher.finalize().to_hex()[..32].to_owned()
}

fn steps(order: &[(TestId, u8)]) -> Vec<Step> {
    order
        .iter()
        .map(|(test, rep)| Step {
            test: Name::of(test),
            rep: *rep,
        })
        .collect()
}

fn impossible(part: &'static str, fault: &'static str) -> ReproError {
    ReproError::Impossible { part, fault }
}

impl Name {
    fn of(test: &TestId) -> Self {
        match test.as_str() {
            Some(name) => Self::Text(name.to_owned()),
            None => Self::Bytes {
                b64: BASE64_STANDARD.encode(test.as_bytes()),
            },
        }
    }

    fn test(self, part: &'static str) -> Result<TestId, ReproError> {
        let bytes = match self {
            Self::Text(text) => text.into_bytes(),
            Self::Bytes { b64 } => BASE64_STANDARD
                .decode(b64)
                .map_err(|_| impossible(part, "holds a name that is no base64"))?,
        };
        TestId::new(bytes).map_err(|_| impossible(part, "holds a name that no test can have"))
    }
}

fn names(names: Vec<Name>, part: &'static str) -> Result<Vec<TestId>, ReproError> {
    if names.len() > MOST_PARTS {
        return Err(impossible(part, "is too long"));
    }
    names.into_iter().map(|name| name.test(part)).collect()
}

impl Form {
    fn into_repro(self) -> Result<Repro, ReproError> {
        let token: Token = self
            .token
            .parse()
            .map_err(|_| impossible("token", "is no token"))?;
        let list = BASE64_STANDARD
            .decode(self.list_digest)
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .ok_or_else(|| impossible("list_digest", "is no digest"))?;
        let trials: usize = self.processes.iter().map(Vec::len).sum();
        if trials == 0 || self.processes.iter().any(Vec::is_empty) {
            return Err(impossible("processes", "has none, or one without tests"));
        }
        if trials > MOST_TRIALS || self.processes.len() > MOST_PARTS {
            return Err(impossible("processes", "is too long"));
        }
        let process = |order: Vec<Step>| order.into_iter().map(Step::trial).collect();
        Ok(Repro {
            token,
            suite: SuiteId::from_bits(self.suite),
            what: self.what.chars().take(200).collect(),
            processes: self
                .processes
                .into_iter()
                .map(process)
                .collect::<Result<_, _>>()?,
            beside: names(self.beside, "beside")?,
            factors: levels(self.factors)?,
            seed32: self.seed32,
            list: ListDigest::from_bytes(list),
            watch: names(self.watch, "watch")?,
            outcomes: self
                .outcomes
                .into_iter()
                .take(MOST_TRIALS)
                .map(Seen::shown)
                .collect::<Result<_, _>>()?,
            runs: (self.runs, self.failing_runs.min(self.runs)),
            repeat: self.repeat_for_95,
        })
    }
}

impl Step {
    fn trial(self) -> Result<(TestId, u8), ReproError> {
        if !(1..=MOST_REPS).contains(&self.rep) {
            return Err(impossible("processes", "has an impossible repetition"));
        }
        Ok((self.test.test("processes")?, self.rep))
    }
}

impl Seen {
    fn shown(self) -> Result<Shown, ReproError> {
        let outcome = self
            .outcome
            .parse()
            .map_err(|_| impossible("outcomes", "has an unknown outcome"))?;
        Ok(Shown {
            test: self.test.test("outcomes")?,
            rep: self.rep,
            outcome,
            signature: self.signature,
        })
    }
}

/// Checks factors: they become variables of the environment.
fn levels(levels: Vec<Level>) -> Result<Vec<(String, String)>, ReproError> {
    if levels.len() > MOST_PARTS {
        return Err(impossible("factors", "is too long"));
    }
    let is_level = |level: &str| level.len() <= FACTOR_BYTES && !level.contains(char::is_control);
    let is_name = |name: &str| {
        let free = !name.is_empty() && !name.contains('=') && !name.starts_with("SOAKHOUND");
        free && is_level(name)
    };
    levels
        .into_iter()
        .map(|Level { factor, level }| {
            if is_name(&factor) && is_level(&level) {
                Ok((factor, level))
            } else {
                Err(impossible("factors", "holds what no factor can be"))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn test(name: &[u8]) -> TestId {
        TestId::new(name).unwrap()
    }

    fn repro() -> Repro {
        let victim = test(b"t.py::v[\xff]");
        Repro {
            token: "sk1r_mh14zh1p8xa1ww593ss80301cp8wve6hp1b58bvb4w"
                .parse()
                .unwrap(),
            suite: SuiteId::from_bits(77),
            what: "a probe".to_owned(),
            processes: vec![vec![(test(b"t.py::a"), 1)], vec![(victim.clone(), 2)]],
            beside: vec![test(b"t.py::n")],
            factors: vec![("TZ".to_owned(), "UTC".to_owned())],
            seed32: 9,
            list: ListDigest::of([&victim]),
            watch: vec![victim.clone()],
            outcomes: vec![Shown {
                test: victim,
                rep: 2,
                outcome: Outcome::Failed,
                signature: Some("boom".to_owned()),
            }],
            runs: (3, 2),
            repeat: Some(4),
        }
    }

    /// Changes a member and makes the checksum fit again, as someone who means harm would.
    fn forged(member: &str, value: Value) -> Result<Repro, ReproError> {
        let mut file: Value = serde_json::from_str(&repro().text()).unwrap();
        file[member] = value;
        let object = file.as_object_mut().unwrap();
        object.remove("checksum");
        let schema = object.remove("schema").unwrap();
        let sum = checksum(&file);
        file["checksum"] = json!(sum);
        file["schema"] = schema;
        Repro::parse(file.to_string().as_bytes())
    }

    #[test]
    fn repro_round_trips_with_names_that_are_no_text() {
        assert_eq!(Repro::parse(repro().text().as_bytes()).unwrap(), repro());
        assert_eq!(forged("seed32", json!(9)).unwrap(), repro());
    }

    #[test]
    fn changed_file_is_refused() {
        let text = repro().text().replace("t.py::a", "t.py::b");
        assert!(matches!(
            Repro::parse(text.as_bytes()),
            Err(ReproError::Damaged)
        ));
    }

    #[test]
    fn file_of_a_later_release_says_so() {
        let text = repro().text().replace(SCHEMA, "soakhound.repro/2");
        let error = Repro::parse(text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("soakhound.repro/2"), "{error}");
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        for text in ["", "null", "[]", "{}", "{\"schema\": 1}", "\u{1b}[31m"] {
            let error = Repro::parse(text.as_bytes()).unwrap_err();
            assert!(matches!(error, ReproError::NotARepro { .. }), "{text:?}");
        }
        let deep = "[".repeat(100_000);
        Repro::parse(deep.as_bytes()).unwrap_err();
    }

    #[test]
    fn forged_members_are_refused_each_by_its_name() {
        for (member, value) in [
            ("token", json!("sk1r_x")),
            ("processes", json!([])),
            ("processes", json!([[]])),
            ("processes", json!([[{"test": "", "rep": 1}]])),
            ("processes", json!([[{"test": "a", "rep": 0}]])),
            ("processes", json!([[{"test": {"b64": "*"}, "rep": 1}]])),
            ("beside", json!(vec!["n"; MOST_PARTS + 1])),
            ("factors", json!([{"factor": "A=B", "level": "x"}])),
            ("factors", json!([{"factor": "A", "level": "x\0"}])),
            ("list_digest", json!("AAAA")),
            (
                "outcomes",
                json!([{"test": "a", "rep": 1, "outcome": "won", "signature": null}]),
            ),
        ] {
            let error = forged(member, value).unwrap_err().to_string();
            assert!(error.contains(&format!("`{member}`")), "{member}: {error}");
        }
        forged("more", json!(1)).unwrap_err();
    }
}
