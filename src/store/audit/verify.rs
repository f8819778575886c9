//! Checking the chain, a part at a time.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::{StoreError, anchors, page, rotate};
use crate::{
    audit::{self, ChainError, Event, Head, Record},
    base::{Digest, MessageId, PeerId, limits},
    store::rows::all,
};

/// How far a check has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The last record that was checked.
    pub head: Head,
    /// Records that follow each other.
    pub records: u64,
    /// Checkpoints that fit.
    pub checkpoints: u64,
    /// What the newest rotation says that it kept of what it moved.
    pub kept: Option<Digest>,
    /// A part was checked: what was moved is behind it.
    pub begun: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self { head: Head::EMPTY, records: 0, checkpoints: 0, kept: None, begun: false }
    }
}

/// Whether a check goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// There is more to check.
    NotYet,
    /// All of it is whole.
    Whole,
    /// This is the first thing that is wrong.
    Problem(ChainError),
}

/// What checking the whole chain gave.
#[derive(Debug, Default)]
pub struct Verified {
    /// Records that follow each other.
    pub records: u64,
    /// Checkpoints that fit.
    pub checkpoints: u64,
    /// The first thing that is wrong.
    pub problem: Option<ChainError>,
}

/// Checks the chain in the database, every checkpoint, and what peers signed of it.
///
/// # Errors
/// When the database fails.
pub fn verify(db: &Connection, node: &PeerId) -> Result<Verified, StoreError> {
    let mut progress = Progress::default();
    loop {
        let (next, ended) = verify_part(db, node, &progress)?;
        progress = next;
        let problem = match ended {
            Ended::NotYet => continue,
            Ended::Whole => None,
            Ended::Problem(problem) => Some(problem),
        };
        let Progress { records, checkpoints, .. } = progress;
        return Ok(Verified { records, checkpoints, problem });
    }
}

/// Checks the next [`limits::AUDIT_PAGE_RECORDS`] records, as the database is at one moment: records
/// come meanwhile.
///
/// # Errors
/// When the database fails.
pub fn verify_part(
    db: &Connection,
    node: &PeerId,
    progress: &Progress,
) -> Result<(Progress, Ended), StoreError> {
    db.execute_batch("SAVEPOINT verify")?;
    let part = next_part(db, node, progress);
    db.execute_batch("RELEASE verify")?;
    part
}

fn next_part(
    db: &Connection,
    node: &PeerId,
    progress: &Progress,
) -> Result<(Progress, Ended), StoreError> {
    let mut progress = *progress;
    // At the beginning, and where records were moved since the last part.
    if let Some(anchor) = anchors(db)?.last()
        && (!progress.begun || anchor.head.seq > progress.head.seq)
    {
        if let Err(problem) = audit::check_checkpoint(&anchor.head, node, &anchor.signature) {
            return Ok((progress, Ended::Problem(problem)));
        }
        progress.head = anchor.head;
    }
    progress.begun = true;
    let records = page(db, progress.head.seq, limits::AUDIT_PAGE_RECORDS)?;
    let Some(last) = records.last() else {
        let problem = at_the_end(db, &progress)?;
        return Ok((progress, problem.map_or(Ended::Whole, Ended::Problem)));
    };
    let words = Words::between(db, progress.head.seq, last.seq)?;
    for record in &records {
        if let Err(problem) = check(node, record, &words, &mut progress) {
            return Ok((progress, Ended::Problem(problem)));
        }
    }
    Ok((progress, Ended::NotYet))
}

fn check(
    node: &PeerId,
    record: &Record,
    words: &Words,
    progress: &mut Progress,
) -> Result<(), ChainError> {
    let next = audit::follow(&progress.head, record)?;
    let (seq, at) = (record.seq, record.at);
    let checkpoint = words.checkpoints.get(&seq);
    if let Some((hash, signature)) = checkpoint {
        audit::check_checkpoint(&Head { seq, hash: *hash }, node, signature)?;
        if *hash != record.hash {
            return Err(ChainError::Replaced { seq, at });
        }
    }
    let other = |seen: &&Seen| seen.head.seq == seq && seen.head.hash != record.hash;
    if let Some(Seen { peer, receipt, .. }) = words.seen.iter().find(other) {
        let (peer, receipt) = (*peer, *receipt);
        return Err(ChainError::Witness { seq, at: Some(at), peer, receipt });
    }
    if let Some(kept) = rotated(record) {
        progress.kept = Some(kept);
    }
    progress.head = next;
    progress.records += 1;
    progress.checkpoints += u64::from(checkpoint.is_some());
    Ok(())
}

/// What a record of a rotation says that was kept.
fn rotated(record: &Record) -> Option<Digest> {
    let is = record.event.starts_with("{\"event\":\"rotated\"");
    let event = is.then(|| serde_json::from_str(&record.event).ok())?;
    if let Some(Event::Rotated { kept, .. }) = event { kept.parse().ok() } else { None }
}

fn at_the_end(db: &Connection, progress: &Progress) -> Result<Option<ChainError>, StoreError> {
    let last = progress.head.seq;
    let words = Words::between(db, last, u64::MAX)?;
    let seen = words.seen.iter().min_by_key(|seen| seen.head.seq);
    if let Some((signed, _)) = words.checkpoints.last_key_value() {
        return Ok(Some(ChainError::Cut { last, signed: *signed }));
    }
    if let Some(Seen { head, peer, receipt }) = seen {
        let (seq, peer, receipt) = (head.seq, *peer, *receipt);
        return Ok(Some(ChainError::Witness { seq, at: None, peer, receipt }));
    }
    let base = super::base(db)?.seq;
    let kept = rotate::kept_digest(db, base)?;
    let fits = if base == 0 { true } else { kept.is_some() && kept == progress.kept };
    Ok((!fits).then_some(ChainError::Kept { after: base.saturating_add(1) }))
}

/// A head of ours that a peer signed.
struct Seen {
    head: Head,
    peer: PeerId,
    receipt: MessageId,
}

/// What was signed of some records.
struct Words {
    checkpoints: BTreeMap<u64, (Digest, Vec<u8>)>,
    seen: Vec<Seen>,
}

impl Words {
    /// Of the records after `after`, up to `upto`.
    fn between(db: &Connection, after: u64, upto: u64) -> Result<Self, StoreError> {
        let upto = i64::try_from(upto).unwrap_or(i64::MAX);
        let sql = "SELECT * FROM checkpoints WHERE number > ?1 AND number <= ?2";
        let checkpoints = all(db, "checkpoints", sql, params![after, upto], |row| {
            let signature: Vec<u8> = row.get("signature")?;
            Ok((super::number(row)?, (row.id("hash", Digest::from_slice)?, signature)))
        })?;
        let sql = "SELECT * FROM witnesses
                   WHERE what IN ('ours', 'lost') AND number > ?1 AND number <= ?2
                   ORDER BY number, peer, what";
        let seen = all(db, "witnesses", sql, params![after, upto], |row| {
            let head = Head { seq: super::number(row)?, hash: row.id("hash", Digest::from_slice)? };
            let peer = row.id("peer", PeerId::from_slice)?;
            Ok(Seen { head, peer, receipt: row.id("receipt", MessageId::from_slice)? })
        })?;
        Ok(Self { checkpoints: checkpoints.into_iter().collect(), seen })
    }
}
