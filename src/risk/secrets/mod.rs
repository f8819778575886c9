//! Secrets: rules for the published formats of tokens and keys, and general ones for values that
//! are named like a secret and look like one.
//!
//! Rules have the shape of gitleaks' configuration ([`RuleTable`]); ours are the files in `rules/`.
//! What has neither a format nor a telling name is not found here: a value that the human
//! registered is (see [`super::known`]).

mod engine;
mod rule;
mod table;

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use self::{
    engine::Prefilter,
    rule::{Found, Rule},
};
use super::{Hit, Matters, Severity, anchors::Place};

pub use table::{RuleTable, RulesError};

/// The files, each with the severity of a rule that names none.
const FILES: &[(&str, Severity)] = &[
    (include_str!("rules/models.toml"), Severity::Critical),
    (include_str!("rules/cloud.toml"), Severity::Critical),
    (include_str!("rules/code.toml"), Severity::Critical),
    (include_str!("rules/services.toml"), Severity::Critical),
    (include_str!("rules/money.toml"), Severity::Critical),
    (include_str!("rules/more.toml"), Severity::Critical),
    (include_str!("rules/named.toml"), Severity::High),
    (include_str!("rules/named_more.toml"), Severity::High),
    (include_str!("rules/web_services.toml"), Severity::High),
    (include_str!("rules/general.toml"), Severity::High),
    (include_str!("rules/passwords.toml"), Severity::High),
];

/// The rules that the program brings. One that did not parse would be left out; the tests read all.
fn built_in() -> &'static [Arc<Rule>] {
    static BUILT_IN: OnceLock<Vec<Arc<Rule>>> = OnceLock::new();
    BUILT_IN.get_or_init(|| {
        let tables = FILES.iter().flat_map(|(text, severity)| {
            let tables = RuleTable::parse(text).unwrap_or_default();
            tables.into_iter().map(|table| (table, *severity))
        });
        tables
            .filter_map(|(table, severity)| Rule::built_in(table, severity).ok().map(Arc::new))
            .collect()
    })
}

/// The ids of all rules that the program brings.
#[must_use]
pub fn rule_ids() -> Vec<&'static str> {
    built_in().iter().map(|rule| rule.id()).collect()
}

/// The rules, ready to use.
#[derive(Debug)]
pub(super) struct Secrets {
    rules: Vec<Arc<Rule>>,
    prefilter: Prefilter,
}

impl Secrets {
    /// The rules that the program brings.
    pub(super) fn standard() -> Self {
        Self::of(built_in().to_vec())
    }

    /// The same and further ones, which add findings and take none away.
    ///
    /// # Errors
    /// A rule that cannot be used.
    pub(super) fn with(further: &[RuleTable]) -> Result<Self, RulesError> {
        let mut rules = built_in().to_vec();
        for table in further {
            rules.extend(Rule::further(table.clone())?.map(Arc::new));
        }
        Ok(Self::of(rules))
    }

    fn of(rules: Vec<Arc<Rule>>) -> Self {
        let prefilter = Prefilter::new(&rules);
        Self { rules, prefilter }
    }

    /// The words that are looked for first.
    pub(super) fn keywords(&self) -> Vec<&str> {
        self.prefilter.keywords()
    }

    /// Everything that the rules find in `text`, in which the keywords are at these places. Of
    /// built-in rules that find the same place, the one with the most to say is kept.
    pub(super) fn scan(&self, text: &str, places: &[Place]) -> Vec<Hit> {
        self.scan_telling(text, places, &mut |_| ())
    }

    /// The same; `done` hears of each rule that has looked at a place.
    pub(super) fn scan_telling(
        &self,
        text: &str,
        places: &[Place],
        done: &mut dyn FnMut(&str),
    ) -> Vec<Hit> {
        let mut found: Vec<Found<'_>> = Vec::new();
        for window in self.prefilter.windows(text.as_bytes(), places) {
            if let Some(rule) = self.rules.get(window.rule) {
                rule.look(text, window.span, &mut found);
                done(rule.id());
            }
        }
        engine::worst(found).into_iter().map(|found| hit(&found, text)).collect()
    }
}

fn hit(found: &Found<'_>, text: &str) -> Hit {
    // A rule reads bytes; a span is cut between characters.
    let (mut start, mut end) = (found.span.start, found.span.end);
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    while !text.is_char_boundary(end) {
        end += 1;
    }
    Hit {
        rule: found.rule.id_text(),
        severity: found.rule.severity(),
        matters: Matters::Both,
        span: start..end,
        text: found.rule.text(),
    }
}
