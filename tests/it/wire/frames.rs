//! Vectors of the frames between trusted peers.

use ciborium::Value;
use countersign::{
    base::limits,
    wire::{Frame, Hello, Run, cbor},
};
use serde_json::{Value as Json, json};

use super::{
    cast::{ALICE_HUMAN, approver, sealed, set, small_order_points, unset},
    vectors::{Vector, Vectors, packed},
};

pub(crate) fn decode(vector: &Vector) -> Result<Json, String> {
    Ok(match Frame::decode(&vector.input()).map_err(|e| e.to_string())? {
        Frame::Hello(hello) => json!({ "hello": {
            "approver": hello.approver,
            "features": hello.features,
            "addresses": hello.addresses,
        } }),
        Frame::Ping(nonce) => json!({ "ping": nonce }),
        Frame::Pong(nonce) => json!({ "pong": nonce }),
        Frame::Data { seq, envelope } => json!({ "data": [seq, packed(&envelope)] }),
        Frame::Ack { upto, receipt } => {
            json!({ "ack": [upto, receipt.map(|bytes| packed(&bytes))] })
        }
        Frame::Twice => json!("twice"),
        Frame::Unknown(tag) => json!({ "unknown": tag }),
    })
}

/// A hello as CBOR pairs, open to change.
fn hello() -> Vec<(Value, Value)> {
    let texts = |texts: &[&str]| Value::Array(texts.iter().map(|text| (*text).into()).collect());
    vec![
        (1.into(), 1.into()),
        (2.into(), approver(ALICE_HUMAN).id().as_bytes().as_slice().into()),
        (3.into(), texts(&["card", "file"])),
        (4.into(), texts(&["192.0.2.7:4433", "https://relay.example/"])),
    ]
}

fn frame(parts: Vec<Value>) -> Vec<u8> {
    cbor::encode(&Value::Array(parts))
}

fn hello_with(key: i64, value: impl Into<Value>) -> Vec<u8> {
    let mut pairs = hello();
    set(&mut pairs, key, value);
    frame(vec![0.into(), Value::Map(pairs)])
}

fn hello_without(key: i64) -> Vec<u8> {
    let mut pairs = hello();
    unset(&mut pairs, key);
    frame(vec![0.into(), Value::Map(pairs)])
}

fn texts(count: usize, bytes: usize) -> Value {
    Value::Array(vec![Value::from("t".repeat(bytes)); count])
}

pub(crate) fn make(v: &mut Vectors) {
    good(v);
    bad_hellos(v);
    bad_frames(v);
    bad_encodings(v);
}

fn good(v: &mut Vectors) {
    let empty =
        Hello { approver: approver(ALICE_HUMAN).id(), features: Vec::new(), addresses: Vec::new() };
    let envelope = sealed().bytes().to_vec();
    let largest = vec![0x61; limits::FRAME_BYTES_MAX - 8];
    for (id, what, frame) in [
        ("hello-empty", "a hello without features and addresses", Frame::Hello(empty)),
        ("ping", "a ping", Frame::Ping(0x1234_5678)),
        ("pong", "a pong with the largest number", Frame::Pong(u64::MAX)),
        ("data", "an envelope", Frame::Data { seq: 1, envelope: envelope.clone() }),
        ("ack", "an acknowledgement", Frame::Ack { upto: 256, receipt: None }),
        ("ack-receipt", "one with a receipt", Frame::Ack { upto: 1, receipt: Some(envelope) }),
        ("size-max", "67712 bytes", Frame::Data { seq: 1, envelope: largest }),
        ("unknown", "a frame of a later version", Frame::Unknown(6)),
        ("twice", "the other side's key is in two places", Frame::Twice),
    ] {
        v.good(&format!("frame/{id}"), what, &frame.encode());
    }
    v.good("frame/hello", "a hello", &frame(vec![0.into(), Value::Map(hello())]));
    let needs = ["need.passphrase.kind.request", "need.session.severity.critical"];
    let needs = hello_with(3, Value::Array(needs.map(Value::from).to_vec()));
    v.good("frame/hello-requires", "a hello with requirements", &needs);
    let says = ["v=0.1.0".to_owned(), Run(0x0123_4567_89ab_cdef).feature()];
    let says = hello_with(3, Value::Array(says.map(Value::from).to_vec()));
    v.good("frame/hello-run", "a hello with a version and a run", &says);
    v.good("frame/features-max", "16 features of 32 bytes", &hello_with(3, texts(16, 32)));
    v.good("frame/addresses-max", "8 addresses of 128 bytes", &hello_with(4, texts(8, 128)));
    let later = frame(vec![99.into(), "anything".into(), Value::Map(hello()), Value::Null]);
    v.good("frame/unknown-parts", "a later frame with parts, which are passed over", &later);
    let most = frame(vec![99.into(); 16]);
    v.good("frame/unknown-most", "a later frame of 16 parts", &most);
}

fn bad_hellos(v: &mut Vectors) {
    let missing = "is missing";
    for (id, what, bytes, error) in [
        ("hello-version", "version 2", hello_with(1, 2), "version 2 is not spoken here"),
        ("hello-version-missing", "no version", hello_without(1), missing),
        ("hello-approver-missing", "no approver", hello_without(2), missing),
        ("hello-features-missing", "no features", hello_without(3), missing),
        ("hello-addresses-missing", "no addresses", hello_without(4), missing),
        ("hello-field-unknown", "a fifth field", hello_with(5, 1), "a field that version 1"),
        ("approver-short", "31 bytes", hello_with(2, vec![1; 31]), "has the wrong length"),
        ("approver-text", "a text", hello_with(2, "alice"), "is not a byte string"),
        (
            "approver-weak",
            "small order",
            hello_with(2, small_order_points()[1].to_vec()),
            "not a safe",
        ),
        ("features-over", "17 features", hello_with(3, texts(17, 1)), "the limit is 16"),
        ("feature-long", "a feature of 33 bytes", hello_with(3, texts(1, 33)), "the limit is 32"),
        (
            "feature-number",
            "a feature as a number",
            hello_with(3, vec![Value::from(1)]),
            "not a text",
        ),
        ("features-text", "features as a text", hello_with(3, "card"), "is not an array"),
        ("addresses-over", "9 addresses", hello_with(4, texts(9, 1)), "the limit is 8"),
        ("address-long", "129 bytes", hello_with(4, texts(1, 129)), "the limit is 128"),
        (
            "hello-array",
            "an array",
            frame(vec![0.into(), Value::Array(Vec::new())]),
            "is not a map",
        ),
        (
            "hello-more",
            "a third part",
            frame(vec![0.into(), Value::Map(hello()), 1.into()]),
            "too long",
        ),
    ] {
        v.bad(&format!("frame/{id}"), &format!("a hello: {what}"), &bytes, error);
    }
}

fn bad_frames(v: &mut Vectors) {
    let short = "frame: is cut short";
    let uint = "is not an unsigned integer";
    let bytes = || Value::from(vec![1, 2]);
    for (id, what, parts, error) in [
        ("empty", "no type", vec![], short),
        ("type-text", "the type is a text", vec!["ping".into()], uint),
        ("type-negative", "the type is negative", vec![(-1).into()], uint),
        ("ping-short", "a ping without a number", vec![1.into()], short),
        ("ping-long", "a ping with two numbers", vec![1.into(), 1.into(), 2.into()], "is too long"),
        ("ping-negative", "a ping with -1", vec![1.into(), (-1).into()], uint),
        ("pong-text", "a pong with a text", vec![2.into(), "a".into()], uint),
        ("data-short", "no envelope", vec![3.into(), 1.into()], short),
        (
            "data-long",
            "more than an envelope",
            vec![3.into(), 1.into(), bytes(), bytes()],
            "is too long",
        ),
        (
            "data-text",
            "the envelope is a text",
            vec![3.into(), 1.into(), "a".into()],
            "not a byte string",
        ),
        (
            "data-null",
            "the envelope is null",
            vec![3.into(), 1.into(), Value::Null],
            "not a byte string",
        ),
        ("data-negative", "a negative number", vec![3.into(), (-1).into(), bytes()], uint),
        ("ack-short", "an acknowledgement without its third part", vec![4.into(), 1.into()], short),
        (
            "ack-bool",
            "the receipt is false",
            vec![4.into(), 1.into(), false.into()],
            "not a byte string",
        ),
        (
            "ack-long",
            "a fourth part",
            vec![4.into(), 1.into(), Value::Null, 1.into()],
            "is too long",
        ),
        ("unknown-over", "a later frame of 17 parts", vec![99.into(); 17], "the limit is 16"),
        ("unknown-float", "a later frame with a float", vec![99.into(), 1.5.into()], "floats"),
    ] {
        v.bad(&format!("frame/{id}"), what, &frame(parts), error);
    }
}

fn bad_encodings(v: &mut Vectors) {
    let over = Frame::Data { seq: 1, envelope: vec![0x61; limits::FRAME_BYTES_MAX - 7] }.encode();
    v.bad("frame/size-over", "67713 bytes", &over, "67713 bytes; the limit is 67712");
    let shortest = "not the shortest form";
    for (id, what, bytes, error) in [
        ("nothing", "no bytes", vec![], "not valid CBOR"),
        ("map", "a map", vec![0xa0], "frame: is not an array"),
        ("trailing", "a byte after the end", vec![0x82, 1, 7, 0], "bytes after the end"),
        ("cut", "the number is missing", vec![0x82, 1], "not valid CBOR"),
        ("number-long", "the number in two bytes", vec![0x82, 1, 0x18, 7], shortest),
        ("type-long", "the type in two bytes", vec![0x82, 0x18, 1, 7], shortest),
        ("indefinite", "an array without a length", vec![0x9f, 1, 7, 0xff], shortest),
        ("undefined", "undefined for null", vec![0x83, 4, 1, 0xf7], shortest),
        ("pieces", "an envelope in pieces", vec![0x83, 3, 1, 0x5f, 0x41, 1, 0xff], shortest),
        ("unknown-long", "a later frame, long form", vec![0x82, 0x18, 99, 0x18, 7], shortest),
    ] {
        v.bad(&format!("frame/{id}"), what, &bytes, error);
    }
    let mut pairs = hello();
    pairs.swap(2, 3);
    let bytes = frame(vec![0.into(), Value::Map(pairs)]);
    v.bad("frame/hello-unordered", "a hello with unordered keys", &bytes, "out of order");
    let mut pairs = hello();
    pairs.insert(1, (1.into(), 1.into()));
    let bytes = frame(vec![0.into(), Value::Map(pairs)]);
    v.bad(
        "frame/hello-doubled",
        "a hello with its version twice",
        &bytes,
        "out of order or doubled",
    );
}
