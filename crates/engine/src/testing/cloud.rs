//! The world of the fake cloud: objects with life cycles, refusals as AWS makes them, and faults
//! at chosen calls. It knows nothing of plans and shares no rule with the code that it tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::sync::Notify;

use super::clock::VirtualClock;
use super::kinds::FakeKind;
use super::trouble::{Trouble, denied, fault, throttled, unavailable, unfinished};
use crate::clock::Clock;
use crate::fault::{Fault, FaultClass};
use crate::kind::{Object, Outputs, Readiness, Tags};
use crate::value::{Map, Value};

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Steady,
    Busy { status: &'static str, until: DateTime<Utc>, then: Box<Self> },
    Broken,
    Deleting { until: DateTime<Utc> },
}

#[derive(Clone, Debug)]
struct Thing {
    kind: &'static str,
    identity: String,
    name: String,
    state: Map,
    tags: Tags,
    phase: Phase,
    running: bool,
    /// How often its work was started.
    starts: u64,
    born: u64,
}

#[derive(Default)]
struct World {
    things: Vec<Thing>,
    before: Vec<Thing>,
    births: u64,
    calls: Vec<String>,
    troubles: BTreeMap<usize, Trouble>,
    dead: bool,
}

/// An account in memory. Clones are the same account.
#[derive(Clone)]
pub struct FakeCloud {
    pub(super) clock: VirtualClock,
    world: Arc<Mutex<World>>,
    died: Arc<Notify>,
}

/// What a mutating call asks for.
pub(super) enum Ask<'a> {
    Create { name: &'a str, spec: &'a Value, tags: &'a Tags },
    Update { identity: &'a str, spec: &'a Value, fields: &'a [String] },
    Delete { identity: &'a str },
    Tag { identity: &'a str, tags: &'a Tags },
    Turn { identity: &'a str, running: bool },
}

impl Ask<'_> {
    fn verb(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Update { .. } => "update",
            Self::Delete { .. } => "delete",
            Self::Tag { .. } => "tag",
            Self::Turn { running: true, .. } => "resume",
            Self::Turn { running: false, .. } => "pause",
        }
    }

    fn subject(&self) -> &str {
        match self {
            Self::Create { name, .. } => name,
            Self::Update { identity, .. }
            | Self::Delete { identity }
            | Self::Tag { identity, .. }
            | Self::Turn { identity, .. } => identity,
        }
    }
}

impl FakeCloud {
    /// An empty account.
    pub fn new(clock: VirtualClock) -> Self {
        Self { clock, world: Arc::default(), died: Arc::default() }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.settle(self.clock.now());
        world
    }

    /// Lets something go wrong at the call of that number, counted from 0 over all calls.
    pub fn trouble(&self, call: usize, trouble: Trouble) {
        self.world().troubles.insert(call, trouble);
    }

    /// Takes out what has not gone wrong yet, and lets a new program start after a crash.
    pub fn revive(&self) {
        let mut world = self.world();
        world.troubles.clear();
        world.dead = false;
    }

    /// Lets the program die now: no call returns any more.
    pub fn die(&self) {
        self.world().dead = true;
        self.died.notify_one();
    }

    /// Whether the program has died.
    pub fn is_dead(&self) -> bool {
        self.world().dead
    }

    /// Returns when the program dies.
    pub async fn death(&self) {
        while !self.is_dead() {
            self.died.notified().await;
        }
    }

    /// All calls so far, e.g. `create pipe/instance shop-main`.
    pub fn calls(&self) -> Vec<String> {
        self.world().calls.clone()
    }

    /// What there is, for checks and for changes behind the engine's back: kind, identity, tags
    /// and state.
    pub fn objects(&self) -> Vec<(&'static str, Object)> {
        self.world().things.iter().map(|thing| (thing.kind, thing.object())).collect()
    }

    /// Puts an object there without a call, e.g. one that somebody else made. Returns its identity.
    pub fn plant(&self, kind: &str, name: &str, state: &Value, tags: &Tags) -> String {
        let kinds = super::kinds::all();
        let kind = kinds.iter().find(|known| known.name == kind).unwrap_or_else(|| panic!("no fake kind `{kind}`"));
        self.world().birth(kind, name, state, tags, Phase::Steady)
    }

    /// Changes an object without a call: state, tags, running and readiness as `edit` leaves them.
    ///
    /// # Panics
    /// If there is no such object.
    pub fn tamper(&self, kind: &str, identity: &str, edit: impl FnOnce(&mut Map, &mut Tags, &mut bool)) {
        let mut world = self.world();
        let thing = world.things.iter_mut().find(|thing| thing.kind == kind && thing.identity == identity);
        let thing = thing.unwrap_or_else(|| panic!("no {kind} `{identity}`"));
        let ran = thing.running;
        edit(&mut thing.state, &mut thing.tags, &mut thing.running);
        thing.starts += u64::from(!ran && thing.running);
    }

    /// Removes an object without a call.
    pub fn vanish(&self, kind: &str, identity: &str) {
        self.world().things.retain(|thing| thing.kind != kind || thing.identity != identity);
    }

    /// Puts an object into a failed state without a call.
    pub fn break_down(&self, kind: &str, identity: &str) {
        for thing in &mut self.world().things {
            if thing.kind == kind && thing.identity == identity {
                thing.phase = Phase::Broken;
            }
        }
    }

    fn next(&self, call: String) -> (usize, Option<Trouble>, bool) {
        let mut world = self.world();
        if world.dead {
            return (0, None, true);
        }
        let number = world.calls.len();
        world.calls.push(call);
        let trouble = world.troubles.remove(&number);
        (number, trouble, false)
    }

    /// A program that has died does not go on.
    async fn dead<T>(&self) -> T {
        std::future::pending().await
    }

    pub(super) async fn list(&self, kind: &FakeKind) -> Result<Vec<Object>, Fault> {
        let operation = format!("{}:list", kind.name);
        let (_, trouble, dead) = self.next(format!("list {}", kind.name));
        if dead {
            return self.dead().await;
        }
        match trouble {
            Some(Trouble::Throttle) => return Err(throttled(&operation)),
            Some(Trouble::UnavailableBefore | Trouble::UnavailableAfter) => return Err(unavailable(&operation)),
            Some(Trouble::Denied) => return Err(denied(&operation)),
            Some(trouble) if trouble.is_crash() => {
                self.die();
                return self.dead().await;
            }
            _ => {}
        }
        let world = self.world();
        let things = if trouble == Some(Trouble::StaleList) { &world.before } else { &world.things };
        Ok(things.iter().filter(|thing| thing.kind == kind.name).map(Thing::object).collect())
    }

    pub(super) async fn act(&self, kind: &FakeKind, ask: Ask<'_>) -> Result<String, Fault> {
        let operation = format!("{}:{}", kind.name, ask.verb());
        let (_, trouble, dead) = self.next(format!("{} {} {}", ask.verb(), kind.name, ask.subject()));
        if dead {
            return self.dead().await;
        }
        match trouble {
            Some(Trouble::Throttle) => return Err(throttled(&operation)),
            Some(Trouble::UnavailableBefore) => return Err(unavailable(&operation)),
            Some(Trouble::Denied) => return Err(denied(&operation)),
            Some(Trouble::CrashBefore) => {
                self.die();
                return self.dead().await;
            }
            _ => {}
        }
        let now = self.clock.now();
        let done = {
            let mut world = self.world();
            let snapshot = world.things.clone();
            let done = world.act(kind, &ask, now, trouble);
            if done.is_ok() {
                world.before = snapshot;
            }
            done
        };
        match trouble {
            Some(Trouble::UnavailableAfter) if done.is_ok() => Err(unavailable(&operation)),
            Some(Trouble::HalfMade) if done.is_ok() && matches!(ask, Ask::Create { .. }) => Err(unfinished(&operation)),
            Some(Trouble::CrashAfter | Trouble::CrashHalfway) => {
                self.die();
                self.dead().await
            }
            _ => done,
        }
    }
}

impl Thing {
    fn outputs(&self) -> Outputs {
        let mut outputs = Outputs::new();
        outputs.insert("name".to_owned(), json!(self.name));
        outputs.insert("id".to_owned(), json!(self.identity));
        outputs.insert("arn".to_owned(), json!(arn(self.kind, &self.identity)));
        if let Some(port) = self.state.get("port") {
            outputs.insert("port".to_owned(), port.clone());
        }
        outputs.insert("address".to_owned(), json!(format!("{}.example", self.identity)));
        if self.starts > 0 {
            outputs.insert("stretch".to_owned(), json!(self.starts.to_string()));
        }
        outputs
    }

    fn object(&self) -> Object {
        let readiness = match &self.phase {
            Phase::Steady => Readiness::Ready,
            Phase::Busy { status, .. } => Readiness::Pending((*status).to_owned()),
            Phase::Broken => Readiness::Failed("it broke".to_owned()),
            Phase::Deleting { .. } => Readiness::Deleting,
        };
        let mut state = self.state.clone();
        state.remove("password");
        state.remove("shared");
        Object {
            identity: self.identity.clone(),
            outputs: self.outputs(),
            state: Value::Object(state),
            tags: Some(self.tags.clone()),
            readiness,
            running: self.running,
            pending: Value::Null,
        }
    }
}

pub(super) fn arn(kind: &str, identity: &str) -> String {
    format!("arn:fake:{}:{identity}", kind.replace('/', ":"))
}

impl World {
    fn settle(&mut self, now: DateTime<Utc>) {
        for thing in &mut self.things {
            while let Phase::Busy { until, then, status } = &thing.phase {
                if *until > now {
                    break;
                }
                match *status {
                    // Work that has an end reaches it before anyone looks.
                    "starting" => {
                        thing.running = !thing.state.contains_key("ended");
                        thing.starts += 1;
                    }
                    "stopping" => thing.running = false,
                    _ => {}
                }
                thing.phase = (**then).clone();
            }
            thing.running &= thing.phase != Phase::Broken;
        }
        self.things.retain(|thing| !matches!(thing.phase, Phase::Deleting { until } if until <= now));
    }

    fn birth(&mut self, kind: &FakeKind, name: &str, state: &Value, tags: &Tags, phase: Phase) -> String {
        self.births += 1;
        let identity = if kind.facts.assigned_identity {
            format!("{}-{:04}", kind.name.rsplit('/').next().unwrap_or(kind.name), self.births)
        } else {
            name.to_owned()
        };
        self.things.push(Thing {
            kind: kind.name,
            identity: identity.clone(),
            name: name.to_owned(),
            state: state.as_object().cloned().unwrap_or_default(),
            tags: tags.clone(),
            phase,
            running: false,
            starts: 0,
            born: self.births,
        });
        identity
    }

    fn act(
        &mut self,
        kind: &FakeKind,
        ask: &Ask<'_>,
        now: DateTime<Utc>,
        trouble: Option<Trouble>,
    ) -> Result<String, Fault> {
        let operation = format!("{}:{}", kind.name, ask.verb());
        let later = |seconds: f64| now + chrono::Duration::milliseconds((seconds * 1000.0) as i64);
        let busy = |status, seconds, then| Phase::Busy { status, until: later(seconds), then: Box::new(then) };
        if let Ask::Create { name, spec, tags } = ask {
            self.check_references(kind, spec, &operation)?;
            if kind.unique && self.things.iter().any(|thing| thing.kind == kind.name && thing.name == **name) {
                return Err(fault(FaultClass::AlreadyExists, &operation, "the name is taken"));
            }
            let then = if trouble == Some(Trouble::FailedState) { Phase::Broken } else { Phase::Steady };
            let tags = if trouble == Some(Trouble::LostTags) { Tags::new() } else { (*tags).clone() };
            let slower = if trouble == Some(Trouble::SlowState) { 4.0 } else { 1.0 };
            let phase = busy("creating", kind.facts.create.typical * slower, then);
            let halfway = matches!(trouble, Some(Trouble::HalfMade | Trouble::CrashHalfway));
            let spec = if halfway { &kind.first_call(spec) } else { *spec };
            return Ok(self.birth(kind, name, spec, &tags, phase));
        }
        let found = self.things.iter().position(|thing| thing.kind == kind.name && thing.identity == ask.subject());
        let Some(index) = found else { return Err(fault(FaultClass::NotFound, &operation, "no such object")) };
        let is_tag = matches!(ask, Ask::Tag { .. });
        let broken_goes = matches!((&self.things[index].phase, ask), (Phase::Broken, Ask::Delete { .. }));
        if !is_tag && !broken_goes && self.things[index].phase != Phase::Steady {
            return Err(fault(FaultClass::Busy, &operation, "the object is not available"));
        }
        match ask {
            Ask::Create { .. } => {}
            Ask::Update { spec, fields, .. } => {
                self.check_references(kind, spec, &operation)?;
                self.check_update(kind, index, fields, &operation)?;
                for field in *fields {
                    let value = spec.get(field).cloned().unwrap_or(Value::Null);
                    self.things[index].state.insert(field.clone(), value);
                }
                self.things[index].phase = busy("modifying", kind.facts.update.typical, Phase::Steady);
            }
            Ask::Delete { .. } => {
                if self.things[index].running {
                    return Err(fault(FaultClass::Busy, &operation, "the object runs"));
                }
                if let Some(user) = self.user_of(index) {
                    return Err(fault(FaultClass::Busy, &operation, &format!("`{user}` uses it")));
                }
                self.things[index].phase = Phase::Deleting { until: later(kind.facts.delete.typical) };
            }
            Ask::Tag { tags, .. } => {
                if trouble != Some(Trouble::LostTags) {
                    self.things[index].tags.extend((*tags).clone());
                }
            }
            Ask::Turn { running, .. } => {
                if !kind.runs || self.things[index].running == *running {
                    return Err(fault(FaultClass::Invalid, &operation, "it is in that state already"));
                }
                let status = if *running { "starting" } else { "stopping" };
                self.things[index].phase = busy(status, kind.facts.update.typical, Phase::Steady);
            }
        }
        Ok(self.things[index].identity.clone())
    }

    /// A modify call is refused while work runs that it would interrupt, and where the service
    /// takes one field per call.
    fn check_update(&self, kind: &FakeKind, index: usize, fields: &[String], operation: &str) -> Result<(), Fault> {
        use crate::kind::Pauses;
        let thing = &self.things[index];
        if kind.one_field && fields.len() != 1 {
            return Err(fault(FaultClass::Invalid, operation, "one parameter per call"));
        }
        let me = arn(thing.kind, &thing.identity);
        let stopped = match kind.facts.pauses {
            Pauses::Nothing => true,
            Pauses::Itself => !thing.running,
            Pauses::Dependents => !self
                .things
                .iter()
                .any(|other| other.running && other.state.values().any(|value| value.as_str() == Some(me.as_str()))),
            Pauses::Holders => self.user_of(index).is_none(),
        };
        if stopped { Ok(()) } else { Err(fault(FaultClass::Invalid, operation, "a task is running")) }
    }

    /// What a spec refers to firmly must be there and usable.
    fn check_references(&self, kind: &FakeKind, spec: &Value, operation: &str) -> Result<(), Fault> {
        for (field, facts) in &kind.fields {
            let Some(refers) = facts.refers_to.as_ref() else { continue };
            for text in texts(spec.get(field)) {
                let target = self.things.iter().find(|thing| {
                    refers.kinds.iter().any(|kind| kind == thing.kind)
                        && thing.outputs().get(&refers.attribute).and_then(Value::as_str) == Some(text)
                });
                match target.map(|thing| &thing.phase) {
                    None | Some(Phase::Deleting { .. }) => {
                        return Err(fault(FaultClass::Invalid, operation, &format!("`{text}` does not exist")));
                    }
                    Some(Phase::Steady) => {}
                    Some(_) => return Err(fault(FaultClass::Busy, operation, &format!("`{text}` is not available"))),
                }
            }
        }
        Ok(())
    }

    fn user_of(&self, index: usize) -> Option<String> {
        let used = &self.things[index];
        let outputs = used.outputs();
        let kinds = super::kinds::all();
        self.things.iter().find_map(|thing| {
            let kind = kinds.iter().find(|kind| kind.name == thing.kind)?;
            let uses = kind.fields.iter().any(|(field, facts)| {
                let Some(refers) = facts.refers_to.as_ref().filter(|refers| !refers.loose) else { return false };
                refers.kinds.iter().any(|kind| kind == used.kind)
                    && texts(thing.state.get(*field))
                        .any(|text| outputs.get(&refers.attribute).and_then(Value::as_str) == Some(text))
            });
            (uses && thing.born != used.born).then(|| thing.identity.clone())
        })
    }
}

fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let items = match value {
        Some(Value::Array(items)) => items.as_slice(),
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    items.iter().filter_map(Value::as_str)
}
