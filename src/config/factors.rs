//! Section `[factors]`: variables of the environment that shards draw at random, each with its levels.
//!
//! Its keys are the user's own, so it is not read like the other sections.

use toml::Spanned;
use toml::de::DeValue;

use super::fault::{ConfigError, Problem, Source};
use super::settings::Factor;
use super::units::shortened;

/// Most factors: with the hash seed as many as a minimal token carries.
const MOST_FACTORS: usize = 14;

/// Most levels of one factor. Each is seen in its share of the shards only: with more of them, the effect of one
/// would hardly ever be found.
const MOST_LEVELS: usize = 16;

/// Longest name or level, in bytes: what a minimal token carries.
const LONGEST: usize = 63;

/// Variables of our own.
const OURS: &str = "SOAKHOUND";

const NAME: &str =
    "the name of a variable: 1 to 63 bytes without `=`, none that begins with `SOAKHOUND`";
const LIST: &str = "a list of 1 to 16 different levels";
const LEVEL: &str = "a text of at most 63 bytes without control characters";
const HASH_LEVEL: &str = "a number from 0 to 4294967295, written as a text";

/// The variable that seeds the hashes of Python: its levels are numbers, the interpreter refuses others.
pub const HASH_SEED: &str = "PYTHONHASHSEED";

/// Reads the section, sorted by name; empty where it is absent.
pub(super) fn read(
    source: &Source,
    section: Option<&Spanned<DeValue<'_>>>,
) -> Result<Vec<Factor>, ConfigError> {
    let Some(section) = section else {
        return Ok(Vec::new());
    };
    let DeValue::Table(table) = section.get_ref() else {
        let problem = Problem::WrongType {
            key: "factors",
            expected: "a section",
            found: section.get_ref().type_str(),
        };
        return Err(source.fault(section.span(), problem));
    };
    let mut factors = Vec::new();
    let mut keys: Vec<_> = table.iter().collect();
    keys.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in keys {
        let name = key.get_ref();
        if !is_name(name) {
            return Err(fault(source, key.span(), name, NAME));
        }
        if factors.len() == MOST_FACTORS {
            return Err(fault(source, key.span(), name, "one of at most 14 factors"));
        }
        factors.push(Factor {
            name: name.to_string(),
            levels: levels(source, name, value)?,
        });
    }
    factors.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(factors)
}

fn levels(
    source: &Source,
    name: &str,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<String>, ConfigError> {
    let DeValue::Array(array) = value.get_ref() else {
        return Err(fault(source, value.span(), name, LIST));
    };
    let expected = if name == HASH_SEED { HASH_LEVEL } else { LEVEL };
    let mut levels: Vec<String> = Vec::new();
    for element in array {
        let level = element
            .get_ref()
            .as_str()
            .filter(|level| is_level(name, level))
            .ok_or_else(|| fault(source, element.span(), name, expected))?;
        if levels.iter().any(|known| known == level) {
            return Err(fault(source, element.span(), name, LIST));
        }
        levels.push(level.to_owned());
    }
    if (1..=MOST_LEVELS).contains(&levels.len()) {
        Ok(levels)
    } else {
        Err(fault(source, value.span(), name, LIST))
    }
}

fn is_name(name: &str) -> bool {
    (1..=LONGEST).contains(&name.len())
        && !name.contains('=')
        && !name.chars().any(char::is_control)
        && !name.starts_with(OURS)
}

fn is_level(name: &str, level: &str) -> bool {
    if name == HASH_SEED {
        // As the draw would write it: no sign, no leading zero.
        return level
            .parse::<u32>()
            .is_ok_and(|number| number.to_string() == level);
    }
    level.len() <= LONGEST && !level.chars().any(char::is_control)
}

fn fault(
    source: &Source,
    span: std::ops::Range<usize>,
    name: &str,
    expected: &'static str,
) -> ConfigError {
    let problem = Problem::BadFactor {
        name: shortened(name),
        expected,
    };
    source.fault(span, problem)
}
