//! A year of messages, written by the store's own functions.

use std::time::Duration;

use countersign::{
    audit::Event,
    base::{MessageText, PeerId, Secret, ThreadId, Timestamp, limits},
    delivery::MessageState,
    identity::IdentityKey,
    node::clock,
    store::{
        StoreError, audit,
        messages::{self, Arrival, HistoryRow},
        peers, search,
        verdicts::{self, Verdict},
    },
    trust::PeerState,
    wire::{Body, Draft, Envelope, Header, Kind, Receipt, ReceiptState, message::ReceiptEntry},
};
use rusqlite::Connection;

use crate::world::{Human, Place, Trust, before, close, id_of, mixed, row, write};

pub(crate) const PEERS: u64 = 1000;
/// Of each that anything was said with, so that one conversation is as long in a small home as in a large
/// one.
const MESSAGES_EACH: u64 = 1000;
/// Of a hundred that came in, up to what one peer may leave unread: more than is read while it is measured,
/// because an inbox without anything unread answers sooner.
const UNREAD: u64 = 40;
/// Whose consents verify.
const TRUSTED: u64 = 20;
/// Messages of one transaction. SQLite walks over what a transaction has changed so far at the end of
/// each statement inside a savepoint, so many small ones are sooner done than a few large ones.
const BATCH: u64 = 100;
const YEAR: Duration = Duration::from_hours(365 * 24);
/// In every message, in a tenth of them and in one of the first thousand and its last.
pub(crate) const COMMON: &str = "every";
pub(crate) const TENTH: &str = "tenthly";
pub(crate) const RARE: &str = "zebra";

/// What of a message is drawn by its number.
struct Drawn {
    n: u64,
    peer: usize,
    incoming: bool,
    unread: bool,
    at: Timestamp,
}

struct Filler {
    own: IdentityKey,
    peers: Vec<IdentityKey>,
    unread: Vec<u32>,
    count: u64,
    now: Timestamp,
}

/// The key of a peer that has no home.
pub(crate) fn peer_key(n: u64) -> IdentityKey {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&n.to_be_bytes());
    IdentityKey::from_seed(&Secret::new(seed))
}

/// How many peers something was said with, where there are so many messages: the first ones.
pub(crate) fn talking(messages: u64) -> u64 {
    (messages / MESSAGES_EACH).clamp(1, PEERS)
}

pub(crate) fn peer_name(n: u64) -> String {
    format!("peer-{n:04}")
}

/// Fills a home with peers and `count` messages. Gives numbers of messages that came in from one peer,
/// spread over all of them, and were read: the first text that is read of a peer, and one that nobody
/// has read, are written down, which is another thing to measure.
pub(crate) fn fill(place: (&Place, &Human), others: &Human, count: u64) -> Vec<u64> {
    let store = place.0.store();
    for n in 0..PEERS {
        let (id, name) = (peer_key(n).id(), peer_name(n));
        if n < TRUSTED {
            Trust::with(place, id, &name, others).keep(&store, place, &name, Vec::new());
        } else {
            let row = row(id, &name, PeerState::Revoked, Vec::new());
            write(&store, move |db| peers::put(db, &row));
        }
    }
    let peers: Vec<IdentityKey> = (0..PEERS).map(peer_key).collect();
    let own = keys_of(place.0);
    let mut filler = Filler { own, unread: vec![0; peers.len()], peers, count, now: clock::now() };
    let mut done = 0;
    while done < count {
        let upto = count.min(done + BATCH);
        filler = write(&store, move |db| {
            filler.some(db, done, upto)?;
            Ok(filler)
        });
        done = upto;
        if done.is_multiple_of(100_000) {
            eprintln!("  {done} messages");
        }
    }
    let (now, mut read) = (filler.now, Vec::new());
    for n in 0..count {
        let drawn = filler.draw(n, now);
        if drawn.incoming && !drawn.unread && drawn.peer == 0 {
            read.push(n);
        }
    }
    close(store);
    read
}

fn keys_of(place: &Place) -> IdentityKey {
    countersign::store::keys::read_identity(&place.home.identity_file()).unwrap()
}

impl Filler {
    fn draw(&self, n: u64, now: Timestamp) -> Drawn {
        let random = mixed(n);
        let share = (self.count - n) as f64 / self.count as f64;
        let at = before(now, YEAR.mul_f64(share) + Duration::from_secs(1));
        let peer = usize::try_from(random % talking(self.count)).unwrap();
        let incoming = (random >> 20) % 100 < 55;
        Drawn { n, peer, incoming, unread: incoming && (random >> 30) % 100 < UNREAD, at }
    }

    fn some(&mut self, db: &Connection, from: u64, upto: u64) -> Result<(), StoreError> {
        // A large cache for this alone; the node has its own connection.
        db.execute_batch("PRAGMA cache_size = -262144").unwrap();
        for n in from..upto {
            let drawn = self.draw(n, self.now);
            if drawn.incoming {
                self.comes(db, &drawn)?;
            } else {
                self.goes(db, &drawn)?;
            }
            if n.is_multiple_of(limits::AUDIT_CHECKPOINT_RECORDS) {
                audit::checkpoint(db, &self.own, false)?;
            }
        }
        while search::index_batch(db, limits::INDEX_BATCH)? {}
        Ok(())
    }

    fn seal(&self, drawn: &Drawn) -> Envelope {
        let Drawn { n, peer, incoming, at, .. } = *drawn;
        let (own, theirs) = (self.own.id(), self.peers[peer].id());
        // About ten messages a thread.
        let talking = talking(self.count);
        let thread = mixed(n % (self.count / 10).max(1) / talking * talking + peer as u64);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&thread.to_be_bytes());
        let header = Header {
            kind: Kind::Text,
            id: id_of(n),
            sender: if incoming { theirs } else { own },
            recipient: if incoming { own } else { theirs },
            created: at,
            expires: at.plus(limits::EXPIRY_DEFAULT),
            thread: Some(ThreadId::from_bytes(bytes)),
            reply_to: None,
            human: false,
            session: None,
        };
        let body = Body::Text(MessageText::parse(&text(n)).unwrap());
        let key = if incoming { &self.peers[peer] } else { &self.own };
        Draft { header, body }.seal(key).unwrap()
    }

    fn comes(&mut self, db: &Connection, drawn: &Drawn) -> Result<(), StoreError> {
        let envelope = self.seal(drawn);
        let count = &mut self.unread[drawn.peer];
        let unread = drawn.unread && u64::from(*count) < limits::INBOX_UNREAD_MESSAGES_MAX - 20;
        *count += u32::from(unread);
        let (at, id) = (drawn.at, envelope.header().id);
        let state = if unread { MessageState::Accepted } else { MessageState::Read };
        let number = messages::add(db, &envelope, false, state, at)?;
        if !unread {
            messages::set_seen(db, number)?;
        }
        let states = [MessageState::Delivered, MessageState::Accepted, MessageState::Read];
        history(db, number, &states[..if unread { 2 } else { 3 }], at)?;
        verdict(db, number)?;
        let forget = envelope.header().expires.plus(limits::DUPLICATE_KEPT);
        let peer = envelope.header().sender;
        if forget > self.now {
            let arrival = Arrival { digest: envelope.digest(), state, reason: None };
            messages::put_arrival(db, &peer, &id, &arrival, forget)?;
        }
        let (message, digest) = (id.to_string(), envelope.digest().to_string());
        let (peer, state) = (peer.to_string(), "accepted".to_owned());
        audit::append(db, at, &Event::Arrived { message, peer, state, digest }).map(drop)
    }

    fn goes(&mut self, db: &Connection, drawn: &Drawn) -> Result<(), StoreError> {
        let envelope = self.seal(drawn);
        let (at, id) = (drawn.at, envelope.header().id);
        let number = messages::add(db, &envelope, true, MessageState::Read, at)?;
        let states = [MessageState::Queued, MessageState::Accepted, MessageState::Read];
        history(db, number, &states, at)?;
        verdict(db, number)?;
        let peer = envelope.header().recipient;
        if drawn.n.is_multiple_of(4) {
            let receipt = self.receipt(drawn, &envelope);
            messages::put_receipt(db, &receipt, at)?;
        }
        let (message, digest) = (id.to_string(), envelope.digest().to_string());
        let to = peer;
        let (peer, state) = (peer.to_string(), "queued".to_owned());
        audit::append(db, at, &Event::Sent { message, peer, state, digest })?;
        audit::append(db, at, &Event::moved(id, "accepted", (&to, true))).map(drop)
    }

    fn receipt(&self, drawn: &Drawn, of: &Envelope) -> Envelope {
        let entry = ReceiptEntry {
            id: of.header().id,
            digest: of.digest(),
            state: ReceiptState::Accepted,
            at: drawn.at,
            reason: None,
        };
        let (sender, recipient): (PeerId, PeerId) = (of.header().recipient, of.header().sender);
        let id = id_of(u64::MAX - drawn.n);
        let header = Header {
            kind: Kind::Receipt,
            id,
            sender,
            recipient,
            thread: None,
            ..of.header().clone()
        };
        let body = Body::Receipt(Receipt::of(vec![entry]));
        Draft { header, body }.seal(&self.peers[drawn.peer]).unwrap()
    }
}

fn history(
    db: &Connection,
    number: i64,
    states: &[MessageState],
    at: Timestamp,
) -> Result<(), StoreError> {
    states.iter().try_for_each(|state| {
        let step = HistoryRow { state: *state, at, reason: None };
        messages::add_history(db, number, &step, None)
    })
}

fn verdict(db: &Connection, number: i64) -> Result<(), StoreError> {
    let (verdict, rule) = ("allow".to_owned(), "default".to_owned());
    let verdict = Verdict { verdict, rule, policy: "0".repeat(64), reasons: Vec::new() };
    verdicts::set_verdict(db, number, &verdict)
}

/// 100 to 2,000 bytes, short ones more often, of 5,000 words, some of which are said often.
fn text(n: u64) -> String {
    let drawn = mixed(n ^ 0xabcd);
    let share = (drawn % 1000) as f64 / 1000.0;
    let bytes = (100.0 * 20_f64.powf(share)) as usize;
    let mut text = String::from(COMMON);
    if n % 10 == 3 {
        text += " ";
        text += TENTH;
    }
    if n == 500 {
        text += " ";
        text += RARE;
    }
    let mut state = drawn;
    while text.len() + 12 < bytes {
        state = mixed(state);
        // The square makes low numbers likelier.
        let which = (state % 5000) * ((state >> 16) % 5000) / 5000;
        text.push(' ');
        text.push_str(&word(which));
    }
    text
}

/// A word of letters.
fn word(n: u64) -> String {
    let syllables = ["ba", "ke", "lo", "mi", "nu", "ra", "se", "to", "vi", "zu"];
    let mut word = String::new();
    let mut rest = n + 10;
    while rest > 0 {
        word += syllables[usize::try_from(rest % 10).unwrap()];
        rest /= 10;
    }
    word
}
