//! Security groups.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::filters::Filters;
use super::{chosen, dry_run, interfaces, listed, no_group, no_vpc, rules, tag_set, tag_specification};
use crate::Quota;
use crate::call::{ApiError, Call};
use crate::world::ec2::{Direction, Peer, SecurityGroup};

static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}$").expect("a constant pattern"));

pub(super) fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let name = input.required("GroupName")?;
    let description = input.required("GroupDescription")?;
    if !NAME.is_match(name) || name.starts_with("sg-") {
        let rule = "Character sets beyond a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$* are not allowed, nor a name that starts with sg-";
        return Err(input.invalid(format!("Value ({name}) for parameter GroupName is invalid. {rule}")));
    }
    if !NAME.is_match(description) {
        return Err(input.invalid(format!("Value ({description}) for parameter GroupDescription is invalid.")));
    }
    let vpc_id = match input.text("VpcId")? {
        Some(id) => id.to_owned(),
        None => call
            .world
            .ec2
            .default_vpc()
            .map(str::to_owned)
            .ok_or_else(|| ApiError::new("VPCIdNotSpecified", "No default VPC for this user"))?,
    };
    if !call.world.ec2.vpcs.contains_key(&vpc_id) {
        return Err(no_vpc(&vpc_id));
    }
    let mut groups = call.world.ec2.security_groups.values();
    if groups.any(|group| group.vpc_id == vpc_id && group.name.eq_ignore_ascii_case(name)) {
        let message = format!("The security group '{name}' already exists for VPC '{vpc_id}'");
        return Err(ApiError::new("InvalidGroup.Duplicate", message));
    }
    if call.world.ec2.security_groups.len() >= call.quotas.value(Quota::SecurityGroups) {
        let message = "The maximum number of security groups has been reached.";
        return Err(ApiError::new("SecurityGroupLimitExceeded", message));
    }
    let tags = tag_specification(input, "security-group")?;
    dry_run(input)?;
    let id = call.world.ec2.add_security_group(&vpc_id, name, description, tags.clone());
    Ok(json!({"groupId": id, "tagSet": tag_set(&tags), "securityGroupArn": arn(call, &id)}))
}

pub(super) fn describe(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let known = [
        "description",
        "egress.ip-permission.cidr",
        "egress.ip-permission.from-port",
        "egress.ip-permission.group-id",
        "egress.ip-permission.protocol",
        "egress.ip-permission.to-port",
        "group-id",
        "group-name",
        "ip-permission.cidr",
        "ip-permission.from-port",
        "ip-permission.group-id",
        "ip-permission.protocol",
        "ip-permission.to-port",
        "owner-id",
        "vpc-id",
    ];
    let filters = Filters::read(call.input, &known)?;
    let names = call.input.texts("GroupName")?;
    let mut groups = chosen(call, "GroupId", &call.world.ec2.security_groups, no_group)?;
    for name in &names {
        if !groups.iter().any(|group| group.name == *name) {
            let message = format!("The security group '{name}' does not exist");
            return Err(ApiError::new("InvalidGroup.NotFound", message));
        }
    }
    groups.retain(|group| names.is_empty() || names.contains(&group.name.as_str()));
    let field = |group: &SecurityGroup, name: &str| match name {
        "description" => vec![group.description.clone()],
        "group-id" => vec![group.id.clone()],
        "group-name" => vec![group.name.clone()],
        "owner-id" => vec![call.place.account.clone()],
        "vpc-id" => vec![group.vpc_id.clone()],
        other => rules::filtered(call, &group.id, other),
    };
    let fitting = groups.into_iter().filter(|group| filters.fit(&group.tags, |name| field(group, name)));
    let groups = fitting.map(|group| describe_group(call, group)).collect();
    listed(call.input, "securityGroupInfo", groups)
}

fn describe_group(call: &Call<'_>, group: &SecurityGroup) -> Value {
    json!({
        "ownerId": call.place.account,
        "groupId": group.id,
        "groupName": group.name,
        "groupDescription": group.description,
        "vpcId": group.vpc_id,
        "securityGroupArn": arn(call, &group.id),
        "ipPermissions": rules::permissions(call, &group.id, Direction::Ingress),
        "ipPermissionsEgress": rules::permissions(call, &group.id, Direction::Egress),
        "tagSet": tag_set(&group.tags),
    })
}

pub(super) fn delete(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let id = match (call.input.text("GroupId")?, call.input.text("GroupName")?) {
        (Some(id), _) => id.to_owned(),
        (None, Some(name)) => in_default_vpc(call, name)?,
        (None, None) => return Err(call.input.missing("GroupId")),
    };
    dry_run(call.input)?;
    let group = call.world.ec2.security_groups.get(&id).ok_or_else(|| no_group(&id))?;
    if group.name == "default" {
        let message = format!("the specified group: \"{id}\" name: \"default\" cannot be deleted by a user");
        return Err(ApiError::new("CannotDelete", message));
    }
    let named = Peer::Group(id.clone());
    let used = interfaces::present(call).any(|interface| interface.groups.contains(&id))
        || call.world.ec2.rules.values().any(|rule| rule.group_id != id && rule.peer == named)
        || call
            .world
            .ec2
            .vpc_endpoints
            .values()
            .any(|endpoint| endpoint.groups.contains(&id) && !endpoint.is_gone(call.clock.now()));
    if used {
        return Err(ApiError::new("DependencyViolation", format!("resource {id} has a dependent object")));
    }
    call.world.ec2.security_groups.remove(&id);
    call.world.ec2.rules.retain(|_, rule| rule.group_id != id);
    Ok(json!({"return": true, "groupId": id}))
}

/// A group of the default VPC by name.
fn in_default_vpc(call: &Call<'_>, name: &str) -> Result<String, ApiError> {
    let vpc = call.world.ec2.default_vpc();
    let mut groups = call.world.ec2.security_groups.values();
    groups
        .find(|group| Some(group.vpc_id.as_str()) == vpc && group.name == name)
        .map(|group| group.id.clone())
        .ok_or_else(|| ApiError::new("InvalidGroup.NotFound", format!("The security group '{name}' does not exist")))
}

fn arn(call: &Call<'_>, id: &str) -> String {
    call.place.arn("ec2", &format!("security-group/{id}"))
}
