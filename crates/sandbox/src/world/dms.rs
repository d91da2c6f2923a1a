//! State of DMS.

use serde::{Deserialize, Serialize};

use super::Tags;

/// What DMS holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Dms {}

impl Dms {
    /// Every object that bears tags, by ARN.
    #[expect(clippy::unused_self, reason = "there is nothing to list yet")]
    pub fn tagged(&self) -> Vec<(String, Tags)> {
        Vec::new()
    }
}
