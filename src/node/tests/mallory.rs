//! Mallory: a peer that Bob's human once trusted, and that sends what it likes.

use std::collections::HashMap;

use tokio::sync::mpsc;

use super::*;
use crate::{
    base::{InviteId, MessageId, MessageText, PeerId, PeerName, Timestamp, limits},
    gate,
    identity::IdentityKey,
    net::{Inbound, LinkId, Net, NetConfig, NetEvent, NetSettings, Outbound, Reach, SendError},
    store::{
        Store,
        peers::{self, ConsentRow, PeerRow},
        storage_key::KeySource,
    },
    trust::{self, PeerState},
    wire::{
        Body, ConsentRecord, Countersignature, Draft, Envelope, Header, Kind, Party, Receipt,
        ReceiptState, message::ReceiptEntry,
    },
};

pub(super) struct Mallory {
    pub(super) net: Net,
    pub(super) key: IdentityKey,
    pub(super) human: ApproverKey,
    pub(super) bob: PeerId,
    events: mpsc::Receiver<NetEvent>,
    pub(super) link: LinkId,
    pub(super) seq: u64,
    /// What she sent on this link and Bob has said nothing of.
    unanswered: Vec<Envelope>,
    cancel: CancellationToken,
}

fn seeded(seed: u8) -> (IdentityKey, ApproverKey) {
    let secret = |n| Secret::new([n; 32]);
    (IdentityKey::from_seed(&secret(seed)), ApproverKey::from_seed(&secret(seed + 100)))
}

/// Writes into `home` that both humans consented to the peer of `seed`.
pub(super) async fn write_trust(home: &Home, human: &ApproverKey, seed: u8, name: &str) -> PeerId {
    let me = keys::read_identity(&home.identity_file()).unwrap().id();
    let (key, other) = seeded(seed);
    let party = |identity, approver, nonce| Party {
        identity,
        approver,
        name: ClaimedName::parse("somebody").unwrap(),
        nonce: [nonce; 16],
    };
    let record = ConsentRecord {
        invite: InviteId::from_bytes([seed; 16]),
        created: clock::now(),
        inviter: party(me, human.id(), 1),
        joiner: party(key.id(), other.id(), 2),
    };
    let sign = |by: &ApproverKey| trust::sign_consent(by, &record).to_vec();
    let consent = ConsentRow {
        record: record.encode(),
        ours: sign(human),
        theirs: sign(&other),
        decision: None,
    };
    let row = PeerRow {
        id: key.id(),
        name: PeerName::parse(name).unwrap(),
        claim: ClaimedName::parse(name).unwrap(),
        state: PeerState::Trusted,
        addresses: Vec::new(),
        consent: None,
        other_approver: None,
        created: clock::now(),
        seen: None,
    };
    let store =
        Store::open(&home.database_file(), &me, &KeySource::file(home.storage_key_file())).unwrap();
    let id = row.id;
    let op = move |db: &rusqlite::Connection| {
        peers::put(db, &row)?;
        peers::set_trusted(db, &id, &consent)?;
        let (peer, to) = (id.to_string(), "trusted".to_owned());
        let event = crate::audit::Event::TrustMoved { peer, from: "incoming".to_owned(), to };
        crate::store::audit::append(db, clock::now(), &event).map(drop)
    };
    store.write(op).await.unwrap().unwrap();
    id
}

/// A net under Mallory's key, which trusts nobody yet.
pub(super) async fn net_of(seed: u8) -> (Net, mpsc::Receiver<NetEvent>, CancellationToken) {
    let (sender, events) = mpsc::channel(limits::NET_QUEUE_EVENTS);
    let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
    let config = NetConfig {
        seed: Secret::new([seed; 32]),
        approver: Some(seeded(seed).1.id()),
        reach: Reach::Loopback,
        settings: NetSettings::default(),
        port: 0,
    };
    (Net::start(config, &tasks, &cancel, sender).await.unwrap(), events, cancel)
}

pub(super) async fn addresses(side: &Side) -> Vec<String> {
    let whoami = side.agent(AgentRequest::Whoami).await;
    serde_json::from_value(whoami["network"]["addresses"].clone()).unwrap()
}

pub(super) fn id_of(side: &Side) -> PeerId {
    keys::read_identity(&side.home.identity_file()).unwrap().id()
}

/// Bob, who trusts Mallory and (away) Carol, and Mallory with a link to him.
pub(super) async fn bob_and_mallory() -> (Side, Mallory) {
    let (home, human, folder) = home("Bob");
    write_trust(&home, &human, 66, "mallory").await;
    write_trust(&home, &human, 67, "carol").await;
    let bob = Side { folder: Some(folder), ..run(home, human).await };
    let (net, events, cancel) = net_of(66).await;
    let (key, human) = seeded(66);
    net.trust(id_of(&bob), addresses(&bob).await);
    let (bob_id, link) = (id_of(&bob), LinkId(0));
    let (seq, unanswered) = (0, Vec::new());
    let mut mallory =
        Mallory { net, key, human, bob: bob_id, events, link, seq, unanswered, cancel };
    mallory.link_up().await;
    (bob, mallory)
}

impl Drop for Mallory {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// The id that is made of a number.
pub(super) fn id(number: u16) -> MessageId {
    MessageId::from_bytes(u128::from(number).to_be_bytes())
}

impl Mallory {
    async fn next(&mut self) -> NetEvent {
        let event = tokio::time::timeout(Duration::from_secs(20), self.events.recv()).await;
        let event = event.expect("an event in time").expect("the net runs");
        if let NetEvent::LinkUp { link, .. } = &event {
            (self.link, self.seq) = (*link, 0);
        }
        event
    }

    /// Waits for a link, on which nothing was sent yet.
    pub(super) async fn link_up(&mut self) {
        while !matches!(self.next().await, NetEvent::LinkUp { .. }) {}
        self.unanswered.clear();
    }

    /// Waits until Bob's node has ended the link.
    pub(super) async fn link_down(&mut self) {
        let link = self.link;
        while !matches!(self.next().await, NetEvent::LinkDown { link: down, .. } if down == link) {}
    }

    pub(super) fn header(&self, number: u16, kind: Kind) -> Header {
        Header {
            kind,
            id: id(number),
            sender: self.key.id(),
            recipient: self.bob,
            created: clock::now(),
            expires: clock::now().plus(Duration::from_hours(1)),
            thread: None,
            reply_to: None,
            human: false,
            session: None,
        }
    }

    pub(super) fn text(&self, number: u16, text: &str) -> Envelope {
        let draft = Draft { header: self.header(number, Kind::Text), body: text_body(text) };
        draft.seal(&self.key).unwrap()
    }

    /// A text under an id that is not one of hers.
    pub(super) fn text_under(&self, id: MessageId, text: &str) -> Envelope {
        let header = Header { id, ..self.header(1, Kind::Text) };
        Draft { header, body: text_body(text) }.seal(&self.key).unwrap()
    }

    /// A text that Bob's human will be asked about: Mallory's own human let it go.
    pub(super) fn hidden(&self, number: u16) -> Envelope {
        let envelope = self.text(number, &format!("look{}", "\u{200b}".repeat(9)));
        let (method, now) = (Method::Passphrase, clock::now());
        let seal = Countersignature::sign(&envelope, &self.human, method, now).unwrap();
        envelope.with_countersignature(seal).unwrap()
    }

    /// Sends it as the next frame. Gives what Bob says of it.
    pub(super) async fn say(&mut self, envelope: Envelope) -> ReceiptState {
        let id = envelope.header().id;
        self.send(envelope);
        self.receipts(1).await[&id]
    }

    pub(super) fn send(&mut self, envelope: Envelope) {
        self.seq += 1;
        self.unanswered.push(envelope.clone());
        let envelope = gate::unasked(envelope);
        let frame = Outbound::Data { seq: self.seq, envelope };
        // Where the link is gone already, its end is the next event.
        let sent = self.net.send(&self.bob, self.link, frame);
        assert!(matches!(sent, Ok(()) | Err(SendError::Gone)), "{sent:?}");
    }

    /// What Bob says of the next `count` messages. Both may have dialed, and then this link ends
    /// for the other one: what was not answered is sent again there, as any sender does. Once: who
    /// ends the other one too does not want what she sends.
    pub(super) async fn receipts(&mut self, count: usize) -> HashMap<MessageId, ReceiptState> {
        let (mut said, mut again) = (HashMap::new(), false);
        while said.len() < count {
            let event = self.next().await;
            if matches!(event, NetEvent::LinkDown { link, .. } if link == self.link) {
                assert!(!again, "Bob ended the link that he chose");
                again = true;
                self.send_again().await;
            }
            let NetEvent::Frames { frames, .. } = event else { continue };
            for frame in frames {
                let Inbound::Ack { receipt: Some(Ok(receipt)), .. } = frame else { continue };
                let Body::Receipt(receipt) = receipt.body() else { panic!() };
                said.extend(receipt.entries.iter().map(|entry| (entry.id, entry.state)));
            }
        }
        self.unanswered.retain(|envelope| !said.contains_key(&envelope.header().id));
        said
    }

    async fn send_again(&mut self) {
        let unanswered = std::mem::take(&mut self.unanswered);
        self.link_up().await;
        for envelope in unanswered {
            self.send(envelope);
        }
    }

    /// Acknowledges the next data frame of Bob's with this receipt.
    pub(super) async fn acknowledge(&mut self, receipt: Receipt, number: u16, created: Timestamp) {
        let header = Header { created, ..self.header(number, Kind::Receipt) };
        let sealed = Draft { header, body: Body::Receipt(receipt) }.seal(&self.key).unwrap();
        let upto = self.data().await;
        let ack = Outbound::Ack { upto, receipt: Some(gate::unasked(sealed)) };
        self.net.send(&self.bob, self.link, ack).unwrap();
    }

    /// The number of the next data frame of Bob's.
    async fn data(&mut self) -> u64 {
        loop {
            let NetEvent::Frames { frames, .. } = self.next().await else { continue };
            let seq = |frame: &Inbound| match frame {
                Inbound::Data { seq, .. } => Some(*seq),
                Inbound::Ack { .. } => None,
            };
            if let Some(seq) = frames.iter().filter_map(seq).next_back() {
                return seq;
            }
        }
    }

    /// Says that a message of Bob's is in some state.
    pub(super) fn claim(&mut self, number: u16, entry: ReceiptEntry) {
        let header = self.header(number, Kind::Receipt);
        let body = Body::Receipt(Receipt::of(vec![entry]));
        self.send(Draft { header, body }.seal(&self.key).unwrap());
    }
}

pub(super) fn text_body(text: &str) -> Body {
    Body::Text(MessageText::parse(text).unwrap())
}

pub(super) fn later(hours: u64) -> Timestamp {
    clock::now().plus(Duration::from_secs(3600 * hours))
}
