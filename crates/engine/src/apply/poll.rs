//! Waiting without a call per waiter: one bulk list per kind serves everybody who waits for an
//! object of that kind.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;

use super::retry::Retry;
use crate::clock::Clock;
use crate::fault::Fault;
use crate::kind::{AnyKind, Object, Scope};

/// A point in the sequence of lists: the lists begun after it show what happened before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark(u64);

/// One kind's lists.
#[derive(Default)]
struct Slot {
    begun: AtomicU64,
    last: Mutex<Option<Seen>>,
}

struct Seen {
    number: u64,
    at: Duration,
    objects: Arc<Vec<Object>>,
}

/// The last list of each kind, shared by all steps of a run.
#[derive(Default)]
pub(super) struct Lists(std::sync::Mutex<HashMap<&'static str, Arc<Slot>>>);

impl Lists {
    fn slot(&self, kind: &dyn AnyKind) -> Arc<Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(kind.kind()).or_default().clone()
    }

    /// Now, in the sequence of the kind's lists.
    pub(super) fn mark(&self, kind: &dyn AnyKind) -> Mark {
        Mark(self.slot(kind).begun.load(Ordering::SeqCst))
    }

    /// A list of the kind that was begun after `mark` and at most `age` seconds ago. Whoever comes
    /// first makes the call; those who come meanwhile wait for it and take its result.
    pub(super) async fn read(
        &self,
        kind: &dyn AnyKind,
        mark: Mark,
        age: f64,
        clock: &dyn Clock,
        retry: &Retry<'_>,
    ) -> Result<Arc<Vec<Object>>, Fault> {
        let slot = self.slot(kind);
        let entered = slot.begun.load(Ordering::SeqCst);
        let mut last = slot.last.lock().await;
        if let Some(seen) = last.as_ref()
            && seen.number > mark.0
            && (seen.number > entered || retry.since(seen.at) <= age)
        {
            return Ok(seen.objects.clone());
        }
        let objects = retry
            .call(kind.kind(), || async {
                let number = slot.begun.fetch_add(1, Ordering::SeqCst) + 1;
                let at = clock.steady();
                kind.list(&Scope::All).await.map(|objects| (number, at, objects))
            })
            .await?;
        let (number, at, objects) = objects;
        let objects = Arc::new(objects);
        *last = Some(Seen { number, at, objects: objects.clone() });
        Ok(objects)
    }
}
