//! The world on disk: one JSON file, shared by every process that works in the directory.
//!
//! Each use takes the file lock, reloads the world if another process wrote it, and writes it
//! back if it changed: aside first, then renamed over, so that a kill at any moment leaves a
//! whole file. The lock file holds a generation number, which is raised before the rename; a
//! process whose number differs reloads. What a failing use changed is thrown away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fs4::fs_std::FileExt as _;

use crate::arn::Place;
use crate::world::World;

/// The state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused a file of the state.
    #[error("cannot use `{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The state file is not one this version can read.
    #[error("`{}` is not a state file of this sandbox: {source}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Where reading stopped.
        source: serde_json::Error,
    },
    /// The state belongs to another account or region.
    #[error("`{}` belongs to account {} in {}, not to {} in {}", path.display(), found.account, found.region, wanted.account, wanted.region)]
    OtherPlace {
        /// The file.
        path: PathBuf,
        /// Where the state stands.
        found: Box<Place>,
        /// Where it was to stand.
        wanted: Box<Place>,
    },
}

/// A world that remembers whether it was changed.
#[derive(Debug)]
pub(crate) struct Tracked {
    world: World,
    changed: bool,
}

impl Tracked {
    /// A world that counts as unchanged.
    pub(crate) fn new(world: World) -> Self {
        Self { world, changed: false }
    }

    /// Whether the world was borrowed mutably.
    pub(crate) fn is_changed(&self) -> bool {
        self.changed
    }
}

impl Deref for Tracked {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for Tracked {
    fn deref_mut(&mut self) -> &mut World {
        self.changed = true;
        &mut self.world
    }
}

/// Whether what a use of the world did is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Changes are written.
    Keep,
    /// Changes are thrown away.
    Discard,
}

/// The world of one directory.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    place: Place,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lock: File,
    generation: u64,
    world: Option<World>,
    previous: Option<World>,
    keep_previous: bool,
}

impl Store {
    /// Opens the world in `directory`, which must exist; an absent world is made.
    ///
    /// # Errors
    /// The directory cannot be written, or the state in it is broken or of another place.
    pub(crate) fn open(directory: &Path, place: Place, keep_previous: bool) -> Result<Self, StoreError> {
        let path = directory.join("world.json");
        let lock_path = directory.join("world.lock");
        let lock = private_options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(|source| StoreError::File { path: lock_path, source })?;
        let state = State { lock, generation: 0, world: None, previous: None, keep_previous };
        let store = Self { path, place, state: Mutex::new(state) };
        store.with(|_| (Verdict::Keep, ()))?;
        Ok(store)
    }

    /// Uses the world under the lock.
    ///
    /// # Errors
    /// The state cannot be read, or its changes cannot be written.
    pub(crate) fn with<R>(&self, use_world: impl FnOnce(&mut Tracked) -> (Verdict, R)) -> Result<R, StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lock.lock_exclusive().map_err(|source| self.file_error(source))?;
        let result = self.locked(&mut state, use_world);
        state.lock.unlock().map_err(|source| self.file_error(source))?;
        result
    }

    /// Uses a copy of the world as it was before the last change; what is done to it is lost.
    ///
    /// # Errors
    /// The state cannot be read.
    pub(crate) fn with_previous<R>(&self, use_world: impl FnOnce(&mut Tracked) -> R) -> Result<R, StoreError> {
        let before = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.previous.clone()
        };
        match before {
            Some(world) => Ok(use_world(&mut Tracked::new(world))),
            None => self.with(|world| (Verdict::Discard, use_world(world))),
        }
    }

    fn locked<R>(
        &self,
        state: &mut State,
        use_world: impl FnOnce(&mut Tracked) -> (Verdict, R),
    ) -> Result<R, StoreError> {
        let generation = read_generation(&mut state.lock).map_err(|source| self.file_error(source))?;
        let (world, made) = match state.world.take() {
            Some(world) if generation == state.generation => (world, false),
            _ => self.load()?,
        };
        state.generation = generation;
        let before = state.keep_previous.then(|| world.clone());
        let mut tracked = Tracked::new(world);
        let (verdict, result) = use_world(&mut tracked);
        match (tracked.is_changed() || made, verdict) {
            (false, _) => state.world = Some(tracked.world),
            (true, Verdict::Discard) => {}
            (true, Verdict::Keep) => {
                self.save(state, &tracked.world).map_err(|source| self.file_error(source))?;
                state.world = Some(tracked.world);
                state.previous = before;
            }
        }
        Ok(result)
    }

    /// The world of the file, or a new one, and whether it is new.
    fn load(&self) -> Result<(World, bool), StoreError> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((World::new(&self.place), true)),
            Err(source) => return Err(self.file_error(source)),
        };
        let world: World =
            serde_json::from_slice(&text).map_err(|source| StoreError::Broken { path: self.path.clone(), source })?;
        let found = Place { account: world.account.clone(), region: world.region.clone() };
        if found != self.place {
            let (found, wanted) = (Box::new(found), Box::new(self.place.clone()));
            return Err(StoreError::OtherPlace { path: self.path.clone(), found, wanted });
        }
        Ok((world, false))
    }

    fn save(&self, state: &mut State, world: &World) -> io::Result<()> {
        let aside = self.path.with_extension("json.new");
        let text = serde_json::to_vec(world).map_err(io::Error::other)?;
        private_options().write(true).create(true).truncate(true).open(&aside)?.write_all(&text)?;
        state.generation += 1;
        state.lock.rewind()?;
        state.lock.write_all(&state.generation.to_le_bytes())?;
        fs::rename(&aside, &self.path)
    }

    fn file_error(&self, source: io::Error) -> StoreError {
        StoreError::File { path: self.path.clone(), source }
    }
}

fn read_generation(lock: &mut File) -> io::Result<u64> {
    let mut bytes = [0; 8];
    lock.rewind()?;
    match lock.read_exact(&mut bytes) {
        Ok(()) => Ok(u64::from_le_bytes(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
        Err(error) => Err(error),
    }
}

/// Options that make files only their owner may read, where the system knows owners.
pub(crate) fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { account: "111122223333".into(), region: "eu-north-1".into() }
    }

    #[test]
    fn one_process_sees_what_another_wrote() {
        let directory = tempfile::tempdir().unwrap();
        let first = Store::open(directory.path(), place(), false).unwrap();
        let second = Store::open(directory.path(), place(), false).unwrap();
        first
            .with(|world| {
                world.ec2.security_groups.clear();
                (Verdict::Keep, ())
            })
            .unwrap();
        assert!(second.with(|world| (Verdict::Keep, world.ec2.security_groups.is_empty())).unwrap());
        let third = Store::open(directory.path(), place(), false).unwrap();
        assert!(third.with(|world| (Verdict::Keep, world.ec2.security_groups.is_empty())).unwrap());
    }

    #[test]
    fn a_discarded_change_leaves_no_trace() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), place(), false).unwrap();
        store
            .with(|world| {
                world.ec2.security_groups.clear();
                (Verdict::Discard, ())
            })
            .unwrap();
        assert!(!store.with(|world| (Verdict::Keep, world.ec2.security_groups.is_empty())).unwrap());
    }

    #[test]
    fn the_state_before_the_last_change_can_be_asked() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), place(), true).unwrap();
        store
            .with(|world| {
                world.ec2.security_groups.clear();
                (Verdict::Keep, ())
            })
            .unwrap();
        assert!(!store.with_previous(|world| world.ec2.security_groups.is_empty()).unwrap());
    }

    #[test]
    fn a_broken_state_file_is_named_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("world.json"), "{\"vers").unwrap();
        let error = Store::open(directory.path(), place(), false).unwrap_err();
        assert!(matches!(error, StoreError::Broken { .. }), "{error}");
        assert_eq!(fs::read_to_string(directory.path().join("world.json")).unwrap(), "{\"vers");
    }
}
