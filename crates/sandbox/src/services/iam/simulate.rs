//! The policy simulator: what the policies of a role, or given ones, allow.
//!
//! Source: IAM user guide, "Policy evaluation logic": an explicit deny wins, then any allow, and without either a request is
//! denied. Conditions are evaluated for texts, ARNs and truth values; a statement with another operator, or with a key that the
//! request has no value for, does not apply. Permissions boundaries count, resource policies do not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::managed_policies;
use crate::call::{ApiError, Call, Input};

/// One policy with the name that the answer has for it.
struct Policy {
    id: String,
    kind: &'static str,
    document: Value,
}

/// What a request is evaluated with: values by key in lower case.
type Context = BTreeMap<String, Vec<String>>;

/// `SimulatePrincipalPolicy`, of a role or of the caller.
pub(super) fn principal(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let arn = call.input.required("PolicySourceArn")?;
    let mut policies = given(call.input)?;
    let mut boundary = None;
    if arn == call.place.global_arn("iam", "user/sandbox") {
        // The caller may do everything here.
        let all = json!({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
        policies.push(Policy { id: "AdministratorAccess".to_owned(), kind: "aws-managed", document: all });
    } else {
        let role = call.world.iam.role_by_arn(arn).ok_or_else(|| super::no_such(format!("{arn} cannot be found.")))?;
        for (name, document) in &role.inline {
            policies.push(policy(format!("role_{}_{name}", role.name), "role", document));
        }
        for attached in &role.attached {
            if let Some(managed) = managed_policies::find(attached) {
                policies.push(policy(managed.name.to_owned(), "aws-managed", managed.document));
            }
        }
        let limit = role.boundary.as_deref().and_then(managed_policies::find);
        boundary = limit.map(|managed| policy(managed.name.to_owned(), "aws-managed", managed.document));
    }
    evaluate(call.input, &policies, boundary.as_ref())
}

/// `SimulateCustomPolicy`.
pub(super) fn custom(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let policies = given(call.input)?;
    if policies.is_empty() {
        return Err(call.input.missing("PolicyInputList"));
    }
    evaluate(call.input, &policies, None)
}

fn policy(id: String, kind: &'static str, document: &str) -> Policy {
    Policy { id, kind, document: serde_json::from_str(document).unwrap_or_default() }
}

/// The policies that a request brings along.
fn given(input: Input<'_>) -> Result<Vec<Policy>, ApiError> {
    let mut policies = Vec::new();
    for (at, text) in input.texts("PolicyInputList")?.into_iter().enumerate() {
        let document: Value = serde_json::from_str(text)
            .map_err(|_| ApiError::new("InvalidInput", "The policy contains invalid Json"))?;
        policies.push(Policy { id: format!("PolicyInputList.{}", at + 1), kind: "none", document });
    }
    Ok(policies)
}

fn evaluate(input: Input<'_>, policies: &[Policy], boundary: Option<&Policy>) -> Result<Value, ApiError> {
    let actions = input.texts("ActionNames")?;
    if actions.is_empty() {
        return Err(input.missing("ActionNames"));
    }
    if let Some(wrong) = actions.iter().find(|action| !action.contains(':')) {
        return Err(ApiError::new("InvalidInput", format!("Invalid action name: {wrong}")));
    }
    let resources = input.texts("ResourceArns")?;
    let resources = if resources.is_empty() { vec!["*"] } else { resources };
    let mut context = Context::new();
    for entry in input.structures("ContextEntries")? {
        let values = entry.texts("ContextKeyValues")?.into_iter().map(str::to_owned).collect();
        context.insert(entry.required("ContextKeyName")?.to_lowercase(), values);
    }
    let mut results = Vec::new();
    for action in actions {
        for resource in &resources {
            results.push(result(policies, boundary, action, resource, &context));
        }
    }
    super::listed(input, "EvaluationResults", results)
}

fn result(policies: &[Policy], boundary: Option<&Policy>, action: &str, resource: &str, context: &Context) -> Value {
    let (mut allows, mut denies, mut missing) = (Vec::new(), Vec::new(), BTreeSet::new());
    for policy in policies {
        for statement in one_or_many(&policy.document["Statement"]) {
            if !applies(statement, action, resource, context, &mut missing) {
                continue;
            }
            let matched = json!({"SourcePolicyId": policy.id, "SourcePolicyType": policy.kind});
            if statement["Effect"] == "Deny" { denies.push(matched) } else { allows.push(matched) }
        }
    }
    let bounded = boundary.is_none_or(|policy| {
        let mut statements = one_or_many(&policy.document["Statement"]).into_iter();
        statements.any(|own| own["Effect"] == "Allow" && applies(own, action, resource, context, &mut missing))
    });
    let (decision, matched) = match (denies.is_empty(), allows.is_empty()) {
        (false, _) => ("explicitDeny", denies),
        (true, false) if bounded => ("allowed", allows),
        _ => ("implicitDeny", Vec::new()),
    };
    json!({
        "EvalActionName": action, "EvalResourceName": resource, "EvalDecision": decision,
        "MatchedStatements": matched, "MissingContextValues": missing,
        "PermissionsBoundaryDecisionDetail": boundary.map(|_| json!({"AllowedByPermissionsBoundary": bounded})),
    })
}

fn applies(statement: &Value, action: &str, resource: &str, context: &Context, missing: &mut BTreeSet<String>) -> bool {
    let action = action.to_lowercase();
    let acts = |member: &str| texts(&statement[member]).iter().any(|own| fits(&own.to_lowercase(), &action));
    let reaches = |member: &str| texts(&statement[member]).iter().any(|own| fits(own, resource));
    let has = |member: &str| !statement[member].is_null();
    (if has("NotAction") { !acts("NotAction") } else { acts("Action") })
        && (if has("NotResource") { !reaches("NotResource") } else { reaches("Resource") })
        && holds(&statement["Condition"], context, missing)
}

/// Whether every condition holds: all operators, of each all keys, of each any value.
fn holds(condition: &Value, context: &Context, missing: &mut BTreeSet<String>) -> bool {
    let mut all = true;
    for (operator, keys) in condition.as_object().into_iter().flatten() {
        for (key, wanted) in keys.as_object().into_iter().flatten() {
            let Some(own) = context.get(&key.to_lowercase()) else {
                missing.insert(key.clone());
                all &= operator.ends_with("IfExists");
                continue;
            };
            let wanted = texts(wanted);
            let any =
                |test: &dyn Fn(&str, &str) -> bool| own.iter().any(|own| wanted.iter().any(|wanted| test(wanted, own)));
            all &= match operator.trim_end_matches("IfExists") {
                "StringEquals" | "ArnEquals" | "Bool" => {
                    any(&|wanted, own| wanted == own || operator.starts_with("Arn") && fits(wanted, own))
                }
                "StringEqualsIgnoreCase" => any(&|wanted, own| wanted.eq_ignore_ascii_case(own)),
                "StringNotEquals" | "ArnNotEquals" => !any(&|wanted, own| wanted == own),
                "StringLike" | "ArnLike" => any(&|wanted, own| fits(wanted, own)),
                "StringNotLike" | "ArnNotLike" => !any(&|wanted, own| fits(wanted, own)),
                _ => false,
            };
        }
    }
    all
}

fn one_or_many(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |items| items.iter().collect())
}

fn texts(value: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    one_or_many(value).into_iter().filter(|value| !value.is_null()).map(text).collect()
}

/// Whether a text fits a pattern with `*` and `?`.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| fits(rest, &text[at..]))
        }
        Some(first) => {
            let mut own = text.chars();
            let same = own.next().is_some_and(|own| first == '?' || first == own);
            same && fits(&pattern[first.len_utf8()..], own.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(document: &Value, action: &str, resource: &str, context: &Context) -> Value {
        let policies = [Policy { id: "own".to_owned(), kind: "role", document: document.clone() }];
        result(&policies, None, action, resource, context)
    }

    /// "Policy evaluation logic" (IAM user guide): an explicit deny overrides any allow; what nothing allows is denied.
    #[test]
    fn a_deny_wins_and_what_nothing_allows_is_denied() {
        let document = json!({"Statement": [
            {"Effect": "Allow", "Action": ["s3:Get*", "S3:put?bject"], "Resource": "arn:aws:s3:::dms-*"},
            {"Effect": "Deny", "NotAction": "s3:GetObject", "Resource": "arn:aws:s3:::dms-held/*"},
        ]});
        let at = |action: &str, resource: &str| {
            decision(&document, action, resource, &Context::new())["EvalDecision"].clone()
        };
        assert_eq!(at("s3:GetObject", "arn:aws:s3:::dms-held/key"), "allowed");
        assert_eq!(at("s3:PutObject", "arn:aws:s3:::dms-other/key"), "allowed");
        assert_eq!(at("s3:PutObject", "arn:aws:s3:::dms-held/key"), "explicitDeny");
        assert_eq!(at("s3:GetObject", "arn:aws:s3:::other/key"), "implicitDeny");
    }

    #[test]
    fn a_condition_needs_its_key_and_the_answer_names_it() {
        let document = json!({"Statement": {
            "Effect": "Allow", "Action": "iam:PassRole", "Resource": "*",
            "Condition": {"StringEquals": {"iam:PassedToService": ["dms.amazonaws.com"]}},
        }});
        let without = decision(&document, "iam:PassRole", "*", &Context::new());
        assert_eq!(
            (&without["EvalDecision"], &without["MissingContextValues"]),
            (&json!("implicitDeny"), &json!(["iam:PassedToService"]))
        );
        let context = Context::from([("iam:passedtoservice".to_owned(), vec!["dms.amazonaws.com".to_owned()])]);
        assert_eq!(decision(&document, "iam:PassRole", "*", &context)["EvalDecision"], "allowed");
    }
}
