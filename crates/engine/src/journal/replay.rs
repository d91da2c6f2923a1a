//! What an old journal still has to tell: work left stopped, kinds touched, durations learned.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{Entry, Record};
use crate::address::Address;
use crate::plan::Action;

/// What the entries add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replay {
    /// Calls that were meant and whose outcome is not recorded.
    pub unsettled: Vec<(Address, Action, String)>,
    /// Work that was stopped for a change and not started again.
    pub must_resume: BTreeSet<Address>,
    /// The identity of every object that was made, or meant to be, and not deleted, for kinds that carry no tags.
    pub made: BTreeMap<Address, String>,
    /// Every kind that was ever touched, or held an object of the stack when all were looked at.
    pub kinds: BTreeSet<String>,
    /// Whether `kinds` is all there is to know. A journal that begins in the middle of a stack's
    /// life (its folder was lost, a run was killed right after) knows less.
    pub knows_all_kinds: bool,
    /// When saved plans were applied, in whole or in part, by their checksums.
    pub applied: BTreeMap<String, DateTime<Utc>>,
    /// Seconds by kind and action, oldest first.
    pub durations: BTreeMap<(String, Action), Vec<f64>>,
}

impl Replay {
    /// The median of what a call of this kind took, if it was ever seen.
    pub fn learned(&self, kind: &str, action: Action) -> Option<f64> {
        let mut seen = self.durations.get(&(kind.to_owned(), action))?.clone();
        seen.sort_by(f64::total_cmp);
        seen.get(seen.len() / 2).copied()
    }
}

/// Adds the entries up.
pub fn replay(entries: &[Entry]) -> Replay {
    let mut result = Replay::default();
    let mut open: BTreeMap<(Address, Action), String> = BTreeMap::new();
    let mut made: BTreeSet<&Address> = BTreeSet::new();
    for entry in entries {
        match &entry.record {
            Record::Began { .. } | Record::Ended { complete: false } => {}
            Record::Looked { kinds } => {
                result.kinds.extend(kinds.iter().cloned());
                result.knows_all_kinds = true;
            }
            Record::Saved { plan } => drop(result.applied.insert(plan.clone(), entry.at)),
            // A complete run has seen everything that runs before it had left open.
            Record::Ended { complete: true } => open.clear(),
            Record::Intended { address, action, identity, .. } => {
                result.kinds.insert(address.kind.clone());
                if *action == Action::Create {
                    result.made.insert(address.clone(), identity.clone());
                }
                made.remove(address);
                open.insert((address.clone(), *action), identity.clone());
            }
            Record::Done { address, action, identity, elapsed, recovered } => {
                open.remove(&(address.clone(), *action));
                match action {
                    Action::Create => drop(result.made.insert(address.clone(), identity.clone())),
                    // Another object may have been made for the resource before this one was deleted.
                    Action::Delete if result.made.get(address) == Some(identity) => drop(result.made.remove(address)),
                    _ => {}
                }
                if *action == Action::Wait {
                    open.remove(&(address.clone(), Action::Create));
                }
                if matches!(action, Action::Resume | Action::Delete) {
                    result.must_resume.remove(address);
                }
                if !recovered {
                    result.durations.entry((address.kind.clone(), *action)).or_default().push(*elapsed);
                }
            }
            Record::Made { address, identity } => {
                result.made.insert(address.clone(), identity.clone());
                made.insert(address);
            }
            // An object that was made and failed later is still to be settled.
            Record::Failed { address, action, .. } => {
                if *action != Action::Create || !made.contains(address) {
                    open.remove(&(address.clone(), *action));
                }
            }
            Record::MustResume { address, .. } => {
                result.must_resume.insert(address.clone());
            }
        }
    }
    result.unsettled = open.into_iter().map(|((address, action), identity)| (address, action, identity)).collect();
    result
}
