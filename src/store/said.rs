//! What a message's row says, opened. One that was damaged keeps no other from being read.

use super::{StoreError, rows::Columns, seal::Place};
use crate::base::{MessageId, PeerId};

/// What stands for a text that does not open. The other rows of a page are shown all the same.
pub const UNREADABLE: &str = "(This message cannot be read: its row in this home's database was \
                              damaged or changed.)";

/// The columns of which a message's sealed values name their row.
pub(super) const TEXT: &str = "messages.text";
pub(super) const ENVELOPE: &str = "messages.envelope";

/// The place of a sealed value of the row, by its columns `id`, `peer` and `outgoing`.
pub(super) fn place(row: &Columns<'_>, column: &'static str) -> Result<Place, StoreError> {
    let (id, peer) = (row.id("id", MessageId::from_slice)?, row.id("peer", PeerId::from_slice)?);
    Ok(Place::message(column, &id, &peer, row.get("outgoing")?))
}

/// The text of the row, or what stands for it.
pub(super) fn text(row: &Columns<'_>) -> Result<String, StoreError> {
    Ok(readable(row)?.unwrap_or_else(|| UNREADABLE.to_owned()))
}

/// The text of the row, where it opens.
pub(super) fn readable(row: &Columns<'_>) -> Result<Option<String>, StoreError> {
    match row.opened_text("text", &place(row, TEXT)?) {
        Err(error @ StoreError::Sealed { .. }) => {
            tracing::error!(%error, "a message cannot be read");
            Ok(None)
        }
        text => text.map(Some),
    }
}

/// The envelope of the row; without a byte where it does not open, which is no envelope.
pub(super) fn envelope(row: &Columns<'_>) -> Result<Vec<u8>, StoreError> {
    match row.opened("envelope", &place(row, ENVELOPE)?) {
        Err(error @ StoreError::Sealed { .. }) => {
            tracing::error!(%error, "a message cannot be read");
            Ok(Vec::new())
        }
        envelope => envelope,
    }
}
