//! No secret in any file, plan, log, error or command line.

use crate::env::{Ran, Running, TestEnvironment, command_lines};

const CANARY: &str = "kanari3nv0gel";

/// Commands that touch secrets in every way; none may end well or badly with the canary in its words.
fn run_all(project: &TestEnvironment, commands: &[&[&str]]) -> Vec<Ran> {
    let ran: Vec<Ran> = commands.iter().map(|command| project.run(command)).collect();
    for (command, ran) in commands.iter().zip(&ran) {
        assert!(!ran.stdout.contains(CANARY), "towpath {} tells it: {}", command.join(" "), ran.stdout);
        assert!(!ran.stderr.contains(CANARY), "towpath {} tells it: {}", command.join(" "), ran.stderr);
    }
    ran
}

/// The files that hold the canary, but for the one it was written to.
fn holders(project: &TestEnvironment, but: &str) -> Vec<String> {
    let canary = CANARY.as_bytes();
    let files = project.files().into_iter().filter(|file| !file.ends_with(but));
    files
        .filter(|file| {
            let bytes = std::fs::read(file).unwrap_or_default();
            bytes.windows(canary.len()).any(|window| window == canary)
        })
        .map(|file| file.display().to_string())
        .collect()
}

#[test]
fn the_password_of_the_source_is_nowhere() {
    let project = TestEnvironment::small();
    project.write(".env", &format!("SOURCE_DATABASE_URL=postgres://ada:{CANARY}@127.0.0.1:9/club\n"));
    let ran = run_all(
        &project,
        &[
            &["check", "--json"],
            &["plan", "--out", "saved.plan"],
            &["plan", "--markdown"],
            &["apply", "saved.plan"],
            &["plan", "--json"],
            &["status", "--json"],
            &["upload"],
            &["migrate", "--json"],
            &["up", "--yes"],
        ],
    );
    let codes: Vec<i32> = ran.iter().map(|ran| ran.code).collect();
    assert_eq!(codes, [0, 3, 3, 0, 0, 0, 1, 1, 1], "{}", ran.last().unwrap().stderr);
    assert_eq!(holders(&project, ".env"), Vec::<String>::new());
    assert!(project.files().iter().any(|file| file.ends_with("journal.jsonl")), "the journal was looked at");
}

#[test]
fn the_value_of_a_secret_is_nowhere_and_in_no_command_line() {
    let mut project = TestEnvironment::small();
    project.edit(
        "stacks/small.yaml",
        "pipeline:",
        "  token: {kind: secretsmanager/secret, value: {env: TOKEN}}\npipeline:",
    );
    project.set("TOKEN", CANARY);
    project.set("TOWPATH_LOG", "debug");
    let mut run = Running::start(&project, &["up", "--yes"]);
    run.wait_for("Migrating").unwrap();
    let told: Vec<String> = command_lines().into_iter().filter(|line| line.contains(CANARY)).collect();
    assert!(told.is_empty(), "{told:#?}");
    let (code, text) = run.end();
    assert_eq!(code, 0, "{text}");
    assert!(!text.contains(CANARY), "in the log");
    assert_eq!(holders(&project, ""), Vec::<String>::new());
    run_all(&project, &[&["plan", "--json"], &["status"], &["down", "--yes", "--json"]]);
    assert_eq!(holders(&project, ""), Vec::<String>::new());
}

#[test]
fn a_literal_secret_is_refused_without_being_shown() {
    let literals = [
        ("{url: {env: SOURCE_DATABASE_URL}}", format!("{{url: \"postgres://ada:{CANARY}@db.example/club\"}}")),
        (
            "{url: {env: SOURCE_DATABASE_URL}}",
            format!("{{host: db.example, database: club, username: ada, password: {CANARY}}}"),
        ),
        ("pipeline:", format!("  token: {{kind: secretsmanager/secret, value: {CANARY}}}\npipeline:")),
    ];
    for (from, to) in literals {
        let project = TestEnvironment::small();
        project.edit("stacks/small.yaml", from, &to);
        let ran = run_all(&project, &[&["check", "--json"], &["plan"], &["up", "--yes"]]);
        assert!(ran.iter().all(|ran| ran.code == 2), "{from}: {}", ran[1].stderr);
        assert_eq!(holders(&project, "small.yaml"), Vec::<String>::new());
    }
}
