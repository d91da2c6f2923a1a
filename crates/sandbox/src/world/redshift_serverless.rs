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
pub struct RedshiftServerless {
    /// Namespaces.
    pub namespaces: IndexMap<String, Namespace>,
    /// Workgroups.
    pub workgroups: IndexMap<String, Workgroup>,
    /// Usage limits by id.
    pub usage_limits: IndexMap<String, Map<String, Value>>,
    /// Snapshots.
    pub snapshots: IndexMap<String, Snapshot>,
    /// Tags by ARN.
    pub tags: IndexMap<String, Tags>,
}

/// A namespace: database, users, roles.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Its id, which ends its ARN.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// When it was made.
    pub created: Timestamp,
    /// Its state.
    pub lifecycle: Lifecycle,
    /// The admin's name.
    pub admin: String,
    /// The admin's password.
    pub password: Option<Sealed>,
    /// The secret that Redshift keeps the password in.
    pub secret: Option<String>,
    /// The key of that secret.
    pub secret_key: Option<String>,
    /// The first database's name, when given.
    pub database: Option<String>,
    /// ARNs of its IAM roles.
    pub roles: Vec<String>,
    /// When the roles last changed; they are in sync some seconds later.
    pub roles_in_sync_at: Timestamp,
    /// The default role.
    pub default_role: Option<String>,
    /// The key of its data.
    pub kms_key: Option<String>,
    /// The logs it exports.
    pub log_exports: Vec<String>,
}

/// A workgroup: compute and network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Workgroup {
    /// Its name.
    pub name: String,
    /// Its id, which ends its ARN.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// Its namespace.
    pub namespace: String,
    /// When it was made.
    pub created: Timestamp,
    /// Its state.
    pub lifecycle: Lifecycle,
    /// Its settings as they are shown.
    pub body: Map<String, Value>,
    /// Its VPC endpoint.
    pub vpc_endpoint: String,
    /// Its network interfaces.
    pub interfaces: Vec<String>,
}

/// A snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its state.
    pub lifecycle: Lifecycle,
    /// Its members as they are shown.
    pub body: Map<String, Value>,
}

impl RedshiftServerless {
    /// Every object that bears tags, by ARN.
    pub fn tagged(&self) -> Vec<(String, Tags)> {
        self.tags.iter().map(|(arn, tags)| (arn.clone(), tags.clone())).collect()
    }
}

impl Namespace {
    /// The name of the first database; Redshift's own choice when none was given.
    pub fn database(&self) -> &str {
        self.database.as_deref().unwrap_or("dev")
    }
}

impl Workgroup {
    /// The host clients connect to.
    pub fn address(&self, place: &Place) -> String {
        format!("{}.{}.{}.redshift-serverless.amazonaws.com", self.name, place.account, place.region)
    }

    /// The port clients connect to.
    pub fn port(&self) -> i64 {
        self.body.get("port").and_then(Value::as_i64).unwrap_or(DEFAULT_PORT)
    }
}
