//! The clients: where each keeps its servers, and in which shape. The sources are in `CLIENTS.md`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{
    entry::{Entry, Field, Question},
    machine::Machine,
};

/// A client that can be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Client {
    /// Claude Code.
    ClaudeCode,
    /// Claude Desktop.
    ClaudeDesktop,
    /// Cursor.
    Cursor,
    /// VS Code with Copilot.
    Vscode,
    /// Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// Zed.
    Zed,
    /// goose.
    Goose,
}

/// Whose configuration it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    /// Yours, in every project.
    User,
    /// This folder's.
    Project,
}

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON, where comments and commas before a closing brace are let through.
    Json,
    /// TOML.
    Toml,
    /// YAML.
    Yaml,
}

/// How the client reaches the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// It starts a process.
    Stdio {
        /// The program.
        command: String,
        /// What it is called with.
        arguments: Vec<String>,
        /// What is set for it.
        environment: Vec<(String, String)>,
    },
    /// It calls the node.
    Http {
        /// Where.
        url: String,
        /// What to show there; without one, the client is to take it from somewhere else.
        token: Option<String>,
    },
}

/// The variable that clients are told to take the token from.
pub(super) const TOKEN_VARIABLE: &str = "COUNTERSIGN_TOKEN";
const TOKEN_QUESTION: &str = "countersign-token";
/// goose gives up on a call after so long; its own examples have the same.
const GOOSE_TIMEOUT_SECONDS: u32 = 300;

impl Client {
    /// Its name for people.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::ClaudeCode => "Claude Code",
            Self::ClaudeDesktop => "Claude Desktop",
            Self::Cursor => "Cursor",
            Self::Vscode => "VS Code",
            Self::Codex => "Codex",
            Self::Gemini => "Gemini CLI",
            Self::Zed => "Zed",
            Self::Goose => "goose",
        }
    }

    /// Its name as an argument.
    pub(super) const fn argument(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::ClaudeDesktop => "claude-desktop",
            Self::Cursor => "cursor",
            Self::Vscode => "vscode",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Zed => "zed",
            Self::Goose => "goose",
        }
    }

    /// The file that holds its servers; `None` where it has none for that scope.
    pub(super) fn file(self, scope: Scope, machine: &Machine) -> Option<PathBuf> {
        match scope {
            Scope::User => Some(self.user_file(machine)),
            Scope::Project => Some(machine.folder.join(match self {
                Self::ClaudeCode => ".mcp.json",
                Self::Cursor => ".cursor/mcp.json",
                Self::Vscode => ".vscode/mcp.json",
                Self::Codex => ".codex/config.toml",
                Self::Gemini => ".gemini/settings.json",
                Self::Zed => ".zed/settings.json",
                Self::ClaudeDesktop | Self::Goose => return None,
            })),
        }
    }

    fn user_file(self, machine: &Machine) -> PathBuf {
        let home = &machine.home;
        let own = |folder: &Option<PathBuf>, name: &str| {
            folder.clone().unwrap_or_else(|| home.join(name))
        };
        match self {
            Self::ClaudeCode => machine.claude_folder.as_ref().unwrap_or(home).join(".claude.json"),
            Self::ClaudeDesktop => {
                machine.application_folder().join("Claude/claude_desktop_config.json")
            }
            Self::Cursor => home.join(".cursor/mcp.json"),
            Self::Vscode => machine.application_folder().join("Code/User/mcp.json"),
            Self::Codex => own(&machine.codex_folder, ".codex").join("config.toml"),
            Self::Gemini => home.join(".gemini/settings.json"),
            // These two use ~/.config on macOS too, and heed the variable on Linux alone.
            Self::Zed => machine.config_folder().join("zed/settings.json"),
            Self::Goose => machine.config_folder().join("goose/config.yaml"),
        }
    }

    /// The format of that file.
    #[must_use]
    pub const fn form(self) -> Form {
        match self {
            Self::Codex => Form::Toml,
            Self::Goose => Form::Yaml,
            Self::ClaudeCode
            | Self::ClaudeDesktop
            | Self::Cursor
            | Self::Vscode
            | Self::Gemini
            | Self::Zed => Form::Json,
        }
    }

    /// The key below which that file has its servers by name.
    #[must_use]
    pub const fn container(self) -> &'static str {
        match self {
            Self::ClaudeCode | Self::ClaudeDesktop | Self::Cursor | Self::Gemini => "mcpServers",
            Self::Vscode => "servers",
            Self::Codex => "mcp_servers",
            Self::Zed => "context_servers",
            Self::Goose => "extensions",
        }
    }

    /// Whether it can call the node, or only start a process.
    pub(super) fn speaks_http(self) -> bool {
        self != Self::ClaudeDesktop
    }

    /// Its entry for a server of that name.
    #[must_use]
    pub fn entry(self, name: &str, transport: &Transport) -> Entry {
        let mut fields: Vec<(&'static str, Field)> = Vec::new();
        if self == Self::Goose {
            let kind = match transport {
                Transport::Stdio { .. } => "stdio",
                Transport::Http { .. } => "streamable_http",
            };
            fields.extend([("type", kind.into()), ("name", name.into())]);
            fields.push(("description", "Messages with other people's agents".into()));
            fields.push(("enabled", Field::Yes));
        }
        match transport {
            Transport::Stdio { command, arguments, environment } => {
                if matches!(self, Self::ClaudeCode | Self::Cursor | Self::Vscode) {
                    fields.push(("type", "stdio".into()));
                }
                let goose = self == Self::Goose;
                fields.push((if goose { "cmd" } else { "command" }, command.as_str().into()));
                fields.push(("args", Field::List(arguments.clone())));
                if goose || !environment.is_empty() {
                    let name = if goose { "envs" } else { "env" };
                    fields.push((name, Field::Texts(environment.clone())));
                }
            }
            Transport::Http { url, token } => fields.extend(self.http(url, token.as_deref())),
        }
        if self == Self::Goose {
            fields.push(("timeout", Field::Seconds(GOOSE_TIMEOUT_SECONDS)));
        }
        Entry(fields)
    }

    fn http(self, url: &str, token: Option<&str>) -> Vec<(&'static str, Field)> {
        let value = token.map_or_else(|| self.reference(), str::to_owned);
        let header = ("Authorization".to_owned(), format!("Bearer {value}"));
        let headers = ("headers", Field::Texts(vec![header]));
        match self {
            Self::ClaudeCode | Self::Vscode => {
                vec![("type", "http".into()), ("url", url.into()), headers]
            }
            Self::Cursor | Self::Zed | Self::ClaudeDesktop => vec![("url", url.into()), headers],
            Self::Gemini => vec![("httpUrl", url.into()), headers],
            Self::Codex => {
                vec![("url", url.into()), ("bearer_token_env_var", TOKEN_VARIABLE.into())]
            }
            Self::Goose => {
                let mut fields = vec![("uri", url.into()), headers];
                let keys = token.is_none().then(|| TOKEN_VARIABLE.to_owned());
                fields.push(("envs", Field::Texts(Vec::new())));
                fields.push(("env_keys", Field::List(keys.into_iter().collect())));
                fields
            }
        }
    }

    /// What stands for the token where it is not given: the client's own way to name a variable or a
    /// question, or a word to replace where it has none.
    fn reference(self) -> String {
        match self {
            Self::ClaudeCode | Self::Goose => format!("${{{TOKEN_VARIABLE}}}"),
            Self::Cursor => format!("${{env:{TOKEN_VARIABLE}}}"),
            Self::Vscode => format!("${{input:{TOKEN_QUESTION}}}"),
            Self::Gemini => format!("${TOKEN_VARIABLE}"),
            Self::Codex | Self::Zed | Self::ClaudeDesktop => "PUT-THE-TOKEN-HERE".to_owned(),
        }
    }

    /// Where the client finds the token that is not in its file.
    pub(super) fn finds_token(self) -> String {
        match self {
            Self::Vscode => "VS Code asks for it, once, and keeps it encrypted".to_owned(),
            Self::Zed | Self::ClaudeDesktop => {
                format!("{} reads no variable: put it in its place in the file", self.title())
            }
            Self::Goose => format!(
                "goose takes it from the variable {TOKEN_VARIABLE}, or from its keyring, where \
                 `goose configure` puts it"
            ),
            Self::ClaudeCode | Self::Cursor | Self::Codex | Self::Gemini => format!(
                "{} takes it from the variable {TOKEN_VARIABLE} when it starts",
                self.title()
            ),
        }
    }

    /// Whether a token that is given is written into the file. Codex refuses to read it from there.
    pub(super) fn holds_token(self) -> bool {
        self != Self::Codex
    }

    /// The question that an entry of this client may need.
    #[must_use]
    pub fn question(self, transport: &Transport) -> Option<Question> {
        let is_open = matches!(transport, Transport::Http { token: None, .. });
        (self == Self::Vscode && is_open).then(Question::for_token)
    }

    /// The question that an entry of a file names.
    pub(super) fn question_of(self, entry: &serde_json::Value) -> Option<Question> {
        let is_named = entry.to_string().contains(&format!("${{input:{TOKEN_QUESTION}}}"));
        (self == Self::Vscode && is_named).then(Question::for_token)
    }

    /// What the client needs before it has the server.
    pub(super) const fn afterwards(self, scope: Scope) -> &'static str {
        match (self, scope) {
            (Self::ClaudeCode, Scope::User) => "start a new session; `/mcp` shows it",
            (Self::ClaudeCode, Scope::Project) => {
                "start a new session and approve the project's server; `/mcp` shows it"
            }
            (Self::ClaudeDesktop, _) => "quit Claude Desktop and start it again",
            (Self::Cursor, _) => "switch it on in Cursor's settings, under MCP",
            (Self::Vscode, _) => "start it with `MCP: List Servers`, and trust it",
            (Self::Codex, Scope::User) => "start a new session; `/mcp` shows it",
            (Self::Codex, Scope::Project) => {
                "start a new session; Codex reads this file in trusted projects alone"
            }
            (Self::Gemini, _) => "start a new session; `/mcp` shows it",
            (Self::Zed, _) => "Zed reads it at once; its Agent settings show it",
            (Self::Goose, _) => "start a new session; `goose configure` lists it",
        }
    }
}

impl Question {
    fn for_token() -> Self {
        Self {
            id: TOKEN_QUESTION,
            entry: Entry(vec![
                ("type", "promptString".into()),
                ("id", TOKEN_QUESTION.into()),
                ("description", "Countersign: the token for this client".into()),
                ("password", Field::Yes),
            ]),
        }
    }
}
