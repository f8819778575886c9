//! The copy of the database that a backup is made from: made by the node while it goes on, sealed by
//! the command in whose terminal the passphrase was typed, and gone afterwards.

use std::fs;

use data_encoding::HEXLOWER;

use super::{
    api::{ApiError, CopyMade, Done, ErrorKind, Reply},
    clock,
    config::Home,
    state::{Answer, Node, Then, reply, store_failed, usage},
};
use crate::{
    audit,
    base::{Timestamp, limits},
    store::{self, StoreError, keys, space},
};

/// Takes away what an earlier backup left, such as one whose process was killed.
pub(super) fn remove_copy(home: &Home) {
    let copy = home.copy_file();
    // There is none, mostly. SQLite's own beside it is there only while the copy is made.
    fs::remove_file(&copy).ok();
    let mut journal = copy.into_os_string();
    journal.push("-journal");
    fs::remove_file(journal).ok();
}

impl Node {
    /// Copies the database as it is now. A thread of its own does it: neither reads nor writes wait.
    pub(super) fn copy(&mut self, answer: Answer) {
        let now = clock::now();
        let taken = self.copy_made.is_some_and(|made| now.since(made) <= limits::BACKUP_COPY_HELD);
        if let Err(error) = self.may_erase().and_then(|()| if taken { held() } else { Ok(()) }) {
            return reply(answer, Err(error));
        }
        self.chores.copying = true;
        let home = self.home.clone();
        let copied = tokio::task::spawn_blocking(move || {
            remove_copy(&home);
            // Before there is anything in it, so that nobody else can ever read it.
            let made = keys::write_new(&home.copy_file(), b"");
            let copied = made
                .map_err(|error| StoreError::ReadOnly(error.to_string()))
                .and_then(|()| space::copy(&home.database_file(), &home.copy_file()));
            if copied.is_err() {
                remove_copy(&home);
            }
            copied
        });
        self.reads.push(Box::pin(async move {
            let copied = copied.await.unwrap_or(Err(StoreError::Closed));
            Box::new(move |node: &mut Self| {
                node.chores.copying = false;
                node.copy_made = copied.is_ok().then(clock::now);
                let file = node.home.copy_file();
                let file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let result = copied.map(|()| Reply::CopyMade(CopyMade { file }));
                reply(answer, result.map_err(|error| store_failed(&error)));
            }) as Then
        }));
    }

    /// The copy is not needed any more: it goes, and the audit chain hears what was made of it.
    pub(super) fn copied(&mut self, archive: Option<String>, answer: Answer) {
        if self.chores.copying {
            let next = "try again in a moment";
            return reply(answer, Err(ApiError::new(ErrorKind::Busy, "it is being made", next)));
        }
        remove_copy(&self.home);
        let there = self.copy_made.take().is_some();
        let done = Reply::Done(Done { done: true });
        let Some(archive) = archive.filter(|_| there) else { return reply(answer, Ok(done)) };
        if HEXLOWER.decode(archive.as_bytes()).map_or(0, |bytes| bytes.len()) != 32 {
            return reply(answer, Err(usage("this is no SHA-256", "countersign backup FILE")));
        }
        let now = clock::now();
        let event = audit::Event::HomeBackedUp { archive };
        let op = move |db: &rusqlite::Connection| store::audit::append(db, now, &event).map(drop);
        self.write(op, move |_, written| {
            reply(answer, written.map(|()| done).map_err(|error| store_failed(&error)));
        });
    }

    /// Nobody has come back for the copy: it holds every text, and does not stay.
    pub(super) fn sweep_copy(&mut self, now: Timestamp) {
        let old = |made: &Timestamp| now.since(*made) > limits::BACKUP_COPY_LIFE;
        if self.copy_made.as_ref().is_some_and(old) {
            self.copy_made = None;
            remove_copy(&self.home);
        }
    }
}

/// Another command seals its copy at this moment, or was cut short a moment ago.
fn held() -> Result<(), ApiError> {
    let next = "try again when that is over; one that was cut short is in the way for 2 minutes";
    Err(ApiError::new(ErrorKind::Busy, "another backup is being made", next))
}
