//! Whether the database file is whole.
//!
//! Reading all of a file takes as long as the file is large, so no start waits for it. An orderly end
//! leaves a mark in the file, and each start takes it away. Where there was none, the file is read in
//! the background, by a thread and a connection of its own, table after table. `SQLite` recovers by
//! itself from a process that was killed; this is about a disk, or a file system, that was cut off.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use rusqlite::{Connection, InterruptHandle};

use super::{StoreError, migrate};

/// Under which the mark is kept.
const CLOSED: &str = "closed";

/// Takes the mark of an orderly end away. `true` when there was one.
pub(super) fn take_mark(db: &Connection) -> Result<bool, StoreError> {
    let marked = migrate::meta(db, CLOSED)?.is_some();
    if marked {
        migrate::forget_meta(db, CLOSED)?;
    }
    Ok(marked)
}

/// Leaves the mark.
pub(super) fn leave_mark(db: &Connection) -> Result<(), StoreError> {
    migrate::set_meta(db, CLOSED, "in order")
}

/// What is known.
#[derive(Default)]
enum State {
    /// The last end was orderly, or all of the file was read since.
    #[default]
    Whole,
    /// It is being read.
    Reading(Option<InterruptHandle>),
    /// Nobody read it to its end.
    Unknown,
    /// What was found first; `true` once somebody was told.
    Damaged(String, bool),
}

/// The check of one file.
pub(super) struct Check {
    path: PathBuf,
    state: Mutex<State>,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Check {
    /// Nothing is to be checked where the last end was `orderly`.
    pub(super) fn new(path: &Path, orderly: bool) -> Self {
        let state = if orderly { State::Whole } else { State::Reading(None) };
        Self { path: path.to_owned(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It has to be read.
    pub(super) fn is_due(&self) -> bool {
        matches!(*self.state(), State::Reading(_))
    }

    /// Nothing speaks against the mark of an orderly end.
    pub(super) fn is_whole(&self) -> bool {
        matches!(*self.state(), State::Whole)
    }

    /// What is damaged, once.
    pub(super) fn found(&self) -> Option<StoreError> {
        let State::Damaged(problem, told) = &mut *self.state() else { return None };
        let new = !std::mem::replace(told, true);
        new.then(|| StoreError::Damaged { path: self.path.clone(), problem: problem.clone() })
    }

    /// Reads the file, on a thread that has nothing else to do.
    pub(super) fn run(&self) {
        lower_priority();
        let state = match self.read() {
            Ok(None) => State::Whole,
            Ok(Some(problem)) => State::Damaged(problem, false),
            Err(error) => {
                tracing::info!(%error, "the database was not checked to its end");
                State::Unknown
            }
        };
        let mut now = self.state();
        if matches!(*now, State::Reading(_)) {
            *now = state;
        }
    }

    /// Ends it: the writer wants the file for itself.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        if let State::Reading(handle) = &*state {
            if let Some(handle) = handle {
                handle.interrupt();
            }
            *state = State::Unknown;
        }
    }

    fn read(&self) -> Result<Option<String>, StoreError> {
        let db = migrate::open_without_key(&self.path)?;
        for table in tables(&db)? {
            match &mut *self.state() {
                State::Reading(handle) => *handle = Some(db.get_interrupt_handle()),
                State::Whole | State::Unknown | State::Damaged(..) => {
                    return Err(StoreError::Closed);
                }
            }
            if let Some(problem) = damage(&db, &table)? {
                return Ok(Some(problem));
            }
        }
        Ok(None)
    }
}

/// A table a read: the log grows as long as one read lasts.
fn tables(db: &Connection) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0";
    let mut tables = db.prepare(sql)?;
    let names = tables.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// What `SQLite` finds first in a table and its indexes.
fn damage(db: &Connection, table: &str) -> Result<Option<String>, StoreError> {
    let sql = format!("PRAGMA quick_check(\"{table}\")");
    match db.query_row(&sql, [], |row| row.get::<_, String>(0)) {
        Ok(said) if said == "ok" => Ok(None),
        Ok(said) => Ok(Some(said)),
        Err(error) if is_damage(&error) => Ok(Some(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

#[cfg(target_os = "linux")]
fn lower_priority() {
    // How much further back in the line for the processor than the node itself. On Linux it is this
    // thread's alone. Where it is not allowed, the check is as quick as the rest.
    rustix::process::nice(10).ok();
}

#[cfg(not(target_os = "linux"))]
const fn lower_priority() {}

/// Runs the check beside everything else, where it is due.
pub(super) fn start(check: &std::sync::Arc<Check>) {
    if !check.is_due() {
        return;
    }
    let running = check.clone();
    let thread = thread::Builder::new().name("store-check".to_owned()).stack_size(1024 * 1024);
    if let Err(error) = thread.spawn(move || running.run()) {
        tracing::warn!(%error, "the database is not checked");
        check.stop();
    }
}
