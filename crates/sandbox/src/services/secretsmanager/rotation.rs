//! Rotation and what comes with it: stages moved by hand, several values at once, random passwords.
//!
//! Only secrets that Redshift manages can be rotated: rotation of others is the work of a Lambda function, which is not played.

use rand::Rng as _;
use serde_json::{Value, json};

use super::{CURRENT, PREVIOUS, fits, identity, living, living_mut, not_found, value_of};
use crate::call::{ApiError, Call, Input};
use crate::services::redshift_serverless;

/// `RotateSecret`.
pub(super) fn rotate(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let token = super::token(call.input)?;
    let secret = living(call)?;
    if secret.owning_service.as_deref() != Some("redshift") {
        let message = if call.input.has("RotationLambdaARN") {
            "The rotation of this secret needs its Lambda function, and the sandbox does not play Lambda."
        } else {
            "No Lambda rotation function ARN is associated with this secret."
        };
        return Err(ApiError::new("InvalidRequestException", message));
    }
    let (arn, name) = (secret.arn.clone(), secret.name.clone());
    if call.input.flag("RotateImmediately")?.unwrap_or(true) {
        redshift_serverless::rotate_admin_password(call, &arn, &token);
    }
    Ok(json!({"ARN": arn, "Name": name, "VersionId": token}))
}

/// `CancelRotateSecret`.
pub(super) fn cancel(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let secret = living(call)?;
    if let Some(service) = &secret.owning_service {
        let message = format!("You can't cancel the rotation of this secret because it is managed by {service}.");
        return Err(ApiError::new("InvalidRequestException", message));
    }
    Ok(identity(secret, None))
}

/// `UpdateSecretVersionStage`. "If you move AWSCURRENT, Secrets Manager automatically moves AWSPREVIOUS to the version that
/// AWSCURRENT was removed from."
pub(super) fn move_stage(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let stage = input.required("VersionStage")?;
    let (from, to) = (input.text("RemoveFromVersionId")?, input.text("MoveToVersionId")?);
    let now = call.clock.now();
    let secret = living_mut(call)?;
    if let Some(missing) = [from, to].into_iter().flatten().find(|id| !secret.versions.contains_key(*id)) {
        return Err(not_found(&format!("Secrets Manager can't find the specified secret version: {missing}")));
    }
    let holder = secret.staged(stage).map(|(id, _)| id.clone());
    match (from, to, holder.as_deref()) {
        (None, None, _) => return Err(input.missing("MoveToVersionId")),
        (None, Some(to), Some(own)) if own != to => {
            let message = format!("The label {stage} is attached to version {own}; name it in RemoveFromVersionId.");
            return Err(input.invalid(message));
        }
        (Some(from), _, own) if own != Some(from) => {
            return Err(input.invalid(format!("The label {stage} is not attached to version {from}.")));
        }
        (Some(_), None, _) if stage == CURRENT => {
            return Err(input.invalid("AWSCURRENT can only be moved to another version."));
        }
        _ => {}
    }
    match to {
        Some(to) => secret.stage(to, stage),
        None => secret.versions.values_mut().for_each(|version| version.stages.retain(|own| own != stage)),
    }
    if let (CURRENT, Some(from)) = (stage, from.filter(|from| Some(*from) != to)) {
        secret.stage(from, PREVIOUS);
    }
    secret.changed = now;
    Ok(identity(secret, None))
}

/// `BatchGetSecretValue`: secrets by id, or those that fit filters; what cannot be read is told beside.
pub(super) fn batch(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let ids = input.texts("SecretIdList")?;
    let mut filters = Vec::new();
    for filter in input.structures("Filters")? {
        filters.push((filter.required("Key")?, filter.texts("Values")?));
    }
    if ids.is_empty() == filters.is_empty() {
        return Err(input.invalid("Either SecretIdList or Filters must be given, and not both."));
    }
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    if ids.is_empty() {
        let secrets = call.world.secretsmanager.secrets.values().filter(|secret| secret.deleted.is_none());
        for secret in secrets.filter(|secret| filters.iter().all(|(key, wanted)| fits(secret, key, wanted))) {
            values.push(value_of(call, secret, None, None)?);
        }
    }
    for id in ids {
        let one = json!({ "SecretId": id });
        let found = super::find_living(call, Input::new(&one, super::SERVICE.codes));
        match found.and_then(|secret| value_of(call, secret, None, None)) {
            Ok(value) => values.push(value),
            Err(error) => {
                errors.push(json!({"SecretId": id, "ErrorCode": error.code, "Message": error.message}));
            }
        }
    }
    let size = usize::try_from(input.integer("MaxResults")?.unwrap_or(20).clamp(1, 20)).unwrap_or(20);
    let (values, token) = super::paged(input, values, size)?;
    Ok(json!({"SecretValues": values, "Errors": errors, "NextToken": token}))
}

/// `GetRandomPassword`. "If you don't specify this parameter, the default length is 32 characters".
pub(super) fn random_password(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let length = input.integer("PasswordLength")?.unwrap_or(32);
    if !(1..=4096).contains(&length) {
        return Err(input.invalid("The password length must be between 1 and 4096."));
    }
    let excluded = input.text("ExcludeCharacters")?.unwrap_or_default();
    let kinds = [
        ("ExcludeLowercase", "abcdefghijklmnopqrstuvwxyz"),
        ("ExcludeUppercase", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        ("ExcludeNumbers", "0123456789"),
        ("ExcludePunctuation", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
    ];
    let mut sets: Vec<Vec<char>> = Vec::new();
    for (member, characters) in kinds {
        if !input.flag(member)?.unwrap_or(false) {
            sets.push(characters.chars().filter(|c| !excluded.contains(*c)).collect());
        }
    }
    if input.flag("IncludeSpace")?.unwrap_or(false) {
        sets.push(vec![' ']);
    }
    sets.retain(|set| !set.is_empty());
    let each = input.flag("RequireEachIncludedType")?.unwrap_or(true);
    let length = usize::try_from(length).unwrap_or(32);
    if sets.is_empty() || (each && length < sets.len()) {
        return Err(input.invalid("The password can't be made of the characters that are left."));
    }
    let mut random = rand::rng();
    let all: Vec<char> = sets.concat();
    let mut password: Vec<char> = (0..length).map(|_| all[random.random_range(0..all.len())]).collect();
    if each {
        // One of each kind, at places of their own.
        let mut places: Vec<usize> = (0..length).collect();
        for set in &sets {
            let place = places.swap_remove(random.random_range(0..places.len()));
            password[place] = set[random.random_range(0..set.len())];
        }
    }
    Ok(json!({ "RandomPassword": password.into_iter().collect::<String>() }))
}

/// `ValidateResourcePolicy`.
pub(super) fn validate_policy(call: &mut Call<'_>) -> Result<Value, ApiError> {
    if call.input.has("SecretId") {
        super::present(call)?;
    }
    super::check_policy(call.input.required("ResourcePolicy")?)?;
    Ok(json!({"PolicyValidationPassed": true, "ValidationErrors": []}))
}
