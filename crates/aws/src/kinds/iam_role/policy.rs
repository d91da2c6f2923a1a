//! Policy documents in one form, and questions to trust policies.
//!
//! IAM rewrites what it is given (URL encoding, single values for lists, ARNs for account ids), so
//! documents are compared by meaning. `Id` and `Sid` are labels and are left out. Pure. Source: IAM
//! user guide, "Grammar of the IAM JSON policy language" and "Policy elements: Principal".

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

/// The statement members that hold one text or a list of them.
const LISTS: [&str; 4] = ["Action", "NotAction", "Resource", "NotResource"];

/// Reads a document as IAM answers it: JSON in percent encoding, in which `+` is itself.
pub(super) fn decode(text: &str) -> Option<Value> {
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    serde_json::from_str(&decoded).ok()
}

/// The trust policy by which these services may take on a role.
pub(super) fn trust<S: AsRef<str>>(services: &[S]) -> Value {
    let services: Vec<&str> = services.iter().map(AsRef::as_ref).collect();
    json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Principal": { "Service": services }, "Action": "sts:AssumeRole" }],
    })
}

/// A trust policy as `{services: […]}` where it says no more than that, else as it is.
pub(super) fn short_trust(document: &Value) -> Value {
    let form = canonical(document);
    let services = &form["Statement"][0]["Principal"]["Service"];
    let names: Vec<&str> = items(services).into_iter().filter_map(Value::as_str).collect();
    if canonical(&trust(&names)) == form { json!({ "services": names }) } else { document.clone() }
}

/// The one form of a document. A missing `Version` stays missing: it means another language.
pub(in crate::kinds) fn canonical(document: &Value) -> Value {
    let Some(map) = document.as_object() else { return document.clone() };
    let mut statements: Vec<Value> = statements(document).into_iter().map(statement).collect();
    statements.sort_by_cached_key(Value::to_string);
    statements.dedup();
    let mut form = Map::new();
    if let Some(version) = map.get("Version") {
        form.insert("Version".to_owned(), version.clone());
    }
    form.insert("Statement".to_owned(), Value::Array(statements));
    Value::Object(form)
}

fn statements(document: &Value) -> Vec<&Value> {
    match &document["Statement"] {
        Value::Array(list) => list.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

fn statement(statement: &Value) -> Value {
    let mut form: BTreeMap<&str, Value> = BTreeMap::new();
    for (member, value) in statement.as_object().into_iter().flatten() {
        let value = match member.as_str() {
            "Sid" => continue,
            "Action" | "NotAction" => texts(value, &|text| text.to_lowercase()),
            list if LISTS.contains(&list) => texts(value, &str::to_owned),
            "Principal" | "NotPrincipal" => principal(value),
            "Condition" => condition(value),
            _ => value.clone(),
        };
        form.insert(member, value);
    }
    json!(form)
}

/// A text or a list of texts, as a sorted list without repetition.
fn texts(value: &Value, fold: &dyn Fn(&str) -> String) -> Value {
    let mut texts: Vec<String> = items(value).into_iter().map(|item| fold(&plain(item))).collect();
    texts.sort();
    texts.dedup();
    json!(texts)
}

fn items(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) => list.iter().collect(),
        one => vec![one],
    }
}

/// IAM answers booleans and numbers in conditions as texts.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn principal(value: &Value) -> Value {
    let all = json!({ "AWS": "*" });
    let by_type = if value == "*" { &all } else { value };
    let form: BTreeMap<&String, Value> = by_type
        .as_object()
        .into_iter()
        .flatten()
        .map(|(kind, names)| (kind, texts(names, &|name| account(name).unwrap_or(name).to_owned())))
        .collect();
    json!(form)
}

/// The account that `arn:aws:iam::111122223333:root` stands for.
fn account(name: &str) -> Option<&str> {
    let (_, rest) = name.strip_prefix("arn:")?.split_once(":iam::")?;
    rest.strip_suffix(":root")
}

/// Names of condition keys have no case.
fn condition(value: &Value) -> Value {
    let operators: BTreeMap<&String, BTreeMap<String, Value>> = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(operator, keys)| {
            let keys = keys.as_object().into_iter().flatten();
            (operator, keys.map(|(key, value)| (key.to_lowercase(), texts(value, &str::to_owned))).collect())
        })
        .collect();
    json!(operators)
}

/// Those of `services` that no statement of a trust policy lets in. A condition on the statement
/// is taken to be met: it is there to narrow the same service down to one's own account.
pub(super) fn not_trusted<'a>(document: &Value, services: &[&'a str]) -> Vec<&'a str> {
    let document = canonical(document);
    let lets_in = |statement: &Value, service: &str| {
        let has = |list: &Value, wanted: &[&str]| items(list).iter().any(|item| wanted.iter().any(|one| *item == one));
        statement["Effect"] == "Allow"
            && has(&statement["Action"], &["sts:assumerole", "sts:*", "*"])
            && has(&statement["Principal"]["Service"], &[service])
    };
    let known = statements(&document);
    services.iter().copied().filter(|service| !known.iter().any(|statement| lets_in(statement, service))).collect()
}

/// A trust policy that lets `services` in too; everything else in it stays as it is.
pub(super) fn trusting(document: &Value, services: &[&str]) -> Value {
    let added = trust(services);
    if statements(document).is_empty() {
        return added;
    }
    let mut wider = document.clone();
    let mut all: Vec<Value> = statements(document).into_iter().cloned().collect();
    all.extend(statements(&added).into_iter().cloned());
    wider["Statement"] = Value::Array(all);
    wider
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_iam_rewrites_is_no_difference() {
        let declared = json!({
            "Version": "2012-10-17",
            "Statement": {
                "Sid": "mine", "Effect": "Allow", "Action": "STS:AssumeRole",
                "Principal": { "AWS": "111122223333", "Service": ["redshift.amazonaws.com", "dms.amazonaws.com"] },
                "Condition": { "Bool": { "aws:SecureTransport": true } },
            },
        });
        let live = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow", "Action": ["sts:AssumeRole"],
                "Principal": {
                    "Service": ["dms.amazonaws.com", "redshift.amazonaws.com"],
                    "AWS": "arn:aws:iam::111122223333:root",
                },
                "Condition": { "Bool": { "AWS:SecureTransport": "true" } },
            }],
        });
        assert_eq!(canonical(&declared), canonical(&live));
    }

    #[test]
    fn what_means_something_else_is_a_difference() {
        let one = trust(&["dms.amazonaws.com"]);
        let mut old = one.clone();
        old.as_object_mut().unwrap().remove("Version");
        assert_ne!(canonical(&one), canonical(&old));
        let upper =
            json!({ "Statement": { "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::a/B" } });
        let lower =
            json!({ "Statement": { "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::a/b" } });
        assert_ne!(canonical(&upper), canonical(&lower));
        assert_ne!(canonical(&json!({ "Statement": { "Principal": "*" } })), canonical(&json!({ "Statement": {} })));
    }

    #[test]
    fn everybody_is_written_in_two_ways_and_statements_have_no_order() {
        let one =
            json!({ "Statement": [{ "Effect": "Deny", "Principal": "*" }, { "Effect": "Allow", "Principal": "*" }] });
        let other = json!({ "Statement": [
            { "Effect": "Allow", "Principal": { "AWS": ["*"] } }, { "Effect": "Deny", "Principal": { "AWS": "*" } }] });
        assert_eq!(canonical(&one), canonical(&other));
        assert_eq!(canonical(&canonical(&one)), canonical(&one));
    }

    #[test]
    fn a_plus_in_an_encoded_document_is_a_plus() {
        assert_eq!(decode("%7B%22a%22%3A%22b+c%20d%22%7D"), Some(json!({ "a": "b+c d" })));
        assert_eq!(decode("no json"), None);
    }

    #[test]
    fn a_trust_is_completed_and_nothing_is_taken_from_it() {
        let live = json!({ "Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Principal": { "Service": "dms.amazonaws.com" }, "Action": "sts:AssumeRole",
            "Condition": { "StringEquals": { "aws:SourceAccount": "111122223333" } } } });
        let wanted = ["dms.amazonaws.com", "redshift.amazonaws.com"];
        let missing = not_trusted(&live, &wanted);
        assert_eq!(missing, ["redshift.amazonaws.com"]);
        let wider = trusting(&live, &missing);
        assert!(not_trusted(&wider, &wanted).is_empty());
        assert_eq!(wider["Statement"][0], live["Statement"]);
        assert_eq!(trusting(&json!({}), &wanted), trust(&wanted));
    }
}
