//! The YAML of a project as it is written: `dbt_project.yml` and the properties files.
//!
//! Every key that dbt knows is named here; any other is an error with its line. What needs
//! rendering or resolving stays as it is, `project.rs` does that.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::fault::{ModelError, Place};

/// Reads a YAML file; an empty one is the default.
pub(super) fn read<T: DeserializeOwned + Default>(file: &str, text: &str) -> Result<T, ModelError> {
    let parsed = serde_yaml::from_str::<Option<T>>(text).map_err(|error| {
        let place = match error.location() {
            Some(at) => Place { file: file.to_owned(), line: Some(at.line()), column: Some(at.column()) },
            None => Place::file(file),
        };
        let message = error.to_string();
        // The place is said once, by the place itself.
        let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
        ModelError::new(place, message)
    })?;
    Ok(parsed.unwrap_or_default())
}

/// `dbt_project.yml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct ProjectFile {
    pub(super) name: String,
    pub(super) version: Option<Value>,
    pub(super) config_version: Option<Value>,
    pub(super) profile: Option<String>,
    pub(super) model_paths: Option<Vec<String>>,
    pub(super) seed_paths: Option<Vec<String>>,
    pub(super) test_paths: Option<Vec<String>>,
    pub(super) macro_paths: Option<Vec<String>>,
    pub(super) analysis_paths: Option<Vec<String>>,
    pub(super) snapshot_paths: Option<Vec<String>>,
    pub(super) docs_paths: Option<Vec<String>>,
    pub(super) asset_paths: Option<Vec<String>>,
    pub(super) packages_install_path: Option<String>,
    pub(super) target_path: Option<String>,
    pub(super) log_path: Option<String>,
    pub(super) clean_targets: Option<Vec<String>>,
    pub(super) require_dbt_version: Option<Value>,
    pub(super) query_comment: Option<Value>,
    pub(super) flags: Option<Value>,
    #[serde(rename = "restrict-access")]
    pub(super) restrict_access: Option<bool>,
    pub(super) vars: Map<String, Value>,
    pub(super) models: Map<String, Value>,
    pub(super) seeds: Map<String, Value>,
    pub(super) tests: Map<String, Value>,
    #[serde(rename = "data_tests")]
    pub(super) data_tests: Map<String, Value>,
    pub(super) snapshots: Map<String, Value>,
    pub(super) sources: Map<String, Value>,
    pub(super) analyses: Map<String, Value>,
    pub(super) exposures: Map<String, Value>,
    pub(super) quoting: Map<String, Value>,
    pub(super) dispatch: Vec<Dispatch>,
    pub(super) on_run_start: OneOrMany,
    pub(super) on_run_end: OneOrMany,
}

/// Where a package's dispatched macros are looked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dispatch {
    pub(super) macro_namespace: String,
    pub(super) search_order: Vec<String>,
}

/// A text or a list of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    /// Nothing is written.
    #[default]
    None,
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub(super) fn list(&self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::One(one) => vec![one.clone()],
            Self::Many(many) => many.clone(),
        }
    }
}

/// A properties file (`schema.yml`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PropertiesFile {
    pub(super) version: Option<Value>,
    pub(super) models: Vec<Properties>,
    pub(super) seeds: Vec<Properties>,
    pub(super) analyses: Vec<Properties>,
    pub(super) tests: Vec<Properties>,
    pub(super) data_tests: Vec<Properties>,
    pub(super) sources: Vec<SourceProperties>,
    pub(super) macros: Vec<Value>,
    pub(super) exposures: Vec<Value>,
    pub(super) groups: Vec<Value>,
    pub(super) snapshots: Vec<Value>,
    pub(super) unit_tests: Vec<Value>,
    pub(super) metrics: Vec<Value>,
    pub(super) semantic_models: Vec<Value>,
    pub(super) saved_queries: Vec<Value>,
}

/// What is said about one model, seed, analysis or singular test.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Properties {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) config: Map<String, Value>,
    pub(super) meta: Option<Value>,
    pub(super) docs: Option<Value>,
    pub(super) tags: Option<Value>,
    pub(super) group: Option<String>,
    pub(super) access: Option<String>,
    pub(super) columns: Vec<Column>,
    pub(super) tests: Vec<Value>,
    pub(super) data_tests: Vec<Value>,
    pub(super) constraints: Vec<Value>,
    pub(super) versions: Vec<Value>,
    pub(super) latest_version: Option<Value>,
}

/// What is said about one column.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) data_type: Option<String>,
    pub(super) quote: Option<bool>,
    pub(super) config: Map<String, Value>,
    pub(super) meta: Option<Value>,
    pub(super) docs: Option<Value>,
    pub(super) tags: Option<Value>,
    pub(super) policy_tags: Option<Value>,
    pub(super) constraints: Vec<Value>,
    pub(super) tests: Vec<Value>,
    pub(super) data_tests: Vec<Value>,
}

/// A source and its tables.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SourceProperties {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) schema: Option<String>,
    pub(super) database: Option<String>,
    pub(super) loader: Option<String>,
    pub(super) loaded_at_field: Option<String>,
    pub(super) freshness: Option<Value>,
    pub(super) quoting: Option<Value>,
    pub(super) config: Map<String, Value>,
    pub(super) meta: Option<Value>,
    pub(super) tags: Option<Value>,
    pub(super) overrides: Option<String>,
    pub(super) tables: Vec<SourceTable>,
}

/// A table of a source.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SourceTable {
    pub(super) name: String,
    pub(super) identifier: Option<String>,
    pub(super) description: Option<String>,
    pub(super) loader: Option<String>,
    pub(super) loaded_at_field: Option<String>,
    pub(super) freshness: Option<Value>,
    pub(super) quoting: Option<Value>,
    pub(super) external: Option<Value>,
    pub(super) config: Map<String, Value>,
    pub(super) meta: Option<Value>,
    pub(super) tags: Option<Value>,
    pub(super) columns: Vec<Column>,
    pub(super) tests: Vec<Value>,
    pub(super) data_tests: Vec<Value>,
}

/// A generic test as written under a model, a column, a source table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TestEntry {
    /// The package of its macro, if given.
    pub(super) package: Option<String>,
    /// The macro's name without `test_`.
    pub(super) test: String,
    /// A name of the user's own.
    pub(super) name: Option<String>,
    /// Arguments but for `model` and `column_name`.
    pub(super) arguments: Map<String, Value>,
    /// Its settings.
    pub(super) config: Map<String, Value>,
}

/// Keys inside a test that are settings rather than arguments.
const TEST_SETTINGS: &[&str] = &[
    "severity",
    "warn_if",
    "error_if",
    "fail_calc",
    "where",
    "limit",
    "store_failures",
    "tags",
    "enabled",
    "meta",
    "alias",
];

/// Reads one entry of a `tests:` list; the error is a sentence.
pub(super) fn test_entry(value: &Value) -> Result<TestEntry, String> {
    let split = |name: &str| match name.split_once('.') {
        Some((package, test)) => (Some(package.to_owned()), test.to_owned()),
        None => (None, name.to_owned()),
    };
    let map = match value {
        Value::String(name) => {
            let (package, test) = split(name);
            return Ok(TestEntry { package, test, ..TestEntry::default() });
        }
        Value::Object(map) => map,
        other => return Err(format!("a test is a name or a mapping, not `{other}`")),
    };
    let (written, body) = match (map.get("test_name").and_then(Value::as_str), map.len()) {
        (Some(written), _) => (written, map.clone()),
        (None, 1) => {
            let (written, body) = map.iter().next().ok_or("an empty test")?;
            match body {
                Value::Object(body) => (written.as_str(), body.clone()),
                Value::Null => (written.as_str(), Map::new()),
                other => return Err(format!("test `{written}` takes a mapping, not `{other}`")),
            }
        }
        // dbt also takes `- not_null:` with its settings written beside it, one level too high.
        (None, _) => {
            let (written, body) = map.iter().next().ok_or("an empty test")?;
            let mut all = body.as_object().cloned().unwrap_or_default();
            all.extend(map.iter().skip(1).map(|(key, value)| (key.clone(), value.clone())));
            (written.as_str(), all)
        }
    };
    let (package, test) = split(written);
    let mut entry = TestEntry { package, test, ..TestEntry::default() };
    for (key, value) in body {
        match (key.as_str(), value) {
            ("test_name" | "column_name" | "description", _) => {}
            ("name", Value::String(name)) => entry.name = Some(name),
            ("config", Value::Object(config)) => entry.config.extend(config),
            ("arguments", Value::Object(arguments)) => entry.arguments.extend(arguments),
            (setting, value) if TEST_SETTINGS.contains(&setting) => {
                entry.config.insert(key, value);
            }
            (_, value) => {
                entry.arguments.insert(key, value);
            }
        }
    }
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mistyped_key_is_an_error_with_its_line() {
        let error = read::<PropertiesFile>("models/schema.yml", "version: 2\nmodels:\n  - name: a\n    colums: []\n")
            .unwrap_err();
        assert_eq!((error.place.file.as_str(), error.place.line), ("models/schema.yml", Some(4)));
        assert!(error.message.contains("unknown field `colums`"), "{error}");
    }

    #[test]
    fn tests_are_read_in_every_form_dbt_allows() {
        assert_eq!(test_entry(&json!("unique")).unwrap().test, "unique");
        let entry =
            test_entry(&json!({"accepted_values": {"values": ["a"], "severity": "warn", "name": "mine"}})).unwrap();
        assert_eq!((entry.test.as_str(), entry.name.as_deref()), ("accepted_values", Some("mine")));
        assert_eq!(
            (entry.arguments["values"].clone(), entry.config["severity"].clone()),
            (json!(["a"]), json!("warn"))
        );
        let entry = test_entry(
            &json!({"dbt_utils.equality": {"arguments": {"compare_model": "ref('b')"}, "config": {"where": "x"}}}),
        )
        .unwrap();
        assert_eq!((entry.package.as_deref(), entry.test.as_str()), (Some("dbt_utils"), "equality"));
        assert_eq!(
            (entry.arguments["compare_model"].clone(), entry.config["where"].clone()),
            (json!("ref('b')"), json!("x"))
        );
    }
}
