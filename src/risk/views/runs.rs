//! Long runs of the characters of base64 and hexadecimal.

use std::ops::Range;

use super::{
    Budget, Layer, bytes,
    source::{Next, Origin, Source},
};

/// The least run: base64 of eight bytes, without padding.
const RUN_MIN: usize = 11;
/// The least run of hexadecimal digits: eight bytes.
const HEX_MIN: usize = 16;
/// The least length of a line that a further one continues.
const LINE_MIN: usize = 16;
/// Runs up to here are also tried part by part.
const PARTS_MAX: usize = 4096;
/// So many characters tell whether a text begins there.
const PROBE: usize = 24;

/// The value of a character in either alphabet of base64 (RFC 4648 sections 4 and 5), or 255.
static VALUES: [u8; 256] = values();

#[allow(clippy::indexing_slicing)] // evaluated by the compiler
const fn values() -> [u8; 256] {
    let mut values = [255; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0_u8;
    while at < 64 {
        values[alphabet[at as usize] as usize] = at;
        at += 1;
    }
    values[b'-' as usize] = 62;
    values[b'_' as usize] = 63;
    values
}

fn value(byte: u8) -> u8 {
    VALUES.get(usize::from(byte)).copied().unwrap_or(255)
}

fn is_base64(byte: u8) -> bool {
    value(byte) != 255
}

pub(super) fn expand(source: &Source<'_>, next: &mut Next, budget: &mut Budget) {
    let text = source.text().as_bytes();
    let mut at = 0;
    let mut scratch = Scratch::default();
    while let Some(run) = next_run(text, at) {
        let more = further_lines(text, &run);
        let whole = run.start..more.last().map_or(run.end, |line| line.end);
        at = whole.end;
        if !source.is_new(&whole) {
            continue;
        }
        let lines = || std::iter::once(&run).chain(&more);
        if !more.is_empty() {
            let joined: Vec<u8> =
                lines().filter_map(|line| text.get(line.clone())).flatten().copied().collect();
            if scratch.decode(&joined, &source.origin(&whole), next, budget) {
                continue;
            }
        }
        for line in lines() {
            if let Some(run) = text.get(line.clone()) {
                scratch.decode(run, &source.origin(line), next, budget);
            }
        }
    }
}

/// The next run from `from` on. Looks at a run's possible end first, so that short words are
/// passed over without a look at each character.
fn next_run(text: &[u8], from: usize) -> Option<Range<usize>> {
    let mut start = from;
    loop {
        let window = text.get(start..start + RUN_MIN)?;
        if let Some(other) = window.iter().rposition(|byte| !is_base64(*byte)) {
            start += other + 1;
            continue;
        }
        // Nothing before belongs to it: that was looked at, or `from` is its end.
        let rest = text.get(start + RUN_MIN..)?;
        let more = rest.iter().position(|byte| !is_base64(*byte)).unwrap_or(rest.len());
        return Some(start..start + RUN_MIN + more);
    }
}

/// The lines that continue a run, if it ends its line.
fn further_lines(text: &[u8], run: &Range<usize>) -> Vec<Range<usize>> {
    let mut lines: Vec<Range<usize>> = Vec::new();
    let mut last = run.clone();
    while last.len() >= LINE_MIN {
        let rest = text.get(last.end..).unwrap_or_default();
        let Some(rest) = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")) else {
            break;
        };
        let indent =
            rest.iter().take(32).take_while(|byte| matches!(byte, b' ' | b'\t' | b'>')).count();
        let start = text.len() - rest.len() + indent;
        let length = rest.iter().skip(indent).take_while(|byte| is_base64(**byte)).count();
        let after = text.get(start + length).copied();
        if length < 2 || !matches!(after, None | Some(b'\n' | b'\r' | b'=' | b'"' | b'\'' | b'`')) {
            break;
        }
        last = start..start + length;
        lines.push(last.clone());
    }
    lines
}

/// A buffer that is used again.
#[derive(Default)]
struct Scratch {
    bytes: Vec<u8>,
}

impl Scratch {
    /// Adds what a run holds; whether that was text.
    fn decode(
        &mut self,
        run: &[u8],
        origin: &Origin,
        next: &mut Next,
        budget: &mut Budget,
    ) -> bool {
        budget.worked(run.len());
        if run.iter().all(|byte| Some(byte) == run.first()) {
            return false; // A rule across the page.
        }
        let digits = match run.len() {
            HEX_MIN.. => run.iter().filter(|byte| byte.is_ascii_hexdigit()).count(),
            _ => 0,
        };
        if digits >= HEX_MIN && self.hex(run, origin, next, budget) {
            return true;
        }
        if digits == run.len() && digits >= HEX_MIN {
            return false;
        }
        self.base64(run, origin, next, budget)
    }

    /// The longest runs of digits in a run.
    fn hex(&mut self, run: &[u8], origin: &Origin, next: &mut Next, budget: &mut Budget) -> bool {
        let mut text = false;
        for digits in run.split(|byte| !byte.is_ascii_hexdigit()).filter(|run| run.len() >= HEX_MIN)
        {
            let odd = usize::from(digits.len() % 2 == 1);
            // `0x` before it ends in a digit; of an odd number either end may be a stranger.
            for skip in 0..=odd {
                self.bytes.clear();
                let pairs = digits.get(skip..).unwrap_or_default();
                self.bytes.extend(pairs.as_chunks::<2>().0.iter().map(|pair| pair_of(*pair)));
                let readable = bytes::text_of(&self.bytes).is_some();
                if readable || skip == odd {
                    let origin = origin.under(Layer::Hex);
                    bytes::hold(&self.bytes, &origin, next, budget);
                    text |= readable;
                    break;
                }
            }
        }
        text
    }

    fn base64(
        &mut self,
        run: &[u8],
        origin: &Origin,
        next: &mut Next,
        budget: &mut Budget,
    ) -> bool {
        let mut whole = None;
        if self.begins(run) {
            self.fill(run);
            if bytes::text_of(&self.bytes).is_some() {
                whole = Some(0);
            }
        }
        if whole.is_none() && run.len() >= PROBE + 3 {
            whole = (1..4)
                .find(|skip| run.get(*skip..*skip + PROBE).is_some_and(|run| self.is_text(run)));
        }
        if let Some(skip) = whole {
            self.fill(run.get(skip..).unwrap_or_default());
            let origin = origin.under(Layer::Base64);
            bytes::hold(&self.bytes, &origin, next, budget);
            return true;
        }
        let mut text = false;
        if run.len() <= PARTS_MAX {
            for part in run.split(|byte| !byte.is_ascii_alphanumeric()) {
                if part.len() >= RUN_MIN && part.len() < run.len() && self.is_text(part) {
                    let origin = origin.under(Layer::Base64);
                    bytes::hold(&self.bytes, &origin, next, budget);
                    text = true;
                }
            }
        }
        if !text && run.len() >= PROBE {
            self.fill(run);
            bytes::hold(&self.bytes, &origin.under(Layer::Base64), next, budget);
        }
        text
    }

    /// Whether a run may begin a text, by its first characters.
    fn begins(&mut self, run: &[u8]) -> bool {
        self.fill(run.get(..8).unwrap_or(run));
        bytes::may_be_text(&self.bytes)
    }

    fn is_text(&mut self, run: &[u8]) -> bool {
        self.begins(run) && {
            self.fill(run);
            bytes::may_be_text(&self.bytes)
        }
    }

    /// Decodes; what is left over of bits at the end is dropped.
    fn fill(&mut self, run: &[u8]) {
        self.bytes.clear();
        let (quads, rest) = run.as_chunks::<4>();
        for [a, b, c, d] in quads {
            let bits =
                [*a, *b, *c, *d].iter().fold(0, |bits, byte| bits << 6 | u32::from(value(*byte)));
            let [_, bytes @ ..] = bits.to_be_bytes();
            self.bytes.extend(bytes);
        }
        let bits = rest.iter().fold(0_u32, |bits, byte| bits << 6 | u32::from(value(*byte)));
        match rest.len() {
            2 => self.bytes.extend((bits >> 4).to_be_bytes().last()),
            3 => self.bytes.extend((bits >> 2).to_be_bytes().iter().skip(2)),
            _ => {}
        }
    }
}

/// The byte of two digits; what is none counts as anything.
pub(super) fn pair_of([high, low]: [u8; 2]) -> u8 {
    // The low four bits of a letter begin with 1; bit 6 is set in letters alone.
    let digit = |byte: u8| (byte & 15) + (byte >> 6) * 9;
    digit(high) << 4 | (digit(low) & 15)
}
