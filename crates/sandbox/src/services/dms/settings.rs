//! Task settings: the document DMS gives back, declared values over the defaults of engine 3.5.4.

use serde_json::{Map, Value, json};

const LOG_COMPONENTS: [&str; 19] = [
    "TRANSFORMATION",
    "SOURCE_UNLOAD",
    "IO",
    "TARGET_LOAD",
    "PERFORMANCE",
    "SOURCE_CAPTURE",
    "SORTER",
    "REST_SERVER",
    "VALIDATOR_EXT",
    "TARGET_APPLY",
    "TASK_MANAGER",
    "TABLES_MANAGER",
    "METADATA_MANAGER",
    "FILE_FACTORY",
    "COMMON",
    "ADDONS",
    "DATA_STRUCTURE",
    "COMMUNICATION",
    "FILE_TRANSFER",
];

fn defaults() -> Value {
    let components: Vec<Value> =
        LOG_COMPONENTS.iter().map(|id| json!({"Id": id, "Severity": "LOGGER_SEVERITY_DEFAULT"})).collect();
    json!({
        "TargetMetadata": {
            "TargetSchema": "", "SupportLobs": true, "FullLobMode": false, "LobChunkSize": 64, "LimitedSizeLobMode": true, "LobMaxSize": 32,
            "InlineLobMaxSize": 0, "LoadMaxFileSize": 0, "ParallelLoadThreads": 0, "ParallelLoadBufferSize": 0, "ParallelLoadQueuesPerThread": 0,
            "ParallelApplyThreads": 0, "ParallelApplyBufferSize": 0, "ParallelApplyQueuesPerThread": 0, "BatchApplyEnabled": false,
            "TaskRecoveryTableEnabled": false,
        },
        "FullLoadSettings": {
            "TargetTablePrepMode": "DROP_AND_CREATE", "CreatePkAfterFullLoad": false, "StopTaskCachedChangesApplied": false,
            "StopTaskCachedChangesNotApplied": false, "MaxFullLoadSubTasks": 8, "TransactionConsistencyTimeout": 600, "CommitRate": 10000,
        },
        "Logging": {"EnableLogging": false, "EnableLogContext": false, "LogComponents": components, "CloudWatchLogGroup": null, "CloudWatchLogStream": null},
        "ControlTablesSettings": {
            "ControlSchema": "", "historyTimeslotInMinutes": 5, "HistoryTimeslotInMinutes": 5, "HistoryTableEnabled": false, "StatusTableEnabled": false,
            "SuspendedTablesTableEnabled": false, "FullLoadExceptionTableEnabled": false,
        },
        "StreamBufferSettings": {"StreamBufferCount": 3, "StreamBufferSizeInMB": 8, "CtrlStreamBufferSizeInMB": 5},
        "ChangeProcessingDdlHandlingPolicy": {"HandleSourceTableDropped": true, "HandleSourceTableTruncated": true, "HandleSourceTableAltered": true},
        "ErrorBehavior": {
            "DataErrorPolicy": "LOG_ERROR", "DataTruncationErrorPolicy": "LOG_ERROR", "DataMaskingErrorPolicy": "STOP_TASK",
            "DataErrorEscalationPolicy": "SUSPEND_TABLE", "DataErrorEscalationCount": 0, "EventErrorPolicy": "IGNORE", "TableErrorPolicy": "SUSPEND_TABLE",
            "TableErrorEscalationPolicy": "STOP_TASK", "TableErrorEscalationCount": 0, "RecoverableErrorCount": -1, "RecoverableErrorInterval": 5,
            "RecoverableErrorThrottling": true, "RecoverableErrorThrottlingMax": 1800, "RecoverableErrorStopRetryAfterThrottlingMax": true,
            "ApplyErrorDeletePolicy": "IGNORE_RECORD", "ApplyErrorInsertPolicy": "LOG_ERROR", "ApplyErrorUpdatePolicy": "LOG_ERROR",
            "ApplyErrorEscalationPolicy": "LOG_ERROR", "ApplyErrorEscalationCount": 0, "ApplyErrorFailOnTruncationDdl": false,
            "FullLoadIgnoreConflicts": true, "FailOnTransactionConsistencyBreached": false, "FailOnNoTablesCaptured": true,
        },
        "ChangeProcessingTuning": {
            "BatchApplyPreserveTransaction": true, "BatchApplyTimeoutMin": 1, "BatchApplyTimeoutMax": 30, "BatchApplyMemoryLimit": 500, "BatchSplitSize": 0,
            "MinTransactionSize": 1000, "CommitTimeout": 1, "MemoryLimitTotal": 1024, "MemoryKeepTime": 60, "StatementCacheSize": 50, "RecoveryTimeout": -1,
        },
        "TTSettings": null, "BeforeImageSettings": null, "LoopbackPreventionSettings": null, "CharacterSetSettings": null, "PostProcessingRules": null,
        "FailTaskWhenCleanTaskResourceFailed": false,
    })
}

const PREPARATIONS: [&str; 3] = ["DO_NOTHING", "DROP_AND_CREATE", "TRUNCATE_BEFORE_LOAD"];

/// Reads the declared document. "The default is 8; the maximum value is 49"; "The default value is 10000, and the maximum value is
/// 50000" (DMS user guide, "Full-load task settings").
///
/// # Errors
/// What is wrong with it, as one sentence.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let declared: Value =
        serde_json::from_str(text).map_err(|error| format!("Task Settings document error: Invalid json: {error}"))?;
    if !declared.is_object() {
        return Err("Task Settings document error: Invalid json: the document must be an object".to_owned());
    }
    let logging = &declared["Logging"];
    if ["CloudWatchLogGroup", "CloudWatchLogStream"].iter().any(|member| logging[*member].is_string()) {
        return Err(
            "Task Settings CloudWatchLogGroup or CloudWatchLogStream cannot be set on create or modify.".to_owned()
        );
    }
    let load = &declared["FullLoadSettings"];
    for (member, most) in [("MaxFullLoadSubTasks", 49), ("CommitRate", 50_000)] {
        let given = &load[member];
        let number = given.as_u64().or_else(|| given.as_str()?.parse().ok());
        if !given.is_null() && number.is_none_or(|number| !(1..=most).contains(&number)) {
            return Err(format!("Task Settings document error: {member} must be between 1 and {most}."));
        }
    }
    if load["TargetTablePrepMode"].as_str().is_some_and(|mode| !PREPARATIONS.contains(&mode)) {
        return Err("Task Settings document error: Invalid TargetTablePrepMode.".to_owned());
    }
    if logging["EnableLogContext"] == json!(true) && logging["EnableLogging"] != json!(true) {
        return Err("Task Settings document error: EnableLogContext needs EnableLogging.".to_owned());
    }
    Ok(declared)
}

/// The full document: the declared one over the defaults.
pub(super) fn expanded(declared: &Value) -> Value {
    let mut full = defaults();
    merge(&mut full, declared);
    full
}

/// Puts `over` onto `base`: objects member by member, log components by their id, everything else whole.
pub(super) fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(base), Value::Array(over)) if over.iter().any(|item| item.get("Severity").is_some()) => {
            for item in over {
                match base.iter_mut().find(|old| old["Id"] == item["Id"]) {
                    Some(old) => old.clone_from(item),
                    None => base.push(item.clone()),
                }
            }
        }
        (base, over) => base.clone_from(over),
    }
}

/// Settings of an endpoint as they are read back: defaults under the declared ones.
pub(super) fn endpoint_defaults(engine: &str) -> Map<String, Value> {
    let settings = if engine.starts_with("redshift") {
        json!({
            "AcceptAnyDate": false, "CompUpdate": true, "EmptyAsNull": false, "EncryptionMode": "sse-s3", "ExplicitIds": false,
            "FileTransferUploadStreams": 10, "MaxFileSize": 1_048_576, "RemoveQuotes": false, "TrimBlanks": false, "TruncateColumns": false,
            "WriteBufferSize": 1000, "CaseSensitiveNames": false, "MapBooleanAsBoolean": false,
        })
    } else {
        json!({
            "CaptureDdls": true, "MaxFileSize": 32_768, "ExecuteTimeout": 60, "FailTasksOnLobTruncation": false, "HeartbeatEnable": false,
            "HeartbeatSchema": "public", "HeartbeatFrequency": 5, "DdlArtifactsSchema": "public", "TrimSpaceInChar": true, "MapBooleanAsBoolean": false,
            "MapJsonbAsClob": false, "MapLongVarcharAs": "wstring", "DatabaseMode": "default", "DisableUnicodeSourceFilter": false,
        })
    };
    settings.as_object().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_settings_lie_over_the_defaults_key_by_key() {
        let declared = parse(r#"{"FullLoadSettings": {"MaxFullLoadSubTasks": 4}, "Logging": {"LogComponents": [{"Id": "IO", "Severity": "LOGGER_SEVERITY_DEBUG"}]}}"#).unwrap();
        let full = expanded(&declared);
        assert_eq!(full["FullLoadSettings"]["MaxFullLoadSubTasks"], 4);
        assert_eq!(full["FullLoadSettings"]["CommitRate"], 10000);
        let components = full["Logging"]["LogComponents"].as_array().unwrap();
        assert_eq!(components.len(), 19);
        assert!(components.contains(&json!({"Id": "IO", "Severity": "LOGGER_SEVERITY_DEBUG"})));
    }

    #[test]
    fn log_groups_cannot_be_sent() {
        assert!(parse(r#"{"Logging": {"CloudWatchLogGroup": "x"}}"#).is_err());
        assert!(parse("[]").is_err());
    }

    // "the maximum value is 49", "the maximum value is 50000" (DMS user guide, "Full-load task settings").
    #[test]
    fn settings_of_the_full_load_keep_within_their_limits() {
        let load = |text: &str| parse(&format!(r#"{{"FullLoadSettings": {{{text}}}}}"#));
        for good in
            [r#""MaxFullLoadSubTasks": 49"#, r#""CommitRate": "50000""#, r#""TargetTablePrepMode": "DO_NOTHING""#]
        {
            assert!(load(good).is_ok(), "{good}");
        }
        for bad in [r#""MaxFullLoadSubTasks": 50"#, r#""CommitRate": 50001"#, r#""TargetTablePrepMode": "NONE""#] {
            assert!(load(bad).is_err(), "{bad}");
        }
    }
}
