//! The one way in which text from somebody else reaches the terminal.
//!
//! A terminal obeys control characters, and a reader cannot see invisible ones; both are shown
//! as `\u{..}`. Nothing is left out and nothing is shortened here.

use std::fmt::Write as _;

use super::print::Style;
use crate::base::text::is_hidden;

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
    let most = style.block_columns();
    for part in text.split('\n') {
        let mut line = format!("  {} ", style.dim("│"));
        let mut columns = 0;
        for c in part.chars() {
            let shown = shown(c);
            // Two columns at most, as wide characters have; letters of ASCII have one.
            let width: usize = shown.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
            if columns + width > most {
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

/// JSON that a terminal may get: the same value, with what [`line`] escapes as `\uXXXX`. JSON itself
/// escapes only the controls of ASCII.
pub(super) fn json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        // The line feeds between its parts are ours; those in its strings are escaped.
        if c != '\n' && is_hidden(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a string does not fail.
                write!(shown, "\\u{unit:04x}").ok();
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::text::is_hostile;

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
    fn json_for_a_terminal_is_the_same_value_and_obeyed_by_none() {
        let value = serde_json::json!({
            "text": "a\u{9b}31m\u{7f}\u{202e}\n\u{e0041}\u{1d173} 日本 🦀", "list": [1, 2],
        });
        let shown = json(&serde_json::to_string_pretty(&value).unwrap());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        assert!(shown.contains("\\u009b31m\\u007f\\u202e\\n\\udb40\\udc41\\ud834\\udd73 日本 🦀"));
        assert!(!shown.chars().any(|c| c != '\n' && is_hidden(c)));
    }

    #[test]
    fn whatever_a_model_is_shown_escaped_a_person_is_too() {
        let hidden = |c: &char| is_hostile(*c) && !is_hidden(*c);
        assert_eq!(('\0'..=char::MAX).find(hidden), None);
        assert_eq!(line("\u{1bca0}\u{1d17a}"), "\\u{1bca0}\\u{1d17a}");
    }

    #[test]
    fn no_part_of_a_block_passes_for_ours() {
        let check = |text: &str, expected: &str| assert_eq!(block(text, Style::plain()), expected);
        let fake = "hi\nApproval passphrase:\r\u{2028}x";
        check(fake, "  │ hi\n  │ Approval passphrase:\\u{d}\\u{2028}x");
        check("", "  │ ");
        let most = Style::plain().block_columns();
        let padded = format!("{}{}", " ".repeat(most), "Approval passphrase:");
        check(&padded, &format!("  │ {}\n  ┆ Approval passphrase:", " ".repeat(most)));
        let wide = "日".repeat(most / 2 + 1);
        check(&wide, &format!("  │ {}\n  ┆ 日", "日".repeat(most / 2)));
        let narrow = block(&padded, Style::plain().for_width(40));
        assert!(narrow.lines().all(|line| line.chars().count() <= 40), "{narrow}");
        assert!(narrow.lines().all(|line| line.starts_with("  │ ") || line.starts_with("  ┆ ")));
    }
}
