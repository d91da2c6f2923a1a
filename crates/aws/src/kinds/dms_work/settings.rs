//! The settings document of a replication task or serverless replication, brought to the form in which declared and live
//! settings are compared.
//!
//! DMS answers with a fully expanded document whose keys depend on its engine version, so only
//! declared keys are ever compared (the field compares as a subset); this file takes away what
//! differs without meaning anything.

use serde_json::json;
use towpath_engine::diag::closest;
use towpath_engine::value::{Map, Value};

/// The sections DMS knows (user guide, "Specifying task settings").
const SECTIONS: [&str; 16] = [
    "BeforeImageSettings",
    "ChangeProcessingDdlHandlingPolicy",
    "ChangeProcessingTuning",
    "CharacterSetSettings",
    "ControlTablesSettings",
    "ErrorBehavior",
    "FailTaskWhenCleanTaskResourceFailed",
    "FullLoadSettings",
    "Logging",
    "LoopbackPreventionSettings",
    "PostProcessingRules",
    "ResyncSettings",
    "StreamBufferSettings",
    "TTSettings",
    "TargetMetadata",
    "ValidationSettings",
];

/// Numbers with a largest value, and the smallest (user guide, "Full-load task settings": "The default is 8; the maximum value is
/// 49"; "The default value is 10000, and the maximum value is 50000").
const NUMBERS: [(&str, &str, u64, u64); 2] =
    [("FullLoadSettings", "MaxFullLoadSubTasks", 1, 49), ("FullLoadSettings", "CommitRate", 1, 50_000)];

/// What may be done with a table on the target before it is loaded (the same page).
const PREPARATIONS: [&str; 3] = ["DO_NOTHING", "DROP_AND_CREATE", "TRUNCATE_BEFORE_LOAD"];

/// Parses text, drops nulls and what the service sets by itself, makes components a map by id,
/// and folds the two spellings of the history slot into one.
pub(super) fn normalise(settings: &Value) -> Value {
    let parsed = match settings {
        Value::String(text) => serde_json::from_str(text).unwrap_or(Value::Null),
        other => other.clone(),
    };
    let Value::Object(mut document) = without_nulls(parsed) else { return json!({}) };
    if let Some(Value::Object(logging)) = document.get_mut("Logging") {
        logging.remove("CloudWatchLogGroup");
        logging.remove("CloudWatchLogStream");
        if logging.get("EnableLogging").is_some_and(|value| !is_true(value)) {
            logging.remove("EnableLogContext");
        }
        if let Some(Value::Array(components)) = logging.get("LogComponents") {
            let by_id: Map = components
                .iter()
                .filter_map(|component| Some((component["Id"].as_str()?.to_owned(), component["Severity"].clone())))
                .collect();
            logging.insert("LogComponents".to_owned(), Value::Object(by_id));
        }
    }
    if let Some(Value::Object(tables)) = document.get_mut("ControlTablesSettings")
        && let Some(slot) = tables.remove("historyTimeslotInMinutes")
    {
        tables.entry("HistoryTimeslotInMinutes").or_insert(slot);
    }
    Value::Object(document)
}

/// A compared document as a stack file says it: components are a list again, as DMS takes them.
pub(super) fn written(mut document: Value) -> Value {
    if let Some(Value::Object(components)) = document.pointer("/Logging/LogComponents").cloned() {
        let component = |(id, severity): (String, Value)| json!({ "Id": id, "Severity": severity });
        document["Logging"]["LogComponents"] = components.into_iter().map(component).collect();
    }
    document
}

/// The document to send: as declared, without what DMS rejects on input.
pub(super) fn to_send(settings: &Map) -> String {
    let mut document = settings.clone();
    if let Some(Value::Object(logging)) = document.get_mut("Logging") {
        logging.remove("CloudWatchLogGroup");
        logging.remove("CloudWatchLogStream");
    }
    Value::Object(document).to_string()
}

/// Mistakes that DMS would only find when the task is made.
pub(super) fn check(settings: &Map) -> Vec<(String, String)> {
    let mut mistakes = Vec::new();
    for (section, value) in settings {
        if !SECTIONS.contains(&section.as_str()) {
            let hint = closest(section, SECTIONS).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            mistakes.push((format!("settings.{section}"), format!("DMS has no settings section `{section}`{hint}")));
        } else if !value.is_object() && !value.is_null() && section.ends_with("Settings") {
            mistakes.push((format!("settings.{section}"), format!("`{section}` is a block of settings")));
        }
    }
    let value = |section: &str, key: &str| settings.get(section).and_then(|section| section.get(key)).cloned();
    for (section, key, least, most) in NUMBERS {
        let Some(given) = value(section, key).filter(|given| !given.is_null()) else { continue };
        let number = given.as_u64().or_else(|| given.as_str()?.parse().ok());
        if number.is_none_or(|number| !(least..=most).contains(&number)) {
            mistakes.push((format!("settings.{section}.{key}"), format!("`{key}` is a number from {least} to {most}")));
        }
    }
    if let Some(Value::String(word)) = value("FullLoadSettings", "TargetTablePrepMode")
        && !PREPARATIONS.contains(&word.as_str())
    {
        let known = PREPARATIONS.join("`, `");
        mistakes.push((
            "settings.FullLoadSettings.TargetTablePrepMode".to_owned(),
            format!("`{word}` is none of `{known}`"),
        ));
    }
    let logging = &settings.get("Logging").cloned().unwrap_or_default();
    if logging.get("EnableLogContext").is_some_and(is_true) && !logging.get("EnableLogging").is_some_and(is_true) {
        mistakes.push((
            "settings.Logging.EnableLogContext".to_owned(),
            "`EnableLogContext` needs `EnableLogging: true`".to_owned(),
        ));
    }
    mistakes
}

fn is_true(value: &Value) -> bool {
    value == &Value::Bool(true) || value.as_str() == Some("true")
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter().filter(|(_, item)| !item.is_null()).map(|(key, item)| (key, without_nulls(item))).collect(),
        ),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        Value::String(text) if text == "true" => Value::Bool(true),
        Value::String(text) if text == "false" => Value::Bool(false),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_adds_to_a_declared_section_has_one_form() {
        let live = json!(
            r#"{"Logging":{"EnableLogging":true,"CloudWatchLogGroup":"dms-tasks-x","CloudWatchLogStream":null,
            "LogComponents":[{"Id":"TARGET_LOAD","Severity":"LOGGER_SEVERITY_DEFAULT"},{"Id":"IO","Severity":"x"}]},
            "ControlTablesSettings":{"historyTimeslotInMinutes":5,"HistoryTimeslotInMinutes":5},
            "TTSettings":null}"#
        );
        assert_eq!(
            normalise(&live),
            json!({
                "Logging": { "EnableLogging": true,
                    "LogComponents": { "TARGET_LOAD": "LOGGER_SEVERITY_DEFAULT", "IO": "x" } },
                "ControlTablesSettings": { "HistoryTimeslotInMinutes": 5 },
            })
        );
        assert_eq!(normalise(&normalise(&live)), normalise(&live), "it is idempotent");
    }

    /// DMS Serverless answers with the same document in `ReplicationSettings`, as text with what it adds.
    #[test]
    fn the_settings_of_a_serverless_replication_have_the_same_form() {
        use towpath_engine::diff;
        use towpath_engine::kind::Compare;
        let live = json!(
            r#"{"Logging":{"EnableLogging":true,"CloudWatchLogGroup":"dms-serverless-replication-x",
            "CloudWatchLogStream":"dms-serverless-serv-res-id-1","LogComponents":[{"Id":"IO","Severity":"b"},
            {"Id":"SORTER","Severity":"a"}]},"FullLoadSettings":{"MaxFullLoadSubTasks":8,"CommitRate":10000},
            "ControlTablesSettings":{"historyTimeslotInMinutes":5},"TTSettings":null}"#
        );
        let declared = json!({
            "Logging": { "EnableLogging": "true", "CloudWatchLogGroup": "mine",
                "LogComponents": [{ "Id": "SORTER", "Severity": "a" }, { "Id": "IO", "Severity": "b" }] },
            "FullLoadSettings": { "MaxFullLoadSubTasks": "8" },
            "ControlTablesSettings": { "HistoryTimeslotInMinutes": 5 },
        });
        assert!(diff::equal(Compare::Subset, &normalise(&declared), &normalise(&live)));
        let other = json!({ "FullLoadSettings": { "CommitRate": 5000 } });
        assert!(!diff::equal(Compare::Subset, &normalise(&other), &normalise(&live)));
    }

    #[test]
    fn log_context_counts_only_while_logging_is_on() {
        let declared = normalise(&json!({ "Logging": { "EnableLogging": false, "EnableLogContext": true } }));
        assert_eq!(declared, json!({ "Logging": { "EnableLogging": false } }));
    }

    #[test]
    fn unknown_sections_and_log_context_without_logging_are_mistakes() {
        let settings = json!({ "FullLoadSetting": {}, "Logging": { "EnableLogContext": true } });
        let found = check(settings.as_object().unwrap());
        assert_eq!(found.len(), 2);
        assert!(found[0].1.ends_with("did you mean `FullLoadSettings`?"), "{}", found[0].1);
    }

    // "The default is 8; the maximum value is 49", "the maximum value is 50000" (DMS user guide, "Full-load task settings").
    #[test]
    fn numbers_and_words_of_the_full_load_that_dms_does_not_take_are_mistakes() {
        let fields = |load: Value| {
            let settings = json!({ "FullLoadSettings": load });
            check(settings.as_object().unwrap()).into_iter().map(|(field, _)| field).collect::<Vec<_>>()
        };
        let path = |key: &str| vec![format!("settings.FullLoadSettings.{key}")];
        for (key, good, bad) in [
            ("MaxFullLoadSubTasks", json!([1, "49"]), json!([0, 50, "many", -1])),
            ("CommitRate", json!([1, "50000"]), json!([50_001, "0"])),
            (
                "TargetTablePrepMode",
                json!(["DO_NOTHING", "DROP_AND_CREATE", "TRUNCATE_BEFORE_LOAD"]),
                json!(["NOTHING"]),
            ),
        ] {
            for value in good.as_array().unwrap() {
                assert_eq!(fields(json!({ key: value })), Vec::<String>::new(), "{key}: {value}");
            }
            for value in bad.as_array().unwrap() {
                assert_eq!(fields(json!({ key: value })), path(key), "{key}: {value}");
            }
        }
    }

    #[test]
    fn log_group_and_stream_are_never_sent() {
        let settings = json!({ "Logging": { "EnableLogging": true, "CloudWatchLogGroup": "x" } });
        assert_eq!(to_send(settings.as_object().unwrap()), r#"{"Logging":{"EnableLogging":true}}"#);
    }
}
