use std::collections::HashSet;

use super::*;

fn read(dir: &Path, file: usize) -> Vec<csv::StringRecord> {
    let mut reader = csv::Reader::from_path(dir.join(FILES[file])).unwrap();
    assert_eq!(reader.headers().unwrap(), HEADERS[file]);
    reader.records().map(Result::unwrap).collect()
}

fn column(rows: &[csv::StringRecord], index: usize) -> HashSet<&str> {
    rows.iter().map(|row| &row[index]).collect()
}

fn count(rows: &[csv::StringRecord], wanted: impl Fn(&csv::StringRecord) -> bool) -> usize {
    rows.iter().filter(|row| wanted(row)).count()
}

#[test]
fn the_defects_are_exact_at_every_scale() {
    for scale in [1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let written = club(scale, 7, dir.path()).unwrap();
        let scale = scale as usize;
        let [teams, memberships, events, rsvps] = [0, 1, 2, 3].map(|file| read(dir.path(), file));
        let sizes = [&teams, &memberships, &events, &rsvps].map(|rows| rows.len() as u64);
        assert_eq!(sizes, [TEAMS, MEMBERSHIPS, EVENTS, RSVPS].map(|rows| (scale * rows) as u64));
        assert_eq!(written.iter().map(|file| file.rows).collect::<Vec<_>>(), sizes);

        let [team_ids, membership_ids, event_ids, rsvp_ids] =
            [&teams, &memberships, &events, &rsvps].map(|rows| column(rows, 0));
        assert_eq!(team_ids.len(), teams.len());
        assert_eq!(membership_ids.len(), memberships.len());
        assert_eq!(event_ids.len(), events.len());
        assert_eq!(rsvp_ids.len(), rsvps.len());

        assert_eq!(count(&memberships, |row| !team_ids.contains(&row[1])), scale * 313);
        assert_eq!(count(&events, |row| row[6].is_empty()), scale * 8853);
        assert_eq!(count(&events, |row| row[7].is_empty()), scale * 8853);
        assert_eq!(count(&events, |row| !team_ids.contains(&row[1])), 0);
        assert_eq!(count(&rsvps, |row| row[2].is_empty()), scale * 102);
        assert_eq!(count(&rsvps, |row| !row[2].is_empty() && !membership_ids.contains(&row[2])), scale * 15294);
        assert_eq!(count(&rsvps, |row| !event_ids.contains(&row[1])), scale * 21);
    }
}

#[test]
fn values_are_what_the_columns_promise() {
    let dir = tempfile::tempdir().unwrap();
    club(1, 3, dir.path()).unwrap();
    let [teams, memberships, events, rsvps] = [0, 1, 2, 3].map(|file| read(dir.path(), file));
    let parse = |text: &str| chrono::DateTime::parse_from_str(&format!("{text}00"), "%Y-%m-%d %H:%M:%S%z").unwrap();

    assert_eq!(column(&memberships, 2), HashSet::from(["admin", "guest", "member"]));
    assert_eq!(column(&memberships, 3), HashSet::from(["active", "invited", "left"]));
    assert_eq!(column(&rsvps, 3), HashSet::from(["yes", "maybe", "no"]));
    assert_eq!(column(&rsvps, 4), HashSet::from(["true", "false", ""]));
    assert!(count(&teams, |row| row[3].is_empty()) > 2_500);

    let mut over_midnight = 0;
    for event in &events {
        let (starts, ends) = (parse(&event[4]), parse(&event[5]));
        assert!(starts < ends && parse(&event[8]) <= parse(&event[9]), "{event:?}");
        over_midnight += usize::from(starts.date_naive() != ends.date_naive());
    }
    assert!((500..5_000).contains(&over_midnight), "{over_midnight}");
    for rsvp in &rsvps {
        assert!(parse(&rsvp[5]) <= parse(&rsvp[6]), "{rsvp:?}");
    }
    for awkward in [',', '"', '\n', '会'] {
        assert!(count(&events, |row| row[2].contains(awkward)) > 0, "{awkward}");
    }
    let days = column(&rsvps, 5).into_iter().map(|text| text[..10].to_owned()).collect::<HashSet<_>>();
    assert!((700..800).contains(&days.len()), "{}", days.len());
}

#[test]
fn the_seed_alone_decides_the_bytes_and_a_larger_scale_only_adds() {
    let bytes = |scale, seed| {
        let dir = tempfile::tempdir().unwrap();
        club(scale, seed, dir.path()).unwrap();
        FILES.map(|file| fs::read(dir.path().join(file)).unwrap())
    };
    let (first, larger, other) = (bytes(1, 1), bytes(2, 1), bytes(1, 2));
    for file in 0..FILES.len() {
        assert!(larger[file].starts_with(&first[file]), "{}", FILES[file]);
        assert!(first[file] != other[file], "{}", FILES[file]);
    }
}

#[test]
fn scale_zero_and_an_unwritable_folder_are_refused() {
    assert!(matches!(club(0, 1, Path::new("unused")), Err(SampleError::ScaleZero)));
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = club(1, 1, &file.path().join("below")).unwrap_err();
    assert!(error.to_string().starts_with("cannot write "), "{error}");
}

#[test]
fn a_missing_folder_appears_whole_over_what_a_killed_run_left_however_it_is_named() {
    for name in ["club", "club/"] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("club.part")).unwrap();
        fs::write(dir.path().join("club.part/teams.csv.part"), "half").unwrap();
        let written = club(1, 7, &dir.path().join(name)).unwrap();
        let paths: Vec<PathBuf> = FILES.iter().map(|file| dir.path().join("club").join(file)).collect();
        assert_eq!(written.iter().map(|file| file.path.clone()).collect::<Vec<_>>(), paths);
        assert!(paths.iter().all(|path| path.exists()));
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["club"]);
    }
}
