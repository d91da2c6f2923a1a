//! Networks and who may talk in them.

use serde_json::json;

use super::Sheet;
use crate::edit::{Edit, edit};

pub(super) fn vpc() -> Vec<Sheet> {
    vec![Sheet {
        kind: "ec2/vpc",
        world: json!({}),
        base: json!({ "cidr": "10.20.0.0/16" }),
        probe: None,
        edits: vec![
            edit("name", json!("one"), json!("two")),
            edit("cidr", json!("10.20.0.0/16"), json!("10.30.0.0/16")).needed(),
            edit("dns_hostnames", json!(false), json!(true)),
        ],
    }]
}

pub(super) fn vpc_endpoint() -> Vec<Sheet> {
    let net = json!({ "kind": "ec2/vpc", "cidr": "10.20.0.0/16", "dns_hostnames": true });
    let subnet = |number: usize, zone: &str| json!({ "kind": "ec2/subnet", "vpc": "net", "zone": zone, "cidr": format!("10.20.{number}.0/24") });
    let group = json!({ "kind": "ec2/security_group", "vpc": "net" });
    let policy = |action: &str| {
        json!({ "Version": "2012-10-17", "Statement":
            [{ "Effect": "Allow", "Principal": "*", "Action": action, "Resource": "*" }] })
    };
    let gateway = Sheet {
        kind: "ec2/vpc_endpoint",
        world: json!({ "net": net, "other_net": net }),
        base: json!({ "vpc": "net", "service": "s3" }),
        probe: None,
        edits: vec![
            edit("name", json!("one"), json!("two")),
            edit("vpc", json!("net"), json!("other_net")).needed(),
            edit("service", json!("s3"), json!("dynamodb")).needed(),
            edit("policy", policy("s3:GetObject"), policy("s3:*")),
            edit("route_tables", json!(["main"]), json!([])),
        ],
    };
    let interface = Sheet {
        kind: "ec2/vpc_endpoint",
        world: json!({
            "net": net, "a": subnet(1, "eu-north-1a"), "b": subnet(2, "eu-north-1b"), "guard": group, "watch": group,
        }),
        base: json!({ "vpc": "net", "service": "secretsmanager", "subnets": ["a"] }),
        probe: None,
        edits: vec![
            edit("subnets", json!(["a"]), json!(["a", "b"])),
            edit("security_groups", json!(["guard"]), json!(["guard", "watch"])),
            edit("private_dns", json!(false), json!(true)),
        ],
    };
    let either = Sheet {
        kind: "ec2/vpc_endpoint",
        world: json!({ "net": net }),
        base: json!({ "vpc": "net", "service": "s3" }),
        probe: None,
        edits: vec![edit("type", json!("gateway"), json!("interface"))],
    };
    vec![gateway, interface, either]
}

pub(super) fn subnet() -> Vec<Sheet> {
    let vpc = |cidr: &str| json!({ "kind": "ec2/vpc", "cidr": cidr });
    vec![Sheet {
        kind: "ec2/subnet",
        world: json!({ "net": vpc("10.20.0.0/16"), "other_net": vpc("10.20.0.0/16") }),
        base: json!({ "vpc": "net", "cidr": "10.20.1.0/24" }),
        probe: None,
        edits: vec![
            edit("name", json!("one"), json!("two")),
            edit("vpc", json!("net"), json!("other_net")).needed(),
            edit("cidr", json!("10.20.1.0/24"), json!("10.20.2.0/24")).needed(),
            edit("zone", json!("eu-north-1a"), json!("eu-north-1b")),
        ],
    }]
}

/// A rule for one type of ICMP that becomes one for one code of another.
fn icmp(direction: &'static str, peer: &str) -> Edit {
    let rule = json!({ "protocol": "icmp", "icmp_type": 8, peer: "10.0.0.0/8" });
    let narrow = json!({ "protocol": "icmp", "icmp_type": 3, "icmp_code": 4, peer: "10.0.0.0/8" });
    edit(direction, json!([rule]), json!([narrow]))
}

pub(super) fn security_group() -> Vec<Sheet> {
    let one = |rule: serde_json::Value| json!([rule]);
    let from = |port: i32| json!({ "port": port, "from": "10.0.0.0/8" });
    let to = |port: i32| json!({ "port": port, "to": "10.0.0.0/8" });
    vec![Sheet {
        kind: "ec2/security_group",
        world: json!({
            "net": { "kind": "ec2/vpc", "cidr": "10.20.0.0/16", "name": "club-net" },
            "other_net": { "kind": "ec2/vpc", "cidr": "10.20.0.0/16", "name": "club-other-net" },
            "friend": { "kind": "ec2/security_group" },
        }),
        base: json!({}),
        probe: Some((
            "ingress",
            json!([{ "port": 1, "from": "10.0.0.0/8" }]),
            json!([{ "port": 2, "from": "10.0.0.0/8" }]),
        )),
        edits: vec![
            edit("name", json!("one"), json!("two")),
            edit("vpc", json!("default"), json!("net")),
            edit("vpc", json!({ "tag": { "Name": "club-net" } }), json!({ "tag": { "Name": "club-other-net" } })),
            edit("description", json!("one"), json!("two")),
            edit("ingress", one(from(5432)), one(from(5439))),
            edit("ingress", json!([from(5432)]), json!([from(5432), from(5439)])),
            edit("ingress", json!([from(5432)]), json!([])),
            edit(
                "ingress",
                one(json!({ "ports": "5431-5455", "from": "10.0.0.0/8" })),
                one(json!({ "ports": "8191-8215", "from": "10.0.0.0/8" })),
            ),
            edit(
                "ingress",
                one(json!({ "port": 53, "protocol": "tcp", "from": "10.0.0.0/8" })),
                one(json!({ "port": 53, "protocol": "udp", "from": "10.0.0.0/8" })),
            ),
            edit("ingress", one(json!({ "port": 22, "from": "self" })), one(json!({ "port": 22, "from": "friend" }))),
            edit(
                "ingress",
                one(json!({ "port": 22, "from": ["self", "10.0.0.0/8"] })),
                one(json!({ "port": 22, "from": ["self", "fd00::/8"] })),
            ),
            edit(
                "ingress",
                one(json!({ "port": 22, "from": "self", "description": "one" })),
                one(json!({ "port": 22, "from": "self", "description": "two" })),
            ),
            icmp("ingress", "from"),
            icmp("egress", "to"),
            edit("egress", one(to(5432)), one(to(5439))),
            edit("egress", json!([{ "to": "0.0.0.0/0" }]), json!([])),
            edit(
                "egress",
                one(json!({ "ports": "5431-5455", "to": "10.0.0.0/8" })),
                one(json!({ "ports": "8191-8215", "to": "10.0.0.0/8" })),
            ),
            edit(
                "egress",
                one(json!({ "port": 53, "protocol": "tcp", "to": "10.0.0.0/8" })),
                one(json!({ "port": 53, "protocol": "udp", "to": "10.0.0.0/8" })),
            ),
            edit("egress", one(json!({ "port": 22, "to": "self" })), one(json!({ "port": 22, "to": "10.0.0.0/8" }))),
            edit(
                "egress",
                one(json!({ "port": 22, "to": "self", "description": "one" })),
                one(json!({ "port": 22, "to": "self", "description": "two" })),
            ),
        ],
    }]
}
