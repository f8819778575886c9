//! Vectors of invites.

use ciborium::Value;
use countersign::{
    base::{Digest, Secret, Timestamp, limits},
    wire::{Invite, cbor, invite},
};
use data_encoding::{BASE32_NOPAD_NOCASE, HEXLOWER};
use serde_json::{Value as Json, json};

use super::{
    cast::{
        ALICE, ALICE_HUMAN, DAY_MS, NOW, approver, flipped, peer, set, small_order_points, unset,
    },
    consents,
    vectors::{Vector, Vectors},
};

pub(crate) fn decode(vector: &Vector) -> Result<Json, String> {
    let now = Timestamp::from_ms(vector.given("now").as_u64().expect("a time"));
    let invite = Invite::decode(vector.text(), now).map_err(|e| e.to_string())?;
    Ok(json!({
        "id": invite.id(),
        "inviter": invite.inviter,
        "approver": HEXLOWER.encode(&invite.approver),
        "addresses": invite.addresses,
        "secret": HEXLOWER.encode(invite.secret.expose_secret()),
        "expires": invite.expires,
    }))
}

pub(crate) fn sample() -> Invite {
    Invite {
        inviter: peer(ALICE),
        approver: invite::approver_fingerprint(&approver(ALICE_HUMAN).id()),
        addresses: vec!["192.0.2.7:4433".into(), "https://relay.example/".into()],
        secret: Secret::new(consents::SECRET),
        expires: Timestamp::from_ms(NOW + DAY_MS),
    }
}

/// Any body as an invite whose length and checksum fit.
fn wrapped(body: &[u8]) -> String {
    let sum = Digest::of("countersign/invite-checksum/v1", &[body]);
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    coded(&[&length, body, &sum.as_bytes()[..4]].concat())
}

fn coded(bytes: &[u8]) -> String {
    format!("countersign1{}", BASE32_NOPAD_NOCASE.encode(bytes).to_lowercase())
}

fn raw(text: &str) -> Vec<u8> {
    let code = text.strip_prefix("countersign1").unwrap();
    BASE32_NOPAD_NOCASE.decode(code.as_bytes()).unwrap()
}

fn body() -> Vec<u8> {
    let raw = raw(&sample().encode());
    raw[2..raw.len() - 4].to_vec()
}

fn with(key: i64, value: impl Into<Value>) -> String {
    let mut pairs = cbor::decode("invite", &body(), 4096).unwrap().into_map().unwrap();
    set(&mut pairs, key, value);
    wrapped(&cbor::encode(&Value::Map(pairs)))
}

fn without(key: i64) -> String {
    let mut pairs = cbor::decode("invite", &body(), 4096).unwrap().into_map().unwrap();
    unset(&mut pairs, key);
    wrapped(&cbor::encode(&Value::Map(pairs)))
}

fn add(v: &mut Vectors, id: &str, what: &str, text: &str, error: Option<&str>) {
    v.text((&format!("invite/{id}"), what), text, NOW, error);
}

pub(crate) fn make(v: &mut Vectors) {
    good(v);
    texts(v);
    times(v);
    damaged(v);
    contents(v);
}

fn good(v: &mut Vectors) {
    let text = sample().encode();
    assert_eq!(wrapped(&body()), text);
    add(v, "good", "Alice's invite", &text, None);
    let lines: Vec<_> =
        text.as_bytes().chunks(60).map(|line| str::from_utf8(line).unwrap()).collect();
    let mailed = format!("  {}\r\n", lines.join("\r\n "));
    add(v, "mailed", "broken into lines by a mail program", &mailed, None);
    add(v, "upper", "in upper case", &text.to_uppercase(), None);
    let nowhere = Invite { addresses: Vec::new(), ..sample() };
    add(v, "no-addresses", "without addresses", &nowhere.encode(), None);
    let address = "a".repeat(limits::ADDRESS_BYTES_MAX);
    let most = Invite { addresses: vec![address; limits::ADDRESSES_MAX], ..sample() };
    add(v, "addresses-max", "8 addresses of 128 bytes", &most.encode(), None);
    let padded = format!("{text}{}", " ".repeat(limits::INVITE_BYTES_MAX - text.len()));
    add(v, "size-max", "4096 bytes, most of them spaces", &padded, None);
}

fn texts(v: &mut Vectors) {
    let text = sample().encode();
    let over = format!("{text}{}", " ".repeat(limits::INVITE_BYTES_MAX + 1 - text.len()));
    let none = Some("this is not an invite");
    let later = Some("this invite is of a later version");
    let damaged = Some("the invite was damaged on its way");
    for (id, what, text, error) in [
        ("nothing", "no text", String::new(), none),
        ("size-over", "4097 bytes", over, none),
        ("url", "something else", "https://example.com/countersign1".into(), none),
        ("no-version", "the digit is missing", text.replacen('1', "", 1), none),
        ("quoted", "with a quotation mark before it", format!("\"{text}"), none),
        ("version-2", "version 2", text.replacen('1', "2", 1), later),
        ("version-9", "version 9 of another form", "countersign9:hello".into(), later),
        ("prefix-only", "nothing after the prefix", "countersign1".into(), damaged),
        ("stop", "a full stop behind it", format!("{text}."), damaged),
        ("zero-width", "with U+200B in it", text.replacen("n1", "n1\u{200b}", 1), damaged),
        ("padding", "with base32 padding", format!("{text}=="), damaged),
    ] {
        add(v, id, what, &text, error);
    }
}

fn times(v: &mut Vectors) {
    let text = sample().encode();
    let expires = NOW + DAY_MS;
    let last = ("invite/last-moment", "a millisecond before it expires");
    v.text(last, &text, expires - 1, None);
    let late = Some("the invite expired at 2026-09-22T");
    v.text(("invite/expired", "at the moment it expires"), &text, expires, late);
    v.text(("invite/long-expired", "at the end of time"), &text, u64::MAX, late);
}

fn damaged(v: &mut Vectors) {
    let text = sample().encode();
    let bytes = raw(&text);
    let cut = Some("the invite is cut off");
    let damaged = Some("the invite was damaged on its way");
    for missing in [1, 2, 3, 8, 100] {
        let what = format!("the last {missing} characters are missing");
        add(v, &format!("cut-{missing}"), &what, &text[..text.len() - missing], cut);
    }
    let change = |at: usize, bit: usize| coded(&flipped(&bytes, at * 8 + bit));
    let half = text.len() / 2;
    let other = if text.as_bytes()[half] == b'a' { "b" } else { "a" };
    let swapped = format!("{}{other}{}", &text[..half], &text[half + 1..]);
    let longer = coded(&[bytes.as_slice(), &[0]].concat());
    for (id, what, text, error) in [
        ("character", "a character is another", swapped, damaged),
        ("digit", "a 0, which base32 has not", text.replacen("n1a", "n10", 1), damaged),
        ("body-bit", "a bit of the body is turned", change(20, 0), damaged),
        ("checksum-bit", "a bit of the checksum is turned", change(bytes.len() - 1, 0), damaged),
        ("length-short", "the length is 4 less", change(1, 2), damaged),
        ("length-long", "the length is 1 more", change(1, 0), cut),
        ("longer", "a byte after the checksum", longer, damaged),
        ("twice", "the code twice", format!("{text}{}", &text[12..]), damaged),
        ("two-characters", "only two characters of the code", text[..14].into(), damaged),
    ] {
        add(v, id, what, &text, error);
    }
}

fn contents(v: &mut Vectors) {
    for (n, field) in
        (1..).zip(["version", "inviter", "approver", "addresses", "secret", "expires"])
    {
        let what = format!("without its {field}");
        add(v, &format!("{field}-missing"), &what, &without(n), Some("is missing"));
    }
    let texts = |count: usize, bytes: usize| Value::Array(vec!["t".repeat(bytes).into(); count]);
    let length = "has the wrong length";
    let weak = with(2, small_order_points()[2].to_vec());
    let trailing = wrapped(&[body().as_slice(), &[0]].concat());
    let long = wrapped(&[&[0xa6, 0x01, 0x18, 0x01], &body()[3..]].concat());
    let doubled = wrapped(&[&[0xa7, 0x01, 0x01], &body()[1..]].concat());
    for (id, what, text, error) in [
        ("inner-version", "version 2 inside", with(1, 2), "version 2 is not spoken here"),
        ("inviter-short", "an inviter of 31 bytes", with(2, vec![1; 31]), length),
        ("inviter-weak", "an inviter of small order", weak, "not a safe Ed25519 key"),
        ("fingerprint-long", "a fingerprint of 17 bytes", with(3, vec![1; 17]), length),
        ("secret-short", "a secret of 15 bytes", with(5, vec![1; 15]), length),
        ("addresses-over", "9 addresses", with(4, texts(9, 1)), "the limit is 8"),
        ("address-over", "an address of 129 bytes", with(4, texts(1, 129)), "the limit is 128"),
        ("address-bytes", "an address as bytes", with(4, vec![Value::from(vec![1])]), "not a text"),
        ("expires-text", "expires as a text", with(6, "soon"), "not an unsigned integer"),
        ("field-unknown", "a seventh field", with(7, 1), "a field that version 1"),
        ("empty-body", "a body of no bytes", wrapped(&[]), "not valid CBOR"),
        ("array-body", "a body that is an array", wrapped(&[0x80]), "invite: is not a map"),
        ("trailing", "a byte after the body", trailing, "bytes after the end"),
        ("version-long", "version 1 in two bytes", long, "not the shortest form"),
        ("version-doubled", "the version twice", doubled, "out of order or doubled"),
    ] {
        add(v, id, what, &text, Some(error));
    }
}
