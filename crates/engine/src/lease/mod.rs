//! One writer per stack: who holds it, since when, and how it is taken over.
//!
//! A lease lives in a store that can replace a value only if it is the one that was read: a file
//! here, an S3 object on AWS. `guard` is what a holder has: it renews the lease and asks the store
//! before every change whether it is still its own. `file` is the store in a file.
//!
//! No two machines' clocks need to agree. A lease that looks fresh is refused at once; one that looks
//! old is not believed to be old: it is watched for its whole length by the clock of the one who
//! wants it, and taken only if nobody wrote it meanwhile.

mod file;
mod guard;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use self::file::FileLease;
pub use self::guard::Guard;
use crate::clock::Clock;
use crate::fault::FaultClass;

/// Seconds for which a lease is valid without being renewed, unless its holder says otherwise.
pub const VALID: u32 = 60;

/// Seconds that the next holder leaves the one from whom it took the stack over, so that a change in
/// flight ends. Longer than a holder goes without asking the store whose the stack is.
pub const GRACE: f64 = 3.0;

/// How far apart two clocks may be before an age tells nothing any more, in seconds.
const SKEW: f64 = 5.0;

/// How often a store that fails for a moment is asked before it is given up.
const ATTEMPTS: u32 = 5;

/// How many dead runs a lease remembers.
const GONE: usize = 16;

/// Who writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The run.
    pub run: String,
    /// The person, as the operating system names them.
    pub holder: String,
    /// The machine and process.
    pub host: String,
    /// The command: `apply` or `destroy`.
    pub verb: String,
    /// What it was doing at the last renewal.
    #[serde(default)]
    pub step: String,
    /// Since when, by the holder's clock.
    pub since: DateTime<Utc>,
    /// Last renewal, by the holder's clock.
    pub renewed: DateTime<Utc>,
    /// Seconds for which it is valid after that.
    #[serde(default = "valid")]
    pub valid: u32,
    /// Grows with every holder.
    pub fencing: u64,
    /// Runs whose leases this one followed because their processes had ended: what they hold in
    /// other stores is free, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<String>,
}

fn valid() -> u32 {
    VALID
}

impl Lease {
    /// A lease that somebody wants; who it follows and when is filled in when it is taken.
    pub fn wanted(run: &str, holder: &str, host: &str, verb: &str) -> Self {
        Self {
            run: run.to_owned(),
            holder: holder.to_owned(),
            host: host.to_owned(),
            verb: verb.to_owned(),
            step: String::new(),
            since: DateTime::UNIX_EPOCH,
            renewed: DateTime::UNIX_EPOCH,
            valid: VALID,
            fencing: 0,
            gone: Vec::new(),
        }
    }

    /// Seconds since the last renewal, as far as two clocks can tell.
    fn age(&self, now: DateTime<Utc>) -> f64 {
        (now - self.renewed).as_seconds_f64()
    }
}

/// Why a lease could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else writes.
    #[error(
        "{} of {} on {} holds the stack since {}{} (run {}, renewed {} s ago)",
        held.verb, held.holder, held.host, held.since.format("%Y-%m-%d %H:%M:%S UTC"), doing(held), held.run, age
    )]
    Held {
        /// Who.
        held: Box<Lease>,
        /// Seconds since the last renewal.
        age: i64,
    },
    /// The store cannot be used.
    #[error("the lease {place} cannot be {verb}: {message}")]
    Store {
        /// Where the lease is kept.
        place: String,
        /// `read` or `written`.
        verb: &'static str,
        /// The reason.
        message: String,
        /// What kind of failure it is: a passing one is tried again.
        class: FaultClass,
    },
}

fn doing(lease: &Lease) -> String {
    if lease.step.is_empty() { String::new() } else { format!(", now {}", lease.step) }
}

impl LeaseError {
    fn is_passing(&self) -> bool {
        matches!(self, Self::Store { class: FaultClass::Throttled | FaultClass::Unavailable, .. })
    }
}

/// The version of a stored value, as its store tells it.
pub type Version = String;

/// A place for one lease, with a write that happens only if nobody else wrote meanwhile.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// The lease and its version; `None` when there is none.
    async fn read(&self) -> Result<Option<(Lease, Version)>, LeaseError>;

    /// Writes if the stored version is still `expected` (`None`: if nothing is stored). `false`
    /// when somebody else was first. `lease: None` removes it.
    async fn replace(&self, lease: Option<&Lease>, expected: Option<&Version>) -> Result<bool, LeaseError>;

    /// Whether the store knows that the holder's process has ended although its lease has not run out.
    fn is_abandoned(&self, _held: &Lease) -> bool {
        false
    }
}

/// On what terms a lease is wanted.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// Also one that somebody else holds.
    pub take_over: bool,
    /// Runs whose processes are known to have ended: their leases are followed at once.
    pub gone: &'a [String],
    /// Is told that a lease that looks old is watched, and for how many seconds at most.
    pub watching: &'a (dyn Fn(&Lease, f64) + Send + Sync),
}

impl Terms<'_> {
    /// Only a lease that nobody holds.
    pub const FREE: Self = Self { take_over: false, gone: &[], watching: &|_, _| {} };
}

/// What may be done about a lease that is there.
enum Way {
    /// Its holder's process has ended.
    Gone,
    /// It ran out.
    Expired,
    /// Its holder lives, but the user wants it.
    TakenOver,
}

/// Takes the lease, or says who holds it. Waits for up to the lease's length when it looks old.
pub async fn acquire(
    store: &Arc<dyn LeaseStore>,
    wanted: Lease,
    terms: &Terms<'_>,
    clock: &dyn Clock,
) -> Result<Guard, LeaseError> {
    let mut failures = 0;
    loop {
        match attempt(store, &wanted, terms, clock).await {
            Ok(Some(guard)) => return Ok(guard),
            // Somebody else was first: see who.
            Ok(None) => {}
            Err(error) if error.is_passing() && failures + 1 < ATTEMPTS => {
                clock.sleep(Duration::from_secs_f64(f64::from(1 << failures) * clock.scale())).await;
                failures += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn attempt(
    store: &Arc<dyn LeaseStore>,
    wanted: &Lease,
    terms: &Terms<'_>,
    clock: &dyn Clock,
) -> Result<Option<Guard>, LeaseError> {
    let found = store.read().await?;
    if let Some((held, _)) = &found
        && held.run == wanted.run
    {
        // Written by the attempt before, whose answer was lost.
        return Ok(Some(Guard::new(held.clone(), store.clone(), clock)));
    }
    let way = match &found {
        Some((held, version)) => Some(way(store.as_ref(), held, version, terms, clock).await?),
        None => None,
    };
    let mut gone = terms.gone.to_vec();
    if let (Some((held, _)), Some(Way::Gone)) = (&found, &way) {
        gone.push(held.run.clone());
        gone.extend(held.gone.iter().cloned());
        gone.dedup();
        gone.truncate(GONE);
    }
    let now = clock.now();
    let fencing = found.as_ref().map_or(1, |(held, _)| held.fencing.wrapping_add(1));
    let lease = Lease { since: now, renewed: now, fencing, gone, ..wanted.clone() };
    let guard = Guard::new(lease.clone(), store.clone(), clock);
    if !store.replace(Some(&lease), found.as_ref().map(|(_, version)| version)).await? {
        return Ok(None);
    }
    if matches!(way, Some(Way::TakenOver)) {
        clock.sleep(Duration::from_secs_f64(GRACE * clock.scale())).await;
    }
    Ok(Some(guard))
}

/// How a lease that is there may be followed, or that it may not.
async fn way(
    store: &dyn LeaseStore,
    held: &Lease,
    version: &Version,
    terms: &Terms<'_>,
    clock: &dyn Clock,
) -> Result<Way, LeaseError> {
    let refused = |held: &Lease, age: f64| LeaseError::Held { held: Box::new(held.clone()), age: age.max(0.0) as i64 };
    if terms.gone.contains(&held.run) || store.is_abandoned(held) {
        return Ok(Way::Gone);
    }
    if terms.take_over {
        return Ok(Way::TakenOver);
    }
    let length = f64::from(held.valid);
    let age = held.age(clock.now());
    if (-SKEW..=length).contains(&age) {
        return Err(refused(held, age));
    }
    (terms.watching)(held, length);
    let end = clock.steady() + Duration::from_secs_f64(length);
    while clock.steady() <= end {
        clock.sleep(Duration::from_secs_f64(length / 12.0 * clock.scale())).await;
        match store.read().await {
            Ok(Some((_, seen))) if seen == *version => {}
            Ok(Some((now, _))) => return Err(refused(&now, 0.0)),
            // Released: the caller finds nothing to replace and looks again.
            Ok(None) => break,
            // Not seen unchanged, but not seen changed either: the write at the end will tell.
            Err(error) if error.is_passing() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Way::Expired)
}

#[cfg(test)]
mod tests;
