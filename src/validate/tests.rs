use std::sync::Arc;

use towpath_engine::secret::Secret;

use super::*;
use crate::database::postgres::Postgres;
use crate::database::server;

struct Fixture {
    _server: Arc<server::Server>,
    source: Postgres,
    target: Postgres,
}

/// A table with every kind of column, and the same as DMS leaves it in a warehouse.
async fn fixture(rows: u32) -> Fixture {
    let server = server::shared();
    let [source, target] = [0, 1].map(|_| Postgres::new(&Secret::new(server.database()), 4).unwrap());
    let values = "select n as id, case when n % 7 = 0 then null else 'name ' || n || case when n % 5 = 0 then ', é' else '' end end \
        as name, n % 2 = 0 as flag, n / 8.0 as amount, (n / 3.0)::float8 as ratio, \
        timestamptz '2024-01-01 00:00+02' + n * interval '1 hour 1 microsecond' as at, ('x' || n)::char(20) as code, \
        md5(n::text)::uuid as uid";
    source
        .execute(&format!(
            "create table \"T\"(id bigint primary key, name text, flag boolean, amount numeric(12,4), ratio float8, \
             at timestamptz, code char(20), uid uuid); insert into \"T\" {values} from generate_series(1, {rows}) n"
        ))
        .await
        .unwrap();
    target
        .execute(&format!(
            "create schema raw; create table raw.t as select id, name::varchar, flag::text::varchar(5) as flag, \
             amount::numeric(12,4), ratio, at at time zone 'UTC' as at, rtrim(code)::varchar as code, \
             upper(uid::text)::varchar(36) as uid from ({values} from generate_series({rows}, 1, -1) n) s"
        ))
        .await
        .unwrap();
    Fixture { _server: server, source, target }
}

impl Fixture {
    async fn validate(&self, level: Level) -> TableReport {
        let pair = Pair { source: ("public".to_owned(), "T".to_owned()), target: ("raw".to_owned(), "t".to_owned()) };
        let options = Options { level, ..Options::default() };
        run(&self.source, &self.target, &[pair], &options, &|_| {}).await.unwrap().remove(0)
    }

    async fn change(&self, sql: &str) {
        self.target.execute(sql).await.unwrap();
    }
}

fn differing(report: &TableReport) -> Vec<&str> {
    report.columns.iter().filter(|column| column.verdict != Verdict::Same).map(|column| column.name.as_str()).collect()
}

#[tokio::test]
async fn the_same_rows_in_another_order_and_in_dms_s_types_are_the_same() {
    let fixture = fixture(3_000).await;
    for level in [Level::Counts, Level::Columns, Level::Rows] {
        let report = fixture.validate(level).await;
        assert_eq!(report.verdict, Verdict::Same, "{report:?}");
        assert_eq!((report.source_rows, report.target_rows), (Some(3_000), Some(3_000)));
    }
    let report = fixture.validate(Level::Columns).await;
    let nulls: Vec<_> = report.columns.iter().map(|column| (column.source_nulls, column.target_nulls)).collect();
    assert_eq!(nulls[1], (Some(428), Some(428)));
    assert_eq!(nulls[0], (Some(0), Some(0)));
}

#[tokio::test]
async fn every_differing_row_is_found_among_many() {
    let fixture = fixture(20_000).await;
    fixture.change("update raw.t set name = name || ' ' where id = 12345").await;
    fixture.change("update raw.t set name = '' where id = 7").await;
    fixture.change("update raw.t set amount = amount + 0.01, flag = 'false' where id = 4444").await;
    fixture.change("delete from raw.t where id = 99").await;
    fixture.change("insert into raw.t select * from raw.t where id = 100").await;
    fixture.change("insert into raw.t(id) values (30000)").await;
    let report = fixture.validate(Level::Rows).await;
    assert_eq!(report.verdict, Verdict::Differs);
    assert_eq!((report.key.clone(), report.more_rows), (vec!["id".to_owned()], false));
    let rows: Vec<_> = report
        .rows
        .iter()
        .map(|row| {
            let columns: Vec<_> = row.values.iter().map(|(name, _, _)| name.as_str()).collect();
            format!("{} {:?} {}", row.key[0].as_deref().unwrap(), row.difference, columns.join(","))
        })
        .collect();
    let expected = [
        "100 Duplicated ",
        "12345 Changed name",
        "30000 OnlyInTarget ",
        "4444 Changed flag,amount",
        "7 Changed name",
        "99 OnlyInSource ",
    ];
    assert_eq!(rows, expected);
    let null = report.rows.iter().find(|row| row.key[0].as_deref() == Some("7")).unwrap();
    assert_eq!(null.values, [("name".to_owned(), None, Some(String::new()))]);
}

#[tokio::test]
async fn swapped_values_are_seen_by_the_row_digest() {
    let fixture = fixture(100).await;
    fixture.change("update raw.t set code = case id when 1 then 'x2' else 'x1' end where id in (1, 2)").await;
    let report = fixture.validate(Level::Rows).await;
    assert_eq!(report.verdict, Verdict::Differs);
    assert_eq!(report.rows.len(), 2);
    assert_eq!(differing(&report), Vec::<&str>::new(), "the column holds the same values, in other rows");
}

#[tokio::test]
async fn a_systematic_difference_is_named_by_column_and_its_rows_are_sampled() {
    let fixture = fixture(20_000).await;
    fixture.change("update raw.t set at = at + interval '2 hours'").await;
    let report = fixture.validate(Level::Rows).await;
    assert_eq!(differing(&report), ["at"]);
    assert_eq!((report.rows.len(), report.more_rows), (20, true));
    assert!(report.rows.iter().all(|row| row.values.len() == 1));
}

#[tokio::test]
async fn tables_without_a_key_are_compared_to_the_columns() {
    let fixture = fixture(500).await;
    fixture.source.execute("alter table \"T\" drop constraint \"T_pkey\"").await.unwrap();
    assert_eq!(fixture.validate(Level::Rows).await.verdict, Verdict::Same);
    fixture.change("update raw.t set ratio = ratio + 0.001 where id = 9").await;
    let report = fixture.validate(Level::Rows).await;
    assert_eq!((report.verdict.clone(), differing(&report)), (Verdict::Differs, vec!["ratio"]));
    assert!(report.rows.is_empty());
}

#[tokio::test]
async fn what_is_missing_or_cannot_be_compared_is_said() {
    let fixture = fixture(10).await;
    fixture.source.execute("alter table \"T\" add span interval; alter table \"T\" add lost int").await.unwrap();
    fixture.change("alter table raw.t add span varchar(128)").await;
    let report = fixture.validate(Level::Columns).await;
    assert_eq!(report.verdict, Verdict::Differs, "a column is missing");
    let of = |name: &str| report.columns.iter().find(|column| column.name == name).unwrap().verdict.clone();
    assert_eq!(of("lost"), Verdict::Differs);
    assert!(matches!(of("span"), Verdict::CannotCompare(_)));
    fixture.change("drop table raw.t").await;
    let report = fixture.validate(Level::Columns).await;
    assert_eq!(report.verdict, Verdict::CannotCompare("the warehouse has no table raw.t".to_owned()));
}
