//! SQL on a workgroup through the Redshift Data API: submit, look, fetch, cancel.
//!
//! Every function is one call. The API is asynchronous: a statement is submitted, looked at until
//! it is final (the service waits up to 30 seconds inside one look), and its result is fetched in
//! pages of text. Nothing here loops, sleeps or knows dialects; `src/database` does that. Results
//! are kept by AWS for 24 hours, rows are at most 64 KB.

use std::time::Duration;

use aws_sdk_redshiftdata::operation::describe_statement::DescribeStatementOutput;
use aws_sdk_redshiftdata::types::{ExecutionMode, Field, StatusString};
use towpath_engine::fault::{Fault, FaultClass};

use crate::cloud::Cloud;
use crate::fault::fault;

/// The most statements of one batch.
pub const BATCH_LIMIT: usize = 40;

/// The longest the service waits inside one call.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Where statements run, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The workgroup's name or ARN.
    pub workgroup: String,
    /// The database.
    pub database: String,
    /// The secret of the database user; `None` for temporary credentials of the caller.
    pub secret_arn: Option<String>,
}

/// How far a statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not picked up yet.
    Submitted,
    /// It runs.
    Running,
    /// It is done.
    Finished,
    /// It failed; see `error`.
    Failed,
    /// It was cancelled.
    Aborted,
}

impl Status {
    /// Whether it will not change any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Aborted)
    }
}

/// A statement or batch as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its id.
    pub id: String,
    /// How far it is.
    pub status: Status,
    /// The server's message, for a failed one.
    pub error: Option<String>,
    /// Whether there is a result to fetch.
    pub has_result: bool,
    /// Rows returned or changed; `None` while the service does not know.
    pub rows: Option<u64>,
    /// Time of running.
    pub duration: Duration,
    /// The statements of a batch, in order.
    pub parts: Vec<Part>,
}

/// One statement of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its id, by which its result is fetched.
    pub id: String,
    /// How far it is.
    pub status: Status,
    /// The server's message, for a failed one.
    pub error: Option<String>,
    /// Whether there is a result to fetch.
    pub has_result: bool,
    /// Rows returned or changed; `None` while the service does not know.
    pub rows: Option<u64>,
}

/// A page of a result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Column names in order.
    pub columns: Vec<String>,
    /// Column types in Redshift's words (`int4`, `varchar`), in the order of `columns`.
    pub types: Vec<String>,
    /// Rows of text, `None` for NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// Fetches the next page; `None` on the last.
    pub next: Option<String>,
}

/// Submits one statement and returns its id. The same `token` (1 to 64 characters) within eight
/// hours means the same submission: a repeated call does not run the statement twice.
pub async fn execute(cloud: &Cloud, target: &Target, sql: &str, token: &str) -> Result<String, Fault> {
    let client = cloud.redshift_data().await;
    let answer = client
        .execute_statement()
        .workgroup_name(&target.workgroup)
        .database(&target.database)
        .set_secret_arn(target.secret_arn.clone())
        .sql(sql)
        .client_token(token)
        .send()
        .await
        .map_err(fault("redshift-data:ExecuteStatement"))?;
    answer.id.ok_or_else(|| without_id("redshift-data:ExecuteStatement"))
}

/// Submits up to [`BATCH_LIMIT`] statements as one transaction, all or nothing, and returns the id
/// of the batch.
pub async fn execute_batch(cloud: &Cloud, target: &Target, sqls: &[String], token: &str) -> Result<String, Fault> {
    batch(cloud, target, sqls, ExecutionMode::Transaction, token).await
}

/// The same, each statement in a transaction of its own: what one of them meets does not touch the others.
pub async fn execute_each(cloud: &Cloud, target: &Target, sqls: &[String], token: &str) -> Result<String, Fault> {
    batch(cloud, target, sqls, ExecutionMode::AutoCommit, token).await
}

async fn batch(
    cloud: &Cloud,
    target: &Target,
    sqls: &[String],
    mode: ExecutionMode,
    token: &str,
) -> Result<String, Fault> {
    const OPERATION: &str = "redshift-data:BatchExecuteStatement";
    if sqls.is_empty() || sqls.len() > BATCH_LIMIT {
        let message = format!("a batch has 1 to {BATCH_LIMIT} statements, not {}", sqls.len());
        return Err(Fault::local(FaultClass::Invalid, OPERATION, message));
    }
    let client = cloud.redshift_data().await;
    let answer = client
        .batch_execute_statement()
        .workgroup_name(&target.workgroup)
        .database(&target.database)
        .set_secret_arn(target.secret_arn.clone())
        .set_sqls(Some(sqls.to_vec()))
        // Without a word a batch is one transaction.
        .set_execution_mode(Some(mode).filter(|mode| *mode != ExecutionMode::Transaction))
        .client_token(token)
        .send()
        .await
        .map_err(fault(OPERATION))?;
    answer.id.ok_or_else(|| without_id(OPERATION))
}

fn without_id(operation: &'static str) -> Fault {
    Fault::local(FaultClass::Other, operation, "the service answered without an id")
}

/// Looks at a statement. The service holds the answer back until the statement is final or `wait`
/// (at most 30 seconds, whole seconds, zero for none) is over.
pub async fn describe(cloud: &Cloud, id: &str, wait: Duration) -> Result<Statement, Fault> {
    let seconds = i32::try_from(wait.min(LONGEST_WAIT).as_secs()).unwrap_or(0);
    let call = cloud.redshift_data().await.describe_statement().id(id);
    let call = call.set_wait_time_seconds((seconds > 0).then_some(seconds));
    call.send().await.map(Statement::from).map_err(fault("redshift-data:DescribeStatement"))
}

/// Fetches a page of a finished statement's result; `next` is the one of the page before.
pub async fn result(cloud: &Cloud, id: &str, next: Option<String>) -> Result<Page, Fault> {
    let client = cloud.redshift_data().await;
    let call = client.get_statement_result().id(id).set_next_token(next);
    let answer = call.send().await.map_err(fault("redshift-data:GetStatementResult"))?;
    let columns = answer.column_metadata.unwrap_or_default();
    Ok(Page {
        types: columns.iter().map(|column| column.type_name.clone().unwrap_or_default()).collect(),
        // The label is what the statement calls the column; the name is the table's.
        columns: columns
            .into_iter()
            .map(|column| column.label.filter(|label| !label.is_empty()).or(column.name).unwrap_or_default())
            .collect(),
        rows: answer.records.into_iter().map(|row| row.into_iter().map(text).collect()).collect(),
        next: answer.next_token.filter(|token| !token.is_empty()),
    })
}

/// Cancels a statement. One that is over, or unknown, is as good as cancelled.
pub async fn cancel(cloud: &Cloud, id: &str) -> Result<(), Fault> {
    let call = cloud.redshift_data().await.cancel_statement().id(id);
    match call.send().await.map(drop).map_err(fault("redshift-data:CancelStatement")) {
        Err(fault) if fault.is_not_found() || fault.class == FaultClass::Invalid => Ok(()),
        other => other,
    }
}

fn text(field: Field) -> Option<String> {
    match field {
        Field::BlobValue(bytes) => Some(hex(bytes.as_ref())),
        Field::BooleanValue(value) => Some(value.to_string()),
        Field::DoubleValue(value) => Some(value.to_string()),
        Field::LongValue(value) => Some(value.to_string()),
        Field::StringValue(value) => Some(value),
        // NULL, or a sort of value that came after this program: there is no text for either.
        _ => None,
    }
}

/// Bytes as Redshift prints VARBYTE.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn status(status: &str) -> Status {
    match status {
        "FINISHED" => Status::Finished,
        "FAILED" => Status::Failed,
        "ABORTED" => Status::Aborted,
        "STARTED" => Status::Running,
        _ => Status::Submitted,
    }
}

/// The service says -1 while it does not know.
fn known(rows: i64) -> Option<u64> {
    u64::try_from(rows).ok()
}

impl From<DescribeStatementOutput> for Statement {
    fn from(output: DescribeStatementOutput) -> Self {
        let parts = output.sub_statements.unwrap_or_default().into_iter().map(|part| Part {
            id: part.id,
            status: status(part.status.as_ref().map_or("", |status| status.as_str())),
            error: part.error,
            has_result: part.has_result_set.unwrap_or_default(),
            rows: known(part.result_rows),
        });
        Self {
            parts: parts.collect(),
            id: output.id,
            status: status(output.status.as_ref().map_or("", StatusString::as_str)),
            error: output.error,
            has_result: output.has_result_set.unwrap_or_default(),
            rows: known(output.result_rows),
            duration: Duration::from_nanos(u64::try_from(output.duration).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sort_of_value_has_a_text_and_null_has_none() {
        assert_eq!(text(Field::LongValue(7)), Some("7".to_owned()));
        assert_eq!(text(Field::BooleanValue(true)), Some("true".to_owned()));
        assert_eq!(text(Field::DoubleValue(0.5)), Some("0.5".to_owned()));
        assert_eq!(text(Field::StringValue(String::new())), Some(String::new()));
        assert_eq!(text(Field::BlobValue(vec![0x0f, 0xa0].into())), Some("0fa0".to_owned()));
        assert_eq!(text(Field::IsNull(true)), None);
    }

    #[test]
    fn an_unknown_number_of_rows_is_none() {
        let output = DescribeStatementOutput::builder().id("x").result_rows(-1).status("STARTED".into()).build();
        let statement = Statement::from(output.expect("the id is set"));
        assert_eq!((statement.rows, statement.status), (None, Status::Running));
        assert!(!statement.status.is_final());
    }

    #[test]
    fn only_three_states_are_final() {
        for (word, expected) in [("SUBMITTED", false), ("PICKED", false), ("STARTED", false), ("FAILED", true)] {
            assert_eq!(status(word).is_final(), expected, "{word}");
        }
    }
}
