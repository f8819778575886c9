//! Characters that are spelled out in the text: `%41`, `\u0041`, `&#65;`.

use std::ops::Range;

use memchr::memchr3_iter;

use super::{
    Budget, Layer, Replaced, Windows, bytes,
    runs::pair_of,
    source::{Next, Source},
};

/// So many bytes in a row that are no text may be a file.
const BYTES_MIN: usize = 64;

/// One spelling: its length, and the bytes that it stands for, as UTF-8 if it is a character.
struct Spelled {
    layer: Layer,
    length: usize,
    bytes: [u8; 4],
    count: usize,
}

impl Spelled {
    fn character(layer: Layer, length: usize, c: char) -> Self {
        let mut bytes = [0; 4];
        let count = c.encode_utf8(&mut bytes).len();
        Self { layer, length, bytes, count }
    }

    const fn byte(layer: Layer, length: usize, byte: u8) -> Self {
        Self { layer, length, bytes: [byte, 0, 0, 0], count: 1 }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.count).unwrap_or_default()
    }
}

/// Spellings of one kind that stand next to each other.
struct Stretch {
    range: Range<usize>,
    layer: Layer,
    bytes: Vec<u8>,
}

pub(super) fn expand(source: &Source<'_>, next: &mut Next, budget: &mut Budget) {
    let text = source.text();
    let mut windows = Windows::default();
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut done = 0;
    for at in memchr3_iter(b'%', b'\\', b'&', text.as_bytes()) {
        if at < done {
            continue;
        }
        let Some(spelled) = spelled(text.as_bytes().get(at..).unwrap_or_default()) else {
            continue;
        };
        done = at + spelled.length;
        windows.cover(text, &(at..done));
        match stretches.last_mut() {
            Some(last) if last.range.end == at && last.layer == spelled.layer => {
                last.range.end = done;
                last.bytes.extend(spelled.bytes());
            }
            _ => {
                let (layer, bytes) = (spelled.layer, spelled.bytes().to_vec());
                stretches.push(Stretch { range: at..done, layer, bytes });
            }
        }
    }
    let mut stretches = stretches.iter().peekable();
    for window in &windows.list {
        let mut replaced = Replaced::new(source, window);
        while let Some(stretch) = stretches.next_if(|stretch| stretch.range.start < window.end) {
            let text = String::from_utf8_lossy(&stretch.bytes);
            replaced.replace(next, &stretch.range, (&text, stretch.layer), budget);
            if stretch.bytes.len() >= BYTES_MIN && bytes::text_of(&stretch.bytes).is_none() {
                let origin = source.origin(&stretch.range).under(stretch.layer);
                next.blob(&stretch.bytes, &origin, budget);
            }
        }
        replaced.finish(next, budget);
    }
}

/// What stands at the beginning of `text`.
fn spelled(text: &[u8]) -> Option<Spelled> {
    match text {
        [b'%', pair @ ..] => Some(Spelled::byte(Layer::Percent, 3, pair_at(pair)?)),
        [b'\\', rest @ ..] => escape(rest),
        [b'&', rest @ ..] => entity(rest),
        _ => None,
    }
}

fn pair_at(text: &[u8]) -> Option<u8> {
    let pair = text.first_chunk::<2>()?;
    pair.iter().all(u8::is_ascii_hexdigit).then(|| pair_of(*pair))
}

/// What follows a backslash, in the languages that spell bytes and characters with one.
fn escape(rest: &[u8]) -> Option<Spelled> {
    let plain = |c| Some(Spelled::character(Layer::Escapes, 2, c));
    match rest {
        [b'n', ..] => plain('\n'),
        [b't', ..] => plain('\t'),
        [b'r', ..] => plain('\r'),
        [c @ (b'"' | b'\'' | b'\\' | b'/'), ..] => plain(char::from(*c)),
        [b'x', pair @ ..] => Some(Spelled::byte(Layer::Escapes, 4, pair_at(pair)?)),
        [b'u', b'{', rest @ ..] => {
            let (c, digits) = number(rest, 16)?;
            (rest.get(digits) == Some(&b'}'))
                .then(|| Spelled::character(Layer::Escapes, digits + 4, c))
        }
        [b'u', rest @ ..] => {
            let unit = unit_at(rest)?;
            let second = rest.get(4..).and_then(|rest| rest.strip_prefix(b"\\u")).and_then(unit_at);
            let pair = second.and_then(|second| char::decode_utf16([unit, second]).next()?.ok());
            match char::from_u32(u32::from(unit)) {
                Some(c) => Some(Spelled::character(Layer::Escapes, 6, c)),
                None => pair.map(|c| Spelled::character(Layer::Escapes, 12, c)),
            }
        }
        [b'U', rest @ ..] => {
            let (c, digits) = number(rest.get(..8)?, 16)?;
            (digits == 8).then(|| Spelled::character(Layer::Escapes, 10, c))
        }
        [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
            let byte = (a - b'0') << 6 | (b - b'0') << 3 | (c - b'0');
            Some(Spelled::byte(Layer::Escapes, 4, byte))
        }
        _ => None,
    }
}

fn unit_at(text: &[u8]) -> Option<u16> {
    let (high, low) = (pair_at(text)?, pair_at(text.get(2..)?)?);
    Some(u16::from_be_bytes([high, low]))
}

/// A number at the beginning of `text` as a character, and how many digits it has, at most eight.
fn number(text: &[u8], radix: u32) -> Option<(char, usize)> {
    let mut value = 0_u32;
    let mut digits = 0;
    for digit in text.iter().take(8).map_while(|byte| char::from(*byte).to_digit(radix)) {
        value = value.checked_mul(radix)?.checked_add(digit)?;
        digits += 1;
    }
    (digits > 0).then_some(())?;
    Some((char::from_u32(value)?, digits))
}

/// What follows an ampersand.
fn entity(rest: &[u8]) -> Option<Spelled> {
    let named = [
        ("amp;", '&'),
        ("lt;", '<'),
        ("gt;", '>'),
        ("quot;", '"'),
        ("apos;", '\''),
        ("nbsp;", ' '),
    ];
    if let [b'#', rest @ ..] = rest {
        let (skip, radix) = if matches!(rest, [b'x' | b'X', ..]) { (1, 16) } else { (0, 10) };
        let rest = rest.get(skip..)?;
        let (c, digits) = number(rest, radix)?;
        let closed = usize::from(rest.get(digits) == Some(&b';'));
        return Some(Spelled::character(Layer::Entities, 2 + skip + digits + closed, c));
    }
    let (name, c) = named.iter().find(|(name, _)| rest.starts_with(name.as_bytes()))?;
    Some(Spelled::character(Layer::Entities, name.len() + 1, *c))
}
