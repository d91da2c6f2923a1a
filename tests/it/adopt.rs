//! `towpath adopt`: objects that somebody else made come into the stack file as they are, and the
//! plan right after changes nothing.

use serde_json::json;

use crate::aws::Aws;
use crate::env::TestEnvironment;

/// One object of every kind but those that need others' files, as another stack makes them.
const OTHERS: &str = r#"stack: other
target: sandbox
resources:
  vpc_role: {kind: iam/role, preset: dms-vpc-role}
  access: {kind: iam/role, preset: dms-access-for-endpoint}
  reader:
    kind: iam/role
    trust: {services: [dms.amazonaws.com]}
    description: reads a secret
    inline: {read: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:GetObject", Resource: "*"}]}}
  network: {kind: ec2/vpc, cidr: 10.20.0.0/16}
  left: {kind: ec2/subnet, vpc: network, cidr: 10.20.1.0/24, zone: eu-north-1a}
  right: {kind: ec2/subnet, vpc: network, cidr: 10.20.2.0/24, zone: eu-north-1b}
  guard:
    kind: ec2/security_group
    vpc: network
    description: boats talk here
    ingress: [{port: 5432, from: self}, {port: 5439, from: [10.20.0.0/16, self]}]
  staging: {kind: s3/bucket, name: dms-other-staging, expire_days: 7, protect: false}
  login: {kind: secretsmanager/secret, description: how to log in, generate: {length: 20}, recovery_days: 7}
  subnets: {kind: dms/subnet_group, subnets: [left, right], depends_on: [vpc_role]}
  instance:
    kind: dms/replication_instance
    class: dms.t3.micro
    storage_gb: 20
    subnet_group: subnets
    security_groups: [guard]
    public: false
  warehouse: {kind: redshift/namespace, database: small, admin: managed, roles: [access], protect: false}
  workgroup: {kind: redshift/workgroup, namespace: warehouse, base_rpu: 8, max_rpu: 32, parameters: {max_query_execution_time: 60}}
  limit: {kind: redshift/usage_limit, workgroup: workgroup, amount: 10, period: daily}
  source:
    kind: dms/endpoint
    direction: source
    engine: postgres
    connection: {host: db.example.com, port: 5432, database: boats, username: dms, password: {env: OTHER_PASSWORD}}
    settings: {capture_ddls: false, heartbeat_enable: true}
  target: {kind: dms/endpoint, direction: target, engine: redshift-serverless, workgroup: workgroup, bucket: staging, role: access}
  load:
    kind: dms/replication_task
    instance: instance
    source: source
    target: target
    mode: full-load
    settings: {FullLoadSettings: {MaxFullLoadSubTasks: 16}}
    tables: [{schema: public, include: ["%"], exclude: ["tmp_%"]}]
  stream:
    kind: dms/replication_config
    source: source
    target: target
    mode: full-load-and-cdc
    max_capacity_units: 16
    subnet_group: subnets
    security_groups: [guard]
    settings: {FullLoadSettings: {MaxFullLoadSubTasks: 16}}
    tables: [{schema: public}]
  source_provider: {kind: dms/data_provider, engine: postgres, from: source}
  target_provider: {kind: dms/data_provider, engine: redshift, from: workgroup}
  profile: {kind: dms/instance_profile, subnet_group: subnets, security_groups: [guard], description: conversion}
  project: {kind: dms/migration_project, source: source_provider, target: target_provider, instance_profile: profile}
"#;

const MINE: &str = "# Ours from now on.\nstack: mine\ntarget: sandbox\nresources: {}   # nothing yet\n";

const FILE: &str = "stacks/mine.yaml";

/// A project whose account holds everything of [`OTHERS`], made by somebody who left no tags of
/// towpath.
fn inherited() -> TestEnvironment {
    let mut project = TestEnvironment::empty();
    project.set("OTHER_PASSWORD", "canary-of-the-other");
    project.write("stacks/mine.yaml", OTHERS);
    project.expect(0, &["apply", "--yes"]);
    std::fs::remove_dir_all(project.path().join(".towpath/other")).unwrap();
    for path in project.files() {
        if path.starts_with(project.path().join(".towpath-sandbox"))
            && let Ok(text) = std::fs::read_to_string(&path)
            && text.contains("towpath:")
        {
            std::fs::write(&path, text.replace("towpath:", "former:")).unwrap();
        }
    }
    project.write("stacks/mine.yaml", MINE);
    project
}

#[test]
fn an_object_of_every_kind_is_declared_as_it_is() {
    let project = inherited();
    let objects = [
        ("iam/role", "dms-vpc-role", "vpc_role"),
        ("iam/role", "dms-access-for-endpoint", "access"),
        ("iam/role", "other-reader", "reader"),
        ("ec2/vpc", "other-network", "network"),
        ("ec2/subnet", "other-left", "left"),
        ("ec2/subnet", "other-right", "right"),
        ("ec2/security_group", "other-guard", "guard"),
        ("s3/bucket", "dms-other-staging", "staging"),
        ("secretsmanager/secret", "other-login", "login"),
        ("dms/subnet_group", "other-subnets", "subnets"),
        ("dms/replication_instance", "other-instance", "instance"),
        ("redshift/namespace", "other-warehouse", "warehouse"),
        ("redshift/workgroup", "other-workgroup", "workgroup"),
        ("redshift/usage_limit", "other-workgroup/serverless-compute/daily", "limit"),
        ("dms/endpoint", "other-source", "source"),
        ("dms/endpoint", "other-target", "target"),
        ("dms/replication_task", "other-load", "load"),
        ("dms/replication_config", "other-stream", "stream"),
        ("dms/data_provider", "other-source-provider", "source_provider"),
        ("dms/data_provider", "other-target-provider", "target_provider"),
        ("dms/instance_profile", "other-profile", "profile"),
        ("dms/migration_project", "other-project", "project"),
    ];
    for (kind, object, name) in objects {
        project.expect(0, &["adopt", kind, object, "--as", name, "--yes"]);
        let plan = project.expect(0, &["plan"]);
        assert!(plan.stdout.contains("Nothing to do"), "{kind}: {}", plan.stdout);
    }
    // Ids of what the account has anyway are the sandbox's choice.
    let id = regex::Regex::new("(sg|subnet)-[0-9a-f]{8,}").unwrap();
    insta::assert_snapshot!(id.replace_all(&project.read(FILE), "$1-…"));
    // The file is all there is: without the journal it is the same.
    std::fs::remove_dir_all(project.path().join(".towpath/mine")).unwrap();
    project.expect(0, &["plan"]);
}

#[test]
fn a_whole_pipeline_is_found_and_declared_in_one_go() {
    let project = inherited();
    project.expect(
        0,
        &["adopt", "--discover", "--kind", "ec2/security_group", "--kind", "iam/role", "--kind", "s3/bucket", "--yes"],
    );
    let asked = project.expect(2, &["adopt", "--discover"]);
    assert!(asked.stdout.contains("dms/endpoint.other_source comes into `stacks/mine.yaml`"), "{}", asked.stdout);
    assert!(
        asked.stdout.contains("`connection.password` cannot be read: set OTHER_SOURCE_PASSWORD in `.env`"),
        "{}",
        asked.stdout
    );
    assert!(!project.read(FILE).contains("other_source"), "nobody has agreed yet");
    project.expect(0, &["adopt", "--discover", "--yes"]);
    project.expect(0, &["plan"]);
    let text = project.read(FILE);
    assert!(text.contains("security_groups: [other_guard]") && text.contains("bucket: dms_other_staging"), "{text}");
    let nothing = project.expect(0, &["adopt", "--discover", "--yes"]);
    assert!(nothing.stdout.contains("There is nothing to adopt."), "{}", nothing.stdout);
    for path in project.files() {
        let bytes = std::fs::read(&path).unwrap_or_default();
        let in_the_world = path.starts_with(project.path().join(".towpath-sandbox"));
        assert!(in_the_world || !String::from_utf8_lossy(&bytes).contains("canary-of-the-other"), "{}", path.display());
    }
}

#[test]
fn what_can_only_be_named_comes_along_and_mistakes_are_named() {
    let project = inherited();
    let unknown = project.expect(2, &["adopt", "dms/replication_instance", "nobody"]);
    assert!(unknown.stderr.contains("there are: other-instance"), "{}", unknown.stderr);
    let kind = project.expect(2, &["adopt", "dms/replication_instnace", "other-instance"]);
    assert!(kind.stderr.contains("did you mean `dms/replication_instance`?"), "{}", kind.stderr);
    project.expect(0, &["adopt", "dms/replication_instance", "other-instance", "--as", "instance", "--yes"]);
    let text = project.read(FILE);
    assert!(text.contains("other_subnets:\n    kind: dms/subnet_group\n    name: other-subnets"), "{text}");
    assert!(text.contains("subnet_group: other_subnets") && text.contains("security_groups: [sg-"), "{text}");
    let twice = project.expect(2, &["adopt", "dms/replication_instance", "other-instance", "--as", "again"]);
    assert!(twice.stderr.contains("is declared already, as `instance`"), "{}", twice.stderr);
    project.expect(0, &["plan"]);
}

/// What consoles and other tools make, and towpath by itself does not.
#[test]
fn legal_objects_that_towpath_would_not_make_are_declared_as_they_are() {
    let project = TestEnvironment::empty();
    project.write(FILE, MINE);
    let aws = Aws::of(&project);
    let group = aws.ec2("Action=CreateSecurityGroup&GroupName=pings&GroupDescription=who+may+ask");
    let id = group.split("<groupId>").nth(1).unwrap().split('<').next().unwrap();
    for (at, (from, to)) in [(8, -1), (3, 4), (-1, -1)].into_iter().enumerate() {
        aws.ec2(&format!(
            "Action=AuthorizeSecurityGroupIngress&GroupId={id}&IpPermissions.1.IpProtocol=icmp\
             &IpPermissions.1.FromPort={from}&IpPermissions.1.ToPort={to}&IpPermissions.1.IpRanges.1.CidrIp=10.{at}.0.0/16"
        ));
    }
    let secret = json!({ "Name": "team/login", "SecretString": "{}", "ClientRequestToken": "0".repeat(32) });
    aws.json("secretsmanager", "secretsmanager.CreateSecret", &secret).unwrap();
    let trust = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22dms.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D";
    aws.iam(&format!("Action=CreateRole&RoleName=dms-vpc-role&AssumeRolePolicyDocument={trust}"));
    aws.iam("Action=AttachRolePolicy&RoleName=dms-vpc-role&PolicyArn=arn:aws:iam::aws:policy/service-role/AmazonDMSVPCManagementRole");
    let role = aws.iam("Action=GetRole&RoleName=dms-vpc-role");
    let role = role.split("<Arn>").nth(1).unwrap().split('<').next().unwrap();
    // DMS takes a secret by its name, too.
    let settings =
        json!({ "SecretsManagerSecretId": "team/login", "SecretsManagerAccessRoleArn": role, "DatabaseName": "boats" });
    let endpoint = json!({
        "EndpointIdentifier": "by-secret", "EndpointType": "source", "EngineName": "postgres", "DatabaseName": "boats",
        "PostgreSQLSettings": settings,
    });
    aws.dms("CreateEndpoint", &endpoint).unwrap();
    let subnets = aws.ec2("Action=DescribeSubnets");
    let ids: Vec<&str> =
        subnets.split("<subnetId>").skip(1).filter_map(|rest| rest.split('<').next()).take(2).collect();
    let subnet_group = json!({
        "ReplicationSubnetGroupIdentifier": "Old_group.1", "ReplicationSubnetGroupDescription": "* of: \"old\" #1",
        "SubnetIds": ids,
    });
    aws.dms("CreateReplicationSubnetGroup", &subnet_group).unwrap();
    for (kind, object, name) in [
        ("ec2/security_group", id, "pings"),
        ("secretsmanager/secret", "team/login", "login"),
        ("dms/endpoint", "by-secret", "source"),
        ("dms/subnet_group", "old_group.1", "subnets"),
    ] {
        project.expect(0, &["adopt", kind, object, "--as", name, "--yes"]);
        let plan = project.expect(0, &["plan"]);
        assert!(plan.stdout.contains("Nothing to do"), "{kind}: {}", plan.stdout);
    }
    let text = project.read(FILE);
    for line in ["icmp_type: 3, icmp_code: 4", "icmp_type: 8, from", "secret: login", "name: old_group.1"] {
        assert!(text.contains(line), "`{line}` is not in: {text}");
    }
}
