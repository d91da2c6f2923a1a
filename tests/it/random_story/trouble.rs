//! What goes wrong in a run: up to three faults of the sandbox's catalogue, or a kill.

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use crate::sweep::stage::Accident;

/// Calls that change something.
const CHANGES: [&str; 8] =
    ["*:Create*", "*:Create*", "*:Modify*", "*:Update*", "*:Delete*", "*:Put*", "*:*Tag*", "*:Authorize*"];

const READS: [&str; 3] = ["*:Describe*", "*:List*", "*:Get*"];

fn pick<'a>(random: &mut ChaCha8Rng, from: &[&'a str]) -> &'a str {
    from[random.random_range(0..from.len())]
}

/// Something that goes wrong in the next run, or nothing.
pub(super) fn invent(random: &mut ChaCha8Rng) -> Accident {
    match random.random_range(0..10) {
        0 => Accident::default(),
        1 | 2 => {
            let moment = pick(random, &["before", "torn", "after"]);
            let most = if random.random_bool(0.6) { 8 } else { 40 };
            Accident::entry(&format!("{moment}:{}", random.random_range(1..=most)))
        }
        _ => {
            let count = random.random_range(1..=3);
            Accident { faults: (0..count).map(|_| fault(random)).collect(), ..Accident::default() }
        }
    }
}

fn fault(random: &mut ChaCha8Rng) -> String {
    let effect = pick(
        random,
        &[
            "throttle",
            "server-error",
            "cut-before",
            "cut-after",
            "cut-after",
            "lost-tags",
            "stale-list",
            "stale-list",
            "slow-state",
            "failed-state",
            "crash-before",
            "crash-after",
            "crash-after",
        ],
    );
    let calls = match effect {
        "lost-tags" | "slow-state" | "failed-state" => "*:Create*",
        "stale-list" => pick(random, &READS),
        "cut-after" | "crash-before" | "crash-after" => pick(random, &CHANGES),
        _ if random.random_bool(0.5) => pick(random, &READS),
        _ => pick(random, &CHANGES),
    };
    // Later runs have little to do, and a fault behind their end does nothing.
    let most = if random.random_bool(0.6) { 3 } else { 12 };
    format!("{effect}@{calls}#{}", random.random_range(1..=most))
}
