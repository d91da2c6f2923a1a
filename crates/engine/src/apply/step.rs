//! One step, from the journalled intent to the object that is as wanted.
//!
//! Every verb may be repeated after an unknown outcome, because each begins by looking: a create
//! whose answer was lost is settled by finding the object, never by making another one.

use std::time::Duration;

use super::retry::Retry;
use super::{Outcome, Run, unwritable};
use crate::diff;
use crate::fault::{Fault, FaultClass};
use crate::journal::Record;
use crate::kind::{AnyKind, DeleteOptions, Object, Outputs, Poll, Readiness, tag};
use crate::plan::{Action, Step};
use crate::value::{Value, is_unknown, references};

/// Seconds for which a read after a change may still show the old state. Source: the states right
/// after an asynchronous call that the polling recipes of Terraform's provider allow for.
const STALE: f64 = 30.0;

/// Shortest seconds between two looks.
const SHORTEST: f64 = 0.5;

/// What is waited for.
enum Goal<'a> {
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

pub(super) async fn carry_out(run: &Run<'_>, step: &Step) -> Outcome {
    let Some(kind) = run.context.registry.get(&step.address.kind) else {
        unreachable!("`run` has checked every kind of the plan")
    };
    let notify = |fault: &Fault, delay: f64| {
        run.tell(crate::event::EventKind::StepRetried {
            step: step.id,
            address: step.address.clone(),
            fault: fault.clone(),
            delay,
        });
    };
    let retry = Retry::new(run.context.clock, run.context.seed ^ step.id as u64).telling(&notify);
    let one = One { run, step, kind: kind.as_ref(), retry: &retry };
    match one.carry_out().await {
        Ok(outcome) => outcome,
        Err(fault) => Outcome::Failed(fault),
    }
}

struct One<'a> {
    run: &'a Run<'a>,
    step: &'a Step,
    kind: &'a dyn AnyKind,
    retry: &'a Retry<'a>,
}

impl One<'_> {
    async fn carry_out(&self) -> Result<Outcome, Fault> {
        let spec = self.run.resolved(&self.step.spec);
        if is_unknown(&spec) {
            let missing = references(&spec).remove(0);
            return Err(Fault::local(
                FaultClass::Invalid,
                "resolve",
                format!("`{}` has no output `{}`", missing.resource, missing.attribute),
            ));
        }
        if self.run.context.lease.is_lost() {
            return Ok(Outcome::LeaseLost);
        }
        let began = self.run.context.clock.now();
        let intended = Record::Intended {
            address: self.step.address.clone(),
            action: self.step.action,
            identity: self.step.identity.clone(),
            group: self.step.group.clone(),
        };
        self.record(intended)?;
        let outcome = match self.step.action {
            Action::Create => self.create(&spec).await?,
            Action::Update => self.update(&spec).await?,
            Action::Delete => self.delete().await?,
            Action::Tag => self.tag().await?,
            Action::Pause => self.turn(false).await?,
            Action::Resume => self.turn(true).await?,
        };
        if let Outcome::Done { outputs, .. } = &outcome {
            let identity = outputs.get("identity").and_then(Value::as_str).unwrap_or(&self.step.identity).to_owned();
            self.record(Record::Done {
                address: self.step.address.clone(),
                action: self.step.action,
                identity,
                elapsed: self.run.elapsed(began),
            })?;
        }
        Ok(outcome)
    }

    fn record(&self, record: Record) -> Result<(), Fault> {
        self.run.record(record).map_err(|error| unwritable(&error))
    }

    /// Reads the kind's objects, at the earliest with a call begun now.
    async fn look(&self) -> Result<std::sync::Arc<Vec<Object>>, Fault> {
        self.run.lists.read(self.kind, self.run.context.clock.now(), self.run.context.clock, self.retry).await
    }

    async fn find(&self, identity: &str) -> Result<Option<Object>, Fault> {
        Ok(self.look().await?.iter().find(|object| object.identity.eq_ignore_ascii_case(identity)).cloned())
    }

    /// The object that the step's create has made or would make again: by our tags, else by name.
    async fn find_made(&self) -> Result<Option<Object>, Fault> {
        let objects = self.look().await?;
        let ours = objects.iter().find(|object| self.is_ours(object) && object.readiness != Readiness::Deleting);
        let named = || {
            objects.iter().find(|object| {
                let name = object.outputs.get("name").and_then(Value::as_str).unwrap_or(&object.identity);
                name.eq_ignore_ascii_case(&self.step.identity)
            })
        };
        Ok(ours.or_else(named).cloned())
    }

    fn is_ours(&self, object: &Object) -> bool {
        object.owner() == Some((self.run.plan.place.stack.as_str(), self.step.address.name.as_str()))
    }

    async fn create(&self, spec: &Value) -> Result<Outcome, Fault> {
        let facts = self.kind.facts();
        let mut tags = self.step.tags.clone();
        if tags.contains_key(tag::STACK) {
            tags.insert(tag::RUN.to_owned(), self.run.context.run.clone());
        }
        let began = self.run.context.clock.now();
        let mut attempt = 0;
        let mut recovered = false;
        let identity = loop {
            self.retry.settle(self.kind.kind()).await;
            let fault = match self.kind.create(&self.step.identity, spec, &tags).await {
                Ok(identity) => break identity,
                Err(fault) => fault,
            };
            // The answer may be lost while the object was made, by this call or an earlier run's.
            if matches!(fault.class, FaultClass::Unavailable | FaultClass::AlreadyExists)
                && let Some(object) = self.find_made().await?
            {
                match &object.readiness {
                    Readiness::Deleting => {
                        self.retry.wait(&fault, facts.poll.interval).await;
                        attempt += 1;
                        if self.retry.since(began) < facts.poll.give_up {
                            continue;
                        }
                        return Err(fault);
                    }
                    _ if self.is_ours(&object) || self.is_untagged_make(&object) => {
                        recovered = true;
                        break object.identity;
                    }
                    _ => return Err(self.foreign(&object)),
                }
            }
            let elapsed = self.retry.since(began);
            let retried = if fault.class == FaultClass::AlreadyExists {
                // Exists by the service's word and is in no list yet, or is on its way out.
                (elapsed < STALE).then_some(facts.poll.interval.min(2.0))
            } else {
                self.retry.delay(&fault.operation, &fault, attempt, elapsed, facts.poll.give_up)
            };
            let Some(delay) = retried else { return Err(fault) };
            self.retry.wait(&fault, delay).await;
            attempt += 1;
        };
        let outcome = self
            .wait(&Goal::Ready { identity: &identity, spec, fields: &[] }, facts.create.typical, facts.poll)
            .await?;
        if recovered && let Outcome::Done { outputs, .. } = outcome {
            return Ok(Outcome::Done { outputs, recovered });
        }
        Ok(outcome)
    }

    /// Whether an object without tags is the one this step's lost create has made: its kind sends
    /// tags apart from the create, and the plan saw that nothing had the name.
    fn is_untagged_make(&self, object: &Object) -> bool {
        let untagged = object.tags.as_ref().is_none_or(std::collections::BTreeMap::is_empty);
        !self.kind.facts().taggable || untagged || !self.step.tags.contains_key(tag::STACK)
    }

    fn foreign(&self, object: &Object) -> Fault {
        let owner = object.owner().map_or_else(
            || "carries no towpath tags".to_owned(),
            |(stack, name)| format!("belongs to `{name}` of stack `{stack}`"),
        );
        Fault::local(
            FaultClass::AlreadyExists,
            format!("{}:create", self.kind.kind()),
            format!("`{}` exists already and {owner}; it was left alone", object.identity),
        )
    }

    async fn update(&self, spec: &Value) -> Result<Outcome, Fault> {
        let facts = self.kind.facts();
        let fields: Vec<String> = self.step.changes.iter().map(|change| change.path.clone()).collect();
        let began = self.run.context.clock.now();
        let mut attempt = 0;
        loop {
            let object = self.required().await?;
            if let Readiness::Pending(status) = &object.readiness {
                // Changing what is already changing is refused by every service.
                if self.retry.since(began) >= facts.poll.give_up {
                    return Ok(Outcome::InProgress(status.clone()));
                }
                self.sleep(facts.poll.interval).await;
                continue;
            }
            match self.kind.update(&object, spec, &fields).await {
                Ok(()) => break,
                Err(fault) => self.again(&fault, &mut attempt, began).await?,
            }
        }
        let identity = self.step.identity.clone();
        self.wait(&Goal::Ready { identity: &identity, spec, fields: &fields }, facts.update.typical, facts.poll).await
    }

    async fn required(&self) -> Result<Object, Fault> {
        self.find(&self.step.identity).await?.ok_or_else(|| {
            Fault::local(
                FaultClass::NotFound,
                format!("{}:read", self.kind.kind()),
                format!("`{}` is gone since the plan was made", self.step.identity),
            )
        })
    }

    /// Waits for the next attempt or returns the fault.
    async fn again(&self, fault: &Fault, attempt: &mut u32, began: chrono::DateTime<chrono::Utc>) -> Result<(), Fault> {
        let busy = self.kind.facts().poll.give_up;
        match self.retry.delay(&fault.operation, fault, *attempt, self.retry.since(began), busy) {
            Some(delay) => {
                *attempt += 1;
                self.retry.wait(fault, delay).await;
                Ok(())
            }
            None => Err(fault.clone()),
        }
    }

    async fn delete(&self) -> Result<Outcome, Fault> {
        let facts = self.kind.facts();
        let options = DeleteOptions { final_snapshot: self.step.final_snapshot.clone(), force: true };
        let began = self.run.context.clock.now();
        let mut attempt = 0;
        loop {
            let Some(object) = self.find(&self.step.identity).await? else { return Ok(gone(false)) };
            if object.readiness == Readiness::Deleting {
                break;
            }
            match self.kind.delete(&object, &options).await {
                Ok(()) => break,
                Err(fault) if fault.is_not_found() => return Ok(gone(true)),
                Err(mut fault) => {
                    if fault.class == FaultClass::Busy {
                        let holders = self.kind.holders(&object).await.unwrap_or_default();
                        if !holders.is_empty() {
                            fault.message = format!("{} (held by {})", fault.message, holders.join(", "));
                        }
                    }
                    self.again(&fault, &mut attempt, began).await?;
                }
            }
        }
        self.wait(&Goal::Gone { identity: &self.step.identity }, facts.delete.typical, facts.poll).await
    }

    async fn tag(&self) -> Result<Outcome, Fault> {
        let object = self.required().await?;
        self.retry.call(self.kind.kind(), || self.kind.tag(&object, &self.step.tags)).await?;
        Ok(Outcome::Done { outputs: with_identity(&object), recovered: false })
    }

    /// Stops or starts running work. Before a stop it is journalled that it must run again.
    async fn turn(&self, wanted: bool) -> Result<Outcome, Fault> {
        let facts = self.kind.facts();
        let began = self.run.context.clock.now();
        let deleted =
            self.run.plan.steps.iter().any(|step| step.action == Action::Delete && step.address == self.step.address);
        if !wanted && !deleted {
            self.record(Record::MustResume {
                address: self.step.address.clone(),
                identity: self.step.identity.clone(),
            })?;
        }
        let mut attempt = 0;
        loop {
            let object = self.required().await?;
            if object.running == wanted && object.readiness == Readiness::Ready {
                break;
            }
            let call = if wanted { self.kind.resume(&object).await } else { self.kind.pause(&object).await };
            match call {
                Ok(()) => break,
                Err(fault) => self.again(&fault, &mut attempt, began).await?,
            }
        }
        let identity = self.step.identity.clone();
        self.wait(&Goal::Running { identity: &identity, wanted }, facts.update.typical, facts.poll).await
    }

    /// Looks until the goal is reached. The first looks come early and the intervals grow with the
    /// time waited, so that short waits end soon and long ones cost few calls.
    async fn wait(&self, goal: &Goal<'_>, typical: f64, poll: Poll) -> Result<Outcome, Fault> {
        let began = self.run.context.clock.now();
        let mut steady = 0;
        let mut status = String::from("waiting");
        self.sleep(poll.first.min(typical * 0.8)).await;
        loop {
            let objects = self.look().await?;
            let waited = self.retry.since(began);
            match self.reached(goal, &objects, waited)? {
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
            if waited >= poll.give_up {
                return Ok(Outcome::InProgress(status));
            }
            self.sleep((waited * 0.02).clamp(SHORTEST, poll.interval.max(SHORTEST))).await;
        }
    }

    fn reached(&self, goal: &Goal<'_>, objects: &[Object], waited: f64) -> Result<Look, Fault> {
        let find = |identity: &str| objects.iter().find(|object| object.identity.eq_ignore_ascii_case(identity));
        match goal {
            Goal::Gone { identity } => Ok(match find(identity) {
                None => Look::Reached(Outputs::new()),
                Some(object) => Look::NotYet(describe(object)),
            }),
            Goal::Running { identity, wanted } => match find(identity) {
                Some(object) if object.running == *wanted && object.readiness == Readiness::Ready => {
                    Ok(Look::Reached(with_identity(object)))
                }
                Some(object) => Ok(Look::NotYet(describe(object))),
                None => Err(self.lost(identity)),
            },
            Goal::Ready { identity, spec, fields } => match find(identity) {
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

    /// Whether a read after an update already shows the new values.
    fn shows(&self, object: &Object, spec: &Value, fields: &[String]) -> bool {
        fields.is_empty()
            || diff::compare(self.kind, spec, &object.state, &object.pending)
                .changes
                .iter()
                .all(|change| !fields.contains(&change.path))
    }

    fn lost(&self, identity: &str) -> Fault {
        Fault::local(
            FaultClass::NotFound,
            format!("{}:wait", self.kind.kind()),
            format!("`{identity}` vanished while it was waited for"),
        )
    }

    async fn sleep(&self, seconds: f64) {
        self.run.context.clock.sleep(Duration::from_secs_f64(seconds.max(0.0))).await;
    }
}

enum Look {
    Reached(Outputs),
    NotYet(String),
}

fn gone(recovered: bool) -> Outcome {
    Outcome::Done { outputs: Outputs::new(), recovered }
}

fn with_identity(object: &Object) -> Outputs {
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
