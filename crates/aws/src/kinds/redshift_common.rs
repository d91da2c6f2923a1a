//! What the kinds of Redshift Serverless share: names, and tags, for which there is no batch call.
//!
//! Which objects are asked for their tags is decided here; how, in `tag_index`.

use std::collections::BTreeMap;

use aws_sdk_redshiftserverless::types::Tag;
use futures::stream::{StreamExt, TryStreamExt};
use towpath_engine::fault::Fault;
use towpath_engine::kind::{Object, Place, Tags, physical_name};
use towpath_engine::value::Value;

use super::dms_common::text;
use crate::cloud::Cloud;
use crate::fault::fault;

/// How many objects are asked for their tags at the same time.
const AT_ONCE: usize = 8;

/// Longest name of a namespace or workgroup.
pub(super) const NAME_LIMIT: usize = 64;

/// The first database of a namespace that names none (Redshift Serverless API reference, `CreateNamespace`).
pub(super) const FIRST_DATABASE: &str = "dev";

/// The port of a workgroup that names none (Redshift Serverless API reference, `CreateWorkgroup`).
const FIRST_PORT: i32 = 5439;

/// How a workgroup is reached: its name, and its port where that is not the usual one. Who goes there compares this,
/// so that another port is seen as another address is.
pub(super) fn reached_at(name: &str, port: Option<i32>) -> String {
    match port {
        Some(port) if port != FIRST_PORT => format!("{name}:{port}"),
        _ => name.to_owned(),
    }
}

/// The workgroup's name in the same.
pub(super) fn reached_name(at: &str) -> &str {
    at.split_once(':').map_or(at, |(name, _)| name)
}

/// The declared name, or `{stack}-{name}`. A declared one is remembered: its object's tags are read.
pub(super) fn name(cloud: &Cloud, place: &Place, name: &str, declared: Option<&String>) -> String {
    match declared {
        Some(name) => {
            cloud.hear(name);
            name.clone()
        }
        None => physical_name(place, name, NAME_LIMIT),
    }
}

/// A mistake in a declared name, if there is one.
pub(super) fn check_name(name: Option<&String>) -> Option<(String, String)> {
    let name = name?;
    let is_clean = name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-');
    let rule = "3 to 64 small letters, digits and hyphens";
    (!is_clean || !(3..=NAME_LIMIT).contains(&name.len())).then(|| ("name".to_owned(), rule.to_owned()))
}

/// Tags as the SDK wants them.
pub(super) fn sdk_tags(tags: &Tags) -> Result<Vec<Tag>, Fault> {
    let one = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    tags.iter().map(one).collect::<Result<_, _>>().map_err(|error| {
        Fault::local(towpath_engine::fault::FaultClass::Invalid, "redshift-serverless:tags", error.to_string())
    })
}

/// Whether an object of this name looks like one of ours: its tags are worth a call of their own.
pub(super) fn is_near(cloud: &Cloud, name: &str) -> bool {
    let prefix = format!("{}-", cloud.place().stack.to_lowercase().replace('_', "-"));
    name.starts_with(&prefix) || cloud.has_heard(name)
}

/// Fills in the tags of `objects`.
pub(super) async fn read_tags(cloud: &Cloud, objects: &mut [Object]) -> Result<(), Fault> {
    let named: Vec<(String, String)> =
        objects.iter().map(|object| (object.identity.clone(), text(object, "arn").unwrap_or_default())).collect();
    for (object, tags) in objects.iter_mut().zip(tags_if_near(cloud, &named).await?) {
        object.tags = tags;
    }
    Ok(())
}

/// The tags of things by name and ARN. The service has no batch read of tags, so only those whose names
/// begin like the stack's or stand in it are asked for theirs, unless the run looks everywhere.
pub(super) async fn tags_if_near(cloud: &Cloud, named: &[(String, String)]) -> Result<Vec<Option<Tags>>, Fault> {
    let everywhere = cloud.looks_everywhere();
    let is_worth = |name: &str, arn: &str| !arn.is_empty() && (everywhere || is_near(cloud, name));
    let near = named.iter().enumerate().filter(|(_, (name, arn))| is_worth(name, arn));
    let (places, arns): (Vec<usize>, Vec<&str>) = near.map(|(place, (_, arn))| (place, arn.as_str())).unzip();
    let mut tags = vec![None; named.len()];
    let mut open = Vec::new();
    for (place, known) in places.into_iter().zip(cloud.tag_index().known(cloud, &arns).await?) {
        if known.is_none() {
            open.push((place, named[place].1.clone()));
        }
        tags[place] = known;
    }
    let asked = futures::stream::iter(open.into_iter().map(|(place, arn)| async move {
        let tags = list_tags(cloud, &arn).await?;
        Ok::<_, Fault>((place, arn, tags))
    }));
    let asked: Vec<_> = asked.buffer_unordered(AT_ONCE).try_collect().await?;
    for (place, arn, found) in asked {
        if let Some(found) = &found {
            cloud.tag_index().keep(&arn, found);
        }
        tags[place] = found;
    }
    Ok(tags)
}

/// The tags of namespaces by their ARNs, of those whose tags [`read_tags`] would read; kinds that ask at
/// the same time share the calls.
pub(super) async fn namespace_tags(cloud: &Cloud) -> Result<BTreeMap<String, Tags>, Fault> {
    let read = async || {
        let named = namespaces(cloud).await?.into_iter();
        let named: Vec<(String, String)> = named.filter_map(|one| one.namespace_name.zip(one.namespace_arn)).collect();
        let tags = tags_if_near(cloud, &named).await?;
        Ok(named.into_iter().zip(tags).filter_map(|((_, arn), tags)| Some((arn, tags?))).collect())
    };
    cloud.shared_namespace_tags().get(read).await
}

/// The tags of an object as they are now; `None` when it is gone.
pub(super) async fn list_tags(cloud: &Cloud, arn: &str) -> Result<Option<Tags>, Fault> {
    let call = cloud.redshift_serverless().await.list_tags_for_resource().resource_arn(arn);
    match call.send().await.map_err(fault("redshift-serverless:ListTagsForResource")) {
        Ok(answer) => Ok(Some(answer.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect())),
        Err(fault) if fault.is_not_found() => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Adds or overwrites tags.
pub(super) async fn add_tags(cloud: &Cloud, object: &Object, tags: &Tags) -> Result<(), Fault> {
    add_tags_to(cloud, &text(object, "arn").unwrap_or_default(), tags).await
}

/// The same for an object that is known by its ARN.
pub(super) async fn add_tags_to(cloud: &Cloud, arn: &str, tags: &Tags) -> Result<(), Fault> {
    let call = cloud.redshift_serverless().await.tag_resource();
    let written = call.resource_arn(arn).set_tags(Some(sdk_tags(tags)?)).send().await;
    // Whatever became of it.
    cloud.tag_index().forget(arn);
    written.map(drop).map_err(fault("redshift-serverless:TagResource"))
}

/// All namespaces of the account and region; kinds that ask at the same time share the call.
pub(super) async fn namespaces(cloud: &Cloud) -> Result<Vec<aws_sdk_redshiftserverless::types::Namespace>, Fault> {
    let read = async || {
        let client = cloud.redshift_serverless().await;
        let pages = client.list_namespaces().into_paginator().send().collect::<Result<Vec<_>, _>>().await;
        let pages = pages.map_err(fault("redshift-serverless:ListNamespaces"))?;
        Ok(pages.into_iter().flat_map(|page| page.namespaces).collect())
    };
    cloud.shared_namespaces().get(read).await
}

/// All workgroups of the account and region; kinds that ask at the same time share the call.
pub(super) async fn workgroups(cloud: &Cloud) -> Result<Vec<aws_sdk_redshiftserverless::types::Workgroup>, Fault> {
    let read = async || {
        let client = cloud.redshift_serverless().await;
        let pages = client.list_workgroups().into_paginator().send().collect::<Result<Vec<_>, _>>().await;
        let pages = pages.map_err(fault("redshift-serverless:ListWorkgroups"))?;
        Ok(pages.into_iter().flat_map(|page| page.workgroups).collect())
    };
    cloud.shared_workgroups().get(read).await
}

/// Removes the members of a state that are not known.
pub(super) fn without_nulls(mut state: Value) -> Value {
    if let Some(map) = state.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    state
}
