//! Joining every client: the real program in a folder of a user of its own, read by other parsers than
//! the editors', and as it was afterwards.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Output, PROGRAM};

/// A client, its file for the user, what its user has there, and where the entry is in it.
struct Client {
    name: &'static str,
    file: &'static str,
    text: &'static str,
    pointer: &'static str,
}

const JSON: &str = "{\n  // mine\n  \"theme\": \"dark\",\n  \"KEY\": {\n    \"other\": {\"command\": \"x\"}\n  }\n}\n";
const TOML: &str = "model = \"x\" # mine\n\n[mcp_servers.other]\ncommand = \"x\"\n";
const YAML: &str =
    "GOOSE_MODE: auto # mine\nextensions:\n  other:\n    enabled: true\n    type: builtin\n";

const CLIENTS: [Client; 8] = [
    client("claude-code", ".claude.json", JSON, "/mcpServers/countersign"),
    client(
        "claude-desktop",
        if cfg!(target_os = "macos") {
            "Library/Application Support/Claude/claude_desktop_config.json"
        } else {
            ".config/Claude/claude_desktop_config.json"
        },
        JSON,
        "/mcpServers/countersign",
    ),
    client("cursor", ".cursor/mcp.json", JSON, "/mcpServers/countersign"),
    client(
        "vscode",
        if cfg!(target_os = "macos") {
            "Library/Application Support/Code/User/mcp.json"
        } else {
            ".config/Code/User/mcp.json"
        },
        JSON,
        "/servers/countersign",
    ),
    client("codex", ".codex/config.toml", TOML, "/mcp_servers/countersign"),
    client("gemini", ".gemini/settings.json", JSON, "/mcpServers/countersign"),
    client("zed", ".config/zed/settings.json", JSON, "/context_servers/countersign"),
    client("goose", ".config/goose/config.yaml", YAML, "/extensions/countersign"),
];

const fn client(
    name: &'static str,
    file: &'static str,
    text: &'static str,
    pointer: &'static str,
) -> Client {
    Client { name, file, text, pointer }
}

/// A user's folder with one client's file in it.
struct User {
    folder: TempDir,
    client: &'static Client,
}

impl User {
    fn of(client: &'static Client) -> Self {
        let user = Self { folder: tempfile::tempdir().unwrap(), client };
        fs::create_dir_all(user.path().parent().unwrap()).unwrap();
        fs::write(user.path(), user.old()).unwrap();
        user
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(self.client.file)
    }

    fn old(&self) -> String {
        let key = self.client.pointer.split('/').nth(1).unwrap();
        self.client.text.replace("KEY", key)
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    fn join(&self, more: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        command.args(["join", self.client.name]).args(more).env_clear();
        command.env("HOME", self.folder.path()).env("COUNTERSIGN_HOME", "/somewhere/else");
        command.env("COUNTERSIGN_NETWORK", "loopback");
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        Output::of(command)
    }

    /// Everything below the folder that is a file.
    fn files(&self) -> Vec<PathBuf> {
        let (mut files, mut folders) = (Vec::new(), vec![self.folder.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        files
    }
}

/// What a parser reads that had no part in writing.
fn parsed(path: &Path, text: &str) -> Value {
    let lines = text.lines().filter(|line| !line.trim().starts_with("//"));
    match path.extension().unwrap().to_str().unwrap() {
        "toml" => toml::from_str(text).unwrap(),
        "yaml" => yaml_serde::from_str(text).unwrap(),
        _ => serde_json::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap(),
    }
}

#[test]
fn every_client_is_joined_and_left_as_it_was() {
    for client in &CLIENTS {
        let user = User::of(client);
        let (path, old) = (user.path(), user.old());
        let shown = user.join(&[]).expect(0);
        assert!(shown.stdout.contains(path.to_str().unwrap()), "{shown}");
        assert!(shown.stdout.contains(PROGRAM), "{shown}");
        assert_eq!((user.files(), user.text()), (vec![path.clone()], old.clone()), "only shown");

        let written = user.join(&["--write"]).expect(0);
        assert!(written.stdout.contains("\n+") && written.stdout.contains("backup"), "{written}");
        let new = user.text();
        let entry = parsed(&path, &new).pointer(client.pointer).cloned().unwrap();
        let goose = client.name == "goose";
        assert_eq!(entry[if goose { "cmd" } else { "command" }], PROGRAM);
        assert_eq!(entry["args"], json!(["mcp"]));
        let environment =
            json!({ "COUNTERSIGN_HOME": "/somewhere/else", "COUNTERSIGN_NETWORK": "loopback" });
        assert_eq!(entry[if goose { "envs" } else { "env" }], environment);
        let lost: Vec<&str> = old.lines().filter(|line| !new.contains(line)).collect();
        assert!(lost.is_empty(), "{lost:?} of {}", client.name);
        let all = parsed(&path, &new);
        let other = all.pointer(&client.pointer.replace("/countersign", "/other"));
        let before = parsed(&path, &old);
        assert_eq!(other, before.pointer(&client.pointer.replace("/countersign", "/other")));
        assert_eq!(user.files().len(), 2, "the file and its backup");

        user.join(&["--write"]).expect(0);
        assert_eq!((user.text(), user.files().len()), (new, 2), "twice is once");
        user.join(&["--remove"]).expect(0);
        assert_eq!(user.text(), old, "{}", client.name);
    }
}

#[test]
fn over_http_each_client_has_its_own_shape_and_no_token() {
    for client in CLIENTS.iter().filter(|client| client.name != "claude-desktop") {
        let user = User::of(client);
        user.join(&["--http", "--write"]).expect(0);
        let all = parsed(&user.path(), &user.text());
        let entry = all.pointer(client.pointer).unwrap();
        let address = match client.name {
            "gemini" => "httpUrl",
            "goose" => "uri",
            _ => "url",
        };
        assert_eq!(entry[address], "http://127.0.0.1:7311/mcp", "{entry}");
        if client.name == "codex" {
            assert_eq!(entry["bearer_token_env_var"], "COUNTERSIGN_TOKEN");
        } else {
            let header = entry["headers"]["Authorization"].as_str().unwrap();
            assert!(header.starts_with("Bearer "), "{header}");
        }
        let kind = match client.name {
            "claude-code" | "vscode" => json!("http"),
            "goose" => json!("streamable_http"),
            _ => Value::Null,
        };
        assert_eq!(entry["type"], kind);
        assert_eq!(all.pointer("/inputs/0/password").is_some(), client.name == "vscode");
        user.join(&["--remove"]).expect(0);
        assert_eq!(user.text(), user.old(), "{}", client.name);
    }
    let user = User::of(&CLIENTS[1]);
    user.join(&["--http"]).expect(2).says(&["only start a process", "leave out --http"]);
}

#[test]
fn a_token_is_written_for_its_owner_alone_and_never_shown_in_the_difference() {
    use std::os::unix::fs::PermissionsExt as _;
    let user = User::of(&CLIENTS[2]);
    let arguments = ["--http", "--token", "s3cret-token", "--write"];
    let written = user.join(&arguments).expect(0).says(&["is a secret"]);
    assert!(!format!("{written}").replace("--token s3cret-token", "").contains("s3cret-token"));
    assert!(user.text().contains("Bearer s3cret-token"));
    assert_eq!(fs::metadata(user.path()).unwrap().permissions().mode() & 0o777, 0o600);
    let conflict = user.join(&["--write"]).expect(1).says(&["another server", "--replace"]);
    assert!(!format!("{conflict}").contains("s3cret-token"), "{conflict}");
}

#[test]
fn a_project_has_its_own_file() {
    let user = User::of(&CLIENTS[0]);
    user.join(&["--scope", "project", "--write", "--session", "mine"]).expect(0);
    assert_eq!(user.text(), user.old(), "the user's own is left alone");
    let file = user.folder.path().join(".mcp.json");
    let all = parsed(&file, &fs::read_to_string(&file).unwrap());
    assert_eq!(all["mcpServers"]["countersign"]["args"], json!(["mcp", "--session", "mine"]));
    user.join(&["--scope", "project", "--remove"]).expect(0);
    assert!(!file.exists(), "it was made by joining");
}

#[test]
fn what_cannot_be_done_is_told_and_nothing_is_touched() {
    let user = User::of(&CLIENTS[7]);
    let check = |text: &str, more: &[&str], code: i32, words: &[&str]| {
        fs::write(user.path(), text).unwrap();
        let output = user.join(more).expect(code).says(words);
        assert!(!output.stderr.contains("panicked"), "{output}");
        assert_eq!((user.text().as_str(), user.files().len()), (text, 1));
    };
    check("a: [1\n", &["--write"], 1, &["line 2, column 1", "nothing was changed"]);
    check("extensions: {other: {}}\n", &["--write"], 1, &["no place", "by hand"]);
    check("a: [1\n", &["--remove"], 1, &["line 2"]);
    check(YAML, &["--write", "--name", "a b"], 2, &["--name"]);
    check(YAML, &["--scope", "project"], 2, &["--scope"]);
    check(YAML, &["--replace"], 2, &["--write"]);
    check(YAML, &["--token", "x"], 2, &["--http"]);
    check(YAML, &["--remove"], 0, &[]);
}
