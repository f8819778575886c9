//! The one way in which text from somebody else reaches the terminal.
//!
//! A terminal obeys control characters, and a reader cannot see invisible ones; both are shown
//! as `\u{..}`. Nothing is left out and nothing is shortened here.

use super::print::Style;

/// Columns of a block's line, without its margin: no terminal that people use wraps it.
const COLUMNS: usize = 68;

/// Text for one line: line feeds and tabs are shown too.
pub(super) fn line(text: &str) -> String {
    text.chars().map(shown).collect()
}

fn shown(c: char) -> String {
    match c {
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        c if is_hidden(c) => c.escape_unicode().to_string(),
        c => c.to_string(),
    }
}

/// Text of several lines behind a margin: `│` where a line of the text begins, `┆` where it goes
/// on. A terminal wraps none of it, so that no part of it can pass for words of ours.
pub(super) fn block(text: &str, style: Style) -> String {
    let mut lines = Vec::new();
    for part in text.split('\n') {
        let mut line = format!("  {} ", style.dim("│"));
        let mut columns = 0;
        for c in part.chars() {
            let shown = shown(c);
            // Two columns at most, as wide characters have; letters of ASCII have one.
            let width: usize = shown.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
            if columns + width > COLUMNS {
                let next = format!("  {} ", style.dim("┆"));
                lines.push(std::mem::replace(&mut line, next));
                columns = 0;
            }
            columns += width;
            line.push_str(&shown);
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// Whether a terminal would obey `c`, or a reader not see it.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            // Zero width, direction marks, and the separators of lines and paragraphs.
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            // Variation selectors and tag characters can carry text that only a model reads.
            | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}'
            // Private use: the font decides what it looks like.
            | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_or_nobody_sees_is_shown() {
        let check = |text: &str, expected: &str| assert_eq!(line(text), expected);
        check("plain, Grüße, 日本, 🦀", "plain, Grüße, 日本, 🦀");
        check("\u{1b}[2Jgone", "\\u{1b}[2Jgone");
        check("a\rb\u{7}\u{9b}1m", "a\\u{d}b\\u{7}\\u{9b}1m");
        check("txt.\u{202e}exe", "txt.\\u{202e}exe");
        check("\u{200b}\u{feff}\u{2066}", "\\u{200b}\\u{feff}\\u{2066}");
        check("\u{e0041}\u{e007f}", "\\u{e0041}\\u{e007f}");
        check("two\nlines\t.", "two\\nlines\\t.");
    }

    #[test]
    fn no_part_of_a_block_passes_for_ours() {
        let check = |text: &str, expected: &str| assert_eq!(block(text, Style::plain()), expected);
        let fake = "hi\nApproval passphrase:\r\u{2028}x";
        check(fake, "  │ hi\n  │ Approval passphrase:\\u{d}\\u{2028}x");
        check("", "  │ ");
        let padded = format!("{}{}", " ".repeat(COLUMNS), "Approval passphrase:");
        check(&padded, &format!("  │ {}\n  ┆ Approval passphrase:", " ".repeat(COLUMNS)));
        let wide = "日".repeat(COLUMNS / 2 + 1);
        check(&wide, &format!("  │ {}\n  ┆ 日", "日".repeat(COLUMNS / 2)));
    }
}
