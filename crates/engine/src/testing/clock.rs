//! Virtual time: tokio's paused clock, which jumps to the next waker as soon as nothing can run.
//! Hours pass in milliseconds, and the same run takes the same steps every time.

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
}

impl VirtualClock {
    /// A clock that shows the first of January 2026 now.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[expect(clippy::new_without_default, reason = "it only works inside a runtime, which a default does not say")]
    pub fn new() -> Self {
        let epoch = DateTime::from_timestamp(1_767_225_600, 0).expect("the first of January 2026 is a time");
        Self { began: Instant::now(), epoch }
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> DateTime<Utc> {
        let passed = self.began.elapsed();
        self.epoch + chrono::Duration::from_std(passed).expect("no test runs for centuries")
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
