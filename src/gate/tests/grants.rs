//! What a grant lets through, and what it does not, line by line.

use super::*;
use crate::{
    base::{GrantId, Severity},
    wire::{Draft, Header},
};

const RULE: &str = "secret.aws_access_key";
const LAST: Timestamp = Timestamp::from_ms(LATER.ms() - 1);
const BEFORE: Timestamp = Timestamp::from_ms(NOW.ms() - 1);

pub(super) fn node(n: u8) -> IdentityKey {
    IdentityKey::from_seed(&Secret::new([n; 32]))
}

/// Our human lets one kind of secret out to one peer, in a message as long as [`secret`].
pub(super) fn unasked() -> Grant {
    Grant {
        id: GrantId::from_bytes([7; 5]),
        node: node(1).id(),
        kind: GrantKind::Unasked,
        peer: Some(node(3).id()),
        direction: Direction::Out,
        rules: vec![RULE.to_owned()],
        severity_max: Severity::Critical,
        size_bytes_max: 26,
        messages_max: 1,
        from: NOW,
        until: LATER,
        kinds: Vec::new(),
        per_hour_max: None,
    }
}

/// Our human lets a client answer, about every rule and every peer.
pub(super) fn inline() -> Grant {
    Grant { kind: GrantKind::Inline, peer: None, rules: Vec::new(), ..unasked() }
}

/// The receiver's human lets the same kind of secret in from the sender.
fn into_ours() -> Grant {
    let (node, peer) = (node(3).id(), Some(node(1).id()));
    Grant { node, peer, direction: Direction::In, ..unasked() }
}

/// Signed whatever it is, as somebody might who has the key and another program.
pub(super) fn signed_by(n: u8, grant: &Grant) -> SignedGrant {
    let statement = grant.encode();
    let signature = human(n).sign(Domain::Grant, &statement);
    SignedGrant { statement, signature }
}

fn with_header(change: impl FnOnce(&mut Header)) -> Envelope {
    let (mut header, body) = (secret().header().clone(), secret().body().clone());
    change(&mut header);
    Draft { header, body }.seal(&node(1)).unwrap()
}

/// Says that our human wrote it.
fn written() -> Envelope {
    with_header(|header| header.human = true)
}

fn without_text() -> Envelope {
    let header = Header { kind: Kind::Unknown("card".to_owned()), ..secret().header().clone() };
    Draft { header, body: Body::Unknown(vec![0xa0]) }.seal(&node(1)).unwrap()
}

fn hidden() -> Envelope {
    envelope("x\u{1b}[2J")
}

/// A line: its name, the grant, who signed it, the message, and when.
type Line = (&'static str, Grant, u8, Envelope, Timestamp);

fn line(name: &'static str, grant: Grant) -> Line {
    (name, grant, 9, secret(), NOW)
}

/// What no grant of `base`'s kind lets through, whoever asks.
fn uncovered(base: fn() -> Grant) -> Vec<Line> {
    let me = base().node;
    let rules = vec!["secret.github_token".to_owned()];
    vec![
        line("a rule that it does not name", Grant { rules, ..base() }),
        line("worse than it says", Grant { severity_max: Severity::High, ..base() }),
        line("larger than it says", Grant { size_bytes_max: 25, ..base() }),
        line("another peer", Grant { peer: Some(node(4).id()), ..base() }),
        line("ourselves as the peer", Grant { peer: Some(me), ..base() }),
        line("another node's grant", Grant { node: node(4).id(), ..base() }),
        line("wider than a grant may be", Grant { messages_max: 1001, ..base() }),
        ("another approver's grant", base(), 8, secret(), NOW),
        ("before it begins", base(), 9, secret(), BEFORE),
        ("when it ends", base(), 9, secret(), LATER),
        ("no text", base(), 9, without_text(), NOW),
    ]
}

pub(super) fn seal_by(envelope: Envelope, grant: &Grant) -> Envelope {
    let (signed, human) = (signed_by(9, grant), human(9).id());
    let seal = Countersignature::sign_by_grant(&envelope, &node(1), &human, &signed, NOW);
    envelope.with_countersignature(seal.unwrap()).unwrap()
}

fn release_line((_, grant, signer, envelope, now): Line) -> Result<Approved<Envelope>, GateError> {
    let approver = human(9).id();
    release_by_grant(envelope, &signed_by(signer, &grant), (&node(1), &approver), now)
}

#[test]
fn a_message_that_a_grant_covers_leaves_with_the_grant() {
    let any_text = Grant { size_bytes_max: u64::MAX, ..unasked() };
    let more = Grant { rules: vec!["other.rule".to_owned(), RULE.to_owned()], ..unasked() };
    for line in [
        line("one that it names, at its first moment", unasked()),
        ("at its last moment", unasked(), 9, secret(), LAST),
        ("nothing to find", unasked(), 9, envelope("hello"), NOW),
        line("one of two rules", more),
        line("any size", any_text),
    ] {
        let (name, now) = (line.0, line.4);
        let released = release_line(line).unwrap_or_else(|e| panic!("{name}: {e}")).into_item();
        let by = released.countersigned_by(&human(9).id()).unwrap();
        assert_eq!((by.method, by.at), (Method::Grant, now), "{name}");
        let me = node(1).id();
        assert!(outgoing(released.clone(), &me, Some(&human(9).id())).is_ok(), "{name}");
        assert!(!released.written_by_human(&human(9).id()), "{name}");
    }
}

#[test]
fn a_message_that_a_grant_does_not_cover_stays() {
    let inbound = Grant { direction: Direction::In, ..unasked() };
    let for_clients = Grant { kind: GrantKind::Inline, ..unasked() };
    let own = [
        line("for what comes in", inbound),
        line("a grant for clients", for_clients),
        line("every peer", Grant { peer: None, ..unasked() }),
        line("every rule", Grant { rules: Vec::new(), ..unasked() }),
        ("written by the human, and not signed", unasked(), 9, written(), NOW),
        ("hidden text", unasked(), 9, hidden(), NOW),
    ];
    for line in uncovered(unasked).into_iter().chain(own) {
        let name = line.0;
        assert!(release_line(line).is_err(), "{name}");
    }
}

#[test]
fn a_message_of_another_node_is_not_ours_to_release() {
    let grant = Grant { node: node(4).id(), ..unasked() };
    let (signed, approver) = (signed_by(9, &grant), human(9).id());
    let released = release_by_grant(secret(), &signed, (&node(4), &approver), NOW);
    assert_eq!(released.err(), Some(GateError::NotApproved));
}

fn client_line((_, grant, signer, envelope, now): Line) -> Result<Approved<Envelope>, GateError> {
    let (signed, approver) = (signed_by(signer, &grant), human(9).id());
    let why = reasons(&envelope);
    let waits = Pending::message(ID, What::MessageOut, envelope, Timestamp::from_ms(u64::MAX));
    waits.decide_by_client(&why, &signed, (&node(1), &approver), (Scanner::standard(), now))
}

#[test]
fn a_client_answers_for_what_its_grant_covers() {
    let this_peer = Grant { peer: Some(node(3).id()), ..inline() };
    let this_rule = Grant { rules: vec![RULE.to_owned()], ..inline() };
    for line in [
        line("every peer and rule, at its first moment", inline()),
        ("at its last moment", inline(), 9, secret(), LAST),
        ("hidden text, under every rule", inline(), 9, hidden(), NOW),
        line("this peer", this_peer),
        line("this rule", this_rule),
    ] {
        let name = line.0;
        let released = client_line(line).unwrap_or_else(|e| panic!("{name}: {e}")).into_item();
        let by = released.countersigned_by(&human(9).id()).unwrap();
        assert_eq!(by.method, Method::Client, "{name}: it says who asserted it");
        let me = node(1).id();
        assert!(outgoing(released.clone(), &me, Some(&human(9).id())).is_ok(), "{name}");
        assert!(!released.written_by_human(&human(9).id()), "{name}");
    }
}

#[test]
fn a_client_answers_for_nothing_that_its_grant_does_not_cover() {
    let inbound = Grant { direction: Direction::In, ..inline() };
    let this_rule = Grant { rules: vec![RULE.to_owned()], ..inline() };
    let own = [
        line("a grant to pass unasked", unasked()),
        line("for what comes in", inbound),
        ("hidden text, under another rule", this_rule, 9, hidden(), NOW),
        ("written by the human, and not signed", inline(), 9, written(), NOW),
    ];
    for line in uncovered(inline).into_iter().chain(own) {
        let name = line.0;
        assert!(client_line(line).is_err(), "{name}");
    }
}

#[test]
fn a_client_answers_in_time_and_never_for_what_comes_in() {
    let (signed, approver) = (signed_by(9, &inline()), human(9).id());
    let waits = |what, expires| Pending::message(ID, what, secret(), expires);
    let decide = |waits: Pending<Envelope>| {
        let (why, at) = (reasons(&secret()), (Scanner::standard(), NOW));
        waits.decide_by_client(&why, &signed, (&node(1), &approver), at).map(|_| ()).err()
    };
    let next = Timestamp::from_ms(NOW.ms() + 1);
    assert_eq!(decide(waits(What::MessageOut, next)), None);
    assert_eq!(decide(waits(What::MessageOut, NOW)), Some(GateError::Expired(NOW)));
    assert_eq!(decide(waits(What::MessageIn, next)), Some(GateError::NotApproved));
}

#[test]
fn a_message_read_back_with_a_grant_passes_no_easier() {
    let (me, approver) = (node(1).id(), human(9).id());
    let out = |envelope| outgoing(envelope, &me, Some(&approver)).is_ok();
    let rules = || vec!["secret.github_token".to_owned()];
    assert!(out(seal_by(secret(), &unasked())));
    assert!(out(seal_by(secret(), &inline())));
    for (name, grant) in [
        ("another rule", Grant { rules: rules(), ..unasked() }),
        ("a client's, another rule", Grant { rules: rules(), ..inline() }),
        ("severity", Grant { severity_max: Severity::High, ..unasked() }),
        ("size", Grant { size_bytes_max: 25, ..unasked() }),
        ("another peer", Grant { peer: Some(node(4).id()), ..unasked() }),
        ("another node", Grant { node: node(4).id(), ..unasked() }),
        ("not yet", Grant { from: LAST, ..unasked() }),
        ("inwards", Grant { direction: Direction::In, ..unasked() }),
    ] {
        assert!(!out(seal_by(secret(), &grant)), "{name}");
    }
    let two = envelope(&format!("{} {}", ["AKIA", &"A".repeat(16)].concat(), "\u{1b}[2J"));
    assert!(!out(seal_by(two, &unasked())), "a second finding that it does not name");
    let plain = with_header(|header| header.recipient = node(4).id());
    assert!(!out(seal_by(plain, &unasked())), "its recipient is not the grant's peer");
}

#[test]
fn what_says_that_the_human_wrote_it_leaves_only_with_their_own_signature() {
    let (me, approver) = (node(1).id(), human(9).id());
    let header = Header { human: true, ..envelope("hello").header().clone() };
    let plain = Draft { header, body: envelope("hello").body().clone() }.seal(&node(1)).unwrap();
    for draft in [plain, written()] {
        let out = |envelope, approver| outgoing(envelope, &me, approver).map(|_| ()).err();
        let refused = Some(Refused::Wrong(GateError::NotApproved));
        assert_eq!(out(draft.clone(), None), refused, "a home without an approver");
        assert_eq!(out(draft.clone(), Some(&approver)), refused, "not signed");
        assert_eq!(out(seal_by(draft.clone(), &unasked()), Some(&approver)), refused, "a grant");
        assert_eq!(out(seal_by(draft.clone(), &inline()), Some(&approver)), refused, "a client");
        let sign = |n| Countersignature::sign(&draft, &human(n), Method::Session, NOW).unwrap();
        let by_other = draft.clone().with_countersignature(sign(8)).unwrap();
        assert_eq!(out(by_other, Some(&approver)), refused, "another human");
        let by_ours = draft.clone().with_countersignature(sign(9)).unwrap();
        assert_eq!(out(by_ours, Some(&approver)), None);
    }
}

/// The rules for which a receiver asks its human, of whose sender's approver it knows.
fn asked(envelope: Envelope) -> Vec<String> {
    match incoming(envelope, &human(9).id(), NOW) {
        Incoming::Allowed(..) | Incoming::Refused(..) => Vec::new(),
        Incoming::Asked(_, by) => by.reasons.into_iter().map(|reason| reason.rule).collect(),
    }
}

#[test]
fn a_secret_that_a_client_says_was_released_is_asked_about_by_its_receiver() {
    let this_peer_and_rule = Grant { kind: GrantKind::Inline, ..unasked() };
    for grant in [inline(), this_peer_and_rule] {
        let envelope = seal_by(secret(), &grant);
        assert!(envelope.countersigned_by(&human(9).id()).is_some(), "it counts, as what it is");
        assert_eq!(asked(envelope), [RULE]);
    }
    assert_eq!(asked(seal_by(envelope("hello"), &inline())), Vec::<String>::new());
}

#[test]
fn a_grant_releases_a_secret_at_the_receiver_exactly_where_it_covers_it() {
    assert_eq!(asked(secret()), [RULE], "not countersigned");
    assert_eq!(asked(seal_by(secret(), &unasked())), Vec::<String>::new());
    let exact = Grant { from: NOW, until: Timestamp::from_ms(NOW.ms() + 1), ..unasked() };
    assert_eq!(asked(seal_by(secret(), &exact)), Vec::<String>::new());
    let rules = vec!["secret.github_token".to_owned()];
    for (name, grant) in [
        ("another rule", Grant { rules, ..unasked() }),
        ("severity", Grant { severity_max: Severity::High, ..unasked() }),
        ("size", Grant { size_bytes_max: 25, ..unasked() }),
        ("another peer", Grant { peer: Some(node(4).id()), ..unasked() }),
        ("another node", Grant { node: node(4).id(), ..unasked() }),
        ("inwards", Grant { direction: Direction::In, ..unasked() }),
        ("ended", Grant { from: BEFORE, until: NOW, ..unasked() }),
        ("not yet", Grant { from: LAST, ..unasked() }),
    ] {
        assert_eq!(asked(seal_by(secret(), &grant)), [RULE], "{name}");
    }
    let rule = "hidden.terminal_escape";
    let names_it = Grant { rules: vec![rule.to_owned()], ..unasked() };
    assert_eq!(asked(seal_by(hidden(), &names_it)), [rule], "an attack is not theirs to release");
}

#[test]
fn another_humans_grant_releases_nothing_at_the_receiver() {
    let (signed, other) = (signed_by(8, &unasked()), human(8).id());
    let by = Countersignature::sign_by_grant(&secret(), &node(1), &other, &signed, NOW).unwrap();
    let named = secret().with_countersignature(by.clone()).unwrap();
    assert_eq!(asked(named), [RULE], "says whose it is");
    let claimed = Countersignature { approver: human(9).id(), ..by };
    assert_eq!(asked(secret().with_countersignature(claimed).unwrap()), [RULE], "says ours");
}

fn admit_line((_, grant, signer, envelope, now): Line) -> Result<Approved<Envelope>, GateError> {
    let reasons = match incoming(envelope.clone(), &human(5).id(), now) {
        Incoming::Allowed(..) | Incoming::Refused(..) => Vec::new(),
        Incoming::Asked(_, ruling) => ruling.reasons,
    };
    let signed = signed_by(signer, &grant);
    admit_by_grant(envelope, &reasons, (&signed, &human(9).id()), (Scanner::standard(), now))
}

/// Comes from a clock that is ahead of ours.
fn ahead() -> Envelope {
    with_header(|header| header.created = NOW.plus(2 * limits::CLOCK_AHEAD_MAX))
}

#[test]
fn what_comes_in_is_admitted_by_a_grant_that_covers_all_reasons_to_ask() {
    let both = vec!["clock.ahead".to_owned(), RULE.to_owned()];
    let rules = vec!["hidden.terminal_escape".to_owned()];
    for line in [
        line("one that it names, at its first moment", into_ours()),
        ("at its last moment", into_ours(), 9, secret(), LAST),
        ("the clock and a secret", Grant { rules: both, ..into_ours() }, 9, ahead(), NOW),
        ("hidden text", Grant { rules, ..into_ours() }, 9, hidden(), NOW),
    ] {
        let name = line.0;
        assert!(admit_line(line).is_ok(), "{name}");
    }
}

#[test]
fn what_comes_in_and_is_not_covered_waits_for_the_human() {
    let clock = vec!["clock.ahead".to_owned()];
    let low = Severity::Low;
    let (header, body) = (ahead().header().clone(), envelope("hello").body().clone());
    let only_ahead = Draft { header, body }.seal(&node(1)).unwrap();
    let for_clients = Grant { kind: GrantKind::Inline, ..into_ours() };
    let out = Direction::Out;
    let to_ourselves = Grant { direction: out, peer: Some(node(3).id()), ..into_ours() };
    let clients_out = Grant { direction: out, peer: None, kind: GrantKind::Inline, ..into_ours() };
    let clock_low = Grant { rules: clock.clone(), severity_max: low, ..into_ours() };
    let own = [
        line("our grant for what leaves", unasked()),
        line("outwards, to them", Grant { direction: Direction::Out, ..into_ours() }),
        line("outwards, to ourselves", to_ourselves),
        line("outwards, for clients, to every peer", clients_out),
        line("a grant for clients", for_clients),
        line("every peer", Grant { peer: None, ..into_ours() }),
        line("every rule", Grant { rules: Vec::new(), ..into_ours() }),
        ("a clock that it does not name", into_ours(), 9, only_ahead.clone(), NOW),
        ("a clock, worse than it says", clock_low, 9, only_ahead, NOW),
        ("a secret beside the clock", Grant { rules: clock, ..into_ours() }, 9, ahead(), NOW),
        ("hidden text", into_ours(), 9, hidden(), NOW),
    ];
    for line in uncovered(into_ours).into_iter().chain(own) {
        let name = line.0;
        assert!(admit_line(line).is_err(), "{name}");
    }
}

#[test]
fn a_grant_covers_what_is_found_and_not_only_what_is_asked_about() {
    let secret = ["AKIA", "ABCDEFGHIJKLMNOP"].concat();
    let two = envelope(&format!("{secret} \u{1b}[2J"));
    // Their human released the secret, so ours is asked about the hidden text alone.
    let seal = Countersignature::sign(&two, &human(5), Method::Passphrase, NOW).unwrap();
    let two = two.with_countersignature(seal).unwrap();
    let hidden = "hidden.terminal_escape".to_owned();
    let Incoming::Asked(_, Ruling { reasons, .. }) = incoming(two.clone(), &human(5).id(), NOW)
    else {
        panic!()
    };
    assert_eq!(reasons.iter().map(|r| &r.rule).collect::<Vec<_>>(), [&hidden]);
    let both = vec![hidden.clone(), RULE.to_owned()];
    let one = Grant { rules: vec![hidden], size_bytes_max: 100, ..into_ours() };
    let both = Grant { rules: both, ..one.clone() };
    assert!(admit_line(("hidden text alone", one, 9, two.clone(), NOW)).is_err());
    assert!(admit_line(("both", both, 9, two, NOW)).is_ok());
}
