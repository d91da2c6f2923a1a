//! What an old journal still has to tell: calls left open, kinds touched, durations learned.

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
    /// Every kind of which an object was seen or touched.
    pub kinds: BTreeSet<String>,
    /// Every run that wrote here, and every other whose objects such a run has seen.
    pub runs: BTreeSet<String>,
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
        result.runs.insert(entry.run.clone());
        match &entry.record {
            Record::Began { .. } | Record::Ended { complete: false } => {}
            Record::Seen { kinds, runs } => {
                result.kinds.extend(kinds.iter().cloned());
                result.runs.extend(runs.iter().cloned());
            }
            Record::Saved { plan } => drop(result.applied.insert(plan.clone(), entry.at)),
            // A complete run has seen everything that runs before it had left open.
            Record::Ended { complete: true } => open.clear(),
            Record::Intended { address, action, identity, .. } => {
                result.kinds.insert(address.kind.clone());
                made.remove(address);
                open.insert((address.clone(), *action), identity.clone());
            }
            Record::Done { address, action, elapsed, recovered, .. } => {
                open.remove(&(address.clone(), *action));
                if *action == Action::Wait {
                    open.remove(&(address.clone(), Action::Create));
                }
                if let Some(elapsed) = elapsed.filter(|_| !recovered) {
                    result.durations.entry((address.kind.clone(), *action)).or_default().push(elapsed);
                }
            }
            Record::Made { address, .. } => drop(made.insert(address)),
            // An object that was made and failed later is still to be settled.
            Record::Failed { address, action, .. } => {
                if *action != Action::Create || !made.contains(address) {
                    open.remove(&(address.clone(), *action));
                }
            }
        }
    }
    result.unsettled = open.into_iter().map(|((address, action), identity)| (address, action, identity)).collect();
    result
}
