//! Reading the passages around anchors: small letters, one space for any space or markup.

use std::ops::Range;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;

use super::words::{self, Class};
use crate::risk::anchors::Place;

/// A shorter word is in too many others to be an anchor.
const ANCHOR_BYTES_MIN: usize = 5;
/// Bytes on each side of an anchor that are read with it.
const AROUND_BYTES: usize = 260;
/// The same where a persona may be described, or code follows.
const AROUND_WIDE_BYTES: usize = 1000;

/// A word at its place in the passage as it was read.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) class: Class,
    pub(super) word: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A passage with its words in their order.
pub(super) struct Reading {
    pub(super) seen: Vec<Seen>,
    /// Where each byte that was read lies in the text.
    places: Vec<usize>,
}

impl Reading {
    pub(super) fn place(&self, at: usize) -> usize {
        self.places.get(at).or(self.places.last()).copied().unwrap_or(0)
    }
}

struct Tables {
    /// How far around each anchor is read.
    around: Vec<usize>,
    words: Option<AhoCorasick>,
    entries: Vec<Entry>,
}

struct Entry {
    class: Class,
    /// Where it stands alone: letters before or behind it make it another word.
    starts: bool,
    ends: bool,
    /// Whether letters behind it are a part of it.
    open: bool,
}

fn all() -> impl Iterator<Item = (Class, &'static str)> {
    words::WORDS.iter().flat_map(|(class, words)| words.split(';').map(move |word| (*class, word)))
}

fn bare(word: &'static str) -> &'static str {
    word.strip_suffix('*').unwrap_or(word)
}

fn anchors_with_class() -> impl Iterator<Item = (Class, &'static str)> {
    all()
        .filter(|(class, _)| class & words::ANCHORS != 0)
        .map(|(class, word)| (class, bare(word)))
        .filter(|(_, word)| word.len() >= ANCHOR_BYTES_MIN)
}

/// The words without which nothing is found.
pub(in crate::risk) fn anchors() -> Vec<&'static str> {
    anchors_with_class().map(|(_, word)| word).collect()
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| {
        let is_ascii = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        let around = |(class, _): (Class, &str)| {
            if class & (words::FREE | words::SNIPPET) == 0 {
                AROUND_BYTES
            } else {
                AROUND_WIDE_BYTES
            }
        };
        let entry = |(class, word): (Class, &'static str)| Entry {
            class,
            starts: is_ascii(word.bytes().next()),
            open: word.ends_with('*'),
            ends: !word.ends_with('*') && is_ascii(word.bytes().last()),
        };
        Tables {
            around: anchors_with_class().map(around).collect(),
            words: AhoCorasick::new(all().map(|(_, word)| bare(word).replace('_', " "))).ok(),
            entries: all().map(entry).collect(),
        }
    })
}

/// The passages with anchors.
pub(super) fn read(bytes: &[u8], places: &[Place]) -> Vec<Reading> {
    if places.is_empty() {
        return Vec::new();
    }
    let tables = tables();
    let mut passages: Vec<Range<usize>> = Vec::new();
    for Place { word, at } in places {
        let around = tables.around.get(*word).copied().unwrap_or(AROUND_BYTES);
        passages.push(at.saturating_sub(around)..(at + around).min(bytes.len()));
    }
    passages.sort_by_key(|passage| passage.start);
    passages.dedup_by(|next, last| {
        let joins = last.end >= next.start;
        if joins {
            last.end = last.end.max(next.end);
        }
        joins
    });
    passages.into_iter().map(|passage| passage_of(tables, bytes, passage)).collect()
}

fn passage_of(tables: &Tables, bytes: &[u8], passage: Range<usize>) -> Reading {
    let mut read: Vec<u8> = Vec::with_capacity(passage.len());
    let mut places: Vec<usize> = Vec::with_capacity(passage.len());
    let part = bytes.get(passage.clone()).unwrap_or_default();
    for (place, byte) in passage.zip(part) {
        let blank = byte.is_ascii_whitespace() || matches!(byte, b'*' | b'_' | b'"' | b'`' | b'~');
        let byte = if blank { b' ' } else { byte.to_ascii_lowercase() };
        // Curly apostrophes are three bytes, of which the last tells them.
        if byte == 0x99 && read.ends_with(b"\xe2\x80") {
            read.truncate(read.len() - 2);
            places.truncate(read.len());
            read.push(b'\'');
            places.push(place);
        } else if byte != b' ' || read.last() != Some(&b' ') {
            read.push(byte);
            places.push(place);
        }
    }
    Reading { seen: seen(tables, &read), places }
}

fn seen(tables: &Tables, read: &[u8]) -> Vec<Seen> {
    let Some(words) = &tables.words else { return Vec::new() };
    let is_letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let mut seen: Vec<Seen> = words
        .find_overlapping_iter(read)
        .filter_map(|found| {
            let (start, end) = (found.start(), found.end());
            let entry = tables.entries.get(found.pattern().as_usize())?;
            let before = start.checked_sub(1).and_then(|at| read.get(at));
            let cut = entry.starts && is_letter(before) || entry.ends && is_letter(read.get(end));
            let word = found.pattern().as_usize();
            let further =
                read.get(end..).unwrap_or_default().iter().take(if entry.open { 24 } else { 0 });
            let end = end + further.take_while(|byte| byte.is_ascii_alphanumeric()).count();
            (!cut).then_some(Seen { class: entry.class, word, start, end })
        })
        .collect();
    seen.sort_by_key(|seen| seen.start);
    seen
}
