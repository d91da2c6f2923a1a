//! Whether a workgroup fits into its subnets, asked before it is made: zones, and free addresses.
//!
//! Source: Redshift management guide, "Considerations when using Amazon Redshift Serverless": two
//! subnets in two availability zones with three free addresses each; with enhanced VPC routing three
//! subnets in three zones and addresses by base capacity. The service has the last word: subnets that
//! this plan makes first are not looked at.

use std::collections::BTreeSet;

use towpath_engine::fault::Fault;
use towpath_engine::value::Value;

use crate::cloud::{Cloud, Subnet};

/// Free addresses that each subnet needs without enhanced VPC routing.
const FREE: i32 = 3;

/// With it, by the largest base capacity in RPU that the number is enough for.
const FREE_ROUTED: [(i64, i32); 5] = [(32, 13), (64, 21), (128, 37), (256, 69), (512, 133)];

/// The base capacity of a workgroup that declares none.
const UNDECLARED_RPU: i64 = 128;

/// What Redshift would refuse about the subnets of a spec whose references may still be markers.
pub(super) async fn preflight(cloud: &Cloud, spec: &Value) -> Result<Vec<String>, Fault> {
    let ids: Vec<String> = match spec.get("subnets").and_then(Value::as_array) {
        Some(ids) => match ids.iter().map(|id| id.as_str().map(str::to_owned)).collect() {
            Some(ids) => ids,
            None => return Ok(Vec::new()),
        },
        None => cloud.default_subnets().await?,
    };
    let known = cloud.subnets().await?;
    let chosen: Vec<&Subnet> = known.iter().filter(|subnet| ids.contains(&subnet.id)).collect();
    let absent = ids.iter().filter(|id| !known.iter().any(|subnet| subnet.id == **id));
    let mut found: Vec<String> = absent.map(|id| format!("the subnet `{id}` does not exist")).collect();
    if found.is_empty() {
        let routed = spec["enhanced_vpc_routing"] == Value::Bool(true);
        found = unfit(&chosen, routed, spec["base_rpu"].as_i64().unwrap_or(UNDECLARED_RPU));
    }
    Ok(found)
}

fn unfit(subnets: &[&Subnet], routed: bool, base: i64) -> Vec<String> {
    let mut found = Vec::new();
    let zones: BTreeSet<&str> = subnets.iter().map(|subnet| subnet.zone.as_str()).collect();
    let needed = if routed { 3 } else { 2 };
    if zones.len() < needed {
        let named: Vec<&str> = zones.into_iter().collect();
        let why = if routed { " with enhanced VPC routing" } else { "" };
        found.push(format!(
            "a workgroup{why} needs subnets in {needed} availability zones; these are in {}",
            if named.is_empty() { "none".to_owned() } else { named.join(", ") }
        ));
    }
    let vpcs: BTreeSet<&str> = subnets.iter().map(|subnet| subnet.vpc.as_str()).collect();
    if vpcs.len() > 1 {
        found.push("the subnets of a workgroup lie in one VPC".to_owned());
    }
    let last = FREE_ROUTED[FREE_ROUTED.len() - 1].1;
    let routed_free = FREE_ROUTED.iter().find(|(rpu, _)| base <= *rpu).map_or(last, |(_, free)| *free);
    let free = if routed { routed_free } else { FREE };
    found.extend(subnets.iter().filter(|subnet| subnet.free < free).map(|subnet| {
        format!("the subnet `{}` has {} free addresses; the workgroup needs {free}", subnet.id, subnet.free)
    }));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(zone: &str, free: i32) -> Subnet {
        Subnet {
            id: format!("subnet-{zone}"),
            vpc: "vpc-1".into(),
            zone: zone.into(),
            is_default: true,
            free,
            tags: towpath_engine::kind::Tags::new(),
        }
    }

    #[test]
    fn zones_and_addresses_follow_the_rule_of_the_guide() {
        let all = [subnet("a", 20), subnet("b", 20), subnet("c", 12), subnet("d", 2)];
        let of = |places: &[usize]| places.iter().map(|place| &all[*place]).collect::<Vec<_>>();
        assert!(unfit(&of(&[0, 1]), false, 8).is_empty());
        assert_eq!(unfit(&of(&[0]), false, 8).len(), 1, "one zone");
        assert_eq!(unfit(&of(&[0, 1]), true, 8).len(), 1, "two zones with routing");
        assert_eq!(unfit(&of(&[0, 1, 2]), true, 8).len(), 1, "12 addresses with routing at 8 RPU");
        assert_eq!(unfit(&of(&[0, 1, 2]), true, 64).len(), 3, "20 addresses with routing at 64 RPU");
        assert_eq!(unfit(&of(&[0, 3]), false, 8).len(), 1, "2 addresses");
    }
}
