//! SQL statements of kinds through the Redshift Data API, from submission to their end, and what a
//! refused one means.
//!
//! Names go into a statement as quoted identifiers and texts as literals, by the two functions here and
//! in no other way. Nothing here sleeps: the service holds its answer back until a statement ends.

use std::time::Duration;

use towpath_engine::fault::{Fault, FaultClass};

use crate::cloud::Cloud;
use crate::redshift_data::{self, Page, Part, Statement, Status, Target};

/// The operation that a refused statement is told under.
const STATEMENT: &str = "redshift-data:ExecuteStatement";

/// The operation whose answer ends a statement.
const DESCRIBE: &str = "redshift-data:DescribeStatement";

/// How long the service may hold an answer back.
const WAIT: Duration = Duration::from_secs(30);

/// How many answers are waited for: four minutes, in which a warehouse that slept is awake.
const LOOKS: u32 = 8;

/// A name as a quoted identifier. Redshift folds quoted names to lower case as it does unquoted ones,
/// unless `enable_case_sensitive_identifier` is on.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a literal. A backslash escapes in Redshift's literals, so it is doubled.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Runs statements in order as one transaction, to their end.
pub(super) async fn run(cloud: &Cloud, target: &Target, statements: &[String]) -> Result<Statement, Fault> {
    let token = uuid::Uuid::new_v4().to_string();
    let id = match statements {
        [one] => redshift_data::execute(cloud, target, one, &token).await?,
        several => redshift_data::execute_batch(cloud, target, several, &token).await?,
    };
    let statement = end(cloud, &id).await?;
    match statement.status {
        Status::Finished => Ok(statement),
        _ => Err(refused(&statement.id, statement.error.as_deref())),
    }
}

/// Runs statements that are nothing to each other, to their end: each has its own.
pub(super) async fn run_each(cloud: &Cloud, target: &Target, statements: &[String]) -> Result<Vec<Part>, Fault> {
    let token = uuid::Uuid::new_v4().to_string();
    let id = redshift_data::execute_each(cloud, target, statements, &token).await?;
    let statement = end(cloud, &id).await?;
    if statement.parts.is_empty() {
        return Err(refused(&statement.id, statement.error.as_deref()));
    }
    Ok(statement.parts)
}

/// The rows of a statement of a batch, of all pages. One without rows costs no call.
pub(super) async fn rows(cloud: &Cloud, part: &Part) -> Result<Vec<Vec<Option<String>>>, Fault> {
    if part.status != Status::Finished {
        return Err(refused(&part.id, part.error.as_deref()));
    }
    if part.rows == Some(0) || !part.has_result {
        return Ok(Vec::new());
    }
    let (mut all, mut next) = (Vec::new(), None);
    loop {
        let Page { rows, next: more, .. } = redshift_data::result(cloud, &part.id, next).await?;
        all.extend(rows);
        if more.is_none() {
            return Ok(all);
        }
        next = more;
    }
}

/// The rows of one query.
pub(super) async fn query(cloud: &Cloud, target: &Target, sql: String) -> Result<Vec<Vec<Option<String>>>, Fault> {
    let statement = run(cloud, target, &[sql]).await?;
    let Statement { id, status, error, has_result, rows: count, .. } = statement;
    rows(cloud, &Part { id, status, error, has_result, rows: count }).await
}

/// Waits for a statement. One that does not end is cancelled, so that it does not take effect when
/// nobody looks any more: most likely another transaction holds a lock.
async fn end(cloud: &Cloud, id: &str) -> Result<Statement, Fault> {
    for _ in 0..LOOKS {
        let look = redshift_data::describe(cloud, id, WAIT).await;
        // A statement that is not known yet has not ended; that its object is missing is not said by this.
        let statement = look.map_err(|fault| match fault.class {
            FaultClass::NotFound => Fault { class: FaultClass::Unavailable, ..fault },
            _ => fault,
        })?;
        if statement.status.is_final() {
            return Ok(statement);
        }
    }
    redshift_data::cancel(cloud, id).await?;
    let waited = WAIT * LOOKS;
    let message = format!(
        "the statement has not ended after {} s and was cancelled; another transaction may hold a lock \
         (statement {id})",
        waited.as_secs()
    );
    Err(told(FaultClass::Busy, DESCRIBE, message))
}

/// A statement that the server refused, with the server's words and the statement's id.
fn refused(id: &str, words: Option<&str>) -> Fault {
    let words = words.unwrap_or("the service gave no reason");
    let words = words.strip_prefix("ERROR: ").unwrap_or(words).trim_end();
    told(class(words), STATEMENT, format!("{words} (statement {id})"))
}

/// A fault whose code is the state that the statement ended in: the API tells no SQLSTATE.
fn told(class: FaultClass, operation: &str, message: String) -> Fault {
    Fault { class, operation: operation.to_owned(), code: "FAILED".to_owned(), message, request_id: None }
}

/// What the server's words mean. The messages are PostgreSQL's, from which Redshift has them; "could not
/// complete because of conflict with concurrent transaction" and "Serializable isolation violation" are
/// its own. Source: Amazon Redshift database developer guide, "Serializable isolation".
fn class(words: &str) -> FaultClass {
    let words = words.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    if has(&["permission denied", "must be owner", "must be superuser", "must be a superuser"]) {
        FaultClass::Denied
    } else if has(&["already exists"]) {
        FaultClass::AlreadyExists
    } else if has(&["does not exist", "doesn't exist"]) {
        FaultClass::NotFound
    } else if has(&["concurrent transaction", "isolation violation", "deadlock", "cancel", "concurrently"]) {
        FaultClass::Busy
    } else {
        FaultClass::Invalid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_cannot_leave_their_quotes() {
        assert_eq!(identifier(r#"a"; drop schema b; --"#), r#""a""; drop schema b; --""#);
        assert_eq!(literal(r"it's \' or"), r"'it''s \\'' or'");
    }

    #[test]
    fn the_servers_words_decide_what_happens_next() {
        for (words, expected) in [
            ("permission denied for database club", FaultClass::Denied),
            ("must be owner of schema analytics", FaultClass::Denied),
            ("schema \"analytics\" already exists", FaultClass::AlreadyExists),
            ("schema \"analytics\" does not exist", FaultClass::NotFound),
            ("1023 DETAIL: Serializable isolation violation on table", FaultClass::Busy),
            ("cannot drop schema analytics because other objects depend on it", FaultClass::Invalid),
        ] {
            assert_eq!(class(words), expected, "{words}");
        }
        let fault = refused("id-1", Some("ERROR: permission denied for database club"));
        assert_eq!(fault.message, "permission denied for database club (statement id-1)");
    }
}
