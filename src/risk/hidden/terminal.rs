//! Control characters and what terminals act on (ECMA-48), raw and spelled out.

use std::ops::Range;

use memchr::memchr_iter;

use super::{Hit, Severity, hit};

pub(super) fn scan(text: &str) -> Vec<Hit> {
    let mut hits = spelled(text);
    if has_controls(text) {
        hits.extend(raw(text));
    }
    hits
}

const fn is_control(byte: u8) -> bool {
    (byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r')) || byte == 0x7f
}

/// Whether there are controls: C1 controls are 0xc2 and one of 32 bytes in UTF-8.
fn has_controls(text: &str) -> bool {
    let bytes = text.as_bytes();
    // Without a branch for each byte, so that many are looked at at once.
    let any =
        |chunk: &[u8]| chunk.iter().fold(0, |any, byte| any | u8::from(is_control(*byte))) != 0;
    let is_c1 = |at| matches!(bytes.get(at + 1), Some(0x80..=0x9f));
    bytes.chunks(1024).any(any) || memchr_iter(0xc2, bytes).any(is_c1)
}

/// Begins a sequence: ESC, and the C1 forms of CSI, OSC, DCS, SOS, PM and APC.
const fn is_introducer(c: char) -> bool {
    matches!(c, '\u{1b}' | '\u{90}' | '\u{98}' | '\u{9b}' | '\u{9d}'..='\u{9f}')
}

fn raw(text: &str) -> Vec<Hit> {
    let (mut sequence, mut rubout, mut other): (Option<Range<usize>>, _, _) = (None, None, None);
    for (at, c) in text.char_indices() {
        if !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\u{85}') {
            continue;
        }
        let span = at..at + c.len_utf8();
        if is_introducer(c) {
            sequence.get_or_insert(span);
        } else if matches!(c, '\u{8}' | '\u{7f}' | '\0') {
            rubout.get_or_insert(span);
        } else {
            other.get_or_insert(span);
        }
    }
    let controls = "control characters";
    [
        ("hidden.terminal_escape", Severity::High, sequence, "terminal control sequences"),
        ("hidden.control_character", Severity::High, rubout, "characters that rub out others"),
        ("hidden.control_character", Severity::Low, other, controls),
    ]
    .into_iter()
    .filter_map(|(rule, severity, span, what)| Some(hit(rule, severity, span?, what)))
    .collect()
}

/// The ways in which programs spell ESC after a backslash. The last two mean it in few languages,
/// so what follows has to look like a sequence.
const SPELLINGS: [(&str, bool); 9] = [
    ("x1b", true),
    ("x1B", true),
    ("033", true),
    ("u001b", true),
    ("u001B", true),
    ("u{1b}", true),
    ("u{001b}", true),
    ("e", false),
    ("27", false),
];

/// Sequences that are spelled out: `\x1b[31m`. Talk about programs has them too, so that only
/// those are grave that would harm whoever prints them.
fn spelled(text: &str) -> Vec<Hit> {
    let (mut any, mut grave): (Option<Range<usize>>, _) = (None, None);
    for at in memchr_iter(b'\\', text.as_bytes()) {
        let Some(rest) = text.get(at + 1..) else { continue };
        if !rest.starts_with(['x', '0', 'u', 'e', '2']) {
            continue;
        }
        let Some((sequence, spelling)) = SPELLINGS.iter().find_map(|(spelling, sure)| {
            let sequence = rest.strip_prefix(spelling)?;
            (*sure || is_sequence(sequence)).then_some((sequence, spelling))
        }) else {
            continue;
        };
        if let Some(introducer) = sequence.chars().next()
            && matches!(introducer, '[' | ']' | 'P' | '_' | '^')
        {
            let span = at..at + 1 + spelling.len() + 1;
            if attacks(sequence) {
                grave.get_or_insert(span);
            } else {
                any.get_or_insert(span);
            }
        }
    }
    let what = "terminal control sequences, spelled out";
    let attack = "terminal control sequences, spelled out, that clear the screen, set the \
                  clipboard or hide where a link goes";
    [
        ("hidden.spelled_escape", Severity::Low, any, what),
        ("hidden.spelled_escape_attack", Severity::High, grave, attack),
    ]
    .into_iter()
    .filter_map(|(rule, severity, span, what)| Some(hit(rule, severity, span?, what)))
    .collect()
}

/// Looks like `[31m` or `]8;`.
fn is_sequence(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(['[', ']']) else { return false };
    let parameters: String = rest
        .chars()
        .take(16)
        .take_while(|c| c.is_ascii_digit() || matches!(c, ';' | '?'))
        .collect();
    let last = rest.get(parameters.len()..).and_then(|rest| rest.chars().next());
    (text.starts_with(']') && parameters.contains(';'))
        || last.is_some_and(|c| matches!(c, 'A'..='H' | 'J' | 'K' | 'm' | 'h' | 'l' | 's' | 'u'))
}

/// Clears the screen or its history, sets the clipboard (OSC 52) or makes a link (OSC 8).
fn attacks(sequence: &str) -> bool {
    ["[2J", "[3J", "]8;", "]52;"].iter().any(|start| sequence.starts_with(start))
}
