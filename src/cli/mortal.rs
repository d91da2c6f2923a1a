//! A journal at one of whose entries the program dies, for the sweeps of `tests/it/sweep`.
//!
//! What lies between two AWS calls cannot be hit from outside: `TOWPATH_KILL_AT_ENTRY=before:3` lets
//! the process kill itself with SIGKILL instead of writing its third entry, `torn:3` after half of
//! the line, `after:3` right after it is on disk. Without the variable, and on AWS, this is the
//! journal and nothing else. It adds no entry and changes none.

use std::io::Write as _;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use towpath_engine::journal::{Entry, FileJournal, Journal, JournalError};

/// The variable that names the entry.
pub(super) const VARIABLE: &str = "TOWPATH_KILL_AT_ENTRY";

/// Where in the writing of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Before,
    Torn,
    After,
}

/// The entry, counted from 1 over those that this process writes, and the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    moment: Moment,
    entry: u64,
}

impl FromStr for End {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (moment, entry) = text.split_once(':').ok_or(())?;
        let moment = match moment {
            "before" => Moment::Before,
            "torn" => Moment::Torn,
            "after" => Moment::After,
            _ => return Err(()),
        };
        entry.parse().map(|entry| Self { moment, entry }).map_err(|_| ())
    }
}

/// The stack's journal, and when this process dies.
pub(super) struct MortalJournal {
    journal: FileJournal,
    end: Option<End>,
    written: AtomicU64,
}

impl MortalJournal {
    /// The journal, with the end of this process if one is wanted.
    pub(super) fn new(journal: FileJournal, end: Option<End>) -> Self {
        Self { journal, end, written: AtomicU64::new(0) }
    }
}

#[async_trait]
impl Journal for MortalJournal {
    async fn record(&self, entry: &Entry) -> Result<(), JournalError> {
        let number = self.written.fetch_add(1, Ordering::SeqCst) + 1;
        let moment = self.end.filter(|end| end.entry == number).map(|end| end.moment);
        match moment {
            Some(Moment::Before) => die(),
            Some(Moment::Torn) => {
                self.tear(entry);
                die()
            }
            Some(Moment::After) => {
                self.journal.record(entry).await?;
                die()
            }
            None => self.journal.record(entry).await,
        }
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        self.journal.entries()
    }
}

impl MortalJournal {
    /// Writes the first half of the entry's line, as a kill in the middle of the write leaves it.
    fn tear(&self, entry: &Entry) {
        let line = serde_json::to_vec(entry).unwrap_or_default();
        let file = std::fs::OpenOptions::new().create(true).append(true).open(self.journal.path());
        // The process ends now in any case, and the sweep sees what is in the file.
        let _torn = file.and_then(|mut file| file.write_all(&line[..line.len() / 2]));
    }
}

/// Ends this process as `kill -9` does: nothing is flushed and no destructor runs.
fn die() -> ! {
    #[cfg(unix)]
    {
        use rustix::process::{Signal, getpid, kill_process};
        // Nobody is refused the killing of himself.
        let _killed = kill_process(getpid(), Signal::KILL);
    }
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_named_by_moment_and_entry() {
        assert_eq!("torn:12".parse(), Ok(End { moment: Moment::Torn, entry: 12 }));
        for text in ["", "12", "during:1", "before:", "after:x"] {
            assert_eq!(text.parse::<End>(), Err(()), "{text}");
        }
    }
}
