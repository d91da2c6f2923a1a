//! The author: which resources there can be, how they begin, and what may be changed about them.
//!
//! A slot is an idea of a resource ("the machine that stands in the default subnets"). Keys are
//! words that occur nowhere else in a stack, so that whatever equals one is a reference.

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::stack::Stack;

/// An idea of a resource.
pub(super) struct Slot {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    /// Its fields at first, `None` while what it needs is not there.
    first: fn(&Stack) -> Option<Value>,
}

const fn slot(name: &'static str, kind: &'static str, first: fn(&Stack) -> Option<Value>) -> Slot {
    Slot { name, kind, first }
}

/// Every slot, each after those that it may need.
pub(super) const SLOTS: [Slot; 29] = [
    slot("vpcrole", "iam/role", |_| Some(json!({ "preset": "dms-vpc-role" }))),
    slot("access", "iam/role", |_| Some(json!({ "preset": "dms-access-for-endpoint" }))),
    slot("reader", "iam/role", |_| {
        let read = json!({ "Version": "2012-10-17",
            "Statement": [{ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*" }] });
        Some(
            json!({ "trust": { "services": ["dms.amazonaws.com"] }, "description": "reads", "inline": { "read": read },
            "policies": ["arn:aws:iam::aws:policy/AmazonS3FullAccess"] }),
        )
    }),
    slot("net", "ec2/vpc", |_| Some(json!({ "cidr": "10.20.0.0/16" }))),
    slot("neta", "ec2/subnet", |stack| {
        Some(json!({ "vpc": stack.key("net")?, "cidr": "10.20.1.0/24", "zone": "eu-north-1a" }))
    }),
    slot("netb", "ec2/subnet", |stack| {
        Some(json!({ "vpc": stack.key("net")?, "cidr": "10.20.2.0/24", "zone": "eu-north-1b" }))
    }),
    slot("watch", "ec2/security_group", |_| Some(json!({ "vpc": "default", "description": "watches" }))),
    slot("guard", "ec2/security_group", |stack| {
        let peer = stack.key("watch").unwrap_or("10.0.0.0/16");
        Some(json!({ "vpc": "default", "description": "boats talk here",
            "ingress": [{ "port": 5432, "from": "self" }, { "port": 5439, "from": peer }] }))
    }),
    slot("gate", "ec2/security_group", |stack| {
        Some(json!({ "vpc": stack.key("net")?, "description": "boats pass here",
            "ingress": [{ "port": 443, "from": "10.20.0.0/16" }], "egress": [{ "protocol": "all", "to": "self" }] }))
    }),
    slot("way", "ec2/vpc_endpoint", |stack| Some(json!({ "vpc": stack.key("net")?, "service": "s3" }))),
    slot("door", "ec2/vpc_endpoint", |stack| {
        Some(json!({ "vpc": stack.key("net")?, "service": "secretsmanager", "subnets": [stack.key("neta")?],
            "security_groups": [stack.key("gate")?], "private_dns": false }))
    }),
    slot("berths", "dms/subnet_group", |stack| {
        Some(json!({ "subnets": "default", "depends_on": [stack.key("vpcrole")?], "description": "for boats" }))
    }),
    slot("docks", "dms/subnet_group", |stack| {
        Some(json!({ "subnets": [stack.key("neta")?, stack.key("netb")?], "depends_on": [stack.key("vpcrole")?] }))
    }),
    slot("machine", "dms/replication_instance", |stack| {
        Some(json!({ "class": "dms.t3.medium", "storage_gb": 20, "subnet_group": stack.key("berths")?,
            "security_groups": [stack.key("guard")?], "depends_on": [stack.key("vpcrole")?] }))
    }),
    slot("spare", "dms/replication_instance", |stack| {
        Some(json!({ "class": "dms.t3.medium", "storage_gb": 30, "subnet_group": stack.key("docks")?,
            "security_groups": [stack.key("gate")?], "depends_on": [stack.key("vpcrole")?], "public": false }))
    }),
    slot("origin", "dms/endpoint", |_| Some(source("one.example.com", "club"))),
    slot("spring", "dms/endpoint", |_| Some(source("spring.example.com", "water"))),
    slot("staging", "s3/bucket", |_| Some(json!({ "expire_days": 7 }))),
    slot("archive", "s3/bucket", |_| Some(json!({}))),
    slot("login", "secretsmanager/secret", |_| {
        Some(json!({ "generate": { "length": 20 }, "description": "how to enter", "recovery_days": 0 }))
    }),
    slot("house", "redshift/namespace", |stack| {
        Some(json!({ "database": "club", "admin": "managed", "roles": [stack.key("access")?] }))
    }),
    slot("counter", "redshift/workgroup", |stack| {
        Some(json!({ "namespace": stack.key("house")?, "base_rpu": 8, "security_groups": [stack.key("guard")?] }))
    }),
    slot("cap", "redshift/usage_limit", |stack| Some(json!({ "workgroup": stack.key("counter")?, "amount": 10 }))),
    slot("sink", "dms/endpoint", |stack| {
        Some(json!({ "direction": "target", "engine": "redshift-serverless", "workgroup": stack.key("counter")?,
            "bucket": stack.key("staging")?, "role": stack.key("access")? }))
    }),
    slot("load", "dms/replication_task", |stack| {
        Some(json!({ "instance": stack.key("machine")?, "source": stack.key("origin")?, "target": stack.key("sink")?,
            "mode": "full-load", "tables": [{ "schema": "public" }] }))
    }),
    slot("upper", "dms/data_provider", |_| {
        Some(json!({ "engine": "postgres", "host": "db.example.com", "port": 5432, "database": "club" }))
    }),
    slot("lower", "dms/data_provider", |_| {
        Some(json!({ "engine": "postgres", "host": "db2.example.com", "port": 5432, "database": "club",
            "description": "downstream" }))
    }),
    slot("crew", "dms/instance_profile", |stack| {
        Some(json!({ "subnet_group": stack.key("berths")?, "security_groups": [stack.key("guard")?],
            "description": "sailors" }))
    }),
    slot("voyage", "dms/migration_project", |stack| {
        Some(json!({ "source": stack.key("upper")?, "target": stack.key("lower")?,
            "instance_profile": stack.key("crew")?, "description": "journey" }))
    }),
];

fn source(host: &str, database: &str) -> Value {
    json!({ "direction": "source", "engine": "postgres", "settings": { "capture_ddls": false },
        "connection": { "host": host, "port": 5432, "database": database, "username": "ann",
            "password": { "env": "SOURCE_PASSWORD" } } })
}

/// What an edit of a field does to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It stays the same object.
    InPlace,
    /// It is made again.
    Replaces,
    /// It is made again when the number becomes smaller.
    Grows,
}

use Effect::{Grows, InPlace, Replaces};

/// A field of a kind, or of a slot alone, with values that it may have. A list of texts in which a
/// slot's name occurs means what that slot is called now; without the slot the value is not used.
type Edit = (&'static str, &'static str, Effect, &'static [&'static str]);

const EDITS: &[Edit] = &[
    ("ec2/vpc", "dns_hostnames", InPlace, &["true", "false"]),
    ("ec2/vpc", "cidr", Replaces, &[r#""10.20.0.0/16""#, r#""10.20.0.0/17""#]),
    ("ec2/vpc", "name", InPlace, &[r#""tide-river""#, r#""tide-lake""#]),
    ("neta", "cidr", Replaces, &[r#""10.20.1.0/24""#, r#""10.20.11.0/24""#]),
    ("netb", "cidr", Replaces, &[r#""10.20.2.0/24""#, r#""10.20.12.0/24""#]),
    ("ec2/security_group", "description", Replaces, &[r#""boats""#, r#""ships""#]),
    (
        "ec2/security_group",
        "ingress",
        InPlace,
        &[
            r#"[{"port":5432,"from":"self"}]"#,
            r#"[{"port":5432,"from":["10.0.0.0/16","self"]},{"ports":"5431-5455","from":"10.1.0.0/16"}]"#,
            "[]",
        ],
    ),
    ("guard", "ingress", InPlace, &[r#"[{"port":5439,"from":"watch"},{"port":5432,"from":["self","watch"]}]"#]),
    (
        "ec2/security_group",
        "egress",
        InPlace,
        &[r#"[{"protocol":"all","to":"self"}]"#, r#"[{"port":443,"to":"0.0.0.0/0"}]"#],
    ),
    (
        "way",
        "policy",
        InPlace,
        &[
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}]}"#,
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]}"#,
        ],
    ),
    ("door", "service", Replaces, &[r#""secretsmanager""#, r#""logs""#]),
    ("door", "subnets", InPlace, &[r#"["neta"]"#, r#"["neta","netb"]"#]),
    ("dms/subnet_group", "description", InPlace, &[r#""for boats""#, r#""for ships""#]),
    ("dms/replication_instance", "class", InPlace, &[r#""dms.t3.medium""#, r#""dms.t3.large""#]),
    ("dms/replication_instance", "storage_gb", Grows, &["20", "30", "50"]),
    ("dms/replication_instance", "multi_az", InPlace, &["true", "false"]),
    (
        "dms/replication_instance",
        "maintenance_window",
        InPlace,
        &[r#""sun:06:00-sun:06:30""#, r#""mon:06:00-mon:06:30""#],
    ),
    ("dms/replication_instance", "auto_minor_upgrades", InPlace, &["true", "false"]),
    ("dms/replication_instance", "public", Replaces, &["true", "false"]),
    ("origin", "engine", Replaces, &[r#""postgres""#, r#""aurora-postgresql""#]),
    (
        "origin",
        "connection",
        InPlace,
        &[
            r#"{"host":"one.example.com","port":5432,"database":"club","username":"ann","password":{"env":"SOURCE_PASSWORD"}}"#,
            r#"{"host":"two.example.com","port":6543,"database":"club","username":"bob","password":{"env":"OTHER_PASSWORD"}}"#,
        ],
    ),
    ("origin", "ssl_mode", InPlace, &[r#""none""#, r#""require""#]),
    ("origin", "settings", InPlace, &[r#"{"capture_ddls":true}"#, r#"{"capture_ddls":false,"heartbeat_enable":true}"#]),
    ("spring", "ssl_mode", InPlace, &[r#""none""#, r#""require""#]),
    ("sink", "bucket_folder", InPlace, &[r#""one""#, r#""two""#]),
    ("sink", "bucket", InPlace, &[r#""staging""#, r#""archive""#]),
    ("load", "mode", InPlace, &[r#""full-load""#, r#""full-load-and-cdc""#, r#""cdc""#]),
    ("load", "tables", InPlace, &[r#"[{"schema":"public"}]"#, r#"[{"schema":"public"},{"schema":"club"}]"#]),
    (
        "load",
        "settings",
        InPlace,
        &[r#"{"FullLoadSettings":{"CommitRate":20000}}"#, r#"{"FullLoadSettings":{"CommitRate":30000}}"#],
    ),
    ("load", "source", Replaces, &[r#""origin""#, r#""spring""#]),
    ("load", "instance", InPlace, &[r#""machine""#, r#""spare""#]),
    ("dms/data_provider", "description", InPlace, &[r#""upstream""#, r#""further up""#]),
    ("dms/data_provider", "host", InPlace, &[r#""db.example.com""#, r#""replica.example.com""#]),
    ("dms/data_provider", "ssl_mode", InPlace, &[r#""none""#, r#""require""#]),
    ("crew", "description", InPlace, &[r#""sailors""#, r#""captains""#]),
    ("crew", "public", InPlace, &["true", "false"]),
    ("voyage", "description", InPlace, &[r#""journey""#, r#""return""#]),
    ("voyage", "target", InPlace, &[r#""lower""#, r#""upper""#]),
    (
        "reader",
        "trust",
        InPlace,
        &[r#"{"services":["dms.amazonaws.com","redshift.amazonaws.com"]}"#, r#"{"services":["dms.amazonaws.com"]}"#],
    ),
    ("reader", "policies", InPlace, &[r#"["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]"#, "[]"]),
    ("reader", "description", InPlace, &[r#""reads""#, r#""reads more""#]),
    ("reader", "max_session_seconds", InPlace, &["3600", "7200"]),
    ("reader", "path", Replaces, &[r#""/""#, r#""/boats/""#]),
    ("s3/bucket", "versioning", InPlace, &["true", "false"]),
    ("s3/bucket", "expire_days", InPlace, &["7", "9"]),
    ("s3/bucket", "abort_uploads_days", InPlace, &["1", "2"]),
    ("archive", "name", Replaces, &[r#""dms-tide-attic""#, r#""dms-tide-cellar""#]),
    ("login", "description", InPlace, &[r#""how to enter""#, r#""how to leave""#]),
    ("login", "recovery_days", InPlace, &["0", "7"]),
    ("login", "value_version", InPlace, &["1", "2", "3"]),
    ("house", "log_exports", InPlace, &[r#"["userlog"]"#, r#"["userlog","connectionlog"]"#]),
    ("house", "roles", InPlace, &[r#"["access"]"#, r#"["access","reader"]"#]),
    ("counter", "base_rpu", InPlace, &["8", "16", "24"]),
    ("counter", "max_rpu", InPlace, &["64", "128"]),
    ("counter", "port", InPlace, &["5439", "5440"]),
    ("cap", "amount", InPlace, &["10", "20"]),
    (
        "counter",
        "parameters",
        InPlace,
        &[r#"{"max_query_execution_time":"3600"}"#, r#"{"max_query_execution_time":"7200"}"#],
    ),
    ("counter", "security_groups", InPlace, &[r#"["guard"]"#, r#"["guard","watch"]"#]),
    ("machine", "security_groups", InPlace, &[r#"["guard"]"#, r#"["guard","watch"]"#]),
    ("cap", "period", Replaces, &[r#""monthly""#, r#""daily""#]),
];

/// Declares a slot if what it needs is there and its name is free. Every second thing that is
/// protected by its kind says that it is not.
pub(super) fn add(random: &mut ChaCha8Rng, stack: &mut Stack, slot: &Slot) -> bool {
    let name = stack.default_name(slot.kind, slot.name);
    let taken = stack.resources.values().any(|other| other.names.contains(&name) || other.slot == slot.name);
    let Some(fields) = (slot.first)(stack).filter(|_| !taken && !stack.resources.contains_key(slot.name)) else {
        return false;
    };
    let holds = holds(slot.kind);
    let protect = match random.random_range(0..6) {
        0 | 1 if holds => Some(false),
        2 if fields.get("preset").is_none() => Some(true),
        _ => None,
    };
    stack.declare(slot.kind, slot.name, fields, protect);
    true
}

/// Whether objects of a kind are protected unless the stack says otherwise.
pub(super) fn holds(kind: &str) -> bool {
    ["s3/bucket", "secretsmanager/secret", "redshift/namespace"].contains(&kind)
}

/// A stack of some of the slots.
pub(super) fn stack(random: &mut ChaCha8Rng, name: &'static str, share: f64) -> Stack {
    let mut stack = Stack::new(name);
    for slot in &SLOTS {
        let wanted = random.random_bool(if slot.name == "vpcrole" || slot.name == "access" { 0.9 } else { share });
        if wanted {
            add(random, &mut stack, slot);
        }
    }
    stack
}

/// One random edit; `None` where the one that was thought of does not fit.
pub(super) fn edit(random: &mut ChaCha8Rng, stack: &mut Stack) -> Option<String> {
    match random.random_range(0..20) {
        0..=3 => {
            let slot = &SLOTS[random.random_range(0..SLOTS.len())];
            let added = add(random, stack, slot);
            added.then(|| format!("add {}", slot.name))
        }
        4..=6 => {
            let key = pick(random, stack)?;
            // Mostly leaves: else a stack would soon be empty.
            let goes = stack.users(&[key.clone()].into()).len();
            if goes > 2 && random.random_bool(0.7) {
                return None;
            }
            Some(format!("remove {}", stack.remove(&key).join(", ")))
        }
        7..=8 => {
            let key = pick(random, stack)?;
            let slot = stack.resources[&key].slot;
            let new = if key == slot { format!("{slot}2") } else { slot.to_owned() };
            if stack.moved.contains_key(&new) || stack.moved.values().any(|moved| *moved == key) {
                return None;
            }
            stack.rename(&key, &new);
            Some(format!("move {key} to {new}"))
        }
        9 => {
            let key = pick(random, stack)?;
            let resource = stack.resources.get_mut(&key)?;
            if resource.fields.contains_key("preset") {
                return None;
            }
            resource.protect = [None, Some(false), Some(true)][random.random_range(0..3)];
            Some(format!("protect of {key} is {:?}", resource.protect))
        }
        10 => {
            stack.team = if stack.team == "boats" { "ships" } else { "boats" };
            Some(format!("tag team {}", stack.team))
        }
        _ => change(random, stack),
    }
}

fn pick(random: &mut ChaCha8Rng, stack: &Stack) -> Option<String> {
    let count = stack.resources.len();
    (count > 0).then(|| stack.resources.keys().nth(random.random_range(0..count)).cloned())?
}

/// Changes one field, or says no more about it.
fn change(random: &mut ChaCha8Rng, stack: &mut Stack) -> Option<String> {
    let key = pick(random, stack)?;
    let resource = &stack.resources[&key];
    let edits: Vec<&Edit> = EDITS
        .iter()
        .filter(|(of, ..)| *of == resource.slot || (*of == resource.kind && !resource.fields.contains_key("preset")))
        .collect();
    if edits.is_empty() {
        return None;
    }
    let (_, field, _, values) = edits[random.random_range(0..edits.len())];
    let value: Value = serde_json::from_str(values[random.random_range(0..values.len())]).unwrap();
    let value = present(stack, &value)?;
    let before = resource.fields.get(*field);
    // Names in the list are the first stack's.
    if before == Some(&value) || (*field == "name" && stack.name != "tide") {
        return None;
    }
    let is_first = SLOTS
        .iter()
        .any(|slot| slot.name == resource.slot && (slot.first)(stack).is_some_and(|first| !first[*field].is_null()));
    let may_be_absent = !is_first && !["name", "period"].contains(field);
    if before.is_some() && may_be_absent && random.random_bool(0.3) {
        stack.resources.get_mut(&key)?.fields.remove(*field);
        return Some(format!("{key} says nothing about {field}"));
    }
    let resource = stack.resources.get_mut(&key)?;
    if *field == "name" {
        // EC2 keeps such a name in a tag; a bucket of another name is another bucket.
        resource.names = [value.as_str().unwrap_or_default().to_owned()].into();
    }
    resource.fields.insert((*field).to_owned(), value.clone());
    Some(format!("{key}.{field}: {value}"))
}

/// A value with slots by their present keys; `None` if one of them is not declared.
fn present(stack: &Stack, value: &Value) -> Option<Value> {
    match value {
        Value::String(text) if SLOTS.iter().any(|slot| slot.name == text) => Some(json!(stack.key(text)?)),
        Value::Array(list) => {
            list.iter().map(|item| present(stack, item)).collect::<Option<Vec<_>>>().map(Value::Array)
        }
        Value::Object(members) => {
            let members = members.iter().map(|(name, member)| Some((name.clone(), present(stack, member)?)));
            members.collect::<Option<_>>().map(Value::Object)
        }
        other => Some(other.clone()),
    }
}

/// Whether the object of a resource is made again, if it was declared as in `before` and is as in
/// `after` now; `None` where that depends on what AWS chose by itself.
pub(super) fn is_remade(before: (&Stack, &str), after: (&Stack, &str)) -> Option<bool> {
    let (old, new) = (&before.0.resources[before.1], &after.0.resources[after.1]);
    let mut is_sure = true;
    for (of, field, effect, _) in EDITS {
        let (Some(now), true) = (new.fields.get(*field), *of == new.slot || *of == new.kind) else { continue };
        let now = by_slots(after.0, now);
        let then = old.fields.get(*field).map(|value| by_slots(before.0, value));
        match (effect, then) {
            (InPlace, _) => {}
            (_, None) => is_sure = false,
            (Replaces, Some(then)) if then != now => return Some(true),
            // What it grew to before this declaration nobody knows.
            (Grows, Some(then)) if then.as_u64() > now.as_u64() => return Some(true),
            _ => {}
        }
    }
    is_sure.then_some(false)
}

/// A value with keys by the slots they stand for.
fn by_slots(stack: &Stack, value: &Value) -> Value {
    let slot = value.as_str().and_then(|text| stack.resources.get(text)).map(|resource| resource.slot);
    slot.map_or_else(|| value.clone(), |slot| json!(slot))
}
