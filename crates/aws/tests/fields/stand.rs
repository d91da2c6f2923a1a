//! A sandbox with the whole reconciler before it: a stack in, a plan or a settled world out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tempfile::TempDir;
use towpath_aws::cloud::Cloud;
use towpath_aws::connection::{Connection, Credentials};
use towpath_aws::redshift_data::{self, Target};
use towpath_engine::apply::retry::Retry;
use towpath_engine::apply::{self, Context};
use towpath_engine::clock::Clock;
use towpath_engine::diag::Source;
use towpath_engine::journal::{Journal, MemoryJournal, replay};
use towpath_engine::kind::{Object, Place, Registry};
use towpath_engine::lease::Guard;
use towpath_engine::observe::{Observation, observe};
use towpath_engine::plan::{BuildInput, Options, Plan, build};
use towpath_engine::secret::{Secret, Secrets};
use towpath_engine::stack::{LoadInput, Stack, load};
use towpath_sandbox::Sandbox;

use crate::cases::{GRANTEES, Sheet};

/// How much faster than AWS the sandbox is.
const SPEED: f64 = 100_000.0;

/// How much faster than AWS the client waits: slower than the sandbox, so that what it waits for is
/// there at the second look, however slow the machine.
const PATIENCE: f64 = 400.0;

/// The resource whose fields are edited.
pub(crate) const SUBJECT: &str = "subject";

/// A sandbox and what one reconciler remembers of it.
pub(crate) struct Stand {
    sandbox: Sandbox,
    journal: MemoryJournal,
    _directory: TempDir,
}

/// A plan with what it was made of.
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    pub(crate) registry: Registry,
    observation: Observation,
}

impl Planned {
    /// The live subject.
    pub(crate) fn subject(&self, kind: &str) -> Option<&Object> {
        self.observation.of(kind).iter().find(|object| object.owner() == Some(("club", SUBJECT)))
    }
}

struct FastClock;

#[async_trait]
impl Clock for FastClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration.div_f64(PATIENCE)).await;
    }

    fn scale(&self) -> f64 {
        PATIENCE
    }
}

impl Stand {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = towpath_sandbox::Options { speed: SPEED, ..towpath_sandbox::Options::new(directory.path()) };
        let sandbox = Sandbox::start(options).await.unwrap();
        Self { sandbox, journal: MemoryJournal::default(), _directory: directory }
    }

    pub(crate) async fn close(self) {
        self.sandbox.shutdown().await;
    }

    /// Makes what a sheet needs that is no resource.
    pub(crate) async fn prepare(&self, sheet: &Sheet) {
        if !["redshift/grant", "redshift/schema"].contains(&sheet.kind) {
            return;
        }
        // On a busy machine that takes longer than a call may.
        self.sandbox.ensure_postgres().await.unwrap();
        if sheet.kind == "redshift/schema" {
            return;
        }
        self.settle(&sheet.world).await.unwrap();
        let (cloud, ..) = self.connect().await;
        for (workgroup, database) in [("club-small", "one"), ("club-large", "two")] {
            let target = Target { workgroup: workgroup.into(), database: database.into(), secret_arn: None };
            let token = format!("prepare-{workgroup}");
            let sqls: Vec<String> = GRANTEES.iter().map(|&sql| sql.to_owned()).collect();
            let id = redshift_data::execute_batch(&cloud, &target, &sqls, &token).await.unwrap();
            let statement = redshift_data::describe(&cloud, &id, Duration::from_secs(30)).await.unwrap();
            assert_eq!(statement.status, redshift_data::Status::Finished, "{statement:?}");
        }
    }

    /// A client of its own, as every command has.
    async fn connect(&self) -> (Cloud, Registry, Place) {
        let mut secrets = Secrets::default();
        for name in ["SOURCE_PASSWORD", "OTHER_PASSWORD"] {
            secrets.insert(name, Secret::new(format!("Word-4-{name}")));
        }
        for (name, password) in [("SOURCE_URL", "one"), ("OTHER_URL", "two")] {
            secrets.insert(name, Secret::new(format!("postgres://ann:{password}@db.example.com:6543/club")));
        }
        let connection = Connection {
            region: Some("eu-north-1".to_owned()),
            endpoint_url: Some(self.sandbox.endpoint()),
            credentials: Some(Credentials::lasting("test", "test")),
            profile: None,
            speed: Some(SPEED),
        };
        let cloud = Cloud::connect(connection, secrets);
        let place = cloud.locate("club").await.unwrap();
        let registry = towpath_aws::kinds::registry(&cloud);
        (cloud, registry, place)
    }

    /// The plan of a stack with these resources, or every mistake in it.
    pub(crate) async fn plan(&self, resources: &Value) -> Result<Planned, String> {
        let (_, registry, place) = self.connect().await;
        let stack = loaded(resources, &registry, &place)?;
        let replay = replay(&self.journal.entries().unwrap());
        let also: Vec<String> = replay.kinds.iter().cloned().collect();
        for (name, resource) in &stack.resources {
            let kind = registry.get(&resource.address.kind).unwrap();
            kind.name(&place, name, &resource.spec).unwrap();
        }
        let retry = Retry::new(&FastClock, 7);
        let observation = observe(&stack, &registry, &also, &retry).await.map_err(|fault| fault.to_string())?;
        let options = Options { allow_data_loss: stack.resources.keys().cloned().collect(), ..Options::default() };
        let input = BuildInput {
            stack: &stack,
            observation: &observation,
            registry: &registry,
            place: &place,
            options: &options,
            replay: &replay,
            version: "test",
        };
        let plan = build(&input);
        Ok(Planned { plan, registry, observation })
    }

    /// Carries out a plan to its end.
    pub(crate) async fn apply(&self, planned: &Planned) -> Result<(), String> {
        let (events, _nobody) = tokio::sync::mpsc::unbounded_channel();
        let context = Context {
            registry: &planned.registry,
            clock: &FastClock,
            journal: &self.journal,
            events,
            parallelism: 8,
            interrupt: &AtomicBool::new(false),
            lease: &Guard::unshared(),
            run: "run".to_owned(),
            seed: 7,
            before_delete: &(),
        };
        let summary = apply::run(&planned.plan, "apply", &context).await.map_err(|error| error.to_string())?;
        if summary.is_complete() {
            return Ok(());
        }
        Err(format!("the apply did not succeed: {summary:#?}"))
    }

    /// Makes the world as a stack says, whatever it was before.
    pub(crate) async fn settle(&self, resources: &Value) -> Result<Planned, String> {
        let planned = self.plan(resources).await?;
        if !planned.plan.is_empty() {
            self.apply(&planned).await?;
        }
        let after = self.plan(resources).await?;
        if after.plan.is_empty() && after.plan.is_allowed() {
            return Ok(after);
        }
        Err(format!("after an apply the plan is not empty: {}", said(&after.plan)))
    }
}

/// The stack `club` with these resources. JSON is YAML.
fn loaded(resources: &Value, registry: &Registry, place: &Place) -> Result<Stack, String> {
    let text = json!({ "stack": "club", "target": "sandbox", "resources": resources }).to_string();
    let input = LoadInput {
        source: Arc::new(Source { path: "club.yaml".to_owned(), text }),
        environment: None,
        target: None,
        variables: &|_| Some("set".to_owned()),
        vars: BTreeMap::new(),
        template: &[],
    };
    let (stack, found) = load(&input, registry, place);
    let mistakes = found.iter().map(|one| {
        let labels = one.labels.iter().map(|(_, label)| label.as_str()).collect::<Vec<_>>().join("; ");
        format!("{}: {labels} {}", one.summary, one.detail.clone().unwrap_or_default())
    });
    stack.ok_or_else(|| mistakes.collect::<Vec<_>>().join("\n"))
}

/// A plan in short.
pub(crate) fn said(plan: &Plan) -> String {
    let mut lines = Vec::new();
    for step in &plan.steps {
        lines.push(format!("{} {} {:?} ({})", step.action.symbol(), step.address, step.reason, step.identity));
        for change in &step.changes {
            let rule = change.forces_replacement.clone().unwrap_or_default();
            lines.push(format!("    {}: {} -> {} {rule}", change.path, change.before, change.after));
        }
    }
    lines.extend(plan.foreign.iter().map(|foreign| format!("foreign: {foreign:?}")));
    lines.extend(plan.refused.iter().map(|note| format!("refused: {note:?}")));
    lines.join("\n")
}
