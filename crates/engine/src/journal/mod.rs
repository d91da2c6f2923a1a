//! The intent log of a stack: what a run meant to do, on disk before it does it.
//!
//! It is needed for nothing but saving calls and history; without it, names and tags find everything
//! again, at any moment of any run. It is not a state file and not a debug log.

mod file;
mod memory;
mod replay;

pub use file::FileJournal;
pub use memory::MemoryJournal;
pub use replay::{Replay, replay};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::fault::Fault;
use crate::plan::Action;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, on the engine's clock.
    pub at: DateTime<Utc>,
    /// The run.
    pub run: String,
    /// What.
    #[serde(flatten)]
    pub record: Record,
}

/// What a journal line says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// A run begins.
    Began {
        /// `apply` or `destroy`.
        verb: String,
        /// Hash of the stack.
        stack_hash: String,
    },
    /// What the run has seen of the stack and no earlier entry tells. The next plan of this machine reads these
    /// kinds even where the stack names them no more; without a journal it reads every kind.
    Seen {
        /// Kinds of which there are objects of the stack.
        kinds: Vec<String>,
        /// Runs that made them.
        runs: Vec<String>,
    },
    /// The run does what a saved plan says.
    Saved {
        /// The file's checksum.
        plan: String,
    },
    /// A mutating call is about to be made.
    Intended {
        /// Resource.
        address: Address,
        /// What.
        action: Action,
        /// Physical name or id.
        identity: String,
        /// The update group, for updates.
        group: Option<String>,
    },
    /// A create took effect: whatever becomes of the object, it is ours.
    Made {
        /// Resource.
        address: Address,
        /// Physical name or id, now known.
        identity: String,
    },
    /// It was made and the object is as wanted.
    Done {
        /// Resource.
        address: Address,
        /// What.
        action: Action,
        /// Physical name or id, now known.
        identity: String,
        /// Seconds it took, from which the next plan learns; `None` where they tell more about this machine than about
        /// AWS.
        elapsed: Option<f64>,
        /// Whether an earlier call or run had begun it: then the seconds teach nothing.
        #[serde(default)]
        recovered: bool,
    },
    /// It failed for good.
    Failed {
        /// Resource.
        address: Address,
        /// What.
        action: Action,
        /// Why.
        fault: Fault,
    },
    /// The run is over.
    Ended {
        /// Whether every step succeeded and the plan was about the whole stack.
        complete: bool,
    },
}

/// Why the journal could not be used.
#[derive(Debug, thiserror::Error)]
#[error("the journal `{path}` cannot be {verb}")]
pub struct JournalError {
    /// The file.
    pub path: String,
    /// `read` or `written`.
    pub verb: &'static str,
    /// The system's reason.
    #[source]
    pub source: std::io::Error,
}

/// Where entries go: a file for real runs, memory for tests.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends and makes durable; returns only then. Entries that come at the same time may be made
    /// durable together.
    async fn record(&self, entry: &Entry) -> Result<(), JournalError>;

    /// Everything recorded so far, oldest first. A torn last line is left out.
    fn entries(&self) -> Result<Vec<Entry>, JournalError>;
}
