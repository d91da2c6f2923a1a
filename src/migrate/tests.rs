use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use towpath_engine::fault::FaultClass;
use towpath_engine::secret::Secret;

use super::*;
use crate::database::server;

const INCLUDE_ALL: &str = r#"{"rules": [{"rule-type": "selection", "rule-action": "include",
    "object-locator": {"schema-name": "public", "table-name": "%"}},
    {"rule-type": "transformation", "rule-action": "rename", "rule-target": "schema",
     "object-locator": {"schema-name": "public"}, "value": "raw"}]}"#;

/// Time that passes only by sleeping.
struct VirtualClock(Mutex<DateTime<Utc>>);

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        *self.0.lock().unwrap() += duration;
        tokio::task::yield_now().await;
    }
}

type Moment = (Task, Vec<TableState>);

/// DMS by script: what it shows now, what it shows poll by poll after each start, what was asked.
#[derive(Default)]
struct Script {
    now: Moment,
    next: VecDeque<Moment>,
    after_start: VecDeque<Vec<Moment>>,
    connections: BTreeMap<String, VecDeque<Connection>>,
    faults: VecDeque<FaultClass>,
    asked: Vec<String>,
}

struct Dms(Mutex<Script>);

#[async_trait]
impl Replication for Dms {
    async fn task(&self, _: &str) -> Result<Task, Fault> {
        let mut script = self.0.lock().unwrap();
        if let Some(class) = script.faults.pop_front() {
            return Err(Fault::local(class, "dms:DescribeReplicationTasks", "planned"));
        }
        if let Some(next) = script.next.pop_front() {
            script.now = next;
        }
        Ok(script.now.0.clone())
    }

    async fn tables(&self, _: &str) -> Result<Vec<TableState>, Fault> {
        Ok(self.0.lock().unwrap().now.1.clone())
    }

    async fn connection(&self, _: &str, endpoint: &str) -> Result<Option<Connection>, Fault> {
        Ok(self.0.lock().unwrap().connections.get_mut(endpoint).and_then(VecDeque::pop_front))
    }

    async fn test_connection(&self, _: &str, endpoint: &str) -> Result<(), Fault> {
        let mut script = self.0.lock().unwrap();
        script.asked.push(format!("test {endpoint}"));
        let busy = endpoint == "busy";
        let done = Connection { status: "successful".to_owned(), failure: None };
        let testing = Connection { status: "testing".to_owned(), failure: None };
        let connections = script.connections.entry(endpoint.to_owned()).or_default();
        if connections.is_empty() {
            connections.extend([testing, done]);
        }
        if busy { Err(Fault::local(FaultClass::Busy, "dms:TestConnection", "already being tested")) } else { Ok(()) }
    }

    async fn start(&self, _: &str, how: StartType) -> Result<(), Fault> {
        let mut script = self.0.lock().unwrap();
        script.asked.push(format!("{how:?}"));
        script.next = script.after_start.pop_front().unwrap_or_default().into();
        Ok(())
    }

    async fn reload_tables(&self, _: &str, tables: &[TableName]) -> Result<(), Fault> {
        let names: Vec<_> = tables.iter().map(ToString::to_string).collect();
        let mut script = self.0.lock().unwrap();
        script.asked.push(format!("reload {}", names.join(" ")));
        script.next = script.after_start.pop_front().unwrap_or_default().into();
        Ok(())
    }
}

/// Two databases with a table of three rows each, and DMS by script.
struct Fixture {
    _server: Arc<server::Server>,
    source: Postgres,
    warehouse: Postgres,
    dms: Dms,
    clock: VirtualClock,
    events: Mutex<Vec<MigrateEvent>>,
    options: Options,
}

async fn fixture(now: Moment, after_start: Vec<Vec<Moment>>) -> Fixture {
    let server = server::shared();
    let [source, warehouse] = [0, 1].map(|_| Postgres::new(&Secret::new(server.database()), 4).unwrap());
    source
        .execute("create table \"Teams\"(id int primary key); insert into \"Teams\" values (1), (2), (3)")
        .await
        .unwrap();
    warehouse.execute("create schema raw; create table raw.teams(id) as values (1), (2), (3)").await.unwrap();
    let script = Script { now, after_start: after_start.into(), ..Script::default() };
    Fixture {
        _server: server,
        source,
        warehouse,
        dms: Dms(Mutex::new(script)),
        clock: VirtualClock(Mutex::new(Utc::now())),
        events: Mutex::default(),
        options: Options::default(),
    }
}

impl Fixture {
    async fn run(&self) -> Result<Migrated, MigrateError> {
        let on_event = |event| self.events.lock().unwrap().push(event);
        let session = Session {
            cloud: &self.dms,
            source: &self.source,
            warehouse: &self.warehouse,
            clock: &self.clock,
            on_event: &on_event,
        };
        run(&session, "task", &self.options).await
    }

    fn asked(&self) -> Vec<String> {
        self.dms.0.lock().unwrap().asked.clone()
    }
}

fn task(status: &str, reason: &str) -> Task {
    let ran = status != "ready";
    Task {
        status: status.to_owned(),
        stop_reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
        mode: "full-load".to_owned(),
        source: "source".to_owned(),
        target: "busy".to_owned(),
        mappings: INCLUDE_ALL.to_owned(),
        has_run: ran,
        started: ran.then(Utc::now),
        full_load_started: ran.then(Utc::now),
        full_load_finished: (status == "stopped").then(Utc::now),
        ..Task::default()
    }
}

fn teams(state: &str, rows: u64) -> Vec<TableState> {
    // One instant for all states: a table's load begins once.
    static BEGAN: std::sync::LazyLock<DateTime<Utc>> =
        std::sync::LazyLock::new(|| Utc::now() - chrono::Duration::seconds(2));
    let started = Some(*BEGAN);
    let name = TableName { schema: "public".to_owned(), table: "Teams".to_owned() };
    vec![TableState { name, state: state.to_owned(), rows, started }]
}

fn good_run() -> Vec<Moment> {
    vec![
        (task("ready", ""), vec![]),
        (task("starting", ""), vec![]),
        (task("running", ""), teams("Full load", 2)),
        (task("stopped", ""), teams("Table completed", 3)),
        (task("stopped", "Stop Reason FULL_LOAD_ONLY_FINISHED"), teams("Table completed", 3)),
    ]
}

#[tokio::test]
async fn a_first_run_tests_both_connections_starts_watches_and_counts() {
    let fixture = fixture((task("ready", ""), vec![]), vec![good_run()]).await;
    let migrated = fixture.run().await.unwrap();
    assert_eq!(migrated.outcome, Outcome::Loaded);
    assert_eq!(migrated.counts.len(), 1);
    assert!(migrated.counts[0].is_same());
    assert_eq!(migrated.counts[0].target.to_string(), "raw.teams");
    let mut asked = fixture.asked();
    assert_eq!(asked.pop().as_deref(), Some("StartReplication"));
    asked.sort();
    assert_eq!(asked, ["test busy", "test source"]);
    let events = fixture.events.lock().unwrap();
    let rate = events.iter().find_map(|event| match event {
        MigrateEvent::LoadProgressed { tables } => tables.first()?.rows_per_second,
        _ => None,
    });
    assert!(rate.is_some_and(|rate| rate > 0.0));
    let finished = events.iter().filter(|event| matches!(event, MigrateEvent::TableFinished { .. })).count();
    assert_eq!(finished, 1);
}

#[tokio::test]
async fn a_second_run_does_nothing_until_the_source_is_uploaded_again() {
    let done = (task("stopped", "Stop Reason FULL_LOAD_ONLY_FINISHED"), teams("Table completed", 3));
    let fixture = fixture(done, vec![good_run()]).await;
    assert_eq!(fixture.run().await.unwrap().outcome, Outcome::Unchanged);
    assert_eq!(fixture.asked(), Vec::<String>::new());

    fixture.source.execute("drop table \"Teams\"").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("Teams.csv"), "id\n1\n2\n3\n").unwrap();
    crate::upload::run(&fixture.source, dir.path(), &crate::upload::Options::default(), &|_| {}).await.unwrap();
    assert_eq!(fixture.run().await.unwrap().outcome, Outcome::Loaded);
    assert_eq!(fixture.asked().last().map(String::as_str), Some("ReloadTarget"));
}

#[tokio::test]
async fn a_finished_task_with_failed_tables_is_a_failure_and_is_resumed_next_time() {
    let failed = (task("stopped", "Stop Reason FULL_LOAD_ONLY_FINISHED"), teams("Table error", 1));
    let fixture =
        fixture((task("ready", ""), vec![]), vec![vec![(task("running", ""), vec![]), failed], good_run()]).await;
    let error = fixture.run().await.unwrap_err();
    assert_eq!(error.to_string(), "1 of the tables did not arrive: public.Teams (Table error)");
    assert_eq!(fixture.run().await.unwrap().outcome, Outcome::Loaded);
    assert_eq!(fixture.asked().last().map(String::as_str), Some("ResumeProcessing"));
}

#[tokio::test]
async fn a_table_the_task_does_not_know_is_loaded_by_a_reload() {
    let done = (task("stopped", "Stop Reason FULL_LOAD_ONLY_FINISHED"), teams("Table completed", 3));
    let mut run = good_run();
    for moment in &mut run {
        let mut late = teams("Table completed", 0);
        late[0].name.table = "late".to_owned();
        moment.1.extend(late);
    }
    let fixture = fixture(done, vec![run]).await;
    fixture.source.execute("create table late(id int primary key)").await.unwrap();
    fixture.warehouse.execute("create table raw.late(id int)").await.unwrap();
    assert_eq!(fixture.run().await.unwrap().outcome, Outcome::Loaded);
    assert_eq!(fixture.asked().last().map(String::as_str), Some("ReloadTarget"));
}

#[tokio::test]
async fn a_running_task_is_joined_and_a_passing_stop_resumed() {
    let stopped = (task("stopped", "Stop Reason RECOVERABLE_ERROR Error Level RECOVERABLE"), teams("Full load", 1));
    let fixture = fixture((task("running", ""), teams("Full load", 1)), vec![good_run()]).await;
    fixture.dms.0.lock().unwrap().next =
        vec![(task("running", ""), vec![]), (task("running", ""), vec![]), stopped].into();
    fixture.dms.0.lock().unwrap().faults = vec![FaultClass::Throttled, FaultClass::Unavailable].into();
    assert_eq!(fixture.run().await.unwrap().outcome, Outcome::Loaded);
    assert_eq!(fixture.asked(), ["ResumeProcessing"]);
}

#[tokio::test]
async fn a_failed_task_and_a_failed_connection_say_why() {
    let mut broken = task("failed", "Stop Reason FATAL_ERROR");
    broken.failure = Some("Error executing source loop".to_owned());
    let run = vec![(task("running", ""), vec![]), (broken, vec![])];
    let mut fixture = fixture((task("ready", ""), vec![]), vec![run]).await;
    let error = fixture.run().await.unwrap_err().to_string();
    assert_eq!(error, "the task failed: FATAL_ERROR Error executing source loop");
    let failed = Connection { status: "failed".to_owned(), failure: Some("no route to host".to_owned()) };
    fixture.dms.0.lock().unwrap().connections.insert("source".to_owned(), vec![failed].into());
    fixture.options.reload = Reload::All;
    let error = fixture.run().await.unwrap_err().to_string();
    assert!(error.ends_with("cannot be reached from the replication instance: no route to host"), "{error}");
}

#[tokio::test]
async fn counts_that_differ_are_an_error() {
    let fixture = fixture((task("ready", ""), vec![]), vec![good_run()]).await;
    fixture.warehouse.execute("delete from raw.teams where id = 2").await.unwrap();
    let error = fixture.run().await.unwrap_err().to_string();
    assert_eq!(error, "row counts differ after the load: public.Teams has 3 rows, raw.teams has 2");
    fixture.warehouse.execute("drop table raw.teams").await.unwrap();
    let Err(MigrateError::Counts(counts)) = fixture.run().await else { panic!("no table, no error") };
    assert_eq!(counts[0].target_rows, None);
}

#[tokio::test]
async fn what_dms_would_lose_blocks_the_start() {
    let mut fixture = fixture((task("ready", ""), vec![]), vec![good_run()]).await;
    fixture
        .source
        .execute(
            "create table loose(a text, b jsonb); create table long(id int primary key, a text, n numeric); \
                  insert into long values (1, repeat('x', 70000), 1)",
        )
        .await
        .unwrap();
    let Err(MigrateError::Blocked { findings }) = fixture.run().await else { panic!("not blocked") };
    let found: Vec<_> = findings.iter().map(|finding| format!("{:?} {finding}", finding.severity)).collect();
    assert_eq!(
        found,
        [
            "Warns public.long: `n` is numeric without a precision: it arrives as numeric(28,6), further digits are cut",
            "Blocks public.long: the longest value of `a` has 70000 bytes, above the 63 KB that DMS can bring to Redshift",
            "Blocks public.loose: without a primary key DMS leaves out its large columns (a, b); add a key",
        ]
    );
    assert_eq!(fixture.asked(), Vec::<String>::new());
    fixture.options.ignore_findings = true;
    assert!(matches!(fixture.run().await, Err(MigrateError::Tables { .. })));
}

#[tokio::test]
async fn a_replicating_task_reloads_single_tables_and_a_load_only_task_refuses() {
    let mut replicating = task("running", "");
    replicating.mode = "full-load-and-cdc".to_owned();
    replicating.full_load_finished = Some(Utc::now());
    let name = TableName { schema: "public".to_owned(), table: "Teams".to_owned() };
    // DMS shows the old state for a moment after it was asked.
    let states = ["Table completed", "Table completed", "Table is being reloaded", "Table completed"];
    let run = states.map(|state| (replicating.clone(), teams(state, 3))).to_vec();
    let now = run[0].clone();
    let mut fixture = fixture(now, vec![run]).await;
    fixture.options.reload = Reload::Tables(vec![name]);
    assert_eq!(fixture.run().await.unwrap().outcome, Outcome::Replicating);
    assert_eq!(fixture.asked(), ["reload public.Teams"]);
    assert!(fixture.dms.0.lock().unwrap().next.is_empty());
    fixture.dms.0.lock().unwrap().now.0.mode = "full-load".to_owned();
    assert!(matches!(fixture.run().await, Err(MigrateError::ReloadNeedsChanges)));
    fixture.options.reload = Reload::All;
    assert!(matches!(fixture.run().await, Err(MigrateError::ReloadWhileRunning { .. })));
}
