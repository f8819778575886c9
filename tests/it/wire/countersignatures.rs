//! Vectors of countersignatures: what is refused with the envelope, and what is read but is not
//! the approver's word. Those by a grant are in `granted`.

use ciborium::Value;
use countersign::{
    base::{ApproverId, MessageId, Timestamp},
    wire::{Countersignature, Draft, Envelope, Header, Kind, Method, cbor, envelope},
};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value as Json, json};

use super::{
    cast::{
        ALICE, ALICE_HUMAN, MALLORY_HUMAN, NOW, Raw, approver, bare, body, flipped, header,
        identity, sealed, small_order_points,
    },
    envelopes::shown_countersignature,
    vectors::{Vector, Vectors, packed},
};

pub(crate) const NOT_THEIRS: &str = "no countersignature by this approver";

pub(crate) fn decode(vector: &Vector) -> Result<Json, String> {
    let envelope = Envelope::decode(&vector.input()).map_err(|e| e.to_string())?;
    let approver = ApproverId::from_slice(&vector.given_bytes("approver")).ok_or("not a key")?;
    let found = envelope.countersigned_by(&approver).ok_or(NOT_THEIRS)?;
    Ok(json!({
        "digest": envelope.digest(),
        "countersignature": shown_countersignature(found),
        "written_by_human": envelope.written_by_human(&approver),
    }))
}

/// A countersignature of the human's, open to change before it is signed.
pub(crate) struct Bent {
    pub(crate) raw: Raw,
    pub(crate) protected: Vec<(Value, Value)>,
    unprotected: Value,
    context: &'static str,
    aad: Vec<u8>,
    /// Whether the envelope's signature stands in an array, as RFC 9338 section 3.3 says.
    in_array: bool,
    pub(crate) signer: SigningKey,
}

impl Bent {
    pub(crate) fn new() -> Self {
        let how = Value::Array(vec!["passphrase".into(), NOW.into()]);
        let approver = approver(ALICE_HUMAN).id();
        Self {
            raw: Raw::new(),
            protected: vec![
                (1.into(), (-8).into()),
                (4.into(), approver.as_bytes().as_slice().into()),
                ((-70_002).into(), how),
            ],
            unprotected: Value::Map(Vec::new()),
            context: "CounterSignatureV2",
            aad: b"countersign/countersignature/v1".to_vec(),
            in_array: true,
            signer: bare(ALICE_HUMAN),
        }
    }

    fn how(&mut self, method: impl Into<Value>, at: impl Into<Value>) {
        self.how_is(vec![method.into(), at.into()]);
    }

    pub(crate) fn how_is(&mut self, how: Vec<Value>) {
        self.protected[2].1 = Value::Array(how);
    }

    fn protected(&self) -> Vec<u8> {
        cbor::encode(&Value::Map(self.protected.clone()))
    }

    pub(crate) fn signature(&self) -> Vec<u8> {
        let signature = Value::from(self.raw.signature());
        let other = if self.in_array { Value::Array(vec![signature]) } else { signature };
        let structure = Value::Array(vec![
            self.context.into(),
            self.raw.protected().into(),
            self.protected().into(),
            self.aad.clone().into(),
            self.raw.payload.clone().into(),
            other,
        ]);
        self.signer.sign(&cbor::encode(&structure)).to_bytes().to_vec()
    }

    pub(crate) fn value(&self, signature: &[u8]) -> Value {
        let protected = Value::Bytes(self.protected());
        Value::Array(vec![protected, self.unprotected.clone(), signature.into()])
    }

    pub(crate) fn envelope(&self, value: Value) -> Vec<u8> {
        let unprotected = Value::Map(vec![(11.into(), value)]);
        Raw { unprotected, ..self.raw.clone() }.bytes()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.envelope(self.value(&self.signature()))
    }
}

pub(crate) fn make(v: &mut Vectors) {
    let human = approver(ALICE_HUMAN);
    let at = Timestamp::from_ms(NOW);
    for method in [Method::Passphrase, Method::Passkey, Method::Session] {
        let signed = Countersignature::sign(&sealed(), &human, method, at).unwrap();
        let envelope = sealed().with_countersignature(signed).unwrap();
        add(v, (method.as_str(), "the approver's word"), envelope.bytes(), None);
    }
    let signed = Countersignature::sign(&sealed(), &human, Method::Passphrase, at).unwrap();
    assert_eq!(Bent::new().bytes(), sealed().with_countersignature(signed).unwrap().bytes());
    author(v);
    not_theirs(v);
    moved(v);
    weak_approvers(v);
    how(v);
    shape(v);
    super::granted::make(v);
}

pub(crate) fn add(v: &mut Vectors, (id, what): (&str, &str), bytes: &[u8], error: Option<&str>) {
    let given = json!({ "approver": approver(ALICE_HUMAN).id() });
    v.told((&format!("countersignature/{id}"), what), bytes, given, error);
}

pub(crate) fn bent(
    v: &mut Vectors,
    (id, what, error): (&str, &str, &str),
    bend: impl FnOnce(&mut Bent),
) {
    let mut made = Bent::new();
    bend(&mut made);
    add(v, (id, what), &made.bytes(), Some(error));
}

/// The envelope says that its sender's human wrote it.
fn author(v: &mut Vectors) {
    let mut bent = Bent::new();
    bent.raw.set(9, "human");
    add(v, ("author", "says human, and the human signed"), &bent.bytes(), None);
    bent.signer = bare(MALLORY_HUMAN);
    let what = "says human, and another signed";
    add(v, ("author-wrong-key", what), &bent.bytes(), Some(NOT_THEIRS));
}

fn not_theirs(v: &mut Vectors) {
    add(v, ("absent", "no countersignature"), sealed().bytes(), Some(NOT_THEIRS));
    bent(v, ("wrong-key", "says the approver, signed by another", NOT_THEIRS), |bent| {
        bent.signer = bare(MALLORY_HUMAN);
    });
    bent(v, ("node", "says the approver, signed by the sender's node", NOT_THEIRS), |bent| {
        bent.signer = bare(ALICE);
    });
    bent(v, ("other-approver", "a good one by somebody else", NOT_THEIRS), |bent| {
        bent.signer = bare(MALLORY_HUMAN);
        let id = approver(MALLORY_HUMAN).id();
        bent.protected[1].1 = id.as_bytes().as_slice().into();
    });
    bent(v, ("aad-envelope", "with the envelope's label", NOT_THEIRS), |bent| {
        bent.aad = envelope::ENVELOPE_LABEL.as_bytes().to_vec();
    });
    bent(v, ("aad-none", "with no external_aad", NOT_THEIRS), |bent| bent.aad.clear());
    bent(v, ("context-1", "context CounterSignature, not V2", NOT_THEIRS), |bent| {
        bent.context = "CounterSignature";
    });
    bent(v, ("context-0", "context CounterSignature0V2", NOT_THEIRS), |bent| {
        bent.context = "CounterSignature0V2";
    });
    bent(v, ("other-fields", "the signature stands outside of an array", NOT_THEIRS), |bent| {
        bent.in_array = false;
    });
    let good = Bent::new();
    let signature = flipped(&good.signature(), 77);
    let bytes = good.envelope(good.value(&signature));
    add(v, ("flipped", "a bit of it is turned"), &bytes, Some(NOT_THEIRS));
}

/// Good ones, taken from where they belong or changed after they were signed.
fn moved(v: &mut Vectors) {
    let human = approver(ALICE_HUMAN);
    let at = Timestamp::from_ms(NOW);
    let signed = Countersignature::sign(&sealed(), &human, Method::Session, at).unwrap();
    let id = MessageId::from_bytes([9; 16]);
    let other = Header { id, ..header(Kind::Text) };
    let other = Draft { header: other, body: body("hello") }.seal(&identity(ALICE)).unwrap();
    let other = other.with_countersignature(signed.clone()).unwrap();
    add(v, ("moved", "made for another envelope"), other.bytes(), Some(NOT_THEIRS));
    let later = Timestamp::from_ms(NOW + 1);
    for (id, what, changed) in [
        ("method-changed", "the method was changed", Method::Passphrase),
        ("time-changed", "the time was changed", Method::Session),
    ] {
        let at = if changed == Method::Session { later } else { at };
        let changed = Countersignature { method: changed, at, ..signed.clone() };
        let envelope = sealed().with_countersignature(changed).unwrap();
        add(v, (id, what), envelope.bytes(), Some(NOT_THEIRS));
    }
}

fn weak_approvers(v: &mut Vectors) {
    for (n, key) in small_order_points().iter().enumerate().take(4) {
        let mut bent = Bent::new();
        bent.protected[1].1 = key.as_slice().into();
        let mut universal = vec![0; 64];
        universal[0] = 1;
        let bytes = bent.envelope(bent.value(&universal));
        let given = json!({ "approver": packed(key) });
        let id = format!("countersignature/weak-approver-{n}");
        v.told((&id, "the approver is a point of small order"), &bytes, given, Some(NOT_THEIRS));
    }
}

fn how(v: &mut Vectors) {
    let method = "method: is not one that version 1 knows";
    bent(v, ("method-unknown", "an unknown method", method), |bent| bent.how("nod", NOW));
    bent(v, ("method-number", "a method as a number", "method: is not a text"), |bent| {
        bent.how(1, NOW);
    });
    let time = "time: is not an unsigned integer";
    bent(v, ("time-negative", "a time before 1970", time), |bent| bent.how("session", -1));
    let shape = "is not [protected, {}, signature]";
    bent(v, ("how-short", "no time", shape), |bent| {
        bent.how_is(vec!["session".into()]);
    });
    bent(v, ("how-empty", "neither", shape), |bent| bent.how_is(Vec::new()));
    let three = "how: has a grant without its signature";
    bent(v, ("how-long", "method, time and more", three), |bent| {
        bent.how_is(vec!["session".into(), NOW.into(), 1.into()]);
    });
    let missing = "is missing";
    bent(v, ("how-missing", "neither method nor time", missing), |bent| bent.protected.truncate(2));
    bent(v, ("kid-missing", "no kid", missing), |bent| drop(bent.protected.remove(1)));
    bent(v, ("alg-missing", "no alg", missing), |bent| drop(bent.protected.remove(0)));
    bent(v, ("kid-short", "kid of 31 bytes", "has the wrong length"), |bent| {
        bent.protected[1].1 = vec![1; 31].into();
    });
    bent(v, ("alg-other", "alg is ES256", "algorithm: is not EdDSA"), |bent| {
        bent.protected[0].1 = (-7).into();
    });
    bent(v, ("parameter-unknown", "another parameter", "a field that version 1"), |bent| {
        bent.protected.push(((-70_003).into(), 1.into()));
    });
    bent(v, ("parameters-unordered", "kid before alg", "map keys out of order"), |bent| {
        bent.protected.swap(0, 1);
    });
}

fn shape(v: &mut Vectors) {
    let shape = "is not [protected, {}, signature]";
    bent(v, ("unprotected", "an unprotected parameter", shape), |bent| {
        bent.unprotected = Value::Map(vec![(4.into(), vec![1].into())]);
    });
    let good = Bent::new();
    let signature = good.signature();
    let value = good.value(&signature);
    let short = good.envelope(good.value(&signature[..63]));
    add(v, ("signature-short", "63 bytes"), &short, Some(shape));
    let two = good.envelope(Value::Array(vec![value.clone(), value.clone()]));
    add(v, ("two", "an array of two countersignatures"), &two, Some(shape));
    let tagged = good.envelope(Value::Tag(19, Box::new(value.clone())));
    add(v, ("tagged", "with tag 19"), &tagged, Some("countersignature: is not an array"));
    let bare = good.envelope(Value::from(signature.as_slice()));
    add(v, ("abbreviated", "a bare signature"), &bare, Some("countersignature: is not an array"));
    let more = "unprotected header: holds more than a countersignature";
    let old = "header: holds a countersignature of the old form";
    for (id, what, label, error) in [
        ("label-7", "under label 7 of RFC 8152", 7, old),
        ("label-12", "under label 12, a Countersignature0", 12, more),
    ] {
        let unprotected = Value::Map(vec![(label.into(), value.clone())]);
        let bytes = Raw { unprotected, ..good.raw.clone() }.bytes();
        add(v, (id, what), &bytes, Some(error));
    }
    let protected = [good.protected(), vec![0]].concat();
    let parts = vec![protected.into(), good.unprotected.clone(), signature.into()];
    let bytes = good.envelope(Value::Array(parts));
    add(v, ("trailing", "a byte after its header"), &bytes, Some("bytes after the end"));
}
