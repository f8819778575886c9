use std::time::Duration;

use axum::{
    body::BodyDataStream,
    http::{Method, StatusCode},
};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::support::{Browser, Desk, message, request, send};
use crate::{base::limits::PAGE_STREAMS_MAX, node::api::Event};

const SOON: Duration = Duration::from_secs(30);

async fn listen(desk: &Desk, browser: &Browser) -> BodyDataStream {
    let response =
        send(&desk.router, request(Method::GET, "/events", Some(&browser.cookie()))).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store");
    response.into_body().into_data_stream()
}

async fn next(stream: &mut BodyDataStream) -> Option<String> {
    let part = timeout(SOON, stream.next()).await.unwrap()?;
    Some(String::from_utf8(part.unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn what_changed_is_told_with_what_waits() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let mut stream = listen(&desk, &browser).await;
    desk.waits(&message("text"));
    desk.node.tell(Event::PendingChanged);
    desk.node.tell(Event::PeersChanged);
    let hint = next(&mut stream).await.unwrap();
    let data = hint.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert!(hint.contains("event: changed"), "{hint}");
    let expected = serde_json::json!({ "waiting": 1, "unread": 5, "what": ["pending", "peers"] });
    assert_eq!(data, expected);
}

#[tokio::test]
async fn what_may_interrupt_is_told_apart_from_what_waits() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let mut stream = listen(&desk, &browser).await;
    desk.node.tell(Event::PendingChanged);
    assert!(!next(&mut stream).await.unwrap().contains("alert"));
    desk.node.tell(Event::Alert { items: 7 });
    desk.node.tell(Event::PendingChanged);
    let hint = next(&mut stream).await.unwrap();
    assert!(hint.contains("\"alert\":7") && hint.contains("pending"), "{hint}");
    desk.node.tell(Event::PendingChanged);
    assert!(!next(&mut stream).await.unwrap().contains("alert"), "it is told once");
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_a_few_hints_and_a_silence_is_touched() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let mut stream = listen(&desk, &browser).await;
    for _ in 0..100 {
        desk.node.tell(Event::PeersChanged);
    }
    assert!(next(&mut stream).await.unwrap().contains("changed"));
    assert!(next(&mut stream).await.unwrap().starts_with(':'), "all of it was one hint");
}

#[tokio::test]
async fn hints_end_with_the_session_and_with_the_node() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let mut stream = listen(&desk, &browser).await;
    browser.post("/sign-out", &[]).await;
    assert_eq!(next(&mut stream).await, None);
    let mut stream = listen(&desk, &desk.open().await).await;
    desk.page.cancel().cancel();
    assert_eq!(next(&mut stream).await, None);
}

#[tokio::test]
async fn hints_end_when_the_session_is_locked_and_go_on_when_asked_for_again() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let mut streams = Vec::new();
    for _ in 0..PAGE_STREAMS_MAX {
        streams.push(listen(&desk, &browser).await);
    }
    browser.post("/lock", &[]).await;
    let mut again = listen(&desk, &browser).await;
    assert_eq!(next(&mut streams[0]).await, None);
    desk.node.tell(Event::PeersChanged);
    assert!(next(&mut again).await.unwrap().contains("changed"));
}

#[tokio::test]
async fn a_session_listens_so_often_and_no_more() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let mut streams = Vec::new();
    for _ in 0..PAGE_STREAMS_MAX {
        streams.push(listen(&desk, &browser).await);
    }
    let more = browser.get("/events").await;
    assert_eq!(more.status, StatusCode::TOO_MANY_REQUESTS);
    streams.pop();
    streams.push(listen(&desk, &browser).await);
}

#[tokio::test]
async fn the_evidence_is_exported_whole_with_its_verdict() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let export = browser.get("/evidence/export").await;
    assert_eq!(export.headers["content-type"], "application/x-ndjson");
    let said = export.headers["content-disposition"].to_str().unwrap();
    assert!(said.starts_with("attachment; filename="));
    let lines: Vec<serde_json::Value> =
        export.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<_> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(lines[3]["verified"]["ok"], true);
}

#[tokio::test]
async fn an_export_ends_with_the_session_and_does_not_look_whole() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let cookie = browser.cookie();
    let response =
        send(&desk.router, request(Method::GET, "/evidence/export", Some(&cookie))).await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut stream = response.into_body().into_data_stream();
    assert!(next(&mut stream).await.unwrap().contains("\"seq\":1"));
    browser.post("/sign-out", &[]).await;
    assert!(timeout(SOON, stream.next()).await.unwrap().unwrap().is_err());
}
