//! Tokens: one word that `replay` takes, `sk1<kind>_<body><check>` in Crockford base32.
//!
//! A token is only parsed, never evaluated. The check characters guard against slips of the hand: a
//! wrong character is located and refused, never corrected. Digests in the body tell the caller that
//! the suite has changed; comparing them, and finding the tests, is not done here.

use std::fmt;
use std::str::FromStr;

use super::base32::{self, Misfit, Reader, Writer};
use super::check;
use super::order::{LayoutError, check_shard};
use super::seed::{ALGORITHM, IterationSeed};
use super::typed::Typed;
use crate::model::{Design, Grouping, Handle, HandleLength, Layout, ListDigest, SuiteId, TestId};

/// Most factors that a minimal token carries.
const MAX_FACTORS: usize = 15;

/// Longest name or level of a factor in a minimal token, in bytes: six bits hold the length.
const MAX_FACTOR_TEXT: usize = 63;

/// The version in the prefix: the form of the text, not the order algorithm.
pub(super) const VERSION: u8 = 1;

/// What can be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A short order by handles, for any checkout of the suite.
    Minimal(Minimal),
    /// A shard whose order is a function of a seed.
    Random(Random),
    /// A row of a database.
    Reference(Reference),
}

/// A short order of tests, complete in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minimal {
    suite: SuiteId,
    handles: Vec<Handle>,
    digest: ShortDigest,
    factors: Vec<FactorSetting>,
}

/// A factor's level that a reproduction needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactorSetting {
    /// Name of the factor, 1 to 63 bytes.
    pub factor: String,
    /// Its level, at most 63 bytes.
    pub level: String,
}

/// A shard as the seed decides it. Factor levels that vary by seed are functions of it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Random {
    /// The suite.
    pub suite: SuiteId,
    /// Seed of the iteration or of its cycle.
    pub seed: IterationSeed,
    /// How the iteration is cut; its order must be a function of the seed.
    pub layout: Layout,
    /// Which shard, below `layout.shards`.
    pub shard: u16,
    /// Digest of the suite's list in its default order.
    pub list: ShortDigest,
    /// Digest of the names in the shard's order.
    pub order: ShortDigest,
}

/// A row of a database, for what no seed can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The database.
    pub database: DatabaseId,
    /// The row.
    pub row: Row,
}

/// A row that can be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// A shard as planned.
    Shard(u64),
    /// A segment as it was asked to run.
    Segment(u64),
}

/// 30 bits that tell databases apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatabaseId(u32);

/// The first 30 bits of a [`ListDigest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ShortDigest(u32);

/// A text that is no token, or an order that fits none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not look like one.
    #[error("a token looks like `sk1r_...`; this does not")]
    NotAToken,
    /// A later release wrote it.
    #[error("version {found:?} of tokens is unknown to this build")]
    UnknownVersion {
        /// The character after `sk`.
        found: char,
    },
    /// A kind that this version does not have.
    #[error("token kind {found:?} is unknown; there are `m`, `r` and `x`")]
    UnknownKind {
        /// The character before `_`.
        found: char,
    },
    /// A character outside the alphabet, and no single slip explains the text.
    #[error("character {position}, {found:?}, cannot stand in a token")]
    BadCharacter {
        /// Place in the text as typed, from 1.
        position: usize,
        /// What stands there.
        found: char,
    },
    /// One wrong character explains the text.
    #[error("character {position} is {found:?} but was likely {likely:?}")]
    Typo {
        /// Place in the text as typed, from 1.
        position: usize,
        /// What stands there.
        found: char,
        /// What makes the text whole.
        likely: char,
    },
    /// Two neighbours that changed places explain the text.
    #[error(
        "characters {first:?} and {second:?} from position {position} on likely changed places"
    )]
    Swapped {
        /// Place of the first in the text as typed, from 1.
        position: usize,
        /// What stands there.
        first: char,
        /// What follows.
        second: char,
    },
    /// The end is missing.
    #[error("the end of the token is missing")]
    Truncated,
    /// There is more than its kind holds.
    #[error("the token is too long")]
    TooLong,
    /// Several characters are wrong.
    #[error("several characters of the token are wrong")]
    Garbled,
    /// The check characters are right, the content is not: no release of ours printed it.
    #[error("the token holds what no token of its kind can hold")]
    Impossible,
    /// The check characters are right, but its layout gives no order.
    #[error("the token holds an impossible layout")]
    Layout(#[from] LayoutError),
    /// A later release drew the order.
    #[error("order algorithm {found} is unknown to this build, whose newest is {ALGORITHM}")]
    UnknownAlgorithm {
        /// The version in the token.
        found: u16,
    },
    /// More tests or factors than a token carries.
    #[error("{tests} tests with {factors} factors do not fit into a minimal token")]
    DoesNotFit {
        /// Number of tests.
        tests: usize,
        /// Number of factors.
        factors: usize,
    },
}

impl fmt::Display for ShortDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Handle::from_bits(self.0.into(), HandleLength::Six), f)
    }
}

impl ShortDigest {
    /// Rebuilds a digest from its 30 bits. Higher bits are dropped.
    #[must_use]
    pub fn from_bits(bits: u32) -> Self {
        Self(bits & 0x3fff_ffff)
    }

    /// Returns the 30 bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl From<&ListDigest> for ShortDigest {
    fn from(digest: &ListDigest) -> Self {
        Self::from_bits(digest.short())
    }
}

impl DatabaseId {
    /// Rebuilds an id from its 30 bits. Higher bits are dropped.
    #[must_use]
    pub fn from_bits(bits: u32) -> Self {
        Self(bits & 0x3fff_ffff)
    }

    /// Returns the 30 bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for DatabaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Handle::from_bits(self.0.into(), HandleLength::Six).fmt(f)
    }
}

impl Minimal {
    /// Makes a token for tests in their order, the flagged one last. `length` is eight when any
    /// of them needs it in its suite.
    ///
    /// # Errors
    /// [`TokenError::DoesNotFit`] without tests, or when the text would be too long to locate a slip
    /// in it (about 160 tests at six characters), or with factors beyond their bounds.
    pub fn new(
        suite: SuiteId,
        tests: &[&TestId],
        length: HandleLength,
        factors: Vec<FactorSetting>,
    ) -> Result<Self, TokenError> {
        let minimal = Self {
            suite,
            handles: tests.iter().map(|test| test.handle(length)).collect(),
            digest: ShortDigest::from(&ListDigest::of(tests.iter().copied())),
            factors,
        };
        let does_not_fit = TokenError::DoesNotFit {
            tests: minimal.handles.len(),
            factors: minimal.factors.len(),
        };
        let factors_fit =
            minimal.factors.len() <= MAX_FACTORS && minimal.factors.iter().all(FactorSetting::fits);
        let word = 2 + minimal.body().len() + check::SYMBOLS;
        if minimal.handles.is_empty() || !factors_fit || word > check::MAX_WORD {
            return Err(does_not_fit);
        }
        Ok(minimal)
    }

    /// Returns the suite.
    #[must_use]
    pub fn suite(&self) -> SuiteId {
        self.suite
    }

    /// Returns the handles in their order, all of one length; never empty.
    #[must_use]
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }

    /// Returns the digest of the names in their order.
    #[must_use]
    pub fn digest(&self) -> ShortDigest {
        self.digest
    }

    /// Returns the factor levels that matter.
    #[must_use]
    pub fn factors(&self) -> &[FactorSetting] {
        &self.factors
    }

    fn body(&self) -> Vec<u8> {
        let mut body = Writer::default();
        body.put(self.suite.bits().into(), 30);
        let is_eight = self
            .handles
            .iter()
            .any(|h| h.length() == HandleLength::Eight);
        body.put(is_eight.into(), 1);
        body.put(self.handles.len() as u64, 9);
        for handle in &self.handles {
            body.put(handle.bits(), width(handle.length()));
        }
        body.put(self.digest.0.into(), 30);
        body.put(self.factors.len() as u64, 5);
        for setting in &self.factors {
            for text in [&setting.factor, &setting.level] {
                body.put(text.len() as u64, 6);
                text.bytes().for_each(|byte| body.put(byte.into(), 8));
            }
        }
        body.finish()
    }

    fn read(body: &mut Reader<'_>) -> Result<Self, TokenError> {
        let suite = SuiteId::from_bits(body.take_u32(30)?);
        let length = if body.take(1)? == 1 {
            HandleLength::Eight
        } else {
            HandleLength::Six
        };
        let count = body.take(9)?;
        let handles = (0..count)
            .map(|_| Ok(Handle::from_bits(body.take(width(length))?, length)))
            .collect::<Result<Vec<_>, Misfit>>()?;
        let digest = ShortDigest::from_bits(body.take_u32(30)?);
        let factors = (0..body.take(5)?)
            .map(|_| FactorSetting::read(body))
            .collect::<Result<Vec<_>, _>>()?;
        let possible = !handles.is_empty()
            && factors.len() <= MAX_FACTORS
            && factors.iter().all(FactorSetting::fits);
        let minimal = Self {
            suite,
            handles,
            digest,
            factors,
        };
        possible.then_some(minimal).ok_or(TokenError::Impossible)
    }
}

impl FactorSetting {
    fn fits(&self) -> bool {
        (1..=MAX_FACTOR_TEXT).contains(&self.factor.len()) && self.level.len() <= MAX_FACTOR_TEXT
    }

    fn read(body: &mut Reader<'_>) -> Result<Self, TokenError> {
        let mut text = || {
            let bytes = (0..body.take(6)?)
                .map(|_| Ok(u8::try_from(body.take(8)?).expect("eight bits were taken")))
                .collect::<Result<Vec<u8>, Misfit>>()?;
            String::from_utf8(bytes).map_err(|_| TokenError::Impossible)
        };
        Ok(Self {
            factor: text()?,
            level: text()?,
        })
    }
}

impl Random {
    fn body(&self) -> Vec<u8> {
        let mut body = Writer::default();
        body.put(self.suite.bits().into(), 30);
        body.put_number(ALGORITHM.into());
        body.put(self.seed.0, 64);
        body.put(code(self.layout.design.code()), 4);
        body.put(code(self.layout.grouping.code()), 2);
        for number in [self.layout.shards, self.layout.class, self.shard] {
            body.put_number(number.into());
        }
        body.put(self.list.0.into(), 30);
        body.put(self.order.0.into(), 30);
        body.finish()
    }

    fn read(body: &mut Reader<'_>) -> Result<Self, TokenError> {
        let suite = SuiteId::from_bits(body.take_u32(30)?);
        let found = body.take_u16()?;
        if found != ALGORITHM {
            return Err(TokenError::UnknownAlgorithm { found });
        }
        let seed = IterationSeed(body.take(64)?);
        let design = Design::from_code(body.take_u32(4)?.into());
        let grouping = Grouping::from_code(body.take_u32(2)?.into());
        let layout = Layout {
            design: design.ok_or(TokenError::Impossible)?,
            grouping: grouping.ok_or(TokenError::Impossible)?,
            shards: body.take_u16()?,
            class: body.take_u16()?,
        };
        let shard = body.take_u16()?;
        let list = ShortDigest::from_bits(body.take_u32(30)?);
        let order = ShortDigest::from_bits(body.take_u32(30)?);
        check_shard(layout, shard)?;
        Ok(Self {
            suite,
            seed,
            layout,
            shard,
            list,
            order,
        })
    }
}

impl Reference {
    fn body(&self) -> Vec<u8> {
        let mut body = Writer::default();
        body.put(self.database.0.into(), 30);
        let (what, row) = match self.row {
            Row::Shard(row) => (0, row),
            Row::Segment(row) => (1, row),
        };
        body.put(what, 5);
        body.put_number(row);
        body.finish()
    }

    fn read(body: &mut Reader<'_>) -> Result<Self, TokenError> {
        let database = DatabaseId::from_bits(body.take_u32(30)?);
        let what = body.take(5)?;
        let number = body.take_number()?;
        let row = match what {
            0 => Row::Shard(number),
            1 => Row::Segment(number),
            _ => return Err(TokenError::Impossible),
        };
        Ok(Self { database, row })
    }
}

impl Token {
    /// Reads the symbols between prefix and check, which must be right.
    pub(super) fn read(kind: char, body: &[u8]) -> Result<Self, TokenError> {
        let mut reader = Reader::new(body);
        let token = match kind.to_ascii_lowercase() {
            'm' => Self::Minimal(Minimal::read(&mut reader)?),
            'r' => Self::Random(Random::read(&mut reader)?),
            'x' => Self::Reference(Reference::read(&mut reader)?),
            _ => return Err(TokenError::UnknownKind { found: kind }),
        };
        reader.finish()?;
        Ok(token)
    }
}

impl From<Misfit> for TokenError {
    fn from(misfit: Misfit) -> Self {
        match misfit {
            Misfit::Short => Self::Truncated,
            Misfit::Long => Self::TooLong,
            Misfit::Unusual => Self::Impossible,
        }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, body) = match self {
            Self::Minimal(minimal) => ('m', minimal.body()),
            Self::Random(random) => ('r', random.body()),
            Self::Reference(reference) => ('x', reference.body()),
        };
        let kind_symbol = base32::symbol(kind).expect("kinds are letters of the alphabet");
        let mut word = vec![VERSION, kind_symbol];
        word.extend(body);
        word.extend(check::symbols(&word));
        write!(f, "sk{VERSION}{kind}_")?;
        word[2..]
            .iter()
            .try_for_each(|symbol| write!(f, "{}", base32::character(u64::from(*symbol))))
    }
}

impl FromStr for Token {
    type Err = TokenError;

    /// Reads a token, forgiving case, hyphens, spaces and look-alikes, but nothing else.
    fn from_str(text: &str) -> Result<Self, TokenError> {
        Typed::split(text)?.token()
    }
}

fn width(length: HandleLength) -> u32 {
    match length {
        HandleLength::Six => 30,
        HandleLength::Eight => 40,
    }
}

fn code(stored: i64) -> u64 {
    u64::try_from(stored).expect("codes of our enums are small and positive")
}
/// Returns the words of the command that replays what is said of a test. A minimal order is about its last test;
/// in every other one this test must be named, for others may fail as well.
#[must_use]
pub fn replaying(token: &str, handle: Option<&str>) -> String {
    let names_no_test = matches!(token.parse(), Ok(Token::Random(_) | Token::Reference(_)));
    match handle.filter(|_| names_no_test) {
        Some(handle) => format!("replay {token} --test {handle} --repeat auto"),
        None => format!("replay {token} --repeat auto"),
    }
}
