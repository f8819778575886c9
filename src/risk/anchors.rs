//! Finding many words in one fast pass: what a rule needs at the least, so that a text with none
//! of them is not read again.

/// Places of the table: a power of two, some times the words.
const SLOTS: usize = 1 << 14;
/// The least length of a word: two overlapping pieces of four bytes, of which one starts at an
/// even place of the text.
pub(super) const WORD_BYTES_MIN: usize = 5;

/// Words to look for, without regard to the case of ASCII letters.
#[derive(Debug)]
pub(super) struct Anchors {
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

fn slot(four: [u8; 4]) -> usize {
    let folded = u32::from_le_bytes(four) | 0x2020_2020;
    (folded.wrapping_mul(0x9e37_79b1) >> 18) as usize % SLOTS
}

impl Anchors {
    /// Words shorter than [`WORD_BYTES_MIN`] are never found.
    pub(super) fn new(words: impl IntoIterator<Item = &'static str>) -> Self {
        let words: Vec<&'static str> = words.into_iter().collect();
        let mut anchors = Self { slots: vec![0; SLOTS], pieces: Vec::new(), words: Vec::new() };
        for (number, word) in words.iter().enumerate() {
            let bytes = word.as_bytes().windows(4).take(2);
            for (offset, four) in (0_u8..2).zip(bytes.filter(|_| word.len() >= WORD_BYTES_MIN)) {
                anchors.insert(u16::try_from(number).unwrap_or(u16::MAX), offset, four);
            }
        }
        anchors.words = words;
        anchors
    }

    fn insert(&mut self, word: u16, offset: u8, four: &[u8]) {
        let Ok(four) = <[u8; 4]>::try_from(four) else { return };
        let Some(first) = self.slots.get_mut(slot(four)) else { return };
        self.pieces.push(Piece { word, offset, next: *first });
        *first = u16::try_from(self.pieces.len()).unwrap_or(0);
    }

    /// Calls `found` with the number of each word and where it starts, in the text's order.
    pub(super) fn each(&self, bytes: &[u8], mut found: impl FnMut(usize, usize)) {
        for (pair, eight) in bytes.windows(4).step_by(2).enumerate() {
            let Ok(four) = <[u8; 4]>::try_from(eight) else { continue };
            let mut next = self.slots.get(slot(four)).copied().unwrap_or(0);
            while let Some(piece) = usize::from(next).checked_sub(1).and_then(|at| self.pieces.get(at)) {
                next = piece.next;
                let word = self.words.get(usize::from(piece.word)).copied().unwrap_or_default();
                let start = (pair * 2).checked_sub(usize::from(piece.offset));
                let text = start.and_then(|start| bytes.get(start..start + word.len()));
                if let (Some(start), Some(text)) = (start, text)
                    && text.eq_ignore_ascii_case(word.as_bytes())
                {
                    found(usize::from(piece.word), start);
                }
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
                let text = format!("{}{}{}", "-".repeat(before), word.to_uppercase(), "-".repeat(before));
                let mut found = Vec::new();
                anchors.each(text.as_bytes(), |word, at| found.push((word, at)));
                assert_eq!(found, [(number, before)], "{text}");
                anchors.each(&text.as_bytes()[..before + word.len() - 1], |_, _| panic!("{text}"));
            }
        }
    }
}
