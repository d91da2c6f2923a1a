//! Passwords in places that are not declared secret: a URL with user and password is one wherever
//! it stands, also when `${env.…}` has put it there.
//!
//! It does not guess at other texts: what a field says of itself is checked in `check`.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::yaml::{Node, Tree};
use crate::diag::{Diagnostic, Diagnostics};

/// The user information of RFC 3986, with a password in it.
static CREDENTIALS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@").expect("the pattern is constant and tested")
});

/// Refuses every URL with a password below `node`; its place is added to `hidden`, so that no
/// excerpt shows it. What `hidden` has already is told already.
pub(crate) fn refuse(node: &Node, found: &mut Diagnostics, hidden: &mut Vec<Range<usize>>) {
    match &node.tree {
        Tree::Text(text) if CREDENTIALS.is_match(text) && !hidden.contains(&node.span.range) => {
            let summary = "A password stands in a URL";
            found.push(
                Diagnostic::error("literal-secret", summary, node.span.clone(), "a URL with a password")
                    .with_detail("What a stack says is shown in plans and kept in saved ones, so a password here is no secret any more.")
                    .with_help("Write `{env: NAME}` or `{secret: name}` where a secret is taken, or leave user and password out of the URL."),
            );
            hidden.push(node.span.range.clone());
        }
        Tree::List(items) => items.iter().for_each(|item| refuse(item, found, hidden)),
        Tree::Map(entries) => entries.iter().for_each(|entry| refuse(&entry.value, found, hidden)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_url_with_a_password_is_one() {
        for text in ["postgres://ada:hunter2@host/club", "see HTTPS://:x@host", "jdbc:redshift://a:b@c"] {
            assert!(CREDENTIALS.is_match(text), "{text}");
        }
        for text in
            ["https://host:5432/club", "postgres://ada@host/club", "arn:aws:iam::1:role/x", "a: b@c", "s3://b/k:v@w"]
        {
            assert!(!CREDENTIALS.is_match(text), "{text}");
        }
    }
}
