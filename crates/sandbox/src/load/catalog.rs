//! The source's tables and columns, and what each column becomes on the warehouse.
//!
//! The type map is that of "Using a PostgreSQL database as an AWS DMS source" followed by "Using Amazon Redshift as
//! a target" of the DMS user guide. Columns that DMS leaves out are left out here too, and named in `left_out`.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::mapping::{AddedColumn, Mappings, quoted};

/// Bytes that a VARCHAR of Redshift holds at most.
const WIDEST: i64 = 65_535;

/// What of the endpoints and of the task's settings decides about types.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TypeChoices {
    /// `LobMaxSize` in kilobytes.
    pub(crate) lob_kilobytes: i64,
    /// `SupportLobs`.
    pub(crate) lobs: bool,
    /// `MapBooleanAsBoolean` on both endpoints.
    pub(crate) booleans: bool,
}

/// One source table with what it becomes.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// Schema on the source.
    pub(crate) schema: String,
    /// Name on the source.
    pub(crate) name: String,
    /// Schema on the target, in lower case as Redshift folds names.
    pub(crate) target_schema: String,
    /// Name on the target.
    pub(crate) target_name: String,
    /// Higher loads first.
    pub(crate) load_order: i64,
    /// A SQL condition on the source rows.
    pub(crate) condition: Option<String>,
    /// Columns in the source's order, added ones last.
    pub(crate) columns: Vec<Column>,
    /// Every column of the source with the type its text form is read as on the warehouse.
    pub(crate) wires: Vec<(String, String)>,
    /// The source's primary key, if all of it arrives.
    pub(crate) key: Vec<String>,
    /// Pages of the table when it is an ordinary one, so that it can be read in ranges; 0 otherwise.
    pub(crate) pages: i64,
    /// Columns that do not arrive, each with the reason.
    pub(crate) left_out: Vec<String>,
    /// The planner's row estimate, 0 when unknown.
    pub(crate) estimate: u64,
}

/// One column of the target table.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// The name on the target.
    pub(crate) name: String,
    /// The name on the source; none of an added column.
    pub(crate) source: Option<String>,
    /// The type on the target as PostgreSQL prints it.
    pub(crate) type_: String,
    /// Whether it refuses NULL.
    pub(crate) not_null: bool,
    /// The SQL that reads it on the source.
    pub(crate) expression: String,
}

/// A column as the source's catalog has it.
struct SourceColumn {
    name: String,
    type_: String,
    kind: String,
    category: String,
    modifier: i64,
    not_null: bool,
    in_key: bool,
}

const CATALOG: &str = "
select n.nspname, c.relname, c.relkind::text, greatest(c.reltuples, 0)::bigint, pg_relation_size(c.oid) / current_setting('block_size')::int,
       exists (select 1 from pg_index i where i.indrelid = c.oid and i.indisunique and i.indexprs is null and i.indpred is null),
       a.attname, b.typname, b.typtype::text, b.typcategory::text,
       case when a.atttypmod <> -1 then a.atttypmod else t.typtypmod end, a.attnotnull,
       exists (select 1 from pg_index i where i.indrelid = c.oid and i.indisprimary and a.attnum = any (i.indkey))
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
join pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
where c.relkind in ('r', 'p', 'v') and c.relpersistence = 'p' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
order by n.nspname, c.relname, a.attnum";

/// The tables the mappings choose, in loading order.
///
/// # Errors
/// The source refused the catalog query.
pub(crate) async fn tables(source: &Client, mappings: &Mappings, choices: TypeChoices) -> Result<Vec<Table>, Error> {
    let mut found: BTreeMap<(String, String), (Table, bool, Vec<SourceColumn>)> = BTreeMap::new();
    for message in source.simple_query(CATALOG).await? {
        let SimpleQueryMessage::Row(row) = message else { continue };
        let text = |at: usize| row.get(at).unwrap_or_default().to_owned();
        let number = |at: usize| row.get(at).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
        let is = |at: usize| row.get(at) == Some("t");
        let (schema, name, kind) = (text(0), text(1), text(2));
        let Some(choice) = mappings.choose(&schema, &name, kind == "v") else { continue };
        let entry = found.entry((schema.clone(), name.clone())).or_insert_with(|| {
            let table = Table {
                schema,
                name,
                target_schema: choice.schema.to_lowercase(),
                target_name: choice.table.to_lowercase(),
                load_order: choice.load_order,
                condition: choice.condition,
                columns: Vec::new(),
                wires: Vec::new(),
                key: Vec::new(),
                pages: if kind == "r" { number(4) } else { 0 },
                left_out: Vec::new(),
                estimate: number(3).unsigned_abs(),
            };
            (table, is(5), Vec::new())
        });
        entry.2.push(SourceColumn {
            name: text(6),
            type_: text(7),
            kind: text(8),
            category: text(9),
            modifier: number(10),
            not_null: is(11),
            in_key: is(12),
        });
    }
    let mut tables: Vec<Table> = found
        .into_values()
        .map(|(table, has_key, columns)| with_columns(table, has_key, &columns, mappings, choices))
        .collect();
    tables.sort_by_key(|table| (-table.load_order, -table.pages));
    Ok(tables)
}

fn with_columns(
    mut table: Table,
    has_key: bool,
    columns: &[SourceColumn],
    mappings: &Mappings,
    choices: TypeChoices,
) -> Table {
    table.wires = columns.iter().map(|column| (column.name.clone(), column.wire(choices))).collect();
    for column in columns {
        let Some(choice) = mappings.choose_column(&table.schema, &table.name, &column.name) else { continue };
        let Some((type_, expression, is_lob)) = column.on_target(choices) else {
            table.left_out.push(format!(
                "Column '{}' was removed from table definition '{}.{}': the column data type is not supported",
                column.name, table.schema, table.name
            ));
            continue;
        };
        if is_lob && !(has_key && choices.lobs) {
            table.left_out.push(format!(
                "Column '{}' was removed from table definition '{}.{}': the column data type is LOB and the table has no primary key or unique index",
                column.name, table.schema, table.name
            ));
            continue;
        }
        let type_ = choice.data_type.as_ref().map_or(type_, super::mapping::DataType::on_target);
        let (name, source) = (choice.name.to_lowercase(), Some(column.name.clone()));
        table.columns.push(Column { name, source, type_, not_null: column.not_null, expression });
    }
    let key: Vec<&SourceColumn> = columns.iter().filter(|column| column.in_key).collect();
    let arrives = |column: &&SourceColumn| table.columns.iter().any(|own| own.source.as_ref() == Some(&column.name));
    if key.iter().all(arrives) {
        table.key = key.into_iter().map(|column| column.name.clone()).collect();
    }
    for added in mappings.added_columns(&table.schema, &table.name) {
        let type_ = added.data_type.on_target();
        let expression = format!("({})::{type_}", added_expression(&added, &table));
        let name = added.name.to_lowercase();
        table.columns.push(Column { name, source: None, type_, not_null: false, expression });
    }
    table
}

/// An added column's expression in the source's SQL: `$column` references, headers and the operation of a full load.
fn added_expression(added: &AddedColumn, table: &Table) -> String {
    let text = |value: &str| format!("'{}'", value.replace('\'', "''"));
    let pattern =
        regex::Regex::new(r"(?i)operation_indicator\s*\([^,]*,[^,]*,\s*([^)]*)\)").expect("the pattern is constant");
    let expression = pattern.replace_all(&added.expression, "$1").into_owned();
    let expression = expression
        .replace("$AR_M_SOURCE_SCHEMA", &text(&table.schema))
        .replace("$AR_M_SOURCE_TABLE_NAME", &text(&table.name))
        .replace("$AR_H_COMMIT_TIMESTAMP", "(now() at time zone 'UTC')::timestamp(0)")
        .replace("$AR_H_TIMESTAMP", "(now() at time zone 'UTC')::timestamp(0)")
        .replace("$AR_H_OPERATION", "'INSERT'")
        .replace("$AR_H_STREAM_POSITION", "''")
        .replace("$AR_H_CHANGE_SEQ", "''");
    let column = regex::Regex::new(r"\$([A-Za-z_][A-Za-z0-9_]*)").expect("the pattern is constant");
    column.replace_all(&expression, "\"$1\"").replace("ifnull(", "coalesce(")
}

impl SourceColumn {
    /// Target type, reading expression and whether it is a LOB; `None` for types DMS does not carry.
    fn on_target(&self, choices: TypeChoices) -> Option<(String, String, bool)> {
        let name = quoted(&self.name);
        let text = |width: i64| (varchar(width), format!("{name}::text"), false);
        let lob_bytes = (choices.lob_kilobytes * 1024).clamp(1, 63 * 1024);
        let lob = || (varchar(lob_bytes), format!("left({name}::text, {lob_bytes})"), true);
        let length = self.modifier - 4;
        let plain = |type_: &str| (type_.to_owned(), name.clone(), false);
        if self.kind == "e" {
            return Some(text(64));
        }
        if self.category == "A" || self.kind == "c" {
            return Some(lob());
        }
        Some(match self.type_.as_str() {
            "int2" => plain("smallint"),
            "int4" => plain("integer"),
            "int8" => plain("bigint"),
            "oid" => ("bigint".to_owned(), format!("{name}::bigint"), false),
            "float4" => plain("real"),
            "float8" => plain("double precision"),
            "numeric" => self.numeric(&name),
            "money" => ("numeric(38,4)".to_owned(), format!("{name}::numeric(38,4)"), false),
            "bpchar" if self.modifier > 4 => (varchar(length * 3), format!("rtrim({name}::text)"), false),
            "bpchar" | "char" => text(3),
            "varchar" if self.modifier > 4 => (varchar(length * 3), name, false),
            "varchar" => (varchar(8000), format!("left({name}, 8000)"), false),
            "name" => text(192),
            "text" | "citext" => (varchar(lob_bytes), format!("left({name}, {lob_bytes})"), true),
            "json" | "jsonb" | "hstore" | "xml" | "tsvector" | "tsquery" | "path" | "polygon" => lob(),
            "bytea" => (
                varchar((lob_bytes * 2).min(62 * 1024)),
                format!("upper(encode(substr({name}, 1, {}), 'hex'))", lob_bytes.min(31 * 1024)),
                true,
            ),
            "date" => ("date".to_owned(), finite(&name, "date"), false),
            "timestamp" => ("timestamp without time zone".to_owned(), finite(&name, "timestamp"), false),
            "timestamptz" => (
                "timestamp without time zone".to_owned(),
                finite(&format!("({name} at time zone 'UTC')"), "timestamp"),
                false,
            ),
            "time" | "timetz" => text(20),
            "interval" => text(128),
            "bool" if choices.booleans => plain("boolean"),
            "bool" => text(5),
            "uuid" => text(36),
            "bit" | "varbit" => text(if self.modifier > 0 { self.modifier } else { 255 }),
            "inet" | "cidr" => text(50),
            "macaddr" => text(18),
            "point" | "line" | "lseg" | "box" | "circle" | "int4range" | "int8range" | "numrange" => text(255),
            _ => return None,
        })
    }

    /// The type of its text form on the warehouse, which has none of the source's own types.
    fn wire(&self, choices: TypeChoices) -> String {
        let is_own = ["e", "c"].contains(&self.kind.as_str()) || self.category == "A";
        if is_own || ["citext", "hstore"].contains(&self.type_.as_str()) || self.on_target(choices).is_none() {
            "text".to_owned()
        } else {
            format!("pg_catalog.{}", quoted(&self.type_))
        }
    }

    fn numeric(&self, name: &str) -> (String, String, bool) {
        if self.modifier < 4 {
            return ("numeric(28,6)".to_owned(), format!("trunc({name}, 6)"), false);
        }
        let packed = self.modifier - 4;
        let (precision, scale) = ((packed >> 16) & 0xffff, packed & 0x7ff);
        if precision <= 38 && scale <= 37 {
            (format!("numeric({precision},{scale})"), name.to_owned(), false)
        } else {
            (varchar(precision + 2), format!("{name}::text"), false)
        }
    }
}

fn varchar(width: i64) -> String {
    format!("character varying({})", width.clamp(1, WIDEST))
}

/// Infinite dates become the ends of what DMS writes.
fn finite(expression: &str, type_: &str) -> String {
    format!(
        "case when {expression} = 'infinity' then {type_} '9999-12-31' when {expression} = '-infinity' then {type_} '4713-01-01 BC' else {expression} end"
    )
}
