//! Where a command's words go: data to stdout, talk to stderr, colours to a terminal alone.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::escape;

/// Columns of a block's line, without its margin, where the terminal has more.
const BLOCK_COLUMNS: usize = 68;
/// Columns of a block's margin.
const MARGIN_COLUMNS: usize = 4;
/// The narrowest terminal that text is fitted to; a narrower one wraps it.
const COLUMNS_LEAST: usize = 20;

/// Colours, or none, and how wide the terminal is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    on: bool,
    width: Option<usize>,
}

impl Style {
    /// Colours where `to_terminal`, unless the environment asks for none.
    pub(super) fn new(to_terminal: bool) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Self { on: to_terminal && !is_dumb() && !set("NO_COLOR"), width: None }
    }

    /// The same, for a terminal of so many columns.
    pub(super) fn for_width(self, columns: u16) -> Self {
        let width = usize::from(columns);
        Self { width: (columns > 0).then_some(width.max(COLUMNS_LEAST)), ..self }
    }

    /// The terminal's columns, where they are known.
    pub(super) const fn width(self) -> Option<usize> {
        self.width
    }

    /// Columns for a block's line: no terminal that people use wraps it.
    pub(super) fn block_columns(self) -> usize {
        self.width.map_or(BLOCK_COLUMNS, |width| (width - MARGIN_COLUMNS).min(BLOCK_COLUMNS))
    }

    /// No colours.
    #[cfg(test)]
    pub(super) const fn plain() -> Self {
        Self { on: false, width: None }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// For what matters.
    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// For what is there for completeness.
    pub(super) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// For what is well.
    pub(super) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// For what waits, or needs a look.
    pub(super) fn warn(self, text: &str) -> String {
        self.with("33", text)
    }

    /// For what is wrong.
    pub(super) fn bad(self, text: &str) -> String {
        self.with("31", text)
    }
}

/// Whether the terminal says that it knows no control sequences.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// The two streams of one command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Printer {
    json: bool,
    style: Style,
}

impl Printer {
    /// With `json`, data is the contract's shapes.
    pub(super) fn new(json: bool) -> Self {
        Self { json, style: Style::new(io::stdout().is_terminal()) }
    }

    /// Whether data is JSON.
    pub(super) const fn is_json(self) -> bool {
        self.json
    }

    /// How stdout is coloured.
    pub(super) const fn style(self) -> Style {
        self.style
    }

    /// Data: the value as JSON, or its text.
    pub(super) fn data(
        self,
        value: &impl Serialize,
        text: impl FnOnce(Style) -> String,
    ) -> anyhow::Result<()> {
        let shown = if self.json {
            escape::json(&serde_json::to_string_pretty(value)?)
        } else {
            text(self.style)
        };
        self::text(&shown)
    }
}

/// Whoever read our stdout has enough; no reason to say anything.
#[derive(Debug, thiserror::Error)]
#[error("stdout is closed")]
pub(super) struct Closed;

/// A text to stdout, ended by a line feed.
pub(super) fn text(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{}", text.trim_end_matches('\n'));
    match written.and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Closed.into()),
        other => Ok(other?),
    }
}

/// Talk for the person at the keyboard: a line to stderr.
pub(super) fn talk(text: &str) {
    // Where stderr is gone, there is nobody left to tell.
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// A spinner on stderr while something takes time; nothing where nobody watches.
pub(super) fn spinner(text: &'static str) -> Spinner {
    if !io::stderr().is_terminal() || is_dumb() {
        return Spinner(ProgressBar::hidden());
    }
    let bar = ProgressBar::new_spinner().with_message(text);
    bar.enable_steady_tick(Duration::from_millis(100));
    Spinner(bar)
}

/// Turns until it is dropped.
pub(super) struct Spinner(ProgressBar);

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A line on stderr that counts, while something takes time; nothing where nobody watches. `whole` is
/// where it ends, and 0 where that is not known.
pub(super) fn progress(what: &'static str, whole: u64) -> Progress {
    if !io::stderr().is_terminal() || is_dumb() {
        return Progress(ProgressBar::hidden());
    }
    let (bar, template) = if whole == 0 {
        (ProgressBar::no_length(), "{human_pos} {msg}")
    } else {
        (ProgressBar::new(whole), "{human_pos} of {human_len} {msg} ({percent} %)")
    };
    // The template is a constant.
    let style = ProgressStyle::with_template(template);
    Progress(
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_message(what),
    )
}

/// Counts until it is dropped.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// So far.
    pub(super) fn set(&self, count: u64) {
        self.0.set_position(count);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Rows with aligned columns. The first row is the heading.
pub(super) fn table(rows: &[Vec<String>], style: Style) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    let heading = lines.next().map(|line| style.dim(&line));
    heading.into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

/// Lines of `name  value`, aligned.
pub(super) fn fields(rows: &[(&str, String)], style: Style) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines = rows.iter().map(|(name, value)| {
        let name = style.dim(&format!("{name:<width$}"));
        format!("{name}  {value}").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The text with no line wider than the terminal, so that the terminal wraps none: what goes on is
/// indented, and no part of somebody's words stands where ours begin.
pub(super) fn folded(text: &str, style: Style) -> String {
    let Some(width) = style.width() else { return text.to_owned() };
    let lines = text.split('\n').map(|line| fold(line, width));
    lines.collect::<Vec<_>>().join("\n")
}

const INDENT: &str = "    ";

fn fold(line: &str, width: usize) -> String {
    if columns(line) <= width {
        return line.to_owned();
    }
    let (mut folded, mut used) = (String::new(), 0);
    for (at, word) in line.split(' ').enumerate() {
        let wide = columns(word);
        if at > 0 {
            if used + 1 + wide <= width || used <= INDENT.len() {
                folded.push(' ');
                used += 1;
            } else {
                folded.extend(["\n", INDENT]);
                used = INDENT.len();
            }
        }
        if used + wide <= width {
            folded.push_str(word);
            used += wide;
        } else {
            split(word, width, (&mut folded, &mut used));
        }
    }
    folded
}

/// A word that fits on no line, over several.
fn split(word: &str, width: usize, (folded, used): (&mut String, &mut usize)) {
    let mut rest = word;
    while let Some(c) = rest.chars().next() {
        let part = sequence(rest).unwrap_or_else(|| rest.get(..c.len_utf8()).unwrap_or(rest));
        let wide = columns(part);
        if *used + wide > width {
            folded.extend(["\n", INDENT]);
            *used = INDENT.len();
        }
        folded.push_str(part);
        *used += wide;
        rest = rest.get(part.len()..).unwrap_or_default();
    }
}

/// The control sequence that `text` begins with. All of them are ours: others are escaped.
fn sequence(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|c: char| ('\u{40}'..='\u{7e}').contains(&c))?;
    text.get(..end + 3)
}

/// How many columns a text takes: two at most a character, as wide ones have; one for those of ASCII
/// and for lines and marks of ours; none for a control sequence.
fn columns(text: &str) -> usize {
    let (mut columns, mut rest) = (0, text);
    while let Some(c) = rest.chars().next() {
        if let Some(sequence) = sequence(rest) {
            rest = rest.get(sequence.len()..).unwrap_or_default();
            continue;
        }
        let ours = ('\u{2500}'..='\u{257f}').contains(&c) || ['…', '→'].contains(&c);
        columns += if c.is_ascii() || ours { 1 } else { 2 };
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_have_no_trailing_space() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = [row(["NAME", "STATE"]), row(["é", "x"]), row(["longer", ""])];
        assert_eq!(table(&rows, Style::plain()), "NAME    STATE\né       x\nlonger");
        let rows = [("id", "1".to_owned()), ("name", "Ann".to_owned())];
        assert_eq!(fields(&rows, Style::plain()), "id    1\nname  Ann");
    }

    #[test]
    fn a_narrow_terminal_wraps_nothing_by_itself() {
        let check = |text: &str, width: u16, expected: &str| {
            assert_eq!(folded(text, Style::plain().for_width(width)), expected);
        };
        check("short\nlines", 20, "short\nlines");
        check("one two three four five six", 20, "one two three four\n    five six");
        check(
            &"x".repeat(42),
            20,
            &format!("{0}\n    {1}\n    xxxxxx", "x".repeat(20), "x".repeat(16)),
        );
        check(&"日".repeat(11), 20, &format!("{}\n    日", "日".repeat(10)));
        let red = "\u{1b}[31mred\u{1b}[0m";
        check(red, 20, red);
        check(&format!("{} {red}", "y".repeat(18)), 20, &format!("{}\n    {red}", "y".repeat(18)));
        check(&"─".repeat(20), 20, &"─".repeat(20));
        assert_eq!(folded(&"x".repeat(500), Style::plain()), "x".repeat(500));
    }
}
