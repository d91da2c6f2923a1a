//! Table mappings as far as they decide which tables move and what they are called afterwards.
//!
//! Selection rules with `%` and `_`, and the transformations of schema and table names. Column
//! rules and filters change what is inside a table and do not matter here.

use serde::{Deserialize, Serialize};

/// A table by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TableName {
    /// Schema.
    pub schema: String,
    /// Table.
    pub table: String,
}

impl std::fmt::Display for TableName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.schema, self.table)
    }
}

/// The rules of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mappings {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Document {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Rule {
    #[serde(rename = "rule-type")]
    kind: String,
    #[serde(rename = "rule-action", default)]
    action: String,
    #[serde(rename = "rule-target", default)]
    target: String,
    #[serde(default)]
    object_locator: Locator,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    old_value: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Locator {
    schema_name: String,
    table_name: Option<String>,
}

impl Locator {
    fn covers(&self, name: &TableName) -> bool {
        let table = self.table_name.as_deref().unwrap_or("%");
        like(&self.schema_name, &name.schema) && like(table, &name.table)
    }
}

impl Mappings {
    /// Reads the JSON document of a task. The error says what is wrong with it.
    pub fn parse(json: &str) -> Result<Self, String> {
        let document: Document = serde_json::from_str(json).map_err(|error| error.to_string())?;
        Ok(Self { rules: document.rules })
    }

    /// Whether a table is migrated: excluding rules go before including ones.
    pub fn selects(&self, name: &TableName) -> bool {
        let any = |wanted: fn(&str) -> bool| {
            self.rules
                .iter()
                .filter(|rule| rule.kind == "selection" && wanted(&rule.action))
                .any(|rule| rule.object_locator.covers(name))
        };
        any(|action| matches!(action, "include" | "explicit")) && !any(|action| action == "exclude")
    }

    /// What a table is called in the warehouse. Redshift folds names to lower case.
    pub fn target(&self, name: &TableName) -> TableName {
        let mut target = name.clone();
        for rule in self.rules.iter().filter(|rule| rule.kind == "transformation") {
            if rule.object_locator.covers(name) {
                match rule.target.as_str() {
                    "schema" => target.schema = rule.apply(&target.schema),
                    "table" => target.table = rule.apply(&target.table),
                    _ => {}
                }
            }
        }
        TableName { schema: target.schema.to_lowercase(), table: target.table.to_lowercase() }
    }
}

impl Rule {
    fn apply(&self, name: &str) -> String {
        let value = self.value.as_deref().unwrap_or_default();
        let old = self.old_value.as_deref().unwrap_or_default();
        match self.action.as_str() {
            "rename" => value.to_owned(),
            "convert-lowercase" => name.to_lowercase(),
            "convert-uppercase" => name.to_uppercase(),
            "add-prefix" => format!("{value}{name}"),
            "add-suffix" => format!("{name}{value}"),
            "remove-prefix" => name.strip_prefix(value).unwrap_or(name).to_owned(),
            "remove-suffix" => name.strip_suffix(value).unwrap_or(name).to_owned(),
            "replace-prefix" => name.strip_prefix(old).map_or(name.to_owned(), |rest| format!("{value}{rest}")),
            "replace-suffix" => name.strip_suffix(old).map_or(name.to_owned(), |rest| format!("{rest}{value}")),
            _ => name.to_owned(),
        }
    }
}

/// `%` is any text, `_` any character, `[_]` and `[%]` those characters themselves.
fn like(pattern: &str, text: &str) -> bool {
    let mut expression = String::from("(?s)^");
    let mut rest = pattern;
    while let Some(character) = rest.chars().next() {
        let escaped = ["[_]", "[%]"].into_iter().find(|escape| rest.starts_with(escape));
        let used = escaped.map_or(character.len_utf8(), str::len);
        match (escaped, character) {
            (Some(escape), _) => expression.push_str(&regex::escape(&escape[1..2])),
            (None, '%') => expression.push_str(".*"),
            (None, '_') => expression.push('.'),
            (None, character) => expression.push_str(&regex::escape(&character.to_string())),
        }
        rest = &rest[used..];
    }
    expression.push('$');
    regex::Regex::new(&expression).is_ok_and(|expression| expression.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"{"rules": [
        {"rule-type": "selection", "rule-id": "1", "rule-name": "1", "rule-action": "include",
         "object-locator": {"schema-name": "public", "table-name": "%"}, "filters": []},
        {"rule-type": "selection", "rule-id": "2", "rule-name": "2", "rule-action": "exclude",
         "object-locator": {"schema-name": "public", "table-name": "tmp[_]%"}},
        {"rule-type": "transformation", "rule-id": "3", "rule-name": "3", "rule-target": "schema",
         "rule-action": "rename", "object-locator": {"schema-name": "public"}, "value": "raw"},
        {"rule-type": "transformation", "rule-id": "4", "rule-name": "4", "rule-target": "table",
         "rule-action": "add-prefix", "object-locator": {"schema-name": "public", "table-name": "E%"}, "value": "x_"},
        {"rule-type": "transformation", "rule-id": "5", "rule-name": "5", "rule-target": "column",
         "rule-action": "remove-column", "object-locator": {"schema-name": "public", "table-name": "%", "column-name": "c"}}
    ]}"#;

    fn name(schema: &str, table: &str) -> TableName {
        TableName { schema: schema.to_owned(), table: table.to_owned() }
    }

    #[test]
    fn exclusions_go_before_inclusions_and_wildcards_are_sql_s() {
        let mappings = Mappings::parse(RULES).unwrap();
        assert!(mappings.selects(&name("public", "teams")));
        assert!(mappings.selects(&name("public", "tmpteams")));
        assert!(!mappings.selects(&name("public", "tmp_teams")));
        assert!(!mappings.selects(&name("private", "teams")));
    }

    #[test]
    fn names_in_the_warehouse_follow_the_rules_and_are_lower_case() {
        let mappings = Mappings::parse(RULES).unwrap();
        assert_eq!(mappings.target(&name("public", "teams")), name("raw", "teams"));
        assert_eq!(mappings.target(&name("public", "Events")), name("raw", "x_events"));
    }
}
