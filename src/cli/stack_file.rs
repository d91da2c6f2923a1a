//! Writing the user's stack file. It is the one file of theirs that is changed, so it is replaced as a whole: a kill or
//! a full disk leaves the old text or the new one.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use super::CliError;

/// Puts `text` in the place of the file. A link stays one, and permissions stay what they were.
pub(super) fn replace(path: &str, text: &str) -> Result<(), CliError> {
    replaced(Path::new(path), text).map_err(|error| CliError::failed(format!("`{path}` cannot be written"), &error))
}

fn replaced(path: &Path, text: &str) -> io::Result<()> {
    let path = path.canonicalize()?;
    let folder = path.parent().ok_or(io::ErrorKind::NotADirectory)?;
    let mut next = tempfile::Builder::new()
        .prefix(".towpath-")
        .permissions(fs::metadata(&path)?.permissions())
        .tempfile_in(folder)?;
    next.write_all(text.as_bytes())?;
    next.as_file().sync_all()?;
    next.persist(&path)?;
    Ok(())
}
