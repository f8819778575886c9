//! A rule and its conditions: whether one holds, and whether one follows from another.
//!
//! A condition of a `deny` or an `ask` rule that holds goes on holding when findings, bytes or
//! messages are added or a countersignature gets weaker; one of an `allow` rule never begins to.
//! That is what makes a policy monotone, so both lists have fields of their own.

use std::collections::BTreeSet;

use super::{
    Action, Strength, Subject,
    terms::{Glob, KindName, PEER, Peers, Rate, Way},
};
use crate::risk::{self, Finding, Matters, Severity};

/// Which list a rule is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum List {
    Deny,
    Ask,
    Allow,
    Require,
    Flow,
}

impl List {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Ask => "ask",
            Self::Allow => "allow",
            Self::Require => "require",
            Self::Flow => "flow",
        }
    }
}

/// Findings that one condition is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    /// `None` is every rule.
    pub(super) any_of: Option<Vec<Glob>>,
    pub(super) none_of: Vec<Glob>,
    pub(super) at_least: Severity,
}

impl Filter {
    pub(super) fn takes(&self, finding: &Finding) -> bool {
        let named = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(&finding.rule));
        let of_these = self.any_of.as_deref().is_none_or(named) && !named(&self.none_of);
        finding.severity >= self.at_least && (of_these || hides_others(finding))
    }

    /// Whether `other` takes all that this takes.
    fn is_within(&self, other: &Self) -> bool {
        let named = match (&self.any_of, &other.any_of) {
            (_, None) => true,
            (None, Some(theirs)) => theirs.iter().any(|glob| glob.text() == "*"),
            (Some(ours), Some(theirs)) => all_covered(ours, theirs),
        };
        named && self.at_least >= other.at_least && all_covered(&other.none_of, &self.none_of)
    }

    fn is_empty(&self) -> bool {
        let all = self.none_of.iter().any(|glob| glob.text() == "*");
        all || self.any_of.as_ref().is_some_and(|any_of| all_covered(any_of, &self.none_of))
    }
}

/// Whether it stands for findings that are not listed: they may be of any name, so that a flood
/// or a detector that fails does not get past the names of a rule.
pub(super) fn hides_others(finding: &Finding) -> bool {
    [risk::FULL, risk::FAILED].contains(&&*finding.rule)
}

fn all_covered(globs: &[Glob], by: &[Glob]) -> bool {
    globs.iter().all(|glob| by.iter().any(|wider| wider.covers(glob)))
}

/// One condition of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Direction(Way),
    Peers(Peers),
    Verified(bool),
    Kinds(BTreeSet<KindName>),
    SizeOver(u64),
    SizeUpTo(u64),
    /// At least one finding that matters is of these.
    Found(Filter),
    /// Every finding that matters is of these.
    OnlyFound(Vec<Glob>),
    /// Every finding that matters is at most so bad.
    NoWorse(Severity),
    RateOver(Rate),
    RateUpTo(Rate),
    /// There is no countersignature of at least this strength on what arrived.
    NotCountersigned(Strength),
    /// There is one.
    Countersigned(Strength),
    ClockAhead,
}

impl Action {
    pub(super) const fn way(self) -> Way {
        match self {
            Self::PeerOut | Self::MessageOut => Way::Out,
            Self::PeerIn | Self::MessageIn => Way::In,
        }
    }

    pub(super) const fn is_peer(self) -> bool {
        match self {
            Self::PeerOut | Self::PeerIn => true,
            Self::MessageOut | Self::MessageIn => false,
        }
    }
}

/// Whether a finding matters to what goes this way.
pub(super) fn matters(finding: &Finding, way: Way) -> bool {
    match finding.matters {
        Matters::Leaving => way == Way::Out,
        Matters::Coming => way == Way::In,
        Matters::Both => true,
    }
}

impl Subject<'_> {
    /// The findings that matter to the way that this goes.
    pub(super) fn mattering(&self) -> impl Iterator<Item = &Finding> {
        let way = self.action.way();
        self.findings.iter().filter(move |finding| matters(finding, way))
    }

    /// How often it came to this, this time counted.
    fn count(&self, rate: Rate) -> u64 {
        (self.recent)(rate.window).saturating_add(1)
    }
}

impl Condition {
    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        let arrives = subject.action == Action::MessageIn;
        let signed = |least: Strength| subject.countersigned.is_some_and(|by| by >= least);
        match self {
            Self::Direction(way) => subject.action.way() == *way,
            Self::Peers(peers) => peers.contains(&subject.peer),
            Self::Verified(verified) => subject.peer.verified == *verified,
            Self::Kinds(kinds) => kinds.iter().any(|kind| {
                // No message is of the kind `peer`, whatever its sender calls it.
                if kind.as_str() == PEER {
                    subject.action.is_peer()
                } else {
                    !subject.action.is_peer() && kind.as_str() == subject.kind
                }
            }),
            Self::SizeOver(bytes) => subject.size_bytes > *bytes,
            Self::SizeUpTo(bytes) => subject.size_bytes <= *bytes,
            Self::Found(filter) => subject.mattering().any(|finding| filter.takes(finding)),
            Self::OnlyFound(globs) => subject
                .mattering()
                .all(|finding| globs.iter().any(|glob| glob.matches(&finding.rule))),
            Self::NoWorse(most) => subject.mattering().all(|finding| finding.severity <= *most),
            Self::RateOver(rate) => subject.count(*rate) > rate.messages,
            Self::RateUpTo(rate) => subject.count(*rate) <= rate.messages,
            Self::NotCountersigned(least) => arrives && !signed(*least),
            Self::Countersigned(least) => arrives && signed(*least),
            Self::ClockAhead => arrives && subject.clock_ahead,
        }
    }

    /// Whether `other` holds wherever this does. `false` says nothing.
    fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Peers(ours), Self::Peers(theirs)) => ours.is_within(theirs),
            (Self::Kinds(ours), Self::Kinds(theirs)) => ours.is_subset(theirs),
            (Self::SizeOver(ours), Self::SizeOver(theirs)) => ours >= theirs,
            (Self::SizeUpTo(ours), Self::SizeUpTo(theirs)) => ours <= theirs,
            (Self::Found(ours), Self::Found(theirs)) => ours.is_within(theirs),
            (Self::OnlyFound(ours), Self::OnlyFound(theirs)) => all_covered(ours, theirs),
            (Self::NoWorse(ours), Self::NoWorse(theirs)) => ours <= theirs,
            // In a longer time there are at least as many.
            (Self::RateOver(ours), Self::RateOver(theirs)) => {
                ours.messages >= theirs.messages && ours.window <= theirs.window
            }
            (Self::RateUpTo(ours), Self::RateUpTo(theirs)) => {
                ours.messages <= theirs.messages && ours.window >= theirs.window
            }
            (Self::NotCountersigned(ours), Self::NotCountersigned(theirs)) => ours <= theirs,
            (Self::Countersigned(ours), Self::Countersigned(theirs)) => ours >= theirs,
            (_, Self::Direction(Way::In)) if self.is_of_what_arrives() => true,
            (ours, theirs) => ours == theirs,
        }
    }

    /// Whether it can hold for nothing but messages that arrive.
    pub(super) const fn is_of_what_arrives(&self) -> bool {
        matches!(self, Self::NotCountersigned(_) | Self::Countersigned(_) | Self::ClockAhead)
    }

    /// Why this and `other` never hold together.
    pub(super) fn contradicts(&self, other: &Self) -> Option<&'static str> {
        if self.is_of_what_arrives() {
            if *other == Self::Direction(Way::Out) {
                return Some(
                    "countersignatures and the sender's clock are looked at in what arrives only",
                );
            }
            if other.is_only_peers() {
                return Some("a new peer has no countersignature and no clock that is looked at");
            }
        }
        if *self == Self::Verified(true) && other.is_only_peers() {
            return Some("a new peer was never verified");
        }
        None
    }

    pub(super) fn is_only_peers(&self) -> bool {
        matches!(self, Self::Kinds(kinds) if kinds.iter().all(|kind| kind.as_str() == PEER))
    }

    pub(super) fn names_peers(&self) -> bool {
        matches!(self, Self::Kinds(kinds) if kinds.iter().any(|kind| kind.as_str() == PEER))
    }

    /// Why it never holds.
    pub(super) fn is_impossible(&self) -> Option<String> {
        let bytes_max = u64::try_from(crate::base::limits::ENVELOPE_BYTES_MAX).unwrap_or(u64::MAX);
        let no_peer = matches!(self, Self::Peers(peers) if peers.is_empty());
        let too_large = matches!(self, Self::SizeOver(bytes) if *bytes >= bytes_max);
        let no_finding = matches!(self, Self::Found(filter) if filter.is_empty());
        if no_peer {
            return Some("the groups that it names hold no peer".to_owned());
        }
        if too_large {
            return Some(format!("no message is over {bytes_max} bytes"));
        }
        no_finding.then(|| "findings_except takes out all that findings names".to_owned())
    }
}

/// A rule of one of the lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) list: List,
    /// The human's name for it, or its number.
    pub(super) name: String,
    /// Where it begins, from 1.
    pub(super) line: usize,
    /// The human's sentence.
    pub(super) because: Option<String>,
    /// All must hold.
    pub(super) conditions: Vec<Condition>,
}

impl Rule {
    /// As [`super::Decided::rule`] names it.
    pub(super) fn label(&self) -> String {
        format!("{}.{}", self.list.as_str(), self.name)
    }

    /// Whether it is about `subject`.
    pub(super) fn matches(&self, subject: &Subject<'_>) -> bool {
        self.unmet(subject).is_none()
    }

    /// The first condition that does not hold.
    pub(super) fn unmet(&self, subject: &Subject<'_>) -> Option<&Condition> {
        self.conditions.iter().find(|condition| !condition.holds(subject))
    }

    /// Whether it matches nothing that `other` does not match. `false` says nothing.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        all_implied(&self.conditions, &other.conditions)
    }

    /// Whether its conditions include one about findings; those then are its reasons.
    pub(super) fn filter(&self) -> Option<&Filter> {
        self.conditions.iter().find_map(|condition| {
            if let Condition::Found(filter) = condition { Some(filter) } else { None }
        })
    }

    /// Whether it is a reason of its own: the human wrote one, or there is no other.
    pub(super) fn tells_itself(&self) -> bool {
        self.because.is_some() || (self.filter().is_none() && !self.is_of_clock())
    }

    pub(super) fn is_of_clock(&self) -> bool {
        self.conditions.contains(&Condition::ClockAhead)
    }
}

/// Whether `theirs` all hold wherever `ours` all do.
pub(super) fn all_implied(ours: &[Condition], theirs: &[Condition]) -> bool {
    theirs.iter().all(|theirs| ours.iter().any(|ours| ours.implies(theirs)))
}
