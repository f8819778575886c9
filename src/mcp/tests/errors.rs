//! What a model reads when a call fails, of the tools' own checks: the node's are in its tests.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::support::*;
use crate::mcp::wait::unexpected;

/// Calls that fail, one for each error of the tools.
fn calls() -> Vec<(&'static str, Value)> {
    let long = "x".repeat(65_537);
    vec![
        ("peer_whoami", json!({ "x": 1 })),
        ("peer_invite", json!({ "expires_minutes": 0 })),
        ("peer_invite", json!({ "note": 7 })),
        ("peer_connect", json!({})),
        ("peer_connect", json!({ "invite": "bad" })),
        ("peer_send", json!({ "to": "nobody", "text": "x" })),
        ("peer_send", json!({ "to": "bob", "text": long })),
        ("peer_send", json!({ "to": "bob", "text": "" })),
        ("peer_send", json!({ "to": "bob", "text": "x", "expires_hours": 721 })),
        ("peer_send", json!({ "to": "bob" })),
        ("peer_ask", json!({ "to": "bob", "text": "x", "wait_seconds": 601 })),
        ("peer_inbox", json!({ "limit": 101 })),
        ("peer_inbox", json!({ "wait_seconds": 601 })),
        ("peer_read", json!({ "id": "unknown" })),
        ("peer_status", json!({ "id": "unknown" })),
        ("trust_list", json!({ "state": "friend" })),
        ("trust_revoke", json!({ "peer": "nobody" })),
    ]
}

#[tokio::test]
async fn the_errors_of_the_tools_are_as_reviewed() {
    let (client, _told) = session(&Fake::new(), Era::Legacy).await;
    let mut all = String::new();
    for (tool, arguments) in calls() {
        let given = arguments.to_string();
        let given = if given.len() > 100 { "{...}".to_owned() } else { given };
        let text = bad(&client, tool, arguments).await;
        let (_, next) = text.split_once("\nNext: ").unwrap_or_else(|| panic!("{tool}: {text}"));
        let names = ["call again", "schema", "peer_", "trust_", "countersign ", "shorten", "human"];
        assert!(names.iter().any(|name| next.contains(name)), "no next call: {text}");
        writeln!(all, "{tool} {given}\n{text}\n").unwrap();
    }
    let broken = unexpected();
    writeln!(all, "(any)\n{}\nNext: {}", broken.message, broken.next).unwrap();
    insta::assert_snapshot!(all);
}
