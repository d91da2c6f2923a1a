//! Extra connection attributes that are settings under another name.
//!
//! DMS keeps most attributes as settings of the engine: it answers with `captureDDLs=N` as a
//! setting, mirrors settings as attributes, or drops the attribute altogether. So an attribute that
//! is a setting is one here, too: sent, read and compared in `settings`. What is left stays text.

use serde_json::json;
use towpath_engine::value::{Map, Value};

use super::{Settings, Spec};
use crate::kinds::dms_common::state;

/// The settings by the attributes' spelling: without `_`, in small letters.
fn setting_of(attribute: &str) -> Option<&'static str> {
    let wanted = attribute.to_lowercase();
    Settings::names().find(|name| name.replace('_', "") == wanted)
}

/// An attribute's text as the value of its setting; `None` when it cannot be one.
fn typed(setting: &str, text: &str) -> Option<Value> {
    let flag = match text.to_lowercase().as_str() {
        "y" | "yes" | "true" | "1" => Some(json!(true)),
        "n" | "no" | "false" | "0" => Some(json!(false)),
        _ => None,
    };
    let number = text.parse::<i64>().ok().map(|number| json!(number));
    let fits = |value: &Value| {
        let one = Map::from_iter([(setting.to_owned(), value.clone())]);
        serde_json::from_value::<Settings>(Value::Object(one)).is_ok()
    };
    [Some(json!(text)), number, flag].into_iter().flatten().find(fits)
}

/// Moves every attribute that is a setting to `settings`, where what is written already goes first.
pub(super) fn fold(value: &mut Value) {
    let Some(Value::Object(attributes)) = value.get_mut("extra_attributes") else { return };
    let mut found = Map::new();
    attributes.retain(|name, text| {
        let setting = setting_of(name);
        let typed = setting.and_then(|setting| typed(setting, text.as_str()?));
        match (setting, typed) {
            (Some(setting), Some(value)) => {
                found.insert(setting.to_owned(), value);
                false
            }
            _ => true,
        }
    });
    if attributes.is_empty() {
        value.as_object_mut().map(|map| map.remove("extra_attributes"));
    }
    if found.is_empty() {
        return;
    }
    if !value["settings"].is_object() {
        value["settings"] = json!({});
    }
    for (setting, typed) in found {
        if value["settings"].get(&setting).is_none() {
            value["settings"][setting] = typed;
        }
    }
}

/// The spec with its attributes folded, as it is sent.
pub(super) fn folded(spec: &Spec) -> Spec {
    let mut value = state(spec);
    fold(&mut value);
    serde_json::from_value(value).unwrap_or_else(|_| spec.clone())
}

/// Attributes that say otherwise than the settings they are, and those that would be read as several: they are sent as
/// `name=value;name=value` (API reference, `CreateEndpoint`, `ExtraConnectionAttributes`).
pub(super) fn contradictions(spec: &Spec) -> Vec<(String, String)> {
    let settings = spec.settings.as_ref().map(state).unwrap_or_default();
    let attributes = || spec.extra_attributes.iter().flatten();
    let several =
        attributes().filter(|(name, text)| name.contains([';', '=']) || text.contains(';')).map(|(name, _)| {
            let rule = "attributes are sent as `name=value;name=value`, so that neither may hold a semicolon";
            (format!("extra_attributes.{name}"), rule.to_owned())
        });
    attributes()
        .filter_map(|(name, text)| {
            let setting = setting_of(name)?;
            let other = settings.get(setting).filter(|other| typed(setting, text).as_ref() != Some(*other))?;
            let path = format!("extra_attributes.{name}");
            Some((path, format!("`{name}` is the setting `{setting}`, which `settings` has as `{other}`")))
        })
        .chain(several)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_the_setting_of_that_name_however_it_is_written() {
        let mut declared = json!({ "extra_attributes": {
            "captureDDLs": "N", "executeTimeout": "180", "acceptanydate": "true", "secretsManagerEndpointOverride": "vpce",
        } });
        fold(&mut declared);
        assert_eq!(
            declared,
            json!({
                "settings": { "capture_ddls": false, "execute_timeout": 180, "accept_any_date": true },
                "extra_attributes": { "secretsManagerEndpointOverride": "vpce" },
            })
        );
        let mut again = declared.clone();
        fold(&mut again);
        assert_eq!(again, declared);
    }

    #[test]
    fn what_cannot_be_the_setting_stays_an_attribute_and_settings_go_first() {
        let mut declared = json!({
            "settings": { "capture_ddls": true }, "extra_attributes": { "captureDDLs": "N", "executeTimeout": "soon" },
        });
        fold(&mut declared);
        assert_eq!(declared["settings"], json!({ "capture_ddls": true }));
        assert_eq!(declared["extra_attributes"], json!({ "executeTimeout": "soon" }));
    }
}
