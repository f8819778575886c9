//! What is taken only with a countersignature, at both ends.

use super::{
    grants::{inline, node, seal_by, signed_by, unasked},
    *,
};
use crate::{
    policy::{Policy, Strength},
    wire::Grant,
};

/// Rules that require `strength` for `of`.
fn requiring(strength: &str, of: &str, more: &str) -> Rules {
    let text = format!(
        "version = 1\n[[require]]\nname = \"r\"\nstrength = \"{strength}\"\n{of}\n{more}\n\
         [[allow]]\nname = \"all\"\n"
    );
    let policy = Policy::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    Rules { policy: std::sync::Arc::new(policy), ..Rules::standard() }
}

fn taken(envelope: Envelope, rules: &Rules) -> Incoming {
    let peer = Peer { id: envelope.header().sender, name: "peer", verified: false };
    let looked = Looked::at(envelope, &rules.scanner);
    crate::gate::incoming(looked, &human(9).id(), &Bench { rules, peer, recent: &|_| 0 }, NOW)
}

fn by_hand(envelope: &Envelope, method: Method, key: u8) -> Envelope {
    let seal = Countersignature::sign(envelope, &human(key), method, NOW).unwrap();
    envelope.clone().with_countersignature(seal).unwrap()
}

/// What a message from the other human is signed with, weakest first.
fn signed(envelope: &Envelope) -> [(Strength, Envelope); 5] {
    [
        (Strength::Client, seal_by(envelope.clone(), &inline())),
        (Strength::Grant, seal_by(envelope.clone(), &unasked())),
        (Strength::Session, by_hand(envelope, Method::Session, 9)),
        (Strength::Passphrase, by_hand(envelope, Method::Passphrase, 9)),
        (Strength::Passkey, by_hand(envelope, Method::Passkey, 9)),
    ]
}

fn refused(judged: &Incoming) -> Option<&Ruling> {
    match judged {
        Incoming::Refused(_, ruling) => Some(ruling),
        Incoming::Allowed(..) | Incoming::Asked(..) => None,
    }
}

#[test]
fn a_message_passes_with_the_strength_that_is_required_or_a_better_one() {
    for least in [Strength::Grant, Strength::Session, Strength::Passphrase, Strength::Passkey] {
        let rules = requiring(least.as_str(), "findings = [\"secret.*\"]", "");
        let bare = taken(secret(), &rules);
        let ruling = refused(&bare).unwrap();
        assert_eq!(ruling.rule, REQUIRE);
        let [reason] = ruling.reasons.as_slice() else { panic!() };
        assert_eq!(
            (&*reason.rule, reason.severity),
            ("policy.require", crate::base::Severity::High)
        );
        assert!(reason.text.contains(&format!("({})", or_better(least))), "{}", reason.text);
        for (strength, envelope) in signed(&secret()) {
            let judged = taken(envelope, &rules);
            let passes = matches!(judged, Incoming::Allowed(..));
            assert_eq!(passes, strength >= least, "{strength:?} where {least:?} is required");
            assert_eq!(refused(&judged).is_some(), strength < least);
        }
        assert!(matches!(taken(envelope("hello"), &rules), Incoming::Allowed(..)));
    }
}

#[test]
fn only_the_senders_own_human_counts() {
    let rules = requiring("session", "kinds = [\"text\"]", "");
    let ours = by_hand(&envelope("hello"), Method::Passphrase, 9);
    assert!(matches!(taken(ours, &rules), Incoming::Allowed(..)));
    let another = by_hand(&envelope("hello"), Method::Passphrase, 8);
    assert!(refused(&taken(another, &rules)).is_some());
    // A grant that does not cover what is found releases nothing.
    let rules = requiring("grant", "findings = [\"secret.*\"]", "");
    let narrow = Grant { rules: vec!["hidden.zero_width".to_owned()], ..unasked() };
    assert!(refused(&taken(seal_by(secret(), &narrow), &rules)).is_some());
}

#[test]
fn a_deny_comes_before_and_a_question_after() {
    let deny = "[[deny]]\nname = \"d\"\nkinds = [\"text\"]";
    let rules = requiring("session", "kinds = [\"text\"]", deny);
    assert_eq!(refused(&taken(envelope("hello"), &rules)).unwrap().rule, "deny.d");
    let ask = "[[ask]]\nname = \"a\"\nkinds = [\"text\"]";
    let rules = requiring("session", "kinds = [\"text\"]", ask);
    assert_eq!(refused(&taken(envelope("hello"), &rules)).unwrap().rule, REQUIRE);
    let good = by_hand(&envelope("hello"), Method::Session, 9);
    let Incoming::Asked(_, ruling) = taken(good, &rules) else { panic!() };
    assert_eq!(ruling.rule, "ask.a");
}

#[test]
fn a_yes_that_is_too_weak_for_the_receiver_releases_nothing() {
    let item = Item::Message(What::MessageOut, secret());
    let decide = |least, method, answer| {
        let said = Statement { answer, method, ..statement(&item) };
        let decision = Decision::sign(&item, &said, &human(9)).unwrap();
        let waits = Pending::message(ID, What::MessageOut, secret(), LATER).needs(least);
        waits.decide(&decision, &human(9).id(), NOW).map(|outcome| match outcome {
            Outcome::Approved(_) => Answer::Approve,
            Outcome::Denied => Answer::Deny,
        })
    };
    let least = Some(Strength::Passphrase);
    let weak = Err(GateError::TooWeak(Strength::Passphrase));
    assert_eq!(decide(least, Method::Session, Answer::Approve), weak);
    assert_eq!(decide(least, Method::Session, Answer::Deny), Ok(Answer::Deny), "a no is a no");
    assert_eq!(decide(least, Method::Passphrase, Answer::Approve), Ok(Answer::Approve));
    assert_eq!(decide(least, Method::Passkey, Answer::Approve), Ok(Answer::Approve));
    assert_eq!(decide(None, Method::Session, Answer::Approve), Ok(Answer::Approve));
}

#[test]
fn neither_a_client_nor_a_grant_answers_for_what_the_receiver_wants_a_human_for() {
    let (scanner, approver) = (Scanner::standard(), human(9).id());
    let by_client = |least| {
        let waits = Pending::message(ID, What::MessageOut, secret(), LATER).needs(least);
        let (why, keys) = (reasons(&secret()), (&node(1), &approver));
        waits.decide_by_client(&why, &signed_by(9, &inline()), keys, (scanner, NOW)).is_ok()
    };
    assert!(by_client(None));
    assert!(!by_client(Some(Strength::Grant)));
    let mut why = reasons(&secret());
    let (signed, keys) = (signed_by(9, &unasked()), (&node(1), &approver));
    let release = |why: &[Reason]| {
        crate::gate::release_by_grant(secret(), why, &signed, keys, (scanner, NOW)).is_ok()
    };
    assert!(release(&why));
    let (rule, text) = (PEER_REQUIRES.to_owned(), "x".to_owned());
    why.push(Reason { rule, severity: crate::base::Severity::High, text });
    assert!(!release(&why));
}
