//! Vectors of envelopes with a wrong signature, or in another encoding than their own.

use ciborium::Value;
use countersign::wire::{cbor, countersignature::COUNTERSIGNATURE_LABEL};
use ed25519_dalek::Signer as _;

use super::{
    cast::{
        ALICE, BOB, MALLORY, Raw, bare, flipped, identity, peer, sealed, small_order_points, tagged,
    },
    envelopes::bent,
    signatures::malleated,
    vectors::Vectors,
};

const REFUSED: &str = "the signature does not verify";
const REENCODED: &str = "differs from its own re-encoding";
const NOT_COSE: &str = "not a COSE_Sign1";

pub(crate) fn make(v: &mut Vectors) {
    signers(v);
    signatures(v);
    weak_senders(v);
    structure(v);
    outer_encoding(v);
    inner_encoding(v);
}

fn signers(v: &mut Vectors) {
    bent(v, ("wrong-key", "says Alice, signed by Mallory", REFUSED), |raw| {
        raw.signer = bare(MALLORY);
    });
    bent(v, ("swapped", "kid is Bob, the recipient Alice; signed by Alice", REFUSED), |raw| {
        raw.parameter(4, peer(BOB).as_bytes().as_slice());
        raw.set(4, peer(ALICE).as_bytes().as_slice());
    });
    bent(v, ("aad-other", "signed with the countersignature's label", REFUSED), |raw| {
        raw.aad = COUNTERSIGNATURE_LABEL.as_bytes().to_vec();
    });
    bent(v, ("aad-none", "signed with no external_aad", REFUSED), |raw| raw.aad.clear());
    bent(v, ("aad-zero", "the label with a zero byte behind it", REFUSED), |raw| raw.aad.push(0));
}

fn signatures(v: &mut Vectors) {
    let raw = Raw::new();
    let good = raw.signature();
    let tbs = raw.to_be_signed();
    let framed = identity(ALICE).sign(countersign::identity::Domain::Checkpoint, &tbs);
    let payload = bare(ALICE).sign(&raw.payload).to_bytes();
    let sign = Value::Array(vec![
        "Signature".into(),
        raw.protected().into(),
        Vec::<u8>::new().into(),
        raw.aad.clone().into(),
        raw.payload.clone().into(),
    ]);
    let sign = bare(ALICE).sign(&cbor::encode(&sign)).to_bytes();
    for (id, what, signature) in [
        ("signature-domain", "signed for another domain", framed.to_vec()),
        ("signature-payload", "signed over the payload alone", payload.to_vec()),
        ("signature-cose-sign", "signed as a signer of COSE_Sign", sign.to_vec()),
        ("signature-flipped", "a bit of the signature is turned", flipped(&good, 0)),
        ("signature-short", "63 bytes", good[..63].to_vec()),
        ("signature-long", "65 bytes", [good.as_slice(), &[0]].concat()),
        ("signature-none", "an empty signature", Vec::new()),
        ("signature-zero", "64 zero bytes", vec![0; 64]),
        ("signature-malleated", "S is not reduced", malleated(&good)),
    ] {
        v.bad(&format!("envelope/{id}"), what, &raw.signed_as(&signature), REFUSED);
    }
    let bytes = sealed().bytes().to_vec();
    let at = bytes.windows(5).position(|window| window == b"hello").unwrap();
    let changed = flipped(&bytes, at * 8);
    v.bad("envelope/flipped-payload", "a bit of the text is turned", &changed, REFUSED);
    let recipient = bytes.windows(32).position(|w| w == peer(BOB).as_bytes()).unwrap();
    let changed = flipped(&bytes, recipient * 8);
    v.bad("envelope/flipped-recipient", "a bit of the recipient is turned", &changed, REFUSED);
}

fn weak_senders(v: &mut Vectors) {
    let weak = "not a safe Ed25519 key";
    for (n, key) in small_order_points().iter().enumerate() {
        let mut raw = Raw::new();
        raw.parameter(4, key.as_slice());
        let mut universal = vec![0; 64];
        universal[0] = 1;
        let what = "the sender is a point of small order";
        v.bad(&format!("envelope/sender-weak-{n}"), what, &raw.signed_as(&universal), weak);
    }
}

fn structure(v: &mut Vectors) {
    let [protected, unprotected, payload, signature] = Raw::new().parts();
    let whole = tagged(&Raw::new().parts());
    let null = vec![0xf6];
    let map = vec![0xa0];
    let joined = |head: &[u8], parts: &[&Vec<u8>]| {
        parts.iter().fold(head.to_vec(), |all, part| [all, (*part).clone()].concat())
    };
    let four = [&protected, &unprotected, &payload, &signature];
    for (id, what, bytes, error) in [
        ("nothing", "no bytes", Vec::new(), NOT_COSE),
        ("untagged", "without tag 18", whole[1..].to_vec(), NOT_COSE),
        ("tag-mac0", "tag 17, COSE_Mac0", joined(&[0xd1, 0x84], &four), NOT_COSE),
        ("tag-sign", "tag 98, COSE_Sign", joined(&[0xd8, 98, 0x84], &four), NOT_COSE),
        ("tag-twice", "tag 18 twice", joined(&[0xd2, 0xd2, 0x84], &four), NOT_COSE),
        ("parts-3", "an array of three", joined(&[0xd2, 0x83], &four[..3]), NOT_COSE),
        (
            "parts-5",
            "an array of five",
            joined(&[0xd2, 0x85], &[&four[..], &[&null]].concat()),
            NOT_COSE,
        ),
        (
            "detached",
            "the payload is null",
            tagged(&[protected.clone(), map.clone(), null, signature.clone()]),
            "not valid CBOR",
        ),
        (
            "protected-map",
            "the protected header is a map",
            tagged(&[map.clone(), map, payload, signature]),
            NOT_COSE,
        ),
        ("trailing", "a byte after the end", [whole.as_slice(), &[0]].concat(), NOT_COSE),
        ("cut", "the last byte is missing", whole[..whole.len() - 1].to_vec(), NOT_COSE),
        ("half", "the second half is missing", whole[..whole.len() / 2].to_vec(), NOT_COSE),
    ] {
        v.bad(&format!("envelope/{id}"), what, &bytes, error);
    }
    let empty = "algorithm: is not EdDSA";
    bent(v, ("protected-none", "an empty protected header", empty), |raw| {
        raw.protected = Some(Vec::new());
    });
}

/// The signed bytes are the same; only what carries them is encoded otherwise.
fn outer_encoding(v: &mut Vectors) {
    let parts = Raw::new().parts();
    let rest = parts.concat();
    let [protected, unprotected, payload, signature] = parts.clone();
    let joined = |head: &[u8], tail: &[u8]| [head, &rest, tail].concat();
    let swap = |at: usize, part: Vec<u8>| {
        let mut parts = parts.clone();
        parts[at] = part;
        tagged(&parts)
    };
    assert_eq!((payload[0], signature[0]), (0x48, 0x58));
    let pieces = [&[0x5f], payload.as_slice(), &[0xff]].concat();
    for (id, what, bytes) in [
        ("tag-long", "the tag in two bytes more", joined(&[0xd8, 18, 0x84], &[])),
        ("array-long", "the array's length in a byte more", joined(&[0xd2, 0x98, 4], &[])),
        ("array-indefinite", "an array without a length", joined(&[0xd2, 0x9f], &[0xff])),
        (
            "protected-long",
            "a length in a byte more",
            swap(0, [&[0x59, 0], &protected[1..]].concat()),
        ),
        ("unprotected-long", "a length in a byte more", swap(1, vec![0xb8, 0])),
        ("unprotected-indefinite", "a map without a length", swap(1, vec![0xbf, 0xff])),
        ("payload-long", "a length in a byte more", swap(2, [&[0x58, 8], &payload[1..]].concat())),
        ("payload-pieces", "a byte string in pieces", swap(2, pieces)),
        (
            "signature-long-length",
            "a length in a byte more",
            swap(3, [&[0x59, 0], &signature[1..]].concat()),
        ),
    ] {
        v.bad(&format!("envelope/{id}"), what, &bytes, REENCODED);
    }
    assert_eq!(unprotected, [0xa0]);
}

/// Well signed, over a protected header in another encoding than its own.
fn inner_encoding(v: &mut Vectors) {
    let good = Raw::new().protected();
    let mut add = |id: &str, what: &str, error: &str, protected: Vec<u8>| {
        bent(v, (id, what, error), |raw| raw.protected = Some(protected));
    };
    assert_eq!(good[..4], [0xa3, 0x01, 0x27, 0x04]);
    let rest = &good[3..];
    let order = "map keys out of order or doubled";
    let at = 3 + 35 + 5;
    assert_eq!(good[at..at + 5], [0xa7, 0x01, 0x01, 0x02, 0x64]);
    let (before, ours) = good.split_at(at);
    add(
        "protected-indefinite",
        "a map without a length",
        REENCODED,
        [&[0xbf], &good[1..], &[0xff]].concat(),
    );
    add("alg-long", "alg -8 in two bytes", REENCODED, [&[0xa3, 0x01, 0x38, 0x07], rest].concat());
    add("alg-doubled", "alg twice", NOT_COSE, [&[0xa4, 0x01, 0x27, 0x01, 0x27], rest].concat());
    let swapped = [&[0xa3], &good[3..38], &good[1..3], &good[38..]].concat();
    add("parameters-unordered", "kid before alg", REENCODED, swapped);
    add("protected-trailing", "a byte after the map", NOT_COSE, [good.as_slice(), &[0]].concat());
    let doubled = [before, &[0xa8, 0x01, 0x01], &ours[1..]].concat();
    add("field-doubled", "the version twice", order, doubled);
    let unordered = [before, &[0xa7], &ours[3..9], &ours[1..3], &ours[9..]].concat();
    add("fields-unordered", "the kind before the version", order, unordered);
    let long = [before, &[0xa7, 0x18, 0x01], &ours[2..]].concat();
    add("field-key-long", "key 1 in two bytes", REENCODED, long);
    let long = [before, &[0xa7, 0x01, 0x18, 0x01], &ours[3..]].concat();
    add("version-long", "version 1 in two bytes", REENCODED, long);
    let indefinite = [before, &[0xbf], &ours[1..], &[0xff]].concat();
    add("fields-indefinite", "our map without a length", REENCODED, indefinite);
}
