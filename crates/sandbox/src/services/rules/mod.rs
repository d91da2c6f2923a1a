//! The rules that the sandbox plays: every refusal with its code, every state machine, every fault, every
//! quota. The
//! tables are the tests: each refusal is provoked as its row says, and `docs/sandbox.md` is written from
//! them (`TOWPATH_BLESS=1 cargo test -p towpath-sandbox --lib services::rules`).
//!
//! A row quotes or names its source. What happens beyond a refusal is in the tests that a row names.

mod catalogue;
mod forms;
mod other;
mod query;
mod storage;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::Quota;
use crate::fault::{Effect, Fault};
use crate::testing::{Aws, sandbox, within};

/// One refusal.
pub(super) struct Rule {
    /// The service, as in a fault pattern.
    pub(super) service: &'static str,
    /// The error code a client sees.
    pub(super) code: &'static str,
    /// When it comes.
    pub(super) when: &'static str,
    /// Where AWS says so.
    pub(super) source: &'static str,
    /// How it is shown.
    pub(super) proof: Proof,
}

/// A row of a table whose services differ.
const fn rule(
    service: &'static str,
    code: &'static str,
    when: &'static str,
    source: &'static str,
    proof: Proof,
) -> Rule {
    Rule { service, code, when, source, proof }
}

/// How a rule is shown.
pub(super) enum Proof {
    /// This call is refused with the code. JSON services take a JSON text, query services a form, S3 a
    /// head (`PUT /bucket/key`) and a body, with a header after `|`. Words in braces stand for what the
    /// scene has made.
    Call(&'static str, &'static str),
    /// The test of this name shows it.
    Test(&'static str),
    /// It cannot be provoked: why.
    Never(&'static str),
}

/// One object's states.
pub(super) struct Machine {
    pub(super) object: &'static str,
    pub(super) states: &'static str,
    pub(super) source: &'static str,
    pub(super) test: &'static str,
}

/// One quota of the account.
pub(super) struct Limit {
    pub(super) quota: Quota,
    /// What is counted.
    pub(super) of: &'static str,
    pub(super) source: &'static str,
    pub(super) test: &'static str,
}

/// What the warehouse does with SQL as Redshift does and PostgreSQL would not.
pub(super) struct Sql {
    pub(super) statement: &'static str,
    pub(super) does: &'static str,
    pub(super) source: &'static str,
    pub(super) test: &'static str,
}

fn rules() -> impl Iterator<Item = &'static Rule> {
    query::RULES.iter().chain(other::RULES).chain(storage::RULES).chain(forms::RULES)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// What the table calls the service whose code a file holds.
fn service_of(file: &Path) -> Option<&'static str> {
    let inside = file.strip_prefix(root().join("services")).ok()?;
    let first = inside.components().next()?.as_os_str().to_str()?.trim_end_matches(".rs");
    let names = [
        ("dms", "dms"),
        ("ec2", "ec2"),
        ("iam", "iam"),
        ("logs", "logs"),
        ("redshift_data", "redshift-data"),
        ("redshift_serverless", "redshift-serverless"),
        ("s3", "s3"),
        ("secretsmanager", "secretsmanager"),
        ("sts", "sts"),
        ("tagging", "tagging"),
    ];
    names.into_iter().find(|(name, _)| *name == first).map(|(_, service)| service)
}

/// Every error code in the source of the services, with its service.
fn codes() -> BTreeSet<(&'static str, String)> {
    let pattern = regex::Regex::new(
        r#"ApiError::new\(\s*"([A-Za-z.]+)"|(?:missing|invalid): "([A-Za-z.]+)"|"((?:NoSuch[A-Za-z]+|[A-Za-z]+NotFoundError|Invalid[A-Za-z]+\.NotFound))""#,
    );
    let pattern = pattern.unwrap();
    let mut files = Vec::new();
    sources(&root().join("services"), &mut files);
    let mut found = BTreeSet::new();
    for file in files.iter().filter(|file| !file.iter().any(|part| part == "tests" || part == "tests.rs")) {
        let Some(service) = service_of(file) else { continue };
        let text = fs::read_to_string(file).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for captures in pattern.captures_iter(text) {
            found.extend(captures.iter().skip(1).flatten().map(|code| (service, code.as_str().to_owned())));
        }
    }
    found
}

/// The names of all tests of the crate.
fn tests() -> BTreeSet<String> {
    let pattern = regex::Regex::new(r"#\[(?:tokio::)?test[^\]]*\]\s*(?:async )?fn (\w+)").unwrap();
    let mut files = Vec::new();
    sources(&root(), &mut files);
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    texts
        .flat_map(|text| pattern.captures_iter(&text).map(|captures| captures[1].to_owned()).collect::<Vec<_>>())
        .collect()
}

#[test]
fn every_code_of_the_services_has_a_row_and_every_row_a_code() {
    let rows: BTreeSet<(&str, String)> = rules().map(|rule| (rule.service, rule.code.to_owned())).collect();
    let codes = codes();
    assert!(codes.len() > 80, "the codes are found: {}", codes.len());
    assert_eq!(codes.difference(&rows).collect::<Vec<_>>(), Vec::<&(&str, String)>::new(), "codes without a row");
    assert_eq!(rows.difference(&codes).collect::<Vec<_>>(), Vec::<&(&str, String)>::new(), "rows without a code");
}

#[test]
fn every_test_that_a_row_names_exists() {
    let tests = tests();
    let named = rules().filter_map(|rule| match rule.proof {
        Proof::Test(name) => Some(name),
        _ => None,
    });
    let of_sql = catalogue::SQL.iter().map(|row| row.test);
    let of_quotas = catalogue::LIMITS.iter().map(|row| row.test);
    for name in named.chain(of_quotas).chain(catalogue::MACHINES.iter().map(|machine| machine.test)).chain(of_sql) {
        assert!(tests.contains(name), "there is no test `{name}`");
    }
}

#[test]
fn the_catalogue_has_every_fault_and_its_examples_read() {
    let listed: Vec<&str> = catalogue::FAULTS.iter().map(|fault| fault.name).collect();
    assert_eq!(listed, Effect::ALL.map(|(name, _)| name));
    for fault in catalogue::FAULTS {
        let planted = fault.example.split("--fault ").nth(1).unwrap_or_default();
        assert!(planted.trim_matches('\'').parse::<Fault>().is_ok(), "{}", fault.example);
    }
}

#[test]
fn the_catalogue_has_every_quota() {
    let listed: Vec<Quota> = catalogue::LIMITS.iter().map(|limit| limit.quota).collect();
    assert_eq!(listed, Quota::ALL.map(|(_, quota, _)| quota));
}

/// What the rows' words in braces stand for.
async fn scene(aws: &Aws) -> BTreeMap<&'static str, String> {
    let first = |xml: &str, name: &str| within(xml, name)[0].clone();
    let query = async |call: &str, form: &str| refused_or(aws, call, form).await.unwrap();
    let mut words = BTreeMap::new();
    words.insert("vpc", first(&query("ec2:DescribeVpcs", "").await, "vpcId"));
    let subnets = aws.subnets().await;
    words.insert("subnet", subnets[0].clone());
    words.insert("second", subnets[1].clone());
    words.insert("third", subnets[2].clone());
    let made = query("ec2:CreateSecurityGroup", "GroupName=held&GroupDescription=d").await;
    words.insert("group", first(&made, "groupId"));
    let opened = "IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=1&IpPermissions.1.ToPort=1&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/8";
    let opened = format!("GroupId={}&{opened}", words["group"]);
    words.insert("rule", first(&query("ec2:AuthorizeSecurityGroupIngress", &opened).await, "securityGroupRuleId"));
    for number in 1..5 {
        let made = query("ec2:CreateVpc", &format!("CidrBlock=10.{number}.0.0/16")).await;
        words.insert("far", first(&made, "vpcId"));
    }
    let made =
        query("ec2:CreateSecurityGroup", &format!("GroupName=far&GroupDescription=d&VpcId={}", words["far"])).await;
    words.insert("far-group", first(&made, "groupId"));
    aws.make_vpc_role().await;
    let group = json!({"ReplicationSubnetGroupIdentifier": "group", "ReplicationSubnetGroupDescription": "d", "SubnetIds": &subnets});
    aws.json("dms:CreateReplicationSubnetGroup", group).await.unwrap();
    let instance = aws.make_instance().await.unwrap();
    words.insert("instance", instance["ReplicationInstance"]["ReplicationInstanceArn"].as_str().unwrap().to_owned());
    aws.json("secretsmanager:CreateSecret", json!({"Name": "kept", "SecretString": "s"})).await.unwrap();
    aws.json("redshift-serverless:CreateNamespace", json!({"namespaceName": "club"})).await.unwrap();
    let made =
        aws.json("redshift-serverless:CreateWorkgroup", json!({"namespaceName": "club", "workgroupName": "club"}));
    words.insert("workgroup", made.await.unwrap()["workgroup"]["workgroupArn"].as_str().unwrap().to_owned());
    for (head, body) in storage::SCENE {
        let (status, answer) = aws.send(head, "s3", "", body.as_bytes()).await.unwrap();
        assert!(status < 300, "{head}: {answer}");
        if let Some(id) = within(&answer, "UploadId").first() {
            words.insert("upload", id.clone());
        }
    }
    words.insert("long", "x".repeat(11_000));
    words.insert("long-key", "k".repeat(1_100));
    let many = |from: &dyn Fn(usize) -> String, count| (1..=count).map(from).collect::<Vec<_>>();
    words.insert("tags", many(&|n| format!("Tag.{n}.Key=k{n}&Tag.{n}.Value=v"), 51).join("&"));
    words.insert("iam-tags", many(&|n| format!("Tags.member.{n}.Key=k{n}&Tags.member.{n}.Value=v"), 51).join("&"));
    words.insert("json-tags", many(&|n| format!("{{\"key\": \"k{n}\", \"value\": \"v\"}}"), 51).join(", "));
    words.insert("xml-tags", many(&|n| format!("<Tag><Key>k{n}</Key><Value>v</Value></Tag>"), 51).concat());
    let port = |n: usize| {
        format!(
            "IpPermissions.{n}.IpProtocol=tcp&IpPermissions.{n}.FromPort={n}&IpPermissions.{n}.ToPort={n}&IpPermissions.{n}.IpRanges.1.CidrIp=10.9.0.0/16"
        )
    };
    words.insert("ports", many(&port, 61).join("&"));
    words
}

/// Sends a form to a query service: the answer, or the code of the refusal.
async fn refused_or(aws: &Aws, call: &str, form: &str) -> Result<String, String> {
    let pairs: Vec<(String, String)> = form
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), percent_decode_str(value).decode_utf8_lossy().into_owned()))
        .collect();
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    aws.query(call, &pairs).await.map_err(|refusal| refusal.code)
}

/// The code with which a call is refused; empty when it is not.
async fn refusal(aws: &Aws, rule: &Rule, call: &str, input: &str) -> String {
    match rule.service {
        "ec2" | "iam" | "sts" => {
            refused_or(aws, &format!("{}:{call}", rule.service), input).await.err().unwrap_or_default()
        }
        "s3" => {
            let (head, header) = call.split_once(" | ").unwrap_or((call, ""));
            let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
            let (_, body) = aws.send(head, "s3", &header, input.as_bytes()).await.unwrap();
            within(&body, "Code").first().cloned().unwrap_or_default()
        }
        service => {
            let input: Value = serde_json::from_str(input).unwrap();
            aws.json(&format!("{service}:{call}"), input).await.err().map(|refusal| refusal.code).unwrap_or_default()
        }
    }
}

#[tokio::test]
async fn every_call_that_a_row_names_is_refused_with_its_code() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let words = scene(&aws).await;
    let filled = |text: &str| {
        words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(&format!("{{{word}}}"), value))
    };
    let mut wrong = Vec::new();
    for rule in rules() {
        let Proof::Call(call, input) = rule.proof else { continue };
        let code = refusal(&aws, rule, &filled(call), &filled(input)).await;
        if code != rule.code {
            wrong.push(format!("{}:{call} {input}: `{code}`, not `{}`", rule.service, rule.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    sandbox.shutdown().await;
}

/// The page from the tables.
fn page() -> String {
    let mut out = catalogue::HEAD.to_owned();
    for fault in catalogue::FAULTS {
        let _ = write!(
            out,
            "### `{}`\n\n{} It is for {}. A client should {}.\n\n```console\n{}\n```\n\n",
            fault.name, fault.happens, fault.purpose, fault.client, fault.example
        );
    }
    out.push_str(catalogue::STATES);
    for machine in catalogue::MACHINES {
        let _ = writeln!(out, "| {} | {} | {} | `{}` |", machine.object, machine.states, machine.source, machine.test);
    }
    out.push_str(catalogue::QUOTAS);
    for ((name, _, default), row) in Quota::ALL.into_iter().zip(catalogue::LIMITS) {
        let _ = writeln!(out, "| `{name}` | {default} | {} | {} | `{}` |", row.of, row.source, row.test);
    }
    out.push_str(catalogue::WAREHOUSE);
    for row in catalogue::SQL {
        let _ = writeln!(out, "| {} | {} | {} | `{}` |", row.statement, row.does, row.source, row.test);
    }
    out.push_str(catalogue::REFUSALS);
    for rule in rules() {
        let proof = match rule.proof {
            Proof::Call(call, _) => format!("`{}`", call.split(" | ").next().unwrap_or(call)),
            Proof::Test(name) => format!("test `{name}`"),
            Proof::Never(why) => why.to_owned(),
        };
        let _ = writeln!(out, "| {} | {} | `{}` | {} | {proof} |", rule.service, rule.when, rule.code, rule.source);
    }
    out
}

#[test]
fn the_page_of_the_sandbox_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sandbox.md");
    if std::env::var_os("TOWPATH_BLESS").is_some() {
        fs::write(&path, page()).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == page(),
        "docs/sandbox.md is stale; write it again: TOWPATH_BLESS=1 cargo test -p towpath-sandbox --lib services::rules"
    );
}
