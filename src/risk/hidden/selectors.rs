//! Tag characters and variation selectors: both can carry any text, unseen.

use unicode_script::{Script, UnicodeScript as _};

use super::{Count, Hit, Run, Severity, hit, runs};
use crate::risk::characters::{is_emoji_part, is_selector, is_tag};

/// So many selectors that nothing asks for are no slip of an editor.
const STRAY_MIN: usize = 3;
/// So many flags of regions fit into a sentence; each beyond could be three letters of a message.
const FLAGS_MAX: usize = 8;

pub(super) fn scan(text: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    let (mut tags, mut flags) = (Count::default(), Count::default());
    for run in runs(text, is_tag) {
        if is_flag(&run, text) {
            flags.add(1, &run.span);
        } else {
            tags.add(run.chars, &run.span);
        }
    }
    if flags.count > FLAGS_MAX {
        tags.add(flags.count, &flags.span);
    }
    if tags.count > 0 {
        let what = "invisible tag characters, which can carry text that only a model reads";
        hits.push(hit("hidden.tag_characters", Severity::High, tags.span, what));
    }
    let (mut carrying, mut stray) = (Count::default(), Count::default());
    for run in runs(text, is_selector) {
        let doubled = text.get(run.span.clone()) == Some("\u{fe0f}\u{fe0f}");
        if (run.chars > 1 && !doubled) || (run.first >= '\u{e0100}' && !is_han(run.before)) {
            carrying.add(run.chars, &run.span);
        } else if doubled || !takes_selector(&run) {
            // Some editors add the emoji form twice.
            stray.add(1, &run.span);
        }
    }
    let what = "variation selectors where nothing varies, which can carry text that nobody sees";
    if carrying.count > 0 {
        hits.push(hit("hidden.variation_selectors", Severity::High, carrying.span, what));
    } else if stray.count > 0 {
        let severity = if stray.count >= STRAY_MIN { Severity::High } else { Severity::Low };
        hits.push(hit("hidden.variation_selectors", severity, stray.span, what));
    }
    hits
}

/// A flag of a region (UTS 51 section 2.6): a black flag, its code, and the end.
fn is_flag(run: &Run, text: &str) -> bool {
    let code: Option<String> = text
        .get(run.span.clone())
        .and_then(|tags| tags.chars().map(|c| char::from_u32(u32::from(c) - 0xe_0000)).collect());
    let Some(code) = code.as_deref().and_then(|code| code.strip_suffix('\u{7f}')) else {
        return false;
    };
    let is_code = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    run.before == Some('\u{1f3f4}') && (3..=6).contains(&code.len()) && code.chars().all(is_code)
}

fn is_han(c: Option<char>) -> bool {
    c.is_some_and(|c| c.script() == Script::Han)
}

/// Whether variants of what stands before are registered, roughly: emoji, keycaps, ideographs,
/// symbols, and letters of scripts with registered forms.
fn takes_selector(run: &Run) -> bool {
    let Some(base) = run.before else { return false };
    match run.first {
        '\u{fe0e}' | '\u{fe0f}' => {
            is_emoji_part(base) || matches!(base, '0'..='9' | '#' | '*' | '\u{fe0f}')
        }
        _ => {
            base == '0'
                || is_han(Some(base))
                || matches!(base, '\u{2018}'..='\u{201d}' | '\u{2190}'..='\u{2bff}'
                    | '\u{3001}'..='\u{3002}' | '\u{ff01}'..='\u{ff1f}')
                || [Script::Myanmar, Script::Phags_Pa, Script::Mongolian, Script::Manichaean]
                    .contains(&base.script())
        }
    }
}
