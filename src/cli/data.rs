//! What the data plane needs of a stack that stands: the source's connection, the warehouse, and
//! the ARN of the task.

use std::sync::Arc;

use towpath_aws::redshift_data::Target;
use towpath_engine::apply::retry::Retry;
use towpath_engine::kind::{Object, Place};
use towpath_engine::observe::Observation;
use towpath_engine::plan::Verb;
use towpath_engine::secret::{Secret, SecretSource};
use towpath_engine::stack::{Resource, Stack};
use towpath_engine::value::Value;

use super::session::{SOURCE_VARIABLE, Session};
use super::{CliError, Exit, plan};
use crate::database::postgres::Postgres;
use crate::database::{Database, data_api};

/// Statements in flight in the warehouse at once.
const STATEMENTS: usize = 8;

/// A stack that stands, as the data plane sees it.
pub(super) struct Standing<'a> {
    session: &'a Session,
    place: Place,
    observation: Observation,
}

impl<'a> Standing<'a> {
    /// Reads what stands.
    pub(super) async fn read(session: &'a Session) -> Result<Self, CliError> {
        let place = session.locate().await?;
        let observation = plan::look(session, Verb::Apply, &plan::remembered(session)?).await?;
        Ok(Self { session, place, observation })
    }

    /// The object of a resource, which must have been applied. Somebody else's of that name is none.
    pub(super) fn object(&self, name: &str) -> Result<&Object, CliError> {
        let resource = self.resource(name)?;
        let absent = || {
            CliError::new(Exit::Failed, format!("{} does not exist yet", resource.address))
                .hint(format!("make it first: {}", self.session.command("apply")))
        };
        let kind = self.session.registry.get(&resource.address.kind).ok_or_else(absent)?;
        let identity = kind.name(&self.place, name, &resource.spec).unwrap_or_default();
        let objects = self.observation.of(&resource.address.kind);
        let own = objects.iter().find(|object| object.owner() == Some((self.place.stack.as_str(), name)));
        if let Some(own) = own {
            return Ok(own);
        }
        let namesake = objects.iter().find(|object| object.identity.eq_ignore_ascii_case(&identity));
        let namesake = namesake.ok_or_else(absent)?;
        let foreign = format!("{}: `{}` exists and is not this stack's", resource.address, namesake.identity);
        Err(CliError::new(Exit::Failed, foreign)
            .hint(format!("to take it over: {}", self.session.command(&format!("adopt {name}")))))
    }

    fn resource(&self, name: &str) -> Result<&Resource, CliError> {
        let found = self.session.stack.resources.get(name);
        found.ok_or_else(|| CliError::new(Exit::Usage, format!("the stack has no resource `{name}`")))
    }

    /// An output of a resource's object, as text.
    pub(super) fn output(&self, name: &str, attribute: &str) -> Result<String, CliError> {
        let object = self.object(name)?;
        match object.outputs.get(attribute) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Ok(other.to_string()),
            None => Err(CliError::new(Exit::Failed, format!("`{name}` has no `{attribute}`"))),
        }
    }

    /// The warehouse behind a workgroup.
    pub(super) fn warehouse(&self, workgroup: &str) -> Result<(Arc<dyn Database>, String), CliError> {
        let database = self.output(workgroup, "database")?;
        let target = Target {
            workgroup: self.output(workgroup, "name")?,
            database: database.clone(),
            secret_arn: self.output(workgroup, "admin_secret_arn").ok(),
        };
        Ok((Arc::new(data_api::redshift(self.session.cloud.clone(), target, STATEMENTS)), database))
    }

    /// The workgroup that a task's target endpoint writes to, by resource name.
    pub(super) fn workgroup_of(&self, task: &str) -> Result<String, CliError> {
        let named = |resource: &Resource, field: &str| {
            towpath_engine::value::references(resource.spec.get(field).unwrap_or(&Value::Null))
                .first()
                .map(|reference| reference.resource.clone())
        };
        let target = named(self.resource(task)?, "target");
        let workgroup = target.and_then(|target| named(self.resource(&target).ok()?, "workgroup"));
        workgroup.ok_or_else(|| {
            CliError::new(
                Exit::Usage,
                format!("the target of `{task}` names no workgroup of this stack, so its tables cannot be counted"),
            )
        })
    }

    /// The source endpoint of a task, by resource name.
    pub(super) fn source_of(&self, task: &str) -> Result<String, CliError> {
        self.resource(task)?;
        let source = source_of(&self.session.stack, task);
        source.ok_or_else(|| CliError::new(Exit::Usage, format!("the source of `{task}` is no endpoint of this stack")))
    }
}

/// The source endpoint that a task of the stack names, by resource name.
pub(super) fn source_of(stack: &Stack, task: &str) -> Option<String> {
    let source = stack.resources.get(task)?.spec.get("source")?;
    towpath_engine::value::references(source).into_iter().next().map(|reference| reference.resource)
}

/// The source database of an endpoint of the stack. Starts the sandbox's PostgreSQL.
pub(super) async fn source(session: &Session, endpoint: &str) -> Result<Postgres, CliError> {
    session.ensure_postgres().await?;
    let spec = session.stack.resources.get(endpoint).map(|resource| &resource.spec);
    let connection = spec.and_then(|spec| spec.get("connection")).cloned().unwrap_or_default();
    // The certificate that DMS checks lies with DMS, so encryption is all that can be asked from here.
    let mode = spec.and_then(|spec| spec.get("ssl_mode")).and_then(Value::as_str).unwrap_or("none");
    let url = url(session, endpoint, &connection, if mode == "none" { "prefer" } else { "require" }).await?;
    Postgres::new(&url, 4).map_err(|error| CliError::failed("the source database cannot be used", &error))
}

/// The URL of a connection; `sslmode` is for one that is given in parts.
async fn url(session: &Session, endpoint: &str, connection: &Value, sslmode: &str) -> Result<Secret, CliError> {
    let secret = async |value: &Value| -> Result<Option<Secret>, CliError> {
        let Ok(source) = serde_json::from_value::<SecretSource>(value.clone()) else { return Ok(None) };
        stored(session, &source).await.map(Some)
    };
    if let Some(url) = secret(&connection["url"]).await? {
        return Ok(url);
    }
    let text = |field: &str| connection.get(field).and_then(Value::as_str);
    let password = secret(&connection["password"]).await?;
    let parts = (text("host"), text("database"), text("username"), password);
    let (Some(host), Some(database), Some(username), Some(password)) = parts else {
        return Err(CliError::new(
            Exit::Usage,
            format!(
                "`{endpoint}` names no URL, nor host, database, username and password, so it cannot be reached from here"
            ),
        ));
    };
    let port = connection.get("port").and_then(Value::as_u64).unwrap_or(5432);
    whole(endpoint, &format!("{host}:{port}/{database}?sslmode={sslmode}"), username, &password)
}

/// The URL of a database at an address for a user.
fn whole(endpoint: &str, address: &str, username: &str, password: &Secret) -> Result<Secret, CliError> {
    let mut url = url::Url::parse(&format!("postgres://{address}"))
        .map_err(|error| CliError::failed(format!("the connection of `{endpoint}` is not valid"), &error))?;
    let set = url.set_username(username).and_then(|()| url.set_password(Some(password.expose())));
    set.map_err(|()| CliError::new(Exit::Usage, format!("the host of `{endpoint}` is not valid")))?;
    Ok(Secret::new(url.as_str()))
}

/// The source database of an endpoint that no file declares, by the state of its object. DMS tells no password: the
/// endpoint's secret does, or a URL at hand that leads to the same database.
pub(super) async fn found_source(session: &Session, endpoint: &str, state: &Value) -> Result<Postgres, CliError> {
    session.ensure_postgres().await?;
    let connection = &state["connection"];
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let (host, database) = (text(connection, "host"), text(connection, "database"));
    let port = connection["port"].as_u64().unwrap_or(5432);
    let leads_there = |url: &Secret| {
        url::Url::parse(url.expose()).is_ok_and(|url| {
            url.host_str() == Some(host.as_str())
                && u64::from(url.port().unwrap_or(5432)) == port
                && url.path().trim_start_matches('/') == database
        })
    };
    let named = session.project.variable(SOURCE_VARIABLE).map(Secret::new);
    let at_hand = || named.into_iter().chain(session.cloud.secrets().get(SOURCE_VARIABLE).cloned()).find(leads_there);
    let url = if let Some(secret) = connection["secret"].as_str() {
        let material = stored(session, &SecretSource::Stored { secret: secret.to_owned() }).await?;
        let said: Value = serde_json::from_str(material.expose()).unwrap_or_default();
        let mode = if state["ssl_mode"].as_str().unwrap_or("none") == "none" { "prefer" } else { "require" };
        let address = format!("{}:{}/{database}?sslmode={mode}", text(&said, "host"), port_of(&said).unwrap_or(port));
        whole(endpoint, &address, &text(&said, "username"), &Secret::new(text(&said, "password")))?
    } else {
        let user = text(connection, "username");
        at_hand().ok_or_else(|| {
            CliError::new(
                Exit::Failed,
                format!("nothing here tells the password of `{user}` at {host}:{port}/{database}, nor does {SOURCE_VARIABLE} lead there"),
            )
        })?
    };
    Postgres::new(&url, 4).map_err(|error| CliError::failed("the source database cannot be used", &error))
}

/// The material of a secret of the source.
async fn stored(session: &Session, source: &SecretSource) -> Result<Secret, CliError> {
    let retry = Retry::new(session.clock.as_ref(), plan::seed());
    // Boxed, as what is nested deeper than the compiler follows must be.
    let found = Box::pin(retry.call("secretsmanager", || session.cloud.secret(source))).await;
    found.map_err(|fault| CliError::failed("a secret of the source cannot be read", &fault))
}

/// The port in a secret, which some write as text.
fn port_of(secret: &Value) -> Option<u64> {
    let port = &secret["port"];
    port.as_u64().or_else(|| port.as_str()?.parse().ok())
}

/// Runs work that may be dropped in the middle; an interrupt drops it.
pub(super) async fn unless_interrupted<T>(
    session: &Session,
    again: &str,
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    let interrupted = || Err(CliError::new(Exit::Interrupted, "interrupted").hint(format!("to go on: {again}")));
    tokio::select! {
        result = work => match result {
            // What it was reading has seen it first.
            Err(error) if error.exit == Exit::Interrupted => interrupted(),
            other => other,
        },
        () = super::interrupt::requested(&session.interrupt) => interrupted(),
    }
}
