//! Writing the user's stack file. It is the one file of theirs that is changed, so it is replaced as a whole: a kill or
//! a full disk leaves the old text or the new one.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use super::CliError;

/// Puts `text` in the place of the file. A link stays one, and permissions stay what they were.
pub(super) fn replace(path: &str, text: &str) -> Result<(), CliError> {
    replaced(Path::new(path), text).map_err(|error| CliError::failed(format!("`{path}` cannot be written"), &error))
}

fn replaced(path: &Path, text: &str) -> io::Result<()> {
    let path = path.canonicalize()?;
    let mut next = path.clone().into_os_string();
    next.push(".next");
    let written = write(next.as_ref(), text, &path).and_then(|()| fs::rename(&next, &path));
    written.inspect_err(|_| {
        // It holds nothing that is not in the old file or on the screen.
        let _left = fs::remove_file(&next);
    })
}

fn write(next: &Path, text: &str, like: &Path) -> io::Result<()> {
    let mut file = File::create(next)?;
    file.set_permissions(fs::metadata(like)?.permissions())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
