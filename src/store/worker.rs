//! One thread that writes, joining what waits into one commit, one that reads, and one for reads
//! that take long.

#[cfg(test)]
mod stepped;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

#[cfg(test)]
pub use stepped::{Stepped, copy_of};

use super::{
    StoreError, audit, migrate, space,
    storage_key::KeySource,
    whole::{self, Check},
};
use crate::{
    audit::Head,
    base::{
        PeerId,
        failpoint::{Failpoint, Fault, is_planted, reach},
        limits,
    },
};

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
    /// Everything before it is done: leave nothing in the log. `false`: somebody reads.
    Wipe(oneshot::Sender<bool>),
}

/// A handle on the database. Cheap to clone; the threads end when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Store {
    writes: mpsc::Sender<Job>,
    reads: mpsc::Sender<Read>,
    scans: mpsc::Sender<Read>,
    head: DurableHead,
    check: Arc<Check>,
}

/// The audit chain that is on disk, as far as this process knows.
#[derive(Debug)]
struct Durable {
    head: Head,
    /// What was the head when another one was found in its place.
    cut: Option<Head>,
}

type DurableHead = Arc<Mutex<Durable>>;

impl Store {
    /// Opens the database under the key that `key` finds or makes, brings its schema up to date and
    /// starts the threads. A file that was not closed in order is checked meanwhile, by one more: see
    /// [`Store::damage`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(path: &Path, owner: &PeerId, key: &KeySource) -> Result<Self, StoreError> {
        let (writer, found) = migrate::open(path, owner, key)?;
        let [reader, scanner] =
            [migrate::open_to_read(path, &found)?, migrate::open_to_read(path, &found)?];
        let head = Arc::new(Mutex::new(Durable { head: audit::head(&writer)?, cut: None }));
        let (writes, write_queue) = mpsc::channel(limits::STORE_QUEUE_WRITES);
        let (reads, read_queue) = mpsc::channel(limits::STORE_QUEUE_WRITES);
        let (scans, scan_queue) = mpsc::channel(limits::STORE_QUEUE_WRITES);
        let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
            let builder = thread::Builder::new().name(name.to_owned()).stack_size(1024 * 1024);
            builder.spawn(body).map_err(|e| StoreError::Sqlite(e.to_string()))
        };
        let durable = Arc::clone(&head);
        let check = Arc::new(Check::new(path, whole::take_mark(&writer)?));
        let checked = check.clone();
        let write = move || write_all(writer, write_queue, (&durable, &checked));
        spawn("store-write", Box::new(write))?;
        spawn("store-read", Box::new(move || read_all(&reader, read_queue)))?;
        spawn("store-scan", Box::new(move || read_all(&scanner, scan_queue)))?;
        whole::start(&check);
        Ok(Self { writes, reads, scans, head, check })
    }

    /// What the check of the file found, told once.
    #[must_use]
    pub fn damage(&self) -> Option<StoreError> {
        self.check.found()
    }

    /// The check of the file is under way.
    #[cfg(test)]
    pub(super) fn is_checking(&self) -> bool {
        self.check.is_due()
    }

    /// The head of the audit chain as it is on disk: what was not committed yet is not in it, so that
    /// it may be told to others. Costs nothing.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head.lock().unwrap_or_else(PoisonError::into_inner).head
    }

    /// The head that this process had written, where the chain had another end when the next write
    /// began: somebody else wrote into the file.
    #[must_use]
    pub fn cut(&self) -> Option<Head> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner).cut
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

    /// Queues that the log is emptied, after all writes so far: what was deleted is in no file then.
    /// `false` when it was not, because somebody reads or the store has too much to do.
    #[must_use]
    pub fn wipe_log(&self) -> oneshot::Receiver<bool> {
        let (answer, answered) = oneshot::channel();
        if let Err(error) = self.writes.try_send(Job::Wipe(answer))
            && let Job::Wipe(answer) = error.into_inner()
        {
            // Whoever asked may have gone.
            answer.send(false).ok();
        }
        answered
    }

    /// Queues a read of what is committed.
    pub fn read<T: Send + 'static>(
        &self,
        op: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, StoreError>> {
        queue(&self.reads, op)
    }

    /// Queues a read that looks through more than it shows. Only others of the kind wait for it.
    pub fn scan<T: Send + 'static>(
        &self,
        op: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, StoreError>> {
        queue(&self.scans, op)
    }
}

fn queue<T: Send + 'static>(
    reads: &mpsc::Sender<Read>,
    op: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
) -> oneshot::Receiver<Result<T, StoreError>> {
    let (answer, answered) = oneshot::channel();
    match reads.try_reserve() {
        Ok(slot) => slot.send(Box::new(move |db| {
            // Whoever asked may have gone; then nobody needs the answer.
            answer.send(op(db)).ok();
        })),
        Err(_) => {
            answer.send(Err(StoreError::Busy)).ok(); // As above.
        }
    }
    answered
}

fn in_savepoint<T>(
    db: &Connection,
    op: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    run(db, "SAVEPOINT one")?;
    match op(db) {
        Ok(value) => {
            reach(Failpoint::StoreSavepoint);
            run(db, "RELEASE one").map(|()| value)
        }
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

fn write_all(
    db: Connection,
    mut queue: mpsc::Receiver<Job>,
    (head, check): (&DurableHead, &Check),
) {
    let (mut grown, mut marked) = (false, false);
    while let Some(first) = queue.blocking_recv() {
        let (mut fold, mut wipe) = (None, None);
        let mut writes = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Write(write) => writes.push(write),
                Job::Fold(answer) => fold = Some(answer),
                Job::Wipe(answer) => wipe = Some(answer),
            }
            let ends = fold.is_some() || wipe.is_some();
            let full = ends || writes.len() >= limits::STORE_BATCH_WRITES;
            next = if full { None } else { queue.try_recv().ok() };
        }
        if !writes.is_empty() {
            if std::mem::take(&mut marked) {
                open_again(&db);
            }
            commit(&db, writes, head);
        }
        if let Some(answer) = fold {
            marked = end(&db, check);
            // Whoever waited may have gone.
            answer.send(()).ok();
        } else if !grown && queue.is_empty() {
            // Not before the first answer, which somebody waits for.
            grown = true;
            grow_log(&db);
        }
        if let Some(answer) = wipe {
            answer.send(wipe_log(&db)).ok(); // As above.
        }
    }
    end(&db, check);
    db.close().ok(); // Nothing is left to do about an error here.
}

/// Leaves the mark of an orderly end, unless the file may be damaged, and all there is in one file.
/// Gives whether there is a mark.
fn end(db: &Connection, check: &Check) -> bool {
    check.stop();
    let warn = |error: &StoreError| tracing::warn!(%error, "the next start checks the database");
    let marked = check.is_whole() && whole::leave_mark(db).inspect_err(warn).is_ok();
    fold_log(db);
    marked
}

/// What is written from here on may be cut off again.
fn open_again(db: &Connection) {
    if let Err(error) = whole::take_mark(db) {
        tracing::warn!(%error, "the database stays marked as closed in order");
    }
}

fn grow_log(db: &Connection) {
    if let Err(error) = migrate::grow_log(db) {
        // The connection must be clean for what is written next.
        db.execute_batch("ROLLBACK").ok();
        // Nothing is lost: commits are slower for a while.
        tracing::debug!(%error, "the log was not made longer beforehand");
    }
}

/// One transaction for all of them. `head` is the chain's head once it is on disk.
fn commit(db: &Connection, writes: Vec<Write>, head: &DurableHead) {
    reach(Failpoint::StoreBegin);
    let mut failed = run(db, "BEGIN IMMEDIATE").err();
    if failed.is_none() {
        look_at_end(db, head);
    }
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
    if is_planted(Fault::AnswerEarly) {
        finishes.drain(..).for_each(|finish| finish(failed.clone()));
        thread::sleep(Duration::from_millis(50));
    }
    reach(Failpoint::StoreCommit);
    if failed.is_none() {
        failed = run(db, "COMMIT").err();
    }
    reach(Failpoint::StoreCommitted);
    if failed.is_some() && !db.is_autocommit() {
        // The connection must be clean for the next batch; an error here repeats there.
        db.execute_batch("ROLLBACK").ok();
    }
    if failed.is_none()
        && let Ok(durable) = audit::head(db)
    {
        head.lock().unwrap_or_else(PoisonError::into_inner).head = durable;
    }
    if let Some(error) = &failed {
        tracing::error!(%error, writes = finishes.len(), "a commit failed");
    }
    for finish in finishes {
        finish(failed.clone());
    }
    reach(Failpoint::StoreAnswered);
}

/// Notes it where the chain does not end where we left it.
fn look_at_end(db: &Connection, durable: &DurableHead) {
    let mut durable = durable.lock().unwrap_or_else(PoisonError::into_inner);
    if audit::head(db).is_ok_and(|head| head != durable.head) && durable.cut.is_none() {
        durable.cut = Some(durable.head);
    }
}

/// Without it the newest data stay in the log, which is as safe, but a file of its own.
fn fold_log(db: &Connection) {
    reach(Failpoint::StoreFold);
    if let Err(error) = db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
        tracing::warn!(%error, "the log stays beside the database");
    }
    reach(Failpoint::StoreFolded);
}

/// Writers do not wait long for a reader: who asked asks again.
fn wipe_log(db: &Connection) -> bool {
    if let Err(error) = space::rewrite_small(db) {
        tracing::warn!(%error, "the database was not written anew");
    }
    let wiped = db
        .busy_timeout(limits::WIPE_WAIT)
        .and_then(|()| db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)));
    let wiped = wiped.map(|busy: i64| busy == 0);
    let usual = db.busy_timeout(migrate::BUSY_TIMEOUT);
    let wiped = usual.and(wiped).unwrap_or_else(|error| {
        tracing::warn!(%error, "the log was not emptied");
        false
    });
    if wiped && let Err(error) = migrate::grow_log(db) {
        tracing::warn!(%error, "the log grows by itself");
    }
    wiped
}

fn read_all(db: &Connection, mut queue: mpsc::Receiver<Read>) {
    while let Some(read) = queue.blocking_recv() {
        read(db);
    }
}
