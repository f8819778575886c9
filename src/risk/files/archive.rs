//! Containers that are opened: ZIP, gzip and tar, within bounds.

use flate2::read::{DeflateDecoder, MultiGzDecoder};

use super::kind::{self, octal, tar_checksum_holds};
use super::{
    ARCHIVE, BOMB, DEPTH_MAX, ENCRYPTED, ENTRIES_MAX, EXECUTABLE, Hit, LINK, Look, MACRO, NESTED,
    PATH, Severity, le16, le32,
};

/// Reads a ZIP by its central directory, as programs do that unpack it.
pub(super) fn zip(look: &mut Look, bytes: &[u8], depth: usize) {
    if too_deep(look, depth) {
        return;
    }
    let Some(end) = kind::zip_end(bytes) else {
        look.add(ARCHIVE, Severity::Medium, "a ZIP archive");
        return look.undecodable();
    };
    let Some(directory) = kind::zip_directory(bytes, end) else { return look.undecodable() };
    // What was put before the archive moves every offset.
    let size = le32(bytes, end + 12).unwrap_or(0);
    let stated = le32(bytes, end + 16).unwrap_or(0);
    let moved = end.saturating_sub(size).saturating_sub(stated);
    let is_document = kind::of(bytes) == kind::Kind::Zip && is_office(bytes);
    if !is_document {
        look.add(ARCHIVE, Severity::Medium, "a ZIP archive");
    }
    let (mut at, mut entries, mut packed, mut unpacked) = (directory, 0, 0_usize, 0_usize);
    while let Some(entry) = Entry::read(bytes, at) {
        at = entry.next;
        entries += 1;
        if entries > ENTRIES_MAX {
            break;
        }
        packed = packed.saturating_add(entry.packed);
        unpacked = unpacked.saturating_add(entry.unpacked);
        zip_entry(look, bytes, &entry, moved, depth);
    }
    look.weigh(packed, unpacked);
    if entries > ENTRIES_MAX {
        look.add(BOMB, Severity::High, "an archive with more entries than are looked at");
    } else if le16(bytes, end + 10) != Some(entries) {
        look.undecodable();
    }
}

/// One record of the central directory (APPNOTE 4.3.12).
struct Entry<'b> {
    name: &'b [u8],
    flags: usize,
    method: usize,
    packed: usize,
    unpacked: usize,
    is_link: bool,
    offset: usize,
    next: usize,
}

impl<'b> Entry<'b> {
    fn read(bytes: &'b [u8], at: usize) -> Option<Self> {
        if bytes.get(at..at.checked_add(4)?)? != b"PK\x01\x02" {
            return None;
        }
        let name_bytes = le16(bytes, at + 28)?;
        let further = le16(bytes, at + 30)? + le16(bytes, at + 32)?;
        let name_end = at + 46 + name_bytes;
        Some(Self {
            name: bytes.get(at + 46..name_end)?,
            flags: le16(bytes, at + 8)?,
            method: le16(bytes, at + 10)?,
            packed: le32(bytes, at + 20)?,
            unpacked: le32(bytes, at + 24)?,
            is_link: le16(bytes, at + 40)? & 0xf000 == 0xa000,
            offset: le32(bytes, at + 42)?,
            next: name_end + further,
        })
    }

    /// The packed bytes, behind the local header.
    fn data(&self, bytes: &'b [u8], moved: usize) -> Option<&'b [u8]> {
        let at = self.offset.checked_add(moved)?;
        if bytes.get(at..at.checked_add(4)?)? != b"PK\x03\x04" {
            return None;
        }
        let start = at + 30 + le16(bytes, at + 26)? + le16(bytes, at + 28)?;
        bytes.get(start..start.checked_add(self.packed)?)
    }
}

fn zip_entry(look: &mut Look, bytes: &[u8], entry: &Entry<'_>, moved: usize, depth: usize) {
    name(look, entry.name);
    if entry.flags & 1 == 1 {
        return look.add(ENCRYPTED, Severity::High, "an archive with encrypted entries");
    }
    if entry.packed == 0 || entry.name.ends_with(b"/") {
        return;
    }
    let Some(data) = entry.data(bytes, moved) else { return look.undecodable() };
    match entry.method {
        0 if entry.is_link => link(look, data),
        0 => inside(look, data, depth),
        8 => {
            let inflated = look.inflate(DeflateDecoder::new(data));
            look.weigh(data.len(), inflated.bytes.len());
            inside(look, &inflated.bytes, depth);
            if !inflated.whole || inflated.broken {
                look.undecodable();
            }
            if entry.is_link {
                link(look, &inflated.bytes);
            }
        }
        _ => look.undecodable(),
    }
}

/// Office documents and the like are ZIP archives that nobody calls so.
fn is_office(bytes: &[u8]) -> bool {
    let first = bytes.get(30..).unwrap_or_default();
    [&b"[Content_Types].xml"[..], b"_rels/.rels", b"mimetype", b"docProps/"]
        .iter()
        .any(|name| first.starts_with(name))
}

/// One gzip stream; a tar inside is the same archive and counts no further level.
pub(super) fn gzip(look: &mut Look, bytes: &[u8], depth: usize) {
    if too_deep(look, depth) {
        return;
    }
    look.add(ARCHIVE, Severity::Medium, "a gzip archive");
    let inflated = look.inflate(MultiGzDecoder::new(bytes));
    look.weigh(bytes.len(), inflated.bytes.len());
    if kind::of(&inflated.bytes) == kind::Kind::Tar {
        tar(look, &inflated.bytes, depth);
    } else {
        inside(look, &inflated.bytes, depth);
    }
    if !inflated.whole || inflated.broken {
        look.undecodable();
    }
}

/// Walks the headers of a tar.
pub(super) fn tar(look: &mut Look, bytes: &[u8], depth: usize) {
    const BLOCK: usize = 512;
    if too_deep(look, depth) {
        return;
    }
    look.add(ARCHIVE, Severity::Medium, "a tar archive");
    let (mut at, mut entries) = (0_usize, 0);
    while let Some(header) = bytes.get(at..at.saturating_add(BLOCK)) {
        if header.iter().all(|byte| *byte == 0) {
            return;
        }
        entries += 1;
        if entries > ENTRIES_MAX {
            return look.add(
                BOMB,
                Severity::High,
                "an archive with more entries than are looked at",
            );
        }
        let size = header.get(124..136).and_then(octal);
        let Some(size) = size.filter(|_| tar_checksum_holds(header)) else {
            return look.undecodable();
        };
        let start = at + BLOCK;
        let Some(data) = start.checked_add(size).and_then(|end| bytes.get(start..end)) else {
            return look.undecodable();
        };
        tar_entry(look, header, data, depth);
        at = start + size.div_ceil(BLOCK) * BLOCK;
    }
}

fn tar_entry(look: &mut Look, header: &[u8], data: &[u8], depth: usize) {
    let text = |from: usize, to: usize| {
        let field = header.get(from..to).unwrap_or_default();
        field.split(|byte| *byte == 0).next().unwrap_or_default()
    };
    name(look, text(345, 500));
    name(look, text(0, 100));
    match header.get(156) {
        Some(b'1' | b'2') => link(look, text(157, 257)),
        // GNU's long names, and the records of pax: `27 path=...`.
        Some(b'L') => name(look, data),
        Some(b'K') => link(look, data),
        Some(b'x' | b'g') => {
            for record in data.split(|byte| *byte == b'\n') {
                let value = record.splitn(2, |byte| *byte == b' ').nth(1).unwrap_or_default();
                if let Some(path) = value.strip_prefix(b"path=") {
                    name(look, path);
                } else if let Some(path) = value.strip_prefix(b"linkpath=") {
                    link(look, path);
                }
            }
        }
        Some(_) => inside(look, data, depth),
        None => {}
    }
}

fn too_deep(look: &mut Look, depth: usize) -> bool {
    if depth > DEPTH_MAX {
        look.add(NESTED, Severity::High, "archives in archives, deeper than is looked at");
    }
    depth > DEPTH_MAX
}

/// What lies in an entry, said of the archive.
fn inside(look: &mut Look, data: &[u8], depth: usize) {
    let before = look.hits.len();
    look.at(data, depth + 1);
    let said = |hit: &Hit| hit.rule == EXECUTABLE || hit.rule == MACRO;
    for hit in look.hits.iter_mut().skip(before).filter(|hit| said(hit)) {
        hit.text = if hit.rule == MACRO {
            "an archive with a document that holds macros".into()
        } else {
            "an archive with a program inside".into()
        };
    }
}

/// A name that would be unpacked elsewhere, or that says what the entry is.
fn name(look: &mut Look, name: &[u8]) {
    if leaves(name) {
        let text = "an archive that would write outside of the folder it is unpacked in";
        look.add(PATH, Severity::High, text);
    }
    let lower = name.to_ascii_lowercase();
    if lower.ends_with(b"vbaproject.bin") || lower.starts_with(b"basic/script-lb") {
        look.add(MACRO, Severity::High, "a document with macros");
    }
}

/// A link that leads out of the folder.
fn link(look: &mut Look, target: &[u8]) {
    if leaves(target) {
        let text = "an archive with a link that leads out of the folder it is unpacked in";
        look.add(LINK, Severity::High, text);
    }
}

/// Whether a path is absolute or climbs up, on Unix or on Windows.
fn leaves(path: &[u8]) -> bool {
    let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
    let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\');
    let drive = matches!(path, [b'a'..=b'z' | b'A'..=b'Z', b':', ..]);
    drive
        || path.first().is_some_and(is_separator)
        || path.split(is_separator).any(|part| part == b"..")
}
