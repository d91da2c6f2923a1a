//! Who owns what has no tags of its own: marks on the namespace.
//!
//! A schema or a grant is SQL and carries no tags, so the tags that it would carry are kept together as
//! one tag of its namespace: `towpath:schema:club.analytics` = `:resource=analytics :stack=club`. A mark
//! is written before its object is made and taken away after it is gone; without its object it says
//! nothing. What else the namespace carries counts as carried by what is in it. A resource has at most
//! 50 tags, keys of 128 and values of 256 characters, of letters, digits, spaces and `_.:/=+-@`. Source:
//! AWS Tagging guide, "Tag naming limits and requirements". Whether the marks of a plan fit is in `room`. The decision
//! is `docs/decisions/0007`.

mod room;

use std::fmt::Write as _;

use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::{Tags, tag};

pub use self::room::overfull;
use super::redshift_common;
use crate::cloud::Cloud;
use crate::fault::fault;

/// How our own tags begin.
const OWN: &str = "towpath:";

/// How the marks of schemas begin.
pub(super) const SCHEMA: &str = "towpath:schema:";

/// How the marks of grants begin.
pub(super) const GRANT: &str = "towpath:grant:";

/// The longest value of a tag.
const VALUE_LIMIT: usize = 256;

/// The longest key of a tag.
const KEY_LIMIT: usize = 128;

/// The key of a mark: its sort and what tells its object from others of the sort.
pub(super) fn key(sort: &str, parts: &[&str]) -> String {
    let parts: Vec<String> = parts.iter().map(|part| escape(part)).collect();
    format!("{sort}{}", parts.join("."))
}

/// The tags of the object that has this mark; none without one.
pub(super) fn tags(namespace: &Tags, key: &str) -> Tags {
    let Some(mark) = namespace.get(key) else { return Tags::new() };
    let mut tags = plain(namespace);
    tags.extend(decode(mark));
    tags
}

/// Whether a namespace has a mark of this stack.
pub(super) fn has_any(namespace: &Tags, stack: &str) -> bool {
    namespace.iter().any(|(key, value)| {
        let is_mark = key.starts_with(SCHEMA) || key.starts_with(GRANT);
        is_mark && decode(value).get(tag::STACK).is_some_and(|owner| owner == stack)
    })
}

/// What tells the objects of a sort apart that have marks, part by part.
pub(super) fn after(namespace: &Tags, sort: &str) -> Vec<Vec<String>> {
    let parts = |key: &String| Some(key.strip_prefix(sort)?.split('.').map(unescape).collect());
    namespace.keys().filter_map(parts).collect()
}

/// The databases that marks of this stack speak of.
pub(super) fn databases(namespace: &Tags, stack: &str) -> Vec<String> {
    let of = |key: &str| {
        let rest = key.strip_prefix(SCHEMA).or_else(|| key.strip_prefix(GRANT))?;
        rest.split_once('.').map(|(database, _)| unescape(database))
    };
    let own = |value: &str| decode(value).get(tag::STACK).is_some_and(|owner| owner == stack);
    namespace.iter().filter(|(_, value)| own(value)).filter_map(|(key, _)| of(key)).collect()
}

/// Adds tags to the mark of an object and overwrites those that are there. Other marks of its sort that
/// name the same resource are left from an object that is no more, and go.
pub(super) async fn write(cloud: &Cloud, arn: &str, key: &str, added: &Tags) -> Result<(), Fault> {
    let live = put(cloud, arn, key, added).await?;
    let sort = if key.starts_with(SCHEMA) { SCHEMA } else { GRANT };
    let owner = |tags: &Tags| Some((tags.get(tag::STACK)?.clone(), tags.get(tag::RESOURCE)?.clone()));
    let own = owner(added);
    let stale = |other: &&String| {
        other.starts_with(sort) && *other != key && own.is_some() && owner(&decode(&live[*other])) == own
    };
    let stale: Vec<String> = live.keys().filter(stale).cloned().collect();
    erase(cloud, arn, stale).await
}

/// The same without a look at other marks. Returns the tags that the namespace had before.
pub(super) async fn put(cloud: &Cloud, arn: &str, key: &str, added: &Tags) -> Result<Tags, Fault> {
    let Some(live) = redshift_common::list_tags(cloud, arn).await? else {
        return Err(Fault::local(FaultClass::NotFound, "redshift-serverless:TagResource", "the namespace is gone"));
    };
    if key.len() > KEY_LIMIT {
        let message = format!("`{key}` is longer than the {KEY_LIMIT} letters that the key of a tag may have");
        return Err(Fault::local(FaultClass::Invalid, "redshift-serverless:TagResource", message));
    }
    let mut tags = live.get(key).map(|mark| decode(mark)).unwrap_or_default();
    tags.extend(added.clone());
    let carried = plain(&live);
    tags.retain(|key, value| carried.get(key) != Some(value));
    let value = encode(&tags)?;
    if live.get(key) != Some(&value) {
        redshift_common::add_tags_to(cloud, arn, &Tags::from([(key.to_owned(), value)])).await?;
    }
    Ok(live)
}

/// Takes marks away; those of a namespace that is gone went with it.
pub(super) async fn erase(cloud: &Cloud, arn: &str, keys: Vec<String>) -> Result<(), Fault> {
    if keys.is_empty() {
        return Ok(());
    }
    let call = cloud.redshift_serverless().await.untag_resource().resource_arn(arn).set_tag_keys(Some(keys));
    let written = call.send().await;
    cloud.tag_index().forget(arn);
    match written.map(drop).map_err(fault("redshift-serverless:UntagResource")) {
        Err(fault) if fault.is_not_found() => Ok(()),
        other => other,
    }
}

/// The tags of a namespace that are not towpath's.
fn plain(namespace: &Tags) -> Tags {
    let is_plain = |(key, _): &(&String, &String)| !key.starts_with(OWN) && !key.starts_with("aws:");
    namespace.iter().filter(is_plain).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// `towpath:stack` is written `:stack`: there is not much room.
fn encode(tags: &Tags) -> Result<String, Fault> {
    let pair = |(key, value): (&String, &String)| {
        let key = key.strip_prefix("towpath").filter(|rest| rest.starts_with(':')).unwrap_or(key);
        format!("{}={}", escape(key), escape(value))
    };
    let value = tags.iter().map(pair).collect::<Vec<_>>().join(" ");
    if value.chars().count() > VALUE_LIMIT {
        let message = format!(
            "the tags of a schema or grant are kept as one tag of its namespace, which has room for {VALUE_LIMIT} \
             characters; these need {}: `{value}`",
            value.chars().count()
        );
        return Err(Fault::local(FaultClass::Invalid, "redshift-serverless:TagResource", message));
    }
    Ok(value)
}

fn decode(mark: &str) -> Tags {
    let whole = |key: String| if key.starts_with(':') { format!("towpath{key}") } else { key };
    let pairs = mark.split(' ').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (whole(unescape(key)), unescape(value))).collect()
}

/// What separates pairs and parts, and what tags may not hold, as `+` and two hexadecimal digits a byte.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b':' | b'/' | b'@' | b'-' => {
                escaped.push(char::from(byte));
            }
            other => {
                let _infallible = write!(escaped, "+{other:02x}");
            }
        }
    }
    escaped
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('+') {
        bytes.extend(before.bytes());
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.extend(byte);
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    bytes.extend(rest.bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags_of(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_mark_keeps_tags_of_any_letters_within_the_letters_of_a_tag() {
        let tags = tags_of(&[
            (tag::STACK, "club"),
            (tag::RESOURCE, "analytics"),
            (tag::EXPIRES, "2026-11-28T10:00:00Z"),
            ("team", "Rudern & Segeln = 1+1 ü"),
        ]);
        let mark = encode(&tags).unwrap();
        assert!(mark.ends_with(" :expires=2026-11-28T10:00:00Z :resource=analytics :stack=club"), "{mark}");
        assert!(mark.chars().all(|letter| letter.is_ascii_alphanumeric() || " _.:/=+-@".contains(letter)), "{mark}");
        assert_eq!(decode(&mark), tags);
        assert_eq!(key(SCHEMA, &["club", "a.b$c"]), "towpath:schema:club.a+2eb+24c");
        let long = tags_of(&[("team", &"x".repeat(300))]);
        assert_eq!(encode(&long).unwrap_err().class, FaultClass::Invalid);
    }

    #[test]
    fn what_has_a_mark_carries_what_its_namespace_carries_and_what_has_none_carries_nothing() {
        let namespace = tags_of(&[
            (tag::STACK, "club"),
            (tag::RESOURCE, "warehouse"),
            ("team", "boats"),
            ("towpath:schema:club.analytics", ":stack=club :resource=analytics"),
            ("towpath:schema:other.lake", ":stack=zoo :resource=lake"),
        ]);
        let marked = tags(&namespace, "towpath:schema:club.analytics");
        assert_eq!(marked, tags_of(&[(tag::STACK, "club"), (tag::RESOURCE, "analytics"), ("team", "boats")]));
        assert_eq!(tags(&namespace, "towpath:schema:club.boats"), Tags::new());
        assert!(has_any(&namespace, "zoo") && !has_any(&namespace, "park"));
        assert_eq!(databases(&namespace, "zoo"), ["other"]);
    }
}
