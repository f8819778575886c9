//! Values that the human registered, such as those of a `.env` file: found exactly, and through
//! every encoding that [`super::views`] reads.
//!
//! What is kept of a value tells nothing without the key: its length, an HMAC-SHA-256 (RFC 2104),
//! and 16 bits of a keyed rolling hash, so that few places of a text need an HMAC at all.

mod parse;

#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt,
    ops::Range,
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{FULL, Hit, Matters, Severity};
use crate::base::Secret;
pub use parse::{Listed, Named, Skipped, values_of};

/// The shortest value: a shorter one is met by chance.
pub const VALUE_BYTES_MIN: usize = 8;
/// The longest value.
pub const VALUE_BYTES_MAX: usize = 512;
/// How many values may be registered.
pub const VALUES_MAX: usize = 1000;
/// How many lengths they may have: each is a pass over every text.
pub const LENGTHS_MAX: usize = 64;
/// The longest label.
pub const LABEL_BYTES_MAX: usize = 64;
/// How often a hash is made for one text. By chance a text of a mebibyte needs some thousand.
const HASHES_MAX: usize = 100_000;

/// Why something cannot be registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KnownError {
    /// The value is too short or too long.
    #[error("the value is {0} bytes; {VALUE_BYTES_MIN} to {VALUE_BYTES_MAX} are allowed")]
    Length(usize),
    /// The label is empty or too long.
    #[error("the label is {0} bytes; 1 to {LABEL_BYTES_MAX} are allowed")]
    LabelLength(usize),
    /// The label has characters that cannot be shown.
    #[error("the label has control characters")]
    LabelCharacters,
    /// There are too many values.
    #[error("{0} values are registered; the limit is {VALUES_MAX}")]
    Values(usize),
    /// The key is lost, without which nothing is found.
    #[error("there are registered values, and no key to find them with")]
    NoKey,
    /// There are too many lengths.
    #[error("the values have {0} different lengths; the limit is {LENGTHS_MAX}")]
    Lengths(usize),
}

/// What is kept of a registered value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownValue {
    /// The human's own name for it.
    pub label: String,
    /// How many bytes it has.
    pub length: u16,
    /// The top of its keyed rolling hash.
    pub filter: u16,
    /// Its HMAC-SHA-256.
    pub mac: [u8; 32],
}

impl KnownValue {
    /// What is to be kept of `value`.
    ///
    /// # Errors
    /// A value of fewer than [`VALUE_BYTES_MIN`] or more than [`VALUE_BYTES_MAX`] bytes, or a label
    /// that is empty, longer than [`LABEL_BYTES_MAX`] bytes or has control characters.
    pub fn new(key: &Secret<[u8; 32]>, label: &str, value: &str) -> Result<Self, KnownError> {
        let length = u16::try_from(value.len()).ok().filter(|length| is_length(*length));
        let length = length.ok_or(KnownError::Length(value.len()))?;
        check_label(label)?;
        let keyed = Keyed::of(key);
        let hash = keyed.hash(value.as_bytes());
        let (filter, mac) = (keyed.filter(hash), keyed.mac(value.as_bytes()));
        Ok(Self { label: label.to_owned(), length, filter, mac })
    }
}

fn is_length(length: u16) -> bool {
    (VALUE_BYTES_MIN..=VALUE_BYTES_MAX).contains(&usize::from(length))
}

fn check_label(label: &str) -> Result<(), KnownError> {
    if label.is_empty() || label.len() > LABEL_BYTES_MAX {
        return Err(KnownError::LabelLength(label.len()));
    }
    // What would not be seen, or would turn what stands beside it, has no place in a name.
    let hidden = |c: char| c.is_control() || super::characters::is_invisible(c);
    if label.contains(hidden) { Err(KnownError::LabelCharacters) } else { Ok(()) }
}

/// The key in the forms in which it is used.
struct Keyed {
    mac: Hmac<Sha256>,
    base: u64,
    mix: u64,
}

impl Keyed {
    fn of(key: &Secret<[u8; 32]>) -> Self {
        // RFC 2104 fills a short key up with zeros to the block of its hash.
        let mut block = Zeroizing::new([0; 64]);
        if let Some(start) = block.first_chunk_mut::<32>() {
            *start = *key.expose_secret();
        }
        let mac = Hmac::<Sha256>::new((&*block).into());
        let derived =
            mac.clone().chain_update(b"countersign known filter v1").finalize().into_bytes();
        let word = |at: usize| {
            let bytes = derived.get(at..at + 8).unwrap_or_default();
            // Odd, so that it loses nothing in a product.
            bytes.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte)) | 1
        };
        Self { mac, base: word(0), mix: word(8) }
    }

    /// The polynomial of the bytes at a secret place, modulo 2^64.
    fn hash(&self, bytes: &[u8]) -> u64 {
        bytes.iter().fold(0, |hash, byte| self.push(hash, *byte))
    }

    const fn push(&self, hash: u64, byte: u8) -> u64 {
        // No byte counts as zero.
        hash.wrapping_mul(self.base).wrapping_add(byte as u64 + 1)
    }

    #[allow(clippy::cast_possible_truncation)] // the top 16 of 64 bits
    const fn filter(&self, hash: u64) -> u16 {
        (hash.wrapping_mul(self.mix) >> 48) as u16
    }

    fn mac(&self, bytes: &[u8]) -> [u8; 32] {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let mac = self.mac.clone().chain_update(b"countersign known value v1");
        mac.chain_update(length.to_be_bytes()).chain_update(bytes).finalize().into_bytes().into()
    }
}

/// The values of one length.
struct Group {
    length: usize,
    /// A bit for each of the 65,536 values of the filter.
    filters: Box<[u64; 1024]>,
    labels: BTreeMap<[u8; 32], String>,
}

impl Group {
    fn new(length: usize) -> Self {
        Self { length, filters: Box::new([0; 1024]), labels: BTreeMap::new() }
    }

    fn add(&mut self, value: KnownValue) {
        if let Some(word) = self.filters.get_mut(usize::from(value.filter >> 6)) {
            *word |= 1 << (value.filter & 63);
        }
        self.labels.insert(value.mac, value.label);
    }

    fn may_have(&self, filter: u16) -> bool {
        self.filters
            .get(usize::from(filter >> 6))
            .is_some_and(|word| word >> (filter & 63) & 1 == 1)
    }
}

/// What was registered: keyed hashes, never the values.
#[derive(Default)]
pub struct Known {
    key: Option<Secret<[u8; 32]>>,
    groups: Vec<Group>,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: usize = self.groups.iter().map(|group| group.labels.len()).sum();
        f.debug_struct("Known").field("values", &values).finish_non_exhaustive()
    }
}

impl Known {
    /// Looks for these values from now on; `key` is the one that they were made with.
    ///
    /// # Errors
    /// More than [`VALUES_MAX`] values, or more than [`LENGTHS_MAX`] different lengths of them; a
    /// length or a label that [`KnownValue::new`] would not have let pass.
    pub fn new(key: Secret<[u8; 32]>, values: Vec<KnownValue>) -> Result<Self, KnownError> {
        if values.len() > VALUES_MAX {
            return Err(KnownError::Values(values.len()));
        }
        let lengths = values.iter().map(|value| value.length).collect::<BTreeSet<_>>().len();
        if lengths > LENGTHS_MAX {
            return Err(KnownError::Lengths(lengths));
        }
        let mut groups: BTreeMap<u16, Group> = BTreeMap::new();
        for value in values {
            if !is_length(value.length) {
                return Err(KnownError::Length(usize::from(value.length)));
            }
            check_label(&value.label)?;
            let length = value.length;
            groups.entry(length).or_insert_with(|| Group::new(usize::from(length))).add(value);
        }
        Ok(Self { key: Some(key), groups: groups.into_values().collect() })
    }

    pub(super) fn scan(&self, text: &str) -> Vec<Hit> {
        let Some(key) = self.key.as_ref().filter(|_| !self.groups.is_empty()) else {
            return Vec::new();
        };
        let mut search = Search { keyed: Keyed::of(key), hits: Vec::new(), hashes: 0 };
        for group in &self.groups {
            search.group(group, text.as_bytes());
        }
        search.hits
    }
}

/// One look through one text.
struct Search {
    keyed: Keyed,
    hits: Vec<Hit>,
    hashes: usize,
}

impl Search {
    fn group(&mut self, group: &Group, text: &[u8]) {
        let Some(first) = text.get(..group.length) else { return };
        // What leaves the window was multiplied once for each byte after it.
        let leaving = (0..group.length).fold(1_u64, |power, _| power.wrapping_mul(self.keyed.base));
        let mut hash = self.keyed.hash(first);
        let mut seen = Seen::default();
        if !self.compare(group, text, (0, hash), &mut seen) {
            return;
        }
        let pairs = text.iter().zip(text.iter().skip(group.length));
        for (at, (out, coming)) in pairs.enumerate() {
            let gone = leaving.wrapping_mul(u64::from(*out) + 1);
            hash = self.keyed.push(hash, *coming).wrapping_sub(gone);
            if group.may_have(self.keyed.filter(hash))
                && !self.compare(group, text, (at + 1, hash), &mut seen)
            {
                return;
            }
        }
    }

    /// Compares one window; whether to go on.
    fn compare(
        &mut self,
        group: &Group,
        text: &[u8],
        window: (usize, u64),
        seen: &mut Seen,
    ) -> bool {
        let (at, hash) = window;
        if at < seen.found_until || seen.others.contains(&hash) {
            return true;
        }
        if self.hashes == HASHES_MAX {
            self.hits.push(incomplete());
            return false;
        }
        self.hashes += 1;
        let range = at..at + group.length;
        let mac = text.get(range.clone()).map(|text| self.keyed.mac(text));
        if let Some(label) = mac.and_then(|mac| group.labels.get(&mac)) {
            seen.found_until = range.end;
            self.hits.push(found(range, label));
        } else {
            seen.others.insert(hash);
        }
        true
    }
}

/// What was compared in one look for the values of one length.
#[derive(Default)]
struct Seen {
    found_until: usize,
    /// A text that repeats itself must not cost an HMAC at each place.
    others: HashSet<u64>,
}

fn found(span: Range<usize>, label: &str) -> Hit {
    let rule = Cow::Borrowed("known.value");
    let text = Cow::Owned(format!("a value that you registered as {label}"));
    Hit { rule, severity: Severity::Critical, matters: Matters::Leaving, span, text }
}

fn incomplete() -> Hit {
    let text = "more that resembles registered values than is compared with them";
    Hit::new(FULL, Severity::High, Matters::Both, 0..0, text)
}
