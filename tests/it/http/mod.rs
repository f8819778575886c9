//! MCP over HTTP, beside the page: who gets in, what they get, and when it ends.

mod caller;
mod events;
mod tls;

use std::{fs, time::Duration};

use caller::{ACCEPT, Caller, Legacy, message, port, token};
use serde_json::{Value, json};

use crate::support::{
    Home, SOON, alice,
    http::{Connection, Request},
    mcp::LEGACY,
    pairing::friends,
    until,
};

/// What `config.toml` says besides.
fn configure(home: &Home, more: &str) {
    home.stop();
    let file = home.path().join("config.toml");
    let config = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{config}\n{more}\n")).unwrap();
    home.start();
}

fn names(answer: &Value) -> Vec<&str> {
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[test]
fn both_eras_get_the_same_tools_over_http() {
    let home = alice();
    let caller = Caller::new(&home, "laptop");
    let legacy = caller.begin();
    let found = caller.result("server/discover", json!({}));
    assert!(found["result"]["supportedVersions"].to_string().contains(LEGACY), "{found}");
    let listed = caller.result("tools/list", json!({}));
    let tools = names(&listed);
    assert!(tools.contains(&"peer_send"), "{tools:?}");
    assert_eq!(tools, names(&legacy.result("tools/list", json!({}))));
    for answer in [caller.call("peer_whoami", json!({})), legacy.call("peer_whoami", json!({}))] {
        assert_eq!(answer["result"]["structuredContent"]["name"], "alice", "{answer}");
    }
    assert_eq!(legacy.request("DELETE").send().status, 204);
    assert!(!legacy.lives());
}

#[test]
fn a_token_is_shown_once_listed_and_ended() {
    let home = alice();
    let listed = home.run(&["token", "list"]).expect(0);
    assert!(listed.stdout.contains("No client may come"), "{listed}");
    let output = home.run(&["token", "new", "laptop"]).expect(0);
    let token = output.stdout.trim_end();
    assert!(output.stderr.contains(&format!(":{}/mcp", port(&home))), "{output}");
    assert!(!output.stderr.contains(token), "{output}");
    home.run(&["token", "new", "laptop"]).expect(2).says(&["laptop already"]);
    home.run(&["token", "new", "Not Plain"]).expect(2);
    let made = home.json(&["token", "new", "other"]);
    assert_eq!(made["name"], "other");
    let listed = home.json(&["token", "list"]);
    assert_eq!(listed["tokens"][0]["name"], "laptop");
    assert!(listed["tokens"][0]["used_at"].is_null(), "{listed}");
    assert_eq!(listed["tokens"].as_array().unwrap().len(), 2);
    let revoked = home.json(&["token", "revoke", "laptop"]);
    assert_eq!(revoked["left"], 1, "{revoked}");
    home.run(&["token", "revoke", "laptop"]).expect(1).says(&["token list"]);
    let records = home.json(&["audit", "show"])["records"].to_string();
    assert!(records.contains("token_made") && records.contains("token_ended"), "{records}");
    home.stop();
    for file in fs::read_dir(home.path()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap_or_default();
        let kept = memchr::memmem::find(&bytes, token.as_bytes()).is_some();
        assert!(!kept, "the token itself is nowhere on disk");
    }
}

#[test]
fn without_a_good_token_there_is_nothing_and_nobody_is_locked_out() {
    let home = alice();
    let caller = Caller::new(&home, "laptop");
    let hello = caller.hello();
    let refused = caller.post(&hello).without("Authorization").send().expect(401);
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    assert_eq!(refused.text(), "");
    let cookie = "countersign=x; session=y";
    caller.post(&hello).without("Authorization").header("Cookie", cookie).send().expect(401);
    let wrong = Caller { token: caller.token.replace("cs_", "cs_a"), ..caller.clone() };
    for _ in 0..10 {
        wrong.post(&hello).send().expect(401);
    }
    let late = until("many wrong tokens are told to wait", SOON, || {
        let response = wrong.post(&hello).send();
        (response.status == 429).then_some(response)
    });
    assert_eq!(late.header("retry-after"), Some("60"));
    caller.begin();
    // A bearer is nothing to the page, and there is no way in for a browser's scripts.
    let page = Request::get(caller.port, "/waiting").header("Authorization", &wrong.token);
    page.send().expect(401);
    let page = Request::get(caller.port, "/waiting");
    page.header("Authorization", &format!("Bearer {}", caller.token)).send().expect(401);
    let options = caller.request("OPTIONS", "/mcp").send();
    assert!(options.status >= 400);
    let cross = options.headers.iter().any(|(name, _)| name.contains("access-control"));
    assert!(!cross, "{:?}", options.headers);
}

#[test]
fn another_host_or_origin_gets_nothing_even_with_the_token() {
    let home = alice();
    let caller = Caller::new(&home, "laptop");
    let port = caller.port;
    let post = || caller.post(&caller.hello());
    for host in ["evil.example", "evil.example:80", "localhost", "localhost:1"] {
        post().header("Host", host).send().expect(403);
    }
    for origin in ["http://evil.example", "null", "https://localhost"] {
        post().header("Origin", origin).send().expect(403);
    }
    for host in ["127.0.0.1", "[::1]", "localhost"] {
        post().header("Host", &format!("{host}:{port}")).send().expect(200);
    }
    post().header("Origin", "http://localhost:3000").send().expect(200);
    let more = "[mcp]\nhosts = [\"box.lan\"]\norigins = [\"https://app.example\"]";
    configure(&home, more);
    post().header("Host", "box.lan").header("Origin", "https://app.example").send().expect(200);
    post().header("Host", "other.lan").send().expect(403);
}

#[test]
fn one_tokens_session_is_unknown_to_another_and_ends_with_its_token() {
    let home = alice();
    let (one, two) = (Caller::new(&home, "one"), Caller::new(&home, "two"));
    let (first, second) = (one.begin(), two.begin());
    let stolen = Legacy { caller: two.clone(), id: first.id.clone() };
    assert!(!stolen.lives());
    stolen.request("DELETE").send().expect(404);
    stolen.request("GET").send().expect(404);
    assert!(first.lives() && second.lives());
    let mut stream = first.listen();
    home.run(&["token", "revoke", "one"]).expect(0);
    assert!(stream.is_ended_within(SOON), "its stream ends at once");
    first.post(&json!({})).expect(401);
    one.modern("tools/list", json!({})).send().expect(401);
    assert!(second.lives());
    home.kill_node();
    home.start();
    one.modern("tools/list", json!({})).send().expect(401);
    assert!(!second.lives(), "a node that started anew knows no session");
    assert!(two.begin().lives(), "but the token");
}

#[test]
fn a_question_that_a_client_carries_is_good_for_its_token_and_name_alone() {
    let (alice, bob) = friends();
    let able = json!({"elicitation": {"form": {}}});
    let caller = Caller { capabilities: able, ..Caller::new(&alice, "laptop") };
    let other = Caller { token: token(&alice, "other"), ..caller.clone() };
    let named = Caller { name: Some("elsewhere"), ..caller.clone() };
    let text = ["key: AKIA", "ABCDEFGHIJKLMNOP"].concat();
    let arguments = json!({"to": bob.name, "text": text});
    let asked = caller.call("peer_send", arguments.clone())["result"].clone();
    assert_eq!(asked["resultType"], "input_required", "{asked:#}");
    let again = json!({
        "name": "peer_send", "arguments": arguments, "requestState": asked["requestState"],
        "inputResponses": {"approval": {"action": "decline"}},
    });
    for stranger in [other, named] {
        let refused = stranger.result("tools/call", again.clone()).to_string();
        assert!(refused.contains("requestState was refused"), "{refused}");
    }
    assert_eq!(alice.pending().len(), 1);
    let answer = caller.result("tools/call", again);
    assert_eq!(answer["result"]["structuredContent"]["state"], "denied", "{answer}");
    assert!(alice.pending().is_empty());
}

#[test]
fn a_sessions_name_that_is_none_is_refused_in_plain_words() {
    let home = alice();
    let caller = Caller::new(&home, "laptop");
    let bad = Caller { name: Some("Not Plain"), ..caller.clone() };
    let refused = bad.post(&bad.hello()).send().expect(400);
    assert!(refused.text().starts_with("Countersign-Session: a session's name"));
    Caller { name: Some("work.2"), ..caller }.begin();
}

#[test]
fn a_waiting_call_begins_its_answer_soon_in_both_eras() {
    let home = alice();
    let caller = Caller::new(&home, "laptop");
    let wait = json!({"name": "peer_inbox", "arguments": {"wait_seconds": 600}});
    let legacy = caller.begin();
    let call = json!({"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": wait});
    let requests = [
        legacy.request("POST").body(call.to_string().as_bytes()),
        caller.modern("tools/call", wait),
    ];
    for request in requests {
        let mut connection = Connection::open(caller.port).unwrap();
        connection.send(&request.bytes()).unwrap();
        let head = connection.head().unwrap();
        assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
        assert!(connection.body_has("\n"), "and something of its body");
    }
}

#[test]
fn two_hundred_sessions_that_nobody_ends_are_bounded_and_take_nothing_from_the_page() {
    let home = alice();
    let caller = Caller::new(&home, "laptop");
    let sessions: Vec<Legacy> = (0..200).map(|_| caller.begin()).collect();
    let living = sessions.iter().rev().take_while(|session| session.lives()).count();
    assert_eq!(living, 32, "the last ones");
    assert!(sessions[..168].iter().all(|session| !session.lives()));
    // Streams that are left open: a part of the places alone.
    let streams: Vec<Connection> = sessions[168..].iter().map(Legacy::listen).collect();
    caller.post(&caller.hello()).send().expect(503).header("retry-after").unwrap();
    Request::get(caller.port, "/").send().expect(401);
    drop(streams);
    until("a place is free when a stream is left", SOON, || {
        caller.post(&caller.hello()).send().status == 200
    });
}

#[test]
fn what_is_too_large_or_no_message_is_refused() {
    let home = alice();
    let caller = Caller::new(&home, "laptop");
    let large = json!({"jsonrpc": "2.0", "id": 1, "method": "x".repeat(2 << 20)});
    let refused = caller.post(&large).send().expect(413);
    assert_eq!(refused.text(), "the body is over 1048576 bytes\n");
    assert!(caller.request("POST", "/mcp").body(b"{").send().status >= 400);
    caller.post(&caller.hello()).header("Accept", "text/html").send().expect(406);
    let unknown = Legacy { caller: caller.clone(), id: "../x".to_owned() };
    assert!(!unknown.lives());
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    assert!(caller.post(&ping).send().status >= 400, "no session, and no version");
    caller.begin();
}

#[test]
fn a_legacy_session_is_told_of_what_it_follows() {
    let (alice, bob) = friends();
    let legacy = Caller::new(&alice, "laptop").begin();
    let answer = legacy.result("resources/subscribe", json!({"uri": "countersign://inbox"}));
    assert!(answer["error"].is_null(), "{answer}");
    let mut stream = legacy.listen();
    bob.send(alice.name, "hello");
    assert!(stream.body_has("notifications/resources/updated"));
}

#[test]
fn a_call_that_is_under_way_ends_with_the_node() {
    let home = alice();
    let caller = Caller::new(&home, "laptop");
    let mut stream = caller.begin().listen();
    let listen = json!({"notifications": {"resourceSubscriptions": ["countersign://inbox"]}});
    let mut subscription = Connection::open(caller.port).unwrap();
    subscription.send(&caller.modern("subscriptions/listen", listen).bytes()).unwrap();
    let head = subscription.head().unwrap();
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    home.stop();
    let short = Duration::from_secs(5);
    assert!(stream.is_ended_within(short) && subscription.is_ended_within(short));
    home.start();
    let begun = message(&caller.post(&caller.hello()).header("Accept", ACCEPT).send().expect(200));
    assert_eq!(begun["result"]["protocolVersion"], LEGACY);
}
