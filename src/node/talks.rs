//! A human reads what was said: conversations, their threads, and a part of one.
//!
//! All messages are here, held ones too; an agent reads its inbox.

use std::collections::{BTreeMap, HashMap};

use rusqlite::Connection;

use super::{
    agent::parse_opt,
    api::{
        ApiError, Conversation, Conversations, DecisionInfo, ErrorKind, Peer, Reply, Talk,
        TalkMessage, Thread, Threads,
    },
    state::{Answer, Node, reply, store_failed},
    views::unsupported,
};
use crate::{
    base::{PeerId, limits},
    store::{
        messages::{HistoryRow, MessageRow},
        talks::{self, DecidedRow, Part, TalkRow, ThreadRow},
    },
    trust::PeerState,
};

/// A part of a conversation with what belongs to its messages.
struct Read {
    /// Newest first, and one more than was asked for where there is one.
    rows: Vec<MessageRow>,
    histories: HashMap<i64, Vec<HistoryRow>>,
    decisions: HashMap<i64, DecidedRow>,
}

fn read(db: &Connection, part: &Part) -> Result<Read, crate::store::StoreError> {
    let rows = talks::part(db, part)?;
    let histories = talks::histories(db, &rows)?;
    Ok(Read { histories, decisions: talks::decisions(db, &rows)?, rows })
}

impl Node {
    pub(super) fn conversations(&mut self, answer: Answer) {
        self.read(talks::talks, move |node, found| {
            let result = found.map_err(|e| store_failed(&e));
            reply(answer, result.map(|rows| Reply::Conversations(node.conversations_view(&rows))));
        });
    }

    /// The newest first. A peer that nothing was said with is there while something may be.
    fn conversations_view(&self, rows: &[TalkRow]) -> Conversations {
        let mut held: BTreeMap<PeerId, u64> = BTreeMap::new();
        for row in self.pending.values().filter(|row| row.message.is_some()) {
            *held.entry(row.peer).or_default() += 1;
        }
        let mut silent: BTreeMap<PeerId, Conversation> = BTreeMap::new();
        for (id, entry) in &self.peers {
            let held = held.get(id).copied().unwrap_or_default();
            let peer = self.peer_view(id, entry);
            let none = Conversation { peer, threads: 0, messages: 0, unread: 0, held, last: None };
            silent.insert(*id, none);
        }
        let mut conversations = Vec::new();
        for row in rows {
            let Some(none) = silent.remove(&row.last.peer) else { continue };
            conversations.push(Conversation {
                threads: row.threads,
                messages: row.messages,
                unread: row.unread,
                last: Some(self.message_view(&row.last)),
                ..none
            });
        }
        let mut silent: Vec<Conversation> =
            silent.into_values().filter(|one| may_talk(one.peer.state)).collect();
        silent.sort_by(|a, b| a.peer.name.cmp(&b.peer.name));
        conversations.extend(silent);
        Conversations { conversations }
    }

    pub(super) fn threads(&mut self, peer: &str, answer: Answer) {
        let id = match self.find_peer(peer) {
            Ok(id) => id,
            Err(error) => return reply(answer, Err(error)),
        };
        let op = move |db: &Connection| talks::threads(db, &id, limits::THREADS_MAX);
        self.read(op, move |node, found| {
            let result = found.map_err(|e| store_failed(&e)).and_then(|rows| {
                let threads = rows.iter().map(thread_view).collect();
                Ok(Reply::Threads(Threads { peer: node.peer_now(&id)?, threads }))
            });
            reply(answer, result);
        });
    }

    pub(super) fn talk(
        &mut self,
        (peer, thread): (&str, Option<&str>),
        before: Option<u64>,
        limit: u32,
        answer: Answer,
    ) {
        let limit = limit.clamp(1, limits::PAGE_MAX);
        let thread = parse_opt(thread, "copy the id from a message");
        let part = self.find_peer(peer).and_then(|peer| {
            Ok(Part { peer, thread: thread?, before: place(before), limit: limit + 1 })
        });
        let part = match part {
            Ok(part) => part,
            Err(error) => return reply(answer, Err(error)),
        };
        self.read(
            move |db| read(db, &part),
            move |node, found| {
                let result = found.map_err(|e| store_failed(&e));
                let result = result.and_then(|found| node.talk_view(&part, limit, found));
                reply(answer, result.map(Reply::Talk));
            },
        );
    }

    fn talk_view(&self, part: &Part, limit: u32, mut found: Read) -> Result<Talk, ApiError> {
        let more = cut(&mut found.rows, limit);
        let older = found.rows.last().filter(|_| more).map(|row| row.number.unsigned_abs());
        let messages = found.rows.iter().rev().map(|row| {
            let history = found.histories.get(&row.number).map_or(&[][..], Vec::as_slice);
            let life = self.life_view(row, history);
            TalkMessage {
                message: self.message_view(row),
                history: life.history,
                pending: life.pending,
                decided: found.decisions.get(&row.number).map(decision_view),
                note: life.note,
            }
        });
        let messages = messages.collect();
        let thread = part.thread.map(|thread| thread.to_string());
        Ok(Talk { peer: self.peer_now(&part.peer)?, thread, messages, older })
    }

    /// A peer that was there when the question came.
    pub(super) fn peer_now(&self, id: &PeerId) -> Result<Peer, ApiError> {
        let gone = || {
            let message = format!("the peer {} is not known any more", id.short());
            ApiError::new(ErrorKind::NotFound, message, "countersign peers lists them")
        };
        self.peers.get(id).map(|entry| self.peer_view(id, entry)).ok_or_else(gone)
    }
}

/// A place to read before, as the store counts. Without one, the end.
pub(super) fn place(before: Option<u64>) -> i64 {
    before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX)
}

/// Leaves `limit` rows; `true` when there were more.
pub(super) fn cut<T>(rows: &mut Vec<T>, limit: u32) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    more
}

const fn may_talk(state: PeerState) -> bool {
    match state {
        PeerState::Trusted | PeerState::Requested | PeerState::Incoming => true,
        PeerState::Revoked | PeerState::Blocked => false,
    }
}

fn thread_view(row: &ThreadRow) -> Thread {
    let text = unsupported(&row.kind).unwrap_or_else(|| row.text.clone());
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    Thread {
        thread: row.thread.to_string(),
        messages: row.messages,
        title: line.chars().take(limits::TITLE_CHARS_MAX).collect(),
        last_at: row.last.rfc3339(),
    }
}

fn decision_view(row: &DecidedRow) -> DecisionInfo {
    DecisionInfo {
        decision: row.decision.clone(),
        method: row.method.clone(),
        at: row.at.rfc3339(),
    }
}
