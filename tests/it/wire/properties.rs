//! What holds of every record of the format: it is read as it was written, in one encoding.

use countersign::{
    base::Timestamp,
    wire::{Body, ConsentRecord, Countersignature, Envelope, Frame, Invite, Kind, PairFrame, cbor},
};
use proptest::prelude::*;

use super::{
    cast::{approver, identity},
    fuzz::config,
    strategies::{
        drafts, encoded_values, frames, invite_parts, methods, pair_frames, receipts, records,
        times,
    },
};

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn an_envelope_is_read_as_it_was_sealed((seed, draft) in drafts()) {
        let (header, body) = (draft.header.clone(), draft.body.clone());
        let sealed = draft.seal(&identity(seed)).unwrap();
        let read = Envelope::decode(sealed.bytes()).unwrap();
        prop_assert_eq!(read.header(), &header);
        prop_assert_eq!(read.body(), &body);
        prop_assert_eq!(read, sealed);
    }

    #[test]
    fn a_draft_is_sealed_by_its_sender_alone((seed, draft) in drafts(), other in 1..=255_u8) {
        prop_assert!(draft.seal(&identity(seed.wrapping_add(other))).is_err());
    }

    #[test]
    fn a_countersignature_is_read_as_it_was_made(
        (seed, draft) in drafts(),
        human in any::<u8>(),
        method in methods(),
        at in times(),
    ) {
        let sealed = draft.seal(&identity(seed)).unwrap();
        let key = approver(human);
        let made = Countersignature::sign(&sealed, &key, method, at).unwrap();
        prop_assert_eq!(&Countersignature::decode(&made.encode()).unwrap(), &made);
        let digest = sealed.digest();
        let whole = sealed.with_countersignature(made.clone()).unwrap();
        let read = Envelope::decode(whole.bytes()).unwrap();
        prop_assert_eq!(read.digest(), digest);
        prop_assert_eq!(read.countersigned_by(&key.id()), Some(&made));
        let other = approver(human.wrapping_add(1)).id();
        prop_assert_eq!(read.countersigned_by(&other), None);
    }

    #[test]
    fn a_frame_is_read_as_it_was_written(frame in frames()) {
        let bytes = frame.encode();
        prop_assert_eq!(Frame::decode(&bytes).unwrap(), frame);
    }

    #[test]
    fn a_pairing_frame_is_read_as_it_was_written(frame in pair_frames()) {
        let bytes = frame.encode();
        prop_assert_eq!(PairFrame::decode(&bytes).unwrap(), frame);
    }

    #[test]
    fn a_consent_record_is_read_as_it_was_written(record in records()) {
        let read = ConsentRecord::decode(&record.encode()).unwrap();
        prop_assert_eq!(read.digest(), record.digest());
        prop_assert_eq!(read.words(), record.words());
        prop_assert_eq!(read, record);
    }

    #[test]
    fn an_invite_is_read_as_it_was_written(parts in invite_parts()) {
        let made = parts.invite();
        let read = Invite::decode(&made.encode(), Timestamp::from_ms(0)).unwrap();
        prop_assert_eq!(read.inviter, made.inviter);
        prop_assert_eq!(read.approver, made.approver);
        prop_assert_eq!(&read.addresses, &made.addresses);
        prop_assert_eq!(read.secret.expose_secret(), made.secret.expose_secret());
        prop_assert_eq!(read.expires, made.expires);
        prop_assert_eq!(read.id(), made.id());
        prop_assert!(Invite::decode(&made.encode(), made.expires).is_err());
    }

    #[test]
    fn a_receipt_is_read_as_it_was_written(receipt in receipts()) {
        let body = Body::Receipt(receipt);
        prop_assert_eq!(Body::decode(&Kind::Receipt, &body.encode()).unwrap(), body);
    }

    #[test]
    fn a_value_is_read_as_it_was_written(bytes in encoded_values()) {
        let value = cbor::decode("value", &bytes, 1 << 20).unwrap();
        prop_assert_eq!(cbor::encode(&value), bytes);
    }
}
