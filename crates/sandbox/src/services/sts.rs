//! AWS STS: who am I.

use serde_json::{Value, json};

use crate::call::{ApiError, Call, Codes};
use crate::protocol::query::Dialect;
use crate::router::{Operation, Protocol, Reach, Service};

pub(crate) const SERVICE: Service = Service {
    name: "sts",
    protocol: Protocol::Query { dialect: Dialect::Query, namespace: "https://sts.amazonaws.com/doc/2011-06-15/" },
    reach: Reach::Global,
    codes: &Codes { missing: "ValidationError", invalid: "ValidationError" },
    operations: &[("GetCallerIdentity", Operation::Call(get_caller_identity))],
};

/// The unique id of the caller.
pub(super) const CALLER_ID: &str = "AIDASANDBOXSANDBOXSAN";

#[expect(clippy::unnecessary_wraps, reason = "operations share one type")]
fn get_caller_identity(call: &mut Call<'_>) -> Result<Value, ApiError> {
    Ok(json!({
        "Arn": call.place.global_arn("iam", "user/sandbox"),
        "UserId": CALLER_ID,
        "Account": call.place.account,
    }))
}
