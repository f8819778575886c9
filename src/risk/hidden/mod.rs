//! What a model or a terminal reads and a person does not see, or sees as something else.
//!
//! Only the text as it is gets looked at: what lies under an encoding is hidden from both alike.

mod bidi;
mod lookalikes;
mod selectors;
mod terminal;
mod unseen;
mod zero_width;

#[cfg(test)]
mod tests;

use std::{iter::Peekable, ops::Range, str::CharIndices};

use super::{Hit, Matters, Severity, characters};

pub(super) fn scan(text: &str) -> Vec<Hit> {
    let mut hits = terminal::scan(text);
    if !text.is_ascii() {
        // One pass tells which of the looks are of use.
        let mut present = [false; LOOKS.len()];
        let lines = text.split('\n').filter(|line| !line.is_ascii());
        for c in lines.flat_map(str::chars).filter(|c| !c.is_ascii()) {
            for (present, (wanted, _)) in present.iter_mut().zip(LOOKS) {
                *present |= wanted(c);
            }
        }
        for (_, (_, scan)) in present.iter().zip(LOOKS).filter(|(present, _)| **present) {
            hits.extend(scan(text));
        }
    }
    hits
}

fn hit(rule: &'static str, severity: Severity, span: Range<usize>, text: &'static str) -> Hit {
    Hit::new(rule, severity, Matters::Both, span, text)
}

type Wanted = fn(char) -> bool;
type Scan = fn(&str) -> Vec<Hit>;

/// Each further look, and the characters without which there is nothing for it to see.
const LOOKS: [(Wanted, Scan); 5] = [
    (|c| c == '\u{ad}' || characters::is_zero_width(c), zero_width::scan),
    (|c| characters::is_selector(c) || characters::is_tag(c), selectors::scan),
    (characters::is_bidi, bidi::scan),
    (unseen::is_unseen, unseen::scan),
    (|c| characters::lookalike(c).is_some(), lookalikes::scan),
];

/// Characters of one kind next to each other, with what stands around them.
struct Run {
    span: Range<usize>,
    chars: usize,
    first: char,
    before: Option<char>,
    after: Option<char>,
}

impl Run {
    fn is_between(&self, wanted: impl Fn(char) -> bool) -> bool {
        self.before.is_some_and(&wanted) && self.after.is_some_and(&wanted)
    }

    fn is_beside(&self, wanted: impl Fn(char) -> bool) -> bool {
        self.before.is_some_and(&wanted) || self.after.is_some_and(&wanted)
    }
}

/// All runs of the characters that `wanted` takes.
fn runs<F: Fn(char) -> bool>(text: &str, wanted: F) -> Runs<'_, F> {
    Runs { chars: text.char_indices().peekable(), before: None, wanted }
}

struct Runs<'t, F> {
    chars: Peekable<CharIndices<'t>>,
    before: Option<char>,
    wanted: F,
}

impl<F: Fn(char) -> bool> Iterator for Runs<'_, F> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        loop {
            let (start, first) = self.chars.next()?;
            if !(self.wanted)(first) {
                self.before = Some(first);
                continue;
            }
            let mut run = Run {
                span: start..start + first.len_utf8(),
                chars: 1,
                first,
                before: self.before,
                after: None,
            };
            while let Some((at, c)) = self.chars.next_if(|(_, c)| (self.wanted)(*c)) {
                run.span.end = at + c.len_utf8();
                run.chars += 1;
            }
            run.after = self.chars.peek().map(|(_, c)| *c);
            return Some(run);
        }
    }
}

/// Counts what is found of one kind, and remembers from where to where.
#[derive(Default)]
struct Count {
    count: usize,
    span: Range<usize>,
}

impl Count {
    fn add(&mut self, count: usize, span: &Range<usize>) {
        if self.count == 0 {
            self.span = span.clone();
        }
        self.span.end = span.end;
        self.count += count;
    }
}
