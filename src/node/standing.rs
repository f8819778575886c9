//! Rows that carry no signature of their own, held against the audit chain when the node starts.
//!
//! A consent and a grant are signed; that they were ended is not. An old row that is put back would
//! undo that. The chain names the last move of a peer's trust, every grant that was ended and every
//! message that passed by one, and counts where a row says otherwise. Whoever rewrites the chain too
//! has to sign it with the node's key; see `audit verify`.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{api::PolicySource, grants::GrantEntry, state::Node};
use crate::{
    audit::{ChainError, Event, Record},
    base::{GrantId, PeerId, Timestamp},
    store::{StoreError, grants::GrantRow, peers::PeerRow, policies, standing},
    trust::PeerState,
    wire::Grant,
};

/// How a warning begins that says that the audit chain does not hold.
pub const BROKEN: &str = "THE AUDIT RECORD IS BROKEN";
/// How a warning begins that says that a row was refused.
const SAYS: &str = "the database says";

/// What the chain says of a grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct OfGrant {
    ended: bool,
    passed: u64,
}

/// What the audit chain says at the start.
#[derive(Debug, Default)]
pub(super) struct Standing {
    trust: BTreeMap<PeerId, Record>,
    grants: BTreeMap<GrantId, OfGrant>,
    broken: Option<ChainError>,
}

/// What was found, while the node runs.
#[derive(Debug)]
pub(super) struct Told {
    /// What a human has to know.
    pub(super) warnings: Vec<String>,
    /// Grants that were open again; they are ended on disk once more.
    pub(super) ended: Vec<GrantId>,
}

/// What counts instead of a peer's row, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Against {
    pub(super) state: PeerState,
    pub(super) why: String,
}

impl Standing {
    /// Looks for what is said of these rows. A record that cannot be read is a broken chain, and
    /// does not keep the node from starting.
    pub(super) fn load(
        db: &Connection,
        me: &PeerId,
        peers: &[PeerRow],
        grants: &[GrantRow],
    ) -> Result<Self, StoreError> {
        let mut found = Self::default();
        for row in peers {
            if let Some(record) = standing::trust_moved(db, &row.id)? {
                found.trust.insert(row.id, record);
            }
        }
        // A grant whose statement cannot be read is refused by its signature.
        for grant in grants.iter().filter_map(|row| Grant::decode(&row.signed.statement).ok()) {
            let ended = standing::grant_ended(db, &grant.id)?;
            let passed = standing::passed(db, &grant.id, Timestamp::from_ms(0))?;
            found.grants.insert(grant.id, OfGrant { ended, passed });
        }
        found.broken = standing::tail(db, me)?;
        Ok(found)
    }

    /// What speaks against a peer's row: it says `trusted`, and the chain says that this ended; or
    /// it lifts a block that nobody lifted.
    pub(super) fn against(&self, row: &PeerRow) -> Option<Against> {
        let record = self.trust.get(&row.id)?;
        let said = moved_to(record);
        let state = match (row.state, said) {
            (PeerState::Trusted, Some(PeerState::Trusted)) => return None,
            (PeerState::Trusted | PeerState::Revoked, Some(PeerState::Blocked)) => {
                PeerState::Blocked
            }
            (PeerState::Trusted, Some(_) | None) => PeerState::Revoked,
            (_, _) => return None,
        };
        let why = said.map_or_else(
            || "the audit record about it was changed".to_owned(),
            |said| format!("the audit record says {} since {}", said.as_str(), record.at.rfc3339()),
        );
        Some(Against { state, why })
    }

    /// The grants that the chain lets stand, used as often as it says; and the others.
    pub(super) fn of_grants(&self, found: Vec<GrantEntry>) -> (Vec<GrantEntry>, Vec<GrantId>) {
        let said = |id: &GrantId| self.grants.get(id).copied().unwrap_or_default();
        let (ended, open): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|entry| said(&entry.grant.id).ended);
        let used = |entry: GrantEntry| GrantEntry {
            used: entry.used.max(said(&entry.grant.id).passed),
            ..entry
        };
        (open.into_iter().map(used).collect(), ended.iter().map(|entry| entry.grant.id).collect())
    }

    /// What a human has to know of the chain, and of grants that were open again.
    pub(super) fn told(&self, ended: Vec<GrantId>) -> Told {
        let broken = self.broken.as_ref().map(|problem| {
            tracing::error!(%problem, "the audit chain is broken");
            format!(
                "{BROKEN}: {problem}; somebody changed countersign.db, so trust no row of it \
                 blindly: countersign audit verify looks at all of it, countersign peers and \
                 countersign grants list what counts"
            )
        });
        let grant = |id: &GrantId| {
            tracing::warn!(grant = %id, "a grant's row was refused");
            format!(
                "{SAYS} that the grant {id} holds, but that is refused: the audit record \
                 says that it was ended; somebody put an old row back, and it is ended again"
            )
        };
        Told { warnings: broken.into_iter().chain(ended.iter().map(grant)).collect(), ended }
    }
}

/// Where a record says that trust was moved; `None` where its hash is not that of what it says.
fn moved_to(record: &Record) -> Option<PeerState> {
    crate::audit::check_alone(record).ok()?;
    let Some(Event::TrustMoved { to, .. }) = policies::event_of(record) else { return None };
    PeerState::parse(&to)
}

/// What a human reads of a peer's row that does not count.
pub(super) fn refused_row(row: &PeerRow, why: &str) -> String {
    tracing::warn!(peer = %row.id.short(), why, "a peer's row was refused");
    format!(
        "{SAYS} {}, but that is refused: {why}; pair again with an invite, or revoke it to be rid of \
         this",
        row.state.as_str()
    )
}

impl Node {
    /// What was refused while the home was read, for the audit record: each start says it again as
    /// long as it is there.
    pub(super) fn refused_at_start(&self) -> Vec<Event> {
        let rows = self.peers.iter().filter(|(_, entry)| entry.state != PeerState::Trusted);
        let peers = rows.filter_map(|(id, entry)| {
            let warning = entry.warning.as_ref().filter(|text| text.starts_with(SAYS))?;
            Some(Event::refused(format!("a peer's row: {warning}"), Some(*id)))
        });
        let own =
            self.standing.warnings.iter().map(|warning| Event::refused(warning.clone(), None));
        let closed = self.policy.source == PolicySource::Closed;
        let policy = self.policy.warning.iter().filter(|_| closed);
        let policy = policy.map(|warning| Event::refused(warning.clone(), None));
        peers.chain(own).chain(policy).collect()
    }
}
