//! Statements about owners, quotas, users, groups, roles and privileges: PostgreSQL has no quotas, its
//! roles belong to the whole server, and it knows fewer privileges, so they become calls of the functions
//! of `catalog.sql`.
//!
//! What has a form that is not known here goes to PostgreSQL as it is.

use sqlparser::dialect::RedshiftSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer, Word};

/// The statement as calls; `None` where it is none of these.
pub(super) fn rewrite(sql: &str) -> Option<String> {
    let tokens = Tokenizer::new(&RedshiftSqlDialect {}, sql).tokenize().ok()?;
    let is_solid = |token: &Token| !matches!(token, Token::Whitespace(_) | Token::EOF | Token::SemiColon);
    let mut words = Words { tokens: tokens.into_iter().filter(is_solid).collect(), at: 0 };
    let calls = match (words.next()?.as_str(), words.peek()?.as_str()) {
        ("create", "schema") => words.create_schema()?,
        ("alter", "schema") => words.alter_schema()?,
        (verb @ ("create" | "alter" | "drop"), "user" | "role" | "group") => words.identity(verb)?,
        (verb @ ("grant" | "revoke"), _) => words.privileges(verb == "grant")?,
        _ => return None,
    };
    Some(format!("DO $access$ BEGIN {} END $access$", calls.join(" ")))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn array(texts: &[String]) -> String {
    format!("array[{}]::text[]", texts.iter().map(|text| literal(text)).collect::<Vec<_>>().join(", "))
}

struct Words {
    tokens: Vec<Token>,
    at: usize,
}

impl Words {
    /// The next token as a lower-case word; empty when it is quoted or no word.
    fn peek(&self) -> Option<String> {
        Some(match self.tokens.get(self.at)? {
            Token::Word(Word { value, quote_style: None, .. }) => value.to_lowercase(),
            _ => String::new(),
        })
    }

    fn next(&mut self) -> Option<String> {
        let word = self.peek();
        self.at += 1;
        word
    }

    /// Goes past these words if they come next.
    fn skip(&mut self, expected: &[&str]) -> bool {
        let begin = self.at;
        let all = expected.iter().all(|wanted| self.next().as_deref() == Some(*wanted));
        if !all {
            self.at = begin;
        }
        all
    }

    fn is_done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// A name, quoted or not: Redshift folds both.
    fn name(&mut self) -> Option<String> {
        let Token::Word(Word { value, .. }) = self.tokens.get(self.at)? else { return None };
        let name = value.to_lowercase();
        self.at += 1;
        Some(name)
    }

    /// A user's name as it is written: those of IAM have capital letters.
    fn user(&mut self) -> Option<String> {
        let Token::Word(Word { value, .. }) = self.tokens.get(self.at)? else { return None };
        let name = value.clone();
        self.at += 1;
        Some(name)
    }

    fn comma(&mut self) -> bool {
        let is = self.tokens.get(self.at) == Some(&Token::Comma);
        self.at += usize::from(is);
        is
    }

    /// `QUOTA n [MB | GB | TB]` or `QUOTA UNLIMITED` in megabytes, 0 for none. Source: CREATE SCHEMA,
    /// "Gigabytes is the default unit of measurement when you don't specify a value".
    fn quota(&mut self) -> Option<u64> {
        if self.skip(&["unlimited"]) {
            return Some(0);
        }
        let Token::Number(digits, _) = self.tokens.get(self.at)? else { return None };
        let amount = digits.parse::<u64>().ok()?;
        self.at += 1;
        let units = [("mb", 1), ("gb", 1024), ("tb", 1024 * 1024)];
        let unit = units.into_iter().find(|(unit, _)| self.skip(&[unit])).map_or(1024, |(_, unit)| unit);
        Some(amount * unit)
    }

    fn create_schema(&mut self) -> Option<Vec<String>> {
        self.at += 1;
        let lenient = if self.skip(&["if", "not", "exists"]) { "IF NOT EXISTS " } else { "" };
        let name = self.name()?;
        let mut calls = vec![format!("CREATE SCHEMA {lenient}{};", identifier(&name))];
        if self.skip(&["authorization"]) {
            calls.push(format!("PERFORM pg_catalog.redshift_own({}, {});", literal(&name), literal(&self.user()?)));
        }
        if self.skip(&["quota"]) {
            calls.push(format!("PERFORM pg_catalog.redshift_limit({}, {});", literal(&name), self.quota()?));
        }
        (self.is_done() && calls.len() > 1).then_some(calls)
    }

    fn alter_schema(&mut self) -> Option<Vec<String>> {
        self.at += 1;
        let name = self.name()?;
        let call = if self.skip(&["owner", "to"]) {
            format!("PERFORM pg_catalog.redshift_own({}, {});", literal(&name), literal(&self.user()?))
        } else if self.skip(&["quota"]) {
            format!("PERFORM pg_catalog.redshift_limit({}, {});", literal(&name), self.quota()?)
        } else {
            return None;
        };
        Some(vec![call])
    }

    /// Users, groups and roles: what they are beside being there is not kept.
    fn identity(&mut self, verb: &str) -> Option<Vec<String>> {
        let sort = self.next()?;
        let lenient = self.skip(&["if", "exists"]);
        let mut calls = Vec::new();
        loop {
            let arguments = format!("{}, {}", literal(&sort), literal(&self.user()?));
            calls.push(match verb {
                "create" => format!("PERFORM pg_catalog.redshift_make_identity({arguments});"),
                "drop" => format!("PERFORM pg_catalog.redshift_drop_identity({arguments}, {lenient});"),
                _ => format!("PERFORM pg_catalog.redshift_identity({arguments});"),
            });
            if verb != "drop" || !self.comma() {
                return Some(calls);
            }
        }
    }

    fn privileges(&mut self, grants: bool) -> Option<Vec<String>> {
        if self.skip(&["grant", "option", "for"]) {
            return None;
        }
        let mut wanted = Vec::new();
        loop {
            wanted.push(self.next()?);
            self.skip(&["privileges"]);
            if !self.comma() {
                break;
            }
        }
        if !self.skip(&["on"]) {
            return None;
        }
        let reach = if self.skip(&["schema"]) {
            "schema"
        } else if self.skip(&["all", "tables", "in", "schema"]) {
            "all"
        } else {
            self.skip(&["table"]);
            "table"
        };
        let names = self.objects(reach)?;
        if !self.skip(&[if grants { "to" } else { "from" }]) {
            return None;
        }
        let mut calls = Vec::new();
        loop {
            let sort = ["role", "group", "public"].into_iter().find(|sort| self.peek().as_deref() == Some(*sort));
            self.at += usize::from(matches!(sort, Some("role" | "group")));
            let who = self.user()?;
            calls.push(format!(
                "PERFORM pg_catalog.redshift_change({grants}, {}, '{reach}', {}, '{}', {});",
                array(&wanted),
                array(&names),
                sort.unwrap_or("user"),
                literal(&who)
            ));
            let with_option = self.skip(&["with", "grant", "option"]);
            let _ends_so = with_option || self.skip(&["restrict"]) || self.skip(&["cascade"]);
            if !self.comma() {
                return self.is_done().then_some(calls);
            }
        }
    }

    /// Names with commas between; those of relations may have their schema before them.
    fn objects(&mut self, reach: &str) -> Option<Vec<String>> {
        // `ON DATABASE`, `ON FUNCTION` and the like are not known here.
        let others = ["database", "function", "procedure", "language", "all", "external", "datashare", "model"];
        if reach == "table" && self.peek().is_some_and(|word| others.contains(&word.as_str())) {
            return None;
        }
        let mut names = Vec::new();
        loop {
            let mut name = self.name()?;
            if reach == "table" {
                name = identifier(&name);
                while self.tokens.get(self.at) == Some(&Token::Period) {
                    self.at += 1;
                    name = format!("{name}.{}", identifier(&self.name()?));
                }
            }
            names.push(name);
            if !self.comma() {
                return Some(names);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    #[test]
    fn statements_of_other_forms_are_left_alone() {
        for sql in [
            "create schema analytics",
            "create schema if not exists analytics",
            "alter schema a rename to b",
            "create table t (i int)",
            "grant usage on language plpgsql to public",
            "grant role a to b",
            "select 1",
            "",
        ] {
            assert_eq!(rewrite(sql), None, "{sql}");
        }
    }

    #[test]
    fn names_are_folded_and_quoted() {
        let sql = rewrite("GRANT SELECT, insert ON ALL TABLES IN SCHEMA \"An'a\" TO GROUP Readers, ann;").unwrap();
        assert!(
            sql.contains("array['select', 'insert']::text[], 'all', array['an''a']::text[], 'group', 'Readers'"),
            "{sql}"
        );
        assert!(sql.contains("'user', 'ann'"), "{sql}");
        let sql = rewrite("create schema a authorization \"IAM:ann\" quota 2 tb").unwrap();
        assert!(sql.contains("CREATE SCHEMA \"a\"; ") && sql.contains("redshift_limit('a', 2097152)"), "{sql}");
    }
}
