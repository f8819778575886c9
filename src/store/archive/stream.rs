//! The bytes of an archive: a readable header, then chunks that are sealed one by one.

use std::{
    fs::File,
    io::{self, Read, Write as _},
    path::Path,
};

use aead_stream::{DecryptorBE32, EncryptorBE32};
use chacha20poly1305::XChaCha20Poly1305;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{ArchiveError, Purpose, io_error};
use crate::{
    base::{Secret, Timestamp},
    identity::Argon2Params,
};

/// Bytes of what an archive begins with: its purpose's, a digit and a line feed.
const MAGIC_BYTES: usize = 18;

impl Purpose {
    /// What archives of all versions begin with.
    const fn kind(self) -> &'static [u8] {
        match self {
            Self::Move => b"countersign-move",
            Self::Backup => b"countersign-back",
        }
    }

    /// The version that is written. Earlier ones are read too. Version 1 of a move has no storage
    /// key, because its database is of a schema that needed none.
    pub(super) const fn version(self) -> u8 {
        self.version_with_records()
    }

    /// The first version that has the parts of the audit record that were moved into files.
    pub(super) const fn version_with_records(self) -> u8 {
        match self {
            Self::Move => 3,
            Self::Backup => 2,
        }
    }
}

/// Bytes of a chunk, without its tag.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes of a Poly1305 tag (RFC 8439).
pub(super) const TAG_BYTES: usize = 16;

/// What can be read of an archive without a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) purpose: Purpose,
    pub(super) version: u8,
    pub(super) made: Timestamp,
    pub(super) argon2id: Argon2Params,
    pub(super) salt: [u8; 16],
    pub(super) nonce: [u8; 19],
}

impl Header {
    fn bytes(&self) -> Vec<u8> {
        let Argon2Params { memory_kib, passes, lanes } = self.argon2id;
        let numbers = [memory_kib, passes, lanes].map(u32::to_be_bytes).concat();
        let made = self.made.ms().to_be_bytes();
        let digit = [b'0'.saturating_add(self.version), b'\n'];
        let parts: [&[u8]; 6] =
            [self.purpose.kind(), &digit, &made, &numbers, &self.salt, &self.nonce];
        parts.concat()
    }

    /// Reads the header of an archive that was made for `purpose`.
    pub(super) fn read(
        file: &mut File,
        path: &Path,
        purpose: Purpose,
    ) -> Result<Self, ArchiveError> {
        let mut begin = Vec::new();
        let magic = u64::try_from(MAGIC_BYTES).unwrap_or(u64::MAX);
        file.take(magic).read_to_end(&mut begin).map_err(io_error(path))?;
        let version = match begin.strip_prefix(purpose.kind()) {
            Some([digit, b'\n']) => digit.wrapping_sub(b'0'),
            Some(_) | None => return Err(not_for(purpose, &begin, path)),
        };
        if !(1..=purpose.version()).contains(&version) {
            return Err(ArchiveError::Newer(path.to_owned()));
        }
        let made = Timestamp::from_ms(u64::from_be_bytes(array(file, path)?));
        let mut number = || array(file, path).map(u32::from_be_bytes);
        let (memory_kib, passes, lanes) = (number()?, number()?, number()?);
        let argon2id = Argon2Params { memory_kib, passes, lanes };
        let (salt, nonce) = (array(file, path)?, array(file, path)?);
        Ok(Self { purpose, version, made, argon2id, salt, nonce })
    }
}

/// What is wrong with an archive that does not begin as those for `purpose` do.
fn not_for(purpose: Purpose, begin: &[u8], path: &Path) -> ArchiveError {
    let path = path.to_owned();
    let whole = begin.len() == MAGIC_BYTES;
    let is = |purpose: &Purpose| whole && begin.starts_with(purpose.kind());
    match [Purpose::Move, Purpose::Backup].into_iter().find(is) {
        Some(found) if found == purpose => ArchiveError::Newer(path),
        Some(made_for) => ArchiveError::MadeFor { path, made_for },
        None => ArchiveError::Foreign { path, purpose },
    }
}

fn array<const N: usize>(file: &mut File, path: &Path) -> Result<[u8; N], ArchiveError> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes).map_err(|error| cut(error, path))?;
    Ok(bytes)
}

/// A file that ends too early was cut; other errors are the system's.
fn cut(error: io::Error, path: &Path) -> ArchiveError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return ArchiveError::Damaged(path.to_owned());
    }
    io_error(path)(error)
}

/// The cipher ends where its counter does, at 256 TiB.
fn too_large(_: aead_stream::aead::Error) -> io::Error {
    io::ErrorKind::FileTooLarge.into()
}

/// An archive that is being written.
pub(super) struct Sealing {
    file: File,
    hash: Sha256,
    bytes: u64,
    header: Vec<u8>,
    stream: EncryptorBE32<XChaCha20Poly1305>,
    /// Plain text that waits for its chunk to be full.
    waiting: Zeroizing<Vec<u8>>,
}

impl Sealing {
    /// Writes the header and the empty chunk.
    pub(super) fn begin(file: File, header: &Header, key: &Secret<[u8; 32]>) -> io::Result<Self> {
        let stream = EncryptorBE32::new(key.expose_secret().into(), &header.nonce.into());
        let header = header.bytes();
        let waiting = Zeroizing::new(Vec::with_capacity(CHUNK_BYTES + TAG_BYTES));
        let mut sealing = Self { file, hash: Sha256::new(), bytes: 0, header, stream, waiting };
        let header = sealing.header.clone();
        sealing.write(&header)?;
        sealing.next_chunk()?;
        Ok(sealing)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Seals what waits, as a chunk that is not the last.
    fn next_chunk(&mut self) -> io::Result<()> {
        let mut chunk = std::mem::take(&mut self.waiting);
        self.stream.encrypt_next_in_place(&self.header, &mut *chunk).map_err(too_large)?;
        self.write(&chunk)?;
        chunk.clear();
        self.waiting = chunk;
        Ok(())
    }

    /// Adds bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.push_all(bytes).map(drop)
    }

    /// Adds all that `source` has, and says how much that was.
    pub(super) fn push_all(&mut self, mut source: impl Read) -> io::Result<u64> {
        let mut copied = 0;
        loop {
            // Only with more to come: the last chunk is sealed at the end.
            let room = CHUNK_BYTES.saturating_sub(self.waiting.len());
            if room == 0 {
                let mut first = Zeroizing::new([0]);
                if source.read(first.as_mut_slice())? == 0 {
                    return Ok(copied);
                }
                self.next_chunk()?;
                self.waiting.extend_from_slice(first.as_slice());
                copied += 1;
                continue;
            }
            let room = u64::try_from(room).unwrap_or(u64::MAX);
            let read = source.by_ref().take(room).read_to_end(&mut self.waiting)?;
            if read == 0 {
                return Ok(copied);
            }
            copied = copied.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        }
    }

    /// Seals the last chunk. Gives the file, its size, and its SHA-256.
    pub(super) fn finish(self) -> io::Result<(File, u64, String)> {
        let Self { mut file, mut hash, bytes, header, stream, waiting: mut chunk } = self;
        stream.encrypt_last_in_place(&header, &mut *chunk).map_err(too_large)?;
        file.write_all(&chunk)?;
        hash.update(chunk.as_slice());
        let last = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        Ok((file, bytes.saturating_add(last), HEXLOWER.encode(&hash.finalize())))
    }
}

/// An archive that is being read.
pub(super) struct Opening<'p> {
    path: &'p Path,
    file: File,
    hash: Sha256,
    header: Vec<u8>,
    /// None after the last chunk.
    stream: Option<DecryptorBE32<XChaCha20Poly1305>>,
    /// The chunk after the one that is read, still sealed. Empty: there is none.
    next: Zeroizing<Vec<u8>>,
    plain: Zeroizing<Vec<u8>>,
    /// How much of `plain` was read.
    read: usize,
}

impl<'p> Opening<'p> {
    /// Opens the empty chunk, which shows that the passphrase is right.
    pub(super) fn begin(
        file: File,
        header: &Header,
        key: &Secret<[u8; 32]>,
        path: &'p Path,
    ) -> Result<Self, ArchiveError> {
        let stream = DecryptorBE32::new(key.expose_secret().into(), &header.nonce.into());
        let header = header.bytes();
        let (hash, plain) = (Sha256::new_with_prefix(&header), Zeroizing::default());
        let next = Zeroizing::default();
        let mut opening =
            Self { path, file, hash, header, stream: Some(stream), next, plain, read: 0 };
        opening.next = opening.sealed(TAG_BYTES)?;
        if opening.next.len() < TAG_BYTES {
            return Err(opening.damaged());
        }
        if let Err(error) = opening.next_chunk() {
            let damaged = matches!(error, ArchiveError::Damaged(_));
            let wrong = || ArchiveError::WrongPassphrase(path.to_owned());
            return Err(if damaged { wrong() } else { error });
        }
        Ok(opening)
    }

    pub(super) fn damaged(&self) -> ArchiveError {
        ArchiveError::Damaged(self.path.to_owned())
    }

    /// Up to so many bytes of the file; less at its end.
    fn sealed(&mut self, most: usize) -> Result<Zeroizing<Vec<u8>>, ArchiveError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(most));
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        let read = (&self.file).take(most).read_to_end(&mut bytes);
        read.map_err(io_error(self.path))?;
        self.hash.update(bytes.as_slice());
        Ok(bytes)
    }

    fn next_chunk(&mut self) -> Result<(), ArchiveError> {
        let following = self.sealed(CHUNK_BYTES + TAG_BYTES)?;
        let mut chunk = std::mem::replace(&mut self.next, following);
        let opened = match self.stream.take() {
            Some(stream) if self.next.is_empty() => {
                stream.decrypt_last_in_place(&self.header, &mut *chunk)
            }
            Some(mut stream) => {
                let opened = stream.decrypt_next_in_place(&self.header, &mut *chunk);
                self.stream = Some(stream);
                opened
            }
            None => Err(aead_stream::aead::Error),
        };
        opened.map_err(|_| self.damaged())?;
        (self.plain, self.read) = (chunk, 0);
        Ok(())
    }

    /// At most so many of the bytes that come next. An error where there are none.
    fn some(&mut self, most: usize) -> Result<&[u8], ArchiveError> {
        while self.read == self.plain.len() {
            self.next_chunk()?;
        }
        let from = self.read;
        self.read = from.saturating_add(most).min(self.plain.len());
        Ok(self.plain.get(from..self.read).unwrap_or_default())
    }

    fn bytes(&mut self, count: usize) -> Result<Vec<u8>, ArchiveError> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            let missing = count - bytes.len();
            bytes.extend_from_slice(self.some(missing)?);
        }
        Ok(bytes)
    }

    /// Reads the name of a file.
    pub(super) fn name(&mut self) -> Result<Vec<u8>, ArchiveError> {
        let length = usize::from(self.bytes(1)?.first().copied().unwrap_or_default());
        self.bytes(length)
    }

    /// Whether anything comes after what was read.
    pub(super) fn has_more(&mut self) -> Result<bool, ArchiveError> {
        while self.read == self.plain.len() && self.stream.is_some() {
            self.next_chunk()?;
        }
        Ok(self.read < self.plain.len())
    }

    /// Reads the name of a file, which must be this one.
    pub(super) fn expect_name(&mut self, name: &str) -> Result<(), ArchiveError> {
        if self.name()? == name.as_bytes() { Ok(()) } else { Err(self.damaged()) }
    }

    /// Reads a size.
    pub(super) fn number(&mut self) -> Result<u64, ArchiveError> {
        let bytes = self.bytes(8)?;
        bytes.try_into().map(u64::from_be_bytes).map_err(|_| self.damaged())
    }

    /// Copies so many bytes to a file.
    pub(super) fn copy(
        &mut self,
        size: u64,
        to: &mut File,
        target: &Path,
    ) -> Result<(), ArchiveError> {
        let mut left = size;
        while left > 0 {
            let part = self.some(usize::try_from(left).unwrap_or(usize::MAX))?;
            to.write_all(part).map_err(io_error(target))?;
            left = left.saturating_sub(u64::try_from(part.len()).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    /// Shows that there was nothing after what was read, and gives the archive's SHA-256.
    pub(super) fn finish(self) -> Result<String, ArchiveError> {
        if self.stream.is_some() || self.read < self.plain.len() {
            return Err(self.damaged());
        }
        Ok(HEXLOWER.encode(&self.hash.finalize()))
    }
}
