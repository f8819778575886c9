//! How many messages are unread, and of whom.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension as _, Params, params};

use super::{StoreError, rows::all};
use crate::base::PeerId;

/// Unread messages, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Of all peers.
    pub all: u64,
    /// Of those with most of them, most first.
    pub most: Vec<(PeerId, u64)>,
}

/// A peer's key, as the tables have it.
type Key = [u8; 32];

/// Who has most is looked up in so many lists at most, of so many peers that were counted besides at
/// most; of more, everything is added up.
const LISTS_MAX: usize = 8;
const BESIDES_MAX: usize = 100;
/// So many times as many of each list are looked at as are wanted.
const DEPTH: u32 = 4;

/// The lists in `unread_counts` that are new to the session ?1 where the sessions ?2 are open, with what
/// each adds up to. All of them, where there is no ?1 and none is open.
const LISTS: &str = "
    SELECT session, many FROM unread_totals
    WHERE session IN ('', ?1) OR session NOT IN (SELECT value FROM json_each(?2))";

/// What is in these lists.
const LISTED: &str = "
    SELECT peer, many FROM unread_counts
    WHERE session IN ('', ?1) OR session NOT IN (SELECT value FROM json_each(?2))";

/// Those with most in one list, most first.
pub(super) const FIRST: &str = "
    SELECT peer, many FROM unread_counts INDEXED BY unread_most
    WHERE session = ?1 ORDER BY many DESC, peer LIMIT ?2";

/// What a session has not seen.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The session. None: what no session has seen.
    pub(super) session: Option<String>,
    /// The sessions that are open, as SQL takes them.
    pub(super) open: String,
    /// What else is new to it, of whom.
    pub(super) besides: HashMap<Key, u64>,
}

impl Asked {
    /// How many messages.
    pub(super) fn count(&self, db: &Connection) -> Result<u64, StoreError> {
        Ok(self.sum(&self.lists(db)?))
    }

    /// How many, and of whom: of the `peers_max` with most of them. This is asked for after every call
    /// of an agent, so not every peer is looked at.
    pub(super) fn most(self, db: &Connection, peers_max: u32) -> Result<Unread, StoreError> {
        let lists = self.lists(db)?;
        let all = self.sum(&lists);
        let few = lists.len() <= LISTS_MAX && self.besides.len() <= BESIDES_MAX;
        let first = if few { first(db, &lists, &self.besides, peers_max)? } else { None };
        let most = if let Some(most) = first {
            most
        } else {
            let mut most = add_up(db, LISTED, params![self.session, self.open], self.besides)?;
            sort(&mut most, peers_max);
            most
        };
        let most = most.into_iter().map(|(key, many)| Ok((peer(&key)?, many)));
        Ok(Unread { all, most: most.collect::<Result<_, StoreError>>()? })
    }

    fn lists(&self, db: &Connection) -> Result<Vec<(String, u64)>, StoreError> {
        all(db, "unread_totals", LISTS, params![self.session, self.open], |row| {
            Ok((row.get("session")?, row.get("many")?))
        })
    }

    fn sum(&self, lists: &[(String, u64)]) -> u64 {
        lists.iter().map(|(_, many)| many).chain(self.besides.values()).sum()
    }
}

/// How many nobody has seen of each peer.
pub(super) fn of_each(db: &Connection) -> Result<HashMap<PeerId, u64>, StoreError> {
    let each = add_up(db, "SELECT peer, many FROM unread_counts", [], HashMap::new())?;
    each.into_iter().map(|(key, many)| Ok((peer(&key)?, many))).collect()
}

/// Those with most, as far as the beginnings of the lists tell. A peer that is behind all of them has no
/// more than what stands at their ends, added up: `None` where that is more than what the last of those
/// that were found has.
fn first(
    db: &Connection,
    lists: &[(String, u64)],
    besides: &HashMap<Key, u64>,
    peers_max: u32,
) -> Result<Option<Vec<(Key, u64)>>, StoreError> {
    let depth = peers_max.saturating_mul(DEPTH);
    let mut named: BTreeSet<Key> = besides.keys().copied().collect();
    let mut behind = 0;
    for (list, _) in lists {
        let rows = all(db, "unread_counts", FIRST, params![list, depth], |row| {
            Ok((row.get::<Key>("peer")?, row.get::<u64>("many")?))
        })?;
        // A list that is shorter has nobody behind.
        let is_cut = u32::try_from(rows.len()).is_ok_and(|count| count == depth);
        behind += rows.last().filter(|_| is_cut).map_or(0, |(_, many)| *many);
        named.extend(rows.into_iter().map(|(peer, _)| peer));
    }
    let mut most = Vec::with_capacity(named.len());
    for peer in named {
        let mut many = besides.get(&peer).copied().unwrap_or_default();
        for (list, _) in lists {
            let sql = "SELECT many FROM unread_counts WHERE session = ?1 AND peer = ?2";
            let of = db.prepare_cached(sql)?.query_row(params![list, peer], |row| row.get(0));
            many += of.optional()?.unwrap_or(0_u64);
        }
        most.push((peer, many));
    }
    sort(&mut most, peers_max);
    // What is behind means that as many as are wanted were found.
    let least = most.last().map_or(0, |(_, many)| *many);
    Ok((behind <= least).then_some(most))
}

fn sort(most: &mut Vec<(Key, u64)>, peers_max: u32) {
    most.sort_unstable_by(|(a, few), (b, many)| many.cmp(few).then_with(|| a.cmp(b)));
    most.truncate(usize::try_from(peers_max).unwrap_or(usize::MAX));
}

/// Adds up the rows `peer, many` that `sql` gives, which may name a peer more than once, in one pass:
/// `GROUP BY` with `ORDER BY` takes several times as long for a thousand peers.
fn add_up(
    db: &Connection,
    sql: &str,
    params: impl Params,
    mut by_peer: HashMap<Key, u64>,
) -> Result<Vec<(Key, u64)>, StoreError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        *by_peer.entry(row.get(0)?).or_default() += row.get::<_, u64>(1)?;
    }
    Ok(by_peer.into_iter().collect())
}

fn peer(key: &Key) -> Result<PeerId, StoreError> {
    let wrong = || StoreError::Row {
        table: "unread_counts",
        problem: "peer is not what was written".to_owned(),
    };
    PeerId::from_slice(key).ok_or_else(wrong)
}
