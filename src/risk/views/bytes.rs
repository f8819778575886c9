//! What decoded bytes hold: text, text in another form, something compressed, or no text.

use std::io::Read as _;
use std::ops::Range;

use flate2::read::{GzDecoder, ZlibDecoder};

use super::{
    Budget, Layer,
    source::{Next, Origin},
};

/// Bytes that are no text are a file only from this size on: it leaves out hashes and signatures.
const BLOB_BYTES_MIN: usize = 96;
/// The least text that is picked out of bytes.
const STRING_CHARS_MIN: usize = 12;
/// What one compressed piece may hold.
const INFLATED_BYTES_MAX: usize = 1 << 20;

/// Whether bytes are all text. Of long texts a few controls are borne.
pub(super) fn text_of(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let controls = text.bytes().filter(|byte| is_control(*byte)).count();
    (controls * 64 <= text.len() && !text.is_empty()).then_some(text)
}

const fn is_control(byte: u8) -> bool {
    (byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r')) || byte == 0x7f
}

/// Whether bytes may be the beginning of a text.
pub(super) fn may_be_text(bytes: &[u8]) -> bool {
    let utf8 = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    utf8 && !bytes.iter().any(|byte| is_control(*byte))
}

/// Adds what bytes hold.
pub(super) fn hold(bytes: &[u8], origin: &Origin, next: &mut Next, budget: &mut Budget) {
    budget.worked(bytes.len());
    if let Some(text) = text_of(bytes) {
        next.note_encoded(origin);
        next.piece(text, origin, budget);
    } else if let Some(inflated) = inflate(bytes, &origin.span, budget) {
        let inside = origin.under(Layer::Compressed);
        next.note_encoded(origin);
        match text_of(&inflated) {
            Some(text) => next.piece(text, &inside, budget),
            None => mixed(&inflated, &inside, next, budget),
        }
        next.blob(bytes, origin, budget);
    } else {
        mixed(bytes, origin, next, budget);
    }
}

/// Bytes that are no text: whatever text is between, and the whole as it is.
fn mixed(bytes: &[u8], origin: &Origin, next: &mut Next, budget: &mut Budget) {
    if let Some(text) = utf16(bytes) {
        next.piece(&text, origin, budget);
        return;
    }
    for text in strings(bytes) {
        next.piece(text, origin, budget);
    }
    if bytes.len() >= BLOB_BYTES_MIN {
        next.blob(bytes, origin, budget);
    }
}

/// Runs of printable ASCII. Looks at a run's possible end first.
fn strings(bytes: &[u8]) -> impl Iterator<Item = &str> {
    let is_other = |byte: &u8| *byte >= 0x7f || is_control(*byte);
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let window = bytes.get(at..at + STRING_CHARS_MIN)?;
            if let Some(other) = window.iter().rposition(is_other) {
                at += other + 1;
                continue;
            }
            let rest = bytes.get(at..)?;
            let run = rest.get(..rest.iter().position(is_other).unwrap_or(rest.len()))?;
            at += run.len();
            return std::str::from_utf8(run).ok();
        }
    })
}

/// Text in UTF-16, little-endian, as `PowerShell` takes it.
fn utf16(bytes: &[u8]) -> Option<String> {
    let (pairs, []) = bytes.as_chunks::<2>() else { return None };
    let zeros = pairs.iter().filter(|[_, high]| *high == 0).count();
    if pairs.len() < 6 || zeros * 5 < pairs.len() * 4 {
        return None;
    }
    let text: String = char::decode_utf16(pairs.iter().map(|pair| u16::from_le_bytes(*pair)))
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    text_of(text.as_bytes()).is_some().then_some(text)
}

/// What is inside, if it is compressed. Of what holds too much, the beginning.
fn inflate(bytes: &[u8], span: &Range<usize>, budget: &mut Budget) -> Option<Vec<u8>> {
    let mut inflated = Vec::new();
    let limit = INFLATED_BYTES_MAX.min(budget.left);
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    // A stream that is cut off or damaged gives what came before.
    match bytes {
        [0x1f, 0x8b, 8, ..] => GzDecoder::new(bytes).take(bound).read_to_end(&mut inflated).ok(),
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => {
            ZlibDecoder::new(bytes).take(bound).read_to_end(&mut inflated).ok()
        }
        _ => return None,
    };
    budget.worked(inflated.len());
    if inflated.len() > limit {
        inflated.truncate(limit);
        budget.over.get_or_insert_with(|| span.clone());
    }
    (!inflated.is_empty()).then_some(inflated)
}
