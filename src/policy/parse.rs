//! Reads the document. What it does not know is an error, because a rule that is silently passed
//! over is worse than none.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use super::{
    Flow, Further, Policy, Strength, Taint,
    rule::{Condition, Filter, List, Rule},
    terms::{Glob, KindName, Peers, Rate, Way, Who},
};
use crate::{
    base::{Severity, text::is_hidden},
    policy::require::KIND_BYTES_MAX,
};

/// The longest policy, bytes.
pub const POLICY_BYTES_MAX: usize = 64 * 1024;
/// Rules of each list.
pub const RULES_MAX: usize = 200;
/// Groups, and members of one.
pub const GROUPS_MAX: usize = 64;
const MEMBERS_MAX: usize = 1024;
const BECAUSE_BYTES_MAX: usize = 200;
const NAME_BYTES_MAX: usize = 32;
const TAINT_HOURS: std::ops::RangeInclusive<u32> = 1..=168;
const REPLY_BYTES_MAX: u64 = 65536;

/// Why a text is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Longer than [`POLICY_BYTES_MAX`].
    #[error("the policy is {0} bytes; the limit is {POLICY_BYTES_MAX}")]
    TooLong(usize),
    /// A line that cannot be read, and what to do.
    #[error("line {line}: {text}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        text: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: Spanned<i64>,
    #[serde(default)]
    groups: BTreeMap<Spanned<String>, Vec<Spanned<Who>>>,
    #[serde(default)]
    deny: Vec<Spanned<Restricting>>,
    #[serde(default)]
    ask: Vec<Spanned<Restricting>>,
    #[serde(default)]
    allow: Vec<Spanned<Allowing>>,
    #[serde(default)]
    require: Vec<Spanned<Requiring>>,
    #[serde(default)]
    flow: Vec<Spanned<Flowing>>,
    #[serde(default)]
    taint: Tainting,
    #[serde(default)]
    rules: Vec<Spanned<Further>>,
}

/// A rule that denies or asks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Restricting {
    name: Option<Spanned<String>>,
    because: Option<Spanned<String>>,
    direction: Option<Way>,
    peers: Option<Spanned<Vec<Who>>>,
    verified: Option<bool>,
    kinds: Option<Spanned<Vec<KindName>>>,
    size_over_bytes: Option<u64>,
    findings: Option<Spanned<Vec<Glob>>>,
    findings_except: Option<Spanned<Vec<Glob>>>,
    severity: Option<Severity>,
    rate_over: Option<Rate>,
    not_countersigned: Option<Spanned<Strength>>,
    clock_ahead: Option<Spanned<bool>>,
}

/// A rule that allows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allowing {
    name: Option<Spanned<String>>,
    because: Option<Spanned<String>>,
    direction: Option<Way>,
    peers: Option<Spanned<Vec<Who>>>,
    verified: Option<bool>,
    kinds: Option<Spanned<Vec<KindName>>>,
    size_up_to_bytes: Option<u64>,
    only_findings: Option<Vec<Glob>>,
    severity_up_to: Option<Severity>,
    rate_up_to: Option<Rate>,
    countersigned: Option<Spanned<Strength>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Requiring {
    name: Option<Spanned<String>>,
    peers: Option<Spanned<Vec<Who>>>,
    kinds: Option<Spanned<Vec<KindName>>>,
    findings: Option<Spanned<Vec<Glob>>>,
    severity: Option<Severity>,
    strength: Spanned<Strength>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flowing {
    from: Spanned<Vec<Who>>,
    to: Spanned<Vec<Who>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tainting {
    hours: Option<Spanned<u32>>,
    reply_bytes: Option<Spanned<u64>>,
}

/// Fields that another list has under another name.
const ELSEWHERE: [(&str, &str); 12] = [
    ("size_over_bytes", "size_up_to_bytes"),
    ("size_up_to_bytes", "size_over_bytes"),
    ("findings", "only_findings"),
    ("only_findings", "findings"),
    ("findings_except", "only_findings"),
    ("severity", "severity_up_to"),
    ("severity_up_to", "severity"),
    ("rate_over", "rate_up_to"),
    ("rate_up_to", "rate_over"),
    ("not_countersigned", "countersigned"),
    ("countersigned", "not_countersigned"),
    ("clock_ahead", "an [[ask]] rule with clock_ahead"),
];

struct Reader<'t> {
    text: &'t str,
    groups: BTreeMap<String, Vec<Who>>,
}

type Read<T> = Result<T, PolicyError>;

/// Reads a policy.
pub(super) fn policy(text: &str) -> Read<Policy> {
    if text.len() > POLICY_BYTES_MAX {
        return Err(PolicyError::TooLong(text.len()));
    }
    let mut reader = Reader { text, groups: BTreeMap::new() };
    let document: Document = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        reader.error(at, &with_hint(error.message()))
    })?;
    if *document.version.get_ref() != 1 {
        let at = document.version.span().start;
        return Err(reader.error(at, "this program reads version = 1"));
    }
    reader.groups(document.groups)?;
    Ok(Policy {
        text: text.to_owned(),
        deny: reader.rules(List::Deny, document.deny, Reader::restricting)?,
        ask: reader.rules(List::Ask, document.ask, Reader::restricting)?,
        allow: reader.rules(List::Allow, document.allow, Reader::allowing)?,
        require: reader.requires(document.require)?,
        flows: reader.flows(document.flow)?,
        taint: reader.taint(&document.taint)?,
        further: reader.bounded(document.rules)?.into_iter().map(Spanned::into_inner).collect(),
    })
}

fn with_hint(message: &str) -> String {
    let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    let other = ELSEWHERE.iter().find(|(name, other)| {
        // The list of what is allowed here has the other one.
        Some(*name) == unknown && (message.contains(&format!("`{other}`")) || other.contains(' '))
    });
    other.map_or_else(
        || message.to_owned(),
        |(_, other)| format!("{message}; what you mean is {other} here"),
    )
}

impl Reader<'_> {
    fn line(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
    }

    fn error(&self, at: usize, text: &str) -> PolicyError {
        // The message may quote the document, which nobody has signed yet.
        let shown = |c: char| {
            if is_hidden(c) { c.escape_unicode().to_string() } else { c.to_string() }
        };
        let text = text.trim().replace('\n', "; ").chars().map(shown).collect();
        PolicyError::Line { line: self.line(at), text }
    }

    fn bounded<T>(&self, list: Vec<Spanned<T>>) -> Read<Vec<Spanned<T>>> {
        match list.get(RULES_MAX) {
            None => Ok(list),
            Some(further) => {
                let text = format!("a list has at most {RULES_MAX} entries");
                Err(self.error(further.span().start, &text))
            }
        }
    }

    fn groups(
        &mut self,
        groups: BTreeMap<Spanned<String>, Vec<Spanned<Who>>>,
    ) -> Result<(), PolicyError> {
        let mut count = 0;
        for (name, members) in groups {
            count += 1;
            let at = name.span().start;
            if count > GROUPS_MAX || members.len() > MEMBERS_MAX {
                let text = format!("at most {GROUPS_MAX} groups of {MEMBERS_MAX} members each");
                return Err(self.error(at, &text));
            }
            self.name(&name, "a group's name")?;
            let nested = members.iter().find(|one| matches!(one.get_ref(), Who::Group(_)));
            if let Some(nested) = nested {
                let text = "a group holds no groups; name their members";
                return Err(self.error(nested.span().start, text));
            }
            let members = members.into_iter().map(Spanned::into_inner).collect();
            self.groups.insert(name.into_inner(), members);
        }
        Ok(())
    }

    fn name(&self, name: &Spanned<String>, what: &str) -> Read<()> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        let text = name.get_ref();
        if (1..=NAME_BYTES_MAX).contains(&text.len()) && text.chars().all(plain) {
            return Ok(());
        }
        let allowed = format!("1 to {NAME_BYTES_MAX} of a-z, 0-9, '-', '_' and '.'");
        Err(self.error(name.span().start, &format!("{what} is {allowed}")))
    }

    /// The name of the rule at `index`.
    fn rule_name(&self, name: Option<Spanned<String>>, index: usize) -> Read<String> {
        let Some(name) = name else { return Ok((index + 1).to_string()) };
        self.name(&name, "a rule's name")?;
        let taken = name.get_ref().bytes().all(|byte| byte.is_ascii_digit());
        if taken || name.get_ref() == "default" {
            let text = "a number and \"default\" are names that rules get; choose another";
            return Err(self.error(name.span().start, text));
        }
        Ok(name.into_inner())
    }

    fn because(&self, because: Option<Spanned<String>>) -> Read<Option<String>> {
        let Some(because) = because else { return Ok(None) };
        let text = because.get_ref();
        let good = (1..=BECAUSE_BYTES_MAX).contains(&text.len()) && !text.chars().any(is_hidden);
        if !good {
            let allowed = format!("1 to {BECAUSE_BYTES_MAX} bytes of visible characters");
            return Err(self.error(because.span().start, &format!("because is {allowed}")));
        }
        Ok(Some(because.into_inner()))
    }

    /// A list that says something.
    fn filled<T>(&self, list: Spanned<Vec<T>>) -> Read<Vec<T>> {
        if list.get_ref().is_empty() {
            let text = "an empty list matches nothing; leave the field out to match everything";
            return Err(self.error(list.span().start, text));
        }
        Ok(list.into_inner())
    }

    fn peers(&self, entries: Spanned<Vec<Who>>) -> Read<Peers> {
        let at = entries.span().start;
        let entries = self.filled(entries)?;
        let group = |name: &str| self.groups.get(name).map(Vec::as_slice);
        Peers::resolve(&entries, group).map_err(|name| {
            self.error(at, &format!("there is no group {name}; write it under [groups]"))
        })
    }

    fn kinds(&self, kinds: Spanned<Vec<KindName>>) -> Read<BTreeSet<KindName>> {
        Ok(self.filled(kinds)?.into_iter().collect())
    }

    fn strength(&self, strength: &Spanned<Strength>) -> Read<Strength> {
        if *strength.get_ref() == Strength::Client {
            let text = "what a client says is no countersignature; write grant, session, \
                        passphrase or passkey";
            return Err(self.error(strength.span().start, text));
        }
        Ok(*strength.get_ref())
    }

    fn rules<T>(
        &self,
        list: List,
        entries: Vec<Spanned<T>>,
        read: impl Fn(&Self, List, usize, Spanned<T>) -> Read<Rule>,
    ) -> Read<Vec<Rule>> {
        let mut rules: Vec<Rule> = Vec::new();
        for (index, entry) in self.bounded(entries)?.into_iter().enumerate() {
            let at = entry.span().start;
            let rule = read(self, list, index, entry)?;
            if let Some(other) = rules.iter().find(|other| other.name == rule.name) {
                let (label, line) = (rule.label(), other.line);
                let text = format!("{label} is a second rule of this name, after line {line}");
                return Err(self.error(at, &text));
            }
            rules.push(rule);
        }
        Ok(rules)
    }

    fn restricting(&self, list: List, index: usize, rule: Spanned<Restricting>) -> Read<Rule> {
        let line = self.line(rule.span().start);
        let rule = rule.into_inner();
        let mut conditions = self.scope(rule.direction, rule.peers, rule.verified, rule.kinds)?;
        conditions.extend(rule.size_over_bytes.map(Condition::SizeOver));
        if let Some(strength) = rule.not_countersigned {
            conditions.push(Condition::NotCountersigned(self.strength(&strength)?));
        }
        if let Some(ahead) = rule.clock_ahead {
            if !*ahead.get_ref() {
                let text = "clock_ahead is true or left out";
                return Err(self.error(ahead.span().start, text));
            }
            conditions.push(Condition::ClockAhead);
        }
        conditions.extend(rule.rate_over.map(Condition::RateOver));
        conditions.extend(self.found(rule.findings, rule.findings_except, rule.severity)?);
        let name = self.rule_name(rule.name, index)?;
        Ok(Rule { list, name, line, because: self.because(rule.because)?, conditions })
    }

    fn allowing(&self, list: List, index: usize, rule: Spanned<Allowing>) -> Read<Rule> {
        let line = self.line(rule.span().start);
        let rule = rule.into_inner();
        let mut conditions = self.scope(rule.direction, rule.peers, rule.verified, rule.kinds)?;
        conditions.extend(rule.size_up_to_bytes.map(Condition::SizeUpTo));
        if let Some(strength) = rule.countersigned {
            conditions.push(Condition::Countersigned(self.strength(&strength)?));
        }
        conditions.extend(rule.rate_up_to.map(Condition::RateUpTo));
        conditions.extend(rule.severity_up_to.map(Condition::NoWorse));
        conditions.extend(rule.only_findings.map(Condition::OnlyFound));
        let name = self.rule_name(rule.name, index)?;
        Ok(Rule { list, name, line, because: self.because(rule.because)?, conditions })
    }

    fn scope(
        &self,
        direction: Option<Way>,
        peers: Option<Spanned<Vec<Who>>>,
        verified: Option<bool>,
        kinds: Option<Spanned<Vec<KindName>>>,
    ) -> Read<Vec<Condition>> {
        let mut conditions: Vec<_> = direction.map(Condition::Direction).into_iter().collect();
        if let Some(peers) = peers {
            conditions.push(Condition::Peers(self.peers(peers)?));
        }
        conditions.extend(verified.map(Condition::Verified));
        if let Some(kinds) = kinds {
            conditions.push(Condition::Kinds(self.kinds(kinds)?));
        }
        Ok(conditions)
    }

    fn found(
        &self,
        findings: Option<Spanned<Vec<Glob>>>,
        except: Option<Spanned<Vec<Glob>>>,
        severity: Option<Severity>,
    ) -> Read<Option<Condition>> {
        if findings.is_none() && except.is_none() && severity.is_none() {
            return Ok(None);
        }
        let any_of = findings.map(|findings| self.filled(findings)).transpose()?;
        let none_of = except.map(|except| self.filled(except)).transpose()?.unwrap_or_default();
        let at_least = severity.unwrap_or(Severity::Info);
        Ok(Some(Condition::Found(Filter { any_of, none_of, at_least })))
    }

    fn requires(&self, entries: Vec<Spanned<Requiring>>) -> Read<Vec<(Rule, Strength)>> {
        let mut strengths = Vec::new();
        for entry in &entries {
            strengths.push(self.strength(&entry.get_ref().strength)?);
        }
        let rules = self.rules(List::Require, entries, |reader, list, index, rule| {
            let line = reader.line(rule.span().start);
            let rule = rule.into_inner();
            if let Some(kinds) = &rule.kinds {
                let long = |kind: &KindName| kind.as_str().len() > KIND_BYTES_MAX;
                if kinds.get_ref().iter().any(long) {
                    let text = format!(
                        "a peer is told of a required kind of at most {KIND_BYTES_MAX} bytes"
                    );
                    return Err(reader.error(kinds.span().start, &text));
                }
            }
            let mut conditions = reader.scope(Some(Way::In), rule.peers, None, rule.kinds)?;
            conditions.extend(reader.found(rule.findings, None, rule.severity)?);
            let name = reader.rule_name(rule.name, index)?;
            Ok(Rule { list, name, line, because: None, conditions })
        })?;
        Ok(rules.into_iter().zip(strengths).collect())
    }

    fn flows(&self, entries: Vec<Spanned<Flowing>>) -> Read<Vec<Flow>> {
        let read = |entry: Spanned<Flowing>| {
            let line = self.line(entry.span().start);
            let entry = entry.into_inner();
            Ok(Flow { line, from: self.peers(entry.from)?, to: self.peers(entry.to)? })
        };
        self.bounded(entries)?.into_iter().map(read).collect()
    }

    fn taint(&self, taint: &Tainting) -> Read<Taint> {
        let standard = Taint::default();
        if let Some(hours) = taint.hours.as_ref().filter(|h| !TAINT_HOURS.contains(h.get_ref())) {
            return Err(self.error(hours.span().start, "hours is 1 to 168"));
        }
        if let Some(bytes) = taint.reply_bytes.as_ref().filter(|b| *b.get_ref() > REPLY_BYTES_MAX) {
            let text = format!("reply_bytes is 0 to {REPLY_BYTES_MAX}");
            return Err(self.error(bytes.span().start, &text));
        }
        let hours = taint.hours.as_ref().map_or(standard.hours, |hours| *hours.get_ref());
        let reply_bytes = taint.reply_bytes.as_ref();
        let reply_bytes = reply_bytes.map_or(standard.reply_bytes, |bytes| *bytes.get_ref());
        Ok(Taint { hours, reply_bytes })
    }
}
