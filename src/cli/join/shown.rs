//! What a person sees: texts of files without their secrets, and commands of clients to copy.

use super::client::{Client, Scope, TOKEN_VARIABLE, Transport};
use crate::cli::escape;

/// Somebody's file for the terminal, line by line.
pub(super) fn lines(text: &str) -> String {
    let lines: Vec<String> = text.trim_end_matches('\n').split('\n').map(escape::line).collect();
    lines.join("\n")
}

/// A text without the tokens in it. A name that a client puts a token for stays.
pub(super) fn masked(text: &str) -> String {
    let mut parts = text.split("Bearer ");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
        let rest = part.trim_start_matches(is_token);
        shown.push_str("Bearer ");
        shown.push_str(if rest.len() < part.len() { "…" } else { "" });
        shown.push_str(rest);
    }
    shown
}

/// The client's own command that does the same, where it has one.
pub(super) fn own_command(
    client: Client,
    scope: Scope,
    name: &str,
    transport: &Transport,
) -> Option<String> {
    let scope = match scope {
        Scope::User => "user",
        Scope::Project => "project",
    };
    let words = match client {
        Client::ClaudeCode => claude(scope, name, transport),
        Client::Gemini => gemini(scope, name, transport),
        Client::Codex if scope == "user" => codex(name, transport),
        Client::Vscode if scope == "user" => vscode(name, transport)?,
        Client::Codex
        | Client::Vscode
        | Client::ClaudeDesktop
        | Client::Cursor
        | Client::Zed
        | Client::Goose => return None,
    };
    Some(words.join(" "))
}

/// A header that the shell fills in from the variable: a token in a command stays in its history.
fn header() -> String {
    format!("\"Authorization: Bearer ${TOKEN_VARIABLE}\"")
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| quoted(word)).collect()
}

/// Each variable after its flag.
fn variables(flag: &str, environment: &[(String, String)]) -> Vec<String> {
    let pair = |(name, value): &(String, String)| words(&[flag, &format!("{name}={value}")]);
    environment.iter().flat_map(pair).collect()
}

fn claude(scope: &str, name: &str, transport: &Transport) -> Vec<String> {
    let mut all = words(&["claude", "mcp", "add", "--scope", scope]);
    match transport {
        Transport::Stdio { command, arguments, environment } => {
            // The name comes first: `-e` takes all words up to the next flag.
            all.extend(words(&[name]));
            all.extend(variables("-e", environment));
            all.extend(words(&["--", command]));
            all.extend(arguments.iter().map(|argument| quoted(argument)));
        }
        Transport::Http { url, .. } => {
            all.extend(words(&["--transport", "http", name, url, "--header"]));
            all.push(header());
        }
    }
    all
}

fn gemini(scope: &str, name: &str, transport: &Transport) -> Vec<String> {
    let mut all = words(&["gemini", "mcp", "add", "--scope", scope]);
    match transport {
        Transport::Stdio { command, arguments, environment } => {
            all.extend(variables("-e", environment));
            all.extend(words(&[name, command]));
            if arguments.iter().any(|argument| argument.starts_with('-')) {
                all.push("--".to_owned());
            }
            all.extend(arguments.iter().map(|argument| quoted(argument)));
        }
        Transport::Http { url, .. } => {
            all.extend(words(&["--transport", "http", "--header"]));
            all.push(header());
            all.extend(words(&[name, url]));
        }
    }
    all
}

fn codex(name: &str, transport: &Transport) -> Vec<String> {
    let mut all = words(&["codex", "mcp", "add", name]);
    match transport {
        Transport::Stdio { command, arguments, environment } => {
            all.extend(variables("--env", environment));
            all.extend(words(&["--", command]));
            all.extend(arguments.iter().map(|argument| quoted(argument)));
        }
        Transport::Http { url, .. } => {
            all.extend(words(&["--url", url, "--bearer-token-env-var", TOKEN_VARIABLE]));
        }
    }
    all
}

/// Only for a process: the question for a token cannot be given there, and a token should not be.
fn vscode(name: &str, transport: &Transport) -> Option<Vec<String>> {
    let Transport::Stdio { .. } = transport else { return None };
    let mut entry = Client::Vscode.entry(name, transport).json();
    if let Some(fields) = entry.as_object_mut() {
        fields.insert("name".to_owned(), name.into());
    }
    Some(words(&["code", "--add-mcp", &entry.to_string()]))
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_shown_and_a_name_for_it_is() {
        let check = |text: &str, expected: &str| assert_eq!(masked(text), expected);
        check("\"Bearer abc.DEF-1=\", x", "\"Bearer …\", x");
        check("Bearer ${COUNTERSIGN_TOKEN}", "Bearer ${COUNTERSIGN_TOKEN}");
        check("Bearer a\nBearer b\n", "Bearer …\nBearer …\n");
        check("nothing of it", "nothing of it");
    }

    #[test]
    fn a_shell_reads_a_word_as_it_is() {
        let check = |word: &str, expected: &str| assert_eq!(quoted(word), expected);
        check("/usr/bin/countersign", "/usr/bin/countersign");
        check("/opt/a b/x", "'/opt/a b/x'");
        check("it's", "'it'\\''s'");
        check("", "''");
    }
}
