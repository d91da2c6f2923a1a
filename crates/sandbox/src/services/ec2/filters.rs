//! The `Filter` lists of Describe operations: values are alternatives, filters must all hold, and `*` and
//! `?` are wildcards.

use crate::call::{ApiError, Input};
use crate::world::Tags;

/// The filters of a request.
pub(super) struct Filters<'a>(Vec<(&'a str, Vec<&'a str>)>);

impl<'a> Filters<'a> {
    /// Reads the filters; a name that is neither in `known` nor about tags is refused.
    pub(super) fn read(input: Input<'a>, known: &[&str]) -> Result<Self, ApiError> {
        let mut filters = Vec::new();
        for filter in input.structures("Filter")? {
            let name = filter.required("Name")?;
            if !known.contains(&name) && name != "tag-key" && !name.starts_with("tag:") {
                return Err(input.invalid(format!("The filter '{name}' is invalid")));
            }
            filters.push((name, filter.texts("Value")?));
        }
        Ok(Self(filters))
    }

    /// Whether an object fits; `field` gives its values for a filter's name.
    pub(super) fn fit(&self, tags: &Tags, field: impl Fn(&str) -> Vec<String>) -> bool {
        self.0.iter().all(|(name, wanted)| {
            let own = match name.strip_prefix("tag:") {
                Some(key) => tags.get(key).cloned().into_iter().collect(),
                None if *name == "tag-key" => tags.keys().cloned().collect(),
                None => field(name),
            };
            own.iter().any(|own| wanted.iter().any(|pattern| fits(pattern, own)))
        })
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    loop {
        match (pattern.next(), text.clone().next()) {
            (None, rest) => return rest.is_none(),
            (Some('*'), _) => {
                let rest: String = pattern.collect();
                let text: Vec<char> = text.collect();
                return (0..=text.len()).any(|at| fits(&rest, &text[at..].iter().collect::<String>()));
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => return false,
        }
        text.next();
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn stars_and_question_marks_are_wildcards() {
        assert!(fits("dms-*", "dms-club") && fits("*", "") && fits("a?c", "abc") && fits("a*b*c", "axxbyyc"));
        assert!(!fits("dms-?", "dms-") && !fits("dms", "dms-club") && !fits("a*b", "ac"));
    }
}
