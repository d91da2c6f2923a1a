//! Mistakes in the user's files as text: what, where with an excerpt, why, and the way out.
//!
//! The drawing is `annotate-snippets`'; this file only says what goes where. Nothing is wrapped or
//! cut, so that a file name and line stay clickable.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str};
use towpath_engine::diag::{Diagnostic, Diagnostics, Severity, Span};

use super::style::Color;

/// All diagnostics in their order, with a blank line after each.
pub fn render(diagnostics: &Diagnostics, color: Color) -> String {
    let renderer = match color {
        Color::On => Renderer::styled(),
        Color::Off => Renderer::plain(),
    };
    let renderer = renderer.decor_style(DecorStyle::Unicode);
    diagnostics.iter().map(|one| renderer.render(&[group(one)]) + "\n\n").collect()
}

fn group(diagnostic: &Diagnostic) -> Group<'_> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(&diagnostic.summary).id(diagnostic.code);
    let snippets = files(diagnostic).into_iter().map(|main| {
        let in_file = diagnostic.labels.iter().enumerate().filter(|(_, (span, _))| span.source == main.source);
        let marks = in_file.map(|(index, (span, label))| {
            let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            kind.span(mark(span)).label(label)
        });
        Snippet::source(&main.source.text).path(&main.source.path).annotations(marks)
    });
    let mut group = Group::with_title(title).elements(snippets);
    if let Some(detail) = &diagnostic.detail {
        group = group.element(Level::NOTE.message(normalize_untrusted_str(detail)));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(normalize_untrusted_str(help)));
    }
    group
}

/// The first place in each file.
fn files(diagnostic: &Diagnostic) -> Vec<&Span> {
    let mut firsts: Vec<&Span> = Vec::new();
    for (span, _) in &diagnostic.labels {
        if !firsts.iter().any(|first| first.source == span.source) {
            firsts.push(span);
        }
    }
    firsts
}

/// The bytes to mark: of a place of many lines only the first line, since its begin says enough.
fn mark(span: &Span) -> std::ops::Range<usize> {
    let length = span.source.text.len();
    let (start, end) = (span.range.start.min(length), span.range.end.min(length));
    let first_line = span.source.text.get(start..end).and_then(|text| text.find('\n'));
    start..first_line.map_or(end, |at| start + at)
}

#[cfg(test)]
mod tests;
