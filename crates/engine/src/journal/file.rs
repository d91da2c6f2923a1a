//! The journal as a file: one JSON object per line, synced to disk before `record` returns.
//!
//! Syncing takes milliseconds, and steps that begin together would wait for each other's. So whoever
//! comes while the file is being synced is written together with all others who came, by one write
//! and one sync. Entries keep the order in which they came.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::{Entry, Journal, JournalError};

/// A journal in one file, made with its folder when first written.
pub struct FileJournal {
    path: PathBuf,
    /// Who writes, for all that wait.
    writer: tokio::sync::Mutex<()>,
    waiting: Mutex<Vec<Waiting>>,
    file: Arc<Mutex<Option<File>>>,
}

/// A line that is not on disk yet, and who is to be told.
struct Waiting {
    line: Vec<u8>,
    told: oneshot::Sender<io::Result<()>>,
}

impl FileJournal {
    /// The journal at `path`; nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            writer: tokio::sync::Mutex::default(),
            waiting: Mutex::default(),
            file: Arc::default(),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn error(&self, verb: &'static str, source: io::Error) -> JournalError {
        JournalError { path: self.path.display().to_string(), verb, source }
    }

    /// Writes what waits, and tells those who do. Goes on even if nobody polls for it any more.
    async fn write_waiting(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let (path, file) = (self.path.clone(), self.file.clone());
        let work = tokio::task::spawn_blocking(move || {
            let lines: Vec<u8> = waiting.iter().flat_map(|one| one.line.iter().copied()).collect();
            let written = append(&path, &file, &lines);
            for one in waiting {
                let told = written.as_ref().copied().map_err(|error| io::Error::new(error.kind(), error.to_string()));
                // Whoever does not wait any more need not know.
                let _gone = one.told.send(told).is_err();
            }
        });
        if let Err(error) = work.await
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Opens for appending. A last line that a crash tore is closed by a newline, so that the next
/// entry starts on a line of its own.
fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let torn = std::fs::read(path).is_ok_and(|bytes| bytes.last().is_some_and(|byte| *byte != b'\n'));
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    if torn {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Appends whole lines and makes them durable.
fn append(path: &Path, slot: &Mutex<Option<File>>, lines: &[u8]) -> io::Result<()> {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    let mut file = match slot.take() {
        Some(file) => file,
        None => open(path)?,
    };
    // A file that refused an entry is left closed: opening it again closes the torn line.
    file.write_all(lines)?;
    file.sync_data()?;
    *slot = Some(file);
    Ok(())
}

#[async_trait]
impl Journal for FileJournal {
    async fn record(&self, entry: &Entry) -> Result<(), JournalError> {
        let mut line = serde_json::to_vec(entry).map_err(|error| self.error("written", error.into()))?;
        line.push(b'\n');
        let (told, mut result) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(Waiting { line, told });
        let writer = self.writer.lock().await;
        let mut written = result.try_recv();
        if written.is_err() {
            // Not among what was written while this waited for its turn.
            self.write_waiting().await;
            written = result.await.map_err(|_| oneshot::error::TryRecvError::Closed);
        }
        drop(writer);
        written
            .unwrap_or_else(|_| Err(io::Error::other("the program ends")))
            .map_err(|error| self.error("written", error))
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        // Bytes, not text: a line may be torn in the middle of a character.
        match std::fs::read(&self.path) {
            Ok(bytes) => {
                Ok(bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(self.error("read", error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;
    use crate::journal::Record;

    fn entry(run: &str) -> Entry {
        Entry { at: chrono::DateTime::UNIX_EPOCH, run: run.to_owned(), record: Record::Ended { complete: true } }
    }

    fn runs(journal: &FileJournal) -> Vec<String> {
        journal.entries().unwrap().into_iter().map(|entry| entry.run).collect()
    }

    #[tokio::test]
    async fn a_torn_last_line_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/journal.jsonl");
        FileJournal::new(&path).record(&entry("one")).await.unwrap();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"at\":\"19");
        let mut bytes = text.into_bytes();
        // The first of the three bytes of a character.
        bytes.push(0xe2);
        std::fs::write(&path, bytes).unwrap();
        let journal = FileJournal::new(&path);
        journal.record(&entry("two")).await.unwrap();
        assert_eq!(runs(&journal), ["one", "two"]);
    }

    #[tokio::test]
    async fn entries_that_come_together_are_all_written_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let journal = FileJournal::new(folder.path().join("journal.jsonl"));
        let entries: Vec<Entry> = (0..200).map(|number| entry(&number.to_string())).collect();
        for written in join_all(entries.iter().map(|entry| journal.record(entry))).await {
            written.unwrap();
        }
        let expected: Vec<String> = (0..200).map(|number| number.to_string()).collect();
        assert_eq!(runs(&journal), expected);
    }

    #[tokio::test]
    async fn everybody_is_told_when_the_file_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        std::fs::create_dir(&path).unwrap();
        let journal = FileJournal::new(&path);
        let (one, two) = (entry("one"), entry("two"));
        let (first, second) = tokio::join!(journal.record(&one), journal.record(&two));
        assert!(first.is_err() && second.is_err());
        std::fs::remove_dir(&path).unwrap();
        journal.record(&entry("three")).await.unwrap();
        assert_eq!(runs(&journal), ["three"]);
    }
}
