//! Vectors of consent records.

use ciborium::Value;
use countersign::{
    base::{ClaimedName, Timestamp},
    wire::{ConsentRecord, Party, cbor, consent::NONCE_BYTES, invite},
};
use serde_json::{Value as Json, json};

use super::{
    cast::{
        ALICE, ALICE_HUMAN, BOB, BOB_HUMAN, NOW, approver, peer, set, small_order_points, unset,
    },
    vectors::{Vector, Vectors, packed},
};

/// The secret of the invite that the vectors' pairing began with.
pub(crate) const SECRET: [u8; 16] = [0x5e; 16];

pub(crate) fn decode(vector: &Vector) -> Result<Json, String> {
    let record = ConsentRecord::decode(&vector.input()).map_err(|e| e.to_string())?;
    let party = |party: &Party| {
        json!({
            "identity": party.identity,
            "approver": party.approver,
            "name": party.name,
            "nonce": packed(&party.nonce),
        })
    };
    Ok(json!({
        "invite": record.invite,
        "created": record.created,
        "inviter": party(&record.inviter),
        "joiner": party(&record.joiner),
        "digest": record.digest(),
        "words": record.words(),
    }))
}

fn party(identity: u8, human: u8, name: &str, nonce: u8) -> Party {
    Party {
        identity: peer(identity),
        approver: approver(human).id(),
        name: ClaimedName::parse(name).unwrap(),
        nonce: [nonce; NONCE_BYTES],
    }
}

/// Alice invited Bob.
pub(crate) fn sample() -> ConsentRecord {
    ConsentRecord {
        invite: invite::invite_id(&SECRET),
        created: Timestamp::from_ms(NOW),
        inviter: party(ALICE, ALICE_HUMAN, "Alice", 0xa1),
        joiner: party(BOB, BOB_HUMAN, "Bob", 0xb0),
    }
}

/// The sample as CBOR pairs: its own, and its two parties'.
fn pairs() -> Vec<(Value, Value)> {
    cbor::decode("record", &sample().encode(), 1024).unwrap().into_map().unwrap()
}

fn with(key: i64, value: impl Into<Value>) -> Vec<u8> {
    let mut pairs = pairs();
    set(&mut pairs, key, value);
    cbor::encode(&Value::Map(pairs))
}

fn without(key: i64) -> Vec<u8> {
    let mut pairs = pairs();
    unset(&mut pairs, key);
    cbor::encode(&Value::Map(pairs))
}

/// The record with one field of the joiner set or added.
fn joiner(key: i64, value: impl Into<Value>) -> Vec<u8> {
    let mut party = pairs().remove(4).1.into_map().unwrap();
    set(&mut party, key, value);
    with(5, Value::Map(party))
}

fn without_joiners(key: i64) -> Vec<u8> {
    let mut party = pairs().remove(4).1.into_map().unwrap();
    unset(&mut party, key);
    with(5, Value::Map(party))
}

pub(crate) fn make(v: &mut Vectors) {
    v.good("consent/good", "Alice invited Bob", &sample().encode());
    let ConsentRecord { inviter, joiner, .. } = sample();
    let swapped = ConsentRecord { inviter: joiner, joiner: inviter, ..sample() };
    v.good("consent/roles", "the other way round: other words", &swapped.encode());
    let long = "\u{1f91d}".repeat(16);
    let names = ConsentRecord { joiner: party(BOB, BOB_HUMAN, &long, 0), ..sample() };
    v.good("consent/name-max", "a name of 16 characters in 64 bytes", &names.encode());
    let one_human = ConsentRecord { joiner: party(BOB, ALICE_HUMAN, "B", 1), ..sample() };
    v.good("consent/one-human", "two nodes of one human", &one_human.encode());
    records(v);
    parties(v);
    encodings(v);
}

fn records(v: &mut Vectors) {
    for (n, field) in (1..).zip(["version", "invite", "created", "inviter", "joiner"]) {
        let id = format!("consent/{field}-missing");
        v.bad(&id, &format!("a record without its {field}"), &without(n), "is missing");
    }
    let inviter = pairs().remove(3).1;
    for (id, what, bytes, error) in [
        ("version", "version 2", with(1, 2), "version 2 is not spoken here"),
        ("invite-short", "an invite id of 15 bytes", with(2, vec![1; 15]), "wrong length"),
        ("created-negative", "before 1970", with(3, -1), "not an unsigned integer"),
        ("inviter-array", "the inviter is an array", with(4, Vec::<Value>::new()), "is not a map"),
        ("field-unknown", "a sixth field", with(6, 1), "a field that version 1"),
        ("alone", "the joiner is the inviter", with(5, inviter), "joiner: is the inviter"),
    ] {
        v.bad(&format!("consent/{id}"), what, &bytes, error);
    }
}

fn parties(v: &mut Vectors) {
    for (n, field) in (1..).zip(["identity", "approver", "name", "nonce"]) {
        let id = format!("consent/joiner-{field}-missing");
        v.bad(&id, &format!("a joiner without {field}"), &without_joiners(n), "is missing");
    }
    let length = "has the wrong length";
    let weak = "not a safe Ed25519 key";
    let order = small_order_points();
    for (id, what, bytes, error) in [
        ("identity-short", "an identity of 31 bytes", joiner(1, vec![1; 31]), length),
        ("approver-long", "an approver of 33 bytes", joiner(2, vec![1; 33]), length),
        ("name-empty", "an empty name", joiner(3, ""), "name: is empty or has controls"),
        ("name-control", "a name with a bell", joiner(3, "\u{7}"), "name: is empty or has"),
        ("name-over", "a name of 65 bytes", joiner(3, "n".repeat(65)), "the limit is 64"),
        ("nonce-short", "a nonce of 15 bytes", joiner(4, vec![1; 15]), length),
        ("nonce-long", "a nonce of 17 bytes", joiner(4, vec![1; 17]), length),
        ("party-field-unknown", "a fifth field", joiner(5, 1), "a field that version 1"),
        ("identity-weak", "an identity of small order", joiner(1, order[3].to_vec()), weak),
        ("approver-weak", "an approver of small order", joiner(2, order[5].to_vec()), weak),
    ] {
        v.bad(&format!("consent/{id}"), &format!("a joiner: {what}"), &bytes, error);
    }
}

fn encodings(v: &mut Vectors) {
    let good = sample().encode();
    assert_eq!(good[..3], [0xa5, 0x01, 0x01]);
    let shortest = "not the shortest form";
    let order = "map keys out of order or doubled";
    let mut swapped = pairs();
    swapped.swap(3, 4);
    for (id, what, bytes, error) in [
        ("nothing", "no bytes", vec![], "not valid CBOR"),
        ("array", "an array", vec![0x80], "consent record: is not a map"),
        ("trailing", "a byte after the end", [good.as_slice(), &[0]].concat(), "bytes after"),
        ("cut", "the last byte is missing", good[..good.len() - 1].to_vec(), "not valid CBOR"),
        (
            "version-long",
            "version 1 in two bytes",
            [&[0xa5, 1, 0x18, 1], &good[3..]].concat(),
            shortest,
        ),
        ("indefinite", "no length", [&[0xbf], &good[1..], &[0xff]].concat(), shortest),
        ("doubled", "the version twice", [&[0xa6, 1, 1, 1, 1], &good[3..]].concat(), order),
        ("unordered", "the joiner first", cbor::encode(&Value::Map(swapped)), order),
        ("size-over", "1025 bytes", vec![0; 1025], "1025 bytes; the limit is 1024"),
    ] {
        v.bad(&format!("consent/{id}"), what, &bytes, error);
    }
}
