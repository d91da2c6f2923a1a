//! Connection tests: the gate before a task may start.

use std::time::Duration;

use serde_json::{Value, json};

use super::common::{filters, not_found, page, passes, wrong_state};
use super::{endpoints, instances, probe, quotas};
use crate::call::{ApiError, Call};
use crate::clock::Timestamp;
use crate::cloud::Cloud;
use crate::world::dms::{Connection, Outcome};

/// How long a test takes.
pub(super) const TESTING: Duration = Duration::from_secs(45);

/// How often a test that is taken up is tried, and how long apart: the sandbox's own PostgreSQL may be about to start.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// `TestConnection`.
pub(super) fn test(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (instance, endpoint) = (call.input.required("ReplicationInstanceArn")?, call.input.required("EndpointArn")?);
    let name = instances::name_of(call, instance)?;
    endpoints::by_arn(call, endpoint)?;
    let now = call.clock.now();
    let state = call.world.dms.instances[&name].lifecycle.at(now).to_owned();
    if state != "available" {
        return Err(wrong_state(format!("Replication Instance {name} is not in an available state: {state}")));
    }
    if let Some(running) = find(call, instance, endpoint).filter(|connection| connection.outcome.at(now).0 == "testing")
    {
        return Err(wrong_state(format!("Connection to endpoint {} is already being tested", running.endpoint_arn)));
    }
    quotas::require_room_for_endpoints(call, instance, &[endpoint])?;
    begin(call, instance, endpoint);
    let shown = find(call, instance, endpoint).map(|connection| show(call, connection));
    Ok(json!({ "Connection": shown }))
}

fn find<'a>(call: &'a Call<'_>, instance: &str, endpoint: &str) -> Option<&'a Connection> {
    call.world
        .dms
        .connections
        .iter()
        .find(|connection| connection.instance_arn == instance && connection.endpoint_arn == endpoint)
}

/// Begins a test whose result is written when it is known, and shown after the time a test takes.
pub(super) fn begin(call: &mut Call<'_>, instance: &str, endpoint: &str) {
    let number = find(call, instance, endpoint).map_or(1, |connection| connection.number + 1);
    let connection = Connection {
        instance_arn: instance.to_owned(),
        endpoint_arn: endpoint.to_owned(),
        outcome: Outcome::Testing { since: call.clock.now() },
        number,
    };
    let shown_at = call.clock.after(TESTING);
    call.world.dms.connections.retain(|old| old.instance_arn != instance || old.endpoint_arn != endpoint);
    call.world.dms.connections.push(connection.clone());
    let planted = call.fate == crate::call::Fate::Failure;
    call.afterwards(move |cloud| async move {
        let failure = if planted {
            Some(probe::failed("the connection timed out"))
        } else {
            probe::test(&cloud, &connection.endpoint_arn, &connection.instance_arn).await.err()
        };
        keep(&cloud, &connection, shown_at, failure);
    });
}

/// Keeps the result of a test, unless another one is known.
fn keep(cloud: &Cloud, test: &Connection, shown_at: Timestamp, failure: Option<String>) {
    let written = cloud.write(|world| {
        let mut all = world.dms.connections.iter_mut();
        let is_it = |own: &&mut Connection| {
            own.instance_arn == test.instance_arn
                && own.endpoint_arn == test.endpoint_arn
                && own.number == test.number
                && matches!(own.outcome, Outcome::Testing { .. })
        };
        if let Some(connection) = all.find(is_it) {
            connection.outcome = Outcome::Done { shown_at, failure };
        }
    });
    if let Err(error) = written {
        tracing::warn!(%error, "the result of a connection test could not be kept");
    }
}

/// Makes the tests that are under way as this process begins once more: the process that made them may be
/// dead, and whoever comes first keeps the result.
pub(crate) fn take_up(cloud: &Cloud) {
    let own = cloud.clone();
    cloud.spawn(async move {
        let is_open = |test: &&Connection| matches!(test.outcome, Outcome::Testing { .. });
        let open = own.read(|world| world.dms.connections.iter().filter(is_open).cloned().collect::<Vec<_>>());
        for test in open.unwrap_or_default() {
            let shown_at = own.clock().after(TESTING);
            let mut failure = probe::test(&own, &test.endpoint_arn, &test.instance_arn).await.err();
            for _ in 1..TRIES {
                if failure.is_none() {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
                failure = probe::test(&own, &test.endpoint_arn, &test.instance_arn).await.err();
            }
            keep(&own, &test, shown_at, failure);
        }
    });
}

/// Refuses unless the last test of the pair was successful.
pub(super) fn require_success(call: &Call<'_>, instance: &str, endpoint: &str) -> Result<(), ApiError> {
    let outcome = find(call, instance, endpoint).map(|connection| connection.outcome.at(call.clock.now()).0);
    match outcome {
        Some("successful") => Ok(()),
        Some("testing") => Err(wrong_state(format!("Endpoint {endpoint} is already being tested"))),
        _ => Err(wrong_state(
            "Test connection for replication instance and endpoint should be successful for starting the replication task",
        )),
    }
}

/// `DescribeConnections`.
pub(super) fn describe(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let filters = filters(call.input, &["endpoint-arn", "replication-instance-arn"])?;
    let found: Vec<Value> = call
        .world
        .dms
        .connections
        .iter()
        .filter(|connection| {
            passes(&filters, |name| {
                vec![if name == "endpoint-arn" {
                    connection.endpoint_arn.clone()
                } else {
                    connection.instance_arn.clone()
                }]
            })
        })
        .map(|connection| show(call, connection))
        .collect();
    if found.is_empty() && !filters.is_empty() {
        return Err(not_found("No Connections found matching provided filters"));
    }
    page(call.input, "Connections", found)
}

/// `DeleteConnection`.
pub(super) fn delete(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (instance, endpoint) = (call.input.required("ReplicationInstanceArn")?, call.input.required("EndpointArn")?);
    let connection = find(call, instance, endpoint).cloned().ok_or_else(|| not_found("Connection not found"))?;
    let mut shown = show(call, &connection);
    shown["Status"] = json!("deleting");
    call.world.dms.connections.retain(|old| old.instance_arn != instance || old.endpoint_arn != endpoint);
    Ok(json!({ "Connection": shown }))
}

fn show(call: &Call<'_>, connection: &Connection) -> Value {
    let (status, failure) = connection.outcome.at(call.clock.now());
    let dms = &call.world.dms;
    json!({
        "ReplicationInstanceArn": connection.instance_arn,
        "EndpointArn": connection.endpoint_arn,
        "Status": status,
        "LastFailureMessage": failure,
        "EndpointIdentifier": dms.endpoints.values().find(|own| own.arn == connection.endpoint_arn).map(|own| &own.identifier),
        "ReplicationInstanceIdentifier": dms.instances.values().find(|own| own.arn == connection.instance_arn).map(|own| &own.identifier),
    })
}
