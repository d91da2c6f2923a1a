//! What is swept: a command, the project before it, and what it does when nothing disturbs it.

use std::path::Path;

use super::stage::{Accident, play};
use super::world::world;
use crate::env::TestEnvironment;

/// Every kind whose create takes several calls, and every kind that something else holds.
const SMALL: &str = r#"stack: sweep
target: sandbox
tags: {team: boats}
resources:
  vpc_role: {kind: iam/role, preset: dms-vpc-role}
  access: {kind: iam/role, preset: dms-access-for-endpoint}
  reader:
    kind: iam/role
    trust: {services: [dms.amazonaws.com]}
    policies: ["arn:aws:iam::aws:policy/AmazonS3FullAccess"]
    inline:
      read: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:GetObject", Resource: "*"}]}
  guard:
    kind: ec2/security_group
    vpc: default
    description: boats talk here
    ingress: [{port: 5432, from: self}, {port: 5439, from: 10.0.0.0/16}]
    egress: [{protocol: all, to: self}]
  staging: {kind: s3/bucket, name: dms-sweep-staging, expire_days: 7, versioning: true, protect: false}
  key: {kind: secretsmanager/secret, generate: {length: 20}, recovery_days: 0, protect: false}
  subnets: {kind: dms/subnet_group, subnets: default, depends_on: [vpc_role]}
  instance:
    kind: dms/replication_instance
    class: dms.t3.micro
    storage_gb: 20
    subnet_group: subnets
    security_groups: [guard]
  warehouse: {kind: redshift/namespace, database: small, admin: managed, roles: [access], protect: false}
  workgroup: {kind: redshift/workgroup, namespace: warehouse, base_rpu: 8, security_groups: [guard]}
  cap: {kind: redshift/usage_limit, workgroup: workgroup, amount: 10}
  source: {kind: dms/endpoint, direction: source, engine: postgres, connection: {url: {env: SOURCE_DATABASE_URL}}}
  target: {kind: dms/endpoint, direction: target, engine: redshift-serverless, workgroup: workgroup, bucket: staging, role: access}
  load: {kind: dms/replication_task, instance: instance, source: source, target: target, mode: full-load, tables: [{schema: public, include: ["%"]}]}
"#;

/// Edits that force replacements: text of the small stack or of the club, and what stands instead.
const REPLACED: [(&str, &str); 5] = [
    ("description: boats talk here", "description: ships talk here"),
    ("description: source, replication instance and warehouse talk here", "description: all talk here"),
    ("engine: postgres", "engine: aurora-postgresql"),
    ("security_groups: [guard]\n  warehouse", "security_groups: [guard]\n    public: true\n  warehouse"),
    ("public: false", "public: true"),
];

/// Edits that change in place.
const UPDATED: [(&str, &str); 8] = [
    ("port: 5432, from: self", "port: 5433, from: self"),
    ("policy/AmazonS3FullAccess", "policy/AmazonS3ReadOnlyAccess"),
    ("expire_days: 7", "expire_days: 9"),
    ("storage_gb: 20", "storage_gb: 30"),
    ("storage_gb: 50", "storage_gb: 60"),
    ("base_rpu: 8", "base_rpu: 16, max_rpu: 64"),
    ("base_rpu: 16, max_rpu: 64\n", "base_rpu: 16\n    max_rpu: 64\n"),
    ("amount: 10", "amount: 20"),
];

/// What is told again and again with accidents.
pub(super) struct Story {
    pub(super) name: String,
    /// The command.
    pub(super) arguments: &'static [&'static str],
    /// The command that must find nothing left to do.
    pub(super) plan: &'static [&'static str],
    /// The project as the command finds it.
    pub(super) before: TestEnvironment,
    /// The account as an undisturbed run leaves it.
    pub(super) left: Vec<String>,
    /// The calls of that run.
    pub(super) calls: Vec<String>,
    /// How many entries it writes into the journal.
    pub(super) entries: usize,
}

const APPLY: &[&str] = &["apply", "--yes"];
const DESTROY: &[&str] = &["destroy", "--yes"];

fn club() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("stacks/club.yaml")).unwrap()
}

/// The small stack, and in a long sweep the club.
fn stacks(is_long: bool) -> Vec<(&'static str, String)> {
    let mut stacks = vec![("the small stack", SMALL.to_owned())];
    if is_long {
        stacks.push(("the club", club()));
    }
    stacks
}

fn edited(text: &str, edits: &[(&str, &str)]) -> String {
    edits.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

fn entries(project: &TestEnvironment) -> usize {
    project
        .files()
        .iter()
        .filter(|path| path.ends_with("journal.jsonl"))
        .map(|path| std::fs::read_to_string(path).unwrap().lines().count())
        .sum()
}

fn project(text: &str) -> TestEnvironment {
    let project = TestEnvironment::empty();
    project.write("stacks/sweep.yaml", text);
    project
}

/// Applies without accident.
#[track_caller]
fn applied(project: TestEnvironment) -> TestEnvironment {
    let ended = play(&project, APPLY, &Accident::default());
    assert_eq!(ended.code, Some(0), "{}", ended.text);
    project
}

/// Plays the command once, undisturbed.
#[track_caller]
fn story(name: String, before: TestEnvironment, arguments: &'static [&'static str]) -> Story {
    let plan: &[&str] = if arguments == DESTROY { &["plan", "--destroy"] } else { &["plan"] };
    let project = before.copy();
    let written = entries(&project);
    let ended = play(&project, arguments, &Accident::default());
    assert_eq!(ended.code, Some(0), "{name} fails by itself: {}", ended.text);
    let empty = play(&project, plan, &Accident::default());
    assert_eq!(empty.code, Some(0), "{name} ends wrong by itself: {}", empty.text);
    let (left, entries) = (world(&project), entries(&project) - written);
    Story { name, arguments, plan, before, left, calls: ended.calls, entries }
}

/// An empty account is filled.
pub(super) fn applies(is_long: bool) -> Vec<Story> {
    let stacks = stacks(is_long).into_iter();
    stacks.map(|(name, text)| story(format!("apply of {name}"), project(&text), APPLY)).collect()
}

/// Security group, instance and source endpoint are made again, and the task that holds them.
pub(super) fn replacements(is_long: bool) -> Vec<Story> {
    after(is_long, "replacement in", &REPLACED)
}

/// Fields of most kinds are changed in place.
pub(super) fn updates(is_long: bool) -> Vec<Story> {
    after(is_long, "update of", &UPDATED)
}

fn after(is_long: bool, what: &str, edits: &[(&str, &str)]) -> Vec<Story> {
    let stacks = stacks(is_long).into_iter();
    let edit = |(name, text): (&str, String)| {
        let before = applied(project(&text));
        before.write("stacks/sweep.yaml", &edited(&text, edits));
        story(format!("{what} {name}"), before, APPLY)
    };
    stacks.map(edit).collect()
}

/// A full account is emptied.
pub(super) fn destroys(is_long: bool) -> Vec<Story> {
    let stacks = stacks(is_long).into_iter();
    stacks.map(|(name, text)| story(format!("destroy of {name}"), applied(project(&text)), DESTROY)).collect()
}
