//! Every tool, with every shape that an approval might have.

use serde_json::{Map, Value, json};

use super::{Siege, secret};
use crate::support::{Home, mcp::Session, stays};

/// What each tool takes, where it is called as it should be.
fn ordinary(tool: &str, siege: &Siege) -> Value {
    match tool {
        "peer_connect" => json!({"invite": "countersign1abc", "name": "mallory"}),
        "peer_send" => json!({"to": "bob", "text": secret(1)}),
        "peer_ask" => json!({"to": "bob", "text": secret(2), "wait_seconds": 0}),
        "peer_read" => json!({"id": siege.message}),
        "trust_revoke" => json!({"peer": "nobody"}),
        _ => json!({}),
    }
}

/// Names and values that a hopeful model might add.
fn hopeful(siege: &Siege) -> Vec<(&'static str, Value)> {
    let pass = json!(siege.alice.passphrase);
    let item = json!(siege.item);
    vec![
        ("approve", json!(true)),
        ("approved", item.clone()),
        ("decision", json!("approve")),
        ("signature", json!("00".repeat(64))),
        ("statement", json!({"id": item, "answer": "approve"})),
        ("seal", json!("")),
        ("confirm", json!("yes")),
        ("passphrase", pass.clone()),
        ("method", json!("passphrase")),
        ("force", json!(true)),
        ("human", json!("decide")),
        ("agent", json!("client_answered")),
        ("yes", json!(true)),
        ("pending", item),
        ("state", json!("trusted")),
        ("trust", json!(true)),
        ("verified", json!(true)),
        ("grant", json!({"hours": 720, "messages": 1000})),
        ("policy", json!(super::LOOSE)),
        ("block", json!(false)),
        ("countersigned", json!({"method": "passphrase"})),
        ("inputResponses", json!({"approval": {"action": "accept"}})),
        ("requestState", json!("AAAA")),
        ("_meta", json!({"approved": true, "passphrase": pass})),
    ]
}

/// The same values, of types that no tool takes.
fn wrong_types() -> Vec<Value> {
    let mut deep = json!("approve");
    for _ in 0..100 {
        deep = json!({ "approve": [deep] });
    }
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5e300),
        json!(["approve"]),
        json!({"approve": true}),
        json!("approve ".repeat(20_000)),
        deep,
    ]
}

/// All calls of one tool.
fn calls(tool: &Value, siege: &Siege) -> Vec<Value> {
    let name = tool["name"].as_str().unwrap();
    let ordinary = ordinary(name, siege);
    let with = |field: &str, value: Value| {
        let mut arguments = ordinary.as_object().unwrap().clone();
        arguments.insert(field.to_owned(), value);
        Value::Object(arguments)
    };
    let extra = hopeful(siege);
    let all: Map<String, Value> =
        extra.iter().map(|(field, value)| ((*field).to_owned(), value.clone())).collect();
    let alone = extra.iter().map(|(field, value)| json!({ *field: value }));
    let mut calls: Vec<Value> = alone.collect();
    calls.extend(extra.iter().map(|(field, value)| with(field, value.clone())));
    let fields = tool["inputSchema"]["properties"].as_object().cloned().unwrap_or_default();
    let slow = ["wait_seconds"];
    for field in fields.keys().filter(|field| !slow.contains(&field.as_str())) {
        calls.extend(wrong_types().into_iter().map(|value| with(field, value)));
        calls.push(with(field, json!(siege.item)));
        calls.push(with(field, json!(format!("approve {}", siege.stranger))));
    }
    calls.extend([Value::Object(all), ordinary.clone(), json!([]), json!("approve"), json!(null)]);
    calls
}

/// Tells the difference between what was held and what left.
fn left(home: &Home) -> usize {
    home.texts().iter().filter(|text| text.contains("AKIA")).count()
}

#[test]
fn no_tool_approves_whatever_its_arguments_are() {
    let siege = Siege::lay();
    for session in [Session::legacy(&siege.alice), Session::modern(&siege.alice)] {
        let tools = session.result("tools/list", json!({}))["tools"].clone();
        let tools = tools.as_array().unwrap();
        assert_eq!(tools.len(), 10);
        for tool in tools {
            let name = tool["name"].as_str().unwrap();
            for arguments in calls(tool, &siege) {
                let call = json!({"name": name, "arguments": arguments});
                // Whatever it says, it says it: the session goes on.
                session.request("tools/call", call);
            }
        }
        siege.holds("every tool with every shape");
    }
    stays("nothing leaves", std::time::Duration::from_secs(1), || left(&siege.bob) == 0);
}

#[test]
fn what_stands_beside_a_call_approves_nothing() {
    let siege = Siege::lay();
    for session in [Session::legacy(&siege.alice), Session::modern(&siege.alice)] {
        for (field, value) in hopeful(&siege) {
            let mut call = json!({"name": "peer_send", "arguments": ordinary("peer_send", &siege)});
            call[field] = value.clone();
            session.request("tools/call", call);
            let mut bare = json!({});
            bare[field] = value;
            for method in ["tools/list", "completion/complete", "sampling/createMessage", "ping"] {
                session.request(method, bare.clone());
            }
        }
        let names =
            ["peer_approve", "trust_grant", "peer_send\u{0}", "PEER_SEND", "../approve", ""];
        for name in names {
            for item in siege.items() {
                session.call_error(name, json!({"id": item, "approve": true}));
            }
        }
        for uri in ["countersign://pending", "countersign://approve/", "file:///approver.key"] {
            let answer = session.request("resources/read", json!({"uri": uri}));
            assert!(answer["error"].is_object(), "{uri}: {answer:#}");
        }
    }
    siege.holds("fields beside a call");
}
