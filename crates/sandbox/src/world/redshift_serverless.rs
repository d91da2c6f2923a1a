//! State of Redshift Serverless.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Tags;
use super::dms::Lifecycle;
use crate::arn::Place;
use crate::clock::Timestamp;
use crate::vault::Sealed;

/// The port of a workgroup that was given none.
const DEFAULT_PORT: i64 = 5439;

/// What Redshift Serverless holds, everything by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RedshiftServerless {
    /// Namespaces.
    pub(crate) namespaces: IndexMap<String, Namespace>,
    /// Workgroups.
    pub(crate) workgroups: IndexMap<String, Workgroup>,
    /// Usage limits by id.
    pub(crate) usage_limits: IndexMap<String, Map<String, Value>>,
    /// Snapshots.
    pub(crate) snapshots: IndexMap<String, Snapshot>,
    /// Endpoint accesses.
    pub(crate) endpoint_accesses: IndexMap<String, EndpointAccess>,
    /// Passwords of temporary users, by user, with the moment they end.
    pub(crate) credentials: IndexMap<String, (Sealed, Timestamp)>,
    /// Tags by ARN.
    pub(crate) tags: IndexMap<String, Tags>,
}

/// A namespace: database, users, roles.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Namespace {
    /// Its name.
    pub(crate) name: String,
    /// Its id, which ends its ARN.
    pub(crate) id: String,
    /// Its ARN.
    pub(crate) arn: String,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// Its state.
    pub(crate) lifecycle: Lifecycle,
    /// The admin's name.
    pub(crate) admin: String,
    /// The admin's password.
    pub(crate) password: Option<Sealed>,
    /// The secret that Redshift keeps the password in.
    pub(crate) secret: Option<String>,
    /// The key of that secret.
    pub(crate) secret_key: Option<String>,
    /// The first database's name, when given.
    pub(crate) database: Option<String>,
    /// Whether it ever had a workgroup: only then is the database told.
    #[serde(default)]
    pub(crate) had_workgroup: bool,
    /// Whether its warehouse was ever used: only then there is something to be copied.
    #[serde(default)]
    pub(crate) has_data: bool,
    /// ARNs of its IAM roles.
    pub(crate) roles: Vec<String>,
    /// When the roles last changed; they are in sync some seconds later.
    pub(crate) roles_in_sync_at: Timestamp,
    /// The default role.
    pub(crate) default_role: Option<String>,
    /// The key of its data.
    pub(crate) kms_key: Option<String>,
    /// The logs it exports.
    pub(crate) log_exports: Vec<String>,
}

/// A workgroup: compute and network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Workgroup {
    /// Its name.
    pub(crate) name: String,
    /// Its id, which ends its ARN.
    pub(crate) id: String,
    /// Its ARN.
    pub(crate) arn: String,
    /// Its namespace.
    pub(crate) namespace: String,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// Its state.
    pub(crate) lifecycle: Lifecycle,
    /// Its settings as they are shown.
    pub(crate) body: Map<String, Value>,
    /// Its VPC endpoint.
    pub(crate) vpc_endpoint: String,
    /// Its network interfaces.
    pub(crate) interfaces: Vec<String>,
}

/// A further way into a workgroup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EndpointAccess {
    /// Its name.
    pub(crate) name: String,
    /// Its ARN.
    pub(crate) arn: String,
    /// Its workgroup.
    pub(crate) workgroup: String,
    /// The host clients connect to.
    pub(crate) address: String,
    /// The port clients connect to.
    pub(crate) port: i64,
    /// Its subnets.
    pub(crate) subnets: Vec<String>,
    /// Its security groups.
    pub(crate) groups: Vec<String>,
    /// The VPC of its subnets.
    pub(crate) vpc: String,
    /// Its VPC endpoint.
    pub(crate) vpc_endpoint: String,
    /// Its network interfaces.
    pub(crate) interfaces: Vec<String>,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// Its state.
    pub(crate) lifecycle: Lifecycle,
}

/// A snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// Its state.
    pub(crate) lifecycle: Lifecycle,
    /// Its members as they are shown.
    pub(crate) body: Map<String, Value>,
    /// Whether its rows are still being copied.
    #[serde(default)]
    pub(crate) copying: bool,
    /// Whether its namespace had rows.
    #[serde(default)]
    pub(crate) has_rows: bool,
}

impl RedshiftServerless {
    /// Every object that bears tags, by ARN.
    pub(crate) fn tagged(&self) -> Vec<(String, Tags)> {
        self.tags.iter().map(|(arn, tags)| (arn.clone(), tags.clone())).collect()
    }
}

impl Namespace {
    /// The name of the first database; Redshift's own choice when none was given.
    pub(crate) fn database(&self) -> &str {
        self.database.as_deref().unwrap_or("dev")
    }
}

impl Workgroup {
    /// The host clients connect to.
    pub(crate) fn address(&self, place: &Place) -> String {
        format!("{}.{}.{}.redshift-serverless.amazonaws.com", self.name, place.account, place.region)
    }

    /// The port clients connect to.
    pub(crate) fn port(&self) -> i64 {
        self.body.get("port").and_then(Value::as_i64).unwrap_or(DEFAULT_PORT)
    }
}
