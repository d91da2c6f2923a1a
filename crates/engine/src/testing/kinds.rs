//! The kinds of the fake cloud, each with one trait that the real kinds have: assigned ids, work
//! that a change interrupts, data, account-wide objects, one field per update.

use serde_json::json;

use crate::kind::{Change, Compare, Facts, FieldFacts, Pauses, Poll, RefersTo, Seconds};
use crate::value::Value;

/// One fake kind: facts for the engine and rules for the cloud.
#[derive(Clone)]
pub(super) struct FakeKind {
    pub(super) name: &'static str,
    pub(super) facts: Facts,
    pub(super) fields: Vec<(&'static str, FieldFacts)>,
    /// Whether the service refuses two objects of one name.
    pub(super) unique: bool,
    /// Whether one update may change only one field.
    pub(super) one_field: bool,
    /// Whether objects do work that can be stopped.
    pub(super) runs: bool,
}

impl FakeKind {
    /// What the first call of a create sends where there are several: nothing that an update could
    /// send later.
    pub(super) fn first_call(&self, spec: &Value) -> Value {
        let fact = |field: &String| self.fields.iter().find(|(name, _)| name == field).map(|(_, fact)| fact.clone());
        let needed = |field: &String| fact(field).is_none_or(|fact| fact.change != Change::InPlace);
        let fields = spec.as_object().into_iter().flatten().filter(|(field, _)| needed(field));
        Value::Object(fields.map(|(field, value)| (field.clone(), value.clone())).collect())
    }
}

fn plain() -> FieldFacts {
    FieldFacts::default()
}

fn replaced(rule: &str) -> FieldFacts {
    FieldFacts { change: Change::Replace, rule: Some(rule.to_owned()), ..plain() }
}

fn grouped(group: &str) -> FieldFacts {
    FieldFacts { group: group.to_owned(), ..plain() }
}

fn refers(kind: &str, attribute: &str) -> FieldFacts {
    let refers_to = serde_json::from_value::<RefersTo>(json!({ "kinds": [kind], "attribute": attribute }));
    FieldFacts { refers_to: refers_to.ok(), ..plain() }
}

/// A reference for which the service does not delete its target.
fn holds(kind: &str, attribute: &str) -> FieldFacts {
    let holds = std::iter::once((kind.to_owned(), attribute.to_owned())).collect();
    FieldFacts { holds, ..refers(kind, attribute) }
}

fn loosely(kind: &str, attribute: &str) -> FieldFacts {
    let mut facts = refers(kind, attribute);
    if let Some(refers) = &mut facts.refers_to {
        refers.loose = true;
    }
    facts
}

fn facts(create: f64, update: f64, delete: f64) -> Facts {
    let about = |seconds: f64| Seconds::new(seconds * 0.5, seconds, seconds * 2.0);
    Facts {
        summary: "A kind of the fake cloud.",
        create: about(create),
        update: about(update),
        delete: about(delete),
        poll: Poll { first: create * 0.8, interval: 10.0, give_up: 1800.0, stable: 1 },
        pauses: Pauses::Nothing,
        holds: None,
        name_limit: 63,
        taggable: true,
        assigned_identity: false,
    }
}

fn kind(name: &'static str, facts: Facts, fields: Vec<(&'static str, FieldFacts)>) -> FakeKind {
    FakeKind { name, facts, fields, unique: true, one_field: false, runs: false }
}

fn inside(kind: &str, attribute: &str, within: &str) -> FieldFacts {
    let mut facts = refers(kind, attribute);
    if let Some(refers) = &mut facts.refers_to {
        refers.within = Some(within.to_owned());
    }
    facts
}

/// All kinds of the fake cloud.
pub(super) fn all() -> Vec<FakeKind> {
    let assigned = |facts: Facts| Facts { assigned_identity: true, ..facts };
    let list = FieldFacts { compare: Compare::Set, ..plain() };
    let mut kinds = vec![
        // Assigned ids and no unique names: only tags tell two of them apart.
        FakeKind {
            unique: false,
            ..kind("net/network", assigned(facts(2.0, 1.0, 2.0)), vec![("range", replaced("a range is for ever"))])
        },
        kind(
            "net/group",
            assigned(facts(2.0, 1.0, 2.0)),
            vec![
                ("network", FieldFacts { change: Change::Replace, ..holds("net/network", "id") }),
                ("about", replaced("a description is for ever")),
                ("ports", list),
                ("peer", loosely("net/group", "id")),
            ],
        ),
        kind(
            "iam/role",
            facts(1.0, 1.0, 1.0),
            vec![
                ("shared", FieldFacts { change: Change::Local, ..plain() }),
                ("trust", FieldFacts { compare: Compare::Subset, ..plain() }),
                ("path", replaced("a path is for ever")),
            ],
        ),
        kind(
            "data/bucket",
            Facts { holds: Some("all objects of the bucket"), ..facts(3.0, 1.0, 5.0) },
            vec![("versions", plain()), ("place", replaced("a bucket stays where it is"))],
        ),
    ];
    kinds.extend(pipe());
    kinds.extend(house());
    kinds.extend(plan());
    kinds
}

/// What carries data: one that takes long, one that stops its users, one that runs.
fn pipe() -> Vec<FakeKind> {
    vec![
        kind(
            "pipe/instance",
            facts(600.0, 300.0, 400.0),
            vec![
                ("class", plain()),
                ("zone", replaced("CreateInstance only")),
                ("groups", FieldFacts { compare: Compare::Set, ..holds("net/group", "id") }),
            ],
        ),
        kind(
            "pipe/endpoint",
            Facts { pauses: Pauses::Dependents, ..facts(5.0, 30.0, 10.0) },
            vec![
                ("host", plain()),
                ("engine", replaced("CreateEndpoint only")),
                ("role", loosely("iam/role", "arn")),
                ("bucket", loosely("data/bucket", "name")),
                ("house", loosely("house/workgroup", "address")),
                ("password", FieldFacts { change: Change::WriteOnly, ..plain() }),
            ],
        ),
        FakeKind {
            runs: true,
            ..kind(
                "pipe/task",
                Facts { pauses: Pauses::Itself, ..facts(20.0, 15.0, 10.0) },
                vec![
                    ("instance", holds("pipe/instance", "arn")),
                    ("source", FieldFacts { change: Change::Replace, ..holds("pipe/endpoint", "arn") }),
                    ("mode", plain()),
                    ("position", FieldFacts { loses: Some("the position in the log".to_owned()), ..plain() }),
                ],
            )
        },
    ]
}

/// What is changed only while nothing refers to it, and what refers to it.
fn plan() -> Vec<FakeKind> {
    vec![
        kind(
            "plan/address",
            Facts { pauses: Pauses::Holders, ..facts(1.0, 1.0, 1.0) },
            vec![("host", plain()), ("house", loosely("house/workgroup", "address"))],
        ),
        kind(
            "plan/project",
            facts(1.0, 1.0, 1.0),
            vec![("from", holds("plan/address", "arn")), ("to", holds("plan/address", "arn")), ("about", plain())],
        ),
    ]
}

/// Where data ends: what holds it, what takes one field per update, what has no tags.
fn house() -> Vec<FakeKind> {
    vec![
        kind(
            "house/namespace",
            Facts { holds: Some("all tables of the warehouse"), ..facts(10.0, 5.0, 60.0) },
            vec![("database", replaced("CreateNamespace only")), ("roles", refers("iam/role", "arn"))],
        ),
        FakeKind {
            one_field: true,
            ..kind(
                "house/workgroup",
                Facts {
                    poll: Poll { first: 150.0, interval: 10.0, give_up: 1800.0, stable: 2 },
                    ..facts(180.0, 60.0, 120.0)
                },
                vec![
                    ("namespace", FieldFacts { change: Change::Replace, ..refers("house/namespace", "name") }),
                    ("capacity", grouped("capacity")),
                    ("port", grouped("port")),
                    ("groups", FieldFacts { group: "groups".to_owned(), ..refers("net/group", "id") }),
                ],
            )
        },
        kind(
            "house/room",
            Facts { holds: Some("all that is in the room"), ..facts(1.0, 1.0, 1.0) },
            vec![(
                "workgroup",
                FieldFacts { change: Change::Replace, ..inside("house/workgroup", "arn", "house/namespace") },
            )],
        ),
        kind(
            "house/limit",
            Facts { taggable: false, ..facts(1.0, 1.0, 1.0) },
            vec![
                ("workgroup", FieldFacts { change: Change::Replace, ..refers("house/workgroup", "arn") }),
                ("amount", plain()),
            ],
        ),
    ]
}
