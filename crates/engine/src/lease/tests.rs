//! Leases of two and three runs, in virtual time and each on a clock of its own.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::testing::{VirtualClock, block_on};

/// A machine whose time of day is wrong by some seconds.
#[derive(Clone, Copy)]
struct Wrong {
    by: i64,
    clock: VirtualClock,
}

#[async_trait]
impl Clock for Wrong {
    fn now(&self) -> DateTime<Utc> {
        self.clock.now() + chrono::Duration::seconds(self.by)
    }
    fn steady(&self) -> Duration {
        self.clock.steady()
    }
    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }
}

/// A store that every machine reaches and that knows of no processes, as S3 is.
#[derive(Default)]
struct Shared {
    stored: Mutex<Option<(Lease, u64)>>,
    is_down: AtomicBool,
    loses_answers: AtomicBool,
}

fn fails(verb: &'static str) -> LeaseError {
    let class = FaultClass::Unavailable;
    LeaseError::Store { place: "here".to_owned(), verb, message: "no answer".to_owned(), class }
}

#[async_trait]
impl LeaseStore for Shared {
    async fn read(&self) -> Result<Option<(Lease, Version)>, LeaseError> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(fails("read"));
        }
        Ok(self.stored.lock().unwrap().clone().map(|(lease, version)| (lease, version.to_string())))
    }

    async fn replace(&self, lease: Option<&Lease>, expected: Option<&Version>) -> Result<bool, LeaseError> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(fails("written"));
        }
        {
            let mut stored = self.stored.lock().unwrap();
            if stored.as_ref().map(|(_, version)| version.to_string()).as_ref() != expected {
                return Ok(false);
            }
            let next = stored.as_ref().map_or(1, |(_, version)| version + 1);
            *stored = lease.map(|lease| (lease.clone(), next));
        }
        if self.loses_answers.swap(false, Ordering::SeqCst) {
            return Err(fails("written"));
        }
        Ok(true)
    }
}

fn wanted(run: &str) -> Lease {
    Lease::wanted(run, "ada", "engine-1", "apply")
}

const TAKE_OVER: Terms<'_> = Terms { take_over: true, ..Terms::FREE };

fn shared() -> Arc<dyn LeaseStore> {
    Arc::new(Shared::default())
}

async fn passes(clock: &dyn Clock, seconds: f64) {
    clock.sleep(Duration::from_secs_f64(seconds)).await;
}

#[test]
fn a_second_writer_is_told_who_holds_the_stack_where_and_at_which_step() {
    block_on(async {
        let clock = VirtualClock::new();
        let store = shared();
        let guard = acquire(&store, wanted("one"), &Terms::FREE, &clock).await.unwrap();
        let second = async {
            passes(&clock, 3.0).await;
            guard.step("creating dms/endpoint.source");
            passes(&clock, 4.0).await;
            acquire(&store, wanted("two"), &Terms::FREE, &clock).await.unwrap_err().to_string()
        };
        let refused = tokio::select! { () = guard.renew(&clock) => unreachable!(), refused = second => refused };
        assert_eq!(
            refused,
            "apply of ada on engine-1 holds the stack since 2026-01-01 00:00:00 UTC, now creating \
             dms/endpoint.source (run one, renewed 3 s ago)"
        );
        guard.release().await.unwrap();
        acquire(&store, wanted("two"), &Terms::FREE, &clock).await.unwrap();
    });
}

#[test]
fn a_silent_holder_is_followed_after_its_lease_and_one_more_length_of_watching() {
    block_on(async {
        let clock = VirtualClock::new();
        let store = shared();
        drop(acquire(&store, wanted("dead"), &Terms::FREE, &clock).await.unwrap());
        passes(&clock, 59.0).await;
        assert!(acquire(&store, wanted("early"), &Terms::FREE, &clock).await.is_err());
        passes(&clock, 2.0).await;
        let watched = Mutex::new(Vec::new());
        let watching = |held: &Lease, seconds: f64| watched.lock().unwrap().push((held.run.clone(), seconds));
        let began = clock.steady();
        let terms = Terms { watching: &watching, ..Terms::FREE };
        acquire(&store, wanted("next"), &terms, &clock).await.unwrap();
        assert!(clock.steady() >= began + Duration::from_mins(1));
        assert_eq!(*watched.lock().unwrap(), [("dead".to_owned(), 60.0)]);
    });
}

#[test]
fn no_difference_between_clocks_takes_a_live_lease_or_keeps_a_dead_one() {
    for by in [-100_000, -120, 120, 100_000] {
        block_on(async {
            let clock = VirtualClock::new();
            let other = Wrong { by, clock };
            let store = shared();
            let guard = acquire(&store, wanted("live"), &Terms::FREE, &clock).await.unwrap();
            let second = acquire(&store, wanted("second"), &Terms::FREE, &other);
            let refused = tokio::select! { () = guard.renew(&clock) => unreachable!(), second = second => second };
            assert!(matches!(refused, Err(LeaseError::Held { age: 0, .. })), "{by}");
            assert!(guard.may_change(&clock).await);
            // Now it is silent.
            acquire(&store, wanted("second"), &Terms::FREE, &other).await.unwrap();
            assert!(!guard.may_change(&clock).await, "{by}");
        });
    }
}

#[test]
fn a_holder_that_is_taken_over_stops_before_its_next_change_and_knows_for_whom() {
    block_on(async {
        let clock = VirtualClock::new();
        let store = shared();
        let first = acquire(&store, wanted("first"), &Terms::FREE, &clock).await.unwrap();
        assert!(first.may_change(&clock).await);
        let began = clock.steady();
        let second = acquire(&store, Lease::wanted("second", "bob", "desk", "destroy"), &TAKE_OVER, &clock);
        let second = second.await.unwrap();
        // The first was told within the time that the second left it, without a renewal.
        assert!(clock.steady() >= began + Duration::from_secs_f64(GRACE));
        assert!(!first.may_change(&clock).await && first.is_lost());
        assert_eq!(first.taken_by().unwrap().holder, "bob");
        assert!(second.may_change(&clock).await);
        // A third has no better chance than before.
        assert!(acquire(&store, wanted("third"), &Terms::FREE, &clock).await.is_err());
        first.release().await.unwrap();
        assert_eq!(store.read().await.unwrap().unwrap().0.run, "second");
    });
}

#[test]
fn nothing_is_changed_while_the_store_does_not_answer_and_the_lease_ends_then() {
    block_on(async {
        let clock = VirtualClock::new();
        let own = Arc::new(Shared::default());
        let store: Arc<dyn LeaseStore> = own.clone();
        let guard = acquire(&store, wanted("one"), &Terms::FREE, &clock).await.unwrap();
        own.is_down.store(true, Ordering::SeqCst);
        let back = async {
            passes(&clock, 30.0).await;
            own.is_down.store(false, Ordering::SeqCst);
        };
        let (may, ()) = futures::join!(guard.may_change(&clock), back);
        assert!(may, "it answered in time");
        passes(&clock, 3.0).await;
        own.is_down.store(true, Ordering::SeqCst);
        assert!(!guard.may_change(&clock).await);
        assert!(guard.trouble().unwrap().contains("no answer"));
    });
}

#[test]
fn a_lease_whose_written_answer_was_lost_is_had_all_the_same() {
    block_on(async {
        let clock = VirtualClock::new();
        let own = Arc::new(Shared::default());
        own.loses_answers.store(true, Ordering::SeqCst);
        let store: Arc<dyn LeaseStore> = own.clone();
        let guard = acquire(&store, wanted("one"), &Terms::FREE, &clock).await.unwrap();
        assert!(guard.may_change(&clock).await);
        own.is_down.store(true, Ordering::SeqCst);
        let refused = acquire(&store, wanted("two"), &Terms::FREE, &clock).await.unwrap_err().to_string();
        assert_eq!(refused, "the lease here cannot be read: no answer");
    });
}

#[test]
fn a_lease_that_ran_out_unrenewed_is_not_written_on_by_either_clock() {
    block_on(async {
        let clock = VirtualClock::new();
        let guard = acquire(&shared(), wanted("one"), &Terms::FREE, &clock).await.unwrap();
        passes(&clock, 60.0).await;
        assert!(guard.is_valid(&clock));
        passes(&clock, 1.0).await;
        // The time of day was set back meanwhile.
        assert!(!guard.is_valid(&Wrong { by: -1000, clock }));
        assert!(guard.is_lost());
        let slept = acquire(&shared(), wanted("two"), &Terms::FREE, &clock).await.unwrap();
        assert!(!slept.is_valid(&Wrong { by: 61, clock }));
        passes(&clock, 1e6).await;
        assert!(Guard::unshared().may_change(&clock).await);
    });
}

#[test]
fn one_of_two_leases_lost_is_both_lost() {
    block_on(async {
        let clock = VirtualClock::new();
        let (here, there) = (shared(), shared());
        let own = Arc::new(acquire(&here, wanted("one"), &Terms::FREE, &clock).await.unwrap());
        let guard = acquire(&there, wanted("one"), &Terms::FREE, &clock).await.unwrap().beside(own);
        assert!(guard.may_change(&clock).await);
        acquire(&here, wanted("two"), &TAKE_OVER, &clock).await.unwrap();
        assert!(!guard.may_change(&clock).await && guard.is_lost());
        assert_eq!(guard.taken_by().unwrap().run, "two");
    });
}

fn file(folder: &tempfile::TempDir) -> Arc<dyn LeaseStore> {
    Arc::new(FileLease::new(folder.path().join("lease.json")))
}

#[test]
fn a_dead_process_is_followed_at_once_and_the_next_store_is_told_so() {
    block_on(async {
        let clock = VirtualClock::new();
        let folder = tempfile::tempdir().unwrap();
        let far = shared();
        let began = clock.steady();
        let dead = file(&folder);
        let first = acquire(&dead, wanted("a"), &Terms::FREE, &clock).await.unwrap();
        drop(acquire(&far, wanted("a"), &Terms::FREE, &clock).await.unwrap());
        drop((first, dead));
        // Killed before it could take the far lease, too.
        let dead = file(&folder);
        drop(acquire(&dead, wanted("b"), &Terms::FREE, &clock).await.unwrap());
        drop(dead);
        let here = file(&folder);
        let guard = acquire(&here, wanted("c"), &Terms::FREE, &clock).await.unwrap();
        assert_eq!(guard.gone(), ["b", "a"]);
        let gone = guard.gone();
        acquire(&far, wanted("c"), &Terms { gone: &gone, ..Terms::FREE }, &clock).await.unwrap();
        assert_eq!(clock.steady(), began, "nobody waited");
    });
}

#[test]
fn a_process_that_took_over_is_not_thought_dead_once_the_former_one_ends() {
    block_on(async {
        let clock = VirtualClock::new();
        let folder = tempfile::tempdir().unwrap();
        let former = file(&folder);
        let first = acquire(&former, wanted("former"), &Terms::FREE, &clock).await.unwrap();
        let own = file(&folder);
        let second = acquire(&own, wanted("own"), &TAKE_OVER, &clock).await.unwrap();
        drop((first, former));
        assert!(acquire(&file(&folder), wanted("third"), &Terms::FREE, &clock).await.is_err());
        second.release().await.unwrap();
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["lease.lock"]);
    });
}

#[test]
fn a_file_that_is_no_lease_keeps_nobody_out() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        for garbage in [&b""[..], b"{\"run\": \"a", b"\xff\xfe\x00garbage"] {
            std::fs::write(folder.path().join("lease.json"), garbage).unwrap();
            let guard = acquire(&file(&folder), wanted("own"), &Terms::FREE, &VirtualClock::new()).await.unwrap();
            guard.release().await.unwrap();
        }
    });
}

#[test]
fn a_holder_whose_folder_was_deleted_has_lost_the_stack() {
    block_on(async {
        let clock = VirtualClock::new();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop");
        let store: Arc<dyn LeaseStore> = Arc::new(FileLease::new(path.join("lease.json")));
        let guard = acquire(&store, wanted("one"), &Terms::FREE, &clock).await.unwrap();
        std::fs::remove_dir_all(&path).unwrap();
        assert!(!guard.may_change(&clock).await);
        guard.release().await.unwrap();
        // Only the sign is gone: whether the holder lives is not known, so it is not followed at once.
        let guard = acquire(&store, wanted("two"), &Terms::FREE, &clock).await.unwrap();
        std::fs::remove_file(path.join("lease.two.held")).unwrap();
        drop(guard);
        let other: Arc<dyn LeaseStore> = Arc::new(FileLease::new(path.join("lease.json")));
        assert!(acquire(&other, wanted("three"), &Terms::FREE, &clock).await.is_err());
    });
}

#[test]
fn of_two_who_come_at_the_same_time_one_is_refused() {
    for round in 0..500 {
        let folder = tempfile::tempdir().unwrap();
        let barrier = std::sync::Barrier::new(2);
        let come = |run: &'static str| {
            let store = file(&folder);
            barrier.wait();
            let is_held =
                block_on(async { acquire(&store, wanted(run), &Terms::FREE, &VirtualClock::new()).await.is_ok() });
            (is_held, store)
        };
        let (one, two) = std::thread::scope(|scope| {
            let (one, two) = (scope.spawn(|| come("one")), scope.spawn(|| come("two")));
            (one.join().unwrap(), two.join().unwrap())
        });
        assert!(one.0 != two.0, "round {round}: {} and {}", one.0, two.0);
    }
}
