use std::fmt::Write as _;

use data_encoding::{BASE64, HEXLOWER};
use proptest::prelude::*;

use super::*;
use crate::risk::Scanner;

fn key() -> Secret<[u8; 32]> {
    Secret::new([7; 32])
}

fn known(values: &[(&str, &str)]) -> Known {
    let of = |(label, value): &(&str, &str)| KnownValue::new(&key(), label, value).unwrap();
    Known::new(key(), values.iter().map(of).collect()).unwrap()
}

#[test]
fn a_value_is_found_wherever_it_stands() {
    let known =
        known(&[("DB_PASSWORD", "correct horse"), ("PIN", "grüße-12"), ("OTHER", "12345678")]);
    let text = "it is correct horse, twice correct horse; grüße-12\n12345678";
    let found: Vec<_> = known
        .scan(text)
        .into_iter()
        .map(|hit| (hit.text.into_owned(), text[hit.span].to_owned()))
        .collect();
    let of = |label: &str, value: &str| {
        (format!("a value that you registered as {label}"), value.to_owned())
    };
    assert_eq!(
        found,
        [
            of("OTHER", "12345678"),
            of("PIN", "grüße-12"),
            of("DB_PASSWORD", "correct horse"),
            of("DB_PASSWORD", "correct horse"),
        ]
    );
    assert_eq!(known.scan("correct hors, Correct horse, 1234567"), []);
}

#[test]
fn an_encoded_value_is_found_through_its_encoding() {
    let value = "grace-hopper-1906";
    let scanner = Scanner::with(&[], known(&[("NAVY", value)])).unwrap();
    let short = Scanner::with(&[], known(&[("NAVY", "grace-19")])).unwrap();
    let wide: String = value.chars().flat_map(|c| [c, '\u{200b}']).collect();
    for text in [
        format!("a {value} b"),
        format!("a {} b", BASE64.encode(value.as_bytes())),
        format!("a {} b", HEXLOWER.encode(BASE64.encode(value.as_bytes()).as_bytes())),
        format!("a {wide} b"),
        value.replace('-', "%2D"),
    ] {
        let found = scanner.scan(&text);
        let hit = found.iter().find(|found| found.rule == "known.value");
        let hit = hit.unwrap_or_else(|| panic!("{text}"));
        assert_eq!((hit.severity, hit.matters), (Severity::Critical, Matters::Leaving));
        assert!(!hit.text.contains(value));
    }
    for text in [BASE64.encode(b"grace-19"), HEXLOWER.encode(b"grace-19")] {
        assert!(short.scan(&text).iter().any(|found| found.rule == "known.value"), "{text}");
    }
}

#[test]
fn what_is_kept_depends_on_the_key_and_on_every_byte() {
    let of = |key: u8, value: &str| KnownValue::new(&Secret::new([key; 32]), "x", value).unwrap();
    assert_eq!(of(1, "password"), of(1, "password"));
    assert_ne!(of(1, "password").mac, of(2, "password").mac);
    assert_ne!(of(1, "password").filter, of(2, "password").filter);
    assert_ne!(of(1, "password").mac, of(1, "passwore").mac);
    let wrong = Known::new(Secret::new([2; 32]), vec![of(1, "password")]).unwrap();
    assert_eq!(wrong.scan("password"), []);
    assert!(!format!("{:?}", known(&[("a", "password")])).contains("password"));
}

#[test]
fn bounds_are_told() {
    let new =
        |label: &str, value: &str| KnownValue::new(&key(), label, value).map(drop).unwrap_err();
    assert_eq!(new("x", "1234567"), KnownError::Length(7));
    assert_eq!(new("x", &"1".repeat(513)), KnownError::Length(513));
    assert_eq!(new("x", &"1".repeat(70_000)), KnownError::Length(70_000));
    assert_eq!(new("", "12345678"), KnownError::LabelLength(0));
    assert_eq!(new(&"x".repeat(65), "12345678"), KnownError::LabelLength(65));
    assert_eq!(new("a\nb", "12345678"), KnownError::LabelCharacters);
    assert_eq!(new("a\u{202e}b", "12345678"), KnownError::LabelCharacters);
    let value = |length: u16| KnownValue { label: "x".into(), length, filter: 0, mac: [0; 32] };
    let many = |values: Vec<KnownValue>| Known::new(key(), values).map(drop).unwrap_err();
    assert_eq!(many(vec![value(9); 1001]), KnownError::Values(1001));
    assert_eq!(many((8..73).map(value).collect()), KnownError::Lengths(65));
    assert_eq!(many(vec![value(7)]), KnownError::Length(7));
    assert_eq!(
        KnownError::Lengths(65).to_string(),
        "the values have 65 different lengths; the limit is 64"
    );
}

#[test]
fn a_text_that_repeats_itself_costs_few_hashes() {
    let of = |n: u32| KnownValue::new(&key(), "x", &format!("value number {n:06}")).unwrap();
    let known = Known::new(key(), (0..1000).map(of).collect()).unwrap();
    let mut search = Search { keyed: Keyed::of(&key()), hits: Vec::new(), hashes: 0 };
    let mut text = String::new();
    while text.len() < 64 << 10 {
        write!(text, "{:x} ", text.len() * 7919).unwrap();
    }
    for text in ["ab".repeat(32 << 10), text] {
        search.hashes = 0;
        for group in &known.groups {
            search.group(group, text.as_bytes());
        }
        // One of 65 windows passes the filter by chance.
        assert!(search.hashes < (64 << 10) / 40, "{}", search.hashes);
    }
    // With a filter that lets everything pass, the bound holds and is told.
    let mut group = Group::new(8);
    group.filters.fill(u64::MAX);
    search.hashes = 0;
    search.group(&group, "ab".repeat(1000).as_bytes());
    assert_eq!(search.hashes, 2, "one for each window that is different");
    let long = (0..40_000).map(|n: u32| format!("{n:05}")).collect::<Vec<_>>().concat();
    search.hashes = 0;
    search.group(&group, long.as_bytes());
    assert_eq!(search.hits.last().map(|hit| &*hit.rule), Some(FULL));
}

fn listed(text: &str) -> (Vec<String>, Vec<String>) {
    let listed = values_of(text);
    let values = listed
        .values
        .iter()
        .map(|named| format!("{}={}", named.label, named.value.expose_secret()));
    (
        values.collect(),
        listed.skipped.iter().map(|(label, why)| format!("{label}: {why}")).collect(),
    )
}

#[track_caller]
fn check(text: &str, values: &[&str], skipped: &[&str]) {
    let (found, left) = listed(text);
    assert_eq!(found, values);
    assert_eq!(left, skipped);
}

#[test]
fn files_of_assignments_are_read() {
    check(
        "# a comment\nexport DB_PASS='p#ss word 1' # why\nA=short\n\nDEBUG=false\nPORT = 5432\n\
         URL=https://example.org/path\nDSN=postgres://me:secret@db/x\nKEY=/etc/ssl/key.pem\n\
         TOKEN=abcdefgh12 # note\r\nLONG=\"line one\nline \\\"two\\\"\"\nLAST=87654321\nREF=${OTHER_VALUE}\n",
        &[
            "DB_PASS=p#ss word 1",
            "DSN=postgres://me:secret@db/x",
            "TOKEN=abcdefgh12",
            "LONG=line one\nline \"two\"",
            "LAST=87654321",
        ],
        &[
            "A: shorter than 8 bytes",
            "DEBUG: a plain word such as true or none",
            "PORT: a number of few digits",
            "URL: an address without credentials",
            "KEY: a path",
            "REF: a reference to another value",
        ],
    );
    check(
        "[default]\naws_secret = wJalrXUtnFEMI/K7\n; no\n[server.tls]\npassword: \"tls pass phrase\"\n",
        &["default.aws_secret=wJalrXUtnFEMI/K7", "server.tls.password=tls pass phrase"],
        &[],
    );
    check("OPEN=\"no end of it\nNEXT=value-two\n", &["OPEN=\"no end of it", "NEXT=value-two"], &[]);
    check(&format!("BIG={}", "x".repeat(513)), &[], &["BIG: longer than 512 bytes"]);
}

#[test]
fn json_and_netrc_are_read() {
    check(
        r#"{"a": {"token": "abcdefgh12", "on": true}, "list": ["second-one", 123456789, null, 5]}"#,
        &["a.token=abcdefgh12", "list.0=second-one", "list.1=123456789"],
        &[
            "a.on: a plain word such as true or none",
            "list.2: a plain word such as true or none",
            "list.3: a number of few digits",
        ],
    );
    check(
        "# mine\nmachine example.org login me password hunter2-hunter2\ndefault login x password tiny\n",
        &["example.org password=hunter2-hunter2"],
        &["default password: shorter than 8 bytes"],
    );
}

#[test]
fn every_label_that_is_read_can_be_registered() {
    let text = format!("{}=long enough\nA\u{202e}\u{7}B=long enough\n=long enough", "ü".repeat(80));
    let listed = values_of(&text);
    assert_eq!(listed.values.len(), 3);
    for named in listed.values {
        KnownValue::new(&key(), &named.label, named.value.expose_secret()).unwrap();
    }
}

proptest! {
    #[test]
    fn a_value_is_found_in_any_text(before in ".{0,40}", value in "[!-~é]{8,40}", after in ".{0,40}") {
        let text = format!("{before}{value}{after}");
        let hits = known(&[("x", &value)]).scan(&text);
        prop_assert!(hits.iter().any(|hit| text[hit.span.clone()] == value), "{hits:?}");
        for hit in hits {
            prop_assert_eq!(text.get(hit.span), Some(value.as_str()));
        }
    }

    #[test]
    fn any_file_is_read(text in "[a-z=:\"'\\\\\n\\[\\]{}#; \r]{0,80}|.{0,60}") {
        let listed = values_of(&text);
        prop_assert!(listed.values.iter().all(|named| named.value.expose_secret().len() >= VALUE_BYTES_MIN));
    }

    #[test]
    fn a_quoted_value_is_read_as_it_is(value in "[a-zA-Z0-9 #;=]{0,20}[A-Z]{8}") {
        let (found, _) = listed(&format!("K=\"{value}\"\nL='{value}'"));
        prop_assert_eq!(found, vec![format!("K={value}"), format!("L={value}")]);
    }
}
