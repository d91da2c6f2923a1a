//! Loads a seed: a CSV file that becomes a table, types taken from the whole file.
//!
//! Rows are inserted aside in batches small enough for the Data API (100 kB a statement) and
//! swapped in; a bad row is named by line and column and nothing is loaded.

use std::path::Path;

use super::materialize::{BuildError, aside, swap};
use super::node::{Node, literal, quote};
use super::session::{RelationKind, Session};

/// The longest statement sent, in bytes.
const STATEMENT_BYTES: usize = 60_000;
/// Statements of one transaction; the Data API takes 40.
const TRANSACTION_STATEMENTS: usize = 20;

/// A column's type, from narrow to wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Boolean,
    BigInt,
    Numeric,
    Date,
    Timestamp,
    Text,
}

impl Type {
    fn sql(self, width: usize) -> String {
        match self {
            Self::Boolean => "boolean".to_owned(),
            Self::BigInt => "bigint".to_owned(),
            Self::Numeric => "double precision".to_owned(),
            Self::Date => "date".to_owned(),
            Self::Timestamp => "timestamp".to_owned(),
            Self::Text => format!("varchar({})", width.next_power_of_two().clamp(64, 65_535)),
        }
    }

    fn holds(self, text: &str) -> bool {
        match self {
            Self::Boolean => matches!(text.to_ascii_lowercase().as_str(), "true" | "false"),
            Self::BigInt => text.parse::<i64>().is_ok_and(|number| number.to_string() == text),
            Self::Numeric => {
                !text.starts_with('+') && !text.starts_with("0x") && text.parse::<f64>().is_ok_and(f64::is_finite)
            }
            Self::Date => chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok(),
            Self::Timestamp => ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
                .iter()
                .any(|format| chrono::NaiveDateTime::parse_from_str(text, format).is_ok()),
            Self::Text => true,
        }
    }
}

/// A CSV file, read and checked.
#[derive(Debug)]
struct Table {
    columns: Vec<(String, String)>,
    rows: Vec<Vec<Option<String>>>,
}

/// Loads the seed from the project folder and says how many rows it has.
pub(super) async fn load(session: &Session, folder: &Path, node: &Node) -> Result<Option<u64>, BuildError> {
    let table = read(&folder.join(&node.place.file), node).map_err(BuildError::Unfit)?;
    let target = aside(&node.relation);
    let columns: Vec<_> =
        table.columns.iter().map(|(name, data_type)| format!("{} {data_type}", quote(name))).collect();
    session.database.execute(&format!("drop table if exists {target} cascade")).await?;
    session.database.execute(&format!("create table {target} ({})", columns.join(", "))).await?;
    let names: Vec<_> = table.columns.iter().map(|(name, _)| quote(name)).collect();
    let head = format!("insert into {target} ({}) values ", names.join(", "));
    let statements = batches(&head, &table.rows);
    for chunk in statements.chunks(TRANSACTION_STATEMENTS) {
        session.database.transaction(chunk).await?;
    }
    swap(session, &node.relation, RelationKind::Table).await?;
    Ok(Some(table.rows.len() as u64))
}

fn batches(head: &str, rows: &[Vec<Option<String>>]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for row in rows {
        let cells: Vec<_> =
            row.iter().map(|cell| cell.as_deref().map_or_else(|| "null".to_owned(), text_literal)).collect();
        let row = format!("({})", cells.join(", "));
        match out.last_mut().filter(|last| last.len() + row.len() < STATEMENT_BYTES) {
            Some(last) => {
                last.push_str(", ");
                last.push_str(&row);
            }
            None => out.push(format!("{head}{row}")),
        }
    }
    out
}

/// A literal that PostgreSQL and Redshift read alike: only the latter takes a backslash for more
/// than itself.
fn text_literal(text: &str) -> String {
    literal(text).replace('\\', "' || chr(92) || '")
}

fn read(path: &Path, node: &Node) -> Result<Table, String> {
    let delimiter = node.config.text("delimiter").and_then(|text| text.bytes().next()).unwrap_or(b',');
    let text = std::fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", node.place.file))?;
    // Spreadsheets write a byte order mark, which is no part of the first column's name.
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let names: Vec<String> =
        reader.headers().map_err(|error| bad(node, &error))?.iter().map(|name| name.trim().to_owned()).collect();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| bad(node, &error))?;
        rows.push(record.iter().map(|cell| (!cell.is_empty()).then(|| cell.to_owned())).collect::<Vec<_>>());
    }
    let given = node.config.get("column_types").and_then(|types| types.as_object());
    let columns = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let given = given.and_then(|types| types.get(name)).and_then(|data_type| data_type.as_str());
            (name.clone(), given.map_or_else(|| inferred(&rows, at), str::to_owned))
        })
        .collect();
    if let Some(unknown) = given.into_iter().flatten().map(|(name, _)| name).find(|name| !names.contains(name)) {
        return Err(format!("{}: `column_types` names `{unknown}`, which is no column of the file", node.place.file));
    }
    Ok(Table { columns, rows })
}

fn inferred(rows: &[Vec<Option<String>>], at: usize) -> String {
    let values = || rows.iter().filter_map(|row| row.get(at)?.as_deref());
    let width = values().map(str::len).max().unwrap_or(0);
    let candidates = [Type::Boolean, Type::BigInt, Type::Numeric, Type::Date, Type::Timestamp];
    let fitting = candidates.into_iter().find(|candidate| width > 0 && values().all(|value| candidate.holds(value)));
    fitting.unwrap_or(Type::Text).sql(width)
}

fn bad(node: &Node, error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            format!("{}:{line}: {len} values where the header has {expected_len}", node.place.file)
        }
        _ => format!("{}: {error}", node.place.file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_come_from_the_whole_column() {
        let column = |values: &[&str]| {
            let rows: Vec<_> =
                values.iter().map(|value| vec![(!value.is_empty()).then(|| (*value).to_owned())]).collect();
            inferred(&rows, 0)
        };
        assert_eq!(column(&["1", "", "2"]), "bigint");
        assert_eq!(column(&["1", "2.5"]), "double precision");
        assert_eq!(column(&["007"]), "double precision");
        assert_eq!(column(&["true", "False"]), "boolean");
        assert_eq!(column(&["2024-01-01"]), "date");
        assert_eq!(column(&["2024-01-01 10:00:00"]), "timestamp");
        assert_eq!(column(&["2024-01-01", "x"]), "varchar(64)");
        assert_eq!(column(&["", ""]), "varchar(64)");
    }

    #[test]
    fn statements_stay_short_and_quotes_are_doubled() {
        let rows = vec![vec![Some("it's".to_owned()), None]; 10_000];
        let statements = batches("insert into t values ", &rows);
        assert!(statements.len() > 1 && statements.iter().all(|one| one.len() <= STATEMENT_BYTES));
        assert!(statements[0].starts_with("insert into t values ('it''s', null), ("));
    }
}
