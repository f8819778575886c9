//! When the human is interrupted: what waits goes through the [`Budget`], and surfaces and clients
//! hear of what it lets through. Everything else waits in the list.

use rusqlite::Connection;

use super::{
    api::{ApiError, ErrorKind, Event, Prompts, Reply},
    clock,
    state::Node,
};
use crate::{
    base::Timestamp,
    delivery::budget::{Budget, Input, Prompt},
    store::{StoreError, migrate, pending::PendingRow},
};

/// Where the times of the last prompts are remembered, so that a restart gives no more of them.
const KEY: &str = "prompts";

/// The times of the last prompts before this start.
pub(super) fn remembered(db: &Connection) -> Result<Vec<Timestamp>, StoreError> {
    let times = migrate::meta(db, KEY)?.unwrap_or_default();
    Ok(times.split(',').filter_map(|ms| ms.parse().ok()).map(Timestamp::from_ms).collect())
}

/// What waits, as the budget looks at it.
pub(super) fn waiting<'r>(
    rows: impl Iterator<Item = &'r PendingRow>,
) -> std::collections::BTreeMap<crate::base::PendingId, bool> {
    rows.map(|row| (row.id, row.item.is_some())).collect()
}

impl Node {
    /// Something began or ceased to wait: tells all who listen, and rings where it may.
    pub(super) fn pending_changed(&mut self) {
        let waits = waiting(self.pending.values());
        self.prompted(Input::Waits(waits));
        self.handle.tell(Event::PendingChanged);
    }

    /// What waits longer than the last hour's prompts is told of.
    pub(super) fn prompts_tick(&mut self) {
        if self.prompted(Input::Tick).is_some() {
            self.handle.tell(Event::PendingChanged);
        }
    }

    fn prompted(&mut self, input: Input) -> Option<Prompt> {
        let prompt = self.prompts.handle(input, clock::now())?;
        if let Prompt::Alert(items) = prompt {
            self.handle.tell(Event::Alert { items });
        }
        let times: Vec<String> = self.prompts.began().map(|at| at.ms().to_string()).collect();
        let times = times.join(",");
        self.write(move |db| migrate::set_meta(db, KEY, &times), |_, _| ());
        Some(prompt)
    }

    /// What a client may show its user of an item, where it may interrupt them.
    pub(super) fn prompt(&mut self, id: &str) -> Result<Reply, ApiError> {
        let question = self.question(id)?;
        let id = self.find_pending(id)?.id;
        if self.prompted(Input::Ask(id)) == Some(Prompt::Client) {
            return Ok(question);
        }
        let message = "your human is asked about something else, or was asked often enough lately";
        Err(ApiError::new(ErrorKind::Busy, message, "it waits in their list; do not ask again"))
    }

    /// The call that a client's question belonged to is over.
    pub(super) fn prompt_ended(&mut self, id: &str) -> Result<Reply, ApiError> {
        let id = id.parse().map_err(|e| super::state::usage(e, "pass the item's id"))?;
        if self.prompted(Input::CallEnded(id)).is_some() {
            self.handle.tell(Event::PendingChanged);
        }
        Ok(Reply::Done(super::api::Done { done: true }))
    }

    /// How often the human was interrupted.
    pub(super) fn prompts_view(&self) -> Prompts {
        let count = self.prompts.count(clock::now());
        Prompts { open: count.open, last_hour: count.last_hour, digest: count.untold }
    }
}

/// The budget of a node that starts.
pub(super) fn budget<'r>(
    rows: impl Iterator<Item = &'r PendingRow>,
    began: Vec<Timestamp>,
) -> Budget {
    Budget::new(waiting(rows), began)
}
