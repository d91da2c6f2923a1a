//! AWS Database Migration Service: everything a pipeline of replication instance, endpoints and task needs, serverless
//! replications, and the schema-conversion objects.
//!
//! One file per kind of object; what is kept is in `crate::world::dms`; `surroundings` what is
//! asked of other services; `quotas` what is too much. The copying of rows is in `crate::load`; `run` starts it and takes it up again.

mod attributes;
mod common;
mod connections;
mod conversion;
mod endpoints;
mod events;
mod instances;
mod lookups;
mod network;
mod probe;
mod progress;
mod quotas;
mod reload;
mod replications;
mod run;
mod schemas;
mod settings;
mod subnet_groups;
mod surroundings;
mod tags;
mod tasks;
#[cfg(test)]
mod tests;

use crate::call::Codes;
use crate::router::{Operation, Protocol, Reach, Service};

pub(crate) use connections::take_up as take_up_tests;
pub(crate) use instances::CREATING as INSTANCE_CREATING;
pub(crate) use run::resume;
pub(crate) use tasks::CREATING as TASK_CREATING;

pub(crate) const SERVICE: Service = Service {
    name: "dms",
    protocol: Protocol::Json { target: "AmazonDMSv20160101" },
    reach: Reach::Regional,
    codes: &Codes { missing: "ValidationException", invalid: "InvalidParameterValueException" },
    operations: OPERATIONS,
};

/// Every operation by its name.
const OPERATIONS: &[(&str, Operation)] = &[
    ("CreateReplicationSubnetGroup", Operation::Call(subnet_groups::create)),
    ("DescribeReplicationSubnetGroups", Operation::Call(subnet_groups::describe)),
    ("ModifyReplicationSubnetGroup", Operation::Call(subnet_groups::modify)),
    ("DeleteReplicationSubnetGroup", Operation::Call(subnet_groups::delete)),
    ("CreateReplicationInstance", Operation::Call(instances::create)),
    ("DescribeReplicationInstances", Operation::Call(instances::describe)),
    ("ModifyReplicationInstance", Operation::Call(instances::modify)),
    ("DeleteReplicationInstance", Operation::Call(instances::delete)),
    ("CreateEndpoint", Operation::Call(endpoints::create)),
    ("DescribeEndpoints", Operation::Call(endpoints::describe)),
    ("ModifyEndpoint", Operation::Call(endpoints::modify)),
    ("DeleteEndpoint", Operation::Call(endpoints::delete)),
    ("TestConnection", Operation::Call(connections::test)),
    ("DescribeConnections", Operation::Call(connections::describe)),
    ("DeleteConnection", Operation::Call(connections::delete)),
    ("CreateReplicationTask", Operation::Call(tasks::create)),
    ("DescribeReplicationTasks", Operation::Call(tasks::describe)),
    ("ModifyReplicationTask", Operation::Call(tasks::modify)),
    ("MoveReplicationTask", Operation::Call(tasks::relocate)),
    ("DeleteReplicationTask", Operation::Call(tasks::delete)),
    ("StartReplicationTask", Operation::Call(tasks::start)),
    ("StopReplicationTask", Operation::Call(tasks::stop)),
    ("DescribeTableStatistics", Operation::Call(tasks::table_statistics)),
    ("CreateReplicationConfig", Operation::Call(replications::create)),
    ("DescribeReplicationConfigs", Operation::Call(replications::describe_configs)),
    ("ModifyReplicationConfig", Operation::Call(replications::modify)),
    ("DeleteReplicationConfig", Operation::Call(replications::delete)),
    ("DescribeReplications", Operation::Call(replications::describe)),
    ("StartReplication", Operation::Call(replications::start)),
    ("StopReplication", Operation::Call(replications::stop)),
    ("DescribeReplicationTableStatistics", Operation::Call(replications::table_statistics)),
    ("CreateDataProvider", Operation::Call(conversion::create_provider)),
    ("DescribeDataProviders", Operation::Call(conversion::describe_providers)),
    ("ModifyDataProvider", Operation::Call(conversion::modify_provider)),
    ("DeleteDataProvider", Operation::Call(conversion::delete_provider)),
    ("CreateInstanceProfile", Operation::Call(conversion::create_profile)),
    ("DescribeInstanceProfiles", Operation::Call(conversion::describe_profiles)),
    ("ModifyInstanceProfile", Operation::Call(conversion::modify_profile)),
    ("DeleteInstanceProfile", Operation::Call(conversion::delete_profile)),
    ("CreateMigrationProject", Operation::Call(conversion::create_project)),
    ("DescribeMigrationProjects", Operation::Call(conversion::describe_projects)),
    ("ModifyMigrationProject", Operation::Call(conversion::modify_project)),
    ("DeleteMigrationProject", Operation::Call(conversion::delete_project)),
    ("AddTagsToResource", Operation::Call(tags::add)),
    ("RemoveTagsFromResource", Operation::Call(tags::remove)),
    ("ListTagsForResource", Operation::Call(tags::list)),
    ("DescribeAccountAttributes", Operation::Call(quotas::account_attributes)),
    ("DescribeOrderableReplicationInstances", Operation::Call(lookups::orderable_instances)),
    ("DescribeEngineVersions", Operation::Call(lookups::engine_versions)),
    ("DescribeEndpointTypes", Operation::Call(lookups::endpoint_types)),
    ("DescribeEndpointSettings", Operation::Call(lookups::endpoint_settings)),
    ("DescribePendingMaintenanceActions", Operation::Call(lookups::pending_maintenance)),
    ("DescribeReplicationInstanceTaskLogs", Operation::Call(lookups::task_logs)),
    ("DescribeCertificates", Operation::Call(lookups::certificates)),
    ("DescribeEventSubscriptions", Operation::Call(lookups::event_subscriptions)),
    ("DescribeReplicationTaskAssessmentRuns", Operation::Call(lookups::assessment_runs)),
    ("DescribeReplicationTaskIndividualAssessments", Operation::Call(lookups::individual_assessments)),
    ("DescribeReplicationTaskAssessmentResults", Operation::Call(lookups::assessment_results)),
    ("DescribeEvents", Operation::Call(events::describe)),
    ("DescribeEventCategories", Operation::Call(events::categories)),
    ("RefreshSchemas", Operation::Call(schemas::refresh)),
    ("DescribeRefreshSchemasStatus", Operation::Call(schemas::status)),
    ("DescribeSchemas", Operation::Call(schemas::describe)),
    ("ReloadTables", Operation::Call(reload::reload_tables)),
    ("ReloadReplicationTables", Operation::Call(reload::reload_replication_tables)),
    ("RebootReplicationInstance", Operation::Call(instances::reboot)),
];
