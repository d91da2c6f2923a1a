//! The engine's events as lines, bars and JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use towpath_engine::event::{Event, EventKind};
use towpath_engine::fault::Fault;
use towpath_engine::plan::Action;

use super::output::{Output, Progress};
use super::style::{duration, plural};

/// What is said when a step of this action is over.
fn done(action: Action) -> &'static str {
    match action {
        Action::Create => "created",
        Action::Update => "changed",
        Action::Delete => "deleted",
        Action::Tag => "tagged",
        Action::Pause => "stopped",
        Action::Resume => "started again",
        Action::Wait => "ready",
    }
}

/// What is said while it goes on.
pub fn doing(action: Action) -> &'static str {
    match action {
        Action::Create => "creating",
        Action::Update => "changing",
        Action::Delete => "deleting",
        Action::Tag => "tagging",
        Action::Pause => "stopping",
        Action::Resume => "starting again",
        Action::Wait => "waiting for",
    }
}

/// What is said of a step that is neither done nor failed, and what becomes of it.
fn left(action: Action, status: &str, elapsed: f64, begun: bool, interrupted: bool) -> String {
    let (doing, after) = (doing(action), duration(elapsed));
    match (interrupted, begun) {
        (true, true) => {
            format!("interrupted while {doing} (`{status}`); it goes on in AWS, and the next run takes it up")
        }
        (true, false) => format!("interrupted before {doing} ({status}); the next run does it"),
        (false, true) => {
            format!("still `{status}` after {after}; it goes on in AWS, and the next run goes on waiting")
        }
        (false, false) => format!("still `{status}` after {after}, so {doing} has not begun; the next run does it"),
    }
}

/// Follows one run of the engine.
pub struct Run<'output> {
    output: &'output Output,
    waiting: Mutex<BTreeMap<usize, (Action, String)>>,
    retried: Mutex<BTreeSet<(usize, String, String)>>,
}

impl<'output> Run<'output> {
    /// A follower that writes to `output`.
    pub fn new(output: &'output Output) -> Self {
        Self { output, waiting: Mutex::default(), retried: Mutex::default() }
    }

    /// Shows one event.
    pub fn event(&self, event: &Event) {
        if self.output.progress == Progress::Json {
            self.output.json("run", &serde_json::to_value(event).unwrap_or_default());
            return;
        }
        let color = self.output.talk_color;
        let key = |step: usize| format!("step {step}");
        match &event.kind {
            EventKind::RunStarted { .. } | EventKind::RunFinished { .. } => {}
            EventKind::StepStarted { step, address, action, .. } => {
                self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(*step, (*action, String::new()));
                self.output.bar(&key(*step), &format!("{address} {}", doing(*action)), None);
            }
            EventKind::StepWaiting { step, address, status } => self.status(*step, &key(*step), address, status),
            EventKind::StepRetried { step, address, fault, .. } => self.retried(*step, address, fault),
            EventKind::StepSucceeded { step, address, action, elapsed, recovered } => {
                self.output.finish(&key(*step));
                let taken_up = if *recovered { ", taken up from an interrupted run" } else { "" };
                self.output.talk(&format!(
                    "  {} {address} {} {}",
                    color.green("✓"),
                    done(*action),
                    color.dim(&format!("({}{taken_up})", duration(*elapsed)))
                ));
            }
            EventKind::StepFailed { step, address, fault, .. } => {
                self.output.finish(&key(*step));
                self.output.alert(&format!("  {} {address}: {fault}", color.red("✗")));
            }
            EventKind::StepLeft { step, address, action, status, elapsed, begun, interrupted } => {
                self.output.finish(&key(*step));
                let mark = color.yellow(if *interrupted { "⊘" } else { "…" });
                let said = left(*action, status, *elapsed, *begun, *interrupted);
                self.output.alert(&format!("  {mark} {address} {said}"));
            }
            EventKind::StepBlocked { address, by, .. } => {
                self.output.alert(&format!("  {} {address} not tried, because {by} failed", color.yellow("⊘")));
            }
            EventKind::RunInterrupted { in_flight, lease_lost } => {
                let (why, again) = if *lease_lost {
                    ("The lease is lost", "Interrupt to leave at once.")
                } else {
                    ("Interrupted", "Interrupt again to leave at once.")
                };
                self.output.alert(&format!(
                    "{why}: nothing new is started; waiting for {} in flight. {again}",
                    plural(*in_flight, "call")
                ));
            }
        }
    }

    /// A repeated call, said once per step and code: what follows is the same again.
    fn retried(&self, step: usize, address: &towpath_engine::address::Address, fault: &Fault) {
        let first = self.retried.lock().unwrap_or_else(PoisonError::into_inner).insert((
            step,
            fault.operation.clone(),
            fault.code.clone(),
        ));
        if first {
            let mark = self.output.talk_color.yellow("↻");
            self.output.talk(&format!("  {mark} {address} is tried again until it works: {fault}"));
        }
    }

    /// A new status of a waiting step: the bar's text, or a line where there are no bars.
    fn status(&self, step: usize, key: &str, address: &towpath_engine::address::Address, status: &str) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((action, last)) = waiting.get_mut(&step) else { return };
        if last == status {
            return;
        }
        status.clone_into(last);
        self.output.bar(key, &format!("{address} {} ({status})", doing(*action)), None);
        if self.output.progress == Progress::Lines {
            self.output.talk(&format!("  … {address} {status}"));
        }
    }
}
