#![doc = include_str!("ARCHIVE.md")]

mod stream;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::Connection;

use super::{
    StoreError,
    audit::{self as chain, rotate},
    grants, migrate,
    rows::all,
    space, standing,
    storage_key::KeySource,
};
use crate::{
    audit::Event,
    base::{PeerId, Secret, Timestamp},
    identity::{Argon2Params, IdentityError, IdentityKey, stretch},
};
use stream::{Header, Opening, Sealing};

/// Why an archive was not written or not read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The system said no.
    #[error("{path}: {error}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// It is there already; nothing is ever written over.
    #[error("{0} is there already")]
    Exists(PathBuf),
    /// It is something else.
    #[error("{path} is no archive of `countersign {}`", purpose.command())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What it was taken for.
        purpose: Purpose,
    },
    /// It is an archive of ours, made for something else.
    #[error("{path} was made by `countersign {}`", made_for.command())]
    MadeFor {
        /// Which file.
        path: PathBuf,
        /// What it is.
        made_for: Purpose,
    },
    /// It is of a later version.
    #[error("{0} is of another version of countersign, which this one cannot read")]
    Newer(PathBuf),
    /// The first chunk does not open.
    #[error("that passphrase does not open {0}")]
    WrongPassphrase(PathBuf),
    /// A later one does not open, or is not there.
    #[error("{0} is damaged or was cut short")]
    Damaged(PathBuf),
    /// Argon2 did not take what the header asks for.
    #[error("{path}: {error}")]
    Parameters {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        error: IdentityError,
    },
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> ArchiveError + '_ {
    move |error| ArchiveError::Io { path: path.to_owned(), error }
}

/// What an archive is made for. One cannot be used as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The home goes to another host, and starts here no more.
    Move,
    /// The home stays in use, and can be put back as it was.
    Backup,
}

impl Purpose {
    /// The command that writes such an archive.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Self::Move => "move export",
            Self::Backup => "backup",
        }
    }
}

/// A file that goes into an archive.
#[derive(Clone)]
pub struct Part {
    /// What it is called in there: at most 255 bytes.
    pub name: String,
    /// Where it is.
    pub from: Source,
}

/// Where the bytes of a [`Part`] are.
#[derive(Clone)]
pub enum Source {
    /// In this file.
    File(PathBuf),
    /// In this one, which was opened and looked at before, from its beginning, and so many.
    Opened(Arc<File>, u64),
    /// Here: a key that may be in no file.
    Key(Arc<Secret<[u8; 32]>>),
}

/// What an archive takes beside its files.
#[derive(Clone, Copy, Debug)]
pub struct Making {
    /// What it is made for.
    pub purpose: Purpose,
    /// When it is made.
    pub at: Timestamp,
    /// Random bytes for Argon2.
    pub salt: [u8; 16],
    /// Random bytes for the nonces.
    pub nonce: [u8; 19],
}

/// An archive that is whole and on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its size.
    pub bytes: u64,
    /// The SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
}

/// Writes `parts` to a new file at `target`, closed to others, and leaves it there only when all of
/// it is on disk.
///
/// # Errors
/// When something is at `target`, or the system says no.
pub fn write(
    target: &Path,
    parts: &[Part],
    passphrase: &Secret<String>,
    making: &Making,
) -> Result<Written, ArchiveError> {
    // No temporary name and hard link: sticks with FAT have none. What a crash leaves is cut short,
    // and is refused as that.
    let options = OpenOptions::new().write(true).create_new(true).mode(0o600).open(target);
    let file = options.map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            return ArchiveError::Exists(target.to_owned());
        }
        io_error(target)(error)
    })?;
    let written = fill((file, target), parts, passphrase, making);
    if written.is_err() {
        fs::remove_file(target).ok(); // What is left of it is of no use, and no harm either.
    }
    written
}

fn fill(
    (file, target): (File, &Path),
    parts: &[Part],
    passphrase: &Secret<String>,
    making: &Making,
) -> Result<Written, ArchiveError> {
    let Making { purpose, at, salt, nonce } = *making;
    let version = purpose.version();
    let argon2id = Argon2Params::DEFAULT;
    let header = Header { purpose, version, made: at, argon2id, salt, nonce };
    let key = key(&header, passphrase, target)?;
    let mut sealing = Sealing::begin(file, &header, &key).map_err(io_error(target))?;
    for part in parts {
        let (path, source, size) = part.open()?;
        let name = part.name.as_bytes();
        let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
        let head = [&[length], name, &size.to_be_bytes()].concat();
        sealing.push(&head).map_err(io_error(target))?;
        let copied = sealing.push_all(source.take(size)).map_err(io_error(target))?;
        if copied != size {
            return Err(io_error(path)(io::ErrorKind::UnexpectedEof.into()));
        }
    }
    let (file, bytes, sha256) = sealing.finish().map_err(io_error(target))?;
    file.sync_all().map_err(io_error(target))?;
    sync_folder(target)?;
    Ok(Written { bytes, sha256 })
}

impl Part {
    /// What it is called outside, its bytes, and how many there are.
    fn open(&self) -> Result<(&Path, Box<dyn io::Read + '_>, u64), ArchiveError> {
        match &self.from {
            Source::File(path) => {
                let file = File::open(path).map_err(io_error(path))?;
                let size = file.metadata().map_err(io_error(path))?.len();
                Ok((path, Box::new(file), size))
            }
            Source::Opened(file, size) => {
                let path = Path::new(&self.name);
                let mut file: &File = file;
                file.rewind().map_err(io_error(path))?;
                Ok((path, Box::new(file), *size))
            }
            Source::Key(key) => {
                let bytes = key.expose_secret().as_slice();
                let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                Ok((Path::new(&self.name), Box::new(bytes), size))
            }
        }
    }
}

fn key(
    header: &Header,
    passphrase: &Secret<String>,
    path: &Path,
) -> Result<Secret<[u8; 32]>, ArchiveError> {
    stretch(passphrase, &header.salt, header.argon2id)
        .map_err(|error| ArchiveError::Parameters { path: path.to_owned(), error })
}

/// Brings what `path` is called to disk.
///
/// # Errors
/// When the system says no.
pub fn sync_folder(path: &Path) -> Result<(), ArchiveError> {
    let named = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = named.unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error(folder))
}

/// An archive whose header was read, and that nobody has opened yet.
pub struct Archive {
    path: PathBuf,
    file: File,
    header: Header,
}

impl Archive {
    /// Reads the header of an archive that was made for `purpose`.
    ///
    /// # Errors
    /// When the file cannot be read, or is something else.
    pub fn open(path: &Path, purpose: Purpose) -> Result<Self, ArchiveError> {
        let mut file = File::open(path).map_err(io_error(path))?;
        let header = Header::read(&mut file, path, purpose)?;
        Ok(Self { path: path.to_owned(), file, header })
    }

    /// What it was made for, as the header says. It is verified with the rest.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        self.header.purpose
    }

    /// When it was made, as the header says. It is verified with the rest.
    #[must_use]
    pub const fn made(&self) -> Timestamp {
        self.header.made
    }

    /// The version of the bytes: which files are in there.
    #[must_use]
    pub const fn version(&self) -> u8 {
        self.header.version
    }

    /// Writes the files of the archive to new files of these names in `folder`, closed to others, and
    /// after them the parts of the audit record that it has ([`rotate::files`]), and gives the archive's
    /// SHA-256. What is in `folder` after an error is nothing to rely on.
    ///
    /// # Errors
    /// A wrong passphrase, an archive that is damaged or of other files, or a system that says no.
    pub fn extract(
        self,
        passphrase: &Secret<String>,
        names: &[&str],
        folder: &Path,
    ) -> Result<String, ArchiveError> {
        let key = key(&self.header, passphrase, &self.path)?;
        let mut opening = Opening::begin(self.file, &self.header, &key, &self.path)?;
        for name in names {
            opening.expect_name(name)?;
            take_out(&mut opening, &folder.join(name))?;
        }
        if self.header.version >= self.header.purpose.version_with_records() {
            records(&mut opening, folder)?;
        }
        opening.finish()
    }
}

/// The parts of the audit record, each once and in their order: a name can lead nowhere else.
fn records(opening: &mut Opening<'_>, folder: &Path) -> Result<(), ArchiveError> {
    let mut before = None;
    while opening.has_more()? {
        let name = String::from_utf8(opening.name()?).unwrap_or_default();
        let records = rotate::of_file(&name);
        if records <= before {
            return Err(opening.damaged());
        }
        take_out(opening, &folder.join(name))?;
        before = records;
    }
    Ok(())
}

fn take_out(opening: &mut Opening<'_>, target: &Path) -> Result<(), ArchiveError> {
    let size = opening.number()?;
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(target);
    let mut file = made.map_err(io_error(target))?;
    opening.copy(size, &mut file, target)?;
    file.sync_all().map_err(io_error(target))
}

/// How much came with a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Peers that are trusted.
    pub peers: u64,
    /// Messages, both ways.
    pub messages: u64,
    /// What has still to reach a peer.
    pub queued: u64,
    /// Bearer tokens that are good.
    pub tokens: u64,
}

/// Leaves all that a database holds in its one file, and checks that it is whole. No node may run.
///
/// # Errors
/// When it cannot be opened, or is not whole.
pub fn fold(path: &Path, owner: &PeerId, source: &KeySource) -> Result<(), StoreError> {
    let (db, _) = migrate::open(path, owner, source)?;
    space::is_whole(&db)?;
    close(db)
}

/// Adds an event to the audit chain of a home in which no node runs, and signs the chain's head,
/// unless the chain's end is broken: a signature would hide that.
///
/// # Errors
/// When the database fails.
pub fn note(
    path: &Path,
    (key, source): (&IdentityKey, &KeySource),
    at: Timestamp,
    event: &Event,
) -> Result<(), StoreError> {
    let (mut db, _) = migrate::open(path, &key.id(), source)?;
    let transaction = db.transaction()?;
    let whole = standing::tail(&transaction, &key.id())?.is_none();
    chain::append(&transaction, at, event)?;
    if whole {
        chain::checkpoint(&transaction, key, true)?;
    }
    transaction.commit()?;
    close(db)
}

/// Makes the database of another host one of this host: brings its schema up to date, forgets what is
/// under `of_that_host`, and notes the event.
///
/// # Errors
/// When it is of a later version, of another node, not whole, or fails.
pub fn settle(
    path: &Path,
    keys: (&IdentityKey, &KeySource),
    of_that_host: &[&str],
    (at, event): (Timestamp, &Event),
) -> Result<Carried, StoreError> {
    settle_with(path, keys, of_that_host, (at, event), |_| Ok(()))
}

/// As [`settle`], for a database of the past: what may have ended since ends with it. Grants do, because
/// nobody knows how often they were used since; and invites, because somebody may have used them. Gives
/// the names of the peers that it trusts, of whom some may have been revoked since.
///
/// # Errors
/// As [`settle`].
pub fn settle_past(
    path: &Path,
    keys: (&IdentityKey, &KeySource),
    of_that_host: &[&str],
    (at, event): (Timestamp, &Event),
) -> Result<(Carried, Vec<String>), StoreError> {
    let mut trusted = Vec::new();
    let carried = settle_with(path, keys, of_that_host, (at, event), |db| {
        // Their rows can be written by hand; the record of their end cannot be taken back.
        for grant in standing::lasting_grants(db, at)? {
            grants::end(db, &grant, at)?;
            chain::append(db, at, &Event::GrantEnded { grant: grant.to_string() })?;
        }
        db.execute("DELETE FROM invites", [])?;
        let sql = "SELECT name FROM peers WHERE state = 'trusted' ORDER BY name";
        trusted = all(db, "peers", sql, [], |row| row.get("name"))?;
        Ok(())
    })?;
    Ok((carried, trusted))
}

fn settle_with(
    path: &Path,
    (key, source): (&IdentityKey, &KeySource),
    of_that_host: &[&str],
    (at, event): (Timestamp, &Event),
    also: impl FnOnce(&Connection) -> Result<(), StoreError>,
) -> Result<Carried, StoreError> {
    // Before it is opened to write, which makes a database of an empty file.
    space::check_whole(path, &key.id())?;
    let (mut db, _) = migrate::open(path, &key.id(), source)?;
    let transaction = db.transaction()?;
    let whole = standing::tail(&transaction, &key.id())?.is_none();
    also(&transaction)?;
    for key in of_that_host {
        migrate::forget_meta(&transaction, key)?;
    }
    chain::append(&transaction, at, event)?;
    if whole {
        chain::checkpoint(&transaction, key, true)?;
    }
    let count = |what: &str| {
        transaction.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0))
    };
    let carried = Carried {
        peers: count("peers WHERE state = 'trusted'")?,
        messages: count("messages")?,
        queued: count("outbox JOIN messages USING (peer, id) WHERE outgoing = 1")?,
        tokens: count("tokens WHERE ended_ms IS NULL")?,
    };
    transaction.commit()?;
    close(db)?;
    Ok(carried)
}

/// Folds the log into the file and closes it, so that the file alone is the database.
fn close(db: Connection) -> Result<(), StoreError> {
    let busy: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy != 0 {
        return Err(StoreError::Busy);
    }
    db.close().map_err(|(_, error)| error.into())
}
