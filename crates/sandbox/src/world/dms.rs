//! What DMS keeps: one map per kind of object, keyed by identifier in lower case.
//!
//! `body` of an object is its answer on the wire without the members that change by themselves.

use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Tags;
use crate::clock::Timestamp;
use crate::load::TableProgress;
use crate::vault::Sealed;

/// What DMS holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Dms {
    /// Replication subnet groups.
    pub(crate) subnet_groups: IndexMap<String, SubnetGroup>,
    /// Replication instances.
    pub(crate) instances: IndexMap<String, Instance>,
    /// Endpoints.
    pub(crate) endpoints: IndexMap<String, Endpoint>,
    /// Replication tasks.
    pub(crate) tasks: IndexMap<String, Task>,
    /// Configurations of DMS Serverless.
    pub(crate) replications: IndexMap<String, Replication>,
    /// Connection tests.
    pub(crate) connections: Vec<Connection>,
    /// Data providers.
    pub(crate) data_providers: IndexMap<String, Simple>,
    /// Instance profiles.
    pub(crate) instance_profiles: IndexMap<String, Simple>,
    /// Migration projects.
    pub(crate) migration_projects: IndexMap<String, Simple>,
    /// Tags by ARN.
    pub(crate) tags: IndexMap<String, Tags>,
    /// Events.
    pub(crate) events: Vec<Event>,
    /// The schemas of endpoints' databases, by the endpoint's ARN.
    pub(crate) schemas: IndexMap<String, SchemaRefresh>,
}

impl Dms {
    /// Every object that bears tags, by ARN.
    pub(crate) fn tagged(&self) -> Vec<(String, Tags)> {
        self.tags.iter().map(|(arn, tags)| (arn.clone(), tags.clone())).collect()
    }

    /// The work of every task and of every serverless replication.
    pub(crate) fn works(&self) -> impl Iterator<Item = &Work> {
        self.tasks.values().map(|task| &task.work).chain(self.replications.values().map(|one| &one.work))
    }

    /// The work of the task or replication with an ARN.
    pub(crate) fn work_mut(&mut self, arn: &str) -> Option<&mut Work> {
        let tasks = self.tasks.values_mut().map(|task| &mut task.work);
        tasks.chain(self.replications.values_mut().map(|one| &mut one.work)).find(|work| work.arn == arn)
    }
}

/// A state, and the ones that follow by themselves at given moments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lifecycle {
    state: String,
    #[serde(default)]
    next: Vec<(Timestamp, String)>,
}

/// The name of a state in which an object is no more.
const GONE: &str = "";

impl Lifecycle {
    /// A state that stays.
    pub(crate) fn steady(state: &str) -> Self {
        Self { state: state.to_owned(), next: Vec::new() }
    }

    /// This state until a moment, then another.
    #[must_use]
    pub(crate) fn then(mut self, at: Timestamp, state: &str) -> Self {
        self.next.push((at, state.to_owned()));
        self
    }

    /// This state until a moment, then the object is gone.
    #[must_use]
    pub(crate) fn then_gone(self, at: Timestamp) -> Self {
        self.then(at, GONE)
    }

    /// The state at `now`.
    pub(crate) fn at(&self, now: Timestamp) -> &str {
        self.next.iter().rev().find(|(at, _)| *at <= now).map_or(&self.state, |(_, state)| state)
    }

    /// Whether the object is gone at `now`.
    pub(crate) fn is_gone(&self, now: Timestamp) -> bool {
        self.at(now) == GONE
    }

    /// Whether it ends with the object gone.
    pub(crate) fn ends(&self) -> bool {
        self.next.last().is_some_and(|(_, state)| state == GONE)
    }

    /// The moment at which it leaves a state that it passes through.
    pub(crate) fn after(&self, state: &str) -> Option<Timestamp> {
        let at = self.next.iter().position(|(_, next)| next == state);
        let next = if self.state == state { Some(0) } else { at.map(|at| at + 1) };
        self.next.get(next?).map(|(at, _)| *at)
    }

    /// The moment of the last change that is planned.
    pub(crate) fn settles_at(&self) -> Option<Timestamp> {
        self.next.last().map(|(at, _)| *at)
    }
}

/// A replication subnet group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SubnetGroup {
    /// Its identifier.
    pub(crate) identifier: String,
    /// Its arn.
    pub(crate) arn: String,
    /// Its description.
    pub(crate) description: String,
    /// Its vpc.
    pub(crate) vpc: String,
    /// Its subnets.
    pub(crate) subnets: Vec<String>,
    /// Whether a zero-ETL integration manages it.
    #[serde(default)]
    pub(crate) read_only: bool,
}

/// A replication instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Instance {
    /// Its identifier.
    pub(crate) identifier: String,
    /// Its arn.
    pub(crate) arn: String,
    /// Its subnet group.
    pub(crate) subnet_group: String,
    /// Its security groups.
    pub(crate) security_groups: Vec<String>,
    /// Its lifecycle.
    pub(crate) lifecycle: Lifecycle,
    /// Changes that wait for the maintenance window.
    pub(crate) pending: Map<String, Value>,
    /// Its body.
    pub(crate) body: Map<String, Value>,
    /// The network interface it keeps in its subnet.
    pub(crate) interface: Option<String>,
}

/// An endpoint; `password` is never shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// Its identifier.
    pub(crate) identifier: String,
    /// Its arn.
    pub(crate) arn: String,
    /// Its is source.
    pub(crate) is_source: bool,
    /// Its engine.
    pub(crate) engine: String,
    /// Its password.
    pub(crate) password: Option<Sealed>,
    /// Its lifecycle.
    pub(crate) lifecycle: Lifecycle,
    /// Its body.
    pub(crate) body: Map<String, Value>,
    /// Its settings.
    pub(crate) settings: Map<String, Value>,
}

/// The last test of an endpoint from an instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Connection {
    /// Its instance arn.
    pub(crate) instance_arn: String,
    /// Its endpoint arn.
    pub(crate) endpoint_arn: String,
    /// Its outcome.
    pub(crate) outcome: Outcome,
    /// Which test this is, so that a late result of an older one is dropped.
    pub(crate) number: u64,
}

/// After this time a test without a result belongs to a process that died.
const ABANDONED: Duration = Duration::from_secs(90);

/// How far a connection test is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// Waiting for its result; a result that does not come by the moment counts as failed.
    Testing { since: Timestamp },
    /// The result is known but shown from a moment on.
    Done { shown_at: Timestamp, failure: Option<String> },
}

impl Outcome {
    /// Status and failure text at `now`.
    pub(crate) fn at(&self, now: Timestamp) -> (&'static str, Option<&str>) {
        match self {
            Self::Done { shown_at, failure } if *shown_at <= now => {
                (if failure.is_some() { "failed" } else { "successful" }, failure.as_deref())
            }
            Self::Testing { since } if now.since(*since) > ABANDONED => {
                ("failed", Some("Test Endpoint failed: the test was interrupted"))
            }
            _ => ("testing", None),
        }
    }
}

/// What is carried from where to where, and how far that is: a task's, or a serverless replication's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    /// Its identifier.
    pub(crate) identifier: String,
    /// Its arn.
    pub(crate) arn: String,
    /// Its source arn.
    pub(crate) source_arn: String,
    /// Its target arn.
    pub(crate) target_arn: String,
    /// Its migration type.
    pub(crate) migration_type: String,
    /// Its mappings.
    pub(crate) mappings: String,
    /// The declared settings; defaults are filled in when read.
    pub(crate) settings: Value,
    /// Where change data capture begins.
    #[serde(default)]
    pub(crate) cdc_start: Option<String>,
    /// Where it ends.
    #[serde(default)]
    pub(crate) cdc_stop: Option<String>,
    /// Its created.
    pub(crate) created: Timestamp,
    /// Its lifecycle.
    pub(crate) lifecycle: Lifecycle,
    /// Its failure.
    pub(crate) failure: Option<String>,
    /// Its stop reason.
    pub(crate) stop_reason: Option<String>,
    /// Its fresh start.
    pub(crate) fresh_start: Option<Timestamp>,
    /// Its started.
    pub(crate) started: Option<Timestamp>,
    /// Its stopped.
    pub(crate) stopped: Option<Timestamp>,
    /// Its load started.
    pub(crate) load_started: Option<Timestamp>,
    /// Its load finished.
    pub(crate) load_finished: Option<Timestamp>,
    /// Counts the starts; the directory of a run's progress is named by it.
    pub(crate) run: u64,
    /// How the run at hand was started.
    pub(crate) start_type: String,
    /// The tables of the run at hand, or of the last one.
    pub(crate) tables: Vec<TableProgress>,
    /// Tables of the run at hand that are to be loaded again: schema and name on the source.
    #[serde(default)]
    pub(crate) reloads: Vec<(String, String)>,
    /// Whether the run at hand ends in an error that resuming gets over: a planted fault.
    #[serde(default)]
    pub(crate) breaks: bool,
    /// Who copies rows for the task, and when it last said so.
    pub(crate) owner: Option<(String, Timestamp)>,
}

/// The states between the start of a task or a serverless replication and its running, in their order. Source: DMS user
/// guide, "AWS DMS Serverless components".
const BEGINNING: [&str; 8] = [
    "starting",
    "initializing",
    "preparing_metadata_resources",
    "testing_connection",
    "fetching_metadata",
    "calculating_capacity",
    "provisioning_capacity",
    "replication_starting",
];

impl Work {
    /// Work that was never begun.
    pub(crate) fn new(identifier: String, arn: String, created: Timestamp, lifecycle: Lifecycle) -> Self {
        Self {
            identifier,
            arn,
            source_arn: String::new(),
            target_arn: String::new(),
            migration_type: String::new(),
            mappings: String::new(),
            settings: Value::Object(Map::new()),
            cdc_start: None,
            cdc_stop: None,
            created,
            lifecycle,
            failure: None,
            stop_reason: None,
            fresh_start: None,
            started: None,
            stopped: None,
            load_started: None,
            load_finished: None,
            run: 0,
            start_type: String::new(),
            tables: Vec::new(),
            reloads: Vec::new(),
            breaks: false,
            owner: None,
        }
    }

    /// Whether it reads or writes this endpoint, and is not gone.
    pub(crate) fn uses(&self, endpoint: &str, now: Timestamp) -> bool {
        (self.source_arn == endpoint || self.target_arn == endpoint) && !self.lifecycle.is_gone(now)
    }

    /// Whether it was started and does not run yet.
    pub(crate) fn begins(&self, now: Timestamp) -> bool {
        BEGINNING.contains(&self.lifecycle.at(now))
    }

    /// Whether it was started and has no end yet.
    pub(crate) fn is_busy(&self, now: Timestamp) -> bool {
        self.begins(now) || ["running", "stopping"].contains(&self.lifecycle.at(now))
    }

    /// Notes a start of this type and forgets what the run before has left, unless this one goes on with it.
    pub(crate) fn begin(&mut self, start_type: &str, lifecycle: Lifecycle, now: Timestamp) {
        self.lifecycle = lifecycle;
        self.run += 1;
        start_type.clone_into(&mut self.start_type);
        self.started = Some(now);
        self.failure = None;
        self.stop_reason = None;
        self.stopped = None;
        if start_type != "resume-processing" {
            self.fresh_start = Some(now);
            self.load_started = None;
            self.load_finished = None;
            self.tables.clear();
            self.reloads.clear();
        }
    }
}

/// A replication task.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the name of the wire's member")]
pub(crate) struct Task {
    /// What it carries.
    #[serde(flatten)]
    pub(crate) work: Work,
    /// Its instance arn.
    pub(crate) instance_arn: String,
    /// The instance it is on its way to.
    #[serde(default)]
    pub(crate) moves_to: Option<String>,
    /// Its task data.
    pub(crate) task_data: Option<String>,
}

/// A configuration of DMS Serverless with its one replication.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Replication {
    /// What it carries.
    #[serde(flatten)]
    pub(crate) work: Work,
    /// Its supplemental settings.
    pub(crate) supplemental: Option<String>,
    /// Its subnet group.
    pub(crate) subnet_group: String,
    /// Its compute configuration, as it is answered.
    pub(crate) compute: Map<String, Value>,
    /// When it was changed last.
    pub(crate) updated: Timestamp,
    /// Its capacity, once there was any: provisioning, provisioned, deprovisioning, deprovisioned.
    pub(crate) capacity: Option<Lifecycle>,
    /// When its capacity is taken away.
    pub(crate) deprovisioned_at: Option<Timestamp>,
}

impl Replication {
    /// Whether its capacity was taken away, and with it what is known of its tables.
    pub(crate) fn is_deprovisioned(&self, now: Timestamp) -> bool {
        self.capacity.as_ref().is_some_and(|capacity| capacity.at(now) == "deprovisioned")
    }

    /// Whether it has capacity.
    pub(crate) fn is_provisioned(&self, now: Timestamp) -> bool {
        self.capacity.as_ref().is_some_and(|capacity| capacity.at(now) == "provisioned")
    }

    /// Its work has come to an end: its capacity is taken away between these two moments.
    pub(crate) fn release(&mut self, from: Timestamp, until: Timestamp) {
        self.deprovisioned_at = Some(until);
        let capacity = Lifecycle::steady("provisioned").then(from, "deprovisioning").then(until, "deprovisioned");
        self.capacity = self.capacity.take().map(|_| capacity);
    }
}

/// An object without a life of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Simple {
    /// Its name.
    pub(crate) name: String,
    /// Its arn.
    pub(crate) arn: String,
    /// Its body.
    pub(crate) body: Map<String, Value>,
}

/// The last reading of the schemas of an endpoint's database.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SchemaRefresh {
    /// The instance that reads.
    pub(crate) instance_arn: String,
    /// When it began.
    pub(crate) begun: Timestamp,
    /// Which reading this is, so that a late result of an older one is dropped.
    pub(crate) number: u64,
    /// How far it is.
    pub(crate) outcome: Outcome,
    /// What the last good reading found.
    pub(crate) schemas: Vec<String>,
}

/// Something that happened, as `DescribeEvents` tells it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    /// Its source.
    pub(crate) source: String,
    /// Its source type.
    pub(crate) source_type: String,
    /// Its message.
    pub(crate) message: String,
    /// Its category.
    pub(crate) category: String,
    /// Its at.
    pub(crate) at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifecycle_moves_on_by_the_clock_alone() {
        let life = Lifecycle::steady("creating").then(Timestamp(10), "available");
        assert_eq!(life.at(Timestamp(9)), "creating");
        assert_eq!(life.at(Timestamp(10)), "available");
        let life = Lifecycle::steady("deleting").then_gone(Timestamp(5));
        assert!(!life.is_gone(Timestamp(4)));
        assert!(life.is_gone(Timestamp(5)));
    }
}
