//! Sealed columns: what a database file says to somebody who has only the file.
//!
//! A value is sealed for its place: the table, the column and the row's own identity are
//! authenticated with it, so that it opens nowhere else. The key stays in functions that each
//! connection of ours knows, `seal`, `unseal`, `blind` and `keyed`, and so in nobody's arguments.
//!
//! # Bytes
//!
//! | bytes | what |
//! |---|---|
//! | 1 | 1, the version |
//! | 24 | a random nonce |
//! | as many as the value has, and 16 | XChaCha20-Poly1305 |
//!
//! The associated data is the version, the length of the place's name (one byte), its name
//! (`messages.text`), and the row's identity. The keys are HKDF-SHA-256 (RFC 5869) of the home's
//! storage key, with the salt `countersign/at-rest/v1`, and `seal` or `blind` as the info.

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use rusqlite::{
    Connection,
    functions::{Context, FunctionFlags},
    params,
    types::ValueRef,
};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::StoreError;
use crate::base::{MessageId, PeerId, Secret};

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// How much longer a sealed value is than what is in it.
pub const OVERHEAD_BYTES: usize = 1 + NONCE_BYTES + TAG_BYTES;
/// Bytes of a blind token. Two words of a million share one rarely enough, and what is found is
/// held against the text.
const BLIND_BYTES: usize = 5;
/// Bytes of SHA-256's block, HMAC's key.
const BLOCK_BYTES: usize = 64;

/// What is hashed for the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blind {
    /// A whole word.
    Word,
    /// The beginning of one.
    Beginning,
}

/// Seals and opens values under one home's key.
#[derive(Clone)]
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    blind: Hmac<Sha256>,
}

impl Sealer {
    /// Derives what it needs from the home's storage key.
    ///
    /// # Panics
    /// Never: HKDF gives as many bytes as are asked for here.
    #[must_use]
    pub fn new(key: &Secret<[u8; 32]>) -> Self {
        let keys = Hkdf::<Sha256>::new(Some(b"countersign/at-rest/v1"), key.expose_secret());
        let derive = |info: &[u8], to: &mut [u8]| {
            // RFC 5869 gives up to 255 hashes; 64 bytes are two.
            let derived = keys.expand(info, to);
            assert!(derived.is_ok(), "HKDF gives 64 bytes");
        };
        let mut seal = Zeroizing::new([0; 32]);
        derive(b"seal", seal.as_mut_slice());
        let mut blind = Zeroizing::new([0; BLOCK_BYTES]);
        derive(b"blind", blind.as_mut_slice());
        Self {
            cipher: XChaCha20Poly1305::new((&*seal).into()),
            blind: Hmac::<Sha256>::new((&*blind).into()),
        }
    }

    /// Gives a connection the functions `seal(place, value, row...)`, `unseal(place, value,
    /// row...)`, `blind(word, is_beginning)` and `keyed(value)`, a digest that nobody without the key
    /// can compare with a guess. A value that does not open is `NULL`.
    ///
    /// # Errors
    /// When `SQLite` does not take them.
    pub fn register(&self, db: &Connection) -> Result<(), StoreError> {
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
        let sealer = self.clone();
        db.create_scalar_function("seal", -1, flags, move |args| {
            let (place, row) = place(args)?;
            Ok(bytes(args.get_raw(1))?.map(|value| sealer.seal(&place, &row, value)))
        })?;
        let sealer = self.clone();
        db.create_scalar_function("unseal", -1, flags, move |args| {
            let (place, row) = place(args)?;
            Ok(bytes(args.get_raw(1))?.and_then(|sealed| sealer.open(&place, &row, sealed)))
        })?;
        let sealer = self.clone();
        db.create_scalar_function("blind", 2, flags, move |args| {
            let (word, beginning): (String, bool) = (args.get(0)?, args.get(1)?);
            Ok(sealer.blind(if beginning { Blind::Beginning } else { Blind::Word }, &word))
        })?;
        let sealer = self.clone();
        let always = flags | FunctionFlags::SQLITE_DETERMINISTIC;
        db.create_scalar_function("keyed", 1, always, move |args| {
            Ok(bytes(args.get_raw(0))?.map(|value| sealer.keyed(value)))
        })?;
        Ok(())
    }

    fn seal(&self, place: &str, row: &[u8], value: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        let filled = getrandom::fill(&mut nonce);
        assert!(filled.is_ok(), "the system's random source failed: {filled:?}");
        let payload = Payload { msg: value, aad: &associated(place, row) };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload);
        // The cipher refuses what is longer than 256 GiB alone.
        let sealed = sealed.unwrap_or_default();
        assert!(!sealed.is_empty(), "a value is shorter than the cipher's limit");
        [&[VERSION], nonce.as_slice(), &sealed].concat()
    }

    fn open(&self, place: &str, row: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (version, rest) = sealed.split_first()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
        if *version != VERSION {
            return None;
        }
        let payload = Payload { msg: sealed, aad: &associated(place, row) };
        self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()
    }

    fn keyed(&self, value: &[u8]) -> Vec<u8> {
        let mut mac = self.blind.clone();
        mac.update(&[2]);
        mac.update(value);
        mac.finalize().into_bytes().to_vec()
    }

    fn blind(&self, kind: Blind, word: &str) -> String {
        let mut mac = self.blind.clone();
        mac.update(&[u8::from(kind == Blind::Beginning)]);
        mac.update(word.as_bytes());
        let mac = mac.finalize().into_bytes();
        let token = mac.get(..BLIND_BYTES).unwrap_or_default();
        data_encoding::BASE32_NOPAD.encode(token).to_ascii_lowercase()
    }
}

fn associated(place: &str, row: &[u8]) -> Vec<u8> {
    let length = u8::try_from(place.len()).unwrap_or(u8::MAX);
    [&[VERSION, length], place.as_bytes(), row].concat()
}

/// The first argument, and those from the third on in one: an integer as eight bytes.
fn place(args: &Context<'_>) -> rusqlite::Result<(String, Vec<u8>)> {
    let mut row = Vec::new();
    for at in 2..args.len() {
        match args.get_raw(at) {
            ValueRef::Integer(number) => row.extend_from_slice(&number.to_be_bytes()),
            other
            @ (ValueRef::Null | ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_)) => {
                row.extend_from_slice(bytes(other)?.unwrap_or_default());
            }
        }
    }
    Ok((args.get(0)?, row))
}

fn bytes(value: ValueRef<'_>) -> rusqlite::Result<Option<&[u8]>> {
    Ok(value.as_bytes_or_null()?)
}

/// Where a sealed value belongs: the table and column, and which row.
#[derive(Clone, Debug)]
pub(super) struct Place {
    column: &'static str,
    row: Vec<u8>,
}

impl Place {
    /// Of the row that these bytes name.
    pub(super) fn of(column: &'static str, row: &[u8]) -> Self {
        Self { column, row: row.to_vec() }
    }

    /// Of a message.
    pub(super) fn message(
        column: &'static str,
        id: &MessageId,
        peer: &PeerId,
        outgoing: bool,
    ) -> Self {
        let way = i64::from(outgoing).to_be_bytes();
        Self { column, row: [id.as_bytes().as_slice(), peer.as_bytes(), &way].concat() }
    }

    fn table(&self) -> &'static str {
        self.column.split('.').next().unwrap_or(self.column)
    }
}

/// Seals a value for its place.
pub(super) fn seal(db: &Connection, place: &Place, value: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut statement = db.prepare_cached("SELECT seal(?1, ?2, ?3)")?;
    Ok(statement.query_row(params![place.column, value, place.row], |row| row.get(0))?)
}

/// As [`seal`], of what may be missing.
pub(super) fn seal_opt(
    db: &Connection,
    place: &Place,
    value: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, StoreError> {
    value.map(|value| seal(db, place, value)).transpose()
}

/// Opens a value of its place.
pub(super) fn open(db: &Connection, place: &Place, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut statement = db.prepare_cached("SELECT unseal(?1, ?2, ?3)")?;
    let opened: Option<Vec<u8>> =
        statement.query_row(params![place.column, sealed, place.row], |row| row.get(0))?;
    opened.ok_or(StoreError::Sealed { table: place.table(), column: place.column })
}

/// As [`open`], of a text.
pub(super) fn open_text(
    db: &Connection,
    place: &Place,
    sealed: &[u8],
) -> Result<String, StoreError> {
    let wrong = |_| StoreError::Sealed { table: place.table(), column: place.column };
    String::from_utf8(open(db, place, sealed)?).map_err(wrong)
}

/// The token by which a word is found.
pub(super) fn blind(db: &Connection, kind: Blind, word: &str) -> Result<String, StoreError> {
    let mut statement = db.prepare_cached("SELECT blind(?1, ?2)")?;
    Ok(statement.query_row(params![word, kind == Blind::Beginning], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(n: u8) -> Sealer {
        Sealer::new(&Secret::new([n; 32]))
    }

    #[test]
    fn a_value_opens_at_its_place_and_nowhere_else() {
        let one = sealer(1);
        let sealed = one.seal("messages.text", b"row 1", b"hello");
        assert_eq!(sealed.len(), 5 + OVERHEAD_BYTES);
        assert_eq!(one.open("messages.text", b"row 1", &sealed).unwrap(), b"hello");
        assert_eq!(one.open("messages.text", b"row 2", &sealed), None);
        assert_eq!(one.open("messages.texts", b"row 1", &sealed), None);
        assert_eq!(one.open("messages.tex", b"trow 1", &sealed), None, "no two places are one");
        assert_eq!(sealer(2).open("messages.text", b"row 1", &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(one.open("messages.text", b"row 1", &changed), None, "byte {at}");
            assert_eq!(one.open("messages.text", b"row 1", &sealed[..at]), None, "cut at {at}");
        }
        assert_ne!(sealed, one.seal("messages.text", b"row 1", b"hello"), "a nonce of its own");
        let empty = one.seal("x", b"", b"");
        assert_eq!(one.open("x", b"", &empty).unwrap(), b"");
    }

    #[test]
    fn stored_values_of_this_version_open_in_every_later_one() {
        let sealed = data_encoding::HEXLOWER.decode(VECTOR.as_bytes()).unwrap();
        assert_eq!(sealer(7).open("pending.note", b"12345", &sealed).unwrap(), b"kept");
        assert_eq!(sealer(7).blind(Blind::Word, "zurich"), WORD);
        assert_ne!(sealer(7).blind(Blind::Beginning, "zurich"), WORD);
        assert_ne!(sealer(8).blind(Blind::Word, "zurich"), WORD);
    }

    const VECTOR: &str = "012290f228237d4330346e6a72ad664cf79ef24b9d1ab428650cd93d448fa50b44893859273c7f351e8a\
                          25a250";
    const WORD: &str = "zxu6gxwy";

    #[test]
    fn a_connection_seals_and_opens_and_gives_nothing_for_what_does_not_open() {
        let db = Connection::open_in_memory().unwrap();
        sealer(1).register(&db).unwrap();
        let text =
            |sql: &str| db.query_row(sql, [], |row| row.get::<_, Option<String>>(0)).unwrap();
        let opened = "SELECT CAST(unseal('t.c', seal('t.c', 'so', x'01', 2), x'01', 2) AS TEXT)";
        assert_eq!(text(opened).as_deref(), Some("so"));
        assert_eq!(text("SELECT unseal('t.c', seal('t.c', 'so', x'01', 2), x'01', 3)"), None);
        assert_eq!(text("SELECT unseal('t.c', 'plain')"), None);
        assert_eq!(text("SELECT seal('t.c', NULL, 1)"), None);
        let place = Place::of("t.c", b"\x01");
        let sealed = seal(&db, &place, b"x").unwrap();
        assert_eq!(open(&db, &place, &sealed).unwrap(), b"x");
        let error = open(&db, &Place::of("t.c", b"\x02"), &sealed).unwrap_err().to_string();
        assert!(error.contains("a row of t ") && error.contains("t.c"), "{error}");
    }
}
