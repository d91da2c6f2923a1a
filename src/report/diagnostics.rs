//! Mistakes in the user's files as text: what, where with an excerpt, why, and the way out.
//!
//! The drawing is `annotate-snippets`'; this file only says what goes where. Nothing is wrapped or
//! cut, so that a file name and line stay clickable.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str};
use towpath_engine::diag::{Diagnostic, Diagnostics, Severity, Span};

use super::style::{Color, plural};

/// All diagnostics in their order, with a blank line after each, and a count of the errors at the
/// end. Empty if there are none.
pub fn render(diagnostics: &Diagnostics, color: Color) -> String {
    let renderer = match color {
        Color::On => Renderer::styled(),
        Color::Off => Renderer::plain(),
    };
    let renderer = renderer.decor_style(DecorStyle::Unicode);
    let mut text: String = diagnostics.iter().map(|one| renderer.render(&[group(one)]) + "\n\n").collect();
    let errors = diagnostics.iter().filter(|one| one.severity == Severity::Error).count();
    if errors > 0 {
        let count = format!("{} to mend; nothing was done.", plural(errors, "error"));
        text += &color.bold(&count);
        text.push('\n');
    }
    text
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
mod tests {
    use std::sync::Arc;

    use towpath_engine::diag::Source;

    use super::*;

    fn span(source: &Arc<Source>, text: &str) -> Span {
        let start = source.text.find(text).unwrap();
        Span { source: Arc::clone(source), range: start..start + text.len() }
    }

    fn source() -> Arc<Source> {
        let text = "stack: club\nresources:\n  a:\n    clas: dms.t3.medium\n  b: {\n    x: 1 }\n";
        Arc::new(Source { path: "stacks/club.yaml".to_owned(), text: text.to_owned() })
    }

    #[test]
    fn an_error_shows_what_where_why_and_the_way_out() {
        let source = source();
        let mut diagnostics = Diagnostics::default();
        diagnostics.push(
            Diagnostic::error("unknown-field", "A field is not known", span(&source, "clas:"), "unknown field")
                .with_label(span(&source, "{\n    x: 1 }"), "here it is right")
                .with_detail("There is no `clas` in `dms/replication_instance`.")
                .with_help("Did you mean `class`?"),
        );
        insta::assert_snapshot!(render(&diagnostics, Color::Off));
        assert!(render(&diagnostics, Color::On).contains("\u{1b}["));
    }

    #[test]
    fn nothing_wrong_is_no_text_and_places_beyond_the_end_do_no_harm() {
        assert_eq!(render(&Diagnostics::default(), Color::Off), "");
        let beyond = Span { source: source(), range: 1000..1001 };
        let mut diagnostics = Diagnostics::default();
        diagnostics.push(Diagnostic::error("yaml-syntax", "The file is not valid YAML", beyond, "here"));
        assert!(render(&diagnostics, Color::Off).contains("stacks/club.yaml"));
    }
}
