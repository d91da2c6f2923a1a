//! `towpath plan`, `apply` and `destroy`: other hands in the same account, two runs at once,
//! and runs that are cut off at any moment.

use serde_json::{Value, json};

use crate::aws::Aws;
use crate::env::{Running, TestEnvironment};

const STACK: &str = "stacks/small.yaml";

/// Deletes the only replication task behind towpath's back and waits until it is gone.
fn delete_task(aws: &Aws) {
    let described = aws.dms("DescribeReplicationTasks", &json!({})).unwrap();
    let arn = described["ReplicationTasks"][0]["ReplicationTaskArn"].as_str().unwrap().to_owned();
    aws.dms("DeleteReplicationTask", &json!({ "ReplicationTaskArn": arn })).unwrap();
    until(|| {
        let tasks = aws.dms("DescribeReplicationTasks", &json!({}));
        tasks.map_or(0, |answer| answer["ReplicationTasks"].as_array().map_or(0, Vec::len)) == 0
    });
}

/// Waits until something is so.
#[track_caller]
fn until(is_so: impl Fn() -> bool) {
    for _ in 0..200 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("ten seconds were not enough");
}

/// How many objects of DMS there are, by kind, and how many security groups.
fn census(aws: &Aws) -> [usize; 5] {
    let count = |operation: &str, list: &str| {
        let answer = aws.dms(operation, &json!({})).unwrap_or(Value::Null);
        answer[list].as_array().map_or(0, Vec::len)
    };
    [
        count("DescribeEndpoints", "Endpoints"),
        count("DescribeReplicationInstances", "ReplicationInstances"),
        count("DescribeReplicationTasks", "ReplicationTasks"),
        count("DescribeReplicationSubnetGroups", "ReplicationSubnetGroups"),
        aws.ec2("Action=DescribeSecurityGroups").matches("<groupName>").count(),
    ]
}

/// What [`census`] finds when the small stack stands: the default security group is AWS's.
const STANDING: [usize; 5] = [2, 1, 1, 1, 2];

#[test]
fn what_another_client_deleted_is_planned_and_nothing_else() {
    let small = TestEnvironment::small();
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
    let aws = Aws::of(&small);
    assert_eq!(census(&aws), STANDING);
    delete_task(&aws);
    let plan = small.expect(3, &["plan"]);
    assert!(plan.stdout.contains("+ dms/replication_task.load is made"), "{}", plan.stdout);
    assert!(plan.stdout.contains("Plan: 1 to create, 0 to change, 0 to delete"), "{}", plan.stdout);
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
    assert_eq!(census(&aws), STANDING);
}

#[test]
fn of_two_applies_the_second_is_told_who_holds_the_stack() {
    let mut small = TestEnvironment::small();
    small.set("TOWPATH_SPEED", "60");
    small.set("USER", "ada");
    let mut first = Running::start(&small, &["apply", "--yes"]);
    first.wait_for("created").unwrap();
    let refused = small.expect(1, &["apply", "--yes"]);
    assert!(refused.stderr.contains("somebody else is changing this stack"), "{}", refused.stderr);
    let holder = format!("(process {}) holds the stack since", first.id());
    assert!(refused.stderr.contains(&holder) && refused.stderr.contains("apply of ada on "), "{}", refused.stderr);
    assert!(refused.stderr.contains("--take-over"), "{}", refused.stderr);
    // Looking is free, and a dead holder holds nothing.
    small.expect(3, &["plan"]);
    first.kill();
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
}

#[test]
fn an_apply_killed_at_any_moment_is_finished_by_the_next() {
    for (number, moment) in
        ["security_group", "subnets created", "instance creating", "workgroup created"].iter().enumerate()
    {
        let mut small = TestEnvironment::small();
        small.set("TOWPATH_SPEED", "300");
        let mut run = Running::start(&small, &["apply", "--yes"]);
        assert!(run.wait_for(moment).is_some(), "{moment} was not seen");
        std::thread::sleep(std::time::Duration::from_millis(7 * number as u64));
        run.kill();
        small.expect(0, &["apply", "--yes"]);
        small.expect(0, &["plan"]);
        assert_eq!(census(&Aws::of(&small)), STANDING, "killed at {moment}");
    }
}

#[test]
fn a_run_killed_at_one_speed_is_finished_at_another() {
    for (begun, finished) in [("20", "2000"), ("2000", "300")] {
        let mut small = TestEnvironment::small();
        small.set("TOWPATH_SPEED", begun);
        let mut run = Running::start(&small, &["apply", "--yes"]);
        run.wait_for("instance creating").unwrap();
        run.kill();
        small.set("TOWPATH_SPEED", finished);
        small.expect(0, &["apply", "--yes"]);
        small.expect(0, &["plan"]);
        assert_eq!(census(&Aws::of(&small)), STANDING);
    }
}

#[test]
fn a_destroy_killed_in_the_middle_is_finished_by_the_next() {
    let mut small = TestEnvironment::small();
    small.expect(0, &["apply", "--yes"]);
    small.set("TOWPATH_SPEED", "100");
    let mut run = Running::start(&small, &["destroy", "--yes"]);
    run.wait_for("deleted").unwrap();
    run.kill();
    let down = small.expect(0, &["down", "--yes"]);
    assert!(down.stdout.contains("Nothing is left of this stack."), "{}", down.stdout);
    assert_eq!(census(&Aws::of(&small)), [0, 0, 0, 0, 1]);
}

#[test]
fn an_interrupt_lets_calls_in_flight_finish_and_says_how_to_go_on() {
    let mut small = TestEnvironment::small();
    small.set("TOWPATH_SPEED", "100");
    let mut run = Running::start(&small, &["apply", "--yes"]);
    run.wait_for("created").unwrap();
    run.signal("INT");
    let (code, text) = run.end();
    assert_eq!(code, 130, "{text}");
    assert!(text.contains("interrupted: ") && text.contains("hint: to go on: towpath apply\n"), "{text}");
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
    assert_eq!(census(&Aws::of(&small)), STANDING);
}

#[test]
fn what_an_interrupt_finds_waiting_is_shown_as_interrupted_and_never_as_failed() {
    let mut small = TestEnvironment::small();
    // So slow that the instance is still being made when the signal comes.
    small.set("TOWPATH_SPEED", "20");
    let mut run = Running::start(&small, &["apply", "--yes"]);
    run.wait_for("dms/replication_instance.instance creating").unwrap();
    run.signal("INT");
    let (code, text) = run.end();
    assert_eq!(code, 130, "{text}");
    // A call that is tried again says that it failed before.
    let told: Vec<&str> = text.lines().filter(|line| !line.contains('↻')).collect();
    assert!(!told.iter().any(|line| ["failed", "✗", "Busy"].iter().any(|word| line.contains(word))), "{text}");
    let instance = "⊘ dms/replication_instance.instance interrupted while creating (`creating`); it goes on in AWS, and \
                    the next run takes it up";
    assert!(text.contains(instance), "{text}");
    assert!(text.contains("not started") && text.contains("still in progress in AWS"), "{text}");
    small.set("TOWPATH_SPEED", "2000");
    small.expect(0, &["apply", "--yes"]);
    assert_eq!(census(&Aws::of(&small)), STANDING);
}

#[test]
fn a_run_at_a_speed_that_tells_nothing_of_aws_teaches_nothing() {
    let mut small = TestEnvironment::small();
    small.set("TOWPATH_SPEED", "100000");
    small.expect(0, &["apply", "--yes"]);
    let journal = small.read(".towpath/small/journal.jsonl");
    assert!(journal.contains(r#""record":"done""#) && journal.contains(r#""elapsed":null"#), "{journal}");
    let plan = small.expect(3, &["plan", "--json", "--replace", "instance", "--replace", "workgroup"]);
    let plan: Value =
        serde_json::from_str(plan.stdout.lines().find(|line| line.contains(r#""type":"plan""#)).unwrap()).unwrap();
    let steps = plan["plan"]["steps"].as_array().unwrap();
    assert!(steps.len() > 3, "{plan}");
    for step in steps {
        assert!(step["seconds"]["typical"].as_f64().unwrap() < 3600.0, "{step}");
    }
}

#[test]
fn what_is_taken_out_of_the_file_is_deleted_and_nothing_else() {
    let small = TestEnvironment::small();
    small.expect(0, &["apply", "--yes"]);
    let text = small.read(STACK);
    let kept: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("  load:") && !line.contains("task: load") && !line.contains("level: rows"))
        .collect();
    small.write(STACK, &kept.join("\n"));
    let plan = small.expect(3, &["plan"]);
    assert!(
        plan.stdout.contains("- dms/replication_task.load is deleted, because the stack no longer declares it"),
        "{}",
        plan.stdout
    );
    assert!(plan.stdout.contains("Plan: 0 to create, 0 to change, 1 to delete"), "{}", plan.stdout);
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
    assert_eq!(census(&Aws::of(&small)), [2, 1, 0, 1, 2]);
}

#[test]
fn what_is_protected_is_lost_only_by_name() {
    let small = TestEnvironment::small();
    small.edit(STACK, "roles: [access], protect: false", "roles: [access], protect: true");
    small.expect(0, &["apply", "--yes"]);
    let refused = small.expect(1, &["destroy", "--yes"]);
    assert!(refused.stderr.contains("the plan is refused; nothing was done"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--allow-data-loss warehouse"), "{}", refused.stderr);
    small.expect(0, &["plan"]);
    small.expect(0, &["destroy", "--yes", "--allow-data-loss", "warehouse"]);
    small.expect(3, &["plan"]);
}

#[test]
fn what_somebody_else_made_is_refused_by_name() {
    let small = TestEnvironment::small();
    let aws = Aws::of(&small);
    let body =
        "<CreateBucketConfiguration><LocationConstraint>eu-north-1</LocationConstraint></CreateBucketConfiguration>";
    aws.bucket("PUT", "dms-small-staging", body).unwrap();
    let refused = small.expect(1, &["apply", "--yes"]);
    assert!(
        refused.stderr.contains("s3/bucket.staging: `dms-small-staging` exists and is not this stack's"),
        "{}",
        refused.stderr
    );
    assert_eq!(census(&aws), [0, 0, 0, 0, 1], "nothing was done");
    aws.bucket("DELETE", "dms-small-staging", "").unwrap();
    small.expect(0, &["apply", "--yes"]);
}

#[test]
fn a_source_that_moves_takes_the_providers_of_a_migration_project_along() {
    let mut environment = TestEnvironment::empty();
    let source = |host: &str| format!("postgres://ann:first@{host}:5432/boats");
    environment.write(
        "stacks/move.yaml",
        "stack: move
resources:
  vpc_role: {kind: iam/role, preset: dms-vpc-role}
  subnets: {kind: dms/subnet_group, subnets: default, depends_on: [vpc_role]}
  source: {kind: dms/endpoint, direction: source, engine: postgres, connection: {url: {env: SOURCE_DATABASE_URL}}}
  warehouse: {kind: redshift/namespace, database: boats, admin: managed, protect: false}
  workgroup: {kind: redshift/workgroup, namespace: warehouse, base_rpu: 8}
  here: {kind: dms/data_provider, engine: postgres, from: source}
  there: {kind: dms/data_provider, engine: redshift, from: workgroup}
  profile: {kind: dms/instance_profile, subnet_group: subnets}
  project: {kind: dms/migration_project, source: here, target: there, instance_profile: profile}
",
    );
    environment.set("SOURCE_DATABASE_URL", &source("db1.example.com"));
    let first = environment.expect(0, &["apply", "--yes"]);
    assert!(first.stdout.contains("from    {host: move-workgroup.111122223333.eu-north-"), "{}", first.stdout);

    environment.set("SOURCE_DATABASE_URL", &source("db2.example.com"));
    let moved = environment.expect(0, &["apply", "--yes"]);
    for wanted in [
        "`here` cannot be changed while this refers to it",
        "from.host  db1.example.com → db2.example.com",
        "1 to replace",
    ] {
        assert!(moved.stdout.contains(wanted), "no {wanted:?} in:\n{}", moved.stdout);
    }
    environment.expect(0, &["plan"]);

    // The warehouse made again is where it was: nobody who knows its address is touched.
    environment.edit("stacks/move.yaml", "admin: managed", "admin: managed, name: move-other");
    let again = environment.expect(0, &["apply", "--yes"]);
    assert!(again.stdout.contains("0 to change, 0 to delete, 2 to replace"), "{}", again.stdout);
    environment.expect(0, &["plan"]);
    environment.edit("stacks/move.yaml", "database: boats", "database: ships");
    environment.edit("stacks/move.yaml", "subnet_group: subnets}", "subnet_group: subnets, description: new}");
    let renamed = environment.expect(0, &["apply", "--yes"]);
    assert!(renamed.stdout.contains("2 to change, 0 to delete, 3 to replace"), "{}", renamed.stdout);
    environment.expect(0, &["plan"]);
    environment.expect(0, &["destroy", "--yes"]);
}

#[test]
fn two_objects_change_names() {
    let environment = TestEnvironment::empty();
    let write = |one: &str, two: &str| {
        let bucket = |name: &str, rest: &str| match rest {
            "" => String::new(),
            rest => format!("  {name}: {{kind: s3/bucket, protect: false{}}}\n", rest.trim_start_matches('-')),
        };
        environment
            .write("stacks/x.yaml", &format!("stack: x\nresources:\n{}{}", bucket("one", one), bucket("two", two)));
    };
    write(", name: dms-x-one", ", name: dms-x-two");
    environment.expect(0, &["apply", "--yes"]);
    write(", name: dms-x-two", ", name: dms-x-one");
    environment.expect(0, &["apply", "--yes"]);
    environment.expect(0, &["plan"]);
    // A name that is not declared is not compared, and stays taken.
    write("-", "-");
    environment.expect(0, &["plan"]);
    // One takes the name of another that goes.
    write(", name: dms-x-one", "");
    environment.expect(0, &["apply", "--yes", "--allow-data-loss", "two"]);
    environment.expect(0, &["plan"]);
    write(", name: dms-x-one", "-");
    let made = environment.expect(0, &["apply", "--yes"]).stdout;
    assert!(made.contains("+ s3/bucket.two is made  dms-x-two"), "{made}");
    write("", ", name: dms-x-one");
    environment.expect(0, &["apply", "--yes", "--allow-data-loss", "one"]);
    write("-", "-");
    let refused = environment.expect(1, &["apply", "--yes"]);
    let told = "s3/bucket.one: `dms-x-one` is the object of `two`; give one of the two another `name`";
    assert!(refused.stderr.contains(told), "{}", refused.stderr);
    assert!(!refused.stderr.contains("--allow-data-loss"), "{}", refused.stderr);
    write("", "");
    environment.write("stacks/x.yaml", "stack: x\nresources: {}\n");
    environment.expect(0, &["destroy", "--yes", "--allow-data-loss", "one", "--allow-data-loss", "two"]);
}

/// A destroy that lasts, and somebody who takes the name of a bucket meanwhile: what is in it is not ours.
#[test]
fn what_has_become_somebody_elses_since_the_plan_is_left_alone() {
    let mut environment = TestEnvironment::empty();
    environment.write(
        "stacks/x.yaml",
        "stack: x
resources:
  vpc_role: {kind: iam/role, preset: dms-vpc-role}
  staging: {kind: s3/bucket, name: dms-x-staging, protect: false}
  instance: {kind: dms/replication_instance, class: dms.t3.micro, depends_on: [vpc_role, staging]}
",
    );
    environment.set("TOWPATH_SPEED", "50");
    environment.expect(0, &["apply", "--yes"]);
    let aws = Aws::of(&environment);
    let mut running = Running::start(&environment, &["destroy", "--yes"]);
    running.wait_for("instance deleting").unwrap();
    aws.bucket("DELETE", "dms-x-staging", "").unwrap();
    let here =
        "<CreateBucketConfiguration><LocationConstraint>eu-north-1</LocationConstraint></CreateBucketConfiguration>";
    aws.bucket("PUT", "dms-x-staging", here).unwrap();
    aws.bucket("PUT", "dms-x-staging/precious", "theirs").unwrap();
    let (code, text) = running.end();
    assert_eq!(code, 4, "{text}");
    let told =
        "`dms-x-staging` was this stack's when the plan was made and carries no towpath tags now; it was left alone";
    assert!(text.contains(told), "{text}");
    assert_eq!(aws.bucket("GET", "dms-x-staging/precious", "").unwrap(), "theirs");
    let kept = environment.expect(0, &["destroy", "--yes"]).stdout;
    assert!(kept.contains("`dms-x-staging` is not this stack's"), "{kept}");
}

/// The port of a workgroup is a part of where it is: who goes there follows in the same apply.
#[test]
fn another_port_of_a_workgroup_reaches_all_who_go_there() {
    let environment = TestEnvironment::empty();
    environment.write(
        "stacks/x.yaml",
        "stack: x
resources:
  warehouse: {kind: redshift/namespace, protect: false}
  wide: {kind: redshift/workgroup, namespace: warehouse, base_rpu: 8}
  target: {kind: dms/endpoint, direction: target, engine: redshift-serverless, workgroup: wide}
  provider: {kind: dms/data_provider, engine: redshift, from: wide}
",
    );
    environment.expect(0, &["apply", "--yes"]);
    let aws = Aws::of(&environment);
    let port = || {
        let endpoint = aws.dms("DescribeEndpoints", &json!({})).unwrap()["Endpoints"][0].clone();
        let provider = aws.dms("DescribeDataProviders", &json!({})).unwrap()["DataProviders"][0].clone();
        [endpoint["Port"].clone(), provider["Settings"]["RedshiftSettings"]["Port"].clone()]
    };
    assert_eq!(port(), [5439, 5439]);
    environment.edit("stacks/x.yaml", "base_rpu: 8", "base_rpu: 8, port: 5440");
    let plan = environment.expect(3, &["plan"]).stdout;
    assert!(plan.contains("workgroup  x-wide → x-wide:5440"), "{plan}");
    assert!(plan.contains("0 to create, 3 to change, 0 to delete"), "{plan}");
    environment.expect(0, &["apply", "--yes"]);
    assert_eq!(port(), [5440, 5440]);
    environment.expect(0, &["plan"]);
    // A port that is no longer declared stays, and nobody is sent back for it by another change.
    environment.edit("stacks/x.yaml", "base_rpu: 8, port: 5440", "base_rpu: 16");
    let plan = environment.expect(3, &["plan"]).stdout;
    assert!(plan.contains("0 to create, 1 to change, 0 to delete"), "{plan}");
    environment.expect(0, &["apply", "--yes"]);
    assert_eq!(port(), [5440, 5440]);
    environment.expect(0, &["plan"]);
    // Somebody sends the endpoint elsewhere.
    let arn = aws.dms("DescribeEndpoints", &json!({})).unwrap()["Endpoints"][0]["EndpointArn"].clone();
    aws.dms("ModifyEndpoint", &json!({ "EndpointArn": arn, "Port": 5439 })).unwrap();
    let drift = environment.expect(3, &["drift"]).stdout;
    assert!(drift.contains("workgroup"), "{drift}");
}
