use serde_json::{Value, json};
use towpath_engine::diff;
use towpath_engine::kind::{Place, Registry};
use towpath_engine::secret::{Secret, Secrets};

use crate::cloud::Cloud;
use crate::connection::Connection;

fn place() -> Place {
    Place { stack: "club".into(), account: "111122223333".into(), region: "eu-north-1".into(), partition: "aws".into() }
}

fn kinds() -> Registry {
    let mut secrets = Secrets::default();
    secrets.insert("SOURCE_URL", Secret::new("postgres://ann:s3cr3t-word@db.example.com:6543/club"));
    super::registry(&Cloud::connect(Connection::default(), secrets))
}

#[test]
fn every_field_is_documented_and_its_facts_read() {
    for kind in kinds().iter() {
        let schema = kind.schema();
        for (field, property) in schema["properties"].as_object().expect("a spec is an object") {
            assert!(property["description"].is_string(), "{}.{field} has no description", kind.kind());
        }
        assert_eq!(schema["additionalProperties"], json!(false), "{}", kind.kind());
    }
}

/// Both are written on a field: what holds its target names it in the way in which it is referred to.
#[test]
fn what_a_field_holds_is_what_it_refers_to() {
    for kind in kinds().iter() {
        for (field, fact) in kind.fields() {
            let Some(refers) = fact.refers_to.as_ref().filter(|_| !fact.holds.is_empty()) else { continue };
            let named =
                |(kind, attribute): (&String, &String)| refers.kinds.contains(kind) && refers.attribute == *attribute;
            assert!(!refers.loose && fact.holds.iter().all(named), "{}.{field}", kind.kind());
        }
    }
}

#[test]
fn every_example_reads_and_has_no_mistake() {
    for kind in kinds().iter() {
        for example in kind.examples(&place()) {
            for spec in std::iter::once(&example.spec).chain(&example.changed) {
                assert_eq!(kind.parse_error(spec), None, "{} {}", kind.kind(), example.name);
                assert_eq!(kind.check(spec), Vec::new(), "{} {}", kind.kind(), example.name);
            }
        }
    }
}

#[test]
fn normalising_twice_is_the_same_as_once() {
    for kind in kinds().iter() {
        for example in kind.examples(&place()) {
            let once = kind.normalise(example.spec);
            assert_eq!(kind.normalise(once.clone()), once, "{}", kind.kind());
        }
    }
}

#[test]
fn a_url_is_compared_by_what_can_be_seen_of_it() {
    let kinds = kinds();
    let endpoint = kinds.get("dms/endpoint").unwrap();
    let declared = json!({
        "direction": "source", "engine": "postgres", "connection": { "url": { "env": "SOURCE_URL" } },
    });
    let mut live = json!({ "direction": "source", "engine": "postgres", "connection": {
        "host": "db.example.com", "port": 6543, "database": "club", "username": "ann" } });
    assert!(diff::compare(endpoint.as_ref(), &declared, &live, &Value::Null).is_empty());
    assert!(!endpoint.normalise(declared.clone()).to_string().contains("s3cr3t"), "a password is never compared");
    live["connection"]["host"] = json!("elsewhere");
    assert_eq!(diff::compare(endpoint.as_ref(), &declared, &live, &Value::Null).changes[0].path, "connection");
    let outputs = endpoint.predict(&place(), "club-source", &declared);
    assert_eq!(outputs["connection"], json!({ "host": "db.example.com", "port": 6543, "database": "club" }));
}

#[test]
fn a_url_that_is_not_at_hand_shows_no_difference() {
    let kinds = kinds();
    let endpoint = kinds.get("dms/endpoint").unwrap();
    let declared = json!({ "direction": "source", "engine": "postgres", "connection": { "url": { "env": "UNSET" } } });
    let live = json!({ "direction": "source", "engine": "postgres", "connection": { "host": "h", "port": 1 } });
    assert!(diff::compare(endpoint.as_ref(), &declared, &live, &Value::Null).is_empty());
    assert!(!endpoint.predict(&place(), "x", &declared).contains_key("connection"));
}

#[test]
fn an_expanded_settings_document_is_no_difference() {
    let kinds = kinds();
    let task = kinds.get("dms/replication_task").unwrap();
    let declared = json!({ "instance": "arn:i", "source": "arn:s", "target": "arn:t", "mode": "full-load",
        "tables": [{ "schema": "public" }], "settings": { "FullLoadSettings": { "CommitRate": 20000 } } });
    let live = json!({ "instance": "arn:i", "source": "arn:s", "target": "arn:t", "mode": "full-load",
        "tables": [{ "rule-type": "selection", "rule-id": "1", "rule-name": "1", "rule-action": "include",
            "object-locator": { "schema-name": "public", "table-name": "%" }, "filters": [] }],
        "settings": { "FullLoadSettings": { "CommitRate": "20000", "MaxFullLoadSubTasks": 8 }, "TTSettings": null } });
    assert!(diff::compare(task.as_ref(), &declared, &live, &Value::Null).is_empty());
}

#[test]
fn the_word_managed_is_the_managed_admin_and_a_password_is_not() {
    let kinds = kinds();
    let namespace = kinds.get("redshift/namespace").unwrap();
    let live = json!({ "admin": { "username": "admin", "managed": true } });
    let differs =
        |admin: Value| !diff::compare(namespace.as_ref(), &json!({ "admin": admin }), &live, &Value::Null).is_empty();
    assert!(!differs(json!("managed")));
    assert!(!differs(json!({ "username": "admin" })));
    assert!(differs(json!({ "username": "admin", "password": { "env": "P" } })));
}
