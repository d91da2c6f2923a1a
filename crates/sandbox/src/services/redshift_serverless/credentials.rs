//! Temporary credentials of a database user, who is a real one of the sandbox's PostgreSQL.
//!
//! The workgroup's address leads nowhere from this machine: the warehouse is reached where the sandbox's PostgreSQL listens.

use std::time::Duration;

use serde_json::{Value, json};

use super::not_found;
use crate::arn::random_text;
use crate::call::{ApiError, Input};
use crate::cloud::Cloud;
use crate::services::redshift_data::warehouse;

const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
/// "The default is 900 seconds"; "between 900 and 3600".
const LIVES: std::ops::RangeInclusive<i64> = 900..=3600;
/// The user of the caller, who is `user/sandbox`.
const USER: &str = "IAM:sandbox";

/// `GetCredentials`. "The IAM user or role running GetCredentials ... The user name is prefixed with IAM: or IAMR:". The user
/// is made without grants. Who asks again before the password ends gets the same one for longer.
pub(super) async fn get(cloud: Cloud, input: Value) -> Result<Value, ApiError> {
    let request = Input::new(&input, super::SERVICE.codes);
    let own = request.required("workgroupName")?;
    let seconds = request.integer("durationSeconds")?.unwrap_or(*LIVES.start());
    if !LIVES.contains(&seconds) {
        return Err(request.invalid("durationSeconds must be between 900 and 3600"));
    }
    let now = cloud.clock().now();
    let internal = |error: String| ApiError::new("InternalServerException", error).status(500);
    let found = cloud.read(|world| {
        let state = &world.redshift_serverless;
        let workgroup = state.workgroups.get(own).filter(|own| !own.lifecycle.is_gone(now))?;
        state.namespaces.get(&workgroup.namespace).map(|own| (own.name.clone(), own.database().to_owned()))
    });
    let (namespace, database) = found
        .map_err(|error| internal(error.to_string()))?
        .ok_or_else(|| not_found(format!("Workgroup not found: {own}")))?;
    if let Some(asked) = request.text("dbName")?.filter(|asked| *asked != database) {
        return Err(request.invalid(format!("Database {asked} does not exist")));
    }
    let expires = now.plus(Duration::from_secs(seconds.unsigned_abs()));
    let (fresh, vault) = (random_text(32, ALPHABET), cloud.vault().clone());
    let password = cloud.write(|world| {
        let all = &mut world.redshift_serverless.credentials;
        let kept = all.get(USER).filter(|(_, until)| *until > now).and_then(|(sealed, _)| vault.unseal(sealed).ok());
        let password = kept.map_or(fresh, |kept| kept.expose().to_owned());
        let until = all.get(USER).map_or(expires, |(_, until)| (*until).max(expires));
        all.insert(USER.to_owned(), (vault.seal(&password), until));
        password
    });
    let password = password.map_err(|error| internal(error.to_string()))?;
    let config = warehouse::config(&cloud, &namespace).await.map_err(internal)?;
    let client = warehouse::connect(&config).await.map_err(internal)?;
    let made = format!(
        "do $$ begin create role \"{USER}\"; exception when duplicate_object then null; end $$; \
         alter role \"{USER}\" login password '{password}' valid until '{}'",
        expires.iso()
    );
    client.batch_execute(&made).await.map_err(|error| internal(error.to_string()))?;
    Ok(
        json!({"dbUser": USER, "dbPassword": password, "expiration": expires.epoch(), "nextRefreshTime": expires.epoch()}),
    )
}
