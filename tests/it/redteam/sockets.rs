//! The node's socket, spoken to by hand: every request, without a signature and with the signature
//! of another key.

use countersign::{
    base::{GrantId, KnownId, PeerId, Secret, Severity, Timestamp},
    gate::{Answer, Decision, Item, Statement},
    identity::ApproverKey,
    store::keys,
    wire::{Command, Direction, Grant, GrantKind, Method, Order},
};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::{LOOSE, Siege, Socket, secret};
use crate::support::Home;

/// The questions of a human's that are tried here, or by the tests of what they are about.
const TRIED: [&str; 12] = [
    "Decide",
    "Grant",
    "PolicySet",
    "PolicyReset",
    "TaintClear",
    "KnownForget",
    "SendDraft",
    "PageOpen",
    "ApproverSet",
    "Connect",
    "KnownAdd",
    "TokenNew",
];

/// Those that read, or only make things stricter.
const HARMLESS: [&str; 31] = [
    // Shows, verifies, moves records into a file, and says that somebody looked.
    "Audit",
    // Deletes, and copies into the home.
    "Keep",
    "Pending",
    "Show",
    "Deny",
    "GrantEnd",
    "Grants",
    "PageLink",
    "PagePort",
    "Conversations",
    "Threads",
    "Talk",
    "Search",
    "PeerShow",
    "Draft",
    "Timeline",
    "Sessions",
    "Ping",
    "Check",
    "Status",
    "Stop",
    "AuditShow",
    "AuditVerify",
    "Policy",
    "Explain",
    "TaintShow",
    "KnownKey",
    "KnownList",
    "Tokens",
    "TokenEnd",
    "PolicyCheck",
];

/// The human's own key, as the passphrase opens it.
pub(super) fn key_of(home: &Home) -> ApproverKey {
    let sealed = keys::read_approver(&home.path().join("approver.key")).unwrap().unwrap();
    sealed.open(&Secret::new(home.passphrase.to_owned())).unwrap()
}

pub(super) fn now() -> Timestamp {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    Timestamp::from_ms(u64::try_from(since.as_millis()).unwrap())
}

/// An item's bytes, as the node gives them.
pub(super) fn item_of(socket: &mut Socket, id: &str) -> Item {
    let shown = socket.ask(&json!({"human": "show", "id": id}))["reply"].clone();
    let bytes = HEXLOWER.decode(shown["bytes"].as_str().unwrap().as_bytes()).unwrap();
    Item::decode(&bytes).unwrap()
}

/// A decision about `item`, under any id and time.
pub(super) fn decision(item: &Item, id: &str, at: Timestamp, key: &ApproverKey) -> Value {
    let statement = Statement {
        id: id.parse().unwrap(),
        digest: item.digest(),
        answer: Answer::Approve,
        method: Method::Passphrase,
        at,
        verified: true,
        after: Vec::new(),
    };
    let signed = Decision::sign(item, &statement, key).unwrap();
    json!({
        "human": "decide", "id": id, "block": false,
        "statement": HEXLOWER.encode(&signed.statement),
        "signature": HEXLOWER.encode(&signed.signature), "seal": HEXLOWER.encode(&signed.seal),
    })
}

fn grant(node: PeerId, peer: Option<PeerId>, kind: GrantKind) -> Grant {
    Grant {
        id: GrantId::from_bytes([9; 5]),
        node,
        kind,
        peer,
        direction: Direction::Out,
        rules: vec!["secret.aws_access_key".to_owned()],
        severity_max: Severity::Critical,
        size_bytes_max: 4096,
        messages_max: 20,
        from: now().minus(std::time::Duration::from_secs(1)),
        until: now().plus(std::time::Duration::from_hours(1)),
        kinds: Vec::new(),
        per_hour_max: None,
    }
}

/// Signed bytes as the socket takes them, under a key that is not this home's human's.
fn hex((statement, signature): (&[u8], &[u8])) -> Value {
    json!({"statement": HEXLOWER.encode(statement), "signature": HEXLOWER.encode(signature)})
}

fn order(node: PeerId, command: Command, key: &ApproverKey) -> Value {
    let signed = Order { node, at: now(), command }.sign(key).unwrap();
    hex((&signed.statement, &signed.signature))
}

/// Everything that loosens, signed by `key`.
fn signed_by(siege: &Siege, socket: &mut Socket, key: &ApproverKey) -> Vec<Value> {
    let (me, peer) = (siege.alice.id().parse().unwrap(), siege.bob.id().parse().unwrap());
    let mut tries = Vec::new();
    for id in siege.items() {
        let item = item_of(socket, id);
        tries.push(decision(&item, id, now(), key));
    }
    for (kind, peer) in [(GrantKind::Unasked, Some(peer)), (GrantKind::Inline, None)] {
        let signed = grant(me, peer, kind).sign(key);
        let Ok(signed) = signed else { continue };
        let signed = hex((&signed.statement, &signed.signature));
        tries.push(json!({"human": "grant", "statement": signed["statement"],
                          "signature": signed["signature"]}));
        let mut with = tries[0].clone();
        with["grant"] = signed;
        tries.push(with);
    }
    let policy = Command::Policy { serial: 1, text: LOOSE.to_owned() };
    tries.push(json!({"human": "policy_set", "text": LOOSE, "order": order(me, policy, key)}));
    let reset = Command::Policy { serial: 1, text: String::new() };
    tries.push(json!({"human": "policy_reset", "order": order(me, reset, key)}));
    tries.push(json!({"human": "taint_clear", "order": order(me, Command::TaintClear, key)}));
    let listed = siege.alice.json(&["known", "list"]);
    let known: KnownId = listed["values"][0]["id"].as_str().unwrap().parse().unwrap();
    let forget = order(me, Command::KnownForget { id: known }, key);
    tries.push(json!({"human": "known_forget", "order": forget}));
    tries
}

/// The same without anything that a key made.
fn unsigned(siege: &Siege) -> Vec<Value> {
    let nothing = json!({"statement": "", "signature": ""});
    let zeros = json!({"statement": "00", "signature": "00".repeat(64)});
    let mut tries = Vec::new();
    for id in siege.items() {
        for (statement, signature) in [("", ""), ("00", "zz"), ("a0", &"00".repeat(64))] {
            tries.push(json!({"human": "decide", "id": id, "statement": statement,
                              "signature": signature, "seal": "", "block": false}));
        }
        tries.push(json!({"agent": "client_answered", "pending": id, "yes": true}));
        tries.push(json!({"agent": "decide", "id": id}));
        tries.push(json!({"human": "approve", "id": id}));
        tries.push(json!({"human": "deny", "id": id, "block": false, "answer": "approve"}));
    }
    for signed in [&nothing, &zeros] {
        tries.push(json!({"human": "grant", "statement": signed["statement"],
                          "signature": signed["signature"]}));
        tries.push(json!({"human": "policy_set", "text": LOOSE, "order": signed}));
        tries.push(json!({"human": "policy_reset", "order": signed}));
        tries.push(json!({"human": "taint_clear", "order": signed}));
        tries.push(json!({"human": "known_forget", "order": signed}));
    }
    tries.push(json!({"human": "policy_set", "text": LOOSE}));
    tries.push(json!({"human": "page_open", "code": "a guess"}));
    tries.push(json!({"human": "approver_set"}));
    tries.push(json!({"human": "send_draft", "envelope": "00"}));
    tries
}

#[test]
fn no_request_over_the_socket_loosens_without_the_humans_signature() {
    let siege = Siege::lay();
    let refused = siege.refused();
    let mut socket = Socket::open(&siege.alice);
    let mut tries = unsigned(&siege);
    let draft = json!({"human": "draft", "to": "bob", "text": secret(7)});
    let draft = socket.ask(&draft)["reply"]["envelope"].clone();
    assert!(draft.is_string(), "a draft that nobody signed");
    tries.push(json!({"human": "send_draft", "envelope": draft}));
    for other in [ApproverKey::from_seed(&Secret::new([7; 32])), key_of(&siege.mallory)] {
        tries.extend(signed_by(&siege, &mut socket, &other));
    }
    for request in tries {
        // What is no request ends the connection.
        let answer = Socket::open(&siege.alice).ask(&request);
        let opened = &answer["reply"]["opened"];
        let harmless = opened == false || request["human"] == "approver_set";
        assert!(answer["error"].is_object() || harmless, "{request}: {answer:#}");
        siege.nothing_passed(&request.to_string());
    }
    siege.holds("every request by hand");
    assert!(siege.refused() >= refused + 6, "the attempts are in the audit record");
}

#[test]
fn an_agents_session_and_a_watch_hear_no_request_of_a_humans() {
    let siege = Siege::lay();
    let item = item_of(&mut Socket::open(&siege.alice), &siege.item);
    // Signed by the right key even: it is the way in that is none.
    let right = decision(&item, &siege.item, now(), &key_of(&siege.alice));
    for role in ["mcp", "watch"] {
        let stream = std::os::unix::net::UnixStream::connect(siege.alice.path().join("node.sock"));
        let mut socket = Socket { reader: std::io::BufReader::new(stream.unwrap()), last: 0 };
        socket.write(&json!({"hello": 1, "role": role, "pid": 1, "cwd": "/"}));
        assert_eq!(socket.read()["hello"], 1);
        socket.write(&json!({"id": 1, "request": right}));
        socket.write(&right);
        socket.write(&json!({"jsonrpc": "2.0", "id": 2, "method": "decide", "params": right}));
        siege.holds(role);
    }
}

#[test]
fn every_request_of_a_humans_is_tried_or_named_as_harmless() {
    let source = include_str!("../../../src/node/api/request.rs");
    let human = source.split("pub enum HumanRequest {").nth(1).unwrap();
    let human = human.split("\n}\n").next().unwrap();
    let named = human.lines().filter_map(|line| {
        let name = line.strip_prefix("    ")?.split([' ', '(', ',']).next()?;
        name.starts_with(|c: char| c.is_ascii_uppercase()).then_some(name)
    });
    for name in named {
        assert!(
            TRIED.contains(&name) || HARMLESS.contains(&name),
            "{name} is a new request: try it without a signature in the red team, or say that it \
             loosens nothing"
        );
    }
}
