//! How long a plan of 1,000 resources takes, of an empty account and of one where nothing differs:
//! `cargo bench -p towpath-engine --features testing`. Prints the median of some runs.

use std::fmt::Write;
use std::time::{Duration, Instant};

use towpath_engine::journal::Replay;
use towpath_engine::observe::Observation;
use towpath_engine::plan::{BuildInput, Options, Plan, build};
use towpath_engine::stack::Stack;
use towpath_engine::testing::{Scene, block_on, stack};

const RUNS: usize = 11;

fn thousand() -> Stack {
    let mut text = String::from("net/network net range=10.0.0.0/16\n");
    for line in 0..200 {
        let group = format!("net/group g{line} network=@net.id about=x ports=[{line}]");
        let instance = format!("pipe/instance i{line} class=small zone=a groups=[@g{line}.id]");
        let endpoint = format!("pipe/endpoint e{line} host=h{line} engine=postgres");
        let task = format!("pipe/task t{line} instance=@i{line}.arn source=@e{line}.arn mode=full");
        let house = format!("house/workgroup w{line} capacity={line} groups=[@g{line}.id]");
        let _infallible = writeln!(text, "{group}\n{instance}\n{endpoint}\n{task}\n{house}");
    }
    stack(&text)
}

#[expect(clippy::disallowed_methods, reason = "a measurement needs the wall clock")]
fn measure(name: &str, input: &BuildInput<'_>) -> Plan {
    let mut times: Vec<Duration> = Vec::new();
    let mut plan = build(input);
    for _ in 0..RUNS {
        let began = Instant::now();
        plan = build(input);
        times.push(began.elapsed());
    }
    times.sort_unstable();
    let median = times[RUNS / 2].as_secs_f64() * 1000.0;
    #[expect(clippy::print_stdout, reason = "the result of the measurement")]
    {
        println!("{name}: {median:.1} ms for {} resources, {} steps", input.stack.resources.len(), plan.steps.len());
    }
    plan
}

fn main() {
    block_on(async {
        let mut scene = Scene::new();
        scene.parallelism = 2000;
        let stack = thousand();
        let options = Options::default();
        let replay = Replay::default();
        let empty = Observation::default();
        let input = |observation| BuildInput {
            stack: &stack,
            observation,
            registry: &scene.registry,
            place: &scene.place,
            options: &options,
            replay: &replay,
            version: "0.0.0",
        };
        measure("empty account", &input(&empty));
        scene.apply(&stack, &options).await;
        let mut full = Observation::default();
        for (kind, object) in scene.cloud.objects() {
            full.objects.entry(kind.to_owned()).or_default().push(object);
        }
        let plan = measure("nothing differs", &input(&full));
        assert!(plan.is_empty(), "the measured plan is the empty one");
        let everything = towpath_engine::testing::destroy(&[]);
        measure("destroy", &BuildInput { options: &everything, ..input(&full) });
    });
}
