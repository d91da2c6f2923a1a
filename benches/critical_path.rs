//! How much longer an apply takes than the sandbox's own durations along the critical path:
//! `cargo bench --profile dev --bench critical_path`. `SPEED` is the sandbox's (20); everything that takes
//! this program real time counts as many times as that.
//!
//! Prints for the club stack and for a generated one of 200 objects: wall time, critical path, their
//! ratio, and the steps that took longest beyond their object's own time. Where objects need no time of
//! their own the path is calls alone, for which the sandbox has no duration: they count as nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A stack of 200 objects with sixteen pipelines side by side.
fn generated() -> String {
    let mut stack = String::from(
        "stack: large\ntarget: sandbox\nresources:\n  vpc_role: {kind: iam/role, preset: dms-vpc-role}\n  subnets: {kind: \
         dms/subnet_group, subnets: default, depends_on: [vpc_role]}\n  staging: {kind: s3/bucket, protect: false}\n  \
         access: {kind: iam/role, preset: dms-access-for-endpoint}\n",
    );
    for line in 0..28 {
        let _infallible = write!(
            stack,
            "  password_{line}: {{kind: secretsmanager/secret, name: large-{line}, generate: {{length: 20}}}}
  group_{line}: {{kind: ec2/security_group, vpc: default, description: boats}}
  instance_{line}: {{kind: dms/replication_instance, class: dms.t3.micro, storage_gb: 20, subnet_group: subnets, security_groups: [group_{line}]}}
  source_{line}: {{kind: dms/endpoint, direction: source, engine: postgres, connection: {{host: db{line}.example.com, database: club, username: ada, password: {{secret: large-{line}}}}}, depends_on: [password_{line}]}}
  warehouse_{line}: {{kind: redshift/namespace, database: club, admin: managed, protect: false}}
  workgroup_{line}: {{kind: redshift/workgroup, namespace: warehouse_{line}, base_rpu: 8, security_groups: [group_{line}]}}
  provider_{line}: {{kind: dms/data_provider, engine: postgres, from: source_{line}}}
"
        );
    }
    stack
}

/// The seconds that the sandbox takes to make an object of a kind.
fn own(kind: &str, action: &str, durations: &BTreeMap<&str, f64>) -> f64 {
    let operation = match (kind, action) {
        ("dms/replication_instance", "create") => "dms:CreateReplicationInstance",
        ("dms/replication_task", "create") => "dms:CreateReplicationTask",
        ("redshift/workgroup", "create") => "redshift-serverless:CreateWorkgroup",
        ("iam/role", "create") => "iam:CreateRole",
        _ => return 0.0,
    };
    durations[operation]
}

/// The generated stack has more of them than an account has by default.
const QUOTAS: &str = "redshift-serverless:Namespaces=40,redshift-serverless:Workgroups=40";

fn towpath(folder: &Path, speed: &str, arguments: &[&str]) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_towpath"))
        .args(arguments)
        .args(["--json", "--speed", speed, "--quota", QUOTAS])
        .current_dir(folder)
        .output()
        .expect("the program runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{arguments:?}: {text}");
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[expect(clippy::print_stdout, reason = "the result of the measurement")]
fn measure(name: &str, stack: &str, speed: &str) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    std::fs::create_dir(folder.path().join("stacks")).expect("a folder can be made");
    std::fs::write(folder.path().join("stacks/measured.yaml"), stack).expect("a file can be written");
    let durations: BTreeMap<&str, f64> = towpath_sandbox::durations().into_iter().collect();
    let told = towpath(folder.path(), speed, &["plan"]);
    let plan = told.iter().find(|line| line["type"] == "plan").expect("the plan is told");
    let steps = plan["plan"]["steps"].as_array().expect("a plan has steps");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut ends = vec![0.0_f64; steps.len()];
    let mut owns = vec![0.0_f64; steps.len()];
    for step in steps {
        let id = step["id"].as_u64().expect("a step has a number") as usize;
        owns[id] = own(&text(&step["address"]["kind"]), &text(&step["action"]), &durations);
        let before = step["after"].as_array().into_iter().flatten().filter_map(Value::as_u64);
        ends[id] = before.map(|before| ends[before as usize]).fold(0.0, f64::max) + owns[id];
    }
    let path = ends.iter().copied().fold(0.0, f64::max);
    let events = towpath(folder.path(), speed, &["apply", "--yes"]);
    let mut late = Vec::new();
    let mut wall = 0.0;
    for event in events.iter().filter(|event| event["type"] == "run") {
        match event["event"].as_str() {
            Some("step_succeeded") => {
                let id = event["step"].as_u64().expect("a step has a number") as usize;
                let elapsed = event["elapsed"].as_f64().unwrap_or_default();
                late.push((elapsed - owns[id], text(&event["address"]["name"]), elapsed));
            }
            Some("run_finished") => wall = event["elapsed"].as_f64().unwrap_or_default(),
            _ => {}
        }
    }
    late.sort_by(|left, right| right.0.total_cmp(&left.0));
    println!("{name}: {} steps, wall {wall:.1} s, critical path {path:.1} s, ratio {:.3}", steps.len(), wall / path);
    for (late, step, elapsed) in late.iter().take(4) {
        println!("    {step}: {elapsed:.1} s, {late:.1} s beyond its own");
    }
}

fn main() {
    let speed = std::env::var("SPEED").unwrap_or_else(|_| "20".to_owned());
    let club = include_str!("../stacks/club.yaml");
    // The pipeline is no part of an apply, and its folders are not here.
    let club = club.split("\npipeline:").next().unwrap_or(club);
    measure("club", club, &speed);
    measure("generated", &generated(), &speed);
}
