//! The arguments. Their names and the exit codes are a contract: added, never renamed.

mod audit;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

pub use audit::{AuditCommand, Kept, Since};

pub use super::{
    bundle::BundleArgs, data::DataCommand, join::JoinArgs, move_home::MoveCommand, ping::PingArgs,
    storage::StorageCommand,
};
use crate::base::{GrantId, KnownId, PendingId, SessionName, limits::HOOK_BYTES_DEFAULT};

const ENVIRONMENT: &str = "\
Environment:
  COUNTERSIGN_HOME     the folder of keys and messages (default: ~/.countersign)
  COUNTERSIGN_NETWORK  internet (default), lan, or loopback (127.0.0.1 only)
  COUNTERSIGN_SESSION  what countersign mcp calls its session (default: its folder)
  NO_COLOR             no colours

Exit codes:
  0 done, 1 failed, 2 usage, 3 waits for a human, 4 denied

Examples:
  countersign init          set up, once
  countersign page          the same and everything else, in your browser
  countersign demo          see two nodes pair and talk, in half a minute
  countersign mcp           what an MCP client starts";

/// Lets your LLM agent talk to other people's agents, after both humans said yes.
#[derive(Clone, Debug, Parser)]
#[command(name = "countersign", version, after_help = ENVIRONMENT)]
pub struct Args {
    /// Print the data as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Create the keys; asks on the terminal for the approval passphrase
    #[command(after_help = "Example:\n  countersign init --name Alice")]
    Init {
        /// What this node calls itself to peers
        #[arg(long)]
        name: Option<String>,
    },
    /// Speak MCP over stdio; starts the node when none runs
    #[command(after_help = "Example, in an MCP client's settings:\n  \
        {\"mcpServers\": {\"countersign\": {\"command\": \"countersign\", \"args\": [\"mcp\"]}}}")]
    Mcp(McpArgs),
    /// Print what is new for an agent, for a client that runs a command at certain moments
    #[command(
        after_help = "Example, as a command of a client's hook:\n  countersign hook --budget 2048"
    )]
    Hook(HookArgs),
    /// Print what gives your MCP client this server, and where it goes; --write writes it
    #[command(after_help = "Examples:\n  countersign join claude-code\n  \
        countersign join codex --write\n  countersign join vscode --scope project --write\n  \
        countersign join codex --remove\n  countersign join cursor --http")]
    Join(JoinArgs),
    /// Make a Claude Code plugin, an .mcpb bundle and a registry entry of this program
    #[command(hide = true, after_help = "Example:\n  countersign bundle out")]
    Bundle(BundleArgs),
    /// Run the node in the foreground
    #[command(
        after_help = "Example:\n  COUNTERSIGN_NETWORK=lan COUNTERSIGN_LOG=debug countersign node"
    )]
    Node {
        /// Started by another command: leave its session
        #[arg(long, hide = true)]
        background: bool,
    },
    /// Measure the scanner and the default policy on sets of labelled cases
    #[command(hide = true, after_help = "Example:\n  countersign measure --json corpora")]
    Measure {
        /// A folder of *.jsonl and *.jsonl.gz, an object with `label` and `text` a line
        folder: std::path::PathBuf,
        /// Tell of each case of this set in which nothing was found
        #[arg(long, value_name = "SET")]
        missed: Option<String>,
        /// Tell of each case of this set in which something was found
        #[arg(long, value_name = "SET", conflicts_with = "missed")]
        found: Option<String>,
    },
    /// Show how the node is; starts none
    #[command(after_help = "Example:\n  countersign status --json")]
    Status,
    /// End the node; what is queued stays on disk
    #[command(after_help = "Example:\n  countersign stop")]
    Stop,
    /// Show my id, name, words and how I can be reached
    #[command(after_help = "Example:\n  countersign whoami")]
    Whoami,
    /// Make an invite to hand to one person
    #[command(
        after_help = "Examples:\n  countersign invite --note 'for Bob' --expires-minutes 60\n  \
        countersign invite --code"
    )]
    Invite {
        /// Shown to you beside the request that uses it
        #[arg(long)]
        note: Option<String>,
        /// Minutes until it is worthless (default: 1440)
        #[arg(long, value_name = "MINUTES",
            value_parser = clap::value_parser!(u64).range(1..=10_080))]
        expires_minutes: Option<u64>,
        /// As three words to say, good for ten minutes and one try
        #[arg(long, conflicts_with = "expires_minutes")]
        code: bool,
    },
    /// Use an invite or a code; exits 3 while a human is asked
    #[command(after_help = "Examples:\n  countersign connect countersign1abc... --name bob\n  \
        countersign connect copper violin harbor\n  countersign connect")]
    Connect {
        /// The invite's text, or the three words of a code (default: asked for in the terminal)
        #[arg(value_name = "INVITE|WORDS")]
        invite: Vec<String>,
        /// What to call the peer
        #[arg(long)]
        name: Option<String>,
        /// A line for the other human
        #[arg(long)]
        note: Option<String>,
    },
    /// List peers
    #[command(after_help = "Example:\n  countersign peers --json")]
    Peers,
    /// Ask a peer's node whether it is there, and how it is reached; wakes no agent
    #[command(after_help = "Example:\n  countersign ping bob --count 5")]
    Ping(PingArgs),
    /// List the sessions of my MCP clients, open and known
    #[command(after_help = "Example:\n  countersign sessions --json")]
    Sessions,
    /// Send a message; exits 3 when it is held for you, 4 when it was denied
    #[command(after_help = "Examples:\n  countersign send bob 'lunch?'\n  \
        git diff | countersign send bob -")]
    Send(SendArgs),
    /// Send a request and wait for its reply
    #[command(after_help = "Example:\n  countersign ask bob 'which port?' --wait 60")]
    Ask {
        /// A peer's name or id
        to: String,
        /// The text; - reads stdin
        text: Option<String>,
        /// Seconds to wait for the reply, at most 600
        #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = wait())]
        wait: u64,
    },
    /// List messages
    #[command(after_help = "Example:\n  countersign inbox --from bob --unread --wait 30")]
    Inbox(InboxArgs),
    /// Read one message whole
    #[command(after_help = "Example:\n  countersign read 0f3c...")]
    Read {
        /// The message's id
        id: String,
        /// From this byte on
        #[arg(long, value_name = "BYTES")]
        offset: Option<u64>,
        /// Count it as shown to the agent, which its sender learns
        #[arg(long)]
        mark_read: bool,
    },
    /// Show one message's life, each state with its time
    #[command(after_help = "Example:\n  countersign message 0f3c...")]
    Message {
        /// The message's id
        id: String,
    },
    /// Print the link to the page where you decide, read and stop; sets up what is missing
    #[command(after_help = "Examples:\n  countersign page\n  countersign page --open")]
    Page {
        /// Open it in your browser
        #[arg(long)]
        open: bool,
        /// What this node calls itself to peers, where the home is not set up yet
        #[arg(long)]
        name: Option<String>,
    },
    /// See what happens as it happens, and decide with a key and the passphrase
    #[command(after_help = "Example:\n  countersign watch --quiet")]
    Watch {
        /// No bell when something begins to wait for you
        #[arg(long)]
        quiet: bool,
    },
    /// List what waits for you
    #[command(after_help = "Example:\n  countersign pending")]
    Pending,
    /// Show an item that waits, and approve it with the passphrase
    #[command(after_help = "Examples:\n  countersign approve k3v9x2ma\n  \
        countersign approve k3v9x2ma --verified\n  \
        countersign approve k3v9x2ma --for 24 --messages 10 --per-hour 3")]
    Approve {
        /// The item's id
        id: PendingId,
        /// You compared the four words with the other person, or told or heard a code's three words
        /// yourself
        #[arg(long)]
        verified: bool,
        /// And let the like of this message pass unasked for so long, up to 720
        #[arg(long = "for", value_name = "HOURS", value_parser = hours())]
        hours: Option<u64>,
        /// At most so many of them, up to 1000
        #[arg(long, value_name = "N", default_value_t = 20, requires = "hours",
            value_parser = messages())]
        messages: u64,
        /// And at most so many of them within an hour, up to 1000
        #[arg(long, value_name = "N", requires = "hours", value_parser = messages())]
        per_hour: Option<u64>,
        /// And only messages of its kind: text, request or reply
        #[arg(long, requires = "hours")]
        same_kind: bool,
    },
    /// Deny an item that waits
    #[command(after_help = "Example:\n  countersign deny k3v9x2ma --block")]
    Deny {
        /// The item's id
        id: PendingId,
        /// And hear nothing of the peer again
        #[arg(long)]
        block: bool,
    },
    /// List the grants that hold: what passes without asking you; or end one
    #[command(after_help = "Examples:\n  countersign grants\n  countersign grants end m4t7c2qa")]
    Grants {
        /// What to do with them
        #[command(subcommand)]
        change: Option<GrantsCommand>,
    },
    /// End the trust in a peer, at once
    #[command(after_help = "Example:\n  countersign revoke bob --block")]
    Revoke {
        /// The peer's name or id
        peer: String,
        /// And hear nothing of it again
        #[arg(long)]
        block: bool,
    },
    /// The record of what happened
    #[command(subcommand)]
    Audit(AuditCommand),
    /// The rules for what needs your approval
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Show whose texts your agent has read, which makes you be asked about what it does next; or end that
    #[command(after_help = "Examples:\n  countersign taint\n  countersign taint clear")]
    Taint {
        /// What to change
        #[command(subcommand)]
        change: Option<TaintCommand>,
    },
    /// Your own secrets that are to be found in messages, by keyed hashes
    #[command(subcommand)]
    Known(KnownCommand),
    /// Bearer tokens of MCP clients that come over HTTP; each is let in as `countersign mcp` is
    #[command(subcommand)]
    Token(TokenCommand),
    /// What the home keeps.
    #[command(flatten)]
    Data(DataCommand),
    /// Carry this home to another host: keys, settings, trust and every message
    #[command(subcommand)]
    Move(MoveCommand),
    /// How this home's messages are sealed on disk
    #[command(subcommand)]
    Storage(StorageCommand),
    /// Check this home and its network, with a remedy for each trouble
    #[command(after_help = "Example:\n  countersign doctor")]
    Doctor,
    /// Two real nodes on this machine, paired and talking through MCP, each step explained
    #[command(after_help = "Example:\n  countersign demo")]
    Demo,
}

/// Of `mcp`.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct McpArgs {
    /// Push messages into the conversation, where the client was started so that it shows them
    /// (`claude/channel`)
    #[arg(long)]
    pub channel: bool,
    /// What the session is called, for messages to PEER/NAME (default: its folder)
    #[arg(long, value_name = "NAME", value_parser = SessionName::parse)]
    pub session: Option<SessionName>,
}

/// Of `hook`.
#[derive(Clone, Debug, ClapArgs)]
pub struct HookArgs {
    /// Print at most this much, 512 to 32768
    #[arg(long, value_name = "BYTES", default_value_t = HOOK_BYTES_DEFAULT, value_parser = budget())]
    pub budget: u32,
    /// Let an agent that is about to stop go on with what is new
    #[arg(long)]
    pub on_stop: bool,
}

/// Of `send`.
#[derive(Clone, Debug, ClapArgs)]
pub struct SendArgs {
    /// A peer's name or id
    pub to: String,
    /// The text; - reads stdin
    pub text: Option<String>,
    /// The message that this answers
    #[arg(long, value_name = "ID")]
    pub reply_to: Option<String>,
    /// The conversation that this belongs to
    #[arg(long, value_name = "ID")]
    pub thread: Option<String>,
    /// Hours until it is worthless (default: 168)
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u64).range(1..=720))]
    pub expires_hours: Option<u64>,
}

/// Of `inbox`.
#[derive(Clone, Debug, ClapArgs)]
pub struct InboxArgs {
    /// Only from this peer
    #[arg(long, value_name = "PEER")]
    pub from: Option<String>,
    /// Only of this conversation, in both directions
    #[arg(long, value_name = "ID")]
    pub thread: Option<String>,
    /// Only with all of these words; the last may be the beginning of one
    #[arg(long, value_name = "WORDS")]
    pub query: Option<String>,
    /// Only those that the agent has not seen
    #[arg(long)]
    pub unread: bool,
    /// Seconds to wait for a message when there is none, at most 600
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = wait())]
    pub wait: u64,
    /// At most this many, up to 100 (default: 20)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub limit: Option<u32>,
    /// Where the last page ended
    #[arg(long)]
    pub cursor: Option<String>,
    /// Count them as shown to the agent, which their senders learn
    #[arg(long)]
    pub mark_read: bool,
}

/// Of `grants`.
#[derive(Clone, Debug, Subcommand)]
pub enum GrantsCommand {
    /// End a grant, at once
    #[command(after_help = "Example:\n  countersign grants end m4t7c2qa")]
    End {
        /// The grant's id
        id: GrantId,
    },
}

/// Of `policy`.
#[derive(Clone, Debug, Subcommand)]
pub enum PolicyCommand {
    /// Show the policy that counts
    #[command(after_help = "Examples:\n  countersign policy show\n  \
        countersign policy show --standard > policy.toml")]
    Show {
        /// The one that counts where you set none
        #[arg(long)]
        standard: bool,
    },
    /// Say what is wrong with a policy, or what would happen to a text; changes and sends nothing
    #[command(after_help = "Examples:\n  countersign policy check policy.toml\n  \
        countersign policy check policy.toml --peer bob --finding secret.aws_access_key\n  \
        countersign policy check 'hello'\n  countersign policy check < letter.txt")]
    Check(CheckArgs),
    /// Let a policy count from now on; asks for the passphrase where it is looser
    #[command(after_help = "Example:\n  countersign policy set policy.toml")]
    Set {
        /// The policy
        file: PathBuf,
    },
    /// Let the standard policy count again; asks for the passphrase where it is looser
    #[command(after_help = "Example:\n  countersign policy reset")]
    Reset,
    /// Say why a message passed, waited or was refused, and what would happen to it today
    #[command(after_help = "Example:\n  countersign policy explain 0f3c...")]
    Explain {
        /// The message's id
        message: String,
    },
    /// Show whether the program that your agent runs in may answer for you; or change it
    #[command(after_help = "Examples:\n  countersign policy inline\n  \
        countersign policy inline on --for 8 --severity high\n  countersign policy inline off")]
    Inline {
        /// What to change
        #[command(subcommand)]
        change: Option<InlineCommand>,
    },
}

/// Of `policy check`.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct CheckArgs {
    /// A policy, by a name that ends with .toml; or a text, judged by the policy that counts; - reads
    /// that from stdin
    #[arg(value_name = "FILE.toml|TEXT")]
    pub what: Option<String>,
    /// Say what the policy does with something that goes this way
    #[arg(long, value_enum, value_name = "WAY")]
    pub direction: Option<Way>,
    /// With this peer
    #[arg(long, value_name = "NAME")]
    pub peer: Option<String>,
    /// Of this kind: text, request, reply, or peer for a new peer
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// Of so many bytes
    #[arg(long, value_name = "BYTES")]
    pub size: Option<u64>,
    /// In which this is found, as bad as can be; may be given more than once
    #[arg(long, value_name = "RULE")]
    pub finding: Vec<String>,
    /// With the text of this file
    #[arg(long, value_name = "FILE")]
    pub text_file: Option<PathBuf>,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// From your agent.
    Out,
    /// To your agent.
    In,
}

/// Of `taint`.
#[derive(Clone, Debug, Subcommand)]
pub enum TaintCommand {
    /// Let it begin anew: what it has read counts no more; asks for the passphrase
    #[command(after_help = "Example:\n  countersign taint clear")]
    Clear,
}

/// Of `known`.
#[derive(Clone, Debug, Subcommand)]
pub enum KnownCommand {
    /// Watch for the values of a file, such as .env; keeps hashes, prints and sends no value
    #[command(after_help = "Examples:\n  countersign known add .env\n  \
        countersign known add - < secrets.txt")]
    Add {
        /// The file; - reads lines of NAME=VALUE from stdin
        file: PathBuf,
    },
    /// List what is watched for, by name
    #[command(after_help = "Example:\n  countersign known list")]
    List,
    /// Watch for a value no more; asks for the passphrase
    #[command(after_help = "Example:\n  countersign known forget p4t7c2qa")]
    Forget {
        /// The value's id
        id: KnownId,
    },
}

/// Of `token`.
#[derive(Clone, Debug, Subcommand)]
pub enum TokenCommand {
    /// Make one; it is shown once, alone on stdout
    #[command(after_help = "Examples:\n  countersign token new laptop\n  \
        TOKEN=$(countersign token new laptop)")]
    New {
        /// What to call it: the session's name too, where the client gives none
        name: String,
    },
    /// List those that are good
    #[command(after_help = "Example:\n  countersign token list")]
    List,
    /// End one, and every session that came by it, at once
    #[command(after_help = "Example:\n  countersign token revoke laptop")]
    Revoke {
        /// What it is called
        name: String,
    },
}

/// Of `policy inline`.
#[derive(Clone, Debug, Subcommand)]
pub enum InlineCommand {
    /// Let it, for a while; explains what that means, then asks for the passphrase
    #[command(after_help = "Example:\n  countersign policy inline on --for 8 --messages 10")]
    On {
        /// For so long, up to 720
        #[arg(long = "for", value_name = "HOURS", value_parser = hours())]
        hours: u64,
        /// For at most so many messages, up to 1000
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = messages())]
        messages: u64,
        /// For messages in which nothing worse than this is found
        #[arg(long, value_enum, default_value_t = Worst::High)]
        severity: Worst,
    },
    /// Do not let it any more, at once
    #[command(after_help = "Example:\n  countersign policy inline off")]
    Off,
}

/// The worst finding that is covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Worst {
    /// What is worth a question.
    High,
    /// Secrets and attacks too.
    Critical,
}

fn budget() -> clap::builder::RangedI64ValueParser<u32> {
    let bounds = super::hook::budgets();
    clap::value_parser!(u32).range(i64::from(*bounds.start())..=i64::from(*bounds.end()))
}

fn hours() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=720)
}

fn messages() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=1000)
}

fn wait() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(0..=600)
}

#[cfg(test)]
mod tests;
