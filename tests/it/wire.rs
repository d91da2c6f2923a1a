//! A tap on the wire between the program and the sandbox: it writes down every call in order, holds
//! one back for ever so that the program can be killed at it, and answers in a service's place.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::aws::Aws;
use crate::env::{Running, TestEnvironment};

/// One call, in the order in which the calls came.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// `service:Operation`; of S3 the method and the path.
    pub(crate) operation: String,
    /// The request's body.
    pub(crate) body: String,
    /// The answer's HTTP status; 0 for a call that was never answered.
    pub(crate) status: u16,
    /// The answer's body.
    pub(crate) answer: String,
}

impl Call {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn changes(&self) -> bool {
        let operation = self.operation.split_once(':').map_or("", |(_, operation)| operation);
        !["Describe", "List", "Get", "GET", "HEAD"].iter().any(|read| operation.starts_with(read))
    }
}

/// What is done to a call instead of passing it on and its answer back.
#[derive(Clone, Debug)]
enum Trick {
    /// It takes effect and is never answered.
    HoldAnswer,
    /// The answer of the service's place, so many times.
    Answer { times: usize, status: u16, body: String },
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    tricks: Vec<(String, Trick)>,
    held: bool,
}

type Shared = Arc<(Mutex<State>, Condvar)>;

/// A served sandbox with a tap before it. Every later command of the environment goes through it.
pub(crate) struct Wire {
    /// The sandbox itself, past the tap.
    pub(crate) aws: Aws,
    state: Shared,
}

impl Wire {
    /// Taps the wire of a project; the sandbox's PostgreSQL runs for as long as this lives.
    pub(crate) fn tap(environment: &mut TestEnvironment) -> Self {
        let aws = Aws::serve(environment, &["--postgres"]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        environment.set("TOWPATH_SANDBOX_PROXY", &format!("http://{}", listener.local_addr().unwrap()));
        let state = Shared::default();
        let (shared, upstream) = (state.clone(), aws.address.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, upstream) = (shared.clone(), upstream.clone());
                std::thread::spawn(move || pass(stream, &upstream, &shared));
            }
        });
        Self { aws, state }
    }

    /// Forgets the calls so far.
    pub(crate) fn forget(&self) {
        self.state.0.lock().unwrap().calls.clear();
    }

    /// All calls since the last [`Self::forget`].
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state.0.lock().unwrap().calls.clone()
    }

    /// The operations that change something, in order.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.calls().into_iter().filter(Call::changes).map(|call| call.operation).collect()
    }

    /// The calls of one operation.
    pub(crate) fn of(&self, operation: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.operation == operation).collect()
    }

    /// The next calls of an operation are answered here and have no effect.
    pub(crate) fn answer(&self, operation: &str, times: usize, status: u16, body: &Value) {
        let trick = Trick::Answer { times, status, body: body.to_string() };
        self.state.0.lock().unwrap().tricks.push((operation.to_owned(), trick));
    }

    /// Runs a command and kills it (SIGKILL) when the next call of `operation` has taken effect and
    /// before its answer is there.
    #[track_caller]
    pub(crate) fn kill_after(&self, operation: &str, environment: &TestEnvironment, arguments: &[&str]) {
        self.held_at(operation, environment, arguments).kill();
    }

    /// Starts a command whose next call of `operation` takes effect and is never answered; returns when it waits for
    /// that.
    #[track_caller]
    pub(crate) fn held_at(&self, operation: &str, environment: &TestEnvironment, arguments: &[&str]) -> Running {
        {
            let mut state = self.state.0.lock().unwrap();
            state.held = false;
            state.tricks.push((operation.to_owned(), Trick::HoldAnswer));
        }
        let run = Running::start(environment, arguments);
        let state = self.state.0.lock().unwrap();
        let waited = self.state.1.wait_timeout_while(state, Duration::from_mins(1), |state| !state.held).unwrap();
        assert!(waited.0.held, "{operation} was never called");
        drop(waited);
        run
    }
}

/// Passes one request on and its answer back.
fn pass(mut client: TcpStream, upstream: &str, shared: &Shared) {
    let Some((head, body)) = read_request(&mut client) else { return };
    let operation = operation(&head, &body);
    let (number, trick) = note(shared, &operation, &body);
    if let Some(Trick::Answer { status, body, .. }) = trick {
        finish(shared, number, status, &body);
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} No\r\ncontent-type: application/x-amz-json-1.1\r\nx-amzn-requestid: wire\r\n\
             connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let _gone = client.write_all(answer.as_bytes());
        return;
    }
    let Ok(mut server) = TcpStream::connect(upstream) else { return };
    let head = head.lines().filter(|line| !line.to_lowercase().starts_with("connection:"));
    let head: String = head.flat_map(|line| [line, "\r\n"]).collect();
    let request = format!("{}\r\nconnection: close\r\n\r\n", head.trim_end());
    if server.write_all(request.as_bytes()).and_then(|()| server.write_all(&body)).is_err() {
        return;
    }
    let mut answer = Vec::new();
    let _cut = server.read_to_end(&mut answer);
    if matches!(trick, Some(Trick::HoldAnswer)) {
        shared.0.lock().unwrap().held = true;
        shared.1.notify_all();
        // Until the client is dead: its side of the connection ends.
        let _end = client.read(&mut [0]);
        return;
    }
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    finish(shared, number, status, text.split_once("\r\n\r\n").map_or("", |(_, body)| body));
    let _gone = client.write_all(&answer);
}

/// Writes a call down; its number and what is to be done to it.
fn note(shared: &Shared, operation: &str, body: &[u8]) -> (usize, Option<Trick>) {
    let mut state = shared.0.lock().unwrap();
    let body = String::from_utf8_lossy(body).into_owned();
    state.calls.push(Call { operation: operation.to_owned(), body, status: 0, answer: String::new() });
    let number = state.calls.len() - 1;
    let Some(at) = state.tricks.iter().position(|(of, _)| of == operation) else { return (number, None) };
    let trick = state.tricks[at].1.clone();
    match &mut state.tricks[at].1 {
        Trick::Answer { times, .. } if *times > 1 => *times -= 1,
        _ => drop(state.tricks.remove(at)),
    }
    (number, Some(trick))
}

fn finish(shared: &Shared, number: usize, status: u16, answer: &str) {
    if let Some(call) = shared.0.lock().unwrap().calls.get_mut(number) {
        call.status = status;
        answer.clone_into(&mut call.answer);
    }
}

/// Head and body of a request that says how long its body is.
fn read_request(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            let body = bytes.split_off(end + 4);
            let mut rest = vec![0; length.unwrap_or(0).saturating_sub(body.len())];
            client.read_exact(&mut rest).ok()?;
            return Some((head, [body, rest].concat()));
        }
        match client.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

/// `service:Operation` by the scope of the signature and the protocol's place for the operation.
fn operation(head: &str, body: &[u8]) -> String {
    let header = |wanted: &str| {
        let found =
            head.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let authorization = header("authorization");
    let service = authorization.split('/').nth(3).unwrap_or_default();
    let target = header("x-amz-target");
    let body = String::from_utf8_lossy(body);
    let action = body.split('&').find_map(|pair| pair.strip_prefix("Action="));
    let first = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1");
    let operation = target.rsplit_once('.').map(|(_, operation)| operation).or(action).unwrap_or(first);
    format!("{service}:{operation}")
}
