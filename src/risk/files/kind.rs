//! What a blob is, from its head and, for ZIP, from its end.

use super::{Severity, be32, contains, find, le16, le32};

/// A format that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A machine or a virtual machine runs it.
    Executable(&'static str),
    /// An interpreter runs it.
    Script(Severity, &'static str),
    /// A desktop opens what it names.
    Shortcut(Severity, &'static str),
    /// A container that is not opened here.
    Archive(&'static str),
    Zip,
    Gzip,
    Tar,
    /// Compound files ([MS-CFB]): Office up to 2003, installers.
    Ole,
    Pdf,
    Rtf,
    /// HTML and SVG.
    Markup,
    Media(Media),
    Unknown,
}

/// Images, sound, films and fonts, as far as their end matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    Png,
    Jpeg,
    Gif,
    Other,
}

/// Bytes at the head that are read as text.
const HEAD_BYTES: usize = 1024;

pub(super) fn of(bytes: &[u8]) -> Kind {
    executable(bytes)
        .or_else(|| container(bytes))
        .or_else(|| document(bytes))
        .or_else(|| media(bytes))
        .or_else(|| textual(bytes))
        .or_else(|| ends_as_zip(bytes).then_some(Kind::Zip))
        .unwrap_or(Kind::Unknown)
}

fn executable(bytes: &[u8]) -> Option<Kind> {
    let text = if is_elf(bytes) {
        "a program for Linux or another Unix (ELF)"
    } else if is_pe(bytes) {
        "a program for Windows (PE)"
    } else if is_macho(bytes) {
        "a program for macOS (Mach-O)"
    } else if is_class(bytes) {
        "a Java class"
    } else if bytes.starts_with(b"\0asm\x01\0\0\0") || bytes.starts_with(b"\0asm\x0d\0\x01\0") {
        "a WebAssembly module"
    } else if bytes.starts_with(b"dex\n0") && bytes.get(7) == Some(&0) {
        "Android bytecode (DEX)"
    } else if is_pyc(bytes) {
        "compiled Python"
    } else {
        return None;
    };
    Some(Kind::Executable(text))
}

/// Class, byte order and version (System V ABI).
fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
        && matches!(bytes.get(4..7), Some([1 | 2, 1 | 2, 1]))
        && bytes.len() >= 16
}

/// The DOS header, and the PE header where it says, or the usual DOS stub when that is cut off.
fn is_pe(bytes: &[u8]) -> bool {
    if !bytes.starts_with(b"MZ") {
        return false;
    }
    let header = le32(bytes, 0x3c)
        .and_then(|at| bytes.get(at..at.checked_add(4)?))
        .is_some_and(|signature| signature == b"PE\0\0");
    let head = bytes.get(..HEAD_BYTES.min(bytes.len())).unwrap_or_default();
    header
        || contains(head, b"cannot be run in DOS mode")
        || bytes.get(2..16).is_some_and(|stub| stub == b"\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0")
}

/// Thin files with their CPU and file type; fat ones with a table that names CPUs.
fn is_macho(bytes: &[u8]) -> bool {
    const CPUS: [u32; 6] = [7, 12, 18, 0x0100_0007, 0x0100_000c, 0x0200_000c];
    let word = |at: usize, little: bool| {
        be32(bytes, at).map(|word| if little { word.swap_bytes() } else { word })
    };
    let thin = |little| {
        word(4, little).is_some_and(|cpu| CPUS.contains(&cpu))
            && word(12, little).is_some_and(|kind| (1..=12).contains(&kind))
    };
    match be32(bytes, 0) {
        Some(0xfeed_face | 0xfeed_facf) => thin(false),
        Some(0xcefa_edfe | 0xcffa_edfe) => thin(true),
        Some(0xcafe_babe | 0xcafe_babf) => {
            word(4, false).is_some_and(|count| (1..=20).contains(&count))
                && word(8, false).is_some_and(|cpu| CPUS.contains(&cpu))
        }
        Some(_) | None => false,
    }
}

/// The version, and a constant pool (JVM specification section 4.1).
fn is_class(bytes: &[u8]) -> bool {
    let tag = bytes.get(10).copied().unwrap_or(0);
    be32(bytes, 0) == Some(0xcafe_babe)
        && matches!(bytes.get(6..8), Some([0, 45..=90]))
        && matches!(tag, 1 | 3..=12 | 15..=20)
}

/// The magic of any Python 3 with its flags (PEP 552), and a code object behind the header.
fn is_pyc(bytes: &[u8]) -> bool {
    let magic = le16(bytes, 0).unwrap_or(0);
    (3000..4000).contains(&magic)
        && bytes.get(2..4) == Some(b"\r\n")
        && le32(bytes, 4).is_some_and(|flags| flags <= 3)
        && matches!(bytes.get(16), Some(0xe3 | 0x63))
}

fn container(bytes: &[u8]) -> Option<Kind> {
    if bytes.starts_with(b"PK\x03\x04") && is_zip_entry(bytes)
        || bytes.starts_with(b"PK\x05\x06") && ends_as_zip(bytes)
    {
        return Some(Kind::Zip);
    }
    if is_gzip(bytes) {
        return Some(Kind::Gzip);
    }
    if is_tar(bytes) {
        return Some(Kind::Tar);
    }
    let bzip = bytes.starts_with(b"BZh")
        && matches!(bytes.get(3), Some(b'1'..=b'9'))
        && matches!(bytes.get(4..10), Some(b"1AY&SY" | b"\x17rE8P\x90"));
    let zstd = bytes.starts_with(b"\x28\xb5\x2f\xfd")
        && bytes.get(4).is_some_and(|descriptor| descriptor & 0x08 == 0);
    let text = if bzip {
        "a bzip2 archive, which was not looked into"
    } else if bytes.starts_with(b"\xfd7zXZ\0\0") && bytes.get(7).is_some_and(|check| *check < 16) {
        "an xz archive, which was not looked into"
    } else if zstd {
        "a Zstandard archive, which was not looked into"
    } else if bytes.starts_with(b"7z\xbc\xaf\x27\x1c\0") {
        "a 7z archive, which was not looked into"
    } else if bytes.starts_with(b"Rar!\x1a\x07\0") || bytes.starts_with(b"Rar!\x1a\x07\x01\0") {
        "a RAR archive, which was not looked into"
    } else if bytes.starts_with(b"MSCF\0\0\0\0") {
        "a Windows cabinet, which was not looked into"
    } else if bytes.starts_with(b"!<arch>\n") {
        "an ar archive or a Debian package, which was not looked into"
    } else if bytes.get(32_769..32_774) == Some(b"CD001") {
        "a disk image (ISO 9660), which was not looked into"
    } else {
        return None;
    };
    Some(Kind::Archive(text))
}

/// A local header with a version, a method and a name that make sense (APPNOTE 4.3.7).
fn is_zip_entry(bytes: &[u8]) -> bool {
    le16(bytes, 4).is_some_and(|version| version & 0xff <= 63)
        && le16(bytes, 8).is_some_and(|method| method <= 20 || (93..=99).contains(&method))
        && le16(bytes, 26).is_some_and(|name| (1..=1024).contains(&name))
}

/// Deflate, no reserved flag, and levels and systems that exist (RFC 1952 section 2.3.1).
fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x1f\x8b\x08")
        && matches!(bytes.get(3), Some(0..=0x1f))
        && matches!(bytes.get(8..10), Some([0 | 2 | 4, 0..=13 | 255]))
}

/// The magic and the checksum of the first header (POSIX pax).
fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar") && tar_checksum_holds(bytes)
}

/// Whether a header's checksum, read as octal, is the sum of its bytes with the field as spaces.
pub(super) fn tar_checksum_holds(header: &[u8]) -> bool {
    let Some(header) = header.get(..512) else { return false };
    let stated = header.get(148..156).and_then(octal);
    let field = |at: usize| (148..156).contains(&at);
    let sum: usize = header
        .iter()
        .enumerate()
        .map(|(at, byte)| usize::from(if field(at) { b' ' } else { *byte }))
        .sum();
    stated == Some(sum)
}

/// An octal number that ends at a space or a zero byte.
pub(super) fn octal(field: &[u8]) -> Option<usize> {
    let digits = field
        .iter()
        .skip_while(|byte| **byte == b' ')
        .take_while(|byte| byte.is_ascii_digit() && **byte < b'8');
    let mut value: Option<usize> = None;
    for digit in digits {
        let digit = usize::from(digit - b'0');
        value = Some(value.unwrap_or(0).checked_mul(8)?.checked_add(digit)?);
    }
    value
}

/// Whether the bytes end in a ZIP's record of its end, which points to a directory.
pub(super) fn ends_as_zip(bytes: &[u8]) -> bool {
    zip_end(bytes).is_some()
}

/// Where a ZIP's end record lies, when the directory that it states is there (APPNOTE 4.3.16).
pub(super) fn zip_end(bytes: &[u8]) -> Option<usize> {
    const END_BYTES: usize = 22;
    let from = bytes.len().checked_sub(END_BYTES)?;
    let first = from.saturating_sub(usize::from(u16::MAX));
    (first..=from).rev().find(|at| {
        bytes.get(*at..at + 4) == Some(b"PK\x05\x06")
            && le16(bytes, at + 20).is_some_and(|comment| at + END_BYTES + comment <= bytes.len())
            && zip_directory(bytes, *at).is_some()
    })
}

/// Where the directory starts: bytes that were put before the archive move it.
pub(super) fn zip_directory(bytes: &[u8], end: usize) -> Option<usize> {
    let (size, offset) = (le32(bytes, end + 12)?, le32(bytes, end + 16)?);
    if size == 0 && le16(bytes, end + 10) == Some(0) {
        return Some(end);
    }
    let holds = |at: usize| bytes.get(at..at.checked_add(4)?)?.eq(b"PK\x01\x02").then_some(at);
    end.checked_sub(size).and_then(holds).or_else(|| holds(offset))
}

fn document(bytes: &[u8]) -> Option<Kind> {
    if bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Some(Kind::Ole);
    }
    if bytes.starts_with(b"{\\rt") {
        return Some(Kind::Rtf);
    }
    if bytes.starts_with(b"%PDF-") {
        return Some(Kind::Pdf);
    }
    // Readers take a PDF whose header lies a little further in.
    let starts_as_media = media(bytes).is_some();
    (!starts_as_media && has_pdf_header(bytes) && contains(bytes, b"%%EOF")).then_some(Kind::Pdf)
}

/// A PDF header in the first KiB, where readers still take it.
pub(super) fn has_pdf_header(bytes: &[u8]) -> bool {
    let head = bytes.get(..HEAD_BYTES.min(bytes.len())).unwrap_or_default();
    find(head, b"%PDF-").is_some_and(|at| {
        matches!(head.get(at + 5..at + 8), Some([b'1' | b'2', b'.', b'0'..=b'9']))
    })
}

fn media(bytes: &[u8]) -> Option<Kind> {
    const STARTS: [&[u8]; 12] = [
        b"OggS\0",
        b"fLaC\0",
        b"ID3\x03",
        b"ID3\x04",
        b"wOFF",
        b"wOF2",
        b"OTTO\0",
        b"II*\0",
        b"MM\0*",
        b"\x1aE\xdf\xa3",
        b"\0\0\x01\0",
        b"\0\x01\0\0\0",
    ];
    let media = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Media::Png
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        Media::Jpeg
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        Media::Gif
    } else if STARTS.iter().any(|start| bytes.starts_with(start))
        || bytes.starts_with(b"RIFF")
        || bytes.get(4..8) == Some(b"ftyp")
        || bytes.starts_with(b"BM") && le32(bytes, 6) == Some(0)
    {
        Media::Other
    } else {
        return None;
    };
    Some(Kind::Media(media))
}

/// What follows the format's own end, if anything does.
pub(super) fn behind_media(bytes: &[u8], media: Media) -> &[u8] {
    let end = match media {
        Media::Png => find(bytes, b"IEND\xae\x42\x60\x82").map(|at| at + 8),
        Media::Jpeg => find(bytes, b"\xff\xd9").map(|at| at + 2),
        Media::Gif => find(bytes, b"\0;").map(|at| at + 2),
        Media::Other => None,
    };
    end.and_then(|end| bytes.get(end..)).unwrap_or_default()
}

/// An image that a script engine reads too: its header opens a comment or an assignment, or
/// it holds a page's script.
pub(super) fn is_script_too(bytes: &[u8]) -> bool {
    let after = bytes.strip_prefix(b"GIF89a").or_else(|| bytes.strip_prefix(b"GIF87a"));
    let after = after.or_else(|| bytes.strip_prefix(b"BM")).unwrap_or_default();
    let comment = after.starts_with(b"/*") && contains(after, b"*/");
    let assigned = after.starts_with(b"=") && std::str::from_utf8(bytes).is_ok();
    comment || assigned || contains(bytes, b"<?php") || contains(bytes, b"<script")
}

/// Formats that are text: only a blob that is text can be one.
fn textual(bytes: &[u8]) -> Option<Kind> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let head = bytes.get(..HEAD_BYTES.min(bytes.len()))?;
    let lower = head.trim_ascii_start().to_ascii_lowercase();
    let starts = |start: &[u8]| lower.starts_with(start);
    let has = |needle: &[u8]| contains(&lower, needle);
    if is_shebang(bytes) {
        return Some(Kind::Script(Severity::Medium, "a script with an interpreter line"));
    }
    if starts(b"[desktop entry]") && contains(bytes, b"Exec") {
        let text = "a desktop shortcut, which starts a command when it is opened";
        return Some(Kind::Shortcut(Severity::High, text));
    }
    if starts(b"[internetshortcut]") {
        return Some(Kind::Shortcut(Severity::Medium, "a shortcut to an address"));
    }
    if bytes.starts_with(b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F") {
        let text = "a Windows shortcut, which starts a command when it is opened";
        return Some(Kind::Shortcut(Severity::High, text));
    }
    if has(b"<hta:application") || starts(b"#@~^") || starts(b"<job") && has(b"<script") {
        return Some(Kind::Script(Severity::High, "a script for the Windows script host"));
    }
    let host = [&b"wscript.shell"[..], b"scripting.filesystemobject", b"activexobject("];
    if !starts(b"<") && host.iter().any(|name| has(name)) {
        return Some(Kind::Script(Severity::High, "a script for the Windows script host"));
    }
    if starts(b"@echo off") {
        return Some(Kind::Script(Severity::Medium, "a Windows batch file"));
    }
    if starts(b"#requires -") || starts(b"[cmdletbinding(") {
        return Some(Kind::Script(Severity::Medium, "a PowerShell script"));
    }
    let page = [&b"<!doctype html"[..], b"<html", b"<svg", b"<?xml", b"<script", b"<!doctype svg"];
    page.iter().any(|start| starts(start)).then_some(Kind::Markup)
}

/// `#!` and the path of an interpreter, in one printable line.
fn is_shebang(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(b"#!") else { return false };
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
    line.starts_with(b"/")
        && line.len() >= 4
        && line.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
}
