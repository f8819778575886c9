//! More to worry about never loosens an answer.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

const RULES: [&str; 7] = [
    "secret.aws_access_key",
    "secret.github_token",
    "known.value",
    "hidden.tag",
    "command.shell",
    crate::risk::FULL,
    crate::risk::FAILED,
];
const SEVERITIES: [Severity; 5] =
    [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

pub(super) fn any_finding() -> impl Strategy<Value = Finding> {
    let matters = select(vec![Matters::Leaving, Matters::Coming, Matters::Both]);
    (select(RULES.to_vec()), select(SEVERITIES.to_vec()), matters)
        .prop_map(|(rule, severity, matters)| finding(rule, severity, matters))
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    let actions = vec![
        Action::MessageIn,
        Action::MessageIn,
        Action::MessageOut,
        Action::PeerIn,
        Action::PeerOut,
    ];
    let strengths: Vec<_> = Strength::ALL.into_iter().map(Some).chain([None]).collect();
    let kinds = vec!["text", "request", "reply", "peer", "file.offer"];
    let peers = vec![("bob", 2), ("carol", 3), ("dave", 4)];
    let sizes = select(vec![1_u64, 1000, 1001, 20_000]);
    (
        (select(actions), select(peers), any::<bool>(), select(kinds), sizes),
        (vec(any_finding(), 0..3), select(strengths), any::<bool>(), [0..4_u64, 0..4, 0..4]),
    )
        .prop_map(|((action, (name, id), verified, kind, size_bytes), rest)| {
            let (findings, countersigned, clock_ahead, [minute, hour, day]) = rest;
            let recent = [minute, minute + hour, minute + hour + day];
            let kind = if action.is_peer() { "" } else { kind };
            Case {
                action,
                name,
                id,
                verified,
                kind,
                size_bytes,
                findings,
                countersigned,
                clock_ahead,
                recent,
            }
        })
}

fn optional(lines: Vec<&'static str>) -> impl Strategy<Value = &'static str> {
    let count = lines.len();
    // Most rules say nothing of most things.
    (select(lines), 0..count + 4).prop_map(move |(line, at)| if at < 3 { line } else { "" })
}

fn scope() -> impl Strategy<Value = String> {
    (
        optional(vec!["direction = \"in\"", "direction = \"out\""]),
        optional(vec![
            "peers = [\"bob\"]",
            "peers = [\"group:team\"]",
            "peers = [\"bob\", \"carol\", \"dave\"]",
            "peers = [\"0404040404040404040404040404040404040404040404040404040404040404\"]",
        ]),
        optional(vec!["verified = true", "verified = false"]),
        optional(vec![
            "kinds = [\"text\"]",
            "kinds = [\"text\", \"request\", \"reply\"]",
            "kinds = [\"peer\"]",
            "kinds = [\"peer\", \"text\"]",
        ]),
    )
        .prop_map(|(way, peers, verified, kinds)| [way, peers, verified, kinds].join("\n"))
}

pub(super) fn restricting() -> impl Strategy<Value = String> {
    (
        scope(),
        optional(vec!["size_over_bytes = 1000", "size_over_bytes = 1001"]),
        optional(vec![
            "findings = [\"secret.*\"]",
            "findings = [\"*\"]",
            "findings = [\"known.*\"]",
        ]),
        optional(vec!["findings_except = [\"secret.*\"]", "findings_except = [\"secret.aws*\"]"]),
        optional(vec!["severity = \"low\"", "severity = \"high\""]),
        optional(vec![
            "rate_over = \"1/minute\"",
            "rate_over = \"2/hour\"",
            "rate_over = \"1/day\"",
        ]),
        optional(vec!["not_countersigned = \"grant\"", "not_countersigned = \"passphrase\""]),
        optional(vec!["clock_ahead = true", "because = \"so\""]),
    )
        .prop_map(|(a, b, c, d, e, f, g, h)| [&a, b, c, d, e, f, g, h].join("\n"))
}

pub(super) fn allowing() -> impl Strategy<Value = String> {
    (
        scope(),
        optional(vec!["size_up_to_bytes = 1000", "size_up_to_bytes = 1001"]),
        optional(vec!["only_findings = [\"secret.*\"]", "only_findings = []"]),
        optional(vec!["severity_up_to = \"low\"", "severity_up_to = \"high\""]),
        optional(vec![
            "rate_up_to = \"1/minute\"",
            "rate_up_to = \"2/hour\"",
            "rate_up_to = \"2/day\"",
        ]),
        optional(vec!["countersigned = \"grant\"", "countersigned = \"passphrase\""]),
    )
        .prop_map(|(a, b, c, d, e, f)| [&a, b, c, d, e, f].join("\n"))
}

pub(super) fn requiring() -> impl Strategy<Value = String> {
    (
        select(vec!["strength = \"grant\"", "strength = \"passphrase\"", "strength = \"passkey\""]),
        optional(vec!["peers = [\"bob\"]", "peers = [\"group:team\"]"]),
        optional(vec!["kinds = [\"text\"]", "kinds = [\"text\", \"request\"]"]),
        optional(vec![
            "findings = [\"secret.*\"]",
            "findings = [\"*\"]",
            "findings = [\"command.sh*\"]",
        ]),
        optional(vec!["severity = \"low\"", "severity = \"high\""]),
    )
        .prop_map(|(a, b, c, d, e)| [a, b, c, d, e].join("\n"))
}

/// A policy as its parts, so that another can be made of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parts {
    pub(super) group: &'static str,
    /// The header of a list and the body of a rule.
    pub(super) rules: Vec<(&'static str, String)>,
    pub(super) taint: (u32, u64),
}

impl Parts {
    pub(super) fn policy(&self) -> Policy {
        let mut text = format!("[groups]\nteam = {}\n", self.group);
        for (header, body) in &self.rules {
            text.extend(["[[", header, "]]\n", body, "\n"]);
        }
        let (hours, reply_bytes) = self.taint;
        parsed(&format!("{text}[taint]\nhours = {hours}\nreply_bytes = {reply_bytes}"))
    }
}

pub(super) fn any_rule() -> impl Strategy<Value = (&'static str, String)> {
    let flows = vec![
        "from = [\"bob\"]\nto = [\"carol\"]",
        "from = [\"group:team\"]\nto = [\"carol\", \"dave\"]",
        "from = [\"bob\", \"carol\"]\nto = [\"group:team\"]",
    ];
    prop_oneof![
        2 => restricting().prop_map(|body| ("deny", body)),
        3 => restricting().prop_map(|body| ("ask", body)),
        3 => allowing().prop_map(|body| ("allow", body)),
        1 => requiring().prop_map(|body| ("require", body)),
        1 => select(flows).prop_map(|body| ("flow", body.to_owned())),
    ]
}

pub(super) fn parts() -> impl Strategy<Value = Parts> {
    let groups = select(vec!["[]", "[\"bob\"]", "[\"bob\", \"carol\"]"]);
    let taint = (select(vec![1_u32, 12]), select(vec![0_u64, 16384]));
    (groups, vec(any_rule(), 0..6), taint).prop_map(|(group, rules, taint)| Parts {
        group,
        rules,
        taint,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn more_to_worry_about_never_loosens(
        parts in parts(),
        case in case(),
        more in any_finding(),
        at in 0..4_usize,
    ) {
        let policy = parts.policy();
        let before = judged(&policy, &case);
        let mut findings = case.findings.clone();
        findings.insert(at.min(findings.len()), more);
        let [minute, hour, day] = case.recent;
        let weaker = Strength::ALL.into_iter().rev().find(|by| Some(*by) < case.countersigned);
        for worse in [
            Case { findings, ..case.clone() },
            Case { size_bytes: case.size_bytes + 999, ..case.clone() },
            Case { recent: [minute + 1, hour + 1, day + 1], ..case.clone() },
            Case { countersigned: weaker, ..case.clone() },
            Case { clock_ahead: true, ..case.clone() },
        ] {
            prop_assert!(judged(&policy, &worse) >= before, "{} {worse:?}", policy.text());
        }
        // And a worse finding is no better than it was.
        if let Some(first) = case.findings.first() {
            let mut findings = case.findings.clone();
            findings[0] = Finding { severity: Severity::Critical, ..first.clone() };
            let worse = Case { findings, ..case.clone() };
            prop_assert!(judged(&policy, &worse) >= before, "{} {worse:?}", policy.text());
        }
    }

    #[test]
    fn an_explanation_agrees_with_the_decision(parts in parts(), case in case()) {
        let policy = parts.policy();
        let (decided, explained) = case.judge(|s| (policy.decide(s), policy.explain(s)));
        let last = explained.decided.rule.clone();
        let own = ["default", PEER_NEW].contains(&&*last);
        prop_assert_eq!(own, explained.line.is_none());
        prop_assert!(explained.tried.iter().all(|tried| tried.rule != last));
        prop_assert_eq!(explained.decided, decided);
    }
}

#[expect(clippy::disallowed_methods, reason = "the time it takes is what is tested")]
/// A bound that only a rule list that is walked many times over would break.
#[test]
fn two_hundred_rules_decide_at_once() {
    let rule = "[[ask]]\npeers = [\"carol\"]\nfindings = [\"x.*\"]\n[[deny]]\nsize_over_bytes = 60000\n\
                [[allow]]\nseverity_up_to = \"medium\"\nkinds = [\"reply\"]\n";
    let policy = parsed(&rule.repeat(66));
    let case = Case { findings: vec![secret(), secret(), secret()], ..text_in() };
    let start = std::time::Instant::now();
    for _ in 0..1000 {
        assert_eq!(judged(&policy, &case), 1);
    }
    let each = start.elapsed() / 1000;
    println!("198 rules: {each:?}");
    assert!(each < Duration::from_millis(2), "{each:?}");
}
