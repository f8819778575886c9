//! The cast, the conditions one by one, and the order of the lists.

mod check;
mod compare;
mod language;
mod monotone;
mod require;
mod standard;

use std::time::Duration;

use super::*;
use crate::risk::Matters;

/// What a subject is made of, as a value that a test can change.
#[derive(Clone, Debug)]
struct Case {
    action: Action,
    name: &'static str,
    id: u8,
    verified: bool,
    kind: &'static str,
    size_bytes: u64,
    findings: Vec<Finding>,
    countersigned: Option<Strength>,
    clock_ahead: bool,
    /// Messages in the last minute, hour and day: never less in more time.
    recent: [u64; 3],
}

impl Case {
    fn judge<T>(&self, with: impl FnOnce(&Subject<'_>) -> T) -> T {
        let [minute, hour, day] = self.recent;
        let recent = move |window: Duration| match window.as_secs() {
            60 => minute,
            3600 => hour,
            _ => day,
        };
        with(&Subject {
            action: self.action,
            peer: Peer {
                id: PeerId::from_bytes([self.id; 32]),
                name: self.name,
                verified: self.verified,
            },
            kind: self.kind,
            size_bytes: self.size_bytes,
            findings: &self.findings,
            countersigned: self.countersigned,
            clock_ahead: self.clock_ahead,
            recent: &recent,
        })
    }

    fn rule(&self, policy: &Policy) -> String {
        self.judge(|subject| policy.decide(subject).rule)
    }

    fn reasons(&self, policy: &Policy) -> Vec<String> {
        match self.judge(|subject| policy.decide(subject).verdict) {
            Verdict::Allow => Vec::new(),
            Verdict::Ask(reasons) | Verdict::Deny(reasons) => {
                reasons.into_iter().map(|reason| reason.rule).collect()
            }
        }
    }
}

/// An ordinary text from Bob, who was verified.
fn text_in() -> Case {
    Case {
        action: Action::MessageIn,
        name: "bob",
        id: 2,
        verified: true,
        kind: "text",
        size_bytes: 100,
        findings: Vec::new(),
        countersigned: None,
        clock_ahead: false,
        recent: [0; 3],
    }
}

fn text_out() -> Case {
    Case { action: Action::MessageOut, ..text_in() }
}

fn finding(rule: &'static str, severity: Severity, matters: Matters) -> Finding {
    let text = "something".into();
    Finding { rule: rule.into(), severity, matters, span: 0..1, text, layers: Vec::new() }
}

fn secret() -> Finding {
    finding("secret.aws_access_key", Severity::Critical, Matters::Both)
}

fn parsed(body: &str) -> Policy {
    let text = format!("version = 1\n{body}");
    Policy::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// How strict an answer is.
fn strictness(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Allow => 0,
        Verdict::Ask(_) => 1,
        Verdict::Deny(_) => 2,
    }
}

fn judged(policy: &Policy, case: &Case) -> u8 {
    case.judge(|subject| strictness(&policy.decide(subject).verdict))
}

/// A deny rule of one condition: the cases that it matches, and those that it does not.
#[track_caller]
fn check_deny(condition: &str, matching: &[&Case], others: &[&Case]) {
    let groups = "[groups]\nteam = [\"carol\", \"bob\"]\n";
    let policy = parsed(&format!("{groups}[[deny]]\nname = \"it\"\n{condition}"));
    for case in matching {
        assert_eq!(case.rule(&policy), "deny.it", "{condition}: {case:?}");
    }
    for case in others {
        assert_ne!(case.rule(&policy), "deny.it", "{condition}: {case:?}");
    }
}

/// The same for an allow rule.
#[track_caller]
fn check_allow(condition: &str, matching: &[&Case], others: &[&Case]) {
    let policy = parsed(&format!("[[allow]]\nname = \"it\"\n{condition}"));
    for case in matching {
        assert_eq!(case.rule(&policy), "allow.it", "{condition}: {case:?}");
    }
    for case in others {
        assert_eq!(case.rule(&policy), "default", "{condition}: {case:?}");
    }
}

fn with(findings: &[&Finding]) -> Case {
    Case { findings: findings.iter().map(|one| (*one).clone()).collect(), ..text_in() }
}

fn size(size_bytes: u64) -> Case {
    Case { size_bytes, ..text_in() }
}

fn by(strength: Strength) -> Case {
    Case { countersigned: Some(strength), ..text_in() }
}

fn recent(minute: u64, hour: u64, day: u64) -> Case {
    Case { recent: [minute, hour, day], ..text_in() }
}

#[test]
fn conditions_about_who_and_what_hold_where_they_should() {
    let (into, out) = (text_in(), text_out());
    let peer_in = Case { action: Action::PeerIn, kind: "", verified: false, ..text_in() };
    let peer_out = Case { action: Action::PeerOut, ..peer_in.clone() };
    let carol = Case { name: "carol", id: 3, ..text_in() };
    let dave = Case { name: "dave", id: 4, ..text_in() };
    check_deny("", &[&into, &out, &peer_in, &peer_out], &[]);
    check_deny("direction = \"in\"", &[&into, &peer_in], &[&out, &peer_out]);
    check_deny("direction = \"out\"", &[&out, &peer_out], &[&into, &peer_in]);
    check_deny("peers = [\"bob\"]", &[&into, &out], &[&carol, &dave]);
    check_deny("peers = [\"group:team\"]", &[&into, &carol], &[&dave]);
    let id = PeerId::from_bytes([4; 32]);
    check_deny(&format!("peers = [\"carol\", \"{id}\"]"), &[&dave, &carol], &[&into]);
    let unverified = Case { verified: false, ..text_in() };
    check_deny("verified = true", &[&into], &[&unverified, &peer_in]);
    check_deny("verified = false", &[&unverified, &peer_in], &[&into]);
    let request = Case { kind: "request", ..text_in() };
    // A message whose sender calls its kind so is no new peer.
    let posing = Case { kind: "peer", ..text_in() };
    check_deny("kinds = [\"request\", \"x\"]", &[&request], &[&into, &peer_in]);
    check_deny("kinds = [\"peer\"]", &[&peer_in, &peer_out], &[&into, &posing]);
    check_deny("size_over_bytes = 1000", &[&size(1001)], &[&size(1000), &size(0)]);
}

#[test]
fn conditions_about_findings_hold_where_they_should() {
    let (clean, secret) = (text_in(), secret());
    let low = finding("hidden.tag", Severity::Low, Matters::Both);
    let leaving = finding("secret.x", Severity::High, Matters::Leaving);
    let leaving_out = Case { findings: vec![leaving.clone()], ..text_out() };
    let (secrets, lows, both) = (with(&[&secret]), with(&[&low]), with(&[&low, &secret]));
    check_deny("findings = [\"secret.*\"]", &[&secrets, &both, &leaving_out], &[&lows, &clean]);
    check_deny("findings = [\"secret.*\"]", &[], &[&with(&[&leaving])]);
    check_deny("findings = [\"secret.aws_access_key\"]", &[&secrets], &[&lows, &leaving_out]);
    check_deny("findings_except = [\"secret.*\"]", &[&lows, &both], &[&secrets, &clean]);
    check_deny("severity = \"high\"", &[&secrets], &[&lows, &clean]);
    // One finding has to be all of it.
    check_deny("findings = [\"hidden.*\"]\nseverity = \"high\"", &[], &[&both]);
    check_deny("findings = [\"*\"]\nseverity = \"high\"", &[&both], &[&lows]);

    // What stands for findings that are not listed may stand for any.
    for rule in [crate::risk::FULL, crate::risk::FAILED] {
        let high = with(&[&finding(rule, Severity::High, Matters::Both)]);
        let medium = with(&[&finding(rule, Severity::Medium, Matters::Both)]);
        check_deny("findings = [\"secret.*\"]\nseverity = \"high\"", &[&high], &[&medium]);
        check_deny("findings_except = [\"scan.*\"]", &[&high, &medium], &[&clean]);
        check_allow("only_findings = [\"secret.*\"]", &[], &[&high]);
    }

    check_allow("severity_up_to = \"low\"", &[&lows, &clean], &[&both]);
    check_allow("only_findings = [\"secret.*\"]", &[&secrets, &clean], &[&lows, &both]);
    check_allow("only_findings = []", &[&clean], &[&lows]);
    // What matters to the other direction alone is not looked at.
    check_allow("only_findings = []", &[&with(&[&leaving])], &[&leaving_out]);
    check_allow("severity_up_to = \"low\"", &[&with(&[&leaving])], &[&leaving_out]);
}

#[test]
fn conditions_about_rate_and_sender_hold_where_they_should() {
    let (into, out) = (text_in(), text_out());
    let peer_in = Case { action: Action::PeerIn, kind: "", ..text_in() };
    // The 21st in an hour is one over 20.
    check_deny("rate_over = \"20/hour\"", &[&recent(0, 20, 20)], &[&recent(0, 19, 500)]);
    check_deny("rate_over = \"1/minute\"", &[&recent(1, 1, 1)], &[&recent(0, 9, 9)]);
    check_deny("rate_over = \"9/day\"", &[&recent(0, 0, 9)], &[&recent(0, 0, 8)]);
    check_allow("rate_up_to = \"20/hour\"", &[&recent(0, 19, 99)], &[&recent(0, 20, 20)]);
    check_allow("size_up_to_bytes = 1000", &[&size(1000)], &[&size(1001)]);

    let (client, grant) = (by(Strength::Client), by(Strength::Grant));
    let (session, passkey) = (by(Strength::Session), by(Strength::Passkey));
    check_deny(
        "not_countersigned = \"session\"",
        &[&into, &client, &grant],
        &[&session, &passkey, &out, &peer_in],
    );
    let leaving = Case { action: Action::MessageOut, ..passkey.clone() };
    check_allow(
        "countersigned = \"session\"",
        &[&session, &passkey],
        &[&into, &client, &grant, &leaving],
    );
    let ahead = Case { clock_ahead: true, ..text_in() };
    let leaving = Case { clock_ahead: true, ..text_out() };
    check_deny("clock_ahead = true", &[&ahead], &[&into, &out, &leaving]);
}

#[test]
fn deny_comes_before_ask_before_allow_and_the_first_of_a_list_decides() {
    let policy = parsed(
        r#"
        [[allow]]
        [[ask]]
        name = "secrets"
        findings = ["secret.*"]
        [[ask]]
        name = "any"
        severity = "info"
        because = "I look at all of these"
        [[deny]]
        name = "dave"
        peers = ["dave"]
        "#,
    );
    assert_eq!(text_in().rule(&policy), "allow.1");
    let low = finding("hidden.tag", Severity::Low, Matters::Both);
    let one = Case { findings: vec![low.clone()], ..text_in() };
    assert_eq!(one.rule(&policy), "ask.any");
    let two = Case { findings: vec![low, secret()], ..text_in() };
    assert_eq!(two.rule(&policy), "ask.secrets");
    // Whoever answers has seen the reasons of both.
    assert_eq!(two.reasons(&policy), ["hidden.tag", "secret.aws_access_key", "policy.any"]);
    let dave = Case { name: "dave", ..two };
    assert_eq!(
        (dave.rule(&policy), dave.reasons(&policy)),
        ("deny.dave".into(), vec!["policy.dave".to_owned()])
    );
}

#[test]
fn a_new_peer_is_never_allowed() {
    let peer = Case { action: Action::PeerIn, kind: "", ..text_in() };
    for policy in ["", "[[allow]]", "[[allow]]\nkinds = [\"peer\"]"] {
        assert_eq!(peer.rule(&parsed(policy)), PEER_NEW);
        assert_eq!(peer.reasons(&parsed(policy)), [PEER_NEW]);
    }
    let ask = parsed("[[ask]]\nname = \"strangers\"\nkinds = [\"peer\"]\nbecause = \"call me\"");
    assert_eq!(peer.rule(&ask), "ask.strangers");
    assert_eq!(peer.reasons(&ask), [PEER_NEW, "policy.strangers"]);
    let deny = parsed("[[deny]]\nkinds = [\"peer\"]");
    assert_eq!(peer.rule(&deny), "deny.1");
    assert_eq!(text_in().rule(&deny), "default");
}

#[test]
fn reasons_say_what_the_rule_says() {
    let check = |rule: &str, expected: &str| {
        let big = Case {
            size_bytes: 40_000,
            kind: "request",
            recent: [99, 99, 99],
            findings: vec![secret()],
            ..text_in()
        };
        let policy = parsed(rule);
        let verdict = big.judge(|subject| policy.decide(subject).verdict);
        let (Verdict::Ask(reasons) | Verdict::Deny(reasons)) = verdict else { panic!("{rule}") };
        assert_eq!(reasons.last().unwrap().text, expected, "{rule}");
    };
    check("[[ask]]\nsize_over_bytes = 16384", "your policy asks about messages over 16 KiB");
    check("[[deny]]\nsize_over_bytes = 1000", "your policy denies messages over 1000 bytes");
    check("[[ask]]\nsize_over_bytes = 9\nbecause = \"that is long\"", "that is long");
    check("[[ask]]", "your policy asks about all messages");
    check(
        "[[deny]]\ndirection = \"in\"\npeers = [\"a\", \"b\", \"c\", \"d\", \"bob\"]\n\
         verified = true\nkinds = [\"reply\", \"request\"]\nrate_over = \"20/hour\"\n\
         not_countersigned = \"grant\"",
        "your policy denies messages that arrive, with a, b, c or 2 more, with a verified peer, \
         of kind reply or request, without a countersignature by grant or better, beyond 20 an \
         hour",
    );
    check("[[ask]]\nseverity = \"high\"", "the text holds something");
    check("", "the text holds something");
}

#[test]
fn the_default_says_so_and_what_was_found() {
    let case = Case { findings: vec![secret(), secret()], ..text_in() };
    assert_eq!(case.reasons(&parsed("")), [DEFAULT, "secret.aws_access_key"]);
    assert_eq!(case.rule(&parsed("")), "default");
}

#[test]
fn an_ask_rule_takes_no_reason_of_the_default_away() {
    let low = finding("hidden.tag", Severity::Low, Matters::Both);
    let case = Case { findings: vec![low, secret()], ..text_in() };
    let ask = "[[ask]]\nname = \"secrets\"\nfindings = [\"secret.*\"]\n";
    let policy = parsed(ask);
    assert_eq!(case.rule(&policy), "ask.secrets");
    assert_eq!(case.reasons(&policy), [DEFAULT, "hidden.tag", "secret.aws_access_key"]);
    // Where a rule allows it, the ask rule's alone.
    let policy = parsed(&format!("{ask}[[allow]]"));
    assert_eq!(case.reasons(&policy), ["secret.aws_access_key"]);
    let policy = parsed(&format!("{ask}[[allow]]\npeers = [\"carol\"]"));
    assert_eq!(case.reasons(&policy), [DEFAULT, "hidden.tag", "secret.aws_access_key"]);
}

#[test]
fn an_explanation_names_the_first_condition_that_does_not_hold() {
    let policy = parsed(
        "[[deny]]\nname = \"dave\"\npeers = [\"dave\"]\n[[ask]]\ndirection = \"in\"\n\
         size_over_bytes = 1024\n[[allow]]\nname = \"team\"\nkinds = [\"text\"]\n\
         severity_up_to = \"low\"\n",
    );
    let explained = text_in().judge(|subject| policy.explain(subject)).to_string();
    assert_eq!(
        explained,
        "deny.dave (line 2) does not match: it is about other peers: dave\n\
         ask.1 (line 5) does not match: 100 bytes are not over 1 KiB\n\
         allow.team (line 8) allows it\n"
    );
    let case = Case { findings: vec![secret()], ..text_in() };
    let explained = case.judge(|subject| policy.explain(subject)).to_string();
    assert_eq!(
        explained.lines().skip(2).collect::<Vec<_>>(),
        [
            "allow.team (line 8) does not match: secret.aws_access_key was found, which is worse \
             than low",
            "default asks you: no rule matches",
            "  policy.default (medium): no rule of your policy lets this pass",
            "  secret.aws_access_key (critical): the text holds something",
        ]
    );
    let peer = Case { action: Action::PeerOut, kind: "", ..text_in() };
    let explained = peer.judge(|subject| policy.explain(subject)).to_string();
    assert!(explained.contains("peer.new asks you: no peer is let in unasked"), "{explained}");
}

#[test]
fn flows_and_taint_are_as_written() {
    let policy = parsed(
        "[groups]\nteam = [\"bob\", \"carol\"]\n[[flow]]\nfrom = [\"group:team\"]\n\
         to = [\"dave\"]\n[taint]\nhours = 24",
    );
    let of = |name| Peer { id: PeerId::from_bytes([9; 32]), name, verified: false };
    assert!(policy.flow_allows(&of("bob"), &of("dave")));
    assert!(policy.flow_allows(&of("carol"), &of("dave")));
    assert!(!policy.flow_allows(&of("dave"), &of("bob")));
    assert!(!policy.flow_allows(&of("bob"), &of("carol")));
    assert!(!Policy::standard().flow_allows(&of("bob"), &of("bob")));
    assert_eq!(policy.taint(), Taint { hours: 24, reply_bytes: 16384 });
    assert_eq!(Policy::standard().taint(), Taint::default());
}
