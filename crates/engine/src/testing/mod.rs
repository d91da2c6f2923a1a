//! A cloud without a cloud: kinds, clock, journal and faults for tests of this crate and of its
//! users (feature `testing`). Nothing of it is in a product build.
//!
//! Start at [`Scene`]: it plans and applies a stack written as text (`text`) on a [`FakeCloud`].

mod clock;
mod cloud;
mod erased;
mod kinds;
mod model;
mod scene;
mod text;
mod trouble;

pub use clock::{VirtualClock, block_on};
pub use cloud::FakeCloud;
pub use model::complaints;
pub use scene::{FakeJournal, Scene, Tear, destroy};
pub use text::{show, stack};
pub use trouble::Trouble;
