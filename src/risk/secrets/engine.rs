//! Which rules look where: one pass over a text for all keywords of all rules, and for each rule
//! the places around its own. So the time is linear in the text's length, whatever the text is.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use super::rule::{Found, Reach, Rule};
use crate::risk::anchors::{Place, WORD_BYTES_MIN};

/// How far a window grows at each end, so that it does not cut a word.
const WORD_MAX: usize = 64;

/// Where one rule looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) rule: usize,
    pub(super) span: Range<usize>,
}

/// The keywords of all rules.
#[derive(Debug)]
pub(super) struct Prefilter {
    /// Each keyword with the rules that have it, each with its reach.
    rules: Vec<(String, Vec<(usize, Reach)>)>,
    /// Those that are too short for an anchor. Ours are not.
    short: Vec<(String, Vec<(usize, Reach)>)>,
    /// The rules that look where so many letters and digits stand in a row.
    runs: Vec<(usize, usize, Reach)>,
    /// The rules that look everywhere.
    always: Vec<usize>,
}

impl Prefilter {
    pub(super) fn new(rules: &[Arc<Rule>]) -> Self {
        let mut by_keyword: BTreeMap<String, Vec<(usize, Reach)>> = BTreeMap::new();
        for (number, rule) in rules.iter().enumerate() {
            for keyword in rule.keywords() {
                by_keyword
                    .entry(keyword.to_ascii_lowercase())
                    .or_default()
                    .push((number, rule.reach()));
            }
        }
        let (short, rules_of) =
            by_keyword.into_iter().partition(|(keyword, _)| keyword.len() < WORD_BYTES_MIN);
        let mut runs = Vec::new();
        let mut always = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            match rule.run() {
                Some(run) => runs.push((number, run, rule.reach())),
                None if rule.keywords().is_empty() => always.push(number),
                None => {}
            }
        }
        Self { rules: rules_of, short, runs, always }
    }

    /// The keywords that are looked for together with those of others.
    pub(super) fn keywords(&self) -> Vec<&str> {
        self.rules.iter().map(|(keyword, _)| &**keyword).collect()
    }

    /// Where to look, by rule and then by place; the windows of one rule do not touch. The
    /// [`Self::keywords`] are at `places`.
    pub(super) fn windows(&self, bytes: &[u8], places: &[Place]) -> Vec<Window> {
        let mut windows: Vec<Window> = Vec::new();
        let mut look = |at: Range<usize>, rules: &[(usize, Reach)]| {
            let of = |(rule, reach): &(usize, Reach)| {
                let span = around(bytes, &at, *reach);
                Window { rule: *rule, span }
            };
            windows.extend(rules.iter().map(of));
        };
        for Place { word, at } in places {
            if let Some((keyword, rules)) = self.rules.get(*word) {
                look(*at..at + keyword.len(), rules);
            }
        }
        for (keyword, rules) in &self.short {
            for (at, part) in bytes.windows(keyword.len()).enumerate() {
                if part.eq_ignore_ascii_case(keyword.as_bytes()) {
                    look(at..at + keyword.len(), rules);
                }
            }
        }
        for (rule, least, reach) in &self.runs {
            let found = runs(bytes, *least).map(|run| around(bytes, &run, *reach));
            windows.extend(found.map(|span| Window { rule: *rule, span }));
        }
        windows.sort_unstable_by_key(|window| (window.rule, window.span.start));
        let mut merged: Vec<Window> = Vec::with_capacity(windows.len());
        for Window { rule, span } in windows {
            let span = grown(bytes, &span);
            match merged.last_mut() {
                Some(last) if last.rule == rule && span.start <= last.span.end => {
                    last.span.end = last.span.end.max(span.end);
                }
                _ => merged.push(Window { rule, span }),
            }
        }
        merged.extend(self.always.iter().map(|rule| Window { rule: *rule, span: 0..bytes.len() }));
        merged
    }
}

fn around(bytes: &[u8], span: &Range<usize>, reach: Reach) -> Range<usize> {
    span.start.saturating_sub(reach.before)..bytes.len().min(span.end + reach.after)
}

/// Where at least so many letters and digits stand in a row. Such a run has a letter or a digit at
/// one of every so many places, so that most of the text is not read.
fn runs(bytes: &[u8], least: usize) -> impl Iterator<Item = Range<usize>> {
    let word = |byte: &&u8| byte.is_ascii_alphanumeric();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let next = bytes.len().min(at.saturating_add(least));
            let (before, rest) = bytes.split_at(at);
            let right = rest.iter().take_while(word).count();
            at = next.max(at + right);
            if right > 0 {
                let left = before.iter().rev().take(least).take_while(word).count();
                if left + right >= least {
                    return Some(before.len() - left..before.len() + right);
                }
            }
        }
        None
    })
}

fn grown(bytes: &[u8], span: &Range<usize>) -> Range<usize> {
    let word = |byte: &&u8| byte.is_ascii_alphanumeric();
    let before = bytes.get(..span.start).unwrap_or_default();
    let after = bytes.get(span.end..).unwrap_or_default();
    let left = before.iter().rev().take(WORD_MAX).take_while(word).count();
    let right = after.iter().take(WORD_MAX).take_while(word).count();
    span.start - left..span.end + right
}

/// Of our own rules' finds that overlap, the one with the highest severity, and then the longest.
/// What a user's rule finds is always kept.
pub(super) fn worst(mut found: Vec<Found<'_>>) -> Vec<Found<'_>> {
    found.sort_by_key(|one| {
        let length = one.span.end - one.span.start;
        (one.rule.ours(), std::cmp::Reverse((one.rule.severity(), length)), one.span.start)
    });
    // What was taken, start to end: these do not overlap.
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    found.retain(|one| {
        if !one.rule.ours() {
            return true;
        }
        let before = taken.range(..one.span.end).next_back();
        let free = before.is_none_or(|(_, end)| *end <= one.span.start);
        if free {
            taken.insert(one.span.start, one.span.end);
        }
        free
    });
    found.sort_by_key(|one| one.span.start);
    found
}
