//! Between the values of templates and JSON, which is how settings and variables are kept.

use minijinja::value::ValueKind;
use minijinja::{Error, Value};
use serde_json::{Map, Number, Value as Json};

use super::collection::{Dict, List, pairs_of};
use super::invalid;

/// A template's value as JSON; objects such as relations become their text.
pub(in crate::models) fn to_json(value: &Value) -> Result<Json, Error> {
    Ok(match value.kind() {
        ValueKind::Undefined | ValueKind::None => Json::Null,
        ValueKind::Bool => Json::Bool(value.is_true()),
        ValueKind::Number => match (value.as_i64(), f64::try_from(value.clone())) {
            (Some(number), _) if !value.to_string().contains('.') => Json::from(number),
            (_, Ok(number)) => Number::from_f64(number).map_or(Json::Null, Json::Number),
            _ => return Err(invalid(format!("`{value}` is no number JSON can hold"))),
        },
        ValueKind::Seq | ValueKind::Iterable => {
            Json::Array(value.try_iter()?.map(|item| to_json(&item)).collect::<Result<_, _>>()?)
        }
        ValueKind::Map => {
            let pairs = pairs_of(value)?;
            let pairs = pairs.iter().map(|(key, value)| Ok((key.to_string(), to_json(value)?)));
            Json::Object(pairs.collect::<Result<Map<_, _>, Error>>()?)
        }
        _ => Json::from(value.to_string()),
    })
}

/// JSON as a value whose lists and dicts templates may change.
pub(in crate::models) fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Value::from(number),
            (None, Some(number)) => Value::from(number),
            (None, None) => Value::from(number.to_string()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(values) => List::value(values.iter().map(from_json).collect()),
        Json::Object(map) => {
            Dict::value(map.iter().map(|(key, value)| (Value::from(key.as_str()), from_json(value))).collect())
        }
    }
}
