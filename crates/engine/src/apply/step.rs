//! One step, from the journalled intent to the object that is as wanted.
//!
//! Every verb may be repeated after an unknown outcome, because each begins by looking: a create
//! whose answer was lost is settled by finding the object, never by making another one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::retry::Retry;
use super::turns::Turn;
use super::wait::{Goal, STALE, find, with_identity};
use super::{Outcome, Run, unwritable};
use crate::diff;
use crate::fault::{Fault, FaultClass};
use crate::journal::Record;
use crate::kind::{AnyKind, Object, Outputs, Poll, Readiness, Tags, tag};
use crate::plan::{Action, Step, other_users, seconds};
use crate::value::{Value, is_unknown, references};

/// Seconds between two looks for an object that may have been made by a call without an answer.
const SEARCH: f64 = 2.0;

/// Seconds of this machine's time that a step may take for calls, durable journal entries and looks alone.
const OWN_WORK: f64 = 1.0;

/// Why a step does not go on.
pub(super) enum Halt {
    Fault(Fault),
    /// Somebody else has taken the stack over: no call may be made any more.
    LeaseLost,
    /// The run was interrupted while the step had not had its way yet.
    Interrupted(Fault),
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Carries a step out in its `turn`; `way` is the seconds from here to the end.
pub(super) async fn carry_out(run: &Run<'_>, step: &Step, turn: Turn, way: f64) -> Outcome {
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
    let seed = run.context.seed ^ step.id as u64;
    let retry = Retry::new(run.context.clock, seed).sharing(&run.quiet).telling(&notify);
    let (turn, retagged) = (Mutex::new(Some(turn)), AtomicBool::new(false));
    let one = One { run, step, kind: kind.as_ref(), retry: &retry, retagged, turn, way };
    match one.carry_out().await {
        Ok(outcome) => outcome,
        Err(Halt::Fault(fault)) => Outcome::Failed(fault),
        Err(Halt::LeaseLost) => Outcome::LeaseLost,
        Err(Halt::Interrupted(fault)) => Outcome::Left { status: fault.message, begun: false },
    }
}

/// One step at work.
pub(super) struct One<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) step: &'a Step,
    pub(super) kind: &'a dyn AnyKind,
    pub(super) retry: &'a Retry<'a>,
    /// Whether the service had lost the tags of the new object, and with them what a kind keeps there.
    pub(super) retagged: AtomicBool,
    /// Given back while the step waits.
    turn: Mutex<Option<Turn>>,
    way: f64,
}

impl One<'_> {
    async fn carry_out(&self) -> Result<Outcome, Halt> {
        let spec = self.run.resolved(&self.step.spec);
        if is_unknown(&spec) {
            let missing = references(&spec).remove(0);
            return Err(Fault::local(
                FaultClass::Invalid,
                "resolve",
                format!("`{}` has no output `{}`", missing.resource, missing.attribute),
            )
            .into());
        }
        self.may_call()?;
        let began = self.run.context.clock.steady();
        // Waiting changes nothing, but its end settles what an earlier run meant to do.
        let intended = Record::Intended {
            address: self.step.address.clone(),
            action: self.step.action,
            identity: self.step.identity.clone(),
            group: self.step.group.clone(),
        };
        self.record(intended).await?;
        let outcome = match self.step.action {
            Action::Create => self.create(&spec).await?,
            Action::Update => self.update(&spec).await?,
            Action::Delete => self.delete().await?,
            Action::Tag => self.tag().await?,
            Action::Pause => self.turn(false).await?,
            Action::Resume => self.turn(true).await?,
            Action::Wait => self.take_up().await?,
        };
        if let Outcome::Done { outputs, recovered } = &outcome {
            let identity = outputs.get("identity").and_then(Value::as_str).unwrap_or(&self.step.identity).to_owned();
            self.record(Record::Done {
                address: self.step.address.clone(),
                action: self.step.action,
                identity,
                elapsed: self.lesson(self.run.elapsed(began)),
                recovered: *recovered,
            })
            .await?;
        }
        Ok(outcome)
    }

    /// What the step's seconds teach the next plan. On the sandbox every second of our own counts for as many as the
    /// speed says, so a step is only told from our own work where its object alone takes longer than that work. How
    /// long the step took does not tell: on a busy machine our own work may take any time.
    fn lesson(&self, elapsed: f64) -> Option<f64> {
        let scale = self.run.context.clock.scale();
        let expected = seconds(&self.kind.facts(), self.step.action).typical;
        (scale <= 1.0 || expected / scale >= OWN_WORK).then_some(elapsed)
    }

    /// How to wait for the object, for as long as the stack or else the kind says.
    pub(super) fn poll(&self) -> Poll {
        let poll = self.kind.facts().poll;
        Poll { give_up: self.step.give_up.unwrap_or(poll.give_up), ..poll }
    }

    async fn record(&self, record: Record) -> Result<(), Fault> {
        self.run.record(record).await.map_err(|error| unwritable(&error))
    }

    /// Refuses the next call once it is known that the stack is somebody else's.
    pub(super) fn may_call(&self) -> Result<(), Halt> {
        let context = self.run.context;
        if context.lease.is_valid(context.clock) { Ok(()) } else { Err(Halt::LeaseLost) }
    }

    /// Refuses the next change unless it is certain that the stack is still ours.
    pub(super) async fn may_change(&self) -> Result<(), Halt> {
        if self.own_turn().is_none() {
            let turn = self.run.turns.take(self.way).await;
            *self.own_turn() = Some(turn);
        }
        let context = self.run.context;
        if context.lease.may_change(context.clock).await { Ok(()) } else { Err(Halt::LeaseLost) }
    }

    fn own_turn(&self) -> MutexGuard<'_, Option<Turn>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets others have their turn while this step waits.
    pub(super) fn rest(&self) {
        drop(self.own_turn().take());
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.run.stops(false)
    }

    /// Reads the kind's objects with a call begun now.
    async fn look(&self) -> Result<std::sync::Arc<Vec<Object>>, Fault> {
        let mark = self.run.lists.mark(self.kind);
        self.run.lists.read(self.kind, mark, 0.0, self.run.context.clock, self.retry).await
    }

    async fn find(&self, identity: &str) -> Result<Option<Object>, Fault> {
        Ok(find(&self.look().await?, identity).cloned())
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

    /// Looks for an object that a call without an answer may have made. Where names are unique a
    /// second create is refused, so one look is enough; where the service assigns ids it would
    /// make a second object, so it is looked for as long as reads may be stale.
    async fn search(&self) -> Result<Option<Object>, Fault> {
        let began = self.run.context.clock.steady();
        loop {
            let found = self.find_made().await?;
            let settled = !self.kind.facts().assigned_identity || self.retry.since(began) >= STALE;
            if found.is_some() || settled {
                return Ok(found);
            }
            self.sleep(SEARCH).await;
        }
    }

    fn is_ours(&self, object: &Object) -> bool {
        object.owner() == Some((self.run.plan.place.stack.as_str(), self.step.address.name.as_str()))
    }

    async fn create(&self, spec: &Value) -> Result<Outcome, Halt> {
        let facts = self.kind.facts();
        let (identity, recovered) = self.make(spec).await?;
        self.record(Record::Made { address: self.step.address.clone(), identity: identity.clone() }).await?;
        let outcome = self
            .wait(&Goal::Ready { identity: &identity, spec, fields: &[] }, facts.create.typical, self.poll())
            .await?;
        match outcome {
            Outcome::Done { outputs, .. } if recovered || self.retagged.load(Ordering::SeqCst) => {
                self.finish(&identity, spec, outputs, recovered).await
            }
            other => Ok(other),
        }
    }

    /// Completes an object whose create was cut off: one that takes several calls may have got no
    /// further than the first. What only another create could give it is left to the next plan.
    async fn finish(&self, identity: &str, spec: &Value, outputs: Outputs, recovered: bool) -> Result<Outcome, Halt> {
        let mut done = Outcome::Done { outputs, recovered };
        let Some(object) = self.find(identity).await? else { return Err(self.lost(identity).into()) };
        let mut diff = diff::compare(self.kind, spec, &object.state, &object.pending);
        diff.changes.retain(|change| change.forces_replacement.is_none());
        for (_, changes) in diff::groups(self.kind, &diff.changes, &object.state, spec) {
            let fields: Vec<String> = changes.into_iter().map(|change| change.path).collect();
            done = match self.change(identity, spec, &fields).await? {
                Outcome::Done { outputs, .. } => Outcome::Done { outputs, recovered },
                other => return Ok(other),
            };
        }
        Ok(done)
    }

    /// Makes the object or finds the one that a lost call has made: its identity, and whether it
    /// was found.
    async fn make(&self, spec: &Value) -> Result<(String, bool), Halt> {
        let poll = self.poll();
        let tags = self.tags();
        // A second object of one name is refused by the service only where names are identities.
        if self.kind.facts().assigned_identity
            && let Some(object) = self.find_made().await?.filter(|object| self.is_ours(object))
            && !self.is_replaced(&object)
        {
            return Ok((object.identity, true));
        }
        let began = self.run.context.clock.steady();
        let mut attempt = 0;
        let mut unknown = false;
        loop {
            self.retry.settle(self.kind.kind()).await;
            self.may_change().await?;
            let fault = match self.kind.create(&self.step.identity, spec, &tags).await {
                Ok(identity) => return Ok((identity, false)),
                Err(fault) => fault,
            };
            // The answer may be lost while the object was made, by this call or an earlier run's.
            unknown |= matches!(fault.class, FaultClass::Unavailable | FaultClass::Unfinished);
            let mut leaves = false;
            if matches!(fault.class, FaultClass::Unavailable | FaultClass::Unfinished | FaultClass::AlreadyExists)
                && let Some(object) = self.search().await?
            {
                leaves = object.readiness == Readiness::Deleting || self.is_replaced(&object);
                if !leaves {
                    if self.is_ours(&object) || self.is_untagged_make(&object, unknown) {
                        return Ok((object.identity, true));
                    }
                    return Err(self.foreign(&object).into());
                }
            }
            let elapsed = self.retry.since(began);
            let delay = match (fault.class, leaves) {
                (FaultClass::AlreadyExists, true) => (elapsed < poll.give_up).then_some(poll.interval),
                // Exists by the service's word and is in no list yet, or is on its way out.
                (FaultClass::AlreadyExists, false) => (elapsed < STALE).then_some(SEARCH),
                _ => self.retry.delay(&fault.operation, &fault, attempt, elapsed, poll.give_up),
            };
            let Some(delay) = delay else { return Err(fault.into()) };
            self.pause_before_retry(&fault, delay).await?;
            attempt += 1;
        }
    }

    /// Whether the object is the one that this plan has deleted to make room: a list that still
    /// shows it is stale.
    fn is_replaced(&self, object: &Object) -> bool {
        self.run.plan.steps.iter().any(|step| {
            step.action == Action::Delete
                && step.address.kind == self.step.address.kind
                && step.identity.eq_ignore_ascii_case(&object.identity)
                && self.kind.facts().assigned_identity
        })
    }

    async fn pause_before_retry(&self, fault: &Fault, delay: f64) -> Result<(), Halt> {
        if self.is_interrupted() {
            return Err(Halt::Interrupted(fault.clone()));
        }
        self.rest();
        self.retry.wait(fault, delay).await;
        Ok(())
    }

    /// Whether an object without tags is the one that a create of this step has made whose answer
    /// was lost, together with its tags.
    fn is_untagged_make(&self, object: &Object, unknown: bool) -> bool {
        let untagged = object.tags.as_ref().is_none_or(std::collections::BTreeMap::is_empty);
        let is_shared = !self.step.tags.contains_key(tag::STACK);
        is_shared || (untagged && unknown)
    }

    fn foreign(&self, object: &Object) -> Fault {
        Fault::local(
            FaultClass::AlreadyExists,
            format!("{}:create", self.kind.kind()),
            format!("`{}` exists already and {}; it was left alone", object.identity, whose(object)),
        )
    }

    /// Whether an object that was the stack's when the plan was made bears its tags no longer. Between a plan and a
    /// step of it an hour may lie, and under a name that was free for a moment there may be somebody else's object.
    pub(super) fn is_no_longer_ours(&self, object: &Object) -> bool {
        let owner = object.owner().map(|(stack, _)| stack);
        self.step.ours && object.tags.is_some() && owner != Some(self.run.plan.place.stack.as_str())
    }

    fn still_ours(&self, object: &Object) -> Result<(), Fault> {
        if !self.is_no_longer_ours(object) {
            return Ok(());
        }
        let message = format!(
            "`{}` was this stack's when the plan was made and {} now; it was left alone",
            object.identity,
            whose(object)
        );
        Err(Fault::local(FaultClass::Invalid, format!("{}:read", self.kind.kind()), message))
    }

    async fn update(&self, spec: &Value) -> Result<Outcome, Halt> {
        let fields: Vec<String> = self.step.changes.iter().map(|change| change.path.clone()).collect();
        let outcome = self.change(&self.step.identity, spec, &fields).await?;
        if matches!(outcome, Outcome::Done { .. }) && !self.step.tags.is_empty() {
            let object = self.required(&self.step.identity).await?;
            self.write_tags(&object, &self.step.tags).await?;
        }
        Ok(outcome)
    }

    /// Changes fields of one group in place and waits until the object shows them.
    async fn change(&self, identity: &str, spec: &Value, fields: &[String]) -> Result<Outcome, Halt> {
        let (facts, poll) = (self.kind.facts(), self.poll());
        let began = self.run.context.clock.steady();
        let mut attempt = 0;
        loop {
            let object = self.required(identity).await?;
            self.may_call()?;
            if let Readiness::Pending(status) = &object.readiness {
                // Changing what is already changing is refused by every service.
                if self.retry.since(began) >= poll.give_up || self.is_interrupted() {
                    return Ok(Outcome::Left { status: status.clone(), begun: false });
                }
                self.sleep(poll.interval).await;
                continue;
            }
            self.may_change().await?;
            match self.kind.update(&object, spec, fields).await {
                Ok(()) => break,
                Err(fault) => self.again(&fault, &mut attempt, began).await?,
            }
        }
        self.wait(&Goal::Ready { identity, spec, fields }, facts.update.typical, poll).await
    }

    /// Waits for what an earlier run has begun.
    async fn take_up(&self) -> Result<Outcome, Halt> {
        let facts = self.kind.facts();
        let goal = Goal::Ready { identity: &self.step.identity, spec: &Value::Null, fields: &[] };
        let outcome = self.wait(&goal, facts.create.typical, self.poll()).await?;
        match outcome {
            Outcome::Done { outputs, .. } => Ok(Outcome::Done { outputs, recovered: true }),
            other => Ok(other),
        }
    }

    /// The object that a step changes, which must be there and still be the stack's.
    pub(super) async fn required(&self, identity: &str) -> Result<Object, Fault> {
        let object = self.find(identity).await?.ok_or_else(|| {
            Fault::local(
                FaultClass::NotFound,
                format!("{}:read", self.kind.kind()),
                format!("`{identity}` is gone since the plan was made"),
            )
        })?;
        self.still_ours(&object)?;
        Ok(object)
    }

    /// Waits for the next attempt or returns the fault.
    pub(super) async fn again(&self, fault: &Fault, attempt: &mut u32, began: std::time::Duration) -> Result<(), Halt> {
        let busy = self.poll().give_up;
        let Some(delay) = self.retry.delay(&fault.operation, fault, *attempt, self.retry.since(began), busy) else {
            return Err(fault.clone().into());
        };
        *attempt += 1;
        self.pause_before_retry(fault, delay).await
    }

    async fn delete(&self) -> Result<Outcome, Halt> {
        let facts = self.kind.facts();
        let options = self.run.plan.delete_options(self.step);
        self.may_change().await?;
        self.run.context.before_delete.before_delete(self.step).await;
        let began = self.run.context.clock.steady();
        let mut attempt = 0;
        loop {
            let Some(object) = self.find(&self.step.identity).await? else { return Ok(gone(false)) };
            if object.readiness == Readiness::Deleting {
                break;
            }
            self.still_ours(&object)?;
            let users = other_users(&object, &self.run.plan.place);
            if !users.is_empty() {
                let message = format!("`{}` is used by {} since the plan was made", object.identity, users.join(", "));
                return Err(Fault::local(FaultClass::Invalid, "delete", message).into());
            }
            self.may_change().await?;
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
        self.wait(&Goal::Gone { identity: &self.step.identity }, facts.delete.typical, self.poll()).await
    }

    async fn tag(&self) -> Result<Outcome, Halt> {
        let object = self.required(&self.step.identity).await?;
        self.write_tags(&object, &self.step.tags).await?;
        Ok(Outcome::Done { outputs: with_identity(&object), recovered: false })
    }

    /// Puts the tags on, as often as it takes while the stack is ours.
    pub(super) async fn write_tags(&self, object: &Object, tags: &Tags) -> Result<(), Halt> {
        let began = self.run.context.clock.steady();
        let mut attempt = 0;
        loop {
            self.retry.settle(self.kind.kind()).await;
            self.may_change().await?;
            match self.kind.tag(object, tags).await {
                Ok(()) => return Ok(()),
                Err(fault) => self.again(&fault, &mut attempt, began).await?,
            }
        }
    }
}

/// Whose an object is that is not this stack's, in words.
fn whose(object: &Object) -> String {
    object.owner().map_or_else(
        || "carries no towpath tags".to_owned(),
        |(stack, name)| format!("belongs to `{name}` of stack `{stack}`"),
    )
}

fn gone(recovered: bool) -> Outcome {
    Outcome::Done { outputs: Outputs::new(), recovered }
}
