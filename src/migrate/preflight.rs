//! Looks at the source before a task starts: what DMS would cut off, leave out or fail on.
//!
//! Every check is a query on the catalog or on sizes; the rules are those of the DMS user guide
//! for PostgreSQL sources. Nothing is changed.

use serde::Serialize;

use super::Task;
use super::mappings::{Mappings, TableName};
use crate::database::postgres::Postgres;
use crate::database::{Database, DatabaseError, quote_identifier};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Warns,
    /// Data would be lost, or the task would fail.
    Blocks,
}

/// Something the preflight found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The table it is about; none for the server.
    pub table: Option<TableName>,
    /// What is the matter and what to do.
    pub message: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.table {
            Some(table) => write!(formatter, "{table}: {}", self.message),
            None => formatter.write_str(&self.message),
        }
    }
}

/// A table of the source that the mappings select.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceTable {
    pub name: TableName,
    /// By the server's statistics; none if it has none.
    pub rows: Option<u64>,
    has_key: bool,
    full_identity: bool,
    partitioned: bool,
    columns: Vec<SourceColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SourceColumn {
    name: String,
    type_name: String,
    in_key: bool,
}

impl SourceColumn {
    /// Whether DMS treats it as a large object.
    fn is_large(&self) -> bool {
        let large = ["text", "citext", "json", "jsonb", "bytea", "xml", "hstore", "tsvector", "tsquery"];
        large.contains(&self.type_name.as_str()) || self.type_name.ends_with("[]")
    }
}

const CATALOG: &str = "
    select n.nspname, c.relname, greatest(c.reltuples::bigint, -1),
        exists (select 1 from pg_index i where i.indrelid = c.oid and i.indisprimary),
        c.relreplident = 'f', c.relkind = 'p', a.attname, format_type(a.atttypid, a.atttypmod),
        coalesce((select a.attnum = any (i.indkey) from pg_index i where i.indrelid = c.oid and i.indisprimary), false)
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('r', 'p') and c.relpersistence = 'p'
        and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_%'
    order by n.nspname, c.relname, a.attnum";

/// The selected tables of the source, in the order of names.
pub(super) async fn tables(source: &Postgres, mappings: &Mappings) -> Result<Vec<SourceTable>, DatabaseError> {
    let mut tables: Vec<SourceTable> = Vec::new();
    for row in source.query(CATALOG).await?.rows {
        let text = |index: usize| row[index].clone().unwrap_or_default();
        let yes = |index: usize| row[index].as_deref() == Some("t");
        let name = TableName { schema: text(0), table: text(1) };
        if !mappings.selects(&name) {
            continue;
        }
        if tables.last().is_none_or(|table| table.name != name) {
            let rows = text(2).parse().ok();
            let (has_key, full_identity, partitioned) = (yes(3), yes(4), yes(5));
            tables.push(SourceTable { name, rows, has_key, full_identity, partitioned, columns: Vec::new() });
        }
        let column = SourceColumn { name: text(6), type_name: text(7), in_key: yes(8) };
        tables.last_mut().expect("one was pushed just now if there was none").columns.push(column);
    }
    Ok(tables)
}

/// Looks for trouble.
pub(super) async fn check(
    source: &Postgres,
    tables: &[SourceTable],
    task: &Task,
) -> Result<Vec<Finding>, DatabaseError> {
    let mut findings = Vec::new();
    for table in tables {
        check_table(table, task, &mut findings);
        check_sizes(source, table, &mut findings).await?;
    }
    if task.captures_changes() {
        findings.extend(server(source).await?);
    }
    Ok(findings)
}

fn check_table(table: &SourceTable, task: &Task, findings: &mut Vec<Finding>) {
    let mut find = |severity, message| findings.push(Finding { severity, table: Some(table.name.clone()), message });
    let large: Vec<_> = table.columns.iter().filter(|column| column.is_large()).map(|column| &*column.name).collect();
    if !table.has_key && !large.is_empty() {
        let columns = large.join(", ");
        find(
            Severity::Blocks,
            format!("without a primary key DMS leaves out its large columns ({columns}); add a key"),
        );
    }
    if !table.has_key && task.captures_changes() && !table.full_identity {
        let message =
            "updates and deletes are not replicated without a primary key; add one, or set REPLICA IDENTITY FULL";
        find(Severity::Blocks, message.to_owned());
    }
    if task.captures_changes()
        && let Some(column) = table.columns.iter().find(|column| column.in_key && column.is_large())
    {
        find(Severity::Warns, format!("the key column `{}` is a large object to DMS; give it a length", column.name));
    }
    for column in &table.columns {
        match column.type_name.as_str() {
            "numeric" => find(
                Severity::Warns,
                format!(
                    "`{}` is numeric without a precision: it arrives as numeric(28,6), further digits are cut",
                    column.name
                ),
            ),
            kind if kind.ends_with("multirange")
                || matches!(kind, "tsrange" | "tstzrange" | "daterange" | "geometry" | "geography") =>
            {
                find(
                    Severity::Warns,
                    format!("`{}` is of type {kind}, which DMS does not carry to Redshift", column.name),
                );
            }
            _ => {}
        }
    }
    if table.partitioned {
        find(
            Severity::Warns,
            "is partitioned: select the table or its partitions, not both, or rows arrive twice".to_owned(),
        );
    }
}

/// Large values are cut off at the task's limit (32 KB unless set) and can be 63 KB at most.
async fn check_sizes(source: &Postgres, table: &SourceTable, findings: &mut Vec<Finding>) -> Result<(), DatabaseError> {
    let large: Vec<_> = table.columns.iter().filter(|column| column.is_large()).collect();
    if large.is_empty() {
        return Ok(());
    }
    let maximum = |column: &&SourceColumn| format!("max(octet_length({}::text))", quote_identifier(&column.name));
    let maxima = large.iter().map(maximum).collect::<Vec<_>>().join(", ");
    let (schema, name) = (quote_identifier(&table.name.schema), quote_identifier(&table.name.table));
    let rows = source.query(&format!("select {maxima} from {schema}.{name}")).await?;
    for (column, bytes) in large.iter().zip(rows.rows.into_iter().next().unwrap_or_default()) {
        let bytes: u64 = bytes.and_then(|bytes| bytes.parse().ok()).unwrap_or_default();
        let (severity, limit) = match bytes {
            0..=32_768 => continue,
            32_769..=64_512 => (Severity::Warns, "above 32 KB: DMS cuts it off unless LobMaxSize is raised to 63"),
            _ => (Severity::Blocks, "above the 63 KB that DMS can bring to Redshift"),
        };
        let message = format!("the longest value of `{}` has {bytes} bytes, {limit}", column.name);
        findings.push(Finding { severity, table: Some(table.name.clone()), message });
    }
    Ok(())
}

/// What replicating changes needs of the server and its user.
pub async fn server(source: &Postgres) -> Result<Vec<Finding>, DatabaseError> {
    let rows = source
        .query(
            "select current_setting('wal_level'),
                current_setting('max_replication_slots')::int - (select count(*) from pg_replication_slots),
                (select setting::int from pg_settings where name = 'wal_sender_timeout'),
                (select count(*) from pg_prepared_xacts),
                (select count(*) from pg_stat_activity where xact_start < now() - interval '10 minutes'),
                (select rolsuper or rolreplication or exists (
                    select 1 from pg_roles r where r.rolname = 'rds_replication' and pg_has_role(u.oid, r.oid, 'member'))
                    from pg_roles u where u.rolname = current_user)",
        )
        .await?;
    let row = rows.rows.into_iter().next().unwrap_or_default();
    let [wal_level, slots, timeout, prepared, long, may_replicate] =
        std::array::from_fn(|index| row.get(index).cloned().flatten());
    let number = |text: Option<String>| text.and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
    let mut findings = Vec::new();
    let mut find =
        |severity, message: &str| findings.push(Finding { severity, table: None, message: message.to_owned() });
    if wal_level.as_deref() != Some("logical") {
        find(
            Severity::Blocks,
            "wal_level is not logical: set it (on RDS: rds.logical_replication = 1) and restart the server",
        );
    }
    if number(slots) < 1 {
        find(Severity::Blocks, "every replication slot is in use: drop unused ones or raise max_replication_slots");
    }
    if (1..10_000).contains(&number(timeout)) {
        find(Severity::Blocks, "wal_sender_timeout is below 10 seconds, at which DMS fails: raise it or set it to 0");
    }
    if may_replicate.as_deref() == Some("f") {
        find(
            Severity::Blocks,
            "the user may not replicate: ALTER ROLE … REPLICATION (on RDS: GRANT rds_replication TO …)",
        );
    }
    if number(prepared) > 0 {
        find(Severity::Blocks, "prepared transactions are open: the replication slot cannot be made before they end");
    }
    if number(long) > 0 {
        find(Severity::Warns, "transactions have been open for over ten minutes: the replication slot waits for them");
    }
    Ok(findings)
}
