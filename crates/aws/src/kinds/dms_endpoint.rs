//! `dms/endpoint`: one end of a migration, the source PostgreSQL or the Redshift target.
//!
//! In place: address, credentials, settings, TLS. Replacement: direction, engine, key. Any change
//! makes DMS test the connection on every instance that uses the endpoint, and DMS refuses it
//! while a task runs: the engine stops those tasks, waits for the test and resumes them. Costs
//! nothing. The password cannot be read back; a changed one is seen by the mark of the one sent before.

mod access;
mod attributes;
mod blocks;
mod mistakes;
mod settings;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_databasemigration::types::{DmsSslModeValue, Endpoint as LiveEndpoint, ReplicationEndpointTypeValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::Fault;
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Found, Kind, Object, Outputs, Pauses, Place, Poll, Readiness, Scope, Seconds,
    SecretMark, Tags,
};
use towpath_engine::value::Value;

use self::access::Access;
use self::blocks::{blocks, with_live_block};

pub use self::access::Connection;
pub use self::settings::Settings;
use super::{dms_common, redshift_common};
use crate::cloud::Cloud;
use crate::fault::fault;

/// The block of a `dms/endpoint`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The identifier, in lower case, at most 255 characters. Default: `{stack}-{name}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "an object of towpath keeps its name for life" }))]
    pub name: Option<String>,
    /// `source` or `target`.
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "an endpoint keeps its type for life" }))]
    pub direction: Direction,
    /// The database's engine.
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "an endpoint keeps its engine for life" }))]
    pub engine: Engine,
    /// Where the database is and who may enter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "compare": "subset" }))]
    pub connection: Option<Connection>,
    /// A `redshift/workgroup` as the target: host, port and database come from it, and unless
    /// `connection` has its own, user and password from its namespace's managed admin secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "refers_to": { "kinds": ["redshift/workgroup"], "attribute": "reached_at" }, "sends_along": ["connection"],
    }))]
    pub workgroup: Option<String>,
    /// Redshift: the bucket for intermediate files. Without one DMS makes a bucket of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "refers_to": { "kinds": ["s3/bucket"], "attribute": "name", "physical": ["dms-"] } }))]
    pub bucket: Option<String>,
    /// Redshift: the folder in that bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket_folder: Option<String>,
    /// Redshift: the role that reads and writes the bucket (`dms-access-for-endpoint`).
    /// PostgreSQL: the role that may connect, with `authentication_method: iam`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "refers_to": { "kinds": ["iam/role"], "attribute": "arn", "physical": ["arn:"] },
    }))]
    pub role: Option<String>,
    /// TLS: `none`, `require`, `verify-ca` or `verify-full`. Default: what the URL's `sslmode` says,
    /// else `none`; Redshift endpoints use TLS anyway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_mode: Option<SslMode>,
    /// The ARN of a certificate imported into DMS; needed by the two `verify` modes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The ARN of the key that encrypts the connection's parameters. Default: `aws/dms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "ModifyEndpoint has no KmsKeyId" }))]
    pub kms_key: Option<String>,
    /// Behaviour of the engine. Only what is written here is sent and compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "compare": "subset" }))]
    pub settings: Option<Settings>,
    /// Extra connection attributes, for what `settings` does not have. One that is a setting
    /// (`captureDDLs`) counts as that setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "compare": "subset" }))]
    pub extra_attributes: Option<BTreeMap<String, String>>,
}

/// Which end an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Data is read from it.
    Source,
    /// Data is written to it.
    Target,
}

/// The engines a pipeline can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// PostgreSQL, self-managed or on RDS.
    Postgres,
    /// Aurora PostgreSQL.
    AuroraPostgresql,
    /// A provisioned Redshift cluster.
    Redshift,
    /// Redshift Serverless.
    RedshiftServerless,
}

impl Engine {
    fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::AuroraPostgresql => "aurora-postgresql",
            Self::Redshift => "redshift",
            Self::RedshiftServerless => "redshift-serverless",
        }
    }

    fn is_redshift(self) -> bool {
        matches!(self, Self::Redshift | Self::RedshiftServerless)
    }
}

/// How a connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Not at all (Redshift: as always, with TLS).
    None,
    /// Encrypted, the server is not checked.
    Require,
    /// The certificate's authority is checked.
    VerifyCa,
    /// Authority and host name are checked.
    VerifyFull,
}

impl SslMode {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// The kind `dms/endpoint`.
pub struct Endpoint {
    cloud: Cloud,
}

impl Endpoint {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }

    /// ARNs of the endpoints whose connection is being tested on some instance.
    async fn under_test(&self) -> Result<BTreeSet<String>, Fault> {
        let client = self.cloud.dms().await;
        let pages = client.describe_connections().into_paginator().send().collect::<Result<Vec<_>, _>>().await;
        let pages = dms_common::pages(pages, "dms:DescribeConnections")?;
        Ok(pages
            .into_iter()
            .flat_map(|page| page.connections.unwrap_or_default())
            .filter(|connection| connection.status.as_deref() == Some("testing"))
            .filter_map(|connection| connection.endpoint_arn)
            .collect())
    }
}

fn readiness(status: &str, is_tested: bool) -> Readiness {
    match status {
        "deleting" => Readiness::Deleting,
        "failed" => Readiness::Failed("the endpoint could not be created".to_owned()),
        "creating" | "modifying" | "testing" => Readiness::Pending(status.to_owned()),
        // A change starts a test behind the scenes, and no task can start until it is over.
        _ if is_tested => Readiness::Pending("testing the connection".to_owned()),
        _ => Readiness::Ready,
    }
}

fn object(live: LiveEndpoint, under_test: &BTreeSet<String>) -> Object {
    let identity = live.endpoint_identifier.clone().unwrap_or_default().to_lowercase();
    let (postgres, redshift) = (live.postgre_sql_settings.as_ref(), live.redshift_settings.as_ref());
    // With a secret, or when the block was used, the members outside the block are empty.
    let either = |outside: &Option<String>, postgres: Option<&String>, redshift: Option<&String>| {
        let found = [outside.as_ref(), postgres, redshift].into_iter().flatten().find(|text| !text.is_empty());
        found.cloned()
    };
    let access = Access {
        host: either(
            &live.server_name,
            postgres.and_then(|block| block.server_name.as_ref()),
            redshift.and_then(|block| block.server_name.as_ref()),
        ),
        port: live.port.or_else(|| postgres.and_then(|block| block.port).or_else(|| redshift.and_then(|b| b.port))),
        database: either(
            &live.database_name,
            postgres.and_then(|block| block.database_name.as_ref()),
            redshift.and_then(|block| block.database_name.as_ref()),
        ),
        username: either(
            &live.username,
            postgres.and_then(|block| block.username.as_ref()),
            redshift.and_then(|block| block.username.as_ref()),
        ),
        secret: either(
            &None,
            postgres.and_then(|block| block.secrets_manager_secret_id.as_ref()),
            redshift.and_then(|block| block.secrets_manager_secret_id.as_ref()),
        ),
        role: either(
            &None,
            postgres.and_then(|block| block.secrets_manager_access_role_arn.as_ref()),
            redshift.and_then(|block| block.secrets_manager_access_role_arn.as_ref()),
        ),
        ..Access::default()
    };
    let settings = redshift.map(Settings::of_redshift).or_else(|| postgres.map(Settings::of_postgres));
    let role = either(
        &live.service_access_role_arn,
        postgres.and_then(|block| block.service_access_role_arn.as_ref()),
        redshift.and_then(|block| block.service_access_role_arn.as_ref()),
    );
    let attributes = settings::parse_attributes(live.extra_connection_attributes.as_deref().unwrap_or_default());
    let direction = live.endpoint_type.as_ref().map(|direction| direction.as_str().to_lowercase());
    let mut state = json!({
        "name": identity,
        "direction": direction,
        "engine": live.engine_name,
        "connection": access.visible(),
        "workgroup": access.host.as_deref().and_then(|host| access::workgroup_of(host, access.port)),
        "bucket": redshift.and_then(|block| block.bucket_name.as_ref()),
        "bucket_folder": redshift.and_then(|block| block.bucket_folder.as_ref()),
        "role": role,
        "ssl_mode": live.ssl_mode.as_ref().map(DmsSslModeValue::as_str),
        "certificate": live.certificate_arn,
        "kms_key": live.kms_key_id,
        "settings": settings.as_ref().map(dms_common::state),
        "extra_attributes": attributes,
    });
    if let Some(map) = state.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    attributes::fold(&mut state);
    let arn = live.endpoint_arn.unwrap_or_default();
    let is_tested = under_test.contains(&arn);
    let mut object = Object {
        outputs: outputs(&arn, &identity, Some(&access)),
        state,
        tags: None,
        readiness: readiness(live.status.as_deref().unwrap_or_default(), is_tested),
        running: false,
        pending: Value::Null,
        identity,
    };
    dms_common::note_read_only(&mut object, live.is_read_only);
    object
}

fn outputs(arn: &str, identity: &str, access: Option<&Access>) -> Outputs {
    let mut outputs = Outputs::from([("arn".to_owned(), json!(arn)), ("name".to_owned(), json!(identity))]);
    // Only a complete address is of use to others; one behind a secret is not known here.
    if let Some(Access { host: Some(host), port: Some(port), database: Some(database), .. }) = access {
        outputs.insert("connection".to_owned(), json!({ "host": host, "port": port, "database": database }));
    }
    outputs
}

impl Kind for Endpoint {
    const NAME: &'static str = "dms/endpoint";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "One end of a migration: the source PostgreSQL or the Redshift target.",
            create: Seconds::new(1.0, 2.0, 30.0),
            update: Seconds::new(15.0, 45.0, 180.0),
            delete: Seconds::new(2.0, 10.0, 300.0),
            poll: Poll { first: 0.0, interval: 5.0, give_up: 300.0, stable: 1 },
            pauses: Pauses::Dependents,
            holds: None,
            name_limit: 255,
            taggable: true,
            assigned_identity: false,
        }
    }

    fn name(&self, place: &Place, name: &str, spec: &Spec) -> String {
        dms_common::identifier(place, name, spec.name.as_ref(), 255)
    }

    fn predict(&self, place: &Place, identity: &str, spec: &Spec) -> Outputs {
        let arn = dms_common::arn(place, "endpoint", &dms_common::resource_identifier(identity));
        let known = spec.connection.as_ref().filter(|_| spec.workgroup.is_none());
        let mut known = known.map(|connection| access::known(&self.cloud, connection));
        if let Some(access) = known.as_mut().filter(|access| access.port.is_none()) {
            access.port = Some(if spec.engine.is_redshift() { 5439 } else { 5432 });
        }
        outputs(&arn, identity, known.as_ref())
    }

    fn check(&self, spec: &Spec) -> Vec<(String, String)> {
        mistakes::check(spec)
    }

    fn secret_mark(&self, place: &Place, identity: &str, spec: &Spec) -> Option<SecretMark> {
        let password = access::password_at_hand(&self.cloud, spec.connection.as_ref()?)?;
        Some(SecretMark::of("connection", place, identity, &password))
    }

    fn normalise(&self, mut value: Value) -> Value {
        dms_common::fold_name(&mut value);
        // The port is then the secret's.
        if value.pointer("/connection/secret").is_some()
            && let Some(Value::String(at)) = value.get_mut("workgroup")
        {
            *at = redshift_common::reached_name(at).to_owned();
        }
        if let Some(connection) = value.get_mut("connection") {
            access::normalise(&self.cloud, connection);
        }
        attributes::fold(&mut value);
        if let Some(Value::String(mode)) = value.pointer_mut("/settings/encryption_mode") {
            *mode = mode.to_lowercase().replace('_', "-");
        }
        value
    }

    fn declare(&self, found: &Found<'_>, state: Value) -> Value {
        access::declare(found, state)
    }

    fn forces_replacement(&self, field: &str, before: &Value, after: &Value) -> Option<String> {
        let mode = |value: &Value| value["encryption_mode"].as_str().map(str::to_owned);
        let is_refused = mode(before).as_deref() == Some("sse-s3") && mode(after).as_deref() == Some("sse-kms");
        (field == "settings" && is_refused).then(|| "EncryptionMode can change from SSE_KMS to SSE_S3 only".to_owned())
    }

    fn managed_by(&self, object: &Object) -> Option<&'static str> {
        dms_common::managed_by(object)
    }

    async fn list(&self, _scope: &Scope) -> Result<Vec<Object>, Fault> {
        let client = self.cloud.dms().await;
        let pages = client.describe_endpoints().into_paginator().send().collect::<Result<Vec<_>, _>>().await;
        let pages = dms_common::pages(pages, "dms:DescribeEndpoints")?;
        let under_test = self.under_test().await?;
        let endpoints = pages.into_iter().flat_map(|page| page.endpoints.unwrap_or_default());
        let mut objects: Vec<Object> = endpoints.map(|endpoint| object(endpoint, &under_test)).collect();
        dms_common::read_tags(&self.cloud, &mut objects).await?;
        dms_common::whole_secrets(&self.cloud, &mut objects, &["/connection/secret"]).await?;
        Ok(objects)
    }

    async fn create(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        let spec = &attributes::folded(spec);
        let access = access::resolve(&self.cloud, spec).await?;
        let settings = spec.settings.clone().unwrap_or_default();
        let blocks = blocks(spec, Some(&access), &settings, &|_| true);
        let ssl_mode = spec.ssl_mode.map(SslMode::as_str).or(access.ssl_mode);
        let client = self.cloud.dms().await;
        let call = client
            .create_endpoint()
            .endpoint_identifier(name)
            .resource_identifier(dms_common::resource_identifier(name))
            .endpoint_type(match spec.direction {
                Direction::Source => ReplicationEndpointTypeValue::Source,
                Direction::Target => ReplicationEndpointTypeValue::Target,
            })
            .engine_name(spec.engine.as_str())
            .set_server_name(access.host)
            .set_port(access.port)
            .set_database_name(access.database)
            .set_username(access.username)
            .set_password(access.password.map(|password| password.expose().to_owned()))
            .set_ssl_mode(ssl_mode.map(DmsSslModeValue::from))
            .set_certificate_arn(spec.certificate.clone())
            .set_kms_key_id(spec.kms_key.clone())
            .set_extra_connection_attributes(spec.extra_attributes.as_ref().map(settings::write_attributes))
            .set_postgre_sql_settings(blocks.postgres)
            .set_redshift_settings(blocks.redshift)
            .set_tags(Some(dms_common::sdk_tags(tags)));
        // Endpoints have a settings block for each engine, which makes these two futures large.
        Box::pin(call.send()).await.map_err(fault("dms:CreateEndpoint"))?;
        Ok(name.to_owned())
    }

    async fn update(&self, object: &Object, spec: &Spec, fields: &[String]) -> Result<(), Fault> {
        let spec = &attributes::folded(spec);
        let live = self.normalise(object.state.clone());
        let changed = |field: &str| fields.iter().any(|name| name == field);
        let moved = changed("connection") || changed("workgroup");
        let access = if moved { Some(access::resolve(&self.cloud, spec).await?) } else { None };
        let declared = spec.settings.as_ref().filter(|_| changed("settings"));
        let settings = declared.map_or_else(Settings::default, |settings| {
            let only = dms_common::changed_only(&dms_common::state(settings), &live["settings"]);
            serde_json::from_value(only).unwrap_or_else(|_| settings.clone())
        });
        // DMS merges what it is sent, so that a secret is left only by settings that are sent whole.
        let had_secret = object.state.pointer("/connection/secret").is_some();
        let leaves_secret = had_secret && access.as_ref().is_some_and(|access| access.secret.is_none());
        let blocks = if leaves_secret {
            let whole = with_live_block(spec, &object.state);
            blocks(&whole, access.as_ref(), whole.settings.as_ref().unwrap_or(&settings), &|_| true)
        } else {
            blocks(spec, access.as_ref(), &settings, &changed)
        };
        let access = access.unwrap_or_default();
        // The text replaces the old one as a whole: what others have put there stays in it.
        let mut attributes: BTreeMap<String, String> =
            serde_json::from_value(live["extra_attributes"].clone()).unwrap_or_default();
        attributes.extend(spec.extra_attributes.clone().unwrap_or_default());
        let client = self.cloud.dms().await;
        let call = client
            .modify_endpoint()
            .set_exact_settings(leaves_secret.then_some(true))
            .endpoint_arn(dms_common::text(object, "arn").unwrap_or_default())
            .engine_name(spec.engine.as_str())
            .set_server_name(access.host)
            .set_port(access.port)
            .set_database_name(access.database)
            .set_username(access.username)
            .set_password(access.password.map(|password| password.expose().to_owned()))
            .set_ssl_mode(spec.ssl_mode.filter(|_| changed("ssl_mode")).map(|mode| mode.as_str().into()))
            .set_certificate_arn(spec.certificate.clone().filter(|_| changed("certificate")))
            .set_extra_connection_attributes(
                changed("extra_attributes").then(|| settings::write_attributes(&attributes)),
            )
            .set_postgre_sql_settings(blocks.postgres)
            .set_redshift_settings(blocks.redshift);
        Box::pin(call.send()).await.map(drop).map_err(fault("dms:ModifyEndpoint"))
    }

    async fn delete(&self, object: &Object, _options: &DeleteOptions) -> Result<(), Fault> {
        let client = self.cloud.dms().await;
        let call = client.delete_endpoint().endpoint_arn(dms_common::text(object, "arn").unwrap_or_default());
        call.send().await.map(drop).map_err(fault("dms:DeleteEndpoint"))
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        dms_common::add_tags(&self.cloud, object, tags).await
    }

    async fn holders(&self, object: &Object) -> Result<Vec<String>, Fault> {
        let mut holders = dms_common::tasks_of(&self.cloud, "endpoint-arn", object).await?;
        let arn = dms_common::text(object, "arn");
        let uses = |config: &aws_sdk_databasemigration::types::ReplicationConfig| {
            config.source_endpoint_arn == arn || config.target_endpoint_arn == arn
        };
        holders.extend(dms_common::replications_of(&self.cloud, uses).await?);
        Ok(holders)
    }

    fn examples(&self, _place: &Place) -> Vec<Example> {
        let first = json!({
            "direction": "source", "engine": "postgres",
            "connection": { "host": "127.0.0.1", "port": 5432, "database": "club", "username": "club",
                "password": { "env": "SOURCE_PASSWORD" } },
            "settings": { "capture_ddls": false },
        });
        let mut moved = first.clone();
        moved["connection"]["host"] = json!("replica.example.com");
        let mut tuned = moved.clone();
        tuned["settings"] = json!({ "capture_ddls": false, "heartbeat_enable": true, "heartbeat_frequency": 3 });
        tuned["ssl_mode"] = json!("require");
        vec![Example { name: "source", spec: first, changed: vec![moved, tuned] }]
    }
}

#[cfg(test)]
mod tests;
