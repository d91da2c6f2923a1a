//! Random stacks, edits, moves, changes behind our back, troubles, deaths and lost journals against the model of
//! `testing::complaints`: after quiet runs the plan is empty and the world is what the stack says; a
//! run that says it is complete leaves nothing to plan; what was moved stays the same object.
//!
//! A failure prints its seed; `TOWPATH_SEED=n cargo test -p towpath-engine random` tells that
//! story alone, and `TOWPATH_SWEEP=long` tells some thousands.

use std::collections::BTreeSet;
use std::fmt::Write;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::clock::Clock;
use crate::kind::Object;
use crate::plan::{Action, Options, Reason, Step};
use crate::stack::Stack;
use crate::testing::{Scene, Tear, Trouble, block_on, complaints, destroy, show, stack};

/// How many seeds a usual test run tries, and how many a long one.
const SEEDS: (u64, u64) = (25, 4000);

fn pick<'a>(random: &mut StdRng, from: &[&'a str]) -> &'a str {
    from[random.random_range(0..from.len())]
}

/// The items of a list, each with even chance.
fn some(random: &mut StdRng, from: &[String]) -> String {
    let chosen: Vec<&str> = from.iter().filter(|_| random.random_bool(0.5)).map(String::as_str).collect();
    format!("[{}]", chosen.join(","))
}

/// A stack whose names come from a small pool, so that the next one shares many of them. `first` is
/// what the first instance is called.
fn invent(random: &mut StdRng, first: &str) -> String {
    let mut text = String::new();
    let mut groups: Vec<String> = Vec::new();
    let mut put = |line: String| {
        let _infallible = writeln!(text, "{line}");
    };
    if random.random_bool(0.8) {
        put(format!("net/network net range={}", if random.random_bool(0.9) { "10.0.0.0/16" } else { "10.1.0.0/16" }));
        for name in ["web", "dbs"] {
            if random.random_bool(0.7) {
                let about = if random.random_bool(0.85) { "usual" } else { "rare" };
                let ports = some(random, &["22".to_owned(), "80".to_owned(), "443".to_owned()]);
                let peer = groups.first().map(|first| format!("peer={first}")).unwrap_or_default();
                put(format!("net/group {name} network=@net.id about={about} ports={ports} {peer}"));
                groups.push(format!("@{name}.id"));
            }
        }
    }
    let bucket = random.random_bool(0.6);
    if bucket {
        put(format!("data/bucket staging versions={}", random.random_bool(0.5)));
    }
    let (mut instances, mut sources) = (Vec::new(), Vec::new());
    for name in [first, "spare"] {
        if random.random_bool(0.6) {
            let zone = if random.random_bool(0.85) { "a" } else { "b" };
            let class = pick(random, &["small", "large"]);
            put(format!("pipe/instance {name} class={class} zone={zone} groups={}", some(random, &groups)));
            instances.push(name);
        }
    }
    for name in ["source", "target"] {
        if random.random_bool(0.7) {
            let to = if bucket { "bucket=@staging.name" } else { "" };
            put(format!("pipe/endpoint {name} host={} engine=postgres {to}", pick(random, &["db1", "db2"])));
            sources.push(name);
        }
    }
    for name in ["load", "follow"] {
        if random.random_bool(0.7) && !instances.is_empty() && !sources.is_empty() {
            let (instance, source) = (pick(random, &instances), pick(random, &sources));
            let mode = pick(random, &["full", "cdc"]);
            put(format!("pipe/task {name} instance=@{instance}.arn source=@{source}.arn mode={mode}"));
        }
    }
    if random.random_bool(0.6) {
        let database = if random.random_bool(0.9) { "club" } else { "shop" };
        put(format!("house/namespace house database={database}"));
        let (capacity, port) = (pick(random, &["8", "16"]), pick(random, &["5439", "5440"]));
        let groups = some(random, &groups);
        put(format!("house/workgroup wide namespace=@house.name capacity={capacity} port={port} groups={groups}"));
        if random.random_bool(0.5) {
            put(format!("house/limit cap workgroup=@wide.arn amount={}", random.random_range(1..3)));
        }
    }
    let mut addresses = Vec::new();
    for name in ["here", "there"] {
        if random.random_bool(0.6) {
            put(format!("plan/address {name} host={}", pick(random, &["db1", "db2"])));
            addresses.push(name);
        }
    }
    if random.random_bool(0.7) && !addresses.is_empty() {
        let (from, to) = (pick(random, &addresses), pick(random, &addresses));
        put(format!("plan/project move from=@{from}.arn to=@{to}.arn about={}", pick(random, &["boats", "trips"])));
    }
    text
}

/// Somebody changes, breaks, removes or starts something, or makes something of their own.
fn meddle(random: &mut StdRng, scene: &Scene, others: &mut BTreeSet<String>) {
    let ours: Vec<(&str, String)> = scene
        .cloud
        .objects()
        .into_iter()
        .filter(|(_, object)| !others.contains(&object.identity))
        .map(|(kind, object)| (kind, object.identity))
        .collect();
    if ours.is_empty() {
        return;
    }
    let (kind, identity) = &ours[random.random_range(0..ours.len())];
    match random.random_range(0..6) {
        0 => scene.cloud.vanish(kind, identity),
        1 if !matches!(*kind, "data/bucket" | "house/limit" | "net/network" | "net/group") => {
            scene.cloud.break_down(kind, identity);
        }
        2 => {
            let name = format!("theirs-{}", others.len());
            others.insert(scene.cloud.plant(kind, &name, &json!({}), &crate::kind::Tags::new()));
        }
        _ => scene.cloud.tamper(kind, identity, |state, _, running| match *kind {
            "pipe/task" => *running = !*running,
            "pipe/instance" => drop(state.insert("class".to_owned(), json!("odd"))),
            "pipe/endpoint" | "plan/address" => drop(state.insert("host".to_owned(), json!("odd"))),
            "house/workgroup" => drop(state.insert("capacity".to_owned(), json!(99))),
            "net/group" => drop(state.insert("ports".to_owned(), json!([1, 2, 3]))),
            _ => {}
        }),
    }
}

/// Lets up to three things go wrong in the next run. Whether it may be misled about what there is:
/// then it may say that it is done and be wrong.
fn endanger(random: &mut StdRng, scene: &Scene) -> bool {
    let mut misled = false;
    for _ in 0..random.random_range(0..=3) {
        if random.random_bool(0.2) {
            let entry = scene.written() + random.random_range(0..25);
            scene.tear(if random.random_bool(0.5) { Tear::Before(entry) } else { Tear::After(entry) });
            continue;
        }
        let call = scene.cloud.calls().len() + random.random_range(0..70);
        let trouble = Trouble::ALL[random.random_range(0..Trouble::ALL.len())];
        misled |= matches!(trouble, Trouble::StaleList | Trouble::LostTags);
        scene.cloud.trouble(call, trouble);
    }
    misled
}

/// New programs until one has nothing left to do.
async fn quiet(scene: &Scene, stack: &Stack, options: &Options) -> Result<(), String> {
    for _ in 0..8 {
        scene.restart();
        let summary = scene.attempt(stack, options).await;
        let plan = scene.plan(stack, options).await.map_err(|fault| fault.to_string())?;
        if plan.is_empty() && plan.is_allowed() && summary.is_some_and(|summary| summary.is_complete()) {
            scene.clock.sleep(std::time::Duration::from_hours(1)).await;
            return Ok(());
        }
    }
    let last = scene.attempt(stack, options).await;
    let plan = scene.plan(stack, options).await.map_err(|fault| fault.to_string())?;
    Err(format!("does not converge, left to do:\n{}{last:#?}", show(&plan)))
}

/// A resource under another key is the same object: it is never made as if it were new.
async fn stays(scene: &Scene, stack: &Stack, options: &Options, (old, new): (&str, &str)) -> Result<(), String> {
    let is_old = |(kind, object): &(&str, Object)| *kind == "pipe/instance" && object.owner() == Some(("shop", old));
    if !scene.cloud.objects().iter().any(is_old) {
        return Ok(());
    }
    let plan = scene.plan(stack, options).await.map_err(|fault| fault.to_string())?;
    let is_new =
        |step: &Step| step.address.name == new && step.reason == Reason::Declared && step.action == Action::Create;
    if plan.steps.iter().any(is_new) {
        return Err(format!("`{old}` was moved to `{new}`:\n{}", show(&plan)));
    }
    Ok(())
}

/// The other one of the two names that the first instance goes by.
fn other(name: &str) -> &'static str {
    if name == "main" { "prime" } else { "main" }
}

async fn tell(seed: u64) -> Result<(), String> {
    let mut random = StdRng::seed_from_u64(seed);
    let scene = Scene::new();
    let mut others = BTreeSet::new();
    let leave = ["house", "staging"];
    let everything = Options { verb: crate::plan::Verb::Apply, ..destroy(&leave) };
    let mut name = "main";
    for chapter in 0..4 {
        let former = name;
        name = if random.random_bool(0.7) { former } else { other(former) };
        let text = if chapter == 3 { String::new() } else { invent(&mut random, name) };
        let team = pick(&mut random, &["boats", "boats", "ships"]);
        let has_moved = former != name && text.contains(&format!("pipe/instance {name} "));
        let moved = if has_moved { format!("moved {former} {name}\n") } else { String::new() };
        let text = format!("tag team {team}\n{moved}{text}");
        let stack = stack(&text);
        let options = if chapter == 3 { destroy(&leave) } else { everything.clone() };
        if has_moved {
            stays(&scene, &stack, &options, (former, name)).await?;
        }
        let misled = endanger(&mut random, &scene);
        let first = scene.attempt(&stack, &options).await;
        scene.restart();
        // Lost tags are found again by the journal alone.
        if !misled && random.random_bool(0.3) {
            scene.forget();
        }
        let of = |error: String| format!("chapter {chapter}:\n{text}\nfirst {first:?}\n{error}");
        if !misled && first.as_ref().is_some_and(super::Summary::is_complete) {
            let plan = scene.plan(&stack, &options).await.map_err(|fault| of(fault.to_string()))?;
            if !plan.is_empty() {
                return Err(of(format!("complete, and yet there is left to do:\n{}", show(&plan))));
            }
        }
        if random.random_bool(0.7) {
            meddle(&mut random, &scene, &mut others);
        }
        let result = quiet(&scene, &stack, &options).await;
        let names: Vec<&str> = others.iter().map(String::as_str).collect();
        let wrong = complaints(&scene.cloud, &stack, &names);
        result.and_then(|()| if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }).map_err(of)?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "how long a test may take is the business of who runs it")]
fn seeds() -> std::ops::Range<u64> {
    if let Some(seed) = std::env::var("TOWPATH_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return seed..seed + 1;
    }
    0..if std::env::var("TOWPATH_SWEEP").is_ok_and(|size| size == "long") { SEEDS.1 } else { SEEDS.0 }
}

#[test]
fn random_stories_end_as_the_stack_says() {
    for seed in seeds() {
        if let Err(error) = block_on(tell(seed)) {
            panic!("TOWPATH_SEED={seed} {error}");
        }
    }
}
