//! What bytes are, by their content and not by their name.
//!
//! [`kind`] reads the head of a file, [`archive`] looks into containers within bounds, [`document`]
//! looks for what a document would run. Images, sound, fonts and plain data give no finding. A
//! magic number of two or three bytes is never enough: bytes that were decoded from an ordinary
//! text come by here too.

mod archive;
mod document;
mod kind;
#[cfg(test)]
mod tests;

use std::io::Read;

use super::{Hit, Matters, Severity};
use kind::{Kind, Media};

/// Bytes that all containers of one blob may grow to together.
const INFLATED_MAX: usize = 17 << 20;
/// A container that grows to more than this,
const BOMB_BYTES: usize = 16 << 20;
/// and by more than this factor, is a bomb.
const BOMB_RATIO: usize = 100;
/// A container with more entries is a bomb too.
const ENTRIES_MAX: usize = 10_000;
/// Containers in containers that are opened.
const DEPTH_MAX: usize = 3;

const EXECUTABLE: &str = "file.executable";
const SCRIPT: &str = "file.script";
const SHORTCUT: &str = "file.shortcut";
const ARCHIVE: &str = "file.archive";
const PATH: &str = "file.archive_path";
const LINK: &str = "file.archive_link";
const NESTED: &str = "file.archive_nested";
const BOMB: &str = "file.bomb";
const ENCRYPTED: &str = "file.encrypted";
const UNDECODABLE: &str = "file.undecodable";
const MACRO: &str = "file.macro";
const ACTIVE: &str = "file.active_content";
const POLYGLOT: &str = "file.polyglot";

pub(super) fn scan(bytes: &[u8]) -> Vec<Hit> {
    let mut look = Look { hits: Vec::new(), length: bytes.len(), inflated_left: INFLATED_MAX };
    look.at(bytes, 0);
    look.hits
}

/// What was found so far, and what may still be spent.
struct Look {
    hits: Vec<Hit>,
    length: usize,
    inflated_left: usize,
}

/// How the reading of a compressed stream ended.
struct Inflated {
    bytes: Vec<u8>,
    whole: bool,
    broken: bool,
}

impl Look {
    /// Adds a finding, each rule once.
    fn add(&mut self, rule: &'static str, severity: Severity, text: &'static str) {
        let matters = match rule {
            ARCHIVE => Matters::Both,
            _ => Matters::Coming,
        };
        if !self.hits.iter().any(|hit| hit.rule == rule) {
            self.hits.push(Hit::new(rule, severity, matters, 0..self.length, text));
        }
    }

    fn at(&mut self, bytes: &[u8], depth: usize) {
        let kind = kind::of(bytes);
        match kind {
            Kind::Executable(text) => self.add(EXECUTABLE, Severity::High, text),
            Kind::Script(severity, text) => self.add(SCRIPT, severity, text),
            Kind::Shortcut(severity, text) => self.add(SHORTCUT, severity, text),
            Kind::Archive(text) => self.add(ARCHIVE, Severity::Medium, text),
            Kind::Zip => archive::zip(self, bytes, depth),
            Kind::Gzip => archive::gzip(self, bytes, depth),
            Kind::Tar => archive::tar(self, bytes, depth),
            Kind::Ole => document::ole(self, bytes),
            Kind::Pdf => document::pdf(self, bytes),
            Kind::Rtf => document::rtf(self, bytes),
            Kind::Markup => document::markup(self, bytes),
            Kind::Media(media) => self.media(bytes, media),
            Kind::Unknown => {}
        }
        if matches!(kind, Kind::Executable(_) | Kind::Archive(_) | Kind::Zip | Kind::Ole)
            && kind::has_pdf_header(bytes)
        {
            self.add(POLYGLOT, Severity::High, "a file that is a PDF and something else at once");
        }
        if matches!(kind, Kind::Pdf | Kind::Rtf | Kind::Ole) && kind::ends_as_zip(bytes) {
            self.add(POLYGLOT, Severity::High, "a document that is an archive too");
            archive::zip(self, bytes, depth);
        }
    }

    /// An image or the like: only what is more than that matters.
    fn media(&mut self, bytes: &[u8], media: Media) {
        let behind = kind::behind_media(bytes, media);
        let hides = kind::ends_as_zip(bytes)
            || kind::has_pdf_header(bytes)
            || !matches!(kind::of(behind), Kind::Unknown | Kind::Media(_))
            || kind::is_script_too(bytes);
        if hides {
            self.add(
                POLYGLOT,
                Severity::High,
                "an image or a recording that is something else too",
            );
        }
    }

    /// Reads a compressed stream as far as may be.
    fn inflate(&mut self, reader: impl Read) -> Inflated {
        let most = self.inflated_left;
        let mut bytes = Vec::new();
        let limit = u64::try_from(most).unwrap_or(u64::MAX);
        let broken = reader.take(limit).read_to_end(&mut bytes).is_err();
        self.inflated_left = most.saturating_sub(bytes.len());
        Inflated { whole: !broken && bytes.len() < most, broken, bytes }
    }

    /// Judges sizes, declared or seen.
    fn weigh(&mut self, packed: usize, unpacked: usize) {
        if unpacked > BOMB_BYTES && unpacked / packed.max(1) > BOMB_RATIO {
            let text = "an archive that would grow to more than a hundred times its size";
            self.add(BOMB, Severity::High, text);
        }
    }

    fn undecodable(&mut self) {
        self.add(UNDECODABLE, Severity::High, "an archive that could not be looked through");
    }
}

/// Whether `needle` lies anywhere in `bytes`.
fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    find(bytes, needle).is_some()
}

/// Where `needle` lies first.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(rest) = bytes.get(from..) {
        let at = from + rest.iter().position(|byte| *byte == first)?;
        if bytes.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// A little-endian number of two bytes.
fn le16(bytes: &[u8], at: usize) -> Option<usize> {
    let two = bytes.get(at..at.checked_add(2)?)?;
    Some(usize::from(u16::from_le_bytes(two.try_into().ok()?)))
}

/// A little-endian number of four bytes.
fn le32(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes(four.try_into().ok()?)).ok()
}

/// The same, the great end first.
fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}
