//! A policy that is said to be no looser is none.

use std::sync::LazyLock;

use proptest::{collection::vec, prelude::*};

use super::{
    monotone::{Parts, any_rule, case, parts},
    *,
};

/// One change of a policy.
#[derive(Clone, Debug)]
enum Edit {
    Add(&'static str, String),
    Remove(usize),
    Swap(usize, usize),
    Narrow(usize, &'static str),
    Alter(usize, (&'static str, &'static str)),
    Taint(u32, u64),
    Group(&'static str),
}

/// Dave is named by his id.
const DAVE_TOO: &str =
    "[\"bob\", \"0404040404040404040404040404040404040404040404040404040404040404\"]";

/// Values and the ones beside them.
const NEIGHBOURS: [(&str, &str); 14] = [
    ("= 1000", "= 1001"),
    ("\"low\"", "\"high\""),
    ("grant", "passphrase"),
    ("1/minute", "2/hour"),
    ("2/hour", "1/day"),
    ("1/minute", "1/day"),
    ("2/hour", "2/day"),
    ("[\"secret.*\"]", "[\"*\"]"),
    ("[\"secret.*\"]", "[]"),
    ("secret.aws*", "secret.*"),
    ("[\"text\"]", "[\"text\", \"request\"]"),
    ("[\"bob\"]", "[\"bob\", \"carol\"]"),
    ("[\"bob\"]", DAVE_TOO),
    ("findings_except = [\"secret.*\"]", ""),
];

/// Conditions that one of [`NEIGHBOURS`] changes.
const RESTRICTING: [&str; 9] = [
    "size_over_bytes = 1000",
    "severity = \"low\"",
    "not_countersigned = \"grant\"",
    "rate_over = \"1/minute\"",
    "rate_over = \"2/hour\"",
    "findings = [\"secret.*\"]",
    "findings_except = [\"secret.aws*\"]",
    "kinds = [\"text\"]",
    "peers = [\"bob\"]",
];
const ALLOWING: [&str; 8] = [
    "size_up_to_bytes = 1000",
    "severity_up_to = \"low\"",
    "countersigned = \"grant\"",
    "rate_up_to = \"1/minute\"",
    "rate_up_to = \"2/hour\"",
    "only_findings = [\"secret.*\"]",
    "kinds = [\"text\"]",
    "peers = [\"bob\"]",
];
const REQUIRING: [&str; 4] = [
    "strength = \"grant\"",
    "strength = \"grant\"\nseverity = \"low\"",
    "strength = \"grant\"\nfindings = [\"secret.*\"]",
    "strength = \"grant\"\nkinds = [\"text\"]",
];

fn edit() -> impl Strategy<Value = Edit> {
    let lines = vec!["verified = true", "direction = \"in\"", "kinds = [\"text\"]"];
    prop_oneof![
        3 => any_rule().prop_map(|(list, body)| Edit::Add(list, body)),
        3 => (0..6_usize).prop_map(Edit::Remove),
        1 => (0..6_usize, 0..6_usize).prop_map(|(a, b)| Edit::Swap(a, b)),
        2 => (0..6_usize, prop::sample::select(lines)).prop_map(|(at, line)| Edit::Narrow(at, line)),
        6 => (0..6_usize, prop::sample::select(NEIGHBOURS.to_vec()), any::<bool>())
            .prop_map(|(at, (a, b), back)| Edit::Alter(at, if back { (b, a) } else { (a, b) })),
        1 => (prop::sample::select(vec![1_u32, 12, 24]), prop::sample::select(vec![0_u64, 9, 16384]))
            .prop_map(|(hours, bytes)| Edit::Taint(hours, bytes)),
        1 => prop::sample::select(vec!["[]", "[\"bob\"]", "[\"bob\", \"carol\"]"]).prop_map(Edit::Group),
    ]
}

fn edited(old: &Parts, edits: Vec<Edit>) -> Parts {
    let mut new = old.clone();
    for edit in edits {
        let count = new.rules.len();
        match edit {
            Edit::Add(list, body) => new.rules.push((list, body)),
            Edit::Remove(at) if at < count => _ = new.rules.remove(at),
            Edit::Swap(a, b) if a < count && b < count => new.rules.swap(a, b),
            Edit::Narrow(at, line) if at < count => {
                let (list, body) = &mut new.rules[at];
                let field = line.split(' ').next().unwrap();
                if !body.contains(field) && !["flow", "require"].contains(list) {
                    body.extend(["\n", line]);
                }
            }
            Edit::Alter(at, (from, to)) if at < count && !from.is_empty() => {
                let (list, body) = &mut new.rules[at];
                let changed = body.replacen(from, to, 1);
                // An empty list is a value for one field alone.
                if *list == "allow" || !changed.contains("[]") {
                    *body = changed;
                }
            }
            Edit::Taint(hours, bytes) => new.taint = (hours, bytes),
            Edit::Group(members) => new.group = members,
            Edit::Remove(_) | Edit::Swap(..) | Edit::Narrow(..) | Edit::Alter(..) => {}
        }
    }
    new
}

fn looser(new: &Policy, old: &Policy, case: &Case) -> Option<&'static str> {
    let decided = |policy: &Policy| case.judge(|subject| policy.decide(subject));
    let (now, then) = (decided(new), decided(old));
    if strictness(&now.verdict) < strictness(&then.verdict) {
        return Some("the answer");
    }
    if let (Verdict::Ask(now), Verdict::Ask(reasons)) = (&now.verdict, &then.verdict)
        && !reasons.iter().all(|old| now.iter().any(|new| new.rule == old.rule))
    {
        return Some("the reasons");
    }
    let missing = |policy: &Policy| case.judge(|s| policy.missing(s)).map(|lacks| lacks.strength);
    if missing(new) < missing(old) {
        return Some("what is required");
    }
    let of = |name, id| Peer { id: PeerId::from_bytes([id; 32]), name, verified: true };
    let peers = [of("bob", 2), of("carol", 3), of("dave", 4)];
    let flows = peers
        .iter()
        .any(|from| peers.iter().any(|to| new.flow_allows(from, to) && !old.flow_allows(from, to)));
    flows.then_some("what flows")
}

/// Pairs of policies of one rule that differ in one value of it.
fn altered_rules() -> Vec<(Policy, Policy)> {
    let restricting = ["deny", "ask"].into_iter().flat_map(|list| RESTRICTING.map(|l| (list, l)));
    let others =
        ALLOWING.map(|l| ("allow", l)).into_iter().chain(REQUIRING.map(|l| ("require", l)));
    let mut pairs = Vec::new();
    for (list, line) in restricting.chain(others) {
        let rest = if list == "allow" { "" } else { "[[allow]]\n" };
        let of = |line: &str| parsed(&format!("{rest}[[{list}]]\n{line}"));
        for (from, to) in NEIGHBOURS {
            let altered = line.replacen(from, to, 1);
            if altered != line && (list == "allow" || !altered.contains("[]")) {
                pairs.push((of(line), of(&altered)));
            }
        }
    }
    pairs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    /// The same of each rule of one condition and one value of it, where each slip shows.
    #[test]
    fn no_looser_is_never_said_of_a_looser_rule(cases in vec(case(), 100)) {
        static PAIRS: LazyLock<Vec<(Policy, Policy)>> = LazyLock::new(altered_rules);
        let pairs = &*PAIRS;
        prop_assert!(pairs.len() > 30, "{}", pairs.len());
        for (one, other) in pairs {
            for (new, old) in [(one, other), (other, one)] {
                for case in cases.iter().filter(|_| new.is_no_looser_than(old)) {
                    let what = looser(new, old, case);
                    prop_assert_eq!(what, None, "{}\nnow\n{}\n{:?}", old.text(), new.text(), case);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1200))]

    #[test]
    fn no_looser_is_never_said_of_a_looser_policy(
        old in parts(),
        edits in vec(edit(), 1..4),
        cases in vec(case(), 60),
    ) {
        let (new, old) = (edited(&old, edits).policy(), old.policy());
        for (new, old) in [(&new, &old), (&old, &new)] {
            if new.is_no_looser_than(old) {
                for case in &cases {
                    let what = looser(new, old, case);
                    prop_assert_eq!(what, None, "{}\n\nnow\n{}\n{:?}", old.text(), new.text(), case);
                }
                prop_assert!(new.taint().hours >= old.taint().hours);
                prop_assert!(new.taint().reply_bytes <= old.taint().reply_bytes);
            }
        }
    }

    #[test]
    fn a_policy_is_no_looser_than_itself(parts in parts()) {
        let policy = parts.policy();
        prop_assert!(policy.is_no_looser_than(&policy));
    }

    #[test]
    fn further_rules_that_deny_ask_or_require_are_no_looser(
        old in parts(),
        extra in vec(any_rule(), 1..4),
    ) {
        let mut new = old.clone();
        new.rules.extend(extra.into_iter().filter(|(list, _)| !["allow", "flow"].contains(list)));
        prop_assert!(new.policy().is_no_looser_than(&old.policy()));
    }
}

const BASE: &str = "[groups]\nteam = [\"bob\", \"carol\"]\n[taint]\nhours = 12\n\
    reply_bytes = 100\n[[rules]]\nid = \"own\"\nregex = \"abc\"\n\
    [[deny]]\npeers = [\"dave\"]\nsize_over_bytes = 1000\n\
    [[ask]]\nname = \"bad\"\nfindings = [\"secret.*\"]\nseverity = \"high\"\n\
    [[ask]]\nname = \"often\"\nrate_over = \"20/hour\"\n\
    [[ask]]\nname = \"unsigned\"\nnot_countersigned = \"session\"\n\
    [[allow]]\nname = \"team\"\npeers = [\"group:team\"]\nsize_up_to_bytes = 5000\n\
    severity_up_to = \"medium\"\n\
    [[require]]\nkinds = [\"request\"]\nstrength = \"session\"\n\
    [[flow]]\nfrom = [\"bob\"]\nto = [\"carol\", \"dave\"]\n";

#[track_caller]
fn check(from: &str, to: &str, tighter: bool) {
    let base = parsed(BASE);
    assert!(BASE.contains(from), "{from}");
    let new = parsed(&BASE.replacen(from, to, 1));
    assert_eq!(new.is_no_looser_than(&base), tighter, "{from} -> {to}");
    // None of these is as strict as before in both directions.
    if from != to {
        assert!(!(base.is_no_looser_than(&new) && tighter), "{from} -> {to}");
    }
}

#[test]
fn each_way_to_tighten_or_loosen_a_question_is_told() {
    let more = |list: &str| format!("[[{list}]]\nname = \"more\"\n[[require]]");
    check("[[require]]", &more("deny"), true);
    check("[[require]]", &more("ask"), true);
    check("[[require]]", &more("allow"), false);
    check("size_over_bytes = 1000", "size_over_bytes = 999", true);
    check("size_over_bytes = 1000", "size_over_bytes = 1001", false);
    check("[\"dave\"]\nsize", "[\"dave\", \"eve\"]\nsize", true);
    check("[\"dave\"]\nsize", "[\"eve\"]\nsize", false);
    check("[[deny]]", "[[ask]]\nname = \"soft\"", false);
    check("[[ask]]\nname = \"bad\"", "[[deny]]\nname = \"bad\"", true);
    check("findings = [\"secret.*\"]\n", "", true);
    check("[\"secret.*\"]", "[\"*\"]", true);
    check("[\"secret.*\"]", "[\"secret.a*\"]", false);
    check("[\"secret.*\"]", "[\"secret.*\"]\nfindings_except = [\"secret.a*\"]", false);
    check("severity = \"high\"", "severity = \"low\"", true);
    check("severity = \"high\"", "severity = \"critical\"", false);
    check("\"20/hour\"", "\"19/hour\"", true);
    check("\"20/hour\"", "\"20/day\"", true);
    check("\"20/hour\"", "\"20/minute\"", false);
    check("\"20/hour\"", "\"21/hour\"", false);
    check("not_countersigned = \"session\"", "not_countersigned = \"passkey\"", true);
    check("not_countersigned = \"session\"", "not_countersigned = \"grant\"", false);
    // Its reason has another name then, which a grant may know.
    check("name = \"often\"", "name = \"rarely\"", false);
}

#[test]
fn each_other_way_to_tighten_or_loosen_is_told() {
    check("size_up_to_bytes = 5000", "size_up_to_bytes = 4999", true);
    check("size_up_to_bytes = 5000", "size_up_to_bytes = 5001", false);
    check("size_up_to_bytes = 5000\n", "", false);
    check("severity_up_to = \"medium\"", "severity_up_to = \"low\"", true);
    check("severity_up_to = \"medium\"", "severity_up_to = \"high\"", false);
    check("severity_up_to = \"medium\"", "severity_up_to = \"medium\"\nverified = true", true);
    check(
        "\nseverity_up_to = \"medium\"",
        "\nseverity_up_to = \"medium\"\nonly_findings = []",
        true,
    );
    check("team = [\"bob\", \"carol\"]", "team = [\"bob\"]", true);
    check("team = [\"bob\", \"carol\"]", "team = [\"bob\", \"carol\", \"eve\"]", false);
    check("[\"group:team\"]", "[\"carol\"]", true);
    check("strength = \"session\"", "strength = \"passphrase\"", true);
    check("strength = \"session\"", "strength = \"grant\"", false);
    check("[\"request\"]", "[\"request\", \"text\"]", true);
    check("kinds = [\"request\"]\n", "", true);
    check("[\"carol\", \"dave\"]", "[\"dave\"]", true);
    check("[\"carol\", \"dave\"]", "[\"carol\", \"dave\", \"eve\"]", false);
    check("hours = 12", "hours = 13", true);
    check("hours = 12", "hours = 11", false);
    check("reply_bytes = 100", "reply_bytes = 99", true);
    check("reply_bytes = 100", "reply_bytes = 101", false);
    check("regex = \"abc\"\n", "regex = \"abc\"\n[[rules]]\nid = \"other\"\n", true);
    check("[[rules]]\nid = \"own\"\nregex = \"abc\"\n", "", false);
    check("regex = \"abc\"", "regex = \"abd\"", false);
}

/// A grant knows the reasons: an ask rule that gives others is no substitute.
#[test]
fn an_ask_rule_replaces_another_only_with_its_reasons() {
    let check = |old: &str, new: &str, tighter: bool| {
        let (old, new) = (parsed(&format!("[[ask]]\n{old}")), parsed(&format!("[[ask]]\n{new}")));
        assert_eq!(new.is_no_looser_than(&old), tighter, "{} {}", old.text(), new.text());
    };
    check("clock_ahead = true", "direction = \"in\"", false);
    check("severity = \"high\"", "", false);
    check("severity = \"high\"", "severity = \"low\"", true);
    check("severity = \"high\"", "severity = \"low\"\nbecause = \"so\"", true);
    check("severity = \"high\"\nbecause = \"so\"", "severity = \"low\"", false);
    check("verified = false", "", true);
    check("name = \"a\"\nverified = false", "name = \"b\"", false);
}

#[test]
fn allow_rules_are_compared_in_all_they_say() {
    let check = |narrow: &str, wide: &str| {
        let (narrow, wide) = (format!("[[allow]]\n{narrow}"), format!("[[allow]]\n{wide}"));
        let (narrow, wide) = (parsed(&narrow), parsed(&wide));
        assert!(narrow.is_no_looser_than(&wide), "{}", wide.text());
        assert!(!wide.is_no_looser_than(&narrow), "{}", wide.text());
    };
    check("only_findings = []", "only_findings = [\"secret.*\"]");
    check("only_findings = [\"secret.a*\"]", "only_findings = [\"secret.*\", \"known.*\"]");
    check("only_findings = [\"secret.*\"]", "");
    check("countersigned = \"passkey\"", "countersigned = \"session\"");
    check("countersigned = \"grant\"", "direction = \"in\"");
    check("rate_up_to = \"9/hour\"", "rate_up_to = \"10/hour\"");
    check("rate_up_to = \"10/day\"", "rate_up_to = \"10/hour\"");
    check("kinds = [\"text\"]", "kinds = [\"text\", \"reply\"]");
}
