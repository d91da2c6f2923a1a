//! Runs a test: a query whose rows are mistakes, counted and judged by its thresholds.
//!
//! A query that cannot be run is an error and never a failure: it says nothing about the data.

use super::event::Status;
use super::materialize::BuildError;
use super::node::{Node, Relation};
use super::session::{RelationKind, Session};
use crate::database::{DatabaseError, Rows};

/// How many of the mistakes are shown.
const SAMPLE_ROWS: usize = 5;

/// What a test found.
pub(super) struct Finding {
    pub(super) status: Status,
    pub(super) failures: u64,
    pub(super) sample: Option<Rows>,
    pub(super) message: Option<String>,
    pub(super) stored: Option<Relation>,
}

/// Runs the test's SQL and judges what it gives.
pub(super) async fn run(session: &Session, node: &Node, sql: &str) -> Result<Finding, BuildError> {
    let limit = node.config.get("limit").and_then(serde_json::Value::as_u64);
    let limited = limit.map_or_else(|| sql.to_owned(), |limit| format!("{sql}\nlimit {limit}"));
    let stored = if node.config.flag("store_failures").unwrap_or(false) {
        Some(store(session, node, &limited).await?)
    } else {
        None
    };
    let from = stored
        .as_ref()
        .map_or_else(|| format!("(\n{limited}\n) towpath_test"), |relation| format!("{relation} towpath_test"));
    let measure = node.config.text("fail_calc").unwrap_or("count(*)");
    let threshold = |key: &str| node.config.text(key).unwrap_or("!= 0").to_owned();
    let (warn_if, error_if) = (threshold("warn_if"), threshold("error_if"));
    let rows = session
        .database
        .query(&format!(
            "select {measure} as failures, case when {measure} {warn_if} then 1 else 0 end as should_warn, \
             case when {measure} {error_if} then 1 else 0 end as should_error from {from}"
        ))
        .await?;
    let Some([failures, should_warn, should_error]) =
        rows.rows.first().and_then(|row| <&[_; 3]>::try_from(row.as_slice()).ok())
    else {
        return Err(BuildError::Unfit("the test's `fail_calc` did not give exactly one row".to_owned()));
    };
    let failures = count(failures.as_deref())?;
    let fires = |cell: &Option<String>| cell.as_deref() == Some("1");
    let only_warns = node.config.text("severity").is_some_and(|severity| severity.eq_ignore_ascii_case("warn"));
    let status = if fires(should_error) && !only_warns {
        Status::Failed
    } else if fires(should_warn) {
        Status::Warned
    } else {
        Status::Passed
    };
    let sample = if status == Status::Passed {
        None
    } else {
        Some(session.database.query(&format!("select * from {from} limit {SAMPLE_ROWS}")).await?)
    };
    let condition = if status == Status::Failed { &error_if } else { &warn_if };
    let message = (status != Status::Passed).then(|| match (&stored, condition.as_str()) {
        (Some(relation), _) => format!("{failures} mistakes, kept in {relation}"),
        (None, "!= 0") => format!("{failures} mistakes"),
        (None, condition) => format!("{failures} mistakes, which is {condition}"),
    });
    Ok(Finding { status, failures, sample, message, stored })
}

fn count(cell: Option<&str>) -> Result<u64, BuildError> {
    let Some(text) = cell else { return Ok(0) };
    let number = text
        .parse::<f64>()
        .map_err(|_| BuildError::Unfit(format!("the test's `fail_calc` gave `{text}`, not a number")))?;
    Ok(number.max(0.0) as u64)
}

async fn store(session: &Session, node: &Node, sql: &str) -> Result<Relation, DatabaseError> {
    let relation = node.relation.clone();
    let statements = [format!("drop table if exists {relation}"), format!("create table {relation} as (\n{sql}\n)")];
    session.database.transaction(&statements).await?;
    session.note(&relation, Some(RelationKind::Table));
    Ok(relation)
}
