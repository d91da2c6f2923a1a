//! Faults to plant: which call, which occurrence, what goes wrong.
//!
//! | name | what happens | the test it is for |
//! |---|---|---|
//! | `throttle` | the service's own throttling error, no effect | retries with backoff; the token bucket |
//! | `server-error` | a 500, no effect | retries of transient errors |
//! | `cut-before` | the connection closes, no effect | retries of broken connections |
//! | `cut-after` | the effect happens, the connection closes unanswered | the journal settles an unknown outcome; no second object |
//! | `lost-tags` | a create succeeds without its tags | ownership found by the journal, tags repaired |
//! | `stale-list` | answered from the world before the last change | read-after-write patience |
//! | `slow-state` | the transition that begins takes five times as long | waits and their limits |
//! | `failed-state` | the transition that begins ends in the failed state | failures named with their cause |
//! | `crash-before` | the client's process is killed (SIGKILL) instead of the call | `kill -9` before the effect |
//! | `crash-after` | the client's process is killed (SIGKILL) after the effect, unanswered | `kill -9` between effect and outcome |
//! | `not-found` | refused as if what it names were not there, no effect | reads right after a create; statements that have expired |
//! | `no-capacity` | refused for want of capacity, no effect | failures that waiting does not mend |
//! | `incompatible-network` | a replication instance ends in that state | failed states other than `failed` |
//! | `recoverable-error` | a replication task stops with an error that resuming gets over | resuming |
//! | `read-only` | what is made belongs to a zero-ETL integration | objects that must be left alone |
//!
//! Written `NAME@PATTERN`, `NAME@PATTERN#3` or `NAME@PATTERN#*`: the first, the third, or every call that
//! the pattern fits. A pattern is `service:Operation` with `*` for any text, for example `dms:Create*`.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// `throttle`
    Throttle,
    /// `server-error`
    ServerError,
    /// `cut-before`
    CutBefore,
    /// `cut-after`
    CutAfter,
    /// `lost-tags`
    LostTags,
    /// `stale-list`
    StaleList,
    /// `slow-state`
    SlowState,
    /// `failed-state`
    FailedState,
    /// `crash-before`
    CrashBefore,
    /// `crash-after`
    CrashAfter,
    /// `not-found`
    NotFound,
    /// `no-capacity`
    NoCapacity,
    /// `incompatible-network`
    IncompatibleNetwork,
    /// `recoverable-error`
    RecoverableError,
    /// `read-only`
    ReadOnly,
}

impl Effect {
    /// Every effect with its name.
    pub const ALL: [(&'static str, Self); 15] = [
        ("throttle", Self::Throttle),
        ("server-error", Self::ServerError),
        ("cut-before", Self::CutBefore),
        ("cut-after", Self::CutAfter),
        ("lost-tags", Self::LostTags),
        ("stale-list", Self::StaleList),
        ("slow-state", Self::SlowState),
        ("failed-state", Self::FailedState),
        ("crash-before", Self::CrashBefore),
        ("crash-after", Self::CrashAfter),
        ("not-found", Self::NotFound),
        ("no-capacity", Self::NoCapacity),
        ("incompatible-network", Self::IncompatibleNetwork),
        ("recoverable-error", Self::RecoverableError),
        ("read-only", Self::ReadOnly),
    ];
}

/// Which of the calls that fit a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurrence {
    /// The n-th, counted from 1 over the life of the sandbox process.
    Nth(u64),
    /// Each.
    Every,
}

/// A planted fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub effect: Effect,
    /// `service:Operation`, with `*` for any text.
    pub pattern: String,
    /// Which call.
    pub occurrence: Occurrence,
}

/// A text that names no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a fault: write NAME@SERVICE:OPERATION or NAME@SERVICE:OPERATION#N, with NAME one of {names}", names = names())]
pub struct NotAFault(String);

fn names() -> String {
    Effect::ALL.map(|(name, _)| name).join(", ")
}

impl FromStr for Fault {
    type Err = NotAFault;

    fn from_str(text: &str) -> Result<Self, NotAFault> {
        let wrong = || NotAFault(text.to_owned());
        let (name, place) = text.split_once('@').ok_or_else(wrong)?;
        let (_, effect) = Effect::ALL.into_iter().find(|(known, _)| *known == name).ok_or_else(wrong)?;
        let (pattern, occurrence) = match place.split_once('#') {
            None => (place, Occurrence::Nth(1)),
            Some((pattern, "*")) => (pattern, Occurrence::Every),
            Some((pattern, n)) => match n.parse() {
                Ok(n) if n > 0 => (pattern, Occurrence::Nth(n)),
                _ => return Err(wrong()),
            },
        };
        if !pattern.contains(':') {
            return Err(wrong());
        }
        Ok(Self { effect, pattern: pattern.to_owned(), occurrence })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Effect::ALL.iter().find(|(_, effect)| *effect == self.effect).map_or("", |(name, _)| name);
        match self.occurrence {
            Occurrence::Nth(n) => write!(formatter, "{name}@{}#{n}", self.pattern),
            Occurrence::Every => write!(formatter, "{name}@{}#*", self.pattern),
        }
    }
}

/// Decides for each call what goes wrong with it.
#[derive(Debug)]
pub(crate) struct Faults {
    planted: Vec<Fault>,
    chaos: Option<u64>,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    by_fault: Vec<u64>,
    by_operation: HashMap<String, u64>,
}

impl Faults {
    pub(crate) fn new(planted: Vec<Fault>, chaos: Option<u64>) -> Self {
        let counts = Counts { by_fault: vec![0; planted.len()], by_operation: HashMap::new() };
        Self { planted, chaos, counts: Mutex::new(counts) }
    }

    /// Whether some call may be answered from the past.
    pub(crate) fn look_back(&self) -> bool {
        self.chaos.is_some() || self.planted.iter().any(|fault| fault.effect == Effect::StaleList)
    }

    /// Counts a call of `operation` (`service:Operation`) and says what goes wrong with it.
    pub(crate) fn next(&self, operation: &str) -> Option<Effect> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut effect = None;
        for (fault, count) in self.planted.iter().zip(&mut counts.by_fault) {
            if !fits(&fault.pattern, operation) {
                continue;
            }
            *count += 1;
            if fault.occurrence == Occurrence::Every || fault.occurrence == Occurrence::Nth(*count) {
                effect = effect.or(Some(fault.effect));
            }
        }
        if let Some(seed) = self.chaos {
            let count = counts.by_operation.entry(operation.to_owned()).or_default();
            *count += 1;
            effect = effect.or_else(|| chance(seed, operation, *count));
        }
        effect
    }
}

/// The effect that `seed` has for the n-th call of an operation, whatever else runs beside it.
fn chance(seed: u64, operation: &str, count: u64) -> Option<Effect> {
    let digest =
        Sha256::new().chain_update(seed.to_le_bytes()).chain_update(count.to_le_bytes()).chain_update(operation);
    let mut random = ChaCha8Rng::from_seed(digest.finalize().into());
    match random.random_range(0..100) {
        0..5 => Some(Effect::Throttle),
        5..8 => Some(Effect::ServerError),
        8..11 => Some(Effect::CutBefore),
        11..14 => Some(Effect::CutAfter),
        14..16 => Some(Effect::SlowState),
        16..18 if operation.contains(":Describe") || operation.contains(":List") => Some(Effect::StaleList),
        _ => None,
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text
            .strip_prefix(head)
            .is_some_and(|rest| (0..=rest.len()).any(|at| rest.is_char_boundary(at) && fits(tail, &rest[at..]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_the_call_it_names_and_no_other() {
        let faults = Faults::new(vec!["cut-after@dms:Create*#2".parse().unwrap()], None);
        assert_eq!(faults.next("dms:CreateEndpoint"), None);
        assert_eq!(faults.next("dms:DescribeEndpoints"), None);
        assert_eq!(faults.next("dms:CreateReplicationTask"), Some(Effect::CutAfter));
        assert_eq!(faults.next("dms:CreateReplicationTask"), None);
    }

    #[test]
    fn faults_read_back_as_written() {
        for text in ["throttle@iam:*#1", "crash-after@dms:CreateEndpoint#3", "stale-list@*:Describe*#*"] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
        for text in ["throttle", "nonsense@dms:*", "throttle@dms", "throttle@dms:*#0"] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    #[test]
    fn chaos_is_the_same_for_the_same_seed_in_any_order() {
        let forward = Faults::new(Vec::new(), Some(7));
        let first: Vec<_> = (0..200).map(|_| forward.next("dms:DescribeEndpoints")).collect();
        let mixed = Faults::new(Vec::new(), Some(7));
        let second: Vec<_> = (0..200)
            .map(|_| {
                mixed.next("ec2:DescribeVpcs");
                mixed.next("dms:DescribeEndpoints")
            })
            .collect();
        assert_eq!(first, second);
        assert!(first.iter().any(Option::is_some) && first.iter().any(Option::is_none));
    }
}
