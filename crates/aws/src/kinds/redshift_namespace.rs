//! `redshift/namespace`: the warehouse's databases, users and keys, without computing power.
//!
//! In place, one concern per call: admin credentials, roles, log exports, key. Replacement: name
//! and database. It holds all tables of the warehouse, so replacing or deleting it is refused
//! unless the loss is agreed to. Costs its storage ($0.024 per GB-month).
//!
//! Long because each concern of a namespace is changed by a call of its own, in an order that only shows in one place.

mod forms;

use aws_sdk_redshiftserverless::types::{LogExport, Namespace as Live, NamespaceStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::Fault;
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Found, Kind, Object, Outputs, Pauses, Place, Poll, Price, Readiness, Scope, Seconds,
    SecretMark, Tags,
};
use towpath_engine::secret::SecretSource;
use towpath_engine::value::Value;

use self::forms::{is_identifier, is_password, is_snapshot_name};
use super::redshift_common;
use crate::cloud::Cloud;
use crate::fault::fault;

/// The word by which the service names a key of its own.
const AWS_OWNED_KEY: &str = "AWS_OWNED_KMS_KEY";

/// The word for no default role.
const NONE: &str = "none";

/// The block of a `redshift/namespace`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The name: 3 to 64 small letters, digits and hyphens. Default: `{stack}-{name}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "UpdateNamespace has no other name" }))]
    pub name: Option<String>,
    /// The first database: a letter, then up to 126 letters, digits and `_+.@-`. Default: `dev`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "UpdateNamespace has no dbName", "loses": "all tables of the warehouse",
        // Redshift tells it only once there is a workgroup.
        "told_late": true,
    }))]
    pub database: Option<String>,
    /// `managed` (the default: AWS keeps the password in Secrets Manager and rotates it), or
    /// `{username, password}`. A changed password is seen by the mark of the one sent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "compare": "subset", "group": "admin" }))]
    pub admin: Option<Admin>,
    /// The key of the managed admin secret. Default: `aws/secretsmanager`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "group": "admin" }))]
    pub admin_secret_kms_key: Option<String>,
    /// Roles that COPY, UNLOAD and the like may assume; `dms-access-for-endpoint` must be among them
    /// for a DMS target.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "compare": "set", "group": "roles",
        "refers_to": { "kinds": ["iam/role"], "attribute": "arn", "physical": ["arn:"] },
    }))]
    pub roles: Option<Vec<String>>,
    /// The one of them that SQL means by `default`; `none` takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "group": "roles",
        "refers_to": { "kinds": ["iam/role"], "attribute": "arn", "physical": ["arn:"], "words": ["none"] },
    }))]
    pub default_role: Option<String>,
    /// Logs sent to CloudWatch: `useractivitylog`, `userlog`, `connectionlog`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "compare": "set", "group": "log_exports" }))]
    pub log_exports: Option<Vec<Log>>,
    /// The ARN of the key that encrypts the data. Default: a key that AWS owns. A namespace does not
    /// go back from an own key to AWS's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "group": "kms_key" }))]
    pub kms_key: Option<String>,
}

/// Who administers the namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Admin {
    /// `managed`.
    Managed(Managed),
    /// A user of one's own; without a password AWS manages it.
    User(AdminUser),
}

/// The word `managed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Managed {
    /// AWS keeps and rotates the password of the user `admin`.
    Managed,
}

/// An admin user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminUser {
    /// The user's name: a letter, then letters, digits and `_+.@-`. Default: `admin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password: 8 to 64 characters with small and capital letters and a digit, without spaces,
    /// quotes, `/`, `\` and `@`. Without one AWS keeps and rotates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "secret": true, "change": "write_only" }))]
    pub password: Option<SecretSource>,
    /// Whether AWS keeps the password; read from the service, never written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub managed: Option<bool>,
}

/// A log of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Log {
    /// Every statement.
    UserActivityLog,
    /// Changes of users.
    UserLog,
    /// Connections.
    ConnectionLog,
}

impl Log {
    fn to_sdk(self) -> LogExport {
        match self {
            Self::UserActivityLog => LogExport::UserActivityLog,
            Self::UserLog => LogExport::UserLog,
            Self::ConnectionLog => LogExport::ConnectionLog,
        }
    }

    fn from_sdk(log: &LogExport) -> Option<Self> {
        match log {
            LogExport::UserActivityLog => Some(Self::UserActivityLog),
            LogExport::UserLog => Some(Self::UserLog),
            LogExport::ConnectionLog => Some(Self::ConnectionLog),
            _ => None,
        }
    }
}

impl Spec {
    fn username(&self) -> Option<&String> {
        match &self.admin {
            Some(Admin::User(user)) => user.username.as_ref(),
            _ => None,
        }
    }

    /// The default role as the service takes it: no text takes the live one away.
    fn default_role(&self) -> Option<&str> {
        self.default_role.as_deref().map(|role| if role == NONE { "" } else { role })
    }

    fn password(&self) -> Option<&SecretSource> {
        match &self.admin {
            Some(Admin::User(user)) => user.password.as_ref(),
            _ => None,
        }
    }
}

/// The kind `redshift/namespace`.
pub struct Namespace {
    cloud: Cloud,
}

impl Namespace {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }

    /// A user name changes only together with a password, so where AWS is to manage that, the name is
    /// changed with a password nobody knows, and managing begins with the next call. That call is
    /// refused as busy at first: the engine makes it again, and finds the name changed.
    async fn rename_admin(&self, object: &Object, spec: &Spec) -> Result<(), Fault> {
        let Some(wanted) = spec.username().filter(|name| object.state["admin"]["username"] != name.as_str()) else {
            return Ok(());
        };
        let client = self.cloud.redshift_serverless().await;
        let call = client.update_namespace().namespace_name(&object.identity).admin_username(wanted);
        let call = call.admin_user_password(format!("Aa1{}", uuid::Uuid::new_v4().simple()));
        call.send().await.map(drop).map_err(fault("redshift-serverless:UpdateNamespace"))
    }

    async fn admin_password(&self, spec: &Spec) -> Result<Option<String>, Fault> {
        match spec.password() {
            Some(source) => Ok(Some(self.cloud.secret(source).await?.expose().to_owned())),
            None => Ok(None),
        }
    }
}

/// The status of the first role that is not in force yet.
fn unsettled(roles: &[String]) -> Option<&str> {
    let status = |text: &'_ str| -> Option<usize> { text.find("applyStatus=").map(|at| at + "applyStatus=".len()) };
    roles.iter().find_map(|role| {
        let rest = &role[status(role)?..];
        let status = rest.split([',', ')']).next().unwrap_or_default();
        matches!(status, "adding" | "removing").then_some(status)
    })
}

/// The ARN inside `IamRole(applyStatus=in-sync, iamRoleArn=arn:…)`, which is how the service
/// answers; a bare ARN is itself.
fn role_arn(text: &str) -> String {
    let arn = text.split_once("iamRoleArn=").map_or(text, |(_, rest)| rest);
    arn.trim_end_matches(')').split(',').next().unwrap_or_default().trim().to_owned()
}

fn object(live: Live) -> Object {
    let identity = live.namespace_name.unwrap_or_default();
    let readiness = match &live.status {
        Some(NamespaceStatus::Modifying) => Readiness::Pending("MODIFYING".to_owned()),
        Some(NamespaceStatus::Deleting) => Readiness::Deleting,
        _ => unsettled(live.iam_roles.as_deref().unwrap_or_default())
            .map_or(Readiness::Ready, |status| Readiness::Pending(format!("roles {status}"))),
    };
    let mut roles: Vec<String> = live.iam_roles.iter().flatten().map(|role| role_arn(role)).collect();
    roles.sort();
    // Absent until a workgroup exists (hashicorp/terraform-provider-aws#39273).
    let database = live.db_name;
    let default_role = live.default_iam_role_arn.as_deref().map(role_arn).filter(|arn| !arn.is_empty());
    let is_managed = live.admin_password_secret_arn.is_some();
    let spec = Spec {
        name: Some(identity.clone()),
        database: database.clone(),
        admin: Some(Admin::User(AdminUser {
            username: live.admin_username.clone(),
            password: None,
            managed: Some(is_managed),
        })),
        admin_secret_kms_key: live.admin_password_secret_kms_key_id,
        roles: Some(roles),
        default_role: Some(default_role.unwrap_or_else(|| NONE.to_owned())),
        log_exports: Some(live.log_exports.iter().flatten().filter_map(Log::from_sdk).collect()),
        kms_key: live.kms_key_id.filter(|key| key != AWS_OWNED_KEY),
    };
    let mut outputs = Outputs::from([
        ("arn".to_owned(), json!(live.namespace_arn)),
        ("id".to_owned(), json!(live.namespace_id)),
        ("name".to_owned(), json!(identity)),
        ("admin_username".to_owned(), json!(live.admin_username)),
    ]);
    if let Some(database) = database {
        outputs.insert("database".to_owned(), json!(database));
    }
    if let Some(arn) = live.admin_password_secret_arn {
        outputs.insert("admin_secret_arn".to_owned(), json!(arn));
    }
    Object {
        outputs,
        state: super::dms_common::state(&spec),
        tags: None,
        readiness,
        running: false,
        pending: Value::Null,
        identity,
    }
}

impl Kind for Namespace {
    const NAME: &'static str = "redshift/namespace";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "The warehouse's databases, users and keys, without computing power.",
            create: Seconds::new(2.0, 5.0, 60.0),
            update: Seconds::new(5.0, 30.0, 600.0),
            delete: Seconds::new(5.0, 30.0, 600.0),
            poll: Poll { first: 0.0, interval: 3.0, give_up: 600.0, stable: 2 },
            pauses: Pauses::Nothing,
            holds: Some("all tables of the warehouse"),
            name_limit: redshift_common::NAME_LIMIT,
            taggable: true,
            assigned_identity: false,
        }
    }

    fn name(&self, place: &Place, name: &str, spec: &Spec) -> String {
        redshift_common::name(&self.cloud, place, name, spec.name.as_ref())
    }

    fn takes_final_snapshot(&self) -> bool {
        true
    }

    /// A managed password stays managed; any other, which Redshift never tells, is left to a variable.
    fn declare(&self, found: &Found<'_>, mut state: Value) -> Value {
        let username = state["admin"]["username"].clone();
        state["admin"] = match (state["admin"]["managed"] == json!(true), username == json!("admin")) {
            (true, true) => json!("managed"),
            (true, false) => json!({ "username": username }),
            (false, _) => json!({ "username": username, "password": found.secret("password") }),
        };
        found.without(state, &json!({ "default_role": "none", "log_exports": [], "roles": [] }))
    }

    fn predict(&self, _place: &Place, identity: &str, spec: &Spec) -> Outputs {
        // The ARN ends in an id that the service makes up; the database is told with the first workgroup.
        Outputs::from([
            ("name".to_owned(), json!(identity)),
            ("admin_username".to_owned(), json!(spec.username().map_or("admin", String::as_str))),
        ])
    }

    fn price(&self, _spec: &Spec) -> Option<Price> {
        Some(Price { monthly: None, unknown: false, basis: "$0.024 per GB-month of stored data".to_owned() })
    }

    fn check(&self, spec: &Spec) -> Vec<(String, String)> {
        let mut mistakes: Vec<(String, String)> = redshift_common::check_name(spec.name.as_ref()).into_iter().collect();
        let listed = |role: &String| spec.roles.iter().flatten().any(|listed| listed == role);
        // References read as empty text here and cannot be told apart: only plain ARNs are checked.
        if spec.default_role.as_ref().is_some_and(|role| !role.is_empty() && role != NONE && !listed(role)) {
            mistakes.push(("default_role".to_owned(), "the default role must be one of `roles`".to_owned()));
        }
        if spec.password().is_some() && spec.admin_secret_kms_key.is_some() {
            let rule = "a key for the managed secret makes no sense with a password of one's own";
            mistakes.push(("admin_secret_kms_key".to_owned(), rule.to_owned()));
        }
        for (field, name, most) in
            [("database", spec.database.as_deref(), 127), ("admin.username", spec.username().map(String::as_str), 128)]
        {
            if name.is_some_and(|name| !is_identifier(name, most)) {
                let rule = format!("a letter, then letters, digits and _+.@-, at most {most} in all");
                mistakes.push((field.to_owned(), rule));
            }
        }
        if spec.password().is_some() && spec.username().is_none() {
            mistakes.push(("admin.username".to_owned(), "name the user the password is for".to_owned()));
        }
        mistakes
    }

    fn secret_mark(&self, place: &Place, identity: &str, spec: &Spec) -> Option<SecretMark> {
        let Some(SecretSource::Environment { env }) = spec.password() else { return None };
        Some(SecretMark::of("admin", place, identity, self.cloud.secrets().get(env)?))
    }

    fn normalise(&self, mut value: Value) -> Value {
        if let Some(admin) = value.get_mut("admin") {
            if admin == "managed" {
                *admin = json!({ "managed": true });
            } else if let Some(user) = admin.as_object_mut() {
                let has_password = user.shift_remove("password").is_some();
                user.entry("managed").or_insert(json!(!has_password));
            }
        }
        value
    }

    async fn list(&self, _scope: &Scope) -> Result<Vec<Object>, Fault> {
        let namespaces = redshift_common::namespaces(&self.cloud).await?;
        let tags = redshift_common::namespace_tags(&self.cloud).await?;
        let with_tags = |live: Live| {
            let arn = live.namespace_arn.clone().unwrap_or_default();
            Object { tags: tags.get(&arn).cloned(), ..object(live) }
        };
        Ok(namespaces.into_iter().map(with_tags).collect())
    }

    async fn create(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        let password = self.admin_password(spec).await?;
        let managed = password.is_none().then_some(true);
        let client = self.cloud.redshift_serverless().await;
        client
            .create_namespace()
            .namespace_name(name)
            .set_db_name(spec.database.clone())
            .set_admin_username(spec.username().cloned())
            .set_admin_user_password(password)
            .set_manage_admin_password(managed)
            .set_admin_password_secret_kms_key_id(spec.admin_secret_kms_key.clone())
            .set_iam_roles(spec.roles.clone())
            .set_default_iam_role_arn(spec.default_role().filter(|arn| !arn.is_empty()).map(str::to_owned))
            .set_log_exports(logs(spec))
            .set_kms_key_id(spec.kms_key.clone())
            .set_tags(Some(redshift_common::sdk_tags(tags)?))
            .send()
            .await
            .map_err(fault("redshift-serverless:CreateNamespace"))?;
        Ok(name.to_owned())
    }

    async fn update(&self, object: &Object, spec: &Spec, fields: &[String]) -> Result<(), Fault> {
        let changed = |field: &str| fields.iter().any(|name| name == field);
        let client = self.cloud.redshift_serverless().await;
        let call = client.update_namespace().namespace_name(&object.identity);
        let call = if changed("admin") || changed("admin_secret_kms_key") {
            if spec.password().is_none() {
                self.rename_admin(object, spec).await?;
            }
            match self.admin_password(spec).await? {
                Some(password) => call.set_admin_username(spec.username().cloned()).admin_user_password(password),
                None => call
                    .manage_admin_password(true)
                    .set_admin_password_secret_kms_key_id(spec.admin_secret_kms_key.clone()),
            }
        } else if changed("roles") || changed("default_role") {
            // The list replaces the live one, so it is always sent in full.
            let live = object.state["roles"]
                .as_array()
                .map(|roles| roles.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>());
            call.set_iam_roles(spec.roles.clone().or(live))
                .set_default_iam_role_arn(spec.default_role().map(str::to_owned))
        } else if changed("log_exports") {
            call.set_log_exports(logs(spec))
        } else {
            call.set_kms_key_id(spec.kms_key.clone())
        };
        call.send().await.map(drop).map_err(fault("redshift-serverless:UpdateNamespace"))
    }

    /// What a variable holds is known only now.
    async fn preflight(&self, spec: &Value) -> Result<Vec<String>, Fault> {
        let admin = serde_json::from_value(spec["admin"].clone()).ok();
        let Some(Admin::User(AdminUser { password: Some(SecretSource::Environment { env }), .. })) = admin else {
            return Ok(Vec::new());
        };
        let is_weak = self.cloud.secrets().get(&env).is_some_and(|password| !is_password(password.expose()));
        let told = format!(
            "the admin password in {env} must have 8 to 64 characters, with a small letter, a capital letter and a digit, and no spaces, quotes, /, \\ or @"
        );
        Ok(if is_weak { vec![told] } else { Vec::new() })
    }

    /// A final snapshot needs a name that no other has; otherwise the namespace would be refused only when its workgroup is
    /// gone.
    async fn preflight_delete(&self, _object: &Object, options: &DeleteOptions) -> Result<Vec<String>, Fault> {
        let Some(name) = &options.final_snapshot else { return Ok(Vec::new()) };
        if !is_snapshot_name(name) {
            return Ok(vec![format!(
                "its final snapshot cannot be named `{name}`: Redshift Serverless takes at most 255 small letters, digits and single hyphens, a letter first"
            )]);
        }
        let call = self.cloud.redshift_serverless().await.get_snapshot().snapshot_name(name);
        match call.send().await.map_err(fault("redshift-serverless:GetSnapshot")) {
            Ok(answer) => {
                let of = answer.snapshot.and_then(|one| one.namespace_name).unwrap_or_default();
                Ok(vec![format!(
                    "its final snapshot cannot be named `{name}`: there is a snapshot of that name, of namespace `{of}`"
                )])
            }
            Err(fault) if fault.is_not_found() => Ok(Vec::new()),
            Err(fault) => Err(fault),
        }
    }

    async fn delete(&self, object: &Object, options: &DeleteOptions) -> Result<(), Fault> {
        let client = self.cloud.redshift_serverless().await;
        client
            .delete_namespace()
            .namespace_name(&object.identity)
            .set_final_snapshot_name(options.final_snapshot.clone())
            .send()
            .await
            .map(drop)
            .map_err(fault("redshift-serverless:DeleteNamespace"))
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        redshift_common::add_tags(&self.cloud, object, tags).await
    }

    async fn holders(&self, object: &Object) -> Result<Vec<String>, Fault> {
        let workgroups = redshift_common::workgroups(&self.cloud).await?.into_iter();
        let users = workgroups.filter(|group| group.namespace_name.as_deref() == Some(object.identity.as_str()));
        Ok(users.map(|group| format!("workgroup {}", group.workgroup_name.unwrap_or_default())).collect())
    }

    fn examples(&self, _place: &Place) -> Vec<Example> {
        let first = json!({ "database": "club", "admin": "managed" });
        let mut logged = first.clone();
        logged["log_exports"] = json!(["userlog", "connectionlog"]);
        vec![Example { name: "warehouse", spec: first, changed: vec![logged] }]
    }
}

fn logs(spec: &Spec) -> Option<Vec<LogExport>> {
    spec.log_exports.as_ref().map(|logs| logs.iter().map(|log| log.to_sdk()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_found_inside_the_service_s_text() {
        let arn = "arn:aws:iam::111122223333:role/dms-access-for-endpoint";
        assert_eq!(role_arn(&format!("IamRole(applyStatus=in-sync, iamRoleArn={arn})")), arn);
        assert_eq!(role_arn(&format!("IamRole(iamRoleArn={arn}, applyStatus=adding)")), arn);
        assert_eq!(role_arn(arn), arn);
    }

    #[test]
    fn roles_on_their_way_are_waited_for() {
        let text = |status: &str| format!("IamRole(applyStatus={status}, iamRoleArn=arn:aws:iam::111122223333:role/r)");
        let of = |status: &str| object(Live::builder().namespace_name("n").iam_roles(text(status)).build()).readiness;
        assert_eq!(of("adding"), Readiness::Pending("roles adding".to_owned()));
        assert_eq!(of("in-sync"), Readiness::Ready);
    }

    #[test]
    fn a_database_that_is_not_told_is_not_known_and_aws_s_own_key_is_none() {
        let live = Live::builder().namespace_name("club-warehouse").kms_key_id(AWS_OWNED_KEY).build();
        let object = object(live);
        assert!(object.state.get("database").is_none() && !object.outputs.contains_key("database"));
        assert_eq!(object.state["default_role"], "none");
        assert!(object.state.get("kms_key").is_none());
        assert_eq!(object.state["admin"]["managed"], false);
    }
}
