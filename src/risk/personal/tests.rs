use super::*;

fn rules(text: &str) -> Vec<(String, Severity)> {
    scan(text).into_iter().map(|hit| (hit.rule.into_owned(), hit.severity)).collect()
}

fn check(text: &str, rule: &str, severity: Severity) {
    assert_eq!(rules(text), [(rule.to_owned(), severity)], "{text}");
}

fn check_none(text: &str) {
    assert_eq!(rules(text), [], "{text}");
}

/// The number with its last digit changed: shaped alike, and wrong.
fn spoilt(text: &str) -> String {
    let at = text.rfind(|c: char| c.is_ascii_digit()).unwrap();
    let digit = text.as_bytes()[at] - b'0';
    format!("{}{}{}", &text[..at], (digit + 1) % 10, &text[at + 1..])
}

#[test]
fn payment_cards_need_their_checksum() {
    // Test numbers that the issuers publish, in parts.
    for number in [
        ["4111", "1111", "1111", "1111"].concat(),
        ["4111", "1111", "1111", "1111"].join(" "),
        ["5555", "5555", "5555", "4444"].join("-"),
        ["3782", "822463", "10005"].join(" "),
        ["6011", "1111", "1111", "1117"].concat(),
        ["3056", "930902", "5904"].join(" "),
        ["3530", "1113", "3330", "0000"].concat(),
    ] {
        check(&format!("pay with {number} please"), "personal.payment_card", Severity::High);
        check_none(&format!("pay with {} please", spoilt(&number)));
        check_none(&format!("the ratio is 0.{number}"));
    }
    let short = ["5018", "6466", "7909"].concat();
    check(&format!("my card {short}"), "personal.payment_card", Severity::High);
    check_none(&format!("my chart {short}"));
    check_none("built at 1700000000000000, 1732190000123 and 20261121115231");
}

#[test]
fn accounts_need_their_length_and_checksum() {
    for iban in [
        ["DE89", "3704", "0044", "0532", "0130", "00"].concat(),
        ["GB29", "NWBK", "6016", "1331", "9268", "19"].join(" "),
        ["FR14", "2004", "1010", "0505", "0001", "3M02", "606"].join(" "),
        ["NO93", "8601", "1117", "947"].concat(),
    ] {
        check(&format!("to {iban}, thanks"), "personal.iban", Severity::High);
        check_none(&format!("to {}, thanks", spoilt(&iban)));
        check_none(&format!("to {iban}99"));
    }
}

#[test]
fn national_numbers_need_their_words_or_their_form() {
    let cases = [
        ("my social security number is ", ["536", "22", "1234"].join("-"), "us_ssn"),
        ("NHS number ", ["943", "476", "5919"].join(" "), "uk_nhs"),
        ("national insurance ", ["AB", "123456", "C"].concat(), "uk_nino"),
        ("Steuer-ID ", ["86", "095", "742", "719"].concat(), "de_tax_id"),
        ("NIR ", ["2", "55", "08", "14", "168", "025", "38"].concat(), "fr_nir"),
        ("DNI ", ["12345678", "Z"].concat(), "es_dni"),
        ("NIE ", ["X1234567", "L"].concat(), "es_dni"),
        ("contribuinte ", ["501", "442", "600"].concat(), "pt_nif"),
        ("BSN ", ["111", "222", "333"].concat(), "nl_bsn"),
        ("PESEL ", ["44051", "401359"].concat(), "pl_pesel"),
        ("personnummer ", ["811218", "9876"].join("-"), "nordic_id"),
        ("fødselsnummer ", ["010190", "00083"].concat(), "nordic_id"),
        ("cpf ", ["529", "982", "247", "25"].concat(), "br_cpf"),
        ("cnpj ", ["11", "222", "333", "0001", "81"].concat(), "br_cpf"),
        ("Aadhaar ", ["2341", "2341", "2346"].join(" "), "in_aadhaar"),
        ("PAN ", ["ABCPE", "1234", "F"].concat(), "in_pan"),
        ("マイナンバー ", ["1234", "5678", "9018"].join(" "), "jp_my_number"),
        ("주민등록번호 ", ["880101", "1234567"].join("-"), "kr_rrn"),
        ("TFN ", ["123", "456", "782"].join(" "), "au_tfn"),
        ("medicare ", ["2123", "45670", "1"].join(" "), "au_tfn"),
        ("SIN ", ["046", "454", "286"].join(" "), "ca_sin"),
        ("SA ID ", ["800101", "5009", "087"].concat(), "za_id"),
        ("kimlik no ", ["100000", "00146"].concat(), "tr_tckn"),
        ("teudat zehut ", ["1234", "56782"].concat(), "il_id"),
    ];
    for (words, number, rule) in cases {
        check(&format!("{words}{number}."), &format!("personal.{rule}"), Severity::High);
        let bare = rules(&format!("the value {number} was read"));
        assert!(!bare.iter().any(|(_, severity)| *severity >= Severity::High), "{number} {bare:?}");
        if words != "medicare "
            && !["us_ssn", "uk_nino", "in_pan", "kr_rrn", "nordic_id", "es_dni"].contains(&rule)
        {
            let wrong = rules(&format!("{words}{}", spoilt(&number)));
            assert!(!wrong.iter().any(|(found, _)| found.ends_with(rule)), "{number}");
        }
    }
    for (number, rule) in [
        (["2", "55", "08", "14", "168", "025", "38"].join(" "), "personal.fr_nir"),
        (["529.982", "247-25"].join("."), "personal.br_cpf"),
        (["85.07", "30-033", "28"].join("."), "personal.be_national"),
        (["110105", "19491231", "002X"].concat(), "personal.cn_resident_id"),
        (["RSSMRA85", "T10A562S"].concat(), "personal.it_codice_fiscale"),
        (["131052", "308T"].join("-"), "personal.fi_hetu"),
    ] {
        check(&format!("the value {number} was read"), rule, Severity::High);
    }
    let curp = ["HEGG560427", "MVZRRL04"].concat();
    check(&format!("CURP {curp}"), "personal.mx_curp", Severity::High);
    let ssn = |area: &str| format!("id {} here", [area, "22", "1234"].join("-"));
    check(&ssn("536"), "personal.us_ssn", Severity::Medium);
    check_none(&ssn("666"));
    for near in ["RSSMRA85T10A562T", "131052-308U", "HEGG561327MVZRRL04"] {
        check_none(near);
    }
}

#[test]
fn telephone_numbers_are_noted() {
    for text in [
        "ring +49 30 901820 tomorrow",
        "ring +4915112345678 tomorrow",
        "ring (415) 555-2671 tomorrow",
        "ring 415-555-2671 tomorrow",
        "ring 0494 92 82 32 tomorrow",
        "my phone: 780 6326",
        "call me at 9469 9966",
        "电话 138 1234 5678",
    ] {
        check(text, "personal.phone", Severity::Medium);
    }
    for text in [
        "on 2026-07-28 and 28.07.2026 at 12:30",
        "version 10.20.30.40 of 192.168.1.100",
        "e29b-41d4-a716-446655440000",
        "rows 100 200 300 400",
        "issue 5221400980 and +1234 lines",
        "a call on 2026-07-28",
        "0x1234567890abcdef 1234567890",
    ] {
        check_none(text);
    }
}

#[test]
fn documents_and_birthdays_need_their_words() {
    check("passport number C01X00T47", "personal.passport", Severity::Medium);
    check(
        "my driver's license number is F162823540116",
        "personal.driving_licence",
        Severity::Medium,
    );
    check("my driving licence is 2270-66-1551", "personal.driving_licence", Severity::Medium);
    check("born on 12/03/1980", "personal.birth_date", Severity::Medium);
    check("Geburtsdatum: 12.03.1980", "personal.birth_date", Severity::Medium);
    check("date of birth 1980-03-12", "personal.birth_date", Severity::Medium);
    for text in ["part number C01X00T47", "built on 12/03/1980", "born in version 99.99.1980"] {
        check_none(text);
    }
}

#[test]
fn mail_addresses_of_persons_are_noted() {
    for text in [
        "write to anna.muster@mail.muster.de, please",
        "E-mail:\nanna+x@muster.co.uk\n",
        "mailto:anna@muster.org",
    ] {
        check(text, "personal.email", Severity::Low);
    }
    for text in [
        "Signed-off-by: Anna Muster <anna@muster.de>",
        "  Co-authored-by: Anna <anna@muster.de>",
        "Cc: anna@muster.de",
        "Author: Anna <anna@muster.de>",
        "From: Anna <anna@muster.de>",
        "git@github.com:a/b.git and ssh://git@host.org/x",
        "noq@0.18 spin@1.2.3 react@next left-pad@1.x wasi:cli/run@0.2.x",
        "anna@example.com bob@sub.example.org x@y.test x@host.local x@y.invalid",
        "noreply@muster.de 123+anna@users.noreply.github.com security@muster.de",
        "getty@tty1.service @decorator a@b",
    ] {
        check_none(text);
    }
}

#[test]
fn a_flood_of_numbers_is_read_in_linear_time() {
    for unit in [
        "1 ",
        "11111111111 ",
        "card 4",
        "12345678901234567890",
        "@",
        "a@b.cc ",
        "DE89 3704 ",
        "0.1-",
    ] {
        let text = unit.repeat(65_536 / unit.len());
        assert!(scan(&text).len() <= HITS_MAX * 4);
    }
}
