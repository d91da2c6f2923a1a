//! `redshift/schema`: a schema of a warehouse, by SQL through the Redshift Data API.
//!
//! In place: name, owner, quota. Replacement: namespace and database. A schema that holds tables, views
//! or functions is protected like any holder of data: it is dropped with what is in it (`CASCADE`) only
//! after the plan has said so and the loss was agreed to, an empty one without `CASCADE`. Where the namespace
//! is deleted the schema goes with it, without a statement. Schemas carry
//! no tags, so a mark on the namespace says whose one is (at most 50 tags, marks and others, fit on a
//! namespace); a schema without a mark is refused, and `adopt` takes it over. SQL runs as the admin whose
//! password AWS manages, else as the caller's own identity. Costs nothing by itself, but looking is SQL: a
//! plan of a stack with schemas or grants wakes its warehouse, which is charged for 60 seconds at least
//! (at 8 RPU $0.05 in us-east-1). A stack without them makes no statement.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Found, Kind, Object, Outputs, Pauses, Place, Poll, Readiness, Scope, Seconds, Tags,
};
use towpath_engine::value::Value;

use super::dms_common::text;
use super::redshift_contents::{self, Contents, DATABASE, DECLARED, Schema as Live};
use super::redshift_sql::{identifier, literal};
use super::{redshift_common, redshift_marks, redshift_sql};
use crate::cloud::Cloud;
use crate::fault::unfinished;
use crate::redshift_data::Target;

/// Longest name of a schema, so that its mark fits into the key of a tag.
const NAME_LIMIT: usize = 64;

/// What an object says of a schema that holds something.
const HOLDS: &str = "the tables, views and functions in it";

/// The word for no quota.
const UNLIMITED: &str = "unlimited";

/// The block of a `redshift/schema`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The `redshift/workgroup` in whose namespace it lies. Another workgroup of the same namespace is no
    /// change.
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "ALTER SCHEMA moves nothing to another namespace",
        "refers_to": {
            "kinds": ["redshift/workgroup"], "attribute": "namespace", "within": "redshift/namespace",
        },
    }))]
    pub workgroup: String,
    /// The database, which must exist. Default: the first one of the namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "ALTER SCHEMA moves nothing to another database",
    }))]
    pub database: Option<String>,
    /// The name: up to 64 small letters, digits and `_`, not a digit first. What uses the old name (views,
    /// procedures) is not changed along. Default: the name of the resource, with `_` for `-`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "group": "name" }))]
    pub name: Option<String>,
    /// The user who owns it, who must exist. Default: the user who makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "group": "owner" }))]
    pub owner: Option<String>,
    /// The most disk space it may use, e.g. `500 MB`, `10 GB`, `1 TB`, or `unlimited`. Only a superuser
    /// changes it. Default: `unlimited`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "group": "quota",
        // A user who may not read quotas is told none.
        "told_late": true,
    }))]
    pub quota: Option<String>,
}

/// The kind `redshift/schema`.
pub struct Schema {
    cloud: Cloud,
    /// Whether a schema held something when this run first saw it, by identity: what a plan has said.
    held: Mutex<BTreeMap<String, bool>>,
}

/// A quota in megabytes, 0 for none; `None` if the text is no quota.
fn megabytes(quota: &str) -> Option<u64> {
    let quota = quota.trim().to_lowercase();
    if quota == UNLIMITED {
        return Some(0);
    }
    let digits = quota.find(|letter: char| !letter.is_ascii_digit())?;
    let unit = match quota[digits..].trim() {
        "mb" => 1,
        "gb" => 1024,
        "tb" => 1024 * 1024,
        _ => return None,
    };
    quota[..digits].parse::<u64>().ok().filter(|amount| *amount > 0)?.checked_mul(unit)
}

/// The one text of a quota: in the largest unit in which it is whole.
fn quota(megabytes: u64) -> String {
    match megabytes {
        0 => UNLIMITED.to_owned(),
        mb if mb % (1024 * 1024) == 0 => format!("{} TB", mb / (1024 * 1024)),
        mb if mb % 1024 == 0 => format!("{} GB", mb / 1024),
        mb => format!("{mb} MB"),
    }
}

/// Whether a text is a name that needs no care in marks and statements.
pub(super) fn is_clean(name: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    name.len() <= NAME_LIMIT && name.chars().all(letter) && name.starts_with(|first: char| !first.is_ascii_digit())
}

/// The schema's own name in that of an object, `namespace/schema` or `namespace/database.schema`. The
/// identity of a live one ends in a number, which is no name.
fn plain(name: &str) -> Option<&str> {
    name.rsplit(['/', '.']).next().filter(|plain| is_clean(plain))
}

impl Schema {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud, held: Mutex::default() }
    }

    fn object(&self, contents: &Contents, live: &Live) -> Object {
        let Contents { warehouse, database, .. } = contents;
        let identity = format!("{}/{database}/{}", warehouse.namespace, live.id);
        let name = name(&self.cloud, &warehouse.namespace, (*database != warehouse.database).then_some(database), live);
        let quota = contents.quotas.as_ref().ok().map(|quotas| quota(quotas.get(&live.name).copied().unwrap_or(0)));
        let state = redshift_common::without_nulls(json!({
            "workgroup": warehouse.namespace, "database": database, "name": live.name, "owner": live.owner,
            "quota": quota,
        }));
        let holds = live.relations + live.routines > 0;
        self.held.lock().unwrap_or_else(PoisonError::into_inner).entry(identity.clone()).or_insert(holds);
        let key = redshift_marks::key(redshift_marks::SCHEMA, &[database, &live.name]);
        Object {
            outputs: Outputs::from([
                ("id".to_owned(), json!(identity)),
                ("name".to_owned(), json!(name)),
                ("schema".to_owned(), json!(live.name)),
                ("database".to_owned(), json!(database)),
                ("namespace_arn".to_owned(), json!(warehouse.namespace_arn)),
                ("holds".to_owned(), json!(holds)),
            ]),
            tags: Some(redshift_marks::tags(&warehouse.tags, &key)),
            state,
            readiness: Readiness::Ready,
            running: false,
            pending: Value::Null,
            identity,
        }
    }

    /// Where the statements about an object run, with its name.
    async fn place(&self, object: &Object) -> Result<(Target, String), Fault> {
        let of = |field: &str| object.state[field].as_str().unwrap_or_default().to_owned();
        let warehouse = redshift_contents::warehouse(&self.cloud, &of("workgroup")).await?;
        Ok((warehouse.target(&of("database")), of("name")))
    }

    /// Another name under the same mark: the new mark is there before the new name and the old one goes
    /// after it, so that at every moment the schema has one.
    async fn rename(&self, object: &Object, target: &Target, old: &str, new: &str) -> Result<(), Fault> {
        let arn = text(object, "namespace_arn").unwrap_or_default();
        let key = |name: &str| redshift_marks::key(redshift_marks::SCHEMA, &[&target.database, name]);
        let tags = object.tags.clone().unwrap_or_default();
        if !tags.is_empty() {
            redshift_marks::put(&self.cloud, &arn, &key(new), &tags).await?;
        }
        let statement = format!("ALTER SCHEMA {} RENAME TO {}", identifier(old), identifier(new));
        redshift_sql::run(&self.cloud, target, &[statement]).await?;
        redshift_marks::erase(&self.cloud, &arn, vec![key(old)]).await
    }
}

/// By which a schema is found before it has a number: of another database than the first one, or where
/// the stack names the first one, with the database.
fn name(cloud: &Cloud, namespace: &str, database: Option<&String>, live: &Live) -> String {
    let named = |database: &String| cloud.has_heard(&format!("{DECLARED}: {database}.{}", live.name));
    match database {
        Some(database) => format!("{namespace}/{database}.{}", live.name),
        None => match cloud.heard_after(DATABASE).into_iter().find(named) {
            Some(database) => format!("{namespace}/{database}.{}", live.name),
            None => format!("{namespace}/{}", live.name),
        },
    }
}

impl Kind for Schema {
    const NAME: &'static str = "redshift/schema";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "A schema of a warehouse. A plan reads schemas and grants by SQL, which wakes a sleeping warehouse: \
                      60 seconds of its capacity are charged at least.",
            create: Seconds::new(2.0, 5.0, 120.0),
            update: Seconds::new(1.0, 3.0, 60.0),
            delete: Seconds::new(1.0, 3.0, 120.0),
            poll: Poll { first: 0.0, interval: 3.0, give_up: 600.0, stable: 1 },
            pauses: Pauses::Nothing,
            holds: Some(HOLDS),
            name_limit: 255,
            taggable: true,
            assigned_identity: true,
        }
    }

    fn name(&self, _place: &Place, name: &str, spec: &Spec) -> String {
        let plain = spec.name.clone().unwrap_or_else(|| name.to_lowercase().replace('-', "_"));
        self.cloud.hear(DECLARED);
        match &spec.database {
            Some(database) => {
                self.cloud.hear(&format!("{DATABASE}{database}"));
                self.cloud.hear(&format!("{DECLARED}: {database}.{plain}"));
                format!("{}/{database}.{plain}", spec.workgroup)
            }
            None => format!("{}/{plain}", spec.workgroup),
        }
    }

    fn predict(&self, _place: &Place, identity: &str, spec: &Spec) -> Outputs {
        let name = spec.name.as_deref().or_else(|| plain(identity));
        name.map(|name| ("schema".to_owned(), json!(name))).into_iter().collect()
    }

    fn check(&self, spec: &Spec) -> Vec<(String, String)> {
        let mut mistakes = Vec::new();
        let mut mistake = |field: &str, text: String| mistakes.push((field.to_owned(), text));
        for (field, value) in [("database", &spec.database), ("name", &spec.name)] {
            if value.as_ref().is_some_and(|value| !is_clean(value)) {
                mistake(field, format!("1 to {NAME_LIMIT} small letters, digits and `_`, not a digit first"));
            }
        }
        let name = spec.name.as_deref().unwrap_or_default();
        if name.starts_with("pg_") || matches!(name, "public" | "information_schema") {
            mistake("name", "schemas of this name belong to the database itself".to_owned());
        }
        if spec.quota.as_deref().is_some_and(|quota| megabytes(quota).is_none()) {
            mistake("quota", "a quota is a whole number of MB, GB or TB, e.g. `10 GB`, or `unlimited`".to_owned());
        }
        mistakes
    }

    fn holds(&self, object: &Object) -> Option<&'static str> {
        (object.outputs.get("holds") == Some(&json!(true))).then_some(HOLDS)
    }

    fn normalise(&self, mut value: Value) -> Value {
        if let Some(declared) = value.get("quota").and_then(Value::as_str).and_then(megabytes) {
            value["quota"] = json!(quota(declared));
        }
        value
    }

    fn declare(&self, found: &Found<'_>, mut state: Value) -> Value {
        let is_first = !text(found.object, "name").unwrap_or_default().contains('.');
        if let Some(map) = state.as_object_mut().filter(|_| is_first) {
            map.shift_remove("database");
        }
        found.without(state, &json!({ "quota": UNLIMITED }))
    }

    /// What comes with every database.
    fn is_given(&self, object: &Object) -> bool {
        object.state["name"] == "public"
    }

    async fn list(&self, _scope: &Scope) -> Result<Vec<Object>, Fault> {
        let all = redshift_contents::contents(&self.cloud).await?;
        Ok(all.iter().flat_map(|one| one.schemas.iter().map(|live| self.object(one, live))).collect())
    }

    /// Looked for, marked, made. A statement with `IF NOT EXISTS` would not say whose schema it is.
    async fn create(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        let warehouse = redshift_contents::warehouse(&self.cloud, &spec.workgroup).await?;
        let database = spec.database.as_ref().unwrap_or(&warehouse.database);
        let target = warehouse.target(database);
        let plain = spec.name.as_deref().or_else(|| plain(name)).unwrap_or(name);
        let number = format!("SELECT oid FROM pg_namespace WHERE nspname = {}", literal(plain));
        if !redshift_sql::query(&self.cloud, &target, number.clone()).await?.is_empty() {
            let message = format!("schema `{plain}` exists already");
            return Err(Fault::local(FaultClass::AlreadyExists, "redshift-data:ExecuteStatement", message));
        }
        let key = redshift_marks::key(redshift_marks::SCHEMA, &[database, plain]);
        redshift_marks::write(&self.cloud, &warehouse.namespace_arn, &key, tags).await?;
        let mut statement = format!("CREATE SCHEMA {}", identifier(plain));
        if let Some(owner) = &spec.owner {
            statement = format!("{statement} AUTHORIZATION {}", identifier(owner));
        }
        if let Some(megabytes) = spec.quota.as_deref().and_then(megabytes).filter(|megabytes| *megabytes > 0) {
            statement = format!("{statement} QUOTA {megabytes} MB");
        }
        if let Err(fault) = redshift_sql::run(&self.cloud, &target, &[statement]).await {
            // What was refused is not there, and a mark must not wait for somebody else's schema.
            if !matches!(fault.class, FaultClass::Unavailable | FaultClass::Throttled | FaultClass::Busy) {
                redshift_marks::erase(&self.cloud, &warehouse.namespace_arn, vec![key]).await?;
            }
            return Err(fault);
        }
        let rows = redshift_sql::query(&self.cloud, &target, number).await.map_err(unfinished)?;
        let number = rows.into_iter().flatten().flatten().next().unwrap_or_default();
        let identity = format!("{}/{database}/{number}", warehouse.namespace);
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(identity.clone(), false);
        Ok(identity)
    }

    async fn update(&self, object: &Object, spec: &Spec, fields: &[String]) -> Result<(), Fault> {
        let (target, old) = self.place(object).await?;
        // Every field is a group of its own, so there is exactly one.
        let change = match (fields.first().map_or("", String::as_str), &spec.name, &spec.owner) {
            ("name", Some(new), _) => return self.rename(object, &target, &old, new).await,
            ("owner", _, Some(owner)) => format!("OWNER TO {}", identifier(owner)),
            _ => match spec.quota.as_deref().and_then(megabytes) {
                None | Some(0) => "QUOTA UNLIMITED".to_owned(),
                Some(megabytes) => format!("QUOTA {megabytes} MB"),
            },
        };
        let statement = format!("ALTER SCHEMA {} {change}", identifier(&old));
        redshift_sql::run(&self.cloud, &target, &[statement]).await.map(drop)
    }

    /// With what is in it only if it was there when the plan was made: what came since, nobody has agreed
    /// to lose, and the statement is refused.
    async fn delete(&self, object: &Object, _options: &DeleteOptions) -> Result<(), Fault> {
        let (target, name) = self.place(object).await?;
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).get(&object.identity) == Some(&true);
        let cascade = if held { " CASCADE" } else { "" };
        let statement = format!("DROP SCHEMA {}{cascade}", identifier(&name));
        let dropped = redshift_sql::run(&self.cloud, &target, &[statement]).await;
        if dropped.as_ref().is_err_and(|fault| !fault.is_not_found()) {
            return dropped.map(drop);
        }
        let number = object.identity.rsplit('/').next().unwrap_or_default();
        let mut keys = vec![redshift_marks::key(redshift_marks::SCHEMA, &[&target.database, &name])];
        // What was granted on it is gone as well.
        let arn = text(object, "namespace_arn").unwrap_or_default();
        let grants = redshift_marks::key(redshift_marks::GRANT, &[&target.database, number, ""]);
        let tags = redshift_common::list_tags(&self.cloud, &arn).await?.unwrap_or_default();
        keys.extend(tags.into_keys().filter(|key| key.starts_with(&grants)));
        redshift_marks::erase(&self.cloud, &arn, keys).await?;
        dropped.map(drop)
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        let of = |field: &str| object.state[field].as_str().unwrap_or_default();
        let key = redshift_marks::key(redshift_marks::SCHEMA, &[of("database"), of("name")]);
        let arn = text(object, "namespace_arn").unwrap_or_default();
        redshift_marks::write(&self.cloud, &arn, &key, tags).await
    }

    fn examples(&self, _place: &Place) -> Vec<Example> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_has_one_text() {
        for (declared, expected) in [
            ("10 GB", Some("10 GB")),
            ("10240mb", Some("10 GB")),
            ("1024 gb", Some("1 TB")),
            ("500 MB", Some("500 MB")),
            ("Unlimited", Some("unlimited")),
            ("10", None),
            ("0 GB", None),
            ("ten GB", None),
            ("1.5 TB", None),
        ] {
            assert_eq!(megabytes(declared).map(quota).as_deref(), expected, "{declared}");
        }
    }

    #[test]
    fn a_number_is_no_name() {
        assert_eq!(plain("club-warehouse/analytics"), Some("analytics"));
        assert_eq!(plain("club-warehouse/dev.analytics"), Some("analytics"));
        assert_eq!(plain("club-warehouse/dev/16385"), None);
        assert!(!is_clean("") && !is_clean("Analytics") && !is_clean("a\"b") && !is_clean("1a"));
    }
}
