//! One text for one value, whichever of the two databases holds it.
//!
//! DMS changes types on the way (boolean to varchar, uuid to varchar, timestamptz to timestamp),
//! and the engines print some values differently. Each pair of types gets two SQL expressions
//! whose texts are equal exactly if the values are. What cannot be made equal is named, not
//! compared. Rules from the DMS pages on PostgreSQL sources and Redshift targets.

use crate::database::{Dialect, quote_identifier};

/// How a column is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// The expression in the source.
    pub source: String,
    /// The expression in the warehouse.
    pub target: String,
    /// Whether values that differ by less than a millionth count as equal.
    pub approximate: bool,
}

/// A column's type in the warehouse, by `information_schema`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TargetType {
    /// `character varying`, `bigint`, …
    pub name: String,
    /// Digits after the point of a numeric.
    pub scale: Option<u32>,
}

/// Chooses the expressions for one column, or says why it cannot be compared. `source_type` is
/// PostgreSQL's `format_type`.
pub(super) fn form(
    (source, source_type): (&str, &str),
    (target, target_type): (&str, &TargetType),
    dialect: Dialect,
) -> Result<Form, String> {
    let (s, t) = (quote_identifier(source), quote_identifier(target));
    let base = source_type.split('(').next().unwrap_or_default().trim();
    let is_text = target_type.name.starts_with("character") || target_type.name == "text";
    let plain = |column: &str, dialect| match dialect {
        Dialect::Postgres => format!("{column}::text"),
        Dialect::Redshift => column.to_owned(),
    };
    let pair = |source: String, target: String| Ok(Form { source, target, approximate: false });
    match base {
        "smallint" | "integer" | "bigint" => pair(format!("{s}::varchar"), format!("{t}::varchar")),
        "numeric" => {
            let scale = numeric_scale(source_type).min(target_type.scale.unwrap_or(u32::MAX));
            pair(number(&s, scale), number(&t, scale))
        }
        "boolean" if is_text => pair(flag(&s), text_flag(&t)),
        "boolean" => pair(flag(&s), flag(&t)),
        "date" => pair(date(&s, Dialect::Postgres), date(&t, dialect)),
        "timestamp" | "timestamp without time zone" if !is_text => {
            pair(instant(&s, Dialect::Postgres), instant(&t, dialect))
        }
        "timestamp with time zone" if !is_text => {
            let zoned = target_type.name == "timestamp with time zone";
            let t = if zoned { format!("({t} at time zone 'UTC')") } else { t };
            pair(instant(&format!("({s} at time zone 'UTC')"), Dialect::Postgres), instant(&t, dialect))
        }
        "real" | "double precision" => Ok(Form { source: approximate(&s), target: approximate(&t), approximate: true }),
        "character" | "\"char\"" => pair(format!("rtrim({s}::text)"), format!("rtrim({})", plain(&t, dialect))),
        "bytea" if is_text => pair(format!("upper(encode({s}, 'hex'))"), format!("upper({t})")),
        "bytea" => pair(format!("encode({s}, 'hex')"), format!("encode({t}, 'hex')")),
        "uuid" => pair(format!("{s}::text"), format!("lower({t}::varchar(36))")),
        "time" | "time without time zone" | "time with time zone" | "interval" | "money" | "xml" => {
            Err(format!("the form in which {base} arrives is not documented"))
        }
        _ if source_type.ends_with("[]") || is_character(base) || matches!(base, "json" | "jsonb" | "citext") => {
            pair(format!("{s}::text"), plain(&t, dialect))
        }
        // Enumerations and domains print as their labels; anything else is caught by the digest.
        _ if is_text => pair(format!("{s}::text"), plain(&t, dialect)),
        _ => Err(format!("{source_type} is not compared with {}", target_type.name)),
    }
}

fn is_character(base: &str) -> bool {
    matches!(base, "text" | "character varying")
}

/// The scale of `numeric(p,s)`; without precision DMS makes it `numeric(28,6)`.
fn numeric_scale(type_name: &str) -> u32 {
    let Some((_, arguments)) = type_name.split_once('(') else { return 6 };
    let scale = arguments.trim_end_matches(')').split(',').nth(1).unwrap_or("0");
    scale.trim().parse().unwrap_or_default()
}

/// Cut, as the load cuts digits that do not fit.
fn number(column: &str, scale: u32) -> String {
    format!("trunc({column}, {scale})::numeric(38,{scale})::varchar")
}

fn flag(column: &str) -> String {
    format!("case when {column} then '1' when not {column} then '0' end")
}

fn text_flag(column: &str) -> String {
    format!("case when lower({column}) in ('true', 't', '1') then '1' when {column} is not null then '0' end")
}

fn date(column: &str, dialect: Dialect) -> String {
    bounded(column, &format!("to_char({column}, 'YYYY-MM-DD')"), "", dialect)
}

fn instant(column: &str, dialect: Dialect) -> String {
    bounded(column, &format!("to_char({column}, 'YYYY-MM-DD HH24:MI:SS.US')"), " 00:00:00.000000", dialect)
}

/// PostgreSQL's infinities, which `to_char` prints as nothing; DMS writes them as extreme dates.
fn bounded(column: &str, text: &str, midnight: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::Redshift => text.to_owned(),
        Dialect::Postgres => format!(
            "case when {column} = 'infinity' then '9999-12-31{midnight}' \
             when {column} = '-infinity' then '4713-01-01{midnight}' else {text} end"
        ),
    }
}

/// Redshift prints 15 digits, PostgreSQL as many as it takes: compare whole numbers as such and
/// others in millionths. Beyond what a bigint of millionths holds there is one class.
fn approximate(column: &str) -> String {
    format!(
        "case when {column} is null then null \
         when {column} = floor({column}) and abs({column}) < 9e15 then {column}::bigint::varchar \
         when abs({column}) < 9e12 then floor({column} * 1e6 + 0.5)::bigint::varchar || 'e-6' else 'large' end"
    )
}

/// The hash of a row or key: each text with its length before it, NULL as `-`, so that no two
/// different rows give one string. Long texts go in by their own hash, because an expression on
/// Redshift holds 65,535 bytes.
pub(super) fn row_hash<'a>(texts: impl Iterator<Item = (&'a str, bool)>) -> String {
    let piece = |(text, is_long): (&str, bool)| {
        if is_long {
            format!("coalesce(md5({text}), '-')")
        } else {
            format!("coalesce(octet_length({text})::varchar || ':' || ({text}), '-')")
        }
    };
    format!("md5({})", texts.map(piece).collect::<Vec<_>>().join(" || "))
}

/// A sum over hashes that does not depend on the order of rows: 60 bits of each, from the given
/// hexadecimal digit on, added without overflow.
pub(super) fn lane(hash: &str, digit: u32, dialect: Dialect) -> String {
    match dialect {
        Dialect::Postgres => format!("sum(('x' || substring({hash}, {digit}, 15))::bit(60)::bigint)"),
        Dialect::Redshift => format!("sum(strtol(substring({hash}, {digit}, 15), 16)::decimal(38,0))"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_the_smaller_one_and_unbounded_numbers_have_six_digits() {
        let target = |scale| TargetType { name: "numeric".to_owned(), scale: Some(scale) };
        let form = |source, scale| form(("a", source), ("a", &target(scale)), Dialect::Redshift).unwrap().source;
        assert_eq!(form("numeric(10,2)", 4), "trunc(\"a\", 2)::numeric(38,2)::varchar");
        assert_eq!(form("numeric", 6), "trunc(\"a\", 6)::numeric(38,6)::varchar");
        assert_eq!(form("numeric(5)", 2), "trunc(\"a\", 0)::numeric(38,0)::varchar");
    }

    #[test]
    fn what_cannot_be_made_equal_is_named() {
        let target = TargetType { name: "character varying".to_owned(), scale: None };
        let error = form(("a", "interval"), ("a", &target), Dialect::Redshift).unwrap_err();
        assert!(error.contains("interval"), "{error}");
    }
}
