//! Waiting without a call per waiter: one bulk list per kind serves everybody who waits for an
//! object of that kind.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::Mutex;

use super::retry::Retry;
use crate::clock::Clock;
use crate::fault::Fault;
use crate::kind::{AnyKind, Object, Scope};

type Slot = Arc<Mutex<Option<(DateTime<Utc>, Arc<Vec<Object>>)>>>;

/// The last list of each kind, shared by all steps of a run.
#[derive(Default)]
pub(super) struct Lists(std::sync::Mutex<HashMap<&'static str, Slot>>);

impl Lists {
    /// A list of the kind that was begun after `since`. Whoever comes first makes the call; those
    /// who come meanwhile wait for it and take its result if it is new enough for them.
    pub(super) async fn read(
        &self,
        kind: &dyn AnyKind,
        since: DateTime<Utc>,
        clock: &dyn Clock,
        retry: &Retry<'_>,
    ) -> Result<Arc<Vec<Object>>, Fault> {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(kind.kind()).or_default().clone();
        let mut last = slot.lock().await;
        if let Some((begun, objects)) = last.as_ref()
            && *begun > since
        {
            return Ok(objects.clone());
        }
        let begun = clock.now();
        let objects = Arc::new(retry.call(kind.kind(), || kind.list(&Scope::All)).await?);
        *last = Some((begun, objects.clone()));
        Ok(objects)
    }
}
