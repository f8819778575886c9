//! Texts of files without what is below `env` and `headers`, where clients keep keys of other
//! servers. Only the names there are shown, and each line stays where it is.

use std::ops::Range;

use jsonc_parser::{
    ast::{Object, Value},
    parse_to_ast,
};
use serde_json::Value as Json;
use toml_edit::{Document, Item, TableLike, Value as Toml};

use super::{client::Form, edit::json::OPTIONS};

/// What stands for a value.
const MASK: &str = "…";
/// What all values are secret below, whoever's they are.
const SECRET: [&str; 4] = ["env", "envs", "headers", "http_headers"];

fn is_secret(key: &str) -> bool {
    SECRET.iter().any(|secret| key.eq_ignore_ascii_case(secret))
}

/// `text` with as many lines, and nothing that is secret in it. One that no parser reads is masked
/// whole.
pub(super) fn masked(text: &str, form: Form) -> String {
    let whole = || without(text, std::iter::once(0..text.len()).collect());
    match form {
        Form::Json => {
            match parse_to_ast(text, &jsonc_parser::CollectOptions::default(), &OPTIONS) {
                Ok(read) => {
                    let mut ranges = Vec::new();
                    if let Some(value) = &read.value {
                        json(text, value, &mut ranges);
                    }
                    without(text, ranges)
                }
                Err(_) => whole(),
            }
        }
        Form::Toml => match Document::parse(text) {
            Ok(document) => {
                let mut ranges = Vec::new();
                toml(document.as_table(), false, &mut ranges);
                without_toml_comments(&without(text, ranges))
            }
            Err(_) => whole(),
        },
        Form::Yaml => yaml(text),
    }
}

/// The same for values that were read.
pub(super) fn mask_values(value: &mut Json) {
    match value {
        Json::Object(fields) => {
            for (key, value) in fields {
                if is_secret(key) {
                    mask_all(value);
                } else {
                    mask_values(value);
                }
            }
        }
        Json::Array(all) => all.iter_mut().for_each(mask_values),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// Each value of an object; anything else as a whole.
fn mask_all(value: &mut Json) {
    match value {
        Json::Object(fields) => fields.values_mut().for_each(mask_all),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            *value = MASK.into();
        }
    }
}

/// `text` with a mask for each range, and the line feeds of it.
fn without(text: &str, mut ranges: Vec<Range<usize>>) -> String {
    ranges.sort_by_key(|range| range.start);
    let (mut shown, mut at) = (String::new(), 0);
    for range in ranges {
        let secret = text.get(range.clone()).unwrap_or_default();
        if range.start < at || secret.trim().is_empty() {
            continue;
        }
        shown.push_str(text.get(at..range.start).unwrap_or_default());
        shown.push_str(MASK);
        shown.extend(secret.chars().filter(|c| *c == '\n'));
        at = range.end;
    }
    shown.push_str(text.get(at..).unwrap_or_default());
    shown
}

fn json(text: &str, value: &Value<'_>, ranges: &mut Vec<Range<usize>>) {
    match value {
        Value::Object(object) => {
            for field in &object.properties {
                if is_secret(field.name.as_str()) {
                    json_below(text, &field.value, ranges);
                } else {
                    json(text, &field.value, ranges);
                }
            }
        }
        Value::Array(array) => array.elements.iter().for_each(|one| json(text, one, ranges)),
        Value::StringLit(_)
        | Value::NumberLit(_)
        | Value::BooleanLit(_)
        | Value::NullKeyword(_) => {}
    }
}

fn json_below(text: &str, value: &Value<'_>, ranges: &mut Vec<Range<usize>>) {
    use jsonc_parser::common::Ranged as _;
    let Value::Object(Object { range, properties }) = value else {
        ranges.push(value.range().start..value.range().end);
        return;
    };
    // What is neither a name nor a value: marks, and comments, which may hold an older value.
    let mut at = range.start;
    for field in properties {
        let (name, value) = (field.name.range(), field.value.range());
        between(text, at..name.start, ranges);
        between(text, name.end..value.start, ranges);
        json_below(text, &field.value, ranges);
        at = value.end;
    }
    between(text, at..range.end, ranges);
}

/// From the first comment on to the last mark before the line feed, line by line.
fn between(text: &str, gap: Range<usize>, ranges: &mut Vec<Range<usize>>) {
    let mut at = gap.start;
    let mut is_comment = false;
    for line in text.get(gap).unwrap_or_default().split_inclusive('\n') {
        let begin = if is_comment { Some(0) } else { line.find('/') };
        if let Some(begin) = begin {
            let end = line.rfind("*/").map_or(line.trim_end().len(), |end| end + 2);
            ranges.push(at + begin..at + end.max(begin));
            let is_block = is_comment || line.get(begin..).unwrap_or_default().starts_with("/*");
            is_comment = is_block && !line.contains("*/");
        }
        at += line.len();
    }
}

fn toml(table: &dyn TableLike, below: bool, ranges: &mut Vec<Range<usize>>) {
    for (key, item) in table.iter() {
        toml_item(item, below || is_secret(key), ranges);
    }
}

fn toml_item(item: &Item, below: bool, ranges: &mut Vec<Range<usize>>) {
    match item {
        Item::Table(table) => toml(table, below, ranges),
        Item::Value(Toml::InlineTable(table)) => toml(table, below, ranges),
        Item::ArrayOfTables(all) => all.iter().for_each(|table| toml(table, below, ranges)),
        Item::Value(value) if below => ranges.extend(value.span()),
        Item::Value(Toml::Array(all)) => {
            let tables = all.iter().filter_map(Toml::as_inline_table);
            tables.for_each(|table| toml(table, below, ranges));
        }
        Item::None
        | Item::Value(
            Toml::String(_)
            | Toml::Integer(_)
            | Toml::Float(_)
            | Toml::Boolean(_)
            | Toml::Datetime(_),
        ) => {}
    }
}

/// Without the comments of a table of secrets: below its head, up to the next one.
fn without_toml_comments(text: &str) -> String {
    let mut below = false;
    let mut line = |line: &str| {
        let (words, end) = line.strip_suffix('\n').map_or((line, ""), |words| (words, "\n"));
        if words.trim_start().starts_with('[') {
            let parts = words.trim().trim_start_matches('[').split(']').next().unwrap_or_default();
            below = parts.split('.').any(|part| is_secret(part.trim().trim_matches(['"', '\''])));
        }
        let kept = if words.trim_start().starts_with('#') { Some("") } else { None };
        let masked = words.split_once(MASK).map(|(name, _)| name);
        match kept.or(masked).filter(|_| below) {
            Some(name) => format!("{name}{MASK}{end}"),
            None => line.to_owned(),
        }
    };
    text.split_inclusive('\n').map(&mut line).collect()
}

/// By lines, as they are edited. Below a key that is secret, the names of the first level are shown.
fn yaml(text: &str) -> String {
    let mut below: Option<Below> = None;
    text.split_inclusive('\n').map(|line| yaml_line(line, &mut below)).collect()
}

/// Where in a YAML text we are.
#[derive(Clone, Copy)]
struct Below {
    /// The column of the secret key.
    key: usize,
    /// The column of the names below it.
    names: Option<usize>,
}

fn yaml_line(line: &str, below: &mut Option<Below>) -> String {
    let (words, end) = line.strip_suffix('\n').map_or((line, ""), |words| (words, "\n"));
    let text = words.trim_start_matches([' ', '\t']);
    let column = words.len() - text.len();
    if text.trim().is_empty() {
        return line.to_owned();
    }
    if let Some(at) = below.as_mut() {
        let is_closing = text.starts_with(['}', ']']);
        let is_item = column == at.key && text.starts_with('-');
        if column > at.key || is_item {
            let names = *at.names.get_or_insert(column);
            let name = yaml_name(words).filter(|_| names == column && !text.starts_with('#'));
            return match name {
                Some(name) if words.get(name..).is_some_and(|rest| rest.trim().is_empty()) => {
                    line.to_owned()
                }
                Some(name) => format!("{} {MASK}{end}", words.get(..name).unwrap_or_default()),
                None => format!("{}{MASK}{end}", words.get(..column).unwrap_or_default()),
            };
        }
        if !is_closing {
            *below = None;
        }
    }
    match yaml_secret(words) {
        Some((key, after)) => {
            *below = Some(Below { key, names: None });
            let rest = words.get(after..).unwrap_or_default().trim();
            let is_plain = ["", "{", "{}", "[]"].contains(&rest);
            if is_plain {
                line.to_owned()
            } else {
                format!("{} {MASK}{end}", words.get(..after).unwrap_or_default())
            }
        }
        None => line.to_owned(),
    }
}

/// Where the colon of the line's first name ends.
fn yaml_name(line: &str) -> Option<usize> {
    let colon = |(at, _): &(usize, &str)| {
        let rest = line.get(at + 1..).unwrap_or_default();
        rest.is_empty() || rest.starts_with([' ', '\t', '\r'])
    };
    line.match_indices(':').find(colon).map(|(at, _)| at + 1)
}

/// The first key of the line that is secret: the column of the line's own first word, and where its
/// colon ends. Also one in the middle of a line, as `{env: {A: b}}` has it.
fn yaml_secret(line: &str) -> Option<(usize, usize)> {
    let own = line.len() - line.trim_start_matches([' ', '\t', '-']).len();
    let is_mark = |c: char| c.is_whitespace() || "{[,:-\"'?".contains(c);
    for (at, _) in line.match_indices(':') {
        let before = line.get(..at).unwrap_or_default();
        let before = before.trim_end_matches(|c: char| c.is_whitespace() || "\"'".contains(c));
        let word = before.rfind(is_mark).map_or(before, |mark| {
            before.get(mark..).unwrap_or_default().trim_start_matches(is_mark)
        });
        if is_secret(word) {
            return Some((own, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(form: Form, text: &str, expected: &str) {
        let shown = masked(text, form);
        assert_eq!(shown, expected);
        assert_eq!(shown.matches('\n').count(), text.matches('\n').count());
    }

    #[test]
    fn only_names_are_shown_below_env_and_headers_of_json() {
        check(
            Form::Json,
            "{\n  \"a\": {\n    \"args\": [\"x\"], // y\n    \"env\": {\n      // \"OLD\": \"s1\",\n      \
             \"K\": \"s2\", /* s3\n s4 */ \"L\": [\n\"s5\"\n], \"M\": {\"N\": 5}\n    },\n    \
             \"headers\": { \"X\": \"s6\" }\n  },\n  \"b\": [{\"env\": \"s7\"}]\n}\n",
            "{\n  \"a\": {\n    \"args\": [\"x\"], // y\n    \"env\": {\n      …\n      \
             \"K\": …, …\n… \"L\": …\n\n, \"M\": {\"N\": …}\n    },\n    \
             \"headers\": { \"X\": … }\n  },\n  \"b\": [{\"env\": …}]\n}\n",
        );
        check(Form::Json, "", "");
        check(Form::Json, "{ \"x\": s1\n", "…\n");
    }

    #[test]
    fn only_names_are_shown_below_env_and_headers_of_toml() {
        check(
            Form::Toml,
            "# mine\n[m.a]\nargs = [\"x\"]\nenv = { K = \"s1\", L = 's2' }\nhttp_headers.X = \"s3\"\n\
             [m.b.env]\nK = \"s4\" # s5\n# L = \"s6\"\nM = \"\"\"\ns7\n\"\"\"\n\n[m.c] # mine\n# too\n",
            "# mine\n[m.a]\nargs = [\"x\"]\nenv = { K = …, L = … }\nhttp_headers.X = …\n\
             [m.b.env]\nK = …\n…\nM = …\n\n\n\n[m.c] # mine\n# too\n",
        );
        check(Form::Toml, "x = [{ env = { K = \"s1\" } }]\n", "x = [{ env = { K = … } }]\n");
    }

    #[test]
    fn only_names_are_shown_below_env_and_headers_of_yaml() {
        check(
            Form::Yaml,
            "e:\n  a: # mine\n    cmd: x\n    envs:\n      K: s1\n      # L: s2\n      M: |\n        \
             s3: s4\n      \"N\": s5\n    args: [y]\n    headers: {X: s6,\n      Y: s7}\n  b: {envs: {K: \
             s8}}\n  c:\n    env:\n    - s9\n    - K: s0\n    env_keys: [K]\n",
            "e:\n  a: # mine\n    cmd: x\n    envs:\n      K: …\n      …\n      M: …\n        \
             …\n      \"N\": …\n    args: [y]\n    headers: …\n      Y: …\n  b: {envs: …\n  c:\n    \
             env:\n    …\n    - K: …\n    env_keys: [K]\n",
        );
        check(
            Form::Yaml,
            "{\n  \"e\": {\n    \"env\": {\n      \"K\": \"s1\"\n    }\n  }\n}\n",
            "{\n  \"e\": {\n    \"env\": {\n      \"K\": …\n    }\n  }\n}\n",
        );
    }

    #[test]
    fn only_names_are_shown_of_values() {
        let mut value = serde_json::json!({
            "args": ["x"], "env": { "K": "s1", "L": ["s2"] }, "a": [{ "headers": { "X": 1 } }],
        });
        mask_values(&mut value);
        let expected = serde_json::json!({
            "args": ["x"], "env": { "K": "…", "L": "…" }, "a": [{ "headers": { "X": "…" } }],
        });
        assert_eq!(value, expected);
    }
}
