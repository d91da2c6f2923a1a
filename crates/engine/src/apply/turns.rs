//! Whose turn it is to call: so many at once, and of those who wait the one with the longest way to
//! the end first. Who waits for an object to become ready needs no turn.

use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The turns of a run.
#[derive(Clone)]
pub(super) struct Turns(Arc<Mutex<Queue>>);

struct Queue {
    free: usize,
    waiting: BinaryHeap<Waiting>,
    /// How many have come so far: of equals, who came first goes first.
    came: u64,
}

struct Waiting {
    way: f64,
    number: u64,
    called: oneshot::Sender<Turn>,
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.way.total_cmp(&other.way).then_with(|| other.number.cmp(&self.number))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

/// One's turn, until it is dropped. `None` once it was passed on.
pub(super) struct Turn(Option<Turns>);

impl Turns {
    /// So many turns at once, at least one.
    pub(super) fn new(free: usize) -> Self {
        Self(Arc::new(Mutex::new(Queue { free: free.max(1), waiting: BinaryHeap::new(), came: 0 })))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn; `way` is the seconds from here to the end.
    pub(super) async fn take(&self, way: f64) -> Turn {
        let called = {
            let mut queue = self.queue();
            if queue.free > 0 {
                queue.free -= 1;
                return Turn(Some(self.clone()));
            }
            let (sender, called) = oneshot::channel();
            let number = queue.came;
            queue.came += 1;
            queue.waiting.push(Waiting { way, number, called: sender });
            called
        };
        match called.await {
            Ok(turn) => turn,
            Err(_) => unreachable!("who waits is called before the queue goes"),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turns) = self.0.take() else { return };
        loop {
            let next = {
                let mut queue = turns.queue();
                let next = queue.waiting.pop();
                if next.is_none() {
                    queue.free += 1;
                }
                next
            };
            let Some(next) = next else { return };
            match next.called.send(Self(Some(turns.clone()))) {
                Ok(()) => return,
                // Who has given up waiting is passed over.
                Err(mut turn) => turn.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::block_on;
    use futures::FutureExt;

    #[test]
    fn of_those_who_wait_the_longest_way_goes_first_and_equals_as_they_came() {
        block_on(async {
            let turns = Turns::new(1);
            let first = turns.take(1.0).await;
            let order = Mutex::new(Vec::new());
            let come = |name: &'static str, way: f64| {
                let (turns, order) = (turns.clone(), &order);
                async move {
                    let _turn = turns.take(way).await;
                    order.lock().unwrap().push(name);
                }
            };
            let end = async {
                drop(first);
            };
            futures::join!(come("short", 2.0), come("long", 9.0), come("also long", 9.0), end);
            assert_eq!(*order.lock().unwrap(), ["long", "also long", "short"]);
        });
    }

    #[test]
    fn a_turn_that_nobody_waits_for_any_more_is_not_lost() {
        block_on(async {
            let turns = Turns::new(1);
            let first = turns.take(1.0).await;
            let mut given_up = Box::pin(turns.take(5.0));
            assert!(given_up.as_mut().now_or_never().is_none());
            drop(given_up);
            drop(first);
            assert!(turns.take(1.0).now_or_never().is_some());
            assert!(turns.take(1.0).now_or_never().is_some());
        });
    }
}
