//! The block of a security group in a stack file. Types only; what they mean is in `rules`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The block of an `ec2/security_group`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The name, unique in its VPC. Default: `{stack}-{name}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "EC2 cannot rename a security group" }))]
    pub name: Option<String>,
    /// The VPC: `default`, an id, the name of an `ec2/vpc`, or `{tag: {KEY: VALUE}}`. Default: the
    /// region's default VPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "a security group cannot move to another VPC",
        "refers_to": { "kinds": ["ec2/vpc"], "attribute": "id", "physical": ["vpc-"], "words": ["default"] },
        "holds": { "ec2/vpc": "id" },
    }))]
    pub vpc: Option<VpcChoice>,
    /// What the group is for. Default: a sentence that names the stack's resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "EC2 cannot change the description of a security group",
    }))]
    pub description: Option<String>,
    /// What may come in. Default: nothing is said about it, so nothing may.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "compare": "set", "holds": { "ec2/security_group": "id" } }))]
    pub ingress: Option<Vec<Ingress>>,
    /// What may go out. Default: nothing is said about it, so EC2's rule for everything stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "compare": "set", "holds": { "ec2/security_group": "id" } }))]
    pub egress: Option<Vec<Egress>>,
}

/// A VPC, chosen by id, name, word or tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum VpcChoice {
    /// `default`, an id, or the name of an `ec2/vpc`.
    Named(String),
    /// The only VPC with these tags.
    Tagged(VpcTag),
}

/// `{tag: {KEY: VALUE}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VpcTag {
    /// Tags that exactly one VPC carries.
    pub tag: BTreeMap<String, String>,
}

/// One or several other sides of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Peers {
    /// One.
    One(String),
    /// Several, which is the same as several rules.
    Many(Vec<String>),
}

/// A rule for what comes in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ingress {
    /// The port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// A range of ports, `5431-5455`. Without `port` and `ports`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<String>,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, `all` or a number. Default: `tcp` with a port, else `all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Of `icmp` and `icmpv6`: the type, e.g. 8 for an echo request. Default: all types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp_type: Option<u8>,
    /// The code of that type. Default: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp_code: Option<u8>,
    /// Who: `self` (members of this group), a CIDR block, the name of an `ec2/security_group`, an id
    /// of a group or prefix list, or a list of these.
    #[schemars(extend("x-towpath" = { "refers_to": {
        "kinds": ["ec2/security_group"], "attribute": "id", "words": ["self"],
        "physical": ["sg-", "pl-", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", ":", "fc", "fd", "fe"],
    } }))]
    pub from: Peers,
    /// What the rule is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A rule for what goes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// The port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// A range of ports, `5431-5455`. Without `port` and `ports`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<String>,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, `all` or a number. Default: `tcp` with a port, else `all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Of `icmp` and `icmpv6`: the type, e.g. 8 for an echo request. Default: all types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp_type: Option<u8>,
    /// The code of that type. Default: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp_code: Option<u8>,
    /// To whom: `self` (members of this group), a CIDR block, the name of an `ec2/security_group`, an
    /// id of a group or prefix list, or a list of these.
    #[schemars(extend("x-towpath" = { "refers_to": {
        "kinds": ["ec2/security_group"], "attribute": "id", "words": ["self"],
        "physical": ["sg-", "pl-", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", ":", "fc", "fd", "fe"],
    } }))]
    pub to: Peers,
    /// What the rule is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}
