//! State of IAM: roles with their policies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Tags;
use crate::clock::Timestamp;

/// What IAM holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Iam {
    /// Roles, by name in lower case: names are unique without regard to case.
    pub(crate) roles: BTreeMap<String, Role>,
}

/// A role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Role {
    /// Its name as created.
    pub(crate) name: String,
    /// `AROA…`
    pub(crate) id: String,
    /// `/`, or a longer path.
    pub(crate) path: String,
    /// Its ARN.
    pub(crate) arn: String,
    /// The trust policy, as last written.
    pub(crate) trust: String,
    /// Its description.
    pub(crate) description: Option<String>,
    /// In seconds.
    pub(crate) max_session: i64,
    /// The ARN of the permissions boundary.
    pub(crate) boundary: Option<String>,
    /// Inline policies: document by name.
    pub(crate) inline: BTreeMap<String, String>,
    /// ARNs of attached policies.
    pub(crate) attached: Vec<String>,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// From when on other services see the role with its present trust and policies.
    pub(crate) visible_at: Timestamp,
    /// Tags.
    pub(crate) tags: Tags,
}

impl Iam {
    /// A role by name, without regard to case.
    pub(crate) fn role(&self, name: &str) -> Option<&Role> {
        self.roles.get(&name.to_lowercase())
    }

    /// A role by its ARN.
    pub(crate) fn role_by_arn(&self, arn: &str) -> Option<&Role> {
        self.roles.values().find(|role| role.arn == arn)
    }
}

impl Role {
    /// Whether the trust policy lets `service` (`dms.amazonaws.com`) assume the role.
    pub(crate) fn trusts(&self, service: &str) -> bool {
        let Ok(document) = serde_json::from_str::<serde_json::Value>(&self.trust) else { return false };
        one_or_many(&document["Statement"]).iter().any(|statement| {
            statement["Effect"] == "Allow"
                && one_or_many(&statement["Principal"]["Service"]).iter().any(|principal| *principal == service)
        })
    }
}

fn one_or_many(value: &serde_json::Value) -> Vec<&serde_json::Value> {
    value.as_array().map_or_else(|| vec![value], |items| items.iter().collect())
}
