//! The command line: exit codes, the shapes of `--json`, and what is said to wrong input.

use std::{collections::BTreeSet, fs, time::Duration};

use countersign::{
    base::{Secret, Timestamp},
    wire::invite::Invite,
};
use serde_json::Value;

use crate::support::{
    Home, Output, alice, bob, knock,
    pairing::{friends, id},
    pty,
};

const PASSPHRASE: &str = "plum tractor sings below the aqueduct";

/// Fails unless `value` has each of `fields`.
#[track_caller]
fn has(value: &Value, fields: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value:#}"));
    let there: BTreeSet<&str> = object.keys().map(String::as_str).collect();
    let missing: Vec<&&str> = fields.iter().filter(|field| !there.contains(**field)).collect();
    assert!(missing.is_empty(), "{missing:?} not in {value:#}");
}

/// RFC 3339 in UTC.
#[track_caller]
fn is_time(value: &Value) {
    let text = value.as_str().unwrap_or_default();
    assert!(text.len() >= 20 && text.ends_with('Z') && text.contains('T'), "no time: {value}");
}

#[test]
fn json_has_the_shapes_of_the_contract() {
    let (alice, bob) = (alice(), bob());
    let whoami = alice.json(&["whoami"]);
    let fields = ["id", "name", "words", "did", "approver", "network", "waiting", "unread"];
    has(&whoami, &fields);
    has(&whoami["approver"], &["set", "did"]);
    has(&whoami["network"], &["mode", "addresses"]);
    let (version, status) = (whoami["version"].clone(), alice.status());
    has(&status, &["running", "pid", "version", "peers_connected", "queued", "held"]);
    assert_eq!(status["version"], version);
    let invite = alice.json(&["invite"]);
    assert!(invite["invite"].as_str().unwrap().starts_with("countersign1"));
    is_time(&invite["expires_at"]);

    let (item, at_bob) = knock(&alice, &bob);
    let fields = ["id", "what", "peer", "reasons", "digest", "size_bytes", "words", "created_at"];
    has(&item, &fields);
    has(&item["peer"], &["name", "id", "claim", "verified"]);
    has(&item["reasons"][0], &["rule", "severity", "text"]);
    is_time(&item["created_at"]);
    is_time(&item["expires_at"]);
    alice.approve(id(&item));
    bob.approve(id(&at_bob));
    crate::support::pairing::trusted(&alice, &bob);
    let peer = alice.peer("bob").unwrap();
    has(&peer, &["name", "id", "claim", "state", "verified", "path", "grants"]);

    let sent = alice.json(&["send", "bob", "hello"]);
    has(&sent, &["id", "state", "findings"]);
    let message = bob.received_text("hello");
    let fields = ["id", "from", "to", "direction", "kind", "text", "truncated", "thread"];
    has(&message, &fields);
    has(&message, &["sent_at", "state", "untrusted"]);
    is_time(&message["sent_at"]);
    has(&bob.json(&["inbox"]), &["messages", "unread"]);
    let message = sent["id"].as_str().unwrap();
    has(&bob.json(&["read", message]), &["id", "text", "offset", "size_bytes"]);
    let life = alice.json(&["message", message]);
    has(&life, &["id", "to", "state", "history"]);
    has(&life["history"][0], &["state", "at"]);
    is_time(&life["history"][0]["at"]);
    has(&bob.json(&["message", message]), &["id", "from", "state", "history"]);
    has(&alice.json(&["policy", "check", "hello"]), &["verdict", "reasons"]);
    has(&alice.json(&["audit", "show"]), &["records", "more"]);
    has(&alice.json(&["revoke", "bob"]), &["peer", "state", "purged"]);
}

/// A wrong command, its exit code, and words that its error has.
type Wrong<'a> = (&'a [&'a str], i32, &'a [&'a str]);

#[track_caller]
fn check(home: &Home, table: &[Wrong<'_>]) {
    for (arguments, code, words) in table {
        let output = home.run(arguments).expect(*code).says(words);
        assert!(output.stdout.is_empty(), "an error is no data: {output}");
        assert!(!output.stderr.contains("panicked"), "{output}");
    }
}

#[test]
fn wrong_arguments_are_told_with_their_bound_and_the_next_step() {
    let (home, _bob) = friends();
    let long = "x".repeat(64 * 1024 + 1);
    let name = "n".repeat(33);
    let none = "00".repeat(16);
    check(
        &home,
        &[
            (&["send", "nobody", "x"], 1, &["nobody", "peers"]),
            (&["send", "bob", &long], 2, &["65537", "65536"]),
            (&["send", "bob", ""], 2, &["empty"]),
            (&["send", "bob", "x", "--reply-to", "nonsense"], 2, &["nonsense"]),
            (&["send", "bob", "x", "--reply-to", &none], 1, &[&none]),
            (&["send", "bob", "x", "--expires-hours", "0"], 2, &["720"]),
            (&["send", "bob", "x", "--expires-hours", "721"], 2, &["721", "720"]),
            (&["send"], 2, &["usage"]),
            (&["ask", "bob", "x", "--wait", "601"], 2, &["601", "600"]),
            (&["invite", "--expires-minutes", "0"], 2, &["10080"]),
            (&["invite", "--expires-minutes", "10081"], 2, &["10081", "10080"]),
            (&["invite", "--expires-minutes", "-5"], 2, &["-5"]),
            (&["invite", "--expires-minutes", "soon"], 2, &["soon"]),
            (&["invite", "--note", &long], 2, &["200"]),
            (&["connect", "hello"], 2, &["countersign1"]),
            (&["connect", "countersign2abc"], 2, &["later version"]),
            (&["connect", "countersign1abc", "--name", &name], 2, &["invite"]),
            (&["inbox", "--limit", "0"], 2, &["100"]),
            (&["inbox", "--limit", "101"], 2, &["101", "100"]),
            (&["inbox", "--cursor", "nonsense"], 2, &["cursor"]),
            (&["inbox", "--from", "nobody"], 1, &["nobody"]),
            (&["read", "nonsense"], 2, &["nonsense"]),
            (&["read", &none], 1, &["inbox"]),
            (&["message", "nonsense"], 2, &["nonsense"]),
            (&["message", &none], 1, &[&none]),
            (&["approve", "nonsense!"], 2, &["nonsense!"]),
            (&["deny", "aaaaaaaa"], 1, &["aaaaaaaa", "pending"]),
            (&["revoke", "nobody"], 1, &["nobody"]),
            (&["revoke", "Not A Name"], 1, &["Not A Name"]),
            (&["lunch"], 2, &["lunch"]),
            (&[], 2, &["usage"]),
        ],
    );
    assert_eq!(home.status()["running"], true, "the node has survived it");
}

#[test]
fn an_invite_that_cannot_be_used_says_why() {
    let (alice, bob) = (alice(), bob());
    let invite = alice.json(&["invite"])["invite"].as_str().unwrap().to_owned();
    let cut = &invite[..invite.len() - 7];
    let flip = if invite.ends_with("2a") { "3a" } else { "2a" };
    let damaged = format!("{}{flip}{}", &invite[..40], &invite[42..]);
    let expired = changed(&invite, |invite| invite.expires = Timestamp::from_ms(1));
    check(
        &bob,
        &[
            (&["connect", cut], 2, &["cut off"]),
            (&["connect", &damaged], 2, &["damaged"]),
            (&["connect", &expired], 2, &["expired", "1970"]),
            (&["connect", &invite, "--name", "Not A Name"], 2, &["lower-case"]),
        ],
    );
    let own = alice.run(&["connect", &invite]);
    assert!(matches!(own.code, Some(1 | 2)), "{own}");
    own.says(&["own"]);

    // Somebody who knows the address and not the secret is not heard.
    let guessed = changed(&invite, |invite| invite.secret = Secret::new([7; 16]));
    bob.run(&["connect", &guessed, "--name", "alice", "--json"]);
    let quiet = Duration::from_secs(2);
    crate::support::stays("alice's human is not asked", quiet, || alice.pending().is_empty());
}

/// The invite with one field changed and the checksum made to fit again.
fn changed(invite: &str, change: impl FnOnce(&mut Invite)) -> String {
    let mut invite = Invite::decode(invite, Timestamp::from_ms(0)).unwrap();
    change(&mut invite);
    invite.encode()
}

#[test]
fn every_command_has_help_with_an_example() {
    let home = Home::empty("nobody", PASSPHRASE);
    let all = home.run(&["--help"]).expect(0);
    let commands = [
        "init", "mcp", "node", "status", "stop", "whoami", "invite", "connect", "peers", "send",
        "ask", "inbox", "read", "message", "pending", "approve", "deny", "revoke", "doctor",
        "demo", "audit", "policy", "page", "watch", "grants",
    ];
    for command in commands {
        assert!(all.stdout.contains(command), "{command} is not in {all}");
        let help = home.run(&[command, "--help"]).expect(0);
        assert!(help.stdout.contains("Usage: countersign"), "{help}");
    }
    let nested = [
        ["audit", "show"],
        ["audit", "verify"],
        ["policy", "check"],
        ["policy", "inline"],
        ["grants", "end"],
    ];
    for command in nested {
        let help = home.run(&[command[0], command[1], "--help"]).expect(0);
        assert!(help.stdout.contains("Example"), "{help}");
    }
    let version = home.run(&["--version"]).expect(0);
    assert!(version.stdout.contains(env!("CARGO_PKG_VERSION")), "{version}");
    assert!(!home.path().exists(), "help makes no home");
}

#[test]
fn a_home_that_was_not_set_up_says_how() {
    let home = Home::empty("nobody", PASSPHRASE);
    for command in ["whoami", "peers", "pending", "node"] {
        home.run(&[command]).expect(1).says(&["countersign init", "countersign page"]);
    }
    let status = home.run(&["status", "--json"]);
    assert_eq!(status.json()["running"], false, "{status}");
    let output = Output::of({
        let mut command = home.command(&["status"]);
        command.env("COUNTERSIGN_NETWORK", "mars");
        command
    });
    assert!(output.code.is_some_and(|code| code <= 2), "{output}");
}

#[test]
fn page_makes_a_home_without_an_approver_and_init_completes_it() {
    let home = Home::empty("carol", PASSPHRASE);
    home.run(&["page", "--name", "two\nlines"]).expect(2).says(&["--name"]);
    assert!(!home.path().exists(), "nothing is made by what is refused");
    // Whatever becomes of the link: the home is there, and a node runs in it.
    home.run(&["page", "--name", "carol"]).says(&["carol"]);
    let me = home.json(&["whoami"]);
    assert_eq!((&me["name"], &me["approver"]["set"]), (&"carol".into(), &false.into()));
    assert!(!home.path().join("approver.key").exists());
    home.run(&["page", "--name", "dora"]).expect(2).says(&["--name"]);
    assert_eq!(home.id(), me["id"].as_str().unwrap(), "and the identity stays");
    pty::init(&home, PASSPHRASE).expect(0);
    assert!(home.path().join("approver.key").exists());
}

#[test]
fn a_home_is_made_once_and_closed_to_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::empty("once", PASSPHRASE);
    pty::init(&home, PASSPHRASE).expect(0);
    let mode = |name: &str| {
        let path = home.path().join(name);
        fs::metadata(&path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode(""), mode("identity.key"), mode("approver.key")), (0o700, 0o600, 0o600));
    let before = fs::read(home.path().join("identity.key")).unwrap();
    home.run(&["init", "--name", "twice"]).expect(1).says(&["set up already", "COUNTERSIGN_HOME"]);
    assert_eq!(fs::read(home.path().join("identity.key")).unwrap(), before);
    home.start();
    assert_eq!(mode("node.sock"), 0o600);
    assert_eq!(mode("countersign.db") & 0o077, 0);
    home.stop();

    // A key that others can read is not used.
    let path = home.path().join("identity.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    home.run(&["node"]).expect(1).says(&["chmod 600", "644"]);
}

#[test]
fn a_home_where_nothing_can_be_written_is_told() {
    let home = Home::empty("nobody", PASSPHRASE);
    // A file where the folder should be: refused to every user, the superuser too.
    fs::write(home.path(), "not a folder").unwrap();
    home.run(&["whoami"]).expect(1).says(&["/h"]);
    let mut terminal = pty::Terminal::open(&home, &["init", "--name", "x"]);
    while terminal.comes_to_ask() {
        terminal.answer(PASSPHRASE);
    }
    let output = terminal.finish().expect(1);
    assert!(output.stdout.contains("/h"), "{output}");
    fs::remove_file(home.path()).unwrap();
}

#[test]
fn a_second_node_says_who_holds_the_home() {
    let home = alice();
    let pid = home.pid().unwrap().to_string();
    let second = home.run(&["node"]);
    assert!(matches!(second.code, Some(0 | 1)), "{second}");
    let said = format!("{}{}", second.stdout, second.stderr);
    assert!(said.contains(&pid), "{second}");
    assert_eq!(home.pid().unwrap().to_string(), pid, "the first one goes on");
}

#[test]
fn status_and_stop_start_nothing_and_may_be_said_twice() {
    let home = alice();
    assert_eq!(home.run(&["status", "--json"]).expect(0).json()["running"], true);
    home.stop();
    let status = home.run(&["status", "--json"]);
    assert_eq!(status.json()["running"], false, "{status}");
    assert!(status.json()["pid"].is_null(), "{status}");
    let again = home.run(&["stop"]);
    assert!(matches!(again.code, Some(0 | 1)), "{again}");
    assert_eq!(home.pid(), None);
}

#[test]
fn a_node_that_was_killed_leaves_nothing_in_the_way() {
    let home = alice();
    let id = home.id();
    for _ in 0..3 {
        home.kill_node();
        home.start();
    }
    assert_eq!(home.id(), id);
    let status = home.status();
    let warnings = status["warnings"].as_array().into_iter().flatten().filter_map(|w| w.as_str());
    // Other homes of this machine may have taken its port meanwhile.
    let others: Vec<&str> = warnings.filter(|warning| !warning.starts_with("port ")).collect();
    assert!(others.is_empty(), "nothing to warn of: {others:?}");
}
