//! The PostgreSQL database that stands behind a namespace.

use std::collections::HashSet;
use std::sync::LazyLock;

use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, NoTls};

use crate::cloud::Cloud;
use crate::postgres::Server;
use crate::redshift_sql;
use crate::world::redshift_serverless::Namespace;

/// Databases this process has seen ready, by server port and name.
static READY: LazyLock<Mutex<HashSet<(u16, String)>>> = LazyLock::new(Mutex::default);

/// The database of a namespace that the world does not know: `warehouse_<namespace>`.
pub(crate) fn database(namespace: &str) -> String {
    format!("warehouse_{}", namespace.replace('-', "_"))
}

/// The database of a namespace, with its id in the name: one that is made anew under an old name begins empty.
pub(crate) fn database_of(namespace: &Namespace) -> String {
    // PostgreSQL cuts names after 63 bytes.
    format!("warehouse_{:.8}_{:.40}", namespace.id, namespace.name.replace('-', "_"))
}

/// The database of a snapshot, by its ARN.
pub(crate) fn database_of_snapshot(arn: &str) -> String {
    format!("snapshot_{:.8}", arn.rsplit('/').next().unwrap_or_default())
}

/// What a warehouse knows of the namespace it stands for.
pub(super) struct Owner {
    /// The namespace's id.
    id: String,
    /// What Redshift calls the database.
    database: String,
    /// The admin's name.
    admin: String,
}

impl Owner {
    /// The namespace of a database that nobody asks: a snapshot's.
    pub(super) fn nobody() -> Self {
        Self { id: String::new(), database: "dev".to_owned(), admin: "admin".to_owned() }
    }
}

/// How to connect to the warehouse of a namespace; starts PostgreSQL and makes the database when needed.
///
/// # Errors
/// Why there is no database.
pub(crate) async fn config(cloud: &Cloud, namespace: &str) -> Result<Config, String> {
    let server = cloud.postgres().ensure().await.map_err(|error| error.to_string())?;
    let known = cloud.read(|world| {
        let known = world.redshift_serverless.namespaces.get(namespace);
        known.map_or_else(|| database(namespace), database_of)
    });
    let name = known.map_err(|error| error.to_string())?;
    let mut ready = READY.lock().await;
    if ready.insert((server.port, name.clone())) {
        let owner = owner(cloud, namespace)?;
        if let Err(error) = make(&server, &name, &owner).await {
            ready.remove(&(server.port, name));
            return Err(error);
        }
        let kept = cloud.write(|world| {
            if let Some(namespace) = world.redshift_serverless.namespaces.get_mut(namespace) {
                namespace.has_data = true;
            }
        });
        kept.map_err(|error| error.to_string())?;
        sweep(cloud, &server).await?;
    }
    Ok(server.config(&name))
}

/// What is known of a namespace.
fn owner(cloud: &Cloud, namespace: &str) -> Result<Owner, String> {
    let owner = cloud.read(|world| match world.redshift_serverless.namespaces.get(namespace) {
        Some(own) => Owner { id: own.id.clone(), database: own.database().to_owned(), admin: own.admin.clone() },
        None => Owner::nobody(),
    });
    owner.map_err(|error| error.to_string())
}

/// Makes a database with Redshift's functions and catalog in one step that other processes wait for.
pub(super) async fn make(server: &Server, name: &str, owner: &Owner) -> Result<(), String> {
    // Any number will do as long as nobody else takes it: it keeps two processes from making one database at once.
    const LOCK: i64 = 5_439_001;
    let text = |error: tokio_postgres::Error| super::run::message(&error);
    let admin = connect(&server.config("postgres")).await?;
    admin.execute("select pg_advisory_lock($1)", &[&LOCK]).await.map_err(text)?;
    if admin.query_opt("select 1 from pg_database where datname = $1", &[&name]).await.map_err(text)?.is_none() {
        admin.batch_execute(&format!("create database \"{name}\"")).await.map_err(text)?;
    }
    let client = connect(&server.config(name)).await?;
    if !has(&client, "pg_proc", "proname", "redshift_interval").await? {
        client.batch_execute(&format!("begin; {}; commit", redshift_sql::COMPATIBILITY)).await.map_err(text)?;
    }
    if !has(&client, "pg_class", "relname", "redshift_warehouse").await? {
        let quoted = |text: &str| text.replace('\'', "''");
        let told = format!(
            "insert into pg_catalog.redshift_warehouse values ('{}', '{}'); \
             insert into pg_catalog.redshift_identities (id, sort, name) values (100, 'user', '{}')",
            quoted(&owner.id),
            quoted(&owner.database),
            quoted(&owner.admin)
        );
        client.batch_execute(&format!("begin; {}; {told}; commit", redshift_sql::CATALOG)).await.map_err(text)?;
    }
    Ok(())
}

/// Drops the databases of namespaces and snapshots that are no more: who deleted them may have had no PostgreSQL at hand.
async fn sweep(cloud: &Cloud, server: &Server) -> Result<(), String> {
    let text = |error: tokio_postgres::Error| super::run::message(&error);
    let known = cloud.read(|world| {
        let state = &world.redshift_serverless;
        let snapshots = state.snapshots.values().filter_map(|own| own.body.get("snapshotArn")?.as_str());
        let snapshots = snapshots.map(database_of_snapshot);
        state.namespaces.values().map(database_of).chain(snapshots).collect::<Vec<_>>()
    });
    let known = known.map_err(|error| error.to_string())?;
    let admin = connect(&server.config("postgres")).await?;
    let select = "select datname from pg_database where datname ~ '^(warehouse_[0-9a-f]{8}_|snapshot_[0-9a-f]{8}$)' and datname <> all($1)";
    for row in admin.query(select, &[&known]).await.map_err(text)? {
        let name: String = row.get(0);
        admin.batch_execute(&format!("drop database if exists \"{name}\" with (force)")).await.map_err(text)?;
    }
    Ok(())
}

/// Whether a catalog has an entry of that name.
async fn has(client: &Client, catalog: &str, column: &str, name: &str) -> Result<bool, String> {
    let sql = format!("select 1 from {catalog} where {column} = $1");
    let found = client.query_opt(&sql, &[&name]).await.map_err(|error| super::run::message(&error))?;
    Ok(found.is_some())
}

/// Connects to a database; the connection ends when the client is dropped.
pub(crate) async fn connect(config: &Config) -> Result<Client, String> {
    let (client, connection) = config.connect(NoTls).await.map_err(|error| super::run::message(&error))?;
    tokio::spawn(connection);
    Ok(client)
}

/// Drops the warehouse of a deleted namespace, if this sandbox ever made it.
pub(crate) async fn forget(cloud: &Cloud, name: String) {
    let port = READY.lock().await.iter().find(|(_, known)| *known == name).map(|(port, _)| *port);
    let Some(port) = port else { return };
    let Ok(server) = cloud.postgres().ensure().await else { return };
    if let Ok(client) = connect(&server.config("postgres")).await
        && let Err(error) = client.batch_execute(&format!("drop database if exists \"{name}\" with (force)")).await
    {
        tracing::warn!(%error, "the warehouse of a deleted namespace stays");
    }
    READY.lock().await.remove(&(port, name));
}
