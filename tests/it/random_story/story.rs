//! One story: two stacks in one account, and everything that happens to them.

mod checks;

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use regex::Regex;
use serde_json::json;

use super::account::{self, Object};
use super::stack::{Resource, Stack};
use super::{invent, model, outsider, trouble};
use crate::env::TestEnvironment;
use crate::sweep::stage::{Accident, Played, Quiet, play};

/// How many runs without trouble may be needed until one says that it is done.
const RUNS: usize = 6;

const PLAN: &str = "story.plan";

/// What a run says of objects that it leaves because somebody else uses them.
const HELD: &str = "while it is used by ";

static ALLOW: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"--allow-data-loss (\S+)").unwrap());
static FOREIGN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(\S+/\S+)\.(\S+): `([^`]+)` exists and is not this stack's").unwrap());

/// Two stacks, what others own, and what has happened so far.
pub(super) struct Story {
    project: TestEnvironment,
    random: ChaCha8Rng,
    stacks: [Stack; 2],
    stands: [bool; 2],
    /// Objects of somebody else, as he made them.
    foreign: Vec<Object>,
    /// Tags that somebody else has put on objects of ours: id, key, value.
    extra: Vec<(String, String, String)>,
    /// Ids of objects with our names that are, or are again, nobody's.
    nobodys: BTreeSet<String>,
    is_serial: bool,
    told: String,
    commands: usize,
}

/// What the model must know of a step besides the files before and after it.
#[derive(Default)]
struct Step {
    which: usize,
    verb: &'static str,
    /// The stack as it was applied, and the account then.
    was: Option<Stack>,
    before: Vec<Object>,
    /// Keys whose objects somebody else has deleted.
    deleted: BTreeSet<String>,
    /// Whether objects may have failed, and so be made again.
    may_fail: bool,
    /// Ids of objects that somebody else has taken tags of ours from.
    untagged: BTreeSet<String>,
    has_lost_folder: bool,
    has_begun: bool,
    allowed: BTreeSet<String>,
}

impl Story {
    /// Tells the story of a seed; how long it was, or everything that led to what is wrong.
    pub(super) fn tell(seed: u64) -> Result<String, String> {
        let mut story = Self::new(seed);
        // A panic is told with its story like any other failure.
        let ended = catch_unwind(AssertUnwindSafe(|| story.all()));
        match ended.unwrap_or_else(|panic| Err(panic_text(panic.as_ref()))) {
            Ok(()) => Ok(format!("{} commands", story.commands)),
            Err(error) => Err(format!("{}\n=== {error}", story.told)),
        }
    }

    fn new(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut project = TestEnvironment::empty();
        project.set("SOURCE_PASSWORD", "first secret");
        project.set("OTHER_PASSWORD", "second secret");
        let share = random.random_range(0.3..0.7);
        let stacks = [invent::stack(&mut random, "tide", share), invent::stack(&mut random, "lock", 0.25)];
        let is_serial = random.random_bool(0.5);
        Self {
            project,
            random,
            stacks,
            stands: [false; 2],
            foreign: Vec::new(),
            extra: Vec::new(),
            nobodys: BTreeSet::new(),
            is_serial,
            told: String::new(),
            commands: 0,
        }
    }

    fn note(&mut self, line: impl AsRef<str>) {
        let _infallible = writeln!(self.told, "{}", line.as_ref());
    }

    fn all(&mut self) -> Result<(), String> {
        for number in 0..self.random.random_range(3..6) {
            let which = usize::from(self.random.random_bool(0.25));
            self.note(format!("--- step {number}, stack {}", self.stacks[which].name));
            self.step(which)?;
        }
        for which in [0, 1] {
            if self.stands[which] {
                self.note(format!("--- the end of {}", self.stacks[which].name));
                self.destroy(which)?;
            }
        }
        Ok(())
    }

    fn account(&self) -> Vec<Object> {
        let quiet = Quiet::of(&self.project);
        account::read(&quiet.client())
    }

    fn file(&self, which: usize) -> String {
        format!("stacks/{}.yaml", self.stacks[which].name)
    }

    fn write(&mut self, which: usize) {
        let yaml = self.stacks[which].yaml();
        self.project.write(&self.file(which), &yaml);
        self.note(yaml);
    }

    /// Runs a command on a stack. Whatever happens to it, it must end with an answer of its own.
    fn run(&mut self, which: usize, arguments: &[&str], accident: &Accident) -> Result<Played, String> {
        let file = self.file(which);
        let mut all = [arguments, &["--stack", &file]].concat();
        if self.is_serial {
            all.extend(["--parallel", "1"]);
        }
        let played = play(&self.project, &all, accident);
        self.commands += 1;
        let with = if accident.to_string().is_empty() { String::new() } else { format!(" with {accident}") };
        self.note(format!("$ towpath {}{with} -> {:?}", all.join(" "), played.code));
        let is_explained = matches!(played.code, None | Some(0 | 1 | 3 | 4 | 5));
        if !is_explained || played.text.contains("panicked") {
            return Err(format!("an end that nothing explains\n{}", played.text));
        }
        Ok(played)
    }

    /// Edits, trouble, meddling, and quiet again.
    fn step(&mut self, which: usize) -> Result<(), String> {
        let stands = self.stands[which];
        if stands && self.random.random_bool(0.1) {
            return self.destroy(which);
        }
        let mut step = self.begin(which, "apply");
        if stands {
            for _ in 0..self.random.random_range(0..8) {
                let stack = &mut self.stacks[which];
                if let Some(edit) = invent::edit(&mut self.random, stack) {
                    self.note(format!("* {edit}"));
                }
            }
        }
        self.write(which);
        if self.random.random_bool(0.2) {
            self.lose_folder(&mut step);
        }
        if self.random.random_bool(0.15) {
            self.save_and_apply(&mut step)?;
        } else {
            self.trouble(&mut step)?;
            if self.random.random_bool(0.3) {
                self.trouble(&mut step)?;
            }
        }
        if self.random.random_bool(0.1) {
            self.lose_folder(&mut step);
        }
        if self.random.random_bool(0.6) {
            for _ in 0..self.random.random_range(1..=2) {
                self.meddle(&mut step);
            }
        }
        self.quiet(&mut step)?;
        self.stands[which] = true;
        self.check(&step)
    }

    fn begin(&self, which: usize, verb: &'static str) -> Step {
        let was = self.stands[which].then(|| self.stacks[which].clone());
        Step { which, verb, was, before: self.account(), ..Step::default() }
    }

    /// Forgets everything that the stack keeps on disk.
    fn lose_folder(&mut self, step: &mut Step) {
        let folder = self.project.path().join(".towpath").join(self.stacks[step.which].name);
        if folder.exists() {
            std::fs::remove_dir_all(folder).unwrap();
            self.note("* the stack's folder is lost");
            step.has_lost_folder = true;
            // A limit bears no tags: now nobody knows whose it is, unless it is declared.
            let limits = self.account().into_iter().filter(|object| object.kind == "redshift/usage_limit");
            self.nobodys.extend(limits.map(|object| object.id));
        }
    }

    /// A run in which something goes wrong.
    fn trouble(&mut self, step: &mut Step) -> Result<(), String> {
        let accident = trouble::invent(&mut self.random);
        step.may_fail |= accident.faults.iter().any(|fault| fault.starts_with("failed"));
        let mut arguments = vec![step.verb, "--yes"];
        let stack = &self.stacks[step.which];
        // What an earlier run has begun may still change behind the back of this one.
        let is_first = !std::mem::replace(&mut step.has_begun, true);
        let is_targeted =
            step.verb == "apply" && is_first && !stack.resources.is_empty() && self.random.random_bool(0.15);
        let target = is_targeted.then(|| {
            let at = self.random.random_range(0..stack.resources.len());
            stack.resources.keys().nth(at).unwrap().clone()
        });
        if let Some(target) = &target {
            arguments.extend(["--target", target]);
        }
        let played = self.run(step.which, &arguments, &accident)?;
        let after = self.account();
        let mut wrong = Vec::new();
        if let Some(target) = target {
            self.only_targets(step, &target, &after, &mut wrong);
        }
        self.untouched(step, &after, &mut wrong);
        self.protected(step, &after, &mut wrong);
        if wrong.is_empty() { Ok(()) } else { Err(format!("{}\n{}", wrong.join("\n"), played.text)) }
    }

    /// A plan is saved, then perhaps somebody changes something, then it is applied.
    fn save_and_apply(&mut self, step: &mut Step) -> Result<(), String> {
        let planned = self.run(step.which, &["plan", "--out", PLAN], &Accident::default())?;
        if planned.code != Some(3) || planned.text.contains("refused") {
            return Ok(());
        }
        let before = self.account();
        let changed = if self.random.random_bool(0.6) { self.change(step, &before) } else { None };
        let account = self.account();
        let played = self.run(step.which, &["apply", PLAN, "--yes"], &Accident::default())?;
        let Some(changed) = changed.filter(|changed| !account.contains(changed)) else { return Ok(()) };
        if played.code == Some(0) || self.account() != account {
            return Err(format!("{} was changed since the plan was saved\n{}", changed.name, played.text));
        }
        let words = [&changed.name, &changed.id, &self.key(step, &changed)];
        if !words.iter().any(|word| !word.is_empty() && played.text.contains(*word)) {
            return Err(format!("the refusal does not name {}\n{}", changed.name, played.text));
        }
        Ok(())
    }

    fn ours(&self, step: &Step, account: &[Object]) -> Vec<Object> {
        let stack = &self.stacks[step.which];
        let is_ours = |object: &&Object| {
            let is_limit =
                object.kind == "redshift/usage_limit" && object.name.starts_with(&format!("{}-", stack.name));
            object.tag("towpath:stack") == stack.name || is_limit
        };
        account.iter().filter(is_ours).cloned().collect()
    }

    fn any(&mut self, objects: &[Object]) -> Option<Object> {
        if objects.is_empty() { None } else { Some(objects[self.random.random_range(0..objects.len())].clone()) }
    }

    /// Somebody changes an object of the stack: what it was.
    fn change(&mut self, step: &Step, account: &[Object]) -> Option<Object> {
        let ours = self.ours(step, account);
        let object = self.any(&ours)?;
        let answer = outsider::change(&Quiet::of(&self.project).client(), &object);
        self.note(format!("* somebody changes {} {}: {answer:?}", object.kind, object.name));
        answer.ok().map(|()| object)
    }

    /// The key of the resource that an object stands for, if anybody can say it; a limit bears no tags.
    fn key(&self, step: &Step, object: &Object) -> String {
        let stack = &self.stacks[step.which];
        let is_it = |(key, resource): &(&String, &Resource)| {
            resource.kind == object.kind && model::names(stack, key, resource).contains(&object.name)
        };
        let limit = stack.resources.iter().filter(|_| object.kind == "redshift/usage_limit").find(is_it);
        limit.map_or_else(|| object.tag("towpath:resource").to_owned(), |(key, _)| key.clone())
    }

    /// Somebody does one thing to what is there.
    fn meddle(&mut self, step: &mut Step) {
        let account = self.account();
        let choice = self.random.random_range(0..10);
        if choice < 3 {
            self.change(step, &account);
            return;
        }
        if choice == 9 {
            self.make(step, &account);
            return;
        }
        let ours = self.ours(step, &account);
        let Some(object) = self.any(&ours) else { return };
        let key = self.key(step, &object);
        let quiet = Quiet::of(&self.project);
        let aws = quiet.client();
        let told = match choice {
            3..=5 => {
                let answer = outsider::delete(&aws, &object);
                if answer.is_ok() {
                    step.deleted.insert(self.present(step, &key));
                }
                format!("deletes {} {}: {answer:?}", object.kind, object.name)
            }
            6 => {
                let answer = outsider::tag(&aws, &object, "cost", Some("42"));
                // Another endpoint of the same name cannot be told from this one, and has not its tags.
                if answer.is_ok() && account::has_own_ids(object.kind) {
                    self.extra.push((object.id.clone(), "cost".to_owned(), "42".to_owned()));
                }
                format!("tags {} {}: {answer:?}", object.kind, object.name)
            }
            7 => {
                let value = self.random.random_bool(0.5).then_some("odd");
                let answer = outsider::tag(&aws, &object, "team", value);
                format!("tags {} {} with team {value:?}: {answer:?}", object.kind, object.name)
            }
            _ => {
                let stack = &self.stacks[step.which];
                // One that is found by its name; of another one nobody could say whose it was.
                let is_found = stack.resources.get(&key).is_some_and(|resource| {
                    let name = resource.fields.get("name").map(|name| name.as_str().unwrap().to_owned());
                    object.name == name.unwrap_or_else(|| stack.default_name(resource.kind, &key))
                });
                if !is_found {
                    return;
                }
                let tag = ["towpath:stack", "towpath:resource"][self.random.random_range(0..2)];
                let answer = outsider::tag(&aws, &object, tag, None);
                if answer.is_ok() {
                    step.untagged.insert(object.id.clone());
                }
                format!("takes {tag} from {} {}: {answer:?}", object.kind, object.name)
            }
        };
        self.note(format!("* somebody {told}"));
    }

    /// Somebody makes an object under a name that the stack would use.
    fn make(&mut self, step: &Step, account: &[Object]) {
        let slot = &invent::SLOTS[self.random.random_range(0..invent::SLOTS.len())];
        let stack = &self.stacks[step.which];
        let name = stack.default_name(slot.kind, slot.name);
        if stack.resources.values().any(|resource| resource.names.contains(&name))
            || account.iter().any(|object| object.name == name)
        {
            return;
        }
        let answer = outsider::make(&Quiet::of(&self.project).client(), &mut self.random, slot.kind, &name);
        self.note(format!("* somebody makes a {} {name}: {answer:?}", slot.kind));
        if answer.is_ok() {
            let made = self.account().into_iter().find(|object| object.kind == slot.kind && object.name == name);
            let made = made.expect("what was made is there");
            self.nobodys.insert(made.id.clone());
            self.foreign.push(made);
        }
    }

    /// Runs without trouble until one says that it is done, and the plan after it is empty.
    fn quiet(&mut self, step: &mut Step) -> Result<(), String> {
        let mut last = String::new();
        for _ in 0..RUNS {
            let allowed: Vec<String> = step.allowed.iter().cloned().collect();
            let allows = allowed.iter().flat_map(|name| ["--allow-data-loss", name.as_str()]);
            let arguments: Vec<&str> = [step.verb, "--yes"].into_iter().chain(allows).collect();
            let played = self.run(step.which, &arguments, &Accident::default())?;
            match played.code {
                Some(0 | 5) if played.text.contains(HELD) && self.clear(step, &played.text) => {}
                Some(0) => return self.is_empty(step, &played.text),
                Some(5) if step.verb == "destroy" => return Ok(()),
                _ if played.text.contains("the plan is refused") => {
                    self.clear(step, &played.text);
                    self.refused(step, &played.text)?;
                }
                _ => {
                    self.clear(step, &played.text);
                }
            }
            last = played.text;
        }
        Err(format!("does not come to an end\n{last}"))
    }

    /// What is not known to be the stack's any more and keeps something of it from being deleted goes, if the
    /// run has named it. Whether something went.
    fn clear(&mut self, step: &mut Step, text: &str) -> bool {
        let is_held = text.contains("(held by ") || text.contains(HELD);
        let named =
            |object: &Object| is_held && (text.contains(&object.id) || text.contains(&format!("`{}`", object.name)));
        let mut went = false;
        for object in self.account().into_iter().filter(|object| step.untagged.contains(&object.id) && named(object)) {
            let answer = outsider::delete(&Quiet::of(&self.project).client(), &object);
            self.note(format!("* somebody deletes {}, which is in the way: {answer:?}", object.name));
            // A key that it no longer bears is told by its name.
            let is_it = |(_, resource): &(&String, &Resource)| resource.names.contains(&object.name);
            let key = object.tag("towpath:resource");
            let named = self.stacks[step.which].resources.iter().find(is_it).map(|(key, _)| key.clone());
            step.deleted.extend(Some(key.to_owned()).filter(|key| !key.is_empty()).or(named));
            went |= answer.is_ok();
        }
        went
    }

    /// Nothing is left to do after a run that said so, and what it kept it has named.
    fn is_empty(&mut self, step: &Step, text: &str) -> Result<(), String> {
        if step.verb == "destroy" {
            let kept = self.account().into_iter().filter(|object| step.untagged.contains(&object.id));
            for object in kept {
                if ![&object.name, &object.id].iter().any(|name| text.contains(*name)) {
                    return Err(format!("kept and not named: {object:?}\n{text}"));
                }
            }
        }
        let arguments: &[&str] = if step.verb == "destroy" { &["plan", "--destroy"] } else { &["plan"] };
        let plan = self.run(step.which, arguments, &Accident::default())?;
        if plan.code == Some(0) { Ok(()) } else { Err(format!("the next plan is not empty\n{}", plan.text)) }
    }

    /// A refusal must be one that the model expects; then what it asks for is done.
    fn refused(&mut self, step: &mut Step, text: &str) -> Result<(), String> {
        for found in FOREIGN.captures_iter(text) {
            let (kind, key, identity) = (found[1].to_owned(), found[2].to_owned(), found[3].to_owned());
            self.make_way(step, &kind, &key, &identity).map_err(|error| format!("{error}\n{text}"))?;
        }
        for found in ALLOW.captures_iter(text) {
            let key = found[1].to_owned();
            if !self.is_protected(step, &key) {
                return Err(format!("asks for {key}, which is not protected\n{text}"));
            }
            let stack = &self.stacks[step.which];
            if step.verb == "apply" && stack.resources.contains_key(&key) && !self.may_be_remade(step).contains(&key) {
                return Err(format!("would lose {key}, which has not to be made again\n{text}"));
            }
            step.allowed.insert(key);
        }
        Ok(())
    }

    /// Something that is not the stack's is in its way: whose it is decides who gives way.
    fn make_way(&mut self, step: &mut Step, kind: &str, key: &str, identity: &str) -> Result<(), String> {
        let account = self.account();
        let is_it =
            |object: &&Object| object.kind == kind && [&object.name, &object.id].contains(&&identity.to_owned());
        let Some(object) = account.iter().find(is_it).cloned() else {
            return Err(format!("says that {identity} is not ours, and it is not there"));
        };
        if self.foreign.iter().any(|other| other.id == object.id) {
            let goes = self.random.random_bool(0.5);
            if goes && outsider::delete(&Quiet::of(&self.project).client(), &object).is_ok() {
                self.note(format!("* somebody takes his {identity} away"));
                self.foreign.retain(|other| other.id != object.id);
            } else {
                let gone = self.stacks[step.which].remove(key);
                self.note(format!("* give way: remove {}", gone.join(", ")));
                self.write(step.which);
            }
            return Ok(());
        }
        let has_no_owner = object.tag("towpath:stack").is_empty() || object.tag("towpath:resource").is_empty();
        let is_known = step.untagged.contains(&object.id) || self.nobodys.contains(&object.id);
        if !has_no_owner || !(is_known || step.has_lost_folder) {
            return Err(format!("says that {object:?} is not ours"));
        }
        let adopted = self.run(step.which, &["adopt", key, "--yes"], &Accident::default())?;
        if adopted.code != Some(0) {
            // What must be made again is not adopted: its owner gives it up.
            let answer = outsider::delete(&Quiet::of(&self.project).client(), &object);
            self.note(format!("* somebody deletes {}: {answer:?}", object.name));
            step.deleted.insert(key.to_owned());
            if answer.is_err() {
                return Err(format!("{identity} cannot be adopted\n{}", adopted.text));
            }
        }
        Ok(())
    }

    /// Everything of a stack goes, and nothing else.
    fn destroy(&mut self, which: usize) -> Result<(), String> {
        let mut step = self.begin(which, "destroy");
        self.trouble(&mut step)?;
        if self.random.random_bool(0.3) {
            self.meddle(&mut step);
        }
        self.quiet(&mut step)?;
        self.stands[which] = false;
        let after = self.account();
        let mut wrong = Vec::new();
        self.untouched(&step, &after, &mut wrong);
        self.protected(&step, &after, &mut wrong);
        let mut nobodys = self.nobodys.clone();
        nobodys.extend(step.untagged.iter().cloned());
        wrong.extend(model::complaints(&Stack::new(self.stacks[which].name), &after, &nobodys));
        if self.stands[1 - which] {
            wrong.extend(model::complaints(&self.stacks[1 - which], &after, &nobodys));
        }
        for object in step.before.iter().filter(|object| model::is_shared(object)) {
            if !after.iter().any(|other| other.id == object.id) {
                wrong.push(format!("belongs to the account, and gone: {object:?}"));
            }
        }
        self.nobodys = nobodys;
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

#[test]
fn refusals_are_read_as_they_are_written() {
    let text = "ec2/security_group.guard: `sg-1` exists and is not this stack's\nto allow it: --allow-data-loss house";
    let found = FOREIGN.captures(text).unwrap();
    assert_eq!(json!([found[1], found[2], found[3]]), json!(["ec2/security_group", "guard", "sg-1"]));
    assert_eq!(&ALLOW.captures(text).unwrap()[1], "house");
}
