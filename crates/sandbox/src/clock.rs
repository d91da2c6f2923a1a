//! Time as the sandbox sees it: the wall clock, and durations shortened by the speed.
//!
//! Transient states are stamped with the moment they end, so they go on while no process runs.
//! A command with another speed moves the stamps that are still to come (`world::speed`), so that
//! what a slower one has begun is not waited for at its pace.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A moment, in milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Timestamp(pub i64);

impl Timestamp {
    /// The wall clock.
    pub(crate) fn now() -> Self {
        Self(Utc::now().timestamp_millis())
    }

    /// Seconds since 1970 with milliseconds behind the point: the form of AWS JSON 1.1.
    pub(crate) fn epoch(self) -> Value {
        Value::from(self.0 as f64 / 1000.0)
    }

    /// `2026-01-31T12:00:00.000Z`: the form of the query protocols and of members declared `iso8601`.
    pub(crate) fn iso(self) -> String {
        self.date().to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// `Sat, 31 Jan 2026 12:00:00 GMT`: the form of HTTP headers.
    pub(crate) fn http(self) -> String {
        self.date().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// The moment as a calendar date and time.
    pub(crate) fn date(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }

    /// The moment `duration` later, not shortened.
    #[must_use]
    pub(crate) fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The time from `earlier` to this moment; nothing when `earlier` is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

/// The wall clock with a speed: at speed 60 a transition that takes AWS a minute takes a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    speed: f64,
}

impl Clock {
    /// A clock on which transitions take `1 / speed` of their time on AWS. An infinite speed ends
    /// them at once; what is not a positive number counts as 1.
    pub(crate) fn new(speed: f64) -> Self {
        Self { speed: if speed > 0.0 { speed } else { 1.0 } }
    }

    /// The moment of this call.
    #[expect(clippy::unused_self, reason = "callers ask their clock, not the machine's")]
    pub(crate) fn now(self) -> Timestamp {
        Timestamp::now()
    }

    /// The moment at which a transition that takes AWS `duration` ends when it begins now.
    pub(crate) fn after(self, duration: Duration) -> Timestamp {
        self.now().plus(self.scaled(duration))
    }

    /// How long the sandbox takes for what takes AWS `duration`.
    pub(crate) fn scaled(self, duration: Duration) -> Duration {
        Duration::try_from_secs_f64(duration.as_secs_f64() / self.speed).unwrap_or(Duration::MAX)
    }

    /// How many times faster than AWS; infinite when transitions end at once.
    pub(crate) fn speed(self) -> f64 {
        self.speed
    }

    /// The same clock, `factor` times slower.
    #[must_use]
    pub(crate) fn slowed(self, factor: f64) -> Self {
        Self::new(self.speed / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_takes_a_second_at_speed_sixty() {
        assert_eq!(Clock::new(60.0).scaled(Duration::from_mins(1)), Duration::from_secs(1));
        assert_eq!(Clock::new(f64::INFINITY).scaled(Duration::from_mins(1)), Duration::ZERO);
    }

    #[test]
    fn each_protocol_gets_its_own_form_of_a_moment() {
        let moment = Timestamp(1_769_860_800_500);
        assert_eq!(moment.epoch(), serde_json::json!(1_769_860_800.5));
        assert_eq!(moment.iso(), "2026-01-31T12:00:00.500Z");
        assert_eq!(moment.http(), "Sat, 31 Jan 2026 12:00:00 GMT");
    }
}
