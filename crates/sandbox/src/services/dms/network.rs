//! Whether security groups let a replication through: from an instance, or from the capacity of a serverless replication, to its
//! source and to a workgroup.
//!
//! "When you first create a security group, it has no inbound rules. Therefore, no inbound traffic is allowed until you add inbound
//! rules to the security group" (VPC user guide, "Security group rules"). What lies outside the account's networks, a source, is not
//! asked; what else stands in the way (routes, network ACLs, endpoints for S3) is not played.

use std::net::Ipv4Addr;

use serde_json::Value;

use crate::services::ec2::Block;
use crate::services::redshift_serverless::{network_of, texts};
use crate::world::World;
use crate::world::ec2::{Direction, Ec2, Peer};
use crate::world::redshift_serverless::Workgroup;

/// One side of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    vpc: String,
    groups: Vec<String>,
    addresses: Vec<Ipv4Addr>,
}

impl Side {
    fn of_interfaces<'a>(ec2: &Ec2, groups: &[String], interfaces: impl Iterator<Item = &'a String>) -> Self {
        let mut side = Self { groups: groups.to_vec(), ..Self::default() };
        for interface in interfaces.filter_map(|id| ec2.network_interfaces.get(id)) {
            side.vpc.clone_from(&interface.vpc_id);
            side.addresses.extend(interface.private_address.parse::<Ipv4Addr>());
        }
        side
    }

    /// The replication instance with an ARN.
    pub(super) fn of_instance(world: &World, arn: &str) -> Self {
        let found = world.dms.instances.values().find(|instance| instance.arn == arn);
        found.map_or_else(Self::default, |own| {
            Self::of_interfaces(&world.ec2, &own.security_groups, own.interface.iter())
        })
    }

    /// The capacity of the serverless replication with an ARN; `None` where it is a task that has the ARN. It has no interface
    /// before it is provisioned: any address of its subnets may be its own.
    pub(super) fn of_replication(world: &World, arn: &str) -> Option<Self> {
        let own = world.dms.replications.values().find(|own| own.work.arn == arn)?;
        let group = world.dms.subnet_groups.get(&own.subnet_group)?;
        let first = |cidr: &str| cidr.split('/').next()?.parse::<Ipv4Addr>().ok();
        let subnets = group.subnets.iter().filter_map(|id| world.ec2.subnets.get(id));
        Some(Self {
            vpc: group.vpc.clone(),
            groups: texts(&own.compute, "VpcSecurityGroupIds"),
            addresses: subnets.filter_map(|subnet| first(&subnet.cidr)).collect(),
        })
    }

    fn of_workgroup(world: &World, workgroup: &Workgroup) -> Self {
        let groups = texts(&workgroup.body, "securityGroupIds");
        let side = Self::of_interfaces(&world.ec2, &groups, workgroup.interfaces.iter());
        Self { vpc: network_of(&world.ec2, workgroup), ..side }
    }

    /// Whether a rule of this side's groups lets TCP on `port` through to or from `other`; to or from anybody where it is `None`.
    fn lets(&self, ec2: &Ec2, direction: Direction, port: i64, other: Option<&Self>) -> bool {
        let mine =
            ec2.rules.values().filter(|rule| rule.direction == direction && self.groups.contains(&rule.group_id));
        let mut fitting = mine.filter(|rule| match rule.protocol.as_str() {
            "-1" => true,
            "tcp" | "6" => (rule.from_port..=rule.to_port).contains(&port),
            _ => false,
        });
        let Some(other) = other else { return fitting.next().is_some() };
        fitting.any(|rule| match &rule.peer {
            Peer::Group(group) => other.groups.contains(group),
            Peer::Ipv4(block) => {
                Block::read(block).is_some_and(|block| other.addresses.iter().any(|address| block.holds(*address)))
            }
            Peer::Ipv6(_) | Peer::PrefixList(_) => false,
        })
    }

    /// Whether anything on `port` may leave at all.
    pub(super) fn may_leave(&self, ec2: &Ec2, port: u16) -> bool {
        self.lets(ec2, Direction::Egress, i64::from(port), None)
    }

    /// Whether a workgroup can be reached. From another VPC it is only as a public one, whose groups are then asked for nothing:
    /// which address of this side they would see is not known here.
    pub(super) fn reaches(&self, world: &World, workgroup: &Workgroup) -> bool {
        let (ec2, port) = (&world.ec2, workgroup.port());
        let there = Self::of_workgroup(world, workgroup);
        if self.vpc != there.vpc {
            return workgroup.body.get("publiclyAccessible") == Some(&Value::Bool(true));
        }
        self.lets(ec2, Direction::Egress, port, Some(&there)) && there.lets(ec2, Direction::Ingress, port, Some(self))
    }
}
