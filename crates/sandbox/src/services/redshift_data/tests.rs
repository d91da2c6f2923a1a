use serde_json::{Value, json};

use super::operations::{batch_execute, cancel, describe, execute, result};
use crate::world::dms::Lifecycle;
use crate::world::redshift_serverless::{Namespace, Workgroup};
use crate::{Options, Sandbox};

async fn sandbox(directory: &tempfile::TempDir) -> Sandbox {
    let sandbox = Sandbox::start(Options::new(directory.path())).await.unwrap();
    let lifecycle = Lifecycle::steady("AVAILABLE");
    let namespace = Namespace {
        name: "club".into(),
        id: String::new(),
        arn: String::new(),
        created: crate::clock::Timestamp(0),
        lifecycle: lifecycle.clone(),
        admin: "admin".into(),
        password: None,
        secret: None,
        secret_key: None,
        database: None,
        had_workgroup: true,
        roles: Vec::new(),
        roles_in_sync_at: crate::clock::Timestamp(0),
        default_role: None,
        kms_key: None,
        log_exports: Vec::new(),
    };
    let workgroup = Workgroup {
        name: "club".into(),
        id: String::new(),
        arn: String::new(),
        namespace: "club".into(),
        created: crate::clock::Timestamp(0),
        lifecycle,
        body: serde_json::Map::new(),
        vpc_endpoint: String::new(),
        interfaces: Vec::new(),
    };
    sandbox
        .cloud
        .write(|world| {
            world.redshift_serverless.namespaces.insert("club".into(), namespace);
            world.redshift_serverless.workgroups.insert("club".into(), workgroup);
        })
        .unwrap();
    sandbox
}

async fn ended(id: &Value) -> Value {
    describe(json!({"Id": id, "WaitTimeSeconds": 30})).await.unwrap()
}

#[tokio::test]
async fn statements_batches_and_errors_end_as_on_aws() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = sandbox(&directory).await;
    let cloud = sandbox.cloud.clone();
    let ask = |sql: &str| {
        execute(
            cloud.clone(),
            json!({"Sql": sql, "WorkgroupName": "club", "Database": "dev", "Parameters": [{"name": "p", "value": "7"}]}),
        )
    };

    let id = ask(
        "select :p::int as n, 1.5::float8 as f, true as b, null as x, nvl(null, 'y') as s, 2.50::numeric(5,2) as d",
    )
    .await
    .unwrap()["Id"]
        .clone();
    let done = ended(&id).await;
    assert_eq!(
        (&done["Status"], &done["ResultRows"], &done["HasResultSet"]),
        (&json!("FINISHED"), &json!(1), &json!(true)),
        "{done}"
    );
    let rows = result(json!({"Id": id})).await.unwrap();
    assert_eq!(
        rows["Records"],
        json!([[{"longValue": 7}, {"doubleValue": 1.5}, {"booleanValue": true}, {"isNull": true}, {"stringValue": "y"}, {"stringValue": "2.50"}]])
    );
    assert_eq!(rows["ColumnMetadata"][5]["scale"], 2);

    let id = ask("select * from nowhere").await.unwrap()["Id"].clone();
    let done = ended(&id).await;
    assert_eq!(
        (&done["Status"], &done["Error"]),
        (&json!("FAILED"), &json!("ERROR: relation \"nowhere\" does not exist"))
    );
    assert_eq!(result(json!({"Id": id})).await.unwrap_err().code, "ResourceNotFoundException");

    // A failing batch leaves nothing of what came before.
    let sqls = [
        "create table t (i int primary key) diststyle even",
        "insert into t select datediff(day, '2024-01-01', '2024-01-03')",
        "select nope",
    ];
    let id = batch_execute(cloud.clone(), json!({"Sqls": sqls, "WorkgroupName": "club", "Database": "dev"}))
        .await
        .unwrap()["Id"]
        .clone();
    let done = ended(&id).await;
    assert_eq!((&done["Status"], &done["SubStatements"][2]["Status"]), (&json!("FAILED"), &json!("FAILED")), "{done}");
    let id = batch_execute(cloud.clone(), json!({"Sqls": &sqls[..2], "WorkgroupName": "club", "Database": "dev"}))
        .await
        .unwrap()["Id"]
        .clone();
    assert_eq!(ended(&id).await["Status"], "FINISHED");
    let id = ask("select i from t").await.unwrap()["Id"].clone();
    ended(&id).await;
    assert_eq!(result(json!({"Id": id})).await.unwrap()["Records"], json!([[{"longValue": 2}]]));

    let id = ask("select pg_sleep(60)").await.unwrap()["Id"].clone();
    while describe(json!({"Id": id})).await.unwrap()["Status"] != "STARTED" {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    cancel(json!({"Id": id})).await.unwrap();
    assert_eq!(ended(&id).await["Status"], "ABORTED");
    let refused = execute(cloud.clone(), json!({"Sql": "select 1", "WorkgroupName": "other", "Database": "dev"}))
        .await
        .unwrap_err();
    assert_eq!(refused.code, "ValidationException");
    sandbox.shutdown().await;
}

#[tokio::test]
async fn long_results_come_in_pages_and_sessions_keep_their_tables() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = sandbox(&directory).await;
    let cloud = sandbox.cloud.clone();
    let first = execute(cloud.clone(), json!({"Sql": "create temp table mine as select generate_series(1, 2500) as i", "WorkgroupName": "club", "Database": "dev", "SessionKeepAliveSeconds": 60, "WaitTimeSeconds": 30})).await.unwrap();
    let id = execute(
        cloud,
        json!({"Sql": "select i from mine order by 1", "SessionId": first["SessionId"], "WaitTimeSeconds": 30}),
    )
    .await
    .unwrap()["Id"]
        .clone();
    let mut seen = 0;
    let mut token = Value::Null;
    loop {
        let page = result(json!({"Id": id, "NextToken": token})).await.unwrap();
        seen += page["Records"].as_array().unwrap().len();
        token = page["NextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(seen, 2500);
    sandbox.shutdown().await;
}
