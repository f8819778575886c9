//! `storage`: where the key of the sealed messages is kept.
//!
//! Moving it takes the passphrase on the terminal: in the keyring it is behind the person's login, in
//! the home it is beside what it opens.

use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::{Ctx, Exit, approval, node, order, print, terminal::Terminal};
use crate::{
    daemon::{self, Lock},
    node::{config::Config, guard},
    store::{
        keys,
        storage_key::{self, KeyPlace},
    },
};

/// Of `storage`.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum StorageCommand {
    /// Show where the key is kept, or keep it elsewhere; asks for the passphrase
    #[command(after_help = "Example:\n  countersign storage key --to keyring")]
    Key {
        /// Where to keep it from now on
        #[arg(long)]
        to: Option<Place>,
    },
}

/// Where a key can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Place {
    /// The desktop's keyring
    Keyring,
    /// store.key in this home
    File,
}

/// What there is to say.
#[derive(Serialize)]
struct Kept {
    key: Option<KeyPlace>,
    moved: bool,
}

/// Runs it.
pub(super) async fn run(ctx: &Ctx, command: StorageCommand) -> anyhow::Result<Exit> {
    let StorageCommand::Key { to } = command;
    daemon::need_set_up(&ctx.home)?;
    if let Some(to) = to {
        return keep(ctx, to).await;
    }
    let key = storage_key::place(&ctx.home.database_file())?;
    told(ctx, &Kept { key, moved: false })
}

async fn keep(ctx: &Ctx, to: Place) -> anyhow::Result<Exit> {
    let home = &ctx.home;
    let terminal = Terminal::open_for("moving the storage key needs")?;
    approval::sealed(home)?;
    guard::close_memory()?;
    let typed = terminal.passphrase(order::PROMPT)?;
    drop(approval::open(home, &typed)?);
    drop(typed);
    if node::end(ctx).await?.is_some() {
        print::talk("The node has ended.");
    }
    let _lock = Lock::take(home).await?;
    let owner = keys::read_identity(&home.identity_file())?.id();
    let source = home.key_source(&Config::read(home)?);
    let to = match to {
        Place::Keyring => KeyPlace::Keyring,
        Place::File => KeyPlace::File,
    };
    let moved = storage_key::move_key(&home.database_file(), &owner, &source, to)?;
    told(ctx, &Kept { key: Some(to), moved })
}

fn told(ctx: &Ctx, kept: &Kept) -> anyhow::Result<Exit> {
    let file = ctx.home.storage_key_file();
    ctx.out.data(kept, |_| {
        let place = match kept.key {
            Some(KeyPlace::Keyring) => "in the desktop's keyring".to_owned(),
            Some(KeyPlace::File) => format!("in {}", file.display()),
            None => {
                return "There is no storage key yet: the node makes it at its start.".to_owned();
            }
        };
        let now = if kept.moved { "now " } else { "" };
        format!("The key of this home's messages is {now}{place}.")
    })?;
    Ok(Exit::Done)
}
