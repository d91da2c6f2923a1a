//! A plan in a file: what it was made for, and what has changed since, in words.
//!
//! The file carries what the stack declared and every live object the plan looked at, so that a refusal
//! can name the object, the field, and its two values. It is bound to its own content: a file that was
//! cut off or edited is told from a whole one. It holds no secret, because neither a stack nor a state does.
//! Nothing here reads a file or the world.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::{Action, BuildInput, FORMAT, Plan, standing};
use crate::address::Address;
use crate::journal::Replay;
use crate::kind::{Object, Place, Readiness, Registry};
use crate::observe::Observation;
use crate::stack::{Resource, Stack};
use crate::value::{Sorted, Value, hash, is_unknown};

/// The longest value in a refusal.
const WIDTH: usize = 60;

/// A plan and what it was made for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Version of this form.
    pub format: u32,
    /// When it was made.
    pub made: DateTime<Utc>,
    /// What the stack declared, as [`crate::stack::declared`] says it.
    pub declared: Value,
    /// What that meant, by resource: a URL in a variable as the address behind it.
    pub meant: Value,
    /// The live objects of the stack, and those that the plan deletes.
    pub seen: Vec<Seen>,
    /// The plan.
    pub plan: Plan,
    /// Hash of all the rest.
    pub checksum: String,
}

/// One object as it was when the plan was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// The resource it stands for.
    pub address: Address,
    /// The object.
    pub object: Object,
}

/// Why a text is no plan that can be applied.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// It ends in the middle.
    #[error("the file is cut off")]
    CutOff,
    /// It is something else.
    #[error("the file is not a plan of towpath")]
    NotAPlan(#[source] serde_json::Error),
    /// It is a plan of another form.
    #[error("the file has format {0}, this version of towpath writes {FORMAT}")]
    Format(u64),
    /// Its content is not what was saved.
    #[error("the file was edited after it was saved")]
    Edited,
}

impl Saved {
    /// Binds a plan to what it was made from.
    pub fn new(plan: Plan, input: &BuildInput<'_>, made: DateTime<Utc>) -> Self {
        let mut seen: Vec<Seen> = Vec::new();
        for (name, object) in standing(input) {
            let address = input.stack.resources[&name].address.clone();
            seen.push(Seen { address, object: object.clone() });
        }
        for step in plan.steps.iter().filter(|step| step.action != Action::Create) {
            let known = |one: &Seen| one.address.kind == step.address.kind && is(&one.object, &step.identity);
            let live = find(input.observation, &step.address.kind, &step.identity);
            if let Some(object) = live.filter(|_| !seen.iter().any(known)) {
                seen.push(Seen { address: step.address.clone(), object: object.clone() });
            }
        }
        let declared = crate::stack::declared(input.stack);
        let meant = meant(input.stack, input.registry);
        let mut saved = Self { format: FORMAT, made, declared, meant, seen, plan, checksum: String::new() };
        saved.checksum = saved.hash();
        saved
    }

    /// The text of the file.
    ///
    /// # Panics
    /// Never: a plan is plain data.
    pub fn write(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("a plan is plain data and always serialises");
        text + "\n"
    }

    /// Reads such a text.
    pub fn read(text: &str) -> Result<Self, SavedError> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| if error.is_eof() { SavedError::CutOff } else { SavedError::NotAPlan(error) })?;
        if let Some(format) = value["format"].as_u64().filter(|format| *format != u64::from(FORMAT)) {
            return Err(SavedError::Format(format));
        }
        let saved: Self = serde_json::from_value(value).map_err(SavedError::NotAPlan)?;
        if saved.checksum == saved.hash() { Ok(saved) } else { Err(SavedError::Edited) }
    }

    fn hash(&self) -> String {
        let bare = Self { checksum: String::new(), ..self.clone() };
        let value = serde_json::to_value(&bare).unwrap_or_default();
        hash(&Sorted(&value))
    }

    /// What keeps the plan from being applied by this program, in this place, to this stack: in words,
    /// one line each. Known before the world is read.
    pub fn unfit(
        &self,
        stack: &Stack,
        place: &Place,
        version: &str,
        registry: &Registry,
        replay: &Replay,
    ) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(at) = replay.applied.get(&self.checksum) {
            found.push(format!("it was applied already, at {}", at.to_rfc3339_opts(SecondsFormat::Secs, true)));
        }
        if self.plan.version != version {
            found.push(format!("it was made by towpath {}, this is {version}", self.plan.version));
        }
        let own = &self.plan.place;
        for (what, then, now) in [
            ("the stack", &own.stack, &place.stack),
            ("the account", &own.account, &place.account),
            ("the region", &own.region, &place.region),
            ("the partition", &own.partition, &place.partition),
        ] {
            if then != now {
                found.push(format!("{what} was `{then}`, is `{now}`"));
            }
        }
        let before = found.len();
        differences("", &self.declared, &crate::stack::declared(stack), &mut |path, then, now| {
            found.push(format!("the stack file: `{path}` was {}, is {}", shown(then), shown(now)));
        });
        found.extend(self.retold(registry));
        if found.len() == before {
            differences("", &self.meant, &meant(stack, registry), &mut |path, then, now| {
                found.push(format!("a variable: `{path}` was {}, is {}", shown(then), shown(now)));
            });
        }
        found
    }

    /// Values shown in the plan that follow from what is not in the stack file (a URL in a variable)
    /// and are others now.
    fn retold(&self, registry: &Registry) -> Vec<String> {
        let mut found = Vec::new();
        for step in self.plan.steps.iter().filter(|step| step.action == Action::Update) {
            let Some(kind) = registry.get(&step.address.kind) else { continue };
            let spec = kind.normalise(step.spec.clone());
            for change in &step.changes {
                // What cannot be read back is shown as it is declared.
                if step.spec.get(&change.path) == Some(&change.after) || is_unknown(&change.after) {
                    continue;
                }
                let (name, path) = (&step.address.name, &change.path);
                differences(path, &change.after, &spec[path], &mut |path, then, now| {
                    found.push(format!("{name}: `{path}` was to become {}, now {}", shown(then), shown(now)));
                });
            }
        }
        found
    }

    /// What has changed in the world, in words, one line each.
    pub fn changed_since(&self, observation: &Observation) -> Vec<String> {
        let mut found = Vec::new();
        for seen in &self.seen {
            let (address, then) = (&seen.address, &seen.object);
            let Some(now) = find(observation, &address.kind, &then.identity) else {
                found.push(format!("{address}: `{}` is gone", then.identity));
                continue;
            };
            let mut tell = |path: &str, then: &Value, now: &Value| {
                found.push(format!("{address}: `{path}` was {}, is {}", shown(then), shown(now)));
            };
            differences("", &then.state, &now.state, &mut tell);
            differences("pending", &then.pending, &now.pending, &mut tell);
            let tags = |object: &Object| serde_json::json!(object.tags);
            differences("tags", &tags(then), &tags(now), &mut tell);
            if then.running != now.running {
                let word = if now.running { "runs now" } else { "does not run any more" };
                found.push(format!("{address}: `{}` {word}", then.identity));
            }
            let (then, now) = (health(&then.readiness), health(&now.readiness));
            if then != now {
                found.push(format!("{address}: it was {then}, is {now}"));
            }
        }
        found.extend(self.in_the_way(observation));
        found
    }

    /// Objects that stand where the plan makes one.
    fn in_the_way(&self, observation: &Observation) -> BTreeSet<String> {
        let place = self.plan.place.stack.as_str();
        let deletes = |identity: &str| {
            self.plan
                .steps
                .iter()
                .any(|step| step.action == Action::Delete && step.identity.eq_ignore_ascii_case(identity))
        };
        let mut found = BTreeSet::new();
        for step in self.plan.steps.iter().filter(|step| step.action == Action::Create) {
            let is_in_the_way = |object: &&Object| {
                let named = object.outputs.get("name").and_then(Value::as_str).unwrap_or(&object.identity);
                let is_it = object.owner() == Some((place, step.address.name.as_str()))
                    || is(object, &step.identity)
                    || (named.eq_ignore_ascii_case(&step.identity) && object.owner().is_none());
                is_it && object.readiness != Readiness::Deleting && !deletes(&object.identity)
            };
            if let Some(object) = observation.of(&step.address.kind).iter().find(is_in_the_way) {
                found.insert(format!("{}: `{}` exists now", step.address, object.identity));
            }
        }
        found
    }
}

/// What the declared specs come to here, without what is secret in them.
fn meant(stack: &Stack, registry: &Registry) -> Value {
    let one = |(name, resource): (&String, &Resource)| {
        let kind = registry.get(&resource.address.kind)?;
        Some((name.clone(), kind.normalise(resource.spec.clone())))
    };
    Value::Object(stack.resources.iter().filter_map(one).collect())
}

fn is(object: &Object, identity: &str) -> bool {
    object.identity.eq_ignore_ascii_case(identity)
}

fn find<'o>(observation: &'o Observation, kind: &str, identity: &str) -> Option<&'o Object> {
    observation.of(kind).iter().find(|object| is(object, identity))
}

/// An object that becomes ready meanwhile is no other one.
fn health(readiness: &Readiness) -> &'static str {
    match readiness {
        Readiness::Ready | Readiness::Pending(_) => "sound",
        Readiness::Failed(_) => "failed",
        Readiness::Deleting => "on its way out",
    }
}

/// Tells every member that differs, each by its path. Lists are one value.
fn differences(path: &str, then: &Value, now: &Value, tell: &mut dyn FnMut(&str, &Value, &Value)) {
    if let (Value::Object(left), Value::Object(right)) = (then, now) {
        let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
        for key in keys {
            let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let of = |map: &'_ crate::value::Map| map.get(key).cloned().unwrap_or(Value::Null);
            differences(&inner, &of(left), &of(right), tell);
        }
    } else if then != now {
        tell(path, then, now);
    }
}

/// A value in a sentence.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => return "not there".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let is_long = text.chars().count() > WIDTH;
    let kept: String = text.chars().take(WIDTH).collect();
    if is_long { format!("`{kept}…`") } else { format!("`{text}`") }
}
