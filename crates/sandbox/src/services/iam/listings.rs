//! What there is in the account besides roles: AWS's policies with who uses them, and the caller; and lists of what nobody
//! can make here.

use serde_json::{Value, json};

use super::{listed, managed_policies, no_policy, policy_arn};
use crate::call::{ApiError, Call};

/// `ListPolicies`: of AWS's policies those that are played; there are no others.
pub(super) fn policies(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let (prefix, scope) = (input.text("PathPrefix")?.unwrap_or("/"), input.text("Scope")?.unwrap_or("All"));
    let only_attached = input.flag("OnlyAttached")?.unwrap_or(false);
    let found = managed_policies::all()
        .filter(|_| scope != "Local")
        .filter(|policy| policy.path.starts_with(prefix))
        .map(|policy| super::describe_policy(call, policy))
        .filter(|policy| !only_attached || policy["AttachmentCount"] != 0)
        .collect();
    listed(input, "Policies", found)
}

/// `ListPolicyVersions`.
pub(super) fn policy_versions(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let arn = policy_arn(call)?;
    let policy = managed_policies::find(&arn).ok_or_else(|| no_policy(&arn))?;
    let version = json!({"VersionId": policy.version, "IsDefaultVersion": true, "CreateDate": policy.created});
    listed(call.input, "Versions", vec![version])
}

/// `ListEntitiesForPolicy`: the roles that use a policy, as such or as their boundary.
pub(super) fn entities(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let arn = policy_arn(call)?;
    let input = call.input;
    let prefix = input.text("PathPrefix")?.unwrap_or("/");
    let filter = input.text("EntityFilter")?.unwrap_or("Role");
    let as_boundary = input.text("PolicyUsageFilter")? == Some("PermissionsBoundary");
    let uses = |role: &&crate::world::iam::Role| {
        if as_boundary { role.boundary.as_ref() == Some(&arn) } else { role.attached.contains(&arn) }
    };
    let roles = call.world.iam.roles.values().filter(uses).filter(|role| role.path.starts_with(prefix));
    let roles = roles.map(|role| json!({"RoleName": role.name, "RoleId": role.id}));
    let roles =
        if ["Role", "LocalManagedPolicy", "AWSManagedPolicy"].contains(&filter) { roles.collect() } else { Vec::new() };
    let mut answer = listed(input, "PolicyRoles", roles)?;
    answer["PolicyGroups"] = json!([]);
    answer["PolicyUsers"] = json!([]);
    Ok(answer)
}

/// `GetUser`, of the caller.
pub(super) fn user(call: &mut Call<'_>) -> Result<Value, ApiError> {
    match call.input.text("UserName")? {
        None | Some("sandbox") => Ok(json!({ "User": caller(call) })),
        Some(other) => Err(super::no_such(format!("The user with name {other} cannot be found."))),
    }
}

/// `ListUsers`: the caller is the only one.
pub(super) fn users(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let caller = caller(call);
    listed(call.input, "Users", vec![caller])
}

fn caller(call: &Call<'_>) -> Value {
    json!({
        "UserName": "sandbox", "UserId": crate::services::sts::CALLER_ID, "Path": "/",
        "Arn": call.place.global_arn("iam", "user/sandbox"), "CreateDate": "2026-01-01T00:00:00Z",
    })
}

/// `ListAccountAliases`.
pub(super) fn aliases(call: &mut Call<'_>) -> Result<Value, ApiError> {
    listed(call.input, "AccountAliases", Vec::new())
}

/// `ListInstanceProfiles`.
pub(super) fn instance_profiles(call: &mut Call<'_>) -> Result<Value, ApiError> {
    listed(call.input, "InstanceProfiles", Vec::new())
}

/// `ListGroups`.
pub(super) fn groups(call: &mut Call<'_>) -> Result<Value, ApiError> {
    listed(call.input, "Groups", Vec::new())
}
