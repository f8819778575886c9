#![doc = include_str!("SCHEMA.md")]

pub mod archive;
pub mod audit;
pub mod deletion;
pub mod grants;
pub mod keys;
pub mod known;
pub mod messages;
pub mod migrate;
pub mod outbox;
mod page;
pub mod pairings;
pub mod peers;
pub mod pending;
pub mod policies;
pub mod retention;
mod rows;
pub mod said;
mod schema;
pub mod seal;
pub mod search;
pub mod sessions;
pub mod shown;
pub mod space;
pub mod standing;
pub mod storage_key;
pub mod talks;
#[cfg(test)]
mod tests;
pub mod timeline;
pub mod tokens;
pub mod unread;
pub mod verdicts;
mod whole;
pub mod witnesses;
pub mod words;
mod worker;

pub use worker::Store;
#[cfg(test)]
pub use worker::{Stepped, copy_of};

use std::path::PathBuf;

/// Why the store did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database is from a later version.
    #[error(
        "{path} has schema {found}, and this countersign knows {known}; update countersign, or \
         use another COUNTERSIGN_HOME"
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest that we know.
        known: u32,
    },
    /// The file is no database of ours.
    #[error("{0} is not a countersign database")]
    Foreign(PathBuf),
    /// The file belongs to another node.
    #[error("{path} belongs to the node {owner}, and this home's identity is another")]
    OtherNode {
        /// Which file.
        path: PathBuf,
        /// Whose.
        owner: String,
    },
    /// `SQLite`'s check found damage.
    #[error("{path} is damaged: {problem}; restore it from a copy")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What the check said first.
        problem: String,
    },
    /// No room.
    #[error("the disk is full; nothing was stored")]
    DiskFull,
    /// The disk or the file does not take writes.
    #[error("the database cannot be written: {0}")]
    ReadOnly(String),
    /// `SQLite` said something else.
    #[error("the database failed: {0}")]
    Sqlite(String),
    /// A row is not what we wrote.
    #[error("a row of {table} cannot be read: {problem}")]
    Row {
        /// Which table.
        table: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A sealed value does not open.
    #[error(
        "a row of {table} cannot be read: its {column} does not open, so it was damaged, changed, or \
         moved here from another row; restore it from a copy, or go on without it"
    )]
    Sealed {
        /// Which table.
        table: &'static str,
        /// Which column of it.
        column: &'static str,
    },
    /// The key of the sealed columns cannot be used; says what to do.
    #[error("{0}")]
    Key(String),
    /// What waited was decided by somebody else first.
    #[error("nothing waits under {0}: it was decided, or expired")]
    Decided(crate::base::PendingId),
    /// A grant was given or ended before.
    #[error("the grant {0} was given or ended before, and counts no more")]
    Again(crate::base::GrantId),
    /// Something in the file keeps rows from being written as they are.
    #[error("a row of {0} was not written: something in countersign.db takes it away")]
    Unwritten(&'static str),
    /// The file has something in its schema that no version of ours makes.
    #[error(
        "{path} was changed: {what}, and countersign makes no such thing there; it could hide what is \
         written, so this file is not used. Put a backup back (countersign restore), or have somebody \
         who knows SQLite take it out, and then run: countersign audit verify"
    )]
    Planted {
        /// Which file.
        path: PathBuf,
        /// What it has.
        what: String,
    },
    /// Too many writes wait.
    #[error("the store has too much to do")]
    Busy,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::ReadOnly(error.to_string())
            }
            _ => Self::Sqlite(error.to_string()),
        }
    }
}
