//! The mark of work that was stopped for a change: a tag on the object itself, there before the stop is
//! called, so that whoever plans next, on whatever machine, starts the work again.
//!
//! The mark names the stretch of work that was stopped. Once the object has worked on a later one, whoever
//! started that, the mark says nothing any more: somebody who stops the work on purpose is not fought.
//! Decides from what an object shows; writing the tag is `apply`'s. See
//! `docs/decisions/0008-no-state-at-any-moment.md`.

use crate::kind::{AnyKind, Object, Readiness, Tags, tag};

/// The mark of work that runs again, or need not. Tags are overwritten, never removed.
const SETTLED: &str = "done";

/// What stands for a stretch of work of which the service tells nothing.
const UNTOLD: &str = "untold";

/// The tag to write before the work of an object is stopped; none where objects carry no tags.
pub(crate) fn mark(kind: &dyn AnyKind, object: &Object) -> Tags {
    let stretch = kind.stretch(object).unwrap_or_else(|| UNTOLD.to_owned());
    if kind.facts().taggable { Tags::from([(tag::RESUME.to_owned(), stretch)]) } else { Tags::new() }
}

/// The tag to write once the work goes on.
pub(crate) fn settled(kind: &dyn AnyKind) -> Tags {
    if kind.facts().taggable { Tags::from([(tag::RESUME.to_owned(), SETTLED.to_owned())]) } else { Tags::new() }
}

/// The mark of an object, unless it is settled.
fn open(object: &Object) -> Option<&str> {
    object.tags.as_ref()?.get(tag::RESUME).map(String::as_str).filter(|mark| *mark != SETTLED)
}

fn works(object: &Object) -> bool {
    object.running && object.readiness == Readiness::Ready
}

/// Whether the work of an object stands still only because it was stopped for a change. Work that has come
/// to its good end is not due; work that failed after it was started again is, for nobody wanted that.
pub(crate) fn is_due(kind: &dyn AnyKind, object: &Object) -> bool {
    let Some(mark) = open(object).filter(|_| !works(object) && object.readiness != Readiness::Deleting) else {
        return false;
    };
    match kind.ended(object) {
        Some(ended) => ended.is_err(),
        None => mark == UNTOLD || kind.stretch(object).is_none_or(|stretch| stretch == mark),
    }
}

/// Whether an object that works, or is about to work again, carries a mark that a cut-off run has left. It
/// is settled by the next plan, or it would say tomorrow that work is due which somebody has stopped on purpose.
pub(crate) fn is_left_over(kind: &dyn AnyKind, object: &Object) -> bool {
    let begins_again =
        |mark: &str| object.running && mark != UNTOLD && kind.stretch(object).is_some_and(|stretch| stretch != mark);
    open(object).is_some_and(|mark| works(object) || begins_again(mark))
}
