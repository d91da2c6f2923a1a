//! What a run tells while it goes and what it leaves: data for whoever prints.

use std::sync::Arc;
use std::time::Duration;

use super::fault::Place;
use super::node::NodeKind;
use crate::database::Rows;

/// Where the events of a run go; called from several tasks at once.
pub type OnEvent = Arc<dyn Fn(ModelsEvent) + Send + Sync>;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum ModelsEvent {
    /// The run begins.
    RunStarted {
        /// How many nodes it will visit.
        nodes: usize,
        /// How many at a time.
        threads: usize,
    },
    /// Work on a node begins.
    NodeStarted {
        /// Its id, e.g. `model.club.stg_teams`.
        id: String,
        /// What it is.
        kind: NodeKind,
    },
    /// Work on a node has ended, or it was skipped.
    NodeFinished(Box<NodeResult>),
    /// A template said something for the user.
    Logged {
        /// The node's id, empty for hooks.
        id: String,
        /// What it said.
        message: String,
    },
}

/// How it went with one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Built, loaded or compiled.
    Succeeded,
    /// A test found nothing, or less than its threshold.
    Passed,
    /// A test found something that is only to be known.
    Warned,
    /// A test found mistakes.
    Failed,
    /// It could not be run.
    Errored,
    /// It was not tried.
    Skipped {
        /// The name of the node or source because of which.
        because: String,
    },
}

/// One node's outcome.
#[derive(Clone, Debug)]
pub struct NodeResult {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// Its file.
    pub place: Place,
    /// How it went.
    pub status: Status,
    /// What went wrong or was noteworthy, for people.
    pub message: Option<String>,
    /// The relation it made, quoted.
    pub relation: Option<String>,
    /// Rows written, where the database says.
    pub rows: Option<u64>,
    /// Mistakes found, for tests.
    pub failures: Option<u64>,
    /// Some of the mistakes, for tests that found any.
    pub sample: Option<Rows>,
    /// How long it took.
    pub elapsed: Duration,
}

/// The outcome of a whole command.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// One entry per node, in the order in which they ended.
    pub results: Vec<NodeResult>,
    /// What failed outside any node: hooks, schemas, the connection.
    pub problems: Vec<String>,
    /// Wall time.
    pub elapsed: Duration,
}

/// The verdict on a run, from which an exit code is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Everything went well.
    Passed,
    /// There are warnings.
    Warned,
    /// Tests found mistakes.
    Failed,
    /// Something could not be run.
    Errored,
}

impl Summary {
    /// The worst that happened.
    pub fn verdict(&self) -> Verdict {
        let of = |result: &NodeResult| match result.status {
            Status::Succeeded | Status::Passed | Status::Skipped { .. } => Verdict::Passed,
            Status::Warned => Verdict::Warned,
            Status::Failed => Verdict::Failed,
            Status::Errored => Verdict::Errored,
        };
        let worst = self.results.iter().map(of).max().unwrap_or(Verdict::Passed);
        if self.problems.is_empty() { worst } else { Verdict::Errored }
    }

    /// How many results a condition holds for.
    pub fn count(&self, condition: impl Fn(&Status) -> bool) -> usize {
        self.results.iter().filter(|result| condition(&result.status)).count()
    }

    /// The result of the node with this name.
    pub fn result(&self, name: &str) -> Option<&NodeResult> {
        self.results.iter().find(|result| result.name == name)
    }
}
