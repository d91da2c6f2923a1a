//! Whether an endpoint can be reached, and how: for connection tests and for the load.
//!
//! A source is a real PostgreSQL somewhere. A target is a workgroup of the sandbox, checked the way DMS and Redshift
//! would (role, trust, association with the namespace, bucket), whose rows lie in the sandbox's own PostgreSQL.

use std::time::Duration;

use serde_json::Value;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

use super::endpoints::uses_secret;
use super::network::Side;
use super::surroundings::DMS_PRINCIPAL;
use crate::cloud::Cloud;
use crate::world::World;
use crate::world::dms::Endpoint;

const PATIENCE: Duration = Duration::from_secs(10);
const ACCESS_ROLE: &str = "dms-access-for-endpoint";
const MANAGED_POLICY: &str = "AmazonDMSRedshiftS3Role";

/// Host, port, database, user and password of an endpoint.
struct Login {
    host: String,
    port: u16,
    database: String,
    user: String,
    password: String,
}

/// The text of a failed test, in DMS's form.
pub(super) fn failed(cause: &str) -> String {
    format!(
        "Test Endpoint failed: Application-Status: 1020912, Application-Message: Failed to connect Network error has occurred, \
         Application-Detailed-Message: RetCode: SQL_ERROR SqlState: 08001 NativeError: 101 Message: {cause}"
    )
}

/// Tests an endpoint from the instance or the serverless replication with the ARN `from`.
///
/// # Errors
/// The failure message DMS would show.
pub(super) async fn test(cloud: &Cloud, endpoint_arn: &str, from: &str) -> Result<(), String> {
    let endpoint = find(cloud, endpoint_arn)?;
    let side = |world: &World| Side::of_replication(world, from).unwrap_or_else(|| Side::of_instance(world, from));
    if !endpoint.is_source {
        return cloud
            .read(|world| check_target(cloud, world, &endpoint, Some(&side(world))))
            .map_err(|error| error.to_string())?
            .map(|_| ());
    }
    let config = source(cloud, endpoint_arn).await?;
    let port = config.get_ports().first().copied().unwrap_or(5432);
    if !cloud.read(|world| side(world).may_leave(&world.ec2, port)).map_err(|error| error.to_string())? {
        return Err(failed("could not connect to server: Connection timed out"));
    }
    match tokio::time::timeout(PATIENCE, config.connect(NoTls)).await {
        Err(_) => Err(failed("could not connect to server: Connection timed out")),
        Ok(Err(error)) => Err(failed(&cause(&error))),
        Ok(Ok((client, connection))) => {
            let connection = tokio::spawn(connection);
            let answer = client.simple_query("select 1").await;
            connection.abort();
            answer.map(|_| ()).map_err(|error| failed(&cause(&error)))
        }
    }
}

fn cause(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(db), _) => format!("FATAL: {}", db.message()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

fn find(cloud: &Cloud, arn: &str) -> Result<Endpoint, String> {
    cloud
        .read(|world| world.dms.endpoints.values().find(|endpoint| endpoint.arn == arn).cloned())
        .map_err(|error| error.to_string())?
        .ok_or_else(|| format!("Endpoint not found: {arn}"))
}

/// How to connect to a source endpoint. The sandbox's own PostgreSQL is started when it is the source.
pub(super) async fn source(cloud: &Cloud, endpoint_arn: &str) -> Result<Config, String> {
    let config = source_config(cloud, endpoint_arn)?;
    let own = cloud.postgres().reserve().map_err(|error| error.to_string())?;
    if config.get_ports() == [own.port] {
        cloud.postgres().ensure().await.map_err(|error| error.to_string())?;
    }
    Ok(config)
}

fn source_config(cloud: &Cloud, endpoint_arn: &str) -> Result<Config, String> {
    let endpoint = find(cloud, endpoint_arn)?;
    let login = cloud.read(|world| login(cloud, world, &endpoint)).map_err(|error| error.to_string())??;
    let mode = endpoint.body.get("SslMode").and_then(Value::as_str).unwrap_or("none");
    if mode != "none" {
        return Err(failed(&format!("the sandbox connects without SSL; SSL mode {mode} cannot be tested here")));
    }
    let mut config = Config::new();
    config
        .host(&login.host)
        .port(login.port)
        .dbname(&login.database)
        .user(&login.user)
        .password(login.password)
        .ssl_mode(SslMode::Disable)
        .connect_timeout(PATIENCE)
        .application_name("dms");
    Ok(config)
}

/// The namespace behind a target endpoint.
pub(super) fn target_namespace(cloud: &Cloud, endpoint_arn: &str) -> Result<String, String> {
    let endpoint = find(cloud, endpoint_arn)?;
    cloud.read(|world| check_target(cloud, world, &endpoint, None)).map_err(|error| error.to_string())?
}

fn login(cloud: &Cloud, world: &World, endpoint: &Endpoint) -> Result<Login, String> {
    let member = |name: &str| endpoint.settings.get(name).or_else(|| endpoint.body.get(name));
    let text = |name: &str| member(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let default_port = if endpoint.engine.starts_with("redshift") { 5439 } else { 5432 };
    let port = |value: Option<&Value>| {
        value
            .and_then(|port| port.as_u64().or_else(|| port.as_str()?.parse().ok()))
            .and_then(|port| u16::try_from(port).ok())
    };
    let mut login = Login {
        host: text("ServerName"),
        port: port(member("Port")).unwrap_or(default_port),
        database: text("DatabaseName"),
        user: text("Username"),
        password: String::new(),
    };
    if uses_secret(endpoint) {
        let id = text("SecretsManagerSecretId");
        let role = text("SecretsManagerAccessRoleArn");
        let principal = format!("dms.{}.amazonaws.com", world.region);
        if !world.iam.role_by_arn(&role).is_some_and(|role| role.trusts(&principal) || role.trusts(DMS_PRINCIPAL)) {
            return Err(failed(&format!(
                "Unable to assume the role {role}: it does not exist or does not trust {principal}"
            )));
        }
        let secret = world
            .secretsmanager
            .find(&id)
            .filter(|secret| secret.deleted.is_none())
            .ok_or_else(|| failed(&format!("Secrets Manager can't find the secret {id}")))?;
        let (_, version) =
            secret.staged("AWSCURRENT").ok_or_else(|| failed(&format!("The secret {id} has no current value")))?;
        let value = cloud.vault().unseal(&version.value).map_err(|error| error.to_string())?;
        let value: Value = serde_json::from_str(value.expose())
            .map_err(|_| failed(&format!("The secret {id} is not a JSON document")))?;
        let part = |name: &str| value[name].as_str().map(str::to_owned);
        login.user = part("username").ok_or_else(|| failed(&format!("The secret {id} has no username")))?;
        login.password = part("password").ok_or_else(|| failed(&format!("The secret {id} has no password")))?;
        login.host = part("host").unwrap_or(login.host);
        login.port = port(value.get("port")).unwrap_or(login.port);
    } else if let Some(sealed) = &endpoint.password {
        cloud.vault().unseal(sealed).map_err(|error| error.to_string())?.expose().clone_into(&mut login.password);
    }
    Ok(login)
}

/// The chain a Redshift target needs, and the way to it from `side`; gives the namespace's name.
fn check_target(cloud: &Cloud, world: &World, endpoint: &Endpoint, side: Option<&Side>) -> Result<String, String> {
    let login = login(cloud, world, endpoint)?;
    let now = cloud.clock().now();
    let workgroup = world
        .redshift_serverless
        .workgroups
        .values()
        .find(|workgroup| workgroup.address(cloud.place()) == login.host && !workgroup.lifecycle.is_gone(now))
        .ok_or_else(|| {
            failed(&format!("could not translate host name \"{}\" to address: Name or service not known", login.host))
        })?;
    if workgroup.lifecycle.at(now) == "CREATING" || workgroup.port() != i64::from(login.port) {
        return Err(failed(&format!(
            "could not connect to server: Connection refused. Is the server running on host \"{}\" and accepting TCP/IP connections on port {}?",
            login.host, login.port
        )));
    }
    if side.is_some_and(|side| !side.reaches(world, workgroup)) {
        return Err(failed(&format!(
            "could not connect to server: Connection timed out. Is the server running on host \"{}\" and accepting TCP/IP connections on port {}?",
            login.host, login.port
        )));
    }
    let namespace = world
        .redshift_serverless
        .namespaces
        .get(&workgroup.namespace)
        .ok_or_else(|| failed("the workgroup has no namespace"))?;
    if namespace.database() != login.database {
        return Err(failed(&format!("FATAL: database \"{}\" does not exist", login.database)));
    }
    if let Some(sealed) = &namespace.password
        && login.user == namespace.admin
        && cloud.vault().unseal(sealed).map_err(|error| error.to_string())?.expose() != login.password
    {
        return Err(failed(&format!("FATAL: password authentication failed for user \"{}\"", login.user)));
    }
    let named = ["ServiceAccessRoleArn"]
        .iter()
        .find_map(|member| endpoint.settings.get(*member).or_else(|| endpoint.body.get(*member)))
        .and_then(Value::as_str);
    let role = match named {
        Some(arn) => world.iam.role_by_arn(arn),
        None => world.iam.role(ACCESS_ROLE),
    };
    let name = named.map_or(ACCESS_ROLE, |arn| arn.rsplit('/').next().unwrap_or(arn));
    let misconfigured = || {
        format!(
            "Test Endpoint failed: Application-Status: 1020912, Application-Message: Role '{name}' is not configured properly"
        )
    };
    let role = role
        .filter(|role| {
            role.visible_at <= now
                && role.trusts(DMS_PRINCIPAL)
                && role.trusts("redshift-serverless.amazonaws.com")
                && !(role.attached.is_empty() && role.inline.is_empty())
        })
        .ok_or_else(misconfigured)?;
    if !namespace.roles.contains(&role.arn) {
        return Err(format!(
            "Test Endpoint failed: Application-Status: 1020912, Application-Message: The requested role {} is not associated to cluster (UnauthorizedException)",
            role.arn
        ));
    }
    if let Some(bucket) = endpoint.settings.get("BucketName").and_then(Value::as_str) {
        check_bucket(world, bucket, role)?;
    }
    Ok(namespace.name.clone())
}

fn check_bucket(world: &World, bucket: &str, role: &crate::world::iam::Role) -> Result<(), String> {
    let refused = |why: &str| {
        Err(format!(
            "Test Endpoint failed: Application-Status: 1020912, Application-Message: Failed to access the S3 bucket '{bucket}': {why}"
        ))
    };
    let Some(found) = world.s3.buckets.get(bucket) else { return refused("The specified bucket does not exist") };
    if found.versioning.as_deref() == Some("Enabled") {
        return refused("listing timed out; versioning must be off");
    }
    let only_managed = role.inline.is_empty() && role.attached.iter().all(|arn| arn.ends_with(MANAGED_POLICY));
    if only_managed && !bucket.starts_with("dms-") {
        return refused("Access Denied");
    }
    Ok(())
}
