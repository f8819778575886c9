use std::io::Write as _;

use flate2::{Compression, write::DeflateEncoder, write::GzEncoder, write::ZlibEncoder};

use super::*;

fn rules(bytes: &[u8]) -> Vec<(String, Severity)> {
    scan(bytes).into_iter().map(|hit| (hit.rule.into_owned(), hit.severity)).collect()
}

fn names(bytes: &[u8]) -> Vec<String> {
    rules(bytes).into_iter().map(|(rule, _)| rule).collect()
}

fn padded(head: &[u8]) -> Vec<u8> {
    let mut bytes = head.to_vec();
    bytes.resize(head.len().max(600), 0);
    bytes
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn u16le(value: usize) -> [u8; 2] {
    u16::try_from(value).unwrap().to_le_bytes()
}

fn u32le(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap().to_le_bytes()
}

/// A ZIP with deflated entries; `flags` 1 says that they are encrypted.
fn zipped(entries: &[(&str, &[u8])], flags: usize, mode: usize) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let packed = deflated(content);
        let offset = bytes.len();
        let common = [
            &u16le(20)[..],
            &u16le(flags),
            &u16le(8),
            &[0; 4],
            &[0; 4],
            &u32le(packed.len()),
            &u32le(content.len()),
            &u16le(name.len()),
            &u16le(0),
        ]
        .concat();
        bytes.extend([b"PK\x03\x04", &common[..], name.as_bytes(), &packed].concat());
        let tail = [&[0; 6][..], &u16le(0), &u16le(mode), &u32le(offset)].concat();
        directory
            .extend([b"PK\x01\x02", &u16le(20)[..], &common[..], &tail, name.as_bytes()].concat());
    }
    let (at, size) = (bytes.len(), directory.len());
    let count = u16le(entries.len());
    bytes.extend(directory);
    bytes.extend(
        [b"PK\x05\x06", &[0; 4][..], &count, &count, &u32le(size), &u32le(at), &[0; 2]].concat(),
    );
    bytes
}

fn tarred(name: &str, kind: u8, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[148..156].copy_from_slice(b"        ");
    header[156] = kind;
    header[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header[257..263].copy_from_slice(b"ustar\0");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header.extend(content);
    header.resize(header.len().div_ceil(512) * 512 + 1024, 0);
    header
}

fn elf() -> Vec<u8> {
    padded(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0")
}

fn pe() -> Vec<u8> {
    let mut bytes = padded(b"MZ");
    bytes[0x3c] = 0x80;
    bytes[0x80..0x84].copy_from_slice(b"PE\0\0");
    bytes
}

#[test]
fn programs_are_found_and_their_magic_alone_is_not() {
    let mut python = padded(&[0xcb, 0x0d, b'\r', b'\n']);
    python[16] = 0xe3;
    let cases = [
        (elf(), padded(b"\x7fELF\x07\x01\x01")),
        (pe(), padded(b"MZ, the mark of Zbikowski")),
        (
            padded(b"\xcf\xfa\xed\xfe\x07\0\0\x01\x03\0\0\0\x02\0\0\0"),
            padded(b"\xcf\xfa\xed\xfe\x99\0\0\x01\x03\0\0\0\x02\0\0\0"),
        ),
        (
            padded(b"\xca\xfe\xba\xbe\0\0\0\x02\x01\0\0\x07"),
            padded(b"\xca\xfe\xba\xbe\0\0\0\x7f\x09\0\0\x07"),
        ),
        (
            padded(b"\xca\xfe\xba\xbe\0\0\0\x41\0\x1d\x0a\0"),
            padded(b"\xca\xfe\xba\xbe\0\0\x07\x41\0\x1d\x0a\0"),
        ),
        (padded(b"\0asm\x01\0\0\0"), padded(b"\0asm\x09\0\0\0")),
        (padded(b"dex\n035\0"), padded(b"dex\n035x")),
        (python, padded(&[0xcb, 0x0d, b'\r', b'\n'])),
    ];
    for (case, near) in cases {
        assert_eq!(rules(&case), [(EXECUTABLE.to_owned(), Severity::High)], "{:?}", &case[..8]);
        assert_eq!(names(&near), Vec::<String>::new(), "{:?}", &near[..8]);
    }
}

#[test]
fn scripts_and_shortcuts_are_found() {
    let link = padded(b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F");
    let cases: [(&[u8], &str, &[u8]); 9] = [
        (b"#!/bin/sh\necho", SCRIPT, b"#! not a path"),
        (b"@ECHO OFF\r\ndel x", SCRIPT, b"an echo off the wall"),
        (b"<html><hta:application id=x>", SCRIPT, b"<html>hta applications</html>"),
        (b"Set s = CreateObject(\"WScript.Shell\")", SCRIPT, b"a shell for scripts"),
        (b"#Requires -Version 5\n", SCRIPT, b"# Requires version 5"),
        (b"#@~^AAAA==", SCRIPT, b"#@ ~^"),
        (&link, SHORTCUT, b"L\0\0\0\x01\x14\x02\0"),
        (b"[Desktop Entry]\nExec=sh -c id\n", SHORTCUT, b"the [Desktop Entry] group has Exec"),
        (b"[InternetShortcut]\r\nURL=http://a.example/", SHORTCUT, b"an InternetShortcut"),
    ];
    for (case, rule, near) in cases {
        assert_eq!(names(case), [rule], "{}", String::from_utf8_lossy(case));
        assert_eq!(names(near), Vec::<String>::new(), "{}", String::from_utf8_lossy(near));
    }
}

#[test]
fn archives_are_named_and_only_their_content_is_bad() {
    let quiet = [
        gz(b"a plain text"),
        zipped(&[("a/b.txt", b"plain")], 0, 0),
        tarred("a/b.txt", b'0', "", b"plain"),
        gz(&tarred("a", b'2', "b/c", b"")),
        b"BZh91AY&SY1234".to_vec(),
        b"\xfd7zXZ\0\0\x04rest".to_vec(),
        b"\x28\xb5\x2f\xfd\x04rest".to_vec(),
        b"7z\xbc\xaf\x27\x1c\0\x04".to_vec(),
        b"Rar!\x1a\x07\x01\0".to_vec(),
        b"MSCF\0\0\0\0\x10".to_vec(),
        b"!<arch>\ndebian-binary".to_vec(),
    ];
    for bytes in quiet {
        assert_eq!(rules(&bytes), [(ARCHIVE.to_owned(), Severity::Medium)], "{:?}", &bytes[..6]);
    }
    for bytes in [&b"BZh9 in a text"[..], b"PK is a pair of letters", b"\x1f\x8b\x08\xff123456789"]
    {
        assert_eq!(names(bytes), Vec::<String>::new());
    }
}

#[test]
fn what_an_archive_holds_is_looked_at() {
    let zip = |name: &str, content: &[u8]| zipped(&[("first", b"1"), (name, content)], 0, 0);
    let cases = [
        (zip("../../etc/x", b"x"), PATH),
        (zip("C:\\x", b"x"), PATH),
        (tarred("/etc/x", b'0', "", b"x"), PATH),
        (tarred("pax", b'x', "", b"20 path=../../x/yyyy\n"), PATH),
        (tarred("a", b'2', "/etc/passwd", b""), LINK),
        (zipped(&[("a", b"../../x")], 0, 0xa1ff), LINK),
        (zip("run", &elf()), EXECUTABLE),
        (gz(&tarred("run", b'0', "", &pe())), EXECUTABLE),
        (zip("word/vbaProject.bin", b"x"), MACRO),
        (zipped(&[("a", b"x")], 1, 0), ENCRYPTED),
        (gz(b"cut off, and long enough to be so")[..20].to_vec(), UNDECODABLE),
        (zip("a", b"x")[..60].to_vec(), UNDECODABLE),
    ];
    for (bytes, rule) in cases {
        assert_eq!(names(&bytes), [ARCHIVE, rule]);
        assert!(rules(&bytes).contains(&(rule.to_owned(), Severity::High)));
    }
    let near = zip("a..b/...x", b"x");
    assert_eq!(names(&near), [ARCHIVE]);
}

#[test]
fn bombs_and_deep_nesting_are_found() {
    let zeros = vec![0; BOMB_BYTES + 1];
    assert_eq!(names(&gz(&zeros)), [ARCHIVE, BOMB]);
    assert_eq!(names(&gz(&zeros[..BOMB_BYTES / 2])), [ARCHIVE]);
    assert!(names(&zipped(&[("a", &zeros)], 0, 0)).contains(&BOMB.to_owned()));
    let many: Vec<(&str, &[u8])> = vec![("a", b""); ENTRIES_MAX + 1];
    assert_eq!(names(&zipped(&many, 0, 0)), [ARCHIVE, BOMB]);
    assert_eq!(names(&zipped(&many[..100], 0, 0)), [ARCHIVE]);
    let nested = |levels: usize| (0..levels).fold(b"x".to_vec(), |inner, _| gz(&inner));
    assert_eq!(names(&nested(DEPTH_MAX + 1)), [ARCHIVE]);
    assert_eq!(names(&nested(DEPTH_MAX + 2)), [ARCHIVE, NESTED]);
}

#[test]
fn documents_are_asked_what_they_run() {
    let wide = |name: &str| -> Vec<u8> { name.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let ole = |name: &str| [&b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"[..], &wide(name)].concat();
    let mut stream = ZlibEncoder::new(Vec::new(), Compression::best());
    stream.write_all(b"<< /S /JavaScript >>").unwrap();
    let hidden = [b"%PDF-1.7\nstream\n", &stream.finish().unwrap()[..], b"\nendstream"].concat();
    let office = |name: &str| zipped(&[("[Content_Types].xml", b"x"), (name, b"x")], 0, 0);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (ole("_VBA_PROJECT"), MACRO),
        (ole("EncryptedPackage"), ENCRYPTED),
        (office("word/vbaProject.bin"), MACRO),
        (b"%PDF-1.7\n<< /S /JavaScript >>".to_vec(), ACTIVE),
        (b"%PDF-1.7\n<< /S /Java#53cript >>".to_vec(), ACTIVE),
        (b"%PDF-1.7\n<< /S /Launch >>".to_vec(), ACTIVE),
        (hidden, ACTIVE),
        (b"%PDF-1.7\n<< /Type /EmbeddedFile >>".to_vec(), "file.embedded"),
        (b"%PDF-1.7\n<< /OpenAction 1 >>".to_vec(), "file.open_action"),
        (b"{\\rtf1{\\object\\objdata 01}}".to_vec(), ACTIVE),
        (b"<svg><script>x</script></svg>".to_vec(), ACTIVE),
        (b"<!DOCTYPE html><script>x</script>".to_vec(), ACTIVE),
    ];
    for (bytes, rule) in cases {
        assert_eq!(names(&bytes), [rule], "{}", String::from_utf8_lossy(&bytes));
    }
    let near = [
        ole("WordDocument"),
        office("word/document.xml"),
        b"%PDF-1.7\n/JavaScripted /Launcher".to_vec(),
        b"{\\rtf1 text}".to_vec(),
        b"<svg><path d='M0'/></svg>".to_vec(),
        b"<html><p>no scripts here</html>".to_vec(),
    ];
    for bytes in near {
        assert_eq!(names(&bytes), Vec::<String>::new(), "{}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn two_formats_at_once_are_found_and_images_are_not() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\0IEND\xae\x42\x60\x82";
    let zip = zipped(&[("a", b"x")], 0, 0);
    for bytes in [
        [&png[..], &zip].concat(),
        [&png[..], b"Rar!\x1a\x07\0"].concat(),
        b"GIF89a/*\0\0*/=1;alert(1)".to_vec(),
        b"GIF89a=1;alert(1)".to_vec(),
        b"\xff\xd8\xff\xe0 <?php system(1); ?>".to_vec(),
        b"GIF89a\x01\0\x01\0%PDF-1.4".to_vec(),
    ] {
        assert_eq!(names(&bytes), [POLYGLOT], "{}", String::from_utf8_lossy(&bytes));
    }
    let both = [&b"%PDF-1.4\n"[..], &zip].concat();
    assert_eq!(names(&both), [POLYGLOT, ARCHIVE]);
    for bytes in [
        png.to_vec(),
        [&png[..], b"\0\0\0"].concat(),
        b"GIF89a\x01\0\x01\0\0\0;".to_vec(),
        b"\xff\xd8\xff\xe0\0\x10JFIF\0\xff\xd9".to_vec(),
        b"OggS\0\x02".to_vec(),
        b"plain text, and nothing else".to_vec(),
        Vec::new(),
    ] {
        assert_eq!(names(&bytes), Vec::<String>::new(), "{bytes:?}");
    }
}

#[test]
fn random_bytes_are_nothing() {
    // xorshift64: the same bytes each time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..100_000 {
        let length = 16 + usize::try_from(next() % 185).unwrap();
        let mut bytes: Vec<u8> =
            (0..length.div_ceil(8)).flat_map(|_| next().to_le_bytes()).collect();
        bytes.truncate(length);
        assert_eq!(names(&bytes), Vec::<String>::new(), "{bytes:?}");
    }
}

proptest::proptest! {
    #[test]
    fn damaged_files_never_panic(at in 0_usize..400, byte: u8, cut in 0_usize..700) {
        for mut bytes in [
            zipped(&[("a", b"text"), ("b/c", &elf())], 0, 0),
            tarred("a", b'0', "", b"text"),
            gz(&tarred("a", b'0', "", b"text")),
            pe(),
            b"%PDF-1.7\nstream\nx\x9c /Java#5".to_vec(),
        ] {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            bytes.truncate(cut);
            scan(&bytes);
        }
    }
}
