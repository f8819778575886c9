//! Starting a node: keys, store, trust verified again, net.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use rusqlite::Connection;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    NodeError, NodeHandle,
    backup::remove_copy,
    clock,
    codes::Codes,
    config::{Config, Home, NetworkMode, PostQuantum},
    effective,
    erase::tell_erased,
    grants::verified,
    handle::Question,
    judge::{Kept, Recent},
    keep::Keeping,
    known::Watched,
    moved, orders,
    page::PageCodes,
    pairs::new_entry,
    prompts,
    reach::Doubles,
    refusals::{self, Refusals},
    repeats::Liked,
    require::{known, knows_heads, knows_sessions},
    roster::Roster,
    run,
    standing::{Standing, refused_row},
    state::{Chores, Intake, InviteEntry, Node, PairingEntry, PeerEntry},
    upkeep::Indexing,
    witness::{self, Chains},
};
use crate::{
    audit,
    base::{
        ApproverId, Digest, PeerId, PendingId, Secret, Timestamp,
        failpoint::{Failpoint, reach},
        limits,
    },
    delivery::{outbox::Outbox, pairing::Pairing},
    gate::{Answer, Item, What, taint::Taint},
    identity::{IdentityKey, PublicKey as _},
    net::{Net, NetConfig, NetEvent, NetSettings, Reach},
    store::{
        self, Store, StoreError,
        grants::{self, GrantRow},
        keys, migrate, pairings,
        peers::{self, ConsentRow, InviteRow, PeerRow},
        pending::{self, PendingRow},
        policies::{self, PolicyRows},
        retention::{self, Setting},
        shown,
        tokens::{self, TokenRow},
        verdicts,
        witnesses::Witness,
    },
    trust::{Consent, PeerState},
};

/// Under which the store keeps the UDP port.
pub(super) const UDP_PORT: &str = "udp_port";

/// What the store holds at the start.
pub(super) struct Loaded {
    peers: Vec<PeerRow>,
    pairings: Vec<Pairing>,
    pending: Vec<PendingRow>,
    invites: Vec<InviteRow>,
    grants: Vec<GrantRow>,
    shown: Vec<(PeerId, Timestamp)>,
    recent: Vec<(PeerId, bool, Timestamp)>,
    policies: PolicyRows,
    followed: Timestamp,
    known: Watched,
    approved: Vec<pending::GivenYes>,
    prompted: Vec<Timestamp>,
    port: u16,
    requires: Vec<(PeerId, Vec<String>)>,
    tokens: Vec<TokenRow>,
    witnesses: Vec<(PeerId, Witness)>,
    wrong_noted: u64,
    keeping: Vec<Setting>,
    standing: Standing,
}

pub(super) fn load(db: &Connection, me: &PeerId) -> Result<Loaded, StoreError> {
    let (peers, grants) = (peers::all_peers(db)?, grants::open_grants(db)?);
    let pairings = pairings::all_pairings(db)?;
    let standing = Standing::load(db, me, &peers, (&grants, &pairings))?;
    let port = migrate::meta(db, UDP_PORT)?.and_then(|port| port.parse().ok()).unwrap_or(0);
    Ok(Loaded {
        peers,
        pairings: standing.of_pairings(pairings),
        pending: pending::all_pending(db)?,
        invites: peers::open_invites(db, clock::now())?,
        grants,
        shown: shown::all_shown(db)?,
        recent: verdicts::recent(db, clock::now().minus(limits::RATE_WINDOW_MAX))?,
        policies: policies::rows(db)?,
        followed: orders::followed(db)?,
        known: Watched::load(db)?,
        approved: pending::approved(db, clock::now().minus(limits::REPEATS_WINDOW))?,
        prompted: prompts::remembered(db)?,
        port,
        requires: peers::all_requires(db)?,
        tokens: tokens::live_tokens(db)?,
        witnesses: witness::load(db)?,
        wrong_noted: refusals::wrong_noted(db)?,
        keeping: retention::settings(db)?,
        standing,
    })
}

/// Starts the node of a home. It ends when `cancel` is cancelled, or when it is asked to.
///
/// # Errors
/// A home that is not set up, keys or a store that cannot be used, or a net that does not start.
pub async fn start(
    home: &Home,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
) -> Result<NodeHandle, NodeError> {
    prepare(home, tasks, cancel).await?.go_on(tasks, cancel).await
}

/// A node that does not run yet: nobody is trusted, and nothing was said.
pub(super) struct Prepared {
    pub(super) node: Node,
    questions: mpsc::Receiver<Question>,
    net_events: mpsc::Receiver<NetEvent>,
}

/// Reads the home, and opens the store and the net.
pub(super) async fn prepare(
    home: &Home,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
) -> Result<Prepared, NodeError> {
    if !home.identity_file().exists() {
        return Err(NodeError::NotSetUp(home.path().to_owned()));
    }
    if let Some(moved) = moved::says(home) {
        return Err(NodeError::Moved(moved));
    }
    let key = keys::read_identity(&home.identity_file())?;
    let approver = keys::read_approver(&home.approver_file())?.map(|sealed| sealed.public());
    if let Some(approver) = &approver {
        approver.check().map_err(NodeError::Approver)?;
    }
    let config = Config::read(home)?;
    let mode = config.mode()?;
    remove_copy(home);
    let store = Store::open(&home.database_file(), &key.id(), &home.key_source(&config))?;
    let me = key.id();
    let loaded = store.read(move |db| load(db, &me)).await.map_err(|_| StoreError::Closed)??;
    reach(Failpoint::StartLoaded);
    let (events, net_events) = mpsc::channel(limits::NET_QUEUE_EVENTS);
    let net_config = net_config(&key, approver, &config, mode, loaded.port);
    let net = Net::start(net_config, tasks, cancel, events).await?;
    let (handle, questions) = NodeHandle::channel();
    handle.tokens().begin(&loaded.tokens, cancel);
    let key = Arc::new(key);
    let parts = (store, net, handle);
    let node = assemble((home.clone(), key, approver), config, mode, parts, loaded);
    Ok(Prepared { node, questions, net_events })
}

impl Prepared {
    /// Trusts whom the home trusts, and runs.
    pub(super) async fn go_on(
        self,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
    ) -> Result<NodeHandle, NodeError> {
        let node = remember_start(self.node).await?;
        let handle = node.handle.clone();
        reach(Failpoint::StartReady);
        tasks.spawn(go_on(node, self.questions, self.net_events, cancel.clone()));
        Ok(handle)
    }
}

async fn go_on(
    node: Node,
    questions: mpsc::Receiver<Question>,
    net_events: mpsc::Receiver<NetEvent>,
    cancel: CancellationToken,
) {
    run::run(node, questions, net_events, &cancel).await;
    // A node that ended by itself takes the rest of the process with it.
    cancel.cancel();
}

fn net_config(
    key: &IdentityKey,
    approver: Option<ApproverId>,
    config: &Config,
    mode: NetworkMode,
    port: u16,
) -> NetConfig {
    let reach = match mode {
        NetworkMode::Internet => Reach::Internet,
        NetworkMode::Lan => Reach::Lan,
        NetworkMode::Loopback => Reach::Loopback,
    };
    let network = config.network.clone();
    let settings = NetSettings {
        relays: network.relays,
        lookups: network.lookups,
        mdns: network.mdns,
        proxy: network.proxy,
        roots: network.roots,
        require_pq: network.post_quantum == PostQuantum::Require,
        places: network.peers,
    };
    let port = network.port.unwrap_or(port);
    NetConfig { seed: key.seed(), approver, reach, settings, port }
}

/// Remembers the port, so that peers find us there after a restart, and notes the start.
pub(super) async fn remember_start(mut node: Node) -> Result<Node, NodeError> {
    let (port, now) = (node.net.port(), clock::now());
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let approver = node.approver.map(|approver| approver.to_string());
    let (refused, ended) = (node.refused_at_start(), node.standing.ended.clone());
    let unpaired = node.standing.unpaired.clone();
    let done = node.store.write(move |db| {
        migrate::set_meta(db, UDP_PORT, &port.to_string())?;
        peers::remove_invites(db, now, None)?;
        peers::remove_unsaid_codes(db)?;
        tell_erased(db, (None, false), now)?;
        witness::note_lost(db, now)?;
        store::audit::append(db, now, &audit::Event::Started { version, approver })?;
        ended.iter().try_for_each(|grant| grants::end(db, grant, now).map(drop))?;
        unpaired.iter().try_for_each(|peer| pairings::remove(db, peer))?;
        refused.iter().try_for_each(|event| store::audit::append(db, now, event).map(drop))
    });
    done.await.map_err(|_| StoreError::Closed)??;
    // Before anybody hears a hello of ours.
    node.announce();
    for (id, entry) in &node.peers {
        if entry.state == PeerState::Trusted
            && let Some(consent) = &entry.consent
        {
            node.net.set_lan_secret(*id, lan_secret(consent));
            node.net.trust(*id, entry.addresses.clone());
        }
    }
    node.refresh_pairing();
    Ok(node)
}

/// What the two of a consent have, and nobody else: the record, whose nonces only they know.
pub(super) fn lan_secret(consent: &Consent) -> Secret<[u8; 32]> {
    let digest = Digest::of("countersign/lan-pair/v1", &[&consent.record().encode()]);
    Secret::new(*digest.as_bytes())
}

pub(super) fn assemble(
    (home, key, approver): (Home, Arc<IdentityKey>, Option<ApproverId>),
    config: Config,
    mode: NetworkMode,
    (store, net, handle): (Store, Net, NodeHandle),
    loaded: Loaded,
) -> Node {
    let id = key.id();
    let us = (&id, approver.as_ref());
    let mut peers = entries(loaded.peers, loaded.requires, us, &loaded.standing);
    for (peer, seen) in loaded.witnesses {
        peers.entry(peer).and_modify(|entry| entry.chains.seen = seen);
    }
    let (grants, ended) = loaded.standing.of_grants(verified(loaded.grants, &id, us.1));
    let pending: BTreeMap<PendingId, PendingRow> =
        loaded.pending.into_iter().map(|row| (row.id, row)).collect();
    let pairings = loaded.pairings.into_iter().map(|pairing| going_on(pairing, &pending));
    let known = || loaded.known.detector();
    let (policy, rules) = effective::load(&loaded.policies, &id, approver.as_ref(), known);
    Node {
        home,
        key,
        id,
        approver,
        name: config.name,
        mode,
        network: config.network,
        doubles: Doubles::default(),
        store,
        net,
        handle,
        peers,
        pairings: pairings.collect(),
        connecting: BTreeSet::new(),
        invites: loaded.invites.into_iter().filter_map(open_invite).collect(),
        codes: Codes::default(),
        prompts: prompts::budget(pending.values(), loaded.prompted),
        liked: Liked::of(loaded.approved),
        pending,
        grants,
        standing: loaded.standing.told(ended),
        rules,
        policy,
        changing_policy: false,
        followed: loaded.followed,
        known: loaded.known,
        kept: Kept::of(&loaded.shown),
        taint: Taint::of(loaded.shown),
        recent: Recent::of(loaded.recent),
        told: super::tell::ToldBefore::default(),
        page_codes: PageCodes::default(),
        refusals: Refusals::default(),
        wrong_noted: loaded.wrong_noted,
        roster: Roster::default(),
        keeping: Keeping::of(&loaded.keeping),
        swept: Duration::ZERO,
        asking: Vec::new(),
        chores: Chores::default(),
        log_holds_deleted: false,
        owed: Vec::new(),
        copy_made: None,
        outboxes_due: BTreeMap::new(),
        indexing: Indexing::default(),
        stopping: false,
        writes: futures_util::stream::FuturesOrdered::new(),
        reads: futures_util::stream::FuturesUnordered::new(),
    }
}

/// A pairing that goes on, with the item that waits for its human.
fn going_on(pairing: Pairing, pending: &BTreeMap<PendingId, PendingRow>) -> (PeerId, PairingEntry) {
    let waits = pending.values().find(|row| row.peer == pairing.peer && row.message.is_none());
    let id = waits.map_or_else(|| PendingId::from_bytes(clock::random()), |row| row.id);
    let dial_at = pairing.is_joiner().then(clock::uptime);
    (pairing.peer, PairingEntry { dial_at, ..new_entry(pairing, id) })
}

/// An invite from its row. A code ends with its process: what it carried and nobody was given is
/// nobody's.
fn open_invite(row: InviteRow) -> Option<InviteEntry> {
    let given = !row.by_code || row.used_by.is_some();
    given.then(|| InviteEntry {
        id: row.id,
        secret: Secret::new(*row.secret.expose_secret()),
        note: row.note,
        expires: row.expires,
        used_by: row.used_by,
        by_code: row.by_code,
        approver: row.approver,
    })
}

/// The peers from their rows, with what their nodes said of themselves.
fn entries(
    rows: Vec<PeerRow>,
    requires: Vec<(PeerId, Vec<String>)>,
    us: (&PeerId, Option<&ApproverId>),
    standing: &Standing,
) -> BTreeMap<PeerId, PeerEntry> {
    let peers = rows.into_iter().map(|row| (row.id, entry(row, us, standing)));
    let mut peers: BTreeMap<PeerId, PeerEntry> = peers.collect();
    for (peer, features) in requires {
        if let Some(entry) = peers.get_mut(&peer) {
            entry.requires = known(&features);
            entry.sessions = knows_sessions(&features);
            entry.chains.speaks = knows_heads(&features);
        }
    }
    peers
}

/// What trust in a peer rests on, or why there is none.
fn consent_of(
    row: &PeerRow,
    (me, approver): (&PeerId, Option<&ApproverId>),
) -> Result<Consent, String> {
    match (row.state, row.consent.as_ref(), approver) {
        (PeerState::Trusted, Some(consent), Some(approver)) => Consent::verify(
            &consent.record,
            &consent.ours,
            &consent.theirs,
            (me, approver),
            &row.id,
        )
        .map_err(|error| error.to_string()),
        (PeerState::Trusted, None, _) => Err("there is no consent record".to_owned()),
        (PeerState::Trusted, _, None) => Err("approvals are not set up".to_owned()),
        (_, _, _) => Err(String::new()),
    }
}

/// A peer from its row. A row that says `trusted` counts only with a consent that verifies, and no
/// row counts that the audit chain speaks against.
fn entry(row: PeerRow, us: (&PeerId, Option<&ApproverId>), standing: &Standing) -> PeerEntry {
    let ((me, approver), consent) = (us, row.consent.as_ref());
    let against = standing.against(&row);
    let verified = match &against {
        Some(against) => Err(against.why.clone()),
        None => consent_of(&row, us),
    };
    let refused = verified.as_ref().err();
    let refused = refused.filter(|_| row.state == PeerState::Trusted || against.is_some());
    let warning = refused.map(|why| refused_row(&row, why));
    let revoked = if warning.is_some() { PeerState::Revoked } else { row.state };
    let state = against.map_or(revoked, |against| against.state);
    let compared = consent
        .zip(verified.as_ref().ok())
        .is_some_and(|(row, consent)| words_compared(row, consent, approver));
    // What a trusted peer calls itself is what our human signed.
    let signed = verified
        .as_ref()
        .ok()
        .and_then(|consent| consent.record().sides(me).map(|(_, theirs)| theirs.name.clone()));
    let changed_approver = row.other_approver.is_some();
    let changed = row.other_approver.map(|other| approver_changed(&other));
    PeerEntry {
        name: row.name,
        claim: signed.unwrap_or(row.claim),
        state,
        consent: verified.ok(),
        verified: compared,
        addresses: row.addresses,
        created: row.created,
        seen: row.seen,
        warning: warning.or(changed),
        requires: Vec::new(),
        sessions: false,
        chains: Chains::default(),
        refuses_us: changed_approver,
        version: None,
        skew_ms: None,
        link: None,
        outbox: Outbox::new(),
        intake: Intake::default(),
    }
}

/// Whether our human signed that they compared the words, of this consent and no other.
fn words_compared(row: &ConsentRow, consent: &Consent, approver: Option<&ApproverId>) -> bool {
    let statement = row.decision.as_ref().zip(approver).map(|(d, approver)| d.open(approver));
    let Some(Ok(statement)) = statement else { return false };
    let of = |what| Item::Peer(what, consent.record().clone()).digest() == statement.digest;
    let about_it = of(What::PeerOut) || of(What::PeerIn);
    statement.verified && statement.answer == Answer::Approve && about_it
}

/// What a human reads when a peer's node runs under another approver.
pub(super) fn approver_changed(other: &ApproverId) -> String {
    let did = crate::identity::did_key(other);
    format!(
        "its approver changed to {did}; nothing passes until you pair again: ask that person \
         whether they set up anew, then revoke and use a new invite"
    )
}
