//! `towpath sample`: data to try things with.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{CliError, Exit};
use crate::report::output::Output;
use crate::report::style::{grouped, plural};
use crate::sample;

/// Arguments of `towpath sample`.
#[derive(Debug, Args)]
pub(super) struct SampleArgs {
    #[command(subcommand)]
    name: Sample,
}

#[derive(Debug, Subcommand)]
enum Sample {
    /// Teams, memberships, events and their RSVPs, with the known defects of the original
    #[command(after_help = "Example:\n  towpath sample club --scale 10 --out data/club")]
    Club {
        /// How many times the original's size
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        scale: u32,
        /// The same seed gives the same bytes
        #[arg(long, default_value_t = 7)]
        seed: u64,
        /// Folder to write to
        #[arg(long, value_name = "DIR", default_value = "data/club")]
        out: PathBuf,
    },
}

/// Writes the files.
pub(super) fn run(args: &SampleArgs, output: &Output) -> Result<Exit, CliError> {
    let Sample::Club { scale, seed, out } = &args.name;
    write(*scale, *seed, out, output)?;
    Ok(Exit::Done)
}

/// Writes the club's files and says so.
pub(super) fn write(scale: u32, seed: u64, out: &Path, output: &Output) -> Result<(), CliError> {
    let files = sample::club(scale, seed, out)
        .map_err(|error| CliError::failed("the sample data cannot be written", &error))?;
    for file in &files {
        output.json("sample", &serde_json::json!({ "path": file.path, "rows": file.rows }));
        output.talk(&format!("  ✓ {} ({} rows)", file.path.display(), grouped(file.rows)));
    }
    output.talk(&format!("Wrote {} to `{}`.", plural(files.len(), "file"), out.display()));
    Ok(())
}
