//! A token as a person typed it: which characters count, where each stood, and which slip explains a
//! text whose check characters are wrong. What the characters hold is read in [`super::token`].

use super::base32;
use super::check::{self, Fault};
use super::token::{Token, TokenError, VERSION};

/// Longest text that is looked at, in bytes: the longest token with a hyphen after every character
/// fits. A bound keeps hostile texts cheap.
const MAX_TEXT: usize = 4096;

/// The characters that the check covers, each with its place in the text as typed, from 1: version
/// and kind first, then body and check.
pub(super) struct Typed(Vec<(usize, char)>);

impl Typed {
    /// Splits a text that looks like a token.
    pub(super) fn split(text: &str) -> Result<Self, TokenError> {
        if text.len() > MAX_TEXT {
            return Err(TokenError::TooLong);
        }
        let places = (1..).zip(text.chars());
        let typed: Vec<(usize, char)> = places.filter(|(_, c)| !base32::is_ignored(*c)).collect();
        let [(_, s), (_, k), version, kind, (_, '_'), rest @ ..] = &typed[..] else {
            return Err(TokenError::NotAToken);
        };
        if !s.eq_ignore_ascii_case(&'s') || !k.eq_ignore_ascii_case(&'k') {
            return Err(TokenError::NotAToken);
        }
        let word = [&[*version, *kind], rest].concat();
        if word.len() > check::MAX_WORD {
            return Err(TokenError::TooLong);
        }
        Ok(Self(word))
    }

    /// Reads the token, or says which slip spoilt it.
    pub(super) fn token(&self) -> Result<Token, TokenError> {
        let symbols: Vec<Option<u8>> = self.0.iter().map(|(_, c)| base32::symbol(*c)).collect();
        let strange: Vec<usize> = (0..symbols.len())
            .filter(|at| symbols[*at].is_none())
            .collect();
        // A character outside the alphabet is checked as 0, and so located like any wrong one.
        let word: Vec<u8> = symbols.iter().map(|symbol| symbol.unwrap_or(0)).collect();
        match (check::verify(&word), &strange[..]) {
            (Ok(()), []) => self.read(&word),
            (Ok(()), [at]) => Err(self.typo(*at, 0)),
            (Err(Fault::Substituted(at, symbol)), []) => Err(self.typo(at, symbol)),
            (Err(Fault::Substituted(at, symbol)), [only]) if at == *only => {
                Err(self.typo(at, symbol))
            }
            (_, [at, ..]) => Err(TokenError::BadCharacter {
                position: self.0[*at].0,
                found: self.0[*at].1,
            }),
            (Err(Fault::Swapped(at)), []) => Err(TokenError::Swapped {
                position: self.0[at].0,
                first: self.0[at].1,
                second: self.0[at + 1].1,
            }),
            (Err(Fault::Unexplained), []) => Err(self.unexplained(&word)),
        }
    }

    fn read(&self, word: &[u8]) -> Result<Token, TokenError> {
        if word[0] != VERSION {
            return Err(TokenError::UnknownVersion { found: self.0[0].1 });
        }
        let body = 2..word.len().saturating_sub(check::SYMBOLS).max(2);
        Token::read(self.0[1].1, &word[body])
    }

    /// Says what can be said of a word that is not whole: whether its length fits what it holds.
    fn unexplained(&self, word: &[u8]) -> TokenError {
        let is_of_form = |error: &TokenError| {
            matches!(
                error,
                TokenError::Truncated
                    | TokenError::TooLong
                    | TokenError::UnknownVersion { .. }
                    | TokenError::UnknownKind { .. }
            )
        };
        let error = self.read(word).err().filter(is_of_form);
        error.unwrap_or(TokenError::Garbled)
    }

    fn typo(&self, at: usize, symbol: u8) -> TokenError {
        let (position, found) = self.0[at];
        TokenError::Typo {
            position,
            found,
            likely: base32::character(symbol.into()),
        }
    }
}
