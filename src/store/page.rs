//! The statement behind a page of the inbox.
//!
//! A page costs as much as it shows: what is unread is taken from the indexes of what is unread, so
//! many numbers from each as fit a page, and only these messages are read. Where words are looked
//! for, it is what the index of words gives that is walked ([`found`]).

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
        let mut narrow = format!("messages.number > {}", self.bind(filter.after));
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

/// A statement with what is unread bound to its first three parameters, wherever it is said.
/// `known_until` is of [`sessions::known_until`], where a session asks for what is unread.
fn begun(filter: &Filter, known_until: i64) -> Query {
    let session = filter.session.as_ref().map(ToString::to_string);
    Query {
        sql: String::new(),
        values: vec![session.into(), known_until.into(), filter.open.json().into()],
    }
}

/// Which messages are in the inbox, and in a conversation.
const fn listed(filter: &Filter) -> &'static str {
    match filter.thread {
        Some(_) => "(outgoing = 1 OR state IN ('accepted', 'read', 'replied'))",
        None => "outgoing = 0 AND state IN ('accepted', 'read', 'replied')",
    }
}

/// The messages that `filter` means, oldest first.
pub(super) fn page(filter: &Filter, known_until: i64) -> Query {
    let mut query = begun(filter, known_until);
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
        // Whoever waits for one answer does not walk all that was said with the peer.
        let by = filter.reply_to.map_or("", |_| "INDEXED BY messages_by_reply");
        let which = listed(filter);
        format!("SELECT * FROM messages {by} WHERE {which} AND {narrow} {end}")
    };
    query
}

/// The numbers of the messages that have these tokens, oldest first, and of each whether `filter`
/// means it.
pub(super) fn found(filter: &Filter, tokens: String, known_until: i64) -> Query {
    let mut query = begun(filter, known_until);
    let narrow = query.narrow(filter);
    let which = if filter.unread {
        // Little is new to a session that others have seen: it is gathered once.
        let seen = sessions::SEEN.map(|seen| format!("SELECT messages.number FROM {seen}"));
        let seen = seen.join(" UNION ALL ");
        let seen = filter.session.as_ref().map(|_| format!(" OR messages.number IN ({seen})"));
        format!("(({}){})", sessions::UNSEEN, seen.unwrap_or_default())
    } else {
        listed(filter).to_owned()
    };
    let (tokens, after) = (query.bind(tokens), query.bind(filter.after));
    query.sql = format!(
        "SELECT words.rowid AS number, ({which} AND {narrow}) IS TRUE AS fits
         FROM words CROSS JOIN messages ON messages.number = words.rowid
         WHERE words MATCH {tokens} AND words.rowid > {after} ORDER BY words.rowid"
    );
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
