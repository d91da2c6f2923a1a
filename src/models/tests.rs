use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use towpath_engine::secret::Secret;

use super::*;
use crate::database::postgres::Postgres;
use crate::database::{Database, server};

fn quiet() -> OnEvent {
    Arc::new(|_| {})
}

struct Fixture {
    _server: Arc<server::Server>,
    database: Arc<dyn Database>,
}

fn fixture() -> Fixture {
    let server = server::shared();
    let database = Postgres::new(&Secret::new(server.database()), 4).unwrap();
    Fixture { _server: server, database: Arc::new(database) }
}

impl Fixture {
    async fn run(&self, statements: &[&str]) {
        for statement in statements {
            self.database.execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }

    async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let rows = self.database.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).rows;
        rows.into_iter()
            .map(|row| row.into_iter().map(|cell| cell.unwrap_or_else(|| "-".to_owned())).collect())
            .collect()
    }
}

/// A project of these files; `dbt_project.yml` is there already.
fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Arc<Project>, Vec<ModelError>>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dbt_project.yml"), "name: small\n").unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let project = Project::load(folder.path(), Settings::default()).map(Arc::new);
    (folder, project)
}

fn club(vars: &serde_json::Value) -> Arc<Project> {
    let vars = vars.as_object().unwrap().clone();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
    Arc::new(Project::load(&folder, Settings { vars, ..Settings::default() }).unwrap())
}

async fn club_tables(fixture: &Fixture) {
    fixture
        .run(&[
            "create table teams (id text, name text, created_at text, archived_at text)",
            "create table memberships (id text, team_id text, role text, state text, joined_at text, updated_at text)",
            "create table events (id text, team_id text, title text, kind text, starts_at text, ends_at text, \
             latitude double precision, longitude double precision, created_at text, updated_at text)",
            "create table event_rsvps (id text, event_id text, membership_id text, status text, attended text, \
             created_at text, updated_at text)",
            "insert into teams values ('t1', 'One', '2024-01-01 00:00:00+00', null), ('t2', 'Two', '2024-01-01 00:00:00+00', null)",
            "insert into memberships values ('m1', 't1', 'member', 'active', '2024-01-01 00:00:00+00', '2024-01-01 00:00:00+00'), \
             ('m2', 't9', 'admin', 'left', '2024-01-01 00:00:00+00', '2024-01-01 00:00:00+00')",
            "insert into events values \
             ('e1', 't1', 'late', 'match', '2024-05-03 22:00:00+00', '2024-05-04 01:00:00+00', 59.3, 18.0, '2024-01-01 00:00:00+00', '2024-01-01 00:00:00+00'), \
             ('e2', 't2', 'sharp', 'match', '2024-05-05 22:00:00+00', '2024-05-06 00:00:00+00', null, null, '2024-01-01 00:00:00+00', '2024-01-01 00:00:00+00'), \
             ('e3', 't1', 'far', 'match', '2024-05-08 10:00:00+00', '2024-05-08 11:00:00+00', -80, 0, '2024-01-01 00:00:00+00', '2024-01-01 00:00:00+00')",
            "insert into event_rsvps values \
             ('r1', 'e1', 'm1', 'yes', 'true', '2024-05-01 10:00:00+00', '2024-05-01 10:00:00+00'), \
             ('r2', 'e1', null, 'no', null, '2024-05-02 10:00:00+00', '2024-05-02 10:00:00+00')",
        ])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_club_project_builds_and_lists_its_known_findings_as_warnings() {
    let fixture = fixture();
    club_tables(&fixture).await;
    let project = club(&serde_json::json!({}));
    assert_eq!(project.warnings, []);
    let summary = build(&project, &fixture.database, &Options::default(), quiet()).await.unwrap();
    let bad: Vec<_> =
        summary.results.iter().filter(|one| matches!(one.status, Status::Errored | Status::Failed)).collect();
    assert!(bad.is_empty() && summary.problems.is_empty(), "{bad:?} {:?}", summary.problems);
    assert_eq!(summary.verdict(), Verdict::Warned);
    let failures = |name: &str| summary.result(name).unwrap_or_else(|| panic!("{name}")).failures;
    assert_eq!(failures("not_null_stg_event_rsvps_membership_id"), Some(1));
    assert_eq!(failures("not_null_stg_events_latitude"), Some(1));
    assert_eq!(failures("relationships_stg_memberships_team_id__team_id__ref_stg_teams_"), Some(1));
    let regions = fixture.rows("select region, events from analytics.rpt_events_per_region order by 1").await;
    assert_eq!(regions, [["Nordics", "1"], ["elsewhere", "1"], ["unknown", "1"]]);
    // Over midnight counts on both days; up to midnight sharp on the first only.
    let days = fixture.rows("select date_day, active_teams from analytics.rpt_teams_active_daily order by 1").await;
    let counts: Vec<_> = days.iter().map(|row| row[1].as_str()).collect();
    assert_eq!((days[0][0].as_str(), counts), ("2024-05-03", vec!["1", "1", "1", "0", "0", "1"]));
    for compiled in compile(&project, Some(&fixture.database), &Options::default()).await.unwrap() {
        let sql = compiled.sql.unwrap();
        if compiled.id.starts_with("analysis.") {
            assert!(!fixture.rows(&sql).await.is_empty(), "{}", compiled.id);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_after_new_rows_equals_a_full_refresh() {
    let fixture = fixture();
    club_tables(&fixture).await;
    let project = club(&serde_json::json!({}));
    build(&project, &fixture.database, &Options::default(), quiet()).await.unwrap();
    // A reply of the last loaded day, one of a new day; and one change behind the look-back, which
    // an incremental run must not see.
    fixture
        .run(&[
            "insert into event_rsvps values ('r3', 'e1', 'm1', 'no', null, '2024-05-02 23:00:00+00', '2024-05-02 23:00:00+00'), \
             ('r4', 'e1', 'm1', 'maybe', null, '2024-05-04 23:00:00+00', '2024-05-04 23:00:00+00')",
            "update analytics.rbt_event_rsvps_daily set events = 77 where rsvp_day = '2024-05-01'",
        ])
        .await;
    let only = Options { select: vec!["rbt_event_rsvps_daily".into()], ..Options::default() };
    let report = "select rsvp_day, rsvp_status, rsvps, events from analytics.rbt_event_rsvps_daily order by 1, 2";
    let summary = run(&project, &fixture.database, &only, quiet()).await.unwrap();
    assert_eq!(summary.verdict(), Verdict::Passed, "{:?}", summary.results);
    let mut incremental = fixture.rows(report).await;
    assert_eq!(incremental[0], ["2024-05-01", "yes", "1", "77"], "the day before was left alone");
    incremental[0][3] = "1".into();
    run(&project, &fixture.database, &Options { full_refresh: true, ..only }, quiet()).await.unwrap();
    assert_eq!(fixture.rows(report).await, incremental);
    assert_eq!(incremental.len(), 3);
    let leftovers = fixture.rows("select relname from pg_class where relname like '%towpath%'").await;
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_of_a_missing_column_is_an_error_and_no_failure() {
    let fixture = fixture();
    club_tables(&fixture).await;
    let project = club(&serde_json::json!({"test_missing_column": true}));
    let only = Options { select: vec!["stg_events".into()], ..Options::default() };
    let summary = build(&project, &fixture.database, &only, quiet()).await.unwrap();
    let result = summary.result("not_null_stg_events_membership_id").unwrap();
    assert_eq!((&result.status, result.failures), (&Status::Errored, None));
    assert!(result.message.as_ref().unwrap().contains("membership_id"), "{result:?}");
    assert_eq!(summary.verdict(), Verdict::Errored);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_on_a_failure_is_skipped_and_the_rest_is_built() {
    let fixture = fixture();
    let (_folder, project) = project(&[
        ("models/a.sql", "select 1 as id"),
        ("models/bad.sql", "select nonsense from {{ ref('a') }}"),
        ("models/child.sql", "select * from {{ ref('bad') }}"),
        ("models/e.sql", "{{ config(materialized='ephemeral') }} select id + 1 as id from {{ ref('a') }}"),
        (
            "models/uses_e.sql",
            "{{ config(materialized='table') }} with x as (select * from {{ ref('e') }}) select * from x",
        ),
    ]);
    let project = project.unwrap();
    let summary = run(&project, &fixture.database, &Options::default(), quiet()).await.unwrap();
    assert_eq!(summary.result("bad").unwrap().status, Status::Errored);
    assert_eq!(summary.result("child").unwrap().status, Status::Skipped { because: "bad".into() });
    assert_eq!(fixture.rows("select * from analytics.uses_e").await, [["2"]]);
    let missing = Options { select: vec!["+child".into()], ..Options::default() };
    assert_eq!(
        list(&project, &missing).unwrap().iter().map(|node| node.name.as_str()).collect::<Vec<_>>(),
        ["a", "bad", "child"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_swapped_under_views_that_stand_on_them() {
    let fixture = fixture();
    let (folder, first) = project(&[
        ("models/t.sql", "{{ config(materialized='table') }} select 1 as id"),
        ("models/v.sql", "select id from {{ ref('t') }}"),
    ]);
    run(&first.unwrap(), &fixture.database, &Options::default(), quiet()).await.unwrap();
    fixture.run(&["create view foreign_view as select id from analytics.t"]).await;
    std::fs::write(folder.path().join("models/t.sql"), "{{ config(materialized='table') }} select 2 as id").unwrap();
    let second = Arc::new(Project::load(folder.path(), Settings::default()).unwrap());
    let only = Options { select: vec!["t".into()], ..Options::default() };
    let summary = run(&second, &fixture.database, &only, quiet()).await.unwrap();
    assert_eq!(summary.verdict(), Verdict::Passed, "{:?}", summary.results);
    assert_eq!(fixture.rows("select v.id, f.id from analytics.v, foreign_view f").await, [["2", "2"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn merge_updates_by_key_and_templates_can_query() {
    let fixture = fixture();
    fixture.run(&["create table raw (id int, v text)", "insert into raw values (1, 'a'), (2, 'b')"]).await;
    let (_folder, project) = project(&[
        ("models/s.yml", "sources: [{name: raw, schema: public, tables: [{name: raw}]}]"),
        (
            "models/m.sql",
            "{{ config(materialized='incremental', unique_key='id', incremental_strategy='merge') }}\n\
                          {% set top = run_query('select max(id) from ' ~ source('raw', 'raw')).columns[0].values()[0] if execute else 0 %}\n\
                          select id, v, {{ top }} as top from {{ source('raw', 'raw') }}",
        ),
    ]);
    let project = project.unwrap();
    run(&project, &fixture.database, &Options::default(), quiet()).await.unwrap();
    fixture.run(&["delete from raw", "insert into raw values (2, 'B'), (3, 'c')"]).await;
    let summary = run(&project, &fixture.database, &Options::default(), quiet()).await.unwrap();
    assert_eq!(summary.verdict(), Verdict::Passed, "{:?}", summary.results);
    let rows = fixture.rows("select id, v, top from analytics.m order by 1").await;
    assert_eq!(rows, [["1", "a", "2"], ["2", "B", "3"], ["3", "c", "3"]]);
}

#[test]
fn every_mistake_is_collected_with_its_place() {
    let (_folder, project) = project(&[
        ("models/a.sql", "select 1\nfrom {{ ref('bb') }}"),
        ("models/b.sql", "{{ config(materialised='table') }}\nselect 1"),
        ("models/c.sql", "select\n{{ nothing_like_it() }}"),
        ("models/s.yml", "models:\n  - name: b\n    columns:\n      - name: id\n        tests:\n          - not_nul\n"),
        ("snapshots/x.sql", "{% snapshot x %}{% endsnapshot %}"),
    ]);
    let errors: BTreeMap<String, String> =
        project.unwrap_err().into_iter().map(|error| (error.place.to_string(), error.message)).collect();
    assert!(errors["models/a.sql:2"].contains("no such model"), "{errors:?}");
    assert!(errors["models/b.sql:1"].contains("Did you mean `materialized`?"), "{errors:?}");
    assert!(errors["models/c.sql:2"].contains("nothing_like_it"), "{errors:?}");
    assert!(errors["models/s.yml:6"].contains("no generic test `not_nul`"), "{errors:?}");
    assert!(errors["snapshots/x.sql"].contains("not supported"), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_scale_1_the_findings_are_exactly_those_of_the_original_data() {
    let server = server::shared();
    let database = Arc::new(Postgres::new(&Secret::new(server.database()), 4).unwrap());
    let folder = tempfile::tempdir().unwrap();
    crate::sample::club(1, 1, folder.path()).unwrap();
    let uploaded = crate::upload::run(&database, folder.path(), &crate::upload::Options::default(), &|_| {}).await;
    assert!(uploaded.unwrap().failed.is_empty());
    let database: Arc<dyn Database> = database;
    let summary = build(&club(&serde_json::json!({})), &database, &Options::default(), quiet()).await.unwrap();
    let mut found: Vec<_> = summary
        .results
        .iter()
        .filter(|one| !matches!(one.status, Status::Succeeded | Status::Passed))
        .map(|one| (one.name.as_str(), one.status.clone(), one.failures.unwrap_or_default()))
        .collect();
    found.sort_by_key(|one| one.0);
    let expected = [
        ("not_null_stg_event_rsvps_membership_id", 102),
        ("not_null_stg_events_latitude", 8853),
        ("not_null_stg_events_longitude", 8853),
        ("relationships_stg_event_rsvps_event_id__event_id__ref_stg_events_", 21),
        ("relationships_stg_event_rsvps_membership_id__membership_id__ref_stg_memberships_", 15294),
        ("relationships_stg_memberships_team_id__team_id__ref_stg_teams_", 313),
    ];
    assert_eq!(found, expected.map(|(name, count)| (name, Status::Warned, count)));
    assert!(summary.problems.is_empty(), "{:?}", summary.problems);
}
