//! What is new, told to an agent that did not ask: from whom and what, once a conversation of a
//! client's, and without a trace for the sender, because nobody says that it was read.

use std::collections::{BTreeSet, VecDeque};

use rusqlite::Connection;

use super::{
    api::{HookCall, Reply, TellRequest, Told},
    outbound::Reading,
    sessions::{Route, SessionInfo, cut_folder},
    state::{Answer, Node, reply, store_failed},
};
use crate::{
    base::{SessionName, limits},
    store::{
        StoreError,
        messages::{self, Filter, MessageRow},
        sessions::Open,
    },
};

/// What a message takes beside its text when it is told.
const HEAD_BYTES: usize = 256;
/// Rows that are read at once.
const BATCH: u32 = 50;
/// How often a batch is read: with more unread messages than these hold, the rest is not counted.
const BATCHES_MAX: usize = 20;

/// Which messages each conversation was told of, by their places in the inbox. It is kept in memory
/// alone: after a restart what is still unread is told once more.
#[derive(Debug, Default)]
pub(super) struct ToldBefore(VecDeque<(String, BTreeSet<i64>)>);

impl ToldBefore {
    fn of(&self, listener: &str) -> BTreeSet<i64> {
        let found = self.0.iter().find(|(known, _)| known == listener);
        found.map(|(_, told)| told.clone()).unwrap_or_default()
    }

    fn add(&mut self, listener: String, numbers: impl Iterator<Item = i64>) {
        let at = self.0.iter().position(|(known, _)| *known == listener);
        let (_, mut told) = at.and_then(|at| self.0.remove(at)).unwrap_or_default();
        told.extend(numbers);
        while told.len() > limits::TOLD_MESSAGES_MAX {
            told.pop_first();
        }
        self.0.push_back((listener, told));
        if self.0.len() > limits::TOLD_LISTENERS_MAX {
            self.0.pop_front();
        }
    }
}

/// Unread messages that were not told, and how many more there are.
struct Fresh {
    rows: Vec<MessageRow>,
    more: u64,
}

impl Node {
    /// Tells what is new. Nothing counts as read.
    pub(super) fn tell(
        &mut self,
        request: TellRequest,
        session: Option<&SessionName>,
        answer: Answer,
    ) {
        let found = request.hook.as_ref().map(|hook| self.session_of(hook));
        let session = found.clone().map_or(session.cloned(), |info| info.map(|info| info.name));
        let listener = request.hook.as_ref().map(|hook| listener(hook, found.flatten().as_ref()));
        if let Some(name) = session.as_ref().filter(|_| listener.is_some()) {
            self.handle.mark(name, Route::Hook);
        }
        let told = listener.as_deref().map(|key| self.told.of(key)).unwrap_or_default();
        // Where no session is found: only what waits for none that is open.
        let (by, open) = (session.clone(), self.handle.open_names());
        let op = move |db: &Connection| fresh(db, &told, &request, (by, open));
        self.read(op, move |node, found| match found {
            Err(error) => reply(answer, Err(store_failed(&error))),
            Ok(Fresh { rows, more }) => {
                let messages = rows.iter().map(|row| node.message_view(row)).collect();
                let session = session.map(|name| name.to_string());
                if let Some(listener) = listener.filter(|_| !rows.is_empty()) {
                    node.told.add(listener, rows.iter().map(|row| row.number));
                }
                let told = Reply::Told(Told { session, messages, more });
                let nothing_read = Reading { rows: Vec::new(), session: None, unseen: Vec::new() };
                node.show_messages(&rows, nothing_read, told, answer);
            }
        });
    }

    /// The open session that a hook belongs to: that of the nearest process above both, or else the
    /// newest one in the same folder.
    fn session_of(&self, hook: &HookCall) -> Option<SessionInfo> {
        let sessions = self.handle.sessions();
        let newest = |is: &dyn Fn(&SessionInfo) -> bool| sessions.iter().rev().find(|s| is(s));
        let by_process = hook
            .ancestors
            .iter()
            .find_map(|process| newest(&|session| session.wish.parent == Some(*process)));
        let by_folder = || {
            let folder = hook.project.clone().map(cut_folder);
            folder.as_ref()?;
            newest(&|session| session.wish.project == folder)
        };
        by_process.or_else(by_folder).cloned()
    }
}

/// Who is told each message once: a conversation in a session, or in a folder.
fn listener(hook: &HookCall, session: Option<&SessionInfo>) -> String {
    let place = session.map_or_else(
        || format!("{:?}", hook.project),
        |info| format!("{} {}", info.name, info.since.rfc3339()),
    );
    let conversation = hook.conversation.as_deref().unwrap_or_default();
    let most = conversation.floor_char_boundary(limits::CONVERSATION_BYTES_MAX);
    format!("{place} {}", conversation.get(..most).unwrap_or_default())
}

fn fresh(
    db: &Connection,
    told: &BTreeSet<i64>,
    request: &TellRequest,
    (session, open): (Option<SessionName>, Open),
) -> Result<Fresh, StoreError> {
    let as_usize = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let newest = request.hook.is_none();
    let messages_max = as_usize(request.messages_max.min(limits::PAGE_MAX));
    let (mut rows, mut more) = (VecDeque::new(), 0);
    let (mut bytes, mut is_full) = (0, false);
    let mut filter = Filter {
        peer: None,
        thread: None,
        unread: true,
        session,
        open,
        reply_to: None,
        after: 0,
        limit: BATCH,
    };
    for _ in 0..BATCHES_MAX {
        let page = messages::page(db, &filter)?;
        let Some(last) = page.last() else { break };
        filter.after = last.number;
        for row in page.into_iter().filter(|row| !told.contains(&row.number)) {
            bytes += row.text.len().min(limits::PREVIEW_BYTES_MAX) + HEAD_BYTES;
            is_full |= !rows.is_empty() && bytes > as_usize(request.bytes_max);
            is_full |= rows.len() >= messages_max;
            if newest {
                rows.push_back(row);
                if rows.len() > messages_max {
                    rows.pop_front();
                    more += 1;
                }
            } else if is_full {
                more += 1;
            } else {
                rows.push_back(row);
            }
        }
    }
    Ok(Fresh { rows: rows.into(), more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_kept_within_bounds() {
        let mut told = ToldBefore::default();
        let most = i64::try_from(limits::TOLD_MESSAGES_MAX).unwrap();
        told.add("a".to_owned(), 0..most + 5);
        assert_eq!(told.of("a").len(), limits::TOLD_MESSAGES_MAX);
        assert!(told.of("a").contains(&(most + 4)) && !told.of("a").contains(&4));
        for n in 0..limits::TOLD_LISTENERS_MAX {
            told.add(format!("b{n}"), 0..1);
        }
        assert!(told.of("a").is_empty(), "the one that was told longest ago is forgotten");
        assert_eq!(told.0.len(), limits::TOLD_LISTENERS_MAX);
    }
}
