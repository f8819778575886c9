//! A policy that is said to be no looser is none.

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
    Taint(u32, u64),
    Group(&'static str),
}

fn edit() -> impl Strategy<Value = Edit> {
    let lines = vec!["verified = true", "direction = \"in\"", "kinds = [\"text\"]"];
    prop_oneof![
        3 => any_rule().prop_map(|(list, body)| Edit::Add(list, body)),
        3 => (0..6_usize).prop_map(Edit::Remove),
        1 => (0..6_usize, 0..6_usize).prop_map(|(a, b)| Edit::Swap(a, b)),
        2 => (0..6_usize, prop::sample::select(lines)).prop_map(|(at, line)| Edit::Narrow(at, line)),
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
            Edit::Taint(hours, bytes) => new.taint = (hours, bytes),
            Edit::Group(members) => new.group = members,
            Edit::Remove(_) | Edit::Swap(..) | Edit::Narrow(..) => {}
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
    if let (Verdict::Ask(now), Verdict::Ask(reasons)) = (&now.verdict, &then.verdict) {
        let asked = then.rule.starts_with("ask.");
        if asked && !reasons.iter().all(|old| now.iter().any(|new| new.rule == old.rule)) {
            return Some("the reasons");
        }
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn no_looser_is_never_said_of_a_looser_policy(
        old in parts(),
        edits in vec(edit(), 1..4),
        cases in vec(case(), 20),
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
    fn no_looser_is_transitive_enough_to_tighten_step_by_step(
        old in parts(),
        extra in vec(any_rule(), 1..4),
    ) {
        let mut new = old.clone();
        new.rules.extend(extra.into_iter().filter(|(list, _)| !["allow", "flow"].contains(list)));
        prop_assert!(new.policy().is_no_looser_than(&old.policy()));
    }
}

#[test]
fn each_way_to_tighten_or_loosen_is_told() {
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
    let base = parsed(BASE);
    let check = |from: &str, to: &str, tighter: bool| {
        assert!(BASE.contains(from), "{from}");
        let new = parsed(&BASE.replacen(from, to, 1));
        assert_eq!(new.is_no_looser_than(&base), tighter, "{from} -> {to}");
        // None of these is as strict as before in both directions.
        if from != to {
            assert!(!(base.is_no_looser_than(&new) && tighter), "{from} -> {to}");
        }
    };
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
    check("size_up_to_bytes = 5000", "size_up_to_bytes = 4999", true);
    check("size_up_to_bytes = 5000", "size_up_to_bytes = 5001", false);
    check("size_up_to_bytes = 5000\n", "", false);
    check("severity_up_to = \"medium\"", "severity_up_to = \"low\"", true);
    check("severity_up_to = \"medium\"", "severity_up_to = \"high\"", false);
    check("severity_up_to = \"medium\"", "severity_up_to = \"medium\"\nverified = true", true);
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
