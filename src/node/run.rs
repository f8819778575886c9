//! The node's loop: one task, which takes what comes and does what follows.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    api::{Event, Request},
    clock,
    handle::Question,
    refusals::Attempt,
    start::approver_changed,
    state::{Intake, Node},
};
use crate::{
    base::{
        ApproverId, PeerId,
        failpoint::{Failpoint, reach},
        limits,
    },
    delivery::outbox::Input,
    identity,
    net::{LinkId, NetEvent, code},
    store::{self, audit::Progress, peers},
    wire::Hello,
};

/// How often what is too late is looked for.
const SWEEP: Duration = Duration::from_secs(15);

/// Runs until cancelled or asked to stop.
pub(super) async fn run(
    mut node: Node,
    mut questions: mpsc::Receiver<Question>,
    mut net_events: mpsc::Receiver<NetEvent>,
    cancel: &CancellationToken,
) {
    let mut sweep = tokio::time::interval(SWEEP);
    let began = tokio::time::Instant::now();
    node.verify_all(Progress::default());
    while !node.stopping {
        let due = node.next_due();
        tokio::select! {
            () = cancel.cancelled() => break,
            Some(then) = node.writes.next() => then(&mut node),
            Some(then) = node.reads.next() => then(&mut node),
            Some(event) = net_events.recv(), if node.has_room(limits::NODE_WRITES_NET_MAX) => {
                node.on_net(event);
            }
            Some(question) = questions.recv(), if node.has_room(limits::NODE_WRITES_MAX) => {
                node.on_question(question);
            }
            () = tokio::time::sleep(due) => node.tick(),
            _ = sweep.tick() => node.sweep(began.elapsed()),
        }
    }
    finish(node).await;
}

/// Lets what is being written be written, signs the audit chain's head where the chain holds, and ends
/// the net.
async fn finish(mut node: Node) {
    // The last time that the disk is asked to take it.
    node.write_owed();
    node.look_at_chain();
    node.note_left_out(true);
    // What goes on in steps ends with the next one.
    node.stopping = true;
    while let Some(then) = node.writes.next().await {
        then(&mut node);
    }
    reach(Failpoint::Finish);
    let (key, signs) = (node.key.clone(), node.may_sign());
    let signed = node
        .store
        .write(move |db| if signs { store::audit::checkpoint(db, &key, true) } else { Ok(()) });
    if let Ok(Err(error)) = signed.await {
        tracing::warn!(%error, "the audit chain's head was not signed");
    }
    node.net.shutdown().await;
    node.store.fold().await;
}

impl Node {
    /// Not too much waits for the disk.
    pub(super) fn has_room(&self, writes_max: usize) -> bool {
        self.writes.len() < writes_max
    }

    pub(super) fn on_question(&mut self, question: Question) {
        reach(Failpoint::Asked);
        let Question { request, session, answer } = question;
        match request {
            Request::Agent(request) => self.on_agent(request, session, answer),
            Request::Human(request) => self.on_human(request, answer),
        }
    }

    pub(super) fn on_net(&mut self, event: NetEvent) {
        match event {
            NetEvent::LinkUp { peer, link, hello } => self.on_link_up(peer, link, &hello),
            NetEvent::LinkDown { peer, link } => self.on_link_down(&peer, link),
            NetEvent::PathChanged { .. } => self.handle.tell(Event::PeersChanged),
            NetEvent::Rejected { peer, code } => self.on_rejected(&peer, code),
            NetEvent::NotPq { peer } => self.on_not_pq(&peer),
            NetEvent::Twice { peer, ours } => self.on_twice(peer, ours),
            NetEvent::Frames { peer, link, frames } => self.on_frames(peer, link, frames),
            NetEvent::PairUp { peer, link, dialed } => self.on_pair_up(peer, link, dialed),
            NetEvent::Pair { peer, link, frame } => self.on_pair_frame(peer, link, frame),
            NetEvent::PairDown { peer, link } => self.on_pair_down(peer, link),
            NetEvent::AddressesChanged => {}
            NetEvent::Ended => {
                tracing::error!("the endpoint ended; the node stops, to be started anew");
                self.stopping = true;
            }
        }
    }

    fn on_link_up(&mut self, peer: PeerId, link: LinkId, hello: &Hello) {
        let expected = self.trusted(&peer).map(|(_, approver)| approver);
        let Some(expected) = expected else {
            return self.net.close(&peer, link, code::NOT_TRUSTED);
        };
        if hello.approver != expected {
            return self.on_other_approver(peer, link, hello.approver);
        }
        let now = clock::now();
        let paired = self.pairings.get(&peer).is_some_and(|e| e.pairing.is_consented());
        if paired {
            // It answers as a trusted peer, so it has our consent: nothing is left to exchange.
            self.drop_pairing(&peer);
        }
        let Some(entry) = self.peers.get_mut(&peer) else { return };
        entry.link = Some(link);
        entry.intake = Intake::default();
        entry.seen = Some(now);
        entry.warning = None;
        entry.refuses_us = false;
        entry.version = hello.version().map(ToOwned::to_owned);
        if !hello.addresses.is_empty() {
            entry.addresses.clone_from(&hello.addresses);
        }
        let addresses = entry.addresses.clone();
        self.net.learn(&peer, addresses.clone());
        self.told(peer, &hello.features);
        self.write(move |db| peers::set_seen(db, &peer, &addresses, now), |_, _| ());
        self.feed(&peer, Input::LinkUp);
        self.handle.tell(Event::PeersChanged);
    }

    /// The peer's home was set up anew, or somebody holds its key: our human has to look.
    fn on_other_approver(&mut self, peer: PeerId, link: LinkId, approver: ApproverId) {
        self.net.close(&peer, link, code::APPROVER_CHANGED);
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.warning = Some(approver_changed(&approver));
            entry.refuses_us = true;
        }
        let what = format!("a link under another approver: {}", identity::did_key(&approver));
        self.refused(Attempt::Approver, what, Some(peer));
        self.write(move |db| peers::set_other_approver(db, &peer, &approver), |_, _| ());
        self.handle.tell(Event::PeersChanged);
    }

    fn on_link_down(&mut self, peer: &PeerId, link: LinkId) {
        let Some(entry) = self.peers.get_mut(peer).filter(|entry| entry.link == Some(link)) else {
            return;
        };
        entry.link = None;
        entry.seen = Some(clock::now());
        self.feed(peer, Input::LinkDown);
        self.handle.tell(Event::PeersChanged);
    }

    fn on_rejected(&mut self, peer: &PeerId, code: u64) {
        let Some(entry) = self.peers.get_mut(peer) else { return };
        let warning = match u32::try_from(code) {
            Ok(code::NOT_TRUSTED) => "its node does not trust this one (now, or yet)",
            Ok(code::NOT_PQ) => "its node takes only connections with a post-quantum key exchange",
            Ok(code::APPROVER_CHANGED) => {
                "its node sees another approver here than the one that its human consented to"
            }
            _ => "its node refused the connection",
        };
        entry.refuses_us = true;
        if entry.warning.is_none() {
            entry.warning = Some(warning.to_owned());
            self.handle.tell(Event::PeersChanged);
        }
    }

    /// How long until something is due.
    pub(super) fn next_due(&self) -> Duration {
        let uptime = clock::uptime();
        let own = self.outboxes_due.values().min().copied().into_iter().chain(self.indexing.due());
        let due = own.chain(self.pairings_due()).min();
        due.map_or(SWEEP, |at| at.saturating_sub(uptime)).max(Duration::from_millis(5))
    }

    pub(super) fn tick(&mut self) {
        let uptime = clock::uptime();
        let due = self.outboxes_due.iter().filter(|(_, at)| **at <= uptime);
        let peers: Vec<PeerId> = due.map(|(id, _)| *id).collect();
        for peer in peers {
            self.feed(&peer, Input::Tick);
        }
        self.tick_pairings();
        self.upkeep_tick();
    }

    pub(super) fn sweep(&mut self, uptime: Duration) {
        let now = clock::now();
        self.write_owed();
        self.expire(now);
        self.expire_pending(now);
        self.expire_grants(now);
        self.expire_doubles(now);
        self.prompts_tick();
        self.remember_used_tokens();
        self.note_left_out(false);
        self.sweep_kept(now, uptime);
        self.sweep_copy(now);
        self.upkeep();
        reach(Failpoint::Checkpoint);
        self.look_at_chain();
        if self.may_sign() {
            let key = self.key.clone();
            self.write(move |db| store::audit::checkpoint(db, &key, false), |_, _| ());
        }
    }

    /// The head of a chain that is known to be broken is not signed: the next start would find
    /// nothing wrong.
    const fn may_sign(&self) -> bool {
        !self.standing.broken
    }
}
