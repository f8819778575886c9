use serde_json::json;

use super::support::*;
use crate::node::api::AgentRequest;

async fn both(check: impl AsyncFn(&Client, &Fake)) {
    for era in [Era::Legacy, Era::Modern] {
        let mut fake_messages = vec![message("msg_1", "bob", "hello")];
        fake_messages[0].reply_to = Some("msg_out".to_owned());
        let fake = Fake::with(fake_messages);
        let (client, _told) = session(&fake, era).await;
        check(&client, &fake).await;
        client.cancel().await.unwrap();
    }
}

#[tokio::test]
async fn every_tool_answers_as_its_schema_says() {
    both(async |client, _| {
        let whoami = good(client, "peer_whoami", none()).await;
        assert_eq!(whoami["name"], "Alice");
        assert!(whoami["next"].as_str().unwrap().contains("countersign pending"));
        let invite = good(client, "peer_invite", json!({ "expires_minutes": 60 })).await;
        assert_eq!(invite["invite"], "countersign1abc");
        let sent = good(client, "peer_send", json!({ "to": "bob", "text": "hi" })).await;
        assert_eq!((sent["state"].as_str(), sent.get("next")), (Some("queued"), None));
        let asked = good(client, "peer_ask", json!({ "to": "bob", "text": "hi" })).await;
        assert!(asked["reply"]["text"].as_str().unwrap().contains("\nhello\n<<end "));
        assert_eq!(asked["state"], "delivered");
        let inbox = good(client, "peer_inbox", none()).await;
        assert_eq!(inbox["messages"][0]["untrusted"], true);
        let read = good(client, "peer_read", json!({ "id": "msg_1" })).await;
        assert_eq!((read["id"].as_str(), read["size_bytes"].as_u64()), (Some("msg_1"), Some(5)));
        let one = good(client, "peer_status", json!({ "id": "msg_1" })).await;
        assert_eq!(one["history"][0]["state"], "delivered");
        let all = good(client, "peer_status", none()).await;
        assert_eq!((all["held"].as_u64(), all["queued"].as_u64()), (Some(1), Some(99)));
        assert!(all["omitted"].as_u64().unwrap() > 10, "100 lives with long reasons do not fit");
        let peers = good(client, "trust_list", json!({ "state": "trusted" })).await;
        let shown = peers["peers"].as_array().unwrap().len();
        assert_eq!(peers["omitted"].as_u64().unwrap(), u64::try_from(2000 - shown).unwrap());
        let gone = good(client, "trust_revoke", json!({ "peer": "bob", "block": true })).await;
        assert_eq!(gone["purged"], 2);
    })
    .await;
}

#[tokio::test]
async fn what_waits_for_the_human_names_the_command_and_that_the_model_cannot() {
    both(async |client, fake| {
        let connect = json!({ "invite": "countersign1x", "name": "bob" });
        let connected = good(client, "peer_connect", connect).await;
        let next = connected["next"].as_str().unwrap();
        assert!(next.contains("countersign approve pnd_7") && next.contains("you cannot"));
        let held = good(client, "peer_send", json!({ "to": "bob", "text": "secret" })).await;
        let next = held["next"].as_str().unwrap();
        assert!(next.contains("countersign approve pnd_9") && next.contains("you cannot"));
        // Nothing is waited for that a human has to let go first.
        let asked = json!({ "to": "bob", "text": "secret", "wait_seconds": 600 });
        let held = good(client, "peer_ask", asked).await;
        assert_eq!((held["state"].as_str(), held.get("reply")), (Some("held"), None));
        let waited = |r: &AgentRequest| matches!(r, AgentRequest::Inbox(_));
        assert!(!fake.asked().iter().any(waited));
    })
    .await;
}

#[tokio::test]
async fn every_error_is_text_with_the_next_step() {
    both(async |client, _| {
        let check = async |tool: &str, arguments, part: &str| {
            let text = bad(client, tool, arguments).await;
            assert!(text.contains(part) && text.contains("\nNext: "), "{tool}: {text}");
            assert!(!text.contains('\u{202e}'), "{text:?}");
        };
        check("peer_whoami", json!({ "x": 1 }), "unknown field `x`").await;
        check("peer_invite", json!({ "expires_minutes": 0 }), "it can be 1 to 10080").await;
        check("peer_connect", json!({ "invite": "bad" }), "there is no such invite").await;
        check("peer_send", json!({ "to": "nobody", "text": "x" }), "there is no peer").await;
        let long = "x".repeat(65_537);
        check("peer_send", json!({ "to": "bob", "text": long }), "65537 bytes; the limit is").await;
        check("peer_send", json!({ "to": "bob" }), "missing field `text`").await;
        check("peer_ask", json!({ "to": "nobody", "text": "x" }), "there is no peer").await;
        let wait = json!({ "to": "bob", "text": "x", "wait_seconds": 601 });
        check("peer_ask", wait, "it can be 0 to 600").await;
        check("peer_inbox", json!({ "limit": 101 }), "it can be 1 to 100").await;
        check("peer_read", json!({ "id": "unknown" }), "there is no such message").await;
        check("peer_status", json!({ "id": "unknown" }), "there is no message").await;
        check("trust_list", json!({ "state": "friend" }), "unknown variant `friend`").await;
        check("trust_revoke", json!({ "peer": "nobody" }), "there is no peer").await;
    })
    .await;
}

#[tokio::test]
async fn an_unknown_tool_is_named_in_the_error() {
    both(async |client, _| {
        let error = client.call_tool(request("peer_approve", none())).await.unwrap_err();
        assert!(error.to_string().contains("Unknown tool: peer_approve"), "{error}");
    })
    .await;
}
