//! JSON, with comments and with commas before a closing brace where the file has them.

use jsonc_parser::{
    ParseOptions,
    cst::{CstInputValue, CstNode, CstObject, CstRootNode},
    errors::ParseError,
    parse_to_serde_value,
};
use serde_json::Value as Json;

use super::{EditError, Target};
use crate::cli::join::entry::Entry;

/// What Zed and VS Code read, and no more: the other clients read plain JSON, which is part of it.
pub(in crate::cli::join) const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_loose_object_property_names: false,
    allow_trailing_commas: true,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

fn broken(error: &ParseError) -> EditError {
    EditError::Broken {
        line: error.line_display(),
        column: error.column_display(),
        what: error.kind().to_string(),
    }
}

pub(super) fn values(text: &str) -> Result<Json, EditError> {
    parse_to_serde_value(text, &OPTIONS).map_err(|error| broken(&error))
}

fn root(text: &str) -> Result<(CstRootNode, CstObject), EditError> {
    let text = if text.trim().is_empty() { "{}\n" } else { text };
    let root = CstRootNode::parse(text, &OPTIONS).map_err(|error| broken(&error))?;
    let object = root.object_value_or_create();
    let object = object.ok_or_else(|| EditError::Shape("the file".to_owned()))?;
    Ok((root, object))
}

pub(super) fn put(text: &str, target: Target<'_>, entry: &Entry) -> Result<String, EditError> {
    let (root, object) = root(text)?;
    if object.get(target.container).is_none() {
        object.append(target.container, CstInputValue::Object(Vec::new()));
    }
    let wrong = |key: &str| EditError::Shape(key.to_owned());
    let entries = object.object_value(target.container);
    let entries = entries.ok_or_else(|| wrong(target.container))?;
    match entries.get(target.name) {
        Some(there) => there.set_value(entry.cst()),
        None => {
            entries.append(target.name, entry.cst());
        }
    }
    if let Some(question) = target.question {
        let questions = object.array_value_or_create("inputs").ok_or_else(|| wrong("inputs"))?;
        if !questions.elements().iter().any(|one| has_id(one, question.id)) {
            questions.ensure_multiline();
            questions.append(question.entry.cst());
        }
    }
    Ok(root.to_string())
}

fn has_id(node: &CstNode, id: &str) -> bool {
    let value = node.as_object().and_then(|one| one.get("id")).and_then(|id| id.value());
    let text = value.and_then(|value| value.as_string_lit()?.decoded_value().ok());
    text.as_deref() == Some(id)
}

pub(super) fn take(text: &str, target: Target<'_>) -> Result<String, EditError> {
    let (root, object) = root(text)?;
    if let Some(entry) = object.object_value(target.container).and_then(|all| all.get(target.name))
    {
        entry.remove();
    }
    if let Some((question, questions)) = target.question.zip(object.array_value("inputs")) {
        for one in questions.elements() {
            if has_id(&one, question.id) {
                one.remove();
            }
        }
    }
    Ok(root.to_string())
}
