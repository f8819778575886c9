//! The standard policy does what it always did.

use proptest::prelude::*;

use super::{monotone::case, *};

/// What held before policies were documents, with `known.*` beside `secret.*`.
fn before(subject: &Subject<'_>) -> Verdict {
    let peer = |text: &str| {
        let (rule, text) = ("peer.new".to_owned(), text.to_owned());
        Verdict::Ask(vec![Reason { rule, severity: Severity::High, text }])
    };
    let ask = |reasons: Vec<Reason>| {
        if reasons.is_empty() { Verdict::Allow } else { Verdict::Ask(reasons) }
    };
    let reasons = |counts: &dyn Fn(&Finding) -> bool| {
        let mut reasons: Vec<Reason> = Vec::new();
        for finding in subject.findings.iter().filter(|f| f.severity >= ASK_FROM && counts(f)) {
            if reasons.iter().all(|reason| reason.rule != finding.rule) {
                reasons.push(Reason::of(finding));
            }
        }
        reasons
    };
    match subject.action {
        Action::PeerOut => peer("your agent asks to be connected with a new peer"),
        Action::PeerIn => peer("a new peer asks to be connected with your agent"),
        Action::MessageOut => ask(reasons(&|finding| finding.matters != Matters::Coming)),
        Action::MessageIn => {
            let released = subject.countersigned.is_some_and(|by| by > Strength::Client);
            let mut reasons = reasons(&|finding| {
                let rule = &finding.rule;
                let secret = rule.starts_with("secret.") || rule.starts_with("known.");
                finding.matters != Matters::Leaving && !(released && secret)
            });
            if subject.clock_ahead {
                reasons.push(Reason {
                    rule: "clock.ahead".to_owned(),
                    severity: Severity::Medium,
                    text: "the sender's clock is more than 10 minutes ahead of ours".to_owned(),
                });
            }
            ask(reasons)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn the_standard_document_is_what_was_hard_coded(case in case()) {
        // The note that goes with a request to connect was judged as a message that leaves.
        let findings = if case.action.is_peer() { Vec::new() } else { case.findings.clone() };
        let case = Case { findings, ..case };
        let (now, before) = case.judge(|s| (Policy::standard().decide(s).verdict, before(s)));
        prop_assert_eq!(now, before);
    }
}

#[test]
fn the_standard_document_is_read_and_has_no_fault() {
    let policy = Policy::parse(Policy::standard_text()).unwrap();
    assert_eq!(&policy, Policy::standard());
    assert_eq!(policy.text(), Policy::standard_text());
    assert_eq!(policy.findings_of_check(), []);
    assert_eq!(text_in().rule(&policy), "allow.talk");
}

#[test]
fn without_a_document_everything_is_asked_about() {
    let none = Policy::without_rules();
    assert_eq!(
        (text_in().rule(&none), text_out().rule(&none)),
        ("default".into(), "default".into())
    );
    assert_eq!(none.taint(), Taint::default());
}
