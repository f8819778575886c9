//! The manifests, each by its maker's documents: plugins (`code.claude.com/docs/en/plugins-reference`),
//! bundles (`github.com/modelcontextprotocol/mcpb`, `MANIFEST.md`, version 0.3) and the registry
//! (`static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json`), read on 2026-11-21.

use serde_json::{Value as Json, json};

use super::prompts::Prompt;

const NAME: &str = "countersign";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// At most 100 characters, which the registry wants.
pub(super) const DESCRIPTION: &str =
    "Lets your agent talk to other people's agents, after both humans said yes";
const AUTHOR: &str = "The Countersign authors";
const LICENSE: &str = "MIT OR Apache-2.0";
/// A hook that takes longer is given up; it takes milliseconds.
const HOOK_SECONDS: u32 = 5;

/// The tools' texts by their names.
pub(super) const TOOLS: [(&str, &str); 10] = [
    ("peer_ask", include_str!("../../../tools/peer_ask.md")),
    ("peer_connect", include_str!("../../../tools/peer_connect.md")),
    ("peer_inbox", include_str!("../../../tools/peer_inbox.md")),
    ("peer_invite", include_str!("../../../tools/peer_invite.md")),
    ("peer_read", include_str!("../../../tools/peer_read.md")),
    ("peer_send", include_str!("../../../tools/peer_send.md")),
    ("peer_status", include_str!("../../../tools/peer_status.md")),
    ("peer_whoami", include_str!("../../../tools/peer_whoami.md")),
    ("trust_list", include_str!("../../../tools/trust_list.md")),
    ("trust_revoke", include_str!("../../../tools/trust_revoke.md")),
];

/// The catalogue of one plugin.
pub(super) fn marketplace() -> Json {
    json!({
        "name": NAME,
        "owner": { "name": AUTHOR },
        "metadata": { "description": DESCRIPTION },
        "plugins": [{
            "name": NAME, "source": "./plugin", "version": VERSION, "description": DESCRIPTION,
        }],
    })
}

/// The plugin.
pub(super) fn plugin() -> Json {
    json!({
        "name": NAME,
        "version": VERSION,
        "description": DESCRIPTION,
        "author": { "name": AUTHOR },
        "license": LICENSE,
        "keywords": ["agents", "messages", "peer-to-peer", "approval"],
        "channels": [{ "server": NAME }],
    })
}

/// The plugin's server.
pub(super) fn plugin_server() -> Json {
    let command = "${CLAUDE_PLUGIN_ROOT}/bin/countersign";
    json!({ "mcpServers": { NAME: { "command": command, "args": ["mcp", "--channel"] } } })
}

/// The plugin's hooks.
pub(super) fn hooks() -> Json {
    let command = "\"${CLAUDE_PLUGIN_ROOT}/bin/countersign\" hook";
    let one = json!([{
        "hooks": [{ "type": "command", "command": command, "timeout": HOOK_SECONDS }],
    }]);
    json!({ "hooks": { "SessionStart": one, "UserPromptSubmit": one } })
}

/// The bundle.
pub(super) fn bundle(prompts: &[Prompt]) -> Json {
    let tools = TOOLS.map(|(name, text)| json!({ "name": name, "description": text.trim() }));
    let prompt = |prompt: &Prompt| {
        let arguments: Vec<&str> = prompt.arguments.iter().map(|one| one.name).collect();
        json!({
            "name": prompt.name,
            "description": prompt.description,
            "arguments": arguments,
            "text": prompt.text(|name| format!("${{arguments.{name}}}")),
        })
    };
    let platform = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let prompts: Vec<Json> = prompts.iter().map(prompt).collect();
    json!({
        "manifest_version": "0.3",
        "name": NAME,
        "display_name": "Countersign",
        "version": VERSION,
        "description": DESCRIPTION,
        "author": { "name": AUTHOR },
        "license": LICENSE,
        "keywords": ["agents", "messages", "peer-to-peer", "approval"],
        "server": {
            "type": "binary",
            "entry_point": "bin/countersign",
            "mcp_config": { "command": "${__dirname}/bin/countersign", "args": ["mcp"] },
        },
        "tools": tools,
        "prompts": prompts,
        "compatibility": { "platforms": [platform] },
    })
}

/// The registry's entry, for a bundle that lies at `url`.
pub(super) fn registry(url: &str, sha256: &str) -> Json {
    let variable = |name: &str, description: &str| json!({ "name": name, "description": description, "isRequired": false });
    json!({
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": registry_name(url),
        "title": "Countersign",
        "description": DESCRIPTION,
        "version": VERSION,
        "packages": [{
            "registryType": "mcpb",
            "identifier": url,
            "fileSha256": sha256,
            "transport": { "type": "stdio" },
            "environmentVariables": [
                variable("COUNTERSIGN_HOME", "The folder of keys and messages"),
                variable("COUNTERSIGN_NETWORK", "internet, lan or loopback"),
            ],
        }],
    })
}

/// The name's namespace is the address's host, backwards, or the owner there, where many share a host.
fn registry_name(url: &str) -> String {
    let (host, path) = host_and_path(url).unwrap_or_default();
    let owner = path.split('/').next().unwrap_or_default().to_lowercase();
    let namespace = match host {
        "github.com" => format!("io.github.{owner}"),
        "gitlab.com" => format!("com.gitlab.{owner}"),
        host => host.rsplit('.').collect::<Vec<_>>().join("."),
    };
    format!("{namespace}/{NAME}")
}

fn host_and_path(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("https://")?.split_once('/')
}

/// An address from which a client can download the bundle.
///
/// # Errors
/// When it is no such address.
pub(super) fn download(url: &str) -> Result<String, String> {
    let is_host = |host: &str| {
        let is_label = |label: &str| {
            !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        host.contains('.') && host.split('.').all(is_label)
    };
    let is_path = |path: &str| {
        path.strip_suffix(".mcpb").is_some()
            && path.chars().all(|c| c.is_ascii_graphic() && c != '"')
    };
    match host_and_path(url) {
        Some((host, path)) if is_host(host) && is_path(path) => Ok(url.to_owned()),
        _ => Err("an address is https://HOST/PATH.mcpb".to_owned()),
    }
}
