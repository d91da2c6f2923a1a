//! A sandbox for one test, and the engine's patience in small: repeat what is busy, wait until ready.

use std::future::Future;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use towpath_aws::cloud::Cloud;
use towpath_aws::connection::{Connection, Credentials};
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::{AnyKind, Object, Place, Readiness, Registry, Scope, Tags, tag};
use towpath_engine::secret::{Secret, Secrets};
use towpath_sandbox::{Options, Sandbox};

/// Looks at an object before it is said to be stuck.
const LOOKS: usize = 200;

/// How much faster than AWS the sandbox is: what takes AWS minutes takes it milliseconds.
const SPEED: f64 = 100_000.0;

pub(crate) struct World {
    pub(crate) place: Place,
    pub(crate) cloud: Cloud,
    registry: Registry,
    sandbox: Sandbox,
    _directory: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::in_region("eu-north-1").await
    }

    pub(crate) async fn in_region(region: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { speed: SPEED, region: region.to_owned(), ..Options::new(directory.path()) };
        let sandbox = Sandbox::start(options).await.unwrap();
        let connection = Connection {
            region: Some(region.to_owned()),
            endpoint_url: Some(sandbox.endpoint()),
            credentials: Some(Credentials::lasting("test", "test")),
            profile: None,
            speed: Some(SPEED),
        };
        let mut secrets = Secrets::default();
        secrets.insert("SOURCE_PASSWORD", Secret::new("a-password-of-the-test"));
        let cloud = Cloud::connect(connection, secrets);
        let place = cloud.locate("club").await.unwrap();
        let registry = towpath_aws::kinds::registry(&cloud);
        Self { place, cloud, registry, sandbox, _directory: directory }
    }

    pub(crate) async fn close(self) {
        self.sandbox.shutdown().await;
    }

    /// Starts the warehouse's server, which on a busy machine takes longer than a call may.
    pub(crate) async fn ensure_postgres(&self) {
        self.sandbox.ensure_postgres().await.unwrap();
    }

    pub(crate) fn kind(&self, name: &str) -> &dyn AnyKind {
        self.registry.get(name).unwrap_or_else(|| panic!("no kind is named `{name}`")).as_ref()
    }

    pub(crate) async fn looked_up(&self, kind: &dyn AnyKind, spec: &Value) -> Value {
        kind.look_up(spec.clone()).await.unwrap()
    }

    /// Makes an object with the tags of its owner and waits until it is ready.
    pub(crate) async fn make(&self, kind: &str, name: &str, spec: Value) -> Object {
        let kind = self.kind(kind);
        let spec = self.looked_up(kind, &spec).await;
        let physical = kind.name(&self.place, name, &spec).unwrap();
        let tags = Tags::from([
            (tag::STACK.to_owned(), self.place.stack.clone()),
            (tag::RESOURCE.to_owned(), name.to_owned()),
        ]);
        let identity = self.insist(kind.kind(), || kind.create(&physical, &spec, &tags)).await;
        self.ready(kind, &identity).await
    }

    /// The object by its identity or, before it has one, by its name.
    pub(crate) async fn find(&self, kind: &dyn AnyKind, identity: &str) -> Option<Object> {
        let objects = self.insist(kind.kind(), || kind.list(&Scope::All)).await;
        objects.into_iter().find(|object| {
            object.identity.eq_ignore_ascii_case(identity)
                || kind.facts().assigned_identity && object.outputs.get("name").is_some_and(|name| name == identity)
        })
    }

    pub(crate) async fn ready(&self, kind: &dyn AnyKind, identity: &str) -> Object {
        let mut last = None;
        for _ in 0..LOOKS {
            last = self.find(kind, identity).await;
            match &last {
                Some(object) if object.readiness == Readiness::Ready => return last.unwrap(),
                _ => pause().await,
            }
        }
        panic!("{} `{identity}` does not become ready: {last:#?}", kind.kind());
    }

    pub(crate) async fn gone(&self, kind: &dyn AnyKind, identity: &str) {
        for _ in 0..LOOKS {
            if self.find(kind, identity).await.is_none() {
                return;
            }
            pause().await;
        }
        panic!("{} `{identity}` does not go away", kind.kind());
    }

    /// Repeats a call while it is refused for a reason that passes.
    pub(crate) async fn insist<T, F>(&self, what: &str, call: impl Fn() -> F) -> T
    where
        F: Future<Output = Result<T, Fault>>,
    {
        for _ in 0..LOOKS {
            match call().await {
                Ok(value) => return value,
                Err(fault) if matches!(fault.class, FaultClass::Busy | FaultClass::NotPropagated) => pause().await,
                Err(fault) => panic!("{what}: {fault}"),
            }
        }
        panic!("{what}: {}", call().await.err().map_or_else(String::new, |fault| fault.to_string()));
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}
