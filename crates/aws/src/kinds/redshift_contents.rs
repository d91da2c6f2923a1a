//! What is in the warehouses: schemas and privileges, read in bulk by one chain of calls per database.
//!
//! Reading wakes a warehouse that sleeps, so only those are asked in which there is, or should be,
//! something of the stack's: a mark on the namespace says the one, a declared resource the other.
//! Whatever a warehouse cannot be asked (it is not made yet, or on its way out) has nothing in it.
//! Source of the views and their columns: Amazon Redshift database developer guide, pages named there.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::try_join_all;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::Tags;

use super::{redshift_common, redshift_marks, redshift_sql};
use crate::cloud::Cloud;
use crate::redshift_data::Target;

/// What the cloud hears when a stack declares something that is in a warehouse.
pub(super) const DECLARED: &str = "in a warehouse";

/// What it hears of a database that is named, with the name after it.
pub(super) const DATABASE: &str = "in database ";

/// A workgroup that can be asked, with its namespace.
#[derive(Clone, Debug)]
pub(crate) struct Warehouse {
    pub(super) workgroup: String,
    pub(super) namespace: String,
    pub(super) namespace_arn: String,
    /// The namespace's first database.
    pub(super) database: String,
    /// The secret of the admin, if AWS keeps it. Without one the caller's own identity is the user.
    secret_arn: Option<String>,
    /// The tags of the namespace.
    pub(super) tags: Tags,
}

impl Warehouse {
    /// Where statements about a database run.
    pub(super) fn target(&self, database: &str) -> Target {
        Target { workgroup: self.workgroup.clone(), database: database.to_owned(), secret_arn: self.secret_arn.clone() }
    }
}

/// A schema as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schema {
    /// Its number in `pg_namespace`, which stays when it is renamed.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) owner: Option<String>,
    /// Tables, views and materialised views.
    pub(super) relations: u64,
    /// Functions and procedures.
    pub(super) routines: u64,
}

/// A privilege of somebody on a schema, or on so many relations in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Privilege {
    pub(super) schema: String,
    pub(super) word: String,
    /// `user`, `group`, `role` or `public`.
    pub(super) sort: String,
    pub(super) grantee: String,
    /// How many relations; none for the schema itself.
    pub(super) relations: Option<u64>,
}

/// What is in one database.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    pub(super) warehouse: Warehouse,
    pub(super) database: String,
    pub(super) schemas: Vec<Schema>,
    /// Quotas in megabytes by schema name, or why they cannot be told.
    pub(super) quotas: Result<BTreeMap<String, u64>, Fault>,
    /// Privileges, or why they cannot be told.
    pub(super) privileges: Result<Vec<Privilege>, Fault>,
}

/// The contents of every database that may hold something of the stack's; kinds that ask at the same
/// time share the calls.
pub(super) async fn contents(cloud: &Cloud) -> Result<Arc<Vec<Contents>>, Fault> {
    cloud.shared_contents().get(async || read_all(cloud).await.map(Arc::new)).await
}

async fn read_all(cloud: &Cloud) -> Result<Vec<Contents>, Fault> {
    let is_declared = cloud.has_heard(DECLARED);
    let stack = cloud.place().stack;
    let mut wanted = Vec::new();
    for warehouse in warehouses(cloud).await? {
        let is_near = |name: &str| redshift_common::is_near(cloud, name);
        let may_be = is_declared && (is_near(&warehouse.workgroup) || is_near(&warehouse.namespace));
        if !may_be && !redshift_marks::has_any(&warehouse.tags, &stack) && !cloud.reads_fully() {
            continue;
        }
        let mut databases = redshift_marks::databases(&warehouse.tags, &stack);
        databases.extend(cloud.heard_after(DATABASE));
        databases.push(warehouse.database.clone());
        databases.sort();
        databases.dedup();
        wanted.extend(databases.into_iter().map(|database| (warehouse.clone(), database)));
    }
    let reads = wanted.into_iter().map(|(warehouse, database)| read(cloud, warehouse, database));
    Ok(try_join_all(reads).await?.into_iter().flatten().collect())
}

/// The workgroups that can be asked.
async fn warehouses(cloud: &Cloud) -> Result<Vec<Warehouse>, Fault> {
    let (workgroups, namespaces, tags) = futures::try_join!(
        redshift_common::workgroups(cloud),
        redshift_common::namespaces(cloud),
        redshift_common::namespace_tags(cloud)
    )?;
    let found = workgroups.into_iter().filter_map(|workgroup| {
        use aws_sdk_redshiftserverless::types::WorkgroupStatus::{Available, Modifying};
        let can_be_asked = matches!(workgroup.status, Some(Available | Modifying));
        let name = workgroup.namespace_name.filter(|_| can_be_asked)?;
        let namespace = namespaces.iter().find(|one| one.namespace_name.as_ref() == Some(&name))?;
        let namespace_arn = namespace.namespace_arn.clone()?;
        Some(Warehouse {
            workgroup: workgroup.workgroup_name?,
            database: namespace.db_name.clone().unwrap_or_else(|| "dev".to_owned()),
            secret_arn: namespace.admin_password_secret_arn.clone(),
            tags: tags.get(&namespace_arn).cloned().unwrap_or_default(),
            namespace: name,
            namespace_arn,
        })
    });
    Ok(found.collect())
}

/// The workgroup of a namespace, which must be able to run statements.
pub(super) async fn warehouse(cloud: &Cloud, namespace: &str) -> Result<Warehouse, Fault> {
    let found = warehouses(cloud).await?.into_iter().find(|one| one.namespace == namespace);
    found.ok_or_else(|| {
        let message = format!("namespace `{namespace}` has no workgroup that is available");
        Fault::local(FaultClass::Busy, "redshift-serverless:ListWorkgroups", message)
    })
}

/// Whether a statement could not be run because its workgroup or database is not there.
fn is_nowhere(fault: &Fault) -> bool {
    fault.is_not_found() || fault.message.contains("endpoint doesn't exist") || fault.message.contains("does not exist")
}

/// What is in a database; `None` when it is not there (any more).
async fn read(cloud: &Cloud, warehouse: Warehouse, database: String) -> Result<Option<Contents>, Fault> {
    let statements = [schemas_sql(&database), quotas_sql(&database), SCHEMA_PRIVILEGES.into(), PRIVILEGES.into()];
    let parts = match redshift_sql::run_each(cloud, &warehouse.target(&database), &statements).await {
        Err(fault) if is_nowhere(&fault) => return Ok(None),
        other => other?,
    };
    let [schemas, quotas, on_schemas, on_relations] = parts.as_slice() else {
        let message = format!("{} of {} statements were told of", parts.len(), statements.len());
        return Err(Fault::local(FaultClass::Other, "redshift-data:DescribeStatement", message));
    };
    let schemas = redshift_sql::rows(cloud, schemas).await?;
    let quotas = redshift_sql::rows(cloud, quotas).await;
    let privileges = async {
        let mut rows = redshift_sql::rows(cloud, on_schemas).await?;
        rows.extend(redshift_sql::rows(cloud, on_relations).await?);
        Ok(rows.iter().filter_map(|row| privilege(row)).collect())
    };
    Ok(Some(Contents {
        privileges: privileges.await,
        schemas: schemas.iter().filter_map(|row| schema(row)).collect(),
        quotas: quotas.map(|rows| rows.iter().filter_map(|row| quota(row)).collect()),
        warehouse,
        database,
    }))
}

/// Local schemas with their owners and what is in them. `SVV_ALL_SCHEMAS` tells local from external ones,
/// `PG_NAMESPACE` the number.
fn schemas_sql(database: &str) -> String {
    format!(
        "SELECT n.oid, trim(s.schema_name), trim(u.usename), coalesce(r.relations, 0), coalesce(p.routines, 0) \
         FROM svv_all_schemas s JOIN pg_namespace n ON n.nspname = s.schema_name \
         LEFT JOIN pg_user_info u ON u.usesysid = s.schema_owner \
         LEFT JOIN (SELECT relnamespace, count(*) AS relations FROM pg_class WHERE relkind IN ('r', 'v', 'm') \
         GROUP BY relnamespace) r ON r.relnamespace = n.oid \
         LEFT JOIN (SELECT pronamespace, count(*) AS routines FROM pg_proc GROUP BY pronamespace) p \
         ON p.pronamespace = n.oid \
         WHERE s.database_name = {} AND s.schema_type = 'local' AND left(s.schema_name, 3) <> 'pg_' \
         AND s.schema_name NOT IN ('information_schema', 'catalog_history')",
        redshift_sql::literal(database)
    )
}

/// Quotas in megabytes. Not `SVV_SCHEMA_QUOTA_STATE`, which is "only available when querying provisioned
/// clusters"; `SVV_REDSHIFT_SCHEMA_QUOTA` also answers "Redshift Serverless workgroups".
fn quotas_sql(database: &str) -> String {
    format!(
        "SELECT trim(schema_name), quota FROM svv_redshift_schema_quota WHERE database_name = {} AND quota > 0",
        redshift_sql::literal(database)
    )
}

/// `SVV_SCHEMA_PRIVILEGES`, without the scoped permissions that its `privilege_scope` tells apart.
const SCHEMA_PRIVILEGES: &str = "SELECT namespace_name, lower(privilege_type), lower(identity_type), identity_name, NULL::bigint \
     FROM svv_schema_privileges WHERE upper(privilege_scope) = 'SCHEMA' AND left(namespace_name, 3) <> 'pg_'";

/// `SVV_RELATION_PRIVILEGES`, counted: on how many relations of a schema somebody has a privilege.
const PRIVILEGES: &str = "SELECT namespace_name, lower(privilege_type), lower(identity_type), identity_name, \
     count(DISTINCT relation_name) FROM svv_relation_privileges WHERE left(namespace_name, 3) <> 'pg_' \
     GROUP BY 1, 2, 3, 4";

type Row = [Option<String>];

fn number(cell: Option<&String>) -> Option<u64> {
    cell?.parse().ok()
}

fn schema(row: &Row) -> Option<Schema> {
    let [Some(id), Some(name), owner, relations, routines] = row else { return None };
    Some(Schema {
        id: id.clone(),
        name: name.clone(),
        owner: owner.clone(),
        relations: number(relations.as_ref())?,
        routines: number(routines.as_ref())?,
    })
}

fn quota(row: &Row) -> Option<(String, u64)> {
    let [Some(name), quota] = row else { return None };
    Some((name.clone(), number(quota.as_ref())?))
}

fn privilege(row: &Row) -> Option<Privilege> {
    let [Some(schema), Some(privilege), Some(sort), grantee, relations] = row else { return None };
    // By which name the views call PUBLIC their pages do not say.
    let grantee = if sort == "public" { sort.clone() } else { grantee.clone()? };
    Some(Privilege {
        schema: schema.clone(),
        word: privilege.clone(),
        sort: sort.clone(),
        grantee,
        relations: number(relations.as_ref()),
    })
}
