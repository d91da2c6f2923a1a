//! The finished steps as a graph: their order, their critical path, and whether the world is
//! still as they were made for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::{Action, Plan, Reason, Step};
use crate::kind::{Object, Readiness, Seconds};
use crate::observe::Observation;
use crate::value::Value;

/// Puts the steps in an order in which they could be done one by one and numbers them so.
pub(super) fn renumber(mut steps: Vec<Step>) -> Vec<Step> {
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    let mut open: Vec<usize> = Vec::with_capacity(steps.len());
    for step in &mut steps {
        step.after.sort_unstable();
        step.after.dedup();
        open.push(step.after.len());
        for before in &step.after {
            followers[*before].push(step.id);
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> = (0..open.len()).filter(|id| open[*id] == 0).map(Reverse).collect();
    let mut placed: BTreeMap<usize, usize> = BTreeMap::new();
    while let Some(Reverse(id)) = ready.pop() {
        placed.insert(id, placed.len());
        for follower in &followers[id] {
            open[*follower] -= 1;
            if open[*follower] == 0 {
                ready.push(Reverse(*follower));
            }
        }
    }
    assert!(placed.len() == steps.len(), "the edges of a plan have no cycle");
    for step in &mut steps {
        step.id = placed[&step.id];
        step.after = step.after.iter().map(|id| placed[id]).collect();
        step.after.sort_unstable();
        if let Reason::For(id) = &mut step.reason {
            *id = placed[id];
        }
    }
    steps.sort_by_key(|step| step.id);
    steps
}

/// The longest way through the steps by typical seconds, and the time of the whole along the
/// longest ways by low, typical and high seconds.
pub fn critical_path(steps: &[Step]) -> (Seconds, Vec<usize>) {
    let ends = |of: &dyn Fn(&Seconds) -> f64| {
        let mut ends: Vec<f64> = Vec::with_capacity(steps.len());
        for step in steps {
            let start = step.after.iter().map(|id| ends[*id]).fold(0.0, f64::max);
            ends.push(start + of(&step.seconds));
        }
        ends
    };
    let longest = |ends: &[f64]| ends.iter().copied().fold(0.0, f64::max);
    let typical = ends(&|seconds| seconds.typical);
    let whole = Seconds {
        low: longest(&ends(&|seconds| seconds.low)),
        typical: longest(&typical),
        high: longest(&ends(&|seconds| seconds.high)),
    };
    let mut path = Vec::new();
    let mut at = (0..steps.len()).max_by(|left, right| typical[*left].total_cmp(&typical[*right]));
    while let Some(id) = at {
        path.push(id);
        at = steps[id].after.iter().copied().max_by(|left, right| typical[*left].total_cmp(&typical[*right]));
    }
    path.reverse();
    (whole, path)
}

/// A hash of what a plan relies on in a live object: its fields, tags and readiness, not its
/// changing figures.
pub fn fingerprint(object: &Object) -> String {
    use sha2::{Digest, Sha256};
    let seen = serde_json::json!({
        "identity": object.identity, "state": object.state, "tags": object.tags, "running": object.running,
    });
    hex::encode(&Sha256::digest(seen.to_string().as_bytes())[..16])
}

/// What has changed since a plan was made, in words, one line per object: the plan may be carried
/// out only when this is empty.
pub fn changed_since(plan: &Plan, observation: &Observation) -> Vec<String> {
    let mut changed = BTreeSet::new();
    let deletes = |identity: &str| {
        plan.steps.iter().any(|step| step.action == Action::Delete && step.identity.eq_ignore_ascii_case(identity))
    };
    for step in &plan.steps {
        let objects = observation.of(&step.address.kind);
        let live = objects.iter().find(|object| object.identity.eq_ignore_ascii_case(&step.identity));
        match (&step.fingerprint, live) {
            (Some(_), None) => {
                changed.insert(format!("{} `{}` is gone", step.address, step.identity));
            }
            (Some(wanted), Some(object)) if *wanted != fingerprint(object) => {
                changed.insert(format!("{} `{}` was changed", step.address, step.identity));
            }
            (None, _) if step.action == Action::Create => {
                let place = plan.place.stack.as_str();
                let in_the_way = objects.iter().find(|object| {
                    let named = object.outputs.get("name").and_then(Value::as_str).unwrap_or(&object.identity);
                    let is_it = object.owner() == Some((place, step.address.name.as_str()))
                        || object.identity.eq_ignore_ascii_case(&step.identity)
                        || (named.eq_ignore_ascii_case(&step.identity) && object.owner().is_none());
                    is_it && object.readiness != Readiness::Deleting && !deletes(&object.identity)
                });
                if in_the_way.is_some() {
                    changed.insert(format!("{} `{}` exists now", step.address, step.identity));
                }
            }
            _ => {}
        }
    }
    changed.into_iter().collect()
}
