//! `towpath graph`: the resources of a stack and what needs what, for Mermaid or Graphviz.

use std::fmt::Write as _;

use clap::Args;
use towpath_aws::cloud::Cloud;
use towpath_aws::kinds;
use towpath_engine::stack::Stack;

use super::session::Project;
use super::{CliError, Exit, Global};
use crate::report::output::Output;

/// Arguments of `towpath graph`.
#[derive(Debug, Args)]
pub(super) struct GraphArgs {
    /// The language to write
    #[arg(long, default_value = "mermaid", value_parser = ["mermaid", "dot"])]
    format: String,
}

/// Prints the graph; an arrow leads from what is needed to what needs it.
pub(super) fn run(global: &Global, args: &GraphArgs, output: &Output) -> Result<Exit, CliError> {
    let project = Project::find(global)?;
    let stack = project.load_written(global, &kinds::registry(&Cloud::offline()), output)?;
    let edges: Vec<(String, String)> = stack
        .resources
        .iter()
        .flat_map(|(name, resource)| resource.needs().into_iter().map(|need| (need, name.clone())))
        .collect();
    let nodes: Vec<_> = stack.resources.values().map(|one| (&one.address.name, &one.address.kind)).collect();
    output.json("graph", &serde_json::json!({ "nodes": nodes, "edges": edges }));
    output.data(&if args.format == "dot" { dot(&stack, &edges) } else { mermaid(&stack, &edges) });
    Ok(Exit::Done)
}

fn mermaid(stack: &Stack, edges: &[(String, String)]) -> String {
    let mut out = "flowchart LR\n".to_owned();
    // `end` and the like are words of Mermaid, so that no name stands alone.
    for resource in stack.resources.values() {
        let _ = writeln!(out, "    r_{0}[\"{0}<br/>{1}\"]", resource.address.name, resource.address.kind);
    }
    for (from, to) in edges {
        let _ = writeln!(out, "    r_{from} --> r_{to}");
    }
    out
}

fn dot(stack: &Stack, edges: &[(String, String)]) -> String {
    let mut out = format!("digraph \"{}\" {{\n    rankdir=LR;\n    node [shape=box];\n", stack.name);
    for resource in stack.resources.values() {
        let _ = writeln!(out, "    \"{0}\" [label=\"{0}\\n{1}\"];", resource.address.name, resource.address.kind);
    }
    for (from, to) in edges {
        let _ = writeln!(out, "    \"{from}\" -> \"{to}\";");
    }
    out.push_str("}\n");
    out
}
