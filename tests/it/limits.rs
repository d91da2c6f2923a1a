//! Limits that AWS documents are told by `check`, at the line, before AWS refuses what goes beyond them. Each row quotes its source;
//! the same stack with values within the limits has no mistakes.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use crate::env::TestEnvironment;

/// A field with a value that AWS takes and one that it does not.
struct Limit {
    /// The rest of the resource, with its kind.
    block: &'static str,
    field: &'static str,
    good: String,
    bad: String,
    source: &'static str,
}

fn limit(block: &'static str, field: &'static str, good: &str, bad: &str, source: &'static str) -> Limit {
    Limit { block, field, good: good.to_owned(), bad: bad.to_owned(), source }
}

const INSTANCE: &str = "kind: dms/replication_instance, class: dms.t3.medium";
const CONFIG: &str = "kind: dms/replication_config, source: here, target: there, mode: full-load, tables: [{schema: public}], max_capacity_units: 4";
const TASK: &str =
    "kind: dms/replication_task, instance: machine, source: here, target: there, mode: full-load-and-cdc";
const FOLLOWING: &str = "kind: dms/replication_task, instance: machine, source: here, target: there, mode: full-load-and-cdc, tables: [{schema: public}]";
const SOURCE: &str = "kind: dms/endpoint, direction: source, engine: postgres";
const BLANK: &str = "\"must be provided and must not be blank\" (hashicorp/terraform#23442)";
const NAMESPACE: &str = "kind: redshift/namespace";
const ROLE: &str = "kind: iam/role, trust: {services: [dms.amazonaws.com]}";
const GROUP: &str = "kind: ec2/security_group";

const WINDOW: &str =
    "\"Format: ddd:hh24:mi-ddd:hh24:mi … Minimum 30-minute window\" (DMS API reference, CreateReplicationInstance)";
const SERVERS: &str =
    "\"a comma-separated list of internet addresses for up to four on-premise DNS name servers\" (the same)";
const LOAD: &str =
    "\"the maximum value is 49\", \"the maximum value is 50000\" (DMS user guide, \"Full-load task settings\")";
const SCHEMA: &str = "CloudFormation's public resource schema of the type";
const PARAMETER: &str = "Redshift Serverless API reference, ConfigParameter";
const ROLES: &str = "IAM API reference, CreateRole";
const NAMING: &str = "S3 user guide, \"General purpose bucket naming rules\"";
const RULES: &str = "\"Up to 255 characters in length. Allowed characters are …\" (EC2 API reference, IpRange)";

fn of_dms() -> Vec<Limit> {
    let long = |letters: usize| "x".repeat(letters);
    let provider = "kind: dms/data_provider, engine: postgres, host: db.example.com, database: club";
    vec![
        limit(INSTANCE, "maintenance_window", "Sun:23:45-mon:00:15", "sun:06:00-sun:06:10", WINDOW),
        limit(INSTANCE, "maintenance_window", "sun:06:00-sun:06:30", "sunday", WINDOW),
        limit(INSTANCE, "maintenance_window", "sun:06:00-sun:06:30", "sun:24:00-sun:24:30", WINDOW),
        limit(
            INSTANCE,
            "dns_servers",
            "'1.1.1.1,2.2.2.2,3.3.3.3,4.4.4.4'",
            "'1.1.1.1,2.2.2.2,3.3.3.3,4.4.4.4,5.5.5.5'",
            SERVERS,
        ),
        limit(INSTANCE, "dns_servers", "10.0.0.2", "dns.example.com", SERVERS),
        limit(INSTANCE, "engine_version", "3.5.4", "three.five.four", "DMS user guide, \"AWS DMS release notes\""),
        limit(
            "kind: dms/replication_instance",
            "class",
            "dms.t3.medium",
            &format!("dms.{}", long(27)),
            "max 30 (DMS API reference, CreateReplicationInstance)",
        ),
        limit(CONFIG, "maintenance_window", "sun:06:00-sun:06:30", "06:00-06:30", WINDOW),
        limit(CONFIG, "dns_servers", "10.0.0.2", "'10.0.0.2,'", SERVERS),
        limit(
            "kind: dms/subnet_group, subnets: default",
            "description",
            "boats",
            "\"boats\\tand trips\"",
            "\"This parameter Must not contain non-printable control characters\" (DMS API reference, CreateReplicationSubnetGroup)",
        ),
        limit(
            "kind: dms/subnet_group",
            "subnets",
            "[subnet-1, subnet-2]",
            "[subnet-1, subnet-1]",
            "\"at least one subnet in at least two Availability Zones\" (the same)",
        ),
        limit(provider, "description", &long(255), &long(256), SCHEMA),
        limit(provider, "name", &long(255), &long(256), SCHEMA),
        limit(provider, "port", "5432", "0", "a port of TCP"),
        limit(
            SOURCE,
            "connection",
            "{host: h, database: d, username: u}",
            "{host: '', database: d, username: u}",
            BLANK,
        ),
        limit(
            SOURCE,
            "connection",
            "{host: h, database: d, username: u}",
            "{host: h, database: '', username: u}",
            BLANK,
        ),
        limit(
            "kind: dms/endpoint, direction: source, engine: postgres, connection: {host: h, database: d, username: u}",
            "extra_attributes",
            "{secretsManagerEndpointOverride: vpce}",
            "{secretsManagerEndpointOverride: 'vpce;other=1'}",
            "DMS API reference, CreateEndpoint",
        ),
        limit("kind: dms/instance_profile", "description", &long(255), &long(256), SCHEMA),
    ]
}

fn of_work() -> Vec<Limit> {
    let mappings = |id: u8| {
        let rule = |id: u8, table: &str| {
            format!(
                "{{rule-type: selection, rule-id: {id}, rule-name: {id}, rule-action: include, object-locator: {{schema-name: public, table-name: {table}}}}}"
            )
        };
        format!("{{rules: [{}, {}]}}", rule(1, "boats"), rule(id, "trips"))
    };
    vec![
        limit(
            FOLLOWING,
            "cdc_stop_position",
            "server_time:2027-02-09T12:12:12",
            "0/16B3748",
            "\"The value can be either server time or commit time\" (DMS API reference, CreateReplicationTask)",
        ),
        limit(
            TASK,
            "mappings",
            &mappings(2),
            &mappings(1),
            "\"A unique numeric value to identify the rule\" (DMS user guide, \"Selection rules and actions\")",
        ),
        limit(
            CONFIG,
            "settings",
            "{FullLoadSettings: {MaxFullLoadSubTasks: 49}}",
            "{FullLoadSettings: {MaxFullLoadSubTasks: 50}}",
            LOAD,
        ),
        limit(
            CONFIG,
            "settings",
            "{FullLoadSettings: {CommitRate: 50000}}",
            "{FullLoadSettings: {CommitRate: 50001}}",
            LOAD,
        ),
        limit(
            CONFIG,
            "settings",
            "{FullLoadSettings: {TargetTablePrepMode: DO_NOTHING}}",
            "{FullLoadSettings: {TargetTablePrepMode: NOTHING}}",
            LOAD,
        ),
    ]
}

fn of_redshift() -> Vec<Limit> {
    let workgroup = "kind: redshift/workgroup, namespace: house";
    let subnets = |number: u32| {
        let all: Vec<String> = (0..number).map(|at| format!("subnet-{at}")).collect();
        format!("[{}]", all.join(", "))
    };
    let queues = |letters: usize| format!("{{wlm_json_configuration: {}}}", "x".repeat(letters));
    vec![
        limit(NAMESPACE, "database", "club-2", "2club", SCHEMA),
        limit(NAMESPACE, "database", &"d".repeat(127), &"d".repeat(128), SCHEMA),
        limit(
            NAMESPACE,
            "admin",
            "{username: ann, password: {env: STRONG}}",
            "{username: 9x, password: {env: STRONG}}",
            SCHEMA,
        ),
        limit(
            workgroup,
            "track",
            "current",
            "the latest",
            "\"^[a-zA-Z0-9_]+$\" (Redshift Serverless API reference, CreateWorkgroup)",
        ),
        limit(workgroup, "subnets", &subnets(32), &subnets(33), SCHEMA),
        limit(workgroup, "security_groups", "[sg-1]", "[]", SCHEMA),
        limit(workgroup, "parameters", "{auto_mv: \"false\"}", "{auto_mv: maybe}", PARAMETER),
        limit(workgroup, "parameters", "{max_query_execution_time: 60}", "{max_query_execution_time: soon}", PARAMETER),
        limit(workgroup, "parameters", &queues(8000), &queues(8001), PARAMETER),
        limit(
            workgroup,
            "parameters",
            "{max_scan_row_count: 9}",
            "{wlm_json_configuration: \"[]\", max_scan_row_count: 9}",
            PARAMETER,
        ),
    ]
}

fn of_others() -> Vec<Limit> {
    let long = |letters: usize| "x".repeat(letters);
    let inline = |letters: usize| {
        let statement = format!("{{Effect: Allow, Action: 's3:GetObject', Resource: '{}'}}", long(letters));
        format!("{{one: {{Statement: [{statement}]}}, two: {{Statement: [{statement}]}}}}")
    };
    let rule = |text: &str| format!("[{{port: 5439, from: self, description: {text}}}]");
    let policy = |letters: usize| {
        format!("{{Statement: [{{Effect: Allow, Principal: '*', Action: '{}', Resource: '*'}}]}}", long(letters))
    };
    vec![
        limit(ROLE, "description", &long(1000), &long(1001), ROLES),
        limit(ROLE, "description", "'liest den Eimer, für alle'", "Āāā", ROLES),
        limit(ROLE, "path", "/boats/", "/boats and trips/", ROLES),
        limit(ROLE, "path", "/", "//", ROLES),
        limit(ROLE, "permissions_boundary", "arn:aws:iam::aws:policy/PowerUserAccess", "PowerUserAccess", ROLES),
        limit(
            ROLE,
            "inline",
            &inline(5000),
            &inline(5100),
            "\"Role policy size can't exceed 10,240 characters\" (\"IAM and AWS STS quotas\")",
        ),
        limit(
            ROLE,
            "inline",
            "{one: {Statement: {Effect: Deny, Action: '*', Resource: '*'}}}",
            "{one: {Version: '2012-10-17'}}",
            "MalformedPolicyDocument (IAM API reference, PutRolePolicy)",
        ),
        limit(
            "kind: secretsmanager/secret, generate: {length: 20}",
            "description",
            &long(2048),
            &long(2049),
            "Secrets Manager API reference, CreateSecret",
        ),
        limit("kind: s3/bucket", "name", "dms-sthree", "sthree-dms", NAMING),
        limit("kind: s3/bucket", "name", "dms-s3alias-x", "dms-x-s3alias", NAMING),
        limit("kind: s3/bucket", "name", "dms-table-s3", "dms--table-s3", NAMING),
        limit(GROUP, "ingress", &rule(&long(255)), &rule(&long(256)), RULES),
        limit(GROUP, "ingress", &rule("boats"), &rule("\"it's\""), RULES),
        limit(
            "kind: ec2/vpc_endpoint, vpc: default, service: s3",
            "policy",
            &policy(20_000),
            &policy(20_480),
            "\"AWS PrivateLink quotas\"",
        ),
    ]
}

/// A stack of one resource for each row, its field on a line of its own; with those lines.
fn stack(limits: &[Limit], value: impl Fn(&Limit) -> &str) -> (String, Vec<u64>) {
    let mut text = String::from(
        "stack: limits\ntarget: sandbox\nresources:\n  machine: {kind: dms/replication_instance, class: dms.t3.medium}\n  house: {kind: redshift/namespace}\n  door: {kind: redshift/workgroup, namespace: house}\n",
    );
    text.push_str("  here: {kind: dms/endpoint, direction: source, engine: postgres, connection: {host: h, database: d, username: u, password: {env: STRONG}}}\n");
    text.push_str("  there: {kind: dms/endpoint, direction: target, engine: redshift-serverless, workgroup: door}\n");
    let mut lines = Vec::new();
    for (at, limit) in limits.iter().enumerate() {
        write!(text, "  r{at}: {{{},\n    {}: {}}}\n", limit.block, limit.field, value(limit)).unwrap();
        lines.push(text.lines().count() as u64);
    }
    (text, lines)
}

#[test]
fn what_goes_beyond_a_limit_of_aws_is_told_before_aws_refuses_it() {
    let limits: Vec<Limit> = of_dms().into_iter().chain(of_work()).chain(of_redshift()).chain(of_others()).collect();
    let mut project = TestEnvironment::small();
    project.set("STRONG", "Passw0rd-x");
    let (good, _) = stack(&limits, |limit| &limit.good);
    project.write("stacks/small.yaml", &good);
    project.expect(0, &["check", "--stack", "stacks/small.yaml"]);
    let (bad, lines) = stack(&limits, |limit| &limit.bad);
    project.write("stacks/small.yaml", &bad);
    let ran = project.expect(2, &["check", "--json"]);
    assert!(!ran.stdout.contains("Passw0rd"), "{}", ran.stdout);
    let told: BTreeSet<u64> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["type"] == "diagnostic")
        .map(|event| event["line"].as_u64().unwrap())
        .collect();
    let missing: Vec<String> = limits
        .iter()
        .zip(&lines)
        .filter(|(_, line)| !told.contains(line))
        .map(|(limit, line)| format!("line {line}: {}: {} ({})", limit.field, limit.bad, limit.source))
        .collect();
    assert!(missing.is_empty(), "not told:\n{}\n{}", missing.join("\n"), ran.stdout);
    assert_eq!(told.len(), limits.len(), "and nothing else is: {}", ran.stdout);
}

/// "[\p{L}\p{Z}\p{N}_.:/=+\-@]*" (IAM API reference, `Tag`); "can't be prefixed with "aws:" or "dms:"" (DMS API reference, `Tag`).
#[test]
fn tags_that_a_service_would_refuse_are_told() {
    let project = TestEnvironment::small();
    let tagged = |tag: &str| {
        project
            .write("stacks/small.yaml", &format!("stack: small\ntarget: sandbox\ntags: {{{tag}}}\nresources: {{}}\n"));
        project.run(&["check"])
    };
    for (tag, told) in
        [("team: boats & trips", "letters"), ("'team*': boats", "letters"), ("'dms:team': boats", "`dms:`")]
    {
        let ran = tagged(tag);
        assert_eq!(ran.code, 2, "{tag}: {}", ran.stderr);
        assert!(ran.stderr.contains(told) && ran.stderr.contains("stacks/small.yaml:3:"), "{tag}: {}", ran.stderr);
    }
    let good = tagged("team: boats/trips for ann@example.com, größe: '1.5'");
    assert_eq!(good.code, 0, "{}", good.stderr);
}

/// "^(?=.*[a-z])(?=.*[A-Z])(?=.*\\d)[^\\x00-\\x20\\x22\\x27\\x2f\\x40\\x5c\\x7f-\\uffff]+", 8 to 64 characters (CloudFormation's public resource
/// schema `AWS::RedshiftServerless::Namespace`, `AdminUserPassword`).
#[test]
fn a_password_that_redshift_does_not_take_is_told_before_anything_is_done() {
    let mut project = TestEnvironment::small();
    project.write(
        "stacks/small.yaml",
        "stack: small\ntarget: sandbox\nresources:\n  house: {kind: redshift/namespace, admin: {username: ann, password: {env: HOUSE_PASSWORD}}}\n  data: {kind: s3/bucket}\n",
    );
    for weak in ["Passw0rd@x", "passw0rd-x", "Pass word-1", "Passw0r"] {
        project.set("HOUSE_PASSWORD", weak);
        let refused = project.expect(1, &["apply", "--yes"]);
        assert!(
            refused.stderr.contains("the admin password in HOUSE_PASSWORD must have 8 to 64"),
            "{}",
            refused.stderr
        );
        assert!(!format!("{}{}", refused.stdout, refused.stderr).contains(weak), "{}", refused.stderr);
    }
    project.set("HOUSE_PASSWORD", "Passw0rd-x");
    let plan = project.expect(3, &["plan"]);
    assert!(plan.stdout.contains("2 to create"), "nothing was made: {}", plan.stdout);
    project.expect(0, &["apply", "--yes"]);
}
