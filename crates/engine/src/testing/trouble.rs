//! What can go wrong at a call of the fake cloud, and the faults that it answers with.

use crate::fault::{Fault, FaultClass};

/// What goes wrong at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Too many calls; nothing happened.
    Throttle,
    /// The service is down; nothing happened.
    UnavailableBefore,
    /// The call took effect and its answer was lost.
    UnavailableAfter,
    /// The caller may not do this.
    Denied,
    /// A create or tag call takes effect without its tags.
    LostTags,
    /// A list shows the world before the last change.
    StaleList,
    /// A create ends in a failed state.
    FailedState,
    /// A create takes four times as long as it should.
    SlowState,
    /// The program dies before the call reaches the service.
    CrashBefore,
    /// The program dies before the answer reaches it.
    CrashAfter,
    /// A create of several calls makes the object, and a later call fails: fields that could be
    /// changed in place are missing.
    HalfMade,
    /// The program dies between the calls of a create.
    CrashHalfway,
}

impl Trouble {
    /// Every kind of trouble.
    pub const ALL: [Self; 12] = [
        Self::Throttle,
        Self::UnavailableBefore,
        Self::UnavailableAfter,
        Self::Denied,
        Self::LostTags,
        Self::StaleList,
        Self::FailedState,
        Self::SlowState,
        Self::CrashBefore,
        Self::CrashAfter,
        Self::HalfMade,
        Self::CrashHalfway,
    ];

    /// Whether the program dies.
    pub fn is_crash(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter | Self::CrashHalfway)
    }
}

pub(super) fn throttled(operation: &str) -> Fault {
    fault(FaultClass::Throttled, operation, "Rate exceeded")
}

pub(super) fn unavailable(operation: &str) -> Fault {
    fault(FaultClass::Unavailable, operation, "the connection was cut")
}

pub(super) fn unfinished(operation: &str) -> Fault {
    fault(FaultClass::Unfinished, operation, "the connection was cut")
}

pub(super) fn denied(operation: &str) -> Fault {
    fault(FaultClass::Denied, operation, "not authorized")
}

pub(super) fn fault(class: FaultClass, operation: &str, message: &str) -> Fault {
    Fault::local(class, operation, message)
}
