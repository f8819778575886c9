//! What is taken apart: bytes in pairs of digits, letters with something between, and strings
//! that are added together.

use std::ops::Range;

use memchr::{memchr_iter, memmem};

use super::{
    Budget, Layer, Replaced, Windows, bytes,
    runs::pair_of,
    source::{Next, Source},
};

/// The least number of bytes that are read from a list.
const PAIRS_MIN: usize = 8;
/// The least number of letters of a spaced word.
const LETTERS_MIN: usize = 12;
/// Every run that is long enough has a place looked at, if one looks this often.
const STEP: usize = 12;
/// How far a string's quotation mark may be from its plus sign.
const GAP_MAX: usize = 64;

pub(super) fn expand(source: &Source<'_>, next: &mut Next, budget: &mut Budget) {
    pairs_and_letters(source, next, budget);
    prefixed(source, next, budget);
    added(source, next, budget);
}

fn pairs_and_letters(source: &Source<'_>, next: &mut Next, budget: &mut Budget) {
    let text = source.text().as_bytes();
    let (mut at, mut done) = (0, 0);
    while let Some(sample) = text.get(at..).and_then(<[u8]>::first_chunk::<3>) {
        if sample.iter().all(u8::is_ascii_alphanumeric) {
            at += STEP;
            continue;
        }
        let end = match sample {
            [a, b, c] if is_pair(*a, *b) && is_between(*c) => pairs(source, at, done, next, budget),
            [c, a, b] if is_pair(*a, *b) && is_between(*c) => {
                pairs(source, at + 1, done, next, budget)
            }
            [b, c, a] if is_pair(*a, *b) && is_between(*c) => {
                pairs(source, at + 2, done, next, budget)
            }
            _ => None,
        };
        let [a, b, c] = *sample;
        let end = end.or_else(|| {
            if a.is_ascii_alphanumeric() && c.is_ascii_alphanumeric() && is_space(b) {
                letters(source, at, done, next, budget)
            } else if a == c && is_space(a) && b.is_ascii_alphanumeric() {
                letters(source, at + 1, done, next, budget)
            } else {
                None
            }
        });
        if let Some(end) = end {
            done = end;
        }
        at = (at + STEP).max(done);
    }
}

const fn is_pair(a: u8, b: u8) -> bool {
    a.is_ascii_hexdigit() && b.is_ascii_hexdigit()
}

const fn is_between(byte: u8) -> bool {
    matches!(byte, b' ' | b':' | b'-' | b',' | b'\n')
}

/// Pairs of digits around `anchor`, where one begins; gives where they end.
fn pairs(
    source: &Source<'_>,
    anchor: usize,
    floor: usize,
    next: &mut Next,
    budget: &mut Budget,
) -> Option<usize> {
    let text = source.text().as_bytes();
    let is_step = |chunk: Option<&[u8]>| matches!(chunk, Some([a, b, c]) if is_pair(*a, *b) && is_between(*c));
    let mut start = anchor;
    while start >= floor + 3 && is_step(text.get(start - 3..start)) {
        start -= 3;
    }
    let mut end = anchor;
    while is_step(text.get(end..end + 3)) {
        end += 3;
    }
    if matches!(text.get(end..end + 2), Some([a, b]) if is_pair(*a, *b)) {
        end += 2;
    }
    budget.worked(end - start);
    let range = start..end;
    if range.len() + 1 < PAIRS_MIN * 3 {
        return None;
    }
    if source.is_new(&range) {
        let listed = text.get(range.clone()).unwrap_or_default();
        let list: Vec<u8> = listed
            .chunks(3)
            .filter_map(<[u8]>::first_chunk::<2>)
            .map(|pair| pair_of(*pair))
            .collect();
        bytes::hold(&list, &source.origin(&range).under(Layer::Hex), next, budget);
    }
    Some(end)
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'.' | b'-' | b'_' | b'*' | b'|' | b'~')
}

/// Single letters around `anchor`, where one stands, with the same between each.
fn letters(
    source: &Source<'_>,
    anchor: usize,
    floor: usize,
    next: &mut Next,
    budget: &mut Budget,
) -> Option<usize> {
    let text = source.text().as_bytes();
    let space = *text.get(anchor + 1)?;
    let is_letter = |at: usize| text.get(at).is_some_and(u8::is_ascii_alphanumeric);
    let is_gap = |at: usize| text.get(at) == Some(&space);
    let mut start = anchor;
    while start >= floor + 2 && is_gap(start - 1) && is_letter(start - 2) {
        start -= 2;
    }
    let mut word = String::new();
    let (mut end, mut letters) = (start, 0);
    while let Some(letter) = text.get(end).filter(|byte| byte.is_ascii_alphanumeric()) {
        word.push(char::from(*letter));
        letters += usize::from(letter.is_ascii_alphabetic());
        end += 1;
        let gap = (end..end + 4).take_while(|at| is_gap(*at)).count();
        if !(1..4).contains(&gap) || !is_letter(end + gap) || is_letter(end + gap + 1) {
            break;
        }
        if gap > 1 {
            word.push(' ');
        }
        end += gap;
    }
    budget.worked(end - start);
    let range = start..end;
    if word.len() < LETTERS_MIN {
        return None;
    }
    if letters * 2 >= word.len() && source.is_new(&range) {
        next.piece(&word, &source.origin(&range).under(Layer::Pieces), budget);
    }
    Some(end)
}

/// Lists of bytes as programs write them: `0x41, 0x42`.
fn prefixed(source: &Source<'_>, next: &mut Next, budget: &mut Budget) {
    let text = source.text().as_bytes();
    let mut done = 0;
    for at in memmem::find_iter(text, b"0x") {
        if at < done {
            continue;
        }
        let mut list = Vec::new();
        let mut end = at;
        let mut from = at;
        while let Some([b'0', b'x', a, b]) = text.get(from..).and_then(<[u8]>::first_chunk::<4>)
            && is_pair(*a, *b)
            && !text.get(from + 4).is_some_and(u8::is_ascii_hexdigit)
        {
            list.push(pair_of([*a, *b]));
            end = from + 4;
            let rest = text.get(end..).unwrap_or_default();
            let gap = rest
                .iter()
                .take(16)
                .take_while(|byte| matches!(byte, b',' | b' ' | b'\n' | b'\t' | b'\r'));
            from = end + gap.count();
        }
        budget.worked(end - at);
        done = end.max(at + 2);
        let range = at..end;
        if list.len() >= PAIRS_MIN && source.is_new(&range) {
            bytes::hold(&list, &source.origin(&range).under(Layer::Hex), next, budget);
        }
    }
}

/// Strings with a plus sign between them, as one.
fn added(source: &Source<'_>, next: &mut Next, budget: &mut Budget) {
    let text = source.text();
    let mut windows = Windows::default();
    let mut joints: Vec<Range<usize>> = Vec::new();
    for at in memchr_iter(b'+', text.as_bytes()) {
        if let Some(joint) = joint(text.as_bytes(), at)
            && joints.last().is_none_or(|last| last.end <= joint.start)
        {
            windows.cover(text, &joint);
            joints.push(joint);
        }
    }
    let mut joints = joints.iter().peekable();
    for window in &windows.list {
        let mut replaced = Replaced::new(source, window);
        while let Some(joint) = joints.next_if(|joint| joint.start < window.end) {
            replaced.replace(next, joint, ("", Layer::Pieces), budget);
        }
        replaced.finish(next, budget);
    }
}

/// From the quotation mark before a plus sign to the one after it.
fn joint(text: &[u8], plus: usize) -> Option<Range<usize>> {
    let is_gap = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\\');
    let before = text.get(plus.saturating_sub(GAP_MAX)..plus)?;
    let left = before.iter().rev().take_while(is_gap).count();
    let after = text.get(plus + 1..)?;
    let right = after.iter().take(GAP_MAX).take_while(is_gap).count();
    let open = before.iter().rev().nth(left)?;
    let is_quote = matches!(open, b'"' | b'\'' | b'`') && after.get(right) == Some(open);
    is_quote.then(|| plus - left - 1..plus + right + 2)
}
