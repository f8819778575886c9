use rmcp::model::{SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams};
use serde_json::json;

use super::support::*;
use crate::node::sessions::Route;

async fn until_routes(fake: &Fake, expected: &[Route]) {
    let changes = async {
        while fake.node.sessions()[0].routes != expected {
            tokio::task::yield_now().await;
        }
    };
    let limit = std::time::Duration::from_secs(10);
    tokio::time::timeout(limit, changes).await.expect("the routes do not become what they should");
}

#[tokio::test]
async fn a_call_that_waits_is_a_route_until_its_end() {
    let fake = Fake::new();
    let (client, _told) = session(&fake, Era::Legacy).await;
    let first = good(&client, "peer_inbox", json!({ "wait_seconds": 600, "from": "bob" }));
    let second = good(&client, "peer_inbox", json!({ "wait_seconds": 600, "from": "carol" }));
    let story = async {
        until_routes(&fake, &[Route::Wait]).await;
        fake.arrive(message("msg_1", "bob", "x"));
    };
    let ((), rest) = tokio::join!(story, async {
        tokio::pin!(second);
        tokio::select! {
            _ = first => {}
            _ = &mut second => panic!("nothing came for it"),
        }
        assert_eq!(fake.node.sessions()[0].routes, [Route::Wait], "the other one waits still");
        fake.arrive(message("msg_2", "carol", "x"));
        second.await
    });
    assert_eq!(rest["messages"][0]["id"], "msg_2");
    until_routes(&fake, &[]).await;
    good(&client, "peer_inbox", none()).await;
    assert!(fake.node.sessions()[0].routes.is_empty(), "one that does not wait is none");
}

#[tokio::test]
#[expect(deprecated, reason = "it is the legacy way")]
async fn who_follows_the_inbox_is_told_and_who_follows_something_else_is_not() {
    let fake = Fake::new();
    let (client, _told) = session(&fake, Era::Legacy).await;
    let subscribe = |uri: &str| client.subscribe(SubscribeRequestParams::new(uri));
    subscribe("countersign://peers").await.unwrap();
    assert!(fake.node.sessions()[0].routes.is_empty());
    subscribe("countersign://inbox").await.unwrap();
    assert_eq!(fake.node.sessions()[0].routes, [Route::Resources]);
    client.unsubscribe(UnsubscribeRequestParams::new("countersign://inbox")).await.unwrap();
    assert!(fake.node.sessions()[0].routes.is_empty());
}

#[tokio::test]
async fn a_modern_subscription_to_the_inbox_is_a_route() {
    let fake = Fake::new();
    let (client, _told) = session(&fake, Era::Modern).await;
    let filter = |uri: &str| SubscriptionFilter::builder().resource_subscriptions([uri]).build();
    let _other = client.listen(filter("countersign://peers")).await.unwrap();
    good(&client, "peer_whoami", none()).await;
    assert!(fake.node.sessions()[0].routes.is_empty());
    let subscription = client.listen(filter("countersign://inbox")).await.unwrap();
    until_routes(&fake, &[Route::Listen]).await;
    drop(subscription);
    until_routes(&fake, &[]).await;
}

#[tokio::test]
async fn the_status_names_the_open_sessions_and_how_each_is_told() {
    let fake = Fake::new();
    let (other, _told) = session(&fake, Era::Legacy).await;
    good(&other, "peer_whoami", none()).await;
    let (client, _told) = session(&fake, Era::Modern).await;
    let status = good(&client, "peer_status", none()).await;
    let expected = json!([
        { "name": "api-2", "client": "test 1", "transport": "stdio", "routes": [], "own": true },
        { "name": "api", "client": "test 1", "transport": "stdio", "routes": [] },
    ]);
    assert_eq!(status["sessions"], expected);
    assert_eq!(good(&client, "peer_status", json!({ "id": "m" })).await.get("sessions"), None);
}
