//! A short code: three words that one human says to another (`SPEC.md` section 17).
//!
//! The first word says where to meet. All three together are the password of a SPAKE2 exchange,
//! whose frames and steps are in [`exchange`].

pub mod exchange;

use crate::base::{Digest, Secret, limits};

/// Words of a code.
pub const WORDS: usize = 3;
/// A list of 2,048 words has indices of eleven bits.
const INDEX_MASK: u16 = 2047;
/// Letters in which two words of the list differ at the latest.
const PREFIX_LETTERS: usize = 4;
/// More than this many changed letters is another word.
const TYPOS_MAX: usize = 2;

/// Three words. They are a secret while the code is open: they are not printed by accident.
pub struct Code(Secret<[u16; WORDS]>);

/// Why a text is no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Too few words, or too many.
    #[error("a code is three words, and this is {0}")]
    Count(usize),
    /// No word of the list, nor the beginning of one.
    #[error("{word:?} is no word of a code{}", .near.map(|near| format!("; is it {near}?")).unwrap_or_default())]
    Unknown {
        /// What was typed.
        word: String,
        /// What may have been meant.
        near: Option<&'static str>,
    },
    /// The beginning of several words.
    #[error("several words begin with {word:?}: {}", .candidates.join(", "))]
    Several {
        /// What was typed.
        word: String,
        /// Some of those that it may be.
        candidates: Vec<&'static str>,
    },
}

/// The 2,048 words that a code is made of (BIP 39, English), in the order of the alphabet.
#[must_use]
pub fn word_list() -> &'static [&'static str] {
    bip39::Language::English.word_list()
}

/// The words that begin as `typed` does, in any case.
pub fn completions(typed: &str) -> impl Iterator<Item = &'static str> {
    let typed = typed.to_ascii_lowercase();
    word_list().iter().copied().filter(move |word| word.starts_with(&typed))
}

/// Whether a text is meant as a code: words of letters and nothing else, or fewer.
#[must_use]
pub fn is_meant(text: &str) -> bool {
    let words: Vec<&str> = parts(text).collect();
    let longest = word_list().iter().map(|word| word.len()).max().unwrap_or_default();
    let like = |word: &&str| {
        word.len() <= longest + TYPOS_MAX && word.chars().all(|c| c.is_ascii_alphabetic())
    };
    text.len() <= limits::CODE_BYTES_MAX && !words.is_empty() && words.iter().all(like)
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || matches!(c, '-' | ',' | '.'))
        .filter(|w| !w.is_empty())
}

impl Code {
    /// A code from random bytes, all of which count.
    #[must_use]
    pub fn from_random(random: [u8; 2 * WORDS]) -> Self {
        let [a, b, c, d, e, f] = random;
        let index = |pair| u16::from_be_bytes(pair) & INDEX_MASK;
        Self(Secret::new([index([a, b]), index([c, d]), index([e, f])]))
    }

    /// Reads three words as somebody typed them: in any case, with spaces or hyphens between, each
    /// whole or so far that it can be no other.
    ///
    /// # Errors
    /// See [`CodeError`].
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let typed: Vec<&str> = parts(text).collect();
        let [first, second, third] = typed.as_slice() else {
            return Err(CodeError::Count(typed.len()));
        };
        Ok(Self(Secret::new([index_of(first)?, index_of(second)?, index_of(third)?])))
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> [&'static str; WORDS] {
        self.0
            .expose_secret()
            .map(|index| word_list().get(usize::from(index)).copied().unwrap_or_default())
    }

    /// Where the two sides meet: whoever knows or tries the first word can be there too.
    #[must_use]
    pub fn slot(&self) -> [u8; 32] {
        let [first, ..] = self.words();
        *Digest::of("countersign/code-slot/v1", &[first.as_bytes()]).as_bytes()
    }

    /// What SPAKE2 is given.
    #[must_use]
    pub fn password(&self) -> Secret<[u8; 32]> {
        let [first, second, third] = self.words().map(str::as_bytes);
        let space: &[u8] = b" ";
        let parts = [first, space, second, space, third];
        Secret::new(*Digest::of("countersign/code-password/v1", &parts).as_bytes())
    }

    /// Whether two codes are the same.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

fn index_of(typed: &str) -> Result<u16, CodeError> {
    let lower = typed.to_lowercase();
    let at = |word: &str| word_list().binary_search(&word).ok().and_then(|at| at.try_into().ok());
    if let Some(index) = at(&lower) {
        return Ok(index);
    }
    let candidates: Vec<&'static str> = completions(&lower).take(PREFIX_LETTERS).collect();
    let word = typed.chars().take(limits::CODE_WORD_CHARS_SHOWN).collect();
    match candidates.as_slice() {
        [] => Err(CodeError::Unknown { word, near: nearest(&lower) }),
        [only] => at(only).ok_or(CodeError::Unknown { word, near: None }),
        [_, ..] => Err(CodeError::Several { word, candidates }),
    }
}

/// The word that is the fewest changed letters away, if they are few.
fn nearest(typed: &str) -> Option<&'static str> {
    let typed: Vec<char> = typed.chars().take(limits::CODE_WORD_CHARS_SHOWN).collect();
    let far = word_list().iter().map(|word| (distance(&typed, word), *word));
    far.min().filter(|(typos, _)| *typos <= TYPOS_MAX).map(|(_, word)| word)
}

/// Levenshtein's distance.
fn distance(typed: &[char], word: &str) -> usize {
    let mut row: Vec<usize> = (0..=typed.len()).collect();
    for (line, letter) in word.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, other) in row.iter_mut().skip(1).zip(typed) {
            let changed = diagonal + usize::from(*other != letter);
            diagonal = *cell;
            *cell = changed.min(left + 1).min(diagonal + 1);
            left = *cell;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, words: [&str; WORDS]) {
        assert_eq!(Code::parse(text).map(|code| code.words()), Ok(words), "{text:?}");
    }

    #[test]
    fn words_are_read_however_they_are_typed() {
        check("copper violin harbor", ["copper", "violin", "harbor"]);
        check("  Copper-VIOLIN\tharbor\n", ["copper", "violin", "harbor"]);
        check("copp viol harb", ["copper", "violin", "harbor"]);
        check("act, action. actr", ["act", "action", "actress"]);
    }

    #[test]
    fn every_word_is_known_by_its_first_four_letters() {
        for word in word_list() {
            let prefix = &word[..word.len().min(PREFIX_LETTERS)];
            let code = Code::parse(&format!("{prefix} {word} {word}")).unwrap();
            assert_eq!(code.words(), [*word; WORDS]);
        }
        assert!(word_list().is_sorted(), "they are looked for by halves");
    }

    #[test]
    fn what_is_no_code_is_told_why() {
        let error = |text: &str| Code::parse(text).err().unwrap().to_string();
        assert_eq!(error("copper violin"), "a code is three words, and this is 2");
        assert_eq!(error(""), "a code is three words, and this is 0");
        assert_eq!(error("coper violin harbor"), "\"coper\" is no word of a code; is it copper?");
        assert_eq!(error("copper vilin harbor"), "\"vilin\" is no word of a code; is it violin?");
        assert_eq!(error("copper qqqqqqqq harbor"), "\"qqqqqqqq\" is no word of a code");
        let several = error("copper violin ab");
        assert_eq!(several, "several words begin with \"ab\": abandon, ability, able, about");
        let hostile = error(&format!("copper violin \u{1b}[31m{}", "x".repeat(1000)));
        assert!(hostile.len() < 100 && !hostile.contains('\u{1b}'), "{hostile}");
    }

    #[test]
    fn a_code_is_told_from_an_invite() {
        for text in ["copper violin harbor", "copper", "coper-violin", "a b c d"] {
            assert!(is_meant(text), "{text}");
        }
        for text in ["", "countersign1abc", "https://x.example a b", "copper violin 7"] {
            assert!(!is_meant(text), "{text}");
        }
        assert!(!is_meant(&"word ".repeat(1000)));
    }

    #[test]
    fn the_place_follows_from_the_first_word_alone_and_the_password_from_all() {
        let code = |text: &str| Code::parse(text).unwrap();
        let (one, two) = (code("copper violin harbor"), code("copper zoo harbor"));
        assert_eq!(one.slot(), two.slot());
        assert_ne!(one.slot(), code("violin copper harbor").slot());
        let others = ["copper zoo harbor", "copper violin zoo", "zoo violin harbor"];
        for other in others.map(code) {
            assert_ne!(one.password().expose_secret(), other.password().expose_secret());
            assert!(!one.is(&other));
        }
        assert!(one.is(&code("COPP viol harb")));
    }

    #[test]
    fn random_bytes_reach_the_whole_list() {
        assert_eq!(Code::from_random([0; 6]).words(), ["abandon"; WORDS]);
        assert_eq!(Code::from_random([0xff; 6]).words(), ["zoo"; WORDS]);
        let code = Code::from_random([0, 1, 4, 0, 7, 0xfe]);
        assert_eq!(code.words(), [word_list()[1], word_list()[1024], word_list()[2046]]);
    }
}
