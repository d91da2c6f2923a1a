//! Amazon Redshift Serverless: namespaces, workgroups, endpoints, usage limits, snapshots, tags.
//!
//! The SQL behind a workgroup is in `services::redshift_data`.

mod credentials;
mod endpoints;
mod limits;
mod lookups;
mod namespaces;
mod placement;
mod snapshots;
mod tags;
#[cfg(test)]
mod tests;
mod workgroups;

use serde_json::{Value, json};

use crate::Quota;
use crate::call::{ApiError, Call, Codes, Input};
use crate::router::{Operation, Protocol, Reach, Service};

pub(crate) use namespaces::rotate_admin_password;
pub(crate) use placement::{network_of, texts};
pub(crate) use workgroups::CREATED as WORKGROUP_CREATED;

pub(crate) const SERVICE: Service = Service {
    name: "redshift-serverless",
    protocol: Protocol::Json { target: "RedshiftServerless" },
    reach: Reach::Regional,
    codes: &Codes { missing: "ValidationException", invalid: "ValidationException" },
    operations: &[
        ("CreateNamespace", Operation::Call(namespaces::create)),
        ("GetNamespace", Operation::Call(namespaces::get)),
        ("ListNamespaces", Operation::Call(namespaces::list)),
        ("UpdateNamespace", Operation::Call(namespaces::update)),
        ("DeleteNamespace", Operation::Call(namespaces::delete)),
        ("CreateWorkgroup", Operation::Call(workgroups::create)),
        ("GetWorkgroup", Operation::Call(workgroups::get)),
        ("ListWorkgroups", Operation::Call(workgroups::list)),
        ("UpdateWorkgroup", Operation::Call(workgroups::update)),
        ("DeleteWorkgroup", Operation::Call(workgroups::delete)),
        ("TagResource", Operation::Call(tags::tag)),
        ("UntagResource", Operation::Call(tags::untag)),
        ("ListTagsForResource", Operation::Call(tags::list)),
        ("CreateUsageLimit", Operation::Call(limits::create)),
        ("GetUsageLimit", Operation::Call(limits::get)),
        ("ListUsageLimits", Operation::Call(limits::list)),
        ("UpdateUsageLimit", Operation::Call(limits::update)),
        ("DeleteUsageLimit", Operation::Call(limits::delete)),
        ("CreateSnapshot", Operation::Call(snapshots::create)),
        ("GetSnapshot", Operation::Call(snapshots::get)),
        ("ListSnapshots", Operation::Call(snapshots::list)),
        ("UpdateSnapshot", Operation::Call(snapshots::update)),
        ("DeleteSnapshot", Operation::Call(snapshots::delete)),
        ("RestoreFromSnapshot", Operation::Call(snapshots::restore)),
        ("CreateEndpointAccess", Operation::Call(endpoints::create)),
        ("GetEndpointAccess", Operation::Call(endpoints::get)),
        ("ListEndpointAccess", Operation::Call(endpoints::list)),
        ("UpdateEndpointAccess", Operation::Call(endpoints::update)),
        ("DeleteEndpointAccess", Operation::Call(endpoints::delete)),
        ("GetCredentials", Operation::Waiting(|cloud, input| Box::pin(credentials::get(cloud, input)))),
        ("GetTrack", Operation::Call(lookups::track)),
        ("ListTracks", Operation::Call(lookups::tracks)),
        ("ListRecoveryPoints", Operation::Call(lookups::recovery_points)),
        ("ListTableRestoreStatus", Operation::Call(lookups::table_restores)),
        ("ListScheduledActions", Operation::Call(lookups::scheduled_actions)),
        ("ListCustomDomainAssociations", Operation::Call(lookups::custom_domains)),
        ("ListManagedWorkgroups", Operation::Call(lookups::managed_workgroups)),
        ("ListReservations", Operation::Call(lookups::reservations)),
        ("GetResourcePolicy", Operation::Call(lookups::resource_policy)),
    ],
};

fn not_found(message: impl Into<String>) -> ApiError {
    ApiError::new("ResourceNotFoundException", message)
}

fn conflict(message: impl Into<String>) -> ApiError {
    ApiError::new("ConflictException", message)
}

/// Refuses one more than the account may have beside these. "Quotas and limits in Amazon Redshift" has the numbers; with which
/// code the two creates refuse the API reference does not say: this is the service's own for a quota.
fn require_room(call: &Call<'_>, quota: Quota, used: usize) -> Result<(), ApiError> {
    if used < call.quotas.value(quota) {
        return Ok(());
    }
    Err(ApiError::new("ServiceQuotaExceededException", "The service limit was exceeded."))
}

/// The name of a namespace or workgroup: 3 to 64 lower-case letters, digits and hyphens.
fn name<'a>(input: Input<'a>, member: &str) -> Result<&'a str, ApiError> {
    let name = input.required(member)?;
    let fits = (3..=64).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if fits {
        Ok(name)
    } else {
        Err(input.invalid(format!("1 validation error detected: Value '{name}' at '{member}' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-z0-9-]+$ and have a length between 3 and 64")))
    }
}

/// One page of `items` under `member`.
fn page(input: Input<'_>, member: &str, items: Vec<Value>) -> Result<Value, ApiError> {
    let size = usize::try_from(input.integer("maxResults")?.unwrap_or(100)).unwrap_or(0).clamp(1, 100);
    let (items, token) =
        crate::paging::page(items, input.text("nextToken")?, size).map_err(|_| input.invalid("Invalid nextToken"))?;
    Ok(json!({ member: items, "nextToken": token }))
}
