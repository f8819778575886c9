//! How many messages are unread, and of whom.

use std::collections::HashMap;

use rusqlite::{Connection, Params};

use super::StoreError;
use crate::base::PeerId;

/// Unread messages, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Of all peers.
    pub all: u64,
    /// Of those with most of them, most first.
    pub most: Vec<(PeerId, u64)>,
}

/// Adds up the rows `peer, many` that `sql` gives, which may name a peer more than once. This is
/// asked for after every call of an agent, and so in one pass: `GROUP BY` with `ORDER BY` takes
/// several times as long for a thousand peers.
pub(super) fn add_up(
    db: &Connection,
    sql: &str,
    params: impl Params,
    peers_max: u32,
) -> Result<Unread, StoreError> {
    let mut by_peer: HashMap<[u8; 32], u64> = HashMap::new();
    let mut all = 0;
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        let many: u64 = row.get(1)?;
        all += many;
        *by_peer.entry(row.get(0)?).or_default() += many;
    }
    let mut most: Vec<_> = by_peer.into_iter().collect();
    most.sort_unstable_by(|(a, few), (b, many)| many.cmp(few).then_with(|| a.cmp(b)));
    most.truncate(usize::try_from(peers_max).unwrap_or(usize::MAX));
    let wrong = || StoreError::Row {
        table: "unread_counts",
        problem: "peer is not what was written".to_owned(),
    };
    let most = most
        .into_iter()
        .map(|(peer, many)| Ok((PeerId::from_slice(&peer).ok_or_else(wrong)?, many)))
        .collect::<Result<_, StoreError>>()?;
    Ok(Unread { all, most })
}
