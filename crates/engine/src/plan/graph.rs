//! The finished steps as a graph: their order and their critical path.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::{Reason, Step};
use crate::kind::Seconds;

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
