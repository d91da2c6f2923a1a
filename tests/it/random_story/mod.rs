//! Random stories through the real program: stacks, edits, other clients' changes, faults and kills,
//! against a model that knows only the stack files and asks the services by hand (`model`, `account`).
//!
//! A step of a story edits a stack file, runs towpath with something going wrong, lets somebody else
//! meddle with what is there, and then runs it quietly until it says that it is done. Then:
//!
//! - the plan is empty and the account is what the file says: no more, no less, no other;
//! - what had to stay the same object is the same, what had to be made again is another;
//! - what is not ours, and what another stack owns, is as it was;
//! - what was protected is there unless it was given up by name, and only that was asked for.
//!
//! At the end both stacks are destroyed and nothing of them is left. Where the author decides (which
//! resources, which edits, which faults) a seed decides; how the calls of one run interleave it does
//! not, so that a failure may need its seed told a few times.
//!
//! A usual test run tells a few stories; `TOWPATH_SWEEP=long cargo test --test it random_story --
//! --nocapture` some hundreds, which takes hours. A failure prints its story and the
//! `TOWPATH_SEED=n` that tells it again.

mod account;
mod answers;
mod found;
mod invent;
mod model;
mod outsider;
mod stack;
mod story;
mod trouble;

use std::collections::VecDeque;
use std::sync::Mutex;

use story::Story;

/// How many stories a usual test run tells, and how many a long one.
const SEEDS: (u64, u64) = (3, 400);

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn seeds() -> VecDeque<u64> {
    match variable("TOWPATH_SEED") {
        // One seed, or the first and the one after the last: `100-200`.
        Some(text) => {
            let (first, end) = text.split_once('-').unwrap_or((&text, ""));
            let first: u64 = first.parse().expect("TOWPATH_SEED is a number or two, `100-200`");
            (first..end.parse().unwrap_or(first + 1)).collect()
        }
        None if variable("TOWPATH_SWEEP").is_some_and(|size| size == "long") => (0..SEEDS.1).collect(),
        None => (0..SEEDS.0).collect(),
    }
}

#[expect(clippy::print_stderr, reason = "a sweep of hours says how far it is")]
fn report(line: &str) {
    eprintln!("{line}");
}

#[test]
fn random_stories_end_as_the_stacks_say() {
    let seeds = Mutex::new(seeds());
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(seed) = seeds.lock().unwrap().pop_front() else { break };
                    match Story::tell(seed) {
                        Ok(told) => report(&format!("seed {seed}: {told}")),
                        Err(error) => {
                            report(&format!("TOWPATH_SEED={seed}\n{error}"));
                            wrong.lock().unwrap().push(format!("TOWPATH_SEED={seed}"));
                        }
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "stories that end wrong: {}", wrong.join(", "));
}
