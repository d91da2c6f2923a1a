//! A local AWS over HTTP, with a real PostgreSQL behind it.
//!
//! Any AWS client works with it: [`Sandbox::start`] serves the wire protocols on loopback over the
//! state in a directory. Several processes may serve the same directory at once; the state is a file,
//! taken under a lock for each request, so it needs no process to live. Start reading at
//! `server`, `router`, `call`, then one of `services`.
//!
//! It shares nothing with the client crates, so that the two cannot agree on a mistake.

mod arn;
mod call;
mod clock;
mod cloud;
mod fault;
mod limits;
mod load;
mod objects;
mod paging;
pub mod postgres;
mod protocol;
mod quotas;
mod redshift_sql;
mod router;
mod server;
mod services;
mod store;
mod tasks;
#[cfg(test)]
mod testing;
mod vault;
mod world;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use crate::fault::{Effect, Fault, NotAFault, Occurrence};
pub use crate::postgres::PostgresError;
pub use crate::quotas::{AppliedQuota, NotAQuota, Quota};
pub use crate::vault::Secret;

use crate::arn::Place;
use crate::clock::Clock;
use crate::cloud::{Cloud, Shared};
use crate::fault::Faults;
use crate::limits::Limits;
use crate::objects::Objects;
use crate::postgres::Postgres;
use crate::quotas::Quotas;
use crate::server::{CrashHook, Handler};
use crate::store::{Store, StoreError, Tracked, Verdict};
use crate::tasks::Tasks;
use crate::vault::Vault;

/// How a sandbox is to be.
#[derive(Clone)]
pub struct Options {
    /// Where its state lies; made when absent.
    pub directory: PathBuf,
    /// The account it plays: twelve digits.
    pub account: String,
    /// The region it plays.
    pub region: String,
    /// How many times faster than AWS transient states end; infinite ends them at once.
    pub speed: f64,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Planted faults.
    pub faults: Vec<Fault>,
    /// Quotas of the account that are not AWS's defaults.
    pub quotas: Vec<AppliedQuota>,
    /// A seed for random faults.
    pub chaos: Option<u64>,
    /// The command line of a process that runs [`postgres::supervise`] with the directory as its last
    /// argument, so that PostgreSQL is stopped even after this process was killed. Without it
    /// PostgreSQL stops with [`Sandbox::shutdown`] or when the sandbox is dropped.
    pub supervisor: Option<Vec<OsString>>,
    /// What a planted crash does; without it, this process kills itself with SIGKILL. It must return
    /// only when the client is dead: until then its connection stays open without an answer.
    pub crash: Option<Arc<dyn Fn() + Send + Sync>>,
    /// Is told of every call as `service:Operation`, before anything becomes of it.
    pub watch: Option<Watch>,
}

/// What is told of calls.
pub type Watch = Arc<dyn Fn(&str) + Send + Sync>;

impl Options {
    /// A sandbox in `directory` that plays account 111122223333 in eu-north-1 at AWS's own speed, on a
    /// free port of loopback, without faults, with AWS's default quotas.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            account: "111122223333".to_owned(),
            region: "eu-north-1".to_owned(),
            speed: 1.0,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            faults: Vec::new(),
            quotas: Vec::new(),
            chaos: None,
            supervisor: None,
            crash: None,
            watch: None,
        }
    }
}

/// Why a sandbox could not start. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The directory cannot be made or written.
    #[error("the sandbox cannot write to `{}` ({source}); make it writable or choose another directory", directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else listens there.
    #[error(
        "the sandbox cannot listen on {address} ({source}); stop what uses the port or choose another one, 0 for any free one"
    )]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The state cannot be used.
    #[error("{source}; remove `{}` to begin with an empty sandbox", directory.display())]
    State {
        /// The directory.
        directory: PathBuf,
        /// What is wrong with it.
        #[source]
        source: StateError,
    },
    /// The account is not twelve digits.
    #[error("`{0}` is not an AWS account; write twelve digits")]
    Account(String),
}

/// What is wrong with the state in a sandbox's directory.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct StateError(#[from] StoreError);

/// A running sandbox. Dropping it stops it without waiting.
pub struct Sandbox {
    address: SocketAddr,
    cloud: Cloud,
    stopping: CancellationToken,
    connections: Tasks,
}

impl Sandbox {
    /// Opens the state and begins to serve.
    ///
    /// # Errors
    /// The directory, the state in it, the address or the account cannot be used.
    pub async fn start(options: Options) -> Result<Self, SandboxError> {
        if options.account.len() != 12 || !options.account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SandboxError::Account(options.account));
        }
        let faults = Faults::new(options.faults.clone(), options.chaos);
        let cloud = open(&options, faults.look_back())?;
        let listen_error = |source| SandboxError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let stopping = cloud.stopping();
        let crash: CrashHook = options.crash.unwrap_or_else(|| Arc::new(server::kill_this_process));
        let watch = options.watch;
        let handler = Handler { cloud: cloud.clone(), faults, crash, watch, stopping: stopping.clone() };
        let connections = Tasks::default();
        tokio::spawn(server::serve(listener, Arc::new(handler), connections.clone()));
        services::started(&cloud);
        Ok(Self { address, cloud, stopping, connections })
    }

    /// Where it listens, as an URL for an SDK's endpoint setting.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts PostgreSQL, if it does not run yet, and waits until it takes connections.
    ///
    /// # Errors
    /// There is no PostgreSQL to be had, or it does not start.
    pub async fn ensure_postgres(&self) -> Result<(), PostgresError> {
        self.cloud.postgres().ensure().await.map(|_| ())
    }

    /// The URL of the database that plays the source, with its password, whether it runs or not:
    /// [`Sandbox::ensure_postgres`] starts it.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn source_url(&self) -> Result<Secret, PostgresError> {
        Ok(self.cloud.postgres().reserve()?.url(postgres::SOURCE_DATABASE))
    }

    /// Stops listening, waits for the answers under way, and stops PostgreSQL if nobody else uses it.
    pub async fn shutdown(self) {
        self.stopping.cancel();
        self.connections.finish().await;
        self.cloud.tasks().finish().await;
        self.cloud.postgres().release().await;
    }
}

/// What takes the sandbox time: the call that begins it, as `service:Operation`, and the seconds until
/// what it made is ready, at AWS's own speed.
pub fn durations() -> Vec<(&'static str, f64)> {
    services::durations()
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

fn open(options: &Options, look_back: bool) -> Result<Cloud, SandboxError> {
    let directory = options.directory.as_path();
    let refused = |source| SandboxError::Directory { directory: directory.to_owned(), source };
    make_private(directory).map_err(refused)?;
    let directory = directory.canonicalize().map_err(refused)?;
    let place = Place { account: options.account.clone(), region: options.region.clone() };
    let vault = Vault::open(&directory.join("vault.key")).map_err(refused)?;
    let store = Store::open(&directory, place.clone(), look_back).map_err(|error| match error {
        StoreError::File { source, .. } => refused(source),
        other => SandboxError::State { directory: directory.clone(), source: StateError(other) },
    })?;
    let clock = Clock::new(options.speed);
    let change = |world: &mut Tracked| {
        if let Some(moved) = world::speed::moved(world, clock) {
            **world = moved;
        }
        (Verdict::Keep, ())
    };
    store.with(change).map_err(|error| SandboxError::State { directory: directory.clone(), source: error.into() })?;
    Ok(Cloud::new(Shared {
        store,
        objects: Objects::new(&directory.join("objects")),
        limits: Limits::new(clock),
        quotas: Quotas::new(options.quotas.clone()),
        clock,
        postgres: Postgres::new(&directory, vault.clone(), options.supervisor.clone()),
        vault,
        directory,
        place,
        tasks: Tasks::default(),
        stopping: CancellationToken::new(),
    }))
}

/// Makes a directory that only its owner may enter, where the system knows owners.
fn make_private(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}
