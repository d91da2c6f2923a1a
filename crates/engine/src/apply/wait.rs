//! Waiting until an object is as wanted: looks at the shared lists, believes no state that is
//! older than the change, and gives up with "in progress", never with a failure.

use std::time::Duration;

use super::Outcome;
use super::poll::Mark;
use super::step::{Halt, One};
use crate::diff;
use crate::fault::{Fault, FaultClass};
use crate::kind::{Object, Outputs, Poll, Readiness, Tags, tag};
use crate::plan::Action;
use crate::value::Value;

/// Fewest looks before waiting is given up: where time is scaled, the limit alone may pass while
/// the machine is busy with something else.
const LOOKS: u32 = 60;

/// The same where the stack says how long to wait.
const LOOKS_ASKED: u32 = 3;

/// Seconds for which a read after a change may still show the old state. Source: the states right
/// after an asynchronous call that the polling recipes of Terraform's provider allow for.
pub(super) const STALE: f64 = 30.0;

/// Shortest seconds between two looks.
const SHORTEST: f64 = 0.5;

/// Longest seconds for which an interrupt is not noticed.
const PIECE: f64 = 5.0;

/// What is waited for.
pub(super) enum Goal<'a> {
    /// Ready, and the named fields as in the spec.
    Ready {
        identity: &'a str,
        spec: &'a Value,
        fields: &'a [String],
    },
    Gone {
        identity: &'a str,
    },
    Running {
        identity: &'a str,
        wanted: bool,
    },
}

enum Look {
    Reached(Outputs),
    NotYet(String),
}

impl One<'_> {
    /// Looks until the goal is reached. The first looks come early and the intervals grow with the
    /// time waited, so that short waits end soon and long ones cost few calls.
    pub(super) async fn wait(&self, goal: &Goal<'_>, typical: f64, poll: Poll) -> Result<Outcome, Halt> {
        let began = self.run.context.clock.steady();
        let mark = self.run.lists.mark(self.kind);
        let mut steady = 0;
        let mut worked = false;
        let mut looks = 0;
        let mut status = String::from("waiting");
        let mut interval = poll.first.min(typical * 0.8).min(poll.give_up).max(0.0);
        loop {
            self.sleep(interval).await;
            self.may_call()?;
            let objects = self.look_since(mark, interval * 0.5).await?;
            looks += 1;
            let waited = self.retry.since(began);
            self.complete_tags(goal, &objects).await?;
            if let Goal::Running { identity, wanted: true } = goal {
                worked |= find(&objects, identity).is_some_and(|object| object.running);
            }
            match self.reached(goal, &objects, waited, worked)? {
                Look::Reached(outputs) => {
                    steady += 1;
                    if steady >= poll.stable {
                        return Ok(Outcome::Done { outputs, recovered: false });
                    }
                }
                Look::NotYet(now) => {
                    steady = 0;
                    if now != status {
                        self.run.tell(crate::event::EventKind::StepWaiting {
                            step: self.step.id,
                            address: self.step.address.clone(),
                            status: now.clone(),
                        });
                        status = now;
                    }
                }
            }
            // What was begun goes on without us: an interrupted run leaves the waiting to the next.
            let looks_at_least = if self.step.give_up.is_some() { LOOKS_ASKED } else { LOOKS };
            if (waited >= poll.give_up && looks >= looks_at_least) || self.is_interrupted() {
                return Ok(Outcome::Left { status, begun: true });
            }
            interval = (waited * 0.02).clamp(SHORTEST, poll.interval.max(SHORTEST));
        }
    }

    async fn look_since(&self, mark: Mark, age: f64) -> Result<std::sync::Arc<Vec<Object>>, Fault> {
        self.run.lists.read(self.kind, mark, age, self.run.context.clock, self.retry).await
    }

    /// Tags that a service lost on the way are put on as soon as the new object is seen: without
    /// them it would be nobody's.
    async fn complete_tags(&self, goal: &Goal<'_>, objects: &[Object]) -> Result<(), Halt> {
        let Goal::Ready { identity, .. } = goal else { return Ok(()) };
        if self.step.action != Action::Create {
            return Ok(());
        }
        let Some(object) = find(objects, identity) else { return Ok(()) };
        let Some(live) = &object.tags else { return Ok(()) };
        let lacks = |key: &&String| !live.contains_key(*key);
        if object.readiness == Readiness::Deleting || !self.step.tags.keys().any(|key| lacks(&key)) {
            return Ok(());
        }
        let tags = self.tags();
        self.retagged.store(true, std::sync::atomic::Ordering::SeqCst);
        self.write_tags(object, &tags).await
    }

    /// The step's tags, and for objects that are ours the run that made them.
    pub(super) fn tags(&self) -> Tags {
        let mut tags = self.step.tags.clone();
        if tags.contains_key(tag::STACK) {
            tags.insert(tag::RUN.to_owned(), self.run.context.run.clone());
        }
        tags
    }

    /// `worked` says whether the object was seen at work since it was asked to.
    fn reached(&self, goal: &Goal<'_>, objects: &[Object], waited: f64, worked: bool) -> Result<Look, Fault> {
        match goal {
            // Whoever takes the name as soon as it is free is not waited for.
            Goal::Gone { identity } => Ok(match find(objects, identity).filter(|object| !self.is_taken(object)) {
                None => Look::Reached(Outputs::new()),
                Some(object) => Look::NotYet(describe(object)),
            }),
            Goal::Running { identity, wanted } => match find(objects, identity) {
                Some(object) if object.running == *wanted && object.readiness == Readiness::Ready => {
                    Ok(Look::Reached(with_identity(object)))
                }
                // Work may be over before anyone looks; what is shown right after may be older.
                Some(object) if *wanted && object.readiness == Readiness::Ready && (worked || waited >= STALE) => {
                    match self.kind.ended(object) {
                        Some(Ok(())) => Ok(Look::Reached(with_identity(object))),
                        Some(Err(reason)) => Err(Fault::local(
                            FaultClass::Other,
                            format!("{}:resume", self.kind.kind()),
                            format!("`{identity}` was started again and ended: {reason}"),
                        )),
                        None => Ok(Look::NotYet(describe(object))),
                    }
                }
                Some(object) => Ok(Look::NotYet(describe(object))),
                None if waited < STALE => Ok(Look::NotYet("not visible".to_owned())),
                None => Err(self.lost(identity)),
            },
            Goal::Ready { identity, spec, fields } => match find(objects, identity) {
                None if waited < STALE => Ok(Look::NotYet("not visible yet".to_owned())),
                None => Err(self.lost(identity)),
                Some(object) => match &object.readiness {
                    Readiness::Failed(reason) if waited >= STALE || fields.is_empty() => Err(Fault::local(
                        FaultClass::Other,
                        format!("{}:wait", self.kind.kind()),
                        format!("`{identity}` is in a failed state: {reason}"),
                    )),
                    Readiness::Ready if waited >= STALE || self.shows(object, spec, fields) => {
                        Ok(Look::Reached(with_identity(object)))
                    }
                    _ => Ok(Look::NotYet(describe(object))),
                },
            },
        }
    }

    /// Whether an object that stands under the name of a deleted one is somebody else's.
    fn is_taken(&self, object: &Object) -> bool {
        object.readiness != Readiness::Deleting && self.is_no_longer_ours(object)
    }

    /// Whether a read after an update already shows the new values.
    fn shows(&self, object: &Object, spec: &Value, fields: &[String]) -> bool {
        fields.is_empty()
            || diff::compare(self.kind, spec, &object.state, &object.pending)
                .changes
                .iter()
                .all(|change| !fields.contains(&change.path))
    }

    pub(super) fn lost(&self, identity: &str) -> Fault {
        Fault::local(
            FaultClass::NotFound,
            format!("{}:wait", self.kind.kind()),
            format!("`{identity}` vanished while it was waited for"),
        )
    }

    /// Sleeps in short pieces, so that an interrupt or a lost lease ends it early.
    pub(super) async fn sleep(&self, seconds: f64) {
        let mut left = seconds.max(0.0);
        self.rest();
        while left > 0.0 && !self.is_interrupted() && self.may_call().is_ok() {
            let piece = left.min(PIECE);
            self.run.context.clock.sleep(Duration::from_secs_f64(piece)).await;
            left -= piece;
        }
    }
}

/// The object of that identity. Services compare names without regard to case.
pub(super) fn find<'a>(objects: &'a [Object], identity: &str) -> Option<&'a Object> {
    objects.iter().find(|object| object.identity.eq_ignore_ascii_case(identity))
}

/// An object's outputs and its identity as one more, for steps that come after.
pub(super) fn with_identity(object: &Object) -> Outputs {
    let mut outputs = object.outputs.clone();
    outputs.entry("identity".to_owned()).or_insert_with(|| Value::String(object.identity.clone()));
    outputs
}

fn describe(object: &Object) -> String {
    match &object.readiness {
        Readiness::Ready if object.running => "running".to_owned(),
        Readiness::Ready => "ready".to_owned(),
        Readiness::Pending(status) => status.clone(),
        Readiness::Failed(reason) => format!("failed: {reason}"),
        Readiness::Deleting => "deleting".to_owned(),
    }
}
