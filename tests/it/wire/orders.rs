//! Vectors of orders: what a human tells their own node under the approver's signature.

use ciborium::Value;
use countersign::{
    base::{ApproverId, KnownId, Timestamp, limits},
    identity::Domain,
    wire::{Command, Order, SignedOrder, cbor},
};
use ed25519_dalek::Signer as _;
use serde_json::{Value as Json, json};

use super::{
    cast::{
        ALICE, ALICE_HUMAN, MALLORY_HUMAN, NOW, approver, bare, flipped, identity, peer, set, unset,
    },
    vectors::{Vector, Vectors},
};

pub(crate) fn decode(vector: &Vector) -> Result<Json, String> {
    let approver = ApproverId::from_slice(&vector.given_bytes("approver")).ok_or("not a key")?;
    let signature = vector.given_bytes("signature").try_into().map_err(|_| "not a signature")?;
    let signed = SignedOrder { statement: vector.input(), signature };
    signed.open(&approver).map(|order| shown(&order)).map_err(|e| e.to_string())
}

fn shown(order: &Order) -> Json {
    let command = match &order.command {
        Command::Policy { serial, text } => {
            let text = super::vectors::packed(text.as_bytes());
            json!({ "kind": "policy", "serial": serial, "text": text })
        }
        Command::TaintClear => json!({ "kind": "taint_clear" }),
        Command::KnownForget { id } => json!({ "kind": "known_forget", "id": id }),
    };
    json!({ "node": order.node, "at": order.at, "command": command })
}

fn of(command: Command) -> Order {
    Order { node: peer(ALICE), at: Timestamp::from_ms(NOW), command }
}

fn policy(serial: u64, text: &str) -> Order {
    of(Command::Policy { serial, text: text.to_owned() })
}

fn forget() -> Order {
    of(Command::KnownForget { id: KnownId::from_bytes([0x6b; 5]) })
}

const TEXT: &str = "version = 1\n";

fn pairs(order: &Order) -> Vec<(Value, Value)> {
    cbor::decode("order", &order.encode(), limits::ORDER_BYTES_MAX).unwrap().into_map().unwrap()
}

fn with(order: &Order, key: i64, value: impl Into<Value>) -> Vec<u8> {
    let mut pairs = pairs(order);
    set(&mut pairs, key, value);
    pairs.sort_by_key(|(key, _)| key.as_integer().map(i128::from));
    cbor::encode(&Value::Map(pairs))
}

fn without(order: &Order, key: i64) -> Vec<u8> {
    let mut pairs = pairs(order);
    unset(&mut pairs, key);
    cbor::encode(&Value::Map(pairs))
}

pub(crate) fn make(v: &mut Vectors) {
    good(v);
    fields(v);
    kinds(v);
    encodings(v);
    signatures(v);
}

fn add(
    v: &mut Vectors,
    (id, what): (&str, &str),
    statement: &[u8],
    signature: &[u8],
    error: Option<&str>,
) {
    let signature = data_encoding::HEXLOWER.encode(signature);
    let given = json!({ "approver": approver(ALICE_HUMAN).id(), "signature": signature });
    v.told((&format!("order/{id}"), what), statement, given, error);
}

/// A bad one, well signed: the fault is in the bytes.
fn bad(v: &mut Vectors, (id, what, error): (&str, &str, &str), statement: &[u8]) {
    let signature = approver(ALICE_HUMAN).sign(Domain::Order, statement);
    add(v, (id, what), statement, &signature, Some(error));
}

fn good(v: &mut Vectors) {
    let last = Timestamp::from_ms(u64::MAX);
    for (id, what, order) in [
        ("policy", "a policy", policy(1, TEXT)),
        ("policy-later", "a later one", policy(u64::MAX, TEXT)),
        ("policy-standard", "the node's own policy again", policy(7, "")),
        ("policy-size-max", "65536 bytes", policy(2, &"p".repeat(limits::POLICY_BYTES_MAX))),
        ("taint-clear", "what was read counts no more", of(Command::TaintClear)),
        ("known-forget", "a value is not watched for any more", forget()),
        ("time-last", "at the end of time", Order { at: last, ..forget() }),
    ] {
        let by = order.sign(&approver(ALICE_HUMAN)).unwrap();
        add(v, (id, what), &by.statement, &by.signature, None);
    }
}

fn fields(v: &mut Vectors) {
    let (policy, clear) = (policy(1, TEXT), of(Command::TaintClear));
    let named = [(1, "version"), (2, "node"), (3, "kind"), (4, "time"), (5, "serial"), (6, "text")];
    for (key, name) in named {
        let (id, what) = (format!("{name}-missing"), format!("no {name}"));
        bad(v, (&id, &what, "is missing"), &without(&policy, key));
    }
    bad(v, ("id-missing", "no id", "is missing"), &without(&forget(), 7));
    for (key, name) in [(1, "version"), (4, "time"), (5, "serial")] {
        let error = format!("{name}: is not an unsigned integer");
        let (id, what) = (format!("{name}-negative"), format!("{name} is negative"));
        bad(v, (&id, &what, &error), &with(&policy, key, -1));
    }
    let length = "has the wrong length";
    let over = "p".repeat(limits::POLICY_BYTES_MAX + 1);
    let unknown = "a field that version 1";
    for (id, what, error, statement) in [
        ("version-0", "version 0", "version 0 is not spoken here", with(&clear, 1, 0)),
        ("version-2", "version 2", "version 2 is not spoken here", with(&clear, 1, 2)),
        ("node-31", "a node of 31 bytes", length, with(&clear, 2, vec![1; 31])),
        ("id-4", "an id of 4 bytes", length, with(&forget(), 7, vec![1; 4])),
        ("id-6", "an id of 6 bytes", length, with(&forget(), 7, vec![1; 6])),
        ("id-text", "the id is a text", "id: is not a byte string", with(&forget(), 7, "abcde")),
        ("serial-0", "a serial of zero", "serial: is zero", with(&policy, 5, 0)),
        ("text-bytes", "the text is bytes", "text: is not a text", with(&policy, 6, vec![1])),
        ("text-over", "65537 bytes", "the limit is 65536", with(&policy, 6, over)),
        ("field-8", "an eighth field", unknown, with(&clear, 8, 1)),
        ("clear-serial", "a serial of no policy", unknown, with(&clear, 5, 1)),
        ("clear-text", "a text of no policy", unknown, with(&clear, 6, TEXT)),
        ("clear-id", "an id of no value", unknown, with(&clear, 7, vec![1; 5])),
        ("policy-id", "a policy with an id", unknown, with(&policy, 7, vec![1; 5])),
        ("forget-text", "a text of no policy", unknown, with(&forget(), 6, TEXT)),
    ] {
        bad(v, (id, what, error), &statement);
    }
}

fn kinds(v: &mut Vectors) {
    let clear = of(Command::TaintClear);
    let unknown = "kind: is not one that version 1 knows";
    for (id, what, error, kind) in [
        ("kind-unknown", "an unknown kind", unknown, Value::from("trust")),
        ("kind-empty", "an empty kind", unknown, "".into()),
        ("kind-upper", "a kind in upper case", unknown, "Taint_clear".into()),
        ("kind-over", "a kind of 33 bytes", "the limit is 32", "k".repeat(33).into()),
        ("kind-number", "the kind is a number", "kind: is not a text", 1.into()),
    ] {
        bad(v, (id, what, error), &with(&clear, 3, kind));
    }
}

fn encodings(v: &mut Vectors) {
    let good = of(Command::TaintClear).encode();
    assert_eq!(good[..3], [0xa4, 0x01, 0x01]);
    let shortest = "not the shortest form";
    let order = "map keys out of order or doubled";
    let mut swapped = pairs(&of(Command::TaintClear));
    swapped.swap(2, 3);
    let size = vec![0; limits::ORDER_BYTES_MAX + 1];
    for (id, what, error, statement) in [
        ("nothing", "no bytes", "not valid CBOR", Vec::new()),
        ("array", "an array", "order: is not a map", vec![0x80]),
        ("trailing", "a byte after the end", "bytes after", [good.as_slice(), &[0]].concat()),
        ("cut", "the last byte is missing", "not valid CBOR", good[..good.len() - 1].to_vec()),
        ("version-long", "1 in two bytes", shortest, [&[0xa4, 1, 0x18, 1], &good[3..]].concat()),
        ("indefinite", "no length", shortest, [&[0xbf], &good[1..], &[0xff]].concat()),
        ("doubled", "the version twice", order, [&[0xa5, 1, 1, 1, 1], &good[3..]].concat()),
        ("unordered", "the time before the kind", order, cbor::encode(&Value::Map(swapped))),
        ("tagged", "a tag", "floats, tags and undefined", [&[0xc1], good.as_slice()].concat()),
        ("size-over", "65793 bytes", "order is 65793 bytes; the limit is 65792", size),
    ] {
        bad(v, (id, what, error), &statement);
    }
}

/// Good orders, and signatures that are not the human's on them.
fn signatures(v: &mut Vectors) {
    let order = policy(3, TEXT);
    let bytes = order.encode();
    let human = approver(ALICE_HUMAN);
    let good = order.sign(&human).unwrap().signature;
    let refused = Some("the signature does not verify");
    let another = policy(4, TEXT).sign(&human).unwrap().signature;
    let mallory = order.sign(&approver(MALLORY_HUMAN)).unwrap().signature;
    for (id, what, signature) in [
        ("by-another", "by another approver", mallory),
        ("by-the-node", "by the node itself", identity(ALICE).sign(Domain::Order, &bytes)),
        ("as-decision", "signed as a decision", human.sign(Domain::Decision, &bytes)),
        ("as-grant", "signed as a grant", human.sign(Domain::Grant, &bytes)),
        ("no-label", "over the bytes alone", bare(ALICE_HUMAN).sign(&bytes).to_bytes()),
        ("of-another", "made for another serial", another),
        ("flipped", "a bit is turned", flipped(&good, 70).try_into().unwrap()),
    ] {
        add(v, (&format!("signature-{id}"), what), &bytes, &signature, refused);
    }
}
