//! A plan as a value: what will be done, in which order, why, how long it takes, what it costs
//! and what would be lost. Building one is a pure function of stack and observation (`build`);
//! carrying it out is `apply`. Nothing here reads or writes the world.

mod build;
mod decide;
mod edges;
mod graph;
mod held;
mod live;
mod managed;
pub mod saved;
mod selection;
mod settle;
mod standing;
mod steps;
mod tags;
mod written;

pub use build::{BuildInput, Options, Verb, build, drift};
pub use graph::critical_path;
pub use held::holding;
pub use selection::is_chosen;
pub use settle::settle;
pub use standing::standing;
pub(crate) use steps::seconds;
pub(crate) use tags::other_users;
pub use tags::{Expiry, expiry, is_used_by, user_tag};

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::kind::{DeleteOptions, Place, Price, Seconds, Tags};
use crate::value::Value;

/// The version of the form of a plan, for those who read it as JSON. A reader may ignore members it
/// does not know; what changes or goes raises the number.
pub const FORMAT: u32 = 2;

/// What a step does. The character is the legend of the printed plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `+` make an object.
    Create,
    /// `~` change fields of one group in place.
    Update,
    /// `-` delete an object.
    Delete,
    /// `=` put our tags on an object that was not ours (adopted or shared).
    Tag,
    /// `‖` stop running work for a change.
    Pause,
    /// `▸` start that work again.
    Resume,
    /// `…` wait for an object that an earlier run has left half-way.
    Wait,
}

impl Action {
    /// The character of the legend.
    pub fn symbol(self) -> char {
        match self {
            Self::Create => '+',
            Self::Update => '~',
            Self::Delete => '-',
            Self::Tag => '=',
            Self::Pause => '‖',
            Self::Resume => '▸',
            Self::Wait => '…',
        }
    }
}

/// One field of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Path inside the spec, e.g. `ingress` or `settings.FullLoadSettings.CommitRate`.
    pub path: String,
    /// The live value; `Null` when absent or not readable.
    pub before: Value,
    /// The declared value; may hold reference markers ("known after apply").
    pub after: Value,
    /// The API rule that makes this field force a replacement.
    pub forces_replacement: Option<String>,
    /// What data the change loses.
    pub loses: Option<String>,
}

/// Why a step is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The stack declares what does not exist.
    Declared,
    /// The live object differs from the stack.
    Differs,
    /// A field that cannot change in place differs (half of a replacement).
    Replaced,
    /// It is ours by its tags and no longer in the stack.
    Removed,
    /// `destroy`.
    Destroyed,
    /// Another step needs it: the id of that step.
    For(usize),
    /// The user asked for it (`--replace`, `adopt`).
    Asked,
    /// It exists in a failed state and must be made again.
    Broken,
}

/// One call (or pause, or resume) of the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Position in `Plan::steps`.
    pub id: usize,
    /// The resource; for an object no longer in the stack, the name in its tags.
    pub address: Address,
    /// What it does.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// The physical name or id, as far as it is known.
    pub identity: String,
    /// Whether the object bore the stack's tags when the plan was made. A step leaves alone what no longer
    /// does: somebody else may have an object of that name by now.
    #[serde(default)]
    pub ours: bool,
    /// The update group, for updates.
    pub group: Option<String>,
    /// The fields. For a create all declared ones, for a delete none.
    pub changes: Vec<FieldChange>,
    /// The spec to send, with markers for what is known only later. `Null` for deletes.
    pub spec: Value,
    /// The tags to send, for creates and tag steps.
    pub tags: Tags,
    /// Ids of the steps that must have succeeded before.
    pub after: Vec<usize>,
    /// How long it should take on AWS.
    pub seconds: Seconds,
    /// Seconds after which the stack wants the step left as in progress; `None` leaves it to the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub give_up: Option<f64>,
    /// Data that is lost, in words.
    pub loses: Option<String>,
    /// Work that is interrupted, in words.
    pub interrupts: Option<String>,
    /// Price of the object per month: of a create and of an update after it, of a delete before it.
    pub price: Option<Price>,
    /// Price before an update that changes it.
    #[serde(default)]
    pub price_before: Option<Price>,
    /// Name of the final snapshot, for deletes that take one.
    pub final_snapshot: Option<String>,
}

impl Step {
    /// Whether this step goes on although `before` failed: work that was stopped is started again
    /// whatever became of the change in between, unless the stop itself failed.
    pub fn outlives(&self, before: usize) -> bool {
        self.action == Action::Resume && self.reason != Reason::For(before)
    }
}

/// Something the user should know although no step follows from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// The resource.
    pub address: Address,
    /// What there is to know, e.g. that a change is scheduled for the maintenance window.
    pub text: String,
}

impl Note {
    /// A refusal that leave to lose data would lift.
    pub(super) fn loss(address: Address, identity: &str, what: &str) -> Self {
        Self { address, text: format!("{LOSS}`{identity}` would lose {what}") }
    }

    /// Whether the note is such a refusal.
    pub fn is_loss(&self) -> bool {
        self.text.starts_with(LOSS)
    }
}

/// How the refusal of a loss begins.
const LOSS: &str = "deleting ";

/// An object that stands in the way and is not ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreign {
    /// The resource that wants its name.
    pub address: Address,
    /// The object.
    pub identity: String,
    /// The resource and stack that own it, in words, if it has an owner.
    pub owner: Option<String>,
}

/// Everything that will be done, and nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this format.
    pub format: u32,
    /// Where.
    pub place: Place,
    /// towpath's version.
    pub version: String,
    /// Hash of the loaded stack.
    pub stack_hash: String,
    /// Whether the plan leaves resources out by the user's choice: what earlier runs have left open
    /// there is still open after it.
    #[serde(default)]
    pub partial: bool,
    /// The steps, in an order in which they could be done one by one.
    pub steps: Vec<Step>,
    /// Resources for which nothing is to be done.
    pub unchanged: Vec<Address>,
    /// Objects kept although a destroy was asked for, with the reason.
    pub kept: Vec<Note>,
    /// Remarks.
    pub notes: Vec<Note>,
    /// Foreign objects; while there is one, the plan cannot be applied.
    pub foreign: Vec<Foreign>,
    /// Steps that lose protected data without leave; while there is one, the plan cannot be applied.
    pub refused: Vec<Note>,
    /// Expected time of the whole on AWS, along the critical path.
    pub seconds: Seconds,
    /// The steps of that path, in order.
    pub critical_path: Vec<usize>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What the delete of a step is asked to do besides deleting: a plan that may be carried out has leave for all
    /// that it loses.
    pub(crate) fn delete_options(&self, step: &Step) -> DeleteOptions {
        DeleteOptions { final_snapshot: step.final_snapshot.clone(), force: true, whole_stack: !self.partial }
    }

    /// Whether `apply` may carry it out.
    pub fn is_allowed(&self) -> bool {
        self.foreign.is_empty() && self.refused.is_empty()
    }
}

#[cfg(test)]
mod tests;
