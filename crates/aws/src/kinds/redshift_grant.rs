//! `redshift/grant`: what a user, a group, a role or everybody may do with a schema and the tables in it.
//!
//! In place: the privileges, of which what is missing is granted and what is too much revoked.
//! Replacement: schema and grantee. A grant is everything that one grantee may do in one schema: deleting
//! it revokes all of that. Only the lists that are written are compared. Privileges on tables are granted
//! on all tables and views that there are: where a later one lacks what others have, the plan shows it as
//! `select on 2 of 3` and grants it again; in a schema without tables there is nothing to compare. Scoped
//! permissions, default privileges, grant options and what a grantee has by a role or a group are left
//! alone. Grants carry no tags; whose one is says a mark on the namespace, as of a `redshift/schema`, whose
//! page says what looking costs. Costs nothing by itself.
//!
//! Everybody is `group: public`: "PUBLIC represents a group that always includes all users" (Redshift developer guide,
//! "GRANT"). What a stack grants to everybody no revoke from one user takes away. In the schema `public` everybody has
//! CREATE and USAGE from the beginning ("Schema-based permissions"): such a grant is there already, is refused until
//! `adopt` takes it over, and its deletion takes both away.
//!
//! Long because each field has its rule beside it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Found, Kind, Object, Outputs, Pauses, Place, Poll, Readiness, Scope, Seconds, Tags,
};
use towpath_engine::value::Value;

use super::dms_common::text;
use super::redshift_contents::{self, Contents, DECLARED, Privilege, Schema};
use super::redshift_sql::identifier;
use super::{redshift_common, redshift_marks, redshift_sql};
use crate::cloud::Cloud;

/// The schema that every database has.
const PUBLIC: &str = "public";

/// The group of all users, as `group` and as `identity_type` of the views ("Possible values are user, role, group, or
/// public").
const EVERYBODY: &str = "public";

/// What the cloud hears when a stack declares a grant.
const GRANTS: &str = "grants in a warehouse";

/// The block of a `redshift/grant`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The `redshift/schema`, or `public` for the one that the first database of `workgroup` comes with.
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "privileges do not move to another schema",
        "refers_to": {
            "kinds": ["redshift/schema"], "attribute": "id", "words": ["public"], "within": "redshift/schema",
        },
    }))]
    pub schema: String,
    /// With `schema: public` the `redshift/workgroup` in whose namespace that lies; else the schema's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "privileges do not move to another namespace",
        "refers_to": {
            "kinds": ["redshift/workgroup"], "attribute": "namespace", "within": "redshift/namespace",
        },
    }))]
    pub workgroup: Option<String>,
    /// The user who is granted it, who must exist. One of `user`, `group` and `role` is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "privileges do not move to another grantee" }))]
    pub user: Option<String>,
    /// The group, which must exist, or `public` for everybody, now and later.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "privileges do not move to another grantee" }))]
    pub group: Option<String>,
    /// The role, which must exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "privileges do not move to another grantee" }))]
    pub role: Option<String>,
    /// Privileges on the schema itself: `usage`, `create`, `alter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "compare": "set", "group": "on_schema" }))]
    pub on_schema: Option<Vec<OnSchema>>,
    /// Privileges on all tables and views that are in it: `select`, `insert`, `update`, `delete`,
    /// `references`, `drop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "compare": "set", "group": "on_tables",
        // Where there are no tables there is nothing to tell.
        "told_late": true,
    }))]
    pub on_tables: Option<Vec<OnTables>>,
}

/// A privilege on a schema that `SVV_SCHEMA_PRIVILEGES` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnSchema {
    /// To use what is in it.
    Usage,
    /// To make something in it.
    Create,
    /// To change it.
    Alter,
}

/// A privilege on a table that `SVV_RELATION_PRIVILEGES` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnTables {
    /// To read.
    Select,
    /// To add rows.
    Insert,
    /// To change rows.
    Update,
    /// To delete rows.
    Delete,
    /// To refer to it by a foreign key.
    References,
    /// To drop it.
    Drop,
}

/// Who is granted something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Grantee {
    /// `user`, `group`, `role` or `public`.
    sort: String,
    name: String,
}

impl Grantee {
    fn new(sort: &str, name: &str) -> Self {
        Self { sort: sort.to_owned(), name: name.to_owned() }
    }

    fn of(spec: &Spec) -> Self {
        let one = |sort: &str, name: &Option<String>| name.as_ref().map(|name| Self::new(sort, name));
        if spec.group.as_deref().is_some_and(is_everybody) && spec.role.is_none() {
            return Self::new(EVERYBODY, EVERYBODY);
        }
        let declared = one("role", &spec.role).or(one("group", &spec.group)).or(one("user", &spec.user));
        declared.unwrap_or_else(|| Self::new("user", ""))
    }

    /// `role:readers`, or `public` alone.
    fn key(&self) -> String {
        if self.sort == EVERYBODY { self.sort.clone() } else { format!("{}:{}", self.sort, self.name) }
    }

    fn of_key(key: &str) -> Self {
        let (sort, name) = key.split_once(':').unwrap_or((EVERYBODY, EVERYBODY));
        Self::new(sort, name)
    }

    /// The field of a spec that names it.
    fn field(&self) -> &str {
        if self.sort == EVERYBODY { "group" } else { &self.sort }
    }

    /// As GRANT and REVOKE want it.
    fn sql(&self) -> String {
        match self.sort.as_str() {
            "role" => format!("ROLE {}", identifier(&self.name)),
            "group" => format!("GROUP {}", identifier(&self.name)),
            EVERYBODY => "PUBLIC".to_owned(),
            _ => identifier(&self.name),
        }
    }
}

/// Whether a group is PUBLIC, a word of SQL in any case. A group of one's own cannot be meant by that name.
fn is_everybody(group: &str) -> bool {
    group.eq_ignore_ascii_case(EVERYBODY)
}

/// A schema with a grantee.
struct Pair<'a> {
    contents: &'a Contents,
    schema: &'a Schema,
    grantee: Grantee,
}

impl Pair<'_> {
    fn mark(&self) -> String {
        mark(&self.contents.database, &self.schema.id, &self.grantee)
    }

    fn tags(&self) -> Tags {
        redshift_marks::tags(&self.contents.warehouse.tags, &self.mark())
    }

    /// Privileges by their names with the number of relations, none for the schema itself.
    fn privileges(&self) -> impl Iterator<Item = (&str, Option<u64>)> {
        let of = move |one: &&Privilege| {
            one.schema == self.schema.name && one.sort == self.grantee.sort && one.grantee == self.grantee.name
        };
        let all = self.contents.privileges.as_ref().into_iter().flatten();
        all.filter(of).map(|one| (one.word.as_str(), one.relations))
    }

    fn object(&self) -> Object {
        let Self { contents, schema, grantee } = self;
        let warehouse = &contents.warehouse;
        let id = format!("{}/{}/{}", warehouse.namespace, contents.database, schema.id);
        let is_public = schema.name == PUBLIC && contents.database == warehouse.database;
        let on = if is_public { PUBLIC.to_owned() } else { id.clone() };
        let mut on_schema: Vec<&str> =
            self.privileges().filter(|(_, relations)| relations.is_none()).map(|(name, _)| name).collect();
        on_schema.sort_unstable();
        let told = |(name, relations): (&str, Option<u64>)| {
            let relations = relations?;
            let is_whole = relations >= schema.relations;
            Some(if is_whole { name.to_owned() } else { format!("{name} on {relations} of {}", schema.relations) })
        };
        let mut on_tables: Vec<String> = self.privileges().filter_map(told).collect();
        on_tables.sort_unstable();
        let mut state = json!({
            "schema": on, "workgroup": warehouse.namespace, "on_schema": on_schema,
            "on_tables": (schema.relations > 0).then_some(on_tables),
        });
        state[grantee.field()] = json!(grantee.name);
        let identity = format!("{id}/{}", grantee.key());
        Object {
            outputs: Outputs::from([
                ("id".to_owned(), json!(identity)),
                ("name".to_owned(), json!(name(&on, Some(&warehouse.namespace), grantee))),
                ("schema_name".to_owned(), json!(schema.name)),
                ("schema_number".to_owned(), json!(schema.id)),
                ("database".to_owned(), json!(contents.database)),
                ("namespace_arn".to_owned(), json!(warehouse.namespace_arn)),
            ]),
            tags: Some(self.tags()),
            state: redshift_common::without_nulls(state),
            readiness: Readiness::Ready,
            running: false,
            pending: Value::Null,
            identity,
        }
    }
}

fn mark(database: &str, schema: &str, grantee: &Grantee) -> String {
    redshift_marks::key(redshift_marks::GRANT, &[database, schema, &grantee.key()])
}

/// By which a grant is found before it is marked.
fn name(schema: &str, namespace: Option<&String>, grantee: &Grantee) -> String {
    match namespace.filter(|_| schema == PUBLIC) {
        Some(namespace) => format!("{namespace}/{schema}/{}", grantee.key()),
        None => format!("{schema}/{}", grantee.key()),
    }
}

/// Every pair of which there is something to tell: a privilege or a mark.
fn pairs(contents: &Contents) -> Vec<Pair<'_>> {
    let mut found = Vec::new();
    for schema in &contents.schemas {
        let granted = contents.privileges.as_ref().into_iter().flatten();
        let granted = granted.filter(|one| one.schema == schema.name);
        let mut grantees: BTreeSet<Grantee> = granted.map(|one| Grantee::new(&one.sort, &one.grantee)).collect();
        // What an owner has by owning is no grant.
        grantees.retain(|grantee| grantee.sort != "user" || Some(&grantee.name) != schema.owner.as_ref());
        let marked = redshift_marks::after(&contents.warehouse.tags, redshift_marks::GRANT);
        grantees.extend(marked.into_iter().filter_map(|parts| match parts.as_slice() {
            [database, number, grantee] if *database == contents.database && *number == schema.id => {
                Some(Grantee::of_key(grantee))
            }
            _ => None,
        }));
        found.extend(grantees.into_iter().map(|grantee| Pair { contents, schema, grantee }));
    }
    found
}

/// The kind `redshift/grant`.
pub struct Grant {
    cloud: Cloud,
}

/// One privilege after another, as SQL has them.
fn list(privileges: &[String]) -> String {
    privileges.join(", ").to_uppercase()
}

fn words<T: Serialize>(privileges: Option<&Vec<T>>) -> Vec<String> {
    let word = |one: &T| json!(one).as_str().unwrap_or_default().to_owned();
    privileges.into_iter().flatten().map(word).collect()
}

/// The statements that make the live privileges the wanted ones. A live one may say how many tables have it.
fn changes(on: &str, wanted: &[String], live: &[String], grantee: &Grantee) -> Vec<String> {
    let plain = |live: &String| live.split(' ').next().unwrap_or_default().to_owned();
    let missing: Vec<String> = wanted.iter().filter(|one| !live.contains(one)).cloned().collect();
    let surplus: Vec<String> = live.iter().map(plain).filter(|one| !wanted.contains(one)).collect();
    let mut statements = Vec::new();
    if !missing.is_empty() {
        statements.push(format!("GRANT {} ON {on} TO {}", list(&missing), grantee.sql()));
    }
    if !surplus.is_empty() {
        statements.push(format!("REVOKE {} ON {on} FROM {}", list(&surplus), grantee.sql()));
    }
    statements
}

fn on_schema(schema: &str) -> String {
    format!("SCHEMA {}", identifier(schema))
}

fn on_tables(schema: &str) -> String {
    format!("ALL TABLES IN SCHEMA {}", identifier(schema))
}

impl Grant {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }

    /// Runs statements and takes the mark away if what they should have made is certainly not there.
    async fn grant(&self, pair: &Pair<'_>, statements: &[String]) -> Result<(), Fault> {
        if statements.is_empty() {
            return Ok(());
        }
        let target = pair.contents.warehouse.target(&pair.contents.database);
        let Err(fault) = redshift_sql::run(&self.cloud, &target, statements).await else { return Ok(()) };
        if !matches!(fault.class, FaultClass::Unavailable | FaultClass::Throttled | FaultClass::Busy) {
            let arn = &pair.contents.warehouse.namespace_arn;
            redshift_marks::erase(&self.cloud, arn, vec![pair.mark()]).await?;
        }
        // Who is missing here is not the grant.
        let class = if fault.is_not_found() { FaultClass::Invalid } else { fault.class };
        Err(Fault { class, ..fault })
    }
}

impl Kind for Grant {
    const NAME: &'static str = "redshift/grant";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "What a user, a group, a role or everybody may do with a schema and the tables in it. Reading it \
                      wakes the warehouse, as for a `redshift/schema`.",
            create: Seconds::new(2.0, 5.0, 120.0),
            update: Seconds::new(1.0, 3.0, 60.0),
            delete: Seconds::new(1.0, 3.0, 60.0),
            poll: Poll { first: 0.0, interval: 3.0, give_up: 600.0, stable: 1 },
            pauses: Pauses::Nothing,
            holds: None,
            name_limit: 255,
            taggable: true,
            assigned_identity: true,
        }
    }

    fn name(&self, _place: &Place, _name: &str, spec: &Spec) -> String {
        self.cloud.hear(DECLARED);
        self.cloud.hear(GRANTS);
        name(&spec.schema, spec.workgroup.as_ref(), &Grantee::of(spec))
    }

    fn check(&self, spec: &Spec) -> Vec<(String, String)> {
        let mut mistakes = Vec::new();
        let mut mistake = |field: &str, text: &str| mistakes.push((field.to_owned(), text.to_owned()));
        let grantees = [("user", &spec.user), ("group", &spec.group), ("role", &spec.role)];
        let declared: Vec<&str> = grantees.iter().filter(|(_, name)| name.is_some()).map(|(field, _)| *field).collect();
        match declared.as_slice() {
            [_] => {}
            [] => mistake("schema", "say who is granted it: one of `user`, `group` and `role`"),
            [.., last] => mistake(last, "a grant is for one grantee: write one of `user`, `group` and `role`"),
        }
        if grantees.iter().any(|(_, name)| name.as_ref().is_some_and(|name| name.is_empty() || name.len() > 64)) {
            mistake(declared.first().copied().unwrap_or("user"), "a name of 1 to 64 letters");
        }
        if spec.on_schema.is_none() && spec.on_tables.is_none() {
            mistake("schema", "say what is granted: `on_schema`, `on_tables` or both");
        }
        if spec.schema == PUBLIC && spec.workgroup.is_none() {
            mistake("workgroup", "`public` is in every database: name the workgroup");
        }
        mistakes
    }

    /// What everybody has in the schema `public` of a warehouse that is not there yet will be found there, unasked for.
    async fn preflight(&self, spec: &Value) -> Result<Vec<String>, Fault> {
        let is_everybody = spec["group"].as_str().is_some_and(is_everybody);
        if !is_everybody || spec["schema"] != PUBLIC {
            return Ok(Vec::new());
        }
        let all = redshift_contents::contents(&self.cloud).await?;
        if all.iter().any(|contents| spec["workgroup"] == contents.warehouse.namespace.as_str()) {
            return Ok(Vec::new());
        }
        Ok(vec![
            "a new warehouse grants CREATE and USAGE on its schema `public` to everybody, and that is no grant of this \
             stack: make the rest first (`--exclude`), then take it over (`towpath adopt`)"
                .to_owned(),
        ])
    }

    fn normalise(&self, mut value: Value) -> Value {
        if value["group"].as_str().is_some_and(is_everybody) {
            value["group"] = json!(EVERYBODY);
        }
        value
    }

    /// What everybody has in the schema that comes with every database.
    fn is_given(&self, object: &Object) -> bool {
        object.state["group"] == EVERYBODY && object.outputs.get("schema_name") == Some(&json!(PUBLIC))
    }

    fn declare(&self, found: &Found<'_>, mut state: Value) -> Value {
        let is_public = state["schema"] == PUBLIC;
        if let Some(map) = state.as_object_mut() {
            let is_partial = |privilege: &Value| privilege.as_str().is_some_and(|text| text.contains(' '));
            map.retain(|field, value| match field.as_str() {
                "workgroup" => is_public,
                "on_tables" => !value.as_array().is_some_and(|all| all.is_empty() || all.iter().any(is_partial)),
                _ => true,
            });
        }
        found.without(state, &json!({}))
    }

    async fn list(&self, _scope: &Scope) -> Result<Vec<Object>, Fault> {
        let all = redshift_contents::contents(&self.cloud).await?;
        let mut objects = Vec::new();
        for contents in all.iter() {
            let is_wanted = self.cloud.has_heard(GRANTS)
                || !redshift_marks::after(&contents.warehouse.tags, redshift_marks::GRANT).is_empty();
            if let Err(fault) = contents.privileges.as_ref().map_err(Clone::clone).map(drop)
                && is_wanted
            {
                return Err(fault);
            }
            objects.extend(pairs(contents).iter().map(Pair::object));
        }
        Ok(objects)
    }

    /// Looked for, marked, granted.
    async fn create(&self, _name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        let all = redshift_contents::contents(&self.cloud).await?;
        let is_meant = |contents: &Contents, schema: &Schema| {
            let Contents { warehouse, database, .. } = contents;
            match spec.schema.as_str() {
                PUBLIC => {
                    schema.name == PUBLIC
                        && *database == warehouse.database
                        && spec.workgroup.as_ref() == Some(&warehouse.namespace)
                }
                id => format!("{}/{database}/{}", warehouse.namespace, schema.id) == id,
            }
        };
        let all_schemas = all.iter().flat_map(|one| one.schemas.iter().map(move |schema| (one, schema)));
        let Some((contents, schema)) = all_schemas.into_iter().find(|(one, schema)| is_meant(one, schema)) else {
            let message = format!("schema `{}` cannot be reached", spec.schema);
            return Err(Fault::local(FaultClass::NotPropagated, "redshift-data:ExecuteStatement", message));
        };
        let pair = Pair { contents, schema, grantee: Grantee::of(spec) };
        let (held, mine) = (pair.privileges().next().is_some(), super::same_owner(&pair.tags(), tags));
        if held && !mine {
            let message = format!("{} has privileges on schema `{}` already", pair.grantee.key(), schema.name);
            return Err(Fault::local(FaultClass::AlreadyExists, "redshift-data:ExecuteStatement", message));
        }
        redshift_marks::write(&self.cloud, &contents.warehouse.namespace_arn, &pair.mark(), tags).await?;
        let mut statements = changes(&on_schema(&schema.name), &words(spec.on_schema.as_ref()), &[], &pair.grantee);
        statements.extend(changes(&on_tables(&schema.name), &words(spec.on_tables.as_ref()), &[], &pair.grantee));
        self.grant(&pair, &statements).await?;
        Ok(pair.object().identity)
    }

    async fn update(&self, object: &Object, spec: &Spec, fields: &[String]) -> Result<(), Fault> {
        let live = |field: &str| -> Vec<String> {
            let list = object.state[field].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let schema = text(object, "schema_name").unwrap_or_default();
        let grantee = Grantee::of(spec);
        // Both fields are groups of their own, so there is exactly one.
        let statements = if fields.iter().any(|field| field == "on_schema") {
            changes(&on_schema(&schema), &words(spec.on_schema.as_ref()), &live("on_schema"), &grantee)
        } else {
            changes(&on_tables(&schema), &words(spec.on_tables.as_ref()), &live("on_tables"), &grantee)
        };
        if statements.is_empty() {
            return Ok(());
        }
        let namespace = object.state["workgroup"].as_str().unwrap_or_default();
        let warehouse = redshift_contents::warehouse(&self.cloud, namespace).await?;
        let target = warehouse.target(&text(object, "database").unwrap_or_default());
        redshift_sql::run(&self.cloud, &target, &statements).await.map(drop)
    }

    /// Revoking what nobody has is no mistake to the server, so it is looked for first.
    async fn delete(&self, object: &Object, _options: &DeleteOptions) -> Result<(), Fault> {
        let all = redshift_contents::contents(&self.cloud).await?;
        let mut pairs = all.iter().flat_map(pairs);
        let Some(pair) = pairs.find(|pair| pair.object().identity == object.identity) else {
            let message = format!("`{}` is not granted", object.identity);
            return Err(Fault::local(FaultClass::NotFound, "redshift-data:ExecuteStatement", message));
        };
        let from = |on: String| format!("REVOKE ALL ON {on} FROM {}", pair.grantee.sql());
        let schema = &pair.schema.name;
        let mut statements = vec![from(on_schema(schema))];
        statements.extend((pair.schema.relations > 0).then(|| from(on_tables(schema))));
        let target = pair.contents.warehouse.target(&pair.contents.database);
        let revoked = redshift_sql::run(&self.cloud, &target, &statements).await;
        if revoked.as_ref().is_err_and(|fault| !fault.is_not_found()) {
            return revoked.map(drop);
        }
        redshift_marks::erase(&self.cloud, &pair.contents.warehouse.namespace_arn, vec![pair.mark()]).await?;
        revoked.map(drop)
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        let of = |output: &str| text(object, output).unwrap_or_default();
        let state: Spec = serde_json::from_value(json!({
            "schema": "", "user": object.state.get("user"), "group": object.state.get("group"),
            "role": object.state.get("role"),
        }))
        .unwrap_or_default();
        let key = mark(&of("database"), &of("schema_number"), &Grantee::of(&state));
        redshift_marks::write(&self.cloud, &of("namespace_arn"), &key, tags).await
    }

    fn examples(&self, _place: &Place) -> Vec<Example> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn what_is_missing_is_granted_and_what_is_too_much_revoked() {
        let role = Grantee::new("role", "readers");
        let statements =
            changes(&on_tables("lake"), &texts(&["select", "update"]), &texts(&["insert", "select on 1 of 3"]), &role);
        assert_eq!(
            statements,
            [
                "GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA \"lake\" TO ROLE \"readers\"",
                "REVOKE INSERT ON ALL TABLES IN SCHEMA \"lake\" FROM ROLE \"readers\"",
            ]
        );
        assert!(changes(&on_schema("lake"), &texts(&["usage"]), &texts(&["usage"]), &role).is_empty());
        let user = Grantee::new("user", "a\"b");
        assert_eq!(changes("x", &texts(&["usage"]), &[], &user), ["GRANT USAGE ON x TO \"a\"\"b\""]);
    }

    #[test]
    fn everybody_is_a_group_in_the_file_and_a_word_of_its_own_in_sql() {
        let of = |group: &str| Grantee::of(&Spec { group: Some(group.to_owned()), ..Spec::default() });
        let everybody = of("PUBLIC");
        assert_eq!(
            (everybody.key().as_str(), everybody.sql().as_str(), everybody.field()),
            ("public", "PUBLIC", "group")
        );
        assert_eq!(Grantee::of_key(&everybody.key()), everybody);
        assert_eq!(of("crew").sql(), "GROUP \"crew\"");
        // A user of that name, which Redshift refuses, is nobody else.
        let user = Grantee::new("user", "public");
        assert_eq!((user.key().as_str(), Grantee::of_key(&user.key())), ("user:public", user.clone()));
    }

    #[test]
    fn a_grant_is_for_one_grantee_and_about_something() {
        let kind = Grant::new(Cloud::offline());
        let fields = |value: Value| -> Vec<String> {
            kind.check(&serde_json::from_value(value).unwrap()).into_iter().map(|(field, _)| field).collect()
        };
        assert!(fields(json!({ "schema": "s", "role": "r", "on_schema": ["usage"] })).is_empty());
        assert_eq!(fields(json!({ "schema": "s", "on_schema": ["usage"] })), ["schema"]);
        assert_eq!(fields(json!({ "schema": "s", "role": "r", "user": "u", "on_tables": [] })), ["role"]);
        assert_eq!(fields(json!({ "schema": "public", "role": "r" })), ["schema", "workgroup"]);
    }
}
