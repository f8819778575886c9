//! Kinds of characters that several ways of looking at a text need to know.

use unicode_script::{Script, UnicodeScript as _};

/// Shows nothing by itself: taken out of a text before it is read again.
pub(super) const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Has no width, and no meaning but between certain scripts' letters.
pub(super) const fn is_zero_width(c: char) -> bool {
    matches!(c,
        '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
        | '\u{1d173}'..='\u{1d17a}')
}

/// Tag characters (UTS 51, annex C).
pub(super) const fn is_tag(c: char) -> bool {
    matches!(c, '\u{e0000}'..='\u{e007f}')
}

/// Embeddings, overrides, isolates and their ends (UAX 9).
pub(super) const fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Variation selectors 1 to 256, without the Mongolian ones.
pub(super) const fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Belongs to a word or to an identifier.
pub(super) fn is_word(c: char) -> bool {
    // The range only spares a look into the tables.
    matches!(c, '_' | '\u{410}'..='\u{44f}') || c.is_alphanumeric()
}

/// A letter that is written from right to left.
pub(super) const fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

/// A symbol that an emoji sequence may hold, with skin tones, keycaps and selectors.
pub(super) const fn is_emoji_part(c: char) -> bool {
    matches!(c, '\u{a9}' | '\u{ae}' | '\u{203c}'..='\u{2049}' | '\u{20e3}'
        | '\u{2100}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
        | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}')
}

/// A script whose writing needs the zero-width joiner or non-joiner.
pub(super) fn joins(c: char) -> bool {
    use Script as S;
    let script = c.script();
    let marks = script == S::Inherited && !c.is_ascii();
    marks
        || [
            S::Arabic,
            S::Syriac,
            S::Mandaic,
            S::Mongolian,
            S::Nko,
            S::Phags_Pa,
            S::Manichaean,
            S::Adlam,
            S::Hanifi_Rohingya,
            S::Devanagari,
            S::Bengali,
            S::Gurmukhi,
            S::Gujarati,
            S::Oriya,
            S::Tamil,
            S::Telugu,
            S::Kannada,
            S::Malayalam,
            S::Sinhala,
            S::Khmer,
            S::Myanmar,
            S::Tibetan,
            S::Balinese,
            S::Javanese,
            S::Newa,
            S::Grantha,
            S::Tirhuta,
            S::Siddham,
            S::Sharada,
            S::Hebrew,
            S::Thaana,
            S::Meetei_Mayek,
            S::Chakma,
        ]
        .contains(&script)
}

/// A script that is written without spaces, where a zero-width space says that a line may break.
pub(super) fn breaks_unseen(c: char) -> bool {
    use Script as S;
    [
        S::Thai,
        S::Lao,
        S::Khmer,
        S::Myanmar,
        S::Tibetan,
        S::Javanese,
        S::Balinese,
        S::Tai_Tham,
        S::Tai_Le,
        S::New_Tai_Lue,
        S::Han,
        S::Hiragana,
        S::Katakana,
        S::Hangul,
    ]
    .contains(&c.script())
}

/// The Latin letter that a letter of another script is drawn like. A small table of our own, of
/// what the usual fonts draw the same.
pub(super) const fn lookalike(c: char) -> Option<char> {
    if (c as u32) < 0x370 {
        return None;
    }
    let latin = match c {
        'А' | 'Α' | 'Ꭺ' | 'ꓮ' => 'A',
        'В' | 'Β' | 'Ᏼ' | 'ꓐ' => 'B',
        'С' | 'Ϲ' | 'Ꮯ' | 'ꓚ' | 'Ⲥ' => 'C',
        'Ꭰ' | 'ꓓ' => 'D',
        'Е' | 'Ε' | 'Ꭼ' | 'ꓰ' => 'E',
        'ꓝ' => 'F',
        'Ԍ' | 'Ꮐ' | 'ꓖ' => 'G',
        'Н' | 'Η' | 'Ꮋ' | 'ꓧ' | 'Ⲏ' => 'H',
        'І' | 'Ӏ' | 'Ι' | 'ꓲ' => 'I',
        'Ј' | 'Ꭻ' | 'ꓙ' => 'J',
        'К' | 'Κ' | 'Ꮶ' | 'ꓗ' | 'Ⲕ' => 'K',
        'Ꮮ' | 'ꓡ' | 'Լ' => 'L',
        'М' | 'Μ' | 'Ꮇ' | 'ꓟ' | 'Ⲙ' => 'M',
        'Ν' | 'ꓠ' | 'Ⲛ' => 'N',
        'О' | 'Ο' | 'Օ' | 'ꓳ' | 'Ⲟ' => 'O',
        'Р' | 'Ρ' | 'Ꮲ' | 'ꓑ' | 'Ⲣ' => 'P',
        'Ԛ' => 'Q',
        'Ꭱ' | 'ꓣ' => 'R',
        'Ѕ' | 'Տ' | 'Ꮪ' | 'ꓢ' => 'S',
        'Т' | 'Τ' | 'Ꭲ' | 'ꓔ' | 'Ⲧ' => 'T',
        'Ս' | 'ꓴ' => 'U',
        'Ѵ' | 'Ꮩ' | 'ꓦ' => 'V',
        'Ԝ' | 'Ꮃ' | 'ꓪ' => 'W',
        'Х' | 'Χ' | 'ꓫ' | 'Ⲭ' => 'X',
        'У' | 'Ү' | 'Υ' | 'ꓬ' => 'Y',
        'Ζ' | 'Ꮓ' | 'ꓜ' => 'Z',
        'а' | 'α' => 'a',
        'с' | 'ϲ' | 'ⲥ' => 'c',
        'ԁ' => 'd',
        'е' => 'e',
        'ց' => 'g',
        'һ' | 'հ' => 'h',
        'і' | 'ι' => 'i',
        'ј' | 'ϳ' => 'j',
        'к' | 'κ' => 'k',
        'ӏ' => 'l',
        'ո' => 'n',
        'о' | 'ο' | 'օ' | 'ⲟ' => 'o',
        'р' | 'ρ' | 'ⲣ' => 'p',
        'ԛ' | 'զ' => 'q',
        'ѕ' => 's',
        'υ' | 'ս' => 'u',
        'ѵ' | 'ν' => 'v',
        'ԝ' => 'w',
        'х' => 'x',
        'у' | 'ү' => 'y',
        _ => return None,
    };
    Some(latin)
}

/// A Greek letter that formulas use beside Latin ones: no lookalike unless inside of a word.
pub(super) const fn is_formula_letter(c: char) -> bool {
    matches!(c, 'α' | 'ι' | 'κ' | 'ν' | 'ρ' | 'υ')
}
