//! Named parameters: `:name` in a statement becomes the parameter's value as a literal.

/// The statement with its parameters put in place. Literals, quoted names, comments and `::` casts are left alone.
///
/// # Errors
/// The name of a parameter that has no value.
pub(super) fn bind(sql: &str, values: &[(String, String)]) -> Result<String, String> {
    let mut bound = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let taken = if first == '\'' || first == '"' {
            1 + rest[1..].find(first).map_or(rest.len() - 1, |end| end + 1)
        } else if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("::") {
            2
        } else if first == ':' {
            let name: String = rest[1..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if name.is_empty() {
                1
            } else {
                let (_, value) = values.iter().find(|(known, _)| *known == name).ok_or_else(|| name.clone())?;
                bound.push('\'');
                bound.push_str(&value.replace('\'', "''"));
                bound.push('\'');
                rest = &rest[1 + name.len()..];
                continue;
            }
        } else {
            first.len_utf8()
        };
        bound.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    Ok(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_stay_out_of_literals_casts_and_comments() {
        let values = [("a".to_owned(), "it's".to_owned())];
        assert_eq!(bind("select :a, ':a', x::a -- :a", &values).unwrap(), "select 'it''s', ':a', x::a -- :a");
        assert_eq!(bind("select :b", &values).unwrap_err(), "b");
    }
}
