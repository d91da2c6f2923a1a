//! How many calls the services take. DMS has one bucket for all operations of an account and region:
//! "200 requests … a refill rate of eight requests per second" (DMS user guide, "Quotas for AWS
//! Database Migration Service"). The other services' limits are not played: what is published of them
//! is not enough.
//!
//! The bucket is the process's own, not the world's: two processes over one directory are two accounts
//! in this respect. Its refill goes with the speed, as everything that takes time.

use std::sync::{Mutex, PoisonError};

use crate::clock::{Clock, Timestamp};

/// Calls of DMS that are taken at once.
const BURST: f64 = 200.0;

/// Calls of DMS for which there is room again after a second.
const REFILL: f64 = 8.0;

/// The bucket of DMS.
#[derive(Debug)]
pub(crate) struct Limits(Mutex<(f64, Timestamp)>);

impl Limits {
    /// A full bucket.
    pub(crate) fn new(clock: Clock) -> Self {
        Self(Mutex::new((BURST, clock.now())))
    }

    /// Whether a call of `service` is one too many; otherwise it is counted.
    pub(crate) fn refuses(&self, service: &str, clock: Clock) -> bool {
        if service != "dms" {
            return false;
        }
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock.now();
        let gained = now.since(bucket.1).as_secs_f64() * clock.speed() * REFILL;
        *bucket = ((bucket.0 + gained).min(BURST), now);
        if bucket.0 < 1.0 {
            return true;
        }
        bucket.0 -= 1.0;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // "200 requests … a refill rate of eight requests per second".
    #[test]
    fn dms_takes_two_hundred_calls_at_once_and_others_are_not_limited() {
        let clock = Clock::new(1.0);
        let limits = Limits::new(clock);
        let taken = (0..300).filter(|_| !limits.refuses("dms", clock)).count();
        assert!((200..=203).contains(&taken), "{taken}");
        assert!((0..1000).all(|_| !limits.refuses("ec2", clock)));
    }

    #[test]
    fn at_an_endless_speed_nothing_is_refused() {
        let clock = Clock::new(f64::INFINITY);
        let limits = Limits::new(clock);
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(!limits.refuses("dms", clock));
    }
}
