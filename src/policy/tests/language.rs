//! What the document may say, and what is answered where it says something else.

use proptest::prelude::*;

use super::*;

fn error(text: &str) -> String {
    match Policy::parse(text) {
        Ok(_) => panic!("it was read: {text}"),
        Err(error) => error.to_string(),
    }
}

/// The error of a body after the line with the version.
fn fault(body: &str) -> String {
    error(&format!("version = 1\n{body}"))
}

#[test]
fn an_unknown_field_is_named_with_its_line_and_what_is_allowed() {
    let unknown = |body: &str, starts: &str, allowed: &str| {
        let error = fault(body);
        assert!(error.starts_with(starts), "{error}");
        assert!(error.contains("expected") && error.contains(allowed), "{error}");
    };
    unknown("colour = 1", "line 2: unknown field `colour`", "`groups`");
    unknown("[[ask]]\nsize = 1", "line 3: unknown field `size`", "`size_over_bytes`");
    unknown("\n\n[[deny]]\nkind = 1", "line 5: unknown field `kind`", "`kinds`");
    unknown("[[allow]]\nx = 1", "line 3: unknown field `x`", "`size_up_to_bytes`");
    unknown("[[require]]\nx = 1", "line 3: unknown field `x`", "`strength`");
    unknown("[[flow]]\nvia = 1", "line 3: unknown field `via`", "`from`");
    unknown("[taint]\nminutes = 1", "line 3: unknown field `minutes`", "`hours`");
}

#[test]
fn a_field_of_another_list_is_told_apart() {
    for (body, hint) in [
        ("[[ask]]\nsize_up_to_bytes = 1", "; what you mean is size_over_bytes here"),
        ("[[deny]]\nseverity_up_to = \"low\"", "; what you mean is severity here"),
        ("[[allow]]\nfindings = [\"secret.*\"]", "; what you mean is only_findings here"),
        ("[[allow]]\nrate_over = \"1/day\"", "; what you mean is rate_up_to here"),
        (
            "[[allow]]\nclock_ahead = true",
            "; what you mean is an [[ask]] rule with clock_ahead here",
        ),
        ("[[ask]]\ncountersigned = \"grant\"", "; what you mean is not_countersigned here"),
    ] {
        let error = fault(body);
        assert!(error.ends_with(hint), "{error}");
    }
    assert!(!fault("[[ask]]\nsize = 1").contains("what you mean"));
}

#[track_caller]
fn check(faults: &[(&str, &str)]) {
    for (body, expected) in faults {
        assert_eq!(fault(body), *expected, "{body}");
    }
}

#[test]
fn a_value_that_cannot_be_is_refused_with_its_line() {
    check(&[
        ("[[ask]]\ndirection = \"up\"", "line 3: unknown variant `up`, expected `out` or `in`"),
        (
            "[[ask]]\nseverity = \"bad\"",
            "line 3: unknown variant `bad`, expected one of `info`, `low`, `medium`, `high`, \
             `critical`",
        ),
        ("[[ask]]\nsize_over_bytes = -1", "line 3: invalid value: integer `-1`, expected u64"),
        (
            "[[ask]]\n\nrate_over = \"20/week\"",
            "line 4: a rate is written \"20/hour\": 1 to 1000, '/', and minute, hour or day",
        ),
        (
            "[[ask]]\nrate_over = \"1001/day\"",
            "line 3: a rate is written \"20/hour\": 1 to 1000, '/', and minute, hour or day",
        ),
        (
            "[[ask]]\nfindings = [\"*.key\"]",
            "line 3: a finding is named as in \"secret.*\" or \"secret.github_token\": at most 64 \
             of a-z, 0-9, '.', '_' and '-', and '*' only at the end",
        ),
        (
            "[[ask]]\nkinds = [\"Text\"]",
            "line 3: a kind is \"text\", \"request\", \"reply\", \"peer\", or 1 to 32 of a-z, 0-9, \
             '.' and '_'",
        ),
        (
            "[[ask]]\npeers = [\"Bob\"]",
            "line 3: a peer is your name for it (1 to 32 of a-z, 0-9, '-', '_' and '.'), its full \
             id (64 hexadecimal digits) or \"group:NAME\"",
        ),
    ]);
}

#[test]
fn a_text_that_makes_no_sense_is_refused_with_its_line() {
    check(&[
        (
            "[[ask]]\nname = \"x\"\n[[ask]]\npeers = [\"group:team\"]",
            "line 5: there is no group team; write it under [groups]",
        ),
        (
            "[groups]\na = [\"group:b\"]\nb = []",
            "line 3: a group holds no groups; name their members",
        ),
        (
            "[groups]\n\"a b\" = []",
            "line 3: a group's name is 1 to 32 of a-z, 0-9, '-', '_' and '.'",
        ),
        (
            "[[ask]]\npeers = []",
            "line 3: an empty list matches nothing; leave the field out to match everything",
        ),
        ("[[ask]]\nclock_ahead = false", "line 3: clock_ahead is true or left out"),
        (
            "[[ask]]\nnot_countersigned = \"client\"",
            "line 3: what a client says is no countersignature; write grant, session, passphrase \
             or passkey",
        ),
        (
            "[[ask]]\nname = \"a b\"",
            "line 3: a rule's name is 1 to 32 of a-z, 0-9, '-', '_' and '.'",
        ),
        (
            "[[ask]]\nname = \"2\"",
            "line 3: a number and \"default\" are names that rules get; choose another",
        ),
        (
            "[[ask]]\nname = \"x\"\n[[ask]]\nname = \"x\"",
            "line 4: ask.x is a second rule of this name, after line 2",
        ),
        (
            "[[ask]]\nbecause = \"a\\u001Bb\"",
            "line 3: because is 1 to 200 bytes of visible characters",
        ),
        ("[taint]\nhours = 0", "line 3: hours is 1 to 168"),
        ("[taint]\nhours = 169", "line 3: hours is 1 to 168"),
        ("[taint]\nreply_bytes = 65537", "line 3: reply_bytes is 0 to 65536"),
        ("[[flow]]\nfrom = [\"bob\"]", "line 2: missing field `to`"),
        (
            "[[require]]\nstrength = \"grant\"\nkinds = [\"file.manifest\"]",
            "line 4: a peer is told of a required kind of at most 11 bytes",
        ),
    ]);
    assert_eq!(error("version = 2"), "line 1: this program reads version = 1");
    assert_eq!(error("[taint]"), "line 1: missing field `version`");
    assert!(error("version = 1\n[[ask]\n").starts_with("line 2: "));
}

#[test]
fn an_error_quotes_nothing_that_a_terminal_would_obey() {
    let error = fault("[[ask]]\nseverity = \"\\u001B[2J\\u202Ex\"");
    assert!(error.contains("\\u{1b}[2J\\u{202e}x"), "{error}");
    assert!(!error.contains(crate::base::text::is_hidden), "{error:?}");
}

#[test]
fn the_sizes_have_ends() {
    let rules = |list: &str, count: usize| {
        format!("version = 1\n{}", format!("[[{list}]]\n").repeat(count))
    };
    for list in ["deny", "ask", "allow", "rules"] {
        Policy::parse(&rules(list, RULES_MAX)).unwrap();
        let expected = "line 202: a list has at most 200 entries";
        assert_eq!(error(&rules(list, RULES_MAX + 1)), expected);
    }
    let groups = |count| {
        (0..count)
            .fold("version = 1\n[groups]\n".to_owned(), |text, n| format!("{text}g{n} = []\n"))
    };
    Policy::parse(&groups(GROUPS_MAX)).unwrap();
    assert!(error(&groups(GROUPS_MAX + 1)).contains("at most 64 groups"));
    let padded = |bytes: usize| format!("version = 1\n#{}", "x".repeat(bytes - 13));
    Policy::parse(&padded(POLICY_BYTES_MAX)).unwrap();
    assert_eq!(
        error(&padded(POLICY_BYTES_MAX + 1)),
        "the policy is 65537 bytes; the limit is 65536"
    );
    let because =
        |bytes: usize| format!("version = 1\n[[ask]]\nbecause = \"{}\"", "x".repeat(bytes));
    Policy::parse(&because(200)).unwrap();
    assert!(error(&because(201)).contains("1 to 200 bytes"));
}

#[test]
fn further_rules_are_kept_as_they_are() {
    let policy = parsed("[[rules]]\nid = \"own\"\nregex = '''abc'''\nkeywords = [\"a\"]");
    assert_eq!(policy.further_rules().len(), 1);
    assert_eq!(policy.further_rules()[0]["id"].as_str(), Some("own"));
}

/// Each block of TOML in the reference is a policy without a fault.
#[test]
fn the_examples_of_the_reference_are_policies() {
    let blocks: Vec<_> = include_str!("../POLICY.md")
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    let whole: Vec<_> = blocks.iter().filter(|block| block.contains("version = 1")).collect();
    assert!(whole.len() >= 3, "{}", whole.len());
    for block in whole {
        let policy = Policy::parse(block).unwrap_or_else(|error| panic!("{error}\n{block}"));
        assert_eq!(policy.findings_of_check(), [], "{block}");
    }
}

/// What the examples are said to decide, they decide.
#[test]
fn the_examples_of_the_reference_decide_as_it_says() {
    let page = include_str!("../POLICY.md");
    let example = |heading: &str| {
        let text = page.split(heading).nth(1).unwrap().split("```").nth(1).unwrap();
        Policy::parse(text.trim_start_matches("toml\n")).unwrap()
    };
    let team = example("### A small team");
    let secret_out = Case { findings: vec![secret()], ..text_out() };
    assert_eq!(text_in().rule(&team), "allow.team");
    assert_eq!(recent(0, 29, 29).rule(&team), "allow.team");
    assert_eq!(recent(0, 30, 30).rule(&team), "ask.often");
    assert_eq!(secret_out.rule(&team), "deny.no-secrets");
    assert_eq!(Case { name: "dave", ..text_in() }.rule(&team), "default");

    let customer = example("### A customer");
    let acme = Case { name: "acme", kind: "request", size_bytes: 5 << 10, ..text_in() };
    let signed = Case { countersigned: Some(Strength::Session), ..acme.clone() };
    assert!(acme.judge(|subject| customer.missing(subject)).is_some());
    assert_eq!(signed.judge(|subject| customer.missing(subject)), None);
    assert_eq!(signed.rule(&customer), "allow.acme");
    assert_eq!(Case { size_bytes: 9 << 10, ..signed }.rule(&customer), "default");
    let told: Vec<_> = acme.judge(|subject| customer.requirements_for(&subject.peer));
    let told: Vec<_> = told.iter().map(Requirement::to_feature).collect();
    assert_eq!(told, ["need.session.kind.request", "need.passphrase.find.command"]);

    let alone = example("### Somebody you do not");
    assert_eq!(text_in().rule(&alone), "allow.clean");
    let low = finding("hidden.tag", Severity::Low, Matters::Both);
    assert_eq!(with(&[&low]).rule(&alone), "default");
    let small = finding("secret.own", Severity::Medium, Matters::Both);
    assert_eq!(with(&[&small]).rule(&alone), "default");
    let signed = Case { countersigned: Some(Strength::Passphrase), ..with(&[&small]) };
    assert_eq!(signed.rule(&alone), "allow.signed-secrets");
    let stranger = Case { action: Action::PeerIn, kind: "", ..text_in() };
    assert_eq!(stranger.rule(&alone), "deny.no-strangers");
}

/// Each field of the language has its place in the reference.
#[test]
fn the_reference_names_every_field() {
    let reference = include_str!("../POLICY.md");
    let listed = |body: &str| -> Vec<String> {
        let error = fault(&format!("{body}\nx_unknown = 1"));
        error.split('`').skip(1).step_by(2).skip(1).map(str::to_owned).collect()
    };
    let lists = ["", "[[ask]]", "[[allow]]", "[[require]]", "[[flow]]", "[taint]"];
    let fields: Vec<String> = lists.into_iter().flat_map(listed).collect();
    assert!(fields.len() > 30, "{fields:?}");
    for field in fields {
        assert!(
            reference.contains(&format!("`{field}`")) || reference.contains(&format!("[{field}]")),
            "{field}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whatever is done to a document, it is read or its error names one of its lines.
    #[test]
    fn a_damaged_document_is_answered(
        at in 0..1500_usize,
        out in 0..40_usize,
        put in "(\\PC{0,8}|[\\[\\]\"'=\n.#]{1,4})",
    ) {
        let mut text: Vec<char> = Policy::standard_text().chars().collect();
        let at = at.min(text.len());
        let end = (at + out).min(text.len());
        text.splice(at..end, put.chars());
        let text: String = text.into_iter().collect();
        if let Err(error) = Policy::parse(&text) {
            let PolicyError::Line { line, text: said } = error else { panic!("{error}") };
            prop_assert!((1..=text.lines().count() + 1).contains(&line), "{line}: {said}");
            prop_assert!(!said.is_empty() && !said.contains(crate::base::text::is_hidden), "{said:?}");
        }
    }
}
