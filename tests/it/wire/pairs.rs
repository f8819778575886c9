//! Vectors of the frames between strangers.

use ciborium::Value;
use countersign::{
    base::{ClaimedName, Note, Timestamp, limits},
    identity::Domain,
    wire::{PairFrame, cbor, pair},
};
use serde_json::{Value as Json, json};

use super::{
    cast::{
        ALICE, ALICE_HUMAN, BOB, BOB_HUMAN, NOW, approver, peer, set, small_order_points, unset,
    },
    consents,
    vectors::{Vector, Vectors, packed},
};

pub(crate) fn decode(vector: &Vector) -> Result<Json, String> {
    Ok(match PairFrame::decode(&vector.input()).map_err(|e| e.to_string())? {
        PairFrame::Knock(knock) => json!({ "knock": {
            "proof": knock.proof,
            "commitment": knock.commitment,
            "approver": knock.approver,
            "name": knock.name,
            "created": knock.created,
        } }),
        PairFrame::Answer(answer) => json!({ "answer": {
            "approver": answer.approver,
            "name": answer.name,
            "nonce": packed(&answer.nonce),
        } }),
        PairFrame::Reveal(nonce) => json!({ "reveal": packed(&nonce) }),
        PairFrame::Consent { record, signature, note } => {
            json!({ "consent": [record, packed(&signature), note] })
        }
        PairFrame::ConsentKept(record) => json!({ "consent_kept": record }),
        PairFrame::End(reason) => json!({ "end": reason.as_str() }),
        PairFrame::Unknown(tag) => json!({ "unknown": tag }),
    })
}

/// The knock that becomes [`consents::sample`].
pub(crate) fn knock() -> pair::Knock {
    let record = consents::sample();
    pair::Knock {
        proof: pair::proof(&consents::SECRET, &peer(BOB), &peer(ALICE)),
        commitment: pair::commitment(&record.joiner.nonce, &peer(BOB)),
        approver: approver(BOB_HUMAN).id(),
        name: record.joiner.name,
        created: record.created,
    }
}

pub(crate) fn answer() -> pair::Answer {
    let inviter = consents::sample().inviter;
    pair::Answer { approver: inviter.approver, name: inviter.name, nonce: inviter.nonce }
}

pub(crate) fn consent(note: Option<&str>) -> PairFrame {
    let record = consents::sample();
    PairFrame::Consent {
        record: record.digest(),
        signature: approver(ALICE_HUMAN).sign(Domain::Consent, &record.encode()),
        note: note.map(|note| Note::parse(note).unwrap()),
    }
}

fn frame(parts: Vec<Value>) -> Vec<u8> {
    cbor::encode(&Value::Array(parts))
}

/// A frame of one map with a field set or added.
fn with(kind: u8, key: i64, value: impl Into<Value>) -> Vec<u8> {
    let mut pairs = pairs_of(kind);
    set(&mut pairs, key, value);
    frame(vec![kind.into(), Value::Map(pairs)])
}

fn without(kind: u8, key: i64) -> Vec<u8> {
    let mut pairs = pairs_of(kind);
    unset(&mut pairs, key);
    frame(vec![kind.into(), Value::Map(pairs)])
}

fn pairs_of(kind: u8) -> Vec<(Value, Value)> {
    let frame = if kind == KNOCK { PairFrame::Knock(knock()) } else { PairFrame::Answer(answer()) };
    let value = cbor::decode("frame", &frame.encode(), limits::KNOCK_BYTES_MAX).unwrap();
    value.into_array().unwrap().remove(1).into_map().unwrap()
}

const KNOCK: u8 = 0;
const ANSWER: u8 = 1;

pub(crate) fn make(v: &mut Vectors) {
    good(v);
    bad_knocks(v);
    bad_answers(v);
    bad_frames(v);
    bad_encodings(v);
}

fn good(v: &mut Vectors) {
    let long = ClaimedName::parse(&"n".repeat(64)).unwrap();
    let nonce = consents::sample().joiner.nonce;
    let zero = pair::Knock { created: Timestamp::from_ms(0), name: long, ..knock() };
    for (id, what, frame) in [
        ("knock", "Bob knocks at Alice's", PairFrame::Knock(knock())),
        ("knock-name-max", "a name of 64 bytes, at time 0", PairFrame::Knock(zero)),
        ("answer", "Alice's answer", PairFrame::Answer(answer())),
        ("reveal", "Bob's nonce", PairFrame::Reveal(nonce)),
        ("consent", "Alice's consent to the record consent/good", consent(None)),
        ("consent-note", "one with a note", consent(Some("Bob, the other one"))),
        ("consent-note-max", "a note of 200 bytes", consent(Some(&"n".repeat(200)))),
        ("kept", "the consent is kept", PairFrame::ConsentKept(consents::sample().digest())),
        ("end-no-invite", "no such invite", PairFrame::End(pair::EndReason::NoInvite)),
        ("end-denied", "the human said no", PairFrame::End(pair::EndReason::Denied)),
        ("end-protocol", "not now", PairFrame::End(pair::EndReason::Protocol)),
        ("unknown", "a frame of a later version", PairFrame::Unknown(6)),
    ] {
        v.good(&format!("pair/{id}"), what, &frame.encode());
    }
    let later = frame(vec![77.into(); 8]);
    v.good("pair/unknown-most", "a later frame of 8 parts", &later);
    let largest = frame(vec![6.into(), Value::Bytes(vec![0; 507])]);
    assert_eq!(largest.len(), limits::KNOCK_BYTES_MAX);
    v.good("pair/size-max", "512 bytes", &largest);
}

fn bad_knocks(v: &mut Vectors) {
    let length = "has the wrong length";
    let name = "name: is empty or has controls";
    for (n, field) in (1..).zip(["version", "proof", "commitment", "approver", "name", "created"]) {
        let id = format!("pair/knock-{field}-missing");
        v.bad(&id, &format!("a knock without its {field}"), &without(KNOCK, n), "is missing");
    }
    for (id, what, bytes, error) in [
        ("version", "version 2", with(KNOCK, 1, 2), "version 2 is not spoken here"),
        ("field-unknown", "a seventh field", with(KNOCK, 7, 1), "a field that version 1"),
        ("proof-short", "a proof of 31 bytes", with(KNOCK, 2, vec![1; 31]), length),
        ("commitment-long", "a commitment of 33 bytes", with(KNOCK, 3, vec![1; 33]), length),
        ("approver-short", "an approver of 31 bytes", with(KNOCK, 4, vec![1; 31]), length),
        ("name-empty", "an empty name", with(KNOCK, 5, ""), name),
        ("name-control", "a name with a line break", with(KNOCK, 5, "a\nb"), name),
        ("name-c1", "a name with U+0085", with(KNOCK, 5, "a\u{85}b"), name),
        ("name-over", "a name of 65 bytes", with(KNOCK, 5, "n".repeat(65)), "the limit is 64"),
        ("name-bytes", "a name as bytes", with(KNOCK, 5, vec![1]), "is not a text"),
        ("created-negative", "before 1970", with(KNOCK, 6, -1), "not an unsigned integer"),
    ] {
        v.bad(&format!("pair/knock-{id}"), &format!("a knock: {what}"), &bytes, error);
    }
    for (n, key) in small_order_points().iter().enumerate() {
        let id = format!("pair/knock-approver-weak-{n}");
        let bytes = with(KNOCK, 4, key.to_vec());
        v.bad(&id, "a knock: an approver of small order", &bytes, "not a safe Ed25519 key");
    }
}

fn bad_answers(v: &mut Vectors) {
    let weak = with(ANSWER, 2, small_order_points()[0].to_vec());
    for (id, what, bytes, error) in [
        ("version", "version 2", with(ANSWER, 1, 2), "version 2 is not spoken here"),
        ("approver-missing", "no approver", without(ANSWER, 2), "is missing"),
        ("name-missing", "no name", without(ANSWER, 3), "is missing"),
        ("nonce-missing", "no nonce", without(ANSWER, 4), "is missing"),
        ("nonce-short", "a nonce of 15 bytes", with(ANSWER, 4, vec![1; 15]), "wrong length"),
        ("nonce-long", "a nonce of 17 bytes", with(ANSWER, 4, vec![1; 17]), "wrong length"),
        ("field-unknown", "a fifth field", with(ANSWER, 5, 1), "a field that version 1"),
        ("approver-weak", "an approver of small order", weak, "not a safe Ed25519 key"),
    ] {
        v.bad(&format!("pair/answer-{id}"), &format!("an answer: {what}"), &bytes, error);
    }
}

fn bad_frames(v: &mut Vectors) {
    let digest = || Value::from(vec![1; 32]);
    let signature = || Value::from(vec![2; 64]);
    let length = "has the wrong length";
    let short = "pairing frame: is cut short";
    let consent = |record, signature, note| vec![3.into(), record, signature, note];
    let note = |note: &str| consent(digest(), signature(), note.into());
    let end = "end reason: is not one that version 1 knows";
    for (id, what, parts, error) in [
        ("empty", "no type", vec![], short),
        ("type-text", "the type is a text", vec!["knock".into()], "not an unsigned integer"),
        ("reveal-short", "a nonce of 15 bytes", vec![2.into(), vec![1; 15].into()], length),
        ("reveal-none", "a reveal without a nonce", vec![2.into()], short),
        ("reveal-more", "two nonces", vec![2.into(), vec![1; 16].into(), 1.into()], "is too long"),
        ("record-short", "31 bytes", consent(vec![1; 31].into(), signature(), Value::Null), length),
        ("signature-short", "63 bytes", consent(digest(), vec![2; 63].into(), Value::Null), length),
        ("signature-long", "65 bytes", consent(digest(), vec![2; 65].into(), Value::Null), length),
        ("note-missing", "a consent of three parts", vec![3.into(), digest(), signature()], short),
        ("note-empty", "an empty note", note(""), "note: has controls"),
        ("note-control", "a note with an escape", note("\u{1b}[1m"), "note: has controls"),
        ("note-over", "a note of 201 bytes", note(&"n".repeat(201)), "the limit is 200"),
        (
            "note-bytes",
            "a note as bytes",
            consent(digest(), signature(), vec![1].into()),
            "not a text",
        ),
        ("kept-short", "a digest of 31 bytes", vec![4.into(), vec![1; 31].into()], length),
        ("kept-more", "two digests", vec![4.into(), digest(), digest()], "is too long"),
        ("end-unknown", "another reason", vec![5.into(), "tired".into()], end),
        ("end-number", "a reason as a number", vec![5.into(), 1.into()], "is not a text"),
        ("unknown-over", "a later frame of 9 parts", vec![77.into(); 9], "the limit is 8"),
    ] {
        v.bad(&format!("pair/{id}"), what, &frame(parts), error);
    }
}

fn bad_encodings(v: &mut Vectors) {
    let over = frame(vec![6.into(), Value::Bytes(vec![0; 508])]);
    v.bad("pair/size-over", "513 bytes", &over, "513 bytes; the limit is 512");
    let end = PairFrame::End(pair::EndReason::Denied).encode();
    assert_eq!(end[..3], [0x82, 0x05, 0x66]);
    let shortest = "not the shortest form";
    for (id, what, bytes, error) in [
        ("nothing", "no bytes", vec![], "not valid CBOR"),
        ("map", "a map", vec![0xa0], "pairing frame: is not an array"),
        (
            "trailing",
            "a byte after the end",
            [end.as_slice(), &[0]].concat(),
            "bytes after the end",
        ),
        ("cut", "the last byte is missing", end[..end.len() - 1].to_vec(), "not valid CBOR"),
        ("type-long", "the type in two bytes", [&[0x82, 0x18, 5], &end[2..]].concat(), shortest),
        ("text-long", "a length in two bytes", [&[0x82, 5, 0x78, 6], &end[3..]].concat(), shortest),
        ("indefinite", "no length", [&[0x9f], &end[1..], &[0xff]].concat(), shortest),
    ] {
        v.bad(&format!("pair/{id}"), what, &bytes, error);
    }
    let mut pairs = pairs_of(KNOCK);
    pairs.swap(1, 2);
    let bytes = frame(vec![KNOCK.into(), Value::Map(pairs)]);
    v.bad("pair/knock-unordered", "a knock with unordered keys", &bytes, "out of order");
    assert_eq!(knock().created, Timestamp::from_ms(NOW));
}
