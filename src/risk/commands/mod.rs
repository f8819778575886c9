//! Commands that would harm the machine that runs them: triage by shape.
//!
//! Each rule has words without which it cannot match; only rules whose words are there read the
//! text, each in one linear pass.

mod rules;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};

use super::anchors::Anchors;
use super::{Hit, Matters, Severity};
use rules::RULES;

/// What is told of one rule; more would say nothing new.
const HITS_MAX: usize = 8;

/// A shape of a command.
struct Rule {
    id: &'static str,
    severity: Severity,
    /// Any of these is in every match, in whatever case.
    words: &'static [&'static str],
    /// Without regard to case; `.` is any byte of a line.
    pattern: &'static str,
    text: &'static str,
}

struct Compiled {
    anchors: Anchors,
    /// The rule of each word.
    rules: Vec<usize>,
    /// Compiled when the first of its words was seen.
    regexes: Vec<OnceLock<Option<Regex>>>,
}

fn compiled() -> &'static Compiled {
    static COMPILED: OnceLock<Compiled> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let words = || {
            RULES
                .iter()
                .enumerate()
                .flat_map(|(at, rule)| rule.words.iter().map(move |word| (at, *word)))
        };
        Compiled {
            anchors: Anchors::new(words().map(|(_, word)| word)),
            rules: words().map(|(rule, _)| rule).collect(),
            regexes: RULES.iter().map(|_| OnceLock::new()).collect(),
        }
    })
}

fn regex(rule: &Rule) -> Option<Regex> {
    RegexBuilder::new(rule.pattern).unicode(false).case_insensitive(true).build().ok()
}

pub(super) fn scan(text: &str) -> Vec<Hit> {
    let compiled = compiled();
    let mut wanted = vec![false; RULES.len()];
    compiled.anchors.each(text.as_bytes(), |word, _| {
        if let Some(wanted) = compiled.rules.get(word).and_then(|rule| wanted.get_mut(*rule)) {
            *wanted = true;
        }
    });
    let mut hits = Vec::new();
    for ((rule, regex_of), _) in
        RULES.iter().zip(&compiled.regexes).zip(wanted).filter(|(_, wanted)| *wanted)
    {
        let Some(regex) = regex_of.get_or_init(|| regex(rule)) else { continue };
        for found in regex.find_iter(text.as_bytes()).take(HITS_MAX) {
            hits.push(Hit::new(rule.id, rule.severity, Matters::Coming, found.range(), rule.text));
        }
    }
    hits
}
