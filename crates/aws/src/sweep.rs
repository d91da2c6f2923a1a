//! What a destroyed stack may have left behind without the stack's tags: things that AWS made on
//! its behalf. They are told by the names of the objects they were made for, never by a prefix that
//! another stack's names may share. Deleting one is the user's decision; nothing here decides it.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{Filter, NetworkInterface, NetworkInterfaceStatus};
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::Price;

use crate::cloud::Cloud;
use crate::fault::fault;
use crate::kinds::dms_common::resource_identifier;

/// The description that DMS gives to the network interfaces of its instances, which bear no tags.
pub(crate) const DMS_INTERFACE: &str = "DMSNetworkInterface";

/// US dollars for a gigabyte-month of CloudWatch Logs. Source: us-east-1, as infracost quotes it.
const LOG_STORAGE: f64 = 0.03;

/// US dollars for a gigabyte-month of Redshift managed storage, in which snapshots lie.
const SNAPSHOT_STORAGE: f64 = 0.024;

/// The names under which AWS makes things on a stack's behalf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Replication instances of the stack, that stand or ever stood.
    pub instances: BTreeSet<String>,
    /// Serverless replications of the stack, likewise.
    pub replications: BTreeSet<String>,
    /// Namespaces of the stack, likewise.
    pub namespaces: BTreeSet<String>,
    /// Subnets that the stack's replication subnet groups are made of.
    pub subnets: BTreeSet<String>,
    /// Private addresses that the stack's replication instances had.
    pub addresses: BTreeSet<String>,
}

/// The sort of a leftover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// A network interface of a replication instance that is gone.
    NetworkInterface,
    /// A CloudWatch log group.
    LogGroup,
    /// The secret in which Redshift keeps an admin's password.
    AdminSecret,
    /// A snapshot of a namespace.
    Snapshot,
}

/// Something that is left.
#[derive(Clone, Debug, PartialEq)]
pub struct Leftover {
    /// What it is.
    pub sort: Sort,
    /// Its name or id, by which it is deleted.
    pub name: String,
    /// Where it comes from, in words.
    pub about: String,
    /// What it costs.
    pub price: Price,
    /// A command of the AWS CLI that deletes it.
    pub delete: String,
}

impl Sort {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::NetworkInterface => "network interface",
            Self::LogGroup => "log group",
            Self::AdminSecret => "secret",
            Self::Snapshot => "snapshot",
        }
    }
}

/// Everything that is left of objects with these names, by sort and name.
pub async fn leftovers(cloud: &Cloud, names: &Names) -> Result<Vec<Leftover>, Fault> {
    let (interfaces, logs, secrets, snapshots) = futures::try_join!(
        interfaces(cloud, names),
        log_groups(cloud, names),
        admin_secrets(cloud, &names.namespaces),
        snapshots(cloud, &names.namespaces),
    )?;
    let mut found = [interfaces, logs, secrets, snapshots].concat();
    found.sort_by(|left, right| (left.sort, &left.name).cmp(&(right.sort, &right.name)));
    Ok(found)
}

/// Deletes a leftover. One that is gone already is no fault.
pub async fn delete(cloud: &Cloud, leftover: &Leftover) -> Result<(), Fault> {
    let name = &leftover.name;
    let result = match leftover.sort {
        Sort::NetworkInterface => {
            let call = cloud.ec2().await.delete_network_interface().network_interface_id(name);
            call.send().await.map(drop).map_err(fault("ec2:DeleteNetworkInterface"))
        }
        Sort::LogGroup => {
            let call = cloud.cloudwatch_logs().await.delete_log_group().log_group_name(name);
            call.send().await.map(drop).map_err(fault("logs:DeleteLogGroup"))
        }
        Sort::AdminSecret => {
            let call = cloud.secretsmanager().await.delete_secret().secret_id(name);
            let call = call.force_delete_without_recovery(true);
            call.send().await.map(drop).map_err(fault("secretsmanager:DeleteSecret"))
        }
        Sort::Snapshot => {
            let call = cloud.redshift_serverless().await.delete_snapshot().snapshot_name(name);
            call.send().await.map(drop).map_err(fault("redshift-serverless:DeleteSnapshot"))
        }
    };
    match result {
        Err(fault) if fault.class == FaultClass::NotFound => Ok(()),
        other => other,
    }
}

/// The interfaces DMS has not taken away yet: those with the address of an instance of the stack, and in the stack's
/// subnets those that belong to no instance any more.
async fn interfaces(cloud: &Cloud, names: &Names) -> Result<Vec<Leftover>, Fault> {
    if names.subnets.is_empty() && names.addresses.is_empty() {
        return Ok(Vec::new());
    }
    let filter = Filter::builder().name("description").values(format!("{DMS_INTERFACE}*")).build();
    let call = cloud.ec2().await.describe_network_interfaces().filters(filter);
    let found = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    let found = found.map_err(fault("ec2:DescribeNetworkInterfaces"))?;
    let is_left = |interface: &NetworkInterface| {
        let within = interface.subnet_id().is_some_and(|subnet| names.subnets.contains(subnet));
        let own = interface.private_ip_address().is_some_and(|address| names.addresses.contains(address));
        within && (own || interface.status() == Some(&NetworkInterfaceStatus::Available))
    };
    Ok(found.iter().filter(|interface| is_left(interface)).map(interface).collect())
}

fn interface(interface: &NetworkInterface) -> Leftover {
    let id = interface.network_interface_id().unwrap_or_default();
    let status = match interface.status() {
        Some(NetworkInterfaceStatus::Available) => "detached",
        _ => "still attached",
    };
    let subnet = interface.subnet_id().unwrap_or_default();
    Leftover {
        sort: Sort::NetworkInterface,
        name: id.to_owned(),
        about: format!("{status} in {subnet}, left by DMS; it blocks its subnet and its security groups"),
        price: Price { monthly: Some(0.0), unknown: false, basis: "free".to_owned() },
        delete: format!("aws ec2 delete-network-interface --network-interface-id {id}"),
    }
}

/// `dms-tasks-<instance>`, which goes with its instance unless a task writes once more;
/// `dms-serverless-replication-<id>` and `/aws/redshift/<namespace>/<log>`, which stay. Source: DMS user guide, "Monitoring
/// AWS DMS tasks"; hashicorp/terraform-provider-aws#45376; Redshift management guide, "Audit logging for Amazon Redshift
/// Serverless".
async fn log_groups(cloud: &Cloud, names: &Names) -> Result<Vec<Leftover>, Fault> {
    let mut found = Vec::new();
    let replications = names.replications.iter().map(|name| resource_identifier(name)).collect();
    for (prefix, owners) in [
        ("dms-tasks-", &names.instances),
        ("dms-serverless-replication-", &replications),
        ("/aws/redshift/", &names.namespaces),
    ] {
        if owners.is_empty() {
            continue;
        }
        let call = cloud.cloudwatch_logs().await.describe_log_groups().log_group_name_prefix(prefix);
        let mut pages = call.into_paginator().items().send();
        while let Some(group) = pages.next().await {
            let group = group.map_err(fault("logs:DescribeLogGroups"))?;
            let name = group.log_group_name().unwrap_or_default();
            let rest = name.strip_prefix(prefix).unwrap_or_default();
            let owner = if prefix.starts_with('/') { rest.split('/').next().unwrap_or_default() } else { rest };
            if owners.contains(owner) {
                found.push(log_group(name, owner, group.stored_bytes().unwrap_or(0), group.retention_in_days()));
            }
        }
    }
    Ok(found)
}

fn log_group(name: &str, owner: &str, bytes: i64, retention: Option<i32>) -> Leftover {
    let kept = retention.map_or_else(|| "kept for ever".to_owned(), |days| format!("kept for {days} days"));
    Leftover {
        sort: Sort::LogGroup,
        name: name.to_owned(),
        about: format!("logs of `{owner}`, {}, {kept}", size(bytes as f64)),
        price: storage(bytes as f64, LOG_STORAGE),
        delete: format!("aws logs delete-log-group --log-group-name {name}"),
    }
}

async fn snapshots(cloud: &Cloud, namespaces: &BTreeSet<String>) -> Result<Vec<Leftover>, Fault> {
    let mut pages = cloud.redshift_serverless().await.list_snapshots().into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(snapshot) = pages.next().await {
        let snapshot = snapshot.map_err(fault("redshift-serverless:ListSnapshots"))?;
        let namespace = snapshot.namespace_name().unwrap_or_default();
        if !namespaces.contains(namespace) {
            continue;
        }
        let name = snapshot.snapshot_name().unwrap_or_default();
        let bytes = snapshot.total_backup_size_in_mega_bytes().unwrap_or(0.0) * 1_048_576.0;
        let kept = match snapshot.snapshot_retention_period() {
            Some(days) if days > 0 => format!("kept for {days} days"),
            _ => "kept for ever".to_owned(),
        };
        found.push(Leftover {
            sort: Sort::Snapshot,
            name: name.to_owned(),
            about: format!("the data of namespace `{namespace}`, {}, {kept}", size(bytes)),
            price: storage(bytes, SNAPSHOT_STORAGE),
            delete: format!("aws redshift-serverless delete-snapshot --snapshot-name {name}"),
        });
    }
    Ok(found)
}

/// Secrets that Redshift manages are named `redshift!<namespace>-<admin>`; an admin's name has no hyphen. One that is
/// scheduled for deletion costs nothing and goes by itself.
async fn admin_secrets(cloud: &Cloud, namespaces: &BTreeSet<String>) -> Result<Vec<Leftover>, Fault> {
    if namespaces.is_empty() {
        return Ok(Vec::new());
    }
    let mut pages = cloud.secretsmanager().await.list_secrets().into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(fault("secretsmanager:ListSecrets"))?;
        for secret in page.secret_list().iter().filter(|secret| secret.deleted_date().is_none()) {
            let name = secret.name().unwrap_or_default();
            let owner = name.strip_prefix("redshift!").and_then(|rest| rest.rsplit_once('-'));
            let Some((namespace, admin)) = owner.filter(|(namespace, _)| namespaces.contains(*namespace)) else {
                continue;
            };
            found.push(Leftover {
                sort: Sort::AdminSecret,
                name: name.to_owned(),
                about: format!("the password of `{admin}` in namespace `{namespace}`, which is gone"),
                price: Price { monthly: Some(0.40), unknown: false, basis: "one secret".to_owned() },
                delete: format!(
                    "aws secretsmanager delete-secret --secret-id '{name}' --force-delete-without-recovery"
                ),
            });
        }
    }
    Ok(found)
}

/// What so many bytes cost a month at a price per gigabyte.
fn storage(bytes: f64, price: f64) -> Price {
    Price {
        monthly: Some(bytes / 1_073_741_824.0 * price),
        unknown: false,
        basis: format!("${price} per GB and month"),
    }
}

/// `1.5 GB`, `12 KB`.
fn size(bytes: f64) -> String {
    const UNITS: [(&str, f64); 3] = [("GB", 1_073_741_824.0), ("MB", 1_048_576.0), ("KB", 1024.0)];
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit);
    unit.map_or_else(|| format!("{bytes:.0} bytes"), |(name, unit)| format!("{:.1} {name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_say_what_they_cost_a_month() {
        let group = log_group("dms-tasks-club", "club", 10 << 30, None);
        assert_eq!(group.about, "logs of `club`, 10.0 GB, kept for ever");
        assert_eq!(group.price.monthly, Some(0.3));
        assert!(group.delete.ends_with("--log-group-name dms-tasks-club"));
        assert_eq!((size(17.0), size(2048.0)), ("17 bytes".to_owned(), "2.0 KB".to_owned()));
    }
}
