//! The engine of towpath: stack files, plans, apply and journal.
//!
//! It does not know AWS, a terminal, the environment or the wall clock: kinds come in through
//! [`kind::Kind`], time through [`clock::Clock`], events go out through [`event::Event`].
//!
//! Start reading at `stack` (what the user wants), then `kind` (what exists and how to change
//! it), `plan` (the difference, as a value) and `apply` (the only module that acts).

pub mod address;
pub mod apply;
pub mod clock;
pub mod diag;
pub mod diff;
pub mod event;
pub mod fault;
pub mod journal;
pub mod kind;
pub mod lease;
pub mod observe;
pub mod plan;
pub mod preflight;
mod resume;
pub mod schema;
pub mod secret;
pub mod stack;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod value;
