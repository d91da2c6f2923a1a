//! Policy documents: their form, their size, and whom a trust may name. Who may do what is in `simulate`.

use serde_json::Value;

use crate::call::{ApiError, Call, Input};

/// Refuses a trust in a role of this account that is not there, or not seen yet: `MalformedPolicyDocument` with "Invalid
/// principal in policy", which passes within two minutes of the role's creation (hashicorp/terraform-provider-aws,
/// `iam/role.go`). Other accounts and users are not looked at.
pub(super) fn require_principals(call: &Call<'_>, trust: &str) -> Result<(), ApiError> {
    let document: Value = serde_json::from_str(trust).unwrap_or_default();
    let listed = |value: &Value| match value {
        Value::Array(all) => all.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    let own = call.place.global_arn("iam", "role/");
    for statement in listed(&document["Statement"]) {
        for principal in listed(&statement["Principal"]["AWS"]) {
            let Some(arn) = principal.as_str().filter(|arn| arn.starts_with(&own)) else { continue };
            let is_seen = call.world.iam.role_by_arn(arn).is_some_and(|role| role.visible_at <= call.clock.now());
            if !is_seen {
                let message = format!("Invalid principal in policy: \"AWS\":\"{arn}\"");
                return Err(ApiError::new("MalformedPolicyDocument", message));
            }
        }
    }
    Ok(())
}

/// "Role policy size can't exceed 10,240 characters", which is said of all policies in a role together ("IAM and AWS STS quotas").
pub(super) const INLINE_SIZE: usize = 10_240;

/// "IAM doesn't count white space when calculating the size of a policy against these quotas" (the same page).
pub(super) fn size(document: &str) -> usize {
    document.chars().filter(|character| !character.is_whitespace()).count()
}

/// The refusal of a document of more characters than `limit`.
pub(super) fn too_large(name: &str, limit: usize) -> ApiError {
    ApiError::new("LimitExceeded", format!("Cannot exceed quota for the size of {name}: {limit}")).status(409)
}

/// A policy document: JSON with statements that each have an effect, an action and `part`.
pub(super) fn document(input: Input<'_>, name: &str, limit: usize, part: &str) -> Result<String, ApiError> {
    let text = input.required(name)?;
    if size(text) > limit {
        return Err(too_large(name, limit));
    }
    let malformed = |message: &str| ApiError::new("MalformedPolicyDocument", message);
    let document: Value = serde_json::from_str(text).map_err(|_| malformed("This policy contains invalid Json"))?;
    let statements = match &document["Statement"] {
        Value::Array(statements) if !statements.is_empty() => statements.iter().collect(),
        statement @ Value::Object(_) => vec![statement],
        _ => return Err(malformed("Syntax errors in policy.")),
    };
    for statement in statements {
        let has = |name: &str| !statement[name].is_null() || !statement[format!("Not{name}")].is_null();
        if !matches!(statement["Effect"].as_str(), Some("Allow" | "Deny")) || !has("Action") {
            return Err(malformed("Syntax errors in policy."));
        }
        if !has(part) {
            return Err(malformed(&format!("Policy statement must contain {part}s.").to_lowercase()));
        }
    }
    Ok(text.to_owned())
}
