//! What can be wrong with a project, as data with a place.
//!
//! Loading collects these and never stops at the first; running puts them in a result's message.
//! Nothing here is printed.

use std::fmt;

/// A file of the project and, where known, a line in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The path as seen from the project's folder.
    pub file: String,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The column in characters, from 1.
    pub column: Option<usize>,
}

impl Place {
    /// A whole file.
    pub fn file(file: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, column: None }
    }

    /// A line of a file.
    pub fn line(file: impl Into<String>, line: Option<usize>) -> Self {
        Self { file: file.into(), line, column: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
            if let Some(column) = self.column {
                write!(formatter, ":{column}")?;
            }
        }
        Ok(())
    }
}

/// A mistake in the project's files, or a construct that is not supported.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ModelError {
    /// Where.
    pub place: Place,
    /// What is wrong, naming the construct.
    pub message: String,
    /// The way out, where there is one.
    pub help: Option<String>,
}

impl ModelError {
    /// An error at a place.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), help: None }
    }

    /// The same with a way out.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The line on which `words` have all been met one after the other, each as a whole word: good
/// enough to point into a properties file, whose reader keeps no positions.
pub(super) fn locate(text: &str, words: &[&str]) -> Option<usize> {
    let mut offset = 0;
    for word in words {
        offset += find_word(&text[offset..], word)? + word.len();
    }
    Some(text[..offset].matches('\n').count() + 1)
}

fn find_word(text: &str, word: &str) -> Option<usize> {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).map(|(at, _)| at).find(|&at| {
        !text[..at].chars().next_back().is_some_and(is_part)
            && !text[at + word.len()..].chars().next().is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whole_and_in_order() {
        let text = "models:\n  - name: a_b\n  - name: a\n    columns:\n      - name: id\n";
        assert_eq!(locate(text, &["a", "id"]), Some(5));
        assert_eq!(locate(text, &["a"]), Some(3));
        assert_eq!(locate(text, &["id", "a"]), None);
    }
}
