//! The bodies of S3 objects: one file each, named by a random id, beside the world.
//!
//! The world names the ids it uses. A body is written before the world names it and removed after
//! the world has forgotten it, so a kill between the two leaves a file too many, never one too few.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// The folder of bodies.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    folder: PathBuf,
}

impl Objects {
    /// Uses `folder`, which is made when the first body is written.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Keeps a body and gives its id.
    pub(crate) fn put(&self, body: &[u8]) -> io::Result<String> {
        let id = Uuid::new_v4().simple().to_string();
        fs::create_dir_all(&self.folder)?;
        fs::write(self.folder.join(&id), body)?;
        Ok(id)
    }

    /// The body with this id.
    pub(crate) fn get(&self, id: &str) -> io::Result<Vec<u8>> {
        fs::read(self.folder.join(id))
    }

    /// Removes a body; one that is gone already is fine.
    pub(crate) fn remove(&self, id: &str) -> io::Result<()> {
        match fs::remove_file(self.folder.join(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_back_until_it_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let objects = Objects::new(&directory.path().join("objects"));
        let id = objects.put(b"cargo").unwrap();
        assert_eq!(objects.get(&id).unwrap(), b"cargo");
        objects.remove(&id).unwrap();
        objects.remove(&id).unwrap();
        assert!(objects.get(&id).is_err());
    }
}
