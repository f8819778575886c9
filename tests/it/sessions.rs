//! Sessions of clients, between real nodes: each has a name, and a message may be for one.

use std::{fs, path::PathBuf, process::Command};

use serde_json::{Value, json};

use crate::support::{Home, SOON, mcp::Session, output::Output, pairing::friends, until};

/// The texts that are new to a session, which then has seen them.
fn new_to(session: &Session) -> Vec<String> {
    let inbox = session.call("peer_inbox", json!({"unread": true}));
    // Between its two marks.
    let text =
        |message: &Value| message["text"].as_str().unwrap().lines().nth(1).unwrap().to_owned();
    inbox["messages"].as_array().unwrap().iter().map(text).collect()
}

/// `countersign mcp` in a folder of its own.
fn in_folder(home: &Home, folder: &str, arguments: &[&str]) -> Command {
    let path: PathBuf = home.path().with_file_name(folder);
    fs::create_dir_all(&path).unwrap();
    let mut command = home.command(&[&["mcp"], arguments].concat());
    command.current_dir(path);
    command
}

/// Alice's node knows that Bob's knows sessions once it has heard its hello.
fn say(alice: &Home, to: &str, text: &str) {
    until(&format!("alice can send to {to}"), SOON, || {
        alice.run(&["send", to, text]).code == Some(0)
    });
}

#[test]
fn two_sessions_in_two_folders_get_what_is_for_each() {
    let (alice, bob) = friends();
    let api = Session::started_as(in_folder(&bob, "Api Server", &[]));
    let mut elsewhere = in_folder(&bob, "somewhere", &[]);
    elsewhere.env("CLAUDE_PROJECT_DIR", bob.path().with_file_name("web"));
    let web = Session::started_as(elsewhere);
    let mut named = in_folder(&bob, "somewhere", &[]);
    named.env("COUNTERSIGN_SESSION", "docs");
    let docs = Session::started_as(named);
    for session in [&api, &web, &docs] {
        assert!(new_to(session).is_empty());
    }
    let listed = bob.json(&["sessions"])["sessions"].as_array().unwrap().clone();
    let names: Vec<_> = listed.iter().map(|session| session["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["api-server", "docs", "web"], "{listed:#?}");
    assert!(listed[0]["project"].as_str().unwrap().ends_with("/Api Server"), "{listed:#?}");
    assert_eq!((&listed[2]["open"], &listed[2]["transport"]), (&json!(true), &json!("stdio")));

    say(&alice, "bob/web", "for web alone");
    say(&alice, "bob", "for every one");
    bob.received_text("for every one");
    assert_eq!(new_to(&api), ["for every one"]);
    assert_eq!(new_to(&web), ["for web alone", "for every one"]);
    assert_eq!(new_to(&web), Vec::<String>::new());
    let asked = docs.call("peer_send", json!({"to": "alice", "text": "docs asks"}));
    alice.received_text("docs asks");
    alice.json(&["send", "bob", "an answer", "--reply-to", asked["id"].as_str().unwrap()]);
    bob.received_text("an answer");
    assert!(new_to(&api).is_empty() && new_to(&web).is_empty());
    assert_eq!(new_to(&docs), ["for every one", "an answer"]);

    // The name is the folder's, so whoever comes back has seen what it has seen.
    api.close();
    let api = Session::started_as(in_folder(&bob, "Api Server", &[]));
    assert!(new_to(&api).is_empty());
}

#[test]
fn a_session_can_be_asked_and_its_reply_is_waited_for() {
    let (alice, bob) = friends();
    let web = Session::started_as(in_folder(&bob, "x", &["--session", "web"]));
    assert!(new_to(&web).is_empty());
    say(&alice, "bob/web", "first");
    let asker = Session::started_as(in_folder(&alice, "y", &[]));
    let question = json!({"to": "bob/web", "text": "which port?", "wait_seconds": 60});
    let asking = asker.start_call("peer_ask", &question);
    let request = until("web is asked", SOON, || {
        let inbox = web.call("peer_inbox", json!({"unread": true}));
        inbox["messages"].as_array().unwrap().iter().find(|m| m["kind"] == "request").cloned()
    });
    let reply = json!({"to": "alice", "text": "7000", "reply_to": request["id"]});
    web.call("peer_send", reply);
    let answer = crate::support::mcp::outcome(&asker.answer(asking, SOON)).unwrap();
    assert!(answer["reply"]["text"].as_str().unwrap().contains("7000"), "{answer:#}");
}

#[test]
fn a_name_that_is_none_ends_the_process_with_what_is_allowed() {
    let home = Home::empty("alice", "x");
    let check = |output: Output| {
        assert_eq!(output.code, Some(2), "{output}");
        assert!(output.stderr.contains("lower-case letters, digits"), "{output}");
    };
    check(home.run(&["mcp", "--session", "My Project"]));
    let mut command = home.command(&["mcp"]);
    command.env("COUNTERSIGN_SESSION", "my/project");
    check(Output::of(command));
}
