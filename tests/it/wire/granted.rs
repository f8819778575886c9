//! Vectors of countersignatures that a node makes by a grant of its human.

use ciborium::Value;
use countersign::{
    base::{Timestamp, limits},
    wire::{
        Countersignature, Direction, Draft, Envelope, Grant, Kind, Method, SignedGrant, WireError,
    },
};
use serde_json::json;

use super::{
    cast::{
        ALICE, ALICE_HUMAN, DAY_MS, MALLORY, MALLORY_HUMAN, NOW, Raw, approver, bare, body,
        flipped, header, identity, peer, sealed, small_order_points,
    },
    countersignatures::{Bent, NOT_THEIRS, add, bent},
    grants::{self, inline, of_size, signed, signed_by, unasked},
    vectors::{Vectors, packed},
};

/// The largest text with every optional header, and the largest grant beside it.
fn largest() -> Envelope {
    let all = countersign::wire::Header {
        reply_to: Some(countersign::base::MessageId::from_bytes([0xa5; 16])),
        created: Timestamp::from_ms(u64::MAX / 2),
        expires: Timestamp::from_ms(u64::MAX / 2 + 30 * DAY_MS),
        human: true,
        session: countersign::base::SessionName::parse(&"s".repeat(32)).ok(),
        ..header(Kind::Request)
    };
    let text = "a".repeat(limits::TEXT_BYTES_MAX);
    let envelope = Draft { header: all, body: body(&text) }.seal(&identity(ALICE)).unwrap();
    let human = approver(ALICE_HUMAN);
    let grant = of_size(limits::GRANT_BYTES_MAX).sign(&human).unwrap();
    let at = Timestamp::from_ms(NOW);
    let by = Countersignature::sign_by_grant(&envelope, &identity(ALICE), &human.id(), &grant, at);
    envelope.with_countersignature(by.unwrap()).unwrap()
}

fn how(method: &str, at: u64, grant: &SignedGrant) -> Vec<Value> {
    let (statement, signature) = (grant.statement.as_slice(), grant.signature.as_slice());
    vec![method.into(), at.into(), statement.into(), signature.into()]
}

/// Alice's node countersigns by the unasked grant, open to change before it is signed.
fn by_grant() -> Bent {
    let mut bent = Bent::new();
    bent.signer = bare(ALICE);
    bent.how_is(how("grant", NOW, &signed(&unasked().encode())));
    bent
}

pub(crate) fn make(v: &mut Vectors) {
    good(v);
    let key = identity(ALICE);
    let (grant, at) = (signed(&unasked().encode()), Timestamp::from_ms(NOW));
    let human = approver(ALICE_HUMAN).id();
    let by = Countersignature::sign_by_grant(&sealed(), &key, &human, &grant, at).unwrap();
    assert_eq!(by_grant().bytes(), sealed().with_countersignature(by).unwrap().bytes());
    other_grants(v);
    other_signers(v);
    weak_approvers(v);
    malformed(v);
}

fn good(v: &mut Vectors) {
    let mut add_good = |id: &str, what: &str, method: &str, grant: &Grant, at: u64| {
        let mut bent = by_grant();
        bent.how_is(how(method, at, &signed(&grant.encode())));
        add(v, (id, what), &bent.bytes(), None);
    };
    let last = NOW + DAY_MS - 1;
    let for_bob = Grant { peer: unasked().peer, ..inline() };
    add_good("grant", "the node, by a grant to pass unasked", "grant", &unasked(), NOW);
    add_good("grant-last", "in the last millisecond of the grant", "grant", &unasked(), last);
    add_good("client", "the node, by a grant for clients", "client", &inline(), NOW);
    add_good("client-peer", "by a grant for this recipient's client", "client", &for_bob, NOW);
    add_good("grant-size-max", "a grant of 1024 bytes", "grant", &of_size(1024), NOW);
    // Whether it covers what the message says is for whoever lets it through.
    let narrow = Grant { size_bytes_max: 0, ..unasked() };
    add_good("grant-narrow", "a grant that does not cover the text", "grant", &narrow, NOW);
    let whole = largest();
    add(v, ("largest", "the largest text, grant and header"), whole.bytes(), None);
    let mut author = by_grant();
    author.raw.set(9, "human");
    add(v, ("grant-author", "says human, but a grant is not the human"), &author.bytes(), None);
}

/// Well formed, with a grant that does not stand for the human here.
fn other_grants(v: &mut Vectors) {
    let mut not_theirs = |id: &str, what: &str, method: &str, grant: &SignedGrant, at: u64| {
        let mut bent = by_grant();
        bent.how_is(how(method, at, grant));
        add(v, (id, what), &bent.bytes(), Some(NOT_THEIRS));
    };
    let mallory = Some(peer(MALLORY));
    for (id, what, grant) in [
        ("grant-other-node", "for another node", Grant { node: peer(MALLORY), ..unasked() }),
        ("grant-other-recipient", "for another peer", Grant { peer: mallory, ..unasked() }),
        ("grant-in", "for what comes in", Grant { direction: Direction::In, ..unasked() }),
    ] {
        not_theirs(id, &format!("a grant {what}"), "grant", &signed(&grant.encode()), NOW);
    }
    let other = Grant { peer: mallory, ..inline() };
    not_theirs(
        "client-other-recipient",
        "for another peer",
        "client",
        &signed(&other.encode()),
        NOW,
    );
    let other = Grant { node: peer(MALLORY), ..inline() };
    not_theirs("client-other-node", "for another node", "client", &signed(&other.encode()), NOW);
    let (grant, client) = (signed(&unasked().encode()), signed(&inline().encode()));
    not_theirs("grant-ended", "used when the grant ends", "grant", &grant, NOW + DAY_MS);
    not_theirs("grant-not-begun", "a millisecond too early", "grant", &grant, NOW - 1);
    not_theirs("client-ended", "used when the grant ends", "client", &client, NOW + DAY_MS);
    not_theirs("grant-inline", "method grant by a grant for clients", "grant", &client, NOW);
    not_theirs("client-unasked", "method client by a grant unasked", "client", &grant, NOW);
    let bytes = unasked().encode();
    let by_another = signed_by(MALLORY_HUMAN, &bytes);
    not_theirs("grant-other-approver", "a grant of another approver", "grant", &by_another, NOW);
    let flipped = flipped(&grant.signature, 8).try_into().unwrap();
    let flipped = SignedGrant { signature: flipped, ..grant.clone() };
    not_theirs("grant-flipped", "a bit of its signature is turned", "grant", &flipped, NOW);
    let decision = approver(ALICE_HUMAN).sign(countersign::identity::Domain::Decision, &bytes);
    let decision = SignedGrant { signature: decision, ..grant };
    not_theirs("grant-as-decision", "its signature is a decision's", "grant", &decision, NOW);
    let wide = signed(&grants::with(10, 1001));
    not_theirs("grant-wide", "a grant that is too wide", "grant", &wide, NOW);
    let later = signed(&grants::with(1, 2));
    not_theirs("grant-version", "a grant of version 2", "grant", &later, NOW);
    let long = [&[0xac, 1, 0x18, 1], &bytes[3..]].concat();
    not_theirs("grant-long-form", "a grant not in its one form", "grant", &signed(&long), NOW);
    not_theirs("grant-empty", "a grant of no bytes", "grant", &signed(&[]), NOW);
}

/// A good grant, and a countersignature by somebody whom it does not let sign.
fn other_signers(v: &mut Vectors) {
    let mut not_theirs = |id: &str, what: &str, bend: fn(&mut Bent)| {
        let mut bent = by_grant();
        bend(&mut bent);
        add(v, (id, what), &bent.bytes(), Some(NOT_THEIRS));
    };
    not_theirs("grant-by-approver", "signed by the approver, not the node", |bent| {
        bent.signer = bare(ALICE_HUMAN);
    });
    not_theirs("grant-by-mallory", "signed by another node", |bent| bent.signer = bare(MALLORY));
    not_theirs("grant-kid-node", "kid is the node, which signed", |bent| {
        bent.protected[1].1 = peer(ALICE).as_bytes().as_slice().into();
    });
    not_theirs("grant-kid-mallory", "kid is another approver, who granted", |bent| {
        bent.protected[1].1 = approver(MALLORY_HUMAN).id().as_bytes().as_slice().into();
        bent.how_is(how("grant", NOW, &signed_by(MALLORY_HUMAN, &unasked().encode())));
    });
    not_theirs("grant-stolen", "on an envelope of another node", |bent| {
        bent.raw.parameter(4, peer(MALLORY).as_bytes().as_slice());
        bent.raw.signer = bare(MALLORY);
        bent.signer = bare(MALLORY);
    });
    let good = by_grant();
    let other = Raw { signer: bare(ALICE), ..Raw::new() };
    let mut moved = other;
    moved.set(3, vec![9; 16]);
    moved.unprotected = Value::Map(vec![(11.into(), good.value(&good.signature()))]);
    add(v, ("grant-moved", "made for another envelope"), &moved.bytes(), Some(NOT_THEIRS));
    let later = by_grant().signature();
    let mut changed = by_grant();
    changed.how_is(how("grant", NOW + 1, &signed(&unasked().encode())));
    let changed = changed.envelope(changed.value(&later));
    add(v, ("grant-time-changed", "the time was changed"), &changed, Some(NOT_THEIRS));
}

/// Grants that some verifiers take for signed under a key of small order.
fn weak_approvers(v: &mut Vectors) {
    let mut signature = [0; 64];
    signature[0] = 1;
    let universal = SignedGrant { statement: unasked().encode(), signature };
    for (n, key) in small_order_points().iter().enumerate().take(4) {
        let mut bent = by_grant();
        bent.protected[1].1 = key.as_slice().into();
        bent.how_is(how("grant", NOW, &universal));
        let given = json!({ "approver": packed(key) });
        let id = format!("countersignature/grant-weak-approver-{n}");
        let what = "a grant of an approver that is a point of small order";
        v.told((&id, what), &bent.bytes(), given, Some(NOT_THEIRS));
    }
}

/// Refused with the envelope.
fn malformed(v: &mut Vectors) {
    let mut refused = |id: &str, what: &str, error: &str, how: Vec<Value>| {
        let by = |bent: &mut Bent| {
            bent.signer = bare(ALICE);
            bent.how_is(how);
        };
        bent(v, (id, what, error), by);
    };
    let grant = signed(&unasked().encode());
    let mismatch = "how: has a grant where the method says no, or none";
    for method in ["passphrase", "passkey", "session"] {
        let (id, what) = (format!("{method}-with-grant"), format!("{method}, with a grant"));
        refused(&id, &what, mismatch, how(method, NOW, &grant));
    }
    for method in ["grant", "client"] {
        let (id, what) = (format!("{method}-alone"), format!("{method}, without a grant"));
        refused(&id, &what, mismatch, vec![method.into(), NOW.into()]);
        let (id, what) = (format!("{method}-three"), format!("{method}, a grant not signed"));
        let mut three = how(method, NOW, &grant);
        three.truncate(3);
        refused(&id, &what, "how: has a grant without its signature", three);
        let (id, what) = (format!("{method}-five"), format!("{method}, a fifth item"));
        let five = [how(method, NOW, &grant), vec![1.into()]].concat();
        refused(&id, &what, "how is 5 bytes; the limit is 4", five);
    }
    let bytes = "grant: is not a byte string";
    let length = "grant: has a signature that is not 64 bytes";
    let over = of_size(1025).encode();
    let good = || how("grant", NOW, &grant);
    let put = |at: usize, value: Value| {
        let mut how = good();
        how[at] = value;
        how
    };
    let short = grant.signature[..63].to_vec();
    refused(
        "grant-over",
        "1025 bytes",
        "grant is 1025 bytes; the limit is 1024",
        put(2, over.into()),
    );
    refused("grant-map", "the grant is a map", bytes, put(2, Value::Map(Vec::new())));
    refused("grant-null", "the grant is null", bytes, put(2, Value::Null));
    refused("grant-signature-null", "its signature is null", bytes, put(3, Value::Null));
    refused("grant-signature-short", "its signature is 63 bytes", length, put(3, short.into()));
    refused("grant-signature-none", "its signature is empty", length, put(3, vec![0_u8; 0].into()));
}

#[test]
fn the_largest_message_fits_with_the_largest_grant_and_every_header() {
    let whole = largest();
    let (size, limit) = (whole.bytes().len(), limits::ENVELOPE_BYTES_MAX);
    assert!(size <= limit, "{size} bytes; the limit is {limit}");
    let header = whole.header();
    assert!(header.human && header.thread.is_some() && header.reply_to.is_some());
    assert_eq!(whole.body().text().unwrap().as_str().len(), limits::TEXT_BYTES_MAX);
    let by = whole.countersignature().unwrap();
    assert_eq!(by.grant.as_ref().unwrap().statement.len(), limits::GRANT_BYTES_MAX);
    // Room is left for the names: no kind with a text and no method is longer than these bounds.
    let longer = 2 * limits::KIND_BYTES_MAX;
    assert!(size + longer <= limit, "{size} bytes, and {longer} for longer names");
    assert_eq!(Envelope::decode(whole.bytes()).unwrap(), whole);
    assert_eq!(Countersignature::decode(&by.encode()).as_ref(), Ok(by), "a decision carries it");
}

#[test]
fn a_node_does_not_sign_by_a_grant_of_another_human() {
    let human = approver(ALICE_HUMAN).id();
    let grant = signed_by(MALLORY_HUMAN, &unasked().encode());
    let (key, at) = (identity(ALICE), Timestamp::from_ms(NOW));
    let made = Countersignature::sign_by_grant(&sealed(), &key, &human, &grant, at);
    assert!(matches!(made, Err(WireError::Identity(_))), "{made:?}");
}

#[test]
fn the_humans_key_signs_under_their_own_methods_alone() {
    let (human, at) = (approver(ALICE_HUMAN), Timestamp::from_ms(NOW));
    for method in [Method::Grant, Method::Client] {
        let made = Countersignature::sign(&sealed(), &human, method, at);
        assert!(matches!(made, Err(WireError::Field { what: "method", .. })), "{made:?}");
    }
}
