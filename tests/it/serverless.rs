//! A pipeline whose task is a serverless replication: the whole way, and what is peculiar to it.

use serde_json::{Value, json};

use crate::aws::Aws;
use crate::env::TestEnvironment;

fn replication(aws: &Aws) -> Value {
    aws.dms("DescribeReplications", &json!({})).unwrap()["Replications"][0].clone()
}

#[test]
fn a_serverless_pipeline_goes_the_whole_way_and_is_torn_down() {
    let small = TestEnvironment::small();
    small.serverless("full-load", "");
    let plan = small.expect(3, &["plan"]).stdout;
    assert!(plan.contains("Price unknown") && plan.contains("1 to 4 capacity units"), "{plan}");
    let built = small.expect(0, &["up", "--yes", "--json"]);
    assert!(built.stdout.contains("provisioning_capacity"), "the way to running is told: {}", built.stdout);
    assert!(!built.stdout.contains("ConnectionTest"), "{}", built.stdout);
    small.expect(0, &["validate", "--level", "rows"]);
    assert!(small.expect(0, &["status"]).stdout.contains("dms/replication_config.load"));
    let again = small.expect(0, &["up", "--yes"]);
    assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
    // Changed data is loaded again.
    small.write("data/trips.csv", "id,boat_id,miles\n1,1,10\n2,1,20\n3,2,5\n4,3,1\n5,3,2\n");
    let again = small.expect(0, &["up", "--yes"]);
    assert!(again.stderr.contains("uploaded again since the last load: public.trips"), "{}", again.stderr);
    small.expect(0, &["validate"]);
    let down = small.expect(0, &["down", "--yes"]);
    assert!(down.stdout.contains("Nothing is left"), "{}", down.stdout);
    assert!(small.processes_left().is_empty(), "{:#?}", small.processes());
}

#[test]
fn a_position_that_was_lost_with_the_capacity_is_named_and_all_is_loaded_again_on_request() {
    let mut small = TestEnvironment::small();
    // 48 hours in five seconds.
    small.set("TOWPATH_SPEED", "30000");
    small.serverless("full-load-and-cdc", "");
    let aws = Aws::serve(&small, &["--postgres"]);
    small.set("TOWPATH_SANDBOX_PROXY", &aws.endpoint());
    for command in [&["apply", "--yes"][..], &["upload"], &["migrate"]] {
        small.expect(0, command);
    }
    let protected = small.expect(3, &["plan", "--replace", "load"]);
    assert!(protected.stdout.contains("the position of its change data capture"), "{}", protected.stdout);
    let arn = json!({"ReplicationConfigArn": replication(&aws)["ReplicationConfigArn"]});
    aws.dms("StopReplication", &arn).unwrap();
    while replication(&aws)["ProvisionData"]["ProvisionState"] != "deprovisioned" {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let lost = small.expect(1, &["migrate"]);
    assert!(lost.stderr.contains("towpath migrate --reload-all"), "{}", lost.stderr);
    assert_eq!(replication(&aws)["Status"], "stopped", "nothing was started");
    small.expect(0, &["migrate", "--reload-all"]);
    assert_eq!(replication(&aws)["Status"], "running");
    small.expect(0, &["validate", "--level", "rows"]);
    // Its slots go with it.
    let down = small.expect(0, &["down", "--yes", "--allow-data-loss", "load"]);
    assert!(down.stderr.contains("replication slot") && down.stdout.contains("Nothing is left"), "{}", down.stderr);
}

#[test]
fn single_tables_are_loaded_again_while_changes_go_on() {
    let mut small = TestEnvironment::small();
    small.serverless("full-load-and-cdc", "");
    let aws = Aws::serve(&small, &["--postgres"]);
    small.set("TOWPATH_SANDBOX_PROXY", &aws.endpoint());
    for command in [&["apply", "--yes"][..], &["upload"], &["migrate"]] {
        small.expect(0, command);
    }
    let sql = |text: &str| aws.sql("small-workgroup", "small", text);
    let rows = || {
        let count = |table: &str| sql(&format!("select count(*) from public.{table}"))[0][0].clone();
        (count("trips"), count("boats"), sql("select miles from public.trips where id = '1'")[0][0].clone())
    };
    let whole = rows();
    assert_eq!((&whole.0, &whole.1), (&json!(4), &json!(3)));
    sql("delete from public.trips where id = '4'");
    sql("update public.trips set miles = '0'");
    sql("delete from public.boats where id = '3'");
    let reloaded = small.expect(0, &["migrate", "--reload", "public.trips"]);
    assert!(reloaded.stderr.contains("Reloading 1 table while changes go on"), "{}", reloaded.stderr);
    assert_eq!(rows(), (whole.0, json!(2), whole.2), "that table has its rows again, and no other was touched");
    assert_eq!(replication(&aws)["Status"], "running");
    // DMS does that only while it runs.
    aws.dms("StopReplication", &json!({"ReplicationConfigArn": replication(&aws)["ReplicationConfigArn"]})).unwrap();
    let refused = small.expect(1, &["migrate", "--reload", "public.trips"]);
    assert!(refused.stderr.contains("reloads single tables only while a task is replicating"), "{}", refused.stderr);
}

#[test]
fn a_full_load_whose_statistics_are_lost_is_not_made_again() {
    let mut small = TestEnvironment::small();
    small.set("TOWPATH_SPEED", "100000");
    small.serverless("full-load", "");
    let aws = Aws::serve(&small, &["--postgres"]);
    small.set("TOWPATH_SANDBOX_PROXY", &aws.endpoint());
    for command in [&["apply", "--yes"][..], &["upload"], &["migrate"]] {
        small.expect(0, command);
    }
    while replication(&aws)["ProvisionData"]["ProvisionState"] != "deprovisioned" {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let again = small.expect(0, &["migrate"]);
    assert!(again.stderr.contains("Every table is there"), "{}", again.stderr);
    small.expect(0, &["plan"]);
}
