//! The stack's lease as a command holds it: where it lies, what is asked for that, and what the run
//! says of itself in it.
//!
//! There is always one in a file, which keeps the journal to one writer and shows at once that a
//! process of this machine has ended. On AWS there is another one in S3, which every machine sees.
//! See `docs/decisions/0005-two-leases.md`.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use towpath_aws::lease::{S3Lease, bucket_of};
use towpath_engine::address::Address;
use towpath_engine::apply::retry::Retry;
use towpath_engine::clock::Clock;
use towpath_engine::diag::Diagnostic;
use towpath_engine::event::{Event, EventKind};
use towpath_engine::kind::{Place, Registry};
use towpath_engine::lease::{FileLease, Guard, Lease, LeaseError, LeaseStore, Terms, VALID, acquire};
use towpath_engine::plan::Action;
use towpath_engine::stack::{LeasePlace, Stack, Target};

use super::question::ask;
use super::session::Session;
use super::{CliError, Consent, Exit, data, plan};
use crate::report::output::Output;
use crate::report::run::doing;

/// The variable that shortens leases, so that tests need not wait for a minute.
const LENGTH_VARIABLE: &str = "TOWPATH_LEASE_SECONDS";

/// How often work outside of the engine looks whether the stack is still its own: with the two seconds for which the
/// store's word is enough it stays below the three that a take-over waits.
const LOOK: Duration = Duration::from_millis(500);

/// How to go on without S3.
const LOCAL: &str = "to keep the stack to one writer on this machine only: --lease local";

/// The stack's lease, held and renewed until released.
pub(super) struct Held {
    guard: Arc<Guard>,
    /// The lease in a file; the same as `guard` where there is no other.
    local: Arc<Guard>,
    renewals: Vec<tokio::task::JoinHandle<()>>,
    run: String,
}

impl Held {
    /// What the engine asks before every change.
    pub(super) fn guard(&self) -> &Guard {
        &self.guard
    }

    /// The run's id.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// Says what the run does now, for those who are refused.
    pub(super) fn step(&self, step: &str) {
        self.guard.step(step);
    }

    pub(super) fn is_lost(&self) -> bool {
        self.guard.is_lost()
    }

    /// Returns when the stack is lost.
    async fn lost(&self, clock: &dyn Clock) {
        while self.guard.may_change(clock).await {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Does work outside of the engine. An interrupt or the loss of the stack drops it in the middle, and nothing
    /// of it goes on after the lease has run out, as it does while the machine sleeps.
    pub(super) async fn keeping<T>(
        &self,
        session: &Session,
        again: &str,
        work: impl Future<Output = Result<T, CliError>>,
    ) -> Result<T, CliError> {
        let clock = session.clock.as_ref();
        let mut work = pin!(data::unless_interrupted(session, again, work));
        let work = std::future::poll_fn(|context| {
            if self.guard.is_valid(clock) { work.as_mut().poll(context).map(Some) } else { Poll::Ready(None) }
        });
        let done = tokio::select! {
            biased;
            () = self.lost(clock) => None,
            done = work => done,
        };
        done.unwrap_or_else(|| Err(self.loss().hint(format!("once nobody else is changing the stack: {again}"))))
    }

    /// The error of a run that lost the stack, without a way out yet.
    pub(super) fn loss(&self) -> CliError {
        let stopped = "and stopped before its next call";
        let Some(Lease { verb, holder, host, .. }) = self.guard.taken_by() else {
            let error =
                CliError::new(Exit::Resumable, format!("this run's lease ran out before it was renewed, {stopped}"));
            return self.guard.trouble().into_iter().fold(error, CliError::because);
        };
        CliError::new(
            Exit::Resumable,
            format!("this run lost the stack's lease to {verb} of {holder} on {host}, {stopped}"),
        )
    }

    /// Gives the stack free.
    pub(super) async fn release(self) {
        for renewal in &self.renewals {
            renewal.abort();
        }
        for guard in [&self.guard, &self.local] {
            if let Err(error) = guard.release().await {
                tracing::warn!(%error, "the lease was not released; it ends by itself");
            }
        }
    }
}

/// Takes the stack's lease or says who has it. Asks before a bucket is made for it.
pub(super) async fn hold(session: &Session, verb: &str, consent: Consent, output: &Output) -> Result<Held, CliError> {
    let far = session.reading(far(session, consent, output)).await?;
    let wanted = wanted(session, verb)?;
    let here: Arc<dyn LeaseStore> = Arc::new(FileLease::new(session.folder().join("lease.json")));
    let local = Arc::new(take(session, &here, &wanted, &[], output).await?);
    let renewed = |guard: &Arc<Guard>| {
        let (guard, clock): (_, Arc<dyn Clock>) = (guard.clone(), session.clock.clone());
        tokio::spawn(async move { guard.renew(clock.as_ref()).await })
    };
    let run = wanted.run.clone();
    let mut held = Held { guard: local.clone(), renewals: vec![renewed(&local)], local, run };
    if let Some(store) = far {
        match take(session, &store, &wanted, &held.local.gone(), output).await {
            Ok(guard) => held.guard = Arc::new(guard.beside(held.local.clone())),
            Err(error) => {
                held.release().await;
                return Err(error);
            }
        }
        held.renewals.push(renewed(&held.guard));
    }
    Ok(held)
}

/// The lease that this run wants.
fn wanted(session: &Session, verb: &str) -> Result<Lease, CliError> {
    let now = session.clock.now();
    let run = format!("{}-{}", now.format("%Y%m%d-%H%M%S"), &uuid::Uuid::new_v4().simple().to_string()[..6]);
    let variable = |name: &str| session.project.variable(name).unwrap_or("somebody").to_owned();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| variable("HOSTNAME"));
    let host = format!("{} (process {})", host.trim(), std::process::id());
    let length = session.project.variable(LENGTH_VARIABLE).map(|text| text.parse().ok().filter(|length| *length >= 2));
    let Some(valid) = length.unwrap_or(Some(VALID)) else {
        return Err(CliError::new(
            Exit::Usage,
            format!("`{LENGTH_VARIABLE}` is not a number of seconds from 2 upwards"),
        ));
    };
    Ok(Lease { valid, step: "planning".to_owned(), ..Lease::wanted(&run, &variable("USER"), &host, verb) })
}

async fn take(
    session: &Session,
    store: &Arc<dyn LeaseStore>,
    wanted: &Lease,
    gone: &[String],
    output: &Output,
) -> Result<Guard, CliError> {
    let watching = |held: &Lease, seconds: f64| {
        output.talk(&format!(
            "{} of {} on {} (run {}) has not renewed its lease; waiting for up to {seconds:.0} s to see whether it lives.",
            held.verb, held.holder, held.host, held.run
        ));
    };
    let terms = Terms { take_over: session.take_over, gone, watching: &watching };
    let taken = tokio::select! {
        taken = acquire(store, wanted.clone(), &terms, session.clock.as_ref()) => taken,
        () = super::interrupt::requested(&session.interrupt) => {
            return Err(CliError::new(Exit::Interrupted, "interrupted; nothing was done"));
        }
    };
    taken.map_err(|error| match error {
        LeaseError::Held { .. } => CliError::new(Exit::Failed, "somebody else is changing this stack")
            .because(&error)
            .hint("wait for it, or, only if that run is gone: --take-over"),
        LeaseError::Store { .. } => CliError::failed("the stack cannot be locked", &error),
    })
}

/// Where the lease lies besides the file: what the command line says, else the stack, else S3 on AWS.
async fn far(session: &Session, consent: Consent, output: &Output) -> Result<Option<Arc<dyn LeaseStore>>, CliError> {
    let declared = session.stack.lease.as_ref().map(|(place, _)| place);
    let is_local = match session.lease.as_deref() {
        Some(word) => word == "local",
        None => declared.map_or(session.stack.target == Target::Sandbox, |place| *place == LeasePlace::Local),
    };
    if is_local {
        if session.stack.target == Target::Aws {
            output.alert(
                "The lease lies on this machine only: nothing keeps another machine from changing this stack at the \
                 same time.",
            );
        }
        return Ok(None);
    }
    let place = session.locate().await?;
    let bucket = match declared {
        Some(LeasePlace::S3 { bucket: Some(bucket) }) => bucket.clone(),
        _ => bucket_of(&place),
    };
    let store = S3Lease::new(session.cloud.clone(), &bucket, &place.stack);
    let unusable = |fault| {
        CliError::failed(format!("the bucket `{bucket}` of the lease cannot be used"), &fault)
            .hint("to choose a bucket of your own, write in the stack file: lease: {bucket: NAME}")
            .hint(LOCAL)
    };
    let retry = Retry::new(session.clock.as_ref(), plan::seed());
    if !retry.call("s3", || store.has_bucket()).await.map_err(unusable)? {
        let absent = format!(
            "The bucket `{bucket}`, where leases keep two machines from changing one stack at once, does not exist."
        );
        output.talk(&absent);
        ask(&session.interrupt, consent, "Make it? It costs nothing while nobody works, and stays.", output)
            .await
            .map_err(|error| error.because(&absent).hint(LOCAL))?;
        retry.call("s3", || store.make_bucket()).await.map_err(unusable)?;
        output.talk(&format!("Made the bucket `{bucket}`. It belongs to no stack and is never deleted by towpath."));
    }
    Ok(Some(Arc::new(store)))
}

/// The mistake of a lease in a bucket that the stack makes and deletes.
pub(super) fn in_own_bucket(stack: &Stack, registry: &Registry) -> Option<Diagnostic> {
    let (LeasePlace::S3 { bucket: Some(bucket) }, span) = stack.lease.as_ref()? else { return None };
    let kind = registry.get("s3/bucket")?;
    let place = Place {
        stack: stack.name.clone(),
        account: stack.account.clone().unwrap_or_default(),
        region: stack.region.clone().unwrap_or_default(),
        partition: "aws".to_owned(),
    };
    let is_it = |name: &str, spec| kind.name(&place, name, spec).is_ok_and(|name| name == *bucket);
    let mut own = stack.resources.iter().filter(|(_, resource)| resource.address.kind == kind.kind());
    let (name, _) = own.find(|(name, resource)| is_it(name, &resource.spec))?;
    let summary = "The lease lies in a bucket of its own stack";
    let detail = format!(
        "`{name}` is made by the first apply and deleted by `destroy`: the lease would come too late and go too early."
    );
    Some(
        Diagnostic::error("lease-in-own-bucket", summary, span.clone(), "a bucket of this stack")
            .with_detail(detail)
            .with_help("Name a bucket outside of the stack, or write `lease: s3` for the account's bucket of leases."),
    )
}

/// What a run of the engine is at, in a few words.
#[derive(Default)]
pub(super) struct Steps(BTreeMap<usize, (Action, Address)>);

impl Steps {
    /// What it is at after an event, if that changed.
    pub(super) fn after(&mut self, event: &Event) -> Option<String> {
        match &event.kind {
            EventKind::StepStarted { step, address, action, .. } => {
                self.0.insert(*step, (*action, address.clone()));
            }
            EventKind::StepSucceeded { step, .. }
            | EventKind::StepFailed { step, .. }
            | EventKind::StepLeft { step, .. } => {
                self.0.remove(step);
            }
            _ => return None,
        }
        let (action, address) = self.0.values().next()?;
        let others = match self.0.len() - 1 {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        Some(format!("{} {address}{others}", doing(*action)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_is_at_names_one_step_and_counts_the_others() {
        let started = |step: usize, name: &str| {
            let address = Address { kind: "dms/endpoint".to_owned(), name: name.to_owned() };
            Event { at: 0.0, kind: EventKind::StepStarted { step, address, action: Action::Create, expected: 1.0 } }
        };
        let mut steps = Steps::default();
        assert_eq!(steps.after(&started(4, "source")).unwrap(), "creating dms/endpoint.source");
        assert_eq!(steps.after(&started(7, "target")).unwrap(), "creating dms/endpoint.source and 1 more");
        let address = Address { kind: "dms/endpoint".to_owned(), name: "source".to_owned() };
        let kind =
            EventKind::StepSucceeded { step: 4, address, action: Action::Create, elapsed: 1.0, recovered: false };
        assert_eq!(steps.after(&Event { at: 1.0, kind }).unwrap(), "creating dms/endpoint.target");
    }
}
