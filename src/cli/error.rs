//! Where every error gains its exit code and its way out. Library code never writes either.

use std::fmt::Display;
use std::process::ExitCode;

use towpath_engine::secret::redact;

use crate::report::output::Output;

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, or nothing to do.
    Done,
    /// 1: it failed.
    Failed,
    /// 2: the command line, the stack or the project is wrong; nothing was done.
    Usage,
    /// 3: changes are pending, or differences were found.
    Differences,
    /// 4: stopped part-way; running the same command again goes on.
    Resumable,
    /// 5: something that should be gone is left.
    Leftovers,
    /// 130: interrupted by Ctrl-C; running the same command again goes on.
    Interrupted,
}

impl Exit {
    /// The number the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Differences => 3,
            Self::Resumable => 4,
            Self::Leftovers => 5,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A failed command: what happened, why, what to do.
#[derive(Debug)]
pub struct CliError {
    /// The code to leave with.
    pub exit: Exit,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
}

impl Display for CliError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let causes: String = self.causes.iter().map(|cause| format!(": {cause}")).collect::<Vec<_>>().concat();
        write!(formatter, "{}{causes}", self.message)
    }
}

impl CliError {
    /// An error with this code and message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// "It failed" around a typed error, with its whole chain of sources.
    pub fn failed(message: impl Into<String>, error: &dyn std::error::Error) -> Self {
        let mut failure = Self::new(Exit::Failed, message);
        let mut next = Some(error);
        while let Some(error) = next {
            let text = redact(&error.to_string());
            // Many errors quote their source.
            if !failure.causes.last().is_some_and(|last| last.contains(&text)) {
                failure.causes.push(text);
            }
            next = error.source();
        }
        failure
    }

    /// The same with another code.
    #[must_use]
    pub fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// The same with one more cause, which may quote others: no secret stays in it.
    #[must_use]
    pub fn because(mut self, cause: impl Display) -> Self {
        self.causes.push(redact(&cause.to_string()));
        self
    }

    /// The same with one more way out. A command in it is written by `Session::command`, so that it is about the same
    /// stack, environment and place.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The message and its causes in one line, for a place where the failure is only part of the matter.
    pub(super) fn summary(&self) -> String {
        let parts: Vec<&str> = std::iter::once(&self.message)
            .chain(&self.causes)
            .map(|part| part.lines().next().unwrap_or_default())
            .collect();
        parts.join(": ")
    }

    /// Says it on stderr, and as an event with `--json`.
    pub fn show(&self, output: &Output) {
        output.json(
            "error",
            &serde_json::json!({
                "exit": self.exit.code(), "message": self.message, "causes": self.causes, "hints": self.hints,
            }),
        );
        if self.message.is_empty() {
            return;
        }
        let color = output.talk_color;
        let mut text = format!("{} {}", color.red(&color.bold("error:")), self.message);
        for cause in &self.causes {
            text.push_str(&format!("\n  Caused by: {}", cause.replace('\n', "\n    ")));
        }
        for (index, hint) in self.hints.iter().enumerate() {
            let gap = if index == 0 { "\n" } else { "" };
            text.push_str(&format!("{gap}\n{} {hint}", color.bold("hint:")));
        }
        output.alert(&text);
    }
}
