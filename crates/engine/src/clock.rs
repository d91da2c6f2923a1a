//! Time as the engine sees it: a trait, so that tests run in virtual time and the sandbox in
//! scaled time. The engine itself never asks the operating system for the time.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// Tells the time and waits.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time of day, for journal entries, leases and expiry tags.
    fn now(&self) -> DateTime<Utc>;

    /// Returns after `duration` has passed in the world that is waited for.
    async fn sleep(&self, duration: Duration);

    /// Time since some moment of the past, in seconds of `now`. Never goes back, even when somebody
    /// sets the time of day.
    fn steady(&self) -> Duration {
        (self.now() - DateTime::UNIX_EPOCH).to_std().unwrap_or_default()
    }

    /// Seconds of the world that is waited for since `began`, a moment of [`Clock::steady`].
    fn since(&self, began: Duration) -> f64 {
        self.steady().saturating_sub(began).as_secs_f64() * self.scale()
    }

    /// How many seconds of that world pass in one second of `now`: 1 on AWS, the speed on the
    /// sandbox, whose states pass faster than the time of day.
    fn scale(&self) -> f64 {
        1.0
    }
}
