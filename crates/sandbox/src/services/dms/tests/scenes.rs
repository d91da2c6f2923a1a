//! Scenes: what goes on between the states, with real rows where rows are meant.

use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::testing::{Aws, Refusal, pipeline, sandbox, sandbox_at};

fn code<T>(answer: Result<T, Refusal>) -> String {
    answer.err().map(|refusal| refusal.code).unwrap_or_default()
}

async fn reload(aws: &Aws, task: &str, schema: &str, table: &str, option: &str) -> Result<Value, Refusal> {
    let tables = json!([{"SchemaName": schema, "TableName": table}]);
    let input = json!({"ReplicationTaskArn": task, "TablesToReload": tables, "ReloadOption": option});
    aws.json("dms:ReloadTables", input).await
}

async fn statistics(aws: &Aws, task: &str, table: &str) -> Value {
    let filters = json!([{"Name": "table-name", "Values": [table]}]);
    let input = json!({"ReplicationTaskArn": task, "Filters": filters});
    aws.json("dms:DescribeTableStatistics", input).await.unwrap()["TableStatistics"][0].clone()
}

/// `ReloadTables`: "Reloads the target database table with the source data. You can only use this operation with a task in the
/// RUNNING state, otherwise the service will throw an InvalidResourceStateFault exception." Changes go on afterwards, each once.
#[tokio::test(flavor = "multi_thread")]
async fn a_reloaded_table_has_the_rows_of_the_source_again() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let pipeline = pipeline(&sandbox, &aws).await;
    let change = async |sql: &str| pipeline.origin.batch_execute(sql).await.unwrap();
    change(
        "create table boats (id int primary key, name varchar(20)); insert into boats select i, 'b' || i from generate_series(1, 50) i; \
         create table trips (id int primary key); insert into trips values (1)",
    )
    .await;
    let task = pipeline.make_task(&aws, "full-load-and-cdc", &json!({})).await;
    assert_eq!(code(reload(&aws, &task, "public", "boats", "data-reload").await), "InvalidResourceStateFault");
    pipeline.start(&aws, &task, "start-replication").await;
    pipeline.wait_for_text("select count(*)::text from boats", "50").await;
    change("insert into boats values (51, 'b51')").await;
    pipeline.wait_for_text("select count(*)::text from boats", "51").await;
    // Statistics are written twice a second.
    while statistics(&aws, &task, "boats").await["TableState"] != "Table completed" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    pipeline
        .warehouse
        .batch_execute("delete from boats where id < 20; update boats set name = 'x'; delete from trips")
        .await
        .unwrap();
    assert_eq!(code(reload(&aws, &task, "public", "nothing", "data-reload").await), "ResourceNotFoundFault");
    assert_eq!(code(reload(&aws, &task, "public", "boats", "validate-only").await), "InvalidResourceStateFault");
    reload(&aws, &task, "public", "boats", "data-reload").await.unwrap();
    assert_eq!(statistics(&aws, &task, "boats").await["TableState"], "Table is being reloaded");
    let all = "select count(*) || ' ' || count(*) filter (where name = 'b' || id) from boats";
    pipeline.wait_for_text(all, "51 51").await;
    change("insert into boats values (52, 'b52'); update boats set name = 'new' where id = 1; insert into trips values (2)").await;
    pipeline.wait_for_text("select string_agg(id::text, ',') from trips", "2").await;
    pipeline.wait_for_text("select name || (select count(*) from boats) from boats where id = 1", "new52").await;
    let told = loop {
        let told = statistics(&aws, &task, "boats").await;
        if told["TableState"] == "Table completed" {
            break told;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((&told["FullLoadReloaded"], &told["FullLoadRows"]), (&json!(true), &json!(51)));
    assert_eq!(statistics(&aws, &task, "trips").await["FullLoadReloaded"], false);
    sandbox.shutdown().await;
}

/// Stop reasons of "Working with AWS DMS tasks": a task with `RECOVERABLE_ERROR` is stopped, and `resume-processing` takes it
/// on to its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_lost_its_connection_goes_on_when_it_is_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &["recoverable-error@dms:StartReplicationTask"]).await;
    let pipeline = pipeline(&sandbox, &aws).await;
    pipeline
        .origin
        .batch_execute("create table boats (id int primary key); insert into boats values (1), (2)")
        .await
        .unwrap();
    let task = pipeline.make_task(&aws, "full-load", &json!({})).await;
    pipeline.start(&aws, &task, "start-replication").await;
    let stopped = aws.wait_for(&task, "stopped").await;
    assert_eq!(stopped["StopReason"], "Stop Reason RECOVERABLE_ERROR Error Level RECOVERABLE", "{stopped}");
    assert!(stopped["LastFailureMessage"].as_str().unwrap().contains("connection to the source was lost"), "{stopped}");
    assert_eq!(pipeline.warehouse_text("select count(*)::text from boats").await, "");
    pipeline.start(&aws, &task, "resume-processing").await;
    pipeline.wait_for_text("select count(*)::text from boats", "2").await;
    let stopped = aws.wait_for(&task, "stopped").await;
    assert_eq!(stopped["StopReason"], "Stop Reason FULL_LOAD_ONLY_FINISHED");
    let asked =
        json!({"SourceIdentifier": "task", "SourceType": "replication-task", "EventCategories": ["state change"]});
    let events = aws.json("dms:DescribeEvents", asked).await.unwrap();
    let told: Vec<_> =
        events["Events"].as_array().unwrap().iter().map(|event| event["Message"].as_str().unwrap()).collect();
    let (started, ended) = ("The replication task has started.", "The replication task has stopped.");
    assert_eq!(told, [started, ended, started, ended]);
    sandbox.shutdown().await;
}

/// The role may be taken from the namespace after a good test: the task then fails while it runs ("Using Amazon Redshift
/// Serverless as a target": "The requested role ... is not associated to cluster").
#[tokio::test(flavor = "multi_thread")]
async fn a_running_task_fails_when_its_role_is_no_longer_with_the_namespace() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let pipeline = pipeline(&sandbox, &aws).await;
    pipeline.origin.batch_execute("create table boats (id int primary key)").await.unwrap();
    let task = pipeline.make_task(&aws, "full-load", &json!({})).await;
    let bare = json!({"namespaceName": "club", "iamRoles": []});
    aws.json("redshift-serverless:UpdateNamespace", bare).await.unwrap();
    pipeline.start(&aws, &task, "start-replication").await;
    let mut failed = aws.task(&task).await;
    while failed["Status"] != "failed" {
        tokio::time::sleep(Duration::from_millis(20)).await;
        failed = aws.task(&task).await;
    }
    assert_eq!(failed["StopReason"], "Stop Reason FATAL_ERROR Error Level FATAL");
    assert!(failed["LastFailureMessage"].as_str().unwrap().contains("is not associated to cluster"), "{failed}");
    sandbox.shutdown().await;
}

/// A read right after `StartReplicationTask` may still say `ready`; `stale-list` plays it. `MoveReplicationTask` may fail and
/// leaves the task where it was ("Moving a task": `failed-move`).
#[tokio::test(flavor = "multi_thread")]
async fn a_start_may_be_seen_late_and_a_move_may_fail() {
    let directory = tempfile::tempdir().unwrap();
    let faults = ["stale-list@dms:DescribeReplicationTasks", "failed-state@dms:MoveReplicationTask"];
    let (sandbox, aws) = sandbox_at(directory.path(), f64::INFINITY, &faults).await;
    let pipeline = pipeline(&sandbox, &aws).await;
    pipeline.origin.batch_execute("create table boats (id int primary key)").await.unwrap();
    let task = pipeline.make_task(&aws, "full-load", &json!({})).await;
    let other = json!({"ReplicationInstanceIdentifier": "two", "ReplicationInstanceClass": "dms.t3.medium", "ReplicationSubnetGroupIdentifier": "group"});
    let other = aws.json("dms:CreateReplicationInstance", other).await.unwrap();
    let to = json!({"ReplicationTaskArn": task, "TargetReplicationInstanceArn": other["ReplicationInstance"]["ReplicationInstanceArn"]});
    aws.json("dms:MoveReplicationTask", to.clone()).await.unwrap();
    assert_eq!(aws.task(&task).await["Status"], "ready", "the list is stale");
    let moved = aws.task(&task).await;
    assert_eq!(
        (&moved["Status"], &moved["ReplicationInstanceArn"]),
        (&json!("failed-move"), &json!(pipeline.instance))
    );
    let start = json!({"ReplicationTaskArn": task, "StartReplicationTaskType": "start-replication"});
    assert_eq!(code(aws.json("dms:StartReplicationTask", start).await), "InvalidResourceStateFault");
    aws.json("dms:MoveReplicationTask", to.clone()).await.unwrap();
    let moved = aws.task(&task).await;
    assert_eq!(
        (&moved["Status"], &moved["ReplicationInstanceArn"]),
        (&json!("stopped"), &to["TargetReplicationInstanceArn"])
    );
    sandbox.shutdown().await;
}

/// "creating may pass through modifying before available" (hashicorp/terraform-provider-aws#1182); `RebootReplicationInstance`:
/// a failover needs Multi-AZ; events as in "AWS DMS event categories and event messages".
#[tokio::test]
async fn an_instance_passes_through_modifying_and_reboots() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    aws.make_vpc_role().await;
    aws.make_subnet_group().await.unwrap();
    let arn = aws.make_instance().await.unwrap()["ReplicationInstance"]["ReplicationInstanceArn"].clone();
    sandbox.shutdown().await;
    // At AWS's own speed the stamps lie apart.
    let other = tempfile::tempdir().unwrap();
    let (slow, there) = sandbox_at(other.path(), 1.0, &[]).await;
    there.make_vpc_role().await;
    // Nobody waits for the role to be seen.
    slow.cloud.write(|world| world.iam.roles.values_mut().for_each(|role| role.visible_at = Timestamp(0))).unwrap();
    there.make_subnet_group().await.unwrap();
    there.make_instance().await.unwrap();
    let life = slow.cloud.read(|world| world.dms.instances["one"].lifecycle.clone()).unwrap();
    let ready = life.settles_at().unwrap();
    let at = |seconds: i64| life.at(Timestamp(ready.0 - seconds * 1000)).to_owned();
    assert_eq!([at(300), at(30), at(0)], ["creating", "modifying", "available"]);
    slow.shutdown().await;

    let (sandbox, aws) = crate::testing::sandbox(directory.path(), &[]).await;
    let reboot = async |more: Value| {
        let mut input = json!({ "ReplicationInstanceArn": arn });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        aws.json("dms:RebootReplicationInstance", input).await
    };
    assert_eq!(code(reboot(json!({"ForceFailover": true})).await), "InvalidParameterValueException");
    let told = reboot(json!({})).await.unwrap();
    assert_eq!(told["ReplicationInstance"]["ReplicationInstanceIdentifier"], "one");
    let events = aws.json("dms:DescribeEvents", json!({"SourceIdentifier": "one"})).await.unwrap();
    let told: Vec<_> = events["Events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["EventCategories"][0].as_str().unwrap())
        .collect();
    assert_eq!(told, ["creation", "creation", "maintenance"]);
    sandbox.shutdown().await;
}

/// `RefreshSchemas` and `DescribeSchemas` read the endpoint's own database; lists of what nobody can make here are empty, and
/// what is not played at all says so.
#[tokio::test(flavor = "multi_thread")]
async fn dms_tells_schemas_types_logs_and_what_it_does_not_play() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let pipeline = pipeline(&sandbox, &aws).await;
    pipeline.origin.batch_execute("create schema harbour").await.unwrap();
    let both = json!({"EndpointArn": pipeline.source, "ReplicationInstanceArn": pipeline.instance});
    aws.json("dms:RefreshSchemas", both).await.unwrap();
    let endpoint = json!({"EndpointArn": pipeline.source});
    let status = async || {
        aws.json("dms:DescribeRefreshSchemasStatus", endpoint.clone()).await.unwrap()["RefreshSchemasStatus"].clone()
    };
    while status().await["Status"] == "refreshing" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(status().await["Status"], "successful");
    let schemas = aws.json("dms:DescribeSchemas", endpoint.clone()).await.unwrap();
    assert_eq!(schemas["Schemas"], json!(["harbour", "public"]));
    let kinds = json!({"Filters": [{"Name": "endpoint-type", "Values": ["target"]}]});
    let kinds = aws.json("dms:DescribeEndpointTypes", kinds).await.unwrap();
    assert_eq!(kinds["SupportedEndpointTypes"][1]["EngineName"], "redshift-serverless");
    let settings = aws.json("dms:DescribeEndpointSettings", json!({"EngineName": "postgres"})).await.unwrap();
    assert!(settings["EndpointSettings"].as_array().unwrap().iter().any(|own| own["Name"] == "CaptureDdls"));
    let logs = json!({"ReplicationInstanceArn": pipeline.instance});
    let logs = aws.json("dms:DescribeReplicationInstanceTaskLogs", logs).await.unwrap();
    assert_eq!(logs["ReplicationInstanceTaskLogs"], json!([]));
    for (operation, list) in [
        ("DescribeCertificates", "Certificates"),
        ("DescribeEventSubscriptions", "EventSubscriptionsList"),
        ("DescribePendingMaintenanceActions", "PendingMaintenanceActions"),
        ("DescribeReplicationTaskAssessmentRuns", "ReplicationTaskAssessmentRuns"),
    ] {
        assert_eq!(aws.json(&format!("dms:{operation}"), json!({})).await.unwrap()[list], json!([]), "{operation}");
    }
    let refusal = aws.json("dms:StartRecommendations", json!({})).await.unwrap_err();
    assert_eq!((refusal.code.as_str(), refusal.status), ("UnknownOperationException", 400));
    assert_eq!(refusal.message, "the sandbox does not play dms:StartRecommendations");
    sandbox.shutdown().await;
}

/// `DescribeAccountAttributes`: "the quota name, current usage toward that quota, and the quota's maximum value".
#[tokio::test]
async fn the_quotas_of_the_account_count_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let (_sandbox, aws) = sandbox(directory.path(), &[]).await;
    let quota = async |name: &str| {
        let answer = aws.json("dms:DescribeAccountAttributes", json!({})).await.unwrap();
        let quotas = answer["AccountQuotas"].as_array().unwrap().clone();
        let found = quotas.into_iter().find(|quota| quota["AccountQuotaName"] == name).unwrap();
        (found["Used"].as_i64().unwrap(), found["Max"].as_i64().unwrap())
    };
    assert_eq!((quota("Endpoints").await, quota("InstanceProfiles").await), ((0, 1000), (0, 60)));
    let endpoint = json!({"EndpointIdentifier": "one", "EndpointType": "source", "EngineName": "postgres", "ServerName": "db.example.com",
        "Port": 5432, "DatabaseName": "boats", "Username": "ada", "Password": "afloat"});
    let made = aws.json("dms:CreateEndpoint", endpoint).await.unwrap();
    aws.json("dms:CreateInstanceProfile", json!({"InstanceProfileName": "one"})).await.unwrap();
    assert_eq!((quota("Endpoints").await, quota("InstanceProfiles").await), ((1, 1000), (1, 60)));
    let arn = &made["Endpoint"]["EndpointArn"];
    aws.json("dms:DeleteEndpoint", json!({"EndpointArn": arn})).await.unwrap();
    assert_eq!((quota("Endpoints").await, quota("InstanceProfiles").await), ((0, 1000), (1, 60)));
}
