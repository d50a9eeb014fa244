//! How trials are packed into bytes: the journal of an open segment and the times of a closed one.
//!
//! The format is documented at the tables `journal` and `timing` of `queries/schema/0001_begin.sql`.

use std::time::Duration;

use crate::model::{MonoMicros, Outcome};

/// Times beyond this (some 36,000 years) are clamped, so that no sum below can overflow.
const MAX_MICROS: i64 = 1 << 60;

/// First 16 bytes of a blake3 hash.
pub(super) type Digest = [u8; 16];

/// One trial as the database keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) test: i64,
    pub(super) rep: u8,
    pub(super) outcome: Outcome,
    pub(super) times: Times,
}

impl Packed {
    /// Returns outcome and repetition (1 to 16) in one byte, as the schema says.
    pub(super) fn result(self) -> u8 {
        let outcome = u8::try_from(self.outcome.code()).expect("outcome codes are below 16");
        outcome | (self.rep - 1) << 4
    }
}

/// When one trial ran, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    started: Option<i64>,
    duration: Option<i64>,
}

impl Times {
    pub(super) fn new(started: Option<MonoMicros>, duration: Option<Duration>) -> Self {
        let micros = |d: Duration| {
            i64::try_from(d.as_micros())
                .unwrap_or(MAX_MICROS)
                .min(MAX_MICROS)
        };
        Self {
            started: started.map(|s| s.0.clamp(-MAX_MICROS, MAX_MICROS)),
            duration: duration.map(micros),
        }
    }

    pub(super) fn started(self) -> Option<MonoMicros> {
        self.started.map(MonoMicros)
    }

    pub(super) fn duration(self) -> Option<Duration> {
        self.duration
            .map(|d| Duration::from_micros(d.unsigned_abs()))
    }

    /// The end that the next start is measured from.
    fn end(self, previous: i64) -> i64 {
        self.started
            .map_or(previous, |s| s + self.duration.unwrap_or(0))
    }
}

/// Packs the batch of a journal row; `previous` is where its first start is measured from.
pub(super) fn pack_batch(rows: &[Packed], previous: i64) -> Vec<u8> {
    let mut out = Vec::with_capacity(rows.len() * 8);
    let mut previous = previous;
    for row in rows {
        put(&mut out, row.test.unsigned_abs());
        out.push(row.result());
        previous = put_times(&mut out, row.times, previous);
    }
    out
}

/// Reads a batch back; `None` when the bytes are no batch.
pub(super) fn unpack_batch(mut bytes: &[u8], previous: i64) -> Option<Vec<Packed>> {
    let mut previous = previous;
    let mut rows = Vec::new();
    while !bytes.is_empty() {
        let test = i64::try_from(take(&mut bytes)?).ok()?;
        let (result, rest) = bytes.split_first()?;
        bytes = rest;
        let outcome = Outcome::from_code(i64::from(result & 15))?;
        let times = take_times(&mut bytes, &mut previous)?;
        rows.push(Packed {
            test,
            rep: (result >> 4) + 1,
            outcome,
            times,
        });
    }
    Some(rows)
}

/// Packs the times of a whole segment that started at `started`.
pub(super) fn pack_times(rows: &[Packed], started: MonoMicros) -> Vec<u8> {
    let mut out = Vec::with_capacity(rows.len() * 5);
    let mut previous = started.0.clamp(-MAX_MICROS, MAX_MICROS);
    for row in rows {
        previous = put_times(&mut out, row.times, previous);
    }
    out
}

/// Reads the times of a whole segment; `None` when the bytes are none.
pub(super) fn unpack_times(mut bytes: &[u8], started: MonoMicros) -> Option<Vec<Times>> {
    let mut previous = started.0.clamp(-MAX_MICROS, MAX_MICROS);
    let mut all = Vec::new();
    while !bytes.is_empty() {
        all.push(take_times(&mut bytes, &mut previous)?);
    }
    Some(all)
}

/// Where the start after these rows is measured from.
pub(super) fn end_of(rows: &[Packed], started: MonoMicros) -> i64 {
    let first = started.0.clamp(-MAX_MICROS, MAX_MICROS);
    rows.iter()
        .fold(first, |previous, row| row.times.end(previous))
}

/// Digest of a closed segment's rows, with the digest of each row's detail, and of its packed times.
pub(super) fn digest(
    rows: impl Iterator<Item = (i64, u8, i64, Option<Digest>)>,
    times: &[u8],
) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("soakhound 2026 segment digest v1");
    for (test, rep, outcome, detail) in rows {
        hasher.update(&test.to_le_bytes());
        hasher.update(&[rep]);
        hasher.update(&outcome.to_le_bytes());
        hasher.update(&[u8::from(detail.is_some())]);
        hasher.update(&detail.unwrap_or_default());
    }
    hasher.update(times);
    first_16(&hasher.finalize())
}

/// Digest of a failure text.
pub(super) fn text_digest(text: &[u8]) -> Digest {
    first_16(&blake3::hash(text))
}

fn first_16(hash: &blake3::Hash) -> Digest {
    *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
}

fn put_times(out: &mut Vec<u8>, times: Times, previous: i64) -> i64 {
    put(out, times.started.map_or(0, |s| 1 + zigzag(s - previous)));
    put(out, times.duration.map_or(0, |d| 1 + d.unsigned_abs()));
    times.end(previous)
}

fn take_times(bytes: &mut &[u8], previous: &mut i64) -> Option<Times> {
    let started = match take(bytes)? {
        0 => None,
        gap => Some(
            previous
                .checked_add(unzigzag(gap - 1))
                .filter(|s| s.abs() <= MAX_MICROS)?,
        ),
    };
    let duration = match take(bytes)? {
        0 => None,
        more => Some(i64::try_from(more - 1).ok().filter(|d| *d <= MAX_MICROS)?),
    };
    let times = Times { started, duration };
    *previous = times.end(*previous);
    Some(times)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("seven bits"));
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_packed() -> impl Strategy<Value = Packed> {
        let times = (any::<Option<i64>>(), any::<Option<u64>>());
        (0..i64::MAX, 1..=16_u8, 0..Outcome::ALL.len(), times).prop_map(
            |(test, rep, outcome, (start, length))| Packed {
                test,
                rep,
                outcome: Outcome::ALL[outcome],
                times: Times::new(start.map(MonoMicros), length.map(Duration::from_micros)),
            },
        )
    }

    proptest! {
        #[test]
        fn packed_trials_read_back(rows in prop::collection::vec(any_packed(), 0..20), started: i64) {
            let started = MonoMicros(started);
            let from = end_of(&[], started);
            prop_assert_eq!(unpack_batch(&pack_batch(&rows, from), from), Some(rows.clone()));
            let times: Vec<_> = rows.iter().map(|r| r.times).collect();
            prop_assert_eq!(unpack_times(&pack_times(&rows, started), started), Some(times));
        }

        #[test]
        fn unpacking_never_panics(bytes: Vec<u8>, started: i64) {
            let _ = unpack_batch(&bytes, end_of(&[], MonoMicros(started)));
            let _ = unpack_times(&bytes, MonoMicros(started));
        }
    }

    #[test]
    fn an_ordinary_trial_takes_four_bytes_of_time() {
        let row = |at: i64| Packed {
            test: 1,
            rep: 1,
            outcome: Outcome::Passed,
            times: Times::new(Some(MonoMicros(at)), Some(Duration::from_millis(9))),
        };
        assert!(pack_times(&[row(1_000), row(10_500)], MonoMicros(0)).len() <= 8);
    }
}
