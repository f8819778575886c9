use std::collections::BTreeSet;

use super::*;

fn standard() -> &'static Secrets {
    static STANDARD: OnceLock<Secrets> = OnceLock::new();
    STANDARD.get_or_init(Secrets::standard)
}

fn places(secrets: &Secrets, text: &str) -> Vec<Place> {
    let anchors = crate::risk::anchors::Anchors::new(&[secrets.keywords()]);
    let [places] = anchors.find(text.as_bytes());
    places
}

fn scan(secrets: &Secrets, text: &str) -> Vec<Hit> {
    secrets.scan(text, &places(secrets, text))
}

fn ids(text: &str) -> Vec<String> {
    scan(standard(), text).into_iter().map(|hit| hit.rule.into_owned()).collect()
}

fn found(secrets: &Secrets, text: &str) -> Vec<(String, String)> {
    let hits = scan(secrets, text).into_iter();
    hits.map(|hit| (hit.rule.into_owned(), text[hit.span].to_owned())).collect()
}

/// Makes a token from its form: `{a40}` is 40 letters and digits, and so on; `{{}` is a brace.
fn token(form: &str) -> String {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |among: &str| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(seed >> 33).unwrap() % among.len();
        among.as_bytes()[at] as char
    };
    let mut out = String::new();
    let mut rest = form;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (kind, end) = after.split_once('}').unwrap();
        rest = end;
        match kind {
            "{" => out.push('{'),
            // `{}}` is a closing brace: what is left of it opens the rest.
            "" => {
                out.push('}');
                rest = end.strip_prefix('}').unwrap();
            }
            _ => {
                let among = match &kind[..1] {
                    "n" => "0123456789",
                    "h" => "0123456789abcdef",
                    "l" => "abcdefghijklmnopqrstuvwxyz",
                    "d" => "abcdefghijklmnopqrstuvwxyz0123456789",
                    "s" => "abcdefghijklmnopqrstuvwxyz234567",
                    "t" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
                    "u" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
                    "e" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                    "a" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                    "z" => "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
                    "q" => "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
                    other => panic!("{form}: {other}"),
                };
                out.extend((0..kind[1..].parse::<usize>().unwrap()).map(|_| next(among)));
            }
        }
    }
    out + rest
}

fn rule(toml: &str) -> Vec<RuleTable> {
    RuleTable::parse(toml).unwrap()
}

#[test]
fn every_rule_parses_compiles_and_says_what_it_is() {
    let mut seen = BTreeSet::new();
    for (text, severity) in FILES {
        for table in RuleTable::parse(text).unwrap() {
            let id = table.id.clone();
            assert!(seen.insert(id.clone()), "{id} is there twice");
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(id.chars().all(plain), "{id}");
            assert!(table.text.as_ref().is_some_and(|text| !text.ends_with('.')), "{id}");
            assert!(table.description.as_ref().is_some_and(|text| text.ends_with('.')), "{id}");
            Rule::built_in(table, *severity).unwrap().check().unwrap();
        }
    }
    assert_eq!(rule_ids().len(), seen.len());
    assert!(seen.len() > 350, "{}", seen.len());
}

#[test]
fn each_kind_is_found_by_its_own_rule() {
    let mut left: BTreeSet<&str> = rule_ids().into_iter().collect();
    let mut missed = Vec::new();
    for line in include_str!("kinds.txt").lines() {
        let (id, form) = line.split_once('\t').unwrap();
        let id = format!("secret.{id}");
        let text = format!("Here you are:\n{}\nThanks!", token(form));
        let ids = ids(&text);
        if !ids.contains(&id) {
            missed.push((id.clone(), text, ids));
        }
        left.remove(id.as_str());
    }
    assert!(missed.is_empty(), "{missed:#?}");
    let elsewhere = [
        "secret.kubernetes_secret",
        "secret.password_beside_user",
        "secret.password_in_environment",
    ];
    assert_eq!(left.into_iter().collect::<Vec<_>>(), elsewhere);
}

#[test]
fn what_spans_lines_is_found() {
    let data = token("{a24}");
    for (id, text) in [
        (
            "kubernetes_secret",
            format!("kind: Secret\nmetadata:\n  name: x\ndata:\n  key: {data}\n"),
        ),
        ("kubernetes_secret", format!("data:\n  tls.key: {data}\nkind: Secret\n")),
        ("password_beside_user", "user = someone\npassword = open_sesame\n".to_owned()),
        ("password_in_environment", "export SHOP_DB_PASSWORD=centipede\n".to_owned()),
        ("secret_assigned", format!("<apiToken>\n    {data}\n</apiToken>")),
        ("secret_assigned", format!("System.setProperty(\"API_TOKEN\", \"{data}\")")),
        ("secret_assigned", format!("https://x.example/?session={data}&lang=en")),
    ] {
        assert!(ids(&text).contains(&format!("secret.{id}")), "{id}: {text} {:?}", ids(&text));
    }
}

#[test]
fn near_misses_are_no_finds() {
    let mut found = Vec::new();
    for form in [
        "AKIA{u15}",
        "akia{d16}",
        "ghp_{a20}",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "glpat-{a19}",
        "xoxb-xxx",
        "https://github.com/xoxa-nyc/xoxa-nyc.github.io",
        "sk-ant-api03-{a20}",
        "AIza{a20}",
        "npm_{a20}",
        "dop_v1_{h20}",
        "hvs.short",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----",
        "SG.{a22}..{a10}",
        "AGE-SECRET-KEY-1",
        "token = get_token(request)",
        "let key = some_module::KeyKind2;",
        "password: ${{}DB_PASSWORD{}}",
        "password = os.environ",
        "api_key: \"{{}{{} .Values.apiKey {}}{}}\"",
        "API_KEY=your-api-key-here",
        "token: SyntaxToken",
        "the key is to sleep well",
        "access 2026-11-21",
        "key-exchange-x25519mlkem768",
        "public key: {a40}",
        "commit {h40}",
        "sha256: {h64}",
        "https://example.com:8080/path@2",
        "git@github.com:some/where.git",
        "version = \"1.2.3-rc.10\"",
        "postgres://user:$PASSWORD@localhost/x",
        "Authorization: Bearer <token>",
        "Authorization: Bearer $TOKEN",
    ] {
        let text = token(form);
        found.extend(ids(&text).into_iter().map(|id| (id, text.clone())));
    }
    assert_eq!(found, Vec::new());
}

#[test]
fn the_first_rules_keep_their_ids_and_texts() {
    for (id, text) in [
        ("secret.private_key", "a private key block"),
        ("secret.aws_access_key", "an AWS access key id"),
        ("secret.github_token", "a GitHub token"),
        ("secret.gitlab_token", "a GitLab personal access token"),
        ("secret.slack_token", "a Slack token"),
        ("secret.anthropic_key", "an Anthropic API key"),
        ("secret.openai_key", "an OpenAI API key"),
        ("secret.stripe_key", "a Stripe live key"),
        ("secret.google_api_key", "a Google API key"),
        ("secret.npm_token", "an npm token"),
        ("secret.age_key", "an age secret key"),
    ] {
        let rule = built_in().iter().find(|rule| rule.id() == id).unwrap();
        assert_eq!((rule.text().as_ref(), rule.severity()), (text, Severity::Critical), "{id}");
    }
}

#[test]
fn of_overlapping_finds_the_one_that_says_most_is_kept() {
    let key = token("ghp_{a36}");
    let text = format!("GITHUB_TOKEN=\"{key}\"");
    assert_eq!(found(standard(), &text), [("secret.github_token".to_owned(), key)]);
}

#[test]
fn a_span_is_the_secret_and_lies_between_characters() {
    let key = token("AKIA{u16}");
    let text = format!("🔑{key}🔑 mot de passe: password = \"é{}7é\"", token("{a8}"));
    let all = found(standard(), &text);
    assert_eq!(all[0], ("secret.aws_access_key".to_owned(), key));
    assert!(all[1].1.starts_with('é') && all[1].1.ends_with('é'), "{all:?}");
}

#[test]
fn rules_of_a_user_add_finds_and_take_none_away() {
    let further = rule(
        "[[rules]]\nid = 'short'\nregex = 'Q{5}'\nkeywords = ['QQ', 'qqqqq']\n\
         [[rules]]\nid = 'our-ticket'\ndescription = 'x'\nregex = 'TICKET-([0-9]{4})'\nkeywords = ['ticket']\ntags = ['t']\npath = 'x'\n\
         [[rules]]\nid = 'everything'\nregex = '(?i)ghp_\\w+'\n",
    );
    let secrets = Secrets::with(&further).unwrap();
    let key = token("ghp_{a36}");
    let all = found(&secrets, &format!("TICKET-1234 {key}"));
    let pair = |id: &str, text: &str| (id.to_owned(), text.to_owned());
    assert_eq!(all.len(), 3, "{all:?}");
    for one in [
        pair("secret.our_ticket", "1234"),
        pair("secret.everything", &key),
        pair("secret.github_token", &key),
    ] {
        assert!(all.contains(&one), "{all:?}");
    }
    assert_eq!(found(&secrets, "QQQQQ"), [pair("secret.short", "QQQQQ")]);
    let hit = &scan(&secrets, "TICKET-1234")[0];
    assert_eq!(
        (hit.severity, hit.text.as_ref()),
        (Severity::High, "what the rule `our-ticket` looks for")
    );
}

#[test]
fn lists_let_through_what_they_name() {
    let check = |lists: &str, text: &str, expected: &[&str]| {
        let toml = format!("[[rules]]\nid = 'zz'\nregex = 'zz-(\\w+)'\n{lists}");
        let secrets = Secrets::with(&rule(&toml)).unwrap();
        let found: Vec<_> = found(&secrets, text).into_iter().map(|(_, text)| text).collect();
        assert_eq!(found, expected, "{lists}");
    };
    let text = "zz-one zz-two\nzz-twoone";
    check("", text, &["one", "two", "twoone"]);
    check("entropy = 1.5", text, &["one", "two", "twoone"]);
    check("entropy = 1.6", text, &["twoone"]);
    check("entropy = 2", text, &["twoone"]);
    check("[[rules.allowlists]]\nstopwords = ['ONE']", text, &["two"]);
    check("[rules.allowlist]\nregexes = ['^o']", text, &["two", "twoone"]);
    check("[[rules.allowlists]]\nregexTarget = 'match'\nregexes = ['^zz-t']", text, &["one"]);
    check("[[rules.allowlists]]\nregexTarget = 'line'\nregexes = ['two$']", text, &["twoone"]);
    let far = format!("zz-one zz-two{}stop", " ".repeat(252));
    check("[[rules.allowlists]]\nregexTarget = 'line'\nregexes = ['stop']", &far, &["one"]);
    let both = "condition = 'AND'\nregexes = ['^t']\nstopwords = ['one']";
    check(&format!("[[rules.allowlists]]\n{both}"), text, &["one", "two"]);
    let elsewhere = format!("[[rules.allowlists]]\n{both}\npaths = ['x']");
    check(&elsewhere, text, &["one", "two", "twoone"]);
    check("[[allowlists]]\ntargetRules = ['zz']\nstopwords = ['one']", text, &["two"]);
    check(
        "[[allowlists]]\ntargetRules = ['yy']\nstopwords = ['one']",
        text,
        &["one", "two", "twoone"],
    );
    check("secretGroup = 0", text, &["zz-one", "zz-two", "zz-twoone"]);
    check("skipReport = true", text, &[]);
}

#[test]
fn a_list_of_rules_is_a_part_of_other_files() {
    #[derive(serde::Deserialize)]
    struct Policy {
        rules: Vec<RuleTable>,
    }
    let text = "[[rules]]\nid = 'x'\nregex = 'x'\nseverity = 'low'\nentropy = 3\n[[rules]]\nid = 'y'\nregex = 'y'\n";
    let policy: Policy = toml::from_str(text).unwrap();
    assert_eq!(policy.rules, rule(text));
    assert_eq!(Secrets::with(&policy.rules).unwrap().rules.len(), rule_ids().len() + 2);
}

#[test]
fn a_rule_that_cannot_be_used_says_why() {
    for (toml, part) in [
        ("[[rules]]\nid = 'x'\nregexp = 'x'", "unknown field `regexp`"),
        ("[[rules]]\nregex = 'x'", "missing field `id`"),
        ("[[rules]]\nid = 'x'\nregex = 'x'\nentropy = 9", "entropy is 0 to 8 bits a byte"),
        (
            "[[rules]]\nid = 'x'\nregex = 'x'\n[[rules.allowlists]]\ncondition = 'XOR'",
            "unknown variant",
        ),
        ("[[rules]]\nid = 'x y'\nregex = 'x'", "a rule's id is 1 to 64"),
        ("[[rules]]\nid = 'x'\npath = 'x'", "rule `x` has no `regex`"),
        ("[[rules]]\nid = 'x'\nregex = '('", "rule `secret.x`: regex parse error"),
        ("[[rules]]\nid = 'x'\nregex = 'x'\nsecretGroup = 1", "`secretGroup` names a group"),
        ("[[rules]]\nid = 'x'\nregex = 'x'\nkeywords = ['']", "a keyword is empty"),
        ("[[rules]]\nid = 'x'\nregex = 'x'\nvalue = 'x'", "`value` goes with `names`"),
        ("[[rules]]\nid = 'x'\nregex = '\\w{1000}{1000}'", "size limit"),
    ] {
        let error = RuleTable::parse(toml).and_then(|tables| Secrets::with(&tables)).unwrap_err();
        assert!(error.to_string().contains(part), "{toml}: {error}");
    }
}

#[test]
fn a_rule_reads_each_byte_at_most_once_whatever_the_text() {
    let secrets = standard();
    let keywords: Vec<&str> =
        secrets.rules.iter().flat_map(|rule| rule.keywords()).map(String::as_str).collect();
    for text in [keywords.concat().repeat(4), "key token secret ".repeat(4000), "a".repeat(65_536)]
    {
        let mut last: Option<engine::Window> = None;
        for window in secrets.prefilter.windows(text.as_bytes(), &places(secrets, &text)) {
            assert!(window.span.end <= text.len());
            if let Some(last) = last.filter(|last| last.rule == window.rule) {
                assert!(last.span.end < window.span.start, "{last:?} {window:?}");
            }
            last = Some(window);
        }
    }
}

#[test]
fn a_value_is_found_wherever_it_lies() {
    let key = token("ghp_{a36}");
    let run = token("abcd_{a40}");
    for before in [0, 1, 29, 30, 31, 1000] {
        for after in [0, 1, 1000] {
            let text = format!("{}{key} {run}{}", "- ".repeat(before), " -".repeat(after));
            let expected = ["secret.github_token", "secret.prefixed_token"];
            assert_eq!(ids(&text), expected, "{before} {after}");
        }
    }
}
