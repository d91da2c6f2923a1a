//! Temporary plain rendering until the excerpt renderer lands.
use super::style::Color;
use towpath_engine::diag::Diagnostics;
/// Plain text.
pub fn render(diagnostics: &Diagnostics, _color: Color) -> String {
    diagnostics
        .iter()
        .map(|d| {
            let (l, c) = d.labels.first().map_or((0, 0), |(s, _)| s.line_column());
            format!("{l}:{c}: {} {:?} {:?}\n", d.summary, d.detail, d.help)
        })
        .collect()
}
