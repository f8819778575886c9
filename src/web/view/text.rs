//! The one way in which text from somebody else reaches the page.
//!
//! maud keeps it from being markup. This keeps it from deceiving a reader: a character that a
//! browser would obey, or that nobody sees, becomes a marked chip with its number and its name.
//! Nothing is left out, shortened or made a link here.

use std::{fmt::Write as _, ops::Range};

use maud::{Markup, html};

use crate::{
    base::{Severity, text::is_hidden},
    node::api::{HIT_BEGINS, HIT_ENDS},
    risk::Finding,
};

/// Chips of one text that say their characters' names. From there on a row of hidden characters is
/// one chip of numbers: a text that is made of nothing else must not be a page that no browser
/// shows.
const CHIPS_NAMED: usize = 100;

enum Piece<'t> {
    Plain(&'t str),
    /// A character that is not seen, and how often it stands there in a row.
    Hidden(char, usize),
}

/// Text for one line, kept apart from the direction of what is around it.
pub(super) fn line(text: &str) -> Markup {
    html! { bdi { (pieces(text, |_| false, &mut 0)) } }
}

/// Text where no markup can stand: a title, a choice.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::new();
    for piece in split(text, |_| false) {
        match piece {
            Piece::Plain(plain) => shown.push_str(plain),
            Piece::Hidden(c, _) => shown.extend(c.escape_unicode()),
        }
    }
    shown
}

/// What a peer says of itself: quoted, so that it is not taken for words of ours.
pub(super) fn claim(text: &str) -> Markup {
    html! { q .claim { (line(text)) } }
}

/// Text of several lines. Line feeds and tabs stay what they are; a tab has a mark.
pub(super) fn block(text: &str) -> Markup {
    block_part(text, &mut 0)
}

fn block_part(text: &str, chips: &mut usize) -> Markup {
    pieces(text, |c| matches!(c, '\n' | '\t'), chips)
}

/// As [`block`], with what was found in it marked; the first place has the id `first`.
pub(super) fn marked(text: &str, findings: &[Finding], first: &str) -> Markup {
    let (mut at, mut chips) = (0, 0);
    html! {
        @for (nth, (span, severity)) in spans(findings).into_iter().enumerate() {
            @if let (Some(before), Some(found)) = (text.get(at..span.start), text.get(span.clone())) {
                (block_part(before, &mut chips))
                mark id=[(nth == 0).then_some(first)] .(format!("severity-{}", severity.as_str())) {
                    (block_part(found, &mut chips))
                }
                ({ at = span.end; "" })
            }
        }
        (block_part(text.get(at..).unwrap_or_default(), &mut chips))
    }
}

/// The findings' places in their order, joined where they overlap.
fn spans(findings: &[Finding]) -> Vec<(Range<usize>, Severity)> {
    let mut sorted: Vec<_> = findings.iter().map(|f| (f.span.clone(), f.severity)).collect();
    sorted.sort_by_key(|(span, _)| (span.start, span.end));
    let mut joined: Vec<(Range<usize>, Severity)> = Vec::new();
    for (span, severity) in sorted {
        match joined.last_mut() {
            Some((last, worst)) if span.start < last.end => {
                last.end = last.end.max(span.end);
                *worst = severity.max(*worst);
            }
            Some(_) | None => joined.push((span, severity)),
        }
    }
    joined
}

/// A place that a search found. Whatever marks a peer's text brings along only begin or end
/// another `mark`.
pub(super) fn snippet(text: &str) -> Markup {
    let parts = text.split_inclusive([HIT_BEGINS, HIT_ENDS]);
    let mut hit = false;
    html! {
        @for part in parts {
            @let plain = part.trim_end_matches([HIT_BEGINS, HIT_ENDS]);
            @if hit { mark { (block(plain)) } } @else { (block(plain)) }
            ({ hit = part.ends_with(HIT_BEGINS); "" })
        }
    }
}

fn pieces(text: &str, kept: fn(char) -> bool, chips: &mut usize) -> Markup {
    let mut row = String::new();
    html! {
        @for piece in split(text, kept) {
            @match piece {
                Piece::Plain(plain) => { (numbers(&mut row)) (plain) }
                Piece::Hidden('\t', count) if kept('\t') => {
                    (numbers(&mut row))
                    @for _ in 0..count { span .tab { "\t" } }
                }
                Piece::Hidden(c, count) if *chips < CHIPS_NAMED => {
                    ({ *chips += 1; "" })
                    (chip(c, count))
                }
                Piece::Hidden(c, count) => ({ number(&mut row, c, count); "" }),
            }
        }
        (numbers(&mut row))
    }
}

/// Adds a hidden character's number to a row of them.
fn number(row: &mut String, c: char, count: usize) {
    let gap = if row.is_empty() { "" } else { " " };
    let times = if count > 1 { format!(" ×{count}") } else { String::new() };
    // Writing into a string does not fail.
    write!(row, "{gap}U+{:04X}{times}", u32::from(c)).ok();
}

/// The row that has come together, as one chip.
fn numbers(row: &mut String) -> Markup {
    let shown = std::mem::take(row);
    html! { @if !shown.is_empty() { span .chip { (shown) } } }
}

fn split(text: &str, kept: fn(char) -> bool) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        if !is_hidden(c) || (kept(c) && c != '\t') {
            continue;
        }
        if let Some(before) = text.get(plain..at).filter(|before| !before.is_empty()) {
            pieces.push(Piece::Plain(before));
        }
        plain = at + c.len_utf8();
        match pieces.last_mut() {
            Some(Piece::Hidden(last, count)) if *last == c => *count += 1,
            Some(_) | None => pieces.push(Piece::Hidden(c, 1)),
        }
    }
    pieces.extend(text.get(plain..).filter(|rest| !rest.is_empty()).map(Piece::Plain));
    pieces
}

fn chip(c: char, count: usize) -> Markup {
    let (code, name) = (format!("U+{:04X}", u32::from(c)), name(c));
    html! {
        span .chip title=(name) {
            span .sr { "[hidden: " (name) " " } (code) @if count > 1 { " ×" (count) } span .sr { "]" }
        }
    }
}

/// What a hidden character is called (Unicode 16), or what kind it is of.
fn name(c: char) -> String {
    let known = match c {
        '\0' => "null",
        '\u{7}' => "bell",
        '\u{8}' => "backspace",
        '\t' => "tab",
        '\n' => "line feed",
        '\r' => "carriage return",
        '\u{1b}' => "escape",
        '\u{7f}' => "delete",
        '\u{ad}' => "soft hyphen",
        '\u{34f}' => "combining grapheme joiner",
        '\u{61c}' => "Arabic letter mark",
        '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' => "Hangul filler",
        '\u{200b}' => "zero width space",
        '\u{200c}' => "zero width non-joiner",
        '\u{200d}' => "zero width joiner",
        '\u{200e}' => "left-to-right mark",
        '\u{200f}' => "right-to-left mark",
        '\u{2028}' => "line separator",
        '\u{2029}' => "paragraph separator",
        '\u{202a}' => "left-to-right embedding",
        '\u{202b}' => "right-to-left embedding",
        '\u{202c}' => "pop directional formatting",
        '\u{202d}' => "left-to-right override",
        '\u{202e}' => "right-to-left override",
        '\u{2060}' => "word joiner",
        '\u{2061}'..='\u{2064}' => "invisible operator",
        '\u{2066}' => "left-to-right isolate",
        '\u{2067}' => "right-to-left isolate",
        '\u{2068}' => "first strong isolate",
        '\u{2069}' => "pop directional isolate",
        '\u{2800}' => "blank Braille pattern",
        '\u{feff}' => "zero width no-break space",
        '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => {
            "variation selector"
        }
        '\u{fff9}'..='\u{fffb}' => "interlinear annotation",
        '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' => "private use character",
        c if c.is_control() => "control character",
        c => return tag(c),
    };
    known.to_owned()
}

/// The tag characters spell ASCII that nobody sees: say which letter it is.
fn tag(c: char) -> String {
    u32::from(c)
        .checked_sub(0xe_0000)
        .and_then(char::from_u32)
        .filter(char::is_ascii_graphic)
        .map_or_else(|| "invisible character".to_owned(), |letter| format!("tag letter {letter}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::{self, Matters};

    fn found(span: Range<usize>, severity: Severity) -> Finding {
        let (rule, text) = ("x.y".into(), "x".into());
        Finding { rule, severity, matters: Matters::Both, span, text, layers: Vec::new() }
    }

    #[test]
    fn what_nobody_sees_is_a_chip_with_its_name() {
        let check = |text: &str, code: &str, name: &str| {
            let shown = line(text).into_string();
            assert!(shown.contains(&format!("title=\"{name}\"")), "{shown}");
            assert!(shown.contains(code) && !shown.chars().any(is_hidden), "{shown}");
        };
        check("txt.\u{202e}exe", "U+202E", "right-to-left override");
        check("\u{1b}[2J", "U+001B", "escape");
        check("\u{e0041}", "U+E0041", "tag letter A");
        check("\u{200b}\u{200b}\u{200b}", "U+200B ×3", "zero width space");
        check("a\nb", "U+000A", "line feed");
        check("\u{f8ff}", "U+F8FF", "private use character");
        check("\u{1d173}", "U+1D173", "invisible character");
    }

    #[test]
    fn every_hidden_character_is_seen_and_none_stays() {
        for c in ('\0'..=char::MAX).filter(|c| is_hidden(*c)) {
            let shown = line(&c.to_string()).into_string();
            assert!(shown.contains(&format!("U+{:04X}", u32::from(c))), "{shown}");
            assert!(!shown.contains(c), "{shown}");
        }
    }

    #[test]
    fn a_text_of_hidden_characters_is_shown_whole_and_not_a_hundred_times_its_size() {
        let text = "\u{1}\u{2}\u{2}a".repeat(1000);
        let shown = block(&text).into_string();
        assert!(!shown.chars().any(|c| is_hidden(c) && c != '\n'));
        assert_eq!(shown.matches("U+0001").count(), 1000, "each of them is there");
        assert_eq!(shown.matches("U+0002").count(), 1000);
        assert!(shown.ends_with("<span class=\"chip\">U+0001 U+0002 ×2</span>a"), "{shown}");
        assert_eq!(shown.matches("title=").count(), CHIPS_NAMED);
        // Marks in between begin no new count.
        let finding = |at: usize| found(at..at + 1, Severity::Low);
        let findings: Vec<_> = (0..500).map(|n| finding(4 * 2 * n)).collect();
        let shown = marked(&text, &findings, "").into_string();
        assert_eq!(shown.matches("title=").count(), CHIPS_NAMED);
        assert_eq!(shown.matches("<mark").count(), 500);
    }

    #[test]
    fn a_block_keeps_its_lines_and_is_never_markup() {
        let shown = block("a\n\t<b onclick=x>&\r").into_string();
        let expected =
            "a\n<span class=\"tab\">\t</span>&lt;b onclick=x&gt;&amp;<span class=\"chip\"";
        assert!(shown.starts_with(expected), "{shown}");
    }

    #[test]
    fn what_was_found_is_marked_where_it_stands_and_nothing_is_lost() {
        let text = "the key: AKIAIOSFODNN7EXAMPLE, <b>";
        let findings =
            [found(4..7, Severity::Low), found(5..9, Severity::High), found(90..99, Severity::Low)];
        let shown = marked(text, &findings, "found").into_string();
        let expected = "the <mark class=\"severity-high\" id=\"found\">key: </mark>AKIAIOSFODNN7EXAMPLE, &lt;b&gt;";
        assert_eq!(shown, expected);
        let scanned = marked("hi \u{202e}\u{202d} x", &risk::scan("hi \u{202e}\u{202d} x"), "");
        assert!(scanned.into_string().contains("<mark"));
    }

    #[test]
    fn a_snippet_marks_what_was_looked_for_and_trusts_no_mark() {
        let check = |text: &str, expected: &str| assert_eq!(snippet(text).into_string(), expected);
        check("a \u{fdd0}key\u{fdd1} b", "a <mark>key</mark> b");
        check("\u{fdd1}a\u{fdd0}\u{fdd0}<i>", "a<mark></mark><mark>&lt;i&gt;</mark>");
    }
}
