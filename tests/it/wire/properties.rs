//! What holds of every record of the format: it is read as it was written, in one encoding.

use countersign::{
    base::Timestamp,
    wire::{
        Body, ConsentRecord, Countersignature, Direction, Envelope, Frame, Grant, Invite, Kind,
        Method, PairFrame, cbor,
    },
};
use proptest::prelude::*;

use super::{
    cast::{approver, identity},
    fuzz::config,
    strategies::{
        drafts, encoded_values, frames, grants, invite_parts, methods, pair_frames, receipts,
        records, times,
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
        prop_assert_eq!(read.written_by_human(&key.id()), read.header().human);
        let other = approver(human.wrapping_add(1)).id();
        prop_assert_eq!(read.countersigned_by(&other), None);
        prop_assert!(!read.written_by_human(&other));
    }

    #[test]
    fn a_grant_is_read_as_it_was_signed(grant in grants(), human in any::<u8>()) {
        prop_assert_eq!(&Grant::decode(&grant.encode()).unwrap(), &grant);
        let key = approver(human);
        let signed = grant.sign(&key).unwrap();
        prop_assert_eq!(signed.open(&key.id()), Ok(grant));
        prop_assert!(signed.open(&approver(human.wrapping_add(1)).id()).is_err());
    }

    #[test]
    fn a_countersignature_by_a_grant_counts_where_the_grant_stands_for_the_human(
        (seed, draft) in drafts(),
        human in any::<u8>(),
        grant in grants(),
        theirs in any::<bool>(),
        after in 0..2_u64,
    ) {
        let (sender, recipient) = (draft.header.sender, draft.header.recipient);
        let grant = if theirs {
            let peer = grant.peer.map(|_| recipient);
            Grant { node: sender, peer, direction: Direction::Out, ..grant }
        } else {
            grant
        };
        let key = approver(human);
        let signed = grant.sign(&key).unwrap();
        // At its beginning, or at its end, when it counts no longer.
        let at = if after == 0 { grant.from } else { grant.until };
        let sealed = draft.seal(&identity(seed)).unwrap();
        let node = identity(seed);
        let made =
            Countersignature::sign_by_grant(&sealed, &node, &key.id(), &signed, at).unwrap();
        prop_assert_eq!(made.method, Method::of_grant(grant.kind));
        prop_assert_eq!(&Countersignature::decode(&made.encode()).unwrap(), &made);
        let whole = sealed.with_countersignature(made.clone()).unwrap();
        let read = Envelope::decode(whole.bytes()).unwrap();
        let stands = after == 0
            && grant.node == sender
            && grant.peer.is_none_or(|peer| peer == recipient)
            && grant.direction == Direction::Out;
        prop_assert_eq!(read.countersigned_by(&key.id()), stands.then_some(&made));
        prop_assert!(!read.written_by_human(&key.id()), "a grant is not the human");
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
