//! A plan as text for a terminal and as Markdown for a pull request.
//!
//! Both print the same facts from [`Plan`]; nothing is computed here that a JSON reader could not
//! compute too.

use std::fmt::Write as _;

use towpath_engine::plan::{Action, FieldChange, Note, Plan, Reason, Step};
use towpath_engine::value::{Reference, Value};

use super::style::{Color, estimate, plural};

/// The longest value shown on one line; longer ones are cut in the middle.
const WIDTH: usize = 88;

/// The plan for a terminal. `adopt` is the command that takes an object over, by the name of its resource.
pub fn text(plan: &Plan, color: Color, adopt: &dyn Fn(&str) -> String) -> String {
    let mut out = String::new();
    for step in &plan.steps {
        block(&mut out, plan, step, color);
    }
    notes(&mut out, "Kept:", &plan.kept, color);
    notes(&mut out, "Notes:", &plan.notes, color);
    obstacles(&mut out, plan, color, adopt);
    out.push_str(&summary(plan, color));
    out
}

/// The plan as Markdown with one collapsible block per step; stable, so that two runs of the same
/// plan give the same comment. No text of the stack can end a block or begin another.
pub fn markdown(plan: &Plan, adopt: &dyn Fn(&str) -> String) -> String {
    let mut out = format!("### towpath plan: `{}`\n\n", plan.place.stack);
    let _ = writeln!(out, "{}\n", inline(&summary(plan, Color::Off)).trim().replace('\n', "  \n"));
    for step in &plan.steps {
        let marks = [(step.loses.is_some(), " ⚠ data loss"), (step.interrupts.is_some(), " ⚠ interruption")];
        let marks: String = marks.into_iter().filter(|(is_so, _)| *is_so).map(|(_, mark)| mark).collect();
        let _ = writeln!(
            out,
            "<details><summary><code>{}</code> <code>{}</code> {}{marks}</summary>\n\n{}\n</details>\n",
            step.action.symbol(),
            html(&step.address.to_string()),
            verb(plan, step),
            fenced(&format!("{}{}", fields(step, Color::Off), remarks(step, Color::Off))),
        );
    }
    let mut rest = String::new();
    notes(&mut rest, "Kept:", &plan.kept, Color::Off);
    notes(&mut rest, "Notes:", &plan.notes, Color::Off);
    obstacles(&mut rest, plan, Color::Off, adopt);
    if !rest.is_empty() {
        out.push_str(&fenced(&rest));
    }
    out
}

/// A block of text as it is, behind a fence longer than any inside.
fn fenced(text: &str) -> String {
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{text}{fence}\n")
}

/// Text between tags.
fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Text in a paragraph, in which Markdown would see marks.
fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in html(text).chars() {
        if matches!(letter, '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

fn paint(color: Color, action: Action, text: &str) -> String {
    match action {
        Action::Create | Action::Resume => color.green(text),
        Action::Update | Action::Tag | Action::Pause | Action::Wait => color.yellow(text),
        Action::Delete => color.red(text),
    }
}

/// What a step does, in the words of a sentence about it.
fn verb(plan: &Plan, step: &Step) -> &'static str {
    let is_another =
        |other: &Step| other.address == step.address && !matches!(other.action, Action::Delete | Action::Pause);
    let stands_twice = || plan.unchanged.contains(&step.address) || plan.steps.iter().any(is_another);
    match (step.action, &step.reason) {
        (Action::Create, Reason::Replaced) => "is made again (second half of a replacement)",
        (Action::Create, Reason::Asked) => "is made again (second half of a replacement that was asked for)",
        (Action::Create, Reason::Broken) => "is made again",
        (Action::Create, _) => "is made",
        (Action::Update, _) => "is changed in place",
        (Action::Delete, Reason::Replaced) => "is deleted (first half of a replacement)",
        (Action::Delete, Reason::Asked) => "is deleted (first half of a replacement that was asked for)",
        (Action::Delete, Reason::Removed) if stands_twice() => "is deleted, because another object is that resource",
        (Action::Delete, Reason::Removed) => "is deleted, because the stack no longer declares it",
        (Action::Delete, Reason::Broken) => "is deleted, because it is broken",
        (Action::Delete, _) => "is deleted",
        (Action::Tag, Reason::Asked) => "is adopted",
        (Action::Tag, _) => "gets its tags",
        (Action::Pause, _) => "is stopped for a change",
        (Action::Resume, _) => "is started again",
        (Action::Wait, _) => "is on its way already and waited for",
    }
}

fn block(out: &mut String, plan: &Plan, step: &Step, color: Color) {
    let symbol = paint(color, step.action, &step.action.symbol().to_string());
    let _ = writeln!(
        out,
        "  {symbol} {} {}  {}",
        color.bold(&step.address.to_string()),
        verb(plan, step),
        color.dim(&step.identity)
    );
    if let Reason::For(id) = step.reason
        && let Some(other) = plan.steps.get(id)
    {
        let _ = writeln!(out, "      {}", color.dim(&format!("because {} {}", other.address, verb(plan, other))));
    }
    out.push_str(&fields(step, color));
    out.push_str(&remarks(step, color));
    out.push('\n');
}

/// What a step loses, interrupts and leaves behind.
fn remarks(step: &Step, color: Color) -> String {
    let mut out = String::new();
    if let Some(loses) = &step.loses {
        let _ = writeln!(out, "      {} {loses}", color.red("loses data:"));
    }
    if let Some(interrupts) = &step.interrupts {
        let _ = writeln!(out, "      {} {interrupts}", color.yellow("interrupts:"));
    }
    if let Some(snapshot) = &step.final_snapshot {
        let _ = writeln!(out, "      final snapshot: {snapshot}");
    }
    out
}

fn fields(step: &Step, color: Color) -> String {
    let mut out = String::new();
    let changes: Vec<FieldChange> = step.changes.iter().flat_map(members).collect();
    let width = changes.iter().map(|change| change.path.chars().count()).max().unwrap_or(0);
    for change in &changes {
        let _ = writeln!(out, "      {:width$}  {}", change.path, field(step.action, change, color));
    }
    out
}

/// Of a block that is a block before and after, the members that differ, by their paths.
fn members(change: &FieldChange) -> Vec<FieldChange> {
    let is_reference = |value: &Value| Reference::from_value(value).is_some();
    let (Value::Object(before), Value::Object(after)) = (&change.before, &change.after) else {
        return vec![change.clone()];
    };
    if is_reference(&change.before) || is_reference(&change.after) {
        return vec![change.clone()];
    }
    let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    let one = |key: &String| FieldChange {
        path: format!("{}.{key}", change.path),
        before: before.get(key).cloned().unwrap_or(Value::Null),
        after: after.get(key).cloned().unwrap_or(Value::Null),
        ..change.clone()
    };
    differing.flat_map(|key| members(&one(key))).collect()
}

fn field(action: Action, change: &FieldChange, color: Color) -> String {
    let mut line = if action == Action::Create && change.before.is_null() {
        value(&change.after)
    } else {
        format!("{} → {}", value(&change.before), value(&change.after))
    };
    if let Some(rule) = &change.forces_replacement {
        let _ = write!(line, "  {}", color.red(&format!("forces replacement: {rule}")));
    }
    if let Some(loses) = &change.loses {
        let _ = write!(line, "  {}", color.red(&format!("loses {loses}")));
    }
    line
}

/// A value on one line: references as "known after apply", long ones cut in the middle.
pub(crate) fn value(value: &Value) -> String {
    if let Some(reference) = Reference::from_value(value) {
        return format!("‹{}.{}, known after apply›", reference.resource, reference.attribute);
    }
    let text = match value {
        Value::Null => "‹none›".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(self::value).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => format!(
            "{{{}}}",
            map.iter().map(|(key, item)| format!("{key}: {}", self::value(item))).collect::<Vec<_>>().join(", ")
        ),
        other => other.to_string(),
    };
    let text = text.replace('\n', "⏎");
    let length = text.chars().count();
    if length <= WIDTH {
        return text;
    }
    let head: String = text.chars().take(WIDTH / 2).collect();
    let tail: String = text.chars().skip(length - WIDTH / 2 + 1).collect();
    format!("{head}…{tail}")
}

fn notes(out: &mut String, title: &str, notes: &[Note], color: Color) {
    if notes.is_empty() {
        return;
    }
    let _ = writeln!(out, "{}", color.bold(title));
    for note in notes {
        let _ = writeln!(out, "  {}: {}", note.address, note.text);
    }
    out.push('\n');
}

fn obstacles(out: &mut String, plan: &Plan, color: Color, adopt: &dyn Fn(&str) -> String) {
    for foreign in &plan.foreign {
        let owner = foreign
            .owner
            .as_ref()
            .map_or_else(|| "it carries no towpath tags".to_owned(), |owner| format!("it belongs to {owner}"));
        let _ = writeln!(
            out,
            "{} `{}` exists already and is not this stack's: {owner}.\n  To take it over:\n      {}\n",
            color.red(&format!("refused: {}", foreign.address)),
            foreign.identity,
            adopt(&foreign.address.name)
        );
    }
    for refused in &plan.refused {
        let _ = writeln!(out, "{} {}", color.red(&format!("refused: {}", refused.address)), refused.text);
        if refused.is_loss() {
            let _ = writeln!(out, "  To allow it:\n      --allow-data-loss {}", refused.address.name);
        }
        out.push('\n');
    }
}

/// Counts, time and price.
pub fn summary(plan: &Plan, color: Color) -> String {
    let place = format!("account {}, region {}", plan.place.account, plan.place.region);
    if plan.is_empty() && plan.is_allowed() {
        return format!("Nothing to do: {} as declared in {place}.\n", plural_are(plan.unchanged.len()));
    }
    let count = |action: Action| plan.steps.iter().filter(|step| step.action == action).count();
    let replaced = plan
        .steps
        .iter()
        .filter(|step| {
            step.action == Action::Create && matches!(step.reason, Reason::Replaced | Reason::Broken | Reason::Asked)
        })
        .count();
    let mut out = format!(
        "{} {} to create, {} to change, {} to delete{}, {} unchanged in {place}.\n",
        color.bold("Plan:"),
        count(Action::Create) - replaced,
        distinct_updates(plan),
        count(Action::Delete) - replaced.min(count(Action::Delete)),
        if replaced > 0 { format!(", {replaced} to replace") } else { String::new() },
        plan.unchanged.len(),
    );
    if !plan.steps.is_empty() {
        let path: Vec<&str> = plan
            .critical_path
            .iter()
            .filter_map(|id| plan.steps.get(*id))
            .map(|step| step.address.name.as_str())
            .collect();
        let _ = writeln!(
            out,
            "{} about {} on AWS ({} to {}), along {}.",
            color.bold("Time:"),
            estimate(plan.seconds.typical),
            estimate(plan.seconds.low),
            estimate(plan.seconds.high),
            path.join(" → ")
        );
    }
    out.push_str(&price(plan, color));
    out
}

fn plural_are(count: usize) -> String {
    match count {
        1 => "1 object stands".to_owned(),
        _ => format!("{} stand", plural(count, "object")),
    }
}

/// Several groups of one object are one change to the person who reads.
fn distinct_updates(plan: &Plan) -> usize {
    let mut names: Vec<_> = plan
        .steps
        .iter()
        .filter(|step| matches!(step.action, Action::Update | Action::Tag))
        .map(|step| &step.address)
        .collect();
    names.sort();
    names.dedup();
    names.len()
}

/// The change of the monthly bill, what is charged by use, and what nobody knows the price of.
fn price(plan: &Plan, color: Color) -> String {
    let mut monthly = 0.0;
    let mut by_use = Vec::new();
    let mut unknown = Vec::new();
    for step in &plan.steps {
        let (gone, comes) = match step.action {
            Action::Create => (None, step.price.as_ref()),
            Action::Delete => (step.price.as_ref(), None),
            Action::Update => (step.price_before.as_ref(), step.price.as_ref()),
            _ => continue,
        };
        monthly += comes.and_then(|price| price.monthly).unwrap_or(0.0);
        monthly -= gone.and_then(|price| price.monthly).unwrap_or(0.0);
        let name = &step.address.name;
        for (price, sign) in gone.map(|price| (price, "no longer ")).into_iter().chain(comes.map(|price| (price, ""))) {
            if price.unknown {
                unknown.push(format!("{name} ({sign}{})", price.basis));
            } else if price.monthly.is_none() && sign.is_empty() {
                by_use.push(format!("{name} ({})", price.basis));
            }
        }
    }
    let mut out = String::new();
    if monthly.abs() >= 0.005 {
        let _ = writeln!(out, "{} {monthly:+.2} US dollars a month (list prices, 730 hours).", color.bold("Cost:"));
    }
    if !unknown.is_empty() {
        let _ = writeln!(
            out,
            "{} {}; charged by the hour and not counted.",
            color.bold("Price unknown:"),
            unknown.join("; ")
        );
    }
    if !by_use.is_empty() {
        let _ = writeln!(out, "{} {}.", color.bold("Charged by use:"), by_use.join("; "));
    }
    out
}
