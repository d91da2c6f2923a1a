//! What towpath says exists is what exists: everything `status` and `plan` name is found by the raw API under the same
//! identity and ARN, everything of the raw API that bears our tags is named by `status`, and after `destroy` nothing is there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::aws::Aws;
use crate::env::TestEnvironment;

/// An object as the raw API shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Raw {
    kind: &'static str,
    identity: String,
    arn: String,
    tags: BTreeMap<String, String>,
}

impl Raw {
    /// Whether a stack claims it: as its own, or as one of those who share it.
    fn is_of(&self, stack: &str) -> bool {
        let own = self.tags.get("towpath:stack").is_some_and(|own| own == stack);
        own || self.tags.get(&format!("towpath:used-by:{stack}")).is_some_and(|used| used == "in-use")
    }
}

/// The kinds of DMS: the operation and its list, and the members for identity and ARN.
const DMS: [(&str, &str, &str, &str, &str); 8] = [
    (
        "dms/subnet_group",
        "DescribeReplicationSubnetGroups",
        "ReplicationSubnetGroups",
        "ReplicationSubnetGroupIdentifier",
        "",
    ),
    (
        "dms/replication_instance",
        "DescribeReplicationInstances",
        "ReplicationInstances",
        "ReplicationInstanceIdentifier",
        "ReplicationInstanceArn",
    ),
    ("dms/endpoint", "DescribeEndpoints", "Endpoints", "EndpointIdentifier", "EndpointArn"),
    (
        "dms/replication_task",
        "DescribeReplicationTasks",
        "ReplicationTasks",
        "ReplicationTaskIdentifier",
        "ReplicationTaskArn",
    ),
    ("dms/data_provider", "DescribeDataProviders", "DataProviders", "DataProviderName", "DataProviderArn"),
    (
        "dms/instance_profile",
        "DescribeInstanceProfiles",
        "InstanceProfiles",
        "InstanceProfileName",
        "InstanceProfileArn",
    ),
    (
        "dms/migration_project",
        "DescribeMigrationProjects",
        "MigrationProjects",
        "MigrationProjectName",
        "MigrationProjectArn",
    ),
    ("dms/connection", "DescribeConnections", "Connections", "EndpointIdentifier", "EndpointArn"),
];

/// The texts of every element of a name.
fn within(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned())).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Tags out of a list of pairs, whatever the case of their members.
fn tags(list: &Value) -> BTreeMap<String, String> {
    let either =
        |tag: &Value, names: [&str; 2]| text(names.iter().find_map(|name| tag.get(*name)).unwrap_or(&Value::Null));
    let pairs = list.as_array().into_iter().flatten();
    pairs.map(|tag| (either(tag, ["Key", "key"]), either(tag, ["Value", "value"]))).collect()
}

/// Tags out of the tag set of a query service.
fn xml_tags(xml: &str, [key, value]: [&str; 2]) -> BTreeMap<String, String> {
    within(xml, key).into_iter().zip(within(xml, value)).collect()
}

/// Everything of the kinds of the club that is in the account, whoever made it.
fn everything(aws: &Aws) -> BTreeSet<Raw> {
    let mut found = BTreeSet::new();
    for (kind, operation, list, identity, arn) in DMS {
        let answer = aws.dms(operation, &json!({})).unwrap();
        for object in answer[list].as_array().unwrap() {
            let identity = text(&object[identity]);
            let built = format!("arn:aws:dms:eu-north-1:111122223333:subgrp:{identity}");
            let arn = if arn.is_empty() { built } else { text(&object[arn]) };
            let told = aws.dms("ListTagsForResource", &json!({ "ResourceArn": arn })).unwrap();
            // A connection bears no tags of its own.
            let tags = if kind == "dms/connection" { BTreeMap::new() } else { tags(&told["TagList"]) };
            found.insert(Raw { kind, identity, arn, tags });
        }
    }
    for (kind, operation, list, name, arn) in [
        ("redshift/namespace", "ListNamespaces", "namespaces", "namespaceName", "namespaceArn"),
        ("redshift/workgroup", "ListWorkgroups", "workgroups", "workgroupName", "workgroupArn"),
    ] {
        for object in aws.redshift(operation, &json!({})).unwrap()[list].as_array().unwrap() {
            let arn = text(&object[arn]);
            let told = aws.redshift("ListTagsForResource", &json!({ "resourceArn": arn })).unwrap();
            found.insert(Raw { kind, identity: text(&object[name]), arn, tags: tags(&told["tags"]) });
        }
    }
    for group in aws.ec2("Action=DescribeSecurityGroups").split("<item><ownerId>").skip(1) {
        let (identity, arn) = (within(group, "groupId")[0].clone(), within(group, "securityGroupArn")[0].clone());
        let tags = within(group, "tagSet").first().map(|set| xml_tags(set, ["key", "value"])).unwrap_or_default();
        found.insert(Raw { kind: "ec2/security_group", identity, arn, tags });
    }
    for name in within(&aws.iam("Action=ListRoles"), "RoleName") {
        let role = aws.iam(&format!("Action=GetRole&RoleName={name}"));
        let arn = within(&role, "Arn")[0].clone();
        found.insert(Raw { kind: "iam/role", identity: name, arn, tags: xml_tags(&role, ["Key", "Value"]) });
    }
    for name in within(&aws.bucket("GET", "", "").unwrap(), "Name") {
        let told = aws.bucket("GET", &format!("{name}?tagging"), "").unwrap_or_default();
        let tags = xml_tags(&told, ["Key", "Value"]);
        found.insert(Raw { kind: "s3/bucket", arn: format!("arn:aws:s3:::{name}"), identity: name, tags });
    }
    found
}

/// What `status --json` names: address, identity and ARN of everything that is not absent.
fn status(environment: &TestEnvironment) -> Vec<(String, String, String)> {
    let told = environment.expect(0, &["status", "--json"]);
    let lines = told.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .filter(|line| line["type"] == "resource" && line["state"] != "absent")
        .map(|line| (text(&line["address"]), text(&line["identity"]), text(&line["arn"])))
        .collect()
}

#[test]
fn what_towpath_says_exists_is_what_the_raw_api_shows() {
    let environment = TestEnvironment::club();
    let aws = Aws::of(&environment);
    let before = everything(&aws);
    environment.expect(0, &["apply", "--yes"]);

    let named = status(&environment);
    assert_eq!(named.len(), 15, "{named:?}");
    let all = everything(&aws);
    for (address, identity, arn) in &named {
        let (kind, name) = address.split_once('.').unwrap();
        let found: Vec<_> = all.iter().filter(|raw| raw.kind == kind && raw.identity == *identity).collect();
        let [raw] = found.as_slice() else { panic!("{address} is {identity}, and the API shows {found:?}") };
        assert_eq!(raw.arn, *arn, "{address}");
        assert!(raw.is_of("club"), "{raw:?}");
        if raw.tags.contains_key("towpath:stack") {
            assert_eq!(raw.tags["towpath:resource"], name, "{raw:?}");
        }
    }
    let claimed: BTreeSet<_> =
        all.iter().filter(|raw| raw.is_of("club")).map(|raw| (raw.kind, &raw.identity)).collect();
    let said: BTreeSet<_> =
        named.iter().map(|(address, identity, _)| (address.split_once('.').unwrap().0, identity)).collect();
    assert_eq!(claimed, said, "what bears our tags is what `status` names");

    // The plan says the same, and so does the list of everything that is tagged, which has no roles in it.
    let plan = environment.expect(0, &["plan", "--json"]);
    let plan: Value = plan
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|line: &Value| line["type"] == "plan")
        .unwrap();
    assert_eq!((&plan["plan"]["steps"], plan["plan"]["unchanged"].as_array().unwrap().len()), (&json!([]), 15));
    let filter = json!({"TagFilters": [{"Key": "towpath:stack", "Values": ["club"]}]});
    let tagged = || aws.json("tagging", "ResourceGroupsTaggingAPI_20170126.GetResources", &filter).unwrap();
    let listed = tagged()["ResourceTagMappingList"].clone();
    let listed: BTreeSet<_> = listed.as_array().unwrap().iter().map(|one| text(&one["ResourceARN"])).collect();
    let expected = named.iter().filter(|(address, ..)| !address.starts_with("iam/")).map(|(_, _, arn)| arn.clone());
    assert_eq!(listed, expected.collect());

    environment.expect(0, &["destroy", "--yes"]);
    assert_eq!(status(&environment).iter().filter(|(address, ..)| !address.starts_with("iam/")).count(), 0);
    let left: BTreeSet<_> = everything(&aws).difference(&before).cloned().collect();
    let roles: Vec<_> = left.iter().map(|raw| (raw.kind, raw.identity.as_str(), raw.is_of("club"))).collect();
    assert_eq!(
        roles,
        [("iam/role", "dms-access-for-endpoint", false), ("iam/role", "dms-vpc-role", false)],
        "{left:?}"
    );
    assert_eq!(tagged()["ResourceTagMappingList"], json!([]));
}
