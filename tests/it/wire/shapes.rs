//! Vectors of deterministic CBOR.

use ciborium::Value;
use countersign::wire::cbor;
use serde_json::{Value as Json, json};

use super::vectors::{Vector, Vectors, packed};

pub(crate) fn decode(vector: &Vector) -> Result<Json, String> {
    let value = cbor::decode("vector", &vector.input(), 4096).map_err(|e| e.to_string())?;
    Ok(shown(&value))
}

/// A value as JSON; maps as arrays of pairs and bytes as `{"hex": ..}`.
#[expect(clippy::wildcard_enum_match_arm, reason = "what else there is was refused")]
fn shown(value: &Value) -> Json {
    match value {
        Value::Integer(n) => {
            let n = i128::from(*n);
            u64::try_from(n).map_or_else(|_| json!(n.to_string()), |n| json!(n))
        }
        Value::Bytes(bytes) => json!({ "hex": packed(bytes) }),
        Value::Text(text) => json!(text),
        Value::Bool(b) => json!(b),
        Value::Array(items) => items.iter().map(shown).collect(),
        Value::Map(pairs) => {
            pairs.iter().map(|(key, value)| json!([shown(key), shown(value)])).collect()
        }
        _ => Json::Null,
    }
}

fn hex(hex: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap()
}

pub(crate) fn make(v: &mut Vectors) {
    good(v);
    bad(v);
    let bytes = |length: usize| cbor::encode(&Value::Bytes(vec![0; length]));
    v.good("cbor/size-max", "4096 bytes, the limit of this file", &bytes(4093));
    v.bad("cbor/size-over", "4097 bytes", &bytes(4094), "the limit is 4096");
}

fn good(v: &mut Vectors) {
    for (id, what, bytes) in [
        ("map", "a map with keys in order", "a2010202820304"),
        ("key-order", "keys are ordered by their encoded bytes: 10, 100, -1, \"z\"", KEYS_IN_ORDER),
        ("largest", "the largest unsigned integer", "1bffffffffffffffff"),
        ("least", "the least negative integer", "3bffffffffffffffff"),
        ("simple", "false, true and null", "83f4f5f6"),
        ("empty", "an empty map, array, text and byte string", "84a0806040"),
        ("deep-8", "eight levels of arrays", "8181818181818180"),
    ] {
        v.good(&format!("cbor/{id}"), what, &hex(bytes));
    }
}

fn bad(v: &mut Vectors) {
    let shortest = "not the shortest form";
    let order = "map keys out of order or doubled";
    let unused = "floats, tags and undefined are not used";
    for (id, what, bytes, error) in [
        ("long-int-8", "1 in two bytes", "1801", shortest),
        ("long-int-16", "1 in three bytes", "190001", shortest),
        ("long-int-32", "1 in five bytes", "1a00000001", shortest),
        ("long-int-64", "1 in nine bytes", "1b0000000000000001", shortest),
        ("long-negative", "-1 in two bytes", "3800", shortest),
        ("long-text-length", "a text whose length takes two bytes", "780161", shortest),
        ("long-bytes-length", "a byte string whose length takes two bytes", "580161", shortest),
        ("long-array-length", "an array whose length takes two bytes", "980101", shortest),
        ("long-map-length", "a map whose length takes two bytes", "b8010102", shortest),
        ("indefinite-array", "an array without a length", "9f01ff", shortest),
        ("indefinite-map", "a map without a length", "bf0102ff", shortest),
        ("indefinite-text", "a text in pieces", "7f6161ff", shortest),
        ("indefinite-bytes", "a byte string in pieces", "5f4161ff", shortest),
        ("keys-unordered", "keys 2, 1", "a202000100", order),
        (
            "keys-length-first",
            "keys -1, 100: ordered by length, as RFC 7049 did",
            LENGTH_FIRST,
            order,
        ),
        ("keys-doubled", "key 1 twice", "a201000100", order),
        ("inner-unordered", "unordered keys in a map in an array", "81a202000100", order),
        ("half", "a float of two bytes", "f93c00", unused),
        ("single", "a float of four bytes", "fa3f800000", unused),
        ("double", "a float of eight bytes", "fb3ff0000000000000", unused),
        ("tag", "a tag", "c000", unused),
        ("bignum", "a small integer as a bignum", "c24101", "not in deterministic encoding"),
        ("undefined", "undefined", "f7", shortest),
        ("simple-16", "a simple value that has no meaning", "f0", "not valid CBOR"),
        ("trailing", "a byte after the end", "0000", "bytes after the end"),
        ("two-items", "two items", "a0a0", "bytes after the end"),
        ("deep-9", "nine levels of arrays", "818181818181818180", "not valid CBOR"),
        (
            "deep-9-maps",
            "nine levels of maps",
            "a101a101a101a101a101a101a101a101a0",
            "not valid CBOR",
        ),
        ("cut-array", "an array that lacks its second item", "8201", "not valid CBOR"),
        ("cut-text", "a text that lacks its last byte", "6261", "not valid CBOR"),
        (
            "cut-huge",
            "an array that says it has 2^64-1 items",
            "9bffffffffffffffff",
            "not valid CBOR",
        ),
        ("not-utf-8", "a text that is not UTF-8", "61ff", "not valid CBOR"),
        ("reserved", "a reserved length", "1c", "not valid CBOR"),
        ("break", "a break outside of anything", "ff", "not valid CBOR"),
        ("nothing", "no bytes at all", "", "not valid CBOR"),
    ] {
        v.bad(&format!("cbor/{id}"), what, &hex(bytes), error);
    }
}

const KEYS_IN_ORDER: &str = "a40a001864002000617a00";
const LENGTH_FIRST: &str = "a22000186400";
