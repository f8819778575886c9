//! The ways to read a text: as it is, after NFKC, and through encodings.

use std::borrow::Cow;
use std::ops::Range;

use super::{Finding, Hit};

/// What a finding lay under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Compatibility forms (NFKC, UAX 15), invisible characters taken out.
    Unicode,
    /// Base64 (RFC 4648), standard or URL-safe, padded or not.
    Base64,
    /// Hexadecimal.
    Hex,
    /// Percent encoding (RFC 3986 section 2.1).
    Percent,
    /// Backslash escapes, as in JSON (RFC 8259 section 7).
    Escapes,
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
    text: Cow<'t, str>,
    /// `None` is the text as it is.
    place: Option<Place>,
}

impl View<'_> {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn finding(&self, hit: Hit) -> Finding {
        match &self.place {
            Some(place) => place.finding(hit),
            None => Place { span: hit.span.clone(), layers: Vec::new() }.finding(hit),
        }
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
    let as_it_is = View { text: Cow::Borrowed(text), place: None };
    Views { texts: vec![as_it_is], blobs: Vec::new(), trouble: Vec::new() }
}
