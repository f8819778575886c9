//! Personal data by its shape, its checksum and the words before it: payment cards, accounts,
//! national ids, telephone numbers, mail addresses. Names and places would take a model.

mod checks;
mod context;
mod ids;
mod mail;
mod numbers;
#[cfg(test)]
mod tests;

use std::ops::Range;

use super::{Hit, Matters, Severity};

/// Bytes that are looked at together for whether there are digits enough.
const CHUNK: usize = 16;
/// Digits in two such chunks that make them worth a closer look.
const DIGITS_MIN: u8 = 4;
/// What is told of one kind; more would say nothing new.
const HITS_MAX: usize = 48;

pub(super) fn scan(text: &str) -> Vec<Hit> {
    let bytes = text.as_bytes();
    let mut hits = Vec::new();
    for region in regions(bytes) {
        numbers::scan(bytes, region, &mut hits);
    }
    mail::scan(bytes, &mut hits);
    hits
}

fn add(
    hits: &mut Vec<Hit>,
    rule: &'static str,
    severity: Severity,
    span: Range<usize>,
    text: &'static str,
) {
    let same = hits.iter().filter(|hit| hit.rule == rule).count();
    let inside = hits.iter().any(|hit| hit.span.start < span.end && span.start < hit.span.end);
    if same < HITS_MAX && !inside {
        hits.push(Hit::new(rule, severity, Matters::Leaving, span, text));
    }
}

/// The parts of a text with digits enough for a number that matters.
fn regions(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut regions: Vec<Range<usize>> = Vec::new();
    let mut before = 0_u8;
    for (number, chunk) in bytes.chunks(CHUNK).enumerate() {
        let digits: u8 = chunk.iter().map(|byte| u8::from(byte.wrapping_sub(b'0') < 10)).sum();
        if digits + before >= DIGITS_MIN {
            // A chunk to each side: a number starts and ends outside of where its digits are dense.
            let start = number.saturating_sub(2) * CHUNK;
            let end = ((number + 2) * CHUNK).min(bytes.len());
            match regions.last_mut().filter(|last| last.end >= start) {
                Some(last) => last.end = end,
                None => regions.push(start..end),
            }
        }
        before = digits;
    }
    regions
}
