//! Vectors of the bodies of receipts.

use ciborium::Value;
use countersign::{
    base::{Digest, MessageId, Timestamp, limits},
    wire::{Body, ChainHead, Kind, Receipt, ReceiptState, cbor, message::ReceiptEntry},
};
use serde_json::{Value as Json, json};

use super::{
    cast::{NOW, set, unset},
    vectors::{Vector, Vectors},
};

pub(crate) fn decode(vector: &Vector) -> Result<Json, String> {
    match Body::decode(&Kind::Receipt, &vector.input()).map_err(|e| e.to_string())? {
        Body::Receipt(receipt) => Ok(shown(&receipt)),
        Body::Text(_) | Body::Unknown(_) => Err("not a receipt".into()),
    }
}

pub(crate) fn shown(receipt: &Receipt) -> Json {
    let shown = |entry: &ReceiptEntry| {
        json!({
            "id": entry.id,
            "digest": entry.digest,
            "state": entry.state.as_str(),
            "at": entry.at,
            "reason": entry.reason,
        })
    };
    let entries = match receipt.entries.as_slice() {
        entries if entries.len() > 16 => return json!({ "entries": entries.len() }),
        entries => entries.iter().map(shown).collect::<Json>(),
    };
    if receipt.head.is_none() && receipt.echo.is_none() {
        return entries;
    }
    let place = |head: &ChainHead| json!({ "number": head.number, "hash": head.hash });
    json!({
        "entries": entries,
        "head": receipt.head.as_ref().map(place),
        "echo": receipt.echo.as_ref().map(place),
    })
}

fn entry(n: u8, state: ReceiptState, reason: Option<&str>) -> ReceiptEntry {
    ReceiptEntry {
        id: MessageId::from_bytes([n; 16]),
        digest: Digest::of("vector", &[&[n]]),
        state,
        at: Timestamp::from_ms(NOW + 1),
        reason: reason.map(str::to_owned),
    }
}

/// A receipt that says of `count` messages that they are delivered.
pub(crate) fn sample(count: u8) -> Receipt {
    Receipt::of((1..=count).map(|n| entry(n, ReceiptState::Delivered, None)).collect())
}

/// One entry as CBOR pairs, open to change.
fn pairs() -> Vec<(Value, Value)> {
    vec![
        (1.into(), vec![1; 16].into()),
        (2.into(), vec![2; 32].into()),
        (3.into(), "delivered".into()),
        (4.into(), NOW.into()),
    ]
}

fn of(entries: Vec<Value>) -> Vec<u8> {
    cbor::encode(&Value::Map(vec![(1.into(), Value::Array(entries))]))
}

fn with(key: i64, value: impl Into<Value>) -> Vec<u8> {
    let mut pairs = pairs();
    set(&mut pairs, key, value);
    of(vec![Value::Map(pairs)])
}

fn without(key: i64) -> Vec<u8> {
    let mut pairs = pairs();
    unset(&mut pairs, key);
    of(vec![Value::Map(pairs)])
}

/// A head as CBOR pairs, open to change.
fn place() -> Vec<(Value, Value)> {
    vec![(1.into(), 7.into()), (2.into(), vec![9; 32].into())]
}

/// One entry, and `value` as the field `key` beside it.
fn beside(key: i64, value: Value) -> Vec<u8> {
    let entries = Value::Array(vec![Value::Map(pairs())]);
    cbor::encode(&Value::Map(vec![(1.into(), entries), (key.into(), value)]))
}

fn head_with(key: i64, value: impl Into<Value>) -> Vec<u8> {
    let mut place = place();
    set(&mut place, key, value);
    beside(2, Value::Map(place))
}

fn head_without(key: i64) -> Vec<u8> {
    let mut place = place();
    unset(&mut place, key);
    beside(2, Value::Map(place))
}

/// What a receipt says of two audit chains.
fn make_heads(v: &mut Vectors) {
    let head = |number| ChainHead { number, hash: Digest::of("vector", &[b"head"]) };
    let with = |head, echo| Body::Receipt(Receipt { head, echo, ..sample(1) }).encode();
    v.good("receipt/heads", "both heads", &with(Some(head(70)), Some(head(12))));
    v.good("receipt/head", "the sender's head alone", &with(Some(head(1)), None));
    v.good("receipt/echo", "the receiver's head alone", &with(None, Some(head(64))));
    let most = ChainHead::NUMBER_MAX;
    v.good("receipt/head-max", "the record 2^63 - 1", &with(Some(head(most)), None));
    let range = "chain head number: is not within 1 and 2^63 - 1";
    let length = "has the wrong length";
    for (id, what, bytes, error) in [
        ("head-over", "the record 2^63", head_with(1, most + 1), range),
        ("head-none", "the record 0: an empty chain has no head", head_with(1, 0), range),
        ("head-negative", "a record before the first", head_with(1, -1), "not an unsigned integer"),
        ("head-short", "a hash of 31 bytes", head_with(2, vec![9; 31]), length),
        ("head-long", "a hash of 33 bytes", head_with(2, vec![9; 33]), length),
        ("head-hash-text", "a hash as a text", head_with(2, "09"), "is not a byte string"),
        ("head-number-missing", "a head without a number", head_without(1), "is missing"),
        ("head-hash-missing", "a head without a hash", head_without(2), "is missing"),
        ("head-field-unknown", "a third field", head_with(3, 1), "a field that version 1"),
        ("head-number", "a head that is a number", beside(2, 0.into()), "chain head: is not a map"),
        ("head-null", "a head that is null", beside(2, Value::Null), "chain head: is not a map"),
        ("echo-null", "an echo that is null", beside(3, Value::Null), "chain head: is not a map"),
    ] {
        v.bad(&format!("receipt/{id}"), what, &bytes, error);
    }
}

pub(crate) fn make(v: &mut Vectors) {
    let all = [
        ReceiptState::Delivered,
        ReceiptState::HeldByPeer,
        ReceiptState::Accepted,
        ReceiptState::Read,
        ReceiptState::Busy,
    ];
    let mut entries: Vec<_> = (1..).zip(all).map(|(n, state)| entry(n, state, None)).collect();
    entries.push(entry(6, ReceiptState::Refused, Some("not wanted")));
    let body = Body::Receipt(Receipt::of(entries));
    v.good("receipt/all-states", "an entry of each state", &body.encode());
    v.good("receipt/one", "one entry", &Body::Receipt(sample(1)).encode());
    let max = limits::RECEIPT_ENTRIES_MAX;
    let many = |count: usize| of(vec![Value::Map(pairs()); count]);
    v.good("receipt/entries-max", "256 entries", &many(max));
    v.good("receipt/reason-max", "a reason of 200 bytes", &with(5, "r".repeat(200)));
    v.good("receipt/reason-empty", "an empty reason, which is not no reason", &with(5, ""));
    v.bad("receipt/entries-over", "257 entries", &many(max + 1), "the limit is 256");
    v.bad("receipt/entries-none", "no entries", &of(Vec::new()), "receipt entries: are none");
    let extra = cbor::encode(&Value::Map(vec![
        (1.into(), Value::Array(vec![Value::Map(pairs())])),
        (4.into(), 0.into()),
    ]));
    let not_array = vec![0xa1, 0x01, 0xa0];
    let entry_array = of(vec![Value::Array(Vec::new())]);
    let length = "has the wrong length";
    let state = "receipt state: is not one that version 1 knows";
    for (id, what, bytes, error) in [
        ("entries-missing", "a body without entries", vec![0xa0], "entries: is missing"),
        ("entries-map", "the entries are a map", not_array, "entries: is not an array"),
        ("body-array", "the body is an array", vec![0x80], "body: is not a map"),
        ("body-field-unknown", "a fourth field", extra, "a field that version 1"),
        ("entry-array", "an entry is an array", entry_array, "receipt entry: is not a map"),
        ("id-missing", "an entry without an id", without(1), "is missing"),
        ("digest-missing", "an entry without a digest", without(2), "is missing"),
        ("state-missing", "an entry without a state", without(3), "is missing"),
        ("time-missing", "an entry without a time", without(4), "is missing"),
        ("id-short", "an id of 15 bytes", with(1, vec![1; 15]), length),
        ("digest-short", "a digest of 31 bytes", with(2, vec![2; 31]), length),
        ("digest-long", "a digest of 33 bytes", with(2, vec![2; 33]), length),
        ("state-unknown", "a state that there is not", with(3, "lost"), state),
        ("state-local", "a state that only the sender has", with(3, "queued"), state),
        ("state-upper", "a state in upper case", with(3, "Read"), state),
        ("state-number", "a state as a number", with(3, 1), "is not a text"),
        ("state-long", "a state of 33 bytes", with(3, "s".repeat(33)), "the limit is 32"),
        ("time-negative", "a time before 1970", with(4, -1), "not an unsigned integer"),
        ("time-text", "a time as a text", with(4, "now"), "not an unsigned integer"),
        ("reason-over", "a reason of 201 bytes", with(5, "r".repeat(201)), "the limit is 200"),
        ("reason-null", "the reason is null, not absent", with(5, Value::Null), "is not a text"),
        ("entry-field-unknown", "a sixth field", with(6, 0), "a field that version 1"),
    ] {
        v.bad(&format!("receipt/{id}"), what, &bytes, error);
    }
    let trailing = [with(4, NOW).as_slice(), &[0]].concat();
    v.bad("receipt/trailing", "a byte after the end", &trailing, "bytes after the end");
    make_heads(v);
}
