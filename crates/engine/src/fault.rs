//! What can go wrong in the world outside: one fault type for every call of every kind.
//!
//! A fault carries facts (operation, code, request id) and a class. What follows from the class
//! (retry, wait, give up) is decided in `apply`, nowhere else.

use serde::{Deserialize, Serialize};

/// How the engine treats a fault. The table of codes per service is in `crates/aws/src/fault.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultClass {
    /// The object is not there. Success for a delete.
    NotFound,
    /// An object of that name is there already.
    AlreadyExists,
    /// The object or something that uses it is busy; the same call will work later.
    Busy,
    /// Something just made is not visible to the service yet (IAM roles, fresh secrets).
    NotPropagated,
    /// Too many calls.
    Throttled,
    /// A quota or capacity of the account is used up; retrying does not help.
    Quota,
    /// The caller may not do this.
    Denied,
    /// The request itself is wrong.
    Invalid,
    /// The service failed or could not be reached; the effect of the call is unknown.
    Unavailable,
    /// A create of several calls has made the object and a later call failed: the object is ours,
    /// and what it lacks is still to be done.
    Unfinished,
    /// Anything else.
    Other,
}

/// A failed call, with what a person needs to look it up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{operation} failed: {code}: {message}{}", request_id.as_deref().map(|id| format!(" (request {id})")).unwrap_or_default())]
pub struct Fault {
    /// What the engine does about it.
    pub class: FaultClass,
    /// Service and operation, e.g. `dms:CreateEndpoint`.
    pub operation: String,
    /// The service's own code, e.g. `InvalidResourceStateFault`.
    pub code: String,
    /// The service's message, with secrets taken out.
    pub message: String,
    /// The service's request id, where it sent one.
    pub request_id: Option<String>,
}

impl Fault {
    /// A fault found on our side of the wire (a reference that does not resolve, a state that
    /// cannot be read), for which no service gave a code.
    pub fn local(class: FaultClass, operation: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            class,
            operation: operation.into(),
            code: format!("{class:?}"),
            message: message.into(),
            request_id: None,
        }
    }

    /// Whether the object was found missing.
    pub fn is_not_found(&self) -> bool {
        self.class == FaultClass::NotFound
    }
}
