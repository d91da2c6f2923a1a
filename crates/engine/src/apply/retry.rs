//! When a failed call is made again: by the fault's class, with full jitter, and with a pause for
//! the whole service after it said that there are too many calls.
//!
//! Only calls that may be repeated come here; what to do about an unknown effect is decided in
//! `step`.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::clock::Clock;
use crate::fault::{Fault, FaultClass};

/// Longest seconds that something new stays invisible to a service. Source: the IAM propagation
/// timeout that Terraform's AWS provider uses, two minutes.
pub const PROPAGATION: f64 = 120.0;

/// Seconds after which an answer that was lost is not waited for any longer.
const UNAVAILABLE: f64 = 180.0;

/// Seconds for which throttling is put up with.
const THROTTLED: f64 = 600.0;

/// Fewest attempts before a call is given up where time is scaled: the limit alone may pass while
/// the machine is busy with something else.
const ATTEMPTS: u32 = 20;

/// Is told of every retry and its delay in seconds.
pub type Notify<'a> = dyn Fn(&Fault, f64) + Send + Sync + 'a;

/// Until when, by the steady clock, each service is left alone after it said that there are too many calls.
#[derive(Default)]
pub struct Quiet(Mutex<HashMap<String, Duration>>);

/// The retrying of one step or one observation.
pub struct Retry<'a> {
    clock: &'a dyn Clock,
    /// How many seconds of AWS pass in one second of the clock's `now`.
    scale: f64,
    random: Mutex<StdRng>,
    own: Quiet,
    shared: Option<&'a Quiet>,
    notify: Option<&'a Notify<'a>>,
}

impl<'a> Retry<'a> {
    /// Retrying on this clock; the seed makes the jitter repeatable.
    pub fn new(clock: &'a dyn Clock, seed: u64) -> Self {
        Self {
            clock,
            scale: clock.scale(),
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            own: Quiet::default(),
            shared: None,
            notify: None,
        }
    }

    /// The same, keeping quiet together with all who share `quiet`.
    #[must_use]
    pub fn sharing(mut self, quiet: &'a Quiet) -> Self {
        self.shared = Some(quiet);
        self
    }

    fn quiet(&self) -> &Quiet {
        self.shared.unwrap_or(&self.own)
    }

    /// The same, telling `notify` of every retry and its delay in seconds.
    #[must_use]
    pub fn telling(mut self, notify: &'a Notify<'a>) -> Self {
        self.notify = Some(notify);
        self
    }

    /// Makes a read until it succeeds or its class says that it never will.
    pub async fn call<T, F>(&self, service: &str, call: impl Fn() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let began = self.clock.steady();
        let mut attempt = 0;
        loop {
            self.settle(service).await;
            match call().await {
                Ok(value) => return Ok(value),
                Err(fault) => {
                    let Some(delay) = self.delay(service, &fault, attempt, self.since(began), 0.0) else {
                        return Err(fault);
                    };
                    self.wait(&fault, delay).await;
                    attempt += 1;
                }
            }
        }
    }

    /// AWS seconds since `began`, a moment of the steady clock: somebody who sets the time of day makes no wait shorter or
    /// longer.
    pub fn since(&self, began: Duration) -> f64 {
        self.clock.since(began)
    }

    /// Waits while the service has asked for quiet.
    pub async fn settle(&self, service: &str) {
        let until = self.quiet().0.lock().unwrap_or_else(PoisonError::into_inner).get(prefix(service)).copied();
        if let Some(until) = until {
            let left = until.saturating_sub(self.clock.steady());
            if !left.is_zero() {
                self.clock.sleep(left.mul_f64(self.scale)).await;
            }
        }
    }

    /// Tells of a retry and waits for it.
    pub async fn wait(&self, fault: &Fault, delay: f64) {
        if let Some(notify) = self.notify {
            notify(fault, delay);
        }
        self.clock.sleep(Duration::from_secs_f64(delay)).await;
    }

    /// Seconds until the next attempt, or `None` to give up. `elapsed` counts from the first
    /// attempt; `busy` is how long a busy object is waited for.
    pub fn delay(&self, service: &str, fault: &Fault, attempt: u32, elapsed: f64, busy: f64) -> Option<f64> {
        let (limit, base, ceiling) = match fault.class {
            FaultClass::NotPropagated => (PROPAGATION, 1.0, 8.0),
            FaultClass::Busy | FaultClass::Unfinished => (busy, 2.0, 10.0),
            FaultClass::Throttled => (THROTTLED, 1.0, 20.0),
            FaultClass::Unavailable => (UNAVAILABLE, 0.5, 10.0),
            FaultClass::NotFound
            | FaultClass::AlreadyExists
            | FaultClass::Quota
            | FaultClass::Denied
            | FaultClass::Invalid
            | FaultClass::Other => return None,
        };
        let is_scaled = self.scale > 1.0;
        if elapsed >= limit && (!is_scaled || attempt >= ATTEMPTS) {
            return None;
        }
        let most = (base * f64::powi(2.0, attempt.min(10).cast_signed())).min(ceiling);
        let jitter: f64 = self.random.lock().unwrap_or_else(PoisonError::into_inner).random_range(0.05..1.0);
        let delay = most * jitter;
        if fault.class == FaultClass::Throttled {
            let until = self.clock.steady() + Duration::from_secs_f64(delay / self.scale);
            self.quiet().0.lock().unwrap_or_else(PoisonError::into_inner).insert(prefix(service).to_owned(), until);
        }
        Some(delay)
    }
}

/// The service of a kind or an operation.
fn prefix(service: &str) -> &str {
    service.split(['/', ':']).next().unwrap_or(service)
}
