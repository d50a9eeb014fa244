//! Time as an argument: wall time labels, monotonic time measures.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 UTC: a label for people, never a measure.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// Returns RFC 3339 in UTC with whole seconds, such as `2026-11-22T01:14:00Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        jiff::Timestamp::from_millisecond(self.0)
            .and_then(|t| t.round(jiff::Unit::Second))
            .map_or_else(|_| format!("@{}ms", self.0), |t| t.to_string())
    }
}

/// Microseconds of the kernel's monotonic clock, one clock for the host and its containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonoMicros(pub i64);

impl MonoMicros {
    /// Returns the time since `earlier`; zero when the clock says it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

/// Where the time comes from, so that nothing below `command` asks the system by itself.
pub trait Clock: Send + Sync {
    /// Returns the wall clock.
    fn now(&self) -> UnixMillis;
    /// Returns the monotonic clock.
    fn mono(&self) -> MonoMicros;
}

/// The machine's own clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn mono(&self) -> MonoMicros {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        MonoMicros(t.tv_sec * 1_000_000 + t.tv_nsec / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_is_shown_as_rfc_3339_in_utc() {
        assert_eq!(
            UnixMillis(1_795_310_040_400).rfc3339(),
            "2026-11-22T01:14:00Z"
        );
    }
}
