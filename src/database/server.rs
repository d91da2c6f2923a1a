//! A PostgreSQL server for tests: the sandbox's, so that it is found or fetched in the same way,
//! shared by the tests that run at the same time, stopped when the last of them ends.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tokio::runtime::Runtime;
use tokio_postgres::NoTls;
use towpath_engine::secret::Secret;
use towpath_sandbox::{Options, Sandbox};
use url::Url;

/// A running server.
pub(crate) struct Server {
    source: Url,
    databases: AtomicU32,
    runtime: Option<Runtime>,
    sandbox: Option<Sandbox>,
    _directory: tempfile::TempDir,
}

/// The server of this test run; started by whoever asks first.
pub(crate) fn shared() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap();
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(outside(Server::start));
        *shared = Arc::downgrade(&server);
        server
    })
}

/// Runs what needs a runtime of its own, which the runtime of a test does not allow on its thread.
fn outside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

impl Server {
    /// Starts one that nobody else uses, to change how it is configured.
    pub(crate) fn alone() -> Self {
        outside(Self::start)
    }

    fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("towpath-test-").tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let (sandbox, source) = runtime.block_on(async {
            let sandbox = Sandbox::start(Options::new(directory.path())).await.unwrap();
            sandbox.ensure_postgres().await.unwrap();
            let source = Url::parse(sandbox.source_url().unwrap().expose()).unwrap();
            (sandbox, source)
        });
        Self {
            source,
            databases: AtomicU32::new(0),
            runtime: Some(runtime),
            sandbox: Some(sandbox),
            _directory: directory,
        }
    }

    /// The URL of a new, empty database.
    pub(crate) fn database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("create database {name}"));
        let mut url = self.source.clone();
        url.set_path(&name);
        url.into()
    }

    /// Runs a statement as superuser.
    pub(crate) fn execute(&self, sql: &str) {
        let runtime = self.runtime.as_ref().unwrap();
        outside(|| {
            runtime.block_on(async {
                let (client, connection) = tokio_postgres::connect(self.source.as_str(), NoTls).await.unwrap();
                let connection = tokio::spawn(connection);
                client.batch_execute(sql).await.unwrap();
                drop(client);
                connection.await.unwrap().unwrap();
            });
        });
    }

    /// The superuser's password.
    pub(crate) fn password(&self) -> Secret {
        Secret::new(self.source.password().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let (runtime, sandbox) = (self.runtime.take().unwrap(), self.sandbox.take().unwrap());
        outside(move || runtime.block_on(sandbox.shutdown()));
    }
}
