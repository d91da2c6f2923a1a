//! Sample data: CSV files as an application would export them.
//!
//! [`club`] writes the data set of the club stack, with its known defects. The files depend on
//! scale and seed alone; nothing here reads a clock, a database or the stack file.

mod block;
mod text;

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Rows per unit of scale.
pub const TEAMS: usize = 3_000;
/// Rows per unit of scale.
pub const MEMBERSHIPS: usize = 40_000;
/// Rows per unit of scale.
pub const EVENTS: usize = 30_000;
/// Rows per unit of scale.
pub const RSVPS: usize = 150_000;

/// What is wrong with the data at scale 1; at scale N each count is N times as large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defects {
    /// `memberships.team_id` that names no team.
    pub memberships_without_team: usize,
    /// Events whose `latitude` and `longitude` are both empty.
    pub events_without_place: usize,
    /// `event_rsvps.membership_id` that is empty.
    pub rsvps_without_membership: usize,
    /// `event_rsvps.membership_id` that names no membership.
    pub rsvps_of_unknown_membership: usize,
    /// `event_rsvps.event_id` that names no event.
    pub rsvps_of_unknown_event: usize,
}

/// The defects of the original data set.
pub const DEFECTS: Defects = Defects {
    memberships_without_team: 313,
    events_without_place: 8_853,
    rsvps_without_membership: 102,
    rsvps_of_unknown_membership: 15_294,
    rsvps_of_unknown_event: 21,
};

/// One file written by [`club`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// Data rows, without the header.
    pub rows: u64,
}

/// Why sample data could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// Nothing to write.
    #[error("the scale of sample data must be at least 1")]
    ScaleZero,
    /// The file system refused.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// The names of the files, in the order of [`club`]'s result.
pub const FILES: [&str; 4] = ["teams.csv", "memberships.csv", "events.csv", "event_rsvps.csv"];

const HEADERS: [&[&str]; 4] = [
    &["id", "name", "created_at", "archived_at"],
    &["id", "team_id", "role", "state", "joined_at", "updated_at"],
    &["id", "team_id", "title", "kind", "starts_at", "ends_at", "latitude", "longitude", "created_at", "updated_at"],
    &["id", "event_id", "membership_id", "status", "attended", "created_at", "updated_at"],
];

/// The four files while they are written.
struct Files {
    teams: Table,
    memberships: Table,
    events: Table,
    rsvps: Table,
}

struct Table {
    path: PathBuf,
    writer: csv::Writer<BufWriter<File>>,
    rows: u64,
}

impl Table {
    fn create(dir: &Path, index: usize) -> Result<Self, SampleError> {
        // A rerun that is killed leaves a `.part`, never a file that looks whole.
        let path = dir.join(format!("{}.part", FILES[index]));
        let file = File::create(&path).map_err(|source| SampleError::Write { path: path.clone(), source })?;
        let mut table =
            Self { path, writer: csv::Writer::from_writer(BufWriter::with_capacity(1 << 18, file)), rows: 0 };
        table.write(HEADERS[index])?;
        table.rows = 0;
        Ok(table)
    }

    fn write(&mut self, fields: &[&str]) -> Result<(), SampleError> {
        self.rows += 1;
        self.writer
            .write_record(fields)
            .map_err(|error| SampleError::Write { path: self.path.clone(), source: io::Error::other(error) })
    }

    fn finish(mut self) -> Result<Written, SampleError> {
        let path = self.path.with_extension("");
        let done = self.writer.flush().and_then(|()| fs::rename(&self.path, &path));
        done.map_err(|source| SampleError::Write { path: path.clone(), source })?;
        Ok(Written { path, rows: self.rows })
    }
}

/// Writes the club data set into `dir` (made when missing; files of these names are replaced). A folder that is
/// missing appears with all its files or not at all: who is killed leaves `DIR.part`, which the next one writes over.
///
/// The data is made of `scale` blocks of equal size that share nothing, each from its own random
/// stream: memory stays that of one block whatever the scale, and every block carries exactly
/// [`DEFECTS`]. The same scale and seed give the same bytes on every machine.
pub fn club(scale: u32, seed: u64, dir: &Path) -> Result<Vec<Written>, SampleError> {
    if scale == 0 {
        return Err(SampleError::ScaleZero);
    }
    if dir.exists() {
        return write(scale, seed, dir);
    }
    // Without the slash at the end with which a folder may be named.
    let dir: PathBuf = dir.components().collect();
    let mut aside = dir.clone().into_os_string();
    aside.push(".part");
    let written = write(scale, seed, Path::new(&aside))?;
    fs::rename(&aside, &dir).map_err(|source| SampleError::Write { path: dir.clone(), source })?;
    let moved = |file: Written| Written { path: dir.join(file.path.file_name().unwrap_or_default()), rows: file.rows };
    Ok(written.into_iter().map(moved).collect())
}

fn write(scale: u32, seed: u64, dir: &Path) -> Result<Vec<Written>, SampleError> {
    fs::create_dir_all(dir).map_err(|source| SampleError::Write { path: dir.to_owned(), source })?;
    let mut files = Files {
        teams: Table::create(dir, 0)?,
        memberships: Table::create(dir, 1)?,
        events: Table::create(dir, 2)?,
        rsvps: Table::create(dir, 3)?,
    };
    for number in 0..scale {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(u64::from(number));
        block::write(&mut random, &mut files)?;
    }
    [files.teams, files.memberships, files.events, files.rsvps].into_iter().map(Table::finish).collect()
}

#[cfg(test)]
mod tests;
