//! IAM's roles: trust, inline and attached policies, tags. Nothing is authorised by them here, but the
//! other services look at trust and attachments where AWS does.
//!
//! Source: IAM API reference.

mod documents;
mod listings;
mod simulate;

use std::sync::LazyLock;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use regex::Regex;
use serde_json::{Value, json};

use self::documents::{INLINE_SIZE, document, require_principals, size, too_large};
use super::managed_policies::{self, ManagedPolicy};
use super::tags;
use crate::Quota;
use crate::arn::iam_id;
use crate::call::{ApiError, Call, Codes, Input};
use crate::paging::page;
use crate::protocol::query::Dialect;
use crate::router::{Operation, Protocol, Reach, Service};
use crate::world::Tags;
use crate::world::iam::Role;

pub(crate) const SERVICE: Service = Service {
    name: "iam",
    protocol: Protocol::Query { dialect: Dialect::Query, namespace: "https://iam.amazonaws.com/doc/2010-05-08/" },
    reach: Reach::Global,
    codes: &Codes { missing: "ValidationError", invalid: "ValidationError" },
    operations: &[
        ("AttachRolePolicy", Operation::Call(attach_role_policy)),
        ("CreateRole", Operation::Call(create_role)),
        ("DeleteRole", Operation::Call(delete_role)),
        ("DeleteRolePermissionsBoundary", Operation::Call(delete_role_permissions_boundary)),
        ("DeleteRolePolicy", Operation::Call(delete_role_policy)),
        ("DetachRolePolicy", Operation::Call(detach_role_policy)),
        ("GetAccountAuthorizationDetails", Operation::Call(get_account_authorization_details)),
        ("GetPolicy", Operation::Call(get_policy)),
        ("GetPolicyVersion", Operation::Call(get_policy_version)),
        ("GetRole", Operation::Call(get_role)),
        ("GetRolePolicy", Operation::Call(get_role_policy)),
        ("GetUser", Operation::Call(listings::user)),
        ("ListAccountAliases", Operation::Call(listings::aliases)),
        ("ListAttachedRolePolicies", Operation::Call(list_attached_role_policies)),
        ("ListEntitiesForPolicy", Operation::Call(listings::entities)),
        ("ListGroups", Operation::Call(listings::groups)),
        ("ListInstanceProfiles", Operation::Call(listings::instance_profiles)),
        ("ListInstanceProfilesForRole", Operation::Call(list_instance_profiles_for_role)),
        ("ListPolicies", Operation::Call(listings::policies)),
        ("ListPolicyVersions", Operation::Call(listings::policy_versions)),
        ("ListRolePolicies", Operation::Call(list_role_policies)),
        ("ListRoleTags", Operation::Call(list_role_tags)),
        ("ListRoles", Operation::Call(list_roles)),
        ("ListUsers", Operation::Call(listings::users)),
        ("PutRolePermissionsBoundary", Operation::Call(put_role_permissions_boundary)),
        ("PutRolePolicy", Operation::Call(put_role_policy)),
        ("SimulateCustomPolicy", Operation::Call(simulate::custom)),
        ("SimulatePrincipalPolicy", Operation::Call(simulate::principal)),
        ("TagRole", Operation::Call(tag_role)),
        ("UntagRole", Operation::Call(untag_role)),
        ("UpdateAssumeRolePolicy", Operation::Call(update_assume_role_policy)),
        ("UpdateRole", Operation::Call(update_role)),
    ],
};

/// How long other services may still see a role as it was before a change: Terraform waits 10 to 30
/// seconds after attaching, and never more than two minutes.
pub(crate) const PROPAGATION: Duration = Duration::from_secs(10);

/// Characters that stay as they are in the policy documents of answers (RFC 3986).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

static ROLE_NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[\w+=,.@-]{1,64}$").expect("a constant pattern"));
static POLICY_NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[\w+=,.@-]{1,128}$").expect("a constant pattern"));
static PATH: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(/|/[\x21-\x7e]{1,510}/)$").expect("a constant pattern"));

fn create_role(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let name = input.required("RoleName")?;
    if !ROLE_NAME.is_match(name) {
        return Err(does_not_fit(input, "roleName", name, r"[\w+=,.@-]+, 1 to 64 characters"));
    }
    let path = input.text("Path")?.unwrap_or("/");
    if !PATH.is_match(path) {
        return Err(does_not_fit(input, "path", path, "begin and end with /"));
    }
    let trust = document(input, "AssumeRolePolicyDocument", 2048, "Principal")?;
    require_principals(call, &trust)?;
    if call.world.iam.role(name).is_some() {
        return Err(ApiError::new("EntityAlreadyExists", format!("Role with name {name} already exists.")).status(409));
    }
    let most = call.quotas.value(Quota::Roles);
    if call.world.iam.roles.len() >= most {
        let text = format!("Cannot exceed quota for RolesPerAccount: {most}");
        return Err(ApiError::new("LimitExceeded", text).status(409));
    }
    let role = Role {
        name: name.to_owned(),
        id: iam_id("AROA"),
        path: path.to_owned(),
        arn: call.place.global_arn("iam", &format!("role{path}{name}")),
        trust,
        description: description(input)?,
        max_session: max_session(input)?.unwrap_or(3600),
        boundary: boundary_of(input)?,
        inline: std::collections::BTreeMap::new(),
        attached: Vec::new(),
        created: call.clock.now(),
        visible_at: call.clock.after(PROPAGATION),
        tags: tags::read(input, "Tags")?,
    };
    let answer = describe(&role);
    call.world.iam.roles.insert(name.to_lowercase(), role);
    Ok(json!({"Role": answer}))
}

fn get_role(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let role = find(call)?;
    Ok(json!({"Role": describe(role)}))
}

fn list_roles(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let prefix = call.input.text("PathPrefix")?.unwrap_or("/");
    let roles = call.world.iam.roles.values().filter(|role| role.path.starts_with(prefix)).map(summary).collect();
    listed(call.input, "Roles", roles)
}

fn update_role(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let (description, session) = (description(input)?, max_session(input)?);
    let role = find_mut(call)?;
    if input.has("Description") {
        role.description = description;
    }
    role.max_session = session.unwrap_or(role.max_session);
    Ok(json!({}))
}

fn update_assume_role_policy(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let trust = document(call.input, "PolicyDocument", 2048, "Principal")?;
    require_principals(call, &trust)?;
    let visible_at = call.clock.after(PROPAGATION);
    let role = find_mut(call)?;
    role.trust = trust;
    role.visible_at = visible_at;
    Ok(json!({}))
}

fn delete_role(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let role = find(call)?;
    let conflict = |text: &str| ApiError::new("DeleteConflict", text).status(409);
    if !role.attached.is_empty() {
        return Err(conflict("Cannot delete entity, must detach all policies first."));
    }
    if !role.inline.is_empty() {
        return Err(conflict("Cannot delete entity, must delete policies first."));
    }
    let name = role.name.to_lowercase();
    call.world.iam.roles.remove(&name);
    Ok(json!({}))
}

fn attach_role_policy(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let arn = policy_arn(call)?;
    let visible_at = call.clock.after(PROPAGATION);
    let most = call.quotas.value(Quota::PoliciesPerRole);
    let role = find_mut(call)?;
    if role.attached.contains(&arn) {
        return Ok(json!({}));
    }
    if role.attached.len() >= most {
        let text = format!("Cannot exceed quota for PoliciesPerRole: {most}");
        return Err(ApiError::new("LimitExceeded", text).status(409));
    }
    role.attached.push(arn);
    role.visible_at = visible_at;
    Ok(json!({}))
}

fn detach_role_policy(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let arn = call.input.required("PolicyArn")?;
    let role = find_mut(call)?;
    let before = role.attached.len();
    role.attached.retain(|attached| attached != arn);
    if role.attached.len() == before {
        return Err(no_such(format!("Policy {arn} was not found.")));
    }
    Ok(json!({}))
}

fn list_attached_role_policies(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let prefix = call.input.text("PathPrefix")?.unwrap_or("/");
    let marker = format!("policy{prefix}");
    let attached = find(call)?.attached.iter().filter(|arn| arn.contains(&marker)).map(|arn| attached(arn)).collect();
    listed(call.input, "AttachedPolicies", attached)
}

fn put_role_policy(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let name = input.required("PolicyName")?;
    if !POLICY_NAME.is_match(name) {
        return Err(does_not_fit(input, "policyName", name, r"[\w+=,.@-]+, 1 to 128 characters"));
    }
    let document = document(input, "PolicyDocument", INLINE_SIZE, "Resource")?;
    let role = find_mut(call)?;
    let others = role.inline.iter().filter(|(other, _)| *other != name).map(|(_, text)| size(text));
    if others.sum::<usize>() + size(&document) > INLINE_SIZE {
        return Err(too_large("PolicyDocument", INLINE_SIZE));
    }
    role.inline.insert(name.to_owned(), document);
    Ok(json!({}))
}

fn get_role_policy(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let name = call.input.required("PolicyName")?;
    let role = find(call)?;
    let document = role.inline.get(name).ok_or_else(|| no_inline_policy(name))?;
    Ok(json!({"RoleName": role.name, "PolicyName": name, "PolicyDocument": encoded(document)}))
}

fn delete_role_policy(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let name = call.input.required("PolicyName")?;
    find_mut(call)?.inline.remove(name).ok_or_else(|| no_inline_policy(name))?;
    Ok(json!({}))
}

fn list_role_policies(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let names = find(call)?.inline.keys().map(|name| json!(name)).collect();
    listed(call.input, "PolicyNames", names)
}

fn tag_role(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let new = tags::read(call.input, "Tags")?;
    let role = find_mut(call)?;
    role.tags.extend(new);
    if role.tags.len() > tags::LIMIT {
        return Err(ApiError::new("LimitExceeded", "The number of tags has reached the maximum limit.").status(409));
    }
    Ok(json!({}))
}

fn untag_role(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let keys = call.input.texts("TagKeys")?;
    let role = find_mut(call)?;
    role.tags.retain(|key, _| !keys.contains(&key.as_str()));
    Ok(json!({}))
}

fn list_role_tags(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let all = tag_items(&find(call)?.tags);
    listed(call.input, "Tags", all)
}

fn put_role_permissions_boundary(call: &mut Call<'_>) -> Result<Value, ApiError> {
    call.input.required("PermissionsBoundary")?;
    let boundary = boundary_of(call.input)?;
    find_mut(call)?.boundary = boundary;
    Ok(json!({}))
}

fn delete_role_permissions_boundary(call: &mut Call<'_>) -> Result<Value, ApiError> {
    find_mut(call)?.boundary = None;
    Ok(json!({}))
}

/// Roles in instance profiles do not exist here: nothing of the pipeline makes any.
fn list_instance_profiles_for_role(call: &mut Call<'_>) -> Result<Value, ApiError> {
    find(call)?;
    listed(call.input, "InstanceProfiles", Vec::new())
}

fn get_account_authorization_details(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let filters = call.input.texts("Filter")?;
    let roles = if filters.is_empty() || filters.contains(&"Role") {
        call.world.iam.roles.values().map(details).collect()
    } else {
        Vec::new()
    };
    let mut answer = listed(call.input, "RoleDetailList", roles)?;
    for empty in ["UserDetailList", "GroupDetailList", "Policies"] {
        answer[empty] = json!([]);
    }
    Ok(answer)
}

fn get_policy(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let arn = policy_arn(call)?;
    let policy = managed_policies::find(&arn).ok_or_else(|| no_policy(&arn))?;
    Ok(json!({ "Policy": describe_policy(call, policy) }))
}

fn describe_policy(call: &Call<'_>, policy: &ManagedPolicy) -> Value {
    let arn = format!("arn:{}:iam::aws:policy{}{}", call.place.partition(), policy.path, policy.name);
    let roles = call.world.iam.roles.values();
    let (uses, bounds): (Vec<_>, Vec<_>) =
        roles.map(|role| (role.attached.contains(&arn), role.boundary.as_ref() == Some(&arn))).unzip();
    let count = |all: Vec<bool>| all.into_iter().filter(|own| *own).count();
    json!({
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": arn,
        "Path": policy.path,
        "DefaultVersionId": policy.version,
        "AttachmentCount": count(uses),
        "PermissionsBoundaryUsageCount": count(bounds),
        "IsAttachable": true,
        "CreateDate": policy.created,
        "UpdateDate": policy.created,
    })
}

fn get_policy_version(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let arn = policy_arn(call)?;
    let version = call.input.required("VersionId")?;
    let policy = managed_policies::find(&arn).filter(|policy| policy.version == version);
    let policy = policy.ok_or_else(|| no_such(format!("Policy {arn} version {version} does not exist")))?;
    Ok(json!({"PolicyVersion": {
        "Document": encoded(policy.document),
        "VersionId": policy.version,
        "IsDefaultVersion": true,
        "CreateDate": policy.created,
    }}))
}

fn find<'a>(call: &'a Call<'_>) -> Result<&'a Role, ApiError> {
    let name = call.input.required("RoleName")?;
    call.world.iam.role(name).ok_or_else(|| no_role(name))
}

/// The role to change.
fn find_mut<'a>(call: &'a mut Call<'_>) -> Result<&'a mut Role, ApiError> {
    let name = call.input.required("RoleName")?;
    if call.world.iam.role(name).is_none() {
        return Err(no_role(name));
    }
    call.world.iam.roles.get_mut(&name.to_lowercase()).ok_or_else(|| no_role(name))
}

/// The ARN of a policy that exists, checked.
fn policy_arn(call: &Call<'_>) -> Result<String, ApiError> {
    let arn = call.input.required("PolicyArn")?;
    if !arn.starts_with("arn:") || !arn.contains(":policy/") {
        return Err(ApiError::new("InvalidInput", format!("ARN {arn} is not valid.")));
    }
    managed_policies::find(arn).map(|_| arn.to_owned()).ok_or_else(|| no_policy(arn))
}

fn description(input: Input<'_>) -> Result<Option<String>, ApiError> {
    let description = input.text("Description")?.unwrap_or_default();
    // "[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*" (IAM API reference, `CreateRole`).
    let fits = |one: char| matches!(one, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}');
    if description.chars().count() > 1000 || !description.chars().all(fits) {
        return Err(does_not_fit(input, "description", description, "at most 1000 characters of Latin-1"));
    }
    Ok((!description.is_empty()).then(|| description.to_owned()))
}

/// "The ARN of the managed policy that is used to set the permissions boundary", 20 to 2048 characters (IAM API reference,
/// `CreateRole`).
fn boundary_of(input: Input<'_>) -> Result<Option<String>, ApiError> {
    let Some(arn) = input.text("PermissionsBoundary")? else { return Ok(None) };
    if !(20..=2048).contains(&arn.chars().count()) {
        return Err(does_not_fit(input, "permissionsBoundary", arn, "20 to 2048 characters"));
    }
    if !arn.starts_with("arn:") || !arn.contains(":policy/") {
        return Err(ApiError::new("InvalidInput", format!("ARN {arn} is not valid.")));
    }
    Ok(Some(arn.to_owned()))
}

fn max_session(input: Input<'_>) -> Result<Option<i64>, ApiError> {
    let session = input.integer("MaxSessionDuration")?;
    match session {
        Some(seconds) if !(3600..=43_200).contains(&seconds) => {
            Err(does_not_fit(input, "maxSessionDuration", &seconds.to_string(), "3600 to 43200"))
        }
        session => Ok(session),
    }
}

fn describe(role: &Role) -> Value {
    let mut answer = summary(role);
    if !role.tags.is_empty() {
        answer["Tags"] = tags::write(&role.tags);
    }
    if let Some(arn) = &role.boundary {
        answer["PermissionsBoundary"] = boundary(arn);
    }
    answer
}

/// What ListRoles shows, which is without tags and boundary.
fn summary(role: &Role) -> Value {
    json!({
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn,
        "CreateDate": role.created.iso(),
        "AssumeRolePolicyDocument": encoded(&role.trust),
        "Description": role.description,
        "MaxSessionDuration": role.max_session,
    })
}

fn details(role: &Role) -> Value {
    let inline: Vec<_> = role
        .inline
        .iter()
        .map(|(name, document)| json!({"PolicyName": name, "PolicyDocument": encoded(document)}))
        .collect();
    json!({
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn,
        "CreateDate": role.created.iso(),
        "AssumeRolePolicyDocument": encoded(&role.trust),
        "InstanceProfileList": [],
        "RolePolicyList": inline,
        "AttachedManagedPolicies": role.attached.iter().map(|arn| attached(arn)).collect::<Vec<_>>(),
        "PermissionsBoundary": role.boundary.as_deref().map(boundary),
        "Tags": tag_items(&role.tags),
    })
}

fn boundary(arn: &str) -> Value {
    json!({"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn})
}

fn attached(arn: &str) -> Value {
    json!({"PolicyName": arn.rsplit('/').next(), "PolicyArn": arn})
}

fn tag_items(all: &Tags) -> Vec<Value> {
    all.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

fn encoded(document: &str) -> String {
    utf8_percent_encode(document, UNRESERVED).to_string()
}

/// One page of a list, as IAM pages: `Marker` and `MaxItems`, 100 by default.
fn listed(input: Input<'_>, name: &str, items: Vec<Value>) -> Result<Value, ApiError> {
    let size = input.integer("MaxItems")?.unwrap_or(100).clamp(1, 1000);
    let size = usize::try_from(size).unwrap_or(100);
    let (items, marker) = page(items, input.text("Marker")?, size).map_err(|_| input.invalid("Invalid Marker"))?;
    Ok(json!({name: items, "IsTruncated": marker.is_some(), "Marker": marker}))
}

fn does_not_fit(input: Input<'_>, member: &str, value: &str, constraint: &str) -> ApiError {
    input.invalid(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
    ))
}

fn no_such(message: String) -> ApiError {
    ApiError::new("NoSuchEntity", message).status(404)
}

fn no_role(name: &str) -> ApiError {
    no_such(format!("The role with name {name} cannot be found."))
}

fn no_policy(arn: &str) -> ApiError {
    no_such(format!("Policy {arn} does not exist or is not attachable."))
}

fn no_inline_policy(name: &str) -> ApiError {
    no_such(format!("The role policy with name {name} cannot be found."))
}
