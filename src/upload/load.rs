//! One file into one table, in one transaction.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::SinkExt;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use super::{Column, KEY, Options, Outcome, Scanned, UploadError, UploadEvent, Uploaded, scan};
use crate::database::postgres::{Postgres, Session};
use crate::database::{DatabaseError, quote_identifier, quote_literal};

/// What the comment of an uploaded table begins with; the rest is a [`Mark`] in JSON.
const MARK: &str = "towpath upload ";

/// Bytes sent at a time.
const CHUNK: usize = 1 << 18;

/// What is remembered about an upload, in the table's comment.
#[derive(serde::Serialize, serde::Deserialize)]
struct Mark {
    file: String,
    sha256: String,
    types: BTreeMap<String, String>,
    rows: u64,
    loaded_at: DateTime<Utc>,
}

/// Uploads one file, or finds that its table already holds it.
pub(super) async fn file(
    database: &Postgres,
    path: &Path,
    options: &Options,
    on_event: &(dyn Fn(UploadEvent) + Sync),
) -> Result<Uploaded, UploadError> {
    let failed = |source| UploadError::Database { path: path.to_owned(), source };
    let table = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let declared = options.types.get(&table).cloned().unwrap_or_default();
    let present = existing(database, &options.schema, &table).await.map_err(failed)?;
    let mark = present.as_ref().and_then(|comment| parse_mark(comment));
    if present.is_some() && mark.is_none() && !options.replace {
        return Err(UploadError::Occupied { path: path.to_owned(), table: format!("{}.{table}", options.schema) });
    }
    if let Some(mark) = mark.filter(|mark| mark.types == declared)
        && mark.sha256 == blocking(path, hash).await?
    {
        let (rows, loaded_at) = (mark.rows, mark.loaded_at);
        let (file, columns, outcome) = (path.to_owned(), Vec::new(), Outcome::Unchanged);
        return Ok(Uploaded { file, table, rows, columns, loaded_at, outcome });
    }
    let types = declared.clone();
    let scanned = blocking(path, move |path| super::scan(path, &types)).await?;
    let read = |source| UploadError::Read { path: path.to_owned(), source };
    let bytes = path.metadata().map_err(read)?.len();
    let (columns, rows) = (scanned.columns.clone(), scanned.rows);
    on_event(UploadEvent::FileChecked { table: table.clone(), columns, rows, bytes });
    let load = Load { path, schema: &options.schema, table: &table, scanned: &scanned, bytes, on_event };
    let loaded_at = load.run(database, declared).await?;
    let (file, columns, outcome) = (path.to_owned(), scanned.columns, Outcome::Loaded);
    Ok(Uploaded { file, table, rows: scanned.rows, columns, loaded_at, outcome })
}

/// When each uploaded table got its present rows.
pub(super) async fn loaded_at(
    database: &Postgres,
    schema: &str,
) -> Result<BTreeMap<String, DateTime<Utc>>, DatabaseError> {
    let sql = format!(
        "select c.relname, obj_description(c.oid, 'pg_class') from pg_class c \
         join pg_namespace n on n.oid = c.relnamespace where n.nspname = {} and c.relkind = 'r'",
        quote_literal(schema)
    );
    let (rows, _) = database.run(&sql).await?;
    let loaded = |row: Vec<Option<String>>| {
        let [table, comment] = <[_; 2]>::try_from(row).ok()?;
        Some((table?, parse_mark(&comment?)?.loaded_at))
    };
    Ok(rows.rows.into_iter().filter_map(loaded).collect())
}

/// The comment of a table (empty without one), `None` when nothing has that name.
async fn existing(database: &Postgres, schema: &str, table: &str) -> Result<Option<String>, DatabaseError> {
    let sql = format!(
        "select coalesce(case when c.relkind = 'r' then obj_description(c.oid, 'pg_class') end, '') from pg_class c \
         join pg_namespace n on n.oid = c.relnamespace where n.nspname = {} and c.relname = {}",
        quote_literal(schema),
        quote_literal(table)
    );
    let (rows, _) = database.run(&sql).await?;
    Ok(rows.rows.into_iter().next().and_then(|mut row| row.remove(0)))
}

fn parse_mark(comment: &str) -> Option<Mark> {
    serde_json::from_str(comment.strip_prefix(MARK)?).ok()
}

/// Runs a reading of the file where it may take its time.
async fn blocking<T: Send + 'static>(
    path: &Path,
    read: impl FnOnce(&Path) -> Result<T, UploadError> + Send + 'static,
) -> Result<T, UploadError> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || read(&path)).await.expect("reading a file does not panic")
}

fn hash(path: &Path) -> Result<String, UploadError> {
    let read = |source| UploadError::Read { path: path.to_owned(), source };
    let mut hash = Sha256::new();
    std::io::copy(&mut std::fs::File::open(path).map_err(read)?, &mut hash).map_err(read)?;
    Ok(scan::hex(hash))
}

/// A file that is known to be whole, on its way into its table.
struct Load<'a> {
    path: &'a Path,
    schema: &'a str,
    table: &'a str,
    scanned: &'a Scanned,
    bytes: u64,
    on_event: &'a (dyn Fn(UploadEvent) + Sync),
}

impl Load<'_> {
    /// Everything in one transaction. A failure, or the end of this process, drops the
    /// connection, and the server rolls back.
    async fn run(&self, database: &Postgres, types: BTreeMap<String, String>) -> Result<DateTime<Utc>, UploadError> {
        let session = database.session().await.map_err(|error| self.failed(error))?;
        self.create(&session).await?;
        self.copy(&session, database).await?;
        let loaded_at = self.swap(&session, types).await?;
        session.release();
        Ok(loaded_at)
    }

    async fn create(&self, session: &Session<'_>) -> Result<(), UploadError> {
        let lock = quote_literal(&format!("towpath upload {}.{}", self.schema, self.table));
        let schema = quote_identifier(self.schema);
        let begin = format!("begin; select pg_advisory_xact_lock(hashtextextended({lock}, 0))");
        session.run(&begin).await.map_err(|error| self.failed(error))?;
        // `if not exists` still asks for the right to create schemas, so look first.
        let known = format!("select 1 from pg_namespace where nspname = {}", quote_literal(self.schema));
        if session.run(&known).await.map_err(|error| self.failed(error))?.1 == 0 {
            session.run(&format!("create schema {schema}")).await.map_err(|error| self.failed(error))?;
        }
        let column = |column: &Column| format!("{} {}", quote_identifier(&column.name), column.type_name);
        let columns: Vec<_> = self.scanned.columns.iter().map(column).collect();
        let create = format!("create table {} ({})", self.side(), columns.join(", "));
        match session.run(&create).await {
            Ok(_) => Ok(()),
            Err(DatabaseError::Refused { message, code, position }) => {
                let named = self.scanned.columns.iter().find(|column| {
                    column.declared && message.contains(column.type_name.split(['(', '[']).next().unwrap_or_default())
                });
                Err(match named {
                    Some(column) => self.bad_type(&column.name, message),
                    None => self.failed(DatabaseError::Refused { code, message, position }),
                })
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn copy(&self, session: &Session<'_>, database: &Postgres) -> Result<(), UploadError> {
        let read = |source| UploadError::Read { path: self.path.to_owned(), source };
        let columns: Vec<_> = self.scanned.columns.iter().map(|column| quote_identifier(&column.name)).collect();
        // FREEZE spares the rows a second visit; it is allowed because the table is new here.
        let copy = format!(
            "copy {} ({}) from stdin (format csv, header true, freeze true, encoding 'utf8')",
            self.side(),
            columns.join(", ")
        );
        let sink = session.copy_in::<_, Bytes>(&copy).await.map_err(|error| self.failed(database.error(&error)))?;
        let mut sink = std::pin::pin!(sink);
        let mut file = tokio::fs::File::open(self.path).await.map_err(read)?;
        let (mut hash, mut sent) = (Sha256::new(), 0);
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            if (&mut file).take(CHUNK as u64).read_to_end(&mut chunk).await.map_err(read)? == 0 {
                break;
            }
            hash.update(&chunk);
            let mark = if sent == 0 && chunk.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
            sent += chunk.len() as u64;
            sink.send(Bytes::from(chunk).slice(mark..)).await.map_err(|error| self.refused(database, &error))?;
            let table = self.table.to_owned();
            (self.on_event)(UploadEvent::FileProgressed { table, sent, bytes: self.bytes });
        }
        if scan::hex(hash) != self.scanned.hash {
            return Err(UploadError::Changed { path: self.path.to_owned() });
        }
        sink.finish().await.map_err(|error| self.refused(database, &error))?;
        Ok(())
    }

    /// Key, comment, and the new table in the old one's place.
    async fn swap(&self, session: &Session<'_>, types: BTreeMap<String, String>) -> Result<DateTime<Utc>, UploadError> {
        let side = self.side();
        let constraint = quote_identifier(&bounded(self.table, "__towpath_upload_pkey"));
        let keyed = self.scanned.columns.iter().any(|column| column.name == KEY);
        if keyed {
            let key = format!("alter table {side} add constraint {constraint} primary key (\"{KEY}\")");
            if let Err(error) = session.run(&key).await {
                return Err(self.duplicate(error).await);
            }
        }
        // Taken before the commit, which makes the rows visible: a load that began later than
        // this may yet have missed them, but only within this last step.
        let now = session.run("select to_char(clock_timestamp(), 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')").await;
        let (rows, _) = now.map_err(|error| self.failed(error))?;
        let loaded_at = rows.rows[0][0].as_deref().and_then(|text| text.parse().ok());
        let loaded_at = loaded_at.expect("the statement above prints an instant in this very form");
        let file = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mark = Mark { file, sha256: self.scanned.hash.clone(), types, rows: self.scanned.rows, loaded_at };
        let mark = serde_json::to_string(&mark).expect("a mark has only text keys");
        let target = format!("{}.{}", quote_identifier(self.schema), quote_identifier(self.table));
        let statements = [
            format!("comment on table {side} is {}", quote_literal(&format!("{MARK}{mark}"))),
            format!("analyze {side}"),
            format!("drop table if exists {target}"),
            format!("alter table {side} rename to {}", quote_identifier(self.table)),
        ];
        // The name of the key, too, is free only once the old table is gone.
        let key = quote_identifier(&bounded(self.table, "_pkey"));
        let rename = keyed.then(|| format!("alter table {target} rename constraint {constraint} to {key}"));
        for statement in statements.into_iter().chain(rename).chain(["commit".to_owned()]) {
            session.run(&statement).await.map_err(|error| self.failed(error))?;
        }
        Ok(loaded_at)
    }

    fn side_name(&self) -> String {
        bounded(self.table, "__towpath_upload")
    }

    fn side(&self) -> String {
        format!("{}.{}", quote_identifier(self.schema), quote_identifier(&self.side_name()))
    }

    fn failed(&self, source: DatabaseError) -> UploadError {
        UploadError::Database { path: self.path.to_owned(), source }
    }

    fn bad_type(&self, column: &str, reason: String) -> UploadError {
        UploadError::BadType { path: self.path.to_owned(), column: column.to_owned(), reason }
    }

    /// A refused row, with the line, column and value that the server names in its context.
    fn refused(&self, database: &Postgres, error: &tokio_postgres::Error) -> UploadError {
        let found = error.as_db_error().and_then(|refusal| {
            let context = refusal.where_()?;
            let prefix = format!("COPY {}, line ", self.side_name());
            let rest = &context[context.find(&prefix)? + prefix.len()..];
            let (line, rest) = rest.split_at(rest.find(|digit: char| !digit.is_ascii_digit())?);
            let named = |column: &&Column| rest.starts_with(&format!(", column {}: ", column.name));
            let column = self.scanned.columns.iter().find(named)?.name.clone();
            let value = rest[", column : ".len() + column.len()..].trim_matches('"').to_owned();
            let reason = refusal.message().to_owned();
            Some(UploadError::BadValue { path: self.path.to_owned(), line: line.parse().ok()?, column, value, reason })
        });
        found.unwrap_or_else(|| self.failed(database.error(error)))
    }

    /// Two rows with one key: the server names the value, the file has the lines.
    async fn duplicate(&self, error: DatabaseError) -> UploadError {
        let DatabaseError::Refused { code: Some(code), message, .. } = &error else { return self.failed(error) };
        let value = message.split_once("(id)=(").and_then(|(_, rest)| rest.rsplit_once(") is duplicated"));
        let (Some((value, _)), "23505") = (value, code.as_str()) else { return self.failed(error) };
        let (value, wanted) = (value.to_owned(), value.to_owned());
        let key = self.scanned.columns.iter().position(|column| column.name == KEY).unwrap_or_default();
        let lines = blocking(self.path, move |path| Ok(lines_with(path, key, &wanted))).await;
        match lines.as_deref() {
            Ok(&[first, second]) => {
                UploadError::DuplicateKey { path: self.path.to_owned(), value, lines: (first, second) }
            }
            _ => self.failed(error),
        }
    }
}

/// The first two lines on which a field has a value.
fn lines_with(path: &Path, field: usize, value: &str) -> Vec<u64> {
    let mut lines = Vec::new();
    let Ok(file) = std::fs::File::open(path) else { return lines };
    let Ok(mut scanner) = scan::Scanner::new(std::io::BufReader::new(file)) else { return lines };
    let mut record = scan::Record::default();
    while lines.len() < 2 && matches!(scanner.next(&mut record), Ok(true)) {
        if record.get(field) == Some(value) {
            lines.push(record.line);
        }
    }
    lines
}

/// A name with a suffix, within PostgreSQL's 63 bytes: longer ones get a hash in the middle.
fn bounded(name: &str, suffix: &str) -> String {
    if name.len() + suffix.len() <= 63 {
        return format!("{name}{suffix}");
    }
    let mut hash = Sha256::new();
    hash.update(name);
    let hash = &scan::hex(hash)[..8];
    let mut end = 63 - suffix.len() - hash.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{hash}{suffix}", &name[..end])
}
