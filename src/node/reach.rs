//! How peers are reached, for people: a ping, a look at the network, and what is said where a key
//! is at work in two places.

use std::{collections::BTreeMap, time::Duration};

use super::{
    api::{Checked, Event, LookupChecked, PeerRef, Reached, RelayChecked, Reply},
    clock,
    config::{NetworkMode, PostQuantum},
    state::{Answer, Node, PeerEntry, Then, reply},
};
use crate::{
    base::{PeerId, Timestamp, limits},
    net::{LinkPath, LookupCheck, NetCheck, Pinged, RelayCheck, Tried, code},
    trust::PeerState,
};

/// Variables by which other programs are told of a proxy.
const PROXY_VARIABLES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// A clock that differs by less is no matter for a person.
const SKEW_MIN_MS: u64 = 1_000;

/// Whose keys are seen in two places, and when that was said last.
#[derive(Debug, Default)]
pub(super) struct Doubles {
    /// Peers that see our own key elsewhere.
    ours: BTreeMap<PeerId, Timestamp>,
    /// Peers whose keys we see twice.
    theirs: BTreeMap<PeerId, Timestamp>,
}

impl Doubles {
    fn note(&mut self, peer: PeerId, ours: bool, now: Timestamp) {
        if ours { &mut self.ours } else { &mut self.theirs }.insert(peer, now);
    }

    /// What is older than [`limits::TWICE_TOLD`] counts no more. True when something ended.
    fn expire(&mut self, now: Timestamp) -> bool {
        let before = self.ours.len() + self.theirs.len();
        self.ours.retain(|_, at| now.since(*at) < limits::TWICE_TOLD);
        self.theirs.retain(|_, at| now.since(*at) < limits::TWICE_TOLD);
        self.ours.len() + self.theirs.len() < before
    }
}

/// How far a peer's clock is from ours, as its newest receipt says: how far ahead, milliseconds.
pub(super) fn skew_ms(said: Timestamp, now: Timestamp) -> i64 {
    let ms = |wait: Duration| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    if said >= now { ms(said.since(now)) } else { -ms(now.since(said)) }
}

impl Node {
    /// We refused a peer for its key exchange.
    pub(super) fn on_not_pq(&mut self, peer: &PeerId) {
        let Some(entry) = self.peers.get_mut(peer) else { return };
        let warning = format!(
            "{}'s node has no post-quantum key exchange, and post_quantum = \"require\" is set",
            entry.name
        );
        if entry.warning.as_ref() != Some(&warning) {
            entry.warning = Some(warning);
            self.handle.tell(Event::PeersChanged);
        }
    }

    /// A key is at work in two places.
    pub(super) fn on_twice(&mut self, peer: PeerId, ours: bool) {
        if self.peers.contains_key(&peer) {
            self.doubles.note(peer, ours, clock::now());
            self.handle.tell(Event::PeersChanged);
        }
    }

    /// What was said of keys in two places, and not again, counts no more.
    pub(super) fn expire_doubles(&mut self, now: Timestamp) {
        if self.doubles.expire(now) {
            self.handle.tell(Event::PeersChanged);
        }
    }

    /// For status, doctor and page: who sees our own key elsewhere too.
    pub(super) fn twice(&self) -> Vec<String> {
        let say = |(peer, at): (&PeerId, &Timestamp)| {
            format!(
                "{0} says that this identity also runs somewhere else ({0} saw both at {1}); where \
                 that is so, stop one of them, or use `countersign move`",
                self.name_of(peer),
                at.rfc3339()
            )
        };
        self.doubles.ours.iter().map(say).collect()
    }

    /// What needs a human's look at a peer.
    pub(super) fn warning_of(&self, peer: &PeerId, entry: &PeerEntry) -> Option<String> {
        let twice = self.doubles.theirs.contains_key(peer);
        let twice = twice.then(|| format!("{}'s key runs in two places at once", entry.name));
        let first = entry.warning.clone().or(twice);
        let both: Vec<String> = first.into_iter().chain(Self::chain_warning(entry)).collect();
        (!both.is_empty()).then(|| both.join("; "))
    }

    /// Since when a peer is reached as it is; while it is offline, since its node was last heard.
    pub(super) fn path_since(entry: &PeerEntry, path: Option<&LinkPath>) -> Option<String> {
        path.map(|path| path.since).or(entry.seen).map(Timestamp::rfc3339)
    }

    /// Asks a peer's node whether it is there. Nothing reaches an agent.
    pub(super) fn ping(&mut self, peer: &str, (count, wait_s): (u32, u64), answer: Answer) {
        let id = match self.find_peer(peer) {
            Ok(id) => id,
            Err(error) => return reply(answer, Err(error)),
        };
        let state = self.peers.get(&id).map_or(PeerState::Revoked, |entry| entry.state);
        if state != PeerState::Trusted {
            return reply(answer, Ok(Reply::Reached(self.not_asked(&id, state))));
        }
        let wait = Duration::from_secs(wait_s).min(limits::PING_DIAL_MAX);
        let (net, count) = (self.net.clone(), count.clamp(1, limits::PINGS_MAX));
        self.reads.push(Box::pin(async move {
            let pinged = net.ping(id, count, wait).await;
            Box::new(move |node: &mut Self| {
                reply(answer, Ok(Reply::Reached(node.reached(&id, &pinged))));
            }) as Then
        }));
    }

    fn nobody_reached(&self, peer: &PeerId) -> Reached {
        let entry = self.peers.get(peer);
        Reached {
            peer: PeerRef { id: peer.to_string(), name: self.name_of(peer) },
            reachable: false,
            reason: None,
            next: None,
            tried: Vec::new(),
            path: "offline".to_owned(),
            relay: None,
            path_since: entry.and_then(|entry| Self::path_since(entry, None)),
            pq: None,
            version: None,
            rtt_ms: Vec::new(),
            lost: 0,
            min_ms: None,
            avg_ms: None,
            max_ms: None,
            warning: entry.and_then(|entry| self.warning_of(peer, entry)),
        }
    }

    fn not_asked(&self, peer: &PeerId, state: PeerState) -> Reached {
        let next = match state {
            PeerState::Requested | PeerState::Incoming => {
                "both humans have to approve first; yours: countersign pending"
            }
            PeerState::Revoked | PeerState::Blocked | PeerState::Trusted => {
                "connect again with a new invite of theirs"
            }
        };
        let reason = format!("it is {}, not trusted, so no connection is made", state.as_str());
        let (reason, next) = (Some(reason), Some(next.to_owned()));
        Reached { reason, next, ..self.nobody_reached(peer) }
    }

    fn reached(&self, peer: &PeerId, pinged: &Pinged) -> Reached {
        let none = self.nobody_reached(peer);
        let Some(path) = &pinged.path else {
            let (reason, next) = self.why_not(pinged);
            let tried = self.ways(pinged);
            return Reached { reason: Some(reason), next: Some(next), tried, ..none };
        };
        let rtt_ms: Vec<f64> =
            pinged.rtts.iter().map(|rtt| (rtt.as_secs_f64() * 1e6).round() / 1e3).collect();
        let silent = rtt_ms.is_empty();
        let count = u32::try_from(rtt_ms.len()).unwrap_or(u32::MAX);
        let entry = self.peers.get(peer);
        Reached {
            reachable: !silent,
            reason: silent.then(|| "it is linked, but did not answer in time".to_owned()),
            next: silent.then(|| "try again; its node may be busy, or asleep".to_owned()),
            path: if path.relayed { "relay" } else { "direct" }.to_owned(),
            relay: path.relay.clone(),
            path_since: Some(path.since.rfc3339()),
            pq: Some(path.pq),
            version: entry.and_then(|entry| entry.version.clone()),
            min_ms: rtt_ms.iter().copied().reduce(f64::min),
            max_ms: rtt_ms.iter().copied().reduce(f64::max),
            avg_ms: (!silent).then(|| rtt_ms.iter().sum::<f64>() / f64::from(count)),
            rtt_ms,
            lost: pinged.lost,
            ..none
        }
    }

    /// Why there is no link, and what to do.
    fn why_not(&self, pinged: &Pinged) -> (String, String) {
        let (reason, next) = match pinged.tried {
            Some(Tried::Refused(code)) => match u32::try_from(code) {
                Ok(code::NOT_TRUSTED) => (
                    "its node refuses this one: it does not trust it (now, or yet)",
                    "ask that person; if they revoked you, connect with a new invite of theirs",
                ),
                Ok(code::APPROVER_CHANGED) => (
                    "its node sees another approver here than the one that its human consented to",
                    "pair again with a new invite",
                ),
                Ok(code::NOT_PQ) => (
                    "its node takes only connections with a post-quantum key exchange",
                    "update countersign here",
                ),
                Ok(code::TWICE) => (
                    "its node is linked with another node of this identity",
                    "stop one of them, or use `countersign move`",
                ),
                _ => ("its node refused the connection", "try again later"),
            },
            Some(Tried::NotPq) => (
                "its node has no post-quantum key exchange, and post_quantum = \"require\" is set",
                "ask that person to update countersign, or set post_quantum = \"prefer\" in \
                 config.toml",
            ),
            Some(Tried::Silent) | None if self.ways(pinged).is_empty() => (
                "there is no way to it: no address is known, and there is no relay and no lookup",
                "set relays or lookups in config.toml, or its address under [network.peers]",
            ),
            Some(Tried::Silent) | None => (
                "no answer at any of the ways that were tried",
                "see that its computer is on and `countersign node` runs there; countersign doctor \
                 says how this side is",
            ),
        };
        (reason.to_owned(), next.to_owned())
    }

    /// The places where a peer was dialed, and where it was looked up.
    fn ways(&self, pinged: &Pinged) -> Vec<String> {
        let mut ways = pinged.places.clone();
        let internet = self.mode == NetworkMode::Internet;
        let lookups = self.network.lookups.as_ref().map_or(internet, |own| !own.is_empty());
        ways.extend(lookups.then(|| "lookup".to_owned()));
        ways.extend(self.uses_mdns().then(|| "mDNS".to_owned()));
        ways
    }

    fn uses_mdns(&self) -> bool {
        match self.mode {
            NetworkMode::Loopback => false,
            NetworkMode::Lan => self.network.mdns.unwrap_or(true),
            NetworkMode::Internet => self.network.mdns.unwrap_or(false),
        }
    }

    /// Looks at the network.
    pub(super) fn check(&mut self, answer: Answer) {
        let net = self.net.clone();
        self.reads.push(Box::pin(async move {
            let found = net.check().await;
            Box::new(move |node: &mut Self| {
                reply(answer, Ok(Reply::Checked(Box::new(node.checked(found)))));
            }) as Then
        }));
    }

    fn checked(&self, found: NetCheck) -> Checked {
        let relay = |relay: RelayCheck| {
            let RelayCheck { url, connected, problem, denied } = relay;
            RelayChecked { url, connected, problem, denied }
        };
        let lookup = |lookup: LookupCheck| {
            let LookupCheck { name, known, problem } = lookup;
            LookupChecked { name, known, problem }
        };
        let linked = self.peers.iter().filter_map(|(id, entry)| {
            let path = entry.link.and_then(|_| self.net.path(id))?;
            Some((entry.name.to_string(), path.pq))
        });
        let skews = self.peers.values().filter_map(|entry| Some((entry, entry.skew_ms?)));
        let furthest = skews.max_by_key(|(_, ms)| ms.unsigned_abs());
        let clock = furthest.map(|(entry, ms)| {
            let seconds = if ms.unsigned_abs() < SKEW_MIN_MS { 0 } else { ms / 1000 };
            (entry.name.to_string(), seconds)
        });
        let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Checked {
            mode: self.mode.to_string(),
            port: found.port,
            addresses: found.addresses,
            seen_at: found.seen_at,
            mapped: found.mapped,
            relays: found.relays.into_iter().map(relay).collect(),
            lookups: found.lookups.into_iter().map(lookup).collect(),
            mdns: self.uses_mdns(),
            clock,
            page: self.handle.page(),
            proxy: self.network.proxy.is_some(),
            unused: PROXY_VARIABLES
                .iter()
                .filter(|name| is_set(name))
                .map(ToString::to_string)
                .collect(),
            twice: self.twice(),
            require_pq: self.network.post_quantum == PostQuantum::Require,
            linked: linked.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_twice_is_said_for_ten_minutes_after_the_last_news() {
        let (mut doubles, bob) = (Doubles::default(), PeerId::from_bytes([2; 32]));
        let at = |seconds: u64| Timestamp::from_ms(1_000_000 + seconds * 1000);
        doubles.note(bob, true, at(0));
        doubles.note(bob, false, at(0));
        doubles.note(bob, true, at(300));
        assert!(!doubles.expire(at(599)));
        assert!(doubles.expire(at(600)));
        assert!(doubles.ours.contains_key(&bob) && doubles.theirs.is_empty());
        assert!(!doubles.expire(at(899)) && doubles.expire(at(900)));
        assert!(doubles.ours.is_empty());
    }

    #[test]
    fn a_clock_is_ahead_or_behind() {
        let at = Timestamp::from_ms;
        assert_eq!(skew_ms(at(5_000), at(3_000)), 2_000);
        assert_eq!(skew_ms(at(3_000), at(5_000)), -2_000);
    }
}
