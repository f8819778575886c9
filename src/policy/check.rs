//! What is wrong with a policy that can be read: rules that never decide, names that nobody has.

use std::fmt;

use super::{
    Policy, Strength,
    rule::{Condition, Filter, List, Rule},
    terms::{Glob, Way},
};
use crate::risk::{self, Severity};

/// How much a complaint matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The rule works, and may not do what was meant.
    Warning,
    /// The rule never decides anything.
    Error,
}

/// Something to repair in a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// How much it matters.
    pub weight: Weight,
    /// As `ask.NAME`.
    pub rule: String,
    /// Its line in the policy, from 1.
    pub line: usize,
    /// A sentence for a person.
    pub text: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = match self.weight {
            Weight::Warning => "warning: ",
            Weight::Error => "",
        };
        write!(f, "line {}: {}: {weight}{}", self.line, self.rule, self.text)
    }
}

/// The families of findings: what a finding's rule may begin with, before its first dot.
pub(super) const FAMILIES: [&str; 8] =
    ["command", "file", "hidden", "instruction", "known", "personal", "scan", "secret"];

impl Policy {
    /// Rules that can never decide, in the order of the lists.
    #[must_use]
    pub fn findings_of_check(&self) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        let mut earlier: Vec<&Rule> = Vec::new();
        for rule in self.deny.iter().chain(&self.ask).chain(&self.allow) {
            let own = self.own_faults(rule);
            let dead = own.iter().any(|complaint| complaint.weight == Weight::Error);
            complaints.extend(own);
            if !dead {
                complaints.extend(covered(rule, &earlier));
                complaints.extend(unguarded(rule, &earlier));
                earlier.push(rule);
            }
        }
        complaints.extend(self.faults_of_requirements());
        complaints.extend(self.faults_of_flows());
        complaints
    }

    /// Names in the policy that `known` does not hold. A rule about nobody may be meant for
    /// somebody who comes, so these are warnings.
    #[must_use]
    pub fn unknown_peers(&self, known: &[&str]) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        let mut look = |rule: String, line: usize, peers: &super::Peers| {
            for name in peers.names().filter(|name| !known.contains(name)) {
                let text = format!("you know no peer {name}");
                let rule = rule.clone();
                complaints.push(Complaint { weight: Weight::Warning, rule, line, text });
            }
        };
        let required = self.require.iter().map(|(rule, _)| rule);
        for rule in self.deny.iter().chain(&self.ask).chain(&self.allow).chain(required) {
            for condition in &rule.conditions {
                if let Condition::Peers(peers) = condition {
                    look(rule.label(), rule.line, peers);
                }
            }
        }
        for (index, flow) in self.flows.iter().enumerate() {
            look(flow_label(index), flow.line, &flow.from);
            look(flow_label(index), flow.line, &flow.to);
        }
        complaints
    }

    /// The rules and flows that name this peer by its name, as a human reads them.
    #[must_use]
    pub fn rules_naming(&self, name: &str) -> Vec<String> {
        let naming = |peers: &super::Peers| peers.names().any(|named| named == name);
        let required = self.require.iter().map(|(rule, _)| rule);
        let rules = self.deny.iter().chain(&self.ask).chain(&self.allow).chain(required);
        let rules = rules.filter(|rule| {
            let mut conditions = rule.conditions.iter();
            conditions.any(|one| matches!(one, Condition::Peers(peers) if naming(peers)))
        });
        let flows = self.flows.iter().enumerate();
        let flows = flows.filter(|(_, flow)| naming(&flow.from) || naming(&flow.to));
        rules.map(Rule::label).chain(flows.map(|(index, _)| flow_label(index))).collect()
    }

    /// What is wrong with a rule whatever the others are.
    fn own_faults(&self, rule: &Rule) -> Vec<Complaint> {
        let conditions = &rule.conditions;
        let mut faults: Vec<Complaint> = Vec::new();
        for condition in conditions {
            let pairs = conditions.iter().filter_map(|other| condition.contradicts(other));
            let never = condition.is_impossible().into_iter().chain(pairs.map(str::to_owned));
            faults.extend(never.map(|why| rule.error(format!("it never matches: {why}"))));
            faults.extend(self.unknown_findings(rule, condition));
            let of_messages = matches!(rule.list, List::Allow | List::Require);
            if of_messages && condition.is_only_peers() {
                let text = "it never matches: a new peer is asked about or denied, never allowed";
                faults.push(rule.error(text.to_owned()));
            } else if of_messages && condition.names_peers() {
                let text = "\"peer\" has no effect here: a new peer is asked about or denied";
                faults.push(rule.warning(text.to_owned()));
            }
        }
        faults
    }

    /// Globs that name no rule of the scanner.
    fn unknown_findings(&self, rule: &Rule, condition: &Condition) -> Vec<Complaint> {
        let unknown = |globs: &[Glob]| -> Vec<String> {
            globs.iter().filter(|glob| !self.is_finding(glob)).map(Glob::text).collect()
        };
        let warn = |glob: String| rule.warning(format!("no finding is named {glob}"));
        if let Condition::OnlyFound(globs) = condition {
            return unknown(globs).into_iter().map(warn).collect();
        }
        let Condition::Found(filter) = condition else { return Vec::new() };
        let mut complaints: Vec<_> = unknown(&filter.none_of).into_iter().map(warn).collect();
        let Some(any_of) = &filter.any_of else { return complaints };
        let names = unknown(any_of);
        if names.len() == any_of.len() {
            let names = names.join(", ");
            complaints.push(rule.error(format!("it never matches: no finding is named {names}")));
        } else {
            complaints.extend(names.into_iter().map(warn));
        }
        complaints
    }

    /// Whether the scanner may find what `glob` names.
    fn is_finding(&self, glob: &Glob) -> bool {
        let ids = risk::rule_ids();
        if ids.iter().any(|id| glob.matches(id)) {
            return true;
        }
        if self.further.iter().filter_map(further_id).any(|id| glob.matches(&id)) {
            return true;
        }
        // Families whose rules are not listed, the whole of one or a rule of it.
        let listed = |family: &str| ids.iter().any(|id| id.split('.').next() == Some(family));
        FAMILIES.into_iter().filter(|family| !listed(family)).any(|family| {
            let beginning = glob.beginning();
            let inside = beginning.strip_prefix(family).is_some_and(|rest| rest.starts_with('.'));
            inside || glob.matches(&format!("{family}."))
        })
    }

    fn faults_of_requirements(&self) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        for (index, (rule, strength)) in self.require.iter().enumerate() {
            let own = self.own_faults(rule);
            let dead = own.iter().any(|complaint| complaint.weight == Weight::Error);
            complaints.extend(own);
            let wider = |(other, (wider, least)): &(usize, &(Rule, Strength))| {
                let same = wider.is_within(rule) && least == strength;
                *other != index
                    && rule.is_within(wider)
                    && least >= strength
                    && (!same || *other < index)
            };
            let wider = self.require.iter().enumerate().find(wider).filter(|_| !dead);
            if let Some((_, (wider, _))) = wider {
                let text = format!("{} requires at least as much", wider.label());
                complaints.push(rule.error(text));
            }
        }
        complaints
    }

    fn faults_of_flows(&self) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        for (index, flow) in self.flows.iter().enumerate() {
            let complain = |text: String| {
                let (weight, rule) = (Weight::Error, flow_label(index));
                Complaint { weight, rule, line: flow.line, text }
            };
            if flow.from.is_empty() || flow.to.is_empty() {
                let text = "it never matches: the groups that it names hold no peer";
                complaints.push(complain(text.to_owned()));
                continue;
            }
            let wider = |(other, wider): &(usize, &super::Flow)| {
                let within = |a: &super::Flow, b: &super::Flow| {
                    a.from.is_within(&b.from) && a.to.is_within(&b.to)
                };
                let same = within(wider, flow);
                *other != index && within(flow, wider) && (!same || *other < index)
            };
            if let Some((other, _)) = self.flows.iter().enumerate().find(wider) {
                complaints.push(complain(format!("{} lets as much through", flow_label(other))));
            }
        }
        complaints
    }
}

/// What a finding of a further secret rule is called.
fn further_id(rule: &super::Further) -> Option<String> {
    let id = rule.get("id")?.as_str()?;
    Some(format!("secret.{}", id.strip_prefix("secret.").unwrap_or(id).replace('-', "_")))
}

fn flow_label(index: usize) -> String {
    format!("{}.{}", List::Flow.as_str(), index + 1)
}

/// The earlier rule that decides wherever `rule` would.
fn covered(rule: &Rule, earlier: &[&Rule]) -> Option<Complaint> {
    let twin = earlier
        .iter()
        .find(|other| other.list == rule.list && rule.is_within(other) && other.is_within(rule));
    if let Some(twin) = twin {
        let (label, line) = (twin.label(), twin.line);
        return Some(rule.error(format!("it says the same as {label} (line {line})")));
    }
    // What goes both ways may be decided by one rule for each.
    let both = [Way::Out, Way::In].map(|way| {
        let half = rule.going(way);
        earlier.iter().find(|other| half.is_within(other)).copied()
    });
    let [Some(out), Some(into)] = both else { return None };
    let (label, line) = (out.label(), out.line);
    let by = if out == into {
        format!("{label} (line {line}) matches")
    } else {
        format!("{label} (line {line}) and {} (line {}) match", into.label(), into.line)
    };
    let text = format!("it never decides: {by} before it, whatever it matches");
    // The reasons of all rules of a list are told, so a sentence of the human's own still counts.
    let told = rule.because.is_some() && out.list == rule.list && into.list == rule.list;
    Some(if told { rule.warning(text) } else { rule.error(text) })
}

/// A warning of an allow rule that is the first to say anything of secrets, and lets them pass.
fn unguarded(rule: &Rule, earlier: &[&Rule]) -> Option<Complaint> {
    let bounds = |condition: &Condition| {
        matches!(condition, Condition::NoWorse(most) if *most < Severity::Critical)
            || matches!(condition, Condition::OnlyFound(_) | Condition::Countersigned(_))
    };
    if rule.list != List::Allow || rule.conditions.iter().any(bounds) {
        return None;
    }
    let any_of = Glob::try_from("secret.*".to_owned()).ok().map(|glob| vec![glob]);
    let secret = Filter { any_of, none_of: Vec::new(), at_least: Severity::Critical };
    let passes = |way: &Way| {
        let mut case = rule.going(*way);
        // What its sender's human released is theirs to give.
        if *way == Way::In {
            case.conditions.push(Condition::NotCountersigned(Strength::Grant));
        }
        case.conditions.push(Condition::Found(secret.clone()));
        !earlier.iter().any(|other| case.is_within(other))
    };
    let ways = [Way::Out, Way::In].into_iter().filter(|way| {
        let other = if *way == Way::Out { Way::In } else { Way::Out };
        !rule.conditions.contains(&Condition::Direction(other))
    });
    ways.into_iter().find(passes).map(|way| {
        let does = if way == Way::Out { "leave" } else { "arrive" };
        rule.warning(format!(
            "it lets secrets {does} that no rule before it asks about; give it severity_up_to, or \
             write an ask rule"
        ))
    })
}

impl Rule {
    fn error(&self, text: String) -> Complaint {
        Complaint { weight: Weight::Error, rule: self.label(), line: self.line, text }
    }

    fn warning(&self, text: String) -> Complaint {
        Complaint { weight: Weight::Warning, ..self.error(text) }
    }

    /// The part of it that goes one way.
    fn going(&self, way: Way) -> Self {
        let mut part = self.clone();
        let has_one = |condition: &Condition| {
            matches!(condition, Condition::Direction(_)) || condition.is_of_what_arrives()
        };
        if !part.conditions.iter().any(has_one) {
            part.conditions.push(Condition::Direction(way));
        }
        part
    }
}
