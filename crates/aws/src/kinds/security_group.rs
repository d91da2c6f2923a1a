//! `ec2/security_group`: who may talk to whom, with its rules in the same block.
//!
//! In place: the rules, tags. Replacement: name, description, VPC. Costs nothing. Rules are compared
//! as a set of single rules and changed one by one: what is missing is added before what is too much
//! is taken away. The rule of a new group that lets everything out is left alone unless `egress` is
//! declared. The service assigns the identity (`sg-…`); a group is found again by its tags.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, ResourceType, SecurityGroupRule, SecurityGroupRuleUpdate, Tag, TagSpecification};
use serde_json::json;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Found, Kind, Object, Outputs, Pauses, Place, Readiness, Scope, Seconds, Tags,
    physical_name,
};
use towpath_engine::value::Value;

use super::dms_common::{SYNCHRONOUS, SYNCHRONOUS_POLL, state};
use crate::cloud::{Cloud, ec2_tags};
use crate::fault::{fault, unfinished};

mod holds;
mod rules;
mod spec;

use rules::{Atom, Direction};
pub use spec::{Egress, Ingress, Peers, Spec, VpcChoice, VpcTag};

/// The kind `ec2/security_group`.
pub struct SecurityGroup {
    cloud: Cloud,
}

impl SecurityGroup {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }

    fn object(&self, group: &aws_sdk_ec2::types::SecurityGroup) -> Object {
        let identity = group.group_id().unwrap_or_default().to_owned();
        let place = self.cloud.place();
        let spec = Spec {
            name: group.group_name.clone(),
            vpc: group.vpc_id.clone().map(VpcChoice::Named),
            description: group.description.clone(),
            ingress: None,
            egress: None,
        };
        let mut state = state(&spec);
        let rules = |permissions, direction| rules::written(&rules::permitted(permissions, &identity), direction);
        state["ingress"] = rules(group.ip_permissions(), Direction::Ingress);
        state["egress"] = rules(group.ip_permissions_egress(), Direction::Egress);
        let arn = format!("arn:{}:ec2:{}:{}:security-group/{identity}", place.partition, place.region, place.account);
        Object {
            outputs: Outputs::from([
                ("arn".to_owned(), json!(arn)),
                ("id".to_owned(), json!(identity)),
                ("name".to_owned(), json!(group.group_name)),
                ("vpc".to_owned(), json!(group.vpc_id)),
            ]),
            state,
            tags: Some(ec2_tags(group.tags())),
            readiness: Readiness::Ready,
            running: false,
            pending: Value::Null,
            identity,
        }
    }

    async fn groups(&self, filter: Option<Filter>) -> Result<Vec<aws_sdk_ec2::types::SecurityGroup>, Fault> {
        let call = self.cloud.ec2().await.describe_security_groups().set_filters(filter.map(|filter| vec![filter]));
        let pages = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
        pages.map_err(fault("ec2:DescribeSecurityGroups"))
    }

    /// The rules of a group, with their ids.
    async fn rules(&self, group: &str) -> Result<Vec<SecurityGroupRule>, Fault> {
        let filter = Filter::builder().name("group-id").values(group).build();
        let call = self.cloud.ec2().await.describe_security_group_rules().filters(filter);
        let pages = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
        pages.map_err(fault("ec2:DescribeSecurityGroupRules"))
    }

    /// The group that a create with these tags has made before, although its answer was lost.
    async fn made_before(&self, name: &str, vpc: Option<&str>, tags: &Tags) -> Result<Option<String>, Fault> {
        let filter = Filter::builder().name("group-name").values(name).build();
        let groups = self.groups(Some(filter)).await?;
        let ours = groups.iter().find(|group| {
            super::same_owner(tags, &ec2_tags(group.tags())) && vpc.is_none_or(|vpc| group.vpc_id() == Some(vpc))
        });
        Ok(ours.and_then(|group| group.group_id.clone()))
    }

    /// Brings the rules of one direction to what is wanted.
    async fn converge(&self, group: &str, wanted: &[Atom], direction: Direction) -> Result<(), Fault> {
        let live: Vec<(String, Atom)> = self
            .rules(group)
            .await?
            .iter()
            .filter(|rule| rule.is_egress().unwrap_or_default() == (direction == Direction::Egress))
            .map(|rule| (rule.security_group_rule_id().unwrap_or_default().to_owned(), rules::of_rule(rule, group)))
            .collect();
        let changes = rules::changes(wanted, &live);
        self.authorize(group, &changes.add, direction).await?;
        if !changes.describe.is_empty() {
            let update = |(id, atom): &(String, Atom)| {
                SecurityGroupRuleUpdate::builder()
                    .security_group_rule_id(id)
                    .security_group_rule(atom.request(group))
                    .build()
            };
            let call = self.cloud.ec2().await.modify_security_group_rules().group_id(group);
            let call = call.set_security_group_rules(Some(changes.describe.iter().map(update).collect()));
            call.send().await.map_err(fault("ec2:ModifySecurityGroupRules"))?;
        }
        self.revoke(group, changes.remove, direction).await
    }

    /// Adds rules in one call, or one by one where EC2 has some of them already.
    async fn authorize(&self, group: &str, atoms: &[Atom], direction: Direction) -> Result<(), Fault> {
        match self.authorize_together(group, atoms, direction).await {
            Err(fault) if fault.class == FaultClass::AlreadyExists && atoms.len() > 1 => {}
            Err(fault) if fault.class == FaultClass::AlreadyExists => return Ok(()),
            other => return other,
        }
        for atom in atoms {
            match self.authorize_together(group, std::slice::from_ref(atom), direction).await {
                Err(fault) if fault.class != FaultClass::AlreadyExists => return Err(fault),
                _ => {}
            }
        }
        Ok(())
    }

    async fn authorize_together(&self, group: &str, atoms: &[Atom], direction: Direction) -> Result<(), Fault> {
        if atoms.is_empty() {
            return Ok(());
        }
        let permissions = Some(atoms.iter().map(|atom| atom.permission(group)).collect());
        let client = self.cloud.ec2().await;
        match direction {
            Direction::Ingress => {
                let call = client.authorize_security_group_ingress().group_id(group).set_ip_permissions(permissions);
                call.send().await.map(drop).map_err(fault("ec2:AuthorizeSecurityGroupIngress"))
            }
            Direction::Egress => {
                let call = client.authorize_security_group_egress().group_id(group).set_ip_permissions(permissions);
                call.send().await.map(drop).map_err(fault("ec2:AuthorizeSecurityGroupEgress"))
            }
        }
    }

    /// Takes rules away by id: by properties a default VPC ignores silently what does not match.
    async fn revoke(&self, group: &str, ids: Vec<String>, direction: Direction) -> Result<(), Fault> {
        if ids.is_empty() {
            return Ok(());
        }
        let client = self.cloud.ec2().await;
        let result = match direction {
            Direction::Ingress => {
                let call =
                    client.revoke_security_group_ingress().group_id(group).set_security_group_rule_ids(Some(ids));
                call.send().await.map(drop).map_err(fault("ec2:RevokeSecurityGroupIngress"))
            }
            Direction::Egress => {
                let call = client.revoke_security_group_egress().group_id(group).set_security_group_rule_ids(Some(ids));
                call.send().await.map(drop).map_err(fault("ec2:RevokeSecurityGroupEgress"))
            }
        };
        match result {
            // Another hand was faster.
            Err(fault) if fault.is_not_found() => Ok(()),
            other => other,
        }
    }

    async fn delete_once(&self, group: &str) -> Result<(), Fault> {
        let call = self.cloud.ec2().await.delete_security_group().group_id(group);
        call.send().await.map(drop).map_err(fault("ec2:DeleteSecurityGroup"))
    }

    /// The id of the only VPC with these tags.
    async fn tagged_vpc(&self, wanted: &Value) -> Result<String, Fault> {
        let wanted: BTreeMap<String, String> = serde_json::from_value(wanted.clone()).unwrap_or_default();
        let mut fitting = Vec::new();
        for vpc in self.cloud.vpcs().await? {
            if wanted.iter().all(|(key, value)| vpc.tags.get(key) == Some(value)) {
                fitting.push(vpc.id.clone());
            }
        }
        let words = wanted.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ");
        match fitting.len() {
            1 => Ok(fitting.remove(0)),
            0 => Err(wrong_vpc(format!("no VPC has the tag {words}"))),
            _ => {
                Err(wrong_vpc(format!("several VPCs have the tag {words}: {}; name one by its id", fitting.join(", "))))
            }
        }
    }
}

fn wrong_vpc(message: String) -> Fault {
    Fault::local(FaultClass::Invalid, "ec2/security_group:look_up", message)
}

/// The wanted rules of one direction; `None` where nothing is declared.
fn wanted(spec: &Spec, direction: Direction) -> Option<Vec<Atom>> {
    let declared = match direction {
        Direction::Ingress => json!(spec.ingress.as_ref()?),
        Direction::Egress => json!(spec.egress.as_ref()?),
    };
    Some(rules::declared(&declared, direction))
}

/// The mistakes in one rule, by field.
fn mistakes(rule: &Value, direction: Direction) -> Vec<(&'static str, String)> {
    let mut mistakes = Vec::new();
    if rule["port"].is_number() && rule["ports"].is_string() {
        mistakes.push(("ports", "write either `port` or `ports`".to_owned()));
    }
    if let Some(text) = rule["ports"].as_str()
        && rules::ports(text).is_none()
    {
        mistakes.push(("ports", format!("`{text}` is no range of ports; write `5431-5455`")));
    }
    let is_icmp = matches!(rule["protocol"].as_str(), Some("icmp" | "icmpv6" | "1" | "58"));
    if !is_icmp && (rule["icmp_type"].is_number() || rule["icmp_code"].is_number()) {
        mistakes.push(("protocol", "only icmp and icmpv6 have types and codes".to_owned()));
    }
    if rule["icmp_code"].is_number() && !rule["icmp_type"].is_number() {
        mistakes.push(("icmp_code", "write the `icmp_type` that it is a code of".to_owned()));
    }
    let has_ports = rule["port"].is_number() || rule["ports"].is_string();
    match rule["protocol"].as_str() {
        None | Some("tcp" | "udp" | "6" | "17") => {}
        Some(protocol) if has_ports => {
            mistakes.push(("protocol", format!("only tcp and udp have ports, `{protocol}` has none")));
        }
        Some("icmp" | "icmpv6" | "all" | "-1") => {}
        Some(number) if number.parse::<u8>().is_ok() => {}
        Some(other) => {
            let known = "write `tcp`, `udp`, `icmp`, `icmpv6`, `all` or a protocol number";
            mistakes.push(("protocol", format!("`{other}` is no protocol; {known}")));
        }
    }
    // "Up to 255 characters in length. Allowed characters are a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*" (API reference,
    // `IpRange`; the ampersand is not in that of `UserIdGroupPair`).
    if rule["description"].as_str().is_some_and(|text| !is_plain(text)) {
        mistakes.push(("description", format!("EC2 allows {PLAIN}")));
    }
    let field = direction.peer_field();
    let peers = match &rule[field] {
        Value::Array(peers) => peers.clone(),
        one => vec![one.clone()],
    };
    if peers.is_empty() {
        mistakes.push((field, "an empty list lets nobody through; leave the rule out".to_owned()));
    }
    for peer in peers.iter().filter_map(Value::as_str).filter(|peer| !rules::is_peer(peer)) {
        let known = "write `self`, a CIDR block like `10.0.0.0/16`, the name of a security group, or an id";
        mistakes.push((field, format!("`{peer}` is nobody a rule can name; {known}")));
    }
    mistakes
}

/// The texts that EC2 takes as names and descriptions.
const PLAIN: &str = "1 to 255 of a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*";

/// Whether EC2 takes the text as a name or description of a group, or as a description of a rule.
fn is_plain(text: &str) -> bool {
    text.len() <= 255
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(letter))
}

impl Kind for SecurityGroup {
    const NAME: &'static str = "ec2/security_group";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "Who may talk to whom: a security group with its rules.",
            create: SYNCHRONOUS,
            update: SYNCHRONOUS,
            delete: Seconds::new(1.0, 2.0, 900.0),
            // Network interfaces of deleted instances and workgroups hold a group for minutes.
            poll: towpath_engine::kind::Poll { give_up: 900.0, ..SYNCHRONOUS_POLL },
            pauses: Pauses::Nothing,
            holds: None,
            name_limit: 255,
            taggable: true,
            assigned_identity: true,
        }
    }

    fn name(&self, place: &Place, name: &str, spec: &Spec) -> String {
        spec.name.clone().unwrap_or_else(|| physical_name(place, name, 255))
    }

    fn check(&self, spec: &Spec) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (field, text) in [("name", &spec.name), ("description", &spec.description)] {
            if text.as_ref().is_some_and(|text| !is_plain(text) || text.is_empty()) {
                found.push((field.to_owned(), format!("EC2 allows {PLAIN}")));
            }
        }
        if spec.name.as_ref().is_some_and(|name| name.starts_with("sg-")) {
            found.push(("name".to_owned(), "the name of a security group cannot start with `sg-`".to_owned()));
        }
        for (list, rules, direction) in
            [("ingress", json!(spec.ingress), Direction::Ingress), ("egress", json!(spec.egress), Direction::Egress)]
        {
            for (at, rule) in rules.as_array().into_iter().flatten().enumerate() {
                let mistakes = mistakes(rule, direction);
                found.extend(mistakes.into_iter().map(|(field, text)| (format!("{list}[{at}].{field}"), text)));
            }
        }
        found
    }

    fn normalise(&self, mut value: Value) -> Value {
        for (field, direction) in [("ingress", Direction::Ingress), ("egress", Direction::Egress)] {
            if value[field].is_array() {
                value[field] = rules::written(&rules::declared(&value[field], direction), direction);
            }
        }
        value
    }

    async fn look_up(&self, mut spec: Value) -> Result<Value, Fault> {
        if spec.get("vpc").is_some_and(|vpc| vpc == "default") {
            spec["vpc"] = json!(self.cloud.default_vpc().await?);
        } else if let Some(tags) = spec.get("vpc").and_then(|vpc| vpc.get("tag")) {
            spec["vpc"] = json!(self.tagged_vpc(tags).await?);
        }
        Ok(spec)
    }

    /// EC2's rule for everything that goes out is there without being declared.
    fn declare(&self, found: &Found<'_>, state: Value) -> Value {
        let everything = json!([{ "protocol": "all", "to": "0.0.0.0/0" }]);
        found.without(state, &json!({ "egress": everything, "ingress": [] }))
    }

    /// The group that every VPC has.
    fn is_given(&self, object: &Object) -> bool {
        object.outputs.get("name") == Some(&json!("default"))
    }

    async fn list(&self, scope: &Scope) -> Result<Vec<Object>, Fault> {
        let filter = match scope {
            Scope::Only(ids) if !ids.is_empty() && ids.len() <= 200 && ids.iter().all(|id| id.starts_with("sg-")) => {
                Some(Filter::builder().name("group-id").set_values(Some(ids.clone())).build())
            }
            _ => None,
        };
        Ok(self.groups(filter).await?.iter().map(|group| self.object(group)).collect())
    }

    async fn create(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        let vpc = match &spec.vpc {
            Some(VpcChoice::Named(id)) => Some(id.as_str()),
            _ => None,
        };
        let description = spec.description.clone().unwrap_or_else(|| format!("{name}, made by towpath"));
        let call = self.cloud.ec2().await.create_security_group();
        let call = call.group_name(name).description(description).set_vpc_id(vpc.map(str::to_owned));
        let call = call.set_tag_specifications(tag_specification(ResourceType::SecurityGroup, tags));
        let group = match call.send().await.map_err(fault("ec2:CreateSecurityGroup")) {
            Ok(answer) => answer.group_id.unwrap_or_default(),
            Err(fault) if fault.class == FaultClass::AlreadyExists => {
                self.made_before(name, vpc, tags).await?.ok_or(fault)?
            }
            Err(fault) => return Err(fault),
        };
        for direction in [Direction::Ingress, Direction::Egress] {
            if let Some(wanted) = wanted(spec, direction) {
                self.converge(&group, &wanted, direction).await.map_err(unfinished)?;
            }
        }
        Ok(group)
    }

    async fn update(&self, object: &Object, spec: &Spec, fields: &[String]) -> Result<(), Fault> {
        for (field, direction) in [("ingress", Direction::Ingress), ("egress", Direction::Egress)] {
            if fields.iter().any(|changed| changed == field) {
                let wanted = wanted(spec, direction).unwrap_or_default();
                self.converge(&object.identity, &wanted, direction).await?;
            }
        }
        Ok(())
    }

    async fn delete(&self, object: &Object, options: &DeleteOptions) -> Result<(), Fault> {
        match self.delete_once(&object.identity).await {
            Err(fault) if fault.class == FaultClass::Busy => {
                self.clear(&object.identity).await?;
                if options.whole_stack {
                    self.forget(object).await?;
                }
                self.delete_once(&object.identity).await
            }
            other => other,
        }
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        super::vpc::add_tags(&self.cloud, &object.identity, tags).await
    }

    async fn holders(&self, object: &Object) -> Result<Vec<String>, Fault> {
        self.held_by(&object.identity).await
    }

    fn examples(&self, _place: &Place) -> Vec<Example> {
        vec![Example {
            name: "pipeline_sg",
            spec: json!({
                "vpc": "default",
                "description": "source, replication instance and warehouse talk here",
                "ingress": [{ "port": 5432, "from": "self" }, { "port": 5439, "from": ["self", "10.0.0.0/16"] }],
            }),
            changed: vec![
                json!({
                    "ingress": [
                        { "port": 5432, "from": "self", "description": "source" },
                        { "ports": "5431-5455", "from": "10.1.2.3/16" },
                    ],
                }),
                json!({ "ingress": [], "egress": [{ "protocol": "all", "to": "self" }] }),
            ],
        }]
    }
}

/// Tags as EC2 wants them.
pub(super) fn sdk_tags(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// Tags for a create; none at all where there are none, which EC2 would refuse.
pub(super) fn tag_specification(resource: ResourceType, tags: &Tags) -> Option<Vec<TagSpecification>> {
    let specification = TagSpecification::builder().resource_type(resource).set_tags(Some(sdk_tags(tags))).build();
    (!tags.is_empty()).then(|| vec![specification])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(value: Value) -> Spec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn mistakes_in_rules_name_the_rule_and_the_field() {
        let kind = SecurityGroup::new(Cloud::offline());
        let mistakes = kind.check(&spec(json!({
            "name": "sg-mine",
            "ingress": [
                { "port": 1, "from": "self" },
                { "port": 1, "ports": "9-1", "protocol": "icmp", "from": ["10.0.0.0/64"] },
                { "protocol": "tpc", "from": [] },
            ],
        })));
        let fields: Vec<&str> = mistakes.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "name",
                "ingress[1].ports",
                "ingress[1].ports",
                "ingress[1].protocol",
                "ingress[1].from",
                "ingress[2].protocol",
                "ingress[2].from",
            ]
        );
    }

    #[test]
    fn rules_without_order_or_grouping_are_no_difference() {
        let kind = towpath_engine::kind::Of::new(SecurityGroup::new(Cloud::offline()));
        let declared =
            json!({ "ingress": [{ "port": 5439, "from": ["self", "10.0.1.2/16"] }, { "port": 5432, "from": "self" }] });
        let live = json!({ "ingress": [
            { "protocol": "tcp", "ports": "5432", "from": "self" },
            { "protocol": "tcp", "ports": "5439", "from": "10.0.0.0/16" },
            { "protocol": "tcp", "ports": "5439", "from": "self" },
        ], "egress": [{ "protocol": "all", "to": "0.0.0.0/0" }] });
        assert!(towpath_engine::diff::compare(&kind, &declared, &live, &Value::Null).is_empty());
        let closed = json!({ "egress": [] });
        assert_eq!(towpath_engine::diff::compare(&kind, &closed, &live, &Value::Null).changes[0].path, "egress");
    }

    #[test]
    fn without_tags_none_are_sent() {
        assert_eq!(tag_specification(ResourceType::SecurityGroup, &Tags::new()), None);
    }
}
