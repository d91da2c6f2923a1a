//! The program: parse, run, exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use towpath_engine::secret::redact;

/// Standard error for the log, of which libraries write a part: no secret passes.
struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(redact(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("TOWPATH_LOG"))
        .with_writer(|| Log)
        .init();
    let cli = towpath::cli::Cli::parse();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(towpath::cli::run(cli));
            runtime.shutdown_timeout(std::time::Duration::from_secs(2));
            exit.into()
        }
        Err(error) => {
            tracing::error!(%error, "the runtime cannot start");
            ExitCode::FAILURE
        }
    }
}
