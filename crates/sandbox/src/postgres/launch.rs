//! Runs PostgreSQL's programs as somebody they accept: they refuse to run as root.
//!
//! Root runs them in a user namespace in which it is nobody, so that the data stays where and whose
//! it is. Where the system forbids namespaces, as in many containers, they run as the user `postgres`
//! or `nobody`, with the data in a folder of that user's own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

/// As whom the programs run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Launcher {
    /// As the user of this process.
    Direct,
    /// As root, which a user namespace shows as nobody.
    Namespace,
    /// As another user.
    User {
        /// The user's number.
        uid: u32,
        /// The number of the user's group.
        gid: u32,
    },
}

impl Launcher {
    /// The launcher this process needs.
    pub(crate) fn choose() -> Option<Self> {
        if !is_root() {
            return Some(Self::Direct);
        }
        if namespace().arg("true").stdin(Stdio::null()).output().is_ok_and(|output| output.status.success()) {
            return Some(Self::Namespace);
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        ["postgres", "nobody"].iter().find_map(|name| user(&users, name)).map(|(uid, gid)| Self::User { uid, gid })
    }

    /// A command that runs `program` without input, away from the terminal's signals.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = match self {
            Self::Namespace => {
                let mut command = namespace();
                command.arg(program);
                command
            }
            _ => Command::new(program),
        };
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt as _;
            if let Self::User { uid, gid } = self {
                command.uid(*uid).gid(*gid);
            }
            command.process_group(0);
        }
        command.stdin(Stdio::null()).current_dir("/");
        command
    }

    /// The folder the server's data lies in, given the sandbox's own folder for it. Made and owned as needed.
    pub(crate) fn folder(&self, own: &Path) -> io::Result<PathBuf> {
        let Self::User { uid, gid } = self else { return Ok(own.to_owned()) };
        let digest = hex::encode(Sha256::digest(own.as_os_str().as_encoded_bytes()));
        let folder = Path::new("/var/tmp").join(format!("towpath-sandbox-{}", &digest[..12]));
        crate::make_private(&folder)?;
        self.own(&folder, *uid, *gid)?;
        Ok(folder)
    }

    /// Gives a file to the user the programs run as.
    pub(crate) fn give(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::User { uid, gid } => self.own(path, *uid, *gid),
            _ => Ok(()),
        }
    }

    #[expect(clippy::unused_self, reason = "reads as what it does")]
    fn own(&self, path: &Path, uid: u32, gid: u32) -> io::Result<()> {
        #[cfg(unix)]
        std::os::unix::fs::chown(path, Some(uid), Some(gid))?;
        Ok(())
    }
}

fn namespace() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-user=65534", "--map-group=65534", "--"]);
    command
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// The numbers of a user and its group in the text of `/etc/passwd`.
fn user(users: &str, name: &str) -> Option<(u32, u32)> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/bash\npostgres2:x:7:8::/:/bin/sh\nnobody:x:65534:65533::/:/bin/false\n";
        assert_eq!(user(users, "nobody"), Some((65534, 65533)));
        assert_eq!(user(users, "postgres"), None);
    }
}
