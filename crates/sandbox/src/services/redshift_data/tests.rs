use serde_json::{Value, json};

use super::operations::{batch_execute, cancel, describe, execute, formatted_result, result};
use super::{catalog, statements};
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
        has_data: false,
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

/// `ListSchemas`, `ListTables`, `DescribeTable` read the warehouse's own catalogue; patterns are those of LIKE.
#[tokio::test]
async fn listings_are_those_of_the_warehouse() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = sandbox(&directory).await;
    let cloud = sandbox.cloud.clone();
    let sqls = [
        "create schema harbour",
        "create table harbour.boats (id int not null, name varchar(20) default 'x', paid numeric(10,2))",
        "create view harbour.names as select name from harbour.boats",
    ];
    let input = json!({"Sqls": sqls, "WorkgroupName": "club", "Database": "dev", "WaitTimeSeconds": 30});
    let made = batch_execute(cloud.clone(), input).await.unwrap();
    assert_eq!(ended(&made["Id"]).await["Status"], "FINISHED");
    let ask = |more: Value| {
        let mut input = json!({"WorkgroupName": "club", "Database": "dev"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    assert_eq!(catalog::databases(&cloud, &ask(json!({}))).unwrap()["Databases"], json!(["dev"]));
    let schemas = catalog::schemas(cloud.clone(), ask(json!({"SchemaPattern": "har%"}))).await.unwrap();
    assert_eq!(schemas["Schemas"], json!(["harbour"]));
    let first =
        catalog::tables(cloud.clone(), ask(json!({"SchemaPattern": "harbour", "MaxResults": 1}))).await.unwrap();
    assert_eq!(first["Tables"], json!([{"schema": "harbour", "name": "boats", "type": "TABLE"}]));
    let more = json!({"SchemaPattern": "harbour", "MaxResults": 1, "NextToken": first["NextToken"]});
    let second = catalog::tables(cloud.clone(), ask(more)).await.unwrap();
    assert_eq!((&second["Tables"][0]["type"], &second["NextToken"]), (&json!("VIEW"), &Value::Null));
    let columns = catalog::table(cloud.clone(), ask(json!({"Schema": "harbour", "Table": "boats"}))).await.unwrap();
    let told: Vec<_> = columns["ColumnList"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| {
            (
                column["name"].as_str().unwrap(),
                column["typeName"].as_str().unwrap(),
                column["nullable"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [("id", "int4", 0), ("name", "varchar", 1), ("paid", "numeric", 1)]);
    assert_eq!((&columns["ColumnList"][2]["precision"], &columns["ColumnList"][1]["length"]), (&json!(10), &json!(20)));
    let elsewhere = catalog::schemas(cloud, json!({"WorkgroupName": "club", "Database": "other"})).await.unwrap_err();
    assert_eq!(elsewhere.code, "ValidationException");
    sandbox.shutdown().await;
}

/// `ResultFormat` CSV is read with `GetStatementResultV2`, and with nothing else. "The maximum duration of query results and
/// status is 24 hours" (Redshift management guide).
#[tokio::test]
async fn results_are_csv_when_asked_and_kept_for_a_day() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = sandbox(&directory).await;
    let sql = "select 1 as id, 'a, \"b\"' as name, null as nothing";
    let input =
        json!({"Sql": sql, "WorkgroupName": "club", "Database": "dev", "ResultFormat": "CSV", "WaitTimeSeconds": 30});
    let id = execute(sandbox.cloud.clone(), input).await.unwrap()["Id"].clone();
    assert_eq!(ended(&id).await["ResultFormat"], "CSV");
    let told = formatted_result(json!({ "Id": id })).await.unwrap();
    assert_eq!(told["Records"], json!([{"CSVRecords": "id,name,nothing\r\n1,\"a, \"\"b\"\"\",\r\n"}]));
    assert_eq!(result(json!({ "Id": id })).await.unwrap_err().code, "ValidationException");
    let kept = statements::get(id.as_str().unwrap()).unwrap();
    let hours = |n: i64| crate::clock::Timestamp(kept.updated.0 + n * 3_600_000);
    assert!(!kept.is_expired(hours(23)) && kept.is_expired(hours(25)));
    sandbox.shutdown().await;
}
