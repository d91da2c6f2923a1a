//! The models' events and outcome as lines, bars and JSON.

use serde_json::json;

use super::output::{Output, Progress};
use super::style::{duration, grouped, plural};
use crate::database::Rows;
use crate::models::{ModelsEvent, NodeResult, Status, Summary};

/// How many sample rows of a finding are shown.
const SAMPLE: usize = 3;

/// Shows one event.
pub fn event(event: &ModelsEvent, output: &Output) {
    match event {
        ModelsEvent::RunStarted { nodes, threads } => {
            output.json("models", &json!({ "event": "run_started", "nodes": nodes, "threads": threads }));
        }
        ModelsEvent::NodeStarted { id, .. } => output.bar(id, id, None),
        ModelsEvent::NodeFinished(result) => {
            output.finish(&result.id);
            finished(result, output);
        }
        ModelsEvent::Logged { message, .. } => output.talk(&format!("  {message}")),
    }
}

fn word(status: &Status) -> &'static str {
    match status {
        Status::Succeeded => "succeeded",
        Status::Passed => "passed",
        Status::Warned => "warned",
        Status::Failed => "failed",
        Status::Errored => "errored",
        Status::Skipped { .. } => "skipped",
    }
}

fn finished(result: &NodeResult, output: &Output) {
    if output.progress == Progress::Json {
        output.json(
            "models",
            &json!({
                "event": "node_finished", "id": result.id, "status": word(&result.status), "message": result.message,
                "rows": result.rows, "failures": result.failures, "elapsed": result.elapsed.as_secs_f64(),
            }),
        );
        return;
    }
    let color = output.talk_color;
    let took = color.dim(&format!("({})", duration(result.elapsed.as_secs_f64())));
    match &result.status {
        Status::Succeeded => {
            let rows = result.rows.map_or_else(String::new, |rows| format!(" {} rows", grouped(rows)));
            output.talk(&format!("  {} {}{rows} {took}", color.green("✓"), result.id));
        }
        Status::Passed => output.talk(&format!("  {} {} {took}", color.green("✓"), result.id)),
        Status::Warned => output.talk(&format!("  {} {} {took}", color.yellow("!"), result.id)),
        Status::Failed | Status::Errored => output.talk(&format!("  {} {} {took}", color.red("✗"), result.id)),
        Status::Skipped { because } => {
            output.talk(&format!("  {} {} skipped, because of {because}", color.yellow("⊘"), result.id));
        }
    }
}

/// Lists findings, failures and errors apart, then counts.
pub fn summary(summary: &Summary, output: &Output) {
    if output.progress == Progress::Json {
        output.json(
            "models_finished",
            &json!({ "verdict": format!("{:?}", summary.verdict()).to_lowercase(), "problems": summary.problems,
                "elapsed": summary.elapsed.as_secs_f64() }),
        );
        return;
    }
    section(summary, "Findings that are known (severity: warn):", &|status| *status == Status::Warned, output);
    section(summary, "Failed tests:", &|status| *status == Status::Failed, output);
    section(summary, "Errors (could not be run):", &|status| *status == Status::Errored, output);
    for problem in &summary.problems {
        output.data(&format!("{} {problem}\n", output.color.red("error:")));
    }
    let built = summary.count(|status| *status == Status::Succeeded);
    let mut parts = vec![format!("{} built", plural(built, "node"))];
    for (status, what) in [
        (Status::Passed, "tests passed"),
        (Status::Warned, "warned"),
        (Status::Failed, "failed"),
        (Status::Errored, "could not be run"),
    ] {
        let count = summary.count(|one| *one == status);
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    let skipped = summary.count(|status| matches!(status, Status::Skipped { .. }));
    if skipped > 0 {
        parts.push(format!("{skipped} skipped"));
    }
    output.data(&format!("Models: {} in {}.\n", parts.join(", "), duration(summary.elapsed.as_secs_f64())));
}

fn section(summary: &Summary, title: &str, chosen: &dyn Fn(&Status) -> bool, output: &Output) {
    let mut results: Vec<&NodeResult> = summary.results.iter().filter(|result| chosen(&result.status)).collect();
    if results.is_empty() {
        return;
    }
    results.sort_by(|left, right| left.id.cmp(&right.id));
    output.data(&format!("{}\n", output.color.bold(title)));
    for result in results {
        let count = result.failures.map_or_else(String::new, |count| format!(": {}", plural(count as usize, "row")));
        output.data(&format!("  {}{count}\n", result.name));
        if let Some(message) = &result.message {
            output.data(&format!("      {}\n", message.trim().replace('\n', "\n      ")));
        }
        if let Some(sample) = &result.sample {
            output.data(&rows(sample));
        }
    }
    output.data("\n");
}

/// The first rows of a sample, one per line.
fn rows(sample: &Rows) -> String {
    let mut text = String::new();
    for row in sample.rows.iter().take(SAMPLE) {
        let cells: Vec<String> = sample
            .columns
            .iter()
            .zip(row)
            .map(|(column, value)| format!("{column}={}", value.as_deref().unwrap_or("NULL")))
            .collect();
        text.push_str(&format!("      {}\n", cells.join("  ")));
    }
    text
}
