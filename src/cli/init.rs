//! `towpath init`: a project to begin with, which runs on the sandbox as it is.

use std::path::{Path, PathBuf};

use clap::Args;
use regex::Regex;

use super::{CliError, Exit};
use crate::report::output::Output;

/// The files of a new project. `STACK_NAME` stands for the stack's name in them, `STACK_IDENTIFIER`
/// for the same as a name in SQL.
const FILES: [(&str, &str); 6] = [
    (".env.template", include_str!("init/env.template")),
    (".gitignore", ".env\n.towpath/\n.towpath-sandbox/\n"),
    ("data/boats.csv", include_str!("init/boats.csv")),
    ("sql/dbt_project.yml", include_str!("init/dbt_project.yml")),
    ("sql/models/boats.yml", include_str!("init/models.yml")),
    ("sql/models/boats_by_year.sql", include_str!("init/boats_by_year.sql")),
];

const STACK: &str = include_str!("init/stack.yaml");

/// Arguments of `towpath init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The stack's name: small letters, digits and hyphens
    name: String,
    /// The folder of the project
    #[arg(long, value_name = "DIR", default_value = ".")]
    directory: PathBuf,
}

/// Writes the stack and what it needs; files that are there already stay as they are.
pub(super) fn run(args: &InitArgs, output: &Output) -> Result<Exit, CliError> {
    let is_name = Regex::new("^[a-z][a-z0-9-]{0,30}$").is_ok_and(|pattern| pattern.is_match(&args.name));
    if !is_name {
        return Err(CliError::new(Exit::Usage, format!("`{}` cannot be the name of a stack", args.name))
            .hint("small letters, digits and hyphens, beginning with a letter, at most 31: towpath init club"));
    }
    let stack = format!("stacks/{}.yaml", args.name);
    if args.directory.join(&stack).exists() {
        return Err(CliError::new(Exit::Usage, format!("`{stack}` is there already; nothing was written")));
    }
    for (path, text) in FILES.into_iter().chain([(stack.as_str(), STACK)]) {
        let target = args.directory.join(path);
        let is_there = target.exists();
        if !is_there {
            let text = text.replace("STACK_NAME", &args.name).replace("STACK_IDENTIFIER", &args.name.replace('-', "_"));
            write(&target, &text)?;
        }
        output.json("file", &serde_json::json!({ "path": path, "written": !is_there }));
        output.data(&format!("  {path}{}\n", if is_there { " is there already and stays" } else { "" }));
    }
    output.talk("\nTo see what it would build: towpath plan\nTo build it on this machine: towpath up");
    Ok(Exit::Done)
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let wrong = |error: std::io::Error| CliError::failed(format!("`{}` cannot be written", path.display()), &error);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(wrong)?;
    }
    std::fs::write(path, text).map_err(wrong)
}
