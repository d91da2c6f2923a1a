//! Wrong surroundings: each is told with what, where and a way out, and the right exit code.

use std::net::TcpListener;

use crate::aws::Aws;
use crate::env::{Running, TestEnvironment};

#[test]
fn a_missing_or_ambiguous_stack_is_told() {
    let empty = TestEnvironment::empty();
    let none = empty.expect(2, &["plan"]);
    assert!(none.stderr.contains("there is no stack file in `stacks/`"), "{}", none.stderr);
    assert!(
        none.stderr.contains("hint: name one with --stack FILE, or begin a project: towpath init NAME"),
        "{}",
        none.stderr
    );
    let named = empty.expect(2, &["plan", "--stack", "stacks/other.yaml"]);
    assert!(named.stderr.contains("cannot read the stack file `stacks/other.yaml`"), "{}", named.stderr);

    let several = TestEnvironment::small();
    several.write("stacks/other.yaml", "stack: other\n");
    let many = several.expect(2, &["plan"]);
    assert!(
        many.stderr.contains("there are several stack files: `stacks/other.yaml`, `stacks/small.yaml`"),
        "{}",
        many.stderr
    );
    several.expect(3, &["plan", "--stack", "stacks/small.yaml"]);
}

#[test]
fn a_broken_env_file_is_told_without_quoting_it() {
    let small = TestEnvironment::small();
    small.write(".env", "SOURCE_DATABASE_URL=\"postgres://ada:pa55word@host\nno equals sign\n");
    let ran = small.expect(2, &["check"]);
    assert!(ran.stderr.contains(".env` is not a list of NAME=VALUE lines"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("pa55word"), "{}", ran.stderr);
}

#[test]
fn a_resource_that_is_not_there_is_told_with_the_nearest() {
    let small = TestEnvironment::small();
    for option in ["--target", "--exclude", "--replace"] {
        let ran = small.expect(2, &["plan", option, "instanse"]);
        assert!(ran.stderr.contains("the stack has no resource `instanse`"), "{}", ran.stderr);
        assert!(ran.stderr.contains("did you mean `instance`?"), "{}", ran.stderr);
    }
}

#[test]
fn a_command_line_that_is_wrong_exits_with_2() {
    let small = TestEnvironment::small();
    for (arguments, told) in [
        (&["aply"][..], "apply"),
        (&["plan", "--outt", "x"][..], "--out"),
        (&["plan", "--speed", "0"][..], "from 1"),
        (&["plan", "--var", "bucket"][..], "NAME=VALUE"),
        (&["models", "build", "--vars", "[1"][..], "--vars"),
        (&["plan", "--on", "moon"][..], "sandbox"),
    ] {
        let ran = small.expect(2, arguments);
        assert!(ran.stderr.contains(told), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn a_file_where_a_folder_is_needed_is_named() {
    let small = TestEnvironment::small();
    small.write(".towpath", "in the way");
    let ran = small.expect(1, &["apply", "--yes"]);
    assert!(ran.stderr.contains(".towpath"), "{}", ran.stderr);
    assert!(ran.stderr.contains("error:") && ran.stderr.contains("Caused by:"), "{}", ran.stderr);
    assert_eq!(small.read(".towpath"), "in the way");

    let other = TestEnvironment::small();
    other.write(".towpath/small", "in the way");
    let ran = other.expect(1, &["apply", "--yes"]);
    assert!(ran.stderr.contains(".towpath/small"), "{}", ran.stderr);
}

#[test]
fn a_taken_port_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ran = TestEnvironment::empty().expect(1, &["sandbox", "--port", &port]);
    assert!(ran.stderr.contains("the sandbox cannot start"), "{}", ran.stderr);
    assert!(ran.stderr.contains(&port), "{}", ran.stderr);
}

#[test]
fn data_of_a_postgres_that_is_not_installed_is_told() {
    let empty = TestEnvironment::empty();
    let arguments = ["sandbox", "--postgres", "--port", "0"];
    let mut sandbox = Running::start(&empty, &arguments);
    sandbox.wait_for("http://127.0.0.1:").unwrap();
    let lines = empty.processes();
    let data = lines
        .iter()
        .find_map(|line| line.split(" -D ").nth(1)?.split(' ').next())
        .unwrap_or_else(|| panic!("no server in {lines:#?}"));
    let version = std::path::Path::new(data).join("PG_VERSION");
    sandbox.signal("INT");
    assert_eq!(sandbox.end().0, 0);
    assert!(empty.processes_left().is_empty(), "{:#?}", empty.processes());
    std::fs::write(version, "99\n").unwrap();
    let ran = empty.expect(1, &arguments);
    assert!(ran.stderr.contains("was made by PostgreSQL 99, which is not installed any more"), "{}", ran.stderr);
}

#[test]
fn csv_files_that_cannot_be_loaded_are_told_by_line_and_the_tables_stay() {
    let small = TestEnvironment::small();
    small.expect(0, &["apply", "--yes"]);
    small.write("data/trips.csv", "id,boat_id,miles\n1,1\n");
    let ran = small.expect(1, &["upload"]);
    assert!(ran.stderr.contains("trips.csv"), "{}", ran.stderr);
    std::fs::remove_dir_all(small.path().join("data")).unwrap();
    let gone = small.expect(1, &["upload"]);
    assert!(gone.stderr.contains("data"), "{}", gone.stderr);
    assert!(small.processes_left().is_empty(), "{:#?}", small.processes());
}

#[test]
fn a_result_that_does_not_fit_on_the_disk_is_a_failure_and_a_reader_that_went_away_is_none() {
    let small = TestEnvironment::small();
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for verb in [&["plan"][..], &["plan", "--json"], &["explain", "dms/endpoint"], &["schema"]] {
        let ran = small.command(verb).stdout(full()).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(1), "{verb:?}: {said}");
        assert!(said.contains("not everything could be written to standard output"), "{verb:?}: {said}");
    }
    let mut gone = small.command(&["plan"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(gone.stdout(writer).output().unwrap().status.code(), Some(3));
}

#[test]
fn an_endpoint_where_nobody_answers_is_no_matter_of_credentials() {
    let mut small = TestEnvironment::small();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    small.set("TOWPATH_SANDBOX_PROXY", &format!("http://127.0.0.1:{port}"));
    let ran = small.expect(1, &["plan"]);
    assert!(ran.stderr.contains("hint: nothing answers there: check `TOWPATH_SANDBOX_PROXY`"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("credentials"), "{}", ran.stderr);
}

/// A stack on AWS, in the account that a served sandbox plays, for a machine without any credentials.
fn without_credentials(aws: &Aws) -> TestEnvironment {
    let mut small = TestEnvironment::small();
    let stack = "stacks/small.yaml";
    small.write(stack, &small.read(stack).replace("target: sandbox", "target: aws"));
    small.set("AWS_ENDPOINT_URL", &aws.endpoint());
    // Nothing leaves this machine to ask a server of instances.
    small.set("AWS_EC2_METADATA_DISABLED", "true");
    small.set("SOURCE_DATABASE_URL", "postgres://ada:pass-word@db.example.com:5432/club");
    small
}

#[test]
fn credentials_of_the_env_file_count_where_the_process_has_none() {
    let served = TestEnvironment::small();
    let aws = Aws::of(&served);
    let mut small = without_credentials(&aws);
    let hint = |environment: &TestEnvironment| {
        let ran = environment.expect(1, &["plan"]);
        assert!(ran.stderr.contains("cannot find out whose AWS account this is"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("sandbox-key"), "{}", ran.stderr);
        ran.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap().to_owned()
    };
    let nowhere = small.expect(2, &["plan"]);
    assert!(nowhere.stderr.contains("no region: set `aws.region` in the stack or AWS_REGION"), "{}", nowhere.stderr);
    small.write(".env", "AWS_REGION=eu-north-1\n");
    assert!(hint(&small).starts_with("none were found: set `AWS_PROFILE`"), "{}", hint(&small));
    small.write(".env", "AWS_REGION=eu-north-1\nAWS_ACCESS_KEY_ID=towpath\nAWS_SECRET_ACCESS_KEY=sandbox-key\n");
    small.expect(3, &["plan"]);
    small.write(".env", "AWS_REGION=eu-north-1\nAWS_PROFILE=boats\n");
    assert!(hint(&small).starts_with("check that the profile `boats`"), "{}", hint(&small));
    small.write(".aws/credentials", "[boats]\naws_access_key_id = towpath\naws_secret_access_key = sandbox-key\n");
    small.expect(3, &["plan"]);
    // One of the process outdoes all of the file.
    small.write(".env", "AWS_REGION=eu-north-1\nAWS_ACCESS_KEY_ID=towpath\nAWS_SECRET_ACCESS_KEY=sandbox-key\n");
    small.set("AWS_PROFILE", "canoes");
    assert!(hint(&small).starts_with("check that the profile `canoes`"), "{}", hint(&small));
}
