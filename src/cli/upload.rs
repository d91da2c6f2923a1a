//! `towpath upload`: CSV files into the source.

use std::path::PathBuf;

use clap::Args;

use super::lease::hold;
use super::session::Session;
use super::{CliError, Consent, Exit, Global, data, secrets, typed};
use crate::report::data as report;
use crate::report::output::Output;
use crate::report::style::plural;
use crate::upload::{self, Options};

/// Arguments of `towpath upload`.
#[derive(Debug, Args)]
pub(super) struct UploadArgs {
    /// Folder of CSV files, over the stack's `pipeline.upload.from`
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Replace tables of the same name that towpath did not upload
    #[arg(long)]
    replace_tables: bool,
    #[command(flatten)]
    consent: Consent,
}

/// Uploads, under the stack's lease: a task may be loading from these tables.
pub(super) async fn run(global: &Global, args: &UploadArgs, output: &Output) -> Result<Exit, CliError> {
    let session = Session::open(global, output).await?;
    secrets::required_by_upload(&session, output)?;
    let held = hold(&session, "upload", args.consent, output).await?;
    held.step("uploading");
    let work = stage(&session, args.from.clone(), args.replace_tables, output);
    let from = args.from.iter().map(|folder| ("--from", folder.display().to_string()));
    let replace = if args.replace_tables { " --replace-tables" } else { "" };
    let again = session.command(&format!("upload{}{replace}", typed(from)));
    let result = held.keeping(&session, &again, work).await;
    held.release().await;
    session.close().await;
    result.map(|()| Exit::Done)
}

/// Uploads what the stack's pipeline says; writes the sample first if it names one and the folder
/// is not there.
pub(super) async fn stage(
    session: &Session,
    from: Option<PathBuf>,
    replace: bool,
    output: &Output,
) -> Result<(), CliError> {
    let Some(wanted) = &session.stack.pipeline.upload else {
        return Err(CliError::new(Exit::Usage, "the stack has no `pipeline.upload`")
            .hint("say where to: pipeline: {upload: {from: data/club, into: source}}"));
    };
    let folder = from.clone().unwrap_or_else(|| session.project.path(&wanted.from));
    if let (None, Some(sample), false) = (&from, &wanted.sample, folder.exists()) {
        if sample.name != "club" {
            return Err(CliError::new(Exit::Usage, format!("there is no sample `{}`; there is `club`", sample.name)));
        }
        super::sample::write(sample.scale, sample.seed, &folder, output)?;
    }
    let source = data::source(session, &wanted.into).await?;
    let options = Options { schema: wanted.schema.clone(), types: wanted.types.clone(), replace, ..Options::default() };
    let on_event = |event| report::upload(&event, output);
    let summary = upload::run(&source, &folder, &options, &on_event)
        .await
        .map_err(|error| CliError::failed("nothing was uploaded", &error))?;
    output.clear();
    if summary.failed.is_empty() {
        return Ok(());
    }
    let all = summary.failed.len() + summary.uploaded.len();
    let error = CliError::new(
        Exit::Failed,
        format!("{} of {} not uploaded; their tables are as before", summary.failed.len(), plural(all, "file")),
    );
    Err(summary.failed.iter().fold(error, CliError::because))
}
