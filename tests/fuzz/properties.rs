//! What every decoder must hold on any bytes: it does not panic, and what it reads has one
//! encoding, the one that it was read from. The fuzz targets and `tests/it` both run these.

mod files;
mod net;

use std::str;

use countersign::{
    base::Timestamp,
    node::{api::Request, config::Config},
    policy::Policy,
    risk,
    wire::{
        Body, ConsentRecord, Countersignature, Envelope, Frame, Grant, Invite, Kind, Order,
        PairFrame, cbor,
        code::{Code, exchange::CodeFrame},
    },
};
pub use files::{approver, archive, audit, client_file, decision, known};
pub use net::{address, framing, lan, slot};

/// What the scanner holds on any bytes: no detector fails, every finding lies in the text, there are
/// no more of them than is said, and the same is found again.
///
/// # Panics
/// When it does not hold.
pub fn scan(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let found = risk::scan(&text);
    assert!(found.len() <= risk::FINDINGS_MAX);
    for finding in &found {
        assert_ne!(finding.rule, risk::FAILED, "a detector failed");
        assert!(text.get(finding.span.clone()).is_some(), "{finding:?} lies elsewhere");
        assert!(!finding.rule.is_empty() && !finding.text.is_empty());
    }
    assert_eq!(found, risk::scan(&text), "the same again");
    let of_bytes = risk::Scanner::standard().scan_bytes(bytes);
    assert!(of_bytes.len() <= risk::FINDINGS_MAX);
    for finding in &of_bytes {
        assert_ne!(finding.rule, risk::FAILED, "a detector failed");
        assert!(bytes.get(finding.span.clone()).is_some(), "{finding:?} lies elsewhere");
    }
}

/// A property, with the name of its fuzz target and of the vectors that seed it.
pub type Property = (&'static str, &'static str, fn(&[u8]));

/// Every property.
pub const ALL: [Property; 12] = [
    ("envelope", "envelope", envelope),
    ("countersignature", "countersignature", countersignature),
    ("frame", "frame", frame),
    ("pair_frame", "pair", pair_frame),
    ("consent", "consent", consent),
    ("invite", "invite", invite),
    ("grant", "grant", grant),
    ("order", "order", order),
    ("receipt", "receipt", receipt),
    ("cbor", "cbor", any_cbor),
    ("code", "code", code),
    ("code_frame", "code", code_frame),
];

/// A property of what has no vectors, behind the name of its fuzz target.
pub type Further = (&'static str, fn(&[u8]));

/// Properties of what has no vectors, by the names of their fuzz targets: what comes before a frame is
/// read, files and texts of the user's own machine, and the scanner, which is slow.
pub const FURTHER: [Further; 14] = [
    ("policy", policy),
    ("config", config),
    ("request", request),
    ("scan", scan),
    ("framing", framing),
    ("lan", lan),
    ("slot", slot),
    ("address", address),
    ("decision", decision),
    ("approver", approver),
    ("archive", archive),
    ("audit", audit),
    ("client_file", client_file),
    ("known", known),
];

/// An envelope that is read is the bytes that it was read from.
pub fn envelope(bytes: &[u8]) {
    if let Ok(read) = Envelope::decode(bytes) {
        assert_eq!(read.bytes(), bytes);
    }
}

/// A countersignature by itself.
pub fn countersignature(bytes: &[u8]) {
    if let Ok(read) = Countersignature::decode(bytes) {
        assert_eq!(read.encode(), bytes);
    }
}

/// A frame between peers; of a later one only the type is kept.
pub fn frame(bytes: &[u8]) {
    match Frame::decode(bytes) {
        Ok(Frame::Unknown(tag)) => assert!(tag > 5, "type {tag} is known"),
        Ok(read) => assert_eq!(read.encode(), bytes),
        Err(_) => {}
    }
}

/// A frame between strangers; of a later one only the type is kept.
pub fn pair_frame(bytes: &[u8]) {
    match PairFrame::decode(bytes) {
        Ok(PairFrame::Unknown(tag)) => assert!(tag > 5, "type {tag} is known"),
        Ok(read) => assert_eq!(read.encode(), bytes),
        Err(_) => {}
    }
}

/// A consent record.
pub fn consent(bytes: &[u8]) {
    if let Ok(read) = ConsentRecord::decode(bytes) {
        assert_eq!(read.encode(), bytes);
        assert_eq!(read.words().len(), 4);
    }
}

/// An invite; white space and case do not count.
pub fn invite(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(read) = Invite::decode(text, Timestamp::from_ms(0)) {
        let plain: String = text.split_whitespace().collect();
        assert_eq!(read.encode(), plain.to_ascii_lowercase());
    }
}

/// A grant; what is read is no wider than a grant may be.
pub fn grant(bytes: &[u8]) {
    if let Ok(read) = Grant::decode(bytes) {
        assert_eq!(read.encode(), bytes);
        assert_eq!(read.check(), Ok(()));
    }
}

/// An order.
pub fn order(bytes: &[u8]) {
    if let Ok(read) = Order::decode(bytes) {
        assert_eq!(read.encode(), bytes);
    }
}

/// The body of a receipt.
pub fn receipt(bytes: &[u8]) {
    if let Ok(read) = Body::decode(&Kind::Receipt, bytes) {
        assert_eq!(read.encode(), bytes);
    }
}

/// Deterministic CBOR of any shape.
pub fn any_cbor(bytes: &[u8]) {
    if let Ok(read) = cbor::decode("fuzz", bytes, 1 << 20) {
        assert_eq!(cbor::encode(&read), bytes);
    }
}

/// A short code as somebody types it.
pub fn code(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(read) = Code::parse(text) {
        assert!(Code::parse(&read.words().join("-")).is_ok_and(|again| again.is(&read)));
    }
}

/// A frame between the two of a short code, who know nothing of each other.
pub fn code_frame(bytes: &[u8]) {
    if let Ok(read) = CodeFrame::decode(bytes) {
        assert_eq!(read.encode(), bytes);
    }
}

/// A policy; what is read says the same when it is read again, and is no looser than itself.
pub fn policy(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(read) = Policy::parse(text) {
        let again = Policy::parse(read.text());
        assert!(again.is_ok_and(|again| again.digest() == read.digest()));
        assert!(read.is_no_looser_than(&read));
    }
}

/// The settings; what is read is written as something that reads the same.
pub fn config(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(read) = Config::parse(text) {
        assert_eq!(Config::parse(&read.to_toml()), Ok(read));
    }
}

/// What can be asked over the node's socket.
pub fn request(bytes: &[u8]) {
    if let Ok(read) = serde_json::from_slice::<Request>(bytes) {
        let written = serde_json::to_vec(&read).expect("strings and numbers");
        let again: Request = serde_json::from_slice(&written).expect("what was written is read");
        assert_eq!(serde_json::to_vec(&again).expect("the same"), written);
    }
}
