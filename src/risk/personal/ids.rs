//! National numbers that are all digits: their shapes, their checks, and the words that they need.

use super::Severity;
use super::checks::{is_date, luhn, mod_11_10, value, varied, verhoeff, weighted};
use super::context::{
    AU, BE, BR, CA, CN, Context, DE, FR, IL, IN, JP, KR, NL, NORDIC, PL, PT, TR, UK, US, ZA,
};

/// One kind of number.
pub(super) struct Id {
    pub(super) rule: &'static str,
    pub(super) text: &'static str,
    /// How its digits are grouped, in the ways that are common.
    pub(super) shapes: &'static [&'static [u8]],
    pub(super) check: fn(&[u8]) -> bool,
    pub(super) context: Context,
    /// What it is without a word: `None` is nothing. `Some((severity, groups))` asks for as many
    /// groups at the least.
    pub(super) bare: Option<(Severity, usize)>,
}

pub(super) const IDS: &[Id] = &[
    Id {
        rule: "personal.us_ssn",
        text: "a US social security or taxpayer number",
        shapes: &[&[3, 2, 4], &[9]],
        check: ssn,
        context: US,
        bare: Some((Severity::Medium, 3)),
    },
    Id {
        rule: "personal.uk_nhs",
        text: "a British NHS number",
        shapes: &[&[3, 3, 4], &[10]],
        check: |digits| {
            weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11) && varied(digits)
        },
        context: UK,
        bare: None,
    },
    Id {
        rule: "personal.de_tax_id",
        text: "a German tax id",
        shapes: &[&[11], &[2, 3, 3, 3]],
        check: |digits| digits.first() != Some(&0) && mod_11_10(digits),
        context: DE,
        bare: None,
    },
    Id {
        rule: "personal.fr_nir",
        text: "a French social security number",
        shapes: &[&[15], &[1, 2, 2, 2, 3, 3, 2], &[13, 2]],
        check: nir,
        context: FR,
        bare: Some((Severity::High, 7)),
    },
    Id {
        rule: "personal.pt_nif",
        text: "a Portuguese tax number",
        shapes: &[&[9], &[3, 3, 3]],
        check: |digits| {
            let check = match 11 - weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11 {
                10 | 11 => 0,
                check => check,
            };
            matches!(digits.first(), Some(1..=3 | 5..=9)) && ends_in(digits, check)
        },
        context: PT,
        bare: None,
    },
    Id {
        rule: "personal.nl_bsn",
        text: "a Dutch citizen service number",
        shapes: &[&[9], &[4, 2, 3], &[3, 3, 3]],
        check: |digits| {
            let (sum, last) = (weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]), digits.last());
            (sum + 11 - last.map_or(0, |last| u32::from(*last))).is_multiple_of(11)
                && varied(digits)
        },
        context: NL,
        bare: None,
    },
    Id {
        rule: "personal.be_national",
        text: "a Belgian national number",
        shapes: &[&[11], &[2, 2, 2, 3, 2], &[6, 3, 2]],
        check: |digits| {
            let (body, check) = (value(digits) / 100, value(digits) % 100);
            let holds = |body: u64| 97 - body % 97 == check;
            date_at(digits, 2) && (holds(body) || holds(body + 2_000_000_000))
        },
        context: BE,
        bare: Some((Severity::High, 5)),
    },
    Id {
        rule: "personal.pl_pesel",
        text: "a Polish PESEL",
        shapes: &[&[11]],
        check: |digits| {
            let (month, day) = (pair(digits, 2) % 20, pair(digits, 4));
            weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)
                && is_date(month, day)
        },
        context: PL,
        bare: None,
    },
    Id {
        rule: "personal.nordic_id",
        text: "a Swedish, Danish or Norwegian personal number",
        shapes: &[&[6, 4], &[8, 4], &[10], &[12], &[6, 5], &[11]],
        check: nordic,
        context: NORDIC,
        bare: None,
    },
    Id {
        rule: "personal.br_cpf",
        text: "a Brazilian CPF or CNPJ",
        shapes: &[&[3, 3, 3, 2], &[11], &[2, 3, 3, 4, 2], &[14]],
        check: |digits| if digits.len() == 11 { cpf(digits) } else { cnpj(digits) },
        context: BR,
        bare: Some((Severity::High, 4)),
    },
    Id {
        rule: "personal.in_aadhaar",
        text: "an Indian Aadhaar number",
        shapes: &[&[4, 4, 4], &[12]],
        check: |digits| matches!(digits.first(), Some(2..=9)) && verhoeff(digits),
        context: IN,
        bare: None,
    },
    Id {
        rule: "personal.cn_resident_id",
        text: "a Chinese resident id",
        shapes: &[&[18]],
        check: |digits| cn_check(digits, digits.last().map_or(0, |digit| u32::from(*digit))),
        context: CN,
        bare: Some((Severity::High, 1)),
    },
    Id {
        rule: "personal.jp_my_number",
        text: "a Japanese individual number",
        shapes: &[&[12], &[4, 4, 4]],
        check: |digits| {
            let sum = weighted(digits, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
            ends_in(digits, if sum <= 1 { 0 } else { 11 - sum }) && varied(digits)
        },
        context: JP,
        bare: None,
    },
    Id {
        rule: "personal.kr_rrn",
        text: "a Korean resident registration number",
        shapes: &[&[6, 7], &[13]],
        // Since 2020 the last digits are random: the date and the century's digit must do.
        check: |digits| date_at(digits, 2) && matches!(digits.get(6), Some(1..=8)),
        context: KR,
        bare: Some((Severity::Medium, 2)),
    },
    Id {
        rule: "personal.au_tfn",
        text: "an Australian tax file or Medicare number",
        shapes: &[&[3, 3, 3], &[9], &[4, 5, 1], &[10]],
        check: |digits| {
            if digits.len() == 9 {
                return weighted(digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
                    && varied(digits);
            }
            let check = weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10;
            matches!(digits.first(), Some(2..=6))
                && digits.get(8).is_some_and(|d| u32::from(*d) == check)
        },
        context: AU,
        bare: None,
    },
    Id {
        rule: "personal.ca_sin",
        text: "a Canadian social insurance number",
        shapes: &[&[3, 3, 3], &[9]],
        check: luhn,
        context: CA,
        bare: None,
    },
    Id {
        rule: "personal.za_id",
        text: "a South African id number",
        shapes: &[&[13], &[6, 4, 3]],
        check: |digits| date_at(digits, 2) && matches!(digits.get(10), Some(0..=2)) && luhn(digits),
        context: ZA,
        bare: None,
    },
    Id {
        rule: "personal.tr_tckn",
        text: "a Turkish identity number",
        shapes: &[&[11]],
        check: |digits| {
            let odd = weighted(digits, &[1, 0, 1, 0, 1, 0, 1, 0, 1]);
            let even = weighted(digits, &[0, 1, 0, 1, 0, 1, 0, 1]);
            let tenth = (odd * 7 + 90 - even) % 10;
            let last = weighted(digits, &[1; 10]) % 10;
            digits.first() != Some(&0)
                && digits.get(9).is_some_and(|digit| u32::from(*digit) == tenth)
                && ends_in(digits, last)
        },
        context: TR,
        bare: None,
    },
    Id {
        rule: "personal.il_id",
        text: "an Israeli identity number",
        shapes: &[&[9]],
        check: luhn,
        context: IL,
        bare: None,
    },
];

fn pair(digits: &[u8], at: usize) -> u64 {
    digits.get(at..at + 2).map_or(0, value)
}

/// A month and then a day.
fn date_at(digits: &[u8], at: usize) -> bool {
    is_date(pair(digits, at), pair(digits, at + 2))
}

fn ends_in(digits: &[u8], check: u32) -> bool {
    digits.last().is_some_and(|last| u32::from(*last) == check)
}

/// Areas, groups and serials that were never given out are not taken; 9xx is an ITIN.
fn ssn(digits: &[u8]) -> bool {
    let number = value(digits);
    let (area, group, serial) = (number / 1_000_000, number / 10_000 % 100, number % 10_000);
    let itin =
        (900..1000).contains(&area) && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99);
    let ssn = (1..900).contains(&area) && area != 666 && group != 0;
    // The number of every example.
    serial != 0 && (itin || ssn) && number != 123_456_789 && number != 78_051_120
}

fn nir(digits: &[u8]) -> bool {
    let number = value(digits);
    let month = pair(digits, 3);
    matches!(digits.first(), Some(1 | 2))
        && (matches!(month, 1..=12 | 20 | 30..=42 | 50..=99))
        && 97 - number / 100 % 97 == number % 100
}

fn cpf(digits: &[u8]) -> bool {
    let check = |sum: u32| if sum % 11 < 2 { 0 } else { 11 - sum % 11 };
    let first = check(weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]));
    let second = check(weighted(digits, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]));
    digits.get(9).is_some_and(|digit| u32::from(*digit) == first)
        && ends_in(digits, second)
        && varied(digits)
}

fn cnpj(digits: &[u8]) -> bool {
    let check = |sum: u32| if sum % 11 < 2 { 0 } else { 11 - sum % 11 };
    let first = check(weighted(digits, &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]));
    let second = check(weighted(digits, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]));
    digits.get(12).is_some_and(|digit| u32::from(*digit) == first)
        && ends_in(digits, second)
        && varied(digits)
}

/// GB 11643: a date of this or the last century, and MOD 11-2, in which ten is written X.
pub(super) fn cn_check(digits: &[u8], check: u32) -> bool {
    let sum = weighted(digits, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    matches!(pair(digits, 6), 19 | 20) && date_at(digits, 10) && (12 - sum % 11) % 11 == check
}

/// Sweden: Luhn over ten digits. Norway: eleven, with two checks. Denmark: ten, a date alone.
fn nordic(digits: &[u8]) -> bool {
    match digits.len() {
        11 => {
            let first = weighted(digits, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]);
            let second = weighted(digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]);
            first.is_multiple_of(11) && second.is_multiple_of(11) && varied(digits)
        }
        12 => digits.get(2..).is_some_and(luhn) && date_at(digits, 4),
        _ => date_at(digits, 2) && luhn(digits) || is_date(pair(digits, 2), pair(digits, 0)),
    }
}
