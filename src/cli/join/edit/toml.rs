//! TOML.

use serde_json::Value as Json;
use toml_edit::{DocumentMut, Item, TableLike};

use super::{EditError, Target, is_put, is_taken, place};
use crate::cli::join::entry::Entry;

fn document(text: &str) -> Result<DocumentMut, EditError> {
    text.parse::<DocumentMut>().map_err(|error| {
        let (line, column) = place(text, error.span().map_or(0, |span| span.start));
        EditError::Broken { line, column, what: error.message().to_owned() }
    })
}

pub(super) fn values(text: &str) -> Result<Json, EditError> {
    toml::from_str(text).map_err(|error| {
        let (line, column) = place(text, error.span().map_or(0, |span| span.start));
        EditError::Broken { line, column, what: error.message().to_owned() }
    })
}

/// A table of its own at the end of the file, where TOML lets it be; by the editor, where entries are
/// written in another way, or one of that name is there.
pub(super) fn put(text: &str, target: Target<'_>, entry: &Entry) -> Result<String, EditError> {
    let gap = if text.is_empty() { "" } else { "\n" };
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let appended =
        format!("{text}{end}{gap}[{}.{}]\n{}", target.container, target.name, entry.toml());
    if is_put(text, &appended, target, entry) {
        return Ok(appended);
    }
    let mut document = document(text)?;
    let shape = || EditError::Shape(target.container.to_owned());
    let entries = document.get_mut(target.container).ok_or_else(shape)?;
    let mut table = entry.toml();
    match entries {
        Item::Table(entries) => {
            if let Some(there) = entries.get(target.name).and_then(Item::as_table) {
                *table.decor_mut() = there.decor().clone();
                table.set_position(there.position());
            }
            entries.insert(target.name, Item::Table(table));
        }
        Item::Value(entries) => {
            let entries = entries.as_inline_table_mut().ok_or_else(shape)?;
            entries.insert(target.name, table.into_inline_table().into());
        }
        Item::None | Item::ArrayOfTables(_) => return Err(shape()),
    }
    Ok(document.to_string())
}

pub(super) fn take(text: &str, target: Target<'_>) -> Result<String, EditError> {
    if let Some(cut) = cuts(text, target).find(|cut| is_taken(text, cut, target)) {
        return Ok(cut);
    }
    let mut document = document(text)?;
    let shape = || EditError::Shape(target.container.to_owned());
    let entries = document.get_mut(target.container).and_then(Item::as_table_like_mut);
    let entries: &mut dyn TableLike = entries.ok_or_else(shape)?;
    let above = entries.get(target.name).and_then(Item::as_table);
    let above = above.and_then(|table| table.decor().prefix()?.as_str());
    if above.is_some_and(|text| text.contains('#')) {
        return Err(EditError::NoPlace); // The editor would take somebody's comment with it.
    }
    entries.remove(target.name);
    Ok(document.to_string())
}

/// The text without the lines of the entry's table, and without the empty line above it. What stands
/// between it and the next table belongs to that one. There are more of these where the same lines
/// stand in a text of several lines too.
fn cuts<'a>(text: &'a str, target: Target<'_>) -> impl Iterator<Item = String> + 'a {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let head = format!("[{}.{}]", target.container, target.name);
    let part = format!("[{}.{}.", target.container, target.name);
    let is_head = move |line: &&str| {
        let rest = line.trim().strip_prefix(&head).map(str::trim_start);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
    };
    (0..lines.len())
        .filter(move |from| lines.get(*from).is_some_and(&is_head))
        .map(move |from| cut(text, from, &part))
}

/// The text without the table that begins in that line; the names of its own tables begin with `part`.
fn cut(text: &str, from: usize, part: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_next = |line: &&&str| line.starts_with('[') && !line.starts_with(part);
    let after = lines.iter().skip(from + 1);
    let inner = after.clone().take_while(|line| !is_next(line)).count();
    let is_content = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
    let last = after.take(inner).rposition(is_content).map_or(0, |last| last + 1);
    let to = from + 1 + last;
    let above =
        from.checked_sub(1).filter(|above| lines.get(*above).is_some_and(|l| l.trim() == ""));
    let from = above.unwrap_or(from);
    let kept = lines.iter().enumerate().filter(|(at, _)| !(from..to).contains(at));
    kept.map(|(_, line)| *line).collect()
}
