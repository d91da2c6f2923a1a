//! What happens during a run, for reporters. Events may be dropped without harm; what must not
//! be lost is in the journal.

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::fault::Fault;
use crate::plan::Action;

/// One thing that happened, with the engine's time in seconds since the run began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Seconds since the run began, on the engine's clock.
    pub at: f64,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The events of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// Steps are about to be carried out.
    RunStarted {
        /// The run's id, also in tags and journal.
        run: String,
        /// How many steps.
        steps: usize,
        /// Expected seconds along the critical path.
        expected: f64,
    },
    /// A step's call is about to be made.
    StepStarted {
        /// Step id.
        step: usize,
        /// Resource.
        address: Address,
        /// What.
        action: Action,
        /// Expected seconds.
        expected: f64,
    },
    /// A step's call was made; the object is not ready yet.
    StepWaiting {
        /// Step id.
        step: usize,
        /// Resource.
        address: Address,
        /// The service's status.
        status: String,
    },
    /// A call failed and will be made again.
    StepRetried {
        /// Step id.
        step: usize,
        /// Resource.
        address: Address,
        /// Why.
        fault: Fault,
        /// Seconds until then.
        delay: f64,
    },
    /// A step is done.
    StepSucceeded {
        /// Step id.
        step: usize,
        /// Resource.
        address: Address,
        /// What.
        action: Action,
        /// Seconds it took.
        elapsed: f64,
        /// What an interrupted run had left and this one took up.
        recovered: bool,
    },
    /// A step failed for good.
    StepFailed {
        /// Step id.
        step: usize,
        /// Resource.
        address: Address,
        /// What.
        action: Action,
        /// Why.
        fault: Fault,
    },
    /// A step was left as it is, because of an interrupt or because its object took too long. The next run goes on.
    StepLeft {
        /// Step id.
        step: usize,
        /// Resource.
        address: Address,
        /// What.
        action: Action,
        /// The service's status, or why a call was to be made again.
        status: String,
        /// Seconds spent on it.
        elapsed: f64,
        /// Whether the service goes on by itself; else the call is still to be made.
        begun: bool,
        /// Whether an interrupt was the reason.
        interrupted: bool,
    },
    /// A step was not tried because another failed.
    StepBlocked {
        /// Step id.
        step: usize,
        /// Resource.
        address: Address,
        /// The failed or blocked step before it.
        by: Address,
    },
    /// An interrupt was seen, or the lease was lost: nothing new is started.
    RunInterrupted {
        /// Steps still in flight.
        in_flight: usize,
        /// Whether the loss of the lease was the reason, not a signal.
        lease_lost: bool,
    },
    /// The run is over.
    RunFinished {
        /// Steps done.
        succeeded: usize,
        /// Steps failed.
        failed: usize,
        /// Steps not tried.
        blocked: usize,
        /// Seconds.
        elapsed: f64,
    },
}
