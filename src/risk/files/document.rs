//! What a document would run when it is opened.

use flate2::read::ZlibDecoder;

use super::{ACTIVE, ENCRYPTED, EXECUTABLE, Look, MACRO, Severity, contains, find};

/// Compressed streams of one PDF that are looked into.
const STREAMS_MAX: usize = 256;

/// Compound files: names of streams are UTF-16.
pub(super) fn ole(look: &mut Look, bytes: &[u8]) {
    /// The class of an installer package, {000C1084-0000-0000-C000-000000000046}.
    const INSTALLER: &[u8] = b"\x84\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0F";
    if has_name(bytes, "_VBA_PROJECT") || has_name(bytes, "Macros") {
        look.add(MACRO, Severity::High, "a document with macros");
    }
    if has_name(bytes, "EncryptedPackage") {
        look.add(ENCRYPTED, Severity::High, "an encrypted document");
    }
    if contains(bytes, INSTALLER) {
        look.add(EXECUTABLE, Severity::High, "an installer for Windows");
    }
    if has_name(bytes, "\u{1}Ole10Native") {
        look.add(ACTIVE, Severity::High, "a document with an embedded object");
    }
}

fn has_name(bytes: &[u8], name: &str) -> bool {
    let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    contains(bytes, &wide)
}

/// Names of actions, in the file itself and in its compressed streams (ISO 32000-1, 12.6).
pub(super) fn pdf(look: &mut Look, bytes: &[u8]) {
    pdf_names(look, bytes);
    let (mut rest, mut streams) = (bytes, 0);
    while let Some(at) = find(rest, b"stream").filter(|_| streams < STREAMS_MAX) {
        rest = rest.get(at + 6..).unwrap_or_default();
        let data = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n"));
        if let Some(data) = data.filter(|data| data.starts_with(b"x")) {
            streams += 1;
            let inflated = look.inflate(ZlibDecoder::new(data));
            look.weigh(data.len(), inflated.bytes.len());
            pdf_names(look, &inflated.bytes);
        }
    }
}

fn pdf_names(look: &mut Look, bytes: &[u8]) {
    let mut rest = bytes;
    while let Some(at) = find(rest, b"/") {
        rest = rest.get(at + 1..).unwrap_or_default();
        match pdf_name(rest).as_slice() {
            b"JavaScript" | b"JS" => {
                look.add(ACTIVE, Severity::High, "a PDF with a script");
            }
            b"Launch" => look.add(ACTIVE, Severity::High, "a PDF that starts a program"),
            b"EmbeddedFile" | b"RichMedia" => {
                look.add("file.embedded", Severity::Medium, "a PDF with an embedded file");
            }
            b"OpenAction" => {
                look.add("file.open_action", Severity::Low, "a PDF with an action on opening");
            }
            _ => {}
        }
    }
}

/// A name with its `#xx` read, as long as any that matters.
fn pdf_name(bytes: &[u8]) -> Vec<u8> {
    let mut name = Vec::new();
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        let (byte, after) = match (first, after) {
            (b'#', [high, low, further @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high * 16 + low, further),
                _ => return name,
            },
            _ => (*first, after),
        };
        if !byte.is_ascii_alphanumeric() || name.len() > 12 {
            return name;
        }
        name.push(byte);
        rest = after;
    }
    name
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Objects of RTF, which an editor unpacks when it opens the text.
pub(super) fn rtf(look: &mut Look, bytes: &[u8]) {
    let names = [&b"\\objdata"[..], b"\\objocx", b"\\objupdate", b"\\objautlink"];
    if names.iter().any(|name| contains(bytes, name)) {
        look.add(ACTIVE, Severity::High, "a document with an embedded object");
    }
}

/// Scripts of HTML and SVG.
pub(super) fn markup(look: &mut Look, bytes: &[u8]) {
    let lower = bytes.to_ascii_lowercase();
    let has = |needle: &[u8]| contains(&lower, needle);
    if !has(b"<script") && !has(b"javascript:") && !has(b" onload=") && !has(b" onerror=") {
        return;
    }
    if has(b"<svg") && !has(b"<html") {
        look.add(ACTIVE, Severity::High, "an image (SVG) with a script");
    } else {
        look.add(ACTIVE, Severity::Medium, "a page with a script");
    }
}
