//! Finding many words in one fast pass: what a rule needs at the least, so that a text with none
//! of them is not read again.

/// Places of the table: a power of two, some times the words.
const SLOTS: usize = 1 << 14;
/// Bits of the filter before it, which is small enough to stay near the processor.
const BITS: usize = 1 << 16;
/// The least length of a word: two overlapping pieces of four bytes, of which one starts at an
/// even place of the text.
pub(super) const WORD_BYTES_MIN: usize = 5;

/// Words to look for, without regard to the case of ASCII letters.
#[derive(Debug)]
pub(super) struct Anchors {
    /// Whether any piece has this hash.
    bits: Box<[u64; BITS / 64]>,
    /// For each hash of four bytes, the first of `pieces` plus one.
    slots: Vec<u16>,
    pieces: Vec<Piece>,
    words: Vec<&'static str>,
}

#[derive(Debug)]
struct Piece {
    word: u16,
    offset: u8,
    /// The next piece with this hash, plus one.
    next: u16,
}

/// Sixteen bits of four bytes, in which the case of letters makes no difference.
fn hash(four: u32) -> u16 {
    let [_, _, low, high] = (four | 0x2020_2020).wrapping_mul(0x9e37_79b1).to_le_bytes();
    u16::from_le_bytes([low, high])
}

/// The first four of eight bytes.
const fn low(eight: u64) -> u32 {
    let [a, b, c, d, ..] = eight.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// How common five bytes are in a text: they are looked up wherever they are.
fn commonness(five: &[u8]) -> u32 {
    let of = |byte: &u8| match byte {
        b' ' => 7,
        b'e' | b't' => 4,
        b'a' | b'o' | b'n' | b'i' | b's' | b'r' => 3,
        b'h' | b'u' | b'y' | b'l' | b'd' => 2,
        b'a'..=b'z' => 1,
        _ => 0,
    };
    five.iter().map(of).sum()
}

impl Anchors {
    /// Words shorter than [`WORD_BYTES_MIN`] are never found.
    pub(super) fn new(words: impl IntoIterator<Item = &'static str>) -> Self {
        let words: Vec<&'static str> = words.into_iter().collect();
        let (bits, slots) = (Box::new([0; BITS / 64]), vec![0; SLOTS]);
        let mut anchors = Self { bits, slots, pieces: Vec::new(), words: Vec::new() };
        for (number, word) in words.iter().enumerate() {
            let fives =
                word.as_bytes().windows(WORD_BYTES_MIN).enumerate().take(usize::from(u8::MAX));
            let rarest = fives.min_by_key(|(_, five)| commonness(five));
            for (at, four) in rarest.iter().flat_map(|(at, five)| {
                five.windows(4).enumerate().map(move |(n, four)| (at + n, four))
            }) {
                anchors.insert(u16::try_from(number).unwrap_or(u16::MAX), at, four);
            }
        }
        anchors.words = words;
        anchors
    }

    fn insert(&mut self, word: u16, offset: usize, four: &[u8]) {
        let Ok(four) = <[u8; 4]>::try_from(four) else { return };
        let hash = usize::from(hash(u32::from_le_bytes(four)));
        if let Some(bits) = self.bits.get_mut(hash / 64) {
            *bits |= 1 << (hash % 64);
        }
        let Some(first) = self.slots.get_mut(hash % SLOTS) else { return };
        self.pieces.push(Piece { word, offset: u8::try_from(offset).unwrap_or(0), next: *first });
        *first = u16::try_from(self.pieces.len()).unwrap_or(0);
    }

    fn may_be(&self, hash: u16) -> bool {
        let hash = usize::from(hash);
        self.bits.get(hash / 64).is_some_and(|bits| bits >> (hash % 64) & 1 == 1)
    }

    /// Calls `found` with the number of each word and where it starts, near the text's order.
    pub(super) fn each(&self, bytes: &[u8], mut found: impl FnMut(usize, usize)) {
        let mut at = 0;
        // Four lookups and mostly one branch for each eight bytes; what is left is the end.
        for ten in bytes.windows(10).step_by(8) {
            let (Some(eight), Some(last)) = (ten.first_chunk::<8>(), ten.last_chunk::<4>()) else {
                break;
            };
            let eight = u64::from_le_bytes(*eight);
            let hashes = [
                hash(low(eight)),
                hash(low(eight >> 16)),
                hash(low(eight >> 32)),
                hash(u32::from_le_bytes(*last)),
            ];
            if hashes.iter().fold(false, |any, hash| any | self.may_be(*hash)) {
                for (number, hash) in hashes.into_iter().enumerate() {
                    if self.may_be(hash) {
                        self.at(bytes, at + number * 2, hash, &mut found);
                    }
                }
            }
            at += 8;
        }
        for (number, four) in bytes.get(at..).unwrap_or_default().windows(4).enumerate().step_by(2)
        {
            if let Ok(four) = <[u8; 4]>::try_from(four) {
                self.at(bytes, at + number, hash(u32::from_le_bytes(four)), &mut found);
            }
        }
    }

    /// The words with a piece at `at`. Apart, so that the loop that mostly does not call it is short.
    #[inline(never)]
    fn at(&self, bytes: &[u8], at: usize, hash: u16, found: &mut impl FnMut(usize, usize)) {
        let mut next = self.slots.get(usize::from(hash) % SLOTS).copied().unwrap_or(0);
        while let Some(piece) = usize::from(next).checked_sub(1).and_then(|at| self.pieces.get(at))
        {
            next = piece.next;
            let word = self.words.get(usize::from(piece.word)).copied().unwrap_or_default();
            let start = at.checked_sub(usize::from(piece.offset));
            let text = start.and_then(|start| bytes.get(start..start + word.len()));
            if let (Some(start), Some(text)) = (start, text)
                && text.eq_ignore_ascii_case(word.as_bytes())
            {
                found(usize::from(piece.word), start);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_at_every_place() {
        let words = ["ignore", "curl ", "忽略之前", "/dev/tcp/"];
        let anchors = Anchors::new(words);
        for (number, word) in words.iter().enumerate() {
            for before in 0..9 {
                let text =
                    format!("{}{}{}", "-".repeat(before), word.to_uppercase(), "-".repeat(before));
                let mut found = Vec::new();
                anchors.each(text.as_bytes(), |word, at| found.push((word, at)));
                assert_eq!(found, [(number, before)], "{text}");
                anchors.each(&text.as_bytes()[..before + word.len() - 1], |_, _| panic!("{text}"));
            }
        }
    }
}
