//! Writes JSON values as XML: members become elements, nulls vanish, lists take the protocol's form.

use quick_xml::escape::escape;
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

fn write_element(out: &mut String, name: &str, value: &Value, lists: Lists) {
    match (value, lists) {
        (Value::Null, _) => {}
        (Value::Array(items), Lists::Flat) => items.iter().for_each(|item| write_element(out, name, item, lists)),
        _ => {
            out.push_str(&format!("<{name}>"));
            write_content(out, value, lists);
            out.push_str(&format!("</{name}>"));
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
            items.iter().for_each(|item| write_element(out, inner, item, lists));
        }
        (Value::Array(items), Lists::Flat) => items.iter().for_each(|item| write_content(out, item, lists)),
    }
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
}
