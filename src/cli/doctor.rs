//! `towpath doctor`: whether everything around a stack is as it must be, one line each. It changes
//! nothing and goes on after a finding.
//!
//! What it says of a database is how it looks from here: DMS comes from its own subnets.

use clap::Args;
use towpath_aws::quotas::{Beyond, beyond_default};
use towpath_engine::observe::Observation;
use towpath_engine::plan::{Note, Verb};
use towpath_engine::stack::Target;

use super::quotas::Taken;
use super::session::Session;
use super::{CliError, Exit, Global, Selection, data, plan, quotas, secrets};
use crate::database::postgres::Postgres;
use crate::database::{Database, DatabaseError, Obstacle};
use crate::migrate::{self, Severity};
use crate::report::output::Output;
use crate::report::style::plural;

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

/// Looks at credentials, place, roles, the plan and its quotas, PostgreSQL, and the source databases.
pub(super) async fn run(global: &Global, _args: &DoctorArgs, output: &Output) -> Result<Exit, CliError> {
    let session = Session::open(global, output).await?;
    let wrong = session.reading(async { Ok(look(&session, output).await) }).await;
    session.close().await;
    Ok(if wrong? == 0 { Exit::Done } else { Exit::Failed })
}

/// Says every finding; how many things are wrong.
async fn look(session: &Session, output: &Output) -> usize {
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
        Finding::Right(format!(
            "`{}` reads, {}",
            session.stack.name,
            plural(session.stack.resources.len(), "resource")
        )),
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
        for (what, finding) in account(session, output).await {
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
    for (what, finding) in sources(session).await {
        say(&what, finding);
    }
    wrong
}

/// What stands in the account, what AWS would refuse of the stack, and whether there is room for what it wants.
async fn account(session: &Session, output: &Output) -> Vec<(String, Finding)> {
    let (plan, observation) = match plan::draft(session, &Selection::default(), Verb::Apply, output).await {
        Ok(made) => made,
        Err(error) => return vec![("plan".to_owned(), Finding::Wrong(error.to_string()))],
    };
    let mut found = roles(session, &observation);
    match plan::refusals(session, &plan, &observation).await {
        Ok(refused) => {
            let text = |note: Note| format!("AWS would refuse {}: {}", note.address, note.text);
            found.extend(refused.into_iter().map(|note| ("plan".to_owned(), Finding::Wrong(text(note)))));
        }
        Err(error) => found.push(("plan".to_owned(), Finding::Wrong(error.to_string()))),
    }
    match Taken::by(&plan, &observation, session).await {
        Ok(taken) => {
            let beyond = taken.iter().flat_map(Taken::beyond);
            let wrong = |text: String| Finding::Wrong(format!("{text}; {}", quotas::more(session, "dms")));
            found.extend(beyond.map(|(what, text)| (what, wrong(text))));
            let within = taken.as_ref().and_then(Taken::within);
            found.extend(within.map(|text| ("quotas".to_owned(), Finding::Right(text))));
        }
        Err(fault) => found.push(("quotas".to_owned(), Finding::Odd(format!("they cannot be read: {fault}")))),
    }
    for Beyond { quota, default, after } in beyond_default(&plan, &observation) {
        let text = format!(
            "{default} by default; you would have {after}. Where the account has no more than that, {}",
            quotas::more(session, quota.service)
        );
        found.push((format!("quota {}", quota.what), Finding::Odd(text)));
    }
    found
}

/// The roles of the account that the stack uses.
fn roles(session: &Session, observation: &Observation) -> Vec<(String, Finding)> {
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

/// The source databases: whether they can be reached and entered from here, and what replication needs.
async fn sources(session: &Session) -> Vec<(String, Finding)> {
    let mut found = Vec::new();
    let follows = session
        .stack
        .resources
        .values()
        .any(|one| one.spec.get("mode").and_then(|mode| mode.as_str()).is_some_and(|mode| mode.contains("cdc")));
    let is_source = |spec: &serde_json::Value| spec.get("direction").is_some_and(|direction| direction == "source");
    for (name, _) in session.stack.resources.iter().filter(|(_, one)| is_source(&one.spec)) {
        let subject = format!("source {name}");
        let unset = secrets::unset_of(session, name);
        if !unset.is_empty() {
            let text = format!("{} is not set; set it in `.env` or export it", unset.join(" and "));
            found.push((subject, Finding::Wrong(text)));
            continue;
        }
        let findings = match data::source(session, name).await {
            Ok(source) => look_at(&source, follows).await,
            Err(error) => vec![Finding::Wrong(error.to_string())],
        };
        found.extend(findings.into_iter().map(|finding| (subject.clone(), finding)));
    }
    found
}

/// One source database; `follows` says whether a task replicates its changes.
async fn look_at(source: &Postgres, follows: bool) -> Vec<Finding> {
    let asked = "select current_setting('server_version'), current_setting('wal_level'), \
                 current_setting('max_replication_slots')::int - (select count(*) from pg_replication_slots)";
    let row = match source.query(asked).await {
        Ok(answer) => answer.rows.into_iter().next().unwrap_or_default(),
        Err(error) => return vec![Finding::Wrong(with_way_out(&error))],
    };
    let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
    let said = format!("PostgreSQL {}, wal_level {}, {} free replication slots", text(0), text(1), text(2));
    let mut found = vec![Finding::Right(said)];
    if follows {
        match migrate::check_server(source).await {
            Ok(findings) => found.extend(findings.into_iter().map(|one| match one.severity {
                Severity::Blocks => Finding::Wrong(one.to_string()),
                Severity::Warns => Finding::Odd(one.to_string()),
            })),
            Err(error) => found.push(Finding::Wrong(with_way_out(&error))),
        }
    }
    found
}

/// A failed connection with what can be done about it. The codes are those of PostgreSQL's manual, "Error Codes".
fn with_way_out(error: &DatabaseError) -> String {
    let way_out = match error {
        DatabaseError::Unreachable { obstacle: Obstacle::Name, .. } => {
            "check the host's name; a private one may be known only inside the VPC"
        }
        DatabaseError::Unreachable { obstacle: Obstacle::Silence, .. } => {
            "let this machine in: the security group or firewall of the database, and a way into its network"
        }
        DatabaseError::Unreachable { obstacle: Obstacle::Closed, .. } => {
            "check the port, and that the server listens on this address (listen_addresses)"
        }
        DatabaseError::Unreachable { obstacle: Obstacle::Mute, .. } => {
            "check that a PostgreSQL server listens at this port, and that it is not stopped or out of memory"
        }
        DatabaseError::Unreachable { obstacle: Obstacle::Encryption, .. } => {
            "check `sslmode` and `sslrootcert` of the URL, or `ssl_mode` of the endpoint, against the server's `ssl`"
        }
        DatabaseError::Refused { code: Some(code), .. } => match code.as_str() {
            "28000" => {
                "add a line for this user, database and address to pg_hba.conf; one that begins with hostssl wants sslmode=require"
            }
            "28P01" => "check user and password",
            "3D000" => "check the database's name",
            "53300" => "the server takes no more connections: close some, or raise max_connections",
            "42501" => "grant the user what it lacks",
            _ => return error.to_string(),
        },
        _ => return error.to_string(),
    };
    format!("{error}; {way_out}")
}
