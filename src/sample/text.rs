//! Words, places and instants for sample data. Pure functions of a random stream.

use std::fmt::Write as _;

use chrono::{DateTime, Datelike, Timelike};
use rand::Rng;
use rand::seq::IndexedRandom;

const PLACES: &[(f64, f64, &str)] = &[
    (59.913, 10.752, "Oslo"),
    (59.329, 18.069, "Södermalm"),
    (55.676, 12.568, "København"),
    (60.170, 24.938, "Helsinki"),
    (52.520, 13.405, "Kreuzberg"),
    (48.137, 11.575, "München"),
    (48.857, 2.352, "Belleville"),
    (51.507, -0.128, "Hackney"),
    (53.349, -6.260, "Dublin"),
    (40.417, -3.704, "Lavapiés"),
    (41.902, 12.496, "Trastevere"),
    (52.230, 21.012, "Warszawa"),
    (40.713, -74.006, "Brooklyn"),
    (41.878, -87.630, "Chicago"),
    (37.775, -122.419, "Bay Area"),
    (43.653, -79.383, "Toronto"),
    (-23.551, -46.633, "São Paulo"),
    (19.433, -99.133, "Coyoacán"),
    (-33.869, 151.209, "Sydney"),
    (-36.849, 174.763, "Tāmaki"),
    (35.676, 139.650, "東京"),
    (1.352, 103.820, "Singapore"),
    (19.076, 72.878, "Mumbai"),
    (-33.925, 18.424, "Cape Town"),
    (-1.292, 36.822, "Nairobi"),
];

const NOUNS: &[&str] = &[
    "Rowers",
    "Wanderers",
    "Chess Circle",
    "Handball",
    "Runners",
    "Volleyball",
    "Book Club",
    "Climbers",
    "Choir",
    "Ultimate",
    "Cyclists",
    "Floorball",
    "Sailors",
    "Dojo",
    "Badminton",
    "Orienteers",
];

/// Titles per kind of event. Commas, quotes, line breaks and other scripts are there on purpose:
/// exports have them, and loaders trip over them.
const TITLES: &[(&str, &[&str])] = &[
    ("training", &["Practice", "Evening training", "Technique, then laps", "Träning för alla", "Intervals 6×800 m"]),
    ("match", &["Home match", "Away match", "Cup, round \"2\"", "Friendly vs. \"The Others\"", "Derby ⚽"]),
    ("social", &["Pizza night", "Summer party 🎉", "Quiz, drinks & \"music\"", "Game night\n(bring snacks)", "忘年会"]),
    ("meeting", &["Board meeting", "Annual meeting", "Planning\nAgenda: budget, fixtures", "Trainers' meeting"]),
    ("tournament", &["Spring tournament", "Night cup", "Indoor open, all classes"]),
];

/// An index into the list of places.
pub(super) fn place(random: &mut impl Rng) -> usize {
    random.random_range(0..PLACES.len())
}

/// A point within some twenty kilometres of a place, in degrees.
pub(super) fn point(random: &mut impl Rng, place: usize) -> (f64, f64) {
    let (latitude, longitude, _) = PLACES[place];
    (latitude + random.random_range(-0.2..0.2), longitude + random.random_range(-0.2..0.2))
}

/// A team's name.
pub(super) fn team_name(random: &mut impl Rng, place: usize) -> String {
    let noun = pick(random, NOUNS);
    match random.random_range(0..20) {
        0 => format!("{} \"{noun}\"", PLACES[place].2),
        1 => format!("{noun}, {}", PLACES[place].2),
        2..=5 => format!("{} {noun} U{}", PLACES[place].2, random.random_range(9..20)),
        _ => format!("{} {noun}", PLACES[place].2),
    }
}

/// Kind and title of an event.
pub(super) fn event(random: &mut impl Rng) -> (&'static str, &'static str) {
    let kind = match random.random_range(0..100) {
        0..55 => 0,
        55..75 => 1,
        75..87 => 2,
        87..96 => 3,
        _ => 4,
    };
    let (kind, titles) = TITLES[kind];
    (kind, pick(random, titles))
}

/// A random version 4 UUID as text.
pub(super) fn id(random: &mut impl Rng) -> String {
    uuid::Builder::from_random_bytes(random.random()).into_uuid().to_string()
}

/// Seconds since 1970 as an application prints them: `2024-05-03 17:45:00+00`.
pub(super) fn instant(seconds: i64) -> String {
    let time = DateTime::from_timestamp(seconds, 0).expect("sample dates lie within a few years");
    let mut text = String::with_capacity(22);
    let (date, time) = (time.date_naive(), time.time());
    write!(
        text,
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}+00",
        date.year(),
        date.month(),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
    .expect("writing to a string does not fail");
    text
}

fn pick(random: &mut impl Rng, words: &'static [&'static str]) -> &'static str {
    words.choose(random).expect("the lists of words are not empty")
}
