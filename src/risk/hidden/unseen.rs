//! Characters that show nothing, or that have no agreed meaning.

use super::{Count, Hit, Run, Severity, hit, runs};
use crate::risk::characters::is_word;

/// So many blanks in a row can carry text.
const BLANKS_MIN: usize = 4;

const fn is_filler(c: char) -> bool {
    matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}')
}

const fn is_interlinear(c: char) -> bool {
    matches!(c, '\u{fff9}'..='\u{fffb}')
}

const fn is_private(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{ffffd}' | '\u{100000}'..='\u{10fffd}')
}

const fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || c as u32 & 0xfffe == 0xfffe
}

pub(super) const fn is_unseen(c: char) -> bool {
    is_filler(c) || is_interlinear(c) || is_private(c) || is_noncharacter(c) || c == '\u{2800}'
}

pub(super) fn scan(text: &str) -> Vec<Hit> {
    let braille = text.chars().any(|c| matches!(c, '\u{2801}'..='\u{28ff}'));
    let mut fillers = Count::default();
    let (mut blanks, mut some) = (Count::default(), Count::default());
    let (mut notes, mut private, mut none) = (Count::default(), Count::default(), Count::default());
    for run in runs(text, is_unseen) {
        let count = match run.first {
            c if is_filler(c) && is_jamo(&run) => continue,
            c if is_filler(c) => &mut fillers,
            '\u{2800}' if braille => continue,
            '\u{2800}' if run.chars >= BLANKS_MIN || run.is_between(is_word) => &mut blanks,
            '\u{2800}' => &mut some,
            c if is_interlinear(c) => &mut notes,
            c if is_private(c) => &mut private,
            _ => &mut none,
        };
        count.add(run.chars, &run.span);
    }
    let filler = "fillers that show nothing and count as letters";
    let blank = "blank characters that are no spaces";
    let note = "marks of interlinear notes, which are not shown";
    let own = "characters of private use, which mean whatever their font says";
    let invalid = "code points that are no characters";
    [
        ("hidden.filler", Severity::High, fillers, filler),
        ("hidden.blank", Severity::High, blanks, blank),
        ("hidden.blank", Severity::Low, some, blank),
        ("hidden.interlinear", Severity::High, notes, note),
        ("hidden.private_use", Severity::Low, private, own),
        ("hidden.noncharacter", Severity::Medium, none, invalid),
    ]
    .into_iter()
    .filter(|(_, _, count, _)| count.count > 0)
    .map(|(rule, severity, count, what)| hit(rule, severity, count.span, what))
    .collect()
}

/// Whether a filler stands for a missing part of a Korean syllable.
fn is_jamo(run: &Run) -> bool {
    let jamo = |c| {
        matches!(c, '\u{1100}'..='\u{11ff}' | '\u{3131}'..='\u{318e}' | '\u{a960}'..='\u{a97c}'
        | '\u{d7b0}'..='\u{d7fb}')
    };
    run.chars == 1 && run.is_beside(jamo)
}
