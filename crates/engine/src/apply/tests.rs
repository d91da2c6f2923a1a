//! Runs as a whole: what is made, in what time, and what becomes of it when things go wrong.

use std::fmt::Write;

use serde_json::json;

use super::*;
use crate::kind::{Tags, tag};
use crate::plan::{Action, Options};
use crate::testing::{Scene, Trouble, block_on, complaints, destroy, show, stack};

fn owned(stack: &str, resource: &str) -> Tags {
    Tags::from([(tag::STACK.to_owned(), stack.to_owned()), (tag::RESOURCE.to_owned(), resource.to_owned())])
}

/// The number of the next call that begins so, when the same thing is done on an account without
/// troubles.
async fn number_of(call: &str, text: &str) -> usize {
    let scene = Scene::new();
    scene.apply(&stack(text), &Options::default()).await;
    scene.cloud.calls().iter().position(|made| made.starts_with(call)).unwrap_or_else(|| panic!("no call `{call}`"))
}

fn retries(scene: &Scene) -> usize {
    scene.events().iter().filter(|event| matches!(event.kind, EventKind::StepRetried { .. })).count()
}

#[test]
fn the_wall_time_is_the_critical_path_of_the_objects_themselves() {
    let mut text = String::from("net/network net range=10.0.0.0/16\n");
    for line in 0..40 {
        let group = format!("net/group g{line} network=@net.id about=x ports=[{line}]");
        let instance = format!("pipe/instance i{line} class=small zone=a groups=[@g{line}.id]");
        let endpoint = format!("pipe/endpoint e{line} host=h{line} engine=postgres");
        let task = format!("pipe/task t{line} instance=@i{line}.arn source=@e{line}.arn mode=full");
        let house = format!("house/workgroup w{line} capacity={line} groups=[@g{line}.id]");
        let _infallible = writeln!(text, "{group}\n{instance}\n{endpoint}\n{task}\n{house}");
    }
    block_on(async {
        let mut scene = Scene::new();
        // Fewer than there are instances to wait for: waiting takes no turn.
        scene.parallelism = 16;
        let stack = stack(&text);
        let plan = scene.plan(&stack, &Options::default()).await.unwrap();
        assert_eq!(plan.steps.len(), 201);
        let summary = scene.carry_out(&plan).await.unwrap().unwrap();
        assert!(summary.is_complete());
        let ratio = summary.elapsed / plan.seconds.typical;
        assert!((0.99..=1.05).contains(&ratio), "{} s, planned {} s", summary.elapsed, plan.seconds.typical);
        let lists = scene.cloud.calls().iter().filter(|call| call.starts_with("list pipe/instance")).count();
        assert!(lists < 100, "forty instances are waited for together, not with {lists} lists");
        let before = scene.cloud.calls().len();
        assert!(scene.plan(&stack, &Options::default()).await.unwrap().is_empty());
        assert!(scene.cloud.calls().len() - before <= scene.registry.names().count(), "one list per kind");
    });
}

#[test]
fn the_longest_way_goes_first_where_not_all_can_go_at_once() {
    let text = "
        data/bucket one versions=true
        data/bucket two versions=true
        pipe/instance main class=small zone=a
        pipe/endpoint source host=h engine=e
        pipe/task load instance=@main.arn source=@source.arn mode=full
    ";
    block_on(async {
        let mut scene = Scene::new();
        scene.parallelism = 1;
        scene.apply(&stack(text), &Options::default()).await;
        let calls = scene.cloud.calls();
        let first = calls.iter().find(|call| call.starts_with("create")).unwrap();
        assert_eq!(first, "create pipe/instance shop-main");
    });
}

/// Neither waits nor retries nor the search for what a lost answer may have made go by the time of day.
#[test]
fn a_clock_that_is_set_in_the_middle_changes_nothing() {
    let text = "
        net/network net range=10.0.0.0/16
        net/group web network=@net.id about=x ports=[80]
        pipe/instance main class=small zone=a groups=[@web.id]
    ";
    let day = 86_400;
    block_on(async {
        let create = number_of("create net/group", text).await;
        let mut runs = Vec::new();
        for set in [0, day, -day] {
            let scene = Scene::new();
            scene.cloud.trouble(create, Trouble::UnavailableAfter);
            scene.cloud.trouble(create + 1, Trouble::Throttle);
            let stack = stack(text);
            let plan = scene.plan(&stack, &Options::default()).await.unwrap();
            let setter = async {
                for _ in 0..200 {
                    scene.clock.sleep(std::time::Duration::from_millis(500)).await;
                    scene.clock.set_ahead(set);
                }
            };
            let (summary, ()) = futures::join!(scene.carry_out(&plan), setter);
            let summary = summary.unwrap().unwrap();
            assert!(summary.is_complete(), "{set}: {summary:?}");
            runs.push((summary.elapsed, scene.cloud.calls()));
        }
        assert_eq!(runs[0], runs[1]);
        assert_eq!(runs[0], runs[2]);
    });
}

#[test]
fn a_call_is_made_again_by_the_class_of_its_fault() {
    let text = "data/bucket one versions=true";
    block_on(async {
        let create = number_of("create", text).await;
        for (trouble, passes) in [
            (Trouble::Throttle, true),
            (Trouble::UnavailableBefore, true),
            (Trouble::UnavailableAfter, true),
            (Trouble::Denied, false),
        ] {
            let scene = Scene::new();
            scene.cloud.trouble(create, trouble);
            let summary = scene.attempt(&stack(text), &Options::default()).await.unwrap();
            assert_eq!(summary.is_complete(), passes, "{trouble:?}");
            let made = scene.cloud.objects().len();
            assert_eq!(made, usize::from(passes), "{trouble:?}");
            if trouble == Trouble::Denied {
                assert_eq!(retries(&scene), 0);
                assert_eq!(summary.failed[0].1.class, FaultClass::Denied);
            }
        }
    });
}

#[test]
fn a_service_that_is_busy_is_waited_for() {
    let text = "pipe/instance main class=small zone=a";
    block_on(async {
        let scene = Scene::new();
        scene.apply(&stack(text), &Options::default()).await;
        let plan = scene.plan(&stack(""), &Options::default()).await.unwrap();
        // Somebody else uses it for a while.
        let arn = "arn:fake:pipe:instance:shop-main";
        scene.cloud.plant("pipe/task", "theirs", &json!({ "instance": arn }), &Tags::new());
        let release = async {
            scene.clock.sleep(std::time::Duration::from_mins(5)).await;
            scene.cloud.vanish("pipe/task", "theirs");
        };
        let (summary, ()) = futures::join!(scene.carry_out(&plan), release);
        assert!(summary.unwrap().unwrap().is_complete());
        assert!(retries(&scene) > 3);
        assert!(scene.cloud.objects().is_empty());
    });
}

#[test]
fn a_name_that_is_taken_meanwhile_is_ours_only_by_its_tags() {
    let text = "pipe/endpoint source host=a engine=b";
    block_on(async {
        let scene = Scene::new();
        let plan = scene.plan(&stack(text), &Options::default()).await.unwrap();
        scene.cloud.plant("pipe/endpoint", "shop-source", &json!({"host": "a"}), &owned("shop", "source"));
        let ours = scene.carry_out(&plan).await.unwrap().unwrap();
        assert!(ours.is_complete());
        assert!(
            scene.events().iter().any(|event| matches!(event.kind, EventKind::StepSucceeded { recovered: true, .. }))
        );
        for tags in [owned("other", "source"), Tags::new()] {
            let scene = Scene::new();
            let plan = scene.plan(&stack(text), &Options::default()).await.unwrap();
            scene.cloud.plant("pipe/endpoint", "shop-source", &json!({"host": "theirs"}), &tags);
            let summary = scene.carry_out(&plan).await.unwrap().unwrap();
            assert_eq!(summary.failed[0].1.class, FaultClass::AlreadyExists);
            assert!(summary.failed[0].1.message.contains("it was left alone"), "{}", summary.failed[0].1);
            let (_, object) = scene.cloud.objects().remove(0);
            assert_eq!(object.state["host"], json!("theirs"));
            assert_eq!(object.tags, Some(tags));
        }
    });
}

#[test]
fn a_lost_answer_makes_no_second_object_even_where_names_are_not_unique() {
    let text = "net/network net range=10.0.0.0/16";
    block_on(async {
        let create = number_of("create", text).await;
        let scene = Scene::new();
        scene.cloud.trouble(create, Trouble::UnavailableAfter);
        scene.cloud.trouble(create + 1, Trouble::StaleList);
        scene.apply(&stack(text), &Options::default()).await;
        assert_eq!(scene.cloud.objects().len(), 1);
        assert_eq!(scene.cloud.calls().iter().filter(|call| call.starts_with("create")).count(), 1);
    });
}

#[test]
fn a_change_is_not_believed_before_a_list_shows_it() {
    block_on(async {
        let scene = Scene::new();
        scene.apply(&stack("data/bucket staging versions=false"), &Options::default()).await;
        let plan = scene.plan(&stack("data/bucket staging versions=true"), &Options::default()).await.unwrap();
        let planned = scene.cloud.calls().len();
        // One list finds the bucket, then it is changed, then a list shows it as it was before.
        scene.cloud.trouble(planned + 2, Trouble::StaleList);
        assert!(scene.carry_out(&plan).await.unwrap().unwrap().is_complete());
        let calls = scene.cloud.calls()[planned..].to_vec();
        assert!(calls[1].starts_with("update"), "{calls:?}");
        assert!(calls[2..].iter().filter(|call| call.starts_with("list")).count() > 1, "{calls:?}");
    });
}

#[test]
fn tags_that_were_lost_on_the_way_are_put_on() {
    let text = "pipe/instance main class=small zone=a";
    block_on(async {
        let create = number_of("create", text).await;
        let scene = Scene::new();
        scene.cloud.trouble(create, Trouble::LostTags);
        scene.apply(&stack(text), &Options::default()).await;
        assert_eq!(scene.cloud.objects()[0].1.owner(), Some(("shop", "main")));
        assert!(scene.plan(&stack(text), &Options::default()).await.unwrap().is_empty());
    });
}

const BRANCHES: &str = "
    data/bucket alone versions=true
    net/network net range=10.0.0.0/16
    net/group web network=@net.id about=web
    pipe/instance main class=small zone=a groups=[@web.id]
    pipe/endpoint source host=a engine=b
    pipe/task load instance=@main.arn source=@source.arn mode=full
";

#[test]
fn an_account_wide_object_that_somebody_uses_since_the_plan_was_made_stays() {
    block_on(async {
        let scene = Scene::new();
        let role = stack("iam/role dms_role shared=true");
        scene.apply(&role, &Options::default()).await;
        let options = Options { include_shared: true, ..destroy(&[]) };
        let plan = scene.plan(&role, &options).await.unwrap();
        assert_eq!(plan.steps[0].action, Action::Delete);
        scene.cloud.tamper("iam/role", "dms-role", |_, tags, _| {
            tags.insert("towpath:used-by:other".to_owned(), "in-use".to_owned());
        });
        let summary = scene.carry_out(&plan).await.unwrap().unwrap();
        let [(_, fault)] = &summary.failed[..] else { panic!("{summary:#?}") };
        assert_eq!(fault.message, "`dms-role` is used by stack `other` since the plan was made");
        assert_eq!(scene.cloud.objects().len(), 1);
        // The next run gives it free.
        scene.apply(&role, &options).await;
        assert_eq!(scene.cloud.objects().len(), 1);
    });
}

#[test]
fn a_failure_stops_only_what_needs_it_and_the_rest_is_named() {
    block_on(async {
        let create = number_of("create net/group", BRANCHES).await;
        let scene = Scene::new();
        scene.cloud.trouble(create, Trouble::Denied);
        let summary = scene.attempt(&stack(BRANCHES), &Options::default()).await.unwrap();
        let blocked: Vec<String> = summary.blocked.iter().map(|(address, by)| format!("{address} by {by}")).collect();
        assert_eq!(blocked, ["pipe/instance.main by net/group.web", "pipe/task.load by net/group.web"]);
        assert_eq!((summary.failed.len(), summary.succeeded), (1, 3));
        scene.restart();
        scene.apply(&stack(BRANCHES), &Options::default()).await;
        assert_eq!(complaints(&scene.cloud, &stack(BRANCHES), &[]), Vec::<String>::new());
    });
}

#[test]
fn a_full_disk_stops_the_run_and_every_step_that_failed_by_it_is_told() {
    block_on(async {
        let scene = Scene::new();
        scene.fill(6);
        let summary = scene.attempt(&stack(BRANCHES), &Options::default()).await.unwrap();
        let told = scene.events().iter().filter(|event| matches!(event.kind, EventKind::StepFailed { .. })).count();
        assert!(!summary.failed.is_empty() && told == summary.failed.len(), "{told} told of {summary:#?}");
        assert!(summary.failed.iter().all(|(_, fault)| fault.message.contains("the disk is full")), "{summary:#?}");
        scene.fill(usize::MAX);
        scene.apply(&stack(BRANCHES), &Options::default()).await;
        assert_eq!(complaints(&scene.cloud, &stack(BRANCHES), &[]), Vec::<String>::new());
    });
}

#[test]
fn an_interrupt_starts_nothing_new_and_the_next_run_takes_up_what_was_begun() {
    block_on(async {
        let scene = Scene::new();
        let stack = stack(BRANCHES);
        let plan = scene.plan(&stack, &Options::default()).await.unwrap();
        let interrupt = async {
            scene.clock.sleep(std::time::Duration::from_secs(30)).await;
            scene.interrupt.store(true, Ordering::SeqCst);
        };
        let (summary, ()) = futures::join!(scene.carry_out(&plan), interrupt);
        let summary = summary.unwrap().unwrap();
        assert_eq!(summary.left, 1, "the task");
        assert_eq!(summary.in_progress, [Address::new("pipe/instance", "main")]);
        assert!(
            scene
                .events()
                .iter()
                .any(|event| matches!(event.kind, EventKind::RunInterrupted { in_flight: 1, lease_lost: false }))
        );
        scene.restart();
        let next = scene.plan(&stack, &Options::default()).await.unwrap();
        let actions: Vec<Action> = next.steps.iter().map(|step| step.action).collect();
        assert_eq!(actions, [Action::Wait, Action::Create], "{}", show(&next));
        scene.apply(&stack, &Options::default()).await;
        assert_eq!(complaints(&scene.cloud, &stack, &[]), Vec::<String>::new());
    });
}

#[test]
fn a_run_that_lost_its_lease_makes_no_further_call() {
    block_on(async {
        let scene = Scene::new();
        let stack = stack(BRANCHES);
        let plan = scene.plan(&stack, &Options::default()).await.unwrap();
        let lose = async {
            scene.clock.sleep(std::time::Duration::from_secs(4)).await;
            scene.lease.lose();
            scene.cloud.calls().len()
        };
        let (summary, before) = futures::join!(scene.carry_out(&plan), lose);
        let summary = summary.unwrap().unwrap();
        assert!(summary.left > 1 && !summary.is_complete(), "{summary:?}");
        let after = scene.cloud.calls();
        let changes: Vec<&String> = after[before..].iter().filter(|call| !call.starts_with("list")).collect();
        assert!(changes.is_empty(), "{changes:?}");
    });
}

#[test]
fn tags_are_not_written_again_after_the_lease_was_lost() {
    block_on(async {
        let scene = Scene::new();
        let mut stack = stack("data/bucket staging");
        scene.apply(&stack, &Options::default()).await;
        stack.tags.insert("team".to_owned(), "data".to_owned());
        let plan = scene.plan(&stack, &Options::default()).await.unwrap();
        let before = scene.cloud.calls().len();
        scene.cloud.trouble(before + 1, Trouble::Throttle);
        let tags = || scene.cloud.calls()[before..].iter().filter(|call| call.starts_with("tag")).count();
        let lose = async {
            while tags() == 0 {
                scene.clock.sleep(std::time::Duration::from_millis(1)).await;
            }
            scene.lease.lose();
        };
        futures::join!(scene.carry_out(&plan), lose).0.unwrap().unwrap();
        assert_eq!(tags(), 1, "{:?}", &scene.cloud.calls()[before..]);
    });
}

#[test]
fn a_run_about_some_resources_settles_nothing_of_the_others() {
    block_on(async {
        let both = stack("data/bucket staging\npipe/endpoint source host=db1 engine=postgres");
        let dry = Scene::new();
        dry.apply(&both, &Options::default()).await;
        let create = dry.cloud.calls().iter().position(|call| call.starts_with("create pipe/endpoint")).unwrap();
        let scene = Scene::new();
        // The endpoint is made without its tags, and the program dies before it can see that.
        scene.cloud.trouble(create, Trouble::LostTags);
        scene.cloud.trouble(create + 1, Trouble::CrashBefore);
        assert!(scene.attempt(&both, &Options::default()).await.is_none());
        scene.restart();
        let only = Options { targets: vec!["staging".to_owned()], ..Options::default() };
        scene.apply(&both, &only).await;
        scene.apply(&both, &Options::default()).await;
        assert_eq!(complaints(&scene.cloud, &both, &[]), Vec::<String>::new());
    });
}

#[test]
fn work_that_a_dead_run_stopped_is_started_by_the_next() {
    let changed = BRANCHES.replace("host=a", "host=b");
    block_on(async {
        let scene = Scene::new();
        scene.apply(&stack(BRANCHES), &Options::default()).await;
        scene.cloud.tamper("pipe/task", "shop-load", |_, _, running| *running = true);
        let plan = scene.plan(&stack(&changed), &Options::default()).await.unwrap();
        // The program dies when the endpoint is changed and the task stands still.
        let done = scene.written() + 5;
        scene.tear(crate::testing::Tear::After(done));
        assert!(scene.carry_out(&plan).await.is_none());
        scene.restart();
        let next = scene.plan(&stack(&changed), &Options::default()).await.unwrap();
        let actions: Vec<Action> = next.steps.iter().map(|step| step.action).collect();
        assert_eq!(actions.last(), Some(&Action::Resume), "{}", show(&next));
        scene.apply(&stack(&changed), &Options::default()).await;
        assert!(scene.cloud.objects().iter().any(|(_, object)| object.running));
        assert!(scene.plan(&stack(&changed), &Options::default()).await.unwrap().is_empty());
    });
}

#[test]
fn work_is_started_again_although_the_change_failed() {
    let changed = BRANCHES.replace("host=a", "host=b");
    block_on(async {
        let scene = Scene::new();
        scene.apply(&stack(BRANCHES), &Options::default()).await;
        scene.cloud.tamper("pipe/task", "shop-load", |_, _, running| *running = true);
        let plan = scene.plan(&stack(&changed), &Options::default()).await.unwrap();
        scene.cloud.vanish("pipe/endpoint", "shop-source");
        let summary = scene.carry_out(&plan).await.unwrap().unwrap();
        assert_eq!(summary.failed.len(), 1);
        assert_eq!(summary.failed[0].1.class, FaultClass::NotFound);
        assert!(scene.cloud.objects().iter().any(|(_, object)| object.running));
    });
}

#[test]
fn work_that_is_over_before_anyone_looks_is_not_waited_for() {
    let changed = BRANCHES.replace("host=a", "host=b");
    for (ended, resumes, failed) in [("done", 0, 0), ("no room", 1, 1)] {
        block_on(async {
            let scene = Scene::new();
            scene.apply(&stack(BRANCHES), &Options::default()).await;
            scene.cloud.tamper("pipe/task", "shop-load", |state, _, running| {
                *running = true;
                state.insert("ended".to_owned(), json!(ended));
            });
            let plan = scene.plan(&stack(&changed), &Options::default()).await.unwrap();
            let summary = scene.carry_out(&plan).await.unwrap().unwrap();
            let resumed = scene.cloud.calls().iter().filter(|call| call.starts_with("resume")).count();
            assert_eq!((resumed, summary.failed.len()), (resumes, failed), "{ended}");
            assert!(summary.in_progress.is_empty() && summary.elapsed < 600.0, "{ended}: {} s", summary.elapsed);
            if let Some((_, fault)) = summary.failed.first() {
                assert!(fault.message.contains("no room"), "{fault}");
            }
        });
    }
}

#[test]
fn the_stack_says_how_long_a_step_is_waited_for() {
    let text = "pipe/instance main class=small zone=a";
    block_on(async {
        let scene = Scene::new();
        let mut stack = stack(text);
        stack.resources["main"].timeouts.create = Some(30);
        let plan = scene.plan(&stack, &Options::default()).await.unwrap();
        let summary = scene.carry_out(&plan).await.unwrap().unwrap();
        assert_eq!(summary.in_progress.len(), 1);
        assert!(summary.elapsed < plan.steps[0].seconds.typical, "{} s", summary.elapsed);
        stack.resources["main"].timeouts.create = None;
        let next = scene.plan(&stack, &Options::default()).await.unwrap();
        assert_eq!(next.steps[0].action, Action::Wait, "{}", show(&next));
        scene.apply(&stack, &Options::default()).await;
        assert_eq!(scene.cloud.calls().iter().filter(|call| call.starts_with("create")).count(), 1);
    });
}

#[test]
fn what_takes_too_long_is_in_progress_and_never_failed() {
    let text = "pipe/instance main class=small zone=a";
    block_on(async {
        let create = number_of("create", text).await;
        let scene = Scene::new();
        scene.cloud.trouble(create, Trouble::SlowState);
        let summary = scene.attempt(&stack(text), &Options::default()).await.unwrap();
        assert_eq!(summary.in_progress, [Address::new("pipe/instance", "main")]);
        assert!(summary.failed.is_empty());
        scene.apply(&stack(text), &Options::default()).await;
        assert!(scene.plan(&stack(text), &Options::default()).await.unwrap().is_empty());
    });
}

#[test]
fn the_next_plan_has_learned_how_long_things_take() {
    let text = "pipe/instance main class=small zone=a";
    block_on(async {
        let create = number_of("create", text).await;
        let scene = Scene::new();
        scene.cloud.trouble(create, Trouble::SlowState);
        scene.attempt(&stack(text), &Options::default()).await;
        scene.apply(&stack(text), &Options::default()).await;
        scene.apply(&stack(""), &destroy(&[])).await;
        let plan = scene.plan(&stack(text), &Options::default()).await.unwrap();
        assert!((plan.seconds.typical - 600.0).abs() < 1.0, "a creation that was not seen to its end teaches nothing");
        scene.apply(&stack(text), &Options::default()).await;
        let grown = stack(&format!("{text}\npipe/instance two class=small zone=a"));
        let seconds = scene.plan(&grown, &Options::default()).await.unwrap().seconds.typical;
        assert!((600.0..620.0).contains(&seconds), "{seconds}");
    });
}

#[test]
fn a_plan_of_another_version_is_not_carried_out() {
    block_on(async {
        let scene = Scene::new();
        let mut plan = scene.plan(&stack("data/bucket one versions=true"), &Options::default()).await.unwrap();
        plan.steps[0].address.kind = "data/barrel".to_owned();
        let error = scene.carry_out(&plan).await.unwrap().unwrap_err();
        assert!(matches!(error, RunError::UnknownKind(kind) if kind == "data/barrel"));
        assert!(scene.journal.entries().unwrap().is_empty());
    });
}

#[test]
fn a_create_that_was_cut_off_is_finished_by_the_same_run_and_teaches_no_duration() {
    let text = "net/network net range=10.0.0.0/16\nnet/group web network=@net.id about=web ports=[80,443]";
    block_on(async {
        let create = number_of("create net/group", text).await;
        for (trouble, retried) in
            [(Trouble::HalfMade, false), (Trouble::CrashHalfway, true), (Trouble::LostTags, false)]
        {
            let scene = Scene::new();
            scene.cloud.trouble(create, trouble);
            let summary = scene.attempt(&stack(text), &Options::default()).await;
            assert_eq!(summary.is_none(), retried, "{trouble:?}");
            scene.restart();
            if retried {
                scene.apply(&stack(text), &Options::default()).await;
            }
            let plan = scene.plan(&stack(text), &Options::default()).await.unwrap();
            assert!(plan.is_empty(), "{trouble:?}:\n{}", show(&plan));
            assert_eq!(complaints(&scene.cloud, &stack(text), &[]), Vec::<String>::new(), "{trouble:?}");
            let replay = crate::journal::replay(&scene.journal.entries().unwrap());
            let learned = replay.learned("net/group", Action::Create);
            assert_eq!(learned.is_some(), trouble == Trouble::LostTags, "{trouble:?}: {learned:?}");
        }
    });
}

#[test]
fn what_is_somebody_elses_when_its_turn_comes_is_left_alone() {
    let text = "
        data/bucket staging versions=true
        data/bucket archive versions=true
        pipe/endpoint source host=h engine=e
    ";
    let edited = "
        data/bucket archive versions=false
        pipe/endpoint source host=h engine=e
    ";
    block_on(async {
        let scene = Scene::new();
        scene.apply(&stack(text), &Options::default()).await;
        let plan = scene.plan(&stack(edited), &Options::default()).await.unwrap();
        assert_eq!(plan.steps.len(), 2, "{}", show(&plan));
        // Somebody deletes both and takes their names, one with an own stack.
        scene.cloud.tamper("data/bucket", "shop-staging", |_, tags, _| tags.clear());
        scene.cloud.tamper("data/bucket", "shop-archive", |_, tags, _| *tags = owned("fleet", "archive"));
        let calls = scene.cloud.calls().len();
        let summary = scene.carry_out(&plan).await.unwrap().unwrap();
        let texts: Vec<String> = summary.failed.iter().map(|(_, fault)| fault.message.clone()).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(
            texts.iter().any(|text| text
                .contains("`shop-staging` was this stack's when the plan was made and carries no towpath tags now")),
            "{texts:?}"
        );
        assert!(
            texts.iter().any(|text| text.contains("belongs to `archive` of stack `fleet` now; it was left alone")),
            "{texts:?}"
        );
        let made = scene.cloud.calls().split_off(calls);
        assert!(made.iter().all(|call| call.starts_with("list")), "{made:?}");
        assert!(scene.cloud.objects().iter().any(|(_, object)| object.identity == "shop-staging"));
    });
}
