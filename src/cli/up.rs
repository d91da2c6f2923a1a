//! `towpath up`: everything in order, with one question, doing only what is not done yet.

use std::time::Instant;

use clap::Args;
use towpath_engine::plan::Verb;

use super::apply::{Errand, act, settled};
use super::lease::{Held, hold};
use super::question::ask;
use super::session::Session;
use super::{CliError, Consent, Exit, Global, Selection, migrate, models, plan, secrets, upload};
use crate::migrate::{Options, Outcome};
use crate::report::output::Output;
use crate::report::style::duration;

/// Arguments of `towpath up`.
#[derive(Debug, Args)]
pub(super) struct UpArgs {
    #[command(flatten)]
    consent: Consent,
}

/// Runs all stages.
pub(super) async fn run(global: &Global, args: &UpArgs, output: &Output) -> Result<Exit, CliError> {
    let session = Session::open(global, output).await?;
    let held = hold(&session, "up", args.consent, output).await?;
    let began = Instant::now();
    let result = stages(&session, &held, args.consent, output).await;
    output.clear();
    held.release().await;
    session.close().await;
    if let Ok(exit) = &result {
        let ended = if *exit == Exit::Done { "Done" } else { "Ended with findings" };
        output.talk(&format!("\n{ended} in {}.", duration(began.elapsed().as_secs_f64())));
        output.json("up", &serde_json::json!({ "exit": exit.code(), "seconds": began.elapsed().as_secs_f64() }));
    }
    result
}

async fn stages(session: &Session, held: &Held, consent: Consent, output: &Output) -> Result<Exit, CliError> {
    let title = |text: &str| {
        held.step(&text.to_lowercase());
        output.talk(&format!("\n{}", output.talk_color.bold(text)));
    };
    let (plan, observation) = plan::make(session, &Selection::default(), Verb::Apply, output).await?;
    let plan = settled(session, &Selection::default(), plan, &observation, consent, output).await?;
    secrets::required_by_all(session, &plan, output)?;
    ask_once(session, &plan, consent, output).await?;
    let again = session.command("up");
    if !plan.is_empty() {
        title("Applying");
        let exit = act(session, held, &plan, &observation, &Errand { verb: "up", again: &again }, output).await?;
        if exit != Exit::Done {
            return Ok(exit);
        }
    }
    let pipeline = &session.stack.pipeline;
    let mut worst = Exit::Done;
    if pipeline.upload.is_some() {
        title("Uploading");
        held.keeping(session, &again, upload::stage(session, None, false, output)).await?;
    }
    let mut outcome = Outcome::Unchanged;
    if pipeline.migrate.is_some() {
        title("Migrating");
        outcome = held.keeping(session, &again, migrate::stage(session, &Options::default(), output)).await?;
    }
    let built = Built::read(session, &migrate::loaded_at(session).await?);
    if outcome == Outcome::Unchanged && plan.is_empty() && built.as_ref().is_some_and(Built::is_current) {
        output.talk("\nThe models were built from these very rows: nothing to do.");
        return Ok(Exit::Done);
    }
    if pipeline.validate.is_some() && pipeline.migrate.is_some() && outcome != Outcome::Replicating {
        title("Validating");
        let exit = held.keeping(session, &again, migrate::compare(session, None, output)).await?;
        if exit != Exit::Done {
            return Err(CliError::new(
                Exit::Differences,
                "the warehouse differs from the source; the models were not built",
            )
            .hint(format!("to load everything again: {}", session.command("migrate --reload-all"))));
        }
    }
    if pipeline.models.is_some() {
        title("Building the models");
        worst = held.keeping(session, &again, models::stage(session, output)).await?;
        if worst == Exit::Done
            && let Some(built) = &built
        {
            built.remember();
        }
    }
    Ok(worst)
}

/// One question for everything.
async fn ask_once(
    session: &Session,
    plan: &towpath_engine::plan::Plan,
    consent: Consent,
    output: &Output,
) -> Result<(), CliError> {
    if plan.is_empty() {
        return Ok(());
    }
    ask(&session.interrupt, consent, "Apply this plan, then upload, migrate and build?", output).await
}

/// What the last complete `up` built its models from: unchanged data and project need no second
/// build. Kept beside the journal and, like it, needed for nothing but saving time.
struct Built {
    path: std::path::PathBuf,
    now: String,
}

impl Built {
    /// The mark of what would be built now.
    fn read(session: &Session, loaded: &str) -> Option<Self> {
        use sha2::{Digest, Sha256};
        let models = session.stack.pipeline.models.as_ref()?;
        let mut hash = Sha256::new();
        let mut folders = vec![session.project.path(&models.project)];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).ok()?.flatten() {
                let path = entry.path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        for file in files {
            hash.update(file.to_string_lossy().as_bytes());
            hash.update(std::fs::read(&file).ok()?);
        }
        hash.update(serde_json::to_string(&session.stack.pipeline).ok()?);
        hash.update(loaded);
        let now = hash.finalize().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        Some(Self { path: session.folder().join("models.built"), now })
    }

    fn is_current(&self) -> bool {
        std::fs::read_to_string(&self.path).is_ok_and(|built| built == self.now)
    }

    /// Remembers a complete build. That it cannot be written costs only the next `up` some time.
    fn remember(&self) {
        if let Err(error) = std::fs::write(&self.path, &self.now) {
            tracing::warn!(%error, path = %self.path.display(), "the build is not remembered");
        }
    }
}
