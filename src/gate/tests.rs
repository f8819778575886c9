use super::*;
use crate::{
    base::{
        ApproverId, MessageId, MessageText, PeerId, PendingId, Secret, SessionName, Timestamp,
        limits,
    },
    identity::{ApproverKey, Domain, IdentityKey},
    policy::{Peer, Reason},
    risk::Scanner,
    wire::{
        Body, ConsentRecord, Countersignature, Direction, Draft, Envelope, Grant, GrantKind,
        Header, Kind, Method, SignedGrant,
    },
};

mod grants;
mod require;

fn bench<T>(envelope: &Envelope, judge: impl FnOnce(&Bench<'_>) -> T) -> T {
    let peer = Peer { id: envelope.header().sender, name: "peer", verified: false };
    judge(&Bench { rules: &Rules::standard(), peer, recent: &|_| 0 })
}

/// As the standard rules say.
fn outgoing(
    envelope: Envelope,
    me: &PeerId,
    approver: Option<&ApproverId>,
) -> Result<Approved<Envelope>, Refused> {
    bench(&envelope.clone(), |bench| super::outgoing(envelope, (me, approver), bench, Vec::new()))
        .map(|(approved, _)| approved)
}

/// Why our human would be asked.
fn reasons(envelope: &Envelope) -> Vec<Reason> {
    match outgoing(envelope.clone(), &envelope.header().sender, None) {
        Err(Refused::Asked(ruling)) => ruling.reasons,
        Ok(_) | Err(Refused::Denied(_) | Refused::Wrong(_)) => Vec::new(),
    }
}

fn release_by_grant(
    envelope: Envelope,
    signed: &SignedGrant,
    keys: (&IdentityKey, &ApproverId),
    now: Timestamp,
) -> Result<Approved<Envelope>, GateError> {
    let why = reasons(&envelope);
    super::release_by_grant(envelope, &why, signed, keys, (Scanner::standard(), now))
}

fn incoming(envelope: Envelope, approver: &ApproverId, now: Timestamp) -> Incoming {
    bench(&envelope.clone(), |bench| {
        super::incoming(Looked::at(envelope, Scanner::standard()), approver, bench, now)
    })
}

#[test]
fn a_secret_in_the_sessions_name_or_split_with_it_is_found() {
    let found = |text: &str, session: Option<&str>| {
        let session = session.map(|name| SessionName::parse(name).unwrap());
        findings(&envelope_for(text, session), Scanner::standard()).len()
    };
    let whole = ["glpat", "-a1b2c3d4e5f6g7h8i9j0"].concat();
    assert_eq!((found("hello", Some(&whole)), found("hello", Some("api"))), (1, 0));
    let half = ["hello ghp", "_A1b2C3d4E5f6G7h8I9j0"].concat();
    assert_eq!((found(&half, Some("k1l2m3n4o5p6q7r8")), found(&half, None)), (1, 0));
}

const NOW: Timestamp = Timestamp::from_ms(1_000_000_000);
const LATER: Timestamp = Timestamp::from_ms(2_000_000_000);
const ID: PendingId = PendingId::from_bytes([1; 5]);

fn human(n: u8) -> ApproverKey {
    ApproverKey::from_seed(&Secret::new([n; 32]))
}

fn envelope(text: &str) -> Envelope {
    envelope_for(text, None)
}

fn envelope_for(text: &str, session: Option<SessionName>) -> Envelope {
    let key = IdentityKey::from_seed(&Secret::new([1; 32]));
    let header = Header {
        kind: Kind::Text,
        id: MessageId::from_bytes([2; 16]),
        sender: key.id(),
        recipient: IdentityKey::from_seed(&Secret::new([3; 32])).id(),
        created: NOW,
        expires: LATER,
        thread: None,
        reply_to: None,
        human: false,
        session,
    };
    let body = Body::Text(MessageText::parse(text).unwrap());
    Draft { header, body }.seal(&key).unwrap()
}

fn secret() -> Envelope {
    envelope(&format!("here: {}", ["AKIA", "ABCDEFGHIJKLMNOP"].concat()))
}

fn statement(item: &Item) -> Statement {
    let (digest, answer, method) = (item.digest(), Answer::Approve, Method::Passphrase);
    Statement { id: ID, digest, answer, method, at: NOW, verified: false, after: Vec::new() }
}

fn decide(
    decision: &Decision,
    waits: Envelope,
    now: Timestamp,
) -> Result<Outcome<Envelope>, GateError> {
    Pending::message(ID, What::MessageOut, waits, LATER).decide(decision, &human(9).id(), now)
}

#[test]
fn a_secret_leaves_only_countersigned() {
    let me = envelope("x").header().sender;
    assert!(outgoing(envelope("hello"), &me, None).is_ok());
    assert!(outgoing(secret(), &me, Some(&human(9).id())).is_err());
    let item = Item::Message(What::MessageOut, secret());
    let decision = Decision::sign(&item, &statement(&item), &human(9)).unwrap();
    let Ok(Outcome::Approved(approved)) = decide(&decision, secret(), NOW) else { panic!() };
    let released = approved.into_item();
    assert!(outgoing(released.clone(), &me, Some(&human(9).id())).is_ok());
    assert!(outgoing(released, &me, Some(&human(8).id())).is_err(), "another home's approver");
}

#[test]
fn a_decision_is_for_its_item_its_human_and_its_time() {
    let item = Item::Message(What::MessageOut, secret());
    let good = Decision::sign(&item, &statement(&item), &human(9)).unwrap();
    assert_eq!(decide(&good, envelope("other"), NOW).err(), Some(GateError::OtherItem));
    assert_eq!(decide(&good, secret(), LATER).err(), Some(GateError::Expired(LATER)));
    let late = NOW.plus(limits::DECISION_LIFE * 2);
    assert_eq!(decide(&good, secret(), late).err(), Some(GateError::Stale(NOW)));
    let other = Decision::sign(&item, &statement(&item), &human(8)).unwrap();
    assert!(matches!(decide(&other, secret(), NOW), Err(GateError::Signature(_))));
    let unsealed = Decision { seal: Vec::new(), ..good.clone() };
    assert_eq!(decide(&unsealed, secret(), NOW).err(), Some(GateError::Seal));
    let mut changed = good;
    changed.statement[10] ^= 1;
    assert!(decide(&changed, secret(), NOW).is_err());
}

#[test]
fn a_no_is_a_no() {
    let item = Item::Message(What::MessageOut, secret());
    let no = Statement { answer: Answer::Deny, ..statement(&item) };
    let decision = Decision::sign(&item, &no, &human(9)).unwrap();
    assert!(matches!(decide(&decision, secret(), NOW), Ok(Outcome::Denied)));
}

#[test]
fn an_item_reads_what_it_writes() {
    let item = Item::Message(What::MessageIn, secret());
    assert_eq!(Item::decode(&item.encode()).unwrap(), item);
    assert!(Item::decode(&[0x80]).is_err());
}

#[test]
fn a_new_peer_takes_the_passphrase_itself() {
    let party = |n: u8, approver: &ApproverKey| crate::wire::Party {
        identity: IdentityKey::from_seed(&Secret::new([n; 32])).id(),
        approver: approver.id(),
        name: crate::base::ClaimedName::parse("x").unwrap(),
        nonce: [n; 16],
    };
    let record = ConsentRecord {
        invite: crate::base::InviteId::from_bytes([0; 16]),
        created: NOW,
        inviter: party(1, &human(9)),
        joiner: party(3, &human(8)),
    };
    let item = Item::Peer(What::PeerIn, record.clone());
    let decided = |method| {
        let said = Statement { method, ..statement(&item) };
        let decision = Decision::sign(&item, &said, &human(9)).unwrap();
        let pending = Pending::peer(ID, What::PeerIn, record.clone(), LATER);
        let me = record.inviter.identity;
        pending.decide(&decision, &me, &human(9).id(), NOW).map(drop)
    };
    assert_eq!(decided(Method::Passphrase), Ok(()));
    assert_eq!(decided(Method::Passkey), Ok(()));
    for method in [Method::Session, Method::Grant, Method::Client] {
        assert_eq!(decided(method), Err(GateError::Afresh), "{method}");
    }
}

#[test]
fn the_seal_says_what_the_decision_says() {
    let item = Item::Message(What::MessageOut, secret());
    let good = Decision::sign(&item, &statement(&item), &human(9)).unwrap();
    assert!(decide(&good, secret(), NOW).is_ok());
    let said = Statement { method: Method::Session, ..statement(&item) };
    let session = Decision::sign(&item, &said, &human(9)).unwrap();
    let mixed = Decision { seal: session.seal, ..good };
    assert_eq!(decide(&mixed, secret(), NOW).map(drop), Err(GateError::Seal));
}
