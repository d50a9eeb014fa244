//! Durations, sizes and times of day as people write them. Text forms round-trip; no clock inside.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Zoned;
use jiff::civil::Time;

use crate::model::UnixMillis;

/// Longest period taken, in milliseconds: 1,000 years of 365 days. Sums of a few of them stay far from overflow.
const MAX_PERIOD_MS: u64 = 1_000 * 365 * 86_400_000;

/// Largest size taken, in bytes: 1 PiB. More is a typing error, and sums must not overflow.
const MAX_BYTES: u64 = 1 << 50;

/// Units of a period with their milliseconds, largest first: `Display` takes them in this order.
const PERIOD_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Units of a size with their bytes; `Display` takes the first that divides exactly.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Text that is no duration, size or time of day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// A duration is one or more whole numbers with their units.
    #[error("`{0}` is no duration such as `90s`, `30m`, `8h` or `28d`")]
    NotAPeriod(String),
    /// A size is a whole number with its unit.
    #[error("`{0}` is no size such as `256KiB`, `100MB` or `1GiB`")]
    NotASize(String),
    /// A time of day has hours and minutes.
    #[error("`{0}` is no time of day such as `06:00`")]
    NotATimeOfDay(String),
    /// The number is past what any machine or night could mean.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

/// A length of time as people write it, such as `90s` or `1h30m`; whole milliseconds, at most 1,000 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(Duration);

impl Period {
    /// Returns the length.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.0
    }

    /// Returns the moment that long before another.
    #[must_use]
    pub fn before(self, moment: UnixMillis) -> UnixMillis {
        let millis = i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX);
        UnixMillis(moment.0.saturating_sub(millis))
    }
}

impl FromStr for Period {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError::NotAPeriod(shortened(text));
        let too_large = || UnitError::TooLarge(shortened(text));
        let mut rest = text;
        let mut total: u64 = 0;
        let mut last_unit = u64::MAX;
        while !rest.is_empty() {
            let (number, after) = leading_number(rest).ok_or_else(wrong)?;
            let letters = after
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(after.len());
            let (name, tail) = after.split_at(letters);
            let unit = PERIOD_UNITS
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, unit)| *unit)
                .filter(|unit| *unit < last_unit)
                .ok_or_else(wrong)?;
            let part = number
                .and_then(|n| n.checked_mul(unit))
                .ok_or_else(too_large)?;
            total = total.checked_add(part).ok_or_else(too_large)?;
            (last_unit, rest) = (unit, tail);
        }
        match (last_unit, total) {
            (u64::MAX, _) => Err(wrong()),
            (_, 0..=MAX_PERIOD_MS) => Ok(Self(Duration::from_millis(total))),
            (_, _) => Err(too_large()),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() {
            return f.write_str("0s");
        }
        let mut rest = self.0.as_millis();
        for (name, unit) in PERIOD_UNITS {
            let count = rest / u128::from(unit);
            rest %= u128::from(unit);
            if count > 0 {
                write!(f, "{count}{name}")?;
            }
        }
        Ok(())
    }
}

/// A number of bytes as people write it, such as `256KiB` or `100MB`; at most 1 PiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// Returns the number of bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError::NotASize(shortened(text));
        let (number, name) = leading_number(text).ok_or_else(wrong)?;
        let (_, unit) = SIZE_UNITS
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(wrong)?;
        number
            .and_then(|n| n.checked_mul(*unit))
            .filter(|bytes| *bytes <= MAX_BYTES)
            .map(Self)
            .ok_or_else(|| UnitError::TooLarge(shortened(text)))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) = SIZE_UNITS
            .iter()
            .find(|(_, unit)| self.0 > 0 && self.0.is_multiple_of(*unit))
            .unwrap_or(&("B", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

/// A time of day to the minute, such as `06:00`, in whatever zone its reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay {
    hour: i8,
    minute: i8,
}

impl TimeOfDay {
    /// Returns how long it is from `now` until this time comes next in the zone of `now`; a day when it is
    /// that minute already. Where a clock change skips the time, the moment after the gap counts.
    #[must_use]
    pub fn from_now(self, now: &Zoned) -> Duration {
        let time = Time::constant(self.hour, self.minute, 0, 0);
        let on = |date: jiff::civil::Date| date.to_datetime(time).to_zoned(now.time_zone().clone());
        let today = on(now.date());
        let next = match today {
            Ok(today) if today > *now => Ok(today),
            Ok(_) | Err(_) => now.date().tomorrow().and_then(on),
        };
        next.ok()
            .and_then(|next| Duration::try_from(now.duration_until(&next)).ok())
            .unwrap_or_default()
    }
}

impl FromStr for TimeOfDay {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let number = |digits: &str, below: i8| {
            let plain =
                (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            let value: i8 = plain.then(|| digits.parse().ok()).flatten()?;
            (value < below).then_some(value)
        };
        text.split_once(':')
            .filter(|(_, minute)| minute.len() == 2)
            .and_then(|(hour, minute)| {
                Some(Self {
                    hour: number(hour, 24)?,
                    minute: number(minute, 60)?,
                })
            })
            .ok_or_else(|| UnitError::NotATimeOfDay(shortened(text)))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

/// Splits the digits off the front. `None` without digits; the number is `None` where it overflows.
fn leading_number(text: &str) -> Option<(Option<u64>, &str)> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    (digits > 0).then(|| (number.parse().ok(), rest))
}

/// Keeps an error message short whatever was written.
pub(super) fn shortened(text: &str) -> String {
    const KEPT: usize = 60;
    match text.char_indices().nth(KEPT) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn period_text_round_trips() {
        for text in [
            "0s",
            "250ms",
            "90s",
            "30m",
            "8h",
            "28d",
            "1h30m",
            "1d2h3m4s5ms",
        ] {
            let period: Period = text.parse().unwrap();
            let shown = period.to_string();
            assert_eq!(
                shown.parse::<Period>().unwrap(),
                period,
                "{text} shown as {shown}"
            );
        }
        assert_eq!("90s".parse::<Period>().unwrap().to_string(), "1m30s");
        assert_eq!("8h".parse::<Period>().unwrap().duration().as_secs(), 28_800);
    }

    #[test]
    fn period_refuses_what_a_person_did_not_mean() {
        for text in [
            "", "8", "h", "8 h", "-8h", "1.5h", "8x", "30m1h", "1h1h", "8H",
        ] {
            assert_eq!(
                text.parse::<Period>(),
                Err(UnitError::NotAPeriod(text.to_owned())),
                "{text:?}"
            );
        }
        for text in ["99999999999999999999s", "18446744073709551615d", "366001d"] {
            assert!(
                matches!(text.parse::<Period>(), Err(UnitError::TooLarge(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn size_text_round_trips() {
        for (text, bytes) in [
            ("0B", 0),
            ("256KiB", 262_144),
            ("100MB", 100_000_000),
            ("1GiB", 1 << 30),
            ("7B", 7),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!(size.bytes(), bytes);
            assert_eq!(size.to_string(), text);
        }
    }

    #[test]
    fn size_refuses_missing_units_and_overflow() {
        for text in ["", "1", "GiB", "1 GiB", "1gib", "1.5GiB", "-1B"] {
            assert_eq!(
                text.parse::<ByteSize>(),
                Err(UnitError::NotASize(text.to_owned())),
                "{text:?}"
            );
        }
        for text in ["99999999TiB", "99999999999999999999B", "1025TiB"] {
            assert!(
                matches!(text.parse::<ByteSize>(), Err(UnitError::TooLarge(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn time_of_day_is_today_or_tomorrow() {
        let now: Zoned = "2026-11-22T22:30[UTC]".parse().unwrap();
        let until = |text: &str| text.parse::<TimeOfDay>().unwrap().from_now(&now).as_secs();
        assert_eq!(until("23:00"), 30 * 60);
        assert_eq!(until("6:00"), 7 * 3600 + 30 * 60);
        assert_eq!(until("22:30"), 24 * 3600);
    }

    #[test]
    fn time_of_day_refuses_other_text() {
        for text in [
            "", "6", "24:00", "06:60", "06:0", "006:00", "+6:00", "06:00:00",
        ] {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn error_text_stays_short_whatever_was_typed() {
        let error = "x".repeat(10_000).parse::<Period>().unwrap_err();
        assert!(error.to_string().len() < 150);
    }
}
