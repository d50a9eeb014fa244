//! The span that a report is about: an ISO week, or any other, with the weeks and nights before it for trends.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, ISOWeekDate, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::model::UnixMillis;

/// Weeks that trends look back over, the reported one included.
pub const WEEKS: usize = 12;
/// Nights that the heat map shows.
pub const NIGHTS: usize = 28;

/// An ISO 8601 week, such as `2026-W47`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Week {
    monday: Date,
}

/// Text that is no week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an ISO week such as 2026-W47")]
pub struct InvalidWeek;

impl Week {
    /// Returns the week that holds a day.
    #[must_use]
    pub fn of(day: Date) -> Self {
        let past = i64::from(day.weekday().to_monday_zero_offset());
        Self {
            monday: day.saturating_sub(Span::new().days(past)),
        }
    }

    /// Returns the last week that was over at a time.
    #[must_use]
    pub fn last_complete(now: UnixMillis, tz: &TimeZone) -> Self {
        let this = Self::of(day_of(now, tz));
        this.earlier(1)
    }

    /// Returns the week so many weeks before.
    #[must_use]
    pub fn earlier(self, weeks: i64) -> Self {
        Self {
            monday: self.monday.saturating_sub(Span::new().days(7 * weeks)),
        }
    }
}

impl fmt::Display for Week {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let week = self.monday.iso_week_date();
        write!(f, "{:04}-W{:02}", week.year(), week.week())
    }
}

impl FromStr for Week {
    type Err = InvalidWeek;

    fn from_str(text: &str) -> Result<Self, InvalidWeek> {
        let (year, week) = text.split_once("-W").ok_or(InvalidWeek)?;
        let digits =
            |part: &str, many| part.len() == many && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(year, 4) || !digits(week, 2) {
            return Err(InvalidWeek);
        }
        let number = |part: &str| part.parse::<i16>().map_err(|_| InvalidWeek);
        let week = i8::try_from(number(week)?).map_err(|_| InvalidWeek)?;
        let date =
            ISOWeekDate::new(number(year)?, week, Weekday::Monday).map_err(|_| InvalidWeek)?;
        Ok(Self {
            monday: date.date(),
        })
    }
}

/// The span of a report: from `since` on, and before `until`.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// `2026-W47`, or `2026-11-16_2026-11-20` for another span; fit for a file name.
    pub label: String,
    /// First moment.
    pub since: UnixMillis,
    /// First moment that is not in it any more.
    pub until: UnixMillis,
    /// The zone that days and weeks are cut in.
    pub tz: TimeZone,
    /// Its name: `UTC`, `Europe/Berlin`.
    pub zone: String,
}

impl Window {
    /// Returns the window of a week.
    #[must_use]
    pub fn week(week: Week, tz: &TimeZone, zone: &str) -> Self {
        Self {
            label: week.to_string(),
            since: midnight(week.monday, tz),
            until: midnight(week.earlier(-1).monday, tz),
            tz: tz.clone(),
            zone: zone.to_owned(),
        }
    }

    /// Returns the window between two moments; `None` unless the first is earlier.
    #[must_use]
    pub fn between(
        since: UnixMillis,
        until: UnixMillis,
        tz: &TimeZone,
        zone: &str,
    ) -> Option<Self> {
        let label = |at: UnixMillis| {
            let zoned = stamp(at).to_zoned(tz.clone());
            if zoned.time() == jiff::civil::Time::midnight() {
                zoned.strftime("%Y-%m-%d").to_string()
            } else {
                zoned.strftime("%Y-%m-%dT%H%M%S").to_string()
            }
        };
        (since < until).then(|| Self {
            label: format!("{}_{}", label(since), label(until)),
            since,
            until,
            tz: tz.clone(),
            zone: zone.to_owned(),
        })
    }

    /// Does it hold the moment?
    #[must_use]
    pub fn holds(&self, at: UnixMillis) -> bool {
        self.since <= at && at < self.until
    }

    /// Returns the starts of the last [`WEEKS`] spans as long as a week, the last one ending with the window, and
    /// their ends: ISO weeks where the window is one.
    #[must_use]
    pub fn weeks(&self) -> Vec<Stretch> {
        let last = self.until;
        let end = stamp(last).to_zoned(self.tz.clone());
        let at = |weeks: i64| {
            let zoned = end.saturating_sub(Span::new().weeks(weeks));
            UnixMillis(zoned.timestamp().as_millisecond())
        };
        let weeks = i64::try_from(WEEKS).unwrap_or(i64::MAX);
        (0..weeks)
            .rev()
            .map(|before| {
                let (since, until) = (at(before + 1), at(before));
                Stretch {
                    label: Week::of(day_of(since, &self.tz)).to_string(),
                    since,
                    until,
                }
            })
            .collect()
    }

    /// Returns the days of the heat map, oldest first; the last one ends with the window.
    #[must_use]
    pub fn nights(&self) -> Vec<Stretch> {
        let last = day_of(UnixMillis(self.until.0 - 1), &self.tz);
        (0..i64::try_from(NIGHTS).unwrap_or(i64::MAX))
            .rev()
            .map(|before| {
                let day = last.saturating_sub(Span::new().days(before));
                Stretch {
                    label: day.to_string(),
                    since: midnight(day, &self.tz),
                    until: midnight(day.saturating_add(Span::new().days(1)), &self.tz),
                }
            })
            .collect()
    }

    /// Returns a moment as people of the zone write it, to the minute.
    #[must_use]
    pub fn time(&self, at: UnixMillis) -> String {
        stamp(at)
            .to_zoned(self.tz.clone())
            .strftime("%Y-%m-%d %H:%M")
            .to_string()
    }

    /// Returns a moment as the command line takes it, in the zone: `2026-11-16T06:00:00`.
    #[must_use]
    pub fn moment(&self, at: UnixMillis) -> String {
        let zoned = stamp(at).to_zoned(self.tz.clone());
        let part = if at.0.rem_euclid(1000) == 0 {
            "%Y-%m-%dT%H:%M:%S"
        } else {
            "%Y-%m-%dT%H:%M:%S%.3f"
        };
        zoned.strftime(part).to_string()
    }

    /// Returns the day of a moment.
    #[must_use]
    pub fn day(&self, at: UnixMillis) -> String {
        day_of(at, &self.tz).to_string()
    }
}

/// A labelled span of a trend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Week or day.
    pub label: String,
    /// First moment.
    pub since: UnixMillis,
    /// First moment after it.
    pub until: UnixMillis,
}

fn stamp(at: UnixMillis) -> Timestamp {
    Timestamp::from_millisecond(at.0).unwrap_or(if at.0 < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

fn day_of(at: UnixMillis, tz: &TimeZone) -> Date {
    stamp(at).to_zoned(tz.clone()).date()
}

fn midnight(day: Date, tz: &TimeZone) -> UnixMillis {
    let zoned = day.to_zoned(tz.clone());
    UnixMillis(zoned.map_or(i64::MIN, |zoned| zoned.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMillis {
        UnixMillis(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn weeks_are_those_of_iso_8601() {
        for (day, week) in [
            ("2026-11-22T12:00:00Z", "2026-W47"),
            ("2027-01-03T23:59:59Z", "2026-W53"),
            ("2027-01-04T00:00:00Z", "2027-W01"),
        ] {
            let found = Week::of(day_of(at(day), &TimeZone::UTC));
            assert_eq!(found.to_string(), week);
            assert_eq!(week.parse::<Week>(), Ok(found));
        }
        for wrong in [
            "2026-W54",
            "2026W47",
            "2026-W7",
            "2026-W00",
            "26-W47",
            "",
            "2026-W４７",
        ] {
            assert_eq!(wrong.parse::<Week>(), Err(InvalidWeek), "{wrong}");
        }
    }

    #[test]
    fn the_default_is_the_last_week_that_is_over() {
        let week = |now| Week::last_complete(at(now), &TimeZone::UTC).to_string();
        assert_eq!(week("2026-11-22T23:59:59Z"), "2026-W46");
        assert_eq!(week("2026-11-23T00:00:00Z"), "2026-W47");
    }

    #[test]
    fn a_week_with_a_change_of_clocks_is_an_hour_shorter() {
        let tz = TimeZone::get("Europe/Berlin").unwrap();
        let window = Window::week("2026-W13".parse().unwrap(), &tz, "Europe/Berlin");
        assert_eq!(window.since, at("2026-03-22T23:00:00Z"));
        assert_eq!(window.until, at("2026-03-29T22:00:00Z"));
        assert_eq!((window.until.0 - window.since.0) / 3_600_000, 7 * 24 - 1);
        let (weeks, nights) = (window.weeks(), window.nights());
        assert_eq!(weeks.len(), WEEKS);
        assert_eq!(
            weeks.last().map(|w| (w.since, w.until)),
            Some((window.since, window.until))
        );
        assert!(weeks.windows(2).all(|w| w[0].until == w[1].since));
        assert_eq!(weeks[0].label, "2026-W02");
        assert_eq!(nights.last().unwrap().label, "2026-03-29");
        assert!(nights.windows(2).all(|w| w[0].until == w[1].since));
    }

    #[test]
    fn other_spans_name_their_ends() {
        let (tz, day) = (TimeZone::UTC, "2026-11-16T00:00:00Z");
        let window = Window::between(at(day), at("2026-11-20T06:30:00Z"), &tz, "UTC").unwrap();
        assert_eq!(window.label, "2026-11-16_2026-11-20T063000");
        assert!(window.holds(at(day)) && !window.holds(window.until));
        assert_eq!(Window::between(at(day), at(day), &tz, "UTC"), None);
    }
}
