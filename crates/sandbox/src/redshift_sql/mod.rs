//! Redshift SQL made runnable on PostgreSQL.
//!
//! Three layers, cheapest first: `compat.sql` and `catalog.sql` add the functions and system views PostgreSQL lacks
//! (once per database); `tokens` rewrites what can be seen from words alone (table attributes, `NVL(`,
//! `SYSDATE`, bare date parts) and `access` what is said about users and privileges, before the first try; `tree` rewrites the parsed statement (QUALIFY, LISTAGG,
//! DECODE, `TOP` ...), only after PostgreSQL refused the first form.
//! It does not check that Redshift would accept a statement; COPY and UNLOAD are refused by `refusal`.

mod access;
mod functions;
mod tokens;
mod tree;

#[cfg(test)]
mod tests;

pub(crate) use tokens::{first_word, prepare, refusal};
pub(crate) use tree::{Aliases, translate};

/// The SQL that turns a fresh PostgreSQL database into a warehouse. Run it once, as superuser.
pub(crate) const COMPATIBILITY: &str = include_str!("compat.sql");

/// The SQL that adds users, privileges and the views that tell of them. Run it once, after the other.
pub(crate) const CATALOG: &str = include_str!("catalog.sql");

/// What every warehouse session sets first, so that text forms are Redshift's.
pub(crate) const SESSION: &str = "set timezone = 'UTC'; set datestyle = 'ISO, MDY'; set extra_float_digits = 0; \
                           set intervalstyle = 'postgres'; set client_min_messages = 'error'";

/// A statement that does nothing and returns nothing, for clauses that only tune Redshift's storage.
pub(crate) const NOTHING: &str = "DO $$ BEGIN END $$";
