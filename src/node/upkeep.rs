//! What the node does beside its work, a little at a time: it takes messages into the search index
//! before anybody searches, and says what the check of the database found.

use std::time::Duration;

use rusqlite::Connection;

use super::{clock, state::Node};
use crate::{base::limits, store::search};

/// When the search index is filled further.
#[derive(Debug, Default)]
pub(super) enum Indexing {
    /// All is in it, as far as is known.
    #[default]
    Idle,
    /// A batch is being written.
    Writing,
    /// There is more, to be written at this uptime.
    Due(Duration),
}

impl Indexing {
    /// When the node is to look at it again.
    pub(super) const fn due(&self) -> Option<Duration> {
        match self {
            Self::Due(at) => Some(*at),
            Self::Idle | Self::Writing => None,
        }
    }
}

fn index_later() -> Indexing {
    Indexing::Due(clock::uptime().saturating_add(limits::INDEX_PAUSE))
}

impl Node {
    /// Looks for what is new since the last time.
    pub(super) fn upkeep(&mut self) {
        if let Some(damage) = self.store.damage() {
            tracing::error!(%damage, "the database is damaged");
            self.handle.notice(damage.to_string());
        }
        self.index_some();
    }

    /// The next batch, where it is due.
    pub(super) fn upkeep_tick(&mut self) {
        if self.indexing.due().is_some_and(|at| at <= clock::uptime()) {
            self.index_some();
        }
    }

    /// One small batch, which nobody waits for longer than for another message. Not while there is
    /// other work.
    fn index_some(&mut self) {
        if matches!(self.indexing, Indexing::Writing) {
            return;
        }
        if !self.writes.is_empty() {
            self.indexing = index_later();
            return;
        }
        self.indexing = Indexing::Writing;
        let op = |db: &Connection| search::index_batch(db, limits::INDEX_IDLE_BATCH);
        self.write(op, |node, more| {
            node.indexing = match more {
                Ok(true) => index_later(),
                Ok(false) => Indexing::Idle,
                Err(error) => {
                    tracing::warn!(%error, "the search index was not filled");
                    Indexing::Idle
                }
            };
        });
    }
}
