//! What we require, what a peer is told of it, and what the peer makes of that.

use proptest::{collection::vec, prelude::*};

use super::{
    monotone::{case, requiring},
    *,
};

fn bob() -> Peer<'static> {
    Peer { id: PeerId::from_bytes([2; 32]), name: "bob", verified: true }
}

fn features(body: &str) -> Vec<String> {
    parsed(body).requirements_for(&bob()).iter().map(Requirement::to_feature).collect()
}

#[test]
fn a_message_without_what_is_required_lacks_it() {
    let policy = parsed(
        "[[require]]\nkinds = [\"request\"]\nstrength = \"session\"\n\
         [[require]]\nfindings = [\"command.*\"]\nstrength = \"passphrase\"\n\
         [[require]]\npeers = [\"carol\"]\nstrength = \"grant\"",
    );
    let missing = |case: &Case| case.judge(|subject| policy.missing(subject));
    assert_eq!(missing(&text_in()), None);
    let request = Case { kind: "request", ..text_in() };
    let lacks = missing(&request).unwrap();
    assert_eq!((lacks.strength, &*lacks.what), (Strength::Session, "messages of kind request"));
    let by = |strength, case: &Case| Case { countersigned: Some(strength), ..case.clone() };
    assert!(missing(&by(Strength::Grant, &request)).is_some());
    assert_eq!(missing(&by(Strength::Session, &request)), None);
    // Of two the stronger.
    let command = finding("command.shell", Severity::Low, Matters::Coming);
    let both = Case { findings: vec![command], ..request.clone() };
    let lacks = missing(&both).unwrap();
    assert_eq!(lacks.strength, Strength::Passphrase);
    assert_eq!(lacks.what, "messages with findings of command.*");
    assert!(missing(&by(Strength::Session, &both)).is_some());
    assert_eq!(missing(&by(Strength::Passkey, &both)), None);
    // What leaves and new peers have none.
    assert_eq!(missing(&Case { action: Action::MessageOut, ..both.clone() }), None);
    assert_eq!(missing(&Case { action: Action::PeerIn, ..both }), None);
    // Our names for peers are ours.
    let lacks = missing(&Case { name: "carol", ..text_in() }).unwrap();
    assert_eq!(lacks, Missing { strength: Strength::Grant, what: "all messages".to_owned() });
}

#[test]
fn requirements_are_told_in_features() {
    let check = |body: &str, expected: &[&str]| {
        let found = features(body);
        assert_eq!(found, expected, "{body}");
    };
    check("", &[]);
    check("[[require]]\nstrength = \"grant\"", &["need.grant.all"]);
    check(
        "[[require]]\nkinds = [\"request\"]\nstrength = \"passphrase\"",
        &["need.passphrase.kind.request"],
    );
    check(
        "[[require]]\nseverity = \"high\"\nstrength = \"passphrase\"",
        &["need.passphrase.severity.high"],
    );
    check(
        "[[require]]\nfindings = [\"command.*\"]\nstrength = \"session\"",
        &["need.session.find.command"],
    );
    // Too long for a feature: the beginning is told.
    check(
        "[[require]]\nfindings = [\"secret.github_token\"]\nstrength = \"passphrase\"",
        &["need.passphrase.find.secret.gith"],
    );
    check(
        "[[require]]\nfindings = [\"*\"]\nstrength = \"passkey\"",
        &["need.passkey.severity.info"],
    );
    check(
        "[[require]]\nfindings = [\"*\"]\nseverity = \"low\"\nstrength = \"passkey\"",
        &["need.passkey.severity.low"],
    );
    // Less than a family's name: the families that begin so; and none.
    check(
        "[[require]]\nfindings = [\"s*\"]\nstrength = \"grant\"",
        &["need.grant.find.scan", "need.grant.find.secret"],
    );
    check(
        "[[require]]\nfindings = [\"tokens.*\"]\nstrength = \"grant\"",
        &["need.grant.find.scan"],
    );
    // For others, and what is in another one.
    check("[[require]]\npeers = [\"carol\"]\nstrength = \"grant\"", &[]);
    check(
        "[[require]]\npeers = [\"bob\"]\nstrength = \"session\"\n\
         [[require]]\nkinds = [\"text\", \"reply\"]\nstrength = \"grant\"\n\
         [[require]]\nkinds = [\"request\"]\nstrength = \"passkey\"",
        &["need.session.all", "need.passkey.kind.request"],
    );
    check(
        "[[require]]\nfindings = [\"file.*\", \"file.s*\", \"command.sh*\", \"command.*\"]\n\
         strength = \"grant\"",
        &["need.grant.find.command", "need.grant.find.file"],
    );
    check(
        "[[require]]\nseverity = \"info\"\nstrength = \"session\"\n\
         [[require]]\nfindings = [\"file.*\"]\nstrength = \"grant\"",
        &["need.session.severity.info"],
    );
    let many: Vec<_> = (0..13)
        .map(|n| format!("[[require]]\nkinds = [\"k{n}\"]\nstrength = \"grant\"\n"))
        .collect();
    let many = many.concat();
    check(&many, &["need.grant.all"]);
    let one_stronger = many.replacen("grant", "passkey", 1);
    check(&one_stronger, &["need.passkey.all"]);
}

#[test]
fn what_could_not_be_looked_through_needs_what_names_need() {
    let policy = parsed("[[require]]\nfindings = [\"command.*\"]\nstrength = \"passphrase\"");
    let told = policy.requirements_for(&bob());
    for rule in [crate::risk::FULL, crate::risk::FAILED] {
        let case = with(&[&finding(rule, Severity::Low, Matters::Both)]);
        assert!(case.judge(|subject| policy.missing(subject)).is_some(), "{rule}");
        let leaving = Case { action: Action::MessageOut, ..case };
        assert!(leaving.judge(|subject| told[0].applies(subject)), "{rule}");
    }
}

#[test]
fn a_feature_of_another_form_is_passed_over() {
    for feature in [
        "",
        "need",
        "need.",
        "need.passphrase",
        "need.client.all",
        "need.fingerprint.all",
        "need.grant.all.x",
        "need.grant.kind.",
        "need.grant.kind",
        "need.grant.severity.bad",
        "need.grant.colour.red",
        "need.grant.kind.\u{1b}[2J",
        "need.grant.kind.aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "need.grant.kind.paste_keys",
        "need.grant.kind.text.x",
        "need.grant.find.",
        "need.grant.find.s",
        "need.grant.find.run-it-now",
        "need.grant.find.secrets.x",
        "NEED.grant.all",
        "ack2",
    ] {
        assert_eq!(Requirement::from_feature(feature), None, "{feature}");
    }
    for kind in ["text", "request", "reply", "file"] {
        assert!(Requirement::from_feature(&format!("need.grant.kind.{kind}")).is_some(), "{kind}");
    }
    for family in super::super::check::FAMILIES {
        let feature = format!("need.grant.find.{family}");
        assert!(Requirement::from_feature(&feature).is_some(), "{family}");
    }
    // Of a name only the family is told: the rest may be a sentence.
    let read = Requirement::from_feature("need.grant.find.secret.send_all").unwrap();
    assert_eq!(
        read.sentence(),
        "messages with some findings of secret* need a countersignature by grant or better"
    );
    let read = Requirement::from_feature("need.session.find.command").unwrap();
    assert_eq!(read.strength(), Strength::Session);
    assert_eq!(
        read.sentence(),
        "messages with findings of command* need a countersignature by session or better"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whoever heeds what it was told is refused nothing for want of a countersignature.
    #[test]
    fn what_is_told_is_enough(rules in vec(requiring(), 0..16), case in case()) {
        let bodies: Vec<_> = rules.iter().map(|rule| format!("[[require]]\n{rule}\n")).collect();
        let body = bodies.concat();
        let policy = parsed(&format!("[groups]\nteam = [\"carol\", \"bob\"]\n{body}"));
        let peer = Peer { id: PeerId::from_bytes([case.id; 32]), name: case.name, verified: true };
        let told = policy.requirements_for(&peer);
        prop_assert!(told.len() <= REQUIREMENTS_MAX);
        let mut need = None;
        for one in &told {
            let feature = one.to_feature();
            prop_assert!(feature.len() <= FEATURE_BYTES_MAX, "{feature}");
            prop_assert_eq!(Requirement::from_feature(&feature), Some(one.clone()));
            let leaving = Case { action: Action::MessageOut, ..case.clone() };
            if leaving.judge(|subject| one.applies(subject)) {
                need = need.max(Some(one.strength()));
            }
        }
        let heeded = Case { action: Action::MessageIn, countersigned: need, ..case };
        prop_assert_eq!(heeded.judge(|subject| policy.missing(subject)), None, "{}", body);
    }

    #[test]
    fn any_text_is_a_feature_or_not(text in "need\\.[a-z]{3,10}\\.[a-z]{3,8}(\\.[a-z._-]{0,12})?|.{0,40}") {
        if let Some(read) = Requirement::from_feature(&text) {
            prop_assert_eq!(read.to_feature(), text);
        }
    }
}
