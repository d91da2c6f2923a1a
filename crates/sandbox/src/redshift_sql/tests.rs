use tokio_postgres::Client;

use crate::services::redshift_data::run::run;
use crate::services::redshift_data::warehouse;
use crate::{Options, Sandbox};

async fn warehouse(directory: &tempfile::TempDir) -> (Sandbox, Client) {
    let sandbox = Sandbox::start(Options::new(directory.path())).await.unwrap();
    let config = warehouse::config(&sandbox.cloud, "club").await.unwrap();
    let client = warehouse::connect(&config).await.unwrap();
    client.batch_execute(super::SESSION).await.unwrap();
    client
        .batch_execute("create temp table t(i int, s text, ts timestamp, d date); insert into t values (1,'a','2024-01-31 23:30:00','2024-01-31'), (2,'b','2024-02-29 01:00:00','2024-02-29')")
        .await
        .unwrap();
    (sandbox, client)
}

/// Each statement with the rows it gives on Redshift: columns joined by `|`, rows by ` ; `, NULL as nothing.
const TABLE: &[(&str, &str)] = &[
    ("select dateadd(day, -1, ts) from t order by i", "2024-01-30 23:30:00 ; 2024-02-28 01:00:00"),
    ("select dateadd('month', 1, d) from t order by i", "2024-02-29 00:00:00 ; 2024-03-29 00:00:00"),
    ("select datediff(day, d, '2024-03-01') from t order by i", "30 ; 1"),
    ("select datediff(week, d, date '2024-03-02') from t order by i", "4 ; 0"),
    ("select datediff(hour, ts, timestamp '2024-03-01') from t order by i", "697 ; 23"),
    ("select getdate() > '2020-01-01', sysdate > '2020-01-01'", "t|t"),
    ("select nvl(null, i), nvl2(s, 'y', 'n') from t order by i", "1|y ; 2|y"),
    ("select decode(i, 1, 'one', 2, 'two', 'many') from t order by i", "one ; two"),
    ("select decode(null, null, 'same', 'other')", "same"),
    ("select listagg(s, ',') within group (order by i desc) from t", "b,a"),
    ("select listagg(distinct s, ',') within group (order by s) from t", "a,b"),
    ("select listagg(s) from t", "ab"),
    ("select listagg(i, '-') within group (order by i) over (partition by 1) from t", "1-2 ; 1-2"),
    ("select convert_timezone('US/Pacific', ts) from t order by i", "2024-01-31 15:30:00 ; 2024-02-28 17:00:00"),
    (
        "select convert_timezone('UTC', 'Europe/Berlin', ts) from t order by i",
        "2024-02-01 00:30:00 ; 2024-02-29 02:00:00",
    ),
    ("select trunc(ts), trunc(1.239, 2) from t order by i", "2024-01-31|1.23 ; 2024-02-29|1.23"),
    (
        "select last_day(d), add_months(ts, 1) from t order by i",
        "2024-01-31|2024-02-29 23:30:00 ; 2024-02-29|2024-03-31 01:00:00",
    ),
    ("select months_between('2024-03-31', d) from t order by i", "2 ; 1"),
    ("select date_trunc('week', d) from t order by i", "2024-01-29 00:00:00 ; 2024-02-26 00:00:00"),
    ("select date_part(dow, d) from t order by i", "3 ; 4"),
    ("select json_extract_path_text('{\"a\":{\"b\":\"v\"}}', 'a', 'b')", "v"),
    ("select json_extract_path_text('nope', 'a', true)", ""),
    ("select is_valid_json('{}'), is_valid_json('x'), '{\"a\": 1}'::super", "t|f|{\"a\": 1}"),
    ("select i, s from t qualify row_number() over (order by i desc) = 1", "2|b"),
    ("select * from t qualify row_number() over (order by i desc) = 1", "2|b|2024-02-29 01:00:00|2024-02-29"),
    ("select t.*, row_number() over (order by i) as n from t qualify n = 2", "2|b|2024-02-29 01:00:00|2024-02-29|2"),
    ("select distinct s from t where i > 0 qualify rank() over (order by i) = 1 order by 1", "a"),
    ("select top 1 i from t order by i desc", "2"),
    ("select i from t minus select 1", "2"),
    ("select i * 2 as a, a + 1 as b from t order by i", "2|3 ; 4|5"),
    ("select i as iid from t where iid = 2", "2"),
    ("select i + 1 as i, i from t order by 2", "2|1 ; 3|2"),
    ("select 7 / 2, avg(i) from t", "3|1"),
    ("select 'a'::varchar(max), cast(s as varchar(max)) from t where i = 1", "a|a"),
    ("select 1.6::numeric, cast(1.4 as decimal), 1.25::numeric(5,2)", "2|1|1.25"),
    ("select ratio_to_report(i) over () from t order by i", "0.333333333333333 ; 0.666666666666667"),
    (
        "select last_value(v ignore nulls) over (order by i rows unbounded preceding) from (select 1 as i, 5 as v union all select 2, null) x order by i",
        "5 ; 5",
    ),
    (
        "select lag(v) ignore nulls over (order by i) from (select 1 as i, 5 as v union all select 2, null union all select 3, 7) x order by i",
        " ; 5 ; 5",
    ),
    ("select s, count(*) from t group by all order by 1", "a|1 ; b|1"),
    ("select approximate count(distinct i) from t", "2"),
    ("select median(i) from t", "1.5"),
    ("select strtol('ff', 16), len(s), charindex('a', s) from t where i = 1", "255|1|1"),
    ("select convert(integer, '12')", "12"),
    (
        "select regexp_count('abcabc', 'b'), sha2('a', 256)",
        "2|ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
    ),
    ("select 'it''s -- no comment', 'sysdate' -- nvl(", "it's -- no comment|sysdate"),
    ("select 'a\\d'", "a\\d"),
    ("select count(*) from svv_tables where table_schema = 'pg_catalog' and table_name = 'svv_tables'", "1"),
];

#[tokio::test]
async fn redshift_statements_give_redshifts_rows() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, client) = warehouse(&directory).await;
    let mut wrong = Vec::new();
    for (sql, expected) in TABLE {
        let got = told(&client, sql).await;
        if got != *expected {
            wrong.push(format!("{sql}\n    wanted {expected}\n    got    {got}"));
        }
    }
    sandbox.shutdown().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn redshift_definitions_are_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, client) = warehouse(&directory).await;
    client.batch_execute("begin").await.unwrap();
    let mut wrong = Vec::new();
    for sql in [
        "create table a1 (id bigint identity(0,1), n integer encode az64 distkey, v varchar(max), primary key (id)) diststyle key compound sortkey (n, v)",
        "create table a2 (id bigint generated by default as identity(1,1), d decimal, v varchar) backup no sortkey auto",
        "create table a3 diststyle even compound sortkey (n) as select 1 as n, 'x'::varchar(10) as v",
        "create table if not exists a4 distkey(n) sortkey(n) as (select 1 as n)",
        "create table a5 (id int primary key, other int unique references a1(id), \"a b\" numeric)",
        "insert into a5 values (1, 1, 2.5), (1, 1, 3.5)",
        "create view v1 as select * from a1 with no schema binding",
        "create materialized view m1 auto refresh yes as select 1 as x",
        "create temp table #scratch as select 1 as x",
        "select * from #scratch",
        "alter table a1 alter diststyle all",
        "alter table a5 append from a5",
        "delete a5 where id = 1",
        "set query_group to 'x'",
        "analyze compression a1",
        "grant select on a1 to public",
        "comment on table a1 is 'distkey(x) is not touched in text'",
    ] {
        if let Err(error) = run(&client, sql, true).await {
            wrong.push(format!("{sql}: {error}"));
        }
    }
    sandbox.shutdown().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn an_error_names_the_users_own_words() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, client) = warehouse(&directory).await;
    let error = run(&client, "select nvl(a, 1) from nowhere", false).await.unwrap_err();
    assert_eq!(error, "ERROR: relation \"nowhere\" does not exist");
    let error = run(&client, "select missing from t", false).await.unwrap_err();
    assert_eq!(error, "ERROR: column \"missing\" does not exist");
    let error = run(&client, "select 1 / 0", false).await.unwrap_err();
    assert_eq!(error, "ERROR: division by zero");
    sandbox.shutdown().await;
}

/// Runs a statement: its rows as in [`TABLE`], or the error.
async fn told(client: &Client, sql: &str) -> String {
    match run(client, sql, false).await {
        Ok(outcome) => outcome
            .rows
            .iter()
            .map(|row| row.iter().map(|value| value.clone().unwrap_or_default()).collect::<Vec<_>>().join("|"))
            .collect::<Vec<_>>()
            .join(" ; "),
        Err(error) => error,
    }
}

/// Statements in order, each with what it gives.
const SCHEMAS: &[(&str, &str)] = &[
    ("create schema lake authorization \"IAM:sandbox\" quota 2 GB", ""),
    ("create schema lake quota 1 GB", "ERROR: schema \"lake\" already exists"),
    ("create schema if not exists lake quota 3 TB", ""),
    ("create schema sea authorization nobody", "ERROR: user \"nobody\" does not exist"),
    ("create schema sea", ""),
    (
        "select s.schema_name, u.usename, s.schema_type from svv_all_schemas s join pg_user_info u on u.usesysid = s.schema_owner \
         where s.database_name = 'dev' and s.schema_name in ('lake', 'sea') order by 1",
        "lake|IAM:sandbox|local ; sea|admin|local",
    ),
    ("select trim(schema_name), quota from svv_redshift_schema_quota where quota > 0", "lake|3145728"),
    ("alter schema sea quota 500 mb", ""),
    ("alter schema sea owner to \"IAM:sandbox\"", ""),
    ("alter schema lake quota unlimited", ""),
    ("alter schema sea rename to ocean", ""),
    ("alter schema sea quota unlimited", "ERROR: schema \"sea\" does not exist"),
    ("select trim(schema_name), quota from svv_redshift_schema_quota where quota > 0", "ocean|500"),
    ("drop schema lake", ""),
    ("create schema lake", ""),
    ("select schema_owner from svv_redshift_schemas where schema_name = 'lake'", "100"),
];

#[tokio::test]
async fn schemas_have_owners_and_quotas_that_the_views_tell() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, client) = warehouse(&directory).await;
    for (sql, expected) in SCHEMAS {
        assert_eq!(told(&client, sql).await, *expected, "{sql}");
    }
    sandbox.shutdown().await;
}

const GRANTS: &[(&str, &str)] = &[
    (
        "select namespace_name, privilege_type, identity_type from svv_schema_privileges order by 2",
        "public|CREATE|public ; public|USAGE|public",
    ),
    ("revoke create on schema public from public", ""),
    ("select privilege_type from svv_schema_privileges", "USAGE"),
    ("revoke all on schema public from public", ""),
    (
        "create schema lake; create table lake.a (i int); create table lake.b (i int); create view lake.c as select 1 as x",
        "",
    ),
    ("create role readers", ""),
    ("create group crew", ""),
    ("create user ann password disable", ""),
    ("create role ann", "ERROR: role \"ann\" already exists"),
    ("grant usage, create on schema lake to role readers, group crew", ""),
    ("grant usage on schema lake to nobody", "ERROR: user \"nobody\" does not exist"),
    ("grant select on schema lake to ann", "ERROR: invalid privilege type select for schema"),
    ("revoke create on schema lake from role readers restrict", ""),
    ("grant select on all tables in schema lake to role readers", ""),
    ("grant insert on lake.a to ann with grant option", ""),
    (
        "select privilege_type, identity_type, identity_name, privilege_scope from svv_schema_privileges \
         where namespace_name = 'lake' order by 2, 1",
        "CREATE|group|crew|SCHEMA ; USAGE|group|crew|SCHEMA ; USAGE|role|readers|SCHEMA",
    ),
    (
        "select relation_name, privilege_type, identity_name from svv_relation_privileges order by 3, 1",
        "a|INSERT|ann ; a|SELECT|readers ; b|SELECT|readers ; c|SELECT|readers",
    ),
    ("grant usage on schema lake to public", ""),
    ("grant select on all tables in schema lake to public, role readers", ""),
    (
        "select identity_type, count(*) from svv_relation_privileges where privilege_type = 'SELECT' group by 1 order by 1",
        "public|3 ; role|3",
    ),
    ("revoke all on all tables in schema lake from public", ""),
    ("revoke usage on schema lake from public", ""),
    ("revoke all on all tables in schema lake from role readers", ""),
    ("drop table lake.a", ""),
    ("select count(*) from svv_relation_privileges", "0"),
    ("alter schema lake owner to ann", ""),
    ("drop user ann", "ERROR: user \"ann\" cannot be dropped because some objects depend on it"),
    ("drop group crew", ""),
    ("select identity_name from svv_schema_privileges", "readers"),
];

#[tokio::test]
async fn privileges_of_users_groups_and_roles_are_told_by_the_views() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, client) = warehouse(&directory).await;
    for (sql, expected) in GRANTS {
        assert_eq!(told(&client, sql).await, *expected, "{sql}");
    }
    sandbox.shutdown().await;
}
