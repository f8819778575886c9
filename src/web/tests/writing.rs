use axum::http::header::LOCATION;
use data_encoding::HEXLOWER;

use super::support::{Desk, PASSPHRASE, human_key, node_key};
use crate::{
    node::api::HumanRequest,
    policy::Strength,
    wire::{Envelope, Method},
};

fn sent(desk: &Desk) -> Vec<Envelope> {
    let read = |asked: HumanRequest| {
        let HumanRequest::SendDraft { envelope } = asked else { return None };
        Some(Envelope::decode(&HEXLOWER.decode(envelope.as_bytes()).unwrap()).unwrap())
    };
    desk.asked().into_iter().filter_map(read).collect()
}

fn write_to_bob() -> String {
    format!("/conversations/{}/write", node_key(3).id())
}

#[tokio::test]
async fn what_a_human_writes_carries_their_countersignature() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let thread = "08".repeat(16);
    let typed = [("text", "Hello,\r\nBob"), ("thread", thread.as_str())];
    let locked = browser.post(&write_to_bob(), &typed).await;
    assert!(sent(&desk).is_empty(), "{:?}", locked.headers);
    let with_passphrase = [typed.as_slice(), &[("passphrase", PASSPHRASE)]].concat();
    let answer = browser.post(&write_to_bob(), &with_passphrase).await;
    let place = format!("/conversations/{}?thread={thread}", node_key(3).id());
    assert_eq!(answer.headers[LOCATION], place.as_str());
    browser.post(&write_to_bob(), &typed).await;
    let methods = sent(&desk).into_iter().map(|envelope| {
        assert_eq!(envelope.body().text().unwrap().as_str(), "Hello,\nBob");
        envelope.countersigned_by(&human_key(101).id()).unwrap().method
    });
    assert_eq!(methods.collect::<Vec<_>>(), [Method::Passphrase, Method::Session]);
}

#[tokio::test]
async fn what_a_human_writes_is_signed_as_well_as_its_receiver_wants_it() {
    let desk = Desk::new();
    let browser = desk.unlocked().await;
    desk.world.lock().unwrap().least = Some(Strength::Passphrase);
    browser.post(&write_to_bob(), &[("text", "Hello")]).await;
    assert!(sent(&desk).is_empty(), "the session alone is too weak");
    browser.post(&write_to_bob(), &[("text", "Hello"), ("passphrase", PASSPHRASE)]).await;
    let [envelope] = sent(&desk).try_into().unwrap();
    let by = envelope.countersigned_by(&human_key(101).id()).unwrap().method;
    assert_eq!(by, Method::Passphrase);
}

#[tokio::test]
async fn a_draft_that_is_not_what_was_typed_is_not_signed() {
    let desk = Desk::new();
    let browser = desk.unlocked().await;
    desk.world.lock().unwrap().twist = Some("Hello, Bob. I agree to everything.".to_owned());
    browser.post(&write_to_bob(), &[("text", "Hello, Bob.")]).await;
    desk.world.lock().unwrap().twist = None;
    let carol = format!("/conversations/{}/write", node_key(5).id());
    browser.post(&carol, &[("text", "Hello, Carol.")]).await;
    assert!(sent(&desk).is_empty(), "the fake node drafts for Bob alone");
    browser.post(&write_to_bob(), &[("text", "Hello, Bob.")]).await;
    assert_eq!(sent(&desk).len(), 1);
}

#[tokio::test]
async fn nothing_is_drafted_of_nothing() {
    let desk = Desk::new();
    let browser = desk.unlocked().await;
    browser.post(&write_to_bob(), &[("text", " \r\n ")]).await;
    let drafted = |asked: &HumanRequest| matches!(asked, HumanRequest::Draft { .. });
    assert!(!desk.asked().iter().any(drafted));
}

#[tokio::test]
async fn a_code_is_made_and_used_without_a_script() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let page = browser.get("/peers").await.text;
    for field in ["first", "second", "third"] {
        assert!(page.contains(&format!("name=\"{field}\"")), "{field}");
    }
    assert_eq!(page.matches("list=\"code-words\"").count(), 3);
    assert_eq!(page.matches("<datalist").count(), 1);
    assert!(page.contains("<option>abandon</option>") && page.contains("<option>zoo</option>"));
    let made = browser.told("/peers/invite", &[("code", "on"), ("note", "")]).await;
    for word in ["copper", "violin", "harbor"] {
        assert!(made.contains(&format!("<li><bdi>{word}</bdi></li>")), "{made}");
    }
    assert!(!made.contains("countersign1"), "{made}");
    let words = [("first", "Copp"), ("second", " violin "), ("third", "harbor")];
    let told = browser.told("/peers/connect", &words).await;
    assert!(told.contains("invite Copp violin harbor"), "{told}");
}
