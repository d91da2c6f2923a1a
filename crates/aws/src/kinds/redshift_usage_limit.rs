//! `redshift/usage_limit`: a brake on what a workgroup may cost.
//!
//! In place: amount and what happens when it is reached. Replacement: workgroup, usage, period. Costs nothing.
//!
//! Limits carry no tags and no names. One is known by its workgroup, usage and period, of which AWS keeps one
//! each, and whose it is stands in a tag of its workgroup, `towpath:limit:USAGE:PERIOD`: written before the
//! limit is made, so that a run that is killed in between finds it again, and once more with the limit's id
//! afterwards, so that one which somebody makes in its place later is not taken for it.

use std::collections::BTreeMap;

use aws_sdk_redshiftserverless::types::{
    UsageLimit as Live, UsageLimitBreachAction, UsageLimitPeriod, UsageLimitUsageType,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Kind, Object, Outputs, Pauses, Place, Readiness, Scope, Tags, tag,
};
use towpath_engine::value::Value;

use super::dms_common::{SYNCHRONOUS, SYNCHRONOUS_POLL, state, text};
use super::redshift_common;
use crate::cloud::Cloud;
use crate::fault::{fault, unfinished};

/// The block of a `redshift/usage_limit`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The `redshift/workgroup` that is limited.
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "UpdateUsageLimit has no resource",
        "refers_to": { "kinds": ["redshift/workgroup"], "attribute": "name" },
    }))]
    pub workgroup: String,
    /// What is counted. Default: `serverless-compute`, compared even where it is not declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "UpdateUsageLimit has no usage type" }))]
    pub usage: Option<Usage>,
    /// RPU-hours per period; for data sharing terabytes.
    #[schemars(range(min = 1))]
    pub amount: i64,
    /// `daily`, `weekly` (from Sunday) or `monthly`. Default: `monthly`, compared even where it is not
    /// declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "UpdateUsageLimit has no period" }))]
    pub period: Option<Period>,
    /// What happens when it is reached: `log`, `emit-metric` or `deactivate` (no query runs any
    /// more until the period ends). Default: `log`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breach_action: Option<BreachAction>,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Usage {
    /// RPU-hours.
    #[default]
    ServerlessCompute,
    /// Terabytes shared across regions.
    CrossRegionDatasharing,
}

/// How long a limit counts before it begins anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Period {
    /// A day.
    Daily,
    /// A week from Sunday.
    Weekly,
    /// A month.
    #[default]
    Monthly,
}

/// What happens at the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BreachAction {
    /// A line in a system table.
    Log,
    /// A metric as well.
    EmitMetric,
    /// Queries are refused.
    Deactivate,
}

impl BreachAction {
    fn to_sdk(self) -> UsageLimitBreachAction {
        match self {
            Self::Log => UsageLimitBreachAction::Log,
            Self::EmitMetric => UsageLimitBreachAction::EmitMetric,
            Self::Deactivate => UsageLimitBreachAction::Deactivate,
        }
    }
}

impl Usage {
    fn to_sdk(self) -> UsageLimitUsageType {
        match self {
            Self::ServerlessCompute => UsageLimitUsageType::ServerlessCompute,
            Self::CrossRegionDatasharing => UsageLimitUsageType::CrossRegionDatasharing,
        }
    }
}

impl Period {
    fn to_sdk(self) -> UsageLimitPeriod {
        match self {
            Self::Daily => UsageLimitPeriod::Daily,
            Self::Weekly => UsageLimitPeriod::Weekly,
            Self::Monthly => UsageLimitPeriod::Monthly,
        }
    }
}

/// The beginning of the tags of a workgroup that say whose its limits are.
const OWNER: &str = "towpath:limit:";

/// The kind `redshift/usage_limit`.
pub struct UsageLimit {
    cloud: Cloud,
}

impl UsageLimit {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }

    /// Says on the workgroup whose a limit is: before it has an id, and afterwards.
    async fn own(&self, workgroup: &str, limit: &str, id: Option<&str>, tags: &Tags) -> Result<(), Fault> {
        let (Some(stack), Some(resource)) = (tags.get(tag::STACK), tags.get(tag::RESOURCE)) else { return Ok(()) };
        let owner = [Some(stack.as_str()), Some(resource), id].into_iter().flatten().collect::<Vec<_>>().join("/");
        let tags = Tags::from([(owner_tag(limit), owner)]);
        redshift_common::add_tags_to(&self.cloud, workgroup, &tags).await
    }

    async fn workgroup_arn(&self, name: &str) -> Result<String, Fault> {
        const OPERATION: &str = "redshift-serverless:GetWorkgroup";
        let call = self.cloud.redshift_serverless().await.get_workgroup().workgroup_name(name);
        let workgroup = call.send().await.map_err(fault(OPERATION))?.workgroup;
        workgroup
            .and_then(|workgroup| workgroup.workgroup_arn)
            .ok_or_else(|| Fault::local(FaultClass::NotFound, OPERATION, format!("`{name}` has no ARN")))
    }
}

/// What stands for a limit's name: workgroup, usage and period, e.g. `club-wg/serverless-compute/daily`.
fn identity(workgroup: &str, usage: &str, period: &str) -> String {
    format!("{workgroup}/{usage}/{period}")
}

/// The tag of a workgroup that says whose the limit of this identity is.
fn owner_tag(limit: &str) -> String {
    let own = limit.split_once('/').map_or(limit, |(_, own)| own);
    format!("{OWNER}{}", own.replace('/', ":"))
}

/// The tags that a limit would carry, from those of its workgroup. What names another id was said of a limit
/// that is gone.
fn owner(tags: &Tags, limit: &str, id: Option<&str>) -> Tags {
    let parts: Vec<&str> = tags.get(&owner_tag(limit)).map(|said| said.split('/').collect()).unwrap_or_default();
    match parts[..] {
        [stack, resource, ref of @ ..] if of.is_empty() || of.first().copied() == id => {
            Tags::from([(tag::STACK.to_owned(), stack.to_owned()), (tag::RESOURCE.to_owned(), resource.to_owned())])
        }
        _ => Tags::new(),
    }
}

/// A workgroup as its limits know it.
struct Limited {
    name: String,
    /// Its tags, where they were read.
    tags: Option<Tags>,
}

fn object(live: &Live, workgroups: &BTreeMap<String, Limited>) -> Option<Object> {
    let arn = live.resource_arn.as_deref()?;
    let Limited { name: workgroup, tags } = workgroups.get(arn)?;
    let read = |text: &str| serde_json::from_value(json!(text)).ok();
    let usage = live.usage_type.as_ref()?.as_str();
    let period = live.period.as_ref().map_or("monthly", UsageLimitPeriod::as_str);
    let spec = Spec {
        workgroup: workgroup.clone(),
        usage: serde_json::from_value(json!(usage)).ok(),
        amount: live.amount.unwrap_or_default(),
        period: serde_json::from_value(json!(period)).ok(),
        breach_action: live.breach_action.as_ref().and_then(|action| read(action.as_str())),
    };
    let identity = identity(workgroup, usage, period);
    let tags = tags.as_ref().map(|tags| owner(tags, &identity, live.usage_limit_id.as_deref()));
    Some(Object {
        outputs: Outputs::from([
            ("arn".to_owned(), json!(live.usage_limit_arn)),
            ("id".to_owned(), json!(live.usage_limit_id)),
            ("name".to_owned(), json!(identity)),
            ("workgroup_arn".to_owned(), json!(arn)),
        ]),
        state: state(&spec),
        tags,
        readiness: Readiness::Ready,
        running: false,
        pending: Value::Null,
        identity,
    })
}

impl Kind for UsageLimit {
    const NAME: &'static str = "redshift/usage_limit";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "A brake on what a workgroup may cost.",
            create: SYNCHRONOUS,
            update: SYNCHRONOUS,
            delete: SYNCHRONOUS,
            poll: SYNCHRONOUS_POLL,
            pauses: Pauses::Nothing,
            holds: None,
            name_limit: 255,
            taggable: false,
            assigned_identity: false,
        }
    }

    fn name(&self, _place: &Place, _name: &str, spec: &Spec) -> String {
        let word = |value: Value| value.as_str().unwrap_or_default().to_owned();
        let usage = word(json!(spec.usage.unwrap_or_default()));
        identity(&spec.workgroup, &usage, &word(json!(spec.period.unwrap_or_default())))
    }

    fn check(&self, spec: &Spec) -> Vec<(String, String)> {
        let is_small = spec.amount < 1;
        is_small.then(|| ("amount".to_owned(), "a limit is at least 1".to_owned())).into_iter().collect()
    }

    /// Usage and period are part of what a limit is known by, so that their defaults count as declared.
    fn normalise(&self, mut value: Value) -> Value {
        if let Some(map) = value.as_object_mut() {
            map.entry("usage").or_insert(json!(Usage::default()));
            map.entry("period").or_insert(json!(Period::default()));
        }
        value
    }

    async fn list(&self, _scope: &Scope) -> Result<Vec<Object>, Fault> {
        let client = self.cloud.redshift_serverless().await;
        let pages = client.list_usage_limits().into_paginator().send().collect::<Result<Vec<_>, _>>().await;
        let pages = pages.map_err(fault("redshift-serverless:ListUsageLimits"))?;
        let limits: Vec<Live> = pages.into_iter().flat_map(|page| page.usage_limits.unwrap_or_default()).collect();
        if limits.is_empty() {
            return Ok(Vec::new());
        }
        let workgroups = redshift_common::workgroups(&self.cloud).await?;
        let named = workgroups.into_iter().filter_map(|one| one.workgroup_name.zip(one.workgroup_arn));
        let has_limit = |arn: &String| limits.iter().any(|limit| limit.resource_arn.as_ref() == Some(arn));
        let named: Vec<(String, String)> = named.filter(|(_, arn)| has_limit(arn)).collect();
        let tags = redshift_common::tags_if_near(&self.cloud, &named).await?;
        let limited = named.into_iter().zip(tags).map(|((name, arn), tags)| (arn, Limited { name, tags })).collect();
        Ok(limits.iter().filter_map(|limit| object(limit, &limited)).collect())
    }

    async fn create(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        let arn = self.workgroup_arn(&spec.workgroup).await?;
        if self.list(&Scope::All).await?.iter().any(|other| other.identity == name && other.owner().is_none()) {
            return Err(taken(name));
        }
        self.own(&arn, name, None, tags).await?;
        let client = self.cloud.redshift_serverless().await;
        let made = client
            .create_usage_limit()
            .resource_arn(&arn)
            .usage_type(spec.usage.unwrap_or_default().to_sdk())
            .amount(spec.amount)
            .period(spec.period.unwrap_or_default().to_sdk())
            .set_breach_action(spec.breach_action.map(BreachAction::to_sdk))
            .send()
            .await
            .map_err(fault("redshift-serverless:CreateUsageLimit"))?;
        let id = made.usage_limit.and_then(|limit| limit.usage_limit_id);
        self.own(&arn, name, id.as_deref(), tags).await.map_err(unfinished)?;
        Ok(name.to_owned())
    }

    async fn update(&self, object: &Object, spec: &Spec, fields: &[String]) -> Result<(), Fault> {
        let changed = |field: &str| fields.iter().any(|name| name == field);
        let client = self.cloud.redshift_serverless().await;
        client
            .update_usage_limit()
            .usage_limit_id(text(object, "id").unwrap_or_default())
            .set_amount(changed("amount").then_some(spec.amount))
            .set_breach_action(spec.breach_action.filter(|_| changed("breach_action")).map(BreachAction::to_sdk))
            .send()
            .await
            .map(drop)
            .map_err(fault("redshift-serverless:UpdateUsageLimit"))
    }

    async fn delete(&self, object: &Object, _options: &DeleteOptions) -> Result<(), Fault> {
        let client = self.cloud.redshift_serverless().await;
        let call = client.delete_usage_limit().usage_limit_id(text(object, "id").unwrap_or_default());
        call.send().await.map(drop).map_err(fault("redshift-serverless:DeleteUsageLimit"))
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        let arn = text(object, "workgroup_arn").unwrap_or_default();
        // Whose it is stands in one tag: where only the resource changes, the stack is said again.
        let mut whole = object.tags.clone().unwrap_or_default();
        whole.extend(tags.clone());
        self.own(&arn, &object.identity, text(object, "id").as_deref(), &whole).await
    }

    fn examples(&self, _place: &Place) -> Vec<Example> {
        Vec::new()
    }
}

/// The fault of a limit that somebody else has made: what stands on the workgroup must not claim it.
fn taken(name: &str) -> Fault {
    Fault {
        class: FaultClass::AlreadyExists,
        operation: "redshift-serverless:CreateUsageLimit".to_owned(),
        code: "ConflictException".to_owned(),
        message: format!("there is a limit `{name}` already"),
        request_id: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_known_by_workgroup_usage_and_period() {
        let live = Live::builder()
            .usage_limit_id("u-1")
            .resource_arn("arn:w")
            .usage_type(UsageLimitUsageType::ServerlessCompute)
            .period(UsageLimitPeriod::Daily)
            .amount(8)
            .breach_action(UsageLimitBreachAction::EmitMetric)
            .build();
        let tagged = |said: &str| {
            let tags = Tags::from([("towpath:limit:serverless-compute:daily".to_owned(), said.to_owned())]);
            let limited = Limited { name: "club-wg".to_owned(), tags: Some(tags) };
            object(&live, &BTreeMap::from([("arn:w".to_owned(), limited)])).unwrap()
        };
        let ours = tagged("club/cap/u-1");
        assert_eq!(ours.identity, "club-wg/serverless-compute/daily");
        assert_eq!(ours.state["breach_action"], "emit-metric");
        for said in ["club/cap/u-1", "club/cap"] {
            assert_eq!(tagged(said).owner(), Some(("club", "cap")), "{said}");
        }
        for said in ["club/cap/u-0", "club", ""] {
            assert_eq!(tagged(said).owner(), None, "{said}");
        }
        assert_eq!(super::object(&live, &BTreeMap::new()), None, "the workgroup of another account or time");
    }
}
