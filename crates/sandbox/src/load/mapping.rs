//! Table mappings of a replication task: which tables are chosen, and under which names and shapes they arrive.
//!
//! Rules follow "Using table mapping to specify task settings" of the DMS user guide. An action that the sandbox does
//! not perform is an error when the mapping is read, never silently skipped.

use std::collections::BTreeSet;

use serde::Deserialize;

/// The rules of one task.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Mappings {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::struct_field_names, reason = "the names of the document")]
struct Rule {
    rule_type: String,
    #[serde(default)]
    rule_id: serde_json::Value,
    #[serde(default)]
    rule_action: String,
    #[serde(default)]
    rule_target: String,
    object_locator: Locator,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    old_value: Option<String>,
    #[serde(default)]
    expression: Option<String>,
    #[serde(default)]
    data_type: Option<DataType>,
    #[serde(default)]
    load_order: Option<serde_json::Value>,
    #[serde(default)]
    filters: Vec<Filter>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Locator {
    schema_name: Option<String>,
    table_name: Option<String>,
    column_name: Option<String>,
    table_type: Option<String>,
}

/// The type a rule gives to a column.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct DataType {
    /// DMS's own name: `string`, `int8`, `datetime` ...
    #[serde(rename = "type")]
    pub(crate) name: String,
    #[serde(default)]
    length: Option<serde_json::Value>,
    #[serde(default)]
    precision: Option<serde_json::Value>,
    #[serde(default)]
    scale: Option<serde_json::Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Filter {
    column_name: String,
    filter_conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Condition {
    filter_operator: String,
    value: Option<serde_json::Value>,
    start_value: Option<serde_json::Value>,
    end_value: Option<serde_json::Value>,
}

/// What a chosen table becomes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice {
    /// The schema on the target.
    pub(crate) schema: String,
    /// The table on the target.
    pub(crate) table: String,
    /// Higher loads first.
    pub(crate) load_order: i64,
    /// A SQL condition on the source, when the rule has filters.
    pub(crate) condition: Option<String>,
}

/// What a column becomes.
#[derive(Debug, Clone)]
pub(crate) struct ColumnChoice {
    /// The name on the target.
    pub(crate) name: String,
    /// The type a rule demands.
    pub(crate) data_type: Option<DataType>,
}

/// A column that a rule adds.
#[derive(Debug, Clone)]
pub(crate) struct AddedColumn {
    /// The name on the target.
    pub(crate) name: String,
    /// The rule's expression.
    pub(crate) expression: String,
    /// Its type.
    pub(crate) data_type: DataType,
}

const SELECTIONS: [&str; 3] = ["include", "exclude", "explicit"];
const TRANSFORMATIONS: [&str; 13] = [
    "rename",
    "remove-column",
    "include-column",
    "add-column",
    "convert-lowercase",
    "convert-uppercase",
    "add-prefix",
    "remove-prefix",
    "replace-prefix",
    "add-suffix",
    "remove-suffix",
    "replace-suffix",
    "change-data-type",
];

impl Mappings {
    /// Reads the JSON document of a task.
    ///
    /// # Errors
    /// What is wrong with it, as one sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mappings: Self =
            serde_json::from_str(text).map_err(|error| format!("Error in mapping rules. Error: {error}"))?;
        let mut ids = BTreeSet::new();
        for rule in &mappings.rules {
            // "A unique numeric value to identify the rule" (DMS user guide, "Selection rules and actions").
            if !rule.rule_id.is_null() && !ids.insert(rule.id()) {
                return Err(format!("Error in mapping rules. The ruleId = {} is not unique.", rule.id()));
            }
            let known = match rule.rule_type.as_str() {
                "selection" => SELECTIONS.contains(&rule.rule_action.as_str()),
                "transformation" => TRANSFORMATIONS.contains(&rule.rule_action.as_str()),
                "table-settings" => true,
                _ => false,
            };
            if !known {
                return Err(format!(
                    "Error in mapping rules. Rule with ruleId = {} failed validation. Rule type '{}' with action '{}' is not supported.",
                    rule.id(),
                    rule.rule_type,
                    rule.rule_action
                ));
            }
        }
        if !mappings.rules.iter().any(|rule| rule.rule_type == "selection" && rule.rule_action != "exclude") {
            return Err(
                "Error in mapping rules. At least one selection rule with the action include is required.".to_owned()
            );
        }
        Ok(mappings)
    }

    /// What a source table becomes; `None` when no rule chooses it. `is_view`: views need a rule that asks for them.
    pub(crate) fn choose(&self, schema: &str, table: &str, is_view: bool) -> Option<Choice> {
        let mut chosen: Option<&Rule> = None;
        for rule in self.rules.iter().filter(|rule| rule.rule_type == "selection" && rule.covers(schema, table, None)) {
            match rule.rule_action.as_str() {
                "exclude" => return None,
                _ if is_view != rule.wants_views_only() && !(rule.wants_all()) => {}
                _ => chosen = chosen.or(Some(rule)),
            }
        }
        let rule = chosen?;
        let mut names = (schema.to_owned(), table.to_owned());
        for rule in self.transformations("schema", schema, table, None) {
            names.0 = rule.renamed(&names.0);
        }
        for rule in self.transformations("table", schema, table, None) {
            names.1 = rule.renamed(&names.1);
        }
        let conditions: Vec<String> = rule.filters.iter().filter_map(Filter::condition).collect();
        Some(Choice {
            schema: names.0,
            table: names.1,
            load_order: rule.load_order.as_ref().and_then(whole_number).unwrap_or(0),
            condition: (!conditions.is_empty()).then(|| conditions.join(" AND ")),
        })
    }

    /// What a column of a chosen table becomes; `None` when a rule removes it.
    pub(crate) fn choose_column(&self, schema: &str, table: &str, column: &str) -> Option<ColumnChoice> {
        let mut choice = ColumnChoice { name: column.to_owned(), data_type: None };
        let includes: Vec<_> = self
            .transformations("column", schema, table, None)
            .filter(|rule| rule.rule_action == "include-column")
            .collect();
        if !includes.is_empty() && !includes.iter().any(|rule| rule.covers(schema, table, Some(column))) {
            return None;
        }
        for rule in self.transformations("column", schema, table, Some(column)) {
            match rule.rule_action.as_str() {
                "remove-column" => return None,
                "change-data-type" => choice.data_type.clone_from(&rule.data_type),
                "add-column" | "include-column" => {}
                _ => choice.name = rule.renamed(&choice.name),
            }
        }
        Some(choice)
    }

    /// Columns that rules add to a chosen table.
    pub(crate) fn added_columns(&self, schema: &str, table: &str) -> Vec<AddedColumn> {
        self.transformations("column", schema, table, None)
            .filter(|rule| rule.rule_action == "add-column")
            .filter_map(|rule| {
                Some(AddedColumn {
                    name: rule.value.clone()?,
                    expression: rule.expression.clone()?,
                    data_type: rule.data_type.clone().unwrap_or(DataType {
                        name: "string".to_owned(),
                        length: Some(50.into()),
                        precision: None,
                        scale: None,
                    }),
                })
            })
            .collect()
    }

    fn transformations(
        &self,
        target: &str,
        schema: &str,
        table: &str,
        column: Option<&str>,
    ) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| {
            rule.rule_type == "transformation" && rule.rule_target == target && rule.covers(schema, table, column)
        })
    }
}

impl Rule {
    fn id(&self) -> String {
        self.rule_id.as_str().map_or_else(|| self.rule_id.to_string(), str::to_owned)
    }

    fn covers(&self, schema: &str, table: &str, column: Option<&str>) -> bool {
        let fits = |pattern: &Option<String>, name: &str| {
            pattern.as_ref().is_none_or(|pattern| {
                if self.rule_action == "explicit" { pattern == name } else { matches(pattern, name) }
            })
        };
        fits(&self.object_locator.schema_name, schema)
            && fits(&self.object_locator.table_name, table)
            && column.is_none_or(|column| fits(&self.object_locator.column_name, column))
    }

    fn wants_views_only(&self) -> bool {
        self.object_locator.table_type.as_deref() == Some("view")
    }

    fn wants_all(&self) -> bool {
        self.object_locator.table_type.as_deref() == Some("all")
    }

    fn renamed(&self, name: &str) -> String {
        let value = self.value.as_deref().unwrap_or_default();
        let old = self.old_value.as_deref().unwrap_or_default();
        match self.rule_action.as_str() {
            "rename" => value.to_owned(),
            "convert-lowercase" => name.to_lowercase(),
            "convert-uppercase" => name.to_uppercase(),
            "add-prefix" => format!("{value}{name}"),
            "add-suffix" => format!("{name}{value}"),
            "remove-prefix" => name.strip_prefix(value).unwrap_or(name).to_owned(),
            "remove-suffix" => name.strip_suffix(value).unwrap_or(name).to_owned(),
            "replace-prefix" => name.strip_prefix(old).map_or_else(|| name.to_owned(), |rest| format!("{value}{rest}")),
            "replace-suffix" => name.strip_suffix(old).map_or_else(|| name.to_owned(), |rest| format!("{rest}{value}")),
            _ => name.to_owned(),
        }
    }
}

impl Filter {
    /// Conditions of one filter are alternatives; `None` when it has none.
    fn condition(&self) -> Option<String> {
        let column = quoted(&self.column_name);
        let parts: Vec<String> = self
            .filter_conditions
            .iter()
            .map(|condition| {
                let value = literal(condition.value.as_ref());
                let (start, end) = (literal(condition.start_value.as_ref()), literal(condition.end_value.as_ref()));
                match condition.filter_operator.as_str() {
                    "eq" => format!("{column} = {value}"),
                    "noteq" => format!("{column} <> {value}"),
                    "gte" => format!("{column} >= {value}"),
                    "lte" | "ste" => format!("{column} <= {value}"),
                    "between" => format!("{column} BETWEEN {start} AND {end}"),
                    "notbetween" => format!("{column} NOT BETWEEN {start} AND {end}"),
                    "null" => format!("{column} IS NULL"),
                    _ => format!("{column} IS NOT NULL"),
                }
            })
            .collect();
        (!parts.is_empty()).then(|| format!("({})", parts.join(" OR ")))
    }
}

impl DataType {
    /// The type on the warehouse.
    pub(crate) fn on_target(&self) -> String {
        let number = |value: &Option<serde_json::Value>| value.as_ref().and_then(whole_number);
        match self.name.as_str() {
            "int1" | "int2" | "uint1" => "smallint".to_owned(),
            "int4" | "uint2" => "integer".to_owned(),
            "int8" | "uint4" => "bigint".to_owned(),
            "uint8" => "numeric(20,0)".to_owned(),
            "numeric" => {
                format!("numeric({},{})", number(&self.precision).unwrap_or(28), number(&self.scale).unwrap_or(6))
            }
            "real4" => "real".to_owned(),
            "real8" => "double precision".to_owned(),
            "date" => "date".to_owned(),
            "datetime" => "timestamp without time zone".to_owned(),
            "boolean" => "boolean".to_owned(),
            _ => format!("character varying({})", number(&self.length).unwrap_or(256).clamp(1, 65_535)),
        }
    }
}

/// A JSON number, or a number written as text, as DMS accepts both.
fn whole_number(value: &serde_json::Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn literal(value: Option<&serde_json::Value>) -> String {
    let text = match value {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    format!("'{}'", text.replace('\'', "''"))
}

/// An identifier in double quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Whether a name fits a pattern of `%` (anything), `_` (one character) and `[abc]` (one of these).
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    fn fits(pattern: &[char], name: &[char]) -> bool {
        match pattern.first() {
            None => name.is_empty(),
            Some('%') => (0..=name.len()).any(|skip| fits(&pattern[1..], &name[skip..])),
            Some('_') => !name.is_empty() && fits(&pattern[1..], &name[1..]),
            Some('[') if pattern.contains(&']') => {
                let end = pattern.iter().position(|&c| c == ']').unwrap_or(pattern.len() - 1);
                name.first().is_some_and(|c| pattern[1..end].contains(c)) && fits(&pattern[end + 1..], &name[1..])
            }
            Some(c) => name.first() == Some(c) && fits(&pattern[1..], &name[1..]),
        }
    }
    fits(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &serde_json::Value) -> Mappings {
        Mappings::parse(&serde_json::json!({ "rules": text }).to_string()).unwrap()
    }

    fn selection(action: &str, table: &str) -> serde_json::Value {
        serde_json::json!({"rule-type": "selection", "rule-id": format!("{action} {table}"), "rule-action": action, "object-locator": {"schema-name": "public", "table-name": table}})
    }

    #[test]
    fn an_excluded_table_stays_out_although_an_include_covers_it() {
        let mappings = rules(&serde_json::json!([selection("include", "%"), selection("exclude", "tmp%")]));
        assert!(mappings.choose("public", "events", false).is_some());
        assert!(mappings.choose("public", "tmp_x", false).is_none());
        assert!(mappings.choose("other", "events", false).is_none());
        assert!(mappings.choose("public", "a_view", true).is_none());
    }

    #[test]
    fn names_change_schema_first_then_table_then_column() {
        let mappings = rules(&serde_json::json!([
            selection("include", "%"),
            {"rule-type": "transformation", "rule-id": "2", "rule-action": "rename", "rule-target": "schema", "object-locator": {"schema-name": "public"}, "value": "raw"},
            {"rule-type": "transformation", "rule-id": "3", "rule-action": "add-prefix", "rule-target": "table", "object-locator": {"schema-name": "public", "table-name": "%"}, "value": "src_"},
            {"rule-type": "transformation", "rule-id": "4", "rule-action": "remove-column", "rule-target": "column", "object-locator": {"schema-name": "public", "table-name": "%", "column-name": "secret"}},
        ]));
        let choice = mappings.choose("public", "events", false).unwrap();
        assert_eq!((choice.schema.as_str(), choice.table.as_str()), ("raw", "src_events"));
        assert!(mappings.choose_column("public", "events", "secret").is_none());
        assert_eq!(mappings.choose_column("public", "events", "id").unwrap().name, "id");
    }

    #[test]
    fn filters_are_joined_by_and_and_their_conditions_by_or() {
        let mut rule = selection("include", "events");
        rule["filters"] = serde_json::json!([
            {"filter-type": "source", "column-name": "id", "filter-conditions": [{"filter-operator": "eq", "value": "1"}, {"filter-operator": "gte", "value": 5}]},
            {"filter-type": "source", "column-name": "s", "filter-conditions": [{"filter-operator": "notnull"}]},
        ]);
        let choice = rules(&serde_json::json!([rule])).choose("public", "events", false).unwrap();
        assert_eq!(choice.condition.unwrap(), "(\"id\" = '1' OR \"id\" >= '5') AND (\"s\" IS NOT NULL)");
    }

    #[test]
    fn a_mapping_without_a_selection_or_with_an_unknown_action_is_refused() {
        assert!(Mappings::parse(r#"{"rules": []}"#).is_err());
        assert!(Mappings::parse("{").is_err());
        let text = serde_json::json!({"rules": [selection("include", "%"), selection("shuffle", "%")]}).to_string();
        assert!(Mappings::parse(&text).unwrap_err().contains("shuffle"));
    }

    // "A unique numeric value to identify the rule" (DMS user guide, "Selection rules and actions").
    #[test]
    fn two_rules_of_one_id_are_refused() {
        let text = serde_json::json!({"rules": [selection("include", "%"), selection("include", "%")]}).to_string();
        assert!(Mappings::parse(&text).unwrap_err().contains("not unique"));
    }
}
