//! The journal in memory, for tests and dry runs.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{Entry, Journal, JournalError};

/// A journal that is gone with the process.
#[derive(Debug, Default)]
pub struct MemoryJournal(Mutex<Vec<Entry>>);

#[async_trait]
impl Journal for MemoryJournal {
    async fn record(&self, entry: &Entry) -> Result<(), JournalError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry.clone());
        Ok(())
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
