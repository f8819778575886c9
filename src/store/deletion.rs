//! Deleting messages: which may go, and everything that holds their text with them.
//!
//! By its age a message goes when nothing is expected of it any more: it was read, answered or
//! refused, its sender or its receiver said so, or it is past its expiry. What no agent has seen, what
//! is held or queued, and what awaits a receipt until its expiry stays, however old it is. When the
//! human names messages, they go unless they are held or queued.
//!
//! With a message go its history, its words in the index, its verdict, the receipts that told of
//! nothing else and that no dispute about an audit chain names, and who read it. What stays:
//! `arrivals`, so that it does not come a second time; decisions and the audit chain, which hold
//! digests; and in `spent` what it used up.

use rusqlite::{Connection, params};

use super::{
    StoreError, migrate,
    rows::{all, ms},
    search,
};
use crate::base::{MessageId, PeerId, Timestamp, limits};

/// Under which the store remembers deletions that the audit chain does not tell of yet.
const UNTOLD: &str = "erased";

/// Which of the messages may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Those of which nothing is expected any more at this time.
    Aged(Timestamp),
    /// All that are neither held nor queued, because the human named them.
    Asked,
}

/// Messages with one peer that were stored up to a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// With whom.
    pub peer: PeerId,
    /// The last time, inclusive.
    pub until: Timestamp,
    /// Which of them.
    pub rule: Rule,
}

/// Where a look at a choice has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    stored_ms: i64,
    number: i64,
}

/// A part of a choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Messages that may go, by their numbers.
    pub going: Vec<i64>,
    /// How many stay, because something is expected of them.
    pub staying: u64,
    /// Where the next part begins; none at the end.
    pub next: Option<Place>,
}

/// ?5 is whether they were asked for, and ?6 the time.
const PART: &str = "
    SELECT number, stored_ms, length(envelope) AS bytes, CASE
        WHEN ?5 THEN state NOT IN ('held', 'queued', 'held_by_peer')
            OR (outgoing = 1 AND state = 'held_by_peer')
        WHEN outgoing = 1 THEN state IN ('denied', 'refused', 'expired', 'read', 'replied')
            OR (state IN ('delivered', 'held_by_peer', 'accepted') AND expires_ms <= ?6)
        ELSE unread = 0 AND state IN ('accepted', 'read', 'replied', 'refused')
    END AND NOT EXISTS (SELECT 1 FROM pending AS p
        WHERE p.message IS NOT NULL AND p.message = messages.id AND p.peer = messages.peer)
    AND NOT EXISTS (SELECT 1 FROM outbox AS o
        WHERE o.id = messages.id AND o.peer = messages.peer) AS goes
    FROM messages INDEXED BY messages_by_age
    WHERE peer = ?1 AND stored_ms <= ?2 AND (stored_ms, number) > (?3, ?4)
    ORDER BY stored_ms, number LIMIT ?7";

/// The next part of a choice: at most so many messages, and fewer where they are large.
///
/// # Errors
/// When the database fails.
pub fn part(
    db: &Connection,
    choice: &Choice,
    after: Place,
    limit: usize,
) -> Result<Part, StoreError> {
    let (asked, now) = match choice.rule {
        Rule::Asked => (true, 0),
        Rule::Aged(now) => (false, ms(now)),
    };
    let mut statement = db.prepare_cached(PART)?;
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let params = params![
        choice.peer.as_bytes(),
        ms(choice.until),
        after.stored_ms,
        after.number,
        asked,
        now,
        most
    ];
    let mut rows = statement.query(params)?;
    let (mut part, mut seen, mut bytes) = (Part::default(), 0, 0_u64);
    while let Some(row) = rows.next()? {
        let number = row.get("number")?;
        seen += 1;
        bytes = bytes.saturating_add(row.get("bytes")?);
        if row.get("goes")? {
            part.going.push(number);
        } else {
            part.staying += 1;
        }
        part.next = Some(Place { stored_ms: row.get("stored_ms")?, number });
        if bytes >= limits::DELETE_BATCH_BYTES {
            return Ok(part);
        }
    }
    part.next = part.next.filter(|_| seen >= limit);
    Ok(part)
}

/// How a single message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is none.
    Absent,
    /// It is held or queued.
    Waits,
    /// It may go, by its number.
    Goes(i64),
}

/// Whether the message of this id may go. Of two senders' that chose the same id, the first is meant.
///
/// # Errors
/// When the database fails.
pub fn standing(db: &Connection, id: &MessageId) -> Result<Standing, StoreError> {
    let sql = "SELECT number, peer, stored_ms FROM messages WHERE id = ?1 ORDER BY number LIMIT 1";
    let found = all(db, "messages", sql, [id.as_bytes()], |row| {
        let peer = row.id("peer", PeerId::from_slice)?;
        Ok((row.get::<i64>("number")?, peer, row.time("stored_ms")?))
    })?;
    let Some((number, peer, until)) = found.into_iter().next() else {
        return Ok(Standing::Absent);
    };
    let choice = Choice { peer, until, rule: Rule::Asked };
    let before = Place { stored_ms: ms(until), number: number - 1 };
    let goes = part(db, &choice, before, 1)?.going.contains(&number);
    Ok(if goes { Standing::Goes(number) } else { Standing::Waits })
}

/// Deletes messages, with all that holds their text, and remembers that it did. One write's worth.
///
/// # Errors
/// When the database fails.
pub fn delete(db: &Connection, numbers: &[i64], now: Timestamp) -> Result<(), StoreError> {
    for number in numbers {
        delete_one(db, *number, now)?;
    }
    if numbers.is_empty() {
        return Ok(());
    }
    let count = u64::try_from(numbers.len()).unwrap_or(u64::MAX);
    let untold = untold(db)?.saturating_add(count);
    migrate::set_meta(db, UNTOLD, &untold.to_string())
}

fn delete_one(db: &Connection, number: i64, now: Timestamp) -> Result<(), StoreError> {
    let sql = "SELECT DISTINCT receipt FROM history WHERE message = ?1 AND receipt IS NOT NULL";
    let receipts = all(db, "history", sql, [number], |row| row.get::<Vec<u8>>("receipt"))?;
    search::forget(db, number)?;
    keep_spent(db, number, now)?;
    // Its history and its readers go with it (ON DELETE CASCADE).
    db.prepare_cached("DELETE FROM messages WHERE number = ?1")?.execute([number])?;
    let sql = "DELETE FROM receipts WHERE id = ?1
               AND NOT EXISTS (SELECT 1 FROM history WHERE receipt = ?1)
               AND NOT EXISTS (SELECT 1 FROM witnesses WHERE receipt = ?1)";
    for receipt in receipts {
        db.prepare_cached(sql)?.execute([receipt])?;
    }
    Ok(())
}

/// What a message used up stays used up: else its deletion would let another one pass.
fn keep_spent(db: &Connection, number: i64, now: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT INTO spent (peer, outgoing, granted, at_ms)
               SELECT peer, outgoing, granted, at FROM (
                   SELECT *, max(stored_ms, coalesce((SELECT max(at_ms) FROM history
                   WHERE message = number AND state = 'queued'), 0)) AS at
                   FROM messages WHERE number = ?1)
               WHERE at > iif(granted IS NULL, ?2, ?3)";
    let rates = ms(now.minus(limits::RATE_WINDOW_MAX));
    let grants = ms(now.minus(limits::GRANT_LIFE_MAX));
    db.prepare_cached(sql)?.execute(params![number, rates, grants])?;
    Ok(())
}

/// Forgets what was spent so long ago that no grant and no rate counts it. At most 1,000 at once.
///
/// # Errors
/// When the database fails.
pub fn forget_spent(db: &Connection, now: Timestamp) -> Result<(), StoreError> {
    let sql = "DELETE FROM spent WHERE rowid IN
               (SELECT rowid FROM spent WHERE at_ms <= ?1 ORDER BY at_ms LIMIT 1000)";
    db.prepare_cached(sql)?.execute([ms(now.minus(limits::GRANT_LIFE_MAX))])?;
    Ok(())
}

fn untold(db: &Connection) -> Result<u64, StoreError> {
    Ok(migrate::meta(db, UNTOLD)?.and_then(|count| count.parse().ok()).unwrap_or(0))
}

/// How many messages were deleted since this was asked last, also before a crash. Asked in the
/// transaction of the audit record that tells of it.
///
/// # Errors
/// When the database fails.
pub fn take_untold(db: &Connection) -> Result<u64, StoreError> {
    let count = untold(db)?;
    migrate::forget_meta(db, UNTOLD)?;
    Ok(count)
}

/// Forgets a peer that is not trusted, whatever its row says of that. Of a `blocked` one its id and
/// the block stay. Its messages must be gone. Whose texts an agent was shown stays, until it counts no
/// more.
///
/// # Errors
/// When the database fails.
pub fn forget_peer(db: &Connection, peer: &PeerId, blocked: bool) -> Result<(), StoreError> {
    let id = peer.as_bytes();
    for sql in [
        "DELETE FROM receipts WHERE peer = ?1
         AND id NOT IN (SELECT receipt FROM witnesses WHERE peer = ?1)",
        "DELETE FROM outbox WHERE peer = ?1",
        "DELETE FROM pending WHERE peer = ?1",
        "DELETE FROM pairings WHERE peer = ?1",
        "DELETE FROM retention WHERE peer = ?1",
    ] {
        db.prepare_cached(sql)?.execute([id])?;
    }
    if !blocked {
        db.prepare_cached("DELETE FROM peers WHERE id = ?1")?.execute([id])?;
        return Ok(());
    }
    let sql = "UPDATE peers SET name = ?2, claim = '-', state = 'blocked', addresses = '[]',
               record = NULL, ours = NULL, theirs = NULL, statement = NULL, signature = NULL,
               other_approver = NULL, seen_ms = NULL, requires = NULL WHERE id = ?1";
    db.prepare_cached(sql)?.execute(params![id, forgotten_name(peer)])?;
    Ok(())
}

/// What a blocked peer that was forgotten is called.
#[must_use]
pub fn forgotten_name(peer: &PeerId) -> String {
    format!("blocked-{}", peer.to_string().chars().take(16).collect::<String>())
}
