//! `towpath doctor`: whether everything around a stack is as it must be, one line each. It changes
//! nothing and goes on after a finding.

use clap::Args;
use towpath_engine::plan::Verb;
use towpath_engine::stack::Target;

use super::session::Session;
use super::{CliError, Exit, Global, data, plan};
use crate::database::Database;
use crate::report::output::Output;

/// Arguments of `towpath doctor`.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {}

/// What was found about one thing.
enum Finding {
    Right(String),
    /// It may matter.
    Odd(String),
    Wrong(String),
}

/// Looks at credentials, place, roles, PostgreSQL and the source's settings.
pub(super) async fn run(global: &Global, _args: &DoctorArgs, output: &Output) -> Result<Exit, CliError> {
    let session = Session::open(global, output).await?;
    let mut wrong = 0;
    let mut say = |what: &str, finding: Finding| {
        let (mark, text) = match finding {
            Finding::Right(text) => ("ok", text),
            Finding::Odd(text) => ("odd", text),
            Finding::Wrong(text) => {
                wrong += 1;
                ("wrong", text)
            }
        };
        output.json("finding", &serde_json::json!({ "subject": what, "finding": mark, "text": text }));
        output.data(&format!("  {mark:<5}  {what}: {text}\n"));
    };
    say(
        "stack",
        Finding::Right(format!("`{}` reads, {} resources", session.stack.name, session.stack.resources.len())),
    );
    let located = session.locate().await;
    match &located {
        Ok(place) => say("credentials", Finding::Right(format!("account {}, region {}", place.account, place.region))),
        Err(error) => say("credentials", Finding::Wrong(error.to_string())),
    }
    if session.stack.target == Target::Aws && session.stack.account.is_none() {
        say("guard", Finding::Odd("`aws.account` is not set, so any account would be taken".to_owned()));
    }
    if located.is_ok() {
        for (what, finding) in roles(&session).await {
            say(&what, finding);
        }
    }
    if session.sandbox.is_some() {
        let finding = match session.ensure_postgres().await {
            Ok(()) => Finding::Right("the sandbox's server runs".to_owned()),
            Err(error) => Finding::Wrong(error.to_string()),
        };
        say("PostgreSQL", finding);
    }
    for (what, finding) in sources(&session).await {
        say(&what, finding);
    }
    session.close().await;
    Ok(if wrong == 0 { Exit::Done } else { Exit::Failed })
}

/// The roles of the account that the stack uses.
async fn roles(session: &Session) -> Vec<(String, Finding)> {
    let observation = match plan::remembered(session) {
        Ok(replay) => plan::look(session, Verb::Apply, &replay).await,
        Err(error) => Err(error),
    };
    let observation = match observation {
        Ok(observation) => observation,
        Err(error) => return vec![("reading".to_owned(), Finding::Wrong(error.to_string()))],
    };
    let presets = session.stack.resources.values().filter_map(|one| one.spec.get("preset")?.as_str());
    presets
        .map(|preset| {
            let role = observation.of("iam/role").iter().find(|role| role.identity == preset);
            let finding = match role.and_then(|role| role.state["preset"].as_str()) {
                Some(state) if state == preset => Finding::Right("is there and complete".to_owned()),
                Some(state) => Finding::Odd(format!("{state}; apply completes it")),
                None => Finding::Right("is not there yet; apply makes it".to_owned()),
            };
            (format!("role {preset}"), finding)
        })
        .collect()
}

/// The source databases that can be reached from here, with the settings that replication needs.
async fn sources(session: &Session) -> Vec<(String, Finding)> {
    let mut found = Vec::new();
    let follows = session
        .stack
        .resources
        .values()
        .any(|one| one.spec.get("mode").and_then(|mode| mode.as_str()).is_some_and(|mode| mode.contains("cdc")));
    let is_source = |spec: &serde_json::Value| spec.get("direction").is_some_and(|direction| direction == "source");
    for (name, _) in session.stack.resources.iter().filter(|(_, one)| is_source(&one.spec)) {
        let source = match data::source(session, name).await {
            Ok(source) => source,
            Err(error) => {
                found.push((format!("source {name}"), Finding::Wrong(error.to_string())));
                continue;
            }
        };
        let asked = "select current_setting('server_version'), current_setting('wal_level'), \
                     current_setting('max_replication_slots')::int - (select count(*) from pg_replication_slots)";
        let finding = match source.query(asked).await {
            Ok(answer) => {
                let row = answer.rows.first().cloned().unwrap_or_default();
                let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
                let (version, level, slots) = (text(0), text(1), text(2));
                let said = format!("PostgreSQL {version}, wal_level {level}, {slots} free replication slots");
                if follows && level != "logical" {
                    Finding::Wrong(format!("{said}; a task that follows changes needs wal_level = logical"))
                } else if follows && slots.starts_with(['0', '-']) {
                    Finding::Wrong(format!("{said}; a task that follows changes needs one"))
                } else {
                    Finding::Right(said)
                }
            }
            Err(error) => Finding::Wrong(error.to_string()),
        };
        found.push((format!("source {name}"), finding));
    }
    found
}
