//! A node's configuration: what folders, properties and the file itself say, laid over each other.
//!
//! Keys are checked here: one that dbt does not know, or that this program would have to ignore,
//! is refused by name, because a setting that silently does nothing is worse than none.

use serde_json::{Map, Value};

use towpath_engine::diag::closest;

/// The settings of one node, by dbt's names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config(Map<String, Value>);

/// Settings that change what happens here.
const KNOWN: &[&str] = &[
    "alias",
    "bind",
    "column_types",
    "delimiter",
    "dist",
    "enabled",
    "error_if",
    "fail_calc",
    "full_refresh",
    "incremental_strategy",
    "limit",
    "materialized",
    "merge_exclude_columns",
    "merge_update_columns",
    "meta",
    "on_schema_change",
    "post_hook",
    "pre_hook",
    "quote_columns",
    "schema",
    "severity",
    "sort",
    "sort_type",
    "store_failures",
    "tags",
    "unique_key",
    "warn_if",
    "where",
];

/// Settings that are accepted because they say nothing about what is built.
const ACCEPTED: &[&str] =
    &["docs", "group", "access", "description", "query_tag", "freshness", "event_time", "loaded_at_field"];

/// Settings of dbt that are not supported, with the value that means the same as leaving them out.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("contract", r#"{"enforced":false}"#),
    ("database", "null"),
    ("grants", "{}"),
    ("incremental_predicates", "[]"),
    ("persist_docs", "{}"),
    ("sql_header", "null"),
    ("store_failures_as", "\"table\""),
    ("indexes", "[]"),
    ("unlogged", "false"),
    ("batch_size", "null"),
    ("lookback", "null"),
    ("backup", "true"),
    ("auto_refresh", "false"),
];

fn canonical(key: &str) -> String {
    match key {
        "pre-hook" => "pre_hook".to_owned(),
        "post-hook" => "post_hook".to_owned(),
        other => other.to_owned(),
    }
}

fn as_list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        Value::Null => Vec::new(),
        other => vec![other],
    }
}

impl Config {
    /// Whether `key` is the name of a setting.
    pub(super) fn is_setting(key: &str) -> bool {
        let key = canonical(key);
        KNOWN.contains(&key.as_str())
            || ACCEPTED.contains(&key.as_str())
            || UNSUPPORTED.iter().any(|(name, _)| *name == key)
    }

    /// Lays one setting over what is there: tags and hooks add up, `meta` merges, others replace.
    /// An unusable setting ends in a sentence that names it.
    pub(super) fn set(&mut self, key: &str, value: Value) -> Result<(), String> {
        let key = canonical(key);
        if let Some((_, neutral)) = UNSUPPORTED.iter().find(|(name, _)| *name == key) {
            return if value.is_null() || serde_json::from_str::<Value>(neutral).is_ok_and(|neutral| neutral == value) {
                Ok(())
            } else {
                Err(format!("the setting `{key}` is not supported"))
            };
        }
        if !KNOWN.contains(&key.as_str()) && !ACCEPTED.contains(&key.as_str()) {
            let hint = closest(&key, KNOWN.iter().copied()).map(|near| format!(" Did you mean `{near}`?"));
            let hint = hint.unwrap_or_else(|| " Settings of your own belong under `meta`.".to_owned());
            return Err(format!("there is no setting `{key}`.{hint}"));
        }
        check_value(&key, &value)?;
        match key.as_str() {
            "tags" | "pre_hook" | "post_hook" => {
                let entry = self.0.entry(key).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(present) = entry {
                    for item in as_list(value) {
                        if !present.contains(&item) {
                            present.push(item);
                        }
                    }
                }
            }
            "meta" | "column_types" => {
                let entry = self.0.entry(key).or_insert_with(|| Value::Object(Map::new()));
                if let (Value::Object(present), Value::Object(new)) = (entry, value) {
                    present.extend(new);
                }
            }
            _ => {
                self.0.insert(key, value);
            }
        }
        Ok(())
    }

    /// A setting's value; a key that is not set is looked up in `meta`, as dbt does for custom ones.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let key = canonical(key);
        self.0.get(&key).filter(|value| !value.is_null()).or_else(|| self.0.get("meta")?.get(&key))
    }

    /// A setting that is text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    /// A setting that is yes or no.
    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// A setting that is a text or a list of texts.
    pub fn texts(&self, key: &str) -> Vec<String> {
        let values = self.get(key).cloned().map(as_list).unwrap_or_default();
        values.iter().filter_map(|value| Some(value.as_str()?.to_owned())).collect()
    }

    /// Everything that is set.
    pub fn entries(&self) -> &Map<String, Value> {
        &self.0
    }
}

fn check_value(key: &str, value: &Value) -> Result<(), String> {
    let allowed: &[&str] = match key {
        "incremental_strategy" => &["append", "delete+insert", "merge"],
        "on_schema_change" => &["ignore", "fail", "append_new_columns", "sync_all_columns"],
        "sort_type" => &["compound", "interleaved"],
        "severity" => &["error", "warn"],
        "materialized" => &["view", "table", "incremental", "ephemeral", "seed", "test"],
        "enabled" | "store_failures" | "full_refresh" | "quote_columns" | "bind" => {
            let fits = value.is_boolean() || matches!(value.as_str(), Some("true" | "True" | "false" | "False"));
            return if fits || value.is_null() {
                Ok(())
            } else {
                Err(format!("`{key}` is true or false, not `{value}`"))
            };
        }
        "limit" => {
            let fits = value.is_null() || value.as_u64().is_some();
            return if fits { Ok(()) } else { Err(format!("`limit` is a whole number, not `{value}`")) };
        }
        _ => return Ok(()),
    };
    match value.as_str() {
        Some(text) if allowed.contains(&text.to_lowercase().as_str()) => Ok(()),
        None if value.is_null() => Ok(()),
        _ => Err(format!("`{key}: {value}` is not supported; it is one of {}", allowed.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tags_and_hooks_add_up_and_the_rest_is_replaced() {
        let mut config = Config::default();
        for (key, value) in [
            ("tags", json!("a")),
            ("tags", json!(["b", "a"])),
            ("materialized", json!("view")),
            ("materialized", json!("table")),
            ("pre-hook", json!("select 1")),
            ("meta", json!({"owner": "x"})),
        ] {
            config.set(key, value).unwrap();
        }
        assert_eq!(config.texts("tags"), ["a", "b"]);
        assert_eq!(config.text("materialized"), Some("table"));
        assert_eq!(config.texts("pre_hook"), ["select 1"]);
        assert_eq!(config.text("owner"), Some("x"));
    }

    #[test]
    fn a_setting_that_would_do_nothing_is_refused_by_name() {
        let mut config = Config::default();
        assert_eq!(
            config.set("materialised", json!("table")).unwrap_err(),
            "there is no setting `materialised`. Did you mean `materialized`?"
        );
        assert_eq!(
            config.set("contract", json!({"enforced": true})).unwrap_err(),
            "the setting `contract` is not supported"
        );
        assert_eq!(config.set("contract", json!({"enforced": false})), Ok(()));
        assert!(
            config
                .set("incremental_strategy", json!("microbatch"))
                .unwrap_err()
                .contains("append, delete+insert, merge")
        );
    }
}
