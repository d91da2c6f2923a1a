//! Rules of a security group as atoms: one protocol, one range of ports, one other side.
//!
//! Declared rules may list several other sides and spell things in many ways; EC2 groups what it
//! has by protocol and ports. Both come down to the same set of atoms, whose written form is again
//! a declared rule. Pure: nothing here calls AWS. Forms of protocols, ports and CIDR blocks: API
//! reference of EC2, `IpPermission` and `SecurityGroupRule`.

use aws_sdk_ec2::types::{
    IpPermission, IpRange, Ipv6Range, PrefixListId, SecurityGroupRule, SecurityGroupRuleRequest, UserIdGroupPair,
};
use serde_json::{Map, Value, json};

/// Which way the traffic goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// To the members of the group.
    Ingress,
    /// From them.
    Egress,
}

impl Direction {
    /// The field that names the other side.
    pub(super) fn peer_field(self) -> &'static str {
        match self {
            Self::Ingress => "from",
            Self::Egress => "to",
        }
    }
}

/// One rule in EC2's sense.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Atom {
    /// `tcp`, `udp`, `icmp`, `icmpv6`, `all` or a number.
    pub(super) protocol: String,
    /// First port, or ICMP type; -1 for all.
    pub(super) from_port: i32,
    /// Last port, or ICMP code; -1 for all.
    pub(super) to_port: i32,
    /// The other side: `self`, a group's or prefix list's id, a CIDR block, or a reference marker.
    pub(super) peer: Value,
    /// What the rule is for.
    pub(super) description: Option<String>,
}

impl Atom {
    /// Whether EC2 takes two rules for the same: the description does not count.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.protocol == other.protocol
            && (self.from_port, self.to_port) == (other.from_port, other.to_port)
            && self.peer == other.peer
    }

    /// The atom as a declared rule.
    pub(super) fn to_value(&self, direction: Direction) -> Value {
        let mut rule = Map::new();
        rule.insert("protocol".to_owned(), json!(self.protocol));
        if is_icmp(&self.protocol) {
            for (field, number) in [("icmp_type", self.from_port), ("icmp_code", self.to_port)] {
                if number != -1 {
                    rule.insert(field.to_owned(), json!(number));
                }
            }
        } else if (self.from_port, self.to_port) != (-1, -1) {
            let ports = if self.from_port == self.to_port {
                self.from_port.to_string()
            } else {
                format!("{}-{}", self.from_port, self.to_port)
            };
            rule.insert("ports".to_owned(), json!(ports));
        }
        rule.insert(direction.peer_field().to_owned(), self.peer.clone());
        if let Some(description) = &self.description {
            rule.insert("description".to_owned(), json!(description));
        }
        Value::Object(rule)
    }

    /// The atom as EC2 is asked for it by the group `own`.
    pub(super) fn permission(&self, own: &str) -> IpPermission {
        let ported = (self.from_port, self.to_port) != (-1, -1) || is_icmp(&self.protocol);
        let permission = IpPermission::builder()
            .ip_protocol(wire_protocol(&self.protocol))
            .set_from_port(ported.then_some(self.from_port))
            .set_to_port(ported.then_some(self.to_port));
        let description = self.description.clone();
        match Peer::of(&self.peer, own) {
            Peer::Group(id) => permission
                .user_id_group_pairs(UserIdGroupPair::builder().group_id(id).set_description(description).build()),
            Peer::PrefixList(id) => permission
                .prefix_list_ids(PrefixListId::builder().prefix_list_id(id).set_description(description).build()),
            Peer::Ipv6(block) => {
                permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(block).set_description(description).build())
            }
            Peer::Ipv4(block) => {
                permission.ip_ranges(IpRange::builder().cidr_ip(block).set_description(description).build())
            }
        }
        .build()
    }

    /// The atom as the new content of an existing rule of the group `own`.
    pub(super) fn request(&self, own: &str) -> SecurityGroupRuleRequest {
        let request = SecurityGroupRuleRequest::builder()
            .ip_protocol(wire_protocol(&self.protocol))
            .from_port(self.from_port)
            .to_port(self.to_port)
            .description(self.description.clone().unwrap_or_default());
        match Peer::of(&self.peer, own) {
            Peer::Group(id) => request.referenced_group_id(id),
            Peer::PrefixList(id) => request.prefix_list_id(id),
            Peer::Ipv6(block) => request.cidr_ipv6(block),
            Peer::Ipv4(block) => request.cidr_ipv4(block),
        }
        .build()
    }
}

/// The other side by its form.
enum Peer {
    Group(String),
    PrefixList(String),
    Ipv6(String),
    Ipv4(String),
}

impl Peer {
    fn of(peer: &Value, own: &str) -> Self {
        match peer.as_str().unwrap_or_default() {
            "self" => Self::Group(own.to_owned()),
            group if group.starts_with("sg-") => Self::Group(group.to_owned()),
            list if list.starts_with("pl-") => Self::PrefixList(list.to_owned()),
            block if block.contains(':') => Self::Ipv6(block.to_owned()),
            block => Self::Ipv4(block.to_owned()),
        }
    }
}

/// The atoms of declared rules; empty for anything that is not a list of them.
pub(super) fn declared(rules: &Value, direction: Direction) -> Vec<Atom> {
    let mut atoms: Vec<Atom> = Vec::new();
    for rule in rules.as_array().into_iter().flatten() {
        let peers = match &rule[direction.peer_field()] {
            Value::Array(peers) => peers.clone(),
            Value::Null => continue,
            one => vec![one.clone()],
        };
        for peer in peers {
            let atom = atom(rule, &peer);
            if !atoms.iter().any(|other| other.is_same(&atom)) {
                atoms.push(atom);
            }
        }
    }
    atoms
}

fn atom(rule: &Value, peer: &Value) -> Atom {
    let range = range(rule);
    let protocol = rule["protocol"].as_str().map_or_else(
        || if range.is_some() { "tcp".to_owned() } else { "all".to_owned() },
        |protocol| protocol_name(protocol).to_owned(),
    );
    let (from_port, to_port) = match (protocol.as_str(), range) {
        ("icmp" | "icmpv6", _) => (number(&rule["icmp_type"]), number(&rule["icmp_code"])),
        (_, Some(range)) => range,
        ("tcp" | "udp", None) => (0, 65_535),
        _ => (-1, -1),
    };
    let description = rule["description"].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    Atom { protocol, from_port, to_port, peer: canonical_peer(peer), description }
}

/// The ports of a declared rule, by whichever of its two fields; `None` for none and for a text
/// that is no range, which `check` reports.
fn range(rule: &Value) -> Option<(i32, i32)> {
    if let Some(port) = rule["port"].as_i64() {
        let port = i32::try_from(port).ok()?;
        return Some((port, port));
    }
    ports(rule["ports"].as_str()?)
}

/// A type or code of ICMP; -1 for all.
fn number(value: &Value) -> i32 {
    value.as_i64().and_then(|number| i32::try_from(number).ok()).unwrap_or(-1)
}

fn is_icmp(protocol: &str) -> bool {
    matches!(protocol, "icmp" | "icmpv6")
}

/// Reads `5432` or `5431-5455`.
pub(super) fn ports(text: &str) -> Option<(i32, i32)> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    ((0..=65_535).contains(&from) && (from..=65_535).contains(&to)).then_some((from, to))
}

/// One name for each protocol.
fn protocol_name(protocol: &str) -> &str {
    match protocol {
        "-1" | "all" => "all",
        "1" => "icmp",
        "6" => "tcp",
        "17" => "udp",
        "58" => "icmpv6",
        other => other,
    }
}

fn wire_protocol(protocol: &str) -> &str {
    if protocol == "all" { "-1" } else { protocol }
}

/// EC2 clears the host bits of a CIDR block and shortens IPv6 addresses.
fn canonical_peer(peer: &Value) -> Value {
    let block = peer.as_str().and_then(|text| text.parse::<ipnet::IpNet>().ok());
    block.map_or_else(|| peer.clone(), |block| json!(block.trunc().to_string()))
}

/// Whether a text can be another side: `self`, an id, or a CIDR block.
pub(super) fn is_peer(text: &str) -> bool {
    text == "self"
        || text.starts_with("sg-")
        || text.starts_with("pl-")
        || text.is_empty()
        || text.parse::<ipnet::IpNet>().is_ok()
}

/// The atoms of the permissions in DescribeSecurityGroups.
pub(super) fn permitted(permissions: &[IpPermission], own: &str) -> Vec<Atom> {
    let mut atoms = Vec::new();
    for permission in permissions {
        let mut push = |peer: Option<&str>, description: Option<&str>| {
            atoms.push(live(
                permission.ip_protocol(),
                permission.from_port,
                permission.to_port,
                peer,
                description,
                own,
            ));
        };
        for range in permission.ip_ranges() {
            push(range.cidr_ip(), range.description());
        }
        for range in permission.ipv6_ranges() {
            push(range.cidr_ipv6(), range.description());
        }
        for list in permission.prefix_list_ids() {
            push(list.prefix_list_id(), list.description());
        }
        for group in permission.user_id_group_pairs() {
            push(group.group_id(), group.description());
        }
    }
    atoms
}

/// The atom of one rule in DescribeSecurityGroupRules.
pub(super) fn of_rule(rule: &SecurityGroupRule, own: &str) -> Atom {
    let peer = rule
        .cidr_ipv4()
        .or(rule.cidr_ipv6())
        .or(rule.prefix_list_id())
        .or(rule.referenced_group_info().and_then(|group| group.group_id()));
    live(rule.ip_protocol(), rule.from_port, rule.to_port, peer, rule.description(), own)
}

fn live(
    protocol: Option<&str>,
    from_port: Option<i32>,
    to_port: Option<i32>,
    peer: Option<&str>,
    description: Option<&str>,
    own: &str,
) -> Atom {
    let peer = peer.unwrap_or_default();
    let protocol = protocol_name(protocol.unwrap_or("-1")).to_owned();
    // For all protocols EC2 gives the ports as -1 or not at all.
    let (from_port, to_port) =
        if protocol == "all" { (-1, -1) } else { (from_port.unwrap_or(-1), to_port.unwrap_or(-1)) };
    Atom {
        protocol,
        from_port,
        to_port,
        peer: if peer == own { json!("self") } else { canonical_peer(&json!(peer)) },
        description: description.filter(|text| !text.is_empty()).map(str::to_owned),
    }
}

/// Atoms as a list of declared rules in the one order in which they are compared.
pub(super) fn written(atoms: &[Atom], direction: Direction) -> Value {
    let mut rules: Vec<Value> = atoms.iter().map(|atom| atom.to_value(direction)).collect();
    rules.sort_by_cached_key(Value::to_string);
    Value::Array(rules)
}

/// What brings the live rules to the wanted ones.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Changes {
    /// Rules to add.
    pub(super) add: Vec<Atom>,
    /// Rules whose description changes, with their ids.
    pub(super) describe: Vec<(String, Atom)>,
    /// Ids of rules that are too much.
    pub(super) remove: Vec<String>,
}

/// Compares the wanted rules with the live ones, each with its id.
pub(super) fn changes(wanted: &[Atom], live: &[(String, Atom)]) -> Changes {
    let mut changes = Changes::default();
    for atom in wanted {
        match live.iter().find(|(_, own)| own.is_same(atom)) {
            None => changes.add.push(atom.clone()),
            Some((id, own)) if own.description != atom.description => {
                changes.describe.push((id.clone(), atom.clone()));
            }
            Some(_) => {}
        }
    }
    let too_much = live.iter().filter(|(_, own)| !wanted.iter().any(|atom| atom.is_same(own)));
    changes.remove = too_much.map(|(id, _)| id.clone()).collect();
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rules: &Value) -> Vec<Atom> {
        declared(rules, Direction::Ingress)
    }

    #[test]
    fn a_rule_with_several_sources_is_several_rules_and_blocks_lose_their_host_bits() {
        let rules = json!([{ "port": 5432, "from": ["self", "10.1.2.3/16", "10.1.0.0/16", "2001:DB8::1/32"] }]);
        let written = written(&read(&rules), Direction::Ingress);
        assert_eq!(
            written,
            json!([
                { "protocol": "tcp", "ports": "5432", "from": "10.1.0.0/16" },
                { "protocol": "tcp", "ports": "5432", "from": "2001:db8::/32" },
                { "protocol": "tcp", "ports": "5432", "from": "self" },
            ])
        );
    }

    #[test]
    fn protocols_have_one_name_and_all_of_them_has_no_ports() {
        let rules = json!([
            { "protocol": "6", "ports": "5431-5455", "from": "self" },
            { "protocol": "-1", "from": "self" },
            { "protocol": "tcp", "from": "self" },
            { "protocol": "icmp", "from": "self" },
        ]);
        let ports: Vec<_> =
            read(&rules).iter().map(|atom| (atom.protocol.clone(), atom.from_port, atom.to_port)).collect();
        assert_eq!(
            ports,
            [
                ("tcp".to_owned(), 5431, 5455),
                ("all".to_owned(), -1, -1),
                ("tcp".to_owned(), 0, 65_535),
                ("icmp".to_owned(), -1, -1)
            ]
        );
    }

    #[test]
    fn what_ec2_answers_reads_as_what_was_declared() {
        let rules = json!([
            { "protocol": "icmp", "icmp_type": 8, "from": "10.0.0.0/8" },
            { "protocol": "icmp", "icmp_type": 3, "icmp_code": 4, "from": "10.0.0.0/8" },
            { "port": 5432, "from": ["self", "sg-2", "pl-3"], "description": "database" },
            { "protocol": "all", "from": "0.0.0.0/0" },
            { "protocol": "icmp", "from": "::/0" },
        ]);
        let wanted = read(&rules);
        let permissions: Vec<IpPermission> = wanted.iter().map(|atom| atom.permission("sg-1")).collect();
        assert_eq!(permitted(&permissions, "sg-1"), wanted);
    }

    #[test]
    fn only_what_differs_changes_and_a_description_changes_in_place() {
        let wanted = read(&json!([{ "port": 1, "from": "self", "description": "new" }, { "port": 2, "from": "self" }]));
        let live = read(&json!([
            { "port": 1, "from": "self", "description": "old" }, { "port": 3, "from": "self" }]));
        let live = vec![("sgr-1".to_owned(), live[0].clone()), ("sgr-3".to_owned(), live[1].clone())];
        let changes = changes(&wanted, &live);
        assert_eq!(changes.add, wanted[1..]);
        assert_eq!(changes.describe, [("sgr-1".to_owned(), wanted[0].clone())]);
        assert_eq!(changes.remove, ["sgr-3"]);
    }

    #[test]
    fn a_reference_stays_a_reference() {
        let marker = json!({ "$ref": { "resource": "other", "attribute": "id" } });
        assert_eq!(read(&json!([{ "port": 1, "from": marker }]))[0].peer, marker);
    }

    #[test]
    fn ranges_of_ports_ascend() {
        assert_eq!(ports("5431-5455"), Some((5431, 5455)));
        assert_eq!(ports("5432"), Some((5432, 5432)));
        assert_eq!(ports("9-1"), None);
        assert_eq!(ports("http"), None);
    }
}
