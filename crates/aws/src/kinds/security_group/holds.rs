//! What keeps a group from going: rules and interfaces that name it. What of that is the stack's own
//! or nobody's is taken away; what is somebody else's is named and left.

use aws_sdk_ec2::types::SecurityGroup as Live;
use towpath_engine::fault::Fault;
use towpath_engine::kind::{Object, tag};

use super::SecurityGroup;
use super::rules::Direction;
use crate::cloud::ec2_tags;

impl SecurityGroup {
    /// Takes away what keeps groups alive for no reason: own rules that name other groups (two groups
    /// that name each other could never go), and interfaces that DMS left behind.
    pub(super) async fn clear(&self, group: &str) -> Result<(), Fault> {
        self.revoke_naming(group, |other| other != group).await?;
        super::super::ec2_interfaces::clear(&self.cloud, "group-id", group).await
    }

    /// Takes the rules that name a group away from the stack's other groups: made again, the group
    /// has another id, and rules that name that are written by the updates of their own groups.
    /// Without this neither could come first. Groups of others keep theirs, and the group stays.
    pub(super) async fn forget(&self, group: &Object) -> Result<(), Fault> {
        let Some((stack, _)) = group.owner() else { return Ok(()) };
        for other in self.groups(None).await? {
            let is_ours = ec2_tags(other.tags()).get(tag::STACK).is_some_and(|owner| owner == stack);
            if is_ours && other.group_id() != Some(&group.identity) && names(&other, &group.identity) {
                let id = other.group_id().unwrap_or_default();
                self.revoke_naming(id, |named| named == group.identity).await?;
            }
        }
        Ok(())
    }

    /// Takes the rules of a group away that name groups which `fits` says.
    async fn revoke_naming(&self, group: &str, fits: impl Fn(&str) -> bool) -> Result<(), Fault> {
        let rules = self.rules(group).await?;
        for direction in [Direction::Ingress, Direction::Egress] {
            let crossing = rules.iter().filter(|rule| {
                let other = rule.referenced_group_info().and_then(|other| other.group_id());
                rule.is_egress().unwrap_or_default() == (direction == Direction::Egress) && other.is_some_and(&fits)
            });
            let ids = crossing.filter_map(|rule| rule.security_group_rule_id.clone()).collect();
            self.revoke(group, ids, direction).await?;
        }
        Ok(())
    }

    /// Who holds a group, in words.
    pub(super) async fn held_by(&self, group: &str) -> Result<Vec<String>, Fault> {
        let mut holders = super::super::vpc::interfaces(&self.cloud, "group-id", group).await?;
        for other in self.groups(None).await? {
            if names(&other, group) && other.group_id() != Some(group) {
                let (id, name) = (other.group_id().unwrap_or_default(), other.group_name().unwrap_or_default());
                holders.push(format!("a rule of security group {id} ({name})"));
            }
        }
        Ok(holders)
    }
}

/// Whether a rule of a group names another one.
fn names(group: &Live, other: &str) -> bool {
    let mut permissions = group.ip_permissions().iter().chain(group.ip_permissions_egress());
    permissions.any(|permission| permission.user_id_group_pairs().iter().any(|pair| pair.group_id() == Some(other)))
}
