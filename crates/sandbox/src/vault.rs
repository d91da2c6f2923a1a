//! Encryption at rest of everything secret that the sandbox keeps.
//!
//! The key lies beside the state in a file that only its owner may read. This keeps passwords out
//! of copies, logs and searches of the state file; it is no protection from the owner.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, OsRng};
use chacha20poly1305::{AeadCore, ChaCha20Poly1305, Key, Nonce};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const NONCE_LENGTH: usize = 12;
const KEY_LENGTH: usize = 32;

/// Secret text in the clear. It cannot be printed or serialised, and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes secret text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(hidden)")
    }
}

/// Secret text as it lies in the state file: base64 of nonce and sealed text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Sealed(String);

/// A sealed text that does not belong to this vault's key, or was damaged.
#[derive(Debug, thiserror::Error)]
#[error(
    "a secret in the sandbox's state cannot be read with its key file; remove the sandbox's directory to begin anew"
)]
pub(crate) struct Unreadable;

/// Seals and opens secret text with the key of one sandbox directory.
#[derive(Clone)]
pub(crate) struct Vault {
    cipher: ChaCha20Poly1305,
}

impl Vault {
    /// Opens the vault whose key is in `path`, making the key when there is none.
    ///
    /// # Errors
    /// The file cannot be read or written, or does not hold a key.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let key = match fs::read(path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make_key(path)?,
            Err(error) => return Err(error),
        };
        if key.len() != KEY_LENGTH {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a key file of the sandbox"));
        }
        Ok(Self { cipher: ChaCha20Poly1305::new(Key::from_slice(&key)) })
    }

    fn make_key(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
        let key = Zeroizing::new(ChaCha20Poly1305::generate_key(&mut OsRng).to_vec());
        // Whole before it can be seen: another process may begin in the same directory at this moment.
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
        file.write_all(&key)?;
        match file.persist_noclobber(path) {
            Ok(_) => Ok(key),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => fs::read(path).map(Zeroizing::new),
            Err(error) => Err(error.error),
        }
    }

    /// Seals `text`.
    pub(crate) fn seal(&self, text: &str) -> Sealed {
        let nonce = ChaCha20Poly1305::generate_nonce(&mut OsRng);
        let sealed =
            self.cipher.encrypt(&nonce, text.as_bytes()).expect("texts are far shorter than the cipher's limit");
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed);
        Sealed(STANDARD.encode(bytes))
    }

    /// Opens what [`Self::seal`] sealed.
    ///
    /// # Errors
    /// The text was sealed with another key, or is damaged.
    pub(crate) fn unseal(&self, sealed: &Sealed) -> Result<Secret, Unreadable> {
        let bytes = STANDARD.decode(&sealed.0).map_err(|_| Unreadable)?;
        let (nonce, text) = bytes.split_at_checked(NONCE_LENGTH).ok_or(Unreadable)?;
        let text = self.cipher.decrypt(Nonce::from_slice(nonce), text).map_err(|_| Unreadable)?;
        String::from_utf8(text).map(Secret::new).map_err(|_| Unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_file_only() {
        let directory = tempfile::tempdir().unwrap();
        let vault = Vault::open(&directory.path().join("key")).unwrap();
        let sealed = vault.seal("hunter2");
        assert!(!serde_json::to_string(&sealed).unwrap().contains("hunter2"));
        let again = Vault::open(&directory.path().join("key")).unwrap();
        assert_eq!(again.unseal(&sealed).unwrap().expose(), "hunter2");
        let other = Vault::open(&directory.path().join("other")).unwrap();
        assert!(other.unseal(&sealed).is_err());
    }

    #[test]
    fn all_who_begin_in_one_directory_have_one_key() {
        for _ in 0..50 {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("key");
            let vaults: Vec<Vault> = std::thread::scope(|scope| {
                let begun: Vec<_> = (0..4).map(|_| scope.spawn(|| Vault::open(&path).unwrap())).collect();
                begun.into_iter().map(|one| one.join().unwrap()).collect()
            });
            let sealed = vaults[0].seal("hunter2");
            assert!(vaults.iter().all(|vault| vault.unseal(&sealed).unwrap().expose() == "hunter2"));
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_the_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        Vault::open(&directory.path().join("key")).unwrap();
        let mode = fs::metadata(directory.path().join("key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(hidden)");
    }
}
