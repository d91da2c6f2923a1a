//! JSON values as XML and back. Written, members become elements, nulls vanish, lists take the protocol's
//! form. Read, an element is a text or a structure of lists: only the reader knows what occurs once.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::escape::{escape, unescape};
use quick_xml::events::Event;
use serde_json::Value;

/// How a list member is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lists {
    /// `<Names><member>…</member></Names>`, with the given inner name.
    Wrapped(&'static str),
    /// `<Name>…</Name><Name>…</Name>`.
    Flat,
}

/// Appends the members of `value`, which are a structure's, to `out`.
pub(crate) fn write_members(out: &mut String, value: &Value, lists: Lists) {
    if let Value::Object(members) = value {
        for (name, member) in members {
            write_element(out, name, member, lists);
        }
    }
}

/// Appends formatted text; writing to a string cannot fail.
pub(crate) fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    std::fmt::Write::write_fmt(out, text).expect("a string takes any text");
}

fn write_element(out: &mut String, name: &str, value: &Value, lists: Lists) {
    match (value, lists) {
        (Value::Null, _) => {}
        (Value::Array(items), Lists::Flat) => items.iter().for_each(|item| write_element(out, name, item, lists)),
        _ => {
            push(out, format_args!("<{name}>"));
            write_content(out, value, lists);
            push(out, format_args!("</{name}>"));
        }
    }
}

fn write_content(out: &mut String, value: &Value, lists: Lists) {
    match (value, lists) {
        (Value::Null, _) => {}
        (Value::Bool(_) | Value::Number(_), _) => out.push_str(&value.to_string()),
        (Value::String(text), _) => out.push_str(&escape(text.as_str())),
        (Value::Object(_), _) => write_members(out, value, lists),
        (Value::Array(items), Lists::Wrapped(inner)) => {
            for item in items {
                write_element(out, inner, item, lists);
            }
        }
        (Value::Array(items), Lists::Flat) => items.iter().for_each(|item| write_content(out, item, lists)),
    }
}

/// An element that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    text: String,
    children: BTreeMap<String, Vec<Self>>,
}

impl Element {
    /// The root of a document; nothing when it is not well-formed.
    pub(crate) fn read(document: &[u8]) -> Option<Self> {
        let mut reader = Reader::from_reader(document);
        let mut open = vec![(String::new(), Self::default())];
        loop {
            match reader.read_event().ok()? {
                Event::Start(start) => open.push((local_name(start.local_name().as_ref()), Self::default())),
                Event::Empty(start) => {
                    let name = local_name(start.local_name().as_ref());
                    open.last_mut()?.1.children.entry(name).or_default().push(Self::default());
                }
                Event::End(_) => {
                    let (name, element) = open.pop()?;
                    open.last_mut()?.1.children.entry(name).or_default().push(element);
                }
                Event::Text(text) => open.last_mut()?.1.text.push_str(&text.decode().ok()?),
                Event::GeneralRef(name) => {
                    let name = format!("&{};", name.decode().ok()?);
                    open.last_mut()?.1.text.push_str(&unescape(&name).ok()?);
                }
                Event::CData(data) => open.last_mut()?.1.text.push_str(&data.decode().ok()?),
                Event::Eof => break,
                _ => {}
            }
        }
        let (_, outer) = open.pop().filter(|_| open.is_empty())?;
        outer.children.into_values().next()?.into_iter().next()
    }

    /// The elements inside with this name.
    pub(crate) fn all(&self, name: &str) -> &[Self] {
        self.children.get(name).map_or(&[], Vec::as_slice)
    }

    /// The text of the first element inside with this name, blanks around it and all.
    pub(crate) fn exact(&self, name: &str) -> Option<&str> {
        self.all(name).first().map(|element| element.text.as_str())
    }

    /// The text of the first element inside with this name.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.exact(name).map(str::trim)
    }
}

fn local_name(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn write(value: &Value, lists: Lists) -> String {
        let mut out = String::new();
        write_members(&mut out, value, lists);
        out
    }

    #[test]
    fn lists_take_the_form_of_the_protocol() {
        let value = json!({"groups": [{"id": 1}, {"id": 2}]});
        assert_eq!(
            write(&value, Lists::Wrapped("item")),
            "<groups><item><id>1</id></item><item><id>2</id></item></groups>"
        );
        assert_eq!(write(&value, Lists::Flat), "<groups><id>1</id></groups><groups><id>2</id></groups>");
    }

    #[test]
    fn texts_are_escaped_and_nulls_vanish() {
        assert_eq!(write(&json!({"a": "<&>", "b": null, "c": true}), Lists::Flat), "<a>&lt;&amp;&gt;</a><c>true</c>");
    }

    #[test]
    fn documents_are_read_whatever_their_prefix_and_order() {
        let text = br#"<?xml version="1.0"?><x:Tagging xmlns:x="n"><TagSet><Tag><Value>a&amp;b</Value><Key>k</Key></Tag><Tag/></TagSet></x:Tagging>"#;
        let root = Element::read(text).unwrap();
        let tags = root.all("TagSet")[0].all("Tag");
        assert_eq!((tags.len(), tags[0].text("Key"), tags[0].text("Value")), (2, Some("k"), Some("a&b")));
        assert_eq!(Element::read(b"<a><b></a>"), None);
        assert_eq!(Element::read(b"nothing"), None);
    }
}
