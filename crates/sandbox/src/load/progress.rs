//! How far a run is: each table's state and rows, and what is asked of the run meanwhile.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};

use super::catalog::Table;
use super::ledger::Name;

/// The state of a table in a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// Waiting.
    BeforeLoad,
    /// Rows are being copied.
    Loading,
    /// All rows are there.
    Completed,
    /// It could not be loaded.
    Error,
    /// Its load was given up because the task was stopped.
    Cancelled,
    /// Its rows are being replaced by those of the source.
    Reloading,
}

impl State {
    /// The state in DMS's words.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::BeforeLoad => "Before load",
            Self::Loading => "Full load",
            Self::Completed => "Table completed",
            Self::Error => "Table error",
            Self::Cancelled => "Table cancelled",
            Self::Reloading => "Table is being reloaded",
        }
    }
}

/// How far one table is. Times are milliseconds since 1970.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TableProgress {
    /// Schema on the source.
    pub(crate) schema: String,
    /// Name on the source.
    pub(crate) table: String,
    /// Its state.
    pub(crate) state: State,
    /// Rows copied.
    pub(crate) rows: u64,
    /// Rows expected by the source's planner.
    pub(crate) estimate: u64,
    /// When its load began.
    pub(crate) started: Option<i64>,
    /// When its load ended.
    pub(crate) ended: Option<i64>,
    /// Whether this is a reload.
    pub(crate) reloaded: bool,
    /// Why it failed.
    pub(crate) error: Option<String>,
    /// Columns that did not arrive, with reasons.
    pub(crate) left_out: Vec<String>,
    /// Inserts that came after the load.
    #[serde(default)]
    pub(crate) inserts: u64,
    /// Updates that came after the load.
    #[serde(default)]
    pub(crate) updates: u64,
    /// Deletes that came after the load.
    #[serde(default)]
    pub(crate) deletes: u64,
}

impl TableProgress {
    /// A table of which nothing was done yet.
    pub(super) fn of(table: &Table, state: State) -> Self {
        Self {
            schema: table.schema.clone(),
            table: table.name.clone(),
            state,
            rows: 0,
            estimate: table.estimate,
            started: None,
            ended: None,
            reloaded: false,
            error: None,
            left_out: table.left_out.clone(),
            inserts: 0,
            updates: 0,
            deletes: 0,
        }
    }
}

/// The progress of a run, readable while it goes on.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    tables: Mutex<Vec<TableProgress>>,
    /// Tables that are to be loaded again, the next one first.
    reloads: Mutex<VecDeque<Name>>,
    loaded: OnceLock<i64>,
}

impl Progress {
    /// Says that the full load is over; the first time counts.
    pub(super) fn load_ended(&self, at: i64) {
        self.loaded.get_or_init(|| at);
    }

    /// A copy of every table's progress.
    pub(crate) fn tables(&self) -> Vec<TableProgress> {
        self.locked().clone()
    }

    /// When the full load ended, in milliseconds since 1970.
    pub(crate) fn loaded(&self) -> Option<i64> {
        self.loaded.get().copied()
    }

    /// Asks for tables to be loaded again; gives those that were taken. A table whose first load is not over waits.
    pub(crate) fn reload(&self, names: &[Name]) -> Vec<Name> {
        let mut taken = Vec::new();
        for name in names {
            if matches!(self.state(name), Some(State::Completed | State::Error)) {
                self.change_named(name, |table| table.state = State::Reloading);
                taken.push(name.clone());
            }
        }
        self.reloads.lock().unwrap_or_else(PoisonError::into_inner).extend(taken.iter().cloned());
        taken
    }

    /// The next table that is to be loaded again.
    pub(super) fn next_reload(&self) -> Option<Name> {
        self.reloads.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub(super) fn locked(&self) -> MutexGuard<'_, Vec<TableProgress>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change(&self, at: usize, change: impl FnOnce(&mut TableProgress)) {
        if let Some(table) = self.locked().get_mut(at) {
            change(table);
        }
    }

    pub(super) fn change_named(&self, name: &Name, change: impl FnOnce(&mut TableProgress)) {
        if let Some(table) = self.locked().iter_mut().find(|own| own.schema == name.0 && own.table == name.1) {
            change(table);
        }
    }

    /// The state of a table.
    pub(crate) fn state(&self, name: &Name) -> Option<State> {
        self.locked().iter().find(|own| own.schema == name.0 && own.table == name.1).map(|own| own.state)
    }

    pub(super) fn add(&self, table: TableProgress) {
        self.locked().push(table);
    }
}
