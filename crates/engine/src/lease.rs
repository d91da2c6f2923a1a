//! One writer per stack: who holds it, since when, and how it is taken over.
//!
//! A lease lives in a store that can replace a value only if it is the one that was read: a file
//! here, an S3 object on AWS. The holder renews it; who finds it expired, or is told to, takes it
//! over with a higher fencing number, and the former holder stops before its next call.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;

/// Seconds for which a lease is valid without being renewed.
pub const VALID: i64 = 60;

/// Seconds of the clock's `now` between two renewals.
pub const RENEW: f64 = 10.0;

/// Who writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The run.
    pub run: String,
    /// The person, as the operating system names them.
    pub holder: String,
    /// The machine and process.
    pub host: String,
    /// What it is doing: `apply` or `destroy`.
    pub verb: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Last renewal.
    pub renewed: DateTime<Utc>,
    /// Grows with every holder.
    pub fencing: u64,
}

impl Lease {
    /// Whether the holder has missed its renewals.
    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        now - self.renewed > chrono::Duration::seconds(VALID)
    }
}

/// Why a lease could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else writes.
    #[error(
        "{} of {} on {} holds the stack since {} (run {}, renewed {} s ago)",
        held.verb, held.holder, held.host, held.since.format("%Y-%m-%d %H:%M:%S UTC"), held.run, age
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
    },
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

    /// Whether the store knows that the holder is gone although its lease has not run out.
    fn is_abandoned(&self) -> bool {
        false
    }
}

/// A lease that is held. Renewal runs as long as [`Guard::renew`] is polled.
#[derive(Debug)]
pub struct Guard {
    lease: std::sync::Mutex<Lease>,
    lost: AtomicBool,
}

impl Guard {
    /// A guard of a world that nobody else can write to: tests and dry runs.
    pub fn unshared() -> Self {
        // Never runs out.
        let since = DateTime::<Utc>::MAX_UTC;
        let nobody = String::new();
        let lease = Lease {
            run: nobody.clone(),
            holder: nobody.clone(),
            host: nobody.clone(),
            verb: nobody,
            since,
            renewed: since,
            fencing: 0,
        };
        Self { lease: std::sync::Mutex::new(lease), lost: AtomicBool::new(false) }
    }

    /// Gives up the stack at once: the run stops before its next call.
    pub fn lose(&self) {
        self.lost.store(true, Ordering::SeqCst);
    }

    /// Whether somebody else has taken the stack over.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// Whether a call may be made now. A lease that ran out unrenewed, because the machine slept
    /// say, may be somebody else's by now, whether or not that was noticed: it counts as lost.
    pub fn may_write(&self, now: DateTime<Utc>) -> bool {
        if self.lease().is_expired(now) {
            self.lose();
        }
        !self.is_lost()
    }

    fn lease(&self) -> Lease {
        self.lease.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Renews until the lease is lost; race it against the run.
    pub async fn renew(&self, store: &dyn LeaseStore, clock: &dyn Clock) {
        while !self.is_lost() {
            clock.sleep(Duration::from_secs_f64(RENEW * clock.scale())).await;
            let mine = self.lease();
            match store.read().await {
                Ok(Some((stored, version))) if stored.fencing == mine.fencing && stored.run == mine.run => {
                    let renewed = Lease { renewed: clock.now(), ..mine };
                    match store.replace(Some(&renewed), Some(&version)).await {
                        Ok(true) => *self.lease.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = renewed,
                        Ok(false) => self.lost.store(true, Ordering::SeqCst),
                        Err(_) => self.lose_if_expired(clock),
                    }
                }
                Ok(_) => self.lost.store(true, Ordering::SeqCst),
                Err(_) => self.lose_if_expired(clock),
            }
        }
    }

    /// A store that cannot be reached is no reason to stop before the lease runs out.
    fn lose_if_expired(&self, clock: &dyn Clock) {
        if self.lease().is_expired(clock.now()) {
            self.lost.store(true, Ordering::SeqCst);
        }
    }

    /// Gives the stack free, if it is still ours.
    pub async fn release(&self, store: &dyn LeaseStore) -> Result<(), LeaseError> {
        let mine = self.lease();
        if let Some((stored, version)) = store.read().await?
            && stored.fencing == mine.fencing
            && stored.run == mine.run
        {
            store.replace(None, Some(&version)).await?;
        }
        Ok(())
    }
}

/// Takes the lease. With `take_over` also one that somebody else holds.
pub async fn acquire(
    store: &dyn LeaseStore,
    wanted: Lease,
    take_over: bool,
    clock: &dyn Clock,
) -> Result<Guard, LeaseError> {
    loop {
        let found = store.read().await?;
        let now = clock.now();
        let (fencing, version) = match &found {
            Some((held, version)) => {
                if !take_over && !held.is_expired(now) && !store.is_abandoned() {
                    let age = (now - held.renewed).num_seconds();
                    return Err(LeaseError::Held { held: Box::new(held.clone()), age });
                }
                (held.fencing + 1, Some(version))
            }
            None => (1, None),
        };
        let lease = Lease { since: now, renewed: now, fencing, ..wanted.clone() };
        if store.replace(Some(&lease), version).await? {
            return Ok(Guard { lease: std::sync::Mutex::new(lease), lost: AtomicBool::new(false) });
        }
    }
}

/// A lease in a file, for the sandbox and for single machines. The holder keeps a lock of the
/// operating system beside it, which ends with the process: a killed run is followed at once.
pub struct FileLease {
    path: PathBuf,
    held: std::sync::Mutex<Option<std::fs::File>>,
}

impl FileLease {
    /// The lease at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), held: std::sync::Mutex::new(None) }
    }

    fn error(&self, verb: &'static str, error: &std::io::Error) -> LeaseError {
        LeaseError::Store { place: format!("file `{}`", self.path.display()), verb, message: error.to_string() }
    }

    /// Keeps the lock that shows others that this process lives, if it can be had.
    fn hold(&self) -> std::io::Result<()> {
        let mut held = self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if held.is_none() {
            let file = std::fs::File::create(self.path.with_extension("held"))?;
            if file.try_lock().is_ok() {
                *held = Some(file);
            }
        }
        Ok(())
    }

    /// Runs `work` while no other process does: the lock is a file that only one can create.
    fn locked<T>(&self, work: impl FnOnce() -> std::io::Result<T>) -> std::io::Result<T> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let lock = std::fs::File::create(self.path.with_extension("lock"))?;
        lock.lock()?;
        let result = work();
        lock.unlock()?;
        result
    }
}

#[async_trait]
impl LeaseStore for FileLease {
    async fn read(&self) -> Result<Option<(Lease, Version)>, LeaseError> {
        match std::fs::read_to_string(&self.path) {
            // A torn file is no lease: whoever wrote it was killed before it was sure of it.
            Ok(text) => Ok(serde_json::from_str(&text).ok().map(|lease| (lease, text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.error("read", &error)),
        }
    }

    async fn replace(&self, lease: Option<&Lease>, expected: Option<&Version>) -> Result<bool, LeaseError> {
        self.locked(|| {
            let stored = std::fs::read_to_string(&self.path).ok();
            let current = stored.filter(|text| serde_json::from_str::<Lease>(text).is_ok());
            if current.as_ref() != expected {
                return Ok(false);
            }
            match lease {
                Some(lease) => {
                    // Held before it can be seen, or whoever sees it would think it abandoned.
                    self.hold()?;
                    let next = self.path.with_extension("next");
                    std::fs::write(&next, serde_json::to_string(lease)?)?;
                    std::fs::rename(next, &self.path)?;
                }
                None => std::fs::remove_file(&self.path)?,
            }
            Ok(true)
        })
        .map_err(|error| self.error("written", &error))
    }

    fn is_abandoned(&self) -> bool {
        let mine = self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_some();
        // Not while somebody takes the lease: the attempt itself holds the lock for a moment.
        let is_free = || Ok(std::fs::File::create(self.path.with_extension("held"))?.try_lock().is_ok());
        !mine && self.locked(is_free).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct At(i64);

    #[async_trait]
    impl Clock for At {
        fn now(&self) -> DateTime<Utc> {
            DateTime::UNIX_EPOCH + chrono::Duration::seconds(self.0)
        }
        async fn sleep(&self, _duration: Duration) {}
    }

    fn wanted(run: &str) -> Lease {
        let now = DateTime::UNIX_EPOCH;
        Lease {
            run: run.to_owned(),
            holder: "ada".to_owned(),
            host: "engine-1".to_owned(),
            verb: "apply".to_owned(),
            since: now,
            renewed: now,
            fencing: 0,
        }
    }

    #[tokio::test]
    async fn a_second_writer_is_told_who_holds_the_stack() {
        let folder = tempfile::tempdir().unwrap();
        let first = FileLease::new(folder.path().join("lease"));
        let second = FileLease::new(folder.path().join("lease"));
        let guard = acquire(&first, wanted("one"), false, &At(0)).await.unwrap();
        let refused = acquire(&second, wanted("two"), false, &At(5)).await.unwrap_err().to_string();
        assert_eq!(
            refused,
            "apply of ada on engine-1 holds the stack since 1970-01-01 00:00:00 UTC (run one, renewed 5 s ago)"
        );
        guard.release(&first).await.unwrap();
        acquire(&second, wanted("two"), false, &At(6)).await.unwrap();
    }

    #[tokio::test]
    async fn a_dead_or_expired_holder_is_followed_and_a_live_one_only_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lease");
        let dead = FileLease::new(&path);
        acquire(&dead, wanted("dead"), false, &At(0)).await.unwrap();
        drop(dead);
        let live = FileLease::new(&path);
        acquire(&live, wanted("live"), false, &At(1)).await.unwrap();
        let other = FileLease::new(&path);
        assert!(acquire(&other, wanted("other"), false, &At(2)).await.is_err());
        assert!(acquire(&other, wanted("other"), false, &At(2 + VALID)).await.is_ok(), "expired");
        assert!(acquire(&live, wanted("live"), true, &At(70)).await.is_ok(), "asked for");
    }

    #[test]
    fn of_two_who_come_at_the_same_time_one_is_refused() {
        for round in 0..500 {
            let folder = tempfile::tempdir().unwrap();
            let barrier = std::sync::Barrier::new(2);
            let come = |run: &'static str| {
                let store = FileLease::new(folder.path().join("lease"));
                barrier.wait();
                let is_held = futures::executor::block_on(acquire(&store, wanted(run), false, &At(0))).is_ok();
                (is_held, store)
            };
            let (one, two) = std::thread::scope(|scope| {
                let (one, two) = (scope.spawn(|| come("one")), scope.spawn(|| come("two")));
                (one.join().unwrap(), two.join().unwrap())
            });
            assert!(one.0 != two.0, "round {round}: {} and {}", one.0, two.0);
        }
    }

    #[tokio::test]
    async fn a_lease_that_ran_out_unrenewed_is_not_written_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileLease::new(folder.path().join("lease"));
        let guard = acquire(&store, wanted("one"), false, &At(0)).await.unwrap();
        assert!(guard.may_write(At(VALID).now()));
        assert!(!guard.may_write(At(VALID + 1).now()));
        assert!(guard.is_lost());
        assert!(Guard::unshared().may_write(At(VALID * 1_000_000).now()));
    }

    #[tokio::test]
    async fn the_former_holder_notices_that_it_lost_the_stack() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileLease::new(folder.path().join("lease"));
        let guard = acquire(&store, wanted("one"), false, &At(0)).await.unwrap();
        let other = FileLease::new(folder.path().join("lease"));
        acquire(&other, wanted("two"), true, &At(1)).await.unwrap();
        guard.renew(&store, &At(2)).await;
        assert!(guard.is_lost());
    }
}
