//! Statements and their rows as the Data API shows them.

use serde_json::{Value, json};
use tokio_postgres::types::Type;

use super::run::{ColumnShape, Outcome};
use super::statements::{Piece, Statement, Status};

/// Rows of one page.
const PAGE: usize = 1000;

/// `DescribeStatement`'s answer for a statement or one of its parts.
pub(super) fn describe(statement: &Statement, part: Option<usize>) -> Value {
    let id = |n: usize| format!("{}:{n}", statement.id);
    if let Some(n) = part {
        let mut shown = piece(&statement.pieces[n - 1], &id(n), statement);
        shown["WorkgroupName"] = json!(statement.workgroup);
        shown["Database"] = json!(statement.database);
        return shown;
    }
    let first = &statement.pieces[0];
    let mut shown = if statement.is_batch {
        let parts: Vec<Value> =
            statement.pieces.iter().enumerate().map(|(at, own)| piece(own, &id(at + 1), statement)).collect();
        let spent: u128 = statement.pieces.iter().map(|own| own.nanoseconds).sum();
        json!({"SubStatements": parts, "Duration": whole(spent), "HasResultSet": statement.pieces.iter().any(has_rows), "ResultRows": -1, "ResultSize": -1})
    } else {
        piece(first, &statement.id, statement)
    };
    shown["Id"] = json!(statement.id);
    shown["Status"] = json!(statement.status.text());
    shown["Error"] = json!(statement.error);
    shown["CreatedAt"] = statement.created.epoch();
    shown["UpdatedAt"] = statement.updated.epoch();
    shown["WorkgroupName"] = json!(statement.workgroup);
    shown["Database"] = json!(statement.database);
    shown["SecretArn"] = json!(statement.secret);
    shown["SessionId"] = json!(statement.session);
    shown["RedshiftPid"] = json!(1_073_750_000_u64 + statement.number);
    shown["RedshiftQueryId"] = json!(statement.number);
    shown["ResultFormat"] = json!(statement.format);
    shown["QueryParameters"] = parameters(statement);
    shown["DbUser"] = json!(statement.secret.is_none().then_some("IAM:sandbox"));
    shown
}

/// The parameters a statement was given, if any.
fn parameters(statement: &Statement) -> Value {
    let named = |(name, value): &(String, String)| json!({"name": name, "value": value});
    if statement.parameters.is_empty() { Value::Null } else { statement.parameters.iter().map(named).collect() }
}

fn piece(own: &Piece, id: &str, statement: &Statement) -> Value {
    let is_finished = own.status == Status::Finished;
    let outcome = own.outcome.as_ref();
    let size: Option<usize> = outcome.map(|outcome| outcome.rows.iter().flatten().flatten().map(String::len).sum());
    json!({
        "Id": id, "Status": own.status.text(), "Error": own.error, "QueryString": own.sql, "Duration": whole(own.nanoseconds),
        "HasResultSet": has_rows(own),
        "ResultRows": if is_finished { outcome.map_or(-1, |outcome| i64::try_from(outcome.count).unwrap_or(-1)) } else { -1 },
        "ResultSize": if is_finished { size.map_or(-1, |size| i64::try_from(size).unwrap_or(-1)) } else { -1 },
        "CreatedAt": statement.created.epoch(), "UpdatedAt": own.updated.epoch(), "RedshiftQueryId": statement.number,
    })
}

fn whole(n: u128) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn has_rows(own: &Piece) -> bool {
    own.outcome.as_ref().is_some_and(|outcome| outcome.columns.is_some())
}

/// A statement in `ListStatements`.
pub(super) fn listed(statement: &Statement) -> Value {
    let sqls: Vec<&str> = statement.pieces.iter().map(|own| own.sql.as_str()).collect();
    json!({
        "Id": statement.id, "Status": statement.status.text(), "StatementName": statement.name, "IsBatchStatement": statement.is_batch,
        "QueryString": (!statement.is_batch).then(|| sqls[0]), "QueryStrings": statement.is_batch.then_some(&sqls),
        "CreatedAt": statement.created.epoch(), "UpdatedAt": statement.updated.epoch(), "SecretArn": statement.secret, "SessionId": statement.session,
        "ResultFormat": statement.format, "QueryParameters": parameters(statement),
    })
}

/// One page of a result; `None` when the token is none of ours.
pub(super) fn page(outcome: &Outcome, token: Option<&str>) -> Option<Value> {
    let start = token.map_or(Some(0), |token| token.parse::<usize>().ok())?;
    let columns = outcome.columns.as_ref()?;
    let records: Vec<Value> = outcome
        .rows
        .iter()
        .skip(start)
        .take(PAGE)
        .map(|row| {
            row.iter().zip(columns.iter()).map(|(value, column)| field(value.as_deref(), &column.type_)).collect()
        })
        .collect();
    let next = start + records.len();
    Some(json!({
        "Records": records,
        "ColumnMetadata": columns.iter().map(metadata).collect::<Vec<_>>(),
        "TotalNumRows": outcome.rows.len(),
        "NextToken": (next < outcome.rows.len()).then(|| next.to_string()),
    }))
}

/// One page of a result as CSV, the first with a line of names; `None` when the token is none of ours.
///
/// Source: Redshift Data API reference, `GetStatementResultV2`.
pub(super) fn csv_page(outcome: &Outcome, token: Option<&str>) -> Option<Value> {
    let start = token.map_or(Some(0), |token| token.parse::<usize>().ok())?;
    let columns = outcome.columns.as_ref()?;
    let mut text = String::new();
    if start == 0 {
        csv_line(&mut text, columns.iter().map(|column| Some(column.name.as_str())));
    }
    let end = outcome.rows.len().min(start.saturating_add(PAGE));
    for row in outcome.rows.get(start..end)? {
        csv_line(&mut text, row.iter().map(Option::as_deref));
    }
    Some(json!({
        "Records": [{ "CSVRecords": text }],
        "ColumnMetadata": columns.iter().map(metadata).collect::<Vec<_>>(),
        "TotalNumRows": outcome.rows.len(),
        "ResultFormat": "CSV",
        "NextToken": (end < outcome.rows.len()).then(|| end.to_string()),
    }))
}

/// Appends a line; NULL is nothing, and a text with a comma, a quote or a line end is quoted.
fn csv_line<'a>(out: &mut String, values: impl Iterator<Item = Option<&'a str>>) {
    for (at, value) in values.enumerate() {
        if at > 0 {
            out.push(',');
        }
        let value = value.unwrap_or_default();
        if value.contains([',', '"', '\n', '\r']) {
            out.push('"');
            out.push_str(&value.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(value);
        }
    }
    out.push_str("\r\n");
}

/// A value in the union of the Data API. What has no member of its own comes as text.
fn field(value: Option<&str>, type_: &Type) -> Value {
    let Some(text) = value else { return json!({ "isNull": true }) };
    let typed = match *type_ {
        Type::BOOL => Some(json!({ "booleanValue": text == "t" })),
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => {
            text.parse::<i64>().ok().map(|number| json!({ "longValue": number }))
        }
        // Infinities and NaN have no JSON number.
        Type::FLOAT4 | Type::FLOAT8 => {
            text.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| json!({ "doubleValue": number }))
        }
        _ => None,
    };
    typed.unwrap_or_else(|| json!({ "stringValue": text }))
}

/// A column as the Data API tells it.
pub(super) fn metadata(column: &ColumnShape) -> Value {
    let packed = column.modifier - 4;
    let (name, precision, scale) = match column.type_ {
        Type::INT2 => ("int2", 5, 0),
        Type::INT4 => ("int4", 10, 0),
        Type::INT8 | Type::OID => ("int8", 19, 0),
        Type::FLOAT4 => ("float4", 8, 8),
        Type::FLOAT8 => ("float8", 17, 17),
        Type::NUMERIC if column.modifier >= 4 => ("numeric", (packed >> 16) & 0xffff, packed & 0x7ff),
        Type::NUMERIC => ("numeric", 38, 6),
        Type::BOOL => ("bool", 1, 0),
        Type::DATE => ("date", 13, 0),
        Type::TIMESTAMP => ("timestamp", 29, 6),
        Type::TIMESTAMPTZ => ("timestamptz", 35, 6),
        Type::TIME => ("time", 15, 6),
        Type::BPCHAR => ("bpchar", packed.max(1), 0),
        Type::JSONB | Type::JSON => ("super", 0, 0),
        Type::BYTEA => ("varbyte", 0, 0),
        Type::VARCHAR if column.modifier > 4 => ("varchar", packed, 0),
        _ => ("varchar", 65_535, 0),
    };
    let is_text = ["varchar", "bpchar", "super"].contains(&name);
    json!({
        "name": column.name, "label": column.name, "typeName": name, "precision": precision, "scale": scale, "length": if is_text { precision } else { 0 },
        "nullable": 1, "isCaseSensitive": is_text, "isCurrency": false, "isSigned": precision > 1 && !is_text, "schemaName": "", "tableName": "",
    })
}
