//! Lists of a stack file item by item, and where comments are.
//!
//! What is read here is the layout of a text; whether a changed text says what was asked for is
//! found out by who changes it.

use std::ops::Range;

use super::super::check::raw;
use super::super::yaml::{Entry, Node, Tree};
use super::line_start;
use crate::value::Value;

/// The text with other items in a list of one item a line or more: those that stay keep their lines with the comments
/// before and behind them. `None` for a list in brackets.
pub(super) fn relist(
    text: &str,
    list: &Node,
    items: &[Node],
    wanted: &[Value],
    flow: &dyn Fn(&Value) -> String,
) -> Option<String> {
    let first = items.first()?.span.range.start;
    let begin = line_start(text, first);
    let indentation = text.get(begin..first)?.strip_suffix("- ").filter(|before| before.trim().is_empty())?;
    if text[list.span.range.clone()].starts_with('[') {
        return None;
    }
    let (lines, end) = lines_of(text, items, begin)?;
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut unused: Vec<usize> = (0..items.len()).collect();
    let mut written = String::new();
    for value in wanted {
        let known = unused.iter().position(|at| raw(&items[*at]) == *value);
        let line = match known.map(|at| unused.remove(at)) {
            Some(at) => text[lines[at].above.start..lines[at].own.end].to_owned(),
            None => format!("{indentation}- {}", flow(value)),
        };
        written.push_str(&line);
        if !line.ends_with('\n') {
            written.push_str(newline);
        }
    }
    // What was said above an item that goes may be about others, too.
    let above: String = unused.iter().map(|at| &text[lines[*at].above.clone()]).collect();
    Some(format!("{}{above}{written}{}", &text[..begin], &text[end..]))
}

/// The lines of one item.
struct Lines {
    /// Those above it that belong to no other.
    above: Range<usize>,
    /// Those it is written in.
    own: Range<usize>,
}

/// Of each item the lines above it that belong to no other, and its own; and where the list ends.
fn lines_of(text: &str, items: &[Node], begin: usize) -> Option<(Vec<Lines>, usize)> {
    let mut lines = Vec::new();
    let mut from = begin;
    for item in items {
        let range = &item.span.range;
        let start = line_start(text, range.start);
        if start < from || text.get(start..range.start)?.trim() != "-" {
            return None;
        }
        let end = text[range.end..].find('\n').map_or(text.len(), |at| range.end + at + 1);
        lines.push(Lines { above: from..start, own: start..end });
        from = end;
    }
    Some((lines, from))
}

/// Where the text of a value is that is written as a block (`|` or `>`), from behind its key to the last of its lines.
pub(super) fn block_scalar(text: &str, entry: &Entry) -> Option<Range<usize>> {
    let start = entry.key_span.range.end;
    let written = text.get(start..entry.value.span.range.end)?;
    let colon = written.find(':')? + 1;
    let is_block = matches!(entry.value.tree, Tree::Text(_)) && written[colon..].trim_start().starts_with(['|', '>']);
    is_block.then(|| start + colon..start + written.trim_end().len())
}

/// Where the comments end that follow a block and are indented deeper than its fields: they belong to the last of them.
pub(super) fn behind_comments(text: &str, from: usize, indentation: usize) -> usize {
    let mut end = from;
    for line in text[from..].split_inclusive('\n') {
        let content = line.trim_start_matches(' ');
        if !content.starts_with('#') || line.len() - content.len() <= indentation {
            break;
        }
        end += line.len();
    }
    end
}

/// Whether there is a comment in the text of a value.
pub(super) fn has_comment(text: &str, value: &Node) -> bool {
    let mut plain = Vec::new();
    texts(value, &mut plain);
    let mut at = value.span.range.start;
    let mut between = String::new();
    for range in plain.iter().filter(|range| value.span.range.start <= range.start && range.end <= value.span.range.end)
    {
        between.push_str(text.get(at..range.start).unwrap_or_default());
        at = at.max(range.end);
    }
    between.push_str(text.get(at..value.span.range.end).unwrap_or_default());
    between.contains('#')
}

/// Where keys and single values are.
fn texts(node: &Node, found: &mut Vec<Range<usize>>) {
    match &node.tree {
        Tree::List(items) => items.iter().for_each(|item| texts(item, found)),
        Tree::Map(entries) => {
            for entry in entries {
                found.push(entry.key_span.range.clone());
                texts(&entry.value, found);
            }
        }
        _ => found.push(node.span.range.clone()),
    }
}
