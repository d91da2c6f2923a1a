//! Network interfaces. Services make theirs through [`crate::world::ec2::Ec2::add_service_interface`].

use serde_json::{Value, json};

use super::filters::Filters;
use super::{done, dry_run, listed, tag_set};
use crate::call::{ApiError, Call};
use crate::clock::Timestamp;
use crate::world::ec2::NetworkInterface;

/// The interfaces that are not gone yet.
pub(super) fn present<'a>(call: &'a Call<'_>) -> impl Iterator<Item = &'a NetworkInterface> {
    let now = call.clock.now();
    call.world.ec2.network_interfaces.values().filter(move |interface| interface.gone_at.is_none_or(|gone| gone > now))
}

pub(super) fn describe(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let known = [
        "addresses.private-ip-address",
        "attachment.attachment-id",
        "attachment.instance-owner-id",
        "attachment.status",
        "availability-zone",
        "description",
        "group-id",
        "group-name",
        "interface-type",
        "network-interface-id",
        "owner-id",
        "private-ip-address",
        "requester-id",
        "requester-managed",
        "status",
        "subnet-id",
        "vpc-id",
    ];
    let filters = Filters::read(call.input, &known)?;
    let now = call.clock.now();
    let ids = call.input.texts("NetworkInterfaceId")?;
    if let Some(id) = ids.iter().find(|id| !present(call).any(|interface| interface.id == **id)) {
        return Err(no_interface(id));
    }
    let field = |interface: &NetworkInterface, name: &str| match name {
        "attachment.attachment-id" => interface.attachment(now).map(str::to_owned).into_iter().collect(),
        "addresses.private-ip-address" | "private-ip-address" => vec![interface.private_address.clone()],
        "attachment.instance-owner-id" => {
            interface.attachment(now).map(|_| "amazon-aws".to_owned()).into_iter().collect()
        }
        "attachment.status" => interface.attachment(now).map(|_| "attached".to_owned()).into_iter().collect(),
        "availability-zone" => {
            call.world.ec2.subnets.get(&interface.subnet_id).map(|subnet| subnet.zone.clone()).into_iter().collect()
        }
        "description" => vec![interface.description.clone()],
        "group-id" => interface.groups.clone(),
        "group-name" => {
            let groups = interface.groups.iter().filter_map(|id| call.world.ec2.security_groups.get(id));
            groups.map(|group| group.name.clone()).collect()
        }
        "interface-type" => vec!["interface".to_owned()],
        "network-interface-id" => vec![interface.id.clone()],
        "owner-id" => vec![call.place.account.clone()],
        "requester-id" => vec![interface.requester.clone()],
        "requester-managed" => vec![(!interface.requester.is_empty()).to_string()],
        "status" => vec![status(interface, now).to_owned()],
        "subnet-id" => vec![interface.subnet_id.clone()],
        _ => vec![interface.vpc_id.clone()],
    };
    let interfaces = present(call)
        .filter(|interface| ids.is_empty() || ids.contains(&interface.id.as_str()))
        .filter(|interface| filters.fit(&interface.tags, |name| field(interface, name)))
        .map(|interface| describe_interface(call, interface))
        .collect();
    listed(call.input, "networkInterfaceSet", interfaces)
}

fn describe_interface(call: &Call<'_>, interface: &NetworkInterface) -> Value {
    let groups: Vec<_> = interface
        .groups
        .iter()
        .map(|id| {
            let name = call.world.ec2.security_groups.get(id).map(|group| group.name.as_str());
            json!({"groupId": id, "groupName": name})
        })
        .collect();
    let now = call.clock.now();
    let attachment = interface.attachment(now).map(|id| {
        json!({"attachmentId": id, "status": "attached", "deviceIndex": 1, "deleteOnTermination": false, "instanceOwnerId": "amazon-aws"})
    });
    json!({
        "networkInterfaceId": interface.id,
        "subnetId": interface.subnet_id,
        "vpcId": interface.vpc_id,
        "availabilityZone": call.world.ec2.subnets.get(&interface.subnet_id).map(|subnet| subnet.zone.as_str()),
        "description": interface.description,
        "ownerId": call.place.account,
        "requesterId": interface.requester,
        "requesterManaged": !interface.requester.is_empty(),
        "interfaceType": "interface",
        "status": status(interface, now),
        "privateIpAddress": interface.private_address,
        "sourceDestCheck": true,
        "groupSet": groups,
        "attachment": attachment,
        "tagSet": tag_set(&interface.tags),
    })
}

fn status(interface: &NetworkInterface, now: Timestamp) -> &'static str {
    if interface.attachment(now).is_some() { "in-use" } else { "available" }
}

pub(super) fn detach(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let attachment = call.input.required("AttachmentId")?;
    dry_run(call.input)?;
    let now = call.clock.now();
    let found = present(call).find(|interface| interface.attachment(now) == Some(attachment));
    let id = found.map(|interface| interface.id.clone()).ok_or_else(|| {
        ApiError::new("InvalidAttachmentID.NotFound", format!("The interface attachment '{attachment}' does not exist"))
    })?;
    if let Some(interface) = call.world.ec2.network_interfaces.get_mut(&id) {
        interface.attachment = None;
    }
    Ok(done())
}

pub(super) fn delete(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let id = call.input.required("NetworkInterfaceId")?;
    dry_run(call.input)?;
    let interface = present(call).find(|interface| interface.id == id).ok_or_else(|| no_interface(id))?;
    if interface.attachment(call.clock.now()).is_some() {
        let message = format!("Network interface '{id}' is currently in use.");
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    call.world.ec2.network_interfaces.remove(id);
    Ok(done())
}

fn no_interface(id: &str) -> ApiError {
    ApiError::new("InvalidNetworkInterfaceID.NotFound", format!("The networkInterface ID '{id}' does not exist"))
}
