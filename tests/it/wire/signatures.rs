//! Vectors of signatures outside of COSE.

use countersign::{
    base::PeerId,
    identity::{Domain, PublicKey as _},
};
use ed25519_dalek::Signer as _;
use serde_json::{Value as Json, json};

use super::{
    cast::{ALICE, BOB, bare, flipped, identity, peer, small_order_points},
    vectors::{Vector, Vectors, packed},
};

const MESSAGE: &[u8] = b"checkpoint 64";

/// By Alice, for the domain of checkpoints over [`MESSAGE`], with R the neutral element and
/// S = k·a: a verifier that is not strict takes it.
const NEUTRAL_R: &str = "0100000000000000000000000000000000000000000000000000000000000000";
const NEUTRAL_R_S: &str = "a473a2b2a3bb8d1b5c00569ff628ded5b28790cb36f23088817cf78d5066d601";

/// The order of the base point, least byte first (RFC 8032 section 5.1).
const L: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn domain(label: &str) -> Domain {
    Domain::ALL.into_iter().find(|domain| domain.label() == label).expect("a known label")
}

pub(crate) fn decode(vector: &Vector) -> Result<Json, String> {
    let key = PeerId::from_slice(&vector.given_bytes("key")).ok_or("not a key")?;
    let domain = domain(vector.given("domain").as_str().unwrap_or_default());
    let signature = vector.given_bytes("signature");
    key.verify(domain, &vector.input(), &signature).map_err(|e| e.to_string())?;
    Ok(json!({ "key": key }))
}

/// The signature with the order of the group added to S: the same equation, other bytes.
pub(crate) fn malleated(signature: &[u8]) -> Vec<u8> {
    let (r, s) = signature.split_at(32);
    let mut carry = 0;
    let sum = s.iter().zip(hex(L)).map(|(a, b)| {
        let sum = u16::from(*a) + u16::from(b) + carry;
        carry = sum >> 8;
        sum.to_le_bytes()[0]
    });
    [r, &sum.collect::<Vec<_>>()].concat()
}

pub(crate) fn make(v: &mut Vectors) {
    let alice = identity(ALICE);
    let mut add = |id: &str,
                   what: &str,
                   domain: Domain,
                   key: &[u8],
                   signature: &[u8],
                   error: Option<&str>| {
        let (key, signature) = (packed(key), data_encoding::HEXLOWER.encode(signature));
        let given = json!({ "domain": domain.label(), "key": key, "signature": signature });
        v.told((&format!("signature/{id}"), what), MESSAGE, given, error);
    };
    let key = *alice.id().as_bytes();
    for (id, domain) in [
        ("consent", Domain::Consent),
        ("decision", Domain::Decision),
        ("checkpoint", Domain::Checkpoint),
        ("grant", Domain::Grant),
        ("order", Domain::Order),
        ("anchor", Domain::Anchor),
    ] {
        let signature = alice.sign(domain, MESSAGE);
        add(id, "a good signature", domain, &key, &signature, None);
    }
    let good = alice.sign(Domain::Checkpoint, MESSAGE);
    let bob = *peer(BOB).as_bytes();
    let bare = bare(ALICE).sign(MESSAGE).to_bytes();
    let refused = Some("the signature does not verify");
    let neutral = [hex(NEUTRAL_R), hex(NEUTRAL_R_S)].concat();
    for (id, what, made, shown) in [
        ("other-domain", "checkpoints, shown as a decision", Domain::Checkpoint, Domain::Decision),
        ("grant-as-decision", "grants, shown as a decision", Domain::Grant, Domain::Decision),
        ("decision-as-grant", "decisions, shown as a grant", Domain::Decision, Domain::Grant),
        ("grant-as-order", "grants, shown as an order", Domain::Grant, Domain::Order),
        (
            "checkpoint-as-anchor",
            "checkpoints, shown as an anchor",
            Domain::Checkpoint,
            Domain::Anchor,
        ),
    ] {
        add(id, &format!("made for {what}"), shown, &key, &alice.sign(made, MESSAGE), refused);
    }
    for (id, what, domain, key, signature) in [
        ("other-key", "Alice's, shown as Bob's", Domain::Checkpoint, bob, good.to_vec()),
        ("no-label", "over the message alone", Domain::Checkpoint, key, bare.to_vec()),
        ("flipped", "a bit is turned", Domain::Checkpoint, key, flipped(&good, 9)),
        ("short", "63 bytes", Domain::Checkpoint, key, good[..63].to_vec()),
        ("long", "65 bytes", Domain::Checkpoint, key, [good.as_slice(), &[0]].concat()),
        ("none", "no bytes", Domain::Checkpoint, key, Vec::new()),
        ("s-over-l", "S is not reduced: malleable", Domain::Checkpoint, key, malleated(&good)),
        ("small-order-r", "R is of small order", Domain::Checkpoint, key, neutral),
    ] {
        add(id, what, domain, &key, &signature, refused);
    }
    weak_keys(&mut add);
}

type Add<'a> = dyn FnMut(&str, &str, Domain, &[u8], &[u8], Option<&str>) + 'a;

fn weak_keys(add: &mut Add) {
    // R the neutral element and S zero verify for every message under some of these keys.
    let universal = [hex(NEUTRAL_R), vec![0; 32]].concat();
    let weak = Some("not a safe Ed25519 key");
    for (n, key) in small_order_points().iter().enumerate() {
        let what = "a key of small order, with a signature that fits it";
        add(&format!("weak-key-{n}"), what, Domain::Checkpoint, key, &universal, weak);
    }
    let mut unreduced = [0xff; 32];
    (unreduced[0], unreduced[31]) = (0xf0, 0x7f);
    let what = "a key whose y is not reduced: p + 3 (RFC 8032 section 5.1.3)";
    add("unreduced-key", what, Domain::Checkpoint, &unreduced, &universal, weak);
    let mut no_point = [0; 32];
    no_point[0] = 2;
    add("no-point", "a key that is no point", Domain::Checkpoint, &no_point, &universal, weak);
}
