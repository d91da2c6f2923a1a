//! Rewrites that need only the words of a statement, not its structure.
//!
//! Comments, literals and layout pass through untouched. Every rule replaces something that PostgreSQL would
//! refuse (or read differently) and that no valid PostgreSQL-compatible Redshift statement can contain otherwise.

use sqlparser::dialect::RedshiftSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace, Word};

/// Parts of a date that may stand bare as the first argument of a date function.
const DATE_FUNCTIONS: [&str; 5] = ["dateadd", "datediff", "date_diff", "date_part", "pgdate_part"];

/// Session parameters of Redshift that PostgreSQL does not know.
const REDSHIFT_PARAMETERS: [&str; 14] = [
    "query_group",
    "enable_case_sensitive_identifier",
    "enable_result_cache_for_session",
    "wlm_query_slot_count",
    "describe_field_name_in_uppercase",
    "enable_numeric_rounding",
    "mv_enable_aqmv_for_session",
    "timezone_abbreviations_redshift",
    "json_serialization_enable",
    "navigate_super_null_on_error",
    "cast_super_null_on_error",
    "parse_super_null_on_error",
    "default_geometry_encoding",
    "spectrum_enable_pseudo_columns",
];

/// Why a statement cannot be run here at all, in the form of a Redshift error; `None` when it can be tried.
pub(crate) fn refusal(sql: &str) -> Option<String> {
    match first_word(sql).as_str() {
        "unload" => Some(
            "ERROR: UNLOAD is not available in the sandbox: there is no columnar engine to write files from".to_owned(),
        ),
        "copy" => Some(
            "ERROR: COPY from Amazon S3 is not available in the sandbox; the replication task loads tables itself"
                .to_owned(),
        ),
        _ => None,
    }
}

/// The first word of a statement in lower case, comments skipped; empty when there is none.
pub(crate) fn first_word(sql: &str) -> String {
    let Ok(tokens) = Tokenizer::new(&RedshiftSqlDialect {}, sql).tokenize() else { return String::new() };
    tokens
        .iter()
        .find_map(|token| match token {
            Token::Word(word) => Some(word.value.to_lowercase()),
            _ => None,
        })
        .unwrap_or_default()
}

/// The statement with every word-level difference settled; returned as it is when it cannot be tokenized.
pub(crate) fn prepare(sql: &str) -> String {
    if let Some(calls) = super::access::rewrite(sql) {
        return calls;
    }
    let Ok(all) = Tokenizer::new(&RedshiftSqlDialect {}, sql).with_unescape(false).tokenize() else {
        return sql.to_owned();
    };
    let mut words = Words::new(all);
    if words.is_storage_tuning() {
        return super::NOTHING.to_owned();
    }
    words.rewrite_maintenance();
    words.rewrite_table_definition();
    words.rewrite_everywhere();
    words.text()
}

/// The tokens of a statement with an index of those that are not blank.
struct Words {
    all: Vec<Token>,
    solid: Vec<usize>,
}

impl Words {
    fn new(all: Vec<Token>) -> Self {
        let solid = (0..all.len()).filter(|&at| !matches!(all[at], Token::Whitespace(_) | Token::EOF)).collect();
        Self { all, solid }
    }

    fn text(&self) -> String {
        self.all.iter().map(ToString::to_string).collect()
    }

    fn len(&self) -> usize {
        self.solid.len()
    }

    fn token(&self, n: usize) -> Option<&Token> {
        self.solid.get(n).map(|&at| &self.all[at])
    }

    /// The n-th solid token as a lower-case word; empty when it is quoted or no word.
    fn word(&self, n: usize) -> String {
        match self.token(n) {
            Some(Token::Word(Word { value, quote_style: None, .. })) => value.to_lowercase(),
            _ => String::new(),
        }
    }

    fn is(&self, n: usize, expected: &[&str]) -> bool {
        expected.iter().enumerate().all(|(i, want)| self.word(n + i) == *want)
    }

    fn is_token(&self, n: usize, want: &Token) -> bool {
        self.token(n) == Some(want)
    }

    fn replace(&mut self, n: usize, text: &str) {
        let at = self.solid[n];
        self.all[at] = Token::make_word(text, None);
    }

    fn blank(&mut self, from: usize, to: usize) {
        for n in from..to.min(self.len()) {
            let at = self.solid[n];
            self.all[at] = Token::Whitespace(Whitespace::Space);
        }
    }

    /// The position after the parenthesis group that starts at `n`, or `n` when none starts there.
    fn after_group(&self, n: usize) -> usize {
        if !self.is_token(n, &Token::LParen) {
            return n;
        }
        let mut depth = 0_usize;
        for at in n..self.len() {
            match self.token(at) {
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) => {
                    depth -= 1;
                    if depth == 0 {
                        return at + 1;
                    }
                }
                _ => {}
            }
        }
        self.len()
    }

    /// Whether the whole statement only tunes storage or a session parameter unknown to PostgreSQL.
    fn is_storage_tuning(&self) -> bool {
        match self.word(0).as_str() {
            "set" => REDSHIFT_PARAMETERS.contains(&self.word(if self.is(1, &["session"]) { 2 } else { 1 }).as_str()),
            "reset" => REDSHIFT_PARAMETERS.contains(&self.word(1).as_str()),
            "analyze" => self.word(1) == "compression",
            "alter" if self.word(1) == "table" => (2..self.len()).any(|n| {
                self.is(n, &["alter", "diststyle"])
                    || self.is(n, &["alter", "distkey"])
                    || self.is(n, &["alter", "sortkey"])
                    || self.is(n, &["alter", "compound"])
                    || self.is(n, &["alter", "encode"])
            }),
            _ => false,
        }
    }

    /// VACUUM's and ALTER TABLE APPEND's own forms, DELETE without FROM.
    fn rewrite_maintenance(&mut self) {
        match self.word(0).as_str() {
            "vacuum" => {
                for n in 1..self.len() {
                    if ["sort", "delete", "reindex", "recluster", "boost"].contains(&self.word(n).as_str()) {
                        if self.is(n, &["sort", "only"]) || self.is(n, &["delete", "only"]) {
                            self.blank(n + 1, n + 2);
                        }
                        self.blank(n, n + 1);
                    } else if self.word(n) == "to" {
                        self.blank(n, self.len());
                    }
                }
            }
            "delete" if self.word(1) != "from" && self.len() > 1 => self.replace(0, "DELETE FROM"),
            "alter" => {
                if let Some(at) = (2..self.len()).find(|&n| self.is(n, &["append", "from"])) {
                    let name = |from: usize, to: usize| {
                        (from..to).filter_map(|n| self.token(n)).map(ToString::to_string).collect::<String>()
                    };
                    let (target, source) = (name(2, at), name(at + 2, self.len()));
                    let text = format!(
                        "WITH moved AS (DELETE FROM {source} RETURNING *) INSERT INTO {target} SELECT * FROM moved"
                    );
                    self.blank(1, self.len());
                    self.replace(0, &text);
                }
            }
            _ => {}
        }
    }

    /// Table attributes of Redshift inside `CREATE TABLE`, `CREATE TABLE AS` and `CREATE MATERIALIZED VIEW`.
    fn rewrite_table_definition(&mut self) {
        if self.word(0) != "create" {
            return;
        }
        let Some(head) =
            (1..4.min(self.len())).find(|&n| self.word(n) == "table" || self.is(n, &["materialized", "view"]))
        else {
            return;
        };
        let is_view = self.word(head) == "materialized";
        let mut depth = 0_usize;
        let mut n = head + 1;
        while n < self.len() {
            match self.token(n) {
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && self.word(n) == "as" {
                break;
            }
            n = self.table_attribute(n, depth, is_view);
        }
        if !is_view && self.temporary_name(head) {
            self.replace(head, "TEMP TABLE");
        }
    }

    fn temporary_name(&self, head: usize) -> bool {
        self.word(1) == "table" && (head + 1..(head + 5).min(self.len())).any(|n| self.word(n).starts_with('#'))
    }

    /// Settles the attribute that starts at `n`; returns where to look next.
    fn table_attribute(&mut self, n: usize, depth: usize, is_view: bool) -> usize {
        let next = match self.word(n).as_str() {
            "diststyle" | "encode" => n + 2,
            "backup" if ["yes", "no"].contains(&self.word(n + 1).as_str()) => n + 2,
            "auto" if is_view && self.word(n + 1) == "refresh" => n + 3,
            "compound" | "interleaved" if self.word(n + 1) == "sortkey" => self.after_group(n + 2),
            "sortkey" if self.word(n + 1) == "auto" => n + 2,
            "distkey" | "sortkey" => self.after_group(n + 1),
            "identity" => return self.identity(n),
            "varchar" | "nvarchar" | "numeric" | "decimal" if depth == 1 => return self.column_type(n),
            "primary" | "unique" | "foreign" | "references" | "constraint" if depth == 1 => return self.constraint(n),
            _ => return n + 1,
        };
        self.blank(n, next);
        next
    }

    /// `IDENTITY(seed, step)` in its two spellings.
    fn identity(&mut self, n: usize) -> usize {
        let end = self.after_group(n + 1);
        let mut numbers = (n + 1..end).filter_map(|at| match self.token(at) {
            Some(Token::Number(text, _)) => text.parse::<i64>().ok(),
            _ => None,
        });
        let (Some(seed), Some(step)) = (numbers.next(), numbers.next()) else { return end.max(n + 1) };
        let prefix = if self.word(n.saturating_sub(1)) == "as" { "" } else { "GENERATED BY DEFAULT AS " };
        let text = format!("{prefix}IDENTITY (MINVALUE {} START WITH {seed} INCREMENT BY {step})", seed.min(1));
        self.blank(n, end);
        self.replace(n, &text);
        end
    }

    /// Lengths that Redshift assumes for a column declared without one.
    fn column_type(&mut self, n: usize) -> usize {
        if self.is_token(n + 1, &Token::LParen)
            || self.word(n.saturating_sub(1)).is_empty() && !self.follows_quoted_name(n)
        {
            return n + 1;
        }
        match self.word(n).as_str() {
            "varchar" | "nvarchar" => self.replace(n, "varchar(256)"),
            _ => self.replace(n, "numeric(18,0)"),
        }
        n + 1
    }

    fn follows_quoted_name(&self, n: usize) -> bool {
        matches!(n.checked_sub(1).and_then(|at| self.token(at)), Some(Token::Word(Word { quote_style: Some(_), .. })))
    }

    /// Redshift keeps keys as hints and never enforces them; NOT NULL, which it does enforce, stays.
    fn constraint(&mut self, n: usize) -> usize {
        let starts_element = matches!(n.checked_sub(1).and_then(|at| self.token(at)), Some(Token::Comma));
        if starts_element && ["primary", "unique", "foreign", "constraint"].contains(&self.word(n).as_str()) {
            let mut end = n;
            while end < self.len() && !self.is_token(end, &Token::Comma) && !self.is_token(end, &Token::RParen) {
                end = if self.is_token(end, &Token::LParen) { self.after_group(end) } else { end + 1 };
            }
            self.blank(n - 1, end);
            return end;
        }
        match self.word(n).as_str() {
            "primary" if self.word(n + 1) == "key" => {
                self.blank(n + 1, n + 2);
                self.replace(n, "NOT NULL");
                n + 2
            }
            "unique" => {
                self.blank(n, n + 1);
                n + 1
            }
            "references" => {
                let mut end = n + 2;
                while self.is_token(end, &Token::Period) {
                    end += 2;
                }
                end = self.after_group(end);
                self.blank(n, end);
                end
            }
            _ => n + 1,
        }
    }

    /// Word-level rules that hold anywhere in a statement.
    fn rewrite_everywhere(&mut self) {
        for n in 0..self.len() {
            let word = self.word(n);
            if word.is_empty() {
                continue;
            }
            let opens = self.is_token(n + 1, &Token::LParen);
            let qualified = n > 0 && self.is_token(n - 1, &Token::Period);
            match word.as_str() {
                "nvl" if opens => self.replace(n, "coalesce"),
                "pgdate_part" if opens => self.replace(n, "date_part"),
                "approximate" if self.is_token(n + 2, &Token::LParen) => self.blank(n, n + 1),
                "sysdate" if !opens && !qualified && self.word(n.saturating_sub(1)) != "as" => {
                    self.replace(n, "pg_catalog.sysdate()");
                }
                "minus"
                    if ["select", "all", "with"].contains(&self.word(n + 1).as_str())
                        || (opens && self.word(n + 2) == "select") =>
                {
                    self.replace(n, "EXCEPT");
                }
                "with" if self.is(n, &["with", "no", "schema", "binding"]) => self.blank(n, n + 4),
                "max"
                    if self.is_token(n + 1, &Token::RParen)
                        && n > 1
                        && self.is_token(n - 1, &Token::LParen)
                        && self.word(n - 2).contains("char") =>
                {
                    self.replace(n, "65535");
                }
                "nvarchar" => self.replace(n, "varchar"),
                "nchar" => self.replace(n, "char"),
                "numeric" | "decimal" if !opens && self.is_cast_target(n) => self.replace(n, "numeric(18,0)"),
                _ if word.starts_with('#') => self.replace(n, &format!("\"{word}\"")),
                _ => {}
            }
            if opens && DATE_FUNCTIONS.contains(&word.as_str()) && self.is_token(n + 3, &Token::Comma) {
                let part = self.word(n + 2);
                if !part.is_empty() {
                    self.replace(n + 2, &format!("'{part}'"));
                }
            }
        }
    }

    /// Whether the type at `n` is what a cast casts to, so that Redshift's default precision (18,0) applies.
    fn is_cast_target(&self, n: usize) -> bool {
        n > 0
            && (self.is_token(n - 1, &Token::DoubleColon)
                || (self.word(n - 1) == "as" && self.is_token(n + 1, &Token::RParen)))
    }
}
