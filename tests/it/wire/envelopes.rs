//! Vectors of envelopes: good ones, and what is wrong with a header. Signatures and encodings are
//! bent in `forgeries`, bodies in `envelope_bodies`.

use ciborium::Value;
use countersign::{
    base::{MessageId, SessionName, Timestamp, limits},
    wire::{Body, Countersignature, Draft, Envelope, Grant, Header, Kind, Method},
};
use serde_json::{Value as Json, json};

use super::{
    cast::{ALICE, ALICE_HUMAN, DAY_MS, NOW, Raw, approver, body, header, identity, sealed},
    grants, receipts,
    vectors::{Vector, Vectors, packed},
};

pub(crate) fn decode(vector: &Vector) -> Result<Json, String> {
    Envelope::decode(&vector.input()).map(|envelope| shown(&envelope)).map_err(|e| e.to_string())
}

/// What an envelope says. Long content is shown as runs are in the vectors' bytes.
pub(crate) fn shown(envelope: &Envelope) -> Json {
    let header = envelope.header();
    json!({
        "kind": header.kind.as_str(),
        "id": header.id,
        "sender": header.sender,
        "recipient": header.recipient,
        "created": header.created,
        "expires": header.expires,
        "thread": header.thread,
        "reply_to": header.reply_to,
        "author": header.human.then_some("human"),
        "session": header.session,
        "body": shown_body(envelope.body()),
        "digest": envelope.digest(),
        "countersignature": envelope.countersignature().map(shown_countersignature),
    })
}

pub(crate) fn shown_body(body: &Body) -> Json {
    match body {
        Body::Text(text) if text.as_str().len() > 256 => {
            json!({ "text_bytes": packed(text.as_str().as_bytes()) })
        }
        Body::Text(text) => json!({ "text": text }),
        Body::Receipt(receipt) => receipts::shown(receipt),
        Body::Unknown(bytes) => json!({ "unknown": packed(bytes) }),
    }
}

pub(crate) fn shown_countersignature(found: &Countersignature) -> Json {
    let mut shown =
        json!({ "approver": found.approver, "method": found.method.as_str(), "at": found.at });
    if let Some(signed) = &found.grant {
        let grant = Grant::decode(&signed.statement).map(|grant| grants::shown(&grant));
        shown["grant"] = grant.unwrap_or_default();
    }
    shown
}

pub(crate) fn make(v: &mut Vectors) {
    good(v);
    parameters(v);
    fields(v);
    times(v);
    super::envelope_bodies::make(v);
    super::forgeries::make(v);
}

fn good(v: &mut Vectors) {
    let mut add = |id: &str, what: &str, header: Header, body: Body| {
        let envelope = Draft { header, body }.seal(&identity(ALICE)).unwrap();
        v.good(&format!("envelope/{id}"), what, envelope.bytes());
    };
    add("text", "a text in a thread", header(Kind::Text), body("hello"));
    add("request", "a request", header(Kind::Request), body("How long is a piece of string?"));
    let reply_to = Some(MessageId::from_bytes([0xa5; 16]));
    let reply = Header { reply_to, ..header(Kind::Reply) };
    add("reply", "a reply to a message", reply, body("Twice half its length."));
    let alone = Header { thread: None, ..header(Kind::Text) };
    add("no-thread", "neither thread nor reply_to", alone.clone(), body("hello"));
    let written = Header { human: true, ..header(Kind::Text) };
    add("author", "says that the sender's human wrote it", written.clone(), body("hello"));
    let session = SessionName::parse("api-server").ok();
    let named = Header { session: session.clone(), ..header(Kind::Text) };
    add("session", "for one session of the recipient's", named.clone(), body("hello"));
    let longest = SessionName::parse(&"-_.z9aZ".to_lowercase().repeat(5)[..32]).ok();
    let longest = Header { session: longest, ..named };
    add("session-max", "for a session with a name of 32 characters", longest, body("hello"));
    let all = Header { human: true, reply_to, session, ..written };
    add("every-field", "with every field that may be absent", all, body("hello"));
    let unicode = "Grüße, 日本, \u{1f44b}, \u{202e}\u{0}\n";
    add("unicode", "any Unicode, controls too", header(Kind::Text), body(unicode));
    let receipt = Header { thread: None, ..header(Kind::Receipt) };
    add("receipt", "a receipt", receipt, Body::Receipt(receipts::sample(1)));
    let card = Body::Unknown(vec![0xa1, 0x01, 0x63, b'B', b'o', b'b']);
    add("unknown-kind", "a kind of a later version", header(Kind::Unknown("card".into())), card);
    let kind = Kind::Unknown("a.b_9".repeat(7).get(..32).unwrap().into());
    add("kind-max", "a kind of 32 characters", header(kind), Body::Unknown(vec![0xf6]));
    let long = Header { expires: Timestamp::from_ms(NOW + 30 * DAY_MS), ..alone.clone() };
    add("life-max", "good for 30 days to the millisecond", long, body("hello"));
    let created = Timestamp::from_ms(u64::MAX - 1);
    let last = Header { created, expires: Timestamp::from_ms(u64::MAX), ..alone };
    add("last-time", "good for one millisecond at the end of time", last, body("hello"));
    let text = "a".repeat(limits::TEXT_BYTES_MAX);
    add("text-max", "a text of 65536 bytes", header(Kind::Text), body(&text));
    let at = Timestamp::from_ms(NOW + 1000);
    let human = approver(ALICE_HUMAN);
    let signed = Countersignature::sign(&sealed(), &human, Method::Passphrase, at).unwrap();
    let whole = sealed().with_countersignature(signed).unwrap();
    v.good("envelope/countersigned", "with a countersignature", whole.bytes());
}

/// Adds a bad vector made of Alice's text with one thing changed.
pub(crate) fn bent(
    v: &mut Vectors,
    (id, what, error): (&str, &str, &str),
    bend: impl FnOnce(&mut Raw),
) {
    let mut raw = Raw::new();
    bend(&mut raw);
    v.bad(&format!("envelope/{id}"), what, &raw.bytes(), error);
}

fn parameters(v: &mut Vectors) {
    let alg = "algorithm: is not EdDSA";
    bent(v, ("alg-es256", "alg is ES256", alg), |raw| raw.parameter(1, -7));
    bent(v, ("alg-ed25519", "alg is -19 (RFC 9864), not -8", alg), |raw| raw.parameter(1, -19));
    bent(v, ("alg-text", "alg is a text", alg), |raw| raw.parameter(1, "EdDSA"));
    bent(v, ("alg-missing", "no alg", alg), |raw| drop(raw.parameters.remove(0)));
    let kid = "kid: is not an identity key";
    bent(v, ("kid-missing", "no kid", kid), |raw| drop(raw.parameters.remove(1)));
    bent(v, ("kid-short", "kid of 31 bytes", kid), |raw| raw.parameter(4, vec![1; 31]));
    bent(v, ("kid-long", "kid of 33 bytes", kid), |raw| raw.parameter(4, vec![1; 33]));
    let other = "differs from its own re-encoding";
    let crit = Value::Array(vec![Value::from(1)]);
    bent(v, ("crit", "a crit parameter", other), |raw| {
        raw.parameters.insert(1, (2.into(), crit));
    });
    bent(v, ("content-type", "a content type", other), |raw| {
        raw.parameters.insert(1, (3.into(), "text/plain".into()));
    });
    bent(v, ("parameter-unknown", "another private parameter", other), |raw| {
        raw.parameter(-69_999, 1);
    });
    let more = "unprotected header: holds more than a countersignature";
    let map = |label: i64, value: Value| Value::Map(vec![(label.into(), value)]);
    bent(v, ("unprotected-kid", "kid in the unprotected header too", more), |raw| {
        raw.unprotected = map(4, vec![1; 32].into());
    });
    bent(v, ("unprotected-unknown", "an unknown unprotected parameter", more), |raw| {
        raw.unprotected = map(-70_009, 1.into());
    });
    bent(v, ("header-missing", "our parameter is missing", "header: is missing"), |raw| {
        let map = Value::Map(raw.parameters.clone());
        raw.protected = Some(countersign::wire::cbor::encode(&map));
    });
    bent(v, ("header-array", "our parameter is an array", "header: is not a map"), |raw| {
        let ours = (countersign::wire::envelope::HEADER_LABEL.into(), Value::Array(Vec::new()));
        let map = Value::Map(raw.parameters.iter().cloned().chain([ours]).collect());
        raw.protected = Some(countersign::wire::cbor::encode(&map));
    });
}

fn fields(v: &mut Vectors) {
    bent(v, ("version-2", "version 2", "version 2 is not spoken here"), |raw| raw.set(1, 2));
    bent(v, ("version-0", "version 0", "version 0 is not spoken here"), |raw| raw.set(1, 0));
    let uint = "is not an unsigned integer";
    bent(v, ("version-text", "the version is a text", uint), |raw| raw.set(1, "1"));
    for (key, name) in
        [(1, "version"), (2, "kind"), (3, "id"), (4, "recipient"), (5, "created"), (6, "expires")]
    {
        let (id, what) = (format!("{name}-missing"), format!("no {name}"));
        bent(v, (&id, &what, "is missing"), |raw| raw.unset(key));
    }
    let kind = "kind: is not 1 to 32 of a-z";
    bent(v, ("kind-empty", "an empty kind", kind), |raw| raw.set(2, ""));
    bent(v, ("kind-upper", "a kind in upper case", kind), |raw| raw.set(2, "Text"));
    bent(v, ("kind-space", "a kind with a space", kind), |raw| raw.set(2, "text "));
    bent(v, ("kind-long", "a kind of 33 characters", "the limit is 32"), |raw| {
        raw.set(2, "k".repeat(33));
    });
    bent(v, ("kind-bytes", "the kind is a byte string", "kind: is not a text"), |raw| {
        raw.set(2, b"text".to_vec());
    });
    let length = "has the wrong length";
    for (key, name, wrong) in [
        (3, "id", 15),
        (3, "id", 17),
        (4, "recipient", 31),
        (4, "recipient", 33),
        (7, "thread", 15),
    ] {
        let (id, what) = (format!("{name}-{wrong}"), format!("{name} of {wrong} bytes"));
        bent(v, (&id, &what, length), |raw| raw.set(key, vec![1; wrong]));
    }
    let bytes = "is not a byte string";
    bent(v, ("id-text", "the id is a text", bytes), |raw| raw.set(3, "0123456789abcdef"));
    bent(v, ("thread-null", "the thread is null, not absent", bytes), |raw| {
        raw.set(7, Value::Null);
    });
    bent(v, ("reply-to-long", "reply_to of 17 bytes", length), |raw| raw.set(8, vec![1; 17]));
    let unknown = "a field that version 1 does not know";
    let author = "author: is not human";
    bent(v, ("author-agent", "the author is another text", author), |raw| raw.set(9, "agent"));
    bent(v, ("author-upper", "the author in upper case", author), |raw| raw.set(9, "Human"));
    bent(v, ("author-empty", "the author is empty", author), |raw| raw.set(9, ""));
    bent(v, ("author-number", "the author is a number", author), |raw| raw.set(9, 1));
    bent(v, ("author-bytes", "the author is bytes", author), |raw| raw.set(9, b"human".to_vec()));
    bent(v, ("author-true", "the author is true", author), |raw| raw.set(9, true));
    bent(v, ("author-null", "the author is null", author), |raw| raw.set(9, Value::Null));
    sessions(v);
    bent(v, ("field-unknown", "an eleventh field", unknown), |raw| raw.set(11, 1));
    bent(v, ("field-text-key", "a field with a text for a key", unknown), |raw| {
        raw.ours.push(("a".into(), 1.into()));
    });
}

fn sessions(v: &mut Vectors) {
    let name = "session: is not 1 to 32 of a-z";
    bent(v, ("session-empty", "a session without a name", name), |raw| raw.set(10, ""));
    bent(v, ("session-upper", "a session in upper case", name), |raw| raw.set(10, "Api"));
    bent(v, ("session-slash", "a session with a slash", name), |raw| raw.set(10, "bob/api"));
    bent(v, ("session-space", "a session with a space", name), |raw| raw.set(10, "my api"));
    bent(v, ("session-unicode", "a session with a letter beyond ASCII", name), |raw| {
        raw.set(10, "\u{e4}pi");
    });
    bent(v, ("session-control", "a session with a line break", name), |raw| raw.set(10, "a\nb"));
    bent(v, ("session-long", "a session of 33 characters", "the limit is 32"), |raw| {
        raw.set(10, "s".repeat(33));
    });
    let text = "session: is not a text";
    bent(v, ("session-bytes", "the session is bytes", text), |raw| raw.set(10, b"api".to_vec()));
    bent(v, ("session-null", "the session is null, not absent", text), |raw| {
        raw.set(10, Value::Null);
    });
    bent(v, ("session-number", "the session is a number", text), |raw| raw.set(10, 1));
}

fn times(v: &mut Vectors) {
    let uint = "is not an unsigned integer";
    bent(v, ("created-negative", "created before 1970", uint), |raw| raw.set(5, -1));
    bent(v, ("created-text", "created as a text", uint), |raw| raw.set(5, "2026-09-21"));
    let life = "must expire after it was created and within 30 days";
    bent(v, ("life-none", "expires when it was created", life), |raw| raw.set(6, NOW));
    bent(v, ("life-negative", "expires before it was created", life), |raw| raw.set(6, NOW - 1));
    bent(v, ("life-over", "30 days and a millisecond", life), |raw| {
        raw.set(6, NOW + 30 * DAY_MS + 1);
    });
    bent(v, ("life-endless", "never expires", life), |raw| raw.set(6, u64::MAX));
}
