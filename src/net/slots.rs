//! Where two strangers meet who know nothing of each other but a word: a slot is a place that
//! anybody who knows the word can compute, and so nothing secret is put there.
//!
//! On a lookup (a pkarr server or the DHT) the slot's bytes are an Ed25519 secret key, and what is
//! put there is the record of that key: the door's relay and the door's id. Whoever knows the word
//! can read it, put another in its place or take it away; that delays a pairing and decides
//! nothing in it. On a LAN the slot is a name that is asked for by mDNS, and the door answers.

pub mod record;
mod server;

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use iroh::{Endpoint, EndpointId, SecretKey};
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
    LOOKUP_DHT, NetError, NetSettings,
    address::{AddressRules, redacted},
    lan::Lan,
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
    lan: Option<Lan>,
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
    /// As the configuration names it, without a password.
    fn name(&self) -> String {
        match self {
            Self::Server(server) => redacted(server.url()),
            Self::Dht(_) => LOOKUP_DHT.to_owned(),
        }
    }

    async fn get(&self, key: EndpointId) -> Result<Option<SignedPacket>, String> {
        let asked = async {
            match self {
                Self::Server(server) => server.get(key).await,
                Self::Dht(nodes) => nodes.get(key).await,
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
    lan: Option<(Lan, Slot)>,
    _end: DropGuard,
}

impl Drop for Offer {
    fn drop(&mut self) {
        if let Some((lan, slot)) = &self.lan {
            lan.put(slot, None);
        }
    }
}

impl Offer {
    /// The door can be reached elsewhere from now on.
    pub fn moved(&self, contact: Contact) {
        if let Some((lan, slot)) = &self.lan {
            lan.put(slot, Some(&contact));
        }
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
        (lan, tasks, cancel): (Option<Lan>, TaskTracker, CancellationToken),
    ) -> Result<Self, NetError> {
        let http = server::client(endpoint.tls_config().clone(), settings.proxy.as_deref())?;
        let way = |lookup| match lookup {
            Lookup::Server(url) => Way::Server(Server::new(http.clone(), url)),
            Lookup::Dht(dht) => Way::Dht(Arc::new(Nodes::new(dht))),
        };
        let ways = lookups(rules.reach(), settings)?.into_iter().map(way).collect();
        Ok(Self(Arc::new(Inner { ways, lan, rules: rules.clone(), tasks, cancel })))
    }

    /// Puts `contact` into `slot`, until the offer is dropped or the net ends. What others could
    /// not dial is left out: on a lookup, everything but relays; on a LAN, everything but the port.
    ///
    /// # Errors
    /// Another's contact is there; or there is no way, or none took it.
    pub async fn offer(&self, slot: Slot, contact: Contact) -> Result<Offer, SlotError> {
        let Self(inner) = self;
        if inner.is_nowhere() {
            return Err(SlotError::Nowhere);
        }
        let is_public = !record::publishable(&contact, &inner.rules).is_empty();
        if !is_public && inner.lan.is_none() {
            return Err(SlotError::NoRelay);
        }
        let found = inner.find(slot).await;
        if found.contacts.iter().any(|other| other.door != contact.door) {
            return Err(SlotError::Taken);
        }
        let lan = inner.lan.clone().map(|lan| (lan, slot));
        if let Some((lan, slot)) = &lan {
            lan.put(slot, Some(&contact));
        }
        let (contact, changed) = watch::channel(contact);
        let cancel = inner.cancel.child_token();
        let offer = Offer { contact, lan, _end: cancel.clone().drop_guard() };
        let mut first = inner.publish(slot, &changed, &cancel);
        let mut problem = found.problem;
        while let Some(done) = first.recv().await {
            match done {
                Ok(()) => return Ok(offer),
                Err(SlotError::Unreachable(other)) => problem = Some(other),
                Err(error @ (SlotError::Taken | SlotError::Nowhere | SlotError::NoRelay)) => {
                    return Err(error);
                }
            }
        }
        match (&offer.lan, problem) {
            (None, Some(problem)) => Err(SlotError::Unreachable(problem)),
            (None, None) | (Some(_), _) => Ok(offer),
        }
    }

    /// Who is in `slot` now, by all ways at once. Empty when nobody is.
    ///
    /// # Errors
    /// There is no way, or none answered.
    pub async fn find(&self, slot: Slot) -> Result<Vec<Contact>, SlotError> {
        let Self(inner) = self;
        if inner.is_nowhere() {
            return Err(SlotError::Nowhere);
        }
        match inner.find(slot).await {
            Found { problem: Some(problem), contacts } if contacts.is_empty() => {
                Err(SlotError::Unreachable(problem))
            }
            found => Ok(found.contacts),
        }
    }

    /// Each lookup by its name, and whether it has a record of `key`, or why it cannot be asked.
    pub(super) async fn knows(&self, key: EndpointId) -> Vec<(String, Result<bool, String>)> {
        let ask = |way: &Way| {
            let way = way.clone();
            async move {
                let asked = timeout(limits::CHECK_TIMEOUT, way.get(key)).await;
                let answer = asked.unwrap_or_else(|_| Err("no answer in time".to_owned()));
                (way.name(), answer.map(|packet| packet.is_some()))
            }
        };
        join_all(self.0.ways.iter().map(ask)).await
    }
}

/// What was found, and what went wrong last where no lookup answered.
struct Found {
    contacts: Vec<Contact>,
    problem: Option<String>,
}

impl Inner {
    fn is_nowhere(&self) -> bool {
        self.ways.is_empty() && self.lan.is_none()
    }

    async fn find(&self, slot: Slot) -> Found {
        let key = SecretKey::from_bytes(&slot.0).public();
        let near = async {
            match &self.lan {
                Some(lan) => lan.find(&slot).await,
                None => Vec::new(),
            }
        };
        let records = join_all(self.ways.iter().map(|way| way.get(key)));
        let (mut contacts, records) = futures_util::future::join(near, records).await;
        let problem = all_failed(&records);
        let records = records.into_iter().filter_map(|answer| answer.ok().flatten());
        for contact in records.filter_map(|packet| record::read(&packet, &self.rules)) {
            if !contacts.contains(&contact) {
                contacts.push(contact);
            }
        }
        Found { contacts, problem }
    }

    /// Publishes until `cancel` is cancelled; gives how the first try at each place went.
    fn publish(
        &self,
        slot: Slot,
        contact: &watch::Receiver<Contact>,
        cancel: &CancellationToken,
    ) -> mpsc::Receiver<Result<(), SlotError>> {
        let (done, first) = mpsc::channel(self.ways.len().max(1));
        for way in self.ways.iter().cloned() {
            let slot = SecretKey::from_bytes(&slot.0);
            let record = Record { slot, way, rules: self.rules.clone() };
            let kept = keep(record, contact.clone(), done.clone(), cancel.clone());
            self.tasks.spawn(kept);
        }
        first
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
    async fn put(&self, contact: Option<&Contact>) -> Result<SignedPacket, String> {
        if contact.is_some_and(|contact| record::publishable(contact, &self.rules).is_empty()) {
            return Err("this node is at home at no relay".to_owned());
        }
        let packet = record::sign(&self.slot, contact, &self.rules)?;
        self.way.put(&packet).await?;
        Ok(packet)
    }

    /// What became of the first try. A server takes a record and drops it where a later one is, so
    /// it is asked once what it has.
    async fn first(&self, put: &Result<SignedPacket, String>) -> Result<(), SlotError> {
        let ours = put.as_ref().map_err(|problem| SlotError::Unreachable(problem.clone()))?;
        match self.way.get(self.slot.public()).await {
            Ok(Some(there)) if record::is_anothers(&there, ours) => Err(SlotError::Taken),
            // It took ours; it may be slow to show it.
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// Keeps a record where it is, and puts an empty one in its place at the end.
async fn keep(
    record: Record,
    mut contact: watch::Receiver<Contact>,
    done: mpsc::Sender<Result<(), SlotError>>,
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
                done.try_send(record.first(&put).await).ok(); // Nobody waits for the later ones.
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

fn wait(put: &Result<SignedPacket, String>) -> Duration {
    if put.is_ok() { limits::SLOT_REPUBLISH } else { limits::SLOT_RETRY }
}
