//! Commands that would harm the machine that runs them: triage by shape.
//!
//! Each rule has words without which it cannot match; only rules whose words are there read the
//! lines around them, each in one linear pass.

mod rules;
#[cfg(test)]
mod tests;

use std::{ops::Range, sync::OnceLock};

use memchr::{memchr, memrchr};
use regex::bytes::{Regex, RegexBuilder};

use super::anchors::Place;
use super::{Hit, Matters, Severity};
use rules::RULES;

/// What is told of one rule; more would say nothing new.
const HITS_MAX: usize = 8;
/// Lines on each side of a word that are read with its own: a command goes on over a few at most.
/// Blank ones do not count.
const LINES_AROUND: usize = 3;

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
    /// The rule of each word.
    rules: Vec<usize>,
    /// Compiled when the first of its words was seen.
    regexes: Vec<OnceLock<Option<Regex>>>,
}

fn compiled() -> &'static Compiled {
    static COMPILED: OnceLock<Compiled> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let rules = RULES.iter().enumerate();
        Compiled {
            rules: rules.flat_map(|(at, rule)| rule.words.iter().map(move |_| at)).collect(),
            regexes: RULES.iter().map(|_| OnceLock::new()).collect(),
        }
    })
}

fn regex(rule: &Rule) -> Option<Regex> {
    RegexBuilder::new(rule.pattern).unicode(false).case_insensitive(true).build().ok()
}

/// The words without which nothing is found.
pub(super) fn words() -> Vec<&'static str> {
    RULES.iter().flat_map(|rule| rule.words).copied().collect()
}

/// What is found in `text`, in which [`words`] are at these places.
pub(super) fn scan(text: &str, places: &[Place]) -> Vec<Hit> {
    if places.is_empty() {
        return Vec::new();
    }
    let compiled = compiled();
    let bytes = text.as_bytes();
    let mut wanted: Vec<Lines> = vec![Lines::default(); RULES.len()];
    for Place { word, at } in places {
        if let Some(lines) = compiled.rules.get(*word).and_then(|rule| wanted.get_mut(*rule)) {
            lines.cover(bytes, *at);
        }
    }
    let mut hits = Vec::new();
    for ((rule, regex_of), lines) in RULES.iter().zip(&compiled.regexes).zip(wanted) {
        if lines.windows.is_empty() {
            continue;
        }
        let Some(regex) = regex_of.get_or_init(|| regex(rule)) else { continue };
        let found = lines.merged().into_iter().flat_map(|window| matches(regex, bytes, window));
        hits.extend(
            found
                .take(HITS_MAX)
                .map(|span| Hit::new(rule.id, rule.severity, Matters::Coming, span, rule.text)),
        );
    }
    hits
}

/// All matches in a part of the text; what stands before it is seen.
fn matches<'t>(
    regex: &'t Regex,
    bytes: &'t [u8],
    window: Range<usize>,
) -> impl Iterator<Item = Range<usize>> + 't {
    let part = bytes.get(..window.end).unwrap_or_default();
    let mut at = window.start;
    std::iter::from_fn(move || {
        let found = regex.find_at(part, at.min(part.len()))?;
        // None of our patterns fits nothing; if one did, it would not be found for ever.
        at = found.end().max(found.start() + 1);
        (!found.is_empty()).then(|| found.range())
    })
}

/// Where one rule reads.
#[derive(Clone, Debug, Default)]
struct Lines {
    windows: Vec<Range<usize>>,
    /// The line of the last word.
    line: Range<usize>,
}

impl Lines {
    /// Covers the lines around a word at `at`. Words come near the text's order, and a line is
    /// measured once for many in it.
    fn cover(&mut self, bytes: &[u8], at: usize) {
        if self.line.contains(&at) && !self.windows.is_empty() {
            return;
        }
        self.line = line_start(bytes, at)..line_end(bytes, at);
        let (mut start, mut end) = (self.line.start, self.line.end);
        let mut left = LINES_AROUND;
        while left > 0 && start > 0 {
            let before = line_start(bytes, start - 1);
            left -= usize::from(!is_blank(bytes, before..start));
            start = before;
        }
        left = LINES_AROUND;
        while left > 0 && end < bytes.len() {
            let after = line_end(bytes, end);
            left -= usize::from(!is_blank(bytes, end..after));
            end = after;
        }
        // The end of the line before is a sign before a command.
        self.windows.push(start.saturating_sub(1)..end);
    }

    /// The windows in their order, none of which touch.
    fn merged(mut self) -> Vec<Range<usize>> {
        self.windows.sort_unstable_by_key(|window| window.start);
        self.windows.dedup_by(|next, last| {
            let joins = last.end >= next.start;
            if joins {
                last.end = last.end.max(next.end);
            }
            joins
        });
        self.windows
    }
}

fn line_start(bytes: &[u8], at: usize) -> usize {
    let before = bytes.get(..at).unwrap_or_default();
    memrchr(b'\n', before).map_or(0, |newline| newline + 1)
}

/// Behind the end of the line.
fn line_end(bytes: &[u8], at: usize) -> usize {
    let after = bytes.get(at..).unwrap_or_default();
    memchr(b'\n', after).map_or(bytes.len(), |newline| at + newline + 1)
}

fn is_blank(bytes: &[u8], line: Range<usize>) -> bool {
    bytes.get(line).unwrap_or_default().iter().all(u8::is_ascii_whitespace)
}
