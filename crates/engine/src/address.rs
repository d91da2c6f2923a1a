//! The name of a resource inside a stack: its kind and its key in the file.
//!
//! Physical names and ARNs are not addresses; those are the `identity` and the outputs of an
//! [`Object`](crate::kind::Object).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A resource of a stack, shown as `kind.name`, e.g. `dms/endpoint.source`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    /// The kind as written in the stack file, e.g. `dms/endpoint`.
    pub kind: String,
    /// The key of the block under `resources:`, e.g. `source`.
    pub name: String,
}

impl Address {
    /// An address from its two parts; neither is checked against any stack.
    pub fn new(kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind: kind.into(), name: name.into() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.kind, self.name)
    }
}
