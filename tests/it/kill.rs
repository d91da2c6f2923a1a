//! `towpath up` cut off in each of its stages: running it again ends in the same place, and no server
//! outlives the run.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::env::{Running, TestEnvironment};

/// The small project with so many trips that a stage can be hit in its middle.
fn busy() -> TestEnvironment {
    let small = TestEnvironment::small();
    let mut trips = String::from("id,boat_id,miles\n");
    for trip in 1..=60_000 {
        writeln!(trips, "{trip},{},{}", trip % 3 + 1, trip % 97).unwrap();
    }
    small.write("data/trips.csv", &trips);
    small
}

/// Kills `up` once `stage` has begun and `after` has passed.
fn kill_in(project: &TestEnvironment, stage: &str, after: Duration) {
    let mut run = Running::start(project, &["up", "--yes"]);
    assert!(run.wait_for(stage).is_some(), "the run ended before {stage:?}");
    std::thread::sleep(after);
    run.kill();
    let left = project.processes_left();
    assert!(left.is_empty(), "ten seconds after a kill in {stage:?} there are {left:#?}");
}

#[track_caller]
fn finish(project: &TestEnvironment) {
    project.expect(0, &["up", "--yes"]);
    project.expect(0, &["validate", "--level", "rows"]);
    let again = project.expect(0, &["up", "--yes"]);
    assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
    let tested = project.expect(0, &["models", "test"]);
    assert!(tested.stdout.contains("3 tests passed"), "{}", tested.stdout);
}

#[test]
fn a_kill_in_upload_and_migration_is_made_good_by_the_next_run() {
    let project = busy();
    // PostgreSQL is made and started meanwhile.
    for after in [0, 200, 500, 900] {
        kill_in(&project, "Uploading", Duration::from_millis(after));
    }
    kill_in(&project, "trips: 60,000 rows", Duration::from_millis(100));
    kill_in(&project, "Migrating", Duration::from_millis(100));
    kill_in(&project, "Starting the task", Duration::from_millis(300));
    finish(&project);
}

#[test]
fn a_kill_in_validation_and_models_is_made_good_by_the_next_run() {
    let project = busy();
    kill_in(&project, "Validating", Duration::ZERO);
    kill_in(&project, "Building the models", Duration::ZERO);
    kill_in(&project, "Building the models", Duration::from_millis(250));
    finish(&project);
}

#[test]
fn a_kill_leaves_no_half_of_the_sample_data() {
    let project = TestEnvironment::small();
    let mut run = project.spawn(&["sample", "club", "--scale", "100", "--out", "data/club"]);
    let aside = project.path().join("data/club.part/events.csv.part");
    let begun = Instant::now();
    while !aside.exists() {
        assert!(begun.elapsed() < Duration::from_mins(1) && run.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(!project.path().join("data/club").exists());
    project.expect(0, &["sample", "club", "--out", "data/club"]);
    assert!(project.path().join("data/club/events.csv").exists() && !project.path().join("data/club.part").exists());
}

#[test]
fn an_interrupt_in_each_stage_ends_with_130_and_the_next_run_goes_on() {
    let project = busy();
    for stage in ["Uploading", "Migrating", "Building the models"] {
        let mut run = Running::start(&project, &["up", "--yes"]);
        assert!(run.wait_for(stage).is_some(), "the run ended before {stage:?}");
        run.signal("INT");
        let (code, text) = run.end();
        assert_eq!(code, 130, "in {stage:?}: {text}");
        assert!(text.contains("hint: to go on: towpath up"), "{text}");
        assert!(project.processes_left().is_empty(), "{:#?}", project.processes());
    }
    finish(&project);
}
