//! YAML, by lines: no editor of it keeps comments and builds with our compiler. The entries have to be
//! written as a block, one below the other, which is how goose writes them; all else is refused. That
//! the lines mean what they look like is left to a parser, which reads them afterwards.

use serde_json::Value as Json;

use super::{EditError, Target};
use crate::cli::join::entry::Entry;

pub(super) fn values(text: &str) -> Result<Json, EditError> {
    let read = |text| {
        // By its own values, which refuse a key that is there twice.
        let values: yaml_serde::Value = yaml_serde::from_str(text)?;
        yaml_serde::from_value(values)
    };
    read(text).map_err(|error: yaml_serde::Error| {
        let place = error.location().map_or((1, 1), |place| (place.line(), place.column()));
        EditError::Broken { line: place.0, column: place.1, what: error.to_string() }
    })
}

/// Where the entries are, in lines.
struct Block {
    /// The line of their key.
    head: usize,
    /// The column of their names.
    indent: String,
    /// The lines of the entry: from, up to.
    entry: Option<(usize, usize)>,
}

fn indent(line: &str) -> &str {
    line.get(..line.len() - line.trim_start_matches(' ').len()).unwrap_or_default()
}

fn is_content(line: &str) -> bool {
    let text = line.trim();
    !text.is_empty() && !text.starts_with('#')
}

/// Whether the line is that key, with nothing after it but `value` and a comment.
fn is_key(line: &str, key: &str, value: &str) -> bool {
    let after = line.strip_prefix(key).and_then(|rest| rest.strip_prefix(':'));
    after.is_some_and(|rest| rest.split(" #").next().unwrap_or(rest).trim() == value)
}

fn block(lines: &[&str], target: Target<'_>) -> Option<Block> {
    let head = lines.iter().position(|line| is_key(line, target.container, ""))?;
    let below = || lines.iter().enumerate().skip(head + 1);
    let first = below().find(|(_, line)| is_content(line)).map(|(_, line)| indent(line));
    let indent_of_names = first.filter(|indent| !indent.is_empty()).unwrap_or("  ");
    let end = below().find(|(_, line)| is_content(line) && indent(line).is_empty());
    let end = end.map_or(lines.len(), |(at, _)| at);
    let name = |line: &&str| {
        let own = line.strip_prefix(indent_of_names);
        own.is_some_and(|line| is_key(line, target.name, ""))
    };
    let entry = below().take(end - head - 1).find(|(_, line)| name(line)).map(|(from, _)| {
        let inner = |line: &&&str| is_content(line) && indent(line).len() > indent_of_names.len();
        let length = lines.iter().skip(from + 1).take_while(inner).count();
        (from, from + 1 + length)
    });
    Some(Block { head, indent: indent_of_names.to_owned(), entry })
}

fn written(indent: &str, target: Target<'_>, entry: &Entry) -> String {
    format!("{indent}{}:\n{}", target.name, entry.yaml(&format!("{indent}  ")))
}

pub(super) fn put(text: &str, target: Target<'_>, entry: &Entry) -> Result<String, EditError> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let Some(block) = block(&lines, target) else {
        return beginning(text, &lines, target, entry);
    };
    let (from, to) = block.entry.unwrap_or((block.head + 1, block.head + 1));
    let before: String = lines.iter().take(from).copied().collect();
    let after: String = lines.iter().skip(to).copied().collect();
    Ok(format!("{}{}{after}", ended(&before), written(&block.indent, target, entry)))
}

/// The first entry of all: the key is not there, or is written as `{}`.
fn beginning(
    text: &str,
    lines: &[&str],
    target: Target<'_>,
    entry: &Entry,
) -> Result<String, EditError> {
    let written = written("  ", target, entry);
    let Some(at) = lines.iter().position(|line| is_key(line, target.container, "{}")) else {
        return Ok(format!("{}{}:\n{written}", ended(text), target.container));
    };
    let line = lines.get(at).ok_or(EditError::NoPlace)?;
    let head = line.replacen(": {}", ":", 1).replacen(":{}", ":", 1);
    let before: String = lines.iter().take(at).copied().collect();
    let after: String = lines.iter().skip(at + 1).copied().collect();
    Ok(format!("{before}{}{written}{after}", ended(&head)))
}

/// A text whose last line is ended.
fn ended(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

pub(super) fn take(text: &str, target: Target<'_>) -> Result<String, EditError> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let block = block(&lines, target).ok_or(EditError::NoPlace)?;
    let (from, to) = block.entry.ok_or(EditError::NoPlace)?;
    let left = lines.iter().enumerate().filter(|(at, _)| !(from..to).contains(at));
    let left: Vec<(usize, &str)> = left.map(|(at, line)| (at, *line)).collect();
    let inner = |line: &str| is_content(line) && indent(line).len() >= block.indent.len();
    let next = left.iter().find(|(at, line)| *at > block.head && is_content(line));
    let is_empty = !next.is_some_and(|(_, line)| inner(line));
    let line = |(at, line): &(usize, &str)| {
        // A key without a value is nothing to a parser, where goose looks for a mapping.
        if is_empty && *at == block.head {
            line.replacen(':', ": {}", 1)
        } else {
            (*line).to_owned()
        }
    };
    Ok(left.iter().map(line).collect())
}
