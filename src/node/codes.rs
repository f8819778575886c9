//! Short codes: three words that carry an invite to whoever says them (`SPEC.md` section 17).
//!
//! A code trusts nobody. It gives an invite to the one node that knew the words, and shows each side
//! who the other is; both gates ask as for any invite.

mod book;
mod talk;

use std::sync::Arc;

use rusqlite::Connection;

pub(super) use book::Codes;
use book::OpenCode;
use talk::{Guest, Heard, JoinError, Placed};

use super::{
    api::{ApiError, ErrorKind, Event, InviteMade, Reply},
    clock,
    connect::{Asker, Wish},
    state::{Answer, InviteEntry, Node, Then, reply, store_failed, usage},
};
use crate::{
    audit,
    base::{InviteId, Secret, limits},
    store::{self, peers},
    wire::{
        Code, Invite,
        code::{
            CodeError,
            exchange::{Claim, CodeFrame, Given, Giving},
        },
        invite::approver_fingerprint,
    },
};

/// The words of a code and the invite that they carry.
struct Carried {
    invite: InviteId,
    text: Secret<String>,
}

impl Node {
    /// Makes a code: an invite as any other, behind a door.
    pub(super) fn invite_by_code(
        &mut self,
        note: Option<String>,
        minutes: Option<u64>,
        answer: Answer,
    ) {
        let made = self.codes.may_open().and_then(|()| no_minutes(minutes));
        let (invite, row) = match made.and_then(|()| self.new_invite(note, None)) {
            Ok((invite, row)) => (invite, peers::InviteRow { by_code: true, ..row }),
            Err(error) => return reply(answer, Err(error)),
        };
        let carried = Carried { invite: row.id, text: Secret::new(invite.encode()) };
        self.codes.making += 1;
        self.keep_invite(invite, row, |node, kept| {
            if let Err(error) = kept {
                node.codes.making -= 1;
                return reply(answer, Err(store_failed(&error)));
            }
            let net = node.net.clone();
            node.later(async move { talk::place(&net).await }, move |node, placed| {
                node.codes.making -= 1;
                match placed.unwrap_or_else(|| Err(ended())) {
                    Ok(placed) => node.opened(carried, placed, answer),
                    Err(error) => {
                        node.drop_invite(carried.invite, None);
                        reply(answer, Err(error));
                    }
                }
            });
        });
    }

    /// The door is open: the words are said, and somebody may come.
    fn opened(&mut self, carried: Carried, placed: Placed, answer: Answer) {
        let expires = clock::now().plus(limits::CODE_LIFE);
        let (code, invite) = (Arc::clone(&placed.code), carried.invite);
        let made = InviteMade {
            invite: String::new(),
            code: Some(code.words().join(" ")),
            expires_at: expires.rfc3339(),
        };
        self.codes.open(OpenCode { invite, code, expires });
        reply(answer, Ok(Reply::Invite(made)));
        self.later(talk::listen(placed), move |node, heard| {
            // The code is used up, whatever was heard; so it is before anybody is answered.
            let open = node.codes.close(&invite, clock::now());
            match heard {
                Some(Heard::Right(claim, giving, guest)) if open => {
                    node.said(carried, claim, giving, guest);
                }
                Some(Heard::Wrong(guest)) => {
                    node.guessed(invite, "a wrong code was tried", Some(guest));
                }
                Some(Heard::TooMany) => {
                    node.guessed(invite, "a code was tried too often without an end", None);
                }
                Some(Heard::Right(..) | Heard::Nobody) | None => node.drop_invite(invite, None),
            }
        });
    }

    /// Somebody knew the words: the invite is theirs and nobody else's, on disk before it is given.
    fn said(&mut self, carried: Carried, claim: Claim, giving: Giving, guest: Guest) {
        let Carried { invite, text } = carried;
        let Some(approver) = self.approver.filter(|_| claim.identity != self.id) else {
            return self.drop_invite(invite, None);
        };
        let me = Claim { identity: self.id, approver };
        let op = move |db: &Connection| {
            peers::bind_invite(db, &invite, &claim.identity, &claim.approver)
        };
        self.write(op, move |node, done| {
            let entry = node.invites.iter_mut().find(|entry| entry.id == invite);
            let (Ok(()), Some(entry)) = (done, entry) else {
                return node.drop_invite(invite, None);
            };
            entry.used_by = Some(claim.identity);
            entry.approver = Some(claim.approver);
            if let Ok(frame) = giving.give(&me, &text) {
                node.later(guest.answer(frame), |_, _| ());
            }
        });
    }

    /// Somebody did not know the words. The human sees it, and the code is used up.
    fn guessed(&mut self, invite: InviteId, what: &'static str, guest: Option<Guest>) {
        let now = clock::now();
        self.codes.note_wrong(now);
        let what = format!("{what}, so it is used up: the invite {invite}");
        self.drop_invite(invite, Some(audit::Event::refused(what, None)));
        if let Some(guest) = guest {
            self.later(guest.answer(CodeFrame::Wrong), |_, _| ());
        }
        self.handle.tell(Event::PendingChanged);
    }

    /// An invite that nobody can use any more.
    fn drop_invite(&mut self, id: InviteId, event: Option<audit::Event>) {
        self.invites.retain(|invite| invite.id != id);
        self.refresh_pairing();
        let now = clock::now();
        let op = move |db: &Connection| {
            peers::remove_invites(db, now, Some(&id))?;
            event.map_or(Ok(()), |event| store::audit::append(db, now, &event).map(drop))
        };
        self.write(op, |_, done| {
            if let Err(error) = done {
                tracing::error!(%error, "the end of a code could not be written");
            }
        });
    }

    /// Uses a code: meets whoever made it, and goes on with the invite that it carries. All that
    /// can be wrong on this side is found before the one guess is made.
    pub(super) fn connect_by_code(&mut self, words: &str, wish: Wish, answer: Answer) {
        let (now, by) = (clock::now(), wish.by);
        let (code, me) = match self.ready_to_join(words, by) {
            Ok(asked) => asked,
            Err(error) => return reply(answer, Err(error)),
        };
        if by == Asker::Agent {
            self.codes.join(now);
        }
        let who = match by {
            Asker::Agent => "agent",
            Asker::Human => "human",
        };
        let event = audit::Event::CodeTried { by: who.to_owned() };
        let op = move |db: &Connection| store::audit::append(db, now, &event).map(drop);
        self.write(op, move |node, done| {
            if let Err(error) = done {
                node.join_ended(by);
                return reply(answer, Err(store_failed(&error)));
            }
            let net = node.net.clone();
            let known = (by == Asker::Agent).then(|| node.trusted_addresses());
            let join = async move { talk::join(&net, &code, &me, known).await };
            node.later(join, move |node, joined| {
                node.join_ended(by);
                match carried(joined.unwrap_or(Err(JoinError::Ended))) {
                    Ok(invite) => node.connect_with(invite, Wish { by_code: true, ..wish }, answer),
                    Err(error) => reply(answer, Err(error)),
                }
            });
        });
    }

    fn join_ended(&mut self, by: Asker) {
        if by == Asker::Agent {
            self.codes.joined();
        }
    }

    fn ready_to_join(&self, words: &str, by: Asker) -> Result<(Code, Claim), ApiError> {
        let code = Code::parse(words).map_err(|error| code_error(&error))?;
        let approver = self.need_approver()?;
        if self.codes.is_ours(&code) {
            let next = "say it to the other person; they, or their agent, use it";
            return Err(usage("this code is your own", next));
        }
        self.may_ask_somebody(by)?;
        if by == Asker::Agent {
            self.codes.may_join(clock::now())?;
        }
        Ok((code, Claim { identity: self.id, approver }))
    }

    /// Runs something beside the node; `then` runs on this task when it is done, with nothing where
    /// it was ended.
    fn later<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = T> + Send + 'static,
        then: impl FnOnce(&mut Self, Option<T>) + Send + 'static,
    ) {
        let done = self.net.beside(work);
        self.reads.push(Box::pin(async move {
            let result = done.await;
            Box::new(move |node: &mut Self| then(node, result)) as Then
        }));
    }
}

/// The invite's entry in memory.
pub(super) fn entry_of(invite: Invite, row: &peers::InviteRow) -> InviteEntry {
    InviteEntry {
        id: row.id,
        secret: invite.secret,
        note: row.note.clone(),
        expires: row.expires,
        used_by: None,
        by_code: row.by_code,
        approver: None,
    }
}

/// The invite that a code carried.
fn carried(joined: Result<Given, JoinError>) -> Result<Invite, ApiError> {
    joined.map_err(|error| join_failed(&error)).and_then(|given| opened(&given))
}

/// What was given is what whoever knew the words says of themselves.
fn opened(given: &Given) -> Result<Invite, ApiError> {
    let invite = Invite::decode(given.invite.expose_secret(), clock::now());
    let theirs = |invite: &Invite| {
        let Claim { identity, approver } = given.inviter;
        invite.inviter == identity && invite.approver == approver_fingerprint(&approver)
    };
    invite.ok().filter(theirs).ok_or_else(|| {
        let message = "whoever made this code did not keep to the protocol";
        ApiError::new(ErrorKind::Failed, message, "ask for a new code, or for an invite")
    })
}

fn no_minutes(minutes: Option<u64>) -> Result<(), ApiError> {
    if minutes.is_none() {
        return Ok(());
    }
    let message = format!("a code is good for {} minutes", limits::CODE_LIFE.as_secs() / 60);
    Err(usage(message, "leave expires_minutes out, or make an invite without code"))
}

fn code_error(error: &CodeError) -> ApiError {
    let next = match error {
        CodeError::Count(_) => "type all three words; an invite begins with countersign1",
        CodeError::Unknown { .. } => "correct the word; nothing was tried yet",
        CodeError::Several { .. } => "type more of the word; nothing was tried yet",
    };
    usage(error, next)
}

fn join_failed(error: &JoinError) -> ApiError {
    let message = error.to_string();
    match error {
        JoinError::Nobody => {
            let next = "check the first word, and that both use the same lookup or LAN; a code is \
                        good for ten minutes and for one try: ask for a new one";
            ApiError::new(ErrorKind::NotFound, message, next)
        }
        JoinError::Strange(_) => {
            let next = "your human may use it: countersign connect WORDS, in a terminal or on the \
                        page; or they add the relay to config.toml";
            ApiError::new(ErrorKind::WaitsForHuman, message, next)
        }
        JoinError::Wrong | JoinError::Unsure => {
            ApiError::new(ErrorKind::Denied, message, "ask for a new code")
        }
        JoinError::Slot(_) => {
            ApiError::new(ErrorKind::Failed, message, "countersign doctor says more")
        }
        JoinError::Broken(_) | JoinError::Net(_) => ApiError::new(
            ErrorKind::Failed,
            message,
            "try again; if it stays so, ask for a new code",
        ),
        JoinError::Ended => ended(),
    }
}

fn ended() -> ApiError {
    ApiError::new(ErrorKind::Failed, "the node ended, or failed", "try again in a moment")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::Secret,
        identity::{ApproverKey, IdentityKey},
    };

    fn claim(seed: u8) -> Claim {
        let identity = IdentityKey::from_seed(&Secret::new([seed; 32])).id();
        Claim { identity, approver: ApproverKey::from_seed(&Secret::new([seed; 32])).id() }
    }

    #[test]
    fn an_invite_of_somebody_else_than_who_knew_the_words_is_refused() {
        let (alice, mallory) = (claim(1), claim(2));
        let given = |inviter: Claim| {
            let invite = Invite {
                inviter: alice.identity,
                approver: approver_fingerprint(&alice.approver),
                addresses: vec!["127.0.0.1:4000".to_owned()],
                secret: Secret::new([3; 16]),
                expires: clock::now().plus(limits::CODE_LIFE),
            };
            Given { inviter, invite: Secret::new(invite.encode()) }
        };
        assert_eq!(opened(&given(alice)).unwrap().inviter, alice.identity);
        let other_node = Claim { identity: mallory.identity, ..alice };
        let other_human = Claim { approver: mallory.approver, ..alice };
        for other in [mallory, other_node, other_human] {
            assert_eq!(opened(&given(other)).err().unwrap().kind, ErrorKind::Failed);
        }
    }
}
