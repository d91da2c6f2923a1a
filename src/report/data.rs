//! The data plane's events as lines, bars and JSON: upload, migration, comparison.

use serde_json::json;

use super::output::{Output, Progress};
use super::style::{duration, grouped, plural};
use crate::migrate::{End, MigrateEvent, Migrated, Outcome, Severity, Start};
use crate::upload::{Outcome as Upload, UploadEvent};
use crate::validate::{Difference, TableReport, Verdict};

/// Shows what happens to one CSV file.
pub fn upload(event: &UploadEvent, output: &Output) {
    if output.progress == Progress::Json {
        output.json("upload", &serde_json::to_value(event).unwrap_or_default());
        return;
    }
    let color = output.talk_color;
    match event {
        UploadEvent::FileChecked { table, columns, rows, bytes } => {
            let types: Vec<String> =
                columns.iter().map(|column| format!("{} {}", column.name, column.type_name)).collect();
            output.talk(&format!(
                "  {table}: {} ({})",
                plural(usize::try_from(*rows).unwrap_or(usize::MAX), "row"),
                types.join(", ")
            ));
            output.bar(table, table, Some(*bytes));
        }
        UploadEvent::FileProgressed { table, sent, .. } => output.advance(table, *sent),
        UploadEvent::FileUploaded(done) => {
            output.finish(&done.table);
            let what = match done.outcome {
                Upload::Loaded => format!("{} rows loaded", grouped(done.rows)),
                Upload::Unchanged => format!("unchanged, {} rows", grouped(done.rows)),
            };
            output.talk(&format!("  {} {} {what}", color.green("✓"), done.table));
        }
    }
}

/// The bar of a task that does not run yet.
const STATUS: &str = "status";

/// Shows what happens during a migration.
pub fn migrate(event: &MigrateEvent, output: &Output) {
    if output.progress == Progress::Json {
        output.json("migrate", &serde_json::to_value(event).unwrap_or_default());
        return;
    }
    let color = output.talk_color;
    let end = |end: &End| match end {
        End::Source => "source",
        End::Target => "target",
    };
    match event {
        MigrateEvent::PreflightFinished { findings, tables } => {
            output.talk(&format!("  {} {} selected", color.green("✓"), plural(*tables, "table")));
            for finding in findings {
                let mark = if finding.severity == Severity::Blocks { color.red("✗") } else { color.yellow("!") };
                output.talk(&format!("  {mark} {finding}"));
            }
        }
        MigrateEvent::ConnectionTestStarted { end: which } => {
            let key = format!("test {}", end(which));
            output.bar(&key, &format!("testing the connection to the {}", end(which)), None);
        }
        MigrateEvent::ConnectionTestSucceeded { end: which } => {
            output.finish(&format!("test {}", end(which)));
            output.talk(&format!("  {} the replication instance reaches the {}", color.green("✓"), end(which)));
        }
        MigrateEvent::StartDecided(start) => output.talk(&match start {
            Start::Nothing => "  Every table is there and none changed since.".to_owned(),
            Start::Join => "  The task is running already; watching it.".to_owned(),
            Start::Task { reason, .. } => format!("  Starting the task: {reason}"),
            Start::Tables(tables) => format!("  Reloading {} while changes go on", plural(tables.len(), "table")),
        }),
        MigrateEvent::StatusChanged { status } if status == "running" => output.finish(STATUS),
        MigrateEvent::StatusChanged { status } => {
            output.bar(STATUS, &format!("the task is on its way: {}", status.replace('_', " ")), None);
        }
        MigrateEvent::LoadProgressed { tables } => {
            for table in tables.iter().filter(|table| table.rows > 0 || table.state == "Full load") {
                let key = table.name.to_string();
                output.bar(&key, &key, table.expected_rows);
                output.advance(&key, table.rows);
            }
        }
        MigrateEvent::TableFinished { table } => {
            output.finish(&table.name.to_string());
            let good = table.state == "Table completed";
            let rate =
                table.rows_per_second.map_or_else(String::new, |rate| format!(", {} rows/s", grouped(rate as u64)));
            let mark = if good { color.green("✓") } else { color.red("✗") };
            output.talk(&format!(
                "  {mark} {} {} rows{rate}{}",
                table.name,
                grouped(table.rows),
                if good { String::new() } else { format!(" ({})", table.state) }
            ));
        }
        MigrateEvent::TaskResumed { reason } => {
            output.talk(&format!("  {} resumed after: {reason}", color.yellow("↻")));
        }
        MigrateEvent::TableCounted(count) => {
            if !count.is_same() {
                output.talk(&format!("  {} {count}", color.yellow("!")));
            }
        }
    }
}

/// Says how a migration ended.
pub fn migrated(done: &Migrated, seconds: f64, output: &Output) {
    output.json("migrated", &serde_json::to_value(done).unwrap_or_default());
    let rows: u64 = done.counts.iter().filter_map(|count| count.target_rows).sum();
    let counted = format!(
        "{}, {} rows in the warehouse, the same as in the source",
        plural(done.counts.len(), "table"),
        grouped(rows)
    );
    output.talk(&match done.outcome {
        Outcome::Unchanged => format!("Nothing to migrate: {counted}."),
        Outcome::Loaded => format!("Migrated in {}: {counted}.", duration(seconds)),
        Outcome::Replicating => format!("Loaded in {}; changes are being replicated.", duration(seconds)),
    });
}

/// Shows the verdict on one table.
pub fn compared(report: &TableReport, output: &Output) {
    output.json("compared", &serde_json::to_value(report).unwrap_or_default());
    let color = output.color;
    let name = format!("{}.{}", report.pair.source.0, report.pair.source.1);
    let rows = report.source_rows.map_or_else(String::new, |rows| format!(" {} rows", grouped(rows)));
    match &report.verdict {
        Verdict::Same => output.data(&format!("  {} {name}{rows}, the same on both sides\n", color.green("✓"))),
        Verdict::CannotCompare(why) => {
            output.data(&format!("  {} {name} cannot be compared: {why}\n", color.yellow("!")));
        }
        Verdict::Differs => {
            let target = report.target_rows.map_or_else(|| "absent".to_owned(), grouped);
            output.data(&format!(
                "  {} {name} differs: {rows} in the source, {target} in the warehouse\n",
                color.red("✗")
            ));
            for column in report.columns.iter().filter(|column| column.verdict != Verdict::Same) {
                output.data(&format!("      column {}: {}\n", column.name, json!(column.verdict)));
            }
            for row in &report.rows {
                let key: Vec<&str> = row.key.iter().map(|part| part.as_deref().unwrap_or("NULL")).collect();
                let what = match row.difference {
                    Difference::OnlyInSource => "only in the source",
                    Difference::OnlyInTarget => "only in the warehouse",
                    Difference::Changed => "other values",
                    Difference::Duplicated => "more than once",
                };
                output.data(&format!("      row {}: {what}\n", key.join(", ")));
            }
            if report.more_rows {
                output.data("      and more rows\n");
            }
        }
    }
}
