//! Redshift Serverless through the Data API, behind the [`Database`] trait.
//!
//! The API is asynchronous: a statement is submitted, looked at until it is final, and its result
//! fetched in pages. This module does the waiting and the repeating (a submission carries a
//! token, so that repeating it never runs a statement twice); the calls themselves come in
//! through [`DataApi`]. A call whose future is dropped cancels its statement.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Semaphore;
use towpath_engine::fault::{Fault, FaultClass};

use super::{Database, DatabaseError, Dialect, Obstacle, Rows};

/// The most statements of one transaction (`BatchExecuteStatement`).
pub const BATCH_LIMIT: usize = 40;

/// The longest statement the Data API takes, in bytes.
pub const STATEMENT_LIMIT: usize = 100_000;

/// How far a submitted statement or batch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not done.
    Running,
    /// Done.
    Finished {
        /// Whether there is a result to fetch.
        has_result: bool,
        /// Rows returned or changed, where the service says.
        rows: Option<u64>,
    },
    /// Failed, with the server's message.
    Failed(String),
    /// Cancelled.
    Aborted,
}

/// A page of a result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Columns and rows.
    pub rows: Rows,
    /// Fetches the next page; none on the last.
    pub next: Option<String>,
}

/// The calls of the Data API on one workgroup and database. Each is one request.
#[async_trait]
pub trait DataApi: Send + Sync {
    /// Submits one statement, or several as one transaction, and returns its id. The same token
    /// means the same submission.
    async fn submit(&self, statements: &[String], token: &str) -> Result<String, Fault>;
    /// Looks at a statement, for which the service may take up to `wait` while it runs.
    async fn look(&self, id: &str, wait: Duration) -> Result<Progress, Fault>;
    /// Fetches a page; `next` is the one of the page before.
    async fn page(&self, id: &str, next: Option<String>) -> Result<Page, Fault>;
    /// Cancels a statement; one that is over is as good as cancelled.
    async fn cancel(&self, id: &str) -> Result<(), Fault>;
}

/// A database of a workgroup.
pub struct Redshift {
    api: Arc<dyn DataApi>,
    name: String,
    permits: Semaphore,
}

impl Redshift {
    /// A database called `name` in messages (workgroup and database), with at most `statements`
    /// submitted at once. The service's own limit is 200 and shared with everybody.
    pub fn new(api: Arc<dyn DataApi>, name: impl Into<String>, statements: usize) -> Self {
        Self { api, name: name.into(), permits: Semaphore::new(statements.max(1)) }
    }

    /// Submits and waits to the end; returns the id with whether there is a result, and the rows.
    async fn run(&self, statements: &[String]) -> Result<(Submitted, bool, Option<u64>), DatabaseError> {
        if let Some(long) = statements.iter().find(|statement| statement.len() > STATEMENT_LIMIT) {
            let message =
                format!("the statement has {} bytes; the Redshift Data API takes {STATEMENT_LIMIT}", long.len());
            return Err(DatabaseError::Refused { code: None, message, position: None });
        }
        let token = uuid::Uuid::new_v4().to_string();
        let id = self.repeat(|| self.api.submit(statements, &token)).await?;
        let mut submitted = Submitted { api: self.api.clone(), id, is_final: false };
        let mut pause = Duration::from_millis(20);
        loop {
            let asked = Instant::now();
            match self.repeat(|| self.api.look(&submitted.id, LONG_POLL)).await? {
                Progress::Running => {}
                Progress::Finished { has_result, rows } => {
                    submitted.is_final = true;
                    return Ok((submitted, has_result, rows));
                }
                Progress::Failed(message) => {
                    submitted.is_final = true;
                    return Err(refused(&message));
                }
                Progress::Aborted => {
                    submitted.is_final = true;
                    return Err(refused("the statement was cancelled"));
                }
            }
            // Where the service waits for us there is no need to wait again.
            if asked.elapsed() < LONG_POLL / 2 {
                tokio::time::sleep(pause).await;
                pause = (pause * 3 / 2).min(Duration::from_secs(1));
            }
        }
    }

    /// Makes a call again while the service is out of breath, at random intervals that grow.
    async fn repeat<T, F>(&self, mut call: impl FnMut() -> F) -> Result<T, DatabaseError>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let mut limit = Duration::from_millis(200);
        for attempt in 1.. {
            match call().await {
                Ok(value) => return Ok(value),
                Err(fault) if attempt < ATTEMPTS && is_passing(&fault) => {
                    tokio::time::sleep(limit.mul_f64(rand::random())).await;
                    limit = (limit * 2).min(Duration::from_secs(10));
                }
                Err(fault) => return Err(self.error(&fault)),
            }
        }
        unreachable!("the last attempt returns")
    }

    fn error(&self, fault: &Fault) -> DatabaseError {
        if is_passing(fault) {
            return DatabaseError::Unreachable {
                server: self.name.clone(),
                message: fault.to_string(),
                obstacle: Obstacle::Other,
            };
        }
        DatabaseError::Refused { code: Some(fault.code.clone()), message: fault.to_string(), position: None }
    }
}

/// How long the service may wait inside one look.
const LONG_POLL: Duration = Duration::from_secs(20);

/// How often a call is made at most; with the pauses, about a minute.
const ATTEMPTS: u32 = 10;

fn is_passing(fault: &Fault) -> bool {
    matches!(fault.class, FaultClass::Throttled | FaultClass::Unavailable)
        || matches!(fault.code.as_str(), "ActiveStatementsExceededException" | "ActiveWaitingRequestsExceededException")
}

/// A statement on its way.
struct Submitted {
    api: Arc<dyn DataApi>,
    id: String,
    is_final: bool,
}

impl Drop for Submitted {
    fn drop(&mut self) {
        if self.is_final {
            return;
        }
        // Nobody waits for it any more, but it would go on and hold its locks.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (api, id) = (self.api.clone(), std::mem::take(&mut self.id));
            runtime.spawn(async move { api.cancel(&id).await });
        }
    }
}

/// The Data API gives `ERROR: message`, at times with `Position: 15;` on a line of its own.
fn refused(error: &str) -> DatabaseError {
    let mut message = Vec::new();
    let mut position = None;
    for line in error.strip_prefix("ERROR: ").unwrap_or(error).lines() {
        match line.trim().strip_prefix("Position: ") {
            Some(number) => position = number.trim_end_matches(';').trim().parse().ok(),
            None => message.push(line.trim_end()),
        }
    }
    DatabaseError::Refused { code: None, message: message.join("\n"), position }
}

#[async_trait]
impl Database for Redshift {
    fn dialect(&self) -> Dialect {
        Dialect::Redshift
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    async fn query(&self, sql: &str) -> Result<Rows, DatabaseError> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let (submitted, has_result, _) = self.run(&[sql.to_owned()]).await?;
        let mut all = Rows::default();
        if !has_result {
            return Ok(all);
        }
        let mut next = None;
        loop {
            let page = self.repeat(|| self.api.page(&submitted.id, next.clone())).await?;
            all.columns = page.rows.columns;
            all.rows.extend(page.rows.rows);
            next = page.next;
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    async fn execute(&self, sql: &str) -> Result<Option<u64>, DatabaseError> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        Ok(self.run(&[sql.to_owned()]).await?.2)
    }

    async fn transaction(&self, statements: &[String]) -> Result<(), DatabaseError> {
        if statements.is_empty() {
            return Ok(());
        }
        if statements.len() > BATCH_LIMIT {
            let count = statements.len();
            let message =
                format!("{count} statements in one transaction; the Redshift Data API takes at most {BATCH_LIMIT}");
            return Err(DatabaseError::Refused { code: None, message, position: None });
        }
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        self.run(statements).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, VecDeque};
    use std::sync::Mutex;

    use super::*;

    /// A Data API by script: faults before submissions, looks until done, pages.
    #[derive(Default)]
    struct Script {
        faults: VecDeque<Fault>,
        submissions: HashMap<String, Vec<String>>,
        attempts: usize,
        looks: VecDeque<Progress>,
        pages: Vec<Page>,
        cancelled: Vec<String>,
        active: usize,
        most_active: usize,
    }

    struct Api(Mutex<Script>);

    #[async_trait]
    impl DataApi for Api {
        async fn submit(&self, statements: &[String], token: &str) -> Result<String, Fault> {
            let mut script = self.0.lock().unwrap();
            script.attempts += 1;
            // The effect takes place even where the answer is lost.
            let known = script.submissions.insert(token.to_owned(), statements.to_vec()).is_some();
            if let Some(fault) = script.faults.pop_front() {
                return Err(fault);
            }
            script.active += usize::from(!known);
            script.most_active = script.most_active.max(script.active);
            Ok("id".to_owned())
        }

        async fn look(&self, _: &str, _: Duration) -> Result<Progress, Fault> {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let mut script = self.0.lock().unwrap();
            let progress = script.looks.pop_front();
            script.active = script.active.saturating_sub(usize::from(progress != Some(Progress::Running)));
            Ok(progress.unwrap_or(Progress::Finished { has_result: !script.pages.is_empty(), rows: Some(7) }))
        }

        async fn page(&self, _: &str, next: Option<String>) -> Result<Page, Fault> {
            let index: usize = next.map_or(0, |next| next.parse().unwrap());
            Ok(self.0.lock().unwrap().pages[index].clone())
        }

        async fn cancel(&self, id: &str) -> Result<(), Fault> {
            self.0.lock().unwrap().cancelled.push(id.to_owned());
            Ok(())
        }
    }

    fn redshift(script: Script) -> (Arc<Api>, Redshift) {
        let api = Arc::new(Api(Mutex::new(script)));
        (api.clone(), Redshift::new(api, "workgroup/club", 3))
    }

    fn page(value: &str, next: Option<&str>) -> Page {
        let rows = Rows { columns: vec!["a".to_owned()], rows: vec![vec![Some(value.to_owned())]] };
        Page { rows, next: next.map(str::to_owned) }
    }

    #[tokio::test]
    async fn a_statement_is_waited_for_and_all_pages_are_fetched() {
        let looks = [Progress::Running, Progress::Running].into();
        let (_, redshift) =
            redshift(Script { looks, pages: vec![page("1", Some("1")), page("2", None)], ..Script::default() });
        let rows = redshift.query("select a").await.unwrap();
        assert_eq!(rows.columns, ["a"]);
        assert_eq!(rows.rows, [[Some("1".to_owned())], [Some("2".to_owned())]]);
    }

    #[tokio::test]
    async fn a_repeated_submission_is_the_same_submission() {
        let fault = |class, code: &str| Fault {
            class,
            operation: "redshift-data:ExecuteStatement".to_owned(),
            code: code.to_owned(),
            message: "slow down".to_owned(),
            request_id: None,
        };
        let faults = [
            fault(FaultClass::Throttled, "ThrottlingException"),
            fault(FaultClass::Unavailable, "InternalServerException"),
            fault(FaultClass::Quota, "ActiveStatementsExceededException"),
        ];
        let (api, database) = redshift(Script { faults: faults.into(), ..Script::default() });
        assert_eq!(database.execute("delete").await.unwrap(), Some(7));
        assert_eq!(api.0.lock().unwrap().attempts, 4);
        assert_eq!(api.0.lock().unwrap().submissions.len(), 1);

        let denied = [fault(FaultClass::Denied, "AccessDeniedException")].into();
        let (_, database) = redshift(Script { faults: denied, ..Script::default() });
        let error = database.execute("delete").await.unwrap_err();
        assert!(matches!(&error, DatabaseError::Refused { code: Some(code), .. } if code == "AccessDeniedException"));
    }

    #[tokio::test]
    async fn a_refusal_has_the_server_s_message_and_position() {
        let failed = Progress::Failed("ERROR: relation \"x\" does not exist\n  Position: 15;".to_owned());
        let (_, redshift) = redshift(Script { looks: [failed].into(), ..Script::default() });
        let error = redshift.query("select * from x").await.unwrap_err();
        let DatabaseError::Refused { code: None, message, position: Some(15) } = error else { panic!("{error:?}") };
        assert_eq!(message, "relation \"x\" does not exist");
    }

    #[tokio::test]
    async fn a_transaction_is_one_batch_and_never_two() {
        let (api, redshift) = redshift(Script::default());
        let statements = |count| vec!["select 1".to_owned(); count];
        redshift.transaction(&statements(40)).await.unwrap();
        assert_eq!(api.0.lock().unwrap().submissions.values().next().unwrap().len(), 40);
        let error = redshift.transaction(&statements(41)).await.unwrap_err();
        assert!(error.to_string().contains("at most 40"), "{error}");
        redshift.transaction(&[]).await.unwrap();
        assert!(redshift.execute(&"x".repeat(STATEMENT_LIMIT + 1)).await.is_err());
        assert_eq!(api.0.lock().unwrap().attempts, 1);
    }

    #[tokio::test]
    async fn statements_at_once_are_limited() {
        let (api, redshift) = redshift(Script { looks: vec![Progress::Running; 5].into(), ..Script::default() });
        let all = futures::future::join_all((0..12).map(|_| redshift.execute("select 1"))).await;
        assert!(all.into_iter().all(|result| result.is_ok()));
        assert_eq!(api.0.lock().unwrap().attempts, 12);
        assert!((2..=3).contains(&api.0.lock().unwrap().most_active));
    }

    #[tokio::test]
    async fn a_dropped_call_cancels_its_statement() {
        let (api, redshift) = redshift(Script { looks: vec![Progress::Running; 10_000].into(), ..Script::default() });
        tokio::time::timeout(Duration::from_millis(50), redshift.execute("select 1")).await.unwrap_err();
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            if api.0.lock().unwrap().cancelled == ["id"] {
                return;
            }
        }
        panic!("it was not cancelled");
    }
}
