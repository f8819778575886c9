//! Checking the chain, a part at a time.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::{Anchor, Holding, StoreError, anchors, check_anchors, holds, page, rotate};
use crate::{
    audit::{self, ChainError, Event, Head, Moved, Record},
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
    /// What the newest record of a rotation says that it moved.
    pub moved: Option<Moved>,
    /// The last record that was signed.
    pub signed: u64,
    /// A part was checked: what was moved is behind it.
    pub begun: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self { head: Head::EMPTY, records: 0, checkpoints: 0, moved: None, signed: 0, begun: false }
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
    let anchors = anchors(db)?;
    if let Err(problem) = check_anchors(&anchors, node) {
        return Ok((progress, Ended::Problem(problem)));
    }
    if let Some(last) = anchors.last().map(|anchor| anchor.moved.last)
        && (!progress.begun || last.seq > progress.head.seq)
    {
        progress.head = last;
        progress.signed = last.seq;
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
    progress.moved = rotated(record).or(progress.moved);
    if checkpoint.is_some() {
        progress.signed = seq;
    }
    // A node signs far more often than this.
    if seq.saturating_sub(progress.signed) > u64::from(limits::AUDIT_TAIL_RECORDS_MAX) {
        return Err(ChainError::Unsigned { after: progress.signed, seq });
    }
    progress.head = next;
    progress.records += 1;
    progress.checkpoints += u64::from(checkpoint.is_some());
    Ok(())
}

/// What a record of a rotation says that was moved.
fn rotated(record: &Record) -> Option<Moved> {
    let is = record.event.starts_with("{\"event\":\"rotated\"");
    let event = is.then(|| serde_json::from_str(&record.event).ok())?;
    let Some(Event::Rotated { first, last, hash, kept }) = event else { return None };
    let last = Head { seq: last, hash: hash.parse().ok()? };
    Some(Moved { first, last, kept: kept.parse().ok()? })
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
    let Some(Anchor { moved, .. }) = anchors(db)?.pop() else { return Ok(None) };
    // The chain names the part that was moved last, and this node signed it apart.
    if progress.moved != Some(moved) {
        return Ok(Some(ChainError::Anchor(moved.last.seq)));
    }
    let after = moved.last.seq.saturating_add(1);
    if rotate::kept_digest(db, moved.last.seq)? != Some(moved.kept) {
        return Ok(Some(ChainError::Kept { after }));
    }
    seen_before(db, after)
}

/// What a peer has seen of the records that were moved, and is not there. Of what cannot be looked at,
/// only what a peer disputed before.
fn seen_before(db: &Connection, before: u64) -> Result<Option<ChainError>, StoreError> {
    for (Seen { head, peer, receipt }, disputed) in Words::seen(db, (0, before.saturating_sub(1)))?
    {
        let lacks = match holds(db, &head)? {
            Holding::Yes => false,
            Holding::No => true,
            Holding::Unknown => disputed,
        };
        if lacks {
            return Ok(Some(ChainError::Witness { seq: head.seq, at: None, peer, receipt }));
        }
    }
    Ok(None)
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
        let seen = Self::seen(db, (after, upto))?.into_iter().map(|(seen, _)| seen).collect();
        let upto = i64::try_from(upto).unwrap_or(i64::MAX);
        let sql = "SELECT * FROM checkpoints WHERE number > ?1 AND number <= ?2";
        let checkpoints = all(db, "checkpoints", sql, params![after, upto], |row| {
            let signature: Vec<u8> = row.get("signature")?;
            Ok((super::number(row)?, (row.id("hash", Digest::from_slice)?, signature)))
        })?;
        Ok(Self { checkpoints: checkpoints.into_iter().collect(), seen })
    }

    /// What peers have seen of the records after the first number, up to the second; `true` of what is
    /// disputed.
    fn seen(db: &Connection, (after, upto): (u64, u64)) -> Result<Vec<(Seen, bool)>, StoreError> {
        let upto = i64::try_from(upto).unwrap_or(i64::MAX);
        let sql = "SELECT * FROM witnesses
                   WHERE what IN ('ours', 'lost') AND number > ?1 AND number <= ?2
                   ORDER BY number, peer, what";
        all(db, "witnesses", sql, params![after, upto], |row| {
            let head = Head { seq: super::number(row)?, hash: row.id("hash", Digest::from_slice)? };
            let peer = row.id("peer", PeerId::from_slice)?;
            let receipt = row.id("receipt", MessageId::from_slice)?;
            let disputed = row.get::<String>("what")? == "lost";
            Ok((Seen { head, peer, receipt }, disputed))
        })
    }
}
