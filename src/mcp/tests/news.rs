use serde_json::json;

use super::support::*;
use crate::node::api::{AgentRequest, News, NewsOf};

fn some() -> News {
    let unread = vec![NewsOf { name: "alice".to_owned(), unread: 2 }];
    News { unread, held: 3, ..News::default() }
}

#[tokio::test]
async fn every_result_has_a_line_of_news_and_the_inbox_says_itself_what_is_held() {
    const LINE: &str =
        "2 unread from alice: peer_inbox reads them; 3 held for your human (countersign pending)";
    for era in [Era::Legacy, Era::Modern] {
        let fake = Fake::with(vec![message("msg_1", "bob", "hello")]);
        let (client, _told) = session(&fake, era).await;
        fake.news(some());
        for (tool, arguments) in [
            ("peer_whoami", none()),
            ("peer_invite", none()),
            ("peer_connect", json!({ "invite": "silent" })),
            ("peer_send", json!({ "to": "bob", "text": "hi" })),
            ("peer_ask", json!({ "to": "bob", "text": "hi", "wait_seconds": 0 })),
            ("peer_read", json!({ "id": "msg_1" })),
            ("peer_status", none()),
            ("trust_list", none()),
            ("trust_revoke", json!({ "peer": "bob" })),
        ] {
            assert_eq!(good(&client, tool, arguments).await["news"], LINE, "{tool}");
        }
        let inbox = good(&client, "peer_inbox", none()).await;
        assert_eq!(inbox["news"], "2 unread from alice: peer_inbox reads them");
        let text = bad(&client, "peer_read", json!({ "id": "unknown" })).await;
        assert!(text.ends_with(&format!("\nNews: {LINE}")), "{text}");
        let text = bad(&client, "peer_whoami", json!({ "x": 1 })).await;
        assert!(text.ends_with(&format!("\nNews: {LINE}")), "{text}");
    }
}

#[tokio::test]
async fn no_news_is_no_line() {
    let fake = Fake::new();
    let (client, _told) = session(&fake, Era::Legacy).await;
    assert_eq!(good(&client, "peer_whoami", none()).await.get("news"), None);
    assert!(!bad(&client, "peer_read", json!({ "id": "unknown" })).await.contains("News"));
    let asked = fake.asked().iter().filter(|r| matches!(r, AgentRequest::News)).count();
    assert_eq!(asked, 2, "once a call");
}
