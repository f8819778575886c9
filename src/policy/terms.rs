//! The words of a policy: which peers, which rules of the scanner, how often. Each is read once.

use std::{collections::BTreeSet, time::Duration};

use serde::Deserialize;

use super::Peer;
use crate::base::{PeerId, PeerName};

/// Which way something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Way {
    Out,
    In,
}

/// A rule id of the scanner, or the beginning of one and `*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Glob {
    beginning: String,
    open: bool,
}

impl Glob {
    const BYTES_MAX: usize = 64;

    pub(super) fn matches(&self, rule: &str) -> bool {
        if self.open { rule.starts_with(&self.beginning) } else { rule == self.beginning }
    }

    /// Whether it matches all that `other` matches.
    pub(super) fn covers(&self, other: &Self) -> bool {
        if self.open { other.beginning.starts_with(&self.beginning) } else { self == other }
    }

    /// What every id begins with that it matches.
    pub(super) fn beginning(&self) -> &str {
        &self.beginning
    }

    pub(super) fn text(&self) -> String {
        format!("{}{}", self.beginning, if self.open { "*" } else { "" })
    }
}

impl TryFrom<String> for Glob {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (beginning, open) = text.strip_suffix('*').map_or((&*text, false), |b| (b, true));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if text.is_empty() || text.len() > Self::BYTES_MAX || !beginning.chars().all(plain) {
            return Err(format!(
                "a finding is named as in \"secret.*\" or \"secret.github_token\": at most {} of \
                 a-z, 0-9, '.', '_' and '-', and '*' only at the end",
                Self::BYTES_MAX
            ));
        }
        Ok(Self { beginning: beginning.to_owned(), open })
    }
}

/// How many messages in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Rate {
    pub(super) messages: u64,
    pub(super) window: Duration,
}

impl Rate {
    /// The node remembers a few more times than this, so that a longer count is never told short.
    const MESSAGES_MAX: u64 = 1000;
    const UNITS: [(&str, u64); 3] = [("minute", 60), ("hour", 3600), ("day", 86400)];

    /// "20 an hour".
    pub(super) fn words(&self) -> String {
        let unit = Self::UNITS.iter().find(|(_, seconds)| *seconds == self.window.as_secs());
        let unit = unit.map_or("while", |(unit, _)| unit);
        format!("{} {} {unit}", self.messages, if unit == "hour" { "an" } else { "a" })
    }
}

impl TryFrom<String> for Rate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let read = || {
            let (count, unit) = text.split_once('/')?;
            let digits = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
            let messages = count.parse().ok().filter(|_| digits)?;
            let (_, seconds) = Self::UNITS.iter().find(|(name, _)| *name == unit)?;
            let held = (1..=Self::MESSAGES_MAX).contains(&messages);
            held.then_some(Self { messages, window: Duration::from_secs(*seconds) })
        };
        read().ok_or_else(|| {
            let max = Self::MESSAGES_MAX;
            format!("a rate is written \"20/hour\": 1 to {max}, '/', and minute, hour or day")
        })
    }
}

/// The kind of a message, or `peer`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct KindName(String);

/// What new peers are called where kinds of messages are named.
pub(super) const PEER: &str = "peer";

impl KindName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for KindName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c);
        let bounded = (1..=crate::base::limits::KIND_BYTES_MAX).contains(&text.len());
        if !bounded || !text.chars().all(plain) {
            let known = "\"text\", \"request\", \"reply\", \"peer\"";
            return Err(format!("a kind is {known}, or 1 to 32 of a-z, 0-9, '.' and '_'"));
        }
        Ok(Self(text))
    }
}

/// One entry of a list of peers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Who {
    Name(String),
    Id(PeerId),
    Group(String),
}

const GROUP: &str = "group:";

impl Who {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Id(id) => id.short(),
            Self::Group(name) => format!("{GROUP}{name}"),
        }
    }
}

impl TryFrom<String> for Who {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let (group, name) = text.strip_prefix(GROUP).map_or((false, &*text), |name| (true, name));
        let name = PeerName::parse(name).map_err(|_| {
            "a peer is your name for it (1 to 32 of a-z, 0-9, '-', '_' and '.'), its full id (64 \
             hexadecimal digits) or \"group:NAME\""
        })?;
        let name = name.as_str().to_owned();
        Ok(if group { Self::Group(name) } else { Self::Name(name) })
    }
}

/// A list of peers, its groups resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Peers {
    names: BTreeSet<String>,
    ids: BTreeSet<PeerId>,
    /// As the human wrote it, for sentences.
    spelled: Vec<String>,
}

impl Peers {
    /// Resolves `entries`; the error is the group that there is not.
    pub(super) fn resolve<'w>(
        entries: &'w [Who],
        group: impl Fn(&str) -> Option<&'w [Who]>,
    ) -> Result<Self, &'w str> {
        let spelled = entries.iter().map(Who::text).collect();
        let mut peers = Self { spelled, ..Self::default() };
        for entry in entries {
            match entry {
                Who::Group(name) => {
                    let members = group(name).ok_or(&**name)?;
                    for member in members {
                        peers.add(member);
                    }
                }
                Who::Name(_) | Who::Id(_) => peers.add(entry),
            }
        }
        Ok(peers)
    }

    fn add(&mut self, one: &Who) {
        match one {
            Who::Name(name) => _ = self.names.insert(name.clone()),
            Who::Id(id) => _ = self.ids.insert(*id),
            // A group holds no groups: the parser says so.
            Who::Group(_) => {}
        }
    }

    pub(super) fn contains(&self, peer: &Peer<'_>) -> bool {
        self.ids.contains(&peer.id) || self.names.contains(peer.name)
    }

    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.names.is_subset(&other.names) && self.ids.is_subset(&other.ids)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.ids.is_empty()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    pub(super) fn spelled(&self) -> &[String] {
        &self.spelled
    }
}
