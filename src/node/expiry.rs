//! Messages of ours whose time is over before a receipt came. One that left may have arrived all the
//! same: what its receiver says of it later counts (see [`super::inbound`]).

use rusqlite::Connection;

#[cfg(test)]
use crate::base::planted::{Bug, planted};

use super::{api::Event, state::Node};
use crate::{
    audit,
    base::Timestamp,
    delivery::MessageState,
    gate::What,
    store::{
        self,
        messages::{self, HistoryRow},
        outbox,
        pending::{self, PendingRow},
    },
};

impl Node {
    /// Ends our messages that are too late.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let op = move |db: &Connection| {
            let rows = messages::expired(db, now)?;
            #[cfg(test)]
            let rows = if planted(Bug::NeverExpires) { Vec::new() } else { rows };
            for row in &rows {
                let step = HistoryRow { state: MessageState::Expired, at: now, reason: None };
                messages::set_state(db, row.number, &step, None)?;
                outbox::remove_message(db, &row.peer, &row.id)?;
                pending::remove_message(db, &row.peer, &row.id)?;
                let event =
                    audit::Event::moved(row.id, MessageState::Expired.as_str(), (&row.peer, true));
                store::audit::append(db, now, &event)?;
            }
            messages::forget_arrivals(db, now)?;
            Ok(rows)
        };
        self.write(op, |node, done| {
            for row in done.unwrap_or_default() {
                let asks = |pending: &PendingRow| {
                    pending.what == What::MessageOut && pending.message == Some(row.id)
                };
                node.pending.retain(|_, pending| !asks(pending));
                node.handle.tell(Event::MessageChanged { message: row.id.to_string() });
                node.pending_changed();
            }
        });
    }
}
