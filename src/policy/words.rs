//! Conditions as sentences. What is quoted here the human wrote, or our own scanner; never a peer.

use std::fmt::Display;

use super::{
    Strength, Subject,
    rule::{Condition, Filter, List, Rule},
    terms::{Glob, PEER, Peers, Way},
};
use crate::risk::Severity;

/// Items of a list that a sentence names.
const LISTED_MAX: usize = 3;

/// "a, b or c", and of more only the first.
fn list(items: impl Iterator<Item = impl Display>, last: &str) -> String {
    let mut items: Vec<String> = items.map(|item| item.to_string()).collect();
    if items.len() > LISTED_MAX {
        let more = format!("{} more", items.len() - LISTED_MAX);
        items.truncate(LISTED_MAX);
        items.push(more);
    }
    let end = items.pop().unwrap_or_default();
    if items.is_empty() { end } else { format!("{} {last} {end}", items.join(", ")) }
}

fn globs(globs: &[Glob]) -> String {
    list(globs.iter().map(Glob::text), "or")
}

fn peers(peers: &Peers) -> String {
    list(peers.spelled().iter(), "or")
}

fn kinds(condition: &std::collections::BTreeSet<super::terms::KindName>) -> String {
    list(condition.iter().map(super::terms::KindName::as_str).filter(|kind| *kind != PEER), "or")
}

fn bytes(bytes: u64) -> String {
    let kib = bytes / 1024;
    if kib > 0 && bytes.is_multiple_of(1024) {
        format!("{kib} KiB")
    } else {
        format!("{bytes} bytes")
    }
}

fn findings(filter: &Filter) -> String {
    let of = filter.any_of.as_ref().map(|any_of| format!(" of {}", globs(any_of)));
    let except = &filter.none_of;
    let except = (!except.is_empty()).then(|| format!(" other than {}", globs(except)));
    let severity = filter.at_least.as_str();
    let worse =
        (filter.at_least > Severity::Info).then(|| format!(" of {severity} severity or worse"));
    ["findings".to_owned()].into_iter().chain(of).chain(except).chain(worse).collect()
}

/// "a countersignature by passphrase", with what is better.
pub(super) fn countersignature(strength: Strength) -> String {
    let better = if strength == Strength::Passkey { "" } else { " or better" };
    format!("a countersignature by {}{better}", strength.as_str())
}

impl Condition {
    /// What it says of messages, or of new peers: it follows that word.
    pub(super) fn phrase(&self, of_peers: bool) -> String {
        match self {
            Self::Direction(Way::Out) if of_peers => "that your agent asks for".to_owned(),
            Self::Direction(Way::In) if of_peers => "that ask for your agent".to_owned(),
            Self::Direction(Way::Out) => "that leave".to_owned(),
            Self::Direction(Way::In) => "that arrive".to_owned(),
            Self::Peers(named) if of_peers => format!("named {}", peers(named)),
            Self::Peers(named) => format!("with {}", peers(named)),
            Self::Verified(_) if of_peers => "that are not verified".to_owned(),
            Self::Verified(true) => "with a verified peer".to_owned(),
            Self::Verified(false) => "with a peer that is not verified".to_owned(),
            Self::Kinds(_) if of_peers => String::new(),
            Self::Kinds(named) => format!("of kind {}", kinds(named)),
            Self::SizeOver(size) => format!("over {}", bytes(*size)),
            Self::SizeUpTo(size) => format!("up to {}", bytes(*size)),
            Self::Found(filter) => format!("with {}", findings(filter)),
            Self::OnlyFound(named) if named.is_empty() => "without findings".to_owned(),
            Self::OnlyFound(named) => format!("with no findings but {}", globs(named)),
            Self::NoWorse(most) => format!("with findings of {} severity at most", most.as_str()),
            Self::RateOver(rate) => format!("beyond {}", rate.words()),
            Self::RateUpTo(rate) => format!("within {}", rate.words()),
            Self::NotCountersigned(least) => format!("without {}", countersignature(*least)),
            Self::Countersigned(least) => format!("with {}", countersignature(*least)),
            Self::ClockAhead => "from a clock that is ahead".to_owned(),
        }
    }

    /// Why it does not hold for `subject`.
    pub(super) fn unmet(&self, subject: &Subject<'_>) -> String {
        let size = subject.size_bytes;
        match self {
            Self::Direction(Way::Out) => "it is about what leaves".to_owned(),
            Self::Direction(Way::In) => "it is about what arrives".to_owned(),
            Self::Peers(named) => format!("it is about other peers: {}", peers(named)),
            Self::Verified(true) => "the peer is not verified".to_owned(),
            Self::Verified(false) => "the peer is verified".to_owned(),
            Self::Kinds(_) if self.is_only_peers() => "it is about new peers".to_owned(),
            Self::Kinds(named) => format!("it is about messages of kind {}", kinds(named)),
            Self::SizeOver(most) => format!("{size} bytes are not over {}", bytes(*most)),
            Self::SizeUpTo(most) => format!("{size} bytes are over {}", bytes(*most)),
            Self::Found(filter) => format!("there are no {}", findings(filter)),
            Self::OnlyFound(named) => {
                let other = |rule: &str| !named.iter().any(|glob| glob.matches(rule));
                let found = subject.mattering().find(|finding| other(&finding.rule));
                let found = found.map_or("something else", |finding| &*finding.rule);
                format!("{found} was found, which it does not name")
            }
            Self::NoWorse(most) => {
                let found = subject.mattering().find(|finding| finding.severity > *most);
                let found = found.map_or("something", |finding| &*finding.rule);
                format!("{found} was found, which is worse than {}", most.as_str())
            }
            Self::RateOver(rate) => format!("these are not over {}", rate.words()),
            Self::RateUpTo(rate) => format!("these are over {}", rate.words()),
            Self::NotCountersigned(least) => {
                format!("it is about what arrives without {}", countersignature(*least))
            }
            Self::Countersigned(least) => {
                format!("it is about what arrives with {}", countersignature(*least))
            }
            Self::ClockAhead => "the sender's clock is not ahead".to_owned(),
        }
    }
}

/// Phrases after the word that they are about.
pub(super) fn sentence<'c>(
    conditions: impl Iterator<Item = &'c Condition>,
    of_peers: bool,
) -> String {
    let phrases: Vec<_> = conditions.map(|condition| condition.phrase(of_peers)).collect();
    let phrases: Vec<_> = phrases.iter().filter(|p| !p.is_empty()).map(String::as_str).collect();
    let word = if of_peers { "new peers" } else { "messages" };
    if phrases.is_empty() {
        format!("all {word}")
    } else {
        format!("{word} {}", phrases.join(", "))
    }
}

impl Rule {
    /// What the human is told of it: their own sentence, or one made of the conditions.
    pub(super) fn sentence(&self, of_peers: bool) -> String {
        if let Some(because) = &self.because {
            return because.clone();
        }
        let does = match self.list {
            List::Deny => "denies",
            List::Ask => "asks about",
            List::Allow => "allows",
            List::Require => "requires a countersignature of",
            List::Flow => "lets through",
        };
        format!("your policy {does} {}", sentence(self.conditions.iter(), of_peers))
    }
}
