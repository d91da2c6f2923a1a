//! `towpath explain`: the reference page of a kind.

use towpath_aws::cloud::Cloud;
use towpath_aws::kinds;

use super::{CliError, Exit};
use crate::report::output::Output;
use crate::report::reference::page;

/// Prints the page of a kind, or the names of all kinds.
pub(super) fn run(kind: Option<&str>, output: &Output) -> Result<Exit, CliError> {
    let registry = kinds::registry(&Cloud::offline());
    let Some(name) = kind else {
        for kind in registry.iter() {
            output.json("kind", &serde_json::json!({ "kind": kind.kind(), "summary": kind.facts().summary }));
            output.data(&format!("{:<28} {}\n", kind.kind(), kind.facts().summary));
        }
        return Ok(Exit::Done);
    };
    let Some(kind) = registry.get(name) else {
        let error = CliError::new(Exit::Usage, format!("there is no kind `{name}`"));
        return Err(match towpath_engine::diag::closest(name, registry.names()) {
            Some(close) => error.hint(format!("did you mean `{close}`?")),
            None => error.hint("to list all: towpath explain"),
        });
    };
    let page = page(name, &kind.facts(), kind.schema(), kind.fields());
    output.json("page", &serde_json::json!({ "kind": name, "markdown": page }));
    output.data(&page);
    Ok(Exit::Done)
}
