//! A YAML text as a tree in which every key and value knows its place.
//!
//! Scalars are read by the rules of YAML 1.2's core schema, so `no` is text and `0o17` a number.
//! Anchors and aliases work; tags, several documents and keys that are not text are refused, since
//! no stack needs them. A text that does not parse gives one diagnostic and no tree.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput};

use crate::diag::{Diagnostic, Diagnostics, Source, Span};

/// Deeper nesting than this is refused: no stack needs it, and every check recurses.
const DEPTH: usize = 64;
/// More nodes than this are refused; aliases could otherwise multiply without end.
const NODES: usize = 100_000;

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) tree: Tree,
    pub(crate) span: Span,
    /// The scalar is text because something was put in for `${…}`; it may be read as a number.
    pub(crate) interpolated: bool,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.tree == other.tree
    }
}

impl Node {
    /// The value of a key, if this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The key with its value.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// All entries; none if this is no map.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.tree {
            Tree::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The text, if this is text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.tree {
            Tree::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A scalar as it stands in the file, or as interpolated; `None` for lists, maps and nothing.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match &self.tree {
            Tree::Text(text) => Some(text),
            Tree::Bool(_) | Tree::Integer(_) | Tree::Float(_) => self.span.source.text.get(self.span.range.clone()),
            _ => None,
        }
    }

    /// What this is, in words.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.tree {
            Tree::Null => "nothing",
            Tree::Bool(_) => "a switch",
            Tree::Integer(_) => "a whole number",
            Tree::Float(_) => "a number",
            Tree::Text(_) => "text",
            Tree::List(_) => "a list",
            Tree::Map(_) => "a block",
        }
    }
}

/// Parses a source. The tree is absent only when the text does not parse or is empty; duplicate
/// keys are reported and the first one counts.
pub(crate) fn parse(source: &Arc<Source>, found: &mut Diagnostics) -> Option<Node> {
    let mut builder = Builder {
        parser: Parser::new_from_str(&source.text),
        offsets: offsets(&source.text),
        source,
        anchors: HashMap::new(),
        nodes: 0,
        found,
    };
    match builder.document() {
        Ok(node) => node,
        Err(Broken::Scan(error)) => {
            let diagnostic = syntax(source, &builder.offsets, &error);
            found.push(diagnostic);
            None
        }
        Err(Broken::Refused(diagnostic)) => {
            found.push(*diagnostic);
            None
        }
    }
}

/// The scalar that a plain (unquoted) text stands for.
pub(crate) fn plain(text: &str) -> Tree {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Tree::Null,
        "true" | "True" | "TRUE" => return Tree::Bool(true),
        "false" | "False" | "FALSE" => return Tree::Bool(false),
        _ => {}
    }
    let radix =
        |prefix: &str, radix| text.strip_prefix(prefix).and_then(|digits| i64::from_str_radix(digits, radix).ok());
    if let Some(number) = text.parse().ok().or_else(|| radix("0x", 16)).or_else(|| radix("0o", 8)) {
        return Tree::Integer(number);
    }
    let numeric = text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    match text.parse() {
        Ok(number) if numeric => Tree::Float(number),
        _ => Tree::Text(text.to_owned()),
    }
}

/// Byte offset by character; empty for ASCII, where both are the same.
fn offsets(text: &str) -> Vec<usize> {
    if text.is_ascii() {
        return Vec::new();
    }
    text.char_indices().map(|(offset, _)| offset).chain([text.len()]).collect()
}

fn byte(offsets: &[usize], text: &str, character: usize) -> usize {
    if offsets.is_empty() { character.min(text.len()) } else { offsets.get(character).copied().unwrap_or(text.len()) }
}

/// Why there is no tree.
enum Broken {
    Scan(ScanError),
    Refused(Box<Diagnostic>),
}

impl From<ScanError> for Broken {
    fn from(error: ScanError) -> Self {
        Self::Scan(error)
    }
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    offsets: Vec<usize>,
    source: &'a Arc<Source>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    found: &'a mut Diagnostics,
}

type Item<'a> = (Event<'a>, Range<usize>);

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<Item<'a>, Broken> {
        let (event, span) =
            self.parser.next_event().unwrap_or(Ok((Event::StreamEnd, saphyr_parser::Span::default())))?;
        let at = |index| byte(&self.offsets, &self.source.text, index);
        let (start, end) = (at(span.start.index()), at(span.end.index()));
        Ok((event, start..end.max(start)))
    }

    fn span(&self, range: Range<usize>) -> Span {
        Span { source: Arc::clone(self.source), range }
    }

    fn refuse(&self, code: &'static str, summary: &str, range: Range<usize>, label: &str) -> Broken {
        Broken::Refused(Box::new(Diagnostic::error(code, summary, self.span(range), label)))
    }

    fn document(&mut self) -> Result<Option<Node>, Broken> {
        let mut document = None;
        loop {
            let (event, range) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(document),
                Event::DocumentStart(_) if document.is_some() => {
                    return Err(self.refuse("several-documents", "A stack is one document", range, "a second one"));
                }
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
                _ => document = Some(self.node((event, range), 0)?),
            }
        }
    }

    fn node(&mut self, (event, range): Item<'a>, depth: usize) -> Result<Node, Broken> {
        self.nodes += 1;
        if depth > DEPTH || self.nodes > NODES {
            return Err(self.refuse("too-large", "The file is nested too deeply or too large", range, "here"));
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.no_tag(tag.is_some(), &range)?;
                let tree = if style == ScalarStyle::Plain { plain(&text) } else { Tree::Text(text.into_owned()) };
                let node = Node { tree, span: self.span(range), interpolated: false };
                Ok(self.anchored(anchor, node))
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(self.refuse("unknown-alias", "The alias has no anchor", range, "not defined above"));
                };
                self.nodes += count(&node);
                Ok(node)
            }
            Event::SequenceStart(anchor, tag) => {
                self.no_tag(tag.is_some(), &range)?;
                let node = self.list(range, depth)?;
                Ok(self.anchored(anchor, node))
            }
            Event::MappingStart(anchor, tag) => {
                self.no_tag(tag.is_some(), &range)?;
                let node = self.map(range, depth)?;
                Ok(self.anchored(anchor, node))
            }
            _ => Err(self.refuse("yaml-syntax", "The file is not valid YAML", range, "a value was expected here")),
        }
    }

    fn list(&mut self, range: Range<usize>, depth: usize) -> Result<Node, Broken> {
        let mut items: Vec<Node> = Vec::new();
        loop {
            let item = self.next()?;
            if item.0 == Event::SequenceEnd {
                let last = items.last().map_or(range.end, |item| item.span.range.end);
                let end = last.max(closing(&item.1));
                return Ok(self.whole(Tree::List(items), range.start, end));
            }
            items.push(self.node(item, depth + 1)?);
        }
    }

    fn map(&mut self, range: Range<usize>, depth: usize) -> Result<Node, Broken> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, place) = self.next()?;
            let key = match event {
                Event::MappingEnd => {
                    let last = entries.last().map_or(range.end, |entry| entry.value.span.range.end);
                    let end = last.max(closing(&place));
                    return Ok(self.whole(Tree::Map(entries), range.start, end));
                }
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(self.refuse("key-not-text", "A key must be text", place, "this is no plain text")),
            };
            let item = self.next()?;
            let value = self.node(item, depth + 1)?;
            let key_span = self.span(place);
            if key == "<<" {
                // A block that is partly written elsewhere could not be edited in place.
                let diagnostic = Diagnostic::error("merge-key", "Blocks are not merged", key_span, "a merge key")
                    .with_detail("`<<` would mix the fields of another block into this one.")
                    .with_help("Write the fields here, share single values (`class: *anchor`, `${var.NAME}`), or lay an environment over them.");
                self.found.push(diagnostic);
                continue;
            }
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let diagnostic = Diagnostic::error("duplicate-key", "A key is written twice", key_span, "again here")
                    .with_label(first.key_span.clone(), "first written here")
                    .with_detail(format!("`{key}` can have one value only."));
                self.found.push(diagnostic);
                continue;
            }
            entries.push(Entry { key, key_span, value });
        }
    }

    /// A node from `start` to `end`; without the white space that block collections end with.
    fn whole(&self, tree: Tree, start: usize, end: usize) -> Node {
        let text = self.source.text.get(start..end).unwrap_or_default();
        Node { tree, span: self.span(start..start + text.trim_end().len()), interpolated: false }
    }

    fn anchored(&mut self, anchor: usize, node: Node) -> Node {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        node
    }

    fn no_tag(&self, tagged: bool, range: &Range<usize>) -> Result<(), Broken> {
        if tagged {
            return Err(self.refuse("yaml-tag", "Tags have no meaning in a stack", range.clone(), "has a tag (`!…`)"));
        }
        Ok(())
    }
}

/// Where a flow collection's bracket ends; the end of a block collection has no text of its own.
fn closing(place: &Range<usize>) -> usize {
    if place.is_empty() { 0 } else { place.end }
}

fn count(node: &Node) -> usize {
    1 + match &node.tree {
        Tree::List(items) => items.iter().map(count).sum(),
        Tree::Map(entries) => entries.iter().map(|entry| count(&entry.value)).sum(),
        _ => 0,
    }
}

fn syntax(source: &Arc<Source>, offsets: &[usize], error: &ScanError) -> Diagnostic {
    let mut tabs = indentation_tabs(&source.text).map(|range| Span { source: Arc::clone(source), range });
    if let Some(span) = tabs.next() {
        let first = Diagnostic::error("tab-indentation", "A line is indented with a tab", span, "this is a tab")
            .with_detail("YAML knows the structure by the width of the indentation, and a tab has none; so nothing else could be checked.")
            .with_help("Use two spaces.");
        return tabs.fold(first, |diagnostic, span| diagnostic.with_label(span, "and this"));
    }
    let start = byte(offsets, &source.text, error.marker().index());
    let next = source.text[start..].chars().next().filter(|character| *character != '\n');
    let end = start + next.map_or(0, char::len_utf8);
    let span = Span { source: Arc::clone(source), range: start..end };
    let mut told = error.info().to_owned();
    told.retain(|character| !character.is_control());
    Diagnostic::error("yaml-syntax", "The file is not valid YAML", span, told)
}

/// The first tab in the white space before the text of each line that has one.
fn indentation_tabs(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let content = line.trim_start_matches([' ', '\t']);
        let indentation = &line[..line.len() - content.len()];
        let tab = indentation.find('\t').filter(|_| !content.trim().is_empty() && !content.starts_with('#'));
        let found = tab.map(|tab| start + tab..start + tab + 1);
        start += line.len();
        found
    })
}
