//! Words of a text, as they are looked for: small letters without accents.
//!
//! A word is a run of letters and digits (and of the marks on them), as in Unicode's categories. In a
//! script that puts no spaces between words, each letter is one, so that several that are looked for
//! beside each other are found inside a line. The same rules make what is indexed and what is looked
//! for, so they must not change without a new index. All of it is linear in the text.

use std::{collections::HashMap, ops::Range};

use unicode_normalization::char::{decompose_canonical, is_combining_mark};
use unicode_script::{Script, ScriptExtension, UnicodeScript as _};

/// How many characters the beginnings have under which a word is found, beside the whole word. A
/// beginning of another length is found under the next shorter one.
const BEGINNINGS: [usize; 7] = [1, 2, 3, 4, 6, 8, 12];

/// A word, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// As it is compared.
    pub(super) folded: String,
    /// In bytes of the text.
    pub(super) span: Range<usize>,
}

/// The words of a text, in its order.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::new();
    // A word that a letter goes on with, and one that only marks do.
    let (mut open, mut inside) = (false, false);
    for (at, c) in text.char_indices() {
        let joins = inside && is_combining_mark(c);
        if !c.is_alphanumeric() && !joins {
            (open, inside) = (false, false);
            continue;
        }
        let alone = !joins && stands_alone(c);
        if !joins && (alone || !open) {
            found.push(Word { folded: String::new(), span: at..at });
        }
        (open, inside) = (if joins { open } else { !alone }, true);
        if let Some(word) = found.last_mut() {
            word.span.end = at + c.len_utf8();
            fold(c, &mut word.folded);
        }
    }
    found.retain(|word| !word.folded.is_empty());
    found
}

/// Scripts that are written without spaces between words.
const UNSPACED: [Script; 15] = [
    Script::Han,
    Script::Hiragana,
    Script::Katakana,
    Script::Bopomofo,
    Script::Yi,
    Script::Thai,
    Script::Lao,
    Script::Khmer,
    Script::Myanmar,
    Script::Tai_Le,
    Script::New_Tai_Lue,
    Script::Tai_Tham,
    Script::Tai_Viet,
    Script::Balinese,
    Script::Javanese,
];

/// Whether a letter is of one of these, or of several scripts that have one of these among them, as
/// the mark that makes a kana long (UAX 24, section 1.3).
fn stands_alone(c: char) -> bool {
    let scripts: ScriptExtension = c.script_extension();
    !c.is_ascii()
        && !scripts.is_common()
        && !scripts.is_inherited()
        && UNSPACED.iter().any(|script| scripts.contains_script(*script))
}

fn fold(c: char, to: &mut String) {
    if c.is_ascii() {
        return to.push(c.to_ascii_lowercase());
    }
    decompose_canonical(c, |part| {
        if !is_accent(part) {
            // At the end of a word this is another letter, and in capitals the same.
            to.extend(part.to_lowercase().map(|c| if c == 'ς' { 'σ' } else { c }));
        }
    });
}

/// The accents of alphabets that are read without them. What stands on a letter of other scripts
/// makes another letter of it.
const fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// The beginnings of a folded word that are indexed.
pub(super) fn beginnings(folded: &str) -> impl Iterator<Item = &str> {
    let mut ends = folded.char_indices().map(|(at, c)| at + c.len_utf8()).enumerate();
    std::iter::from_fn(move || {
        let (_, end) = ends.find(|(at, _)| BEGINNINGS.contains(&(at + 1)))?;
        folded.get(..end)
    })
}

/// What a person typed: each part is in the text, in any order, and the last may be a beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The words of each part, which stand beside each other (`near-by`).
    pub(super) parts: Vec<Vec<String>>,
    /// The last word of the last part may be a beginning.
    pub(super) open: bool,
}

impl Query {
    /// `None` where there is no word.
    #[must_use]
    pub fn of(typed: &str) -> Option<Self> {
        // Nobody looks for a control character.
        let between = |c: char| c.is_whitespace() || c.is_control();
        let mut parts: Vec<Vec<String>> = Vec::new();
        let mut open = false;
        for part in typed.split(between).filter(|part| !part.is_empty()) {
            let part: Vec<String> = words(part).into_iter().map(|word| word.folded).collect();
            // One of mere signs is left out.
            open = !part.is_empty();
            if open {
                // Once more is nothing more to find. The last one stays last.
                parts.retain(|known| *known != part);
                parts.push(part);
            }
        }
        (!parts.is_empty()).then_some(Self { parts, open })
    }

    /// Whether the text has all of it.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.spans(text).is_some()
    }

    /// The text with `marks` before and after each place that was looked for; `None` where
    /// something of it is missing.
    pub(super) fn mark(&self, text: &str, (begins, ends): (&str, &str)) -> Option<String> {
        let spans = self.spans(text)?;
        let mut marked = String::with_capacity(text.len() + 64);
        let mut done = 0;
        for span in spans {
            marked.push_str(text.get(done..span.start)?);
            marked.push_str(begins);
            marked.push_str(text.get(span.clone())?);
            marked.push_str(ends);
            done = span.end;
        }
        marked.push_str(text.get(done..)?);
        Some(marked)
    }

    /// Where the parts stand, in the text's order, those that overlap as one.
    fn spans(&self, text: &str) -> Option<Vec<Range<usize>>> {
        let words = words(text);
        let last = self.parts.len().saturating_sub(1);
        let is_open = |part: usize| self.open && part == last;
        // By their first word, so that a text is gone through once for all of them.
        let mut by_first: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut begun = None;
        for (at, part) in self.parts.iter().enumerate() {
            match part.as_slice() {
                [only] if is_open(at) => begun = Some((at, only.as_str())),
                [first, ..] => by_first.entry(first).or_default().push(at),
                [] => {}
            }
        }
        let mut seen = vec![false; self.parts.len()];
        let mut spans: Vec<Range<usize>> = Vec::new();
        for at in 0..words.len() {
            let Some(here) = words.get(at..) else { break };
            let Some(first) = here.first() else { break };
            let starts = by_first.get(first.folded.as_str()).into_iter().flatten().copied();
            let begun = begun.filter(|(_, begun)| first.folded.starts_with(begun));
            for part in starts.chain(begun.map(|(part, _)| part)) {
                let Some(end) = self.ends(part, here, is_open(part)) else { continue };
                if let Some(seen) = seen.get_mut(part) {
                    *seen = true;
                }
                let start = first.span.start;
                match spans.last_mut().filter(|span| start < span.end) {
                    Some(span) => span.end = span.end.max(end),
                    None => spans.push(start..end),
                }
            }
        }
        seen.into_iter().all(|seen| seen).then_some(spans)
    }

    /// Where a part ends that begins with the first of these words.
    fn ends(&self, part: usize, here: &[Word], open: bool) -> Option<usize> {
        let part = self.parts.get(part)?;
        let last = part.len().checked_sub(1)?;
        for (at, wanted) in part.iter().enumerate() {
            let word = &here.get(at)?.folded;
            let is = word == wanted || (open && at == last && word.starts_with(wanted.as_str()));
            if !is {
                return None;
            }
        }
        here.get(last).map(|word| word.span.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_and_keep_their_place() {
        let check = |text: &str, expected: &[&str]| {
            let found = words(text);
            let folded: Vec<&str> = found.iter().map(|word| word.folded.as_str()).collect();
            assert_eq!(folded, expected, "{text:?}");
            for word in found {
                assert!(!text[word.span].contains(' '));
            }
        };
        check("Grüße aus ZÜRICH, 300 EUR", &["gruße", "aus", "zurich", "300", "eur"]);
        check("Zu\u{308}rich near-by column's", &["zurich", "near", "by", "column", "s"]);
        check("日本語 text", &["日", "本", "語", "text"]);
        check("第3回がABテスト", &["第", "3", "回", "か\u{3099}", "ab", "テ", "ス", "ト"]);
        check("サーバー3号", &["サ", "ー", "ハ\u{3099}", "ー", "3", "号"]);
        check("エラーABC ｴﾗｰ", &["エ", "ラ", "ー", "abc", "ｴ", "ﾗ", "ｰ"]);
        check("naïve ²x ٣٤ ०१", &["naive", "²x", "٣٤", "०१"]);
        check("ภาษาที่", &["ภ", "า", "ษ", "า", "ที่"]);
        check("ΟΔΟΣ οδος ὁδός", &["οδοσ", "οδοσ", "οδοσ"]);
        check("हिन्दी", &["हिन्दी"]);
        check("\u{301} - … \0 _ 😀", &[]);
        assert_eq!(words("Zu\u{308}rich.")[0].span, 0..8);
    }

    #[test]
    fn beginnings_are_bounded() {
        let all: Vec<&str> = beginnings("zurichberg").collect();
        assert_eq!(all, ["z", "zu", "zur", "zuri", "zurich", "zurichbe"]);
        assert_eq!(beginnings("é日本").collect::<Vec<_>>(), ["é", "é日", "é日本"]);
        assert_eq!(beginnings(&"x".repeat(100_000)).count(), BEGINNINGS.len());
    }

    #[test]
    fn what_overlaps_is_marked_once_and_what_is_missing_marks_nothing() {
        let check = |typed: &str, text: &str, expected: Option<&str>| {
            let marked = Query::of(typed).unwrap().mark(text, ("<", ">"));
            assert_eq!(marked.as_deref(), expected, "{typed:?} in {text:?}");
        };
        check("a-b b-c", "a b c", Some("<a b c>"));
        check("a-b c", "a b c", Some("<a b> <c>"));
        check("b-a", "a b c", None);
        check("b c d", "a b c", None);
        check("to x", "to xylo tomb", Some("<to> <xylo> tomb"));
        check("to -", "tom", None);
        check("a-b", "a bee", Some("<a bee>"));
        check("明日", "会議は明日です", Some("会議は<明日>です"));
        check("日明", "会議は明日です", None);
        check("3回", "第3回", Some("第<3回>"));
        assert_eq!(Query::of(" - \0 …"), None);
    }
}
