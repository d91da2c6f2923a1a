//! The listings of the warehouse's catalogue: databases, schemas, tables, columns. They are read from the warehouse itself.
//!
//! Source: Redshift Data API reference; patterns are those of SQL's LIKE ("A pattern to filter results by schema name").

use serde_json::{Value, json};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::run::{ColumnShape, message};
use super::{CODES, operations, results, warehouse};
use crate::call::{ApiError, Input};
use crate::cloud::Cloud;
use crate::paging::page;

/// Schemas and tables that a listing shows: those of the sandbox's own bookkeeping are not among them.
const SCHEMAS: &str =
    "select nspname::text from pg_namespace where nspname !~ '^pg_(toast|temp)' and nspname like $1 order by 1";
const TABLES: &str = "select n.nspname::text, c.relname::text, case when n.nspname in ('pg_catalog', 'information_schema') then \
     case c.relkind when 'v' then 'SYSTEM VIEW' else 'SYSTEM TABLE' end when c.relkind in ('v', 'm') then 'VIEW' else 'TABLE' end \
     from pg_class c join pg_namespace n on n.oid = c.relnamespace \
     where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname !~ '^pg_(toast|temp)' and n.nspname like $1 and c.relname like $2 \
     and not (n.nspname = 'pg_catalog' and c.relname in ('dms_loads', 'dms_positions')) order by 1, 2";
const COLUMNS: &str = "select a.attname::text, a.atttypid, a.atttypmod, a.attnotnull, pg_get_expr(d.adbin, d.adrelid), n.nspname::text, c.relname::text \
     from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace \
     left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum \
     where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname = $1 and c.relname = $2 order by a.attnum";

/// A connection to the warehouse that a request is about.
async fn open(cloud: &Cloud, request: Input<'_>) -> Result<Client, ApiError> {
    let (_, namespace, _) = operations::place(cloud, request)?;
    let failed = |error| ApiError::new("InternalServerException", error).status(500);
    let config = warehouse::config(cloud, &namespace).await.map_err(failed)?;
    warehouse::connect(&config).await.map_err(failed)
}

async fn rows(
    client: &Client,
    select: &str,
    values: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<Vec<tokio_postgres::Row>, ApiError> {
    let found = client.query(select, values).await;
    found.map_err(|error| ApiError::new("InternalServerException", message(&error)).status(500))
}

/// One page of `items`: 1,000 at most, and so many when it is not said.
fn listed(request: Input<'_>, member: &str, items: Vec<Value>) -> Result<Value, ApiError> {
    let size = request.integer("MaxResults")?.filter(|size| *size > 0).unwrap_or(1000);
    let size = usize::try_from(size).unwrap_or(1000).min(1000);
    let (items, token) =
        page(items, request.text("NextToken")?, size).map_err(|_| request.invalid("Invalid NextToken"))?;
    Ok(json!({ member: items, "NextToken": token }))
}

/// `ListDatabases`: a namespace has one here.
pub(super) fn databases(cloud: &Cloud, input: &Value) -> Result<Value, ApiError> {
    let request = Input::new(input, &CODES);
    let (_, _, database) = operations::place(cloud, request)?;
    listed(request, "Databases", vec![json!(database)])
}

/// The databases named by a listing: the one to look into, which is the one to be connected with here.
fn require_database(request: Input<'_>) -> Result<(), ApiError> {
    let database = request.required("Database")?;
    match request.text("ConnectedDatabase")? {
        Some(connected) if connected != database => {
            Err(request.invalid(format!("FATAL: database \"{connected}\" does not exist")))
        }
        _ => Ok(()),
    }
}

/// `ListSchemas`.
pub(super) async fn schemas(cloud: Cloud, input: Value) -> Result<Value, ApiError> {
    let request = Input::new(&input, &CODES);
    require_database(request)?;
    let client = open(&cloud, request).await?;
    let found = rows(&client, SCHEMAS, &[&request.text("SchemaPattern")?.unwrap_or("%")]).await?;
    listed(request, "Schemas", found.iter().map(|row| json!(row.get::<_, String>(0))).collect())
}

/// `ListTables`.
pub(super) async fn tables(cloud: Cloud, input: Value) -> Result<Value, ApiError> {
    let request = Input::new(&input, &CODES);
    require_database(request)?;
    let client = open(&cloud, request).await?;
    let (schema, table) = (request.text("SchemaPattern")?.unwrap_or("%"), request.text("TablePattern")?.unwrap_or("%"));
    let found = rows(&client, TABLES, &[&schema, &table]).await?;
    let shown = |row: &tokio_postgres::Row| {
        let text = |at| row.get::<_, String>(at);
        json!({"schema": text(0), "name": text(1), "type": text(2)})
    };
    listed(request, "Tables", found.iter().map(shown).collect())
}

/// `DescribeTable`: the columns of a table, and none when there is no such table.
pub(super) async fn table(cloud: Cloud, input: Value) -> Result<Value, ApiError> {
    let request = Input::new(&input, &CODES);
    require_database(request)?;
    let client = open(&cloud, request).await?;
    let (schema, table) = (request.text("Schema")?.unwrap_or("public"), request.required("Table")?);
    let found = rows(&client, COLUMNS, &[&schema, &table]).await?;
    let shown = |row: &tokio_postgres::Row| {
        let type_ = Type::from_oid(row.get(1)).unwrap_or(Type::VARCHAR);
        let mut column = results::metadata(&ColumnShape { name: row.get(0), type_, modifier: row.get(2) });
        column["nullable"] = json!(i32::from(!row.get::<_, bool>(3)));
        column["columnDefault"] = json!(row.get::<_, Option<String>>(4));
        column["schemaName"] = json!(row.get::<_, String>(5));
        column["tableName"] = json!(row.get::<_, String>(6));
        column
    };
    let mut answer = listed(request, "ColumnList", found.iter().map(shown).collect())?;
    answer["TableName"] = json!(table);
    Ok(answer)
}
