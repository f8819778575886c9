//! What the home keeps, and copies of it: `keep`, `delete`, `forget`, `backup` and `restore`.
//!
//! What deletes says first how much, and asks on the terminal. It needs no passphrase: nothing is
//! loosened by it. A backup does, and so does what is made of one.

mod backup;
mod delete;
mod keep;
mod restore;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::{Ctx, Exit, escape, print::Style, terminal::Terminal};
use crate::node::api::{ApiError, Erased, ErrorKind};

/// Commands about what the home keeps.
#[derive(Clone, Debug, Subcommand)]
pub enum DataCommand {
    /// Show for how long messages are kept, or set it; what is older is deleted
    #[command(after_help = "Examples:\n  countersign keep\n  countersign keep 90d\n  \
        countersign keep forever\n  countersign keep 30 days --peer bob\n  \
        countersign keep default --peer bob\n\n\
        Deleted is what was kept for so long and has come to its end. What no agent has seen, what is\n\
        held or queued, and what awaits a receipt until it expires stays, however old it is.")]
    Keep(KeepArgs),
    /// Delete a message, or those with a peer before a day, and all that holds their text
    #[command(after_help = "Examples:\n  countersign delete 0f3c...\n  \
        countersign delete --peer bob --before 2026-01-01")]
    Delete(DeleteArgs),
    /// Forget a peer that was revoked or blocked, and every message with it
    #[command(after_help = "Example:\n  countersign forget bob\n\n\
        The audit record and your decisions stay, which hold no text; of a blocked peer its id, so \
        that it\nstays blocked.")]
    Forget {
        /// The peer's name or id
        peer: String,
        /// How sure.
        #[command(flatten)]
        sure: Sure,
    },
    /// Write all of this home to a new file, sealed by the passphrase; the node goes on
    #[command(after_help = "Example:\n  countersign backup /media/stick/home.backup")]
    Backup {
        /// The file
        file: PathBuf,
    },
    /// Make this home from a backup; asks for the passphrase
    #[command(after_help = "Examples:\n  countersign restore /media/stick/home.backup\n  \
        countersign restore /media/stick/home.backup --replace")]
    Restore {
        /// The file
        file: PathBuf,
        /// Where there is a home: end its node, and move it aside; nothing of it is deleted
        #[arg(long)]
        replace: bool,
    },
}

/// Of `keep`.
#[derive(Clone, Debug, ClapArgs)]
pub struct KeepArgs {
    /// 90d, 90 days, forever, or default for a peer as for everybody (default: show)
    #[arg(value_name = "TIME", num_args = 0..=2)]
    pub time: Vec<String>,
    /// Only messages with this peer
    #[arg(long, value_name = "PEER", requires = "time")]
    pub peer: Option<String>,
    /// How sure.
    #[command(flatten)]
    pub sure: Sure,
}

/// Of `delete`.
#[derive(Clone, Debug, ClapArgs)]
pub struct DeleteArgs {
    /// The message's id
    #[arg(required_unless_present = "peer", conflicts_with = "peer")]
    pub message: Option<String>,
    /// The messages with this peer
    #[arg(long, value_name = "PEER", requires = "before")]
    pub peer: Option<String>,
    /// Stored before this day or time (UTC): 2026-01-01, or 2026-01-01T12:00:00Z
    #[arg(long, value_name = "WHEN", requires = "peer")]
    pub before: Option<String>,
    /// How sure.
    #[command(flatten)]
    pub sure: Sure,
}

/// Whether a person is asked.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub struct Sure {
    /// Do not ask, for scripts
    #[arg(long)]
    pub yes: bool,
    /// Change nothing, and say how much would go
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
}

/// Runs one of the commands.
pub(super) async fn run(ctx: &Ctx, command: DataCommand) -> anyhow::Result<Exit> {
    match command {
        DataCommand::Keep(args) => keep::keep(ctx, args).await,
        DataCommand::Delete(args) => delete::delete(ctx, args).await,
        DataCommand::Forget { peer, sure } => delete::forget(ctx, peer, sure).await,
        DataCommand::Backup { file } => backup::backup(ctx, file).await,
        DataCommand::Restore { file, replace } => restore::restore(ctx, &file, replace).await,
    }
}

/// Asks on the terminal whether to go on, unless the command said so.
///
/// # Errors
/// When the answer is not yes, or there is nobody to ask.
fn confirm(sure: Sure, question: &str) -> anyhow::Result<()> {
    if sure.yes {
        return Ok(());
    }
    let terminal = Terminal::open_for("deleting without --yes needs");
    let typed = terminal?.line(&format!("{question} [y/N] "))?;
    if ["y", "yes"].contains(&typed.to_lowercase().as_str()) {
        return Ok(());
    }
    let next = "run the command again when you want it";
    Err(ApiError::new(ErrorKind::WaitsForHuman, "nothing was changed", next).into())
}

/// A number of messages, in words.
fn messages(count: u64) -> String {
    if count == 1 { "1 message".to_owned() } else { format!("{count} messages") }
}

/// A deletion of nothing.
const fn nothing() -> Erased {
    Erased { messages: 0, staying: 0, dry_run: true, done: true }
}

/// What is meant and does not go.
fn staying(erased: &Erased) -> String {
    match erased.staying {
        0 => String::new(),
        count => format!(" {} stay: held, queued, unread, or not answered for.", messages(count)),
    }
}

/// What a deletion did.
fn erased_text(erased: &Erased, style: Style) -> String {
    let Erased { messages: count, dry_run, done, .. } = *erased;
    let head = match (dry_run, done) {
        (true, _) => format!("{} would be deleted.", messages(count)),
        (false, true) => style.good(&format!("{} deleted.", messages(count))),
        (false, false) => style.warn(&format!(
            "{} deleted so far; the node goes on until all of them are.",
            messages(count)
        )),
    };
    format!("{head}{}", staying(erased))
}

/// A peer's name, for a line.
fn named(name: &str) -> String {
    escape::line(name)
}
