//! A hermetic place to run towpath in: own folder, empty environment, no colours, and the sandbox
//! at a speed at which states still pass but nobody waits.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use tempfile::TempDir;

/// The exit code of a command that was killed by a signal, as a planted crash does.
pub(crate) const KILLED: i32 = -1;

/// How long nothing may be heard of a command before a test fails.
const PATIENCE: Duration = Duration::from_mins(3);

const SMALL_STACK: &str = r#"stack: small
target: sandbox
resources:
  access: {kind: iam/role, preset: dms-access-for-endpoint}
  vpc_role: {kind: iam/role, preset: dms-vpc-role}
  guard:
    kind: ec2/security_group
    vpc: default
    description: boats talk here
    ingress: [{port: 5439, from: self}]
  staging: {kind: s3/bucket, name: dms-small-staging, protect: false}
  subnets: {kind: dms/subnet_group, subnets: default, depends_on: [vpc_role]}
  instance:
    kind: dms/replication_instance
    class: dms.t3.micro
    storage_gb: 20
    subnet_group: subnets
    security_groups: [guard]
  warehouse: {kind: redshift/namespace, database: small, admin: managed, roles: [access], protect: false}
  workgroup: {kind: redshift/workgroup, namespace: warehouse, base_rpu: 8, security_groups: [guard]}
  source: {kind: dms/endpoint, direction: source, engine: postgres, connection: {url: {env: SOURCE_DATABASE_URL}}}
  target: {kind: dms/endpoint, direction: target, engine: redshift-serverless, workgroup: workgroup, bucket: staging, role: access}
  load: {kind: dms/replication_task, instance: instance, source: source, target: target, mode: full-load, tables: [{schema: public, include: ["%"]}]}
pipeline:
  upload: {from: data, into: source}
  migrate: {task: load}
  validate: {level: rows}
  models: {project: sql, warehouse: workgroup, schema: analytics}
"#;

const SMALL_FILES: [(&str, &str); 6] = [
    ("data/boats.csv", "id,name\n1,Ada\n2,Grace\n3,Edsger\n"),
    ("data/trips.csv", "id,boat_id,miles\n1,1,10\n2,1,20\n3,2,5\n4,3,1\n"),
    (
        "sql/dbt_project.yml",
        "name: small\nversion: \"1.0.0\"\nconfig-version: 2\nmodel-paths: [models]\ntest-paths: [tests]\n",
    ),
    (
        "sql/models/boats.yml",
        "version: 2
sources:
  - name: boats
    schema: public
    tables: [{name: boats}, {name: trips}]
models:
  - name: rpt_miles
    columns:
      - {name: boat_id, data_tests: [not_null, unique]}
",
    ),
    (
        "sql/models/rpt_miles.sql",
        "{{ config(materialized='table') }}
select b.id as boat_id, sum(cast(t.miles as integer)) as miles, count(*) as trips
from {{ source('boats', 'boats') }} b join {{ source('boats', 'trips') }} t on t.boat_id = b.id
group by b.id
",
    ),
    (
        "sql/tests/no_trip_is_lost.sql",
        "select 1 as lost
from (select sum(trips) as trips from {{ ref('rpt_miles') }}) r
cross join (select count(*) as trips from {{ source('boats', 'trips') }}) s
where r.trips <> s.trips
",
    ),
];

/// A project folder of its own.
pub(crate) struct TestEnvironment {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// What a command printed and returned.
pub(crate) struct Ran {
    /// Exit code; -1 when killed by a signal.
    pub(crate) code: i32,
    /// Data.
    pub(crate) stdout: String,
    /// Talk.
    pub(crate) stderr: String,
}

impl TestEnvironment {
    /// An empty project.
    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    /// A project with the shipped club stack and models, and no data.
    pub(crate) fn club() -> Self {
        let environment = Self::empty();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for name in ["stacks", "sql"] {
            copy(&root.join(name), &environment.path().join(name));
        }
        std::fs::copy(root.join(".env.template"), environment.path().join(".env.template")).unwrap();
        environment
    }

    /// A project whose data and models are built in a moment: two tables of boats, a view and a table.
    pub(crate) fn small() -> Self {
        let environment = Self::empty();
        environment.write("stacks/small.yaml", SMALL_STACK);
        for (path, text) in SMALL_FILES {
            environment.write(path, text);
        }
        environment
    }

    /// Gives a small project a serverless replication instead of its instance and task.
    #[track_caller]
    pub(crate) fn serverless(&self, mode: &str, fields: &str) {
        let file = "stacks/small.yaml";
        let text = self.read(file);
        let (instance, warehouse) = (text.find("  instance:").unwrap(), text.find("  warehouse:").unwrap());
        let without = format!("{}{}", &text[..instance], &text[warehouse..]);
        self.write(file, &without);
        let place = "max_capacity_units: 4, subnet_group: subnets, security_groups: [guard]";
        self.edit(
            file,
            "kind: dms/replication_task, instance: instance,",
            &format!("kind: dms/replication_config, {place}, {fields}"),
        );
        self.edit(file, "mode: full-load,", &format!("mode: {mode},"));
    }

    /// The project's folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The same project in a folder of its own, as it stands.
    pub(crate) fn copy(&self) -> Self {
        let environment = Self { variables: self.variables.clone(), ..Self::empty() };
        copy(self.path(), environment.path());
        environment
    }

    /// Sets a variable for all later commands.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Reads a file of the project.
    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).unwrap()
    }

    /// The command, ready to run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_towpath"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("TOWPATH_SPEED", "2000")
            .env("TOWPATH_TEST_SEED", "1")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs to the end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let output: Output = self.command(arguments).output().unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: self.clean(&String::from_utf8_lossy(&output.stdout)),
            stderr: self.clean(&String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// Runs to the end and insists on the exit code.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, code, "towpath {}\n{}\n{}", arguments.join(" "), ran.stdout, ran.stderr);
        ran
    }

    /// Runs to the end at a terminal, where a person has typed `answers`. Both streams come as one.
    pub(crate) fn typing(&self, arguments: &[&str], answers: &str) -> (i32, String) {
        let mut child = self.terminal(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code().unwrap_or(KILLED), self.clean(&String::from_utf8_lossy(&output.stdout)))
    }

    /// A command at a terminal.
    fn terminal(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_towpath");
        let plain = self.command(&[]);
        let mut command = Command::new("script");
        command.args(["-q", "-e", "-c", &format!("{program} --no-color {}", arguments.join(" ")), "/dev/null"]);
        command
            .current_dir(self.path())
            .env_clear()
            .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// Starts and does not wait.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Replaces one part of a file of the project, which must be there.
    #[track_caller]
    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} has no {from:?}");
        self.write(path, &text.replacen(from, to, 1));
    }

    /// The processes that work for this project, by command line: those that stand in its folder, name
    /// it, or were started with it as their home.
    pub(crate) fn processes(&self) -> Vec<String> {
        let folder = self.path().to_string_lossy().into_owned();
        processes()
            .into_iter()
            .filter(|process| {
                let stands = std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(self.path()));
                let environment = std::fs::read(process.join("environ")).unwrap_or_default();
                let home = String::from_utf8_lossy(&environment).contains(&folder);
                stands || home || command_line(process).contains(&folder)
            })
            .map(|process| command_line(&process))
            .filter(|line| !line.is_empty())
            .collect()
    }

    /// Waits up to ten seconds until no process works for this project; those that still do.
    pub(crate) fn processes_left(&self) -> Vec<String> {
        let mut left = self.processes();
        for _ in 0..100 {
            if left.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
            left = self.processes();
        }
        left
    }

    /// The process that holds the stack `small`, as its lease says.
    pub(crate) fn held_by(&self) -> u32 {
        let lease = self.read(".towpath/small/lease.json");
        let process = lease.split("(process ").nth(1).and_then(|rest| rest.split(')').next());
        process.unwrap_or_else(|| panic!("no process in {lease}")).parse().unwrap()
    }

    /// Every file below the project's folder.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found
    }

    /// Text without what differs between runs: this folder's name.
    fn clean(&self, text: &str) -> String {
        text.replace(&*self.path().to_string_lossy(), "[PROJECT]")
    }
}

/// A command that goes on while the test does something else. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: String,
}

impl Running {
    /// Starts; lines of both streams are collected.
    pub(crate) fn start(environment: &TestEnvironment, arguments: &[&str]) -> Self {
        Self::listen(environment.spawn(arguments))
    }

    fn listen(mut child: Child) -> Self {
        let (sender, lines) = mpsc::channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stderr.take().unwrap()), Box::new(child.stdout.take().unwrap())];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    // Nobody listens any more when the test has seen enough.
                    let _closed = sender.send(line).is_err();
                }
            });
        }
        Self { child, lines, seen: String::new() }
    }

    /// Starts at a terminal; both streams come as one.
    pub(crate) fn at_terminal(environment: &TestEnvironment, arguments: &[&str]) -> Self {
        let mut command = environment.terminal(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::listen(command.spawn().unwrap())
    }

    /// Presses keys at its terminal.
    pub(crate) fn press(&mut self, keys: &str) {
        self.child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for a line that holds `wanted`; `None` if the command ends without one.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, wanted: &str) -> Option<String> {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.seen.push_str(&line);
                    self.seen.push('\n');
                    if line.contains(wanted) {
                        return Some(line);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("no line with {wanted:?} came:\n{}", self.seen),
            }
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: nothing of it runs afterwards.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A signal by name, as `kill` of the system sends it.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Waits for the end: exit code (-1 when killed) and everything it wrote.
    pub(crate) fn end(mut self) -> (i32, String) {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.seen.push_str(&line);
            self.seen.push('\n');
        }
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        (code, std::mem::take(&mut self.seen))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is all that is wanted.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Sends a signal to a process by its name, as `kill` of the system does.
pub(crate) fn signal(process: u32, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), process.to_string()]).status().unwrap();
    assert!(status.success());
}

/// The command lines of all processes, arguments joined by blanks.
pub(crate) fn command_lines() -> Vec<String> {
    processes().iter().map(|process| command_line(process)).filter(|line| !line.is_empty()).collect()
}

fn processes() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
        .map(|entry| entry.path())
        .collect()
}

/// Empty for a process that is gone or has ended and is not yet waited for.
fn command_line(process: &Path) -> String {
    let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ").trim().to_owned()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
