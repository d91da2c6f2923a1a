//! `dms/data_provider`: the address of a database for schema conversion; it holds no credentials.
//!
//! In place: everything but the name. DMS refuses to change or delete one that a migration project
//! uses: around a change the project is deleted and made again. Costs nothing. `from` copies host, port and database from an endpoint or a workgroup.

use aws_sdk_databasemigration::types::{
    DataProvider as Live, DataProviderSettings, DmsSslModeValue, PostgreSqlDataProviderSettings,
    RedshiftDataProviderSettings,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::Fault;
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Found, Kind, Object, Outputs, Pauses, Place, Readiness, Scope, Tags,
};
use towpath_engine::value::{Value, is_unknown};

use super::dms_common::{self, NAME_LIMIT, SYNCHRONOUS, SYNCHRONOUS_POLL};
use crate::cloud::Cloud;
use crate::fault::fault;

/// The block of a `dms/data_provider`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The name, at most 255 characters. Default: `{stack}-{name}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "an object of towpath keeps its name for life" }))]
    pub name: Option<String>,
    /// What it is for, in at most 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub description: Option<String>,
    /// The database's engine.
    pub engine: Engine,
    /// A `dms/endpoint` or `redshift/workgroup` whose address is taken over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "compare": "subset",
        "refers_to": { "kinds": ["dms/endpoint", "redshift/workgroup"], "attribute": "connection" },
    }))]
    pub from: Option<From>,
    /// The host, where `from` is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub host: Option<String>,
    /// The port, where `from` is not used. Default: 5432, for Redshift 5439.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// The database, where `from` is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub database: Option<String>,
    /// PostgreSQL: `none`, `require`, `verify-ca` or `verify-full`. Default: `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["none", "require", "verify-ca", "verify-full"]))]
    pub ssl_mode: Option<String>,
    /// PostgreSQL: the ARN of the certificate for the two `verify` modes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The bucket folder for reports, `s3://bucket/folder`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_path: Option<String>,
    /// The role that may write there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "refers_to": { "kinds": ["iam/role"], "attribute": "arn", "physical": ["arn:"] },
    }))]
    pub s3_role: Option<String>,
}

/// The address behind `from`, in the form of the output `connection`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum From {
    /// The name of a resource; the engine puts its address in this place before any call.
    Name(String),
    /// An address.
    Address(Address),
}

/// Where a database is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: String,
}

/// The engines of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// Aurora PostgreSQL.
    AuroraPostgresql,
    /// Redshift, provisioned or serverless.
    Redshift,
}

impl Engine {
    fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::AuroraPostgresql => "aurora-postgresql",
            Self::Redshift => "redshift",
        }
    }
}

/// The kind `dms/data_provider`.
pub struct DataProvider {
    cloud: Cloud,
}

impl DataProvider {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }
}

/// Host, port and database as declared, from whichever place.
fn address(spec: &Spec) -> (Option<String>, Option<i32>, Option<String>) {
    let (host, port, database) = match &spec.from {
        Some(From::Address(address)) => {
            (Some(address.host.clone()), Some(address.port), Some(address.database.clone()))
        }
        _ => (None, None, None),
    };
    let usual = if spec.engine == Engine::Redshift { 5439 } else { 5432 };
    let port = spec.port.or(port).unwrap_or(usual);
    (spec.host.clone().or(host), Some(i32::from(port)), spec.database.clone().or(database))
}

/// A new provider says how it is secured.
fn with_default_tls(spec: &Spec) -> Spec {
    Spec { ssl_mode: spec.ssl_mode.clone().or_else(|| Some("none".to_owned())), ..spec.clone() }
}

/// The engine's block of a create or modify. DMS merges what it is sent, so that only what
/// `changed` names is in it.
fn settings(spec: &Spec, changed: &dyn Fn(&str) -> bool) -> DataProviderSettings {
    let (host, port, database) = address(spec);
    let moved = changed("from");
    let host = host.filter(|_| moved || changed("host"));
    let port = port.filter(|_| moved || changed("port"));
    let database = database.filter(|_| moved || changed("database"));
    let path = spec.s3_path.clone().filter(|_| changed("s3_path"));
    let role = spec.s3_role.clone().filter(|_| changed("s3_role"));
    if spec.engine == Engine::Redshift {
        return DataProviderSettings::RedshiftSettings(
            RedshiftDataProviderSettings::builder()
                .set_server_name(host)
                .set_port(port)
                .set_database_name(database)
                .set_s3_path(path)
                .set_s3_access_role_arn(role)
                .build(),
        );
    }
    DataProviderSettings::PostgreSqlSettings(
        PostgreSqlDataProviderSettings::builder()
            .set_server_name(host)
            .set_port(port)
            .set_database_name(database)
            .set_ssl_mode(spec.ssl_mode.as_deref().filter(|_| changed("ssl_mode")).map(DmsSslModeValue::from))
            .set_certificate_arn(spec.certificate.clone().filter(|_| changed("certificate")))
            .set_s3_path(path)
            .set_s3_access_role_arn(role)
            .build(),
    )
}

fn object(live: Live) -> Object {
    let identity = live.data_provider_name.unwrap_or_default();
    let described = match live.settings {
        Some(DataProviderSettings::PostgreSqlSettings(block)) => json!({
            "host": block.server_name, "port": block.port, "database": block.database_name,
            "ssl_mode": block.ssl_mode.as_ref().map(DmsSslModeValue::as_str), "certificate": block.certificate_arn,
            "s3_path": block.s3_path, "s3_role": block.s3_access_role_arn,
        }),
        Some(DataProviderSettings::RedshiftSettings(block)) => json!({
            "host": block.server_name, "port": block.port, "database": block.database_name,
            "s3_path": block.s3_path, "s3_role": block.s3_access_role_arn,
        }),
        // Engines that towpath does not make.
        _ => json!({}),
    };
    let mut state = described;
    state["name"] = json!(identity);
    state["from"] = json!({ "host": state["host"], "port": state["port"], "database": state["database"] });
    state["engine"] = json!(live.engine);
    state["description"] = json!(live.description);
    if let Some(map) = state.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    Object {
        outputs: Outputs::from([
            ("arn".to_owned(), json!(live.data_provider_arn)),
            ("name".to_owned(), json!(identity)),
        ]),
        state,
        tags: None,
        readiness: Readiness::Ready,
        running: false,
        pending: Value::Null,
        identity,
    }
}

impl Kind for DataProvider {
    const NAME: &'static str = "dms/data_provider";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "The address of a database for schema conversion, without credentials.",
            create: SYNCHRONOUS,
            update: SYNCHRONOUS,
            delete: SYNCHRONOUS,
            poll: SYNCHRONOUS_POLL,
            pauses: Pauses::Holders,
            holds: None,
            name_limit: NAME_LIMIT,
            taggable: true,
            assigned_identity: false,
        }
    }

    fn name(&self, place: &Place, name: &str, spec: &Spec) -> String {
        dms_common::identifier(place, name, spec.name.as_ref(), 63)
    }

    fn predict(&self, _place: &Place, identity: &str, _spec: &Spec) -> Outputs {
        Outputs::from([("name".to_owned(), json!(identity))])
    }

    fn check(&self, spec: &Spec) -> Vec<(String, String)> {
        let mut mistakes: Vec<(String, String)> =
            dms_common::check_name(spec.name.as_ref(), NAME_LIMIT).into_iter().collect();
        let mut mistake = |field: &str, text: &str| mistakes.push((field.to_owned(), text.to_owned()));
        let single = spec.host.is_some() || spec.port.is_some() || spec.database.is_some();
        if spec.from.is_some() && single {
            mistake("from", "`from` already says host, port and database");
        }
        if spec.from.is_none() && (spec.host.is_none() || spec.database.is_none()) {
            mistake("host", "name `host` and `database`, or take them over with `from`");
        }
        if spec.engine == Engine::Redshift && (spec.ssl_mode.is_some() || spec.certificate.is_some()) {
            mistake("ssl_mode", "a Redshift provider has no TLS settings: it always uses TLS");
        }
        let verifies = matches!(spec.ssl_mode.as_deref(), Some("verify-ca" | "verify-full"));
        if verifies && spec.certificate.is_none() {
            mistake("ssl_mode", "`verify-ca` and `verify-full` need a `certificate`");
        }
        mistakes
    }

    /// The address is either one of the stack's or written out.
    fn declare(&self, found: &Found<'_>, mut state: Value) -> Value {
        let by_name = is_unknown(&state["from"]);
        let leave: &[&str] = if by_name { &["host", "port", "database"] } else { &["from"] };
        if let Some(map) = state.as_object_mut() {
            map.retain(|field, _| !leave.contains(&field.as_str()));
        }
        found.without(state, &json!({ "ssl_mode": "none" }))
    }

    fn normalise(&self, mut value: Value) -> Value {
        dms_common::fold_name(&mut value);
        value
    }

    async fn list(&self, _scope: &Scope) -> Result<Vec<Object>, Fault> {
        let client = self.cloud.dms().await;
        let pages = client.describe_data_providers().into_paginator().send().collect::<Result<Vec<_>, _>>().await;
        let pages = dms_common::pages(pages, "dms:DescribeDataProviders")?;
        let providers = pages.into_iter().flat_map(|page| page.data_providers.unwrap_or_default());
        let mut objects: Vec<Object> = providers.map(object).collect();
        dms_common::read_tags(&self.cloud, &mut objects).await?;
        Ok(objects)
    }

    async fn create(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        let client = self.cloud.dms().await;
        client
            .create_data_provider()
            .data_provider_name(name)
            .set_description(spec.description.clone())
            .engine(spec.engine.as_str())
            .settings(settings(&with_default_tls(spec), &|_| true))
            .set_tags(Some(dms_common::sdk_tags(tags)))
            .send()
            .await
            .map_err(fault("dms:CreateDataProvider"))?;
        Ok(name.to_owned())
    }

    async fn update(&self, object: &Object, spec: &Spec, fields: &[String]) -> Result<(), Fault> {
        let changed = |name: &str| fields.iter().any(|field| field == name);
        let changes_settings = fields.iter().any(|field| field != "description");
        // Each engine family has a block of its own.
        let was_redshift = object.state["engine"] == "redshift";
        let settings = if was_redshift == (spec.engine == Engine::Redshift) {
            settings(spec, &changed)
        } else {
            settings(&with_default_tls(spec), &|_| true)
        };
        let client = self.cloud.dms().await;
        client
            .modify_data_provider()
            .data_provider_identifier(&object.identity)
            .set_description(spec.description.clone().filter(|_| changed("description")))
            .set_engine(changes_settings.then(|| spec.engine.as_str().to_owned()))
            .set_settings(changes_settings.then_some(settings))
            .send()
            .await
            .map(drop)
            .map_err(fault("dms:ModifyDataProvider"))
    }

    async fn delete(&self, object: &Object, _options: &DeleteOptions) -> Result<(), Fault> {
        let client = self.cloud.dms().await;
        let call = client.delete_data_provider().data_provider_identifier(&object.identity);
        call.send().await.map(drop).map_err(fault("dms:DeleteDataProvider"))
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        dms_common::add_tags(&self.cloud, object, tags).await
    }

    async fn holders(&self, object: &Object) -> Result<Vec<String>, Fault> {
        super::dms_migration_project::users(&self.cloud, &object.identity).await
    }

    fn examples(&self, _place: &Place) -> Vec<Example> {
        let first = json!({ "engine": "postgres", "host": "db.example.com", "database": "club" });
        let mut moved = first.clone();
        moved["host"] = json!("replica.example.com");
        moved["ssl_mode"] = json!("require");
        vec![Example { name: "source_provider", spec: first, changed: vec![moved] }]
    }
}
