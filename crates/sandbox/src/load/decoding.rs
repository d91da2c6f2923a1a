//! Reads what the output plugin `test_decoding` writes about one change.
//!
//! Its form is that of `contrib/test_decoding` of PostgreSQL: `table public.t: UPDATE: old-key: id[integer]:1
//! new-tuple: id[integer]:2 note[text]:'x'`. Begin, commit and truncate are nobody's change and give `None`, as DMS
//! does not carry a truncate of PostgreSQL either.

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Insert,
    Update,
    Delete,
}

/// The value of a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    Null,
    /// A large value that the change left as it was, and that is therefore not told.
    Unchanged,
    Text(String),
}

/// Columns with their values.
pub(super) type Tuple = Vec<(String, Value)>;

/// A change of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) kind: Kind,
    /// The old key of an update that changed it, and of a delete.
    pub(super) old: Option<Tuple>,
    /// The new row of an insert or update.
    pub(super) new: Tuple,
}

/// Reads one line.
pub(super) fn change(line: &str) -> Option<Change> {
    let mut rest = line.strip_prefix("table ")?;
    let schema = identifier(&mut rest)?;
    rest = rest.strip_prefix('.')?;
    let table = identifier(&mut rest)?;
    rest = rest.strip_prefix(": ")?;
    let (kind, mut rest) = [("INSERT:", Kind::Insert), ("UPDATE:", Kind::Update), ("DELETE:", Kind::Delete)]
        .into_iter()
        .find_map(|(word, kind)| Some((kind, rest.strip_prefix(word)?)))?;
    let mut old = None;
    if let Some(after) = rest.strip_prefix(" old-key:") {
        rest = after;
        old = Some(tuple(&mut rest)?);
        rest = rest.strip_prefix(" new-tuple:")?;
    }
    let new = if rest == " (no-tuple-data)" { Vec::new() } else { tuple(&mut rest)? };
    Some(match kind {
        Kind::Delete => Change { schema, table, kind, old: (!new.is_empty()).then_some(new), new: Vec::new() },
        _ => Change { schema, table, kind, old, new },
    })
}

/// Reads ` name[type]:value` as often as it comes.
fn tuple(rest: &mut &str) -> Option<Tuple> {
    let mut columns = Vec::new();
    while !rest.is_empty() && !rest.starts_with(" new-tuple:") {
        *rest = rest.strip_prefix(' ')?;
        let name = identifier(rest)?;
        *rest = &rest[type_length(rest)?..];
        *rest = rest.strip_prefix(':')?;
        columns.push((name, value(rest)?));
    }
    Some(columns)
}

/// A name, quoted when SQL needs quotes.
fn identifier(rest: &mut &str) -> Option<String> {
    if let Some(inner) = rest.strip_prefix('"') {
        *rest = inner;
        return quoted(rest, '"');
    }
    let end = rest.find(['.', ':', '[', ' '])?;
    let (name, after) = rest.split_at(end);
    *rest = after;
    Some(name.to_owned())
}

/// The rest of a quoted text, in which the quote is written twice.
fn quoted(rest: &mut &str, quote: char) -> Option<String> {
    let mut text = String::new();
    loop {
        let at = rest.find(quote)?;
        text.push_str(&rest[..at]);
        *rest = &rest[at + 1..];
        if !rest.starts_with(quote) {
            return Some(text);
        }
        text.push(quote);
        *rest = &rest[1..];
    }
}

/// The length of `[type]`: types have brackets and quotes of their own.
fn type_length(text: &str) -> Option<usize> {
    let (mut depth, mut in_quotes) = (0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => in_quotes = !in_quotes,
            b'[' if !in_quotes => depth += 1,
            b']' if !in_quotes => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn value(rest: &mut &str) -> Option<Value> {
    for (word, value) in [("null", Value::Null), ("unchanged-toast-datum", Value::Unchanged)] {
        if let Some(after) = rest.strip_prefix(word).filter(|after| after.is_empty() || after.starts_with(' ')) {
            *rest = after;
            return Some(value);
        }
    }
    // Bit strings have a B before the quote.
    if let Some(inner) = rest.strip_prefix('\'').or_else(|| rest.strip_prefix("B'")) {
        *rest = inner;
        return quoted(rest, '\'').map(Value::Text);
    }
    let (plain, after) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
    *rest = after;
    Some(Value::Text(plain.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, value: &str) -> (String, Value) {
        (name.to_owned(), Value::Text(value.to_owned()))
    }

    #[test]
    fn rows_are_read_with_quotes_brackets_and_spaces() {
        let line = r#"table public."My ""T""": INSERT: id[integer]:1 "a b"[character varying]:'it''s: [x]' n[numeric[]]:'{1,2}' b[bit varying]:B'01' e[public."m]o:d"]:'ok' z[text]:null"#;
        let change = change(line).unwrap();
        assert_eq!((change.schema.as_str(), change.table.as_str(), change.kind), ("public", "My \"T\"", Kind::Insert));
        let expected =
            [text("id", "1"), text("a b", "it's: [x]"), text("n", "{1,2}"), text("b", "01"), text("e", "ok")];
        assert_eq!(change.new[..5], expected);
        assert_eq!(change.new[5], ("z".to_owned(), Value::Null));
    }

    #[test]
    fn updates_and_deletes_tell_the_old_key_when_there_is_one() {
        let update = change(
            "table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 big[text]:unchanged-toast-datum",
        )
        .unwrap();
        assert_eq!(update.old, Some(vec![text("id", "1")]));
        assert_eq!(update.new, [text("id", "2"), ("big".to_owned(), Value::Unchanged)]);
        assert_eq!(change("table public.t: UPDATE: id[integer]:2").unwrap().old, None);
        assert_eq!(change("table public.t: DELETE: id[integer]:2").unwrap().old, Some(vec![text("id", "2")]));
        assert_eq!(change("table public.t: DELETE: (no-tuple-data)").unwrap().old, None);
    }

    #[test]
    fn what_is_no_change_of_a_row_is_none() {
        for line in ["BEGIN 7", "COMMIT 7 (at 2026-01-01 00:00:00+00)", "table public.t: TRUNCATE: (no-flags)", ""] {
            assert_eq!(change(line), None, "{line}");
        }
    }
}
