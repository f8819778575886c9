//! Planted faults are found, and nothing else is.

use super::*;

/// All but the warnings about secrets, which have a test of their own.
fn complaints(body: &str) -> Vec<String> {
    let mut all: Vec<_> =
        parsed(body).findings_of_check().iter().map(ToString::to_string).collect();
    all.retain(|complaint| !complaint.contains("it lets secrets"));
    all
}

#[track_caller]
fn check(body: &str, expected: &[&str]) {
    assert_eq!(complaints(body), expected, "{body}");
}

#[test]
fn conditions_that_contradict_each_other_are_found() {
    let only_in = "never matches: countersignatures and the sender's clock are looked at in what \
                   arrives only";
    let check = |body: &str, expected: &str| {
        let found = complaints(body);
        assert!(found.len() == 1 && found[0].ends_with(expected), "{body}: {found:?}");
    };
    check("[[ask]]\ndirection = \"out\"\nclock_ahead = true", only_in);
    check("[[deny]]\ndirection = \"out\"\nnot_countersigned = \"grant\"", only_in);
    check("[[allow]]\ndirection = \"out\"\ncountersigned = \"grant\"", only_in);
    check(
        "[[deny]]\nkinds = [\"peer\"]\nverified = true",
        "line 2: deny.1: it never matches: a new peer was never verified",
    );
    check(
        "[[ask]]\nkinds = [\"peer\"]\nclock_ahead = true",
        "it never matches: a new peer has no countersignature and no clock that is looked at",
    );
    check("[[ask]]\nsize_over_bytes = 70000", "it never matches: no message is over 67584 bytes");
    check(
        "[[ask]]\nfindings = [\"secret.a*\"]\nfindings_except = [\"secret.*\"]",
        "it never matches: findings_except takes out all that findings names",
    );
    check("[[ask]]\nfindings_except = [\"*\"]", "takes out all that findings names");
    check(
        "[groups]\nnone = []\n[[ask]]\npeers = [\"group:none\"]",
        "line 4: ask.1: it never matches: the groups that it names hold no peer",
    );
    check(
        "[groups]\nnone = []\n[[flow]]\nfrom = [\"group:none\"]\nto = [\"bob\"]",
        "line 4: flow.1: it never matches: the groups that it names hold no peer",
    );
}

#[test]
fn findings_that_nothing_finds_are_found() {
    check(
        "[[ask]]\nfindings = [\"secrets.*\"]",
        &["line 2: ask.1: it never matches: no finding is named secrets.*"],
    );
    check(
        "[[ask]]\nfindings = [\"secret.*\", \"secret.nothing\"]",
        &["line 2: ask.1: warning: no finding is named secret.nothing"],
    );
    check(
        "[[allow]]\nonly_findings = [\"tokens.*\"]",
        &["line 2: allow.1: warning: no finding is named tokens.*"],
    );
    for known in ["*", "s*", "secret.*", "secret.github_token", "hidden.*", "hid*", "known.value"] {
        check(&format!("[[ask]]\nfindings = [\"{known}\"]"), &[]);
    }
    check("[[ask]]\nfindings = [\"secret.my_own\"]\n[[rules]]\nid = \"my-own\"", &[]);
}

#[test]
fn a_peer_in_an_allow_rule_is_found() {
    let never =
        "line 2: allow.1: it never matches: a new peer is asked about or denied, never allowed";
    check("[[allow]]\nkinds = [\"peer\"]", &[never]);
    check(
        "[[allow]]\nkinds = [\"peer\", \"text\"]",
        &[
            "line 2: allow.1: warning: \"peer\" has no effect here: a new peer is asked about or denied",
        ],
    );
    assert_eq!(complaints("[[require]]\nkinds = [\"peer\"]\nstrength = \"grant\"").len(), 1);
}

#[test]
fn rules_that_an_earlier_one_covers_are_found() {
    check(
        "[[deny]]\npeers = [\"bob\"]\n[[ask]]\nname = \"a\"\npeers = [\"bob\"]\nseverity = \"high\"",
        &[
            "line 4: ask.a: it never decides: deny.1 (line 2) matches before it, whatever it matches",
        ],
    );
    check(
        "[[ask]]\nfindings = [\"secret.*\"]\n[[ask]]\nfindings = [\"secret.github*\"]\nseverity = \
         \"high\"",
        &["line 4: ask.2: it never decides: ask.1 (line 2) matches before it, whatever it matches"],
    );
    // The same, but its own sentence is told.
    check(
        "[[ask]]\nfindings = [\"secret.*\"]\n[[ask]]\nfindings = [\"secret.github*\"]\nbecause = \
         \"rotate it\"",
        &[
            "line 4: ask.2: warning: it never decides: ask.1 (line 2) matches before it, whatever it \
           matches",
        ],
    );
    check(
        "[[allow]]\nkinds = [\"text\"]\n[[allow]]\nkinds = [\"text\"]\nverified = true",
        &["line 4: allow.2: it never decides: allow.1 (line 2) matches before it, whatever it \
           matches"],
    );
    // Two rules together.
    check(
        "[[ask]]\ndirection = \"in\"\n[[ask]]\ndirection = \"out\"\n[[allow]]\nkinds = [\"text\"]",
        &["line 6: allow.1: it never decides: ask.2 (line 4) and ask.1 (line 2) match before it, \
           whatever it matches"],
    );
    // The second is wider, or of a later list.
    check("[[ask]]\nfindings = [\"secret.github*\"]\n[[ask]]\nfindings = [\"secret.*\"]", &[]);
    check("[[allow]]\n[[deny]]\nsize_over_bytes = 9", &[]);
    // A rule that never matches covers none and is told once.
    assert_eq!(
        complaints("[[deny]]\nfindings = [\"x.*\"]\n[[deny]]\nfindings = [\"x.y\"]").len(),
        2
    );
}

#[test]
fn the_same_twice_is_found() {
    check(
        "[[ask]]\nseverity = \"high\"\n[[ask]]\nname = \"again\"\nseverity = \"high\"",
        &["line 4: ask.again: it says the same as ask.1 (line 2)"],
    );
    let twice = "[[require]]\nstrength = \"grant\"\n".repeat(2);
    check(&twice, &["line 4: require.2: require.1 requires at least as much"]);
    let twice = "[[flow]]\nfrom = [\"bob\"]\nto = [\"carol\"]\n".repeat(2);
    check(&twice, &["line 5: flow.2: flow.1 lets as much through"]);
    check(
        "[[require]]\nkinds = [\"text\"]\nstrength = \"grant\"\n[[require]]\nstrength = \"session\"",
        &["line 2: require.1: require.2 requires at least as much"],
    );
    check(
        "[[require]]\nkinds = [\"text\"]\nstrength = \"passkey\"\n[[require]]\nstrength = \"session\"",
        &[],
    );
}

#[test]
fn the_rules_that_name_a_peer_are_found() {
    let policy = parsed(
        "[groups]\nteam = [\"bob\", \"carol\"]\n[[ask]]\npeers = [\"group:team\"]\n\
         [[allow]]\nname = \"all\"\n[[flow]]\nfrom = [\"bob\"]\nto = [\"dave\"]\n\
         [[require]]\npeers = [\"eve\"]\nstrength = \"grant\"",
    );
    assert_eq!(policy.rules_naming("bob"), ["ask.1", "flow.1"]);
    assert_eq!(policy.rules_naming("eve"), ["require.1"]);
    assert!(policy.rules_naming("mallory").is_empty());
}

#[test]
fn peers_that_nobody_knows_are_warned_about() {
    let policy = parsed(
        "[groups]\nteam = [\"bob\", \"carrol\"]\n[[ask]]\npeers = [\"group:team\"]\n\
         [[flow]]\nfrom = [\"bob\"]\nto = [\"dave\"]\n\
         [[require]]\npeers = [\"eve\"]\nstrength = \"grant\"",
    );
    let found: Vec<_> =
        policy.unknown_peers(&["bob", "carol"]).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "line 4: ask.1: warning: you know no peer carrol",
            "line 9: require.1: warning: you know no peer eve",
            "line 6: flow.1: warning: you know no peer dave",
        ]
    );
}

#[test]
fn an_allow_rule_that_lets_secrets_pass_is_warned_about() {
    let check = |body: &str, expected: &[&str]| {
        let all = parsed(body).findings_of_check();
        let ways: Vec<_> = ["leave", "arrive"]
            .into_iter()
            .filter(|way| all.iter().any(|one| one.text.contains(&format!("secrets {way} that"))))
            .collect();
        assert_eq!(ways, expected, "{body}: {all:?}");
    };
    check("[[allow]]", &["leave"]);
    check("[[allow]]\ndirection = \"in\"", &["arrive"]);
    check("[[ask]]\ndirection = \"out\"\nseverity = \"high\"\n[[allow]]", &["arrive"]);
    check("[[ask]]\npeers = [\"bob\"]\nfindings = [\"secret.*\"]\n[[allow]]", &["leave"]);
    check("[[ask]]\nfindings = [\"secret.github*\"]\n[[allow]]", &["leave"]);
    check("[[allow]]\nseverity_up_to = \"critical\"", &["leave"]);
    for quiet in [
        "[[allow]]\nseverity_up_to = \"high\"",
        "[[allow]]\nonly_findings = [\"secret.*\"]",
        "[[allow]]\ncountersigned = \"session\"",
        "[[ask]]\nseverity = \"critical\"\n[[allow]]",
        "[[deny]]\nfindings = [\"secret.*\"]\n[[allow]]\npeers = [\"bob\"]",
        "[[ask]]\npeers = [\"bob\"]\nfindings = [\"s*\"]\n[[allow]]\npeers = [\"bob\"]",
    ] {
        check(quiet, &[]);
    }
}
