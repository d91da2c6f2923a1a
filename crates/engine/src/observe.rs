//! Reading the world once: one bulk list per kind, all kinds at the same time, and the look-ups of
//! every spec. The result is a value; deciding what follows from it is `plan`'s.

use std::collections::BTreeMap;

use futures::future::{join_all, try_join_all};

use crate::apply::retry::Retry;
use crate::fault::{Fault, FaultClass};
use crate::kind::{Object, Registry, Scope};
use crate::stack::Stack;
use crate::value::Value;

/// What there is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// Every object of every kind that was listed, by kind.
    pub objects: BTreeMap<String, Vec<Object>>,
    /// The specs of the stack's resources after look-ups, by resource.
    pub specs: BTreeMap<String, Value>,
}

impl Observation {
    /// The objects of one kind.
    pub fn of(&self, kind: &str) -> &[Object] {
        self.objects.get(kind).map_or(&[], Vec::as_slice)
    }
}

/// Lists the kinds of the stack and `also` (kinds that hold objects of the stack by their tags,
/// or that the journal names), and looks up every spec. Fails with the first fault that retrying
/// did not cure.
pub async fn observe(
    stack: &Stack,
    registry: &Registry,
    also: &[String],
    retry: &Retry<'_>,
) -> Result<Observation, Fault> {
    let mut kinds: Vec<&str> = stack.resources.values().map(|resource| resource.address.kind.as_str()).collect();
    kinds.extend(also.iter().map(String::as_str));
    kinds.sort_unstable();
    kinds.dedup();
    let lists = kinds.into_iter().filter_map(|name| registry.get(name)).map(|kind| async move {
        let objects = retry.call(kind.kind(), || kind.list(&Scope::All)).await?;
        Ok::<_, Fault>((kind.kind().to_owned(), objects))
    });
    let specs = stack.resources.iter().map(|(name, resource)| async move {
        let kind = registry.get(&resource.address.kind).ok_or_else(|| {
            Fault::local(FaultClass::Invalid, "observe", format!("no kind is named `{}`", resource.address.kind))
        })?;
        let spec = retry.call(kind.kind(), || kind.look_up(resource.spec.clone())).await?;
        Ok::<_, Fault>((name.clone(), spec))
    });
    let (lists, specs) = futures::join!(join_all(lists), try_join_all(specs));
    Ok(Observation { objects: lists.into_iter().collect::<Result<_, _>>()?, specs: specs?.into_iter().collect() })
}
