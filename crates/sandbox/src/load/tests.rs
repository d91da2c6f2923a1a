use tokio_postgres::Client;

use super::*;
use crate::services::redshift_data::warehouse;
use crate::{Options, Sandbox};

struct Bench {
    sandbox: Sandbox,
    source: Client,
    target: Client,
    configs: (Config, Config),
    _directory: tempfile::TempDir,
}

async fn bench(setup: &str) -> Bench {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(Options::new(directory.path())).await.unwrap();
    sandbox.ensure_postgres().await.unwrap();
    let server = sandbox.cloud.postgres().ensure().await.unwrap();
    server.ensure_database("origin").await.unwrap();
    let configs = (server.config("origin"), warehouse::config(&sandbox.cloud, "club").await.unwrap());
    let source = connect(&configs.0, "source").await.unwrap();
    let target = connect(&configs.1, "target").await.unwrap();
    source.batch_execute(setup).await.unwrap();
    Bench { sandbox, source, target, configs, _directory: directory }
}

impl Bench {
    fn job(&self, preparation: Preparation, generation: i64) -> Job {
        let mappings = r#"{"rules": [{"rule-type": "selection", "rule-id": "1", "rule-name": "1", "rule-action": "include",
            "object-locator": {"schema-name": "public", "table-name": "%"}}]}"#;
        Job {
            source: self.configs.0.clone(),
            target: self.configs.1.clone(),
            mappings: Mappings::parse(mappings).unwrap(),
            target_schema: None,
            choices: Choices { lob_kilobytes: 32, lobs: true, booleans: false },
            preparation,
            subtasks: 4,
            stop_on_table_error: false,
            fail_without_tables: true,
            ledger: Ledger { task: "arn".to_owned(), generation },
            known: Vec::new(),
            reloaded: false,
            loads: true,
            follow: None,
        }
    }

    async fn text(&self, sql: &str) -> String {
        self.target.query_one(sql, &[]).await.unwrap().get::<_, Option<String>>(0).unwrap_or_default()
    }
}

const SETUP: &str = "
create type mood as enum ('ok', 'bad');
create table kinds (id int primary key, n numeric, p numeric(10,2), b boolean, t text, v varchar(10), d date, z timestamptz, u uuid, j jsonb, e mood, a int[], x bytea);
insert into kinds values
 (1, 1.23456789, 2.5, true, 'x', 'y', '2024-02-29', '2024-01-01 12:00+02', '00000000-0000-0000-0000-000000000001', '{\"k\": 1}', 'ok', '{1,2}', '\\xab'),
 (2, null, null, null, null, null, 'infinity', null, null, null, null, null, null),
 (3, 0, 0, false, E'tab\\there\\nline', '', null, null, null, null, null, null, null);
create table keyless (n int, note text);
insert into keyless values (1, 'lost');
create table many as select i, md5(i::text) as h, repeat('x', 400) as pad from generate_series(1, 120000) i;
alter table many add primary key (i);
analyze many";

#[tokio::test]
async fn every_row_arrives_in_the_types_dms_gives_it() {
    let bench = bench(SETUP).await;
    let progress = Progress::default();
    run(bench.job(Preparation::DropAndCreate, 1), &progress).await.unwrap();
    let tables = progress.tables();
    assert!(tables.iter().all(|table| table.state == State::Completed), "{tables:?}");
    let many = tables.iter().find(|table| table.table == "many").unwrap();
    assert_eq!(many.rows, 120_000);
    let sum = "select count(*)::text || ' ' || sum(i)::text || ' ' || md5(string_agg(h, '' order by i)) from many";
    assert_eq!(bench.text(sum).await, bench.source.query_one(sum, &[]).await.unwrap().get::<_, String>(0));
    assert_eq!(
        bench.text("select concat_ws('|', n, p, b, t, v, d, z, u, j, e, a, x) from kinds where id = 1").await,
        "1.234567|2.50|true|x|y|2024-02-29|2024-01-01 10:00:00|00000000-0000-0000-0000-000000000001|{\"k\": 1}|ok|{1,2}|AB"
    );
    assert_eq!(bench.text("select d::text from kinds where id = 2").await, "9999-12-31");
    assert_eq!(bench.text("select t || '|' || v from kinds where id = 3").await, "tab\there\nline|");
    // A LOB of a table without a key does not arrive, and the task's progress says so.
    assert_eq!(bench.text("select string_agg(attname::text, ',') from pg_attribute where attrelid = 'keyless'::regclass and attnum > 0").await, "n");
    assert!(tables.iter().find(|table| table.table == "keyless").unwrap().left_out[0].contains("no primary key"));
    bench.sandbox.shutdown().await;
}

#[tokio::test]
async fn loading_again_leaves_no_duplicates_and_keeps_views() {
    let bench = bench("create table t (id int primary key); insert into t select generate_series(1, 10)").await;
    run(bench.job(Preparation::DropAndCreate, 1), &Progress::default()).await.unwrap();
    bench.target.batch_execute("create view v as select * from t").await.unwrap();
    let progress = Progress::default();
    run(bench.job(Preparation::DropAndCreate, 2), &progress).await.unwrap();
    assert_eq!(bench.text("select count(*)::text from v").await, "10");
    // Tables that this load completed stay as they are.
    bench.source.batch_execute("insert into t values (11)").await.unwrap();
    run(bench.job(Preparation::DropAndCreate, 2), &Progress::default()).await.unwrap();
    assert_eq!(bench.text("select count(*)::text from t").await, "10");
    bench.sandbox.shutdown().await;
}

#[tokio::test]
async fn one_broken_table_does_not_end_the_others() {
    let bench = bench("create table bad (id int primary key, n numeric); insert into bad values (1, 1e25); create table good (id int primary key); insert into good values (1)").await;
    let progress = Progress::default();
    run(bench.job(Preparation::DropAndCreate, 1), &progress).await.unwrap();
    let state = |name: &str| progress.tables().into_iter().find(|table| table.table == name).unwrap();
    assert_eq!(state("good").state, State::Completed);
    assert_eq!(state("bad").state, State::Error);
    assert!(state("bad").error.unwrap().contains("numeric field overflow"));
    bench.sandbox.shutdown().await;
}

/// Measures the load against `psql` pipes of the same ranges; a comparison, not a check. Run it with
/// `ROWS=5000000 cargo test --release -p towpath-sandbox -- --ignored --nocapture load_against_psql`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn load_against_psql_pipes() {
    let rows = std::env::var("ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let bench = bench(&format!(
        "create table wide as select i as id, i % 97 as team, i::bigint * 31 as amount, md5(i::text)::varchar(32) as code, 'member ' || i as name, \
         now()::timestamp as at, (i / 7.0)::numeric(12,2) as paid, (i % 2 = 0) as ok from generate_series(1, {rows}) i; \
         alter table wide add primary key (id); analyze; checkpoint"
    ))
    .await;
    for round in 1..=3 {
        let begun = std::time::Instant::now();
        run(bench.job(Preparation::DropAndCreate, round), &Progress::default()).await.unwrap();
        let own = begun.elapsed();
        let pages: i64 = bench.source.query_one("select pg_relation_size('wide') / 8192", &[]).await.unwrap().get(0);
        bench.target.batch_execute("truncate wide").await.unwrap();
        let server = bench.sandbox.cloud.postgres().ensure().await.unwrap();
        let (from, to) = (server.url("origin"), server.url(&warehouse::database("club")));
        let workers = i64::try_from(std::thread::available_parallelism().unwrap().get() * 2).unwrap().min(4);
        let begun = std::time::Instant::now();
        let pipes: Vec<_> = (0..workers)
            .map(|at| {
                let (low, high) = (at * pages / workers, (at + 1) * pages / workers);
                let script = format!(
                    "psql -qX -c \"copy (select id, team, amount, code, name, at, paid, ok::text from wide where ctid >= '({low},0)' and ctid < '({high},0)') to stdout\" \"$SOURCE\" \
                     | psql -qX -c 'copy wide from stdin' \"$TARGET\""
                );
                let mut shell = std::process::Command::new("sh");
                shell.arg("-c").arg(script).env("SOURCE", from.expose()).env("TARGET", to.expose());
                shell.spawn().unwrap()
            })
            .collect();
        for mut pipe in pipes {
            assert!(pipe.wait().unwrap().success());
        }
        let theirs = begun.elapsed();
        assert_eq!(bench.text("select count(*)::text from wide").await, rows.to_string());
        eprintln!(
            "round {round}: {rows} rows, load {own:?}, {workers} psql pipes {theirs:?}, ratio {:.2}",
            theirs.as_secs_f64() / own.as_secs_f64()
        );
    }
    bench.sandbox.shutdown().await;
}
