//! Usage limits.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{conflict, not_found, page};
use crate::call::{ApiError, Call, Input};

fn one_of(input: Input<'_>, member: &str, allowed: &[&str], default: Option<&str>) -> Result<String, ApiError> {
    let value = match default {
        Some(default) => input.text(member)?.unwrap_or(default),
        None => input.required(member)?,
    };
    if allowed.contains(&value) {
        Ok(value.to_owned())
    } else {
        Err(input.invalid(format!("Invalid {member}: {value}")))
    }
}

fn amount(input: Input<'_>) -> Result<i64, ApiError> {
    let amount = input.integer("amount")?.ok_or_else(|| input.missing("amount"))?;
    if amount > 0 { Ok(amount) } else { Err(input.invalid("The amount must be greater than zero")) }
}

const ACTIONS: [&str; 3] = ["log", "emit-metric", "deactivate"];

/// `CreateUsageLimit`.
pub(super) fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let arn = input.required("resourceArn")?;
    let now = call.clock.now();
    if !call.world.redshift_serverless.workgroups.values().any(|own| own.arn == arn && !own.lifecycle.is_gone(now)) {
        return Err(not_found(format!("Resource {arn} does not exist")));
    }
    let kind = one_of(input, "usageType", &["serverless-compute", "cross-region-datasharing"], None)?;
    let period = one_of(input, "period", &["daily", "weekly", "monthly"], Some("monthly"))?;
    let same = |limit: &Map<String, Value>| {
        limit["resourceArn"] == json!(arn) && limit["usageType"] == json!(kind) && limit["period"] == json!(period)
    };
    if call.world.redshift_serverless.usage_limits.values().any(same) {
        return Err(conflict("A usage limit with this usage type and period already exists for the resource."));
    }
    let id = Uuid::new_v4().to_string();
    let body = json!({
        "usageLimitId": id, "usageLimitArn": call.place.arn("redshift-serverless", &format!("usagelimit/{id}")), "resourceArn": arn,
        "usageType": kind, "period": period, "amount": amount(input)?, "breachAction": one_of(input, "breachAction", &ACTIONS, Some("log"))?,
    });
    call.world.redshift_serverless.usage_limits.insert(id, body.as_object().cloned().unwrap_or_default());
    Ok(json!({ "usageLimit": body }))
}

fn find(call: &Call<'_>) -> Result<(String, Map<String, Value>), ApiError> {
    let id = call.input.required("usageLimitId")?;
    let found = call.world.redshift_serverless.usage_limits.get(id).cloned();
    found.map(|limit| (id.to_owned(), limit)).ok_or_else(|| not_found(format!("Usage limit not found: {id}")))
}

/// `GetUsageLimit`.
pub(super) fn get(call: &mut Call<'_>) -> Result<Value, ApiError> {
    Ok(json!({ "usageLimit": find(call)?.1 }))
}

/// `ListUsageLimits`.
pub(super) fn list(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (arn, kind) = (call.input.text("resourceArn")?, call.input.text("usageType")?);
    let fits = |limit: &&Map<String, Value>| {
        arn.is_none_or(|arn| limit["resourceArn"] == json!(arn))
            && kind.is_none_or(|kind| limit["usageType"] == json!(kind))
    };
    let found = call
        .world
        .redshift_serverless
        .usage_limits
        .values()
        .filter(fits)
        .map(|limit| Value::Object(limit.clone()))
        .collect();
    page(call.input, "usageLimits", found)
}

/// `UpdateUsageLimit`.
pub(super) fn update(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (id, mut limit) = find(call)?;
    if call.input.has("amount") {
        limit.insert("amount".to_owned(), json!(amount(call.input)?));
    }
    if call.input.has("breachAction") {
        limit.insert("breachAction".to_owned(), json!(one_of(call.input, "breachAction", &ACTIONS, None)?));
    }
    call.world.redshift_serverless.usage_limits.insert(id, limit.clone());
    Ok(json!({ "usageLimit": limit }))
}

/// `DeleteUsageLimit`.
pub(super) fn delete(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (id, limit) = find(call)?;
    call.world.redshift_serverless.usage_limits.shift_remove(&id);
    Ok(json!({ "usageLimit": limit }))
}
