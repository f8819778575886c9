//! What every decoder must hold on any bytes: it does not panic, and what it reads has one
//! encoding, the one that it was read from. The fuzz targets and `tests/it` both run these.

use std::str;

use countersign::{
    base::Timestamp,
    risk,
    wire::{
        Body, ConsentRecord, Countersignature, Envelope, Frame, Grant, Invite, Kind, PairFrame,
        cbor,
    },
};

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
pub const ALL: [Property; 9] = [
    ("envelope", "envelope", envelope),
    ("countersignature", "countersignature", countersignature),
    ("frame", "frame", frame),
    ("pair_frame", "pair", pair_frame),
    ("consent", "consent", consent),
    ("invite", "invite", invite),
    ("grant", "grant", grant),
    ("receipt", "receipt", receipt),
    ("cbor", "cbor", any_cbor),
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
        Ok(Frame::Unknown(tag)) => assert!(tag > 4, "type {tag} is known"),
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
