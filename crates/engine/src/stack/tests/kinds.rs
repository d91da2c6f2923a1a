//! Four small kinds that have a schema and names and no cloud.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, FaultClass};
use crate::kind::{
    AnyKind, DeleteOptions, Example, Facts, Kind, Object, Of, Pauses, Place, Poll, Registry, Scope, Seconds, Tags,
    physical_name,
};
use crate::secret::SecretSource;
use crate::value::Value;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[schemars(length(min = 1, max = 20))]
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ingress: Option<Vec<Rule>>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rule {
    port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "cidr": true }))]
    cidr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "refers_to": { "kinds": ["ec2/security_group"], "attribute": "id", "physical": ["sg-"], "words": ["self"] },
    }))]
    from: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InstanceSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[schemars(regex(pattern = r"^dms\."))]
    class: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 6144))]
    storage_gb: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apply: Option<Apply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "refers_to": { "kinds": ["ec2/security_group"], "attribute": "id", "physical": ["sg-"] },
    }))]
    security_groups: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "refers_to": { "kinds": ["dms/replication_instance"], "attribute": "arn" } }))]
    after: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Apply {
    /// At once.
    Now,
    /// Later.
    MaintenanceWindow,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    engine: Engine,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<Connection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<Admin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<BTreeMap<String, String>>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Engine {
    Postgres,
    RedshiftServerless,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Connection {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "secret": true }))]
    url: Option<SecretSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Admin {
    Word(Managed),
    User(User),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Managed {
    Managed,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct User {
    username: String,
    #[schemars(extend("x-towpath" = { "secret": true }))]
    password: SecretSource,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[schemars(extend("x-towpath" = {
        "refers_to": { "kinds": ["dms/replication_instance"], "attribute": "arn", "physical": ["arn:"] },
    }))]
    instance: String,
    tables: Tables,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<crate::value::Map>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Tables {
    Pattern(String),
    Rules(Vec<TableRule>),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TableRule {
    schema: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    include: Option<Vec<String>>,
}

fn facts() -> Facts {
    let at_once = Seconds::new(1.0, 1.0, 1.0);
    Facts {
        summary: "For tests.",
        create: at_once,
        update: at_once,
        delete: at_once,
        poll: Poll { first: 0.0, interval: 1.0, give_up: 1.0, stable: 1 },
        pauses: Pauses::Nothing,
        holds: None,
        name_limit: 24,
        taggable: true,
        assigned_identity: false,
    }
}

fn offline(operation: &str) -> Fault {
    Fault::local(FaultClass::Invalid, operation, "this kind has no cloud")
}

macro_rules! kind {
    ($kind:ident, $name:literal, $spec:ty, $check:expr) => {
        struct $kind;

        impl Kind for $kind {
            const NAME: &'static str = $name;
            type Spec = $spec;

            fn facts(&self) -> Facts {
                facts()
            }
            fn name(&self, place: &Place, name: &str, spec: &Self::Spec) -> String {
                spec.name.clone().unwrap_or_else(|| physical_name(place, name, 24))
            }
            fn check(&self, spec: &Self::Spec) -> Vec<(String, String)> {
                let check: fn(&Self::Spec) -> Vec<(String, String)> = $check;
                check(spec)
            }
            async fn list(&self, _: &Scope) -> Result<Vec<Object>, Fault> {
                Err(offline("list"))
            }
            async fn create(&self, _: &str, _: &Self::Spec, _: &Tags) -> Result<String, Fault> {
                Err(offline("create"))
            }
            async fn update(&self, _: &Object, _: &Self::Spec, _: &[String]) -> Result<(), Fault> {
                Err(offline("update"))
            }
            async fn delete(&self, _: &Object, _: &DeleteOptions) -> Result<(), Fault> {
                Err(offline("delete"))
            }
            fn examples(&self, _: &Place) -> Vec<Example> {
                Vec::new()
            }
        }
    };
}

kind!(Group, "ec2/security_group", GroupSpec, |_| Vec::new());
kind!(Instance, "dms/replication_instance", InstanceSpec, |_| Vec::new());
kind!(Endpoint, "dms/endpoint", EndpointSpec, |_| Vec::new());
kind!(Task, "dms/replication_task", TaskSpec, |spec| {
    let wrong = spec.settings.iter().flat_map(|settings| settings.keys()).filter(|key| *key == "Loging");
    wrong.map(|key| (format!("settings.{key}"), "DMS has no such section".to_owned())).collect()
});

/// The four kinds.
pub(super) fn registry() -> Registry {
    let kinds: Vec<Arc<dyn AnyKind>> = vec![
        Arc::new(Of::new(Group)),
        Arc::new(Of::new(Instance)),
        Arc::new(Of::new(Endpoint)),
        Arc::new(Of::new(Task)),
    ];
    Registry::new(kinds)
}

/// Where the tests' stacks live.
pub(super) fn place() -> Place {
    Place {
        stack: String::new(),
        account: "111122223333".to_owned(),
        region: "eu-north-1".to_owned(),
        partition: "aws".to_owned(),
    }
}

/// A value as the kinds see it.
pub(super) fn spec(stack: &super::Stack, name: &str) -> Value {
    stack.resources[name].spec.clone()
}
