//! Carrying out a plan: the only module that acts.
//!
//! `run` walks the plan's graph; `turns` says who may call, longest path first and so many at once; `step` carries out
//! one step, from the journalled intent to the object that is as wanted; `work` stops and starts what runs; `retry`
//! and `poll` say when a call is repeated and how one list serves all who wait. Nothing is undone after a
//! failure: independent branches go on, and the next run continues.

mod poll;
pub mod retry;
mod step;
mod turns;
mod wait;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc::UnboundedSender;

use crate::address::Address;
use crate::clock::Clock;
use crate::event::{Event, EventKind};
use crate::fault::{Fault, FaultClass};
use crate::journal::{Entry, Journal, JournalError, Record};
use crate::kind::{Outputs, Registry};
use crate::lease::Guard;
use crate::plan::{Plan, Step};
use crate::value::Value;

/// How long an interrupt may go unnoticed.
const TICK: std::time::Duration = std::time::Duration::from_secs(2);

/// What is to be done before an object is deleted and is no kind's to do.
#[async_trait(?Send)]
pub trait BeforeDelete: Sync {
    /// Called in the turn of a delete step, when everything before it is done. Again when a killed run is followed; what
    /// fails here keeps nothing from being deleted.
    async fn before_delete(&self, step: &Step);
}

/// Nothing.
#[async_trait(?Send)]
impl BeforeDelete for () {
    async fn before_delete(&self, _step: &Step) {}
}

/// What a run works with.
pub struct Context<'a> {
    /// The kinds.
    pub registry: &'a Registry,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Where intents go.
    pub journal: &'a dyn Journal,
    /// Where events go; a closed channel is no error.
    pub events: UnboundedSender<Event>,
    /// How many steps may be calling at once. Waiting for an object to become ready is no calling.
    pub parallelism: usize,
    /// Set from outside: nothing new is started.
    pub interrupt: &'a AtomicBool,
    /// The lease; a run that lost it stops before its next call.
    pub lease: &'a Guard,
    /// The run's id.
    pub run: String,
    /// Seed of the jitter.
    pub seed: u64,
    /// What comes before each deletion.
    pub before_delete: &'a dyn BeforeDelete,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Steps done.
    pub succeeded: usize,
    /// Steps failed, with the fault.
    pub failed: Vec<(Address, Fault)>,
    /// Steps not tried, with the failed step before them.
    pub blocked: Vec<(Address, Address)>,
    /// Steps whose object was not ready in time; the next run goes on waiting.
    pub in_progress: Vec<Address>,
    /// Steps not started because of an interrupt.
    pub left: usize,
    /// Seconds on AWS (on the sandbox: as long as it would have taken there).
    pub elapsed: f64,
}

impl Summary {
    /// Whether every step was done.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.blocked.is_empty() && self.in_progress.is_empty() && self.left == 0
    }
}

/// What keeps a run from going on at all.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Intents cannot be made durable, so no call may be made.
    #[error("no call can be made without the journal")]
    Journal(#[from] JournalError),
    /// A step names a kind that this program does not have: the plan is of another version.
    #[error("the plan names the kind `{0}`, which this version does not have")]
    UnknownKind(String),
}

/// What one step came to.
enum Outcome {
    Done {
        outputs: Outputs,
        recovered: bool,
    },
    Failed(Fault),
    /// Neither done nor failed. `begun` says whether the service goes on by itself.
    Left {
        status: String,
        begun: bool,
    },
    LeaseLost,
    /// The run was stopped before it was this step's turn.
    NotStarted,
}

struct Run<'a> {
    context: &'a Context<'a>,
    plan: &'a Plan,
    /// By the steady clock, as every moment that something is counted from.
    began: std::time::Duration,
    outputs: Mutex<BTreeMap<String, Outputs>>,
    lists: poll::Lists,
    quiet: retry::Quiet,
    turns: turns::Turns,
    /// Work that was found stopped by somebody else: it is not this run's to start.
    stopped: Mutex<BTreeSet<Address>>,
    /// Steps that are under way.
    begun: AtomicUsize,
}

/// Carries out a plan. Returns only when nothing is in flight any more.
pub async fn run(plan: &Plan, verb: &str, context: &Context<'_>) -> Result<Summary, RunError> {
    for step in &plan.steps {
        if context.registry.get(&step.address.kind).is_none() {
            return Err(RunError::UnknownKind(step.address.kind.clone()));
        }
    }
    let run = Run {
        context,
        plan,
        began: context.clock.steady(),
        outputs: Mutex::default(),
        lists: poll::Lists::default(),
        quiet: retry::Quiet::default(),
        turns: turns::Turns::new(context.parallelism),
        stopped: Mutex::default(),
        begun: AtomicUsize::new(0),
    };
    run.record(Record::Began { verb: verb.to_owned(), stack_hash: plan.stack_hash.clone() }).await?;
    run.tell(EventKind::RunStarted {
        run: context.run.clone(),
        steps: plan.steps.len(),
        expected: plan.seconds.typical,
    });
    let summary = run.walk().await;
    // Saves the next run some looking, and nothing else: who is told how this one went needs no journal.
    let _unwritten = run.record(Record::Ended { complete: summary.is_complete() && !plan.partial }).await;
    run.tell(EventKind::RunFinished {
        succeeded: summary.succeeded,
        failed: summary.failed.len(),
        blocked: summary.blocked.len(),
        elapsed: summary.elapsed,
    });
    Ok(summary)
}

impl Run<'_> {
    async fn record(&self, record: Record) -> Result<(), JournalError> {
        let entry = Entry { at: self.context.clock.now(), run: self.context.run.clone(), record };
        self.context.journal.record(&entry).await
    }

    fn elapsed(&self, since: std::time::Duration) -> f64 {
        self.context.clock.since(since)
    }

    fn tell(&self, kind: EventKind) {
        let event = Event { at: self.elapsed(self.began), kind };
        // Nobody listens any more: events may be dropped, the journal may not.
        let _closed = self.context.events.send(event).is_err();
    }

    fn stopped(&self) -> MutexGuard<'_, BTreeSet<Address>> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stops(&self, lost: bool) -> bool {
        lost || self.context.interrupt.load(Ordering::SeqCst)
    }

    /// The scheduler: of all steps whose predecessors are done, the one with the longest way to
    /// the end goes first.
    async fn walk(&self) -> Summary {
        let ways = ways_to_the_end(&self.plan.steps);
        let mut summary = Summary::default();
        let mut waiting: BTreeSet<usize> = (0..self.plan.steps.len()).collect();
        let mut done: BTreeSet<usize> = BTreeSet::new();
        let mut dead: BTreeMap<usize, Address> = BTreeMap::new();
        let mut in_flight = FuturesUnordered::new();
        let mut lost = false;
        let mut told = false;
        loop {
            self.bury(&mut waiting, &mut dead, &mut summary);
            while !self.stops(lost) {
                let over = |step: &Step, before: &usize| {
                    done.contains(before) || (dead.contains_key(before) && step.outlives(*before))
                };
                let ready = waiting.iter().copied().filter(|id| {
                    let step = &self.plan.steps[*id];
                    step.after.iter().all(|before| over(step, before))
                });
                let Some(next) = ready.max_by(|left, right| ways[*left].total_cmp(&ways[*right])) else { break };
                waiting.remove(&next);
                let way = ways[next];
                in_flight.push(async move { (next, self.carry_out(&self.plan.steps[next], way).await) });
            }
            let Some((id, outcome)) = self.next(&mut in_flight, &mut told, lost).await else { break };
            let address = self.plan.steps[id].address.clone();
            match outcome {
                Outcome::Done { outputs, .. } => {
                    if !outputs.is_empty() {
                        self.outputs.lock().unwrap_or_else(PoisonError::into_inner).insert(address.name, outputs);
                    }
                    done.insert(id);
                    summary.succeeded += 1;
                }
                Outcome::Failed(fault) => {
                    summary.failed.push((address.clone(), fault));
                    dead.insert(id, address);
                }
                Outcome::Left { begun: false, .. } if self.stops(lost) => summary.left += 1,
                Outcome::Left { .. } => {
                    summary.in_progress.push(address.clone());
                    // After an interrupt what comes next is left, not blocked.
                    if !self.stops(lost) {
                        dead.insert(id, address);
                    }
                }
                Outcome::LeaseLost => {
                    lost = true;
                    summary.left += 1;
                }
                Outcome::NotStarted => summary.left += 1,
            }
        }
        summary.left += waiting.len();
        summary.elapsed = self.elapsed(self.began);
        summary
    }

    /// The next step that ends. Meanwhile an interrupt is told of, once.
    async fn next<F>(
        &self,
        in_flight: &mut FuturesUnordered<F>,
        told: &mut bool,
        lost: bool,
    ) -> Option<(usize, Outcome)>
    where
        F: Future<Output = (usize, Outcome)>,
    {
        loop {
            let begun = self.begun.load(Ordering::SeqCst);
            if self.stops(lost) && !*told && begun > 0 {
                *told = true;
                self.tell(EventKind::RunInterrupted { in_flight: begun, lease_lost: lost });
            }
            tokio::select! {
                biased;
                next = in_flight.next() => return next,
                () = self.context.clock.sleep(TICK), if !*told => {}
            }
        }
    }

    /// Takes out of `waiting` what can never start, because something before it failed.
    fn bury(&self, waiting: &mut BTreeSet<usize>, dead: &mut BTreeMap<usize, Address>, summary: &mut Summary) {
        loop {
            let next = waiting.iter().copied().find_map(|id| {
                let step = &self.plan.steps[id];
                let by = step.after.iter().find(|before| dead.contains_key(before) && !step.outlives(**before))?;
                Some((id, dead[by].clone()))
            });
            let Some((id, by)) = next else { break };
            waiting.remove(&id);
            let address = self.plan.steps[id].address.clone();
            self.tell(EventKind::StepBlocked { step: id, address: address.clone(), by: by.clone() });
            summary.blocked.push((address, by.clone()));
            dead.insert(id, by);
        }
    }

    /// One step, once it is its turn.
    async fn carry_out(&self, step: &Step, way: f64) -> Outcome {
        let turn = self.turns.take(way).await;
        if self.stops(self.context.lease.is_lost()) {
            return Outcome::NotStarted;
        }
        self.begun.fetch_add(1, Ordering::SeqCst);
        let outcome = self.told(step, step::carry_out(self, step, turn, way)).await;
        self.begun.fetch_sub(1, Ordering::SeqCst);
        outcome
    }

    /// One step with its journal entries and events.
    async fn told(&self, step: &Step, work: impl Future<Output = Outcome>) -> Outcome {
        let began = self.context.clock.steady();
        self.tell(EventKind::StepStarted {
            step: step.id,
            address: step.address.clone(),
            action: step.action,
            expected: step.seconds.typical,
        });
        let outcome = work.await;
        let elapsed = self.elapsed(began);
        match &outcome {
            Outcome::Done { recovered, .. } => self.tell(EventKind::StepSucceeded {
                step: step.id,
                address: step.address.clone(),
                action: step.action,
                elapsed,
                recovered: *recovered,
            }),
            Outcome::Failed(fault) => {
                let failed =
                    Record::Failed { address: step.address.clone(), action: step.action, fault: fault.clone() };
                // A journal that takes no more keeps the next call from being made; this one is told all the same.
                let _unwritten = self.record(failed).await;
                self.tell(EventKind::StepFailed {
                    step: step.id,
                    address: step.address.clone(),
                    action: step.action,
                    fault: fault.clone(),
                });
            }
            Outcome::Left { status, begun } => self.tell(EventKind::StepLeft {
                step: step.id,
                address: step.address.clone(),
                action: step.action,
                status: status.clone(),
                elapsed,
                begun: *begun,
                interrupted: self.stops(false),
            }),
            Outcome::LeaseLost | Outcome::NotStarted => {}
        }
        outcome
    }

    /// The spec with the values that steps before this one yielded.
    fn resolved(&self, value: &Value) -> Value {
        let outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        crate::value::resolve(value, &|reference| outputs.get(&reference.resource)?.get(&reference.attribute).cloned())
    }
}

fn unwritable(error: &JournalError) -> Fault {
    Fault::local(FaultClass::Other, "journal", format!("{error}: {}", error.source))
}

/// For each step the typical seconds from its start to the end of everything that follows it.
fn ways_to_the_end(steps: &[Step]) -> Vec<f64> {
    let mut ways: Vec<f64> = steps.iter().map(|step| step.seconds.typical).collect();
    for step in steps.iter().rev() {
        for before in &step.after {
            let way = ways[step.id] + steps[*before].seconds.typical;
            ways[*before] = ways[*before].max(way);
        }
    }
    ways
}

#[cfg(test)]
mod random;
#[cfg(test)]
mod sweep;
#[cfg(test)]
mod tests;
