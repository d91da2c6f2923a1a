//! What Redshift Serverless says about its tracks, and lists of what nobody can make here.

use serde_json::{Value, json};

use super::{not_found, page};
use crate::call::{ApiError, Call};

/// The tracks, each with the one a workgroup may be moved to.
const TRACKS: [(&str, &str); 2] = [("current", "trailing"), ("trailing", "current")];
const VERSION: &str = "1.0.100000";

fn shown(name: &str, other: &str) -> Value {
    json!({
        "trackName": name, "workgroupVersion": VERSION,
        "updateTargets": [{"trackName": other, "workgroupVersion": VERSION}],
    })
}

/// `GetTrack`.
pub(super) fn track(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let name = call.input.required("trackName")?;
    let found = TRACKS.iter().find(|(own, _)| *own == name);
    let (name, other) = found.ok_or_else(|| not_found(format!("Track not found: {name}")))?;
    Ok(json!({ "track": shown(name, other) }))
}

/// `ListTracks`.
pub(super) fn tracks(call: &mut Call<'_>) -> Result<Value, ApiError> {
    page(call.input, "tracks", TRACKS.iter().map(|(name, other)| shown(name, other)).collect())
}

/// `ListRecoveryPoints`: none is ever made here.
pub(super) fn recovery_points(call: &mut Call<'_>) -> Result<Value, ApiError> {
    page(call.input, "recoveryPoints", Vec::new())
}

/// `ListTableRestoreStatus`: no table is ever restored by itself here.
pub(super) fn table_restores(call: &mut Call<'_>) -> Result<Value, ApiError> {
    page(call.input, "tableRestoreStatuses", Vec::new())
}

/// `ListScheduledActions`.
pub(super) fn scheduled_actions(call: &mut Call<'_>) -> Result<Value, ApiError> {
    page(call.input, "scheduledActions", Vec::new())
}

/// `ListCustomDomainAssociations`.
pub(super) fn custom_domains(call: &mut Call<'_>) -> Result<Value, ApiError> {
    page(call.input, "associations", Vec::new())
}

/// `ListManagedWorkgroups`.
pub(super) fn managed_workgroups(call: &mut Call<'_>) -> Result<Value, ApiError> {
    page(call.input, "managedWorkgroups", Vec::new())
}

/// `ListReservations`.
pub(super) fn reservations(call: &mut Call<'_>) -> Result<Value, ApiError> {
    page(call.input, "reservationsList", Vec::new())
}

/// `GetResourcePolicy`: nobody can attach one here.
pub(super) fn resource_policy(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let arn = call.input.required("resourceArn")?;
    Err(not_found(format!("No resource policy found for {arn}")))
}
