//! The PostgreSQL database that stands behind a namespace.

use std::collections::HashSet;
use std::sync::LazyLock;

use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, NoTls};

use crate::cloud::Cloud;
use crate::redshift_sql;

/// Databases this process has seen ready, by server port and name.
static READY: LazyLock<Mutex<HashSet<(u16, String)>>> = LazyLock::new(Mutex::default);

/// The database of a namespace: `warehouse_<namespace>`, made by its first user.
pub(crate) fn database(namespace: &str) -> String {
    format!("warehouse_{}", namespace.replace('-', "_"))
}

/// How to connect to the warehouse of a namespace; starts PostgreSQL and makes the database when needed.
///
/// # Errors
/// Why there is no database.
pub(crate) async fn config(cloud: &Cloud, namespace: &str) -> Result<Config, String> {
    let server = cloud.postgres().ensure().await.map_err(|error| error.to_string())?;
    let name = database(namespace);
    let mut ready = READY.lock().await;
    if ready.insert((server.port, name.clone()))
        && let Err(error) = make(&server.config("postgres"), &server.config(&name), &name).await
    {
        ready.remove(&(server.port, name));
        return Err(error);
    }
    Ok(server.config(&name))
}

/// Makes the database and its Redshift functions in one step that other processes wait for.
async fn make(admin: &Config, own: &Config, name: &str) -> Result<(), String> {
    // Any number will do as long as nobody else takes it: it keeps two processes from making one database at once.
    const LOCK: i64 = 5_439_001;
    let text = |error: tokio_postgres::Error| super::run::message(&error);
    let admin = connect(admin).await?;
    admin.execute("select pg_advisory_lock($1)", &[&LOCK]).await.map_err(text)?;
    if admin.query_opt("select 1 from pg_database where datname = $1", &[&name]).await.map_err(text)?.is_none() {
        admin.batch_execute(&format!("create database \"{name}\"")).await.map_err(text)?;
    }
    let client = connect(own).await?;
    let made = client
        .query_opt("select 1 from pg_proc where proname = 'redshift_interval'", &[])
        .await
        .map_err(text)?
        .is_some();
    if !made {
        client.batch_execute(&format!("begin; {}; commit", redshift_sql::COMPATIBILITY)).await.map_err(text)?;
    }
    Ok(())
}

/// Connects to a database; the connection ends when the client is dropped.
pub(crate) async fn connect(config: &Config) -> Result<Client, String> {
    let (client, connection) = config.connect(NoTls).await.map_err(|error| super::run::message(&error))?;
    tokio::spawn(connection);
    Ok(client)
}

/// Drops the warehouse of a deleted namespace, if this sandbox ever made it.
pub(crate) async fn forget(cloud: &Cloud, namespace: &str) {
    let name = database(namespace);
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
