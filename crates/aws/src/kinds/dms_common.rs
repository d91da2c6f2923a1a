//! What all DMS kinds share: ARNs that are known before the object is, tags in batches, and the
//! durations of calls that are done when they return.
//!
//! Nothing here knows a particular kind. DMS folds identifiers to lower case; so does every name
//! made by [`physical_name`].

use std::collections::HashMap;

use aws_sdk_databasemigration::types::{Filter, ReplicationConfig, Tag};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde::Serialize;
use sha2::{Digest, Sha256};
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::{Object, Place, Poll, Seconds, Tags, physical_name};
use towpath_engine::value::{Map, Value};

use crate::cloud::Cloud;
use crate::fault::fault;

/// The longest `ResourceIdentifier` DMS takes.
const RESOURCE_IDENTIFIER_LIMIT: usize = 31;

/// The longest name of a data provider, an instance profile or a migration project (CloudFormation's public resource schemas
/// `AWS::DMS::DataProvider`, `AWS::DMS::InstanceProfile`, `AWS::DMS::MigrationProject`: `maxLength` 255).
pub(super) const NAME_LIMIT: usize = 255;

/// How many ARNs are put into one `ListTagsForResource`.
const TAG_BATCH: usize = 100;

/// A call that is finished when it returns.
pub(super) const SYNCHRONOUS: Seconds = Seconds::new(1.0, 2.0, 10.0);

/// Looking at something that needs no waiting, save for reads that lag behind.
pub(super) const SYNCHRONOUS_POLL: Poll = Poll { first: 0.0, interval: 2.0, give_up: 300.0, stable: 1 };

/// The name of a DMS object: the declared one in lower case, or `{stack}-{name}`. DMS refuses a
/// digit in front and doubled or final hyphens.
pub(super) fn identifier(place: &Place, name: &str, declared: Option<&String>, limit: usize) -> String {
    let whole = declared.map_or_else(|| physical_name(place, name, limit), |name| name.to_lowercase());
    let mut folded = String::with_capacity(whole.len());
    for letter in whole.chars() {
        if letter != '-' || !folded.ends_with('-') {
            folded.push(letter);
        }
    }
    folded.trim_end_matches('-').to_owned()
}

/// Brings the declared or live name of a DMS object to the form in which DMS keeps it.
pub(super) fn fold_name(value: &mut Value) {
    if let Some(Value::String(name)) = value.get_mut("name") {
        *name = name.to_lowercase();
    }
}

/// A mistake in a declared DMS name, if there is one.
pub(super) fn check_name(name: Option<&String>, limit: usize) -> Option<(String, String)> {
    let name = name?;
    let starts_well = name.chars().next().is_some_and(|letter| letter.is_ascii_alphabetic());
    let is_clean = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    if starts_well && is_clean && !name.contains("--") && !name.ends_with('-') && name.len() <= limit {
        return None;
    }
    let rule = format!(
        "a DMS name starts with a letter, holds letters, digits and single hyphens, does not end in a hyphen and has \
         at most {limit} characters"
    );
    Some(("name".to_owned(), rule))
}

/// A mistake in a declared maintenance window, if there is one: "Format: ddd:hh24:mi-ddd:hh24:mi", "Minimum 30-minute window"
/// (API reference, `CreateReplicationInstance`).
pub(super) fn check_window(window: Option<&String>) -> Option<(String, String)> {
    let window = window?;
    let length = window.split_once('-').and_then(|(from, to)| Some(minute_of_week(to)? - minute_of_week(from)?));
    let rule = match length.map(|minutes| minutes.rem_euclid(WEEK)) {
        None => "write a weekly window in UTC as two days and times, e.g. sun:06:00-sun:06:30",
        Some(minutes) if minutes < 30 => "a maintenance window lasts at least 30 minutes",
        Some(_) => return None,
    };
    Some(("maintenance_window".to_owned(), rule.to_owned()))
}

/// The minutes of a week.
const WEEK: i32 = 7 * 24 * 60;

/// `ddd:hh:mm` as minutes since the beginning of the week.
fn minute_of_week(text: &str) -> Option<i32> {
    let parts: Vec<&str> = text.split(':').collect();
    let [day, hour, minute] = parts[..] else { return None };
    let day =
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].iter().position(|name| day.eq_ignore_ascii_case(name))?;
    let two = |text: &str, most: i32| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i32>().ok().filter(|number| digits && *number <= most)
    };
    Some((i32::try_from(day).ok()? * 24 + two(hour, 23)?) * 60 + two(minute, 59)?)
}

/// A mistake in declared name servers, if there is one: "a comma-separated list of internet addresses for up to four on-premise
/// DNS name servers" (API reference, `CreateReplicationInstance`).
pub(super) fn check_name_servers(servers: Option<&String>) -> Option<(String, String)> {
    let servers: Vec<&str> = servers?.split(',').map(str::trim).collect();
    let is_address = |server: &&str| server.parse::<std::net::IpAddr>().is_ok();
    let rule = "write the addresses of one to four name servers, separated by commas, e.g. 10.0.0.2,10.0.0.3";
    let fits = servers.len() <= 4 && servers.iter().all(is_address);
    (!fits).then(|| ("dns_servers".to_owned(), rule.to_owned()))
}

/// The `ResourceIdentifier` given at creation, which becomes the end of the ARN: the identity
/// itself, or where that is too long its beginning and a hash of the whole.
pub(crate) fn resource_identifier(identity: &str) -> String {
    if identity.len() <= RESOURCE_IDENTIFIER_LIMIT {
        return identity.to_owned();
    }
    let digest = Sha256::digest(identity.as_bytes());
    let hash = format!("{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
    let kept = identity[..RESOURCE_IDENTIFIER_LIMIT - hash.len() - 1].trim_end_matches('-');
    format!("{kept}-{hash}")
}

/// The ARN of a DMS object; `thing` is `rep`, `endpoint`, `task` or `subgrp`.
pub(crate) fn arn(place: &Place, thing: &str, id: &str) -> String {
    format!("arn:{}:dms:{}:{}:{thing}:{id}", place.partition, place.region, place.account)
}

/// Tags as the SDK wants them.
pub(super) fn sdk_tags(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// Reads the tags of all objects that have an `arn`, many in a call.
pub(super) async fn read_tags(cloud: &Cloud, objects: &mut [Object]) -> Result<(), Fault> {
    for batch in objects.chunks_mut(TAG_BATCH) {
        let arns: Vec<String> = batch.iter().filter_map(|object| text(object, "arn")).collect();
        match list_tags(cloud, &arns).await {
            Ok(tags) => give_tags(batch, &tags),
            // One of them went away since it was listed: ask for each by itself.
            Err(fault) if fault.is_not_found() => {
                for object in batch {
                    let Some(arn) = text(object, "arn") else { continue };
                    match list_tags(cloud, &[arn]).await {
                        Ok(tags) => give_tags(std::slice::from_mut(object), &tags),
                        Err(fault) if fault.is_not_found() => {}
                        Err(fault) => return Err(fault),
                    }
                }
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

/// Puts the ARN in the place of a secret's name or of a part of its ARN: DMS takes "the full ARN, partial ARN, or friendly
/// name" (API reference, `PostgreSQLSettings`) and answers with what it was given, and towpath declares secrets by ARN.
pub(super) async fn whole_secrets(cloud: &Cloud, objects: &mut [Object], fields: &[&str]) -> Result<(), Fault> {
    for object in objects {
        for field in fields {
            let Some(Value::String(id)) = object.state.pointer_mut(field) else { continue };
            if is_whole(id) {
                continue;
            }
            let call = cloud.secretsmanager().await.describe_secret().secret_id(id.as_str());
            match call.send().await.map_err(fault("secretsmanager:DescribeSecret")) {
                Ok(answer) => *id = answer.arn.unwrap_or_else(|| id.clone()),
                // It stands as it was given, and differs from whatever is declared.
                Err(fault) if fault.is_not_found() || fault.class == FaultClass::Denied => {}
                Err(fault) => return Err(fault),
            }
        }
    }
    Ok(())
}

/// Whether a text is an ARN with the hyphen and six letters and digits that end those of secrets.
fn is_whole(secret: &str) -> bool {
    let end = secret.rsplit_once('-').map(|(_, end)| end);
    secret.starts_with("arn:")
        && end.is_some_and(|end| end.len() == 6 && end.chars().all(|one| one.is_ascii_alphanumeric()))
}

async fn list_tags(cloud: &Cloud, arns: &[String]) -> Result<Vec<Tag>, Fault> {
    let call = cloud.dms().await.list_tags_for_resource();
    // A single ARN goes into the older member, which answers without repeating it.
    let (call, alone) = match arns {
        [] => return Ok(Vec::new()),
        [arn] => (call.resource_arn(arn), Some(arn)),
        many => (call.set_resource_arn_list(Some(many.to_vec())), None),
    };
    let answer = call.send().await.map_err(fault("dms:ListTagsForResource"))?;
    let mut tags = answer.tag_list.unwrap_or_default();
    if let Some(arn) = alone {
        for tag in &mut tags {
            tag.resource_arn = Some(arn.clone());
        }
    }
    Ok(tags)
}

fn give_tags(objects: &mut [Object], tags: &[Tag]) {
    let mut by_arn: HashMap<String, Tags> = HashMap::new();
    for tag in tags {
        if let (Some(arn), Some(key)) = (&tag.resource_arn, &tag.key) {
            let own = by_arn.entry(arn.to_lowercase()).or_default();
            own.insert(key.clone(), tag.value.clone().unwrap_or_default());
        }
    }
    for object in objects {
        let Some(arn) = text(object, "arn") else { continue };
        object.tags = Some(by_arn.remove(&arn.to_lowercase()).unwrap_or_default());
    }
}

/// Adds or overwrites tags.
pub(super) async fn add_tags(cloud: &Cloud, object: &Object, tags: &Tags) -> Result<(), Fault> {
    let call = cloud.dms().await.add_tags_to_resource();
    call.resource_arn(text(object, "arn").unwrap_or_default())
        .set_tags(Some(sdk_tags(tags)))
        .send()
        .await
        .map(drop)
        .map_err(fault("dms:AddTagsToResource"))
}

/// The pages of a list; "there is none" is an empty list (DMS answers filtered reads with a fault).
pub(super) fn pages<P, E>(
    pages: Result<Vec<P>, SdkError<E, HttpResponse>>,
    operation: &'static str,
) -> Result<Vec<P>, Fault>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match pages.map_err(fault(operation)) {
        Err(fault) if fault.is_not_found() => Ok(Vec::new()),
        other => other,
    }
}

/// A spec as the state of an object: what is absent is left out.
pub(super) fn state<S: Serialize>(spec: &S) -> Value {
    serde_json::to_value(spec).expect("a spec is plain data and always serialises")
}

/// The replication tasks that use an object, for explaining why it cannot be deleted.
pub(super) async fn tasks_of(cloud: &Cloud, filter: &str, object: &Object) -> Result<Vec<String>, Fault> {
    let filter = Filter::builder().name(filter).values(text(object, "arn").unwrap_or_default()).build();
    let client = cloud.dms().await;
    // A filter of name and values is always complete; were it not, the list is merely longer.
    let call = client.describe_replication_tasks().without_settings(true).set_filters(filter.ok().map(|one| vec![one]));
    let tasks =
        pages(call.into_paginator().send().collect::<Result<Vec<_>, _>>().await, "dms:DescribeReplicationTasks")?;
    Ok(tasks
        .into_iter()
        .flat_map(|page| page.replication_tasks.unwrap_or_default())
        .map(|task| {
            let status = task.status.unwrap_or_default();
            format!("replication task {} ({status})", task.replication_task_identifier.unwrap_or_default())
        })
        .collect())
}

/// The serverless replications of which this holds, for explaining why what they use cannot be deleted.
pub(super) async fn replications_of(
    cloud: &Cloud,
    uses: impl Fn(&ReplicationConfig) -> bool,
) -> Result<Vec<String>, Fault> {
    let pages = cloud.dms().await.describe_replication_configs().into_paginator().send();
    let found = pages.collect::<Result<Vec<_>, _>>().await;
    let found = self::pages(found, "dms:DescribeReplicationConfigs")?;
    let configs = found.into_iter().flat_map(|page| page.replication_configs.unwrap_or_default());
    let using = configs.filter(|config| uses(config));
    Ok(using
        .map(|config| format!("replication {}", config.replication_config_identifier().unwrap_or_default()))
        .collect())
}

/// The output of an object that DMS manages.
const READ_ONLY: &str = "read_only";

/// Notes that an object is read-only, as the service says.
pub(super) fn note_read_only(object: &mut Object, is_read_only: Option<bool>) {
    if is_read_only == Some(true) {
        object.outputs.insert(READ_ONLY.to_owned(), Value::Bool(true));
    }
}

/// Who manages an object that is read-only: "this endpoint is managed by DMS as part of a zero-ETL integration and cannot be
/// modified or deleted directly. You can only modify or delete read-only endpoints through their associated zero-ETL
/// integration" (DMS API reference, `Endpoint.IsReadOnly`, and alike of subnet groups and replication configurations).
pub(super) fn managed_by(object: &Object) -> Option<&'static str> {
    (object.outputs.get(READ_ONLY) == Some(&Value::Bool(true))).then_some("a zero-ETL integration of DMS")
}

/// An output of an object that is text.
pub(super) fn text(object: &Object, output: &str) -> Option<String> {
    object.outputs.get(output).and_then(Value::as_str).map(str::to_owned)
}

/// The members of `declared` that the live value does not have already: DMS merges what it is
/// sent, so nothing else needs to go over the wire, and nothing undeclared is overwritten.
pub(super) fn changed_only(declared: &Value, live: &Value) -> Value {
    let Some(map) = declared.as_object() else { return declared.clone() };
    let changed: Map = map
        .iter()
        .filter(|(key, value)| live.get(key.as_str()) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Value::Object(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn place() -> Place {
        Place {
            stack: "club".into(),
            account: "111122223333".into(),
            region: "eu-north-1".into(),
            partition: "aws".into(),
        }
    }

    #[test]
    fn names_are_lower_case_without_doubled_or_final_hyphens() {
        assert_eq!(identifier(&place(), "my__source_", None, 63), "club-my-source");
        assert_eq!(identifier(&place(), "x", Some(&"My-EP".to_owned()), 63), "my-ep");
        assert!(check_name(Some(&"9-lives".to_owned()), 63).is_some());
        assert!(check_name(Some(&"nine-lives".to_owned()), 63).is_none());
    }

    #[test]
    fn resource_identifiers_fit_and_stay_apart() {
        let long = resource_identifier("club-a-very-long-name-of-an-endpoint-one");
        let other = resource_identifier("club-a-very-long-name-of-an-endpoint-two");
        assert!(long.len() <= 31 && other.len() <= 31, "{long} {other}");
        assert_ne!(long, other);
        assert_eq!(resource_identifier("club-source"), "club-source");
        assert_eq!(
            arn(&place(), "endpoint", "club-source"),
            "arn:aws:dms:eu-north-1:111122223333:endpoint:club-source"
        );
    }

    #[test]
    fn only_members_that_differ_are_sent() {
        let declared = json!({ "a": 1, "b": 2, "c": 3 });
        assert_eq!(changed_only(&declared, &json!({ "a": 1, "b": 5 })), json!({ "b": 2, "c": 3 }));
    }
}
