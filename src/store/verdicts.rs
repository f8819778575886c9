//! What the policy said of each message, and how many there were lately.

use rusqlite::{Connection, params};

use super::{
    StoreError,
    rows::{Columns, all, ms},
    said,
};
use crate::{
    base::{PeerId, Timestamp},
    policy::Reason,
    risk::Severity,
};

/// The column, as a place.
pub(super) const VERDICT: &str = "messages.verdict";

/// What the policy said of a message when it was written down.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Verdict {
    /// `allow`, `ask`, `deny` or `grant`.
    pub verdict: String,
    /// The rule that decided.
    pub rule: String,
    /// The policy's digest.
    pub policy: String,
    /// Why, where it was no yes.
    pub reasons: Vec<VerdictReason>,
}

/// A reason of a [`Verdict`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VerdictReason {
    /// Which rule.
    pub rule: String,
    /// How bad.
    pub severity: Severity,
    /// A sentence for a person.
    pub text: String,
}

impl From<&Reason> for VerdictReason {
    fn from(reason: &Reason) -> Self {
        let Reason { rule, severity, text } = reason.clone();
        Self { rule, severity, text }
    }
}

/// Notes what the policy said of a message.
///
/// # Errors
/// When the database fails.
pub fn set_verdict(db: &Connection, number: i64, verdict: &Verdict) -> Result<(), StoreError> {
    let json = serde_json::to_string(verdict).unwrap_or_default();
    let sql = "UPDATE messages SET verdict = seal('messages.verdict', ?2, id, peer, outgoing)
               WHERE number = ?1";
    db.prepare_cached(sql)?.execute(params![number, json])?;
    Ok(())
}

/// What the policy said of a message. `None` for one that is older than such notes.
///
/// # Errors
/// When the database fails, or the note does not open.
pub fn verdict(db: &Connection, number: i64) -> Result<Option<Verdict>, StoreError> {
    let sql = "SELECT id, peer, outgoing, verdict FROM messages WHERE number = ?1";
    let found = all(db, "messages", sql, [number], |row| {
        row.opened_opt("verdict", &said::place(row, VERDICT)?)
    })?;
    let json = found.into_iter().next().flatten();
    Ok(json.and_then(|json| serde_json::from_slice(&json).ok()))
}

/// What is older than a busy day is not looked at.
pub(super) const RECENT: &str = "
    SELECT peer, outgoing, stored_ms FROM messages ORDER BY number DESC LIMIT 50000";

/// Numbers grow with the time, but for a clock that was set back: after so many older messages in a
/// row there are no newer ones.
const OLDER_ROWS: u32 = 200;

/// When messages went which way with whom since `since`, oldest first; true went out.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn recent(
    db: &Connection,
    since: Timestamp,
) -> Result<Vec<(PeerId, bool, Timestamp)>, StoreError> {
    let mut statement = db.prepare_cached(RECENT)?;
    let mut rows = statement.query([])?;
    let (mut recent, mut older) = (Vec::new(), 0);
    let read = |row: &Columns<'_>| {
        Ok::<_, StoreError>((
            row.id("peer", PeerId::from_slice)?,
            row.get("outgoing")?,
            row.time("stored_ms")?,
        ))
    };
    while let Some(row) = rows.next()?
        && older < OLDER_ROWS
    {
        let found: (_, _, Timestamp) = read(&Columns { table: "messages", row, db })?;
        if found.2 > since {
            older = 0;
            recent.push(found);
        } else {
            older += 1;
        }
    }
    let sql = "SELECT peer, outgoing, at_ms AS stored_ms FROM spent WHERE at_ms > ?1";
    recent.extend(all(db, "spent", sql, [ms(since)], read)?);
    recent.sort_by_key(|(_, _, at)| *at);
    Ok(recent)
}
