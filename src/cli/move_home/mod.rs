//! `move`: a home goes to another host, in an archive that the approval passphrase seals.
//!
//! The passphrase is typed on the terminal, and the old home refuses to start from then on. What is
//! in an archive, and what it is good for, is in [`crate::store::archive`].

mod export;
pub(super) mod import;
mod undo;

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
use clap::Subcommand;

use super::{Ctx, Exit, order, terminal::Terminal};
use crate::{
    base::Secret,
    node::{
        api::{ApiError, ErrorKind},
        config::Home,
        moved,
    },
    store::{
        archive::{ArchiveError, Part, Purpose, Source},
        audit::rotate,
    },
};

/// Of `move`.
#[derive(Clone, Debug, Subcommand)]
pub enum MoveCommand {
    /// Write this home to a new file, sealed by the passphrase; from then on it starts only there
    #[command(after_help = "Example:\n  countersign move export /media/stick/home.countersign")]
    Export {
        /// The file
        file: PathBuf,
    },
    /// Make this home from such a file; asks for the passphrase
    #[command(after_help = "Example:\n  countersign move import /media/stick/home.countersign")]
    Import {
        /// The file
        file: PathBuf,
    },
    /// Let a home that was exported start here again; asks for the passphrase
    #[command(after_help = "Example:\n  countersign move undo")]
    Undo,
}

/// What the files are called inside of an archive. The order counts.
const IDENTITY: &str = "identity.key";
const APPROVER: &str = "approver.key";
const CONFIG: &str = "config.toml";
const DATABASE: &str = "countersign.db";
const STORAGE_KEY: &str = "store.key";
const NAMES: [&str; 5] = [IDENTITY, APPROVER, CONFIG, DATABASE, STORAGE_KEY];
/// Archives of the first version are older than the storage key.
const NAMES_1: [&str; 4] = [IDENTITY, APPROVER, CONFIG, DATABASE];

/// The files of a home that go with it. The log, the lock, the socket and the count of wrong
/// passphrases stay. The storage key goes along, wherever it is kept here, and so do the parts of the
/// audit record that are in files.
pub(super) fn parts(home: &Home, key: Secret<[u8; 32]>) -> anyhow::Result<Vec<Part>> {
    let files =
        [home.identity_file(), home.approver_file(), home.config_file(), home.database_file()];
    let key = Source::Key(Arc::new(key));
    let sources = files.into_iter().map(Source::File).chain([key]);
    let part = |(name, from): (&str, Source)| Part { name: name.to_owned(), from };
    let records = rotate::files(&home.database_file())
        .with_context(|| home.path().display().to_string())?
        .into_iter()
        .map(|(name, path)| Part { name, from: Source::File(path) });
    Ok(NAMES.into_iter().zip(sources).map(part).chain(records).collect())
}

/// Runs one of the commands.
pub(super) async fn run(ctx: &Ctx, command: MoveCommand) -> anyhow::Result<Exit> {
    match command {
        MoveCommand::Export { file } => export::export(ctx, file).await,
        MoveCommand::Import { file } => import::import(ctx, &file),
        MoveCommand::Undo => undo::undo(ctx).await,
    }
}

/// What there is to say of a home that has moved.
pub(super) fn warning(home: &Home) -> Option<String> {
    moved::says(home).map(|moved| format!("{moved}; {}", moved::MOVED_NEXT))
}

/// Asks for the passphrase.
pub(super) fn passphrase(terminal: &Terminal) -> anyhow::Result<Secret<String>> {
    let typed = terminal.passphrase(order::PROMPT)?;
    if typed.expose_secret().is_empty() {
        let next = "run the command again when you want it";
        return Err(ApiError::new(ErrorKind::WaitsForHuman, "nothing was changed", next).into());
    }
    Ok(typed)
}

/// An error about an archive, with what to do.
pub(super) fn trouble(error: &ArchiveError) -> ApiError {
    let next = match error {
        ArchiveError::Io { .. } => "see that the file can be read or written, and try again",
        ArchiveError::Exists(_) => "choose a name that is free; nothing was changed",
        ArchiveError::Foreign { .. } => "give the file that this command wrote",
        ArchiveError::MadeFor { made_for: Purpose::Move, .. } => {
            "use it with: countersign move import FILE"
        }
        ArchiveError::MadeFor { made_for: Purpose::Backup, .. } => {
            "use it with: countersign restore FILE"
        }
        ArchiveError::Newer(_) => "update countersign on this host, and try again",
        ArchiveError::WrongPassphrase(_) => {
            "type the approval passphrase of the home that it was made of; nothing was changed"
        }
        ArchiveError::Damaged(_) => {
            "take another copy of it, or another backup; a home that was exported can be exported \
             again after `countersign move undo`; nothing was changed"
        }
        ArchiveError::Parameters { .. } => "it is damaged: copy it again; nothing was changed",
    };
    ApiError::new(ErrorKind::Refused, error.to_string(), next)
}
