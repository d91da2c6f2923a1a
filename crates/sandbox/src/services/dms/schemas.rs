//! The schemas of an endpoint's database, read when asked to and told until asked again.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_postgres::NoTls;

use super::common::{page, wrong_state};
use super::{endpoints, instances, probe};
use crate::call::{ApiError, Call};
use crate::cloud::Cloud;
use crate::services::redshift_data::warehouse;
use crate::world::dms::{Outcome, SchemaRefresh};

const REFRESHING: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(10);

/// `RefreshSchemas`: "Populates the schema for the specified endpoint. This is an asynchronous operation and can take
/// several minutes."
pub(super) fn refresh(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let arn = call.input.required("EndpointArn")?.to_owned();
    let instance = call.input.required("ReplicationInstanceArn")?.to_owned();
    endpoints::by_arn(call, &arn)?;
    let name = instances::name_of(call, &instance)?;
    let now = call.clock.now();
    let state = call.world.dms.instances[&name].lifecycle.at(now).to_owned();
    if state != "available" {
        return Err(wrong_state(format!("Replication Instance {name} is not in an available state: {state}")));
    }
    let number = call.world.dms.schemas.get(&arn).map_or(1, |earlier| earlier.number + 1);
    let refresh = SchemaRefresh {
        instance_arn: instance,
        begun: now,
        number,
        outcome: Outcome::Testing { since: now },
        schemas: call.world.dms.schemas.get(&arn).map(|earlier| earlier.schemas.clone()).unwrap_or_default(),
    };
    let shown = show(call, &arn, &refresh);
    call.world.dms.schemas.insert(arn.clone(), refresh);
    let shown_at = call.clock.after(REFRESHING);
    let planted = call.fate == crate::call::Fate::Failure;
    call.afterwards(move |cloud| async move {
        let found = if planted { Err(probe::failed("the connection timed out")) } else { read(&cloud, &arn).await };
        let written = cloud.write(|world| {
            let refresh = world.dms.schemas.get_mut(&arn).filter(|refresh| refresh.number == number);
            let Some(refresh) = refresh else { return };
            refresh.outcome = Outcome::Done { shown_at, failure: found.as_ref().err().cloned() };
            if let Ok(schemas) = found {
                refresh.schemas = schemas;
            }
        });
        if let Err(error) = written {
            tracing::warn!(%error, "the schemas of an endpoint could not be kept");
        }
    });
    Ok(json!({ "RefreshSchemasStatus": shown }))
}

/// The schemas as the database tells them.
async fn read(cloud: &Cloud, arn: &str) -> Result<Vec<String>, String> {
    let is_source = cloud
        .read(|world| world.dms.endpoints.values().find(|endpoint| endpoint.arn == arn).map(|own| own.is_source))
        .map_err(|error| error.to_string())?;
    let config = match is_source {
        Some(true) => probe::source(cloud, arn).await?,
        _ => warehouse::config(cloud, &probe::target_namespace(cloud, arn)?).await?,
    };
    let failed = |error: tokio_postgres::Error| probe::failed(&error.to_string());
    let connecting = tokio::time::timeout(PATIENCE, config.connect(NoTls)).await;
    let (client, connection) =
        connecting.map_err(|_| probe::failed("could not connect to server: Connection timed out"))?.map_err(failed)?;
    let connection = tokio::spawn(connection);
    let select =
        "select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' order by 1";
    let rows = client.query(select, &[]).await.map_err(failed);
    connection.abort();
    Ok(rows?.iter().map(|row| row.get(0)).collect())
}

/// `DescribeRefreshSchemasStatus`.
pub(super) fn status(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let arn = call.input.required("EndpointArn")?.to_owned();
    endpoints::by_arn(call, &arn)?;
    let refresh = call.world.dms.schemas.get(&arn);
    let refresh = refresh.ok_or_else(|| super::common::not_found("No schema refresh was run for the endpoint"))?;
    Ok(json!({ "RefreshSchemasStatus": show(call, &arn, refresh) }))
}

/// `DescribeSchemas`.
pub(super) fn describe(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let arn = call.input.required("EndpointArn")?;
    endpoints::by_arn(call, arn)?;
    let known = call.world.dms.schemas.get(arn).map(|refresh| refresh.schemas.clone()).unwrap_or_default();
    page(call.input, "Schemas", known.into_iter().map(Value::from).collect())
}

fn show(call: &Call<'_>, arn: &str, refresh: &SchemaRefresh) -> Value {
    let (status, failure) = refresh.outcome.at(call.clock.now());
    let status = if status == "testing" { "refreshing" } else { status };
    json!({
        "EndpointArn": arn,
        "ReplicationInstanceArn": refresh.instance_arn,
        "Status": status,
        "LastRefreshDate": refresh.begun.epoch(),
        "LastFailureMessage": failure,
    })
}
