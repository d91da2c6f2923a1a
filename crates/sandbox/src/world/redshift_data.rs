//! State of the Redshift Data API.

use serde::{Deserialize, Serialize};

/// What the Redshift Data API holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RedshiftData {}
