//! The ways to read a text: as it is, with its characters folded to their plain forms, and through
//! encodings, each within another up to [`DEPTH_MAX`].
//!
//! All that is decoded at one depth makes one further text, a piece a line, and each piece knows
//! where in the original it came from ([`source`]). So there are few texts whatever comes in, and
//! all of them together are bounded.

mod bytes;
mod fold;
mod runs;
mod source;
mod spaced;
mod spelled;

#[cfg(test)]
mod tests;

use std::ops::Range;

use super::{FULL, Finding, Hit, Matters, Severity};
use source::{Next, Source};

/// How many encodings within each other are read.
pub(super) const DEPTH_MAX: usize = 3;
/// What may be decoded of any text, in bytes.
const DECODED_BYTES: usize = 1 << 20;
/// What may be decoded beyond that for each byte of the text.
const DECODED_PER_BYTE: usize = 8;

/// What a finding lay under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Compatibility forms (NFKC, UAX 15), lookalikes, and invisible characters taken out.
    Unicode,
    /// Base64 (RFC 4648), standard or URL-safe, padded or not.
    Base64,
    /// Hexadecimal.
    Hex,
    /// Percent encoding (RFC 3986 section 2.1).
    Percent,
    /// Backslash escapes, as in JSON (RFC 8259 section 7).
    Escapes,
    /// Character references, as in HTML.
    Entities,
    /// Compression (RFC 1950, RFC 1952).
    Compressed,
    /// Pieces that a reader or a program puts together: strings that are added, spaced letters.
    Pieces,
}

impl Layer {
    /// For a person.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unicode => "compatibility characters",
            Self::Base64 => "base64",
            Self::Hex => "hexadecimal",
            Self::Percent => "percent encoding",
            Self::Escapes => "escapes",
            Self::Entities => "character references",
            Self::Compressed => "compression",
            Self::Pieces => "pieces",
        }
    }
}

/// Where in the whole text something came from.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) span: Range<usize>,
    pub(super) layers: Vec<Layer>,
}

impl Place {
    /// A hit somewhere in what lay here.
    pub(super) fn finding(&self, hit: Hit) -> Finding {
        let Hit { rule, severity, matters, span: _, text } = hit;
        let (span, layers) = (self.span.clone(), self.layers.clone());
        Finding { rule, severity, matters, span, text, layers }
    }
}

/// One way to read the text.
pub(super) struct View<'t> {
    source: Source<'t>,
}

impl View<'_> {
    pub(super) fn text(&self) -> &str {
        self.source.text()
    }

    pub(super) fn finding(&self, hit: Hit) -> Finding {
        let origin = self.source.origin(&hit.span);
        Place { span: origin.span, layers: origin.layers.to_vec() }.finding(hit)
    }
}

/// What was decoded and is no text.
pub(super) struct Blob {
    pub(super) bytes: Vec<u8>,
    pub(super) place: Place,
}

/// Every way to read a text, and what could not be read.
pub(super) struct Views<'t> {
    pub(super) texts: Vec<View<'t>>,
    pub(super) blobs: Vec<Blob>,
    pub(super) trouble: Vec<Hit>,
}

/// Looks for encodings. Linear in the text's length.
pub(super) fn of(text: &str) -> Views<'_> {
    read(text, &mut Budget::of(text))
}

/// What may still be done for one text, and what was.
struct Budget {
    /// Bytes that may still be decoded.
    left: usize,
    /// Bytes that were looked at or tried to decode: for tests of how this grows.
    #[cfg(test)]
    work: usize,
    /// Where something was left out.
    over: Option<Range<usize>>,
}

impl Budget {
    const fn of(text: &str) -> Self {
        Self {
            left: DECODED_BYTES.saturating_add(DECODED_PER_BYTE.saturating_mul(text.len())),
            #[cfg(test)]
            work: 0,
            over: None,
        }
    }

    /// Whether so many further bytes may be kept; if not, that is remembered.
    fn take(&mut self, bytes: usize, span: &Range<usize>) -> bool {
        self.worked(bytes);
        if let Some(left) = self.left.checked_sub(bytes) {
            self.left = left;
            return true;
        }
        self.over.get_or_insert_with(|| span.clone());
        false
    }

    #[cfg_attr(not(test), allow(clippy::unused_self, clippy::needless_pass_by_ref_mut))]
    const fn worked(&mut self, bytes: usize) {
        #[cfg(test)]
        {
            self.work += bytes;
        }
        #[cfg(not(test))]
        let _ = bytes;
    }
}

fn read<'t>(text: &'t str, budget: &mut Budget) -> Views<'t> {
    let whole = Source::whole(text);
    let mut views = Views { texts: Vec::new(), blobs: Vec::new(), trouble: Vec::new() };
    let mut next = Next::default();
    expand(&whole, &mut next, budget);
    views.texts.push(View { source: whole });
    if !text.is_ascii()
        && let Some(folded) = fold::changed(text, budget)
    {
        expand(&folded, &mut next, budget);
        views.texts.push(View { source: folded });
    }
    let mut deep = None;
    for depth in 1..=DEPTH_MAX {
        let (source, blobs) = next.finish(budget);
        views.blobs.extend(blobs);
        if source.text().is_empty() {
            break;
        }
        next = Next::default();
        expand(&source, &mut next, budget);
        if depth == DEPTH_MAX {
            deep = next.encoded();
        }
        views.texts.push(View { source });
    }
    let full = |span, what| Hit::new(FULL, Severity::High, Matters::Both, span, what);
    if let Some(span) = deep {
        views.trouble.push(full(span, "encodings within encodings, deeper than is read"));
    }
    if let Some(span) = budget.over.clone() {
        views.trouble.push(full(span, "more that is encoded than is read"));
    }
    views
}

/// Decodes whatever of `source` is encoded.
fn expand(source: &Source<'_>, next: &mut Next, budget: &mut Budget) {
    budget.worked(source.text().len());
    runs::expand(source, next, budget);
    spaced::expand(source, next, budget);
    spelled::expand(source, next, budget);
}

/// Stretches of a text around what is decoded in its place, so that a rule sees what stands
/// beside it: to both ends of the line, but not too far.
#[derive(Default)]
struct Windows {
    list: Vec<Range<usize>>,
}

const WINDOW_BEFORE: usize = 256;
const WINDOW_AFTER: usize = 1024;

impl Windows {
    /// Covers a place; places come in their order.
    fn cover(&mut self, text: &str, place: &Range<usize>) {
        if let Some(last) = self.list.last_mut()
            && place.start <= last.end
        {
            if last.end < place.end + WINDOW_AFTER / 2 {
                last.end = line_end(text, place.end).max(last.end);
            }
            return;
        }
        let floor = self.list.last().map_or(0, |last| last.end);
        let start = line_start(text, place.start).max(floor);
        self.list.push(start..line_end(text, place.end));
    }
}

fn line_start(text: &str, at: usize) -> usize {
    let from = text.floor_char_boundary(at.saturating_sub(WINDOW_BEFORE));
    let before = text.as_bytes().get(from..at).unwrap_or_default();
    memchr::memrchr(b'\n', before).map_or(from, |newline| from + newline + 1)
}

fn line_end(text: &str, at: usize) -> usize {
    let to = text.ceil_char_boundary(at.saturating_add(WINDOW_AFTER).min(text.len()));
    let after = text.as_bytes().get(at..to).unwrap_or_default();
    memchr::memchr(b'\n', after).map_or(to, |newline| at + newline)
}

/// A text with some stretches replaced.
struct Replaced<'s> {
    source: &'s Source<'s>,
    /// Up to here it is done.
    at: usize,
    end: usize,
}

impl<'s> Replaced<'s> {
    const fn new(source: &'s Source<'s>, window: &Range<usize>) -> Self {
        Self { source, at: window.start, end: window.end }
    }

    /// What stands before `range` as it is, and `with` in its place.
    fn replace(
        &mut self,
        next: &mut Next,
        range: &Range<usize>,
        with: (&str, Layer),
        budget: &mut Budget,
    ) {
        next.copy(self.source, self.at..range.start, budget);
        let (text, layer) = with;
        let origin = self.source.origin(range).under(layer);
        if layer == Layer::Percent {
            next.note_encoded(&origin);
        }
        next.add(text, &origin, budget);
        self.at = range.end;
    }

    /// The rest, and the end of the piece.
    fn finish(self, next: &mut Next, budget: &mut Budget) {
        next.copy(self.source, self.at..self.end.max(self.at), budget);
        next.end_piece();
    }
}
