//! Who waits for whom: the order in which the chosen nodes are worked on.

use std::collections::{BTreeMap, BTreeSet};

use super::node::{Node, NodeKind};

/// For every chosen node, the chosen nodes it waits for.
pub(super) type Waits = BTreeMap<usize, BTreeSet<usize>>;

/// The nodes on a cycle of references, if there is one.
pub(super) fn cycle(nodes: &[Node]) -> Option<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    fn visit(at: usize, nodes: &[Node], marks: &mut [Mark], path: &mut Vec<usize>) -> bool {
        marks[at] = Mark::Open;
        path.push(at);
        for &next in &nodes[at].depends_on {
            match marks[next] {
                Mark::Open => {
                    let start = path.iter().position(|&one| one == next).unwrap_or(0);
                    path.drain(..start);
                    return true;
                }
                Mark::New => {
                    if visit(next, nodes, marks, path) {
                        return true;
                    }
                }
                Mark::Done => {}
            }
        }
        path.pop();
        marks[at] = Mark::Done;
        false
    }
    let mut marks = vec![Mark::New; nodes.len()];
    let mut path = Vec::new();
    (0..nodes.len()).any(|at| marks[at] == Mark::New && visit(at, nodes, &mut marks, &mut path)).then_some(path)
}

/// What each chosen node waits for, seen through nodes that are not chosen. With `tests_block`, a
/// model also waits for the tests of what it reads.
pub(super) fn waits(nodes: &[Node], chosen: &BTreeSet<usize>, tests_block: bool) -> Waits {
    let mut known: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for index in 0..nodes.len() {
        nearest(index, nodes, chosen, &mut known);
    }
    let mut out: Waits = chosen.iter().map(|index| (*index, known[index].clone())).collect();
    if tests_block {
        let tests: Vec<usize> = chosen.iter().copied().filter(|&index| nodes[index].kind == NodeKind::Test).collect();
        for &reader in chosen.iter().filter(|&&index| nodes[index].kind != NodeKind::Test) {
            let mut ancestors = BTreeSet::new();
            collect_ancestors(&nodes[reader].depends_on, nodes, &mut ancestors);
            // Only tests of what lies entirely above: one that also looks at a neighbour could
            // end in a circle.
            let above = |test: &&usize| {
                let subjects = &nodes[**test].depends_on;
                !subjects.is_empty() && subjects.iter().all(|subject| ancestors.contains(subject))
            };
            let above: Vec<usize> = tests.iter().filter(above).copied().collect();
            out.entry(reader).or_default().extend(above);
        }
    }
    out
}

fn nearest<'a>(
    index: usize,
    nodes: &[Node],
    chosen: &BTreeSet<usize>,
    known: &'a mut BTreeMap<usize, BTreeSet<usize>>,
) -> &'a BTreeSet<usize> {
    if !known.contains_key(&index) {
        let mut found = BTreeSet::new();
        for &parent in &nodes[index].depends_on {
            if chosen.contains(&parent) {
                found.insert(parent);
            } else {
                found.extend(nearest(parent, nodes, chosen, known).iter().copied());
            }
        }
        known.insert(index, found);
    }
    &known[&index]
}

fn collect_ancestors(from: &[usize], nodes: &[Node], out: &mut BTreeSet<usize>) {
    for &index in from {
        if out.insert(index) {
            collect_ancestors(&nodes[index].depends_on, nodes, out);
        }
    }
}

/// How many nodes must still be worked on one after the other once this one is done: those with
/// the longest way to go are started first.
pub(super) fn heights(waits: &Waits) -> BTreeMap<usize, usize> {
    let mut readers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (&reader, parents) in waits {
        for &parent in parents {
            readers.entry(parent).or_default().push(reader);
        }
    }
    let mut out = BTreeMap::new();
    for &index in waits.keys() {
        height(index, &readers, &mut out);
    }
    out
}

fn height(index: usize, readers: &BTreeMap<usize, Vec<usize>>, out: &mut BTreeMap<usize, usize>) -> usize {
    if let Some(&known) = out.get(&index) {
        return known;
    }
    let above = readers.get(&index).into_iter().flatten().map(|&reader| 1 + height(reader, readers, out)).max();
    let value = above.unwrap_or(0);
    out.insert(index, value);
    value
}
