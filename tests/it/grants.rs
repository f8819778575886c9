//! Grants through real nodes: signed at a terminal, counted over crashes, ended by either human.

use std::thread;

use serde_json::{Value, json};

use crate::support::{
    Home, SOON,
    mcp::Session,
    pairing::friends,
    pty::{self, Terminal},
    until,
};

/// Held without a grant; put together here, so that no scanner of repositories takes it for real.
fn secret(number: usize) -> String {
    format!("key {number}: {}{}", "AKIA", "ABCD2345EFGH6723")
}

/// Sends something and gives what came of it, held or not.
fn send(home: &Home, number: usize) -> Value {
    let output = home.run(&["send", "bob", &secret(number), "--json"]);
    assert!(matches!(output.code, Some(0 | 3)), "{output}");
    output.json()
}

fn is_held(sent: &Value) -> bool {
    sent["state"] == "held"
}

/// Approves an item together with a grant for the like of it.
fn allow(home: &Home, item: &str, messages: &str) {
    let words = ["approve", item, "--for", "1", "--messages", messages];
    let mut terminal = Terminal::open(home, &words);
    terminal.answer(home.passphrase);
    terminal.finish().expect(0);
}

/// Alice and Bob, with a grant for so many more messages like the one that was approved.
fn with_grant(messages: &str) -> (Home, Home) {
    let (alice, bob) = friends();
    let sent = send(&alice, 0);
    assert!(is_held(&sent), "{sent:#}");
    allow(&alice, sent["pending"].as_str().unwrap(), messages);
    bob.received_text("key 0");
    (alice, bob)
}

fn grants(home: &Home) -> Vec<Value> {
    home.json(&["grants"])["grants"].as_array().unwrap().clone()
}

/// How often the audit chain says that a message passed by a grant.
fn passed(home: &Home) -> usize {
    assert_eq!(home.json(&["audit", "verify"])["ok"], true);
    let records = home.json(&["audit", "show"])["records"].clone();
    let passed = |record: &&Value| record["event"]["event"] == "passed";
    records.as_array().unwrap().iter().filter(passed).count()
}

/// The methods of what came in, oldest first.
fn methods(home: &Home) -> Vec<Value> {
    home.received().iter().map(|message| message["countersigned"]["method"].clone()).collect()
}

#[test]
fn a_grant_lets_the_like_pass_so_often_and_no_more() {
    let (alice, bob) = with_grant("2");
    assert_eq!(grants(&alice)[0]["messages_left"], 2);
    let other = ["-----BEGIN RSA PRIVATE", " KEY-----\nMIIE"].concat();
    let other = json!({"to": "bob", "text": other});
    let other = Session::legacy(&alice).call("peer_send", other);
    assert!(is_held(&other), "another finding is none of it: {other:#}");
    for number in 1..=2 {
        assert!(!is_held(&send(&alice, number)));
        bob.received_text(&secret(number));
    }
    for number in 3..=4 {
        assert!(is_held(&send(&alice, number)), "it is used up");
    }
    assert_eq!(methods(&bob), ["passphrase", "grant", "grant"]);
    assert_eq!(passed(&alice), 2);
}

#[test]
fn a_grant_with_a_rate_lets_so_many_pass_an_hour_and_a_kind_no_other() {
    let (alice, bob) = friends();
    let item = send(&alice, 0)["pending"].as_str().unwrap().to_owned();
    let narrow = ["approve", &item, "--for", "1", "--per-hour", "1", "--same-kind"];
    let mut terminal = Terminal::open(&alice, &narrow);
    terminal.shows("not more than 1 of them within an hour, each of the kind text");
    terminal.answer(alice.passphrase);
    terminal.finish().expect(0);
    bob.received_text("key 0");
    let ask = alice.json_code(&["ask", "bob", &secret(9), "--wait", "0"], 3);
    assert!(is_held(&ask), "a request is no text: {ask:#}");
    assert!(!is_held(&send(&alice, 1)));
    alice.stop();
    alice.start();
    assert!(is_held(&send(&alice, 2)), "one an hour, over a restart");
    assert_eq!(grants(&alice)[0]["per_hour_max"], 1);
    let listed = alice.run(&["pending"]).expect(0).stdout;
    assert!(listed.contains("you approved 1 like it"), "{listed}");
    assert!(listed.contains("--for 24 --messages 20"), "{listed}");
    assert_eq!(methods(&bob), ["passphrase", "grant"]);
}

#[test]
fn many_at_once_do_not_make_a_grant_longer() {
    let (alice, bob) = with_grant("2");
    let sent: Vec<Value> = thread::scope(|scope| {
        let alice = &alice;
        let sends: Vec<_> =
            (1..=8).map(|number| scope.spawn(move || send(alice, number))).collect();
        sends.into_iter().map(|each| each.join().unwrap()).collect()
    });
    assert_eq!(sent.iter().filter(|sent| !is_held(sent)).count(), 2, "{sent:#?}");
    // One session that does not wait for answers is no other.
    let session = Session::legacy(&alice);
    let calls: Vec<u64> = (11..=18)
        .map(|number| {
            session.start_call("peer_send", &json!({"to": "bob", "text": secret(number)}))
        })
        .collect();
    for call in calls {
        let answer = session.answer(call, SOON);
        assert_eq!(answer["result"]["structuredContent"]["state"], "held", "{answer:#}");
    }
    until("both have arrived", SOON, || bob.received().len() == 3);
    assert_eq!((methods(&bob).len(), passed(&alice)), (3, 2));
}

#[test]
fn a_crash_gives_a_grant_nothing_back() {
    let (alice, bob) = with_grant("2");
    bob.stop();
    let first = send(&alice, 1);
    assert!(!is_held(&first));
    alice.kill_node();
    alice.start();
    assert_eq!(grants(&alice)[0]["messages_left"], 1);
    assert!(!is_held(&send(&alice, 2)));
    alice.kill_node();
    alice.start();
    assert!(is_held(&send(&alice, 3)), "it is used up");
    assert_eq!(passed(&alice), 2);
    bob.start();
    bob.received_text(&secret(2));
    assert_eq!(methods(&bob), ["passphrase", "grant", "grant"]);

    // Killed in the middle of a send: it passed and was counted, or did neither.
    let more = alice.pending()[0]["id"].as_str().unwrap().to_owned();
    allow(&alice, &more, "1");
    let pid = alice.pid().unwrap();
    let mut sending = alice.command(&["send", "bob", &secret(4), "--json"]).spawn().unwrap();
    alice.kill(pid);
    sending.wait().unwrap();
    if alice.pid().is_none() {
        alice.start();
    }
    let again = [send(&alice, 5), send(&alice, 6)];
    assert!(again.iter().any(is_held), "{again:#?}");
    assert!(passed(&alice) <= 3, "never more often than was signed");
    until("what passed has arrived", SOON, || alice.status()["queued"] == 0);
    assert!(bob.received().len() <= 5);
}

#[test]
fn a_grant_that_was_ended_lets_nothing_pass_and_is_not_taken_back() {
    let (alice, bob) = with_grant("5");
    assert!(!is_held(&send(&alice, 1)));
    let grant = grants(&alice)[0]["id"].as_str().unwrap().to_owned();
    bob.run(&["grants", "end", &grant]).expect(1);
    alice.run(&["grants", "end", &grant]).expect(0);
    assert!(grants(&alice).is_empty());
    assert!(is_held(&send(&alice, 2)));
    alice.run(&["grants", "end", &grant]).expect(1);
    alice.stop();
    // Its row with the human's signature is still there; that it ended is what counts.
    let ended: i64 = alice
        .database()
        .query_row("SELECT count(*) FROM grants WHERE ended_ms IS NOT NULL", [], |row| row.get(0))
        .unwrap();
    assert_eq!(ended, 1);
    alice.start();
    assert!(grants(&alice).is_empty());
    assert!(is_held(&send(&alice, 3)));
}

#[test]
fn a_grant_does_not_outlive_the_trust_in_its_peer() {
    let (alice, bob) = with_grant("5");
    alice.json(&["revoke", "bob"]);
    assert!(grants(&alice).is_empty());
    crate::support::pair(&alice, &bob);
    assert!(grants(&alice).is_empty(), "trust that comes back brings no grant");
    assert!(is_held(&send(&alice, 7)));
    alice.stop();
    alice.start();
    assert!(grants(&alice).is_empty());
    assert!(is_held(&send(&alice, 8)));
}

#[test]
fn no_grant_without_the_passphrase() {
    let (alice, bob) = friends();
    let sent = send(&alice, 0);
    let item = sent["pending"].as_str().unwrap();
    let words = ["approve", item, "--for", "1", "--messages", "5"];
    for (typed, code) in [("", 3), ("not the passphrase of anyone", 1)] {
        let mut terminal = Terminal::open(&alice, &words);
        terminal.answer(typed);
        terminal.finish().expect(code);
    }
    let typed = format!("{}\n", alice.passphrase);
    alice.run_without_terminal(&words, &typed).expect(1);
    assert!(grants(&alice).is_empty() && is_held(&send(&alice, 1)));
    pty::approve(&alice, item, alice.passphrase).expect(0);
    assert!(grants(&alice).is_empty() && is_held(&send(&alice, 2)), "a yes alone is no grant");
    bob.received_text("key 0");
}
