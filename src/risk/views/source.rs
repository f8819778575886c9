//! A text with where each part of it came from.

use std::borrow::Cow;
use std::ops::Range;

use super::{Blob, Budget, Layer, Place, fold};

/// More than [`super::DEPTH_MAX`] steps can add: compression and folding come with a step.
const LAYERS_MAX: usize = 9;

/// The layers of a part, outermost first. Small and copied often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Layers {
    list: [Option<Layer>; LAYERS_MAX],
}

impl Layers {
    fn with(mut self, layer: Layer) -> Self {
        if let Some(free) = self.list.iter_mut().find(|layer| layer.is_none()) {
            *free = Some(layer);
        }
        self
    }

    fn len(&self) -> usize {
        self.list.iter().flatten().count()
    }

    pub(super) fn to_vec(self) -> Vec<Layer> {
        self.list.into_iter().flatten().collect()
    }
}

/// Where something came from, and through what.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) span: Range<usize>,
    pub(super) layers: Layers,
    /// The bytes are those of the original at this place.
    exact: bool,
}

impl Origin {
    /// The same through one layer more.
    pub(super) fn under(&self, layer: Layer) -> Self {
        Self { span: self.span.clone(), layers: self.layers.with(layer), exact: false }
    }

    fn place(&self) -> Place {
        Place { span: self.span.clone(), layers: self.layers.to_vec() }
    }
}

/// A part of a text; it ends where the next begins.
struct Segment {
    start: usize,
    origin: Origin,
}

/// A text and its parts in their order; the original has none.
pub(super) struct Source<'t> {
    text: Cow<'t, str>,
    segments: Vec<Segment>,
}

impl<'t> Source<'t> {
    pub(super) const fn whole(text: &'t str) -> Self {
        Self { text: Cow::Borrowed(text), segments: Vec::new() }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where a range came from: from the first to the last of the places of its parts.
    pub(super) fn origin(&self, range: &Range<usize>) -> Origin {
        let parts = self.parts(range);
        let Some((first, last)) = parts.first().zip(parts.last()) else {
            return Origin { span: range.clone(), layers: Layers::default(), exact: true };
        };
        let start = if first.origin.exact {
            let at = first.origin.span.start + range.start.saturating_sub(first.start);
            at.min(first.origin.span.end)
        } else {
            first.origin.span.start
        };
        let end = if last.origin.exact {
            let at = last.origin.span.start + range.end.saturating_sub(last.start);
            at.min(last.origin.span.end)
        } else {
            last.origin.span.end
        };
        let mut origin = Origin { span: start..end, ..first.origin.clone() };
        if parts.len() > 1 {
            origin.exact = false;
            for part in parts.iter().skip(1) {
                origin.span.start = origin.span.start.min(part.origin.span.start);
                if part.origin.layers.len() > origin.layers.len() {
                    origin.layers = part.origin.layers;
                }
            }
            for part in parts.iter().rev().skip(1) {
                origin.span.end = origin.span.end.max(part.origin.span.end);
            }
        }
        origin.span.end = origin.span.end.max(origin.span.start);
        origin
    }

    fn parts(&self, range: &Range<usize>) -> &[Segment] {
        let first =
            self.segments.partition_point(|part| part.start <= range.start).saturating_sub(1);
        let end = self.segments.partition_point(|part| part.start < range.end);
        self.segments.get(first..end.max(first + 1)).unwrap_or_default()
    }

    /// Whether a range has something in it, or at its edge, that the original has not. What has
    /// nothing was decoded from there already.
    pub(super) fn is_new(&self, range: &Range<usize>) -> bool {
        let around = range.start.saturating_sub(1)..range.end + 1;
        match self.parts(&around) {
            [] => true,
            [one] => !one.origin.exact,
            _ => true,
        }
    }
}

/// What is decoded from one depth: the text of the next, and bytes that are none.
#[derive(Default)]
pub(super) struct Next {
    text: String,
    segments: Vec<Segment>,
    blobs: Vec<Blob>,
    encoded: Option<Range<usize>>,
}

impl Next {
    /// A part of the current piece. An empty one says that something was taken out there.
    pub(super) fn add(&mut self, text: &str, origin: &Origin, budget: &mut Budget) {
        if budget.take(text.len(), &origin.span) {
            self.segments.push(Segment { start: self.text.len(), origin: origin.clone() });
            self.text.push_str(text);
        }
    }

    /// A part as it is.
    pub(super) fn copy(&mut self, source: &Source<'_>, range: Range<usize>, budget: &mut Budget) {
        if let Some(text) = source.text().get(range.clone()).filter(|text| !text.is_empty()) {
            self.add(text, &source.origin(&range), budget);
        }
    }

    /// A whole piece of one part.
    pub(super) fn piece(&mut self, text: &str, origin: &Origin, budget: &mut Budget) {
        self.add(text, origin, budget);
        self.end_piece();
    }

    /// Ends a piece: the next begins on a line of its own.
    pub(super) fn end_piece(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    /// Bytes that are no text.
    pub(super) fn blob(&mut self, bytes: &[u8], origin: &Origin, budget: &mut Budget) {
        if budget.take(bytes.len(), &origin.span) {
            self.blobs.push(Blob { bytes: bytes.to_vec(), place: origin.place() });
        }
    }

    /// Remembers where text was that can only have been encoded on purpose.
    pub(super) fn note_encoded(&mut self, origin: &Origin) {
        self.encoded.get_or_insert_with(|| origin.span.clone());
    }

    /// Where such text was first.
    pub(super) fn encoded(&self) -> Option<Range<usize>> {
        self.encoded.clone()
    }

    /// The next text, its characters folded, and the blobs.
    pub(super) fn finish(self, budget: &mut Budget) -> (Source<'static>, Vec<Blob>) {
        let source = Source { text: Cow::Owned(self.text), segments: self.segments };
        (fold::whole(source, budget), self.blobs)
    }

    /// The same as a text, without folding.
    pub(super) fn into_source(self) -> Source<'static> {
        Source { text: Cow::Owned(self.text), segments: self.segments }
    }
}
