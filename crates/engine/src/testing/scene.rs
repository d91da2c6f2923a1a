//! One account, one journal and one clock, on which a test plans and applies like the program.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::mpsc::unbounded_channel;

use super::clock::VirtualClock;
use super::cloud::FakeCloud;
use crate::apply::retry::Retry;
use crate::apply::{Context, RunError, Summary, run};
use crate::event::Event;
use crate::fault::Fault;
use crate::journal::{Entry, Journal, JournalError, MemoryJournal, replay};
use crate::kind::{Place, Registry};
use crate::lease::Guard;
use crate::observe::observe;
use crate::plan::{BuildInput, Options, Plan, Verb, build};
use crate::stack::Stack;

/// When the program dies at a journal entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tear {
    /// Before the entry is written.
    Before(usize),
    /// Right after it was.
    After(usize),
}

/// A journal that outlives crashes and can cause one.
pub struct FakeJournal {
    kept: MemoryJournal,
    tear: Mutex<Option<Tear>>,
    written: Mutex<usize>,
    /// How many of the oldest entries are lost.
    lost: Mutex<usize>,
    /// How many entries the disk has room for.
    room: Mutex<usize>,
    cloud: FakeCloud,
}

#[async_trait]
impl Journal for FakeJournal {
    async fn record(&self, entry: &Entry) -> Result<(), JournalError> {
        let refused = |why: &str| JournalError {
            path: "memory".to_owned(),
            verb: "written",
            source: std::io::Error::other(why.to_owned()),
        };
        let dead = || refused("the program is dead");
        if self.cloud.is_dead() {
            return Err(dead());
        }
        if *self.room.lock().unwrap_or_else(PoisonError::into_inner) <= self.kept.entries()?.len() {
            return Err(refused("the disk is full"));
        }
        let number = {
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            *written += 1;
            *written - 1
        };
        let tear = *self.tear.lock().unwrap_or_else(PoisonError::into_inner);
        if tear == Some(Tear::Before(number)) {
            self.cloud.die();
            return Err(dead());
        }
        self.kept.record(entry).await?;
        if tear == Some(Tear::After(number)) {
            self.cloud.die();
        }
        Ok(())
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        let lost = *self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.kept.entries()?.split_off(lost))
    }
}

/// Everything that a run needs, with nothing real behind it.
pub struct Scene {
    /// The account.
    pub cloud: FakeCloud,
    /// Time.
    pub clock: VirtualClock,
    /// The kinds of the account.
    pub registry: Registry,
    /// The journal of the stack.
    pub journal: Arc<FakeJournal>,
    /// The place of the stack `shop`.
    pub place: Place,
    /// Set by a test as Ctrl-C would.
    pub interrupt: Arc<AtomicBool>,
    /// The lease that runs hold.
    pub lease: Arc<Guard>,
    /// How many steps may be in flight.
    pub parallelism: usize,
    events: Mutex<Vec<Event>>,
    runs: Mutex<u64>,
}

impl Scene {
    /// An empty account, inside [`block_on`](super::block_on).
    #[expect(clippy::new_without_default, reason = "it only works inside a runtime, which a default does not say")]
    pub fn new() -> Self {
        let clock = VirtualClock::new();
        let cloud = FakeCloud::new(clock.elsewhere());
        let journal = FakeJournal {
            kept: MemoryJournal::default(),
            tear: Mutex::new(None),
            written: Mutex::new(0),
            lost: Mutex::new(0),
            room: Mutex::new(usize::MAX),
            cloud: cloud.clone(),
        };
        let place = Place {
            stack: "shop".to_owned(),
            account: "111122223333".to_owned(),
            region: "eu-north-1".to_owned(),
            partition: "aws".to_owned(),
        };
        Self {
            registry: cloud.registry(),
            cloud,
            clock,
            journal: Arc::new(journal),
            place,
            interrupt: Arc::default(),
            lease: Arc::new(Guard::unshared()),
            parallelism: 10,
            events: Mutex::default(),
            runs: Mutex::new(0),
        }
    }

    /// Lets the program die at a journal entry, counted from 0 over all runs.
    pub fn tear(&self, tear: Tear) {
        *self.journal.tear.lock().unwrap_or_else(PoisonError::into_inner) = Some(tear);
    }

    /// Lets the journal take only so many entries over all runs.
    pub fn fill(&self, room: usize) {
        *self.journal.room.lock().unwrap_or_else(PoisonError::into_inner) = room;
    }

    /// A new program on what the old one left: no faults, no interrupt, everything else as it is.
    pub fn restart(&self) {
        *self.journal.tear.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.interrupt.store(false, Ordering::SeqCst);
        self.cloud.revive();
    }

    /// Loses everything that the journal holds, as whoever deletes the stack's folder or goes on at another
    /// machine.
    pub fn forget(&self) {
        let held = self.journal.kept.entries().map_or(0, |entries| entries.len());
        *self.journal.lost.lock().unwrap_or_else(PoisonError::into_inner) = held;
    }

    /// How many entries the journal was asked to write so far.
    pub fn written(&self) -> usize {
        *self.journal.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The events of all runs so far.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Observes and plans.
    pub async fn plan(&self, stack: &Stack, options: &Options) -> Result<Plan, Fault> {
        let retry = Retry::new(&self.clock, 1);
        let also: Vec<String> = self.registry.names().map(str::to_owned).collect();
        let observation = observe(stack, &self.registry, &also, &retry).await?;
        let entries = self.journal.entries().unwrap_or_default();
        Ok(build(&BuildInput {
            stack,
            observation: &observation,
            registry: &self.registry,
            place: &self.place,
            options,
            replay: &replay(&entries),
            version: "0.0.0",
        }))
    }

    /// Carries a plan out; `None` when the program died on the way.
    pub async fn carry_out(&self, plan: &Plan) -> Option<Result<Summary, RunError>> {
        let (events, mut told) = unbounded_channel();
        let number = {
            let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
            *runs += 1;
            *runs
        };
        let context = Context {
            registry: &self.registry,
            clock: &self.clock,
            journal: self.journal.as_ref(),
            events,
            parallelism: self.parallelism,
            interrupt: &self.interrupt,
            lease: &self.lease,
            run: format!("run-{number}"),
            seed: number,
            before_delete: &(),
        };
        let result = tokio::select! {
            biased;
            () = self.cloud.death() => None,
            result = run(plan, "apply", &context) => Some(result),
        };
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok(event) = told.try_recv() {
            events.push(event);
        }
        result
    }

    /// Plans and carries out in one program; `None` when it died or could not see the world.
    pub async fn attempt(&self, stack: &Stack, options: &Options) -> Option<Summary> {
        let plan = tokio::select! {
            biased;
            () = self.cloud.death() => return None,
            plan = self.plan(stack, options) => plan.ok()?,
        };
        if !plan.is_allowed() {
            return None;
        }
        self.carry_out(&plan).await?.ok()
    }

    /// Plans and applies to the end.
    ///
    /// # Panics
    /// If anything is refused or fails.
    pub async fn apply(&self, stack: &Stack, options: &Options) -> Summary {
        let plan = self.plan(stack, options).await.unwrap_or_else(|fault| panic!("the world cannot be seen: {fault}"));
        assert!(plan.is_allowed(), "the plan is refused:\n{}", super::show(&plan));
        let summary = self.carry_out(&plan).await.expect("nothing kills this program").expect("the journal is sound");
        assert!(summary.is_complete(), "not complete: {summary:#?}\n{}", super::show(&plan));
        summary
    }
}

/// The options of a destroy that may lose the data of `names`.
pub fn destroy(names: &[&str]) -> Options {
    Options {
        verb: Verb::Destroy,
        allow_data_loss: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Options::default()
    }
}
