//! The statement behind a page of the inbox.
//!
//! A page costs as much as it shows: what is unread is taken from the indexes of what is unread, so
//! many numbers from each as fit a page, and only these messages are read.

use rusqlite::types::Value;

use super::{messages::Filter, sessions};

/// A statement, and what its parameters are.
pub(super) struct Query {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Query {
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    /// What every message of the page has in common.
    fn narrow(&mut self, filter: &Filter) -> String {
        let mut narrow = format!("number > {}", self.bind(filter.after));
        let mut and = |clause: &str, value: String| {
            for part in [" AND ", clause, " ", &value] {
                narrow.push_str(part);
            }
        };
        if let Some(peer) = filter.peer {
            and("peer =", self.bind(peer.as_bytes().to_vec()));
        }
        if let Some(thread) = filter.thread {
            and("thread =", self.bind(thread.as_bytes().to_vec()));
        }
        if let Some(id) = filter.reply_to {
            and("reply_to =", self.bind(id.as_bytes().to_vec()));
        }
        narrow
    }
}

/// The messages that `filter` means, oldest first. `known_until` is of
/// [`sessions::known_until`], where a session asks for what is unread.
pub(super) fn page(filter: &Filter, known_until: i64) -> Query {
    // These three are ?1, ?2 and ?3 wherever what is unread is said.
    let session = filter.session.as_ref().map(ToString::to_string);
    let values = vec![session.into(), known_until.into(), filter.open.json().into()];
    let mut query = Query { sql: String::new(), values };
    let narrow = query.narrow(filter);
    let limit = query.bind(i64::from(filter.limit));
    let end = format!("ORDER BY number LIMIT {limit}");
    query.sql = if filter.unread {
        let part = |from: String| format!("SELECT number FROM ({from} AND {narrow} {end})");
        let mut parts = vec![part(format!(
            "SELECT number FROM messages INDEXED BY {} WHERE {}",
            unseen_index(filter),
            sessions::UNSEEN
        ))];
        if filter.session.is_some() {
            parts.extend(sessions::SEEN.map(|seen| part(format!("SELECT number FROM {seen}"))));
        }
        let parts = parts.join(" UNION ALL ");
        format!("SELECT * FROM messages WHERE number IN ({parts}) {end}")
    } else {
        let which = match filter.thread {
            Some(_) => "(outgoing = 1 OR state IN ('accepted', 'read', 'replied'))",
            None => "outgoing = 0 AND state IN ('accepted', 'read', 'replied')",
        };
        // Whoever waits for one answer does not walk all that was said with the peer.
        let by = filter.reply_to.map_or("", |_| "INDEXED BY messages_by_reply");
        format!("SELECT * FROM messages {by} WHERE {which} AND {narrow} {end}")
    };
    query
}

/// Named, because the planner would rather walk a whole conversation. Each gives its messages in
/// their order.
fn unseen_index(filter: &Filter) -> &'static str {
    match (filter.peer, filter.thread, filter.reply_to) {
        (_, _, Some(_)) => "messages_by_reply",
        // A peer has room for few unread messages.
        (Some(_), _, None) => "messages_unread",
        (None, Some(_), None) => "messages_by_thread",
        (None, None, None) => "messages_to_read",
    }
}
