//! Where an endpoint points and who may enter: from a URL, from single fields, from a secret, or
//! from a workgroup of Redshift Serverless.
//!
//! Secrets are read at the moment of a call and kept nowhere. With `workgroup` and no credentials
//! of its own, an endpoint takes user and password from the namespace's managed admin secret: DMS
//! cannot use that secret by itself, since it wants host and port in it. AWS rotates it every 30
//! days; a task that outlives that needs a user of its own (`username`, `password`) or a secret
//! written for DMS (`secret`, `role`).

use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::Found;
use towpath_engine::secret::{Secret, SecretSource};
use towpath_engine::value::{Value, is_unknown};

use super::Spec;
use crate::cloud::Cloud;
use crate::fault::fault;
use crate::kinds::redshift_common;

/// Where a database is and who may enter it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Connection {
    /// Everything in one: `postgres://user:password@host:port/database?sslmode=require`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "secret": true }))]
    pub url: Option<SecretSource>,
    /// The host's name or address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub host: Option<String>,
    /// The port. Default: 5432, for Redshift 5439.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// The database.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub database: Option<String>,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub username: Option<String>,
    /// The user's password; it can be sent but never read back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "secret": true, "change": "write_only" }))]
    pub password: Option<SecretSource>,
    /// A secret with `host`, `port`, `username` and `password`, read by DMS itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "refers_to": { "kinds": ["secretsmanager/secret"], "attribute": "arn", "physical": ["arn:"] },
    }))]
    pub secret: Option<String>,
    /// The role with which DMS reads that secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "refers_to": { "kinds": ["iam/role"], "attribute": "arn", "physical": ["arn:"] },
    }))]
    pub role: Option<String>,
}

/// A connection with everything that was written elsewhere filled in.
#[derive(Clone, Debug, Default)]
pub(super) struct Access {
    pub(super) host: Option<String>,
    pub(super) port: Option<i32>,
    pub(super) database: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) secret: Option<String>,
    pub(super) role: Option<String>,
    pub(super) ssl_mode: Option<&'static str>,
}

impl Access {
    /// The part that can be compared with what the service answers.
    pub(super) fn visible(&self) -> Value {
        let mut visible = json!({
            "host": self.host, "port": self.port, "database": self.database, "username": self.username,
            "secret": self.secret, "role": self.role,
        });
        if let Some(map) = visible.as_object_mut() {
            map.retain(|_, value| !value.is_null());
        }
        visible
    }
}

/// Reads `postgres://user:password@host:port/database?sslmode=…`. `None` if it is no such URL; the
/// text is never part of an error.
pub(super) fn parse_url(text: &str) -> Option<Access> {
    let url = url::Url::parse(text.trim()).ok()?;
    let default_port = match url.scheme() {
        "postgres" | "postgresql" => 5432,
        "redshift" => 5439,
        _ => return None,
    };
    let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let named = |part: &str| Some(decoded(part)).filter(|part| !part.is_empty());
    let ssl_mode = url.query_pairs().find(|(key, _)| key == "sslmode").and_then(|(_, value)| match value.as_ref() {
        "require" => Some("require"),
        "verify-ca" => Some("verify-ca"),
        "verify-full" => Some("verify-full"),
        _ => None,
    });
    Some(Access {
        host: Some(url.host_str()?.trim_matches(['[', ']']).to_owned()),
        port: Some(i32::from(url.port().unwrap_or(default_port))),
        database: named(url.path().trim_start_matches('/')),
        username: named(url.username()),
        password: url.password().map(|password| Secret::new(decoded(password))),
        ssl_mode,
        ..Access::default()
    })
}

/// The spec of an endpoint that exists. A workgroup of the stack says where it is, and its managed
/// secret who enters; else the password, which DMS never tells, is left to a variable.
pub(super) fn declare(found: &Found<'_>, mut state: Value) -> Value {
    let by_name = is_unknown(&state["workgroup"]);
    let is_managed = found.referred.get("workgroup").is_some_and(|one| one.outputs.contains_key("admin_secret_arn"));
    if let Some(map) = state.as_object_mut() {
        if !by_name {
            map.shift_remove("workgroup");
        }
        if let Some(connection) = map.get_mut("connection").and_then(Value::as_object_mut) {
            let has_secret = connection.contains_key("secret");
            if by_name {
                connection.retain(|field, _| !["host", "port", "database"].contains(&field.as_str()));
            }
            if by_name && is_managed && !has_secret {
                connection.clear();
            } else if !has_secret {
                connection.insert("password".to_owned(), found.secret("password"));
            }
        }
    }
    found.without(state, &json!({ "ssl_mode": "none" }))
}

/// The connection as far as it can be told without a call; a URL that is not at hand tells nothing.
pub(super) fn known(cloud: &Cloud, connection: &Connection) -> Access {
    let url = match &connection.url {
        Some(SecretSource::Environment { env }) => cloud.secrets().get(env).and_then(|url| parse_url(url.expose())),
        _ => None,
    };
    over(url.unwrap_or_default(), connection)
}

/// The password as far as it can be told without a call.
pub(super) fn password_at_hand(cloud: &Cloud, connection: &Connection) -> Option<Secret> {
    match &connection.password {
        Some(SecretSource::Environment { env }) => cloud.secrets().get(env).cloned(),
        Some(SecretSource::Stored { .. }) => None,
        None => known(cloud, connection).password,
    }
}

/// Replaces a declared connection by its comparable part: a URL by host, port, database and user;
/// passwords by nothing. References that are not resolved yet stay.
pub(super) fn normalise(cloud: &Cloud, connection: &mut Value) {
    let Some(map) = connection.as_object_mut() else { return };
    let unresolved: Vec<(String, Value)> = ["secret", "role"]
        .into_iter()
        .filter_map(|key| map.get(key).filter(|value| is_unknown(value)).map(|value| (key.to_owned(), value.clone())))
        .collect();
    for (key, _) in &unresolved {
        map.remove(key);
    }
    if let Ok(parsed) = serde_json::from_value(Value::Object(map.clone())) {
        *connection = known(cloud, &parsed).visible();
    }
    for (key, value) in unresolved {
        connection[key] = value;
    }
}

/// What is written in single fields goes before what the URL or the workgroup says.
fn over(base: Access, connection: &Connection) -> Access {
    Access {
        host: connection.host.clone().or(base.host),
        port: connection.port.map(i32::from).or(base.port),
        database: connection.database.clone().or(base.database),
        username: connection.username.clone().or(base.username),
        password: base.password,
        secret: connection.secret.clone().or(base.secret),
        role: connection.role.clone().or(base.role),
        ssl_mode: base.ssl_mode,
    }
}

/// The connection with its secrets, for the call about to be made.
pub(super) async fn resolve(cloud: &Cloud, spec: &Spec) -> Result<Access, Fault> {
    let connection = spec.connection.clone().unwrap_or_default();
    let mut base = Access::default();
    if let Some(source) = &connection.url {
        let url = cloud.secret(source).await?;
        base = parse_url(url.expose()).ok_or_else(|| {
            invalid("the connection's URL does not read as postgres://user:password@host:port/database")
        })?;
    }
    if let Some(workgroup) = &spec.workgroup {
        let has_own = connection.username.is_some() || connection.secret.is_some();
        base = of_workgroup(cloud, redshift_common::reached_name(workgroup), has_own).await?;
    }
    let mut access = over(base, &connection);
    if let Some(source) = &connection.password {
        access.password = Some(cloud.secret(source).await?);
    }
    if access.port.is_none() && access.host.is_some() {
        access.port = Some(if spec.engine.is_redshift() { 5439 } else { 5432 });
    }
    Ok(access)
}

/// Host, port and database of a workgroup, and unless the endpoint has credentials of its own, the
/// namespace's managed admin user.
async fn of_workgroup(cloud: &Cloud, name: &str, has_own: bool) -> Result<Access, Fault> {
    let client = cloud.redshift_serverless().await;
    let answer = client.get_workgroup().workgroup_name(name).send().await;
    let workgroup = answer.map_err(fault("redshift-serverless:GetWorkgroup"))?.workgroup;
    let workgroup = workgroup.ok_or_else(|| invalid("the service answered without a workgroup"))?;
    let namespace = workgroup.namespace_name.clone().unwrap_or_default();
    let answer = client.get_namespace().namespace_name(namespace).send().await;
    let namespace = answer.map_err(fault("redshift-serverless:GetNamespace"))?.namespace;
    let namespace = namespace.ok_or_else(|| invalid("the service answered without a namespace"))?;
    let endpoint = workgroup.endpoint;
    // hashicorp/terraform-provider-aws#39273: the database is told once there is a workgroup. Until every server knows of
    // it, an answer without one says nothing about the database, which may well be another than the usual one.
    let database = namespace.db_name.ok_or_else(|| {
        let message = "the namespace does not tell its database yet";
        Fault::local(FaultClass::NotPropagated, "redshift-serverless:GetNamespace", message)
    })?;
    let mut access = Access {
        host: endpoint.as_ref().and_then(|endpoint| endpoint.address.clone()),
        port: endpoint.as_ref().and_then(|endpoint| endpoint.port).or(workgroup.port),
        database: Some(database),
        ..Access::default()
    };
    if has_own {
        return Ok(access);
    }
    let secret = namespace.admin_password_secret_arn.ok_or_else(|| {
        invalid(
            "the workgroup's namespace has no managed admin password: give the endpoint `username` and `password`, \
             or a `secret` with a `role`, under `connection`",
        )
    })?;
    let material = cloud.secret(&SecretSource::Stored { secret }).await?;
    let parsed: Value = serde_json::from_str(material.expose())
        .map_err(|_| invalid("the namespace's managed admin secret does not read as JSON"))?;
    access.username = parsed["username"].as_str().map(str::to_owned).or(namespace.admin_username);
    access.password = parsed["password"].as_str().map(Secret::new);
    Ok(access)
}

/// How a workgroup is reached, by the address and port of a Redshift Serverless endpoint.
pub(super) fn workgroup_of(host: &str, port: Option<i32>) -> Option<String> {
    let (name, rest) = host.split_once('.')?;
    rest.contains(".redshift-serverless.").then(|| redshift_common::reached_at(name, port))
}

fn invalid(message: &str) -> Fault {
    Fault::local(FaultClass::Invalid, "dms/endpoint:connection", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_its_escapes_are_undone() {
        let access = parse_url("postgres://al%40ce:p%2Fw@db.example.com:6543/club?sslmode=require").unwrap();
        assert_eq!(
            access.visible(),
            json!({ "host": "db.example.com", "port": 6543, "database": "club", "username": "al@ce" })
        );
        assert_eq!(access.password.as_ref().map(Secret::expose), Some("p/w"));
        assert_eq!(access.ssl_mode, Some("require"));
        assert!(!format!("{access:?}").contains("p/w"), "a password is never shown");
    }

    #[test]
    fn a_url_without_port_has_the_engine_s_own() {
        assert_eq!(parse_url("postgresql://u@h/d").unwrap().port, Some(5432));
        assert!(parse_url("mysql://u@h/d").is_none());
        assert!(parse_url("not a url").is_none());
    }

    #[test]
    fn single_fields_go_before_the_url() {
        let base = parse_url("postgres://u:p@h:1/d").unwrap();
        let connection = Connection { host: Some("replica".to_owned()), ..Connection::default() };
        let access = over(base, &connection);
        assert_eq!((access.host.as_deref(), access.port), (Some("replica"), Some(1)));
    }

    #[test]
    fn the_workgroup_is_told_by_its_address() {
        let host = "club-workgroup.111122223333.eu-north-1.redshift-serverless.amazonaws.com";
        assert_eq!(workgroup_of(host, Some(5439)).as_deref(), Some("club-workgroup"));
        assert_eq!(workgroup_of(host, Some(5440)).as_deref(), Some("club-workgroup:5440"));
        assert_eq!(workgroup_of("db.example.com", None), None);
    }
}
