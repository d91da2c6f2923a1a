//! State of Secrets Manager. Values are sealed before they come here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Tags;
use crate::clock::Timestamp;
use crate::vault::Sealed;

/// What Secrets Manager holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SecretsManager {
    /// Secrets by name.
    pub(crate) secrets: BTreeMap<String, StoredSecret>,
}

/// A secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoredSecret {
    /// Its name.
    pub(crate) name: String,
    /// Its ARN, which ends in six random characters.
    pub(crate) arn: String,
    /// Its description.
    pub(crate) description: Option<String>,
    /// The key it is encrypted with, when not the account's own.
    pub(crate) kms_key: Option<String>,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When it or its value was last changed.
    pub(crate) changed: Timestamp,
    /// When deletion was asked for; the secret then only answers to restoring.
    pub(crate) deleted: Option<Timestamp>,
    /// When a deleted secret is gone for good.
    pub(crate) gone_at: Option<Timestamp>,
    /// The service that manages it, for example `redshift`.
    pub(crate) owning_service: Option<String>,
    /// Versions by id.
    pub(crate) versions: BTreeMap<String, SecretVersion>,
    /// The resource policy, JSON as written.
    pub(crate) policy: Option<String>,
    /// Tags.
    pub(crate) tags: Tags,
}

/// A version of a secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SecretVersion {
    /// The sealed value.
    pub(crate) value: Sealed,
    /// Whether it came as `SecretBinary`, whose base64 the value then is.
    pub(crate) binary: bool,
    /// `AWSCURRENT`, `AWSPREVIOUS`, or others.
    pub(crate) stages: Vec<String>,
    /// When it was written.
    pub(crate) created: Timestamp,
}

impl SecretsManager {
    /// A secret by name, ARN, or ARN without its random end.
    pub(crate) fn find(&self, id: &str) -> Option<&StoredSecret> {
        self.name_of(id).and_then(|name| self.secrets.get(&name))
    }

    /// The same, to change it.
    pub(crate) fn find_mut(&mut self, id: &str) -> Option<&mut StoredSecret> {
        self.name_of(id).and_then(|name| self.secrets.get_mut(&name))
    }

    fn name_of(&self, id: &str) -> Option<String> {
        if self.secrets.contains_key(id) {
            return Some(id.to_owned());
        }
        let fits = |secret: &&StoredSecret| {
            secret.arn == id || secret.arn.rsplit_once('-').is_some_and(|(without_end, _)| without_end == id)
        };
        self.secrets.values().find(fits).map(|secret| secret.name.clone())
    }

    /// Every secret that bears tags, by ARN.
    pub(crate) fn tagged(&self) -> Vec<(String, Tags)> {
        self.secrets.values().map(|secret| (secret.arn.clone(), secret.tags.clone())).collect()
    }
}

impl StoredSecret {
    /// The version with a stage.
    pub(crate) fn staged(&self, stage: &str) -> Option<(&String, &SecretVersion)> {
        self.versions.iter().find(|(_, version)| version.stages.iter().any(|own| own == stage))
    }
}
