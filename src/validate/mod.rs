//! Compares source and warehouse, table by table, column by column, to the differing rows.
//!
//! The results of every statement are small whatever the tables' size: counts, sums of hashes
//! that do not depend on the order of rows, and, where these differ, ever smaller groups of rows
//! (`bisect`). Values are brought to one text first (`canonical`). Nothing is written, and no
//! table is read through the network. A source that changes meanwhile shows as a difference.

mod bisect;
mod canonical;

use futures::StreamExt;
use serde::Serialize;

use crate::database::{Database, DatabaseError, Dialect, Rows, quote_identifier, quote_literal};
use canonical::{Form, TargetType};

/// How deep to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Rows are counted.
    Counts,
    /// And every column's nulls and values are compared.
    Columns,
    /// And differing rows are named by key.
    Rows,
}

/// A table on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// Schema and table in the source.
    pub source: (String, String),
    /// Schema and table in the warehouse.
    pub target: (String, String),
}

/// What to compare, and how much to report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How deep.
    pub level: Level,
    /// How many differing rows of a table are named.
    pub rows: usize,
    /// How many tables at a time.
    pub parallel: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { level: Level::Rows, rows: 20, parallel: 2 }
    }
}

/// The judgement on a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "because", rename_all = "snake_case")]
pub enum Verdict {
    /// Equal as far as the level looked.
    Same,
    /// Different.
    Differs,
    /// Neither can be said.
    CannotCompare(String),
}

/// One column's comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnReport {
    /// The name in the source.
    pub name: String,
    /// Equal, different, or why not compared.
    pub verdict: Verdict,
    /// Values that are NULL in the source; none if not counted.
    pub source_nulls: Option<u64>,
    /// Values that are NULL in the warehouse; none if not counted.
    pub target_nulls: Option<u64>,
    /// Whether differences below a millionth were let pass.
    pub approximate: bool,
}

/// How a row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// It is only in the source.
    OnlyInSource,
    /// It is only in the warehouse.
    OnlyInTarget,
    /// Its values differ.
    Changed,
    /// Its key is there more than once on one side.
    Duplicated,
}

/// One differing row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RowReport {
    /// The key's values, in the order of key columns.
    pub key: Vec<Option<String>>,
    /// How it differs.
    pub difference: Difference,
    /// For a changed row: column, value in the source, value in the warehouse.
    pub values: Vec<(String, Option<String>, Option<String>)>,
}

/// One table's comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// The table.
    pub pair: Pair,
    /// The judgement.
    pub verdict: Verdict,
    /// Rows in the source.
    pub source_rows: Option<u64>,
    /// Rows in the warehouse.
    pub target_rows: Option<u64>,
    /// The columns, from level `columns` on.
    pub columns: Vec<ColumnReport>,
    /// Names of the key columns of the source.
    pub key: Vec<String>,
    /// Differing rows, at level `rows`.
    pub rows: Vec<RowReport>,
    /// Whether there are more differing rows than are named.
    pub more_rows: bool,
}

/// Compares all pairs. The reports come in the order of `pairs`; `on_table` gets each when it is
/// done. Only a database that cannot be reached is an error; all else is a verdict.
pub async fn run(
    source: &dyn Database,
    target: &dyn Database,
    pairs: &[Pair],
    options: &Options,
    on_table: &(dyn Fn(&TableReport) + Sync),
) -> Result<Vec<TableReport>, DatabaseError> {
    let reports: Vec<_> = futures::stream::iter(pairs.to_vec())
        .map(|pair| async move {
            let report = Comparison { source, target, options, pair }.run().await?;
            on_table(&report);
            Ok(report)
        })
        .buffered(options.parallel.max(1))
        .collect()
        .await;
    reports.into_iter().collect()
}

/// A column that is compared.
#[derive(Clone, Debug)]
struct Compared {
    name: String,
    form: Form,
    in_key: bool,
    is_long: bool,
}

/// Which side a statement is for.
#[derive(Clone, Copy)]
enum Side {
    Source,
    Target,
}

struct Comparison<'a> {
    source: &'a dyn Database,
    target: &'a dyn Database,
    options: &'a Options,
    pair: Pair,
}

impl Comparison<'_> {
    async fn run(&self) -> Result<TableReport, DatabaseError> {
        let mut report = TableReport {
            pair: self.pair.clone(),
            verdict: Verdict::Same,
            source_rows: None,
            target_rows: None,
            columns: Vec::new(),
            key: Vec::new(),
            rows: Vec::new(),
            more_rows: false,
        };
        match self.compare(&mut report).await {
            Err(DatabaseError::Refused { message, .. }) => report.verdict = Verdict::CannotCompare(message),
            result => result?,
        }
        Ok(report)
    }

    async fn compare(&self, report: &mut TableReport) -> Result<(), DatabaseError> {
        if self.options.level == Level::Counts {
            let (source, target) = self.both(&|side| format!("select count(*) from {}", self.table(side))).await?;
            report.source_rows = number(&source, 0);
            report.target_rows = number(&target, 0);
        } else {
            let columns = self.columns(report).await?;
            let broken = |column: &ColumnReport| matches!(column.verdict, Verdict::CannotCompare(_));
            if report.columns.iter().any(|column| broken(column) && report.key.contains(&column.name)) {
                report.verdict = Verdict::CannotCompare("a column of the key cannot be compared".to_owned());
            }
            self.digests(&columns, report).await?;
            if report.columns.iter().any(|column| column.verdict == Verdict::Differs) {
                report.verdict = Verdict::Differs;
            }
            let differs = report.verdict == Verdict::Differs || report.source_rows != report.target_rows;
            if differs && self.options.level == Level::Rows && columns.iter().any(|column| column.in_key) {
                bisect::rows(self, &columns, report).await?;
            }
        }
        if report.source_rows != report.target_rows {
            report.verdict = Verdict::Differs;
        }
        Ok(())
    }

    /// The columns of both sides, matched by name, and the key.
    async fn columns(&self, report: &mut TableReport) -> Result<Vec<Compared>, DatabaseError> {
        let (schema, table) = &self.pair.source;
        let source = format!(
            "select a.attname, format_type(a.atttypid, a.atttypmod), \
             coalesce((select a.attnum = any (i.indkey) from pg_index i where i.indrelid = c.oid and i.indisprimary), false) \
             from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace \
             where n.nspname = {} and c.relname = {} and a.attnum > 0 and not a.attisdropped order by a.attnum",
            quote_literal(schema),
            quote_literal(table)
        );
        let (schema, table) = &self.pair.target;
        let target = format!(
            "select column_name, data_type, numeric_scale from information_schema.columns \
             where table_schema = {} and table_name = {} order by ordinal_position",
            quote_literal(schema),
            quote_literal(table)
        );
        let (source, target) = futures::try_join!(self.source.query(&source), self.target.query(&target))?;
        for (side, rows, (schema, table)) in
            [("source", &source, &self.pair.source), ("warehouse", &target, &self.pair.target)]
        {
            if rows.rows.is_empty() {
                let message = format!("the {side} has no table {schema}.{table}");
                return Err(DatabaseError::Refused { code: None, message, position: None });
            }
        }
        let mut compared = Vec::new();
        for row in source.rows {
            let [name, type_name, in_key] = std::array::from_fn(|index| row[index].clone().unwrap_or_default());
            let in_key = in_key == "t";
            if in_key {
                report.key.push(name.clone());
            }
            match matched(&name, &type_name, &target, self.target.dialect()) {
                Ok(form) => {
                    let is_long = is_long(&type_name);
                    report.columns.push(column_report(&name, Verdict::Same, form.approximate));
                    compared.push(Compared { name, form, in_key, is_long });
                }
                Err(verdict) => report.columns.push(column_report(&name, verdict, false)),
            }
        }
        Ok(compared)
    }

    /// Counts, nulls and one digest of all rows; a digest per column only if that differs.
    async fn digests(&self, columns: &[Compared], report: &mut TableReport) -> Result<(), DatabaseError> {
        let whole = |side| {
            let dialect = self.dialect(side);
            let rows = self.hashed(side, columns);
            let nulls = (0..columns.len()).map(|index| format!(", count(c{index})")).collect::<Vec<_>>().concat();
            let (first, second) = (canonical::lane("h", 1, dialect), canonical::lane("h", 16, dialect));
            format!("select count(*), {first}, {second}{nulls} from ({rows}) d")
        };
        let (source, target) = self.both(&whole).await?;
        report.source_rows = number(&source, 0);
        report.target_rows = number(&target, 0);
        for (index, column) in columns.iter().enumerate() {
            let nulls = |row: &Rows, rows: Option<u64>| rows?.checked_sub(number(row, 3 + index)?);
            let source_nulls = nulls(&source, report.source_rows);
            let target_nulls = nulls(&target, report.target_rows);
            if let Some(report) = report.columns.iter_mut().find(|report| report.name == column.name) {
                (report.source_nulls, report.target_nulls) = (source_nulls, target_nulls);
            }
        }
        let digest = |row: &Rows| row.rows.first().map(|row| row[1..3].to_vec());
        if digest(&source) == digest(&target) {
            return Ok(());
        }
        report.verdict = Verdict::Differs;
        let single = |side| {
            let texts = texts(side, columns);
            let lane = |text: &String| canonical::lane(&format!("md5({text})"), 1, self.dialect(side));
            let lanes: Vec<_> = texts.iter().map(lane).collect();
            format!("select {} from {}", lanes.join(", "), self.table(side))
        };
        let (source, target) = self.both(&single).await?;
        for (index, column) in columns.iter().enumerate() {
            let value = |row: &Rows| row.rows.first().and_then(|row| row[index].clone());
            if value(&source) != value(&target)
                && let Some(report) = report.columns.iter_mut().find(|report| report.name == column.name)
            {
                report.verdict = Verdict::Differs;
            }
        }
        Ok(())
    }

    /// A statement with one row per row of the table: its hash `h`, the hash of its key `kh`
    /// (if there is a key), and the columns' texts `c0`, `c1`, ….
    fn hashed(&self, side: Side, columns: &[Compared]) -> String {
        let texts = texts(side, columns);
        let named = texts.iter().enumerate().map(|(index, text)| format!(", {text} as c{index}"));
        let named = named.collect::<Vec<_>>().concat();
        let all = texts.iter().zip(columns).map(|(text, column)| (text.as_str(), column.is_long));
        let key = texts.iter().zip(columns).filter(|(_, column)| column.in_key);
        let key: Vec<_> = key.map(|(text, column)| (text.as_str(), column.is_long)).collect();
        let key =
            if key.is_empty() { String::new() } else { format!(", {} as kh", canonical::row_hash(key.into_iter())) };
        format!("select {} as h{key}{named} from {}", canonical::row_hash(all), self.table(side))
    }

    fn table(&self, side: Side) -> String {
        let (schema, table) = match side {
            Side::Source => &self.pair.source,
            Side::Target => &self.pair.target,
        };
        format!("{}.{}", quote_identifier(schema), quote_identifier(table))
    }

    fn dialect(&self, side: Side) -> Dialect {
        match side {
            Side::Source => self.source.dialect(),
            Side::Target => self.target.dialect(),
        }
    }

    /// Runs one statement on both sides at once.
    async fn both(&self, statement: &(dyn Fn(Side) -> String + Sync)) -> Result<(Rows, Rows), DatabaseError> {
        let (source, target) = (statement(Side::Source), statement(Side::Target));
        futures::try_join!(self.source.query(&source), self.target.query(&target))
    }
}

/// The columns' texts on one side.
fn texts(side: Side, columns: &[Compared]) -> Vec<String> {
    let text = |column: &Compared| match side {
        Side::Source => column.form.source.clone(),
        Side::Target => column.form.target.clone(),
    };
    columns.iter().map(text).collect()
}

/// The expressions for a column, or the verdict that takes their place.
fn matched(name: &str, type_name: &str, target: &Rows, dialect: Dialect) -> Result<Form, Verdict> {
    let same = |row: &&Vec<Option<String>>| row[0].as_deref().is_some_and(|found| found.eq_ignore_ascii_case(name));
    let Some(row) = target.rows.iter().find(same) else { return Err(Verdict::Differs) };
    let found = row[0].clone().unwrap_or_default();
    let scale = row[2].as_ref().and_then(|scale| scale.parse().ok());
    let target_type = TargetType { name: row[1].clone().unwrap_or_default(), scale };
    canonical::form((name, type_name), (&found, &target_type), dialect).map_err(Verdict::CannotCompare)
}

fn column_report(name: &str, verdict: Verdict, approximate: bool) -> ColumnReport {
    ColumnReport { name: name.to_owned(), verdict, source_nulls: None, target_nulls: None, approximate }
}

/// Whether texts of the type may be long: no length, or one above a thousand.
fn is_long(type_name: &str) -> bool {
    let length = type_name.strip_prefix("character varying(").and_then(|rest| rest.trim_end_matches(')').parse().ok());
    match type_name {
        "text" | "citext" | "json" | "jsonb" | "bytea" | "character varying" => true,
        _ => type_name.ends_with("[]") || length.is_some_and(|length: u32| length > 1_000),
    }
}

fn number(rows: &Rows, column: usize) -> Option<u64> {
    rows.rows.first()?.get(column)?.as_ref()?.parse().ok()
}

#[cfg(test)]
mod tests;
