//! The part of a plan that only settles what an earlier run left open: what is on its way is waited
//! for, what lost its tags gets them, what was stopped runs again. Nothing is made, changed or
//! deleted.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{critical_path, renumber};
use super::{Action, Plan, Reason};
use crate::address::Address;
use crate::journal::Replay;

/// Leaves of a plan the steps that settle what was left open: what is on its way and what was stopped, as
/// the world shows it, and tags of what the journal has left open. What the plan refuses does not matter
/// to that.
pub fn settle(plan: Plan, replay: &Replay) -> Plan {
    let open: BTreeSet<&Address> = replay.unsettled.iter().map(|(address, _, _)| address).collect();
    let mut steps = plan.steps;
    steps.retain(|step| match step.action {
        Action::Wait => true,
        Action::Resume => step.reason == Reason::Broken,
        Action::Tag => step.reason != Reason::Removed && open.contains(&step.address),
        _ => false,
    });
    let position: BTreeMap<usize, usize> = steps.iter().enumerate().map(|(at, step)| (step.id, at)).collect();
    for (at, step) in steps.iter_mut().enumerate() {
        step.after = step.after.iter().filter_map(|before| position.get(before).copied()).collect();
        step.id = at;
    }
    let steps = renumber(steps);
    let (seconds, critical_path) = critical_path(&steps);
    Plan { steps, seconds, critical_path, foreign: Vec::new(), refused: Vec::new(), notes: Vec::new(), ..plan }
}
