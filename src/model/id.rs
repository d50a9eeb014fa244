//! Identifiers: tests by exact name, suites by 30 bits that never depend on the test list, handles to type.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};

/// Crockford's base32 alphabet in lower case: no `i`, `l`, `o`, `u`.
pub const HANDLE_ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Longest test name that is kept as it is, in bytes. Half of it would cut real parametrised ids;
/// much more lets one hostile name fill a table.
const MAX_NAME: usize = 4096;

/// A test name that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// A test must have a name.
    #[error("a test name is empty")]
    Empty,
    /// Names are bounded, because they are untrusted.
    #[error("a test name is {found} bytes long, more than {MAX_NAME}")]
    TooLong {
        /// Length of the offered name in bytes.
        found: usize,
    },
}

/// Name of one test exactly as its suite prints it: bytes, never empty, never trimmed, at most 4 KiB.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TestId(Box<[u8]>);

impl TestId {
    /// Takes a name as it is.
    ///
    /// # Errors
    /// [`InvalidName`] when it is empty or longer than 4 KiB.
    pub fn new(name: impl Into<Vec<u8>>) -> Result<Self, InvalidName> {
        let name = name.into();
        match name.len() {
            0 => Err(InvalidName::Empty),
            1..=MAX_NAME => Ok(Self(name.into_boxed_slice())),
            found => Err(InvalidName::TooLong { found }),
        }
    }

    /// Returns the exact bytes of the name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the name where it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Returns the handle of this name at the given length.
    #[must_use]
    pub fn handle(&self, length: HandleLength) -> Handle {
        Handle::of(&self.0, length)
    }
}

/// As the JSON of every command has it: text, or `{"b64": ...}` where the name is not UTF-8.
impl serde::Serialize for TestId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        if let Some(text) = self.as_str() {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("b64", &BASE64_STANDARD.encode(&self.0))?;
        map.end()
    }
}

impl<'de> serde::Deserialize<'de> for TestId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Bytes { b64: String },
        }
        let bytes = match <Form as serde::Deserialize>::deserialize(deserializer)? {
            Form::Text(text) => text.into_bytes(),
            Form::Bytes { b64 } => BASE64_STANDARD
                .decode(b64)
                .map_err(serde::de::Error::custom)?,
        };
        Self::new(bytes).map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for TestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestId({:?})", String::from_utf8_lossy(&self.0))
    }
}

/// How many characters a handle has: six, or eight for tests whose six collide in their suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HandleLength {
    /// 30 bits.
    Six,
    /// 40 bits.
    Eight,
}

impl HandleLength {
    /// Number of characters.
    #[must_use]
    pub fn characters(self) -> usize {
        match self {
            Self::Six => 6,
            Self::Eight => 8,
        }
    }
}

/// First bits of `blake3(name)`, for people to type: 6 (or 8) characters of Crockford base32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle {
    bits: u64,
    length: HandleLength,
}

impl Handle {
    fn of(name: &[u8], length: HandleLength) -> Self {
        let hash = blake3::hash(name);
        let first = hash
            .as_bytes()
            .iter()
            .take(8)
            .fold(0_u64, |all, byte| (all << 8) | u64::from(*byte));
        Self {
            bits: first >> (64 - 5 * length.characters()),
            length,
        }
    }

    /// Rebuilds a handle from its bits, as a token stores it. Bits above the length are dropped.
    #[must_use]
    pub fn from_bits(bits: u64, length: HandleLength) -> Self {
        Self {
            bits: bits & ((1 << (5 * length.characters())) - 1),
            length,
        }
    }

    /// Returns the bits: 30 or 40 of them, in the low end.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.bits
    }

    /// Returns the number of characters.
    #[must_use]
    pub fn length(self) -> HandleLength {
        self.length
    }

    /// Reads what a person typed: any case, `i l` as 1 and `o` as 0. `None` when it is no handle.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let length = match text.len() {
            6 => HandleLength::Six,
            8 => HandleLength::Eight,
            _ => return None,
        };
        let bits = text.bytes().try_fold(0_u64, |all, byte| {
            let plain = match byte.to_ascii_lowercase() {
                b'i' | b'l' => b'1',
                b'o' => b'0',
                other => other,
            };
            let value = HANDLE_ALPHABET.iter().position(|known| *known == plain)?;
            Some((all << 5) | value as u64)
        })?;
        Some(Self { bits, length })
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in (0..self.length.characters()).rev() {
            let value = (self.bits >> (5 * place)) & 31;
            write!(
                f,
                "{}",
                char::from(HANDLE_ALPHABET[usize::try_from(value).expect("five bits")])
            )?;
        }
        Ok(())
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({self})")
    }
}

/// 30 bits of `blake3(suite name, runner)`: which suite a token or a database speaks of.
/// It never depends on the test list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SuiteId(u32);

impl SuiteId {
    /// Derives the id from the suite's name in `soakhound.toml` and the runner's name.
    #[must_use]
    pub fn of(suite_name: &str, runner: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("soakhound 2026 suite id v1");
        hasher.update(&(suite_name.len() as u64).to_le_bytes());
        hasher.update(suite_name.as_bytes());
        hasher.update(runner.as_bytes());
        let hash = hasher.finalize();
        let bytes = hash.as_bytes();
        Self(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) >> 2)
    }

    /// Rebuilds an id from its 30 bits. Higher bits are dropped.
    #[must_use]
    pub fn from_bits(bits: u32) -> Self {
        Self(bits & ((1 << 30) - 1))
    }

    /// Returns the 30 bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for SuiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Handle::from_bits(u64::from(self.0), HandleLength::Six), f)
    }
}

impl fmt::Debug for SuiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SuiteId({self})")
    }
}

/// Digest of an ordered list of test names: of a whole suite in its default order, or of one shard's order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListDigest([u8; 32]);

impl ListDigest {
    /// Digests the names in the given order; lengths are hashed too, so no two lists run together.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a TestId>) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("soakhound 2026 list digest v1");
        for name in names {
            hasher.update(&(name.as_bytes().len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// Rebuilds a digest from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns all 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the first 30 bits, as tokens carry them.
    #[must_use]
    pub fn short(&self) -> u32 {
        u32::from_be_bytes([self.0[0], self.0[1], self.0[2], self.0[3]]) >> 2
    }
}

impl fmt::Display for ListDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(
            &Handle::from_bits(u64::from(self.short()), HandleLength::Six),
            f,
        )
    }
}

impl fmt::Debug for ListDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListDigest({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handle_text_round_trips_and_forgives_look_alikes() {
        let handle = TestId::new("tests/test_a.py::test_one")
            .unwrap()
            .handle(HandleLength::Six);
        assert_eq!(Handle::parse(&handle.to_string()), Some(handle));
        assert_eq!(
            Handle::parse("O1lI00").map(|h| h.to_string()).as_deref(),
            Some("011100")
        );
        assert_eq!(Handle::parse("u00000"), None, "u is not in the alphabet");
    }

    #[test]
    fn eight_characters_begin_with_the_six() {
        let test = TestId::new("x").unwrap();
        let (six, eight) = (
            test.handle(HandleLength::Six),
            test.handle(HandleLength::Eight),
        );
        assert!(eight.to_string().starts_with(&six.to_string()));
    }

    #[test]
    fn list_digest_tells_where_names_end() {
        let list = |names: &[&str]| {
            ListDigest::of(
                &names
                    .iter()
                    .map(|n| TestId::new(*n).unwrap())
                    .collect::<Vec<_>>(),
            )
        };
        assert_ne!(list(&["ab", "c"]), list(&["a", "bc"]));
        assert_ne!(list(&["a", "b"]), list(&["b", "a"]));
    }

    #[test]
    fn names_are_bounded_and_never_empty() {
        assert_eq!(TestId::new(""), Err(InvalidName::Empty));
        assert_eq!(
            TestId::new(vec![b'x'; 5000]),
            Err(InvalidName::TooLong { found: 5000 })
        );
    }
}
