//! A story with real rows: a task that follows changes is stopped, what is around it and it itself are
//! changed, and it goes on. It is told again and again in one project, each time with another number in
//! the stack and a kill at another call, with and without the stack's folder lost after it.
//!
//! Every point begins where the one before it ended, so that PostgreSQL starts once for each command and
//! no data is copied; one that fails is repeated in a project of its own by its `TOWPATH_POINT`.

use serde_json::Value;

use super::stage::{Accident, Pace, Played, play_at};
use super::{points, report, variable, world};
use crate::env::TestEnvironment;

const STACK: &str = "stacks/small.yaml";

/// The task and its connection tests do real work, which no speed makes shorter.
const PACE: Pace = Pace { speed: 250.0, has_data: true };

/// The number in the stack before the first point, and what stands before it there.
const FIRST: u32 = 10;
const NUMBERS: [&str; 2] = ["heartbeat_frequency: ", "CommitRate: 10"];

fn command(project: &TestEnvironment, arguments: &[&str], accident: &Accident) -> Played {
    play_at(PACE, project, arguments, accident)
}

#[track_caller]
fn expect(project: &TestEnvironment, arguments: &[&str]) -> Played {
    let ended = command(project, arguments, &Accident::default());
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.text);
    ended
}

/// The small project with its task replicating changes.
fn replicating() -> TestEnvironment {
    let small = TestEnvironment::small();
    let settings = format!("mode: full-load-and-cdc, settings: {{FullLoadSettings: {{{}{FIRST}}}}},", NUMBERS[1]);
    small.edit(STACK, "mode: full-load,", &settings);
    let source = "{url: {env: SOURCE_DATABASE_URL}}}";
    small.edit(STACK, source, &format!("{{url: {{env: SOURCE_DATABASE_URL}}}}, settings: {{{}{FIRST}}}}}", NUMBERS[0]));
    for arguments in [&["apply", "--yes"][..], &["upload"], &["migrate"]] {
        expect(&small, arguments);
    }
    small
}

/// Writes another number into the stack: a change of the source endpoint and of the task.
fn change(project: &TestEnvironment, number: u32) {
    for place in NUMBERS {
        project.edit(STACK, &format!("{place}{}", number - 1), &format!("{place}{number}"));
    }
}

/// The account's objects, without what they hold: which there are, and which of them the plan could not know.
fn objects(project: &TestEnvironment) -> Vec<String> {
    let name = |line: String| line.split(": ").next().unwrap_or_default().to_owned();
    world::world(project).into_iter().map(name).filter(|name| name.starts_with("dms ")).collect()
}

fn status(project: &TestEnvironment) -> String {
    let world: Value = serde_json::from_str(&project.read(".towpath-sandbox/world.json")).unwrap();
    let task = &world["dms"]["tasks"]["small-load"];
    let last = task["lifecycle"]["next"].as_array().and_then(|next| next.last()).map(|next| &next[1]);
    last.unwrap_or(&task["lifecycle"]["state"]).as_str().unwrap_or_default().to_owned()
}

/// The change with the accident, the same again unless that one ended well, and the plan after it.
fn tell(project: &TestEnvironment, number: u32, accident: &Accident) -> Result<bool, String> {
    let before = objects(project);
    change(project, number);
    let first = command(project, &["apply", "--yes"], accident);
    let mut told = format!("--- with {accident}, exit {:?}\n{}", first.code, first.text);
    if first.code.is_some() && first.code != Some(0) {
        return Err(format!("an end that no accident explains\n{told}"));
    }
    if first.code.is_none() {
        let again = command(project, &["apply", "--yes"], &Accident::default());
        told.push_str(&format!("--- again, exit {:?}\n{}", again.code, again.text));
        if again.code != Some(0) {
            return Err(format!("the next run fails\n{told}"));
        }
    }
    let plan = command(project, &["plan"], &Accident::default());
    if plan.code != Some(0) {
        return Err(format!("the next plan is not empty\n{}\n{told}", plan.text));
    }
    if status(project) != "running" {
        return Err(format!("the task is `{}`\n{told}", status(project)));
    }
    let after = objects(project);
    if before != after {
        return Err(format!("the account differs: {before:#?}\n{after:#?}\n{told}"));
    }
    Ok(first.code.is_none())
}

#[test]
fn a_task_that_is_stopped_for_a_change_goes_on_after_a_kill_at_every_call() {
    let project = replicating();
    let mut number = FIRST + 1;
    change(&project, number);
    let calls = expect(&project, &["apply", "--yes"]).calls;
    let changes: Vec<&str> = calls.iter().map(String::as_str).filter(|call| points::is_mutating(call)).collect();
    for call in
        ["dms:StopReplicationTask", "dms:ModifyEndpoint", "dms:ModifyReplicationTask", "dms:StartReplicationTask"]
    {
        assert!(changes.contains(&call), "{changes:?}");
    }
    let kills = points::at_calls(&calls);
    let lost: Vec<Accident> = kills.iter().map(Accident::and_lost).collect();
    let all: Vec<Accident> = match variable("TOWPATH_POINT") {
        Some(point) => vec![Accident::read(&point)],
        None if super::is_long() => kills.into_iter().chain(lost).collect(),
        None if super::only_lost() => lost,
        // What a call leaves when it took effect is what the next one finds when it does not.
        None => lost.into_iter().filter(|accident| accident.to_string().starts_with("crash-after")).collect(),
    };
    let (mut struck, mut wrong) = (0, Vec::new());
    for accident in &all {
        number += 1;
        match tell(&project, number, accident) {
            Ok(was_struck) => struck += usize::from(was_struck),
            Err(error) => wrong.push(format!("TOWPATH_POINT='{accident}': {error}")),
        }
    }
    report(&format!("a running task: {} points, {struck} of them struck, {} wrong", all.len(), wrong.len()));
    assert!(wrong.is_empty(), "{} of {} points:\n{}", wrong.len(), all.len(), wrong.join("\n\n"));
    assert!(struck * 100 >= all.len() * 90, "only {struck} of {} points were reached", all.len());
}

#[test]
fn the_slot_of_a_deleted_task_is_dropped_by_the_next_run_wherever_that_is() {
    let project = replicating();
    let text = project.read(STACK);
    let kept: Vec<&str> = text.lines().filter(|line| !line.contains("load")).collect();
    project.write(STACK, &kept.join("\n"));
    let accident = Accident::fault("crash-after@dms:DeleteReplicationTask#1").and_lost();
    let apply = ["apply", "--yes", "--allow-data-loss", "load"];
    let killed = command(&project, &apply, &accident);
    assert_eq!(killed.code, None, "{}", killed.text);
    let applied = expect(&project, &apply);
    assert!(applied.text.contains("dropped on source"), "{}", applied.text);
    let again = expect(&project, &apply);
    assert!(!again.text.contains("dropped on source"), "{}", again.text);
}
