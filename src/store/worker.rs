//! One thread that writes, joining what waits into one commit, and one that reads.

#[cfg(test)]
mod stepped;

use std::{path::Path, thread};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{StoreError, migrate};
use crate::base::{PeerId, limits};
#[cfg(test)]
pub use stepped::{Stepped, copy_of};

/// What runs after the commit, with the error of the commit if it failed.
type Finish = Box<dyn FnOnce(Option<StoreError>) + Send>;
/// Takes the connection inside of a transaction, or why there is none. Gives its own error, if it
/// failed, beside what runs after the commit.
type Write =
    Box<dyn FnOnce(Result<&Connection, StoreError>) -> (Option<StoreError>, Finish) + Send>;
type Read = Box<dyn FnOnce(&Connection) + Send>;

enum Job {
    Write(Write),
    /// Everything before it is done: fold the log into the database file.
    Fold(oneshot::Sender<()>),
}

/// A handle on the database. Cheap to clone; the threads end when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Store {
    writes: mpsc::Sender<Job>,
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
        slot.send(Job::Write(Box::new(move |db| {
            let result = db.and_then(|db| in_savepoint(db, op));
            let error = result.as_ref().err().cloned();
            let finish = Box::new(move |failed: Option<StoreError>| {
                answer.send(failed.map_or(result, Err)).ok();
            });
            (error, finish)
        })));
        answered
    }

    /// Waits for all writes so far, and leaves all there is in the one database file.
    pub async fn fold(&self) {
        let (answer, answered) = oneshot::channel();
        if self.writes.send(Job::Fold(answer)).await.is_ok() {
            // Gone means that the writer ended, and then it has folded.
            answered.await.ok();
        }
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

fn write_all(db: Connection, mut queue: mpsc::Receiver<Job>) {
    while let Some(first) = queue.blocking_recv() {
        let mut fold = None;
        let mut writes = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Write(write) => writes.push(write),
                Job::Fold(answer) => fold = Some(answer),
            }
            let full = fold.is_some() || writes.len() >= limits::STORE_BATCH_WRITES;
            next = if full { None } else { queue.try_recv().ok() };
        }
        if !writes.is_empty() {
            commit(&db, writes);
        }
        if let Some(answer) = fold {
            fold_log(&db);
            // Whoever waited may have gone.
            answer.send(()).ok();
        }
    }
    fold_log(&db);
    db.close().ok(); // Nothing is left to do about an error here.
}

/// One transaction for all of them.
fn commit(db: &Connection, writes: Vec<Write>) {
    let mut failed = run(db, "BEGIN IMMEDIATE").err();
    let mut finishes = Vec::new();
    for write in writes {
        // Without the transaction, a savepoint would be one of its own, and be on disk while its
        // caller hears of failure.
        let connection = failed.clone().map_or(Ok(db), Err);
        let (error, finish) = write(connection);
        finishes.push(finish);
        if failed.is_none() && db.is_autocommit() {
            // A full disk undoes the whole transaction.
            failed = error.or(Some(StoreError::Closed));
        }
    }
    if failed.is_none() {
        failed = run(db, "COMMIT").err();
    }
    if failed.is_some() && !db.is_autocommit() {
        // The connection must be clean for the next batch; an error here repeats there.
        db.execute_batch("ROLLBACK").ok();
    }
    if let Some(error) = &failed {
        tracing::error!(%error, writes = finishes.len(), "a commit failed");
    }
    for finish in finishes {
        finish(failed.clone());
    }
}

/// Without it the newest data stay in the log, which is as safe, but a file of its own.
fn fold_log(db: &Connection) {
    if let Err(error) = db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
        tracing::warn!(%error, "the log stays beside the database");
    }
}

fn read_all(db: &Connection, mut queue: mpsc::Receiver<Read>) {
    while let Some(read) = queue.blocking_recv() {
        read(db);
    }
}
