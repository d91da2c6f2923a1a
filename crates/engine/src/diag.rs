//! Mistakes in the user's text, as data: collected, never thrown, rendered elsewhere.
//!
//! A summary holds no user names, so that people learn to skim it; the detail says what is wrong
//! here and why it matters; the help says what to do. `docs/diagnostics.md` has the full rules.

use std::ops::Range;
use std::sync::Arc;

/// A text file that diagnostics point into.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as the user gave it.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// A place in a source: byte offsets, end exclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The file.
    pub source: Arc<Source>,
    /// The bytes.
    pub range: Range<usize>,
}

impl Span {
    /// Line and column of the start, both from 1; the column counts characters.
    pub fn line_column(&self) -> (usize, usize) {
        let before = &self.source.text[..self.range.start.min(self.source.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is done until it is mended.
    Error,
    /// Worth knowing; work goes on.
    Warning,
}

/// One mistake or remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// A stable name in kebab case, e.g. `unknown-field`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What kind of mistake it is, without user names, without a full stop.
    pub summary: String,
    /// What is wrong here, in sentences.
    pub detail: Option<String>,
    /// The places, the first being the main one, each with a short label.
    pub labels: Vec<(Span, String)>,
    /// The way out, e.g. "Did you mean `class`?".
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error with one place.
    pub fn error(code: &'static str, summary: impl Into<String>, span: Span, label: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            summary: summary.into(),
            detail: None,
            labels: vec![(span, label.into())],
            help: None,
        }
    }

    /// The same with a detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same with a way out.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with one more place.
    #[must_use]
    pub fn with_label(mut self, span: Span, label: impl Into<String>) -> Self {
        self.labels.push((span, label.into()));
        self
    }
}

/// What was found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Adds all of another collection.
    pub fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether any is an error.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Forgets those that are not to be kept.
    pub fn retain(&mut self, keep: impl FnMut(&Diagnostic) -> bool) {
        self.0.retain(keep);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All, by place in the file.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// Blots out parts of a source in everything that would be shown of it, leaving every other
    /// place where it is: what follows a literal secret may be shown beside it.
    pub fn hide(&mut self, source: &Arc<Source>, ranges: &[Range<usize>]) {
        if ranges.is_empty() {
            return;
        }
        let mut bytes = source.text.clone().into_bytes();
        for range in ranges {
            let literal = bytes.get_mut(range.clone()).into_iter().flatten();
            literal.filter(|byte| !byte.is_ascii_whitespace()).for_each(|byte| *byte = b'*');
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let hidden = Arc::new(Source { path: source.path.clone(), text });
        for (span, _) in self.0.iter_mut().flat_map(|diagnostic| &mut diagnostic.labels) {
            if span.source == *source {
                span.source = Arc::clone(&hidden);
            }
        }
    }

    /// Sorts by place in the file, so that output does not depend on the order of checks.
    pub fn sort(&mut self) {
        self.0.sort_by_key(|diagnostic| diagnostic.labels.first().map(|(span, _)| span.range.start));
    }
}

/// The candidate most like `word`, if one is like it at all: for "Did you mean".
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(word.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
