//! Vectors of envelopes whose body is wrong, or at its bounds. All are well signed.

use ciborium::Value;
use countersign::{
    base::limits,
    wire::{Body, Draft, Envelope, Kind, cbor},
};

use super::{
    cast::{ALICE, header, identity},
    envelopes::bent,
    vectors::Vectors,
};

pub(crate) fn make(v: &mut Vectors) {
    texts(v);
    unknown(v);
    sizes(v);
}

fn map(pairs: Vec<(Value, Value)>) -> Vec<u8> {
    cbor::encode(&Value::Map(pairs))
}

fn text(text: impl Into<Value>) -> Vec<u8> {
    map(vec![(1.into(), text.into())])
}

fn texts(v: &mut Vectors) {
    bent(v, ("body-none", "a payload of no bytes", "not valid CBOR"), |raw| raw.payload.clear());
    bent(v, ("body-array", "the body is an array", "body: is not a map"), |raw| {
        raw.payload = vec![0x80];
    });
    bent(v, ("text-missing", "a body without a text", "text: is missing"), |raw| {
        raw.payload = vec![0xa0];
    });
    bent(v, ("text-empty", "an empty text", "text: is empty"), |raw| raw.payload = text(""));
    bent(v, ("text-bytes", "the text is a byte string", "text: is not a text"), |raw| {
        raw.payload = text(b"hello".to_vec());
    });
    bent(v, ("text-not-utf-8", "the text is not UTF-8", "not valid CBOR"), |raw| {
        raw.payload = vec![0xa1, 0x01, 0x61, 0xff];
    });
    bent(v, ("text-over", "a text of 65537 bytes", "the limit is 65536"), |raw| {
        raw.payload = text("a".repeat(limits::TEXT_BYTES_MAX + 1));
    });
    bent(v, ("body-field-unknown", "a second field", "a field that version 1"), |raw| {
        raw.payload = map(vec![(1.into(), "hello".into()), (2.into(), "more".into())]);
    });
    bent(v, ("body-trailing", "a byte after the body", "bytes after the end"), |raw| {
        raw.payload.push(0);
    });
    bent(v, ("body-long-length", "the text's length in two bytes", "the shortest form"), |raw| {
        raw.payload = vec![0xa1, 0x01, 0x78, 0x01, b'a'];
    });
    bent(v, ("body-indefinite", "a body without a length", "the shortest form"), |raw| {
        raw.payload = vec![0xbf, 0x01, 0x61, b'a', 0xff];
    });
    bent(v, ("receipt-text", "a receipt whose body is a text's", "entries: is not"), |raw| {
        raw.set(2, "receipt");
    });
}

fn unknown(v: &mut Vectors) {
    let mut add = |id: &str, what: &str, error: &str, payload: Vec<u8>| {
        bent(v, (id, what, error), |raw| {
            raw.set(2, "card");
            raw.payload = payload;
        });
    };
    let unused = "floats, tags and undefined are not used";
    add("unknown-none", "an unknown kind without a body", "not valid CBOR", Vec::new());
    add("unknown-float", "an unknown kind with a float", unused, vec![0xf9, 0x3c, 0x00]);
    add("unknown-tag", "an unknown kind with a tag", unused, vec![0xc0, 0x61, b'a']);
    let unordered = vec![0xa2, 0x02, 0x00, 0x01, 0x00];
    add("unknown-unordered", "an unknown kind, keys unordered", "map keys out of order", unordered);
    let deep = [vec![0x81; 8], vec![0x80]].concat();
    add("unknown-deep", "an unknown kind with nine levels", "not valid CBOR", deep);
}

/// A well signed envelope of an unknown kind that is `size` bytes long.
fn of_size(size: usize) -> Result<Envelope, countersign::wire::WireError> {
    let kind = Kind::Unknown("card".into());
    let sealed = |length: usize| {
        let body = Body::Unknown(cbor::encode(&Value::Bytes(vec![0; length])));
        Draft { header: header(kind.clone()), body }.seal(&identity(ALICE))
    };
    // The lengths inside take as many bytes at 66000 as at the bound.
    let rest = sealed(66_000)?.bytes().len() - 66_000;
    sealed(size - rest)
}

fn sizes(v: &mut Vectors) {
    let limit = limits::ENVELOPE_BYTES_MAX;
    let largest = of_size(limit).unwrap();
    assert_eq!(largest.bytes().len(), limit);
    v.good("envelope/size-max", "67584 bytes", largest.bytes());
    assert!(of_size(limit + 1).is_err(), "the product does not seal more");
    let Body::Unknown(body) = largest.body() else { panic!("an unknown body") };
    let longer = cbor::encode(&Value::Bytes(vec![0; body.len() - 4]));
    bent(v, ("size-over", "67585 bytes", "67585 bytes; the limit is 67584"), |raw| {
        raw.set(2, "card");
        raw.payload = longer;
    });
}
