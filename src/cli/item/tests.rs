use super::*;
use crate::{
    base::{ClaimedName, InviteId, MessageId, MessageText, Secret},
    identity::{ApproverKey, IdentityKey},
    node::api::{FindingInfo, PendingItem, PendingPeer},
    wire::{Draft, Header, Kind},
};

pub(in crate::cli) const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);

pub(in crate::cli) fn node(n: u8) -> IdentityKey {
    IdentityKey::from_seed(&Secret::new([n; 32]))
}

fn human(n: u8) -> ApproverId {
    ApproverKey::from_seed(&Secret::new([n; 32])).id()
}

fn shown(item: &Item, peer: &PeerId) -> PendingShown {
    let reason = FindingInfo {
        rule: "secret.x".into(),
        severity: Severity::Critical,
        text: "the text holds a secret".into(),
    };
    let peer = PendingPeer {
        name: "bob".into(),
        id: peer.to_string(),
        claim: "Bob\n\u{1b}[2J".into(),
        verified: false,
    };
    PendingShown {
        item: PendingItem {
            id: "abcdefgh".into(),
            what: item.what(),
            peer,
            reasons: vec![reason],
            digest: item.digest().to_string(),
            size_bytes: 1,
            words: None,
            created_at: NOW.to_string(),
            expires_at: "2027-01-16T08:00:00.000Z".into(),
            note: Some("a \u{202e}note".into()),
            not_ready: None,
        },
        bytes: HEXLOWER.encode(&item.encode()),
        node: node(1).id().to_string(),
    }
}

pub(in crate::cli) fn message_item(text: &str) -> Item {
    let header = Header {
        kind: Kind::Text,
        id: MessageId::from_bytes([2; 16]),
        sender: node(1).id(),
        recipient: node(3).id(),
        created: NOW,
        expires: NOW.plus(std::time::Duration::from_hours(1)),
        thread: None,
        reply_to: None,
    };
    let body = Body::Text(MessageText::parse(text).unwrap());
    Item::Message(What::MessageOut, Draft { header, body }.seal(&node(1)).unwrap())
}

pub(in crate::cli) fn peer_item() -> Item {
    let party = |n: u8, name: &str| Party {
        identity: node(n).id(),
        approver: human(n + 100),
        name: ClaimedName::parse(name).unwrap(),
        nonce: [n; 16],
    };
    let record = ConsentRecord {
        invite: InviteId::from_bytes([0; 16]),
        created: NOW,
        inviter: party(1, "Alice"),
        joiner: party(3, "Bob\u{202e}"),
    };
    Item::Peer(What::PeerIn, record)
}

fn check(shown: PendingShown) -> Result<Checked, ApiError> {
    Checked::new(shown, node(1).id(), &human(101))
}

#[test]
fn a_message_is_shown_whole_escaped_and_behind_a_margin() {
    let item = message_item("line one\nApproval passphrase: \u{1b}[8m\u{200b}end");
    let checked = check(shown(&item, &node(3).id())).unwrap();
    insta::assert_snapshot!("message_out", render(&checked, Style::plain()));
    let long = "x\n".repeat(20_000);
    let checked = check(shown(&message_item(&long), &node(3).id())).unwrap();
    let text = render(&checked, Style::plain());
    assert!(!text.contains("with your yes"));
    assert!(text.contains("40000 bytes in 20001 lines") && text.matches("│ x").count() == 20_000);
}

#[test]
fn a_pairing_shows_the_words_and_both_sides() {
    let item = peer_item();
    let checked = check(shown(&item, &node(3).id())).unwrap();
    insta::assert_snapshot!("peer_in", render(&checked, Style::plain()));
}

#[test]
fn a_note_that_leaves_is_told_as_such() {
    let Item::Peer(_, record) = peer_item() else { panic!() };
    let checked = check(shown(&Item::Peer(What::PeerOut, record), &node(3).id())).unwrap();
    assert!(render(&checked, Style::plain()).contains("gets with your yes:\n  │ a \\u{202e}note"));
}

#[test]
fn bytes_that_differ_from_their_description_are_not_shown() {
    let item = message_item("hello");
    let peer = node(3).id();
    let refused = |shown: PendingShown| check(shown).err().map(|e| e.message).unwrap_or_default();
    let mut other = shown(&item, &peer);
    other.bytes = shown(&message_item("other"), &peer).bytes;
    assert!(refused(other).contains("digest"));
    assert!(refused(shown(&item, &node(4).id())).contains("peer"));
    let mut incoming = shown(&item, &peer);
    incoming.item.what = What::MessageIn;
    assert!(refused(incoming).contains("kind"));
    let mut stranger = shown(&item, &peer);
    stranger.node = node(9).id().to_string();
    assert!(refused(stranger).contains("is not this home's"));
    let theirs = Checked::new(shown(&item, &peer), node(9).id(), &human(101));
    assert!(theirs.is_err(), "another node answers at the socket");
    let mut broken = shown(&item, &peer);
    broken.bytes.truncate(20);
    assert!(!refused(broken).is_empty());
    let record = shown(&peer_item(), &peer);
    assert!(Checked::new(record, node(1).id(), &human(7)).is_err(), "another home's approver");
}

#[test]
fn an_item_is_over_at_its_time() {
    let text = NOW.to_string();
    assert!(is_over(&text, NOW) && !is_over(&text, NOW.minus(std::time::Duration::from_millis(1))));
}
