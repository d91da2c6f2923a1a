//! Settings of PostgreSQL sources and Redshift targets, and extra connection attributes.
//!
//! One flat block in the stack file whose keys are DMS's own in snake case; which of them an engine
//! knows is checked. Only what is declared is ever sent: DMS merges, and a zero that nobody wrote
//! would change behaviour.

use std::collections::BTreeMap;

use aws_sdk_databasemigration::types::{
    DatabaseMode, EncryptionModeValue, LongVarcharMappingType, PluginNameValue, PostgreSqlAuthenticationMethod,
    PostgreSqlSettings, RedshiftSettings,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use towpath_engine::diag::closest;
use towpath_engine::value::Value;

/// Behaviour of an endpoint beyond where it is and who may enter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// SQL run right after connecting. Both engines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_connect_script: Option<String>,
    /// Largest CSV file in KB: 32,768 for PostgreSQL, 1,048,576 for Redshift unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_file_size: Option<i32>,
    /// Whether booleans stay booleans. Must be set on both endpoints, or they arrive as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map_boolean_as_boolean: Option<bool>,

    /// PostgreSQL: whether schema changes are captured, which puts a table and a trigger on the
    /// source. AWS's default is `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture_ddls: Option<bool>,
    /// PostgreSQL: the schema of those capture objects. Default: `public`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ddl_artifacts_schema: Option<String>,
    /// PostgreSQL: seconds after which a statement is given up. Default: 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execute_timeout: Option<i32>,
    /// PostgreSQL: whether a task fails rather than cut large objects short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_tasks_on_lob_truncation: Option<bool>,
    /// PostgreSQL: whether DMS writes a heartbeat, so that an idle slot does not hold back WAL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_enable: Option<bool>,
    /// PostgreSQL: the schema of the heartbeat's objects. Default: `public`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_schema: Option<String>,
    /// PostgreSQL: minutes between heartbeats. Default: 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_frequency: Option<i32>,
    /// PostgreSQL: a replication slot made beforehand; only together with a CDC start position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot_name: Option<String>,
    /// PostgreSQL: the decoding plugin: `no-preference`, `test-decoding` or `pglogical`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["no-preference", "test-decoding", "pglogical"]))]
    pub plugin_name: Option<String>,
    /// PostgreSQL: whether trailing spaces of `char` columns are removed. Default: `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trim_space_in_char: Option<bool>,
    /// PostgreSQL: whether `jsonb` is a large object rather than text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map_jsonb_as_clob: Option<bool>,
    /// PostgreSQL: what long text becomes: `wstring`, `clob` or `nclob`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["wstring", "clob", "nclob"]))]
    pub map_long_varchar_as: Option<String>,
    /// PostgreSQL: `default` or `babelfish`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["default", "babelfish"]))]
    pub database_mode: Option<String>,
    /// PostgreSQL: the Babelfish database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub babelfish_database_name: Option<String>,
    /// PostgreSQL: whether characters that Unicode does not define pass unfiltered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_unicode_source_filter: Option<bool>,
    /// PostgreSQL: `password` or `iam` (then `role` may connect to the RDS database).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["password", "iam"]))]
    pub authentication_method: Option<String>,

    /// Redshift: whether any date format is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_any_date: Option<bool>,
    /// Redshift: whether table and column names keep their case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case_sensitive_names: Option<bool>,
    /// Redshift: whether compression is analysed when an empty table is loaded. Default: `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comp_update: Option<bool>,
    /// Redshift: milliseconds to wait for a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_timeout: Option<i32>,
    /// Redshift: the format of dates, or `auto`. Default: `YYYY-MM-DD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_format: Option<String>,
    /// Redshift: whether empty text becomes NULL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_as_null: Option<bool>,
    /// Redshift: encryption of the intermediate files: `sse-s3` or `sse-kms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["sse-s3", "sse-kms"]))]
    pub encryption_mode: Option<String>,
    /// Redshift: whether values of identity columns are loaded as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explicit_ids: Option<bool>,
    /// Redshift: parallel uploads of one file, 1 to 64. Default: 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub file_transfer_upload_streams: Option<i32>,
    /// Redshift: milliseconds after which COPY, INSERT, UPDATE and DELETE are given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_timeout: Option<i32>,
    /// Redshift: whether surrounding quotes are removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_quotes: Option<bool>,
    /// Redshift: characters to replace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replace_invalid_chars: Option<String>,
    /// Redshift: what replaces them. Default: `?`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replace_chars: Option<String>,
    /// Redshift: the key of `sse-kms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_encryption_kms_key_id: Option<String>,
    /// Redshift: the format of times, or `auto`, `epochsecs`, `epochmillisecs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_format: Option<String>,
    /// Redshift: whether trailing blanks are removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trim_blanks: Option<bool>,
    /// Redshift: whether text is cut to the width of its column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncate_columns: Option<bool>,
    /// Redshift: size of the write buffer in KB. Default: 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_buffer_size: Option<i32>,
}

const BOTH: [&str; 3] = ["after_connect_script", "max_file_size", "map_boolean_as_boolean"];

const POSTGRES: [&str; 16] = [
    "authentication_method",
    "babelfish_database_name",
    "capture_ddls",
    "database_mode",
    "ddl_artifacts_schema",
    "disable_unicode_source_filter",
    "execute_timeout",
    "fail_tasks_on_lob_truncation",
    "heartbeat_enable",
    "heartbeat_frequency",
    "heartbeat_schema",
    "map_jsonb_as_clob",
    "map_long_varchar_as",
    "plugin_name",
    "slot_name",
    "trim_space_in_char",
];

const REDSHIFT: [&str; 18] = [
    "accept_any_date",
    "case_sensitive_names",
    "comp_update",
    "connection_timeout",
    "date_format",
    "empty_as_null",
    "encryption_mode",
    "explicit_ids",
    "file_transfer_upload_streams",
    "load_timeout",
    "remove_quotes",
    "replace_chars",
    "replace_invalid_chars",
    "server_side_encryption_kms_key_id",
    "time_format",
    "trim_blanks",
    "truncate_columns",
    "write_buffer_size",
];

/// Copies members of the same name and type between a settings block and the SDK's.
macro_rules! copy {
    ($from:expr => $to:expr; $($field:ident),+ $(,)?) => { $( $to.$field.clone_from(&$from.$field); )+ };
}

impl Settings {
    /// The names of all settings.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        BOTH.into_iter().chain(POSTGRES).chain(REDSHIFT)
    }

    /// The settings of a source, onto what is there already.
    pub(super) fn write_postgres(&self, target: &mut PostgreSqlSettings) {
        copy!(self => target; after_connect_script, max_file_size, map_boolean_as_boolean, capture_ddls,
            ddl_artifacts_schema, execute_timeout, fail_tasks_on_lob_truncation, heartbeat_enable, heartbeat_schema,
            heartbeat_frequency, slot_name, trim_space_in_char, map_jsonb_as_clob, babelfish_database_name,
            disable_unicode_source_filter);
        target.plugin_name = self.plugin_name.as_deref().map(PluginNameValue::from);
        target.map_long_varchar_as = self.map_long_varchar_as.as_deref().map(LongVarcharMappingType::from);
        target.database_mode = self.database_mode.as_deref().map(DatabaseMode::from);
        target.authentication_method = self.authentication_method.as_deref().map(PostgreSqlAuthenticationMethod::from);
    }

    /// The settings of a target, onto what is there already.
    pub(super) fn write_redshift(&self, target: &mut RedshiftSettings) {
        copy!(self => target; after_connect_script, max_file_size, map_boolean_as_boolean, accept_any_date,
            case_sensitive_names, comp_update, connection_timeout, date_format, empty_as_null, explicit_ids,
            file_transfer_upload_streams, load_timeout, remove_quotes, replace_invalid_chars, replace_chars,
            server_side_encryption_kms_key_id, time_format, trim_blanks, truncate_columns, write_buffer_size);
        target.encryption_mode = self.encryption_mode.as_deref().map(EncryptionModeValue::from);
    }

    /// The live settings of a source.
    pub(super) fn of_postgres(live: &PostgreSqlSettings) -> Self {
        let mut settings = Self::default();
        copy!(live => settings; after_connect_script, max_file_size, map_boolean_as_boolean, capture_ddls,
            ddl_artifacts_schema, execute_timeout, fail_tasks_on_lob_truncation, heartbeat_enable, heartbeat_schema,
            heartbeat_frequency, slot_name, trim_space_in_char, map_jsonb_as_clob, babelfish_database_name,
            disable_unicode_source_filter);
        settings.plugin_name = live.plugin_name.as_ref().map(|value| value.as_str().to_owned());
        settings.map_long_varchar_as = live.map_long_varchar_as.as_ref().map(|value| value.as_str().to_owned());
        settings.database_mode = live.database_mode.as_ref().map(|value| value.as_str().to_owned());
        settings.authentication_method = live.authentication_method.as_ref().map(|value| value.as_str().to_owned());
        settings
    }

    /// The live settings of a target. The mode of encryption has two spellings on AWS's side.
    pub(super) fn of_redshift(live: &RedshiftSettings) -> Self {
        let mut settings = Self::default();
        copy!(live => settings; after_connect_script, max_file_size, map_boolean_as_boolean, accept_any_date,
            case_sensitive_names, comp_update, connection_timeout, date_format, empty_as_null, explicit_ids,
            file_transfer_upload_streams, load_timeout, remove_quotes, replace_invalid_chars, replace_chars,
            server_side_encryption_kms_key_id, time_format, trim_blanks, truncate_columns, write_buffer_size);
        settings.encryption_mode =
            live.encryption_mode.as_ref().map(|value| value.as_str().to_lowercase().replace('_', "-"));
        settings
    }

    /// Settings that the engine does not have.
    pub(super) fn check(&self, is_redshift: bool) -> Vec<(String, String)> {
        let Value::Object(declared) = super::dms_common::state(self) else { return Vec::new() };
        let engine = if is_redshift { "a Redshift target" } else { "a PostgreSQL source" };
        let other = if is_redshift { "PostgreSQL sources" } else { "Redshift targets" };
        let belongs = |key: &str| BOTH.contains(&key) || POSTGRES.contains(&key) != is_redshift;
        let mut mistakes: Vec<(String, String)> = declared
            .keys()
            .filter(|key| !belongs(key))
            .map(|key| (format!("settings.{key}"), format!("`{key}` is a setting of {other}, and this is {engine}")))
            .collect();
        let choices: [(&str, Option<&String>, &[&str]); 5] = [
            ("plugin_name", self.plugin_name.as_ref(), &["no-preference", "test-decoding", "pglogical"]),
            ("map_long_varchar_as", self.map_long_varchar_as.as_ref(), &["wstring", "clob", "nclob"]),
            ("database_mode", self.database_mode.as_ref(), &["default", "babelfish"]),
            ("authentication_method", self.authentication_method.as_ref(), &["password", "iam"]),
            ("encryption_mode", self.encryption_mode.as_ref(), &["sse-s3", "sse-kms"]),
        ];
        for (key, value, allowed) in choices {
            let Some(value) = value.filter(|value| !allowed.contains(&value.as_str())) else { continue };
            let hint = closest(value, allowed.iter().copied()).map(|word| format!("; did you mean `{word}`?"));
            let text = format!("`{value}` is none of {}{}", allowed.join(", "), hint.unwrap_or_default());
            mistakes.push((format!("settings.{key}"), text));
        }
        mistakes
    }
}

/// Reads `key=value;key2=value2`.
pub(super) fn parse_attributes(text: &str) -> BTreeMap<String, String> {
    text.split(';')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .filter(|(key, _)| !key.is_empty())
        .collect()
}

/// Writes `key=value;key2=value2`; an empty map clears the attributes.
pub(super) fn write_attributes(attributes: &BTreeMap<String, String>) -> String {
    attributes.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_connection_attributes_survive_a_round_trip() {
        let attributes = parse_attributes("pluginName=test_decoding; captureDDLs=N;;executeTimeout=100");
        assert_eq!(attributes.len(), 3);
        assert_eq!(attributes["captureDDLs"], "N");
        assert_eq!(parse_attributes(&write_attributes(&attributes)), attributes);
        assert_eq!(write_attributes(&BTreeMap::new()), "");
    }

    #[test]
    fn every_setting_is_on_a_list() {
        let schema = schemars::schema_for!(Settings).to_value();
        let mut fields: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut names: Vec<&str> = Settings::names().collect();
        fields.sort_unstable();
        names.sort_unstable();
        assert_eq!(names, fields);
    }

    #[test]
    fn nothing_undeclared_is_written() {
        let mut sdk = RedshiftSettings::builder().build();
        Settings { truncate_columns: Some(true), ..Settings::default() }.write_redshift(&mut sdk);
        assert_eq!(sdk, RedshiftSettings::builder().truncate_columns(true).build());
    }

    #[test]
    fn both_spellings_of_the_encryption_mode_are_one() {
        let live = RedshiftSettings::builder().encryption_mode("SSE_S3".into()).build();
        assert_eq!(Settings::of_redshift(&live).encryption_mode.as_deref(), Some("sse-s3"));
    }

    #[test]
    fn settings_read_back_as_they_were_written() {
        let settings = Settings {
            plugin_name: Some("test-decoding".to_owned()),
            heartbeat_enable: Some(true),
            heartbeat_frequency: Some(3),
            ..Settings::default()
        };
        let mut sdk = PostgreSqlSettings::builder().build();
        settings.write_postgres(&mut sdk);
        assert_eq!(Settings::of_postgres(&sdk), settings);
    }

    #[test]
    fn a_setting_of_the_other_engine_is_a_mistake() {
        let settings = Settings {
            comp_update: Some(true),
            max_file_size: Some(1),
            plugin_name: Some("pglogic".to_owned()),
            ..Settings::default()
        };
        let found = settings.check(false);
        assert_eq!(found[0].1, "`comp_update` is a setting of Redshift targets, and this is a PostgreSQL source");
        assert!(found[1].1.ends_with("did you mean `pglogical`?"), "{found:?}");
        assert_eq!(found.len(), 2);
    }
}
