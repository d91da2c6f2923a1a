//! Secret material and where it comes from.
//!
//! A [`SecretSource`] is what the stack file says and may be stored anywhere; a [`Secret`] is the
//! material itself and can be neither printed nor serialised. Nothing here reads an environment:
//! the caller hands in a [`Secrets`] table.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Secret material. It has no `Display`, no `Serialize`, and its `Debug` hides the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the material over; the memory is wiped when the last clone is dropped.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
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
    /// Adds or replaces the material of one variable.
    pub fn insert(&mut self, variable: impl Into<String>, secret: Secret) {
        self.0.insert(variable.into(), secret);
    }

    /// The material of a variable, if the run has it.
    pub fn get(&self, variable: &str) -> Option<&Secret> {
        self.0.get(variable)
    }

    /// Replaces every secret's text inside `text` by `‹hidden›`: the last net under error texts
    /// that come from servers, which may quote what they were sent.
    pub fn redact(&self, text: &str) -> String {
        self.0
            .values()
            .filter(|secret| secret.expose().len() >= 4)
            .fold(text.to_owned(), |text, secret| text.replace(secret.expose(), "‹hidden›"))
    }
}
