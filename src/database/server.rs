//! A PostgreSQL server for tests: started from the installed binaries in a temporary folder,
//! shared by the tests that run at the same time, stopped when the last of them ends.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// The password of the server's only user, `postgres`.
pub(crate) const PASSWORD: &str = "hidden-from-messages";

/// A running server.
pub(crate) struct Server {
    bin: PathBuf,
    dir: tempfile::TempDir,
    port: u16,
    databases: AtomicU32,
}

/// The server of this test run; started by whoever asks first.
pub(crate) fn shared() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap();
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Server::start());
        *shared = Arc::downgrade(&server);
        server
    })
}

impl Server {
    fn start() -> Self {
        let bin = Command::new("pg_config").arg("--bindir").output().expect("PostgreSQL is installed");
        let bin = PathBuf::from(String::from_utf8(bin.stdout).unwrap().trim());
        let dir = tempfile::Builder::new().prefix("towpath-test-").tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { bin, dir, port, databases: AtomicU32::new(0) };
        let password = server.path("password");
        std::fs::write(&password, PASSWORD).unwrap();
        if let Some((user, group)) = unprivileged() {
            chown(server.dir.path(), Some(user), Some(group)).unwrap();
            chown(&password, Some(user), Some(group)).unwrap();
        }
        let data = server.path("data");
        let password = format!("--pwfile={}", password.display());
        server.run(
            "initdb",
            &["-U", "postgres", "-A", "scram-sha-256", &password, "--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "-D"],
            &data,
        );
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={} -c fsync=off -c wal_level=logical",
            server.dir.path().display()
        );
        let log = server.path("log");
        server.run("pg_ctl", &["-w", "-o", &options, "-l", log.to_str().unwrap(), "start", "-D"], &data);
        server
    }

    /// The URL of a new, empty database.
    pub(crate) fn database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let url = format!("postgresql://postgres:{PASSWORD}@127.0.0.1:{}", self.port);
        let created = Command::new(self.bin.join("psql"))
            .args([&format!("{url}/postgres"), "-qc", &format!("create database {name}")])
            .output()
            .unwrap();
        assert!(created.status.success(), "{created:?}");
        format!("{url}/{name}")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, program: &str, arguments: &[&str], data: &Path) {
        let output = self.command(program, arguments, data);
        assert!(output.status.success(), "{program}: {output:?}");
    }

    fn command(&self, program: &str, arguments: &[&str], data: &Path) -> Output {
        let mut command = Command::new(self.bin.join(program));
        // To a file, because the server would inherit a pipe and keep it open.
        let output = std::fs::OpenOptions::new().create(true).append(true).open(self.path("output")).unwrap();
        command.args(arguments).arg(data).current_dir(self.dir.path());
        command.stdout(output.try_clone().unwrap()).stderr(output);
        if let Some((user, group)) = unprivileged() {
            command.uid(user).gid(group);
        }
        let mut output = command.spawn().unwrap().wait_with_output().unwrap();
        output.stderr = std::fs::read(self.path("output")).unwrap();
        output
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.command("pg_ctl", &["-m", "immediate", "-w", "stop", "-D"], &self.path("data"));
    }
}

/// The user and group to run the server as when this is root, which the server refuses.
fn unprivileged() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse::<u32>().ok()
    };
    let user = ["postgres", "nobody"].into_iter().find(|user| id(&["-u", user]).is_some())?;
    (id(&["-u"]) == Some(0)).then(|| Some((id(&["-u", user])?, id(&["-g", user])?))).flatten()
}
