//! State of CloudWatch Logs: groups and their streams. Only sizes are kept of what is logged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Tags;
use crate::clock::Timestamp;

/// What CloudWatch Logs holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Logs {
    /// Log groups by name.
    pub(crate) groups: BTreeMap<String, LogGroup>,
}

/// A log group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LogGroup {
    /// Its ARN, without the `:*` that addresses its streams.
    pub(crate) arn: String,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// Days after which events are forgotten; never when absent.
    pub(crate) retention: Option<i64>,
    /// Streams by name, with the bytes they hold.
    pub(crate) streams: BTreeMap<String, LogStream>,
    /// Tags.
    pub(crate) tags: Tags,
}

/// A log stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LogStream {
    /// When it was made.
    pub(crate) created: Timestamp,
    /// Bytes of the events written to it.
    pub(crate) bytes: u64,
}

impl Logs {
    /// The group and stream a service writes to on its owner's behalf, made where they are missing.
    pub(crate) fn written(&mut self, arn: String, group: &str, stream: &str, bytes: u64, now: Timestamp) {
        let group = self.groups.entry(group.to_owned()).or_insert_with(|| LogGroup::new(arn, now));
        let stream = group.streams.entry(stream.to_owned()).or_insert(LogStream { created: now, bytes: 0 });
        stream.bytes = stream.bytes.saturating_add(bytes);
    }

    /// Every group that bears tags, by ARN.
    pub(crate) fn tagged(&self) -> Vec<(String, Tags)> {
        self.groups.values().map(|group| (group.arn.clone(), group.tags.clone())).collect()
    }
}

impl LogGroup {
    /// An empty group that keeps its events for ever.
    pub(crate) fn new(arn: String, now: Timestamp) -> Self {
        Self { arn, created: now, retention: None, streams: BTreeMap::new(), tags: Tags::new() }
    }

    /// Bytes of all its events.
    pub(crate) fn bytes(&self) -> u64 {
        self.streams.values().map(|stream| stream.bytes).sum()
    }
}
