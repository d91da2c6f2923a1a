//! Endpoints: where a task reads and writes.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::common::{
    check_name, exists, filters, identifier, keep_tags, new_arn, not_found, page, passes, require_writable, wrong_state,
};
use super::{attributes, connections, quotas, settings};
use crate::Quota;
use crate::call::{ApiError, Call};
use crate::world::dms::{Endpoint, Lifecycle, Work};

const DELETING: Duration = Duration::from_secs(10);
/// Engines: the name, the name for people, and whether it is a source.
pub(super) const ENGINES: [(&str, &str, bool); 4] = [
    ("postgres", "PostgreSQL", true),
    ("aurora-postgresql", "Amazon Aurora PostgreSQL", true),
    ("redshift", "Amazon Redshift", false),
    ("redshift-serverless", "Amazon Redshift Serverless", false),
];
/// Top-level members that are kept as they come.
const PLAIN: [&str; 7] = [
    "Username",
    "ServerName",
    "Port",
    "DatabaseName",
    "CertificateArn",
    "ServiceAccessRoleArn",
    "ExternalTableDefinition",
];

/// The settings block of an engine on the wire.
fn block_of(engine: &str) -> &'static str {
    if engine.starts_with("redshift") { "RedshiftSettings" } else { "PostgreSQLSettings" }
}

/// `CreateEndpoint`.
pub(super) fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let name = identifier(input, "EndpointIdentifier", 255)?;
    let is_source = match input.required("EndpointType")?.to_lowercase().as_str() {
        "source" => true,
        "target" => false,
        other => return Err(input.invalid(format!("Invalid endpoint type: {other}"))),
    };
    let engine = input.required("EngineName")?;
    let Some((_, display, for_source)) = ENGINES.iter().find(|(known, ..)| *known == engine) else {
        return Err(input.invalid(format!("Engine {engine} is not supported by the sandbox")));
    };
    if is_source != *for_source {
        return Err(input
            .invalid(format!("Engine {engine} cannot be used as a {}", if is_source { "source" } else { "target" })));
    }
    if call.world.dms.endpoints.get(&name).is_some_and(|old| !old.lifecycle.is_gone(call.clock.now())) {
        return Err(exists(format!("Endpoint already exists: {name}")));
    }
    quotas::require_room(call, Quota::Endpoints)?;
    let arn = new_arn(call, "endpoint")?;
    keep_tags(call, &arn)?;
    let mut endpoint = Endpoint {
        identifier: name.clone(),
        arn,
        is_source,
        engine: engine.to_owned(),
        password: None,
        lifecycle: Lifecycle::steady("active"),
        body: Map::new(),
        settings: Map::new(),
    };
    endpoint.body.insert("EngineDisplayName".to_owned(), json!(display));
    endpoint.body.insert("SslMode".to_owned(), json!("none"));
    if call.read_only {
        endpoint.body.insert("IsReadOnly".to_owned(), json!(true));
    }
    let key = input
        .text("KmsKeyId")?
        .map_or_else(|| call.place.arn("kms", "key/00000000-0000-4000-8000-0000000000d5"), str::to_owned);
    endpoint.body.insert("KmsKeyId".to_owned(), json!(key));
    take(call, &mut endpoint)?;
    let needed = ["ServerName", "DatabaseName"];
    // "The parameter serverName must be provided and must not be blank" (hashicorp/terraform#23442).
    let given = |from: &Map<String, Value>, member: &str| from.get(member).is_some_and(|value| value != "");
    let has = |member: &str| given(&endpoint.body, member) || given(&endpoint.settings, member);
    if !uses_secret(&endpoint) && !needed.iter().all(|member| has(member)) {
        return Err(
            input.invalid("The parameters ServerName and DatabaseName must be provided and must not be blank unless a secret is used.")
        );
    }
    let shown = show(call, &endpoint);
    call.world.dms.endpoints.insert(name, endpoint);
    Ok(json!({ "Endpoint": shown }))
}

/// Takes what the request says over what the endpoint has.
fn take(call: &Call<'_>, endpoint: &mut Endpoint) -> Result<(), ApiError> {
    let input = call.input;
    for member in PLAIN {
        if let Some(value) = input.get(member) {
            endpoint.body.insert(member.to_owned(), value.clone());
        }
    }
    if let Some(text) = input.text("ExtraConnectionAttributes")? {
        attributes::take(endpoint, text);
    }
    if let Some(mode) = input.text("SslMode")? {
        if !["none", "require", "verify-ca", "verify-full"].contains(&mode) {
            return Err(input.invalid(format!("Invalid SSL mode: {mode}")));
        }
        if mode.starts_with("verify") && !input.has("CertificateArn") && !endpoint.body.contains_key("CertificateArn") {
            return Err(input.invalid(format!("A certificate is required for SSL mode {mode}")));
        }
        endpoint.body.insert("SslMode".to_owned(), json!(mode));
    }
    let exact = input.flag("ExactSettings")?.unwrap_or(false);
    if let Some(block) = input.structure(block_of(&endpoint.engine))? {
        let mut given = block.value().as_object().cloned().unwrap_or_default();
        if let Some(Value::String(password)) = given.shift_remove("Password") {
            endpoint.password = Some(call.vault.seal(&password));
        }
        // A target's files may go from a KMS key to S3's own, not back.
        let mode = |settings: &Map<String, Value>| {
            settings.get("EncryptionMode").and_then(Value::as_str).map(|mode| mode.to_lowercase().replace('_', "-"))
        };
        let was = mode(&endpoint.settings).or_else(|| input.has("EndpointArn").then(|| "sse-s3".to_owned()));
        if was.as_deref() == Some("sse-s3") && mode(&given).as_deref() == Some("sse-kms") {
            return Err(input.invalid("EncryptionMode can't be changed from SSE_S3 to SSE_KMS."));
        }
        if exact {
            endpoint.settings = given;
        } else {
            endpoint.settings.extend(given);
        }
    }
    if let Some(password) = input.text("Password")? {
        endpoint.password = Some(call.vault.seal(password));
    }
    if uses_secret(endpoint) && (input.has("Password") || input.has("Username")) {
        return Err(input.invalid("A user name and password cannot be given together with SecretsManagerSecretId."));
    }
    if uses_secret(endpoint) && !endpoint.settings.contains_key("SecretsManagerAccessRoleArn") {
        return Err(input.invalid("SecretsManagerAccessRoleArn is required with SecretsManagerSecretId."));
    }
    Ok(())
}

/// Whether the endpoint logs in with a secret.
pub(super) fn uses_secret(endpoint: &Endpoint) -> bool {
    endpoint.settings.get("SecretsManagerSecretId").is_some_and(|id| id.as_str().is_some_and(|id| !id.is_empty()))
}

/// `DescribeEndpoints`.
pub(super) fn describe(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let filters = filters(call.input, &["endpoint-id", "endpoint-arn", "endpoint-type", "engine-name"])?;
    let now = call.clock.now();
    let found: Vec<Value> = call
        .world
        .dms
        .endpoints
        .values()
        .filter(|endpoint| !endpoint.lifecycle.is_gone(now))
        .filter(|endpoint| {
            passes(&filters, |name| {
                vec![match name {
                    "endpoint-id" => endpoint.identifier.clone(),
                    "endpoint-arn" => endpoint.arn.clone(),
                    "endpoint-type" => kind(endpoint).to_owned(),
                    _ => endpoint.engine.clone(),
                }]
            })
        })
        .map(|endpoint| show(call, endpoint))
        .collect();
    if found.is_empty() && !filters.is_empty() {
        return Err(not_found("No Endpoints found matching provided filters"));
    }
    page(call.input, "Endpoints", found)
}

fn kind(endpoint: &Endpoint) -> &'static str {
    if endpoint.is_source { "SOURCE" } else { "TARGET" }
}

/// The endpoint with an ARN.
pub(super) fn by_arn<'a>(call: &'a Call<'_>, arn: &str) -> Result<&'a Endpoint, ApiError> {
    let now = call.clock.now();
    call.world
        .dms
        .endpoints
        .values()
        .find(|endpoint| endpoint.arn == arn && !endpoint.lifecycle.is_gone(now))
        .ok_or_else(|| not_found(format!("Endpoint not found: {arn}")))
}

/// Checks that these are a source and a target.
pub(super) fn check_ends(call: &Call<'_>, source: &str, target: &str) -> Result<(), ApiError> {
    if !by_arn(call, source)?.is_source {
        return Err(call.input.invalid(format!("Endpoint {source} is not a source endpoint")));
    }
    if by_arn(call, target)?.is_source {
        return Err(call.input.invalid(format!("Endpoint {target} is not a target endpoint")));
    }
    Ok(())
}

/// `ModifyEndpoint`. Each instance that tested the endpoint tests it again by itself.
pub(super) fn modify(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let arn = input.required("EndpointArn")?;
    let mut endpoint = by_arn(call, arn)?.clone();
    require_writable(endpoint.body.contains_key("IsReadOnly"), &endpoint.identifier)?;
    let now = call.clock.now();
    let is_still = |work: &Work| ["created", "ready", "stopped", "failed"].contains(&work.lifecycle.at(now));
    if let Some(work) = call.world.dms.works().find(|work| work.uses(arn, now) && !is_still(work)) {
        return Err(wrong_state(format!(
            "Endpoint {} is part of task {} which is in state {}",
            endpoint.identifier,
            work.identifier,
            work.lifecycle.at(now)
        )));
    }
    if input.structure(block_of(&endpoint.engine))?.is_some() && !input.has("EngineName") {
        return Err(input.invalid("EngineName must be provided together with the engine's settings"));
    }
    if input.text("EngineName")?.is_some_and(|engine| engine != endpoint.engine) {
        return Err(input.invalid("The engine of an endpoint can't be changed here"));
    }
    take(call, &mut endpoint)?;
    let old = endpoint.identifier.clone();
    if let Some(new) = input.text("EndpointIdentifier")?.map(str::to_lowercase).filter(|new| *new != old) {
        check_name(input, "EndpointIdentifier", &new, 255)?;
        if call.world.dms.endpoints.contains_key(&new) {
            return Err(exists(format!("Endpoint already exists: {new}")));
        }
        endpoint.identifier = new;
    }
    let shown = show(call, &endpoint);
    call.world.dms.endpoints.shift_remove(&old);
    call.world.dms.endpoints.insert(endpoint.identifier.clone(), endpoint);
    let instances: Vec<String> = call
        .world
        .dms
        .connections
        .iter()
        .filter(|connection| connection.endpoint_arn == arn)
        .map(|connection| connection.instance_arn.clone())
        .collect();
    for instance in instances {
        connections::begin(call, &instance, arn);
    }
    Ok(json!({ "Endpoint": shown }))
}

/// `DeleteEndpoint`.
pub(super) fn delete(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let arn = call.input.required("EndpointArn")?;
    let mut endpoint = by_arn(call, arn)?.clone();
    require_writable(endpoint.body.contains_key("IsReadOnly"), &endpoint.identifier)?;
    let now = call.clock.now();
    if let Some(work) = call.world.dms.works().find(|work| work.uses(arn, now)) {
        return Err(wrong_state(format!(
            "Endpoint {} is part of one or more ReplicationTasks: {}",
            endpoint.identifier, work.identifier
        )));
    }
    endpoint.lifecycle = Lifecycle::steady("deleting").then_gone(call.clock.after(DELETING));
    call.world.dms.connections.retain(|connection| connection.endpoint_arn != arn);
    call.world.dms.tags.shift_remove(arn);
    let shown = show(call, &endpoint);
    call.world.dms.endpoints.insert(endpoint.identifier.clone(), endpoint);
    Ok(json!({ "Endpoint": shown }))
}

fn show(call: &Call<'_>, endpoint: &Endpoint) -> Value {
    let mut body = endpoint.body.clone();
    body.insert("EndpointIdentifier".to_owned(), json!(endpoint.identifier));
    body.insert("EndpointArn".to_owned(), json!(endpoint.arn));
    body.insert("EndpointType".to_owned(), json!(kind(endpoint)));
    body.insert("EngineName".to_owned(), json!(endpoint.engine));
    body.insert("Status".to_owned(), json!(endpoint.lifecycle.at(call.clock.now())));
    let mut block = settings::endpoint_defaults(&endpoint.engine);
    for member in ["Username", "ServerName", "Port", "DatabaseName"] {
        if let Some(value) = endpoint.body.get(member) {
            block.insert(member.to_owned(), value.clone());
        }
    }
    block.extend(endpoint.settings.clone());
    for member in ["Username", "ServerName", "Port", "DatabaseName"] {
        if let Some(value) = endpoint.settings.get(member) {
            body.entry(member).or_insert_with(|| value.clone());
        }
    }
    body.insert(block_of(&endpoint.engine).to_owned(), Value::Object(block));
    if let Some(text) = attributes::shown(endpoint) {
        body.insert("ExtraConnectionAttributes".to_owned(), json!(text));
    }
    Value::Object(body)
}
