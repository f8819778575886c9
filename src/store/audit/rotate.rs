//! Moving old records into a file beside the database, without breaking the chain.
//!
//! All of the chain is verified first, so that nothing that is wrong gets a new signature. The file is
//! written, is on disk and was read again before anything is deleted. What moves is signed (an *anchor*),
//! and the chain goes on after it. What the start of a node needs of what was moved stays in the database;
//! the anchor and the record of the rotation have its digest, so that it is as firm as the chain.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use rusqlite::{Connection, params};

use super::{
    Anchor, StoreError, all, anchors, append, base, head, ms, page, read_record, record, verify,
};
use crate::{
    audit::{
        self, ChainError, Event, Head, Moved, Record,
        lines::{self, Checked, End, Top},
    },
    base::{Digest, PeerId, Timestamp, limits},
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
    /// What was written is not what was to be moved, or another file has its name.
    #[error("{path} is not the part that is to be moved: {problem}; nothing was moved")]
    Other {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
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

/// The first and the last record of a file of this name, where it is such a file's.
#[must_use]
pub fn of_file(name: &str) -> Option<(u64, u64)> {
    let (first, last) = name.strip_prefix("audit-")?.strip_suffix(".jsonl")?.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (file_name(first, last) == name).then_some((first, last))
}

/// The files of moved records in the folder of a database, oldest first.
///
/// # Errors
/// When the folder cannot be read.
pub fn files(database: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let folder = database.parent().unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().ok();
        if let Some(name) = name.filter(|name| of_file(name).is_some())
            && entry.file_type()?.is_file()
        {
            found.push((name, entry.path()));
        }
    }
    found.sort_by_key(|(name, _)| of_file(name));
    Ok(found)
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

/// Verifies all of the chain and writes a part of it into its file in the folder of the database, closed
/// to others, by a connection of its own. It is on disk, and was read again, when this returns. Takes a
/// few seconds for 100,000 records: not for an async task. One at a time: it takes away what another one
/// is writing.
///
/// # Errors
/// See [`RotateError`].
pub fn write(database: &Path, part: &Part, key: &IdentityKey) -> Result<PathBuf, RotateError> {
    let db = migrate::open_without_key(database)?;
    if let Some(problem) = verify(&db, &key.id())?.problem {
        return Err(problem.into());
    }
    let folder = database.parent().unwrap_or(Path::new("."));
    let path = folder.join(part.file_name());
    // A part whose deletion failed is written again; another one's file is not written over.
    if path.exists() {
        read_again(&path, part, &key.id())?;
    }
    let temporary = path.with_extension("part");
    // What a crash left behind.
    fs::remove_file(&temporary).ok();
    write_file(&db, &temporary, part, key)?;
    let failed = |error| RotateError::Io { path: path.clone(), error };
    fs::rename(&temporary, &path).map_err(failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    read_again(&path, part, &key.id())?;
    Ok(path)
}

/// Reads a file as anybody else would, and holds it against the part.
fn read_again(path: &Path, part: &Part, node: &PeerId) -> Result<(), RotateError> {
    let failed = |error| RotateError::Io { path: path.to_owned(), error };
    let mut lines = BufReader::new(File::open(path).map_err(failed)?);
    let (_, checked) = lines::read(&mut lines, |_, _| ()).map_err(failed)?;
    let problem = match checked {
        Ok(Checked { top, end }) => {
            if top.node == *node && top.whole && (top.after, end.head) == (part.after, part.last) {
                return Ok(());
            }
            "it is another log".to_owned()
        }
        Err(error) => error.to_string(),
    };
    Err(RotateError::Other { path: path.to_owned(), problem })
}

fn write_file(
    db: &Connection,
    path: &Path,
    part: &Part,
    key: &IdentityKey,
) -> Result<(), RotateError> {
    let failed = |error| RotateError::Io { path: path.to_owned(), error };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
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
        let records = page(db, at.seq, limits::AUDIT_PAGE_RECORDS)?;
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
    file.sync_all().map_err(failed)
}

/// Takes a part that is in its file out of the database, signs it, and notes it in the chain.
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
    // What an earlier rotation kept is what is signed again, and nothing that was put in.
    let before = anchors(db)?.pop();
    if let Some(Anchor { moved, .. }) = before
        && kept_digest(db, moved.last.seq)? != Some(moved.kept)
    {
        return Ok(false);
    }
    let standing = standing(db, last, now)?;
    let numbers = serde_json::to_string(&standing).unwrap_or_default();
    // Before anything is deleted: what is wrong now was right when the file was written.
    let sql = "SELECT * FROM audit WHERE number IN (SELECT value FROM json_each(?1))
               ORDER BY number";
    let Some(kept) = digest_of(&all(db, "audit", sql, [&numbers], read_record)?) else {
        return Ok(false);
    };
    let sql = "DELETE FROM audit
               WHERE number <= ?1 AND number NOT IN (SELECT value FROM json_each(?2))";
    db.prepare_cached(sql)?.execute(params![last, numbers])?;
    db.prepare_cached("DELETE FROM checkpoints WHERE number <= ?1")?.execute([last])?;
    let moved = Moved { first, last: part.last, kept };
    let sql = "INSERT INTO anchors (number, first, hash, signature, at_ms, kept)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let (hash, signature) = (part.last.hash, moved.sign(key));
    let row = params![last, first, hash.as_bytes(), signature, ms(now), kept.as_bytes()];
    db.prepare_cached(sql)?.execute(row)?;
    let (hash, kept) = (hash.to_string(), kept.to_string());
    append(db, now, &Event::Rotated { first, last, hash, kept })?;
    super::checkpoint(db, key, true)?;
    Ok(true)
}

/// The digest of the records that stay before `upto`; `None` where one of them was changed.
pub(super) fn kept_digest(db: &Connection, upto: u64) -> Result<Option<Digest>, StoreError> {
    let sql = "SELECT * FROM audit WHERE number <= ?1 ORDER BY number";
    Ok(digest_of(&all(db, "audit", sql, [upto], read_record)?))
}

fn digest_of(records: &[Record]) -> Option<Digest> {
    if records.iter().any(|record| audit::check_alone(record).is_err()) {
        return None;
    }
    let hashes: Vec<&[u8]> =
        records.iter().map(|record| record.hash.as_bytes().as_slice()).collect();
    Some(Digest::of("countersign/audit-kept/v1", &hashes))
}

/// The records up to `upto` that say how things stand now: the last word about each thing that does
/// not end by itself.
fn standing(db: &Connection, upto: u64, now: Timestamp) -> Result<Vec<u64>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT number, event FROM audit WHERE number <= ?1 ORDER BY number")?;
    let mut rows = statement.query([upto])?;
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    let mut passed: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (number, event): (u64, String) = (row.get(0)?, row.get(1)?);
        // A record of another version says nothing that this one needs.
        let Ok(event) = serde_json::from_str::<Event>(&event) else { continue };
        if let Event::Passed { grant, .. } = &event {
            passed.entry(granted(grant)).or_default().push(number);
        }
        match about(&event, now) {
            Some((what, true)) => drop(last.insert(what, number)),
            Some((what, false)) => drop(last.remove(&what)),
            None => {}
        }
    }
    // How often a grant was used counts as long as the grant.
    let used = passed.into_iter().filter(|(grant, _)| last.contains_key(grant));
    let used: Vec<u64> = used.flat_map(|(_, numbers)| numbers).collect();
    let mut numbers: Vec<u64> = last.into_values().chain(used).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// What the record of a grant is about.
fn granted(grant: &str) -> String {
    format!("grant {grant}")
}

/// What an event is the last word about, until there is another; `false` where that is over.
fn about(event: &Event, now: Timestamp) -> Option<(String, bool)> {
    match event {
        Event::PolicySet { .. } | Event::PolicyReset { .. } => Some(("policy".to_owned(), true)),
        Event::ApproverSet { .. } => Some(("approver".to_owned(), true)),
        Event::TrustMoved { peer, .. } => Some((format!("peer {peer}"), true)),
        // Times of this form sort as their texts do.
        Event::Granted { grant, until, .. } => Some((granted(grant), *until > now.rfc3339())),
        // Whatever is said of the grant later: it was ended.
        Event::GrantEnded { grant } => Some((format!("end of {grant}"), true)),
        Event::TaintCleared { .. } => Some(("taint".to_owned(), true)),
        Event::KnownForgotten { known } => Some((format!("known {known}"), true)),
        Event::TokenMade { token, .. } => Some((format!("token {token}"), true)),
        Event::TokenEnded { token, .. } => Some((format!("token {token}"), false)),
        // Where trust in it was moved to last counts all the same.
        Event::PeerForgotten { peer, .. } => Some((format!("forgotten {peer}"), true)),
        // What was granted before counts no more.
        Event::HomeRestored { .. } => Some(("restored".to_owned(), true)),
        Event::HomeExported { .. } | Event::HomeImported { .. } | Event::MoveUndone => {
            Some(("home".to_owned(), true))
        }
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
