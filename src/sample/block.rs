//! One block of the club data set: the rows of scale 1, with exactly the known defects.
//!
//! Nothing refers from one block to another, so only one block is ever in memory.

use rand::Rng;

use super::text;
use super::{DEFECTS, EVENTS, Files, MEMBERSHIPS, RSVPS, SampleError, TEAMS};

/// 2023-07-01 00:00:00 UTC: nothing happens before.
const BEGIN: i64 = 1_688_169_600;
/// 2025-07-01 00:00:00 UTC: the export was made here; events may lie up to a month later.
const EXPORT: i64 = 1_751_328_000;
const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

struct Team {
    id: String,
    place: usize,
    created: i64,
    /// Where its memberships begin in the block's list, and how many there are.
    first_member: usize,
    members: usize,
}

struct Event {
    id: String,
    team: usize,
    starts: i64,
    created: i64,
}

/// Writes one block to the four files.
pub(super) fn write(random: &mut impl Rng, files: &mut Files) -> Result<(), SampleError> {
    let teams = write_teams(random, files)?;
    let memberships = write_memberships(random, files, &teams)?;
    let events = write_events(random, files, &teams)?;
    write_rsvps(random, files, &teams, &memberships, &events)
}

fn write_teams(random: &mut impl Rng, files: &mut Files) -> Result<Vec<Team>, SampleError> {
    let sizes = spread(random, MEMBERSHIPS, &vec![60; TEAMS]);
    let mut first_member = 0;
    let mut teams = Vec::with_capacity(TEAMS);
    for members in sizes {
        let created = random.random_range(BEGIN - 400 * DAY..EXPORT - 90 * DAY);
        let team = Team { id: text::id(random), place: text::place(random), created, first_member, members };
        let archived = random.random_ratio(1, 25).then(|| random.random_range(created + 60 * DAY..EXPORT));
        let name = text::team_name(random, team.place);
        let archived = archived.map(text::instant).unwrap_or_default();
        files.teams.write(&[&team.id, &name, &text::instant(created), &archived])?;
        first_member += members;
        teams.push(team);
    }
    Ok(teams)
}

fn write_memberships(random: &mut impl Rng, files: &mut Files, teams: &[Team]) -> Result<Vec<String>, SampleError> {
    let mut ids = Vec::with_capacity(MEMBERSHIPS);
    let mut orphans = Sample::new(DEFECTS.memberships_without_team, MEMBERSHIPS);
    for team in teams {
        for number in 0..team.members {
            let role = match (number, random.random_range(0..20)) {
                (0, _) | (_, 0) => "admin",
                (_, 1) => "guest",
                _ => "member",
            };
            let state = match random.random_range(0..20) {
                0 => "invited",
                1..=3 => "left",
                _ => "active",
            };
            let joined = random.random_range(team.created..EXPORT);
            let updated = random.random_range(joined..=EXPORT);
            let id = text::id(random);
            let gone = orphans.take(random).then(|| text::id(random));
            let team_id = gone.as_deref().unwrap_or(&team.id);
            files.memberships.write(&[&id, team_id, role, state, &text::instant(joined), &text::instant(updated)])?;
            ids.push(id);
        }
    }
    Ok(ids)
}

fn write_events(random: &mut impl Rng, files: &mut Files, teams: &[Team]) -> Result<Vec<Event>, SampleError> {
    let mut nowhere = Sample::new(DEFECTS.events_without_place, EVENTS);
    let counts = spread(random, EVENTS, &vec![80; TEAMS]);
    let mut events = Vec::with_capacity(EVENTS);
    for (team, count) in counts.into_iter().enumerate() {
        for _ in 0..count {
            let (kind, title) = text::event(random);
            let (starts, ends) = hours(random, kind, teams[team].created.max(BEGIN));
            let created = starts - random.random_range(2 * DAY..30 * DAY);
            let created = created.clamp(teams[team].created, EXPORT - HOUR);
            let updated = random.random_range(created..=starts.min(EXPORT).max(created));
            let event = Event { id: text::id(random), team, starts, created };
            let place = (!nowhere.take(random)).then(|| text::point(random, teams[team].place));
            let degrees = |value: Option<f64>| value.map(|value| format!("{value:.6}")).unwrap_or_default();
            files.events.write(&[
                &event.id,
                &teams[team].id,
                title,
                kind,
                &text::instant(starts),
                &text::instant(ends),
                &degrees(place.map(|place| place.0)),
                &degrees(place.map(|place| place.1)),
                &text::instant(created),
                &text::instant(updated),
            ])?;
            events.push(event);
        }
    }
    Ok(events)
}

/// Start and end of an event: evenings on quarter hours. One social in four and every other
/// tournament goes on past midnight.
fn hours(random: &mut impl Rng, kind: &str, earliest: i64) -> (i64, i64) {
    let day = random.random_range(earliest / DAY + 1..EXPORT / DAY + 30);
    let (hour, length) = match kind {
        "social" if random.random_ratio(1, 4) => (random.random_range(21..24), random.random_range(12..24)),
        "social" => (random.random_range(17..20), random.random_range(8..13)),
        "tournament" if random.random_ratio(1, 2) => (random.random_range(16..23), random.random_range(48..120)),
        "tournament" => (random.random_range(8..12), random.random_range(16..40)),
        "meeting" => (random.random_range(16..20), random.random_range(4..8)),
        _ => (random.random_range(9..21), random.random_range(4..9)),
    };
    let starts = day * DAY + hour * HOUR + random.random_range(0..4) * HOUR / 4;
    (starts, starts + length * HOUR / 4)
}

fn write_rsvps(
    random: &mut impl Rng,
    files: &mut Files,
    teams: &[Team],
    memberships: &[String],
    events: &[Event],
) -> Result<(), SampleError> {
    let room: Vec<usize> = events.iter().map(|event| teams[event.team].members).collect();
    let counts = spread(random, RSVPS, &room);
    let mut unknown_events = Sample::new(DEFECTS.rsvps_of_unknown_event, RSVPS);
    let faulty = DEFECTS.rsvps_without_membership + DEFECTS.rsvps_of_unknown_membership;
    // Of the rows whose membership is faulty, some have none and the others an unknown one: the
    // two samples are nested, so that no row is both.
    let mut faulty_members = Sample::new(faulty, RSVPS);
    let mut missing_members = Sample::new(DEFECTS.rsvps_without_membership, faulty);
    for (event, count) in events.iter().zip(counts) {
        let team = &teams[event.team];
        // Consecutive members from a random one on: nobody answers twice for one event.
        let first = random.random_range(0..team.members.max(1));
        for number in 0..count {
            let member = if !faulty_members.take(random) {
                memberships[team.first_member + (first + number) % team.members].clone()
            } else if missing_members.take(random) {
                String::new()
            } else {
                text::id(random)
            };
            let event_id = if unknown_events.take(random) { text::id(random) } else { event.id.clone() };
            write_rsvp(random, files, event, &event_id, &member)?;
        }
    }
    Ok(())
}

fn write_rsvp(
    random: &mut impl Rng,
    files: &mut Files,
    event: &Event,
    event_id: &str,
    member: &str,
) -> Result<(), SampleError> {
    let status = match random.random_range(0..100) {
        0..62 => "yes",
        62..74 => "maybe",
        _ => "no",
    };
    // Attendance is noted after the event, and not by everybody.
    let attended = match status {
        _ if event.starts >= EXPORT || random.random_ratio(1, 6) => "",
        "yes" if random.random_ratio(17, 20) => "true",
        "maybe" if random.random_ratio(2, 5) => "true",
        "no" if random.random_ratio(1, 50) => "true",
        _ => "false",
    };
    let created = random.random_range(event.created..event.starts.min(EXPORT).max(event.created + 1));
    let last = if attended.is_empty() { event.starts } else { event.starts + 2 * DAY };
    let updated = random.random_range(created..=last.min(EXPORT).max(created));
    let id = text::id(random);
    let (created, updated) = (text::instant(created), text::instant(updated));
    files.rsvps.write(&[&id, event_id, member, status, attended, &created, &updated])
}

/// Splits `total` over the slots at random and unevenly, none above its room.
fn spread(random: &mut impl Rng, total: usize, room: &[usize]) -> Vec<usize> {
    let weights: Vec<f64> = room.iter().map(|_| random.random_range(0.05_f64..1.0).powi(2)).collect();
    let sum: f64 = weights.iter().sum();
    let mut counts: Vec<usize> = weights
        .iter()
        .zip(room)
        .map(|(weight, room)| ((weight / sum * total as f64) as usize).clamp(1.min(*room), *room))
        .collect();
    let mut given: usize = counts.iter().sum();
    assert!(room.iter().sum::<usize>() >= total, "sample sizes leave no room");
    while given != total {
        let slot = random.random_range(0..room.len());
        if given < total && counts[slot] < room[slot] {
            counts[slot] += 1;
            given += 1;
        } else if given > total && counts[slot] > 1 {
            counts[slot] -= 1;
            given -= 1;
        }
    }
    counts
}

/// Chooses exactly `wanted` of `left` rows as they pass by, each with the same chance (Knuth's
/// algorithm S).
struct Sample {
    wanted: usize,
    left: usize,
}

impl Sample {
    fn new(wanted: usize, left: usize) -> Self {
        Self { wanted, left }
    }

    fn take(&mut self, random: &mut impl Rng) -> bool {
        let taken = random.random_range(0..self.left) < self.wanted;
        self.left -= 1;
        self.wanted -= usize::from(taken);
        taken
    }
}
