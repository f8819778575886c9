//! Whether something may pass: allow, ask the human, or deny. A pure function of what is known;
//! the default is to ask.
//!
//! A [`Policy`] is a document of rules that the human signed, or [`Policy::standard`] where they
//! signed none. Its rules are tried in the order deny, ask, allow; the first that matches decides.
//! A new peer is asked about whatever the rules say, unless they deny it.

use std::time::Duration;

use crate::{
    base::{Digest, PeerId, limits},
    risk::{Finding, Matters, Severity},
};

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
    MessageIn,
}

/// How much a countersignature is worth, least first.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Strength {
    /// An MCP client said that its user said yes.
    Client,
    /// The human signed beforehand for such messages.
    Grant,
    /// The human decided on a page that the passphrase had opened before.
    Session,
    /// The human typed the passphrase for this one.
    Passphrase,
    /// The human used a passkey for this one.
    Passkey,
}

/// The other side.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'s> {
    /// Its node.
    pub id: PeerId,
    /// Our name for it.
    pub name: &'s str,
    /// Our human compared the words of its pairing.
    pub verified: bool,
}

/// What a policy judges.
#[derive(Clone, Copy)]
pub struct Subject<'s> {
    /// What is about to happen.
    pub action: Action,
    /// With whom.
    pub peer: Peer<'s>,
    /// The message's kind, as on the wire; empty for a peer.
    pub kind: &'s str,
    /// The message's body, bytes.
    pub size_bytes: u64,
    /// What was found in it.
    pub findings: &'s [Finding],
    /// Its sender's human released it (incoming), and how. A grant counts where it covers what is
    /// found.
    pub countersigned: Option<Strength>,
    /// Its sender's clock is further ahead than [`crate::base::limits::CLOCK_AHEAD_MAX`].
    pub clock_ahead: bool,
    /// How many messages went this way with this peer in the time before; this one is not counted.
    pub recent: &'s (dyn Fn(Duration) -> u64 + Sync),
}

/// Why the human is asked, or why it does not pass.
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
    /// It may not, and nobody is asked.
    Deny(Vec<Reason>),
}

/// The answer with its rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The answer.
    pub verdict: Verdict,
    /// The rule that decided, as `deny.NAME`, `ask.NAME`, `allow.NAME`, `default` or `peer.new`.
    pub rule: String,
}

/// Rules that count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {}

/// The least severity that the human is asked about by [`Policy::standard`].
pub const ASK_FROM: Severity = Severity::High;

/// The rule that asks whether to let a blocked peer in again.
pub const BLOCKED: &str = "peer.blocked";

impl Policy {
    /// What holds where no policy was signed.
    #[must_use]
    pub const fn standard() -> &'static Self {
        &Self {}
    }

    /// The digest of its text.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of("countersign/policy/v1", &[])
    }

    /// How far the taint rule goes: how long a text counts, and what may go back, bytes.
    #[must_use]
    pub fn taint(&self) -> (Duration, u64) {
        (limits::TAINT_LIFE_DEFAULT, limits::TAINT_REPLY_BYTES_DEFAULT)
    }

    /// Whether what was read of one peer may be followed by what is sent to another.
    #[must_use]
    pub fn flow_allows(&self, _from: &Peer<'_>, _to: &Peer<'_>) -> bool {
        false
    }

    /// Decides.
    #[must_use]
    pub fn decide(&self, subject: &Subject<'_>) -> Decided {
        let peer = |rule: &str, text: &str| {
            let (rule, text) = (rule.to_owned(), text.to_owned());
            Verdict::Ask(vec![Reason { rule, severity: Severity::High, text }])
        };
        let verdict = match subject.action {
            Action::PeerOut => peer("peer.new", "your agent asks to be connected with a new peer"),
            Action::PeerIn => peer("peer.new", "a new peer asks to be connected with your agent"),
            Action::MessageOut => {
                ask(reasons(subject.findings, |finding| finding.matters != Matters::Coming))
            }
            Action::MessageIn => {
                // A secret that the sender's own human released is theirs to give. What a client
                // asserted is no human's word to us.
                let released = subject.countersigned.is_some_and(|by| by > Strength::Client);
                let counts = |finding: &Finding| {
                    let secret = finding.rule.starts_with("secret.");
                    finding.matters != Matters::Leaving && !(released && secret)
                };
                let mut reasons = reasons(subject.findings, counts);
                if subject.clock_ahead {
                    reasons.push(Reason {
                        rule: "clock.ahead".to_owned(),
                        severity: Severity::Medium,
                        text: "the sender's clock is more than 10 minutes ahead of ours".to_owned(),
                    });
                }
                ask(reasons)
            }
        };
        Decided { verdict, rule: "default".to_owned() }
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
        let through: Vec<_> = finding.layers.iter().map(|layer| layer.as_str()).collect();
        let under = if through.is_empty() {
            String::new()
        } else {
            format!(" (under {})", through.join(", then "))
        };
        Self {
            rule: finding.rule.clone().into_owned(),
            severity: finding.severity,
            text: format!("the text holds {}{under}", finding.text),
        }
    }
}
