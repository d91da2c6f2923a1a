//! The variables from which a stack takes secrets, and which steps of a plan send their values.
//!
//! A variable that is not set is no mistake of the file: a plan can be made and looked at without it.
//! Only who sends its value needs it. Nothing here reads a variable.

use super::interpolate;
use crate::address::Address;
use crate::diag::{Diagnostic, Span};
use crate::kind::Registry;
use crate::plan::{Action, Plan, Step};
use crate::value::Value;

/// One place of the file that takes a secret from a variable: `{env: NAME}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretVariable {
    /// The variable.
    pub name: String,
    /// The resource that wants it.
    pub resource: String,
    /// The name's place in the file.
    pub span: Span,
}

impl SecretVariable {
    /// The steps of a plan that send the value: those that make the object, and those that change a field in which it
    /// is, or one that is never sent without it.
    pub fn senders<'p>(&self, plan: &'p Plan, registry: &Registry) -> Vec<&'p Step> {
        plan.steps.iter().filter(|step| step.address.name == self.resource && self.is_sent_by(step, registry)).collect()
    }

    fn is_sent_by(&self, step: &Step, registry: &Registry) -> bool {
        match step.action {
            Action::Create => self.is_in(&step.spec),
            Action::Update => step.changes.iter().any(|change| {
                let facts = registry.get(&step.address.kind).and_then(|kind| kind.fields().get(&change.path));
                let along = facts.map_or(&[][..], |facts| &facts.sends_along);
                std::iter::once(&change.path).chain(along).any(|field| self.is_in(&step.spec[field]))
            }),
            Action::Delete | Action::Tag | Action::Pause | Action::Resume | Action::Wait => false,
        }
    }

    fn is_in(&self, value: &Value) -> bool {
        match value {
            Value::Object(map) => {
                map.get("env").and_then(Value::as_str) == Some(&self.name)
                    || map.values().any(|value| self.is_in(value))
            }
            Value::Array(items) => items.iter().any(|item| self.is_in(item)),
            _ => false,
        }
    }
}

/// The diagnostic for a variable without a value, at every place that wants it; `wanted_by` are those that cannot do
/// without. `template` has the names in `.env.template`.
///
/// # Panics
/// If there is no place: a mistake of the caller.
pub fn unset(places: &[&SecretVariable], wanted_by: &[Address], template: &[String]) -> Diagnostic {
    let (first, others) = places.split_first().expect("a variable that nobody wants is not missing");
    let mut diagnostic = interpolate::unset(&first.name, first.span.clone(), template);
    for other in others {
        diagnostic = diagnostic.with_label(other.span.clone(), "and here");
    }
    let name = &first.name;
    let wanted_by: Vec<String> = wanted_by.iter().map(ToString::to_string).collect();
    diagnostic.with_detail(match wanted_by.as_slice() {
        [] => format!("`{name}` is not set or empty. Without it nobody sees whether the secret has changed."),
        some => format!("`{name}` is not set or empty, and its value is needed for {}.", some.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::diag::Source;
    use crate::testing::{Scene, block_on, stack};

    fn variable(name: &str, resource: &str) -> SecretVariable {
        let source = Arc::new(Source { path: "stack.yaml".to_owned(), text: "PASSWORD".to_owned() });
        SecretVariable { name: name.to_owned(), resource: resource.to_owned(), span: Span { source, range: 0..8 } }
    }

    /// The plan from one text to another, with a secret put into the field `host` of the resource `source`.
    fn senders(before: &str, after: &str) -> Vec<Action> {
        block_on(async {
            let scene = Scene::new();
            if !before.is_empty() {
                scene.apply(&stack(before), &crate::plan::Options::default()).await;
            }
            let mut plan = scene.plan(&stack(after), &crate::plan::Options::default()).await.unwrap();
            for step in plan.steps.iter_mut().filter(|step| step.spec.is_object()) {
                step.spec["host"] = serde_json::json!([{ "password": { "env": "PASSWORD" } }]);
            }
            assert!(variable("PASSWORD", "other").senders(&plan, &scene.registry).is_empty());
            assert!(variable("ANOTHER", "source").senders(&plan, &scene.registry).is_empty());
            let found = variable("PASSWORD", "source");
            found.senders(&plan, &scene.registry).iter().map(|step| step.action).collect()
        })
    }

    #[test]
    fn a_secret_is_sent_by_what_makes_the_object_and_by_changes_of_its_field() {
        let (one, two) = ("pipe/endpoint source host=a engine=postgres", "pipe/endpoint source host=b engine=postgres");
        assert_eq!(senders("", one), [Action::Create]);
        assert_eq!(senders(one, two), [Action::Update]);
        assert_eq!(senders(one, &format!("{one}\ntag team blue")), []);
        assert_eq!(senders(one, ""), []);
    }

    #[test]
    fn one_variable_is_named_once_with_all_its_places() {
        let (one, two) = (variable("PASSWORD", "source"), variable("PASSWORD", "target"));
        let told = unset(&[&one, &two], &[Address::new("pipe/endpoint", "source")], &["PASSWORD".to_owned()]);
        assert_eq!(told.labels.len(), 2);
        assert_eq!(
            told.detail.as_deref(),
            Some("`PASSWORD` is not set or empty, and its value is needed for pipe/endpoint.source.")
        );
        assert_eq!(told.help.as_deref(), Some("Fill in `PASSWORD=` of `.env.template` in your `.env`, or export it."));
        assert!(unset(&[&one], &[], &[]).detail.is_some_and(|detail| detail.contains("has changed")));
    }
}
