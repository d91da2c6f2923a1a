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
