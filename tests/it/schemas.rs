//! Schemas and grants of a warehouse: what carries no tags is known by the marks on its namespace, and
//! what holds data is not lost unasked.

use serde_json::{Value, json};

use crate::aws::Aws;
use crate::env::{KILLED, Ran, TestEnvironment};

const STACK: &str = "stacks/lake.yaml";

const WAREHOUSE: &str = "stack: lake
target: sandbox
resources:
  warehouse: {kind: redshift/namespace, database: boats, admin: managed, protect: false}
  workgroup: {kind: redshift/workgroup, namespace: warehouse, base_rpu: 8}
";

const SCHEMA: &str = "  analytics: {kind: redshift/schema, workgroup: workgroup, quota: 10 GB}\n";

const GRANT: &str = "  readers: {kind: redshift/grant, schema: analytics, user: \"IAM:sandbox\", on_schema: [usage], on_tables: [select]}\n";

const EVERYBODY: &str =
    "  everybody: {kind: redshift/grant, schema: analytics, group: public, on_schema: [usage], on_tables: [select]}\n";

fn project(resources: &[&str]) -> TestEnvironment {
    let project = TestEnvironment::empty();
    declare(&project, resources);
    project
}

fn declare(project: &TestEnvironment, resources: &[&str]) {
    project.write(STACK, &format!("{WAREHOUSE}{}", resources.concat()));
}

/// Loses the stack's folder, not the sandbox's world.
fn lose(project: &TestEnvironment) {
    let folder = project.path().join(".towpath/lake");
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

/// Runs a statement as another client, to its end: its rows.
#[track_caller]
fn sql(project: &TestEnvironment, sql: &str) -> Vec<Vec<Value>> {
    Aws::of(project).sql("lake-workgroup", "boats", sql)
}

/// The schemas beside those that every database has.
fn schemas(project: &TestEnvironment) -> Vec<Vec<Value>> {
    sql(project, "select nspname from pg_namespace where nspname !~ '^(pg_|information_schema|public)' order by 1")
}

/// The keys of the marks on the namespace.
fn marks(project: &TestEnvironment) -> Vec<String> {
    tags(project).into_iter().filter(|key| key.matches(':').count() > 1).collect()
}

/// The keys of all its tags.
fn tags(project: &TestEnvironment) -> Vec<String> {
    let aws = Aws::of(project);
    let namespace = aws.redshift("GetNamespace", &json!({ "namespaceName": "lake-warehouse" })).unwrap();
    let arn = &namespace["namespace"]["namespaceArn"];
    let tags = aws.redshift("ListTagsForResource", &json!({ "resourceArn": arn })).unwrap();
    tags["tags"].as_array().unwrap().iter().filter_map(|tag| tag["key"].as_str().map(str::to_owned)).collect()
}

#[track_caller]
fn has(ran: &Ran, text: &str) {
    assert!(ran.stdout.contains(text) || ran.stderr.contains(text), "{text}\n{}\n{}", ran.stdout, ran.stderr);
}

#[test]
fn a_schema_and_its_grant_live_without_any_state() {
    let lake = project(&[SCHEMA, GRANT]);
    lake.expect(0, &["apply", "--yes"]);
    lake.expect(0, &["plan"]);
    lose(&lake);
    lake.expect(0, &["plan"]);
    assert_eq!(schemas(&lake), [[json!("analytics")]]);

    // What others change is drift, and is changed back.
    sql(&lake, "revoke usage on schema analytics from \"IAM:sandbox\"");
    has(&lake.expect(3, &["drift"]), "readers.on_schema differs");
    lake.expect(0, &["apply", "--yes"]);
    // A table that came after the grant lacks it.
    sql(&lake, "create table analytics.trips (id int)");
    lake.expect(0, &["apply", "--yes"]);
    sql(&lake, "create table analytics.boats (id int)");
    has(&lake.expect(3, &["plan"]), "select on 1 of 2");
    lake.expect(0, &["apply", "--yes"]);
    lake.expect(0, &["plan"]);
    let granted = sql(&lake, "select relation_name from svv_relation_privileges order by 1");
    assert_eq!(granted, [[json!("boats")], [json!("trips")]]);

    // Another name keeps what is in it, and the mark goes along.
    lake.edit(STACK, "workgroup: workgroup, quota", "workgroup: workgroup, name: harbour, quota");
    has(&lake.expect(3, &["plan"]), "Plan: 0 to create, 1 to change, 0 to delete");
    lake.expect(0, &["apply", "--yes"]);
    lose(&lake);
    lake.expect(0, &["plan"]);
    assert_eq!(sql(&lake, "select count(*) from harbour.boats"), [[json!(0)]]);
    assert!(marks(&lake).contains(&"towpath:schema:boats.harbour".to_owned()), "{:?}", marks(&lake));
    assert_eq!(marks(&lake).len(), 2, "{:?}", marks(&lake));

    // What is dropped by others is made again, with what was granted on it.
    sql(&lake, "drop schema harbour cascade");
    has(&lake.expect(3, &["plan"]), "Plan: 2 to create, 0 to change, 0 to delete");
    lake.expect(0, &["apply", "--yes"]);
    lake.expect(0, &["plan"]);
    assert_eq!(marks(&lake).len(), 2, "{:?}", marks(&lake));
    // With the namespace goes what is in it: no statement wakes the warehouse for that.
    let destroy = lake.expect(3, &["plan", "--destroy"]);
    has(&destroy, "it goes with `lake-warehouse`, in which it lies");
    has(&destroy, "Plan: 0 to create, 0 to change, 2 to delete");
    lake.expect(0, &["destroy", "--yes"]);
    let namespaces = Aws::of(&lake).redshift("ListNamespaces", &json!({})).unwrap();
    assert_eq!(namespaces["namespaces"], json!([]));
    // A namespace of the same name knows nothing of the old one's schemas.
    lake.expect(0, &["apply", "--yes"]);
    lake.expect(0, &["plan"]);
}

#[test]
fn what_is_no_longer_declared_is_found_by_its_mark_and_data_are_protected() {
    let lake = project(&[SCHEMA, GRANT]);
    lake.expect(0, &["apply", "--yes"]);
    sql(&lake, "create table analytics.trips (id int)");
    declare(&lake, &[]);
    lose(&lake);
    let refused = lake.expect(1, &["apply", "--yes"]);
    has(&refused, "would lose the tables, views and functions in it");
    has(&refused, "--allow-data-loss analytics");
    let plan = lake.expect(3, &["plan", "--allow-data-loss", "analytics"]);
    has(&plan, "loses data: the tables, views and functions in it");
    has(&plan, "- redshift/schema.analytics is deleted, because the stack no longer declares it");
    has(&plan, "it goes with `lake-warehouse/boats/");
    lake.expect(1, &["destroy", "--yes"]);
    assert_eq!(schemas(&lake), [[json!("analytics")]], "nothing was lost unasked");
    lake.expect(0, &["apply", "--yes", "--allow-data-loss", "analytics"]);
    lose(&lake);
    lake.expect(0, &["plan"]);
    assert_eq!((schemas(&lake).len(), marks(&lake)), (0, Vec::new()));
    // An empty one goes without a question, and a grant without its schema.
    declare(&lake, &[SCHEMA, GRANT]);
    lake.expect(0, &["apply", "--yes"]);
    declare(&lake, &[SCHEMA]);
    lose(&lake);
    has(&lake.expect(3, &["plan"]), "- redshift/grant.readers is deleted, because the stack no longer declares it");
    lake.expect(0, &["apply", "--yes"]);
    assert_eq!(marks(&lake), ["towpath:schema:boats.analytics"]);
    // Another workgroup of the same namespace is reached through and holds nothing.
    lake.edit(STACK, "{kind: redshift/workgroup, ", "{kind: redshift/workgroup, name: lake-other, ");
    has(&lake.expect(3, &["plan"]), "Plan: 0 to create, 0 to change, 0 to delete, 1 to replace");
    lake.expect(0, &["apply", "--yes"]);
    lake.expect(0, &["plan"]);
    lake.edit(STACK, "name: lake-other, ", "name: lake-workgroup, ");
    lake.expect(0, &["apply", "--yes"]);
    declare(&lake, &[]);
    lake.expect(0, &["apply", "--yes"]);
    assert_eq!(schemas(&lake).len(), 0);
}

#[test]
fn a_schema_of_others_is_refused_until_it_is_adopted() {
    let lake = project(&[]);
    lake.expect(0, &["apply", "--yes"]);
    sql(&lake, "create schema analytics quota 10 gb");
    sql(&lake, "grant usage on schema analytics to \"IAM:sandbox\"");
    declare(&lake, &[SCHEMA]);
    let refused = lake.expect(1, &["apply", "--yes"]);
    has(&refused, "redshift/schema.analytics");
    assert_eq!(marks(&lake), Vec::<String>::new(), "what is not ours is not marked");
    has(&lake.expect(0, &["adopt", "analytics", "--yes"]), "towpath:stack");
    lose(&lake);
    lake.expect(0, &["plan"]);
    declare(&lake, &[SCHEMA, GRANT]);
    has(&lake.expect(1, &["apply", "--yes"]), "redshift/grant.readers");
    lake.expect(0, &["adopt", "readers", "--yes"]);
    lake.expect(0, &["plan"]);
    // Undeclared, it comes into the file as it is.
    sql(&lake, "create schema sea");
    lake.expect(0, &["adopt", "--discover", "--yes"]);
    assert!(lake.read(STACK).contains("name: sea"), "{}", lake.read(STACK));
    lake.expect(0, &["plan"]);
}

#[test]
fn more_schemas_than_a_namespace_has_room_for_tags_are_refused_before_anything_is_done() {
    let schema = |number: usize| format!("  s{number}: {{kind: redshift/schema, workgroup: workgroup}}\n");
    let schemas_up_to = |last: usize| (1..=last).map(schema).collect::<String>();
    let lake = project(&[&schemas_up_to(60)]);
    // Nothing stands yet: the namespace, too, is this plan's to make.
    let refused = lake.expect(1, &["plan"]);
    has(&refused, "AWS would refuse this plan; nothing was done");
    has(&refused, "redshift/namespace.warehouse: `lake-warehouse` would carry ");
    has(&refused, "and AWS allows 50: one for each of the stack's 60 schemas and grants in it");
    lake.expect(1, &["apply", "--yes"]);
    let namespaces = Aws::of(&lake).redshift("ListNamespaces", &json!({})).unwrap();
    assert_eq!(namespaces["namespaces"], json!([]));
    // Up to the limit everything fits, and not one more.
    declare(&lake, &[]);
    lake.expect(0, &["apply", "--yes"]);
    let room = 50 - tags(&lake).len();
    declare(&lake, &[&schemas_up_to(room)]);
    lake.expect(0, &["apply", "--yes"]);
    lake.expect(0, &["plan"]);
    assert_eq!(tags(&lake).len(), 50);
    declare(&lake, &[&schemas_up_to(room), GRANT.replace("analytics", "s1").as_str()]);
    let refused = lake.expect(1, &["apply", "--yes"]);
    has(&refused, "`lake-warehouse` would carry 51 tags");
    has(&refused, "Lay 1 of them into another namespace");
    // What goes in the same plan makes room.
    declare(&lake, &[&schemas_up_to(room - 1), GRANT.replace("analytics", "s1").as_str()]);
    has(&lake.expect(3, &["plan"]), "Plan: 1 to create, 0 to change, 1 to delete");
}

#[test]
fn what_everybody_is_granted_is_planned_compared_and_revoked() {
    let lake = project(&[SCHEMA, EVERYBODY]);
    lake.expect(0, &["apply", "--yes"]);
    lose(&lake);
    lake.expect(0, &["plan"]);
    let granted =
        "select privilege_type, identity_type from svv_schema_privileges where namespace_name = 'analytics' order by 1";
    assert_eq!(sql(&lake, granted), [[json!("USAGE"), json!("public")]]);
    sql(&lake, "create table analytics.trips (id int)");
    lake.expect(0, &["apply", "--yes"]);
    let tables = "select identity_type from svv_relation_privileges where privilege_type = 'SELECT'";
    assert_eq!(sql(&lake, tables), [[json!("public")]]);
    // Drift either way.
    sql(&lake, "revoke usage on schema analytics from public");
    sql(&lake, "grant create on schema analytics to public");
    has(&lake.expect(3, &["drift"]), "everybody.on_schema differs");
    lake.expect(0, &["apply", "--yes"]);
    assert_eq!(sql(&lake, granted), [[json!("USAGE"), json!("public")]]);
    // Another grantee is a replacement.
    lake.edit(STACK, "group: public", "user: \"IAM:sandbox\"");
    has(&lake.expect(3, &["plan"]), "Plan: 0 to create, 0 to change, 0 to delete, 1 to replace");
    lake.edit(STACK, "user: \"IAM:sandbox\"", "group: PUBLIC");
    lake.expect(0, &["plan"]);
    declare(&lake, &[SCHEMA]);
    lose(&lake);
    has(&lake.expect(3, &["plan"]), "- redshift/grant.everybody is deleted, because the stack no longer declares it");
    lake.expect(0, &["apply", "--yes"]);
    assert_eq!((sql(&lake, granted).len(), sql(&lake, tables).len()), (0, 0));
    assert_eq!(marks(&lake), ["towpath:schema:boats.analytics"]);
}

#[test]
fn what_everybody_has_in_the_schema_public_from_the_beginning_is_taken_over_on_request_only() {
    let granted = "select privilege_type from svv_schema_privileges where namespace_name = 'public' order by 1";
    let everybody = EVERYBODY.replace("schema: analytics", "schema: public, workgroup: workgroup");
    let lake = project(&[&everybody.replace(", on_tables: [select]", "")]);
    // Before there is a warehouse that is said before anything is made, and afterwards it is somebody else's.
    let refused = lake.expect(1, &["apply", "--yes"]);
    has(
        &refused,
        "redshift/grant.everybody: a new warehouse grants CREATE and USAGE on its schema `public` to everybody",
    );
    has(&refused, "nothing was done");
    lake.expect(0, &["apply", "--yes", "--exclude", "everybody"]);
    has(&lake.expect(1, &["apply", "--yes"]), "to take it over: towpath adopt everybody");
    assert_eq!(sql(&lake, granted), [[json!("CREATE")], [json!("USAGE")]]);
    // Taken over, it becomes what is declared, and the plan of that says what everybody loses.
    has(&lake.expect(0, &["adopt", "everybody", "--yes"]), "[create, usage] → [usage]");
    assert_eq!(sql(&lake, granted), [[json!("USAGE")]]);
    lose(&lake);
    lake.expect(0, &["plan"]);
    declare(&lake, &[]);
    lake.expect(0, &["apply", "--yes"]);
    assert_eq!((sql(&lake, granted).len(), marks(&lake).len()), (0, 0));
}

#[test]
fn a_run_killed_around_the_mark_is_finished_by_the_next() {
    let made = project(&[]);
    made.expect(0, &["apply", "--yes"]);
    for fault in [
        // The mark is there and the schema is not.
        "crash-before@redshift-serverless:TagResource",
        "crash-after@redshift-serverless:TagResource",
        "crash-before@redshift-data:ExecuteStatement#2",
        // Both are there and nobody was told.
        "crash-after@redshift-data:ExecuteStatement#2",
        // The same of the grant.
        "crash-after@redshift-serverless:TagResource#2",
        "crash-after@redshift-data:BatchExecuteStatement#3",
    ] {
        let lake = made.copy();
        declare(&lake, &[SCHEMA, GRANT]);
        lake.expect(KILLED, &["apply", "--yes", "--fault", fault]);
        lose(&lake);
        lake.expect(0, &["apply", "--yes"]);
        lake.expect(0, &["plan"]);
        assert_eq!(schemas(&lake), [[json!("analytics")]], "{fault}");
        assert_eq!(marks(&lake).len(), 2, "{fault}: {:?}", marks(&lake));
        lake.expect(0, &["destroy", "--yes"]);
    }
}

#[test]
fn a_lost_answer_is_settled_by_looking() {
    let lake = project(&[]);
    lake.expect(0, &["apply", "--yes"]);
    declare(&lake, &[SCHEMA, GRANT]);
    for fault in [
        "cut-after@redshift-data:ExecuteStatement#2",
        "cut-after@redshift-data:DescribeStatement#3",
        "cut-after@redshift-serverless:TagResource#1",
        "cut-after@redshift-data:BatchExecuteStatement#3",
    ] {
        lake.expect(0, &["apply", "--yes", "--fault", fault]);
        lake.expect(0, &["plan"]);
        assert_eq!(schemas(&lake), [[json!("analytics")]], "{fault}");
        declare(&lake, &[]);
        lake.expect(0, &["apply", "--yes"]);
        declare(&lake, &[SCHEMA, GRANT]);
    }
}

#[test]
fn a_plan_makes_statements_only_where_there_is_something_to_read() {
    let statements = |ran: &Ran| ran.stderr.matches("Statement").count();
    let lake = project(&[]);
    lake.expect(0, &["apply", "--yes"]);
    assert_eq!(statements(&lake.expect(0, &["plan", "--calls"])), 0);
    lose(&lake);
    assert_eq!(statements(&lake.expect(0, &["plan", "--calls"])), 0, "without a journal either");
    declare(&lake, &[SCHEMA, GRANT]);
    lake.expect(0, &["apply", "--yes"]);
    let plan = lake.expect(0, &["plan", "--calls"]);
    // One chain serves both kinds: submitted, looked at, and a page for each sort of rows.
    assert_eq!(statements(&plan), 3, "{}", plan.stderr);
    let all: usize =
        plan.stderr.lines().find_map(|line| line.trim().strip_suffix("AWS calls in all")?.trim().parse().ok()).unwrap();
    assert!(all <= 2 * 4 + 5, "{}", plan.stderr);
}

#[test]
fn mistakes_are_told_before_anything_is_asked() {
    let lake = project(&[
        "  a: {kind: redshift/schema, workgroup: workgroup, name: \"x\\\"; drop schema y\"}\n",
        "  b: {kind: redshift/schema, workgroup: workgroup, quota: much}\n",
        "  c: {kind: redshift/schema, workgroup: workgroup, name: public}\n",
        "  d: {kind: redshift/grant, schema: public, role: readers, on_schema: [usage]}\n",
        "  e: {kind: redshift/grant, schema: a, role: readers, user: ann, on_schema: [usage]}\n",
    ]);
    let checked = lake.expect(2, &["check"]);
    for text in [
        "small letters, digits and `_`",
        "a whole number of MB, GB or TB",
        "belong to the database itself",
        "name the workgroup",
        "a grant is for one grantee",
    ] {
        has(&checked, text);
    }
}

#[test]
fn one_grantee_may_have_grants_on_several_schemas_and_one_on_each() {
    let second = [SCHEMA.replace("analytics:", "archive:"), GRANT.replace("readers:", "others:")];
    let other = second[1].replace("schema: analytics", "schema: archive");
    let lake = project(&[SCHEMA, GRANT, &second[0], &other]);
    lake.expect(0, &["check"]);
    declare(&lake, &[SCHEMA, GRANT, &second[1]]);
    has(&lake.expect(2, &["check"]), "Two resources would be the same object");
}
