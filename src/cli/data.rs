//! What the data plane needs of a stack that stands: the source's connection, the warehouse, and
//! the ARN of the task.

use std::sync::Arc;

use towpath_aws::redshift_data::Target;
use towpath_engine::kind::{Object, Place};
use towpath_engine::observe::Observation;
use towpath_engine::plan::Verb;
use towpath_engine::secret::{Secret, SecretSource};
use towpath_engine::stack::Resource;
use towpath_engine::value::Value;

use super::session::Session;
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

    /// The object of a resource, which must have been applied.
    pub(super) fn object(&self, name: &str) -> Result<&Object, CliError> {
        let resource = self.resource(name)?;
        let absent = || {
            CliError::new(Exit::Failed, format!("{} does not exist yet", resource.address))
                .hint("make it first: towpath apply")
        };
        let kind = self.session.registry.get(&resource.address.kind).ok_or_else(absent)?;
        let identity = kind.name(&self.place, name, &resource.spec).unwrap_or_default();
        self.observation
            .of(&resource.address.kind)
            .iter()
            .find(|object| {
                object.owner() == Some((self.place.stack.as_str(), name))
                    || object.identity.eq_ignore_ascii_case(&identity)
            })
            .ok_or_else(absent)
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
        let spec = &self.resource(task)?.spec;
        towpath_engine::value::references(spec.get("source").unwrap_or(&Value::Null))
            .first()
            .map(|reference| reference.resource.clone())
            .ok_or_else(|| CliError::new(Exit::Usage, format!("the source of `{task}` is no endpoint of this stack")))
    }
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
        let found = session.cloud.secret(&source).await;
        found.map(Some).map_err(|fault| CliError::failed("a secret of the source cannot be read", &fault))
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
    let mut url = url::Url::parse(&format!("postgres://{host}:{port}/{database}?sslmode={sslmode}"))
        .map_err(|error| CliError::failed(format!("the connection of `{endpoint}` is not valid"), &error))?;
    let set = url.set_username(username).and_then(|()| url.set_password(Some(password.expose())));
    set.map_err(|()| CliError::new(Exit::Usage, format!("the host of `{endpoint}` is not valid")))?;
    Ok(Secret::new(url.as_str()))
}

/// Runs work that may be dropped in the middle; an interrupt drops it.
pub(super) async fn unless_interrupted<T>(
    session: &Session,
    again: &str,
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    tokio::select! {
        result = work => result,
        () = super::interrupt::requested(&session.interrupt) => {
            Err(CliError::new(Exit::Interrupted, "interrupted").hint(format!("to go on: {again}")))
        }
    }
}
