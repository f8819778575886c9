use super::{super::print, *};
use crate::{
    base::{
        ClaimedName, GrantId, InviteId, MessageId, MessageText, PendingId, Secret, SessionName,
        Timestamp,
    },
    gate::{Item, Outcome, Pending},
    identity::{ApproverKey, IdentityKey},
    node::{
        api::{ApiError, ErrorKind, FindingInfo, PeerRef, PendingItem, PendingPeer, PendingShown},
        review::{Like, grant_like, grant_text, ready},
    },
    wire::{Direction, Draft, GrantKind, Header, Kind, Method},
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
            by_code: false,
            not_ready: None,
            repeats: 0,
            after: Vec::new(),
            strength: None,
        },
        bytes: HEXLOWER.encode(&item.encode()),
        node: node(1).id().to_string(),
    }
}

pub(in crate::cli) fn message_item(text: &str) -> Item {
    message_for(text, None)
}

fn message_for(text: &str, session: Option<SessionName>) -> Item {
    let header = Header {
        kind: Kind::Text,
        id: MessageId::from_bytes([2; 16]),
        sender: node(1).id(),
        recipient: node(3).id(),
        created: NOW,
        expires: NOW.plus(std::time::Duration::from_hours(1)),
        thread: None,
        reply_to: None,
        human: false,
        session,
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
fn the_session_that_a_message_names_is_shown() {
    let item = message_for("x", Some(SessionName::parse("api").unwrap()));
    let text = render(&check(shown(&item, &node(3).id())).unwrap(), Style::plain());
    assert!(text.lines().any(|line| line.contains("for the session") && line.ends_with("api")));
}

#[test]
fn whose_texts_were_read_before_is_shown_in_a_block_of_its_own() {
    let item = message_item("here it is");
    let before = shown(&item, &node(3).id());
    let text = render(&check(before.clone()).unwrap(), Style::plain());
    assert!(!text.contains("READ BEFORE"));
    let read = PeerRef { id: node(5).id().to_string(), name: "mallory\u{1b}[2J".into() };
    let item = PendingItem { after: vec![read], ..before.item };
    let text = render(&check(PendingShown { item, ..before }).unwrap(), Style::plain());
    let named = format!("Your yes names them:\n  mallory\\u{{1b}}[2J  {}", node(5).id());
    assert!(text.contains("READ BEFORE") && text.contains(&named), "{text}");
}

#[test]
fn a_pairing_shows_the_words_and_both_sides() {
    let item = peer_item();
    let checked = check(shown(&item, &node(3).id())).unwrap();
    insta::assert_snapshot!("peer_in", render(&checked, Style::plain()));
}

#[test]
fn a_pairing_by_a_code_shows_its_words_too_and_is_not_verified_by_it() {
    let item = peer_item();
    let before = shown(&item, &node(3).id());
    let by_code = PendingItem { by_code: true, ..before.item.clone() };
    let checked = check(PendingShown { item: by_code, ..before }).unwrap();
    let text = render(&checked, Style::plain());
    let Item::Peer(_, record) = &item else { panic!("a pairing") };
    let words = text.find(&record.words().join("   ")).unwrap();
    assert!(text.find("paired by a code: if you yourself told").unwrap() < words, "{text}");
    assert!(text.contains("approve with --verified") && text.contains("not verified"), "{text}");
}

#[test]
fn a_note_that_leaves_is_told_as_such() {
    let Item::Peer(_, record) = peer_item() else { panic!() };
    let checked = check(shown(&Item::Peer(What::PeerOut, record), &node(3).id())).unwrap();
    assert!(render(&checked, Style::plain()).contains("gets with your yes:\n  │ a \\u{202e}note"));
}

#[test]
fn nothing_of_an_item_is_wider_than_a_narrow_terminal() {
    let style = Style::plain().for_width(40);
    for item in [peer_item(), message_item(&"word ".repeat(40))] {
        let text =
            print::folded(&render(&check(shown(&item, &node(3).id())).unwrap(), style), style);
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
    }
}

fn like(hours: u64, messages: u64) -> Like {
    Like { hours, messages, per_hour: None, same_kind: false }
}

#[test]
fn a_grant_can_be_narrowed_to_a_rate_and_a_kind() {
    let id = GrantId::from_bytes([1; 5]);
    let secret = ["AKIA", "ABCD2345EFGH6723"].concat();
    let checked = check(shown(&message_item(&secret), &node(3).id())).unwrap();
    let narrow = Like { per_hour: Some(2), same_kind: true, ..like(24, 5) };
    let grant = grant_like(&checked, narrow, NOW, id).unwrap();
    assert_eq!((grant.per_hour_max, &grant.kinds[..]), (Some(2), &[Kind::Text][..]));
    insta::assert_snapshot!(grant_text(&grant, Some("bob")), @"Until 2027-01-16T08:00:00.000Z, up to 5 messages to bob leave without asking you, and not more than 2 of them within an hour, each of the kind text, each at most 4096 bytes long, where nothing else is found than secret.aws_access_key, and nothing worse than critical.");
    for per_hour in [0, 1001] {
        let wide = Like { per_hour: Some(per_hour), ..narrow };
        assert_eq!(grant_like(&checked, wide, NOW, id).unwrap_err().kind, ErrorKind::Usage);
    }
}

#[test]
fn a_grant_is_for_the_like_of_the_message_and_for_nothing_else() {
    let id = GrantId::from_bytes([1; 5]);
    let secret = ["AKIA", "ABCD2345EFGH6723"].concat();
    let checked = check(shown(&message_item(&secret), &node(3).id())).unwrap();
    let grant = grant_like(&checked, like(24, 5), NOW, id).unwrap();
    // The description names another rule, which is not in the bytes.
    assert_eq!(grant.rules, ["secret.aws_access_key"]);
    assert_eq!((grant.node, grant.peer), (node(1).id(), Some(node(3).id())));
    assert_eq!((grant.direction, grant.kind), (Direction::Out, GrantKind::Unasked));
    assert_eq!((grant.size_bytes_max, grant.messages_max), (4096, 5));
    assert_eq!(grant.until, NOW.plus(std::time::Duration::from_hours(24)));
    insta::assert_snapshot!(grant_text(&grant, Some("bob")), @"Until 2027-01-16T08:00:00.000Z, up to 5 messages to bob leave without asking you, each at most 4096 bytes long, where nothing else is found than secret.aws_access_key, and nothing worse than critical.");
    for length in [30_000, 40_000] {
        let long = format!("{secret} {}", "x".repeat(length));
        let checked = check(shown(&message_item(&long), &node(3).id())).unwrap();
        let size = grant_like(&checked, like(1, 1), NOW, id).unwrap().size_bytes_max;
        assert_eq!(size, if length == 30_000 { 2 * (21 + 30_000) } else { 65536 });
    }
    for (hours, messages) in [(0, 1), (721, 1), (1, 0), (1, 1001)] {
        assert_eq!(
            grant_like(&checked, like(hours, messages), NOW, id).unwrap_err().kind,
            ErrorKind::Usage
        );
    }
    for item in [peer_item(), message_item("harmless")] {
        let checked = check(shown(&item, &node(3).id())).unwrap();
        assert_eq!(grant_like(&checked, like(1, 1), NOW, id).unwrap_err().kind, ErrorKind::Refused);
    }
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
    let Item::Message(what, envelope) = message_item("x") else { panic!() };
    let mut item = shown(&Item::Message(what, envelope), &node(3).id()).item;
    item.expires_at = NOW.to_string();
    assert_eq!(ready(&item, NOW).unwrap_err().kind, ErrorKind::Refused);
    assert!(ready(&item, NOW.minus(std::time::Duration::from_millis(1))).is_ok());
    item.not_ready = Some("no answer".into());
    assert_eq!(ready(&item, NOW).unwrap_err().kind, ErrorKind::WaitsForHuman);
}

#[test]
fn what_is_signed_here_passes_the_gate() {
    let id = PendingId::from_bytes([7; 5]);
    let later = NOW.plus(std::time::Duration::from_secs(1));
    let key = ApproverKey::from_seed(&Secret::new([101; 32]));
    let checked = check(shown(&message_item("x"), &node(3).id())).unwrap();
    let decision = checked.approve(id, Method::Passphrase, false, (&key, NOW)).unwrap();
    let Item::Message(what, envelope) = message_item("x") else { panic!() };
    let pending = Pending::message(id, what, envelope, later);
    let Outcome::Approved(sent) = pending.decide(&decision, &key.id(), NOW).unwrap() else {
        panic!()
    };
    let by = sent.item().countersigned_by(&key.id()).unwrap();
    assert_eq!((by.method, by.at), (Method::Passphrase, NOW));
    let checked = check(shown(&peer_item(), &node(3).id())).unwrap();
    let decision = checked.approve(id, Method::Passphrase, true, (&key, NOW)).unwrap();
    let Item::Peer(what, record) = peer_item() else { panic!() };
    let pending = Pending::peer(id, what, record, later);
    let decided = pending.decide(&decision, &node(1).id(), &key.id(), NOW).unwrap();
    let Outcome::Approved(consent) = decided else { panic!() };
    assert!(consent.item().verified);
}
