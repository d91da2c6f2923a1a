//! The README's promises: every command it shows is run, every file it names is there.

use std::path::{Path, PathBuf};

use crate::env::TestEnvironment;
use crate::help::{understood, words};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The commands of the README's console blocks, block by block.
fn blocks() -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<Vec<String>> = None;
    for line in text.lines() {
        match (&mut open, line) {
            (None, "```console") => open = Some(Vec::new()),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some(commands), line) => commands.push(line.trim_start_matches("$ ").to_owned()),
            _ => {}
        }
    }
    blocks
}

/// The arguments of towpath in a command; `None` for the one that runs these very tests.
fn arguments(command: &str) -> Option<Vec<String>> {
    if command == "cargo test" {
        return None;
    }
    let line = command.replacen("cargo run --", "towpath", 1);
    assert!(line.starts_with("towpath "), "`{command}` is run by no test");
    understood(&line).unwrap();
    Some(words(&line).into_iter().skip(1).collect())
}

#[test]
fn the_commands_without_an_account_work_in_their_order() {
    let small = TestEnvironment::small();
    let blocks = blocks();
    let local: Vec<&String> = blocks.iter().flatten().filter(|command| command.starts_with("cargo ")).collect();
    assert_eq!(local, ["cargo run -- up --yes", "cargo test"], "the two commands of a bare machine");
    for arguments in local.iter().filter_map(|command| arguments(command)) {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        small.expect(0, &arguments);
    }
}

#[test]
fn the_commands_for_aws_work_in_their_order_on_the_sandbox() {
    let small = TestEnvironment::small();
    let blocks = blocks();
    let commands: Vec<&String> = blocks
        .iter()
        .find(|block| block.iter().any(|command| command.starts_with("towpath ")))
        .unwrap()
        .iter()
        .collect();
    // Chooses the account's environment of the club; here the sandbox plays the account.
    let is_choice = |command: &&String| *command == "export TOWPATH_ENV=aws";
    for command in commands.into_iter().filter(|command| !is_choice(command)) {
        let mut arguments = arguments(command).unwrap();
        let verb = arguments[0].clone();
        // On AWS the source has its data, and a person answers the question.
        if verb == "migrate" {
            small.expect(0, &["upload"]);
        }
        if ["down", "up"].contains(&verb.as_str()) {
            arguments.push("--yes".to_owned());
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        small.expect(if verb == "plan" { 3 } else { 0 }, &arguments);
    }
}

#[test]
fn every_command_that_is_quoted_is_understood() {
    let pattern = regex::Regex::new(r"`(towpath [^`]+)`").unwrap();
    let mut wrong = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for quoted in pattern.captures_iter(&text) {
            let line = quoted[1].replace('…', "");
            let is_pattern = line.split(' ').any(|word| word.chars().any(char::is_uppercase) || word.starts_with('['));
            if !is_pattern
                && let Err(error) = understood(&line)
                && !error.contains("Usage:")
            {
                wrong.push(format!("{}: {error}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every page of the documentation.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("docs")];
    found.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name)));
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn every_link_inside_the_project_leads_somewhere() {
    let pattern = regex::Regex::new(r"\]\(([^)#\s]+)(#[^)]*)?\)").unwrap();
    let mut dead = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in pattern.captures_iter(&text) {
            let target = &link[1];
            if !target.contains("://") && !page.parent().unwrap_or(Path::new(".")).join(target).exists() {
                dead.push(format!("{}: {target}", page.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}
