//! The journal in memory, for tests and dry runs.

use std::sync::{Mutex, PoisonError};

use super::{Entry, Journal, JournalError};

/// A journal that is gone with the process.
#[derive(Debug, Default)]
pub struct MemoryJournal(Mutex<Vec<Entry>>);

impl Journal for MemoryJournal {
    fn record(&self, entry: &Entry) -> Result<(), JournalError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry.clone());
        Ok(())
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
