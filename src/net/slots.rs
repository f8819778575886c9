//! Where two strangers meet who know nothing of each other but a word: a slot is a place that
//! anybody who knows the word can compute, and so nothing secret is put there.
//!
//! On a lookup (a pkarr server or the DHT) the slot's bytes are an Ed25519 secret key, and what is
//! put there is the record of that key: the door's relay and the door's id. Whoever knows the word
//! can read it, put another in its place or take it away; that delays a pairing and decides
//! nothing in it.

mod record;
mod server;

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use iroh::{Endpoint, SecretKey};
use iroh_dns::pkarr::SignedPacket;
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{
    NetError, NetSettings,
    address::AddressRules,
    lookup::{Lookup, lookups},
};
use crate::base::{PeerId, limits};
use server::{Nodes, Server};

/// A place to meet, as the 32 secret bytes of the key that its record is signed with. Whoever
/// knows the word knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub [u8; 32]);

/// What is put there: an endpoint that lives as long as the code, and says nothing of who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The endpoint's id.
    pub door: PeerId,
    /// Where it is: relay URLs, or `ip:port` on a LAN.
    pub addresses: Vec<String>,
}

/// Why nobody can be met.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// There is neither mDNS nor a lookup.
    #[error(
        "there is nowhere to meet: this node uses neither mDNS nor a lookup; use an invite, or set \
         lookups or mdns in config.toml"
    )]
    Nowhere,
    /// No lookup took it.
    #[error("no lookup could be reached: {0}; use an invite, or try again")]
    Unreachable(String),
    /// Somebody else is there, or was a short time ago.
    #[error("somebody else uses this code's first word now; take another code")]
    Taken,
    /// There is nothing to put there that a stranger could dial.
    #[error(
        "nobody elsewhere could reach this node, because it is at home at no relay; set relays in \
         config.toml, or use an invite"
    )]
    NoRelay,
}

/// Puts contacts into slots, and finds those of others. Cloning it gives another handle to the same.
#[derive(Clone)]
pub struct Slots(Arc<Inner>);

struct Inner {
    ways: Vec<Way>,
    rules: AddressRules,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

/// One place where records are kept.
#[derive(Clone)]
enum Way {
    Server(Server),
    Dht(Arc<Nodes>),
}

impl Way {
    async fn get(&self, slot: &SecretKey) -> Result<Option<SignedPacket>, String> {
        let asked = async {
            match self {
                Self::Server(server) => server.get(slot.public()).await,
                Self::Dht(nodes) => nodes.get(slot.public()).await,
            }
        };
        timeout(limits::SLOT_TIMEOUT, asked).await.map_err(|_| "no answer in time".to_owned())?
    }

    async fn put(&self, packet: &SignedPacket) -> Result<(), String> {
        let put = async {
            match self {
                Self::Server(server) => server.put(packet).await,
                Self::Dht(nodes) => nodes.put(packet).await,
            }
        };
        timeout(limits::SLOT_TIMEOUT, put).await.map_err(|_| "no answer in time".to_owned())?
    }
}

/// A contact that is in its slot until this is dropped.
#[derive(Debug)]
pub struct Offer {
    contact: watch::Sender<Contact>,
    _end: DropGuard,
}

impl Offer {
    /// The door can be reached elsewhere from now on.
    pub fn moved(&self, contact: Contact) {
        self.contact.send_if_modified(|known| {
            let is_news = *known != contact;
            *known = contact;
            is_news
        });
    }
}

impl Slots {
    /// The ways of a configuration.
    pub(super) fn new(
        endpoint: &Endpoint,
        rules: &AddressRules,
        settings: &NetSettings,
        (tasks, cancel): (TaskTracker, CancellationToken),
    ) -> Result<Self, NetError> {
        let http = server::client(endpoint.tls_config().clone(), settings.proxy.as_deref())?;
        let way = |lookup| match lookup {
            Lookup::Server(url) => Way::Server(Server::new(http.clone(), url)),
            Lookup::Dht(dht) => Way::Dht(Arc::new(Nodes::new(dht))),
        };
        let ways = lookups(rules.reach(), settings)?.into_iter().map(way).collect();
        Ok(Self(Arc::new(Inner { ways, rules: rules.clone(), tasks, cancel })))
    }

    /// Puts `contact` into `slot`, until the offer is dropped or the net ends. What others could
    /// not dial is left out: on a lookup, everything but relays.
    ///
    /// # Errors
    /// Another's contact is there; or there is no way, or none took it.
    pub async fn offer(&self, slot: Slot, contact: Contact) -> Result<Offer, SlotError> {
        let Self(inner) = self;
        if inner.ways.is_empty() {
            return Err(SlotError::Nowhere);
        }
        if record::publishable(&contact, &inner.rules).is_empty() {
            return Err(SlotError::NoRelay);
        }
        let found = self.find(slot).await?;
        if found.iter().any(|other| other.door != contact.door) {
            return Err(SlotError::Taken);
        }
        let (contact, changed) = watch::channel(contact);
        let cancel = inner.cancel.child_token();
        let (done, mut first) = mpsc::channel(inner.ways.len());
        for way in inner.ways.iter().cloned() {
            let record =
                Record { slot: SecretKey::from_bytes(&slot.0), way, rules: inner.rules.clone() };
            let kept = keep(record, changed.clone(), done.clone(), cancel.clone());
            inner.tasks.spawn(kept);
        }
        drop(done);
        let offer = Offer { contact, _end: cancel.drop_guard() };
        let mut problem = "no answer".to_owned();
        while let Some(done) = first.recv().await {
            match done {
                Ok(()) => return Ok(offer),
                Err(other) => problem = other,
            }
        }
        Err(SlotError::Unreachable(problem))
    }

    /// Who is in `slot` now, by all ways at once. Empty when nobody is.
    ///
    /// # Errors
    /// There is no way, or none answered.
    pub async fn find(&self, slot: Slot) -> Result<Vec<Contact>, SlotError> {
        let Self(inner) = self;
        if inner.ways.is_empty() {
            return Err(SlotError::Nowhere);
        }
        let slot = SecretKey::from_bytes(&slot.0);
        let answers = join_all(inner.ways.iter().map(|way| way.get(&slot))).await;
        if let Some(problem) = all_failed(&answers) {
            return Err(SlotError::Unreachable(problem));
        }
        let records = answers.into_iter().filter_map(|answer| answer.ok().flatten());
        let mut found: Vec<Contact> = Vec::new();
        for contact in records.filter_map(|packet| record::read(&packet, &inner.rules)) {
            if !found.contains(&contact) {
                found.push(contact);
            }
        }
        Ok(found)
    }
}

/// What went wrong last, where everything did.
fn all_failed<T>(answers: &[Result<T, String>]) -> Option<String> {
    let problems = answers.iter().map_while(|answer| answer.as_ref().err());
    let last = problems.clone().last().cloned();
    if problems.count() == answers.len() { last } else { None }
}

/// One record at one place.
struct Record {
    slot: SecretKey,
    way: Way,
    rules: AddressRules,
}

impl Record {
    async fn put(&self, contact: Option<&Contact>) -> Result<(), String> {
        let packet = record::sign(&self.slot, contact, &self.rules)?;
        self.way.put(&packet).await
    }
}

/// Keeps a record where it is, and puts an empty one in its place at the end.
async fn keep(
    record: Record,
    mut contact: watch::Receiver<Contact>,
    done: mpsc::Sender<Result<(), String>>,
    cancel: CancellationToken,
) {
    let mut done = Some(done);
    let publish = async {
        loop {
            let now = contact.borrow_and_update().clone();
            let put = record.put(Some(&now)).await;
            if let Err(problem) = &put {
                tracing::debug!(problem, "a slot's record was not published");
            }
            let next = wait(&put);
            if let Some(done) = done.take() {
                done.try_send(put).ok(); // Nobody waits for the later ones.
            }
            tokio::select! {
                () = sleep(next) => {}
                changed = contact.changed() => if changed.is_err() { return },
            }
        }
    };
    cancel.run_until_cancelled(publish).await;
    // Nothing to do when it fails: the record is too old before long.
    timeout(limits::SLOT_END_TIMEOUT, record.put(None)).await.ok();
}

fn wait(put: &Result<(), String>) -> Duration {
    if put.is_ok() { limits::SLOT_REPUBLISH } else { limits::SLOT_RETRY }
}
