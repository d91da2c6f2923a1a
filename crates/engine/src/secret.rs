//! Secret material and where it comes from.
//!
//! A [`SecretSource`] is what the stack file says and may be stored anywhere; a [`Secret`] is the
//! material itself and can be neither printed nor serialised. Nothing here reads an environment:
//! the caller hands in a [`Secrets`] table.
//!
//! Servers may quote what they were sent, so every text that comes from one goes through [`redact`],
//! which knows each secret the process has ever held, wherever it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Secret material. It has no `Display`, no `Serialize`, and its `Debug` hides the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

/// Every text to hide, the longest first, so that a URL is hidden whole before the password in it.
static HIDDEN: RwLock<Vec<Zeroizing<String>>> = RwLock::new(Vec::new());

/// Shorter texts are found inside ordinary words; hiding them would only make messages unreadable.
const SHORTEST_HIDDEN: usize = 8;

/// Passwords so common, as names and as words, that hiding them hides nothing but the message.
const COMMON: [&str; 3] = ["postgres", "password", "postgresql"];

fn hide(text: &str, shortest: usize) {
    if text.len() < shortest || COMMON.contains(&text) {
        return;
    }
    let mut hidden = HIDDEN.write().unwrap_or_else(PoisonError::into_inner);
    let place = hidden.partition_point(|known| known.len() > text.len());
    if !hidden[place..].iter().any(|known| known.as_str() == text) {
        hidden.insert(place, Zeroizing::new(text.to_owned()));
    }
}

/// The password inside `scheme://user:password@host`, as written there.
fn password_in_url(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

/// Replaces every secret that this process has held by `‹hidden›` (URLs, and the passwords in them,
/// too). For texts that others wrote: servers' errors, and what is logged.
pub fn redact(text: &str) -> String {
    let hidden = HIDDEN.read().unwrap_or_else(PoisonError::into_inner);
    hidden.iter().fold(text.to_owned(), |text, secret| {
        if text.contains(secret.as_str()) { text.replace(secret.as_str(), "‹hidden›") } else { text }
    })
}

impl Secret {
    /// Takes the material over. From now on [`redact`] hides it, as long as the process lives.
    pub fn new(text: impl Into<String>) -> Self {
        let text = Zeroizing::new(text.into());
        hide(&text, SHORTEST_HIDDEN);
        if let Some(password) = password_in_url(&text) {
            hide(password, SHORTEST_HIDDEN);
        }
        Self(text)
    }

    /// The material, for the one call that needs it. Never format the result into a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(hidden)")
    }
}

/// Where a secret comes from, as written in the stack file. Holds no material.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum SecretSource {
    /// `{env: NAME}`: a variable of the environment or of `.env`.
    Environment {
        /// The variable's name.
        env: String,
    },
    /// `{secret: NAME}`: a secret of AWS Secrets Manager, by name or ARN.
    Stored {
        /// The secret's name or ARN.
        secret: String,
    },
}

/// The secrets of a run that come from the environment, by variable name.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeMap<String, Secret>);

impl Secrets {
    /// Adds or replaces the material of one variable, which [`redact`] hides from four bytes on.
    pub fn insert(&mut self, variable: impl Into<String>, secret: Secret) {
        hide(secret.expose(), 4);
        self.0.insert(variable.into(), secret);
    }

    /// The material of a variable, if the run has it.
    pub fn get(&self, variable: &str) -> Option<&Secret> {
        self.0.get(variable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_ever_a_secret_is_hidden_in_every_text() {
        drop(Secret::new("postgres://ada:canary-51c9@db/club"));
        assert_eq!(redact("no login with canary-51c9 at db"), "no login with ‹hidden› at db");
        assert_eq!(redact("cannot read postgres://ada:canary-51c9@db/club"), "cannot read ‹hidden›");
        let mut secrets = Secrets::default();
        secrets.insert("PIN", Secret::new("93k1"));
        assert_eq!(redact("pin 93k1"), "pin ‹hidden›");
    }

    #[test]
    fn a_password_that_is_a_common_word_does_not_spoil_messages() {
        drop(Secret::new("postgres://postgres:postgres@localhost/postgres"));
        assert_eq!(redact("role \"postgres\" does not exist"), "role \"postgres\" does not exist");
    }
}
