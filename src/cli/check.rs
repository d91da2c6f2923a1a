//! `towpath check`: stack and models, offline.

use towpath_aws::cloud::Cloud;
use towpath_aws::kinds;

use super::session::Project;
use super::{CliError, Exit, Global, secrets};
use crate::report::output::Output;
use crate::report::style::plural;

/// Reports every mistake; exits with 2 when there is one.
pub(super) fn run(global: &Global, output: &Output) -> Result<Exit, CliError> {
    let project = Project::find(global)?;
    let stack = project.load(global, &kinds::registry(&Cloud::offline()), output)?;
    secrets::warn_offline(&project, &stack, output);
    let mut said = format!("`{}`: {} without mistakes", project.source.path, plural(stack.resources.len(), "resource"));
    if let Some(models) = &stack.pipeline.models {
        let count = super::models::check(&project, &stack, &models.project)?;
        said.push_str(&format!("; `{}`: {}", models.project, plural(count, "node")));
    }
    output.json("checked", &serde_json::json!({ "resources": stack.resources.len() }));
    output.data(&format!("{said}\n"));
    Ok(Exit::Done)
}
