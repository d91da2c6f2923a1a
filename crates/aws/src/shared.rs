//! One call for all who want the same at the same time.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// The last answer of a call, and up to which request it may serve.
pub(crate) struct Shared<T> {
    requests: AtomicU64,
    last: Mutex<Option<(u64, T)>>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { requests: AtomicU64::new(0), last: Mutex::const_new(None) }
    }
}

impl<T: Clone> Shared<T> {
    /// The answer of a call that began after this request: another's, if it serves, else an own.
    pub(crate) async fn get<E>(&self, call: impl AsyncFnOnce() -> Result<T, E>) -> Result<T, E> {
        let request = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = self.last.lock().await;
        if let Some((until, answer)) = last.as_ref()
            && *until >= request
        {
            return Ok(answer.clone());
        }
        // Others that begin at the same moment may come in before the call is made.
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
        let until = self.requests.load(Ordering::SeqCst);
        let answer = call().await?;
        *last = Some((until, answer.clone()));
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[tokio::test]
    async fn requests_at_the_same_time_share_a_call_and_later_ones_do_not() {
        let shared = Shared::default();
        let calls = AtomicU64::new(0);
        let call = async || shared.get(async || Ok::<_, Infallible>(calls.fetch_add(1, Ordering::SeqCst))).await;
        let (one, two) = tokio::join!(call(), call());
        assert_eq!((one, two), (Ok(0), Ok(0)));
        assert_eq!(call().await, Ok(1), "what was read before the request does not serve it");
    }
}
