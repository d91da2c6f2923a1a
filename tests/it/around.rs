//! `init`, `doctor`, `cost` and `graph`: the commands around a stack.

use crate::env::TestEnvironment;

#[test]
fn a_new_project_runs_on_the_sandbox_as_it_is() {
    let project = TestEnvironment::empty();
    project.write(".gitignore", "target/\n");
    let written = project.expect(0, &["init", "north-sea"]);
    assert!(written.stdout.contains(".gitignore is there already and stays"), "{}", written.stdout);
    assert_eq!(project.read(".gitignore"), "target/\n");
    project.expect(0, &["check"]);
    let up = project.expect(0, &["up", "--yes"]);
    assert!(up.stdout.contains("boats_by_year") || up.stderr.contains("boats_by_year"), "{}\n{}", up.stdout, up.stderr);
    let again = project.expect(2, &["init", "north-sea"]);
    assert!(again.stderr.contains("nothing was written"), "{}", again.stderr);
    let wrong = project.expect(2, &["init", "North Sea"]);
    assert!(wrong.stderr.contains("cannot be the name of a stack"), "{}", wrong.stderr);
}

#[test]
fn the_doctor_names_what_is_wrong_and_goes_on() {
    let small = TestEnvironment::small();
    let well = small.expect(0, &["doctor"]);
    for line in [
        "credentials: account 111122223333, region eu-north-1",
        "role dms-vpc-role: is not there yet",
        "source source: PostgreSQL ",
    ] {
        assert!(well.stdout.contains(line), "{line}\n{}", well.stdout);
    }
    small.edit(
        "stacks/small.yaml",
        "connection: {url: {env: SOURCE_DATABASE_URL}}",
        "connection: {host: 127.0.0.1, port: 1, database: d, username: u, password: {env: NOBODY}}",
    );
    small.write(".env", "NOBODY=nothing\n");
    let ill = small.expect(1, &["doctor"]);
    assert!(ill.stdout.contains("wrong  source source: "), "{}", ill.stdout);
    assert!(ill.stdout.contains("ok     credentials"), "{}", ill.stdout);
}

#[test]
fn prices_and_arrows_follow_the_file() {
    let project = TestEnvironment::empty();
    project.write(
        "stacks/tiny.yaml",
        "stack: tiny\nresources:\n  warehouse: {kind: redshift/namespace}\n  workgroup: {kind: redshift/workgroup, namespace: \
         warehouse, base_rpu: 8}\n  login: {kind: secretsmanager/secret, generate: {length: 20}}\n  guard: {kind: ec2/security_group}\n",
    );
    let cost = project.expect(0, &["cost"]);
    assert!(cost.stdout.contains("secretsmanager/secret.login") && cost.stdout.contains("$0.40"), "{}", cost.stdout);
    assert!(
        cost.stdout.contains("$0.40 a month is certain; 2 charged by use or not known offline; 1 free."),
        "{}",
        cost.stdout
    );
    project.write("stacks/bare.yaml", "stack: bare\nresources: {box: {kind: s3/bucket}}\n");
    let bare = project.expect(0, &["cost", "--stack", "stacks/bare.yaml"]);
    assert!(bare.stdout.contains("\n$0.00 a month is certain; 1 charged"), "{}", bare.stdout);
    std::fs::remove_file(project.path().join("stacks/bare.yaml")).unwrap();
    let mermaid = project.expect(0, &["graph"]);
    assert!(mermaid.stdout.contains("    r_warehouse --> r_workgroup\n"), "{}", mermaid.stdout);
    let dot = project.expect(0, &["graph", "--format", "dot"]);
    assert!(
        dot.stdout.starts_with("digraph \"tiny\" {") && dot.stdout.contains("\"warehouse\" -> \"workgroup\";"),
        "{}",
        dot.stdout
    );
}
