//! CSV files with a header become tables of the source database.
//!
//! A file is read once to find its types and faults and once more into a side table, which takes
//! the old table's place in the same transaction: killed at any moment, the old table stands. A
//! hash in the table's comment lets unchanged files be skipped. Tables that were not uploaded
//! are not touched. Reading CSV is `scan`, choosing types `infer`, talking to the server `load`.

mod infer;
mod load;
mod scan;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use futures::StreamExt;

use crate::database::DatabaseError;
use crate::database::postgres::Postgres;

/// What to upload with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The schema the tables live in; made when missing.
    pub schema: String,
    /// Declared types by table and column, as PostgreSQL type names. Other columns are inferred.
    pub types: BTreeMap<String, BTreeMap<String, String>>,
    /// Whether a table of the same name that was not uploaded by towpath may be replaced.
    pub replace: bool,
    /// How many files at a time.
    pub parallel: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { schema: "public".to_owned(), types: BTreeMap::new(), replace: false, parallel: 2 }
    }
}

/// A column as it was created.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Column {
    /// The name in the header.
    pub name: String,
    /// The PostgreSQL type.
    pub type_name: String,
    /// Whether the type was given rather than inferred.
    pub declared: bool,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The table now holds the file's rows.
    Loaded,
    /// The table already held this very file.
    Unchanged,
}

/// One uploaded file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Uploaded {
    /// The file.
    pub file: PathBuf,
    /// The table, named like the file without `.csv`.
    pub table: String,
    /// Rows in the table when it was loaded.
    pub rows: u64,
    /// Its columns; empty when the file was unchanged.
    pub columns: Vec<Column>,
    /// When the server loaded it, by the server's clock.
    pub loaded_at: DateTime<Utc>,
    /// What was done.
    pub outcome: Outcome,
}

/// What happened to all files; one file's failure does not stop the others.
#[derive(Debug, Default)]
pub struct Summary {
    /// In the order of file names.
    pub uploaded: Vec<Uploaded>,
    /// The files that were not loaded, and why.
    pub failed: Vec<UploadError>,
}

/// Progress of one file.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum UploadEvent {
    /// The file is whole; these are its columns.
    FileChecked {
        /// Table.
        table: String,
        /// Columns in order.
        columns: Vec<Column>,
        /// Data rows.
        rows: u64,
        /// Size in bytes.
        bytes: u64,
    },
    /// Some more of the file was sent.
    FileProgressed {
        /// Table.
        table: String,
        /// Bytes sent so far.
        sent: u64,
        /// Size in bytes.
        bytes: u64,
    },
    /// The file is done.
    FileUploaded(Uploaded),
}

/// Why a file was not loaded. Its table is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// There is nothing to upload.
    #[error("{path}: no file ends in .csv here")]
    NoFiles {
        /// The folder.
        path: PathBuf,
    },
    /// The file system failed.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file is not proper CSV.
    #[error("{path}:{line}: {}{reason}", column.as_ref().map(|column| format!("column `{column}`: ")).unwrap_or_default())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The line, from 1, with the header.
        line: u64,
        /// The column, where it can be told.
        column: Option<String>,
        /// What is wrong.
        reason: String,
    },
    /// A value does not fit its column's type.
    #[error("{path}:{line}: column `{column}`: {reason} (value: {value})")]
    BadValue {
        /// The file.
        path: PathBuf,
        /// The line on which the row ends, from 1, with the header.
        line: u64,
        /// The column.
        column: String,
        /// The value, cut at some hundred characters.
        value: String,
        /// The server's message.
        reason: String,
    },
    /// The key column holds a value twice.
    #[error("{path}:{}: `id` is {value} here and on line {}, but it is the key", lines.1, lines.0)]
    DuplicateKey {
        /// The file.
        path: PathBuf,
        /// The value.
        value: String,
        /// The first two lines with it.
        lines: (u64, u64),
    },
    /// The stack file declares a type that cannot be used.
    #[error("{path}: the declared type of `{column}` cannot be used: {reason}")]
    BadType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What is wrong.
        reason: String,
    },
    /// A table of this name was made by somebody else.
    #[error(
        "{path}: the table {table} exists and was not uploaded by towpath; it stays as it is unless replacing it is allowed"
    )]
    Occupied {
        /// The file.
        path: PathBuf,
        /// Schema and table.
        table: String,
    },
    /// The file changed while it was uploaded.
    #[error("{path}: the file changed while it was being uploaded; upload it again")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The server refused or went away.
    #[error("{path}: {source}")]
    Database {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: DatabaseError,
    },
}

/// Uploads a CSV file, or every `*.csv` of a folder in the order of names.
///
/// An empty field without quotes is NULL, `""` is the empty string. A column named `id` becomes
/// the primary key. Errors of single files are in the summary; an error of the whole is returned.
pub async fn run(
    database: &Postgres,
    from: &Path,
    options: &Options,
    on_event: &(dyn Fn(UploadEvent) + Sync),
) -> Result<Summary, UploadError> {
    let files = files(from)?;
    let uploads = futures::stream::iter(files)
        .map(|file| async move { load::file(database, &file, options, on_event).await })
        .buffered(options.parallel.max(1));
    let mut summary = Summary::default();
    let mut uploads = std::pin::pin!(uploads);
    while let Some(result) = uploads.next().await {
        match result {
            Ok(uploaded) => {
                on_event(UploadEvent::FileUploaded(uploaded.clone()));
                summary.uploaded.push(uploaded);
            }
            Err(error) => summary.failed.push(error),
        }
    }
    Ok(summary)
}

/// When each table of the schema that was uploaded got its present rows, by the server's clock.
pub async fn loaded_at(database: &Postgres, schema: &str) -> Result<BTreeMap<String, DateTime<Utc>>, DatabaseError> {
    load::loaded_at(database, schema).await
}

fn files(from: &Path) -> Result<Vec<PathBuf>, UploadError> {
    let read = |source| UploadError::Read { path: from.to_owned(), source };
    if !from.metadata().map_err(read)?.is_dir() {
        return Ok(vec![from.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in from.read_dir().map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.extension().is_some_and(|extension| extension == "csv") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(UploadError::NoFiles { path: from.to_owned() });
    }
    Ok(files)
}

/// What a whole reading of a file found.
struct Scanned {
    columns: Vec<Column>,
    rows: u64,
    hash: String,
}

/// Reads a file whole: is it proper CSV, and of which types?
fn scan(path: &Path, declared: &BTreeMap<String, String>) -> Result<Scanned, UploadError> {
    let read = |source| UploadError::Read { path: path.to_owned(), source };
    let input = BufReader::with_capacity(1 << 18, File::open(path).map_err(read)?);
    let names = &mut Vec::new();
    let failed = |error, names: &[String]| match error {
        scan::ScanError::Read(source) => read(source),
        scan::ScanError::Broken(broken) => UploadError::Broken {
            path: path.to_owned(),
            line: broken.line,
            column: broken.field.and_then(|field| names.get(field).cloned()),
            reason: broken.reason,
        },
    };
    let broken = |line, column: Option<&str>, reason: String| UploadError::Broken {
        path: path.to_owned(),
        line,
        column: column.map(str::to_owned),
        reason,
    };
    let mut scanner = scan::Scanner::new(input).map_err(|error| failed(error, names))?;
    let mut record = scan::Record::default();
    if !scanner.next(&mut record).map_err(|error| failed(error, names))? {
        return Err(broken(1, None, "the file is empty; its first line must name the columns".to_owned()));
    }
    header(&record, names).map_err(|reason| broken(1, None, reason))?;
    let mut seen = vec![infer::Seen::default(); names.len()];
    let mut rows = 0;
    while scanner.next(&mut record).map_err(|error| failed(error, names))? {
        if record.len() != names.len() {
            let reason = format!("{} fields, but the header names {}", record.len(), names.len());
            return Err(broken(record.line, None, reason));
        }
        rows += 1;
        for (field, seen) in seen.iter_mut().enumerate() {
            seen.add(record.get(field), record.line);
        }
    }
    if let Some(line) = names.iter().position(|name| name == KEY).and_then(|key| seen[key].first_null) {
        return Err(broken(line, Some(KEY), "is empty, but it is the key".to_owned()));
    }
    let columns = names
        .iter()
        .zip(&seen)
        .map(|(name, seen)| Column {
            name: name.clone(),
            type_name: declared.get(name).cloned().unwrap_or_else(|| seen.type_name()),
            declared: declared.contains_key(name),
        })
        .collect();
    check_declared(path, names, declared)?;
    Ok(Scanned { columns, rows, hash: scanner.hash().map_err(read)? })
}

/// The column that becomes the primary key where it exists.
const KEY: &str = "id";

fn header(record: &scan::Record, names: &mut Vec<String>) -> Result<(), String> {
    for field in 0..record.len() {
        let name = record.get(field).unwrap_or_default();
        if name.trim().is_empty() {
            return Err(format!("column {} of the header has no name", field + 1));
        }
        if name.len() > 63 {
            return Err(format!("the column name `{name}` is longer than PostgreSQL's 63 bytes"));
        }
        if names.iter().any(|known| known == name) {
            return Err(format!("the header names column `{name}` twice"));
        }
        names.push(name.to_owned());
    }
    Ok(())
}

/// Declared types become part of a statement: only names, lengths and `[]` may pass.
fn check_declared(path: &Path, names: &[String], declared: &BTreeMap<String, String>) -> Result<(), UploadError> {
    for (column, type_name) in declared {
        let bad = |reason| UploadError::BadType { path: path.to_owned(), column: column.clone(), reason };
        if !names.contains(column) {
            return Err(bad(format!("the file has no such column; it has {}", names.join(", "))));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" _(),[].".contains(&byte);
        if type_name.trim().is_empty() || !type_name.bytes().all(plain) {
            return Err(bad(format!("`{type_name}` is not the name of a type")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
