//! Plain forms of characters: NFKC (UAX 15), invisible ones taken out, text that is written in
//! invisible ones made visible, and letters that look like Latin ones made Latin.

use std::ops::Range;

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfkc_quick};

use super::{
    Budget, Layer, Replaced, Windows,
    source::{Next, Source},
};
use crate::risk::characters::{is_invisible, is_selector, is_tag, is_word, lookalike};

/// The stretches of a text in which folding changes something, if any.
pub(super) fn changed(text: &str, budget: &mut Budget) -> Option<Source<'static>> {
    let changes = changes(text, budget);
    if changes.is_empty() {
        return None;
    }
    let source = Source::whole(text);
    let mut windows = Windows::default();
    for (range, _) in &changes {
        windows.cover(text, range);
    }
    let mut next = Next::default();
    let mut changes = changes.iter().peekable();
    for window in &windows.list {
        let mut replaced = Replaced::new(&source, window);
        while let Some((range, with)) = changes.next_if(|(range, _)| range.start < window.end) {
            replaced.replace(&mut next, range, (with, Layer::Unicode), budget);
        }
        replaced.finish(&mut next, budget);
    }
    Some(next.into_source())
}

/// All of a text, folded.
pub(super) fn whole(source: Source<'static>, budget: &mut Budget) -> Source<'static> {
    if source.text().is_ascii() {
        return source;
    }
    let changes = changes(source.text(), budget);
    if changes.is_empty() {
        return source;
    }
    let mut next = Next::default();
    let mut replaced = Replaced::new(&source, &(0..source.text().len()));
    for (range, with) in &changes {
        replaced.replace(&mut next, range, (with, Layer::Unicode), budget);
    }
    replaced.finish(&mut next, budget);
    next.into_source()
}

/// What folding changes, word for word. Words in ASCII are not looked at.
fn changes(text: &str, budget: &mut Budget) -> Vec<(Range<usize>, String)> {
    budget.worked(text.len());
    let mut mostly_latin = None;
    let mut changes = Vec::new();
    let mut at = 0;
    while let Some(word) = foreign_word(text, at) {
        at = word.end;
        let Some(written) = text.get(word.clone()) else { continue };
        if is_plain(written) {
            continue;
        }
        let latin = written.bytes().any(|byte| byte.is_ascii_alphanumeric())
            || *mostly_latin.get_or_insert_with(|| is_mostly_latin(text));
        if latin || has_more_than_lookalikes(written) {
            let folded = fold(written, latin);
            if folded != written {
                changes.push((word, folded));
            }
        }
    }
    changes
}

fn is_mostly_latin(text: &str) -> bool {
    let latin = text.bytes().filter(u8::is_ascii_alphabetic).count();
    let others = text.bytes().filter(|byte| !byte.is_ascii()).count();
    // A letter of most other scripts has two bytes.
    latin > 2 * others
}

/// The next word that is not all ASCII.
fn foreign_word(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let skipped = bytes.get(from..)?.chunks(64).take_while(|chunk| chunk.is_ascii()).count() * 64;
    let rest = bytes.get(from + skipped..)?;
    let at = from + skipped + rest.iter().position(|byte| !byte.is_ascii())?;
    let before = bytes.get(from..at)?.iter().rev().take_while(|byte| !byte.is_ascii_whitespace());
    let after = bytes.get(at..)?.iter().take_while(|byte| !byte.is_ascii_whitespace());
    Some(at - before.count()..at + after.count())
}

/// Whether folding would not change it.
fn is_plain(word: &str) -> bool {
    let is_folded = |c: char| !c.is_ascii() && (is_invisible(c) || lookalike(c).is_some());
    !word.chars().any(is_folded) && is_composed(word)
}

fn has_more_than_lookalikes(word: &str) -> bool {
    word.chars().any(is_invisible) || !is_composed(word)
}

/// Whether it is in NFKC, but for the punctuation of Chinese and Japanese among its own.
fn is_composed(word: &str) -> bool {
    let alone = !word.bytes().any(|byte| byte.is_ascii_alphanumeric());
    let is_mark = |c: &char| {
        matches!(c, '\u{3000}' | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff3e}'
            | '\u{ff5b}'..='\u{ff65}')
    };
    is_nfkc_quick(word.chars().filter(|c| !(alone && is_mark(c)))) == IsNormalized::Yes
}

fn fold(word: &str, latin: bool) -> String {
    let plain: String = shown(word).nfkc().collect();
    if !latin || !plain.chars().any(|c| lookalike(c).is_some()) {
        return plain;
    }
    let mut folded = String::with_capacity(plain.len());
    for part in plain.split_inclusive(|c| !is_word(c)) {
        let mut letters = part.chars().filter(|c| c.is_alphabetic());
        if letters.all(|c| c.is_ascii() || lookalike(c).is_some()) {
            folded.extend(part.chars().map(|c| lookalike(c).unwrap_or(c)));
        } else {
            folded.push_str(part);
        }
    }
    folded
}

/// The characters without the invisible ones; tags, and runs of selectors, as what they carry.
fn shown(word: &str) -> impl Iterator<Item = char> {
    let mut before: Option<char> = None;
    let mut chars = word.chars().peekable();
    std::iter::from_fn(move || {
        let c = chars.next()?;
        let beside = |kind: fn(char) -> bool, other: Option<char>| other.is_some_and(kind);
        let after = chars.peek().copied();
        let first = !beside(is_invisible, before);
        before = Some(c);
        let carried = if is_tag(c) {
            char::from_u32(u32::from(c) - 0xe_0000)
        } else if is_selector(c) && (beside(is_selector, after) || !first) {
            u32::from(c).checked_sub(0xe_0100 - 16).and_then(char::from_u32)
        } else if is_invisible(c) {
            None
        } else {
            return Some([None, Some(c)]);
        };
        let carried = carried.filter(|c| *c == ' ' || c.is_ascii_graphic());
        Some([carried.filter(|_| first).map(|_| ' '), carried])
    })
    .flatten()
    .flatten()
}
