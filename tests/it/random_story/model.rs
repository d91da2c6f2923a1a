//! What must be true of the account, by the stack files alone.
//!
//! The model is a second opinion: it reads no plan, no journal and no state of towpath, and knows of
//! its promises only what the documents say: the names, the tags, what is compared, what belongs to
//! the whole account. It compares with what the services answer (`account`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::account::{Object, sorted};
use super::stack::{Resource, Stack};

/// Fields of a stack file that no answer of a service shows.
const UNSEEN: [&str; 5] = ["depends_on", "generate", "recovery_days", "value_version", "preset"];

/// The three roles of DMS that belong to the account: their policy and who may take them on.
const PRESETS: [(&str, &str); 2] = [
    ("dms-vpc-role", "arn:aws:iam::aws:policy/service-role/AmazonDMSVPCManagementRole"),
    ("dms-access-for-endpoint", "arn:aws:iam::aws:policy/service-role/AmazonDMSRedshiftS3Role"),
];

/// Whether an object belongs to the account rather than to a stack.
pub(super) fn is_shared(object: &Object) -> bool {
    PRESETS.iter().any(|(name, _)| object.name == *name)
}

/// The object of each resource, by key; what is wrong where there is not exactly one.
pub(super) fn matched<'a>(
    stack: &Stack,
    account: &'a [Object],
    wrong: &mut Vec<String>,
) -> BTreeMap<String, &'a Object> {
    let mut found = BTreeMap::new();
    for (key, resource) in &stack.resources {
        let of_kind: Vec<&Object> = account.iter().filter(|object| object.kind == resource.kind).collect();
        let names = names(stack, key, resource);
        let candidates: Vec<&Object> = if resource.kind == "redshift/usage_limit"
            || resource.fields.contains_key("preset")
        {
            of_kind.into_iter().filter(|object| names.contains(&object.name)).collect()
        } else {
            let is_ours =
                |object: &&Object| object.tag("towpath:stack") == stack.name && object.tag("towpath:resource") == key;
            of_kind.into_iter().filter(is_ours).collect()
        };
        match candidates[..] {
            [one] if names.contains(&one.name) => drop(found.insert(key.clone(), one)),
            [one] => wrong.push(format!("`{key}` is called {}, not {names:?}", one.name)),
            _ => wrong.push(format!("`{key}` has {} objects: {candidates:?}", candidates.len())),
        }
    }
    found
}

/// The names that the object of a resource may have. A limit has none: it goes by what it limits.
pub(super) fn names(stack: &Stack, key: &str, resource: &Resource) -> BTreeSet<String> {
    if resource.kind != "redshift/usage_limit" {
        return resource.names.clone();
    }
    let member = |name: &str, default: &str| {
        resource.fields.get(name).map_or(default.to_owned(), |value| value.as_str().unwrap().to_owned())
    };
    let workgroup = stack.resources.get(&member("workgroup", "")).unwrap_or_else(|| panic!("`{key}` limits nothing"));
    let rest = format!("{}/{}", member("usage", "serverless-compute"), member("period", "monthly"));
    workgroup.names.iter().map(|name| format!("{name}/{rest}")).collect()
}

/// Everything that is not as this stack's file says. `nobodys` are the ids of objects that bear the
/// stack's names and are not, or no longer, known to be its own.
pub(super) fn complaints(stack: &Stack, account: &[Object], nobodys: &BTreeSet<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    let matched = matched(stack, account, &mut wrong);
    for (key, object) in &matched {
        let resource = &stack.resources[key];
        if let Some(preset) = resource.fields.get("preset").and_then(Value::as_str) {
            shared(stack, object, preset, &mut wrong);
            continue;
        }
        for (field, value) in &expected(resource, &matched) {
            let live = object
                .fields
                .get(field)
                .unwrap_or_else(|| panic!("the model does not read {} of {}", field, object.kind));
            if !agrees(value, live) {
                wrong.push(format!("{field} of `{key}` ({}) is {live}, declared is {value}", object.name));
            }
        }
        let workgroup = resource.fields.get("workgroup").and_then(Value::as_str).and_then(|key| matched.get(key));
        if let Some(workgroup) = workgroup.filter(|_| object.kind == "dms/endpoint")
            && workgroup.fields["port"] != object.fields["connection"]["port"]
        {
            wrong.push(format!("`{key}` does not go where its workgroup is: {object:?} to {workgroup:?}"));
        }
        if object.kind == "redshift/usage_limit" {
            continue;
        }
        let protect = resource.protect.map(|protect| protect.to_string());
        let tags = [
            ("team", Some(stack.team.to_owned())),
            ("towpath:stack", Some(stack.name.to_owned())),
            ("towpath:resource", Some(key.clone())),
            ("towpath:protect", protect),
        ];
        for (name, value) in tags {
            if value.is_some_and(|value| object.tag(name) != value) {
                wrong.push(format!("tag {name} of `{key}` is {:?}", object.tag(name)));
            }
        }
    }
    let ids: BTreeSet<&str> = matched.values().map(|object| object.id.as_str()).collect();
    for object in account.iter().filter(|object| !ids.contains(object.id.as_str())) {
        let by_name = object.name.trim_start_matches("dms-").starts_with(&format!("{}-", stack.name));
        if (by_name || object.tag("towpath:stack") == stack.name) && !nobodys.contains(&object.id) {
            wrong.push(format!("nobody declares {object:?}"));
        }
        if is_shared(object) && object.tag(&format!("towpath:used-by:{}", stack.name)) == "in-use" {
            wrong.push(format!("role {} is used no more by {}", object.name, stack.name));
        }
    }
    wrong
}

fn shared(stack: &Stack, object: &Object, preset: &str, wrong: &mut Vec<String>) {
    let (_, policy) = PRESETS.iter().find(|(name, _)| *name == preset).unwrap();
    let has =
        |field: &str, value: &str| object.fields[field].as_array().is_some_and(|list| list.contains(&json!(value)));
    if !has("policies", policy) || !has("trust", "dms.amazonaws.com") {
        wrong.push(format!("role {preset} is not complete: {object:?}"));
    }
    if object.tag(&format!("towpath:used-by:{}", stack.name)) != "in-use" {
        wrong.push(format!("role {preset} does not say that {} uses it: {:?}", stack.name, object.tags));
    }
}

/// The declared fields in the words of `account`, references by the names of their objects.
fn expected(resource: &Resource, matched: &BTreeMap<String, &Object>) -> Map<String, Value> {
    let mut fields = Map::new();
    for (field, value) in resource.fields.iter().filter(|(field, _)| !UNSEEN.contains(&field.as_str())) {
        let value = named(value, matched);
        let value = match (resource.kind, field.as_str()) {
            ("ec2/security_group", "ingress") => rules(&value, "from"),
            ("ec2/security_group", "egress") => rules(&value, "to"),
            ("dms/subnet_group", "subnets") if value == "default" => json!(["default"]),
            ("dms/endpoint", "connection") => {
                let mut value = value;
                value.as_object_mut().unwrap().remove("password");
                value
            }
            ("dms/replication_task", "tables") => {
                sorted(value.as_array().unwrap().iter().map(|rule| rule["schema"].clone()).collect())
            }
            ("dms/replication_task", "settings") => value["FullLoadSettings"]["CommitRate"].clone(),
            ("iam/role", "trust") => sorted(value["services"].as_array().unwrap().clone()),
            ("iam/role", "inline") => sorted(value.as_object().unwrap().keys().map(|name| json!(name)).collect()),
            ("iam/role", "max_session_seconds") => json!(value.to_string()),
            // An endpoint tells its workgroup by host only; the database of a namespace is told only while
            // it has a workgroup.
            ("dms/endpoint", "workgroup") | ("redshift/namespace", "database") => continue,
            (_, _) => match value {
                Value::Array(list) => sorted(list),
                other => other,
            },
        };
        fields.insert(field.clone(), value);
    }
    fields
}

fn named(value: &Value, matched: &BTreeMap<String, &Object>) -> Value {
    match value {
        Value::String(text) => matched.get(text).map_or_else(|| value.clone(), |object| json!(object.name)),
        Value::Array(list) => list.iter().map(|item| named(item, matched)).collect(),
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), named(member, matched))).collect(),
        other => other.clone(),
    }
}

/// Rules of a stack file as single ones, in the words of `account`.
fn rules(value: &Value, peers: &str) -> Value {
    let mut found = Vec::new();
    for rule in value.as_array().unwrap() {
        let ports = match (&rule["port"], &rule["ports"]) {
            (Value::Number(port), _) => format!("tcp {port}-{port}"),
            (_, Value::String(ports)) => format!("tcp {ports}"),
            _ => "all".to_owned(),
        };
        let list = rule[peers].as_array().cloned().unwrap_or_else(|| vec![rule[peers].clone()]);
        found.extend(list.into_iter().map(|peer| json!({ "ports": ports, "peer": peer })));
    }
    sorted(found)
}

/// Whether a live value is as declared; of blocks only the declared members count.
fn agrees(declared: &Value, live: &Value) -> bool {
    match (declared, live) {
        (Value::Object(declared), Value::Object(live)) => {
            declared.iter().all(|(name, value)| live.get(name).is_some_and(|live| agrees(value, live)))
        }
        _ => declared == live || (declared.is_number() && live.as_str() == Some(&declared.to_string())),
    }
}
