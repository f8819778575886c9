//! The values of files that hold credentials: `.env`, INI and TOML, JSON, and netrc.
//!
//! This is for choosing what to register, so it reads what such files commonly have, and says what
//! it left out and why. It checks no format.

use super::{LABEL_BYTES_MAX, VALUE_BYTES_MAX, VALUE_BYTES_MIN};
use crate::base::Secret;

/// The least number of digits of a number that is worth registering.
const DIGITS_MIN: usize = 8;
/// How far the end of a value is looked for.
const QUOTED_BYTES_MAX: usize = 16 << 10;
/// How deep JSON is read.
const DEPTH_MAX: usize = 32;

/// Why a value is not worth registering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Skipped {
    /// It has fewer than [`VALUE_BYTES_MIN`] bytes.
    #[error("shorter than {VALUE_BYTES_MIN} bytes")]
    Short,
    /// It has more than [`VALUE_BYTES_MAX`] bytes.
    #[error("longer than {VALUE_BYTES_MAX} bytes")]
    Long,
    /// True, false, or nothing.
    #[error("a plain word such as true or none")]
    Word,
    /// A number of fewer than eight digits.
    #[error("a number of few digits")]
    Number,
    /// An address without a password or a token in it.
    #[error("an address without credentials")]
    Address,
    /// A path of a file system.
    #[error("a path")]
    Path,
    /// It names another value.
    #[error("a reference to another value")]
    Reference,
}

/// A value and its name in the file.
pub struct Named {
    /// Where it stands, shortened to what a label may be.
    pub label: String,
    /// The value.
    pub value: Secret<String>,
}

/// What a file holds.
#[derive(Default)]
pub struct Listed {
    /// What is worth registering.
    pub values: Vec<Named>,
    /// What is not.
    pub skipped: Vec<(String, Skipped)>,
}

impl Listed {
    fn add(&mut self, label: &str, value: String) {
        let label = label_of(label);
        match reason(&value) {
            Some(reason) => self.skipped.push((label, reason)),
            None => self.values.push(Named { label, value: Secret::new(value) }),
        }
    }
}

/// The values of a file, by what it looks like.
#[must_use]
pub fn values_of(text: &str) -> Listed {
    let mut listed = Listed::default();
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with(['{', '['])
        && let Ok(json) = serde_json::from_str::<serde_json::Value>(text)
    {
        leaves(&json, &mut String::new(), DEPTH_MAX, &mut listed);
    } else if is_netrc(text) {
        netrc(text, &mut listed);
    } else {
        assignments(text, &mut listed);
    }
    listed
}

fn label_of(name: &str) -> String {
    let hidden = |c: char| c.is_control() || crate::risk::characters::is_invisible(c);
    let shown: String = name.chars().map(|c| if hidden(c) { '?' } else { c }).collect();
    let end = shown.floor_char_boundary(LABEL_BYTES_MAX);
    let label = shown.get(..end).unwrap_or_default();
    if label.is_empty() { "unnamed".to_owned() } else { label.to_owned() }
}

fn reason(value: &str) -> Option<Skipped> {
    let words = [
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "null",
        "none",
        "nil",
        "undefined",
        "enabled",
        "disabled",
        "localhost",
        "development",
        "production",
    ];
    if words.iter().any(|word| value.eq_ignore_ascii_case(word)) {
        return Some(Skipped::Word);
    }
    if value.starts_with("${") || (value.starts_with("{{") && value.ends_with("}}")) {
        return Some(Skipped::Reference);
    }
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let is_number = value
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'_'));
    if digits > 0 && is_number && digits < DIGITS_MIN {
        return Some(Skipped::Number);
    }
    if value.len() < VALUE_BYTES_MIN {
        return Some(Skipped::Short);
    }
    if value.len() > VALUE_BYTES_MAX {
        return Some(Skipped::Long);
    }
    if is_plain_address(value) {
        return Some(Skipped::Address);
    }
    is_path(value).then_some(Skipped::Path)
}

/// An address that gives no right: no user part, no query, and no long word in its path.
fn is_plain_address(value: &str) -> bool {
    let Some((scheme, rest)) = value.split_once("://") else { return false };
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let path = rest.get(host.len()..).unwrap_or_default();
    let long = |part: &str| part.len() >= 20 && part.bytes().any(|byte| byte.is_ascii_digit());
    scheme.chars().all(is_scheme)
        && !rest.contains(char::is_whitespace)
        && !host.contains('@')
        && !path.contains(['?', '='])
        && !path.split(['/', '#']).any(long)
}

fn is_path(value: &str) -> bool {
    let starts = ["/", "./", "../", "~/", "\\\\"].iter().any(|start| value.starts_with(start));
    let drive = matches!(value.as_bytes(), [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic());
    let named = |c: char| {
        c.is_alphanumeric() || matches!(c, '/' | '\\' | '.' | '-' | '_' | ' ' | '~' | ':')
    };
    // Base64 may begin with a slash, too: a path has short names.
    let short = value.split(['/', '\\']).all(|name| name.len() < 32);
    (starts || drive) && short && value.chars().all(named) && !value.contains("//")
}

/// The strings of JSON, each with its path.
fn leaves(json: &serde_json::Value, path: &mut String, depth: usize, listed: &mut Listed) {
    let length = path.len();
    let mut inside = |name: &str, value: &serde_json::Value, listed: &mut Listed| {
        if depth > 0 {
            if length > 0 {
                path.push('.');
            }
            path.push_str(name);
            leaves(value, path, depth - 1, listed);
            path.truncate(length);
        }
    };
    match json {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                inside(name, value, listed);
            }
        }
        serde_json::Value::Array(values) => {
            for (number, value) in values.iter().enumerate() {
                inside(&number.to_string(), value, listed);
            }
        }
        serde_json::Value::String(value) => listed.add(path, value.clone()),
        serde_json::Value::Number(value) => listed.add(path, value.to_string()),
        serde_json::Value::Bool(_) | serde_json::Value::Null => {
            listed.skipped.push((label_of(path), Skipped::Word));
        }
    }
}

fn is_netrc(text: &str) -> bool {
    let mut words = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(str::split_whitespace);
    match words.next() {
        Some("machine") => words.next().is_some_and(|host| !host.starts_with('=')),
        Some("default") => words.next() == Some("login"),
        _ => false,
    }
}

fn netrc(text: &str, listed: &mut Listed) {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut words = lines.flat_map(str::split_whitespace);
    let mut host = "default";
    while let Some(word) = words.next() {
        match word {
            "machine" => host = words.next().unwrap_or_default(),
            "default" => host = "default",
            "password" | "account" => {
                if let Some(value) = words.next() {
                    listed.add(&format!("{host} {word}"), value.to_owned());
                }
            }
            _ => {}
        }
    }
}

/// `KEY=value` and `key: value` lines, with `[sections]`, quotation marks and comments.
fn assignments(text: &str, listed: &mut Listed) {
    let mut section = String::new();
    let mut at = 0;
    while let Some(line) = text.get(at..).and_then(|rest| rest.split_inclusive('\n').next()) {
        let line_end = at + line.len();
        at = line_end;
        let trimmed = line.trim();
        if trimmed.starts_with(['#', ';']) || trimmed.starts_with("//") {
            continue;
        }
        if let Some(name) = section_of(trimmed) {
            name.clone_into(&mut section);
            continue;
        }
        let Some((name, value)) = line.split_once('=').or_else(|| line.split_once(": ")) else {
            continue;
        };
        let name = name.trim();
        let name = name.strip_prefix("export ").unwrap_or(name).trim().trim_matches(['"', '\'']);
        let label = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
        let value = value.trim_start();
        let rest = text.get(line_end - value.len()..).unwrap_or_default();
        // A value in quotation marks may go over lines.
        if let Some((value, length)) = quoted(rest) {
            let end = text.len() - rest.len() + length;
            at = text
                .get(end..)
                .and_then(|rest| rest.find('\n'))
                .map_or(text.len(), |newline| end + newline + 1);
            listed.add(&label, value);
        } else {
            listed.add(&label, uncommented(value.trim_end()).to_owned());
        }
    }
}

fn section_of(line: &str) -> Option<&str> {
    let (name, rest) = line.strip_prefix('[')?.split_once(']')?;
    (!rest.contains('=')).then(|| name.trim_start_matches('[').trim())
}

/// The value in quotation marks that `text` begins with, and how long it is with them.
fn quoted(text: &str) -> Option<(String, usize)> {
    let quotes = ["\"\"\"", "'''", "\"", "'", "`"];
    let quote = quotes.into_iter().find(|quote| text.starts_with(quote))?;
    let mut value = String::new();
    let mut at = quote.len();
    while at < QUOTED_BYTES_MAX {
        let rest = text.get(at..)?;
        if rest.starts_with(quote) {
            return Some((value.trim_matches('\n').to_owned(), at + quote.len()));
        }
        let mut chars = rest.chars();
        let c = chars.next()?;
        at += c.len_utf8();
        if c == '\\' && quote.starts_with('"') {
            let escaped = chars.next()?;
            at += escaped.len_utf8();
            value.push(match escaped {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            });
        } else {
            value.push(c);
        }
    }
    None
}

/// A value without the comment after it.
fn uncommented(value: &str) -> &str {
    let end = [" #", "\t#", " ;"].iter().filter_map(|mark| value.find(mark)).min();
    value.get(..end.unwrap_or(value.len())).unwrap_or(value).trim_end().trim_end_matches(',')
}
