//! One thread that writes, joining what waits into one commit, and one that reads.

use std::{path::Path, thread};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{StoreError, migrate};
use crate::base::{PeerId, limits};

/// What runs after the commit, with the error of the commit if it failed.
type Finish = Box<dyn FnOnce(Option<StoreError>) + Send>;
type Write = Box<dyn FnOnce(&Connection) -> Finish + Send>;
type Read = Box<dyn FnOnce(&Connection) + Send>;

/// A handle on the database. Cheap to clone; the threads end when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Store {
    writes: mpsc::Sender<Write>,
    reads: mpsc::Sender<Read>,
}

impl Store {
    /// Opens the database, brings its schema up to date and starts the two threads.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(path: &Path, owner: &PeerId) -> Result<Self, StoreError> {
        let writer = migrate::open(path, owner)?;
        let reader = migrate::open_to_read(path)?;
        let (writes, write_queue) = mpsc::channel(limits::STORE_QUEUE_WRITES);
        let (reads, read_queue) = mpsc::channel(limits::STORE_QUEUE_WRITES);
        let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
            let builder = thread::Builder::new().name(name.to_owned()).stack_size(1024 * 1024);
            builder.spawn(body).map_err(|e| StoreError::Sqlite(e.to_string()))
        };
        spawn("store-write", Box::new(move || write_all(writer, write_queue)))?;
        spawn("store-read", Box::new(move || read_all(&reader, read_queue)))?;
        Ok(Self { writes, reads })
    }

    /// Queues a write. The answer comes when it is on disk, in the order of the calls. A write
    /// that fails undoes itself alone.
    pub fn write<T: Send + 'static>(
        &self,
        op: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, StoreError>> {
        let (answer, answered) = oneshot::channel();
        let slot = self.writes.try_reserve();
        let Ok(slot) = slot else {
            let closed = self.writes.is_closed();
            // Whoever asked may have gone; then nobody needs the answer.
            answer.send(Err(if closed { StoreError::Closed } else { StoreError::Busy })).ok();
            return answered;
        };
        slot.send(Box::new(move |db| {
            let result = in_savepoint(db, op);
            Box::new(move |failed: Option<StoreError>| {
                answer.send(failed.map_or(result, Err)).ok();
            })
        }));
        answered
    }

    /// Queues a read of what is committed.
    pub fn read<T: Send + 'static>(
        &self,
        op: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, StoreError>> {
        let (answer, answered) = oneshot::channel();
        match self.reads.try_reserve() {
            Ok(slot) => slot.send(Box::new(move |db| {
                answer.send(op(db)).ok();
            })),
            Err(_) => {
                answer.send(Err(StoreError::Busy)).ok();
            }
        }
        answered
    }
}

fn in_savepoint<T>(
    db: &Connection,
    op: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    run(db, "SAVEPOINT one")?;
    match op(db) {
        Ok(value) => run(db, "RELEASE one").map(|()| value),
        Err(error) => {
            // If even this fails, the commit fails too, and its error is what counts.
            db.execute_batch("ROLLBACK TO one; RELEASE one").ok();
            Err(error)
        }
    }
}

/// A statement of every write or every batch: parsed once.
fn run(db: &Connection, sql: &str) -> Result<(), StoreError> {
    Ok(db.prepare_cached(sql)?.execute([]).map(drop)?)
}

fn write_all(db: Connection, mut queue: mpsc::Receiver<Write>) {
    while let Some(first) = queue.blocking_recv() {
        let begun = run(&db, "BEGIN IMMEDIATE");
        let mut finishes = Vec::new();
        let mut next = Some(first);
        while let Some(write) = next {
            finishes.push(write(&db));
            let full = finishes.len() >= limits::STORE_BATCH_WRITES;
            next = if full { None } else { queue.try_recv().ok() };
        }
        let done = begun.and_then(|()| run(&db, "COMMIT"));
        if done.is_err() && !db.is_autocommit() {
            // The connection must be clean for the next batch; an error here repeats there.
            db.execute_batch("ROLLBACK").ok();
        }
        let failed = done.err();
        if let Some(error) = &failed {
            tracing::error!(%error, writes = finishes.len(), "a commit failed");
        }
        finishes.into_iter().for_each(|finish| finish(failed.clone()));
    }
    // A clean close folds the log into the database; after a crash the next open does it.
    db.close().ok();
}

fn read_all(db: &Connection, mut queue: mpsc::Receiver<Read>) {
    while let Some(read) = queue.blocking_recv() {
        read(db);
    }
}
