//! What DMS asks of other services: subnets, roles, the network interfaces of its instances, and logs.

use std::time::Duration;

use serde_json::Value;

use super::settings;
use crate::call::{ApiError, Call, Fate};
use crate::clock::Timestamp;
use crate::services::logs as cloudwatch;
use crate::world::dms::{Task, Work};
use crate::world::ec2::Subnet;

/// The role DMS makes network interfaces with.
pub(super) const VPC_ROLE: &str = "dms-vpc-role";
/// The principal of DMS itself.
pub(super) const DMS_PRINCIPAL: &str = "dms.amazonaws.com";
/// The role DMS writes logs with.
const LOGS_ROLE: &str = "dms-cloudwatch-logs-role";
const INTERFACE: &str = "DMSNetworkInterface";
/// How long the interface of a deleted instance stays attached.
const DETACHES: Duration = Duration::from_mins(1);
/// How long the interface of a deleted instance stays.
const LINGERS: Duration = Duration::from_mins(5);
/// Bytes that a start of a task writes to its log.
const LOGGED: u64 = 16_384;

/// A subnet by id.
pub(super) fn subnet<'a>(call: &'a Call<'_>, id: &str) -> Option<&'a Subnet> {
    call.world.ec2.subnets.get(id)
}

/// Whether a role exists, is seen by now, trusts DMS and carries a policy.
pub(super) fn role_is_usable(call: &Call<'_>, name: &str) -> bool {
    call.world.iam.role(name).is_some_and(|role| {
        role.visible_at <= call.clock.now()
            && role.trusts(DMS_PRINCIPAL)
            && !(role.attached.is_empty() && role.inline.is_empty())
    })
}

/// `AccessDeniedFault` in DMS's words for a service role.
pub(super) fn role_misconfigured(call: &Call<'_>, name: &str) -> ApiError {
    let arn = call.place.global_arn("iam", &format!("role/{name}"));
    ApiError::new("AccessDeniedFault", format!("The IAM Role {arn} is not configured properly."))
}

/// Checks the role that subnet groups and instances need.
pub(super) fn require_vpc_role(call: &Call<'_>) -> Result<(), ApiError> {
    if role_is_usable(call, VPC_ROLE) { Ok(()) } else { Err(role_misconfigured(call, VPC_ROLE)) }
}

/// Whether an instance of DMS has its interface in the subnet.
pub(super) fn holds_instance(call: &Call<'_>, subnet: &str) -> bool {
    call.world.ec2.network_interfaces.values().any(|interface| {
        interface.subnet_id == subnet && interface.requester == "dms" && interface.detached_at.is_none()
    })
}

/// Makes the interface of a new instance; gives its id.
pub(super) fn add_interface(call: &mut Call<'_>, subnet_id: &str, groups: &[String]) -> Option<String> {
    let subnet = subnet(call, subnet_id)?.clone();
    Some(call.world.ec2.add_service_interface(&subnet, groups, INTERFACE, "dms"))
}

/// Lets the interface of a deleted instance disappear some minutes after the instance, or never: "sometimes DMS leaves
/// it behind" (hashicorp/terraform-provider-aws, issue 7600), which is what a failing deletion plays.
pub(super) fn drop_interface(call: &mut Call<'_>, id: &str, instance_gone: Timestamp) {
    let detached_at = instance_gone.plus(call.clock.scaled(DETACHES));
    let gone_at = instance_gone.plus(call.clock.scaled(LINGERS));
    let stays = call.fate == Fate::Failure;
    if let Some(interface) = call.world.ec2.network_interfaces.get_mut(id) {
        interface.gone_at = (!stays).then_some(gone_at);
        interface.detached_at = Some(detached_at);
    }
}

/// The log group of an instance. Source: DMS user guide, "Monitoring AWS DMS tasks".
pub(super) fn log_group(instance: &str) -> String {
    format!("dms-tasks-{instance}")
}

/// The names of a log group and of a stream in it.
pub(super) type LogNames = (String, String);

/// Whether its settings ask for logs.
fn logs(work: &Work) -> bool {
    settings::expanded(&work.settings)["Logging"]["EnableLogging"] == Value::Bool(true)
}

/// The log group and stream of a task that writes logs.
pub(super) fn task_log(call: &Call<'_>, task: &Task) -> Option<LogNames> {
    if !logs(&task.work) {
        return None;
    }
    let instance = call.world.dms.instances.values().find(|instance| instance.arn == task.instance_arn)?;
    let id = task.work.arn.rsplit(':').next()?;
    Some((log_group(&instance.identifier), format!("dms-task-{id}")))
}

/// The log group and stream of a serverless replication that writes logs. Source: the names in
/// hashicorp/terraform-provider-aws#45376.
pub(super) fn replication_log(work: &Work) -> Option<LogNames> {
    let id = work.arn.rsplit(':').next().filter(|_| logs(work))?;
    Some((format!("dms-serverless-replication-{id}"), format!("dms-serverless-serv-res-id-{}", work.created.0)))
}

/// Writes to the log of what was started. Without the role no group appears, and the work goes on all the same.
pub(super) fn log(call: &mut Call<'_>, names: Option<LogNames>) {
    let Some((group, stream)) = names.filter(|_| role_is_usable(call, LOGS_ROLE)) else { return };
    let (arn, now) = (cloudwatch::arn(call.place, &group), call.clock.now());
    call.world.logs.written(arn, &group, &stream, LOGGED, now);
}

/// Gives an instance's interface other security groups.
pub(super) fn regroup_interface(call: &mut Call<'_>, id: &str, groups: &[String]) {
    if let Some(interface) = call.world.ec2.network_interfaces.get_mut(id) {
        interface.groups = groups.to_vec();
    }
}

/// The private address of an interface.
pub(super) fn address(call: &Call<'_>, id: &str) -> Option<String> {
    call.world.ec2.network_interfaces.get(id).map(|interface| interface.private_address.clone())
}
