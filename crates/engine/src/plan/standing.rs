//! Which live object each resource of a stack stands for, without deciding anything about it.

use std::collections::BTreeMap;

use super::build::{BuildInput, Builder};
use crate::kind::Object;

/// The live object of each resource that has one, by resource: found by our tags or by its name,
/// whoever owns it.
///
/// # Panics
/// As [`build`](super::build).
pub fn standing<'a>(input: &'a BuildInput<'a>) -> BTreeMap<String, &'a Object> {
    let mut builder = Builder::new(input, true);
    builder.decide_all();
    builder.cases.iter().filter_map(|case| Some((case.address.name.clone(), case.object?))).collect()
}
