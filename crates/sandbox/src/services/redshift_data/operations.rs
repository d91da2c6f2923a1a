//! The operations: submit, ask, fetch, cancel, list.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_postgres::NoTls;

use super::run::Outcome;
use super::statements::{self, Piece, Statement, Status};
use super::{CODES, parameters, results, warehouse};
use crate::call::{ApiError, Input};
use crate::clock::Timestamp;
use crate::cloud::Cloud;
use crate::services::logs;

const MOST_IN_BATCH: usize = 40;
const LONGEST_SQL: usize = 100 * 1024;

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}

/// `ExecuteStatement`.
pub(super) async fn execute(cloud: Cloud, input: Value) -> Result<Value, ApiError> {
    let request = Input::new(&input, &CODES);
    let sql = request.required("Sql")?.to_owned();
    submit(&cloud, request, vec![sql], false).await
}

/// `BatchExecuteStatement`.
pub(super) async fn batch_execute(cloud: Cloud, input: Value) -> Result<Value, ApiError> {
    let request = Input::new(&input, &CODES);
    let sqls: Vec<String> = request.texts("Sqls")?.into_iter().map(str::to_owned).collect();
    if sqls.is_empty() || sqls.len() > MOST_IN_BATCH {
        return Err(invalid(format!("Sqls must have between 1 and {MOST_IN_BATCH} statements")));
    }
    submit(&cloud, request, sqls, true).await
}

async fn submit(cloud: &Cloud, request: Input<'_>, sqls: Vec<String>, is_batch: bool) -> Result<Value, ApiError> {
    let token = request.text("ClientToken")?;
    if let Some(known) = token.and_then(statements::by_token) {
        return Ok(submitted(&known));
    }
    if sqls.iter().any(|sql| sql.trim().is_empty() || sql.len() > LONGEST_SQL) {
        return Err(invalid("The SQL must have between 1 byte and 100 KB"));
    }
    let earlier = match request.text("SessionId")? {
        Some(id) if !statements::has_session(id) => {
            return Err(ApiError::new("ResourceNotFoundException", format!("Session {id} does not exist")));
        }
        other => other.map(str::to_owned),
    };
    let (workgroup, namespace, database) = place(cloud, request)?;
    let mut values = Vec::new();
    for parameter in request.structures("Parameters")? {
        values.push((parameter.required("name")?.to_owned(), parameter.required("value")?.to_owned()));
    }
    let bound: Result<Vec<String>, String> = sqls.iter().map(|sql| parameters::bind(sql, &values)).collect();
    let pieces = bound.map_err(|name| invalid(format!("Parameter {name} has no value")))?;
    let config = warehouse::config(cloud, &namespace)
        .await
        .map_err(|error| ApiError::new("InternalServerException", error).status(500))?;
    log(cloud, &namespace, &pieces);
    let session = match (earlier, request.integer("SessionKeepAliveSeconds")?) {
        (None, Some(_)) => Some(statements::open_session(&config).await.map_err(invalid)?),
        (earlier, _) => earlier,
    };
    let now = Timestamp::now();
    let piece =
        |sql| Piece { sql, status: Status::Submitted, error: None, outcome: None, nanoseconds: 0, updated: now };
    let statement = Statement {
        id: uuid::Uuid::new_v4().to_string(),
        name: request.text("StatementName")?.map(str::to_owned),
        workgroup,
        database,
        secret: request.text("SecretArn")?.map(str::to_owned),
        parameters: values,
        format: format(request)?,
        session,
        is_batch,
        in_transaction: request.text("ExecutionMode")? != Some("AUTO_COMMIT"),
        number: 0,
        created: now,
        updated: now,
        status: Status::Submitted,
        error: None,
        pieces: pieces.into_iter().map(piece).collect(),
        cancel: None,
        changed: std::sync::Arc::default(),
    };
    let statement = statements::add(statement, token);
    cloud.spawn(statements::perform(statement.id.clone(), config));
    wait(request, &statement.id).await?;
    Ok(submitted(&statement))
}

/// The form a result is to have.
fn format(request: Input<'_>) -> Result<&'static str, ApiError> {
    match request.text("ResultFormat")? {
        None | Some("JSON") => Ok("JSON"),
        Some("CSV") => Ok("CSV"),
        Some(other) => Err(invalid(format!("Invalid ResultFormat: {other}"))),
    }
}

/// Writes to the log groups of a namespace that exports logs: each is made by the first entry for it. Source: Redshift
/// management guide, "Audit logging for Amazon Redshift Serverless": `/aws/redshift/<namespace>/<log_type>`.
fn log(cloud: &Cloud, namespace: &str, sqls: &[String]) {
    let exports = cloud.read(|world| {
        world.redshift_serverless.namespaces.get(namespace).map(|own| own.log_exports.clone()).unwrap_or_default()
    });
    let exports = exports.unwrap_or_default();
    if exports.is_empty() {
        return;
    }
    let changes_users = |sql: &String| {
        let mut words = sql.split_whitespace().map(str::to_lowercase);
        let verb = words.next().is_some_and(|word| ["create", "alter", "drop"].contains(&word.as_str()));
        verb && words.next().is_some_and(|word| word == "user")
    };
    let bytes = |sql: &String| sql.len() as u64 + 200;
    let now = cloud.clock().now();
    let written = cloud.write(|world| {
        for export in &exports {
            let bytes: u64 = match export.as_str() {
                "userlog" => sqls.iter().filter(|sql| changes_users(sql)).map(bytes).sum(),
                "useractivitylog" => sqls.iter().map(bytes).sum(),
                _ => 300,
            };
            if bytes > 0 {
                let group = format!("/aws/redshift/{namespace}/{export}");
                world.logs.written(logs::arn(cloud.place(), &group), &group, "serverless", bytes, now);
            }
        }
    });
    if let Err(error) = written {
        tracing::warn!(%error, "the audit log of a namespace could not be written");
    }
}

fn submitted(statement: &Statement) -> Value {
    json!({
        "Id": statement.id, "CreatedAt": statement.created.epoch(), "Database": statement.database, "WorkgroupName": statement.workgroup,
        "SecretArn": statement.secret, "SessionId": statement.session, "DbUser": statement.secret.is_none().then_some("IAM:sandbox"),
    })
}

/// Workgroup, namespace and database of a request; the secret, if one is named, must exist.
pub(super) fn place(cloud: &Cloud, request: Input<'_>) -> Result<(String, String, String), ApiError> {
    if request.has("ClusterIdentifier") {
        return Err(invalid("Provisioned clusters are not played; use WorkgroupName"));
    }
    let wanted = request.text("WorkgroupName")?;
    let session_workgroup = request
        .text("SessionId")?
        .and_then(|session| statements::all().into_iter().find(|own| own.session.as_deref() == Some(session)));
    let wanted = wanted
        .map(str::to_owned)
        .or(session_workgroup.map(|own| own.workgroup))
        .ok_or_else(|| invalid("WorkgroupName is required"))?;
    let secret = request.text("SecretArn")?;
    let asked = request.text("Database")?;
    let now = cloud.clock().now();
    let found = cloud.read(|world| {
        if secret.is_some_and(|id| world.secretsmanager.find(id).is_none_or(|secret| secret.deleted.is_some())) {
            return Err(invalid("Secrets Manager can't find the specified secret."));
        }
        let state = &world.redshift_serverless;
        let workgroup = state
            .workgroups
            .values()
            .find(|own| {
                (own.name == wanted || own.arn == wanted)
                    && !["", "CREATING", "DELETING"].contains(&own.lifecycle.at(now))
            })
            .ok_or_else(|| invalid(format!("Redshift endpoint doesn't exist in this region: {wanted}")))?;
        let namespace =
            state.namespaces.get(&workgroup.namespace).ok_or_else(|| invalid("The workgroup has no namespace"))?;
        Ok((workgroup.name.clone(), namespace.name.clone(), namespace.database().to_owned()))
    });
    let (workgroup, namespace, database) =
        found.map_err(|error| ApiError::new("InternalServerException", error.to_string()).status(500))??;
    match asked {
        Some(asked) if asked != database => Err(invalid(format!("FATAL: database \"{asked}\" does not exist"))),
        _ => Ok((workgroup, namespace, database)),
    }
}

/// The long poll: returns when the statement ends or `WaitTimeSeconds` have passed.
async fn wait(request: Input<'_>, id: &str) -> Result<(), ApiError> {
    let Some(seconds) = request.integer("WaitTimeSeconds")? else { return Ok(()) };
    if !(1..=30).contains(&seconds) {
        return Err(invalid("WaitTimeSeconds must be between 1 and 30"));
    }
    let ended = async {
        while let Some(statement) = statements::get(id) {
            let changed = statement.changed.notified();
            if statements::get(id).is_none_or(|own| own.status.is_final()) {
                break;
            }
            // A change between the look and the wait would go unheard, so the wait is short.
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
    };
    let limit = Duration::from_secs(u64::try_from(seconds).unwrap_or(1));
    if tokio::time::timeout(limit, ended).await.is_err() {
        tracing::trace!(id, "the long poll ended before the statement");
    }
    Ok(())
}

/// The statement of a request's `Id`, and the number of a sub-statement when the id names one.
fn find(request: Input<'_>) -> Result<(Statement, Option<usize>), ApiError> {
    let id = request.required("Id")?;
    let (own, part) = match id.split_once(':') {
        Some((own, part)) => (own, Some(part.parse::<usize>().map_err(|_| invalid(format!("Invalid id: {id}")))?)),
        None => (id, None),
    };
    let missing = || ApiError::new("ResourceNotFoundException", format!("Query does not exist: {id}"));
    let statement = statements::get(own).ok_or_else(missing)?;
    if statement.is_expired(Timestamp::now()) {
        return Err(invalid(format!("Query {id} has expired: results are kept for 24 hours.")));
    }
    if part.is_some_and(|part| part == 0 || part > statement.pieces.len()) {
        return Err(missing());
    }
    Ok((statement, part))
}

/// `DescribeStatement`.
pub(super) async fn describe(input: Value) -> Result<Value, ApiError> {
    let request = Input::new(&input, &CODES);
    let (statement, part) = find(request)?;
    wait(request, &statement.id).await?;
    let statement = statements::get(&statement.id).unwrap_or(statement);
    Ok(results::describe(&statement, part))
}

/// `GetStatementResult`, of a statement whose results are JSON.
pub(super) async fn result(input: Value) -> Result<Value, ApiError> {
    let request = Input::new(&input, &CODES);
    let outcome = outcome(request, "JSON").await?;
    results::page(&outcome, request.text("NextToken")?).ok_or_else(|| invalid("Invalid NextToken"))
}

/// `GetStatementResultV2`, of a statement whose results are CSV.
pub(super) async fn formatted_result(input: Value) -> Result<Value, ApiError> {
    let request = Input::new(&input, &CODES);
    let outcome = outcome(request, "CSV").await?;
    results::csv_page(&outcome, request.text("NextToken")?).ok_or_else(|| invalid("Invalid NextToken"))
}

/// What the statement of a request gave, once it has ended.
async fn outcome(request: Input<'_>, format: &str) -> Result<std::sync::Arc<Outcome>, ApiError> {
    let (statement, part) = find(request)?;
    wait(request, &statement.id).await?;
    let statement = statements::get(&statement.id).unwrap_or(statement);
    if statement.is_batch && part.is_none() {
        return Err(invalid("A batch has no result of its own; ask for a sub-statement"));
    }
    let piece = &statement.pieces[part.unwrap_or(1) - 1];
    if piece.status != Status::Finished {
        return Err(ApiError::new(
            "ResourceNotFoundException",
            format!("Query {} has no result: it is {}", statement.id, piece.status.text()),
        ));
    }
    if statement.format != format {
        return Err(invalid(format!("The results of query {} are in the format {}", statement.id, statement.format)));
    }
    piece.outcome.clone().filter(|outcome| outcome.columns.is_some()).ok_or_else(|| {
        ApiError::new(
            "ResourceNotFoundException",
            "Query does not have result. Please check query status with DescribeStatement.",
        )
    })
}

/// `CancelStatement`.
pub(super) async fn cancel(input: Value) -> Result<Value, ApiError> {
    let (statement, _) = find(Input::new(&input, &CODES))?;
    if statement.status.is_final() {
        return Err(invalid(format!(
            "Could not cancel a query that is already in {} state with ID: {}",
            statement.status.text(),
            statement.id
        )));
    }
    statements::change(&statement.id, |own| {
        own.status = Status::Aborted;
        own.error = Some("Query cancelled by user".to_owned());
    });
    if let Some(token) = statement.cancel
        && let Err(error) = token.cancel_query(NoTls).await
    {
        return Err(ApiError::new("InternalServerException", super::run::message(&error)).status(500));
    }
    Ok(json!({ "Status": true }))
}

/// `ListStatements`, the newest first.
pub(super) fn list(input: &Value) -> Result<Value, ApiError> {
    let request = Input::new(input, &CODES);
    let (name, status) = (request.text("StatementName")?, request.text("Status")?);
    let size = usize::try_from(request.integer("MaxResults")?.unwrap_or(100)).unwrap_or(100).min(100);
    let start = match request.text("NextToken")? {
        Some(token) => token.parse::<usize>().map_err(|_| invalid("Invalid NextToken"))?,
        None => 0,
    };
    let (workgroup, database) = (request.text("WorkgroupName")?, request.text("Database")?);
    let found: Vec<Statement> = statements::all()
        .into_iter()
        .filter(|own| {
            workgroup.is_none_or(|name| name == own.workgroup) && database.is_none_or(|name| name == own.database)
        })
        .filter(|own| name.is_none_or(|name| own.name.as_deref().is_some_and(|own| own.starts_with(name))))
        .filter(|own| match status {
            Some("ALL") => true,
            Some(status) => own.status.text() == status,
            None => own.status == Status::Finished,
        })
        .collect();
    let next = start + size;
    let page: Vec<Value> = found.iter().skip(start).take(size).map(results::listed).collect();
    Ok(json!({ "Statements": page, "NextToken": (next < found.len()).then(|| next.to_string()) }))
}
