//! Makes dbt's Jinja digestible: the same template, line for line, in what minijinja understands.
//!
//! List and dict literals become mutable objects, macros are renamed and announced so that other
//! files can call them, `varargs`, `kwargs` and nested `caller()` work, dbt's `test` blocks become
//! macros. Every edit stays on its line, so positions in messages are those of the user's file.

use std::collections::BTreeSet;

use super::lexer::{Piece, Token, tokens};

/// A macro as its header declares it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Signature {
    /// The name dbt calls it by; a generic test is called `test_<name>`.
    pub(super) name: String,
    /// Its parameters in order.
    pub(super) parameters: Vec<String>,
    /// Whether its body reads `varargs`.
    pub(super) takes_varargs: bool,
    /// Whether its body reads `kwargs`.
    pub(super) takes_kwargs: bool,
}

/// A rewritten template.
#[derive(Clone, Debug, Default)]
pub(super) struct Rewritten {
    /// The text for minijinja.
    pub(super) text: String,
    /// The macros it defines.
    pub(super) macros: Vec<Signature>,
    /// Every name and every string literal in its code: what it may call.
    pub(super) words: BTreeSet<String>,
    /// Constructs that cannot be run, each with its byte offset.
    pub(super) unsupported: Vec<(usize, String)>,
}

/// The name under which a macro is defined inside its template.
fn inner_name(name: &str) -> String {
    format!("dbt_macro__{name}")
}

/// Rewrites a template of package `package`.
pub(super) fn rewrite(source: &str, package: &str) -> Rewritten {
    let tokens = tokens(source);
    let mut edits =
        Edits { package, tokens: &tokens, made: Vec::new(), brackets: Vec::new(), out: Rewritten::default() };
    for index in 0..tokens.len() {
        edits.visit(index);
    }
    let Edits { made: mut edits, mut out, .. } = edits;
    // Stable, so that two insertions at one offset keep the order in which they were made.
    edits.sort_by_key(|edit| edit.at);
    let mut text = String::with_capacity(source.len() + 16 * edits.len());
    let mut at = 0;
    for edit in edits {
        if edit.at >= at {
            text.push_str(&source[at..edit.at]);
            text.push_str(&edit.text);
            at = edit.at + edit.remove;
        }
    }
    text.push_str(&source[at..]);
    out.text = text;
    out
}

struct Edit {
    at: usize,
    remove: usize,
    text: String,
}

struct Edits<'a, 's> {
    package: &'a str,
    tokens: &'a [Token<'s>],
    made: Vec<Edit>,
    /// Whether each open bracket started a literal.
    brackets: Vec<bool>,
    out: Rewritten,
}

impl<'s> Edits<'_, 's> {
    fn piece(&self, index: usize) -> Option<Piece<'s>> {
        self.tokens.get(index).map(|token| token.piece)
    }

    fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at, 0, text);
    }

    fn replace(&mut self, at: usize, remove: usize, text: impl Into<String>) {
        self.made.push(Edit { at, remove, text: text.into() });
    }

    fn close_bracket(&mut self, end: usize) {
        if self.brackets.pop() == Some(true) {
            self.insert(end, ")");
        }
    }

    fn visit(&mut self, index: usize) {
        let token = self.tokens[index];
        match token.piece {
            Piece::Name(name) => {
                self.out.words.insert(name.to_owned());
            }
            Piece::Text(text) => {
                self.out.words.insert(text.to_owned());
            }
            Piece::Operator('[') => {
                let literal = !self.follows_value(index);
                self.brackets.push(literal);
                if literal {
                    self.insert(token.start, "__list(");
                }
            }
            Piece::Operator('{') => {
                self.brackets.push(true);
                self.insert(token.start, "__dict(");
            }
            Piece::Operator(']' | '}') => self.close_bracket(token.end),
            Piece::Operator('+') if index > 0 && !self.follows_value(index) => self.replace(token.start, 1, " "),
            Piece::BlockStart => self.block(index),
            _ => {}
        }
    }

    /// Whether the token before `index` ends a value, so that a bracket after it is a subscript.
    fn follows_value(&self, index: usize) -> bool {
        let keyword =
            |name: &str| matches!(name, "in" | "if" | "else" | "elif" | "and" | "or" | "not" | "is" | "do" | "return");
        match index.checked_sub(1).and_then(|before| self.piece(before)) {
            Some(Piece::Name(name)) => !keyword(name),
            Some(Piece::Text(_) | Piece::Number | Piece::Operator(')' | ']' | '}')) => true,
            _ => false,
        }
    }

    fn block(&mut self, index: usize) {
        let Some(Piece::Name(keyword)) = self.piece(index + 1) else { return };
        let start = self.tokens[index + 1].start;
        match keyword {
            "macro" => self.macro_block(index, "", "endmacro"),
            "test" | "data_test" => {
                self.replace(start, keyword.len(), "macro");
                self.macro_block(index, "test_", "endtest");
            }
            "endtest" | "enddata_test" => {
                self.replace(start, keyword.len(), "endmacro");
                self.announce(index);
            }
            "endmacro" => self.announce(index),
            "do" => self.replace(start, 2, "set __done ="),
            "if" | "elif" | "else" | "for" => self.trailing_colon(index),
            "materialization" | "snapshot" | "docs" => {
                let what = format!("`{{% {keyword} %}}` blocks are not supported");
                self.out.unsupported.push((self.tokens[index].start, what));
            }
            _ => {}
        }
    }

    fn trailing_colon(&mut self, index: usize) {
        let end = self.end_of_block(index);
        if self.piece(end - 1) == Some(Piece::Operator(':')) {
            self.replace(self.tokens[end - 1].start, 1, "");
        }
    }

    fn end_of_block(&self, index: usize) -> usize {
        (index..self.tokens.len())
            .find(|&at| matches!(self.tokens[at].piece, Piece::BlockEnd { .. }))
            .unwrap_or(self.tokens.len() - 1)
    }

    fn macro_block(&mut self, index: usize, prefix: &str, ending: &str) {
        let Some(Piece::Name(name)) = self.piece(index + 2) else { return };
        let header_end = self.end_of_block(index);
        let body_end = (header_end..self.tokens.len())
            .find(|&at| {
                self.piece(at) == Some(Piece::BlockStart)
                    && matches!(self.piece(at + 1), Some(Piece::Name(name)) if name == ending || name == "enddata_test")
            })
            .unwrap_or(self.tokens.len());
        let reads = |word: &str| (header_end..body_end).any(|at| self.piece(at) == Some(Piece::Name(word)));
        let signature = Signature {
            name: format!("{prefix}{name}"),
            parameters: self.parameters(index + 3, header_end),
            takes_varargs: reads("varargs"),
            takes_kwargs: reads("kwargs"),
        };
        let reads_caller = reads("caller");
        let mut extra: Vec<&str> = Vec::new();
        extra.extend(signature.takes_varargs.then_some("varargs=[]"));
        extra.extend(signature.takes_kwargs.then_some("kwargs={}"));
        let close = (index..header_end).rev().find(|&at| self.piece(at) == Some(Piece::Operator(')')));
        if let (false, Some(close)) = (extra.is_empty(), close) {
            let comma = if signature.parameters.is_empty() { "" } else { ", " };
            self.insert(self.tokens[close].start, format!("{comma}{}", extra.join(", ")));
        }
        self.insert(self.tokens[index + 2].start, inner_name(prefix));
        if reads_caller {
            let Token { end, piece, .. } = self.tokens[header_end];
            let trim = if piece == (Piece::BlockEnd { trims: true }) { "-" } else { "" };
            // Inside a nested call block `caller` would mean that block's own, which it cannot have:
            // under another name it is the macro's, as in Jinja2.
            self.insert(end, format!("{{% set __caller = caller {trim}%}}"));
            for at in header_end..body_end {
                if self.piece(at) == Some(Piece::Name("caller")) {
                    self.replace(self.tokens[at].start, "caller".len(), "__caller");
                }
            }
        }
        self.out.macros.push(signature);
    }

    fn parameters(&self, from: usize, to: usize) -> Vec<String> {
        let mut depth = 0;
        let mut out = Vec::new();
        for at in from..to {
            match self.tokens[at].piece {
                Piece::Operator('(' | '[' | '{') => depth += 1,
                Piece::Operator(')' | ']' | '}') => depth -= 1,
                Piece::Name(name) if depth == 1 && matches!(self.piece(at - 1), Some(Piece::Operator('(' | ','))) => {
                    out.push(name.to_owned());
                }
                _ => {}
            }
        }
        out
    }

    /// After the end of a macro: makes it known to the render, for calls from other files.
    fn announce(&mut self, index: usize) {
        let Some(signature) = self.out.macros.last() else { return };
        let end = self.end_of_block(index);
        let Token { end, piece, .. } = self.tokens[end];
        let trim = if piece == (Piece::BlockEnd { trims: true }) { "-" } else { "" };
        let call = format!(
            "{{% set __done = __define(\"{}.{}\", {}) {trim}%}}",
            self.package,
            signature.name,
            inner_name(&signature.name)
        );
        self.insert(end, call);
    }
}
