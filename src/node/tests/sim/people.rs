//! Agents that send, read, connect and revoke, and humans who say yes, no, or nothing.

use data_encoding::HEXLOWER;

use super::world::{Asked, Question, World};
use crate::{
    base::PendingId,
    gate::{Answer, Decision, Item, Statement, What},
    node::api::{AgentRequest, HumanRequest, InboxRequest, Reply, Request, SendRequest, UseInvite},
    store::{messages, pending::PendingRow},
    trust::PeerState,
    wire::Method,
};

/// A human gives up where the node does not take their word.
const TRIES_MAX: u32 = 6;

/// What a human does about an item, which is theirs to decide once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Yes,
    No,
    Never,
}

fn mood(id: PendingId, peer: bool) -> Mood {
    let drawn = id.as_bytes()[0];
    match drawn {
        0..=24 if !peer => Mood::Never,
        25..=44 => Mood::No,
        _ => Mood::Yes,
    }
}

impl World {
    pub(super) fn ask(&mut self, host: usize, request: Request, what: Question) -> bool {
        let answered = self.hosts[host].ask(request, self.now);
        let Some(answered) = answered else { return false };
        self.asked.push(Asked { host, what, answered });
        self.after(host);
        true
    }

    /// `by` makes an invite that `host` will use.
    pub(super) fn invite(&mut self, by: usize, host: usize) {
        let request = AgentRequest::Invite { note: None, expires_minutes: None, code: false };
        self.ask(by, Request::Agent(request), Question::Invite(host));
    }

    pub(super) fn agent(&mut self, host: usize) -> bool {
        let room =
            |life: &super::host::Life| life.node.has_room(crate::base::limits::NODE_WRITES_MAX);
        if !self.hosts[host].life.as_ref().is_some_and(room) {
            return false;
        }
        match self.dice.below(40) {
            0..=27 => self.send_some(host),
            28..=33 => {
                let mark_read = !self.dice.once_in(3);
                let inbox = InboxRequest { mark_read, limit: Some(100), ..InboxRequest::default() };
                self.ask(host, Request::Agent(AgentRequest::Inbox(inbox)), Question::Other)
            }
            34 => self.revoke_some(host),
            35 | 36 => {
                let other = self.dice.index(self.hosts.len());
                if other != host {
                    self.invite(other, host);
                }
                true
            }
            _ => self.ask(host, Request::Agent(AgentRequest::Outstanding), Question::Other),
        }
    }

    fn trusted_name(&mut self, host: usize) -> Option<String> {
        let node = &self.hosts[host].life.as_ref()?.node;
        let trusted = node.peers.values().filter(|entry| entry.state == PeerState::Trusted);
        let names: Vec<String> = trusted.map(|entry| entry.name.to_string()).collect();
        if names.is_empty() { None } else { Some(names[self.dice.index(names.len())].clone()) }
    }

    fn send_some(&mut self, host: usize) -> bool {
        let Some(to) = self.trusted_name(host) else { return false };
        let bytes = match self.dice.below(20) {
            0..=12 => 20 + self.dice.index(40),
            13..=15 => 80,
            16..=18 => 120,
            _ => 420,
        };
        // A burst is what fills the bounds.
        let burst = if self.dice.once_in(25) { 26 } else { 1 };
        for _ in 0..burst {
            if !self.dice.once_in(12) {
                self.texts += 1;
            }
            let (bytes, to) = (if burst > 1 { 80 } else { bytes }, to.clone());
            let text = format!("{:x<1$}", format!("{} ", self.texts), bytes);
            let expires_hours = Some(1 + self.dice.below(3));
            let mut request = SendRequest { to, text, expires_hours, ..SendRequest::default() };
            if self.dice.once_in(6) {
                request.reply_to = self.something_read(host);
            }
            self.ask(host, Request::Agent(AgentRequest::Send(request)), Question::Send);
        }
        true
    }

    fn something_read(&mut self, host: usize) -> Option<String> {
        let filter = messages::Filter { limit: 50, ..messages::Filter::default() };
        let rows = messages::page(self.hosts[host].db(), &filter).ok()?;
        let rows: Vec<_> = rows.iter().filter(|row| !row.outgoing).collect();
        if rows.is_empty() { None } else { Some(rows[self.dice.index(rows.len())].id.to_string()) }
    }

    fn revoke_some(&mut self, host: usize) -> bool {
        if !self.dice.once_in(3) {
            return false;
        }
        let Some(peer) = self.trusted_name(host) else { return false };
        let request = AgentRequest::Revoke { peer: peer.clone(), block: self.dice.once_in(6) };
        self.note(&format!("{host} revokes {peer}"));
        self.ask(host, Request::Agent(request), Question::Other)
    }

    /// A human looks at what waits.
    pub(super) fn human(&mut self, host: usize) -> bool {
        self.hosts[host].at(self.now);
        let Some(life) = &self.hosts[host].life else { return false };
        if self.asked.iter().any(|asked| asked.what == Question::Other && asked.host == host) {
            return false;
        }
        let time = self.hosts[host].time(self.now);
        let waits = |row: &&PendingRow| {
            let tried = self.tries.get(&(host, row.id)).is_some_and(|tries| *tries >= TRIES_MAX);
            let wanted = mood(row.id, row.message.is_none()) != Mood::Never && !tried;
            row.item.is_some() && row.expires > time && wanted
        };
        let rows: Vec<PendingRow> = life.node.pending.values().filter(waits).cloned().collect();
        if rows.is_empty() {
            return false;
        }
        let row = rows[self.dice.index(rows.len())].clone();
        let Some(item) = row.item.clone() else { return false };
        let answer = match mood(row.id, row.message.is_none()) {
            Mood::Yes => Answer::Approve,
            Mood::No | Mood::Never => Answer::Deny,
        };
        let request = self.decision(host, &row, &item, answer);
        self.decides.push((host, request.clone()));
        *self.tries.entry((host, row.id)).or_default() += 1;
        self.note(&format!("{host} decides {} {answer:?}", row.id));
        self.ask(host, Request::Human(request), Question::Other)
    }

    fn decision(
        &mut self,
        host: usize,
        row: &PendingRow,
        item: &Item,
        answer: Answer,
    ) -> HumanRequest {
        let human = &self.hosts[host].human;
        let statement = Statement {
            id: row.id,
            digest: item.digest(),
            answer,
            method: Method::Passphrase,
            at: self.hosts[host].time(self.now),
            verified: true,
            after: row.after.clone(),
        };
        let signed = Decision::sign(item, &statement, human).unwrap();
        if answer == Answer::Approve {
            let by = human.id();
            self.ledger.signed(host, row.id, item, by);
            if let Item::Message(What::MessageOut | What::MessageIn, envelope) = item {
                self.envelopes.push(envelope.bytes().to_vec());
            }
        }
        HumanRequest::Decide {
            id: row.id.to_string(),
            statement: HEXLOWER.encode(&signed.statement),
            signature: HEXLOWER.encode(&signed.signature),
            seal: HEXLOWER.encode(&signed.seal),
            block: false,
            grant: None,
        }
    }

    /// Takes what the node has answered.
    pub(super) fn hear_answers(&mut self, host: usize) {
        let mut heard = Vec::new();
        self.asked.retain_mut(|asked| {
            if asked.host != host {
                return true;
            }
            match asked.answered.try_recv() {
                Ok(answer) => {
                    heard.push((asked.what, Some(answer)));
                    false
                }
                Err(tokio::sync::oneshot::error::TryRecvError::Empty) => true,
                Err(tokio::sync::oneshot::error::TryRecvError::Closed) => {
                    heard.push((asked.what, None));
                    false
                }
            }
        });
        for (what, answer) in heard {
            let said = match &answer {
                Some(Ok(_)) => "yes".to_owned(),
                Some(Err(error)) => error.message.clone(),
                None => "nothing".to_owned(),
            };
            self.note(&format!("{host} answers {what:?}: {said}"));
            match (what, answer) {
                (Question::Send, Some(Ok(Reply::Send(sent)))) => {
                    self.stats.sent += 1;
                    self.check_answer(host, &sent.id);
                }
                (Question::Invite(by), Some(Ok(Reply::Invite(made)))) => {
                    let (invite, name, note) = (made.invite, None, None);
                    let connect = HumanRequest::Connect(UseInvite { invite, name, note });
                    self.ask(by, Request::Human(connect), Question::Invite(usize::MAX));
                    self.stats.pairings += 1;
                }
                (_, _) => {}
            }
        }
    }
}
