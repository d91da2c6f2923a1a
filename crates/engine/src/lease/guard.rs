//! What the holder of a lease has: it renews the lease, and knows before every change whether the
//! stack is still its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::{Lease, LeaseError, LeaseStore};
use crate::clock::Clock;

/// Seconds for which the store's word that the lease is ours is enough for the next change.
const CONFIRMED: f64 = 2.0;

/// Seconds between two questions to a store that does not answer.
const ASK_AGAIN: f64 = 1.0;

/// How many renewals a lease's length has room for.
const RENEWALS: f64 = 6.0;

/// Seconds that a new step waits before it is written, so that steps that begin together are one
/// write.
const SETTLE: f64 = 1.0;

/// A lease that is held. Renewal runs as long as [`Guard::renew`] is polled.
pub struct Guard {
    /// `None` in a world that nobody else can write to.
    store: Option<Arc<dyn LeaseStore>>,
    mine: Mutex<Mine>,
    /// One more lease that must be held, too.
    also: Option<Arc<Self>>,
    lost: AtomicBool,
    stepped: Notify,
}

/// What changes while a lease is held.
struct Mine {
    lease: Lease,
    /// The last renewal, by a clock that never goes back.
    renewed: Duration,
    /// When the store last said that the lease is ours.
    confirmed: Option<Duration>,
    /// What the run does now.
    step: String,
    /// Who has it now, as far as that was seen.
    taken: Option<Lease>,
    /// Why the store could not be used the last time, unless it could since.
    trouble: Option<String>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Guard")
            .field("lease", &self.mine().lease)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

impl Guard {
    /// The guard of a lease that is about to be written: its length counts from now, so that it is
    /// never believed in for longer than others do.
    pub(super) fn new(lease: Lease, store: Arc<dyn LeaseStore>, clock: &dyn Clock) -> Self {
        let step = lease.step.clone();
        let mine = Mine { lease, renewed: clock.steady(), confirmed: None, step, taken: None, trouble: None };
        Self {
            store: Some(store),
            mine: Mutex::new(mine),
            also: None,
            lost: AtomicBool::new(false),
            stepped: Notify::new(),
        }
    }

    /// A guard of a world that nobody else can write to: tests and dry runs.
    pub fn unshared() -> Self {
        let lease = Lease::wanted("", "", "", "");
        let mine =
            Mine { lease, renewed: Duration::ZERO, confirmed: None, step: String::new(), taken: None, trouble: None };
        Self { store: None, mine: Mutex::new(mine), also: None, lost: AtomicBool::new(false), stepped: Notify::new() }
    }

    /// The same, which is lost as soon as `other` is.
    #[must_use]
    pub fn beside(mut self, other: Arc<Self>) -> Self {
        self.also = Some(other);
        self
    }

    fn mine(&self) -> MutexGuard<'_, Mine> {
        self.mine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The runs that this one followed because their processes had ended.
    pub fn gone(&self) -> Vec<String> {
        self.mine().lease.gone.clone()
    }

    /// Says what the run does now: others read it in the lease.
    pub fn step(&self, step: &str) {
        if let Some(also) = &self.also {
            also.step(step);
        }
        let mut mine = self.mine();
        if mine.step != step {
            step.clone_into(&mut mine.step);
            self.stepped.notify_one();
        }
    }

    /// Gives up the stack at once: the run stops before its next call.
    pub fn lose(&self) {
        self.lost.store(true, Ordering::SeqCst);
        self.stepped.notify_one();
    }

    /// Whether somebody else has taken the stack over.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst) || self.also.as_ref().is_some_and(|also| also.is_lost())
    }

    /// Who has the stack now, if it was lost and somebody was seen.
    pub fn taken_by(&self) -> Option<Lease> {
        let own = self.mine().taken.clone();
        own.or_else(|| self.also.as_ref()?.taken_by())
    }

    /// Why the lease could not be renewed, when it could not be the last time.
    pub fn trouble(&self) -> Option<String> {
        let own = self.mine().trouble.clone();
        own.or_else(|| self.also.as_ref()?.trouble())
    }

    /// Whether the lease has not run out. One that ran out unrenewed, because the machine slept say,
    /// may be somebody else's by now, whether or not that was noticed: it counts as lost. Both the
    /// time of day and a clock that never goes back must find it fresh.
    pub fn is_valid(&self, clock: &dyn Clock) -> bool {
        if self.store.is_some() {
            let mine = self.mine();
            let valid = f64::from(mine.lease.valid);
            let steady = clock.steady().saturating_sub(mine.renewed).as_secs_f64();
            if steady > valid || mine.lease.age(clock.now()) > valid {
                self.lost.store(true, Ordering::SeqCst);
            }
        }
        !self.lost.load(Ordering::SeqCst) && self.also.as_ref().is_none_or(|also| also.is_valid(clock))
    }

    /// Whether a change may be made now: the store must have said so within two seconds. While it does
    /// not answer nothing is changed; that ends when it answers or the lease runs out.
    pub async fn may_change(&self, clock: &dyn Clock) -> bool {
        if let Some(also) = &self.also
            && !Box::pin(also.may_change(clock)).await
        {
            return false;
        }
        let Some(store) = &self.store else { return !self.is_lost() };
        loop {
            if !self.is_valid(clock) {
                return false;
            }
            let now = clock.steady();
            if self.mine().confirmed.is_some_and(|at| now.saturating_sub(at).as_secs_f64() < CONFIRMED) {
                return true;
            }
            match store.read().await {
                Ok(found) => {
                    if self.recognise(found.map(|(lease, _)| lease)) {
                        self.mine().confirmed = Some(now);
                    }
                }
                Err(error) => {
                    self.mine().trouble = Some(error.to_string());
                    clock.sleep(Duration::from_secs_f64(ASK_AGAIN * clock.scale())).await;
                }
            }
        }
    }

    /// Whether what is stored is ours; otherwise the stack is lost.
    fn recognise(&self, stored: Option<Lease>) -> bool {
        let mut mine = self.mine();
        mine.trouble = None;
        if stored.as_ref().is_some_and(|stored| stored.fencing == mine.lease.fencing && stored.run == mine.lease.run) {
            return true;
        }
        mine.taken = stored;
        self.lost.store(true, Ordering::SeqCst);
        false
    }

    /// Renews until the lease is lost; race it against the run. A new step is written sooner than the
    /// next renewal.
    pub async fn renew(&self, clock: &dyn Clock) {
        let Some(store) = &self.store else { return };
        let seconds = |seconds: f64| Duration::from_secs_f64(seconds * clock.scale());
        while !self.is_lost() {
            let interval = f64::from(self.mine().lease.valid) / RENEWALS;
            tokio::select! {
                () = clock.sleep(seconds(interval)) => {}
                () = self.stepped.notified() => clock.sleep(seconds(SETTLE.min(interval))).await,
            }
            if self.is_valid(clock)
                && let Err(error) = self.renew_once(store.as_ref(), clock).await
            {
                // No reason to stop before the lease runs out.
                self.mine().trouble = Some(error.to_string());
            }
        }
    }

    async fn renew_once(&self, store: &dyn LeaseStore, clock: &dyn Clock) -> Result<(), LeaseError> {
        let Some((stored, version)) = store.read().await? else {
            self.recognise(None);
            return Ok(());
        };
        if !self.recognise(Some(stored)) {
            return Ok(());
        }
        let (now, renewed) = (clock.now(), clock.steady());
        let next = {
            let mine = self.mine();
            Lease { renewed: now, step: mine.step.clone(), ..mine.lease.clone() }
        };
        // Whoever was first is seen at the next look.
        if store.replace(Some(&next), Some(&version)).await? {
            let mut mine = self.mine();
            mine.lease = next;
            mine.renewed = renewed;
            mine.confirmed = Some(renewed);
        }
        Ok(())
    }

    /// Gives the stack free, if it is still ours.
    pub async fn release(&self) -> Result<(), LeaseError> {
        let Some(store) = &self.store else { return Ok(()) };
        if let Some((stored, version)) = store.read().await?
            && self.recognise(Some(stored))
        {
            store.replace(None, Some(&version)).await?;
        }
        Ok(())
    }
}
