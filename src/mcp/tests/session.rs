use rmcp::{
    handler::server::router::tool::ToolRoute,
    model::{
        CallToolRequest, ClientRequest, SubscribeRequestParams, SubscriptionFilter, Tool,
        UnsubscribeRequestParams,
    },
    service::PeerRequestOptions,
};
use serde_json::json;
use tokio::time::Instant;

use super::support::*;
use crate::{
    mcp::{schema, server::serve_tools, tools},
    node::api::{AgentRequest, Event},
};

#[tokio::test]
async fn a_waiting_call_ends_with_the_message_that_comes() {
    for era in [Era::Legacy, Era::Modern] {
        let fake = Fake::new();
        let (client, _told) = session(&fake, era).await;
        let waiting = good(&client, "peer_inbox", json!({ "wait_seconds": 600 }));
        let coming = async {
            while fake.asked().is_empty() {
                tokio::task::yield_now().await;
            }
            fake.arrive(message("msg_1", "bob", "here I am"));
        };
        let (inbox, ()) = tokio::join!(waiting, coming);
        assert_eq!(inbox["messages"][0]["id"], "msg_1");
        assert_eq!(fake.world.lock().unwrap().read, ["msg_1"]);
    }
}

#[tokio::test]
async fn an_ask_ends_when_no_reply_can_come() {
    let fake = Fake::new();
    let (client, _told) = session(&fake, Era::Legacy).await;
    let asking =
        good(&client, "peer_ask", json!({ "to": "bob", "text": "hi", "wait_seconds": 600 }));
    let refusing = async {
        while fake.asked().len() < 3 {
            tokio::task::yield_now().await;
        }
        fake.world.lock().unwrap().life_state = Some("refused".to_owned());
        fake.node.tell(Event::MessageChanged { message: "msg_out".to_owned() });
    };
    let (sent, ()) = tokio::join!(asking, refusing);
    assert_eq!(sent["state"], "refused");
    assert!(sent["next"].as_str().unwrap().contains("no reply will come"));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_call_reports_progress_and_gives_up_in_time() {
    let fake = Fake::new();
    let (client, mut told) = session(&fake, Era::Legacy).await;
    let begun = Instant::now();
    let asked = good(&client, "peer_ask", json!({ "to": "bob", "text": "hi" })).await;
    assert_eq!(begun.elapsed().as_secs(), 45);
    assert!(asked["next"].as_str().unwrap().contains("peer_status"));
    // rmcp's client gives every call a token.
    for passed in [0, 5, 10] {
        let expected = Told::Progress(format!("waiting, {passed} of 45 s"));
        assert_eq!(told.recv().await.unwrap(), expected, "the first one at once");
    }
}

#[tokio::test]
async fn a_cancelled_call_ends() {
    let fake = Fake::new();
    let (client, _told) = session(&fake, Era::Legacy).await;
    let params = request("peer_inbox", json!({ "wait_seconds": 600 }));
    let call = ClientRequest::CallToolRequest(CallToolRequest::new(params));
    let handle =
        client.send_cancellable_request(call, PeerRequestOptions::no_options()).await.unwrap();
    while fake.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    handle.cancel(Some("enough".to_owned())).await.unwrap();
    good(&client, "peer_whoami", none()).await;
    // A call that still waited would take the message and mark it as read.
    fake.arrive(message("msg_1", "bob", "too late"));
    good(&client, "peer_whoami", none()).await;
    let news = |request: &AgentRequest| matches!(request, AgentRequest::News);
    assert_eq!(fake.asked().iter().filter(|request| !news(request)).count(), 3);
    assert!(fake.world.lock().unwrap().read.is_empty());
}

#[tokio::test]
async fn a_panic_in_a_tool_is_an_answer() {
    let fake = Fake::new();
    let tool = Tool::new("breaks", "breaks", schema::of_arguments::<u8>());
    let breaks = ToolRoute::new_dyn(tool, |_| Box::pin(async { panic!("on purpose") }));
    let server = server(&fake, tools::router().with_route(breaks));
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (reader, writer) = tokio::io::split(theirs);
    tokio::spawn(serve_tools(reader, writer, server));
    let (client, _told) = begin(ours, Era::Legacy).await;
    let text = bad(&client, "breaks", none()).await;
    assert!(text.contains("breaks broke inside countersign") && text.contains("Next:"), "{text}");
    good(&client, "peer_whoami", none()).await;
}

#[tokio::test]
#[expect(deprecated, reason = "it is the legacy way")]
async fn a_legacy_session_hears_of_what_it_follows() {
    let fake = Fake::new();
    let (client, mut told) = session(&fake, Era::Legacy).await;
    let subscribe = |uri: &str| client.subscribe(SubscribeRequestParams::new(uri));
    subscribe("countersign://inbox").await.unwrap();
    subscribe("countersign://peers").await.unwrap();
    let error = subscribe("countersign://secrets").await.unwrap_err().to_string();
    assert!(error.contains("Resource not found"), "{error}");
    fake.arrive(message("msg_1", "bob", "x"));
    assert_eq!(told.recv().await.unwrap(), Told::Updated("countersign://inbox".to_owned()));
    client.unsubscribe(UnsubscribeRequestParams::new("countersign://inbox")).await.unwrap();
    fake.arrive(message("msg_2", "bob", "x"));
    fake.node.tell(Event::PeersChanged);
    assert_eq!(told.recv().await.unwrap(), Told::Updated("countersign://peers".to_owned()));
}

#[tokio::test]
async fn a_modern_subscription_hears_of_what_it_names() {
    let fake = Fake::new();
    let (client, _told) = session(&fake, Era::Modern).await;
    let uris = ["countersign://message/msg_1", "countersign://secrets"];
    let mut subscription = client
        .listen(SubscriptionFilter::builder().resource_subscriptions(uris).build())
        .await
        .unwrap();
    fake.node.tell(Event::MessageChanged { message: "msg_2".to_owned() });
    fake.node.tell(Event::MessageChanged { message: "msg_1".to_owned() });
    let heard = format!("{:?}", subscription.next().await.unwrap());
    assert!(heard.contains("countersign://message/msg_1"), "{heard}");
}

#[tokio::test]
async fn a_client_that_only_asks_what_there_is_ends_cleanly() {
    let fake = Fake::new();
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (reader, writer) = tokio::io::split(theirs);
    let session = tokio::spawn(serve_tools(reader, writer, server(&fake, tools::router())));
    drop(ours);
    session.await.unwrap().unwrap();
}
