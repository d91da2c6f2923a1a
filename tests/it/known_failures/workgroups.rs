//! Workgroups: one parameter in one call, parameters that AWS adds, capacities whose order matters, what
//! a create refuses, and where a workgroup fits.

use serde_json::{Value, json};

use super::house::{STACK, apply, house, parameter, settled, until, workgroup};
use crate::aws::Aws;
use crate::env::{KILLED, TestEnvironment};

/// How many steps of the workgroup's groups the journal has begun.
fn intended(house: &TestEnvironment) -> Vec<String> {
    let journal = house.read(".towpath/house/journal.jsonl");
    let entries = journal.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let intended = entries.filter(|entry| entry["record"] == "intended");
    intended.filter_map(|entry| entry["group"].as_str().map(str::to_owned)).collect()
}

/// hashicorp/terraform-provider-aws#28108, #28255, aws-cli#7507: "Can't update multiple configurations
/// at the same time for workgroup".
#[test]
fn many_changes_are_one_call_each_and_a_kill_between_two_is_made_good() {
    let house = house();
    apply(&house);
    let aws = Aws::of(&house);
    let refused = json!({ "workgroupName": "house-workgroup", "baseCapacity": 16, "port": 5440 });
    let refused = aws.redshift("UpdateWorkgroup", &refused).unwrap_err();
    assert!(refused.contains("Can't update multiple configurations"), "{refused}");

    let changed = "base_rpu: 16, max_rpu: 64, port: 5440, public: true, parameters: {max_query_execution_time: 3600}";
    house.edit(STACK, "base_rpu: 8", changed);
    let plan = house.expect(3, &["plan"]);
    assert_eq!(plan.stdout.matches("redshift/workgroup.workgroup is changed in place").count(), 5, "{}", plan.stdout);
    house.expect(KILLED, &["apply", "--yes", "--fault", "crash-after@redshift-serverless:UpdateWorkgroup#2"]);
    let done = [
        workgroup(&aws)["baseCapacity"] == 16,
        workgroup(&aws)["maxCapacity"] == 64,
        workgroup(&aws)["port"] == 5440,
        workgroup(&aws)["publiclyAccessible"] == true,
        parameter(&aws, "max_query_execution_time") == "3600",
    ];
    assert_eq!(done.iter().filter(|done| **done).count(), 2, "two calls were made: {done:?}");
    apply(&house);
    let live = workgroup(&aws);
    assert_eq!((&live["baseCapacity"], &live["maxCapacity"]), (&json!(16), &json!(64)));
    assert_eq!((&live["port"], &live["publiclyAccessible"]), (&json!(5440), &json!(true)));
    assert_eq!(parameter(&aws, "max_query_execution_time"), "3600");
    let groups = intended(&house);
    for group in ["base_rpu", "max_rpu", "port", "public", "parameters"] {
        assert!(groups.iter().any(|intended| intended == group), "no intent of its own for {group}: {groups:?}");
    }
}

/// hashicorp/terraform-provider-aws#33916, #37474, #49939: AWS answers with all parameters and adds new
/// ones, which showed as differences for ever.
#[test]
fn parameters_that_nobody_declared_are_nobody_s_difference() {
    let house = house();
    house.edit(STACK, "base_rpu: 8", "base_rpu: 8, parameters: {datestyle: \"SQL, DMY\", auto_mv: false}");
    apply(&house);
    let aws = Aws::of(&house);
    let added = json!({ "workgroupName": "house-workgroup", "configParameters": [
        { "parameterKey": "enable_large_strings_opt_in", "parameterValue": "true" },
    ]});
    aws.redshift("UpdateWorkgroup", &added).unwrap();
    until(|| workgroup(&aws)["status"] == "AVAILABLE");
    settled(&house);
    let drifted = json!({ "workgroupName": "house-workgroup", "configParameters": [
        { "parameterKey": "auto_mv", "parameterValue": "true" },
    ]});
    aws.redshift("UpdateWorkgroup", &drifted).unwrap();
    until(|| workgroup(&aws)["status"] == "AVAILABLE");
    let plan = house.expect(3, &["plan"]);
    assert!(plan.stdout.contains("Plan: 0 to create, 1 to change, 0 to delete"), "{}", plan.stdout);
    apply(&house);
    assert_eq!((parameter(&aws, "auto_mv"), parameter(&aws, "datestyle")), (json!("false"), json!("SQL, DMY")));
    assert_eq!(parameter(&aws, "enable_large_strings_opt_in"), "true", "what others set stays");
}

/// hashicorp/terraform-provider-aws#36030, #36031, PR 36032: base above maximum between two calls, and a
/// second -1, are refused.
#[test]
fn capacities_rise_from_the_top_fall_from_the_bottom_and_lose_their_limit_once() {
    let house = house();
    let aws = Aws::of(&house);
    let mut before = "base_rpu: 8".to_owned();
    for (base, most) in [(8, 16), (64, 128), (8, 16), (32, -1), (16, -1), (64, 64)] {
        let after = format!("base_rpu: {base}, max_rpu: {most}");
        house.edit(STACK, &before, &after);
        apply(&house);
        let live = workgroup(&aws);
        let shown = if most == -1 { Value::Null } else { json!(most) };
        assert_eq!((&live["baseCapacity"], &live["maxCapacity"]), (&json!(base), &shown), "{after}");
        before = after;
    }
    // From a number to AWS's own choice and back.
    house.edit(STACK, &before, "price_performance: 75");
    apply(&house);
    assert_eq!(workgroup(&aws)["pricePerformanceTarget"]["level"], 75);
    house.edit(STACK, "price_performance: 75", "base_rpu: 8");
    apply(&house);
    assert_eq!(workgroup(&aws)["baseCapacity"], 8);
}

/// aws-cloudformation/cloudformation-coverage-roadmap#2454: `require_ssl=false` is refused when a
/// workgroup is made.
#[test]
fn what_a_create_refuses_is_set_right_after_it_in_the_same_apply() {
    let house = house();
    house.edit(STACK, "base_rpu: 8", "base_rpu: 8, parameters: {require_ssl: false, auto_mv: false}");
    let plan = house.expect(3, &["plan"]);
    assert!(plan.stdout.contains("Plan: 3 to create, 1 to change, 0 to delete"), "{}", plan.stdout);
    // Killed between the two, the next run makes the second.
    house.expect(KILLED, &["apply", "--yes", "--fault", "crash-before@redshift-serverless:UpdateWorkgroup"]);
    let aws = Aws::of(&house);
    assert_eq!((parameter(&aws, "require_ssl"), parameter(&aws, "auto_mv")), (json!("true"), json!("false")));
    apply(&house);
    assert_eq!(parameter(&aws, "require_ssl"), "false");
    house.expect(0, &["destroy", "--yes"]);
    apply(&house);
    assert_eq!(parameter(&aws, "require_ssl"), "false");
}

fn subnet(aws: &Aws, block: &str, zone: &str) -> String {
    let vpcs = aws.ec2("Action=DescribeVpcs");
    let vpc = vpcs.split("<vpcId>").nth(1).unwrap().split('<').next().unwrap();
    let query = format!("Action=CreateSubnet&VpcId={vpc}&CidrBlock={block}&AvailabilityZone=eu-north-1{zone}");
    let made = aws.ec2(&query.replace('/', "%2F"));
    made.split("<subnetId>").nth(1).unwrap().split('<').next().unwrap().to_owned()
}

/// hashicorp/terraform-provider-aws#28977, pulumi/pulumi-aws-native#614: what a workgroup wants of its
/// subnets was learnt from a refusal half-way through a run.
#[test]
fn subnets_that_do_not_do_are_told_before_anything_is_made() {
    let house = house();
    let aws = Aws::of(&house);
    let small: Vec<String> =
        [("172.31.200.0/28", "a"), ("172.31.200.16/28", "a"), ("172.31.200.32/28", "b"), ("172.31.200.48/28", "c")]
            .into_iter()
            .map(|(block, zone)| subnet(&aws, block, zone))
            .collect();
    let one_zone = format!("base_rpu: 8, subnets: [{}, {}]", small[0], small[1]);
    let routed =
        format!("base_rpu: 64, enhanced_vpc_routing: true, subnets: [{}, {}, {}]", small[0], small[2], small[3]);
    house.edit(STACK, "base_rpu: 8", &one_zone);
    for verb in [vec!["plan"], vec!["apply", "--yes"]] {
        let refused = house.expect(1, &verb);
        assert!(refused.stderr.contains("needs subnets in 2 availability zones"), "{}", refused.stderr);
    }
    house.edit(STACK, &one_zone, &routed);
    let refused = house.expect(1, &["apply", "--yes"]);
    assert!(refused.stderr.contains("has 11 free addresses; the workgroup needs 21"), "{}", refused.stderr);
    assert_eq!(aws.redshift("ListNamespaces", &json!({})).unwrap()["namespaces"], json!([]), "nothing was made");
    house.edit(STACK, &routed, &format!("base_rpu: 8, subnets: [{}, {}]", small[0], small[2]));
    apply(&house);
    assert_eq!(workgroup(&aws)["subnetIds"].as_array().map(Vec::len), Some(2));
}
