//! The journal as a file: one JSON object per line, synced to disk before `record` returns.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{Entry, Journal, JournalError};

/// A journal in one file, made with its folder when first written.
pub struct FileJournal {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

impl FileJournal {
    /// The journal at `path`; nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), file: Mutex::new(None) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn error(&self, verb: &'static str, source: std::io::Error) -> JournalError {
        JournalError { path: self.path.display().to_string(), verb, source }
    }

    /// Opens for appending. A last line that a crash tore is closed by a newline, so that the next
    /// entry starts on a line of its own.
    fn open(&self) -> std::io::Result<File> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let torn = std::fs::read(&self.path).is_ok_and(|bytes| bytes.last().is_some_and(|byte| *byte != b'\n'));
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        if torn {
            file.write_all(b"\n")?;
        }
        Ok(file)
    }
}

impl Journal for FileJournal {
    fn record(&self, entry: &Entry) -> Result<(), JournalError> {
        let mut line = serde_json::to_vec(entry).map_err(|error| self.error("written", error.into()))?;
        line.push(b'\n');
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match slot.take() {
            Some(file) => file,
            None => self.open().map_err(|error| self.error("written", error))?,
        };
        // A file that refused an entry is left closed: opening it again closes the torn line.
        let mut file = file;
        file.write_all(&line).and_then(|()| file.sync_data()).map_err(|error| self.error("written", error))?;
        *slot = Some(file);
        Ok(())
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        // Bytes, not text: a line may be torn in the middle of a character.
        match std::fs::read(&self.path) {
            Ok(bytes) => {
                Ok(bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(self.error("read", error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Record;

    fn entry(run: &str) -> Entry {
        Entry { at: chrono::DateTime::UNIX_EPOCH, run: run.to_owned(), record: Record::Ended { complete: true } }
    }

    #[test]
    fn a_torn_last_line_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/journal.jsonl");
        FileJournal::new(&path).record(&entry("one")).unwrap();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"at\":\"19");
        let mut bytes = text.into_bytes();
        // The first of the three bytes of a character.
        bytes.push(0xe2);
        std::fs::write(&path, bytes).unwrap();
        let journal = FileJournal::new(&path);
        journal.record(&entry("two")).unwrap();
        let runs: Vec<_> = journal.entries().unwrap().into_iter().map(|entry| entry.run).collect();
        assert_eq!(runs, ["one", "two"]);
    }
}
