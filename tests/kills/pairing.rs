//! Two homes pair again and again, and one dies on the way. Whatever is cut short is asked for
//! again, as people do, until both trust each other; and nobody is trusted before its human said
//! yes.

use std::{
    thread,
    time::{Duration, Instant},
};

use countersign::{
    base::failpoint::Failpoint,
    gate::What,
    node::api::{AgentRequest, HumanRequest, InviteMade, PendingItem, PendingList},
};
use serde_json::Value;

use crate::{
    rounds::{ANY_TIME, Seen},
    side::{Failed, Side, Started},
};

/// How long a pairing may take with a death in it.
const PAIRED: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

/// One pairing that is under way.
struct Pairing<'a> {
    host: &'a Side,
    guest: &'a Side,
    invite: Option<String>,
    /// The humans of host and guest signed a yes.
    yes: [bool; 2],
    seen: &'a mut Seen,
    point: Failpoint,
    /// Whether the node that is to die has died.
    died: bool,
}

/// Pairs two homes, of which `victim` (0 is the host) dies at `point`. Gives what is wrong.
pub(crate) fn round(
    sides: &[Side; 2],
    victim: usize,
    point: Failpoint,
    seen: &mut Seen,
) -> Result<(), String> {
    let [host, guest] = sides;
    begin_anew(sides, seen);
    if sides[victim].kill() {
        seen.killed(ANY_TIME);
    }
    let started = sides[victim].start(Some((point, 1)));
    let died = started == Started::Died;
    seen.started(started);
    if died {
        seen.killed(point.name());
    }
    let mut pairing = Pairing { host, guest, invite: None, yes: [false; 2], seen, point, died };
    let began = Instant::now();
    while began.elapsed() < PAIRED {
        pairing.revive();
        if pairing.step()? {
            return if pairing.died {
                Ok(())
            } else {
                Err(format!("{} died nowhere", point.name()))
            };
        }
        thread::sleep(LOOK);
    }
    let states = [state(host, guest), state(guest, host)];
    Err(format!("{}: not paired within {PAIRED:?}: {states:?}", point.name()))
}

/// Nothing of an earlier pairing is left.
fn begin_anew(sides: &[Side; 2], seen: &mut Seen) {
    for at in 0..2 {
        let (side, other) = (&sides[at], &sides[1 - at]);
        if side.is_dead() {
            seen.started(side.start(None));
        }
        if !state(side, other).unwrap_or_default().is_empty() {
            let revoke = AgentRequest::Revoke { peer: other.name().to_owned(), block: false };
            side.agent::<Value>(revoke).unwrap();
        }
    }
}

/// What a side's peer is to it; empty where it is not known.
fn state(side: &Side, peer: &Side) -> Result<String, Failed> {
    let peers: Value = side.agent(AgentRequest::Peers { state: None })?;
    let all = peers["peers"].as_array().cloned().unwrap_or_default();
    let found = all.iter().find(|known| known["name"] == peer.name());
    Ok(found
        .map(|known| known["state"].as_str().unwrap_or_default().to_owned())
        .unwrap_or_default())
}

impl Pairing<'_> {
    /// Starts again what has died.
    fn revive(&mut self) {
        for side in [self.host, self.guest] {
            if side.is_dead() {
                self.died = true;
                self.seen.killed(self.point.name());
                self.seen.started(side.start(None));
            }
        }
    }

    /// Does what is to be done next. True once both trust each other; an error when one does
    /// without its human.
    fn step(&mut self) -> Result<bool, String> {
        let (Ok(at_host), Ok(at_guest)) =
            (state(self.host, self.guest), state(self.guest, self.host))
        else {
            return Ok(false);
        };
        let trusts = [at_host == "trusted", at_guest == "trusted"];
        for at in 0..2 {
            if trusts[at] && self.yes != [true; 2] {
                return Err(format!("trust without both humans: {:?} {:?}", trusts, self.yes));
            }
        }
        if trusts == [true; 2] {
            return Ok(true);
        }
        if self.invite.is_none() {
            let invite = AgentRequest::Invite { note: None, expires_minutes: None, code: false };
            self.invite = self.host.agent::<InviteMade>(invite).ok().map(|made| made.invite);
        }
        if at_guest.is_empty() || at_guest == "revoked" {
            self.connect();
        }
        self.decide(0);
        self.decide(1);
        Ok(false)
    }

    fn connect(&mut self) {
        let Some(invite) = self.invite.clone() else { return };
        let name = Some(self.host.name().to_owned());
        let connect = AgentRequest::Connect { invite, name, note: None };
        if let Err(Failed::Refused(..)) = self.guest.agent::<Value>(connect) {
            self.invite = None;
        }
    }

    fn decide(&mut self, at: usize) {
        let (side, what) =
            if at == 0 { (self.host, What::PeerIn) } else { (self.guest, What::PeerOut) };
        let Ok(list) = side.human::<PendingList>(HumanRequest::Pending) else { return };
        let ready = |item: &&PendingItem| item.what == what && item.not_ready.is_none();
        let Some(item) = list.items.iter().find(ready) else { return };
        if let Ok(seen) = side.see(&item.id) {
            self.yes[at] = true;
            side.approve(&item.id, &seen).ok(); // In doubt, it is asked for again.
        }
    }
}
