//! Namespaces.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{conflict, name, not_found, page, require_room, snapshots, tags};
use crate::Quota;
use crate::arn::random_text;
use crate::call::{ApiError, Call, Input};
use crate::clock::Timestamp;
use crate::services::redshift_data::warehouse;
use crate::world::dms::Lifecycle;
use crate::world::redshift_serverless::Namespace;
use crate::world::secretsmanager::{SecretVersion, StoredSecret};

const MODIFYING: Duration = Duration::from_secs(15);
const DELETING: Duration = Duration::from_secs(30);
const ROLE_SYNC: Duration = Duration::from_secs(10);
/// What may be changed together in one `UpdateNamespace`.
const CONCERNS: [&[&str]; 5] = [
    &["adminUsername", "adminUserPassword"],
    &["manageAdminPassword", "adminPasswordSecretKmsKeyId"],
    &["iamRoles", "defaultIamRoleArn"],
    &["kmsKeyId"],
    &["logExports"],
];
const LOGS: [&str; 3] = ["useractivitylog", "userlog", "connectionlog"];

/// `CreateNamespace`.
pub(super) fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let own = name(input, "namespaceName")?.to_owned();
    let now = call.clock.now();
    if call.world.redshift_serverless.namespaces.get(&own).is_some_and(|old| !old.lifecycle.is_gone(now)) {
        return Err(conflict(format!("Namespace {own} already exists.")));
    }
    let standing = call.world.redshift_serverless.namespaces.values().filter(|own| !own.lifecycle.is_gone(now)).count();
    require_room(call, Quota::Namespaces, standing)?;
    let managed = input.flag("manageAdminPassword")?.unwrap_or(false);
    if managed && input.has("adminUserPassword") {
        return Err(input.invalid("You can't use adminUserPassword if manageAdminPassword is true."));
    }
    let database = input.text("dbName")?.map(str::to_owned);
    if let Some(name) = &database {
        check_identifier(input, "dbName", name, 127)?;
    }
    if let Some(name) = input.text("adminUsername")? {
        check_identifier(input, "adminUsername", name, 128)?;
    }
    let id = Uuid::new_v4().to_string();
    let arn = call.place.arn("redshift-serverless", &format!("namespace/{id}"));
    let mut namespace = Namespace {
        name: own.clone(),
        id,
        arn,
        created: now,
        lifecycle: Lifecycle::steady("AVAILABLE"),
        admin: input.text("adminUsername")?.unwrap_or("admin").to_owned(),
        password: None,
        secret: None,
        secret_key: None,
        database,
        had_workgroup: false,
        has_data: false,
        roles: Vec::new(),
        roles_in_sync_at: call.clock.after(ROLE_SYNC),
        default_role: None,
        kms_key: input.text("kmsKeyId")?.map(str::to_owned),
        log_exports: logs(input)?,
    };
    take_roles(input, &mut namespace)?;
    if let Some(password) = input.text("adminUserPassword")? {
        check_password(input, password)?;
        namespace.password = Some(call.vault.seal(password));
    } else if managed {
        manage_password(call, &mut namespace)?;
    }
    let arn = namespace.arn.clone();
    tags::keep(call, &arn)?;
    let shown = show(&namespace, now);
    call.world.redshift_serverless.namespaces.insert(own, namespace);
    Ok(json!({ "namespace": shown }))
}

fn logs(input: Input<'_>) -> Result<Vec<String>, ApiError> {
    let asked = input.texts("logExports")?;
    if let Some(unknown) = asked.iter().find(|log| !LOGS.contains(log)) {
        return Err(input.invalid(format!("Unknown log export: {unknown}")));
    }
    Ok(asked.into_iter().map(str::to_owned).collect())
}

/// "[a-zA-Z][a-zA-Z_0-9+.@-]*" of `DbName`, which has at most 127 characters, and `AdminUsername` (CloudFormation's public resource
/// schema `AWS::RedshiftServerless::Namespace`; the length of the latter is that of `AWS::Redshift::Cluster`).
fn check_identifier(input: Input<'_>, member: &str, name: &str, most: usize) -> Result<(), ApiError> {
    let fits = name.len() <= most
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_+.@-".contains(c));
    if fits {
        return Ok(());
    }
    Err(input.invalid(format!(
        "The {member} {name} must begin with a letter and have at most {most} letters, digits and _+.@-"
    )))
}

/// The same schema's `AdminUserPassword`: a small letter, a capital letter and a digit, no spaces, quotes, /, @ and \.
fn check_password(input: Input<'_>, password: &str) -> Result<(), ApiError> {
    let has = |test: fn(char) -> bool| password.chars().any(test);
    if (8..=64).contains(&password.len())
        && has(|c| c.is_ascii_uppercase())
        && has(|c| c.is_ascii_lowercase())
        && has(|c| c.is_ascii_digit())
        && password.chars().all(|c| c.is_ascii_graphic() && !r#""'/@\"#.contains(c))
    {
        Ok(())
    } else {
        Err(input.invalid("The admin password must be 8 to 64 characters long and contain at least one uppercase letter, one lowercase letter and one number, and no spaces, quotes, slashes, backslashes or @."))
    }
}

fn take_roles(input: Input<'_>, namespace: &mut Namespace) -> Result<(), ApiError> {
    if input.has("iamRoles") {
        namespace.roles = input.texts("iamRoles")?.into_iter().map(str::to_owned).collect();
    }
    if let Some(bad) = namespace.roles.iter().find(|role| !role.contains(":role/")) {
        return Err(input.invalid(format!("Invalid IAM role ARN: {bad}")));
    }
    match input.text("defaultIamRoleArn")? {
        Some("") => namespace.default_role = None,
        Some(arn) if namespace.roles.iter().any(|role| role == arn) => namespace.default_role = Some(arn.to_owned()),
        Some(arn) => {
            return Err(input.invalid(format!("The default IAM role {arn} is not among the namespace's IAM roles")));
        }
        None => {}
    }
    Ok(())
}

fn new_password() -> String {
    format!("Aa1{}", random_text(29, b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"))
}

/// Changes the admin password that the secret with this ARN holds, as its rotation does.
pub(crate) fn rotate_admin_password(call: &mut Call<'_>, secret: &str, version: &str) {
    let now = call.clock.now();
    let password = new_password();
    let sealed = call.vault.seal(&password);
    let mut namespaces = call.world.redshift_serverless.namespaces.values_mut();
    let Some(namespace) = namespaces.find(|own| own.secret.as_deref() == Some(secret)) else { return };
    namespace.password = Some(sealed);
    let value = json!({"username": namespace.admin, "password": password}).to_string();
    let value = SecretVersion { value: call.vault.seal(&value), binary: false, stages: Vec::new(), created: now };
    if let Some(kept) = call.world.secretsmanager.find_mut(secret) {
        kept.add(version, value, now);
    }
}

/// Makes a password and the secret in which Redshift keeps it.
fn manage_password(call: &mut Call<'_>, namespace: &mut Namespace) -> Result<(), ApiError> {
    let now = call.clock.now();
    let password = new_password();
    namespace.password = Some(call.vault.seal(&password));
    namespace.secret_key = call.input.text("adminPasswordSecretKmsKeyId")?.map(str::to_owned);
    let name = format!("redshift!{}-{}", namespace.name, namespace.admin);
    let value = json!({"username": namespace.admin, "password": password}).to_string();
    let suffix = random_text(6, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
    let arn = call.place.arn("secretsmanager", &format!("secret:{name}-{suffix}"));
    let version = SecretVersion {
        value: call.vault.seal(&value),
        binary: false,
        stages: vec!["AWSCURRENT".to_owned()],
        created: now,
    };
    let secret = StoredSecret {
        name: name.clone(),
        arn: arn.clone(),
        description: Some(format!("Secret for the admin user of namespace {}", namespace.name)),
        kms_key: namespace.secret_key.clone(),
        created: now,
        changed: now,
        deleted: None,
        gone_at: None,
        owning_service: Some("redshift".to_owned()),
        versions: BTreeMap::from([(Uuid::new_v4().to_string(), version)]),
        policy: None,
        tags: BTreeMap::new(),
    };
    call.world.secretsmanager.secrets.insert(name, secret);
    namespace.secret = Some(arn);
    Ok(())
}

/// Gives the secret in which Redshift keeps the password another key, if one is named.
fn encrypt_secret(call: &mut Call<'_>, namespace: &mut Namespace) -> Result<(), ApiError> {
    let Some(key) = call.input.text("adminPasswordSecretKmsKeyId")? else { return Ok(()) };
    namespace.secret_key = Some(key.to_owned());
    let secrets = call.world.secretsmanager.secrets.values_mut();
    for secret in secrets.filter(|secret| Some(&secret.arn) == namespace.secret.as_ref()) {
        secret.kms_key = Some(key.to_owned());
    }
    Ok(())
}

/// Removes the secret that Redshift made for a namespace.
fn drop_secret(call: &mut Call<'_>, namespace: &mut Namespace) {
    if let Some(arn) = namespace.secret.take() {
        call.world.secretsmanager.secrets.retain(|_, secret| secret.arn != arn);
    }
}

/// The namespace of the request.
fn find(call: &Call<'_>) -> Result<Namespace, ApiError> {
    let own = call.input.required("namespaceName")?;
    let found = call
        .world
        .redshift_serverless
        .namespaces
        .get(own)
        .filter(|namespace| !namespace.lifecycle.is_gone(call.clock.now()));
    found.cloned().ok_or_else(|| not_found(format!("Namespace not found: {own}")))
}

/// `GetNamespace`.
pub(super) fn get(call: &mut Call<'_>) -> Result<Value, ApiError> {
    Ok(json!({ "namespace": show(&find(call)?, call.clock.now()) }))
}

/// `ListNamespaces`.
pub(super) fn list(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let now = call.clock.now();
    let found = call
        .world
        .redshift_serverless
        .namespaces
        .values()
        .filter(|own| !own.lifecycle.is_gone(now))
        .map(|own| show(own, now))
        .collect();
    page(call.input, "namespaces", found)
}

fn require_quiet(namespace: &Namespace, now: Timestamp) -> Result<(), ApiError> {
    if namespace.lifecycle.at(now) == "AVAILABLE" {
        Ok(())
    } else {
        Err(conflict("There is an operation running on the namespace. Try to run the operation again later."))
    }
}

/// `UpdateNamespace`, one concern at a time.
pub(super) fn update(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut namespace = find(call)?;
    let input = call.input;
    let now = call.clock.now();
    require_quiet(&namespace, now)?;
    let concerns = CONCERNS.iter().filter(|members| members.iter().any(|member| input.has(member))).count();
    if concerns != 1 {
        return Err(input.invalid(if concerns == 0 {
            "No parameter to update was given."
        } else {
            "Can't update multiple configurations at the same time for namespace."
        }));
    }
    if input.has("adminUsername") != input.has("adminUserPassword") {
        return Err(input.invalid("adminUsername and adminUserPassword must be updated together."));
    }
    if let Some(admin) = input.text("adminUsername")? {
        check_identifier(input, "adminUsername", admin, 128)?;
        admin.clone_into(&mut namespace.admin);
    }
    if let Some(password) = input.text("adminUserPassword")? {
        check_password(input, password)?;
        drop_secret(call, &mut namespace);
        namespace.password = Some(call.vault.seal(password));
    }
    match input.flag("manageAdminPassword")? {
        Some(true) if namespace.secret.is_none() => manage_password(call, &mut namespace)?,
        Some(true) => encrypt_secret(call, &mut namespace)?,
        Some(false) => drop_secret(call, &mut namespace),
        _ => {}
    }
    if input.has("iamRoles") || input.has("defaultIamRoleArn") {
        take_roles(input, &mut namespace)?;
        namespace.roles_in_sync_at = call.clock.after(ROLE_SYNC);
    }
    if let Some(key) = input.text("kmsKeyId")? {
        namespace.kms_key = Some(key.to_owned());
    }
    if input.has("logExports") {
        namespace.log_exports = logs(input)?;
    }
    let done = call.clock.after(MODIFYING);
    namespace.lifecycle = Lifecycle::steady("MODIFYING").then(done, "AVAILABLE");
    // One changes with the other (hashicorp/terraform-provider-aws#26522).
    for own in call.world.redshift_serverless.workgroups.values_mut().filter(|own| own.namespace == namespace.name) {
        if own.lifecycle.at(now) == "AVAILABLE" && !own.lifecycle.ends() {
            own.lifecycle = Lifecycle::steady("MODIFYING").then(done, "AVAILABLE");
        }
    }
    let shown = show(&namespace, now);
    call.world.redshift_serverless.namespaces.insert(namespace.name.clone(), namespace);
    Ok(json!({ "namespace": shown }))
}

/// `DeleteNamespace`.
pub(super) fn delete(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut namespace = find(call)?;
    let now = call.clock.now();
    let user = call
        .world
        .redshift_serverless
        .workgroups
        .values()
        .find(|own| own.namespace == namespace.name && !own.lifecycle.is_gone(now));
    if let Some(workgroup) = user {
        return Err(conflict(format!(
            "There is an operation running on the namespace or workgroup {} is associated with it. Try to delete the namespace again later.",
            workgroup.name
        )));
    }
    require_quiet(&namespace, now)?;
    let data = warehouse::database_of(&namespace);
    let last = match call.input.text("finalSnapshotName")? {
        Some(name) => {
            let kept = call.input.integer("finalSnapshotRetentionPeriod")?.unwrap_or(-1);
            snapshots::add(call, &namespace, name, kept, Lifecycle::steady("AVAILABLE"))?
        }
        None => None,
    };
    drop_secret(call, &mut namespace);
    namespace.lifecycle = Lifecycle::steady("DELETING").then_gone(call.clock.after(DELETING));
    let own = namespace.name.clone();
    call.world.redshift_serverless.tags.shift_remove(&namespace.arn);
    let shown = show(&namespace, now);
    call.world.redshift_serverless.namespaces.insert(own, namespace);
    call.afterwards(move |cloud| async move {
        if let Some(copy) = last {
            copy.take(&cloud).await;
        }
        warehouse::forget(&cloud, data).await;
    });
    Ok(json!({ "namespace": shown }))
}

pub(super) fn show(namespace: &Namespace, now: Timestamp) -> Value {
    let sync = if namespace.roles_in_sync_at <= now { "in-sync" } else { "adding" };
    let roles: Vec<String> =
        namespace.roles.iter().map(|arn| format!("IamRole(applyStatus={sync}, iamRoleArn={arn})")).collect();
    json!({
        "namespaceName": namespace.name,
        "namespaceId": namespace.id,
        "namespaceArn": namespace.arn,
        "creationDate": namespace.created.iso(),
        "status": namespace.lifecycle.at(now),
        "adminUsername": namespace.admin,
        "adminPasswordSecretArn": namespace.secret,
        "adminPasswordSecretKmsKeyId": namespace.secret_key,
        "dbName": namespace.had_workgroup.then(|| namespace.database()),
        "iamRoles": roles,
        "defaultIamRoleArn": namespace.default_role,
        "kmsKeyId": namespace.kms_key.as_deref().unwrap_or("AWS_OWNED_KMS_KEY"),
        "logExports": namespace.log_exports,
    })
}
