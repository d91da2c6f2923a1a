//! Every trouble at every call, and a death around every journal entry, of a small but complete
//! stack while it is made, changed, replaced and destroyed: the next runs must converge to what
//! the stack says, with nothing twice, nothing left and nothing to do by hand. Deaths at calls
//! are told once more with the journal lost after them.
//!
//! A test run takes a sample. `TOWPATH_SWEEP=long cargo test -p towpath-engine sweep` takes all.

use super::Summary;
use crate::clock::Clock;
use crate::plan::{Options, Verb};
use crate::stack::Stack;
use crate::testing::{Scene, Tear, Trouble, block_on, complaints, destroy, stack};

const BASE: &str = "
    net/network net range=10.0.0.0/16
    net/group web network=@net.id about=web ports=[80,443]
    iam/role dms_role shared=true trust={\"dms\":true}
    data/bucket staging versions=true
    pipe/instance main class=small zone=a groups=[@web.id]
    pipe/endpoint source host=db1 engine=postgres role=@dms_role.arn bucket=@staging.name
    house/workgroup wide capacity=8 port=5439 groups=[@web.id]
    house/limit cap workgroup=@wide.arn amount=10
    pipe/task load instance=@main.arn source=@source.arn mode=full
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    Make,
    Change,
    Replace,
    Shrink,
    Destroy,
}

impl Story {
    const ALL: [Self; 5] = [Self::Make, Self::Change, Self::Replace, Self::Shrink, Self::Destroy];

    fn stack(self) -> Stack {
        let text = match self {
            Self::Make | Self::Destroy => BASE.to_owned(),
            Self::Change => BASE
                .replace("host=db1", "host=db2")
                .replace("capacity=8 port=5439", "capacity=16 port=5440")
                .replace("ports=[80,443]", "ports=[22]"),
            Self::Replace => BASE.replace("about=web", "about=shop"),
            Self::Shrink => BASE
                .lines()
                .filter(|line| !line.contains("pipe/") && !line.contains("net/group"))
                .collect::<Vec<_>>()
                .join("\n")
                .replace("groups=[@web.id]", "groups=[]"),
        };
        stack(&text)
    }

    fn options(self) -> Options {
        match self {
            Self::Destroy => destroy(&["staging"]),
            _ => Options { allow_data_loss: vec!["staging".to_owned()], ..Options::default() },
        }
    }

    /// The world before the story: for all but the first the base, with its task running.
    async fn scene(self) -> Scene {
        let scene = Scene::new();
        if self != Self::Make {
            scene.apply(&stack(BASE), &Options::default()).await;
            scene.cloud.tamper("pipe/task", "shop-load", |_, _, running| *running = true);
        }
        scene
    }

    fn wrong(self, scene: &Scene) -> Vec<String> {
        let mut wrong = match self {
            Self::Destroy => complaints(&scene.cloud, &stack(""), &["dms-role"]),
            _ => complaints(&scene.cloud, &self.stack(), &[]),
        };
        if self == Self::Change && !scene.cloud.objects().iter().any(|(_, object)| object.running) {
            wrong.push("the task was left stopped".to_owned());
        }
        wrong
    }
}

#[derive(Clone, Copy, Debug)]
enum Accident {
    At(usize, Trouble),
    In(Tear),
}

/// Lets the accident happen and new programs carry on until a run is complete and its plan empty.
async fn tell(story: Story, accident: Accident, is_lost: bool) -> Result<(), String> {
    let scene = story.scene().await;
    match accident {
        Accident::At(call, trouble) => scene.cloud.trouble(scene.cloud.calls().len() + call, trouble),
        Accident::In(Tear::Before(entry)) => scene.tear(Tear::Before(scene.written() + entry)),
        Accident::In(Tear::After(entry)) => scene.tear(Tear::After(scene.written() + entry)),
    }
    let before = scene.cloud.calls().len();
    let first = scene.attempt(&story.stack(), &story.options()).await;
    scene.restart();
    if is_lost {
        scene.forget();
    }
    // Who is misled by a list before it acts, or told that tags were written, may say that it is done
    // and be wrong.
    let misled = match accident {
        Accident::At(call, Trouble::LostTags) => {
            scene.cloud.calls().get(before + call).is_some_and(|call| call.starts_with("tag"))
        }
        Accident::At(_, trouble) => trouble == Trouble::StaleList,
        Accident::In(_) => false,
    };
    if !misled && first.as_ref().is_some_and(Summary::is_complete) {
        let plan = scene.plan(&story.stack(), &story.options()).await.map_err(|fault| fault.to_string())?;
        if !plan.is_empty() {
            return Err(format!("complete, and yet there is left to do:\n{}", crate::testing::show(&plan)));
        }
    }
    for _ in 0..4 {
        let summary = scene.attempt(&story.stack(), &story.options()).await;
        let plan = scene.plan(&story.stack(), &story.options()).await.map_err(|fault| fault.to_string())?;
        if summary.is_some_and(|summary| summary.is_complete()) && plan.is_empty() {
            // What is on its way out needs nobody; it only takes its time.
            scene.clock.sleep(std::time::Duration::from_hours(1)).await;
            let wrong = story.wrong(&scene);
            return if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) };
        }
    }
    let plan = scene.plan(&story.stack(), &story.options()).await.map_err(|fault| fault.to_string())?;
    Err(format!(
        "does not converge, first {first:#?}, left to do:\n{}calls:\n{}",
        crate::testing::show(&plan),
        scene.cloud.calls()[before..].join("\n")
    ))
}

/// How many calls and entries the story has when nothing goes wrong, and the calls that change.
async fn measure(story: Story) -> (Vec<String>, usize) {
    let scene = story.scene().await;
    let (calls, written) = (scene.cloud.calls().len(), scene.written());
    let summary = scene.attempt(&story.stack(), &story.options()).await;
    assert!(summary.is_some_and(|summary| summary.is_complete()), "{story:?} fails by itself");
    assert_eq!(story.wrong(&scene), Vec::<String>::new(), "{story:?} ends wrong by itself");
    (scene.cloud.calls()[calls..].to_vec(), scene.written() - written)
}

#[expect(clippy::disallowed_methods, reason = "how long a test may take is the business of who runs it")]
fn is_long() -> bool {
    std::env::var("TOWPATH_SWEEP").is_ok_and(|size| size == "long")
}

fn sweep(story: Story) {
    let (calls, written) = block_on(measure(story));
    let mut accidents: Vec<Accident> = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        let changes = !call.starts_with("list");
        for (turn, trouble) in Trouble::ALL.into_iter().enumerate() {
            let worth = match trouble {
                Trouble::StaleList => !changes,
                Trouble::LostTags => call.starts_with("create") || call.starts_with("tag"),
                // Roles and limits have no states that they could fail in.
                Trouble::FailedState => call.starts_with("create") && !call.contains("role") && !call.contains("limit"),
                Trouble::SlowState | Trouble::HalfMade | Trouble::CrashHalfway => call.starts_with("create"),
                _ => true,
            };
            let sampled =
                if changes { trouble.is_crash() || (number + turn) % 2 == 0 } else { (number * 7 + turn) % 61 == 0 };
            if worth && (sampled || is_long()) {
                accidents.push(Accident::At(number, trouble));
            }
        }
    }
    for entry in 0..written {
        accidents.extend([Accident::In(Tear::Before(entry)), Accident::In(Tear::After(entry))]);
    }
    let mut wrong = Vec::new();
    for accident in &accidents {
        for is_lost in [false, true] {
            // Between a call and the entry after it nothing happens that the call alone does not show.
            let is_told = match accident {
                Accident::At(call, trouble) => trouble.is_crash() && (is_long() || call % 2 == 0),
                Accident::In(_) => false,
            };
            if is_lost && !is_told {
                continue;
            }
            if let Err(error) = block_on(tell(story, *accident, is_lost)) {
                let call = if let Accident::At(number, _) = accident { calls[*number].as_str() } else { "journal" };
                let and = if is_lost { ", then the journal is lost" } else { "" };
                wrong.push(format!("{accident:?} ({call}){and}: {error}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{story:?}: {} of {}:\n{}",
        wrong.len(),
        accidents.len(),
        wrong[..wrong.len().min(6)].join("\n\n")
    );
}

#[test]
fn making_a_stack_survives_every_accident() {
    sweep(Story::Make);
}

#[test]
fn changing_a_stack_survives_every_accident() {
    sweep(Story::Change);
}

#[test]
fn replacing_survives_every_accident() {
    sweep(Story::Replace);
}

#[test]
fn shrinking_a_stack_survives_every_accident() {
    sweep(Story::Shrink);
}

#[test]
fn destroying_a_stack_survives_every_accident() {
    sweep(Story::Destroy);
}

#[test]
fn every_story_is_swept_for_what_it_is() {
    for story in Story::ALL {
        let (calls, written) = block_on(measure(story));
        let changes = calls.iter().filter(|call| !call.starts_with("list")).count();
        assert!(changes > 3 && written > changes, "{story:?}: {changes} of {} calls, {written} entries", calls.len());
        println!("{story:?}: {changes} of {} calls, {written} entries", calls.len());
    }
    assert_eq!(Story::Destroy.options().verb, Verb::Destroy);
}
