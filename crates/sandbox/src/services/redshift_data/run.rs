//! Runs one statement on the warehouse and types its result the way the Data API does.
//!
//! The statement runs as it is first. What PostgreSQL refuses for its words (SQLSTATE class 42) is translated and
//! tried once more, and again for every column name it does not know that is an alias of the select itself.

use std::sync::Arc;

use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::redshift_sql::{self, Aliases};

/// How many unknown column names one statement may resolve by its own aliases.
const ALIAS_ROUNDS: usize = 12;

/// A column of a result: the name, and the PostgreSQL type with its modifier.
#[derive(Debug, Clone)]
pub(crate) struct ColumnShape {
    /// The name in the result.
    pub name: String,
    /// The type.
    pub type_: Type,
    /// Length or precision and scale as PostgreSQL packs them, −1 without.
    pub modifier: i32,
}

/// What a statement gave.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// The columns; `None` for a statement without a result set.
    pub columns: Option<Arc<Vec<ColumnShape>>>,
    /// The rows, every value in its text form.
    pub rows: Vec<Vec<Option<String>>>,
    /// Rows returned or changed.
    pub count: u64,
}

/// Runs `sql`, translating it if needed. `in_transaction`: a refused try must not end the caller's transaction.
///
/// # Errors
/// The text Redshift would answer with: `ERROR: relation "x" does not exist`.
pub(crate) async fn run(client: &Client, sql: &str, in_transaction: bool) -> Result<Outcome, String> {
    if let Some(refusal) = redshift_sql::refusal(sql) {
        return Err(refusal);
    }
    let mut text = redshift_sql::prepare(sql);
    let mut aliases = Aliases::new();
    let mut first: Option<tokio_postgres::Error> = None;
    for _ in 0..ALIAS_ROUNDS {
        let error = match attempt(client, &text, in_transaction).await {
            Ok(outcome) => return Ok(outcome),
            Err(error) => error,
        };
        if !is_about_words(&error) {
            // A translated statement that got as far as data is the one that counts.
            return Err(message(&error));
        }
        if let Some(name) = unknown_column(&error)
            && first.is_some()
            && !aliases.insert(name)
        {
            return Err(message(first.as_ref().unwrap_or(&error)));
        }
        let translated = redshift_sql::translate(&redshift_sql::prepare(sql), &aliases).ok();
        // The first complaint names the user's own words and is the one to show.
        let original = first.get_or_insert(error);
        match translated {
            Some(translated) if translated != text => text = translated,
            Some(_) if aliases.is_empty() && unknown_column(original).is_some_and(|name| aliases.insert(name)) => {
                let again = redshift_sql::translate(&redshift_sql::prepare(sql), &aliases).ok();
                match again {
                    Some(again) if again != text => text = again,
                    _ => return Err(message(original)),
                }
            }
            _ => return Err(message(original)),
        }
    }
    Err(first.map_or_else(|| "ERROR: statement too complex".to_owned(), |error| message(&error)))
}

/// One try, inside a savepoint when the caller has a transaction open.
async fn attempt(client: &Client, sql: &str, in_transaction: bool) -> Result<Outcome, tokio_postgres::Error> {
    if !in_transaction {
        return execute(client, sql).await;
    }
    client.batch_execute("SAVEPOINT attempt").await?;
    match execute(client, sql).await {
        Ok(outcome) => {
            client.batch_execute("RELEASE SAVEPOINT attempt").await?;
            Ok(outcome)
        }
        Err(error) => {
            client.batch_execute("ROLLBACK TO SAVEPOINT attempt").await?;
            Err(error)
        }
    }
}

/// Statements that return rows are described first: the text protocol itself does not tell types.
async fn execute(client: &Client, sql: &str) -> Result<Outcome, tokio_postgres::Error> {
    let returns_rows = matches!(
        redshift_sql::first_word(sql).as_str(),
        "select" | "with" | "show" | "values" | "explain" | "table" | "fetch"
    ) || sql.trim_start().starts_with('(');
    let columns = if returns_rows {
        let described = client.prepare(sql).await?;
        let shapes: Vec<ColumnShape> = described
            .columns()
            .iter()
            .map(|column| ColumnShape {
                name: column.name().to_owned(),
                type_: column.type_().clone(),
                modifier: column.type_modifier(),
            })
            .collect();
        (!shapes.is_empty()).then(|| Arc::new(shapes))
    } else {
        None
    };
    let mut outcome = Outcome { columns, ..Outcome::default() };
    for message in client.simple_query(sql).await? {
        match message {
            SimpleQueryMessage::Row(row) => {
                outcome.rows.push((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect());
            }
            SimpleQueryMessage::CommandComplete(count) => outcome.count = count,
            _ => {}
        }
    }
    Ok(outcome)
}

/// Whether PostgreSQL refused the statement's words rather than its data: syntax, unknown names, wrong types.
fn is_about_words(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|db| {
        let code = db.code();
        (code.code().starts_with("42")
            && !matches!(
                *code,
                SqlState::INSUFFICIENT_PRIVILEGE | SqlState::DUPLICATE_TABLE | SqlState::DUPLICATE_SCHEMA
            ))
            || *code == SqlState::FEATURE_NOT_SUPPORTED
    })
}

fn unknown_column(error: &tokio_postgres::Error) -> Option<String> {
    let db = error.as_db_error().filter(|db| *db.code() == SqlState::UNDEFINED_COLUMN)?;
    let name = db.message().strip_prefix("column \"")?.split('"').next()?;
    Some(name.to_lowercase())
}

/// An error as the Data API shows it.
pub(crate) fn message(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| format!("ERROR: {error}"), database_message)
}

fn database_message(error: &DbError) -> String {
    let mut text = format!("ERROR: {}", error.message());
    if let Some(detail) = error.detail() {
        text.push_str("\n  Detail: ");
        text.push_str(detail);
    }
    if let Some(hint) = error.hint() {
        text.push_str("\n  Hint: ");
        text.push_str(hint);
    }
    text
}
