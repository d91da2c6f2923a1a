//! Extra connection attributes of endpoints: text that DMS takes apart, keeps as settings where there
//! is a setting of that name, and answers with in its own words.

use serde_json::{Value, json};

use super::settings;
use crate::world::dms::Endpoint;

/// Where attributes that are no setting are kept.
const KEPT: &str = "ExtraConnectionAttributes";
/// Members of a settings block that say where and as whom to connect; they are never mirrored.
const CONNECTION: [&str; 9] = [
    "BucketFolder",
    "BucketName",
    "DatabaseName",
    "Port",
    "SecretsManagerAccessRoleArn",
    "SecretsManagerSecretId",
    "ServerName",
    "ServiceAccessRoleArn",
    "Username",
];

/// Takes a request's attributes: they replace the old ones, and settings of that name are set. An
/// empty text clears them.
pub(super) fn take(endpoint: &mut Endpoint, text: &str) {
    let known = settings::endpoint_defaults(&endpoint.engine);
    let mut kept = Vec::new();
    for (key, value) in text.split(';').filter_map(|pair| pair.split_once('=')) {
        let (key, value) = (key.trim(), value.trim());
        match known.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)) {
            Some((name, default)) => {
                endpoint.settings.insert(name.clone(), like(default, value));
            }
            None => kept.push(format!("{key}={value}")),
        }
    }
    endpoint.body.shift_remove(KEPT);
    if !kept.is_empty() {
        endpoint.body.insert(KEPT.to_owned(), json!(kept.join(";")));
    }
}

/// A text as a value of the same type as `default`.
fn like(default: &Value, text: &str) -> Value {
    match default {
        Value::Bool(_) => json!(["y", "yes", "true", "1"].contains(&text.to_lowercase().as_str())),
        Value::Number(_) => text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number)),
        _ => json!(text),
    }
}

/// The attributes as DMS answers with them: every setting that was set, and what is no setting.
pub(super) fn shown(endpoint: &Endpoint) -> Option<String> {
    let mirrored =
        endpoint.settings.iter().filter(|(name, _)| !CONNECTION.contains(&name.as_str())).map(|(name, value)| {
            let (first, rest) = name.split_at(1);
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{}{rest}={value}", first.to_lowercase())
        });
    let kept = endpoint.body.get(KEPT).and_then(Value::as_str).map(str::to_owned);
    let all: Vec<String> = mirrored.chain(kept).collect();
    (!all.is_empty()).then(|| all.join(";"))
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::world::dms::Lifecycle;

    /// Terraform's AWS provider, issues 8009, 20290 and 21816: "the service mirrors settings into the
    /// extra connection attributes", in its own spelling and order.
    #[test]
    fn settings_are_mirrored_as_attributes_in_the_service_s_spelling() {
        let mut endpoint = Endpoint {
            identifier: "source".to_owned(),
            arn: String::new(),
            is_source: true,
            engine: "postgres".to_owned(),
            password: None,
            lifecycle: Lifecycle::steady("active"),
            body: Map::new(),
            settings: Map::from_iter([("HeartbeatEnable".to_owned(), json!(true))]),
        };
        take(&mut endpoint, "secretsManagerEndpointOverride=vpce; captureDDLs=N;executeTimeout=180");
        assert_eq!(endpoint.settings["CaptureDdls"], json!(false));
        assert_eq!(endpoint.settings["ExecuteTimeout"], json!(180));
        let text = shown(&endpoint).unwrap();
        assert_eq!(
            text,
            "heartbeatEnable=true;captureDdls=false;executeTimeout=180;secretsManagerEndpointOverride=vpce"
        );
        take(&mut endpoint, "");
        assert!(!shown(&endpoint).unwrap().contains("secretsManagerEndpointOverride"));
        assert_eq!(endpoint.settings["CaptureDdls"], json!(false), "a setting stays a setting");
    }
}
