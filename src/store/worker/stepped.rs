//! A store without threads: a simulation says when a batch is committed, and when a read is done.
#![expect(clippy::missing_panics_doc, reason = "a test's own: it fails as a test does")]

use rusqlite::{Connection, backup::Backup};
use tokio::sync::mpsc;

use super::{
    super::{StoreError, audit, migrate, storage_key::Found, whole::Check},
    Durable, DurableHead, Job, Read, Store, commit,
};
use crate::base::{PeerId, limits};

/// As many pages as `SQLite` takes at most.
const PAGES_MAX: u32 = 0x3fff_ffff;

/// What the two threads of a store hold, without them.
pub struct Stepped {
    db: Connection,
    writes: mpsc::Receiver<Job>,
    reads: mpsc::Receiver<Read>,
    head: DurableHead,
}

/// Another database with the same in it.
#[must_use]
pub fn copy_of(db: &Connection) -> Connection {
    let mut copy = Connection::open_in_memory().unwrap();
    Backup::new(db, &mut copy)
        .unwrap()
        .run_to_completion(1000, std::time::Duration::ZERO, None)
        .unwrap();
    copy.execute_batch("PRAGMA foreign_keys = ON;").unwrap();
    copy.set_prepared_statement_cache_capacity(64);
    Found::in_memory().register(&copy).unwrap();
    copy
}

impl Stepped {
    /// An empty database in memory.
    ///
    /// # Errors
    /// When the schema cannot be made.
    pub fn memory(owner: &PeerId) -> Result<Connection, StoreError> {
        migrate::open_in_memory(owner)
    }

    /// A store over a database in memory.
    #[must_use]
    pub fn store(db: Connection) -> (Store, Self) {
        let (writes, write_queue) = mpsc::channel(limits::STORE_QUEUE_WRITES);
        let (reads, read_queue) = mpsc::channel(limits::STORE_QUEUE_WRITES);
        let head = Durable { head: audit::head(&db).unwrap(), cut: None };
        let head = DurableHead::new(std::sync::Mutex::new(head));
        let check = std::sync::Arc::new(Check::new(std::path::Path::new("memory"), true));
        let stepped =
            Self { db, writes: write_queue, reads: read_queue, head: DurableHead::clone(&head) };
        (Store { writes, scans: reads.clone(), reads, head, check }, stepped)
    }

    /// What is committed.
    #[must_use]
    pub const fn db(&self) -> &Connection {
        &self.db
    }

    /// How many writes wait.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.writes.len()
    }

    /// How many reads wait.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.reads.len()
    }

    /// Commits at most so many writes as one batch.
    pub fn commit(&mut self, at_most: usize) {
        let mut batch = Vec::new();
        while batch.len() < at_most
            && let Ok(job) = self.writes.try_recv()
        {
            match job {
                Job::Write(write) => batch.push(write),
                // There is no log to fold.
                Job::Fold(answer) => drop(answer.send(())),
                Job::Wipe(answer) => drop(answer.send(true)),
            }
        }
        commit(&self.db, batch, &self.head);
    }

    /// Does one read.
    pub fn read(&mut self) {
        if let Ok(read) = self.reads.try_recv() {
            read(&self.db);
        }
    }

    /// From now on no page is added, or as many as there is need for.
    pub fn set_full(&self, full: bool) {
        let pages: u32 = self.db.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        let most = if full { pages } else { PAGES_MAX };
        self.db.query_row(&format!("PRAGMA max_page_count = {most}"), [], |_| Ok(())).unwrap();
    }

    /// What is left when the process dies.
    #[must_use]
    pub fn dies(self) -> Connection {
        self.db
    }
}
