//! The arguments of `join`, and their bounds.

use clap::Args;

use super::{
    client::{Client, Scope},
    from_stdin, usage,
};
use crate::base::SessionName;

const NAME_BYTES_MAX: usize = 32;

/// Of `join`.
#[derive(Clone, Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct JoinArgs {
    /// The client
    #[arg(value_enum)]
    pub client: Client,
    /// Write it: shows the difference, keeps a backup, changes nothing else
    #[arg(long)]
    pub write: bool,
    /// Take the entry out again; keeps a backup
    #[arg(long, conflicts_with_all = ["write", "http", "session"])]
    pub remove: bool,
    /// Put it in the place of another server of that name
    #[arg(long, requires = "write")]
    pub replace: bool,
    /// Whose configuration: yours, or this folder's
    #[arg(long, value_enum, default_value_t = Scope::User)]
    pub scope: Scope,
    /// What the client calls the server
    #[arg(long, value_name = "NAME", default_value = "countersign")]
    pub name: String,
    /// What the client's session is called; without it, by its folder
    #[arg(long, value_name = "NAME", value_parser = session, conflicts_with = "http")]
    pub session: Option<String>,
    /// Over HTTP, to a node that runs, instead of a process of the client's own
    #[arg(long)]
    pub http: bool,
    /// Where the node listens
    #[arg(long, value_name = "URL", requires = "http", value_parser = url,
        default_value = "http://127.0.0.1:7311/mcp")]
    pub url: String,
    /// Write this token into the file, which makes it a secret; - reads it from stdin
    #[arg(long, value_name = "TOKEN", requires = "http")]
    pub token: Option<String>,
}

fn session(text: &str) -> Result<String, String> {
    let name = SessionName::parse(text).map_err(|error| error.to_string())?;
    Ok(name.as_str().to_owned())
}

fn url(text: &str) -> Result<String, String> {
    let is_http = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
    let is_plain = text.chars().all(|c| c.is_ascii_graphic() && !"\"'\\$`{}<>".contains(c));
    if is_http && is_plain {
        Ok(text.to_owned())
    } else {
        Err("an address begins with http:// or https:// and has no space in it".to_owned())
    }
}

/// A name that every client takes, or this one.
pub(super) fn server_name(client: Client, name: &str) -> anyhow::Result<String> {
    let is_first = |c: char| c.is_ascii_alphabetic();
    let is_more = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_name =
        name.len() <= NAME_BYTES_MAX && name.starts_with(is_first) && name.chars().all(is_more);
    if !is_name {
        let next = format!("use a letter, then letters, digits and -, {NAME_BYTES_MAX} at most");
        return Err(usage("--name is no name for a server", next));
    }
    if client == Client::Gemini && name.contains('_') {
        let message = "Gemini CLI cannot tell a server's name from a tool's where it has a _";
        return Err(usage(message, "use - in --name"));
    }
    Ok(name.to_owned())
}

/// A token that no client reads as anything else. It is not told in the error.
pub(super) fn token(token: &str) -> anyhow::Result<String> {
    let token = if token == "-" { from_stdin()? } else { token.to_owned() };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    if token.is_empty() || !token.chars().all(is_plain) {
        let next = "give what `countersign token new` printed";
        return Err(usage("that is no token", next));
    }
    Ok(token)
}
