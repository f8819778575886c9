//! Words before a number that say what it is.

use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};

/// Bytes before a number that are read.
const BEFORE_BYTES: usize = 64;
/// And behind it.
const BEHIND_BYTES: usize = 24;

/// What words were there: a set of the bits below.
pub(super) type Context = u64;

pub(super) const CARD: Context = 1;
pub(super) const PHONE: Context = 1 << 1;
pub(super) const BIRTH: Context = 1 << 2;
pub(super) const PASSPORT: Context = 1 << 3;
pub(super) const LICENCE: Context = 1 << 4;
pub(super) const US: Context = 1 << 5;
pub(super) const UK: Context = 1 << 6;
pub(super) const DE: Context = 1 << 7;
pub(super) const FR: Context = 1 << 8;
pub(super) const ES: Context = 1 << 9;
pub(super) const IT: Context = 1 << 10;
pub(super) const PT: Context = 1 << 11;
pub(super) const NL: Context = 1 << 12;
pub(super) const BE: Context = 1 << 13;
pub(super) const PL: Context = 1 << 14;
pub(super) const NORDIC: Context = 1 << 15;
pub(super) const BR: Context = 1 << 16;
pub(super) const IN: Context = 1 << 17;
pub(super) const CN: Context = 1 << 18;
pub(super) const JP: Context = 1 << 19;
pub(super) const KR: Context = 1 << 20;
pub(super) const AU: Context = 1 << 21;
pub(super) const CA: Context = 1 << 22;
pub(super) const ZA: Context = 1 << 23;
pub(super) const MX: Context = 1 << 24;
pub(super) const TR: Context = 1 << 25;
pub(super) const IL: Context = 1 << 26;
/// Words that fit every country's number.
pub(super) const ANY: Context = !(CARD | PHONE | BIRTH | PASSPORT | LICENCE);

/// Words in small letters; each is one of its own.
const WORDS: &[(Context, &[&str])] = &[
    (
        CARD,
        &["card", "cards", "visa", "mastercard", "amex", "credit card", "debit", "cvv", "maestro"],
    ),
    (CARD, &["kreditkarte", "karte", "carte", "tarjeta", "cartão", "carta di credito", "kaart"]),
    (CARD, &["karta", "карты", "карта", "卡号", "カード番号", "카드"]),
    (PHONE, &["phone", "call", "call me", "tel", "telephone", "mobile", "cell", "fax", "whatsapp"]),
    (PHONE, &["sms", "telefon", "handy", "téléphone", "portable", "teléfono", "móvil", "telefone"]),
    (PHONE, &["cellulare", "telefono", "telefoon", "телефон", "电话", "手机", "電話", "전화"]),
    (PHONE, &["messages to", "reach me at", "phone number", "contact number", "text me", "dial"]),
    (BIRTH, &["date of birth", "dob", "birthday", "born", "born on", "birth date", "birthdate"]),
    (
        BIRTH,
        &["geburtsdatum", "geboren", "né le", "née le", "date de naissance", "nacido", "nacida"],
    ),
    (BIRTH, &["fecha de nacimiento", "nascimento", "data di nascita", "nato il", "nata il"]),
    (BIRTH, &["geboortedatum", "data urodzenia", "дата рождения", "doğum tarihi", "生日", "出生"]),
    (PASSPORT, &["passport", "reisepass", "pasaporte", "passeport", "passaporto", "passaporte"]),
    (PASSPORT, &["paspoort", "paszport", "паспорт", "护照", "パスポート", "여권", "pasaport"]),
    (LICENCE, &["driver's license", "drivers license", "driver license", "driving licence"]),
    (LICENCE, &["driver's licence", "driving license", "führerschein", "permis de conduire"]),
    (US, &["ssn", "social security", "social security number", "itin", "taxpayer", "tin"]),
    (UK, &["nhs", "nino", "national insurance", "ni number"]),
    (DE, &["steuer-id", "steuerid", "steueridentifikationsnummer", "idnr", "steuernummer", "tin"]),
    (
        FR,
        &["nir", "insee", "sécurité sociale", "securite sociale", "numéro de sécu", "carte vitale"],
    ),
    (ES, &["dni", "nie", "nif", "documento nacional", "documento de identidad"]),
    (IT, &["codice fiscale", "cf", "c.f."]),
    (PT, &["nif", "contribuinte", "número fiscal"]),
    (NL, &["bsn", "burgerservicenummer", "sofinummer"]),
    (BE, &["rijksregisternummer", "numéro national", "registre national", "insz", "niss"]),
    (PL, &["pesel"]),
    (
        NORDIC,
        &["personnummer", "personnr", "henkilötunnus", "hetu", "fødselsnummer", "fodselsnummer"],
    ),
    (NORDIC, &["cpr", "cpr-nummer", "cpr-nr", "fnr", "samordningsnummer"]),
    (BR, &["cpf", "cnpj"]),
    (IN, &["aadhaar", "aadhar", "uidai", "pan", "pan card", "आधार"]),
    (CN, &["身份证", "身份证号", "resident id", "居民身份"]),
    (JP, &["my number", "マイナンバー", "個人番号"]),
    (KR, &["주민등록번호", "주민번호", "rrn", "resident registration"]),
    (AU, &["tfn", "tax file number", "medicare"]),
    (CA, &["sin", "social insurance", "social insurance number"]),
    (ZA, &["sa id", "rsa id", "south african id", "id number"]),
    (MX, &["curp"]),
    (TR, &["tckn", "tc kimlik", "t.c. kimlik", "kimlik", "kimlik no"]),
    (IL, &["teudat zehut", "תעודת זהות", "ת.ז", "israeli id"]),
    (ANY, &["national id", "national identity", "identity number", "identity card", "tax id"]),
    (ANY, &["personal identification", "id card", "ausweisnummer"]),
];

struct Words {
    find: Option<AhoCorasick>,
    masks: Vec<Context>,
}

fn words() -> &'static Words {
    static WORDS_FOUND: OnceLock<Words> = OnceLock::new();
    WORDS_FOUND.get_or_init(|| {
        let flat =
            || WORDS.iter().flat_map(|(mask, words)| words.iter().map(move |word| (*mask, *word)));
        let find = AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .build(flat().map(|(_, word)| word))
            .ok();
        Words { find, masks: flat().map(|(mask, _)| mask).collect() }
    })
}

/// The words around `start..end`.
pub(super) fn around(bytes: &[u8], start: usize, end: usize) -> Context {
    let from = start.saturating_sub(BEFORE_BYTES);
    let before = bytes.get(from..start).unwrap_or_default();
    let behind = bytes.get(end..(end + BEHIND_BYTES).min(bytes.len())).unwrap_or_default();
    // What is behind the number names it only in the same line.
    let behind = behind.split(|byte| *byte == b'\n').next().unwrap_or_default();
    masks(before) | (masks(behind) & (CARD | ANY))
}

fn masks(part: &[u8]) -> Context {
    let words = words();
    let Some(find) = &words.find else { return 0 };
    let is_letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    find.find_overlapping_iter(part)
        .filter(|found| {
            let before = found.start().checked_sub(1).and_then(|at| part.get(at));
            !is_letter(before) && !is_letter(part.get(found.end()))
        })
        .filter_map(|found| words.masks.get(found.pattern().as_usize()))
        .fold(0, |all, mask| all | mask)
}
