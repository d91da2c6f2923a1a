//! A lease in a file, for the sandbox and for single machines; and the proof that a process of this
//! machine lives.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{Lease, LeaseError, LeaseStore, Version};
use crate::fault::FaultClass;

/// A lease in a file. Each holder keeps a lock of the operating system on a file of its own beside
/// it, named after its run. The lock ends with the process: a killed run is followed at once, and one
/// whose stack was taken over holds nothing that the next holder needs.
pub struct FileLease {
    path: PathBuf,
    held: Mutex<Option<(PathBuf, std::fs::File)>>,
}

impl FileLease {
    /// The lease at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), held: Mutex::new(None) }
    }

    fn error(&self, verb: &'static str, error: &std::io::Error) -> LeaseError {
        LeaseError::Store {
            place: format!("file `{}`", self.path.display()),
            verb,
            message: error.to_string(),
            class: FaultClass::Other,
        }
    }

    /// The file whose lock shows that a run lives.
    fn sign(&self, run: &str) -> PathBuf {
        self.path.with_extension(format!("{run}.held"))
    }

    /// Keeps the lock that shows others that this run lives.
    fn hold(&self, run: &str) -> std::io::Result<()> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let sign = self.sign(run);
        if held.as_ref().is_none_or(|(path, _)| *path != sign) {
            let file = std::fs::File::create(&sign)?;
            // Nobody else has this run's name, and who only looks does so under the other lock.
            file.try_lock().map_err(std::io::Error::from)?;
            *held = Some((sign, file));
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

    /// The stored lease and its text. A torn file is no lease: whoever wrote it was killed before it
    /// was sure of it. Read as bytes, because what a disk makes of a file need not be text.
    fn stored(&self) -> std::io::Result<Option<(Lease, Version)>> {
        match std::fs::read(&self.path) {
            Ok(bytes) => {
                let lease = serde_json::from_slice(&bytes).ok();
                Ok(lease.map(|lease| (lease, String::from_utf8_lossy(&bytes).into_owned())))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Removes a file that may be gone already.
fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[async_trait]
impl LeaseStore for FileLease {
    async fn read(&self) -> Result<Option<(Lease, Version)>, LeaseError> {
        self.stored().map_err(|error| self.error("read", &error))
    }

    async fn replace(&self, lease: Option<&Lease>, expected: Option<&Version>) -> Result<bool, LeaseError> {
        self.locked(|| {
            let stored = self.stored()?;
            if stored.as_ref().map(|(_, version)| version) != expected {
                return Ok(false);
            }
            if let Some(lease) = lease {
                // Held before it can be seen, or whoever sees it would think it abandoned.
                self.hold(&lease.run)?;
                let next = self.path.with_extension("next");
                std::fs::write(&next, serde_json::to_string(lease)?)?;
                std::fs::rename(next, &self.path)?;
            } else {
                remove(&self.path)?;
            }
            let before = stored.map(|(lease, _)| lease.run);
            if let Some(run) = before.filter(|run| lease.is_none_or(|lease| lease.run != *run)) {
                remove(&self.sign(&run))?;
            }
            Ok(true)
        })
        .map_err(|error| self.error("written", &error))
    }

    fn is_abandoned(&self, held: &Lease) -> bool {
        // A lock file that is gone, with a folder that somebody deletes say, tells nothing.
        let is_free = || Ok(std::fs::File::open(self.sign(&held.run))?.try_lock().is_ok());
        // Not while somebody takes the lease: the attempt itself holds the lock for a moment.
        self.locked(is_free).unwrap_or(false)
    }
}
