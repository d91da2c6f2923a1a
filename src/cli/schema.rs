//! `towpath schema` and `towpath completions`: files for editors and shells.

use clap::CommandFactory;
use towpath_aws::cloud::Cloud;
use towpath_aws::kinds;

use super::{Cli, CliError, Exit};
use crate::report::output::Output;

/// Prints the JSON Schema of stack files.
pub(super) fn run(output: &Output) -> Result<Exit, CliError> {
    let schema = towpath_engine::schema::of(&kinds::registry(&Cloud::offline()));
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|error| CliError::failed("the schema cannot be written", &error))?;
    output.json("schema", &serde_json::json!({ "schema": schema }));
    output.data(&format!("{text}\n"));
    Ok(Exit::Done)
}

/// Prints completions for a shell.
pub(super) fn completions(shell: clap_complete::Shell, output: &Output) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "towpath", &mut text);
    let text = String::from_utf8_lossy(&text);
    output.json("completions", &serde_json::json!({ "shell": shell.to_string(), "script": text }));
    output.data(&text);
    Exit::Done
}
