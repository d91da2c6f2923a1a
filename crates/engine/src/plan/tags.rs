//! Which tags an object should carry: ownership, expiry, the stack's own, and for account-wide
//! objects who uses them. Tags are added and overwritten, never removed: a kind cannot do that.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::kind::{Object, Place, Tags, tag};
use crate::stack::Stack;

/// The value of [`user_tag`] while the stack uses the object.
const IN_USE: &str = "in-use";

/// Its value afterwards.
const RELEASED: &str = "released";

/// The value of the tag of protection, or of the place of the lease, of an object about which the stack no longer says anything.
const DEFAULT: &str = "default";

/// The value of the expiry tag of an object that no longer expires.
const NEVER: &str = "never";

const USED_BY: &str = "towpath:used-by:";

/// The tag by which a stack says that it uses an account-wide object.
pub fn user_tag(stack: &str) -> String {
    format!("{USED_BY}{stack}")
}

/// Whose an object is, and nothing else.
pub(super) fn owner(place: &Place, name: &str) -> Tags {
    Tags::from([(tag::STACK.to_owned(), place.stack.clone()), (tag::RESOURCE.to_owned(), name.to_owned())])
}

/// All tags of an object that only this stack uses.
pub(super) fn own(
    stack: &Stack,
    place: &Place,
    name: &str,
    protect: Option<bool>,
    expires_at: Option<DateTime<Utc>>,
) -> Tags {
    let mut tags = stack.tags.clone();
    tags.extend(owner(place, name));
    if let Some(protect) = protect {
        tags.insert(tag::PROTECT.to_owned(), protect.to_string());
    }
    if let Some(at) = expires_at {
        tags.insert(tag::EXPIRES.to_owned(), at.to_rfc3339_opts(SecondsFormat::Secs, true));
        tags.extend(stack.lease.as_ref().map(|(place, _)| (tag::LEASE.to_owned(), place.words())));
    }
    tags
}

/// The tags of an account-wide object: that this stack uses it, and nothing that another stack
/// would want otherwise.
pub(super) fn shared(place: &Place) -> Tags {
    Tags::from([(user_tag(&place.stack), IN_USE.to_owned())])
}

/// The tag that gives an account-wide object free, if this stack uses it.
pub(super) fn release(object: &Object, place: &Place) -> Option<Tags> {
    let mine = user_tag(&place.stack);
    let used = object.tags.as_ref()?.get(&mine).is_some_and(|value| value == IN_USE);
    used.then(|| Tags::from([(mine, RELEASED.to_owned())]))
}

/// Whether a stack uses an account-wide object.
pub fn is_used_by(object: &Object, stack: &str) -> bool {
    object.tags.as_ref().and_then(|tags| tags.get(&user_tag(stack))).is_some_and(|value| value == IN_USE)
}

/// The other stacks that use an account-wide object.
pub(crate) fn other_users(object: &Object, place: &Place) -> Vec<String> {
    let mine = user_tag(&place.stack);
    object
        .tags
        .iter()
        .flatten()
        .filter(|(key, value)| key.starts_with(USED_BY) && **key != mine && *value == IN_USE)
        .map(|(key, _)| format!("stack `{}`", key.trim_start_matches(USED_BY)))
        .collect()
}

/// Whether a stack of towpath uses or has used the object.
pub(super) fn was_used(object: &Object) -> bool {
    object.tags.iter().flatten().any(|(key, _)| key.starts_with(USED_BY))
}

/// Wanted tags that the object lacks or has with another value. `lifetime` is what the stack says
/// in seconds: the time of expiry moves with every plan, so it is written only when it is missing,
/// not readable, passed, or written along with another tag.
pub(super) fn missing(object: &Object, wanted: &Tags, lifetime: Option<u64>) -> Tags {
    let Some(live) = &object.tags else { return Tags::new() };
    let mut missing: Tags = wanted
        .iter()
        .filter(|(key, value)| live.get(*key) != Some(*value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    for key in [tag::PROTECT, tag::LEASE] {
        let was_said = live.get(key).is_some_and(|old| old != DEFAULT);
        if was_said && !wanted.contains_key(key) && wanted.contains_key(tag::STACK) {
            missing.insert(key.to_owned(), DEFAULT.to_owned());
        }
    }
    match (live.get(tag::EXPIRES), wanted.get(tag::EXPIRES)) {
        (Some(old), None) if old != NEVER && wanted.contains_key(tag::STACK) => {
            missing.insert(tag::EXPIRES.to_owned(), NEVER.to_owned());
        }
        (Some(old), Some(new)) if missing.len() == 1 && still_good(old, new, lifetime) => missing.clear(),
        _ => {}
    }
    missing
}

/// What the stack once said about the protection of an object, by its tag.
pub(super) fn protection(object: &Object) -> Option<bool> {
    object.tags.as_ref()?.get(tag::PROTECT)?.parse().ok()
}

/// When an object expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expiry {
    /// At this time.
    At(DateTime<Utc>),
    /// Never: its stack does not expire any more.
    Never,
}

/// What the expiry tag of an object says; `None` without one that reads.
pub fn expiry(object: &Object) -> Option<Expiry> {
    let text = object.tags.as_ref()?.get(tag::EXPIRES)?;
    if text == NEVER {
        return Some(Expiry::Never);
    }
    Some(Expiry::At(DateTime::parse_from_rfc3339(text).ok()?.to_utc()))
}

/// Whether the old time of expiry is still to come. The time of the plan is the new one less the
/// lifetime, and no expiry may lie further ahead than the new one: then the lifetime was cut.
fn still_good(old: &str, new: &str, lifetime: Option<u64>) -> bool {
    let read = |text: &str| DateTime::parse_from_rfc3339(text).ok();
    let (Some(old), Some(new)) = (read(old), read(new)) else { return false };
    let lifetime = chrono::Duration::seconds(lifetime.unwrap_or_default().cast_signed());
    old > new - lifetime && old <= new
}
