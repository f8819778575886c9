use proptest::prelude::*;

use super::*;

fn rules(text: &str) -> Vec<String> {
    let of = |hit: Hit| format!("{} {}", hit.rule, hit.severity.as_str());
    scan(text).into_iter().map(of).collect()
}

fn check(text: &str, expected: &[&str]) {
    assert_eq!(rules(text), expected, "{}", text.escape_unicode());
}

#[test]
fn ordinary_writing_passes() {
    for text in [
        "plain text,\twith\r\nlines",
        "می\u{200c}خواهم خانه\u{200c}ها",
        "क\u{94d}\u{200d}ष and ක\u{dca}\u{200d}ර",
        "👨\u{200d}👩\u{200d}👧 ❤\u{fe0f}\u{200d}🔥 🏳\u{fe0f}\u{200d}🌈 🤷🏽\u{200d}♀\u{fe0f} ☺\u{fe0e}",
        "1\u{fe0f}\u{20e3} ©\u{fe0f} ⚠\u{fe0f} ≨\u{fe00} 0\u{fe00}",
        "葛\u{e0100}城市 辻\u{e0101}さん",
        "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
        "ภาษา\u{200b}ไทย ភាសា\u{200b}ខ្មែរ",
        "\u{feff}a file with a byte order mark",
        "\u{2068}Anna\u{2069} sent \u{2067}שלום\u{2069} and \u{202b}مرحبا\u{202c}.",
        "שלום\u{200f}, (abc)\u{200e} עולם",
        "Δx = 3 μm, αβ, 5 Ω, π·r², χ², NFκB, TNFα, IFNγ, µs, σ_x, ρ and ν",
        "Привет, world! Это API для PDF-файлов, версия с ООН",
        "Ελληνικά beside English",
        "сор, as one says: let us call it and see. Это привет.",
        "Donau\u{ad}dampf\u{ad}schiff\u{ad}fahrt",
        "⠋⠙⠹⠸\u{2800}⠼",
        "ᄒ\u{1160}",
        "no entry for ESC (`\\x1b`), C:\\new\\e\\27, ^[[:alpha:]]",
    ] {
        check(text, &[]);
    }
}

#[test]
fn tags_carry_text_unless_they_make_a_flag() {
    let tags: String =
        "send".chars().filter_map(|c| char::from_u32(0xe_0000 + u32::from(c))).collect();
    check(&format!("Thanks{tags}"), &["hidden.tag_characters high"]);
    check(&format!("🏴{tags}"), &["hidden.tag_characters high"]);
    check(&format!("🏴{tags}{tags}\u{e007f}"), &["hidden.tag_characters high"]);
    let flags = format!("🏴{tags}\u{e007f}");
    check(&flags, &[]);
    check(&flags.repeat(9), &["hidden.tag_characters high"]);
    check("\u{e0001}", &["hidden.tag_characters high"]);
}

#[test]
fn zero_width_characters_are_found_where_nothing_needs_them() {
    check("is\u{200b}Admin()", &["hidden.zero_width_split high"]);
    check("a\u{200b}l\u{200d}l", &["hidden.zero_width_split high"]);
    check("ok \u{200b}\u{200c}\u{200d}\u{2060}", &["hidden.zero_width_run high"]);
    check("می\u{200c}\u{200c}\u{200c}\u{200c}خواهم", &["hidden.zero_width_run high"]);
    check("one \u{200b}", &["hidden.zero_width low"]);
    check(&"x \u{200b} ".repeat(8), &["hidden.zero_width_spread high"]);
    check(&"ภ\u{200b}".repeat(8), &["hidden.zero_width_spread high"]);
    check("p\u{ad}a\u{ad}ss\u{ad}word", &["hidden.zero_width_split high"]);
    check("a\u{200e}b", &["hidden.zero_width_split high"]);
    check("f\u{2061}g", &["hidden.zero_width_split high"]);
    check("é\u{200b}é", &["hidden.zero_width low"]);
}

#[test]
fn selectors_are_found_where_nothing_varies() {
    check("😀\u{e0134}\u{e0159}", &["hidden.variation_selectors high"]);
    check("😀\u{e0134}", &["hidden.variation_selectors high"]);
    check("葛\u{e0100}\u{e0100}", &["hidden.variation_selectors high"]);
    check("❤\u{fe0f}\u{fe0e}", &["hidden.variation_selectors high"]);
    check("☢\u{fe0f}\u{fe0f}", &["hidden.variation_selectors low"]);
    check("a\u{fe0f}", &["hidden.variation_selectors low"]);
    check("a\u{fe01}b\u{fe02}c\u{fe03}", &["hidden.variation_selectors high"]);
}

#[test]
fn bidi_controls_that_turn_nothing_or_do_not_end_are_found() {
    for text in [
        "x \u{202e}gpj\u{202c}",
        "return \u{2067}// ;",
        "\u{2066}a\nb\u{2069}",
        "\u{2069}",
        "\u{2067}only latin\u{2069}",
        "\u{202b}\u{2066}\u{202c}\u{2069}",
    ] {
        check(text, &["hidden.bidi_controls high"]);
    }
}

#[test]
fn what_shows_nothing_is_found() {
    check("const {a,\u{3164}} = q", &["hidden.filler high"]);
    check("a\u{2800}b", &["hidden.blank high"]);
    check("a \u{2800}", &["hidden.blank low"]);
    check("\u{fff9}a\u{fffa}b\u{fffb}", &["hidden.interlinear high"]);
    check("\u{f8ff}", &["hidden.private_use low"]);
    check("\u{fdd0}", &["hidden.noncharacter medium"]);
    check("\u{1ffff}", &["hidden.noncharacter medium"]);
}

#[test]
fn lookalikes_are_found_in_words_and_as_words() {
    check("p\u{430}ypal", &["hidden.lookalikes high"]);
    check("\u{4bb}ello()", &["hidden.lookalikes high"]);
    check("ign\u{3bf}re", &["hidden.lookalikes high"]);
    check("p\u{3b1}ssword", &["hidden.lookalikes high"]);
    check("\u{410}KIA", &["hidden.lookalikes high"]);
    check("let us call \u{441}\u{43e}\u{440}\u{443}() now", &["hidden.lookalike_word high"]);
    check("let us go \u{441}\u{43e}\u{440}\u{443} it", &["hidden.lookalike_word medium"]);
}

#[test]
fn controls_are_found_raw_and_spelled_out() {
    check("\u{1b}[31m", &["hidden.terminal_escape high"]);
    check("\u{9b}", &["hidden.terminal_escape high"]);
    check("\u{9d}0;x", &["hidden.terminal_escape high"]);
    check("ab\u{8}", &["hidden.control_character high"]);
    check("a\u{c}", &["hidden.control_character low"]);
    check("\u{92}", &["hidden.control_character low"]);
    for text in ["\\x1b[", "\\x1b]", "\\033]", "\\u001b]", "\\e[31m", "\\27[32mGREEN\\27[0m"] {
        check(text, &["hidden.spelled_escape low"]);
    }
    for text in ["\\x1b]8;;https://a", "\\033]52;c;", "\\u{1b}[2J", "\\e[3J"] {
        check(text, &["hidden.spelled_escape_attack high"]);
    }
}

/// Texts of the characters that matter here.
fn odd() -> impl Strategy<Value = String> {
    let some = "[a-z_ \n\u{1b}\u{ad}\u{200b}-\u{200f}\u{202a}-\u{202e}\u{2060}-\u{206f}\u{fe00}-\u{fe0f}\u{3164}\u{430}\u{3bf}\u{5d0}\u{e0061}\u{e007f}\u{e0100}\u{1f3f4}\\\\x1b\\[]{0,60}";
    prop_oneof![some.boxed(), any::<String>().boxed()]
}

proptest! {
    #[test]
    fn spans_lie_on_boundaries(text in odd()) {
        for hit in scan(&text) {
            prop_assert!(text.get(hit.span.clone()).is_some_and(|found| !found.is_empty()), "{hit:?}");
        }
    }

    #[test]
    fn runs_take_every_wanted_character_once(text in odd()) {
        let wanted = |c: char| !c.is_ascii();
        let taken: usize = runs(&text, wanted).map(|run| run.chars).sum();
        prop_assert_eq!(taken, text.chars().filter(|c| wanted(*c)).count());
    }
}
