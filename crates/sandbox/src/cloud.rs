//! What the operations and the work behind them share: the world, the vault, the time, PostgreSQL.
//!
//! A [`Cloud`] is a handle; clones are the same cloud. Work that outlives a request holds one and
//! takes the world only for moments, never across an await.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::arn::Place;
use crate::clock::Clock;
use crate::limits::Limits;
use crate::objects::Objects;
use crate::postgres::Postgres;
use crate::quotas::Quotas;
use crate::store::{Store, StoreError, Tracked, Verdict};
use crate::tasks::Tasks;
use crate::vault::Vault;
use crate::world::World;

/// A handle on everything one sandbox holds.
#[derive(Clone)]
pub(crate) struct Cloud(Arc<Shared>);

/// The parts of a [`Cloud`].
pub(crate) struct Shared {
    pub(crate) directory: PathBuf,
    pub(crate) store: Store,
    pub(crate) vault: Vault,
    pub(crate) objects: Objects,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    pub(crate) quotas: Quotas,
    pub(crate) place: Place,
    pub(crate) postgres: Postgres,
    pub(crate) tasks: Tasks,
    pub(crate) stopping: CancellationToken,
}

impl Cloud {
    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// Looks at the world.
    ///
    /// # Errors
    /// The state cannot be read.
    pub(crate) fn read<R>(&self, look: impl FnOnce(&World) -> R) -> Result<R, StoreError> {
        self.0.store.with(|world| (Verdict::Keep, look(world)))
    }

    /// Changes the world.
    ///
    /// # Errors
    /// The state cannot be read or written.
    pub(crate) fn write<R>(&self, change: impl FnOnce(&mut Tracked) -> R) -> Result<R, StoreError> {
        self.0.store.with(|world| (Verdict::Keep, change(world)))
    }

    /// Where the sandbox's state lies.
    pub(crate) fn directory(&self) -> &Path {
        &self.0.directory
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// Seals and opens secrets.
    pub(crate) fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// The bodies of S3 objects.
    pub(crate) fn objects(&self) -> &Objects {
        &self.0.objects
    }

    /// The time.
    pub(crate) fn clock(&self) -> Clock {
        self.0.clock
    }

    /// How many calls the services take.
    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// How much the account may have of everything.
    pub(crate) fn quotas(&self) -> &Quotas {
        &self.0.quotas
    }

    /// Account and region.
    pub(crate) fn place(&self) -> &Place {
        &self.0.place
    }

    /// The real PostgreSQL behind source and warehouse; started when first asked for a connection.
    pub(crate) fn postgres(&self) -> &Postgres {
        &self.0.postgres
    }

    /// Ends when the sandbox stops.
    pub(crate) fn stopping(&self) -> CancellationToken {
        self.0.stopping.clone()
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    /// Runs `work` beside the requests; it is dropped when the sandbox stops.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping();
        self.0.tasks.spawn(async move {
            stopping.run_until_cancelled(work).await;
        });
    }
}
