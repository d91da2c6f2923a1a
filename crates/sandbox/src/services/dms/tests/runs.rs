//! Runs of tasks: what a kill leaves, and who goes on.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::testing::{pipeline, sandbox};

/// A run whose process dies is taken up at once by another process on the same directory, and no row comes twice.
///
/// The kill strikes while one table is on the warehouse and the copy of another stands in its middle, held by a lock; what a kill does to
/// the first process (its work ends between two steps, nothing is written about it, its file locks are freed) is what
/// dropping a sandbox does.
async fn survives_a_kill(preparation: &str) {
    let directory = tempfile::tempdir().unwrap();
    let (first, aws) = sandbox(directory.path(), &[]).await;
    let pipeline = pipeline(&first, &aws).await;
    pipeline
        .origin
        .batch_execute(
            "create table quick (id int primary key); insert into quick select generate_series(1, 1000); \
             create schema hidden; create table hidden.rows (id int primary key, pad varchar(300)); \
             insert into hidden.rows select i, repeat('x', 300) from generate_series(1, 50000) i; analyze; \
             create view held as select id, pad from hidden.rows where id <> 25000 or pg_advisory_lock_shared(7)::text is not null",
        )
        .await
        .unwrap();
    let settings = json!({"FullLoadSettings": {"TargetTablePrepMode": preparation}});
    let task = pipeline.make_task(&aws, "full-load", &settings).await;
    pipeline.origin.batch_execute("select pg_advisory_lock(7)").await.unwrap();
    pipeline.start(&aws, &task, "start-replication").await;
    pipeline.wait_for_text("select count(*)::text from quick", "1000").await;
    let (second, other) = sandbox(directory.path(), &[]).await;
    second.ensure_postgres().await.unwrap();
    drop(first);
    let killed = Instant::now();
    pipeline.origin.batch_execute("select pg_advisory_unlock(7)").await.unwrap();
    let ended = other.wait_for(&task, "stopped").await;
    assert!(killed.elapsed() < Duration::from_secs(5), "{preparation}: taken over after {:?}", killed.elapsed());
    assert_eq!(ended["StopReason"], "Stop Reason FULL_LOAD_ONLY_FINISHED", "{preparation}: {ended}");
    assert_eq!(ended["ReplicationTaskStats"]["TablesLoaded"], 2);
    let mut rows: Vec<_> =
        other.table_states(&task).await.iter().map(|table| table["FullLoadRows"].as_u64().unwrap()).collect();
    rows.sort_unstable();
    assert_eq!(rows, [1000, 50000]);
    let count = "select (select count(*) || ' ' || count(distinct id) from quick) || ' ' || (select count(*) || ' ' || count(distinct id) from held)";
    assert_eq!(pipeline.warehouse_text(count).await, "1000 1000 50000 50000", "{preparation}");
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_load_that_drops_tables_ends_without_duplicates() {
    survives_a_kill("DROP_AND_CREATE").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_load_that_truncates_tables_ends_without_duplicates() {
    survives_a_kill("TRUNCATE_BEFORE_LOAD").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_load_that_does_nothing_before_ends_without_duplicates() {
    survives_a_kill("DO_NOTHING").await;
}

const SETUP: &str = "create type mood as enum ('ok', 'bad');
    create table people (id int primary key, name varchar(20), feels mood, born date, big text, paid numeric(10,2), ok boolean, tags int[]);
    alter table people alter column big set storage external;
    insert into people select i, 'p' || i, 'ok', date '2000-01-01' + i, repeat('x', 3000), i, true, array[i] from generate_series(1, 200) i;
    create table log (line text); insert into log select 'l' || i from generate_series(1, 100) i;
    alter table log alter column line type varchar(50); analyze";

/// Both databases' view of a table, told alike on either side.
async fn same(pipeline: &crate::testing::Pipeline, sql: &str) {
    let there = pipeline.origin.query_one(sql, &[]).await.unwrap().get::<_, Option<String>>(0).unwrap_or_default();
    pipeline.wait_for_text(sql, &there).await;
}

const PEOPLE: &str = "select md5(string_agg(concat_ws('|', id, name, feels, born, big, paid, ok::text, tags), ',' order by id)) || count(*) from people";
const LOG: &str = "select md5(string_agg(line, ',' order by line)) || count(*) from log";

/// "Full load plus CDC": existing rows, then changes until the task is stopped; "resume-processing" goes on from the
/// checkpoint. Without a primary key only inserts arrive ("Using PostgreSQL as a source", limitations). The replication
/// slot remains after the task is deleted.
#[tokio::test(flavor = "multi_thread")]
async fn changes_follow_the_load_until_the_task_is_stopped_and_go_on_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let pipeline = pipeline(&sandbox, &aws).await;
    let change = async |sql: &str| pipeline.origin.batch_execute(sql).await.unwrap();
    change(SETUP).await;
    let task = pipeline.make_task(&aws, "full-load-and-cdc", &json!({})).await;
    pipeline.start(&aws, &task, "start-replication").await;
    same(&pipeline, PEOPLE).await;
    change("begin; update people set name = 'never'; rollback").await;
    change(
        "insert into people values (1000, E'it''s \\\\ [x]', 'bad', 'infinity', null, null, false, '{1,2}'); \
         update people set name = 'new' where id = 1; update people set id = 2000 where id = 2; delete from people where id = 3; \
         update people set big = 'short', name = 'twice' where id = 4; update people set name = 'thrice' where id = 4; \
         \
         insert into log values ('late'); delete from log where line = 'l1'",
    )
    .await;
    pipeline.wait_for_text("select name || id || big from people where id = 4", "thrice4short").await;
    pipeline.wait_for_text("select count(*)::text from log", "101").await;
    let rest = "select concat_ws('|', id, name, feels, born, big, paid, ok, tags) from people where id = 1000";
    assert_eq!(pipeline.warehouse_text(rest).await, "1000|it's \\ [x]|bad|9999-12-31|false|{1,2}");
    let kept = "select string_agg(id || name || length(big), ',' order by id) from people where id in (1, 2, 3, 2000)";
    assert_eq!(pipeline.warehouse_text(kept).await, "1new3000,2000p23000");
    // Statistics are written twice a second.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let running = aws.task(&task).await;
    assert_eq!(running["Status"], "running");
    assert!(running["ReplicationTaskStats"]["FullLoadFinishDate"].is_number(), "{running}");
    let people = aws.table_states(&task).await.into_iter().find(|table| table["TableName"] == "people").unwrap();
    assert_eq!((&people["Inserts"], &people["Updates"], &people["Deletes"]), (&json!(1), &json!(4), &json!(1)));
    assert_eq!((&people["FullLoadRows"], &people["TableState"]), (&json!(200), &json!("Table completed")));
    aws.json("dms:StopReplicationTask", json!({"ReplicationTaskArn": task})).await.unwrap();
    assert_eq!(aws.wait_for(&task, "stopped").await["StopReason"], "Stop Reason NORMAL");
    change("insert into log select 'm' || i from generate_series(1, 3000) i; alter table people add column nick varchar(9); update people set nick = 'n', paid = 7.5 where id = 9; create table fresh (id int primary key); insert into fresh values (5)").await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(pipeline.warehouse_text("select count(*)::text from log").await, "101");
    pipeline.start(&aws, &task, "resume-processing").await;
    pipeline.wait_for_text("select count(*)::text from log", "3101").await;
    pipeline.wait_for_text("select nick || paid from people where id = 9", "n7.50").await;
    pipeline.wait_for_text("select id::text from fresh", "5").await;
    aws.json("dms:StopReplicationTask", json!({"ReplicationTaskArn": task})).await.unwrap();
    aws.json("dms:DeleteReplicationTask", json!({"ReplicationTaskArn": task})).await.unwrap();
    let slots = pipeline.origin.query("select 1 from pg_replication_slots where not active", &[]).await.unwrap();
    assert_eq!(slots.len(), 1);
    sandbox.shutdown().await;
}

/// Rows written while the load runs, and while the process that follows is killed, arrive once: a table without a key
/// would show a repetition.
#[tokio::test(flavor = "multi_thread")]
async fn no_change_is_lost_or_repeated_between_load_and_capture_nor_by_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let (first, aws) = sandbox(directory.path(), &[]).await;
    let pipeline = pipeline(&first, &aws).await;
    pipeline.origin.batch_execute(SETUP).await.unwrap();
    let task = pipeline.make_task(&aws, "full-load-and-cdc", &json!({})).await;
    pipeline.start(&aws, &task, "start-replication").await;
    let write = async |from: usize| {
        for at in from..from + 150 {
            let sql = format!(
                "insert into log values ('w{at}'); update people set name = 'w{at}' where id = {}",
                1 + at % 200
            );
            pipeline.origin.batch_execute(&sql).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    write(0).await;
    pipeline.wait_for_text("select line from log where line = 'w3'", "w3").await;
    let (second, other) = sandbox(directory.path(), &[]).await;
    second.ensure_postgres().await.unwrap();
    tokio::join!(write(150), async {
        tokio::time::sleep(Duration::from_millis(350)).await;
        drop(first);
    });
    same(&pipeline, LOG).await;
    same(&pipeline, PEOPLE).await;
    assert_eq!(pipeline.warehouse_text("select count(*)::text from log").await, "400");
    assert_eq!(other.task(&task).await["Status"], "running");
    second.shutdown().await;
}

/// `StopTaskCachedChangesApplied`: the task stops with `STOPPED_AFTER_CACHED_EVENTS` at a consistent point;
/// `StopTaskCachedChangesNotApplied`: with `STOPPED_AFTER_FULL_LOAD`. A task of changes alone copies no row.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_stop_after_the_load_or_its_changes_when_told_to() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let pipeline = pipeline(&sandbox, &aws).await;
    pipeline.origin.batch_execute("create table t (id int primary key); insert into t values (1)").await.unwrap();
    for (setting, reason) in [
        ("StopTaskCachedChangesApplied", "STOPPED_AFTER_CACHED_EVENTS"),
        ("StopTaskCachedChangesNotApplied", "STOPPED_AFTER_FULL_LOAD"),
    ] {
        let task = pipeline.make_task(&aws, "full-load-and-cdc", &json!({"FullLoadSettings": {setting: true}})).await;
        pipeline.start(&aws, &task, "start-replication").await;
        assert_eq!(aws.wait_for(&task, "stopped").await["StopReason"], format!("Stop Reason {reason}"));
        aws.json("dms:DeleteReplicationTask", json!({"ReplicationTaskArn": task})).await.unwrap();
    }
    pipeline.warehouse.batch_execute("truncate t").await.unwrap();
    let task = pipeline.make_task(&aws, "cdc", &json!({})).await;
    pipeline.start(&aws, &task, "start-replication").await;
    loop {
        let made = "select 1 from pg_replication_slots where slot_name ~ $1";
        let suffix = task.rsplit(':').next().unwrap().to_lowercase();
        if !pipeline.origin.query(made, &[&suffix]).await.unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    pipeline.origin.batch_execute("insert into t values (2)").await.unwrap();
    pipeline.wait_for_text("select string_agg(id::text, ',') from t", "2").await;
    sandbox.shutdown().await;
}

/// "On your behalf, DMS task will create the Log Group of the replication instance ... DMS will also destroy the Log Group
/// and Streams if the DMS Replication Instance is destroyed" (blog.captaincy.io, hidden costs of DMS); without
/// `dms-cloudwatch-logs-role` the task runs and the group never appears (DMS user guide, "Creating the IAM roles").
#[tokio::test(flavor = "multi_thread")]
async fn a_task_with_logging_makes_the_log_group_of_its_instance() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let pipeline = pipeline(&sandbox, &aws).await;
    pipeline.origin.batch_execute("create table boats (id int primary key)").await.unwrap();
    let settings = json!({"Logging": {"EnableLogging": true}});
    let task = pipeline.make_task(&aws, "full-load", &settings).await;
    let groups = async || aws.json("logs:DescribeLogGroups", json!({})).await.unwrap()["logGroups"].clone();
    pipeline.start(&aws, &task, "start-replication").await;
    aws.wait_for(&task, "stopped").await;
    assert_eq!(groups().await, json!([]), "without the role there is no group");
    aws.make_role("dms-cloudwatch-logs-role", &["dms.amazonaws.com"], "AmazonDMSCloudWatchLogsRole").await;
    pipeline.start(&aws, &task, "reload-target").await;
    let done = aws.wait_for(&task, "stopped").await;
    let group = groups().await[0]["logGroupName"].as_str().unwrap().to_owned();
    let told = aws.json("dms:DescribeReplicationTasks", json!({})).await.unwrap();
    let settings = told["ReplicationTasks"][0]["ReplicationTaskSettings"].as_str().unwrap();
    assert!(group.starts_with("dms-tasks-") && settings.contains(&group), "{group} {settings}");
    let instance = done["ReplicationInstanceArn"].clone();
    aws.json("dms:DeleteReplicationTask", json!({"ReplicationTaskArn": task})).await.unwrap();
    aws.json("dms:DeleteReplicationInstance", json!({"ReplicationInstanceArn": instance})).await.unwrap();
    assert_eq!(groups().await, json!([]));
    sandbox.shutdown().await;
}
