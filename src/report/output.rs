//! Where text goes: data to stdout, talk to stderr, progress as live bars on a terminal and as
//! plain lines elsewhere, everything as NDJSON with `--json`.
//!
//! This and `main` are the only places that write to the standard streams. A closed pipe ends
//! output, not the run: what must not be lost is in the journal.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::style::Color;

/// Version of the NDJSON events; grows when a field changes its meaning or goes away.
pub const JSON_VERSION: u32 = 1;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Bars that move, for people at a terminal.
    Live,
    /// One line per thing that happened.
    Lines,
    /// One JSON object per line on stdout, and no text.
    Json,
    /// Only results and errors.
    Quiet,
}

/// The standard streams of one command.
pub struct Output {
    /// How progress is shown.
    pub progress: Progress,
    /// Whether text on stdout is coloured.
    pub color: Color,
    /// Whether text on stderr is coloured.
    pub talk_color: Color,
    bars: MultiProgress,
    active: Mutex<HashMap<String, ProgressBar>>,
    /// Why a result could not be written to stdout, the first time that happened.
    unwritten: Mutex<Option<std::io::Error>>,
}

/// What the command line says about output.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// `--json`.
    pub json: bool,
    /// `--quiet`.
    pub quiet: bool,
    /// `--no-color`, or the variable `NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// The terminal can neither colour nor move back, as `TERM=dumb` says.
    pub dumb: bool,
}

impl Output {
    /// Decides by what the streams are and what the user asked for.
    pub fn new(wishes: Wishes) -> Self {
        let terminal = std::io::stderr().is_terminal() && !wishes.dumb;
        let progress = match wishes {
            Wishes { json: true, .. } => Progress::Json,
            Wishes { quiet: true, .. } => Progress::Quiet,
            _ if terminal => Progress::Live,
            _ => Progress::Lines,
        };
        let color =
            |is_terminal: bool| if is_terminal && !wishes.no_color && !wishes.dumb { Color::On } else { Color::Off };
        let bars = MultiProgress::with_draw_target(if progress == Progress::Live {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        });
        Self {
            progress,
            color: color(std::io::stdout().is_terminal()),
            talk_color: color(terminal),
            bars,
            active: Mutex::default(),
            unwritten: Mutex::default(),
        }
    }

    /// Why not everything that belongs on stdout is there: a full disk, say. A reader that went away is
    /// no reason.
    pub fn unwritten(&self) -> Option<std::io::Error> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn to_stdout(&self, text: &str) {
        if let Err(error) = write_all(&mut std::io::stdout().lock(), text) {
            self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }

    fn to_stderr(&self, text: &str) {
        // There is no other place to say it.
        let _unsaid = self.bars.suspend(|| write_all(&mut std::io::stderr().lock(), &format!("{text}\n")));
    }

    /// Writes a result to stdout, exactly as given. With `--json` text results are left out;
    /// their JSON form goes through [`Output::json`].
    pub fn data(&self, text: &str) {
        if self.progress != Progress::Json {
            self.bars.suspend(|| self.to_stdout(text));
        }
    }

    /// Says something on stderr, above any bars.
    pub fn talk(&self, text: &str) {
        if matches!(self.progress, Progress::Live | Progress::Lines) {
            self.to_stderr(text);
        }
    }

    /// Says on stderr what must be seen even with `--quiet`.
    pub fn alert(&self, text: &str) {
        self.to_stderr(text);
    }

    /// One NDJSON event; nothing without `--json`.
    pub fn json(&self, kind: &str, value: &Value) {
        if self.progress == Progress::Json {
            let mut line = json!({ "version": JSON_VERSION, "type": kind });
            match (line.as_object_mut(), value.as_object()) {
                (Some(line), Some(fields)) => line.extend(fields.clone()),
                (Some(line), None) => {
                    line.insert("value".to_owned(), value.clone());
                }
                _ => {}
            }
            self.to_stdout(&format!("{line}\n"));
        }
    }

    /// Starts (or renames) the bar of `key`. Without a total it is a spinner.
    pub fn bar(&self, key: &str, message: &str, total: Option<u64>) {
        if self.progress != Progress::Live {
            return;
        }
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = active.entry(key.to_owned()).or_insert_with(|| {
            let bar = self.bars.add(ProgressBar::new_spinner());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if let Some(total) = total {
            bar.set_length(total);
            bar.set_style(style(
                "{spinner} {wide_msg} {bar:24.cyan/dim} {human_pos:>9}/{human_len:<9} {per_sec:>12} {eta:>4}",
            ));
        } else {
            bar.set_style(style("{spinner} {wide_msg} {elapsed:>5}"));
        }
        bar.set_message(message.to_owned());
    }

    /// Moves the bar of `key`, if there is one.
    pub fn advance(&self, key: &str, position: u64) {
        if let Some(bar) = self.active.lock().unwrap_or_else(PoisonError::into_inner).get(key) {
            bar.set_position(position);
        }
    }

    /// Takes the bar of `key` away; what remains is said by [`Output::talk`].
    pub fn finish(&self, key: &str) {
        if let Some(bar) = self.active.lock().unwrap_or_else(PoisonError::into_inner).remove(key) {
            bar.finish_and_clear();
        }
    }

    /// Takes all bars away, before an error or a question is shown.
    pub fn clear(&self) {
        for (_, bar) in self.active.lock().unwrap_or_else(PoisonError::into_inner).drain() {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
        .progress_chars("━╸─")
}

fn write_all(stream: &mut impl Write, text: &str) -> std::io::Result<()> {
    match stream.write_all(text.as_bytes()).and_then(|()| stream.flush()) {
        // A reader that went away is not our failure, and there is nobody left to tell.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
