//! Stopping work for a change and starting it again.
//!
//! Before a stop is called, the object carries the mark (`crate::resume`) by which the next run, wherever
//! it is, knows that the work must go on. No work is stopped whose mark the service does not show.

use super::Outcome;
use super::step::{Halt, One};
use super::wait::{Goal, STALE, with_identity};
use crate::fault::{Fault, FaultClass};
use crate::kind::{Object, Readiness, Tags};
use crate::resume;

/// Seconds between two looks for tags that were written.
const SEARCH: f64 = 2.0;

impl One<'_> {
    /// Stops running work, or starts it again.
    pub(super) async fn turn(&self, wanted: bool) -> Result<Outcome, Halt> {
        let (facts, poll) = (self.kind.facts(), self.poll());
        let began = self.run.context.clock.steady();
        let (mut attempt, mut is_marked) = (0, false);
        let object = loop {
            let object = self.required(&self.step.identity).await?;
            let ended = self.kind.ended(&object);
            let is_over = wanted && (ended == Some(Ok(())) || self.was_stopped_by_others());
            if object.readiness == Readiness::Ready && (object.running == wanted || is_over) {
                if wanted {
                    self.settle(&object).await?;
                } else if !is_marked && ended.is_none() && !resume::is_due(self.kind, &object) {
                    self.was_found_stopped();
                }
                return Ok(Outcome::Done { outputs: with_identity(&object), recovered: false });
            }
            self.may_call()?;
            if let Readiness::Pending(status) = &object.readiness {
                // What is starting cannot be stopped yet, and what is stopping cannot be started.
                if self.retry.since(began) >= poll.give_up || self.is_interrupted() {
                    return Ok(Outcome::Left { status: status.clone(), begun: false });
                }
                self.sleep(poll.interval).await;
                continue;
            }
            if !wanted && !is_marked {
                self.show_tags(&object, &resume::mark(self.kind, &object)).await?;
                is_marked = true;
            }
            self.may_change().await?;
            let call = if wanted { self.kind.resume(&object).await } else { self.kind.pause(&object).await };
            match call {
                Ok(()) => break object,
                Err(fault) => self.again(&fault, &mut attempt, began).await?,
            }
        };
        let goal = Goal::Running { identity: &self.step.identity, wanted };
        let outcome = self.wait(&goal, facts.update.typical, poll).await?;
        if wanted && matches!(outcome, Outcome::Done { .. }) {
            self.settle(&object).await?;
        }
        Ok(outcome)
    }

    /// Says on the object that its work goes on.
    async fn settle(&self, object: &Object) -> Result<(), Halt> {
        let tags = resume::settled(self.kind);
        if tags.is_empty() { Ok(()) } else { self.write_tags(object, &tags).await }
    }

    /// Writes tags and returns once the service shows them.
    async fn show_tags(&self, object: &Object, tags: &Tags) -> Result<(), Halt> {
        let began = self.run.context.clock.steady();
        let shows = |object: &Object| {
            tags.iter().all(|(key, value)| object.tags.as_ref().is_some_and(|live| live.get(key) == Some(value)))
        };
        let mut object = object.clone();
        while !shows(&object) {
            self.write_tags(&object, tags).await?;
            object = self.required(&self.step.identity).await?;
            if shows(&object) {
                break;
            }
            let hidden = Fault::local(
                FaultClass::Unavailable,
                format!("{}:tag", self.kind.kind()),
                format!("`{}` does not show the tags that were written, so it was not stopped", object.identity),
            );
            if self.is_interrupted() {
                return Err(Halt::Interrupted(hidden));
            }
            if self.retry.since(began) >= STALE {
                return Err(hidden.into());
            }
            self.sleep(SEARCH).await;
        }
        Ok(())
    }

    fn was_found_stopped(&self) {
        self.run.stopped().insert(self.step.address.clone());
    }

    fn was_stopped_by_others(&self) -> bool {
        self.run.stopped().contains(&self.step.address)
    }
}

#[cfg(test)]
mod tests {
    use crate::clock::Clock;
    use crate::plan::{Action, Options};
    use crate::stack::Stack;
    use crate::testing::{Scene, Trouble, block_on, show, stack};

    const BEFORE: &str = "
        pipe/instance main class=small zone=a
        pipe/endpoint source host=a engine=postgres
        pipe/task load instance=@main.arn source=@source.arn mode=full
    ";

    fn after() -> Stack {
        stack(&BEFORE.replace("host=a", "host=b"))
    }

    /// A task that runs, and how many calls were made until then.
    async fn running() -> (Scene, usize) {
        let scene = Scene::new();
        scene.apply(&stack(BEFORE), &Options::default()).await;
        scene.cloud.tamper("pipe/task", "shop-load", |_, _, running| *running = true);
        let calls = scene.cloud.calls().len();
        (scene, calls)
    }

    fn runs(scene: &Scene) -> bool {
        scene.cloud.objects().iter().any(|(_, object)| object.running)
    }

    /// The calls that change the task, in order.
    fn turns(scene: &Scene, since: usize) -> Vec<String> {
        let calls = scene.cloud.calls().split_off(since);
        let of_task = calls.into_iter().filter(|call| call.contains("pipe/task") && !call.starts_with("list"));
        of_task.map(|call| call.split(' ').next().unwrap_or_default().to_owned()).collect()
    }

    /// The number of the first call of a verb in a run that nothing disturbs.
    async fn number(verb: &str) -> usize {
        let (scene, calls) = running().await;
        scene.apply(&after(), &Options::default()).await;
        let found = scene.cloud.calls()[calls..].iter().position(|call| call.starts_with(&format!("{verb} pipe/task")));
        calls + found.unwrap_or_else(|| panic!("no call {verb}"))
    }

    #[test]
    fn the_mark_is_there_before_the_stop_and_settled_after_the_start() {
        block_on(async {
            let (scene, calls) = running().await;
            scene.apply(&after(), &Options::default()).await;
            assert_eq!(turns(&scene, calls), ["tag", "pause", "resume", "tag"]);
            assert!(scene.plan(&after(), &Options::default()).await.unwrap().is_empty());
        });
    }

    #[test]
    fn nothing_is_stopped_whose_mark_does_not_show() {
        block_on(async {
            let lost = number("tag").await;
            let (scene, calls) = running().await;
            scene.cloud.trouble(lost, Trouble::LostTags);
            scene.apply(&after(), &Options::default()).await;
            assert_eq!(turns(&scene, calls), ["tag", "tag", "pause", "resume", "tag"]);
        });
    }

    #[test]
    fn work_that_somebody_stops_before_its_turn_is_not_started() {
        block_on(async {
            let (scene, calls) = running().await;
            let plan = scene.plan(&after(), &Options::default()).await.unwrap();
            scene.cloud.tamper("pipe/task", "shop-load", |_, _, running| *running = false);
            let summary = scene.carry_out(&plan).await.unwrap().unwrap();
            assert!(summary.is_complete(), "{summary:?}");
            assert!(!runs(&scene));
            assert_eq!(turns(&scene, calls), ["tag"], "the mark that there may have been is settled");
            assert!(scene.plan(&after(), &Options::default()).await.unwrap().is_empty());
        });
    }

    #[test]
    fn a_mark_that_a_dead_run_left_says_nothing_of_later_work() {
        block_on(async {
            // It dies when the work was started again, and before the mark is settled.
            let start = number("resume").await;
            let (scene, _) = running().await;
            scene.cloud.trouble(start, Trouble::CrashAfter);
            assert!(scene.attempt(&after(), &Options::default()).await.is_none());
            scene.restart();
            scene.forget();
            scene.clock.sleep(std::time::Duration::from_hours(1)).await;
            assert!(runs(&scene));
            let plan = scene.plan(&after(), &Options::default()).await.unwrap();
            let actions: Vec<Action> = plan.steps.iter().map(|step| step.action).collect();
            assert_eq!(actions, [Action::Tag], "{}", show(&plan));
            // Somebody stops it and means it.
            scene.cloud.tamper("pipe/task", "shop-load", |_, _, running| *running = false);
            let plan = scene.plan(&after(), &Options::default()).await.unwrap();
            assert!(plan.is_empty(), "{}", show(&plan));
        });
    }
}
