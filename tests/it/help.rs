//! Help texts: every command has an example, and every example is a command towpath understands.

use clap::{CommandFactory as _, Parser as _};
use towpath::cli::Cli;

/// Every visible command with its path, as `models build`.
fn commands() -> Vec<(String, clap::Command)> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), Cli::command())];
    while let Some((path, command)) = open.pop() {
        for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help") {
            let name = format!("{path} {}", inner.get_name()).trim().to_owned();
            open.push((name.clone(), inner.clone()));
            found.push((name, inner.clone()));
        }
    }
    found
}

/// The words of a command line as a POSIX shell splits them, up to the first operator.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = vec![];
    let (mut word, mut quote) = (None::<String>, None);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '&' | '|' | '>' | ';') => break,
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// Whether towpath understands a command line that begins with `towpath`.
pub(crate) fn understood(line: &str) -> Result<(), String> {
    Cli::try_parse_from(words(line)).map(|_| ()).map_err(|error| format!("{line}: {error}"))
}

#[test]
fn every_command_has_an_example_that_is_understood() {
    let commands = commands();
    assert!(commands.len() > 18, "{}", commands.len());
    for (name, command) in commands {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.starts_with("Example"), "`towpath {name} --help` has no example");
        for line in help.lines().skip(1).map(str::trim) {
            for part in line.split("&&").map(str::trim).filter(|part| part.starts_with("towpath")) {
                understood(part).unwrap();
            }
        }
        assert!(command.get_about().is_some(), "`{name}` does not say what it does");
    }
}

#[test]
fn no_two_arguments_of_a_command_share_a_name() {
    Cli::command().debug_assert();
    understood("towpath models test --vars 'a: true' --var b=c").unwrap();
}

#[test]
fn help_is_data_and_lists_every_command() {
    let environment = crate::env::TestEnvironment::empty();
    let help = environment.expect(0, &["--help"]);
    assert!(help.stderr.is_empty());
    for (name, _) in commands().iter().filter(|(name, _)| !name.contains(' ')) {
        assert!(help.stdout.contains(&format!("\n  {name} ")), "no {name} in\n{}", help.stdout);
    }
    assert!(!help.stdout.contains("sandbox-supervisor"));
    let version = environment.expect(0, &["--version"]);
    assert_eq!(version.stdout, format!("towpath {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn words_are_split_as_a_shell_does() {
    assert_eq!(words("towpath models test --vars 'a: true' > x"), ["towpath", "models", "test", "--vars", "a: true"]);
}
