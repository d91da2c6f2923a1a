//! Virtual time: tokio's paused clock, which jumps to the next waker as soon as nothing can run.
//! Hours pass in milliseconds, and the same run takes the same steps every time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::clock::Clock;

/// The time of a runtime made by [`block_on`].
#[derive(Clone, Copy, Debug)]
pub struct VirtualClock {
    began: Instant,
    epoch: DateTime<Utc>,
    /// By how many seconds somebody has set the time of day.
    ahead: &'static AtomicI64,
}

impl VirtualClock {
    /// A clock that shows the first of January 2026 now.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[expect(clippy::new_without_default, reason = "it only works inside a runtime, which a default does not say")]
    pub fn new() -> Self {
        let epoch = DateTime::from_timestamp(1_767_225_600, 0).expect("the first of January 2026 is a time");
        Self { began: Instant::now(), epoch, ahead: Box::leak(Box::default()) }
    }

    /// The same time on a clock that nobody sets with this one: AWS's.
    #[must_use]
    pub fn elsewhere(self) -> Self {
        Self { ahead: Box::leak(Box::default()), ..self }
    }

    /// Sets the time of day by so many seconds ahead, or back; what has passed stays as it was.
    pub fn set_ahead(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> DateTime<Utc> {
        let ahead = chrono::Duration::seconds(self.ahead.load(Ordering::SeqCst));
        self.epoch + chrono::Duration::from_std(self.steady()).expect("no test runs for centuries") + ahead
    }

    fn steady(&self) -> Duration {
        self.began.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock that waiting goes through")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Runs a future on this thread in virtual time.
///
/// # Panics
/// If the runtime cannot be made, which takes no resource of the system.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without input and output needs nothing");
    runtime.block_on(future)
}
