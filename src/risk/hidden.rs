//! Characters that a model reads and a person does not see.

use super::{Hit, Matters, Severity};

/// The least length of a run of zero-width characters that no script needs.
const ZERO_WIDTH_RUN_MIN: usize = 4;

struct Run {
    start: usize,
    end: usize,
    chars: usize,
}

/// The first longest run of characters that `wanted` takes.
fn longest_run(text: &str, wanted: impl Fn(char) -> bool) -> Option<Run> {
    let mut best: Option<Run> = None;
    let mut run: Option<Run> = None;
    for (at, c) in text.char_indices() {
        if !wanted(c) {
            run = None;
            continue;
        }
        let end = at + c.len_utf8();
        let now = match run {
            Some(run) => Run { end, chars: run.chars + 1, ..run },
            None => Run { start: at, end, chars: 1 },
        };
        if best.as_ref().is_none_or(|best| now.chars > best.chars) {
            best = Some(Run { ..now });
        }
        run = Some(now);
    }
    best
}

const fn is_tag(c: char) -> bool {
    matches!(c, '\u{e0000}'..='\u{e007f}')
}

const fn is_zero_width(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

const fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether there are tag characters outside of a flag emoji (UTS 51 section 2.6), where they
/// are no hiding place.
fn tags_outside_flags(text: &str) -> bool {
    let mut in_flag = false;
    for c in text.chars() {
        if c == '\u{1f3f4}' {
            in_flag = true;
        } else if is_tag(c) {
            if !in_flag {
                return true;
            }
            in_flag = c != '\u{e007f}';
        } else {
            in_flag = false;
        }
    }
    false
}

pub(super) fn scan(text: &str) -> Vec<Hit> {
    let mut findings = Vec::new();
    if text.is_ascii() && !text.contains('\u{1b}') {
        return findings;
    }
    let mut add = |rule, severity, run: Run, text| {
        findings.push(Hit::new(rule, severity, Matters::Both, run.start..run.end, text));
    };
    if tags_outside_flags(text)
        && let Some(run) = longest_run(text, is_tag)
    {
        let what = "invisible tag characters, which can carry text that only a model reads";
        add("hidden.tag_characters", Severity::High, run, what);
    }
    if let Some(run) = longest_run(text, is_zero_width)
        && run.chars >= ZERO_WIDTH_RUN_MIN
    {
        add("hidden.zero_width_run", Severity::High, run, "a run of zero-width characters");
    }
    if let Some(run) = longest_run(text, is_bidi) {
        let what = "bidirectional controls, which can show text in another order than it is read";
        add("hidden.bidi_controls", Severity::High, run, what);
    }
    if let Some(run) = longest_run(text, |c| c == '\u{1b}' || c == '\u{9b}') {
        add("hidden.terminal_escape", Severity::High, run, "terminal control sequences");
    }
    findings
}
