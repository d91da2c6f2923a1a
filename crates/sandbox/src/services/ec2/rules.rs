//! Rules of security groups.

use std::net::Ipv6Addr;

use serde_json::{Value, json};

use super::filters::Filters;
use super::networks::Block;
use super::{chosen, done, dry_run, listed, no_group, tag_set, tag_specification};
use crate::Quota;
use crate::arn::ec2_id;
use crate::call::{ApiError, Call, Input};
use crate::world::Tags;
use crate::world::ec2::{Direction, Peer, Rule};

/// The members of a permission that name the other side, and the member inside.
const PEERS: [(&str, &str); 4] =
    [("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6"), ("PrefixListIds", "PrefixListId"), ("Groups", "GroupId")];

pub(super) fn authorize_ingress(call: &mut Call<'_>) -> Result<Value, ApiError> {
    authorize(call, Direction::Ingress)
}

pub(super) fn authorize_egress(call: &mut Call<'_>) -> Result<Value, ApiError> {
    authorize(call, Direction::Egress)
}

pub(super) fn revoke_ingress(call: &mut Call<'_>) -> Result<Value, ApiError> {
    revoke(call, Direction::Ingress)
}

pub(super) fn revoke_egress(call: &mut Call<'_>) -> Result<Value, ApiError> {
    revoke(call, Direction::Egress)
}

fn authorize(call: &mut Call<'_>, direction: Direction) -> Result<Value, ApiError> {
    let group_id = group(call)?;
    let tags = tag_specification(call.input, "security-group-rule")?;
    let wanted = wanted(call.input, &group_id, direction, &tags)?;
    dry_run(call.input)?;
    let most = call.quotas.value(Quota::RulesPerSecurityGroup);
    let ec2 = &mut call.world.ec2;
    let mut added = Vec::new();
    for rule in wanted {
        if let Peer::Group(other) = &rule.peer
            && !ec2.security_groups.contains_key(other)
        {
            return Err(no_group(other));
        }
        if ec2.rules.values().any(|own| same(own, &rule)) {
            let message = format!("the specified rule \"{}\" already exists", in_words(&rule));
            return Err(ApiError::new("InvalidPermission.Duplicate", message));
        }
        ec2.rules.insert(rule.id.clone(), rule.clone());
        added.push(rule);
    }
    if ec2.rules.values().filter(|rule| rule.group_id == group_id && rule.direction == direction).count() > most {
        let message = "The maximum number of rules per security group has been reached.";
        return Err(ApiError::new("RulesPerSecurityGroupLimitExceeded", message));
    }
    let rules: Vec<_> = added.iter().map(|rule| describe_rule(call, rule)).collect();
    Ok(json!({"return": true, "securityGroupRuleSet": rules}))
}

fn revoke(call: &mut Call<'_>, direction: Direction) -> Result<Value, ApiError> {
    let group_id = group(call)?;
    let ids = call.input.texts("SecurityGroupRuleId")?;
    dry_run(call.input)?;
    let mut revoked = Vec::new();
    if ids.is_empty() {
        let by_default = call.world.ec2.security_groups.get(&group_id).map(|group| group.vpc_id.as_str())
            == call.world.ec2.default_vpc();
        for rule in wanted(call.input, &group_id, direction, &Tags::new())? {
            let found = call.world.ec2.rules.values().find(|own| same(own, &rule)).map(|own| own.id.clone());
            match found {
                Some(id) => revoked.extend(call.world.ec2.rules.remove(&id)),
                // In a default VPC EC2 ignores what it does not find.
                None if by_default => {}
                None => {
                    let message = "The specified rule does not exist in this security group.";
                    return Err(ApiError::new("InvalidPermission.NotFound", message));
                }
            }
        }
    }
    for id in ids {
        let rule = call.world.ec2.rules.get(id);
        let fits = rule.is_some_and(|rule| rule.group_id == group_id && rule.direction == direction);
        if !fits {
            return Err(no_rule(id));
        }
        revoked.extend(call.world.ec2.rules.remove(id));
    }
    let rules: Vec<_> = revoked.iter().map(revoked_rule).collect();
    Ok(json!({"return": true, "revokedSecurityGroupRuleSet": rules}))
}

pub(super) fn modify(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let group_id = group(call)?;
    dry_run(call.input)?;
    for update in call.input.structures("SecurityGroupRule")? {
        let id = update.required("SecurityGroupRuleId")?;
        let new = update.structure("SecurityGroupRule")?.ok_or_else(|| update.missing("SecurityGroupRule"))?;
        let old = call.world.ec2.rules.get(id).filter(|rule| rule.group_id == group_id).ok_or_else(|| no_rule(id))?;
        let peer = modified_peer(new)?;
        if std::mem::discriminant(&peer) != std::mem::discriminant(&old.peer) {
            let message = "You may not modify the source or destination type of an existing security group rule.";
            return Err(ApiError::new("InvalidParameterCombination", message));
        }
        let ports = Ports::read(new)?;
        let rule = Rule { description: description(new)?, peer, ..ports.rule(old.clone()) };
        if call.world.ec2.rules.values().any(|own| own.id != rule.id && same(own, &rule)) {
            let message = format!("the specified rule \"{}\" already exists", in_words(&rule));
            return Err(ApiError::new("InvalidPermission.Duplicate", message));
        }
        call.world.ec2.rules.insert(rule.id.clone(), rule);
    }
    Ok(done())
}

fn modified_peer(new: Input<'_>) -> Result<Peer, ApiError> {
    let members = [("CidrIpv4", 0), ("CidrIpv6", 1), ("PrefixListId", 2), ("ReferencedGroupId", 3)];
    let mut given = Vec::new();
    for (member, kind) in members {
        given.extend(new.text(member)?.map(|text| (kind, text)));
    }
    match given.as_slice() {
        [(kind, text)] => peer(new, *kind, text),
        _ => Err(ApiError::new("InvalidParameterCombination", "Exactly one source or destination must be given.")),
    }
}

pub(super) fn describe(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let filters = Filters::read(call.input, &["group-id", "security-group-rule-id"])?;
    let rules = chosen(call, "SecurityGroupRuleId", &call.world.ec2.rules, no_rule)?;
    let field = |rule: &Rule, name: &str| match name {
        "group-id" => vec![rule.group_id.clone()],
        _ => vec![rule.id.clone()],
    };
    let fitting = rules.into_iter().filter(|rule| filters.fit(&rule.tags, |name| field(rule, name)));
    let rules = fitting.map(|rule| describe_rule(call, rule)).collect();
    listed(call.input, "securityGroupRuleSet", rules)
}

fn describe_rule(call: &Call<'_>, rule: &Rule) -> Value {
    let mut answer = json!({
        "securityGroupRuleId": rule.id,
        "securityGroupRuleArn": call.place.arn("ec2", &format!("security-group-rule/{}", rule.id)),
        "groupId": rule.group_id,
        "groupOwnerId": call.place.account,
        "isEgress": rule.direction == Direction::Egress,
        "ipProtocol": rule.protocol,
        "fromPort": rule.from_port,
        "toPort": rule.to_port,
        "description": rule.description,
        "tagSet": tag_set(&rule.tags),
    });
    match &rule.peer {
        Peer::Ipv4(block) => answer["cidrIpv4"] = json!(block),
        Peer::Ipv6(block) => answer["cidrIpv6"] = json!(block),
        Peer::PrefixList(id) => answer["prefixListId"] = json!(id),
        Peer::Group(id) => {
            answer["referencedGroupInfo"] = json!({"groupId": id, "userId": call.place.account});
        }
    }
    answer
}

fn revoked_rule(rule: &Rule) -> Value {
    let mut answer = json!({
        "securityGroupRuleId": rule.id,
        "groupId": rule.group_id,
        "isEgress": rule.direction == Direction::Egress,
        "ipProtocol": rule.protocol,
        "fromPort": rule.from_port,
        "toPort": rule.to_port,
        "description": rule.description,
    });
    match &rule.peer {
        Peer::Ipv4(block) => answer["cidrIpv4"] = json!(block),
        Peer::Ipv6(block) => answer["cidrIpv6"] = json!(block),
        Peer::PrefixList(id) => answer["prefixListId"] = json!(id),
        Peer::Group(id) => answer["referencedGroupId"] = json!(id),
    }
    answer
}

/// The permissions of DescribeSecurityGroups: rules with the same protocol and ports together.
pub(super) fn permissions(call: &Call<'_>, group_id: &str, direction: Direction) -> Vec<Value> {
    let mut permissions: Vec<((&str, i64, i64), Value)> = Vec::new();
    let own = |rule: &&Rule| rule.group_id == group_id && rule.direction == direction;
    for rule in call.world.ec2.rules.values().filter(own) {
        let key = (rule.protocol.as_str(), rule.from_port, rule.to_port);
        let at = permissions.iter().position(|(other, _)| *other == key).unwrap_or_else(|| {
            let all = rule.protocol == "-1";
            let ports = |port: i64| if all { Value::Null } else { json!(port) };
            permissions.push((
                key,
                json!({
                    "ipProtocol": rule.protocol, "fromPort": ports(rule.from_port), "toPort": ports(rule.to_port),
                    "groups": [], "ipRanges": [], "ipv6Ranges": [], "prefixListIds": [],
                }),
            ));
            permissions.len() - 1
        });
        let (list, mut item) = match &rule.peer {
            Peer::Ipv4(block) => ("ipRanges", json!({"cidrIp": block})),
            Peer::Ipv6(block) => ("ipv6Ranges", json!({"cidrIpv6": block})),
            Peer::PrefixList(id) => ("prefixListIds", json!({"prefixListId": id})),
            Peer::Group(id) => ("groups", json!({"groupId": id, "userId": call.place.account})),
        };
        item["description"] = json!(rule.description);
        if let Some(items) = permissions[at].1[list].as_array_mut() {
            items.push(item);
        }
    }
    permissions.into_iter().map(|(_, permission)| permission).collect()
}

/// What the rules of a group have for a filter such as `egress.ip-permission.from-port`.
pub(super) fn filtered(call: &Call<'_>, group_id: &str, filter: &str) -> Vec<String> {
    let (direction, member) = match filter.strip_prefix("egress.ip-permission.") {
        Some(member) => (Direction::Egress, member),
        None => (Direction::Ingress, filter.strip_prefix("ip-permission.").unwrap_or(filter)),
    };
    let own = call.world.ec2.rules.values().filter(|rule| rule.group_id == group_id && rule.direction == direction);
    own.filter_map(|rule| match (member, &rule.peer) {
        ("cidr", Peer::Ipv4(block)) => Some(block.clone()),
        ("group-id", Peer::Group(id)) => Some(id.clone()),
        ("from-port", _) => Some(rule.from_port.to_string()),
        ("to-port", _) => Some(rule.to_port.to_string()),
        ("protocol", _) => Some(rule.protocol.clone()),
        _ => None,
    })
    .collect()
}

pub(super) fn describe_anew_ingress(call: &mut Call<'_>) -> Result<Value, ApiError> {
    describe_anew(call, Direction::Ingress)
}

pub(super) fn describe_anew_egress(call: &mut Call<'_>) -> Result<Value, ApiError> {
    describe_anew(call, Direction::Egress)
}

/// `UpdateSecurityGroupRuleDescriptionsIngress` and its twin, by permissions or by ids.
fn describe_anew(call: &mut Call<'_>, direction: Direction) -> Result<Value, ApiError> {
    let group_id = group(call)?;
    dry_run(call.input)?;
    let mut changes = Vec::new();
    for update in call.input.structures("SecurityGroupRuleDescription")? {
        changes.push((update.required("SecurityGroupRuleId")?.to_owned(), description(update)?));
    }
    if changes.is_empty() {
        for rule in wanted(call.input, &group_id, direction, &Tags::new())? {
            let found = call.world.ec2.rules.values().find(|own| same(own, &rule)).map(|own| own.id.clone());
            let id = found.ok_or_else(|| {
                let message = "The specified rule does not exist in this security group.";
                ApiError::new("InvalidPermission.NotFound", message)
            })?;
            changes.push((id, rule.description));
        }
    }
    for (id, text) in changes {
        let rule = call.world.ec2.rules.get_mut(&id);
        let rule = rule.filter(|rule| rule.group_id == group_id && rule.direction == direction);
        rule.ok_or_else(|| no_rule(&id))?.description = text;
    }
    Ok(done())
}

fn group(call: &Call<'_>) -> Result<String, ApiError> {
    let id = call.input.required("GroupId")?;
    call.world.ec2.security_groups.get(id).map(|group| group.id.clone()).ok_or_else(|| no_group(id))
}

/// One rule for each other side that the request's permissions name.
fn wanted(input: Input<'_>, group_id: &str, direction: Direction, tags: &Tags) -> Result<Vec<Rule>, ApiError> {
    let blank = Rule {
        id: String::new(),
        group_id: group_id.to_owned(),
        direction,
        protocol: String::new(),
        from_port: -1,
        to_port: -1,
        peer: Peer::Ipv4(String::new()),
        description: None,
        tags: tags.clone(),
    };
    let mut rules = Vec::new();
    for permission in input.structures("IpPermissions")? {
        let ports = Ports::read(permission)?;
        for (kind, (list, member)) in PEERS.into_iter().enumerate() {
            for item in permission.structures(list)? {
                let peer = peer(item, kind, item.required(member)?)?;
                let rule = ports.rule(blank.clone());
                rules.push(Rule { id: ec2_id("sgr"), peer, description: description(item)?, ..rule });
            }
        }
    }
    // The short form, with one IPv4 block beside the protocol.
    if let Some(block) = input.text("CidrIp")? {
        rules.push(Rule { id: ec2_id("sgr"), peer: peer(input, 0, block)?, ..Ports::read(input)?.rule(blank) });
    }
    if rules.is_empty() {
        return Err(input.missing("ipPermissions"));
    }
    Ok(rules)
}

fn description(input: Input<'_>) -> Result<Option<String>, ApiError> {
    let text = input.text("Description")?.filter(|text| !text.is_empty());
    // "Up to 255 characters in length. Allowed characters are a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*" (EC2 API
    // reference, `IpRange`).
    let fits = |one: char| one.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(one);
    if text.is_some_and(|text| text.chars().count() > 255 || !text.chars().all(fits)) {
        return Err(input.invalid("Invalid rule description. Valid descriptions are strings less than 256 characters from the following set: a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"));
    }
    Ok(text.map(str::to_owned))
}

/// The other side, in EC2's canonical form; `kind` is its place in [`PEERS`].
fn peer(input: Input<'_>, kind: usize, text: &str) -> Result<Peer, ApiError> {
    let bad_block = || input.invalid(format!("CIDR block {text} is malformed"));
    match kind {
        0 => Ok(Peer::Ipv4(Block::read(text).ok_or_else(bad_block)?.to_string())),
        1 => Ok(Peer::Ipv6(ipv6_block(text).ok_or_else(bad_block)?)),
        2 => Ok(Peer::PrefixList(text.to_owned())),
        _ => Ok(Peer::Group(text.to_owned())),
    }
}

fn ipv6_block(text: &str) -> Option<String> {
    let (address, length) = text.split_once('/')?;
    let length: u32 = length.parse().ok().filter(|length| *length <= 128)?;
    let address: Ipv6Addr = address.parse().ok()?;
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    Some(format!("{}/{length}", Ipv6Addr::from(u128::from(address) & mask)))
}

/// Protocol and ports of a permission, in EC2's canonical form.
struct Ports {
    protocol: String,
    from: i64,
    to: i64,
}

impl Ports {
    fn read(input: Input<'_>) -> Result<Self, ApiError> {
        let protocol = match input.required("IpProtocol")? {
            "6" => "tcp".to_owned(),
            "17" => "udp".to_owned(),
            "1" => "icmp".to_owned(),
            "58" => "icmpv6".to_owned(),
            "all" => "-1".to_owned(),
            other => other.to_ascii_lowercase(),
        };
        let known = ["tcp", "udp", "icmp", "icmpv6", "-1"].contains(&protocol.as_str());
        if !known && !protocol.parse().is_ok_and(|number: i64| (0..=255).contains(&number)) {
            return Err(input.invalid(format!("Invalid value '{protocol}' for IP protocol. Unknown protocol.")));
        }
        let (from, to) = (input.integer("FromPort")?, input.integer("ToPort")?);
        match (protocol.as_str(), from, to) {
            ("tcp" | "udp", Some(from), Some(to)) => {
                let fits = (0..=65_535).contains(&from) && (from..=65_535).contains(&to);
                if !fits {
                    return Err(input.invalid(format!(
                        "Invalid value '{from}-{to}' for port range. Must specify both from and to ports with TCP/UDP."
                    )));
                }
                Ok(Self { protocol, from, to })
            }
            ("tcp" | "udp", _, _) => {
                Err(input.invalid("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange."))
            }
            ("icmp" | "icmpv6", from, to) => Ok(Self { protocol, from: from.unwrap_or(-1), to: to.unwrap_or(-1) }),
            _ => Ok(Self { protocol, from: -1, to: -1 }),
        }
    }

    fn rule(&self, rule: Rule) -> Rule {
        Rule { protocol: self.protocol.clone(), from_port: self.from, to_port: self.to, ..rule }
    }
}

/// Whether two rules are duplicates: the description does not count.
fn same(one: &Rule, other: &Rule) -> bool {
    one.group_id == other.group_id
        && one.direction == other.direction
        && one.protocol == other.protocol
        && (one.from_port, one.to_port) == (other.from_port, other.to_port)
        && one.peer == other.peer
}

fn in_words(rule: &Rule) -> String {
    let peer = match &rule.peer {
        Peer::Ipv4(peer) | Peer::Ipv6(peer) | Peer::PrefixList(peer) | Peer::Group(peer) => peer,
    };
    let protocol = if rule.protocol == "-1" { "ALL" } else { &rule.protocol };
    format!(
        "peer: {peer}, {}, from port: {}, to port: {}, ALLOW",
        protocol.to_uppercase(),
        rule.from_port,
        rule.to_port
    )
}

fn no_rule(id: &str) -> ApiError {
    ApiError::new("InvalidSecurityGroupRuleId.NotFound", format!("The security group rule ID '{id}' does not exist"))
}
