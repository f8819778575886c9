//! What we require of peers, and what a peer told us that it requires.

use super::{
    Action, Peer, Policy, Strength, Subject,
    check::FAMILIES,
    rule::{Condition, Rule, hides_others, matters},
    terms::{KindName, PEER, Way},
    words,
};
use crate::{base::Severity, risk::Finding};

/// Requirements that one peer is told of; it takes few features.
pub const REQUIREMENTS_MAX: usize = 12;
/// One requirement as a feature.
pub const FEATURE_BYTES_MAX: usize = 32;
/// A kind fits beside the longest strength.
pub(super) const KIND_BYTES_MAX: usize =
    FEATURE_BYTES_MAX - "need.".len() - "passphrase.".len() - "kind.".len();

/// The kinds that a peer's feature may be about: its words reach an agent.
const KINDS: [&str; 4] = ["text", "request", "reply", "file"];

/// A countersignature that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What is needed at least.
    pub strength: Strength,
    /// For which messages, as in "messages of kind request". Names no peer: its sender reads it.
    pub what: String,
}

/// What a requirement is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    All,
    Kind(String),
    Severity(Severity),
    /// The beginning of a finding's rule.
    Find(String),
}

/// That messages of some sort need a countersignature, as a peer is told.
///
/// It may ask for more than the rule it was made of, never for less: a feature is short.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Requirement {
    about: About,
    strength: Strength,
}

impl Policy {
    /// What an incoming message lacks: it is refused then, and nobody is asked.
    #[must_use]
    pub fn missing(&self, subject: &Subject<'_>) -> Option<Missing> {
        if subject.action != Action::MessageIn {
            return None;
        }
        let lacks = |strength: Strength| subject.countersigned.is_none_or(|by| by < strength);
        let mut worst: Option<&(Rule, Strength)> = None;
        for required in &self.require {
            let (rule, strength) = required;
            let more = worst.is_none_or(|(_, least)| strength > least);
            if more && lacks(*strength) && rule.matches(subject) {
                worst = Some(required);
            }
        }
        worst.map(|(rule, strength)| {
            let told = |condition: &&Condition| {
                !matches!(condition, Condition::Peers(_) | Condition::Direction(_))
            };
            let what = words::sentence(rule.conditions.iter().filter(told), false);
            Missing { strength: *strength, what }
        })
    }

    /// What `peer` is told that its messages need: at most [`REQUIREMENTS_MAX`].
    #[must_use]
    pub fn requirements_for(&self, peer: &Peer<'_>) -> Vec<Requirement> {
        let mut all = Vec::new();
        for (rule, strength) in &self.require {
            let other = |condition: &Condition| matches!(condition, Condition::Peers(peers) if !peers.contains(peer));
            if !rule.conditions.iter().any(other) {
                let of = |about| Requirement { about, strength: *strength };
                all.extend(abouts(rule, *strength).into_iter().map(of));
            }
        }
        all.sort();
        all.dedup();
        let mut told: Vec<Requirement> = Vec::new();
        for one in &all {
            if !all.iter().any(|wider| wider != one && wider.covers(one)) {
                told.push(one.clone());
            }
        }
        if told.len() > REQUIREMENTS_MAX {
            let strongest = told.iter().map(|one| one.strength).max();
            told = strongest
                .map(|strength| Requirement { about: About::All, strength })
                .into_iter()
                .collect();
        }
        told
    }
}

/// What a rule is about in a feature's words. Of findings and kinds together the findings are
/// told, which are rarer.
fn abouts(rule: &Rule, strength: Strength) -> Vec<About> {
    let room = FEATURE_BYTES_MAX - "need.".len() - strength.as_str().len() - ".find.".len();
    if let Some(filter) = rule.filter() {
        let all = vec![About::Severity(filter.at_least)];
        return filter.any_of.as_ref().map_or(all, |globs| {
            let find = |begins: &str| match begins.get(..room.min(begins.len())) {
                Some("") | None => vec![About::Severity(filter.at_least)],
                Some(begins) => finds(begins.trim_end_matches('.')),
            };
            globs.iter().flat_map(|glob| find(glob.beginning())).collect()
        });
    }
    for condition in &rule.conditions {
        if let Condition::Kinds(kinds) = condition {
            let kinds = kinds.iter().map(KindName::as_str).filter(|kind| *kind != PEER);
            return kinds.map(|kind| About::Kind(kind.to_owned())).collect();
        }
    }
    vec![About::All]
}

/// The family of a rule or of the beginning of one.
fn family(begins: &str) -> Option<&'static str> {
    let first = begins.split('.').next();
    FAMILIES.into_iter().find(|family| first == Some(*family))
}

/// A beginning in words that a peer takes: within one family, or the families that begin so.
/// One that begins no finding still takes what could not be looked through.
fn finds(begins: &str) -> Vec<About> {
    if family(begins).is_some() {
        return vec![About::Find(begins.to_owned())];
    }
    let mut families: Vec<_> = FAMILIES.into_iter().filter(|f| f.starts_with(begins)).collect();
    if families.is_empty() {
        families.push("scan");
    }
    families.into_iter().map(|family| About::Find(family.to_owned())).collect()
}

impl About {
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Severity(ours), Self::Severity(theirs)) => ours <= theirs,
            (Self::Severity(Severity::Info), Self::Find(_)) => true,
            (Self::Find(ours), Self::Find(theirs)) => theirs.starts_with(ours),
            (ours, theirs) => ours == theirs,
        }
    }
}

impl Requirement {
    /// The least countersignature that is taken.
    #[must_use]
    pub const fn strength(&self) -> Strength {
        self.strength
    }

    fn covers(&self, other: &Self) -> bool {
        self.strength >= other.strength && self.about.covers(&other.about)
    }

    /// Whether it is about this message, which is to be sent to the peer that told it. Looks at
    /// what matters to who receives it, and not at a countersignature.
    #[must_use]
    pub fn applies(&self, subject: &Subject<'_>) -> bool {
        if subject.action.is_peer() {
            return false;
        }
        let found = |is: &dyn Fn(&Finding) -> bool| {
            subject.findings.iter().any(|finding| matters(finding, Way::In) && is(finding))
        };
        match &self.about {
            About::All => true,
            About::Kind(kind) => subject.kind == kind,
            About::Severity(least) => found(&|finding| finding.severity >= *least),
            About::Find(begins) => {
                found(&|finding| finding.rule.starts_with(begins) || hides_others(finding))
            }
        }
    }

    /// The feature that says it: at most [`FEATURE_BYTES_MAX`] of `a-z`, `0-9`, `.`, `_` and `-`.
    #[must_use]
    pub fn to_feature(&self) -> String {
        let strength = self.strength.as_str();
        match &self.about {
            About::All => format!("need.{strength}.all"),
            About::Kind(kind) => format!("need.{strength}.kind.{kind}"),
            About::Severity(least) => format!("need.{strength}.severity.{}", least.as_str()),
            About::Find(begins) => format!("need.{strength}.find.{begins}"),
        }
    }

    /// Reads a feature; `None` for any other and for what this version does not know, kinds and
    /// families of findings among it.
    #[must_use]
    pub fn from_feature(feature: &str) -> Option<Self> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if feature.len() > FEATURE_BYTES_MAX || !feature.chars().all(plain) {
            return None;
        }
        let (strength, about) = feature.strip_prefix("need.")?.split_once('.')?;
        let strength = Strength::parse(strength).filter(|by| *by > Strength::Client)?;
        let about = match about.split_once('.') {
            None if about == "all" => About::All,
            Some(("kind", kind)) if KINDS.contains(&kind) => About::Kind(kind.to_owned()),
            Some(("severity", least)) => About::Severity(Severity::parse(least)?),
            Some(("find", begins)) if family(begins).is_some() => About::Find(begins.to_owned()),
            None | Some(_) => return None,
        };
        Some(Self { about, strength })
    }

    /// For a person or an agent: which messages need what. Of what a peer told only words are in
    /// it that this version knows: of a finding's name the family.
    #[must_use]
    pub fn sentence(&self) -> String {
        let what = match &self.about {
            About::All => "all messages".to_owned(),
            About::Kind(kind) => format!("messages of kind {kind}"),
            About::Severity(Severity::Info) => "messages with findings".to_owned(),
            About::Severity(least) => {
                format!("messages with findings of {} severity or worse", least.as_str())
            }
            About::Find(begins) => match family(begins) {
                Some(whole) if whole == begins => format!("messages with findings of {whole}*"),
                Some(part) => format!("messages with some findings of {part}*"),
                None => "messages with some findings".to_owned(),
            },
        };
        format!("{what} need {}", words::countersignature(self.strength))
    }
}
