//! What an agent may ask: who, whom, send, list, read, revoke.

use rusqlite::Connection;

use super::{
    api::{
        AgentRequest, ApiError, ApproverInfo, ErrorKind, InviteMade, MessagePart, NetworkInfo,
        News, NewsOf, Outstanding, PeerRef, Peers, Reply, Revoked, UseInvite, Whoami,
    },
    clock,
    codes::entry_of,
    connect::Asker,
    lowered,
    outbound::Reading,
    state::{Answer, Node, reply, store_failed, usage},
    views::prefix,
};
use crate::{
    audit,
    base::{
        MessageId, Note, Secret, SessionName,
        failpoint::{Failpoint, reach},
        limits,
    },
    delivery::MessageState,
    identity,
    store::{
        self, StoreError,
        messages::{self, HistoryRow, MessageRow},
        peers, sessions,
        unread::Unread,
    },
    trust::{PeerState, TrustMove},
    wire::{Invite, invite},
};

impl Node {
    /// Answers an agent.
    pub(super) fn on_agent(
        &mut self,
        request: AgentRequest,
        session: Option<SessionName>,
        answer: Answer,
    ) {
        if let Some(name) = &session {
            self.meet(name);
        }
        match request {
            AgentRequest::Whoami => self.whoami(answer),
            AgentRequest::Invite { note, expires_minutes, code: true } => {
                self.invite_by_code(note, expires_minutes, answer);
            }
            AgentRequest::Invite { note, expires_minutes, code: false } => {
                self.invite(note, expires_minutes, answer);
            }
            AgentRequest::Connect { invite, name, note } => {
                self.connect(UseInvite { invite, name, note }, Asker::Agent, answer);
            }
            AgentRequest::Send(request) => self.send(&request, session, answer),
            AgentRequest::Inbox(request) => self.inbox(&request, session, answer),
            AgentRequest::Read { id, offset, mark_read } => {
                self.read_message(&id, offset.unwrap_or(0), (mark_read, session), answer);
            }
            AgentRequest::Message { id } => self.message_life(&id, answer),
            AgentRequest::Outstanding => self.outstanding(answer),
            AgentRequest::Peers { state } => reply(answer, Ok(self.list_peers(state))),
            AgentRequest::Question { pending } => reply(answer, self.question(&pending)),
            AgentRequest::Prompt { pending } => {
                let asked = self.prompt(&pending);
                reply(answer, asked);
            }
            AgentRequest::PromptEnded { pending } => reply(answer, self.prompt_ended(&pending)),
            AgentRequest::ClientAnswered { pending, yes } => {
                self.client_answered(&pending, yes, answer);
            }
            AgentRequest::News => self.news(session, answer),
            AgentRequest::Tell(request) => self.tell(request, session.as_ref(), answer),
            AgentRequest::Revoke { peer, block } => self.revoke(&peer, block, answer),
        }
    }

    fn whoami(&mut self, answer: Answer) {
        self.read(messages::counts, |node, counts| {
            let unread = counts.map(|counts| counts.unread).map_err(|e| store_failed(&e));
            reply(answer, unread.map(|unread| Reply::Whoami(node.whoami_view(unread))));
        });
    }

    /// What is new, in numbers: nobody is tainted by them.
    fn news(&mut self, session: Option<SessionName>, answer: Answer) {
        let open = self.handle.open_names();
        let op = move |db: &Connection| {
            let peers = limits::NEWS_NAMED_MAX;
            match &session {
                None => Ok((messages::unread_by_peer(db, peers)?, Vec::new())),
                Some(name) => {
                    let unread = sessions::unread_by_peer(db, name, &open, peers)?;
                    Ok((unread, sessions::elsewhere(db, name, &open)?))
                }
            }
        };
        self.read(op, |node, found| {
            let news = found.map_err(|e| store_failed(&e)).map(|(unread, elsewhere)| {
                let Unread { all, most } = unread;
                let others = all - most.iter().map(|(_, unread)| unread).sum::<u64>().min(all);
                let of = |(peer, unread)| NewsOf { name: node.name_of(&peer), unread };
                let mut unread: Vec<_> = most.into_iter().map(of).collect();
                unread.sort_by(|a, b| b.unread.cmp(&a.unread).then_with(|| a.name.cmp(&b.name)));
                let elsewhere =
                    elsewhere.into_iter().map(|(name, unread)| NewsOf { name, unread }).collect();
                let (_, held) = node.held_view(None);
                Reply::News(News { unread, others, elsewhere, held })
            });
            reply(answer, news);
        });
    }

    fn whoami_view(&self, unread: u64) -> Whoami {
        let words = identity::fingerprint_words(&self.id);
        Whoami {
            id: self.id.to_string(),
            name: self.name.to_string(),
            words: words.into_iter().map(str::to_owned).collect(),
            did: identity::did_key(&self.id),
            approver: ApproverInfo {
                set: self.approver.is_some(),
                did: self.approver.as_ref().map(identity::did_key),
            },
            network: NetworkInfo {
                mode: self.mode.to_string(),
                addresses: self.net.addresses(),
                relay: self.net.relay(),
            },
            waiting: u64::try_from(self.pending.len()).unwrap_or(u64::MAX),
            unread,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Without a human nobody can consent.
    pub(super) fn need_approver(&self) -> Result<crate::base::ApproverId, ApiError> {
        self.approver.ok_or_else(|| {
            let message = "approvals are not set up, so nobody can say yes to a peer";
            let next = "ask your human to run countersign init in a terminal, or countersign page";
            ApiError::new(ErrorKind::WaitsForHuman, message, next)
        })
    }

    fn invite(&mut self, note: Option<String>, minutes: Option<u64>, answer: Answer) {
        let made = self.new_invite(note, minutes);
        let (invite, row) = match made {
            Ok(made) => made,
            Err(error) => return reply(answer, Err(error)),
        };
        let (text, expires) = (invite.encode(), invite.expires);
        self.keep_invite(invite, row, move |_, kept| {
            let (invite, expires_at) = (text, expires.rfc3339());
            let made = InviteMade { invite, code: None, expires_at };
            reply(answer, kept.map_err(|e| store_failed(&e)).map(|()| Reply::Invite(made)));
        });
    }

    /// Writes an invite down; it is open once it is.
    pub(super) fn keep_invite(
        &mut self,
        invite: Invite,
        row: peers::InviteRow,
        then: impl FnOnce(&mut Self, Result<(), StoreError>) + Send + 'static,
    ) {
        let entry = entry_of(invite, &row);
        let now = clock::now();
        reach(Failpoint::InviteWrite);
        let op = move |db: &Connection| {
            peers::add_invite(db, &row, now)?;
            let event = audit::Event::Invited { invite: row.id.to_string() };
            store::audit::append(db, now, &event).map(drop)
        };
        self.write(op, move |node, done| {
            if done.is_ok() {
                node.invites.push(entry);
                node.refresh_pairing();
            }
            then(node, done);
        });
    }

    pub(super) fn new_invite(
        &self,
        note: Option<String>,
        minutes: Option<u64>,
    ) -> Result<(Invite, peers::InviteRow), ApiError> {
        let approver = self.need_approver()?;
        if self.invites.len() >= limits::INVITES_OPEN_MAX {
            let message = format!("{} invites are open", limits::INVITES_OPEN_MAX);
            return Err(ApiError::new(
                ErrorKind::Busy,
                message,
                "wait until one is used or expires",
            ));
        }
        let note =
            note.map(Note::try_from).transpose().map_err(|e| usage(e, "shorten the note"))?;
        let longest = limits::INVITE_LIFE_MAX.as_secs() / 60;
        let minutes = minutes.unwrap_or(limits::INVITE_LIFE_DEFAULT.as_secs() / 60);
        if !(1..=longest).contains(&minutes) {
            let message = format!("expires_minutes is {minutes}; it goes from 1 to {longest}");
            return Err(usage(message, "choose a number in between"));
        }
        let expires = clock::now().plus(std::time::Duration::from_secs(minutes * 60));
        let secret = clock::random();
        let invite = Invite {
            inviter: self.id,
            approver: invite::approver_fingerprint(&approver),
            addresses: self.net.invited_to(),
            secret: Secret::new(secret),
            expires,
        };
        let secret = Secret::new(secret);
        let row = peers::InviteRow {
            id: invite.id(),
            secret,
            note,
            expires,
            used_by: None,
            by_code: false,
            approver: None,
        };
        Ok((invite, row))
    }

    fn read_message(
        &mut self,
        id: &str,
        offset: u64,
        (mark_read, session): (bool, Option<SessionName>),
        answer: Answer,
    ) {
        let id: MessageId = match id.parse() {
            Ok(id) => id,
            Err(error) => return reply(answer, Err(usage(error, "peer_inbox lists messages"))),
        };
        let reader = session.clone();
        let op = move |db: &Connection| {
            let Some(row) = messages::find(db, &id)? else { return Ok(None) };
            let rows = std::slice::from_ref(&row);
            let unseen = reader.map(|name| sessions::unseen(db, &name, rows)).transpose()?;
            Ok(Some((row, unseen.unwrap_or_default())))
        };
        self.read(op, move |node, found| {
            let (row, unseen) = match found {
                Ok(Some((row, unseen))) if row.outgoing || in_inbox(row.state) => (row, unseen),
                Ok(Some(_)) => return reply(answer, Err(waits_for_human())),
                Ok(None) => return reply(answer, Err(no_message(&id))),
                Err(error) => return reply(answer, Err(store_failed(&error))),
            };
            match node.part(&row, offset) {
                Err(error) => reply(answer, Err(error)),
                Ok(part) => {
                    // It was shown once its end was.
                    let whole = part.next_offset.is_none();
                    let read = if mark_read && whole { vec![row.clone()] } else { vec![] };
                    let read = reading(read, session, &unseen);
                    node.show_messages(&[row], read, Reply::Read(part), answer);
                }
            }
        });
    }

    fn part(&self, row: &MessageRow, offset: u64) -> Result<MessagePart, ApiError> {
        let size = row.text.len();
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let Some(rest) = row.text.get(start..) else {
            let message = format!("offset is {offset}; the text has {size} bytes");
            return Err(usage(message, "pass next_offset of the part before"));
        };
        let text = prefix(rest, limits::READ_BYTES_MAX);
        let end = start + text.len();
        let as_u64 = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let mut message = self.message_view(row);
        if size > 0 {
            text.clone_into(&mut message.text);
        }
        message.truncated = end < size;
        Ok(MessagePart {
            message,
            offset,
            size_bytes: as_u64(size),
            next_offset: (end < size).then(|| as_u64(end)),
        })
    }

    fn message_life(&mut self, id: &str, answer: Answer) {
        let id: MessageId = match id.parse() {
            Ok(id) => id,
            Err(error) => return reply(answer, Err(usage(error, "peer_inbox lists messages"))),
        };
        let op = move |db: &Connection| with_history(db, messages::find(db, &id)?);
        self.read(op, move |node, found| match found {
            Ok(Some((row, history))) => {
                let life = Reply::Message(node.life_view(&row, &history));
                node.show_lives(&[(row, history)], life, answer);
            }
            Ok(None) => reply(answer, Err(no_message(&id))),
            Err(error) => reply(answer, Err(store_failed(&error))),
        });
    }

    fn outstanding(&mut self, answer: Answer) {
        let op = |db: &Connection| {
            let rows = messages::outstanding(db, limits::PAGE_MAX)?;
            let lives: Result<Vec<_>, StoreError> = rows
                .into_iter()
                .map(|row| messages::history(db, row.number).map(|history| (row, history)))
                .collect();
            Ok((lives?, messages::counts(db)?))
        };
        self.read(op, |node, found| match found {
            Err(error) => reply(answer, Err(store_failed(&error))),
            Ok((lives, counts)) => {
                let view =
                    |(row, history): &(MessageRow, Vec<HistoryRow>)| node.life_view(row, history);
                let messages = lives.iter().map(view).collect();
                let (held, queued) = (counts.held, counts.queued);
                let all = Reply::Outstanding(Outstanding { messages, held, queued });
                node.show_lives(&lives, all, answer);
            }
        });
    }

    fn list_peers(&self, state: Option<PeerState>) -> Reply {
        let wanted = |entry: &PeerState| state.is_none_or(|state| *entry == state);
        let mut peers: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, entry)| wanted(&entry.state))
            .map(|(id, entry)| self.peer_view(id, entry))
            .collect();
        peers.sort_by(|a, b| a.name.cmp(&b.name));
        Reply::Peers(Peers { peers })
    }

    fn revoke(&mut self, peer: &str, block: bool, answer: Answer) {
        let id = match self.find_peer(peer) {
            Ok(id) => id,
            Err(error) => return reply(answer, Err(error)),
        };
        let step = if block { TrustMove::Block } else { TrustMove::Revoke };
        let then = move |node: &mut Self, done: Result<u64, StoreError>| {
            let result = done.map_err(|e| lowered::not_written(&e)).map(|purged| {
                let state = node.peers.get(&id).map_or(PeerState::Revoked, |entry| entry.state);
                let peer = PeerRef { id: id.to_string(), name: node.name_of(&id) };
                Reply::Revoke(Revoked { peer, state, purged })
            });
            reply(answer, result);
        };
        self.end_trust(id, (step, "trust was revoked"), None, then);
    }
}

/// What a session reads of these, where `unseen` is what it has not seen.
pub(super) fn reading(
    rows: Vec<MessageRow>,
    session: Option<SessionName>,
    unseen: &[i64],
) -> Reading {
    let numbers = rows.iter().map(|row| row.number);
    let unseen = numbers.filter(|number| unseen.contains(number)).collect();
    Reading { rows, session, unseen }
}

/// What an agent may see of what came in.
pub(super) const fn in_inbox(state: MessageState) -> bool {
    matches!(state, MessageState::Accepted | MessageState::Read | MessageState::Replied)
}

pub(super) fn waits_for_human() -> ApiError {
    let message = "this message waits for your human's decision and is not in the inbox";
    ApiError::new(
        ErrorKind::WaitsForHuman,
        message,
        "your human decides: countersign pending, or countersign page",
    )
}

pub(super) fn no_message(id: &MessageId) -> ApiError {
    let message = format!("there is no message {id}");
    ApiError::new(ErrorKind::NotFound, message, "peer_inbox lists messages")
}

fn with_history(
    db: &Connection,
    row: Option<MessageRow>,
) -> Result<Option<(MessageRow, Vec<HistoryRow>)>, StoreError> {
    row.map(|row| messages::history(db, row.number).map(|history| (row, history))).transpose()
}

/// Parses an id that may be absent.
pub(super) fn parse_opt<T: std::str::FromStr>(
    text: Option<&str>,
    next: &str,
) -> Result<Option<T>, ApiError>
where
    T::Err: std::fmt::Display,
{
    text.map(|text| text.parse().map_err(|e| usage(e, next))).transpose()
}
