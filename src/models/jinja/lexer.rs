//! Cuts a template into the pieces the rewriter needs: delimiters, names, strings, operators.
//!
//! It knows just enough of Jinja to tell code from text; it checks nothing and keeps byte offsets,
//! so that a rewrite never moves a line.

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// `{%` with an optional `-` or `+`.
    BlockStart,
    /// `%}`, trimming what follows when it is `-%}`.
    BlockEnd {
        /// Whether white space after it is dropped.
        trims: bool,
    },
    /// `{{`.
    OutputStart,
    /// `}}`.
    OutputEnd,
    /// A name or keyword.
    Name(&'a str),
    /// A string literal, without its quotes.
    Text(&'a str),
    /// A number.
    Number,
    /// One operator character.
    Operator(char),
}

/// A piece and its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) piece: Piece<'a>,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// All pieces of code in `source`; text, comments and raw blocks are left out.
pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(found) = source[at..].find('{').map(|offset| at + offset) {
        let rest = &source[found..];
        if rest.starts_with("{#") {
            at = rest.find("#}").map_or(source.len(), |end| found + end + 2);
        } else if rest.starts_with("{%") || rest.starts_with("{{") {
            let first = out.len();
            at = code(source, found, &mut out);
            if matches!(out.get(first + 1).map(|token| token.piece), Some(Piece::Name("raw"))) {
                at = end_of_raw(source, at);
            }
        } else {
            at = found + 1;
        }
    }
    out
}

fn end_of_raw(source: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(found) = source[at..].find("{%").map(|offset| at + offset) {
        let inside = source[found + 2..].trim_start_matches(['-', '+']).trim_start();
        if inside.starts_with("endraw") {
            return source[found..].find("%}").map_or(source.len(), |end| found + end + 2);
        }
        at = found + 2;
    }
    source.len()
}

/// Reads from an opening delimiter to its closing one and returns the offset after it.
fn code<'a>(source: &'a str, start: usize, out: &mut Vec<Token<'a>>) -> usize {
    let bytes = source.as_bytes();
    let block = bytes[start + 1] == b'%';
    let mut at = start + 2;
    if matches!(bytes.get(at), Some(b'-' | b'+')) {
        at += 1;
    }
    out.push(Token { piece: if block { Piece::BlockStart } else { Piece::OutputStart }, start, end: at });
    let mut depth = 0usize;
    while at < bytes.len() {
        let rest = &source[at..];
        if let Some(end) = closing(rest, block, depth) {
            let piece = if block { Piece::BlockEnd { trims: rest.starts_with('-') } } else { Piece::OutputEnd };
            out.push(Token { piece, start: at, end: at + end });
            return at + end;
        }
        let Some(character) = rest.chars().next() else { break };
        if character.is_whitespace() {
            at += character.len_utf8();
            continue;
        }
        let (piece, length) = piece(rest, character);
        match piece {
            Piece::Operator('{') => depth += 1,
            Piece::Operator('}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        out.push(Token { piece, start: at, end: at + length });
        at += length;
    }
    source.len()
}

fn closing(rest: &str, block: bool, depth: usize) -> Option<usize> {
    let (plain, trimming) = if block { ("%}", "-%}") } else { ("}}", "-}}") };
    if depth > 0 {
        return None;
    }
    if rest.starts_with(plain) {
        Some(plain.len())
    } else if rest.starts_with(trimming) {
        Some(trimming.len())
    } else {
        None
    }
}

fn piece(rest: &str, first: char) -> (Piece<'_>, usize) {
    let run = |accept: fn(char) -> bool| rest.find(|character| !accept(character)).unwrap_or(rest.len());
    if first == '"' || first == '\'' {
        let length = string_length(rest, first);
        let inner = rest.get(1..length.saturating_sub(1)).unwrap_or_default();
        (Piece::Text(inner), length)
    } else if first.is_alphabetic() || first == '_' {
        let length = run(|character| character.is_alphanumeric() || character == '_');
        (Piece::Name(&rest[..length]), length)
    } else if first.is_ascii_digit() {
        (Piece::Number, run(|character| character.is_ascii_digit() || character == '_'))
    } else {
        (Piece::Operator(first), first.len_utf8())
    }
}

fn string_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}
