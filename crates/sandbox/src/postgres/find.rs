//! Finds a PostgreSQL installation on the machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::PostgresError;

/// The oldest major version that has what the warehouse needs (MERGE).
pub(crate) const OLDEST: u32 = 15;

/// Folders in which distributions put installations, with `*` for a version.
const FOLDERS: [&str; 7] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/libexec/postgresql*",
];

/// The programs of one installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installation {
    /// The folder of `postgres`, `initdb` and `pg_ctl`.
    pub(crate) folder: PathBuf,
    /// Its major version.
    pub(crate) major: u32,
}

impl Installation {
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The installation to use: the first of PATH, of `pg_config`, then the newest of the usual folders.
/// With `wanted`, only that major version will do, because data of another cannot be read.
pub(crate) fn find(wanted: Option<u32>) -> Result<Installation, PostgresError> {
    let installed: Vec<Installation> = candidates().iter().filter_map(|folder| inspect(folder)).collect();
    let fits = |one: &&Installation| wanted.map_or(one.major >= OLDEST, |major| one.major == major);
    match (installed.iter().find(fits), wanted, installed.iter().map(|one| one.major).max()) {
        (Some(one), _, _) => Ok(one.clone()),
        (None, Some(major), _) => Err(PostgresError::OtherVersion { major }),
        (None, None, Some(major)) => Err(PostgresError::TooOld { major }),
        (None, None, None) => Err(PostgresError::NotInstalled),
    }
}

fn candidates() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        folders.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    folders.extend(FOLDERS.iter().flat_map(|pattern| matching(pattern)));
    folders
}

/// The folders a pattern with one `*` names, the highest version first.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else { return vec![PathBuf::from(pattern)] };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.split('.').next()?.parse().ok()?;
            Some((version, PathBuf::from(format!("{parent}/{name}{after}"))))
        })
        .collect();
    found.sort_by(|one, other| other.cmp(one));
    found.into_iter().map(|(_, folder)| folder).collect()
}

fn inspect(folder: &Path) -> Option<Installation> {
    // A link in PATH may stand alone; its target has the other programs beside it.
    let server = folder.join("postgres").canonicalize().ok()?;
    let folder = server.parent()?.to_owned();
    let complete = ["initdb", "pg_ctl"].iter().all(|program| folder.join(program).is_file());
    let major = major_version(&server).filter(|_| complete)?;
    Some(Installation { folder, major })
}

fn major_version(server: &Path) -> Option<u32> {
    let output = Command::new(server).arg("--version").output().ok()?;
    read_version(&String::from_utf8_lossy(&output.stdout))
}

fn read_version(text: &str) -> Option<u32> {
    let version = text.strip_prefix("postgres (PostgreSQL) ")?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_releases_and_betas() {
        assert_eq!(read_version("postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)\n"), Some(15));
        assert_eq!(read_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(read_version("mysqld 8"), None);
    }

    #[test]
    fn a_folder_without_a_star_is_itself() {
        assert_eq!(matching("/usr/local/pgsql/bin"), [PathBuf::from("/usr/local/pgsql/bin")]);
    }
}
