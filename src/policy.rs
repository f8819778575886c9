//! Whether something may pass: allow, ask the human, or deny. A pure function of what is known;
//! the default is to ask.
//!
//! This first policy has no file. It asks about every new peer, about outgoing payloads with
//! secrets, and about incoming ones with hidden text or with secrets that no human released.

use crate::risk::{Finding, Severity};

/// What is about to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// We ask to be connected with a peer.
    PeerOut,
    /// A peer asks to be connected with us.
    PeerIn,
    /// A message leaves.
    MessageOut,
    /// A message arrives.
    MessageIn {
        /// Its sender's human countersigned it.
        countersigned: bool,
        /// Its sender's clock is further ahead than [`crate::base::limits::CLOCK_AHEAD_MAX`].
        clock_ahead: bool,
    },
}

/// Why the human is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Which rule.
    pub rule: String,
    /// How bad.
    pub severity: Severity,
    /// A sentence for a person.
    pub text: String,
}

/// The policy's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass.
    Allow,
    /// The human decides.
    Ask(Vec<Reason>),
}

/// The least severity that the human is asked about.
pub const ASK_FROM: Severity = Severity::High;

/// The rule that asks whether to let a blocked peer in again.
pub const BLOCKED: &str = "peer.blocked";

/// Decides.
#[must_use]
pub fn decide(action: Action, findings: &[Finding]) -> Verdict {
    let peer = |rule: &str, text: &str| {
        let (rule, text) = (rule.to_owned(), text.to_owned());
        Verdict::Ask(vec![Reason { rule, severity: Severity::High, text }])
    };
    match action {
        Action::PeerOut => peer("peer.new", "your agent asks to be connected with a new peer"),
        Action::PeerIn => peer("peer.new", "a new peer asks to be connected with your agent"),
        Action::MessageOut => ask(reasons(findings, |_| true)),
        Action::MessageIn { countersigned, clock_ahead } => {
            // A secret that the sender's own human released is theirs to give.
            let counts =
                |finding: &Finding| !(countersigned && finding.rule.starts_with("secret."));
            let mut reasons = reasons(findings, counts);
            if clock_ahead {
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

fn ask(reasons: Vec<Reason>) -> Verdict {
    if reasons.is_empty() { Verdict::Allow } else { Verdict::Ask(reasons) }
}

fn reasons(findings: &[Finding], counts: impl Fn(&Finding) -> bool) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = Vec::new();
    for finding in findings.iter().filter(|f| f.severity >= ASK_FROM && counts(f)) {
        if reasons.iter().all(|reason| reason.rule != finding.rule) {
            reasons.push(Reason::of(finding));
        }
    }
    reasons
}

impl Reason {
    /// The reason that a finding is.
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        Self {
            rule: finding.rule.to_owned(),
            severity: finding.severity,
            text: format!("the text holds {}", finding.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: Finding =
        Finding { rule: "secret.x", severity: Severity::Critical, span: 0..1, text: "a secret" };
    const HIDDEN: Finding =
        Finding { rule: "hidden.x", severity: Severity::High, span: 0..1, text: "hidden text" };

    #[test]
    fn every_new_peer_is_asked_about() {
        assert!(matches!(decide(Action::PeerOut, &[]), Verdict::Ask(_)));
        assert!(matches!(decide(Action::PeerIn, &[]), Verdict::Ask(_)));
    }

    #[test]
    fn a_countersigned_secret_passes_and_hidden_text_never_does() {
        let incoming = |countersigned| Action::MessageIn { countersigned, clock_ahead: false };
        assert_eq!(decide(Action::MessageOut, &[]), Verdict::Allow);
        assert!(matches!(decide(Action::MessageOut, &[SECRET]), Verdict::Ask(_)));
        assert_eq!(decide(incoming(true), &[SECRET]), Verdict::Allow);
        assert!(matches!(decide(incoming(false), &[SECRET]), Verdict::Ask(_)));
        assert!(matches!(decide(incoming(true), &[HIDDEN]), Verdict::Ask(_)));
        let ahead = Action::MessageIn { countersigned: true, clock_ahead: true };
        assert!(matches!(decide(ahead, &[]), Verdict::Ask(_)));
    }

    #[test]
    fn a_rule_that_fires_often_is_one_reason() {
        let Verdict::Ask(reasons) = decide(Action::MessageOut, &[SECRET, SECRET]) else { panic!() };
        assert_eq!(reasons.len(), 1);
    }
}
