//! What must be told nowhere: the passphrase, the codes, the cookie and the forms' token.

use std::{fs, path::Path};

use super::visitor::{Visitor, act, cookie_of, field, hold, open_with, way_in};
use crate::support::{Home, pairing::friends};

/// Every file under `folder`, with its bytes.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap().map_while(Result::ok) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            files(&path, found);
        } else if kind.is_file() {
            // A socket or a file that went meanwhile has nothing to read.
            found.push((path.display().to_string(), fs::read(&path).unwrap_or_default()));
        }
    }
}

fn has(bytes: &[u8], part: &str) -> bool {
    memchr::memmem::find(bytes, part.as_bytes()).is_some()
}

/// Pages that are read with a session.
const PAGES: [&str; 9] = [
    "/waiting",
    "/conversations",
    "/peers",
    "/evidence",
    "/evidence/export",
    "/settings",
    "/search?q=key",
    "/open",
    "/nowhere",
];

#[test]
fn neither_files_nor_logs_nor_answers_tell_what_opens_the_page() {
    let (alice, bob) = friends();
    let items: Vec<String> = (0..4).map(|number| hold(&alice, "bob", number)).collect();
    let (port, code) = way_in(&alice);
    let opened = open_with(port, &code).expect(303);
    let cookie = cookie_of(&opened).unwrap();
    let mut visitor = Visitor { port, cookie, csrf: String::new() };
    visitor.csrf = field(&visitor.get("/settings").text(), "csrf").unwrap();
    let (_, unused) = way_in(&alice);
    let wrong = "a wrong passphrase that nobody has";
    let pass = alice.passphrase;
    let mut answers = vec![opened];
    let mut told = |path: &str, fields: &[(&str, &str)]| {
        let sent = visitor.form(path, fields).send();
        if let Some(place) = sent.header("location") {
            answers.push(visitor.get(place));
        }
        answers.push(sent);
    };
    told("/unlock", &[("passphrase", wrong)]);
    told("/unlock", &[("passphrase", pass)]);
    let digests: Vec<String> = items.iter().map(|item| visitor.digest(item)).collect();
    told(&act(&items[0], "approve"), &[("digest", &digests[0])]);
    told(&act(&items[1], "approve"), &[("digest", &digests[1]), ("passphrase", pass)]);
    let bounds = [("hours", "1"), ("messages", "1"), ("severity", "high")];
    let grant =
        [&[("digest", digests[2].as_str()), ("passphrase", pass)], bounds.as_slice()].concat();
    told(&act(&items[2], "grant"), &grant);
    told("/settings/inline", &[&[("passphrase", pass)], bounds.as_slice()].concat());
    told(&act(&items[3], "approve"), &[("digest", "0"), ("passphrase", pass), ("note", pass)]);
    // Where it does not belong, it is not said again either.
    for path in ["/peers/invite", "/peers/connect", "/setup", "/lock", "/grants/abcdefgh/end"] {
        told(path, &[("passphrase", pass)]);
    }
    open_with(port, "a-code-that-is-none");
    for path in PAGES {
        answers.push(visitor.get(path));
        answers.push(visitor.request("GET", path).header("Host", "evil.example").send());
        answers.push(visitor.request("POST", path).header("Origin", "null").send());
    }
    let value = visitor.cookie.split_once('=').unwrap().1.to_owned();
    let mut set = 0;
    for answer in &answers {
        let text = answer.text();
        let heads = format!("{:?}", answer.headers);
        for told in [pass, wrong, &code, &unused] {
            assert!(!text.contains(told) && !heads.contains(told), "{told} in {heads} {text}");
        }
        assert!(!text.contains(&value), "a page tells its cookie: {heads}");
        assert!(!heads.contains(&visitor.csrf), "{heads}");
        set += usize::from(heads.contains(&value));
    }
    assert_eq!(set, 1, "the cookie is said once, when it is given");
    let others = [
        visitor.request("GET", "/waiting").without("Cookie"),
        Visitor::open(&alice).request("GET", "/settings"),
    ];
    assert!(others.iter().all(|other| !other.send().text().contains(&visitor.csrf)));
    for home in [&alice, &bob] {
        assert_quiet(home, &[pass, wrong, &code, &unused, &value, &visitor.csrf]);
    }
    alice.stop();
    assert_quiet(&alice, &[pass, wrong, &code, &unused, &value, &visitor.csrf]);
}

fn assert_quiet(home: &Home, secrets: &[&str]) {
    let mut found = Vec::new();
    // The home, and beside it what the node says.
    files(home.path().parent().unwrap(), &mut found);
    assert!(
        found.iter().any(|(name, bytes)| name.ends_with("countersign.db") && !bytes.is_empty())
    );
    assert!(found.iter().any(|(name, _)| name.ends_with("node.out")));
    for (name, bytes) in &found {
        for secret in secrets {
            assert!(!has(bytes, secret), "{name} has {secret}");
        }
    }
}
