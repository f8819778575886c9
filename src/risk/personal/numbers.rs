//! Numbers in a text: runs of digits with separators between, and codes of letters and digits.

use std::ops::Range;

use super::add;
use super::checks::{is_date, luhn, mod_97, value};
use super::context::{
    self, BIRTH, CARD, Context, ES, IN, IT, LICENCE, MX, NORDIC, PASSPORT, PHONE, UK,
};
use super::ids::{IDS, Id, cn_check};
use super::{Hit, Severity};

/// Digits of the longest number that is known here.
const DIGITS_MAX: usize = 19;
const GROUPS_MAX: usize = 8;

/// A run of letters and digits.
#[derive(Clone, Copy)]
struct Token {
    start: usize,
    end: usize,
    digits: usize,
}

impl Token {
    const fn is_digits(self) -> bool {
        self.digits == self.end - self.start
    }
}

pub(super) fn scan(bytes: &[u8], region: Range<usize>, hits: &mut Vec<Hit>) {
    let tokens = tokens(bytes, region);
    let mut from = 0;
    while let Some(rest) = tokens.get(from..).filter(|rest| !rest.is_empty()) {
        let run = run(bytes, rest);
        if let Some(run) = rest.get(..run).filter(|run| !run.is_empty()) {
            number_run(bytes, run, hits);
        }
        if let Some(token) = rest.first().filter(|token| !token.is_digits() && token.digits > 0) {
            code(bytes, *token, rest, hits);
        }
        from += run.max(1);
    }
}

/// For each byte: whether it is a letter or a digit, and whether a digit.
static CLASSES: [(bool, u8); 256] = classes();

#[allow(clippy::indexing_slicing)] // evaluated by the compiler
const fn classes() -> [(bool, u8); 256] {
    let mut classes = [(false, 0); 256];
    let mut byte = 0_u8;
    while byte < 128 {
        classes[byte as usize] = (byte.is_ascii_alphanumeric(), byte.is_ascii_digit() as u8);
        byte += 1;
    }
    classes
}

fn tokens(bytes: &[u8], region: Range<usize>) -> Vec<Token> {
    let class = |byte: &u8| CLASSES.get(usize::from(*byte)).copied().unwrap_or_default();
    let part = bytes.get(region.clone()).unwrap_or_default();
    let mut tokens = Vec::with_capacity(part.len() / 4);
    let mut at = 0;
    while let Some(skipped) =
        part.get(at..).and_then(|rest| rest.iter().position(|byte| class(byte).0))
    {
        let start = at + skipped;
        let (mut end, mut digits) = (start, 0);
        for (is_word, digit) in part.get(start..).unwrap_or_default().iter().map(class) {
            if !is_word {
                break;
            }
            end += 1;
            digits += usize::from(digit);
        }
        tokens.push(Token { start: region.start + start, end: region.start + end, digits });
        at = end;
    }
    tokens
}

/// How many tokens from the first are one number: digits, with one or two separators between.
fn run(bytes: &[u8], tokens: &[Token]) -> usize {
    let mut length = 0;
    let mut before: Option<Token> = None;
    for token in tokens {
        let joined = before.is_none_or(|before| {
            let between = bytes.get(before.end..token.start).unwrap_or_default();
            matches!(between, [b' ' | b'-' | b'.' | b'/' | b')'] | b") " | [0xc2, 0xa0])
        });
        if !token.is_digits() || !joined {
            break;
        }
        before = Some(*token);
        length += 1;
    }
    length
}

/// Some groups of a run, as one number.
struct Number<'b> {
    bytes: &'b [u8],
    groups: &'b [Token],
    digits: Vec<u8>,
    shape: Vec<u8>,
    separators: Vec<u8>,
}

impl<'b> Number<'b> {
    fn new(bytes: &'b [u8], groups: &'b [Token]) -> Option<Self> {
        let mut number = Self { bytes, groups, digits: vec![], shape: vec![], separators: vec![] };
        let mut end = None;
        for group in groups {
            let digits = bytes.get(group.start..group.end)?;
            number.digits.extend(digits.iter().map(|digit| digit - b'0'));
            number.shape.push(u8::try_from(digits.len()).ok()?);
            number.separators.extend(end.and_then(|end: usize| bytes.get(end)));
            end = Some(group.end);
        }
        Some(number)
    }

    fn span(&self) -> Range<usize> {
        let start = self.groups.first().map_or(0, |group| group.start);
        start..self.groups.last().map_or(start, |group| group.end)
    }

    fn is_split_by(&self, wanted: &[u8]) -> bool {
        self.separators.iter().all(|separator| wanted.contains(separator))
    }

    fn is_even(&self) -> bool {
        self.separators.windows(2).all(|pair| pair.first() == pair.last())
    }
}

/// Whether nothing hangs on a number that makes it a part of something else.
fn stands_alone(bytes: &[u8], groups: &[Token]) -> bool {
    let (Some(first), Some(last)) = (groups.first(), groups.last()) else { return false };
    let before = first.start.checked_sub(1).and_then(|at| bytes.get(at));
    let (behind, next) = (bytes.get(last.end), bytes.get(last.end + 1));
    let hangs = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'@');
    let ends = behind.is_none_or(|byte| match byte {
        b'.' | b'-' | b'/' => !next.is_some_and(u8::is_ascii_alphanumeric),
        byte => !hangs(byte),
    });
    ends && before.is_none_or(|byte| !hangs(byte) && !matches!(byte, b'.' | b'-' | b'/' | b'%'))
}

fn number_run(bytes: &[u8], run: &[Token], hits: &mut Vec<Hit>) {
    for first in 0..run.len() {
        let rest = run.get(first..).unwrap_or_default();
        let mut digits = 0;
        let mut longest = 0;
        for group in rest.iter().take(GROUPS_MAX) {
            digits += group.digits;
            longest += usize::from(digits <= DIGITS_MAX);
        }
        // Read once for all that start here.
        let mut seen: Option<Context> = None;
        // The longest that is something is what it is.
        for groups in (1..=longest).rev().filter_map(|length| rest.get(..length)) {
            let total: usize = groups.iter().map(|group| group.digits).sum();
            if total < 7 {
                break;
            }
            let found = Some(groups)
                .filter(|groups| stands_alone(bytes, groups))
                .and_then(|groups| Number::new(bytes, groups))
                .and_then(|number| Some((number.span(), judge(&number, &mut seen)?)));
            if let Some((span, (rule, severity, text))) = found {
                add(hits, rule, severity, span, text);
                break;
            }
        }
    }
}

type Judged = (&'static str, Severity, &'static str);

fn judge(number: &Number<'_>, seen: &mut Option<Context>) -> Option<Judged> {
    let span = number.span();
    let mut around =
        || *seen.get_or_insert_with(|| context::around(number.bytes, span.start, span.end));
    if let Some(found) = card(number, &mut around) {
        return Some(found);
    }
    // A bare shape is weaker than any word: the words first.
    let fits = |id: &&Id| id.shapes.contains(&&*number.shape) && number.is_split_by(b" -./");
    let candidates: Vec<&Id> =
        IDS.iter().filter(fits).filter(|id| (id.check)(&number.digits)).collect();
    if let Some(id) = candidates.iter().find(|id| around() & id.context != 0) {
        return Some((id.rule, Severity::High, id.text));
    }
    if let Some(found) = phone(number, &mut around) {
        return Some(found);
    }
    let bare = |id: &&&Id| {
        id.bare.is_some_and(|(_, groups)| number.groups.len() >= groups)
            && separators_fit(id, number)
    };
    if let Some(id) = candidates.iter().find(bare) {
        return id.bare.map(|(severity, _)| (id.rule, severity, id.text));
    }
    birth(number, &mut around).or_else(|| document(number, &mut around))
}

/// Numbers of documents have any form: only the word tells them.
fn document(number: &Number<'_>, around: &mut impl FnMut() -> Context) -> Option<Judged> {
    if !(7..=16).contains(&number.digits.len()) || looks_like_date(number) {
        return None;
    }
    document_of(around())
}

fn document_of(words: Context) -> Option<Judged> {
    if words & PASSPORT != 0 {
        return Some(("personal.passport", Severity::Medium, "a passport number"));
    }
    let licence = ("personal.driving_licence", Severity::Medium, "a driving licence number");
    (words & LICENCE != 0).then_some(licence)
}

/// What stands between the groups of a number that has no word: as its authority writes it.
fn separators_fit(id: &Id, number: &Number<'_>) -> bool {
    match id.rule {
        "personal.us_ssn" | "personal.kr_rrn" => number.is_split_by(b"-"),
        "personal.br_cpf" => {
            matches!(&*number.separators, [b'.', b'.', b'-'] | [b'.', b'.', b'/', b'-'])
        }
        "personal.be_national" => matches!(&*number.separators, [b'.', b'.', b'-', b'.']),
        _ => number.is_even(),
    }
}

/// ISO/IEC 7812: Luhn, and a range that an issuer has, or the word.
fn card(number: &Number<'_>, around: &mut impl FnMut() -> Context) -> Option<Judged> {
    const FOUND: Judged = ("personal.payment_card", Severity::High, "a payment card number");
    let shaped = matches!(
        &*number.shape,
        [12..=19] | [4, 4, 4, 4] | [4, 4, 4, 4, 3] | [4, 6, 4..=5] | [4, 4, 5] | [6, 13]
    );
    if !shaped || !number.is_even() || !number.is_split_by(b" -.") || !luhn(&number.digits) {
        return None;
    }
    let head = value(number.digits.get(..4)?);
    let issued = match number.digits.len() {
        16 => {
            matches!(head, 4000..=4999 | 5100..=5599 | 2221..=2720 | 3528..=3589 | 6011 | 6440..=6599 | 6200..=6299)
        }
        15 => matches!(head / 100, 34 | 37),
        14 => matches!(head, 3000..=3059 | 3600..=3699 | 3800..=3999) && number.groups.len() > 1,
        _ => false,
    };
    (issued || around() & CARD != 0).then_some(FOUND)
}

fn phone(number: &Number<'_>, around: &mut impl FnMut() -> Context) -> Option<Judged> {
    const FOUND: Judged = ("personal.phone", Severity::Medium, "a telephone number");
    let start = number.span().start;
    let before = |back: usize| start.checked_sub(back).and_then(|at| number.bytes.get(at));
    let length = number.digits.len();
    if number.separators.contains(&b'/') || !(7..=15).contains(&length) {
        return None;
    }
    let first = *number.digits.first()?;
    let opened = before(1) == Some(&b'(');
    let plus = before(1) == Some(&b'+') || opened && before(2) == Some(&b'+');
    if plus && first != 0 && length >= 9 && number.groups.len() <= 6 {
        return Some(FOUND);
    }
    let american = [3, 3, 4] == *number.shape
        && matches!(number.digits.get(..4), Some([2..=9, _, _, 2..=9]))
        && (opened && number.separators.first() == Some(&b')') || number.is_split_by(b"-"));
    let national = first == 0
        && number.digits.get(1) != Some(&0)
        && (9..=11).contains(&length)
        && number.is_split_by(b" ")
        && (3..=5).contains(&number.groups.len())
        && number.shape.iter().skip(1).all(|digits| (2..=4).contains(digits))
        && number.shape.first().is_some_and(|digits| (2..=5).contains(digits));
    let named = number.shape.iter().all(|digits| *digits >= 2)
        && !looks_like_date(number)
        && !number.separators.contains(&b'.')
        && around() & PHONE != 0;
    (american || national || named).then_some(FOUND)
}

fn looks_like_date(number: &Number<'_>) -> bool {
    matches!(&*number.shape, [4, 1..=2, 1..=2] | [1..=2, 1..=2, 2 | 4])
}

/// A date is anybody's; behind the word it is a person's.
fn birth(number: &Number<'_>, around: &mut impl FnMut() -> Context) -> Option<Judged> {
    if !looks_like_date(number) || !number.is_even() || !follows_a_word(number) {
        return None;
    }
    let part = |at: usize| {
        let span = number.groups.get(at)?;
        let digits = number.bytes.get(span.start..span.end)?;
        Some(digits.iter().fold(0, |value: u64, digit| value * 10 + u64::from(digit - b'0')))
    };
    let (a, b, c) = (part(0)?, part(1)?, part(2)?);
    let dated = if a > 31 { is_date(b, c) } else { is_date(a, b) || is_date(b, a) };
    let found = ("personal.birth_date", Severity::Medium, "a date of birth");
    (dated && around() & BIRTH != 0).then_some(found)
}

/// Whether a word or its colon stands before, and no mark of a list or a heading.
fn follows_a_word(number: &Number<'_>) -> bool {
    let before = number.bytes.get(..number.span().start).unwrap_or_default();
    let mark = before.iter().rev().take(4).find(|byte| !byte.is_ascii_whitespace());
    mark.is_some_and(|byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'=' | b'"' | 0x80..)
    })
}

/// A code of letters and digits.
fn code(bytes: &[u8], token: Token, rest: &[Token], hits: &mut Vec<Hit>) {
    if let Some(end) = iban(bytes, rest) {
        return add(
            hits,
            "personal.iban",
            Severity::High,
            token.start..end,
            "an account number (IBAN)",
        );
    }
    let Some(text) = bytes.get(token.start..token.end) else { return };
    let hangs =
        |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b'_' | b'/' | b'=' | b'.'));
    if hangs(token.start.checked_sub(1).and_then(|at| bytes.get(at))) || text.len() > 18 {
        return;
    }
    let mut seen: Option<Context> = None;
    let mut around = || *seen.get_or_insert_with(|| context::around(bytes, token.start, token.end));
    let upper = !text.iter().any(u8::is_ascii_lowercase);
    let found = if upper { national_code(bytes, text, token, rest, &mut around) } else { None };
    let found = found.or_else(|| {
        let sized = (6..=16).contains(&text.len()) && token.digits >= 5;
        sized.then(&mut around).and_then(document_of)
    });
    if let Some((rule, severity, text)) = found {
        add(hits, rule, severity, token.start..token.end, text);
    }
}

fn national_code(
    bytes: &[u8],
    text: &[u8],
    token: Token,
    rest: &[Token],
    around: &mut impl FnMut() -> Context,
) -> Option<Judged> {
    let strong = |words: Context, wanted: Context, bare: Severity| {
        if words & wanted == 0 { bare } else { Severity::High }
    };
    match text.len() {
        16 if codice_fiscale(text) => {
            Some(("personal.it_codice_fiscale", Severity::High, "an Italian tax code"))
        }
        18 if curp(text) && around() & MX != 0 => {
            Some(("personal.mx_curp", Severity::High, "a Mexican CURP"))
        }
        18 if curp(text) => Some(("personal.mx_curp", Severity::Medium, "a Mexican CURP")),
        18 if cn_resident(text) => {
            Some(("personal.cn_resident_id", Severity::High, "a Chinese resident id"))
        }
        9 if spanish(text) => {
            let severity = strong(around(), ES, Severity::Medium);
            Some(("personal.es_dni", severity, "a Spanish DNI or NIE"))
        }
        9 if nino(text) => {
            let severity = strong(around(), UK, Severity::Medium);
            Some(("personal.uk_nino", severity, "a British national insurance number"))
        }
        10 if pan(text) && around() & IN != 0 => {
            Some(("personal.in_pan", Severity::High, "an Indian PAN"))
        }
        4 if finnish(bytes, token, rest) => {
            let severity = strong(around(), NORDIC, Severity::High);
            Some(("personal.fi_hetu", severity, "a Finnish personal identity code"))
        }
        16 if around() & IT != 0 && token.digits == 7 => {
            Some(("personal.it_codice_fiscale", Severity::Medium, "an Italian tax code"))
        }
        _ => None,
    }
}

/// ISO 13616: country, its length, and the checksum; written in one or in groups of four.
fn iban(bytes: &[u8], tokens: &[Token]) -> Option<usize> {
    let first = bytes.get(tokens.first()?.start..)?;
    let [a @ b'A'..=b'Z', b @ b'A'..=b'Z', b'0'..=b'9', b'0'..=b'9', ..] = first else {
        return None;
    };
    let length = iban_length([*a, *b])?;
    let mut iban: Vec<u8> = Vec::with_capacity(length);
    let mut before: Option<usize> = None;
    for token in tokens {
        let between =
            before.map_or(&b""[..], |end| bytes.get(end..token.start).unwrap_or_default());
        let part = bytes.get(token.start..token.end)?;
        if !matches!(between, b"" | b" " | b"-") || iban.len() + part.len() > length {
            return None;
        }
        iban.extend(part);
        before = Some(token.end);
        if iban.len() == length {
            let upper = !iban.iter().any(u8::is_ascii_lowercase);
            return (upper && mod_97(&iban)).then_some(token.end);
        }
        if part.len() != 4 {
            return None;
        }
    }
    None
}

/// How long the numbers of a country are (the IBAN registry).
fn iban_length(country: [u8; 2]) -> Option<usize> {
    const LENGTHS: &[(usize, &str)] = &[
        (15, "NO"),
        (16, "BE"),
        (18, "DK FO FI GL NL SD FK"),
        (19, "MK SI"),
        (20, "AT BA EE KZ LT LU XK MN"),
        (21, "CH HR LI LV"),
        (22, "BG BH CR DE GB GE IE ME RS VA"),
        (23, "AE IL IQ TL OM SO"),
        (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
        (25, "LY PT ST"),
        (26, "IS TR"),
        (27, "FR GR IT MC MR SM BI DJ"),
        (28, "AL AZ BY CY DO GT HU LB NI PL SV"),
        (29, "BR EG PS QA UA"),
        (30, "JO KW MU YE"),
        (31, "MT SC"),
        (32, "LC"),
        (33, "RU"),
    ];
    let country = std::str::from_utf8(&country).ok()?;
    let entry = LENGTHS.iter().find(|(_, countries)| countries.split(' ').any(|c| c == country));
    entry.map(|(length, _)| *length)
}

/// Whether bytes are letters (`A`), digits (`9`) or anything (`?`) as in `shape`.
fn is_shaped(text: &[u8], shape: &str) -> bool {
    text.len() == shape.len()
        && text.iter().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
            b'A' => byte.is_ascii_uppercase(),
            b'9' => byte.is_ascii_digit(),
            _ => true,
        })
}

fn digits_of(text: &[u8]) -> u64 {
    let digits: Vec<u8> =
        text.iter().filter(|byte| byte.is_ascii_digit()).map(|d| d - b'0').collect();
    value(&digits)
}

fn letter_at(letters: &[u8], at: u64) -> Option<u8> {
    letters.get(usize::try_from(at).ok()?).copied()
}

/// Decree of 23 December 1976: odd places count by a table, even ones by their value.
fn codice_fiscale(text: &[u8]) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    if !is_shaped(text, "AAAAAA??A??A???A") {
        return false;
    }
    let months = b"ABCDEHLMPRST";
    let sum: u32 = text
        .iter()
        .take(15)
        .enumerate()
        .map(|(at, byte)| {
            let value = if byte.is_ascii_digit() { byte - b'0' } else { byte - b'A' };
            let odd = ODD.get(usize::from(value)).copied().unwrap_or(0);
            if at % 2 == 0 { odd } else { u32::from(value) }
        })
        .sum();
    let month = text.get(8).is_some_and(|month| months.contains(month));
    month && text.get(15).is_some_and(|last| u32::from(last - b'A') == sum % 26)
}

/// A date and the letter of the sex at their places.
fn curp(text: &[u8]) -> bool {
    is_shaped(text, "AAAA999999AAAAAA?9")
        && matches!(text.get(10), Some(b'H' | b'M' | b'X'))
        && text.get(6..10).is_some_and(|date| is_date(digits_of(date) / 100, digits_of(date) % 100))
}

fn cn_resident(text: &[u8]) -> bool {
    let Some(digits) =
        text.strip_suffix(b"X").filter(|digits| digits.iter().all(u8::is_ascii_digit))
    else {
        return false;
    };
    let digits: Vec<u8> = digits.iter().map(|digit| digit - b'0').collect();
    cn_check(&digits, 10)
}

/// DNI and NIE: the rest of the division by 23 names the letter.
fn spanish(text: &[u8]) -> bool {
    let (first, last) = (text.first().copied().unwrap_or(0), text.last().copied());
    let lead = match first {
        b'X' => 0,
        b'Y' => 10_000_000,
        b'Z' => 20_000_000,
        _ => 0,
    };
    let shaped = is_shaped(text, "99999999A")
        || matches!(first, b'X'..=b'Z') && is_shaped(text, "A9999999A");
    shaped && last == letter_at(b"TRWAGMYFPDXBNJZSQVHLCKE", (lead + digits_of(text)) % 23)
}

fn nino(text: &[u8]) -> bool {
    let never = [&b"BG"[..], b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"];
    let head = text.get(..2).unwrap_or_default();
    is_shaped(text, "AA999999A")
        && !never.contains(&head)
        && !head.iter().any(|byte| b"DFIQUV".contains(byte))
        && head.get(1) != Some(&b'O')
        && matches!(text.last(), Some(b'A'..=b'D'))
}

fn pan(text: &[u8]) -> bool {
    is_shaped(text, "AAAAA9999A") && text.get(3).is_some_and(|kind| b"ABCFGHJLPT".contains(kind))
}

/// HETU: six digits, the century's sign, three digits and a letter; this is the part behind it.
fn finnish(bytes: &[u8], token: Token, _rest: &[Token]) -> bool {
    let Some(start) = token.start.checked_sub(7) else { return false };
    let Some(whole) = bytes.get(start..token.end) else { return false };
    let Some((date, individual)) = whole.get(..6).zip(whole.get(7..10)) else { return false };
    let digits = is_shaped(date, "999999") && is_shaped(individual, "999");
    let number = digits_of(date) * 1000 + digits_of(individual);
    let letter = letter_at(b"0123456789ABCDEFHJKLMNPRSTUVWXY", number % 31);
    digits
        && matches!(whole.get(6), Some(b'-' | b'+'))
        && is_date(digits_of(date) / 100 % 100, digits_of(date) / 10_000)
        && whole.last().copied() == letter
        && start
            .checked_sub(1)
            .and_then(|at| bytes.get(at))
            .is_none_or(|b| !b.is_ascii_alphanumeric())
}
