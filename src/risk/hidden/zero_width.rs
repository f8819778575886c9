//! Characters without width: some scripts and emoji need single ones, nothing needs many.

use super::{Count, Hit, Run, Severity, hit, runs};
use crate::risk::characters::{
    breaks_unseen, is_emoji_part, is_right_to_left, is_word, is_zero_width, joins,
};

/// The least length of a run that no script needs.
const RUN_MIN: usize = 4;
/// So many at the edges of words are no slip of an editor.
const LOOSE_MIN: usize = 8;
/// So many with a single letter between each are needed by no script.
const EVERY_MIN: usize = 6;
/// So many soft hyphens with no more than two letters between them do not mark syllables.
const HYPHENS_MIN: usize = 3;

pub(super) fn scan(text: &str) -> Vec<Hit> {
    let right_to_left = text.chars().any(is_right_to_left);
    let (mut long, mut split, mut loose) = (Count::default(), Count::default(), Count::default());
    let mut foreign = Count::default();
    let (mut every, mut chain) = (None, Count::default());
    for run in runs(text, is_zero_width) {
        if !is_one_char(text.get(chain.span.end..run.span.start)) {
            chain = Count::default();
        }
        chain.add(1, &run.span);
        if chain.count >= EVERY_MIN {
            every = Some(chain.span.clone());
        }
        if run.chars >= RUN_MIN {
            long.add(run.chars, &run.span);
        } else if is_needed(&run, right_to_left) {
            // Writing needs it.
        } else if run.is_between(|c| c.is_ascii() && is_word(c)) {
            split.add(1, &run.span);
        } else if run.is_between(is_word) {
            foreign.add(1, &run.span);
        } else {
            loose.add(run.chars, &run.span);
        }
    }
    let mut hits = Vec::new();
    if long.count > 0 {
        let what = "a run of zero-width characters, which can carry text that nobody sees";
        hits.push(hit("hidden.zero_width_run", Severity::High, long.span, what));
    }
    if split.count > 0 || foreign.count >= RUN_MIN {
        let span = if split.count > 0 { split.span } else { foreign.span };
        let what = "zero-width characters inside of words, which then only look the same";
        hits.push(hit("hidden.zero_width_split", Severity::High, span, what));
    } else if foreign.count > 0 {
        let what = "a zero-width character inside of a word";
        hits.push(hit("hidden.zero_width", Severity::Low, foreign.span, what));
    }
    if let Some(span) = every.or_else(|| (loose.count >= LOOSE_MIN).then(|| loose.span.clone())) {
        let what = "many zero-width characters, which can carry text that nobody sees";
        hits.push(hit("hidden.zero_width_spread", Severity::High, span, what));
    } else if loose.count > 0 {
        let what = "a zero-width character beside a word";
        hits.push(hit("hidden.zero_width", Severity::Low, loose.span, what));
    }
    hits.extend(soft_hyphens(text));
    hits
}

/// Whether the writing around it needs it.
fn is_needed(run: &Run, right_to_left: bool) -> bool {
    match run.first {
        '\u{feff}' => run.chars == 1 && run.span.start == 0,
        '\u{200c}' | '\u{200d}' if run.before.is_some_and(joins) => run.chars <= 2,
        '\u{200d}' => run.chars == 1 && run.is_between(is_emoji_part),
        '\u{200b}' => run.chars == 1 && run.is_beside(breaks_unseen),
        '\u{200e}' | '\u{200f}' | '\u{61c}' => {
            run.chars <= 2 && (right_to_left || !run.is_between(is_word))
        }
        '\u{180b}'..='\u{180f}' => run.before.is_some_and(joins),
        '\u{34f}' => run.chars == 1 && run.before.is_some_and(|c| !c.is_ascii()),
        _ => false,
    }
}

fn is_one_char(text: Option<&str>) -> bool {
    let mut chars = text.unwrap_or_default().chars();
    chars.next().is_some() && chars.next().is_none()
}

fn soft_hyphens(text: &str) -> Option<Hit> {
    let mut close = Count::default();
    for run in runs(text, |c| c == '\u{ad}') {
        let apart = run.span.start.saturating_sub(close.span.end);
        if run.chars > 1 || !run.is_between(char::is_alphanumeric) {
            close = Count::default();
            continue;
        }
        // Bytes: two letters of the scripts that are hyphenated.
        if apart > 4 {
            close = Count::default();
        }
        close.add(1, &run.span);
        if close.count >= HYPHENS_MIN {
            let what = "soft hyphens between single letters of a word";
            return Some(hit("hidden.zero_width_split", Severity::High, close.span, what));
        }
    }
    None
}
