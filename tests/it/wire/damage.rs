//! Every bit, cut and addition of every good vector: refused, or exactly what it says.

use countersign::{
    base::Timestamp,
    wire::{
        Body, ConsentRecord, Envelope, Frame, Grant, Invite, Kind, Order, PairFrame, WireError,
    },
};

use super::{
    cast::flipped,
    fuzz::properties,
    invites,
    vectors::{good_inputs, inputs},
};
use crate::support::require::slow;

/// Past this, every bit would take too long; the large vectors differ only in length.
const SMALL: usize = 1200;

/// Every damage of `bytes`: each bit turned, each prefix, one byte more at either end or less in
/// the middle.
fn damages(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let bits = (0..bytes.len() * 8).map(|at| flipped(bytes, at));
    let cuts = (0..bytes.len()).map(|at| bytes[..at].to_vec());
    let fewer = (0..bytes.len()).map(|at| [&bytes[..at], &bytes[at + 1..]].concat());
    let more = [0, 0x20, 0x61, 0xff].into_iter();
    let more = more.flat_map(move |byte| [[bytes, &[byte]].concat(), [&[byte], bytes].concat()]);
    bits.chain(cuts).chain(fewer).chain(more)
}

fn small(file: &str) -> impl Iterator<Item = Vec<u8>> {
    good_inputs(file).into_iter().filter(|bytes| bytes.len() <= SMALL)
}

#[test]
fn a_damaged_envelope_is_refused_whatever_the_damage() {
    // A countersignature is not under the sender's signature: it is verified by whoever needs it.
    let plain = small("envelope").filter(|bytes| {
        Envelope::decode(bytes).is_ok_and(|read| read.countersignature().is_none())
    });
    for bytes in plain {
        for damaged in damages(&bytes).filter(|damaged| *damaged != bytes) {
            assert!(Envelope::decode(&damaged).is_err(), "{damaged:02x?}");
        }
    }
}

#[test]
fn a_damaged_countersigned_envelope_is_refused_or_not_countersigned() {
    if !slow() {
        return;
    }
    for bytes in small("countersignature") {
        let read = Envelope::decode(&bytes).unwrap();
        let approver = read.countersignature().unwrap().approver;
        assert!(read.countersigned_by(&approver).is_some());
        for damaged in damages(&bytes).filter(|damaged| *damaged != bytes) {
            let Ok(other) = Envelope::decode(&damaged) else { continue };
            assert_eq!(other.digest(), read.digest(), "the sender's part is whole");
            assert!(other.countersigned_by(&approver).is_none(), "{damaged:02x?}");
        }
    }
}

/// Formats without a checksum of their own: what is read is something else, in its one encoding.
#[test]
fn a_damaged_frame_or_record_is_refused_or_says_what_it_encodes() {
    for (_, file, property) in properties::ALL {
        if ["envelope", "countersignature", "invite"].contains(&file) {
            continue;
        }
        small(file).for_each(|bytes| damages(&bytes).for_each(|damaged| property(&damaged)));
    }
}

#[test]
fn a_cut_frame_or_record_is_refused() {
    type Read = fn(&[u8]) -> Result<(), WireError>;
    let readers: [(&str, Read); 6] = [
        ("frame", |bytes| Frame::decode(bytes).map(drop)),
        ("pair", |bytes| PairFrame::decode(bytes).map(drop)),
        ("consent", |bytes| ConsentRecord::decode(bytes).map(drop)),
        ("grant", |bytes| Grant::decode(bytes).map(drop)),
        ("order", |bytes| Order::decode(bytes).map(drop)),
        ("receipt", |bytes| Body::decode(&Kind::Receipt, bytes).map(drop)),
    ];
    for (file, read) in readers {
        for bytes in small(file) {
            assert!((0..bytes.len()).all(|at| read(&bytes[..at]).is_err()), "{file}");
            assert!((0..=255).all(|byte| read(&[bytes.as_slice(), &[byte]].concat()).is_err()));
        }
    }
}

#[test]
fn a_damaged_invite_is_refused_or_is_the_same_invite() {
    let whole = invites::sample().encode();
    for damaged in damages(whole.as_bytes()) {
        let Ok(text) = str::from_utf8(&damaged) else { continue };
        if let Ok(read) = Invite::decode(text, Timestamp::from_ms(0)) {
            assert_eq!(read.encode(), whole, "{text}");
        }
    }
}

#[test]
fn bad_vectors_hold_the_properties_too() {
    for (_, file, property) in properties::ALL {
        for bytes in inputs(file) {
            property(&bytes);
        }
    }
}
