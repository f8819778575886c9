//! Words of letters that look like others: `pаypal` with a Cyrillic `а`.

use std::ops::Range;

use super::{Hit, Severity, hit};
use crate::risk::characters::{is_formula_letter, is_word, lookalike};

#[derive(Clone, Copy, Default)]
struct Letter {
    latin: bool,
    small: bool,
    alike: bool,
}

impl Letter {
    fn of(c: char) -> Self {
        let alike = lookalike(c).is_some();
        Self { latin: is_latin(c), small: c.is_ascii_lowercase(), alike }
    }
}

/// A letter of the Latin script, in the blocks that languages use.
const fn is_latin(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
}

/// What one word is made of.
#[derive(Default)]
struct Word {
    span: Range<usize>,
    letters: usize,
    latin: usize,
    lookalikes: usize,
    /// A lookalike stands next to a Latin letter.
    touches: bool,
    /// A letter that formulas use stands between two small Latin letters.
    inside: bool,
    /// All lookalikes are letters that formulas use.
    formula: bool,
}

impl Word {
    fn of(word: &str, start: usize) -> Self {
        let mut of = Self { span: start..start + word.len(), formula: true, ..Self::default() };
        let (mut second, mut last) = (Letter::default(), Letter::default());
        for c in word.chars().filter(|c| c.is_alphabetic()) {
            let letter = Letter::of(c);
            of.letters += 1;
            of.latin += usize::from(letter.latin);
            of.lookalikes += usize::from(letter.alike);
            of.formula &= !letter.alike || is_formula_letter(c);
            of.touches |= (letter.alike && last.latin) || (letter.latin && last.alike);
            of.inside |= second.small && last.alike && letter.small;
            (second, last) = (last, letter);
        }
        of
    }

    /// Some letters are Latin, and all others only look as if they were.
    fn is_mixed(&self) -> bool {
        let whole =
            self.latin > 0 && self.lookalikes > 0 && self.latin + self.lookalikes == self.letters;
        whole && self.touches && (!self.formula || (self.inside && self.letters > 4))
    }

    fn is_all_alike(&self) -> bool {
        self.letters > 2 && self.lookalikes == self.letters && !self.formula
    }

    const fn is_foreign(&self) -> bool {
        self.letters > self.latin + self.lookalikes
    }
}

pub(super) fn scan(text: &str) -> Vec<Hit> {
    let mut mixed: Option<Range<usize>> = None;
    let mut alike: Option<Range<usize>> = None;
    let (mut foreign, mut latin) = (0_usize, 0_usize);
    let mut start = 0;
    for part in text.split_inclusive(|c| !is_word(c)) {
        let word = part.trim_end_matches(|c| !is_word(c));
        if word.is_ascii() {
            latin += usize::from(word.len() > 1);
        } else if foreign == 0 || word.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            let word = Word::of(word, start);
            foreign += usize::from(word.is_foreign());
            if word.is_mixed() && mixed.is_none() {
                mixed = Some(word.span);
            } else if word.is_all_alike() && alike.is_none() {
                alike = Some(word.span);
            }
        }
        start += part.len();
    }
    let mut hits = Vec::new();
    if let Some(span) = mixed {
        let what =
            "a word that mixes Latin letters with those of another script that look the same";
        hits.push(hit("hidden.lookalikes", Severity::High, span, what));
    }
    // In a text of the other script's own language such words are ordinary.
    if let Some(span) = alike
        && foreign == 0
        && latin > 2
    {
        let severity = if is_in_code(text, &span) { Severity::High } else { Severity::Medium };
        let what = "a word in letters of another script that look like Latin ones";
        hits.push(hit("hidden.lookalike_word", severity, span, what));
    }
    hits
}

/// Whether a word stands where an identifier, a host or a path does.
fn is_in_code(text: &str, span: &Range<usize>) -> bool {
    let before = text.get(..span.start).and_then(|text| text.chars().next_back());
    let after = text.get(span.end..).and_then(|text| text.chars().next());
    before.is_some_and(|c| matches!(c, '.' | '/' | '@' | '$' | ':' | '-' | '"' | '\'' | '`'))
        || after.is_some_and(|c| matches!(c, '(' | '/' | '@' | '=' | '[' | '"' | '\'' | '`'))
}
