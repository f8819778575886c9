//! The older pair of `/sse` and `/messages`.

use serde_json::{Value, json};

use super::{caller::Caller, configure};
use crate::support::{SOON, alice, http::Connection, until};

const OLD: &str = "2024-11-05";

fn hello() -> Value {
    let me = json!({"name": "tests", "version": "1"});
    let params = json!({"protocolVersion": OLD, "capabilities": {}, "clientInfo": me});
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
}

/// A stream of events, and where to post.
fn open(caller: &Caller) -> (Connection, String) {
    let mut stream = Connection::open(caller.port).unwrap();
    stream.send(&caller.request("GET", "/sse").bytes()).unwrap();
    let head = stream.head().unwrap();
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    let path = stream.body_line("data: /messages?sessionId=").unwrap();
    (stream, format!("/messages?sessionId={path}"))
}

fn post(caller: &Caller, path: &str, message: &Value) -> u16 {
    let text = serde_json::to_string_pretty(message).unwrap();
    caller.request("POST", path).body(text.as_bytes()).send().status
}

#[test]
fn a_client_of_the_first_version_talks_where_it_is_switched_on() {
    let home = alice();
    let caller = Caller::new(&home, "old");
    let off = caller.request("GET", "/sse").send();
    assert!(off.status >= 400, "{}", off.status);
    configure(&home, "[mcp]\nsse = true");
    caller.request("GET", "/sse").without("Authorization").send().expect(401);
    caller.request("GET", "/sse").header("Host", "evil.example").send().expect(403);
    let (mut stream, path) = open(&caller);
    assert_eq!(post(&caller, &path, &hello()), 202);
    assert!(stream.body_has(&format!("\"protocolVersion\":\"{OLD}\"")));
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(post(&caller, &path, &initialized), 202);
    let params = json!({"name": "peer_whoami", "arguments": {}});
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params});
    assert_eq!(post(&caller, &path, &call), 202);
    assert!(stream.body_has("\"structuredContent\""));
    let other = Caller { token: super::token(&home, "other"), ..caller.clone() };
    assert_eq!(post(&other, &path, &call), 404, "another token's");
    assert_eq!(post(&caller, "/messages?sessionId=", &call), 404);
    let stolen = super::Legacy { caller: caller.clone(), id: path[20..].to_owned() };
    assert!(!stolen.lives(), "it is no session of /mcp");
    let broken = caller.request("POST", &path).body(b"{").send();
    assert_eq!(broken.status, 400);
    drop(stream);
    until("the session ends with its stream", SOON, || post(&caller, &path, &call) == 404);
    let (mut stream, path) = open(&caller);
    home.run(&["token", "revoke", "old"]).expect(0);
    assert!(stream.is_ended_within(SOON), "a token that is ended ends it");
    assert_eq!(post(&caller, &path, &call), 401);
}
