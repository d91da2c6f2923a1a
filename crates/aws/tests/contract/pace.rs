//! The pace of calls, against a sandbox that refuses what is too fast as DMS does.

use futures::future::join_all;
use towpath_aws::cloud::Cloud;
use towpath_aws::connection::{Connection, Credentials};
use towpath_aws::fault::fault;
use towpath_engine::apply::retry::Retry;
use towpath_engine::clock::Clock;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::secret::Secrets;
use towpath_sandbox::{Options, Sandbox};

/// As slow as AWS: DMS takes 200 calls at once and 8 a second. A machine that is busy with other things is late by a few of
/// them, not by all.
const SPEED: f64 = 1.0;

struct Unhurried;

#[async_trait::async_trait]
impl Clock for Unhurried {
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        chrono::Utc::now()
    }
    async fn sleep(&self, duration: std::time::Duration) {
        tokio::time::sleep(duration).await;
    }
}

async fn sandbox() -> (Sandbox, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { speed: SPEED, ..Options::new(directory.path()) };
    (Sandbox::start(options).await.unwrap(), directory)
}

/// A client of its own, as fast as at a speed.
fn client(sandbox: &Sandbox, speed: f64) -> Cloud {
    let connection = Connection {
        region: Some("eu-north-1".to_owned()),
        endpoint_url: Some(sandbox.endpoint()),
        credentials: Some(Credentials::lasting("test", "test")),
        profile: None,
        speed: Some(speed),
    };
    Cloud::connect(connection, Secrets::default())
}

async fn describe(cloud: &Cloud) -> Result<(), Fault> {
    cloud.dms().await.describe_endpoints().send().await.map(drop).map_err(fault("dms:DescribeEndpoints"))
}

/// How many of so many calls at once were refused as too many.
async fn refused(cloud: &Cloud, calls: usize) -> usize {
    let answers = join_all((0..calls).map(|_| describe(cloud))).await;
    let throttled = |answer: &&Result<(), Fault>| {
        answer.as_ref().is_err_and(|fault| {
            assert_eq!(fault.class, FaultClass::Throttled, "{fault}");
            true
        })
    };
    answers.iter().filter(throttled).count()
}

#[tokio::test]
async fn a_burst_of_calls_is_spread_so_that_the_service_refuses_next_to_none() {
    let (slow, _directory) = sandbox().await;
    let (other, _directory_of_other) = sandbox().await;
    let hasty = refused(&client(&slow, 1e9), 700).await;
    let paced = refused(&client(&other, SPEED), 250).await;
    assert!(hasty > 100, "{hasty} of 700 were refused");
    // All of 50 would be without a pace. A machine that stands still for a second brings 8 calls too early.
    assert!(paced < 25, "{paced} of 250 were refused, and {hasty} of 700 without a pace");
    slow.shutdown().await;
    other.shutdown().await;
}

#[tokio::test]
async fn what_another_client_has_used_up_is_waited_for_by_the_engine() {
    let (sandbox, _directory) = sandbox().await;
    assert!(refused(&client(&sandbox, 1e9), 700).await > 0);
    let cloud = client(&sandbox, SPEED);
    let told = std::sync::atomic::AtomicUsize::new(0);
    let notify = |fault: &Fault, _: f64| {
        assert_eq!(fault.class, FaultClass::Throttled);
        told.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    };
    let retry = Retry::new(&Unhurried, 1).telling(&notify);
    let answers = join_all((0..40).map(|_| retry.call("dms:DescribeEndpoints", || describe(&cloud)))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let retries = told.load(std::sync::atomic::Ordering::SeqCst);
    assert!(retries > 0, "the burst was seen");
    sandbox.shutdown().await;
}
