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
        let present = Present::of(text);
        if present.zero_width {
            hits.extend(zero_width::scan(text));
        }
        if present.selectors {
            hits.extend(selectors::scan(text));
        }
        if present.bidi {
            hits.extend(bidi::scan(text));
        }
        if present.unseen {
            hits.extend(unseen::scan(text));
        }
        if present.lookalikes {
            hits.extend(lookalikes::scan(text));
        }
    }
    hits
}

fn hit(rule: &'static str, severity: Severity, span: Range<usize>, text: &'static str) -> Hit {
    Hit::new(rule, severity, Matters::Both, span, text)
}

/// Which kinds of characters a text holds at all: one pass, so that the rest may be left out.
#[derive(Default)]
struct Present {
    zero_width: bool,
    selectors: bool,
    bidi: bool,
    unseen: bool,
    lookalikes: bool,
}

impl Present {
    fn of(text: &str) -> Self {
        let mut present = Self::default();
        for c in text.chars().filter(|c| !c.is_ascii()) {
            present.zero_width |= c == '\u{ad}' || characters::is_zero_width(c);
            present.selectors |= characters::is_selector(c) || characters::is_tag(c);
            present.bidi |= characters::is_bidi(c);
            present.unseen |= unseen::is_unseen(c);
            present.lookalikes |= characters::lookalike(c).is_some();
        }
        present
    }
}

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
