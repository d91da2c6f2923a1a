//! Network interfaces that DMS leaves behind when a replication instance goes: they hold security
//! groups and subnets for about five minutes, and at times for ever. Nothing else is touched here.

use aws_sdk_ec2::types::{Filter, NetworkInterface, NetworkInterfaceStatus};
use towpath_engine::fault::{Fault, FaultClass};

use super::dms_common;
use crate::cloud::Cloud;
use crate::fault::fault;
use crate::sweep::DMS_INTERFACE;

/// Deletes the interfaces of instances that are no more, of those that a filter finds. One that is
/// still attached is detached, and goes with the next attempt.
pub(super) async fn clear(cloud: &Cloud, filter: &str, value: &str) -> Result<(), Fault> {
    let filter = Filter::builder().name(filter).values(value).build();
    let client = cloud.ec2().await;
    let found = client.describe_network_interfaces().filters(filter).into_paginator().items().send();
    let found = found.collect::<Result<Vec<_>, _>>().await.map_err(fault("ec2:DescribeNetworkInterfaces"))?;
    let of_dms = |one: &NetworkInterface| one.description().is_some_and(|text| text.starts_with(DMS_INTERFACE));
    let (free, attached): (Vec<_>, Vec<_>) = found
        .into_iter()
        .filter(of_dms)
        .partition(|interface| interface.status() == Some(&NetworkInterfaceStatus::Available));
    for interface in free {
        let call = client.delete_network_interface().set_network_interface_id(interface.network_interface_id);
        done(call.send().await.map(drop).map_err(fault("ec2:DeleteNetworkInterface")))?;
    }
    if attached.is_empty() {
        return Ok(());
    }
    let Some(addresses) = addresses(cloud).await? else { return Ok(()) };
    for interface in attached {
        let is_used = interface.private_ip_address().is_none_or(|address| addresses.iter().any(|used| used == address));
        let attachment = interface.attachment().and_then(|attachment| attachment.attachment_id());
        if let (false, Some(attachment)) = (is_used, attachment) {
            let call = client.detach_network_interface().attachment_id(attachment);
            done(call.send().await.map(drop).map_err(fault("ec2:DetachNetworkInterface")))?;
        }
    }
    Ok(())
}

/// What another hand has done first is done, and what EC2 does not allow yet is asked for again.
fn done(result: Result<(), Fault>) -> Result<(), Fault> {
    match result {
        Err(fault) if !matches!(fault.class, FaultClass::NotFound | FaultClass::Busy | FaultClass::Invalid) => {
            Err(fault)
        }
        _ => Ok(()),
    }
}

/// The private addresses of all replication instances; `None` while one has none yet.
async fn addresses(cloud: &Cloud) -> Result<Option<Vec<String>>, Fault> {
    let pages = cloud.dms().await.describe_replication_instances().into_paginator().send();
    let pages = pages.collect::<Result<Vec<_>, _>>().await;
    let pages = dms_common::pages(pages, "dms:DescribeReplicationInstances")?;
    let mut found = Vec::new();
    for instance in pages.into_iter().flat_map(|page| page.replication_instances.unwrap_or_default()) {
        let own = instance.replication_instance_private_ip_addresses.unwrap_or_default();
        if own.is_empty() {
            return Ok(None);
        }
        found.extend(own);
    }
    Ok(Some(found))
}
