//! Alice, Bob and Mallory with fixed keys, and envelopes that can be bent before they are signed.

use ciborium::Value;
use countersign::{
    base::{MessageId, MessageText, PeerId, Secret, ThreadId, Timestamp},
    identity::{ApproverKey, IdentityKey},
    wire::{Body, Draft, Envelope, Header, Kind, cbor, envelope},
};
use ed25519_dalek::{Signer as _, SigningKey};

/// When the vectors are made: 2026-09-21T14:13:20Z.
pub(crate) const NOW: u64 = 1_790_000_000_000;
pub(crate) const DAY_MS: u64 = 86_400_000;

/// Seeds: a person's node, and the person.
pub(crate) const ALICE: u8 = 1;
pub(crate) const ALICE_HUMAN: u8 = 2;
pub(crate) const BOB: u8 = 3;
pub(crate) const BOB_HUMAN: u8 = 4;
pub(crate) const MALLORY: u8 = 5;
pub(crate) const MALLORY_HUMAN: u8 = 6;

pub(crate) fn identity(seed: u8) -> IdentityKey {
    IdentityKey::from_seed(&Secret::new([seed; 32]))
}

pub(crate) fn approver(seed: u8) -> ApproverKey {
    ApproverKey::from_seed(&Secret::new([seed; 32]))
}

pub(crate) fn peer(seed: u8) -> PeerId {
    identity(seed).id()
}

/// A bare key, for signatures that the product would not make.
pub(crate) fn bare(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// Every encoding of a point of small order, canonical or not, that a decoder may meet.
pub(crate) fn small_order_points() -> Vec<[u8; 32]> {
    let eight_1 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
    let eight_2 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
    let ends = |low: u8, fill: u8, high: u8| {
        let mut bytes = [fill; 32];
        (bytes[0], bytes[31]) = (low, high);
        bytes
    };
    let mut points = vec![ends(1, 0, 0), ends(0, 0, 0), ends(0xec, 0xff, 0x7f)];
    points.extend([ends(0xed, 0xff, 0x7f), ends(0xee, 0xff, 0x7f)]);
    for hex in [eight_1, eight_2] {
        let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
        points.push(bytes.try_into().unwrap());
    }
    let negated = points.clone().into_iter().map(|mut bytes| {
        bytes[31] |= 0x80;
        bytes
    });
    points.extend(negated.collect::<Vec<_>>());
    points
}

pub(crate) fn header(kind: Kind) -> Header {
    Header {
        kind,
        id: MessageId::from_bytes([0x1d; 16]),
        sender: peer(ALICE),
        recipient: peer(BOB),
        created: Timestamp::from_ms(NOW),
        expires: Timestamp::from_ms(NOW + DAY_MS),
        thread: Some(ThreadId::from_bytes([0x7e; 16])),
        reply_to: None,
        human: false,
        session: None,
    }
}

pub(crate) fn body(text: &str) -> Body {
    Body::Text(MessageText::parse(text).unwrap())
}

/// Alice's text to Bob.
pub(crate) fn sealed() -> Envelope {
    Draft { header: header(Kind::Text), body: body("hello") }.seal(&identity(ALICE)).unwrap()
}

/// Alice's text to Bob before it is signed, with every part open to change.
#[derive(Clone)]
pub(crate) struct Raw {
    /// The protected header parameters but for ours.
    pub(crate) parameters: Vec<(Value, Value)>,
    /// The map under our label.
    pub(crate) ours: Vec<(Value, Value)>,
    /// Takes the place of both, when set.
    pub(crate) protected: Option<Vec<u8>>,
    pub(crate) unprotected: Value,
    pub(crate) payload: Vec<u8>,
    pub(crate) aad: Vec<u8>,
    pub(crate) signer: SigningKey,
}

impl Raw {
    pub(crate) fn new() -> Self {
        let header = header(Kind::Text);
        let bytes = |bytes: &[u8]| Value::from(bytes);
        Self {
            parameters: vec![(1.into(), (-8).into()), (4.into(), bytes(header.sender.as_bytes()))],
            ours: vec![
                (1.into(), 1.into()),
                (2.into(), "text".into()),
                (3.into(), bytes(header.id.as_bytes())),
                (4.into(), bytes(header.recipient.as_bytes())),
                (5.into(), header.created.ms().into()),
                (6.into(), header.expires.ms().into()),
                (7.into(), bytes(&[0x7e; 16])),
            ],
            protected: None,
            unprotected: Value::Map(Vec::new()),
            payload: body("hello").encode(),
            aad: envelope::ENVELOPE_LABEL.as_bytes().to_vec(),
            signer: bare(ALICE),
        }
    }

    /// Sets a field of our map, or adds it behind the others.
    pub(crate) fn set(&mut self, key: i64, value: impl Into<Value>) {
        set(&mut self.ours, key, value);
    }

    /// Takes a field out of our map.
    pub(crate) fn unset(&mut self, key: i64) {
        unset(&mut self.ours, key);
    }

    /// Sets a header parameter, or adds it before ours.
    pub(crate) fn parameter(&mut self, label: i64, value: impl Into<Value>) {
        set(&mut self.parameters, label, value);
    }

    pub(crate) fn protected(&self) -> Vec<u8> {
        self.protected.clone().unwrap_or_else(|| {
            let ours = (envelope::HEADER_LABEL.into(), Value::Map(self.ours.clone()));
            let all = self.parameters.iter().cloned().chain([ours]).collect();
            cbor::encode(&Value::Map(all))
        })
    }

    /// What is signed: `Sig_structure` of RFC 9052 section 4.4.
    pub(crate) fn to_be_signed(&self) -> Vec<u8> {
        let parts = [self.protected(), self.aad.clone(), self.payload.clone()];
        let parts = parts.map(Value::Bytes).into_iter();
        cbor::encode(&Value::Array([Value::from("Signature1")].into_iter().chain(parts).collect()))
    }

    pub(crate) fn signature(&self) -> Vec<u8> {
        self.signer.sign(&self.to_be_signed()).to_bytes().to_vec()
    }

    /// The four parts, each encoded.
    pub(crate) fn parts(&self) -> [Vec<u8>; 4] {
        [
            cbor::encode(&Value::Bytes(self.protected())),
            cbor::encode(&self.unprotected),
            cbor::encode(&Value::Bytes(self.payload.clone())),
            cbor::encode(&Value::Bytes(self.signature())),
        ]
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        tagged(&self.parts())
    }

    /// The envelope with this signature.
    pub(crate) fn signed_as(&self, signature: &[u8]) -> Vec<u8> {
        let [protected, unprotected, payload, _] = self.parts();
        tagged(&[protected, unprotected, payload, cbor::encode(&Value::from(signature))])
    }
}

/// Tag 18 around an array of four.
pub(crate) fn tagged(parts: &[Vec<u8>; 4]) -> Vec<u8> {
    [vec![0xd2, 0x84], parts.concat()].concat()
}

/// Sets a field of a map, or adds it behind the others.
pub(crate) fn set(pairs: &mut Vec<(Value, Value)>, key: i64, value: impl Into<Value>) {
    let (key, value) = (Value::from(key), value.into());
    match pairs.iter_mut().find(|(found, _)| *found == key) {
        Some((_, old)) => *old = value,
        None => pairs.push((key, value)),
    }
}

/// Takes a field out of a map.
pub(crate) fn unset(pairs: &mut Vec<(Value, Value)>, key: i64) {
    pairs.retain(|(found, _)| *found != Value::from(key));
}

/// Bytes with one bit turned.
pub(crate) fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at / 8] ^= 1 << (at % 8);
    bytes
}

#[test]
fn what_the_cast_builds_by_hand_is_what_the_product_seals() {
    assert_eq!(Raw::new().bytes(), sealed().bytes());
}
