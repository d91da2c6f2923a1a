//! Questions to somebody at a terminal, and what stands for an answer where nobody is.
//!
//! While one waits, the stack is held and an interrupt ends the command at once: nothing is under way.

use std::io::{BufRead, IsTerminal};
use std::sync::atomic::AtomicBool;

use tokio::sync::oneshot;

use super::{CliError, Consent, Exit, interrupt};
use crate::report::output::{Output, Progress};

/// Asks, unless `--yes` was given. Without a terminal nobody can answer.
pub(super) async fn ask(
    interrupt: &AtomicBool,
    consent: Consent,
    question: &str,
    output: &Output,
) -> Result<(), CliError> {
    if consent.yes {
        return Ok(());
    }
    if !can_be_asked(output) {
        return Err(CliError::new(Exit::Usage, "nobody can be asked here; nothing was done").hint("to go ahead: --yes"));
    }
    if is_agreed(interrupt, question, output).await? {
        return Ok(());
    }
    Err(CliError::new(Exit::Failed, "not confirmed; nothing was done"))
}

/// Whether there is somebody who reads a question and can answer it.
pub(super) fn can_be_asked(output: &Output) -> bool {
    std::io::stdin().is_terminal() && output.progress != Progress::Json
}

/// Puts a question. Whatever is not a yes is a no.
pub(super) async fn is_agreed(interrupt: &AtomicBool, question: &str, output: &Output) -> Result<bool, CliError> {
    output.alert(&format!("{question} [y/N]"));
    let (sender, answer) = oneshot::channel();
    // A thread that nobody waits for: a line that is being read cannot be given up.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line).is_ok();
        // Whoever was interrupted meanwhile does not want it any more.
        let _unwanted = sender.send(read && matches!(line.trim(), "y" | "Y" | "yes"));
    });
    tokio::select! {
        answer = answer => Ok(answer.unwrap_or(false)),
        () = interrupt::requested(interrupt) => {
            Err(CliError::new(Exit::Interrupted, "interrupted; nothing was done"))
        }
    }
}
