//! The trace that a secret leaves on the object it was sent to, so that a changed one is seen although
//! no read gives it back. It holds no material.

use sha2::{Digest, Sha256};

use super::Place;
use crate::secret::Secret;

/// The trace of a secret: equal for equal secrets of one object, and too short to tell which it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretMark {
    /// The top-level field that holds the secret; a change of the mark is a change of it.
    pub field: &'static str,
    /// Four hexadecimal digits.
    pub mark: String,
}

impl SecretMark {
    /// The mark of `secret` on the object `identity`: sixteen bits of a slow hash over account, region,
    /// identity and secret. Of ten million guesses about 150 fit any mark, so it betrays no password,
    /// and one changed password in 65,536 goes unseen.
    pub fn of(field: &'static str, place: &Place, identity: &str, secret: &Secret) -> Self {
        const ROUNDS: u32 = 2_000;
        let salt = format!("{}/{}/{}", place.account, place.region, identity.to_lowercase());
        let mut hash = Sha256::new().chain_update(&salt).chain_update([0]).chain_update(secret.expose()).finalize();
        for _ in 0..ROUNDS {
            hash = Sha256::new().chain_update(hash).chain_update(&salt).finalize();
        }
        Self { field, mark: hex::encode(&hash[..2]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_short_and_differs_by_secret_and_object() {
        let place = Place {
            stack: "club".into(),
            account: "111122223333".into(),
            region: "eu-north-1".into(),
            partition: "aws".into(),
        };
        let mark = |identity: &str, text: &str| SecretMark::of("admin", &place, identity, &Secret::new(text)).mark;
        assert_eq!(mark("club-source", "one").len(), 4);
        assert_eq!(mark("club-source", "one"), mark("Club-Source", "one"));
        assert_ne!(mark("club-source", "one"), mark("club-source", "two"));
        assert_ne!(mark("club-source", "one"), mark("club-target", "one"));
    }
}
