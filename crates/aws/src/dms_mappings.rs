//! Table mappings of a DMS task: written from the short form of the stack file, brought to one form
//! for comparison, and read to know which tables a task carries and what they are called on the
//! target.
//!
//! Pure functions over JSON; the rules are those of the DMS user guide, "Using table mapping to
//! specify task settings". Expressions of added columns are passed on as they are.
//!
//! Long because the examples that each rule is held to stand beside it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::value::Value;

/// Which tables of one schema are carried, and how they are changed on the way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableRule {
    /// The source schema; `%` and `_` are wildcards, names are case sensitive.
    pub schema: String,
    /// Tables to carry, with wildcards. Default: `["%"]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<String>>,
    /// Tables to leave out although they are included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Vec<String>>,
    /// What to carry: `table` (the default), `view` or `all`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub table_type: Option<TableType>,
    /// Tables with a higher number are loaded first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_order: Option<u32>,
    /// Row filters; a row must pass every one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filters: Option<Vec<RowFilter>>,
    /// The schema's name on the target. Redshift refuses names that begin with `_`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename_schema: Option<String>,
    /// Names on the target by source table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename_tables: Option<BTreeMap<String, String>>,
    /// Columns to leave out, by source table (wildcards allowed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_columns: Option<BTreeMap<String, Vec<String>>>,
    /// Columns to add to every included table, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add_columns: Option<BTreeMap<String, AddedColumn>>,
    /// Whether schema, table and column names are written in lower or upper case on the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub convert_case: Option<LetterCase>,
    /// Tables to load in parallel segments, by exact name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_load: Option<BTreeMap<String, Ranges>>,
}

/// What a selection rule picks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TableType {
    /// Tables only.
    Table,
    /// Views only (full load only).
    View,
    /// Both.
    All,
}

/// A case to which names are converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LetterCase {
    /// Small letters.
    Lower,
    /// Capital letters.
    Upper,
}

/// A filter on one column. Filter only on columns that never change: change data capture does not
/// see a row move in or out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowFilter {
    /// The column.
    pub column: String,
    /// A row passes if any of these holds.
    pub any: Vec<Condition>,
}

/// One condition of a filter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// How the column is compared.
    pub operator: Operator,
    /// The value, for all operators but `between`, `notbetween`, `null` and `notnull`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The first value of a range, inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The last value of a range, inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// The comparisons DMS knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are DMS's own words")]
pub enum Operator {
    Eq,
    NotEq,
    Gte,
    Lte,
    Between,
    NotBetween,
    Null,
    NotNull,
}

/// A column that DMS computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddedColumn {
    /// An expression of the DMS user guide, e.g. `$AR_H_COMMIT_TIMESTAMP`.
    pub expression: String,
    /// The DMS data type: `string`, `datetime`, `int8`, …
    #[serde(rename = "type")]
    pub data_type: String,
    /// Length of strings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u32>,
    /// Digits of numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<u32>,
    /// Digits after the point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<u32>,
}

/// The segments of a parallel load. Rows with NULL in a boundary column are not loaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ranges {
    /// The columns of the boundaries, at most ten, none of them floating point or large objects.
    pub columns: Vec<String>,
    /// Upper boundaries in ascending order, one value per column each.
    pub boundaries: Vec<Vec<String>>,
}

/// The mapping rules of `tables`, in DMS's own form (the list under `rules`).
pub fn compile(tables: &[TableRule]) -> Vec<Value> {
    let mut rules = Vec::new();
    for table in tables {
        selections(table, &mut rules);
    }
    for table in tables {
        transformations(table, &mut rules);
        parallel_loads(table, &mut rules);
    }
    for (index, rule) in rules.iter_mut().enumerate() {
        let id = (index + 1).to_string();
        rule["rule-id"] = json!(id);
        rule["rule-name"] = json!(id);
    }
    rules
}

fn selections(table: &TableRule, rules: &mut Vec<Value>) {
    let everything = vec!["%".to_owned()];
    for name in table.include.as_ref().unwrap_or(&everything) {
        let mut locator = json!({ "schema-name": table.schema, "table-name": name });
        if let Some(kind) = table.table_type {
            locator["table-type"] = json!(kind);
        }
        let filters: Vec<Value> = table.filters.iter().flatten().map(filter).collect();
        let mut rule = json!({
            "rule-type": "selection", "rule-action": "include", "object-locator": locator, "filters": filters,
        });
        if let Some(order) = table.load_order {
            rule["load-order"] = json!(order.to_string());
        }
        rules.push(rule);
    }
    for name in table.exclude.iter().flatten() {
        rules.push(json!({
            "rule-type": "selection", "rule-action": "exclude",
            "object-locator": { "schema-name": table.schema, "table-name": name }, "filters": [],
        }));
    }
}

fn filter(filter: &RowFilter) -> Value {
    let conditions: Vec<Value> = filter
        .any
        .iter()
        .map(|condition| {
            let mut written = json!({ "filter-operator": condition.operator });
            for (key, value) in
                [("value", &condition.value), ("start-value", &condition.from), ("end-value", &condition.to)]
            {
                if let Some(value) = value {
                    written[key] = json!(value);
                }
            }
            written
        })
        .collect();
    json!({ "filter-type": "source", "column-name": filter.column, "filter-conditions": conditions })
}

fn transformations(table: &TableRule, rules: &mut Vec<Value>) {
    let schema = &table.schema;
    for (name, columns) in table.remove_columns.iter().flatten() {
        rules.extend(columns.iter().map(|column| {
            transformation(
                "column",
                "remove-column",
                &json!({
                    "schema-name": schema, "table-name": name, "column-name": column,
                }),
            )
        }));
    }
    for (name, column) in table.add_columns.iter().flatten() {
        let mut data_type = json!({ "type": column.data_type });
        for (key, number) in [("length", column.length), ("precision", column.precision), ("scale", column.scale)] {
            if let Some(number) = number {
                data_type[key] = json!(number.to_string());
            }
        }
        let mut rule = transformation("column", "add-column", &json!({ "schema-name": schema, "table-name": "%" }));
        rule["value"] = json!(name);
        rule["expression"] = json!(column.expression);
        rule["data-type"] = data_type;
        rules.push(rule);
    }
    for (name, new) in table.rename_tables.iter().flatten() {
        let mut rule = transformation("table", "rename", &json!({ "schema-name": schema, "table-name": name }));
        rule["value"] = json!(new);
        rules.push(rule);
    }
    if let Some(new) = &table.rename_schema {
        let mut rule = transformation("schema", "rename", &json!({ "schema-name": schema }));
        rule["value"] = json!(new);
        rules.push(rule);
    }
    if let Some(case) = table.convert_case {
        let action = match case {
            LetterCase::Lower => "convert-lowercase",
            LetterCase::Upper => "convert-uppercase",
        };
        rules.push(transformation("schema", action, &json!({ "schema-name": schema })));
        rules.push(transformation("table", action, &json!({ "schema-name": schema, "table-name": "%" })));
        let columns = json!({ "schema-name": schema, "table-name": "%", "column-name": "%" });
        rules.push(transformation("column", action, &columns));
    }
}

fn transformation(target: &str, action: &str, locator: &Value) -> Value {
    json!({
        "rule-type": "transformation", "rule-target": target, "rule-action": action, "object-locator": locator,
    })
}

fn parallel_loads(table: &TableRule, rules: &mut Vec<Value>) {
    for (name, ranges) in table.parallel_load.iter().flatten() {
        rules.push(json!({
            "rule-type": "table-settings",
            "object-locator": { "schema-name": table.schema, "table-name": name },
            "parallel-load": { "type": "ranges", "columns": ranges.columns, "boundaries": ranges.boundaries },
        }));
    }
}

/// The rules in the one form in which they are compared: sorted by id, numbers as text, without
/// the fields that DMS fills in by itself.
pub fn canonical(mappings: &Value) -> Vec<Value> {
    let parsed = match mappings {
        Value::String(text) => serde_json::from_str(text).unwrap_or(Value::Null),
        other => other.clone(),
    };
    let rules = parsed.get("rules").cloned().unwrap_or(parsed);
    let mut rules: Vec<Value> = match rules {
        Value::Array(rules) => rules.into_iter().map(canonical_rule).collect(),
        _ => Vec::new(),
    };
    rules.sort_by_key(|rule| {
        let id = rule["rule-id"].as_str().unwrap_or_default().to_owned();
        (id.parse::<u64>().unwrap_or(u64::MAX), id)
    });
    rules
}

/// The rules as far as they mean something: selections select the same in any order and under any id
/// or name, and tables are what they select unless they say otherwise. Transformations keep their
/// order, because the first that fits wins. Source: DMS user guide, "Specifying table selection and
/// transformations rules using JSON".
pub fn meaning(mappings: &Value) -> Vec<Value> {
    let (mut unordered, ordered): (Vec<Value>, Vec<Value>) =
        canonical(mappings).into_iter().map(unnamed).partition(|rule| rule["rule-type"] != "transformation");
    unordered.sort_by_cached_key(Value::to_string);
    unordered.extend(ordered);
    unordered
}

fn unnamed(mut rule: Value) -> Value {
    if let Some(map) = rule.as_object_mut() {
        map.retain(|key, _| key != "rule-id" && key != "rule-name");
    }
    if let Some(locator) = rule.get_mut("object-locator").and_then(Value::as_object_mut)
        && locator.get("table-type").is_some_and(|kind| kind == "table")
    {
        locator.remove("table-type");
    }
    rule
}

fn canonical_rule(rule: Value) -> Value {
    let mut rule = numbers_as_text(rule);
    if let Some(map) = rule.as_object_mut() {
        map.retain(|key, value| {
            !(value.is_null()
                || key == "filters" && value.as_array().is_some_and(Vec::is_empty)
                || key == "load-order" && value == "0")
        });
        if map.get("rule-name") == map.get("rule-id") {
            map.remove("rule-name");
        }
        map.sort_keys();
    }
    rule
}

fn numbers_as_text(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::String(number.to_string()),
        Value::Array(items) => items.into_iter().map(numbers_as_text).collect(),
        Value::Object(map) => {
            let mut map: towpath_engine::value::Map =
                map.into_iter().map(|(key, item)| (key, numbers_as_text(item))).collect();
            map.sort_keys();
            Value::Object(map)
        }
        other => other,
    }
}

/// Whether a task with these mappings carries the table: some rule includes it and none excludes it.
pub fn selects(mappings: &Value, schema: &str, table: &str) -> bool {
    let mut included = false;
    for rule in canonical(mappings).iter().filter(|rule| rule["rule-type"] == "selection") {
        if locates(rule, schema, Some(table)) {
            match rule["rule-action"].as_str() {
                Some("include" | "explicit") => included = true,
                Some("exclude") => return false,
                _ => {}
            }
        }
    }
    included
}

/// What schema and table are called on the target. Rules are applied in the order of their ids,
/// each against the source's names, at most one renaming per object.
pub fn target_name(mappings: &Value, schema: &str, table: &str) -> (String, String) {
    let rules = canonical(mappings);
    let renamed = |target: &str, name: &str, table: Option<&str>| {
        rules
            .iter()
            .filter(|rule| rule["rule-type"] == "transformation" && rule["rule-target"] == target)
            .filter(|rule| locates(rule, schema, table))
            .find_map(|rule| rename(rule, name))
            .unwrap_or_else(|| name.to_owned())
    };
    (renamed("schema", schema, None), renamed("table", table, Some(table)))
}

fn rename(rule: &Value, name: &str) -> Option<String> {
    let value = rule["value"].as_str().unwrap_or_default();
    let old = rule["old-value"].as_str().unwrap_or_default();
    Some(match rule["rule-action"].as_str()? {
        "rename" => value.to_owned(),
        "convert-lowercase" => name.to_lowercase(),
        "convert-uppercase" => name.to_uppercase(),
        "add-prefix" => format!("{value}{name}"),
        "add-suffix" => format!("{name}{value}"),
        "remove-prefix" => name.strip_prefix(value).unwrap_or(name).to_owned(),
        "remove-suffix" => name.strip_suffix(value).unwrap_or(name).to_owned(),
        "replace-prefix" => name.strip_prefix(old).map_or_else(|| name.to_owned(), |rest| format!("{value}{rest}")),
        "replace-suffix" => name.strip_suffix(old).map_or_else(|| name.to_owned(), |rest| format!("{rest}{value}")),
        _ => return None,
    })
}

fn locates(rule: &Value, schema: &str, table: Option<&str>) -> bool {
    let locator = &rule["object-locator"];
    let matches = |key: &str, name: &str| locator[key].as_str().is_none_or(|pattern| like(pattern, name));
    matches("schema-name", schema) && table.is_none_or(|table| matches("table-name", table))
}

/// SQL `LIKE` with `%` and `_`, which is how DMS matches names.
fn like(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for letter in pattern {
        if letter == '%' {
            for at in 1..=name.len() {
                reached[at] = reached[at] || reached[at - 1];
            }
        } else {
            for at in (1..=name.len()).rev() {
                reached[at] = reached[at - 1] && (letter == '_' || letter == name[at - 1]);
            }
            reached[0] = false;
        }
    }
    reached[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(value: Value) -> Vec<TableRule> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_schema_with_exclusions_becomes_selection_rules_with_unique_ids() {
        let rules = compile(&tables(json!([
            { "schema": "public", "exclude": ["tmp_%"], "rename_schema": "club" },
            { "schema": "audit", "include": ["log"], "load_order": 5 },
        ])));
        let short: Vec<String> = rules
            .iter()
            .map(|rule| {
                let locator = &rule["object-locator"];
                format!(
                    "{} {} {}.{}",
                    rule["rule-id"].as_str().unwrap(),
                    rule["rule-action"].as_str().unwrap(),
                    locator["schema-name"].as_str().unwrap(),
                    locator["table-name"].as_str().unwrap_or("-")
                )
            })
            .collect();
        assert_eq!(short, ["1 include public.%", "2 exclude public.tmp_%", "3 include audit.log", "4 rename public.-"]);
        assert_eq!(rules[2]["load-order"], "5");
        assert_eq!(rules[3]["value"], "club");
    }

    #[test]
    fn filters_and_ranges_keep_dms_spelling() {
        let rules = compile(&tables(json!([{
            "schema": "public", "include": ["events"],
            "filters": [{ "column": "id", "any": [{ "operator": "between", "from": "1", "to": "9" }] }],
            "parallel_load": { "events": { "columns": ["id"], "boundaries": [["100"], ["200"]] } },
        }])));
        assert_eq!(
            rules[0]["filters"][0]["filter-conditions"][0],
            json!({ "filter-operator": "between", "start-value": "1", "end-value": "9" })
        );
        assert_eq!(rules[1]["parallel-load"]["boundaries"], json!([["100"], ["200"]]));
    }

    #[test]
    fn what_the_service_fills_in_is_no_difference() {
        let declared = json!({ "rules": [
            { "rule-type": "selection", "rule-id": 2, "rule-action": "include",
              "object-locator": { "schema-name": "b", "table-name": "%" } },
            { "rule-type": "selection", "rule-id": 1, "rule-action": "include",
              "object-locator": { "schema-name": "a", "table-name": "%" } },
        ] });
        let live = json!(
            r#"{"rules":[
            {"rule-id":"1","rule-name":"1","rule-type":"selection","rule-action":"include","load-order":"0",
             "object-locator":{"table-name":"%","schema-name":"a"},"filters":[]},
            {"rule-id":"2","rule-name":"2","rule-type":"selection","rule-action":"include",
             "object-locator":{"schema-name":"b","table-name":"%"},"filters":[]}]}"#
        );
        assert_eq!(canonical(&declared), canonical(&live));
        assert_eq!(canonical(&Value::Array(canonical(&live))), canonical(&live), "it is idempotent");
    }

    #[test]
    fn an_excluded_table_stays_out_although_it_is_included() {
        let rules =
            Value::Array(compile(&tables(json!([{ "schema": "public", "exclude": ["tmp_%"], "rename_schema": "club",
            "rename_tables": { "events": "meetings" } }]))));
        assert!(selects(&rules, "public", "events"));
        assert!(!selects(&rules, "public", "tmp_events"));
        assert!(!selects(&rules, "other", "events"));
        assert_eq!(target_name(&rules, "public", "events"), ("club".to_owned(), "meetings".to_owned()));
        assert_eq!(target_name(&rules, "public", "teams"), ("club".to_owned(), "teams".to_owned()));
    }

    #[test]
    fn wildcards_match_like_sql() {
        for (pattern, name, expected) in
            [("%", "", true), ("a_c", "abc", true), ("a_c", "ac", false), ("tmp_%", "tmp", false), ("%b%", "abc", true)]
        {
            assert_eq!(like(pattern, name), expected, "{pattern} on {name}");
        }
    }
}
