//! Where the key of the sealed columns is: in the desktop's keyring, or in a file of the home.
//!
//! The database remembers which (`meta.storage_key`), in the transaction that seals its first value,
//! and whether a key is the right one (`meta.storage_check`). From then on no other key is ever
//! made: one that is missing, locked or wrong is an error that says what to do.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use keyring_core::CredentialStore;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{
    StoreError, keys, migrate,
    seal::{self, Place, Sealer},
};
use crate::base::{PeerId, Secret, limits};

/// The keyring's name for us.
const SERVICE: &str = "countersign";
/// Under which `meta` says where the key is.
const PLACE: &str = "storage_key";
/// Under which `meta` has a sealed value that is known.
const CHECK: &str = "storage_check";
const CHECKED: &[u8] = b"countersign";

/// Where the key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPlace {
    /// The desktop's keyring: Secret Service on Linux, the keychain on macOS.
    Keyring,
    /// `store.key` in the home, 0600.
    File,
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keyring => "keyring",
            Self::File => "file",
        })
    }
}

impl FromStr for KeyPlace {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let all = [Self::Keyring, Self::File];
        all.into_iter().find(|place| place.to_string() == text).ok_or(StoreError::Row {
            table: "meta",
            problem: format!("{PLACE} is not what was written"),
        })
    }
}

/// Connects to a keyring.
type Connect = Arc<dyn Fn() -> keyring_core::Result<Arc<CredentialStore>> + Send + Sync>;

/// The keyring, if there is one. Nothing is asked of it before it is needed.
#[derive(Clone)]
pub struct Keyring(Connect);

impl Keyring {
    /// That of the desktop.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(system))
    }

    /// None.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::new(|| Err(keyring_core::Error::NoDefaultStore)))
    }

    /// Asks in a thread of its own, because a keyring may wait for a person.
    fn ask<T: Send + 'static>(
        &self,
        wait: Duration,
        op: impl FnOnce(&CredentialStore) -> keyring_core::Result<T> + Send + 'static,
    ) -> Result<T, Silent> {
        let (answer, answered) = mpsc::channel();
        let connect = Arc::clone(&self.0);
        let ask = move || {
            // Whoever asked may have gone.
            answer.send(connect().and_then(|store| op(&*store))).ok();
        };
        let spawned = thread::Builder::new().name("keyring".to_owned()).spawn(ask);
        spawned.map_err(|error| Silent(error.to_string()))?;
        match answered.recv_timeout(wait) {
            Ok(answer) => answer.map_err(|error| Silent(error.to_string())),
            Err(_) => Err(Silent(format!("no answer within {} s", wait.as_secs()))),
        }
    }

    /// The node's key; `None` where there is no entry.
    fn get(&self, owner: &PeerId, wait: Duration) -> Result<Option<Secret<[u8; 32]>>, Silent> {
        let user = owner.to_string();
        let found =
            self.ask(wait, move |store| match store.build(SERVICE, &user, None)?.get_secret() {
                Ok(bytes) => Ok(Some(Secret::new(bytes))),
                Err(keyring_core::Error::NoEntry) => Ok(None),
                Err(error) => Err(error),
            })?;
        let read = |bytes: Secret<Vec<u8>>| {
            let key = bytes.expose_secret().as_slice().try_into();
            key.map(Secret::new).map_err(|_| Silent("its entry is no key of 32 bytes".to_owned()))
        };
        found.map(read).transpose()
    }

    /// Puts the key there, and sees that it is.
    fn put(&self, owner: &PeerId, key: &Secret<[u8; 32]>, wait: Duration) -> Result<(), Silent> {
        let (user, secret) = (owner.to_string(), Secret::new(key.expose_secret().to_vec()));
        self.ask(wait, move |store| {
            store.build(SERVICE, &user, None)?.set_secret(secret.expose_secret())
        })?;
        let kept = self.get(owner, wait)?;
        let same = kept.is_some_and(|kept| kept.expose_secret() == key.expose_secret());
        if same { Ok(()) } else { Err(Silent("it did not keep what it was given".to_owned())) }
    }

    fn remove(&self, owner: &PeerId, wait: Duration) -> Result<(), Silent> {
        let user = owner.to_string();
        self.ask(wait, move |store| store.build(SERVICE, &user, None)?.delete_credential())
    }
}

#[cfg(target_os = "linux")]
fn system() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(zbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(target_os = "macos")]
fn system() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn system() -> keyring_core::Result<Arc<CredentialStore>> {
    Err(keyring_core::Error::NoDefaultStore)
}

/// Why a keyring gave nothing. It quotes the keyring, never a key.
#[derive(Debug)]
struct Silent(String);

/// How a home's key is found, or made at first use.
#[derive(Clone)]
pub struct KeySource {
    /// Where the file is, or would be.
    pub file: PathBuf,
    /// What the settings say. It counts at first use alone.
    pub wanted: Option<KeyPlace>,
    /// The keyring.
    pub keyring: Keyring,
    /// The home came from another host, and its key in the file, whatever the database remembers.
    pub came_in_file: bool,
}

impl KeySource {
    /// A key in this file, and no keyring.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            file: path.into(),
            wanted: Some(KeyPlace::File),
            keyring: Keyring::none(),
            came_in_file: false,
        }
    }

    /// As [`Self::file`], of a home that came from another host.
    #[must_use]
    pub fn came_in(path: impl Into<PathBuf>) -> Self {
        Self { came_in_file: true, ..Self::file(path) }
    }

    /// The key of this database, which has one or gets one.
    pub(super) fn find(&self, db: &Connection, owner: &PeerId) -> Result<Found, StoreError> {
        match remembered(db)? {
            Some(_) if self.came_in_file => self.at(KeyPlace::File, owner).map(Found::known),
            Some(place) => {
                if self.wanted.is_some_and(|wanted| wanted != place) {
                    tracing::warn!(
                        %place,
                        "config.toml says otherwise where the storage key is; to move it: \
                         countersign storage key --to keyring, or --to file"
                    );
                }
                self.at(place, owner).map(Found::known)
            }
            None if migrate::is_sealed(db)? => Err(StoreError::Key(format!(
                "the database does not say where the key of its messages is; {RESTORE}"
            ))),
            None => self.choose(owner),
        }
    }

    /// The key that is at a place.
    fn at(&self, place: KeyPlace, owner: &PeerId) -> Result<(KeyPlace, Key), StoreError> {
        let key = match place {
            KeyPlace::File => keys::read_storage_key(&self.file)
                .map_err(|error| StoreError::Key(format!("{error}; {PUT_BACK}")))?
                .ok_or_else(|| {
                    let file = self.file.display();
                    StoreError::Key(format!("{file} is missing, which opens this home's messages; {PUT_BACK}"))
                })?,
            KeyPlace::Keyring => self
                .keyring
                .get(owner, limits::KEYRING_WAIT)
                .map_err(|Silent(why)| {
                    StoreError::Key(format!("the desktop's keyring, which holds the key of this home's messages, cannot be read ({why}); {UNLOCK}"))
                })?
                .ok_or_else(|| {
                    StoreError::Key(format!("the desktop's keyring shows no key of this home's messages; {UNLOCK}. If it is gone, {RESTORE}"))
                })?,
        };
        Ok((place, key))
    }

    /// The first time: what is there already from a try that was cut short, or a new key.
    fn choose(&self, owner: &PeerId) -> Result<Found, StoreError> {
        if self.wanted != Some(KeyPlace::Keyring)
            && let Some(key) = keys::read_storage_key(&self.file)
                .map_err(|error| StoreError::Key(format!("{error}; {PUT_BACK}")))?
        {
            return Ok(Found::chosen(KeyPlace::File, key));
        }
        if self.wanted != Some(KeyPlace::File) {
            match self.in_keyring(owner) {
                Ok(key) => return Ok(Found::chosen(KeyPlace::Keyring, key)),
                Err(Silent(why)) if self.wanted.is_some() => {
                    return Err(StoreError::Key(format!(
                        "config.toml says that the storage key is kept in the desktop's keyring, \
                         and that does not take it ({why}); unlock it and start again, or say \
                         key = \"file\" under [storage]"
                    )));
                }
                Err(Silent(why)) => tracing::info!(why, "no keyring: the storage key is a file"),
            }
        }
        let key = fresh();
        write(&self.file, &key)?;
        Ok(Found::chosen(KeyPlace::File, key))
    }

    fn in_keyring(&self, owner: &PeerId) -> Result<Key, Silent> {
        let wait = limits::KEYRING_CHOICE_WAIT;
        if let Some(key) = self.keyring.get(owner, wait)? {
            return Ok(key);
        }
        let key = fresh();
        self.keyring.put(owner, &key, wait)?;
        Ok(key)
    }
}

const PUT_BACK: &str = "put it back from a copy of this home, and start again; nothing was changed";
const UNLOCK: &str = "unlock it (log in to the desktop) and start again; to keep the key in the home \
                      instead, run there: countersign storage key --to file";
const RESTORE: &str = "restore the keyring from a copy, or this home from an archive; nothing was \
                       changed";

type Key = Secret<[u8; 32]>;

fn fresh() -> Key {
    let mut key = Secret::new([0; 32]);
    let filled = getrandom::fill(key.expose_secret_mut());
    assert!(filled.is_ok(), "the system's random source failed: {filled:?}");
    key
}

fn write(path: &Path, key: &Key) -> Result<(), StoreError> {
    keys::write_new(path, key.expose_secret()).map_err(|error| StoreError::Key(error.to_string()))
}

/// A key, and what the database knows of it.
pub(super) struct Found {
    /// Where it is.
    pub(super) place: KeyPlace,
    key: Key,
    /// The database has values under it already.
    known: bool,
}

impl Found {
    fn known((place, key): (KeyPlace, Key)) -> Self {
        Self { place, key, known: true }
    }

    const fn chosen(place: KeyPlace, key: Key) -> Self {
        Self { place, key, known: false }
    }

    /// A key of the tests that have no file.
    #[cfg(test)]
    pub(super) const fn in_memory() -> Self {
        Self::chosen(KeyPlace::File, Secret::new([7; 32]))
    }

    /// Registers the functions that use it, and sees that it is the right one.
    pub(super) fn register(&self, db: &Connection) -> Result<(), StoreError> {
        Sealer::new(&self.key).register(db)?;
        if self.known { check(db, self.place) } else { Ok(()) }
    }

    /// The key itself, for an archive.
    pub(super) fn into_key(self) -> Key {
        self.key
    }
}

/// Where the database says that the key is.
pub(super) fn remembered(db: &Connection) -> Result<Option<KeyPlace>, StoreError> {
    if !migrate::has_meta(db)? {
        return Ok(None);
    }
    migrate::meta(db, PLACE)?.map(|place| place.parse()).transpose()
}

/// Remembers where the key is, and a value by which it is known again.
pub(super) fn remember(db: &Connection, place: KeyPlace) -> Result<(), StoreError> {
    let sealed = seal::seal(db, &Place::of("meta.value", CHECK.as_bytes()), CHECKED)?;
    migrate::set_meta(db, CHECK, &data_encoding::HEXLOWER.encode(&sealed))?;
    migrate::set_meta(db, PLACE, &place.to_string())
}

fn check(db: &Connection, place: KeyPlace) -> Result<(), StoreError> {
    let sealed = migrate::meta(db, CHECK)?.unwrap_or_default();
    let sealed = data_encoding::HEXLOWER.decode(sealed.as_bytes()).unwrap_or_default();
    match seal::open(db, &Place::of("meta.value", CHECK.as_bytes()), &sealed) {
        Ok(checked) if checked == CHECKED => Ok(()),
        Ok(_) | Err(StoreError::Sealed { .. }) => Err(StoreError::Key(format!(
            "the storage key ({place}) is not the one of this home's messages; restore the one that \
             is from a copy; nothing was changed"
        ))),
        Err(error) => Err(error),
    }
}

/// The key of a home in which no node runs, and where it is.
///
/// # Errors
/// When the database or the key cannot be used.
pub fn key(path: &Path, owner: &PeerId, source: &KeySource) -> Result<(KeyPlace, Key), StoreError> {
    let (_, found) = migrate::open(path, owner, source)?;
    Ok((found.place, found.into_key()))
}

/// The key of a home's database, or of a copy of it, which has one; a node may run.
///
/// # Errors
/// When the database or the key cannot be used, or the key is another one's.
pub fn read(path: &Path, owner: &PeerId, source: &KeySource) -> Result<Key, StoreError> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = Connection::open_with_flags(path, flags)?;
    let found = source.find(&db, owner)?;
    // Sees that it is the one: what goes into an archive with another is lost.
    found.register(&db)?;
    Ok(found.into_key())
}

/// Where the key of a home is kept; a node may run. `None`: there is none yet.
///
/// # Errors
/// When the database cannot be read.
pub fn place(path: &Path) -> Result<Option<KeyPlace>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    remembered(&Connection::open_with_flags(path, flags)?)
}

/// Moves the key of a home in which no node runs: to the new place first, and away from the old one
/// when the database has said so. `false` where it was there already.
///
/// # Errors
/// When a place cannot be read or written. Then the key is where it was.
pub fn move_key(
    path: &Path,
    owner: &PeerId,
    source: &KeySource,
    to: KeyPlace,
) -> Result<bool, StoreError> {
    let (db, found) = migrate::open(path, owner, source)?;
    let (from, key) = (found.place, found.into_key());
    if from == to {
        return Ok(false);
    }
    match to {
        KeyPlace::File => match keys::read_storage_key(&source.file) {
            Ok(Some(there)) if there.expose_secret() == key.expose_secret() => {}
            _ => write(&source.file, &key)?,
        },
        KeyPlace::Keyring => {
            source.keyring.put(owner, &key, limits::KEYRING_WAIT).map_err(|Silent(why)| {
                StoreError::Key(format!(
                    "the desktop's keyring does not take the key ({why}); unlock it and try again; \
                     nothing was changed"
                ))
            })?;
        }
    }
    migrate::set_meta(&db, PLACE, &to.to_string())?;
    let gone = match from {
        KeyPlace::File => fs::remove_file(&source.file).map_err(|error| error.to_string()),
        KeyPlace::Keyring => {
            source.keyring.remove(owner, limits::KEYRING_WAIT).map_err(|Silent(why)| why)
        }
    };
    if let Err(why) = gone {
        tracing::warn!(place = %from, why, "the storage key is still at its old place too");
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
