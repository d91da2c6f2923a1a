//! `iam/role`: one of the three roles that DMS wants in the account, or a role of one's own.
//!
//! In place: trust, policies, description, session length, boundary, tags. Replacement: name and path.
//! Costs nothing. A preset belongs to the account: it is taken over where it is there, completed where
//! it lacks something, and whatever else it trusts or may do is left alone. Reads are two lists for all
//! roles; service-linked roles are not among them.
//!
//! Long because trust, policies and the account-wide presets share every call that makes a role.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::types::{EntityType, Role as Listed, RoleDetail, Tag};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Found, Kind, Object, Outputs, Pauses, Place, Readiness, Scope, Seconds, Tags,
    physical_name,
};
use towpath_engine::value::Value;

use super::dms_common::{SYNCHRONOUS, SYNCHRONOUS_POLL, text};
use crate::cloud::Cloud;
use crate::fault::{fault, unfinished};

pub(super) mod policy;
mod preset;

pub use preset::Preset;

/// How many roles a page holds at most.
const PAGE: i32 = 1000;

/// The block of an `iam/role`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// One of the roles DMS looks up by name: with it, nothing else is declared. Another one is another
    /// role; the one before is given free and kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// The name. Default: `{stack}-{name}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "IAM cannot rename a role" }))]
    pub name: Option<String>,
    /// Who may take the role on, by service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// Who may take the role on, as a whole policy document; instead of `trust`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_policy: Option<Map<String, Value>>,
    /// ARNs of the managed policies, all of them: others are detached.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "compare": "set" }))]
    pub policies: Option<Vec<String>>,
    /// Policy documents in the role itself by name, all of them: others are deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inline: Option<BTreeMap<String, Map<String, Value>>>,
    /// What the role is for, in at most 1000 characters of Western European languages.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// How long a session lasts at most, in seconds. Default: 3600.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 3600, max = 43200))]
    pub max_session_seconds: Option<i32>,
    /// The path of the ARN. Default: `/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "the path is part of a role's ARN" }))]
    pub path: Option<String>,
    /// ARN of the managed policy beyond which the role may never go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions_boundary: Option<String>,
}

/// `trust: {services: [...]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// Services by their principal, e.g. `dms.amazonaws.com`.
    pub services: Vec<String>,
}

/// The kind `iam/role`.
pub struct Role {
    cloud: Cloud,
}

impl Role {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }

    async fn details(&self) -> Result<Vec<RoleDetail>, Fault> {
        let call = self.cloud.iam().await.get_account_authorization_details().filter(EntityType::Role);
        let pages = call.into_paginator().page_size(PAGE).send().collect::<Result<Vec<_>, _>>().await;
        let pages = pages.map_err(fault("iam:GetAccountAuthorizationDetails"))?;
        Ok(pages.into_iter().flat_map(|page| page.role_detail_list.unwrap_or_default()).collect())
    }

    /// Descriptions and session lengths, which the details lack.
    async fn summaries(&self) -> Result<BTreeMap<String, Listed>, Fault> {
        let call = self.cloud.iam().await.list_roles();
        let pages = call.into_paginator().page_size(PAGE).items().send().collect::<Result<Vec<_>, _>>().await;
        let roles = pages.map_err(fault("iam:ListRoles"))?;
        Ok(roles.into_iter().map(|role| (role.role_name.clone(), role)).collect())
    }

    async fn put_trust(&self, role: &str, document: &Value) -> Result<(), Fault> {
        let call = self.cloud.iam().await.update_assume_role_policy();
        let call = call.role_name(role).policy_document(document.to_string());
        call.send().await.map(drop).map_err(fault("iam:UpdateAssumeRolePolicy"))
    }

    async fn attach(&self, role: &str, arn: &str) -> Result<(), Fault> {
        let call = self.cloud.iam().await.attach_role_policy().role_name(role).policy_arn(arn);
        call.send().await.map(drop).map_err(fault("iam:AttachRolePolicy"))
    }

    async fn detach(&self, role: &str, arn: &str) -> Result<(), Fault> {
        let call = self.cloud.iam().await.detach_role_policy().role_name(role).policy_arn(arn);
        done_or_gone(call.send().await.map(drop).map_err(fault("iam:DetachRolePolicy")))
    }

    async fn put_inline(&self, role: &str, name: &str, document: &Value) -> Result<(), Fault> {
        let call = self.cloud.iam().await.put_role_policy().role_name(role).policy_name(name);
        let call = call.policy_document(document.to_string());
        call.send().await.map(drop).map_err(fault("iam:PutRolePolicy"))
    }

    async fn delete_inline(&self, role: &str, name: &str) -> Result<(), Fault> {
        let call = self.cloud.iam().await.delete_role_policy().role_name(role).policy_name(name);
        done_or_gone(call.send().await.map(drop).map_err(fault("iam:DeleteRolePolicy")))
    }

    /// Whether a role that is there already is one to go on with: made by a create with these tags
    /// whose answer was lost, or a preset, which belongs to everybody.
    async fn made_before(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<bool, Fault> {
        if spec.preset.is_some() {
            return Ok(true);
        }
        let answer = self.cloud.iam().await.get_role().role_name(name).send().await.map_err(fault("iam:GetRole"))?;
        let live = answer.role.and_then(|role| role.tags).unwrap_or_default();
        Ok(super::same_owner(tags, &live.into_iter().map(|tag| (tag.key, tag.value)).collect()))
    }

    /// Gives a new role its policies.
    async fn furnish(&self, name: &str, spec: &Spec) -> Result<(), Fault> {
        if let Some(preset) = spec.preset {
            return self.complete(name, preset).await;
        }
        for arn in spec.policies.iter().flatten() {
            self.attach(name, arn).await?;
        }
        for (policy, document) in spec.inline.iter().flatten() {
            self.put_inline(name, policy, &Value::Object(document.clone())).await?;
        }
        Ok(())
    }

    /// Gives a role what its preset lacks.
    async fn complete(&self, role: &str, preset: Preset) -> Result<(), Fault> {
        let answer = self.cloud.iam().await.get_role().role_name(role).send().await.map_err(fault("iam:GetRole"))?;
        let document = answer.role.and_then(|role| role.assume_role_policy_document).unwrap_or_default();
        let document = policy::decode(&document).unwrap_or_default();
        let missing = policy::not_trusted(&document, preset.services());
        if !missing.is_empty() {
            self.put_trust(role, &policy::trusting(&document, &missing)).await?;
        }
        self.attach(role, &preset.policy_arn(&self.cloud.place().partition)).await
    }

    /// Detaches and deletes all policies of a role but the wanted ones, and adds those.
    async fn put_policies(&self, object: &Object, wanted: &[String]) -> Result<(), Fault> {
        let live = attached(object);
        for arn in wanted.iter().filter(|arn| !live.contains(arn)) {
            self.attach(&object.identity, arn).await?;
        }
        for arn in live.iter().filter(|arn| !wanted.contains(arn)) {
            self.detach(&object.identity, arn).await?;
        }
        Ok(())
    }

    async fn put_inlines(&self, object: &Object, wanted: &BTreeMap<String, Map<String, Value>>) -> Result<(), Fault> {
        let live = &object.state["inline"];
        for (name, document) in wanted {
            let document = Value::Object(document.clone());
            if live.get(name).is_none_or(|live| policy::canonical(live) != policy::canonical(&document)) {
                self.put_inline(&object.identity, name, &document).await?;
            }
        }
        for name in inline_names(object).iter().filter(|name| !wanted.contains_key(*name)) {
            self.delete_inline(&object.identity, name).await?;
        }
        Ok(())
    }

    async fn put_boundary(&self, role: &str, boundary: Option<&String>) -> Result<(), Fault> {
        let client = self.cloud.iam().await;
        if let Some(arn) = boundary {
            let call = client.put_role_permissions_boundary().role_name(role).permissions_boundary(arn);
            return call.send().await.map(drop).map_err(fault("iam:PutRolePermissionsBoundary"));
        }
        let call = client.delete_role_permissions_boundary().role_name(role);
        done_or_gone(call.send().await.map(drop).map_err(fault("iam:DeleteRolePermissionsBoundary")))
    }

    /// Sends both members always: what UpdateRole is not given, it sets to its default.
    async fn put_summary(&self, object: &Object, spec: &Spec) -> Result<(), Fault> {
        let live = |field: &str| object.state.get(field);
        let description = spec.description.clone().or_else(|| Some(live("description")?.as_str()?.to_owned()));
        let seconds = spec.max_session_seconds.or_else(|| i32::try_from(live("max_session_seconds")?.as_i64()?).ok());
        let call = self.cloud.iam().await.update_role().role_name(&object.identity);
        let call = call.set_description(Some(description.unwrap_or_default())).set_max_session_duration(seconds);
        call.send().await.map(drop).map_err(fault("iam:UpdateRole"))
    }
}

/// Takes "it is not there" as done.
fn done_or_gone(result: Result<(), Fault>) -> Result<(), Fault> {
    match result {
        Err(fault) if fault.is_not_found() => Ok(()),
        other => other,
    }
}

fn attached(object: &Object) -> Vec<String> {
    let arns = object.state["policies"].as_array().into_iter().flatten();
    arns.filter_map(|arn| arn.as_str().map(str::to_owned)).collect()
}

fn inline_names(object: &Object) -> Vec<String> {
    object.state["inline"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// The declared trust as a document.
fn trust_of(spec: &Spec) -> Option<Value> {
    match (&spec.preset, &spec.trust, &spec.trust_policy) {
        (Some(preset), _, _) => Some(policy::trust(preset.services())),
        (None, Some(trust), _) => Some(policy::trust(&trust.services)),
        (None, None, Some(document)) => Some(Value::Object(document.clone())),
        (None, None, None) => None,
    }
}

fn object(detail: RoleDetail, summary: Option<&Listed>) -> Object {
    let identity = detail.role_name.unwrap_or_default();
    let arn = detail.arn.unwrap_or_default();
    let trust = detail.assume_role_policy_document.as_deref().and_then(policy::decode).unwrap_or_default();
    let attached: Vec<String> =
        detail.attached_managed_policies.into_iter().flatten().filter_map(|policy| policy.policy_arn).collect();
    let inline: BTreeMap<String, Value> = detail
        .role_policy_list
        .into_iter()
        .flatten()
        .filter_map(|one| Some((one.policy_name?, policy::decode(&one.policy_document?)?)))
        .collect();
    let boundary = detail.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn);
    let mut state = json!({
        "name": identity,
        "trust": policy::short_trust(&trust),
        "trust_policy": trust,
        "policies": attached,
        "inline": inline,
        "path": detail.path,
    });
    if let Some(preset) = Preset::ALL.into_iter().find(|preset| preset.name() == identity) {
        state["preset"] = json!(preset.state(&trust, &attached));
    }
    if let Some(boundary) = boundary {
        state["permissions_boundary"] = json!(boundary);
    }
    if let Some(summary) = summary {
        if let Some(description) = summary.description().filter(|text| !text.is_empty()) {
            state["description"] = json!(description);
        }
        if let Some(seconds) = summary.max_session_duration {
            state["max_session_seconds"] = json!(seconds);
        }
    }
    let tags = detail.tags.into_iter().flatten().map(|tag| (tag.key, tag.value)).collect();
    Object {
        outputs: Outputs::from([("arn".to_owned(), json!(arn)), ("name".to_owned(), json!(identity))]),
        state,
        tags: Some(tags),
        readiness: Readiness::Ready,
        running: false,
        pending: Value::Null,
        identity,
    }
}

fn sdk_tags(tags: &Tags) -> Result<Vec<Tag>, Fault> {
    let tag = |(key, value): (&String, &String)| {
        Tag::builder()
            .key(key)
            .value(value)
            .build()
            .map_err(|error| Fault::local(FaultClass::Invalid, "iam:TagRole", error.to_string()))
    };
    tags.iter().map(tag).collect()
}

/// The most characters that all policies in a role may have.
const INLINE_SIZE: usize = 10_240;

/// Whether IAM takes a path: "(\u002F)|(\u002F[\u0021-\u007E]+\u002F)" (API reference, `CreateRole`).
fn is_path(path: &str) -> bool {
    let inside = path.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    path == "/"
        || path.len() <= 512
            && inside.is_some_and(|inside| !inside.is_empty() && inside.bytes().all(|one| one.is_ascii_graphic()))
}

/// Whether a policy document says anything.
fn has_statements(document: &Map<String, Value>) -> bool {
    match document.get("Statement") {
        Some(Value::Array(statements)) => !statements.is_empty(),
        statement => statement.is_some_and(Value::is_object),
    }
}

impl Kind for Role {
    const NAME: &'static str = "iam/role";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "A role that services take on: one of the three of DMS, or one's own.",
            create: Seconds::new(1.0, 3.0, 120.0),
            update: SYNCHRONOUS,
            delete: Seconds::new(1.0, 3.0, 120.0),
            poll: SYNCHRONOUS_POLL,
            pauses: Pauses::Nothing,
            holds: None,
            name_limit: 64,
            taggable: true,
            assigned_identity: false,
        }
    }

    fn name(&self, place: &Place, name: &str, spec: &Spec) -> String {
        match (&spec.preset, &spec.name) {
            (Some(preset), _) => preset.name().to_owned(),
            (None, Some(name)) => name.clone(),
            (None, None) => physical_name(place, name, 64),
        }
    }

    fn predict(&self, place: &Place, identity: &str, spec: &Spec) -> Outputs {
        let path = spec.path.as_deref().unwrap_or("/");
        let arn = format!("arn:{}:iam::{}:role{path}{identity}", place.partition, place.account);
        Outputs::from([("arn".to_owned(), json!(arn)), ("name".to_owned(), json!(identity))])
    }

    fn is_shared(&self, spec: &Spec) -> bool {
        spec.preset.is_some()
    }

    fn check(&self, spec: &Spec) -> Vec<(String, String)> {
        let mut mistakes = Vec::new();
        let mut wrong = |field: &str, text: &str| mistakes.push((field.to_owned(), text.to_owned()));
        let declared = serde_json::to_value(spec).unwrap_or_default();
        if let Some(preset) = spec.preset {
            let others = declared.as_object().into_iter().flatten().filter(|(field, _)| *field != "preset");
            for (field, _) in others {
                wrong(field, &format!("`{}` says everything about the role; leave this out", preset.name()));
            }
            return mistakes;
        }
        match (&spec.trust, &spec.trust_policy) {
            (None, None) => wrong("trust", "say who may take the role on: `preset`, `trust` or `trust_policy`"),
            (Some(_), Some(_)) => wrong("trust", "write either `trust` or `trust_policy`"),
            (Some(trust), None) if trust.services.is_empty() => wrong("trust.services", "name at least one service"),
            _ => {}
        }
        let allowed = |name: &str| name.chars().all(|one| one.is_ascii_alphanumeric() || "_+=,.@-".contains(one));
        if spec.name.as_ref().is_some_and(|name| name.is_empty() || name.len() > 64 || !allowed(name)) {
            wrong("name", "a role's name is 1 to 64 letters, digits and _+=,.@-");
        }
        if spec.path.as_ref().is_some_and(|path| !is_path(path)) {
            wrong("path", "a path begins and ends with `/`, has no spaces and at most 512 characters");
        }
        // "[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*" (API reference, `CreateRole`, `Description`).
        let is_latin = |one: char| matches!(one, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}');
        if spec.description.as_ref().is_some_and(|text| !text.chars().all(is_latin)) {
            wrong("description", "IAM takes no letters beyond those of Western European languages here");
        }
        if spec.permissions_boundary.as_ref().is_some_and(|arn| !arn.contains(":policy/")) {
            wrong("permissions_boundary", "write the ARN of a managed policy");
        }
        // "Role policy size can't exceed 10,240 characters"; "IAM doesn't count white space" ("IAM and AWS STS quotas").
        let size = |document: &Map<String, Value>| {
            Value::Object(document.clone()).to_string().chars().filter(|one| *one != ' ').count()
        };
        if spec.inline.iter().flat_map(BTreeMap::values).map(size).sum::<usize>() > INLINE_SIZE {
            wrong("inline", "the policies in a role have at most 10,240 characters together");
        }
        for (name, document) in spec.inline.iter().flatten() {
            if !has_statements(document) {
                wrong(&format!("inline.{name}"), "a policy document has a `Statement`");
            }
        }
        if spec.trust_policy.as_ref().is_some_and(|document| !has_statements(document)) {
            wrong("trust_policy", "a policy document has a `Statement`");
        }
        for name in spec.inline.iter().flat_map(BTreeMap::keys).filter(|name| name.len() > 128 || !allowed(name)) {
            wrong(&format!("inline.{name}"), "a policy's name is 1 to 128 letters, digits and _+=,.@-");
        }
        for (at, arn) in spec.policies.iter().flatten().enumerate().filter(|(_, arn)| !arn.contains(":policy/")) {
            wrong(&format!("policies[{at}]"), &format!("`{arn}` is no ARN of a managed policy"));
        }
        mistakes
    }

    fn normalise(&self, mut value: Value) -> Value {
        let Some(map) = value.as_object_mut() else { return value };
        if let Some(trust) = map.get_mut("trust") {
            if let Value::Array(services) = &trust["services"] {
                let services: Vec<&str> = services.iter().filter_map(Value::as_str).collect();
                *trust = policy::trust(&services);
            }
            *trust = policy::canonical(trust);
        }
        if let Some(document) = map.get_mut("trust_policy") {
            *document = policy::canonical(document);
        }
        for document in map.get_mut("inline").and_then(Value::as_object_mut).into_iter().flatten() {
            *document.1 = policy::canonical(document.1);
        }
        value
    }

    fn declare(&self, found: &Found<'_>, state: Value) -> Value {
        preset::declare(found, state)
    }

    async fn list(&self, _scope: &Scope) -> Result<Vec<Object>, Fault> {
        let (details, summaries) = futures::join!(self.details(), self.summaries());
        let summaries = summaries?;
        let own = |detail: &RoleDetail| !detail.path().is_some_and(|path| path.starts_with("/aws-service-role/"));
        let details = details?.into_iter().filter(own);
        Ok(details
            .map(|detail| {
                let summary = detail.role_name().and_then(|name| summaries.get(name));
                object(detail.clone(), summary)
            })
            .collect())
    }

    async fn create(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        let description =
            spec.description.clone().or_else(|| spec.preset.map(|_| "For DMS, made by towpath".to_owned()));
        let call = self.cloud.iam().await.create_role().role_name(name).set_tags(Some(sdk_tags(tags)?));
        let call = call
            .assume_role_policy_document(trust_of(spec).unwrap_or_default().to_string())
            .set_path(spec.path.clone())
            .set_description(description)
            .set_max_session_duration(spec.max_session_seconds)
            .set_permissions_boundary(spec.permissions_boundary.clone());
        match call.send().await.map_err(fault("iam:CreateRole")) {
            Err(fault) if fault.class == FaultClass::AlreadyExists && self.made_before(name, spec, tags).await? => {}
            other => drop(other?),
        }
        self.furnish(name, spec).await.map_err(unfinished)?;
        Ok(name.to_owned())
    }

    async fn update(&self, object: &Object, spec: &Spec, fields: &[String]) -> Result<(), Fault> {
        let role = object.identity.as_str();
        let fields: BTreeSet<&str> = fields.iter().map(String::as_str).collect();
        if let Some(preset) = spec.preset {
            return self.complete(role, preset).await;
        }
        if let Some(document) = trust_of(spec).filter(|_| fields.contains("trust_policy") || fields.contains("trust")) {
            self.put_trust(role, &document).await?;
        }
        if fields.contains("policies") {
            self.put_policies(object, spec.policies.as_deref().unwrap_or_default()).await?;
        }
        if fields.contains("inline") {
            self.put_inlines(object, &spec.inline.clone().unwrap_or_default()).await?;
        }
        if fields.contains("permissions_boundary") {
            self.put_boundary(role, spec.permissions_boundary.as_ref()).await?;
        }
        if fields.contains("description") || fields.contains("max_session_seconds") {
            self.put_summary(object, spec).await?;
        }
        Ok(())
    }

    async fn delete(&self, object: &Object, _options: &DeleteOptions) -> Result<(), Fault> {
        self.put_policies(object, &[]).await?;
        self.put_inlines(object, &BTreeMap::new()).await?;
        let call = self.cloud.iam().await.delete_role().role_name(&object.identity);
        call.send().await.map(drop).map_err(fault("iam:DeleteRole"))
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        let call = self.cloud.iam().await.tag_role().role_name(&object.identity).set_tags(Some(sdk_tags(tags)?));
        call.send().await.map(drop).map_err(fault("iam:TagRole"))
    }

    async fn holders(&self, object: &Object) -> Result<Vec<String>, Fault> {
        let name = text(object, "name").unwrap_or_else(|| object.identity.clone());
        let call = self.cloud.iam().await.list_instance_profiles_for_role().role_name(name);
        let profiles = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
        let profiles = profiles.map_err(fault("iam:ListInstanceProfilesForRole"))?;
        Ok(profiles.into_iter().map(|profile| format!("instance profile {}", profile.instance_profile_name)).collect())
    }

    fn examples(&self, place: &Place) -> Vec<Example> {
        let reading = json!({
            "Version": "2012-10-17",
            "Statement": [{ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::dms-club-staging/*" }],
        });
        let writing = json!({
            "Version": "2012-10-17",
            "Statement": { "Effect": "Allow", "Action": ["s3:PutObject"], "Resource": "arn:aws:s3:::dms-club-staging/*" },
        });
        let aws = |name: &str| format!("arn:{}:iam::aws:policy/{name}", place.partition);
        let first = json!({
            "trust": { "services": ["dms.amazonaws.com"] },
            "policies": [aws("service-role/AmazonDMSRedshiftS3Role")],
            "inline": { "staging": reading },
            "description": "reads the staging bucket",
        });
        let changed = json!({
            "trust": { "services": ["redshift.amazonaws.com", "dms.amazonaws.com"] },
            "policies": [aws("AmazonS3FullAccess")],
            "inline": { "write": writing },
            "description": "writes it as well",
            "max_session_seconds": 7200,
        });
        let own = Example { name: "reader", spec: first, changed: vec![changed] };
        let presets = Preset::ALL.into_iter().map(|preset| Example {
            name: preset.name(),
            spec: json!({ "preset": preset.name() }),
            changed: Vec::new(),
        });
        presets.chain([own]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use towpath_engine::diff;
    use towpath_engine::kind::Of;

    #[test]
    fn services_are_compared_as_the_trust_policy_they_make() {
        let kind = Of::new(Role::new(Cloud::offline()));
        let declared = json!({ "trust": { "services": ["b.amazonaws.com", "a.amazonaws.com"] } });
        let live = |services: &[&str]| {
            let document = policy::trust(services);
            json!({ "trust": policy::short_trust(&document), "trust_policy": document })
        };
        let both = live(&["a.amazonaws.com", "b.amazonaws.com"]);
        assert!(diff::compare(&kind, &declared, &both, &Value::Null).is_empty());
        let other = live(&["a.amazonaws.com"]);
        assert_eq!(diff::compare(&kind, &declared, &other, &Value::Null).changes[0].path, "trust");
    }

    #[test]
    fn a_role_needs_one_trust_and_a_preset_nothing_else() {
        let kind = Role::new(Cloud::offline());
        let fields = |spec: Value| -> Vec<String> {
            let spec = serde_json::from_value(spec).unwrap();
            kind.check(&spec).into_iter().map(|(field, _)| field).collect()
        };
        assert_eq!(fields(json!({})), ["trust"]);
        assert_eq!(fields(json!({ "trust": { "services": [] }, "path": "x" })), ["trust.services", "path"]);
        assert_eq!(fields(json!({ "preset": "dms-vpc-role", "name": "mine" })), ["name"]);
        assert_eq!(fields(json!({ "preset": "dms-vpc-role" })), [""; 0]);
    }

    #[test]
    fn the_arn_is_known_before_the_role_is() {
        let kind = Role::new(Cloud::offline());
        let place = Cloud::offline().place();
        let spec = Spec { path: Some("/team/".to_owned()), ..Spec::default() };
        assert_eq!(kind.predict(&place, "x", &spec)["arn"], "arn:aws:iam::111122223333:role/team/x");
    }
}
