//! `init`, `doctor`, `cost` and `graph`: the commands around a stack.

use tokio::runtime::Runtime;
use towpath_sandbox::{Options, Sandbox};

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
    let unset = small.expect(1, &["doctor"]);
    assert!(unset.stdout.contains("wrong  source source: NOBODY is not set; set it in `.env`"), "{}", unset.stdout);
    small.write(".env", "NOBODY=nothing\n");
    let ill = small.expect(1, &["doctor"]);
    assert!(ill.stdout.contains("wrong  source source: cannot reach 127.0.0.1:1/d: "), "{}", ill.stdout);
    assert!(ill.stdout.contains("; check the port, and that the server listens on this address"), "{}", ill.stdout);
    assert!(ill.stdout.contains("ok     credentials"), "{}", ill.stdout);
}

#[test]
fn the_doctor_names_the_quotas_that_a_plan_would_go_beyond() {
    let small = TestEnvironment::small();
    let quotas = "ok     quotas: after the plan ReplicationInstances 1 of 60, AllocatedStorage 20 of 30000, \
                  ReplicationSubnetGroups 1 of 60, Endpoints 2 of 1000, ReplicationTasks 1 of 600\n";
    let room = small.expect(0, &["doctor"]);
    assert!(room.stdout.contains(quotas), "{}", room.stdout);
    let project = "{kind: dms/migration_project, source: here, target: there, instance_profile: profile}";
    let many: Vec<String> = (0..11).map(|number| format!("  project{number}: {project}\n")).collect();
    let many = many.concat();
    let providers = "  here: {kind: dms/data_provider, engine: postgres, from: source}\n  \
                     there: {kind: dms/data_provider, engine: redshift, from: workgroup}\n  \
                     profile: {kind: dms/instance_profile, subnet_group: subnets}\n";
    small.edit("stacks/small.yaml", "pipeline:", &format!("{providers}{many}pipeline:"));
    let full = small.expect(1, &["doctor"]);
    let wrong = "wrong  quota MigrationProjects: 0 of 10 are used and the plan takes 11 more; delete what nobody needs";
    assert!(full.stdout.contains(wrong), "{}", full.stdout);
    assert!(full.stdout.contains("ok     quotas: after the plan"), "{}", full.stdout);
}

#[test]
fn the_doctor_tells_why_a_source_cannot_be_entered_and_what_replication_lacks() {
    let mut small = TestEnvironment::small();
    small.edit("stacks/small.yaml", "mode: full-load,", "mode: full-load-and-cdc,");
    let mut options = Options::new(small.path().join("elsewhere"));
    options.speed = 2000.0;
    let runtime = Runtime::new().unwrap();
    let sandbox = runtime.block_on(Sandbox::start(options)).unwrap();
    runtime.block_on(sandbox.ensure_postgres()).unwrap();
    let mut url = url::Url::parse(sandbox.source_url().unwrap().expose()).unwrap();
    let make = async {
        let (client, connection) = tokio_postgres::connect(url.as_str(), tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute("create role reader login password 'afloat'").await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
    };
    runtime.block_on(make);
    url.set_username("reader").unwrap();
    for (password, host, query, told) in [
        ("adrift", "127.0.0.1", "", "; check user and password"),
        ("afloat", "127.0.0.1", "sslmode=require", "; check `sslmode` and `sslrootcert` of the URL"),
        ("afloat", "nowhere.invalid", "", "; check the host's name"),
        ("afloat", "127.0.0.1", "", "the user may not replicate: ALTER ROLE … REPLICATION"),
    ] {
        url.set_password(Some(password)).unwrap();
        url.set_host(Some(host)).unwrap();
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        small.write(".env", &format!("SOURCE_DATABASE_URL={url}\n"));
        let ill = small.expect(1, &["doctor"]);
        assert!(ill.stdout.contains("wrong  source source: ") && ill.stdout.contains(told), "{told}: {}", ill.stdout);
        assert!(!ill.stdout.contains(password), "{}", ill.stdout);
    }
    small.set("SOURCE_DATABASE_URL", sandbox.source_url().unwrap().expose());
    small.expect(0, &["doctor"]);
    runtime.block_on(sandbox.shutdown());
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
