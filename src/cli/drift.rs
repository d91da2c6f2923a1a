//! `towpath drift`: what differs from the stack, field by field.

use clap::Args;
use towpath_engine::plan::{Verb, drift};
use towpath_engine::stack::edit;

use super::session::Session;
use super::{CliError, Exit, Global, Selection, plan};
use crate::report::output::Output;
use crate::report::plan::value;

/// Arguments of `towpath drift`.
#[derive(Debug, Args)]
pub(super) struct DriftArgs {
    /// Write the live value of this field into the stack file, as NAME.FIELD; may be repeated
    #[arg(long, value_name = "NAME.FIELD")]
    accept: Vec<String>,
}

/// Lists live differences field by field, or accepts some of them. `apply --target` reverts one.
pub(super) async fn run(global: &Global, args: &DriftArgs, output: &Output) -> Result<Exit, CliError> {
    let session = Session::open(global, output).await?;
    let place = session.locate().await?;
    let replay = plan::remembered(&session)?;
    let observation = plan::look(&session, Verb::Apply, &replay).await?;
    let options = plan::options(&session, &Selection::default(), Verb::Apply, Vec::new());
    let found = drift(&plan::input(&session, &place, &options, &replay, &observation));
    let mut text = session.project.source.text.clone();
    let mut left = 0;
    for (address, changes) in &found {
        for change in changes {
            let name = format!("{}.{}", address.name, change.path);
            let accepted = args.accept.contains(&name);
            output.json(
                "drift",
                &serde_json::json!({ "address": address.to_string(), "field": change.path, "declared": change.after,
                    "live": change.before, "accepted": accepted }),
            );
            let mark = if accepted { "accepted" } else { "differs" };
            output.data(&format!(
                "  {name} {mark}: declared {}, live {}\n",
                value(&change.after),
                value(&change.before)
            ));
            if accepted {
                text = edit::set(&text, global.env.as_deref(), &address.name, &change.path, &change.before).map_err(
                    |error| CliError::failed(format!("`{name}` cannot be written into the stack file"), &error),
                )?;
            } else {
                left += 1;
            }
        }
    }
    if text != session.project.source.text {
        let path = &session.project.source.path;
        std::fs::write(path, &text).map_err(|error| CliError::failed(format!("`{path}` cannot be written"), &error))?;
        output.talk(&format!("Wrote `{path}`."));
    }
    if left == 0 {
        output.data("Nothing differs from the stack.\n");
    } else {
        output.talk("\nTo make AWS as declared: towpath apply --target NAME\nTo declare what is there: towpath drift --accept NAME.FIELD");
    }
    session.close().await;
    Ok(if left == 0 { Exit::Done } else { Exit::Differences })
}
