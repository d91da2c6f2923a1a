//! Ctrl-C: the first lets calls in flight finish, the second leaves at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Exit;

/// Listens for Ctrl-C and SIGTERM until the process ends. The first sets `flag`; the second ends
/// the process, which is safe at any moment: intents are on disk before every call.
pub(super) fn listen(flag: Arc<AtomicBool>) {
    tokio::spawn(async move {
        let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
            return;
        };
        loop {
            let signalled = tokio::select! {
                result = tokio::signal::ctrl_c() => result.is_ok(),
                received = terminate.recv() => received.is_some(),
            };
            if !signalled {
                return;
            }
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(i32::from(Exit::Interrupted.code()));
            }
        }
    });
}

/// Returns when `flag` is set: for work that may be dropped in the middle.
pub(super) async fn requested(flag: &AtomicBool) {
    while !flag.load(Ordering::SeqCst) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
