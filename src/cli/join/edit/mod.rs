//! One entry put into a text, or taken out of it, and nothing else changed.
//!
//! Each format has an editor that keeps comments, order and layout. What an editor made is read again
//! by a parser and compared with what was there: were anything else different, nothing is written.

pub(super) mod json;
#[cfg(test)]
mod tests;
mod toml;
mod yaml;

use serde_json::Value as Json;

use super::{
    client::Form,
    entry::{Entry, Question},
};

/// Why a text cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// No parser reads it.
    #[error("line {line}, column {column}: {what}")]
    Broken {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong there.
        what: String,
    },
    /// Something else is where the entries belong.
    #[error("`{0}` does not hold what it should")]
    Shape(String),
    /// The editor cannot place the entry without touching something else.
    #[error("there is no place for the entry that leaves everything else as it is")]
    NoPlace,
}

/// Which entry of which file.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The file's format.
    pub form: Form,
    /// The key that holds all entries.
    pub container: &'static str,
    /// The entry's name.
    pub name: &'a str,
    /// The question that belongs to it.
    pub question: Option<&'a Question>,
}

/// The entry in `text`, as a parser reads it.
///
/// # Errors
/// [`EditError::Broken`] and [`EditError::Shape`].
pub fn find(text: &str, target: Target<'_>) -> Result<Option<Json>, EditError> {
    let all = values(text, target.form)?;
    match all.get(target.container) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Object(entries)) => Ok(entries.get(target.name).cloned()),
        Some(_) => Err(EditError::Shape(target.container.to_owned())),
    }
}

/// `text` with the entry, in the place of one that is there under its name. Where it is there already,
/// nothing is touched.
///
/// # Errors
/// [`EditError`].
pub fn put(text: &str, target: Target<'_>, entry: &Entry) -> Result<String, EditError> {
    let there = find(text, target)?;
    if there == Some(entry.json()) && has_question(text, target)? {
        return Ok(text.to_owned());
    }
    let new = in_lines(text, |text| match target.form {
        Form::Json => json::put(text, target, entry),
        Form::Toml => toml::put(text, target, entry),
        Form::Yaml => yaml::put(text, target, entry),
    })?;
    // What could not be taken out again is not put in.
    let is_good =
        is_put(text, &new, target, entry) && (there.is_some() || take(&new, target).is_ok());
    if is_good { Ok(new) } else { Err(EditError::NoPlace) }
}

/// Whether the question is there, or there is none.
fn has_question(text: &str, target: Target<'_>) -> Result<bool, EditError> {
    let Some(question) = target.question else { return Ok(true) };
    let all = values(text, target.form)?;
    let asked = all.get("inputs").and_then(Json::as_array);
    Ok(asked.is_some_and(|all| all.iter().any(|one| is_of(one, question))))
}

fn is_of(one: &Json, question: &Question) -> bool {
    one.get("id") == Some(&Json::from(question.id))
}

/// Whether a parser finds the entry in `new`, and all else as in `old`.
fn is_put(old: &str, new: &str, target: Target<'_>, entry: &Entry) -> bool {
    find(new, target) == Ok(Some(entry.json())) && is_rest_same(old, new, target)
}

fn is_taken(old: &str, new: &str, target: Target<'_>) -> bool {
    find(new, target) == Ok(None) && is_rest_same(old, new, target)
}

fn is_rest_same(old: &str, new: &str, target: Target<'_>) -> bool {
    matches!((rest(old, target), rest(new, target)), (Ok(old), Ok(new)) if old == new)
}

/// `text` without the entry.
///
/// # Errors
/// [`EditError`].
pub fn take(text: &str, target: Target<'_>) -> Result<String, EditError> {
    if find(text, target)?.is_none() {
        return Ok(text.to_owned());
    }
    let new = in_lines(text, |text| match target.form {
        Form::Json => json::take(text, target),
        Form::Toml => toml::take(text, target),
        Form::Yaml => yaml::take(text, target),
    })?;
    if is_taken(text, &new, target) { Ok(new) } else { Err(EditError::NoPlace) }
}

/// Whether `older` is `newer` but for the entry, to the byte.
pub(super) fn differ_in_entry_alone(
    older: &str,
    newer: &str,
    target: Target<'_>,
    entry: &Entry,
) -> bool {
    let again = put(older, target, entry).and_then(|text| take(&text, target));
    matches!((again, take(newer, target)), (Ok(again), Ok(taken)) if again == taken)
}

/// All values of a text.
fn values(text: &str, form: Form) -> Result<Json, EditError> {
    let values = match form {
        Form::Json => json::values(text),
        Form::Toml => toml::values(text),
        Form::Yaml => yaml::values(text),
    }?;
    match values {
        Json::Null => Ok(Json::Object(serde_json::Map::new())),
        Json::Object(_) => Ok(values),
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            Err(EditError::Shape("the file".to_owned()))
        }
    }
}

/// All values but the entry and its question, and no container that is empty.
fn rest(text: &str, target: Target<'_>) -> Result<Json, EditError> {
    let mut all = values(text, target.form)?;
    if let Some(Json::Object(entries)) = all.get_mut(target.container) {
        entries.remove(target.name);
    }
    if let Some((question, Json::Array(questions))) = target.question.zip(all.get_mut("inputs")) {
        questions.retain(|one| !is_of(one, question));
    }
    let is_empty = |value: &Json| match value {
        Json::Object(entries) => entries.is_empty(),
        Json::Array(questions) => questions.is_empty(),
        Json::Null => true,
        Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    };
    if let Json::Object(all) = &mut all {
        all.retain(|key, value| {
            !([target.container, "inputs"].contains(&key.as_str()) && is_empty(value))
        });
    }
    Ok(all)
}

/// Edits a text whose lines end as on Windows as one whose lines end in a line feed.
fn in_lines(
    text: &str,
    edit: impl FnOnce(&str) -> Result<String, EditError>,
) -> Result<String, EditError> {
    let lines = text.replace("\r\n", "\n");
    let all = lines.matches('\n').count();
    if all > 0 && all == text.matches("\r\n").count() {
        Ok(edit(&lines)?.replace('\n', "\r\n"))
    } else {
        edit(text)
    }
}

/// Line and column, both from 1, of a byte.
fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}
