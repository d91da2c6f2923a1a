//! `towpath up` and `down`: the whole way, on the club at scale 1 and on small data.

use crate::env::TestEnvironment;

/// The findings of the club's data at scale 1, as the original data set has them.
const FINDINGS: [(&str, u32); 6] = [
    ("not_null_stg_event_rsvps_membership_id", 102),
    ("not_null_stg_events_latitude", 8853),
    ("not_null_stg_events_longitude", 8853),
    ("relationships_stg_event_rsvps_event_id", 21),
    ("relationships_stg_event_rsvps_membership_id", 15294),
    ("relationships_stg_memberships_team_id", 313),
];

/// The listed findings of one section: name and count.
fn findings(stdout: &str, section: &str) -> Vec<(String, u32)> {
    let pattern = regex::Regex::new(r"^  (\S+): ([\d,]+) rows?$").unwrap();
    stdout
        .lines()
        .skip_while(|line| !line.starts_with(section))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| pattern.captures(line))
        .map(|found| (found[1].to_owned(), found[2].replace(',', "").parse().unwrap()))
        .collect()
}

#[track_caller]
fn assert_known(stdout: &str) {
    let found = findings(stdout, "Findings that are known");
    assert_eq!(found.len(), FINDINGS.len(), "{stdout}");
    for ((name, count), (wanted, wanted_count)) in found.iter().zip(FINDINGS) {
        assert!(name.starts_with(wanted) && *count == wanted_count, "{name}: {count}, not {wanted}: {wanted_count}");
    }
}

#[test]
fn the_club_is_built_once_found_again_and_torn_down() {
    let club = TestEnvironment::club();
    let built = club.expect(0, &["up", "--yes"]);
    assert_known(&built.stdout);
    for stage in ["Applying", "Uploading", "Migrating", "Validating", "Building the models"] {
        assert!(built.stderr.lines().any(|line| line == stage), "no stage {stage}:\n{}", built.stderr);
    }
    assert!(club.processes_left().is_empty(), "{:#?}", club.processes());

    let again = club.expect(0, &["up", "--yes"]);
    assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
    assert!(!again.stderr.contains("Building the models"), "{}", again.stderr);
    club.expect(0, &["plan"]);
    std::fs::remove_dir_all(club.path().join(".towpath")).unwrap();
    club.expect(0, &["plan"]);

    // A test of a column that is not there is no failure but an error.
    let errored = club.expect(1, &["models", "test", "--vars", "test_missing_column: true"]);
    assert_known(&errored.stdout);
    assert!(errored.stdout.contains("Errors (could not be run):"), "{}", errored.stdout);
    assert!(!errored.stdout.contains("Failed tests:"), "{}", errored.stdout);
    assert!(errored.stdout.contains("1 could not be run"), "{}", errored.stdout);

    // Without its severity a known finding fails.
    club.edit(
        "sql/models/staging/staging.yml",
        "{name: latitude, data_tests: [{not_null: {config: {severity: warn}}}]}",
        "{name: latitude, data_tests: [not_null]}",
    );
    let failed = club.expect(1, &["models", "test", "--select", "stg_events"]);
    let failures = findings(&failed.stdout, "Failed tests:");
    assert_eq!(failures, [("not_null_stg_events_latitude".to_owned(), 8853)], "{}", failed.stdout);

    let down = club.expect(0, &["down", "--yes"]);
    assert!(down.stdout.contains("Nothing is left"), "{}", down.stdout);
    club.expect(3, &["plan"]);
    assert!(club.processes_left().is_empty(), "{:#?}", club.processes());
}

#[test]
fn changed_data_is_loaded_again_and_reaches_the_models() {
    let small = TestEnvironment::small();
    small.expect(0, &["up", "--yes"]);
    small.write("data/trips.csv", "id,boat_id,miles\n1,1,10\n2,1,20\n3,2,5\n4,3,1\n5,3,2\n");
    let again = small.expect(0, &["up", "--yes"]);
    assert!(again.stderr.contains("boats unchanged, 3 rows"), "{}", again.stderr);
    assert!(again.stderr.contains("trips 5 rows loaded"), "{}", again.stderr);
    assert!(again.stderr.contains("Building the models"), "{}", again.stderr);
    small.expect(0, &["validate"]);
    let third = small.expect(0, &["up", "--yes"]);
    assert!(third.stderr.contains("nothing to do"), "{}", third.stderr);
}

#[test]
fn each_stage_can_be_run_by_itself() {
    let small = TestEnvironment::small();
    let early = small.expect(1, &["migrate"]);
    assert!(early.stderr.contains("hint: make it first: towpath apply"), "{}", early.stderr);
    small.expect(0, &["apply", "--yes"]);
    let status = small.expect(0, &["status"]);
    assert!(status.stdout.contains("dms/replication_instance instance") || status.stdout.contains("instance"));
    small.expect(0, &["upload"]);
    small.expect(0, &["migrate"]);
    small.expect(0, &["validate", "--level", "columns"]);
    let listed = small.expect(0, &["models", "ls"]);
    assert!(listed.stdout.contains("rpt_miles"), "{}", listed.stdout);
    small.expect(0, &["models", "compile"]);
    small.expect(0, &["models", "build"]);
    small.expect(0, &["destroy", "--yes"]);
    assert!(small.processes_left().is_empty(), "{:#?}", small.processes());
}

#[test]
fn without_consent_and_without_a_terminal_nothing_is_done() {
    let small = TestEnvironment::small();
    for command in ["apply", "up"] {
        let asked = small.expect(2, &[command]);
        assert!(asked.stderr.contains("nobody can be asked here; nothing was done"), "{}", asked.stderr);
    }
    small.expect(3, &["plan"]);
}

#[test]
fn every_line_of_json_is_an_event() {
    let small = TestEnvironment::small();
    let ran = small.expect(0, &["up", "--yes", "--json"]);
    let mut kinds = std::collections::BTreeSet::new();
    for line in ran.stdout.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(event["version"].is_number(), "{line}");
        kinds.insert(event["type"].as_str().unwrap().to_owned());
    }
    for kind in ["plan", "run", "upload", "migrate", "migrated", "models", "models_finished", "up"] {
        assert!(kinds.contains(kind), "no `{kind}` in {kinds:?}");
    }
    assert!(ran.stderr.is_empty(), "{}", ran.stderr);
}
