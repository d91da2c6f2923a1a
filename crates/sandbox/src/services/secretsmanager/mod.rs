//! AWS Secrets Manager. Values are sealed before they enter the world.
//!
//! Source: AWS Secrets Manager API reference.

mod rotation;

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use serde_json::{Value, json};
use uuid::Uuid;

use super::tags;
use crate::arn::random_text;
use crate::call::{ApiError, Call, Codes, Input};
use crate::clock::Timestamp;
use crate::paging::page;
use crate::router::{Operation, Protocol, Reach, Service};
use crate::world::secretsmanager::{SecretVersion, StoredSecret};

pub(crate) const SERVICE: Service = Service {
    name: "secretsmanager",
    protocol: Protocol::Json { target: "secretsmanager" },
    reach: Reach::Regional,
    codes: &Codes { missing: "InvalidParameterException", invalid: "InvalidParameterException" },
    operations: &[
        ("BatchGetSecretValue", Operation::Call(rotation::batch)),
        ("CancelRotateSecret", Operation::Call(rotation::cancel)),
        ("CreateSecret", Operation::Call(create_secret)),
        ("DeleteResourcePolicy", Operation::Call(delete_resource_policy)),
        ("DeleteSecret", Operation::Call(delete_secret)),
        ("DescribeSecret", Operation::Call(describe_secret)),
        ("GetRandomPassword", Operation::Call(rotation::random_password)),
        ("GetResourcePolicy", Operation::Call(get_resource_policy)),
        ("GetSecretValue", Operation::Call(get_secret_value)),
        ("ListSecretVersionIds", Operation::Call(list_secret_version_ids)),
        ("ListSecrets", Operation::Call(list_secrets)),
        ("PutResourcePolicy", Operation::Call(put_resource_policy)),
        ("PutSecretValue", Operation::Call(put_secret_value)),
        ("RestoreSecret", Operation::Call(restore_secret)),
        ("RotateSecret", Operation::Call(rotation::rotate)),
        ("TagResource", Operation::Call(tag_resource)),
        ("UntagResource", Operation::Call(untag_resource)),
        ("UpdateSecret", Operation::Call(update_secret)),
        ("UpdateSecretVersionStage", Operation::Call(rotation::move_stage)),
        ("ValidateResourcePolicy", Operation::Call(rotation::validate_policy)),
    ],
};

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";
/// The longest value, in bytes.
const VALUE_LIMIT: usize = 65_536;
const DAY: Duration = Duration::from_hours(24);
/// Deleting without recovery is asynchronous.
const FORCED_DELETION: Duration = Duration::from_secs(5);

static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[a-zA-Z0-9/_+=.@-]{1,512}$").expect("a constant pattern"));

fn create_secret(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let name = input.required("Name")?;
    if !NAME.is_match(name) {
        let message =
            "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!";
        return Err(ApiError::new("ValidationException", message));
    }
    purge(call);
    let token = token(input)?;
    let value = value(call)?;
    let (description, key) = (limited(input, "Description")?, limited(input, "KmsKeyId")?);
    if let Some(existing) = call.world.secretsmanager.secrets.get(name) {
        if existing.deleted.is_some() {
            let message =
                "You can't create this secret because a secret with this name is already scheduled for deletion.";
            return Err(ApiError::new("InvalidRequestException", message));
        }
        if existing.versions.contains_key(&token) {
            return Ok(identity(existing, Some(&token)));
        }
        let message = format!("The operation failed because the secret {name} already exists.");
        return Err(ApiError::new("ResourceExistsException", message));
    }
    let now = call.clock.now();
    let mut secret = StoredSecret {
        name: name.to_owned(),
        arn: call.place.arn("secretsmanager", &format!("secret:{name}-{}", random_text(6, ALPHABET))),
        description: description.map(str::to_owned),
        kms_key: key.map(str::to_owned),
        created: now,
        changed: now,
        deleted: None,
        gone_at: None,
        owning_service: None,
        versions: BTreeMap::new(),
        policy: None,
        tags: tags::read(input, "Tags")?,
    };
    let version = value.map(|value| {
        secret.add(&token, value, now);
        token.as_str()
    });
    let answer = identity(&secret, version);
    call.world.secretsmanager.secrets.insert(name.to_owned(), secret);
    Ok(answer)
}

/// A member of at most 2048 characters (Secrets Manager API reference, `CreateSecret`).
fn limited<'a>(input: Input<'a>, member: &str) -> Result<Option<&'a str>, ApiError> {
    let text = input.text(member)?;
    if text.is_some_and(|text| text.chars().count() > 2048) {
        return Err(input.invalid(format!("The parameter {member} must have at most 2048 characters.")));
    }
    Ok(text)
}

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn put_secret_value(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let token = token(call.input)?;
    let stages = call.input.texts("VersionStages")?;
    let new = value(call)?.ok_or_else(|| {
        ApiError::new("InvalidRequestException", "You must provide either SecretString or SecretBinary.")
    })?;
    let now = call.clock.now();
    let secret = living_mut(call)?;
    if !secret.versions.contains_key(&token) {
        secret.add(&token, new, now);
        for stage in stages.into_iter().filter(|stage| *stage != CURRENT) {
            secret.stage(&token, stage);
        }
    }
    let mut answer = identity(secret, Some(&token));
    answer["VersionStages"] = json!(secret.versions[&token].stages);
    Ok(answer)
}

fn update_secret(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let token = token(input)?;
    let new = value(call)?;
    let now = call.clock.now();
    let (description, key) = (limited(input, "Description")?, limited(input, "KmsKeyId")?);
    let secret = living_mut(call)?;
    secret.changed = now;
    if let Some(description) = description {
        secret.description = Some(description.to_owned());
    }
    if let Some(key) = key {
        secret.kms_key = Some(key.to_owned());
    }
    let written = new.is_some();
    if let Some(new) = new.filter(|_| !secret.versions.contains_key(&token)) {
        secret.add(&token, new, now);
    }
    Ok(identity(secret, written.then_some(token.as_str())))
}

fn get_secret_value(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (id, stage) = (call.input.text("VersionId")?, call.input.text("VersionStage")?);
    value_of(call, living(call)?, id, stage)
}

/// A value of a secret: the current one, unless a version or a stage is named.
fn value_of(call: &Call<'_>, secret: &StoredSecret, id: Option<&str>, stage: Option<&str>) -> Result<Value, ApiError> {
    let found = match id {
        Some(id) => secret.versions.get_key_value(id),
        None => secret.staged(stage.unwrap_or(CURRENT)),
    };
    let found = found.filter(|(_, version)| stage.is_none_or(|stage| version.stages.iter().any(|own| own == stage)));
    let (id, version) = found.ok_or_else(|| {
        let wanted = stage.unwrap_or(CURRENT);
        not_found(&format!("Secrets Manager can't find the specified secret value for staging label: {wanted}"))
    })?;
    let clear =
        call.vault.unseal(&version.value).map_err(|error| ApiError::new("DecryptionFailure", error.to_string()))?;
    let member = if version.binary { "SecretBinary" } else { "SecretString" };
    Ok(json!({
        "ARN": secret.arn,
        "Name": secret.name,
        "VersionId": id,
        "VersionStages": version.stages,
        "CreatedDate": version.created.epoch(),
        member: clear.expose(),
    }))
}

fn describe_secret(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let secret = present(call)?;
    let mut answer = summary(secret);
    let stages: serde_json::Map<_, _> = secret
        .versions
        .iter()
        .filter(|(_, v)| !v.stages.is_empty())
        .map(|(id, v)| (id.clone(), json!(v.stages)))
        .collect();
    answer["VersionIdsToStages"] = Value::Object(stages);
    Ok(answer)
}

fn list_secrets(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let planned = input.flag("IncludePlannedDeletion")?.unwrap_or(false);
    let now = call.clock.now();
    let mut filters = Vec::new();
    for filter in input.structures("Filters")? {
        filters.push((filter.required("Key")?, filter.texts("Values")?));
    }
    let secrets = call.world.secretsmanager.secrets.values();
    let items = secrets
        .filter(|secret| secret.gone_at.is_none_or(|gone| gone > now) && (planned || secret.deleted.is_none()))
        .filter(|secret| filters.iter().all(|(key, values)| fits(secret, key, values)))
        .map(|secret| {
            let mut item = summary(secret);
            let stages: serde_json::Map<_, _> =
                secret.versions.iter().map(|(id, version)| (id.clone(), json!(version.stages))).collect();
            item["SecretVersionsToStages"] = Value::Object(stages);
            item
        })
        .collect();
    let size = usize::try_from(input.integer("MaxResults")?.unwrap_or(100).clamp(1, 100)).unwrap_or(100);
    let (items, token) = paged(input, items, size)?;
    Ok(json!({"SecretList": items, "NextToken": token}))
}

/// One page of a list with the token of the next.
fn paged(input: Input<'_>, items: Vec<Value>, size: usize) -> Result<(Vec<Value>, Option<String>), ApiError> {
    page(items, input.text("NextToken")?, size)
        .map_err(|_| ApiError::new("InvalidNextTokenException", "The NextToken is invalid"))
}

/// Whether a secret fits a filter of ListSecrets: values are prefixes, and `!` turns one round.
fn fits(secret: &StoredSecret, key: &str, values: &[&str]) -> bool {
    let own: Vec<&str> = match key {
        "description" => secret.description.iter().map(String::as_str).collect(),
        "tag-key" => secret.tags.keys().map(String::as_str).collect(),
        "tag-value" => secret.tags.values().map(String::as_str).collect(),
        "owning-service" => secret.owning_service.iter().map(String::as_str).collect(),
        "all" => [Some(&secret.name), secret.description.as_ref()]
            .into_iter()
            .flatten()
            .chain(secret.tags.iter().flat_map(|(key, value)| [key, value]))
            .map(String::as_str)
            .collect(),
        _ => vec![&secret.name],
    };
    values.iter().any(|value| match value.strip_prefix('!') {
        Some(value) => !own.iter().any(|own| own.starts_with(value)),
        None => own.iter().any(|own| own.starts_with(value)),
    })
}

fn list_secret_version_ids(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let secret = present(call)?;
    let deprecated = call.input.flag("IncludeDeprecated")?.unwrap_or(false);
    let versions: Vec<_> = secret
        .versions
        .iter()
        .filter(|(_, version)| deprecated || !version.stages.is_empty())
        .map(|(id, version)| json!({"VersionId": id, "VersionStages": version.stages, "CreatedDate": version.created.epoch()}))
        .collect();
    let size = usize::try_from(call.input.integer("MaxResults")?.unwrap_or(100).clamp(1, 100)).unwrap_or(100);
    let (versions, token) = paged(call.input, versions, size)?;
    Ok(json!({"ARN": secret.arn, "Name": secret.name, "Versions": versions, "NextToken": token}))
}

fn delete_secret(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let window = input.integer("RecoveryWindowInDays")?;
    let forced = input.flag("ForceDeleteWithoutRecovery")?.unwrap_or(false);
    let days = match window {
        Some(_) if forced => {
            return Err(
                input.invalid("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
            );
        }
        Some(days) if !(7..=30).contains(&days) => {
            return Err(input.invalid("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."));
        }
        days => u32::try_from(days.unwrap_or(30)).unwrap_or(30),
    };
    let now = call.clock.now();
    let gone = if forced { call.clock.after(FORCED_DELETION) } else { now.plus(DAY * days) };
    let secret = present_mut(call)?;
    if let Some(service) = &secret.owning_service {
        let message = format!("You can't delete the secret because it is managed by {service}.");
        return Err(ApiError::new("InvalidRequestException", message));
    }
    if secret.deleted.is_some() && !forced {
        let message = "You can't perform this operation on the secret because it was already scheduled for deletion.";
        return Err(ApiError::new("InvalidRequestException", message));
    }
    secret.deleted = Some(now);
    secret.gone_at = Some(gone);
    let date = if forced { now } else { gone };
    Ok(json!({"ARN": secret.arn, "Name": secret.name, "DeletionDate": date.epoch()}))
}

fn restore_secret(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let secret = present_mut(call)?;
    secret.deleted = None;
    secret.gone_at = None;
    Ok(identity(secret, None))
}

fn tag_resource(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let new = tags::read(call.input, "Tags")?;
    let secret = living_mut(call)?;
    secret.tags.extend(new);
    if secret.tags.len() > tags::LIMIT {
        return Err(ApiError::new("InvalidParameterException", "A secret can bear no more than 50 tags."));
    }
    Ok(json!({}))
}

fn untag_resource(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let keys = call.input.texts("TagKeys")?;
    let secret = living_mut(call)?;
    secret.tags.retain(|key, _| !keys.contains(&key.as_str()));
    Ok(json!({}))
}

fn put_resource_policy(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let policy = call.input.required("ResourcePolicy")?;
    check_policy(policy)?;
    let secret = living_mut(call)?;
    secret.policy = Some(policy.to_owned());
    Ok(identity(secret, None))
}

fn check_policy(policy: &str) -> Result<(), ApiError> {
    if serde_json::from_str::<Value>(policy).is_ok_and(|policy| policy["Statement"].is_array()) {
        Ok(())
    } else {
        Err(ApiError::new("MalformedPolicyDocumentException", "This resource policy contains invalid Json"))
    }
}

fn get_resource_policy(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let secret = present(call)?;
    Ok(json!({"ARN": secret.arn, "Name": secret.name, "ResourcePolicy": secret.policy}))
}

fn delete_resource_policy(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let secret = living_mut(call)?;
    secret.policy = None;
    Ok(identity(secret, None))
}

impl StoredSecret {
    /// Makes a version the current one; the one that was becomes the previous.
    pub(crate) fn add(&mut self, id: &str, version: SecretVersion, now: Timestamp) {
        self.versions.insert(id.to_owned(), version);
        let before = self.staged(CURRENT).map(|(id, _)| id.clone());
        if let Some(before) = before {
            self.stage(&before, PREVIOUS);
        }
        self.stage(id, CURRENT);
        self.changed = now;
    }

    /// Moves a stage to a version.
    fn stage(&mut self, id: &str, stage: &str) {
        for version in self.versions.values_mut() {
            version.stages.retain(|own| own != stage);
        }
        if let Some(version) = self.versions.get_mut(id) {
            version.stages.push(stage.to_owned());
        }
    }
}

/// The value of the request as a version without stages.
fn value(call: &Call<'_>) -> Result<Option<SecretVersion>, ApiError> {
    let input = call.input;
    let (text, binary) = match (input.text("SecretString")?, input.text("SecretBinary")?) {
        (Some(_), Some(_)) => {
            return Err(input.invalid("You can't specify both SecretString and SecretBinary in the same call."));
        }
        (Some(text), None) => (text, false),
        (None, Some(bytes)) => (bytes, true),
        (None, None) => return Ok(None),
    };
    if text.len() > VALUE_LIMIT {
        return Err(input.invalid("The secret value is too long; it can have 65536 bytes."));
    }
    let value = call.vault.seal(text);
    Ok(Some(SecretVersion { value, binary, stages: Vec::new(), created: call.clock.now() }))
}

/// The client's token, which names the version and makes the call repeatable.
fn token(input: Input<'_>) -> Result<String, ApiError> {
    match input.text("ClientRequestToken")? {
        None => Ok(Uuid::new_v4().to_string()),
        Some(token) if (32..=64).contains(&token.len()) => Ok(token.to_owned()),
        Some(_) => Err(input.invalid("The parameter ClientRequestToken must have 32 to 64 characters.")),
    }
}

/// Forgets secrets whose recovery window is over.
fn purge(call: &mut Call<'_>) {
    let now = call.clock.now();
    let over = |secret: &StoredSecret| secret.gone_at.is_some_and(|gone| gone <= now);
    if call.world.secretsmanager.secrets.values().any(over) {
        call.world.secretsmanager.secrets.retain(|_, secret| !over(secret));
    }
}

/// The secret the request names, deleted ones with a recovery window included.
fn present<'a>(call: &'a Call<'_>) -> Result<&'a StoredSecret, ApiError> {
    find_present(call, call.input)
}

fn find_present<'a>(call: &'a Call<'_>, input: Input<'_>) -> Result<&'a StoredSecret, ApiError> {
    let now = call.clock.now();
    let found = call.world.secretsmanager.find(input.required("SecretId")?);
    found.filter(|secret| secret.gone_at.is_none_or(|gone| gone > now)).ok_or_else(no_secret)
}

fn present_mut<'a>(call: &'a mut Call<'_>) -> Result<&'a mut StoredSecret, ApiError> {
    present(call)?;
    let id = call.input.required("SecretId")?;
    call.world.secretsmanager.find_mut(id).ok_or_else(no_secret)
}

fn living<'a>(call: &'a Call<'_>) -> Result<&'a StoredSecret, ApiError> {
    find_living(call, call.input)
}

/// A secret that no deletion was asked for.
fn find_living<'a>(call: &'a Call<'_>, input: Input<'_>) -> Result<&'a StoredSecret, ApiError> {
    let secret = find_present(call, input)?;
    if secret.deleted.is_some() {
        let message = "You can't perform this operation on the secret because it was marked for deletion.";
        return Err(ApiError::new("InvalidRequestException", message));
    }
    Ok(secret)
}

fn living_mut<'a>(call: &'a mut Call<'_>) -> Result<&'a mut StoredSecret, ApiError> {
    living(call)?;
    present_mut(call)
}

fn identity(secret: &StoredSecret, version: Option<&str>) -> Value {
    json!({"ARN": secret.arn, "Name": secret.name, "VersionId": version})
}

fn summary(secret: &StoredSecret) -> Value {
    json!({
        "ARN": secret.arn,
        "Name": secret.name,
        "Description": secret.description,
        "KmsKeyId": secret.kms_key,
        "CreatedDate": secret.created.epoch(),
        "LastChangedDate": secret.changed.epoch(),
        "DeletedDate": secret.deleted.map(Timestamp::epoch),
        "OwningService": secret.owning_service,
        "RotationEnabled": secret.owning_service.as_ref().map(|_| true),
        "RotationRules": secret.owning_service.as_ref().map(|_| json!({ "AutomaticallyAfterDays": 30 })),
        "LastRotatedDate": secret.owning_service.as_ref().map(|_| secret.changed.epoch()),
        "Tags": tags::write(&secret.tags),
    })
}

fn no_secret() -> ApiError {
    not_found("Secrets Manager can't find the specified secret.")
}

fn not_found(message: &str) -> ApiError {
    ApiError::new("ResourceNotFoundException", message)
}
