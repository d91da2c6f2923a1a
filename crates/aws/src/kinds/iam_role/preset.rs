//! The three roles that DMS looks up by a fixed name in the account. Source: DMS user guide,
//! "Creating the IAM roles to use with AWS DMS" and "Prerequisites for using Amazon Redshift
//! Serverless as a target".

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use towpath_engine::kind::Found;

use super::policy;

/// A role of DMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Lets DMS make network interfaces in a subnet group.
    DmsVpcRole,
    /// Lets DMS write the logs of tasks.
    DmsCloudwatchLogsRole,
    /// Lets DMS and Redshift use the bucket between them.
    DmsAccessForEndpoint,
}

impl Preset {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::DmsVpcRole, Self::DmsCloudwatchLogsRole, Self::DmsAccessForEndpoint];

    /// The role's exact name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::DmsVpcRole => "dms-vpc-role",
            Self::DmsCloudwatchLogsRole => "dms-cloudwatch-logs-role",
            Self::DmsAccessForEndpoint => "dms-access-for-endpoint",
        }
    }

    /// The services that take it on.
    pub(super) fn services(self) -> &'static [&'static str] {
        match self {
            Self::DmsVpcRole | Self::DmsCloudwatchLogsRole => &["dms.amazonaws.com"],
            Self::DmsAccessForEndpoint => {
                &["dms.amazonaws.com", "redshift.amazonaws.com", "redshift-serverless.amazonaws.com"]
            }
        }
    }

    /// The policy of AWS that it needs.
    pub(super) fn policy_arn(self, partition: &str) -> String {
        let name = match self {
            Self::DmsVpcRole => "AmazonDMSVPCManagementRole",
            Self::DmsCloudwatchLogsRole => "AmazonDMSCloudWatchLogsRole",
            Self::DmsAccessForEndpoint => "AmazonDMSRedshiftS3Role",
        };
        format!("arn:{partition}:iam::aws:policy/service-role/{name}")
    }

    /// The preset as a state: its name if the role has all of it, else its name and what is lacking.
    /// What a role has beyond the preset is other users' business.
    pub(super) fn state(self, trust: &Value, attached: &[String]) -> String {
        let mut lacking = Vec::new();
        let services = policy::not_trusted(trust, self.services());
        if !services.is_empty() {
            lacking.push(format!("trust in {}", services.join(", ")));
        }
        // The partition is the role's own; only the policy's name tells policies apart.
        let wanted = self.policy_arn("aws");
        let wanted = wanted.rsplit('/').next().unwrap_or_default();
        if !attached.iter().any(|arn| arn.contains(":iam::aws:policy/") && arn.rsplit('/').next() == Some(wanted)) {
            lacking.push(format!("policy {wanted}"));
        }
        if lacking.is_empty() {
            self.name().to_owned()
        } else {
            format!("{} without {}", self.name(), lacking.join(" and "))
        }
    }
}

/// A role that exists as a block: a preset says everything; else the trust is the document it is.
pub(super) fn declare(found: &Found<'_>, mut state: Value) -> Value {
    if let Some(map) = state.as_object_mut() {
        map.remove("trust");
    }
    match Preset::ALL.into_iter().find(|preset| preset.name() == found.object.identity) {
        Some(preset) => json!({ "preset": preset }),
        None => found.without(state, &json!({ "path": "/", "max_session_seconds": 3600 })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_with_more_is_complete_and_one_with_less_says_what_it_lacks() {
        let preset = Preset::DmsAccessForEndpoint;
        let attached = vec![preset.policy_arn("aws"), "arn:aws:iam::111122223333:policy/own".to_owned()];
        let mut services = preset.services().to_vec();
        services.push("ec2.amazonaws.com");
        assert_eq!(preset.state(&policy::trust(&services), &attached), "dms-access-for-endpoint");
        assert_eq!(
            preset.state(&policy::trust(&["dms.amazonaws.com", "redshift.amazonaws.com"]), &attached[1..]),
            "dms-access-for-endpoint without trust in redshift-serverless.amazonaws.com and policy \
             AmazonDMSRedshiftS3Role"
        );
    }

    #[test]
    fn names_are_those_of_the_stack_file() {
        for preset in Preset::ALL {
            assert_eq!(serde_json::to_value(preset).unwrap(), preset.name());
        }
    }
}
