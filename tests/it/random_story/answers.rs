//! Answers of services that speak XML, as JSON: an element with elements in it is an object, one whose
//! elements are all called `item`, `member` or alike several times is a list, any other is its text.
//!
//! Only what EC2, IAM and S3 answer: no attributes, no CDATA, no mixed content.

use serde_json::{Map, Value};

/// Elements that are entries of a list even where there is one of them.
const ENTRIES: [&str; 5] = ["item", "member", "Bucket", "Tag", "Rule"];

/// The outermost element of an answer.
pub(super) fn read(xml: &str) -> Value {
    let mut rest = xml;
    while let Some(start) = rest.find('<') {
        let text = &rest[start + 1..];
        if !text.starts_with('?') && !text.starts_with('!') {
            return element(&mut &rest[start..]).1;
        }
        rest = text;
    }
    Value::Null
}

/// Takes one element off the front of a text that begins with its tag: its name and value.
fn element<'a>(rest: &mut &'a str) -> (&'a str, Value) {
    let end = rest.find('>').expect("a tag ends");
    let tag = &rest[1..end];
    *rest = &rest[end + 1..];
    let name = tag.trim_end_matches('/').split_whitespace().next().unwrap_or_default();
    if tag.ends_with('/') {
        return (name, Value::Null);
    }
    let mut children: Vec<(&str, Value)> = Vec::new();
    loop {
        let next = rest.find('<').expect("an element ends");
        let text = &rest[..next];
        *rest = &rest[next..];
        if rest.starts_with("</") {
            let close = rest.find('>').expect("a tag ends");
            *rest = &rest[close + 1..];
            return (name, if children.is_empty() { Value::String(plain(text)) } else { joined(children) });
        }
        children.push(element(rest));
    }
}

fn joined(children: Vec<(&str, Value)>) -> Value {
    if children.iter().all(|(name, _)| ENTRIES.contains(name) && *name == children[0].0) {
        return Value::Array(children.into_iter().map(|(_, value)| value).collect());
    }
    let mut members = Map::new();
    for (name, value) in children {
        members.insert(name.to_owned(), value);
    }
    Value::Object(members)
}

fn plain(text: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, sign)| text.replace(entity, sign))
}

#[test]
fn elements_are_read_as_objects_lists_and_texts() {
    let read = read("<?xml version=\"1.0\"?><A x=\"1\"><b><item>1</item></b><c/><d>x &amp; y</d><e><f>2</f></e></A>");
    assert_eq!(read, serde_json::json!({"b": ["1"], "c": null, "d": "x & y", "e": {"f": "2"}}));
}
