//! `countersign watch`: what a person sees on a terminal, and which keys decide.

use rustix::process::{Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::support::{
    Home, PROGRAM, alice, bob, knock, mallory, pair,
    pairing::{friends, id, trusted},
    pty::Terminal,
};

/// A text with a secret's shape, put together here so that no scanner takes it for a real one.
fn secret(number: u32) -> String {
    format!("key {number} is {}", ["AKIA", "ABCD2345EFGH6723"].concat())
}

/// Sends a text that is held; gives the message's id and the item's.
fn held(home: &Home, text: &str) -> (String, String) {
    let sent = home.json_code(&["send", "bob", text], 3);
    let text = |field: &str| sent[field].as_str().unwrap_or_default().to_owned();
    (text("id"), text("pending"))
}

/// A watch that has begun.
fn watch(home: &Home) -> Terminal {
    let mut terminal = Terminal::open(home, &["watch"]);
    terminal.shows("? lists the keys");
    terminal
}

#[test]
fn an_item_that_arrives_is_shown_and_approved_with_a_key_and_the_passphrase() {
    let (alice, bob) = friends();
    let mut terminal = watch(&alice);
    let (message, item) = held(&alice, &secret(1));
    terminal.shows(&format!("waits for you: {item}, a message to bob; critical"));
    terminal.shows("\u{7}");
    terminal.press("a");
    terminal.shows(&secret(1));
    terminal.shows("Approval passphrase");
    terminal.answer(alice.passphrase);
    terminal.shows(&format!("approved {item}"));
    assert_eq!(bob.received_text("key 1")["countersigned"]["method"], "passphrase");
    terminal.shows(&format!("your message {} to bob: accepted", &message[..8]));
    terminal.press("q");
    let output = terminal.ends_as_usual().expect(0);
    assert!(!output.stdout.contains(alice.passphrase), "{output}");
}

#[test]
fn a_wrong_passphrase_and_a_wrong_key_decide_nothing() {
    let (alice, bob) = friends();
    let (_, item) = held(&alice, &secret(1));
    let mut terminal = watch(&alice);
    terminal.press("a");
    terminal.shows("Approval passphrase");
    terminal.answer("not the passphrase of anyone");
    terminal.shows("nothing was approved");
    terminal.press("a");
    terminal.shows("Approval passphrase");
    terminal.answer("");
    terminal.shows("Nothing was decided");
    for key in ["d", "b"] {
        for other in ["n", "d", "b", "\r", "\u{1b}[A"] {
            terminal.press(key);
            terminal.shows("y yes, any other key no");
            terminal.press(other);
            terminal.shows("Nothing was decided");
        }
    }
    // A text that is pasted is no row of keys.
    terminal.press("dyby");
    terminal.shows("one key at a time");
    terminal.press("y");
    terminal.shows("No such key");
    assert_eq!(alice.only_pending()["id"], item);
    terminal.press("q");
    terminal.ends_as_usual().expect(0);
    assert!(bob.received().is_empty());
    assert_eq!(alice.peer_state("bob"), "trusted");
}

#[test]
fn d_and_y_deny_what_is_selected() {
    let (alice, bob) = friends();
    let (first, one) = held(&alice, &secret(1));
    let (second, two) = held(&alice, &secret(2));
    let mut terminal = watch(&alice);
    terminal.press("n");
    terminal.shows(&format!("2 of 2 (selected): {two}"));
    terminal.press("s");
    terminal.shows(&secret(2));
    terminal.press("d");
    terminal.shows(&format!("Deny the message to bob ({two})?"));
    terminal.press("y");
    terminal.shows(&format!("denied {two}"));
    terminal.shows(&format!("1 of 1 (selected): {one}"));
    assert_eq!(alice.json(&["message", &second])["state"], "denied");
    assert_eq!(alice.json(&["message", &first])["state"], "held");
    terminal.press("b");
    terminal.shows("hear nothing of bob again");
    terminal.press("y");
    terminal.shows(&format!("denied {one}"));
    assert_eq!(alice.peer_state("bob"), "blocked");
    terminal.press("q");
    terminal.ends_as_usual().expect(0);
    assert!(bob.received().is_empty());
}

#[test]
fn a_new_peer_is_asked_about_its_words_before_the_passphrase() {
    let (alice, bob) = (alice(), bob());
    let (at_alice, at_bob) = knock(&alice, &bob);
    let mut terminal = watch(&alice);
    terminal.press("a");
    terminal.shows("Did you compare these four words");
    terminal.press("x");
    terminal.shows("Nothing was decided");
    assert_eq!(alice.only_pending()["id"], at_alice["id"]);
    terminal.press("a");
    terminal.shows("Did you compare these four words");
    terminal.press("y");
    terminal.shows("Approval passphrase");
    terminal.answer(alice.passphrase);
    terminal.shows("approved");
    bob.approve(id(&at_bob));
    terminal.shows("bob is trusted now");
    trusted(&alice, &bob);
    assert_eq!(alice.peer("bob").unwrap()["verified"], true);
    assert_eq!(bob.peer("alice").unwrap()["verified"], false);
    bob.send("alice", "good morning\u{1f980}");
    terminal.shows("from bob: \"good morning\u{1f980}\"");
    terminal.press("i");
    terminal.shows("1 not seen by your agent yet");
    terminal.press("q");
    terminal.ends_as_usual().expect(0);
}

#[test]
fn a_watch_goes_on_when_the_node_is_started_again() {
    let (alice, _bob) = friends();
    let mut terminal = watch(&alice);
    alice.stop();
    terminal.shows("the node has ended");
    terminal.press("s");
    terminal.shows("Nothing waits for you");
    alice.start();
    terminal.shows("the node runs again");
    let (_, item) = held(&alice, &secret(1));
    terminal.shows(&format!("waits for you: {item}"));
    terminal.press("q");
    terminal.ends_as_usual().expect(0);
}

#[test]
fn the_terminal_is_as_it_was_whatever_ends_a_watch() {
    let (alice, _bob) = friends();
    held(&alice, &secret(1));
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let mut terminal = watch(&alice);
        // Within the question for the passphrase too, where another modes hold.
        if signal == Signal::TERM {
            terminal.press("a");
            assert!(terminal.comes_to_ask());
        }
        assert!(!terminal.is_usual());
        kill_process(terminal.process(), signal).unwrap();
        terminal.ends_as_usual().expect(0);
    }
    let mut terminal = watch(&alice);
    terminal.press("\u{3}");
    terminal.ends_as_usual().expect(0);
}

#[test]
fn a_watch_that_is_stopped_leaves_the_terminal_and_comes_back() {
    let alice = alice();
    let mut terminal = watch(&alice);
    kill_process(terminal.process(), Signal::TSTP).unwrap();
    crate::support::until("the modes are given back", crate::support::SOON, || terminal.is_usual());
    // The modes come first, and before the stop there is nothing to continue.
    let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    crate::support::until("it has stopped", crate::support::SOON, || {
        waitid(WaitId::Pid(terminal.process()), stopped).unwrap().is_some()
    });
    kill_process(terminal.process(), Signal::CONT).unwrap();
    crate::support::until("keys are single again", crate::support::SOON, || !terminal.is_usual());
    // It says by itself how things are; two keys at once would be none.
    terminal.shows("Nothing waits for you");
    terminal.press("q");
    terminal.ends_as_usual().expect(0);
}

#[test]
fn no_part_of_an_item_stands_where_our_words_do_on_a_narrow_terminal() {
    let (alice, _bob) = friends();
    let text = format!("{}{}Approval passphrase:", secret(1), " ".repeat(40));
    let (_, item) = held(&alice, &text);
    let mut terminal = Terminal::open_sized(&alice, &[PROGRAM, "watch"], 40);
    terminal.shows("q quits");
    terminal.press("s");
    terminal.shows(&format!("item     {item}"));
    terminal.press("q");
    let output = terminal.ends_as_usual().expect(0);
    let wide: Vec<_> = output.stdout.lines().filter(|line| line.chars().count() > 40).collect();
    assert!(wide.is_empty(), "{wide:#?} of {output}");
    assert!(!output.stdout.lines().any(|line| line.starts_with("Approval pass")), "{output}");
}

#[test]
fn without_a_terminal_a_watch_says_so_and_quiet_rings_no_bell() {
    let (alice, _bob) = friends();
    alice.run_without_terminal(&["watch"], "ay").expect(1).says(&["terminal"]);
    alice.run(&["watch", "--json"]).expect(2).says(&["pending --json"]);
    let mut terminal = Terminal::open(&alice, &["watch", "--quiet"]);
    terminal.shows("? lists the keys");
    held(&alice, &secret(1));
    terminal.shows("waits for you: ");
    terminal.press("q");
    let output = terminal.ends_as_usual().expect(0);
    assert!(!output.stdout.contains('\u{7}'), "{output}");
}

#[test]
fn the_bell_rings_once_for_many_and_once_more_for_the_rest_of_them() {
    let (alice, _bob) = friends();
    let mut terminal = watch(&alice);
    let items: Vec<String> = (0..4).map(|number| held(&alice, &secret(number)).1).collect();
    for item in &items {
        terminal.shows(&format!("waits for you: {item}"));
    }
    assert_eq!(terminal.screen().matches('\u{7}').count(), 1, "{}", terminal.screen());
    alice.json(&["deny", &items[0]]);
    terminal.shows("3 items wait for you that did not ring before");
    terminal.shows("\u{7}");
    assert_eq!(terminal.screen().matches('\u{7}').count(), 2, "{}", terminal.screen());
    terminal.press("q");
    terminal.ends_as_usual().expect(0);
}

#[test]
fn a_watch_takes_the_device_where_stdin_is_something_else() {
    let alice = alice();
    let script = format!("echo ay | {PROGRAM} watch");
    let mut terminal = Terminal::open_program(&alice, &["/bin/sh", "-c", &script]);
    terminal.shows("? lists the keys");
    terminal.press("q");
    terminal.ends_as_usual().expect(0);
}

#[test]
fn a_peer_that_goes_and_comes_is_told() {
    let (alice, bob) = (mallory(), bob());
    pair(&alice, &bob);
    let mut terminal = watch(&alice);
    bob.stop();
    terminal.shows("bob went offline");
    bob.start();
    terminal.shows("bob can be reached: direct");
    terminal.press("q");
    terminal.ends_as_usual().expect(0);
}
