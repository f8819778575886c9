//! Which rule decides about something, and why the rules before it do not.

use std::fmt;

use super::{Decided, Policy, Subject, Verdict, rule::Rule};

/// A rule that was tried and did not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// As `ask.NAME`.
    pub rule: String,
    /// Its line in the policy, from 1.
    pub line: usize,
    /// The first of its conditions that did not hold, as a sentence.
    pub because: String,
}

/// How a decision came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The decision.
    pub decided: Decided,
    /// The line of the rule that decided, from 1, unless none of the policy did.
    pub line: Option<usize>,
    /// The rules that were tried before, in their order.
    pub tried: Vec<Tried>,
}

impl Policy {
    /// Decides, and says how.
    #[must_use]
    pub fn explain(&self, subject: &Subject<'_>) -> Explanation {
        let decided = self.decide(subject);
        let never: &[Rule] = &[];
        let allow = if subject.action.is_peer() { never } else { &self.allow };
        let mut tried = Vec::new();
        for rule in self.deny.iter().chain(&self.ask).chain(allow) {
            match rule.unmet(subject) {
                None => return Explanation { decided, line: Some(rule.line), tried },
                Some(condition) => {
                    let because = condition.unmet(subject);
                    tried.push(Tried { rule: rule.label(), line: rule.line, because });
                }
            }
        }
        Explanation { decided, line: None, tried }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Tried { rule, line, because } in &self.tried {
            writeln!(f, "{rule} (line {line}) does not match: {because}")?;
        }
        let Decided { verdict, rule } = &self.decided;
        let (does, reasons) = match verdict {
            Verdict::Allow => ("allows it", &[][..]),
            Verdict::Ask(reasons) => ("asks you", &reasons[..]),
            Verdict::Deny(reasons) => ("denies it", &reasons[..]),
        };
        let place = match self.line {
            Some(line) => format!("{rule} (line {line}) {does}"),
            None if rule == super::PEER_NEW => format!("{rule} {does}: no peer is let in unasked"),
            None => format!("{rule} {does}: no rule matches"),
        };
        writeln!(f, "{place}")?;
        for reason in reasons {
            writeln!(f, "  {} ({}): {}", reason.rule, reason.severity.as_str(), reason.text)?;
        }
        Ok(())
    }
}
