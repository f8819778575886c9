//! Finding many words in one fast pass: what a rule needs at the least, so that a text with none
//! of them is not read again.
//!
//! Of each word the three bytes that are rarest in texts are looked for, at every place, in a filter
//! that stays near the processor; only where they may be are words compared.

/// Places of the table: a power of two, some times the words.
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
    /// Whether any piece has this hash.
    bits: Box<[u64; BITS / 64]>,
    /// For each hash of three bytes, the first of `pieces` plus one.
    slots: Vec<u16>,
    pieces: Vec<Piece>,
    words: Vec<Word>,
}

#[derive(Debug)]
struct Word {
    list: usize,
    number: usize,
    text: Box<[u8]>,
}

/// Three bytes of a word, and one more if it goes on.
#[derive(Debug)]
struct Piece {
    four: u32,
    /// The bytes of `four` that count, and of these all bits but the one that a letter's case is.
    mask: u32,
    /// Where in the word it starts.
    offset: u16,
    word: u16,
    /// The next piece with this hash, plus one.
    next: u16,
}

/// Sixteen bits of three bytes, in which the case of letters makes no difference. They are the
/// upper three of the four.
const fn hash(three: u32) -> u16 {
    let [_, _, low, high] = (three & !0xff | 0x2020_2000).wrapping_mul(0x9e37_79b1).to_le_bytes();
    u16::from_le_bytes([low, high])
}

fn hash_of(three: &[u8]) -> u16 {
    hash(three.iter().rev().fold(0, |all, byte| all << 8 | u32::from(*byte)) << 8)
}

/// The first four of eight bytes.
const fn low(eight: u64) -> u32 {
    let [a, b, c, d, ..] = eight.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// How common three bytes are in a text: they are looked up wherever they are. About twice the
/// logarithm of how often each is in English and in code.
fn commonness(three: &[u8]) -> u32 {
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
    three.iter().map(of).sum()
}

impl<const LISTS: usize> Anchors<LISTS> {
    /// Words shorter than [`WORD_BYTES_MIN`] are never found.
    pub(super) fn new<W: AsRef<[u8]>>(lists: &[Vec<W>; LISTS]) -> Self {
        let (bits, slots) = (Box::new([0; BITS / 64]), vec![0; SLOTS]);
        let mut anchors = Self { bits, slots, pieces: Vec::new(), words: Vec::new() };
        for (list, words) in lists.iter().enumerate() {
            for (number, word) in words.iter().enumerate() {
                let text = word.as_ref().into();
                anchors.insert(Word { list, number, text });
            }
        }
        anchors
    }

    fn insert(&mut self, word: Word) {
        let threes = word.text.windows(WORD_BYTES_MIN).enumerate();
        let Some((offset, three)) = threes.min_by_key(|(_, three)| commonness(three)) else {
            return;
        };
        let hash = usize::from(hash_of(three));
        if let Some(bits) = self.bits.get_mut(hash / 64) {
            *bits |= 1 << (hash % 64);
        }
        let Some(first) = self.slots.get_mut(hash % SLOTS) else { return };
        let four = word.text.get(offset..).unwrap_or_default();
        let number = |bytes: &mut dyn Iterator<Item = u32>| {
            bytes.take(4).enumerate().fold(0, |all, (at, byte)| all | byte << (8 * at))
        };
        let mask = number(&mut four.iter().map(|_| 0xdf));
        self.pieces.push(Piece {
            four: number(&mut four.iter().map(|byte| u32::from(*byte))) & mask,
            mask,
            offset: u16::try_from(offset).unwrap_or(u16::MAX),
            word: u16::try_from(self.words.len()).unwrap_or(u16::MAX),
            next: *first,
        });
        *first = u16::try_from(self.pieces.len()).unwrap_or(0);
        self.words.push(word);
    }

    fn may_be(&self, hash: u16) -> bool {
        let hash = usize::from(hash);
        self.bits.get(hash / 64).is_some_and(|bits| bits >> (hash % 64) & 1 == 1)
    }

    /// Where the words of each list are, near the text's order.
    pub(super) fn find(&self, bytes: &[u8]) -> [Vec<Place>; LISTS] {
        let mut found = [const { Vec::new() }; LISTS];
        let mut at = 0;
        // Eight lookups and mostly one branch for each eight bytes; what is left is the end.
        for twelve in bytes.windows(12).step_by(8) {
            let (Some(first), Some(last)) = (twelve.first_chunk::<8>(), twelve.last_chunk::<8>())
            else {
                break;
            };
            let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
            let hashes = [
                hash(low(first << 8)),
                hash(low(first)),
                hash(low(first >> 8)),
                hash(low(first >> 16)),
                hash(low(first >> 24)),
                hash(low(first >> 32)),
                hash(low(last >> 8)),
                hash(low(last >> 16)),
            ];
            if hashes.iter().fold(false, |any, hash| any | self.may_be(*hash)) {
                for (number, hash) in hashes.into_iter().enumerate() {
                    if self.may_be(hash) {
                        self.at(bytes, at + number, hash, &mut found);
                    }
                }
            }
            at += 8;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        for (number, three) in rest.windows(WORD_BYTES_MIN).enumerate() {
            self.at(bytes, at + number, hash_of(three), &mut found);
        }
        found
    }

    /// The words with a piece at `at`. Apart, so that the loop that mostly does not call it is short.
    #[inline(never)]
    fn at(&self, bytes: &[u8], at: usize, hash: u16, found: &mut [Vec<Place>; LISTS]) {
        let rest = bytes.get(at..).unwrap_or_default();
        let four = rest.first_chunk::<4>().map_or_else(
            || rest.iter().rev().fold(0, |all, byte| all << 8 | u32::from(*byte)),
            |four| u32::from_le_bytes(*four),
        );
        let mut next = self.slots.get(usize::from(hash) % SLOTS).copied().unwrap_or(0);
        while let Some(piece) = usize::from(next).checked_sub(1).and_then(|at| self.pieces.get(at))
        {
            next = piece.next;
            if four & piece.mask != piece.four {
                continue;
            }
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
