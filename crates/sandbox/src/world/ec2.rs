//! State of EC2's networking.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Tags;
use crate::arn::{Place, ec2_id};
use crate::clock::Timestamp;

/// What EC2 holds, everything by id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ec2 {
    /// VPCs.
    pub(crate) vpcs: BTreeMap<String, Vpc>,
    /// Subnets.
    pub(crate) subnets: BTreeMap<String, Subnet>,
    /// Security groups.
    pub(crate) security_groups: BTreeMap<String, SecurityGroup>,
    /// Rules of all security groups.
    pub(crate) rules: BTreeMap<String, Rule>,
    /// Network interfaces; services add theirs.
    pub(crate) network_interfaces: BTreeMap<String, NetworkInterface>,
    /// Route tables: the main one of each VPC.
    pub(crate) route_tables: BTreeMap<String, RouteTable>,
    /// VPC endpoints.
    pub(crate) vpc_endpoints: BTreeMap<String, VpcEndpoint>,
}

/// A VPC.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Vpc {
    /// `vpc-…`
    pub(crate) id: String,
    /// Its IPv4 block.
    pub(crate) cidr: String,
    /// Whether it is the region's default VPC.
    pub(crate) is_default: bool,
    /// `EnableDnsHostnames`.
    pub(crate) dns_hostnames: bool,
    /// `EnableDnsSupport`.
    pub(crate) dns_support: bool,
    /// Tags.
    pub(crate) tags: Tags,
}

/// A subnet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Subnet {
    /// `subnet-…`
    pub(crate) id: String,
    /// Its VPC.
    pub(crate) vpc_id: String,
    /// Its IPv4 block.
    pub(crate) cidr: String,
    /// The name of its availability zone, for example `eu-north-1a`.
    pub(crate) zone: String,
    /// Whether it is the default subnet of its zone.
    pub(crate) default_for_zone: bool,
    /// `MapPublicIpOnLaunch`.
    pub(crate) public_addresses: bool,
    /// Tags.
    pub(crate) tags: Tags,
}

/// A security group; its rules are in [`Ec2::rules`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SecurityGroup {
    /// `sg-…`
    pub(crate) id: String,
    /// Its VPC.
    pub(crate) vpc_id: String,
    /// Its name, unique in the VPC without regard to case.
    pub(crate) name: String,
    /// Its description.
    pub(crate) description: String,
    /// Tags.
    pub(crate) tags: Tags,
}

/// Which way a rule lets traffic through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Direction {
    /// Into the group.
    Ingress,
    /// Out of the group.
    Egress,
}

/// One rule of a security group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rule {
    /// `sgr-…`
    pub(crate) id: String,
    /// Its group.
    pub(crate) group_id: String,
    /// Its direction.
    pub(crate) direction: Direction,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, a number, or `-1` for all.
    pub(crate) protocol: String,
    /// First port, or ICMP type; -1 for all.
    pub(crate) from_port: i64,
    /// Last port, or ICMP code; -1 for all.
    pub(crate) to_port: i64,
    /// The other side.
    pub(crate) peer: Peer,
    /// Its description.
    pub(crate) description: Option<String>,
    /// Tags.
    pub(crate) tags: Tags,
}

/// The other side of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Peer {
    /// An IPv4 block.
    Ipv4(String),
    /// An IPv6 block.
    Ipv6(String),
    /// A prefix list.
    PrefixList(String),
    /// Another security group, or the same.
    Group(String),
}

/// A network interface.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NetworkInterface {
    /// `eni-…`
    pub(crate) id: String,
    /// Its subnet.
    pub(crate) subnet_id: String,
    /// Its VPC.
    pub(crate) vpc_id: String,
    /// What it is for; DMS writes `DMSNetworkInterface`.
    pub(crate) description: String,
    /// Its security groups.
    pub(crate) groups: Vec<String>,
    /// Its address.
    pub(crate) private_address: String,
    /// The service that made it, for example `dms`; empty for one a user made.
    pub(crate) requester: String,
    /// Its attachment (`eni-attach-…`), when attached.
    pub(crate) attachment: Option<String>,
    /// When its attachment ends by itself.
    #[serde(default)]
    pub(crate) detached_at: Option<Timestamp>,
    /// When it disappears by itself.
    pub(crate) gone_at: Option<Timestamp>,
    /// Tags.
    pub(crate) tags: Tags,
}

impl NetworkInterface {
    /// Its attachment, while it has one.
    pub(crate) fn attachment(&self, now: Timestamp) -> Option<&str> {
        self.attachment.as_deref().filter(|_| self.detached_at.is_none_or(|detached| detached > now))
    }
}

/// A route table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RouteTable {
    /// `rtb-…`
    pub(crate) id: String,
    /// Its VPC.
    pub(crate) vpc_id: String,
    /// The internet gateway of its default route, if it has one.
    pub(crate) internet_gateway: Option<String>,
    /// Tags.
    pub(crate) tags: Tags,
}

/// A VPC endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct VpcEndpoint {
    /// `vpce-…`
    pub(crate) id: String,
    /// Its VPC.
    pub(crate) vpc_id: String,
    /// For example `com.amazonaws.eu-north-1.s3`.
    pub(crate) service_name: String,
    /// `Gateway` or `Interface`.
    pub(crate) kind: String,
    /// Route tables of a gateway.
    pub(crate) route_tables: Vec<String>,
    /// Subnets of an interface.
    pub(crate) subnets: Vec<String>,
    /// Security groups of an interface.
    pub(crate) groups: Vec<String>,
    /// `PrivateDnsEnabled`.
    pub(crate) private_dns: bool,
    /// Its policy document.
    pub(crate) policy: Option<String>,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When it leaves `pending`.
    pub(crate) ready_at: Timestamp,
    /// Whether it leaves `pending` for `failed`.
    pub(crate) failed: bool,
    /// When it is gone; set by deleting it.
    pub(crate) gone_at: Option<Timestamp>,
    /// Tags.
    pub(crate) tags: Tags,
}

impl Ec2 {
    /// The networking of a fresh account: one default VPC with a subnet in each of three zones.
    pub(crate) fn fresh(place: &Place) -> Self {
        let mut ec2 = Self {
            vpcs: BTreeMap::new(),
            subnets: BTreeMap::new(),
            security_groups: BTreeMap::new(),
            rules: BTreeMap::new(),
            network_interfaces: BTreeMap::new(),
            route_tables: BTreeMap::new(),
            vpc_endpoints: BTreeMap::new(),
        };
        let vpc_id = ec2.add_vpc("172.31.0.0/16", true, Tags::new());
        for table in ec2.route_tables.values_mut() {
            table.internet_gateway = Some(ec2_id("igw"));
        }
        for (index, zone) in zones(&place.region).into_iter().enumerate() {
            let id = ec2_id("subnet");
            let subnet = Subnet {
                id: id.clone(),
                vpc_id: vpc_id.clone(),
                cidr: format!("172.31.{}.0/20", index * 16),
                zone,
                default_for_zone: true,
                public_addresses: true,
                tags: Tags::new(),
            };
            ec2.subnets.insert(id, subnet);
        }
        ec2
    }

    /// Makes a VPC with what AWS puts into each: a default security group and a main route table.
    pub(crate) fn add_vpc(&mut self, cidr: &str, is_default: bool, tags: Tags) -> String {
        let id = ec2_id("vpc");
        let vpc = Vpc {
            id: id.clone(),
            cidr: cidr.to_owned(),
            is_default,
            dns_hostnames: is_default,
            dns_support: true,
            tags,
        };
        self.vpcs.insert(id.clone(), vpc);
        let table = RouteTable { id: ec2_id("rtb"), vpc_id: id.clone(), internet_gateway: None, tags: Tags::new() };
        self.route_tables.insert(table.id.clone(), table);
        let group = self.add_security_group(&id, "default", "default VPC security group", Tags::new());
        self.add_rule(&group, Direction::Ingress, Peer::Group(group.clone()));
        id
    }

    /// Makes a security group with the egress rule that AWS gives to every new one.
    pub(crate) fn add_security_group(&mut self, vpc_id: &str, name: &str, description: &str, tags: Tags) -> String {
        let id = ec2_id("sg");
        let group = SecurityGroup {
            id: id.clone(),
            vpc_id: vpc_id.to_owned(),
            name: name.to_owned(),
            description: description.to_owned(),
            tags,
        };
        self.security_groups.insert(id.clone(), group);
        self.add_rule(&id, Direction::Egress, Peer::Ipv4("0.0.0.0/0".to_owned()));
        id
    }

    /// A rule for all traffic.
    fn add_rule(&mut self, group_id: &str, direction: Direction, peer: Peer) {
        let rule = Rule {
            id: ec2_id("sgr"),
            group_id: group_id.to_owned(),
            direction,
            protocol: "-1".to_owned(),
            from_port: -1,
            to_port: -1,
            peer,
            description: None,
            tags: Tags::new(),
        };
        self.rules.insert(rule.id.clone(), rule);
    }

    /// The default VPC's id, if it still exists.
    pub(crate) fn default_vpc(&self) -> Option<&str> {
        self.vpcs.values().find(|vpc| vpc.is_default).map(|vpc| vpc.id.as_str())
    }

    /// The security group that bears the name `default` in a VPC.
    pub(crate) fn default_group(&self, vpc_id: &str) -> Option<&str> {
        let mut groups = self.security_groups.values();
        groups.find(|group| group.vpc_id == vpc_id && group.name == "default").map(|group| group.id.as_str())
    }

    /// Makes an interface of a service in a subnet, attached, and gives its id.
    pub(crate) fn add_service_interface(
        &mut self,
        subnet: &Subnet,
        groups: &[String],
        description: &str,
        requester: &str,
    ) -> String {
        let id = ec2_id("eni");
        let network = subnet.cidr.rsplit_once('.').map_or("172.31.0", |(network, _)| network);
        let used = self.network_interfaces.values().filter(|other| other.subnet_id == subnet.id).count();
        let interface = NetworkInterface {
            id: id.clone(),
            subnet_id: subnet.id.clone(),
            vpc_id: subnet.vpc_id.clone(),
            description: description.to_owned(),
            groups: groups.to_vec(),
            private_address: format!("{network}.{}", 10 + used % 240),
            requester: requester.to_owned(),
            attachment: Some(ec2_id("eni-attach")),
            detached_at: None,
            gone_at: None,
            tags: Tags::new(),
        };
        self.network_interfaces.insert(id.clone(), interface);
        id
    }

    /// Every object that bears tags, by ARN.
    pub(crate) fn tagged(&self, place: &Place) -> Vec<(String, Tags)> {
        let tables: [(&str, Vec<(&String, &Tags)>); 7] = [
            ("vpc", self.vpcs.values().map(|object| (&object.id, &object.tags)).collect()),
            ("subnet", self.subnets.values().map(|object| (&object.id, &object.tags)).collect()),
            ("security-group", self.security_groups.values().map(|object| (&object.id, &object.tags)).collect()),
            ("security-group-rule", self.rules.values().map(|object| (&object.id, &object.tags)).collect()),
            ("network-interface", self.network_interfaces.values().map(|object| (&object.id, &object.tags)).collect()),
            ("route-table", self.route_tables.values().map(|object| (&object.id, &object.tags)).collect()),
            ("vpc-endpoint", self.vpc_endpoints.values().map(|object| (&object.id, &object.tags)).collect()),
        ];
        let arn = |kind: &str, id: &str| place.arn("ec2", &format!("{kind}/{id}"));
        tables
            .into_iter()
            .flat_map(|(kind, objects)| objects.into_iter().map(move |(id, tags)| (arn(kind, id), tags.clone())))
            .collect()
    }

    /// The tags of whatever has this id.
    pub(crate) fn tags_mut(&mut self, id: &str) -> Option<&mut Tags> {
        match id.rsplit_once('-')?.0 {
            "vpc" => self.vpcs.get_mut(id).map(|object| &mut object.tags),
            "subnet" => self.subnets.get_mut(id).map(|object| &mut object.tags),
            "sg" => self.security_groups.get_mut(id).map(|object| &mut object.tags),
            "sgr" => self.rules.get_mut(id).map(|object| &mut object.tags),
            "eni" => self.network_interfaces.get_mut(id).map(|object| &mut object.tags),
            "rtb" => self.route_tables.get_mut(id).map(|object| &mut object.tags),
            "vpce" => self.vpc_endpoints.get_mut(id).map(|object| &mut object.tags),
            _ => None,
        }
    }
}

/// The three availability zones of a region.
pub(crate) fn zones(region: &str) -> [String; 3] {
    ["a", "b", "c"].map(|letter| format!("{region}{letter}"))
}
