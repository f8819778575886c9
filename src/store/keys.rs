//! The key files: created once, 0600, whole or not at all, and on disk before anyone goes on.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    base::{
        Secret, Timestamp,
        failpoint::{Failpoint, reach},
        limits,
    },
    identity::{IdentityKey, SealedApprover},
};

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system said no.
    #[error("{path}: {error}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// It is there already; a key is never overwritten.
    #[error("{0} is there already; this home is set up")]
    Exists(PathBuf),
    /// It is not what we wrote.
    #[error("{path} cannot be read: {problem}")]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Others may read it.
    #[error("{path} may be read by other users (mode {mode:o}); run: chmod 600 {path}")]
    Mode {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Too many wrong passphrases.
    #[error("approvals are locked after wrong passphrases until {0}")]
    Locked(Timestamp),
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> KeyFileError + '_ {
    move |error| KeyFileError::Io { path: path.to_owned(), error }
}

/// Makes the folder, closed to others.
///
/// # Errors
/// When the system says no.
pub fn create_home(path: &Path) -> Result<(), KeyFileError> {
    fs::create_dir_all(path).map_err(io_error(path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(io_error(path))
}

/// Writes a new file: to a temporary name, to disk, then to its name, unless that is taken.
///
/// # Errors
/// When it is there, or the system says no.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), KeyFileError> {
    let temporary = write_temporary(path, bytes)?;
    // A hard link fails where the name is taken; a rename would replace.
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary).ok(); // A leftover temporary file does no harm.
    match linked {
        Ok(()) => sync_folder(path),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            Err(KeyFileError::Exists(path.to_owned()))
        }
        Err(e) => Err(io_error(path)(e)),
    }
}

/// Writes a file anew, whole or not at all.
///
/// # Errors
/// When the system says no.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), KeyFileError> {
    let temporary = write_temporary(path, bytes)?;
    fs::rename(&temporary, path).map_err(io_error(path))?;
    sync_folder(path)
}

fn write_temporary(path: &Path, bytes: &[u8]) -> Result<PathBuf, KeyFileError> {
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    fs::remove_file(&temporary).ok(); // Left by a process of this number that was killed.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(io_error(&temporary))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io_error(&temporary))?;
    reach(Failpoint::FileWritten);
    Ok(temporary)
}

fn sync_folder(path: &Path) -> Result<(), KeyFileError> {
    reach(Failpoint::FileNamed);
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error(folder))
}

/// Reads a file of at most 64 KiB that others must not be able to read.
fn read_private(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    let file = File::open(path).map_err(io_error(path))?;
    let mode = file.metadata().map_err(io_error(path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Mode { path: path.to_owned(), mode });
    }
    let mut bytes = Vec::new();
    file.take(64 * 1024).read_to_end(&mut bytes).map_err(io_error(path))?;
    Ok(bytes)
}

/// Creates the identity key.
///
/// # Errors
/// When there is one, or the system says no.
pub fn create_identity(path: &Path, seed: &Secret<[u8; 32]>) -> Result<(), KeyFileError> {
    write_new(path, seed.expose_secret())
}

/// Reads the identity key.
///
/// # Errors
/// When it is not there, open to others, or not 32 bytes.
pub fn read_identity(path: &Path) -> Result<IdentityKey, KeyFileError> {
    let bytes = zeroize::Zeroizing::new(read_private(path)?);
    let seed: [u8; 32] = bytes.as_slice().try_into().map_err(|_| KeyFileError::Content {
        path: path.to_owned(),
        problem: format!("it has {} bytes, and a key has 32", bytes.len()),
    })?;
    Ok(IdentityKey::from_seed(&Secret::new(seed)))
}

/// Reads the storage key; `None` where there is no such file.
///
/// # Errors
/// When it is open to others, or not 32 bytes.
pub fn read_storage_key(path: &Path) -> Result<Option<Secret<[u8; 32]>>, KeyFileError> {
    let bytes = match read_private(path) {
        Ok(bytes) => zeroize::Zeroizing::new(bytes),
        Err(KeyFileError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let key = bytes.as_slice().try_into().map_err(|_| KeyFileError::Content {
        path: path.to_owned(),
        problem: format!("it has {} bytes, and a key has 32", bytes.len()),
    })?;
    Ok(Some(Secret::new(key)))
}

/// Creates the sealed approver key.
///
/// # Errors
/// When there is one, or the system says no.
pub fn create_approver(path: &Path, sealed: &SealedApprover) -> Result<(), KeyFileError> {
    write_new(path, &json(sealed))
}

/// Reads the sealed approver key; `None` where no approver is set up.
///
/// # Errors
/// When it is open to others, or not what we wrote.
pub fn read_approver(path: &Path) -> Result<Option<SealedApprover>, KeyFileError> {
    match read_private(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| KeyFileError::Content { path: path.to_owned(), problem: e.to_string() }),
        Err(KeyFileError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Our own structs of plain values always serialise.
    serde_json::to_vec_pretty(value).unwrap_or_default()
}

/// Wrong passphrases so far. A hindrance to guessing through us; the seal itself is what
/// hinders guessing on a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempts {
    /// Since the last right one.
    wrong: u32,
    /// Locks since the last right one.
    locks: u32,
    /// No passphrase is tried before this time.
    locked_until: Timestamp,
}

impl Attempts {
    /// Counts one more wrong passphrase.
    #[must_use]
    pub fn after_wrong(self, now: Timestamp) -> Self {
        let wrong = self.wrong.saturating_add(1);
        if wrong < limits::PASSPHRASE_TRIES {
            return Self { wrong, ..self };
        }
        let doubled = limits::PASSPHRASE_LOCK.saturating_mul(1 << self.locks.min(16));
        let lock = doubled.min(limits::PASSPHRASE_LOCK_MAX);
        Self { wrong: 0, locks: self.locks.saturating_add(1), locked_until: now.plus(lock) }
    }

    /// Tries that are left before the next lock.
    #[must_use]
    pub const fn left(self) -> u32 {
        limits::PASSPHRASE_TRIES.saturating_sub(self.wrong)
    }

    /// Until when no passphrase is tried, if that lies ahead.
    #[must_use]
    pub fn locked(self, now: Timestamp) -> Option<Timestamp> {
        (self.locked_until > now).then_some(self.locked_until)
    }
}

/// Tries one passphrase: refuses while locked, counts before it tries, so that a try that is cut
/// short counts too, and forgets the count when it was right. Others wait meanwhile.
///
/// # Errors
/// Locked, wrong (with the tries that are left), or a file that cannot be used.
pub fn try_passphrase<T>(
    path: &Path,
    now: Timestamp,
    open: impl FnOnce() -> Option<T>,
) -> Result<Result<T, Attempts>, KeyFileError> {
    let lock_path = lock_file(path);
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock_path)
        .map_err(io_error(&lock_path))?;
    lock.lock().map_err(io_error(&lock_path))?;
    let before: Attempts = match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(_) => Attempts::default(),
    };
    if let Some(until) = before.locked(now) {
        return Err(KeyFileError::Locked(until));
    }
    let after = before.after_wrong(now);
    let total = total(path);
    // The lock-out first. A try that is cut short counts as a wrong one in both.
    replace(path, &json(&after))?;
    replace(&total_file(path), total.saturating_add(1).to_string().as_bytes())?;
    let Some(opened) = open() else { return Ok(Err(after)) };
    replace(&total_file(path), total.to_string().as_bytes())?;
    replace(path, &json(&Attempts::default()))?;
    Ok(Ok(opened))
}

/// The file beside the count of tries whose lock is held while one is made.
fn lock_file(path: &Path) -> PathBuf {
    path.with_extension("lock")
}

/// The file beside the count of tries that holds how many were wrong, ever.
fn total_file(path: &Path) -> PathBuf {
    path.with_extension("wrong")
}

/// How many wrong passphrases were tried in this home, ever; 0 where the file cannot be read. `None`
/// while one is tried: it counts as wrong until it is known to be right.
#[must_use]
pub fn wrong_passphrases(path: &Path) -> Option<u64> {
    // There is none where no passphrase was ever tried.
    let lock = OpenOptions::new().write(true).open(lock_file(path)).ok();
    let busy = |lock: &File| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock));
    (!lock.as_ref().is_some_and(busy)).then(|| total(path))
}

fn total(path: &Path) -> u64 {
    let text = fs::read_to_string(total_file(path)).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_once_and_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.key");
        create_identity(&path, &Secret::new([1; 32])).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = create_identity(&path, &Secret::new([2; 32]));
        assert!(matches!(again, Err(KeyFileError::Exists(_))));
        assert_eq!(*read_identity(&path).unwrap().seed().expose_secret(), [1; 32]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read_identity(&path), Err(KeyFileError::Mode { .. })));
    }

    #[test]
    fn five_wrong_passphrases_lock_and_the_lock_doubles() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("approver.attempts");
        let mut now = Timestamp::from_ms(1_000_000);
        for minutes in [15, 30, 60] {
            for left in [4, 3, 2, 1] {
                let wrong = try_passphrase(&path, now, || None::<()>).unwrap().unwrap_err();
                assert_eq!(wrong.left(), left);
            }
            assert!(try_passphrase(&path, now, || None::<()>).unwrap().is_err());
            let until = now.plus(std::time::Duration::from_secs(minutes * 60));
            let locked = try_passphrase(&path, now, || Some(()));
            assert!(matches!(locked, Err(KeyFileError::Locked(t)) if t == until), "{minutes}");
            now = until;
        }
        let right = || wrong_passphrases(&path).is_none().then_some(());
        let told = try_passphrase(&path, now, right).unwrap();
        assert!(told.is_ok(), "while it is tried, nobody knows whether it is wrong");
        assert_eq!(wrong_passphrases(&path), Some(15), "all that were wrong, and no right one");
        let wrong = try_passphrase(&path, now, || None::<()>).unwrap().unwrap_err();
        assert_eq!(wrong.left(), 4, "a right one clears the count");
        assert_eq!(wrong_passphrases(&path), Some(16));
    }
}
