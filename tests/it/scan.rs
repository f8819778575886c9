//! The scanner on texts that are made to trouble it. `tests/fuzz` runs the same property for longer.

use proptest::prelude::*;

use crate::wire::fuzz::properties;

/// Pieces that detectors look for, decoders begin with, and terminals, models and archives heed.
const PIECES: &[&str] = &[
    "AKIA",
    "ghp_",
    "xoxb-",
    "sk-",
    "-----BEGIN ",
    "PRIVATE KEY-----",
    "password",
    "=",
    ": ",
    "\"",
    "token",
    "Bearer ",
    "eyJ",
    "://",
    "user:pw@",
    "\\u0041",
    "\\x1b[",
    "%41",
    "&#65;",
    "QUtJQQ==",
    "H4sIAAAA",
    "UEsDBBQ",
    "4142",
    "0x",
    "\u{1b}]8;;",
    "\u{200b}",
    "\u{e0041}",
    "\u{fe0f}",
    "\u{202e}",
    "а",
    "ﬁ",
    "ignore",
    " previous ",
    "instructions",
    "curl ",
    "| sh",
    "rm -rf /",
    "4111 1111 1111 ",
    "DE89 3704 0044",
    "@",
    ".com",
    "\n",
    "\0",
    "MZ",
    "PK\u{3}\u{4}",
    "%PDF-1.7",
    "#!/bin/sh",
];

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(PIECES).prop_map(str::to_owned),
        2 => "[A-Za-z0-9+/_-]{1,80}",
        1 => "[0-9a-f]{2,64}",
        1 => any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn no_text_troubles_the_scanner(
        pieces in prop::collection::vec((piece(), 1..6_usize), 0..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let text: String = pieces.iter().map(|(piece, times)| piece.repeat(*times)).collect();
        properties::scan(text.as_bytes());
        // In the middle of a character, too.
        properties::scan(&text.as_bytes()[..cut.index(text.len() + 1)]);
    }
}
