//! Sweeps through the real program: a SIGKILL, or a fault of the sandbox, at every point of a run;
//! then the same command again, without help, must end with 0, its next plan must be empty, and the
//! account must hold exactly what an undisturbed run leaves in it, seen from outside of towpath in
//! the sandbox's own state (`world`).
//!
//! The points of a run:
//!
//! - `crash-before@OPERATION#n` and `crash-after@OPERATION#n`, for every mutating call: the process is
//!   killed when the call arrives, before anything became of it, or when it took effect and is not
//!   yet answered. Other calls may be in flight.
//! - `before:n`, `torn:n` and `after:n`, for every entry of the journal: what lies between calls cannot
//!   be hit from outside, so the process kills itself there, by the same signal, when the hidden
//!   variable `TOWPATH_KILL_AT_ENTRY` says so (`src/cli/mortal.rs`).
//! - Each kill at a call once more, and then the stack's folder is lost (`POINT+lost`), as if the next run
//!   were on another machine: whatever the next run needs must be in the account.
//! - Two in a row: the run that recovers is killed as well.
//! - `FAULT@OPERATION#n` for every other fault of the sandbox's catalogue and every call, reads too.
//!   Then the run may also end well by itself, and what it leaves is looked at without another one.
//!
//! A test run takes a sample of the small stack: `TOWPATH_SEED=n` takes another one.
//! `TOWPATH_SWEEP=long cargo test --test it sweep -- --nocapture` takes every point of the small stack
//! and of the club, and says how many there were; that takes hours. `TOWPATH_SWEEP=lost` takes every
//! point of the small stack after which its folder is lost, and nothing else. A failure names its point:
//! `TOWPATH_POINT='crash-after@dms:CreateEndpoint#2' cargo test --test it sweep::STORY` repeats it.

mod points;
mod replicating;
pub(crate) mod stage;
mod story;
mod world;

use std::collections::VecDeque;
use std::sync::Mutex;

use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use stage::{Accident, Played, play};
use story::Story;

/// How many points a usual test run takes of a story: at calls, at calls with the folder lost, at entries,
/// and two in a row.
const SAMPLE: [usize; 4] = [3, 3, 2, 1];

/// How many faults a usual test run takes of a story: at changes and at reads.
const FAULTS: [usize; 2] = [5, 2];

/// How many more a usual run has at hand for points that turn out to be out of reach.
const SPARE: usize = 4;

/// How many pairs of kills a long run takes of a story.
const PAIRS: usize = 40;

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn is_long() -> bool {
    variable("TOWPATH_SWEEP").is_some_and(|size| size == "long")
}

/// Whether only points are taken after which the folder is lost, and all of them.
fn only_lost() -> bool {
    variable("TOWPATH_SWEEP").is_some_and(|size| size == "lost")
}

fn random(story: &Story) -> ChaCha8Rng {
    let seed: u64 = variable("TOWPATH_SEED").and_then(|seed| seed.parse().ok()).unwrap_or(1);
    ChaCha8Rng::seed_from_u64(seed + story.name.len() as u64)
}

/// Kills the story at its points: all of them in a long run, a sample otherwise.
fn kill_everywhere(story: &Story) {
    let mut random = random(story);
    let (mut at_calls, mut at_entries) = points::kills(story);
    let mut lost: Vec<Accident> = at_calls.iter().map(Accident::and_lost).collect();
    let [calls, losses, entries, pairs] = match (is_long(), only_lost()) {
        (true, _) => [at_calls.len(), lost.len(), at_entries.len(), PAIRS],
        (_, true) => [0, lost.len(), 0, 0],
        _ => SAMPLE,
    };
    at_calls.shuffle(&mut random);
    lost.shuffle(&mut random);
    at_entries.shuffle(&mut random);
    let all: Vec<&Accident> = at_calls.iter().chain(&lost).chain(&at_entries).collect();
    let mut pick = || all[random.random_range(0..all.len())].clone();
    let twice: Vec<Vec<Accident>> = (0..pairs).map(|_| vec![pick(), pick()]).collect();
    let spare = lost.split_off(losses).into_iter().take(SPARE).map(|accident| vec![accident]).collect();
    let once = at_calls.into_iter().take(calls).chain(lost).chain(at_entries.into_iter().take(entries));
    sweep(story, once.map(|accident| vec![accident]).chain(twice).collect(), spare, 90);
}

/// Lets every fault happen at every call of the story, or a sample of them.
fn fail_everywhere(story: &Story) {
    if only_lost() {
        return;
    }
    let mut random = random(story);
    let (mut at_changes, mut at_reads) = points::faults(story);
    let [changes, reads] = if is_long() { [at_changes.len(), at_reads.len()] } else { FAULTS };
    at_changes.shuffle(&mut random);
    at_reads.shuffle(&mut random);
    let spare = at_changes.split_off(changes).into_iter().take(SPARE).map(|accident| vec![accident]).collect();
    let points = at_changes.into_iter().chain(at_reads.into_iter().take(reads));
    // How often something is looked at while it is waited for differs from run to run.
    sweep(story, points.map(|accident| vec![accident]).collect(), spare, 60);
}

/// Tells the story once for each point and collects what went wrong. A point may lie behind the end of
/// the run, whose calls are not the same every time: then a spare one takes its place. Of a hundred
/// points at least `reached` must have struck in the end.
fn sweep(story: &Story, points: Vec<Vec<Accident>>, spare: Vec<Vec<Accident>>, reached: usize) {
    let (points, spare) = match variable("TOWPATH_POINT") {
        Some(point) => (vec![point.split(' ').map(Accident::read).collect()], Vec::new()),
        None => (points, spare),
    };
    let spare = Mutex::new(spare);
    let count = points.len();
    let queue = Mutex::new(VecDeque::from(points));
    let wrong = Mutex::new(Vec::new());
    let struck = Mutex::new(0_usize);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(point) = queue.lock().unwrap().pop_front() else { break };
                    match tell(story, &point) {
                        Ok(true) => *struck.lock().unwrap() += 1,
                        Ok(false) => queue.lock().unwrap().extend(spare.lock().unwrap().pop()),
                        Err(error) => {
                            let named: Vec<String> = point.iter().map(ToString::to_string).collect();
                            let error = format!("TOWPATH_POINT='{}': {error}", named.join(" "));
                            if is_long() {
                                report(&error);
                            }
                            wrong.lock().unwrap().push(error);
                        }
                    }
                }
            });
        }
    });
    let (wrong, struck) = (wrong.into_inner().unwrap(), struck.into_inner().unwrap());
    report(&format!("{}: {count} points, {struck} of them struck, {} wrong", story.name, wrong.len()));
    let shown = &wrong[..wrong.len().min(4)];
    assert!(wrong.is_empty(), "{}: {} of {count} points:\n{}", story.name, wrong.len(), shown.join("\n\n"));
    assert!(struck * 100 >= count * reached, "{}: only {struck} of {count} points were reached", story.name);
}

/// A line for whoever waits for a long sweep.
#[expect(clippy::print_stderr, reason = "a sweep of hours says how far it is")]
fn report(line: &str) {
    eprintln!("{line}");
}

/// One run for each accident, then, unless the last one ended well, one without: it must end well and
/// leave what an undisturbed one leaves. Whether the first accident happened; the run that recovers
/// may have less to do.
fn tell(story: &Story, point: &[Accident]) -> Result<bool, String> {
    let project = story.before.copy();
    let mut was_struck = None;
    let mut is_done = false;
    let mut told = String::new();
    for accident in point {
        let ended = play(&project, story.arguments, accident);
        was_struck.get_or_insert(ended.was_struck);
        is_done = ended.code == Some(0);
        told.push_str(&format!("--- with {accident}, exit {:?}\n{}", ended.code, ended.text));
        if !is_explained(&ended) {
            return Err(format!("an end that no accident explains\n{told}"));
        }
    }
    if !is_done {
        let next = play(&project, story.arguments, &Accident::default());
        told.push_str(&format!("--- again, exit {:?}\n{}", next.code, next.text));
        if next.code != Some(0) {
            return Err(format!("the next run fails\n{told}"));
        }
    }
    let plan = play(&project, story.plan, &Accident::default());
    if plan.code != Some(0) {
        return Err(format!("the next plan is not empty\n{}\n{told}", plan.text));
    }
    let difference = world::difference(&story.left, &world::world(&project));
    if !difference.is_empty() {
        return Err(format!("the account differs\n{}\n{told}", difference.join("\n")));
    }
    Ok(was_struck.unwrap_or(false))
}

/// Killed, done, or failed with an error that names its cause.
fn is_explained(ended: &Played) -> bool {
    match ended.code {
        None | Some(0) => true,
        Some(1 | 4) => ended.text.contains("error: ") && !ended.text.contains("panicked"),
        Some(_) => false,
    }
}

#[test]
fn a_create_whose_answer_was_lost_is_finished_by_the_same_run() {
    let story = story::applies(false).remove(0);
    for call in ["ec2:CreateSecurityGroup#1", "iam:CreateRole#*", "s3:CreateBucket#1", "s3:PutBucketVersioning#1"] {
        let project = story.before.copy();
        let ended = play(&project, story.arguments, &Accident::fault(&format!("cut-after@{call}")));
        assert_eq!(ended.code, Some(0), "{call}: {}", ended.text);
        assert!(ended.text.contains("taken up"), "{call}: {}", ended.text);
        let plan = play(&project, story.plan, &Accident::default());
        assert_eq!(plan.code, Some(0), "{call}: {}", plan.text);
        let difference = world::difference(&story.left, &world::world(&project));
        assert!(difference.is_empty(), "{call}: {}", difference.join("\n"));
    }
}

#[test]
fn an_apply_is_killed_at_every_point() {
    for story in story::applies(is_long()) {
        kill_everywhere(&story);
    }
}

#[test]
fn a_replacement_is_killed_at_every_point() {
    for story in story::replacements(is_long()) {
        kill_everywhere(&story);
    }
}

#[test]
fn a_destroy_is_killed_at_every_point() {
    for story in story::destroys(is_long()) {
        kill_everywhere(&story);
    }
}

#[test]
fn an_update_is_killed_at_every_point() {
    for story in story::updates(is_long()) {
        kill_everywhere(&story);
    }
}

#[test]
fn an_apply_survives_every_fault() {
    for story in story::applies(is_long()) {
        fail_everywhere(&story);
    }
}

#[test]
fn an_update_survives_every_fault() {
    for story in story::updates(is_long()) {
        fail_everywhere(&story);
    }
}

#[test]
fn a_destroy_survives_every_fault() {
    for story in story::destroys(is_long()) {
        fail_everywhere(&story);
    }
}
