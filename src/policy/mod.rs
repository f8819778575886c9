//! Whether something may pass: allow, ask the human, or deny. A pure function of what is known;
//! the default is to ask.
//!
//! A [`Policy`] is a document of rules that the human signed, or [`Policy::standard`] where they
//! signed none. Its rules are tried in the order deny, ask, allow; the first that matches decides.
//! A new peer is asked about whatever the rules say, unless they deny it.
//!
//! It signs nothing, stores nothing and does not know what a message says beyond its findings.

mod check;
mod compare;
mod explain;
mod parse;
mod require;
mod rule;
mod terms;
mod words;

use std::{sync::OnceLock, time::Duration};

use crate::{
    base::{Digest, PeerId},
    risk::{Finding, Severity},
};
use rule::{Filter, Rule};
use terms::Peers;

pub use check::{Complaint, Weight};
pub use explain::{Explanation, Tried};
pub use parse::{GROUPS_MAX, POLICY_BYTES_MAX, PolicyError, RULES_MAX};
pub use require::{FEATURE_BYTES_MAX, Missing, REQUIREMENTS_MAX, Requirement};

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

impl Strength {
    const ALL: [Self; 5] =
        [Self::Client, Self::Grant, Self::Session, Self::Passphrase, Self::Passkey];

    /// The name on every surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Grant => "grant",
            Self::Session => "session",
            Self::Passphrase => "passphrase",
            Self::Passkey => "passkey",
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strength| strength.as_str() == name)
    }
}

/// The other side.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'s> {
    /// Its node.
    pub id: PeerId,
    /// Our name for it.
    pub name: &'s str,
    /// Our human compared the words of its pairing, or told or heard its code themselves.
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

/// How careful we are after a peer's text was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taint {
    /// How long: 1 to 168.
    pub hours: u32,
    /// How long a plain answer to that same peer may be meanwhile: 0 to 65536.
    pub reply_bytes: u64,
}

impl Default for Taint {
    fn default() -> Self {
        Self { hours: 12, reply_bytes: 16384 }
    }
}

/// Peers whose texts may be followed by messages to others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Flow {
    line: usize,
    from: Peers,
    to: Peers,
}

/// Rules that count.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    text: String,
    deny: Vec<Rule>,
    ask: Vec<Rule>,
    allow: Vec<Rule>,
    require: Vec<(Rule, Strength)>,
    flows: Vec<Flow>,
    taint: Taint,
    further: Vec<Further>,
}

/// A further secret rule, as it is written; the scanner reads it.
type Further = toml::Table;

/// The least severity that the human is asked about by [`Policy::standard`].
pub const ASK_FROM: Severity = Severity::High;

/// The reason that says that the policy names a new peer by its name here.
pub const NAMED: &str = "peer.named";
/// The rule that asks whether to let a blocked peer in again.
pub const BLOCKED: &str = "peer.blocked";
/// The rule that asks about a new peer, whatever the policy says.
pub const PEER_NEW: &str = "peer.new";
/// The reason of a message whose sender's clock is ahead.
pub const CLOCK_AHEAD: &str = "clock.ahead";
/// The reason where no rule of the policy allows it, beside those of the ask rules that match.
pub const DEFAULT: &str = "policy.default";

const STANDARD: &str = include_str!("standard.toml");

impl Policy {
    /// What holds where no policy was signed: [`Policy::standard_text`].
    #[must_use]
    pub fn standard() -> &'static Self {
        static PARSED: OnceLock<Policy> = OnceLock::new();
        // A text that could not be read would be no rules at all, and so ask about everything.
        PARSED.get_or_init(|| Self::parse(STANDARD).unwrap_or_else(|_| Self::without_rules()))
    }

    /// The document that holds where no policy was signed, with its comments.
    #[must_use]
    pub const fn standard_text() -> &'static str {
        STANDARD
    }

    /// Reads a document; `POLICY.md` beside this file is its reference.
    ///
    /// # Errors
    /// Names the line, what is wrong there and what is allowed.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        parse::policy(text)
    }

    /// The document as it was read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The digest of its text.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of("countersign/policy/v1", &[self.text.as_bytes()])
    }

    /// How careful we are after a peer's text was read.
    #[must_use]
    pub const fn taint(&self) -> Taint {
        self.taint
    }

    /// Further secret rules, each a table in the shape of gitleaks' configuration.
    #[must_use]
    pub fn further_rules(&self) -> &[toml::Table] {
        &self.further
    }

    /// Whether texts from `from` may be followed by messages to `to` without a question.
    #[must_use]
    pub fn flow_allows(&self, from: &Peer<'_>, to: &Peer<'_>) -> bool {
        self.flows.iter().any(|flow| flow.from.contains(from) && flow.to.contains(to))
    }

    const fn without_rules() -> Self {
        let taint = Taint { hours: 12, reply_bytes: 16384 };
        Self {
            text: String::new(),
            deny: Vec::new(),
            ask: Vec::new(),
            allow: Vec::new(),
            require: Vec::new(),
            flows: Vec::new(),
            taint,
            further: Vec::new(),
        }
    }

    /// Decides. The first rule that matches does; the reasons are of all rules of its list that
    /// match, so that whoever answers one question has seen them all. Where one asks and none
    /// allows, the reasons of the default are among them.
    #[must_use]
    pub fn decide(&self, subject: &Subject<'_>) -> Decided {
        let denying: Vec<&Rule> = self.deny.iter().filter(|rule| rule.matches(subject)).collect();
        if let Some(first) = denying.first() {
            let verdict = Verdict::Deny(reasons(&denying, subject));
            return Decided { verdict, rule: first.label() };
        }
        let asking: Vec<&Rule> = self.ask.iter().filter(|rule| rule.matches(subject)).collect();
        let first = asking.first().map(|rule| rule.label());
        let mut reasons = reasons(&asking, subject);
        if let Some(new) = Reason::of_peer(subject.action) {
            reasons.insert(0, new);
            let rule = first.unwrap_or_else(|| PEER_NEW.to_owned());
            return Decided { verdict: Verdict::Ask(reasons), rule };
        }
        if let Some(allowing) = self.allow.iter().find(|rule| rule.matches(subject)) {
            return match first {
                Some(rule) => Decided { verdict: Verdict::Ask(reasons), rule },
                None => Decided { verdict: Verdict::Allow, rule: allowing.label() },
            };
        }
        // The default asks as well: an ask rule takes none of its reasons away.
        let mut all = Reason::of_default(subject);
        reasons.retain(|reason| all.iter().all(|other| other.rule != reason.rule));
        all.append(&mut reasons);
        let rule = first.unwrap_or_else(|| "default".to_owned());
        Decided { verdict: Verdict::Ask(all), rule }
    }
}

/// Why `rules`, which match, matched: the findings in their order, then the rest.
fn reasons(rules: &[&Rule], subject: &Subject<'_>) -> Vec<Reason> {
    let filters: Vec<&Filter> = rules.iter().filter_map(|rule| rule.filter()).collect();
    let mut reasons = found(subject, |finding| filters.iter().any(|filter| filter.takes(finding)));
    if rules.iter().any(|rule| rule.is_of_clock()) {
        reasons.push(Reason {
            rule: CLOCK_AHEAD.to_owned(),
            severity: Severity::Medium,
            text: "the sender's clock is more than 10 minutes ahead of ours".to_owned(),
        });
    }
    for rule in rules.iter().filter(|rule| rule.tells_itself()) {
        reasons.push(Reason {
            rule: format!("policy.{}", rule.name),
            severity: Severity::Medium,
            text: rule.sentence(subject.action.is_peer()),
        });
    }
    reasons
}

/// A reason for each rule of the scanner that found something which matters and `counts`.
fn found(subject: &Subject<'_>, counts: impl Fn(&Finding) -> bool) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = Vec::new();
    for finding in subject.mattering().filter(|finding| counts(finding)) {
        if reasons.iter().all(|reason| reason.rule != finding.rule) {
            reasons.push(Reason::of(finding));
        }
    }
    reasons
}

impl Reason {
    /// Why the human is asked where nothing allows it: that, and all that was found.
    fn of_default(subject: &Subject<'_>) -> Vec<Self> {
        let text = "no rule of your policy lets this pass".to_owned();
        let mut reasons = found(subject, |_| true);
        reasons.insert(0, Self { rule: DEFAULT.to_owned(), severity: Severity::Medium, text });
        reasons
    }

    /// Why the human is asked about a new peer.
    fn of_peer(action: Action) -> Option<Self> {
        let text = match action {
            Action::PeerOut => "your agent asks to be connected with a new peer",
            Action::PeerIn => "a new peer asks to be connected with your agent",
            Action::MessageOut | Action::MessageIn => return None,
        };
        let (rule, text) = (PEER_NEW.to_owned(), text.to_owned());
        Some(Self { rule, severity: Severity::High, text })
    }

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

#[cfg(test)]
mod tests;
