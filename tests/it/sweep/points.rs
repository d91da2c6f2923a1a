//! Where a story can be hit: at its calls and at its journal entries, by kills and by faults.

use std::collections::BTreeMap;

use super::stage::Accident;
use super::story::Story;

/// Faults of calls that change something.
const OF_CHANGES: [&str; 4] = ["throttle", "server-error", "cut-before", "cut-after"];

/// Faults of calls that make something.
const OF_CREATES: [&str; 3] = ["lost-tags", "slow-state", "failed-state"];

/// Faults of calls that read.
const OF_READS: [&str; 4] = ["throttle", "server-error", "cut-before", "stale-list"];

/// Whether a call changes something.
pub(super) fn is_mutating(call: &str) -> bool {
    let (service, operation) = call.split_once(':').unwrap_or_default();
    service != "sts" && !["Describe", "List", "Get", "Head"].iter().any(|verb| operation.starts_with(verb))
}

/// The calls with their numbers among those of the same operation, as faults name them.
fn numbered(calls: &[String]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut numbered = Vec::with_capacity(calls.len());
    for call in calls {
        let count = counts.entry(call).or_default();
        *count += 1;
        numbered.push(format!("{call}#{count}"));
    }
    numbered
}

/// A kill before and one after every call that changes something.
pub(super) fn at_calls(calls: &[String]) -> Vec<Accident> {
    let calls = numbered(calls).into_iter().filter(|call| is_mutating(call));
    calls.flat_map(|call| ["before", "after"].map(|when| Accident::fault(&format!("crash-{when}@{call}")))).collect()
}

/// Every kill at a call, and every kill at an entry.
pub(super) fn kills(story: &Story) -> (Vec<Accident>, Vec<Accident>) {
    let entries =
        (1..=story.entries).flat_map(|entry| ["before", "torn", "after"].map(|when| format!("{when}:{entry}")));
    (at_calls(&story.calls), entries.map(|entry| Accident::entry(&entry)).collect())
}

/// Every fault at every call: those of changes and creates, and those of reads.
pub(super) fn faults(story: &Story) -> (Vec<Accident>, Vec<Accident>) {
    let at = |call: &str, names: &[&str]| -> Vec<Accident> {
        names.iter().map(|name| Accident::fault(&format!("{name}@{call}"))).collect()
    };
    let (changes, reads): (Vec<String>, Vec<String>) =
        numbered(&story.calls).into_iter().partition(|call| is_mutating(call));
    let of_change = |call: &String| {
        let creates = call.contains(":Create");
        [at(call, &OF_CHANGES), at(call, if creates { &OF_CREATES } else { &[] })].concat()
    };
    (changes.iter().flat_map(of_change).collect(), reads.iter().flat_map(|call| at(call, &OF_READS)).collect())
}
