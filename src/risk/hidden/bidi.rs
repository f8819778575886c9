//! Bidirectional controls (UAX 9): they can show a text in another order than it is read.

use super::{Hit, Severity, hit};
use crate::risk::characters::{is_bidi, is_right_to_left};

/// What is open at a place in a line.
struct Open {
    isolate: bool,
    /// Turns the order to right-to-left.
    turns: bool,
    at: usize,
    holds_right_to_left: bool,
}

pub(super) fn scan(text: &str) -> Vec<Hit> {
    let what = "bidirectional controls, which can show text in another order than it is read";
    let mut start = 0;
    for line in text.split_inclusive(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        if let Some(at) = deceives(line) {
            let at = start + at;
            let length =
                text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
            return vec![hit("hidden.bidi_controls", Severity::High, at..at + length, what)];
        }
        start += line.len();
    }
    Vec::new()
}

/// Where the first control is that ordinary text has no use for: an override, one that is not
/// closed in its line or closes nothing, or one that turns what has no right-to-left letters.
fn deceives(line: &str) -> Option<usize> {
    if !line.chars().any(is_bidi) {
        return None;
    }
    let mut open: Vec<Open> = Vec::new();
    for (at, c) in line.char_indices() {
        match c {
            '\u{202d}' | '\u{202e}' => return Some(at),
            '\u{202a}' | '\u{202b}' | '\u{2066}'..='\u{2068}' => {
                let (isolate, turns) = (c >= '\u{2066}', matches!(c, '\u{202b}' | '\u{2067}'));
                open.push(Open { isolate, turns, at, holds_right_to_left: false });
            }
            '\u{202c}' | '\u{2069}' => {
                let Some(last) = open.pop() else { return Some(at) };
                if last.isolate != (c == '\u{2069}') {
                    return Some(at);
                }
                if last.turns && !last.holds_right_to_left {
                    return Some(last.at);
                }
                if let Some(outer) = open.last_mut() {
                    outer.holds_right_to_left |= last.holds_right_to_left;
                }
            }
            _ if is_right_to_left(c) => {
                if let Some(inner) = open.last_mut() {
                    inner.holds_right_to_left = true;
                }
            }
            _ => {}
        }
    }
    open.first().map(|open| open.at)
}
