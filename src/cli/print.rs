//! Where a command's words go: data to stdout, talk to stderr, colours to a terminal alone.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use indicatif::ProgressBar;
use serde::Serialize;

use super::escape;

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    on: bool,
}

impl Style {
    /// Colours where `to_terminal`, unless the environment asks for none.
    pub(super) fn new(to_terminal: bool) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Self { on: to_terminal && !is_dumb() && !set("NO_COLOR") }
    }

    /// No colours.
    #[cfg(test)]
    pub(super) const fn plain() -> Self {
        Self { on: false }
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
}
