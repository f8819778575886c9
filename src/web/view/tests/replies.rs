//! What the node could answer, made of a cast's texts.

use data_encoding::HEXLOWER;

use super::{super::SettingsView, cast::Cast};
use crate::{
    base::{
        ApproverId, ClaimedName, InviteId, MessageId, MessageText, PeerId, Secret, Severity,
        ThreadId, Timestamp,
    },
    gate::{Item, What},
    identity::{ApproverKey, IdentityKey},
    node::{
        api::{
            ApproverInfo, AuditRecord, ConsentInfo, ConsentSide, Countersigned, DecisionInfo,
            FindingInfo, GrantInfo, Grants, KnownInfo, KnownValues, Message, NetworkInfo, Peer,
            PeerRef, PeerShown, PendingItem, PendingPeer, PendingShown, PolicyShown, PolicySource,
            Read, Session, Sessions, Step, TaintState, Talk, TalkMessage, Thread, Threads,
            Timeline, Whoami,
        },
        review::Checked,
        sessions::{Route, Transport},
    },
    trust::PeerState,
    wire::{Body, ConsentRecord, Direction, Draft, GrantKind, Header, Kind, Party},
};

pub(super) const NOW: Timestamp = Timestamp::from_ms(1_795_235_400_000);
pub(super) const MINUTE: u64 = 60_000;

pub(super) fn at(minutes_ago: u64) -> String {
    Timestamp::from_ms(NOW.ms() - minutes_ago * MINUTE).rfc3339()
}

pub(super) fn after(minutes: u64) -> String {
    Timestamp::from_ms(NOW.ms() + minutes * MINUTE).rfc3339()
}

pub(super) fn node(n: u8) -> IdentityKey {
    IdentityKey::from_seed(&Secret::new([n; 32]))
}

pub(super) fn human(n: u8) -> ApproverId {
    ApproverKey::from_seed(&Secret::new([n; 32])).id()
}

pub(super) fn peer_id() -> PeerId {
    node(3).id()
}

pub(super) fn message_id(n: u8) -> String {
    MessageId::from_bytes([n; 16]).to_string()
}

pub(super) fn thread_id() -> String {
    ThreadId::from_bytes([9; 16]).to_string()
}

pub(super) fn findings(cast: &Cast) -> Vec<FindingInfo> {
    let finding = |rule: &str, severity, text: &str| FindingInfo {
        rule: rule.into(),
        severity,
        text: text.into(),
    };
    let mut found = vec![finding("secret.aws_access_key", Severity::Critical, &cast.line)];
    if cast.label == "hostile" {
        found.push(finding(&cast.name, Severity::Low, &cast.text));
    }
    found
}

pub(super) fn pending(cast: &Cast, item: &Item, id: &str) -> PendingItem {
    let message = matches!(item, Item::Message(..));
    let new_peer = FindingInfo {
        rule: "peer.new".into(),
        severity: Severity::High,
        text: "a new peer asks to be connected with your agent".into(),
    };
    PendingItem {
        id: id.into(),
        what: item.what(),
        peer: PendingPeer {
            name: cast.name.clone(),
            id: peer_id().to_string(),
            claim: cast.claim.clone(),
            verified: message,
        },
        reasons: if message { findings(cast) } else { vec![new_peer] },
        digest: item.digest().to_string(),
        size_bytes: 1,
        words: None,
        created_at: at(3),
        expires_at: after(60 * 23),
        note: (!message).then(|| cast.note.clone()),
        by_code: false,
        not_ready: None,
        repeats: 0,
        after: if item.what() == What::MessageOut { vec![read_before(cast)] } else { Vec::new() },
        strength: None,
    }
}

/// Whose text was read before.
fn read_before(cast: &Cast) -> PeerRef {
    PeerRef { id: node(9).id().to_string(), name: cast.name.clone() }
}

pub(super) fn checked(cast: &Cast, item: &Item, id: &str) -> Checked {
    checked_like(cast, item, id, 0)
}

pub(super) fn checked_like(cast: &Cast, item: &Item, id: &str, repeats: u64) -> Checked {
    let shown = PendingShown {
        item: PendingItem { repeats, ..pending(cast, item, id) },
        bytes: HEXLOWER.encode(&item.encode()),
        node: node(1).id().to_string(),
    };
    Checked::new(shown, node(1).id(), &human(101)).unwrap()
}

pub(super) fn message_item(cast: &Cast, what: What, body: Option<Body>) -> Item {
    let (sender, recipient) = match what {
        What::MessageIn => (node(3), node(1).id()),
        What::MessageOut | What::PeerIn | What::PeerOut => (node(1), node(3).id()),
    };
    let header = Header {
        kind: if body.is_some() { Kind::Unknown("card.v2".into()) } else { Kind::Request },
        id: MessageId::from_bytes([2; 16]),
        sender: sender.id(),
        recipient,
        created: NOW,
        expires: Timestamp::from_ms(NOW.ms() + 600 * MINUTE),
        thread: Some(ThreadId::from_bytes([9; 16])),
        reply_to: Some(MessageId::from_bytes([4; 16])),
        human: false,
        session: None,
    };
    let body = body.unwrap_or_else(|| Body::Text(MessageText::parse(&cast.text).unwrap()));
    Item::Message(what, Draft { header, body }.seal(&sender).unwrap())
}

pub(super) fn peer_item(cast: &Cast) -> Item {
    let party = |n: u8, name: &str| Party {
        identity: node(n).id(),
        approver: human(n + 100),
        name: ClaimedName::parse(name).unwrap(),
        nonce: [n; 16],
    };
    let record = ConsentRecord {
        invite: InviteId::from_bytes([0; 16]),
        created: NOW,
        inviter: party(1, "Alice"),
        joiner: party(3, &cast.claim),
    };
    Item::Peer(What::PeerIn, record)
}

pub(super) fn whoami(cast: &Cast) -> Whoami {
    let name = if cast.label == "hostile" { cast.claim.clone() } else { "Alice".into() };
    Whoami {
        id: node(1).id().to_string(),
        name,
        words: "able zoo brick candy drift eagle fancy giant harvest ivory jungle kite"
            .split(' ')
            .map(Into::into)
            .collect(),
        did: "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK".into(),
        approver: ApproverInfo {
            set: true,
            did: Some("did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH".into()),
        },
        network: NetworkInfo {
            mode: "internet".into(),
            addresses: vec!["192.0.2.7:41641".into()],
            relay: None,
        },
        waiting: 2,
        unread: 1,
        version: "0.1.0".into(),
    }
}

pub(super) fn grant(cast: &Cast, kind: GrantKind, id: &str) -> GrantInfo {
    let text = match (cast.label, kind) {
        ("hostile", _) => cast.line.clone(),
        (_, GrantKind::Unasked) => {
            "messages to bob in which nothing but an AWS access key is found pass without asking"
                .into()
        }
        (_, GrantKind::Inline) => {
            "an MCP client’s answer counts for messages to every peer, up to high".into()
        }
    };
    GrantInfo {
        id: id.into(),
        text,
        kind,
        peer: Some(cast.name.clone()),
        direction: Direction::Out,
        rules: vec!["secret.aws_access_key".into()],
        messages_left: 17,
        kinds: Vec::new(),
        per_hour_max: None,
        until: after(60 * 5),
    }
}

pub(super) fn the_peer(cast: &Cast, state: PeerState) -> Peer {
    Peer {
        name: cast.name.clone(),
        id: peer_id().to_string(),
        claim: cast.claim.clone(),
        state,
        verified: true,
        path: "direct".into(),
        rtt_ms: Some(23.4),
        path_since: Some(at(1)),
        relay: None,
        pq: Some(true),
        last_seen: Some(at(1)),
        grants: if cast.any {
            vec![grant(cast, GrantKind::Unasked, "gggggggg")]
        } else {
            Vec::new()
        },
        requires: cast.any.then(|| cast.line.clone()).into_iter().collect(),
        we_require: cast
            .any
            .then(|| "all messages need a countersignature".into())
            .into_iter()
            .collect(),
        warning: (cast.label == "hostile").then(|| cast.line.clone()),
    }
}

pub(super) fn other_peer() -> Peer {
    Peer {
        name: "carol".into(),
        id: node(5).id().to_string(),
        claim: "Carol @ work".into(),
        state: PeerState::Requested,
        verified: false,
        path: "offline".into(),
        rtt_ms: None,
        path_since: None,
        relay: None,
        pq: None,
        last_seen: None,
        grants: Vec::new(),
        requires: Vec::new(),
        we_require: Vec::new(),
        warning: Some("its approver changed; look at it".into()),
    }
}

pub(super) fn peer_list(cast: &Cast) -> Vec<Peer> {
    if cast.any { vec![the_peer(cast, PeerState::Trusted), other_peer()] } else { Vec::new() }
}

pub(super) fn one(cast: &Cast, n: u8, outgoing: bool, text: &str) -> Message {
    let (from, to) =
        if outgoing { ("me".into(), cast.name.clone()) } else { (cast.name.clone(), "me".into()) };
    Message {
        id: message_id(n),
        from,
        to,
        direction: if outgoing { "out" } else { "in" }.into(),
        kind: "text".into(),
        author: "agent".into(),
        text: text.into(),
        truncated: false,
        thread: thread_id(),
        session: None,
        unknown_session: None,
        reply_to: None,
        sent_at: at(30 - u64::from(n)),
        state: "read".into(),
        countersigned: None,
        untrusted: !outgoing,
    }
}

pub(super) fn steps(cast: &Cast, states: &[&str]) -> Vec<Step> {
    let step = |state: &&str| Step {
        state: (*state).into(),
        at: at(20),
        reason: (*state == "refused").then(|| cast.line.clone()),
    };
    states.iter().map(step).collect()
}

pub(super) fn talk(cast: &Cast) -> Talk {
    let said = |message: Message, states: &[&str]| TalkMessage {
        message,
        history: steps(cast, states),
        pending: None,
        decided: None,
        note: None,
    };
    let mut first =
        said(one(cast, 1, true, &cast.answer), &["held", "queued", "delivered", "read"]);
    let signed = Countersigned { method: "session".into(), at: at(22) };
    first.message.countersigned = Some(signed.clone());
    first.decided =
        Some(DecisionInfo { decision: "approved".into(), method: "session".into(), at: at(22) });
    let second = said(one(cast, 2, false, &cast.answer), &["accepted", "read"]);
    let mut third = said(
        one(cast, 3, true, "Thanks. I have told your agent where the runbook is."),
        &["queued", "delivered"],
    );
    third.message.author = "human".into();
    third.message.state = "held_by_peer".into();
    third.message.countersigned = Some(signed);
    let mut fourth = said(one(cast, 4, false, &cast.line), &["refused"]);
    fourth.message.state = "refused".into();
    fourth.message.kind =
        if cast.label == "hostile" { cast.name.clone() } else { "request".into() };
    let mut last =
        said(one(cast, 5, true, &cast.text.chars().take(4096).collect::<String>()), &["held"]);
    last.message.state = "held".into();
    last.message.truncated = cast.text.len() > 4096;
    last.pending = Some("mmmmmmmm".into());
    last.note = Some(cast.line.clone());
    let messages = if cast.any { vec![first, second, third, fourth, last] } else { Vec::new() };
    let older = cast.any.then_some(7);
    Talk { peer: the_peer(cast, PeerState::Trusted), thread: None, messages, older }
}

pub(super) fn threads(cast: &Cast) -> Threads {
    let thread = |n: u8, title: &str| Thread {
        thread: ThreadId::from_bytes([n; 16]).to_string(),
        messages: u64::from(n),
        title: title.into(),
        last_at: at(u64::from(n)),
    };
    let all =
        vec![thread(9, &cast.text), thread(8, "Who runs the migration?"), thread(1, &cast.line)];
    let threads = if cast.any { all } else { Vec::new() };
    Threads { peer: the_peer(cast, PeerState::Trusted), threads }
}

pub(super) fn shown_peer(cast: &Cast, state: PeerState) -> PeerShown {
    let side = |role: &str, ours: bool| ConsentSide {
        role: role.into(),
        ours,
        name: cast.claim.clone(),
        node: peer_id().to_string(),
        approver: "did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH".into(),
        signature: "ab".repeat(64),
    };
    let consent = ConsentInfo {
        record: "a5010102".repeat(40),
        knocked_at: at(900),
        words: ["candy", "drift", "eagle", "harvest"].map(Into::into).to_vec(),
        sides: vec![side("inviter", true), side("joiner", false)],
    };
    PeerShown {
        peer: the_peer(cast, state),
        did: "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK".into(),
        words: "able zoo brick candy drift eagle fancy giant harvest ivory jungle kite"
            .split(' ')
            .map(Into::into)
            .collect(),
        since: at(1000),
        consent: cast.any.then_some(consent),
        pending: (state == PeerState::Requested).then(|| "pppppppp".into()),
    }
}

pub(super) fn timeline(cast: &Cast) -> Timeline {
    let peer = peer_id().to_string();
    let (message, line) = (message_id(1), cast.line.as_str());
    let events = [
        serde_json::json!({"event": "decided", "item": "mmmmmmmm", "digest": "ab", "decision": "approved", "method": "session"}),
        serde_json::json!({"event": "trust_moved", "peer": peer, "from": "incoming", "to": "trusted"}),
        serde_json::json!({"event": "granted", "grant": line, "peer": peer, "until": line}),
        serde_json::json!({"event": "grant_ended", "grant": "gggggggg"}),
        serde_json::json!({"event": "policy_set", "digest": line, "serial": 3, "tightened": false}),
        serde_json::json!({"event": "policy_set", "digest": "ab", "serial": 3, "tightened": true}),
        serde_json::json!({"event": "policy_reset", "serial": 4}),
        serde_json::json!({"event": "taint_cleared", "peers": 2}),
        serde_json::json!({"event": "known_added", "values": 7}),
        serde_json::json!({"event": "known_forgotten", "known": line}),
        serde_json::json!({"event": "passed", "message": message, "grant": line}),
        serde_json::json!({"event": "approver_set", "approver": line}),
        serde_json::json!({"event": "peer_asked", "peer": peer, "direction": "in"}),
        serde_json::json!({"event": "sent", "message": message, "peer": peer, "state": "held_by_peer", "digest": "ab"}),
        serde_json::json!({"event": "arrived", "message": "\"><b>", "peer": "nobody", "state": line, "digest": "ab"}),
        serde_json::json!({"event": "moved", "message": message, "state": "read"}),
        serde_json::json!({"event": "refused", "what": line, "peer": peer}),
        serde_json::json!({"event": "refused", "what": line, "peer": null, "left_out": 7}),
        serde_json::json!({"event": "wrong_passphrase", "tries": 3}),
        serde_json::json!({"event": "rotated", "first": 1, "last": 9, "hash": line, "kept": line}),
        serde_json::json!({"event": "head_disputed", "peer": line, "chain": "ours", "number": 9, "hash": line, "receipt": line}),
        serde_json::json!({"event": "head_disputed", "peer": line, "chain": line, "number": 9, "hash": line, "receipt": line}),
        serde_json::json!({"event": "dispute_accepted", "peer": line}),
        serde_json::json!({"event": "invited", "invite": "ab"}),
        serde_json::json!({"event": "code_tried", "by": line}),
        serde_json::json!({"event": "started", "version": "0.1.0", "approver": null}),
        serde_json::json!({"event": "home_exported", "archive": line}),
        serde_json::json!({"event": "home_imported", "archive": line, "made": line}),
        serde_json::json!({"event": "move_undone"}),
        serde_json::json!({"event": "of_a_later_version", "text": line}),
    ];
    let record = |(seq, event)| AuditRecord { seq, at: at(seq), event, hash: "cd".repeat(32) };
    let records: Vec<_> = (1..).zip(events).map(record).collect();
    let peers = vec![PeerRef { id: peer, name: cast.name.clone() }];
    Timeline {
        records: if cast.any { records } else { Vec::new() },
        peers,
        older: cast.any.then_some(9),
    }
}

/// The settings, with these grants.
pub(super) fn settings_view(cast: &Cast, grants: Grants) -> SettingsView {
    let peer = PeerRef { id: peer_id().to_string(), name: cast.name.clone() };
    let known =
        KnownInfo { id: "kkkkkkkk".into(), label: cast.line.clone(), length: 20, added_at: at(1) };
    let open = Session {
        name: "api".into(),
        open: true,
        client: Some(cast.line.clone()),
        project: Some(cast.line.clone()),
        transport: Some(Transport::Stdio),
        protocol: Some(cast.line.clone()),
        since: at(1),
        routes: vec![Route::Channel, Route::Wait],
        unread: 3,
    };
    let away = Session { open: false, transport: None, routes: Vec::new(), ..open.clone() };
    SettingsView {
        grants,
        policy: PolicyShown {
            source: if cast.any { PolicySource::Closed } else { PolicySource::Standard },
            text: cast.typed.clone(),
            digest: "ab".repeat(32),
            serial: 3,
            set_at: cast.any.then(|| at(1)),
            warning: cast.any.then(|| cast.line.clone()),
        },
        taint: TaintState {
            read: if cast.any { vec![Read { peer, until: at(2) }] } else { Vec::new() },
        },
        sessions: Sessions { sessions: if cast.any { vec![open, away] } else { Vec::new() } },
        known: KnownValues { values: if cast.any { vec![known] } else { Vec::new() }, added: 0 },
        draft: None,
    }
}
