//! The query protocols: a form in, XML out. `Query` is what IAM and STS speak, `Ec2` its older twin.
//!
//! A form is nested into a JSON value: `Filter.1.Name=a` becomes `{"Filter": [{"Name": "a"}]}`, and the
//! `member` of `Tags.member.1.Key` is left out. Every scalar is a text.
//!
//! Source: Smithy, "AWS query protocol" and "AWS EC2 query protocol".

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::xml::{Lists, push, write_members};
use super::{Request, Response, request_id};
use crate::call::ApiError;

const CONTENT_TYPE: &str = "text/xml;charset=UTF-8";

/// Which of the two query protocols a service speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// IAM, STS.
    Query,
    /// EC2.
    Ec2,
}

/// The pairs of an URL-encoded form, in order.
pub(crate) fn form(text: &str) -> Vec<(String, String)> {
    let decode = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decode(key), decode(value)))
        .collect()
}

/// The operation and its members, out of the form of the body or of the address.
pub(crate) fn input(request: &Request) -> Result<(String, Value), ApiError> {
    let body = std::str::from_utf8(&request.body)
        .map_err(|_| ApiError::new("MalformedQueryString", "The query string is not UTF-8"))?;
    let pairs = form(if body.is_empty() { request.uri.query().unwrap_or_default() } else { body });
    let action =
        pairs.iter().find(|(key, _)| key == "Action").map(|(_, value)| value.clone()).ok_or_else(|| {
            ApiError::new("MissingAction", "The request is missing an action or a required parameter")
        })?;
    let mut root = Node::default();
    for (key, value) in pairs.iter().filter(|(key, _)| key != "Action" && key != "Version") {
        root.insert(key, value);
    }
    Ok((action, root.into_value()))
}

/// An answer with `output`.
pub(crate) fn success(dialect: Dialect, namespace: &str, operation: &str, output: &Value) -> Response {
    let mut body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{operation}Response xmlns=\"{namespace}\">");
    let id = request_id();
    match dialect {
        Dialect::Query => {
            push(&mut body, format_args!("<{operation}Result>"));
            write_members(&mut body, output, Lists::Wrapped("member"));
            push(&mut body, format_args!("</{operation}Result>"));
            push(&mut body, format_args!("<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>"));
        }
        Dialect::Ec2 => {
            push(&mut body, format_args!("<requestId>{id}</requestId>"));
            write_members(&mut body, output, Lists::Wrapped("item"));
        }
    }
    push(&mut body, format_args!("</{operation}Response>"));
    Response::new(200, CONTENT_TYPE, body)
}

/// An answer with an error.
pub(crate) fn failure(dialect: Dialect, namespace: &str, error: &ApiError) -> Response {
    let id = request_id();
    let mut inner = String::new();
    write_members(
        &mut inner,
        &serde_json::json!({"Code": error.code, "Message": error.message}),
        Lists::Wrapped("member"),
    );
    let kind = if error.status >= 500 { "Receiver" } else { "Sender" };
    let body = match dialect {
        Dialect::Query => format!(
            "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{kind}</Type>{inner}</Error><RequestId>{id}</RequestId></ErrorResponse>"
        ),
        Dialect::Ec2 => {
            format!("<Response><Errors><Error>{inner}</Error></Errors><RequestID>{id}</RequestID></Response>")
        }
    };
    Response::new(error.status, CONTENT_TYPE, format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}"))
}

/// A branch or leaf of the tree the dotted keys of a form describe.
#[derive(Debug, Default)]
struct Node {
    text: Option<String>,
    children: BTreeMap<String, Self>,
}

impl Node {
    fn insert(&mut self, key: &str, value: &str) {
        let node = key.split('.').fold(self, |node, part| node.children.entry(part.to_owned()).or_default());
        node.text = Some(value.to_owned());
    }

    fn into_value(mut self) -> Value {
        if self.children.is_empty() {
            return self.text.map_or_else(|| Value::Object(serde_json::Map::new()), Value::String);
        }
        if self.children.len() == 1
            && let Some(list) = self.children.remove("member").or_else(|| self.children.remove("entry"))
        {
            return list.into_value();
        }
        if self.children.keys().all(|key| key.bytes().all(|byte| byte.is_ascii_digit())) {
            let mut items: Vec<(u64, Self)> =
                self.children.into_iter().map(|(key, node)| (key.parse().unwrap_or(u64::MAX), node)).collect();
            items.sort_by_key(|(index, _)| *index);
            return Value::Array(items.into_iter().map(|(_, node)| node.into_value()).collect());
        }
        Value::Object(self.children.into_iter().map(|(key, node)| (key, node.into_value())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nested(text: &str) -> (String, Value) {
        let request = Request {
            method: http::Method::POST,
            uri: "/".parse().unwrap(),
            headers: http::HeaderMap::new(),
            body: text.to_owned().into(),
        };
        input(&request).unwrap()
    }

    // Request of the EC2 API reference, "DescribeInstances", example 2, cut to one filter more than ten values.
    #[test]
    fn a_form_of_ec2_becomes_a_nested_value() {
        let (action, value) = nested(
            "Action=DescribeSubnets&Version=2016-11-15&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1&Filter.1.Value.10=j&Filter.1.Value.2=b",
        );
        assert_eq!(action, "DescribeSubnets");
        assert_eq!(value, json!({"Filter": [{"Name": "vpc-id", "Value": ["vpc-1", "b", "j"]}]}));
    }

    #[test]
    fn the_member_of_iam_lists_is_left_out() {
        let (_, value) = nested("Action=TagRole&RoleName=a%20b&Tags.member.1.Key=k&Tags.member.1.Value=");
        assert_eq!(value, json!({"RoleName": "a b", "Tags": [{"Key": "k", "Value": ""}]}));
    }

    #[test]
    fn the_two_dialects_shape_errors_differently() {
        let error = ApiError::new("NoSuchEntity", "no <role>").status(404);
        let text = |dialect| String::from_utf8(failure(dialect, "ns", &error).body.to_vec()).unwrap();
        assert!(text(Dialect::Query).contains(
            "<ErrorResponse xmlns=\"ns\"><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>no &lt;role&gt;"
        ));
        assert!(text(Dialect::Ec2).contains("<Response><Errors><Error><Code>NoSuchEntity</Code>"));
    }
}
