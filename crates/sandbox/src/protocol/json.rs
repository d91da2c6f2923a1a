//! AWS JSON 1.1: the operation in `X-Amz-Target`, members in a JSON object, errors by `__type`.
//!
//! Source: Smithy, "AWS JSON 1.1 protocol".

use serde_json::{Value, json};

use super::{Request, Response, request_id};
use crate::call::ApiError;

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// Prefix and operation of the `X-Amz-Target` header.
pub(crate) fn target(request: &Request) -> Option<(&str, &str)> {
    request.header("x-amz-target")?.rsplit_once('.')
}

/// The members of the request; an empty body is an empty structure.
pub(crate) fn input(request: &Request) -> Result<Value, ApiError> {
    if request.body.is_empty() {
        return Ok(json!({}));
    }
    match serde_json::from_slice(&request.body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(ApiError::new("SerializationException", "Start of structure or map found where not expected.")),
        Err(error) => Err(ApiError::new("SerializationException", error.to_string())),
    }
}

/// An answer with `output`, from which null members are left out.
pub(crate) fn success(output: Value) -> Response {
    let body = without_nulls(output).to_string();
    let mut response = Response::new(200, CONTENT_TYPE, body);
    response.headers.push(("x-amzn-requestid", request_id()));
    response
}

/// An answer with an error.
pub(crate) fn failure(error: &ApiError) -> Response {
    let body = json!({"__type": error.code, "message": error.message}).to_string();
    let mut response = Response::new(error.status, CONTENT_TYPE, body);
    response.headers.push(("x-amzn-requestid", request_id()));
    response.headers.push(("x-amzn-errortype", error.code.to_string()));
    response
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, without_nulls(v))).collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_members_are_left_out_of_answers() {
        let response = success(json!({"A": null, "B": [{"C": null, "D": 1}]}));
        assert_eq!(response.body, r#"{"B":[{"D":1}]}"#);
    }

    #[test]
    fn an_error_names_its_type_in_body_and_header() {
        let response = failure(&ApiError::new("ResourceNotFoundFault", "gone"));
        assert_eq!(response.status, 400);
        assert_eq!(response.body, r#"{"__type":"ResourceNotFoundFault","message":"gone"}"#);
        assert!(response.headers.contains(&("x-amzn-errortype", "ResourceNotFoundFault".into())));
    }
}
