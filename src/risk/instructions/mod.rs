//! Text that is aimed at a model and not at its reader: overrides, claimed roles, hidden demands.
//!
//! Words are sorted into classes ([`words`]), and a rule ([`rules`]) asks for some classes close to
//! each other, in this order or in any. One weak sign is noted, two signs near each other are
//! asked about. Around anchors only, so that a text without any is read once and fast.

mod reader;
mod rules;
#[cfg(test)]
mod tests;
mod words;

use std::collections::HashMap;

use super::{Hit, Matters, Severity, anchors::Place};
use reader::{Reading, Seen};
use rules::{Order, RULES, Rule};
use words::{AI, BREAK, CHAT, Class, FREE, LOOSE, PLAY, ROLE};

/// What is told of one rule; more would say nothing new.
const HITS_MAX: usize = 6;
/// Two weak signs as near as this are a strong one.
const NEAR_BYTES: usize = 300;
/// Words that are looked at after the first of a rule: more are not in its reach.
const REACH: usize = 48;
/// A persona is described in as many bytes.
const PERSONA_BYTES: usize = 2000;

pub(super) use reader::anchors;

/// What is found in `text`, in which the [`anchors`] are at these places.
pub(super) fn scan(text: &str, places: &[Place]) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    for reading in reader::read(text.as_bytes(), places) {
        for rule in RULES {
            apply(rule, &reading, &mut hits);
        }
        persona(&reading, &mut hits);
    }
    combine(&mut hits);
    hits
}

fn add(hits: &mut Vec<Hit>, hit: Hit) {
    let same = hits.iter().filter(|other| other.rule == hit.rule);
    let overlaps = same.clone().any(|other| {
        other.span.start < hit.span.end
            && hit.span.start < other.span.end
            && other.severity >= hit.severity
    });
    if !overlaps && same.count() < HITS_MAX {
        hits.push(hit);
    }
}

fn apply(rule: &Rule, reading: &Reading, hits: &mut Vec<Hit>) {
    let Some((first, further)) = rule.needs.split_first() else { return };
    let mut found = 0;
    for (at, seen) in reading.seen.iter().enumerate().filter(|(_, seen)| seen.class & first != 0) {
        let end = match rule.order {
            Order::Given => in_order(further, seen, reading.seen.get(at + 1..), (rule.bytes, 0)),
            Order::Sentence => {
                in_order(further, seen, reading.seen.get(at + 1..), (rule.bytes, BREAK))
            }
            Order::Any => in_any_order(further, at, &reading.seen, rule.bytes),
        };
        if let Some(end) = end {
            let span = reading.place(seen.start)..reading.place(end.saturating_sub(1)) + 1;
            add(hits, Hit::new(rule.id, rule.severity, Matters::Coming, span, rule.text));
            found += 1;
        }
        if found >= HITS_MAX {
            return;
        }
    }
}

/// Whether the other classes follow the first word, each behind the one before, within so many
/// bytes and before a word of the class that stops.
fn in_order(
    needs: &[Class],
    first: &Seen,
    behind: Option<&[Seen]>,
    (bytes, stop): (usize, Class),
) -> Option<usize> {
    let mut end = first.end;
    let mut wanted = needs.iter();
    let mut next = wanted.next();
    for seen in behind.unwrap_or_default().iter().take(REACH) {
        let Some(class) = next else { break };
        if seen.end > first.start + bytes || seen.class & stop != 0 {
            break;
        }
        if seen.class & class != 0 && seen.start >= end {
            end = seen.end;
            next = wanted.next();
        }
    }
    next.is_none().then_some(end)
}

/// Whether the other classes lie on any side of the first word.
fn in_any_order(needs: &[Class], at: usize, all: &[Seen], bytes: usize) -> Option<usize> {
    let first = all.get(at)?;
    let around = all.get(at.saturating_sub(REACH)..(at + REACH).min(all.len()))?;
    let near = |seen: &&Seen| {
        seen.start + bytes >= first.start
            && seen.end <= first.end + bytes
            && (seen.end <= first.start || seen.start >= first.end)
    };
    let met =
        needs.iter().all(|class| around.iter().filter(near).any(|seen| seen.class & class != 0));
    met.then_some(first.end)
}

/// A role for a model that is free of what binds it: words of all three kinds in one passage.
fn persona(reading: &Reading, hits: &mut Vec<Hit>) {
    let (mut from, mut inside) = (0, Tally::default());
    for seen in &reading.seen {
        inside.count(seen, 1);
        while let Some(first) =
            reading.seen.get(from).filter(|first| first.start + PERSONA_BYTES < seen.end)
        {
            inside.count(first, -1);
            from += 1;
        }
        let Some(severity) = inside.severity() else { continue };
        let start = reading.seen.get(from).map_or(seen.start, |first| first.start);
        let span = reading.place(start)..reading.place(seen.end.saturating_sub(1)) + 1;
        let text = "a role for a model that is to follow no rules";
        if severity == Severity::High {
            hits.retain(|hit| hit.rule != "instruction.persona");
            return add(
                hits,
                Hit::new("instruction.persona", severity, Matters::Coming, span, text),
            );
        }
        if !hits.iter().any(|hit| hit.rule == "instruction.persona") {
            add(hits, Hit::new("instruction.persona", severity, Matters::Coming, span, text));
        }
    }
}

/// The classes that are counted.
const COUNTED: [Class; 6] = [FREE, LOOSE, ROLE, PLAY, AI, CHAT];

/// Different words of each class, with how often each is inside.
#[derive(Default)]
struct Tally([HashMap<usize, i32>; 6]);

impl Tally {
    fn count(&mut self, seen: &Seen, by: i32) {
        for (class, words) in COUNTED.iter().zip(&mut self.0) {
            if seen.class & class != 0 {
                let count = words.entry(seen.word).or_default();
                *count += by;
                if *count <= 0 {
                    words.remove(&seen.word);
                }
            }
        }
    }

    /// Plain words count half, and not at all without one that is not.
    fn severity(&self) -> Option<Severity> {
        let [free, loose, role, play, ai, chat] = self.0.each_ref().map(HashMap::len);
        let both = |strong: usize, plain: usize| 2 * strong + plain.min(6);
        let (free_both, role_both, ai_both) = (both(free, loose), both(role, play), both(ai, chat));
        let all = free_both + role_both + ai_both;
        let freed = free >= 1 && role_both >= 1 && ai_both >= 1 && all >= 8;
        let loosened = loose >= 3 && role >= 1 && ai >= 1 && all >= 8;
        let bare = free >= 2 && ai_both >= 1 && all >= 6;
        if freed || loosened || bare {
            return Some(Severity::High);
        }
        (role >= 1 && free_both >= 2 && ai_both >= 1 && all >= 6).then_some(Severity::Low)
    }
}

/// Two weak signs of different rules near each other are worth a question.
fn combine(hits: &mut [Hit]) {
    let weak: Vec<(usize, String)> = hits
        .iter()
        .filter(|hit| hit.severity == Severity::Medium)
        .map(|hit| (hit.span.start, hit.rule.to_string()))
        .collect();
    for hit in hits.iter_mut().filter(|hit| hit.severity == Severity::Medium) {
        let near = |(at, rule): &(usize, String)| {
            at.abs_diff(hit.span.start) < NEAR_BYTES && *rule != hit.rule
        };
        if weak.iter().any(near) {
            hit.severity = Severity::High;
        }
    }
}
