//! `towpath down` and `towpath destroy`: nothing that AWS made on a stack's behalf stays unnamed, and what is deleted
//! beyond the stack is what was agreed to.

use serde_json::json;
use tokio::runtime::Runtime;
use towpath_sandbox::{Options, Sandbox};

use crate::aws::Aws;
use crate::env::{Running, TestEnvironment};

/// The account of a project, served by this process.
struct Account {
    runtime: Runtime,
    sandbox: Option<Sandbox>,
}

impl Account {
    /// Serves it; all later commands of the project go through it and meet its faults.
    fn of(project: &mut TestEnvironment, faults: &[&str]) -> Self {
        let mut options = Options::new(project.path().join(".towpath-sandbox"));
        options.speed = 2000.0;
        options.faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        let runtime = Runtime::new().unwrap();
        let sandbox = runtime.block_on(Sandbox::start(options)).unwrap();
        project.set("TOWPATH_SANDBOX_PROXY", &sandbox.endpoint());
        Self { runtime, sandbox: Some(sandbox) }
    }

    fn sandbox(&self) -> &Sandbox {
        self.sandbox.as_ref().unwrap()
    }

    fn aws(&self) -> Aws {
        Aws::at(&self.sandbox().endpoint())
    }

    /// The URL of a database of the source server, of a role that may replicate.
    fn source(&self) -> url::Url {
        self.runtime.block_on(self.sandbox().ensure_postgres()).unwrap();
        self.query("create role boats login replication password 'afloat'");
        self.query("create database boats owner boats");
        let mut url = url::Url::parse(self.sandbox().source_url().unwrap().expose()).unwrap();
        url.set_username("boats").unwrap();
        url.set_password(Some("afloat")).unwrap();
        url.set_path("boats");
        url
    }

    /// The first column of a query on the source server, as its superuser.
    fn query(&self, sql: &str) -> Vec<String> {
        let url = self.sandbox().source_url().unwrap();
        self.runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url.expose(), tokio_postgres::NoTls).await.unwrap();
            let connection = tokio::spawn(connection);
            let rows = client.simple_query(sql).await.unwrap();
            drop(client);
            connection.await.unwrap().unwrap();
            let text = |message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            };
            rows.into_iter().filter_map(text).collect()
        })
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(sandbox) = self.sandbox.take() {
            self.runtime.block_on(sandbox.shutdown());
        }
    }
}

#[test]
fn what_aws_made_for_the_stack_is_listed_with_its_price_until_it_is_purged() {
    let mut small = TestEnvironment::small();
    let account = Account::of(&mut small, &[]);
    small.expect(0, &["apply", "--yes"]);
    let aws = account.aws();
    let logs =
        |operation: &str, input: &serde_json::Value| aws.json("logs", &format!("Logs_20140328.{operation}"), input);
    let groups = [
        "/aws/redshift/small-warehouse/userlog",
        "/aws/redshift/small-warehouse-two/userlog",
        "dms-tasks-small-instance-two",
    ];
    for group in groups {
        logs("CreateLogGroup", &json!({"logGroupName": group})).unwrap();
    }
    let stream = json!({"logGroupName": groups[0], "logStreamName": "serverless"});
    logs("CreateLogStream", &stream).unwrap();
    let mut events = stream;
    events["logEvents"] = json!([{"timestamp": 1, "message": "x".repeat(900_000)}]);
    logs("PutLogEvents", &events).unwrap();

    let destroyed = small.expect(5, &["destroy", "--yes", "--final-snapshot", "warehouse=small-final"]);
    for wanted in [
        "2 objects left, together less than $0.01 a month:\n",
        "  log group `/aws/redshift/small-warehouse/userlog`: logs of `small-warehouse`, 878.9 KB, kept for ever\n",
        "      less than $0.01 a month ($0.03 per GB and month)\n",
        "      to delete it: aws logs delete-log-group --log-group-name /aws/redshift/small-warehouse/userlog\n",
        "  snapshot `small-final`: the data of namespace `small-warehouse`",
        "($0.024 per GB and month)\n",
        "      to delete it: aws redshift-serverless delete-snapshot --snapshot-name small-final\n",
    ] {
        assert!(destroyed.stdout.contains(wanted), "no {wanted:?} in:\n{}", destroyed.stdout);
    }
    assert!(!destroyed.stdout.contains("-two"), "{}", destroyed.stdout);
    let next = "To delete all of them that AWS left, except snapshots: towpath down --purge";
    assert!(destroyed.stderr.contains(next), "{}", destroyed.stderr);

    // Nothing but the stack file is needed to find it again.
    std::fs::remove_dir_all(small.path().join(".towpath/small")).unwrap();
    let again = small.expect(5, &["destroy", "--yes", "--json"]);
    let left = again.stdout.lines().find(|line| line.contains("\"type\":\"leftovers\"")).unwrap();
    let left: serde_json::Value = serde_json::from_str(left).unwrap();
    let names: Vec<&str> =
        left["leftovers"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["/aws/redshift/small-warehouse/userlog", "small-final"]);

    let part = small.expect(2, &["down", "--yes", "--purge", "--exclude", "warehouse"]);
    assert!(part.stderr.contains("purged for the whole stack only, not with `--target`"), "{}", part.stderr);
    let asked = small.expect(2, &["down", "--purge"]);
    assert!(asked.stderr.contains("nobody can be asked here"), "{}", asked.stderr);
    let purged = small.expect(5, &["down", "--yes", "--purge"]);
    assert!(!purged.stderr.contains("To delete all of them"), "a snapshot goes by its name: {}", purged.stderr);
    assert!(purged.stdout.contains("1 object left") && purged.stdout.contains("`small-final`"), "{}", purged.stdout);
    let other = small.expect(5, &["down", "--yes", "--purge-snapshot", "other-final"]);
    assert!(other.stderr.contains("There is no snapshot `other-final` of this stack."), "{}", other.stderr);
    let empty = small.expect(0, &["down", "--yes", "--purge-snapshot", "small-final"]);
    assert!(empty.stdout.contains("Nothing is left of this stack."), "{}", empty.stdout);
    let kept = logs("DescribeLogGroups", &json!({})).unwrap();
    let kept: Vec<&str> =
        kept["logGroups"].as_array().unwrap().iter().map(|one| one["logGroupName"].as_str().unwrap()).collect();
    assert_eq!(kept, groups[1..]);
}

#[test]
fn the_slot_of_a_task_goes_with_it_or_is_named_until_it_does() {
    let mut small = TestEnvironment::small();
    small.edit("stacks/small.yaml", "mode: full-load,", "mode: full-load-and-cdc,");
    let account = Account::of(&mut small, &[]);
    let source = account.source();
    small.set("SOURCE_DATABASE_URL", source.as_str());
    small.expect(0, &["up", "--yes"]);
    let slots = || account.query("select slot_name from pg_replication_slots");
    let slot = slots().pop().expect("change data capture has made a slot");

    // Killed after the task is gone and before its slot was found.
    let mut nowhere = source.clone();
    nowhere.set_port(Some(1)).unwrap();
    small.set("SOURCE_DATABASE_URL", nowhere.as_str());
    let mut killed = Running::start(&small, &["destroy", "--yes", "--allow-data-loss", "load"]);
    assert!(killed.wait_for("replication_task.load deleted").is_some());
    killed.kill();
    small.set("SOURCE_DATABASE_URL", source.as_str());
    std::fs::remove_dir_all(small.path().join(".towpath/small")).unwrap();
    assert_eq!(slots(), std::slice::from_ref(&slot));

    account.query("alter role boats noreplication");
    let refused = small.expect(5, &["down", "--yes", "--allow-data-loss", "load"]);
    for wanted in [
        format!("  replication slot `{slot}`: of task `small-load` on source, keeps "),
        " of WAL; not dropped: ".to_owned(),
        format!("      to delete it: select pg_drop_replication_slot('{slot}')\n"),
    ] {
        assert!(refused.stdout.contains(&wanted), "no {wanted:?} in:\n{}", refused.stdout);
    }
    small.set("SOURCE_DATABASE_URL", nowhere.as_str());
    let unreached = small.expect(5, &["down", "--yes", "--allow-data-loss", "load"]);
    assert!(unreached.stdout.contains("task `small-load` may have left one on its source"), "{}", unreached.stdout);

    account.query("alter role boats replication");
    small.set("SOURCE_DATABASE_URL", source.as_str());
    let down = small.expect(0, &["down", "--yes", "--allow-data-loss", "load"]);
    assert!(down.stderr.contains(&format!("replication slot {slot} dropped on source")), "{}", down.stderr);
    assert!(slots().is_empty());
    small.expect(0, &["down", "--yes", "--allow-data-loss", "load"]);
}

#[test]
fn a_reaped_task_takes_its_slot_along_or_the_command_for_it_is_told() {
    for is_at_hand in [true, false] {
        let mut small = TestEnvironment::small();
        small.edit("stacks/small.yaml", "mode: full-load,", "mode: full-load-and-cdc,");
        small.edit("stacks/small.yaml", "target: sandbox", "target: sandbox\nexpires: 1s");
        let account = Account::of(&mut small, &[]);
        let source = account.source();
        small.set("SOURCE_DATABASE_URL", source.as_str());
        small.expect(0, &["up", "--yes"]);
        std::thread::sleep(std::time::Duration::from_millis(1100));
        // Neither file nor journal.
        std::fs::remove_file(small.path().join("stacks/small.yaml")).unwrap();
        std::fs::remove_dir_all(small.path().join(".towpath/small")).unwrap();
        let slots = || account.query("select slot_name from pg_replication_slots");
        let slot = slots().pop().expect("change data capture has made a slot");
        let reap = ["reap", "--yes", "--allow-data-loss", "load"];
        if is_at_hand {
            let reaped = small.expect(0, &reap);
            let dropped = format!("replication slot {slot} dropped on small-source");
            assert!(reaped.stderr.contains(&dropped), "{}", reaped.stderr);
            assert!(slots().is_empty());
        } else {
            small.set("SOURCE_DATABASE_URL", "");
            let reaped = small.expect(5, &reap);
            let port = source.port().unwrap();
            for wanted in [
                "task `small-load` may have left one on its source: nothing here tells the password of `boats` at "
                    .to_owned(),
                format!(
                    "to delete it: psql \"host=127.0.0.1 port={port} dbname=boats user=boats\" -c \"select slot_name, "
                ),
                "starts_with(slot_name, 'small_load_')\"\n".to_owned(),
            ] {
                assert!(reaped.stdout.contains(&wanted), "no {wanted:?} in:\n{}", reaped.stdout);
            }
            assert_eq!(slots(), [slot]);
        }
    }
}

/// A run that is killed when the task is gone and its slot is not has marked the endpoint before, and deletes no endpoint
/// before the slot was tried: the next run finds the slot by the mark, with neither file nor journal.
#[test]
fn the_slot_of_a_task_whose_reaping_was_killed_is_dropped_or_named_by_the_next() {
    for is_at_hand in [true, false] {
        let mut small = TestEnvironment::small();
        small.edit("stacks/small.yaml", "mode: full-load,", "mode: full-load-and-cdc,");
        small.edit("stacks/small.yaml", "target: sandbox", "target: sandbox\nexpires: 1s");
        // The first run gets no further than to the endpoints.
        let account = Account::of(&mut small, &["server-error@dms:DeleteEndpoint#*"]);
        let source = account.source();
        small.set("SOURCE_DATABASE_URL", source.as_str());
        small.expect(0, &["up", "--yes"]);
        std::thread::sleep(std::time::Duration::from_millis(1100));
        std::fs::remove_file(small.path().join("stacks/small.yaml")).unwrap();
        let slots = || account.query("select slot_name from pg_replication_slots");
        let slot = slots().pop().expect("change data capture has made a slot");
        small.set("SOURCE_DATABASE_URL", "");
        let reap = ["reap", "--yes", "--allow-data-loss", "load"];
        let mut killed = Running::start(&small, &reap);
        assert!(killed.wait_for("replication_task.load deleted").is_some());
        killed.kill();
        std::fs::remove_dir_all(small.path().join(".towpath/small")).unwrap();
        assert_eq!(slots(), std::slice::from_ref(&slot));
        let _mended = Account::of(&mut small, &[]);
        if is_at_hand {
            small.set("SOURCE_DATABASE_URL", source.as_str());
            let reaped = small.expect(0, &reap);
            let dropped = format!("replication slot {slot} dropped on small-source");
            assert!(reaped.stderr.contains(&dropped), "{}", reaped.stderr);
            assert!(slots().is_empty());
        } else {
            let reaped = small.expect(5, &reap);
            let named =
                "task `small-load` may have left one on its source: nothing here tells the password of `boats` at ";
            assert!(reaped.stdout.contains(named), "{}", reaped.stdout);
            assert_eq!(slots(), [slot]);
        }
    }
}

#[test]
fn a_task_taken_out_of_the_stack_takes_its_slot_along() {
    let mut small = TestEnvironment::small();
    small.edit("stacks/small.yaml", "mode: full-load,", "mode: full-load-and-cdc,");
    let account = Account::of(&mut small, &["server-error@dms:DeleteReplicationTask#*"]);
    small.expect(0, &["up", "--yes"]);
    let slots = "select slot_name from pg_replication_slots where slot_name like 'small_load_%'";
    let stack = small.read("stacks/small.yaml");
    let stack: Vec<&str> = stack.lines().filter(|line| !line.contains("load")).collect();
    let stack = stack.join("\n");
    small.write("stacks/small.yaml", &stack);
    // A task that could not be deleted keeps it.
    small.expect(4, &["apply", "--yes", "--allow-data-loss", "load"]);
    assert_eq!(account.query(slots).len(), 1);
    drop(account);
    let account = Account::of(&mut small, &[]);
    let applied = small.expect(0, &["apply", "--yes", "--allow-data-loss", "load"]);
    assert!(applied.stderr.contains("dropped on source"), "{}", applied.stderr);
    account.runtime.block_on(account.sandbox().ensure_postgres()).unwrap();
    assert!(account.query(slots).is_empty());
}

#[test]
fn an_interface_that_dms_leaves_behind_is_named_and_purged() {
    let mut small = TestEnvironment::small();
    // In the default security group, which nobody deletes.
    small.edit(
        "stacks/small.yaml",
        "    subnet_group: subnets\n    security_groups: [guard]\n",
        "    subnet_group: subnets\n",
    );
    let account = Account::of(&mut small, &["failed-state@dms:DeleteReplicationInstance"]);
    small.expect(0, &["apply", "--yes"]);
    let down = small.expect(5, &["down", "--yes"]);
    assert!(down.stderr.contains("waiting until DMS removes 1 network interface (eni-"), "{}", down.stderr);
    assert!(down.stdout.contains("  network interface `eni-"), "{}", down.stdout);
    assert!(down.stdout.contains("left by DMS; it blocks its subnet and its security groups"), "{}", down.stdout);
    assert!(down.stdout.contains("to delete it: aws ec2 delete-network-interface"), "{}", down.stdout);
    small.expect(0, &["down", "--yes", "--purge"]);
    let interfaces = account.aws().ec2("Action=DescribeNetworkInterfaces");
    assert!(!interfaces.contains("DMSNetworkInterface"), "{interfaces}");
}

#[test]
fn a_bucket_with_versions_and_a_secret_that_may_come_back_do_not_stop_a_second_life() {
    let mut small = TestEnvironment::small();
    small.edit(
        "stacks/small.yaml",
        "  staging: {",
        "  login: {kind: secretsmanager/secret, name: small-login, generate: {length: 32}}\n  staging: {",
    );
    let account = Account::of(&mut small, &[]);
    small.expect(0, &["apply", "--yes"]);
    let aws = account.aws();
    let versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    aws.bucket("PUT", "dms-small-staging?versioning", versioning).unwrap();
    for (method, path) in [
        ("PUT", "dms-small-staging/rows.csv"),
        ("PUT", "dms-small-staging/rows.csv"),
        ("DELETE", "dms-small-staging/rows.csv"),
        ("POST", "dms-small-staging/unfinished.csv?uploads"),
    ] {
        aws.bucket(method, path, "").unwrap();
    }
    let destroyed = small.expect(0, &["destroy", "--yes", "--allow-data-loss", "login"]);
    assert!(destroyed.stdout.contains("Nothing is left of this stack."), "{}", destroyed.stdout);
    let again = small.expect(0, &["destroy", "--yes"]);
    assert!(again.stdout.contains("Nothing is left of this stack."), "{}", again.stdout);
    // The name is reserved for thirty days: the secret is taken back, with a new value.
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
    small.expect(0, &["down", "--yes", "--allow-data-loss", "login"]);
}
