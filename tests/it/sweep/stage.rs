//! A stage on which towpath plays: a project, and the sandbox served by the test itself, so that it
//! goes on when towpath is killed, as AWS does. The test sees every call, plants the faults, and
//! kills the process at the call that a fault names, while that call hangs without an answer.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use towpath_sandbox::{Fault, Options, Sandbox};

use crate::aws::Aws;
use crate::env::TestEnvironment;

/// How much faster than AWS states pass here: the longest wait of a stack is a fraction of a second.
pub(crate) const SPEED: f64 = 5000.0;

/// How long one command may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_mins(3);

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

/// What goes wrong in one command.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accident {
    /// Faults of the sandbox, as its catalogue writes them; the crashes among them are kills.
    pub(crate) faults: Vec<String>,
    /// The journal entry at which the process dies, e.g. `torn:3`.
    pub(crate) entry: Option<String>,
    /// Whether the stack's folder is lost afterwards: its journal, and what its lease says.
    pub(crate) loses: bool,
}

/// How a point says that the stack's folder is lost.
const LOST: &str = "+lost";

impl Accident {
    /// As it is written in `TOWPATH_POINT`.
    pub(crate) fn read(text: &str) -> Self {
        let (rest, loses) = text.strip_suffix(LOST).map_or((text, false), |rest| (rest, true));
        let accident = if rest.contains('@') { Self::fault(rest) } else { Self::entry(rest) };
        Self { loses, ..accident }
    }

    /// The same, and the stack's folder is lost.
    pub(crate) fn and_lost(&self) -> Self {
        Self { loses: true, ..self.clone() }
    }

    /// Whether the process does not outlive it.
    pub(crate) fn kills(&self) -> bool {
        self.entry.is_some() || self.faults.iter().any(|fault| fault.starts_with("crash"))
    }

    /// One fault of the sandbox.
    pub(crate) fn fault(text: &str) -> Self {
        Self { faults: vec![text.to_owned()], ..Self::default() }
    }

    /// A death at a journal entry.
    pub(crate) fn entry(text: &str) -> Self {
        Self { entry: Some(text.to_owned()), ..Self::default() }
    }
}

impl fmt::Display for Accident {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<&str> = self.faults.iter().chain(&self.entry).map(String::as_str).collect();
        formatter.write_str(&parts.join("+"))?;
        formatter.write_str(if self.loses { LOST } else { "" })
    }
}

/// How fast the sandbox goes, and whether tasks carry real rows in it.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    pub(super) speed: f64,
    /// Whether PostgreSQL runs.
    pub(super) has_data: bool,
}

/// Nothing but states that pass.
const EMPTY: Pace = Pace { speed: SPEED, has_data: false };

/// How a command ended.
pub(crate) struct Played {
    /// The exit code; `None` when it was killed.
    pub(crate) code: Option<i32>,
    /// Everything it wrote.
    pub(crate) text: String,
    /// Whether what was to happen to it happened: a command may end before.
    pub(crate) was_struck: bool,
    /// Every call that reached the sandbox, `service:Operation`, in order.
    pub(crate) calls: Vec<String>,
}

/// Runs a command to its end or its death.
pub(crate) fn play(environment: &TestEnvironment, arguments: &[&str], accident: &Accident) -> Played {
    play_at(EMPTY, environment, arguments, accident)
}

/// The same at a pace of its own.
pub(super) fn play_at(pace: Pace, environment: &TestEnvironment, arguments: &[&str], accident: &Accident) -> Played {
    let child: Arc<Mutex<Option<Child>>> = Arc::default();
    let calls: Arc<Mutex<Vec<String>>> = Arc::default();
    // Nothing is killed before there is a process.
    let mut slot = child.lock().unwrap_or_else(PoisonError::into_inner);
    let sandbox = serve(pace, environment, accident, &child, &calls);
    let written = environment.path().join("written");
    let out = File::create(&written).unwrap();
    let mut command = environment.command(arguments);
    command.env("TOWPATH_SPEED", pace.speed.to_string()).env("TOWPATH_SANDBOX_PROXY", sandbox.endpoint());
    if let Some(entry) = &accident.entry {
        command.env("TOWPATH_KILL_AT_ENTRY", entry);
    }
    let out = command.stdout(out.try_clone().unwrap()).stderr(out).stdin(Stdio::null());
    *slot = Some(out.spawn().unwrap());
    drop(slot);
    let code = wait(&child, &written);
    RUNTIME.block_on(sandbox.shutdown());
    if accident.loses {
        lose(environment);
    }
    let calls = std::mem::take(&mut *calls.lock().unwrap_or_else(PoisonError::into_inner));
    let was_struck =
        if accident.kills() { code.is_none() } else { accident.faults.iter().all(|fault| reached(fault, &calls)) };
    Played { code, text: std::fs::read_to_string(&written).unwrap_or_default(), was_struck, calls }
}

/// Whether there was the call that a fault names, `NAME@OPERATION#n`.
fn reached(fault: &str, calls: &[String]) -> bool {
    let place = fault.split_once('@').map_or(fault, |(_, place)| place);
    let (operation, number) = place.split_once('#').unwrap_or((place, "1"));
    let count = calls.iter().filter(|call| *call == operation).count();
    number.parse::<usize>().is_ok_and(|number| count >= number)
}

/// The project's sandbox without accidents, for other clients, until it is dropped.
pub(crate) struct Quiet(Option<Sandbox>);

impl Quiet {
    /// Serves it.
    pub(crate) fn of(environment: &TestEnvironment) -> Self {
        Self(Some(serve(EMPTY, environment, &Accident::default(), &Arc::default(), &Arc::default())))
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Aws {
        Aws::at(&self.0.as_ref().unwrap().endpoint())
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(sandbox) = self.0.take() {
            RUNTIME.block_on(sandbox.shutdown());
        }
    }
}

/// Loses all that towpath remembers.
fn lose(environment: &TestEnvironment) {
    let folder = environment.path().join(".towpath");
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

fn serve(
    pace: Pace,
    environment: &TestEnvironment,
    accident: &Accident,
    child: &Arc<Mutex<Option<Child>>>,
    calls: &Arc<Mutex<Vec<String>>>,
) -> Sandbox {
    let mut options = Options::new(environment.path().join(".towpath-sandbox"));
    options.speed = pace.speed;
    options.faults = accident.faults.iter().map(|fault| fault.parse::<Fault>().unwrap()).collect();
    let (victim, calls) = (child.clone(), calls.clone());
    options.crash = Some(Arc::new(move || kill(&victim)));
    options.watch = Some(Arc::new(move |call| {
        calls.lock().unwrap_or_else(PoisonError::into_inner).push(call.to_owned());
    }));
    let sandbox = RUNTIME.block_on(Sandbox::start(options)).unwrap();
    if pace.has_data {
        RUNTIME.block_on(sandbox.ensure_postgres()).unwrap();
    }
    sandbox
}

/// SIGKILL from outside; returns when the process is dead.
fn kill(child: &Mutex<Option<Child>>) {
    if let Some(child) = child.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

fn wait(child: &Mutex<Option<Child>>, written: &Path) -> Option<i32> {
    let began = Instant::now();
    loop {
        {
            let mut slot = child.lock().unwrap_or_else(PoisonError::into_inner);
            let child = slot.as_mut().unwrap();
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            if began.elapsed() > PATIENCE {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("the command hangs:\n{}", std::fs::read_to_string(written).unwrap_or_default());
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
