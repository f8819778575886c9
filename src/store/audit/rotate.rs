//! Moving old records into a file beside the database, without breaking the chain.
//!
//! The file is written and is on disk before anything is deleted. The last record that moves is signed
//! (an *anchor*), and the chain goes on after it. What the start of a node needs of what was moved stays
//! in the database, and the record of the rotation has its digest, so that it is as firm as the chain.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use rusqlite::{Connection, params};

use super::{StoreError, all, append, base, head, ms, page, read_record, record};
use crate::{
    audit::{
        self, ChainError, Event, Head, Record,
        lines::{self, End, Top},
    },
    base::{Digest, Timestamp, limits},
    identity::IdentityKey,
    store::migrate,
};

/// What stays in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Records of this time or later, and all behind the first of them.
    Since(Timestamp),
    /// So many records.
    Records(u64),
}

/// A part of the chain that is to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// What its first record follows.
    pub after: Head,
    /// Its last record.
    pub last: Head,
}

/// Why a part was not written.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain is broken: what says so is not moved away.
    #[error("{0}; nothing was moved")]
    Chain(#[from] ChainError),
    /// The system said no.
    #[error("{path}: {error}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

impl Part {
    /// The file of this part, in the folder of the database.
    #[must_use]
    pub fn file_name(&self) -> String {
        file_name(self.after.seq.saturating_add(1), self.last.seq)
    }

    /// How many records it has.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.last.seq.saturating_sub(self.after.seq)
    }
}

/// The file of the records `first` to `last`.
#[must_use]
pub fn file_name(first: u64, last: u64) -> String {
    format!("audit-{first:012}-{last:012}.jsonl")
}

/// What is to be moved so that `keep` stays; `None` where there is nothing.
///
/// # Errors
/// When the database fails.
pub fn part(db: &Connection, keep: Keep) -> Result<Option<Part>, StoreError> {
    let (after, end) = (base(db)?, head(db)?);
    let last = match keep {
        Keep::Records(records) => end.seq.saturating_sub(records),
        Keep::Since(since) => {
            let sql = "SELECT min(number) FROM audit WHERE number > ?1 AND at_ms >= ?2";
            let first: Option<u64> =
                db.query_row(sql, params![after.seq, ms(since)], |row| row.get(0))?;
            first.map_or(end.seq, |first| first.saturating_sub(1))
        }
    };
    if last <= after.seq {
        return Ok(None);
    }
    Ok(record(db, last)?.map(|last| Part { after, last: Head::of(&last) }))
}

/// Writes a part into its file in the folder of the database, closed to others, by a connection of its
/// own. It is on disk when this returns. Takes about a second for 100,000 records: not for an async
/// task.
///
/// # Errors
/// See [`RotateError`].
pub fn write(database: &Path, part: &Part, key: &IdentityKey) -> Result<PathBuf, RotateError> {
    let db = migrate::open_without_key(database)?;
    let folder = database.parent().unwrap_or(Path::new("."));
    let path = folder.join(part.file_name());
    let temporary = path.with_extension("part");
    let failed = |error| RotateError::Io { path: temporary.clone(), error };
    // What a crash left behind.
    fs::remove_file(&temporary).ok();
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
    let mut out = BufWriter::new(file.map_err(failed)?);
    let top = Top {
        countersign_audit: lines::VERSION,
        node: key.id(),
        after: part.after,
        whole: true,
        peer: None,
        since: None,
    };
    out.write_all(lines::line(&top).as_bytes()).map_err(failed)?;
    let mut at = part.after;
    while at.seq < part.last.seq {
        let records = page(&db, at.seq, limits::AUDIT_PAGE_RECORDS)?;
        if records.is_empty() {
            return Err(ChainError::Cut { last: at.seq, signed: part.last.seq }.into());
        }
        for record in records.iter().take_while(|record| record.seq <= part.last.seq) {
            at = audit::follow(&at, record)?;
            out.write_all(lines::line(record).as_bytes()).map_err(failed)?;
        }
    }
    let signature = HEXLOWER.encode(&at.sign(key));
    let end = End { head: at, signature, records: part.records() };
    out.write_all(lines::line(&end).as_bytes()).map_err(failed)?;
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    fs::rename(&temporary, &path).map_err(failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(path)
}

/// Takes a part that is in its file out of the database, signs its end, and notes it in the chain.
/// `false` where the chain is not as it was when the part was chosen.
///
/// # Errors
/// When the database fails.
pub fn take_out(
    db: &Connection,
    part: &Part,
    key: &IdentityKey,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let same = record(db, part.last.seq)?.is_some_and(|record| Head::of(&record) == part.last);
    if base(db)? != part.after || !same {
        return Ok(false);
    }
    let (first, last) = (part.after.seq.saturating_add(1), part.last.seq);
    let standing = standing(db, last, now)?;
    let numbers = serde_json::to_string(&standing).unwrap_or_default();
    let sql = "DELETE FROM audit
               WHERE number <= ?1 AND number NOT IN (SELECT value FROM json_each(?2))";
    db.prepare_cached(sql)?.execute(params![last, numbers])?;
    db.prepare_cached("DELETE FROM checkpoints WHERE number <= ?1")?.execute([last])?;
    let sql = "INSERT INTO anchors (number, first, hash, signature, at_ms)
               VALUES (?1, ?2, ?3, ?4, ?5)";
    let signature = part.last.sign(key);
    let hash = part.last.hash;
    db.prepare_cached(sql)?.execute(params![last, first, hash.as_bytes(), signature, ms(now)])?;
    let kept = kept_digest(db, last)?.map(|kept| kept.to_string()).unwrap_or_default();
    append(db, now, &Event::Rotated { first, last, hash: hash.to_string(), kept })?;
    super::checkpoint(db, key, true)?;
    Ok(true)
}

/// The digest of the records that stay before `upto`; `None` where one of them was changed.
pub(super) fn kept_digest(db: &Connection, upto: u64) -> Result<Option<Digest>, StoreError> {
    let sql = "SELECT * FROM audit WHERE number <= ?1 ORDER BY number";
    let records: Vec<Record> = all(db, "audit", sql, [upto], read_record)?;
    if records.iter().any(|record| audit::check_alone(record).is_err()) {
        return Ok(None);
    }
    let hashes: Vec<&[u8]> =
        records.iter().map(|record| record.hash.as_bytes().as_slice()).collect();
    Ok(Some(Digest::of("countersign/audit-kept/v1", &hashes)))
}

/// The records up to `upto` that say how things stand now: the last word about each thing that does
/// not end by itself.
fn standing(db: &Connection, upto: u64, now: Timestamp) -> Result<Vec<u64>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT number, event FROM audit WHERE number <= ?1 ORDER BY number")?;
    let mut rows = statement.query([upto])?;
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (number, event): (u64, String) = (row.get(0)?, row.get(1)?);
        // A record of another version says nothing that this one needs.
        let Ok(event) = serde_json::from_str::<Event>(&event) else { continue };
        match about(&event, now) {
            Some((what, true)) => drop(last.insert(what, number)),
            Some((what, false)) => drop(last.remove(&what)),
            None => {}
        }
    }
    let mut numbers: Vec<u64> = last.into_values().collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// What an event is the last word about, until there is another; `false` where that is over.
fn about(event: &Event, now: Timestamp) -> Option<(String, bool)> {
    match event {
        Event::PolicySet { .. } | Event::PolicyReset { .. } => Some(("policy".to_owned(), true)),
        Event::ApproverSet { .. } => Some(("approver".to_owned(), true)),
        Event::TrustMoved { peer, .. } => Some((format!("peer {peer}"), true)),
        // Times of this form sort as their texts do.
        Event::Granted { grant, until, .. } => {
            Some((format!("grant {grant}"), *until > now.rfc3339()))
        }
        Event::GrantEnded { grant } => Some((format!("grant {grant}"), true)),
        Event::TaintCleared { .. } => Some(("taint".to_owned(), true)),
        Event::KnownForgotten { known } => Some((format!("known {known}"), true)),
        Event::TokenMade { token, .. } => Some((format!("token {token}"), true)),
        Event::TokenEnded { token, .. } => Some((format!("token {token}"), false)),
        Event::PeerForgotten { peer, .. } => Some((format!("peer {peer}"), true)),
        Event::HomeExported { .. }
        | Event::HomeImported { .. }
        | Event::HomeRestored { .. }
        | Event::MoveUndone => Some(("home".to_owned(), true)),
        Event::Started { .. }
        | Event::Invited { .. }
        | Event::PeerAsked { .. }
        | Event::CodeTried { .. }
        | Event::Decided { .. }
        | Event::Passed { .. }
        | Event::Sent { .. }
        | Event::Arrived { .. }
        | Event::Moved { .. }
        | Event::KnownAdded { .. }
        | Event::RetentionSet { .. }
        | Event::Deleted { .. }
        | Event::HomeBackedUp { .. }
        | Event::Refused { .. }
        | Event::WrongPassphrase { .. }
        | Event::Rotated { .. }
        | Event::HeadDisputed { .. }
        | Event::DisputeAccepted { .. } => None,
    }
}
