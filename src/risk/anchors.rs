//! Finding many words in one fast pass: what a rule needs at the least, so that a text with none
//! of them is not read again.
//!
//! Of each word the four bytes that are rarest in texts are looked for, at every place, in a filter
//! that stays near the processor; only where they may be are words compared. Words of three bytes
//! have a filter of their own.

/// Places of a table: a power of two, some times the words.
const SLOTS: usize = 1 << 12;
/// Bits of the filter before it.
const BITS: usize = 1 << 16;
/// The least length of a word.
pub(super) const WORD_BYTES_MIN: usize = 3;

/// A word that was found: its number in its list, and where it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) word: usize,
    pub(super) at: usize,
}

/// Lists of words to look for, without regard to the case of ASCII letters, all in one pass.
#[derive(Debug)]
pub(super) struct Anchors<const LISTS: usize> {
    fours: Pieces<0xffff_ffff>,
    threes: Pieces<0x00ff_ffff>,
    words: Vec<Word>,
}

/// Pieces of words; of the four bytes at a place in a text as many count as `BYTES` has.
#[derive(Debug)]
struct Pieces<const BYTES: u32> {
    /// Whether any piece has this hash.
    bits: Box<[u64; BITS / 64]>,
    /// For each hash the first of `list` plus one.
    slots: Vec<u16>,
    list: Vec<Piece>,
}

#[derive(Debug)]
struct Word {
    list: usize,
    number: usize,
    text: Box<[u8]>,
}

#[derive(Debug)]
struct Piece {
    /// The bytes, without the bit that a letter's case is.
    four: u32,
    /// Where in the word it starts.
    offset: u16,
    word: u16,
    /// The next piece with this hash, plus one.
    next: u16,
}

/// The bits that count of four bytes: all but the one that a letter's case is.
const CASELESS: u32 = 0xdfdf_dfdf;

impl<const BYTES: u32> Pieces<BYTES> {
    fn new() -> Self {
        Self { bits: Box::new([0; BITS / 64]), slots: vec![0; SLOTS], list: Vec::new() }
    }

    /// Sixteen bits.
    const fn hash(four: u32) -> usize {
        ((four & BYTES & CASELESS).wrapping_mul(0x9e37_79b1) >> 16) as usize
    }

    fn may_be(&self, four: u32) -> bool {
        let hash = Self::hash(four);
        self.bits.get(hash / 64).is_some_and(|bits| bits >> (hash % 64) & 1 == 1)
    }

    fn insert(&mut self, four: u32, offset: usize, word: usize) {
        let hash = Self::hash(four);
        if let Some(bits) = self.bits.get_mut(hash / 64) {
            *bits |= 1 << (hash % 64);
        }
        let Some(first) = self.slots.get_mut(hash % SLOTS) else { return };
        self.list.push(Piece {
            four: four & BYTES & CASELESS,
            offset: u16::try_from(offset).unwrap_or(u16::MAX),
            word: u16::try_from(word).unwrap_or(u16::MAX),
            next: *first,
        });
        *first = u16::try_from(self.list.len()).unwrap_or(0);
    }

    /// The pieces that these bytes are.
    fn of(&self, four: u32) -> impl Iterator<Item = &Piece> {
        let first = if self.may_be(four) { self.slots.get(Self::hash(four) % SLOTS) } else { None };
        let mut next = first.copied().unwrap_or(0);
        std::iter::from_fn(move || {
            let piece = self.list.get(usize::from(next).checked_sub(1)?)?;
            next = piece.next;
            Some(piece)
        })
        .filter(move |piece| piece.four == four & BYTES & CASELESS)
    }
}

/// The first four of eight bytes.
const fn low(eight: u64) -> u32 {
    let [a, b, c, d, ..] = eight.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// How common bytes are in a text: they are looked up wherever they are. About twice the
/// logarithm of how often each is in English and in code.
fn commonness(bytes: &[u8]) -> u32 {
    let of = |byte: &u8| match byte.to_ascii_lowercase() {
        b' ' => 20,
        b'e' | b't' => 19,
        b'a' | b'o' | b'n' | b'i' | b's' | b'r' => 18,
        b'c' | b'l' | b'd' | b'h' | b'u' | b'p' | b'm' => 16,
        b'g' | b'f' | b'b' | b'-' | b'/' | b'.' | b'\n' => 14,
        b'v' | b'w' | b'y' | b':' | b'`' | b'(' | b')' => 12,
        b'k' | b'x' | b'#' | b'[' | b']' | b'_' | b',' | b'*' | b'0'..=b'9' => 10,
        _ => 6,
    };
    bytes.iter().map(of).sum()
}

/// The first four of up to four bytes, and zeros.
fn first_four(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or_else(
        || bytes.iter().rev().fold(0, |all, byte| all << 8 | u32::from(*byte)),
        |four| u32::from_le_bytes(*four),
    )
}

impl<const LISTS: usize> Anchors<LISTS> {
    /// Words shorter than [`WORD_BYTES_MIN`] are never found.
    pub(super) fn new<W: AsRef<[u8]>>(lists: &[Vec<W>; LISTS]) -> Self {
        let mut anchors = Self { fours: Pieces::new(), threes: Pieces::new(), words: Vec::new() };
        for (list, words) in lists.iter().enumerate() {
            for (number, word) in words.iter().enumerate() {
                let text: Box<[u8]> = word.as_ref().into();
                let fours = text.windows(4).enumerate();
                if let Some((offset, four)) = fours.min_by_key(|(_, four)| commonness(four)) {
                    anchors.fours.insert(first_four(four), offset, anchors.words.len());
                } else if text.len() == WORD_BYTES_MIN {
                    anchors.threes.insert(first_four(&text), 0, anchors.words.len());
                }
                anchors.words.push(Word { list, number, text });
            }
        }
        anchors
    }

    fn may_be(&self, four: u32) -> bool {
        self.fours.may_be(four) | self.threes.may_be(four)
    }

    /// Where the words of each list are, near the text's order.
    pub(super) fn find(&self, bytes: &[u8]) -> [Vec<Place>; LISTS] {
        let mut found = [const { Vec::new() }; LISTS];
        let mut at = 0;
        // Lookups for eight places and mostly one branch; what is left is the end.
        for twelve in bytes.windows(12).step_by(8) {
            let (Some(first), Some(last)) = (twelve.first_chunk::<8>(), twelve.last_chunk::<8>())
            else {
                break;
            };
            let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
            let fours = [
                low(first),
                low(first >> 8),
                low(first >> 16),
                low(first >> 24),
                low(first >> 32),
                low(last >> 8),
                low(last >> 16),
                low(last >> 24),
            ];
            let any = fours
                .iter()
                .zip(0_u32..)
                .fold(0, |any, (four, number)| any | u32::from(self.may_be(*four)) << number);
            let mut left = any;
            while left != 0 {
                let number = left.trailing_zeros() as usize;
                left &= left - 1;
                self.at(bytes, at + number, &mut found);
            }
            at += 8;
        }
        for at in at..bytes.len() {
            self.at(bytes, at, &mut found);
        }
        found
    }

    /// The words with a piece at `at`. Apart, so that the loop that mostly does not call it is short.
    #[inline(never)]
    fn at(&self, bytes: &[u8], at: usize, found: &mut [Vec<Place>; LISTS]) {
        let four = first_four(bytes.get(at..).unwrap_or_default());
        for piece in self.fours.of(four).chain(self.threes.of(four)) {
            let Some(word) = self.words.get(usize::from(piece.word)) else { continue };
            let start = at.checked_sub(usize::from(piece.offset));
            let text = start.and_then(|start| bytes.get(start..start + word.text.len()));
            if let (Some(start), Some(text)) = (start, text)
                && text.eq_ignore_ascii_case(&word.text)
                && let Some(found) = found.get_mut(word.list)
            {
                found.push(Place { word: word.number, at: start });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_at_every_place() {
        let words = ["ignore", "curl ", "忽略之前", "/dev/tcp/", "key"];
        let anchors = Anchors::new(&[vec!["nothing"], words.to_vec()]);
        for (number, word) in words.iter().enumerate() {
            for before in 0..9 {
                let text =
                    format!("{}{}{}", "-".repeat(before), word.to_uppercase(), "-".repeat(before));
                let found = anchors.find(text.as_bytes());
                assert_eq!(found, [vec![], vec![Place { word: number, at: before }]], "{text}");
                let cut = anchors.find(&text.as_bytes()[..before + word.len() - 1]);
                assert_eq!(cut, [vec![], vec![]], "{text}");
            }
        }
    }
}
