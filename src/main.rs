//! The program: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("TOWPATH_LOG"))
        .with_writer(std::io::stderr)
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
